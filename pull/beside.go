package pull

import (
	"errors"
	"os"
	"sync"
)

// Tasks run beside what a pull does. Each is a wait for a disk, which takes several for
// the price of one.
type tasks struct {
	group sync.WaitGroup
	mu    sync.Mutex
	err   error
}

func (t *tasks) start(f func() error) {
	t.group.Go(func() {
		if err := f(); err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.err = errors.Join(t.err, err)
		}
	})
}

// sync makes what was written to a file, or the names in a folder, durable, and closes it.
func (t *tasks) sync(f *os.File) {
	t.start(func() error { return errors.Join(f.Sync(), f.Close()) })
}

// wait waits for all, and says what went wrong with any since the last wait.
func (t *tasks) wait() error {
	t.group.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.err
	t.err = nil
	return err
}
