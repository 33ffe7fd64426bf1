package fake

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What an App does as itself: docs.github.com, "REST API endpoints for GitHub
// Apps", and "Generating an installation access token for a GitHub App".

const (
	// installLife is the fixed life of an installation access token.
	installLife = time.Hour
	// maxTokenRepos is how many repositories a request for one may name.
	maxTokenRepos = 500
	docsInstall   = "/apps/apps#create-an-installation-access-token-for-an-app"
)

// needApp answers 401 where no App has shown its JWT.
func (c *call) needApp() bool {
	if c.app == nil {
		c.failJWT(jwtDecode)
		return false
	}
	return true
}

// routeApp answers what lies below /app, and reports whether it knows the path.
func (g *GitHub) routeApp(c *call, parts []string) bool {
	read := c.reads()
	switch {
	case len(parts) == 1 && read:
		if c.needApp() {
			out := g.appJSON(c, c.app)
			out["installations_count"] = len(g.index.ofApp[c.app.ClientID])
			c.reply(http.StatusOK, out)
		}
	case len(parts) == 2 && parts[1] == "installations" && read:
		if c.needApp() {
			list := []any{}
			for _, i := range g.index.ofApp[c.app.ClientID] {
				list = append(list, i)
			}
			page := c.page(list)
			for n, i := range page {
				page[n] = g.installationJSON(c, c.app, i.(*Installation))
			}
			c.reply(http.StatusOK, page)
		}
	case len(parts) == 3 && parts[1] == "installations" && read:
		if c.needApp() {
			g.replyInstallation(c, g.installationNumbered(c.app, parts[2]), "/apps/apps#get-an-installation-for-the-authenticated-app")
		}
	case len(parts) == 4 && parts[1] == "installations" && parts[3] == "access_tokens" && c.r.Method == http.MethodPost:
		if c.needApp() {
			g.serveInstallationToken(c, parts[2])
		}
	default:
		return false
	}
	return true
}

func (g *GitHub) replyInstallation(c *call, i *Installation, docs string) {
	if i == nil {
		c.notFound(docs)
		return
	}
	c.reply(http.StatusOK, g.installationJSON(c, c.app, i))
}

// serveAccountInstallation answers /orgs/{org}/installation, and the same of
// users.
func (g *GitHub) serveAccountInstallation(c *call, account string, isOrg bool) {
	if !c.needApp() {
		return
	}
	docs := "/apps/apps#get-a-user-installation-for-the-authenticated-app"
	if isOrg {
		docs = "/apps/apps#get-an-organization-installation-for-the-authenticated-app"
	}
	if isOrg != (g.orgNamed(account) != nil) {
		c.notFound(docs)
		return
	}
	g.replyInstallation(c, g.installationOf(c.app, account), docs)
}

// A wish is what a token is to be made for: the body of a request for an
// installation's token, and part of that for a scoped one.
type wish struct {
	Repositories  []string          `json:"repositories"`
	RepositoryIDs []int64           `json:"repository_ids"`
	Permissions   map[string]string `json:"permissions"`
}

// readBody reads a JSON object into v. It answers where that fails; without a
// body v stays as it is.
func (c *call) readBody(v any) bool {
	raw, err := io.ReadAll(io.LimitReader(c.r.Body, 1<<20))
	if err == nil && len(strings.TrimSpace(string(raw))) > 0 {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		c.fail(http.StatusBadRequest, "Problems parsing JSON", docsURL)
		return false
	}
	return true
}

// unprocessable answers 422.
func (c *call) unprocessable(message, docs string) {
	c.fail(http.StatusUnprocessableEntity, message, docsURL+docs)
}

// granting finds out what of an installation a wish is given, and answers
// where it is not. A repository that does not exist and one that is out of
// reach look the same. may further narrows which repositories can be had. A
// nil list of repositories means all.
func (g *GitHub) granting(c *call, w wish, i *Installation, docs string, may func(*Repo) bool) (only []int64, perms map[string]string, ok bool) {
	if len(w.Repositories)+len(w.RepositoryIDs) > maxTokenRepos {
		c.unprocessable(fmt.Sprintf("The maximum number of repositories is %d.", maxTokenRepos), docs)
		return nil, nil, false
	}
	var repos []*Repo
	for _, name := range w.Repositories {
		repos = append(repos, g.repoNamed(i.Account+"/"+name))
	}
	for _, id := range w.RepositoryIDs {
		repos = append(repos, g.repoWith(id))
	}
	for _, r := range repos {
		if r == nil || !covers(i, r) || !may(r) {
			c.unprocessable("There is at least one repository that does not exist or is not accessible to the parent installation.", docs)
			return nil, nil, false
		}
		if !slices.Contains(only, r.ID) {
			only = append(only, r.ID)
		}
	}
	granted := g.granted(i, orElse(g.appWith(i.App), &App{}))
	if len(w.Permissions) == 0 {
		return only, maps.Clone(granted), true
	}
	perms = map[string]string{"metadata": "read"} // GitHub always adds it
	for name, level := range w.Permissions {
		switch rank := permissionRank(level); {
		case rank == 0 || granted[name] == "":
			c.unprocessable("The permissions requested are not granted to this installation.", docs)
			return nil, nil, false
		case rank > permissionRank(granted[name]):
			c.unprocessable("The level of access for permissions requested are not granted to this installation.", docs)
			return nil, nil, false
		}
		perms[name] = level
	}
	return only, perms, true
}

func (g *GitHub) serveInstallationToken(c *call, id string) {
	i := g.installationNumbered(c.app, id)
	if i == nil {
		c.notFound(docsInstall)
		return
	}
	if !i.SuspendedAt.IsZero() {
		c.fail(http.StatusForbidden, "This installation has been suspended", docsURL+docsInstall)
		return
	}
	var w wish
	if !c.readBody(&w) {
		return
	}
	only, perms, ok := g.granting(c, w, i, docsInstall, func(*Repo) bool { return true })
	if !ok {
		return
	}
	t := &token{app: c.app, install: i.ID, only: only, perms: perms, made: g.now()}
	t.accessEnds = t.made.Add(installLife)
	var err error
	if t.access, err = g.installationSecret(c, t); err != nil {
		http.Error(c.w, err.Error(), http.StatusInternalServerError)
		return
	}
	g.tokens.add(t, t.made)
	out := map[string]any{
		"token": t.access, "expires_at": t.accessEnds.UTC().Format(time.RFC3339), "permissions": perms,
		"repository_selection": "all",
	}
	if only != nil || !i.All {
		out["repository_selection"] = "selected"
	}
	if only != nil {
		c.tok = t // so that the repositories say what the token may do
		list := []any{}
		for _, id := range only {
			list = append(list, g.repoJSON(c, g.repoWith(id), false))
		}
		out["repositories"] = list
	}
	c.reply(http.StatusCreated, out)
}

// installationSecret makes the value of an installation's token, in the short
// form of old or in the long one that has the App's number and a JWT in it:
// GitHub's changelog of 15 May 2026. Other values of the header than its two
// are ignored. A client has no business looking inside,
// and this world does not either: the signature is random.
func (g *GitHub) installationSecret(c *call, t *token) (string, error) {
	long := g.sw.Stateless
	switch c.r.Header.Get("X-GitHub-Stateless-S2S-Token") {
	case "enabled":
		long = true
	case "disabled":
		long = false
	}
	if !long {
		return g.secret("ghs_")
	}
	random := make([]byte, sha256.Size+256)
	if _, err := io.ReadFull(g.rand, random); err != nil {
		return "", fmt.Errorf("fake: make a token: %w", err)
	}
	head := []byte(`{"alg":"RS256","typ":"JWT"}`)
	body := fmt.Appendf(nil, `{"iss":%d,"sub":"installation:%d","iat":%d,"exp":%d,"jti":"%x"}`,
		t.app.ID, t.install, t.made.Unix(), t.accessEnds.Unix(), random[:8])
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf("ghs_%d_%s.%s.%s", t.app.ID, encode(head), encode(body), encode(random[sha256.Size:])), nil
}

// serveInstallation answers what an installation's own token may ask.
func (g *GitHub) serveInstallation(c *call, what string) {
	const docs = "/apps/installations"
	switch {
	case c.tok == nil:
		c.fail(http.StatusUnauthorized, "Requires authentication", docsURL+docs)
	case c.tok.install == 0:
		c.fail(http.StatusForbidden, "You must authenticate with an installation access token in order to do this", docsURL+docs)
	case what == "token" && c.r.Method == http.MethodDelete:
		g.tokens.endAccess(c.tok)
		g.revoked++
		c.w.WriteHeader(http.StatusNoContent)
	case what == "repositories" && c.reads():
		i := g.index.numbers[c.tok.install]
		if !i.SuspendedAt.IsZero() {
			c.fail(http.StatusForbidden, "This installation has been suspended", docsURL+docs)
			return
		}
		list := []any{}
		for _, r := range g.index.owned[strings.ToLower(i.Account)] {
			if covers(i, r) && c.tok.within(r.ID) {
				list = append(list, g.repoJSON(c, r, false))
			}
		}
		chosen := selection(i)
		if c.tok.only != nil {
			chosen = "selected"
		}
		c.reply(http.StatusOK, map[string]any{"total_count": len(list), "repository_selection": chosen, "repositories": c.page(list)})
	default:
		c.notFound(docs)
	}
}

// serveRepoInstallation tells an App where it is installed on a repository.
func (g *GitHub) serveRepoInstallation(c *call, r *Repo, moved bool) {
	const docs = "/apps/apps#get-a-repository-installation-for-the-authenticated-app"
	if !c.needApp() {
		return
	}
	var i *Installation
	if r != nil {
		i = g.installed(c.app, r)
	}
	if i != nil && moved {
		c.moved(r, "/installation")
		return
	}
	g.replyInstallation(c, i, docs)
}

// serveCollaborator answers what a person may do in a repository, for an
// installation's token or for a user who may push.
func (g *GitHub) serveCollaborator(c *call, r *Repo, login string, moved bool) {
	const docs = "/collaborators/collaborators#get-repository-permissions-for-a-user"
	u := g.userNamed(login)
	switch {
	case c.tok == nil:
		c.fail(http.StatusUnauthorized, "Requires authentication", docsURL+docs)
		return
	case r == nil || !g.visible(c.tok, r):
		c.notFound(docs)
		return
	case moved:
		c.moved(r, "/collaborators/"+login+"/permission")
		return
	case c.tok.install == 0 && userAccess(c.tok.user, r, false) < AccessWrite:
		c.fail(http.StatusForbidden, "Must have push access to view collaborator permission.", docsURL+docs)
		return
	case u == nil:
		c.fail(http.StatusNotFound, login+" is not a user", docsURL+docs)
		return
	}
	a := userAccess(u.Login, r, false)
	names := map[Access]string{AccessNone: "none", AccessRead: "read", AccessWrite: "write", AccessAdmin: "admin"}
	role := names[a]
	if a == AccessNone {
		role = ""
	}
	user := g.accountJSON(c, u.Login)
	user["permissions"], user["role_name"] = permissionsJSON(a), role
	c.reply(http.StatusOK, map[string]any{"permission": names[a], "role_name": role, "user": user})
}

// moved sends a client from a repository's old name to its number.
func (c *call) moved(r *Repo, rest string) {
	to := c.api + "/repositories/" + strconv.FormatInt(r.ID, 10) + rest
	c.w.Header().Set("Location", to)
	c.reply(http.StatusMovedPermanently, map[string]any{
		"message": "Moved Permanently", "url": to,
		"documentation_url": docsURL + "/guides/best-practices-for-using-the-rest-api#follow-redirects",
	})
}
