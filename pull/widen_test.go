package pull

import (
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestPathNeverNarrows: a link to a part of what a folder has takes the rest away from
// nobody.
func TestPathNeverNarrows(t *testing.T) {
	all := map[string]string{"a": "a", "lab/1/x": "2", "lab/2/y": "2", "more/z": "z"}
	for name, row := range map[string]struct {
		begin func(d *desk)
		paths []string
		want  map[string]string
	}{
		"whole, then a part":   {paths: []string{"", "lab/1"}, want: all},
		"clone, then a part":   {begin: func(d *desk) { d.clone() }, paths: []string{"lab/1"}, want: all},
		"part, then the whole": {paths: []string{"lab/1", ""}, want: all},
		"part, then another":   {paths: []string{"lab/1", "lab/2"}, want: map[string]string{"lab/1/x": "2", "lab/2/y": "2"}},
		"part, then above":     {paths: []string{"lab/1", "lab"}, want: map[string]string{"lab/1/x": "2", "lab/2/y": "2"}},
		"part, then within":    {paths: []string{"lab", "lab/1/"}, want: map[string]string{"lab/1/x": "2", "lab/2/y": "2"}},
		"parts far apart":      {paths: []string{"lab/1", "more"}, want: all},
		"the same part":        {paths: []string{"lab/1", "lab/1"}, want: map[string]string{"lab/1/x": "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": "a", "lab/1/x": "1", "lab/2/y": "1", "more/z": "z"})
			if row.begin != nil {
				row.begin(d)
			}
			for i, p := range row.paths {
				a := d.ask()
				a.Path = p
				if i == len(row.paths)-1 {
					d.src.Commit("main", "two", gittest.Files{"lab/1/x": "2", "lab/2/y": "2"})
				}
				for n := range 2 {
					r, err := d.p.Pull(t.Context(), a)
					if err != nil {
						t.Fatal(err)
					}
					for _, c := range r.Changes {
						if c.What == Removed {
							t.Errorf("%+v", c)
						}
					}
					if n == 1 && !r.Same {
						t.Errorf("a second pull of %q: %+v", p, r)
					}
				}
			}
			d.want(row.want)
			d.status()
			d.sound()
		})
	}
}
