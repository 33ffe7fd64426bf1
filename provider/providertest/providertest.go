// Package providertest is the contract of daypass.Issuer as tests: what every
// provider has to do before the broker may lean on it, in good weather and in
// bad. It knows no provider, and no fake of one: a [Fixture] brings both.
package providertest

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// A Failure is a way in which a host, or what lies before it, fails.
type Failure string

// The failures that a [Fixture] has to bring about.
const (
	Page      Failure = "a load balancer's page, status 502"
	Hang      Failure = "no answer"
	Reset     Failure = "a reset"
	Truncated Failure = "half an answer, then the end of the connection"
	Cut       Failure = "half an answer, as if that were all"
	Lost      Failure = "done, but no answer"
	Limited   Failure = "status 429, to be tried again later"
	Spent     Failure = "status 403, the hour's requests used up"
	Elsewhere Failure = "a redirect to another host"
	Portal    Failure = "somebody else's page, status 404"
)

func failures() []Failure {
	return []Failure{Page, Hang, Reset, Truncated, Cut, Lost, Limited, Spent, Elsewhere, Portal}
}

// A Fixture is an issuer and the host behind it. Everything is a fresh world of
// its own. Repositories have their names and numbers.
type Fixture struct {
	Issuer   daypass.Issuer
	Now      func() time.Time
	Redirect string // an address that the host may send people back to
	Account  daypass.Account

	// The person may write, only read, and not see these; the App is on the
	// first two. Public is one that the App is not on, Bare one that the person
	// may write to and the App is not on.
	Write, Read, Hidden, Public, Bare daypass.Repo
	// Content is where the content App is, NoContent where it is not.
	Content, NoContent daypass.Repo
	// Teacher administers Content, and Account may not even read it.
	Teacher daypass.Account

	// Keeps: a token to renew with stays good when it was used.
	Keeps bool

	// Consent says yes at a page as the person, and returns the address that
	// the browser is sent to.
	Consent func(page string) (string, error)
	// Can says, by the host's own books or doors, what a token may do.
	Can func(token daypass.Secret, repo daypass.Repo) daypass.Access
	// Living counts the access tokens that the host would take.
	Living func() int
	// Advance moves the host's clock and Now.
	Advance func(time.Duration)
	// Break makes the nth request from now fail, the first being 1; 0 means
	// every one until mend is called.
	Break func(f Failure, nth int) (mend func())
}

// Run holds an issuer to the contract. Each test is run by within, such as
// synctest.Test, where tests that wait are to take no time; nil means as it is.
func Run(t *testing.T, within func(*testing.T, func(*testing.T)), fresh func(*testing.T) Fixture) {
	if within == nil {
		within = func(t *testing.T, f func(*testing.T)) { f(t) }
	}
	all := map[string]func(*testing.T, *world){
		"consent": consent, "spent codes": spentCodes, "whose": whose, "refresh": refresh, "rights": rights, "reach": reach,
		"narrow": narrow, "never wider": neverWider, "as the hub": asHub, "revoke": revoke, "disconnect": disconnect,
		"dead tokens": deadTokens, "nothing at all": nothing, "at once": atOnce,
	}
	// An issuer of content gives nobody a token: what it does is less.
	if probe := fresh(t); probe.Issuer.Traits().Content {
		for _, name := range []string{"rights", "reach", "narrow", "never wider", "as the hub", "revoke", "at once"} {
			delete(all, name)
		}
		all["no repositories"] = noRepositories
	}
	for name, test := range all {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T) { test(t, &world{Fixture: fresh(t)}) })
		})
	}
	for name := range steps() {
		if repos := []string{"RightTo", "Reach", "Narrow", "IssueAsHub", "LookAsHub", "RightAsHub"}; all["no repositories"] != nil && slices.Contains(repos, name) {
			continue
		}
		for _, f := range failures() {
			t.Run("weather/"+name+"/"+string(f), func(t *testing.T) {
				for nth := range 4 {
					within(t, func(t *testing.T) { weather(t, &world{Fixture: fresh(t)}, name, f, nth) })
				}
			})
		}
	}
}

// verifier is of the length that RFC 7636, 4.1, asks for at least.
const verifier = "a-verifier-that-is-long-enough-for-rfc-7636-0123456789"

// A world is a fixture in use, with every secret that came up.
type world struct {
	Fixture
	mu      sync.Mutex
	secrets []string
}

// keep remembers secrets, which no error may hold.
func (w *world) keep(secrets ...daypass.Secret) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range secrets {
		if !s.IsZero() {
			w.secrets = append(w.secrets, s.Reveal())
		}
	}
}

func (w *world) quiet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("an error holds a secret")
		}
	}
}

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// code has the person say yes.
func (w *world) code(t *testing.T) string {
	t.Helper()
	page := w.Issuer.ConsentURL(daypass.Consent{State: "a state", Challenge: challenge(), Redirect: w.Redirect})
	back, err := w.Consent(page)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Query().Get("state"); got != "a state" {
		t.Fatalf("the state came back as %q", got)
	}
	code := u.Query().Get("code")
	if code == "" {
		t.Fatalf("no code in %s", back)
	}
	w.keep(daypass.NewSecret(code))
	return code
}

func (w *world) connect(t *testing.T) daypass.Grant {
	t.Helper()
	g, err := w.Issuer.Exchange(t.Context(), w.code(t), verifier, w.Redirect)
	if err != nil {
		t.Fatal(err)
	}
	w.keep(g.Access, g.Refresh)
	return g
}

func (w *world) scope(a daypass.Access, repos ...daypass.Repo) daypass.Scope {
	return daypass.Scope{Host: w.Issuer.Host(), Repos: repos, Access: a, Until: w.Now().Add(time.Hour)}
}

func (w *world) child(t *testing.T, g daypass.Grant, a daypass.Access, repo daypass.Repo) daypass.Child {
	t.Helper()
	c, err := w.Issuer.Narrow(t.Context(), g.Access, w.scope(a, repo))
	if err != nil {
		t.Fatal(err)
	}
	w.keep(c.Token)
	return c
}

// is holds an error to be one of the contract's kinds, and no other.
func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
		return
	}
	for _, other := range []error{daypass.ErrSpent, daypass.ErrNoSuchRepo, daypass.ErrLimited, daypass.ErrUnreachable, daypass.ErrRefused} {
		if other != want && errors.Is(err, other) {
			t.Errorf("%s: %v is %v too", what, err, other)
		}
	}
}
