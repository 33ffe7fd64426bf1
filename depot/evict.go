package depot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// grace is for how long what somebody asked for is not evicted for its size: another
// process may be giving it out.
const grace = time.Hour

// ownGrace is the same for what was read as a person, which nobody else will ask for: a
// class that reads a Canvas course has as many snapshots as people.
const ownGrace = 3 * time.Minute

// Evict takes away what nobody asked for in a long time, and, where all together is
// larger than it may be, what was asked for longest ago. What is in use stays. Call it
// now and then.
func (d *Depot) Evict(ctx context.Context) (freed int64, err error) {
	all, total, err := d.list()
	if err != nil {
		return 0, err
	}
	now := d.c.Now()
	for _, e := range all {
		idle := now.Sub(e.used)
		old, large := idle > d.l.Age, total > d.l.Size && idle > ownGrace
		if !old && (!large || idle <= grace && !d.personal(e.name)) {
			continue
		}
		if ctx.Err() != nil {
			return freed, context.Cause(ctx)
		}
		gone, err := d.evict(e.name)
		if err != nil {
			return freed, err
		}
		if gone {
			freed, total = freed+e.size, total-e.size
			d.log.Info("a snapshot was evicted", "folder", e.name, "bytes", e.size, "idle", idle.Round(time.Second))
		}
	}
	d.kept.Store(total)
	d.counted.Store(now.UnixNano())
	return freed, nil
}

// personal reports whether a folder was read as a person.
func (d *Depot) personal(name string) bool {
	s := slot{dir: filepath.Join(d.c.Dir, name)}
	st := s.load()
	return st != nil && strings.HasPrefix(st.As, "person:")
}

// Forget takes away all that was read as somebody, such as "person:7" who was erased.
// What is in use goes when it is not: false, then call it again.
func (d *Depot) Forget(ctx context.Context, as string) (done bool, err error) {
	all, _, err := d.list()
	if err != nil {
		return false, err
	}
	done = true
	for _, e := range all {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		s := slot{dir: filepath.Join(d.c.Dir, e.name)}
		if st := s.load(); st == nil || st.As != as {
			continue
		}
		gone, err := d.evict(e.name)
		if err != nil {
			return false, err
		}
		done = done && gone
	}
	return done, nil
}

// Readers are the identities that what is kept was read as, each once.
func (d *Depot) Readers() ([]string, error) {
	folders, err := os.ReadDir(d.c.Dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range folders {
		s := slot{dir: filepath.Join(d.c.Dir, f.Name())}
		if len(f.Name()) != 64 {
			continue
		}
		if st := s.load(); st != nil && !slices.Contains(out, st.As) {
			out = append(out, st.As)
		}
	}
	return out, nil
}

// An entry is one key's folder.
type entry struct {
	name string
	size int64
	used time.Time
}

// list returns all folders, those that were used longest ago first. What is left of
// earlier evictions is taken away.
func (d *Depot) list() ([]entry, int64, error) {
	folders, err := os.ReadDir(d.c.Dir)
	if err != nil {
		return nil, 0, err
	}
	var out []entry
	var total int64
	for _, f := range folders {
		path := filepath.Join(d.c.Dir, f.Name())
		if strings.HasPrefix(f.Name(), ".gone-") {
			os.RemoveAll(path)
			continue
		}
		if len(f.Name()) != 64 || !f.IsDir() {
			continue
		}
		e := entry{name: f.Name()}
		if fi, err := os.Stat(filepath.Join(path, "used")); err == nil {
			e.used = fi.ModTime()
		} else if fi, err := f.Info(); err == nil {
			e.used = fi.ModTime()
		}
		e.size = sizeOf(path)
		total += e.size
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b entry) int { return a.used.Compare(b.used) })
	return out, total, nil
}

func sizeOf(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went away meanwhile
		}
		if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() {
			n += fi.Size()
		}
		return nil
	})
	return n
}

// evict takes a folder away that nobody has in use. It is out of everybody's sight at
// once; who still reads a file of it goes on.
func (d *Depot) evict(name string) (bool, error) {
	gone := filepath.Join(d.c.Dir, ".gone-"+word())
	if ok, err := d.aside(name, gone); !ok || err != nil {
		return false, err
	}
	return true, os.RemoveAll(gone)
}

func (d *Depot) aside(name, gone string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.slots[name]; s != nil && s.users > 0 {
		return false, nil
	}
	delete(d.slots, name)
	path := filepath.Join(d.c.Dir, name)
	lock, err := openLock(path)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, os.Rename(path, gone)
}

// Size is how much the depot has on the disk, and in how many snapshots.
func (d *Depot) Size() (bytes int64, snapshots int, err error) {
	all, total, err := d.list()
	return total, len(all), err
}
