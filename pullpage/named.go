package pullpage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/pull"
)

// maxBeside is how many entries of a folder are looked at for one that has a source.
const maxBeside = 4000

// settle gives a link that names no folder the one beside which its source was pulled
// into before, whatever that is called by now. No host is asked.
func (s *Server) settle(l *Link, v Values) error {
	parent, err := s.c.Settings.parent()
	if err != nil {
		return badSettings("the parent folder is not below the server's root", err)
	}
	if s.c.Where == nil || l.Backup || s.exists(l.Folder) {
		l.Unnamed = false
		return nil
	}
	if l.Content.Source == "" {
		return nil
	}
	for _, name := range besides(s.folder(parent)) {
		st, ok, err := s.c.State(s.folder(path.Join(parent, name)))
		if err == nil && ok && l.broughtTo(st) && s.called(l, parent, name, v) {
			return nil
		}
	}
	return nil
}

// Opens is the file or folder that the link opens, as people are told it: below its folder
// where that has no name yet.
func (l Link) Opens() string {
	if !l.Unnamed {
		return l.Target.File
	}
	if file, ok := strings.CutPrefix(l.Target.File, l.Folder+"/"); ok {
		return file
	}
	return "it"
}

// broughtTo reports whether a folder came from the very source of a link.
func (l *Link) broughtTo(st pull.State) bool {
	return st.Content && st.Source == l.Content.Source && !strings.HasPrefix(st.Via, linkPrefix)
}

// besides are the folders in a folder, by name.
func besides(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // nothing was written
	list, err := f.ReadDir(maxBeside)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	var out []string
	for _, e := range list {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return out
}

// called makes a folder the link's, where a link may name it.
func (s *Server) called(l *Link, parent, name string, v Values) bool {
	named := *l
	named.Unnamed = false
	if strings.ContainsRune(name, '/') || named.into(parent, name) != nil {
		return false
	}
	var err error
	if named.Target, err = readTarget(named, v, s.c.Settings); err != nil || named.Target.Runs != l.Target.Runs || named.Target.Kernel != l.Target.Kernel {
		return false // somebody may have agreed to the one, and not to the other
	}
	*l = named
	return true
}

// name asks what a source is called, and gives a link that names no folder one of that
// name. Where that is not told the pull says why, into the folder that the link has.
func (s *Server) name(ctx context.Context, l *Link, v Values) {
	parent, err := s.c.Settings.parent()
	if err != nil {
		return
	}
	dir := s.folder(parent)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		dir = s.c.Root // where there is no parent yet nothing in it can be in the way
	}
	folder, err := s.c.Where(ctx, dir, l.Repo)
	if err == nil && sameFolder(filepath.Dir(folder), dir) && s.called(l, parent, filepath.Base(folder), v) {
		return
	}
	l.Unnamed = false
}

func sameFolder(a, b string) bool {
	x, err := os.Stat(a)
	y, other := os.Stat(b)
	return err == nil && other == nil && os.SameFile(x, y)
}
