package pull

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestAppeared: what somebody makes at the folder's place, while a pull into it is
// on its way, is never taken away.
func TestAppeared(t *testing.T) {
	for name, row := range map[string]struct {
		make func(d *desk)
		code string
		want map[string]string
	}{
		"file":         {make: func(d *desk) { os.WriteFile(d.folder, []byte("mine"), 0o666) }, code: "DP-330"},
		"link":         {make: func(d *desk) { os.Symlink("/nowhere", d.folder) }, code: "DP-330"},
		"folder":       {make: func(d *desk) { d.write("a", "mine"); d.write("x", "x") }, want: map[string]string{"a": "mine", "b": "b", "x": "x"}},
		"empty folder": {make: func(d *desk) { os.Mkdir(d.folder, 0o777) }, want: map[string]string{"a": "a", "b": "b"}},
		"clone":        {make: func(d *desk) { d.clone("--depth", "1"); d.write("a", "mine") }, want: map[string]string{"a": "mine", "b": "b"}},
	} {
		for first, at := range map[string]string{"": "rename", "empty": "backup"} {
			t.Run(name+", first "+first, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				d.src.Commit("main", "one", gittest.Files{"a": "a", "b": "b"})
				if first != "" {
					os.Mkdir(d.folder, 0o777)
				}
				made := false
				d.p.step = func(what string) error {
					if what == at && !made {
						made = true
						syscall.Rmdir(d.folder)
						row.make(d)
					}
					return nil
				}
				if row.code != "" {
					d.refused(row.code)
					to, _ := os.Readlink(d.folder)
					if data, _ := os.ReadFile(d.folder); string(data)+to == "" {
						t.Error("it is gone")
					}
				} else {
					d.pull()
					want := maps.Clone(row.want)
					if first != "" && want["a"] == "mine" { // it was not there when the folder was looked at
						want["a"], want["a__TIME"] = "a", "mine"
					}
					if got := named(d.files()); !maps.Equal(got, want) {
						t.Errorf("the folder has %q\nwant %q", got, want)
					}
					d.p.step = nil
					d.sound()
					if r := d.pull(); !r.Same {
						t.Errorf("a second pull: %+v", r)
					}
				}
				if left, _ := filepath.Glob(filepath.Join(d.home, asidePrefix+"*")); len(left) > 0 {
					t.Errorf("left: %q", left)
				}
			})
		}
	}
}

// TestBackupFails: a fresh start that cannot be made leaves the folder where it was.
func TestBackupFails(t *testing.T) {
	for name, spoil := range map[string]func(d *desk, a *Ask){
		"no such source": func(d *desk, a *Ask) { a.URL += "-not" },
		"no such branch": func(d *desk, a *Ask) { a.Ref = "nope" },
		"while building": func(d *desk, a *Ask) { d.p.step = failAt("file") },
		"set aside":      func(d *desk, a *Ask) { d.p.step = failAt("set aside") },
		"last moment":    func(d *desk, a *Ask) { d.p.step = failAt("rename") },
	} {
		for _, git := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				d.src.Commit("main", "one", gittest.Files{"a": "a"})
				d.pull()
				d.src.Commit("main", "two", gittest.Files{"a": "a2"})
				d.pull()
				d.write("a", "mine")
				if !git {
					d.remove(".git")
				}
				before := len(entries(t, d.home))
				stores := len(entries(t, d.p.Home))
				a := d.ask()
				a.Backup = true
				spoil(d, &a)
				r, err := d.p.Pull(t.Context(), a)
				if err == nil || !strings.Contains(err.Error(), "The folder is as it was.") || r.Aside != "" {
					t.Errorf("%+v, %v", r, err)
				}
				d.p.step = nil
				d.want(map[string]string{"a": "mine"})
				if got := len(entries(t, d.home)); got != before {
					t.Errorf("in the home: %q", entries(t, d.home))
				}
				if got := len(entries(t, d.p.Home)); got != stores {
					t.Errorf("in ours: %q", entries(t, d.p.Home))
				}
				if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
					t.Errorf("what was known of it is lost: %v", err)
				}
				if r := d.pull(); r.Fresh {
					t.Errorf("%+v", r)
				}
			})
		}
	}
}

func failAt(where string) func(string) error {
	return func(what string) error {
		if what == where {
			return &os.PathError{Op: "rename", Path: "x", Err: syscall.EACCES}
		}
		return nil
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
