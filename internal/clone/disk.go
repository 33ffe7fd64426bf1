package clone

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// A disk is a folder out of which no symbolic link leads: all that is read and written
// of a .git goes through here. Names have slashes, and are relative to it.
type disk struct {
	root *os.Root
	path string // absolute
	// step, where it is set, is told of each change before it is made. Tests stop here.
	step func(what, name string)
	// later: somebody calls settle at the end, before anything counts.
	later bool
}

// maxFile bounds what is read into memory of one file of a .git, but for the index.
const maxFile = 64 << 20

// errKind says that something stands there that is not what git would have made.
var errKind = errors.New("not a plain file")

func openDisk(dir string, step func(string, string)) (*disk, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &disk{root: root, path: dir, step: step}, nil
}

// openIn opens a folder of one that is open.
func openIn(root *os.Root, name, path string, step func(string, string)) (*disk, error) {
	in, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &disk{root: in, path: path, step: step}, nil
}

func (d *disk) about(what, name string) {
	if d.step != nil {
		d.step(what, name)
	}
}

// kind returns the type bits of what stands at name, without following a link, and
// whether anything does.
func (d *disk) kind(name string) (fs.FileMode, bool, error) {
	info, err := d.root.Lstat(name)
	if missing(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return info.Mode().Type(), true, nil
}

// missing reports whether an error says that nothing is there: no such name, or a file
// where a folder is meant.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// read returns a plain file's content; fs.ErrNotExist where there is none. It waits at no
// pipe.
func (d *disk) read(name string, limit int64) ([]byte, error) {
	kind, ok, err := d.kind(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: d.full(name), Err: fs.ErrNotExist}
	}
	if kind != 0 {
		return nil, &fs.PathError{Op: "read", Path: d.full(name), Err: errKind}
	}
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: d.full(name), Err: fmt.Errorf("larger than %d bytes", limit)}
	}
	return data, err
}

func (d *disk) full(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

// create makes a new file, and the folders that lead to it; fs.ErrExist where there is
// one. See flush.
func (d *disk) create(name string, data []byte) error {
	if err := d.folder(path.Dir(name)); err != nil {
		return err
	}
	d.about("create", name)
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	d.about("written", name)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		d.root.Remove(name)
	}
	return err
}

// replace puts a whole file in name's place at once.
func (d *disk) replace(name, temporary string, data []byte) error {
	if err := d.remove(temporary); err != nil {
		return err
	}
	if err := d.create(temporary, data); err != nil {
		return err
	}
	err := d.flush(temporary, name)
	if err == nil {
		err = d.rename(temporary, name)
	}
	if err != nil {
		d.root.Remove(temporary)
	}
	return err
}

// flush sees to it that a file's content is on the disk before its name is, unless what it
// is to replace heals by itself: the next pull writes the remote's branches whatever they
// hold, and git only warns of a broken one.
func (d *disk) flush(file, name string) error {
	if d.later || heals(name) {
		return nil
	}
	return d.sync(file)
}

// heals reports whether it is no harm when a power cut spoils a file.
func heals(name string) bool { return name == "ORIG_HEAD" || strings.HasPrefix(name, "refs/remotes/") }

// settle sees to it that all these are on the disk, at once: file systems write several
// for the price of one.
func (d *disk) settle(names ...string) error {
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			if err := d.sync(name); !missing(err) {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (d *disk) rename(from, to string) error {
	d.about("rename", to)
	return d.root.Rename(from, to)
}

// append adds a line to a file with one write, and makes it where make says so.
func (d *disk) append(name string, line []byte, create bool) error {
	flag := os.O_WRONLY | os.O_APPEND | syscall.O_NONBLOCK
	if create {
		flag |= os.O_CREATE
		if err := d.folder(path.Dir(name)); err != nil {
			return err
		}
	}
	if kind, ok, err := d.kind(name); err != nil || ok && kind != 0 || !ok && !create {
		return err
	}
	d.about("append", name)
	f, err := d.root.OpenFile(name, flag, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// folder makes a folder and those above it.
func (d *disk) folder(name string) error {
	if _, ok, err := d.kind(name); ok || err != nil {
		return err
	}
	d.about("mkdir", name)
	return d.root.MkdirAll(name, 0o777)
}

// remove takes a file away, if it is there.
func (d *disk) remove(name string) error {
	if _, ok, err := d.kind(name); !ok || err != nil {
		return err
	}
	d.about("remove", name)
	if err := d.root.Remove(name); err != nil && !missing(err) {
		return err
	}
	return nil
}

// sync sees to it that a file's content, or a folder's names, are on the disk. File systems that cannot say
// (some network ones) are believed.
func (d *disk) sync(name string) error {
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// list returns the names in a folder; none where there is no folder.
func (d *disk) list(name string) ([]fs.DirEntry, error) {
	f, err := d.root.Open(name)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}
