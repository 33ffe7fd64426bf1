package fake

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The shapes below follow GitHub's OpenAPI description; a test holds every
// answer to it.

// born is when everything in this world was made.
const born = "2020-01-02T03:04:05Z"

func nodeID(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "0%d:%s%d", len(kind), kind, id))
}

// accountJSON is a "simple user", which organisations are too.
func (g *GitHub) accountJSON(c *call, login string) map[string]any {
	var id int64
	kind := "User"
	if u := g.userNamed(login); u != nil {
		id, login = u.ID, u.Login
	} else if o := g.orgNamed(login); o != nil {
		id, login, kind = o.ID, o.Login, "Organization"
	}
	self := c.api + "/users/" + login
	return map[string]any{
		"login": login, "id": id, "node_id": nodeID(kind, id), "gravatar_id": "",
		"avatar_url": c.web + "/fake-avatar.svg", "url": self, "html_url": c.web + "/" + login,
		"followers_url": self + "/followers", "following_url": self + "/following{/other_user}",
		"gists_url": self + "/gists{/gist_id}", "starred_url": self + "/starred{/owner}{/repo}",
		"subscriptions_url": self + "/subscriptions", "organizations_url": self + "/orgs",
		"repos_url": self + "/repos", "events_url": self + "/events{/privacy}",
		"received_events_url": self + "/received_events",
		"type":                kind, "site_admin": false, "user_view_type": "public",
	}
}

// userJSON is the authenticated user. A user access token without the App
// permission for the profile sees what is public: a private address is null.
func (g *GitHub) userJSON(c *call) map[string]any {
	u := c.user
	out := g.accountJSON(c, u.Login)
	for k, v := range map[string]any{
		"name": nullable(u.Name), "company": nil, "blog": "", "location": nil, "email": nullable(u.Email),
		"hireable": nil, "bio": nil, "twitter_username": nil, "notification_email": nullable(u.Email),
		"followers": 0, "following": 0, "created_at": born, "updated_at": born,
	} {
		out[k] = v
	}
	public, private := 0, 0
	for _, r := range g.index.owned[strings.ToLower(u.Login)] {
		if r.Private {
			private++
		} else {
			public++
		}
	}
	out["public_repos"], out["public_gists"] = public, 0
	if c.tok.app.Kind == OAuthApp && containsFold(c.tok.scopes, "user") {
		out["user_view_type"] = "private"
		for k, v := range map[string]any{
			"private_gists": 0, "total_private_repos": private, "owned_private_repos": private,
			"disk_usage": 0, "collaborators": 0, "two_factor_authentication": u.TwoFactor,
			"plan": map[string]any{"name": "free", "space": 1, "collaborators": 0, "private_repos": 10000},
		} {
			out[k] = v
		}
	}
	return out
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func containsFold(list []string, want string) bool {
	for _, s := range list {
		if strings.EqualFold(s, want) {
			return true
		}
	}
	return false
}

func selection(i *Installation) string {
	if i.All {
		return "all"
	}
	return "selected"
}

// installationURL is the page where an account's owner changes it.
func (g *GitHub) installationURL(web string, i *Installation) string {
	if o := g.orgNamed(i.Account); o != nil {
		return fmt.Sprintf("%s/organizations/%s/settings/installations/%d", web, o.Login, i.ID)
	}
	return fmt.Sprintf("%s/settings/installations/%d", web, i.ID)
}

func (g *GitHub) installationJSON(c *call, app *App, i *Installation) map[string]any {
	account := g.accountJSON(c, i.Account)
	out := map[string]any{
		"id": i.ID, "client_id": app.ClientID, "app_id": app.ID, "app_slug": app.Slug,
		"account": account, "target_id": account["id"], "target_type": account["type"],
		"repository_selection": selection(i), "permissions": g.granted(i, app), "events": []string{},
		"access_tokens_url":         fmt.Sprintf("%s/app/installations/%d/access_tokens", c.api, i.ID),
		"repositories_url":          c.api + "/installation/repositories",
		"html_url":                  g.installationURL(c.web, i),
		"single_file_name":          nil,
		"has_multiple_single_files": false, "single_file_paths": []string{},
		"created_at": born, "updated_at": born, "suspended_by": nil, "suspended_at": nil,
	}
	if !i.SuspendedAt.IsZero() {
		by := i.SuspendedBy
		if by == "" {
			by = i.Account
		}
		out["suspended_by"] = g.accountJSON(c, by)
		out["suspended_at"] = i.SuspendedAt.UTC().Format(time.RFC3339)
	}
	return out
}

// repoLinks are the addresses below a repository's own in the API, with the
// templates that GitHub puts after them.
func repoLinks(self string) map[string]any {
	out := map[string]any{}
	for name, rest := range map[string]string{
		"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}",
		"branches_url": "/branches{/branch}", "collaborators_url": "/collaborators{/collaborator}",
		"comments_url": "/comments{/number}", "commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}",
		"contents_url": "/contents/{+path}", "contributors_url": "/contributors", "deployments_url": "/deployments",
		"downloads_url": "/downloads", "events_url": "/events", "forks_url": "/forks", "git_commits_url": "/git/commits{/sha}",
		"git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}", "hooks_url": "/hooks",
		"issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}",
		"issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}",
		"languages_url": "/languages", "merges_url": "/merges", "milestones_url": "/milestones{/number}",
		"notifications_url": "/notifications{?since,all,participating}", "pulls_url": "/pulls{/number}",
		"releases_url": "/releases{/id}", "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}",
		"subscribers_url": "/subscribers", "subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams",
		"trees_url": "/git/trees{/sha}",
	} {
		out[name] = self + rest
	}
	return out
}

// repoJSON is a repository as the call's token sees it; full is what GET
// /repos/{owner}/{repo} adds.
func (g *GitHub) repoJSON(c *call, r *Repo, full bool) map[string]any {
	self := c.api + "/repos/" + r.FullName()
	page := c.web + "/" + r.FullName()
	visibility := "public"
	if r.Private {
		visibility = "private"
	}
	host := strings.TrimPrefix(strings.TrimPrefix(c.web, "https://"), "http://")
	out := repoLinks(self)
	for k, v := range map[string]any{
		"id": r.ID, "node_id": nodeID("Repository", r.ID), "name": r.Name, "full_name": r.FullName(),
		"owner": g.accountJSON(c, r.Owner), "private": r.Private, "visibility": visibility,
		"html_url": page, "url": self, "description": nullable(r.Description), "fork": false,
		"clone_url": page + ".git", "svn_url": page, "git_url": "git://" + host + "/" + r.FullName() + ".git",
		"ssh_url": "ssh://git@" + host + "/" + r.FullName() + ".git", "mirror_url": nil, "homepage": nil, "language": nil,
		"forks": 0, "forks_count": 0, "stargazers_count": 0, "watchers": 0, "watchers_count": 0, "size": 1,
		"default_branch": "main", "open_issues": 0, "open_issues_count": 0, "is_template": false, "topics": []string{},
		"has_issues": true, "has_projects": true, "has_wiki": false, "has_pages": false, "has_downloads": true,
		"has_discussions": false, "archived": r.Archived, "disabled": false, "license": nil, "allow_forking": true,
		"web_commit_signoff_required": false, "pushed_at": born, "created_at": born, "updated_at": born,
	} {
		out[k] = v
	}
	if c.tok != nil {
		a := userAccess(c.tok.user, r, false)
		if c.tok.install != 0 {
			a = g.tokenAccess(c.tok, r)
		}
		out["permissions"] = permissionsJSON(a)
	}
	if full {
		out["network_count"], out["subscribers_count"] = 0, 0
		if g.orgNamed(r.Owner) != nil {
			out["organization"] = g.accountJSON(c, r.Owner)
		}
	}
	return out
}

// permissionsJSON is what the user may do, not what the token may: the
// description says "the access the user has to each repository". An
// installation's own token has no user, so there it is the token's.
func permissionsJSON(a Access) map[string]any {
	return map[string]any{
		"admin": a >= AccessAdmin, "maintain": a >= AccessAdmin, "push": a >= AccessWrite,
		"triage": a >= AccessWrite, "pull": a >= AccessRead,
	}
}

func (g *GitHub) serveApp(c *call, slug string) {
	app := g.appWithSlug(slug)
	if app == nil || app.Kind != GitHubApp {
		c.notFound("/apps/apps#get-an-app")
		return
	}
	c.reply(http.StatusOK, g.appJSON(c, app))
}

func (g *GitHub) appJSON(c *call, app *App) map[string]any {
	return map[string]any{
		"id": app.ID, "slug": app.Slug, "node_id": nodeID("Integration", app.ID), "client_id": app.ClientID,
		"owner": g.accountJSON(c, app.Owner), "name": app.Name, "description": nil,
		"external_url": c.web + "/apps/" + app.Slug, "html_url": c.web + "/apps/" + app.Slug,
		"created_at": born, "updated_at": born, "permissions": app.Permissions, "events": []string{},
	}
}

func (g *GitHub) serveMeta(c *call) {
	body := map[string]any{"verifiable_password_authentication": false}
	if g.kind == EnterpriseServer {
		body["installed_version"] = "3.19.0"
	}
	c.reply(http.StatusOK, body)
}
