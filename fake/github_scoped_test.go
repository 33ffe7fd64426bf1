package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v89/github"
)

// ask sends a request to the API as the push App, with its client secret.
func (b *bench) ask(method, path string, body any) answer {
	b.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	req, err := http.NewRequest(method, b.api+"/applications/"+CampusPushApp+path, strings.NewReader(string(raw)))
	if err != nil {
		b.t.Fatal(err)
	}
	req.SetBasicAuth(CampusPushApp, CampusPushSecret)
	return send(b.t, b.hc, req)
}

type fields = map[string]any

func (b *bench) push(user string) string {
	b.t.Helper()
	access, _, err := b.Issue(CampusPushApp, user, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return access
}

func TestCheckResetRevoke(t *testing.T) {
	for _, kind := range []HostKind{EnterpriseServer, GitHubCom, GHECom} {
		b := newBench(t, kind, Switches{})
		tok := b.push(CampusUser)
		a := b.ask("POST", "/token", fields{"access_token": tok})
		user, _ := a.json["user"].(map[string]any)
		if a.status != 200 || a.text("token") != tok || a.text("expires_at") != "2026-11-02T17:00:00Z" || user["login"] != CampusUser {
			t.Errorf("check = %d %s", a.status, a.body)
		}
		a = b.ask("PATCH", "/token", fields{"access_token": tok})
		next := a.text("token")
		if _, live := b.Token(next); a.status != 200 || next == tok || !live || a.text("expires_at") != "2026-11-02T17:00:00Z" {
			t.Errorf("reset = %d %s", a.status, a.body)
		}
		for method, want := range map[string]int{"POST": 404, "PATCH": 422, "DELETE": 422} {
			if a := b.ask(method, "/token", fields{"access_token": tok}); a.status != want {
				t.Errorf("%s of a dead token = %d %s, want %d", method, a.status, a.body, want)
			}
		}
		refresh := b.LiveRefreshTokens()
		if a := b.ask("DELETE", "/token", fields{"access_token": next}); a.status != 204 || a.body != "" {
			t.Errorf("delete = %d %s", a.status, a.body)
		}
		if len(b.LiveTokens()) != 0 || !slices.Equal(b.LiveRefreshTokens(), refresh) {
			t.Errorf("after delete: %v %v", b.LiveTokens(), b.LiveRefreshTokens())
		}
		one, other := b.push(CampusUser), b.push(CampusOther)
		if a := b.ask("DELETE", "/grant", fields{"access_token": one}); a.status != 204 {
			t.Errorf("grant = %d", a.status)
		}
		if live := b.LiveTokens(); len(live) != 1 || live[0].Fingerprint != Fingerprint(other) || len(b.LiveRefreshTokens()) != 1 {
			t.Errorf("after grant: %v", live)
		}
		if a := b.ask("DELETE", "/grant", fields{"access_token": one}); a.status != 422 {
			t.Errorf("grant again = %d", a.status)
		}
	}
}

func TestApplicationNeedsSecret(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	tok := b.push(CampusUser)
	body := `{"access_token":"` + tok + `"}`
	for _, c := range []struct {
		id, secret, path string
		want             int
	}{
		{"", "", CampusPushApp, 401}, {CampusPushApp, "wrong", CampusPushApp, 401}, {CampusPushApp, "", CampusPushApp, 401},
		{CampusApp, CampusPushSecret, CampusApp, 401}, {CampusPushApp, CampusPushSecret, CampusApp, 404}, {CampusPushApp, CampusPushSecret, CampusPushApp, 200},
	} {
		req, _ := http.NewRequest("POST", b.api+"/applications/"+c.path+"/token", strings.NewReader(body))
		if c.id != "" {
			req.SetBasicAuth(c.id, c.secret)
		}
		if a := send(t, b.hc, req); a.status != c.want {
			t.Errorf("%s with %q for %s = %d %s, want %d", c.id, c.secret, c.path, a.status, a.body, c.want)
		}
	}
	theirs, _, _ := b.Issue(CampusApp, CampusUser, 0)
	if a := b.ask("POST", "/token", fields{"access_token": theirs}); a.status != 404 {
		t.Errorf("another App's token = %d", a.status)
	}
	if a := b.ask("DELETE", "/token", fields{"access_token": theirs}); a.status != 422 || len(b.LiveTokens()) != 2 {
		t.Errorf("another App's token = %d", a.status)
	}
	req, _ := http.NewRequest("POST", b.api+"/applications/"+CampusPushApp+"/token", strings.NewReader("{"))
	req.SetBasicAuth(CampusPushApp, CampusPushSecret)
	if a := send(t, b.hc, req); a.status != 400 {
		t.Errorf("half a body = %d", a.status)
	}
}

func TestScoped(t *testing.T) {
	for _, kind := range []HostKind{EnterpriseServer, GitHubCom, GHECom} {
		b := newBench(t, kind, Switches{})
		parent := b.push(CampusUser)
		b.clock.pass(time.Hour)
		a := b.ask("POST", "/token/scoped", fields{"access_token": parent, "target": "river-lab", "repository_ids": []int64{CampusDataRepo},
			"permissions": fields{"contents": "read"}})
		child := a.text("token")
		inst, _ := a.json["installation"].(map[string]any)
		if a.status != 200 || !strings.HasPrefix(child, "ghu_") || child == parent || a.text("expires_at") != "2026-11-02T17:00:00Z" ||
			inst["repository_selection"] != "selected" || fmt.Sprint(inst["permissions"]) != "map[contents:read metadata:read]" {
			t.Fatalf("scoped = %d %s", a.status, a.body)
		}
		if a.header.Get("ETag") != "" {
			t.Error("a POST has an ETag")
		}
		info, live := b.Token(child)
		if !live || !info.Scoped || !slices.Equal(info.Repositories, []int64{CampusDataRepo}) || info.Permissions["contents"] != "read" {
			t.Errorf("= %+v", info)
		}
		if _, live := b.Token(parent); !live {
			t.Error("the parent died")
		}
		for path, want := range map[string]int{"/repos/river-lab/data": 200, "/repos/river-lab/handbook": 404, "/repos/octo-researcher/notes": 404, "/user": 200} {
			if a := b.get(path, child); a.status != want {
				t.Errorf("%s = %d, want %d", path, a.status, want)
			}
		}
		if got := ids(b.get("/user/installations", child), "installations"); got != "7005" {
			t.Errorf("installations = %s", got)
		}
		if a := b.ask("POST", "/token", fields{"access_token": child}); a.status != 200 || a.json["installation"] == nil {
			t.Errorf("check of a child = %d %s", a.status, a.body)
		}
		whole := b.ask("POST", "/token/scoped", fields{"access_token": parent, "target_id": 2001})
		if info, _ := b.Token(whole.text("token")); whole.status != 200 || info.Repositories != nil || info.Permissions["contents"] != "write" {
			t.Errorf("all of an account = %d %s", whole.status, whole.body)
		}
		if got := ids(b.get("/user/installations/7005/repositories", whole.text("token")), "repositories"); got != "5001 5007" {
			t.Errorf("all of an account = %s", got)
		}
		if got := ids(b.get("/user/installations", whole.text("token")), "installations"); got != "7005" {
			t.Errorf("all of an account: installations = %s", got)
		}
		if a := b.get("/repos/octo-researcher/notes", whole.text("token")); a.status != 404 {
			t.Errorf("another account's = %d", a.status)
		}
		b.clock.pass(7 * time.Hour)
		if _, live := b.Token(child); live {
			t.Error("the child outlives its parent's end")
		}
	}
}

func TestScopedRefuses(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	old := b.push(CampusUser)
	b.Disconnect(CampusPushApp, CampusUser)
	parent := b.push(CampusUser)
	limited, _, _ := b.Issue(CampusPushApp, CampusUser, CampusDataRepo)
	child := b.ask("POST", "/token/scoped", fields{"access_token": parent, "target": "river-lab"}).text("token")
	theirs, _, _ := b.Issue(CampusApp, CampusUser, 0)
	data := []int64{CampusDataRepo}
	for name, c := range map[string]struct {
		body fields
		want int
	}{
		"child as parent":            {fields{"access_token": child, "target": "river-lab"}, 422},
		"revoked parent":             {fields{"access_token": old, "target": "river-lab"}, 404},
		"another App's parent":       {fields{"access_token": theirs, "target": "river-lab"}, 404},
		"no parent":                  {fields{"target": "river-lab"}, 404},
		"no target":                  {fields{"access_token": parent}, 422},
		"two targets":                {fields{"access_token": parent, "target": "river-lab", "target_id": 2001}, 422},
		"unknown target":             {fields{"access_token": parent, "target": "nobody"}, 422},
		"target without App":         {fields{"access_token": parent, "target": "ada"}, 422},
		"names and numbers":          {fields{"access_token": parent, "target": "river-lab", "repository_ids": data, "repositories": []string{"data"}}, 422},
		"by name":                    {fields{"access_token": parent, "target": "river-lab", "repositories": []string{"data", "handbook"}}, 200},
		"repository not in the App":  {fields{"access_token": parent, "target": "river-lab", "repositories": []string{"paper"}}, 422},
		"repository of another":      {fields{"access_token": parent, "target": "river-lab", "repository_ids": []int64{CampusNotesRepo}}, 422},
		"repository that is not":     {fields{"access_token": parent, "target": "river-lab", "repository_ids": []int64{1}}, 422},
		"outside the parent's limit": {fields{"access_token": limited, "target": "river-lab", "repository_ids": []int64{CampusReadRepo}}, 422},
		"inside the parent's limit":  {fields{"access_token": limited, "target": "river-lab", "repository_ids": data}, 200},
		"permission not granted":     {fields{"access_token": parent, "target": "river-lab", "permissions": fields{"workflows": "write"}}, 422},
		"more than granted":          {fields{"access_token": parent, "target": "river-lab", "permissions": fields{"metadata": "write"}}, 422},
		"level unknown":              {fields{"access_token": parent, "target": "river-lab", "permissions": fields{"contents": "all"}}, 422},
	} {
		if a := b.ask("POST", "/token/scoped", c.body); a.status != c.want {
			t.Errorf("%s = %d %s, want %d", name, a.status, a.body, c.want)
		}
	}
	b.Update(func(s *Seed) {
		s.Installations = append(s.Installations, Installation{ID: 7009, App: CampusPushApp, Account: "sso-org", All: true})
	})
	if a := b.ask("POST", "/token/scoped", fields{"access_token": parent, "target": "sso-org"}); a.status != 403 || a.header.Get("X-GitHub-SSO") == "" {
		t.Errorf("without single sign-on = %d %s", a.status, a.body)
	}
	// Somebody without access gets none by naming a repository.
	b.Update(func(s *Seed) { s.Repos[0].Access = map[string]Access{CampusOther: AccessAdmin} })
	if a := b.ask("POST", "/token/scoped", fields{"access_token": parent, "target": "river-lab", "repository_ids": data}); a.status != 422 {
		t.Errorf("without access = %d", a.status)
	}
	b.Update(func(s *Seed) { *s = Suspended(*s, CampusPushLabInstall, b.clock.now()) })
	if a := b.ask("POST", "/token/scoped", fields{"access_token": parent, "target": "river-lab"}); a.status != 403 || a.header.Get("Retry-After") != "" {
		t.Errorf("suspended = %d", a.status)
	}
}

func TestChildrenAndRefresh(t *testing.T) {
	for _, survive := range []bool{false, true} {
		b := newBench(t, GitHubCom, Switches{ChildrenSurviveRefresh: survive})
		access, refresh, _ := b.Issue(CampusPushApp, CampusUser, 0)
		scoped := func(parent string) string {
			return b.ask("POST", "/token/scoped", fields{"access_token": parent, "target": "river-lab"}).text("token")
		}
		first := scoped(access)
		b.clock.pass(time.Hour)
		next := b.refresh(CampusPushApp, refresh).text("access_token")
		if _, live := b.Token(first); live != survive {
			t.Errorf("after the refresh: %t, want %t", live, survive)
		}
		second := scoped(next)
		reset := b.ask("PATCH", "/token", fields{"access_token": next}).text("token")
		if _, live := b.Token(second); live != survive {
			t.Errorf("after the reset: %t, want %t", live, survive)
		}
		third := scoped(reset)
		b.ask("DELETE", "/token", fields{"access_token": reset})
		if _, live := b.Token(third); !live {
			t.Error("deleting one token ended another")
		}
		b.clock.pass(7*time.Hour + time.Second)
		if _, live := b.Token(first); live {
			t.Error("the first child lives longer than its parent would have")
		}
		b.Disconnect(CampusPushApp, CampusUser)
		if n := len(b.LiveTokens()); n != 0 {
			t.Errorf("%d tokens live without the grant", n)
		}
	}
}

func TestChildLimit(t *testing.T) {
	for limit, want := range map[int]int{0: 10, 3: 3, -1: 25} {
		b := newBench(t, GitHubCom, Switches{ChildLimit: limit})
		parent, other := b.push(CampusUser), b.push(CampusUser)
		var made []string
		for i := range 25 {
			p := parent
			if i%2 == 1 {
				p = other
			}
			made = append(made, b.ask("POST", "/token/scoped", fields{"access_token": p, "target": "river-lab"}).text("token"))
		}
		for i, tok := range made {
			if _, live := b.Token(tok); live != (i >= len(made)-want) {
				t.Errorf("limit %d: child %d of %d lives: %t", limit, i+1, len(made), live)
			}
		}
		for _, p := range []string{parent, other} {
			if _, live := b.Token(p); !live {
				t.Errorf("limit %d: a parent died", limit)
			}
		}
	}
}

// TestGoGitHubOfAnApp checks and revokes with a client that knows nothing of
// us. It has no call for scoped tokens.
func TestGoGitHubOfAnApp(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	basic := &github.BasicAuthTransport{Username: CampusPushApp, Password: CampusPushSecret, Transport: b.hc.Transport}
	c, err := github.NewClient(github.WithHTTPClient(basic.Client()))
	if err != nil {
		t.Fatal(err)
	}
	tok := b.push(CampusUser)
	a, _, err := c.Authorizations.Check(t.Context(), CampusPushApp, tok)
	if err != nil || a.GetToken() != tok || a.GetUser().GetLogin() != CampusUser || a.GetApp().GetClientID() != CampusPushApp {
		t.Errorf("Check = %v, %v", a, err)
	}
	a, _, err = c.Authorizations.Reset(t.Context(), CampusPushApp, tok)
	if err != nil || a.GetToken() == tok || a.GetTokenLastEight() != a.GetToken()[len(a.GetToken())-8:] {
		t.Errorf("Reset = %v, %v", a, err)
	}
	if res, err := c.Authorizations.Revoke(t.Context(), CampusPushApp, a.GetToken()); err != nil || res.StatusCode != 204 {
		t.Errorf("Revoke = %v", err)
	}
	if res, err := c.Authorizations.DeleteGrant(t.Context(), CampusPushApp, b.push(CampusUser)); err != nil || res.StatusCode != 204 {
		t.Errorf("DeleteGrant = %v", err)
	}
	if len(b.LiveTokens()) != 0 {
		t.Errorf("%v live", b.LiveTokens())
	}
}

// TestSecretsAreNotRemembered looks at all that is remembered of requests with
// secrets in them.
func TestSecretsAreNotRemembered(t *testing.T) {
	b := webBench(t, EnterpriseServer, Switches{})
	key, err := b.GenerateKey(CampusContentApp)
	if err != nil {
		t.Fatal(err)
	}
	code := b.webCode(webBack, "")
	web := b.swap("code", code, "client_secret", webSecret)
	b.do("POST", b.web+"/login/oauth/access_token", "", fmt.Sprintf(`{"client_id":%q,"client_secret":%q,"grant_type":"refresh_token","refresh_token":%q}`,
		CampusApp, webSecret, web.text("refresh_token")), "Content-Type", "application/json")
	parent := b.push(CampusUser)
	child := b.ask("POST", "/token/scoped", fields{"access_token": parent, "target": "river-lab", "repository_ids": []int64{CampusDataRepo}, "permissions": fields{"contents": "read"}})
	scoped := b.Requests()[len(b.Requests())-1]
	b.hc.Transport = Transport(b.GitHub)
	b.do("POST", b.api+"/credentials/revoke", "", `{"credentials":["`+web.text("access_token")+`"]}`)
	signed := signJWT(t, key, fields{"iss": CampusContentApp, "iat": b.clock.now().Unix() - 60, "exp": b.clock.now().Unix() + 540})
	own := b.do("POST", b.api+"/app/installations/7007/access_tokens", signed, "")
	b.do("DELETE", b.api+"/installation/token", own.text("token"), "")
	all := fmt.Sprintf("%+v", b.Requests())
	for name, secret := range map[string]string{
		"code": code, "client secret": webSecret, "access token": web.text("access_token"), "refresh token": web.text("refresh_token"),
		"parent": parent, "child": child.text("token"), "App's secret": CampusPushSecret, "JWT": signed, "installation's": own.text("token"),
	} {
		if secret == "" || strings.Contains(all, secret) {
			t.Errorf("the %s is remembered: %q", name, secret)
		}
	}
	if f := scoped.Form; scoped.Username != CampusPushApp || f.Get("access_token") != Fingerprint(parent) || f.Get("repository_ids") != "5001" || f.Get("permissions") != "contents: read" {
		t.Errorf("scoped = %+v", scoped)
	}
}

// BenchmarkCrowd is one request of each kind where ten thousand users have
// eight repositories each, and tokens.
func BenchmarkCrowd(b *testing.B) {
	g := NewGitHub(GitHubConfig{Kind: EnterpriseServer, Seed: Campus()})
	if err := g.Add(Crowd(CampusPushApp, 10_000, 8)); err != nil {
		b.Fatal(err)
	}
	tokens, refresh := make([]string, 10_000), make([]string, 10_000)
	for i := range tokens {
		tokens[i], refresh[i], _ = g.Issue(CampusPushApp, fmt.Sprintf("user%d", i), 0)
	}
	serve := func(method, path, kind, body string, auth func(*http.Request)) *bufferedResponse {
		req, _ := http.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
		req.Header.Set("User-Agent", "bench")
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Accept", "application/json")
		auth(req)
		res := &bufferedResponse{header: http.Header{}}
		g.ServeHTTP(res, req)
		if res.status != 200 || strings.Contains(string(res.body), `"error"`) {
			b.Fatalf("%s: %d %s", path, res.status, res.body)
		}
		return res
	}
	basic := func(r *http.Request) { r.SetBasicAuth(CampusPushApp, CampusPushSecret) }
	for _, c := range []struct {
		name string
		do   func(u int)
	}{
		{"scoped", func(u int) {
			serve("POST", "/api/v3/applications/"+CampusPushApp+"/token/scoped", "application/json", fmt.Sprintf(
				`{"access_token":%q,"target":"user%d","repository_ids":[%d],"permissions":{"contents":"write"}}`, tokens[u], u, 10_000_000+u*8+3), basic)
		}},
		{"check", func(u int) {
			serve("POST", "/api/v3/applications/"+CampusPushApp+"/token", "application/json", fmt.Sprintf(`{"access_token":%q}`, tokens[u]), basic)
		}},
		{"repository", func(u int) {
			serve("GET", fmt.Sprintf("/api/v3/repos/user%d/repo5", u), "", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+tokens[u]) })
		}},
		{"installations", func(u int) {
			serve("GET", "/api/v3/user/installations", "", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+tokens[u]) })
		}},
		{"refresh", func(u int) { // last: it changes the tokens
			res := serve("POST", "/login/oauth/access_token", "application/x-www-form-urlencoded",
				"client_id="+CampusPushApp+"&grant_type=refresh_token&refresh_token="+refresh[u], func(*http.Request) {})
			var pair map[string]any
			json.Unmarshal(res.body, &pair)
			refresh[u] = pair["refresh_token"].(string)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				c.do(n % len(tokens))
				n++
			}
		})
	}
}
