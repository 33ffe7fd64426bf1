package clone

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass-dev/daypass"
)

// TestNothingLeadsOut puts links into a .git, after it was opened and before, and looks
// whether anything outside changes. An error is fine; a write outside is not.
func TestNothingLeadsOut(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sha1")
	u := s.update(t, s.advance(t, "four\n"))
	u.Shallow = append(u.Shallow, u.New)
	u.Partial = true
	for _, name := range []string{
		"index", "HEAD", "index.lock", "refs", "refs/heads", "refs/heads/main", "refs/heads/main.lock", "refs/remotes", "refs/remotes/origin", "refs/remotes/origin/main",
		"logs", "logs/HEAD", "logs/refs", "logs/refs/heads", "logs/refs/heads/main", "objects", "objects/pack", "shallow", "shallow.lock", "packed-refs", "ORIG_HEAD", "ORIG_HEAD.daypass",
		"index.daypass", "daypass", "daypass.new", "config",
	} {
		for _, late := range []bool{false, true} {
			folder := copyTree(t, s.folder)
			at := filepath.Join(folder, ".git", name)
			outside := t.TempDir()
			early, err := Open(folder)
			must(t, err)
			if _, err := os.Lstat(at); err == nil {
				must(t, os.Rename(at, outside+"/x"))
			} else {
				write(t, outside+"/x", "precious\n")
			}
			if !late {
				must(t, os.Symlink(outside+"/x", at))
			}
			c := early
			if late {
				must(t, os.Symlink(outside+"/x", at))
			} else if c, err = Open(folder); err == nil {
				defer c.Close()
			}
			before := tree(t, outside)
			if err == nil {
				c.patience = 0
				err = errors.Join(c.Update(u), c.SetID("other"), c.EndUnfinished(t.TempDir()))
			}
			if got := tree(t, outside); got != before {
				t.Errorf("%s, late %t: outside changed (%v):\n%s\n%s", name, late, err, before, got)
			}
			early.Close()
		}
	}
}

// TestOtherKinds puts folders and pipes where files are meant: an error, no waiting.
func TestOtherKinds(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sha1")
	u := s.update(t, s.advance(t, "four\n"))
	u.Shallow = append(u.Shallow, u.New)
	for _, name := range []string{"packed-refs", "index", "shallow", "ORIG_HEAD", "refs/heads/main", "logs/HEAD", "index.lock", "HEAD.lock", "daypass", "config"} {
		for _, pipe := range []bool{false, true} {
			folder := copyTree(t, s.folder)
			c, err := Open(folder)
			must(t, err)
			at := filepath.Join(folder, ".git", name)
			must(t, os.RemoveAll(at))
			if pipe {
				must(t, syscall.Mkfifo(at, 0o600))
			} else {
				write(t, at+"/full", "x")
			}
			c.patience = 0
			err = c.Update(u)
			if h, e := c.Head(); e == nil && err == nil && h.Commit != u.New {
				t.Errorf("%s, pipe %t: no error, and at %+v", name, pipe, h)
			}
			if p := new(daypass.Problem); err != nil && !errors.As(err, &p) {
				t.Errorf("%s, pipe %t: no words: %v", name, pipe, err)
			}
			c.ID()
			c.Index()
			c.Log("HEAD")
			c.Locked()
			c.Close()
		}
	}
}

// TestNoLinks copies where the file system of ours is another one.
func TestNoLinks(t *testing.T) {
	s := newScene(t, "sha1")
	u := s.update(t, s.advance(t, "four\n"))
	other, err := os.MkdirTemp("/dev/shm", "clone-test-")
	if err != nil {
		t.Skip("no other file system")
	}
	defer os.RemoveAll(other)
	if out, err := exec.Command("cp", "-a", s.ours, other+"/ours.git").CombinedOutput(); err != nil {
		t.Fatalf("cp: %s", out)
	}
	u.Packs = packsOf(t, other+"/ours.git")
	must(t, s.c.Update(u))
	s.sound(t, true)
	for _, p := range u.Packs {
		info, err := os.Stat(filepath.Join(s.folder, ".git/objects/pack", filepath.Base(p)))
		must(t, err)
		if info.Mode().Perm() != 0o444 {
			t.Errorf("%s: %s", p, info.Mode())
		}
	}
	if left, _ := filepath.Glob(s.folder + "/.git/objects/pack/tmp*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestLinked looks whether packs are shared, whole ones stay, and loose objects come too.
func TestLinked(t *testing.T) {
	s := newScene(t, "sha1")
	to := s.advance(t, "four\n")
	u := s.update(t, to)
	loose := git(t, s.ours, "hash-object", "-w", "--stdin", "-t", "blob")
	u.Packs = append(u.Packs, filepath.Join(s.ours, "objects", loose[:2], loose[2:]))
	must(t, s.c.Update(u))
	for _, p := range packsOf(t, s.ours) {
		a, err := os.Stat(p)
		must(t, err)
		b, err := os.Stat(filepath.Join(s.folder, ".git/objects/pack", filepath.Base(p)))
		must(t, err)
		if !os.SameFile(a, b) {
			t.Errorf("%s is a copy", p)
		}
	}
	git(t, s.folder, "cat-file", "-e", loose)
	s.sound(t, true)
}

// TestReadOnly makes parts of .git such that nobody may write there.
func TestReadOnly(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write anywhere")
	}
	for _, name := range []string{"objects/pack", "refs/heads", "."} {
		s := newScene(t, "sha1")
		u := s.update(t, s.advance(t, "four\n"))
		at := filepath.Join(s.folder, ".git", name)
		must(t, os.Chmod(at, 0o555))
		err := s.c.Update(u)
		os.Chmod(at, 0o755)
		if p := new(daypass.Problem); !errors.As(err, &p) || p.Code != "DP-352" {
			t.Errorf("%s: %v", name, err)
		}
		if out, err := tryGit(s.folder, "fsck"); err != nil {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// TestNothingRuns has ten keys that execute, and hooks; git is not run, so nothing is.
func TestNothingRuns(t *testing.T) {
	s := newScene(t, "sha1")
	u := s.update(t, s.advance(t, "four\n"))
	ran := filepath.Join(t.TempDir(), "ran")
	script := "touch " + ran
	for _, key := range []string{"core.fsmonitor", "core.sshCommand", "core.editor", "core.pager", "filter.x.clean", "filter.x.smudge", "diff.external", "gpg.program", "credential.helper", "core.gitProxy", "merge.x.driver", "remote.origin.uploadpack"} {
		git(t, s.folder, "config", key, script)
	}
	write(t, s.folder+"/.git/info/attributes", "* filter=x merge=x\n")
	for _, hook := range []string{"post-checkout", "post-merge", "reference-transaction", "post-index-change", "pre-auto-gc"} {
		write(t, s.folder+"/.git/hooks/"+hook, "#!/bin/sh\n"+script+"\n")
		must(t, os.Chmod(s.folder+"/.git/hooks/"+hook, 0o755))
	}
	c, err := Open(s.folder)
	must(t, err)
	defer c.Close()
	must(t, c.Update(u))
	must(t, c.EndUnfinished(t.TempDir()))
	if _, err := os.Stat(ran); err == nil {
		t.Error("something ran")
	}
	text, err := os.ReadFile(s.folder + "/.git/config")
	must(t, err)
	if !strings.Contains(string(text), script) {
		t.Error("the user's configuration changed")
	}
}
