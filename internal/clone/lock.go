package clone

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

const (
	// patience is how long a lock of git's is waited for: git holds those of refs for
	// moments.
	patience = time.Second
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
func (c *Clone) Locked() (Lock, bool) { return c.lockAt(c.git, "index.lock") }

func (c *Clone) lockAt(d *disk, name string) (Lock, bool) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return Lock{}, false
	}
	l := Lock{Path: d.full(name), Age: c.now().Sub(info.ModTime())}
	if text, err := d.read(name, int64(len(mark))); err == nil && string(text) == mark {
		l.Ours = true
		if f, err := d.root.OpenFile(name, os.O_RDWR, 0); err == nil {
			held, known := held(f)
			f.Close()
			l.Alive, l.Known = held, known
			return l, true
		}
	}
	l.Alive, l.Known = working(c.folder, l.Path)
	return l, true
}

// hold takes index.lock, as git does for all that changes the index or HEAD, and returns
// how to give it back.
func (c *Clone) hold() (func(), error) {
	const name = "index.lock"
	for range 3 {
		c.git.about("create", name)
		f, err := c.git.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			if !c.takeOver(c.git, name) {
				return nil, lockedBy(c.git.full(name))
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		c.git.about("written", name)
		keep(f) // before the mark: who reads the mark may ask who holds it
		if _, err := f.WriteString(mark); err != nil {
			f.Close()
			c.git.root.Remove(name)
			return nil, err
		}
		return func() {
			c.git.about("remove", name)
			c.git.root.Remove(name)
			f.Close()
		}, nil
	}
	return nil, lockedBy(c.git.full(name))
}

// takeOver takes a lock away that nobody holds any more, and reports whether it did. It is
// renamed first, so that of two who try one succeeds.
func (c *Clone) takeOver(d *disk, name string) bool {
	l, ok := c.lockAt(d, name)
	if !ok {
		return true // given back meanwhile
	}
	info, err := d.root.Lstat(name)
	if err != nil {
		return missing(err)
	}
	after := !c.ended.IsZero() && !info.ModTime().Before(c.ended) && !l.Alive
	if !l.Stale() && !after {
		return false
	}
	aside := name + ".left"
	if err := d.rename(name, aside); err != nil {
		return missing(err)
	}
	got, err := d.root.Lstat(aside)
	if err == nil && !os.SameFile(info, got) { // another took it over, and works now
		d.root.Link(aside, name)
		d.root.Remove(aside)
		return false
	}
	if l.Ours {
		c.ended = info.ModTime().Add(-time.Second)
	}
	d.root.Remove(aside)
	return true
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
		if c.takeOver(d, at) {
			continue
		}
		if waited >= patience {
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
		err := d.rename(at, name)
		if err != nil && c.prune(d, name) { // a folder, empty since its refs are packed or gone
			err = d.rename(at, name)
		}
		if err != nil {
			drop()
			return err
		}
		gone = true
		return d.sync(path.Dir(name))
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
