package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestStartScripts: what "setup --hub" leaves in an image, and takes back.
func TestStartScripts(t *testing.T) {
	var out, errs bytes.Buffer
	root := t.TempDir()
	a := &app{stdout: &out, stderr: &errs, rootDir: root, getenv: func(string) string { return "" }, now: time.Now}
	path := filepath.Join(root, profileScript)

	if err := a.startScripts(setupOptions{}); err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(root); len(list) != 0 {
		t.Errorf("made %v in an image that has neither folder", list)
	}
	for _, name := range []string{profileScript, startScript} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.startScripts(setupOptions{dryRun: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("--dry-run wrote")
	}
	for range 2 {
		if err := a.startScripts(setupOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "identity --quiet") {
		t.Fatalf("%q %v", text, err)
	}
	if n := strings.Count(out.String(), "Written: "); n != 2 {
		t.Errorf("wrote %d times:\n%s", n, &out)
	}
	if err := a.startScripts(setupOptions{undo: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("--undo left it")
	}

	if err := os.WriteFile(path, []byte("echo mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, o := range []setupOptions{{}, {undo: true}} {
		if err := a.startScripts(o); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := os.ReadFile(path); string(got) != "echo mine\n" {
		t.Errorf("somebody's script became %q", got)
	}
}

// TestStartText runs the script under the shells of images, with a daypass whose
// path has a quote in it: it comes back at once, whatever daypass does.
func TestStartText(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program, mark := filepath.Join(dir, "daypass"), filepath.Join(dir, "mark")
	stub := "#!/bin/sh\necho \"$@\" >\"" + mark + "\"\necho noise\nsleep 5\n"
	if err := os.WriteFile(program, []byte(stub), 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "script.sh")
	// The test may run as root, for whom the script acts only where NB_USER is.
	text := strings.Replace(startText(program), `"$(id -u)"`, `"${TEST_UID}"`, 1)
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(shell string, env ...string) (string, time.Duration) {
		cmd := exec.Command(shell, "-eu", "-c", `. "$1"; echo done`, shell, script)
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
		began := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", shell, err, out)
		}
		return string(out), time.Since(began)
	}
	for _, shell := range []string{"sh", "bash"} {
		for _, env := range [][]string{{"TEST_UID=1000"}, {"TEST_UID=0", "JUPYTERHUB_API_TOKEN=x"}, {"TEST_UID=0", "JUPYTERHUB_API_TOKEN=x", "NB_USER=root"}} {
			if out, _ := run(shell, env...); out != "done\n" {
				t.Errorf("%s %v printed %q", shell, env, out)
			}
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := os.Stat(mark); err == nil {
			t.Fatalf("%s ran daypass where it should not", shell)
		}
		out, took := run(shell, "TEST_UID=1000", "JUPYTERHUB_API_TOKEN=x")
		if out != "done\n" || took > 3*time.Second {
			t.Errorf("%s printed %q after %v", shell, out, took)
		}
		for i := 0; ; i++ {
			if got, err := os.ReadFile(mark); err == nil && string(got) == "identity --quiet\n" {
				break
			} else if i == 100 {
				t.Fatalf("%s: daypass was not run: %q %v", shell, got, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err := os.Remove(mark); err != nil {
			t.Fatal(err)
		}
	}
}
