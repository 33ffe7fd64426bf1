package fake

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v89/github"
)

func TestUser(t *testing.T) {
	for _, kind := range []HostKind{EnterpriseServer, GitHubCom, GHECom} {
		b := newBench(t, kind, Switches{})
		tok := b.login(CampusApp, CampusUser).text("access_token")
		a := b.get("/user", tok)
		if a.status != 200 || a.text("login") != CampusUser || a.num("id") != 1001 || a.json["email"] != nil {
			t.Errorf("kind %d: %d %s", kind, a.status, a.body)
		}
		if a.header.Get("X-OAuth-Scopes") != "" {
			t.Error("X-OAuth-Scopes on a GitHub App's token")
		}
		if a := b.get("/user", b.login(CampusApp, "ada").text("access_token")); a.text("email") != "ada@example.org" {
			t.Errorf("ada: %s", a.body)
		}
	}
}

func TestUnauthorised(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	tok := b.login(CampusApp, CampusUser).text("access_token")
	for _, path := range []string{"/user", "/user/installations", "/user/installations/7001/repositories", "/repos/river-lab/data", "/rate_limit"} {
		if a := b.get(path, "ghu_nothing"); a.status != 401 || a.text("message") != "Bad credentials" || a.text("status") != "401" {
			t.Errorf("%s with a bad token = %d %s", path, a.status, a.body)
		}
		want := 401
		switch path {
		case "/repos/river-lab/data":
			want = 404
		case "/rate_limit":
			want = 200
		}
		if a := b.get(path, ""); a.status != want {
			t.Errorf("%s without = %d, want %d", path, a.status, want)
		}
	}
	if a := b.do("GET", b.api+"/user", "", "", "Authorization", "token "+tok); a.status != 200 {
		t.Errorf("scheme token = %d", a.status)
	}
	b.clock.pass(7 * time.Hour)
	if a := b.get("/user", tok); a.status != 200 {
		t.Errorf("after 7 h = %d, want 200", a.status)
	}
	b.Advance(time.Hour)
	if a := b.get("/user", tok); a.status != 401 || a.header.Get("Date") != "Mon, 02 Nov 2026 17:00:00 GMT" {
		t.Errorf("after 8 h = %d at %s, want 401", a.status, a.header.Get("Date"))
	}
}

func TestOAuthAppScopes(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	none, _, _ := b.Issue(CampusOAuthApp, CampusUser, 0)
	repo, refresh, _ := b.Issue(CampusOAuthApp, CampusUser, 0, "repo", "user")
	if refresh != "" || !strings.HasPrefix(repo, "gho_") {
		t.Errorf("OAuth App's tokens: %s %s", repo, refresh)
	}
	if a := b.get("/user", repo); a.header.Get("X-OAuth-Scopes") != "repo, user" || a.json["two_factor_authentication"] != true {
		t.Errorf("scopes %q, %s", a.header.Get("X-OAuth-Scopes"), a.body)
	}
	for path, want := range map[string][2]int{
		"/repos/river-lab/data": {404, 200}, "/repos/octo-researcher/public-page": {200, 200}, "/repos/sso-org/secure": {403, 403},
		"/user/installations": {403, 403},
	} {
		if a, c := b.get(path, none), b.get(path, repo); a.status != want[0] || c.status != want[1] {
			t.Errorf("%s = %d and %d, want %v", path, a.status, c.status, want)
		}
	}
}

func TestInstallations(t *testing.T) {
	for _, kind := range []HostKind{EnterpriseServer, GitHubCom, GHECom} {
		b := newBench(t, kind, Switches{})
		a := b.get("/user/installations", b.login(CampusApp, CampusUser).text("access_token"))
		if got := ids(a, "installations"); got != "7001 7002" || a.num("total_count") != 2 {
			t.Errorf("kind %d: %s %s", kind, got, a.body)
		}
		if got := a.header.Get("X-GitHub-SSO"); got != "partial-results; organizations=2002" {
			t.Errorf("X-GitHub-SSO = %q", got)
		}
		limited := b.login(CampusApp, CampusUser, "repository_id", "5001").text("access_token")
		if got := ids(b.get("/user/installations", limited), "installations"); got != "7001" {
			t.Errorf("limited: %s", got)
		}
		if got := ids(b.get("/user/installations/7001/repositories", limited), "repositories"); got != "5001" {
			t.Errorf("limited: %s", got)
		}
		if got := ids(b.get("/user/installations/7002/repositories", limited), "repositories"); got != "" {
			t.Errorf("limited: %s", got)
		}
	}
}

// ids lists the numbers in a list of an answer.
func ids(a answer, list string) string {
	items, _ := a.json[list].([]any)
	var out []string
	for _, i := range items {
		out = append(out, fmt.Sprint(i.(map[string]any)["id"]))
	}
	return strings.Join(out, " ")
}

func TestSSO(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	before := b.login(CampusApp, CampusUser).text("access_token")
	a := b.get("/user/installations/7003/repositories", before)
	if a.status != 403 || a.header.Get("X-GitHub-SSO") != "required; url=https://github.com/orgs/sso-org/sso" {
		t.Errorf("= %d %v", a.status, a.header)
	}
	if a := b.get("/repos/sso-org/secure", before); a.status != 403 {
		t.Errorf("repository = %d, want 403", a.status)
	}
	b.do("POST", b.web+"/orgs/sso-org/sso", "", "login="+CampusUser, "Content-Type", "application/x-www-form-urlencoded")
	if a := b.get("/repos/sso-org/secure", before); a.status != 403 {
		t.Errorf("a session does not help a token made before: %d, want 403", a.status)
	}
	after := b.login(CampusApp, CampusUser).text("access_token")
	if a := b.get("/user/installations", after); a.num("total_count") != 3 || a.header.Get("X-GitHub-SSO") != "" {
		t.Errorf("after: %s", a.body)
	}
	if a := b.get("/repos/sso-org/secure", after); a.status != 200 {
		t.Errorf("after: %d", a.status)
	}
}

func TestSuspended(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	b.Update(func(s *Seed) { *s = Suspended(*s, CampusLabInstall, b.clock.now()) })
	tok := b.login(CampusApp, CampusUser, "repository_id", "5001").text("access_token")
	if info, _ := b.Token(tok); info.RepositoryID != 0 {
		t.Error("a suspended installation limited the token")
	}
	a := b.get("/user/installations", tok)
	first := a.json["installations"].([]any)[0].(map[string]any)
	if first["suspended_at"] != "2026-11-02T09:00:00Z" || first["suspended_by"] == nil {
		t.Errorf("= %s", a.body)
	}
	if a := b.get("/user/installations/7001/repositories", tok); a.status != 403 {
		t.Errorf("repositories = %d, want 403", a.status)
	}
	if a := b.get("/repos/river-lab/data", tok); a.status != 404 {
		t.Errorf("repository = %d, want 404", a.status)
	}
}

func TestRepositories(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	tok := b.login(CampusApp, CampusUser).text("access_token")
	a := b.get("/user/installations/7001/repositories", tok)
	if ids(a, "repositories") != "5001 5007" || a.text("repository_selection") != "selected" {
		t.Fatalf("= %s", a.body)
	}
	var push []any
	for _, r := range a.json["repositories"].([]any) {
		push = append(push, r.(map[string]any)["permissions"].(map[string]any)["push"])
	}
	if fmt.Sprint(push) != "[true false]" {
		t.Errorf("push = %v, want [true false]", push)
	}
	for _, id := range []string{"7004", "1", "x"} {
		if a := b.get("/user/installations/"+id+"/repositories", tok); a.status != 404 {
			t.Errorf("installation %s = %d, want 404", id, a.status)
		}
	}
}

func TestRepository(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	tok := b.login(CampusApp, CampusUser).text("access_token")
	limited := b.login(CampusApp, CampusUser, "repository_id", "5001").text("access_token")
	for _, c := range []struct {
		name, repo, token string
		want              int
	}{
		{"installed", "river-lab/data", tok, 200},
		{"other case", "River-Lab/DATA", tok, 200},
		{"within the limit", "river-lab/data", limited, 200},
		{"outside the limit", "octo-researcher/notes", limited, 404},
		{"public, outside the limit", "octo-researcher/public-page", limited, 200},
		{"not installed", "river-lab/paper", tok, 404},
		{"no right", "ada/private", tok, 404},
		{"does not exist", "river-lab/nothing", tok, 404},
		{"public, nobody", "octo-researcher/public-page", "", 200},
		{"private, nobody", "river-lab/data", "", 404},
		{"old name, nobody", "river-lab/old-data", "", 404},
		{"old name", "river-lab/old-data", tok, 200}, // the client follows the 301
	} {
		a := b.get("/repos/"+c.repo, c.token)
		if a.status != c.want {
			t.Errorf("%s: %d, want %d", c.name, a.status, c.want)
		}
		if _, there := a.json["permissions"]; a.status == 200 && there != (c.token != "") {
			t.Errorf("%s: permissions there is %v", c.name, there)
		}
	}
	b.hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := b.get("/repos/river-lab/old-data", tok)
	if a.status != 301 || a.header.Get("Location") != "https://api.github.com/repositories/5001" {
		t.Errorf("old name = %d %s", a.status, a.header.Get("Location"))
	}
	if err := b.Rename("river-lab/data", "river-lab/levels"); err != nil {
		t.Fatal(err)
	}
	if a := b.get("/repos/river-lab/data", tok); a.status != 301 {
		t.Errorf("renamed = %d, want 301", a.status)
	}
	if a := b.get("/repos/river-lab/old-data", tok); a.status != 301 {
		t.Errorf("renamed twice = %d, want 301", a.status)
	}
}

func TestPages(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	b.Update(func(s *Seed) {
		s.Installations[0].All = true
		for i := range 230 {
			s.Repos = append(s.Repos, Repo{ID: int64(9000 + i), Owner: "river-lab", Name: fmt.Sprintf("r%d", i), Private: true, Access: map[string]Access{CampusUser: AccessRead}})
		}
	})
	tok := b.login(CampusApp, CampusUser).text("access_token")
	a := b.get("/user/installations/7001/repositories?per_page=1000", tok)
	if n := len(a.json["repositories"].([]any)); n != 100 || a.num("total_count") != 233 {
		t.Errorf("%d of %v, want 100 of 233", n, a.num("total_count"))
	}
	want := `<https://api.github.com/user/installations/7001/repositories?page=2&per_page=100>; rel="next", ` +
		`<https://api.github.com/user/installations/7001/repositories?page=3&per_page=100>; rel="last"`
	if got := a.header.Get("Link"); got != want {
		t.Errorf("Link = %s\nwant   %s", got, want)
	}
	a = b.get("/user/installations/7001/repositories?per_page=100&page=3", tok)
	if n := len(a.json["repositories"].([]any)); n != 33 || strings.Contains(a.header.Get("Link"), "next") {
		t.Errorf("last page: %d, %s", n, a.header.Get("Link"))
	}
	if a = b.get("/user/installations/7001/repositories?page=99", tok); len(a.json["repositories"].([]any)) != 0 {
		t.Error("a page after the last is not empty")
	}
	if a = b.get("/user/installations/7001/repositories", tok); len(a.json["repositories"].([]any)) != 30 {
		t.Error("a page is not 30 long by default")
	}
}

func TestRateLimit(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{RateLimit: 3, AnonymousLimit: 2})
	tok := b.login(CampusApp, CampusUser).text("access_token")
	for i, want := range []int{200, 200, 200, 403} {
		a := b.get("/user", tok)
		if a.status != want || a.header.Get("X-RateLimit-Limit") != "3" || a.header.Get("X-RateLimit-Remaining") != fmt.Sprint(max(0, 2-i)) {
			t.Errorf("call %d = %d, remaining %s", i+1, a.status, a.header.Get("X-RateLimit-Remaining"))
		}
		if want == 403 && (!strings.Contains(a.text("message"), "API rate limit exceeded") || a.header.Get("X-RateLimit-Reset") != fmt.Sprint(b.clock.now().Add(time.Hour).Unix())) {
			t.Errorf("refused with %s, reset %s", a.body, a.header.Get("X-RateLimit-Reset"))
		}
	}
	if a := b.get("/rate_limit", tok); a.status != 200 || a.header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("/rate_limit = %d %v", a.status, a.header)
	}
	if a := b.get("/user", b.login(CampusApp, "ada").text("access_token")); a.status != 200 {
		t.Errorf("somebody else = %d", a.status)
	}
	for i, want := range []int{200, 200, 403} {
		if a := b.get("/repos/octo-researcher/public-page", ""); a.status != want {
			t.Errorf("anonymous call %d = %d, want %d", i+1, a.status, want)
		}
	}
	b.clock.pass(time.Hour)
	if a := b.get("/user", tok); a.status != 200 {
		t.Errorf("an hour later = %d", a.status)
	}
	b.Set(func(s *Switches) { s.SecondaryLimit = 90 * time.Second })
	if a := b.get("/user", tok); a.status != 403 || a.header.Get("Retry-After") != "90" || !strings.Contains(a.text("message"), "secondary rate limit") {
		t.Errorf("secondary = %d %s %s", a.status, a.header.Get("Retry-After"), a.body)
	}
}

func TestNoRateLimitOnEnterpriseServer(t *testing.T) {
	b := newBench(t, EnterpriseServer, Switches{})
	tok := b.login(CampusApp, CampusUser).text("access_token")
	if a := b.get("/user", tok); a.header.Get("X-RateLimit-Limit") != "" {
		t.Error("a rate limit nobody switched on")
	}
	if a := b.get("/rate_limit", tok); a.status != 404 || a.text("message") != "Rate limiting is not enabled." {
		t.Errorf("/rate_limit = %d %s", a.status, a.body)
	}
}

func TestAPIManners(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	tok := b.login(CampusApp, CampusUser).text("access_token")
	if a := b.do("GET", b.api+"/user", tok, "", "User-Agent", ""); a.status != 403 {
		t.Errorf("without User-Agent = %d, want 403", a.status)
	}
	if a := b.do("GET", b.api+"/user", tok, "", "X-GitHub-Api-Version", "1999-01-01"); a.status != 400 {
		t.Errorf("unknown version = %d, want 400", a.status)
	}
	if a := b.do("GET", b.api+"/user", tok, "", "X-GitHub-Api-Version", "2022-11-28"); a.header.Get("X-GitHub-Api-Version-Selected") != "2022-11-28" {
		t.Errorf("version = %v", a.header)
	}
	if a := b.get("/nothing/at/all", tok); a.status != 404 {
		t.Errorf("unknown path = %d", a.status)
	}
	if a := b.do("DELETE", b.api+"/repos/river-lab/data", tok, ""); a.status != 404 {
		t.Errorf("DELETE = %d", a.status)
	}
	if a := b.get("/apps/hub-push", ""); a.text("client_id") != CampusApp {
		t.Errorf("/apps/hub-push = %s", a.body)
	}
	if a := b.get("/meta", ""); a.status != 200 {
		t.Errorf("/meta = %d", a.status)
	}
	if a := b.do("GET", "https://elsewhere.example/user", tok, ""); a.status != http.StatusMisdirectedRequest {
		t.Errorf("another host = %d", a.status)
	}
}

func TestRevoke(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	revoke := func(list string, header ...string) answer {
		return b.do("POST", b.api+"/credentials/revoke", "", `{"credentials":`+list+`}`, append([]string{"Content-Type", "application/json"}, header...)...)
	}
	p := b.login(CampusApp, CampusUser)
	if a := revoke(`["` + p.text("access_token") + `"]`); a.status != 202 {
		t.Fatalf("= %d %s", a.status, a.body)
	}
	if len(b.LiveTokens()) != 0 || len(b.LiveRefreshTokens()) != 1 || b.Revoked() != 1 {
		t.Errorf("live %v, refresh %v, revoked %d", b.LiveTokens(), b.LiveRefreshTokens(), b.Revoked())
	}
	p = b.refresh(CampusApp, p.text("refresh_token"))
	revoke(`["` + p.text("refresh_token") + `"]`)
	if len(b.LiveTokens()) != 1 || len(b.LiveRefreshTokens()) != 0 {
		t.Error("revoking a refresh token ended its access token, or did nothing")
	}
	b.Set(func(s *Switches) { s.RevokeTiesPair = true })
	p = b.login(CampusApp, CampusUser)
	revoke(`["` + p.text("refresh_token") + `"]`)
	if _, live := b.Token(p.text("access_token")); live {
		t.Error("RevokeTiesPair left the access token alive")
	}
	many := `["ghp_x"` + strings.Repeat(`,"ghp_x"`, 1000) + `]`
	for _, c := range []struct {
		name, list string
		want       int
	}{
		{"unknown, but well formed", `["ghp_x","github_pat_x","gho_x","ghu_x","ghr_x"]`, 202},
		{"empty", `[]`, 422}, {"not a list", `"ghp_x"`, 422}, {"not JSON", `[`, 422}, {"unknown kind", `["glpat-x"]`, 422},
		{"1001", many, 422}, {"1000", strings.Replace(many, `"ghp_x",`, "", 1), 202},
	} {
		if a := revoke(c.list); a.status != c.want {
			t.Errorf("%s = %d, want %d", c.name, a.status, c.want)
		}
	}
	if a := revoke(`["ghp_x"]`, "Authorization", "Bearer "+p.text("access_token")); a.status != 403 {
		t.Errorf("authenticated = %d, want 403", a.status)
	}
	if a := b.get("/credentials/revoke", ""); a.status != 404 {
		t.Errorf("GET = %d, want 404", a.status)
	}
}

func TestRevokeLimit(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	for i := range 61 {
		a := b.do("POST", b.api+"/credentials/revoke", "", `{"credentials":["ghu_x"]}`)
		if want := map[bool]int{true: 202, false: 403}[i < 60]; a.status != want {
			t.Fatalf("call %d = %d, want %d", i+1, a.status, want)
		}
	}
}

func TestRevokeOnEnterpriseServer(t *testing.T) {
	b := newBench(t, EnterpriseServer, Switches{})
	post := func() answer { return b.do("POST", b.api+"/credentials/revoke", "", `{"credentials":["ghu_x"]}`) }
	if a := post(); a.status != 404 {
		t.Errorf("= %d, want 404", a.status)
	}
	b.GitHub.Set(func(s *Switches) { s.RevokeEndpoint = true })
	b.hc.Transport = Transport(b.GitHub) // that server's description has no such path
	if a := post(); a.status != 202 {
		t.Errorf("switched on = %d, want 202", a.status)
	}
}

// TestGoGitHub asks with a client that knows nothing of us.
func TestGoGitHub(t *testing.T) {
	for _, kind := range []HostKind{EnterpriseServer, GitHubCom, GHECom} {
		b := newBench(t, kind, Switches{})
		opts := []github.ClientOptionsFunc{github.WithHTTPClient(b.hc), github.WithAuthToken(b.login(CampusApp, CampusUser).text("access_token"))}
		if kind != GitHubCom {
			base := b.api + "/"
			opts = append(opts, github.WithURLs(&base, &base))
		}
		c, err := github.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		u, _, err := c.Users.Get(t.Context(), "")
		if err != nil || u.GetLogin() != CampusUser || u.GetID() != 1001 {
			t.Errorf("user = %v, %v", u, err)
		}
		is, _, err := c.Apps.ListUserInstallations(t.Context(), nil)
		if err != nil || len(is) != 2 || is[0].GetAppSlug() != "hub-push" || is[0].Permissions.GetContents() != "write" {
			t.Errorf("installations = %v, %v", is, err)
		}
		rs, _, err := c.Apps.ListUserRepos(t.Context(), CampusLabInstall, &github.ListOptions{PerPage: 1})
		if err != nil || rs.GetTotalCount() != 2 || len(rs.Repositories) != 1 || !rs.Repositories[0].GetPermissions().GetPush() {
			t.Errorf("repositories = %v, %v", rs, err)
		}
		r, _, err := c.Repositories.Get(t.Context(), "river-lab", "old-data")
		if err != nil || r.GetFullName() != "river-lab/data" {
			t.Errorf("repository = %v, %v", r, err)
		}
		if _, res, err := c.Repositories.Get(t.Context(), "ada", "private"); err == nil || res.StatusCode != 404 {
			t.Errorf("another's = %v", err)
		}
	}
}
