package depot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass/internal/pause"
)

// How long a lease holds without being prolonged, and how often who waits asks.
const (
	leaseFor = 30 * time.Second
	askEvery = 200 * time.Millisecond
)

// A hold is the right to write to one key's folder.
type hold struct {
	ctx  context.Context // ends where the hold is lost
	file *os.File
	end  func()
}

// lock waits for the right to write to a folder: among the processes of this machine by
// a file's lock, which the kernel gives up with its holder; among machines by a lease,
// which ends when nobody prolongs it.
func (d *Depot) lock(ctx context.Context, dir string) (*hold, error) {
	file, err := lockFile(ctx, dir)
	if err != nil {
		return nil, err
	}
	if d.c.Leases.Take == nil {
		return &hold{ctx: ctx, file: file, end: func() {}}, nil
	}
	name, owner := "snapshot "+filepath.Base(dir), word()
	for {
		ok, err := d.c.Leases.Take(ctx, name, owner, leaseFor)
		if err != nil {
			file.Close()
			return nil, err
		}
		if ok {
			break
		}
		if !pause.For(ctx, askEvery) {
			file.Close()
			return nil, context.Cause(ctx)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.prolong(ctx, cancel, name, owner, leaseFor)
	}()
	return &hold{ctx: ctx, file: file, end: func() {
		cancel(nil)
		<-done
		drop, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer stop()
		if err := d.c.Leases.Drop(drop, name, owner); err != nil {
			d.log.Warn("a lease was not given back; it ends by itself", "error", err)
		}
	}}, nil
}

var errLost = errors.New("the lease was lost")

// prolong keeps a lease. One that cannot be prolonged in time ends the work.
func (d *Depot) prolong(ctx context.Context, cancel context.CancelCauseFunc, name, owner string, lasts time.Duration) {
	until := time.Now().Add(lasts)
	for {
		if !pause.For(ctx, lasts/4) {
			return
		}
		began := time.Now()
		ok, err := d.c.Leases.Take(ctx, name, owner, lasts)
		switch {
		case err == nil && ok:
			until = began.Add(lasts)
		case err == nil, time.Now().After(until.Add(-lasts / 4)):
			cancel(errLost)
			return
		}
	}
}

func (h *hold) release() {
	h.end()
	h.file.Close()
}

// lockFile makes the folder and locks the file in it. Where the folder went away
// meanwhile, it begins again.
func lockFile(ctx context.Context, dir string) (*os.File, error) {
	for {
		f, err := openLock(dir)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil && stillThere(f, dir):
			return f, nil
		case err == nil: // its folder was evicted
		case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
			if !pause.For(ctx, askEvery/4) {
				f.Close()
				return nil, context.Cause(ctx)
			}
		default:
			f.Close()
			return nil, err
		}
		f.Close()
	}
}

func openLock(dir string) (*os.File, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
}

func stillThere(f *os.File, dir string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(filepath.Join(dir, "lock"))
	return err == nil && os.SameFile(a, b)
}
