package hubtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
)

// A listener is an access service that only listens.
type listener struct {
	URL string

	mu    sync.Mutex
	calls []call
	wait  time.Duration
	code  int
}

type call struct {
	path, bearer string
	body         map[string]any
}

func newListener(t *testing.T) *listener {
	l := &listener{code: http.StatusNoContent}
	s := httptest.NewServer(l)
	t.Cleanup(s.Close)
	l.URL = s.URL + "/services/daypass/"
	return l
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	c := call{path: r.Method + " " + r.URL.Path, bearer: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	json.Unmarshal(text, &c.body)
	l.mu.Lock()
	l.calls = append(l.calls, c)
	wait, code := l.wait, l.code
	l.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-r.Context().Done():
	}
	w.WriteHeader(code)
}

func (l *listener) set(wait time.Duration, code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wait, l.code = wait, code
}

// next waits for the next call to a hook and takes it away.
func (l *listener) next(t *testing.T, path string) call {
	t.Helper()
	var found call
	wait(t, 10*time.Second, "a call of "+path, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, c := range l.calls {
			if c.path == "POST /services/daypass/api/v1/hook/"+path {
				found = c
				l.calls = append(l.calls[:i:i], l.calls[i+1:]...)
				return true
			}
		}
		return false
	})
	return found
}

func (l *listener) none(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) != 0 {
		t.Fatalf("%v", l.calls)
	}
}

// says compares a body with JSON text, in which CREATED stands for the person's.
func says(t *testing.T, h *Hub, c call, user, want string) {
	t.Helper()
	p, err := h.Peer().Client().Person(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	want = strings.ReplaceAll(want, "CREATED", p.User.Created.Format("2006-01-02T15:04:05.000000Z"))
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(c.body)
	expected, _ := json.Marshal(wanted)
	if string(got) != string(expected) {
		t.Errorf("got  %s\nwant %s", got, expected)
	}
	if c.bearer != h.Hook {
		t.Error("another token than the hook's")
	}
}

func TestHookStopped(t *testing.T) { hookStopped(t, "") }

func hookStopped(t *testing.T, prefix string) {
	l := newListener(t)
	h := Start(t, Config{Prefix: prefix, Broker: l.URL, Extra: `
def own_hook(spawner):
    open(spawner.home_dir + "/own-hook", "w").close()

c.Spawner.post_stop_hook = own_hook
`})
	h.CreateUser(t, "ann")
	for _, name := range []string{"", "gpu"} {
		h.StartServer(t, "ann", name)
		l.none(t)
		h.StopServer(t, "ann", name)
		says(t, h, l.next(t, "stopped"), "ann", `{"user": "ann", "created": "CREATED", "server": "`+name+`"}`)
	}
	if _, err := os.Stat(filepath.Join(h.Dir, "home", "ann", "own-hook")); err != nil {
		t.Errorf("the site's own hook did not run: %v", err)
	}

	// It ended by itself.
	h.StartServer(t, "ann", "gpu")
	h.CrashServer("ann", "gpu")
	says(t, h, l.next(t, "stopped"), "ann", `{"user": "ann", "created": "CREATED", "server": "gpu"}`)

	// An access service that hangs, or fails, holds up no stop.
	for _, code := range []int{http.StatusNoContent, http.StatusInternalServerError} {
		l.set(time.Minute, code)
		h.StartServer(t, "ann", "gpu")
		begun := time.Now()
		h.StopServer(t, "ann", "gpu")
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("the stop took %v", d)
		}
		l.next(t, "stopped")
	}
	if log := h.Log(1 << 20); strings.Contains(log, h.Hook) || !strings.Contains(log, "daypass: the access service could not be told") {
		wait(t, 5*time.Second, "a line in the log", func() bool {
			return strings.Contains(h.Log(1<<20), "could not be told (/api/v1/hook/stopped, HTTPTimeoutError)")
		})
	}
}

// gitHubHub is a hub where people log in with a GitHub.
func gitHubHub(t *testing.T, c Config, app, secret string) (*Hub, *fake.World) {
	seed := fake.Campus()
	for i := range seed.Apps {
		if seed.Apps[i].ClientID == fake.CampusOAuthApp {
			seed.Apps[i].ClientSecrets = []string{fake.CampusPushSecret}
		}
	}
	w, err := fake.NewWorld(fake.WorldConfig{Dir: t.TempDir(), Seed: &seed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	local := c.GitHub != nil && c.GitHub.Local
	c.GitHub = &GitHub{URL: w.URL, ClientID: app, Secret: secret, Local: local}
	h := Start(t, c)
	w.Local.SetCallbacks(app, h.Public+"hub/oauth_callback")
	return h, w
}

// logIn goes through the pages of hub and GitHub. It returns the address at
// which the GitHub asked.
func logIn(t *testing.T, h *Hub, b *Browser, login string) string {
	t.Helper()
	_, page := b.Get(h.Public + "hub/oauth_login?next=" + url.QueryEscape("/hub/home"))
	asked := b.At()
	status, text := b.Submit(page, url.Values{"login": {login}, "action": {"authorize"}})
	if status != http.StatusOK || !strings.HasPrefix(b.At(), h.Public+"hub/home") {
		t.Fatalf("%d at %s\n%.1000s", status, b.At(), text)
	}
	return asked
}

// authState is what the hub keeps of a log-in.
func authState(t *testing.T, h *Hub, user string) string {
	t.Helper()
	var m struct {
		AuthState json.RawMessage `json:"auth_state"`
	}
	if err := json.Unmarshal(h.must(t, "GET", userPath(user), nil), &m); err != nil {
		t.Fatal(err)
	}
	return string(m.AuthState)
}

func noTokens(t *testing.T, h *Hub, user string) {
	t.Helper()
	state := authState(t, h, user)
	if !strings.Contains(state, `"login": "`+user+`"`) {
		t.Errorf("the hub forgot whose log-in it was: %s", state)
	}
	for _, bad := range []string{"ghu_", "gho_", "ghr_", "access_token", "refresh_token", "token_response"} {
		if strings.Contains(state, bad) {
			t.Errorf("auth_state holds %s: %s", bad, state)
		}
	}
}

func TestLoginHandedOver(t *testing.T) {
	for _, local := range []bool{false, true} {
		t.Run(map[bool]string{false: "GitHubOAuthenticator", true: "LocalGitHubOAuthenticator"}[local], func(t *testing.T) { loginHandedOver(t, "", local) })
	}
}

func loginHandedOver(t *testing.T, prefix string, local bool) {
	l := newListener(t)
	h, w := gitHubHub(t, Config{Prefix: prefix, Broker: l.URL, GitHub: &GitHub{Local: local}, Late: "c.Authenticator.auth_refresh_age = 1"}, fake.CampusPushApp, fake.CampusPushSecret)
	b := NewBrowser(t, h.Public)
	logIn(t, h, b, fake.CampusUser)
	c := l.next(t, "login")
	access, _ := c.body["access_token"].(string)
	refresh, _ := c.body["refresh_token"].(string)
	if !strings.HasPrefix(access, "ghu_") || !strings.HasPrefix(refresh, "ghr_") {
		t.Fatalf("%v", c.body)
	}
	if info, live := w.Local.Token(access); !live || info.User != fake.CampusUser {
		t.Fatalf("%+v, %v", info, live)
	}
	says(t, h, c, fake.CampusUser, `{"user": "octo-researcher", "created": "CREATED", "host": "`+strings.TrimPrefix(w.URL, "http://")+`",
		"client_id": "`+fake.CampusPushApp+`", "account": {"id": 1001, "login": "octo-researcher", "name": "Octo Researcher", "email": null},
		"access_token": "`+access+`", "refresh_token": "`+refresh+`", "expires_in": 28800, "refresh_token_expires_in": 15811200, "scope": "", "token_type": "bearer"}`)
	noTokens(t, h, fake.CampusUser)

	// The hub renews what it knows of people every five minutes, here every
	// second; without a token that must log nobody out, nor ask GitHub.
	before := w.Local.Count("/api/v3/user")
	time.Sleep(1100 * time.Millisecond)
	if status, _ := b.Get(h.Public + "hub/home"); status != http.StatusOK || !strings.HasSuffix(b.At(), "/hub/home") {
		t.Errorf("%d at %s", status, b.At())
	}
	h.StartServer(t, fake.CampusUser, "")
	time.Sleep(1100 * time.Millisecond)
	h.Peer().who(t, h.ServerToken(fake.CampusUser, ""))
	if n := w.Local.Count("/api/v3/user"); n != before {
		t.Errorf("GitHub was asked %d times", n-before)
	}

	// Somebody who is known already.
	again := NewBrowser(t, h.Public)
	logIn(t, h, again, fake.CampusUser)
	if got := l.next(t, "login").body["access_token"]; got == access || got == "" {
		t.Error("the same token again")
	}

	// Who logged in before there was a daypass loses the tokens, and nothing else.
	h.must(t, "PATCH", userPath(fake.CampusUser), map[string]any{"auth_state": map[string]any{
		"access_token": "ghu_old", "refresh_token": "ghr_old", "token_response": map[string]any{"access_token": "ghu_old"}, "scope": []string{""},
		"github_user": map[string]any{"login": fake.CampusUser, "id": 1001}, "copy": "Bearer ghu_old", "mine": "kept",
	}})
	time.Sleep(1100 * time.Millisecond)
	if status, _ := again.Get(h.Public + "hub/home"); status != http.StatusOK || !strings.HasSuffix(again.At(), "/hub/home") {
		t.Errorf("%d at %s", status, again.At())
	}
	noTokens(t, h, fake.CampusUser)
	if !strings.Contains(authState(t, h, fake.CampusUser), "kept") {
		t.Error("more than the tokens is gone")
	}
	log := h.Log(1 << 20)
	if strings.Contains(log, "ghu_") || strings.Contains(log, "ghr_") {
		t.Error("a token is in the hub's log")
	}
	if strings.Contains(log, "Creating user: true "+fake.CampusUser) != local {
		t.Errorf("the machine got a user, where it was to be %v", local)
	}
}

// TestLoginWithoutBroker: people log in while the access service is down, or
// hangs, and their tokens are not kept all the same.
func TestLoginWithoutBroker(t *testing.T) {
	l := newListener(t)
	l.set(time.Minute, http.StatusOK)
	h, _ := gitHubHub(t, Config{Broker: l.URL}, fake.CampusPushApp, fake.CampusPushSecret)
	begun := time.Now()
	logIn(t, h, NewBrowser(t, h.Public), fake.CampusUser)
	if d := time.Since(begun); d > 2*time.Second {
		t.Errorf("the log-in took %v", d)
	}
	l.next(t, "login")
	noTokens(t, h, fake.CampusUser)
	wait(t, 5*time.Second, "a line in the log", func() bool { return strings.Contains(h.Log(1<<20), "could not be told (/api/v1/hook/login,") })

	h, _ = gitHubHub(t, Config{}, fake.CampusPushApp, fake.CampusPushSecret)
	logIn(t, h, NewBrowser(t, h.Public), fake.CampusUser)
	noTokens(t, h, fake.CampusUser)
}

// containDS is what the manual of ContainDS Dashboards tells a hub to write.
const containDS = `
from oauthenticator.github import GitHubOAuthenticator
c.GitHubOAuthenticator.scope = ['read:org', 'public_repo', 'repo', 'user:email']

class MyGitHubAuthenticator(GitHubOAuthenticator):

    from tornado import gen

    @gen.coroutine
    def pre_spawn_start(self, user, spawner):
        auth_state = yield user.get_auth_state()

        if not auth_state:
            # user has no auth state
            return

        # define some environment variables from auth_state
        spawner.environment['GITHUB_TOKEN'] = auth_state['access_token']
        spawner.environment['GITHUB_USER'] = auth_state['github_user']['login']
        spawner.environment['GITHUB_EMAIL'] = auth_state['github_user']['email']

c.JupyterHub.authenticator_class = MyGitHubAuthenticator
c.MyGitHubAuthenticator.admin_users = {"ada"}
`

// TestContainDS: a hub that gave servers their person's token is switched by
// daypass's lines alone, and logs in with an OAuth App, whose tokens do not end.
func TestContainDS(t *testing.T) { switchContainDS(t, "") }

func switchContainDS(t *testing.T, prefix string) {
	l := newListener(t)
	h, _ := gitHubHub(t, Config{Prefix: prefix, Broker: l.URL, Extra: containDS}, fake.CampusOAuthApp, fake.CampusPushSecret)
	asked := logIn(t, h, NewBrowser(t, h.Public), fake.CampusOther)
	if u := address(t, asked); u.Query().Get("scope") != "read:org user:email" {
		t.Errorf("the log-in asked for %q", u.Query().Get("scope"))
	}
	c := l.next(t, "login")
	access, _ := c.body["access_token"].(string)
	if !strings.HasPrefix(access, "gho_") || c.body["refresh_token"] != nil || c.body["expires_in"] != nil || c.body["scope"] == "" {
		t.Errorf("%v", c.body)
	}
	noTokens(t, h, fake.CampusOther)
	h.StartServer(t, fake.CampusOther, "")
	env := strings.Join(h.ServerEnv(fake.CampusOther, ""), "\n")
	for _, want := range []string{"GITHUB_USER=ada", "GITHUB_EMAIL=ada@example.org", "DAYPASS_URL=" + l.URL} {
		if !strings.Contains(env, want) {
			t.Errorf("no %s in the server", want)
		}
	}
	for _, bad := range []string{"GITHUB_TOKEN", "gho_", h.Hook} {
		if strings.Contains(env, bad) {
			t.Errorf("%s is in the server", bad)
		}
	}
	// Whose class it was, and what was set for it, stays.
	if m := string(h.must(t, "GET", userPath("ada"), nil)); !strings.Contains(m, `"admin": true`) {
		t.Errorf("the settings for the site's class are lost: %s", m)
	}
}
