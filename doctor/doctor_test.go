package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/gitconf"
)

// A machine is a home, a system file and a /tmp of its own.
type machine struct {
	t         *testing.T
	dir, home string
	env       map[string]string
	Options
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: dir, home: filepath.Join(dir, "home")}
	m.env = map[string]string{"HOME": m.home, "PATH": os.Getenv("PATH"), "GIT_CONFIG_SYSTEM": filepath.Join(dir, "system")}
	getenv := func(k string) string { return m.env[k] }
	git, err := gitconf.Find(getenv)
	if err != nil {
		t.Fatal(err)
	}
	m.Options = Options{Git: git, Setup: gitconf.Setup{Git: git}, Getenv: getenv, Tmp: filepath.Join(dir, "tmp"),
		Helper: filepath.Join(dir, "bin", "git-credential-daypass"), Binary: filepath.Join(dir, "bin", "daypass")}
	m.write(m.Helper, "#!/bin/sh\n", 0o755)
	m.write(m.Binary, "#!/bin/sh\n", 0o755)
	os.MkdirAll(m.home, 0o700)
	os.MkdirAll(m.Tmp, 0o700)
	return m
}

func (m *machine) write(name, text string, mode os.FileMode) string {
	m.t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(m.home, name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		m.t.Fatal(err)
	}
	return name
}

func (m *machine) git(dir string, args ...string) {
	m.t.Helper()
	cmd := exec.Command(m.Git.Path, args...)
	cmd.Dir = dir
	for k, v := range m.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// setUp makes a machine on which nothing is wrong.
func (m *machine) setUp() {
	m.t.Helper()
	if _, err := os.Stat(filepath.Join(m.home, ".gitconfig")); err != nil {
		m.write(".gitconfig", "[user]\n\tname = Mona\n\temail = mona@example.org\n", 0o644)
	}
	if _, err := m.Setup.Apply(m.t.Context(), gitconf.Request{Origin: "https://github.com", Helper: m.Helper}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) scan() []Finding { return Scan(m.t.Context(), m.Options) }

// wrong returns "level:code" of all that is not OK, without git's own version.
func wrong(list []Finding) []string {
	var out []string
	for _, f := range list {
		if f.Level != OK && !strings.HasPrefix(f.Code, "git-cve") {
			out = append(out, string(f.Level)+":"+f.Code)
		}
	}
	return out
}

const (
	ghp = "ghp_0123456789abcdefghijABCDEFGHIJ01CANA"
	gho = "gho_0123456789abcdefghijABCDEFGHIJ02CANB"
	ghu = "ghu_0123456789abcdefghijABCDEFGHIJ03CANC"
	pat = "github_pat_11AAAAAAA0123456789_abcdefghijABCDEFGHIJ04CAND"
	gl  = "glpat-0123456789abcdefABCE"
	pw  = "correct-horse-battery-staple"
)

// Each case plants one thing on a machine that is right otherwise.
func TestChecks(t *testing.T) {
	for _, tc := range []struct {
		name  string
		plant func(m *machine)
		want  []string // what is wrong
		left  []string // what is wrong after Fix
		says  string   // somewhere in the findings
	}{
		{"nothing", func(m *machine) {}, nil, nil, "git asks daypass first for github.com"},
		{"helper after ours", func(m *machine) {
			m.write(".gitconfig", m.read(".gitconfig")+"[credential]\n\thelper = store\n", 0o644)
		}, []string{"bad:helper-copies"}, nil, "store gets a copy of each token"},
		{"helper of the repository", func(m *machine) {
			m.inRepo()
			m.git(m.Dir, "config", "credential.helper", "store --file=/scratch/evil")
		}, []string{"bad:helper-repository"}, []string{"bad:helper-repository"}, "this repository adds the helper"},
		{"helper of the environment", func(m *machine) {
			m.env["GIT_CONFIG_COUNT"], m.env["GIT_CONFIG_KEY_0"], m.env["GIT_CONFIG_VALUE_0"] = "1", "credential.helper", "cache"
		}, []string{"warn:helper-copies"}, []string{"warn:helper-copies"}, "the environment (GIT_CONFIG_COUNT)"},
		{"not set up", func(m *machine) {
			m.write(".gitconfig", "[user]\n\tname = Mona\n\temail = m@example.org\n[credential]\n\thelper = cache\n", 0o644)
		},
			[]string{"warn:helper-missing", "note:helper-other"}, []string{"warn:helper-missing", "note:helper-other"}, "daypass setup"},
		{"token in a remote", func(m *machine) {
			m.inRepo()
			m.git(m.Dir, "remote", "add", "origin", "https://mona:"+ghp+"@github.com/o/r")
			m.git(m.Dir, "remote", "set-url", "--push", "origin", "https://"+gho+"@github.com/o/r")
		}, []string{"bad:url-token", "bad:url-token"}, nil, "https://github.com/settings/tokens"},
		{"ContainDS", func(m *machine) {
			m.git(m.home, "config", "--global", "user.ghtoken", gho)
			m.git(m.home, "config", "--global", "user.name", "")
			m.git(m.home, "config", "--global", "url.https://mona:"+gho+"@github.com.insteadOf", "https://github.com")
			m.git(m.home, "config", "--global", "url.https://mona:"+gho+"@github.com/.insteadOf", "git@github.com:")
		}, []string{"bad:insteadof-token", "bad:insteadof-token", "bad:config-token", "warn:identity-empty"}, []string{"warn:identity-unset"}, "https://github.com/settings/applications"},
		{"https becomes ssh", func(m *machine) {
			m.git(m.home, "config", "--global", "url.git@github.com:.insteadOf", "https://github.com/")
		}, []string{"warn:insteadof-ssh"}, []string{"warn:insteadof-ssh"}, "become ssh for github.com"},
		{"header", func(m *machine) {
			m.git(m.home, "config", "--global", "http.https://github.com/.extraHeader", "Authorization: Basic "+pw)
		}, []string{"bad:header-token"}, []string{"bad:header-token"}, "a secret header to github.com"},
		{"helper with a password", func(m *machine) {
			m.write(".gitconfig", m.read(".gitconfig")+"[credential \"https://gitlab.com\"]\n\thelper = \"!f() { echo password="+gl+"; }; f\"\n", 0o644)
		}, []string{"bad:helper-token"}, []string{"bad:helper-token"}, ""},
		{"no identity", func(m *machine) { m.write(".gitconfig", "", 0o644); m.setUp() },
			[]string{"warn:identity-unset", "warn:identity-unset"}, []string{"warn:identity-unset", "warn:identity-unset"}, "git config --global user.name"},
		{"github-app-user-auth", func(m *machine) {
			m.write(filepath.Join(m.Tmp, "github-app-git-credentials"), "https://x-access-token:"+ghu+"@github.com\n", 0o660)
		}, []string{"bad:store-old"}, nil, "https://github.com/settings/apps/authorizations"},
		{"gh-scoped-creds' leftovers", func(m *machine) {
			m.write(filepath.Join(m.Tmp, "tmpabc_de12"), "https://x-access-token:"+ghu+"@github.com\n", 0o600)
			m.write(filepath.Join(m.Tmp, "tmpabc_de13"), "not a token\n", 0o600)
			m.write(filepath.Join(m.Tmp, "tmpabc_de14x"), "https://x-access-token:"+ghu+"@github.com\n", 0o600)
		}, []string{"warn:store-old"}, nil, "tmpabc_de12"},
		{"a store that git still asks", func(m *machine) {
			f := m.write(filepath.Join(m.Tmp, "tmpabc_de12"), "https://x-access-token:"+ghu+"@github.com\n", 0o600)
			m.write(".gitconfig", "[user]\n\tname = M\n\temail = m@example.org\n[credential \"https://github.com\"]\n\thelper = store --file="+f+"\n", 0o644)
		}, []string{"warn:helper-missing", "note:helper-other", "warn:store-used"}, []string{"warn:helper-missing", "note:helper-other", "warn:store-used"}, ""},
		{"a link in /tmp", func(m *machine) {
			f := m.write("precious", "https://x-access-token:"+ghu+"@github.com\n", 0o600)
			os.Symlink(f, filepath.Join(m.Tmp, "github-app-git-credentials"))
		}, nil, nil, ""},
		{"git-credentials", func(m *machine) {
			m.write(".git-credentials", "https://mona:"+pat+"@github.com\nhttps://oauth2:"+gl+"@gitlab.example\n", 0o644)
			m.write(".config/git/credentials", "https://mona:"+pw+"@git.example\n", 0o600)
		}, []string{"warn:store-plain", "warn:store-plain", "warn:store-plain", "bad:mode-wide"}, []string{"warn:store-plain", "warn:store-plain", "warn:store-plain"}, "https://gitlab.example/-/user_settings/personal_access_tokens"},
		{"netrc", func(m *machine) {
			m.write(".netrc", "machine github.com login mona password "+ghp+"\nmachine x.example\n  login y\n  password "+pw+"\n", 0o640)
		}, []string{"warn:netrc", "warn:netrc", "bad:mode-wide"}, []string{"warn:netrc", "warn:netrc"}, "for x.example"},
		{"gh", func(m *machine) {
			m.write(".config/gh/hosts.yml", "github.com:\n    users:\n        mona:\n            oauth_token: "+gho+"\n    git_protocol: https\n    oauth_token: "+gho+"\n    user: mona\n", 0o600)
		}, []string{"warn:gh-token"}, []string{"warn:gh-token"}, "gh auth logout --hostname github.com"},
		{"wide folders", func(m *machine) {
			m.env["DAYPASS_RUNTIME_DIR"] = filepath.Join(m.dir, "run")
			os.Mkdir(m.env["DAYPASS_RUNTIME_DIR"], 0o755)
			os.Mkdir(filepath.Join(m.home, ".ssh"), 0o700)
			os.Chmod(filepath.Join(m.home, ".ssh"), 0o777)
			os.Chmod(m.Binary, 0o775)
			os.Chmod(filepath.Dir(m.Helper), 0o777)
		}, []string{"bad:mode-wide", "bad:mode-wide", "bad:program-writable", "bad:program-writable"}, nil, "Whoever changes it gets the tokens"},
		{"proxies", func(m *machine) {
			m.env["HTTPS_PROXY"], m.env["http_proxy"] = "http://mona:"+pw+"@outbound.example:3128", "plain.example:80"
			m.git(m.home, "config", "--global", "http.proxy", "http://u:"+pw+"@gitproxy.example")
		}, []string{"warn:proxy-password", "warn:proxy-password", "note:proxy"}, []string{"warn:proxy-password", "warn:proxy-password", "note:proxy"}, "outbound.example:3128"},
		{"environment", func(m *machine) { m.env["GITHUB_TOKEN"] = ghu }, []string{"warn:env-token"}, []string{"warn:env-token"}, "GITHUB_TOKEN holds ghu_…CANC"},
		{"broken configuration", func(m *machine) { m.write(".gitconfig", "[user\n", 0o644) },
			[]string{"bad:git-config-unreadable"}, []string{"bad:git-config-unreadable"}, "line 1 in file ~/.gitconfig"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t)
			m.setUp()
			tc.plant(m)
			list := m.scan()
			if got := wrong(list); !slices.Equal(got, tc.want) {
				t.Errorf("wrong: %v, want %v\n%s", got, tc.want, Bundle(list))
			}
			noSecrets(t, m, list)
			if all := fmt.Sprintf("%+v", list); !strings.Contains(all, tc.says) {
				t.Errorf("nothing says %q\n%s", tc.says, Bundle(list))
			}
			for range 2 { // mending twice is mending once
				for _, f := range list {
					if !f.Fixable {
						continue
					}
					if err := Fix(t.Context(), f); err != nil {
						t.Errorf("Fix(%s): %v", f.Code, err)
					}
				}
			}
			list = m.scan()
			if got := wrong(list); !slices.Equal(got, tc.left) {
				t.Errorf("wrong after Fix: %v, want %v\n%s", got, tc.left, Bundle(list))
			}
		})
	}
}

func (m *machine) read(name string) string {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.home, name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

func (m *machine) inRepo() {
	m.Dir = filepath.Join(m.home, "r")
	m.git(m.home, "init", "-q", m.Dir)
}

// noSecrets fails where a planted secret, or the home folder in a bundle, shows.
func noSecrets(t *testing.T, m *machine, list []Finding) {
	t.Helper()
	asJSON, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{"findings": fmt.Sprintf("%+v %#v", list, list), "json": string(asJSON), "bundle": string(Bundle(list)), "line": SupportLine(list)}
	for where, text := range shown {
		for _, secret := range []string{ghp, gho, ghu, pat, gl, pw} {
			for i := 0; i+9 <= len(secret); i++ {
				if part := secret[i : i+9]; strings.Contains(text, part) && part != "github_pa" && part != "ithub_pat" && part != "thub_pat_" {
					t.Fatalf("%s shows %q of a secret:\n%s", where, part, text)
				}
			}
		}
		if (where == "bundle" || where == "line") && strings.Contains(text, m.home) {
			t.Errorf("%s shows the home folder:\n%s", where, text)
		}
	}
	if strings.Contains(SupportLine(list), "\n") {
		t.Error("the support line is not one line")
	}
}

func TestKeys(t *testing.T) {
	m := newMachine(t)
	m.setUp()
	if _, err := exec.LookPath("ssh-keygen"); err == nil {
		os.Mkdir(filepath.Join(m.home, ".ssh"), 0o700)
		for name, args := range map[string][]string{
			"bare": {"-t", "ed25519", "-N", ""}, "locked": {"-t", "ed25519", "-N", "passphrase"},
			"bare_pem": {"-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""}, "locked_pem": {"-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "passphrase"},
			"bare_pkcs8": {"-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", ""}, "locked_pkcs8": {"-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "passphrase"},
		} {
			if out, err := exec.Command("ssh-keygen", append(args, "-q", "-f", filepath.Join(m.home, ".ssh", name))...).CombinedOutput(); err != nil {
				t.Fatalf("ssh-keygen: %v\n%s", err, out)
			}
		}
		var got []string
		for _, f := range m.scan() {
			if f.Code == "ssh-key-bare" {
				if f.Fixable {
					t.Error("daypass would touch a key")
				}
				got = append(got, strings.Fields(f.Title)[0])
			}
		}
		if want := []string{"~/.ssh/bare", "~/.ssh/bare_pem", "~/.ssh/bare_pkcs8"}; !slices.Equal(got, want) {
			t.Errorf("keys without a passphrase: %v, want %v", got, want)
		}
	}
	for head, want := range map[string][2]bool{
		"": {}, "-----BEGIN PUBLIC KEY-----\nAAAA": {}, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n": {},
		"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n": {false, true}, "-----BEGIN EC PRIVATE KEY-----\r\nMHc\r\n": {true, true},
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII": {false, true}, "-----BEGIN OPENSSH PRIVATE KEY-----\n" + strings.Repeat("A", 80): {},
		"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n": {true, true},
	} {
		if bare, known := withoutPassphrase([]byte(head)); bare != want[0] || known != want[1] {
			t.Errorf("withoutPassphrase(%q) = %v, %v", head, bare, known)
		}
	}
}

// Between the look and the mending the file was replaced: hands off.
func TestFixChecksTheFileAgain(t *testing.T) {
	m := newMachine(t)
	m.setUp()
	path := m.write(filepath.Join(m.Tmp, "github-app-git-credentials"), "https://x-access-token:"+ghu+"@github.com\n", 0o666)
	var found []Finding
	for _, f := range m.scan() {
		if f.Fixable {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		t.Fatalf("found %v", found)
	}
	precious := m.write("precious", "x", 0o644)
	os.Rename(path, path+".old")
	os.Symlink(precious, path)
	if err := Fix(t.Context(), found[0]); err == nil {
		t.Error("deleted what took the file's place")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	if err := Fix(context.Background(), Finding{Code: "netrc"}); err != ErrNotFixable {
		t.Errorf("Fix = %v", err)
	}
}

func TestWithoutGit(t *testing.T) {
	m := newMachine(t)
	m.Git = gitconf.Git{}
	if got := wrong(m.scan()); !slices.Equal(got, []string{"bad:git-missing"}) {
		t.Errorf("wrong: %v", got)
	}
	if Worst(m.scan()) != Bad || Worst(nil) != OK {
		t.Error("Worst")
	}
}

func TestClock(t *testing.T) {
	server := time.Unix(1e9, 0)
	for skew, want := range map[time.Duration]Level{0: OK, 29 * time.Second: OK, -time.Minute: Warn, time.Minute: Warn, time.Hour: Bad, -time.Hour: Bad} {
		if f := Clock(server, server.Add(skew)); f.Level != want {
			t.Errorf("Clock(%v) = %+v", skew, f)
		}
	}
}

func TestAdminSettings(t *testing.T) {
	const app = "https://github.com/apps/my-hub"
	for _, tc := range []struct{ client, url, want string }{
		{"Iv1.0123456789abcdef", app, ""}, {"Iv23liABCDEFGHIJKLMN", app, ""}, {"", "", ""},
		{app, "Iv1.0123456789abcdef", "client-id-url app-url-shape"}, {"123456", app, "client-id-number"},
		{strings.Repeat("0a", 20), app, "client-id-secret"}, {"Ov23liABCDEFGHIJKLMN", app, "client-id-oauth"},
		{"x", app, "client-id-shape"}, {"Iv1.0123456789abcdef", "http://github.com/apps/x", "app-url-shape"}, {"Iv1.0123456789abcdef", "https://github.com/x", "app-url-shape"},
	} {
		var got []string
		for _, f := range AdminSettings(tc.client, tc.url) {
			got = append(got, f.Code)
			if tc.client != "" && len(tc.client) == 40 && strings.Contains(fmt.Sprint(f), tc.client) {
				t.Error("a client secret shows")
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("AdminSettings(%q, %q) = %v, want %s", tc.client, tc.url, got, tc.want)
		}
	}
}

func TestBundleIsASecondSieve(t *testing.T) {
	list := []Finding{{Code: "x", Level: Bad, Title: "token " + ghp + " in /home/mona/x", Detail: "https://a:" + pw + "@h/ by mona@example.org \x1b[2J", Fix: "/root/x"}}
	for _, leak := range []string{ghp, pw, "/home/mona", "mona@example", "\x1b", "/root"} {
		if strings.Contains(string(Bundle(list)), leak) {
			t.Errorf("the bundle shows %q:\n%s", leak, Bundle(list))
		}
	}
}
