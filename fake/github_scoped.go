package fake

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What the owner of an App does with tokens that it was given: docs.github.com,
// "REST API endpoints for OAuth authorizations" and "Create a scoped access
// token". The App comes with its client id and secret by basic authentication.

const (
	docsOAuth  = "/apps/oauth-applications"
	docsScoped = "/apps/apps#create-a-scoped-access-token"
)

// A tokenBody is what these requests carry.
type tokenBody struct {
	AccessToken string `json:"access_token"`
	Target      string `json:"target"`
	TargetID    int64  `json:"target_id"`
	wish
}

// serveApplication answers what lies below /applications/{client_id}.
func (g *GitHub) serveApplication(c *call, parts []string) {
	id, secret, ok := c.r.BasicAuth()
	app := g.appWith(id)
	if !ok {
		c.fail(http.StatusUnauthorized, "Requires authentication", docsURL+docsOAuth)
		return
	}
	if app == nil || !app.knows(secret) {
		c.fail(http.StatusUnauthorized, "Bad credentials", docsURL)
		return
	}
	c.app = app
	if g.limited(c) {
		return
	}
	if len(parts) < 3 || parts[1] != app.ClientID {
		c.notFound(docsOAuth)
		return
	}
	var b tokenBody
	if !c.readBody(&b) {
		return
	}
	t := g.live(b.AccessToken)
	if t != nil && (t.app.ClientID != app.ClientID || t.install != 0) {
		t = nil
	}
	switch c.r.Method + " " + strings.Join(parts[2:], "/") {
	case "POST token":
		if t == nil {
			c.notFound(docsOAuth + "#check-a-token")
			return
		}
		c.reply(http.StatusOK, g.authorizationJSON(c, t))
	case "PATCH token":
		if g.needToken(c, t, "#reset-a-token") {
			g.resetToken(c, t)
		}
	case "DELETE token":
		if g.needToken(c, t, "#delete-an-app-token") {
			// One token, as the page says: its refresh token and scoped tokens
			// that were made from it are not spoken of, and go on.
			g.revoke(b.AccessToken)
			c.w.WriteHeader(http.StatusNoContent)
		}
	case "DELETE grant":
		if g.needToken(c, t, "#delete-an-app-authorization") {
			g.disconnect(app.ClientID, t.user)
			c.w.WriteHeader(http.StatusNoContent)
		}
	case "POST token/scoped":
		g.serveScoped(c, t, b)
	default:
		c.notFound(docsOAuth)
	}
}

// needToken answers 422 where a token does not work: the description knows no
// 404 here.
func (g *GitHub) needToken(c *call, t *token, docs string) bool {
	if t == nil {
		c.unprocessable("Validation Failed", docsOAuth+docs)
		return false
	}
	return true
}

// resetToken gives a token a new value. Its life and its refresh token stay.
func (g *GitHub) resetToken(c *call, t *token) {
	kind, _, _ := strings.Cut(t.access, "_")
	value, err := g.secret(kind + "_")
	if err != nil {
		http.Error(c.w, err.Error(), http.StatusInternalServerError)
		return
	}
	g.tokens.endAccess(t)
	t.access = value
	g.tokens.access[value] = t
	g.orphan(t, t)
	c.reply(http.StatusOK, g.authorizationJSON(c, t))
}

// serveScoped makes a token that reaches less from one that reaches more. The
// first stays as it is.
func (g *GitHub) serveScoped(c *call, parent *token, b tokenBody) {
	if parent == nil {
		c.notFound(docsScoped)
		return
	}
	if parent.scoped || parent.app.Kind != GitHubApp {
		c.unprocessable("The access token must be a non-scoped user access token of a GitHub App.", docsScoped)
		return
	}
	if (b.Target == "") == (b.TargetID == 0) {
		c.unprocessable("One of target and target_id is required.", docsScoped)
		return
	}
	if len(b.Repositories) > 0 && len(b.RepositoryIDs) > 0 {
		c.unprocessable("Only one of repositories and repository_ids may be given.", docsScoped)
		return
	}
	i := g.targetOf(c.app, b)
	if i == nil {
		c.unprocessable("The target does not exist, or the App is not installed on it.", docsScoped)
		return
	}
	if !i.SuspendedAt.IsZero() {
		c.fail(http.StatusForbidden, "This installation has been suspended", docsURL+docsScoped)
		return
	}
	if o := g.ssoMissing(parent, i.Account); o != nil {
		g.failSSO(c, o, docsScoped)
		return
	}
	only, perms, ok := g.granting(c, b.wish, i, docsScoped, func(r *Repo) bool {
		return parent.within(r.ID) && userAccess(parent.user, r, true) > AccessNone
	})
	if !ok {
		return
	}
	t, err := g.child(parent, i, only, perms)
	if err != nil {
		http.Error(c.w, err.Error(), http.StatusInternalServerError)
		return
	}
	c.reply(http.StatusOK, g.authorizationJSON(c, t))
}

// targetOf finds the installation on the account that a request names by login
// or by number.
func (g *GitHub) targetOf(app *App, b tokenBody) *Installation {
	if b.Target != "" {
		return g.installationOf(app, b.Target)
	}
	return g.installationOf(app, g.index.accounts[b.TargetID])
}

// child makes the scoped token. It has no refresh token, and ends with its
// parent's life: GitHub documents only that it says when it expires.
func (g *GitHub) child(parent *token, i *Installation, only []int64, perms map[string]string) (*token, error) {
	value, err := g.secret("ghu_")
	if err != nil {
		return nil, err
	}
	t := &token{
		access: value, app: parent.app, user: parent.user, limit: parent.limit, scoped: true, target: i.Account,
		only: only, perms: perms, sso: parent.sso, made: g.now(), accessEnds: parent.accessEnds,
	}
	parent.children = append(parent.children, t)
	g.tokens.add(t, t.made)
	g.limitChildren(parent)
	return t, nil
}

// limitChildren ends the oldest scoped tokens of a user and App where there
// are too many.
func (g *GitHub) limitChildren(of *token) {
	limit := orElse(g.sw.ChildLimit, 10)
	if limit < 0 {
		return
	}
	live := 0
	held := g.tokens.held(of.app.ClientID, of.user)
	for n := len(held) - 1; n >= 0; n-- {
		if t := held[n]; t.scoped && g.alive(t) {
			if live++; live > limit {
				g.tokens.endAccess(t)
			}
		}
	}
}

// authorizationJSON is a token as its App's owner sees it.
func (g *GitHub) authorizationJSON(c *call, t *token) map[string]any {
	sum := sha256.Sum256([]byte(t.access))
	app := g.appOf(t)
	at := t.made.UTC().Format(time.RFC3339)
	out := map[string]any{
		"id": t.id, "url": c.api + "/authorizations/" + strconv.FormatInt(t.id, 10), "token": t.access, "hashed_token": hex.EncodeToString(sum[:]),
		"token_last_eight": t.access[len(t.access)-8:], "note": nil, "note_url": nil, "fingerprint": nil,
		"app":    map[string]any{"name": app.Name, "url": c.web + "/apps/" + app.Slug, "client_id": app.ClientID},
		"scopes": append([]string{}, t.scopes...), "created_at": at, "updated_at": at, "expires_at": nil,
		"user": g.accountJSON(c, t.user),
	}
	if !t.accessEnds.IsZero() && !(t.scoped && g.sw.ChildrenUndated) {
		out["expires_at"] = t.accessEnds.UTC().Format(time.RFC3339)
	}
	if t.scoped {
		if i := g.installationOf(app, t.target); i != nil {
			out["installation"] = g.scopedInstallationJSON(c, t, i)
		}
	}
	return out
}

func (g *GitHub) scopedInstallationJSON(c *call, t *token, i *Installation) map[string]any {
	chosen := "selected"
	if t.only == nil || g.sw.EchoSelection {
		chosen = selection(i)
	}
	return map[string]any{
		"permissions": t.perms, "repository_selection": chosen, "single_file_name": nil, "has_multiple_single_files": false,
		"single_file_paths": []string{}, "repositories_url": c.api + "/user/repos", "account": g.accountJSON(c, i.Account),
	}
}
