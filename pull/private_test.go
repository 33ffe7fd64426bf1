package pull

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

func (d *desk) perm(path string) fs.FileMode {
	d.t.Helper()
	fi, err := os.Lstat(filepath.Join(d.folder, path))
	if err != nil {
		d.t.Fatal(err)
	}
	return fi.Mode().Perm()
}

func (d *desk) chmod(path string, mode fs.FileMode) {
	d.t.Helper()
	if err := os.Chmod(filepath.Join(d.folder, path), mode); err != nil {
		d.t.Fatal(err)
	}
}

// TestPrivate: what only its owner may read never comes to be read by others: not
// while it is changed, not when it comes back.
func TestPrivate(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"merged": long(), "gone": "g", "100755:run": "1"})
	d.pull()
	d.write("merged", long("9 secret"))
	d.write("new", "secret")
	d.write("dir/deep/s", "secret")
	for _, name := range []string{"merged", "gone", "new"} {
		d.chmod(name, 0o600)
	}
	d.chmod("run", 0o700)
	d.chmod("dir", 0o700)
	d.src.Commit("main", "two", gittest.Files{"merged": long("1 theirs"), "gone": gittest.Deleted, "new": "theirs", "100755:run": "2", "dir": "theirs"})
	staged := false
	d.p.step = func(what string) error {
		temps, _ := filepath.Glob(filepath.Join(d.folder, ".daypass-*.tmp"))
		for _, temp := range temps {
			data, _ := os.ReadFile(temp)
			fi, err := os.Lstat(temp)
			if err == nil && strings.Contains(string(data), "secret") {
				staged = true
				if fi.Mode().Perm()&0o077 != 0 {
					t.Errorf("before %q a copy of what is private has the mode %o", what, fi.Mode().Perm())
				}
			}
		}
		return nil
	}
	d.pull()
	if !staged {
		t.Error("nothing private was staged")
	}
	for name, want := range map[string]fs.FileMode{"merged": 0o600, "run": 0o700} {
		if got := d.perm(name); got != want {
			t.Errorf("after the pull %s has the mode %o", name, got)
		}
	}
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"merged": 0o600, "gone": 0o600, "new": 0o600, "run": 0o700, "dir": 0o700} {
		if got := d.perm(name); got != want {
			t.Errorf("after the undo %s has the mode %o", name, got)
		}
	}
}

// TestRestorePrivate is the same for one file out of a backup, and out of the source.
func TestRestorePrivate(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a", "gone": "g"})
	d.pull()
	d.chmod("gone", 0o600)
	d.write("a", "secret")
	d.chmod("a", 0o600)
	d.src.Commit("main", "two", gittest.Files{"gone": gittest.Deleted})
	id := d.pull().Undo
	if _, err := d.p.Restore(t.Context(), d.folder, id, "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.p.Reset(t.Context(), d.folder, "a"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gone", "a"} {
		if got := d.perm(name); got != 0o600 {
			t.Errorf("%s has the mode %o", name, got)
		}
	}
	d.want(map[string]string{"a": "a", "gone": "g"})
}
