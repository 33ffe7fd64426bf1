package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/hubtest"
)

// canaries are secrets by name, each as it could be written somewhere.
type canaries map[string][]string

func (c canaries) add(name, secret string) {
	if secret = strings.TrimSpace(secret); len(secret) < 16 {
		panic("a canary has to be long: " + name)
	}
	c[name] = append(c[name], secret, hex.EncodeToString([]byte(secret)), url.QueryEscape(secret),
		strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="), strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(secret)), "="))
}

// longText are the parts of a file of keys that are the keys.
var longText = regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}`)

// find names what stands in a text.
func (c canaries) find(text []byte) (out []string) {
	for name, forms := range c {
		for _, f := range forms {
			if bytes.Contains(text, []byte(f)) {
				out = append(out, name)
				break
			}
		}
	}
	if m := aToken.Find(text); m != nil {
		out = append(out, "a token of GitHub's, "+string(m[:4])+"…")
	}
	for _, start := range []string{"ghu_", "ghr_", "ghs_"} {
		if bytes.Contains(text, []byte(base64.RawStdEncoding.EncodeToString([]byte(start + "A"))[:5])) && bytes.Contains(text, []byte("Bearer")) {
			out = append(out, "something that looks like a token in base64")
		}
	}
	return out
}

// canaries are what this site keeps secret.
func (s *site) canaries() canaries {
	s.t.Helper()
	c := canaries{}
	for _, name := range []string{"push-secret", "hub-token", "hook-token", "metrics"} {
		c.add(name, s.read("etc/"+name))
	}
	for name, file := range map[string]string{"the App's key": "etc/content-key", "the keys": "etc/keys.json"} {
		parts := longText.FindAllString(s.read(file), -1)
		if len(parts) < 2 {
			s.t.Fatalf("%s holds no keys that this test can tell", file)
		}
		for _, p := range parts {
			if !strings.Contains(p, "google") {
				c.add(name, p)
			}
		}
	}
	for _, file := range []string{"push-secret", "hub-token", "hook-token", "metrics", "content-key", "keys.json"} {
		if len(c.find([]byte(s.read("etc/"+file)))) == 0 {
			s.t.Errorf("the search finds nothing in %s, where there is something", file)
		}
	}
	return c
}

func (s *site) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// A watch looks at what every process shows of itself, for as long as it runs.
type watch struct {
	stop  chan struct{}
	done  sync.WaitGroup
	mu    sync.Mutex
	found map[string]bool
	seen  map[string]bool
}

// watch begins to look at command lines and environments. may says which finds
// are as they should be.
func (c canaries) watch(may func(process, file, what string) bool) *watch {
	w := &watch{stop: make(chan struct{}), found: map[string]bool{}, seen: map[string]bool{}}
	self := fmt.Sprint(os.Getpid())
	w.done.Go(func() {
		for {
			select {
			case <-w.stop:
				return
			case <-time.After(4 * time.Millisecond):
			}
			list, _ := filepath.Glob("/proc/[0-9]*")
			for _, dir := range list {
				if pid := filepath.Base(dir); pid != self && !others(pid, self) {
					w.look(c, dir, may)
				}
			}
		}
	})
	return w
}

// others reports whether a process was started by the test of another package, which
// may run at the same time and has secrets of its own, some in addresses on purpose.
func others(pid, self string) bool {
	for range 64 {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		_, rest, ok := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if err != nil || !ok || len(fields) < 2 || pid == self || pid == "1" {
			return false
		}
		if exe, _ := os.Readlink("/proc/" + pid + "/exe"); strings.HasSuffix(exe, ".test") {
			return true
		}
		pid = fields[1]
	}
	return false
}

func (w *watch) look(c canaries, dir string, may func(process, file, what string) bool) {
	line, err := os.ReadFile(dir + "/cmdline")
	if err != nil || len(line) == 0 {
		return
	}
	key := dir + string(line)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[key] {
		return
	}
	w.seen[key] = true
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			continue // it has ended
		}
		for _, what := range c.find(text) {
			if !may(string(line), file, what) {
				w.found[fmt.Sprintf("%s in the %s of %.200q", what, file, line)] = true
			}
		}
	}
}

func (w *watch) end(t *testing.T) {
	t.Helper()
	close(w.stop)
	w.done.Wait()
	for f := range w.found {
		t.Error(f)
	}
	git := 0
	for line := range w.seen {
		if strings.Contains(line, "git") {
			git++
		}
	}
	t.Logf("%d processes were looked at, %d of git", len(w.seen), git)
	if git == 0 {
		t.Error("no git was caught in the act")
	}
}

// clean looks through every file below a folder, but for what may be there.
func (c canaries) clean(t testing.TB, root string, may func(path, what string) bool) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		for _, what := range c.find(text) {
			if !may(path, what) {
				t.Errorf("%s in %s", what, path)
			}
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Errorf("%s: %d files, %v", root, n, err)
	}
}

func never(string, string) bool { return false }

const canaryRules = `rules:
  - name: own-connections
    what: ["*/*/*"]
    access: write
    max: 1h
  - name: course-material
    who: {groups: [class]}
    what: ["HOST/uni-course/homework"]
    access: read
    as: hub
    max: 30m
`

// TestCanaries: people connect, clone, push, fail, are looked at and cut off, with
// the service telling all that it ever tells; and none of the secrets is found
// where it does not belong.
func TestCanaries(t *testing.T) {
	s := newSite(t, siteConfig{YAML: canaryRules})
	s.rewrite("log: debug", "log: debug\nmetrics_token: file:"+s.file("etc/metrics", "canary-of-the-metrics-0123456789"))
	c := s.canaries()
	for _, u := range []string{"researcher", "student"} {
		s.hub.CreateUser(t, u)
		s.hub.StartServer(t, u, "")
		c.add("the server token of "+u, s.hub.ServerToken(u, ""))
	}
	s.hub.AddToGroup(t, "class", "student")
	// A server's own processes have its token in their environment, from the hub.
	w := maps.Clone(c).watch(func(_, file, what string) bool {
		return file == "environ" && strings.HasPrefix(what, "the server token of")
	})
	p := s.browser()
	p.logIn("researcher")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")
	said := s.canaryWork()
	said += s.canaryAdmin(c)
	said += s.canaryPages(c)
	for _, what := range c.find([]byte(said)) {
		t.Errorf("%s was said", what)
	}
	w.end(t)
	s.canaryFiles(c)
	s.mustAdmin("user", "revoke", "researcher")
	s.end(s.serve)
	s.canaryFiles(c)
	for name, text := range map[string]string{"the service's": s.serve.text(), "the hub's": s.hub.Log(1 << 30)} {
		for _, what := range c.find([]byte(text)) {
			t.Errorf("%s in %s log", what, name)
		}
	}
	if !strings.Contains(s.serve.text(), "level=DEBUG") {
		t.Error("the service did not log all that it can")
	}
	if m := regexp.MustCompile(`[?&](code|state)=[A-Za-z0-9_-]{8}`).FindString(s.serve.text()); m != "" {
		t.Errorf("the service's log holds %s…", m)
	}
}

// canaryWork is what people do, well and badly.
func (s *site) canaryWork() string {
	s.t.Helper()
	said := s.must("researcher", "", `export GIT_TRACE=1 GIT_CURL_VERBOSE=0
git clone $URL/river-lab/data.git work 2>&1
cd work
git config user.name >/dev/null || git config user.name R
git config user.email >/dev/null || git config user.email r@example.org
echo hello > hello.txt
git add hello.txt
git commit -qm hello
git push 2>&1
git remote -v
git config --list --show-origin --show-scope
daypass status 2>&1 || true
daypass doctor 2>&1 || true
daypass env 2>&1 || true`)
	said += s.must("student", "", "git clone -q $URL/uni-course/homework.git 2>&1")
	for _, script := range []string{
		"git clone $URL/uni-course/solutions.git", "git clone $URL/octo-researcher/nothing.git", "git clone $URL/river-lab/handbook.git h; cd h; echo x > x; git add x; git -c user.name=R -c user.email=r@e commit -qm x; git push",
	} {
		out, err := s.in("researcher", "", script)
		if err == nil {
			s.t.Errorf("%s: it went well", script)
		}
		said += out
	}
	// A refresh, by tokens that are revoked alone. The first request is given what
	// was made before, and learns that it is dead.
	s.world.Local.ExpireTokens()
	out, _ := s.in("researcher", "", "DAYPASS_RUNTIME_DIR=$(mktemp -d) git clone $URL/river-lab/data.git dead 2>&1")
	said += out + s.must("researcher", "", "rm -rf again; DAYPASS_RUNTIME_DIR=$(mktemp -d) git clone $URL/river-lab/data.git again 2>&1")
	// GitHub fails in the middle.
	stop := s.world.Local.Fault(nil, fake.Fault{Kind: fake.FaultStatus, Status: 500, Body: "echo"})
	out, _ = s.in("researcher", "", "rm -rf third; DAYPASS_RUNTIME_DIR=$(mktemp -d) git clone $URL/octo-researcher/notes.git third")
	stop()
	return said + out
}

// canaryAdmin is what the admin looks at; the backup too.
func (s *site) canaryAdmin(c canaries) string {
	s.t.Helper()
	backup := filepath.Join(s.dir, "backup")
	said := ""
	for _, args := range [][]string{
		{"check"}, {"app", "check"}, {"user", "show", "researcher"}, {"events"}, {"events", "--json"}, {"events", "verify"}, {"keys", "show"}, {"policy", "check"},
		{"backup", backup}, {"user", "show", "nobody"}, {"why", "AAAA-1"}, {"keys", "init", filepath.Join(s.dir, "etc", "keys.json")},
	} {
		out, _ := s.admin(args...)
		said += out
	}
	text, err := os.ReadFile(backup)
	if err != nil || len(text) == 0 {
		s.t.Errorf("no backup: %v", err)
	}
	for _, what := range c.find(text) {
		s.t.Errorf("%s in the backup", what)
	}
	return said
}

// canaryPages opens every page as the person and as an admin, and returns them.
func (s *site) canaryPages(c canaries) string {
	s.t.Helper()
	said := ""
	s.hub.CreateUser(s.t, "admin")
	for _, user := range []string{"researcher", "admin"} {
		b := hubtest.NewBrowser(s.t, s.hub.Public)
		b.Login(user)
		for _, d := range doors(s.t) {
			if d.method != http.MethodGet || d.kind == "stream" || d.kind == "entry" {
				continue
			}
			for _, f := range []string{url.PathEscape(s.host()), "1"} {
				status, page := b.Get(s.url + wildcard.ReplaceAllLiteralString(d.path, f))
				if status == http.StatusOK && d.path == "people" && !strings.Contains(page, "researcher") {
					s.t.Error("this is not the page of people")
				}
				said += strings.ReplaceAll(page, "EXAMPLE", "")
			}
		}
		u, err := url.Parse(s.url)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, cookie := range b.Client.Jar.Cookies(u) {
			if cookie.Name == "daypass" {
				c.add("the session of "+user, cookie.Value)
			}
		}
	}
	if c["the session of admin"] == nil || c["the session of researcher"] == nil {
		s.t.Error("there are no sessions to look for")
	}
	a := s.api("canary-of-the-metrics-0123456789", http.MethodGet, "metrics", nil)
	if a.status != http.StatusOK || !strings.Contains(string(a.body), "daypass_") {
		s.t.Errorf("the metrics: %d", a.status)
	}
	return said + string(a.body)
}

// canaryFiles looks through what is on the disk.
func (s *site) canaryFiles(c canaries) {
	s.t.Helper()
	c.clean(s.t, filepath.Join(s.dir, "store"), never)
	c.clean(s.t, filepath.Join(s.dir, "image"), never)
	c.clean(s.t, filepath.Join(s.dir, "etc"), func(_, what string) bool {
		return !strings.Contains(what, "GitHub") && !strings.Contains(what, "server token")
	})
	c.clean(s.t, s.hub.Dir, func(path, what string) bool {
		switch name := filepath.Base(path); {
		case name == "service":
			return what == "hub-token"
		case name == "hook":
			return what == "hook-token"
		case filepath.Base(filepath.Dir(path)) == "servers": // what the stand-in writes down of its environment
			return strings.HasPrefix(what, "the server token of")
		}
		return false
	})
	// A server's own wallet is the one place for what it was given.
	for _, user := range []string{"researcher", "student"} {
		text := ""
		filepath.WalkDir(filepath.Join(s.dir, "run-"+user+"-"), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				b, _ := os.ReadFile(path)
				text += string(b)
				if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
					s.t.Errorf("%s can be read by others", path)
				}
			}
			return nil
		})
		for _, what := range c.find([]byte(strings.NewReplacer("ghu_", "", "ghs_", "").Replace(text))) {
			s.t.Errorf("%s in a server's wallet", what)
		}
	}
}
