package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

const simplePage = "/alice/dev/+simple/hello/"

func wheel(project string) string { return project + "-1.0-py3-none-any.whl" }

func TestSessionVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/sessions.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Secret   []byte `json:"auth_secret"`
		Sessions []struct {
			Username  string
			Timestamp int64
			Session   string
			Auth      string `json:"x_devpi_auth"`
		}
	}
	if err := json.Unmarshal(text, &v); err != nil || len(v.Sessions) == 0 {
		t.Fatal(err, len(v.Sessions))
	}
	key := sessionKey(daypass.NewSecret(string(v.Secret)))
	for _, s := range v.Sessions {
		if out := session(key, s.Username, time.Unix(s.Timestamp, 0)); out != s.Session {
			t.Errorf("%s: %s, want %s", s.Username, out, s.Session)
		}
		if out := devpiAuth(s.Username, s.Session).Reveal(); out != s.Auth {
			t.Errorf("%s: X-Devpi-Auth %s", s.Username, out)
		}
	}
}

// TestForms shows a pass in every place where devpi-tokens takes one, and none
// of them ever reaches devpi.
func TestForms(t *testing.T) {
	for _, mode := range []Mode{Strict, Compat} {
		s := newStage(t, func(c *Config) { c.Mode = mode })
		token := s.book.mint(t, "alice", pass.Limits{})
		bare := strings.TrimPrefix(token, "devpi-")
		for _, word := range []string{token, bare} {
			for _, h := range [][]string{
				bearer(word), {"Authorization", "bEaReR  " + word}, basic("", word), basic(word, ""), basic("alice", word), basic("__token__", word),
				devpi("alice", word), devpi("", word), devpi(word, ""),
			} {
				a := s.do("GET", "/+api", "", append(h, "Accept", "application/json")...)
				if a.status != 200 || !strings.Contains(a.body, `["ok","alice",[]]`) {
					t.Errorf("%v: %s gives %d %s", mode, h[0], a.status, a.body)
				}
			}
			a := s.do("GET", "/+api", "", basic("bob", word)...)
			if a.status != 403 || !strings.Contains(a.body, "Token doesn't match user name") {
				t.Errorf("another's name: %d %s", a.status, a.body)
			}
		}
		for _, r := range s.devpi.seen() {
			if all := fmt.Sprint(r.Header); strings.Contains(all, bare) || r.Header.Get("Authorization") != "" {
				t.Fatal("devpi saw the pass")
			}
		}
	}
}

func TestContradictions(t *testing.T) {
	s := newStage(t, nil)
	one, two := s.book.mint(t, "alice", pass.Limits{}), s.book.mint(t, "alice", pass.Limits{})
	join := func(a, b []string) []string { return append(append([]string{}, a...), b...) }
	for name, h := range map[string][]string{
		"two passes":             join(bearer(one), devpi("alice", two)),
		"pass and password":      join(bearer(one), devpi("alice", "alicepw")),
		"password and pass":      join(basic("alice", "alicepw"), devpi("alice", one)),
		"a header twice":         join(bearer(one), bearer(one)),
		"password twice":         join(devpi("alice", "alicepw"), devpi("alice", "alicepw")),
		"X-Devpi-Auth no base64": {"X-Devpi-Auth", "!!!"},
	} {
		before := len(s.devpi.seen())
		if a := s.do("GET", simplePage, "", h...); a.status != 400 || len(s.devpi.seen()) != before {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := s.do("GET", simplePage, "", join(bearer(one), devpi("alice", one))...); a.status != 200 {
		t.Errorf("the same pass twice: %d %s", a.status, a.body)
	}
	c := newStage(t, func(c *Config) { c.Mode = Compat })
	good := c.book.mint(t, "alice", pass.Limits{})
	for name, h := range map[string][]string{
		"bearer wins":                     join(bearer(good), devpi("bob", "bobpw")),
		"unreadable bearer, X-Devpi-Auth": join(bearer("rubbish"), devpi("alice", good)),
		"X-Devpi-Auth wins over Basic":    join(basic("bob", "bobpw"), devpi("alice", good)),
	} {
		if a := c.do("GET", "/+api", "", h...); !strings.Contains(a.body, `"alice"`) {
			t.Errorf("compat: %s: %d %s", name, a.status, a.body)
		}
	}
	if a := c.do("GET", "/+api", "", join(devpi("alice", good), devpi("alice", good))...); !strings.Contains(a.body, "noauth") {
		t.Errorf("compat: two X-Devpi-Auth: %d %s", a.status, a.body)
	}
}

// TestNotAccepted: unknown, forged, ended, cut, of version 1, of somebody else:
// strict says one thing, and nothing is sent on.
func TestNotAccepted(t *testing.T) {
	for _, mode := range []Mode{Strict, Compat} {
		t.Run(mode.String(), func(t *testing.T) { notAcceptedIn(t, mode) })
	}
}

func notAcceptedIn(t *testing.T, mode Mode) {
	s := newStage(t, func(c *Config) { c.Mode = mode })
	token := s.book.mint(t, "alice", pass.Limits{})
	ended := s.book.mint(t, "alice", pass.Limits{})
	s.book.End(t.Context(), "alice", "ID2", "")
	forged := token[:len(token)-3] + "AAA"
	stranger, err := pass.Mint(pass.NewKey([]byte("x")), pass.Identity{Realm: pass.Realm{Kind: pass.Hub, Name: "test"}, ID: "ID1"})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	for name, word := range map[string]string{
		"forged": forged, "ended": ended, "cut": token[:40], "prefix only": "devpi-rubbish", "another realm": stranger.Text(pass.Daypass).Reveal(),
		"PyPI's": "pypi-AgEIcHlwaS5vcmcCJGFiY2RlZg", "rubbish": "rubbish",
	} {
		if _, err := pass.Parse(daypass.NewSecret(word)); err != nil && mode == Compat {
			continue // devpi-tokens takes it for nobody's
		}
		a := s.do("GET", simplePage, "", bearer(word)...)
		if a.status != 403 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		texts[a.body] = true
		if name == "rubbish" {
			continue
		}
		if a := s.do("GET", simplePage, "", basic("alice", word)...); a.status != 403 {
			t.Errorf("%s as a password: %d", name, a.status)
		}
	}
	if len(texts) != 1 || len(s.devpi.seen()) != 0 {
		t.Errorf("%d texts, %d requests sent on: %v", len(texts), len(s.devpi.seen()), texts)
	}
}

func TestBadPassesAreLimited(t *testing.T) {
	s := newStage(t, nil)
	good, unseen := s.book.mint(t, "alice", pass.Limits{}), s.book.mint(t, "alice", pass.Limits{})
	if a := s.do("GET", simplePage, "", bearer(good)...); a.status != 200 {
		t.Fatal(a)
	}
	for range badAtOnce {
		s.do("GET", simplePage, "", bearer(good[:len(good)-4]+"AAAA")...)
	}
	if a := s.do("GET", simplePage, "", bearer(unseen)...); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("unseen: %d %s", a.status, a.body)
	}
	if a := s.do("GET", simplePage, "", bearer(good)...); a.status != 200 {
		t.Errorf("a pass that worked: %d %s", a.status, a.body)
	}
	if a := s.do("GET", simplePage, "", devpi("alice", "alicepw")...); a.status != 200 {
		t.Errorf("a password: %d %s", a.status, a.body)
	}
	s.pass(time.Minute)
	if a := s.do("GET", simplePage, "", bearer(unseen)...); a.status != 200 {
		t.Errorf("a minute later: %d %s", a.status, a.body)
	}
}

func TestUpload(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{Allowed: []string{"upload"}, Indexes: []string{"alice/dev"}, Projects: []string{"hello"}})
	kind, body := uploadForm("hello", wheel("hello"), strings.Repeat("x", 200_000))
	a := s.do("POST", "/alice/dev/", body, append(basic("__token__", token), "Content-Type", kind, "Cookie", "auth=stolen")...)
	if a.status != 200 || len(s.devpi.uploads) != 1 || s.devpi.uploads[0] != "alice "+wheel("hello") {
		t.Fatalf("%d %s %v", a.status, a.body, s.devpi.uploads)
	}
	r := s.devpi.seen()[0]
	if a.header.Get("Set-Cookie") != "" || r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" || r.Header.Get("X-Outside-Url") != s.server.URL {
		t.Errorf("headers: %v; %v", a.header, r.Header)
	}
	if e := s.book.events; len(e) != 1 || e[0].Action != "upload" || e[0].User != "alice" || e[0].Refused != "" || e[0].Projects[0] != "hello" || e[0].From.String() != "127.0.0.1" {
		t.Errorf("events: %+v", e)
	}

	kind, body = uploadForm("other", wheel("other"), "x")
	a = s.do("POST", "/alice/dev/", body, append(basic("__token__", token), "Content-Type", kind, "Accept", "*/*")...)
	if a.status != 403 || len(s.devpi.uploads) != 1 || !strings.HasPrefix(a.reason, "Token denied access to project 'other'") || !strings.Contains(a.reason, "DP-988") || !strings.HasSuffix(a.reason, "Event E-2.") {
		t.Errorf("another project: %d %q %v", a.status, a.reason, s.devpi.uploads)
	}
	if e := s.book.events; len(e) != 2 || !strings.Contains(e[1].Refused, "other") {
		t.Errorf("events: %+v", e)
	}
	s.book.broken = errors.New("disk full")
	kind, body = uploadForm("hello", wheel("hello"), "x")
	if a = s.do("POST", "/alice/dev/", body, append(bearer(token), "Content-Type", kind)...); a.status != 500 || len(s.devpi.uploads) != 1 {
		t.Errorf("without an event: %d %s %v", a.status, a.body, s.devpi.uploads)
	}
}

// TestReason: a client that sends a large body sees why, and devpi's own reads
// JSON with the reason phrase that it knows.
func TestReason(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{Projects: []string{"hello"}})
	kind, body := uploadForm("other", wheel("other"), strings.Repeat("x", 8<<20))
	a := s.do("POST", "/alice/dev/", body, append(bearer(token), "Content-Type", kind)...)
	if a.status != 403 || !strings.Contains(a.reason, "'other'") || !strings.Contains(a.body, "'other'") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %q %q", a.status, a.reason, a.body)
	}
	a = s.do("POST", "/alice/dev/", body, append(bearer(token), "Content-Type", kind, "Accept", "application/json")...)
	if a.status != 403 || a.reason != "Forbidden" || a.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(a.message(), "Access was denied to this resource.\n\n\nToken denied access to project 'other'") {
		t.Errorf("%d %q %q %v", a.status, a.reason, a.body, a.header)
	}
	if a = s.do("HEAD", "/alice/other/", "", bearer("rubbish")...); a.status != 403 || a.body != "" || !strings.Contains(a.reason, "not accepted") {
		t.Errorf("HEAD: %d %q %q", a.status, a.reason, a.body)
	}
	evil, _ := pass.Parse(daypass.NewSecret(token))
	evil, _ = evil.Narrow("dp:x=\r\nSet-Cookie: a=b\r\n\r\nHTTP/1.1 200 OK\x1b[2J\u00e9")
	a = s.do("GET", simplePage, "", bearer(evil.Text(pass.Devpi).Reveal())...)
	if a.status != 403 || a.header.Get("Set-Cookie") != "" || strings.ContainsAny(a.reason+a.body, "\r\x1b") || len(a.reason) > maxReason+3 {
		t.Errorf("a hostile limit: %d %q %q", a.status, a.reason, a.body)
	}
}

// TestHeaders sends what a client may not make devpi believe.
func TestHeaders(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{})
	hostile := []string{
		"X-Outside-Url", "http://evil.example", "X_Outside_Url", "http://evil.example", "X-Original-Uri", "/x", "X-Remote-User", "root", "Remote-User", "root",
		"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "https", "Forwarded", "for=1.2.3.4", "X-Devpi-Replica-Uuid", "x", "Connection", "X-Named, close", "X-Named", "1",
		"X-Http-Method-Override", "DELETE", "Proxy-Authorization", "Basic eDp5", "Te", "trailers", "X-Real-Ip", "1.2.3.4",
		"X-Any", token,
	}
	for _, who := range [][]string{nil, devpi("alice", "alicepw"), bearer(token)} {
		s.devpi.edit(func() { s.devpi.requests = nil })
		if a := s.do("GET", simplePage, "", append(append([]string{}, who...), hostile...)...); a.status != 200 {
			t.Fatal(a)
		}
		h := s.devpi.seen()[0].Header
		if h.Get("X-Outside-Url") != s.server.URL || len(h["X-Outside-Url"]) != 1 {
			t.Errorf("X-Outside-Url: %q", h["X-Outside-Url"])
		}
		for i := 2; i < len(hostile); i += 2 {
			if name := http.CanonicalHeaderKey(hostile[i]); name != "Connection" && h[name] != nil {
				t.Errorf("%s went upstream", name)
			}
		}
		if strings.Contains(fmt.Sprint(h), token) {
			t.Error("the pass went upstream")
		}
	}
	s.devpi.edit(func() { s.devpi.requests = nil })
	s.do("GET", simplePage, "", append(devpi("alice", "alicepw"), "Cookie", "a=b", "X-Plugin", "1")...)
	if h := s.devpi.seen()[0].Header; h.Get("Cookie") != "a=b" || h.Get("X-Plugin") != "1" || h.Get("X-Devpi-Auth") != devpi("alice", "alicepw")[1] {
		t.Errorf("an ordinary login: %v", h)
	}
}

// TestSmuggling: nothing of a strange framing reaches devpi as a second request.
func TestSmuggling(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{})
	auth := "Host: x\r\nAuthorization: Bearer " + token + "\r\n"
	second := "DELETE /alice/dev HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, text := range map[string]string{
		"two lengths":         "POST /alice/dev/ HTTP/1.1\r\n" + auth + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"odd length":          "POST /alice/dev/ HTTP/1.1\r\n" + auth + "Content-Length: +5\r\n\r\nhello",
		"two codings":         "POST /alice/dev/ HTTP/1.1\r\n" + auth + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + second,
		"unknown coding":      "POST /alice/dev/ HTTP/1.1\r\n" + auth + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + second,
		"space before colon":  "POST /alice/dev/ HTTP/1.1\r\n" + auth + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"folded":              "GET /alice/dev/ HTTP/1.1\r\n" + auth + "X: a\r\n b\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
		"GET with a body":     "GET /alice/dev/ HTTP/1.1\r\n" + auth + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(second)) + second,
		"upgrade to another":  "GET /alice/dev/\x00 HTTP/1.1\r\n" + auth + "\r\n",
		"unknown expectation": "POST /alice/dev/ HTTP/1.1\r\n" + auth + "Expect: magic\r\nContent-Length: 5\r\n\r\nhello",
		"CONNECT":             "CONNECT alice:80 HTTP/1.1\r\n" + auth + "\r\n",
		"the star":            "OPTIONS * HTTP/1.1\r\n" + auth + "\r\n",
		"escaped slash":       "GET /alice%2Fdev/x HTTP/1.1\r\n" + auth + "\r\n",
		"dots":                "GET /alice/dev/../../+status HTTP/1.1\r\n" + auth + "\r\n",
	} {
		if a := s.raw(text); a.status == 200 || a.status == 0 && name != "two codings" && name != "unknown coding" && name != "folded" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for _, r := range s.devpi.seen() {
		t.Errorf("devpi saw %s %s", r.Method, r.URL)
	}
	// With both, the length is what the body counts by no longer (RFC 9112, 6.3).
	s.raw("POST /alice/dev/+simple/hello/refresh HTTP/1.1\r\n" + auth + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nConnection: upgrade\r\nTrailer: X\r\n\r\n0\r\nX: 1\r\n\r\n")
	for _, r := range s.devpi.seen() {
		if r.Header.Get("Upgrade")+r.Header.Get("Connection")+r.Header.Get("Trailer") != "" || len(r.TransferEncoding) != 0 {
			t.Errorf("hop by hop: %v", r.Header)
		}
	}
	// The absolute form's host counts for nothing.
	if a := s.raw("GET http://evil.example" + simplePage + " HTTP/1.1\r\n" + auth + "Connection: close\r\n\r\n"); a.status != 200 {
		t.Errorf("absolute form: %d %s", a.status, a.body)
	}
}

func TestOrdinaryPassesThrough(t *testing.T) {
	s := newStage(t, nil)
	for name, h := range map[string][]string{"nobody": nil, "password": devpi("alice", "alicepw"), "basic": basic("alice", "alicepw"), "wrong": devpi("alice", "no")} {
		a := s.do("GET", "/+api", "", h...)
		if want := `"alice"`; a.status != 200 || strings.Contains(a.body, want) != (name == "password" || name == "basic") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	a := s.do("POST", "/+login", `{"user": "alice", "password": "alicepw"}`, "Content-Type", "application/json", "Accept", "application/json")
	var login struct{ Result struct{ Password string } }
	if json.Unmarshal([]byte(a.body), &login); a.status != 200 || login.Result.Password == "" {
		t.Fatal(a)
	}
	if a := s.do("GET", "/+api", "", devpi("alice", login.Result.Password)...); !strings.Contains(a.body, `"alice"`) {
		t.Errorf("a session: %s", a.body)
	}
	if a := s.do("GET", "/+authcheck", ""); a.status != 404 {
		t.Errorf("+authcheck: %d", a.status)
	}
	if a := s.do("GET", "/+changelog/1", ""); a.status != 404 {
		t.Errorf("+changelog: %d", a.status)
	}
	if a := s.do("GET", "/+daypass/healthz", ""); a.status != 200 || !strings.Contains(a.body, "ok") {
		t.Errorf("health: %d %s", a.status, a.body)
	}
}

func TestLoginWithPass(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{})
	for _, body := range []string{
		`{"user":"alice","password":"` + token + `"}`, `{"user":"bob","password":"` + token + `"}`, `{"user":"alice","password":"x","password":"` + token + `"}`,
		`{"user":"` + token + `","password":"x"}`, `user=alice&password=` + token, `{"user":"alice","password":["` + token + `"]}`, `["` + token + `"]`,
	} {
		a := s.do("POST", "/+login", body, "Accept", "application/json", "Content-Type", "application/json")
		if a.status != 401 && a.status != 400 || len(s.devpi.seen()) != 0 {
			t.Errorf("%s: %d %s", body[:20], a.status, a.body)
		}
	}
	a := s.do("POST", "/+login", `{"user":"alice","password":"`+token+`"}`, "Accept", "application/json")
	if a.status != 401 || a.message() != "user 'alice' could not be authenticated" {
		t.Errorf("%d %q", a.status, a.message())
	}
	// devpi's client sends what it has stored along with a new login.
	a = s.do("POST", "/+login", `{"user":"alice","password":"alicepw"}`, append(devpi("alice", token), "Accept", "application/json")...)
	if a.status != 200 || s.devpi.seen()[0].Header.Get("X-Devpi-Auth") != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestHolderGone(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{})
	if a := s.do("GET", simplePage, "", bearer(token)...); a.status != 200 {
		t.Fatal(a)
	}
	for range 20 {
		s.do("GET", simplePage, "", bearer(token)...)
	}
	if n := len(s.devpi.asked); n > 2 {
		t.Errorf("devpi was asked %d times", n)
	}
	s.devpi.edit(func() { delete(s.devpi.users, "alice") })
	s.pass(61 * time.Second)
	if a := s.do("GET", simplePage, "", bearer(token)...); a.status != 403 || !strings.Contains(a.body, "User for token doesn't exist") {
		t.Errorf("gone: %d %s", a.status, a.body)
	}
	// Deleted through the gateway, the passes end, and whoever has the name next
	// does not inherit them.
	s.devpi.edit(func() { s.devpi.users["alice"] = "new" })
	if a := s.do("DELETE", "/alice", "", devpi("alice", "new")...); a.status != 200 {
		t.Fatal(a)
	}
	s.devpi.edit(func() { s.devpi.users["alice"] = "newer" })
	if a := s.do("GET", simplePage, "", bearer(token)...); a.status != 403 || !strings.Contains(a.body, "DP-985") {
		t.Errorf("after the deletion: %d %s", a.status, a.body)
	}
}

func TestNotBelieved(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{})
	if err := s.gateway.Check(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if err := s.gateway.Check(t.Context(), "ghost"); err == nil {
		t.Error("a user who is not there was believed")
	}
	s.devpi.edit(func() { s.devpi.secret = "fedcba9876543210" })
	a := s.do("GET", simplePage, "", bearer(token)...)
	if a.status != 502 || len(s.devpi.seen()) != 0 || !strings.Contains(a.body, "DP-996") {
		t.Errorf("a new secret: %d %s", a.status, a.body)
	}
	if err := s.gateway.Check(t.Context(), "alice"); err == nil || !strings.Contains(err.Error(), "DP-996") {
		t.Errorf("self-test: %v", err)
	}
	// Changed while it is remembered that all is well: never as nobody.
	s.devpi.edit(func() { s.devpi.secret = "0123456789abcdef" })
	s.do("GET", simplePage, "", bearer(token)...)
	s.devpi.edit(func() { s.devpi.secret = "fedcba9876543210" })
	kind, body := uploadForm("hello", wheel("hello"), "x")
	if a = s.do("POST", "/alice/dev/", body, append(bearer(token), "Content-Type", kind)...); a.status != 502 || len(s.devpi.uploads) != 0 {
		t.Errorf("an upload: %d %s", a.status, a.body)
	}
	for _, asked := range []string{"GET /+api", "GET /alice/+api", "GET /alice/dev/+api", "DELETE /alice/dev/hello"} {
		method, path, _ := strings.Cut(asked, " ")
		s.devpi.edit(func() {
			s.devpi.secret = "0123456789abcdef"
			s.devpi.special["/alice/dev/hello"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }
		})
		if a := s.do("GET", simplePage, "", bearer(token)...); a.status != 200 {
			t.Fatal(a)
		}
		s.devpi.edit(func() { s.devpi.secret = "fedcba9876543210" })
		for range 2 {
			if a := s.do(method, path, "", bearer(token)...); a.status != 502 || !strings.Contains(a.reason, "does not believe the gateway") {
				t.Errorf("%s: %d %q", asked, a.status, a.reason)
			}
		}
	}
}

// TestNotBelievedByPassing: what devpi said before it could not be reached for a
// moment counts no more.
func TestNotBelievedByPassing(t *testing.T) {
	cut := &cutting{}
	s := newStage(t, func(c *Config) { c.Transport = cut })
	token := s.book.mint(t, "alice", pass.Limits{})
	if a := s.do("GET", simplePage, "", bearer(token)...); a.status != 200 {
		t.Fatal(a)
	}
	cut.off.Store(true)
	if a := s.do("GET", simplePage, "", bearer(token)...); a.status != 503 {
		t.Errorf("down: %d %s", a.status, a.body)
	}
	cut.off.Store(false)
	s.devpi.edit(func() { s.devpi.secret = "fedcba9876543210" })
	if a := s.do("GET", simplePage, "", bearer(token)...); a.status != 502 || !strings.Contains(a.body, "DP-996") {
		t.Errorf("back with a new secret: %d %s", a.status, a.body)
	}
}

// cutting is a way to devpi that can be cut.
type cutting struct {
	http.Transport
	off atomic.Bool
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.off.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return c.Transport.RoundTrip(r)
}

func TestClocks(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration // devpi's
		good  bool
	}{{0, true}, {80 * time.Second, true}, {-time.Hour, true}, {100 * time.Second, false}} {
		s := newStage(t, nil)
		s.devpi.edit(func() { s.devpi.now = func() time.Time { return s.now().Add(c.ahead) } })
		if err := s.gateway.Check(t.Context(), "alice"); (err == nil) != c.good {
			t.Errorf("%v: %v", c.ahead, err)
		}
	}
}

func TestAdminsAreNotActedFor(t *testing.T) {
	for _, act := range []bool{false, true} {
		s := newStage(t, func(c *Config) { c.Admins, c.ActAsAdmins = []string{"bob"}, act })
		for _, user := range []string{"root", "bob", "alice"} {
			a := s.do("GET", simplePage, "", bearer(s.book.mint(t, user, pass.Limits{}))...)
			if (a.status == 200) != (act || user == "alice") {
				t.Errorf("%s, act %v: %d %s", user, act, a.status, a.body)
			}
		}
	}
}

func TestServiceAccount(t *testing.T) {
	s := newStage(t, func(c *Config) {
		c.Acting = Acting{ServiceUser: "robot", ServicePassword: daypass.NewSecret("robotpw")}
	})
	alice, bob := s.book.mint(t, "alice", pass.Limits{}), s.book.mint(t, "bob", pass.Limits{})
	if err := s.gateway.Check(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if a := s.do("GET", "/alice/dev/+api", "", bearer(alice)...); a.status != 200 || !strings.Contains(a.body, `["ok","alice",[]]`) || strings.Contains(a.body, "robot") {
		t.Errorf("who: %d %s", a.status, a.body)
	}
	kind, body := uploadForm("hello", wheel("hello"), "x")
	up := func(index, token string) got {
		return s.do("POST", "/"+index+"/", body, append(bearer(token), "Content-Type", kind)...)
	}
	if a := up("alice/other", alice); a.status != 200 || s.devpi.uploads[0] != "robot "+wheel("hello") {
		t.Errorf("%d %s %v", a.status, a.body, s.devpi.uploads)
	}
	// The robot may, but bob may not.
	if a := up("alice/other", bob); a.status != 403 || len(s.devpi.uploads) != 1 {
		t.Errorf("another's: %d %s", a.status, a.body)
	}
	if a := s.do("PATCH", "/alice/other", `{"volatile":"False"}`, append(bearer(alice), "Content-Type", "application/json")...); a.status != 403 {
		t.Errorf("a change of the index: %d %s", a.status, a.body)
	}
	logins := func() (n int) {
		s.devpi.edit(func() {
			for _, q := range s.devpi.asked {
				if q == "POST /+login" {
					n++
				}
			}
		})
		return n
	}
	if n := logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
	s.pass(9*time.Hour + time.Minute)
	if a := up("alice/other", s.book.mint(t, "alice", pass.Limits{})); a.status != 200 || logins() != 2 {
		t.Errorf("after nine hours: %d %s, %d logins", a.status, a.body, logins())
	}
	s.devpi.edit(func() { delete(s.devpi.users, "bob") })
	s.pass(61 * time.Second)
	if a := s.do("GET", simplePage, "", bearer(s.book.mint(t, "bob", pass.Limits{}))...); a.status != 403 || !strings.Contains(a.body, "DP-989") {
		t.Errorf("gone: %d %s", a.status, a.body)
	}
	s.devpi.edit(func() { s.devpi.users["robot"] = "changed" })
	s.devpi.edit(func() { s.devpi.secret = "another secret.." })
	s.pass(61 * time.Second)
	if a := up("alice/other", s.book.mint(t, "alice", pass.Limits{})); a.status != 502 || len(s.devpi.uploads) != 2 {
		t.Errorf("a wrong password: %d %s %v", a.status, a.body, s.devpi.uploads)
	}
}

func TestBasesAreAsked(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{Indexes: []string{"alice/dev"}})
	file := func(index string) string { return "/" + index + "/%2Bf/18d/d617000000000/hello-1.0.tar.gz" }
	for index, want := range map[string]int{"alice/dev": 200, "alice/base": 200, "root/pypi": 200, "alice/other": 403, "bob/dev": 403} {
		if a := s.do("GET", file(index), "", bearer(token)...); a.status != want {
			t.Errorf("%s: %d %s", index, a.status, a.body)
		}
	}
	kind, body := uploadForm("hello", wheel("hello"), "x")
	if a := s.do("POST", "/alice/base/", body, append(bearer(token), "Content-Type", kind)...); a.status != 403 {
		t.Errorf("writing to a base: %d", a.status)
	}
	if c := s.do("GET", file("alice/other"), "", bearer(s.book.mint(t, "alice", pass.Limits{Indexes: []string{"bob/dev"}}))...); c.status != 403 {
		t.Errorf("a cycle: %d", c.status)
	}
	s.pass(61 * time.Second)
	s.do("GET", file("alice/dev"), "", bearer(token)...) // the holder is remembered again
	s.devpi.edit(func() {
		s.devpi.special["/alice/dev"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
	})
	if a := s.do("GET", file("alice/base"), "", bearer(token)...); a.status != 502 {
		t.Errorf("devpi stumbles: %d %s", a.status, a.body)
	}
}

func TestCrowd(t *testing.T) {
	var c crowd
	c.start()
	for range maxFromOne {
		if !c.enter("a") {
			t.Fatal("no room")
		}
	}
	if c.enter("a") {
		t.Error("one address has more than its part")
	}
	for i := range maxAtOnce - maxFromOne {
		if !c.enter(fmt.Sprint(i)) {
			t.Fatal("no room for others")
		}
	}
	if c.enter("b") {
		t.Error("more than there is room for")
	}
	c.leave("a")
	if !c.enter("b") || c.place["a"] != maxFromOne-1 {
		t.Error("nobody left")
	}
	c.leave("0")
	if _, ok := c.place["0"]; ok {
		t.Error("an address is remembered for nothing")
	}
}

func TestUses(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{Uses: 3})
	var good atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if s.do("GET", simplePage, "", bearer(token)...).status == 200 {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 3 {
		t.Errorf("%d uses", good.Load())
	}
}

func TestAddress(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{Addresses: []string{"192.0.2.0/24"}})
	h := append(bearer(token), "X-Forwarded-For", "192.0.2.7")
	if a := s.do("GET", simplePage, "", h...); a.status != 403 {
		t.Errorf("anybody's header: %d", a.status)
	}
	p := newStage(t, func(c *Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	token = p.book.mint(t, "alice", pass.Limits{Addresses: []string{"192.0.2.0/24"}})
	for line, want := range map[string]int{"192.0.2.7": 200, "192.0.2.7, 198.51.100.1": 403, "198.51.100.1, 192.0.2.7": 200, "rubbish": 403, "192.0.2.7, 127.0.0.9": 200} {
		if a := p.do("GET", simplePage, "", append(bearer(token), "X-Forwarded-For", line)...); a.status != want {
			t.Errorf("%s: %d %s", line, a.status, a.body)
		}
	}
}

func TestCompatTells(t *testing.T) {
	s := newStage(t, func(c *Config) { c.Mode = Compat })
	token := s.book.mint(t, "alice", pass.Limits{Projects: []string{"hello"}})
	if a := s.do("GET", "/alice/dev/%2Bf/18d/d617000000000/other-1.0.tar.gz", "", bearer(token)...); a.status != 200 {
		t.Errorf("compat: %d %s", a.status, a.body)
	}
	if !strings.Contains(s.log.String(), "strict would refuse this") || strings.Contains(s.log.String(), token[6:]) {
		t.Error(s.log.String())
	}
}

// TestSlowUpstream: a devpi that does not answer is told in words, whoever was asking.
func TestSlowUpstream(t *testing.T) {
	transport := newTransport()
	transport.ResponseHeaderTimeout = 200 * time.Millisecond
	t.Cleanup(transport.CloseIdleConnections)
	s := newStage(t, func(c *Config) { c.Transport = transport })
	token := s.book.mint(t, "alice", pass.Limits{})
	if a := s.do("GET", simplePage, "", bearer(token)...); a.status != 200 {
		t.Fatal(a)
	}
	stands := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	}
	s.devpi.edit(func() {
		s.devpi.special[simplePage], s.devpi.special["/alice/dev/"], s.devpi.special["/alice/dev/+api"] = stands, stands, stands
	})
	kind, body := uploadForm("hello", wheel("hello"), "x")
	for _, c := range []struct {
		method, path, body string
		header             []string
	}{
		{"GET", simplePage, "", bearer(token)}, {"GET", simplePage, "", nil}, {"GET", "/alice/dev/+api", "", bearer(token)},
		{"POST", "/alice/dev/", body, append(bearer(token), "Content-Type", kind)}, {"POST", "/alice/dev/", body, append(devpi("alice", "alicepw"), "Content-Type", kind)},
	} {
		slow(t, c.method+" "+c.path, s.do(c.method, c.path, c.body, c.header...))
	}
	if len(s.devpi.uploads) != 0 {
		t.Errorf("uploaded: %q", s.devpi.uploads)
	}
	// The gateway's own question has a bound of its own, and what it does not learn it does not believe.
	transport.ResponseHeaderTimeout = time.Minute
	s.gateway.askFor = 50 * time.Millisecond
	s.devpi.edit(func() {
		delete(s.devpi.special, simplePage)
		s.devpi.special["/+api"] = stands
	})
	s.pass(2 * rememberFor)
	slow(t, "the holder", s.do("GET", simplePage, "", bearer(token)...))
	s.devpi.edit(func() { delete(s.devpi.special, "/+api") })
	s.gateway.askFor = askFor
	if a := s.do("GET", simplePage, "", bearer(token)...); a.status != 200 {
		t.Errorf("in time again: %d %s", a.status, a.body)
	}
}

func slow(t *testing.T, what string, a got) {
	t.Helper()
	if a.status != 504 || !strings.Contains(a.body, "DP-994") || !strings.Contains(a.reason, "did not answer the gateway in time") {
		t.Errorf("%s: %d %q %s", what, a.status, a.reason, a.body)
	}
}

// TestUpstreamTrouble: down, breaking off, and answering early.
func TestUpstreamTrouble(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{})
	s.do("GET", simplePage, "", bearer(token)...)
	kind, body := uploadForm("hello", wheel("hello"), strings.Repeat("x", 1<<20))

	s.devpi.edit(func() {
		s.devpi.special["/alice/other/"] = func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	})
	a := s.do("POST", "/alice/other/", body, append(bearer(token), "Content-Type", kind, "Accept", "application/json")...)
	if a.status != 502 || !strings.Contains(a.message(), "DP-995") {
		t.Errorf("breaking off: %d %s", a.status, a.body)
	}

	for _, length := range []string{"1000", ""} {
		s.devpi.edit(func() {
			s.devpi.special["/alice/other/"] = func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_, _ = w.Write([]byte("half"))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
		})
		r, _ := http.NewRequest("GET", s.server.URL+"/alice/other/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("length %q: half an answer was handed on as a whole one", length)
		}
	}

	// The stream breaks off while the client still sends: nobody blames the client.
	s.devpi.edit(func() {
		s.devpi.streams["/alice/dev/"] = func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 100_000))
			panic(http.ErrAbortHandler)
		}
	})
	kind, body = uploadForm("hello", wheel("hello"), strings.Repeat("x", 30<<20))
	a = s.do("POST", "/alice/dev/", body, append(bearer(token), "Content-Type", kind, "Accept", "application/json")...)
	if a.status != 502 || !strings.Contains(a.message(), "DP-995") {
		t.Errorf("breaking off early: %d %s", a.status, a.body)
	}

	s.devpi.server.Close()
	a = s.do("GET", simplePage, "", bearer(token)...)
	if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.reason, "cannot be reached") {
		t.Errorf("down: %d %q", a.status, a.reason)
	}
}

// TestEarlyAnswer: a devpi, or what has its port now, that says 200 before it
// has everything is not believed.
func TestEarlyAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1000))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
			time.Sleep(300 * time.Millisecond)
			_ = c.Close()
		}
	}()
	s := newStage(t, func(c *Config) { c.Upstream, _ = url.Parse("http://" + l.Addr().String()) })
	kind, body := uploadForm("hello", wheel("hello"), strings.Repeat("x", 20<<20))
	a := s.do("POST", "/alice/dev/", body, append(devpi("alice", "alicepw"), "Content-Type", kind)...)
	if a.status != 502 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestClientLeaves: half an upload reaches devpi as half of one.
func TestClientLeaves(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{})
	kind, body := uploadForm("hello", wheel("hello"), strings.Repeat("x", 1<<20))
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /alice/dev/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", token, kind, len(body), body[:len(body)/2])
	time.Sleep(50 * time.Millisecond)
	_ = c.Close()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && len(s.devpi.seen()) == 0; {
		time.Sleep(10 * time.Millisecond)
	}
	s.devpi.mu.Lock()
	defer s.devpi.mu.Unlock()
	if len(s.devpi.uploads) != 0 {
		t.Error("half an upload was done")
	}
}

func TestConfig(t *testing.T) {
	good := func() Config {
		at, _ := url.Parse("https://pypi.example.org/")
		up, _ := url.Parse("http://127.0.0.1:3141/")
		return Config{URL: at, Upstream: up, Passes: newBook(time.Now).passes(), Acting: Acting{Key: daypass.NewSecret("0123456789abcdef")}}
	}
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"url in the clear":      func(c *Config) { c.URL, _ = url.Parse("http://pypi.example.org/") },
		"upstream in the clear": func(c *Config) { c.Upstream, _ = url.Parse("http://10.0.0.1:3141/") },
		"no url":                func(c *Config) { c.URL = nil },
		"a query":               func(c *Config) { c.Upstream, _ = url.Parse("http://127.0.0.1/?x") },
		"no key":                func(c *Config) { c.Acting = Acting{} },
		"a short key":           func(c *Config) { c.Acting.Key = daypass.NewSecret("short") },
		"both":                  func(c *Config) { c.Acting.ServiceUser = "robot" },
		"no password":           func(c *Config) { c.Acting = Acting{ServiceUser: "robot"} },
		"no book":               func(c *Config) { c.Passes.Event = nil },
		"an empty admin":        func(c *Config) { c.Admins = []string{":"} },
		"no audience":           func(c *Config) { c.Exchange = &Exchange{} },
	} {
		c := good()
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestPathPrefix(t *testing.T) {
	s := newStage(t, func(c *Config) { c.URL.Path = "/devpi/" })
	token := s.book.mint(t, "alice", pass.Limits{})
	if a := s.do("GET", "/devpi"+simplePage, "", bearer(token)...); a.status != 200 || s.devpi.seen()[0].URL.Path != simplePage || s.devpi.seen()[0].Header.Get("X-Outside-Url") != s.server.URL+"/devpi" {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, p := range []string{simplePage, "/devpix/", "/devpi"} {
		if a := s.do("GET", p, "", bearer(token)...); a.status != 404 {
			t.Errorf("%s: %d", p, a.status)
		}
	}
}
