package pull

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestRootsRepository pulls from a folder of root's, and is cut off: nothing is left
// where everybody's files are, and one file at most in our own folder.
func TestRootsRepository(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has repositories of root's")
	}
	d := newDesk(t)
	shared := t.TempDir()
	t.Setenv("TMPDIR", shared)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	off := errors.New("off")
	for n := range 6 {
		left := n
		d.p.step = func(string) error {
			if left--; left == 0 {
				return off
			}
			return nil
		}
		d.p.Pull(t.Context(), d.ask())
		if found, _ := filepath.Glob(filepath.Join(shared, "*")); len(found) > 0 {
			t.Fatalf("%q", found)
		}
	}
	d.p.step = nil
	d.src.Commit("main", "two", gittest.Files{"a": "a2"})
	a := d.ask()
	a.Events = func(e Event) { // a pull may be killed at any of them
		if found, _ := filepath.Glob(filepath.Join(shared, "daypass-*")); len(found) > 0 {
			t.Errorf("%s: %q", e.Phase, found)
		}
	}
	if _, err := d.p.Pull(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if found, err := os.ReadDir(filepath.Join(d.p.Home, "safe")); err != nil || len(found) != 1 {
		t.Errorf("%v %v", found, err)
	}
}
