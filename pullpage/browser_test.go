package pullpage

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/browsertest"
	"github.com/daypass-dev/daypass/pull"
)

// site is a page behind what a browser sees of a Jupyter server: the proxy, which
// cuts the prefix off and puts it before redirects, and front ends.
type site struct {
	*world
	origin, base string

	mu     sync.Mutex
	opened []string // addresses of front ends that were asked for
}

func openSite(t *testing.T, change func(*Config)) *site {
	t.Helper()
	st := &site{world: newWorld(t, change)}
	m := http.NewServeMux()
	m.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	m.Handle("/user/ada/git-pull/", http.StripPrefix("/user/ada/git-pull", st.s))
	m.Handle("/user/ada/framed/", http.StripPrefix("/user/ada/framed", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Sec-Fetch-Dest", "iframe") // as a browser says of a page within another
		st.s.ServeHTTP(w, r)
	})))
	m.HandleFunc("/user/ada/", func(w http.ResponseWriter, r *http.Request) {
		st.mu.Lock()
		st.opened = append(st.opened, r.URL.RequestURI())
		st.mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, "<!doctype html><html lang=en><title>front end</title><h1>Front end</h1><p>%s", strings.ReplaceAll(r.URL.Path, "<", "&lt;"))
	})
	srv := httptest.NewServer(m)
	t.Cleanup(srv.Close)
	st.origin, st.base = srv.URL, srv.URL+"/user/ada/git-pull/"
	return st
}

func (st *site) visited() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.opened)
}

// chromium opens a browser for a test, for four minutes.
func chromium(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(browsertest.Open(t), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func withoutScript(off bool) browsertest.Action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
		return err
	})
}

// aScene is a page in a state, and how to come there.
type aScene struct {
	name, query, want string
	prepare           func(st *site) (end func())
	press             []string
}

const commitA, commitB = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"

// updated is the report of a pull that had everything in it.
func updated(folder string) pull.Report {
	return pull.Report{
		Folder: folder, Source: "https://github.com/org/lab-3", Branch: "main", Old: commitA, New: commitB, Undo: "20261122-090000",
		Changes: []pull.Change{
			{Path: "lab-3.ipynb", What: pull.Merged, Kind: "notebook", Kept: 2, Came: 3, Backup: true},
			{Path: "helpers.py", What: pull.Kept, Kind: "text", Kept: 1, Why: "you and the instructor changed the same lines"},
			{Path: "notes__20261122090000.txt", From: "notes.txt", What: pull.Aside},
			{Path: "data/readings.csv", What: pull.Came},
			{Path: "data/stations.csv", What: pull.Changed},
			{Path: "old.txt", What: pull.Removed},
			{Path: "video.mp4", What: pull.LeftOut, Why: "it is larger than 100 MB"},
		},
	}
}

func (st *site) has(files map[string]string) {
	for name, text := range files {
		path := filepath.Join(st.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			st.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			st.t.Fatal(err)
		}
	}
}

// pulledBefore makes the folder one that was pulled into.
func (st *site) pulledBefore() {
	st.has(map[string]string{"lab-3/lab-3.ipynb": myNotebook, "lab-3/helpers.py": "def mean(x):\n    return sum(x) / len(x)\n\n\ndef median(x):\n    return sorted(x)[len(x) // 2]\n"})
	st.world.mu.Lock()
	defer st.world.mu.Unlock()
	st.states[filepath.Join(st.root, "lab-3")] = pull.State{Source: "https://github.com/org/lab-3", Ref: "main", Commit: commitA, At: st.now}
	st.upstream = map[string]string{"helpers.py": "def mean(x):\n    return statistics.fmean(x)\n\n\ndef median(x):\n    return sorted(x)[len(x) // 2]\n", "lab-3.ipynb": theirNotebook}
	st.backups = []pull.Backup{{ID: "20261122-090000", At: st.now, Why: "pull", Files: []pull.BackupFile{{Path: "lab-3.ipynb", Size: 18342}, {Path: "old.txt", Size: 120}}}}
}

const (
	myNotebook    = `{"cells":[{"cell_type":"markdown","source":["# Lab 3\n","Measure the tide."]},{"cell_type":"code","source":"answer = 42","outputs":[]},{"cell_type":"code","source":"mine()","outputs":[]}],"nbformat":4,"nbformat_minor":5,"metadata":{}}`
	theirNotebook = `{"cells":[{"cell_type":"markdown","source":["# Lab 3\n","Measure the tide."]},{"cell_type":"code","source":"answer = ...  # your answer","outputs":[]},{"cell_type":"markdown","source":"## A new exercise"}],"nbformat":4,"nbformat_minor":5,"metadata":{}}`
	labQuery      = "repo=https%3A%2F%2Fgithub.com%2Forg%2Flab-3&branch=main&urlpath=lab%2Ftree%2Flab-3%2Flab-3.ipynb"
)

// runs sets what the stand-in for a pull does.
func (st *site) does(run func(ctx context.Context, r Request, told func(pull.Event)) (pull.Report, error)) {
	st.world.mu.Lock()
	defer st.world.mu.Unlock()
	st.run = run
}

func (st *site) updates() func() {
	st.pulledBefore()
	st.does(func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		return updated(r.Folder), nil
	})
	return nil
}

// half lets a pull stand where it is until the end.
func (st *site) half() func() {
	st.pulledBefore()
	free := make(chan struct{})
	st.does(func(_ context.Context, r Request, told func(pull.Event)) (pull.Report, error) {
		told(pull.Event{Phase: pull.Fetching, Bytes: 3_100_000, BytesTotal: 8_000_000, Files: 12, FilesTotal: 40})
		<-free
		return pull.Report{Folder: r.Folder, Same: true, New: commitA}, nil
	})
	return sync.OnceFunc(func() { close(free) })
}

func (st *site) fails() func() {
	st.pulledBefore()
	st.does(func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		return pull.Report{}, &daypass.Problem{Code: "DP-312", What: "github.com cannot be reached", Why: "it did not answer for 30 seconds", Next: "Try again in a few minutes. What is in " + r.Folder + " is as it was.", Who: "If it goes on, send the text below to your instructor."}
	})
	return nil
}

// starts brings a file that runs with a kernel.
func (st *site) starts() func() {
	st.pulledBefore()
	st.has(map[string]string{"lab-3/.Rprofile": "x"})
	st.does(func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		return pull.Report{Folder: r.Folder, New: commitB, Changes: []pull.Change{{Path: ".Rprofile", What: pull.Came}}}, nil
	})
	return nil
}

// connects needs a host to be connected first.
func (st *site) connects() func() {
	st.pulledBefore()
	st.does(func(context.Context, Request, func(pull.Event)) (pull.Report, error) {
		return pull.Report{}, &daypass.Problem{Code: "DP-851", What: "GitHub is not connected yet", Next: "Open https://hub.example.org/services/daypass/connect/github.com, then try again."}
	})
	return nil
}

func (st *site) before() func() {
	st.pulledBefore()
	return nil
}

// several are folders that were pulled into.
func (st *site) several() func() {
	st.has(map[string]string{"lab-3/a": "", "courses/statistics.git/a": "", "week-1/a": ""})
	for i, name := range []string{"lab-3", "courses/statistics.git", "week-1"} {
		folder := filepath.Join(st.root, name)
		r := updated(folder)
		if i > 0 {
			r = pull.Report{Folder: folder, Same: i == 1, Fresh: i == 2, New: commitA, Changes: r.Changes[3:4]}
		}
		if err := st.s.book.keep(folder, Entry{At: st.now.Add(-time.Duration(i) * 50 * time.Hour), Report: r}); err != nil {
			st.t.Fatal(err)
		}
	}
	return nil
}

// linkQuery is the access service's link, in the page's own form.
const linkQuery = "repo=link%3Aph142-lab1"

// linksTo has the service know a link.
func (st *site) linksTo(change func(*Told)) {
	told := labTold
	change(&told)
	st.world.mu.Lock()
	defer st.world.mu.Unlock()
	st.links[told.Name] = told
}

// comes is a link whose files are on the way.
func (st *site) comes() func() {
	st.linksTo(func(*Told) {})
	return st.half()
}

// other is a link into a folder of another source.
func (st *site) other() func() {
	st.pulledBefore()
	st.linksTo(func(l *Told) { l.Folder = "lab-3" })
	return nil
}

// unconnected is a link that is read with the reader's own account.
func (st *site) unconnected() func() {
	st.linksTo(func(l *Told) {
		l.Title, l.Words, l.Connect = "Physics 142, week 1", "a course's files in Canvas", atService+"/connect/canvas.example.edu"
	})
	return nil
}

// uninvited is a link to each student's own copy, of which this one has none yet.
func (st *site) uninvited() func() {
	st.linksTo(func(l *Told) {
		l.Title, l.Words = "Lab 1: tides", "the repository lab1-{github} of uni-course, at github.com"
	})
	st.does(func(context.Context, Request, func(pull.Event)) (pull.Report, error) {
		return pull.Report{}, &daypass.Problem{Code: "DP-738", What: "uni-course/lab1-student-three at github.com is not there yet, or student-three may not read it",
			Next: "Open https://classroom.github.com/a/AbC-1_x and accept the assignment there; then try again.", Who: "Whoever teaches the course gave that address. Event K3QF-17."}
	})
	return nil
}

// paused is a link that its maker has paused.
func (st *site) paused() func() {
	st.noLink = &daypass.Problem{Code: "DP-725", What: "the link ph142-lab1 is paused", Next: "Ask whoever teaches the course.", Who: "Whoever made it can let it go on.", Kind: daypass.ErrRefused}
	return nil
}

// large brings all but a file that is too large.
func (st *site) large() func() {
	st.linksTo(func(*Told) {})
	st.has(map[string]string{"courses/lab1/survey.csv.daypass-pointer": "", "courses/lab1/start here.ipynb": "{}"})
	st.does(func(_ context.Context, r Request, _ func(pull.Event)) (pull.Report, error) {
		return pull.Report{Folder: r.Folder, Title: "Lab 1: water", Fresh: true, New: commitA, Changes: []pull.Change{
			{Path: "start here.ipynb", What: pull.Came}, {Path: "survey.csv.daypass-pointer", From: "survey.csv", What: pull.LeftOut, Why: "larger than 100 MB"},
		}}, nil
	})
	return nil
}

var scenes = []aScene{
	{"pull-link", linkQuery, "12 of 40 files", (*site).comes, nil},
	{"pull-link-elsewhere", linkQuery, "holds files from somewhere else", (*site).other, nil},
	{"pull-link-connect", linkQuery, "Connect canvas.example.edu first", (*site).unconnected, nil},
	{"pull-link-accept", linkQuery, "Accept the assignment at classroom.github.com", (*site).uninvited, nil},
	{"pull-link-paused", linkQuery, "is paused", (*site).paused, nil},
	{"pull-large", linkQuery, "Bring it all the same", (*site).large, nil},
	{"pull-source", "repo=https%3A%2F%2Fdrive.google.com%2Fdrive%2Ffolders%2F1AbCdEfGhIjKlMnOpQrStUvWxYz012345", "Google Drive", nil, nil},
	{"pull-home", "", "Bring course files into your folder", nil, nil},
	{"pull-folders", "", "Your course folders", (*site).several, nil},
	{"pull-framed", "../framed/?" + labQuery, "Open in a new tab", nil, nil},
	{"pull-backup", labQuery + "&backup=true", "gets another name", (*site).before, nil},
	{"pull-proposed", strings.Replace(labQuery, "branch=main", "branch=refs/pull/6/head", 1), "a proposed change, by anybody", (*site).before, nil},
	{"pull-plain", strings.Replace(labQuery, "https%3A%2F%2Fgithub.com", "http%3A%2F%2Fgit.example.edu", 1), "not encrypted", nil, nil},
	{"pull-starts", labQuery, "lab-3/.Rprofile at once", (*site).starts, nil},
	{"pull-connect", labQuery, "is not connected yet", (*site).connects, nil},
	{"pull-question", labQuery, "Continue?", nil, nil},
	{"pull-question-runs", strings.Replace(labQuery, "lab%2Ftree%2Flab-3%2Flab-3.ipynb", "shiny%2Flab-3%2F", 1), "which runs them", nil, nil},
	{"pull-running", labQuery, "12 of 40 files", (*site).half, nil},
	{"pull-done", labQuery, "We kept your answers in 2 cells", (*site).updates, []string{"#stay"}},
	{"pull-runs", strings.Replace(labQuery, "lab%2Ftree%2Flab-3%2Flab-3.ipynb", "shiny%2Flab-3%2F", 1), "runs what was just brought", (*site).updates, nil},
	{"pull-failed", labQuery, "Go on without updating", (*site).fails, nil},
	{"pull-fresh", labQuery, "Nothing of yours is deleted", (*site).fails, []string{"summary"}},
	{"pull-refused", labQuery + "&targetpath=.ssh", "Hidden folders are not for content", nil, nil},
	{"pull-report", "report?folder=lab-3", "Earlier versions of your files", (*site).updates, nil},
	{"pull-file", "file?folder=lab-3&file=helpers.py", "statistics.fmean", (*site).updates, nil},
	{"pull-cells", "file?folder=lab-3&file=lab-3.ipynb", "A new exercise", (*site).updates, nil},
}

// goTo shows a scene.
func goTo(ctx context.Context, t *testing.T, st *site, s aScene) (end func()) {
	t.Helper()
	if s.prepare != nil {
		end = s.prepare(st)
	}
	address := st.base + "?" + s.query
	switch {
	case s.query == "":
		address = st.base
	case strings.HasPrefix(s.query, "../"):
		address = st.base + s.query
	case !strings.Contains(s.query, "repo="):
		folder := filepath.Join(st.root, "lab-3")
		if err := st.s.book.keep(folder, Entry{At: st.now, Report: updated(folder)}); err != nil {
			t.Fatal(err)
		}
		address = st.base + s.query
	}
	browsertest.Do(ctx, t, browsertest.Follow(address))
	for _, p := range s.press {
		browsertest.Do(ctx, t, chromedp.Click(chromedp.CSS(p)))
	}
	shows(ctx, t, s.want)
	return end
}

// shows waits until a text can be read, over the pages that come on the way.
func shows(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	wait, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		there, err := chromedp.Run(wait, chromedp.Evaluate[bool](`document.body !== null && document.body.innerText.includes(`+fmt.Sprintf("%q", text)+`)`))
		if there {
			return
		}
		if wait.Err() != nil {
			t.Fatalf("no %q: %v\n%s", text, err, browsertest.Script[string](ctx, t, `location.href+"\n"+document.body.innerText`))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestEveryPageInABrowser: axe finds nothing, nothing is wider than the window,
// and the browser has nothing to complain of, in light and dark, wide and phone.
// With DAYPASS_SCREENS it also writes the pictures of doc/screens.
func TestEveryPageInABrowser(t *testing.T) {
	ctx := chromium(t)
	axe := browsertest.Axe(t)
	complaints := browsertest.Complaints(ctx)
	for _, s := range scenes {
		for _, dark := range []bool{false, true} {
			for _, width := range []int64{1280, 360} {
				name := fmt.Sprintf("%s-%s-%s", s.name, map[bool]string{false: "light", true: "dark"}[dark], map[int64]string{1280: "wide", 360: "phone"}[width])
				st := openSite(t, func(c *Config) { c.Settings.Service = atService })
				browsertest.Do(ctx, t, browsertest.Look(width, dark))
				end := goTo(ctx, t, st, s)
				if browsertest.Script[bool](ctx, t, `document.documentElement.scrollWidth > window.innerWidth`) {
					t.Errorf("%s is wider than the window", name)
				}
				if dir := os.Getenv("DAYPASS_SCREENS"); dir != "" {
					browsertest.Script[int](ctx, t, `document.activeElement.blur(); 0`)
					browsertest.Picture(ctx, t, filepath.Join(dir, name+".png"))
				}
				browsertest.Judge(ctx, t, name, axe)
				if end != nil {
					browsertest.Do(ctx, t, chromedp.Navigate("about:blank")) // or the page would go on by itself
					end()
				}
			}
		}
	}
	for _, c := range complaints() {
		if !strings.Contains(c, "403 (Forbidden)") { // the picture of an error
			t.Errorf("the browser says: %s", c)
		}
	}
}
