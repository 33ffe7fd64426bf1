package pull

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/contenttest"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

// A shared is a desk whose source is a folder of a provider.
type shared struct {
	*desk
	up *contenttest.Folder
	a  Ask // what of an ask is unusual
	by *service
}

func newShared(t *testing.T) *shared {
	d := &shared{desk: newDesk(t), up: contenttest.New()}
	d.up.Title = "Physics 142"
	return d
}

func (d *shared) content() Content {
	if d.by != nil {
		return d.by.content()
	}
	return Read(snapshot.Content{Contents: d.up, Limits: d.p.Limits, Now: d.p.Now}, contenttest.Source())
}

func (d *shared) ask() Ask {
	a := d.a
	a.Content, a.Folder, a.Root = d.content(), d.folder, d.home
	return a
}

func (d *shared) try() (Report, error) { return d.p.Pull(d.t.Context(), d.ask()) }

func (d *shared) pull() Report {
	d.t.Helper()
	r, err := d.try()
	if err != nil {
		d.t.Fatalf("pull: %v", err)
	}
	return r
}

// settled holds that another pull does nothing.
func (d *shared) settled() {
	d.t.Helper()
	before := d.files()
	if r := d.pull(); !r.Same || len(r.Changes) > 0 || !maps.Equal(d.files(), before) {
		d.t.Errorf("the next pull did something: %+v", r)
	}
	d.noLeftovers()
}

func (d *shared) refused(code string) *daypass.Problem {
	d.t.Helper()
	r, err := d.try()
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != code {
		d.t.Fatalf("it says %v and %+v, want %s", err, r, code)
	}
	return p
}

func TestContentFresh(t *testing.T) {
	d := newShared(t)
	run := d.up.Add("bin/run", "#!/bin/sh\n")
	d.up.Set(run, func(f *contenttest.File) { f.Exec = true })
	d.up.Add("a.txt", "a\n")
	d.up.Add("week 1/é.ipynb", "{}")
	r := d.pull()
	d.want(map[string]string{"a.txt": "a\n", "bin/run*": "#!/bin/sh\n", "week 1/é.ipynb": "{}"})
	if !r.Fresh || r.Title != "Physics 142" || r.Source != contenttest.Source().String() || r.Sentence() != "lab-3 is here: 3 files." || r.Branch != "" {
		t.Errorf("%+v", r)
	}
	if exists(filepath.Join(d.folder, ".git")) {
		t.Error("a .git was made")
	}
	d.up.Counts()
	if r := d.pull(); !r.Same || r.Sentence() != "lab-3 is up to date." {
		t.Errorf("%+v", r)
	}
	if looks, lists, opens := d.up.Counts(); looks != 1 || lists != 0 || len(opens) != 0 {
		t.Errorf("%d looks, %d lists, %q", looks, lists, opens)
	}
	s, ok, err := d.p.State(d.folder)
	if !ok || err != nil || s.Source != contenttest.Source().String() {
		t.Errorf("%+v %v %v", s, ok, err)
	}
	d.noLeftovers()
}

// TestContentUpdate: everything that a pull of git does.
func TestContentUpdate(t *testing.T) {
	d := newShared(t)
	a := d.up.Add("a.txt", long())
	b := d.up.Add("b.txt", "b")
	gone := d.up.Add("gone.txt", "g")
	mine := d.up.Add("mine.txt", "m")
	d.up.Add("del.txt", "d")
	nb := d.up.Add("x.bin", "\x00one")
	d.up.Add("same", "s")
	d.pull()
	d.write("a.txt", long("9 mine"))
	d.write("new.txt", "mine, new")
	d.write("mine.txt", "changed by me")
	d.write("x.bin", "\x00mine")
	d.remove("del.txt")
	d.up.Edit(a, long("1 theirs"))
	d.up.Edit(b, "b2")
	d.up.Remove(gone, mine)
	d.up.Add("new.txt", "theirs")
	d.up.Edit(nb, "\x00two")
	before := d.files()
	dry := d.a
	d.a.DryRun, d.a.Diff = true, true
	r := d.pull()
	if !strings.Contains(r.Diff, "+b2") || !maps.Equal(d.files(), before) {
		t.Errorf("a dry run: %+v", r)
	}
	d.a = dry
	r = d.pull()
	want := map[string]string{
		"a.txt": long("1 theirs", "9 mine"), "b.txt": "b2", "mine.txt": "changed by me", "del.txt": "d", "new.txt": "theirs", "x.bin": "\x00mine", "same": "s", "new__": "mine, new",
	}
	if got := named(d.files()); !maps.Equal(got, named(want)) && !maps.Equal(stamped(d.files()), want) {
		t.Errorf("got %q, %+v", got, r)
	}
	d.settled()
	var text strings.Builder
	if err := d.p.Upstream(t.Context(), d.folder, "x.bin", &text); err != nil || text.String() != "\x00two" {
		t.Errorf("%q %v", text.String(), err)
	}
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
		t.Fatal(err)
	}
	if got := d.files(); !maps.Equal(got, before) {
		t.Errorf("undone: %q\nwas %q", got, before)
	}
	d.pull()
	if got := stamped(d.files()); !maps.Equal(got, want) {
		t.Errorf("again: %q", got)
	}
	d.settled()
	list, err := d.p.Backups(d.folder)
	if err != nil || len(list) < 2 {
		t.Fatalf("%+v %v", list, err)
	}
	if _, err := d.p.Reset(t.Context(), d.folder, "a.txt"); err != nil || d.files()["a.txt"] != long("1 theirs") {
		t.Errorf("%v %q", err, d.files())
	}
	d.remove("same")
	if r := d.pull(); r.Same || d.files()["same"] != "s" || r.Sentence() != "lab-3 was updated. 1 file you had deleted came back. We kept your version of 1 file." && !strings.Contains(r.Sentence(), "1 file you had deleted came back") {
		t.Errorf("%+v %s", r, r.Sentence())
	}
	d.up.Counts()
	d.remove("same")
	d.pull()
	if _, lists, opens := d.up.Counts(); lists != 0 || len(opens) != 0 || d.files()["same"] != "s" {
		t.Errorf("a deleted file: %d listings, %q", lists, opens)
	}
	d.settled()
}

// stamped drops the times in names.
func stamped(files map[string]string) map[string]string {
	out := map[string]string{}
	for name, data := range files {
		if base, _, ok := strings.Cut(name, "__2"); ok {
			name = base + "__"
		}
		out[name] = data
	}
	return out
}

// TestContentRename: the user's edit moves along, exactly, however unlike the texts are.
func TestContentRename(t *testing.T) {
	d := newShared(t)
	a := d.up.Add("lab.txt", "short\n")
	x, y := d.up.Add("x", "one\n"), d.up.Add("y", "two\n")
	decoy := d.up.Add("other/keep", "k")
	d.pull()
	d.write("lab.txt", "short\nand mine\n")
	d.write("x", "one\nmine\n")
	d.write("y", "two\nmine\n")
	d.up.Move(a, "week 2/quite another.md")
	d.up.Move(x, "y")
	d.up.Move(y, "x")
	d.up.Add("lab copy.txt", "short\nand mine\n") // nearer by its text
	d.up.Remove(decoy)
	r := d.pull()
	d.want(map[string]string{"week 2/quite another.md": "short\nand mine\n", "lab copy.txt": "short\nand mine\n", "y": "one\nmine\n", "x": "two\nmine\n"})
	moved := 0
	for _, c := range r.Changes {
		if c.What == Moved {
			moved++
		}
	}
	if moved != 3 {
		t.Errorf("%+v", r.Changes)
	}
	d.settled()

	d.up.Edit(a, "short, new\n")
	d.up.Move(a, "lab.txt")
	d.pull()
	if got := d.files()["lab.txt"]; !strings.Contains(got, "mine") {
		t.Errorf("%q", d.files())
	}
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
		t.Fatal(err)
	}
	if got := d.files()["week 2/quite another.md"]; got != "short\nand mine\n" {
		t.Errorf("undone: %q", d.files())
	}
	d.pull()
	d.settled()

	// A file that was removed is no rename of one that is alike.
	d.up.Remove(a)
	d.up.Add("new lab.txt", "short, new\nand more\n")
	d.pull()
	if got := d.files(); got["new lab.txt"] != "short, new\nand more\n" || got["lab.txt"] == "" {
		t.Errorf("%q", got)
	}
}

// TestContentRenamedUntouched: a file that the user has not changed is told as moved, and
// as changed where it is, and not as one that went and another that came.
func TestContentRenamedUntouched(t *testing.T) {
	d := newShared(t)
	same, other := d.up.Add("same.txt", "same\n"), d.up.Add("old.txt", long())
	a, b := d.up.Add("a", "of a\n"), d.up.Add("b", "of b\n")
	next := d.up.Add("c1", "of c\n")
	mine, gone, theirs := d.up.Add("mine.txt", long()), d.up.Add("gone.txt", "g\n"), d.up.Add("way.txt", "w\n")
	for i := range 9 { // so that no more than half of them vanish
		d.up.Add(fmt.Sprint("rest ", i), "r")
	}
	d.pull()
	d.write("mine.txt", long("9 mine"))
	d.remove("gone.txt")
	d.write("in the way.txt", "mine, too")
	before := d.files()
	d.up.Move(same, "week 1/same.txt")
	d.up.Move(other, "new.txt")
	d.up.Edit(other, "quite another text\n")
	d.up.Move(a, "b")
	d.up.Move(b, "a")
	d.up.Edit(b, "of b, changed\n")
	d.up.Move(next, "c2")
	d.up.Add("c1", "another c\n")
	d.up.Move(mine, "moved mine.txt")
	d.up.Edit(mine, long("1 theirs"))
	d.up.Move(gone, "not gone.txt")
	d.up.Move(theirs, "in the way.txt")
	r := d.pull()
	var got []string
	for _, c := range r.Changes {
		got = append(got, fmt.Sprintf("%s %s<%s", c.What, c.Path, c.From))
	}
	slices.Sort(got)
	for i, g := range got {
		if name, from, ok := strings.Cut(g, "__2"); ok {
			got[i] = name + "__" + from[strings.Index(from, "."):]
		}
	}
	want := []string{
		"aside in the way__.txt<in the way.txt", "came not gone.txt<", "changed a<b", "changed c1<", "changed new.txt<old.txt", "merged moved mine.txt<mine.txt",
		"moved a<b", "moved b<a", "moved c2<c1", "moved in the way.txt<way.txt", "moved moved mine.txt<mine.txt", "moved new.txt<old.txt", "moved week 1/same.txt<same.txt",
	}
	if !slices.Equal(got, want) {
		t.Errorf("it tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	after := stamped(d.files())
	for name, data := range map[string]string{
		"moved mine.txt": long("1 theirs", "9 mine"), "new.txt": "quite another text\n", "a": "of b, changed\n", "b": "of a\n", "c1": "another c\n", "c2": "of c\n",
		"week 1/same.txt": "same\n", "in the way.txt": "w\n", "in the way__": "mine, too", "not gone.txt": "g\n",
	} {
		if after[name] != data {
			t.Errorf("%s is %q", name, after[name])
		}
	}
	if len(after) != 9+10 {
		t.Errorf("something is there twice: %q", after)
	}
	d.settled()
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil || !maps.Equal(d.files(), before) {
		t.Errorf("undone: %v %q", err, d.files())
	}
}

// TestContentAdopts takes up a folder that the user has made.
func TestContentAdopts(t *testing.T) {
	d := newShared(t)
	d.write("a", "the same")
	d.write("b", "mine")
	d.up.Add("a", "the same")
	b := d.up.Add("b", "theirs")
	d.up.Add("c", "c")
	d.pull()
	d.want(map[string]string{"a": "the same", "b": "mine", "c": "c"})
	d.settled()
	d.up.Edit(b, "theirs 2")
	d.pull()
	d.want(map[string]string{"a": "the same", "b": "mine", "c": "c"})
	d.settled()
}

// TestContentRefused: a folder that is something else's stays so.
func TestContentRefused(t *testing.T) {
	d := newShared(t)
	d.up.Add("a", "a")
	d.src.Commit("main", "one", gittest.Files{"g": "g"})
	if r := d.desk.pull(); !r.Fresh {
		t.Fatal(r)
	}
	before := d.files()
	d.refused("DP-331")
	d.remove(".git")
	d.refused("DP-465") // it is known by its path
	if !maps.Equal(d.files(), before) {
		t.Errorf("%q", d.files())
	}

	d = newShared(t)
	d.up.Add("a", "a")
	gittest.Run(t, d.home, "init", "-q", d.folder)
	d.refused("DP-331")
	os.WriteFile(filepath.Join(d.folder, ".git", "HEAD"), nil, 0o666)
	d.refused("DP-335")

	d = newShared(t)
	d.up.Add("a", "a")
	d.src.Commit("main", "one", gittest.Files{"g": "g"})
	d.pull()
	_, err := d.p.Pull(t.Context(), d.desk.ask())
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != "DP-465" || !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("git over content: %v", err)
	}
	other := d.ask()
	s := contenttest.Source()
	s.ID = "another"
	other.Content = Read(snapshot.Content{Contents: d.up, Now: d.p.Now}, s)
	if _, err := d.p.Pull(t.Context(), other); !errors.As(err, &p) || p.Code != "DP-465" {
		t.Errorf("another folder's content: %v", err)
	}
	s = contenttest.Source()
	s.Ref = "v2"
	other.Content = Read(snapshot.Content{Contents: d.up, Now: d.p.Now}, s)
	if r, err := d.p.Pull(t.Context(), other); err != nil || !r.Same {
		t.Errorf("another state of it: %+v %v", r, err)
	}
	d.want(map[string]string{"a": "a"})
}

// TestContentLed: a folder that came by a link goes where that very link leads, and what
// the user made stays theirs. One that came otherwise does not.
func TestContentLed(t *testing.T) {
	d := newShared(t)
	d.a.Via, d.a.Service = "link:lab-1", "https://hub.example.org/services/daypass"
	d.up.Add("a", "a")
	d.up.Add("both", long())
	d.up.Add("gone", "g")
	d.up.Add("changed", "c")
	d.pull()
	d.write("changed", "mine")
	d.write("notes", "mine too")
	before := d.files()

	right := contenttest.New()
	right.Title = "Physics 143"
	right.Add("both", long()+"more\n")
	right.Add("new", "n")
	s := contenttest.Source()
	s.Kind, s.Host, s.ID = daypass.KindDrive, "drive.google.com", "fRight"
	led := d.ask()
	led.Content = Read(snapshot.Content{Contents: right, Now: d.p.Now}, s)
	for name, change := range map[string]func(*Ask){
		"another link":            func(a *Ask) { a.Via = "link:lab-2" },
		"another service":         func(a *Ask) { a.Service = "https://hub.example.com/services/daypass" },
		"no link":                 func(a *Ask) { a.Via, a.Service = "", "" },
		"a link of no service":    func(a *Ask) { a.Service = "" },
		"a source that is no one": func(a *Ask) { a.Via = "service" },
	} {
		a := led
		change(&a)
		_, err := d.p.Pull(t.Context(), a)
		var p *daypass.Problem
		if !errors.As(err, &p) || p.Code != "DP-465" || !strings.Contains(p.Next, " lab-3-2\"") || !maps.Equal(d.files(), before) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dry := led
	dry.DryRun = true
	if r, err := d.p.Pull(t.Context(), dry); err != nil || !maps.Equal(d.files(), before) || len(r.Changes) == 0 {
		t.Errorf("%+v %v", r, err)
	}
	want := map[string]string{"both": long() + "more\n", "new": "n", "changed": "mine", "notes": "mine too"}
	for range 2 { // the second one after it was taken back
		r, err := d.p.Pull(t.Context(), led)
		if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "another source now: “Physics 143”, where it was “Physics 142”") {
			t.Fatalf("%+v %v", r, err)
		}
		d.want(want)
		if r, err := d.p.Pull(t.Context(), led); err != nil || !r.Same || len(r.Notes) > 0 {
			t.Errorf("again: %+v %v", r, err)
		}
		if st, ok, err := d.p.State(d.folder); err != nil || !ok || st.Source != s.String() || st.Service != d.a.Service {
			t.Errorf("%+v %v %v", st, ok, err)
		}
		if _, err := d.p.Undo(t.Context(), d.folder); err != nil || !maps.Equal(d.files(), before) {
			t.Fatalf("taken back: %q %v", d.files(), err)
		}
	}
	d.pull() // and back, for who leads it there
	if !maps.Equal(d.files(), before) {
		t.Errorf("%q", d.files())
	}
	d.noLeftovers()
}

// TestContentOwnGit: a repository that the user makes in the folder is theirs.
func TestContentOwnGit(t *testing.T) {
	d := newShared(t)
	a := d.up.Add("a", "a")
	d.pull()
	gittest.Run(t, d.folder, "init", "-q")
	gittest.Run(t, d.folder, "add", "a")
	gittest.Run(t, d.folder, "commit", "-qm", "mine")
	d.up.Edit(a, "a2")
	d.pull()
	d.want(map[string]string{"a": "a2"})
	d.settled()
	if got := d.git("status", "--porcelain"); got != "M a" {
		t.Errorf("%q", got)
	}
	if exists(filepath.Join(d.folder, ".git", "daypass")) {
		t.Error("something was written into the user's repository")
	}
	if _, err := d.p.Undo(t.Context(), d.folder); err != nil || d.files()["a"] != "a" {
		t.Errorf("%v %q", err, d.files())
	}
	os.WriteFile(filepath.Join(d.folder, ".git", "HEAD"), nil, 0o666) // damaged, and still theirs
	d.pull()
	d.want(map[string]string{"a": "a2"})
	// A clone made where the folder was is another one.
	os.RemoveAll(d.folder)
	d.src.Commit("main", "one", gittest.Files{"g": "g"})
	d.clone()
	d.refused("DP-331")
}

// TestContentRenamedFolder: the folder is found under another name, and a copy of it is
// taken up like any folder.
func TestContentRenamedFolder(t *testing.T) {
	d := newShared(t)
	a := d.up.Add("a", long())
	d.pull()
	d.write("a", long("1 mine"))
	old := d.folder
	d.folder = filepath.Join(d.home, "renamed")
	if err := os.Rename(old, d.folder); err != nil {
		t.Fatal(err)
	}
	d.up.Edit(a, long("9 theirs"))
	r := d.pull()
	d.want(map[string]string{"a": long("1 mine", "9 theirs")})
	if r.Fresh || r.Old == "" {
		t.Errorf("%+v", r)
	}
	d.settled()
	d.folder = old
	if r := d.pull(); !r.Fresh {
		t.Errorf("at the old place: %+v", r)
	}
	d.want(map[string]string{"a": long("9 theirs")})
	if _, ok, err := d.p.State(filepath.Join(d.home, "renamed")); !ok || err != nil {
		t.Errorf("the renamed one is forgotten: %v", err)
	}
	copied := filepath.Join(d.home, "copy")
	copyTree(t, filepath.Join(d.home, "renamed"), copied)
	d.folder = copied
	d.pull()
	d.want(map[string]string{"a": long("1 mine", "9 theirs")})
	d.settled()
}

// TestContentBackup sets the whole folder aside; it keeps what is known of it.
func TestContentBackup(t *testing.T) {
	d := newShared(t)
	a := d.up.Add("a", "a")
	d.pull()
	d.write("a", "mine")
	d.up.Edit(a, "a2")
	d.a.Backup = true
	r := d.pull()
	d.want(map[string]string{"a": "a2"})
	if got := filesIn(t, r.Aside); got["a"] != "mine" {
		t.Errorf("%q", got)
	}
	d.a.Backup = false
	d.settled()
	d.folder = r.Aside
	if s, ok, err := d.p.State(d.folder); !ok || err != nil || s.Folder != d.folder {
		t.Errorf("%+v %v", s, err)
	}
	d.pull()
	d.want(map[string]string{"a": "mine"})
	d.settled()
}

func TestContentInclude(t *testing.T) {
	d := newShared(t)
	d.p.Limits = snapshot.Limits{File: 10}
	d.up.Add("small", "s")
	big := d.up.Add("data/big.csv", strings.Repeat("b", 20))
	r := d.pull()
	pointer := d.files()["data/big.csv.daypass-pointer"]
	if !strings.Contains(pointer, "daypass pull --include data/big.csv\n") || d.files()["data/big.csv"] != "" {
		t.Errorf("%q", d.files())
	}
	if !slices.ContainsFunc(r.Changes, func(c Change) bool {
		return c.What == LeftOut && c.From == "data/big.csv" && c.Why == "larger than 10 bytes"
	}) {
		t.Errorf("%+v", r.Changes)
	}
	d.settled()
	d.a.Include = []string{"data/big.csv"}
	d.pull()
	want := map[string]string{"small": "s", "data/big.csv": strings.Repeat("b", 20)}
	d.want(want)
	d.a.Include = nil
	d.settled() // it is kept in mind
	if s, _, err := d.p.State(d.folder); err != nil || !s.Content || !slices.Equal(s.Include, []string{"data/big.csv"}) {
		t.Errorf("%+v %v", s, err)
	}
	d.up.Edit(big, strings.Repeat("c", 30))
	d.pull()
	want["data/big.csv"] = strings.Repeat("c", 30)
	d.want(want)
	d.settled()
	d.a.Include = []string{"nothing"}
	if r := d.pull(); len(r.Notes) != 1 || r.Notes[0] != `Nothing of this source is called "nothing".` {
		t.Errorf("%+v", r)
	}
	d.a.Include = []string{"["}
	d.refused("DP-466")
	d.a.Include = nil

	// A file that grows over the limit stays as it was.
	small := d.up.Add("grows", "g1")
	d.pull()
	d.up.Edit(small, strings.Repeat("g", 11))
	d.pull()
	if got := d.files(); got["grows"] != "g1" || got["grows.daypass-pointer"] == "" {
		t.Errorf("%q", got)
	}
	d.settled()
	d.remove("grows")
	d.pull()
	if got := d.files(); got["grows"] != "" || got["grows.daypass-pointer"] == "" {
		t.Errorf("%q", got)
	}
	d.settled()
	d.p.Limits.File = 100 // the admins have raised it
	d.pull()
	if got := d.files(); got["grows"] != strings.Repeat("g", 11) || got["grows.daypass-pointer"] != "" {
		t.Errorf("%q", got)
	}
	d.settled()
}

// TestContentFails: whatever fails, nothing changes.
func TestContentFails(t *testing.T) {
	d := newShared(t)
	a := d.up.Add("a", "a")
	b := d.up.Add("b", "b")
	down := &daypass.Problem{Code: "DP-999", What: "The source is not there", Kind: daypass.ErrUnreachable}
	d.up.OnList = func(*daypass.Listing) error { return down }
	d.refused("DP-999")
	if exists(d.folder) {
		t.Error("a folder was made")
	}
	d.up.OnList = nil
	d.pull()
	d.write("b", "mine")
	before := d.files()
	d.up.Edit(a, "a2")
	d.up.Remove(b)
	d.up.OnList = func(*daypass.Listing) error { return down }
	d.refused("DP-999")
	d.up.OnList = func(l *daypass.Listing) error { l.Items[0].Sum = "md5:00"; return nil }
	d.refused("DP-462")
	if !maps.Equal(d.files(), before) {
		t.Errorf("%q", d.files())
	}
	d.up.OnList = func(l *daypass.Listing) error { l.Complete = false; return nil }
	r := d.pull()
	d.want(map[string]string{"a": "a2", "b": "mine"})
	if len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "The source did not show all") {
		t.Errorf("%q", r.Notes)
	}
	d.up.OnList = nil
	d.pull()
	d.want(map[string]string{"a": "a2", "b": "mine"})
	d.settled()
}

// TestContentDamage: our own notes of the folder, and objects, may be damaged.
func TestContentDamage(t *testing.T) {
	damage := map[string]func(st *store) error{
		"delivered": func(st *store) error { return os.WriteFile(st.file("delivered"), []byte("x"), 0o600) },
		"state":     func(st *store) error { return os.WriteFile(st.file("state.json"), []byte("{"), 0o600) },
		"journal":   func(st *store) error { return os.WriteFile(st.file(journalFile), []byte("{"), 0o600) },
		"objects":   func(st *store) error { return os.RemoveAll(filepath.Join(st.repo(), "objects")) },
		"refs":      func(st *store) error { return os.RemoveAll(filepath.Join(st.repo(), "refs")) },
		"repo.git":  func(st *store) error { return os.RemoveAll(st.repo()) },
		"all":       func(st *store) error { return os.RemoveAll(st.dir) },
	}
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newShared(t)
			a := d.up.Add("a", long())
			d.up.Add("b", "b")
			d.up.Add("c", "c")
			d.pull()
			d.write("a", long("1 mine"))
			d.write("own", "own")
			d.remove("c")
			st, _, err := d.p.peek(d.folder)
			if err != nil || st == nil {
				t.Fatal(err)
			}
			if err := spoil(st); err != nil {
				t.Fatal(err)
			}
			d.up.Edit(a, long("9 theirs"))
			d.pull()
			got := d.files()
			if got["a"] != long("1 mine", "9 theirs") && got["a"] != long("1 mine") || got["own"] != "own" || got["b"] != "b" || got["c"] != "c" {
				t.Errorf("%q", got)
			}
			d.pull()
			d.settled()
		})
	}
}

// TestContentFold pulls as if the disk knew no case, and took two ways to write é for one.
func TestContentFold(t *testing.T) {
	d := newShared(t)
	d.p.probe = func() traits { return traits{Fold: true} }
	d.up.Add("A.txt", "1")
	d.up.Add("a.txt", "2")
	d.up.Add("\u00e9", "composed")
	d.up.Add("e\u0301", "decomposed")
	d.up.Add("D/x", "x")
	d.up.Add("d/y", "y")
	d.pull()
	d.want(map[string]string{"A.txt": "1", "e\u0301": "decomposed", "D/x": "x", "d/y": "y"})
	d.settled()
}

// TestIncludeOfGit: git leaves nothing out that could be asked for by its name.
func TestIncludeOfGit(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	a := d.ask()
	a.Include = []string{"a"}
	var p *daypass.Problem
	if _, err := d.p.Pull(t.Context(), a); !errors.As(err, &p) || p.Code != "DP-467" || exists(d.folder) {
		t.Errorf("it says %v", err)
	}
}

// TestContentPullResumes: a pull that broke off is gone on with by the next.
func TestContentPullResumes(t *testing.T) {
	d := newShared(t)
	data := strings.Repeat("0123456789", 50_000)
	d.up.Add("large", data)
	d.up.OnOpen = func(it daypass.Item, from int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(data[from:from+10_000]), iotest.ErrReader(syscall.ECONNRESET))), nil
	}
	if _, err := d.try(); err == nil || exists(d.folder) {
		t.Fatalf("it says %v", err)
	}
	var from int64
	d.up.OnOpen = func(_ daypass.Item, at int64) (io.ReadCloser, error) { from = at; return nil, nil }
	d.pull()
	if d.want(map[string]string{"large": data}); from != 40_000 {
		t.Errorf("read from %d on", from)
	}
	d.settled()
}

// TestContentInsteadOfClone sets a clone aside for content.
func TestContentInsteadOfClone(t *testing.T) {
	d := newShared(t)
	d.src.Commit("main", "one", gittest.Files{"g": "g"})
	d.desk.pull()
	d.write("g", "mine")
	d.up.Add("a", "a")
	d.a.Backup = true
	r := d.pull()
	d.a.Backup = false
	d.want(map[string]string{"a": "a"})
	d.settled()
	d.folder = r.Aside
	if r := d.desk.pull(); r.Old == "" {
		t.Errorf("the clone is forgotten: %+v", r)
	}
	d.want(map[string]string{"g": "mine"})
}

// TestContentFigures prints how long a pull takes whose source costs nothing.
// DAYPASS_FIGURES=1.
func TestContentFigures(t *testing.T) {
	if os.Getenv("DAYPASS_FIGURES") == "" {
		t.Skip("set DAYPASS_FIGURES to measure")
	}
	d := newShared(t)
	var id string
	for i := range 1600 {
		id = d.up.Add(fmt.Sprintf("week %d/file %d.txt", i%10, i), strings.Repeat(fmt.Sprintln("line", i), 100))
	}
	home := d.folder
	var fresh, same, one []float64
	for n := range 7 {
		d.folder = fmt.Sprint(home, n)
		fresh = append(fresh, timed(t, func() error { _, err := d.try(); return err }))
		same = append(same, timed(t, func() error { _, err := d.try(); return err }))
		d.up.Edit(id, fmt.Sprint("edit ", n))
		one = append(one, timed(t, func() error { _, err := d.try(); return err }))
	}
	t.Logf("1,600 files: fresh %.0f ms, nothing new %.1f ms, one new %.0f ms", median(fresh), median(same), median(one))
}
