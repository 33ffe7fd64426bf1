package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
		{"merged admin key", "", "hosts:\n  ghes.example:\n    <<: {allow_tokens: [oauth, never_expiring], max_renew: 3650d}\n", "user.yaml, line 3"},
		{"merged hosts", "", "<<: {hosts: {ghes.example: {max_renew: 3650d}}}\n", "a merge (<<)"},
		{"quoted merge", "", "\"<<\": {hosts: {ghes.example: {max_renew: 3650d}}}\n", "a merge (<<)"},
		{"tagged merge", "", "hosts: {ghes.example: {!!merge x: {max_renew: 3650d}}}\n", "user.yaml, line 1"},
		{"merged list", "", "hosts: {ghes.example: {<<: [{max_renew: 3650d}]}}\n", "a merge (<<)"},
		{"key in base 64", "", "hosts: {ghes.example: {!!binary YWxsb3dfdG9rZW5z: [oauth]}}\n", "a tag (!)"},
		{"hosts in base 64", "", "!!binary aG9zdHM=: {ghes.example: {max_renew: 3650d}}\n", "a tag (!)"},
		{"alias as a key", "", "hosts:\n  ghes.example:\n    client_id: &k allow_tokens\n    *k : [oauth]\n", "user.yaml, line 3"},
		{"anchor", "", "hosts: &h\n  ghes.example: {client_id: Iv23liABCDEF}\n", "an anchor (&)"},
		{"anchor of the file", "", "&x\nhost: ghes.example\n", "an anchor (&)"},
		{"tag of a value", "", "host: !!str ghes.example\n", "a tag (!)"},
		{"tag of our own", "", "host: !x ghes.example\n", "a tag (!)"},
		{"two documents", "", "host: ghes.example\n---\nhosts: {ghes.example: {max_renew: 3650d}}\n", "more than one document"},
		{"an empty second document", "", "host: ghes.example\n---\n", "more than one document"},
		{"odd second document", "", "host: ghes.example\n---\n[\n", "user.yaml"},
		{"key that is a list", "", "? [hosts]\n: {ghes.example: {max_renew: 3650d}}\n", "not a word"},
		{"admin's file is plain too", "hosts: {ghes.example: {<<: {max_renew: 3650d}}}\n", "", "etc.yaml, line 1"},
		{"a host twice", "", "hosts: {ghes.example: {client_id: Iv23liABCDEF}, GHES.example: {client_id: Iv23liABCDEG}}\n", "the same host"},
		{"a key twice", "", "hosts: {ghes.example: {client_id: Iv23liABCDEF}}\nhosts: {}\n", "user.yaml"},
		{"escaped admin key", "", "hosts: {ghes.example: {\"max\\x5frenew\": 3650d}}\n", "max_renew in"},
		{"a user's access service", "", "host: github.com\nbroker: https://daypass.example/\n", "user.yaml, line 2"},
		{"a user's origins", "", "broker_origins: [https://evil.example]\n", "broker_origins in"},
		{"a user's plain http", "", "plain_http_origins: [\"http://evil.example\"]\n", "plain_http_origins in"},
		{"escaped key of the admin's", "", "\"bro\\x6ber\": https://evil.example/\n", "broker in"},
		{"no address", "broker: daypass.example\n", "", "etc.yaml, line 1"},
		{"an address with a user", "broker: https://x@daypass.example/\n", "", "broker in"},
		{"an origin with a path", "broker_origins:\n - https://daypass.example/x\n", "", "broker_origins in"},
		{"every origin", "plain_http_origins: [\"*\"]\n", "", "plain_http_origins in"},
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

// TestConfigTwice: each of the two checks refuses a user's admin key by itself.
func TestConfigTwice(t *testing.T) {
	for key, hc := range map[string]hostConfig{
		"max_renew": {MaxRenew: "7d"}, "max_selection": {MaxSelection: "all"}, "allow_tokens": {AllowTokens: []string{}}, "refresh_revocation": {RefreshRevocation: "both"},
	} {
		fc := fileConfig{Hosts: map[string]hostConfig{"ghes.example": hc}}
		if err := (configFile{path: "/x"}).checkUnderstood(fc); err == nil || !strings.Contains(err.Error(), "hosts.ghes.example."+key) {
			t.Errorf("%s, understood: %v", key, err)
		}
		if err := (configFile{path: "/x", admin: true}).checkUnderstood(fc); err != nil {
			t.Errorf("%s of the admin: %v", key, err)
		}
		if err := (configFile{path: "/x"}).checkKey(hostKey{host: "h", key: key, line: 3}); err == nil || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s, written: %v", key, err)
		}
	}
	bad := fileConfig{Hosts: map[string]hostConfig{"ghes.example": {ClientID: "https://x"}}}
	if err := (configFile{path: "/x"}).checkUnderstood(bad); err == nil {
		t.Error("the shape of what was understood is not checked")
	}
}

// TestConfigPipe: a pipe in a file's place is refused, not waited for.
func TestConfigPipe(t *testing.T) {
	b := newBench(t, fake.Switches{})
	path := filepath.Join(t.TempDir(), "pipe.yaml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	b.env["DAYPASS_CONFIG"] = path
	said := make(chan error, 1)
	go func() {
		_, err := b.loadConfig()
		said <- err
	}()
	select {
	case err := <-said:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("said %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for somebody to write to the pipe")
	}
}

// TestConfigHere: a relative name would be looked up in the current folder.
func TestConfigHere(t *testing.T) {
	inClone(t, map[string]string{"user.yaml": "host: evil.example\n"})
	for _, name := range []string{"user.yaml", "./user.yaml", "~/user.yaml", "a\x1b[2J"} {
		b := newBench(t, fake.Switches{})
		b.env["DAYPASS_CONFIG"] = name
		_, err := b.loadConfig()
		if err == nil || !strings.Contains(err.Error(), "full path") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestOutsider: only a number that nobody inside can have stands for root outside.
func TestOutsider(t *testing.T) {
	const rootless, whole = "         0       1000          1\n         1     100000      65000\n", "         0          0 4294967295\n"
	for _, c := range []struct {
		name             string
		owner            uint32
		overflow, mapped string
		want             bool
	}{
		{"rootless", 65534, "65534\n", rootless, true},
		{"no container", 65534, "65534\n", whole, false},
		{"a whole range", 65534, "65534\n", "0 100000 65536\n", false},
		{"another number", 1001, "65534\n", rootless, false},
		{"another overflow number", 65534, "65533\n", rootless, false},
		{"odd map", 65534, "65534\n", "0 x 1\n", false},
		{"empty map", 65534, "65534\n", "", false},
		{"odd number", 65534, "\n", rootless, false},
	} {
		if got := outsider(c.owner, c.overflow, c.mapped); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if path := filepath.Join(t.TempDir(), "config.yaml"); closedPath(path, uint32(os.Geteuid())) {
		t.Error("a path below a folder that all write to is closed")
	}
	if closedPath("config.yaml", 0) || closedPath("/none/config.yaml", 0) {
		t.Error("a path that is none is closed")
	}
	if os.Geteuid() != 0 && !closedPath("/etc/passwd", 0) {
		t.Log("/etc is not laid out as usual here")
	}
}
