package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitcred"
	"github.com/daypass-dev/daypass/internal/shipping"
	"github.com/daypass-dev/daypass/wallet"
)

// shipment is built once for all tests of a run.
var shipment = shipping.New("git-credential-daypass")

func TestMain(m *testing.M) { os.Exit(shipment.Run(m)) }

// A stage is a directory with the real helper in it, a daypass beside it that
// is a shell script, and a wallet.
type stage struct {
	t         *testing.T
	dir       string
	env       []string
	walletDir string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir := shipment.Own(t)
	for _, d := range []string{dir, filepath.Dir(dir)} { // whatever the umask
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &stage{t: t, dir: dir, walletDir: t.TempDir() + "/wallet"}
	s.env = []string{"DAYPASS_RUNTIME_DIR=" + s.walletDir, "PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	s.daypass("exit 3")
	return s
}

// daypass puts a program beside the helper. It writes down its arguments and
// what it was asked before it runs the script.
func (s *stage) daypass(script string) {
	s.t.Helper()
	text := "#!/bin/sh\necho \"$*\" >>" + s.dir + "/calls\ncat >>" + s.dir + "/calls\n" + script + "\n"
	if err := os.WriteFile(s.dir+"/daypass", []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// calls returns what daypass was asked, and forgets it.
func (s *stage) calls() string {
	b, _ := os.ReadFile(s.dir + "/calls")
	os.Remove(s.dir + "/calls")
	return string(b)
}

func (s *stage) put(entries ...wallet.Entry) {
	s.t.Helper()
	w, err := wallet.Open(wallet.Options{Now: time.Now, UID: os.Geteuid(), Getenv: func(k string) string {
		if k == "DAYPASS_RUNTIME_DIR" {
			return s.walletDir
		}
		return ""
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Put(e); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *stage) run(op, in string, env ...string) (out, messages string) {
	s.t.Helper()
	cmd := exec.Command(s.dir+"/git-credential-daypass", op)
	cmd.Stdin = strings.NewReader(in)
	cmd.Env = append(append([]string{}, s.env...), env...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil {
		s.t.Errorf("%s of %.200q: %v, want exit status 0", op, in, err)
	}
	return o.String(), e.String()
}

var until = time.Now().Add(8 * time.Hour).Truncate(time.Second)

const secret = "ghu_wideWIDEwideWIDEwideWIDEwide0001"

// entry is a credential for host, limited to repo where that is not "".
func entry(host, repo, token string, change ...func(*wallet.Entry)) wallet.Entry {
	e := wallet.Entry{Authority: wallet.Login, Scheme: "https", Origin: "login", ProviderName: "GitHub",
		Credential: daypass.Credential{Scope: daypass.Scope{Host: host, All: repo == "", Access: daypass.Write, Until: until},
			Account: "octocat", Username: "x-access-token", Token: daypass.NewSecret(token)},
		WebURL: "https://github.com", AppURL: "https://github.com/apps/lab"}
	if repo != "" {
		r, _ := daypass.ParseRepo(repo)
		r.ID = int64(len(repo))*1000 + int64(repo[len(repo)-1])
		e.Credential.Scope.Repos = []daypass.Repo{r}
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func answer(token string) string {
	return fmt.Sprintf("username=x-access-token\npassword=%s\npassword_expiry_utc=%d\n", token, until.Unix())
}

// TestAttacks holds the hostile requests of the attack table by their bytes. The
// numbers are those of the rows. The wallet holds a credential that is good for
// all of github.com; none of these may have it.
func TestAttacks(t *testing.T) {
	s := newStage(t)
	s.put(entry("github.com", "", secret))
	s.daypass("echo username=x; echo password=STOLEN") // daypass itself has no part in these
	wide := "path=good/repo\n"
	for _, c := range []struct{ name, in string }{
		{"1 second host by LF", "protocol=https\nhost=evil.example\npath=\nhost=github.com\n"},
		{"1 second host, ours first", "protocol=https\nhost=github.com\nhost=evil.example\n"},
		{"1 same host twice", "protocol=https\nhost=github.com\nhost=github.com\n" + wide},
		{"1 second protocol", "protocol=http\nprotocol=https\nhost=github.com\n"},
		{"1 second path", "protocol=https\nhost=github.com\npath=evil/x\npath=good/repo\n"},
		{"2 no host", "protocol=https\n\n"},
		{"2 empty host", "host=\nprotocol=https\n\n"},
		{"2 nothing", ""},
		{"2 only an empty line", "\n"},
		{"2 no protocol", "host=github.com\n\n"},
		{"3 bare CR in host", "protocol=https\nhost=evil.example\rhost=github.com\n\n"},
		{"3 two CRs at the end", "protocol=https\nhost=github.com\r\r\n\n"},
		{"3 next line U+0085", "protocol=https\nhost=evil.example\xc2\x85host=github.com\n\n"},
		{"3 line separator U+2028", "protocol=https\nhost=evil.example\xe2\x80\xa8host=github.com\n\n"},
		{"3 vertical tab", "protocol=https\nhost=evil.example\vhost=github.com\n\n"},
		{"3 form feed", "protocol=https\nhost=evil.example\fhost=github.com\n\n"},
		{"4 NUL in host", "protocol=https\nhost=evil.example\x00.github.com\n\n"},
		{"4 NUL behind host", "protocol=https\nhost=github.com\x00.evil.example\n\n"},
		{"4 NUL elsewhere", "protocol=https\nhost=github.com\nwwwauth[]=a\x00b\n\n"},
		{"4 escape in username", "protocol=https\nhost=github.com\nusername=\x1b[2Joctocat\n"},
		{"4 DEL in username", "protocol=https\nhost=github.com\nusername=octocat\x7f\n"},
		{"5 escape in host", "protocol=https\nhost=github.com\x1b[1A\x1b[2K\n"},
		{"9 port 0443", "protocol=https\nhost=github.com:0443\n"},
		{"9 empty port", "protocol=https\nhost=github.com:\n"},
		{"9 port not a number", "protocol=https\nhost=github.com:x\n"},
		{"10 http", "protocol=http\nhost=github.com\n\n"},
		{"10 ftp", "protocol=ftp\nhost=github.com\n\n"},
		{"10 HTTPS in capitals", "protocol=HTTPS\nhost=github.com\n\n"},
		{"10 ssh", "protocol=ssh\nhost=github.com\n\n"},
		{"11 trailing dot", "protocol=https\nhost=github.com.\n\n"},
		{"11 userinfo", "protocol=https\nhost=github.com@evil.example\n\n"},
		{"11 userinfo before", "protocol=https\nhost=evil.example@github.com\n\n"},
		{"11 slash", "protocol=https\nhost=github.com/evil\n\n"},
		{"11 question mark", "protocol=https\nhost=github.com?evil\n\n"},
		{"11 hash", "protocol=https\nhost=github.com#evil\n\n"},
		{"11 backslash", "protocol=https\nhost=github.com\\evil\n\n"},
		{"11 space", "protocol=https\nhost=github.com \n\n"},
		{"11 leading space", "protocol=https\nhost= github.com\n\n"},
		{"12 gîthub", "protocol=https\nhost=g\xc3\xaethub.com\n\n"},
		{"12 ideographic stop", "protocol=https\nhost=github\xe3\x80\x82com\n\n"},
		{"12 Kelvin sign folds to k in Unicode", "protocol=https\nhost=githu\xe2\x84\xaa.com\n\n"},
		{"13 dot segments", "protocol=https\nhost=github.com\npath=good/repo/../../evil/x.git\n"},
		{"13 empty segment", "protocol=https\nhost=github.com\npath=good//repo\n"},
		{"13 leading slash", "protocol=https\nhost=github.com\npath=/good/repo\n"},
		{"13 trailing slash", "protocol=https\nhost=github.com\npath=good/repo/\n"},
		{"13 .git twice", "protocol=https\nhost=github.com\npath=good/repo.git.git\n"},
		{"13 query", "protocol=https\nhost=github.com\npath=good/repo?x\n"},
		{"13 owner only", "protocol=https\nhost=github.com\npath=good\n"},
		{"13 name is two dots", "protocol=https\nhost=github.com\npath=good/..\n"},
		{"13 name is one dot", "protocol=https\nhost=github.com\npath=good/..git\n"},
		{"13 only .git", "protocol=https\nhost=github.com\npath=good/.git\n"},
		{"13 still encoded", "protocol=https\nhost=github.com\npath=good%2frepo\n"},
		{"13 empty path", "protocol=https\nhost=github.com\npath=\n"},
		{"13 LFS twice", "protocol=https\nhost=github.com\npath=good/repo.git/info/lfs/info/lfs\n"},
		{"13 backslash in path", "protocol=https\nhost=github.com\npath=good\\repo\n"},
		{"13 not ASCII", "protocol=https\nhost=github.com\npath=good/rep\xc3\xb6\n"},
		{"no equals sign", "protocol=https\nhost=github.com\ngarbage\n"},
		{"key in capitals", "protocol=https\nHOST=github.com\n"},
		{"key with a space", "protocol=https\nhost =github.com\n"},
		{"url replaces what came before", "protocol=https\nhost=github.com\nurl=https://evil.example/\n"},
		{"host behind the empty line", "protocol=https\n\nhost=github.com\n"},
		{"another's username", "protocol=https\nhost=github.com\nusername=mallory\n"},
		{"21 host of 64 KiB", "protocol=https\nhost=" + strings.Repeat("a", 64<<10) + "\n"},
		{"21 more than 1 MiB", "protocol=https\nhost=github.com\nwwwauth[]=" + strings.Repeat("a", 1<<20) + "\n"},
		{"21 path of 64 KiB", "protocol=https\nhost=github.com\npath=good/" + strings.Repeat("r", 64<<10) + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, messages := s.run("get", c.in)
			if out != "" {
				t.Errorf("get of %.200q printed %q, want nothing", c.in, out)
			}
			if calls := s.calls(); calls != "" {
				t.Errorf("get of %.200q asked daypass %q, want nothing", c.in, calls)
			}
			harmlessText(t, messages)
		})
	}
}

// Hosts that nobody set up are daypass's to know: it is asked, and a credential
// of the wallet is not given.
func TestOtherHosts(t *testing.T) {
	s := newStage(t)
	s.put(entry("github.com", "", secret), entry("github.com", "good/repo", secret+"2"))
	for _, host := range []string{
		"evil.example", "foo.github.com", "www.github.com", "github.com.evil.example", "evilgithub.com", "gist.evil.example",
		"gist.github.com", "github.com:443", "github.com:8443", "xn--gthub-cza.com", "a.ghe.com", "127.0.0.1", "localhost",
	} {
		for _, path := range []string{"", "path=good/repo\n"} {
			in := "protocol=https\nhost=" + host + "\n" + path + "wwwauth[]=Basic realm=\"GitHub\"\n"
			out, _ := s.run("get", in, "GH_ENTERPRISE_TOKEN=x", "CODESPACES=true", "GITHUB_TOKEN=x")
			if out != "" {
				t.Errorf("get of %q printed %q, want nothing", in, out)
			}
			want := "credential get\nprotocol=https\nhost=" + host + "\n" + path + "\n"
			if got := s.calls(); got != want {
				t.Errorf("get of %q asked %q, want %q", in, got, want)
			}
		}
	}
}

func harmlessText(t *testing.T, s string) {
	t.Helper()
	for _, c := range []byte(s) {
		if c < 0x20 && c != '\n' || c == 0x7f {
			t.Errorf("message %q holds a control byte", s)
			return
		}
	}
	if strings.Count(s, "\n") > 1 {
		t.Errorf("message %q is more than one line", s)
	}
}

func TestGet(t *testing.T) {
	s := newStage(t)
	wide, narrow := secret, "ghu_narrowNARROWnarrow0002"
	s.put(entry("github.com", "", wide), entry("github.com", "good/repo", narrow),
		entry("git.example:8443", "", "ghu_port"), entry("limited.example", "o/r", "ghu_limited"),
		entry("127.0.0.1:8080", "", "ghu_loop", func(e *wallet.Entry) { e.Scheme = "http" }))
	basic := gitcred.Basic("x-access-token", daypass.NewSecret(narrow)).Reveal()
	for _, c := range []struct{ name, in, want string }{
		{"all of the host", "protocol=https\nhost=github.com\n", answer(wide)},
		{"11 capitals in host", "protocol=https\nhost=GitHub.com\n\n", answer(wide)},
		{"narrowest", "protocol=https\nhost=github.com\npath=good/repo.git\n", answer(narrow)},
		{"13 capitals in path", "protocol=https\nhost=github.com\npath=GOOD/Repo\n", answer(narrow)},
		{"LFS", "protocol=https\nhost=github.com\npath=good/repo.git/info/lfs\n", answer(narrow)},
		{"another repository", "protocol=https\nhost=github.com\npath=good/other\n", answer(wide)},
		{"lines end in CR LF", "protocol=https\r\nhost=github.com\r\npath=good/repo\r\n\r\n", answer(narrow)},
		{"no line end at the end", "protocol=https\nhost=github.com\npath=good/repo", answer(narrow)},
		{"9 a port that login named", "protocol=https\nhost=git.example:8443\n", answer("ghu_port")},
		{"http to loopback that login named", "protocol=http\nhost=127.0.0.1:8080\n", answer("ghu_loop")},
		{"our username", "protocol=https\nhost=github.com\npath=good/repo\nusername=x-access-token\n", answer(narrow)},
		{"our account", "protocol=https\nhost=github.com\npath=good/repo\nusername=OctoCat\n", answer(narrow)},
		{"last username", "protocol=https\nhost=github.com\nusername=mallory\nusername=octocat\n", answer(wide)},
		{"unknown keys", "protocol=https\nhost=github.com\nstate[]=x\nnew=1\n=\n", answer(wide)},
		{"wwwauth of 200 kB", "protocol=https\nhost=github.com\nwwwauth[]=" + strings.Repeat("a", 200_000) + "\n", answer(wide)},
		{"git 2.46", "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=github.com\npath=good/repo\n",
			fmt.Sprintf("capability[]=authtype\nauthtype=Basic\ncredential=%s\nephemeral=1\npassword_expiry_utc=%d\n", basic, until.Unix())},
		{"capability taken back", "capability[]=authtype\ncapability[]=\nprotocol=https\nhost=github.com\n", answer(wide)},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, messages := s.run("get", c.in)
			if out != c.want || messages != "" {
				t.Errorf("get of %.200q = %q and told %q, want %q", c.in, out, messages, c.want)
			}
			if calls := s.calls(); calls != "" {
				t.Errorf("get of %.200q asked daypass %q, want nothing", c.in, calls)
			}
		})
	}
	// Row 14: no path, and only credentials that are limited to repositories.
	out, messages := s.run("get", "protocol=https\nhost=limited.example\n")
	if out != "quit=1\n" || !strings.Contains(messages, "credential.https://limited.example.useHttpPath true [DP-112]") {
		t.Errorf("get without a path = %q, %q; want quit=1 and advice", out, messages)
	}
}

func TestNoticeOfUnseen(t *testing.T) {
	s := newStage(t)
	s.put(entry("github.com", "", secret, func(e *wallet.Entry) {
		e.Seen, e.SeenComplete = []string{"octo/one", "lab/*"}, true
	}))
	for path, notice := range map[string]bool{"octo/one": false, "LAB/any": false, "octo/two": true, "lab2/x": true} {
		out, messages := s.run("get", "protocol=https\nhost=github.com\npath="+path+".git\n")
		if out != answer(secret) {
			t.Errorf("get of %s = %q, want an answer", path, out)
		}
		want := ""
		if notice {
			want = "daypass: login did not see " + path + " among the repositories this App may push to; a 403 means the App is not installed there: https://github.com/apps/lab [DP-111]\n"
		}
		if messages != want {
			t.Errorf("get of %s told %q, want %q", path, messages, want)
		}
	}
}

func TestMiss(t *testing.T) {
	s := newStage(t)
	const in = "protocol=https\nhost=new.example\npath=o/r\n"
	far := until.Unix()
	past := time.Now().Add(-time.Minute).Unix()
	for _, c := range []struct{ name, script, out, messages string }{
		{"an answer", fmt.Sprintf("echo username=u; echo password=p; echo password_expiry_utc=%d", far),
			fmt.Sprintf("username=u\npassword=p\npassword_expiry_utc=%d\n", far), ""},
		{"host echoed", "echo protocol=https; echo host=NEW.example; echo username=u; echo password=p", "username=u\npassword=p\n", ""},
		{"another host", "echo host=evil.example; echo username=u; echo password=p", "", ""},
		{"another protocol", "echo protocol=http; echo username=u; echo password=p", "", ""},
		{"expired", fmt.Sprintf("echo username=u; echo password=p; echo password_expiry_utc=%d", past), "", ""},
		{"expiry not a number", "echo username=u; echo password=p; echo password_expiry_utc=soon", "", ""},
		{"unknown key", "echo username=u; echo password=p; echo url=x", "", ""},
		{"not announced", "echo authtype=Basic; echo credential=eDp5", "", ""},
		{"half", "echo username=u", "", ""},
		{"quit", "echo quit=1; echo 'your access ended' >&2; exit 3", "quit=1\n", "your access ended\n"},
		{"a failure gives nothing", "echo username=u; echo password=p; exit 1", "", ""},
		{"torn", "echo username=u; printf password=p", "", ""},
		{"CR inside", "printf 'username=u\\npassword=p\\rx\\n'", "", ""},
		{"too long", "echo username=u; head -c 70000 /dev/zero | tr '\\0' p", "", ""},
		{"hostile message", "printf '\\033[2Jred\\302\\233x \\342\\200\\256\\n' >&2", "", `\x1b[2Jred\u009bx \u202e` + "\n"},
		{"killed", "echo username=u; echo password=p; kill -9 $$", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.daypass(c.script)
			out, messages := s.run("get", in)
			if out != c.out || messages != c.messages {
				t.Errorf("get = %q, %q; want %q, %q", out, messages, c.out, c.messages)
			}
		})
	}
}

// What others might have put in daypass's place is not run.
func TestPlantedDaypass(t *testing.T) {
	const in = "protocol=https\nhost=new.example\npath=o/r\n"
	bad := t.TempDir()
	if err := os.WriteFile(bad+"/daypass", []byte("#!/bin/sh\ntouch "+bad+"/ran\necho username=u\necho password=STOLEN\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(s *stage) error{
		"missing": func(s *stage) error { return os.Remove(s.dir + "/daypass") },
		"link": func(s *stage) error {
			os.Remove(s.dir + "/daypass")
			return os.Symlink(bad+"/daypass", s.dir+"/daypass")
		},
		"writable by others":   func(s *stage) error { return os.Chmod(s.dir+"/daypass", 0o757) },
		"writable by group":    func(s *stage) error { return os.Chmod(s.dir+"/daypass", 0o775) },
		"not executable":       func(s *stage) error { return os.Chmod(s.dir+"/daypass", 0o644) },
		"directory of others":  func(s *stage) error { return os.Chmod(s.dir, 0o777) },
		"directory of a group": func(s *stage) error { return os.Chmod(s.dir, 0o775) },
		"another user's":       func(s *stage) error { return os.Chown(s.dir+"/daypass", 65534, 65534) },
		"another's directory":  func(s *stage) error { return os.Chown(s.dir, 65534, 65534) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.daypass("touch " + bad + "/ran; echo username=u; echo password=STOLEN")
			if err := spoil(s); err != nil {
				t.Skip(err) // chown needs root
			}
			out, messages := s.run("get", in, "PATH="+bad+":"+os.Getenv("PATH"))
			if out != "" || !strings.Contains(messages, "[DP-110]") {
				t.Errorf("get = %q, %q; want nothing and advice", out, messages)
			}
			if _, err := os.Stat(bad + "/ran"); err == nil {
				t.Error("the planted daypass ran")
			}
		})
	}
}

func TestRenewal(t *testing.T) {
	soon := func(e *wallet.Entry) { e.Credential.Scope.Until = time.Now().Add(30 * time.Second) }
	renew := func(e *wallet.Entry) { e.RenewUntil = time.Now().Add(time.Hour) }
	const in = "protocol=https\nhost=github.com\n"
	s := newStage(t)
	s.put(entry("github.com", "", secret, soon))
	if out, _ := s.run("get", in); !strings.Contains(out, secret) || s.calls() != "" {
		t.Errorf("with 30 s left and no renewal: %q, want the credential", out)
	}
	s.put(entry("github.com", "", secret, soon, renew))
	if out, _ := s.run("get", in); !strings.Contains(out, secret) || s.calls() == "" {
		t.Errorf("where renewal failed: %q, want the credential after asking", out)
	}
	s.daypass("echo username=u; echo password=new")
	if out, _ := s.run("get", in); out != "username=u\npassword=new\n" {
		t.Errorf("where renewal went well: %q, want the new credential", out)
	}
	s.put(entry("github.com", "", secret, renew, func(e *wallet.Entry) { e.Credential.Scope.Until = time.Now().Add(-time.Second) }))
	s.daypass("exit 5")
	if out, _ := s.run("get", in); out != "" {
		t.Errorf("expired: %q, want nothing", out)
	}
}

// A login's token is never given to a process that presents a narrower pass.
func TestAuthority(t *testing.T) {
	s := newStage(t)
	const url, pass = "https://broker.example", "dp_pass"
	s.put(entry("github.com", "", secret), entry("github.com", "", "ghu_pass", func(e *wallet.Entry) {
		e.Authority = wallet.PresentedBy(url, pass)
	}))
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(pass+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open")
	os.WriteFile(open, []byte(pass), 0o600)
	os.Chmod(open, 0o666)
	for _, c := range []struct {
		name, want string
		env        []string
	}{
		{"login", answer(secret), nil},
		{"a pass", answer("ghu_pass"), []string{"DAYPASS_URL=" + url, "DAYPASS_TOKEN=" + pass}},
		{"a pass in a file", answer("ghu_pass"), []string{"DAYPASS_URL=" + url, "DAYPASS_TOKEN_FILE=" + file}},
		{"the hub's token", answer("ghu_pass"), []string{"DAYPASS_URL=" + url, "JUPYTERHUB_API_TOKEN=" + pass}},
		{"another pass", "", []string{"DAYPASS_URL=" + url, "DAYPASS_TOKEN=narrower"}},
		{"another broker", "", []string{"DAYPASS_URL=https://evil.example", "DAYPASS_TOKEN=" + pass}},
		{"a pass and no broker", "", []string{"DAYPASS_TOKEN=" + pass}},
		{"a hub's token and no broker", answer(secret), []string{"JUPYTERHUB_API_TOKEN=" + pass}},
		{"a file that is missing", "", []string{"DAYPASS_URL=" + url, "DAYPASS_TOKEN_FILE=" + file + "x"}},
		{"a file that others can write", "", []string{"DAYPASS_URL=" + url, "DAYPASS_TOKEN_FILE=" + open}},
		{"a relative file", "", []string{"DAYPASS_URL=" + url, "DAYPASS_TOKEN_FILE=token"}},
		{"a directory", "", []string{"DAYPASS_URL=" + url, "DAYPASS_TOKEN_FILE=/"}},
	} {
		if out, _ := s.run("get", "protocol=https\nhost=github.com\n", c.env...); out != c.want {
			t.Errorf("%s: %q, want %q", c.name, out, c.want)
		}
	}
}

// Row 34: who does not know the secret cannot make us forget it.
func TestErase(t *testing.T) {
	s := newStage(t)
	s.put(entry("github.com", "", secret))
	basic := gitcred.Basic("x-access-token", daypass.NewSecret(secret)).Reveal()
	for _, c := range []struct {
		name, in string
		asks     bool
	}{
		{"only a host", "protocol=https\nhost=github.com\n", false},
		{"empty", "", false},
		{"another password", "protocol=https\nhost=github.com\nusername=x-access-token\npassword=old\n", false},
		{"another host", "protocol=https\nhost=evil.example\npassword=" + secret + "\n", false},
		{"http", "protocol=http\nhost=github.com\npassword=" + secret + "\n", false},
		{"ours", "protocol=https\nhost=github.com\nusername=x-access-token\npassword=" + secret + "\n", true},
		{"our header", "capability[]=authtype\nprotocol=https\nhost=github.com\nauthtype=Basic\ncredential=" + basic + "\n", true},
		{"another header", "protocol=https\nhost=github.com\nauthtype=Basic\ncredential=eDp5\n", false},
	} {
		out, messages := s.run("erase", c.in)
		if calls := s.calls(); out != "" || strings.HasPrefix(calls, "credential erase\n") != c.asks {
			t.Errorf("%s: erase printed %q, told %q, asked %q", c.name, out, messages, calls)
		}
	}
	if out, _ := s.run("get", "protocol=https\nhost=github.com\n"); out != answer(secret) {
		t.Errorf("after erase, get = %q; the helper must not write", out)
	}
}

func TestOperations(t *testing.T) {
	s := newStage(t)
	s.put(entry("github.com", "", secret))
	for op, want := range map[string]string{"capability": "version 0\ncapability authtype\n", "store": "", "unknown": "", "--version": "git-credential-daypass " + daypass.Version + "\n"} {
		if out, messages := s.run(op, "protocol=https\nhost=github.com\nusername=u\npassword=p\n"); out != want || messages != "" {
			t.Errorf("%s = %q, %q; want %q", op, out, messages, want)
		}
	}
	err := exec.Command(s.dir + "/git-credential-daypass").Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 2 {
		t.Errorf("without arguments: %v, want exit status 2", err)
	}
}

// Row 21: a caller that keeps standard input open hangs nobody for long, and one
// that has sent the empty line is answered at once.
func TestStandardInputHeldOpen(t *testing.T) {
	s := newStage(t)
	s.put(entry("github.com", "", secret))
	for _, c := range []struct {
		in, want string
		within   time.Duration
	}{
		{"protocol=https\nhost=github.com\n\n", answer(secret), 2 * time.Second},
		{"protocol=https\nhost=github.com\n", "", 8 * time.Second},
	} {
		cmd := exec.Command(s.dir+"/git-credential-daypass", "get")
		cmd.Env = s.env
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		fmt.Fprint(in, c.in)
		got := make([]byte, 4096)
		n, _ := r.Read(got)
		if d := time.Since(start); string(got[:n]) != c.want || d > c.within {
			t.Errorf("get with input held open = %q after %v, want %q", got[:n], d, c.want)
		}
		in.Close()
		cmd.Wait()
	}
}
