package plumbing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Repo is a bare repository of our own. It may see the objects of others.
type Repo struct {
	git        Git
	dir        string
	format     string
	alternates []string
	unflushed  bool
}

// Create makes a bare repository at dir, whose parent must be there, without
// running git. format is "sha1" or "sha256". Where dir is a repository already,
// it is left as it is.
func (g Git) Create(dir, format string) (*Repo, error) {
	config := "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
	switch format {
	case "sha1":
	case "sha256":
		config = "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
	default:
		return nil, fmt.Errorf("object format %q is not known", format)
	}
	for _, d := range []string{"", "objects", "objects/pack", "objects/info", "refs", "refs/heads", "refs/daypass"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	if err := keepFile(filepath.Join(dir, "config"), config); err != nil {
		return nil, err
	}
	// HEAD last: without it git takes the folder for none.
	if err := keepFile(filepath.Join(dir, "HEAD"), "ref: refs/heads/none\n"); err != nil {
		return nil, err
	}
	return g.Open(dir)
}

// keepFile writes a file where there is none, or one that a power cut has emptied.
func keepFile(path, text string) error {
	if fi, err := os.Lstat(path); err == nil && fi.Size() > 0 {
		return nil
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Open opens a repository that [Git.Create] made. alternates are objects folders
// (FOLDER/.git/objects) whose objects it sees too; only objects are read there.
func (g Git) Open(dir string, alternates ...string) (*Repo, error) {
	text, err := os.ReadFile(filepath.Join(dir, "config"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		return nil, err
	}
	format := "sha1"
	if strings.Contains(string(text), "objectformat = sha256") {
		format = "sha256"
	}
	return &Repo{git: g, dir: dir, format: format, alternates: slices.Clone(alternates)}, nil
}

// Dir is the repository's folder.
func (r *Repo) Dir() string { return r.dir }

// Format is "sha1" or "sha256".
func (r *Repo) Format() string { return r.format }

// With returns the repository with more alternates.
func (r *Repo) With(alternates ...string) *Repo {
	s := *r
	s.alternates = slices.Concat(r.alternates, alternates)
	return &s
}

// Use returns the repository with another [Git], such as one with other
// configuration.
func (r *Repo) Use(g Git) *Repo {
	s := *r
	s.git = g
	return &s
}

// Unflushed returns the repository without waits for the disk: git waits for nothing
// (from 2.36 on), and no ref is flushed. It is for who makes all of it durable in one go
// before anything of it counts, and looks, after a power cut before that, whether what is
// there is whole: there may be a pack under its name with nothing in it.
func (r *Repo) Unflushed() *Repo {
	s := *r
	s.unflushed = true
	return &s
}

// Command prepares git on the repository, standing in it, in a process group of its
// own that is killed whole where ctx ends. Its output is the caller's.
func (r *Repo) Command(ctx context.Context, args ...string) *exec.Cmd {
	return r.CommandWith(ctx, nil, args...)
}

// CommandWith is [Repo.Command] with more configuration. What comes first in args is
// never from outside; what is comes after "--" or "--end-of-options".
func (r *Repo) CommandWith(ctx context.Context, config [][2]string, args ...string) *exec.Cmd {
	if r.unflushed {
		config = slices.Concat(config, [][2]string{{"core.fsync", "none"}})
	}
	return r.git.command(ctx, r.dir, r.dir, r.alternates, config, args)
}

// Promised reports whether blobs may be missing on purpose: a pack, here or in an
// alternate, came from a source that was told to leave some out. git marks such a pack
// by a file beside it.
func (r *Repo) Promised() bool {
	for _, objects := range slices.Concat([]string{filepath.Join(r.dir, "objects")}, r.alternates) {
		entries, _ := os.ReadDir(filepath.Join(objects, "pack"))
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), ".promisor") }) {
			return true
		}
	}
	return false
}

// Empty is the id of the tree without files, which every repository knows.
func (r *Repo) Empty() OID {
	if r.format == "sha256" {
		return "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
	}
	return "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
}
