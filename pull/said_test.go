package pull

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// TestResetMakesRoom: what is in the way of a file that is reset gets a name that is
// free and that a disk takes; and the file is as the source has it.
func TestResetMakesRoom(t *testing.T) {
	for _, name := range []string{"a.txt", strings.Repeat("n", 246) + ".txt"} {
		d := newDesk(t)
		d.src.Commit("main", "one", gittest.Files{name: "source"})
		d.pull()
		for n := range 3 { // all within one second
			d.remove(name)
			d.write(filepath.Join(name, "inside"), "mine "+strings.Repeat("!", n))
			r, err := d.p.Reset(t.Context(), d.folder, name)
			if err != nil {
				t.Fatal(err)
			}
			if r.number(Restored) != 1 || r.number(Aside) != 1 {
				t.Errorf("%+v", r.Changes)
			}
		}
		got := d.files()
		if got[name] != "source" || len(got) != 4 {
			t.Errorf("%q", got)
		}
	}
}

// TestResetAgainstTheUser: somebody writes to the file while it is reset. Either the
// report says that theirs stands, or the file is the source's.
func TestResetAgainstTheUser(t *testing.T) {
	for _, times := range []int{1, 100} {
		d := newDesk(t)
		d.src.Commit("main", "one", gittest.Files{"a": "source"})
		d.pull()
		d.write("a", "mine")
		n := 0
		d.p.step = func(what string) error {
			if what == "put a" && n < times {
				n++
				d.write("a", "again "+strings.Repeat("!", n))
			}
			return nil
		}
		r, err := d.p.Reset(t.Context(), d.folder, "a")
		d.coded(err)
		if is := d.files()["a"] == "source"; is != (err == nil && r.number(Restored) == 1) || is != (times == 1) {
			t.Errorf("%d times: %q, %+v %v", times, d.files(), r, err)
		}
	}
}

// TestNoDefaultBranch: the source's HEAD names a branch that is not there.
func TestNoDefaultBranch(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.src.Git("symbolic-ref", "HEAD", "refs/heads/none")
	problem := d.refused("DP-315")
	if strings.Contains(problem.What, `""`) || !strings.Contains(problem.Why, "main") || !strings.Contains(problem.Next, "branch") {
		t.Errorf("%+v", problem)
	}
}

// TestAutostashSaid: what git had put away for a rebase is in the stash, and the report
// says how to get it.
func TestAutostashSaid(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a\n", "b": "b\n"})
	d.pull()
	d.git("checkout", "-q", "-b", "other")
	d.write("a", "other\n")
	d.git("commit", "-qam", "other")
	d.git("checkout", "-q", "main")
	d.write("a", "main\n")
	d.git("commit", "-qam", "mine")
	d.write("b", "put away\n")
	d.try("rebase", "--autostash", "other")
	d.src.Commit("main", "two", gittest.Files{"c": "c"})
	r := d.pull()
	if text := strings.Join(r.Notes, " "); !strings.Contains(text, "git stash pop") {
		t.Errorf("%q", text)
	}
	if got := d.git("show", "stash@{0}:b"); got != "put away" {
		t.Errorf("%q", got)
	}
}

// TestUndoOfNoFile: an undo that changes no file, and moves HEAD back, says so.
func TestUndoOfNoFile(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	first := d.git("rev-parse", "HEAD")
	d.src.Commit("main", "two", gittest.Files{})
	d.pull()
	r, err := d.p.Undo(t.Context(), d.folder)
	if err != nil || d.git("rev-parse", "HEAD") != first {
		t.Fatal(r, err)
	}
	if s := r.Sentence(); strings.Contains(s, "nothing") {
		t.Errorf("%q", s)
	}
	if r, err = d.p.Undo(t.Context(), d.folder); err != nil || !strings.Contains(r.Sentence(), "nothing") {
		t.Errorf("%q %v", r.Sentence(), err)
	}
}

// TestEveryFailureHasACode breaks what a pull needs, piece by piece: whatever comes of
// it is told with a code.
func TestEveryFailureHasACode(t *testing.T) {
	shut := func(path string) func(d *desk) {
		return func(d *desk) {
			os.Chmod(filepath.Join(d.home, path), 0o500)
			d.t.Cleanup(func() { os.Chmod(filepath.Join(d.home, path), 0o700) })
		}
	}
	for name, hurt := range map[string]func(d *desk){
		"dangling link":  func(d *desk) { d.remove(""); os.Symlink("nowhere", d.folder) },
		"link loop":      func(d *desk) { d.remove(""); os.Symlink(d.folder, d.folder) },
		"a file":         func(d *desk) { d.remove(""); os.WriteFile(d.folder, nil, 0o600) },
		"no home":        func(d *desk) { os.RemoveAll(d.p.Home); os.WriteFile(d.p.Home, nil, 0o600) },
		"home a file":    func(d *desk) { os.RemoveAll(d.p.Home + "/locks"); os.WriteFile(d.p.Home+"/locks", nil, 0o600) },
		"state a folder": func(d *desk) { os.Remove(d.stateDir() + "/state.json"); os.Mkdir(d.stateDir()+"/state.json", 0o700) },
		"facts a folder": func(d *desk) { os.Remove(d.stateDir() + "/delivered"); os.Mkdir(d.stateDir()+"/delivered", 0o700) },
		"journal folder": func(d *desk) { os.Mkdir(d.stateDir()+"/journal.json", 0o700) },
		"backups a file": func(d *desk) {
			os.RemoveAll(d.stateDir() + "/backups")
			os.WriteFile(d.stateDir()+"/backups", nil, 0o600)
		},
		"repo a file": func(d *desk) {
			os.RemoveAll(d.stateDir() + "/repo.git")
			os.WriteFile(d.stateDir()+"/repo.git", nil, 0o600)
		},
		"no objects": func(d *desk) { os.RemoveAll(d.stateDir() + "/repo.git/objects") },
		"pack a folder": func(d *desk) {
			os.RemoveAll(d.folder + "/.git/objects/pack")
			os.WriteFile(d.folder+"/.git/objects/pack", nil, 0o600)
		},
		"index a folder": func(d *desk) { d.remove(".git/index"); os.Mkdir(d.folder+"/.git/index", 0o700) },
		"refs a file":    func(d *desk) { d.remove(".git/refs"); d.write(".git/refs", "") },
		"log a folder":   func(d *desk) { d.remove(".git/logs/HEAD"); os.MkdirAll(d.folder+"/.git/logs/HEAD", 0o700) },
		"shut state":     shut(".local/share/daypass/pulls"),
		"shut folder":    shut("lab-3"),
		"shut .git":      shut("lab-3/.git"),
		"no source":      func(d *desk) { os.RemoveAll(d.src.Dir) },
		"source is junk": func(d *desk) { os.RemoveAll(d.src.Dir + "/objects") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": "a", "d/b": "b"})
			d.pull()
			d.src.Commit("main", "two", gittest.Files{"a": "a2", "c": "c"})
			d.write("d/b", "mine")
			hurt(d)
			for _, depth := range []int{1, 0} {
				a := d.ask()
				a.Depth = depth
				_, err := d.p.Pull(t.Context(), a)
				t.Logf("pull: %v", err)
				d.coded(err)
			}
			_, err := d.p.Undo(t.Context(), d.folder)
			d.coded(err)
			_, err = d.p.Reset(t.Context(), d.folder, "a")
			d.coded(err)
			_, err = d.p.Backups(d.folder)
			d.coded(err)
			_, _, err = d.p.State(d.folder)
			d.coded(err)
			d.coded(d.p.Recover(t.Context(), d.folder, "20260101-000000", "a", &strings.Builder{}))
			d.coded(d.p.Upstream(t.Context(), d.folder, "a", &strings.Builder{}))
			_, err = d.p.Restore(t.Context(), d.folder, "20260101-000000", "a")
			d.coded(err)
		})
	}
}
