package hubtest

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/hub"
)

// A Peer is a hub that [Suite] can look at: a real one, or the stand-in.
type Peer struct {
	Admin
	Public                  string
	Service, Other          string // tokens of the services "daypass" and "managed"
	Redirect, OtherRedirect string
	Major                   int
	ServerToken             func(user, server string) string
}

// Peer is what a real hub shows to [Suite].
func (h *Hub) Peer() Peer {
	return Peer{
		Admin: h.Admin, Public: h.Public, Service: h.Service, Other: h.Other, Redirect: h.Redirect, OtherRedirect: h.OtherRedirect,
		Major: h.Major, ServerToken: func(user, server string) string { return h.ServerToken(user, server) },
	}
}

// Client returns a client of the hub, as the service "daypass".
func (p Peer) Client() *hub.Client { return p.client("daypass", p.Service) }

func (p Peer) client(service, token string) *hub.Client {
	return hub.New(hub.Config{ID: "main", API: p.API, Public: p.Public, Service: service, Token: daypass.NewSecret(token)})
}

// Suite is what a hub does, as daypass relies on it.
func Suite(t *testing.T, p Peer) {
	for name, test := range map[string]func(*testing.T, Peer){
		"server tokens": suiteServers, "people's tokens": suiteTokens, "sign-in": suiteSignIn, "renamed": suiteRenamed,
		"made again": suiteMadeAgain, "the service itself": suiteService, "listing": suiteListing, "groups": suiteGroups,
	} {
		t.Run(name, func(t *testing.T) { test(t, p) })
	}
}

// who asks afresh.
func (p Peer) who(t *testing.T, token string) hub.Identity {
	t.Helper()
	who, err := p.Client().Whoami(t.Context(), daypass.NewSecret(token), "", true)
	if err != nil {
		t.Fatal(err)
	}
	if who.Caller.User.Hub != "main" || who.Caller.User.Created.IsZero() || time.Since(who.Caller.User.Created) > time.Hour {
		t.Fatalf("%+v", who)
	}
	return who
}

func (p Peer) refused(t *testing.T, token, code string) {
	t.Helper()
	_, err := p.Client().Whoami(t.Context(), daypass.NewSecret(token), "", true)
	var problem *daypass.Problem
	if !errors.As(err, &problem) || problem.Code != code || !errors.Is(err, daypass.ErrRefused) {
		t.Fatalf("%v, want %s", err, code)
	}
}

func suiteServers(t *testing.T, p Peer) {
	p.CreateUser(t, "ann")
	p.StartServer(t, "ann", "")
	p.StartServer(t, "ann", "gpu")
	plain, gpu := p.who(t, p.ServerToken("ann", "")), p.who(t, p.ServerToken("ann", "gpu"))
	for _, who := range []hub.Identity{plain, gpu} {
		if who.Caller.User.Name != "ann" || who.Caller.Via != daypass.ViaServer {
			t.Errorf("%+v", who)
		}
		if who.Caller.User != plain.Caller.User {
			t.Errorf("two people: %+v, %+v", who.Caller.User, plain.Caller.User)
		}
	}
	want := [2]daypass.Server{{Known: true}, {Known: true, Name: "gpu"}}
	if p.Major < 4 {
		want = [2]daypass.Server{}
	}
	if got := [2]daypass.Server{plain.Caller.Server, gpu.Caller.Server}; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c := p.Client()
	ann, err := c.Person(t.Context(), "ann")
	if err != nil || !ann.ServersKnown || !slices.Equal(ann.Running, []string{"", "gpu"}) {
		t.Fatal(ann, err)
	}
	if info, err := c.Server(t.Context(), "ann", "gpu"); err != nil || info.Shared || !info.SharingKnown || !info.OptionsKnown {
		t.Errorf("what the hub knows of a server: %+v, %v", info, err)
	}
	if err := c.CheckSharing(t.Context()); err != nil || c.Shares() != (p.Major >= 5) {
		t.Errorf("a hub of version %d: %v, %v", p.Major, c.Shares(), err)
	}

	// Hubs before 6.0 let people name servers as they like.
	if odd := "My GPU!server=x"; p.Major < 6 {
		p.StartServer(t, "ann", odd)
		who := p.who(t, p.ServerToken("ann", odd))
		if who.Caller.Via != daypass.ViaServer || p.Major >= 4 && who.Caller.Server != (daypass.Server{Known: true, Name: odd}) {
			t.Errorf("%+v", who)
		}
		p.StopServer(t, "ann", odd)
	}

	// A server's end ends its token, and no other.
	ended := p.ServerToken("ann", "gpu")
	p.StopServer(t, "ann", "gpu")
	p.refused(t, ended, "DP-802")
	p.who(t, p.ServerToken("ann", ""))
	if ann, _ = c.Person(t.Context(), "ann"); !slices.Equal(ann.Running, []string{""}) {
		t.Fatal(ann)
	}
	p.StopServer(t, "ann", "")
}

func suiteTokens(t *testing.T, p Peer) {
	p.CreateUser(t, "ben")
	if who := p.who(t, p.UserToken(t, "ben")); who.Caller.Via != daypass.ViaUser || who.Caller.Server.Known {
		t.Errorf("a full token: %+v", who)
	}
	if who := p.who(t, p.UserToken(t, "ben", "access:services!service=daypass")); who.Caller.Via != daypass.ViaUser {
		t.Errorf("a narrow token: %+v", who)
	}
	p.refused(t, p.UserToken(t, "ben", "users:activity!user"), "DP-803")
	p.refused(t, "no-token-of-this-hub", "DP-802")
	p.refused(t, p.Service, "DP-804")
	p.refused(t, p.Other, "DP-804")
	// The hub answers 403, where another would say 401.
	if status, _, err := p.As("no-token-of-this-hub", "GET", "/user", nil); status != 403 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
}

// signIn logs somebody in, and returns the token that a service then has.
func (p Peer) signIn(t *testing.T, user, service, secret, redirect string) (string, error) {
	t.Helper()
	b := NewBrowser(t, p.Public)
	b.Login(user)
	c := p.client(service, secret)
	verifier := oauth2.GenerateVerifier()
	back, err := b.Authorize(c.AuthCodeURL("the-state", verifier, redirect), redirect)
	if err != nil {
		return "", err
	}
	if back.Get("state") != "the-state" || back.Get("code") == "" {
		t.Fatalf("%v", back)
	}
	token, err := c.Exchange(t.Context(), back.Get("code"), verifier, redirect)
	if err != nil {
		return "", err
	}
	if _, err := c.Exchange(t.Context(), back.Get("code"), verifier, redirect); !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("the same code again: %v", err)
	}
	return token.Reveal(), nil
}

func suiteSignIn(t *testing.T, p Peer) {
	ours, err := p.signIn(t, "cleo", "daypass", p.Service, p.Redirect)
	if err != nil {
		t.Fatal(err)
	}
	if who := p.who(t, ours); who.Caller.Via != daypass.ViaBrowser || who.Caller.User.Name != "cleo" {
		t.Errorf("%+v", who)
	}
	// Another service's sign-in of the same person is known to the hub, and not for us.
	theirs, err := p.signIn(t, "cleo", "managed", p.Other, p.OtherRedirect)
	if err != nil {
		t.Fatal(err)
	}
	p.refused(t, theirs, "DP-803")

	b := NewBrowser(t, p.Public)
	b.Login("cleo")
	c := p.Client()
	verifier := oauth2.GenerateVerifier()
	code := func() string {
		t.Helper()
		back, err := b.Authorize(c.AuthCodeURL("s", verifier, p.Redirect), p.Redirect)
		if err != nil {
			t.Fatal(err)
		}
		return back.Get("code")
	}
	// The secret is ours, not the code's.
	if _, err := p.client("daypass", "wrong-secret-of-the-service").Exchange(t.Context(), code(), verifier, p.Redirect); !errors.Is(err, hub.ErrServiceToken) {
		t.Errorf("a wrong secret: %v", err)
	}
	if _, err := c.Exchange(t.Context(), "no-such-code", verifier, p.Redirect); !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("a wrong code: %v", err)
	}
	// Hubs before 6.0 do not look at the verifier.
	if _, err := c.Exchange(t.Context(), code(), oauth2.GenerateVerifier(), p.Redirect); p.Major >= 6 && !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("a code that was caught: %v", err)
	}
	elsewhere := strings.Replace(c.AuthCodeURL("s", verifier, p.Redirect), "redirect_uri="+url.QueryEscape(p.Redirect), "redirect_uri="+url.QueryEscape("https://evil.example/"), 1)
	if back, err := b.Authorize(elsewhere, "https://evil.example/"); err == nil {
		t.Errorf("sent to a foreign address: %v", back)
	}
	// A logout ends the token that this browser got.
	token, err := c.Exchange(t.Context(), code(), verifier, p.Redirect)
	if err != nil {
		t.Fatal(err)
	}
	p.who(t, token.Reveal())
	b.Logout()
	p.refused(t, token.Reveal(), "DP-802")
}

// suiteRenamed: a name that was given up is somebody else's at once.
func suiteRenamed(t *testing.T, p Peer) {
	p.CreateUser(t, "dora")
	token := p.UserToken(t, "dora")
	before := p.who(t, token).Caller.User
	p.RenameUser(t, "dora", "dorothy")
	p.CreateUser(t, "dora")
	after, other := p.who(t, token).Caller.User, p.who(t, p.UserToken(t, "dora")).Caller.User
	if after.Name != "dorothy" || !after.Created.Equal(before.Created) {
		t.Errorf("%+v became %+v", before, after)
	}
	if other == before || other.Created.Equal(before.Created) {
		t.Errorf("the new dora is the old one: %+v", other)
	}

	// A server that ran meanwhile goes on as its person's, but hubs no longer say
	// which it is: its scope names the old name.
	p.CreateUser(t, "drew")
	p.StartServer(t, "drew", "gpu")
	token = p.ServerToken("drew", "gpu")
	before = p.who(t, token).Caller.User
	p.RenameUser(t, "drew", "andrew")
	p.CreateUser(t, "drew")
	who := p.who(t, token).Caller
	if who.User.Name != "andrew" || !who.User.Created.Equal(before.Created) || who.Via != daypass.ViaServer || who.Server.Known {
		t.Errorf("%+v became %+v", before, who)
	}
}

// suiteMadeAgain: who has the name of somebody deleted is somebody else.
func suiteMadeAgain(t *testing.T, p Peer) {
	p.CreateUser(t, "emil")
	token := p.UserToken(t, "emil")
	before := p.who(t, token).Caller.User
	p.DeleteUser(t, "emil")
	p.refused(t, token, "DP-802")
	p.CreateUser(t, "emil")
	p.refused(t, token, "DP-802")
	if after := p.who(t, p.UserToken(t, "emil")).Caller.User; after == before {
		t.Errorf("%+v is both", after)
	}
}

func suiteService(t *testing.T, p Peer) {
	if err := p.Client().Check(t.Context()); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]*hub.Client{"no token": p.client("daypass", "no-token-of-this-hub"), "another's": p.client("daypass", p.Other)} {
		if err := c.Check(t.Context()); !errors.Is(err, hub.ErrServiceToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A service without the role may not see who was made when.
	p.CreateUser(t, "fay")
	_, err := p.client("managed", p.Other).Whoami(t.Context(), daypass.NewSecret(p.UserToken(t, "fay")), "", true)
	if !errors.Is(err, hub.ErrServiceToken) && !errors.Is(err, daypass.ErrRefused) {
		t.Error(err)
	}
}

func suiteListing(t *testing.T, p Peer) {
	const many = 230 // more than a page
	names := make([]string, many)
	for i := range names {
		names[i] = "student" + string(rune('a'+i/26)) + string(rune('a'+i%26))
	}
	p.must(t, "POST", "/users", map[string]any{"usernames": names})
	people, err := p.Client().Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]hub.Person{}
	for _, person := range people {
		if _, twice := seen[person.User.Name]; twice || person.User.Created.IsZero() {
			t.Errorf("%+v", person)
		}
		seen[person.User.Name] = person
	}
	for _, name := range names {
		if _, ok := seen[name]; !ok {
			t.Fatalf("%s is missing among %d", name, len(seen))
		}
	}
	one, err := p.Client().Person(t.Context(), names[0])
	if err != nil || one.User != seen[names[0]].User || !one.ServersKnown {
		t.Fatal(one, err)
	}
	if _, err := p.Client().Person(t.Context(), "nobody-of-this-hub"); !errors.Is(err, hub.ErrNoUser) {
		t.Fatal(err)
	}
}

func suiteGroups(t *testing.T, p Peer) {
	p.CreateUser(t, "gus")
	p.AddToGroup(t, "river-lab", "gus")
	if who := p.who(t, p.UserToken(t, "gus")); !slices.Equal(who.Caller.Groups, []string{"river-lab"}) {
		t.Errorf("%+v", who.Caller)
	}
}
