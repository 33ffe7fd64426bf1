package pull

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/contenttest"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

const killLimit = 1000

// loadContent is the content of a process that is killed.
func loadContent(t *testing.T, d *desk, file string) Content {
	t.Helper()
	up, err := contenttest.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return Read(snapshot.Content{Contents: up, Limits: snapshot.Limits{File: killLimit}, Now: d.p.Now}, contenttest.Source())
}

// TestContentKillEverywhere kills a pull before each of its changes, runs it again, and
// wants what an undisturbed one gives.
func TestContentKillEverywhere(t *testing.T) {
	type ids = map[string]string
	first := func(d *shared) ids {
		out := ids{}
		for name, data := range map[string]string{"a": long(), "b": "b", "gone": "g", "d/deleted": "d", "move": long(), "f": "1", "x": "one", "y": "two", "same": "same", "big": strings.Repeat("b", 2*killLimit)} {
			out[name] = d.up.Add(name, data)
		}
		return out
	}
	edit := func(d *shared, id ids) {
		d.write("a", long("9 mine"))
		d.write("new/x", "mine, untracked")
		d.write("dir", "a file of mine")
		d.remove("d/deleted")
		d.write("move", long("1 moved by me"))
		d.write("x", "one, mine")
		d.up.Edit(id["a"], long("1 theirs"))
		d.up.Edit(id["b"], "b2")
		d.up.Remove(id["gone"], id["f"])
		d.up.Add("new", "a file of theirs")
		d.up.Add("dir/in/y", "theirs")
		d.up.Add("f/g", "2")
		d.up.Move(id["move"], "moved")
		d.up.Move(id["x"], "y")
		d.up.Move(id["y"], "x")
	}
	rows := map[string]struct {
		have   func(d *shared)
		errand errand
	}{
		"fresh":   {func(d *shared) { first(d) }, errand{}},
		"update":  {func(d *shared) { id := first(d); d.pull(); edit(d, id) }, errand{}},
		"adopted": {func(d *shared) { d.write("a", long("9 mine")); d.write("f/mine", "x"); first(d) }, errand{}},
		"include": {func(d *shared) { first(d); d.pull() }, errand{Include: []string{"big"}}},
		"undo":    {func(d *shared) { id := first(d); d.pull(); edit(d, id); d.pull(); d.write("b", "after") }, errand{Undo: true}},
		"backup":  {func(d *shared) { id := first(d); d.pull(); edit(d, id) }, errand{Backup: true}},
		"deleted": {func(d *shared) { first(d); d.pull(); d.remove("same"); d.remove("d") }, errand{}},
	}
	for name, k := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newShared(t)
			d.p.Limits.File = killLimit
			k.have(d)
			state := filepath.Join(gittest.TempDir(t), "folder.json")
			if err := d.up.Save(state); err != nil {
				t.Fatal(err)
			}
			e := k.errand
			e.Home, e.Folder, e.Content = d.home, d.folder, state
			d.a.Include = e.Include
			d.everyStep(t, e, func() error {
				d.a.Backup = e.Backup
				_, err := d.try()
				d.a.Backup = false
				return err
			}, func() {
				if !e.Undo {
					d.settled()
				}
			})
		})
	}
}

// TestContentBackupKilled is a user who pulls on without --backup where a pull with it
// was killed: the folder that is there is the one that it was, or the fresh one.
func TestContentBackupKilled(t *testing.T) {
	for at := int64(1); ; at++ {
		d := newShared(t)
		d.p.Limits.File = killLimit
		a := d.up.Add("a", long())
		d.pull()
		d.write("a", long("9 mine"))
		d.up.Edit(a, long("1 theirs"))
		state := filepath.Join(gittest.TempDir(t), "folder.json")
		if err := d.up.Save(state); err != nil {
			t.Fatal(err)
		}
		versions := d.files()
		e := errand{Home: d.home, Folder: d.folder, Content: state, Backup: true, At: at}
		if !e.dies(t) {
			if at < 8 {
				t.Errorf("%d steps", at)
			}
			return
		}
		aside, _ := filepath.Glob(d.folder + "_backup_*")
		want := long("1 theirs", "9 mine")
		if len(aside) > 0 {
			want = long("1 theirs")
		}
		d.pull()
		if got := d.files()["a"]; got != want {
			t.Errorf("killed at %d, with %q: %q", at, aside, got)
		}
		d.nothingLost(versions)
		d.settled()
		if t.Failed() {
			return
		}
	}
}
