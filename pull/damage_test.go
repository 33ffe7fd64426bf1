package pull

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// damages is what a disk, a sync program or a newer version makes of a file of ours.
func damages() map[string]func(file string) {
	write := func(data string) func(string) {
		return func(file string) { os.WriteFile(file, []byte(data), 0o600) }
	}
	return map[string]func(string){
		"missing": func(file string) { os.Remove(file) },
		"empty":   write(""),
		"garbage": write("\x00\xff garbage {{{"),
		"newer":   write(`{"version":9,"folder":"/elsewhere","id":7,"ops":"other","goal":[],"more":{"x":[1,2]}}`),
		"array":   write("[]"),
		"truncated": func(file string) {
			data, _ := os.ReadFile(file)
			os.WriteFile(file, data[:len(data)/2], 0o600)
		},
		"flipped": func(file string) {
			data, _ := os.ReadFile(file)
			if len(data) > 30 {
				data[len(data)/2] ^= 0xff
			}
			os.WriteFile(file, data, 0o600)
		},
	}
}

// TestDamage damages each file that is kept of a folder: the next pull brings what
// it would have brought, nothing of the user's is lost, and backups stay in reach.
func TestDamage(t *testing.T) {
	for _, name := range []string{"state.json", "delivered", "last.json", "backups/*.json", "backups/*.delivered", "../folders/*"} {
		for how, damage := range damages() {
			for _, git := range []string{"", " without .git"} {
				t.Run(name+" "+how+git, func(t *testing.T) {
					t.Parallel()
					d := newDesk(t)
					d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b", "gone": "g"})
					d.pull()
					d.write("a", long("9 mine"))
					d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs", "9 theirs"), "b": "b2"})
					d.pull()
					d.write("mine", "mine")
					d.src.Commit("main", "three", gittest.Files{"b": "b3", "gone": gittest.Deleted, "n": "n"})
					if git != "" {
						d.remove(".git")
					}
					found, _ := filepath.Glob(filepath.Join(d.stateDir(), name))
					if len(found) == 0 {
						t.Fatal("nothing to damage")
					}
					for _, file := range found {
						damage(file)
					}
					if _, _, err := d.p.State(d.folder); err != nil {
						t.Errorf("State: %v", err)
					}
					d.pull()
					got := d.files()
					if git == "" || name != "state.json" && name != "../folders/*" {
						if got["b"] != "b3" || got["n"] != "n" {
							t.Errorf("not brought: %q", got)
						}
					}
					if got["a"] != long("1 theirs", "9 mine") || got["mine"] != "mine" {
						t.Errorf("lost: %q", got)
					}
					d.sound()
					d.noLeftovers()
					if _, err := d.p.Backups(d.folder); err != nil {
						t.Errorf("Backups: %v", err)
					}
					if r := d.pull(); !r.Same {
						t.Errorf("a second pull: %+v", r)
					}
					if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
						t.Errorf("Undo: %v", err)
					}
				})
			}
		}
	}
}

// stateDir is where the state of the one folder is.
func (d *desk) stateDir() string {
	d.t.Helper()
	found, _ := filepath.Glob(filepath.Join(d.p.Home, "????????????????"))
	if len(found) != 1 {
		d.t.Fatalf("states: %q", found)
	}
	return found[0]
}

// TestDamagedJournal kills a pull at every second step, damages its journal, and pulls.
func TestDamagedJournal(t *testing.T) {
	for how, damage := range damages() {
		if how == "empty" || how == "array" {
			continue // no more than garbage
		}
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b", "gone": "g", "x/y": "y"})
			d.pull()
			d.write("a", long("9 mine"))
			d.write("dir", "mine, in the way")
			d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs"), "b": "b2", "gone": gittest.Deleted, "n/o": "n", "dir/z": "z"})
			saved := filepath.Join(gittest.TempDir(t), "saved")
			copyTree(t, d.home, saved)
			e := errand{Home: d.home, Folder: d.folder, URL: "file://" + d.src.Dir}
			damaged := 0
			for e.At = 1; ; e.At += 2 {
				copyTree(t, saved, d.home)
				if !e.dies(t) {
					break
				}
				file := filepath.Join(d.stateDir(), journalFile)
				before, err := os.ReadFile(file)
				if err != nil {
					continue
				}
				damaged++
				damage(file)
				after, _ := os.ReadFile(file)
				d.pull()
				got := named(d.files())
				for path, want := range map[string]string{"a": long("1 theirs", "9 mine"), "b": "b2", "n/o": "n", "dir/z": "z", "dir__TIME": "mine, in the way", "x/y": "y"} {
					if got[path] != want {
						t.Errorf("step %d: %s is %q, want %q", e.At, path, got[path], want)
					}
				}
				d.sound()
				d.noLeftovers()
				kept, _ := filepath.Glob(filepath.Join(d.stateDir(), "kept", "journal.json*"))
				same := slices.ContainsFunc(kept, func(file string) bool {
					data, _ := os.ReadFile(file)
					return bytes.Equal(data, after)
				})
				if len(after) > 0 && !bytes.Equal(before, after) && !same && !strings.HasPrefix(how, "flipped") {
					t.Errorf("step %d: the damaged journal is not kept: %q", e.At, kept)
				}
				if r := d.pull(); !r.Same {
					t.Errorf("step %d: a second pull: %+v", e.At, r)
				}
				if t.Failed() {
					return
				}
			}
			if damaged < 5 {
				t.Errorf("only %d journals were damaged", damaged)
			}
		})
	}
}
