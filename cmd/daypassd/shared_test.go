package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/hubtest"
)

// TestSharedServers: a server that others may enter, by the hub's sharing or by
// its name, reads as its owner, and pushes as nobody.
func TestSharedServers(t *testing.T) {
	s := newSite(t, siteConfig{
		Hub: func(c *hubtest.Config, _ *fake.World) {
			c.Late = `c.JupyterHub.load_roles.append({"name": "sharing", "services": ["rig"], "scopes": ["shares"]})`
		},
		YAML: "servers: {dashboard: [\"viz-*\"]}",
	})
	for _, u := range []string{"owner", "guest"} {
		s.hub.CreateUser(t, u)
	}
	for _, server := range []string{"", "viz-1", "open"} {
		s.hub.StartServer(t, "owner", server)
	}
	if status, body, err := s.hub.Do("POST", "/shares/owner/open", map[string]any{"user": "guest"}); err != nil || status/100 != 2 {
		t.Fatalf("share: %d %s %v", status, body, err)
	}
	p := s.browser()
	p.logIn("owner")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")

	const push = "git clone -q $URL/river-lab/data.git work && cd work && date +%s.%N > a && git add a && git commit -qm a && git push -q"
	s.must("owner", "", push)
	for _, server := range []string{"viz-1", "open"} {
		if out, err := s.in("owner", server, "rm -rf work-"+server+"; "+strings.ReplaceAll(push, "work", "work-"+server)); err == nil || !strings.Contains(out, "403") {
			t.Errorf("%s pushed, or failed otherwise: %v\n%s", server, err, out)
		}
		s.must("owner", server, "test -f work-"+server+"/README.md")
	}
}

// TestStoppedServer: what a server was given ends with it, at the host too,
// within two seconds; its neighbour goes on.
func TestStoppedServer(t *testing.T) {
	s := newSite(t, siteConfig{})
	s.hub.CreateUser(t, "jo")
	for _, server := range []string{"", "gpu"} {
		s.hub.StartServer(t, "jo", server)
	}
	p := s.browser()
	p.logIn("jo")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")
	for _, server := range []string{"", "gpu"} {
		s.must("jo", server, "git ls-remote -q $URL/river-lab/data.git")
	}
	before := len(s.world.Local.LiveTokens())
	s.hub.StopServer(t, "jo", "gpu")
	for end := time.Now().Add(2 * time.Second); len(s.world.Local.LiveTokens()) != before-1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("2 s after the stop %d tokens are alive, and %d were before", len(s.world.Local.LiveTokens()), before)
		}
	}
	s.must("jo", "", "git ls-remote -q $URL/river-lab/data.git")
	req, _ := http.NewRequest("GET", s.url+"api/v1/me", nil)
	req.Header.Set("Authorization", "Bearer not-a-token-of-anybody")
	if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger: %v %v", res, err)
	}
}
