package pull

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/daypass-dev/daypass/internal/clone"
)

// Where an ask has a root, its folder is opened from there down, one folder after the
// other, and what is opened is what is written to: whoever puts a link into the path
// meanwhile gets nothing written where that leads.

// hold opens the root of an ask.
func (r *run) hold(root string) (err error) {
	if root == "" {
		return nil
	}
	if root, err = resolve(filepath.Clean(root)); err != nil {
		return tell(r.folder, err)
	}
	rel, err := filepath.Rel(root, r.folder)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return problemFolder(r.folder, "it is not below "+root)
	}
	r.rel = filepath.ToSlash(rel)
	r.root, err = openTree(root)
	return tell(r.folder, err)
}

// here opens the folder.
func (r *run) here() (*os.Root, error) {
	if r.root == nil {
		return os.OpenRoot(r.folder)
	}
	return r.below(r.rel, false)
}

// above opens the folder that the folder is in, and makes it where it is missing.
func (r *run) above(create bool) (*os.Root, error) {
	if r.root != nil {
		dir, _ := split(r.rel)
		return r.below(dir, create)
	}
	dir := filepath.Dir(r.folder)
	if create {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
	}
	return os.OpenRoot(dir)
}

func (r *run) below(rel string, create bool) (*os.Root, error) {
	r.root.forget()
	d, err := r.root.dir(rel, create)
	if errors.Is(err, errBlocked) {
		return nil, problemFolder(r.folder, "a part of it is a link to somewhere else, or no folder")
	}
	if err != nil {
		return nil, err
	}
	return d.OpenRoot(".")
}

func (r *run) openTree() (*tree, error) {
	root, err := r.here()
	if err != nil {
		return nil, err
	}
	return &tree{root: root}, nil
}

// openClone opens the folder's repository.
func (r *run) openClone() (*clone.Clone, error) {
	if r.root == nil {
		return clone.Open(r.folder)
	}
	d, err := r.here()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, clone.ErrNone
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return clone.OpenIn(d, r.folder)
}

// makeClone makes one.
func (r *run) makeClone(n clone.New) (*clone.Clone, error) {
	d, err := r.here()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return clone.BuildIn(d, r.folder, n)
}

// renameIn is renameat(2) from a folder to a name in it, or to an absolute path: unlike
// os.Root it puts a folder over an empty one.
func renameIn(d *os.Root, from, to string) error {
	f, err := d.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Renameat(int(f.Fd()), from, int(f.Fd()), to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// setAway moves something of a folder's repository out of the way: to our own files, or
// where that is another disk, beside it.
func setAway(t *tree, name, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	d, base, err := t.parent(name, false)
	if err != nil {
		return err
	}
	if renameIn(d, base, to) == nil {
		return nil
	}
	return renameIn(d, base, base+"_"+filepath.Base(to))
}
