package pullpage

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// found is the target of a link, if what it opens is there. Makers of links did
// not agree whether ".git" is part of a folder's name, nor did they know of
// targetpath; where the rest of the path is in the folder, that is meant.
func (s *Server) found(l Link) (Target, bool) {
	if l.Target.File == "" {
		return l.Target, true
	}
	if s.exists(l.Target.File) {
		return l.Target, true
	}
	_, rest, _ := strings.Cut(l.Target.File, "/")
	if meant := path.Join(l.Folder, rest); meant != l.Target.File && s.exists(meant) {
		t, err := checkTarget(strings.Replace(l.Target.Path, escapePath(l.Target.File), escapePath(meant), 1))
		if err == nil && t.File == meant {
			return t, true
		}
	}
	return Target{}, false
}

// exists reports whether something is there, below the server's root. What cannot
// be looked at is taken to be there: the front end will say why not.
func (s *Server) exists(rel string) bool {
	if !filepath.IsLocal(rel) {
		return true
	}
	root, err := os.OpenRoot(s.c.Root)
	if err != nil {
		return true
	}
	defer func() { _ = root.Close() }() // nothing was written
	_, err = root.Stat(rel)
	return !errors.Is(err, fs.ErrNotExist)
}

// agreed reports whether somebody has said yes to this content being opened there.
func (s *Server) agreed(folder string, t Target, commit string) bool {
	return commit != "" && s.book.opened(folder)[t.Path] == commit
}

// agree remembers a yes.
func (s *Server) agree(folder, to, what string) {
	if err := s.book.open(folder, to, what); err != nil {
		s.c.Log.Warn("a yes was not kept and will be asked for again", "error", err)
	}
}
