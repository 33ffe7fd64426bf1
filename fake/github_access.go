package fake

import (
	"slices"
	"strconv"
	"strings"
)

// renamed follows renames and returns the repository that full once named, or
// nil when it is no old name.
func (g *GitHub) renamed(full string) *Repo {
	for range 10 { // a circle in the seed must not hang us
		to, ok := g.renames[strings.ToLower(full)]
		if !ok {
			return nil
		}
		if r := g.repoNamed(to); r != nil {
			return r
		}
		full = to
	}
	return nil
}

// userAccess is what a person may do, whatever they come with. Explicit access
// leaves out what everybody may do with a public repository.
func userAccess(login string, r *Repo, explicit bool) Access {
	if login != "" && strings.EqualFold(login, r.Owner) {
		return AccessAdmin
	}
	if a := r.byLogin[strings.ToLower(login)]; login != "" && a > AccessNone {
		return a
	}
	if !r.Private && !explicit {
		return AccessRead
	}
	return AccessNone
}

// covers reports whether an installation includes a repository.
func covers(i *Installation, r *Repo) bool {
	return strings.EqualFold(i.Account, r.Owner) && (i.All || slices.Contains(i.Repos, r.ID))
}

// appOf returns the App of a token as it is now, or as it was when it has
// been deleted.
func (g *GitHub) appOf(t *token) *App { return orElse(g.appWith(t.app.ClientID), t.app) }

// granted is what an installation lets its App do.
func (g *GitHub) granted(i *Installation, app *App) map[string]string {
	if i.Permissions != nil {
		return i.Permissions
	}
	return app.Permissions
}

func (g *GitHub) installed(app *App, r *Repo) *Installation {
	if i := g.installationOf(app, r.Owner); i != nil && covers(i, r) {
		return i
	}
	return nil
}

// ssoMissing returns the organisation whose single sign-on the token lacks.
// The session must have been active when the token was authorised:
// docs.github.com, "SAML and GitHub Apps".
// An installation's own token is nobody's, so it needs none.
func (g *GitHub) ssoMissing(t *token, account string) *Org {
	o := g.orgNamed(account)
	if o == nil || !o.SAML || t.install != 0 {
		return nil
	}
	for _, s := range t.sso {
		if strings.EqualFold(s, o.Login) {
			return nil
		}
	}
	return o
}

// tokenAccess is what a token may do with a repository's contents: of a
// GitHub App's, what App, installation and user may all do, and the token's
// limits allow; of an installation's own, the same without a user; of an OAuth
// App's, what user and scopes allow. Anybody reads what is public.
func (g *GitHub) tokenAccess(t *token, r *Repo) Access {
	public := userAccess("", r, false)
	if t == nil {
		return public
	}
	a := userAccess(t.user, r, false)
	if t.install != 0 {
		a = AccessWrite
	}
	if g.ssoMissing(t, r.Owner) != nil {
		return public
	}
	if t.app.Kind == OAuthApp {
		if slices.Contains(t.scopes, "repo") || !r.Private && slices.Contains(t.scopes, "public_repo") {
			return a
		}
		return public
	}
	switch g.permissions(t, r)["contents"] {
	case "write":
		return max(a, public)
	case "read":
		return max(min(a, AccessRead), public)
	}
	return public
}

// visible reports whether a token shows that a repository exists. For that it
// needs no access to the contents.
func (g *GitHub) visible(t *token, r *Repo) bool {
	if g.tokenAccess(t, r) > AccessNone {
		return true
	}
	return t != nil && t.app.Kind == GitHubApp && g.ssoMissing(t, r.Owner) == nil &&
		(t.install != 0 || userAccess(t.user, r, true) > AccessNone) && g.permissions(t, r)["metadata"] != ""
}

// permissions is what a GitHub App's token lets the App do in a repository,
// whatever its user may: nothing where the App is not installed.
func (g *GitHub) permissions(t *token, r *Repo) map[string]string {
	i := g.installed(t.app, r)
	if i == nil || !i.SuspendedAt.IsZero() || !t.within(r.ID) || t.install != 0 && t.install != i.ID {
		return nil
	}
	if t.target != "" && !strings.EqualFold(t.target, r.Owner) {
		return nil
	}
	granted := g.granted(i, g.appOf(t))
	if t.perms == nil {
		return granted
	}
	out := map[string]string{}
	for name, level := range t.perms {
		if have := granted[name]; permissionRank(have) < permissionRank(level) {
			level = have
		}
		if level != "" {
			out[name] = level
		}
	}
	return out
}

// permissionRank orders the levels of a permission; 0 is none.
func permissionRank(level string) int {
	return 1 + slices.Index([]string{"read", "write", "admin"}, level)
}

// limitFor decides what repository_id does on a token request: docs.github.com,
// "Generating a user access token for a GitHub App": "If the app or user
// cannot access the repository, this will be ignored." So a token may silently
// be wider than what was asked for.
func (g *GitHub) limitFor(app *App, login, repositoryID string) int64 {
	id, err := strconv.ParseInt(repositoryID, 10, 64)
	if err != nil || g.sw.IgnoreRepositoryID {
		return 0
	}
	r := g.repoWith(id)
	if r == nil || userAccess(login, r, true) == AccessNone {
		return 0
	}
	if i := g.installed(app, r); i == nil || !i.SuspendedAt.IsZero() {
		return 0
	}
	return id
}
