package main

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/hubtest"
)

// containDS is what a hub has that followed the manual of ContainDS Dashboards:
// people log in with GitHub, and their token is put into their servers.
const containDS = `
from oauthenticator.github import GitHubOAuthenticator
c.GitHubOAuthenticator.scope = ['read:org', 'public_repo', 'repo', 'user:email']

class MyGitHubAuthenticator(GitHubOAuthenticator):

    from tornado import gen

    @gen.coroutine
    def pre_spawn_start(self, user, spawner):
        auth_state = yield user.get_auth_state()
        if not auth_state:
            return
        spawner.environment['GITHUB_TOKEN'] = auth_state['access_token']
        spawner.environment['GITHUB_USER'] = auth_state['github_user']['login']
        spawner.environment['GITHUB_EMAIL'] = auth_state['github_user']['email']

c.JupyterHub.authenticator_class = MyGitHubAuthenticator
`

// oneClick logs in to the hub with GitHub, and to nothing else.
func (s *site) oneClick(login string) {
	s.t.Helper()
	b := hubtest.NewBrowser(s.t, s.hub.Public)
	_, page := b.Get(s.hub.Public + "hub/oauth_login?next=" + url.QueryEscape("/hub/home"))
	status, text := b.Submit(page, url.Values{"login": {login}, "action": {"authorize"}})
	if status != 200 || !strings.HasPrefix(b.At(), s.hub.Public+"hub/home") {
		s.t.Fatalf("the log-in ended with %d at %s\n%.1000s", status, b.At(), text)
	}
}

// TestJourney7LoginAsConnection: a hub with exactly that configuration, whose
// login is a GitHub App, is switched by daypass's lines alone. One click logs in
// and connects; no token is in the server, and git works.
func TestJourney7LoginAsConnection(t *testing.T) {
	s := newSite(t, siteConfig{Hub: func(c *hubtest.Config, w *fake.World) {
		c.Extra = containDS
		c.GitHub = &hubtest.GitHub{URL: w.URL, ClientID: fake.CampusPushApp, Secret: fake.CampusPushSecret}
	}})
	s.oneClick(fake.CampusUser)
	s.hub.StartServer(t, fake.CampusUser, "")
	for _, kv := range s.hub.ServerEnv(fake.CampusUser, "") {
		if strings.HasPrefix(kv, "GITHUB_TOKEN=") || strings.Contains(kv, "ghu_") {
			t.Errorf("the server's environment holds a token")
		}
	}
	// What ContainDS' start script left in this person's home.
	s.must(fake.CampusUser, "", `git config --global user.name ""
git config --global user.ghtoken gho_0123456789abcdef0123456789abcdef0123
git config --global "url.https://x:gho_0123456789abcdef0123456789abcdef0123@${URL#http://}.insteadOf" "https://${URL#http://}"`)
	out := s.must(fake.CampusUser, "", "daypass doctor --fix || true")
	if strings.Contains(out, "gho_0123456789abcdef0123456789abcdef0123") || !strings.Contains(out, "Revoke it at") {
		t.Errorf("doctor says: %s", out)
	}
	s.eventually(fake.CampusUser, "git clone $URL/river-lab/data.git work")
	out = s.must(fake.CampusUser, "", `cd work
echo hello > hello.txt
git add hello.txt
git commit -qm hello
git push 2>&1
git log -1 --format='%an <%ae>'
git config --list | grep -i token || true`)
	if !strings.Contains(out, researcherCommits) {
		t.Errorf("the commit is by: %s", out)
	}
	if strings.Contains(out, "gho_") {
		t.Errorf("git's configuration holds a token: %s", out)
	}
	s.noToken(fake.CampusUser)
}

// eventually tries a command for a while: the hook runs beside the log-in.
func (s *site) eventually(user, script string) {
	s.t.Helper()
	s.wait(script, func() bool { _, err := s.in(user, "", script); return err == nil })
}

// seesBridge looks whether Health warns of whole tokens that are handed out.
func (s *site) seesBridge(want bool) {
	s.t.Helper()
	a := s.browser()
	a.do("log in to the hub with GitHub", chromedp.Navigate(s.hub.Public+"hub/oauth_login?next=%2Fhub%2Fhome"))
	a.sees("Authorize")
	a.do("be the admin", chromedp.SetValue("#login", fake.CampusOther))
	a.press("Authorize")
	a.sees(s.hub.Public + "hub/home")
	shown := func() bool {
		a.do("open Health", chromedp.Navigate(s.url+"health"))
		return strings.Contains(a.text(), "whole token")
	}
	a.do("open Health", chromedp.Navigate(s.url+"health"))
	a.sees("What was looked at")
	if !want {
		if shown() {
			s.t.Errorf("Health shows: %s", a.text())
		}
		return
	}
	s.wait("Health shows the bridge", shown)
	if text := a.text(); !strings.Contains(text, "accept_unnarrowed") || !strings.Contains(text, "Amiss") {
		s.t.Errorf("Health shows: %s", text)
	}
}

// onlyThisHost asks for tokens of several hosts, as a server may.
func (s *site) onlyThisHost(user string, here bool) {
	s.t.Helper()
	_, port, _ := strings.Cut(s.host(), ":")
	for _, at := range []string{"http " + s.host(), "http 127.0.0.1:9", "https 127.0.0.1:9", "https github.com", "http github.com", "http localhost:" + port, "http " + s.host() + ".example.org"} {
		scheme, host, _ := strings.Cut(at, " ")
		out, err := s.in(user, "", fmt.Sprintf(`printf 'protocol=%s\nhost=%s\npath=river-lab/data.git\n\n' | git -c credential.helper=daypass -c credential.useHttpPath=true credential fill`, scheme, host))
		if got, want := err == nil && strings.Contains(out, "password=gho_"), here && at == "http "+s.host(); got != want || !want && anyToken.MatchString(out) {
			s.t.Errorf("%s gets something: %v, want %v (%v)\n%s", at, got, want, err, anyToken.ReplaceAllString(out, "[token]"))
		}
	}
}

// TestJourney7OAuthApp: where the hub logs in with a classic OAuth App, only who
// somebody is comes over; or, where the admin accepts whole tokens, those too,
// from memory alone and shown in Health.
func TestJourney7OAuthApp(t *testing.T) {
	for _, accept := range []bool{false, true} {
		t.Run(fmt.Sprint("accepted ", accept), func(t *testing.T) {
			seed := fake.Campus()
			for i := range seed.Apps {
				if seed.Apps[i].ClientID == fake.CampusOAuthApp {
					seed.Apps[i].ClientSecrets = []string{fake.CampusPushSecret}
				}
			}
			s := newSite(t, siteConfig{
				Seed: &seed,
				Hub: func(c *hubtest.Config, w *fake.World) {
					c.Extra, c.Configure = containDS, "    wide_login=True,"
					c.GitHub = &hubtest.GitHub{URL: w.URL, ClientID: fake.CampusOAuthApp, Secret: fake.CampusPushSecret}
				},
				YAML: fmt.Sprintf("    login_app: {client_id: %s, accept_unnarrowed: %v}", fake.CampusOAuthApp, accept),
			})
			if err := s.world.Local.SetCallbacks(fake.CampusOAuthApp, s.hub.Public+"hub/oauth_callback"); err != nil {
				t.Fatal(err)
			}
			s.oneClick(fake.CampusUser)
			s.hub.StartServer(t, fake.CampusUser, "")
			if accept {
				s.seesBridge(true)
				s.eventually(fake.CampusUser, "rm -rf work; git clone $URL/river-lab/data.git work")
				s.must(fake.CampusUser, "", "cd work; echo a > a; git add a; git commit -qm a; git push")
			} else if out, err := s.in(fake.CampusUser, "", "git clone $URL/river-lab/data.git work"); err == nil || !strings.Contains(out, "/connect/") {
				t.Errorf("a whole token was handed out: %v\n%s", err, out)
			} else {
				s.seesBridge(false)
			}
			s.onlyThisHost(fake.CampusUser, accept)
			s.noToken(fake.CampusUser)
		})
	}
}
