package pull

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestCrashedAndDamaged: a pull is cut short while it changes files, and objects that
// the rest of it needs are damaged, as a power cut does both. The next pull goes on by
// what the files hold.
func TestCrashedAndDamaged(t *testing.T) {
	for how, hurt := range map[string]func(file string) error{
		"missing": os.Remove,
		"empty":   func(file string) error { os.Chmod(file, 0o600); return os.Truncate(file, 0) },
		"half":    func(file string) error { os.Chmod(file, 0o600); return os.Truncate(file, 100) },
	} {
		for _, at := range []string{"put a", "swap a", "swapped a", "put n/o", "delete gone", "delivered", "state", "clone", "journal gone"} {
			for _, git := range []string{"with .git", "without .git"} {
				t.Run(how+" "+at+" "+git, func(t *testing.T) {
					t.Parallel()
					d := newDesk(t)
					d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b", "gone": "g"})
					d.pull()
					d.write("a", long("9 mine"))
					d.write("b", "mine")
					d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs"), "gone": gittest.Deleted, "n/o": "n"})
					d.cut(at)
					packs, _ := filepath.Glob(filepath.Join(d.stateDir(), "repo.git/objects/pack/*.pack"))
					for _, pack := range packs {
						if err := hurt(pack); err != nil {
							t.Fatal(err)
						}
					}
					if git != "with .git" {
						d.remove(".git")
					}
					d.pull()
					d.src.Commit("main", "three", gittest.Files{"n/p": "p"})
					d.pull()
					got := d.files()
					if got["a"] != long("1 theirs", "9 mine") || got["b"] != "mine" || got["n/o"] != "n" || got["n/p"] != "p" || got["gone"] != "" {
						t.Errorf("%q", got)
					}
					d.noLeftovers()
					d.git("log", "-1", "--stat")
					if r := d.pull(); !r.Same {
						t.Errorf("pulled again: %+v", r)
					}
				})
			}
		}
	}
}

// cut ends a pull before a step, as a power cut does.
func (d *desk) cut(at string) {
	d.t.Helper()
	off := errors.New("off")
	reached := false
	d.p.step = func(what string) error {
		if reached = reached || what == at; reached {
			return off
		}
		return nil
	}
	if _, err := d.p.Pull(d.t.Context(), d.ask()); err == nil || !reached {
		d.t.Fatalf("the pull came through: %v", err)
	}
	d.p.step = nil
}

// TestEmptiedHead: what HEAD needs of the folder's repository is empty, as a power cut
// leaves it, and nothing new came. It is found where a pull looks anyway.
func TestEmptiedHead(t *testing.T) {
	for _, what := range []string{"HEAD", "HEAD^{tree}"} {
		for _, own := range []string{"", "own"} {
			t.Run(what+" "+own, func(t *testing.T) {
				d := newDesk(t)
				d.src.Commit("main", "one", gittest.Files{"a": "a"})
				d.pull()
				loosen(t, filepath.Join(d.folder, ".git"))
				if own != "" {
					d.write("mine", "mine")
					d.git("add", "-A")
					d.git("commit", "-qm", "mine")
				}
				want := d.files()
				file := d.object(what)
				os.Chmod(file, 0o600)
				if err := os.Truncate(file, 0); err != nil {
					t.Fatal(err)
				}
				r := d.pull()
				d.want(want)
				d.sound()
				d.git("status")
				if !strings.Contains(strings.Join(r.Notes, " "), "kept") {
					t.Errorf("%q", r.Notes)
				}
				if r := d.pull(); !r.Same {
					t.Errorf("pulled again: %+v", r)
				}
			})
		}
	}
}
