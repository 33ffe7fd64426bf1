package github

import (
	"crypto/rsa"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/daypass-dev/daypass"
)

// A PushApp is the GitHub App that people connect: it acts for a person who
// said yes, within what that person may do, and has no private key.
type PushApp struct {
	ClientID string
	// ClientSecrets are tried in this order, so that one can be replaced by the
	// next without a pause.
	ClientSecrets []daypass.Secret
	// AppURL is the App's public page, where owners install it; may be empty.
	AppURL string
}

// A ContentApp is the GitHub App that reads course content for everybody whom a
// rule names. It has a private key, and is never the App that people connect.
type ContentApp struct {
	ClientID string
	Key      daypass.Secret // the private key as GitHub hands it out, in PEM
	AppURL   string         // may be empty
}

// IssuerConfig is what [NewIssuer] needs.
type IssuerConfig struct {
	Host    Host
	Push    PushApp
	Content *ContentApp // nil: nothing is issued as the hub
	// Transport carries the requests; nil means [NewTransport] with room for
	// many requests at once. It must verify certificates, and not follow
	// redirects, as http.Transport does.
	Transport http.RoundTripper
	Now       func() time.Time
	// ChildrenSurvive: at this host a child goes on when its parent is
	// refreshed. GitHub does not say; false is the careful reading.
	ChildrenSurvive bool
	// AnySelection: the answer that makes a token narrow may say "all" where the App
	// is installed on all repositories of an owner. GitHub does not say whose
	// repository_selection it is; false is the careful reading. What the token
	// reaches is seen for itself either way.
	AnySelection bool
}

// maxChildren leaves one of the ten tokens that GitHub documents for one person
// and App ("Token expiration and revocation") to the connection itself.
const maxChildren = 9

// maxAtOnce stays well below the 100 requests that GitHub takes at once (docs:
// "Rate limits for the REST API", secondary limits).
const maxAtOnce = 48

// An Issuer makes credentials at one host by its Apps. It keeps no token, and
// is safe for concurrent use.
type Issuer struct {
	host    Host
	push    PushApp
	content *contentApp
	base    http.RoundTripper
	now     func() time.Time
	survive bool
	any     bool         // AnySelection
	secret  atomic.Int64 // which of push.ClientSecrets was right last
}

// contentApp is a ContentApp whose key was read. The key is only within sign.
type contentApp struct {
	clientID, url string
	sign          func(jwt.RegisteredClaims) (string, error)

	mu     sync.Mutex
	offset time.Duration          // the host's clock against ours, once it complained
	owners map[string]*atOneOwner // installations by owner in lower case
}

var _ daypass.Issuer = (*Issuer)(nil)

// NewIssuer checks a configuration without asking the host. Its errors are
// Problems of kind daypass.ErrUsage, and hold nothing of a key or a secret.
func NewIssuer(c IssuerConfig) (*Issuer, error) {
	if c.Host.Name == "" || c.Host.Web == "" || c.Host.API == "" || c.Now == nil {
		return nil, misfit("the host or the clock is missing", "Name the host, as in \"github.com\".")
	}
	if err := checkPush(c.Host, c.Push); err != nil {
		return nil, err
	}
	i := &Issuer{host: c.Host, push: c.Push, base: c.Transport, now: c.Now, survive: c.ChildrenSurvive, any: c.AnySelection}
	i.push.ClientSecrets = append([]daypass.Secret(nil), c.Push.ClientSecrets...)
	i.push.AppURL = strings.TrimRight(c.Push.AppURL, "/")
	if i.base == nil {
		t := NewTransport()
		t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxConnsPerHost = 32, 16, maxAtOnce
		i.base = t
	}
	if c.Content == nil {
		return i, nil
	}
	if c.Content.ClientID == c.Push.ClientID {
		return nil, misfit("one App is named for pushing and for content",
			"Make a second App for content: whoever has its private key reads without anybody's yes, so it must never be able to write.")
	}
	app, err := newContentApp(c.Host, *c.Content)
	if err != nil {
		return nil, err
	}
	i.content = app
	return i, nil
}

func checkPush(h Host, p PushApp) error {
	if why := ClientIDMistake(p.ClientID); why != "" {
		return misfit("the client id of the App to connect: "+why, "Copy \"Client ID\" from the App's settings.")
	}
	if len(p.ClientSecrets) == 0 {
		return misfit("the App to connect has no client secret", "Make one in the App's settings, and name its file.")
	}
	for _, s := range p.ClientSecrets {
		if v := s.Reveal(); v == "" || len(v) > 512 || strings.ContainsFunc(v, notVisible) {
			return misfit("a client secret of the App to connect is empty, or more than one line", "Put the secret alone into its file.")
		}
	}
	return checkAppURL(h, p.AppURL)
}

func checkAppURL(h Host, link string) error {
	if link == "" {
		return nil
	}
	if why := AppLinkMistake(link); why != "" {
		return misfit("the link to an App: "+why, "Copy \"Public link\" from the App's settings.")
	}
	if !h.OwnURL(link) {
		return misfit("the link to an App is on another host than "+h.Name, "Copy \"Public link\" from the App's settings at "+h.Name+".")
	}
	return nil
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

func newContentApp(h Host, c ContentApp) (*contentApp, error) {
	if why := ClientIDMistake(c.ClientID); why != "" {
		return nil, misfit("the client id of the content App: "+why, "Copy \"Client ID\" from the App's settings.")
	}
	if err := checkAppURL(h, c.AppURL); err != nil {
		return nil, err
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(c.Key.Reveal()))
	if err != nil || key.N.BitLen() < 2048 {
		return nil, misfit("the content App's private key cannot be read", "Name the file with the .pem that GitHub handed out, as it is.")
	}
	out := &contentApp{clientID: c.ClientID, url: strings.TrimRight(c.AppURL, "/"), owners: map[string]*atOneOwner{}}
	out.sign = signer(key)
	return out, nil
}

func signer(key *rsa.PrivateKey) func(jwt.RegisteredClaims) (string, error) {
	return func(c jwt.RegisteredClaims) (string, error) {
		return jwt.NewWithClaims(jwt.SigningMethodRS256, c).SignedString(key)
	}
}

func misfit(what, next string) error {
	return &daypass.Problem{Code: "DP-843", What: what, Next: next, Kind: daypass.ErrUsage}
}

// Host is the host as git names it.
func (i *Issuer) Host() string { return i.host.Name }

// App is the client id of the push App.
func (i *Issuer) App() string { return i.push.ClientID }

// Traits says what this host does, pessimistically where GitHub does not say.
func (i *Issuer) Traits() daypass.Traits {
	return daypass.Traits{ChildrenSurvive: i.survive, MaxChildren: maxChildren, AsHub: i.content != nil}
}

// ConsentURL is where a person says yes (docs: "Generating a user access token
// for a GitHub App", web application flow; RFC 7636 with S256).
func (i *Issuer) ConsentURL(c daypass.Consent) string {
	q := url.Values{
		"client_id": {i.push.ClientID}, "redirect_uri": {c.Redirect}, "state": {c.State},
		"code_challenge": {c.Challenge}, "code_challenge_method": {"S256"},
	}
	if c.Login != "" {
		q.Set("login", c.Login)
	}
	if c.Choose {
		q.Set("prompt", "select_account")
	}
	return i.host.Web + "/login/oauth/authorize?" + q.Encode()
}

// ReachURL is the page where a person chooses the App's repositories.
func (i *Issuer) ReachURL() string {
	if i.push.AppURL == "" {
		return i.host.Web + "/settings/installations"
	}
	return i.push.AppURL + "/installations/new"
}
