package fake

import (
	"fmt"
	"maps"
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

// A token is a user access token with the refresh token that came with it, a
// scoped token made from one, or an App's own for an installation. An empty
// access or refresh value means that part is dead.
type token struct {
	id              int64
	access, refresh string
	app             *App   // as it was when the token was made; compare by ClientID
	user            string // login; empty for an installation's
	limit           int64  // the one repository it reaches, or 0
	web             bool   // from the web flow: to refresh it needs the client secret
	scopes          []string
	install         int64             // number of the installation whose own it is, or 0
	target          string            // account that a scoped token is for, or empty
	only            []int64           // the repositories it reaches; nil: all that the rest allows
	perms           map[string]string // what it may do at most; nil: all that the rest allows
	scoped          bool              // made from another
	children        []*token          // scoped tokens made from it
	heir            *token            // the token that a refresh put in its place, if that is remembered
	sso             []string          // organisations with a SAML session when it was authorised
	made            time.Time
	accessEnds      time.Time // zero: never
	refreshEnds     time.Time
}

// TokenInfo tells about a live token without showing it.
type TokenInfo struct {
	Kind         string // "ghu", "gho" or "ghs"
	Fingerprint  string // of the access token
	Refresh      string // fingerprint of the refresh token; empty without one
	ClientID     string
	User         string            // empty for an installation's
	RepositoryID int64             // the only one that repository_id left it; 0 for all
	Installation int64             // whose own it is; 0 for a user's
	Scoped       bool              // made from another by /token/scoped
	Repositories []int64           // those it was narrowed to; nil for all
	Permissions  map[string]string // those it was narrowed to; nil for all
	Scopes       []string
	Expires      time.Time // zero: never
}

func (t *token) info() TokenInfo {
	kind, _, _ := strings.Cut(t.access, "_")
	return TokenInfo{
		Kind: kind, Fingerprint: Fingerprint(t.access), Refresh: Fingerprint(t.refresh), ClientID: t.app.ClientID,
		User: t.user, RepositoryID: t.limit, Installation: t.install, Scoped: t.scoped,
		Repositories: slices.Clone(t.only), Permissions: maps.Clone(t.perms), Scopes: slices.Clone(t.scopes), Expires: t.accessEnds,
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
	g.tokens.add(t, t.made)
	g.authorised[ownerKey(app.ClientID, user)] = true
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
	t := g.tokens.access[access]
	if t == nil || !g.alive(t) || g.now().Before(t.made.Add(g.sw.ReplicaLag)) {
		return nil
	}
	return t
}

// alive reports whether an access token works. An installation's own ends with
// the installation.
func (g *GitHub) alive(t *token) bool {
	if t.install != 0 && g.index.numbers[t.install] == nil {
		return false
	}
	return t.access != "" && (t.accessEnds.IsZero() || g.now().Before(t.accessEnds))
}

// within reports whether the token's own limits leave it a repository.
func (t *token) within(repo int64) bool {
	return (t.limit == 0 || t.limit == repo) && (t.only == nil || slices.Contains(t.only, repo))
}

// limited reports whether the token was made for some repositories only.
func (t *token) limited() bool { return t.limit != 0 || t.only != nil || t.target != "" }

// refreshed exchanges the refresh token of t. Both halves of the old pair die, also
// where the exchange comes twice at the same moment: docs.github.com,
// "Refreshing user access tokens".
func (g *GitHub) refreshed(t *token) (*token, error) {
	limit := t.limit
	if g.sw.RefreshWidens {
		limit = 0
	}
	used := t.refresh
	g.tokens.endAccess(t)
	g.tokens.endRefresh(t)
	n, err := g.issue(g.appOf(t), t.user, limit, t.scopes)
	if err != nil {
		return nil, err
	}
	n.sso, n.web = t.sso, t.web
	g.orphan(t, n)
	if g.sw.ReuseRevokes {
		t.heir = n
		g.tokens.used[used] = t
	}
	return n, nil
}

// reused ends what has come of a refresh token that is shown again.
func (g *GitHub) reused(refresh string) {
	t := g.tokens.used[refresh]
	if t == nil || !g.sw.ReuseRevokes {
		return
	}
	for t = t.heir; t != nil; t = t.heir {
		g.tokens.endAccess(t)
		g.tokens.endRefresh(t)
		for _, c := range t.children {
			g.tokens.endAccess(c)
		}
	}
}

// orphan decides what becomes of the scoped tokens of a token that another
// takes the place of.
func (g *GitHub) orphan(old, heir *token) {
	for _, c := range old.children {
		if !g.sw.ChildrenSurviveRefresh {
			g.tokens.endAccess(c)
		}
	}
	if g.sw.ChildrenSurviveRefresh {
		heir.children = append(heir.children, old.children...)
	}
	old.children = nil
}

// refreshable returns the token whose refresh token this is, if that works.
func (g *GitHub) refreshable(app *App, refresh string) *token {
	t := g.tokens.refresh[refresh]
	if t == nil || t.app.ClientID != app.ClientID || !g.now().Before(t.refreshEnds) {
		return nil
	}
	return t
}

// revoke ends the token or refresh token with this value and reports whether
// there was one. It holds g.mu.
func (g *GitHub) revoke(value string) bool {
	if t := g.tokens.access[value]; t != nil {
		// The refresh token goes on: docs.github.com says of each credential
		// only that it is revoked itself.
		g.tokens.endAccess(t)
		g.revoked++
		return true
	}
	t := g.tokens.refresh[value]
	if t == nil {
		return false
	}
	g.tokens.endRefresh(t)
	g.revoked++
	if g.sw.RevokeTiesPair && g.tokens.endAccess(t) {
		g.revoked++
	}
	return true
}

// LiveTokens returns the access tokens that work now, oldest first.
func (g *GitHub) LiveTokens() []TokenInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []TokenInfo
	for _, t := range g.tokens.all {
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
	for _, t := range g.tokens.all {
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
	if t := g.tokens.access[access]; t != nil && g.alive(t) {
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
	for _, t := range g.tokens.all {
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
	delete(g.authorised, ownerKey(clientID, login))
	n := 0
	for _, t := range g.tokens.held(clientID, login) {
		if g.tokens.endAccess(t) {
			n++
		}
		g.tokens.endRefresh(t)
	}
	g.revoked += n
	return n
}
