package oauth_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/canvas/oauth"
	"github.com/daypass-dev/daypass/provider/deposittest"
	"github.com/daypass-dev/daypass/provider/providertest"
)

const (
	host     = "canvas.example.edu"
	callback = "https://hub.example.org/services/daypass/oauth/canvas/canvas.example.edu/callback"
	secret   = "the-secret-of-the-key"
)

// A bench is a Canvas with an issuer at it.
type bench struct {
	*fake.Canvas
	issuer *oauth.Issuer
	now    func() time.Time
	pass   func(time.Duration)
}

func newBench(t *testing.T, user fake.CanvasUser, scopes []string, use string) *bench {
	t.Helper()
	var ahead atomic.Int64
	b := &bench{now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, pass: func(d time.Duration) { ahead.Add(int64(d)) }}
	b.Canvas = fake.NewCanvas(fake.CanvasConfig{Host: host, Now: b.now, Seed: fake.CanvasSeed{
		Users: []fake.CanvasUser{user}, Keys: []fake.CanvasKey{{ID: "10000000000007", Secret: secret, Redirects: []string{"hub.example.org"}, Scopes: scopes}},
	}})
	var err error
	b.issuer, err = oauth.New(oauth.Config{Host: host, ClientID: "10000000000007", ClientSecret: daypass.NewSecret(use), Base: fake.Transport(b.Canvas), Now: b.now})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fixture(user fake.CanvasUser, scopes []string) func(*testing.T) providertest.Fixture {
	return func(t *testing.T) providertest.Fixture {
		b := newBench(t, user, scopes, secret)
		return providertest.Fixture{
			Issuer: b.issuer, Now: b.now, Redirect: callback, Account: daypass.Account{ID: user.ID, Login: user.Name}, Keeps: true,
			Consent: func(page string) (string, error) { return b.Authorize(page, user.ID) },
			Living:  func() int { return len(b.Tokens()) }, Advance: b.pass, Break: deposittest.Breaks(b, nil, fake.CanvasBusy(http.StatusTooManyRequests, 90*time.Second), fake.CanvasBusy(http.StatusForbidden, 0)),
		}
	}
}

// TestContract holds the issuer to the contract: at a key that enforces no scopes, at one
// that enforces exactly ours, and for somebody of another shard.
func TestContract(t *testing.T) {
	ada := fake.CanvasUser{ID: 17, Name: "Ada"}
	for name, fresh := range map[string]func(*testing.T) providertest.Fixture{
		"no scopes": fixture(ada, nil), "scopes": fixture(ada, oauth.Scopes()), "another shard": fixture(fake.CanvasUser{ID: 1234*fake.CanvasShard + 567, Name: "Ada"}, nil),
	} {
		t.Run(name, func(t *testing.T) { providertest.Run(t, synctest.Test, fresh) })
	}
}

// TestScopes: only GET, and a key that has one less says so.
func TestScopes(t *testing.T) {
	for _, s := range oauth.Scopes() {
		if !strings.HasPrefix(s, "url:GET|/api/v1/") {
			t.Errorf("%s can write", s)
		}
	}
	b := newBench(t, fake.CanvasUser{ID: 17, Name: "Ada"}, oauth.Scopes()[1:], secret)
	back, err := b.Authorize(b.issuer.ConsentURL(daypass.Consent{State: "s", Redirect: callback}), 17)
	if u, _ := url.Parse(back); err != nil || u.Query().Get("error") != "invalid_scope" {
		t.Errorf("%s, %v", back, err)
	}
}

// TestWrongKey: whoever runs the service is told, and nobody sees the secret.
func TestWrongKey(t *testing.T) {
	b := newBench(t, fake.CanvasUser{ID: 17, Name: "Ada"}, nil, "another-secret")
	back, err := b.Authorize(b.issuer.ConsentURL(daypass.Consent{State: "s", Redirect: callback}), 17)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(back)
	_, err = b.issuer.Exchange(t.Context(), u.Query().Get("code"), "", callback)
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != "DP-430" || strings.Contains(err.Error(), "another-secret") {
		t.Errorf("%v", err)
	}
	if err := b.issuer.Check(t.Context()); !errors.As(err, &p) || p.Code != "DP-430" {
		t.Errorf("looked at: %v", err)
	}
	if err := newBench(t, fake.CanvasUser{ID: 17, Name: "Ada"}, nil, secret).issuer.Check(t.Context()); err != nil {
		t.Errorf("a key that is right: %v", err)
	}
	if _, err := oauth.New(oauth.Config{Host: "Canvas.example.edu/x", ClientID: "1", ClientSecret: daypass.NewSecret("x")}); err == nil {
		t.Error("a host that is none")
	}
}

// TestGoesNowhereElse: every request is to the site, and names that Canvas has are lines.
func TestGoesNowhereElse(t *testing.T) {
	b := newBench(t, fake.CanvasUser{ID: 17, Name: "Ada\n\u202eevil"}, nil, secret)
	token := daypass.NewSecret(b.NewToken(17))
	a, err := b.issuer.Whose(t.Context(), token)
	if err != nil || a.Login != "user 17" || a.Name != "" {
		t.Errorf("%+v, %v", a, err)
	}
	mend := b.Fault(nil, fake.Fault{Kind: fake.FaultRedirect, URL: "https://sub." + host + "/api/v1/users/self", Status: http.StatusFound})
	if _, err := b.issuer.Whose(t.Context(), token); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("a redirect to a sub-domain: %v", err)
	}
	mend()
	if i := slices.IndexFunc(b.Requests(), func(r fake.Request) bool { return r.Host != host }); i >= 0 {
		t.Errorf("%s was asked", b.Requests()[i].Host)
	}
}

// TestManual: the list that admins copy is what is asked for.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../../../doc/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "url:") {
			listed = append(listed, strings.TrimSpace(line))
		}
	}
	if want := oauth.Scopes(); !slices.Equal(listed, want) {
		t.Errorf("doc/sources.md lists %q, want %q", listed, want)
	}
}
