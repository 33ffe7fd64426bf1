package clone

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	// patient is how long a lock of git's is waited for: git holds those of refs for
	// moments.
	patient = time.Second
	// forgotten is the age from which a lock counts as left behind, where nobody can be
	// seen who works here.
	forgotten = time.Minute
	// mark is what our index.lock holds. git looks only whether it is there; we look
	// whether whoever wrote it still holds it (flock, which ends with the process, in
	// whatever container it ran).
	mark = "daypass works here\n"
)

// Stale reports whether nobody works behind the lock any more, so that Update and
// EndUnfinished take it over.
func (l Lock) Stale() bool {
	switch {
	case l.Alive:
		return false
	case l.Ours && l.Known:
		return true
	}
	return l.Age >= forgotten
}

// Locked tells of an index.lock.
func (c *Clone) Locked() (Lock, bool) {
	l, f, err := c.look(c.git, "index.lock")
	if f != nil {
		f.Close()
	}
	return l, !missing(err)
}

// look opens a lock, and finds out about it. Nobody else can take it over while it is
// open: of one that is ours and that nobody holds, we hold it now.
func (c *Clone) look(d *disk, name string) (Lock, *os.File, error) {
	l := Lock{Path: d.full(name)}
	info, err := d.root.Lstat(name)
	if err != nil {
		return l, nil, err
	}
	l.Age = c.now().Sub(info.ModTime())
	if !info.Mode().IsRegular() {
		return l, nil, errKind
	}
	f, err := d.root.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		if !missing(err) {
			l.Alive, l.Known = working(c.folder, l.Path)
		}
		return l, nil, err
	}
	text := make([]byte, len(mark)+1)
	n, _ := io.ReadFull(f, text)
	if l.Ours = string(text[:n]) == mark; l.Ours {
		l.Alive, l.Known = held(f)
	} else {
		l.Alive, l.Known = working(c.folder, l.Path)
	}
	return l, f, nil
}

// hold takes index.lock, as git does for all that changes the index or HEAD, and returns
// how to give it back.
func (c *Clone) hold() (func(), error) {
	const name = "index.lock"
	for range 20 {
		f, err := c.makeMark(name)
		if errors.Is(err, fs.ErrExist) {
			if !c.takeOver(c.git, name, nil) {
				return nil, lockedBy(c.git.full(name))
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		return func() {
			c.ended = time.Time{}
			c.git.about("remove", name)
			c.git.root.Remove(name)
			f.Close()
		}, nil
	}
	return nil, lockedBy(c.git.full(name))
}

// makeMark makes a lock that is marked and held from its first moment: under another name
// first, where there are hard links.
func (c *Clone) makeMark(name string) (*os.File, error) {
	making := name + ".daypass-" + rand.Text()[:8]
	c.git.about("create", making)
	f, err := c.markAt(making)
	if err != nil {
		return nil, err
	}
	c.git.about("link", name)
	err = c.git.root.Link(making, name)
	c.git.about("remove", making)
	c.git.root.Remove(making)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return c.markAt(name)
}

func (c *Clone) markAt(name string) (*os.File, error) {
	f, err := c.git.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	keep(f)
	if _, err := f.WriteString(mark); err != nil {
		return nil, errors.Join(err, f.Close(), c.git.root.Remove(name))
	}
	return f, nil
}

// takeOver takes a lock away that nobody holds any more, and reports whether it is gone.
// What was to be written stands in data: a lock that holds just that, or nothing, was made
// by the daypass whose index.lock was taken over before.
func (c *Clone) takeOver(d *disk, name string, data []byte) bool {
	l, f, err := c.look(d, name)
	if f != nil {
		defer f.Close()
	}
	if err != nil {
		return missing(err) // given back meanwhile
	}
	info, err := f.Stat()
	if err != nil || !l.Stale() && !c.leftByUs(l, info, f, data) {
		return false
	}
	now, err := d.root.Lstat(name)
	if err != nil || !os.SameFile(info, now) {
		return true // another took it over: look again
	}
	if l.Ours {
		c.ended = info.ModTime().Add(-time.Second)
	}
	d.about("remove", name)
	return d.root.Remove(name) == nil
}

func (c *Clone) leftByUs(l Lock, info fs.FileInfo, f *os.File, data []byte) bool {
	if c.ended.IsZero() || l.Alive || data == nil || info.ModTime().Before(c.ended) || info.Size() > int64(len(data)) {
		return false
	}
	text := make([]byte, info.Size())
	if _, err := f.ReadAt(text, 0); err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	return bytes.HasPrefix(data, text)
}

// lock makes name.lock with what name is to hold, waits where another holds it, and
// returns how to put it in place, and how to give up.
func (c *Clone) lock(d *disk, name string, data []byte) (commit func() error, drop func(), err error) {
	at := name + ".lock"
	for waited := time.Duration(0); ; waited += 50 * time.Millisecond {
		err = d.create(at, data)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, nil, err
		}
		if c.takeOver(d, at, data) {
			continue
		}
		if waited >= c.patience {
			return nil, nil, lockedBy(d.full(at))
		}
		time.Sleep(50 * time.Millisecond)
	}
	gone := false
	drop = func() {
		if !gone {
			gone = true
			d.about("remove", at)
			d.root.Remove(at)
		}
	}
	commit = func() error {
		err := d.flush(at, name)
		if err == nil {
			err = d.rename(at, name)
		}
		if err != nil && c.prune(d, name) { // a folder, empty since its refs are packed or gone
			err = d.rename(at, name)
		}
		if err != nil {
			drop()
			return err
		}
		gone = true
		return nil
	}
	return commit, drop, nil
}

// prune takes away a folder that holds nothing but empty folders, and reports whether it
// did.
func (c *Clone) prune(d *disk, name string) bool {
	kind, ok, err := d.kind(name)
	if err != nil || !ok || kind != fs.ModeDir {
		return false
	}
	entries, err := d.list(name)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !c.prune(d, name+"/"+e.Name()) {
			return false
		}
	}
	d.about("remove", name)
	return d.root.Remove(name) == nil
}

// inside reports whether p is dir, or below it.
func inside(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimRight(dir, "/")+"/")
}
