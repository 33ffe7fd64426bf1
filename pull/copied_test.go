package pull

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestOneStore pulls into two folders at once that have one state: one was renamed,
// and then copied.
func TestOneStore(t *testing.T) {
	d := newDesk(t)
	d.p.Patience = 30 * time.Second
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	moved, copied := filepath.Join(d.home, "moved"), filepath.Join(d.home, "copied")
	for _, args := range [][]string{{"mv", d.folder, moved}, {"cp", "-a", moved, copied}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	d.src.Commit("main", "two", gittest.Files{"a": "a2"})
	inside, most := 0, 0
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, folder := range []string{moved, copied} {
		p := *d.p
		began := false
		p.step = func(what string) error {
			mu.Lock()
			defer mu.Unlock()
			if !began {
				began = true
				inside++
				most = max(most, inside)
			}
			if what == "journal gone" {
				inside--
			}
			return nil
		}
		a := d.ask()
		a.Folder = folder
		group.Go(func() {
			if _, err := p.Pull(t.Context(), a); err != nil {
				t.Errorf("%s: %v", folder, err)
			}
		})
	}
	group.Wait()
	if most != 1 {
		t.Errorf("%d pulls were in one state at once", most)
	}
	for _, folder := range []string{moved, copied} {
		if got := filesIn(t, folder); got["a"] != "a2" {
			t.Errorf("%s: %q", folder, got)
		}
	}
}
