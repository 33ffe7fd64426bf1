package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/hubtest"
	"github.com/daypass-dev/daypass/store"
)

// The twenty traps of connecting hubs and GitHub, and what provokes each.
//
//	 1 two refreshes of one grant      broker: TestRefreshOnce, TestRefreshOnceInTwoProcesses, TestRefreshHeldUp, TestRefreshStoppedAfterSending
//	 2 killed between answer and commit broker: TestKilled; here: TestKilledService
//	 3 an answer that never arrives     broker: TestRefreshLost, TestRefreshOutage, TestKilled; fake: TestLostRefresh
//	 4 clocks                           broker: TestClockOff, TestClockLeaps; provider/github: TestClocks, TestGrantTimes
//	 5 half a consent                   broker: TestConsentFaults, TestConsentNotStored, TestConsentLeft, TestConsentFails, TestKilled
//	 6 replay, mix-up, swapped browsers broker: TestCallbacks; server: TestConsentIsBound, TestSignInIsBound
//	 7 fixed sessions                   server: TestSignedInAnew, TestSessionEnds
//	 8 forged requests                  server: TestWhereRequestsComeFrom, TestForms, TestNeighbour
//	 9 open redirects                   server: TestNext
//	10 another service's tokens         hub: TestWhoami…; here: TestTokensOfOthers, TestCompromisedServer
//	11 the hub away, or wrong           hub: TestWhoamiOutage, TestWhoamiWrongRefusal; server: TestHubAway; here: TestHubKilledUnderLoad, TestHubWronglyRefuses
//	12 the provider away                broker: TestOutages, TestServeWhileDown
//	13 deleted people                   broker: TestGone; here: TestRenamedAndDeleted
//	14 renamed people and repositories  broker: TestRename, TestStoppedAfterRename, TestPinnedName; hub: TestWhoamiRenamed; here: TestRenamedAndDeleted
//	15 several servers of one person    broker: TestAuthority, TestEnds, TestOddNames; here: TestNamedServers; internal/hubtest: TestHubs, for hubs that cannot tell
//	16 the hub starts the service       here: TestStartedByHub
//	17 what admins can do as others     here: TestAdminAsSomebody
//	18 encryption at rest               store/storetest
//	19 secrets in logs                  here: TestCanaries; server: TestNothingSecretIsLogged
//	20 what GitHub leaves open          provider/providertest, with the stand-in's switches

// An apiAnswer is what the API said.
type apiAnswer struct {
	status int
	header http.Header
	body   []byte
	reply  struct {
		Password string
		Access   string
		Event    string
		Error    struct{ Code, What, Why, Next, Link string }
	}
}

func (s *site) path() string { return "/" + strings.SplitN(s.url, "/", 4)[3] }

// api asks the service, as a program with a token of the hub does.
func (s *site) api(token, method, path string, body any) apiAnswer {
	s.t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	q, err := http.NewRequest(method, "http://"+s.listen+s.path()+strings.TrimPrefix(path, "/"), in)
	if err != nil {
		s.t.Fatal(err)
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return apiAnswer{body: []byte(err.Error())}
	}
	defer res.Body.Close()
	a := apiAnswer{status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(res.Body); err != nil {
		s.t.Error(err)
	}
	_ = json.Unmarshal(a.body, &a.reply) // pages are no JSON
	return a
}

func (s *site) wanted(repo string) map[string]any {
	return map[string]any{"protocol": "http", "host": s.host(), "path": repo, "access": "write"}
}

// credential asks for a credential for a repository.
func (s *site) credential(token, repo string) apiAnswer {
	s.t.Helper()
	return s.api(token, http.MethodPost, api.PathCredential, s.wanted(repo))
}

// given asks for a credential and has to get it.
func (s *site) given(token, repo string) string {
	s.t.Helper()
	a := s.credential(token, repo)
	if a.status != http.StatusOK {
		s.t.Fatalf("%d %s\nthe service said:\n%s", a.status, a.body, s.serve.text())
	}
	return a.reply.Password
}

// live reports whether the stand-in takes a token.
func (s *site) live(token string) bool {
	_, ok := s.world.Local.Token(token)
	return ok
}

// handIn connects somebody as a login at the hub with GitHub does.
func (s *site) handIn(user, login string) {
	s.t.Helper()
	access, refresh, err := s.world.Local.Issue(fake.CampusPushApp, login, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	id := map[string]int{fake.CampusUser: 1001, fake.CampusOther: 1002}[login]
	a := s.api(s.hub.Hook, http.MethodPost, api.PathHookLogin, map[string]any{
		"user": user, "host": s.host(), "client_id": fake.CampusPushApp, "account": map[string]any{"id": id, "login": login},
		"access_token": access, "refresh_token": refresh, "expires_in": 28800, "refresh_token_expires_in": 15811200,
	})
	if a.status != http.StatusNoContent {
		s.t.Fatalf("the hook: %d %s", a.status, a.body)
	}
}

// person makes somebody with a running server and a connection, and returns the
// server's token.
func (s *site) person(user, login string) string {
	s.t.Helper()
	s.hub.CreateUser(s.t, user)
	s.hub.StartServer(s.t, user, "")
	s.handIn(user, login)
	return s.hub.ServerToken(user, "")
}

// within waits for something, for as long as it may take.
func (s *site) within(limit time.Duration, what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not within %v: %s\nthe service said:\n%s", limit, what, s.serve.text())
		}
	}
}

// TestHubKilledUnderLoad: the hub dies with servers running and people pushing.
// Who was known goes on; who was not is told to wait; nothing is lost, and when
// the hub is back everything is as before.
func TestHubKilledUnderLoad(t *testing.T) {
	s := newSite(t, siteConfig{Hub: func(c *hubtest.Config, _ *fake.World) { c.KeepServers = true }})
	tokens := []string{s.person("alice", fake.CampusUser), s.person("bob", fake.CampusOther)}
	s.hub.CreateUser(t, "carol")
	s.hub.StartServer(t, "carol", "")
	late := s.hub.ServerToken("carol", "")
	for _, token := range tokens {
		s.given(token, "river-lab/data")
	}
	stop := make(chan struct{})
	var good, other atomic.Int64
	var load sync.WaitGroup
	for i := range 8 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
				a := s.credential(tokens[i%2], []string{"river-lab/data", "river-lab/handbook"}[i/2%2])
				if a.status == http.StatusOK {
					good.Add(1)
				} else {
					other.Add(1)
					t.Errorf("somebody who was known: %d %s", a.status, a.body)
				}
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	s.hub.Kill()
	killed := time.Now()
	a := s.credential(late, "river-lab/data")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !strings.Contains(string(a.body), "hub") {
		t.Errorf("somebody who was not known: %d %v %s", a.status, a.header, a.body)
	}
	if d := time.Since(killed); d > 3*time.Second {
		t.Errorf("it took %v to say so", d)
	}
	time.Sleep(time.Until(killed.Add(2500 * time.Millisecond)))
	s.hub.StartHub()
	s.within(10*time.Second, "the service knows the hub again", func() bool { return s.credential(late, "river-lab/data").status == http.StatusConflict })
	close(stop)
	load.Wait()
	t.Logf("%d answers under load, %d others", good.Load(), other.Load())
	s.handIn("carol", fake.CampusUser)
	for _, token := range append(tokens, late) {
		if a := s.api(token, http.MethodGet, api.PathMe, nil); a.status != http.StatusOK || !strings.Contains(string(a.body), `"connected":true`) {
			t.Errorf("afterwards: %d %s", a.status, a.body)
		}
		s.given(token, "river-lab/data")
	}
}

// rewrite starts the service again with another configuration.
func (s *site) rewrite(from, to string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		s.t.Fatalf("the configuration does not say %q", from)
	}
	s.end(s.serve)
	s.config = s.file("etc/server.yaml", strings.ReplaceAll(string(text), from, to))
	s.start()
}

// TestHubWronglyRefuses: a hub in trouble says 403 about good tokens. No
// connection is touched by it.
func TestHubWronglyRefuses(t *testing.T) {
	s := newSite(t, siteConfig{})
	token := s.person("alice", fake.CampusUser)
	to, err := url.Parse(s.hub.API)
	if err != nil {
		t.Fatal(err)
	}
	var wrong atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if wrong.Load() {
			http.Error(w, `{"status": 403, "message": "Forbidden"}`, http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, q)
	}))
	t.Cleanup(front.Close)
	s.rewrite("api: "+s.hub.API, "api: "+front.URL+to.Path)
	first := s.given(token, "river-lab/data")
	wrong.Store(true)
	if a := s.api(token, http.MethodDelete, api.PathConnection+url.PathEscape(s.host()), nil); a.status == http.StatusOK {
		t.Errorf("what needs the hub's fresh word was done without: %s", a.body)
	}
	time.Sleep(200 * time.Millisecond)
	wrong.Store(false)
	s.within(15*time.Second, "it is as before", func() bool { return s.credential(token, "river-lab/data").status == http.StatusOK })
	if got := s.given(token, "river-lab/data"); got != first || !s.live(first) {
		t.Error("what was given before was ended by it")
	}
}

// TestRenamedAndDeleted: people get other names at the hub, and names other
// people.
func TestRenamedAndDeleted(t *testing.T) {
	s := newSite(t, siteConfig{})
	token := s.person("alice", fake.CampusUser)
	first := s.given(token, "river-lab/data")
	s.hub.RenameUser(t, "alice", "alicia")
	if got := s.given(token, "river-lab/handbook"); !s.live(got) {
		t.Error("after the rename")
	}
	s.hub.CreateUser(t, "alice")
	s.hub.StartServer(t, "alice", "own") // hubs cannot start the default one while the renamed person's runs
	if a := s.credential(s.hub.ServerToken("alice", "own"), "river-lab/data"); a.status != http.StatusConflict || a.reply.Error.Code != "DP-816" {
		t.Errorf("who has the name now: %d %s", a.status, a.body)
	}
	if a := s.api(token, http.MethodGet, api.PathMe, nil); a.status != http.StatusOK || !strings.Contains(string(a.body), `"connected":true`) {
		t.Errorf("who was renamed: %d %s", a.status, a.body)
	}
	s.hub.StopServer(t, "alicia", "")
	s.within(2*time.Second, "the renamed person's token dies with the server", func() bool { return !s.live(first) })

	bob := s.person("bob", fake.CampusOther)
	s.given(bob, "river-lab/data")
	s.hub.StopServer(t, "bob", "")
	s.hub.DeleteUser(t, "bob")
	s.hub.CreateUser(t, "bob")
	s.hub.StartServer(t, "bob", "")
	if a := s.credential(s.hub.ServerToken("bob", ""), "river-lab/data"); a.reply.Error.Code != "DP-816" {
		t.Errorf("who was made anew: %d %s", a.status, a.body)
	}
	if a := s.credential(bob, "river-lab/data"); a.status != http.StatusUnauthorized {
		t.Errorf("the old one's token: %d %s", a.status, a.body)
	}
}

// TestNamedServers: each server is one of its own, and what it was given ends
// with it, within two seconds, and nothing else does.
func TestNamedServers(t *testing.T) {
	s := newSite(t, siteConfig{})
	plain := s.person("alice", fake.CampusUser)
	s.hub.StartServer(t, "alice", "gpu")
	gpu := s.hub.ServerToken("alice", "gpu")
	one, two := s.given(plain, "river-lab/data"), s.given(gpu, "river-lab/data")
	if one == two {
		t.Error("two servers have one token")
	}
	for token, name := range map[string]string{plain: "default", gpu: "gpu"} {
		if a := s.api(token, http.MethodGet, api.PathMe, nil); !strings.Contains(string(a.body), `"server":"`+name+`"`) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	s.hub.StopServer(t, "alice", "gpu")
	stopped := time.Now()
	s.within(2*time.Second, "the stopped server's token is dead", func() bool { return !s.live(two) })
	t.Logf("dead %v after the hub said that the server has stopped", time.Since(stopped).Round(time.Millisecond))
	if !s.live(one) || s.given(plain, "river-lab/data") != one {
		t.Error("the other server's token was touched")
	}
	if a := s.credential(gpu, "river-lab/data"); a.status != http.StatusUnauthorized {
		t.Errorf("the stopped server goes on asking: %d %s", a.status, a.body)
	}
}

// TestAdminAsSomebody: whoever can make tokens for others at the hub gets what
// the rules give that person, and never what takes the person's browser.
func TestAdminAsSomebody(t *testing.T) {
	s := newSite(t, siteConfig{})
	s.person("alice", fake.CampusUser)
	made := s.hub.UserToken(t, "alice", "access:services!service=daypass")
	if got := s.given(made, "river-lab/data"); !s.live(got) {
		t.Error("no credential")
	}
	if a := s.api(made, http.MethodGet, api.PathMe, nil); !strings.Contains(string(a.body), `"via":"user-token"`) {
		t.Errorf("the activity cannot tell: %s", a.body)
	}
	before := len(s.world.Local.LiveRefreshTokens())
	for _, path := range []string{"connect/" + s.host(), "approve", "sharing", "sharing/end", "disconnect/" + s.host(), "people/1/cut-off", "signout"} {
		for _, kind := range []string{"application/json", "application/x-www-form-urlencoded"} {
			q, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader("form=x&server=default"))
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("Authorization", "Bearer "+made)
			q.Header.Set("Content-Type", kind)
			q.Header.Set("Origin", strings.TrimSuffix(s.url, "/"))
			q.Header.Set("Sec-Fetch-Site", "same-origin")
			q.Header.Set("Sec-Fetch-Mode", "navigate")
			q.Header.Set("Sec-Fetch-Dest", "document")
			res, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusForbidden {
				t.Errorf("POST %s: %d", path, res.StatusCode)
			}
		}
	}
	if n := len(s.world.Local.LiveRefreshTokens()); n != before {
		t.Error("a connection was ended")
	}
	// Without the service's scope a token is for other things.
	other := s.hub.UserToken(t, "alice", "read:users!user=alice")
	if a := s.credential(other, "river-lab/data"); a.status != http.StatusForbidden {
		t.Errorf("a token for something else: %d %s", a.status, a.body)
	}
}

// services are the processes that serve with a configuration.
func services(t *testing.T, config string) []int {
	t.Helper()
	var out []int
	list, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "\x00serve\x00--config\x00"+config+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err != nil {
			t.Fatal(err)
		}
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(stat), ") Z ") {
			out = append(out, pid)
		}
	}
	return out
}

// managed turns a site into one whose hub starts the service.
func managed(t *testing.T) (s *site, config string) {
	t.Helper()
	s = newSite(t, siteConfig{})
	s.end(s.serve)
	s.url = s.hub.Public + "services/daypass/"
	config = s.file("etc/managed.yaml", fmt.Sprintf(`store: sqlite:%s/store/daypass.db
keys: file:%s/etc/keys.json
url: %s
hub: {url: %s, hook_token: "file:%s/etc/hook-token"}
github:
  - {host: %s, push: {client_id: %s, client_secrets: ["file:%s/etc/push-secret"]}}
`, s.dir, s.dir, s.url, s.hub.Public, s.dir, s.world.URL, fake.CampusPushApp, s.dir))
	lines := fmt.Sprintf(`
for s in c.JupyterHub.services:
    if s["name"] == "daypass":
        del s["api_token"], s["oauth_redirect_uri"]
        s["url"] = "http://%s"
        s["command"] = [%q, "serve", "--config", %q]
`, s.listen, filepath.Join(s.bin, "daypass"), config)
	f, err := os.OpenFile(filepath.Join(s.hub.Dir, "jupyterhub_config.py"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(lines); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s.hub.Restart()
	return s, config
}

// TestStartedByHub: the hub starts the service. When the hub dies the service does,
// and the hub's next start has one again within seconds.
func TestStartedByHub(t *testing.T) {
	s, config := managed(t)
	serves := func() (pid int) {
		res, err := http.Get(s.url + "healthz")
		if err != nil {
			return 0
		}
		defer res.Body.Close()
		var h health
		if json.NewDecoder(res.Body).Decode(&h) != nil || h.Service != "daypass" {
			return 0
		}
		return h.Process
	}
	s.within(10*time.Second, "the hub's service serves", func() bool { return serves() != 0 })
	first := serves()
	token := s.person("alice", fake.CampusUser)
	s.given(token, "river-lab/data")

	// Another one finds the port taken and ends well, with one line.
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", first))
	if err != nil {
		t.Fatal(err)
	}
	again := exec.Command(filepath.Join(s.bin, "daypass"), "serve", "--config", config)
	again.Env = strings.Split(strings.Trim(string(env), "\x00"), "\x00")
	if out, err := again.CombinedOutput(); err != nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "serves") {
		t.Errorf("a second one: %v\n%s", err, out)
	}

	s.hub.Kill()
	s.within(5*time.Second, "the orphan ends", func() bool { return len(services(t, config)) == 0 })
	s.hub.StartHub()
	s.within(5*time.Second, "the next one serves", func() bool { return serves() != 0 })
	if list := services(t, config); len(list) != 1 || list[0] == first {
		t.Errorf("these serve: %v; the first was %d", list, first)
	}
	s.hub.StartServer(t, "alice", "again")
	s.given(s.hub.ServerToken("alice", "again"), "river-lab/data")

	// SIGINT, which hubs send to the services that they stop.
	pid := serves()
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	s.within(5*time.Second, "it stops at SIGINT", func() bool {
		for _, p := range services(t, config) {
			if p == pid {
				return false
			}
		}
		return true
	})
	s.hub.Stop()
	s.within(10*time.Second, "nothing is left when the hub has stopped", func() bool { return len(services(t, config)) == 0 })
}

// TestKilledService: the service itself, killed with -9 while it works, is
// started again and knows all that it answered.
func TestKilledService(t *testing.T) {
	s := newSite(t, siteConfig{})
	token := s.person("alice", fake.CampusUser)
	for round := range 3 {
		s.given(token, "river-lab/data")
		done := make(chan string, 1)
		go func() {
			done <- s.credential(token, []string{"river-lab/handbook", "octo-researcher/notes"}[round%2]).reply.Event
		}()
		time.Sleep(time.Duration(round*4) * time.Millisecond)
		s.serve.cmd.Process.Kill()
		<-s.serve.done
		event := <-done
		s.start()
		if a := s.api(token, http.MethodGet, api.PathMe, nil); !strings.Contains(string(a.body), `"connected":true`) {
			t.Errorf("round %d: %s", round, a.body)
		}
		s.given(token, "river-lab/data")
		if event != "" {
			db := s.open()
			_, ok, err := db.Event(t.Context(), store.EventID(event))
			if !ok || err != nil {
				t.Errorf("round %d: an answer's event is not in the store: %v", round, err)
			}
			db.Close()
		}
	}
}

// open opens the site's store beside the service.
func (s *site) open() *store.DB {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "etc", "keys.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	keys, err := store.ParseKeys(text)
	if err != nil {
		s.t.Fatal(err)
	}
	db, err := store.Open(s.t.Context(), store.Config{URL: "sqlite:" + filepath.Join(s.dir, "store", "daypass.db"), Keys: keys})
	if err != nil {
		s.t.Fatal(err)
	}
	return db
}
