package pullpage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass"
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

// chromium opens a browser. Without one the test is left out, but where all of
// them are asked for.
func chromium(t *testing.T, without ...bool) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
			t.Fatal("no chromium: scripts/tools.sh chromium installs it")
		}
		t.Skip("no chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("lang", "en-GB"), chromedp.Flag("force-color-profile", "srgb"), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	do(ctx, t, chromedp.Navigate("about:blank")) // the context of the first call is the browser's life
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

type action = chromedp.Action[chromedp.Void]

func do(ctx context.Context, t *testing.T, actions ...action) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

func get[T any](ctx context.Context, t *testing.T, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func script[T any](ctx context.Context, t *testing.T, text string) T {
	t.Helper()
	yes := true
	return get(ctx, t, chromedp.Evaluate[T](text, chromedp.EvalAwaitPromise, func(p *runtime.EvaluateParams) { p.UserGesture = &yes }))
}

func look(width int64, dark bool) action {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return chromedp.Steps(chromedp.EmulateViewport(width, 800), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

func withoutScript(off bool) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
		return err
	})
}

// complaintsOf collects what the browser writes to its console: refusals by the
// content policy, above all.
func complaintsOf(ctx context.Context) func() []string {
	var mu sync.Mutex
	var found []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			mu.Lock()
			found = append(found, string(m.Type)+" "+m.Text+" "+m.URL)
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(found)
	}
}

func axeScript(t *testing.T) string {
	t.Helper()
	path := os.Getenv("DAYPASS_TEST_AXE")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(cache, "daypass-test", "axe", "axe.min.js")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		if os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
			t.Fatal("no axe-core: scripts/tools.sh chromium fetches it")
		}
		t.Skip("no axe-core")
	}
	return string(b)
}

func judgeByAxe(ctx context.Context, t *testing.T, name, axe string) {
	t.Helper()
	script[int](ctx, t, axe+"; 0")
	found := script[string](ctx, t,
		`axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.html.slice(0, 160) + " " + n.failureSummary).join(" | "))))`)
	var list []string
	if err := json.Unmarshal([]byte(found), &list); err != nil {
		t.Fatalf("%s: %v: %s", name, err, found)
	}
	for _, v := range list {
		t.Errorf("%s: %s", name, v)
	}
}

// picture writes what the whole page looks like, with few colours so that it
// stays small.
func picture(ctx context.Context, t *testing.T, path string) {
	t.Helper()
	raw := get(ctx, t, chromedp.FullScreenshot(100))
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, fewColours(img, 160)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func fewColours(img image.Image, n int) image.Image {
	count := map[color.RGBA]int{}
	b := img.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	var all []color.RGBA
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return int(a.R) + int(a.G)<<8 + int(a.B)<<16 - int(b.R) - int(b.G)<<8 - int(b.B)<<16
	})
	var p color.Palette
	for _, c := range all[:min(n, len(all))] {
		p = append(p, c)
	}
	nearest := map[color.RGBA]uint8{}
	out := image.NewPaletted(b, p)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := at(x, y)
			i, ok := nearest[c]
			if !ok {
				i = uint8(p.Index(c))
				nearest[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
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

var scenes = []aScene{
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
	do(ctx, t, chromedp.Navigate(address))
	for _, p := range s.press {
		do(ctx, t, chromedp.Click(chromedp.CSS(p)))
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
			t.Fatalf("no %q: %v\n%s", text, err, script[string](ctx, t, `location.href+"\n"+document.body.innerText`))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestEveryPageInABrowser: axe finds nothing, nothing is wider than the window,
// and the browser has nothing to complain of, in light and dark, wide and phone.
// With DAYPASS_SCREENS it also writes the pictures of doc/screens.
func TestEveryPageInABrowser(t *testing.T) {
	ctx := chromium(t)
	axe := axeScript(t)
	complaints := complaintsOf(ctx)
	for _, s := range scenes {
		for _, dark := range []bool{false, true} {
			for _, width := range []int64{1280, 360} {
				name := fmt.Sprintf("%s-%s-%s", s.name, map[bool]string{false: "light", true: "dark"}[dark], map[int64]string{1280: "wide", 360: "phone"}[width])
				st := openSite(t, nil)
				do(ctx, t, look(width, dark))
				end := goTo(ctx, t, st, s)
				if script[bool](ctx, t, `document.documentElement.scrollWidth > window.innerWidth`) {
					t.Errorf("%s is wider than the window", name)
				}
				if dir := os.Getenv("DAYPASS_SCREENS"); dir != "" {
					script[int](ctx, t, `document.activeElement.blur(); 0`)
					picture(ctx, t, filepath.Join(dir, name+".png"))
				}
				judgeByAxe(ctx, t, name, axe)
				if end != nil {
					do(ctx, t, chromedp.Navigate("about:blank")) // or the page would go on by itself
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
