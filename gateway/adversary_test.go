package gateway

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/pass"
)

// disguised are a token of devpi-tokens written so that pymacaroons, which leaves
// out what is not base64, still reads it. The location is signed by nobody.
func disguised(t *testing.T, token string) map[string]string {
	t.Helper()
	bare := strings.TrimPrefix(token, "devpi-")
	raw, err := base64.RawURLEncoding.DecodeString(bare)
	if err != nil || raw[0] != 2 || raw[1] != 1 || raw[2] != 0 {
		t.Fatal("not as devpi-tokens writes it:", err)
	}
	long := append([]byte{2, 1, 0xD0, 0x46}, strings.Repeat("x", 0x46<<7|0x50)...) // a location of 9 KB
	return map[string]string{
		"a mark":      "!" + bare,
		"marks":       "A!g.E" + bare[3:],
		"a letter":    "é" + bare,
		"an equals":   "A=" + bare[1:],
		"long":        base64.RawURLEncoding.EncodeToString(append(long, raw[3:]...)),
		"behind it":   base64.RawURLEncoding.EncodeToString(append(append([]byte{2, 1, 70}, strings.Repeat("x", 70)...), append(raw[3:], 0)...)),
		"long varint": base64.RawURLEncoding.EncodeToString(append([]byte{2, 1, 0x80, 0}, raw[3:]...)),
	}
}

// TestAdversaryDisguisedToken (high, while devpi-server still has devpi-tokens): a
// token that devpi-tokens reads and the gateway takes for a password gets past
// every limit of the gateway, and a limited one makes itself an unlimited one.
func TestAdversaryDisguisedToken(t *testing.T) {
	d := devpitest.Start(t, devpitest.Options{Plugin: true})
	_, api := before(t, d, nil)
	ann := d.AddUser(t, "ann", "a word")
	token := d.Token(t, ann, "ann", map[string]any{"allowed": []string{"pkg_read"}, "projects": []string{"hello"}})
	for what, text := range disguised(t, token) {
		for how, who := range map[string]devpitest.Auth{
			"basic": devpitest.Basic("ann", text), "user": devpitest.Basic(text, ""), "nobody": devpitest.Basic("", text), "devpi": devpitest.User("ann", text),
		} {
			r := api.Send(t, "POST", "ann/+token-create", who, map[string]any{})
			w := api.Send(t, "GET", "+api", who, nil)
			if r.Status == 200 || strings.Contains(string(w.Body), `"ok"`) {
				t.Errorf("%s, %s: token-create %d, +api %.300s", what, how, r.Status, w.Body)
			}
		}
	}
}

// TestAdversaryNameChangesHands (high): a user is deleted past the gateway, and
// somebody else gets the name. The tokens of the first are not the second's.
func TestAdversaryNameChangesHands(t *testing.T) {
	d := devpitest.Start(t, devpitest.Options{})
	s, api := before(t, d, nil)
	d.AddUser(t, "ann", "a word")
	long := s.now().Add(-24 * time.Hour)
	s.book.now = func() time.Time { return long }
	old := s.book.mint(t, "ann", pass.Limits{Expires: s.now().Add(240 * time.Hour)})
	s.book.now = s.now
	fresh := s.book.mint(t, "ann", pass.Limits{})
	for token, want := range map[string]int{old: 403, fresh: 200} {
		if r := api.Upload(t, devpitest.Bearer(token), "ann/dev", devpitest.Wheel("hello", "1.0")); r.Status != want {
			t.Errorf("%d, want %d: %s", r.Status, want, r.Body)
		}
	}
}

// TestAdversaryFileOfAnother (medium): the source archive of foo-py3 is not foo's.
func TestAdversaryFileOfAnother(t *testing.T) {
	for file, want := range map[string]string{
		"foo-py3-1.0.tar.gz": "foo-py3", "foo-py2-0.1.zip": "foo-py2", "foo-cp3-1.tgz": "foo-cp3", "foo-py3-1.0.egg": "foo-py3", "foo-1.0-py3.11.egg": "foo", "foo-1.0-py2.7-win32.egg": "foo",
		"foo-1.0-py3-2.tar.gz": "foo foo-1-0-py3",
	} {
		if got := strings.Join(fileProjects(file), " "); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{Projects: []string{"foo"}})
	if a := s.do("DELETE", "/alice/dev/+f/abc/0123456789abc/foo-py3-1.0.tar.gz", "", bearer(token)...); a.status != 403 {
		t.Errorf("a pass for foo deletes a file of foo-py3: %d", a.status)
	}
}

// TestAdversaryEventFlood (low): one pass, narrowed anew for each request, fills
// no more of the store than as it is.
func TestAdversaryEventFlood(t *testing.T) {
	s := newStage(t, nil)
	token := s.book.mint(t, "alice", pass.Limits{Projects: []string{"foo"}})
	p, err := pass.Parse(daypass.NewSecret(token))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		narrow, err := p.Narrow(fmt.Sprintf("projects=foo,n%d", i))
		if err != nil {
			t.Fatal(err)
		}
		if a := s.do("GET", "/alice/dev/bar", "", bearer(narrow.Text(pass.Devpi).Reveal())...); a.status != 403 {
			t.Fatal(a)
		}
	}
	if n := len(s.book.events); n == 0 || n > complaintsAtOnce+2 {
		t.Errorf("%d events", n)
	}
}

// TestAdversaryDeletedUnheard (medium): whoever deletes a user and does not hear
// the answer out leaves no tokens behind.
func TestAdversaryDeletedUnheard(t *testing.T) {
	s := newStage(t, nil)
	s.book.mint(t, "alice", pass.Limits{})
	s.devpi.special["/alice"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	r, _ := http.NewRequest("DELETE", s.server.URL+"/alice", nil)
	r.SetBasicAuth("alice", "alicepw")
	if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
		_, _ = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if left, _ := s.book.List(t.Context(), "alice"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestAdversaryAdminsInOneItem (low): devpi takes a comma list; an item that holds
// several names would be nobody's, and the gateway would act as each of them.
func TestAdversaryAdminsInOneItem(t *testing.T) {
	s := newStage(t, nil)
	for _, names := range []string{"adm,root", "adm root", "adm, :ops", "adm/dev"} {
		c := s.gateway.c
		c.Admins = []string{names}
		if _, err := New(c); err == nil {
			t.Errorf("%q is taken", names)
		}
	}
}

// TestAdversarySlowBody (medium): a client that sends a byte now and then holds a
// place for two minutes and not for days; what comes at 1 KiB a second goes on.
func TestAdversarySlowBody(t *testing.T) {
	body := func() *incoming {
		r := httptest.NewRequest("POST", "/+login", strings.NewReader(strings.Repeat("x", 100)))
		return newIncoming(httptest.NewRecorder(), r)
	}
	in := body()
	for range 3 { // as if each had taken a minute but a second
		if _, err := in.Read(make([]byte, 1)); err != nil {
			break
		}
		in.took += 59 * time.Second
	}
	if n, err := in.Read(make([]byte, 1)); err == nil || n != 0 {
		t.Error("it is waited for still")
	}
	if ref := judge(in.failure()); ref.status != http.StatusRequestTimeout {
		t.Errorf("%+v", ref)
	}
	in = body()
	in.came, in.took = 3600<<10, time.Hour
	if _, err := in.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// TestAdversaryPrefix (high, where url has a path): devpi takes the path of
// X-Outside-Url off each address, so that /pypi/pypi/ann, an index to the gateway,
// was the user ann to devpi, and a pass changed her password.
func TestAdversaryPrefix(t *testing.T) {
	d := devpitest.Start(t, devpitest.Options{})
	s, api := before(t, d, func(c *Config) { c.URL.Path = "/pypi/" })
	api.URL += "pypi/"
	d.AddUser(t, "ann", "a word")
	d.AddUser(t, "pypi", "a word")
	d.AddUser(t, "pypi-team", "a word")
	token := devpitest.Bearer(s.book.mint(t, "ann", pass.Limits{}))
	for _, r := range []devpitest.Reply{
		api.Send(t, "PATCH", "pypi/ann", token, map[string]any{"password": "another"}),
		api.Send(t, "PATCH", "pypiann", token, map[string]any{"password": "another"}),
		api.Send(t, "DELETE", "pypi/ann", token, nil),
		api.Send(t, "GET", "pypi/+authcheck", nil, nil),
	} {
		if r.Status < 400 {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	if r := d.Send(t, "POST", "+login", nil, map[string]any{"user": "ann", "password": "a word"}); r.Status != 200 {
		t.Errorf("ann's password: %d %s", r.Status, r.Body)
	}
	for _, user := range []string{"ann", "pypi", "pypi-team"} {
		who := devpitest.Bearer(s.book.mint(t, user, pass.Limits{}))
		if r := api.Upload(t, who, user+"/dev", devpitest.Wheel("hello", "1.0")); r.Status != 200 {
			t.Fatalf("%s: %d %s", user, r.Status, r.Body)
		}
		if r := api.Send(t, "GET", user+"/dev/hello/1.0", who, nil); r.Status != 200 || !strings.Contains(string(r.Body), api.URL+user+"/dev/+f/") {
			t.Errorf("%s: %d %s", user, r.Status, r.Body)
		}
	}
}

// TestAdversaryOddHop (low): a trusted proxy that writes "unknown", or an address
// with its port, makes every caller come from the proxy itself, so that a pass
// limited to the proxy's network (127.0.0.1) works from everywhere.
func TestAdversaryOddHop(t *testing.T) {
	s := newStage(t, func(c *Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	for _, hop := range []string{"unknown", "203.0.113.7:4711", "_hidden"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "127.0.0.1:5"
		r.Header.Set("X-Forwarded-For", hop)
		if at := s.gateway.address(r); at.IsValid() {
			t.Errorf("%q: %v", hop, at)
		}
	}
}
