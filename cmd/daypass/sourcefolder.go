package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/resolve"
	"github.com/daypass-dev/daypass/snapshot"
)

// sourceFolder is where a source goes: as typed, else as it is called, here.
func (a *app) sourceFolder(ctx context.Context, p *pull.Puller, args []string, content pull.Content, s daypass.Source) (string, error) {
	if len(args) == 2 {
		return filepath.Abs(args[1])
	}
	seen, err := content.Look(ctx, "")
	if err != nil {
		return "", err
	}
	return freeFolder(p, seen.Title, s)
}

// freeFolder is the folder, here, that is called as a source is, or that and a part of
// its id. Whoever gave the source its name could mean any folder of this user's: one that
// has something in it is not taken for it.
func freeFolder(p *pull.Puller, title string, s daypass.Source) (string, error) {
	name := folderName(title, s)
	id := resolve.Name(s.ID)
	if len(id) > 8 {
		id = id[:8]
	}
	dir, err := filepath.Abs(name)
	if err != nil || isFree(p, dir, s) || id == "" {
		return dir, err
	}
	return filepath.Abs(name + " (" + id + ")")
}

// isFree reports whether nothing is at a place, or what came there from this very source.
func isFree(p *pull.Puller, dir string, s daypass.Source) bool {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil || !info.IsDir() {
		return false
	}
	if names, err := firstNames(dir, 1); err == nil && len(names) == 0 {
		return true
	}
	st, ok, err := stateOf(p, dir)
	return err == nil && ok && cameFrom(st, s)
}

func cameFrom(st pull.State, s daypass.Source) bool {
	return st.Content && st.Source == s.String() && !strings.HasPrefix(st.Via, linkPrefix)
}

// maxBeside is how many entries of a folder are looked at for one that has a source.
const maxBeside = 4000

// heldHere is the folder, here, that a source was pulled into before, whatever it is
// called by now. Where there are several it is the first by name.
func heldHere(p *pull.Puller, s daypass.Source) (found pull.State) {
	here, err := filepath.Abs(".")
	if err != nil {
		return found
	}
	names, _ := firstNames(here, maxBeside) // a folder may be entered, and not be listed
	for _, name := range names {
		dir := filepath.Join(here, name)
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() || found.Folder != "" && dir > found.Folder {
			continue
		}
		if st, ok, err := stateOf(p, dir); err == nil && ok && cameFrom(st, s) {
			found = st
		}
	}
	return found
}

func firstNames(dir string, n int) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

// maxTitle is how many bytes of a title name a folder.
const maxTitle = 80

// folderName is what a folder is called where nobody names it: one name, which is neither
// hidden nor a command's option.
func folderName(title string, s daypass.Source) string {
	title = strings.Map(func(r rune) rune {
		switch {
		case r == '/' || r == '\\':
			return '-'
		case strings.ContainsRune(`:?#*"<>|`, r): // an address, a front end or a disk reads more into them
			return ' '
		}
		return r
	}, title)
	title = trimName(strings.Join(strings.Fields(title), " "))
	if len(title) > maxTitle {
		title = trimName(strings.ToValidUTF8(title[:maxTitle], ""))
	}
	if name, _, ok := snapshot.Name(title); ok {
		return name
	}
	return strings.TrimRight(s.Kind+"-"+trimName(resolve.Name(s.ID)), "-")
}

func trimName(name string) string {
	return strings.TrimRight(strings.TrimLeft(name, ".-~ "), ". ")
}
