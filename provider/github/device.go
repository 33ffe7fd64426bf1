package github

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/daypass-dev/daypass"
)

const (
	minInterval = 5 * time.Second // RFC 8628, 3.2: the default where the server gives none
	maxInterval = 60 * time.Second
	maxCodeLife = 30 * time.Minute
)

// plainUserCode reports whether a code is what a person can be shown and type.
func plainUserCode(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return len(s) >= 4 && len(s) <= 16
}

// A Code is what a person types to say yes: on the page, this code, before it ends.
type Code struct {
	User    string // "WDJB-MJHT"
	Page    string // where to type it, on the host itself
	Expires time.Time
	auth    oauth2.DeviceAuthResponse
}

// A Token is what the host gave for a code or a refresh token.
type Token struct {
	Access         daypass.Secret
	Refresh        daypass.Secret // zero where the App gives none
	Expires        time.Time      // zero where the App's tokens never end
	RefreshExpires time.Time
}

// OAuthApp reports whether an OAuth App, not a GitHub App, made the token: it
// reaches everything that its owner can.
func (t Token) OAuthApp() bool { return !strings.HasPrefix(t.Access.Reveal(), "ghu_") }

// Start asks the host for a code (RFC 8628, 3.1; GitHub docs: "Generating a
// user access token for a GitHub App"). No scope is sent: a GitHub App ignores
// it, and to an OAuth App it would give everything.
func (c *Client) Start(ctx context.Context) (*Code, error) {
	g := c.guard(maxOAuthBody)
	g.ctx, g.oauth = ctx, true
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: g, CheckRedirect: noRedirect})
	da, err := c.oauth().DeviceAuth(ctx)
	c.noteSkew(g)
	if err != nil {
		return nil, c.oauthProblem(err)
	}
	if da.DeviceCode == "" {
		return nil, c.badAnswer("it sent no code", nil)
	}
	return c.checkedCode(da)
}

// checkedCode takes nothing from the host on trust (attack table, row 29).
func (c *Client) checkedCode(da *oauth2.DeviceAuthResponse) (*Code, error) {
	now := c.now()
	switch {
	case !plainUserCode(da.UserCode):
		return nil, c.badAnswer("its code has an odd shape", nil)
	case !c.host.OwnURL(da.VerificationURI):
		return nil, c.badAnswer("it names a page on another host to type the code on", nil)
	}
	if da.Expiry.IsZero() || da.Expiry.After(now.Add(maxCodeLife)) {
		da.Expiry = now.Add(maxCodeLife)
	}
	interval := time.Duration(da.Interval) * time.Second
	least := minInterval
	if Loopback(hostname(c.host.Name)) {
		least = time.Second
	}
	// A fifth more than asked: timers are not exact and some machines' clocks run
	// fast, and GitHub answers an early poll with a longer wait (cli/cli #9370).
	interval = min(max(interval, least), maxInterval) * 6 / 5
	da.Interval = int64((interval + time.Second - 1) / time.Second)
	return &Code{User: da.UserCode, Page: da.VerificationURI, Expires: da.Expiry, auth: *da}, nil
}

func hostname(hostport string) string {
	if i := strings.LastIndexByte(hostport, ':'); i > strings.LastIndexByte(hostport, ']') {
		hostport = hostport[:i]
	}
	return strings.Trim(hostport, "[]")
}

// Await polls until the person has decided or the code has ended. A repository
// id other than 0 asks for a token for that repository only; GitHub ignores the
// id without a word where the App or the person cannot reach the repository, so
// that the caller must look at what the token reaches.
func (c *Client) Await(ctx context.Context, code *Code, repository int64) (Token, error) {
	g := c.tokenGuard()
	g.pause = &pacer{}
	var opts []oauth2.AuthCodeOption
	if repository != 0 {
		opts = append(opts, oauth2.SetAuthURLParam("repository_id", strconv.FormatInt(repository, 10)))
	}
	hctx := context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: g, CheckRedirect: noRedirect})
	tok, err := c.oauth().DeviceAccessToken(hctx, &code.auth, opts...)
	c.noteSkew(g)
	if err != nil {
		c.keepReceived(g)
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && !c.now().Before(code.Expires) {
			return Token{}, c.codeExpired(err)
		}
		return Token{}, c.oauthProblem(err)
	}
	c.keepReceived(g)
	return c.token(tok)
}

// Renew spends a refresh token (single use: the old access token dies with it).
// No client secret is needed for tokens that came by a device flow.
func (c *Client) Renew(ctx context.Context, refresh daypass.Secret) (Token, error) {
	g := c.tokenGuard()
	hctx := context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: g, CheckRedirect: noRedirect})
	tok, err := c.oauth().TokenSource(hctx, &oauth2.Token{RefreshToken: refresh.Reveal()}).Token()
	c.noteSkew(g)
	c.keepReceived(g)
	if err != nil {
		return Token{}, c.oauthProblem(err)
	}
	return c.token(tok)
}

func (c *Client) oauth() *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.clientID,
		Endpoint: oauth2.Endpoint{
			DeviceAuthURL: c.host.Web + "/login/device/code",
			TokenURL:      c.host.Web + "/login/oauth/access_token",
			AuthStyle:     oauth2.AuthStyleInParams,
		},
	}
}

func (c *Client) tokenGuard() *guard {
	g := c.guard(maxOAuthBody)
	g.keep, g.oauth = true, true
	return g
}

// token takes an answer over. What the host calls a token is handed to whoever
// ends tokens first, also where its shape is none that is known.
func (c *Client) token(tok *oauth2.Token) (Token, error) {
	c.noteReceived(tok.AccessToken, tok.RefreshToken)
	if tokenLength([]byte(tok.AccessToken)) != len(tok.AccessToken) {
		return Token{}, c.badAnswer("its token has an odd shape", nil)
	}
	out := Token{Access: daypass.NewSecret(tok.AccessToken), Expires: tok.Expiry}
	if tok.RefreshToken != "" {
		out.Refresh = daypass.NewSecret(tok.RefreshToken)
		if secs, ok := tok.Extra("refresh_token_expires_in").(float64); ok && secs > 0 {
			out.RefreshExpires = c.now().Add(time.Duration(min(secs, 400*86400)) * time.Second)
		}
	}
	return out, nil
}
