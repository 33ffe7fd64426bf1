package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

// A hubDemo is a demo with a hub and its access service.
type hubDemo struct {
	*demo
	hub      *fake.Hub
	hubURL   string // of the hub, with its proxy's routes
	url      string // of the access service
	config   string // its server.yaml
	more     string // of that
	log      serviceLog
	front    *http.Server
	service  *exec.Cmd
	ended    chan struct{} // closed when the service has ended
	one, two *demoServer
}

// A serviceLog keeps what the access service says.
type serviceLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *serviceLog) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *serviceLog) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *app) newHubDemo(ctx context.Context) (*hubDemo, error) { return s.newHubDemoOf(ctx, nil) }

// newHubDemoOf is a demo whose service has more in its configuration.
func (s *app) newHubDemoOf(ctx context.Context, more func(*hubDemo) (string, error)) (*hubDemo, error) {
	d, err := s.newDemo()
	if err != nil {
		return nil, err
	}
	h := &hubDemo{demo: d}
	if err := h.build(ctx, more); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *hubDemo) close() {
	if h.service != nil {
		h.service.Process.Signal(syscall.SIGTERM)
		select {
		case <-h.ended:
		case <-time.After(12 * time.Second):
			h.service.Process.Kill()
			<-h.ended
		}
	}
	if h.front != nil {
		h.front.Close()
	}
	h.demo.close()
}

// build starts everything but servers.
func (h *hubDemo) build(ctx context.Context, more func(*hubDemo) (string, error)) error {
	for _, sub := range []string{"service", "secrets", "servers"} {
		if err := os.Mkdir(filepath.Join(h.dir, sub), 0o700); err != nil {
			return err
		}
	}
	if more != nil {
		var err error
		if h.more, err = more(h); err != nil {
			return err
		}
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	listen, err := freeAddress()
	if err != nil {
		front.Close()
		return err
	}
	h.hubURL, h.url = "http://"+front.Addr().String()+"/", "http://"+listen+"/"
	token := rand.Text() + rand.Text()
	h.hub = fake.NewHub(fake.HubConfig{
		Services: []fake.HubService{{
			Name: "daypass", Token: token, Redirect: h.url + "oauth_callback",
			Scopes: []string{"list:users", "read:users", "read:servers", "read:tokens", "read:shares"},
		}},
		ServerScopes: []string{"access:services!service=daypass"},
	})
	h.serveHub(front, listen)
	host := strings.TrimPrefix(h.world.URL, "http://")
	if err := h.world.Local.SetCallbacks(fake.CampusPushApp, h.url+"oauth/github/"+host+"/callback"); err != nil {
		return err
	}
	if err := h.writeService(listen, token); err != nil {
		return err
	}
	if err := h.startService(ctx, h.url+"readyz"); err != nil {
		return err
	}
	return h.setupImage(ctx)
}

// freeAddress finds a port of loopback where nobody listens just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// serveHub puts the hub's proxy in front of the hub: servers find the access
// service's API at the hub's own address, browsers its pages at an address of
// their own.
func (h *hubDemo) serveHub(l net.Listener, service string) {
	to := &url.URL{Scheme: "http", Host: service}
	api := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{Proxy: nil},
	}
	mux := http.NewServeMux()
	mux.Handle("/", h.hub)
	mux.Handle("GET /{$}", http.RedirectHandler("/hub/", http.StatusFound))
	mux.Handle("/services/daypass/api/", http.StripPrefix("/services/daypass", api))
	h.front = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go h.front.Serve(l)
}

// writeService writes what an admin writes: the secrets, each in a file of its
// own, and the service's configuration.
func (h *hubDemo) writeService(listen, token string) error {
	keys, err := store.NewKeys(rand.Reader)
	if err != nil {
		return err
	}
	text, err := keys.Marshal()
	if err != nil {
		return err
	}
	content, err := h.world.Local.GenerateKey(fake.CampusContentApp)
	if err != nil {
		return err
	}
	secrets := filepath.Join(h.dir, "secrets")
	for name, secret := range map[string]string{
		"keys.json": string(text), "hub-token": token, "push-secret": fake.CampusPushSecret, "content-key": content,
	} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(secret), 0o600); err != nil {
			return err
		}
	}
	h.config = filepath.Join(h.dir, "server.yaml")
	return os.WriteFile(h.config, fmt.Appendf(nil, `listen: %[1]s
url: %[2]s
store: sqlite:%[3]s/service/daypass.db
keys: file:%[3]s/secrets/keys.json
hub:
  title: Campus Hub
  api: %[4]shub/api
  url: %[4]s
  token: file:%[3]s/secrets/hub-token
  admins: {users: [%[5]s]}
github:
  - host: %[6]s
    push: {client_id: %[7]s, client_secrets: ["file:%[3]s/secrets/push-secret"], app_url: %[6]s/github-apps/campus-push}
    content: {client_id: %[8]s, key: "file:%[3]s/secrets/content-key"}
%[9]s`, listen, h.url, h.dir, h.hubURL, demoAdmin, h.world.URL, fake.CampusPushApp, fake.CampusContentApp, h.more), 0o600)
}

// startService runs "daypass serve", and waits until an address answers well.
func (h *hubDemo) startService(ctx context.Context, ready string) error {
	h.service = exec.Command(filepath.Join(h.bin, "daypass"), "serve", "--config", h.config)
	h.service.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + filepath.Join(h.dir, "service")}
	h.service.Stdout, h.service.Stderr = &h.log, &h.log
	h.service.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true} // Ctrl-C is ours to pass on
	if err := h.service.Start(); err != nil {
		h.service = nil
		return err
	}
	h.ended = make(chan struct{})
	go func() {
		h.service.Wait()
		close(h.ended)
	}()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{Proxy: nil}}
	defer client.CloseIdleConnections()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); {
		res, err := client.Get(ready)
		if err == nil {
			res.Body.Close()
		}
		if err == nil && res.StatusCode == http.StatusOK {
			return nil
		}
		select {
		case <-h.ended:
			return fmt.Errorf("the access service ended:\n%s", h.log.String())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("the access service did not get ready in 15 s:\n" + h.log.String())
}

// setupImage does what an admin does to the image of the servers. The image's
// /etc is a file of the demo's own, since nothing of this machine is touched.
func (h *hubDemo) setupImage(ctx context.Context) error {
	cmd := h.command(ctx, "", "daypass", "setup", "--hub", "--host", h.world.URL)
	cmd.Env = h.image(filepath.Join(h.dir, "home"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("daypass setup --hub: %w\n%s", err, out)
	}
	return nil
}

// image is the environment of every server: where git's system configuration is,
// where the programs are, and a home.
func (h *hubDemo) image(home string) []string {
	sep := string(os.PathListSeparator)
	return []string{
		"PATH=" + h.bin + sep + filepath.Dir(h.git) + sep + "/usr/bin:/bin",
		"HOME=" + home, "USER=" + demoUser, "LANG=C.UTF-8", "GIT_CONFIG_SYSTEM=" + filepath.Join(h.dir, "servers", "gitconfig"),
		"GITHUB_URL=" + h.world.URL, "NO_PROXY=127.0.0.1", "DAYPASS_PLAIN=1",
	}
}

// A demoServer is a user's server: an environment and a home, without a process.
type demoServer struct {
	h    *hubDemo
	name string
	at   string // how its prompt begins; "": its person
	home string
	env  []string
	took time.Duration // of the last step
}

func (h *hubDemo) startServer(_ context.Context, name string) (*demoServer, error) {
	s := &demoServer{h: h, name: name, home: filepath.Join(h.dir, "servers", "home"+name)}
	wallet := filepath.Join(h.mem, "server"+name)
	for _, dir := range []string{h.mem, s.home, wallet} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	s.env = append(h.image(s.home),
		"JUPYTERHUB_API_TOKEN="+h.hub.StartServer(demoUser, name), "JUPYTERHUB_API_URL="+h.hubURL+"hub/api",
		"JUPYTERHUB_USER="+demoUser, "JUPYTERHUB_SERVER_NAME="+name, "DAYPASS_URL="+h.hubURL+"services/daypass/",
		"DAYPASS_RUNTIME_DIR="+wallet)
	return s, nil
}

// step runs one command in the server, shows it with its output, and holds it to
// want.
func (s *demoServer) step(ctx context.Context, w want, dir, name string, args ...string) func() error {
	return func() error {
		if dir == "" {
			dir = s.home
		}
		began := time.Now()
		defer func() { s.took = time.Since(began) }()
		at := s.at
		if at == "" {
			at = demoUser
		}
		if s.name != "" {
			at += "/" + s.name
		}
		line := strings.ReplaceAll(s.h.shown(name, args), s.home, "~")
		return s.h.run(s.h.commandIn(ctx, s.env, dir, name, args...), w, "   "+at+"$ "+line, nil)
	}
}

// isFast holds the last step to what "at once" means.
func (s *demoServer) isFast(say string) func() error {
	return func() error {
		if s.took > 3*time.Second {
			return fmt.Errorf("it took %v", s.took)
		}
		s.h.say("     (%s: %.1f s)", say, s.took.Seconds())
		return nil
	}
}

// script writes what a shell has to know to be in the server.
func (s *demoServer) script() error {
	name := "server.sh"
	if s.name != "" {
		name = "server-" + s.name + ".sh"
	}
	return os.WriteFile(filepath.Join(s.h.dir, name), exports(s.env), 0o600)
}

// tell runs one of the admin's commands.
func (h *hubDemo) tell(ctx context.Context, keep *string, w want, args ...string) func() error {
	return func() error {
		line := "   admin$ daypass admin " + strings.Join(args, " ")
		cmd := h.command(ctx, "", "daypass", append(append([]string{"admin"}, args...), "--config", h.config)...)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + filepath.Join(h.dir, "service"), "TZ=" + h.zone}
		return h.run(cmd, w, line, keep)
	}
}
