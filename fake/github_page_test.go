package fake

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func (b *bench) submit(path string, kv ...string) answer {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		v.Add(kv[i], kv[i+1])
	}
	return b.do("POST", b.web+path, "", v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func TestDevicePage(t *testing.T) {
	b := newBench(t, EnterpriseServer, Switches{})
	code := b.code(CampusApp)
	a := b.do("GET", b.web+"/login/device", "", "")
	if a.status != 200 || !strings.Contains(a.body, "This is not GitHub") || strings.Contains(a.body, code.text("user_code")) {
		t.Errorf("= %d %s", a.status, a.body)
	}
	csp := a.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy = %s", csp)
	}
	a = b.submit("/login/device", "login", CampusUser, "user_code", strings.ToLower(code.text("user_code")))
	for _, want := range []string{"Hub Push", "river-lab", "contents: write", CampusUser, "Authorize", "Cancel"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the confirmation lacks %q:\n%s", want, a.body)
		}
	}
	a = b.submit("/login/device/authorize", "login", CampusUser, "user_code", code.text("user_code"), "action", "authorize")
	if a.status != 200 || !strings.Contains(a.body, "all set") || !strings.Contains(a.body, `href="/apps/hub-push/installations/new?login=octo-researcher"`) {
		t.Errorf("= %d %s", a.status, a.body)
	}
	if a := b.poll(CampusApp, code); a.text("access_token") == "" {
		t.Errorf("poll = %s", a.body)
	}
	code = b.code(CampusApp)
	b.submit("/login/device/authorize", "login", CampusUser, "user_code", code.text("user_code"), "action", "cancel")
	if a := b.poll(CampusApp, code); a.text("error") != "access_denied" {
		t.Errorf("poll after Cancel = %s", a.body)
	}
}

func TestDevicePageRefuses(t *testing.T) {
	b := newBench(t, EnterpriseServer, Switches{})
	code := b.code(CampusApp).text("user_code")
	if a := b.submit("/login/device", "login", CampusUser, "user_code", "AAAA-AAAA"); a.status != 422 || !strings.Contains(a.body, `role="alert"`) {
		t.Errorf("wrong code = %d", a.status)
	}
	if a := b.submit("/login/device", "login", "nobody", "user_code", code); a.status != 422 {
		t.Errorf("no user = %d", a.status)
	}
	if a := b.submit("/login/device/authorize", "login", CampusUser, "user_code", "AAAA-AAAA", "action", "authorize"); a.status != 422 {
		t.Errorf("wrong code = %d", a.status)
	}
	a := b.do("POST", b.web+"/login/device/authorize", "", "login=ada&action=authorize&user_code="+code,
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site")
	if a.status != 403 || len(b.PendingCodes()) != 1 {
		t.Errorf("from another site = %d", a.status)
	}
	for i := range 51 {
		a := b.submit("/login/device", "login", CampusUser, "user_code", code)
		if want := map[bool]int{true: 200, false: 429}[i < 50]; a.status != want {
			t.Fatalf("submission %d = %d, want %d", i+1, a.status, want)
		}
	}
	if a := b.do("GET", b.web+"/login/device?user_code="+url.QueryEscape(`"><script>alert(1)</script>`), "", ""); strings.Contains(a.body, "<script>") {
		t.Error("a code becomes markup")
	}
}

func TestInstallPage(t *testing.T) {
	b := newBench(t, EnterpriseServer, Switches{})
	b.hc.CheckRedirect = nil
	tok, _, _ := b.Issue(CampusApp, CampusUser, 0)
	a := b.submit("/apps/hub-push/installations/new", "login", "ada", "account", "river-lab", "selection", "selected",
		"repo", fmt.Sprint(CampusPaperRepo), "repo", fmt.Sprint(CampusNotesRepo))
	if a.status != 200 || !strings.Contains(a.body, "river-lab/paper") {
		t.Fatalf("= %d %s", a.status, a.body)
	}
	if got := ids(b.get("/user/installations/7001/repositories", tok), "repositories"); got != "5002" {
		t.Errorf("repositories = %s, want 5002 only: another account's is not to be had", got)
	}
	if a := b.submit("/apps/hub-push/installations/new", "login", CampusUser, "account", "river-lab", "selection", "all"); a.status != 403 {
		t.Errorf("not an owner = %d, want 403", a.status)
	}
	b.submit("/apps/hub-push-forever/installations/new", "login", CampusUser, "account", CampusUser, "selection", "all")
	forever, _, _ := b.Issue(CampusForeverApp, CampusUser, 0)
	if a := b.get("/repos/octo-researcher/notes", forever); a.status != 200 {
		t.Errorf("after installing = %d", a.status)
	}
	page := "/organizations/river-lab/settings/installations/7001"
	b.submit(page, "action", "suspend")
	if a := b.get("/user/installations/7001/repositories", tok); a.status != 403 {
		t.Errorf("suspended = %d", a.status)
	}
	b.submit(page, "action", "unsuspend")
	b.submit(page, "action", "save", "selection", "all")
	if got := ids(b.get("/user/installations/7001/repositories", tok), "repositories"); got != "5001 5002 5007" {
		t.Errorf("all = %s", got)
	}
	b.submit(page, "action", "uninstall")
	if got := ids(b.get("/user/installations", tok), "installations"); got != "7002" {
		t.Errorf("uninstalled: %s", got)
	}
}

func TestConnectedPage(t *testing.T) {
	b := newBench(t, EnterpriseServer, Switches{})
	tok := b.login(CampusApp, CampusUser)
	a := b.submit("/settings/applications", "login", CampusUser, "client_id", CampusApp)
	if !strings.Contains(a.body, "1 token(s) ended") || len(b.LiveTokens()) != 0 || b.Revoked() != 1 {
		t.Errorf("= %s", a.body)
	}
	if a := b.refresh(CampusApp, tok.text("refresh_token")); a.text("error") != "bad_refresh_token" {
		t.Errorf("refresh = %s", a.body)
	}
}

// TestPagesHaveNames looks at every page for what a screen reader needs.
func TestPagesHaveNames(t *testing.T) {
	b := newBench(t, EnterpriseServer, Switches{})
	b.login(CampusApp, CampusUser)
	b.SetCallbacks(CampusPushApp, webBack)
	for path, want := range map[string]int{
		"/": 200, "/login/device": 200, "/apps/hub-push": 200, "/apps/old-tool": 404, "/apps/nothing": 404, "/apps/nothing/installations/new": 404,
		"/apps/hub-push/installations/new": 200, "/apps/hub-push/installations/new?login=ada&account=river-lab": 200,
		"/settings/installations": 200, "/settings/installations/7001": 200, "/settings/installations/1": 404,
		"/organizations/river-lab/settings/installations/7001": 200, "/settings/applications": 200,
		"/settings/connections/applications/" + CampusApp: 200, "/orgs/sso-org/sso": 200, "/orgs/none/sso": 404,
		"/login/oauth/authorize?state=%22%3E%3Cscript%3E&login=ada&client_id=" + CampusPushApp: 200, "/login/oauth/authorize?client_id=none": 404,
		"/river-lab/data": 200, "/river-lab/data.git": 200, "/river-lab/nothing": 404, "/no/such/page": 404,
	} {
		a := b.do("GET", b.web+path, "", "")
		if a.status != want {
			t.Errorf("%s = %d, want %d", path, a.status, want)
		}
		for _, must := range []string{`<html lang="en">`, "<title>", "<h1>", "<main>", `name="viewport"`} {
			if strings.Count(a.body, must) != 1 {
				t.Errorf("%s has %d of %s", path, strings.Count(a.body, must), must)
			}
		}
		for _, m := range regexp.MustCompile(`<(?:select|input) id="([^"]+)"`).FindAllStringSubmatch(a.body, -1) {
			if !strings.Contains(a.body, `<label for="`+m[1]+`"`) {
				t.Errorf("%s: %s has no label", path, m[1])
			}
		}
		if strings.Contains(a.body, "<script") || strings.Contains(a.body, "style=") || strings.Contains(a.body, " on") && regexp.MustCompile(`\son\w+=`).MatchString(a.body) {
			t.Errorf("%s has something that its policy forbids", path)
		}
	}
	if a := b.do("GET", b.web+"/fake.css", "", ""); a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("/fake.css = %d", a.status)
	}
}
