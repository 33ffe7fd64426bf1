package broker_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/store"
)

const (
	host     = "github.com"
	callback = "https://daypass.example/oauth/github/github.com/callback"
	hubID    = "hub"
)

// A rig is a broker with a real store and a real client of the stand-in for
// GitHub, in memory.
type rig struct {
	*broker.Broker
	t      testing.TB
	gh     *fake.GitHub
	db     *store.DB
	config broker.Config
	url    string // of the store
	keys   *store.Keys
	skew   atomic.Int64 // nanoseconds that the clock is ahead
	mu     sync.Mutex
	hub    map[string]broker.HubUser
	hubErr error
	wire   atomic.Pointer[http.RoundTripper]
	asked  atomic.Int64 // requests to the stand-in, or where a test wanted them
}

func (r *rig) now() time.Time { return time.Now().Add(time.Duration(r.skew.Load())) }

// later moves everybody's clock.
func (r *rig) later(d time.Duration) {
	r.skew.Add(int64(d))
}

// RoundTrip carries requests to the stand-in, or where a test wants them.
func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) {
	r.asked.Add(1)
	if t := r.wire.Load(); t != nil {
		return (*t).RoundTrip(req)
	}
	return fake.Transport(r.gh).RoundTrip(req)
}

type keyPair struct {
	private, public string
	err             error
}

// contentKey is made once for all rigs: a key of RSA takes longer than most tests.
var contentKey = sync.OnceValue(func() (k keyPair) {
	k.private, k.public, k.err = fake.NewAppKey(rand.Reader)
	return k
})

type change func(*rig)

func newRig(t testing.TB, changes ...change) *rig {
	t.Helper()
	r := &rig{t: t, hub: map[string]broker.HubUser{}, url: "sqlite:" + filepath.Join(t.TempDir(), "daypass.db")}
	key := contentKey()
	if key.err != nil {
		t.Fatal(key.err)
	}
	seed := fake.Campus()
	content := slices.IndexFunc(seed.Apps, func(a fake.App) bool { return a.ClientID == fake.CampusContentApp })
	seed.Apps[content].Keys = []string{key.public}
	r.gh = fake.NewGitHub(fake.GitHubConfig{Kind: fake.GitHubCom, Seed: seed, Now: r.now})
	if err := r.gh.SetCallbacks(fake.CampusPushApp, callback); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.keys, err = store.NewKeys(rand.Reader); err != nil {
		t.Fatal(err)
	}
	h, err := github.ParseHost(host)
	if err != nil {
		t.Fatal(err)
	}
	is, err := github.NewIssuer(github.IssuerConfig{
		Host: h, Transport: r, Now: r.now,
		Push:    github.PushApp{ClientID: fake.CampusPushApp, ClientSecrets: []daypass.Secret{daypass.NewSecret(fake.CampusPushSecret)}, AppURL: "https://github.com/apps/campus-push"},
		Content: &github.ContentApp{ClientID: fake.CampusContentApp, Key: daypass.NewSecret(key.private)},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.config = broker.Config{
		Issuers: []daypass.Issuer{is}, Now: r.now, Rules: rules(t, policy.Preset()...), Process: "one",
		Hub: broker.HubFuncs{ID: hubID, User: r.hubUser, Users: r.hubUsers, Running: r.runs},
	}
	for _, c := range changes {
		c(r)
	}
	r.db = r.open()
	r.config.Store = r.db
	if r.Broker, err = broker.New(r.config); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) open() *store.DB {
	r.t.Helper()
	db, err := store.Open(context.Background(), store.Config{URL: r.url, Keys: r.keys, Now: r.now})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { db.Close() })
	return db
}

// another is a second process on the same store.
func (r *rig) another(name string) *broker.Broker {
	r.t.Helper()
	c := r.config
	c.Store, c.Process = r.open(), name
	b, err := broker.New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// running starts what a broker does in the background.
func (r *rig) running() {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	r.t.Cleanup(func() { stop(); <-done })
}

func rules(t testing.TB, list ...policy.Rule) *policy.Set {
	t.Helper()
	s, err := policy.Compile(list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pattern(t testing.TB, s string) policy.Pattern {
	t.Helper()
	p, err := policy.ParsePattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (r *rig) hubUser(_ context.Context, name string) (broker.HubUser, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.hub[name]
	return u, ok, r.hubErr
}

// runs is the hub's word on a server.
func (r *rig) runs(_ context.Context, name, server string) (time.Time, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.hub[name]
	return u.Started[server], slices.Contains(u.Servers, server), r.hubErr
}

// server starts a server at a moment, or stops it where that is zero.
func (r *rig) server(user, name string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.hub[user]
	u.Servers = slices.DeleteFunc(slices.Clone(u.Servers), func(s string) bool { return s == name })
	u.Started = maps.Clone(u.Started)
	delete(u.Started, name)
	if !at.IsZero() {
		u.Servers = append(u.Servers, name)
		u.Started[name] = at
	}
	r.hub[user] = u
}

// hubDown makes the hub answer nothing, or answer again.
func (r *rig) hubDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hubErr = nil
	if down {
		r.hubErr = errors.New("the hub is away")
	}
}

func (r *rig) hubUsers(context.Context) ([]broker.HubUser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []broker.HubUser
	for _, u := range r.hub {
		out = append(out, u)
	}
	return out, r.hubErr
}

var (
	born  = time.Date(2026, 9, 1, 8, 0, 0, 123456000, time.UTC)
	begun = time.Date(2026, 9, 3, 7, 30, 0, 250000000, time.UTC) // when servers were started
)

// user makes somebody at the hub; in is one of their servers asking.
func (r *rig) user(name string, groups ...string) daypass.Caller {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.hub[name]
	if !ok {
		u = broker.HubUser{
			Name: name, Created: born.Add(time.Duration(len(r.hub)) * time.Hour), Running: true, Servers: []string{""}, Started: map[string]time.Time{"": begun},
		}
	}
	u.Groups = groups
	r.hub[name] = u
	return daypass.Caller{
		User: daypass.User{Hub: hubID, Name: name, Created: u.Created}, Groups: groups, Server: daypass.Server{Known: true}, Via: daypass.ViaServer,
	}
}

func browser(c daypass.Caller) daypass.Caller {
	c.Via, c.Server = daypass.ViaBrowser, daypass.Server{}
	return c
}

// connect is a person who says yes at the stand-in.
func (r *rig) connect(c daypass.Caller, login string) broker.Connected {
	r.t.Helper()
	done, err := r.consent(c, login)
	if err != nil {
		r.t.Fatal(err)
	}
	return done
}

func (r *rig) consent(c daypass.Caller, login string) (broker.Connected, error) {
	r.t.Helper()
	q := r.answer(c, login)
	return r.FinishConsent(r.t.Context(), browser(c), broker.ConsentEnd{Session: "s-" + c.User.Name, Host: host, State: q.Get("state"), Code: q.Get("code")})
}

// answer is what GitHub sends back with the browser.
func (r *rig) answer(c daypass.Caller, login string) url.Values {
	r.t.Helper()
	to, err := r.StartConsent(r.t.Context(), browser(c), broker.ConsentStart{Session: "s-" + c.User.Name, Host: host, Redirect: callback})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.say(to, login)
}

// say is a person who says yes at an address of GitHub's.
func (r *rig) say(to, login string) url.Values {
	r.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		r.t.Fatal(err)
	}
	q := u.Query()
	back, err := r.gh.Authorize(q.Get("client_id"), login, q.Get("redirect_uri"), q.Get("state"), q.Get("code_challenge"))
	if err != nil {
		r.t.Fatal(err)
	}
	if u, err = url.Parse(back); err != nil {
		r.t.Fatal(err)
	}
	return u.Query()
}

var (
	data     = daypass.Repo{Owner: "river-lab", Name: "data"}
	notes    = daypass.Repo{Owner: "octo-researcher", Name: "notes"}
	handbook = daypass.Repo{Owner: "river-lab", Name: "handbook"}
	homework = daypass.Repo{Owner: "uni-course", Name: "homework"}
)

func (r *rig) ask(c daypass.Caller, repo daypass.Repo) (broker.Answer, error) {
	return r.Credential(context.Background(), c, broker.Ask{Host: host, Repo: repo, Access: daypass.Write})
}

func (r *rig) must(c daypass.Caller, repo daypass.Repo) broker.Answer {
	r.t.Helper()
	a, err := r.ask(c, repo)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// code is the code of a refusal, or what came instead.
func code(err error) string {
	var p *daypass.Problem
	switch {
	case err == nil:
		return "no error"
	case errors.As(err, &p):
		return p.Code
	}
	return err.Error()
}

// live reports whether the stand-in still takes the answer's token.
func (r *rig) live(a broker.Answer) bool {
	_, ok := r.gh.Token(a.Credential.Token.Reveal())
	return ok
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not within 5 s: %s", what)
		}
	}
}
