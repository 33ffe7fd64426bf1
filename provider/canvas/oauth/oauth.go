// Package oauth is how a person lets a service read their files on a Canvas LMS site:
// OAuth 2.0 with a developer key of that site (the vendor's documentation of its API,
// "OAuth2" and "OAuth2 endpoints"). Its client asks where tokens are made and ended, and
// whose one is; it knows no course and no file, and follows no redirect.
package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// A Config is a site and the developer key that its admins made. Host, ClientID and
// ClientSecret are required.
type Config struct {
	Host         string // "canvas.example.edu"; at a loopback address it is asked without TLS
	ClientID     string
	ClientSecret daypass.Secret
	Dial         func(ctx context.Context, network, address string) (net.Conn, error)
	Base         http.RoundTripper // in place of the network, for tests
	Now          func() time.Time  // nil means time.Now
}

// Scopes are all that a connection asks for: to read files, folders and modules, to list
// one's courses, and whose it is. A key that enforces scopes has to have all of them, and should have no
// other: then no token of it can write, whoever holds it.
func Scopes() []string {
	var out []string
	for _, context := range []string{"courses/:course_id", "groups/:group_id", "users/:user_id"} {
		for _, what := range []string{"files", "files/:id", "folders", "folders/:id", "folders/by_path", "folders/by_path/*full_path"} {
			out = append(out, "url:GET|/api/v1/"+context+"/"+what)
		}
	}
	for _, path := range []string{"files/:id", "folders/:id", "courses/:course_id/modules", "courses/:course_id/modules/:module_id/items", "courses", "courses/:id", "groups/:group_id", "users/:id"} {
		out = append(out, "url:GET|/api/v1/"+path)
	}
	return out
}

// Issuer signs people in at one site. It is a [daypass.Issuer] of content: of
// repositories it knows nothing.
type Issuer struct {
	Config
	origin string
	client *http.Client
}

var _ daypass.Issuer = (*Issuer)(nil)

var errRedirect = errors.New("oauth: a redirect")

// New returns a site's issuer. Errors: what is missing.
func New(c Config) (*Issuer, error) {
	if !daypass.CleanHost(c.Host) || c.ClientID == "" || c.ClientSecret.IsZero() {
		return nil, errors.New("canvas: host, client id or client secret is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	base := c.Base
	if base == nil {
		base = &http.Transport{DialContext: c.Dial, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxAnswer, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute}
	}
	i := &Issuer{Config: c, origin: "https://" + c.Host}
	if daypass.Loopback(c.Host) {
		i.origin = "http://" + c.Host
	}
	i.client = &http.Client{Transport: base, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect }}
	return i, nil
}

const maxAnswer = 256 << 10

// Host is the site.
func (i *Issuer) Host() string { return i.Config.Host }

// App is the developer key's id.
func (i *Issuer) App() string { return i.ClientID }

// Traits say that its tokens are for reading content.
func (i *Issuer) Traits() daypass.Traits { return daypass.Traits{Content: true} }

// ConsentURL is where a person says yes. Sites that know no RFC 7636 leave the
// challenge out of account.
func (i *Issuer) ConsentURL(c daypass.Consent) string {
	q := url.Values{
		"client_id": {i.ClientID}, "response_type": {"code"}, "redirect_uri": {c.Redirect}, "state": {c.State}, "scope": {strings.Join(Scopes(), " ")}, "purpose": {"daypass"},
		"code_challenge": {c.Challenge}, "code_challenge_method": {"S256"},
	}
	if c.Choose {
		q.Set("force_login", "1")
	}
	return i.origin + "/login/oauth2/auth?" + q.Encode()
}

// ReachURL is the page where a person ends what they granted.
func (i *Issuer) ReachURL() string { return i.origin + "/profile/settings" }

// A said is an answer of the token endpoint.
type said struct {
	Access  string      `json:"access_token"`
	Type    string      `json:"token_type"`
	Refresh string      `json:"refresh_token"`
	Life    json.Number `json:"expires_in"`
	Error   string      `json:"error"`
}

// Exchange spends the code that came back.
func (i *Issuer) Exchange(ctx context.Context, code, verifier, redirect string) (daypass.Grant, error) {
	g, err := i.token(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
	if errors.Is(err, errGrant) {
		err = refused("DP-431", "Canvas at "+i.Config.Host+" did not take the code that came back from your yes", "it was used before, or ended", "Connect again.")
	}
	return g, err
}

// Refresh gets another access token. Canvas gives no other token to renew with: the
// same stays good, until somebody ends the grant.
func (i *Issuer) Refresh(ctx context.Context, refresh daypass.Secret) (daypass.Grant, error) {
	if refresh.IsZero() {
		return daypass.Grant{}, i.spent()
	}
	g, err := i.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh.Reveal()}})
	if errors.Is(err, errGrant) {
		return g, i.spent()
	}
	if err == nil && g.Refresh.IsZero() {
		g.Refresh, g.Renew = refresh, daypass.Forever
	}
	return g, err
}

// Check asks whether the site knows the developer key and its secret, by something to
// renew that there is not. It uses nothing up.
func (i *Issuer) Check(ctx context.Context) error {
	_, err := i.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"none"}})
	if errors.Is(err, errGrant) {
		return nil
	}
	if err == nil {
		return i.unusable("it renews what there is not", nil)
	}
	return err
}

// errGrant: Canvas does not take the code, or what was to be renewed.
var errGrant = errors.New("oauth: invalid_grant")

func (i *Issuer) token(ctx context.Context, form url.Values) (daypass.Grant, error) {
	form.Set("client_id", i.ClientID)
	form.Set("client_secret", i.ClientSecret.Reveal())
	a, err := i.ask(ctx, http.MethodPost, "/login/oauth2/token", daypass.Secret{}, form)
	if err != nil {
		return daypass.Grant{}, err
	}
	var s said
	if json.Unmarshal(a.body, &s) != nil {
		return daypass.Grant{}, i.unusable("it is no answer of Canvas's", nil)
	}
	switch s.Error {
	case "":
	case "invalid_grant":
		return daypass.Grant{}, errGrant
	case "invalid_client", "unauthorized_client":
		return daypass.Grant{}, refused("DP-430", "Canvas at "+i.Config.Host+" does not take the service's developer key", "it was turned off or deleted, or its secret is another", "Ask whoever runs the access service.")
	case "invalid_scope", "invalid_request", "unsupported_grant_type":
		return daypass.Grant{}, refused("DP-432", "Canvas at "+i.Config.Host+" refused how it was asked", "the developer key does not have what daypass asks for", "Ask whoever runs the access service.")
	default:
		return daypass.Grant{}, i.unusable("it is an error that is not known", nil)
	}
	secs, err := s.Life.Float64()
	if a.status != http.StatusOK || !sane(s.Access) || s.Refresh != "" && !sane(s.Refresh) || !strings.EqualFold(s.Type, "bearer") || s.Life != "" && (err != nil || !(secs > 0)) {
		return daypass.Grant{}, i.unusable("it holds no token that can be used", nil)
	}
	g := daypass.Grant{Access: daypass.NewSecret(s.Access), Until: daypass.Forever}
	if s.Life != "" { // keys of before 2015 give tokens without an end
		g.Until = i.Now().Add(time.Duration(min(secs, (30*24*time.Hour).Seconds()) * float64(time.Second)))
	}
	if s.Refresh != "" {
		g.Refresh, g.Renew = daypass.NewSecret(s.Refresh), daypass.Forever
	}
	return g, nil
}

func sane(s string) bool {
	return s != "" && len(s) <= 8<<10 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Whose asks whose a token is. Canvas shows people no login names: the account is called
// by its name.
func (i *Issuer) Whose(ctx context.Context, access daypass.Secret) (daypass.Account, error) {
	if access.IsZero() {
		return daypass.Account{}, i.spent()
	}
	a, err := i.ask(ctx, http.MethodGet, "/api/v1/users/self", access, nil)
	if err != nil {
		return daypass.Account{}, err
	}
	if a.status != http.StatusOK {
		return daypass.Account{}, i.no(a)
	}
	var u struct {
		ID    json.RawMessage `json:"id"`
		Name  string          `json:"name"`
		Login string          `json:"login_id"`
	}
	if json.Unmarshal(a.body, &u) != nil {
		return daypass.Account{}, i.unusable("it names no account", nil)
	}
	id, err := strconv.ParseInt(strings.Trim(string(u.ID), `"`), 10, 64)
	if err != nil || id <= 0 {
		return daypass.Account{}, i.unusable("it names no account", err)
	}
	name, number := line(u.Name), strconv.FormatInt(id, 10)
	out := daypass.Account{ID: id, Name: name, Login: line(u.Login), Email: "user-" + number + "@canvas.invalid"} // no commit is made by it
	for _, login := range []string{name, "user " + number} {
		if out.Login == "" {
			out.Login = login
		}
	}
	return out, nil
}

// line is a text that fits a page's line, or "".
func line(s string) string {
	if len(s) > 200 || strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}) {
		return ""
	}
	return s
}

// Live reports whether the site takes a token.
func (i *Issuer) Live(ctx context.Context, token daypass.Secret) (bool, error) {
	_, err := i.Whose(ctx, token)
	if errors.Is(err, daypass.ErrSpent) {
		return false, nil
	}
	return err == nil, err
}

// Revoke ends a token, and what renews it.
func (i *Issuer) Revoke(ctx context.Context, token daypass.Secret) error {
	if token.IsZero() {
		return nil
	}
	a, err := i.ask(ctx, http.MethodDelete, "/login/oauth2/token", token, nil)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusOK || a.status == http.StatusNoContent:
		return nil
	}
	if err = i.no(a); errors.Is(err, daypass.ErrSpent) {
		return nil
	}
	return err
}

// Disconnect is Revoke: each yes at Canvas is a grant of its own, and ends with its
// token.
func (i *Issuer) Disconnect(ctx context.Context, access daypass.Secret) error {
	return i.Revoke(ctx, access)
}

// An answer is one that came whole.
type answer struct {
	status int
	head   http.Header
	body   []byte
}

// ask makes one request, once. Its errors wrap [daypass.ErrUnreachable], or
// [daypass.ErrLimited].
func (i *Issuer) ask(ctx context.Context, method, path string, as daypass.Secret, form url.Values) (answer, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, i.origin+path, body)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", "daypass")
	req.Header.Set("Accept", "application/json+canvas-string-ids, application/json")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if !as.IsZero() {
		req.Header.Set("Authorization", "Bearer "+as.Reveal())
	}
	res, err := i.client.Do(req)
	if err != nil {
		return answer{}, i.unusable("no answer came, or one that leads elsewhere", err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, head: res.Header}
	a.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	busy := res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusForbidden && bytes.Contains(a.body, []byte("Rate Limit Exceeded"))
	switch {
	case err != nil:
		return a, i.unusable("it ended early", err)
	case len(a.body) > maxAnswer:
		return a, i.unusable("it is too long", nil)
	case busy:
		return a, slowDown{i.Config.Host, i.wait(res.Header)}
	case res.StatusCode >= 500:
		return a, i.unusable(fmt.Sprintf("it is out of order (HTTP %d)", res.StatusCode), nil)
	}
	return a, nil
}

func (i *Issuer) wait(h http.Header) time.Duration {
	wait := time.Minute
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil && n > 0 {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(h.Get("Retry-After")); err == nil && at.After(i.Now()) {
		wait = at.Sub(i.Now())
	}
	return min(wait, 24*time.Hour)
}

// no: Canvas refused. An answer of 401 with WWW-Authenticate is of a token that is dead,
// one without is of what the token may not; what is none of Canvas's own is nobody's.
func (i *Issuer) no(a answer) error {
	var own struct {
		Status string          `json:"status"`
		Errors json.RawMessage `json:"errors"`
	}
	switch {
	case json.Unmarshal(a.body, &own) != nil || own.Status == "" && own.Errors == nil:
		return i.unusable("it is no answer of Canvas's", nil)
	case a.status == http.StatusUnauthorized && a.head.Get("WWW-Authenticate") != "":
		return i.spent()
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return refused("DP-432", "Canvas at "+i.Config.Host+" refused how it was asked", "the developer key does not have what daypass asks for", "Ask whoever runs the access service.")
	}
	return i.unusable(fmt.Sprintf("HTTP %d", a.status), nil)
}
