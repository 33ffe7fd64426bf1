package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
)

// TestJourney2 is the hub push: somebody connects GitHub once, in a browser, and
// from then on git works in every server of theirs.
func TestJourney2(t *testing.T) {
	s := newSite(t, siteConfig{})
	s.hub.CreateUser(t, "researcher")
	s.hub.StartServer(t, "researcher", "")

	// Before: one line with the link, at once, and git gives up.
	out, err := s.in("researcher", "", "git clone $URL/river-lab/data.git early")
	if err == nil || !strings.Contains(out, s.url+"connect/"+s.host()) {
		t.Fatalf("a clone before the consent: %v\n%s", err, out)
	}

	p := s.browser()
	p.logIn("researcher")
	p.do("follow the link", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")

	s.must("researcher", "", `git clone $URL/river-lab/data.git work
cd work
git config user.name >/dev/null || git config user.name R
git config user.email >/dev/null || git config user.email r@example.org
echo hello > hello.txt
git add hello.txt
git commit -qm hello
git push`)
	// And in a server that was not there yet.
	s.hub.StartServer(t, "researcher", "gpu")
	if out := s.must("researcher", "gpu", "git clone $URL/river-lab/data.git again && cat again/hello.txt"); !strings.Contains(out, "hello") {
		t.Errorf("the second server sees: %s", out)
	}
	s.noToken("researcher")
}

// consent presses what a person presses to connect, here and at GitHub.
func (p *person) consent(login string) {
	p.s.t.Helper()
	p.press("Go to")
	p.sees("Authorize")
	if !strings.Contains(p.field("#login"), login) {
		p.do("be "+login, chromedp.SetValue("#login", login), chromedp.Click("#login ~ button"))
	}
	p.press("Authorize")
}

// noToken looks through everything that could last for a token.
func (s *site) noToken(user string) {
	s.t.Helper()
	for _, server := range []string{""} {
		for _, kv := range s.hub.ServerEnv(user, server) {
			if strings.Contains(kv, "ghu_") || strings.Contains(kv, "ghr_") {
				s.t.Errorf("a server's environment holds a token: %s", strings.SplitN(kv, "=", 2)[0])
			}
		}
	}
	if strings.Contains(s.serve.text(), "ghu_") || strings.Contains(s.serve.text(), "ghr_") {
		s.t.Error("the service's log holds a token")
	}
	for _, root := range []string{filepath.Join(s.hub.Dir, "home"), filepath.Join(s.dir, "store")} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if strings.Contains(string(text), "ghu_") || strings.Contains(string(text), "ghr_") {
				s.t.Errorf("%s holds a token", path)
			}
			return err
		})
		if err != nil {
			s.t.Error(err)
		}
	}
}
