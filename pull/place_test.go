package pull

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestPulledAfresh removes, or renames, a folder and pulls it again: the backups of the
// one before are listed and given back, and a renamed one keeps its own.
func TestPulledAfresh(t *testing.T) {
	for _, how := range []string{"removed", "renamed", "removed twice"} {
		t.Run(how, func(t *testing.T) {
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": "1"})
			d.pull()
			d.write("a", "mine")
			if _, err := d.p.Reset(t.Context(), d.folder, "a"); err != nil {
				t.Fatal(err)
			}
			first := d.folder
			if how == "renamed" {
				if err := os.Rename(first, first+"-old"); err != nil {
					t.Fatal(err)
				}
			} else {
				d.remove("")
			}
			d.pull()
			if how == "removed twice" {
				d.remove("")
				d.pull()
			}
			list, err := d.p.Backups(d.folder)
			if err != nil || len(list) != 1 || list[0].Files[0].Path != "a" {
				t.Fatalf("%+v %v", list, err)
			}
			var b strings.Builder
			if err := d.p.Recover(t.Context(), d.folder, list[0].ID, "a", &b); err != nil || b.String() != "mine" {
				t.Errorf("%q %v", b.String(), err)
			}
			if _, err := d.p.Restore(t.Context(), d.folder, list[0].ID, "a"); err != nil {
				t.Error(err)
			}
			d.want(map[string]string{"a": "mine"})
			d.src.Commit("main", "two", gittest.Files{"b": "2"})
			d.pull()
			d.want(map[string]string{"a": "mine", "b": "2"})
			if how != "renamed" {
				return
			}
			d.folder = first + "-old"
			d.pull()
			d.want(map[string]string{"a": "1", "b": "2"})
			if list, err := d.p.Backups(d.folder); err != nil || len(list) == 0 {
				t.Errorf("the renamed one: %+v %v", list, err)
			}
		})
	}
}

// TestCopies pulls a folder and its copy in both orders, and a copy whose original
// went on and was removed: each gets what is new, and keeps what is its user's.
func TestCopies(t *testing.T) {
	for _, order := range []string{"copy first", "original first", "original removed", "original removed after a pull", "original replaced by its copy"} {
		t.Run(order, func(t *testing.T) {
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
			d.pull()
			d.write("a", long("9 mine"))
			first, second := d.folder, filepath.Join(d.home, "copy")
			copyTree(t, first, second)
			d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs"), "b": "b2"})
			switch order {
			case "copy first":
				d.folder = second
				d.pull()
				d.want(map[string]string{"a": long("1 theirs", "9 mine"), "b": "b2"})
				d.folder = first
			case "original first":
				d.pull()
				d.want(map[string]string{"a": long("1 theirs", "9 mine"), "b": "b2"})
				d.folder = second
			case "original removed":
				d.remove("")
				d.folder = second
			case "original removed after a pull":
				d.pull()
				d.remove("")
				d.folder = second
			case "original replaced by its copy":
				d.pull()
				d.remove("")
				if err := os.Rename(second, first); err != nil {
					t.Fatal(err)
				}
			}
			d.pull()
			d.want(map[string]string{"a": long("1 theirs", "9 mine"), "b": "b2"})
			d.sound()
			if r := d.pull(); !r.Same {
				t.Errorf("%+v", r)
			}
			if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
				t.Error(err)
			}
			d.want(map[string]string{"a": long("9 mine"), "b": "b"})
		})
	}
}

// TestNoPlace: what cannot be a folder is said to be none, and why; setting aside what is
// there would not help.
func TestNoPlace(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "1"})
	d.write("file", "mine")
	if err := os.Symlink("loop", filepath.Join(d.home, "loop")); err != nil {
		t.Fatal(err)
	}
	for folder, why := range map[string]string{
		filepath.Join(d.folder, "file"):                 "there is a file of that name",
		filepath.Join(d.folder, "file/in/it"):           filepath.Join(d.folder, "file") + " is a file",
		filepath.Join(d.home, strings.Repeat("x", 300)): "file name too long",
		filepath.Join(d.home, "loop"):                   "too many links",
		d.home:                                          "that is your home",
		filepath.Dir(d.home):                            "your home is in it",
		"/":                                             "that is the whole disk",
	} {
		_, err := d.p.Pull(t.Context(), Ask{URL: "file://" + d.src.Dir, Folder: folder, Depth: 1})
		var p *daypass.Problem
		if !errors.As(err, &p) || p.Code != "DP-330" || !strings.Contains(p.Why, why) {
			t.Errorf("%s: %v, want %q", folder, err, why)
		}
	}
}
