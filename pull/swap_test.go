package pull

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestSavedAtThatMoment saves a file between the last look at it and the exchange, and
// right after that: what was saved is never lost, and what came is merged into it.
func TestSavedAtThatMoment(t *testing.T) {
	mine := long("9 mine", "5 saved")
	both := long("1 theirs", "5 saved", "9 mine")
	inPlace := func(d *desk) { d.write("a", mine) }
	renamed := func(d *desk) {
		d.write("a.new", mine)
		os.Rename(filepath.Join(d.folder, "a.new"), filepath.Join(d.folder, "a"))
	}
	for name, row := range map[string]struct {
		at   map[string]func(d *desk)
		want []string
	}{
		"in place":          {map[string]func(*desk){"swap a": inPlace}, []string{both}},
		"by a rename":       {map[string]func(*desk){"swap a": renamed}, []string{both}},
		"removed":           {map[string]func(*desk){"swap a": func(d *desk) { d.remove("a") }}, []string{long("1 theirs", "9 mine")}},
		"a folder":          {map[string]func(*desk){"swap a": func(d *desk) { d.remove("a"); d.write("a/x", "mine") }}, []string{"mine"}},
		"a link":            {map[string]func(*desk){"swap a": func(d *desk) { d.remove("a"); os.Symlink("b", filepath.Join(d.folder, "a")) }}, []string{"link -> b"}},
		"and once more":     {map[string]func(*desk){"swap a": inPlace, "swapped a": func(d *desk) { d.write("a", "saved again") }}, []string{"saved again", mine}},
		"after that":        {map[string]func(*desk){"swapped a": func(d *desk) { d.write("a", long("1 theirs", "5 after", "9 mine")) }}, []string{long("1 theirs", "5 after", "9 mine")}},
		"saved and renamed": {map[string]func(*desk){"swap a": renamed, "swapped a": func(d *desk) { d.remove("a"); d.write("a", "saved again") }}, []string{"saved again", mine}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
			d.pull()
			d.write("a", long("9 mine"))
			d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs"), "b": "b2"})
			did := map[string]bool{}
			d.p.step = func(what string) error {
				if do := row.at[what]; do != nil && !did[what] {
					did[what] = true
					do(d)
				}
				return nil
			}
			d.pull()
			d.p.step = nil
			if len(did) != len(row.at) {
				t.Fatalf("only %v happened", did)
			}
			d.pull()
			got := d.files()
			all := slices.Collect(maps.Values(got))
			for _, want := range row.want {
				if !slices.ContainsFunc(all, func(s string) bool { return s == want || name != "in place" && strings.Contains(s, want) }) {
					t.Errorf("%q is nowhere: %q", want, got)
				}
			}
			if got["b"] != "b2" {
				t.Errorf("b is %q", got["b"])
			}
			d.sound()
			d.noLeftovers()
			if r := d.pull(); !r.Same {
				t.Errorf("%+v", r)
			}
		})
	}
}

// savedAndKilled saves a file while a pull exchanges it, and the pull dies right after.
func savedAndKilled(t *testing.T, name string) *desk {
	t.Helper()
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{name: long()})
	d.pull()
	d.write(name, long("9 mine"))
	d.src.Commit("main", "two", gittest.Files{name: long("1 theirs")})
	d.p.step = func(what string) error {
		switch what {
		case "swap " + name:
			d.write(name, long("9 mine", "5 saved"))
		case "swapped " + name:
			return os.ErrProcessDone
		}
		return nil
	}
	if _, err := d.p.Pull(t.Context(), d.ask()); err == nil {
		t.Fatal("it did not die")
	}
	d.p.step = nil
	return d
}

// TestKilledAtThatMoment saves at that moment, and the pull dies before it has looked
// at what came out: the next one gives the save its place back.
func TestKilledAtThatMoment(t *testing.T) {
	d := savedAndKilled(t, "a")
	d.pull()
	d.want(map[string]string{"a": long("1 theirs", "5 saved", "9 mine")})
	d.sound()
	d.noLeftovers()
}

// TestKilledThenEdited saves at that moment, the pull dies before it has looked, and the
// user goes on with the file before the next pull: each version stays.
func TestKilledThenEdited(t *testing.T) {
	for _, after := range []string{"edited", "deleted", "put back", "a folder"} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			d := savedAndKilled(t, "a.txt")
			switch after {
			case "edited":
				d.write("a.txt", long("1 theirs", "9 mine", "12 more"))
			case "deleted":
				d.remove("a.txt")
			case "put back":
				d.write("a.txt", long("9 mine"))
			case "a folder":
				d.remove("a.txt")
				d.write("a.txt/x", "x")
			}
			d.pull()
			got := d.files()
			if !slices.ContainsFunc(slices.Collect(maps.Values(got)), func(s string) bool { return strings.Contains(s, "5 saved") }) {
				t.Errorf("the save is nowhere: %q", got)
			}
			if after == "edited" && !strings.Contains(got["a.txt"], "12 more") {
				t.Errorf("%q", got)
			}
			d.sound()
			d.noLeftovers()
			if r := d.pull(); !r.Same {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestRemovedAndMovedAtThatMoment saves where a file is removed, and where one is moved
// to, between the look and the act; and kills the pull there.
func TestRemovedAndMovedAtThatMoment(t *testing.T) {
	for _, what := range []string{"remove", "removed", "move", "remove, killed", "remove, twice"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
			d.pull()
			verb, _, _ := strings.Cut(what, ",")
			if verb == "move" {
				d.write("a", long("9 mine"))
				d.src.Commit("main", "two", gittest.Files{"a": gittest.Deleted, "c": long()})
			} else {
				d.src.Commit("main", "two", gittest.Files{"a": gittest.Deleted})
			}
			hit := ""
			d.p.step = func(s string) error {
				if rest, ok := strings.CutPrefix(s, verb+" "); ok && hit == "" {
					hit = rest
					d.write(rest, "SAVED")
				} else if s == "removed a" && strings.HasSuffix(what, "killed") {
					return os.ErrProcessDone
				} else if s == "removed a" && strings.HasSuffix(what, "twice") {
					d.write("a", "AGAIN")
				}
				return nil
			}
			d.p.Pull(t.Context(), d.ask())
			d.p.step = nil
			d.pull()
			all := strings.Join(slices.Collect(maps.Values(d.files())), " ")
			if hit == "" || !strings.Contains(all, "SAVED") || strings.HasSuffix(what, "twice") && !strings.Contains(all, "AGAIN") {
				t.Errorf("%q: lost: %q", hit, d.files())
			}
			d.sound()
			d.noLeftovers()
		})
	}
}

// TestSavedTwiceLongName: the save before gets a name that the disk takes.
func TestSavedTwiceLongName(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	name := strings.Repeat("n", 245) + ".txt"
	d.src.Commit("main", "one", gittest.Files{name: long(), "b": "b"})
	d.pull()
	d.write(name, long("9 mine"))
	d.src.Commit("main", "two", gittest.Files{name: long("1 theirs"), "b": "b2"})
	did := map[string]bool{}
	d.p.step = func(what string) error {
		if !did[what] {
			did[what] = true
			switch what {
			case "swap " + name:
				d.write(name, long("9 mine", "5 saved"))
			case "swapped " + name:
				d.write(name, "saved again")
			}
		}
		return nil
	}
	d.pull()
	d.p.step = nil
	d.pull()
	got := d.files()
	if !slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(at string) bool {
		return strings.Contains(got[at], "5 saved") && strings.HasSuffix(at, ".txt") && strings.Contains(at, "__20")
	}) {
		t.Errorf("%q", got)
	}
	d.noLeftovers()
}
