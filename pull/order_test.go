package pull

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestUndoOrder: the newest pull is taken back first, whatever the clock said.
func TestUndoOrder(t *testing.T) {
	start := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC)
	for name, at := range map[string][2]time.Time{
		"flown west":     {start.In(time.FixedZone("", 9*3600)), start.Add(time.Minute).In(time.FixedZone("", -8*3600))},
		"end of summer":  {start.In(time.FixedZone("", 2*3600)), start.Add(40 * time.Minute).In(time.FixedZone("", 3600))},
		"clock set back": {start.Add(time.Hour), start},
		"same second":    {start, start},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": "one"})
			d.pull()
			for i, data := range []string{"two", "three"} {
				d.src.Commit("main", data, gittest.Files{"a": data})
				d.p.Now = func() time.Time { return at[i] }
				d.pull()
			}
			for _, want := range []string{"two", "one"} {
				if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
					t.Fatal(err)
				}
				d.want(map[string]string{"a": want})
			}
			list, err := d.p.Backups(d.folder)
			if err != nil || len(list) != 4 {
				t.Fatal(list, err)
			}
			var seen []string
			for _, b := range list {
				seen = append(seen, b.ID)
			}
			for i := 1; i < len(seen); i++ {
				if strings.Compare(seen[i-1], seen[i]) <= 0 {
					t.Errorf("not the newest first: %q", seen)
				}
			}
		})
	}
}
