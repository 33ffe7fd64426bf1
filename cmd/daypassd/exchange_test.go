package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/pass"
)

// newFakeShop is a gateway before a stand-in for devpi.
func newFakeShop(t *testing.T, more string) (*shop, *fake.Devpi) {
	t.Helper()
	key := []byte("0123456789abcdef")
	index := fake.NewDevpi(fake.DevpiConfig{Root: "a root", SessionKey: key})
	srv := httptest.NewServer(index)
	t.Cleanup(srv.Close)
	s := newShopTo(t, srv.URL+"/", more)
	s.file("etc/devpi.key", string(marshalKey(key)))
	return s, index
}

// newIssuer is a CI system.
func newIssuer(t *testing.T, gitlab bool) (issuer *fake.Issuer, at string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { issuer.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	var err error
	if issuer, err = fake.NewIssuer(fake.IssuerConfig{URL: srv.URL, GitLab: gitlab}); err != nil {
		t.Fatal(err)
	}
	return issuer, srv.URL
}

type mintReply struct {
	Success bool   `json:"success"`
	Token   string `json:"token"`
	Expires int64  `json:"expires"`
	Errors  []struct {
		Code        string `json:"code"`
		Description string `json:"description"`
	} `json:"errors"`
}

func (r mintReply) says() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].Description
}

func (s *shop) mint(token string) (int, mintReply) {
	s.t.Helper()
	var r mintReply
	status := s.post("_/oidc/mint-token", map[string]string{"token": token}, &r)
	return status, r
}

// TestGatewayExchange: a CI job gets a pass at the addresses that PyPI has, for
// what its rule says, once.
func TestGatewayExchange(t *testing.T) {
	issuer, at := newIssuer(t, false)
	s, index := newFakeShop(t, "AUDIENCE")
	s.edit("AUDIENCE", fmt.Sprintf(`exchange:
  audience: %s
  issuers: [{name: ci, kind: github, url: "%s"}]
  rules:
    - {name: release, issuer: ci, repository_id: 74, repository_owner_id: 65, ref: "refs/tags/v*", workflow: .github/workflows/release.yml, events: [push],
       gives: {index: {user: alice, indexes: [alice/dev], projects: [maps]}}}`, s.url, at))
	index.AddUser("alice", "secret")
	s.serve()
	var audience struct{ Audience string }
	if status, text := s.get("_/oidc/audience", nil); status != http.StatusOK || json.Unmarshal([]byte(text), &audience) != nil || audience.Audience != s.url {
		t.Fatalf("audience: %d %s", status, text)
	}
	job := fake.Job{Ref: "refs/tags/v1.0", Protected: true, Audience: audience.Audience}
	token := issuer.Faulty(job, fake.TokenRight)
	status, r := s.mint(token)
	if status != http.StatusOK || !r.Success || !strings.HasPrefix(r.Token, "devpi-") {
		t.Fatalf("%d %+v", status, r)
	}
	if left := time.Until(time.Unix(r.Expires, 0)); left < 14*time.Minute || left > 15*time.Minute {
		t.Errorf("it lasts %v", left)
	}
	// Older publishing actions ask where PyPI had it first. What is read there is devpi's.
	for _, path := range []string{"_/oidc/github/mint-token", "_/oidc/gitlab/mint-token"} {
		var again mintReply
		if status := s.post(path, map[string]string{"token": token}, &again); status != http.StatusUnprocessableEntity || again.Success {
			t.Errorf("%s: %d %+v", path, status, again)
		}
		if status, text := s.get(path, nil); status == http.StatusOK || strings.Contains(text, "success") {
			t.Errorf("%s is read: %d %s", path, status, text)
		}
	}
	api := devpitest.API{URL: s.url}
	if got := api.Upload(t, devpitest.Basic("__token__", r.Token), "alice/dev", devpitest.Wheel("maps", "1.0")); got.Status != http.StatusOK {
		t.Errorf("an upload: %d %s", got.Status, got.Message())
	}
	if got := api.Upload(t, devpitest.Bearer(r.Token), "alice/dev", devpitest.Wheel("other", "1.0")); got.Status != http.StatusForbidden {
		t.Errorf("another project: %d %s", got.Status, got.Message())
	}
	for name, c := range map[string]struct{ token, says string }{
		"again":          {token, "DP-187"},
		"a branch":       {issuer.Faulty(fake.Job{Audience: s.url}, fake.TokenRight), "DP-186"},
		"for PyPI":       {issuer.Faulty(fake.Job{Ref: "refs/tags/v1.0", Protected: true, Audience: "pypi"}, fake.TokenRight), "DP-185"},
		"wrong key":      {issuer.Faulty(job, fake.TokenWrongKey), "DP-185"},
		"unsigned":       {issuer.Faulty(job, fake.TokenUnsigned), "DP-185"},
		"HS256":          {issuer.Faulty(job, fake.TokenHS256), "DP-185"},
		"expired":        {issuer.Faulty(job, fake.TokenExpired), "DP-185"},
		"early":          {issuer.Faulty(job, fake.TokenEarly), "DP-185"},
		"no kid":         {issuer.Faulty(job, fake.TokenNoKey), "DP-185"},
		"unknown key":    {issuer.Faulty(job, fake.TokenUnknownKey), "DP-185"},
		"another issuer": {issuer.Faulty(job, fake.TokenElsewhere), "DP-185"},
		"a pass":         {r.Token, "DP-"},
	} {
		status, no := s.mint(c.token)
		if status != http.StatusUnprocessableEntity || no.Success || no.Token != "" || !strings.Contains(no.says(), c.says) {
			t.Errorf("%s: %d %+v", name, status, no)
		}
	}
	if code, said := s.admin("check"); code != 0 || !strings.Contains(said, "issuer ci") {
		t.Errorf("check: %d %s", code, said)
	}
	_, said := s.admin("events", "--kind", "exchange")
	if !strings.Contains(said, "rule release") || !strings.Contains(said, "octo-org/octo-repo") || !strings.Contains(said, "refused") {
		t.Errorf("the record:\n%s", said)
	}
	if strings.Contains(said, token) || strings.Contains(said, r.Token) {
		t.Error("the record holds a token")
	}
}

// TestGatewayExchangeHub: a server of a hub gets a pass of the user of its name.
func TestGatewayExchangeHub(t *testing.T) {
	hub := fake.NewHub(fake.HubConfig{
		Services:     []fake.HubService{{Name: "pypi", Token: "service-token-0123456789", Scopes: []string{"list:users", "read:users", "read:servers", "read:tokens", "read:shares"}}},
		ServerScopes: []string{"access:services!service=pypi"},
	})
	var asked []string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization"))
		hub.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s, index := newFakeShop(t, "RULES")
	s.edit("RULES", fmt.Sprintf(`exchange:
  audience: %s
  issuers: [{name: campus, kind: jupyterhub, api: "%s/hub/api", service: pypi, token: "file:%s"}]
  rules: [{name: lab, issuer: campus, users: [alice, carol], servers: [default, lab], gives: {index: {indexes: [/dev], allowed: [pkg_read, upload]}}}]`,
		s.url, front.URL, s.file("etc/hub-token", "service-token-0123456789")))
	index.AddUser("alice", "secret")
	s.serve()
	status, r := s.mint(hub.StartServer("alice", ""))
	if status != http.StatusOK {
		t.Fatalf("%d %+v", status, r)
	}
	api := devpitest.API{URL: s.url}
	if got := api.Upload(t, devpitest.Bearer(r.Token), "alice/dev", devpitest.Wheel("maps", "1.0")); got.Status != http.StatusOK {
		t.Errorf("an upload: %d %s", got.Status, got.Message())
	}
	for name, token := range map[string]string{"another server": hub.StartServer("alice", "gpu"), "another person": hub.StartServer("bob", ""), "no token": "0123456789abcdef"} {
		if status, r := s.mint(token); status != http.StatusUnprocessableEntity || r.Token != "" {
			t.Errorf("%s: %d %+v", name, status, r)
		}
	}
	// Whoever is let into a server has its token.
	index.AddUser("carol", "secret")
	if status, r := s.mint(hub.StartServer("carol", "")); status != http.StatusOK {
		t.Errorf("a server of hers alone: %d %+v", status, r)
	}
	shared := hub.StartServer("carol", "lab")
	hub.ShareServer("carol", "lab", "bob")
	if status, r := s.mint(shared); status != http.StatusUnprocessableEntity || r.Token != "" {
		t.Errorf("a server that is shared: %d %+v", status, r)
	}
	// A pass is not shown to the hub.
	asked = nil
	s.mint(r.Token)
	for _, a := range asked {
		if strings.Contains(a, r.Token) {
			t.Error("the hub was shown a pass")
		}
	}
}

// TestHubExchange: a CI job gets a pass at the hub's access service, as the person
// whom the rule names, for what the rule names.
func TestHubExchange(t *testing.T) {
	issuer, at := newIssuer(t, true)
	o := newOffice(t, "RULES")
	o.edit("RULES", fmt.Sprintf(`exchange:
  audience: %s
  issuers: [{name: lab, kind: gitlab, url: "%s"}]
  rules:
    - {name: nightly, issuer: lab, project_id: 74, namespace_id: 65, ref: refs/heads/main, workflow: .gitlab-ci.yml, events: [schedule],
       gives: {for: 10m, hub: {as: researcher, hosts: ["%s"], repos: [river-lab/data], access: read}}}`, o.url, at, o.host()))
	d := o.open()
	o.connect(d, "researcher", fake.CampusUser)
	o.serve()
	mint := func(token string) (int, mintReply) {
		text, err := json.Marshal(map[string]string{"token": token})
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.Post(o.url+"_/oidc/mint-token", "application/json", bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var r mintReply
		if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, r
	}
	job := fake.Job{Event: "schedule", Audience: o.url}
	status, r := mint(issuer.Faulty(job, fake.TokenRight))
	if status != http.StatusOK {
		t.Fatalf("%d %+v", status, r)
	}
	p, err := pass.Parse(daypass.NewSecret(r.Token))
	if err != nil || p.Form() != pass.Daypass {
		t.Fatalf("it is no pass of a hub's: %v", err)
	}
	if status, said, err := o.request(r.Token, "river-lab/data"); err != nil || status != http.StatusOK || !strings.Contains(said, `"access":"read"`) {
		t.Errorf("to write, which gives a token that reads: %d %s %v", status, said, err)
	}
	if status, said, err := o.read(r.Token, "river-lab/data"); err != nil || status != http.StatusOK {
		t.Errorf("to read: %d %s %v", status, said, err)
	}
	if status, said, err := o.read(r.Token, "octo-researcher/notes"); err != nil || status != http.StatusForbidden {
		t.Errorf("another repository: %d %s %v", status, said, err)
	}
	if status, r := mint(issuer.Faulty(fake.Job{Event: "merge_request_event", Audience: o.url}, fake.TokenRight)); status != http.StatusUnprocessableEntity || r.Errors[0].Code != "DP-186" {
		t.Errorf("a merge request: %d %+v", status, r)
	}
}

// TestAdminSeesPasses: a hub's admin sees a person's passes, why one was refused,
// and ends it; the tokens that it made die with it.
func TestAdminSeesPasses(t *testing.T) {
	o := newOffice(t, "")
	d := o.open()
	c := o.connect(d, "researcher", fake.CampusUser)
	browser := c
	browser.Via, browser.Server = daypass.ViaBrowser, daypass.Server{}
	m, err := d.broker.MintPass(t.Context(), browser, true, broker.PassAsk{
		Label: "for a job", For: time.Hour, Limits: pass.Limits{Hosts: []string{o.host()}, Repos: []string{"river-lab/data"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := m.Text.Reveal()
	o.secrets = append(o.secrets, text[len(text)-43:])
	o.serve()
	if status, said, err := o.read(text, "river-lab/data"); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, said, err)
	}
	_, said, err := o.read(text, "octo-researcher/notes")
	if err != nil || !strings.Contains(said, "DP-161") {
		t.Fatalf("%s %v", said, err)
	}
	o.wants(0, []string{"Passes that are good", m.Row.ID, "for a job", "dp:repo=river-lab/data"}, "user", "show", "researcher")
	o.wants(0, []string{"researcher", m.Row.ID, "for a job"}, "passes", "list", "researcher")
	o.wants(0, []string{`"realm":"hub:hub"`, `"owner":"researcher"`}, "passes", "list", "--json")
	events := o.wants(0, []string{"pass " + m.Row.ID, "refusal"}, "events", "--pass", m.Row.ID)
	refused := ""
	for line := range strings.Lines(events) {
		if strings.Contains(line, "refusal") {
			refused = strings.Fields(line)[2]
		}
	}
	o.wants(0, []string{"by a pass", m.Row.ID, "whoever made the pass"}, "why", refused)
	o.wants(0, []string{"Ended", "by the service that runs"}, "passes", "end", m.Row.ID)
	o.eventually("the pass is dead, and what it made", func() bool {
		status, _, err := o.read(text, "river-lab/data")
		live := 0
		for _, token := range o.world.Local.LiveTokens() {
			if token.Scoped {
				live++
			}
		}
		return err == nil && status != http.StatusOK && live == 0
	})
}
