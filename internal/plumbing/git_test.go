package plumbing_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

func getenv(environ []string) func(string) string {
	return func(name string) string {
		for _, kv := range environ {
			if v, ok := strings.CutPrefix(kv, name+"="); ok {
				return v
			}
		}
		return ""
	}
}

func TestFind(t *testing.T) {
	environ := []string{"PATH=:relative:" + os.Getenv("PATH"), "HOME=/h", "HTTPS_PROXY=http://proxy:3128", "no_proxy=localhost", "SSL_CERT_FILE=/ca.pem", "SSL_CERT_DIR=/ca",
		"GIT_DIR=/x", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsmonitor", "GIT_CONFIG_VALUE_0=x", "GIT_CONFIG_PARAMETERS='core.fsmonitor=x'", "GIT_SSH_COMMAND=x", "GIT_SSH=x", "GIT_ASKPASS=x", "SSH_ASKPASS=x",
		"GIT_EXTERNAL_DIFF=x", "GIT_EXEC_PATH=/x", "GIT_TEMPLATE_DIR=/x", "GIT_TRACE_CURL=/x", "GIT_TRACE2=/x", "GIT_PROXY_COMMAND=x", "GIT_OBJECT_DIRECTORY=/x", "GIT_ALTERNATE_OBJECT_DIRECTORIES=/x", "GIT_INDEX_FILE=/x", "GIT_WORK_TREE=/x",
		"GIT_SSL_NO_VERIFY=1", "GIT_ALLOW_PROTOCOL=ext", "GIT_PROTOCOL_FROM_USER=1", "GIT_CONFIG_GLOBAL=/x", "GIT_CONFIG_SYSTEM=/x", "GIT_NAMESPACE=x", "GIT_REPLACE_REF_BASE=x", "GIT_COMMON_DIR=/x", "PAGER=x", "EDITOR=x", "LC_ALL=de_DE.UTF-8", "LC_MESSAGES=de_DE", "CURL_HOME=/x"}
	g, err := plumbing.Find(getenv(environ), environ)
	if err != nil || !filepath.IsAbs(g.Program) {
		t.Fatalf("%q, %v", g.Program, err)
	}
	for _, kv := range g.Environ {
		name, value, _ := strings.Cut(kv, "=")
		if value == "x" || value == "/x" || strings.HasPrefix(value, "de_") {
			t.Errorf("%s came through", kv)
		}
		if n := strings.Count("\n"+strings.Join(g.Environ, "\n"), "\n"+name+"="); n != 1 {
			t.Errorf("%s stands there %d times", name, n)
		}
	}
	for _, want := range []string{"HTTPS_PROXY=http://proxy:3128", "no_proxy=localhost", "HOME=/h", "GIT_SSL_CAINFO=/ca.pem", "GIT_SSL_CAPATH=/ca", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"} {
		if !slices.Contains(g.Environ, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if got := getenv(g.Environ)("GIT_SSH_COMMAND"); !strings.Contains(got, "BatchMode=yes") {
		t.Errorf("ssh is %q", got)
	}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "git"), []byte("#!/bin/sh\n"), 0o755)
	t.Chdir(dir)
	for _, path := range []string{"", ".", ":", "relative:."} {
		if g, err := plumbing.Find(func(string) string { return path }, nil); !errors.Is(err, plumbing.ErrNoGit) {
			t.Errorf("PATH=%q finds %q", path, g.Program)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := find(t).Check(t.Context()); err != nil {
		t.Error(err)
	}
	for text, old := range map[string]bool{"2.25.1": true, "1.9": true, "2.31.9": true, "2.32.0": false, "2.39.5 (Apple Git-154)": false, "3.0": false} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "git"), []byte("#!/bin/sh\necho git version '"+text+"'\n"), 0o755)
		g, err := plumbing.Find(func(string) string { return dir }, os.Environ())
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Check(t.Context()); errors.Is(err, plumbing.ErrOldGit) != old {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestConfiguration shows that children see what is handed in, and nothing else.
func TestConfiguration(t *testing.T) {
	home := t.TempDir()
	os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[user]\n\tname = Home\n"), 0o600)
	environ := append(os.Environ(), "HOME="+home)
	g, err := plumbing.Find(getenv(environ), environ)
	if err != nil {
		t.Fatal(err)
	}
	g.Config = [][2]string{{"credential.helper", "/opt/day pass/helper"}, {"http.https://h/.extraHeader", "A: b\nc"}}
	r, err := g.Create(filepath.Join(t.TempDir(), "o"), "sha1")
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []*exec.Cmd{r.Command(t.Context(), "config", "--list", "-z", "--show-scope"), g.Command(t.Context(), nil, "config", "--list", "-z", "--show-scope")} {
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		list := string(out)
		for _, want := range []string{"credential.helper\n/opt/day pass/helper", "http.https://h/.extraheader\nA: b\nc", "http.followredirects\ninitial", "core.hookspath\n/dev/null"} {
			if !strings.Contains(list, want) {
				t.Errorf("%q is missing in %q", want, list)
			}
		}
		if strings.Contains(list, "Home") || strings.Contains(list, "global\x00") || strings.Contains(list, "system\x00") {
			t.Errorf("others' configuration: %q", list)
		}
	}
	if out, err := r.Command(t.Context(), "ls-remote", "--", "file:///").CombinedOutput(); err == nil || !strings.Contains(string(out), "not allowed") {
		t.Errorf("without protocols: %s", out)
	}
}

func TestCreate(t *testing.T) {
	g := find(t)
	dir := filepath.Join(t.TempDir(), "o")
	if _, err := g.Create(dir, "sha3"); err == nil {
		t.Error("made with a format that is none")
	}
	if _, err := g.Open(dir); err == nil {
		t.Error("opened what is not there")
	}
	for _, format := range []string{"sha256", "sha256", "sha1"} {
		r, err := g.Create(dir, format)
		if err != nil || r.Format() != "sha256" {
			t.Errorf("%v %v", r, err)
		}
	}
	var wide []string
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode()&0o077 != 0 {
			wide = append(wide, path)
		}
		return nil
	})
	if len(wide) > 0 {
		t.Errorf("others may read %v", wide)
	}
	odd := filepath.Join(t.TempDir(), "a:b \"c\"\\d\n")
	up := gittest.At(t, odd, "sha1")
	id := up.Commit("main", "x", gittest.Files{"a": "b"})
	if _, err := objects(t, create(t, "sha1", filepath.Join(up.Dir, "objects"))).Commit(plumbing.OID(id)); err != nil {
		t.Errorf("an alternate with an odd name: %v", err)
	}
}

// TestKill ends a git whose helper sleeps, and the helper with it.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	os.WriteFile(filepath.Join(dir, "git"), []byte("#!/bin/sh\nsleep 300 & echo $! > "+pid+".new; mv "+pid+".new "+pid+"; wait\n"), 0o755)
	g, err := plumbing.Find(func(string) string { return dir }, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := g.Command(ctx, nil)
	cmd.Stdout = &strings.Builder{} // a pipe that the helper holds open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	for range 500 {
		if text, err := os.ReadFile(pid); err == nil {
			for _, c := range strings.TrimSpace(string(text)) {
				child = child*10 + int(c-'0')
			}
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if child == 0 {
		t.Fatal("it did not start")
	}
	cancel()
	start := time.Now()
	if cmd.Wait() == nil || time.Since(start) > 2*time.Second {
		t.Errorf("it ended after %s", time.Since(start))
	}
	for range 200 {
		if errors.Is(syscall.Kill(child, 0), syscall.ESRCH) || zombie(child) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the helper still runs")
}

func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}
