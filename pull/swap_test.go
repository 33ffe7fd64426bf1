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

// TestKilledAtThatMoment saves at that moment, and the pull dies before it has looked
// at what came out: the next one gives the save its place back.
func TestKilledAtThatMoment(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long()})
	d.pull()
	d.write("a", long("9 mine"))
	d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs")})
	d.p.step = func(what string) error {
		switch what {
		case "swap a":
			d.write("a", long("9 mine", "5 saved"))
		case "swapped a":
			return os.ErrProcessDone
		}
		return nil
	}
	if _, err := d.p.Pull(t.Context(), d.ask()); err == nil {
		t.Fatal("it did not die")
	}
	d.p.step = nil
	d.pull()
	d.want(map[string]string{"a": long("1 theirs", "5 saved", "9 mine")})
	d.sound()
	d.noLeftovers()
}
