package drive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Keep shares the pace with this user's other processes on this machine, by a file in a
// folder that is this user's alone and is made where it is not there. account says whose
// quota it is. What the file holds can make one wait for a minute or two, and nothing else: each process
// keeps its own pace besides, and where the file cannot be used, that alone.
func (p *Pace) Keep(dir, account string) {
	sum := sha256.Sum256([]byte(account))
	p.book = &book{filepath.Join(dir, "drive-"+hex.EncodeToString(sum[:8])), p.now}
}

// A book is a file with what several processes have spent.
type book struct {
	path string
	now  func() time.Time
}

// A record is all that stands in it.
type record struct {
	Spent []spending `json:"spent"`
	Until time.Time  `json:"until"` // nothing before this
}

const (
	maxBook   = 64 << 10
	maxPause  = 2 * time.Minute // that one process asks of others
	bookTries = 200
)

// take is as [Pace.take], by what stands in the book.
func (b *book) take(units, most int) (wait time.Duration) {
	b.change(func(p *record, now time.Time) bool {
		if wait = p.Until.Sub(now); wait <= 0 {
			wait = waitFor(p.Spent, now, units, most)
		}
		if wait > 0 {
			return false
		}
		p.Spent = noted(p.Spent, now, units)
		return true
	})
	return max(wait, 0)
}

func (b *book) slow(d time.Duration) {
	b.change(func(p *record, now time.Time) bool {
		until := now.Add(min(d, maxPause))
		if !until.After(p.Until) {
			return false
		}
		p.Until = until
		return true
	})
}

// change reads the book and writes it anew, where f says so. Where that fails the
// process is by itself.
func (b *book) change(f func(p *record, now time.Time) bool) {
	file, err := b.open()
	if err != nil {
		return
	}
	defer file.Close() // which gives the lock back
	text, err := io.ReadAll(io.LimitReader(file, maxBook))
	if err != nil {
		return
	}
	now := b.now() // others have written while this one waited for the lock
	p := read(text, now)
	if !f(&p, now) {
		return
	}
	if text, err = json.Marshal(p); err == nil && len(text) <= maxBook && file.Truncate(0) == nil {
		_, _ = file.WriteAt(text, 0) // a part of it is read as nothing
	}
}

// read leaves out what no process of ours would have written, or is long past.
func read(text []byte, now time.Time) record {
	var p record
	if json.Unmarshal(text, &p) != nil {
		return record{}
	}
	p.Spent = slices.DeleteFunc(p.Spent, func(s spending) bool {
		return s.Units <= 0 || s.Units > UserUnits || s.At.After(now) || now.Sub(s.At) >= window
	})
	if p.Until.After(now.Add(maxPause)) {
		p.Until = time.Time{}
	}
	slices.SortFunc(p.Spent, func(a, b spending) int { return a.At.Compare(b.At) })
	return p
}

var errNotOurs = errors.New("drive: a file or folder that is not this user's alone")

// open opens the book and locks it.
func (b *book) open() (*os.File, error) {
	dir := filepath.Dir(b.path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || !ours(info) {
		return nil, errNotOurs
	}
	f, err := os.OpenFile(b.path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || !ours(info) {
		f.Close()
		return nil, errNotOurs
	}
	for try := 1; ; try++ {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return f, nil
		}
		if try == bookTries {
			f.Close()
			return nil, err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ours reports whether something belongs to this user, and nobody else may use it.
func ours(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}
