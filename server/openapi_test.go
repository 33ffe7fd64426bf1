package server

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/api/apitest"
)

// traffic is every exchange of this package's tests with the API, held to the
// description. TestMain tells what was not as described.
var traffic = &described{}

type described struct {
	once  sync.Once
	check *apitest.Check
	mu    sync.Mutex
	wrong []string
}

func (d *described) start() *apitest.Check {
	d.once.Do(func() {
		var err error
		if d.check, err = apitest.New(); err != nil {
			panic(err)
		}
	})
	return d.check
}

func (d *described) exchange(r *http.Request, body []byte, status int, head http.Header, answer []byte) {
	if err := d.start().Exchange(r, body, status, head, answer); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !slices.Contains(d.wrong, err.Error()) {
			d.wrong = append(d.wrong, err.Error())
		}
	}
}

// ask has a handler answer a request, and judges both.
func (d *described) ask(h http.Handler, r *http.Request) *http.Response {
	var body bytes.Buffer
	if r.Body != nil {
		r.Body = io.NopCloser(io.TeeReader(r.Body, &body))
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	d.exchange(r, body.Bytes(), rec.Code, rec.Header(), rec.Body.Bytes())
	return rec.Result()
}

// over judges what is answered over real connections.
func (d *described) over(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		r.Body = io.NopCloser(io.TeeReader(r.Body, &body))
		c := &copied{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(c, r)
		d.exchange(r, body.Bytes(), c.status, w.Header(), c.body.Bytes())
	})
}

type copied struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *copied) WriteHeader(status int) { c.status = status; c.ResponseWriter.WriteHeader(status) }
func (c *copied) Write(b []byte) (int, error) {
	c.body.Write(b)
	return c.ResponseWriter.Write(b)
}
func (c *copied) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// TestMain holds all of it together: nothing was other than described, and, where
// all tests ran, everything that is described was seen.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, w := range traffic.wrong {
		fmt.Println("not as described in api/openapi.json:", w)
		code = 1
	}
	all := true
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz", "test.bench"} {
		all = all && flag.Lookup(name).Value.String() == ""
	}
	if all && code == 0 {
		for _, s := range traffic.start().Unseen() {
			if s.Code == http.StatusRequestHeaderFieldsTooLarge {
				continue // net/http says that before we are asked: TestSlowAndLarge
			}
			fmt.Println("described in api/openapi.json, and not seen in any test:", s)
			code = 1
		}
	}
	os.Exit(code)
}

// operations is the whole API, with a request of each that is served.
var operations = []struct{ name, method, path, token, body string }{
	{"credential", "POST", "credential", "server-ada", wantRepo},
	{"rejected", "POST", "rejected", "server-ada", `{"host":"github.com","path":"o/r","token_sha256":"` + strings.Repeat("a", 64) + `"}`},
	{"me", "GET", "me", "server-ada", ""},
	{"connection", "GET", "connections/github.com", "server-ada", ""},
	{"disconnect", "DELETE", "connections/github.com", "server-ada", ""},
	{"repos", "GET", "repos/github.com", "server-ada", ""},
	{"snapshot", "GET", "snapshots?link=ph142-lab1", "server-ada", ""},
	{"pack", "GET", "snapshots/" + labID + "?link=ph142-lab1", "server-ada", ""},
	{"links", "GET", "links", "server-ada", ""},
	{"makeLink", "POST", "links", "server-ada", wantLink},
	{"link", "GET", "links/ph142-lab1", "server-ada", ""},
	{"editLink", "PATCH", "links/ph142-lab1", "server-ada", `{"paused":true}`},
	{"endLink", "DELETE", "links/ph142-lab1", "server-ada", ""},
	{"copyLinks", "POST", "link-copies", "server-ada", `{"copies":[{"like":"ph142-lab1","name":"ph143-lab1"}],"audience":"ph143"}`},
	{"pullFailed", "POST", "links/ph142-lab1/failed", "server-ada", `{"code":"DP-331"}`},
	{"linkStudent", "GET", "links/ph142-lab1/student", "server-ada", ""},
	{"copyLink", "POST", "links/ph142-lab1/copy", "server-ada", `{"name":"ph142-spring-lab1"}`},
	{"sources", "GET", "sources", "server-ada", ""},
	{"testSource", "POST", "sources/test", "server-ada", wantSource},
	{"browseSource", "POST", "sources/browse", "server-ada", wantSource},
	{"mintPass", "POST", "passes", "server-ada", wantPass},
	{"passes", "GET", "passes", "server-ada", ""},
	{"endPass", "DELETE", "passes/k3q7m2wz5t8v4x9n", "server-ada", ""},
	{"endShownPass", "POST", "passes/end", "", `{"pass":"daypass_good"}`},
	{"askDevice", "POST", "device", "", `{"label":"login1","limits":{"repos":["o/r"]},"for":3600}`},
	{"takeDevice", "POST", "device/token", "", `{"device_code":"device-yes"}`},
	{"hookLogin", "POST", "hook/login", "hook-token-for-the-hub", `{"user":"ada","host":"github.com","client_id":"Iv1.5f3a","account":{"id":7,"login":"ada-l"},"access_token":"ghu_x"}`},
	{"hookStopped", "POST", "hook/stopped", "hook-token-for-the-hub", `{"user":"ada","server":"gpu"}`},
	{"openapi", "GET", "openapi.json", "", ""},
}

const (
	wantLink   = `{"name":"ph142-lab1","source":"` + labSource + `","audience":"ph142","open":"start here.ipynb"}`
	wantSource = `{"source":"` + labSource + `"}`
)

// broken is a broker each of whose answers is an error.
func broken(b *Broker, err error) {
	b.Credential = func(context.Context, daypass.Caller, Ask) (api.CredentialReply, error) {
		return api.CredentialReply{}, err
	}
	b.Rejected = func(context.Context, daypass.Caller, api.Rejected) error { return err }
	b.Connections = func(context.Context, daypass.Caller) ([]Connection, error) { return nil, err }
	b.Reach = func(context.Context, daypass.Caller, string) (Reach, error) { return Reach{}, err }
	b.Disconnect = func(context.Context, daypass.Caller, string) (Ended, error) { return Ended{}, err }
	b.Snapshot = func(context.Context, daypass.Caller, SnapshotAsk) (Snapshot, error) { return Snapshot{}, err }
	b.Pack = func(context.Context, daypass.Caller, SnapshotAsk, string) (Pack, error) { return Pack{}, err }
	brokenLinks(b, err)
	b.MintPass = func(context.Context, daypass.Caller, PassAsk) (api.PassReply, error) { return api.PassReply{}, err }
	b.Passes = func(context.Context, daypass.Caller) ([]api.Pass, error) { return nil, err }
	b.EndPass = func(context.Context, daypass.Caller, string) (string, bool, error) { return "", false, err }
	b.EndShownPass = func(context.Context, daypass.Secret, netip.Addr) (string, error) { return "", err }
	b.AskDevice = func(context.Context, DeviceAsk) (DeviceCodes, error) { return DeviceCodes{}, err }
	b.TakeDevice = func(context.Context, daypass.Secret) (api.PassReply, DeviceState, error) {
		return api.PassReply{}, "", err
	}
	b.Exchange = func(context.Context, daypass.Secret, netip.Addr) (api.MintedToken, error) {
		return api.MintedToken{}, err
	}
	b.HookLogin = func(context.Context, api.HookLogin) error { return err }
	b.HookStopped = func(context.Context, api.HookStopped) error { return err }
}

func brokenLinks(b *Broker, err error) {
	b.Links = func(context.Context, daypass.Caller) ([]api.Link, error) { return nil, err }
	b.Link = func(context.Context, daypass.Caller, string, string) (api.Link, error) { return api.Link{}, err }
	b.MakeLink = func(context.Context, daypass.Caller, LinkAsk) (api.Link, error) { return api.Link{}, err }
	b.EditLink = func(context.Context, daypass.Caller, string, LinkAsk) (api.Link, error) { return api.Link{}, err }
	b.PullFailed = func(context.Context, daypass.Caller, string, string, string) error { return err }
	b.CopyLink = b.EditLink
	b.CopyLinks = func(context.Context, daypass.Caller, CopiesAsk) ([]api.Link, error) { return nil, err }
	b.EndLink = func(context.Context, daypass.Caller, string, string) error { return err }
	b.AsStudent = func(context.Context, daypass.Caller, string, string) (api.StudentView, error) {
		return api.StudentView{}, err
	}
	b.Pick = func(context.Context, daypass.Caller, string) ([]api.Offer, error) { return nil, err }
	b.TestSource = func(context.Context, daypass.Caller, daypass.Source, string) (api.SourceTest, error) {
		return api.SourceTest{}, err
	}
	b.BrowseSource = func(context.Context, daypass.Caller, daypass.Source, string) (api.SourceFiles, error) {
		return api.SourceFiles{}, err
	}
}

// TestEveryAnswer provokes what an operation can answer with: as it should be,
// by somebody else's token, malformed, too much, refused, and failing.
func TestEveryAnswer(t *testing.T) {
	modes(t, func(t *testing.T, address string, shared bool) {
		world := func(change func(*Config)) *Server {
			c := newWorld().config(address, shared)
			if change != nil {
				change(&c)
			}
			s, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		answers := func(err error) *Server { return world(func(c *Config) { broken(&c.Broker, err) }) }
		fine, failing := world(nil), answers(errors.New("the disk is gone"))
		refused := answers(&Refusal{Problem: &daypass.Problem{Code: "DP-811", What: "no", Kind: daypass.ErrRefused}, Event: "K3QF-7"})
		unconnected := answers(&Refusal{Problem: &daypass.Problem{Code: "DP-813", What: "not connected", Kind: daypass.ErrNoLogin}, Link: "connect/github.com"})
		none := world(func(c *Config) {
			c.Broker.PassParts, c.Broker.SnapshotParts, c.Broker.LinkParts = PassParts{}, SnapshotParts{}, LinkParts{}
		})
		full := world(nil)
		for range cap(full.atOnce) {
			full.atOnce <- struct{}{}
		}
		want := func(s *Server, status int, method, path, token, body string) {
			t.Helper()
			if res := apiDo(s, method, address+"api/v1/"+path, token, body); res.StatusCode != status {
				t.Errorf("%s %s by %q: %d, want %d: %s", method, path, token, res.StatusCode, status, text(t, res))
			}
		}
		for _, o := range operations {
			good := 200
			if o.name == "rejected" || o.name == "endLink" || o.name == "pullFailed" || strings.HasPrefix(o.name, "hook") {
				good = 204
			}
			want(fine, good, o.method, o.path, o.token, o.body)
			want(full, 503, o.method, o.path, o.token, o.body)
			if o.token == "" {
				if o.body != "" {
					few := world(func(c *Config) { c.Limits = Limits{OpenIn: 0.001, Open: 1, StrangerIn: 0.001, Strangers: 1} })
					want(few, good, o.method, o.path, "", o.body)
					want(few, 429, o.method, o.path, "", o.body)
					want(failing, 500, o.method, o.path, "", o.body)
					want(refused, 403, o.method, o.path, "", o.body)
					want(fine, 400, o.method, o.path, "", o.body[1:])
					want(fine, 413, o.method, o.path, "", strings.Repeat(" ", api.MaxBody)+o.body)
					want(none, 404, o.method, o.path, "", o.body)
				}
				continue
			}
			if strings.HasPrefix(o.path, "snapshots") {
				want(refused, 403, o.method, o.path, o.token, o.body)
			}
			if strings.HasPrefix(o.path, "link") || strings.HasPrefix(o.path, "sources") {
				want(refused, 403, o.method, o.path, o.token, o.body)
				want(unconnected, 409, o.method, o.path, o.token, o.body)
				want(none, 404, o.method, o.path, o.token, o.body)
			}
			if strings.HasPrefix(o.path, "passes") || strings.HasPrefix(o.path, "snapshots") {
				want(none, 404, o.method, o.path, o.token, o.body)
			}
			want(fine, 401, o.method, o.path, "", o.body)
			want(failing, 500, o.method, o.path, o.token, o.body)
			if !strings.HasPrefix(o.name, "hook") {
				want(fine, 403, o.method, o.path, "browser-ada", o.body)
				few := world(func(c *Config) { c.Limits.Rate, c.Limits.Burst = 0.001, 1 })
				want(few, good, o.method, o.path, o.token, o.body)
				want(few, 429, o.method, o.path, o.token, o.body)
			} else {
				few := world(func(c *Config) { c.Limits.StrangerIn, c.Limits.Strangers = 0.001, 1 })
				want(few, 401, o.method, o.path, "wrong", o.body)
				want(few, 429, o.method, o.path, "wrong", o.body)
			}
			if o.body != "" {
				want(fine, 400, o.method, o.path, o.token, o.body[1:])
				want(fine, 413, o.method, o.path, o.token, strings.Repeat(" ", api.MaxBody)+o.body)
			}
			if strings.HasSuffix(o.path, "github.com") {
				want(fine, 404, o.method, strings.Replace(o.path, "github.com", "evil.example", 1), o.token, o.body)
			}
			if o.name == "credential" || o.name == "hookLogin" {
				want(refused, 403, o.method, o.path, o.token, o.body)
			}
			if o.name == "credential" || o.name == "repos" || o.name == "disconnect" || o.name == "snapshot" || o.name == "pack" {
				want(unconnected, 409, o.method, o.path, o.token, o.body)
			}
		}
	})
}

// TestDescriptionIsHeld: what is not as described would be found.
func TestDescriptionIsHeld(t *testing.T) {
	check, err := apitest.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		method, path, token, body string
		status                    int
		answer                    string
	}{
		"a status":         {"GET", "me", "x", "", 418, `{"error":{"code":"DP-870","what":"x"}}`},
		"a key is missing": {"GET", "me", "x", "", 200, `{"user":{"hub":"main","name":"jo"}}`},
		"no error's body":  {"GET", "me", "x", "", 403, `forbidden`},
		"no token":         {"GET", "me", "", "", 200, `{}`},
		"a request's key":  {"POST", "hook/stopped", "x", `{"user":"jo","server":"","more":1}`, 204, ""},
		"a wrong type":     {"POST", "hook/stopped", "x", `{"user":"jo","server":7}`, 204, ""},
		"a body with 204":  {"POST", "hook/stopped", "x", `{"user":"jo","server":""}`, 204, "{}"},
		"no such path":     {"GET", "nothing", "x", "", 200, `{}`},
		"an odd code":      {"GET", "me", "x", "", 401, `{"error":{"code":"oops","what":"x"}}`},
	} {
		r := httptest.NewRequest(c.method, ownURL+"api/v1/"+c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		head := http.Header{"Content-Type": {"application/json"}}
		if err := check.Exchange(r, []byte(c.body), c.status, head, []byte(c.answer)); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
	if n := len(check.Unseen()); n < 50 {
		t.Errorf("%d answers are described and not seen in these few exchanges", n)
	}
	if u, err := url.Parse(ownURL + "activity"); err != nil || check.Exchange(&http.Request{Method: "GET", URL: u}, nil, 500, nil, []byte("<html>")) != nil {
		t.Error("a page is held to the API's description")
	}
}
