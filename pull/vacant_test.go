package pull

import (
	"os"
	"syscall"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestVacant: an empty folder is filled where it stands. A terminal may be open in it, it
// may be a mount, it may be closed to others, and what it is in may be another's.
func TestVacant(t *testing.T) {
	for name, prepare := range map[string]func(d *desk){
		"never pulled into": func(*desk) {},
		"emptied":           func(d *desk) { d.pull(); d.empty() },
		"emptied of another source": func(d *desk) {
			other := *d
			other.src = gittest.New(t)
			other.src.Commit("main", "one", gittest.Files{"theirs": "1"})
			other.pull()
			d.empty()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": "a", "b/c": "c"})
			os.Mkdir(d.folder, 0o700)
			prepare(d)
			held := d.inode()
			a := d.ask()
			a.DryRun = true
			if r, err := d.p.Pull(t.Context(), a); err != nil || r.Sentence() != "lab-3 would be made: 2 files." || len(d.files()) > 0 {
				t.Errorf("a dry run: %+v, %v, %q", r, err, d.files())
			}
			if r := d.pull(); !r.Fresh || r.Sentence() != "lab-3 is here: 2 files." {
				t.Errorf("%+v", r)
			}
			d.want(map[string]string{"a": "a", "b/c": "c"})
			if got := d.inode(); got != held || d.perm(".") != 0o700 {
				t.Errorf("another folder is in its place: %v for %v, with %o", got, held, d.perm("."))
			}
			d.sound()
			d.status()
			if got := d.git("rev-list", "--count", "HEAD"); got != "1" {
				t.Errorf("%s commits", got)
			}
			if r := d.pull(); !r.Same {
				t.Errorf("a second pull: %+v", r)
			}
			d.src.Commit("main", "two", gittest.Files{"a": "a2"})
			d.pull()
			d.want(map[string]string{"a": "a2", "b/c": "c"})
			d.noLeftovers()
		})
	}
}

func TestVacantContent(t *testing.T) {
	d := newShared(t)
	d.up.Add("a.txt", "a\n")
	d.up.Add("b/c.txt", "c\n")
	os.Mkdir(d.folder, 0o700)
	held := d.inode()
	if r := d.pull(); !r.Fresh || r.Sentence() != "lab-3 is here: 2 files." || r.Title != "Physics 142" {
		t.Errorf("%+v", r)
	}
	d.want(map[string]string{"a.txt": "a\n", "b/c.txt": "c\n"})
	if got := d.inode(); got != held || d.perm(".") != 0o700 {
		t.Errorf("another folder is in its place: %v for %v, with %o", got, held, d.perm("."))
	}
	d.settled()
}

func (d *desk) inode() uint64 {
	d.t.Helper()
	fi, err := os.Lstat(d.folder)
	if err != nil {
		d.t.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Ino
}

// empty removes all that is in the folder, and leaves it.
func (d *desk) empty() {
	d.t.Helper()
	for _, name := range entries(d.t, d.folder) {
		d.remove(name)
	}
}
