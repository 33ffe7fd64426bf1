package main

import (
	"bufio"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
)

// The store files that logins wrote are remembered by their paths, so that
// status shows them and logout empties them. No secret is in that list.

func (a *app) stateDir() string {
	dir := a.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.getenv("HOME"), ".local", "state")
	}
	return filepath.Join(dir, "daypass")
}

func (a *app) storeFileList() string { return filepath.Join(a.stateDir(), "store-files") }

// rememberStoreFile adds a file and the host whose line it holds.
func (a *app) rememberStoreFile(path, origin string) error {
	list := a.storeFiles()
	row := [2]string{origin, path}
	if slices.Contains(list, row) {
		return nil
	}
	return a.saveStoreFiles(append(list, row))
}

func (a *app) storeFiles() [][2]string {
	text, err := readOwn(a.storeFileList(), a.uid)
	if err != nil {
		return nil
	}
	var out [][2]string
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	for lines.Scan() {
		origin, path, ok := strings.Cut(lines.Text(), "\t")
		if ok && filepath.IsAbs(path) {
			out = append(out, [2]string{origin, path})
		}
	}
	return out
}

func (a *app) saveStoreFiles(list [][2]string) error {
	if err := os.MkdirAll(a.stateDir(), 0o700); err != nil {
		return err
	}
	var b strings.Builder
	for _, row := range list {
		b.WriteString(row[0] + "\t" + row[1] + "\n")
	}
	return replaceFile(a.storeFileList(), []byte(b.String()))
}

// storeFile is a store file that holds a token of the host, or "".
func (a *app) storeFile(scheme, host string) string {
	for _, row := range a.storeFiles() {
		if row[0] != scheme+"://"+host {
			continue
		}
		text, err := readOwn(row[1], a.uid)
		if err == nil && holdsHost(string(text), scheme, host) {
			return row[1]
		}
	}
	return ""
}

func holdsHost(text, scheme, host string) bool {
	for line := range strings.Lines(text) {
		if lineIsFor(line, scheme, host) {
			return true
		}
	}
	return false
}

// lineIsFor reports whether a line of git-credential-store(1) is for the host.
// git writes a port's colon as %3a.
func lineIsFor(line, scheme, host string) bool {
	s, rest, ok := strings.Cut(strings.TrimSpace(line), "://")
	if !ok || s != scheme {
		return false
	}
	rest, _, _ = strings.Cut(rest, "/")
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	name, err := url.PathUnescape(rest)
	return err == nil && daypass.FoldEqual(name, host)
}

// emptyStoreFiles takes the host's tokens, or all, out of the files that logins
// wrote, and returns the files.
func (a *app) emptyStoreFiles(all bool, h github.Host) []string {
	var done []string
	var left [][2]string
	for _, row := range a.storeFiles() {
		if !all && row[0] != h.Web {
			left = append(left, row)
			continue
		}
		u, err := url.Parse(row[0])
		if err == nil {
			err = emptyStoreFile(row[1], u.Scheme, u.Host, a.uid)
		}
		if err != nil {
			a.screen(false).problem(err)
			left = append(left, row)
			continue
		}
		done = append(done, row[1])
	}
	if len(done) > 0 {
		if err := a.saveStoreFiles(left); err != nil {
			a.screen(false).problem(err)
		}
	}
	return done
}
