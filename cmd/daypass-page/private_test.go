package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/jupytertest"
)

// TestPrivate: a private repository, through the log-in in a terminal of the same
// server. Before it the page says what to do; after it no token is on the disk.
func TestPrivate(t *testing.T) {
	w, err := fake.NewWorld(fake.WorldConfig{Dir: t.TempDir(), Switches: fake.Switches{Interval: 1, AutoApprove: fake.CampusUser}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	wallet := gittest.TempDir(t)
	env := []string{"DAYPASS_RUNTIME_DIR=" + wallet, "DAYPASS_CLIENT_ID=" + fake.CampusApp, "DAYPASS_APP_URL=" + w.URL + "/apps/hub-push",
		"GITHUB_URL=" + w.URL, "GIT_CONFIG_NOSYSTEM=1", "NO_PROXY=127.0.0.1"}
	s := newStudent(t, jupytertest.Config{Environ: env})
	link := "git-pull?repo=" + w.URL + "/river-lab/data&branch=main&urlpath=lab/tree/data/gauges.csv"
	s.follow(link)
	s.press("Continue")
	s.sees("daypass login")
	s.sees("DP-")

	login := exec.Command(filepath.Join(programs(t), "daypass"), "login")
	login.Env = append([]string{"PATH=" + programs(t) + ":" + os.Getenv("PATH"), "HOME=" + s.server.Home, "DAYPASS_PLAIN=1"}, env...)
	if out, err := login.CombinedOutput(); err != nil {
		t.Fatalf("log in: %v\n%s", err, out)
	}
	s.press("Try again")
	s.press("Continue")
	s.lands("/lab/tree/data/gauges.csv")
	if got := s.read("data/gauges.csv"); !strings.Contains(got, "2.30") {
		t.Errorf("gauges.csv: %q", got)
	}
	err = filepath.WalkDir(s.server.Home, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "ghu_") {
			t.Errorf("%s holds a token", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(s.server.Log(1<<20), "ghu_") {
		t.Error("the server's log holds a token")
	}
}
