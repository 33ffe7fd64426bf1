package fake

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
)

func TestDeviceCode(t *testing.T) {
	for _, kind := range []HostKind{EnterpriseServer, GitHubCom, GHECom} {
		b := newBench(t, kind, Switches{})
		a := b.code(CampusApp)
		if a.status != 200 || a.num("expires_in") != 900 || a.num("interval") != 5 || a.text("verification_uri") != b.web+"/login/device" {
			t.Errorf("device code = %d %s", a.status, a.body)
		}
		if !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(a.text("device_code")) || !regexp.MustCompile(`^[A-Z]{4}-[A-Z]{4}$`).MatchString(a.text("user_code")) {
			t.Errorf("codes = %s", a.body)
		}
		if _, there := a.json["verification_uri_complete"]; there {
			t.Error("GitHub has no verification_uri_complete")
		}
	}
}

func TestDeviceCodeRefused(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	for _, c := range []struct {
		name, app, want string
		status          int
	}{
		{"client id unknown", "Iv23nobody", "Not Found", 404},
		{"client id missing", "", "Not Found", 404},
		{"device flow off", CampusOffApp, "device_flow_disabled", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := b.code(c.app); a.status != c.status || a.text("error") != c.want {
				t.Errorf("= %d %s, want %d %s", a.status, a.body, c.status, c.want)
			}
		})
	}
	if a := b.do("GET", b.web+"/login/device/code", "", ""); a.status != 404 {
		t.Errorf("GET = %d, want 404", a.status)
	}
}

// TestPollErrors goes through every documented error: all come with status 200.
func TestPollErrors(t *testing.T) {
	for _, c := range []struct {
		name, want string
		run        func(b *bench, code answer) answer
	}{
		{"nobody has typed the code", "authorization_pending", func(b *bench, code answer) answer { return b.poll(CampusApp, code) }},
		{"polled too fast", "slow_down", func(b *bench, code answer) answer {
			b.poll(CampusApp, code)
			b.clock.pass(4900 * time.Millisecond)
			return b.poll(CampusApp, code)
		}},
		{"code too old", "expired_token", func(b *bench, code answer) answer {
			b.clock.pass(900 * time.Second)
			return b.poll(CampusApp, code)
		}},
		{"codes expired by hand", "expired_token", func(b *bench, code answer) answer { b.ExpireCodes(); return b.poll(CampusApp, code) }},
		{"code too old, in the documentation's other words", "token_expired", func(b *bench, code answer) answer {
			b.Set(func(s *Switches) { s.SayTokenExpired = true })
			b.ExpireCodes()
			return b.poll(CampusApp, code)
		}},
		{"cancelled", "access_denied", func(b *bench, code answer) answer {
			if err := b.Deny(code.text("user_code")); err != nil {
				b.t.Fatal(err)
			}
			return b.poll(CampusApp, code)
		}},
		{"grant type unknown", "unsupported_grant_type", func(b *bench, code answer) answer {
			return b.form("/login/oauth/access_token", "client_id", CampusApp, "device_code", code.text("device_code"), "grant_type", "device_code")
		}},
		{"grant type missing", "unsupported_grant_type", func(b *bench, code answer) answer {
			return b.form("/login/oauth/access_token", "client_id", CampusApp, "device_code", code.text("device_code"))
		}},
		{"no code of any flow", "bad_verification_code", func(b *bench, code answer) answer {
			return b.form("/login/oauth/access_token", "client_id", CampusApp)
		}},
		{"client id unknown", "incorrect_client_credentials", func(b *bench, code answer) answer { return b.poll("Iv23nobody", code) }},
		{"device code unknown", "incorrect_device_code", func(b *bench, code answer) answer {
			return b.poll(CampusApp, answer{json: map[string]any{"device_code": strings.Repeat("0", 40)}})
		}},
		{"device code of another App", "incorrect_device_code", func(b *bench, code answer) answer { return b.poll(CampusForeverApp, code) }},
		{"device code used", "incorrect_device_code", func(b *bench, code answer) answer {
			b.Approve(code.text("user_code"), CampusUser)
			b.poll(CampusApp, code)
			b.clock.pass(5 * time.Second)
			return b.poll(CampusApp, code)
		}},
		{"device flow switched off meanwhile", "device_flow_disabled", func(b *bench, code answer) answer {
			b.Update(func(s *Seed) { s.Apps[0].DeviceFlowOff = true })
			return b.poll(CampusApp, code)
		}},
		{"address not verified", "unverified_user_email", func(b *bench, code answer) answer {
			b.Approve(code.text("user_code"), "new-student")
			return b.poll(CampusApp, code)
		}},
		{"refresh token unknown", "bad_refresh_token", func(b *bench, code answer) answer { return b.refresh(CampusApp, "ghr_nothing") }},
		{"refresh token missing", "bad_refresh_token", func(b *bench, code answer) answer { return b.refresh(CampusApp, "") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, GitHubCom, Switches{})
			a := c.run(b, b.code(CampusApp))
			if a.status != http.StatusOK || a.text("error") != c.want || a.text("error_description") == "" || a.text("error_uri") == "" {
				t.Errorf("= %d %s, want 200 %s", a.status, a.body, c.want)
			}
			if n := len(b.LiveTokens()); c.want != "incorrect_device_code" && n != 0 {
				t.Errorf("%d tokens live after an error", n)
			}
		})
	}
}

func TestSlowDownIsEnforced(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	code := b.code(CampusApp)
	poll := func(after time.Duration) answer { b.clock.pass(after); return b.poll(CampusApp, code) }
	poll(0)
	if a := poll(time.Second); a.num("interval") != 10 {
		t.Errorf("first slow_down = %s, want interval 10", a.body)
	}
	if a := poll(9 * time.Second); a.text("error") != "slow_down" || a.num("interval") != 15 {
		t.Errorf("after 9 s = %s, want slow_down with interval 15", a.body)
	}
	if a := poll(15 * time.Second); a.text("error") != "authorization_pending" {
		t.Errorf("after 15 s = %s, want authorization_pending", a.body)
	}
	b.Approve(code.text("user_code"), CampusUser)
	if a := poll(15 * time.Second); a.text("access_token") == "" {
		t.Errorf("approved = %s, want a token", a.body)
	}
}

func TestTokens(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	a := b.login(CampusApp, CampusUser)
	if !strings.HasPrefix(a.text("access_token"), "ghu_") || len(a.text("access_token")) != 40 || !strings.HasPrefix(a.text("refresh_token"), "ghr_") ||
		a.num("expires_in") != 28800 || a.num("refresh_token_expires_in") != 15811200 || a.text("token_type") != "bearer" || a.json["scope"] != "" {
		t.Errorf("expiring App: %s", a.body)
	}
	a = b.login(CampusForeverApp, CampusUser)
	if !strings.HasPrefix(a.text("access_token"), "ghu_") || len(a.json) != 3 {
		t.Errorf("App without expiry: %s, want three fields", a.body)
	}
	c := b.form("/login/device/code", "client_id", CampusOAuthApp, "scope", "repo read:org")
	b.Approve(c.text("user_code"), CampusUser)
	a = b.poll(CampusOAuthApp, c)
	if !strings.HasPrefix(a.text("access_token"), "gho_") || a.text("scope") != "repo,read:org" || len(a.json) != 3 {
		t.Errorf("OAuth App: %s", a.body)
	}
	b.clock.pass(8 * time.Hour)
	if got := b.LiveTokens(); len(got) != 2 {
		t.Errorf("after 8 h live: %+v, want the two that never expire", got)
	}
}

func TestFormEncodedByDefault(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	a := b.do("POST", b.web+"/login/device/code?client_id="+CampusApp, "", "")
	v, err := url.ParseQuery(a.body)
	if err != nil || len(v.Get("device_code")) != 40 || !strings.HasPrefix(a.header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		t.Errorf("= %s %s, %v", a.header.Get("Content-Type"), a.body, err)
	}
	x := b.do("POST", b.web+"/login/device/code?client_id="+CampusApp, "", "", "Accept", "application/xml")
	if !strings.HasPrefix(x.body, "<OAuth><device_code>") {
		t.Errorf("XML: %s", x.body)
	}
	j := b.do("POST", b.web+"/login/device/code", "", `{"client_id":"`+CampusApp+`"}`, "Content-Type", "application/json", "Accept", "application/vnd.github+json")
	if len(j.text("device_code")) != 40 {
		t.Errorf("JSON body: %s", j.body)
	}
}

func TestRepositoryID(t *testing.T) {
	for _, c := range []struct {
		name string
		user string
		id   int64
		sw   Switches
		want int64
	}{
		{"App installed and user may", CampusUser, CampusDataRepo, Switches{}, CampusDataRepo},
		{"App not installed there", CampusUser, CampusPaperRepo, Switches{}, 0},
		{"App not installed on a public one", CampusUser, CampusPageRepo, Switches{}, 0},
		{"user may not", "ada", CampusNotesRepo, Switches{}, 0},
		{"no such repository", CampusUser, 99, Switches{}, 0},
		{"switched off", CampusUser, CampusDataRepo, Switches{IgnoreRepositoryID: true}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, GitHubCom, c.sw)
			a := b.login(CampusApp, c.user, "repository_id", strconv.FormatInt(c.id, 10))
			if a.text("access_token") == "" {
				t.Fatalf("no token: %s", a.body)
			}
			info, live := b.Token(a.text("access_token"))
			if !live || info.RepositoryID != c.want {
				t.Errorf("limited to %d, want %d", info.RepositoryID, c.want)
			}
		})
	}
	b := newBench(t, GitHubCom, Switches{})
	code := b.code(CampusApp)
	b.Approve(code.text("user_code"), CampusUser)
	body := `{"client_id":"` + CampusApp + `","device_code":"` + code.text("device_code") + `","grant_type":"` + deviceGrant + `","repository_id":5001}`
	b.do("POST", b.web+"/login/oauth/access_token", "", body, "Content-Type", "application/json")
	if live := b.LiveTokens(); len(live) != 1 || live[0].RepositoryID != CampusDataRepo {
		t.Errorf("number in JSON: %+v", live)
	}
}

func TestRefresh(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	first := b.login(CampusApp, CampusUser, "repository_id", "5001")
	second := b.refresh(CampusApp, first.text("refresh_token"))
	if second.num("expires_in") != 28800 || second.text("refresh_token") == first.text("refresh_token") {
		t.Fatalf("refresh = %s", second.body)
	}
	if _, live := b.Token(first.text("access_token")); live {
		t.Error("the old access token lives on")
	}
	if a := b.get("/user", first.text("access_token")); a.status != 401 {
		t.Errorf("old token: %d, want 401", a.status)
	}
	if info, _ := b.Token(second.text("access_token")); info.RepositoryID != CampusDataRepo {
		t.Errorf("refreshed token limited to %d, want %d", info.RepositoryID, CampusDataRepo)
	}
	if a := b.refresh(CampusApp, first.text("refresh_token")); a.text("error") != "bad_refresh_token" {
		t.Errorf("second use = %s", a.body)
	}
	if a := b.refresh(CampusForeverApp, second.text("refresh_token")); a.text("error") != "bad_refresh_token" {
		t.Errorf("another App's = %s", a.body)
	}
	b.ExpireTokens()
	if _, live := b.Token(second.text("access_token")); live {
		t.Error("ExpireTokens left it alive")
	}
	third := b.refresh(CampusApp, second.text("refresh_token"))
	if third.text("access_token") == "" {
		t.Errorf("refresh after the end = %s, want a token", third.body)
	}
	b.Set(func(s *Switches) { s.RefreshWidens = true })
	fourth := b.refresh(CampusApp, third.text("refresh_token"))
	if info, _ := b.Token(fourth.text("access_token")); info.RepositoryID != 0 {
		t.Error("RefreshWidens kept the limit")
	}
	b.clock.pass(15_811_200 * time.Second)
	if a := b.refresh(CampusApp, fourth.text("refresh_token")); a.text("error") != "bad_refresh_token" {
		t.Errorf("after its life = %s", a.body)
	}
}

// TestRefreshRace is two machines that renew with the same token: one wins.
func TestRefreshRace(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	first := b.login(CampusApp, CampusUser)
	results := make(chan string)
	for range 8 {
		go func() { results <- b.refresh(CampusApp, first.text("refresh_token")).text("error") }()
	}
	won := 0
	for range 8 {
		if <-results == "" {
			won++
		}
	}
	if won != 1 || len(b.LiveTokens()) != 1 {
		t.Errorf("%d won and %d tokens live, want 1 and 1", won, len(b.LiveTokens()))
	}
}

func TestAutoApprove(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{AutoApprove: "OCTO-researcher", AutoApproveAfter: 3, Interval: 1})
	code := b.code(CampusApp)
	for i, want := range []string{"authorization_pending", "authorization_pending", ""} {
		a := b.poll(CampusApp, code)
		if a.text("error") != want {
			t.Errorf("poll %d = %s, want %q", i+1, a.body, want)
		}
		b.clock.pass(time.Second)
	}
	if got := b.LiveTokens(); len(got) != 1 || got[0].User != CampusUser {
		t.Errorf("live = %+v", got)
	}
}

func TestPendingCodes(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	c := b.code(CampusApp)
	if got := b.PendingCodes(); len(got) != 1 || got[0] != c.text("user_code") {
		t.Errorf("PendingCodes = %v, want %s", got, c.text("user_code"))
	}
	if err := b.Approve(strings.ToLower(strings.ReplaceAll(c.text("user_code"), "-", "")), CampusUser); err != nil {
		t.Error(err)
	}
	if got := b.PendingCodes(); len(got) != 0 {
		t.Errorf("PendingCodes = %v after approval", got)
	}
	if b.Approve(c.text("user_code"), CampusUser) == nil || b.Deny("AAAA-AAAA") == nil || b.Approve(b.code(CampusApp).text("user_code"), "nobody") == nil {
		t.Error("approved or denied what does not wait")
	}
}

// TestOAuth2Client drives the flow with a client that knows nothing of us, in
// fake time.
func TestOAuth2Client(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGitHub(GitHubConfig{Kind: GitHubCom, Seed: Campus()})
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: Transport(g)})
		conf := oauth2.Config{ClientID: CampusApp, Endpoint: oauth2.Endpoint{
			DeviceAuthURL: "https://github.com/login/device/code", TokenURL: "https://github.com/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams}}
		da, err := conf.DeviceAuth(ctx)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(42*time.Second, func() { g.Approve(da.UserCode, CampusUser) })
		tok, err := conf.DeviceAccessToken(ctx, da)
		if err != nil {
			t.Fatal(err)
		}
		if _, live := g.Token(tok.AccessToken); !live {
			t.Error("the token does not live")
		}
		time.Sleep(8 * time.Hour)
		fresh, err := conf.TokenSource(ctx, tok).Token()
		if err != nil || fresh.AccessToken == tok.AccessToken || fresh.RefreshToken == tok.RefreshToken {
			t.Errorf("refreshed = %v, %v", fresh, err)
		}
	})
}
