package pull

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestRenamedWithoutGit renames a folder and removes its .git: what was delivered there
// is known all the same, and what the user has done since is told from it.
func TestRenamedWithoutGit(t *testing.T) {
	for name, do := range map[string]func(d *desk){
		"fresh":         func(*desk) {},
		"cloned":        func(d *desk) { d.remove(""); d.clone(); d.pull() },
		"pulled again":  func(d *desk) { d.src.Commit("main", "more", gittest.Files{"c": "c"}); d.pull() },
		"broken":        func(d *desk) { d.write(".git/HEAD", "") },
		"renamed twice": func(d *desk) { d.rename("between"); d.pull() },
		"no birth time": func(d *desk) { d.undated() },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": "1\n2\n3\n4\n5\n6\n7\n8\n", "b": "b"})
			d.pull()
			do(d)
			d.write("a", "mine\n2\n3\n4\n5\n6\n7\n8\n")
			if name != "broken" {
				d.remove(".git")
			}
			d.rename("elsewhere")
			d.src.Commit("main", "two", gittest.Files{"a": "1\n2\n3\n4\n5\n6\n7\nnew\n", "b": gittest.Deleted})
			d.pull()
			got := d.files()
			delete(got, "c")
			if len(got) != 1 || got["a"] != "mine\n2\n3\n4\n5\n6\n7\nnew\n" {
				t.Errorf("%q", got)
			}
			if list, err := d.p.Backups(d.folder); err != nil || len(list) == 0 {
				t.Errorf("%+v %v", list, err)
			}
		})
	}
}

func (d *desk) rename(to string) {
	d.t.Helper()
	to = filepath.Join(filepath.Dir(d.folder), to)
	if err := os.Rename(d.folder, to); err != nil {
		d.t.Fatal(err)
	}
	d.folder = to
}

// undated makes a state one of a disk that tells no birth times.
func (d *desk) undated() {
	d.t.Helper()
	st, _, err := d.p.peek(d.folder)
	if err != nil || st == nil {
		d.t.Fatal(st, err)
	}
	st.rec.Identity.Born = 0
	if err := st.save(); err != nil {
		d.t.Fatal(err)
	}
}

// TestNotTheSameFolder: a copy, and another folder that got the number of one that is
// gone, are not taken for it; nor is one whose first folder is still there.
func TestNotTheSameFolder(t *testing.T) {
	for _, how := range []string{"copy", "number", "both"} {
		t.Run(how, func(t *testing.T) {
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": "1"})
			d.pull()
			first := d.folder
			st, _, err := d.p.peek(first)
			if err != nil {
				t.Fatal(err)
			}
			d.folder = filepath.Join(d.home, "other")
			if how == "both" {
				d.folder = first
			} else if out, err := exec.Command("cp", "-a", first, d.folder).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			d.remove(".git")
			if how == "number" {
				if err := os.RemoveAll(first); err != nil {
					t.Fatal(err)
				}
				st.rec.Identity = identityOf(d.folder)
				st.rec.Identity.Born = 0
				if err := st.save(); err != nil {
					t.Fatal(err)
				}
				d.write("../number", st.id)
				os.Rename(filepath.Join(d.home, "number"), d.p.key("folders", identityOf(d.folder).name()))
			}
			if got, err := d.p.renamed(d.folder); got != nil || err != nil {
				t.Errorf("%+v %v", got, err)
			}
			d.pull()
			d.want(map[string]string{"a": "1"})
		})
	}
}
