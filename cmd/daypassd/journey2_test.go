package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

	out = s.must("researcher", "", `git clone $URL/river-lab/data.git work
cd work
echo hello > hello.txt
git add hello.txt
git commit -qm hello
git push
git log -1 --format='by %an <%ae>'`)
	if !strings.Contains(out, "by "+researcherCommits) {
		t.Errorf("the commit is not the connection's: %s", out)
	}
	// And in a server that was not there yet.
	s.hub.StartServer(t, "researcher", "gpu")
	if out := s.must("researcher", "gpu", "git clone $URL/river-lab/data.git again && cat again/hello.txt"); !strings.Contains(out, "hello") {
		t.Errorf("the second server sees: %s", out)
	}
	s.hub.StartServer(t, "researcher", "fresh")
	if out := s.unprivileged("researcher", "fresh", firstCommit); !strings.Contains(out, "by "+researcherCommits) {
		t.Errorf("a commit before any clone is by: %s", out)
	}
	s.noToken("researcher")
	s.seesAndDisconnects(p)
}

// researcherCommits is the author of what fake.CampusUser commits.
const researcherCommits = "Octo Researcher <1001+octo-researcher@users.noreply."

// firstCommit is a login shell's first commit, in a repository of its own. The
// image's start script works beside the shell, for three seconds at most.
const firstCommit = `for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
git config user.name >/dev/null && git config user.email >/dev/null && break
sleep 0.1
done
git init -q first
cd first
echo a > a
git add a
git commit -qm first
git log -1 --format='by %an <%ae>'`

// unprivileged runs a script in a login shell of a server whose user is not root,
// with a home where nothing is yet.
func (s *site) unprivileged(user, server, script string) string {
	s.t.Helper()
	for _, dir := range []string{s.dir, filepath.Dir(s.dir), s.bin} {
		if err := os.Chmod(dir, 0o711); err != nil {
			s.t.Fatal(err)
		}
	}
	home := filepath.Join(s.dir, "home-"+user+"-"+server)
	for _, dir := range []string{home, filepath.Join(home, ".run")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			s.t.Fatal(err)
		}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			s.t.Fatal(err)
		}
	}
	file := filepath.Join(s.dir, "script-"+user+"-"+server)
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return s.must(user, server, fmt.Sprintf(`cd %[1]s
exec env HOME=%[1]s DAYPASS_RUNTIME_DIR=%[1]s/.run setpriv --reuid %[2]d --regid %[2]d --clear-groups /bin/sh -lec '. %[3]s'`, home, nobody, file))
}

// nobody is the number of a user and a group with no rights.
const nobody = 65534

// seesAndDisconnects is what a person does at the page of their access: they look
// what was used from where, and end it. Then every server says what to do.
func (s *site) seesAndDisconnects(p *person) {
	s.t.Helper()
	p.do("open the page", chromedp.Navigate(s.url))
	p.sees("Connected")
	rows := p.rows("Repositories used, by server")
	for _, server := range []string{"default", "gpu"} {
		if !slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, server+"\t") && strings.Contains(r, "river-lab/data") }) {
			s.t.Errorf("the table has no line of river-lab/data in %s: %q", server, rows)
		}
	}
	p.press("Disconnect")
	p.sees("is disconnected")
	s.wait("every token is dead at the host", func() bool { return !s.alive(fake.CampusUser) })
	for _, server := range []string{"", "gpu"} {
		s.wait("a clone says where to connect", func() bool {
			out, err := s.in("researcher", server, "rm -rf third; git clone $URL/river-lab/data.git third")
			return err != nil && strings.Contains(out, s.url+"connect/"+s.host())
		})
	}
}

// rows are the lines of a table, by its caption; cells are tabs apart.
func (p *person) rows(caption string) []string {
	p.s.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](fmt.Sprintf(
		`[...document.querySelectorAll("table")].filter(t => t.caption.innerText === %q).flatMap(t => [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText).join("\t")))`, caption)))
	if err != nil {
		p.s.t.Fatalf("%s: %v\n%s", caption, err, p.text())
	}
	return out
}

// consent presses what a person presses to connect, here and at GitHub.
func (p *person) consent(login string) {
	p.s.t.Helper()
	p.press("Go to")
	p.sees("Authorize")
	if !strings.Contains(p.field("#login"), login) {
		p.do("be "+login, chromedp.SetValue("#login", login))
	}
	p.press("Authorize")
}

// noToken looks through everything that could last for a token of any kind.
func (s *site) noToken(user string) {
	s.t.Helper()
	servers := s.hub.Servers(s.t, user)
	if len(servers) == 0 {
		s.t.Error("no server is looked at")
	}
	for _, server := range servers {
		for _, kv := range s.hub.ServerEnv(user, server) {
			if anyToken.MatchString(kv) {
				s.t.Errorf("the environment of the server %q holds a token: %s", server, strings.SplitN(kv, "=", 2)[0])
			}
		}
	}
	for what, log := range map[string]string{"service": s.serve.text(), "hub": s.hub.Log(1 << 24)} {
		if anyToken.MatchString(log) {
			s.t.Errorf("the %s's log holds a token", what)
		}
	}
	homes, err := filepath.Glob(filepath.Join(s.dir, "home-*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, root := range append(homes, s.hub.Dir, filepath.Join(s.dir, "store")) {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if anyToken.Match(text) {
				s.t.Errorf("%s holds a token", path)
			}
			return err
		})
		if err != nil {
			s.t.Error(err)
		}
	}
}
