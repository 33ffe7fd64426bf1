package clone

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// begun makes a repository with each thing that git can leave unfinished.
var begun = map[string]struct {
	kind  string
	start func(t *testing.T, dir string)
}{
	"merge":      {"merge", func(t *testing.T, dir string) { fail(t, dir, "merge", "other") }},
	"octopus":    {"merge", func(t *testing.T, dir string) { git(t, dir, "merge", "-q", "--no-commit", "calm", "calm2") }},
	"rebase":     {"rebase", func(t *testing.T, dir string) { fail(t, dir, "rebase", "other") }},
	"old rebase": {"rebase", func(t *testing.T, dir string) { fail(t, dir, "rebase", "--apply", "other") }},
	"detached rebase": {"rebase", func(t *testing.T, dir string) {
		git(t, dir, "checkout", "-q", "--detach")
		fail(t, dir, "rebase", "other")
	}},
	"autostash": {"rebase", func(t *testing.T, dir string) {
		write(t, dir+"/kept.txt", "precious\n")
		fail(t, dir, "rebase", "--autostash", "other")
	}},
	"cherry-pick":  {"cherry-pick", func(t *testing.T, dir string) { fail(t, dir, "cherry-pick", "other") }},
	"cherry-picks": {"cherry-pick", func(t *testing.T, dir string) { fail(t, dir, "cherry-pick", "calm", "other") }},
	"revert":       {"revert", func(t *testing.T, dir string) { fail(t, dir, "revert", "HEAD~1") }},
	"am": {"am", func(t *testing.T, dir string) {
		patch := git(t, dir, "format-patch", "--stdout", "-1", "other")
		write(t, dir+"/../p.patch", patch+"\n")
		fail(t, dir, "am", "../p.patch")
	}},
	"bisect": {"bisect", func(t *testing.T, dir string) {
		git(t, dir, "bisect", "start")
		git(t, dir, "bisect", "bad", "HEAD")
		git(t, dir, "bisect", "good", "HEAD~2")
	}},
}

func fail(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := tryGit(dir, args...); err == nil {
		t.Fatalf("git %v came through: %s", args, out)
	}
}

func unfinishedRepo(t *testing.T) string {
	t.Helper()
	dir := plain(t)
	write(t, dir+"/kept.txt", "kept\n")
	commit := func(path, text string) {
		write(t, filepath.Join(dir, path), text)
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-q", "-m", text)
	}
	commit("b.txt", "b\n")
	git(t, dir, "branch", "base")
	for _, name := range []string{"other", "calm", "calm2"} {
		git(t, dir, "checkout", "-q", "-b", name, "base")
		path := map[bool]string{true: "a.txt", false: name}[name == "other"]
		commit(path, name+"\n")
	}
	git(t, dir, "checkout", "-q", "main")
	commit("a.txt", "mine\n")
	commit("a.txt", "mine again\n")
	return dir
}

func TestUnfinished(t *testing.T) {
	t.Parallel()
	for name, test := range begun {
		t.Run(name, func(t *testing.T) {
			dir := unfinishedRepo(t)
			before := oid(t, dir, "main")
			test.start(t, dir)
			during := oid(t, dir, "HEAD")
			if test.kind != "rebase" {
				before = during
			}
			var named []string
			if data, err := os.ReadFile(dir + "/.git/MERGE_HEAD"); err == nil {
				named = strings.Fields(string(data))
			}
			index, work := tree(t, dir+"/.git/index"), git(t, dir, "diff", "HEAD", "--stat")
			c, err := Open(dir)
			must(t, err)
			defer c.Close()
			kind, err := c.Unfinished()
			if err != nil || kind != test.kind {
				t.Fatalf("Unfinished: %q %v", kind, err)
			}
			keep := filepath.Join(t.TempDir(), "keep")
			must(t, c.EndUnfinished(keep))
			if got, want := kindOf(t, c), map[bool]string{true: "bisect"}[kind == "bisect"]; got != want {
				t.Errorf("afterwards: %q", got)
			}
			if tree(t, dir+"/.git/index") != index {
				t.Error("the index changed")
			}
			if h, err := c.Head(); err != nil || h.Commit != before || h.Detached != (kind == "bisect" || name == "detached rebase") {
				t.Errorf("Head: %+v %v", h, err)
			}
			out := git(t, dir, "status")
			if kind != "bisect" && (strings.Contains(out, "in progress") || strings.Contains(out, "currently") || strings.Contains(out, "still merging")) {
				t.Errorf("status: %s", out)
			}
			if kind == "merge" && git(t, dir, "diff", "HEAD", "--stat") != work {
				t.Error("the work tree changed")
			}
			for _, oid := range append(named, string(during)) {
				if out := git(t, dir, "for-each-ref", "--contains", oid); out == "" {
					t.Errorf("%s is named by nothing", oid)
				}
			}
			if entries, err := os.ReadDir(keep); err != nil || kind != "bisect" && len(entries) == 0 {
				t.Errorf("nothing kept: %v", err)
			}
			if name == "autostash" && git(t, dir, "show", "stash@{0}:kept.txt") != "precious" {
				t.Error("the autostash is not in the stash")
			}
			must(t, c.EndUnfinished(keep)) // once more: nothing
			git(t, dir, "fsck", "--strict")
			git(t, dir, "reset", "-q", "--hard")
			git(t, dir, "stash", "list")
		})
	}
}

func kindOf(t *testing.T, c *Clone) string {
	t.Helper()
	kind, err := c.Unfinished()
	must(t, err)
	return kind
}

// TestBroughtBack puts a merge's state back from the folder, and git ends the merge.
func TestBroughtBack(t *testing.T) {
	dir := unfinishedRepo(t)
	fail(t, dir, "merge", "other")
	c, err := Open(dir)
	must(t, err)
	defer c.Close()
	keep := filepath.Join(t.TempDir(), "keep")
	must(t, c.EndUnfinished(keep))
	for _, name := range []string{"MERGE_HEAD", "MERGE_MSG", "MERGE_MODE"} {
		data, err := os.ReadFile(filepath.Join(keep, name))
		must(t, err)
		write(t, dir+"/.git/"+name, string(data))
	}
	write(t, dir+"/a.txt", "both\n")
	git(t, dir, "commit", "-q", "-a", "--no-edit")
	if out := git(t, dir, "rev-list", "--parents", "-1", "HEAD"); len(strings.Fields(out)) != 3 {
		t.Errorf("no merge: %s", out)
	}
}

func TestKilledEnd(t *testing.T) {
	t.Parallel()
	stops(t, func() (string, job) {
		dir := unfinishedRepo(t)
		write(t, dir+"/kept.txt", "precious\n")
		fail(t, dir, "rebase", "--autostash", "other")
		return dir, job{Folder: dir, Keep: filepath.Join(t.TempDir(), "keep")}
	}, func(dir, at string) {
		for _, args := range [][]string{{"fsck", "--strict"}, {"status"}, {"log", "-1"}} {
			if out, err := tryGit(dir, args...); err != nil {
				t.Errorf("stopped before %s: git %v: %v %s", at, args, err, out)
			}
		}
		if !strings.HasSuffix(at, "again") {
			return
		}
		if out := git(t, dir, "symbolic-ref", "HEAD"); out != "refs/heads/main" {
			t.Errorf("stopped before %s: HEAD on %s", at, out)
		}
		if out := git(t, dir, "stash", "list"); strings.Count(out, "stash@") != 1 {
			t.Errorf("stopped before %s: stash: %q", at, out)
		}
		if out := git(t, dir, "status"); strings.Contains(out, "in progress") {
			t.Errorf("stopped before %s: %s", at, out)
		}
	})
}
