package pull

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// packs are the packs of all repositories of ours.
func (d *desk) packs() []string {
	d.t.Helper()
	found, err := filepath.Glob(filepath.Join(d.p.Home, "*", "repo.git", "objects", "pack", "*"))
	if err != nil || len(found) == 0 {
		d.t.Fatal(found, err)
	}
	return found
}

// TestClockAhead: what was written while the clock was ahead hides nothing that comes
// when it is right again.
func TestClockAhead(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "one"})
	d.pull()
	for _, data := range []string{"two", "three", "four"} {
		ahead := time.Now().AddDate(1, 0, 0)
		for _, file := range d.packs() {
			os.Chtimes(file, ahead, ahead)
		}
		d.src.Commit("main", data, gittest.Files{"a": data})
		d.pull()
		d.sound()
		d.status()
	}
}

// TestObjectsGone: a pull does not call a folder up to date whose HEAD names what is
// not there.
func TestObjectsGone(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "one"})
	d.pull()
	d.src.Commit("main", "two", gittest.Files{"a": "two"})
	d.pull()
	packs, _ := filepath.Glob(filepath.Join(d.folder, ".git/objects/pack/*"))
	loose, _ := filepath.Glob(filepath.Join(d.folder, ".git/objects/??/*"))
	for _, file := range append(packs, loose...) {
		os.Remove(file)
	}
	if len(packs)+len(loose) == 0 {
		t.Fatal("nothing is broken")
	}
	if r := d.pull(); !r.Same {
		t.Errorf("%+v", r)
	}
	// Here git would have fetched them by itself; where there is no network it cannot.
	for _, file := range packs {
		if strings.HasSuffix(file, ".idx") && !exists(file) {
			t.Errorf("%s is not there again", filepath.Base(file))
		}
	}
	d.sound()
	d.status()
}

// TestAfterGC: git gc in the folder costs one pull a few links, and no more.
func TestAfterGC(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "one"})
	d.pull()
	d.src.Commit("main", "two", gittest.Files{"a": "two"})
	d.pull()
	links := 0
	d.p.step = func(what string) error {
		if what == "link" {
			links++
		}
		return nil
	}
	for range 2 {
		d.git("gc", "-q", "--prune=now")
		for range 3 {
			if r := d.pull(); !r.Same {
				t.Errorf("%+v", r)
			}
		}
	}
	if links > 2 {
		t.Errorf("%d of 6 pulls mended something", links)
	}
	d.src.Commit("main", "three", gittest.Files{"a": "three"})
	d.pull()
	d.git("gc", "-q", "--prune=now")
	d.sound()
	d.status()
}

// TestBackupsStayOurs: what is kept of the user's own files does not get into the
// folder's repository, which others may read.
func TestBackupsStayOurs(t *testing.T) {
	for _, files := range []int{1, 20} {
		d := newDesk(t)
		d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
		d.pull()
		d.write("a", long("9 secret"))
		second := gittest.Files{"a": long("1 two")}
		for i := range files {
			name := "n" + strings.Repeat("x", i)
			d.write(name, "secret "+name)
			second[name] = "theirs"
		}
		d.src.Commit("main", "two", second)
		d.pull()
		d.src.Commit("main", "three", gittest.Files{"b": "three"})
		d.pull()
		d.git("gc", "-q", "--prune=now")
		d.pull()
		for _, data := range []string{long("9 secret"), "secret n"} {
			oid, err := plumbing.HashBlob("sha1", int64(len(data)), strings.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if out, err := d.try("cat-file", "-e", string(oid)); err == nil {
				t.Errorf("%d files: the folder's repository has %q %s", files, data, out)
			}
		}
		d.sound()
		if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
			t.Fatal(err)
		}
		if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
			t.Fatal(err)
		}
		if got := d.files(); got["a"] != long("9 secret") || got["n"] != "secret n" {
			t.Errorf("%q", got)
		}
	}
}

// TestObjectsGoWhileListed: git gc takes away folders of objects that it has packed, also
// between our listing them and our reading them. A link to nowhere is such a folder.
func TestObjectsGoWhileListed(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	gone := filepath.Join(d.folder, ".git/objects/zz")
	if err := os.Symlink(filepath.Join(d.home, "nowhere"), gone); err != nil {
		t.Fatal(err)
	}
	d.src.Commit("main", "two", gittest.Files{"a": "a2"})
	d.pull()
	d.want(map[string]string{"a": "a2"})
}
