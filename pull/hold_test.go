package pull

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestTooLargeNow: what a folder has stays there, where the source's is too large.
func TestTooLargeNow(t *testing.T) {
	small, big := strings.Repeat("s", 500), strings.Repeat("x", 2000)
	begin := func(t *testing.T) *desk {
		d := newDesk(t)
		d.p.Limits = snapshot.Limits{File: 1000}
		return d
	}
	kept := func(d *desk, r Report) {
		d.t.Helper()
		for _, c := range r.Changes {
			_, here := d.files()["big"]
			if c.Path == "big" && (c.What != LeftOut || !strings.Contains(c.Why, "larger than") || strings.Contains(c.Why, "stays") != here) {
				d.t.Errorf("%+v", c)
			}
		}
		if r := d.pull(); !r.Same {
			d.t.Errorf("pulled again: %+v", r)
		}
		d.sound()
	}
	t.Run("grows", func(t *testing.T) {
		for _, mine := range []string{small, "mine"} {
			d := begin(t)
			d.src.Commit("main", "one", gittest.Files{"a": "a", "big": small})
			d.pull()
			d.write("big", mine)
			d.src.Commit("main", "two", gittest.Files{"a": "a2", "big": big})
			kept(d, d.pull())
			d.want(map[string]string{"a": "a2", "big": mine})
			d.src.Commit("main", "three", gittest.Files{"a": "a3", "big": small + "!"})
			d.pull()
			want := map[string]string{"a": "a3", "big": small + "!"}
			if mine != small {
				want["big"] = mine
			}
			d.want(want)
			for range 2 {
				if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
					t.Fatal(err)
				}
			}
			d.want(map[string]string{"a": "a", "big": mine})
		}
	})
	t.Run("taken over", func(t *testing.T) {
		for _, mine := range []string{big, "mine", ""} {
			d := begin(t)
			d.src.Commit("main", "one", gittest.Files{"a": "a", "big": big})
			d.clone()
			want := map[string]string{"a": "a2", "big": mine}
			if mine == "" {
				d.remove("big")
				delete(want, "big")
			} else {
				d.write("big", mine)
			}
			d.src.Commit("main", "two", gittest.Files{"a": "a2", "big": big + "!"})
			kept(d, d.pull())
			d.want(want)
			d.src.Commit("main", "three", gittest.Files{"a": "a3"})
			kept(d, d.pull())
			want["a"] = "a3"
			d.want(want)
			if mine == big { // now the source removes it, and so does the pull
				d.src.Commit("main", "four", gittest.Files{"big": gittest.Deleted})
				d.pull()
				d.want(map[string]string{"a": "a3"})
				if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
					t.Fatal(err)
				}
				d.want(want)
			}
		}
	})
}

// TestSparse: what the user's own sparse checkout leaves out is not deleted; it does
// not come back, nor does it come anew, and git's notes of it stay.
func TestSparse(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(*desk)
		args  []string
	}{
		"ours":         {func(d *desk) { d.pull() }, []string{"set", "--cone", "in"}},
		"clone":        {func(d *desk) { d.clone() }, []string{"set", "--cone", "in"}},
		"sparse index": {func(d *desk) { d.clone() }, []string{"set", "--cone", "--sparse-index", "in"}},
		"ours, index":  {func(d *desk) { d.pull() }, []string{"set", "--cone", "--sparse-index", "in"}},
		"no cone":      {func(d *desk) { d.pull() }, []string{"set", "--no-cone", "/*", "!/out/"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "in/x": "x", "out/y": "y", "out/deep/z": "z", "out/gone": "g"})
			c.begin(d)
			d.git(append([]string{"sparse-checkout"}, c.args...)...)
			d.want(map[string]string{"a": long(), "in/x": "x"})
			d.write("a", long("9 mine"))
			d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs"), "in/new": "n", "out/y": "y2", "out/new": "n", "out/deep/more/n": "n", "out/gone": gittest.Deleted})
			want := map[string]string{"a": long("1 theirs", "9 mine"), "in/x": "x", "in/new": "n"}
			r := d.pull()
			d.want(want)
			for _, ch := range r.Changes {
				if ch.What == Restored {
					t.Errorf("%+v", ch)
				}
			}
			d.status(" M a")
			if r := d.pull(); !r.Same {
				t.Errorf("pulled again: %+v", r)
			}
			d.remove("in/x")
			d.pull()
			d.want(want)
			d.status(" M a")
			d.git("sparse-checkout", "disable")
			if got := d.files(); got["out/y"] != "y2" || got["out/new"] != "n" || got["out/deep/more/n"] != "n" || got["out/gone"] != "" {
				t.Errorf("%q", got)
			}
			d.src.Commit("main", "three", gittest.Files{"out/y": "y3"})
			d.pull()
			if got := d.files(); got["out/y"] != "y3" || got["out/new"] != "n" || len(got) != 7 {
				t.Errorf("%q", got)
			}
			d.status(" M a")
			os.Remove(filepath.Join(d.folder, "out/y"))
			d.pull()
			if got := d.files(); got["out/y"] != "y3" {
				t.Errorf("a file that was deleted did not come back: %q", got)
			}
		})
	}
}
