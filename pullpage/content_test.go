package pullpage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
)

const atService = "https://hub.example.org/services/daypass"

var labTold = Told{
	Name: "ph142-lab1", Title: "Lab 1: water", Source: "drive:drive.google.com/fLab1", Words: "a folder of Google Drive", Folder: "courses/lab1", Open: "start here.ipynb", Maker: "Tea Instructor",
	Until: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
}

// withLinks is the page under its own name, with an access service.
func withLinks(t *testing.T, told ...Told) *world {
	w := newWorld(t, func(c *Config) { c.Name, c.Settings.Service = NameDaypass, atService })
	for _, l := range told {
		w.links[l.Name] = l
	}
	return w
}

// TestLinkOfTheService: its page asks nothing, shows what comes, and pulls it by name
// alone; the same by its name and by its address in the page's own form.
func TestLinkOfTheService(t *testing.T) {
	for _, query := range []string{"link=ph142-lab1", "repo=link%3Aph142-lab1", "repo=" + url.QueryEscape(atService+"/l/ph142-lab1")} {
		w := withLinks(t, labTold)
		page := w.get("/?" + query)
		body := page.Body.String()
		for _, want := range []string{"Lab 1: water", "a folder of Google Drive", "Tea Instructor", "courses/lab1", "start here.ipynb", "data-auto"} {
			if page.Code != http.StatusOK || !strings.Contains(body, want) {
				t.Fatalf("%s: the page lacks %q: %d %s", query, want, page.Code, body)
			}
		}
		if strings.Contains(body, "fLab1") {
			t.Error("the page shows the source's id")
		}
		sent := w.post("/begin", form(t, body, "begin"))
		runs := w.pulled()
		if sent.Code != http.StatusSeeOther || len(runs) != 1 || runs[0].Repo != "link:ph142-lab1" || runs[0].Folder != filepath.Join(w.root, "courses/lab1") || runs[0].Ref != "" {
			t.Errorf("%s: %d, %+v", query, sent.Code, runs)
		}
		if len(w.asked) != 1 {
			t.Errorf("the service was asked %q", w.asked)
		}
	}
}

// TestLinkAsksOnlyOverOthers: a folder of another source is asked about, that of the
// same link or source is not, however it came.
func TestLinkAsksOnlyOverOthers(t *testing.T) {
	for name, c := range map[string]struct {
		st  pull.State
		ask bool
	}{
		"the same link":         {pull.State{Via: "link:ph142-lab1", Service: atService, Source: "drive:drive.google.com/fOld", Content: true}, false},
		"another service's":     {pull.State{Via: "link:ph142-lab1", Service: "https://hub.example.com/services/daypass", Source: "drive:drive.google.com/fOld", Content: true}, true},
		"the same source":       {pull.State{Source: "drive:drive.google.com/fLab1", Content: true}, false},
		"another link":          {pull.State{Via: "link:other", Source: "drive:drive.google.com/fOther", Content: true}, true},
		"a repository":          {pull.State{Source: "https://github.com/org/lab1"}, true},
		"one that is so called": {pull.State{Source: "drive:drive.google.com/fLab1"}, true},
	} {
		w := withLinks(t, labTold)
		folder := filepath.Join(w.root, "courses/lab1")
		w.states[folder] = c.st
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if b := w.get("/?link=ph142-lab1").Body.String(); strings.Contains(b, "data-auto") == c.ask || strings.Contains(b, "holds files from somewhere else") != c.ask || strings.Contains(b, "gets another name") != c.ask {
			t.Errorf("%s: asks: %v", name, !c.ask)
		}
	}
}

// TestLinkThatRuns: what runs on opening is asked about after it came.
func TestLinkThatRuns(t *testing.T) {
	told := labTold
	told.App, told.Open = "voila/render", "app.ipynb"
	w := withLinks(t, told)
	if b := w.click("link=ph142-lab1").Body.String(); !strings.Contains(b, "runs what was just brought") {
		t.Errorf("it is opened: %s", b)
	}
}

// TestServiceIsNotTrusted: what the service says leads nowhere else.
func TestServiceIsNotTrusted(t *testing.T) {
	for want, change := range map[string]func(*Told){
		"DP-376": func(l *Told) { l.Folder = "../../etc" },
		"DP-377": func(l *Told) { l.Open = "../../../hub/logout" },
		"DP-375": func(l *Told) { l.Name = "x" },
	} {
		told := labTold
		change(&told)
		w := withLinks(t, told)
		w.links["x"] = told
		if b := w.get("/?link=" + told.Name).Body.String(); !strings.Contains(b, want) || len(w.pulled()) > 0 {
			t.Errorf("want %s: %s", want, b)
		}
	}
	for _, connect := range []string{"https://evil.example/services/daypass/connect/canvas.example.edu", "javascript:alert(1)", atService + ".evil.example/connect/x", atService + "/signout", "https://u@hub.example.org/services/daypass/connect/x"} {
		told := labTold
		told.Connect = connect
		if b := withLinks(t, told).get("/?link=ph142-lab1").Body.String(); !strings.Contains(b, "DP-377") || strings.Contains(b, "evil.example/") {
			t.Errorf("%s is followed: %s", connect, b)
		}
	}
	if told := (Told{Name: "ph142-lab1", Title: `<script>alert(1)</script>`, Words: `"><b>`, Maker: "<i>"}); true {
		if b := withLinks(t, told).get("/?link=ph142-lab1").Body.String(); strings.Contains(b, "<script>a") || strings.Contains(b, "<i>") || strings.Contains(b, "<b>") {
			t.Error("words of the service are read as HTML")
		}
	}
}

// TestConnectFirst: a link that needs the reader's own account leads to the service's
// page, and back to the very link; nothing is pulled before.
func TestConnectFirst(t *testing.T) {
	told := labTold
	told.Connect = atService + "/connect/canvas.example.edu?next=//evil.example"
	w := withLinks(t, told)
	b := w.get("/?link=ph142-lab1").Body.String()
	if want := `href="` + atService + `/connect/canvas.example.edu?next=l%2Fph142-lab1"`; !strings.Contains(b, want) || strings.Contains(b, "data-auto") || strings.Contains(b, "evil.example") {
		t.Errorf("no %s: %s", want, b)
	}
	told.Connect = ""
	w.links["ph142-lab1"] = told
	if b := w.get("/?link=ph142-lab1").Body.String(); !strings.Contains(b, "data-auto") {
		t.Errorf("after that it does not go on by itself: %s", b)
	}
	w.run = func(context.Context, Request, func(pull.Event)) (pull.Report, error) {
		return pull.Report{}, &daypass.Problem{Code: "DP-813", What: "canvas.example.edu is not connected any more", Next: "Open " + atService + "/connect/canvas.example.edu, then pull again."}
	}
	if b := w.click("link=ph142-lab1").Body.String(); !strings.Contains(b, `id="connect"`) || !strings.Contains(b, "connect/canvas.example.edu?next=l%2Fph142-lab1") {
		t.Errorf("a connection that ended: %s", b)
	}
}

// TestLinkRefused: the words of the service, what to send, and the way to what is there.
func TestLinkRefused(t *testing.T) {
	w := withLinks(t)
	w.noLink = &daypass.Problem{Code: "DP-725", What: "the link ph142-lab1 is paused", Next: "Ask whoever teaches the course.", Who: "Whoever made it can let it go on.", Kind: daypass.ErrRefused}
	folder := filepath.Join(w.root, "lab1")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	w.states[folder] = pull.State{Via: "link:ph142-lab1", Content: true}
	if err := w.s.book.keep(folder, Entry{At: w.now, Report: pull.Report{Folder: folder, Fresh: true, New: commitA}}); err != nil {
		t.Fatal(err)
	}
	page := w.get("/?link=ph142-lab1")
	for _, want := range []string{"The link ph142-lab1 is paused", "DP-725", "Link: " + atService + "/l/ph142-lab1", `id="again"`, `href="/user/ada/tree/lab1"`} {
		if b := page.Body.String(); page.Code != http.StatusForbidden || !strings.Contains(b, want) {
			t.Errorf("the page lacks %s: %d %s", want, page.Code, b)
		}
	}
}

// TestPlainSources: content that is not git's is asked about, but where the site lists
// its host or it is there already; and what is handed on is its canonical name.
func TestPlainSources(t *testing.T) {
	const drive = "https://drive.google.com/drive/folders/1AbCdEfGhIjKlMnOpQrStUvWxYz012345"
	w := newWorld(t, nil)
	page := w.get("/?repo=" + url.QueryEscape(drive)).Body.String()
	if !strings.Contains(page, "Google Drive") || strings.Contains(page, "data-auto") {
		t.Fatalf("a stranger's folder: %s", page)
	}
	w.post("/begin", form(t, page, "begin"))
	if runs := w.pulled(); len(runs) != 1 || runs[0].Repo != "drive:drive.google.com/1AbCdEfGhIjKlMnOpQrStUvWxYz012345" {
		t.Fatalf("%+v", runs)
	}
	listed := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"drive.google.com/1AbCdEfGhIjKlMnOpQrStUvWxYz012345"} })
	if b := listed.get("/?repo=" + url.QueryEscape(drive)).Body.String(); !strings.Contains(b, "data-auto") {
		t.Errorf("a folder that the site lists: %s", b)
	}
	for _, doi := range []string{"10.5281/zenodo.1234567", "https://doi.org/10.5281/zenodo.1234567"} {
		if b := newWorld(t, nil).get("/?repo=" + url.QueryEscape(doi)).Body.String(); !strings.Contains(b, "Continue?") || strings.Contains(b, "data-auto") {
			t.Errorf("%s: %s", doi, b)
		}
	}
}

// TestSourceNamesItsFolder: a source whose link names no folder goes into one that is
// called as it is. Its host is asked only after somebody has said yes.
func TestSourceNamesItsFolder(t *testing.T) {
	const source = "drive:drive.google.com/1AbCdEfGhIjKlMnOpQrStUvWxYz012345"
	query := "/?repo=" + url.QueryEscape(source)
	called := func(name string, no error) (*world, *[]string) {
		var asked []string
		w := newWorld(t, nil)
		w.s.c.Where = func(_ context.Context, dir, repo string) (string, error) {
			asked = append(asked, repo)
			return filepath.Join(dir, name), no
		}
		return w, &asked
	}
	begun := func(w *world, query string) string {
		t.Helper()
		page := w.get(query).Body.String()
		w.post("/begin", form(t, page, "begin"))
		runs := w.pulled()
		if len(runs) == 0 {
			t.Fatalf("nothing was pulled: %s", page)
		}
		rel, _ := filepath.Rel(w.root, runs[len(runs)-1].Folder)
		return rel
	}
	w, asked := called("Lab 1 tides", nil)
	if page := w.get(query).Body.String(); len(*asked) != 0 || !strings.Contains(page, "called as it is there") || strings.Contains(page, "drive-1AbC") {
		t.Fatalf("before somebody agreed %q were asked: %s", *asked, page)
	}
	if got := begun(w, query); got != "Lab 1 tides" || len(*asked) != 1 || (*asked)[0] != source {
		t.Errorf("it went into %q, and %q were asked", got, *asked)
	}

	// It is found again under any name, without a question to anybody.
	if err := os.MkdirAll(filepath.Join(w.root, "my lab"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.states[filepath.Join(w.root, "my lab")] = pull.State{Source: source, Content: true}
	if page := w.get(query).Body.String(); !strings.Contains(page, "my lab") || !strings.Contains(page, "data-auto") {
		t.Errorf("a folder that holds it: %s", page)
	}
	if got := begun(w, query); got != "my lab" || len(*asked) != 1 {
		t.Errorf("it went into %q, and %q were asked", got, *asked)
	}
	w.states[filepath.Join(w.root, "my lab")] = pull.State{Source: source, Content: true, Via: "link:ph142-lab1"}
	if page := w.get(query).Body.String(); strings.Contains(page, "my lab") {
		t.Errorf("a link's folder is taken for the source's: %s", page)
	}

	for name, c := range map[string]struct {
		called, more string
		no           error
		want         string
		asked        int
	}{
		"a host that does not answer":        {"", "", errors.New("no"), "drive-1AbCdEfGhIjKlMnOpQrStUvWxYz012345", 1},
		"a hidden folder":                    {".ssh", "", nil, "drive-1AbCdEfGhIjKlMnOpQrStUvWxYz012345", 1},
		"another place":                      {"../elsewhere", "", nil, "drive-1AbCdEfGhIjKlMnOpQrStUvWxYz012345", 1},
		"a folder in one":                    {"a/b", "", nil, "drive-1AbCdEfGhIjKlMnOpQrStUvWxYz012345", 1},
		"what a front end takes for a drive": {"Lab 1: tides", "", nil, "drive-1AbCdEfGhIjKlMnOpQrStUvWxYz012345", 1},
		"what runs":                          {"lab.ipynb", "", nil, "drive-1AbCdEfGhIjKlMnOpQrStUvWxYz012345", 1},
		"a link that names one":              {"x", "&targetpath=mine", nil, "mine", 0},
		"a link that opens a file":           {"x", "&urlpath=lab/tree/drive-1AbC/a.md", nil, "drive-1AbCdEfGhIjKlMnOpQrStUvWxYz012345", 0},
	} {
		w, asked := called(c.called, c.no)
		if got := begun(w, query+c.more); got != c.want || len(*asked) != c.asked {
			t.Errorf("%s: it went into %q, and %q were asked", name, got, *asked)
		}
	}
}

// TestIncludeByAPress: what was left out for its size comes by one press, and only what
// a report tells of.
func TestIncludeByAPress(t *testing.T) {
	w := withLinks(t, labTold)
	const large = "data/[all]*.csv"
	w.run = func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		return pull.Report{Folder: r.Folder, Fresh: true, New: commitA, Changes: []pull.Change{
			{Path: large + ".daypass-pointer", From: large, What: pull.LeftOut, Why: "larger than 100 MB"}, {Path: "a:b", What: pull.LeftOut, Why: "its name holds a colon"},
		}}, nil
	}
	folder := filepath.Join(w.root, "courses/lab1")
	if err := os.MkdirAll(filepath.Join(folder, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, large+".daypass-pointer"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.click("link=ph142-lab1")
	for _, page := range []string{w.click("link=ph142-lab1").Body.String(), w.get("/report?folder=courses%2Flab1").Body.String()} {
		if strings.Count(page, "Bring it all the same") != 1 {
			t.Fatalf("not one button: %s", page)
		}
		sent := form(t, page, "include")
		res := w.post("/include", sent)
		if res.Code != http.StatusSeeOther {
			t.Fatalf("%d %s", res.Code, res.Body)
		}
		id := res.Header().Get("Location")
		for strings.Contains(w.get("/status"+strings.TrimPrefix(id, "pull")).Body.String(), "syncing") {
			time.Sleep(time.Millisecond)
		}
		runs := w.pulled()
		if r := runs[len(runs)-1]; r.Include != `data/\[all]\*.csv` || r.Repo != "link:ph142-lab1" || r.Folder != folder {
			t.Errorf("%+v", r)
		}
	}
	n := len(w.pulled())
	page := w.get("/report?folder=courses%2Flab1").Body.String()
	sent := form(t, page, "include")
	sent.Set("file", "other.csv")
	if res := w.post("/include", sent); res.Code != http.StatusForbidden || len(w.pulled()) != n {
		t.Errorf("a file of another name: %d", res.Code)
	}
	w.states[folder] = pull.State{Folder: folder, Source: "https://github.com/org/lab-3"}
	if b := w.get("/report?folder=courses%2Flab1").Body.String(); strings.Contains(b, "Bring it all the same") {
		t.Error("git brings no single file")
	}
	if !slices.Contains(w.asked, "ph142-lab1") {
		t.Error("nobody was asked")
	}
}
