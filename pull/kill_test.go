package pull

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// errand is what the child that is killed is to do.
type errand struct {
	Home, Folder, URL string
	Undo, Backup      bool
	Content           string // a file that a folder of content was saved to; "": git
	Include           []string
	At                int64 // the step at which it kills itself
}

// TestKilled is that child: this test's binary again.
func TestKilled(t *testing.T) {
	text := os.Getenv("DAYPASS_TEST_ERRAND")
	if text == "" {
		t.Skip("only a child does this")
	}
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	d.p.Home, d.p.UserHome = filepath.Join(e.Home, ".local/share/daypass/pulls"), e.Home
	var n atomic.Int64
	d.p.step = func(string) error {
		if n.Add(1) == e.At {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	if e.Undo {
		if _, err := d.p.Undo(t.Context(), e.Folder); err != nil {
			t.Fatal(err)
		}
		return
	}
	a := Ask{URL: e.URL, Folder: e.Folder, Root: e.Home, Depth: 1, Backup: e.Backup}
	if e.Content != "" {
		a.Content, a.Include = loadContent(t, d, e.Content), e.Include
	}
	if _, err := d.p.Pull(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

// dies runs the errand in a child; false means it came to its end.
func (e errand) dies(t *testing.T) bool {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "DAYPASS_TEST_ERRAND="+string(text))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("step %d: %v\n%s", e.At, err, out)
	}
	return true
}

func kills() map[string]struct {
	have   func(d *desk)
	errand errand
} {
	type row = struct {
		have   func(d *desk)
		errand errand
	}
	edit := func(d *desk) {
		d.write("a", long("9 mine"))
		d.write("new/x", "mine, untracked")
		d.write("dir", "a file of mine")
		d.remove("d/deleted")
		d.write("move", long("1 moved by me"))
		d.src.Commit("main", "two", gittest.Files{
			"a": long("1 theirs"), "b": "b2", "gone": gittest.Deleted, "new": "a file of theirs", "dir/in/y": "theirs",
			"move": gittest.Deleted, "moved": long("9 by them"), "f": gittest.Deleted, "f/g": "2", "100755:run": "run 2",
		})
	}
	first := func(d *desk) {
		d.src.Commit("main", "one", gittest.Files{
			"a": long(), "b": "b", "gone": "g", "d/deleted": "d", "move": long(), "f": "1", "run": "run",
		})
	}
	return map[string]row{
		"fresh":      {func(d *desk) { first(d) }, errand{}},
		"fill":       {func(d *desk) { first(d); os.Mkdir(d.folder, 0o700) }, errand{}},
		"update":     {func(d *desk) { first(d); d.pull(); edit(d) }, errand{}},
		"taken over": {func(d *desk) { first(d); d.clone("--depth", "1"); edit(d) }, errand{}},
		"committed":  {func(d *desk) { first(d); d.pull(); d.write("b", "mine"); d.git("commit", "-qam", "mine"); edit(d) }, errand{}},
		"no .git":    {func(d *desk) { first(d); d.pull(); edit(d); d.remove(".git") }, errand{}},
		"unfinished": {func(d *desk) {
			first(d)
			d.pull()
			d.write("a", long("5 mine"))
			d.git("commit", "-qam", "mine")
			d.src.Commit("main", "two", gittest.Files{"a": long("5 theirs")})
			d.try("fetch", "-q")
			d.try("merge", "origin/main")
			d.src.Commit("main", "three", gittest.Files{"c": "c"})
		}, errand{}},
		"undo":   {func(d *desk) { first(d); d.pull(); edit(d); d.pull(); d.write("b", "after") }, errand{Undo: true}},
		"backup": {func(d *desk) { first(d); d.pull(); edit(d) }, errand{Backup: true}},
	}
}

// TestKillEverywhere kills a pull before each of its changes, runs it again, and
// wants what an undisturbed one gives.
func TestKillEverywhere(t *testing.T) {
	for name, k := range kills() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			k.have(d)
			e := k.errand
			e.Home, e.Folder, e.URL = d.home, d.folder, "file://"+d.src.Dir
			d.everyStep(t, e, func() error {
				a := d.ask()
				a.Backup = e.Backup
				r, err := d.p.Pull(t.Context(), a)
				if r.Same {
					t.Errorf("nobody was told what came: %+v", r)
				}
				return err
			}, func() {
				d.sound()
				if e.Undo {
					return
				}
				if r := d.pull(); !r.Same {
					t.Errorf("the next pull did something: %+v", r)
				}
			})
		})
	}
}

// TestWentOnAfterKill is a user who goes on in a folder whose pull was killed.
func TestWentOnAfterKill(t *testing.T) {
	for name, goOn := range map[string]func(d *desk){
		"commits":      func(d *desk) { d.write("c", "mine"); d.git("add", "c"); d.git("commit", "-qm", "mine") },
		"removes .git": func(d *desk) { d.remove(".git") },
		"edits":        func(d *desk) { d.write("a", long("1 after")) },
		"removes all":  func(d *desk) { d.remove("") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
			d.pull()
			d.src.Commit("main", "two", gittest.Files{"a": long("9 theirs"), "b": "b2"})
			saved := filepath.Join(gittest.TempDir(t), "saved")
			copyTree(t, d.home, saved)
			e := errand{Home: d.home, Folder: d.folder, URL: "file://" + d.src.Dir}
			for e.At = 1; ; e.At++ {
				copyTree(t, saved, d.home)
				if !e.dies(t) {
					return
				}
				goOn(d)
				d.pull()
				got := d.files()
				if got["a"] != long("9 theirs") && got["a"] != long("1 after", "9 theirs") && (name != "edits" || got["a"] != long("1 after")) || got["b"] != "b2" {
					t.Fatalf("killed at step %d: %q", e.At, got)
				}
				d.sound()
				if r := d.pull(); !r.Same {
					t.Fatalf("killed at step %d: %+v", e.At, r)
				}
				if name == "commits" {
					d.status()
				}
				if t.Failed() {
					t.Fatalf("killed at step %d", e.At)
				}
			}
		})
	}
}

// everyStep kills the errand at each of its steps, in the home as it is now, has it run to
// its end, and wants what an undisturbed one gives, and settled to find nothing.
func (d *desk) everyStep(t *testing.T, e errand, pull func() error, settled func()) {
	t.Helper()
	saved := filepath.Join(gittest.TempDir(t), "saved")
	copyTree(t, d.home, saved)
	versions := map[string]string{}
	if exists(d.folder) {
		versions = d.files()
	}
	if e.dies(t) {
		t.Fatal("it died of nothing")
	}
	want := named(d.files())
	for e.At = 1; ; e.At++ {
		copyTree(t, saved, d.home)
		if !e.dies(t) {
			break
		}
		if d.after(e, want, versions, pull) {
			settled()
		}
		if t.Failed() {
			t.Fatalf("killed at step %d", e.At)
		}
	}
	t.Logf("%d steps", e.At-1)
}

// after runs the errand to its end and looks at what is there.
func (d *desk) after(e errand, want, versions map[string]string, pull func() error) bool {
	d.t.Helper()
	if !e.Undo {
		if err := pull(); err != nil {
			d.t.Errorf("pull: %v", err)
			return false
		}
	} else if !maps.Equal(named(d.files()), want) {
		if _, err := d.p.Undo(d.t.Context(), d.folder); err != nil {
			d.t.Errorf("undo: %v", err)
			return false
		}
	}
	if got := named(d.files()); !maps.Equal(got, want) {
		d.t.Errorf("got  %q\nwant %q", got, want)
	}
	d.nothingLost(versions)
	d.noLeftovers()
	return true
}

// nothingLost holds that every content that was on the disk is there still, or in
// a backup, or in a folder that was set aside.
func (d *desk) nothingLost(versions map[string]string) {
	d.t.Helper()
	have := map[string]bool{}
	for _, data := range d.files() {
		have[data] = true
	}
	aside, _ := filepath.Glob(d.folder + "_backup_*")
	for _, dir := range aside {
		for _, data := range filesIn(d.t, dir) {
			have[data] = true
		}
	}
	var missing []string
	for name, data := range versions {
		if !have[data] {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return
	}
	list, err := d.p.Backups(d.folder)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, b := range list {
		for _, f := range b.Files {
			var text strings.Builder
			if err := d.p.Recover(d.t.Context(), d.folder, b.ID, f.Path, &text); err != nil {
				d.t.Errorf("%s of %s: %v", f.Path, b.ID, err)
			}
			have[text.String()] = true
			have["link -> "+text.String()] = true
		}
	}
	for _, name := range missing {
		if !have[versions[name]] {
			d.t.Errorf("lost: %s, %q", name, versions[name])
		}
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	os.RemoveAll(to)
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("cp: %w: %s", err, out))
	}
}
