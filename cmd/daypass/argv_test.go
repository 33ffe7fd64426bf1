package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestNoSecretStarted runs a whole day under strace: no program, git's own
// helpers among them, is started with a token in its arguments or environment,
// and GIT_TRACE shows none.
func TestNoSecretStarted(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil && os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
		t.Fatal("make test installs strace, and it is not there")
	}
	if err != nil {
		t.Skip("strace is not installed; make test installs it")
	}
	n := newNode(t, programs(t))
	trace := filepath.Join(n.dir, "trace")
	script := `set -e
daypass login --renew 1h
git clone -q "$GITHUB_URL/river-lab/data.git"
cd data
git commit -q --allow-empty -m one
git push -q
git push -q "$GITHUB_URL/river-lab/paper.git" main || true
daypass check
daypass status
daypass repos
daypass doctor || true
daypass setup --dry-run
daypass logout`
	cmd := exec.Command(strace, "-f", "-q", "-v", "-s", "65536", "-e", "trace=execve", "-o", trace, "sh", "-c", script)
	cmd.Env, cmd.Dir = append(n.env, "GIT_TRACE=1", "GIT_TRACE_CURL=1", "GIT_TRACE_REDACT=1"), filepath.Join(n.dir, "home")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) < 10000 {
		t.Fatalf("the trace has %d bytes only: %s", len(text), text)
	}
	if m := secrets.Find(text); m != nil {
		t.Errorf("a program was started with a token: %s…", m[:8])
	}
	if m := secrets.Find(out); m != nil {
		t.Errorf("a token was printed: %s…", m[:8])
	}
}
