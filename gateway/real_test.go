package gateway

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/pass"
)

// before puts a gateway before a real devpi-server.
func before(t *testing.T, d *devpitest.Server, change func(*Config)) (*stage, devpitest.API) {
	t.Helper()
	s := newStage(t, func(c *Config) {
		c.Upstream, _ = url.Parse(d.URL)
		c.Acting = Acting{Key: daypass.NewSecret(string(d.SessionKey()))}
		if change != nil {
			change(c)
		}
	})
	return s, devpitest.API{URL: s.server.URL + "/", Root: d.Root}
}

// tokenID takes apart what this book mints.
func tokenID(t *testing.T) func(string) (string, string) {
	return func(token string) (string, string) {
		p, err := pass.Parse(daypass.NewSecret(token))
		id, ok := p.Identity()
		if err != nil || !ok {
			t.Error("no pass:", err)
		}
		return id.User, id.ID
	}
}

// TestRealIndexThroughGateway: for whoever has no pass the gateway is devpi; what
// is no bearer of ours is nobody only in compat.
func TestRealIndexThroughGateway(t *testing.T) {
	d := devpitest.Start(t, devpitest.Options{})
	_, api := before(t, d, func(c *Config) { c.Mode = Compat })
	devpitest.IndexSuite(t, devpitest.Index{API: api, SessionKey: d.SessionKey(), Before: true})
}

// TestRealTokens holds the gateway to devpi-tokens' own tests, told again.
func TestRealTokens(t *testing.T) {
	for mode, kind := range map[Mode]devpitest.Kind{Strict: devpitest.Strict, Compat: devpitest.Compat} {
		t.Run(mode.String(), func(t *testing.T) {
			d := devpitest.Start(t, devpitest.Options{Identity: true})
			_, api := before(t, d, func(c *Config) { c.Mode = mode })
			devpitest.TokenSuite(t, devpitest.Target{API: api, Kind: kind, TokenID: tokenID(t)})
		})
	}
}

// TestFirstLight: a pass made by the real devpi client, narrowed offline, uploads
// one wheel with twine, is refused for another, and says why.
func TestFirstLight(t *testing.T) {
	d := devpitest.Start(t, devpitest.Options{})
	s, api := before(t, d, nil)
	api.AddUser(t, "ann", "a word")
	desk := devpitest.NewDesk(t)
	must := func(o devpitest.Output) devpitest.Output {
		t.Helper()
		if o.Code != 0 {
			t.Fatal(o.All())
		}
		return o
	}
	must(desk.Tokens("use", api.URL+"ann/dev"))
	must(desk.Tokens("login", "ann", "--password", "a word"))
	token := must(desk.Tokens("token-create", "-a", "upload,pkg_read", "-e", "1 day")).Last()

	p, err := pass.Parse(daypass.NewSecret(token))
	if err != nil {
		t.Fatal(err, token)
	}
	limits, err := pass.Limits{Projects: []string{"hello"}, Indexes: []string{"ann/dev"}, Expires: time.Now().Add(time.Hour)}.Caveats()
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.Narrow(limits...); err != nil {
		t.Fatal(err)
	}
	narrow := p.Text(pass.Devpi).Reveal()
	upload := func(dist devpitest.Dist) devpitest.Output {
		return desk.Twine("upload", "--disable-progress-bar", "--repository-url", api.URL+"ann/dev/", "-u", "__token__", "-p", narrow, dist.Write(t, desk.Home))
	}
	must(upload(devpitest.Wheel("hello", "1.0")))
	o := upload(devpitest.Wheel("other", "1.0"))
	if o.Code == 0 || !strings.Contains(strings.Join(strings.Fields(o.All()), " "), "Token denied access to project 'other'") {
		t.Errorf("twine says: %s", o.All())
	}
	if r := d.Send(t, "GET", "ann/dev/other", nil, nil); r.Status != 404 {
		t.Errorf("other is there: %d", r.Status)
	}

	at, _ := url.Parse(api.URL)
	at.User = url.UserPassword("__token__", narrow)
	simple := at.JoinPath("ann/dev/+simple/").String()
	target := filepath.Join(t.TempDir(), "pip")
	must(desk.Pip("install", "--no-cache-dir", "--no-deps", "--index-url", simple, "--target", target, "hello"))
	if v := devpitest.Installed(t, target, "hello"); v != "1.0" {
		t.Errorf("pip installed %q", v)
	}
	target = filepath.Join(t.TempDir(), "uv")
	must(desk.UV("pip", "install", "--no-deps", "--index-url", simple, "--target", target, "hello"))
	if v := devpitest.Installed(t, target, "hello"); v != "1.0" {
		t.Errorf("uv installed %q", v)
	}
	if text, err := os.ReadFile(filepath.Join(d.Dir, "log")); err != nil || strings.Contains(string(text), narrow[6:60]) || strings.Contains(s.log.String(), narrow[6:60]) {
		t.Error("the pass is in a log", err)
	}
}

// TestRealTrouble: devpi started again, with another secret, and none at all.
func TestRealTrouble(t *testing.T) {
	d := devpitest.Start(t, devpitest.Options{})
	s, api := before(t, d, nil)
	api.AddUser(t, "ann", "a word")
	token := s.book.mint(t, "ann", pass.Limits{})
	if r := api.Upload(t, devpitest.Bearer(token), "ann/dev", devpitest.Wheel("hello", "1.0")); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	d.Stop()
	d.Restart()
	if r := api.Upload(t, devpitest.Bearer(token), "ann/dev", devpitest.Wheel("again", "1.0")); r.Status != 200 {
		t.Errorf("started again: %d %s", r.Status, r.Body)
	}
	if r := d.Send(t, "GET", "ann/dev/again/1.0", nil, nil); r.Status != 200 {
		t.Errorf("again is not there: %d", r.Status)
	}
	if status := s.halfUpload(token, "/ann/dev/", d.Kill); status < 500 {
		t.Errorf("killed within an upload: %d", status)
	}
	d.Restart()
	if r := d.Send(t, "GET", "ann/dev/half/1.0", nil, nil); r.Status != 404 {
		t.Errorf("half is there: %d %s", r.Status, r.Body)
	}
	if r := api.Upload(t, devpitest.Bearer(token), "ann/dev", devpitest.Wheel("half", "1.0")); r.Status != 200 {
		t.Errorf("half, whole: %d %s", r.Status, r.Body)
	}
	d.Rekey()
	for _, path := range []string{"+api", "ann/+api", "ann/dev/+api"} {
		if r := api.Send(t, "GET", path, devpitest.Bearer(token), nil); r.Status != 502 || !strings.Contains(r.Message(), "does not believe the gateway") {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
	}
	if r := api.Upload(t, devpitest.Bearer(token), "ann/dev", devpitest.Wheel("hello", "1.1")); r.Status != 502 || !strings.Contains(r.Message(), "does not believe the gateway") {
		t.Errorf("another secret: %d %s", r.Status, r.Body)
	}
	if r := d.Send(t, "GET", "ann/dev/hello/1.1", nil, nil); r.Status != 404 {
		t.Errorf("1.1 is there: %d", r.Status)
	}
	if err := s.gateway.Check(t.Context(), "ann"); err == nil {
		t.Error("the self-test believes in the old key")
	}
	d.Stop()
	if r := api.Upload(t, devpitest.Bearer(token), "ann/dev", devpitest.Wheel("hello", "1.2")); r.Status != 503 {
		t.Errorf("none: %d %s", r.Status, r.Body)
	}
}

// halfUpload begins an upload, has something happen within it, and ends it.
func (s *stage) halfUpload(token, path string, within func()) int {
	s.t.Helper()
	kind, body := uploadForm("half", wheel("half"), strings.Repeat("x", 4<<20))
	from, to := io.Pipe()
	go func() {
		_, _ = io.WriteString(to, body[:len(body)/2])
		within()
		_, _ = io.WriteString(to, body[len(body)/2:])
		_ = to.Close()
	}()
	r, err := http.NewRequest("POST", s.server.URL+path, from)
	if err != nil {
		s.t.Fatal(err)
	}
	r.ContentLength = int64(len(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", kind)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestRealServiceAccount acts by an account that ann lets upload, for nobody else.
func TestRealServiceAccount(t *testing.T) {
	d := devpitest.Start(t, devpitest.Options{})
	d.AddUser(t, "robot", "robot's word")
	ann := d.AddUser(t, "ann", "a word")
	d.AddUser(t, "ben", "a word")
	d.Must(t, "PATCH", "ann/dev", ann, []string{"acl_upload+=robot"})
	s, api := before(t, d, func(c *Config) {
		c.Acting = Acting{ServiceUser: "robot", ServicePassword: daypass.NewSecret("robot's word")}
	})
	if err := s.gateway.Check(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]int{"ann": 200, "ben": 403} {
		if r := api.Upload(t, devpitest.Bearer(s.book.mint(t, user, pass.Limits{})), "ann/dev", devpitest.Wheel("hello", "1.0")); r.Status != want {
			t.Errorf("%s: %d %s", user, r.Status, r.Body)
		}
	}
}

// TestRealClientWithPass: devpi's own client works with a pass alone, and prints
// why where it does not.
func TestRealClientWithPass(t *testing.T) {
	d := devpitest.Start(t, devpitest.Options{})
	s, api := before(t, d, nil)
	ann := api.AddUser(t, "ann", "a word")
	api.AddIndex(t, ann, "ann/base", nil)
	api.AddIndex(t, ann, "ann/prod", map[string]any{"bases": "ann/base"})
	if r := d.Upload(t, ann, "ann/base", devpitest.Wheel("below", "1.0")); r.Status != 200 {
		t.Fatal(r)
	}
	desk := devpitest.NewDesk(t)
	says := func(code int, want string, o devpitest.Output) {
		t.Helper()
		if (o.Code == 0) != (code == 0) || !strings.Contains(strings.Join(strings.Fields(o.All()), " "), want) {
			t.Errorf("want %q and %d: %s", want, code, o.All())
		}
	}
	use := func(token, index string) {
		t.Helper()
		says(0, "logged in 'ann'", desk.Tokens("token-login", "--token", token))
		says(0, "logged in as ann", desk.Devpi("use", api.URL+index))
	}
	says(0, "", desk.Devpi("use", api.URL+"ann/dev"))
	use(s.book.mint(t, "ann", pass.Limits{}), "ann/dev")
	file := devpitest.Wheel("hello", "1.0").Write(t, desk.Home)
	says(0, "file_upload of hello", desk.Devpi("upload", file))
	says(0, "hello-1.0", desk.Devpi("list", "hello"))
	says(0, "ann/prod", desk.Devpi("push", "hello==1.0", "ann/prod"))
	says(0, "deleting release 1.0 of hello", desk.Devpi("remove", "-y", "hello==1.0"))
	says(1, "403 Forbidden", desk.Devpi("user", "-m", "ann", "email=x@example.org"))
	says(1, "A pass does not change who else may use an index", desk.Devpi("index", "ann/dev", "acl_upload+=ben"))

	use(s.book.mint(t, "ann", pass.Limits{Indexes: []string{"ann/dev"}}), "ann/dev")
	says(0, "file_upload of hello", desk.Devpi("upload", file))
	says(1, "Token denied access to index 'ann/prod'", desk.Devpi("push", "hello==1.0", "ann/prod"))

	// A base is read through the index that lists it, and not written to.
	narrow := s.book.mint(t, "ann", pass.Limits{Indexes: []string{"ann/prod"}, Allowed: []string{"pkg_read", "upload"}})
	at, _ := url.Parse(api.URL)
	at.User = url.UserPassword("ann", narrow)
	target := t.TempDir()
	says(0, "Successfully installed", desk.Pip("install", "--no-cache-dir", "--no-deps", "--index-url", at.JoinPath("ann/prod/+simple/").String(), "--target", target, "below", "hello"))
	if v := devpitest.Installed(t, target, "below"); v != "1.0" {
		t.Errorf("installed %q", v)
	}
	says(1, "Token denied access to index 'ann/base'", desk.Twine("upload", "--disable-progress-bar", "--repository-url", api.URL+"ann/base/", "-u", "ann", "-p", narrow, file))
	says(1, "Token denied access to index 'ann/base'", desk.UV("publish", "--publish-url", api.URL+"ann/base/", "--username", "__token__", "--password", narrow, file))
	says(1, "403", desk.UV("pip", "install", "--no-deps", "--index-url", at.JoinPath("ann/dev/+simple/").String(), "--target", t.TempDir(), "hello"))
	says(1, "No matching distribution", desk.Pip("install", // pip keeps the reason for itself
		"--no-cache-dir", "--index-url", at.JoinPath("ann/dev/+simple/").String(), "--target", t.TempDir(), "hello"))
}
