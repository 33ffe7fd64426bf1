package fake

import (
	"slices"
	"strconv"
	"strings"
)

// The look-ups below hold g.mu. GitHub's names are case-insensitive.

func (g *GitHub) userNamed(login string) *User {
	for _, u := range g.users {
		if strings.EqualFold(u.Login, login) {
			return u
		}
	}
	return nil
}

func (g *GitHub) orgNamed(login string) *Org {
	for _, o := range g.orgs {
		if strings.EqualFold(o.Login, login) {
			return o
		}
	}
	return nil
}

func (g *GitHub) appWith(clientID string) *App {
	for _, a := range g.apps {
		if a.ClientID == clientID {
			return a
		}
	}
	return nil
}

func (g *GitHub) appWithSlug(slug string) *App {
	for _, a := range g.apps {
		if strings.EqualFold(a.Slug, slug) {
			return a
		}
	}
	return nil
}

func (g *GitHub) repoNamed(full string) *Repo {
	for _, r := range g.repos {
		if strings.EqualFold(r.FullName(), full) {
			return r
		}
	}
	return nil
}

func (g *GitHub) repoWith(id int64) *Repo {
	for _, r := range g.repos {
		if r.ID == id {
			return r
		}
	}
	return nil
}

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
	for who, a := range r.Access {
		if login != "" && strings.EqualFold(who, login) {
			if a == AccessNone {
				break
			}
			return a
		}
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
	for _, i := range g.installs {
		if i.App == app.ClientID && covers(i, r) {
			return i
		}
	}
	return nil
}

// ssoMissing returns the organisation whose single sign-on the token lacks.
// The session must have been active when the token was authorised:
// docs.github.com, "SAML and GitHub Apps".
func (g *GitHub) ssoMissing(t *token, account string) *Org {
	o := g.orgNamed(account)
	if o == nil || !o.SAML {
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
// limit allows; of an OAuth App's, what user and scopes allow. Anybody reads
// what is public.
func (g *GitHub) tokenAccess(t *token, r *Repo) Access {
	public := userAccess("", r, false)
	if t == nil {
		return public
	}
	a := userAccess(t.user, r, false)
	if g.ssoMissing(t, r.Owner) != nil {
		return public
	}
	if t.app.Kind == OAuthApp {
		if slices.Contains(t.scopes, "repo") || !r.Private && slices.Contains(t.scopes, "public_repo") {
			return a
		}
		return public
	}
	if t.limit != 0 && t.limit != r.ID {
		return public
	}
	i := g.installed(t.app, r)
	if i == nil || !i.SuspendedAt.IsZero() {
		return public
	}
	switch g.granted(i, g.appOf(t))["contents"] {
	case "write":
		return a
	case "read":
		return min(a, AccessRead)
	}
	return public
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
