package pullpage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
)

func TestALinkToItsEnd(t *testing.T) {
	w := newWorld(t, nil)
	page := w.get("/?" + lab3)
	if b := page.Body.String(); !strings.Contains(b, "This link brings files from <bdi>github.com/org</bdi> into your home. Continue?") || strings.Contains(b, "data-auto") {
		t.Fatalf("no question:\n%s", b)
	}
	if len(w.pulled()) != 0 {
		t.Fatal("a GET pulled")
	}
	end := w.click(lab3)
	if end.Code != http.StatusOK || !strings.Contains(end.Body.String(), `href="/user/ada/lab/tree/lab-3/index.ipynb"`) {
		t.Fatalf("%d %s", end.Code, end.Body)
	}
	if got := w.pulled(); len(got) != 1 || got[0] != (Request{Repo: "https://github.com/org/lab-3", Ref: "main", Folder: w.root + "/lab-3", Root: w.root, Depth: 1}) {
		t.Fatalf("pulled %+v", got)
	}
	if b := w.get("/?" + lab3).Body.String(); !strings.Contains(b, "data-auto") {
		t.Fatalf("the second click asks again:\n%s", b)
	}
	if b := w.get("/?" + strings.Replace(lab3, "org", "evil", 1)).Body.String(); !strings.Contains(b, "from <bdi>github.com/evil</bdi> into") {
		t.Fatalf("another owner does not ask:\n%s", b)
	}
}

// TestOwners: whose content comes without a question.
func TestOwners(t *testing.T) {
	for owners, want := range map[string]map[string]bool{
		"github.com/org":       {"https://github.com/org/x": true, "https://github.com/ORG/x.git": true, "git@github.com:org/x": true, "https://github.com/organ/x": false, "https://github.com/evil/org": false, "https://github.com.evil.example/org/x": false},
		"git.example.edu":      {"https://git.example.edu/a/b/c": true, "https://git.example.edu:8443/a/b": false, "https://github.com/git.example.edu/x": false},
		"git.example.edu/a/b/": {"https://git.example.edu/a/b/c": true, "https://git.example.edu/a/c": false, "https://git.example.edu/a/bb/c": false},
		"":                     {"/srv/x": false, "https://h/o/x": false},
	} {
		w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{owners} })
		for repo, auto := range want {
			b := w.get("/?repo=" + url.QueryEscape(repo)).Body.String()
			if got := strings.Contains(b, "data-auto"); got != auto {
				t.Errorf("%q lists %s: begins by itself %v, want %v", owners, repo, got, auto)
			}
		}
	}
}

// TestWhoMayAsk: what a request says of its own coming about, and whether it is answered.
func TestWhoMayAsk(t *testing.T) {
	w := newWorld(t, nil)
	begin := func() url.Values { return form(t, w.get("/?"+lab3).Body.String(), "begin") }
	for name, c := range map[string]struct {
		header []string
		code   int
	}{
		"our own form":                {nil, http.StatusSeeOther},
		"our own script":              {[]string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, http.StatusSeeOther},
		"an old browser":              {[]string{"Sec-Fetch-Site", "", "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Origin", "http://hub.example.org"}, http.StatusSeeOther},
		"another site's form":         {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
		"a sister's form":             {[]string{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.example.org"}, http.StatusForbidden},
		"a typed address":             {[]string{"Sec-Fetch-Site", "none", "Origin", ""}, http.StatusForbidden},
		"nothing said":                {[]string{"Sec-Fetch-Site", "", "Origin", ""}, http.StatusForbidden},
		"an old browser, other site":  {[]string{"Sec-Fetch-Site", "", "Origin", "http://evil.example"}, http.StatusForbidden},
		"an old browser, hidden site": {[]string{"Sec-Fetch-Site", "", "Origin", "null"}, http.StatusForbidden},
		"within a frame":              {[]string{"Sec-Fetch-Dest", "iframe"}, http.StatusForbidden},
		"as plain text":               {[]string{"Content-Type", "text/plain"}, http.StatusForbidden},
		"as JSON":                     {[]string{"Content-Type", "application/json"}, http.StatusForbidden},
	} {
		if got := w.post("/begin", begin(), c.header...); got.Code != c.code {
			t.Errorf("%s: %d, want %d: %s", name, got.Code, c.code, got.Body)
		}
	}
	for name, c := range map[string]struct {
		path   string
		header []string
		code   int
	}{
		"a link elsewhere":         {"/?" + lab3, nil, http.StatusOK},
		"an old browser":           {"/?" + lab3, []string{"Sec-Fetch-Site", "", "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", ""}, http.StatusOK},
		"a picture elsewhere":      {"/?" + lab3, []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, http.StatusForbidden},
		"a script that reads it":   {"/?" + lab3, []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, http.StatusForbidden},
		"a stream elsewhere":       {"/events?id=x", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, http.StatusForbidden},
		"a stream that is unknown": {"/events?id=x", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, http.StatusNotFound},
		"the old page's address":   {"/api?" + lab3, nil, http.StatusNotFound},
		"a listing":                {"/static/", nil, http.StatusNotFound},
		"a climb":                  {"/static/../begin", nil, http.StatusTemporaryRedirect},
	} {
		if got := w.get(c.path, c.header...); got.Code != c.code {
			t.Errorf("%s: %d, want %d: %s", name, got.Code, c.code, got.Body)
		}
	}
}

// TestTokens: one is good once, for ten minutes, for what its page showed, and at
// the server that made it.
func TestTokens(t *testing.T) {
	w, other := newWorld(t, nil), newWorld(t, nil)
	fresh := func() url.Values { return form(t, w.get("/?"+lab3).Body.String(), "begin") }
	for name, change := range map[string]func(url.Values){
		"none":             func(f url.Values) { f.Del("token") },
		"another link":     func(f url.Values) { f.Set("link", strings.Replace(lab3, "org", "evil", 1)) },
		"another target":   func(f url.Values) { f.Set("link", f.Get("link")+"&urlpath=shiny/x") },
		"question cut out": func(f url.Values) { f.Set("asked", "") },
		"a fresh start":    func(f url.Values) { f.Set("fresh", "yes"); f.Set("sure", "yes") },
		"cut":              func(f url.Values) { f.Set("token", f.Get("token")[:20]) },
		"a longer life": func(f url.Values) {
			p := strings.Split(f.Get("token"), ".")
			p[1] = "zzzzzzz"
			f.Set("token", strings.Join(p, "."))
		},
		"another server's": func(f url.Values) {
			f.Set("token", form(t, other.get("/?"+lab3).Body.String(), "begin").Get("token"))
		},
	} {
		f := fresh()
		change(f)
		if got := w.post("/begin", f); got.Code != http.StatusForbidden || !strings.Contains(got.Body.String(), "DP-380") {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	late := fresh()
	w.now = w.now.Add(10*time.Minute + time.Second)
	if got := w.post("/begin", late); got.Code != http.StatusForbidden {
		t.Errorf("late: %d", got.Code)
	}
	if n := len(w.pulled()); n != 0 {
		t.Fatalf("%d pulls were begun", n)
	}
	once := fresh()
	if got := w.post("/begin", once); got.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	if got := w.post("/begin", once); got.Code != http.StatusForbidden {
		t.Errorf("twice: %d", got.Code)
	}
	if n := len(w.pulled()); n != 1 {
		t.Errorf("%d pulls", n)
	}
}

// TestOnePullOfAFolder: a second tab follows the first one's pull; other content
// for the folder has to wait.
func TestOnePullOfAFolder(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"} })
	free, begun := make(chan struct{}), make(chan struct{}, 10)
	w.run = func(_ context.Context, r Request, told func(pull.Event)) (pull.Report, error) {
		told(pull.Event{Phase: pull.Fetching, Files: 1, FilesTotal: 3})
		begun <- struct{}{}
		<-free
		return pull.Report{Folder: r.Folder, Same: true}, nil
	}
	script := []string{"Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}
	var ids []string
	for range 3 {
		got := w.post("/begin", form(t, w.get("/?"+lab3).Body.String(), "begin"), script...)
		if got.Code != http.StatusOK {
			t.Fatalf("%d %s", got.Code, got.Body)
		}
		ids = append(ids, got.Body.String())
	}
	<-begun
	if ids[0] != ids[1] || ids[1] != ids[2] || len(w.pulled()) != 1 {
		t.Errorf("pulls %v, answers %q", w.pulled(), ids)
	}
	if b := w.get("/?" + lab3).Body.String(); !strings.Contains(b, "Show how far it is") {
		t.Errorf("the page does not say that it runs:\n%s", b)
	}
	got := w.post("/begin", form(t, w.get("/?"+strings.Replace(lab3, "org", "other", 1)).Body.String(), "begin"), script...)
	if got.Code == http.StatusOK || !strings.Contains(got.Body.String(), "DP-384") {
		t.Errorf("other content: %d %s", got.Code, got.Body)
	}
	close(free)
}

// TestRunningElsewhere: a pull that another process of the page began is shown
// without a question.
func TestRunningElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	w.running[w.root+"/lab-3"] = Request{Repo: "https://github.com/org/lab-3", Ref: "main", Folder: w.root + "/lab-3", Root: w.root, Depth: 1}
	page := w.get("/?" + lab3).Body.String()
	if !strings.Contains(page, "data-auto") {
		t.Fatalf("it asks:\n%s", page)
	}
	delete(w.running, w.root+"/lab-3")
	if got := w.post("/begin", form(t, page, "begin")); got.Code != http.StatusForbidden || len(w.pulled()) != 0 {
		t.Errorf("a pull without a question: %d %v", got.Code, w.pulled())
	}
}

// TestTargetsThatRun: what runs on opening is asked about at every change.
func TestTargetsThatRun(t *testing.T) {
	w := newWorld(t, nil)
	shiny := strings.Replace(lab3, "lab%2Ftree%2Flab-3%2Findex.ipynb", "shiny%2Flab-3%2F", 1)
	if b := w.get("/?" + shiny).Body.String(); !strings.Contains(b, "and then opens Shiny, which runs them") {
		t.Fatalf("the question does not say it:\n%s", b)
	}
	if b := w.click(shiny).Body.String(); strings.Contains(b, "Open it?") || !strings.Contains(b, `href="/user/ada/shiny/lab-3/"`) {
		t.Fatalf("asked twice for one thing:\n%s", b)
	}
	commit := strings.Repeat("1", 40)
	w.run = func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		return pull.Report{Folder: r.Folder, Same: commit[0] == '1', New: commit}, nil
	}
	if b := w.click(shiny).Body.String(); strings.Contains(b, "Open it?") {
		t.Fatalf("asks though nothing changed:\n%s", b)
	}
	commit = strings.Repeat("2", 40)
	for range 2 { // also where the answer was never given
		if b := w.click(shiny).Body.String(); !strings.Contains(b, "Open it?") || strings.Contains(b, `href="/user/ada/shiny`) {
			t.Fatalf("does not ask after a change:\n%s", b)
		}
	}
	if b := w.click(lab3).Body.String(); strings.Contains(b, "Open it?") {
		t.Fatalf("an editor asks:\n%s", b)
	}
	got := w.post("/open", form(t, w.click(shiny).Body.String(), "open"))
	if got.Code != http.StatusSeeOther || got.Header().Get("Location") != "../shiny/lab-3/" {
		t.Fatalf("%d %v", got.Code, got.Header())
	}
	if b := w.click(shiny).Body.String(); strings.Contains(b, "Open it?") {
		t.Fatalf("forgets the answer:\n%s", b)
	}
}

// TestNeighbour: on a port nobody gets anything without the secret, files included.
func TestNeighbour(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	w := newWorld(t, func(c *Config) { c.Secret = daypass.NewSecret(secret) })
	icon, err := w.s.static.Path("icon.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/?" + lab3, "/" + icon, "/report?folder=lab-3", "/nothing"} {
		for _, wrong := range []string{"", secret[1:], secret + "0", strings.ToUpper(secret)} {
			if got := w.get(path, SecretHeader, wrong); got.Code != http.StatusForbidden || strings.Contains(got.Body.String(), "lab-3") {
				t.Errorf("%s with %q: %d %s", path, wrong, got.Code, got.Body)
			}
		}
	}
	if got := w.get("/", SecretHeader, secret); got.Code != http.StatusOK || strings.Contains(got.Body.String(), secret) {
		t.Errorf("the proxy: %d %s", got.Code, got.Body)
	}
}

func TestFramed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"} })
	for _, dest := range []string{"iframe", "frame", "embed", "object"} {
		got := w.get("/?"+lab3, "Sec-Fetch-Dest", dest)
		b := got.Body.String()
		if got.Code != http.StatusOK || !strings.Contains(b, "Open in a new tab") || strings.Contains(b, "<form") || strings.Contains(b, "<script") || strings.Contains(b, "Your files</a>") {
			t.Errorf("%s: %d\n%s", dest, got.Code, b)
		}
		if csp := got.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors *") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: %s", dest, csp)
		}
		if !strings.Contains(b, `target="_blank" rel="noopener"`) || !strings.Contains(b, `href="./?repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&amp;branch=main`) {
			t.Errorf("no link:\n%s", b)
		}
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t, nil)
	seen := map[string]bool{}
	for _, path := range []string{"/", "/?" + lab3, "/?repo=", "/report?folder=lab-3", "/none"} {
		h := w.get(path).Header()
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'nonce-", "style-src 'nonce-", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "connect-src 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: no %s in %q", path, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || strings.Contains(csp, "http") || seen[csp] {
			t.Errorf("%s: %q", path, csp)
		}
		seen[csp] = true
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

// reported is a folder of which reports tell.
func reported(t *testing.T, w *world) (folder string) {
	t.Helper()
	folder = filepath.Join(w.root, "lab-3")
	if err := os.MkdirAll(folder+"/data", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder+"/helpers.py", []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.upstream["helpers.py"] = "theirs\n"
	w.backups = []pull.Backup{{ID: "20261122-090000", At: w.now, Why: "pull", Files: []pull.BackupFile{{Path: "old.txt", Size: 3}}}}
	w.states[folder] = pull.State{Source: "https://github.com/org/lab-3", Commit: commitB, At: w.now, Last: pull.Report{Folder: folder, New: commitB, Undo: "20261122-090000", Changes: []pull.Change{
		{Path: "helpers.py", What: pull.Kept, Kind: "text", Kept: 1}, {Path: "came.txt", What: pull.Came, Kind: "text"},
		{Path: "link.txt", What: pull.Kept, Kind: "text"}, {Path: "gone.txt", What: pull.Kept, Kind: "text"}, {Path: "../../secret", What: pull.Kept, Kind: "text"}, {Path: "sub", What: pull.Kept, Kind: "text"},
	}}}
	return folder
}

// TestFilesOfReports: only what a report tells of is shown or changed, and never
// what lies outside.
func TestFilesOfReports(t *testing.T) {
	w := newWorld(t, nil)
	folder := reported(t, w)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(outside, []byte("SECRET"), 0o600), os.Symlink(outside, folder+"/link.txt"), os.Mkdir(folder+"/sub", 0o755),
		os.WriteFile(w.root+"/top.txt", []byte("SECRET"), 0o600)); err != nil {
		t.Fatal(err)
	}
	page := w.get("/file?folder=lab-3&file=helpers.py")
	if b := page.Body.String(); page.Code != http.StatusOK || !strings.Contains(b, "<pre>mine</pre>") || !strings.Contains(b, "<pre>theirs</pre>") {
		t.Fatalf("%d %s", page.Code, b)
	}
	for _, q := range []string{
		"folder=lab-3&file=came.txt", "folder=lab-3&file=link.txt", "folder=lab-3&file=gone.txt", "folder=lab-3&file=..%2Ftop.txt", "folder=lab-3&file=..%2F..%2Fsecret", "folder=lab-3&file=sub",
		"folder=lab-3&file=", "folder=lab-3&file=.", "folder=lab-3&file=%2Fetc%2Fpasswd", "folder=&file=top.txt", "folder=.&file=top.txt", "folder=..&file=x", "folder=lab-3%2F..&file=top.txt",
		"folder=%2Fetc&file=passwd", "folder=.ssh&file=id", "folder=lab-3%2F&file=helpers.py", "folder=lab-3&file=helpers.py%00", "folder=lab-3&file=helpers.py%2F..%2Fhelpers.py", "file=helpers.py",
	} {
		got := w.get("/file?" + q)
		if got.Code == http.StatusOK || strings.Contains(got.Body.String(), "SECRET") {
			t.Errorf("%s: %d %s", q, got.Code, got.Body)
		}
	}
	reset := form(t, page.Body.String(), "reset")
	if got := w.post("/reset", reset); got.Code != http.StatusSeeOther || got.Header().Get("Location") != "report?folder=lab-3" {
		t.Fatalf("reset: %d %s", got.Code, got.Body)
	}
	report := w.get("/report?folder=lab-3").Body.String()
	if got := w.post("/undo", form(t, report, "undo")); got.Code != http.StatusSeeOther {
		t.Fatalf("undo: %d %s", got.Code, got.Body)
	}
	if got := w.post("/restore", form(t, report, "restore")); got.Code != http.StatusSeeOther {
		t.Fatalf("restore: %d %s", got.Code, got.Body)
	}
	if got := fmt.Sprint(w.done()); got != "[reset lab-3 helpers.py undo lab-3 restore lab-3 20261122-090000 old.txt]" {
		t.Errorf("did %s", got)
	}
}

// TestFormsOfFiles: a form whose fields were changed does nothing.
func TestFormsOfFiles(t *testing.T) {
	w := newWorld(t, nil)
	reported(t, w)
	if err := os.MkdirAll(w.root+"/other", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ page, action, field, value string }{
		{"/file?folder=lab-3&file=helpers.py", "reset", "file", "came.txt"}, {"/file?folder=lab-3&file=helpers.py", "reset", "folder", "other"},
		{"/report?folder=lab-3", "undo", "folder", "other"}, {"/report?folder=lab-3", "undo", "folder", ".."},
		{"/report?folder=lab-3", "restore", "file", "../x"}, {"/report?folder=lab-3", "restore", "backup", "--help"}, {"/report?folder=lab-3", "restore", "token", ""},
	} {
		f := form(t, w.get(c.page).Body.String(), c.action)
		f.Set(c.field, c.value)
		if got := w.post("/"+c.action, f); got.Code != http.StatusForbidden {
			t.Errorf("%s with %s=%s: %d %s", c.action, c.field, c.value, got.Code, got.Body)
		}
	}
	f := form(t, w.get("/report?folder=lab-3").Body.String(), "undo")
	if got := w.post("/reset", f); got.Code != http.StatusForbidden {
		t.Errorf("the token of another act: %d", got.Code)
	}
	if got := w.get("/undo?" + f.Encode()); got.Code == http.StatusOK || got.Code == http.StatusSeeOther {
		t.Errorf("undo by GET: %d", got.Code)
	}
	if d := w.done(); len(d) != 0 {
		t.Errorf("did %q", d)
	}
}

// TestFailure: what a student reads, can do, and sends.
func TestFailure(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"} })
	w.run = func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		return pull.Report{}, &daypass.Problem{Code: "DP-399", What: "cannot write " + r.Folder + "/a.txt", Why: "the disk is full", Next: "Delete something in " + r.Root + "."}
	}
	b := w.click(lab3).Body.String()
	for _, want := range []string{"cannot write lab-3/a.txt", "The disk is full.", "Delete something in your files.", `href="/user/ada/">Go on without updating`, "Repository: https://github.com/org/lab-3", "Branch: main", "daypass: 1.2.3", "[DP-399]", `href="./?repo=`} {
		if !strings.Contains(strings.ReplaceAll(b, "Cannot", "cannot"), want) {
			t.Errorf("no %q:\n%s", want, b)
		}
	}
	if strings.Contains(b, w.root) || strings.Contains(b, "Back up and start fresh") {
		t.Errorf("a path above the folder, or a fresh start where there is nothing:\n%s", b)
	}
	if err := os.MkdirAll(w.root+"/lab-3", 0o755); err != nil {
		t.Fatal(err)
	}
	b = w.click(lab3).Body.String()
	if !strings.Contains(b, `href="/user/ada/lab/tree/lab-3">Go on without updating`) {
		t.Errorf("does not lead to the folder:\n%s", b)
	}
	fresh := form(t, b, "begin")
	if got := w.post("/begin", fresh); got.Code != http.StatusForbidden {
		t.Errorf("a fresh start without a yes: %d", got.Code)
	}
	fresh = form(t, w.click(lab3).Body.String(), "begin")
	fresh.Set("sure", "yes")
	if got := w.post("/begin", fresh); got.Code != http.StatusSeeOther {
		t.Errorf("a fresh start: %d %s", got.Code, got.Body)
	}
	runs := w.pulled()
	if last := runs[len(runs)-1]; !last.Backup || last.Folder != w.root+"/lab-3" {
		t.Errorf("pulled %+v", last)
	}
	// A failure that no Problem tells keeps its text to itself.
	w.run = func(context.Context, Request, func(pull.Event)) (pull.Report, error) {
		return pull.Report{}, errors.New("open " + w.root + "/x: token ghp_secret")
	}
	if b := w.click(lab3).Body.String(); strings.Contains(b, "ghp_secret") || !strings.Contains(b, "DP-385") {
		t.Errorf("%s", b)
	}
}

// TestLanding: where the browser goes, and when by itself.
func TestLanding(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"} })
	report := pull.Report{New: commitA}
	w.run = func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		rep := report
		rep.Folder = r.Folder
		return rep, nil
	}
	for _, f := range []string{"lab-3/index.ipynb", "lab-3/a b/c#d.ipynb"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(w.root, filepath.Dir(f)), 0o755), os.WriteFile(filepath.Join(w.root, f), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	to := func(path string) string {
		return "repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&urlpath=" + url.QueryEscape(path)
	}
	for _, c := range []struct {
		why, query, href string
		now              bool
	}{
		{"as it says", lab3, "/user/ada/lab/tree/lab-3/index.ipynb", true},
		{"the folder", to("tree/lab-3/"), "/user/ada/tree/lab-3/", true},
		{"with .git too much", to("lab/tree/lab-3.git/index.ipynb"), "/user/ada/lab/tree/lab-3/index.ipynb", true},
		{"escaped", to("lab/tree/lab-3/a%20b/c%23d.ipynb"), "/user/ada/lab/tree/lab-3/a%20b/c%23d.ipynb", true},
		{"what is not there", to("lab/tree/lab-3/none.ipynb"), "/user/ada/lab/tree/lab-3", false},
		{"what cannot be looked for", to("rstudio/"), "/user/ada/rstudio/", true},
	} {
		b := w.click(c.query).Body.String()
		if !strings.Contains(b, `id="go" href="`+c.href+`"`) {
			t.Errorf("%s: no %s\n%s", c.why, c.href, b)
		}
		if got := !strings.Contains(b, "data-land"); got != c.now {
			t.Errorf("%s: at once %v", c.why, got)
		}
	}
	report.Changes = []pull.Change{{Path: "a.ipynb", What: pull.Merged, Kind: "notebook", Kept: 2}}
	end := w.click(lab3)
	if b := end.Body.String(); !strings.Contains(b, "data-land") || !strings.Contains(b, "We kept your answers in 2 cells.") {
		t.Errorf("what was kept is not said:\n%s", b)
	}
}

// TestEvents: nbgitpuller's phases, with what is ours, and an end.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"}; c.Now = time.Now })
		w.run = func(_ context.Context, r Request, told func(pull.Event)) (pull.Report, error) {
			for i := range 4 {
				told(pull.Event{Phase: pull.Fetching, Bytes: int64(i) * 1_000_000, BytesTotal: 4_000_000, Files: int64(i), FilesTotal: 4})
				time.Sleep(time.Second)
			}
			return pull.Report{Folder: r.Folder, Same: true, New: commitA}, nil
		}
		got := w.post("/begin", form(t, w.get("/?"+lab3).Body.String(), "begin"), "Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty")
		_, id, _ := strings.Cut(got.Body.String(), `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		r := httptest.NewRequest(http.MethodGet, "/events?id="+id, nil)
		stream := w.send(r, []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"})
		b := stream.Body.String()
		if stream.Header().Get("Content-Type") != "text/event-stream" || strings.Count(b, "data: ") < 4 {
			t.Fatalf("%v\n%s", stream.Header(), b)
		}
		for _, want := range []string{`"phase":"syncing"`, `"step":"fetching"`, "2 of 4 files · 2.0 MB of 4.0 MB · 1.0 MB/s · 3 s left", `"percent":40`, `"phase":"finished"`, `"output":"lab-3 is up to date.\n"`, `"page":"pull?id=` + id} {
			if !strings.Contains(b, want) {
				t.Errorf("no %s:\n%s", want, b)
			}
		}
	})
}

// TestReadingChangesNothing: whatever is asked by GET, nothing is done.
func TestReadingChangesNothing(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"} })
	reported(t, w)
	before := maps.Clone(w.states)
	for _, path := range []string{"/", "/begin", "/open", "/undo", "/reset", "/restore", "/pull", "/events", "/status", "/report", "/file", "/api", "/api/", "/fresh"} {
		for _, q := range []string{"", lab3, lab3 + "&backup=true", "folder=lab-3&file=helpers.py&backup=20261122-090000&sure=yes&fresh=yes&asked=yes&link=" + url.QueryEscape(lab3)} {
			w.get(path + "?" + q)
		}
	}
	if len(w.pulled()) != 0 || len(w.done()) != 0 || len(before) != len(w.states) {
		t.Errorf("pulled %v, did %q", w.pulled(), w.done())
	}
	if entries, _ := filepath.Glob(filepath.Join(w.s.c.Settings.State, "*", "*")); len(entries) != 0 {
		t.Errorf("wrote %q", entries)
	}
}

// TestHome lists the folders that there are reports of, and are still there.
func TestHome(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"} })
	w.click(lab3)
	w.click(strings.Replace(lab3, "lab-3", "lab-4", 1))
	if err := os.RemoveAll(w.root + "/lab-4"); err != nil {
		t.Fatal(err)
	}
	if err := w.s.book.keep("/elsewhere/lab-5", Entry{At: w.now, Report: pull.Report{Folder: "/elsewhere/lab-5"}}); err != nil {
		t.Fatal(err)
	}
	b := w.get("/").Body.String()
	if !strings.Contains(b, `<a href="report?folder=lab-3">`) || strings.Contains(b, "lab-4") || strings.Contains(b, "lab-5") {
		t.Errorf("%s", b)
	}
}

// TestBackupAsks: a link moves nobody's folder without a yes.
func TestBackupAsks(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.Owners = []string{"github.com"} })
	page := w.get("/?" + lab3 + "&backup=true").Body.String()
	if !strings.Contains(page, "data-auto") {
		t.Errorf("asks where there is no folder:\n%s", page)
	}
	w.click(lab3)
	if got := w.post("/begin", form(t, page, "begin")); got.Code != http.StatusForbidden {
		t.Errorf("a page from before there was a folder moves it: %d", got.Code)
	}
	page = w.get("/?" + lab3 + "&backup=true").Body.String()
	if strings.Contains(page, "data-auto") || !strings.Contains(page, "Nothing of yours is deleted") {
		t.Errorf("does not ask:\n%s", page)
	}
	if got := w.post("/begin", form(t, page, "begin")); got.Code != http.StatusSeeOther || len(w.pulled()) != 2 || !w.pulled()[1].Backup {
		t.Errorf("%d %v", got.Code, w.pulled())
	}
}
