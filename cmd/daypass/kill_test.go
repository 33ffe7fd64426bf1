package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/soak"
)

// A node is a machine with the real programs, one person and a world.
type node struct {
	t     *testing.T
	world *fake.World
	bin   string
	env   []string
	dir   string
}

func newNode(t *testing.T, bin string) *node {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"home", "wallet", "world"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w, err := fake.NewWorld(fake.WorldConfig{
		Dir: filepath.Join(dir, "world"), Switches: fake.Switches{Interval: 1, RevokeEndpoint: true, AutoApprove: fake.CampusUser},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return &node{t: t, world: w, bin: bin, dir: dir, env: []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + filepath.Join(dir, "home"), "TZ=UTC",
		"DAYPASS_RUNTIME_DIR=" + filepath.Join(dir, "wallet"), "GITHUB_URL=" + w.URL, "DAYPASS_CLIENT_ID=" + fake.CampusApp,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "NO_PROXY=127.0.0.1",
	}}
}

// command is a program on that machine, bounded in time.
func (n *node) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(n.bin, args[0]), args[1:]...)
	if args[0] == "git" {
		cmd = exec.CommandContext(ctx, "git", args[1:]...)
	}
	cmd.Env, cmd.Dir = n.env, filepath.Join(n.dir, "home")
	return cmd
}

func (n *node) must(args ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	out, err := n.command(ctx, args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestLoginKilled kills a login at each of its requests, and at its end, with
// SIGKILL. The wallet works all the same and the next login does.
func TestLoginKilled(t *testing.T) {
	bin := programs(t)
	clean := newNode(t, bin)
	clean.must("daypass", "login")
	steps := len(clean.world.Local.Requests())
	for round := range soak.Rounds(t, 1, 20) {
		for step := 1; step <= steps; step++ {
			t.Run(fmt.Sprintf("%d/%d", round, step), func(t *testing.T) {
				t.Parallel()
				killAt(t, newNode(t, bin), step)
			})
		}
	}
}

func killAt(t *testing.T, n *node, step int) {
	arrived := make(chan struct{})
	var once sync.Once
	seen := 0
	n.world.Local.Fault(func(*http.Request) bool {
		if seen++; seen == step {
			once.Do(func() { close(arrived) })
			return true
		}
		return false
	}, fake.Fault{Kind: fake.FaultHang, Delay: 5 * time.Second})
	cmd := n.command(t.Context(), "daypass", "login")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-arrived:
	case <-time.After(30 * time.Second):
		t.Error("the request never came")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
	n.world.Local.ClearFaults()
	n.must("daypass", "login")
	n.must("git", "ls-remote", n.world.URL+"/river-lab/data.git")
	n.must("daypass", "logout")
}

// TestLoginsAtOnce: two logins at once leave one credential that works.
func TestLoginsAtOnce(t *testing.T) {
	n := newNode(t, programs(t))
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { n.must("daypass", "login") })
	}
	both.Wait()
	if got := strings.Count(n.must("daypass", "status", "--json"), `"host"`); got != 1 {
		t.Errorf("%d credentials are kept, want 1", got)
	}
	n.must("git", "ls-remote", n.world.URL+"/river-lab/data.git")
	config, err := os.ReadFile(filepath.Join(n.dir, "home", ".gitconfig"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(config), "[credential"); got != 1 {
		t.Errorf("setup wrote %d sections, want 1:\n%s", got, config)
	}
}
