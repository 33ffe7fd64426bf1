package pull

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestExpiry holds that backups go by their date, and the newest five never.
func TestExpiry(t *testing.T) {
	d := newDesk(t)
	now := time.Date(2026, 1, 10, 9, 0, 0, 0, time.UTC)
	d.p.Now = func() time.Time { return now }
	d.src.Commit("main", "one", gittest.Files{"a": "theirs"})
	d.pull()
	reset := func(text string) []Backup {
		d.write("a", text)
		if _, err := d.p.Reset(t.Context(), d.folder, "a"); err != nil {
			t.Fatal(err)
		}
		list, err := d.p.Backups(d.folder)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for i, days := range []int{0, 1, 1, 1, 1, 1, 1, 82} { // the first is 88 days old, then
		now = now.AddDate(0, 0, days)
		if list := reset(strings.Repeat("x", i+1)); len(list) != i+1 {
			t.Fatalf("%d backups after %d", len(list), i+1)
		}
	}
	now = now.AddDate(0, 0, 4)
	if list := reset("and on"); len(list) != 7 {
		t.Errorf("%d backups, of which two are older than 90 days", len(list))
	}
	now = now.AddDate(2, 0, 0)
	list := reset("much later")
	if len(list) != 5 {
		t.Fatalf("%d backups after two years", len(list))
	}
	var b strings.Builder
	if err := d.p.Recover(t.Context(), d.folder, list[4].ID, "a", &b); err != nil || b.String() != strings.Repeat("x", 6) {
		t.Errorf("the oldest is %q: %v", b.String(), err)
	}
}
