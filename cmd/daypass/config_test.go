package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass/fake"
)

// TestConfigMistakes: each names file, line and key.
func TestConfigMistakes(t *testing.T) {
	for _, c := range []struct {
		name, etc, user, want string
	}{
		{"unknown key", "", "hots: x\n", "user.yaml, line 1"},
		{"unknown host key", "", "hosts:\n  github.com:\n    clientid: Iv23liABC\n", "user.yaml, line 3"},
		{"admin key of a user", "", "hosts:\n  github.com:\n    max_renew: 30d\n", "hosts.github.com.max_renew in"},
		{"admin key of a user, line", "", "hosts:\n  github.com:\n    allow_tokens: [oauth]\n", "line 3"},
		{"swapped", "hosts:\n  github.com:\n    client_id: https://github.com/apps/x\n", "", "swapped"},
		{"number", "hosts:\n  github.com:\n    client_id: 123456\n", "", "the App's number"},
		{"secret", "hosts:\n  github.com:\n    client_id: 0123456789abcdef0123456789abcdef01234567\n", "", "client secret"},
		{"plain link", "hosts:\n  github.com:\n    app_url: http://github.com/apps/x\n", "", "line 3"},
		{"no duration", "hosts:\n  github.com:\n    max_renew: soon\n", "", "hosts.github.com.max_renew"},
		{"no selection", "hosts:\n  github.com:\n    max_selection: few\n", "", "max_selection"},
		{"no tokens", "hosts:\n  github.com:\n    allow_tokens: [all]\n", "", "allow_tokens"},
		{"no revocation", "hosts:\n  github.com:\n    refresh_revocation: maybe\n", "", "refresh_revocation"},
		{"no YAML", "hosts: [\n", "", "etc.yaml"},
		{"no host", "hosts:\n  \"git hub\":\n    client_id: Iv23liABCDEF\n", "", "hosts.git hub"},
		{"a list for a map", "hosts:\n - github.com\n", "", "etc.yaml, line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, fake.Switches{})
			dir := filepath.Dir(b.etcConfig)
			write(t, b.etcConfig, c.etc, 0o644)
			b.env["DAYPASS_CONFIG"] = filepath.Join(dir, "user.yaml")
			write(t, b.env["DAYPASS_CONFIG"], c.user, 0o644)
			_, err := b.loadConfig()
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "[DP-50") {
				t.Errorf("said %v, want %q", err, c.want)
			}
			if code := b.do("login"); code != 1 && code != 2 {
				t.Errorf("login ended with %d", code)
			}
		})
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// TestConfigTrust: a file that somebody else could have written is refused.
func TestConfigTrust(t *testing.T) {
	b := newBench(t, fake.Switches{})
	write(t, b.etcConfig, "host: github.com\n", 0o666)
	if _, err := b.loadConfig(); err == nil || !strings.Contains(err.Error(), "others may write") {
		t.Errorf("a writable file: %v", err)
	}
	write(t, b.etcConfig, "host: github.com\n", 0o644)
	if os.Geteuid() == 0 {
		if err := os.Chown(b.etcConfig, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := b.loadConfig(); err == nil || !strings.Contains(err.Error(), "does not belong to root") {
			t.Errorf("a stranger's file: %v", err)
		}
	}
	b.env["DAYPASS_CONFIG"] = filepath.Join(t.TempDir(), "none.yaml")
	if _, err := b.loadConfig(); err == nil {
		t.Error("a file that was named and is not there is no error")
	}
}

// TestConfigOrder: /etc, then the user's file, then the environment, then flags.
func TestConfigOrder(t *testing.T) {
	b := newBench(t, fake.Switches{})
	b.env["GITHUB_HOST"] = ""
	write(t, b.etcConfig, "host: one.example\nfallthrough: true\nhosts:\n  one.example: {client_id: Iv23liETC00000, app_url: 'https://one.example/apps/a', max_renew: 24h}\n", 0o644)
	b.env["DAYPASS_CONFIG"] = filepath.Join(t.TempDir(), "user.yaml")
	write(t, b.env["DAYPASS_CONFIG"], "hosts:\n  one.example: {client_id: Iv23liUSER0000}\n", 0o600)
	cfg, err := b.loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.forHost(cfg.host)
	if cfg.host.Name != "one.example" || got.ClientID != "Iv23liUSER0000" || got.AppURL == "" || got.MaxRenew != "24h" || !cfg.fallThrough {
		t.Errorf("got %+v %+v", cfg.host, got)
	}
	b.env["GITHUB_HOST"] = "two.example"
	if cfg, err = b.loadConfig(); err != nil || cfg.host.Name != "two.example" {
		t.Errorf("GITHUB_HOST: %v %v", cfg.host, err)
	}
}

// TestAdminKeys: what the admin allows and forbids holds in a login.
func TestAdminKeys(t *testing.T) {
	const head = "hosts:\n  " + benchHost + ":\n    "
	for _, c := range []struct {
		name, key, app string
		args           []string
		code           int
		want           string
	}{
		{"oauth allowed", "allow_tokens: [oauth, never_expiring]", fake.CampusOAuthApp, nil, 0, "no set time"},
		{"oauth alone", "allow_tokens: [oauth]", fake.CampusOAuthApp, nil, 4, "DP-210"},
		{"never-expiring allowed", "allow_tokens: [never_expiring]", fake.CampusForeverApp, nil, 0, "no set time"},
		{"selection", "max_selection: selected", fake.CampusApp, nil, 4, "DP-213"},
		{"no renewal", "max_renew: 0h", fake.CampusApp, []string{"--renew", "1h"}, 4, "DP-217"},
		{"cap", "max_renew: 2h", fake.CampusApp, []string{"--renew", "9d"}, 0, "allows renewal for 2 h 0 min"},
		{"both", "refresh_revocation: both", fake.CampusApp, nil, 0, "Logged in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, fake.Switches{})
				write(t, b.etcConfig, head+c.key+"\n", 0o644)
				b.env["DAYPASS_CLIENT_ID"] = c.app
				if c.key == "max_selection: selected" {
					b.github.Update(func(s *fake.Seed) { s.Installations[0].All = true })
				}
				code := b.do(append([]string{"login", "--no-setup"}, c.args...)...)
				if code != c.code || !strings.Contains(b.said(), c.want) {
					t.Errorf("ended with %d, want %d and %q: %s", code, c.code, c.want, b.said())
				}
				if c.code != 0 && len(b.github.LiveTokens()) > 0 {
					t.Error("a refused token is alive")
				}
				if c.name == "both" && b.github.Count("/api/v3/credentials/revoke") > 0 {
					t.Error("the refresh token was revoked although that ends the access")
				}
			})
		})
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"7d": 168 * time.Hour, "12h": 12 * time.Hour, "90m": 90 * time.Minute, "0d": 0} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1h", "-1d", "7 d", "1e9d", "soon", "99999999d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %v", text, got)
		}
	}
}

// TestCancelled: an interruption ends what came in and says so.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fake.Switches{})
		ctx, cancel := context.WithCancel(t.Context())
		b.github.Fault(fake.PathIs("/api/v3/user/installations"), fake.Fault{Kind: fake.FaultHang})
		time.AfterFunc(10*time.Second, cancel)
		code := b.run(ctx, []string{"daypass", "login", "--no-setup"})
		if code != 1 || !strings.Contains(b.said(), "DP-214") {
			t.Errorf("ended with %d: %s", code, b.said())
		}
		if n := len(b.github.LiveTokens()); n > 0 {
			t.Errorf("%d tokens are alive", n)
		}
	})
}
