package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/devpitest"
)

// TestGatewayAlone: "daypass serve" with a gateway only, on a real devpi-server
// without a plugin.
func TestGatewayAlone(t *testing.T) {
	s := newShop(t, devpitest.Options{}, "  self_test: root\nmetrics_token: env:METRICS")
	s.edit("env:METRICS", "file:"+s.file("etc/metrics", "metrics-token-123"))
	s.serve()
	api := s.api()
	alice := api.AddUser(t, "alice", "secret")
	token := api.Token(t, alice, "alice", map[string]any{"allowed": []string{"upload", "pkg_read"}, "indexes": []string{"alice/dev"}, "projects": []string{"data"}})
	if r := api.Upload(t, devpitest.Bearer(token), "alice/dev", devpitest.Wheel("data", "1.0")); r.Status != http.StatusOK {
		t.Fatalf("an upload: %d %s", r.Status, r.Message())
	}
	if r := api.Upload(t, devpitest.Bearer(token), "alice/dev", devpitest.Wheel("other", "1.0")); r.Status != http.StatusForbidden || !strings.Contains(r.Message(), "other") {
		t.Fatalf("another project: %d %s", r.Status, r.Message())
	}
	if status, text := s.get("_/healthz", nil); status != http.StatusOK || text != "daypass\n" {
		t.Errorf("healthz: %d %s", status, text)
	}
	if status, _ := s.get("_/metrics", nil); status != http.StatusUnauthorized {
		t.Errorf("metrics without the token: %d", status)
	}
	if status, text := s.get("_/metrics", http.Header{"Authorization": {"Bearer metrics-token-123"}}); status != http.StatusOK || !strings.Contains(text, "daypass_") {
		t.Errorf("metrics: %d", status)
	}
	if status, _ := s.get("_/oidc/audience", nil); status != http.StatusNotFound {
		t.Errorf("an exchange that is not there: %d", status)
	}
	// What was done is in the record, with the pass that did it.
	code, said := s.admin("events", "--kind", "gateway")
	if code != 0 || strings.Count(said, "\n") < 2 || !strings.Contains(said, "alice/dev data") || !strings.Contains(said, "refused") {
		t.Errorf("events: %d\n%s", code, said)
	}
	if strings.Contains(said, token) {
		t.Error("the record holds the token")
	}
	if code, said := s.admin("check"); code != 0 {
		t.Errorf("check: %d\n%s", code, said)
	}
	if code, said := s.admin("events", "verify"); code != 0 {
		t.Errorf("verify: %d\n%s", code, said)
	}
}

// TestGatewayConfig: what a gateway alone needs is named where it is missing, and
// what is a hub's is not passed over.
func TestGatewayConfig(t *testing.T) {
	const whole = "store: sqlite:/x/y\nkeys: file:/k\ngateway:\n  url: https://pypi.example.org/\n  upstream: http://127.0.0.1:3141/\n  key: file:/d\n"
	for name, c := range map[string]struct{ from, to, says string }{
		"whole":             {"", "", ""},
		"no store":          {"store: sqlite:/x/y\n", "", "store is missing"},
		"no keys":           {"keys: file:/k\n", "", "keys is missing"},
		"no url":            {"  url: https://pypi.example.org/\n", "", "gateway.url is missing"},
		"no upstream":       {"  upstream: http://127.0.0.1:3141/\n", "", "gateway.upstream is missing"},
		"no key":            {"  key: file:/d\n", "", "gateway.key is missing"},
		"two ways":          {"  key: file:/d\n", "  key: file:/d\n  service_account: {user: robot}\n", "two ways"},
		"account alone":     {"  key: file:/d\n", "  service_account: {user: robot}\n", "service_account.password is missing"},
		"a mode":            {"  key: file:/d\n", "  key: file:/d\n  mode: loose\n", "gateway.mode"},
		"a name":            {"  key: file:/d\n", "  key: file:/d\n  name: my-index\n", "gateway.name"},
		"a key of a hub":    {"gateway:", "rules: []\ngateway:", "rules is about a hub"},
		"listen":            {"gateway:", "listen: 127.0.0.1:1\ngateway:", "listen belongs below gateway"},
		"half a hub":        {"gateway:", "url: https://hub.example/\ngateway:", "hub.api is missing"},
		"exchange, nothing": {"gateway:", "exchange: {}\ngateway:", "exchange.audience"},
		"a pass at no hub": {"gateway:", "exchange: {audience: x, issuers: [{name: a, kind: github}], rules: [{name: r, gives: {hub: {as: x}}}]}\ngateway:",
			"is not in front of"},
		"a hub without api": {"gateway:", "exchange: {audience: x, issuers: [{name: a, kind: jupyterhub}]}\ngateway:", "api, service or token is missing"},
		"proxies":           {"  key: file:/d\n", "  key: file:/d\n  proxies: [here]\n", "gateway.proxies"},
		"an unknown key":    {"  key: file:/d\n", "  key: file:/d\n  secretfile: /d\n", "there is no key secretfile here"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server.yaml")
			if err := os.WriteFile(path, []byte(strings.Replace(whole, c.from, c.to, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			// A hub's variables do not make a hub's service of it.
			s := &app{getenv: func(k string) string { return map[string]string{"JUPYTERHUB_API_URL": "http://x/hub/api"}[k] }}
			conf, err := s.readConfig(path)
			if c.says == "" {
				if err != nil || !conf.hubless || conf.Gateway.Listen != gatewayListen || conf.Gateway.Mode != "strict" {
					t.Fatalf("%+v %v", conf, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("want %q, got %v", c.says, err)
			}
		})
	}
}

// TestGatewayKey: the key is devpi's own, and is made of nothing that others read.
func TestGatewayKey(t *testing.T) {
	s := newShopTo(t, "http://127.0.0.1:9/", "")
	secret := s.file("etc/secret", strings.Repeat("0123456789", 4)+"\n")
	out := filepath.Join(s.dir, "etc/devpi.key")
	costs := []string{"--argon2-time-cost", fmt.Sprint(devpitest.TimeCost), "--argon2-memory-cost", fmt.Sprint(devpitest.MemoryCost)}
	run := func(args ...string) (int, string) {
		return s.admin(append(append([]string{"devpi-key"}, args...), costs...)...)
	}
	for name, mode := range map[string]os.FileMode{"group": 0o640, "others": 0o604, "all": 0o644} {
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		if code, said := run("--secretfile", secret, "--output", out); code == 0 || !strings.Contains(said, "chmod 600") || !strings.Contains(said, "DP-947") {
			t.Errorf("a secret that %s read: %d %s", name, code, said)
		}
	}
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _ := run("--secretfile", s.file("etc/short", "short"), "--output", out); code == 0 {
		t.Error("a short secret")
	}
	if code, said := run("--secretfile", secret, "--output", out); code != 0 || strings.Contains(said, "0123456789") {
		t.Fatalf("%d %s", code, said)
	}
	st, err := os.Stat(out)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if code, _ := run("--secretfile", secret, "--output", out); code == 0 {
		t.Error("it wrote over a file")
	}
	a := s.app(s.log)
	got, err := a.acting(&gatewayConfig{Key: "file:" + out})
	if err != nil || got.Key.Reveal() != string(devpitest.SessionKey(strings.Repeat("0123456789", 4)+"\n")) {
		t.Errorf("the key is not devpi's: %v", err)
	}
	if _, err := a.acting(&gatewayConfig{Key: "file:" + secret}); err == nil || !strings.Contains(err.Error(), "devpi-key") {
		t.Errorf("devpi's own secret as a key: %v", err)
	}
}
