package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/fake"
)

// shell is a program somewhere else that is not waited for: a login node, where
// the service's address is known, and no token of anybody's.
func (j *job) shell(script string) *exec.Cmd {
	cmd := exec.Command("unshare", "--mount", "/bin/sh", "-ec",
		`mount -t overlay overlay -o "lowerdir=$1/image:/etc" /etc; cd "$HOME"; exec /bin/sh -ec "$2"`, "sh", j.s.dir, script)
	cmd.Env = []string{
		"PATH=" + j.s.bin + ":" + os.Getenv("PATH"), "HOME=" + j.home, "DAYPASS_RUNTIME_DIR=" + filepath.Join(j.home, "run"),
		"DAYPASS_URL=" + j.s.url, "GIT_TERMINAL_PROMPT=0", "URL=" + j.s.world.URL, "GITHUB_URL=" + j.s.world.URL,
	}
	return cmd
}

// TestDeviceLogin: off the hub, daypass login shows a code; the person types it in
// a browser that the hub knows, and git works there until the pass ends.
func TestDeviceLogin(t *testing.T) {
	s := newSite(t, siteConfig{})
	s.hub.CreateUser(t, "researcher")
	p := s.browser()
	p.logIn("researcher")
	p.do("connect", chromedp.Navigate(s.url+"connect/"+s.host()))
	p.consent(fake.CampusUser)
	p.sees("Connected")

	j := s.job("node", "")
	cmd := j.shell("exec daypass login")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer stop.Stop()
	code, heard := "", ""
	for lines := bufio.NewScanner(said); code == "" && lines.Scan(); {
		heard += lines.Text() + "\n"
		code = regexp.MustCompile(`^ +([A-Z]{4}-[A-Z]{4})$`).FindString(lines.Text())
	}
	if code = strings.TrimSpace(code); code == "" || !strings.Contains(heard, s.url+"device") {
		t.Fatalf("no code, or another page than %sdevice:\n%s", s.url, heard)
	}
	go bufio.NewReader(said).WriteTo(os.Stderr)
	p.do("type the code", chromedp.Navigate(s.url+"device"), chromedp.SendKeys("#user_code", strings.ToLower(code)+"\r"), chromedp.WaitVisible("#yes"))
	p.sees(code)
	p.press("Yes, I started this")
	p.sees("pass")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s\nthe service said:\n%s", err, out.String(), s.serve.text())
	}
	for _, want := range []string{"Logged in to the access service", "You are connected already"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	run := func(script string) string {
		t.Helper()
		text, err := j.shell(script).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s\nthe service said:\n%s", script, err, text, s.serve.text())
		}
		return string(text)
	}
	run(`git clone -q $URL/river-lab/data.git work; cd work
git -c user.name=j -c user.email=j@example.org commit -q --allow-empty -m day
git push -q`)
	if text := run("daypass status"); !strings.Contains(text, "by a pass") || !strings.Contains(text, s.host()+" connected") {
		t.Errorf("status says\n%s", text)
	}
	if s.narrowed() == 0 {
		t.Error("no token lives that could end")
	}
	run("daypass logout")
	s.wait("what the pass made has ended with it", func() bool { return s.narrowed() == 0 })
	if text, err := j.shell("daypass status").CombinedOutput(); err == nil {
		t.Errorf("still logged in:\n%s", text)
	}
}
