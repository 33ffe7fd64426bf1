package pull

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// filtered makes git clean files as the user's configuration has it, so that its
// index names other bytes than the disk has.
func (d *desk) filtered(clean, attributes string) {
	d.t.Helper()
	d.git("config", "filter.strip.clean", clean)
	d.git("config", "filter.strip.smudge", "cat")
	d.write(".git/info/attributes", attributes+"\n")
}

// settled makes the index younger than every file, so that nothing in it is racy.
func (d *desk) settled() {
	d.t.Helper()
	old := time.Now().Add(-time.Minute)
	for path := range d.files() {
		os.Chtimes(filepath.Join(d.folder, strings.TrimSuffix(path, "*")), old, old)
	}
	d.git("add", "-A")
	d.git("status")
}

// TestFilters: what git's index says is what a filter made of a file. The file itself
// is the user's: nothing of it is taken for the source's.
func TestFilters(t *testing.T) {
	for name, c := range map[string]struct{ clean, mine string }{
		"drops a line":   {"sed /OUTPUT/d", long("8\nOUTPUT precious")},
		"keeps the size": {"sed s/PRECIOUS/8/", ""},
		"line ends":      {"tr -d '\\r'", strings.ReplaceAll(long(), "\n", "\r\n")},
	} {
		for how, begin := range map[string]func(*desk){"clone": func(d *desk) { d.clone() }, "ours": func(d *desk) { d.pull() }} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				d := newDesk(t)
				base, mine, clean := long(), c.mine, c.clean
				if mine == "" {
					base, mine = strings.Replace(long(), "8\n", "12345678\n", 1), strings.Replace(long(), "8\n", "PRECIOUS\n", 1)
					clean = "sed s/PRECIOUS/12345678/"
				}
				d.src.Commit("main", "one", gittest.Files{"a.txt": base, "gone.txt": base, "b": "b"})
				begin(d)
				d.filtered(clean, "*.txt filter=strip")
				d.write("a.txt", mine)
				d.write("gone.txt", mine)
				d.settled()
				d.status()
				d.src.Commit("main", "two", gittest.Files{"a.txt": strings.Replace(base, "1\n", "one\n", 1), "gone.txt": gittest.Deleted, "b": "b2"})
				d.pull()
				got := d.files()
				for _, word := range []string{"OUTPUT", "PRECIOUS", "\r"} {
					if strings.Contains(mine, word) && (!strings.Contains(got["a.txt"], word) || got["gone.txt"] != mine) {
						t.Errorf("the user's bytes are gone: %q", got)
					}
				}
				// By lines, other line ends are another text: the user's stands.
				if got["b"] != "b2" || !strings.Contains(got["a.txt"], "one") && name != "line ends" {
					t.Errorf("the source's change is not there: %q", got)
				}
				if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
					t.Fatal(err)
				}
				d.want(map[string]string{"a.txt": mine, "gone.txt": mine, "b": "b"})
			})
		}
	}
}
