package pull

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// asNobody runs a test as a user whom permissions stop; root is stopped by none.
func asNobody(t *testing.T) (here bool) {
	t.Helper()
	if os.Getuid() != 0 {
		return true
	}
	dir, err := os.MkdirTemp("", "daypass-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "test")
	in, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	out.Close()
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Skip("cannot be another user here:", err)
	}
	cmd := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env, cmd.Dir = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir), dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "--- PASS") {
		t.Errorf("as nobody: %v\n%s", err, said)
	}
	return false
}

// TestShut: one file or folder that may not be read, or not written to, holds up
// nothing but itself.
func TestShut(t *testing.T) {
	if !asNobody(t) {
		return
	}
	first := gittest.Files{"a": "a", "d/x": "x", "d/gone": "g", "e/y": "y", "f/z": "z", "g": long()}
	second := gittest.Files{
		"a": "a2", "d/x": "x2", "d/new": "n", "d/gone": gittest.Deleted, "e/y": gittest.Deleted, "f/z": "z2", "g": long("1 two"), "new": "new", "h/i": "i",
	}
	for name, row := range map[string]struct {
		shut string
		mode os.FileMode
		edit bool
		kept []string
	}{
		"folder that is read-only":    {"d", 0o500, false, []string{"d/x", "d/new", "d/gone"}},
		"folder that is closed":       {"d", 0o000, false, []string{"d/x", "d/new", "d/gone"}},
		"folder that stays":           {"e", 0o500, false, []string{"e/y"}},
		"file that cannot be read":    {"g", 0o000, true, []string{"g"}},
		"new file that is unreadable": {"new", 0o000, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.src.Commit("main", "one", first)
			d.pull()
			if row.edit {
				d.write(row.shut, "mine")
			}
			d.chmod(row.shut, row.mode)
			open := func() { os.Chmod(filepath.Join(d.folder, row.shut), 0o700) }
			defer open()
			d.src.Commit("main", "two", second)
			r := d.pull()
			var kept []string
			for _, c := range r.Changes {
				if c.What == Kept && strings.Contains(c.Why, "may not") && !slices.Contains(kept, c.Path) {
					kept = append(kept, c.Path)
				}
			}
			slices.Sort(kept)
			if want := slices.Sorted(slices.Values(row.kept)); !slices.Equal(kept, want) {
				t.Errorf("it tells of %q, not %q: %+v", kept, want, r.Changes)
			}
			for path, want := range map[string]string{"a": "a2", "f/z": "z2", "h/i": "i"} {
				if data, _ := os.ReadFile(filepath.Join(d.folder, path)); string(data) != want {
					t.Errorf("%s: %q", path, data)
				}
			}
			if row.kept != nil {
				if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
					t.Fatal(err)
				}
				if data, _ := os.ReadFile(filepath.Join(d.folder, "a")); string(data) != "a" {
					t.Errorf("undone: %q", data)
				}
				if _, err := d.p.Reset(t.Context(), d.folder, "."); err != nil {
					t.Fatal(err)
				}
				d.pull()
			}
			open()
			if row.shut == "new" {
				return // it was moved aside
			}
			os.Chmod(filepath.Join(d.folder, row.shut), 0o700)
			if row.shut == "g" {
				os.Chmod(filepath.Join(d.folder, row.shut), 0o600)
			}
			d.pull()
			want := map[string]string{"a": "a2", "d/x": "x2", "d/new": "n", "f/z": "z2", "g": long("1 two"), "new": "new", "h/i": "i"}
			if row.edit {
				want["g"] = "mine"
			}
			d.want(want)
			d.noLeftovers()
			if r := d.pull(); !r.Same {
				t.Errorf("%+v", r)
			}
			d.sound()
		})
	}
}

// TestShutHome: what cannot be written at all is told with a code and a place.
func TestShutHome(t *testing.T) {
	if !asNobody(t) {
		return
	}
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	d.src.Commit("main", "two", gittest.Files{"a": "a2"})
	for dir, code := range map[string]string{filepath.Join(d.p.Home, "locks"): "DP-337", filepath.Join(d.folder, ".git"): "DP-352"} {
		os.Chmod(dir, 0o500)
		problem := d.refused(code)
		if !strings.Contains(problem.Error(), filepath.Base(dir)) {
			t.Errorf("it does not name %s: %v", dir, problem)
		}
		os.Chmod(dir, 0o700)
	}
	d.pull()
	d.want(map[string]string{"a": "a2"})
}
