// Package hubtest runs a real JupyterHub for tests, with a stand-in for the
// notebook servers, and holds what a client of a hub may expect of any hub, real
// or made up ([Suite]).
//
// It knows no broker: a test says where one listens. "make test" installs a hub
// (scripts/tools.sh hub) and says where in DAYPASS_TEST_HUB and DAYPASS_TEST_CHP.
package hubtest

import (
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/process"
)

//go:embed standin.py
var files embed.FS

// Config says what hub to run. The zero value is the newest one, with people who
// log in by name alone.
type Config struct {
	// Prefix is the folder with bin/jupyterhub; "" means DAYPASS_TEST_HUB, and
	// the test is skipped where that is not set either.
	Prefix string
	Base   string // the hub's base path; "" means "/"

	// Broker is where servers and the hub find the access service; "" means
	// /services/daypass/ of the hub itself where ServiceURL is given, and
	// otherwise an address where nobody listens.
	Broker string
	// ServiceURL is where the access service listens, without a path: the hub's
	// proxy then serves it at /services/daypass/. A hub waits half a minute at its
	// start for such a service; see Before.
	ServiceURL string
	// Before is called when it is known where the hub will be, with which tokens,
	// and before the hub starts.
	Before func(*Hub)
	// Redirect is where sign-ins come back to; "" means
	// BASE/services/daypass/oauth_callback, on the hub's own origin.
	Redirect string

	// GitHub makes people log in with GitHub in place of a name.
	GitHub *GitHub
	// KeepServers leaves servers running when the hub stops, as on Kubernetes.
	KeepServers bool
	// Extra are lines for jupyterhub_config.py, above those of daypass, and Late
	// what stands below them.
	Extra, Late string
	// Configure are more arguments of daypass_hub.configure, as Python text.
	Configure string
}

// GitHub is a GitHub to log in with.
type GitHub struct {
	URL              string // such as "http://127.0.0.1:41234"
	ClientID, Secret string
	// Local makes users of the machine too (LocalGitHubOAuthenticator), by a
	// command that does nothing.
	Local bool
}

// A Hub is one that runs.
type Hub struct {
	Admin                          // as a service that may do everything
	Public                  string // where browsers find it, with its base path
	Service                 string // the token of the service "daypass"
	Hook                    string // what the hub proves itself with to the broker
	Other                   string // the token of another service, "managed"
	Dir                     string // a short path, removed at the end
	Redirect, OtherRedirect string
	Major                   int // 3, 4, 5, 6

	t          testing.TB
	c          Config
	proxy, hub *process.Process
	hubURL     string
	proxyAPI   string
	proxyToken string
	log        process.Log
}

// Start starts a hub and its proxy, and waits until it answers. Both end with
// the test.
func Start(t testing.TB, c Config) *Hub {
	t.Helper()
	if c.Prefix == "" {
		c.Prefix = process.Installed(t, "DAYPASS_TEST_HUB", "hub")
	}
	if c.Broker == "" && c.ServiceURL == "" {
		c.Broker = "http://" + process.FreeAddress(t)
	}
	if c.Base == "" {
		c.Base = "/"
	}
	h := &Hub{t: t, c: c}
	var err error
	if h.Dir, err = os.MkdirTemp("", "hub"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(h.Dir) })
	h.prepare()
	if c.Before != nil {
		c.Before(h)
	}
	h.startProxy(process.Installed(t, "DAYPASS_TEST_CHP", "hub"))
	h.StartHub()
	return h
}

// prepare chooses addresses and secrets, and writes the files.
func (h *Hub) prepare() {
	t, c := h.t, h.c
	public := process.FreeAddress(t)
	h.Public = "http://" + public + c.Base
	if c.Broker == "" {
		h.c.Broker = h.Public + "services/daypass/"
	}
	h.hubURL, h.proxyAPI = "http://"+process.FreeAddress(t), "http://"+process.FreeAddress(t)
	h.API = h.hubURL + c.Base + "hub/api"
	h.Token, h.Service, h.Hook, h.Other, h.proxyToken = secret(), secret(), secret(), secret(), secret()
	h.Redirect, h.OtherRedirect = c.Redirect, c.Base+"services/managed/oauth_callback"
	if h.Redirect == "" {
		h.Redirect = c.Base + "services/daypass/oauth_callback"
	}
	for _, dir := range []string{"servers", "home"} {
		if err := os.Mkdir(filepath.Join(h.Dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	standin, err := files.ReadFile("standin.py")
	if err != nil {
		t.Fatal(err)
	}
	h.write("standin.py", standin)
	h.write("hook", []byte(h.Hook+"\n"))
	h.write("service", []byte(h.Service+"\n"))
	h.write("jupyterhub_config.py", []byte(h.config()))
	h.log = process.NewLog(t, h.Dir, "the hub")
	h.keepAlive()
}

func (h *Hub) write(name string, text []byte) {
	if err := os.WriteFile(filepath.Join(h.Dir, name), text, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// Log returns the end of what the hub and its proxy said.
func (h *Hub) Log(n int) string { return h.log.End(n) }

// keepAlive holds the connections that the stand-ins live by.
func (h *Hub) keepAlive() {
	l, err := net.Listen("unix", filepath.Join(h.Dir, "life"))
	if err != nil {
		h.t.Fatal(err)
	}
	conns := make(chan net.Conn, 1000)
	go func() {
		defer close(conns)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	h.t.Cleanup(func() {
		l.Close()
		for c := range conns {
			c.Close()
		}
	})
}

func (h *Hub) startProxy(chp string) {
	listen, api := address(h.t, h.Public), address(h.t, h.proxyAPI)
	cmd := exec.Command(chp,
		"--ip", listen.Hostname(), "--port", listen.Port(), "--api-ip", api.Hostname(), "--api-port", api.Port(),
		"--error-target", h.hubURL+h.c.Base+"hub/error")
	cmd.Env = append(h.environment(), "CONFIGPROXY_AUTH_TOKEN="+h.proxyToken)
	h.proxy = process.Serve(h.t, cmd, h.log, 5*time.Second, func() bool {
		c, err := net.Dial("tcp", listen.Host)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// StartHub starts the hub alone: after Stop or Kill, as its owner would.
func (h *Hub) StartHub() {
	h.t.Helper()
	cmd := exec.Command(filepath.Join(h.c.Prefix, "bin", "jupyterhub"), "-f", filepath.Join(h.Dir, "jupyterhub_config.py"))
	cmd.Dir = h.Dir
	cmd.Env = append(h.environment(), "CONFIGPROXY_AUTH_TOKEN="+h.proxyToken)
	var version struct{ Version string }
	h.hub = process.Serve(h.t, cmd, h.log, 20*time.Second, func() bool {
		res, err := http.Get(h.Public + "hub/api/")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(&version) == nil
	})
	major, _, _ := strings.Cut(version.Version, ".")
	h.Major, _ = strconv.Atoi(major)
}

// Stop stops the hub as its owner would. The proxy goes on.
func (h *Hub) Stop() { h.hub.Stop(20 * time.Second) }

// Kill ends the hub with no warning. The proxy and the servers go on.
func (h *Hub) Kill() { h.hub.Kill() }

// Restart stops the hub and starts it again.
func (h *Hub) Restart() {
	h.Stop()
	h.StartHub()
}

func (h *Hub) environment() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.Dir, "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"}
	if g := h.c.GitHub; g != nil {
		env = append(env, "GITHUB_URL="+g.URL)
	}
	return env
}

// A server is what the stand-in writes down.
type server struct {
	PID int
	Env map[string]string
	Dir string
}

func (h *Hub) server(user, name string) server {
	h.t.Helper()
	path := filepath.Join(h.Dir, "servers", escaped(user)+"@"+escaped(name)+".json")
	text, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	var s server
	if err := json.Unmarshal(text, &s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// escaped writes a name as the stand-in does.
func escaped(name string) string { return strings.ReplaceAll(url.QueryEscape(name), "+", "%20") }

// ServerEnv returns the environment of a server that was started, as exec.Cmd
// takes it.
func (h *Hub) ServerEnv(user, name string) []string {
	h.t.Helper()
	var env []string
	for k, v := range h.server(user, name).Env {
		env = append(env, k+"="+v)
	}
	return env
}

// ServerToken returns the token that the hub gave to a server.
func (h *Hub) ServerToken(user, name string) string {
	h.t.Helper()
	return h.server(user, name).Env["JUPYTERHUB_API_TOKEN"]
}

// Command returns a command that runs in a server: with its environment, and in
// its home.
func (h *Hub) Command(user, name, program string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = h.ServerEnv(user, name), h.server(user, name).Dir
	return cmd
}

// CrashServer ends a server's process by itself, as a memory limit does.
func (h *Hub) CrashServer(user, name string) {
	h.t.Helper()
	p, err := os.FindProcess(h.server(user, name).PID)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func secret() string { return rand.Text() + rand.Text() }

func address(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// wait tries until ok returns true.
func wait(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// python returns a value as Python text; JSON's strings, numbers and lists are.
func python(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%q", err.Error())
	}
	return string(text)
}
