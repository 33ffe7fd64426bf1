package snapshot_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestSSH fetches by an ssh that runs what it is told on this machine, and by ones
// that say no.
func TestSSH(t *testing.T) {
	up := gittest.New(t)
	id := up.Commit("main", "one", gittest.Files{"a": "1"})
	dir := t.TempDir()
	ssh := func(script string) {
		if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\necho \"$@\" >> "+dir+"/log\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	environ := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "GIT_SSH_COMMAND=false", "GIT_SSH=false")
	git, err := plumbing.Find(os.Getenv, environ)
	if err != nil {
		t.Fatal(err)
	}
	git.Protocols = "https:ssh"
	g := snapshot.Git{Git: git}
	ssh("for last; do :; done\nexec sh -c \"$last\"\n")
	for _, url := range []string{"git@localhost:" + up.Dir, "ssh://git:pw@localhost" + up.Dir, "localhost:" + up.Dir} {
		tip := look(t, g, url, "")
		if got := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: tip, Depth: 1}); string(got.Commit) != id {
			t.Errorf("%s: %+v", url, got)
		}
	}
	log := readFile(t, filepath.Join(dir, "log"))
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "BatchMode=yes") || strings.Contains(line, "pw") {
			t.Errorf("ssh is run with %s", line)
		}
	}
	for says, want := range map[string]string{
		"git@h: Permission denied (publickey).":                        "DP-323",
		"Host key verification failed.":                                "DP-323",
		"ssh: Could not resolve hostname h: Name or service not known": "DP-313",
		"ssh: connect to host h port 22: Connection refused":           "DP-313",
		"ERROR: Repository not found.":                                 "DP-312",
		"who knows":                                                    "DP-323",
	} {
		ssh("echo '" + says + "' >&2\nexit 255\n")
		if _, err := g.Look(t.Context(), "git@h:org/repo.git", ""); code(err) != want {
			t.Errorf("%q: %v", says, err)
		}
	}
	ssh("exit 1\n")
	if _, err := g.Look(t.Context(), "git@h:x", ""); err == nil || errors.Is(err, daypass.ErrUsage) {
		t.Errorf("a mute ssh: %v", err)
	}
}
