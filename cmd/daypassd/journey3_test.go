package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/browsertest"
	"github.com/daypass-dev/daypass/internal/hubtest"
	"github.com/daypass-dev/daypass/internal/jupytertest"
)

// TestJourney3 is the class, from a private repository, under a hub: a student
// clicks an old nbgitpuller link in a real Jupyter server of theirs, is told to
// connect, connects, clicks again, works, and clicks again.
func TestJourney3(t *testing.T) {
	s, wrap := newClass(t)
	s.hub.CreateUser(t, "researcher")
	p := s.browser()
	p.logIn("researcher")
	link := s.hub.Public + "hub/user-redirect/git-pull?" + url.Values{"repo": {s.world.URL + "/river-lab/data"}, "branch": {"main"}, "urlpath": {"lab/tree/data/README.md"}}.Encode()
	s.intoImage(wrap)
	s.hub.StartServer(t, "researcher", "")

	p.do("click", browsertest.Follow(link))
	p.press("Continue")
	p.sees(s.url + "connect/" + s.host())
	p.do("follow the link", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")

	p.do("click again", browsertest.Follow(link))
	p.press("Continue")
	p.lands("/user/researcher/lab/tree/data/README.md")
	home := filepath.Join(s.hub.Dir, "home", "researcher")
	gauges := filepath.Join(home, "data", "gauges.csv")
	if err := os.WriteFile(gauges, []byte("day,level\n1,2.30\n2,9.99\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.publish("README.md", "# data\n\nWeek 4.\n")
	p.do("click next week", browsertest.Follow(link))
	p.lands("/user/researcher/lab/tree/data/README.md")
	for path, want := range map[string]string{gauges: "9.99", filepath.Join(home, "data", "README.md"): "Week 4."} {
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", path, err, text)
		}
	}
	s.noTokenBelow(home)
}

// newClass is a site whose servers are real Jupyter servers. Their command is
// that of the file it returns.
func newClass(t *testing.T) (*site, string) {
	t.Helper()
	return newClassWith(t, "")
}

// newClassWith is newClass with more of the service's configuration.
func newClassWith(t *testing.T, yaml string) (*site, string) {
	t.Helper()
	prefix := jupytertest.Prefix(t, "")
	dir, python := t.TempDir(), jupytertest.Install(t, "")
	wrap := filepath.Join(dir, "wrap")
	s := newSite(t, siteConfig{YAML: yaml, Hub: func(c *hubtest.Config, _ *fake.World) {
		c.Extra = jupytertest.HubLines(prefix, builtPrograms(t), []string{python}, "/bin/sh", wrap) +
			fmt.Sprintf("\nc.Spawner.environment.update({%q: %q})", "DAYPASS_RUNTIME_DIR", dir)
	}})
	return s, wrap
}

// intoImage writes the command that runs a server in the image.
func (s *site) intoImage(wrap string) {
	s.t.Helper()
	text := fmt.Sprintf(`exec unshare --mount /bin/sh -ec 'mount -t overlay overlay -o "lowerdir=%s/image:/etc" /etc; exec "$@"' sh "$@"`, s.dir)
	if err := os.WriteFile(wrap, []byte(text+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// publish is what an instructor pushes to river-lab/data.
func (s *site) publish(name, text string) {
	s.t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(s.dir, "world"), func(path string, d os.DirEntry, err error) error {
		if d != nil && d.Name() == fmt.Sprint(fake.CampusDataRepo, ".git") {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) != 1 {
		s.t.Fatalf("the stand-in's repository is not found: %q, %v", found, err)
	}
	desk := filepath.Join(s.t.TempDir(), "desk")
	script := `git clone -q "$1" "$2" && cd "$2" && printf '%s' "$4" > "$3" && git add -A && git -c user.name=Ada -c user.email=ada@example.org commit -qm more && git push -q origin HEAD`
	cmd := exec.Command("/bin/sh", "-ec", script, "sh", found[0], desk, name, text)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("publish: %v\n%s", err, out)
	}
}

// lands waits until the browser is at a path of the hub.
func (p *person) lands(path string) {
	p.s.t.Helper()
	p.s.wait("the browser is at "+path+"; it shows: "+p.text(), func() bool {
		return strings.HasPrefix(p.text(), strings.TrimSuffix(p.s.hub.Public, "/")+path)
	})
}

// noTokenBelow looks for tokens of any kind in a folder.
func (s *site) noTokenBelow(root string) {
	s.t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		n++
		text, err := os.ReadFile(path)
		if anyToken.Match(text) {
			s.t.Errorf("%s holds a token", path)
		}
		return err
	})
	if err != nil || n == 0 {
		s.t.Errorf("%d files were looked at: %v", n, err)
	}
}
