package main

import (
	"bufio"
	"errors"
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

// storeFileList is the list's name in stateDir.
const storeFileList = "store-files"

// errNoFolder: without a full path nothing is kept. A relative one would be
// looked up in the current folder, which may be a clone from a stranger.
var errNoFolder = errors.New("there is no folder for it: HOME is not set to a full path")

// ownFolder is the folder that an XDG variable names, else the one below HOME;
// false where neither is a full path.
func (a *app) ownFolder(variable, belowHome string) (string, bool) {
	if dir := a.getenv(variable); filepath.IsAbs(dir) {
		return dir, true
	}
	if home := a.getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, belowHome), true
	}
	return "", false
}

// stateDir is where notes are kept, without any secret; false where there is no
// place for them: readers then find nothing, and writers say errNoFolder.
func (a *app) stateDir() (string, bool) {
	dir, ok := a.ownFolder("XDG_STATE_HOME", filepath.Join(".local", "state"))
	if !ok {
		return "", false
	}
	return filepath.Join(dir, "daypass"), true
}

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
	dir, ok := a.stateDir()
	if !ok {
		return nil
	}
	text, err := readOwn(filepath.Join(dir, storeFileList), a.uid)
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
	dir, ok := a.stateDir()
	if !ok {
		return errNoFolder
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var b strings.Builder
	for _, row := range list {
		b.WriteString(row[0] + "\t" + row[1] + "\n")
	}
	return replaceFile(filepath.Join(dir, storeFileList), []byte(b.String()))
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
// wrote, and returns those that held one. A file that is gone, or holds none any
// more, is left as it is and only taken off the list.
func (a *app) emptyStoreFiles(all bool, h github.Host) []string {
	var emptied []string
	list := a.storeFiles()
	var left [][2]string
	for _, row := range list {
		if !all && row[0] != h.Web {
			left = append(left, row)
			continue
		}
		u, err := url.Parse(row[0])
		held := false
		if err == nil {
			held, err = emptyStoreFile(row[1], u.Scheme, u.Host, a.uid)
		}
		if err != nil {
			a.screen(false).problem(err)
			left = append(left, row)
			continue
		}
		if held {
			emptied = append(emptied, row[1])
		}
	}
	if len(left) < len(list) {
		if err := a.saveStoreFiles(left); err != nil {
			a.screen(false).problem(err)
		}
	}
	return emptied
}
