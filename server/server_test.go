package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// modes runs a test at an address of the service's own and at a shared one.
func modes(t *testing.T, f func(t *testing.T, address string, shared bool)) {
	t.Run("own", func(t *testing.T) { f(t, ownURL, false) })
	t.Run("shared", func(t *testing.T) { f(t, sharedURL, true) })
}

func TestPagesShow(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		s := start(t, newWorld(), address, shared)
		b := newBrowser(t, s, address, shared)
		if res := b.signIn("browser-ada", s.path("activity")); res.StatusCode != 303 || res.Header.Get("Location") != s.path("activity") {
			t.Fatalf("sign-in: %d to %q: %s", res.StatusCode, res.Header.Get("Location"), text(t, res))
		}
		for page, want := range pagesToSee {
			res := b.get(page)
			body := text(t, res)
			if shared && adminPage(page) {
				if res.StatusCode != 403 || !strings.Contains(body, "DP-882") {
					t.Errorf("%q on a shared origin: status %d", page, res.StatusCode)
				}
				continue
			}
			if res.StatusCode != 200 || !strings.Contains(strings.ToLower(body), strings.ToLower(want)) {
				t.Errorf("%q: status %d, without %q:\n%s", page, res.StatusCode, want, body)
			}
			if strings.Contains(body, "ZgotmplZ") {
				t.Errorf("%q: a value was in a place where it is not safe", page)
			}
			if has := strings.Contains(body, "<script"); has != (!shared && page == "") {
				t.Errorf("%q: a script is there: %v", page, has)
			}
		}
	})
}

// pagesToSee is every page that a GET shows, and a text that is on it.
var pagesToSee = map[string]string{
	"": "Connected", "activity": "K3QF-1042", "connect/github.com": "Go to GitHub", "connect/github.example.edu:8443": "Campus GitHub", "sharing": "ocean-101",
	"people": "bobby-t", "people/1": "A sentence to paste", "health": "has not answered", "app/github.com": "as me and for 1 hour 30 minutes at a time", "app/github.com/content": "I teach with",
	"passes": "Passes that are over", "passes/new": "How long", "passes/new?look=yes&repos=o/r&label=x": "Make this pass", "passes/new?like=" + passID1: "buoy-data#104",
	"passes/new?look=yes&repos=nonsense": "is not OWNER/NAME", "passes/" + passID1: "pass <code>" + passID1 + "</code>, shown as <code>9f86d081884c7d65</code>", "passes/p9d4h6j2r8s3w5t7": "Ends with", "passes/b7c2f5g8k4m9n3q6": "Without an end",
	"links": "within a week", "links/ph142-lab1": "Launch address for Canvas", "links/ph142-lab2": "On Binder", "links/ph142-lab3": "Let it go on", "links/ph142-old": "Ended", "newlink": "Address of a repository",
	"newlink?paste=https://github.com/tidal-lab/teaching-2026/tree/main/labs/week1": "It may mean", "newlink?paste=https://drive.google.com/drive/folders/1AbCdEfGhIjKl": "Share the folder in Drive", "newlink?paste=nonsense": "no address of content",
	"newlink?like=ph142-lab1": "Copy a link to a new term",
	"device":                  "The code", "device?user_code=GGGG-HHHH": "Asked from",
}

func adminPage(page string) bool { return strings.HasPrefix(page, "people") || page == "health" }

// TestNext is the table of the facts, 7.9, and what belongs to it.
func TestNext(t *testing.T) {
	shared := start(t, newWorld(), sharedURL, true)
	own := start(t, newWorld(), ownURL, false)
	long := "/services/daypass/" + strings.Repeat("a", 5000)
	for _, text := range []string{
		"", "//evil.example", "/\\evil.example", "/%5cevil.example", "/%5Cevil.example", "https:evil.example", "https://evil.example/", "javascript:alert(1)",
		"/\t/evil.example", "/\n/evil.example", "/services/daypass/../../x", "/services/daypass/%2e%2e/%2e%2e/user/mallory/", "/services/daypass/..%2f..%2fuser",
		"\u2215evil.example", "/\u2215evil.example", "/services/daypass/\u2215x", long, "/user/mallory/", "/services/daypassx/", "/services/", "evil", "?x", "#x",
		"/services/daypass/signin", "/services/daypass/signout", "/services/daypass/oauth_callback?code=x", "/services/daypass/oauth/github/github.com/callback?state=x",
		"/services/daypass//evil.example", "/services/daypass/./x", "///evil.example", "/%2f/evil.example", "/%09/evil.example", "/services/daypass/%00",
		"/services/daypass/x#fragment", "/services/daypass/%zz", "/services/daypass/\\evil", "/services/daypass/ x", "http:///services/daypass/",
		"//hub.example.org/services/daypass/", "/services/daypass/%255c%255c",
	} {
		if got := shared.next(text); got != "/services/daypass/" {
			t.Errorf("next %q leads to %q", text, got)
		}
	}
	for text, want := range map[string]string{
		"/services/daypass/": "/services/daypass/", "/services/daypass/activity": "/services/daypass/activity",
		"/services/daypass/activity?show=ok&before=K3QF-1": "/services/daypass/activity?show=ok&before=K3QF-1",
		"/services/daypass/connect/github.com":             "/services/daypass/connect/github.com",
		"/services/daypass/connect/ghes.example:8443":      "/services/daypass/connect/ghes.example:8443",
	} {
		if got := shared.next(text); got != want {
			t.Errorf("next %q leads to %q", text, got)
		}
	}
	for _, text := range []string{"//evil.example", "/\\evil.example", "/%5cevil.example", "/signin"} {
		if got := own.next(text); got != "/" {
			t.Errorf("next %q leads to %q on an own origin", text, got)
		}
	}
	if got := own.next("/activity"); got != "/activity" {
		t.Errorf("next /activity leads to %q", got)
	}
	// All the way through a sign-in.
	b := newBrowser(t, shared, sharedURL, true)
	if to := b.signIn("browser-ada", "//evil.example").Header.Get("Location"); to != "/services/daypass/" {
		t.Errorf("a sign-in led to %q", to)
	}
}

// TestHeaders: what every answer carries, whatever it is.
func TestHeaders(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		s := start(t, newWorld(), address, shared)
		b := newBrowser(t, s, address, shared)
		b.signIn("browser-ada", "")
		for _, rt := range append(routes(), route{method: "GET", path: "nothing-here"}) {
			if rt.kind == stream {
				continue // it does not end
			}
			res := b.do(rt.method, address+example(rt), nil, typed)
			h := res.Header
			for name := range h {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s: %s", rt.name, name)
				}
			}
			page := strings.HasPrefix(h.Get("Content-Type"), "text/html")
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000"} {
				if h.Get(name) != want {
					t.Errorf("%s: %s is %q", rt.name, name, h.Get(name))
				}
			}
			if rt.name != "static" && h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: Cache-Control is %q", rt.name, h["Cache-Control"])
			}
			csp := h.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
				if !strings.Contains(csp, part) {
					t.Errorf("%s: the content policy lacks %s: %s", rt.name, part, csp)
				}
			}
			if strings.Contains(csp, "unsafe") || strings.Contains(csp, "data:") || strings.Contains(csp, "*") {
				t.Errorf("%s: the content policy is loose: %s", rt.name, csp)
			}
			if !page {
				continue
			}
			if h.Get("Cross-Origin-Opener-Policy") != "same-origin" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" || h.Get("Permissions-Policy") == "" {
				t.Errorf("%s: headers of a page are missing", rt.name)
			}
			if shared != strings.Contains(csp, "sandbox allow-forms") || shared == strings.Contains(csp, "script-src") || !strings.Contains(csp, "base-uri 'none'") {
				t.Errorf("%s: the content policy is not the mode's: %s", rt.name, csp)
			}
		}
	})
}

// example is a path that a route takes.
func example(rt route) string {
	return strings.NewReplacer("{$}", "", "{host}", "github.com", "{id}", "1", "{file}", "x.css", "{name}", "ph142-lab1").Replace(rt.path)
}

func apiDo(s http.Handler, method, target, token, body string, more ...string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	return traffic.ask(s, r)
}

func errorOf(t *testing.T, res *http.Response) api.Error {
	t.Helper()
	var b api.ErrorBody
	if err := json.Unmarshal([]byte(text(t, res)), &b); err != nil || b.Error.Code == "" {
		t.Fatalf("status %d without an error's body: %v", res.StatusCode, err)
	}
	return b.Error
}

const wantRepo = `{"protocol":"https","host":"github.com","path":"tidal-lab/ocean-models.git","access":"write"}`

func TestCredential(t *testing.T) {
	w := newWorld()
	s := start(t, w, sharedURL, true)
	target := sharedURL + "api/v1/credential"
	res := apiDo(s, "POST", target, "server-ada", wantRepo)
	body := text(t, res)
	reply, err := api.DecodeCredentialReply([]byte(body))
	if res.StatusCode != 200 || err != nil || reply.Password.Reveal() != "ghu_canary0123456789" || reply.Repo.ID != 42 || reply.Access != "write" {
		t.Fatalf("status %d, %v: %s", res.StatusCode, err, body)
	}
	e := errorOf(t, apiDo(s, "POST", target, "server-ada", strings.Replace(wantRepo, "ocean-models", "refused", 1)))
	if e.Code != "DP-810" || e.Event != "K3QF-1042" || e.Rule != "no-thesis" || e.Link != sharedURL+"activity" {
		t.Errorf("a refusal is told as %+v", e)
	}
	for name, c := range map[string]struct {
		token, body, kind string
		status            int
		code              string
	}{
		"no token":      {"", wantRepo, "application/json", 401, "DP-870"},
		"spaces":        {"server-ada x", wantRepo, "application/json", 401, "DP-870"},
		"long":          {strings.Repeat("x", 600), wantRepo, "application/json", 401, "DP-870"},
		"unknown":       {"server-eve", wantRepo, "application/json", 401, "DP-802"},
		"a browser's":   {"browser-ada", wantRepo, "application/json", 403, "DP-885"},
		"no json":       {"server-ada", "host=github.com", "application/json", 400, "DP-871"},
		"a form":        {"server-ada", wantRepo, "application/x-www-form-urlencoded", 400, "DP-871"},
		"text":          {"server-ada", wantRepo, "text/plain", 400, "DP-871"},
		"unknown word":  {"server-ada", strings.Replace(wantRepo, `"access"`, `"user":"bob","access"`, 1), "application/json", 400, "DP-871"},
		"a second":      {"server-ada", wantRepo + wantRepo, "application/json", 400, "DP-871"},
		"dots":          {"server-ada", strings.Replace(wantRepo, "ocean-models", "../../x", 1), "application/json", 400, "DP-871"},
		"another host":  {"server-ada", strings.Replace(wantRepo, "github.com", "gitlab.com", 1), "application/json", 404, "DP-876"},
		"plain http":    {"server-ada", strings.Replace(wantRepo, `"https"`, `"http"`, 1), "application/json", 400, "DP-871"},
		"admin access":  {"server-ada", strings.Replace(wantRepo, `"write"`, `"admin"`, 1), "application/json", 400, "DP-871"},
		"large":         {"server-ada", `{"host":"` + strings.Repeat("x", api.MaxBody) + `"}`, "application/json", 413, "DP-872"},
		"a wrong hosts": {"server-ada", strings.Replace(wantRepo, "github.com", "git hub", 1), "application/json", 400, "DP-871"},
	} {
		res := apiDo(s, "POST", target, c.token, c.body, "Content-Type", c.kind)
		if e := errorOf(t, res); res.StatusCode != c.status || e.Code != c.code {
			t.Errorf("%s: status %d, %s, want %d %s", name, res.StatusCode, e.Code, c.status, c.code)
		}
	}
	if n := len(w.deeds()); n != 2 {
		t.Errorf("the broker was asked %d times: %q", n, w.deeds())
	}
}

// TestAPIKnowsNoCookies: a browser that is signed in can do nothing there.
func TestAPIKnowsNoCookies(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		w := newWorld()
		s := start(t, w, address, shared)
		b := newBrowser(t, s, address, shared)
		b.signIn("browser-ada", "")
		for _, rt := range routes() {
			if rt.kind != bearer && rt.kind != hook {
				continue
			}
			for _, how := range ways {
				res := b.do(rt.method, address+example(rt), nil, how.head)
				if res.StatusCode != 401 {
					t.Errorf("%s with a cookie alone: %d", rt.name, res.StatusCode)
				}
			}
			res := b.do("OPTIONS", address+example(rt), nil, map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"})
			if res.StatusCode != 405 || res.Header.Get("Allow") == "" {
				t.Errorf("OPTIONS %s: %d", rt.name, res.StatusCode)
			}
		}
		if d := w.deeds(); len(d) != 0 {
			t.Errorf("done: %q", d)
		}
	})
}

func TestAPIRoutes(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	var me api.Me
	if err := json.Unmarshal([]byte(text(t, apiDo(s, "GET", ownURL+"api/v1/me", "server-ada", ""))), &me); err != nil {
		t.Fatal(err)
	}
	if me.User.Name != "ada" || me.Server != "gpu" || len(me.Hosts) != 2 || !me.Hosts[0].Connected || me.Hosts[1].State != api.StateConsent ||
		me.Hosts[1].Connect != ownURL+"connect/github.example.edu:8443" || me.Hosts[0].Account.Login != "ada-l" {
		t.Errorf("me: %+v", me)
	}
	if me.Started == nil || !me.Started.Equal(w.now.Add(-3*time.Hour)) {
		t.Errorf("the server was started at %v", me.Started)
	}
	for _, token := range []string{"user-ada", goodPass, "server-bob"} { // the last: the hub does not tell
		if body := text(t, apiDo(s, "GET", ownURL+"api/v1/me", token, "")); !strings.Contains(body, `"user"`) || strings.Contains(body, "started") {
			t.Errorf("%s: %s", token, body)
		}
	}
	for _, c := range []struct {
		method, path, token, body string
		status                    int
	}{
		{"GET", "api/v1/connections/github.com", "server-ada", "", 200},
		{"GET", "api/v1/connections/github.com?wait=25s", "server-ada", "", 200},
		{"GET", "api/v1/connections/github.example.edu:8443?wait=20ms", "server-ada", "", 204},
		{"GET", "api/v1/connections/github.com?wait=soon", "server-ada", "", 400},
		{"GET", "api/v1/connections/evil.example", "server-ada", "", 404},
		{"HEAD", "api/v1/connections/github.com", "server-ada", "", 405},
		{"GET", "api/v1/repos/github.com", "user-ada", "", 200},
		{"DELETE", "api/v1/connections/github.com", "server-ada", "", 200},
		{"POST", "api/v1/rejected", "server-ada", `{"host":"github.com","path":"o/r","token_sha256":"` + strings.Repeat("a", 64) + `"}`, 204},
		{"POST", "api/v1/rejected", "server-ada", `{"host":"github.com","path":"o/r","token_sha256":"x"}`, 400},
		{"POST", "api/v1/hook/stopped", "hook-token-for-the-hub", `{"user":"ada","server":"gpu"}`, 204},
		{"POST", "api/v1/hook/stopped", "server-ada", `{"user":"ada","server":"gpu"}`, 401},
		{"POST", "api/v1/me", "hook-token-for-the-hub", "", 405},
		{"GET", "api/v1/me", "hook-token-for-the-hub", "", 401},
		{"GET", "api/v1/openapi.json", "", "", 200},
		{"GET", "api/v1/nothing", "server-ada", "", 404},
		{"GET", "healthz", "", "", 200},
		{"GET", "readyz", "", "", 200},
		{"GET", "metrics", "", "", 404},
		{"GET", "metrics", "server-ada", "", 404},
		{"GET", "metrics", "metrics-token", "", 200},
	} {
		if res := apiDo(s, c.method, ownURL+c.path, c.token, c.body); res.StatusCode != c.status {
			t.Errorf("%s %s by %q: %d, want %d: %s", c.method, c.path, c.token, res.StatusCode, c.status, text(t, res))
		}
	}
}

// TestHubAway: what was made before is given again, nothing is changed, and
// nobody is told that they are nobody.
func TestHubAway(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	w.down, w.stale = true, true
	page := text(t, b.get(""))
	for _, action := range []string{"disconnect/github.com", "approve"} {
		code := formOf(t, page, "/"+action)
		res := b.do("POST", ownURL+action, url.Values{"form": {code}, "server": {"gpu"}, "known": {"yes"}}, b.own())
		if body := text(t, res); res.StatusCode != 503 || !strings.Contains(body, "DP-888") || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s while the hub is away: %d", action, res.StatusCode)
		}
	}
	if res := apiDo(s, "DELETE", ownURL+"api/v1/connections/github.com", "server-ada", ""); res.StatusCode != 503 {
		t.Errorf("ending a connection while the hub is away: %d", res.StatusCode)
	}
	if res := apiDo(s, "POST", ownURL+"api/v1/credential", "server-ada", wantRepo); res.StatusCode != 200 {
		t.Errorf("a credential while the hub is away: %d", res.StatusCode)
	}
	w.stale = false
	if res := apiDo(s, "POST", ownURL+"api/v1/credential", "server-ada", wantRepo); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("a stranger while the hub is away: %d", res.StatusCode)
	}
	if res := apiDo(s, "GET", ownURL+"readyz", "", ""); res.StatusCode != 503 {
		t.Errorf("ready while the hub is away: %d", res.StatusCode)
	}
	if res := b.get(""); res.StatusCode != 503 {
		t.Errorf("a page while the hub is away: %d", res.StatusCode)
	}
	w.down = false
	if res := b.get(""); res.StatusCode != 200 {
		t.Errorf("the session did not outlive the hub's absence: %d", res.StatusCode)
	}
	if d := w.deeds(); len(d) != 1 {
		t.Errorf("done: %q", d)
	}
}

// TestNothingSecretIsLogged also covers panics, whose words may hold anything.
func TestNothingSecretIsLogged(t *testing.T) {
	w := newWorld()
	s := start(t, w, ownURL, false)
	b := newBrowser(t, s, ownURL, false)
	b.signIn("browser-ada", "")
	b.get("oauth/github/github.com/callback?state=canary-state&code=canary-code")
	apiDo(s, "POST", ownURL+"api/v1/credential?canary-query=1", "server-ada", wantRepo)
	res := apiDo(s, "POST", ownURL+"api/v1/credential", "server-ada", strings.Replace(wantRepo, "ocean-models", "panic", 1))
	if body := text(t, res); res.StatusCode != 500 || strings.Contains(body, "canary") || !strings.Contains(body, "DP-886") {
		t.Errorf("a panic is told as %d %s", res.StatusCode, body)
	}
	log := w.logged()
	for _, secret := range []string{"server-ada", "browser-ada", "canary", b.cookies["__Host-daypass"].Value, "tidal-lab"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
	if !strings.Contains(log, "route=credential") || !strings.Contains(log, "request=") {
		t.Errorf("requests are not logged:\n%s", log)
	}
}

func TestConfigIsChecked(t *testing.T) {
	w := newWorld()
	for _, address := range []string{"http://daypass.example.org/", "https://user@daypass.example.org/", "https://daypass.example.org/?x", "https:///x", "https://daypass.example.org/a;b/"} {
		if _, err := New(w.config(address, false)); err == nil {
			t.Errorf("%s was taken", address)
		}
	}
	c := w.config("http://127.0.0.1:8088/services/daypass", true)
	c.Broker.Finish = nil
	if _, err := New(c); err == nil {
		t.Error("a service without a part of the broker was made")
	}
}

// TestMetricsStayFew: nothing that a caller chooses is a label.
func TestMetricsStayFew(t *testing.T) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Metrics = NewMetrics([]string{"github.com"})
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Metrics.Upstream("evil.example", "whatever", time.Second)
	c.Metrics.Upstream("github.com", "ok", time.Second)
	c.Metrics.Up("hub", true)
	c.Metrics.Connections("github.com", "live", 3)
	c.Metrics.Commit(time.Millisecond)
	c.Metrics.RevocationDelay(-time.Second)
	apiDo(s, "GET", ownURL+"canary-path", "", "")
	apiDo(s, "CANARYMETHOD", ownURL+"healthz", "", "")
	apiDo(s, "POST", ownURL+"api/v1/credential", "canary-token", wantRepo)
	apiDo(s, "POST", ownURL+"api/v1/credential", "server-ada", strings.Replace(wantRepo, "tidal-lab", "canary-owner", 1))
	body := text(t, apiDo(s, "GET", ownURL+"metrics", "metrics-token", ""))
	if strings.Contains(body, "canary") || strings.Contains(body, "evil.example") {
		t.Error("a caller's words are in the metrics")
	}
	for _, want := range []string{
		`daypass_requests_total{route="credential",status="200"} 1`, `daypass_requests_total{route="none",status="404"} 1`, `daypass_refusals_total{code="DP-802"} 1`,
		`daypass_credentials_total{access="write",as="user"} 1`, `daypass_upstream_seconds_count{host="other",outcome="other"} 1`, `daypass_up{host="hub"} 1`,
		`daypass_connections{host="github.com",state="live"} 3`, "daypass_revocation_delay_seconds 0",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

func TestStatic(t *testing.T) {
	s := start(t, newWorld(), sharedURL, true)
	path, err := s.static.Path("daypass.css")
	if err != nil {
		t.Fatal(err)
	}
	res := apiDo(s, "GET", "https://hub.example.org"+path, "", "", "Accept-Encoding", "gzip")
	if res.StatusCode != 200 || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || res.Header.Get("Content-Encoding") != "gzip" ||
		!strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") || res.Header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
	}
	if _, err := s.static.Path("no.css"); err == nil {
		t.Error("a file that is not there has a path")
	}
	for _, p := range []string{"static/daypass.css", "static/", "static/../templates/frame.html", "static/%2e%2e/web.go"} {
		if res := apiDo(s, "GET", sharedURL+p, "", ""); res.StatusCode == 200 {
			t.Errorf("%s is served", p)
		}
	}
}

// BenchmarkCredential is the face alone: the broker and the hub answer at once.
func BenchmarkCredential(b *testing.B) {
	w := newWorld()
	c := w.config(ownURL, false)
	c.Log = nil
	c.Limits.Rate, c.Limits.Burst = 1e9, 1e9
	reply := api.CredentialReply{Username: "x-access-token", Password: daypass.NewSecret("ghu_0123456789"), Host: "github.com", Access: "write", As: "user"}
	c.Broker.Credential = answerWith(reply)
	s, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			r := httptest.NewRequest("POST", ownURL+"api/v1/credential", strings.NewReader(wantRepo))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer server-ada")
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, r)
			if rec.Code != 200 {
				b.Fatal(rec.Code)
			}
		}
	})
}

// TestAlerts holds the shipped rules to the metrics that there are.
func TestAlerts(t *testing.T) {
	rules, err := os.ReadFile("../doc/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	c := w.config(ownURL, false)
	c.Metrics = NewMetrics([]string{"github.com"})
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Metrics.Upstream("github.com", "ok", time.Second)
	c.Metrics.Up("hub", true)
	c.Metrics.Connections("github.com", "live", 3)
	c.Metrics.limited.WithLabelValues("token").Inc()
	apiDo(s, "POST", ownURL+"api/v1/credential", "", wantRepo)
	apiDo(s, "POST", ownURL+"api/v1/credential", "server-ada", wantRepo)
	body := text(t, apiDo(s, "GET", ownURL+"metrics", "metrics-token", ""))
	named := regexp.MustCompile(`daypass_[a-z_]+`).FindAllString(string(rules), -1)
	if len(named) < 10 {
		t.Fatalf("the rules name %q", named)
	}
	for _, name := range named {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("there is no metric %s", name)
		}
	}
}
