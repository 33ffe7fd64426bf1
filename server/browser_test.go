package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/browsertest"
)

// site is the service with a hub, a git host and a neighbour, for a real browser.
// On an own origin the hub is at another port.
type site struct {
	*world
	address string // of the service
	origin  string // of the hub
	s       *Server
}

func openSite(t *testing.T, shared bool) *site {
	t.Helper()
	w := newWorld()
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	front, back := listen(), listen()
	st := &site{world: w, address: "http://" + front.Addr().String() + "/"}
	git := "http://" + back.Addr().String() + "/login/oauth/authorize"
	st.origin = "http://" + back.Addr().String()
	if shared {
		st.origin = "http://" + front.Addr().String()
		st.address = st.origin + "/services/daypass/"
	}
	c := w.config(st.address, shared)
	c.SignIn.AuthCodeURL = func(state, _ string) string { return st.origin + "/hub/api/oauth2/authorize?state=" + state }
	c.Broker.Hosts[0].ConsentURL, c.Broker.Hosts[1].ConsentURL = git, git
	c.Broker.Start = func(_ context.Context, who daypass.Caller, session, host string) (string, error) {
		w.note("start %s %s", who.User.Name, host)
		return git + "?state=" + session + "&host=" + url.QueryEscape(host), nil
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	st.s = s
	world := http.NewServeMux()
	world.HandleFunc("/hub/api/oauth2/authorize", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, st.address+"oauth_callback?code=code-browser-ada&state="+r.URL.Query().Get("state"), http.StatusFound)
	})
	world.HandleFunc("/login/oauth/authorize", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, st.address+"oauth/github/"+r.URL.Query().Get("host")+"/callback?code=c&state="+r.URL.Query().Get("state"), http.StatusFound)
	})
	world.HandleFunc("/user/mallory/", func(rw http.ResponseWriter, r *http.Request) {
		// The worst of neighbours: its page asks to stay with windows of its own origin.
		rw.Header().Set("Content-Type", "text/html")
		rw.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		_, _ = rw.Write([]byte("<!doctype html><title>mallory</title><body>notebook</body>"))
	})
	var handler http.Handler = s
	if shared {
		world.Handle("/services/daypass/", s)
		handler = world
	}
	for l, h := range map[net.Listener]http.Handler{front: handler, back: world} {
		srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
		go func() { _ = srv.Serve(l) }()
		t.Cleanup(func() { _ = srv.Close() })
	}
	return st
}

// chromium opens a browser for a test, for four minutes.
func chromium(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(browsertest.Open(t, chromedp.Flag("disable-popup-blocking", true)), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func heading(text string) browsertest.Action {
	return chromedp.WaitVisible(chromedp.Search(`//h1[contains(., "` + text + `")]`))
}

func anywhere(text string) browsertest.Action {
	return chromedp.WaitVisible(chromedp.Search(`//main//*[contains(text(), "` + text + `") or contains(@value, "` + text + `")]`))
}

// shows waits for a text. A search that began while the page before was still there
// may never end, so that it is begun again.
func shows(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	for range 10 {
		wait, cancel := context.WithTimeout(ctx, 4*time.Second)
		err := chromedp.Do(wait, anywhere(text))
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("no page shows %q", text)
}

type shot struct{ name, path, want string }

// shots are the pages, by the name of their picture. The texts are what is on them.
var shots = []shot{
	{"access", "", "Your access"}, {"activity", "activity", "Activity"}, {"connect", "connect/github.example.edu:8443", "Connect Campus GitHub"},
	{"sharing", "sharing", "Sharing"}, {"app", "app/github.com", "For organisation owners"}, {"app-content", "app/github.com/content", "For instructors"}, {"people", "people", "People"},
	{"person", "people/1", "To answer them"}, {"health", "health", "Health"}, {"problem", "connect/evil.example", "That did not work"},
	{"connected", "connect/github.example.edu:8443 #go", "Connected. Push again."}, {"disconnected", " #disconnect-github\\.com", "GitHub is disconnected"},
	{"passes", "passes", "Passes that are over"}, {"passes-new", "passes/new", "How long"}, {"passes-wrong", "passes/new?look=yes&repos=https://github.com/o/r&uses=many", "is not OWNER/NAME"},
	{"passes-look", passLook, "Is this the pass that you want?"}, {"passes-made", passLook + " #make-it", "Your pass"}, {"passes-narrowed", passLook + " #make-it #narrow-read #narrow-it", "Your narrower pass"}, {"pass", "passes/" + passID1, "All passes"}, {"passes-ended", "passes/" + passID1 + " #end", "The pass has ended"},
	{"device", "device", "Nobody from the hub ever asks you for one"}, {"device-code", "device?user_code=GGGG-HHHH", "Go on only if you started this yourself"}, {"device-done", "device?user_code=GGGG-HHHH #yes", "Done"},
}

const passLook = "passes/new?look=yes&label=night+job&repos=tidal-lab/ocean-models%0Atidal-lab/buoy-data&access=read&until=2026-11-30&host=github.com&addresses=192.0.2.0/24&uses=50"

var linkShots = []shot{
	{"links", "links", "within a week"}, {"links-new", "newlink", "Address of a repository"}, {"links-wrong", "newlink?paste=nonsense", "no address of content"},
	{"links-read", linkPaste, "Share the folder in Drive"}, {"links-choice", "newlink?paste=https://github.com/tidal-lab/teaching-2026/tree/main/labs/week1", "It may mean"},
	{"links-tested", linkPaste + " #test", "It can be read"}, {"links-unshared", "newlink?paste=https://drive.google.com/drive/folders/private #test", "not shared yet"}, {"links-nofolder", "newlink?source=git:github.com/tidal-lab/teaching-2026%23nowhere #test", "has no folder"}, {"links-browse", linkPaste + " #browse", "start here.ipynb"},
	{"links-made", linkPaste + "&name=ph142-lab9&audience=ph142 #make", "The link is made"}, {"link", "links/ph142-lab2", "On Binder"}, {"link-paused", "links/ph142-lab3", "Let it go on"}, {"links-student-template", "links/ph142-lab3 #student", "Each has files of their own"}, {"links-template", "newlink?source=git:github.com/tidal-lab/lab4-{github}&accept=https://classroom.github.com/a/tides-4", "Invitation to the assignment"}, {"link-lost", "links/ph142-lab4", "Cannot be opened"}, {"links-student", "links/ph142-lab1 #student", "What is left out"}, {"links-student-lost", "links/ph142-lab4 #student", "They are told"},
	{"links-ended", "links/ph142-lab1 #end", "The link has ended"}, {"links-copy", "newlink?like=ph142-lab1", "Copy a link to a new term"},
}

// courseShots are those of what one form does to a course.
var courseShots = []shot{
	{"links-pick", "newlink #pick", "enrolled for a group of yours"}, {"links-course", "copylinks?group=ph142", "links to copy"}, {"links-course-names", "copylinks?group=ph142&audience=ph143&until=2027-03-31", "Copy 4 links"},
	{"links-course-clash", "copylinks?group=ph142&audience=ph143&begins=ph142-lab1&by=ph142-lab4", "a link of that name"}, {"links-course-copied", "copylinks?group=ph142&audience=ph143 #make", "The links are copied"},
}

const linkPaste = "newlink?paste=https://drive.google.com/drive/folders/1AbCdEfGhIjKl"

// TestEveryPageInABrowser: axe finds nothing, nothing is wider than the window,
// and the browser has nothing to complain of, in light and dark, wide and phone.
// With DAYPASS_SCREENS it also writes the pictures of doc/screens.
func TestEveryPageInABrowser(t *testing.T) { everyPage(t, shots) }

// TestEveryLinkPageInABrowser is the same for the pages of links.
func TestEveryLinkPageInABrowser(t *testing.T) { everyPage(t, linkShots) }

// TestEveryCoursePageInABrowser is the same for copies of a course's links.
func TestEveryCoursePageInABrowser(t *testing.T) { everyPage(t, courseShots) }

// TestBoxesToTick: what can be ticked has a box and no bullet beside it, and shows its
// tick by more than a colour.
func TestBoxesToTick(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, false)
	browsertest.Do(ctx, t, chromedp.Navigate(st.address+"copylinks?group=ph142"))
	shows(ctx, t, "links to copy")
	for what, want := range map[string]string{
		`[...document.querySelectorAll("#names li")].length > 0 && [...document.querySelectorAll("#names li")].every(e => getComputedStyle(e).listStyleType === "none")`:    "a bullet",
		`[...document.querySelectorAll("#names input")].length > 0 && [...document.querySelectorAll("#names input")].every(e => getComputedStyle(e).appearance === "auto")`: "a box without a tick",
	} {
		if !browsertest.Script[bool](ctx, t, what) {
			t.Errorf("there is %s", want)
		}
	}
}

func everyPage(t *testing.T, shots []shot) {
	ctx := chromium(t)
	st := openSite(t, false)
	axe := browsertest.Axe(t)
	complaints := browsertest.Complaints(ctx)
	for _, dark := range []bool{false, true} {
		for _, width := range []int64{1280, 360} {
			for _, shot := range shots {
				name := fmt.Sprintf("%s-%s-%s", shot.name, map[bool]string{false: "light", true: "dark"}[dark], map[int64]string{1280: "wide", 360: "phone"}[width])
				path, press, _ := strings.Cut(shot.path, " ")
				browsertest.Do(ctx, t, browsertest.Look(width, dark), chromedp.Navigate(st.address+path))
				for _, button := range strings.Fields(press) {
					browsertest.Do(ctx, t, chromedp.Click(chromedp.CSS(button)))
				}
				if press != "" {
					shows(ctx, t, shot.want)
				}
				body := browsertest.Get(ctx, t, chromedp.Text(chromedp.CSS("main")))
				wide := browsertest.Script[bool](ctx, t, `document.documentElement.scrollWidth > window.innerWidth`)
				if !strings.Contains(body, shot.want) {
					t.Errorf("%s shows no %q:\n%s", name, shot.want, body)
				}
				if wide {
					t.Errorf("%s is wider than the window", name)
				}
				if dir := os.Getenv("DAYPASS_SCREENS"); dir != "" {
					picture(ctx, t, filepath.Join(dir, name+".png"))
				}
				browsertest.Judge(ctx, t, name, axe)
			}
		}
	}
	for _, c := range complaints() {
		if !strings.Contains(c, "404 (Not Found)") { // the picture of an error
			t.Errorf("the browser says: %s", c)
		}
	}
}

// picture writes what the page looks like, without what differs from run to run.
func picture(ctx context.Context, t *testing.T, path string) {
	t.Helper()
	browsertest.Script[chromedp.Void](ctx, t, `for (const e of document.querySelectorAll("textarea")) e.value = e.value.replaceAll(location.origin, "https://daypass.example.org"); for (const e of document.querySelectorAll("code")) e.textContent = e.textContent.replaceAll(location.origin, "https://daypass.example.org"); document.activeElement.blur()`)
	browsertest.Picture(ctx, t, path)
}

// TestKeyboardAlone connects, disconnects and shares without a mouse. Every
// element that takes the keyboard's focus shows it.
func TestKeyboardAlone(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, false)
	browsertest.Do(ctx, t, browsertest.Look(1280, false), chromedp.Navigate(st.address))
	walked := tabThrough(ctx, t)
	if len(walked) == 0 || !strings.Contains(walked[0], "Skip to the content") {
		t.Errorf("the first stop is not the link past the navigation: %q", walked)
	}
	all := browsertest.Script[int](ctx, t, `document.querySelectorAll("a[href],button,input:not([type=hidden]),select,textarea,summary").length`)
	if len(walked) != all {
		t.Errorf("the keyboard reaches %d of %d: %q", len(walked), all, walked)
	}
	to := func(text string, keys ...string) {
		t.Helper()
		reach(ctx, t, text)
		for _, k := range keys {
			browsertest.Do(ctx, t, chromedp.KeyEvent(k))
		}
	}
	arrive := func(text string) {
		t.Helper()
		wait, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := chromedp.Do(wait, heading(text)); err != nil {
			t.Fatalf("no page %q: %v; done %q", text, err, st.deeds())
		}
	}
	to("Connect Campus GitHub again", kb.Enter)
	arrive("Connect Campus GitHub")
	to("Go to Campus GitHub", kb.Enter)
	arrive("Connected. Push again.")
	to("Your access", kb.Enter)
	arrive("Your access")
	to("Allow more today", " ")
	arrive("Allowed for today")
	to("Back to your access", kb.Enter)
	arrive("Your access")
	to("Disconnect GitHub", kb.Enter)
	arrive("GitHub is disconnected")
	to("Sharing", kb.Enter)
	arrive("Sharing")
	to("Share, to read only", kb.Enter)
	arrive("Shared")
	to("Passes", kb.Enter)
	arrive("Passes")
	to("Make a pass", kb.Enter)
	arrive("Make a pass")
	to("label", "job")
	to("repos", "tidal-lab/buoy-data")
	to("See what it would allow", kb.Enter)
	arrive("Is this the pass that you want?")
	to("Make this pass", kb.Enter)
	arrive("Your pass")
	if got := browsertest.Script[string](ctx, t, `(e => e.id + " " + e.value.slice(e.selectionStart, e.selectionEnd))(document.activeElement)`); got != "pass-text "+madeText {
		t.Errorf("the page's script has selected %q", got)
	}
	to("Copy", kb.Enter)
	browsertest.Get(ctx, t, chromedp.Poll[bool](`document.getElementById("copied").textContent !== ""`))
	to("narrow-repos", "tidal-lab/ocean-models")
	to("narrow-read", " ")
	to("Make the narrower one", kb.Enter)
	arrive("Your narrower pass")
	if got := browsertest.Script[string](ctx, t, `(e => e.id + " " + e.value.slice(e.selectionStart, e.selectionEnd))(document.activeElement)`); got != "pass-text "+madeText+"-narrower" {
		t.Errorf("the page's script has selected %q", got)
	}
	to("To your passes", kb.Enter)
	arrive("Passes")
	to("End the pass night job", kb.Enter)
	arrive("The pass has ended")
	to("Links", kb.Enter)
	arrive("Links")
	to("Make a link", kb.Enter)
	arrive("Make a link")
	to("paste", "https://drive.google.com/drive/folders/1AbCdEfGhIjKl", kb.Enter)
	shows(ctx, t, "Share the folder in Drive")
	to("Test", kb.Enter)
	shows(ctx, t, "It can be read")
	to("Choose a file to open", kb.Enter)
	shows(ctx, t, "start here.ipynb")
	to("data/", " ")
	shows(ctx, t, "tides.csv")
	to("tides.csv", " ")
	browsertest.Do(ctx, t, chromedp.WaitVisible(chromedp.CSS(`#open[value="data/tides.csv"]`)))
	to("audience", "ph142")
	to("Make this link", kb.Enter)
	shows(ctx, t, "The link is made")
	browsertest.Do(ctx, t, chromedp.Navigate(st.address+"device"))
	to("user_code", "wdjbmjht")
	to("Go on", kb.Enter)
	arrive("Confirm a code")
	to("Yes, I started this: give the pass", kb.Enter)
	arrive("Done")
	to("Sign out", kb.Enter)
	arrive("Signed out")
	want := []string{
		"start ada github.example.edu:8443", "finish ada github.example.edu:8443", "approve ada gpu", "disconnect ada github.com",
		"share ada tidal-lab/teaching-2026 ocean-101 2027-03-22", "mint ada browser true", `narrow read ["tidal-lab/ocean-models"] over`, "end-pass ada " + passID1,
		"test " + labSource, "browse " + labSource, "browse " + labSource, "make-link ada lab-1-tides", "decide ada WDJBMJHT yes",
	}
	if got := st.deeds(); !slices.Equal(got, want) {
		t.Errorf("done %q, want %q", got, want)
	}
}

// TestPickByKeyboard chooses what a link reads without a mouse, and connects a host on the
// way: then the form is there again, with what there is to choose from.
func TestPickByKeyboard(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, false)
	browsertest.Do(ctx, t, browsertest.Look(360, false), chromedp.Navigate(st.address+"newlink"))
	press := func(text string, keys ...string) {
		t.Helper()
		reach(ctx, t, text)
		for _, k := range keys {
			browsertest.Do(ctx, t, chromedp.KeyEvent(k))
		}
	}
	press("Choose from what you have", kb.Enter)
	shows(ctx, t, "Courses that you teach at canvas.example.edu")
	press("Connect Campus GitHub", kb.Enter)
	shows(ctx, t, "Go to Campus GitHub")
	if body := browsertest.Get(ctx, t, chromedp.Text(chromedp.CSS("main"))); !strings.Contains(body, "Afterwards you choose what your link reads") {
		t.Errorf("the page does not say what comes afterwards:\n%s", body)
	}
	press("Go to Campus GitHub", kb.Enter)
	shows(ctx, t, "Courses that you teach at canvas.example.edu")
	if at := browsertest.Script[string](ctx, t, `location.pathname + location.search`); !strings.HasSuffix(at, "/newlink?pick=yes") {
		t.Errorf("it came back to %s", at)
	}
	press("source", kb.ArrowDown) // from the folder to the first course
	press("Take what I chose", kb.Enter)
	shows(ctx, t, "Canvas courses/71")
	if got := st.deeds(); !slices.Equal(got, []string{"pick ada", "start ada github.example.edu:8443", "finish ada github.example.edu:8443", "pick ada"}) {
		t.Errorf("done %q", got)
	}
}

// focused is what has the keyboard's focus: nothing on a page that is just being
// replaced by the next.
const focused = `(() => { const e = document.activeElement; if (!e || e === document.body) return ""; const s = getComputedStyle(e);
	const shown = parseFloat(s.outlineWidth) > 0 && s.outlineStyle !== "none";
	return (shown ? "" : "UNSEEN ") + (e.getAttribute("aria-label") || e.innerText || e.id || e.name || e.tagName).trim(); })()`

func tabThrough(ctx context.Context, t *testing.T) []string {
	t.Helper()
	var out []string
	for range 80 {
		browsertest.Do(ctx, t, chromedp.KeyEvent(kb.Tab))
		at := browsertest.Script[string](ctx, t, focused)
		if at == "" {
			break
		}
		if strings.HasPrefix(at, "UNSEEN") {
			t.Errorf("the focus cannot be seen on %q", at)
		}
		out = append(out, at)
	}
	return out
}

// reach presses Tab until the element with that text has the focus.
func reach(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	var seen []string
	for range 80 {
		browsertest.Do(ctx, t, chromedp.KeyEvent(kb.Tab))
		at := browsertest.Script[string](ctx, t, focused)
		if at == text {
			return
		}
		seen = append(seen, at)
	}
	t.Fatalf("the keyboard does not reach %q: %q", text, seen)
}

// TestPageFollowsChanges: the page shows a change by itself, and keeps the place
// of the keyboard.
func TestPageFollowsChanges(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, false)
	browsertest.Do(ctx, t, browsertest.Look(1280, false), chromedp.Navigate(st.address), chromedp.WaitVisible(chromedp.CSS("#live-inner")), chromedp.Focus(chromedp.CSS("#disconnect-github\\.com")))
	before := browsertest.Script[string](ctx, t, `document.querySelector("#live-inner").dataset.old = "yes"; document.querySelector("#live-inner input[name=form]").value`)
	deadline := time.Now().Add(20 * time.Second)
	for {
		select {
		case st.changed <- struct{}{}:
		default:
		}
		browsertest.Do(ctx, t, chromedp.Sleep(100*time.Millisecond))
		if !browsertest.Script[bool](ctx, t, `document.querySelector("#live-inner").dataset.old === "yes"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the page does not follow changes")
		}
	}
	after := browsertest.Script[string](ctx, t, `document.querySelector("#live-inner input[name=form]").value`)
	focus := browsertest.Script[string](ctx, t, `document.activeElement.id`)
	if after == before || after == "" {
		t.Error("the form has no code of its own")
	}
	if focus != "disconnect-github.com" {
		t.Errorf("the keyboard is at %q", focus)
	}
}

// TestNeighbour is a hostile page on a shared origin, in a browser where the
// victim is signed in: by fetch, by a frame, by a window and by forms it gets at
// nothing, and what the victim does themself goes on working.
func TestNeighbour(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, true)
	browsertest.Do(ctx, t, browsertest.Look(1280, false), chromedp.Navigate(st.address))
	title := browsertest.Get(ctx, t, chromedp.Title())
	if !strings.HasPrefix(title, "Your access") {
		t.Fatalf("the victim is not signed in: %q", title)
	}
	mallory := st.origin + "/user/mallory/lab"
	browsertest.Do(ctx, t, chromedp.Navigate(mallory))
	for path := range pagesToSee {
		at := "/services/daypass/" + path
		for name, try := range map[string]string{
			"fetch":        `fetch(%q, {credentials: "include"}).then(async r => r.status + " " + await r.text()).catch(e => "none " + e)`,
			"fetch a post": `fetch(%q, {method: "POST", credentials: "include", body: new URLSearchParams({form: "x"})}).then(async r => r.status + " " + await r.text()).catch(e => "none " + e)`,
			"frame": `new Promise(done => { const f = document.createElement("iframe"); f.src = %q; f.onload = () => { let t = "none"; try { t = f.contentDocument.body.innerText } catch (e) { t = "none " + e }; f.remove(); done(t) };
				document.body.append(f); setTimeout(() => done("none: no load"), 5000) })`,
			"window": `new Promise(done => { const w = window.open(%q); let n = 0; const look = () => { let t = ""; try { if (w.document.URL !== "about:blank") t = w.document.body.innerText } catch (e) { t = "none " + e }
				if (t || ++n > 40) { w.close(); done(t || "none: closed " + w.closed) } else setTimeout(look, 50) }; look() })`,
		} {
			got := browsertest.Script[string](ctx, t, fmt.Sprintf(try, at))
			public := strings.HasPrefix(path, "app/") && name == "fetch"
			if !public && !strings.HasPrefix(got, "none") && !strings.HasPrefix(got, "403") && !strings.HasPrefix(got, "405") && strings.TrimSpace(got) != "" || strings.Contains(got, "ada-l") {
				t.Errorf("%s of %s gets %.300q", name, at, got)
			}
		}
	}
	for _, form := range []string{"disconnect/github.com", "connect/github.com", "approve", "confirm", "sharing", "sharing/end", "passes/new", "passes/narrow", "passes/end", "device", "signout", "people/1/cut-off"} {
		for _, policy := range []string{"", "no-referrer"} {
			browsertest.Do(ctx, t, chromedp.Navigate(mallory))
			browsertest.Script[chromedp.Void](ctx, t, fmt.Sprintf(`(() => { if (%q) { const m = document.createElement("meta"); m.name = "referrer"; m.content = %q; document.head.append(m) }
				const f = document.createElement("form"); f.method = "post"; f.action = %q; f.innerHTML = '<input name=form value=x><input name=pass value=daypass_x><input name=id value=3><input name=user_code value=GGGG-HHHH><input name=decision value=yes>'; document.body.append(f); f.submit() })()`,
				policy, policy, "/services/daypass/"+form))
			browsertest.Do(ctx, t, heading("That did not work"))
		}
	}
	if did := st.deeds(); len(did) != 0 {
		t.Errorf("done: %q", did)
	}
	browsertest.Do(ctx, t, chromedp.Navigate(st.address), chromedp.Click(chromedp.CSS(`#disconnect-github\.com`)), heading("GitHub is disconnected"),
		chromedp.Navigate(st.address+"connect/github.com"), chromedp.Click(chromedp.CSS("#go")), heading("Connected. Push again."))
	if did := st.deeds(); !slices.Equal(did, []string{"disconnect ada github.com", "start ada github.com", "finish ada github.com"}) {
		t.Errorf("the victim's own clicks did %q", did)
	}
}

// TestPassesWithoutScripts makes a pass and confirms a code on a shared origin, in
// a browser, where each page is in an origin of its own: by forms alone. The pass
// can be selected with the keyboard, and going back or loading anew shows it to
// nobody.
func TestPassesWithoutScripts(t *testing.T) {
	ctx := chromium(t)
	st := openSite(t, true)
	complaints := browsertest.Complaints(ctx)
	browsertest.Do(ctx, t, browsertest.Look(1280, false), chromedp.Navigate(st.address+"passes"), chromedp.Click(chromedp.CSS("#make")), heading("Make a pass"),
		chromedp.SendKeys(chromedp.CSS("#repos"), "tidal-lab/buoy-data"), chromedp.Click(chromedp.CSS("#look")), heading("Is this the pass that you want?"),
		chromedp.Click(chromedp.CSS("#make-it")), heading("Your pass"))
	reach(ctx, t, "pass-text")
	if got := browsertest.Script[string](ctx, t, `(e => e.value.slice(e.selectionStart, e.selectionEnd))(document.activeElement)`); got != madeText {
		t.Errorf("the keyboard selects %q", got)
	}
	if browsertest.Script[int](ctx, t, `document.querySelectorAll("script").length`) != 0 || browsertest.Script[bool](ctx, t, `!document.querySelector("#copy").hidden`) {
		t.Error("a script, or a button that needs one, is on a shared origin")
	}
	browsertest.Do(ctx, t, chromedp.Click(chromedp.CSS("#narrow-it")), chromedp.WaitVisible(chromedp.CSS("[role=alert]")))
	if got := browsertest.Script[string](ctx, t, `document.querySelector("#pass-text").value`); got != madeText {
		t.Errorf("after a mistake the page shows %q", got)
	}
	browsertest.Do(ctx, t, chromedp.Click(chromedp.CSS("#narrow-read")), chromedp.Click(chromedp.CSS("#narrow-it")), heading("Your narrower pass"))
	if at := browsertest.Script[string](ctx, t, `location.href + " " + document.querySelector("#pass-text").value`); at != st.address+"passes/narrow "+madeText+"-narrower" {
		t.Errorf("narrowed: %q", at)
	}
	browsertest.Do(ctx, t, chromedp.Navigate(st.address+"passes/new"), heading("Make a pass"))
	if at := browsertest.Script[string](ctx, t, `location.href + document.documentElement.outerHTML`); strings.Contains(at, "AgEcanary") {
		t.Error("the pass is on the next page or in its address")
	}
	_ = chromedp.Do(ctx, chromedp.NavigateBack()) // the browser may say that it would have to send the form again
	browsertest.Do(ctx, t, chromedp.Sleep(500*time.Millisecond))
	if at := browsertest.Script[string](ctx, t, `document.documentElement.outerHTML + (document.querySelector("#pass-text") || {}).value`); strings.Contains(at, "AgEcanary") {
		t.Error("going back shows the pass again")
	}
	browsertest.Do(ctx, t, chromedp.Navigate(st.address+"device"), chromedp.SendKeys(chromedp.CSS("#user_code"), "wdjb mjht"), chromedp.Click(chromedp.CSS("#look")), heading("Confirm a code"),
		chromedp.Click(chromedp.CSS("#yes")), heading("Done"))
	if got := st.deeds(); !slices.Equal(got, []string{"mint ada browser true", "narrow read [] over", "decide ada WDJBMJHT yes"}) {
		t.Errorf("done %q", got)
	}
	for _, c := range complaints() {
		t.Errorf("the browser says: %s", c)
	}
}
