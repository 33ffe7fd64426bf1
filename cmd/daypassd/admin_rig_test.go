package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/store"
)

// An office is where an admin works: a configuration, a store, the stand-ins for
// a hub and for GitHub. Nothing in it is a program of its own.
type office struct {
	t       *testing.T
	dir     string
	world   *fake.World
	hub     *fake.Hub
	listen  string
	url     string
	config  string
	secrets []string // that nothing may show
}

const (
	officeToken = "canary-service-token-0123456789abcdef"
	officeHook  = "canary-hook-token-0123456789abcdef"
)

func newOffice(t *testing.T, more string) *office {
	t.Helper()
	return newOfficeWith(t, more, nil)
}

// newOfficeWith is newOffice with another content of the stand-in for GitHub.
func newOfficeWith(t *testing.T, more string, seed *fake.Seed) *office {
	t.Helper()
	o := &office{t: t, dir: t.TempDir(), listen: process.FreeAddress(t)}
	o.url = "http://" + o.listen + "/"
	for _, d := range []string{"world", "store", "etc"} {
		if err := os.Mkdir(filepath.Join(o.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if o.world, err = fake.NewWorld(fake.WorldConfig{Dir: filepath.Join(o.dir, "world"), Seed: seed}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.world.Close() })
	if err := o.world.Local.SetCallbacks(fake.CampusPushApp, o.url+"oauth/github/"+o.host()+"/callback"); err != nil {
		t.Fatal(err)
	}
	o.hub = fake.NewHub(fake.HubConfig{
		Services:     []fake.HubService{{Name: "daypass", Token: officeToken, Redirect: o.url + "oauth_callback", Scopes: []string{"list:users", "read:users", "read:servers", "read:tokens", "read:shares"}}},
		ServerScopes: []string{"access:services!service=daypass"},
	})
	hub := httptest.NewServer(o.hub)
	t.Cleanup(hub.Close)
	private, err := o.world.Local.GenerateKey(fake.CampusContentApp)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := store.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	o.secrets = []string{officeToken, officeHook, fake.CampusPushSecret, "PRIVATE KEY", "ghu_", "ghr_", "ghs_", private[100:140]}
	o.file("etc/keys.json", string(text))
	o.file("etc/push-secret", fake.CampusPushSecret)
	o.file("etc/content-key", private)
	o.file("etc/hub-token", officeToken)
	o.file("etc/hook-token", officeHook)
	o.config = o.file("etc/server.yaml", fmt.Sprintf(`listen: %[1]s
url: %[2]s
store: sqlite:%[3]s/store/daypass.db
keys: file:%[3]s/etc/keys.json
log: warn
hub:
  title: Campus Hub
  api: %[4]s/hub/api
  url: %[4]s/
  token: file:%[3]s/etc/hub-token
  hook_token: file:%[3]s/etc/hook-token
github:
  - host: %[5]s
    push: {client_id: %[6]s, client_secrets: ["file:%[3]s/etc/push-secret"], app_url: %[5]s/github-apps/campus-push}
    content: {client_id: %[7]s, key: "file:%[3]s/etc/content-key"}
%[8]s
`, o.listen, o.url, o.dir, hub.URL, o.world.URL, fake.CampusPushApp, fake.CampusContentApp, more))
	return o
}

func (o *office) host() string { return strings.TrimPrefix(o.world.URL, "http://") }

func (o *office) file(name, text string) string {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return path
}

// edit changes the configuration.
func (o *office) edit(from, to string) {
	o.t.Helper()
	text, err := os.ReadFile(o.config)
	if err != nil || !strings.Contains(string(text), from) {
		o.t.Fatalf("the configuration has no %q (%v)", from, err)
	}
	o.file("etc/server.yaml", strings.Replace(string(text), from, to, 1))
}

func (o *office) app(out *bytes.Buffer) *app {
	return &app{
		stdin: bufio.NewReader(strings.NewReader("")), stdout: out, stderr: out,
		getenv: func(k string) string { return map[string]string{"HOME": o.dir, "SUDO_USER": "root-of-it-all"}[k] },
		own:    func() (string, error) { return o.dir, nil },
	}
}

// admin runs a command as an admin would; whatever it says must hold no secret.
func (o *office) admin(args ...string) (code int, said string) {
	o.t.Helper()
	return o.adminUntil(o.t.Context(), args...)
}

func (o *office) adminUntil(ctx context.Context, args ...string) (int, string) {
	o.t.Helper()
	var out bytes.Buffer
	all := append([]string{"admin"}, args...)
	if !slices.Contains(args, "--config") {
		all = append(all, "--config", o.config)
	}
	code := o.app(&out).run(ctx, all)
	o.noSecret(strings.Join(args, " "), out.String())
	o.t.Logf("$ daypass admin %s  (%d)\n%s", strings.Join(args, " "), code, out.String())
	return code, out.String()
}

func (o *office) noSecret(where, text string) {
	o.t.Helper()
	for _, s := range o.secrets {
		if strings.Contains(text, s) {
			o.t.Errorf("%s shows a secret (%.12s…)", where, s)
		}
	}
}

// wants runs a command and looks for words in what it says.
func (o *office) wants(code int, words []string, args ...string) string {
	o.t.Helper()
	got, said := o.admin(args...)
	if got != code {
		o.t.Errorf("admin %s ended with %d, not %d", strings.Join(args, " "), got, code)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			o.t.Errorf("admin %s does not say %q", strings.Join(args, " "), w)
		}
	}
	return said
}

// open puts a service together beside the commands, as the running one is.
func (o *office) open() *desk {
	o.t.Helper()
	var out bytes.Buffer
	d, err := o.app(&out).wholeDesk(o.t.Context(), o.config)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { d.db.Close() })
	return d
}

// serve runs the service in this process until stop is called.
func (o *office) serve() (stop func()) {
	o.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var out bytes.Buffer
	go func() { done <- o.app(&out).serve(ctx, o.config) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Errorf("the service ended: %v", err)
		}
		done <- nil
	}
	o.t.Cleanup(stop)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(o.url + "readyz")
		if err == nil {
			res.Body.Close()
			return stop
		}
		select {
		case err := <-done:
			done <- nil
			o.t.Fatalf("the service does not start: %v", err)
		default:
		}
		if time.Now().After(end) {
			o.t.Fatal("the service does not answer")
		}
	}
}

// caller is somebody's server asking.
func (o *office) caller(d *desk, name string) daypass.Caller {
	o.t.Helper()
	o.hub.StartServer(name, "")
	p, err := d.hub.Person(o.t.Context(), name)
	if err != nil {
		o.t.Fatal(err)
	}
	return daypass.Caller{User: p.User, Groups: p.Groups, Server: daypass.Server{Known: true}, Via: daypass.ViaServer}
}

// connect is a person who says yes at the stand-in.
func (o *office) connect(d *desk, name, login string) daypass.Caller {
	o.t.Helper()
	c := o.caller(d, name)
	b := c
	b.Via, b.Server = daypass.ViaBrowser, daypass.Server{}
	to, err := d.broker.StartConsent(o.t.Context(), b, broker.ConsentStart{Session: "s", Host: o.host(), Redirect: o.url + "oauth/github/" + o.host() + "/callback"})
	if err != nil {
		o.t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		o.t.Fatal(err)
	}
	q := u.Query()
	back, err := o.world.Local.Authorize(q.Get("client_id"), login, q.Get("redirect_uri"), q.Get("state"), q.Get("code_challenge"))
	if err != nil {
		o.t.Fatal(err)
	}
	if u, err = url.Parse(back); err != nil {
		o.t.Fatal(err)
	}
	if _, err := d.broker.FinishConsent(o.t.Context(), b, broker.ConsentEnd{Session: "s", Host: o.host(), State: u.Query().Get("state"), Code: u.Query().Get("code")}); err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *office) ask(d *desk, c daypass.Caller, owner, name string) (broker.Answer, error) {
	return d.broker.Credential(o.t.Context(), c, broker.Ask{Host: o.host(), Repo: daypass.Repo{Owner: owner, Name: name}, Access: daypass.Write})
}

func (o *office) must(d *desk, c daypass.Caller, owner, name string) broker.Answer {
	o.t.Helper()
	a, err := o.ask(d, c, owner, name)
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

// request asks the running service for a token, as a server does.
func (o *office) request(token, repo string) (status int, said string, err error) {
	return o.requestTo("write", token, repo)
}

// read is request, for a token that only reads.
func (o *office) read(token, repo string) (status int, said string, err error) {
	return o.requestTo("read", token, repo)
}

func (o *office) requestTo(access, token, repo string) (status int, said string, err error) {
	body := `{"protocol":"https","host":"` + o.host() + `","path":"` + repo + `","access":"` + access + `"}`
	req, err := http.NewRequest(http.MethodPost, o.url+"api/v1/credential", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// live reports whether the stand-in still takes the answer's token.
func (o *office) live(a broker.Answer) bool {
	_, ok := o.world.Local.Token(a.Credential.Token.Reveal())
	return ok
}

func (o *office) eventually(what string, ok func() bool) {
	o.t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			o.t.Fatalf("not within 15 s: %s", what)
		}
	}
}
