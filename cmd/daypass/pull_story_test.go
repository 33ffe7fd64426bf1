package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// publish HOST ID [BRANCH:] [PATH=FILE | -PATH]…: the instructor commits files of
// the story to the repository of that number, which somebody has asked for before.
func cmdPublish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: publish HOST ID [BRANCH:] [PATH=FILE | -PATH]…")
	}
	dir := filepath.Join(ts.Getenv("WORK"), ".world", "git", args[0], args[1]+".git")
	if _, err := os.Stat(dir); err != nil {
		ts.Fatalf("nobody asked for that repository yet: %v", err)
	}
	index := filepath.Join(ts.Getenv("WORK"), ".world", "index")
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"--git-dir=" + dir}, args...)...)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_INDEX_FILE=" + index,
			"GIT_AUTHOR_NAME=Prof", "GIT_AUTHOR_EMAIL=prof@example.org", "GIT_COMMITTER_NAME=Prof", "GIT_COMMITTER_EMAIL=prof@example.org",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			ts.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	branch, rest := "main", args[2:]
	if b, ok := strings.CutSuffix(rest[0], ":"); ok {
		branch, rest = b, rest[1:]
		if exec.Command("git", "--git-dir="+dir, "rev-parse", "--verify", "-q", branch).Run() != nil {
			git("branch", branch, "main")
		}
	}
	git("read-tree", branch)
	for _, arg := range rest {
		if path, ok := strings.CutPrefix(arg, "-"); ok {
			git("rm", "--cached", "-q", path)
			continue
		}
		path, file, _ := strings.Cut(arg, "=")
		git("update-index", "--add", "--cacheinfo", "100644,"+git("hash-object", "-w", ts.MkAbs(file))+","+path)
	}
	commit := git("commit-tree", "-p", branch, "-m", "next week", git("write-tree"))
	git("update-ref", "refs/heads/"+branch, commit)
	ts.Setenv("COMMIT", commit)
}

// asked HOST PATH: waits until the path was asked for once more than at the last
// such wait.
func cmdAsked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: asked HOST PATH")
	}
	g, _ := host(ts, args[0])
	st := stageOf(ts)
	for range 1200 {
		if n := g.Count(args[1]); n > st.seen {
			st.seen = n
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	ts.Fatalf("nobody asked for %s", args[1])
}
