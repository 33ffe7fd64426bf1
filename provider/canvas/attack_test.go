package canvas_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/canvas"
	"github.com/daypass-dev/daypass/provider/providertest"
)

func (b *bench) list(t *testing.T, id string) daypass.Listing {
	t.Helper()
	l, err := b.read.List(t.Context(), source(id))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (b *bench) text(ctx context.Context, s daypass.Source, it daypass.Item) (string, error) {
	r, err := b.read.Open(ctx, s, it, 0)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	return string(text), err
}

func names(l daypass.Listing) (out []string) {
	for _, it := range l.Items {
		name := strings.Join(it.Parts, "/")
		if it.Skip != "" {
			name += ": " + it.Skip
		}
		out = append(out, name)
	}
	return out
}

func code(err error) string {
	var p *daypass.Problem
	errors.As(err, &p)
	if p == nil {
		return ""
	}
	return p.Code
}

// courseSeed is a course with something of each kind that students do not see.
func courseSeed() fake.CanvasSeed {
	seed, _ := seedOf("courses/42", []providertest.File{{Parts: []string{"lab1", "lab1.ipynb"}, Text: "{}"}, {Parts: []string{"syllabus.pdf"}, Text: "pdf"}})
	seed.Folders = append(seed.Folders,
		fake.CanvasFolder{ID: 200, Context: "courses/42", Parent: 100, Name: "secret-folder", Hidden: true}, fake.CanvasFolder{ID: 201, Context: "courses/42", Parent: 200, Name: "below"},
		fake.CanvasFolder{ID: 202, Context: "courses/42", Parent: 100, Name: "handed", ForSubmissions: true})
	seed.Files = append(seed.Files,
		fake.CanvasFile{ID: 9001, Folder: 100, Name: "hidden-exam.pdf", Text: "the exam", Hidden: true}, fake.CanvasFile{ID: 9002, Folder: 100, Name: "unpublished.pdf", Text: "draft", Locked: true},
		fake.CanvasFile{ID: 9003, Folder: 201, Name: "solutions.pdf", Text: "forty-two"}, fake.CanvasFile{ID: 9004, Folder: 202, Name: "stu-homework.pdf", Text: "handed in"},
		fake.CanvasFile{ID: 9005, Folder: 100, Name: "later.pdf", Text: "later", Awaits: true, Unlocks: time.Date(2126, 12, 1, 8, 0, 0, 0, time.UTC)})
	return seed
}

// TestRoles: the teacher first, then a student, who sees nothing of what is hidden, by
// name, by id or in what was sent; and gets none of it by asking for it.
func TestRoles(t *testing.T) {
	b := newBench(t, courseSeed(), fake.CanvasSwitches{}, teacher, nil)
	l := b.list(t, "courses/42")
	if got, want := names(l), []string{"hidden-exam.pdf", "lab1/lab1.ipynb", "later.pdf", "secret-folder/below/solutions.pdf", "syllabus.pdf", "unpublished.pdf"}; !slices.Equal(got, want) || l.Title != "PH 142" || !l.Complete {
		t.Errorf("the teacher: %q", got)
	}
	b.as(student, nil)
	s := b.list(t, "courses/42")
	if got, want := names(s), []string{"lab1/lab1.ipynb", "later.pdf: it is locked until 2126-12-01 08:00 UTC", "syllabus.pdf"}; !slices.Equal(got, want) || !s.Complete {
		t.Errorf("the student: %q", got)
	}
	for _, it := range l.Items { // what the teacher was given does not help a student without the address
		if name := it.Parts[len(it.Parts)-1]; name == "unpublished.pdf" || name == "solutions.pdf" {
			if _, err := b.read.List(t.Context(), source("courses/42/files/"+it.ID)); name == "unpublished.pdf" && !errors.Is(err, daypass.ErrNoSource) {
				t.Errorf("%s by its id: %v", name, err)
			}
		}
	}
	for _, id := range []string{"courses/42/folders/200", "courses/42/folders/202", "courses/42/folders/999", "courses/43/folders/100", "folders/200", "folders/202", "folders/999", "files/999"} {
		_, err := b.read.List(t.Context(), source(id))
		_, err2 := b.read.Look(t.Context(), source(id), "")
		if !errors.Is(err, daypass.ErrNoSource) || !errors.Is(err2, daypass.ErrNoSource) {
			t.Errorf("%s: %v, %v", id, err, err2)
		}
	}
	hidden := source("courses/42")
	hidden.Path = "secret-folder"
	_, err := b.read.List(t.Context(), hidden)
	_, err2 := b.read.Look(t.Context(), hidden, "")
	if !errors.Is(err, daypass.ErrNoSource) || !errors.Is(err2, daypass.ErrNoSource) {
		t.Errorf("a hidden folder by its path: %v, %v", err, err2)
	}
}

// TestStudents: of what a teacher sees, what students are not shown is left out, by the
// same list as theirs but for what Canvas alone decides.
func TestStudents(t *testing.T) {
	b := newBench(t, courseSeed(), fake.CanvasSwitches{}, teacher, func(c *canvas.Config) { c.Students = true })
	l := b.list(t, "courses/42")
	want := []string{
		"hidden-exam.pdf: it is hidden from students", "lab1/lab1.ipynb", "later.pdf: students get it on 2126-12-01", "secret-folder/below/solutions.pdf: of its folder secret-folder: it is hidden from students",
		"syllabus.pdf", "unpublished.pdf: it is not published",
	}
	if got := names(l); !slices.Equal(got, want) || !l.Complete {
		t.Errorf("%q", got)
	}
}

// TestHiddenAndListed: what is said to be hidden from whoever asks has no name, wherever it
// is named, and nothing is removed for it.
func TestHiddenAndListed(t *testing.T) {
	seed := courseSeed()
	seed.Files = append(seed.Files, fake.CanvasFile{ID: 9006, Folder: 100, Name: "answers.pdf", Text: "forty-two", Hidden: true, Listed: true})
	b := newBench(t, seed, fake.CanvasSwitches{}, student, nil)
	l := b.list(t, "courses/42")
	if got := names(l); l.Complete || strings.Contains(strings.Join(got, " "), "answers") || len(got) != 3 {
		t.Errorf("%q, complete: %v", got, l.Complete)
	}
	one := source("courses/42/files/9006")
	_, err := b.read.List(t.Context(), one)
	_, err2 := b.read.Look(t.Context(), one, "")
	if !errors.Is(err, daypass.ErrNoSource) || !errors.Is(err2, daypass.ErrNoSource) {
		t.Errorf("by its id: %v, %v", err, err2)
	}
}

// TestSubtrees: a folder by its path and by its id, a file by its id.
func TestSubtrees(t *testing.T) {
	b := newBench(t, courseSeed(), fake.CanvasSwitches{}, student, nil)
	byPath := source("courses/42")
	byPath.Path = "lab1"
	for what, s := range map[string]daypass.Source{"path": byPath, "folder": source("courses/42/folders/1000"), "file": source("courses/42/files/5000"),
		"folder alone": source("folders/1000"), "file alone": source("files/5000")} {
		seen, err := b.read.Look(t.Context(), s, "")
		l, err2 := b.read.List(t.Context(), s)
		if err != nil || err2 != nil || !slices.Equal(names(l), []string{"lab1.ipynb"}) || seen.Title == "" {
			t.Errorf("%s: %q, %v, %v", what, names(l), err, err2)
		}
		if text, err := b.text(t.Context(), s, l.Items[0]); text != "{}" || err != nil {
			t.Errorf("%s: %q, %v", what, text, err)
		}
	}
}

// TestWhose: a folder that is known by its number alone is one of a course, group or
// person, as the site says for whoever asks, and nothing where it says else.
func TestWhose(t *testing.T) {
	seed, _ := seedOf("courses/42", []providertest.File{{Parts: []string{"a", "b.md"}, Text: "x"}})
	for says, ok := range map[string]bool{
		`{"id": "1000", "name": "a", "context_type": "Course", "context_id": "42"}`:                          true,
		`{"id": "1000", "name": "a", "context_type": "Course", "context_id": "43"}`:                          false,
		`{"id": "1000", "name": "a", "context_type": "Account", "context_id": "42"}`:                         false,
		`{"id": "1000", "name": "a", "context_type": "Course"}`:                                              false,
		`{"id": "1000", "name": "a", "context_type": "Course", "context_id": "42/../43"}`:                    false,
		`{"id": "1001", "name": "a", "context_type": "Course", "context_id": "42"}`:                          false,
		`{"id": "1000", "name": "a", "context_type": "Course", "context_id": "42", "for_submissions": true}`: false,
		`{}`: false, `[]`: false,
	} {
		b := newBench(t, seed, fake.CanvasSwitches{}, student, nil)
		b.FailNth(0, func(r *http.Request) bool { return r.URL.Path == "/api/v1/folders/1000" }, fake.Fault{Status: http.StatusOK, Body: says})
		if l, err := b.read.List(t.Context(), source("folders/1000")); (err == nil) != ok || ok && !slices.Equal(names(l), []string{"b.md"}) {
			t.Errorf("%s: %q, %v", says, names(l), err)
		}
	}
	b := newBench(t, seed, fake.CanvasSwitches{}, other, nil)
	for _, id := range []string{"folders/1000", "files/5000"} {
		if _, err := b.read.List(t.Context(), source(id)); !errors.Is(err, daypass.ErrNoSource) {
			t.Errorf("%s of a course of others: %v", id, err)
		}
	}
}

// TestRenamesAndUploads: a file that is renamed or moved keeps its id and its mark, and
// is not read again; one that is written over is in the same place with another mark.
func TestRenamesAndUploads(t *testing.T) {
	b := newBench(t, courseSeed(), fake.CanvasSwitches{}, student, nil)
	first := b.list(t, "courses/42")
	b.Edit(5000, func(f *fake.CanvasFile) { f.Name, f.Folder = "renamed.ipynb", 100 })
	second := b.list(t, "courses/42")
	find := func(l daypass.Listing, name string) daypass.Item {
		n := slices.IndexFunc(l.Items, func(it daypass.Item) bool { return it.Parts[len(it.Parts)-1] == name })
		if n < 0 {
			t.Fatalf("no %s in %q", name, names(l))
		}
		return l.Items[n]
	}
	if a, c := find(first, "lab1.ipynb"), find(second, "renamed.ipynb"); a.ID != c.ID || a.Mark != c.Mark || len(c.Parts) != 1 {
		t.Errorf("renamed: %+v after %+v", c, a)
	}
	b.Overwrite(5001, "new")
	third := b.list(t, "courses/42")
	if a, c := find(first, "syllabus.pdf"), find(third, "syllabus.pdf"); a.ID == c.ID || a.Mark == c.Mark {
		t.Errorf("written over: %+v after %+v", c, a)
	}
	if text, err := b.text(t.Context(), source("courses/42"), find(first, "syllabus.pdf")); !errors.Is(err, daypass.ErrChanged) {
		t.Errorf("an old id leads to newer bytes: %q, %v", text, err)
	}
}

// TestModules: a course that hides its files is read by its modules, and never as if that
// were all.
func TestModules(t *testing.T) {
	for name, sw := range map[string]fake.CanvasSwitches{"with items": {}, "without": {Bare: true}, "short pages": {Bare: true, MaxPage: 2}} {
		t.Run(name, func(t *testing.T) {
			seed := courseSeed()
			seed.Courses[0].FilesHidden = true
			seed.Courses[0].Modules = []fake.CanvasModule{
				{ID: 1, Name: "Week 1", Items: []fake.CanvasModuleItem{{Title: "Start here"}, {Title: "Lab 1", File: 5000}, {Title: "Later", File: 9005}, {Title: "Draft", File: 9002}}},
				{ID: 2, Name: "Week 2", Items: []fake.CanvasModuleItem{{Title: "Again", File: 5000}, {Title: "Syllabus", File: 5001}}}, {ID: 3, Name: "Exam", Unpublished: true, Items: []fake.CanvasModuleItem{{Title: "Exam", File: 9001}}},
			}
			b := newBench(t, seed, sw, student, nil)
			if seen, err := b.read.Look(t.Context(), source("courses/42"), ""); err != nil || seen.Title != "PH 142" {
				t.Errorf("%+v, %v", seen, err)
			}
			l := b.list(t, "courses/42")
			want := []string{"Week 1/Draft: it is locked for you", "Week 1/lab1.ipynb", "Week 1/later.pdf: it is locked until 2126-12-01 08:00 UTC", "Week 2/syllabus.pdf"}
			if !slices.Equal(names(l), want) || l.Complete || len(l.Notes) != 1 {
				t.Errorf("%q, complete %v, %q", names(l), l.Complete, l.Notes)
			}
			if text, err := b.text(t.Context(), source("courses/42"), l.Items[1]); text != "{}" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
			b.EditCourse(42, func(c *fake.CanvasCourse) { c.Students = nil })
			if _, err := b.read.List(t.Context(), source("courses/42")); !errors.Is(err, daypass.ErrNoSource) {
				t.Errorf("somebody who left the course: %v", err)
			}
		})
	}
}

// TestIDs: of other shards, and larger than floating-point numbers hold, as text and as
// numbers.
func TestIDs(t *testing.T) {
	big := int64(7053)*fake.CanvasShard + 9_007_199_254_741
	seed := fake.CanvasSeed{
		Users: []fake.CanvasUser{{ID: student, Name: "Stu"}}, Courses: []fake.CanvasCourse{{ID: big, Name: "Far", Students: []int64{student}}},
		Folders: []fake.CanvasFolder{{ID: big + 1, Context: fmt.Sprintf("courses/%d", big), Name: "course files"}},
		Files:   []fake.CanvasFile{{ID: big + 2, Folder: big + 1, Name: "a", Text: "a"}, {ID: big + 3, Folder: big + 1, Name: "b", Text: "b"}},
	}
	for what, strip := range map[string]bool{"text": false, "numbers": true} {
		b := newBench(t, seed, fake.CanvasSwitches{}, student, func(c *canvas.Config) {
			if base := c.Base; strip {
				c.Base = round(func(r *http.Request) (*http.Response, error) { r.Header.Del("Accept"); return base.RoundTrip(r) })
			}
		})
		for _, id := range []string{fmt.Sprintf("courses/%d", big), "courses/7053~9007199254741"} {
			l := b.list(t, id)
			if len(l.Items) != 2 || l.Items[0].ID != fmt.Sprint(big+2) || l.Items[1].ID != fmt.Sprint(big+3) {
				t.Errorf("%s, %s: %+v", what, id, names(l))
			}
			if text, err := b.text(t.Context(), source(id), l.Items[1]); text != "b" || err != nil {
				t.Errorf("%s, %s: %q, %v", what, id, text, err)
			}
		}
	}
}

type round func(*http.Request) (*http.Response, error)

func (f round) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTokenStays: the token goes to the site, whatever an answer says: not to where its
// next page or a file is said to be, nor over a redirect to a sub-domain or to plain http.
func TestTokenStays(t *testing.T) {
	elsewhere := func(b *bench) (out []string) {
		for _, r := range b.Requests() {
			if r.Host != host && (r.Token != "" || r.Host != store) {
				out = append(out, r.Host)
			}
		}
		return out
	}
	for _, next := range []string{"evil.example", "sub." + host, host + ".evil.example", host + ":8443", host + "@evil.example", strings.ToUpper(host)} {
		b := newBench(t, courseSeed(), fake.CanvasSwitches{MaxPage: 1, NextHost: next}, student, nil)
		_, err := b.read.List(t.Context(), source("courses/42"))
		if next != strings.ToUpper(host) && code(err) != "DP-429" {
			t.Errorf("a next page at %s: %v", next, err)
		}
		if got := elsewhere(b); len(got) > 0 && next != strings.ToUpper(host) {
			t.Errorf("a next page at %s: %q were asked", next, got)
		}
	}
	for _, to := range []string{"https://evil.example/x", "https://sub." + host + "/x", "http://" + host + "/api/v1/courses/42", "https://" + host + ":8443/x", "https://169.254.169.254/x", "https://" + store + "/x"} {
		b := newBench(t, courseSeed(), fake.CanvasSwitches{}, student, nil)
		mend := b.Fault(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }, fake.Fault{Kind: fake.FaultRedirect, URL: to, Status: http.StatusFound})
		if _, err := b.read.List(t.Context(), source("courses/42")); err == nil {
			t.Errorf("a redirect of the API to %s", to)
		}
		mend()
		l := b.list(t, "courses/42")
		mend = b.Fault(fake.PathHasPrefix("/files/"), fake.Fault{Kind: fake.FaultRedirect, URL: to, Status: http.StatusFound})
		if text, err := b.text(t.Context(), source("courses/42"), l.Items[0]); err == nil {
			t.Errorf("a file at %s: %q", to, text)
		}
		mend()
		if got := elsewhere(b); len(got) > 0 {
			t.Errorf("a redirect to %s: %q were asked", to, got)
		}
	}
}

// TestFilesElsewhere: a file that a listing says to be at another site is left out.
func TestFilesElsewhere(t *testing.T) {
	for _, at := range []string{"https://evil.example/files/1/download", "http://" + host + "/files/1/download", "https://" + host + "@evil.example/", "//evil.example/", "javascript:alert(1)", "https://sub." + host + "/"} {
		b := newBench(t, courseSeed(), fake.CanvasSwitches{}, student, nil)
		body, _ := json.Marshal([]map[string]any{{"id": "5000", "uuid": "u", "folder_id": "100", "display_name": "x", "url": at, "size": 1}})
		b.Fault(fake.PathIs("/api/v1/courses/42/files"), fake.Fault{Kind: fake.FaultStatus, Status: http.StatusOK, Body: string(body)})
		l := b.list(t, "courses/42")
		if len(l.Items) != 1 || l.Items[0].Skip == "" {
			t.Errorf("%s: %q", at, names(l))
		}
		if _, err := b.text(t.Context(), source("courses/42"), l.Items[0]); code(err) != "DP-428" {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// TestLists: pages that lie.
func TestLists(t *testing.T) {
	loop := fake.Fault{Kind: fake.FaultStatus, Status: http.StatusOK, Header: http.Header{"Link": {`<https://` + host + `/api/v1/courses/42/files?per_page=100>; rel="next"`}}, Body: "[]"}
	gone := fake.Fault{Kind: fake.FaultStatus, Status: http.StatusNotFound, Body: `{"errors":[{"message":"gone"}]}`}
	for what, c := range map[string]struct {
		fault fake.Fault
		match func(*http.Request) bool
	}{
		"round in a circle":      {loop, fake.PathIs("/api/v1/courses/42/files")},
		"a page that is missing": {gone, func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "bookmark%3A2") }},
		"an id that is none":     {fake.Fault{Kind: fake.FaultStatus, Status: 200, Body: `[{"id":"../1","folder_id":"100"}]`}, fake.PathIs("/api/v1/courses/42/files")},
		"no id":                  {fake.Fault{Kind: fake.FaultStatus, Status: 200, Body: `[{"folder_id":"100"}]`}, fake.PathIs("/api/v1/courses/42/files")},
	} {
		b := newBench(t, courseSeed(), fake.CanvasSwitches{MaxPage: 1}, student, nil)
		b.Fault(c.match, c.fault)
		if l, err := b.read.List(t.Context(), source("courses/42")); !errors.Is(err, daypass.ErrUnreachable) || errors.Is(err, daypass.ErrNoSource) {
			t.Errorf("%s: %q, %v", what, names(l), err)
		}
	}
	b := newBench(t, courseSeed(), fake.CanvasSwitches{}, student, nil)
	b.Fault(fake.PathIs("/api/v1/courses/42/folders"), fake.Fault{Kind: fake.FaultStatus, Status: 200, Body: `[{"id":100,"name":"course files","parent_folder_id":null},{"id":101,"name":"a","parent_folder_id":102},{"id":102,"name":"b","parent_folder_id":101}]`})
	if l := b.list(t, "courses/42"); l.Complete || len(l.Notes) != 1 || len(l.Items) != 2 {
		t.Errorf("folders that are not shown: %q, complete %v", names(l), l.Complete)
	}
}

// TestRenew: a token that is dead is renewed once; a no is not taken for one.
func TestRenew(t *testing.T) {
	renewed := 0
	b := newBench(t, courseSeed(), fake.CanvasSwitches{}, student, nil)
	var mu sync.Mutex
	token := daypass.NewSecret("dead")
	works := true
	b.as(student, func(c *canvas.Config) {
		c.Token = func(context.Context) (daypass.Secret, error) { mu.Lock(); defer mu.Unlock(); return token, nil }
		c.Renew = func(context.Context) bool {
			mu.Lock()
			defer mu.Unlock()
			renewed++
			if works {
				token = daypass.NewSecret(b.NewToken(student))
			}
			return works
		}
	})
	if len(b.list(t, "courses/42").Items) != 3 || renewed != 1 {
		t.Errorf("renewed %d times", renewed)
	}
	if _, err := b.read.List(t.Context(), source("courses/43")); !errors.Is(err, daypass.ErrNoSource) || renewed != 1 {
		t.Errorf("a course of others: %v, renewed %d times", err, renewed)
	}
	b.Revoke(student)
	works = false
	if _, err := b.read.List(t.Context(), source("courses/42")); code(err) != "DP-427" || errors.Is(err, daypass.ErrNoSource) || renewed != 2 {
		t.Errorf("a token that was ended: %v, renewed %d times", err, renewed)
	}
	// What cannot be renewed at all, and comes back dead each time.
	mu.Lock()
	works = true
	mu.Unlock()
	b.Fault(nil, fake.Fault{Kind: fake.FaultStatus, Status: 401, Header: http.Header{"Www-Authenticate": {"Bearer"}}, Body: `{"errors":[]}`})
	before := len(b.Requests())
	if _, err := b.read.Look(t.Context(), source("courses/42"), ""); code(err) != "DP-427" || len(b.Requests())-before != 2 {
		t.Errorf("dead each time: %v, %d requests", err, len(b.Requests())-before)
	}
}

// TestThrottle: a course of many files is read below the limit that the stand-in holds,
// by several at once who share the token, and four requests at most are under way.
func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := courseSeed()
		for n := range 60 {
			seed.Files = append(seed.Files, fake.CanvasFile{ID: int64(20_000 + n), Folder: 100, Name: fmt.Sprintf("f%02d", n), Text: "x"})
		}
		var mu sync.Mutex
		under, most := 0, 0
		b := newBench(t, seed, fake.CanvasSwitches{Throttle: true, Cost: 20}, student, func(c *canvas.Config) {
			base := c.Base
			c.Base = round(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				under++
				most = max(most, under)
				mu.Unlock()
				time.Sleep(50 * time.Millisecond)
				defer func() { mu.Lock(); under--; mu.Unlock() }()
				return base.RoundTrip(r)
			})
		})
		l := b.list(t, "courses/42")
		var group sync.WaitGroup
		for half := range 2 {
			for worker := range 4 {
				group.Go(func() {
					for n, it := range l.Items {
						if it.Skip == "" && n%8 == 4*half+worker {
							if _, err := b.text(t.Context(), source("courses/42"), it); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
		}
		group.Wait()
		busy := 0
		for _, r := range b.Requests() {
			if r.Status == http.StatusForbidden || r.Status == http.StatusTooManyRequests {
				busy++
			}
		}
		if busy > 0 || most > 4 {
			t.Errorf("%d requests were too many, %d at once", busy, most)
		}
	})
}

// TestBusy: a 403 that says "rate limit" is no refusal.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, courseSeed(), fake.CanvasSwitches{}, student, nil)
		b.FailNth(2, nil, fake.CanvasBusy(http.StatusForbidden, 0))
		if l := b.list(t, "courses/42"); len(l.Items) != 3 {
			t.Errorf("%q", names(l))
		}
		b.Fault(nil, fake.CanvasBusy(http.StatusForbidden, 0))
		if _, err := b.read.Look(t.Context(), source("courses/42"), ""); !errors.Is(err, daypass.ErrLimited) || errors.Is(err, daypass.ErrNoSource) {
			t.Errorf("%v", err)
		}
	})
}

// TestSecretsStayInside: what anybody could download a file with is in nothing that a
// listing shows, nor in an error, and is asked for at the site alone.
func TestSecretsStayInside(t *testing.T) {
	b := newBench(t, courseSeed(), fake.CanvasSwitches{}, student, nil)
	l := b.list(t, "courses/42")
	said := fmt.Sprintf("%+v", l) + fmt.Sprint(b.read.Look(t.Context(), source("courses/42"), l.Mark))
	if all, err := json.Marshal(l); err == nil {
		said += string(all)
	}
	for _, f := range []fake.Fault{{Kind: fake.FaultReset}, {Kind: fake.FaultStatus, Status: 500, Body: b.token}, {Kind: fake.FaultRedirect, URL: "https://evil.example/" + b.token}, {Kind: fake.FaultStatus, Status: 403, Body: b.token}} {
		mend := b.Fault(fake.PathHasPrefix("/files/"), f)
		_, err := b.text(cancelSoon(t), source("courses/42"), l.Items[0])
		said += fmt.Sprintf("%v %+v", err, err)
		mend()
	}
	for _, secret := range b.Secrets() {
		if strings.Contains(said, secret) {
			t.Error("a secret is in what is shown")
		}
	}
	for _, r := range b.Requests() {
		if strings.Contains(r.RawQuery, "verifier") && r.Host != host || strings.Contains(r.RawQuery, b.token) || r.Header.Get("Referer") != "" {
			t.Errorf("%s %s?%s", r.Host, r.Path, r.RawQuery)
		}
	}
}

func cancelSoon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
