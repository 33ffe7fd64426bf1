package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/hubtest"
	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/internal/shipping"
	"github.com/daypass-dev/daypass/store"
)

// A site is a hub, an access service and a GitHub, as an admin would have put
// them together: the real JupyterHub, the programs as shipped, the stand-in.
type site struct {
	t      testing.TB
	bin    string
	dir    string
	world  *fake.World
	hub    *hubtest.Hub
	url    string // of the access service
	listen string
	config string
	env    []string
	serve  *running
}

// A siteConfig says what is other than usual.
type siteConfig struct {
	Shared bool   // the service is reached through the hub's own origin
	YAML   string // more of the service's configuration
	Hub    func(*hubtest.Config, *fake.World)
	Seed   *fake.Seed
	Store  string
}

func newSite(t testing.TB, c siteConfig) *site {
	t.Helper()
	s := &site{t: t, bin: builtPrograms(t), dir: t.TempDir()}
	world := filepath.Join(s.dir, "world")
	for _, d := range []string{world, filepath.Join(s.dir, "store"), filepath.Join(s.dir, "etc")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w, err := fake.NewWorld(fake.WorldConfig{Dir: world, Seed: c.Seed, Switches: fake.Switches{Interval: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	s.world = w
	s.listen = process.FreeAddress(t)
	s.url = "http://" + s.listen + "/"
	hc := hubtest.Config{Broker: strings.TrimSuffix(s.url, "/"), Redirect: s.url + "oauth_callback"}
	ready := func(h *hubtest.Hub) {
		s.hub = h
		if c.Shared {
			s.url = h.Public + "services/daypass/"
		}
		if err := w.Local.SetCallbacks(fake.CampusPushApp, s.url+"oauth/github/"+s.host()+"/callback", h.Public+"hub/oauth_callback"); err != nil {
			t.Fatal(err)
		}
		s.writeConfig(c)
		s.start()
	}
	if c.Shared { // a hub waits for the services that it serves
		hc.Broker, hc.Redirect, hc.ServiceURL, hc.Before = "", "", "http://"+s.listen, ready
	}
	if c.Hub != nil {
		c.Hub(&hc, w)
	}
	if h := hubtest.Start(t, hc); !c.Shared {
		ready(h)
	}
	return s
}

// host is the stand-in's name, as git writes it.
func (s *site) host() string { return strings.TrimPrefix(s.world.URL, "http://") }

func (s *site) writeConfig(c siteConfig) {
	s.t.Helper()
	keys, err := store.NewKeys(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := keys.Marshal()
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := s.world.Local.GenerateKey(fake.CampusContentApp)
	if err != nil {
		s.t.Fatal(err)
	}
	where := c.Store
	if where == "" {
		where = "sqlite:" + filepath.Join(s.dir, "store", "daypass.db")
	}
	s.file("etc/keys.json", string(text))
	s.file("etc/push-secret", fake.CampusPushSecret)
	s.file("etc/content-key", private)
	s.file("etc/hub-token", s.hub.Service)
	s.file("etc/hook-token", s.hub.Hook)
	s.config = s.file("etc/server.yaml", fmt.Sprintf(`listen: %s
url: %s
store: %s
keys: file:%s/etc/keys.json
log: debug
hub:
  title: Campus Hub
  api: %s
  url: %s
  token: file:%s/etc/hub-token
  hook_token: file:%s/etc/hook-token
  admins: {users: [admin, ada]}
github:
  - host: %s
    push: {client_id: %s, client_secrets: ["file:%s/etc/push-secret"], app_url: %s/github-apps/campus-push}
    content: {client_id: %s, key: "file:%s/etc/content-key"}
%s
`, s.listen, s.url, where, s.dir, s.hub.API, s.hub.Public, s.dir, s.dir, s.world.URL, fake.CampusPushApp, s.dir, s.world.URL, fake.CampusContentApp, s.dir, strings.ReplaceAll(c.YAML, "HOST", s.host())))
	s.makeImage()
}

// needsRoot skips a test that puts layers over this machine's folders, and fails
// where all of them are asked for.
func needsRoot(t testing.TB) {
	t.Helper()
	switch {
	case os.Getuid() == 0:
	case os.Getenv("DAYPASS_TEST_COMPLETE") != "":
		t.Fatal("the tests of an image's /etc take root: run make test as root, in a container")
	default:
		t.Skip("an image's /etc takes root")
	}
}

// makeImage is what an admin does to the image of the servers: the service's
// address, and "daypass setup --hub". It is a layer over this machine's /etc,
// which only the commands in servers see.
func (s *site) makeImage() {
	s.t.Helper()
	needsRoot(s.t)
	for _, d := range []string{"image", "image-work", "var", "var-work"} {
		if err := os.Mkdir(filepath.Join(s.dir, d), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	script := `mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/image,workdir=$1/image-work" /etc
mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$1/var,workdir=$1/var-work" /var/lib
mkdir -p /etc/daypass
printf 'broker: %s\n' "$2" > /etc/daypass/config.yaml
exec daypass setup --hub --host "$3"`
	cmd := exec.Command("unshare", "--mount", "/bin/sh", "-ec", script, "sh", s.dir, s.url, s.world.URL)
	cmd.Env = []string{"PATH=" + s.bin + ":" + os.Getenv("PATH"), "HOME=" + s.dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("make the image: %v\n%s", err, out)
	}
}

func (s *site) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// A running program of ours, whose log is kept.
type running struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	log  bytes.Buffer
	done chan struct{}
}

func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *running) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (s *site) start() {
	s.t.Helper()
	r := &running{done: make(chan struct{})}
	r.cmd = exec.Command(filepath.Join(s.bin, "daypass"), "serve", "--config", s.config)
	r.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}, s.env...)
	r.cmd.Stdout, r.cmd.Stderr = r, r
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { r.cmd.Wait(); close(r.done) }()
	s.serve = r
	s.t.Cleanup(func() { s.end(r) })
	path := strings.SplitN(s.url, "/", 4)[3]
	s.wait("the access service is ready", func() bool {
		res, err := http.Get("http://" + s.listen + "/" + path + "readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// end stops the service as its owner would.
func (s *site) end(r *running) {
	select {
	case <-r.done:
		return
	default:
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.done:
	case <-time.After(15 * time.Second):
		s.t.Errorf("the service did not stop:\n%s", r.text())
		r.cmd.Process.Kill()
		<-r.done
	}
}

func (s *site) wait(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
		if s.serve != nil {
			select {
			case <-s.serve.done:
				s.t.Fatalf("waiting until %s: the service ended:\n%s", what, s.serve.text())
			default:
			}
		}
	}
	s.t.Fatalf("waited too long until %s; the service said:\n%s", what, s.serve.text())
}

// in runs a command in a server of a user, by a shell, and returns what it said.
func (s *site) in(user, server, script string) (string, error) {
	s.t.Helper()
	cmd := s.hub.Command(user, server, "unshare", "--mount", "/bin/sh", "-ec",
		`mount -t overlay overlay -o "lowerdir=$1/image:/etc" /etc; exec /bin/sh -ec "$2"`, "sh", s.dir, script)
	cmd.Env = append(cmd.Env, "GIT_TERMINAL_PROMPT=0", "URL="+s.world.URL,
		"DAYPASS_RUNTIME_DIR="+s.runtime(user, server))
	for i, kv := range cmd.Env {
		if strings.HasPrefix(kv, "PATH=") {
			cmd.Env[i] = "PATH=" + s.bin + ":" + os.Getenv("PATH")
		}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// runtime is where the server's wallet is.
func (s *site) runtime(user, server string) string {
	dir := filepath.Join(s.dir, "run-"+user+"-"+server)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

func (s *site) must(user, server, script string) string {
	s.t.Helper()
	out, err := s.in(user, server, script)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s\nthe service said:\n%s", script, err, out, s.serve.text())
	}
	return out
}

// A person sits at a browser.
type person struct {
	s   *site
	ctx context.Context
}

// browser opens a Chromium with no cookies.
func (s *site) browser() *person {
	s.t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-background-networking", true), chromedp.WindowSize(1280, 900))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	s.t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	s.t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		s.t.Fatal(err)
	}
	return &person{s, ctx}
}

func (p *person) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.s.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.s.t.Fatalf("%s: %v\nthe page: %s\nthe service said:\n%s", what, err, p.text(), p.s.serve.text())
	}
}

// text is where the browser is, and what it shows.
func (p *person) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return at + " " + err.Error()
	}
	return at + "\n" + text
}

// logIn logs in to the hub, whose people need a name only.
func (p *person) logIn(name string) {
	p.s.t.Helper()
	p.do("log in to the hub", chromedp.Navigate(p.s.hub.Public+"hub/login?next=%2Fhub%2Fhome"), chromedp.WaitVisible("#username_input"),
		chromedp.SendKeys("#username_input", name), chromedp.SendKeys("#password_input", "any\r"), chromedp.WaitNotPresent("#password_input"))
}

// sees waits until a page shows a text.
func (p *person) sees(text string) {
	p.s.t.Helper()
	p.s.wait("the page shows "+text+"; it shows: "+p.text(), func() bool { return strings.Contains(p.text(), text) })
}

// field is what a field holds.
func (p *person) field(sel string) string {
	p.s.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Value(sel))
	if err != nil {
		p.s.t.Fatalf("%s: %v\n%s", sel, err, p.text())
	}
	return v
}

// press presses the button or follows the link with that text.
func (p *person) press(text string) {
	p.s.t.Helper()
	q := fmt.Sprintf(`//button[contains(normalize-space(.), %q)] | //a[contains(normalize-space(.), %q)] | //input[@type="submit" and contains(@value, %q)]`, text, text, text)
	// A button that answers a question takes no click in the moment in which its page came.
	p.do("press "+text, chromedp.WaitVisible(q), chromedp.WaitNotPresent("[data-answer]:not([data-ready])"), chromedp.Click(q))
}

// shipment is built once for all tests of a run.
var shipment = shipping.New("daypass", "daypassd", "daypass-page", "git-credential-daypass")

func TestMain(m *testing.M) { os.Exit(shipment.Run(m)) }

// builtPrograms returns a folder of the test's own with the programs.
func builtPrograms(t testing.TB) string { return shipment.Own(t) }
