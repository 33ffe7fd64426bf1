package pull

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// A tree is a folder on the disk, whose folders are opened one by one from the
// top: no symbolic link on the way is ever followed, whoever made it and when.
// The folders down to the one used last stay open. Not for several goroutines.
type tree struct {
	root  *os.Root
	names []string
	open  []*os.Root
	plain bool // this disk has no executable bit
	perms dirs // of folders that are made anew; others get what any new one has
}

// errBlocked is what a path below something that is no folder gives.
var errBlocked = fmt.Errorf("not a folder: %w", fs.ErrNotExist)

func openTree(folder string) (*tree, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &tree{root: root}, nil
}

// close closes all that is open.
func (t *tree) close() {
	t.forget()
	t.root.Close()
}

// forget closes the folders below the top: after one was moved or removed.
func (t *tree) forget() { t.pop(0) }

func (t *tree) pop(n int) {
	for len(t.names) > n {
		last := len(t.names) - 1
		t.open[last].Close()
		t.names, t.open = t.names[:last], t.open[:last]
	}
}

// dir opens a folder ("" is the top); with create it makes those that miss.
func (t *tree) dir(name string, create bool) (*os.Root, error) {
	var parts []string
	if name != "" && name != "." {
		parts = strings.Split(name, "/")
	}
	same := 0
	for same < len(parts) && same < len(t.names) && parts[same] == t.names[same] {
		same++
	}
	t.pop(same)
	for _, part := range parts[same:] {
		perm := fs.FileMode(0o777)
		if p, ok := t.perms[strings.Join(append(slices.Clone(t.names), part), "/")]; ok && create {
			perm = fs.FileMode(p)
		}
		d, err := enter(t.top(), part, create, perm)
		if err != nil {
			return nil, err
		}
		t.names, t.open = append(t.names, part), append(t.open, d)
	}
	return t.top(), nil
}

func (t *tree) top() *os.Root {
	if len(t.open) == 0 {
		return t.root
	}
	return t.open[len(t.open)-1]
}

// enter opens one folder of another, which must be a folder itself and no link.
func enter(parent *os.Root, name string, create bool, perm fs.FileMode) (*os.Root, error) {
	if !plainName(name) {
		return nil, errBlocked
	}
	fi, err := parent.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err = parent.Mkdir(name, perm); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		fi, err = parent.Lstat(name)
	}
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, errBlocked
	}
	d, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	now, err := d.Stat(".")
	if err != nil || !os.SameFile(fi, now) {
		d.Close()
		return nil, errBlocked
	}
	return d, nil
}

// plainName reports whether a component is one, and not a way elsewhere.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

func split(name string) (dir, base string) {
	dir, base = path.Split(name)
	return strings.TrimSuffix(dir, "/"), base
}

// parent opens the folder of a path, and returns the path's last component.
func (t *tree) parent(name string, create bool) (*os.Root, string, error) {
	dir, base := split(name)
	if !plainName(base) {
		return nil, "", errBlocked
	}
	d, err := t.dir(dir, create)
	return d, base, err
}

// lstat looks at a path; fs.ErrNotExist where a folder on the way is none.
func (t *tree) lstat(name string) (fs.FileInfo, error) {
	d, base, err := t.parent(name, false)
	if err != nil {
		return nil, err
	}
	return d.Lstat(base)
}

// kind says what stands at a path, as merge.Input.Prefix wants it.
func (t *tree) kind(name string) string {
	fi, err := t.lstat(name)
	if err != nil {
		return ""
	}
	switch {
	case fi.Mode().IsRegular():
		return "file"
	case fi.IsDir():
		return "dir"
	case fi.Mode()&fs.ModeSymlink != 0:
		return "link"
	}
	return "other"
}

// mode is git's for a file; 0 for what is no file of git's.
func (t *tree) mode(fi fs.FileInfo) uint32 {
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		return merge.Symlink
	case !fi.Mode().IsRegular():
		return 0
	case fi.Mode()&0o100 != 0 && !t.plain:
		return merge.Executable
	}
	return merge.Regular
}

// errMoving means that a file was written to while it was read.
var errMoving = errors.New("it changes while it is read")

// hash reads what stands at a path. The zero Entry: no file and no link.
func (t *tree) hash(name, format string) (merge.Entry, fs.FileInfo, error) {
	for range 5 {
		e, fi, err := t.hashOnce(name, format)
		if !errors.Is(err, errMoving) {
			return e, fi, err
		}
	}
	return merge.Entry{}, nil, fmt.Errorf("%s: %w", name, errMoving)
}

func (t *tree) hashOnce(name, format string) (merge.Entry, fs.FileInfo, error) {
	r, fi, err := t.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return merge.Entry{}, nil, nil
	}
	if err != nil {
		return merge.Entry{}, nil, err
	}
	if r == nil {
		return merge.Entry{}, fi, nil
	}
	defer r.Close()
	oid, err := plumbing.HashBlob(format, fi.Size(), io.LimitReader(r, fi.Size()))
	if err != nil {
		return merge.Entry{}, nil, errMoving
	}
	if now, err := t.lstat(name); err != nil || !plumbing.StatOf(fi).Same(now) {
		return merge.Entry{}, nil, errMoving
	}
	return merge.Entry{Mode: t.mode(fi), OID: string(oid)}, fi, nil
}

// read opens a file, or what a link says; nil for what is neither.
func (t *tree) read(name string) (io.ReadCloser, fs.FileInfo, error) {
	d, base, err := t.parent(name, false)
	if err != nil {
		return nil, nil, err
	}
	fi, err := d.Lstat(base)
	if err != nil {
		return nil, nil, err
	}
	switch t.mode(fi) {
	case merge.Symlink:
		to, err := d.Readlink(base)
		return io.NopCloser(strings.NewReader(to)), fi, err
	case 0:
		return nil, fi, nil
	}
	// A pipe put here meanwhile must not be waited for.
	f, err := d.OpenFile(base, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	now, err := f.Stat()
	if err != nil || !os.SameFile(fi, now) {
		f.Close()
		return nil, nil, errMoving
	}
	return f, now, nil
}

// readAll reads a whole file.
func (t *tree) readAll(name string) ([]byte, error) {
	r, _, err := t.read(name)
	if err != nil || r == nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// prune removes the folders of a path that are empty now, from below.
func (t *tree) prune(name string) {
	for dir, _ := split(name); dir != ""; dir, _ = split(dir) {
		d, base, err := t.parent(dir, false)
		if err != nil {
			return
		}
		if fi, err := d.Lstat(base); err != nil || !fi.IsDir() || d.Remove(base) != nil {
			return
		}
	}
}

// under lists what stands beneath a folder: files, links, others, and folders
// that are empty.
func (t *tree) under(dir string) []string {
	var out []string
	for work := []string{dir}; len(work) > 0; {
		at := work[len(work)-1]
		work = work[:len(work)-1]
		entries, err := t.list(at)
		if err != nil {
			continue
		}
		if len(entries) == 0 && at != "" {
			out = append(out, at)
		}
		for _, e := range entries {
			if p := path.Join(at, e.Name()); e.IsDir() {
				work = append(work, p)
			} else {
				out = append(out, p)
			}
		}
	}
	return out
}

func (t *tree) list(dir string) ([]fs.DirEntry, error) {
	d, err := t.dir(dir, false)
	if err != nil {
		return nil, err
	}
	f, err := d.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// missing returns those of the files, sorted by path, that are not there, or are
// something else there; it reads folders only, never a file.
func (t *tree) missing(files []string) []string {
	var out []string
	for i := 0; i < len(files); {
		dir, _ := split(files[i])
		have := map[string]fs.FileMode{}
		if entries, err := t.list(dir); err == nil {
			for _, e := range entries {
				have[e.Name()] = e.Type()
			}
		}
		for ; i < len(files); i++ {
			at, base := split(files[i])
			if at != dir {
				break
			}
			if mode, ok := have[base]; !ok || mode&^fs.ModeSymlink != 0 {
				out = append(out, files[i])
			}
		}
	}
	return out
}
