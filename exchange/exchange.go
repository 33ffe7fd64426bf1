// Package exchange finds out whose job a CI system's OpenID token belongs to, and
// which of the admin's rules gives such a job a pass. It mints none.
//
// A token proves only that somebody's job runs somewhere. What it may have is a
// [Rule]'s to say, and a rule names what cannot pass to somebody else: numbers,
// not names. The claims are those of GitHub ("OpenID Connect reference"), GitLab
// ("OpenID Connect (OIDC) Authentication Using ID Tokens") and the REST API of
// JupyterHub.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// MaxLife is the longest that a pass made by an exchange lasts.
const MaxLife = 15 * time.Minute

// maxToken is the longest token that is looked at. GitHub's and GitLab's have
// two to three thousand bytes.
const maxToken = 16 << 10

// A Config is what New needs.
type Config struct {
	Issuers  []Issuer
	Rules    []Rule
	Audience string // what tokens have to be made for: this service alone
	// Once is true the first time that it is called with an id of a kind, and
	// durable when it returns. until is when the id may be forgotten.
	Once func(ctx context.Context, kind, id string, until time.Time) (bool, error)
	// Transport carries requests for keys; nil: net/http's own, by the proxy that the
	// environment names.
	Transport http.RoundTripper
	Now       func() time.Time
	Log       *slog.Logger // what callers are not told: why an issuer's keys could not be had
}

// An Exchange decides about tokens. It is safe for use by many goroutines.
type Exchange struct {
	audience string
	issuers  map[string]*issuer // by the issuer's address
	hub      *issuer            // at most one: an opaque token is shown to nobody else
	rules    []*rule
	once     func(ctx context.Context, kind, id string, until time.Time) (bool, error)
	now      func() time.Time
	log      *slog.Logger
}

// A Grant is what a rule gives to a job.
type Grant struct {
	Rule   string // its name
	Issuer string // the issuer's name in the configuration
	Job    string // who asked, in words that are safe to print
	For    time.Duration
	Index  *Index // one of the two
	Hub    *Hub
}

// An Index is a pass at a package index.
type Index struct {
	User     string   // whose
	Indexes  []string // USER/INDEX
	Projects []string // nil: all
	Allowed  []string // devpi's permissions
}

// A Hub is a pass at an access service.
type Hub struct {
	As      string // whose: a name at the hub
	Hosts   []string
	Repos   []string // OWNER/NAME, OWNER/NAME#NUMBER or #NUMBER
	Access  daypass.Access
	Sources []string
}

// A Refusal is why a token was not exchanged. Its Name is one of the codes that
// PyPI's endpoint has, which publishing actions print.
type Refusal struct {
	Name    string // "invalid-token", "invalid-publisher", "not-enabled", "unavailable"
	Problem *daypass.Problem
	Job     string // who asked, once that was proved
	Rule    string // the rule that was nearest, if any
}

// Error implements error.
func (r *Refusal) Error() string { return r.Problem.Error() }

// Unwrap returns the problem.
func (r *Refusal) Unwrap() error { return r.Problem }

// New checks the configuration. What is wrong with a rule is an error that names
// what it lacks.
func New(c Config) (*Exchange, error) {
	e := &Exchange{audience: c.Audience, issuers: map[string]*issuer{}, once: c.Once, now: c.Now, log: c.Log}
	if e.now == nil {
		e.now = time.Now
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if err := checkAudience(c.Audience); err != nil {
		return nil, err
	}
	if c.Once == nil {
		return nil, errors.New("exchange: nothing keeps tokens from being used twice")
	}
	kinds := map[string]*issuer{}
	for _, text := range c.Issuers {
		is, err := newIssuer(text, c)
		if err != nil {
			return nil, err
		}
		if kinds[is.name] != nil || e.issuers[is.url] != nil {
			return nil, fmt.Errorf("exchange: the issuer %s stands there twice", strconv.QuoteToASCII(is.name))
		}
		if kinds[is.name] = is; is.kind != JupyterHub {
			e.issuers[is.url] = is
			continue
		}
		if e.hub != nil {
			return nil, errors.New("exchange: there are two hubs; a server's token is shown to one alone")
		}
		e.hub = is
	}
	for i, text := range c.Rules {
		r, err := compile(text, kinds)
		if err != nil {
			return nil, fmt.Errorf("exchange: rules: %s: %w", ruleName(text, i), err)
		}
		e.rules = append(e.rules, r)
	}
	return e, nil
}

func ruleName(r Rule, i int) string {
	if r.Name != "" {
		return strconv.QuoteToASCII(r.Name)
	}
	return "number " + strconv.Itoa(i+1)
}

// checkAudience refuses what tokens for others are made for.
func checkAudience(a string) error {
	switch {
	case a == "":
		return errors.New("exchange: audience is missing: the address of this service")
	case strings.EqualFold(a, "pypi") || strings.EqualFold(a, "testpypi"):
		return errors.New("exchange: audience: tokens for PyPI are not for us; write the address of this service")
	case strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r > '~' }) || len(a) > 500:
		return errors.New("exchange: audience is no address")
	}
	return nil
}

// Audience is what a token has to be made for.
func (e *Exchange) Audience() string { return e.audience }

// Decide says what the bearer of a token may have. The token is spent when there
// is a Grant, durably so. Errors are *Refusal values, or the store's.
//
// from is not looked at: a CI system's jobs come from anywhere.
func (e *Exchange) Decide(ctx context.Context, token daypass.Secret, _ netip.Addr) (Grant, error) {
	text := token.Reveal()
	var j job
	var err error
	switch {
	case len(text) > maxToken || len(text) < 8:
		return Grant{}, badToken("it is no token of a CI system", nil)
	case strings.Count(text, ".") == 2:
		j, err = e.fromJWT(ctx, text)
	default:
		j, err = e.fromHub(ctx, token)
	}
	if err != nil {
		return Grant{}, err
	}
	r, err := e.match(j)
	if err != nil {
		return Grant{}, err
	}
	g, err := r.grant(j)
	if err != nil {
		return Grant{}, err
	}
	if j.id == "" { // a hub's token is no proof of one moment; it is asked about each time
		return g, nil
	}
	first, err := e.once(ctx, "jti:"+j.issuer.url, j.id, j.until.Add(skew))
	if err != nil {
		return Grant{}, fmt.Errorf("exchange: note that a token was used: %w", err)
	}
	if !first {
		return Grant{}, refuse("invalid-token", "DP-187", "this token was exchanged before", "each is good once", "Let the job ask for a new one.", j, "")
	}
	return g, nil
}

// fromHub asks the one hub whose an opaque token is.
func (e *Exchange) fromHub(ctx context.Context, token daypass.Secret) (job, error) {
	if e.hub == nil || !hubToken(token.Reveal()) {
		return job{}, badToken("it is no token of an issuer that is accepted here", nil)
	}
	who, err := e.hub.who(ctx, token)
	if err != nil {
		e.log.Warn("a hub's token was not accepted", "issuer", e.hub.name, "err", err)
		if errors.Is(err, daypass.ErrUnreachable) {
			return job{}, away(e.hub)
		}
		return job{}, badToken("the hub says that it is nobody's, or not for this service", err)
	}
	if who.Via != daypass.ViaServer || !who.Server.Known {
		return job{}, badToken("it is not the token of one of the hub's servers", nil)
	}
	j := job{issuer: e.hub, user: who.User.Name, groups: who.Groups, server: who.Server}
	j.says = printable("the server " + who.Server.String() + " of " + who.User.Name + " at " + e.hub.name)
	return j, nil
}

// hubToken keeps from the hub what certainly is none of its tokens: a pass, or a
// git host's.
func hubToken(text string) bool {
	for _, other := range []string{"daypass_", "devpi-", "pypi-", "gh", "glpat-", "glcbt-"} {
		if strings.HasPrefix(text, other) {
			return false
		}
	}
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	return len(text) <= 255 && !strings.ContainsFunc(text, odd)
}

// match finds the first rule that fits. Where none does, the answer says what of
// the nearest one about the same repository did not fit, by the names of its
// keys: who can make such a token is told nothing about others' rules.
func (e *Exchange) match(j job) (*rule, error) {
	var near *rule
	var misses []string
	for _, r := range e.rules {
		if r.issuer != j.issuer || !r.about(j) {
			continue
		}
		m := r.misses(j)
		if len(m) == 0 {
			return r, nil
		}
		if near == nil || len(m) < len(misses) {
			near, misses = r, m
		}
	}
	if near == nil {
		return nil, refuse("invalid-publisher", "DP-186", "no rule gives this job a pass", "it is "+j.says, "", j, "")
	}
	return nil, refuse("invalid-publisher", "DP-186", "no rule gives this job a pass",
		"it is "+j.says+"; what does not fit: "+strings.Join(misses, ", "), "Run it as the rule says.", j, near.text.Name)
}

func refuse(name, code, what, why, next string, j job, rule string) *Refusal {
	return &Refusal{Name: name, Job: j.says, Rule: rule, Problem: &daypass.Problem{
		Code: code, What: what, Why: why, Next: next, Who: "The admin of this service writes the rules.", Kind: daypass.ErrRefused,
	}}
}

func badToken(why string, err error) *Refusal {
	return &Refusal{Name: "invalid-token", Problem: &daypass.Problem{
		Code: "DP-185", What: "the token is not accepted", Why: why, Next: "Let the job ask its CI system for a token for this service's audience.",
		Kind: daypass.ErrRefused, Err: err,
	}}
}

func away(is *issuer) *Refusal {
	return &Refusal{Name: "unavailable", Problem: &daypass.Problem{
		Code: "DP-188", What: "the issuer " + is.name + " cannot be asked just now", Next: "Try again in a minute.", Kind: daypass.ErrUnreachable,
	}}
}

// printable makes what a token says safe to show, and short.
func printable(s string) string {
	const most = 300
	q := strconv.QuoteToASCII(s)
	q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	if len(q) > most {
		q = q[:most] + "…"
	}
	return q
}
