package fake

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// GitHub's documented lives of user tokens and their refresh tokens:
// docs.github.com, "Generating a user access token for a GitHub App".
const (
	tokenLife   = 8 * time.Hour
	refreshLife = 15_811_200 * time.Second
)

// A token is a user access token with the refresh token that came with it.
// An empty access or refresh value means that part is dead.
type token struct {
	access, refresh string
	app             *App   // as it was when the token was made; compare by ClientID
	user            string // login
	limit           int64  // the one repository it reaches, or 0
	scopes          []string
	sso             []string // organisations with a SAML session when it was authorised
	made            time.Time
	accessEnds      time.Time // zero: never
	refreshEnds     time.Time
}

// TokenInfo tells about a live token without showing it.
type TokenInfo struct {
	Kind         string // "ghu" or "gho"
	Fingerprint  string // of the access token
	Refresh      string // fingerprint of the refresh token; empty without one
	ClientID     string
	User         string
	RepositoryID int64 // the only one it reaches; 0 for all
	Scopes       []string
	Expires      time.Time // zero: never
}

func (t *token) info() TokenInfo {
	kind, _, _ := strings.Cut(t.access, "_")
	return TokenInfo{
		Kind: kind, Fingerprint: Fingerprint(t.access), Refresh: Fingerprint(t.refresh), ClientID: t.app.ClientID,
		User: t.user, RepositoryID: t.limit, Scopes: slices.Clone(t.scopes), Expires: t.accessEnds,
	}
}

// issue makes a token for user. It holds g.mu.
func (g *GitHub) issue(app *App, user string, limit int64, scopes []string) (*token, error) {
	prefix := "ghu_"
	if app.Kind == OAuthApp {
		prefix, limit = "gho_", 0
	}
	t := &token{app: app, user: user, limit: limit, scopes: scopes, made: g.now()}
	if u := g.userNamed(user); u != nil {
		t.sso = slices.Clone(u.SSO)
	}
	var err error
	if t.access, err = g.secret(prefix); err != nil {
		return nil, err
	}
	if app.Kind == GitHubApp && !app.NeverExpire {
		if t.refresh, err = g.secret("ghr_"); err != nil {
			return nil, err
		}
		t.accessEnds = t.made.Add(orElse(g.sw.TokenLife, tokenLife))
		t.refreshEnds = t.made.Add(orElse(g.sw.RefreshLife, refreshLife))
	}
	g.tokens = append(g.tokens, t)
	return t, nil
}

func (g *GitHub) secret(prefix string) (string, error) {
	s, err := randomText(g.rand, alphanumeric, 36)
	if err != nil {
		return "", fmt.Errorf("fake: make a token: %w", err)
	}
	return prefix + s, nil
}

func orElse[T comparable](v, usual T) T {
	var zero T
	if v == zero {
		return usual
	}
	return v
}

// live returns the token with this access value, if it still works.
func (g *GitHub) live(access string) *token {
	for _, t := range g.tokens {
		if access != "" && t.access == access && g.alive(t) {
			return t
		}
	}
	return nil
}

func (g *GitHub) alive(t *token) bool {
	return t.access != "" && (t.accessEnds.IsZero() || g.now().Before(t.accessEnds))
}

// refreshed exchanges a refresh token. Both halves of the old pair die, also
// where the exchange comes twice at the same moment: docs.github.com,
// "Refreshing user access tokens".
func (g *GitHub) refreshed(app *App, refresh string) (*token, error) {
	for _, t := range g.tokens {
		if refresh == "" || t.refresh != refresh || t.app.ClientID != app.ClientID || !g.now().Before(t.refreshEnds) {
			continue
		}
		limit := t.limit
		if g.sw.RefreshWidens {
			limit = 0
		}
		t.access, t.refresh = "", ""
		n, err := g.issue(app, t.user, limit, t.scopes)
		if n != nil {
			n.sso = t.sso
		}
		return n, err
	}
	return nil, nil
}

// revoke ends the token or refresh token with this value and reports whether
// there was one. It holds g.mu.
func (g *GitHub) revoke(value string) bool {
	for _, t := range g.tokens {
		switch {
		case value == "":
		case t.access == value:
			t.access = ""
			// The refresh token goes on: docs.github.com says of each
			// credential only that it is revoked itself.
			g.revoked++
			return true
		case t.refresh == value:
			t.refresh = ""
			g.revoked++
			if g.sw.RevokeTiesPair && t.access != "" {
				t.access = ""
				g.revoked++
			}
			return true
		}
	}
	return false
}

// LiveTokens returns the access tokens that work now, oldest first.
func (g *GitHub) LiveTokens() []TokenInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []TokenInfo
	for _, t := range g.tokens {
		if g.alive(t) {
			out = append(out, t.info())
		}
	}
	return out
}

// LiveRefreshTokens returns the fingerprints of the refresh tokens that work
// now, oldest first.
func (g *GitHub) LiveRefreshTokens() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for _, t := range g.tokens {
		if t.refresh != "" && g.now().Before(t.refreshEnds) {
			out = append(out, Fingerprint(t.refresh))
		}
	}
	return out
}

// Token tells about the live access token with this value.
func (g *GitHub) Token(access string) (info TokenInfo, live bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.live(access); t != nil {
		return t.info(), true
	}
	return TokenInfo{}, false
}

// Revoked returns how many tokens and refresh tokens have been revoked, by
// /credentials/revoke or by the user on a page.
func (g *GitHub) Revoked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.revoked
}

// Issue makes a token without a device flow, as if login had authorised the
// App before. The refresh token is empty where the App's tokens never expire.
// repositoryID limits it, 0 does not; scopes are for OAuth Apps.
func (g *GitHub) Issue(clientID, login string, repositoryID int64, scopes ...string) (access, refresh string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	app, u := g.appWith(clientID), g.userNamed(login)
	if app == nil || u == nil {
		return "", "", fmt.Errorf("fake: no App %q or no user %q", clientID, login)
	}
	t, err := g.issue(app, u.Login, repositoryID, scopes)
	if err != nil {
		return "", "", err
	}
	return t.access, t.refresh, nil
}

// ExpireTokens ends every access token that can expire, as time would. Their
// refresh tokens go on.
func (g *GitHub) ExpireTokens() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.tokens {
		if !t.accessEnds.IsZero() {
			t.accessEnds = g.now()
		}
	}
}

// Disconnect revokes a user's whole authorisation of an App, as its button in
// the user's settings does, and returns how many live tokens that ended.
func (g *GitHub) Disconnect(clientID, login string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.disconnect(clientID, login)
}

func (g *GitHub) disconnect(clientID, login string) int {
	n := 0
	for _, t := range g.tokens {
		if t.app.ClientID != clientID || !strings.EqualFold(t.user, login) {
			continue
		}
		if t.access != "" {
			n++
		}
		t.access, t.refresh = "", ""
	}
	g.revoked += n
	return n
}
