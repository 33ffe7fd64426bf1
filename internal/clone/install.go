package clone

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// install brings packs and loose objects into the clone, by a second name where the file
// system can, else by a copy. The parts of a pack come in git's order: .idx last, since
// git sees a pack by it.
func (c *Clone) install(paths []string) error {
	touched := map[string]bool{}
	for _, p := range paths {
		names, dir, err := c.parts(p)
		if err != nil {
			return err
		}
		for _, from := range names {
			if err := c.bring(from, dir+"/"+filepath.Base(from)); err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(from), err)
			}
		}
		touched[dir] = true
	}
	if len(touched) == 0 {
		return nil
	}
	if c.common.later {
		return nil
	}
	folders := append(slices.Collect(maps.Keys(touched)), "objects")
	arriving := make(chan error, 1)
	c.arriving = arriving
	go func() { arriving <- c.common.settle(folders...) }()
	return nil
}

// parts names the files that come with a path, in order, and the folder they go to.
func (c *Clone) parts(p string) (names []string, dir string, err error) {
	base, kind := strings.TrimSuffix(p, filepath.Ext(p)), filepath.Ext(p)
	if kind == ".pack" {
		for _, ext := range []string{".pack", ".rev", ".promisor", ".idx"} {
			if _, err := os.Lstat(base + ext); err == nil || ext == ".pack" || ext == ".idx" {
				names = append(names, base+ext)
			}
		}
		return names, "objects/pack", nil
	}
	fan := filepath.Base(filepath.Dir(p))
	if len(fan) == 2 && c.valid(plumbing.OID(fan+filepath.Base(p))) {
		return []string{p}, "objects/" + fan, nil
	}
	return nil, "", fmt.Errorf("%s is neither a pack nor an object", p)
}

func (c *Clone) bring(from, to string) error {
	d := c.common
	if kind, ok, err := d.kind(to); err != nil || ok && kind == 0 {
		return err
	}
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errKind
	}
	if err := d.folder(path.Dir(to)); err != nil {
		return err
	}
	dir, err := d.root.Open(path.Dir(to))
	if err != nil {
		return err
	}
	defer dir.Close()
	d.about("link", to)
	err = link(from, dir, path.Base(to))
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	refused := []error{syscall.EXDEV, syscall.EPERM, syscall.EMLINK, syscall.ENOSYS, errors.ErrUnsupported, syscall.EACCES, syscall.EINVAL}
	if !slices.ContainsFunc(refused, func(e error) bool { return errors.Is(err, e) }) {
		return err
	}
	return d.copy(from, to)
}

// copy copies a file under a name that git's gc clears away, and renames it.
func (d *disk) copy(from, to string) error {
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	temporary := path.Dir(to) + "/tmp_obj_" + path.Base(to)
	if err := d.remove(temporary); err != nil {
		return err
	}
	d.about("copy", to)
	out, err := d.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	d.about("copied", to)
	if err == nil {
		err = out.Sync()
	}
	if e := out.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = d.rename(temporary, to)
	}
	if err != nil {
		d.root.Remove(temporary)
	}
	return err
}
