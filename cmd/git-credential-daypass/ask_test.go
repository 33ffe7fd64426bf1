package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/wallet"
)

// appears waits until the file is there.
func appears(path string, within time.Duration) bool {
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

const askNew = "protocol=https\nhost=new.example\npath=o/r\n"

// A renewal that takes longer than git is kept waiting is not cut off between
// the host's answer and the write to the wallet, whatever it prints.
func TestSlowDaypassFinishes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.daypass("echo early >&2\nsleep 11\necho late >&2\necho username=u\necho password=p\necho written >" + s.dir + "/written")
	start := time.Now()
	out, messages := s.run("get", askNew)
	if d := time.Since(start); out != "" || messages != "early\n" || d < 9*time.Second {
		t.Errorf("get = %q, %q after %v; want nothing after 10 s", out, messages, d)
	}
	if !appears(s.dir+"/written", 5*time.Second) {
		t.Error("daypass did not get to its write")
	}
}

// Ctrl-C is for git.
func TestInterruptSparesDaypass(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.daypass("touch " + s.dir + "/asked\nsleep 1\necho late >&2\necho username=u\necho written >" + s.dir + "/written")
	cmd := exec.Command(s.dir+"/git-credential-daypass", "get")
	cmd.Env, cmd.Stdin, cmd.SysProcAttr = s.env, strings.NewReader(askNew), &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !appears(s.dir+"/asked", 5*time.Second) {
		t.Fatal("daypass was not asked")
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the helper outlived the interrupt")
	}
	if !appears(s.dir+"/written", 5*time.Second) {
		t.Error("daypass did not get to its write")
	}
}

// A daypass that prints on and on is ended.
func TestEndlessDaypassIsEnded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.daypass("echo $$ >" + s.dir + "/pid\nexec cat /dev/zero")
	if out, _ := s.run("get", askNew); out != "" {
		t.Errorf("get = %.100q, want nothing", out)
	}
	b, err := os.ReadFile(s.dir + "/pid")
	if err != nil {
		t.Fatal(err)
	}
	// The helper does not wait for what it killed, which on a busy machine takes a
	// moment to be gone.
	stat, ended := "", false
	for end := time.Now().Add(10 * time.Second); !ended && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		stat, ended = string(text), err != nil || strings.Contains(string(text), ") Z ")
	}
	if !ended {
		t.Errorf("daypass goes on: %s", stat)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// Nobody may stop git's search where other helpers may answer.
func TestQuitIsTheHelpersToAllow(t *testing.T) {
	s := newStage(t)
	s.put(entry("through.example", "a/b", "ghu_through", func(e *wallet.Entry) { e.FallThrough = true }),
		entry("kept.example", "a/b", "ghu_kept"))
	for _, c := range []struct{ name, in, script, out string }{
		{"nobody's name", "host=new.example\n", "echo quit=1; exit 3", "quit=1\n"},
		{"any name", "host=new.example\nusername=x-access-token\n", "echo quit=1; exit 3", "quit=1\n"},
		{"another's name", "host=new.example\nusername=mallory\n", "echo quit=1; exit 3", ""},
		{"another's name, status 0", "host=new.example\nusername=mallory\n", "echo quit=1", ""},
		{"beside a credential", "host=new.example\nusername=u\n", "echo username=u; echo password=p; echo quit=1", "username=u\npassword=p\n"},
		{"other helpers", "host=through.example\npath=o/r\n", "echo quit=1; exit 3", ""},
		{"no other helpers", "host=kept.example\npath=o/r\n", "echo quit=1; exit 3", "quit=1\n"},
		{"our account", "host=kept.example\npath=o/r\nusername=octocat\n", "echo quit=1; exit 3", ""},
	} {
		s.daypass(c.script)
		if out, _ := s.run("get", "protocol=https\n"+c.in); out != c.out {
			t.Errorf("%s: get = %q, want %q", c.name, out, c.out)
		}
	}
}

func TestEnvironmentOfDaypass(t *testing.T) {
	s := newStage(t)
	s.daypass("env >" + s.dir + "/env; pwd >>" + s.dir + "/env")
	kept := []string{"GITHUB_HOST=kept", "DAYPASS_URL=https://kept", "GIT_CONFIG_GLOBAL=/a", "GIT_CONFIG_SYSTEM=/b", "GIT_CONFIG_NOSYSTEM=1", "GOPROXY=kept"}
	gone := []string{"GIT_DIR=/evil", "GIT_CONFIG_PARAMETERS='x=y'", "GIT_CONFIG_COUNT=1", "GIT_CONFIG=/evil", "GIT_CONFIG_GLOBALS=/evil",
		"GIT_TRACE_CURL=1", "GODEBUG=http2debug=2", "GOTRACEBACK=crash", "GORACE=log_path=/x", "GOCOVERDIR=/x"}
	s.run("get", "protocol=https\nhost=new.example\n", append(append([]string{}, kept...), gone...)...)
	b, err := os.ReadFile(s.dir + "/env")
	if err != nil {
		t.Fatal(err)
	}
	got := "\n" + string(b)
	for _, kv := range kept {
		if !strings.Contains(got, "\n"+kv+"\n") {
			t.Errorf("daypass ran without %s: %q", kv, got)
		}
	}
	for _, kv := range gone {
		if name, _, _ := strings.Cut(kv, "="); strings.Contains(got, "\n"+name+"=") {
			t.Errorf("daypass ran with %s: %q", kv, got)
		}
	}
	if !strings.HasSuffix(got, "\n/\n") {
		t.Errorf("daypass ran elsewhere than in /: %q", got)
	}
}

// Whoever can rename a folder above could put another in its place.
func TestParentDirectories(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(parent string) error
		runs  bool
	}{
		"private":     {func(p string) error { return os.Chmod(p, 0o700) }, true},
		"of everyone": {func(p string) error { return os.Chmod(p, 0o777) }, false},
		"of a group":  {func(p string) error { return os.Chmod(p, 0o775) }, false},
		"like /tmp":   {func(p string) error { return os.Chmod(p, 0o777|os.ModeSticky) }, true},
		"another's":   {func(p string) error { return os.Chown(p, 65534, 65534) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.daypass("echo username=u; echo password=p")
			parent := filepath.Dir(s.dir)
			if err := c.spoil(parent); err != nil {
				t.Skip(err) // chown needs root
			}
			out, messages := s.run("get", askNew)
			if (out != "") != c.runs || strings.Contains(messages, "[DP-110]") == c.runs {
				t.Errorf("get = %q, %q; want an answer: %v", out, messages, c.runs)
			}
		})
	}
}

// A pass that failed to arrive is no reason to use the wider login.
func TestBlankPass(t *testing.T) {
	s := newStage(t)
	s.put(entry("github.com", "", secret))
	for _, blank := range []string{" ", "\n", "\t \n"} {
		out, messages := s.run("get", "protocol=https\nhost=github.com\n", "DAYPASS_TOKEN="+blank)
		if out != "" || !strings.Contains(messages, "DAYPASS_TOKEN is set") || !strings.Contains(messages, "[DP-113]") || s.calls() != "" {
			t.Errorf("with a pass of %q: get = %q, %q; want nothing and advice", blank, out, messages)
		}
	}
	if out, _ := s.run("get", "protocol=https\nhost=github.com\n", "DAYPASS_TOKEN="); out != answer(secret) {
		t.Errorf("with an empty variable: get = %q, want the login's", out)
	}
}

// After the agreed end, daypass is asked, which ends what is left at the host.
func TestOver(t *testing.T) {
	s := newStage(t)
	agreed := time.Now().Add(3 * time.Second).Truncate(time.Second)
	s.put(entry("github.com", "", secret, func(e *wallet.Entry) {
		e.Refresh, e.RenewUntil = daypass.NewSecret("ghr_x"), agreed
	}))
	out, _ := s.run("get", "protocol=https\nhost=github.com\n")
	if want := fmt.Sprintf("password_expiry_utc=%d\n", agreed.Unix()); !strings.HasSuffix(out, want) || s.calls() != "" {
		t.Errorf("before the agreed end: %q, want one that ends in %q", out, want)
	}
	time.Sleep(time.Until(agreed) + 10*time.Millisecond)
	out, _ = s.run("get", "protocol=https\nhost=github.com\n")
	if calls := s.calls(); out != "" || !strings.HasPrefix(calls, "credential get\n") {
		t.Errorf("after the agreed end: %q, asked %q; want nothing, and daypass asked", out, calls)
	}
}
