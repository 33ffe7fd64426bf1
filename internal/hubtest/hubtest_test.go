package hubtest

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/hub"
	"github.com/daypass-dev/daypass/internal/process"
)

func TestRealHub(t *testing.T) {
	Suite(t, Start(t, Config{}).Peer())
}

// TestHubs runs the suite against each hub of DAYPASS_TEST_HUBS, a list of
// prefixes; "make test-hubs" sets it.
func TestHubs(t *testing.T) {
	list := os.Getenv("DAYPASS_TEST_HUBS")
	if list == "" {
		t.Skip("DAYPASS_TEST_HUBS names no hubs; make test-hubs does")
	}
	for _, prefix := range filepath.SplitList(list) {
		t.Run(filepath.Base(prefix), func(t *testing.T) {
			h := Start(t, Config{Prefix: prefix, Base: "/base/"})
			t.Logf("JupyterHub %d", h.Major)
			Suite(t, h.Peer())
			outage(t, h)
			testPython(t, prefix)
			t.Run("stopped", func(t *testing.T) { hookStopped(t, prefix) })
			if exec.Command(filepath.Join(prefix, "bin", "python3"), "-c", "import oauthenticator").Run() != nil {
				return // Debian has none
			}
			t.Run("log-in", func(t *testing.T) { loginHandedOver(t, prefix, false) })
			t.Run("local log-in", func(t *testing.T) { loginHandedOver(t, prefix, true) })
			t.Run("ContainDS", func(t *testing.T) { switchContainDS(t, prefix) })
		})
	}
}

// outage: the hub dies without warning and comes back.
func outage(t *testing.T, h *Hub) {
	c := h.Peer().Client()
	h.CreateUser(t, "olga")
	h.StartServer(t, "olga", "gpu")
	token := daypass.NewSecret(h.ServerToken("olga", "gpu"))
	ask := func(fresh bool) (hub.Identity, error) { return c.Whoami(t.Context(), token, "", fresh) }
	before, err := ask(false)
	if err != nil {
		t.Fatal(err)
	}
	h.Kill()
	begun := time.Now()
	if _, err := ask(true); !errors.Is(err, daypass.ErrUnreachable) || time.Since(begun) > 3*time.Second {
		t.Fatalf("%v after %v", err, time.Since(begun))
	}
	if who, err := ask(false); err != nil || who.Caller.User != before.Caller.User {
		t.Fatal(who, err)
	}
	h.StartHub()
	wait(t, 10*time.Second, "the hub is asked again", func() bool { who, err := ask(true); return err == nil && !who.Stale })
}

func TestServer(t *testing.T) {
	h := Start(t, Config{Broker: "http://127.0.0.1:9/services/daypass/"})
	h.CreateUser(t, "ann")
	h.StartServer(t, "ann", "gpu")
	out, err := h.Command("ann", "gpu", "/usr/bin/env").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"DAYPASS_URL=http://127.0.0.1:9/services/daypass/\n", "JUPYTERHUB_API_URL=" + h.API + "\n", "JUPYTERHUB_SERVER_NAME=gpu\n", "JUPYTERHUB_API_TOKEN="} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), h.Hook) || strings.Contains(string(out), h.Service) {
		t.Error("a secret of the hub's is in the server")
	}
	outage(t, h)
}

// TestPython runs the tests of python/daypass_hub.py with the Pythons of hubs.
func TestPython(t *testing.T) { testPython(t, process.Installed(t, "DAYPASS_TEST_HUB", "hub")) }

func testPython(t *testing.T, prefix string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(prefix, "bin", "python3"), filepath.Join(pythonFolder(), "test_daypass_hub.py"))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "\nOK") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestWhereTheServiceIs: on the hub's own origin, behind its proxy, which passes
// the whole path on; or on a hostname of its own.
func TestWhereTheServiceIs(t *testing.T) {
	l := newListener(t)
	told := 0
	h := Start(t, Config{ServiceURL: strings.TrimSuffix(l.URL, "/services/daypass/"), Base: "/base/", Before: func(h *Hub) {
		if told++; h.API == "" || h.Service == "" {
			t.Error("it is not known yet where the hub is")
		}
	}})
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	h.CreateUser(t, "ben")
	h.StartServer(t, "ben", "")
	if env := strings.Join(h.ServerEnv("ben", ""), "\n"); !strings.Contains(env, "DAYPASS_URL="+h.Public+"services/daypass/") {
		t.Error("servers are told another address than the public one")
	}
	l.set(0, http.StatusTeapot)
	b := NewBrowser(t, h.Public)
	b.Login("ann")
	if status, _ := b.Get(h.Public + "services/daypass/page"); status != http.StatusTeapot {
		t.Errorf("the proxy answered %d", status)
	}
	l.mu.Lock()
	if last := l.calls[len(l.calls)-1].path; last != "GET /base/services/daypass/page" {
		t.Errorf("the proxy asked %s", last)
	}
	l.mu.Unlock()
	// Service routes go on while the hub is away.
	h.Kill()
	if status, _ := b.Get(h.Public + "services/daypass/page"); status != http.StatusTeapot {
		t.Errorf("without the hub the proxy answered %d", status)
	}

	h = Start(t, Config{Redirect: "http://127.0.0.1:9/oauth_callback"})
	p := h.Peer()
	token, err := p.signIn(t, "ann", "daypass", p.Service, p.Redirect)
	if err != nil {
		t.Fatal(err)
	}
	p.who(t, token)
}

// TestServersOutliveTheHub: where the hub leaves servers running, their tokens
// are good after a restart; where it does not, they end.
func TestServersOutliveTheHub(t *testing.T) {
	for _, keep := range []bool{true, false} {
		h := Start(t, Config{KeepServers: keep})
		h.CreateUser(t, "ann")
		h.StartServer(t, "ann", "gpu")
		token := h.ServerToken("ann", "gpu")
		before := h.Peer().who(t, token).Caller
		h.Restart()
		if !keep {
			h.Peer().refused(t, token, "DP-802")
			continue
		}
		if after := h.Peer().who(t, token).Caller; after.User != before.User || after.Server != before.Server {
			t.Errorf("%+v became %+v", before, after)
		}
	}
}
