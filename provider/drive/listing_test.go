package drive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/drive"
	"github.com/daypass-dev/daypass/provider/providertest"
	"github.com/daypass-dev/daypass/provider/readonly"
)

func (b *bench) list(t *testing.T, s daypass.Source) daypass.Listing {
	t.Helper()
	l, err := b.read.List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// names are the items' paths, those that are left out with a "!".
func names(l daypass.Listing) (out []string) {
	for _, it := range l.Items {
		name := strings.Join(it.Parts, "/")
		if it.Skip != "" {
			name = "!" + name
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// calls are the API's calls since a number of requests, without tokens'.
func (b *bench) calls(since int) (out []string) {
	for _, r := range b.Requests()[since:] {
		if rest, ok := strings.CutPrefix(r.Path, "/drive/v3/"); ok {
			out = append(out, rest)
		}
	}
	return out
}

func course(folders, files int) []providertest.File {
	var out []providertest.File
	for n := range files {
		out = append(out, providertest.File{Parts: []string{fmt.Sprintf("week%02d", n%folders), fmt.Sprintf("f%04d.txt", n)}, Text: fmt.Sprint(n)})
	}
	return out
}

// TestNothingNew: a folder of 1,000 files costs one call where nothing changed, and
// where something did elsewhere.
func TestNothingNew(t *testing.T) {
	seed, ids := seedOf(course(10, 1000))
	seed.Files = append(seed.Files, fake.DriveFile{ID: "elsewhere-1", Name: "another course", Shared: []string{account}, Text: "x"})
	b := newBench(t, seed, fake.DriveSwitches{}, nil)
	l := b.list(t, source(rootID))
	if len(l.Items) != 1000 || !l.Complete {
		t.Fatalf("%d files, complete %v", len(l.Items), l.Complete)
	}
	if n := len(b.calls(0)); n > 5 {
		t.Errorf("listing 1,000 files in 10 folders took %d calls: %q", n, b.calls(0))
	}
	mark := l.Mark
	for round := range 3 {
		before, units := len(b.Requests()), b.Units()
		seen, err := b.read.Look(t.Context(), source(rootID), mark)
		if err != nil || !seen.Same || !slices.Equal(b.calls(before), []string{"changes"}) || b.Units()-units != 100 {
			t.Fatalf("round %d: %+v, %v, %q, %d units", round, seen, err, b.calls(before), b.Units()-units)
		}
		mark = seen.Mark
		b.Edit("elsewhere-1", func(f *fake.DriveFile) { f.Text += "y" })
	}
	// Another process remembers no listing, and looks at the folder itself.
	fresh := newReader(t, b, nil)
	if seen, err := fresh.Look(t.Context(), source(rootID), mark); err != nil || seen.Same {
		t.Errorf("without memory: %+v, %v", seen, err)
	}
	for what, change := range map[string]func(){
		"edited":  func() { b.Edit(ids["week01\x00f0001.txt"][0], func(f *fake.DriveFile) { f.Text = "new" }) },
		"renamed": func() { b.Edit(ids["week01\x00f0011.txt"][0], func(f *fake.DriveFile) { f.Name = "new" }) },
		"added": func() {
			b.Edit("added-file-1", func(f *fake.DriveFile) { f.Name, f.Parent, f.Text = "a", rootID, "a" })
		},
		"moved out": func() {
			b.Edit(ids["week02\x00f0002.txt"][0], func(f *fake.DriveFile) { f.Parent, f.Shared = "", []string{account} })
		},
		"trashed": func() { b.Edit(ids["week03\x00f0003.txt"][0], func(f *fake.DriveFile) { f.Trashed = true }) },
		"deleted": func() { b.Delete(ids["week04\x00f0004.txt"][0]) },
		"moved in": func() {
			b.Edit("elsewhere-1", func(f *fake.DriveFile) { f.Parent = rootID })
		},
	} {
		l := b.list(t, source(rootID))
		change()
		if seen, err := b.read.Look(t.Context(), source(rootID), l.Mark); err != nil || seen.Same {
			t.Errorf("%s: %+v, %v", what, seen, err)
		}
		if again := b.list(t, source(rootID)); slices.EqualFunc(l.Items, again.Items, func(a, b daypass.Item) bool {
			return slices.Equal(a.Parts, b.Parts) && a.ID == b.ID && a.Mark == b.Mark && a.Sum == b.Sum
		}) {
			t.Errorf("%s: the listing is the same", what)
		}
	}
}

func newReader(t *testing.T, b *bench, change func(*drive.Config)) *drive.Drive {
	t.Helper()
	c := drive.Config{Token: b.tokens.Token, Renew: b.tokens.Renew, Email: b.tokens.Email, Pace: quick{}, Base: fake.Transport(b.Drive)}
	if change != nil {
		change(&c)
	}
	d, err := drive.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAccessTakenAway: refused at once where the feed tells, and within five minutes
// where it does not and the caller has looks verified.
func TestAccessTakenAway(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			files := []providertest.File{{Parts: []string{"a.txt"}, Text: "a"}}
			seed, _ := seedOf(files)
			seed.Files[0].Parent, seed.Files[0].Shared = "upper-folder-1", nil
			seed.Files = append(seed.Files, fake.DriveFile{ID: "upper-folder-1", Name: "All", Type: fake.FolderType, Shared: []string{account}})
			b := newBench(t, seed, fake.DriveSwitches{QuietUnshare: quiet}, func(c *drive.Config) { c.Verify = 5 * time.Minute })
			mark := b.list(t, source(rootID)).Mark
			b.Edit("upper-folder-1", func(f *fake.DriveFile) { f.Shared = nil })
			if quiet {
				time.Sleep(5 * time.Minute)
			}
			_, err := b.read.Look(t.Context(), source(rootID), mark)
			if !errors.Is(err, daypass.ErrNoSource) || !strings.Contains(err.Error(), account) {
				t.Errorf("quiet %v: %v", quiet, err)
			}
			if _, err := b.read.List(t.Context(), source(rootID)); !errors.Is(err, daypass.ErrNoSource) {
				t.Errorf("quiet %v: the listing: %v", quiet, err)
			}
		})
	}
}

// TestShortcuts: one level, inside the folder; out of it only to what was enrolled.
func TestShortcuts(t *testing.T) {
	seed, _ := seedOf([]providertest.File{{Parts: []string{"data", "river.csv"}, Text: "1,2"}})
	dataID := seed.Files[1].ID
	link := func(id, name, parent, to string) {
		seed.Files = append(seed.Files, fake.DriveFile{ID: id, Name: name, Type: fake.ShortcutType, Parent: parent, Target: to})
	}
	seed.Files = append(seed.Files,
		fake.DriveFile{ID: "exam-folder-1", Name: "Exams", Type: fake.FolderType, Shared: []string{account}},
		fake.DriveFile{ID: "exam-file-01", Name: "exam.pdf", Parent: "exam-folder-1", Text: "the answers"},
		fake.DriveFile{ID: "other-file-1", Name: "else.txt", Shared: []string{other}, Text: "another account's"},
	)
	link("shortcut-a1", "river again.csv", rootID, "file-000000")
	link("shortcut-b1", "data again", rootID, dataID)
	link("shortcut-c1", "up", dataID, rootID)
	link("shortcut-d1", "exam.pdf", rootID, "exam-file-01")
	link("shortcut-e1", "Exams", rootID, "exam-folder-1")
	link("shortcut-f1", "nothing", rootID, "other-file-1")
	link("shortcut-g1", "twice", rootID, "shortcut-a1")
	b := newBench(t, seed, fake.DriveSwitches{}, nil)
	l := b.list(t, source(rootID))
	want := []string{"!Exams", "!exam.pdf", "!nothing", "!twice", "data again/river.csv", "data/river.csv", "river again.csv"}
	if got := names(l); !slices.Equal(got, want) || !l.Complete {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, c := range b.calls(0) {
		if strings.Contains(c, "exam") || strings.Contains(c, "other-file") {
			t.Errorf("the account asked for %s, outside of the folder", c)
		}
	}
	ids := map[string]bool{}
	for _, it := range l.Items {
		if ids[it.ID] {
			t.Errorf("two items have the id %q", it.ID)
		}
		ids[it.ID] = true
		if text, err := b.open(t, it); it.Skip == "" && (err != nil || text != "1,2") {
			t.Errorf("%q: %q, %v", it.Parts, text, err)
		}
	}
	enrolled := newReader(t, b, func(c *drive.Config) { c.Outside = []string{"exam-folder-1", "other-file-1"} })
	l, err := enrolled.List(t.Context(), source(rootID))
	if err != nil || !slices.Contains(names(l), "Exams/exam.pdf") || !slices.Contains(names(l), "!nothing") {
		t.Errorf("%q, %v", names(l), err)
	}
	if seen, err := enrolled.Look(t.Context(), source(rootID), l.Mark); err != nil || !seen.Same {
		t.Errorf("%+v, %v", seen, err)
	}
	b.Edit("exam-file-01", func(f *fake.DriveFile) { f.Text = "new answers" })
	if seen, err := enrolled.Look(t.Context(), source(rootID), l.Mark); err != nil || seen.Same {
		t.Errorf("what a shortcut leads to changed: %+v, %v", seen, err)
	}
}

// TestShortcutsOutOfPath: what lies in the folder, but beside the path that is read, is
// outside: a file, a folder, and the folder itself.
func TestShortcutsOutOfPath(t *testing.T) {
	seed, _ := seedOf([]providertest.File{{Parts: []string{"week1", "lab.csv"}, Text: "1,2"}, {Parts: []string{"exam.pdf"}, Text: "the answers"}, {Parts: []string{"staff", "keys.txt"}, Text: "k"}})
	ids := map[string]string{}
	for _, f := range seed.Files {
		ids[f.Name] = f.ID
	}
	for n, to := range []string{rootID, ids["exam.pdf"], ids["staff"], ids["lab.csv"]} {
		seed.Files = append(seed.Files, fake.DriveFile{ID: fmt.Sprint("shortcut-no-", n), Name: fmt.Sprint("way ", n), Type: fake.ShortcutType, Parent: ids["week1"], Target: to})
	}
	b := newBench(t, seed, fake.DriveSwitches{}, nil)
	at := source(rootID)
	at.Path = "week1"
	if got, want := names(b.list(t, at)), []string{"!way 0", "!way 1", "!way 2", "lab.csv", "way 3"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func (b *bench) open(t *testing.T, it daypass.Item) (string, error) {
	t.Helper()
	r, err := b.read.Open(t.Context(), source(rootID), it, 0)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	return string(text), err
}

// TestDocuments: what is no file of bytes is exported, or left out with a reason.
func TestDocuments(t *testing.T) {
	seed, _ := seedOf([]providertest.File{{Parts: []string{"a.txt"}, Text: "a"}})
	for n, f := range []fake.DriveFile{
		{Name: "Syllabus", Type: fake.DocumentType, Text: "=1+1 <script>"}, {Name: "Grades.xlsx", Type: fake.SheetType, Text: "g"}, {Name: "Slides", Type: fake.SlidesType, Text: "s"},
		{Name: "Sketch", Type: fake.DrawingType, Text: "d"}, {Name: "Poll", Type: fake.FormType}, {Name: "Map", Type: "application/vnd.google-apps.map"},
		{Name: "Locked", Type: fake.DocumentType, NoDownload: true}, {Name: "Long", Type: fake.DocumentType, ExportSize: 11 << 20},
		{Name: "nb.ipynb", Type: "application/vnd.google.colaboratory", Text: "{}"}, {Name: "virus.exe", Text: "x", Abusive: true}, {Name: "loved.mp4", Text: "x", Spent: true},
	} {
		f.ID, f.Parent = fmt.Sprintf("document-%02d", n), rootID
		seed.Files = append(seed.Files, f)
	}
	b := newBench(t, seed, fake.DriveSwitches{}, nil)
	l := b.list(t, source(rootID))
	want := []string{"!Locked", "!Map", "!Poll", "Grades.xlsx", "Long.docx", "Sketch.svg", "Slides.pptx", "Syllabus.docx", "a.txt", "loved.mp4", "nb.ipynb", "virus.exe"}
	if got := names(l); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, it := range l.Items {
		text, err := b.open(t, it)
		name := it.Parts[0]
		switch refused := it.Skip != "" || name == "Long.docx" || name == "loved.mp4" || name == "virus.exe"; {
		case refused && (!errors.Is(err, daypass.ErrRefused) || errors.Is(err, daypass.ErrNoSource)):
			t.Errorf("%s: %q, %v", name, text, err)
		case !refused && err != nil:
			t.Errorf("%s: %v", name, err)
		case name == "Syllabus.docx":
			if it.Size != -1 || it.Sum != "" || it.Mark == "" || !strings.HasPrefix(text, "=1+1 <script>") {
				t.Errorf("%+v, %q", it, text)
			}
			if _, err := b.read.Open(t.Context(), source(rootID), it, 3); !errors.Is(err, daypass.ErrChanged) {
				t.Errorf("an export that is gone on with: %v", err)
			}
		}
	}
	// Looking at a document moves its version, and is no change.
	b.Edit("document-00", func(f *fake.DriveFile) { f.Version += 7 })
	if again := b.list(t, source(rootID)); at(again, "Syllabus.docx").Mark != at(l, "Syllabus.docx").Mark {
		t.Error("a document that did not change has another mark")
	}
	b.Edit("document-00", func(f *fake.DriveFile) { f.Text = "edited" })
	if again := b.list(t, source(rootID)); at(again, "Syllabus.docx").Mark == at(l, "Syllabus.docx").Mark {
		t.Error("a document that changed has the same mark")
	}
}

func at(l daypass.Listing, name string) daypass.Item {
	return l.Items[slices.IndexFunc(l.Items, func(it daypass.Item) bool { return strings.Join(it.Parts, "/") == name })]
}

// TestPartsOfADrive: a folder in a folder, a single file, all of a shared drive, and
// what a link with a resource key leads to.
func TestPartsOfADrive(t *testing.T) {
	seed, _ := seedOf(append(providertest.Tree(), providertest.File{Parts: []string{"lab1", "a/b", "in.txt"}, Text: "x"}))
	seed.Drives = []fake.SharedDrive{{ID: "shared-drive-1", Name: "Campus", Members: []string{account}}}
	seed.Files = append(seed.Files,
		fake.DriveFile{ID: "team-file-001", Name: "team.txt", Parent: "shared-drive-1", DriveID: "shared-drive-1", Text: "t"},
		fake.DriveFile{ID: "keyed-file-01", Name: "keyed.txt", Anyone: true, ResourceKey: "0-abcdefghijk", Text: "k"},
	)
	b := newBench(t, seed, fake.DriveSwitches{}, nil)
	for _, c := range []struct {
		source daypass.Source
		title  string
		names  []string
	}{
		{daypass.Source{Kind: "drive", Host: drive.Host, ID: rootID, Path: "lab1/data"}, "data", []string{"deep/er/x.bin", "river.csv"}},
		{daypass.Source{Kind: "drive", Host: drive.Host, ID: rootID, Path: "lab1/a∕b"}, "a∕b", []string{"in.txt"}},
		{daypass.Source{Kind: "drive", Host: drive.Host, ID: rootID, Path: "lab1/lab1.ipynb"}, "lab1.ipynb", []string{"lab1.ipynb"}},
		{source("file-000000"), "README.md", []string{"README.md"}},
		{source("shared-drive-1"), "Campus", []string{"team.txt"}},
		{daypass.Source{Kind: "drive", Host: drive.Host, ID: "keyed-file-01", Ref: "0-abcdefghijk"}, "keyed.txt", []string{"keyed.txt"}},
	} {
		l := b.list(t, c.source)
		if l.Title != c.title || !slices.Equal(names(l), c.names) || !l.Complete {
			t.Errorf("%s: %q, %q", c.source, l.Title, names(l))
		}
		if r, err := b.read.Open(t.Context(), c.source, l.Items[0], 0); err != nil {
			t.Errorf("%s: %v", c.source, err)
		} else {
			r.Close()
		}
	}
	for _, path := range []string{"lab2", "lab1/nothing", "..", "../x", "a", "README.md/x", "lab1//data"} {
		_, err := b.read.List(t.Context(), daypass.Source{Kind: "drive", Host: drive.Host, ID: rootID, Path: path})
		if path != ".." && !errors.Is(err, daypass.ErrNoSource) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := b.read.List(t.Context(), source("keyed-file-01")); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("without its key: %v", err)
	}
	for _, r := range b.Requests() {
		if strings.Contains(r.RawQuery, "0-abcdefghijk") {
			t.Error("a resource key stands in an address")
		}
	}
}

// TestListsThatLie: none of these is a listing.
func TestListsThatLie(t *testing.T) {
	deep := providertest.File{Text: "x"}
	for range 40 {
		deep.Parts = append(deep.Parts, "d")
	}
	for name, c := range map[string]struct {
		files  []providertest.File
		sw     fake.DriveSwitches
		change func(*drive.Config)
		fault  fake.Fault
	}{
		"an incomplete search": {sw: fake.DriveSwitches{Incomplete: true}},
		"too many":             {files: course(3, 30), change: func(c *drive.Config) { c.MaxItems = 20 }},
		"too deep":             {files: []providertest.File{deep}},
		"the same page again":  {fault: fake.Fault{Body: `{"nextPageToken":"x","files":[]}`}},
		"other folders' files": {files: course(3, 30), fault: fake.Fault{Body: `{"files":[{"id":"stray-file-1","name":"x","parents":["somewhere-else"]}]}`}},
		"an id that is none":   {fault: fake.Fault{Body: `{"files":[{"id":"' or ''=''","name":"x","mimeType":"application/vnd.google-apps.folder"}]}`}},
		"no JSON":              {fault: fake.Fault{Body: `<html>`}},
		"too long":             {fault: fake.Fault{Body: `{"files":[],"x":"` + strings.Repeat("x", 17<<20) + `"}`}},
		"gone meanwhile":       {fault: fake.DriveRefusal(404, "notFound", 0)},
		"no right meanwhile":   {fault: fake.DriveRefusal(403, "insufficientFilePermissions", 0)},
	} {
		if c.files == nil {
			c.files = course(3, 10)
		}
		seed, _ := seedOf(c.files)
		b := newBench(t, seed, c.sw, c.change)
		if c.fault.Body != "" {
			c.fault.Status = max(200, c.fault.Status)
			b.Fault(func(r *http.Request) bool { return r.URL.Path == "/drive/v3/files" }, c.fault)
		}
		l, err := b.read.List(t.Context(), source(rootID))
		if !errors.Is(err, daypass.ErrUnreachable) || errors.Is(err, daypass.ErrNoSource) || len(l.Items) > 0 {
			t.Errorf("%s: %d items, %v", name, len(l.Items), err)
		}
	}
	seed, _ := seedOf(course(3, 10))
	b := newBench(t, seed, fake.DriveSwitches{}, nil)
	b.Fault(func(r *http.Request) bool { return r.URL.Path == "/drive/v3/files/"+rootID }, fake.Fault{Status: 200, Body: `{"id":"another-file"}`})
	if _, err := b.read.Look(t.Context(), source(rootID), ""); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("another file than was asked for: %v", err)
	}
}

// TestWhatIsNotSeen: a folder for fewer people makes a listing that may lack something;
// what is in the trash is gone; a portal's page says nothing of the folder; a mark is
// good for its source only.
func TestWhatIsNotSeen(t *testing.T) {
	seed, _ := seedOf(course(2, 4))
	seed.Files[1].Limited = true
	seed.Files = append(seed.Files, fake.DriveFile{ID: "second-folder-1", Name: "B", Type: fake.FolderType, Shared: []string{account}})
	b := newBench(t, seed, fake.DriveSwitches{}, nil)
	l := b.list(t, source(rootID))
	if l.Complete || len(l.Items) != 2 || len(l.Notes) != 1 {
		t.Errorf("a folder for fewer people: complete %v, %d items, %q", l.Complete, len(l.Items), l.Notes)
	}
	if seen, err := b.read.Look(t.Context(), source("second-folder-1"), l.Mark); err != nil || seen.Same {
		t.Errorf("another source's mark: %+v, %v", seen, err)
	}
	stop := b.Fault(api, fake.Fault{Status: http.StatusNotFound, Body: "<html>Please sign in"})
	if _, err := b.read.Look(t.Context(), source(rootID), ""); !errors.Is(err, daypass.ErrUnreachable) || errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("a portal: %v", err)
	}
	stop()
	b.Edit(rootID, func(f *fake.DriveFile) { f.Trashed = true })
	if _, err := b.read.Look(t.Context(), source(rootID), ""); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("in the trash: %v", err)
	}
	if _, err := b.read.List(t.Context(), source(rootID)); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("in the trash, listed: %v", err)
	}
}

// TestSlowDown: Drive's 403 for too much is waited for, and told to the pace.
func TestSlowDown(t *testing.T) {
	for _, reason := range []string{"userRateLimitExceeded", "rateLimitExceeded"} {
		synctest.Test(t, func(t *testing.T) {
			seed, _ := seedOf(course(2, 4))
			p := drive.NewPace(0, time.Now)
			b := newBench(t, seed, fake.DriveSwitches{}, func(c *drive.Config) { c.Pace = p })
			b.FailNth(2, api, fake.DriveRefusal(http.StatusForbidden, reason, 20*time.Second))
			began := time.Now()
			if l := b.list(t, source(rootID)); len(l.Items) != 4 || time.Since(began) != 20*time.Second {
				t.Errorf("%s: %d items after %v", reason, len(l.Items), time.Since(began))
			}
		})
	}
	// Without a pace the stand-in says that it is too much.
	seed, _ := seedOf(course(1, 100))
	b := newBench(t, seed, fake.DriveSwitches{UserUnits: 10_000}, func(c *drive.Config) { c.Retry.Tries = 1 })
	var err error
	for _, it := range b.list(t, source(rootID)).Items {
		if _, err = b.open(t, it); err != nil {
			break
		}
	}
	if !errors.Is(err, daypass.ErrLimited) || b.Units() > 10_000 {
		t.Errorf("%d units of 10,000 were spent: %v", b.Units(), err)
	}
}

// TestTokens: one that ended is replaced once, one that is refused is no loop.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed, _ := seedOf(course(2, 4))
		b := newBench(t, seed, fake.DriveSwitches{}, nil)
		b.list(t, source(rootID))
		time.Sleep(10 * time.Minute)
		b.Revoke(account)
		if l := b.list(t, source(rootID)); len(l.Items) != 4 || len(b.Tokens()) != 1 {
			t.Errorf("%d items, %d tokens", len(l.Items), len(b.Tokens()))
		}
		b.Revoke(account)
		before := len(b.Requests())
		_, err := b.read.Look(t.Context(), source(rootID), "")
		var p *daypass.Problem
		if !errors.As(err, &p) || p.Code != "DP-418" || len(b.Requests())-before > 2 {
			t.Errorf("%v after %d requests", err, len(b.Requests())-before)
		}
		time.Sleep(2 * time.Hour)
		b.EditAccount(account, func(a *fake.ServiceAccount) { a.Disabled = true })
		if _, err = b.read.Look(t.Context(), source(rootID), ""); !errors.As(err, &p) || p.Code != "DP-415" {
			t.Error(err)
		}
	})
}

// TestRefusals tells what Drive's words mean.
func TestRefusals(t *testing.T) {
	seed, _ := seedOf(course(2, 4))
	b := newBench(t, seed, fake.DriveSwitches{}, func(c *drive.Config) { c.Retry = readonly.Retry{Tries: 1} })
	for reason, want := range map[string]string{
		"accessNotConfigured": "DP-418", "domainPolicy": "DP-418", "insufficientPermissions": "DP-418", "rateLimitExceeded": "DP-411", "userRateLimitExceeded": "DP-411",
		"dailyLimitExceeded": "DP-411", "downloadQuotaExceeded": "DP-420", "somethingNew": "DP-417", "appNotAuthorizedToFile": "DP-417",
	} {
		stop := b.Fault(api, fake.DriveRefusal(http.StatusForbidden, reason, 0))
		_, err := b.read.Look(t.Context(), source(rootID), "")
		stop()
		var p *daypass.Problem
		if !errors.As(err, &p) || p.Code != want {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// TestQuota: fifty who share an account read a course of 1,600 files each from one
// fetch, or with one pace, and Drive never says that it is too much.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed, _ := seedOf(course(10, 1600))
		var pace *drive.Pace
		b := newBench(t, seed, fake.DriveSwitches{}, func(c *drive.Config) {
			pace = drive.NewPace(0, time.Now)
			c.Pace = pace
		})
		began := time.Now()
		l := b.list(t, source(rootID))
		for _, it := range l.Items {
			if _, err := b.open(t, it); err != nil {
				t.Fatal(err)
			}
		}
		took := time.Since(began)
		for range 49 {
			if seen, err := newReader(t, b, func(c *drive.Config) { c.Pace = pace }).Look(t.Context(), source(rootID), l.Mark); err != nil || !seen.Same {
				t.Fatalf("%+v, %v", seen, err)
			}
		}
		for _, r := range b.Requests() {
			if r.Status >= 400 {
				t.Fatalf("%s answered %d", r.Path, r.Status)
			}
		}
		if took > time.Minute+5*time.Second {
			t.Errorf("1,600 files took %v of pacing", took)
		}
		t.Logf("1,600 files: %v of pacing; %d units in all", took, b.Units())
	})
}

// TestPace: no minute, wherever it begins, holds more than the quota.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := drive.NewPace(60_000, time.Now)
		var at []time.Time
		for range 900 {
			if err := p.Wait(t.Context(), 200); err != nil {
				t.Fatal(err)
			}
			at = append(at, time.Now())
		}
		for n := range at {
			if m := n + 300; m < len(at) && at[m].Sub(at[n]) < time.Minute {
				t.Fatalf("301 calls of 200 units within %v", at[m].Sub(at[n]))
			}
		}
		p.Slow(30 * time.Second)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := p.Wait(t.Context(), 1); err != nil || time.Since(began) < 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
