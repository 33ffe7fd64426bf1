package fake

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-github/v89/github"
)

// appKey is one key for all tests: making one takes a while.
var appKey = sync.OnceValues(func() ([2]string, error) {
	private, public, err := NewAppKey(rand.Reader)
	return [2]string{private, public}, err
})

// signJWT signs claims with a private key in PEM.
func signJWT(t *testing.T, private string, claims map[string]any) string {
	t.Helper()
	return signAs(t, private, "RS256", claims)
}

// signAs does so with an algorithm named that need not be the one used.
func signAs(t *testing.T, private, alg string, claims map[string]any) string {
	t.Helper()
	block, _ := pem.Decode([]byte(private))
	if block == nil {
		t.Fatal("no PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+alg+`","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// appBench has a key for the content App.
func appBench(t *testing.T, kind HostKind, sw Switches) (b *bench, private string) {
	keys, err := appKey()
	if err != nil {
		t.Fatal(err)
	}
	b = newBench(t, kind, sw)
	b.Update(func(s *Seed) {
		for i := range s.Apps {
			if s.Apps[i].ClientID == CampusContentApp {
				s.Apps[i].Keys = []string{keys[1]}
			}
		}
	})
	return b, keys[0]
}

// signed is a good JWT of the content App.
func (b *bench) signed(private string) string {
	now := b.now().Unix()
	return signJWT(b.t, private, fields{"iss": CampusContentApp, "iat": now - 60, "exp": now + 540})
}

func (b *bench) mint(jwt, body string, header ...string) answer {
	b.t.Helper()
	return b.do("POST", b.api+"/app/installations/7007/access_tokens", jwt, body, header...)
}

func TestJWT(t *testing.T) {
	b, key := appBench(t, GitHubCom, Switches{})
	now := b.clock.now().Unix()
	other, _, err := NewAppKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := signJWT(t, key, fields{"iss": CampusContentApp, "iat": now - 60, "exp": now + 540})
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + good[strings.Index(good, "."):]
	for name, c := range map[string]struct {
		jwt, want string
		status    int
	}{
		"client id":        {good, "", 200},
		"number":           {signJWT(t, key, fields{"iss": 3006, "iat": now, "exp": now + 600}), "", 200},
		"number as text":   {signJWT(t, key, fields{"iss": "3006", "iat": now, "exp": now + 1}), "", 200},
		"too far":          {signJWT(t, key, fields{"iss": 3006, "iat": now - 60, "exp": now + 601}), jwtTooFar, 401},
		"over":             {signJWT(t, key, fields{"iss": 3006, "iat": now - 60, "exp": now}), jwtExpiry, 401},
		"no end":           {signJWT(t, key, fields{"iss": 3006, "iat": now - 60}), jwtExpiry, 401},
		"from the future":  {signJWT(t, key, fields{"iss": 3006, "iat": now + 1, "exp": now + 60}), jwtIssued, 401},
		"no start":         {signJWT(t, key, fields{"iss": 3006, "exp": now + 60}), jwtIssued, 401},
		"half a second":    {signJWT(t, key, fields{"iss": 3006, "iat": 1.5, "exp": now + 60}), jwtIssued, 401},
		"wrong key":        {signJWT(t, other, fields{"iss": 3006, "iat": now - 60, "exp": now + 60}), jwtDecode, 401},
		"no such App":      {signJWT(t, key, fields{"iss": 1, "iat": now - 60, "exp": now + 60}), jwtNoApp, 404},
		"no issuer":        {signJWT(t, key, fields{"iat": now - 60, "exp": now + 60}), jwtNoApp, 404},
		"OAuth App":        {signJWT(t, key, fields{"iss": 3004, "iat": now - 60, "exp": now + 60}), jwtNoApp, 404},
		"App without key":  {signJWT(t, key, fields{"iss": CampusPushApp, "iat": now - 60, "exp": now + 60}), jwtNoKey, 401},
		"no signature":     {none, jwtDecode, 401},
		"algorithm":        {signAs(t, key, "HS256", fields{"iss": 3006, "iat": now - 60, "exp": now + 60}), jwtDecode, 401},
		"changed":          {good[:len(good)-4] + "AAAA", jwtDecode, 401},
		"not a JWT at all": {"a.b.c", jwtDecode, 401},
	} {
		a := b.get("/app", c.jwt)
		if a.status != c.status || a.text("message") != c.want || a.header.Get("Date") == "" {
			t.Errorf("%s = %d %s, want %d %s", name, a.status, a.body, c.status, c.want)
		}
	}
	for _, tok := range []string{"", b.push(CampusUser)} {
		if a := b.get("/app", tok); a.status != 401 || a.text("message") != jwtDecode {
			t.Errorf("/app without a JWT = %d %s", a.status, a.body)
		}
	}
	if a := b.get("/user", good); a.status != 401 {
		t.Errorf("/user with a JWT = %d", a.status)
	}
}

func TestGenerateKey(t *testing.T) {
	b, old := appBench(t, GitHubCom, Switches{})
	next, err := b.GenerateKey(CampusContentApp)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{old, next} {
		if a := b.get("/app", b.signed(key)); a.status != 200 {
			t.Errorf("= %d %s", a.status, a.body)
		}
	}
	b.Update(func(*Seed) {}) // keys are of the world
	if a := b.get("/app", b.signed(next)); a.status != 200 {
		t.Errorf("after an update = %d %s", a.status, a.body)
	}
	if _, err := b.GenerateKey("nothing"); err == nil {
		t.Error("a key for no App")
	}
}

func TestFindInstallation(t *testing.T) {
	for _, kind := range []HostKind{EnterpriseServer, GitHubCom, GHECom} {
		b, key := appBench(t, kind, Switches{})
		b.Update(func(s *Seed) { s.Renames["uni-course/exercises"] = "uni-course/homework" })
		b.hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		jwt := b.signed(key)
		if a := b.get("/app", jwt); a.text("slug") != "campus-content" || a.num("installations_count") != 1 {
			t.Errorf("/app = %s", a.body)
		}
		for path, want := range map[string]int{
			"/repos/uni-course/homework/installation": 200, "/repos/uni-course/solutions/installation": 404, "/repos/uni-course/nothing/installation": 404,
			"/repos/river-lab/data/installation": 404, "/repositories/5008/installation": 200, "/repos/uni-course/exercises/installation": 301,
			"/orgs/uni-course/installation": 200, "/orgs/river-lab/installation": 404, "/orgs/nothing/installation": 404,
			"/users/octo-researcher/installation": 404, "/users/uni-course/installation": 404,
			"/app/installations/7007": 200, "/app/installations/7001": 404, "/app/installations/x": 404,
		} {
			a := b.get(path, jwt)
			if a.status != want || want == 200 && a.num("id") != 7007 {
				t.Errorf("%s = %d %s, want %d", path, a.status, a.body, want)
			}
			if a := b.get(path, ""); a.status != 401 {
				t.Errorf("%s without a JWT = %d", path, a.status)
			}
		}
		a := b.get("/repos/uni-course/exercises/installation", jwt)
		if got := a.header.Get("Location"); got != b.api+"/repositories/5008/installation" {
			t.Errorf("moved to %s", got)
		}
		a = b.get("/app/installations", jwt)
		if a.status != 200 || !strings.HasPrefix(a.body, `[{`) || !strings.Contains(a.body, `"id":7007`) {
			t.Errorf("/app/installations = %d %s", a.status, a.body)
		}
		if a := b.get("/apps/campus-content", ""); a.status != 200 || a.text("client_id") != CampusContentApp {
			t.Errorf("/apps = %d %s", a.status, a.body)
		}
	}
}

func TestInstallationToken(t *testing.T) {
	for _, kind := range []HostKind{EnterpriseServer, GitHubCom, GHECom} {
		b, key := appBench(t, kind, Switches{})
		jwt := b.signed(key)
		a := b.mint(jwt, `{"repository_ids":[5008],"permissions":{"contents":"read"}}`)
		tok := a.text("token")
		if a.status != 201 || len(tok) != 40 || !strings.HasPrefix(tok, "ghs_") || a.text("expires_at") != "2026-11-02T10:00:00Z" ||
			a.text("repository_selection") != "selected" || ids(a, "repositories") != "5008" {
			t.Fatalf("= %d %s", a.status, a.body)
		}
		if info, live := b.Token(tok); !live || info.Kind != "ghs" || info.Installation != CampusContentInstall || info.User != "" || info.Refresh != "" {
			t.Errorf("= %+v", info)
		}
		a = b.get("/installation/repositories", tok)
		if a.status != 200 || ids(a, "repositories") != "5008" {
			t.Errorf("repositories = %d %s", a.status, a.body)
		}
		for path, want := range map[string]int{
			"/repos/uni-course/homework": 200, "/repositories/5008": 200, "/repos/uni-course/solutions": 404, "/repos/river-lab/data": 404,
			"/repos/octo-researcher/public-page": 200, "/user": 403, "/user/installations": 403,
		} {
			if a := b.get(path, tok); a.status != want {
				t.Errorf("%s = %d %s, want %d", path, a.status, a.body, want)
			}
		}
		if a := b.do("DELETE", b.api+"/installation/token", tok, ""); a.status != 204 {
			t.Errorf("revoke = %d %s", a.status, a.body)
		}
		if a := b.get("/installation/repositories", tok); a.status != 401 {
			t.Errorf("afterwards = %d", a.status)
		}
		if a := b.do("DELETE", b.api+"/installation/token", b.push(CampusUser), ""); a.status != 403 {
			t.Errorf("a user's token = %d", a.status)
		}
		tok = b.mint(jwt, "").text("token")
		b.clock.pass(time.Hour - time.Second)
		if _, live := b.Token(tok); !live {
			t.Error("dead within the hour")
		}
		b.clock.pass(time.Second)
		if _, live := b.Token(tok); live {
			t.Error("alive after an hour")
		}
	}
}

func TestInstallationTokenForms(t *testing.T) {
	b, key := appBench(t, GitHubCom, Switches{})
	jwt := b.signed(key)
	for _, c := range []struct {
		usual  bool
		header string
		long   bool
	}{{false, "", false}, {false, "enabled", true}, {true, "", true}, {true, "disabled", false}, {true, "enabled", true}, {false, "true", false}, {true, "0", true}} {
		b.Set(func(s *Switches) { s.Stateless = c.usual })
		tok := b.mint(jwt, "", "X-GitHub-Stateless-S2S-Token", c.header).text("token")
		if long := strings.HasPrefix(tok, "ghs_3006_eyJ") && strings.Count(tok, ".") == 2 && len(tok) > 480 && len(tok) < 560; long != c.long || !c.long && len(tok) != 40 {
			t.Errorf("%+v: %d characters: %s", c, len(tok), tok)
		}
		if a := b.get("/repos/uni-course/homework", tok); a.status != 200 {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
		}
	}
}

func TestInstallationTokenRefused(t *testing.T) {
	b, key := appBench(t, GitHubCom, Switches{})
	jwt := b.signed(key)
	many := strings.Repeat("5008,", 500) + "5008"
	for body, want := range map[string]int{
		``: 201, `{}`: 201, `{"repositories":["homework"]}`: 201, `{"repositories":["solutions"]}`: 422, `{"repositories":["nothing"]}`: 422,
		`{"repository_ids":[5009]}`: 422, `{"repository_ids":[5001]}`: 422, `{"permissions":{"contents":"write"}}`: 422,
		`{"permissions":{"metadata":"read"}}`: 201, `{"permissions":{"issues":"read"}}`: 422, `{`: 400, `{"repository_ids":[` + many + `]}`: 422,
	} {
		if a := b.mint(jwt, body); a.status != want {
			t.Errorf("%.60s = %d %s, want %d", body, a.status, a.body, want)
		}
	}
	for body, want := range map[string]string{`{"permissions":{"contents":"write"}}`: "The level of access", `{"permissions":{"issues":"read"}}`: "The permissions requested"} {
		if a := b.mint(jwt, body); !strings.HasPrefix(a.text("message"), want) {
			t.Errorf("%s = %s", body, a.body)
		}
	}
	if a := b.do("POST", b.api+"/app/installations/7001/access_tokens", jwt, ""); a.status != 404 {
		t.Errorf("another App's installation = %d", a.status)
	}
	if a := b.mint(b.push(CampusUser), ""); a.status != 401 {
		t.Errorf("with a user's token = %d", a.status)
	}
	tok := b.mint(jwt, "").text("token")
	b.Update(func(s *Seed) { *s = Suspended(*s, CampusContentInstall, b.clock.now()) })
	if a := b.mint(jwt, ""); a.status != 403 || a.text("message") != "This installation has been suspended" {
		t.Errorf("suspended = %d %s", a.status, a.body)
	}
	if a := b.get("/repos/uni-course/homework", tok); a.status != 404 {
		t.Errorf("suspended: the token still reads: %d", a.status)
	}
	b.Update(func(s *Seed) { s.Installations = s.Installations[:1] })
	if a := b.get("/installation/repositories", tok); a.status != 401 {
		t.Errorf("uninstalled: the token = %d", a.status)
	}
	if a := b.mint(jwt, ""); a.status != 404 {
		t.Errorf("uninstalled = %d", a.status)
	}
}

// TestInstallationTokenStaysInside has the App on two accounts, one of which
// takes a permission back.
func TestInstallationTokenStaysInside(t *testing.T) {
	b, key := appBench(t, GitHubCom, Switches{})
	b.Update(func(s *Seed) {
		s.Installations = append(s.Installations, Installation{ID: 7008, App: CampusContentApp, Account: "river-lab", All: true})
		for i := range s.Apps {
			if s.Apps[i].ClientID == CampusContentApp {
				s.Apps[i].Permissions["contents"] = "write"
				s.Apps[i].ClientSecrets = []string{CampusPushSecret}
			}
		}
	})
	tok := b.mint(b.signed(key), `{"permissions":{"contents":"write"}}`).text("token")
	may := func(full string) Access {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.tokenAccess(b.live(tok), b.repoNamed(full))
	}
	if may("uni-course/homework") != AccessWrite || may("river-lab/data") != AccessNone {
		t.Errorf("%v and %v", may("uni-course/homework"), may("river-lab/data"))
	}
	b.Update(func(s *Seed) {
		for i := range s.Installations {
			s.Installations[i].Permissions = map[string]string{"contents": "read", "metadata": "read"}
		}
	})
	if got := may("uni-course/homework"); got != AccessRead {
		t.Errorf("after the account took it back: %v", got)
	}
	req, _ := http.NewRequest("POST", b.api+"/applications/"+CampusContentApp+"/token", strings.NewReader(`{"access_token":"`+tok+`"}`))
	req.SetBasicAuth(CampusContentApp, CampusPushSecret)
	if a := send(t, b.hc, req); a.status != 404 {
		t.Errorf("an installation's token is no authorisation: %d %s", a.status, a.body)
	}
}

func TestCollaboratorPermission(t *testing.T) {
	b, key := appBench(t, GitHubCom, Switches{})
	tok := b.mint(b.signed(key), `{"permissions":{"metadata":"read"}}`).text("token")
	at := func(login string) string { return "/repos/uni-course/homework/collaborators/" + login + "/permission" }
	for login, want := range map[string]string{CampusInstructor: "admin", CampusStudent: "none"} {
		if a := b.get(at(login), tok); a.status != 200 || a.text("permission") != want {
			t.Errorf("%s = %d %s, want %s", login, a.status, a.body, want)
		}
	}
	if a := b.get("/repositories/5008/collaborators/"+CampusInstructor+"/permission", tok); a.text("permission") != "admin" {
		t.Errorf("by number = %d %s", a.status, a.body)
	}
	for path, want := range map[string]int{at("nobody"): 404, strings.Replace(at("ada"), "homework", "solutions", 1): 404} {
		if a := b.get(path, tok); a.status != want {
			t.Errorf("%s = %d, want %d", path, a.status, want)
		}
	}
	push := b.push(CampusUser)
	for path, want := range map[string]int{at("ada"): 404, "/repos/river-lab/data/collaborators/ada/permission": 200, "/repos/river-lab/handbook/collaborators/ada/permission": 403} {
		if a := b.get(path, push); a.status != want {
			t.Errorf("%s for a user = %d, want %d", path, a.status, want)
		}
	}
	if a := b.get(at("ada"), ""); a.status != 401 {
		t.Errorf("for nobody = %d", a.status)
	}
}

// TestGoGitHubAsApp acts as an App with a client that knows nothing of us.
func TestGoGitHubAsApp(t *testing.T) {
	b, key := appBench(t, GitHubCom, Switches{Stateless: true})
	client := func(token string) *github.Client {
		c, err := github.NewClient(github.WithHTTPClient(b.hc), github.WithAuthToken(token))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	app := client(b.signed(key))
	if a, _, err := app.Apps.Get(t.Context(), ""); err != nil || a.GetSlug() != "campus-content" {
		t.Errorf("Get = %v, %v", a, err)
	}
	i, _, err := app.Apps.GetRepositoryInstallation(t.Context(), "uni-course", "homework")
	if err != nil || i.GetID() != CampusContentInstall || i.GetAccount().GetLogin() != "uni-course" {
		t.Fatalf("GetRepositoryInstallation = %v, %v", i, err)
	}
	if is, _, err := app.Apps.ListInstallations(t.Context(), nil); err != nil || len(is) != 1 {
		t.Errorf("ListInstallations = %v, %v", is, err)
	}
	tok, _, err := app.Apps.CreateInstallationToken(t.Context(), i.GetID(), &github.InstallationTokenOptions{
		RepositoryIDs: []int64{CampusHomeworkRepo}, Permissions: &github.InstallationPermissions{Contents: github.Ptr("read")},
	})
	if err != nil || !tok.GetExpiresAt().Time.Equal(b.clock.now().Add(time.Hour)) || len(tok.Repositories) != 1 || tok.GetPermissions().GetContents() != "read" {
		t.Fatalf("CreateInstallationToken = %v, %v", tok, err)
	}
	own := client(tok.GetToken())
	if rs, _, err := own.Apps.ListRepos(t.Context(), nil); err != nil || rs.GetTotalCount() != 1 || rs.Repositories[0].GetPermissions().GetPush() {
		t.Errorf("ListRepos = %v, %v", rs, err)
	}
	level, _, err := own.Repositories.GetPermissionLevel(t.Context(), "uni-course", "homework", CampusInstructor)
	if err != nil || level.GetPermission() != "admin" || level.GetUser().GetID() != 1004 {
		t.Errorf("GetPermissionLevel = %v, %v", level, err)
	}
	if _, err := own.Apps.RevokeInstallationToken(t.Context()); err != nil {
		t.Errorf("RevokeInstallationToken = %v", err)
	}
	if len(b.LiveTokens()) != 0 {
		t.Errorf("%v live", b.LiveTokens())
	}
}

func TestConditional(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{RateLimit: 3})
	tok := b.push(CampusUser)
	a := b.get("/repos/river-lab/data", tok)
	tag := a.header.Get("ETag")
	if a.status != 200 || !strings.HasPrefix(tag, `W/"`) || a.header.Get("X-RateLimit-Remaining") != "2" {
		t.Fatalf("= %d %v", a.status, a.header)
	}
	for _, match := range []string{tag, `"x", ` + tag, strings.TrimPrefix(tag, "W/")} {
		a := b.do("GET", b.api+"/repos/river-lab/data", tok, "", "If-None-Match", match)
		if a.status != 304 || a.body != "" || a.header.Get("ETag") != tag || a.header.Get("X-RateLimit-Remaining") != "2" {
			t.Errorf("with %s = %d %q %v", match, a.status, a.body, a.header)
		}
	}
	b.Update(func(s *Seed) { s.Repos[0].Description = "changed" })
	a = b.do("GET", b.api+"/repos/river-lab/data", tok, "", "If-None-Match", tag)
	if a.status != 200 || a.header.Get("ETag") == tag || a.header.Get("X-RateLimit-Remaining") != "1" {
		t.Errorf("changed = %d", a.status)
	}
	// Without a token a 304 counts.
	page := b.api + "/repos/octo-researcher/public-page"
	a = b.do("GET", page, "", "")
	left := a.header.Get("X-RateLimit-Remaining")
	if a := b.do("GET", page, "", "", "If-None-Match", a.header.Get("ETag")); a.status != 304 || a.header.Get("X-RateLimit-Remaining") == left {
		t.Errorf("anonymous = %d, %s left", a.status, a.header.Get("X-RateLimit-Remaining"))
	}
}

func TestLimitsOfApps(t *testing.T) {
	b, key := appBench(t, GitHubCom, Switches{RateLimit: 2})
	jwt := b.signed(key)
	tok := b.mint(jwt, "").text("token")
	for range 2 {
		b.get("/repos/uni-course/homework", tok)
	}
	a := b.get("/repos/uni-course/homework", tok)
	if a.status != 403 || a.header.Get("X-RateLimit-Remaining") != "0" || !strings.Contains(a.text("message"), "installation ID 7007") {
		t.Errorf("installation = %d %s", a.status, a.body)
	}
	b.get("/app", jwt)
	if a := b.get("/app", jwt); a.status != 403 || !strings.Contains(a.text("message"), "app ID 3006") {
		t.Errorf("App = %d %s", a.status, a.body)
	}
	b.Set(func(s *Switches) { s.RateLimit, s.SecondaryLimit = 0, 90*time.Second })
	if a := b.ask("POST", "/token", fields{"access_token": "ghu_x"}); a.status != 403 || a.header.Get("Retry-After") != "90" {
		t.Errorf("secondary = %d %v", a.status, a.header)
	}
}

// TestFaultsOfApps fails one of each of the new endpoints.
func TestFaultsOfApps(t *testing.T) {
	b, key := appBench(t, GitHubCom, Switches{})
	b.hc.Transport = Transport(b.GitHub)
	jwt := b.signed(key)
	stop := b.Fault(PathIs("/applications/"+CampusPushApp+"/token/scoped"), TooFast(429, time.Minute))
	parent := b.push(CampusUser)
	if a := b.ask("POST", "/token/scoped", fields{"access_token": parent, "target": "river-lab"}); a.status != 429 || a.header.Get("Retry-After") != "60" || a.text("message") == "" {
		t.Errorf("= %d %s", a.status, a.body)
	}
	stop()
	b.Fault(PathHasPrefix("/app/"), RateSpent(b.clock.now().Add(time.Minute)))
	if a := b.mint(jwt, ""); a.status != 403 || a.header.Get("X-RateLimit-Reset") != fmt.Sprint(b.clock.now().Unix()+60) || a.header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("= %d %v", a.status, a.header)
	}
	b.ClearFaults()
	b.Fault(PathHasPrefix("/app/"), Fault{Kind: FaultLost})
	req, _ := http.NewRequest("POST", b.api+"/app/installations/7007/access_tokens", nil)
	req.Header.Set("Authorization", "Bearer "+jwt)
	if _, err := b.hc.Do(req); err == nil || len(b.LiveTokens()) != 2 {
		t.Errorf("lost = %v, %d tokens live", err, len(b.LiveTokens()))
	}
	b.Fault(PathIs("/app"), Fault{Kind: FaultClockSkew, Delay: -time.Hour})
	if a := b.get("/app", jwt); a.header.Get("Date") != "Mon, 02 Nov 2026 08:00:00 GMT" {
		t.Errorf("Date = %s", a.header.Get("Date"))
	}
}

func TestAdd(t *testing.T) {
	b := newBench(t, EnterpriseServer, Switches{})
	if err := b.Add(Crowd(CampusPushApp, 1000, 8)); err != nil {
		t.Fatal(err)
	}
	if a := b.get("/repos/USER999/repo7", b.push("user999")); a.status != 200 || a.num("id") != 10_000_000+999*8+7 {
		t.Errorf("= %d %s", a.status, a.body)
	}
	if a := b.get("/repos/user999/repo7", b.push("user998")); a.status != 404 {
		t.Errorf("another's = %d", a.status)
	}
	for name, s := range map[string]Seed{
		"users": {Users: []User{{ID: 1, Login: "User3"}}}, "user numbers": {Users: []User{{ID: 2001, Login: "fresh"}}},
		"orgs": {Orgs: []Org{{ID: 1, Login: "ada"}}}, "apps": {Apps: []App{{ID: 1, ClientID: CampusApp}}},
		"repos":    {Users: []User{{ID: 1, Login: "fresh"}}, Repos: []Repo{{ID: 1, Owner: "ada", Name: "private"}}},
		"installs": {Installations: []Installation{{ID: 1, App: CampusPushApp, Account: "river-lab"}}},
	} {
		if err := b.Add(s); err == nil {
			t.Errorf("%s: added twice", name)
		}
	}
	if _, _, err := b.Issue(CampusPushApp, "fresh", 0); err == nil {
		t.Error("half a seed was added")
	}
	b.Update(func(s *Seed) { s.Users = s.Users[:1] })
	if _, _, err := b.Issue(CampusPushApp, "user1", 0); err == nil {
		t.Error("a removed user is found")
	}
}

// TestTokensAreSweptOut holds what is over within bounds.
func TestTokensAreSweptOut(t *testing.T) {
	b := newBench(t, EnterpriseServer, Switches{TokenLife: time.Second, RefreshLife: time.Second})
	for range 20_000 {
		b.push(CampusUser)
		b.clock.pass(time.Second)
	}
	if n, m := len(b.tokens.all), len(b.tokens.access); n > 5000 || m > 5000 {
		t.Errorf("%d tokens, %d values kept", n, m)
	}
	if len(b.LiveTokens()) != 0 {
		t.Error("some live")
	}
}
