package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
)

// admin runs a command as the hub's admin and returns what it said.
func (s *site) admin(args ...string) (string, error) {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "daypass"), append(append([]string{"admin"}, args...), "--config", s.config)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}, s.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *site) mustAdmin(args ...string) string {
	s.t.Helper()
	out, err := s.admin(args...)
	if err != nil {
		s.t.Fatalf("admin %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TestJourney6 is the admin's: one YAML file and a few lines of
// jupyterhub_config.py, who got what, why was this refused, and one person cut
// off everywhere with one command.
func TestJourney6(t *testing.T) {
	s := newSite(t, siteConfig{YAML: `rules:
  - name: own-connections
    what: ["*/*/*"]
    access: write
    max: 1h
  - name: notes-stay-home
    forbid: true
    what: ["*/octo-researcher/*"]
  - name: course-material
    who: {groups: [class]}
    what: ["HOST/uni-course/homework"]
    access: read
    as: hub
    max: 30m
`})
	if out := s.mustAdmin("check"); !strings.Contains(out, "hub") {
		t.Errorf("check says: %s", out)
	}
	for _, u := range []string{"researcher", "student"} {
		s.hub.CreateUser(t, u)
		s.hub.StartServer(t, u, "")
	}
	s.hub.AddToGroup(t, "class", "student")
	p := s.browser()
	p.logIn("researcher")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")
	s.must("researcher", "", "git clone -q $URL/river-lab/data.git work")
	s.must("student", "", "git clone -q $URL/uni-course/homework.git")

	// Who got what.
	list := s.mustAdmin("events", "--kind", "credential")
	for _, want := range []string{"researcher", "river-lab/data", "student", "uni-course/homework"} {
		if !strings.Contains(list, want) {
			t.Errorf("the events do not name %s:\n%s", want, list)
		}
	}
	// Why was this refused?
	out, err := s.in("researcher", "", "git clone $URL/octo-researcher/notes.git")
	event := regexp.MustCompile(`[A-Z0-9]{4,}-[0-9]+`).FindString(out)
	if err == nil || event == "" || !strings.Contains(out, "[DP-810]") {
		t.Fatalf("a forbidden repository: %v\n%s", err, out)
	}
	if why := s.mustAdmin("why", event); !strings.Contains(why, "notes-stay-home") || !strings.Contains(why, "researcher") {
		t.Errorf("why says: %s", why)
	}
	if why := s.mustAdmin("policy", "explain", "--user", "researcher", s.host()+"/octo-researcher/notes"); !strings.Contains(why, "notes-stay-home") {
		t.Errorf("explain says: %s", why)
	}
	s.answersInTheBrowser("notes-stay-home")
	s.cutOff(p)
	s.cutsOffInTheBrowser(p)
	if out := s.mustAdmin("events", "verify"); !strings.Contains(strings.ToLower(out), "nothing") && !strings.Contains(out, "clean") && !strings.Contains(out, "whole") {
		t.Errorf("verify says: %s", out)
	}
}

// answersInTheBrowser is the admin who is asked "why was I refused?", at the pages.
func (s *site) answersInTheBrowser(rule string) {
	s.t.Helper()
	a := s.browser()
	a.logIn("admin")
	a.do("open Health", chromedp.Navigate(s.url+"health"))
	a.sees("All is well")
	if text := a.text(); strings.Contains(text, "Amiss") || !strings.Contains(text, "hub") {
		s.t.Errorf("Health shows: %s", text)
	}
	a.do("open People", chromedp.Navigate(s.url+"people"))
	a.sees("researcher")
	if rows := a.rows("People who have used the access service"); !slices.ContainsFunc(rows, func(r string) bool {
		return strings.HasPrefix(r, "researcher\t") && strings.Contains(r, fake.CampusUser)
	}) {
		s.t.Errorf("People shows: %q", rows)
	}
	a.press("researcher")
	a.sees("To answer them")
	if reply := a.field("#reply"); !strings.Contains(reply, rule) || !strings.Contains(reply, "octo-researcher/notes") {
		s.t.Errorf("the sentence to paste is: %s", reply)
	}
	// Nobody else is shown that.
	b := s.browser()
	b.logIn("student")
	for _, path := range []string{"people", "people/1", "health"} {
		b.do("open "+path, chromedp.Navigate(s.url+path))
		b.sees("DP-883")
		if text := b.text(); strings.Contains(text, "researcher") {
			s.t.Errorf("a student sees at /%s: %s", path, text)
		}
	}
}

// cutsOffInTheBrowser connects somebody again, and ends them by the admin's page.
func (s *site) cutsOffInTheBrowser(p *person) {
	s.t.Helper()
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")
	s.must("researcher", "", "rm -rf x; git clone -q $URL/river-lab/data.git x")
	a := s.browser()
	a.logIn("admin")
	a.do("open People", chromedp.Navigate(s.url+"people?q=researcher"))
	a.press("researcher")
	a.sees("End everything")
	start := time.Now()
	a.press("Cut off")
	a.sees("cut off")
	for s.alive(fake.CampusUser) {
		if time.Sleep(10 * time.Millisecond); time.Since(start) > 2*time.Second {
			s.t.Fatal("2 s after the click a token of the person's is alive")
		}
	}
	if out, err := s.in("researcher", "", "rm -rf x; DAYPASS_RUNTIME_DIR=$(mktemp -d) git clone -q $URL/river-lab/data.git x"); err == nil || !strings.Contains(out, "[DP-811]") {
		s.t.Errorf("a clone of somebody who is cut off: %v\n%s", err, out)
	}
	s.must("student", "", "rm -rf again; git clone -q $URL/uni-course/homework.git again")
}

// alive reports whether the host takes any token of an account.
func (s *site) alive(login string) bool {
	return slices.ContainsFunc(s.world.Local.LiveTokens(), func(t fake.TokenInfo) bool { return t.User == login })
}

// cutOff ends one person, everywhere and within two seconds; the other goes on.
func (s *site) cutOff(p *person) {
	s.t.Helper()
	before := len(s.world.Local.LiveTokens())
	start := time.Now()
	done := s.mustAdmin("user", "revoke", "researcher")
	if !strings.Contains(done, "researcher") || strings.Contains(done, "ghu_") {
		s.t.Errorf("revoke says: %s", done)
	}
	for _, tok := range s.world.Local.LiveTokens() {
		if tok.User == fake.CampusUser {
			s.t.Errorf("of %d tokens one of the person's is alive %v after the command", before, time.Since(start))
		}
	}
	s.wait("the running service refuses", func() bool {
		out, err := s.in("researcher", "", "rm -rf x; DAYPASS_RUNTIME_DIR=$(mktemp -d) git clone -q $URL/river-lab/data.git x")
		return err != nil && strings.Contains(out, "[DP-811]")
	})
	if took := time.Since(start); took > 5*time.Second {
		s.t.Errorf("it took %v", took)
	}
	p.do("open the page", chromedp.Navigate(s.url))
	p.sees("ended by an admin")
	s.must("student", "", "rm -rf again; git clone -q $URL/uni-course/homework.git again")
	s.mustAdmin("user", "allow", "researcher")
	s.wait("they may connect again", func() bool {
		out, _ := s.in("researcher", "", "rm -rf x; git clone -q $URL/river-lab/data.git x")
		return strings.Contains(out, "/connect/")
	})
}
