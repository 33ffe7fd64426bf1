package exchange

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/daypass-dev/daypass"
)

// The kinds of issuer.
const (
	GitHub     = "github"
	GitLab     = "gitlab"
	JupyterHub = "jupyterhub"
)

// An Issuer is whose tokens are accepted, as the configuration has it.
type Issuer struct {
	Name string `yaml:"name"`
	Kind string `yaml:"kind"`
	// URL is the claim iss, byte by byte: for GitHub and GitLab by default their
	// public ones.
	URL string `yaml:"url"`
	// Keys is where the issuer's keys are; "": its discovery document says it
	// (OpenID Connect Discovery 1.0, section 4).
	Keys string `yaml:"keys"`
	// Longest is how long a token may last, from its making to its end; 0: an hour.
	Longest time.Duration `yaml:"longest"`
	// Who asks a hub whose token it is. The token goes to that hub and to nobody
	// else. For a JupyterHub only.
	Who func(context.Context, daypass.Secret) (daypass.Caller, error) `yaml:"-"`
}

const (
	skew       = time.Minute // how far clocks may be apart
	askTime    = 5 * time.Second
	keysEach   = 20 * time.Second // keys are fetched no more often, whatever callers send
	mostOfKeys = 1 << 20
)

type issuer struct {
	name, kind, url, keys string
	longest               time.Duration
	who                   func(context.Context, daypass.Secret) (daypass.Caller, error)
	client                *http.Client
	config                *oidc.Config

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil: not discovered yet
}

func newIssuer(text Issuer, c Config) (*issuer, error) {
	is := &issuer{name: text.Name, kind: text.Kind, url: text.URL, keys: text.Keys, longest: text.Longest, who: text.Who}
	bad := func(why string) error { return fmt.Errorf("exchange: issuers: %s: %s", printable(text.Name), why) }
	if is.name == "" {
		return nil, errors.New("exchange: issuers: one has no name")
	}
	if is.longest == 0 {
		is.longest = time.Hour
	}
	if is.longest < 0 || is.longest > 24*time.Hour {
		return nil, bad("longest is between a minute and a day")
	}
	switch {
	case is.kind == JupyterHub:
		if is.who == nil || is.url != "" || is.keys != "" {
			return nil, bad("a hub has api, service and token, and no url or keys")
		}
		return is, nil
	case is.kind != GitHub && is.kind != GitLab:
		return nil, bad("kind is github, gitlab or jupyterhub")
	case is.url == "" && is.kind == GitHub:
		is.url = "https://token.actions.githubusercontent.com"
	case is.url == "":
		is.url = "https://gitlab.com"
	}
	for key, text := range map[string]string{"url": is.url, "keys": is.keys} {
		if text != "" && !trusted(text) {
			return nil, bad(key + " is an https address")
		}
	}
	now := c.Now
	if now == nil {
		now = time.Now
	}
	to := c.Transport
	if to == nil {
		// Keys are public and come by https, so a proxy of the site's may carry them.
		to = http.DefaultTransport.(*http.Transport).Clone()
	}
	is.client = &http.Client{
		Transport: &careful{to: to, each: keysEach, now: now, last: map[string]time.Time{}}, Timeout: 2 * askTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// Times are checked below: stricter, and with the life of the token.
	is.config = &oidc.Config{ClientID: c.Audience, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256}, SkipExpiryCheck: true, Now: now}
	return is, nil
}

// trusted reports whether keys may come from an address: by https, or from this
// machine.
func trusted(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	h := u.Hostname()
	return u.Scheme == "https" || u.Scheme == "http" && (h == "127.0.0.1" || h == "::1" || h == "localhost")
}

// ready returns what verifies, after discovery where that is needed. It is tried
// again where it failed.
func (is *issuer) ready(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.verifier != nil {
		return is.verifier, nil
	}
	ctx = oidc.ClientContext(ctx, is.client)
	keys := is.keys
	if keys == "" {
		p, err := oidc.NewProvider(ctx, is.url)
		if err != nil {
			return nil, err
		}
		var doc struct {
			Keys string `json:"jwks_uri"`
		}
		if err := p.Claims(&doc); err != nil {
			return nil, err
		}
		if !trusted(doc.Keys) {
			return nil, errors.New("the discovery document names no https address for the keys")
		}
		keys = doc.Keys
	}
	is.verifier = oidc.NewVerifier(is.url, oidc.NewRemoteKeySet(ctx, keys), is.config)
	return is.verifier, nil
}

// An IssuerState is whether an issuer's keys can be had; Err is for admins.
type IssuerState struct {
	Name string
	Err  error
}

// Check asks each issuer of OpenID tokens for its keys. A hub is not asked: that
// takes somebody's token.
func (e *Exchange) Check(ctx context.Context) []IssuerState {
	var out []IssuerState
	for _, is := range e.issuers {
		out = append(out, IssuerState{is.name, is.check(ctx)})
	}
	slices.SortFunc(out, func(a, b IssuerState) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// check lets the verifier fetch keys, with a token that nobody signed.
func (is *issuer) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	v, err := is.ready(ctx)
	if err != nil {
		return errors.New(printable(err.Error()))
	}
	enc := base64.RawURLEncoding.EncodeToString
	_, err = v.Verify(ctx, enc([]byte(`{"alg":"RS256","kid":"a check"}`))+"."+enc([]byte(`{}`))+"."+enc(make([]byte, 256)))
	if err != nil && strings.Contains(err.Error(), "fetching keys") {
		return errors.New(printable(err.Error())) // it may hold all that was answered
	}
	return nil
}

// A careful transport asks each address seldom, takes answers of a bounded
// length, and never sees more of a caller than that there is one.
type careful struct {
	to   http.RoundTripper
	each time.Duration
	now  func() time.Time
	mu   sync.Mutex
	last map[string]time.Time
}

var errTooSoon = errors.New("the issuer was asked a moment ago")

// RoundTrip implements [http.RoundTripper].
func (c *careful) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	at, now := r.URL.String(), c.now()
	soon := !c.last[at].IsZero() && now.Sub(c.last[at]) < c.each
	if !soon {
		c.last[at] = now
	}
	c.mu.Unlock()
	if soon {
		return nil, errTooSoon
	}
	res, err := c.to.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{http.MaxBytesReader(nil, res.Body, mostOfKeys), res.Body}
	return res, nil
}

// fromJWT verifies a token. Nothing in it is believed, and nobody is asked,
// before its issuer was found among those configured.
func (e *Exchange) fromJWT(ctx context.Context, text string) (job, error) {
	iss, ok := claimedIssuer(text)
	is := e.issuers[iss]
	if !ok || is == nil {
		return job{}, badToken("its issuer is none of those that are accepted here", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	v, err := is.ready(ctx)
	if err != nil {
		e.log.Error("an issuer cannot be asked for its keys", "issuer", is.name, "err", printable(err.Error()))
		return job{}, away(is)
	}
	t, err := v.Verify(ctx, text)
	if err != nil {
		e.log.Warn("a token was not accepted", "issuer", is.name, "err", printable(err.Error()))
		switch said := err.Error(); {
		case strings.Contains(said, errTooSoon.Error()):
			return job{}, badToken("its signature is not one by the keys that the issuer had a moment ago; if they changed just now, try again in a minute", nil)
		case strings.Contains(said, "fetching keys"):
			return job{}, away(is)
		}
		return job{}, badToken("its signature, its issuer or its audience is not right; the audience is "+e.audience, nil)
	}
	var c claims
	if err := t.Claims(&c); err != nil {
		return job{}, badToken("its claims cannot be read", err)
	}
	if len(t.Audience) != 1 || t.Audience[0] != e.audience {
		return job{}, badToken("it is for others too; make one for "+e.audience+" alone", nil)
	}
	if err := e.checkTimes(is, c); err != nil {
		return job{}, err
	}
	return c.job(is)
}

func (e *Exchange) checkTimes(is *issuer, c claims) error {
	iat, ok1 := c.time("iat")
	exp, ok2 := c.time("exp")
	nbf, ok3 := c.time("nbf")
	now := e.now()
	switch {
	case !ok1 || !ok2 || c["nbf"] != nil && !ok3:
		return badToken("it does not say when it was made and when it ends", nil)
	case !now.Before(exp):
		return badToken("it has expired", nil)
	case iat.After(now.Add(skew)) || ok3 && nbf.After(now.Add(skew)):
		return badToken("it is not good yet; look at the clocks", nil)
	case exp.Sub(iat) > is.longest:
		return badToken("it lasts longer than "+is.longest.String(), nil)
	}
	return nil
}

// claimedIssuer reads the claim iss of a token that is not verified yet, which
// only says whose keys to try.
func claimedIssuer(text string) (string, bool) {
	parts := strings.Split(text, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil || parts[0] == "" || parts[2] == "" {
		return "", false
	}
	var header map[string]json.RawMessage
	first, err := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	// Without a key's name the library would try every key.
	if err != nil || json.Unmarshal(first, &header) != nil || len(header["kid"]) < 3 || header["crit"] != nil {
		return "", false
	}
	var c claims
	if json.Unmarshal(raw, &c) != nil {
		return "", false
	}
	return c.text("iss")
}
