package fake

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

const (
	webSecret  = "first-secret-of-the-push-app"
	webSecret2 = "second-secret-of-the-push-app"
	webBack    = "http://127.0.0.1:9/oauth/github/callback"
)

// webBench has an App with two secrets and two callback addresses.
func webBench(t *testing.T, kind HostKind, sw Switches) *bench {
	b := newBench(t, kind, sw)
	b.Update(func(s *Seed) {
		a := &s.Apps[0]
		a.ClientSecrets, a.CallbackURLs = []string{webSecret, webSecret2}, []string{webBack, webBack + "/other?x=1"}
	})
	b.hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// webCode is a fresh code of the web flow.
func (b *bench) webCode(redirect, challenge string) string {
	b.t.Helper()
	to, err := b.Authorize(CampusApp, CampusUser, redirect, "s", challenge)
	if err != nil {
		b.t.Fatal(err)
	}
	code := query(b.t, to).Get("code")
	if code == "" {
		b.t.Fatalf("no code in %s", to)
	}
	return code
}

func (b *bench) swap(kv ...string) answer {
	b.t.Helper()
	return b.form("/login/oauth/access_token", append([]string{"client_id", CampusApp}, kv...)...)
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// TestWebFlowOfOAuth2Client goes through the pages as a browser does, with a
// client that others wrote.
func TestWebFlowOfOAuth2Client(t *testing.T) {
	for _, kind := range []HostKind{EnterpriseServer, GitHubCom, GHECom} {
		b := webBench(t, kind, Switches{})
		b.hc.Jar, _ = cookiejar.New(nil)
		conf := oauth2.Config{
			ClientID: CampusApp, ClientSecret: webSecret2, RedirectURL: webBack,
			Endpoint: oauth2.Endpoint{AuthURL: b.web + "/login/oauth/authorize", TokenURL: b.web + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams},
		}
		verifier := oauth2.GenerateVerifier()
		start := conf.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier))
		page := b.do("GET", start, "", "")
		for _, want := range []string{"Authorize Hub Push", "contents: write", webBack, `name="state" value="the state"`, "Cancel"} {
			if !strings.Contains(page.body, want) {
				t.Fatalf("the page lacks %q:\n%s", want, page.body)
			}
		}
		if !strings.Contains(page.header.Get("Content-Security-Policy"), "form-action 'self' http://127.0.0.1:9;") {
			t.Errorf("policy = %s", page.header.Get("Content-Security-Policy"))
		}
		form := query(t, start)
		a := b.submit("/login/oauth/authorize", "client_id", form.Get("client_id"), "redirect_uri", form.Get("redirect_uri"), "state", form.Get("state"),
			"code_challenge", form.Get("code_challenge"), "code_challenge_method", form.Get("code_challenge_method"), "login", CampusOther, "action", "authorize")
		back := query(t, a.header.Get("Location"))
		if a.status != 302 || back.Get("state") != "the state" || back.Get("error") != "" {
			t.Fatalf("= %d to %s", a.status, a.header.Get("Location"))
		}
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, b.hc)
		tok, err := conf.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(tok.Expiry); !strings.HasPrefix(tok.AccessToken, "ghu_") || !strings.HasPrefix(tok.RefreshToken, "ghr_") || left < 7*time.Hour || left > 8*time.Hour {
			t.Errorf("token expires in %s", left)
		}
		if info, live := b.Token(tok.AccessToken); !live || info.User != CampusOther {
			t.Errorf("token of %+v", info)
		}
		var failed *oauth2.RetrieveError
		if _, err := conf.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier)); !errors.As(err, &failed) || failed.ErrorCode != "bad_verification_code" {
			t.Errorf("the second use = %v", err)
		}
		// The library's refresh sends the secret.
		again, err := conf.TokenSource(ctx, &oauth2.Token{RefreshToken: tok.RefreshToken}).Token()
		if err != nil || again.RefreshToken == tok.RefreshToken {
			t.Fatalf("refresh = %v", err)
		}
		// Signed in and known: sent back at once, but not past a choice.
		a = b.do("GET", start, "", "")
		if a.status != 302 || query(t, a.header.Get("Location")).Get("code") == "" {
			t.Errorf("known = %d", a.status)
		}
		for _, more := range []string{"&prompt=select_account", "&login=" + CampusUser} {
			if a := b.do("GET", start+more, "", ""); a.status != 200 || !strings.Contains(a.body, "<form") {
				t.Errorf("known with %s = %d", more, a.status)
			}
		}
	}
}

func TestWebPageRefuses(t *testing.T) {
	b := webBench(t, GitHubCom, Switches{})
	ask := func(kv ...string) (int, url.Values, string) {
		v := url.Values{"client_id": {CampusApp}, "state": {"s&t"}}
		for i := 0; i+1 < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		a := b.do("GET", b.web+"/login/oauth/authorize?"+v.Encode(), "", "")
		to := a.header.Get("Location")
		return a.status, query(t, to), to
	}
	for _, wrong := range []string{webBack + "/", webBack + "?a=b", "https://evil.example/", strings.Replace(webBack, ":9", ":10", 1)} {
		status, q, to := ask("redirect_uri", wrong)
		if status != 302 || q.Get("error") != "redirect_uri_mismatch" || q.Get("state") != "s&t" || !strings.HasPrefix(to, webBack+"?") {
			t.Errorf("redirect_uri %s = %d to %s", wrong, status, to)
		}
	}
	if status, q, _ := ask("redirect_uri", webBack+"/other?x=1"); status != 200 {
		t.Errorf("the second address = %d %v", status, q)
	}
	short := "abc"
	good := oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())
	for _, c := range [][2]string{{good, "plain"}, {good, ""}, {short, "S256"}, {"", "S256"}} {
		if status, q, _ := ask("code_challenge", c[0], "code_challenge_method", c[1]); status != 302 || q.Get("error") != "invalid_request" {
			t.Errorf("challenge %v = %d %v", c, status, q)
		}
	}
	if status, _, _ := ask("client_id", "Iv23nothing"); status != 404 {
		t.Errorf("unknown App = %d", status)
	}
	if status, _, _ := ask("client_id", CampusForeverApp); status != 404 {
		t.Errorf("App without an address = %d", status)
	}
	a := b.submit("/login/oauth/authorize", "client_id", CampusApp, "state", "s", "login", CampusUser, "action", "cancel")
	q := query(t, a.header.Get("Location"))
	if a.status != 302 || q.Get("error") != "access_denied" || q.Get("state") != "s" || q.Get("error_description") == "" || q.Has("code") {
		t.Errorf("Cancel = %d %v", a.status, q)
	}
	a = b.do("POST", b.web+"/login/oauth/authorize", "", "action=authorize&login=ada&client_id="+CampusApp,
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site")
	if a.status != 403 {
		t.Errorf("from another site = %d", a.status)
	}
	if to, err := b.Refuse(CampusApp, webBack, "s"); err != nil || query(t, to).Get("error") != "access_denied" {
		t.Errorf("Refuse = %s %v", to, err)
	}
	if _, err := b.Authorize(CampusApp, "nobody", webBack, "s", ""); err == nil {
		t.Error("Authorize as nobody")
	}
}

func TestExchange(t *testing.T) {
	verifier := oauth2.GenerateVerifier()
	challenge := oauth2.S256ChallengeFromVerifier(verifier)
	for _, c := range []struct {
		name, challenge, want string
		change                func(b *bench, v map[string]string)
		reusable              bool
	}{
		{name: "with all", challenge: challenge, change: func(*bench, map[string]string) {}},
		{name: "without challenge", change: func(_ *bench, v map[string]string) { delete(v, "code_verifier") }},
		{name: "second secret", challenge: challenge, change: func(_ *bench, v map[string]string) { v["client_secret"] = webSecret2 }},
		{name: "no address", challenge: challenge, change: func(_ *bench, v map[string]string) { delete(v, "redirect_uri") }},
		{name: "no secret", want: "incorrect_client_credentials", reusable: true, change: func(_ *bench, v map[string]string) { delete(v, "client_secret") }},
		{name: "wrong secret", want: "incorrect_client_credentials", reusable: true, change: func(_ *bench, v map[string]string) { v["client_secret"] = "no" }},
		{name: "wrong address", want: "redirect_uri_mismatch", reusable: true, change: func(_ *bench, v map[string]string) { v["redirect_uri"] = webBack + "/other?x=1" }},
		{name: "no verifier", challenge: challenge, want: "bad_verification_code", change: func(_ *bench, v map[string]string) { delete(v, "code_verifier") }},
		{name: "wrong verifier", challenge: challenge, want: "bad_verification_code", change: func(_ *bench, v map[string]string) { v["code_verifier"] = oauth2.GenerateVerifier() }},
		{name: "too late", challenge: challenge, want: "bad_verification_code", change: func(b *bench, _ map[string]string) { b.clock.pass(10 * time.Minute) }},
		{name: "just in time", challenge: challenge, change: func(b *bench, _ map[string]string) { b.clock.pass(10*time.Minute - time.Second) }},
		{name: "wrong code", want: "bad_verification_code", reusable: true, change: func(_ *bench, v map[string]string) { v["code"] = "0123456789" }},
		{name: "another App's code", want: "bad_verification_code", reusable: true, change: func(b *bench, v map[string]string) {
			b.SetCallbacks(CampusPushApp, webBack)
			to, err := b.Authorize(CampusPushApp, CampusUser, webBack, "s", "")
			if err != nil {
				b.t.Fatal(err)
			}
			v["code"] = query(b.t, to).Get("code")
		}},
		{name: "secret taken back", want: "incorrect_client_credentials", change: func(b *bench, _ map[string]string) {
			b.Update(func(s *Seed) { s.Apps[0].ClientSecrets = []string{webSecret2} })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := webBench(t, GitHubCom, Switches{})
			right := map[string]string{"code": b.webCode(webBack, c.challenge), "client_secret": webSecret, "redirect_uri": webBack, "code_verifier": verifier}
			send := func(v map[string]string) answer {
				kv := []string{}
				for k, s := range v {
					kv = append(kv, k, s)
				}
				return b.swap(kv...)
			}
			v := map[string]string{}
			for k, s := range right {
				v[k] = s
			}
			c.change(b, v)
			a := send(v)
			if a.status != 200 || a.text("error") != c.want || (c.want == "") != (a.text("access_token") != "") {
				t.Fatalf("= %d %s", a.status, a.body)
			}
			if c.want != "" && (a.text("error_description") == "" || a.text("error_uri") == "") {
				t.Errorf("not as documented: %s", a.body)
			}
			if again := send(right); c.reusable != (again.text("access_token") != "") {
				t.Errorf("afterwards = %s", again.body)
			}
		})
	}
}

// TestCallbackTakenAway changes the App between the page and the exchange.
func TestCallbackTakenAway(t *testing.T) {
	b := webBench(t, GitHubCom, Switches{})
	code := b.webCode("", "")
	if err := b.SetCallbacks(CampusApp); err != nil {
		t.Fatal(err)
	}
	if a := b.swap("code", code, "client_secret", webSecret, "redirect_uri", webBack); a.text("access_token") == "" {
		t.Errorf("= %s", a.body)
	}
	if _, err := b.Authorize(CampusApp, CampusUser, webBack, "s", ""); err == nil {
		t.Error("a code without an address to send it to")
	}
	if err := b.SetCallbacks("nothing", webBack); err == nil {
		t.Error("addresses of no App")
	}
}

func TestExchangeLimitsToRepository(t *testing.T) {
	b := webBench(t, GitHubCom, Switches{})
	a := b.swap("code", b.webCode(webBack, ""), "client_secret", webSecret, "repository_id", "5001")
	if info, _ := b.Token(a.text("access_token")); info.RepositoryID != CampusDataRepo {
		t.Errorf("token = %+v", info)
	}
	to, err := b.Authorize(CampusApp, "new-student", webBack, "s", "")
	if err != nil {
		t.Fatal(err)
	}
	if a := b.swap("code", query(t, to).Get("code"), "client_secret", webSecret); a.text("error") != "unverified_user_email" {
		t.Errorf("= %s", a.body)
	}
}

func TestWebRefreshNeedsSecret(t *testing.T) {
	b := webBench(t, GitHubCom, Switches{})
	web := b.swap("code", b.webCode(webBack, ""), "client_secret", webSecret)
	again := func(secret, token string) answer {
		kv := []string{"grant_type", "refresh_token", "refresh_token", token}
		if secret != "" {
			kv = append(kv, "client_secret", secret)
		}
		return b.swap(kv...)
	}
	for _, secret := range []string{"", "wrong"} {
		if a := again(secret, web.text("refresh_token")); a.status != 200 || a.text("error") != "incorrect_client_credentials" {
			t.Errorf("with %q = %s", secret, a.body)
		}
	}
	next := again(webSecret, web.text("refresh_token"))
	if next.text("access_token") == "" {
		t.Fatalf("refresh = %s", next.body)
	}
	if _, live := b.Token(web.text("access_token")); live {
		t.Error("the old access token lives")
	}
	if a := again(webSecret, web.text("refresh_token")); a.text("error") != "bad_refresh_token" {
		t.Errorf("second use = %s", a.body)
	}
	if a := again("", next.text("refresh_token")); a.text("error") != "incorrect_client_credentials" {
		t.Errorf("the next one forgot where it comes from: %s", a.body)
	}
	device := b.login(CampusApp, CampusUser)
	if a := again("", device.text("refresh_token")); a.text("access_token") == "" {
		t.Errorf("device flow without secret = %s", a.body)
	}
}

func TestRefreshLatency(t *testing.T) {
	b := webBench(t, GitHubCom, Switches{RefreshLatency: time.Hour})
	tok := b.login(CampusApp, CampusUser)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "POST", b.web+"/login/oauth/access_token", strings.NewReader(url.Values{
		"client_id": {CampusApp}, "grant_type": {"refresh_token"}, "refresh_token": {tok.text("refresh_token")}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := b.hc.Do(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
	if _, live := b.Token(tok.text("access_token")); live {
		t.Error("the old token must be gone before the answer comes")
	}
}

func TestReuseRevokes(t *testing.T) {
	for _, on := range []bool{false, true} {
		b := webBench(t, GitHubCom, Switches{ReuseRevokes: on})
		first := b.login(CampusApp, CampusUser).text("refresh_token")
		second := b.refresh(CampusApp, first).text("refresh_token")
		third := b.refresh(CampusApp, second)
		other := b.login(CampusApp, CampusUser)
		if a := b.refresh(CampusApp, first); a.text("error") != "bad_refresh_token" {
			t.Errorf("%t: again = %s", on, a.body)
		}
		if _, live := b.Token(third.text("access_token")); live == on {
			t.Errorf("%t: the newest access token lives: %t", on, live)
		}
		if a := b.refresh(CampusApp, third.text("refresh_token")); (a.text("error") == "bad_refresh_token") != on {
			t.Errorf("%t: the newest refresh token = %s", on, a.body)
		}
		if _, live := b.Token(other.text("access_token")); !live {
			t.Errorf("%t: another login's token died", on)
		}
	}
}

func TestReplicaLag(t *testing.T) {
	b := webBench(t, GitHubCom, Switches{ReplicaLag: 300 * time.Millisecond})
	tok := b.push(CampusUser)
	for _, want := range [][2]int{{401, 404}, {200, 200}} {
		if a, c := b.get("/user", tok), b.ask("POST", "/token", fields{"access_token": tok}); a.status != want[0] || c.status != want[1] {
			t.Errorf("= %d and %d, want %v", a.status, c.status, want)
		}
		b.clock.pass(300 * time.Millisecond)
	}
}

func TestWebFlowOfOAuthApp(t *testing.T) {
	b := newBench(t, GitHubCom, Switches{})
	b.Update(func(s *Seed) {
		s.Apps[3].ClientSecrets, s.Apps[3].CallbackURLs = []string{webSecret}, []string{webBack}
	})
	b.hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := b.submit("/login/oauth/authorize", "client_id", CampusOAuthApp, "scope", "repo user", "login", CampusUser, "action", "authorize")
	a = b.form("/login/oauth/access_token", "client_id", CampusOAuthApp, "client_secret", webSecret, "code", query(t, a.header.Get("Location")).Get("code"))
	if !strings.HasPrefix(a.text("access_token"), "gho_") || a.text("scope") != "repo,user" || a.text("refresh_token") != "" {
		t.Errorf("= %s", a.body)
	}
	if a := b.submit("/login/oauth/authorize", "client_id", CampusOAuthApp, "login", "nobody", "action", "authorize"); a.status != 404 {
		t.Errorf("as nobody = %d", a.status)
	}
}
