package github

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

const (
	maxGrantLife = 400 * 24 * time.Hour
	maxSane      = 8 << 10 // characters of a token; GitHub fixes no length
)

// Exchange spends the code of a consent (docs: "Generating a user access token
// for a GitHub App"; RFC 7636, 4.5).
func (i *Issuer) Exchange(ctx context.Context, code, verifier, redirect string) (daypass.Grant, error) {
	return i.grant(ctx, map[string]any{"redirect_uri": redirect}, map[string]daypass.Secret{
		"code": daypass.NewSecret(code), "code_verifier": daypass.NewSecret(verifier),
	})
}

// Refresh spends a refresh token (docs: "Refreshing user access tokens"): it
// and the old access token are dead once the host has it.
func (i *Issuer) Refresh(ctx context.Context, refresh daypass.Secret) (daypass.Grant, error) {
	if refresh.IsZero() {
		return daypass.Grant{}, i.spent("to renew")
	}
	return i.grant(ctx, map[string]any{"grant_type": "refresh_token"}, map[string]daypass.Secret{"refresh_token": refresh})
}

// grantAnswer is a token, or an error, either with status 200.
type grantAnswer struct {
	Access      string      `json:"access_token"`
	Life        json.Number `json:"expires_in"`
	Refresh     string      `json:"refresh_token"`
	RefreshLife json.Number `json:"refresh_token_expires_in"`
	Error       string      `json:"error"`
}

// grant asks with each client secret until one is right. A wrong one uses
// nothing up: the client is looked at first.
func (i *Issuer) grant(ctx context.Context, fields map[string]any, hidden map[string]daypass.Secret) (daypass.Grant, error) {
	fields["client_id"] = i.push.ClientID
	for _, n := range i.secrets() {
		hidden["client_secret"] = i.push.ClientSecrets[n]
		a, err := i.ask(ctx, call{
			method: http.MethodPost, url: i.host.Web + "/login/oauth/access_token",
			fields: fields, form: true, hidden: hidden, time: refreshTime,
		})
		if err != nil {
			i.discard(ctx, findTokens(a.body)...)
			return daypass.Grant{}, err
		}
		g, wrongClient, err := i.granted(ctx, a)
		if wrongClient {
			continue
		}
		if err == nil {
			i.secret.Store(int64(n))
		}
		return g, err
	}
	return daypass.Grant{}, i.badClient()
}

// granted reads an answer. Nothing but a plain token or an error that is known
// is taken for an outcome.
func (i *Issuer) granted(ctx context.Context, a answer) (g daypass.Grant, wrongClient bool, err error) {
	now := i.now()
	if a.limited() {
		return g, false, i.slower(a)
	}
	var said grantAnswer
	if a.status >= 500 || bytes.IndexByte(a.body, '{') < 0 || !a.into(&said) {
		i.discard(ctx, findTokens(a.body)...)
		return g, false, i.unusable("it is out of order", nil)
	}
	switch said.Error {
	case "":
	case "incorrect_client_credentials", "invalid_client":
		return g, true, nil
	default:
		return g, false, i.grantProblem(said.Error)
	}
	if a.status == http.StatusOK && strings.HasPrefix(said.Access, "gho_") {
		i.discard(ctx, daypass.NewSecret(said.Access))
		return g, false, i.oauthApp()
	}
	until, okAccess := ends(said.Life, now)
	renew, okRefresh := ends(said.RefreshLife, now)
	if a.status != http.StatusOK || !sane(said.Access) || said.Refresh != "" && !sane(said.Refresh) || !okAccess || !okRefresh {
		i.discard(ctx, findTokens(a.body)...)
		return g, false, i.unusable("it holds no token that can be used", nil)
	}
	g = daypass.Grant{Access: daypass.NewSecret(said.Access), Until: until, Refresh: daypass.NewSecret(said.Refresh)}
	if said.Refresh != "" {
		g.Renew = renew
	}
	return g, false, nil
}

// ends counts from our own clock at receipt, whatever the host's clock shows.
// No number at all means that the App's tokens never end.
func ends(life json.Number, now time.Time) (time.Time, bool) {
	if life == "" {
		return daypass.Forever, true
	}
	secs, err := life.Float64()
	if err != nil || !(secs > 0) {
		return time.Time{}, false
	}
	return now.Add(time.Duration(min(secs, maxGrantLife.Seconds()) * float64(time.Second))), true
}

// sane takes any token that fits into a header.
func sane(s string) bool {
	return s != "" && len(s) <= maxSane && !strings.ContainsFunc(s, notVisible)
}

func (i *Issuer) oauthApp() error {
	return &daypass.Problem{
		Code: "DP-843", What: "the client id belongs to an OAuth App, whose tokens reach everything that their owner can",
		Next: "Ask whoever runs the access service.", Who: "They make a GitHub App instead: \"daypass admin app new\".", Kind: daypass.ErrRefused,
	}
}

// grantProblem tells a documented error (docs: "Troubleshooting OAuth app access
// token request errors"; RFC 6749, 5.2). One that is not known here leaves open
// what happened.
func (i *Issuer) grantProblem(code string) error {
	title := i.host.Title()
	p := &daypass.Problem{Kind: daypass.ErrRefused, Next: "Ask whoever runs the access service."}
	switch code {
	case "bad_refresh_token":
		return i.spent("to renew")
	case "bad_verification_code", "access_denied", "invalid_grant":
		p.Code, p.What = "DP-841", title+" did not take the code that came back from your yes"
		p.Why, p.Next = "it was used before, or ended", "Connect again."
	case "unverified_user_email":
		p.Code, p.What = "DP-842", title+" gives no access to an account whose e-mail address is not verified"
		p.Next = "Verify it on " + i.host.Web + "/settings/emails, then connect again."
	case "redirect_uri_mismatch":
		p.Code, p.What = "DP-843", title+" does not know the address to which it should send people back"
		p.Who = "They add it in the App's settings as \"Callback URL\", to the letter."
	case "application_suspended", "Not Found", "Not found":
		p.Code, p.What = "DP-843", title+" knows no such App, or has suspended it"
		p.Who = "They look at the App's settings."
	case "unsupported_grant_type", "unauthorized_client", "invalid_request":
		p.Code, p.What = "DP-843", title+" refused how it was asked ("+code+")"
		p.Who = "They look whether the host is new enough, and at the App's settings."
	case "slow_down":
		return slowDown{host: i.host.Name, after: usualWait}
	default:
		return i.unusable("it answered with an error that is not known ("+quote(clip(code))+")", nil)
	}
	return p
}

func clip(s string) string { return s[:min(len(s), 60)] }
