package pullpage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
)

// stand writes a stand-in for daypass: a script that notes how it was called.
func stand(t *testing.T, body string) (Program, Request) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "daypass")
	text := "#!/bin/sh\necho start >>" + dir + "/starts\nfor a; do echo \"$a\"; done >" + dir + "/args\nenv >" + dir + "/env\n" + body + "\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "home")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return Program{Path: path, Dir: filepath.Join(dir, "running"), Environ: Drop([]string{"PATH=" + os.Getenv("PATH"), SettingsVariable + "={}", SecretVariable + "=s3cret", "HOME=" + root})},
		Request{Repo: "https://h/o/lab", Ref: "main", Folder: root + "/lab", Root: root, Depth: 1}
}

func noted(t *testing.T, p Program, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(p.Path), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	oneEvent  = `echo '{"event":{"phase":"fetching","bytes":5,"at":"2026-11-22T09:00:00Z"}}'`
	oneReport = `echo '{"report":{"folder":"/x/lab","new":"abc","took":1}}'`
)

func TestAPullAsAChild(t *testing.T) {
	p, r := stand(t, oneEvent+"\n"+oneReport)
	var events []pull.Event
	got, err := p.Pull(t.Context(), r, func(e pull.Event) { events = append(events, e) })
	if err != nil || got.New != "abc" {
		t.Fatalf("%+v %v", got, err)
	}
	if args := noted(t, p, "args"); args != strings.Join([]string{"pull", "--json", "--root=" + r.Root, "--depth=1", "--branch=main", "--", r.Repo, r.Folder, ""}, "\n") {
		t.Errorf("called with %q", args)
	}
	if env := noted(t, p, "env"); strings.Contains(env, "DAYPASS_PAGE") || strings.Contains(env, "s3cret") {
		t.Errorf("its environment has\n%s", env)
	}
	if info, err := os.Stat(p.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v %v", info, err)
	}
	if _, ok := p.Running(r.Folder); ok {
		t.Error("it still runs")
	}
}

func TestWhatAChildSays(t *testing.T) {
	for body, code := range map[string]string{
		`echo '{"problem":{"code":"DP-312","what":"no","next":"go on"}}'; exit 5`: "DP-312",
		"exit 1":                      "DP-385",
		"kill -9 $$":                  "DP-385",
		"echo nonsense":               "DP-385",
		oneEvent:                      "DP-385",
		`printf '{"report":{"new":"'`: "DP-385", // cut off
	} {
		p, r := stand(t, body)
		if got, err := p.Pull(t.Context(), r, func(pull.Event) {}); codeOf(err) != code {
			t.Errorf("%s: %+v %v", body, got, err)
		}
	}
	p, r := stand(t, "")
	p.Path = "/nowhere/daypass"
	if _, err := p.Pull(t.Context(), r, func(pull.Event) {}); codeOf(err) != "DP-391" {
		t.Error(err)
	}
	if _, ok := p.Running(r.Folder); ok {
		t.Error("what never ran is said to run")
	}
}

// TestAChildOutlivesItsPage: the page ends, the pull goes on, and another page
// that is started meanwhile follows it to its end.
func TestAChildOutlivesItsPage(t *testing.T) {
	p, r := stand(t, oneEvent+"\nwhile [ ! -e go ]; do sleep 0.05; done\nps -o sid= -p $$ >sid\n"+oneReport)
	first, end := context.WithCancel(t.Context())
	begun := make(chan struct{}, 100)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Pull(first, r, func(pull.Event) { begun <- struct{}{} })
		ended <- err
	}()
	<-begun
	end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	second := p // another process of the page has nothing but the folder in common
	if got, ok := second.Running(r.Folder); !ok || got != r {
		t.Fatalf("%+v %v", got, ok)
	}
	other := r
	other.Repo = "https://h/o/other"
	if _, err := second.Pull(t.Context(), other, func(pull.Event) {}); codeOf(err) != "DP-384" {
		t.Errorf("other content: %v", err)
	}
	reports := make(chan pull.Report, 2)
	for range 2 {
		go func() {
			got, err := second.Pull(t.Context(), r, func(pull.Event) { begun <- struct{}{} })
			if err != nil {
				t.Error(err)
			}
			reports <- got
		}()
	}
	<-begun // one of them reads what the child told
	if err := os.WriteFile(r.Root+"/go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := <-reports; got.New != "abc" {
			t.Errorf("%+v", got)
		}
	}
	if n := strings.Count(noted(t, p, "starts"), "start"); n != 1 {
		t.Errorf("%d processes", n)
	}
	sid, err := os.ReadFile(r.Root + "/sid")
	if err != nil {
		t.Fatal(err)
	}
	var of int
	if _, err := fmt.Sscan(string(sid), &of); err != nil {
		t.Skip("no ps: ", err)
	}
	if own, _, e := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0); e == 0 && int(own) == of {
		t.Error("the pull is of the page's own session")
	}
}

// TestActsAsChildren: each is one call of daypass, in the folder, with the name of a
// file as one word.
func TestActsAsChildren(t *testing.T) {
	p, r := stand(t, oneReport)
	if err := os.Mkdir(r.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for want, do := range map[string]func() error{
		"pull --json --undo":                   func() error { _, err := p.Undo(t.Context(), r.Folder); return err },
		"pull --json --reset=--evil":           func() error { _, err := p.Reset(t.Context(), r.Folder, "--evil"); return err },
		"pull --json --recover=id -- -x":       func() error { _, err := p.Restore(t.Context(), r.Folder, "id", "-x"); return err },
		"pull --json --backups":                func() error { _, err := p.Backups(t.Context(), r.Folder); return err },
		"pull --show-upstream=a b; touch evil": func() error { return p.Upstream(t.Context(), r.Folder, "a b; touch evil", io.Discard) },
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if got := strings.TrimSpace(strings.ReplaceAll(noted(t, p, "args"), "\n", " ")); got != want {
			t.Errorf("called with %q, want %q", got, want)
		}
	}
	p, _ = stand(t, `yes | head -c 5000000`)
	big := limited{left: maxShown}
	if err := p.Upstream(t.Context(), r.Folder, "big", &big); err == nil || !big.over || len(big.held) > maxShown {
		t.Errorf("too large: %v, %d bytes", err, len(big.held))
	}
	p, _ = stand(t, `echo '{"problem":{"code":"DP-340","what":"no"}}'; exit 1`)
	if _, err := p.Undo(t.Context(), r.Folder); codeOf(err) != "DP-340" {
		t.Error(err)
	}
	p, _ = stand(t, `echo '{"backups":[{"id":"x","files":[{"path":"a","size":3}]}]}'`)
	if got, err := p.Backups(t.Context(), r.Folder); err != nil || len(got) != 1 || got[0].Files[0].Size != 3 {
		t.Errorf("%+v %v", got, err)
	}
}

// TestWhere asks what a source's folder is called.
func TestWhere(t *testing.T) {
	p, r := stand(t, `pwd >"$(dirname "$0")"/dir; echo '{"folder":"/x/Lab 1"}'`)
	if got, err := p.Where(t.Context(), r.Root, "-x; touch evil"); err != nil || got != "/x/Lab 1" {
		t.Errorf("%q, %v", got, err)
	}
	if got := strings.TrimSpace(strings.ReplaceAll(noted(t, p, "args"), "\n", " ")); got != "pull --json --where -- -x; touch evil" || strings.TrimSpace(noted(t, p, "dir")) != r.Root {
		t.Errorf("called with %q in %q", got, noted(t, p, "dir"))
	}
	for _, bad := range []string{`echo '{"problem":{"code":"DP-451","what":"no"}}'; exit 5`, "echo '{}'", "exit 1"} {
		p, r := stand(t, bad)
		if got, err := p.Where(t.Context(), r.Root, "drive:x/y"); err == nil || got != "" {
			t.Errorf("%s: %q, %v", bad, got, err)
		}
	}
}

// TestPrivatePlaces: what others could look into or change is not used.
func TestPrivatePlaces(t *testing.T) {
	p, r := stand(t, oneReport)
	for _, mode := range []os.FileMode{0o755, 0o770, 0o701} {
		if err := errors.Join(os.RemoveAll(p.Dir), os.Mkdir(p.Dir, mode), os.Chmod(p.Dir, mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Pull(t.Context(), r, func(pull.Event) {}); codeOf(err) != "DP-390" {
			t.Errorf("%o: %v", mode, err)
		}
		if _, err := Socket(filepath.Join(p.Dir, "s")); codeOf(err) != "DP-392" {
			t.Errorf("socket in %o: %v", mode, err)
		}
	}
	if err := errors.Join(os.RemoveAll(p.Dir), os.Symlink(t.TempDir(), p.Dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Pull(t.Context(), r, func(pull.Event) {}); codeOf(err) != "DP-390" {
		t.Errorf("a link: %v", err)
	}
	// A link in place of the file that is written.
	victim := filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.Remove(p.Dir), os.Mkdir(p.Dir, 0o700), os.WriteFile(victim, []byte("x"), 0o600), os.Symlink(victim, p.file(r.Folder))); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Pull(t.Context(), r, func(pull.Event) {}); codeOf(err) != "DP-390" {
		t.Errorf("a linked file: %v", err)
	}
	if b, err := os.ReadFile(victim); err != nil || !bytes.Equal(b, []byte("x")) {
		t.Errorf("it was written through the link: %q %v", b, err)
	}
}

func TestSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "dp") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, "new", "s")
	l, err := Socket(name)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{name: 0o600 | os.ModeSocket, filepath.Dir(name): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, newWorld(t, nil).s) }()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", name)
	}}}
	res, err := client.Get("http://localhost/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the proxy's first look: %d", res.StatusCode)
	}
	if _, err := Socket(name); codeOf(err) != "DP-392" {
		t.Errorf("a second page: %v", err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	// A page that was killed leaves its socket.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	l, err = Socket(name)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Socket(name); codeOf(err) != "DP-392" {
		t.Errorf("a file in its place: %v", err)
	}
}

func TestPort(t *testing.T) {
	for _, short := range []string{"", "short"} {
		if _, err := Port(t.Context(), 0, daypass.NewSecret(short)); codeOf(err) != "DP-392" {
			t.Errorf("%q: %v", short, err)
		}
	}
	l, err := Port(t.Context(), 0, daypass.NewSecret(strings.Repeat("x", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(l.Addr().String()); host != "127.0.0.1" {
		t.Errorf("listens on %s", host)
	}
	_ = l.Close()
}

func TestSettings(t *testing.T) {
	good := `{"program":"/usr/bin/daypass","home":"/h/pulls","state":"/h/page"}`
	if s, err := ReadSettings(good); err != nil || s.depth() != 1 {
		t.Errorf("%+v %v", s, err)
	}
	for _, bad := range []string{"", "{}", "[]", strings.Replace(good, `"/usr`, `"usr`, 1), strings.Replace(good, `"/h/page"`, `""`, 1), strings.Replace(good, "{", `{"new":1,`, 1),
		strings.Replace(good, "{", `{"parent":"../x",`, 1), strings.Replace(good, "{", `{"parent":".x",`, 1), strings.Replace(good, "{", `{"depth":-1,`, 1)} {
		if _, err := ReadSettings(bad); codeOf(err) != "DP-379" && codeOf(err) != "DP-363" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, base := range []string{"", "user/ada/", "/user/ada", "//evil/", "/a/../../", "/a\"b/", "/a b/", "https://h/"} {
		_, err := New(t.Context(), Config{Base: base, Root: "/x", Random: strings.NewReader(strings.Repeat("x", 99)), Now: time.Now})
		if codeOf(err) != "DP-379" {
			t.Errorf("base %q: %v", base, err)
		}
	}
}
