package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// A way is how a request of a browser's comes about, as the browser says.
type way struct {
	name string
	head map[string]string
}

func fetched(site, mode, dest, origin string) map[string]string {
	h := map[string]string{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
	if origin != "" {
		h["Origin"] = origin
	}
	return h
}

// ways are what pages can do to other pages: those of another site, of a
// neighbour on the same origin, and of the service.
var ways = []way{
	{"typed", typed},
	{"link of another site", fetched("cross-site", "navigate", "document", "")},
	{"link of the same origin", fetched("same-origin", "navigate", "document", "")},
	{"form of the same origin", fetched("same-origin", "navigate", "document", "https://hub.example.org")},
	{"form of the same origin without referrer", fetched("same-origin", "navigate", "document", "null")},
	{"form of another site", fetched("cross-site", "navigate", "document", "https://evil.example")},
	{"form of a sandboxed page", fetched("cross-site", "navigate", "document", "null")},
	{"fetch of the same origin", fetched("same-origin", "cors", "empty", "https://hub.example.org")},
	{"fetch of a sister site", fetched("same-site", "cors", "empty", "https://evil.example.org")},
	{"fetch of another site", fetched("cross-site", "no-cors", "empty", "https://evil.example")},
	{"iframe of the same origin", fetched("same-origin", "navigate", "iframe", "")},
	{"iframe of another site", fetched("cross-site", "navigate", "iframe", "")},
	{"form into an iframe", fetched("same-origin", "navigate", "iframe", "https://hub.example.org")},
	{"image", fetched("same-origin", "no-cors", "image", "")},
	{"script", fetched("cross-site", "no-cors", "script", "")},
	{"object", fetched("same-origin", "navigate", "object", "")},
	{"nothing said", map[string]string{}},
	{"an origin only, another's", map[string]string{"Origin": "https://evil.example"}},
	{"an origin only, null", map[string]string{"Origin": "null"}},
}

// allowed is the whole table: which ways may open a page, which may send a form.
func allowed(shared bool, method string, kind kind, once bool, name string) bool {
	if method == "POST" {
		if shared {
			return name == "form of a sandboxed page"
		}
		return name == "link of the same origin" || name == "form of the same origin" || name == "form of the same origin without referrer"
	}
	if kind == public {
		return true
	}
	window := map[string]bool{
		"typed": true, "link of another site": true, "link of the same origin": true, "form of the same origin": true,
		"form of the same origin without referrer": true, "form of another site": true, "form of a sandboxed page": true,
	}[name]
	if shared {
		return window
	}
	if window {
		return true
	}
	switch name {
	case "fetch of the same origin":
		return kind != entry && !once
	case "nothing said", "an origin only, another's", "an origin only, null":
		return true // an old browser opens a page; CORS keeps others from reading it
	}
	return false
}

// TestWhereRequestsComeFrom walks every page and every form with every way, by
// somebody who is signed in and holds a good code for the form: what is not
// allowed is 403 and changes nothing.
func TestWhereRequestsComeFrom(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		c := w.config(address, shared)
		c.Limits.Rate, c.Limits.Burst, c.Limits.StrangerIn, c.Limits.Strangers = 1e6, 1e6, 1e6, 1e6
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		b := newBrowser(t, s, address, shared)
		for _, rt := range routes() {
			if rt.visit == nil {
				continue
			}
			for _, how := range ways {
				b.signIn("browser-ada", "")
				before := len(w.deeds())
				w.fresh = false
				status := walk(t, s, b, rt, how)
				want := allowed(shared, rt.method, rt.kind, rt.once, how.name)
				if rt.kind == stream {
					want = !shared && how.name == "fetch of the same origin"
				}
				did := w.deeds()[before:]
				switch {
				case shared && rt.kind == admin || rt.name == "finish" && !want:
					if status != 403 || len(did) != 0 {
						t.Errorf("%s by %s: %d, done %q", rt.name, how.name, status, did)
					}
				case want && rt.fresh && !w.fresh:
					t.Errorf("%s: the hub was asked afresh: %v", rt.name, w.fresh)
				case want && (status == 403 && rt.name != "signed-in"):
					t.Errorf("%s by %s: refused", rt.name, how.name)
				case !want && (status != 403 || len(did) != 0):
					t.Errorf("%s by %s: %d, done %q", rt.name, how.name, status, did)
				}
				if rt.method == "GET" && rt.name != "finish" && len(did) != 0 {
					t.Errorf("GET %s has done %q", rt.name, did)
				}
				if rt.method == "POST" && want && rt.name != "signout" && !(shared && rt.kind == admin) && len(did) != 1 {
					t.Errorf("%s by %s has done %q", rt.name, how.name, did)
				}
			}
		}
	})
}

// walk sends one request with a good code and good fields, and returns its
// status. A stream is left after its headers.
func walk(t *testing.T, s *Server, b *browser, rt route, how way) int {
	t.Helper()
	target := b.base + example(rt)
	if rt.name == "finish" {
		target += "?code=x&state=" + sessionName(b.cookies[s.sessions.Cookie.Name].Value)
	}
	if rt.kind == stream {
		return streamStatus(t, s, b, target, how)
	}
	var form url.Values
	if rt.method == "POST" {
		form = fields(t, s, b, example(rt))
	}
	return b.do(rt.method, target, form, how.head).StatusCode
}

func fields(t *testing.T, s *Server, b *browser, path string) url.Values {
	t.Helper()
	repo := "github.com tidal-lab/teaching-2026"
	if path == "confirm" {
		repo = "github.com tidal-lab/archive"
	}
	until := "2027-01-31"
	if strings.HasPrefix(path, "links/") {
		until = "2027-02-01"
	}
	if path == "passes/new" || path == "passes/narrow" {
		until = "2026-11-22"
	}
	return url.Values{
		"form": {codeFor(t, s, b, path)}, "server": {"gpu"}, "known": {"yes"}, "repo": {repo}, "group": {"ocean-101"}, "until": {until}, "id": {"3"},
		"user_code": {"gggg-hhhh"}, "decision": {"yes"}, "repos": {"tidal-lab/buoy-data"}, "access": {"read"}, "pass": {madeText},
		"do": {map[string]string{"newlink": "make", "copylinks": "make", "links/ph142-lab1": "pause"}[path]}, "source": {labSource}, "name": {"ph142-lab9"}, "audience": {"ph142"}, "suffix": {"fall"},
	}
}

// codeFor makes a good code for a form in the browser's session.
func codeFor(t *testing.T, s *Server, b *browser, path string) string {
	t.Helper()
	r := httptest.NewRequest("GET", b.base, nil)
	ctx, err := s.sessions.Load(r.Context(), b.cookies[s.sessions.Cookie.Name].Value)
	if err != nil {
		t.Fatal(err)
	}
	v := &visit{w: httptest.NewRecorder(), r: r.WithContext(ctx), s: s}
	if in, err := v.signedIn(false); !in || err != nil {
		t.Fatalf("not signed in: %v", err)
	}
	code, err := v.Form(path)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func streamStatus(t *testing.T, s *Server, b *browser, target string, how way) int {
	t.Helper()
	srv := httptest.NewServer(s)
	defer srv.Close()
	u, _ := url.Parse(target)
	r, err := http.NewRequest("GET", srv.URL+u.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range how.head {
		r.Header.Set(k, v)
	}
	for _, c := range b.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode
}

func TestStream(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	srv := httptest.NewServer(s)
	defer srv.Close()
	r, _ := http.NewRequest("GET", srv.URL+"/events", nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Dest", "empty")
	for _, c := range b.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	w.changed <- struct{}{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if lines.Text() == "event: changed" {
			return
		}
	}
	t.Errorf("no event came: %d", res.StatusCode)
}

// TestWhatActsIsFresh: whatever changes something asks the hub anew.
func TestWhatActsIsFresh(t *testing.T) {
	for _, rt := range routes() {
		acts := rt.method == "POST" || rt.method == "DELETE" || rt.method == "PATCH" || rt.name == "finish"
		mints := rt.name == "credential" || rt.name == "rejected" || rt.kind == hook || rt.name == "signout"
		mints = mints || rt.kind == open || rt.kind == job // whoever asks shows all that counts, and no hub's token
		if acts && !mints && !rt.fresh {
			t.Errorf("%s changes something by what the hub said a while ago", rt.name)
		}
	}
}

// TestServersToken is a server that somebody else has taken over: by its token
// it gets what the broker gives that person's server, and nothing else anywhere.
func TestServersToken(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		for _, rt := range routes() {
			if rt.kind == bearer || rt.kind == open || rt.kind == job || rt.kind == public {
				continue
			}
			for _, how := range ways {
				head := []string{"Cookie", s.sessions.Cookie.Name + "=server-ada; jupyterhub-session-id=x"}
				for k, v := range how.head {
					head = append(head, k, v)
				}
				body := ""
				if rt.method == "POST" {
					body = "form=x&id=3&repo=github.com+tidal-lab/thesis&group=ocean-101&until=2027-01-01&server=gpu&known=yes"
					head = append(head, "Content-Type", "application/x-www-form-urlencoded")
				}
				res := apiDo(s, rt.method, address+example(rt), "server-ada", body, head...)
				toSignIn := res.StatusCode == 303 && (rt.name == "signin" || strings.HasPrefix(res.Header.Get("Location"), s.path("signin")))
				if !toSignIn && res.StatusCode != 401 && res.StatusCode != 403 {
					t.Errorf("%s by %s: %d", rt.name, how.name, res.StatusCode)
				}
			}
		}
		if d := w.deeds(); len(d) != 0 {
			t.Errorf("done: %q", d)
		}
		for _, more := range []string{"?user=bob", "?name=bob&server=lab"} {
			if res := text(t, apiDo(s, "GET", address+"api/v1/me"+more, "server-ada", "", "X-User", "bob", "X-Forwarded-User", "bob", "Remote-User", "bob")); !strings.Contains(res, `"name":"ada"`) || strings.Contains(res, "bob") {
				t.Errorf("me with %s: %s", more, res)
			}
		}
	})
}

// TestFewWait: one person cannot take all places for those who wait.
func TestFewWait(t *testing.T) {
	r := resting{n: map[daypass.User]int{}}
	ada, bob := daypass.User{Name: "ada"}, daypass.User{Name: "bob"}
	for range maxWaits {
		r.enter(ada)
	}
	if r.enter(ada) || !r.enter(bob) {
		t.Error("the bound is not each person's own")
	}
	for range maxWaits {
		r.leave(ada)
	}
	r.leave(bob)
	if !r.enter(ada) || len(r.n) != 1 {
		t.Errorf("what left still counts: %v", r.n)
	}
}

// TestForms: a code is good for one use, one path, one session and one hour.
func TestForms(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		ada, bob := newBrowser(t, s, address, shared), newBrowser(t, s, address, shared)
		ada.signIn("browser-ada", "")
		bob.signIn("browser-bob", "")
		post := func(b *browser, path, code string) int {
			return b.do("POST", address+path, url.Values{"form": {code}}, b.own()).StatusCode
		}
		page := text(t, ada.get(""))
		code := formOf(t, page, s.path("disconnect/github.com"))
		if got := post(ada, "connect/github.com", code); got != 403 {
			t.Errorf("a code of another form: %d", got)
		}
		if got := post(bob, "disconnect/github.com", code); got != 403 {
			t.Errorf("another person's code: %d", got)
		}
		for _, bad := range []string{"", "x", code + "x", "x" + code, strings.ToUpper(code), strings.Repeat("a.", 100)} {
			if got := post(ada, "disconnect/github.com", bad); got != 403 {
				t.Errorf("the code %q: %d", bad, got)
			}
		}
		if d := w.deeds(); len(d) != 0 {
			t.Fatalf("done: %q", d)
		}
		if got := post(ada, "disconnect/github.com", code); got != 200 {
			t.Errorf("a good code: %d", got)
		}
		if got := post(ada, "disconnect/github.com", code); got != 403 {
			t.Errorf("a code for the second time: %d", got)
		}
		code = formOf(t, text(t, ada.get("connect/github.com")), s.path("connect/github.com"))
		w.pass(61 * time.Minute)
		if got := post(ada, "connect/github.com", code); got != 403 {
			t.Errorf("an old code: %d", got)
		}
		ada.signIn("browser-ada", "")
		if got := post(ada, "disconnect/github.com", formOf(t, page, s.path("disconnect/github.com"))); got != 403 {
			t.Errorf("a code of the session before: %d", got)
		}
	})
}

// TestSignedInAnew: a session's id is made at sign-in, and by the service only.
func TestSignedInAnew(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		name := s.sessions.Cookie.Name
		mallory := newBrowser(t, s, address, shared)
		mallory.signIn("browser-mallory", "")
		planted := *mallory.cookies[name]

		ada := newBrowser(t, s, address, shared)
		ada.cookies[name] = &planted
		ada.signIn("browser-ada", "")
		got := ada.cookies[name]
		if got.Value == planted.Value {
			t.Fatal("a session's id outlived the sign-in")
		}
		if page := text(t, mallory.get("")); strings.Contains(page, "ada</") {
			t.Error("the planted session became the victim's")
		}
		invented := newBrowser(t, s, address, shared)
		invented.cookies[name] = &http.Cookie{Name: name, Value: "an-id-that-the-service-never-gave-out-0000000", Path: "/"}
		invented.signIn("browser-ada", "")
		if invented.cookies[name].Value == "an-id-that-the-service-never-gave-out-0000000" {
			t.Error("an id that the service did not give out was taken")
		}
		if !got.HttpOnly || !got.Secure {
			t.Errorf("the cookie: %+v", got)
		}
		if !shared && (got.Name != "__Host-daypass" || got.Path != "/" || got.SameSite != http.SameSiteLaxMode || got.Domain != "") {
			t.Errorf("the cookie on an own origin: %+v", got)
		}
		if shared && got.Path != "/services/daypass/" {
			t.Errorf("the cookie on a shared origin: %+v", got)
		}
	})
}

func TestSignInIsBound(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	ada := newBrowser(t, s, ownURL, false)
	status := func(b *browser, query string) int { return b.get("oauth_callback?" + query).StatusCode }

	// Two tabs, finished in the other order.
	one := stateIn(t, ada.get("signin?next=/activity"))
	two := stateIn(t, ada.get("signin?next=/sharing"))
	if res := ada.get("oauth_callback?state=" + two + "&code=code-browser-ada"); res.Header.Get("Location") != "/sharing" {
		t.Errorf("the second tab: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	if res := ada.get("oauth_callback?state=" + one + "&code=code-browser-ada"); res.Header.Get("Location") != "/activity" {
		t.Errorf("the first tab: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	// Once only.
	if got := status(ada, "state="+one+"&code=code-browser-ada"); got != 403 {
		t.Errorf("a state for the second time: %d", got)
	}
	// In the same browser only: mallory's answer in ada's browser.
	mallory := newBrowser(t, s, ownURL, false)
	state := stateIn(t, mallory.get("signin"))
	victim := newBrowser(t, s, ownURL, false)
	if got := status(victim, "state="+state+"&code=code-browser-mallory"); got != 403 || victim.cookies["__Host-daypass"] != nil {
		t.Errorf("somebody else's answer: %d", got)
	}
	if got := status(mallory, "state="+state+"&code=code-browser-mallory"); got != 403 {
		t.Errorf("a state that was tried elsewhere: %d", got)
	}
	// In ten minutes.
	late := stateIn(t, victim.get("signin"))
	w.pass(601 * time.Second)
	if got := status(victim, "state="+late+"&code=code-browser-ada"); got != 403 {
		t.Errorf("a state 601 seconds old: %d", got)
	}
	for _, q := range []string{"", "state=x", "state=" + strings.Repeat("a", 32), "state=" + strings.Repeat("%00", 32), "code=code-browser-ada"} {
		if got := status(victim, q); got != 403 {
			t.Errorf("%q: %d", q, got)
		}
	}
	no := stateIn(t, victim.get("signin"))
	if got := status(victim, "state="+no+"&error=access_denied"); got != 403 {
		t.Errorf("the hub's no: %d", got)
	}
	// A server's token is no sign-in of a browser's.
	odd := stateIn(t, victim.get("signin"))
	if got := status(victim, "state="+odd+"&code=code-server-ada"); got != 403 {
		t.Errorf("a server's token as a sign-in: %d", got)
	}
	// Many begun, and the cookies stay few.
	for range 20 {
		victim.get("signin")
	}
	if n := len(victim.cookies); n > maxSignIns {
		t.Errorf("%d cookies of sign-ins", n)
	}
}

func TestSessionEnds(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	in := func(b *browser) bool { return b.get("activity").StatusCode == 200 }
	ada := newBrowser(t, s, ownURL, false)
	ada.signIn("browser-ada", "")
	kept := *ada.cookies["__Host-daypass"]
	res := ada.do("POST", ownURL+"signout", url.Values{"form": {codeFor(t, s, ada, "signout")}}, ada.own())
	if res.StatusCode != 200 || in(ada) {
		t.Errorf("signed out: %d", res.StatusCode)
	}
	ada.cookies["__Host-daypass"] = &kept
	if in(ada) {
		t.Error("the old cookie still opens a session that was ended")
	}
	ada.signIn("browser-ada", "")
	id := w.tokens["browser-ada"]
	other := id
	other.Caller.User.Created = created.Add(time.Hour)
	w.tokens["browser-ada"] = other
	if in(ada) {
		t.Error("a session went on for another person of the same name")
	}
	w.tokens["browser-ada"] = id
	if in(ada) {
		t.Error("a session that ended came back")
	}
	ada.signIn("browser-ada", "")
	delete(w.tokens, "browser-ada")
	if res := ada.get(""); res.StatusCode != 303 || !strings.HasPrefix(res.Header.Get("Location"), "/signin?next=") {
		t.Errorf("after the hub ended the token: %d", res.StatusCode)
	}
}

// TestConsentIsBound: the host's answer counts only in the session that asked.
func TestConsentIsBound(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	alice, bob, nobody := newBrowser(t, s, ownURL, false), newBrowser(t, s, ownURL, false), newBrowser(t, s, ownURL, false)
	alice.signIn("browser-ada", "")
	bob.signIn("browser-bob", "")
	res := alice.do("POST", ownURL+"connect/github.com", fields(t, s, alice, "connect/github.com"), alice.own())
	to := res.Header.Get("Location")
	if res.StatusCode != 303 || !strings.HasPrefix(to, "https://github.com/") {
		t.Fatalf("start: %d to %q", res.StatusCode, to)
	}
	back := "oauth/github/github.com/callback?code=c&state=" + stateIn(t, res)
	if res := bob.get(back); res.StatusCode != 403 {
		t.Errorf("in somebody else's browser: %d", res.StatusCode)
	}
	if res := nobody.get(back); res.StatusCode != 403 || !strings.Contains(text(t, res), "DP-884") {
		t.Errorf("in a browser that is not signed in: %d", res.StatusCode)
	}
	if res := alice.get(strings.Replace(back, "github.com", "evil.example", 1)); res.StatusCode != 404 {
		t.Errorf("for a host that is not served: %d", res.StatusCode)
	}
	if res := alice.do("HEAD", ownURL+back, nil, typed); res.StatusCode != 405 {
		t.Errorf("HEAD of the callback: %d", res.StatusCode)
	}
	if res := alice.get(back); res.StatusCode != 200 || !strings.Contains(text(t, res), "Connected. Push again.") {
		t.Errorf("in the right one: %d", res.StatusCode)
	}
	if got := w.deeds(); len(got) != 2 {
		t.Errorf("done: %q", got)
	}
}

func TestAdminsOnly(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	bob := newBrowser(t, s, ownURL, false)
	bob.signIn("browser-bob", "")
	for _, rt := range routes() {
		if rt.kind != admin {
			continue
		}
		var form url.Values
		if rt.method == "POST" {
			form = fields(t, s, bob, example(rt))
		}
		how := typed
		if form != nil {
			how = bob.own()
		}
		if res := bob.do(rt.method, ownURL+example(rt), form, how); res.StatusCode != 403 || !strings.Contains(text(t, res), "DP-883") {
			t.Errorf("%s: %d", rt.name, res.StatusCode)
		}
	}
	if page := text(t, bob.get("")); strings.Contains(page, "People") {
		t.Error("the navigation names pages that bob may not see")
	}
	if d := w.deeds(); len(d) != 0 {
		t.Errorf("done: %q", d)
	}
}

// TestHostileNames: what outsiders chose is text on every page, and every
// character of it can be seen.
func TestHostileNames(t *testing.T) {
	for _, evil := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'; alert(1); //`, "a\u202eexe.gnp", "a\u2066b\u2069c", "zero\u200bwidth", "nul\x00bel\x07esc\x1b[31m",
		`javascript:alert(1)`, `</textarea><script>alert(1)</script>`, `</title></svg><script>alert(1)</script>`, "line\u2028end", `{{.User}}`, "tag\U000e0041",
	} {
		w := newWorld()
		w.evil = evil
		s := start(t, w, ownURL, false)
		b := newBrowser(t, s, ownURL, false)
		b.signIn("browser-ada", "")
		for page := range pagesToSee {
			body := text(t, b.get(page))
			if strings.Contains(body, "<script>") || strings.Contains(body, "<img") || strings.Contains(body, `href="javascript`) {
				t.Errorf("%q on %q is more than text", evil, page)
			}
			for _, r := range "\u202e\u2066\u2069\u200b\x00\x07\x1b\u2028\U000e0041" {
				if strings.ContainsRune(body, r) {
					t.Errorf("%q on %q: %U got through", evil, page, r)
				}
			}
			if strings.Count(body, "</textarea>") != strings.Count(body, "<textarea") || strings.Count(body, "<title>") > 1+strings.Count(body, "<g class=") {
				t.Errorf("%q on %q closes an element", evil, page)
			}
		}
	}
}

func TestTooMany(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Limits = Limits{Rate: 2, Burst: 3, StrangerIn: 1, Strangers: 4}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(token string) *http.Response {
		return apiDo(s, "POST", ownURL+"api/v1/credential", token, wantRepo)
	}
	if res := ask("server-ada"); res.StatusCode != 200 {
		t.Fatalf("the first: %d", res.StatusCode)
	}
	asked := w.asked
	for i := range 20 {
		ask(fmt.Sprint("rubbish-", i))
	}
	if n := w.asked - asked; n > 4 {
		t.Errorf("the hub was asked %d times for rubbish", n)
	}
	res := ask("rubbish-x")
	if e := errorOf(t, res); res.StatusCode != 429 || e.Code != "DP-874" || res.Header.Get("Retry-After") == "" {
		t.Errorf("rubbish: %d", res.StatusCode)
	}
	if res := ask("server-ada"); res.StatusCode != 200 {
		t.Errorf("who is known has to wait because of a stranger at the same address: %d", res.StatusCode)
	}
	got := 0
	for range 10 {
		if ask("server-ada").StatusCode == 429 {
			got++
		}
	}
	if got < 8 {
		t.Errorf("a flood by one token was stopped %d times of 10", got)
	}
	w.pass(2 * time.Second)
	if res := ask("server-ada"); res.StatusCode != 200 {
		t.Errorf("after a wait: %d", res.StatusCode)
	}
}

func TestTablesAreBounded(t *testing.T) {
	l := newLimiter(1, 1)
	now := time.Now()
	for i := range limitShards*shardSize + 5000 {
		l.take(keyOf(fmt.Sprint(i)), now, true)
	}
	n := 0
	for i := range l.shards {
		n += len(l.shards[i].buckets)
	}
	if n > limitShards*shardSize {
		t.Errorf("%d buckets", n)
	}
}

func TestAtOnce(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Limits.AtOnce, c.Limits.Waiting = 2, 1
	hold, entered := make(chan struct{}), make(chan struct{}, 4)
	c.Broker.Rejected = blockUntil(hold, entered)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"host":"github.com","path":"o/r","token_sha256":"` + strings.Repeat("a", 64) + `"}`
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { apiDo(s, "POST", ownURL+"api/v1/rejected", "server-ada", body) })
	}
	<-entered
	<-entered
	res := apiDo(s, "GET", ownURL+"api/v1/me", "server-ada", "")
	if e := errorOf(t, res); res.StatusCode != 503 || e.Code != "DP-875" || res.Header.Get("Retry-After") == "" {
		t.Errorf("one more than at once: %d", res.StatusCode)
	}
	close(hold)
	wg.Wait()
	if res := apiDo(s, "GET", ownURL+"api/v1/me", "server-ada", ""); res.StatusCode != 200 {
		t.Errorf("afterwards: %d", res.StatusCode)
	}
	// One waits, and takes no place of those who work; a second may not.
	done := make(chan int, 2)
	for range 2 {
		go func() {
			done <- apiDo(s, "GET", ownURL+"api/v1/connections/github.example.edu:8443?wait=300ms", "server-ada", "").StatusCode
		}()
	}
	if first := <-done; first != 503 {
		t.Errorf("the second that waits: %d", first)
	}
	if second := <-done; second != 204 {
		t.Errorf("the one that waits: %d", second)
	}
}

// TestSlowAndLarge is about connections, so that it needs real ones.
func TestSlowAndLarge(t *testing.T) {
	s := start(t, newWorld(), "http://127.0.0.1:1/", false)
	srv := s.HTTP()
	if srv.MaxHeaderBytes+4096 != 16<<10 || srv.ReadHeaderTimeout == 0 || srv.ReadTimeout == 0 || srv.IdleTimeout == 0 {
		t.Fatalf("the bounds: %+v", srv)
	}
	srv.Handler = traffic.over(srv.Handler)
	srv.ReadHeaderTimeout, srv.ReadTimeout = 200*time.Millisecond, 300*time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	say := func(text string) string {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, text)
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			t.Fatalf("the connection was left open: %v", err)
		}
		return strings.TrimSpace(line)
	}
	slowJob := "POST /_/oidc/mint-token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
	if got := say(slowJob); !strings.Contains(got, "408") {
		t.Errorf("a slow body for a job's token: %q", got)
	}
	for _, o := range operations {
		if o.body == "" {
			continue
		}
		slow := fmt.Sprintf("%s /api/v1/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", o.method, o.path, o.token)
		if got := say(slow); !strings.Contains(got, "408") {
			t.Errorf("a slow body for %s: %q", o.name, got)
		}
	}
	head := "POST /api/v1/credential HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer server-ada\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct{ send, want string }{
		"slow headers":  {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", ""},
		"slow body":     {head + "Content-Length: 100\r\n\r\n{", "408"},
		"large headers": {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", "431"},
		"many headers":  {"GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: yyyyyyyy\r\n", 2000) + "\r\n", "431"},
		"large body":    {head + fmt.Sprintf("Content-Length: %d\r\n\r\n", api.MaxBody+1), "413"},
		"two lengths":   {head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", "400"},
		"well-sized":    {"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200"},
	} {
		if got := say(c.send); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
}

func TestAddress(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	r := httptest.NewRequest("GET", ownURL, nil)
	r.RemoteAddr = "10.0.0.7:4711"
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 192.0.2.9, 10.0.0.8")
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.address(r); got != "10.0.0.7" {
		t.Errorf("a stranger's header was believed: %s", got)
	}
	c.Limits.Proxies = prefixes("10.0.0.0/8")
	if s, err = New(c); err != nil {
		t.Fatal(err)
	}
	if got := s.address(r); got != "192.0.2.9" {
		t.Errorf("behind a proxy: %s", got)
	}
}
