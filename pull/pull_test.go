package pull

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// A desk is a user's home with a puller, and a source.
type desk struct {
	t      *testing.T
	p      *Puller
	home   string
	src    *gittest.Repo
	folder string
	ref    string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	home := gittest.TempDir(t)
	g, err := plumbing.Find(os.Getenv, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	g.Protocols = "file"
	return &desk{
		t: t, home: home, src: gittest.New(t), folder: filepath.Join(home, "lab-3"),
		p: &Puller{Git: g, Home: filepath.Join(home, ".local/share/daypass/pulls"), UserHome: home, Now: time.Now, Rand: rand.Reader, Patience: 300 * time.Millisecond},
	}
}

func (d *desk) ask() Ask {
	return Ask{URL: "file://" + d.src.Dir, Ref: d.ref, Folder: d.folder, Root: d.home, Depth: 1}
}

func (d *desk) pull() Report {
	d.t.Helper()
	r, err := d.p.Pull(d.t.Context(), d.ask())
	if err != nil {
		d.t.Fatalf("pull: %v", err)
	}
	return r
}

func (d *desk) write(path, data string) {
	d.t.Helper()
	path = filepath.Join(d.folder, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) remove(path string) {
	d.t.Helper()
	if err := os.RemoveAll(filepath.Join(d.folder, path)); err != nil {
		d.t.Fatal(err)
	}
}

// files returns what is in the folder: "link -> x" for links, a mark for what may
// be executed.
func (d *desk) files() map[string]string { return filesIn(d.t, d.folder) }

func filesIn(t *testing.T, folder string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(folder, path)
		if e.IsDir() {
			if e.Name() == ".git" {
				return filepath.SkipDir
			}
			return nil
		}
		if e.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			out[rel] = "link -> " + to
			return err
		}
		data, err := os.ReadFile(path)
		if fi, _ := e.Info(); fi.Mode()&0o100 != 0 {
			rel += "*"
		}
		out[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (d *desk) want(want map[string]string) {
	d.t.Helper()
	if got := d.files(); !maps.Equal(got, want) {
		d.t.Errorf("the folder has %q\nwant %q", got, want)
	}
}

// git runs git as the user would, and reports what it says.
func (d *desk) git(args ...string) string {
	d.t.Helper()
	return strings.TrimSpace(gittest.Run(d.t, d.folder, args...))
}

func (d *desk) sound() {
	d.t.Helper()
	cmd := exec.Command("git", "fsck", "--strict", "--no-dangling")
	cmd.Dir, cmd.Env = d.folder, gittest.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Errorf("git fsck: %v\n%s", err, out)
	}
}

func (d *desk) status(want ...string) {
	d.t.Helper()
	got := strings.Split(strings.TrimRight(gittest.Run(d.t, d.folder, "status", "--porcelain"), "\n"), "\n")
	if got[0] == "" {
		got = nil
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("git status says %q, want %q", got, want)
	}
}

func TestFresh(t *testing.T) {
	d := newDesk(t)
	commit := d.src.Commit("main", "one", gittest.Files{"a.txt": "a\n", "100755:bin/run": "#!/bin/sh\n", "120000:l": "a.txt", "d/é f": "x"})
	r := d.pull()
	d.want(map[string]string{"a.txt": "a\n", "bin/run*": "#!/bin/sh\n", "l": "link -> a.txt", "d/é f": "x"})
	if !r.Fresh || r.New != commit || r.Sentence() != "lab-3 is here: 4 files." {
		t.Errorf("report %+v, %q", r, r.Sentence())
	}
	d.sound()
	d.status()
	if got := d.git("rev-parse", "HEAD"); got != commit {
		t.Errorf("HEAD is %s", got)
	}
	if got := d.git("log", "--oneline", "origin/main"); strings.Count(got, "\n") != 0 {
		t.Errorf("log: %s", got)
	}
	if r := d.pull(); !r.Same || r.Sentence() != "lab-3 is up to date." {
		t.Errorf("second pull: %+v", r)
	}
}

func TestUpdate(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a.txt": "1\n2\n3\n4\n5\n", "b.txt": "b\n", "gone.txt": "g\n", "del.txt": "d\n"})
	d.pull()
	d.write("a.txt", "1\n2\n3\n4\nfive\n")
	d.write("new.txt", "mine\n")
	d.remove("del.txt")
	commit := d.src.Commit("main", "two", gittest.Files{"a.txt": "one\n2\n3\n4\n5\n", "b.txt": "b2\n", "gone.txt": gittest.Deleted, "new.txt": "theirs\n"})
	r := d.pull()
	got := d.files()
	for name, data := range got {
		if strings.HasPrefix(name, "new__") && data == "mine\n" {
			delete(got, name)
		}
	}
	want := map[string]string{"a.txt": "one\n2\n3\n4\nfive\n", "b.txt": "b2\n", "new.txt": "theirs\n", "del.txt": "d\n"}
	if !maps.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	t.Logf("%+v", r)
	if r.New != commit || r.Undo == "" {
		t.Errorf("%+v", r)
	}
	d.sound()
	if got := d.git("log", "--format=%s"); got != "two\none" {
		t.Errorf("the history is %q", got)
	}
	if got := d.git("rev-parse", "HEAD", "main", "origin/main"); got != strings.Repeat(commit+"\n", 2)+commit {
		t.Errorf("refs: %s", got)
	}
	if r := d.pull(); !r.Same {
		t.Errorf("second pull: %+v", r)
	}
}

func TestUndo(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a.txt": "1\n2\n3\n4\n5\n", "b.txt": "b\n", "gone.txt": "g\n", "100755:x": "x"})
	d.pull()
	d.write("a.txt", "1\n2\n3\n4\nfive\n")
	d.write("new.txt", "mine\n")
	before := d.files()
	head := d.git("rev-parse", "HEAD")
	d.src.Commit("main", "two", gittest.Files{"a.txt": "one\n2\n3\n4\n5\n", "b.txt": "b2\n", "gone.txt": gittest.Deleted, "new.txt": "theirs\n"})
	d.pull()
	after := d.files()
	r, err := d.p.Undo(t.Context(), d.folder)
	if err != nil || !r.Undone {
		t.Fatal(r, err)
	}
	d.want(before)
	if got := d.git("rev-parse", "HEAD"); got != head {
		t.Errorf("HEAD is %s, was %s", got, head)
	}
	d.status(" M a.txt", "?? new.txt")
	if r, err := d.p.Undo(t.Context(), d.folder); err != nil || len(r.Changes) != 0 {
		t.Errorf("a second undo: %+v, %v", r, err)
	}
	d.pull()
	got := d.files()
	for name := range got {
		if strings.HasPrefix(name, "new__") {
			delete(got, name)
		}
	}
	for name := range after {
		if strings.HasPrefix(name, "new__") {
			delete(after, name)
		}
	}
	if !maps.Equal(got, after) {
		t.Errorf("pulled again: %q, want %q", got, after)
	}
	d.sound()
}

func TestResetAndRecover(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a/b.txt": "theirs\n", "c": "c"})
	d.pull()
	d.write("a/b.txt", "mine\n")
	r, err := d.p.Reset(t.Context(), d.folder, "a/b.txt")
	if err != nil || len(r.Changes) != 1 {
		t.Fatal(r, err)
	}
	d.want(map[string]string{"a/b.txt": "theirs\n", "c": "c"})
	list, err := d.p.Backups(d.folder)
	if err != nil || len(list) != 1 || list[0].Files[0] != (BackupFile{"a/b.txt", 5}) {
		t.Fatal(list, err)
	}
	var b strings.Builder
	if err := d.p.Recover(t.Context(), d.folder, list[0].ID, "a/b.txt", &b); err != nil || b.String() != "mine\n" {
		t.Errorf("recovered %q, %v", b.String(), err)
	}
	if _, err := d.p.Restore(t.Context(), d.folder, list[0].ID, "a/b.txt"); err != nil {
		t.Error(err)
	}
	d.want(map[string]string{"a/b.txt": "mine\n", "c": "c"})
	b.Reset()
	if err := d.p.Upstream(t.Context(), d.folder, "a/b.txt", &b); err != nil || b.String() != "theirs\n" {
		t.Errorf("upstream's %q, %v", b.String(), err)
	}
	st, ok, err := d.p.State(d.folder)
	if err != nil || !ok || st.Source != "file://"+d.src.Dir {
		t.Error(st, ok, err)
	}
}

// TestFreshMany: two write at a time what is many files, each in folders of the other
// too; what is written is told of.
func TestFreshMany(t *testing.T) {
	d := newDesk(t)
	want := map[string]string{}
	files := gittest.Files{"120000:dir0/link": "in/7", "100755:dir1/run": "run"}
	for i := range 600 {
		name := fmt.Sprintf("dir%d/in/%d", i%7, i)
		files[name] = strings.Repeat(fmt.Sprintf("%d ", i), i*i%5000)
		want[name] = files[name]
	}
	want["dir0/link"], want["dir1/run*"] = "link -> in/7", "run"
	d.src.Commit("main", "one", files)
	ask, told := d.ask(), []int64{}
	ask.Events = func(e Event) {
		if e.Phase == Writing && e.FilesTotal > 0 {
			told = append(told, e.Files)
		}
	}
	if _, err := d.p.Pull(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	d.want(want)
	d.status()
	d.noLeftovers()
	if len(told) != 10 || !slices.IsSorted(told) || told[9] != 602 {
		t.Errorf("told %v", told)
	}
	if r := d.pull(); !r.Same {
		t.Errorf("second pull: %+v", r)
	}
}
