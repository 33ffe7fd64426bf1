package clone

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// environ is what the real git gets in tests: nothing of the machine's.
func environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LANG=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org", "GIT_EDITOR=true",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsync", "GIT_CONFIG_VALUE_0=none",
	}
}

// tryGit runs the real git in a folder.
func tryGit(dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = dir, environ()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return strings.TrimSuffix(out.String()+errs.String(), "\n"), err
}

func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := tryGit(dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// upstream makes a repository with three commits, a branch with a slash and a tag.
func upstream(t testing.TB, format string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "up")
	git(t, ".", "init", "-q", "-b", "main", "--object-format="+format, dir)
	git(t, dir, "config", "uploadpack.allowFilter", "true")
	git(t, dir, "config", "uploadpack.allowAnySHA1InWant", "true")
	git(t, dir, "config", "receive.denyCurrentBranch", "ignore")
	for i, text := range []string{"one\n", "two\n", "three\n"} {
		write(t, filepath.Join(dir, "a.txt"), text)
		write(t, filepath.Join(dir, "labs/one/lab.ipynb"), "{}"+text)
		write(t, filepath.Join(dir, "labs/two.txt"), text)
		if i == 1 {
			write(t, filepath.Join(dir, "run.sh"), "#!/bin/sh\n")
			os.Chmod(filepath.Join(dir, "run.sh"), 0o755)
			os.Symlink("a.txt", filepath.Join(dir, "link"))
		}
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-q", "-m", text)
	}
	git(t, dir, "tag", "-a", "v1", "-m", "v1")
	git(t, dir, "branch", "feat/x", "HEAD~1")
	return dir
}

// ours fetches into a bare repository, as the callers of this package do, and returns it
// with its packs.
func ours(t testing.TB, up, what, format string, args ...string) (dir string, packs []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "ours.git")
	git(t, ".", "init", "-q", "--bare", "--object-format="+format, dir)
	fetch := append([]string{"-c", "fetch.unpackLimit=1", "fetch", "-q"}, args...)
	git(t, dir, append(fetch, "file://"+up, what+":refs/daypass/new")...)
	return dir, packsOf(t, dir)
}

func packsOf(t testing.TB, dir string) []string {
	t.Helper()
	packs, err := filepath.Glob(dir + "/objects/pack/*.pack")
	if err != nil || len(packs) == 0 {
		t.Fatalf("no packs in %s: %v", dir, err)
	}
	return packs
}

func oid(t testing.TB, dir, rev string) plumbing.OID {
	t.Helper()
	return plumbing.OID(git(t, dir, "rev-parse", rev))
}

// checkout writes a commit's files, and returns the index of them; what lies outside of
// sparse is left out.
func checkout(t testing.TB, repo, folder string, commit plumbing.OID, sparse string) []plumbing.IndexEntry {
	t.Helper()
	var out []plumbing.IndexEntry
	for _, line := range strings.Split(git(t, repo, "ls-tree", "-r", "-z", string(commit)), "\x00") {
		if line == "" {
			continue
		}
		meta, path, _ := strings.Cut(line, "\t")
		f := strings.Fields(meta)
		e := plumbing.IndexEntry{File: plumbing.File{Path: path, OID: plumbing.OID(f[2])}}
		e.Mode = map[string]plumbing.Mode{"100644": plumbing.Regular, "100755": plumbing.Executable, "120000": plumbing.Symlink}[f[0]]
		at := filepath.Join(folder, path)
		switch {
		case sparse != "" && !strings.HasPrefix(path, sparse+"/"):
			e.Skip = true
		case e.Mode == plumbing.Symlink:
			os.MkdirAll(filepath.Dir(at), 0o777)
			os.Remove(at)
			if err := os.Symlink(git(t, repo, "cat-file", "blob", f[2]), at); err != nil {
				t.Fatal(err)
			}
		default:
			write(t, at, git(t, repo, "cat-file", "blob", f[2])+"\n")
			if e.Mode == plumbing.Executable {
				os.Chmod(at, 0o755)
			}
		}
		if info, err := os.Lstat(at); err == nil && !e.Skip {
			e.Stat = plumbing.StatOf(info)
		}
		out = append(out, e)
	}
	return out
}

func TestBuild(t *testing.T) {
	up := upstream(t, "sha1")
	repo, packs := ours(t, up, "main", "sha1", "--depth=1")
	folder := filepath.Join(t.TempDir(), "mine")
	os.Mkdir(folder, 0o777)
	tip := oid(t, up, "main")
	n := New{Origin: "file://" + up, Branch: "refs/heads/main", Default: "refs/heads/main", Commit: tip, Depth: 1,
		Shallow: []plumbing.OID{tip}, Packs: packs, Index: checkout(t, repo, folder, tip, ""), Format: "sha1", ID: "abc",
		Tags: map[string]plumbing.OID{"refs/tags/v1": oid(t, up, "v1")}}
	c, err := Build(folder, n)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	real := filepath.Join(t.TempDir(), "real")
	git(t, ".", "clone", "-q", "--depth", "1", "--branch", "main", "file://"+up, real)
	for _, args := range [][]string{{"status", "--porcelain=v2", "--branch"}, {"log", "--format=%H %D"}, {"config", "--list", "--local"}, {"for-each-ref"}, {"fsck"}} {
		if got, want := git(t, folder, args...), git(t, real, args...); got != want {
			t.Errorf("git %v:\n%s\nafter git clone:\n%s", args, got, want)
		}
	}
}
