package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/server"
)

// TestPageIsLive: what happens in a server, or by a command beside the service,
// is on the open page without anybody reloading it.
func TestPageIsLive(t *testing.T) {
	token := filepath.Join(t.TempDir(), "metrics-token")
	if err := os.WriteFile(token, []byte("metrics-token-of-the-test"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, siteConfig{YAML: "metrics_token: file:" + token + "\nlimits: {addresses_per_token: 1}\nproxies: [127.0.0.1]\n"})
	s.hub.CreateUser(t, "jo")
	s.hub.StartServer(t, "jo", "gpu")
	p := s.browser()
	p.logIn("jo")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")
	p.do("open the page", chromedp.Navigate(s.url), chromedp.WaitVisible(chromedp.CSS("#live-inner")))
	p.sees("Nothing was used")
	mark := func() bool {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](`window.opened = window.opened || false`))
		return err == nil && ok
	}
	p.do("mark the page", chromedp.Evaluate[chromedp.Void](`window.opened = true`))

	s.must("jo", "gpu", "git clone -q $URL/river-lab/data.git work")
	p.sees("river-lab/data")
	p.sees("New server: gpu")
	if out, err := s.in("jo", "gpu", "git clone -q $URL/nobody/nothing.git"); err == nil {
		t.Fatalf("a repository that is not there was cloned: %s", out)
	}
	p.sees("nobody/nothing")
	if !mark() {
		t.Error("the page was loaded anew for that")
	}

	// The server's token from two addresses, of which one may be.
	for _, from := range []string{"10.0.0.1", "10.0.0.2"} {
		req, _ := http.NewRequest("GET", s.url+"api/v1/me", nil)
		req.Header.Set("Authorization", "Bearer "+s.hub.ServerToken("jo", "gpu"))
		req.Header.Set("X-Forwarded-For", from)
		res, err := http.DefaultClient.Do(req)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("me: %v %v", res, err)
		}
		res.Body.Close()
	}
	if out := s.mustAdmin("events", "--user", "jo"); !strings.Contains(out, "sign-in") {
		t.Errorf("the activity does not tell of the token from two addresses:\n%s", out)
	}

	s.mustAdmin("user", "revoke", "jo")
	p.sees("ended by an admin")

	req, _ := http.NewRequest("GET", s.url+"metrics", nil)
	req.Header.Set("Authorization", "Bearer metrics-token-of-the-test")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`daypass_upstream_seconds_count{host="hub",outcome="ok"}`, `daypass_up{host="hub"} 1`, "daypass_tokens_from_many_addresses_total 1"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// answers is a hub whose answers are laid out.
type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestHubIsTimed: each answer of the hub, and each that does not come, counts.
func TestHubIsTimed(t *testing.T) {
	m := server.NewMetrics(nil)
	body := func() string {
		rec := httptest.NewRecorder()
		m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		return rec.Body.String()
	}
	for _, c := range []struct {
		status  int
		err     error
		outcome string
		up      string
	}{
		{200, nil, "ok", "1"}, {403, nil, "refused", "1"}, {503, nil, "failed", "0"}, {404, nil, "ok", "1"}, {429, nil, "limited", "1"},
		{0, errors.New("no route"), "failed", "0"}, {500, nil, "failed", "1"},
	} {
		rt := timed{answers(func(*http.Request) (*http.Response, error) {
			if c.err != nil {
				return nil, c.err
			}
			return &http.Response{StatusCode: c.status, Body: http.NoBody}, nil
		}), m}
		if _, err := rt.RoundTrip(httptest.NewRequest("GET", "http://hub/", nil)); !errors.Is(err, c.err) {
			t.Error(err)
		}
		if text := body(); !strings.Contains(text, `daypass_upstream_seconds_count{host="hub",outcome="`+c.outcome+`"}`) || !strings.Contains(text, `daypass_up{host="hub"} `+c.up) {
			t.Errorf("%d %v: not %s, up %s", c.status, c.err, c.outcome, c.up)
		}
	}
}

// TestTellCostsNothing: a credential that nobody watches takes no lock.
func TestTellCostsNothing(t *testing.T) {
	c := newChanges(nil, time.Now)
	jo, al := daypass.User{Name: "jo"}, daypass.User{Name: "al"}
	c.mu.Lock() // whoever takes it now waits for ever
	done := make(chan bool)
	go func() { c.tell(jo); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("it waits for a lock")
	}
	c.mu.Unlock()
	if n := testing.AllocsPerRun(100, func() { c.tell(jo) }); n != 0 {
		t.Errorf("it takes %v allocations", n)
	}
	one, stopOne := c.watch(daypass.Caller{User: jo})
	two, stopTwo := c.watch(daypass.Caller{User: jo})
	other, stopOther := c.watch(daypass.Caller{User: al})
	for range 5 {
		c.tell(jo)
	}
	if len(one) != 1 || len(two) != 1 || len(other) != 0 {
		t.Errorf("told: %d %d %d", len(one), len(two), len(other))
	}
	stopOne()
	<-two
	c.tell(jo)
	if len(two) != 1 {
		t.Error("the second page was forgotten with the first")
	}
	stopTwo()
	stopOther()
	if len(c.people) != 0 || c.watching.Load() != 0 {
		t.Errorf("left: %v", c.people)
	}
}
