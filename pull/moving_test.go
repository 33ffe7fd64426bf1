package pull

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/gittest"
)

// ways are the ways in which a folder came to be.
func ways() map[string]func(*desk) {
	return map[string]func(*desk){
		"ours":            func(d *desk) { d.pull() },
		"shallow clone":   func(d *desk) { d.clone("--depth", "1", "--branch", "main") },
		"whole clone":     func(d *desk) { d.clone() },
		"synced shallow":  func(d *desk) { d.clone("--depth", "1"); d.write("mine", "m"); d.sync(); d.remove("mine") },
		"auto-committed":  func(d *desk) { d.clone("--depth", "1"); d.write("b", "b mine"); d.sync() },
		"ours, committed": func(d *desk) { d.pull(); d.write("b", "b mine"); d.git("commit", "-qam", "mine") },
	}
}

func everyWay(t *testing.T, f func(d *desk, way string)) {
	for way, have := range ways() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "zero", gittest.Files{"a": "zero", "b": "b"})
			d.src.Commit("main", "one", gittest.Files{"a": long()})
			have(d)
			f(d, way)
			d.sound()
			if _, err := d.try("status"); err != nil {
				t.Error("git status does not work")
			}
			if r := d.pull(); !r.Same {
				t.Errorf("a second pull did something: %+v", r)
			}
			d.noLeftovers()
		})
	}
}

// b is what a folder of some way has in the file b.
func b(way string) string {
	if strings.HasSuffix(way, "committed") {
		return "b mine"
	}
	return "b"
}

func TestForcePush(t *testing.T) {
	t.Run("clean", func(t *testing.T) {
		everyWay(t, func(d *desk, way string) {
			d.src.Amend("main", "again", gittest.Files{"a": long("3 again")})
			d.pull()
			d.want(map[string]string{"a": long("3 again"), "b": b(way)})
		})
	})
	t.Run("edited", func(t *testing.T) {
		everyWay(t, func(d *desk, way string) {
			d.write("a", long("9 mine"))
			d.src.Amend("main", "again", gittest.Files{"a": long("3 again")})
			d.pull()
			d.want(map[string]string{"a": long("3 again", "9 mine"), "b": b(way)})
		})
	})
	t.Run("orphan", func(t *testing.T) {
		everyWay(t, func(d *desk, way string) {
			d.write("a", long("9 mine"))
			d.src.Orphan("main", "anew", gittest.Files{"a": long("3 anew"), "b": "b", "c": "c"})
			d.pull()
			d.want(map[string]string{"a": long("3 anew", "9 mine"), "b": b(way), "c": "c"})
		})
	})
}

func TestOtherBranch(t *testing.T) {
	everyWay(t, func(d *desk, way string) {
		d.src.Git("branch", "b2", "main")
		d.src.Commit("b2", "two", gittest.Files{"a": long("3 b2"), "c": "c"})
		d.write("a", long("9 mine"))
		d.ref = "b2"
		r := d.pull()
		d.want(map[string]string{"a": long("3 b2", "9 mine"), "b": b(way), "c": "c"})
		if got := d.git("rev-parse", "--abbrev-ref", "HEAD"); got != "b2" || len(r.Notes) == 0 {
			d.t.Errorf("on %s, notes %q", got, r.Notes)
		}
		d.ref = "main"
		d.pull()
		d.want(map[string]string{"a": long("9 mine"), "b": b(way)})
		if got := d.git("rev-parse", "--abbrev-ref", "HEAD"); got != "main" {
			d.t.Errorf("back on %s", got)
		}
	})
}

// TestOtherBranchAtOneCommit: what was asked for last is what the folder follows, though
// it brought nothing new on that day.
func TestOtherBranchAtOneCommit(t *testing.T) {
	everyWay(t, func(d *desk, way string) {
		d.write("a", long("9 mine"))
		d.pull()
		d.src.Git("branch", "b2", "main")
		d.src.Git("tag", "v1", "main")
		for ref, head := range map[string]string{"b2": "b2", "v1": "HEAD"} {
			d.ref = ref
			d.pull()
			if st, ok, err := d.p.State(d.folder); err != nil || !ok || st.Ref != ref {
				d.t.Errorf("it follows %q, not %s (%v)", st.Ref, ref, err)
			}
			if got := d.git("rev-parse", "--abbrev-ref", "HEAD"); got != head {
				d.t.Errorf("on %s, not %s", got, head)
			}
			d.want(map[string]string{"a": long("9 mine"), "b": b(way)})
			if r := d.pull(); !r.Same {
				d.t.Errorf("a second pull did something: %+v", r)
			}
		}
	})
}

// TestOtherBranchIsFollowed: the user's own git fetches, pulls and pushes the branch that a
// pull has changed to.
func TestOtherBranchIsFollowed(t *testing.T) {
	everyWay(t, func(d *desk, way string) {
		d.src.Git("branch", "b2", "main")
		d.src.Commit("b2", "two", gittest.Files{"c": "c"})
		d.ref = "b2"
		d.pull()
		if got := d.git("rev-parse", "--abbrev-ref", "b2@{upstream}"); got != "origin/b2" {
			d.t.Errorf("it follows %q", got)
		}
		next := d.src.Commit("b2", "three", gittest.Files{"c": "c3"})
		d.git("pull", "-q", "--no-rebase", "--no-edit")
		if got := d.git("rev-parse", "origin/b2"); got != next {
			d.t.Errorf("git pull brought %s, not %s", got, next)
		}
		d.want(map[string]string{"a": long(), "b": b(way), "c": "c3"})
		d.ref = "main"
		d.pull()
		d.ref = "b2"
		d.pull()
		if got := d.git("config", "--get-all", "branch.b2.merge"); got != "refs/heads/b2" {
			d.t.Errorf("configured again: %q", got)
		}
	})
}

func TestTagAndCommit(t *testing.T) {
	everyWay(t, func(d *desk, way string) {
		v1 := d.src.Commit("main", "two", gittest.Files{"a": long("3 v1")})
		d.src.Git("tag", "v1", v1)
		d.write("a", long("9 mine"))
		d.ref = "v1"
		d.pull()
		if r := d.pull(); !r.Same {
			d.t.Errorf("a tag is pulled twice: %+v", r)
		}
		d.want(map[string]string{"a": long("3 v1", "9 mine"), "b": b(way)})
		v2 := d.src.Commit("main", "three", gittest.Files{"a": long("3 v2")})
		d.ref = v2
		d.pull()
		d.want(map[string]string{"a": long("3 v2", "9 mine"), "b": b(way)})
	})
}

func TestUnfinishedMerge(t *testing.T) {
	everyWay(t, func(d *desk, way string) {
		d.write("a", long("5 mine"))
		d.git("commit", "-qam", "mine")
		d.src.Commit("main", "two", gittest.Files{"a": long("5 theirs", "1 theirs")})
		d.try("fetch", "-q")
		if out, err := d.try("merge", "origin/main"); err == nil {
			d.t.Fatalf("the merge went through: %s", out)
		}
		d.src.Commit("main", "three", gittest.Files{"c": "c"})
		r := d.pull()
		d.want(map[string]string{"a": long("5 mine", "1 theirs"), "b": b(way), "c": "c"})
		if exists(filepath.Join(d.folder, ".git", "MERGE_HEAD")) || len(r.Notes) == 0 {
			d.t.Errorf("the merge goes on; notes %q", r.Notes)
		}
		list, err := d.p.Backups(d.folder)
		found := false
		for _, k := range list {
			var text strings.Builder
			d.p.Recover(d.t.Context(), d.folder, k.ID, "a", &text)
			found = found || strings.Contains(text.String(), "<<<<<<<")
		}
		if err != nil || !found {
			d.t.Errorf("the file with the marks is in no backup: %+v, %v", list, err)
		}
	})
}

// TestStuck is a folder in which every pull of nbgitpuller fails.
func TestStuck(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
	d.clone()
	d.git("mv", "a", "c")
	d.git("commit", "-qm", "mine")
	d.src.Commit("main", "two", gittest.Files{"a": gittest.Deleted, "n": long()})
	d.sync()
	if unmerged := d.git("ls-files", "-u"); unmerged == "" {
		t.Fatal("this is not stuck")
	}
	d.pull()
	got := d.files()
	if got["c"] != long() || got["n"] != long() || got["b"] != "b" {
		t.Errorf("%q", got)
	}
	d.sound()
	if out, err := d.try("merge", "HEAD"); err != nil {
		t.Errorf("git is still stuck: %s", out)
	}
}

// TestStuckByForcePush is another: the newest of upstream has nothing in common
// with the clone, and has been fetched already.
func TestStuckByForcePush(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
	d.clone("--depth", "1")
	d.write("a", long("9 mine"))
	d.src.Orphan("main", "anew", gittest.Files{"a": long("1 theirs"), "b": "b2"})
	d.sync()
	d.sync()
	d.pull()
	d.want(map[string]string{"a": long("1 theirs", "9 mine"), "b": "b2"})
	d.sound()
	if r := d.pull(); !r.Same {
		t.Errorf("second pull: %+v", r)
	}
}

func TestInterruptedClone(t *testing.T) {
	for name, spoil := range map[string]func(d *desk){
		"no objects": func(d *desk) { os.RemoveAll(filepath.Join(d.folder, ".git/objects")) },
		"no HEAD":    func(d *desk) { os.Remove(filepath.Join(d.folder, ".git/HEAD")) },
		"empty HEAD": func(d *desk) { os.Truncate(filepath.Join(d.folder, ".git/HEAD"), 0) },
		"no files":   func(d *desk) { d.remove("a"); d.remove("b"); os.Remove(filepath.Join(d.folder, ".git/index")) },
		"no refs": func(d *desk) {
			os.RemoveAll(filepath.Join(d.folder, ".git/refs"))
			os.Remove(filepath.Join(d.folder, ".git/packed-refs"))
			os.MkdirAll(filepath.Join(d.folder, ".git/refs/heads"), 0o777)
			os.WriteFile(filepath.Join(d.folder, ".git/objects/pack/tmp_pack_x"), []byte("half"), 0o600)
		},
		"empty index": func(d *desk) { os.Truncate(filepath.Join(d.folder, ".git/index"), 0) },
		"empty .git":  func(d *desk) { d.remove(".git"); os.Mkdir(filepath.Join(d.folder, ".git"), 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": "a", "b": "b"})
			d.clone("--depth", "1")
			spoil(d)
			d.src.Commit("main", "two", gittest.Files{"c": "c"})
			d.pull()
			d.want(map[string]string{"a": "a", "b": "b", "c": "c"})
			d.sound()
			d.status()
			if r := d.pull(); !r.Same {
				t.Errorf("second pull: %+v", r)
			}
		})
	}
}

func (d *desk) refused(code string) *daypass.Problem {
	d.t.Helper()
	r, err := d.p.Pull(d.t.Context(), d.ask())
	var problem *daypass.Problem
	if !errors.As(err, &problem) || problem.Code != code {
		d.t.Fatalf("got %+v, %v; want %s", r, err, code)
	}
	return problem
}

func TestOtherRepository(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	other := gittest.New(t)
	other.Commit("main", "one", gittest.Files{"x": "x"})
	gittest.Run(t, d.home, "clone", "-q", "file://"+other.Dir, d.folder)
	d.refused("DP-331")
	d.want(map[string]string{"x": "x"})
	d.remove(".")
	d.remove("")
	gittest.Run(t, d.home, "init", "-q", d.folder)
	d.write("x", "x")
	d.git("add", "x")
	d.git("commit", "-qm", "mine")
	d.refused("DP-331")
}

func TestIndexLock(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	d.src.Commit("main", "two", gittest.Files{"a": "a2"})
	lock := filepath.Join(d.folder, ".git", "index.lock")
	if err := os.WriteFile(lock, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	os.Chtimes(lock, old, old)
	d.pull()
	d.want(map[string]string{"a": "a2"})
	if exists(lock) {
		t.Error("the dead lock is still there")
	}
	d.sound()
}

// TestHostileClone fills the repository with all that git runs, and pulls.
func TestHostileClone(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long(), ".gitattributes": "* filter=evil diff=evil merge=evil\n"})
	d.clone()
	ran := filepath.Join(d.home, "ran")
	script := filepath.Join(d.home, "evil.sh")
	os.WriteFile(script, []byte("#!/bin/sh\necho \"$0 $*\" >> "+ran+"\ncat\n"), 0o755)
	for _, kv := range [][2]string{
		{"core.fsmonitor", script}, {"core.sshCommand", script}, {"core.gitProxy", script}, {"core.pager", script}, {"core.editor", script},
		{"core.hooksPath", filepath.Join(d.home, "hooks")}, {"diff.external", script}, {"filter.evil.clean", script}, {"filter.evil.smudge", script},
		{"filter.evil.process", script}, {"merge.evil.driver", script}, {"diff.evil.textconv", script}, {"credential.helper", script},
		{"uploadpack.packObjectsHook", script}, {"gpg.program", script}, {"commit.gpgSign", "true"}, {"remote.origin.uploadpack", script},
		{"core.alternateRefsCommand", script}, {"merge.ff", "only"},
	} {
		d.try("config", kv[0], kv[1])
	}
	for _, dir := range []string{filepath.Join(d.folder, ".git", "hooks"), filepath.Join(d.home, "hooks")} {
		os.MkdirAll(dir, 0o777)
		for _, hook := range []string{"post-checkout", "post-merge", "pre-commit", "post-index-change", "reference-transaction", "pre-auto-gc", "post-rewrite"} {
			os.WriteFile(filepath.Join(dir, hook), []byte(fmt.Sprintf("#!/bin/sh\necho %s >> %s\nexit 1\n", hook, ran)), 0o755)
		}
	}
	os.Remove(ran)
	d.write("a", long("9 mine"))
	d.src.Commit("main", "two", gittest.Files{"a": long("3 theirs")})
	d.pull()
	if data, err := os.ReadFile(ran); !os.IsNotExist(err) {
		t.Errorf("this ran: %s", data)
	}
	d.want(map[string]string{"a": long("3 theirs", "9 mine"), ".gitattributes": "* filter=evil diff=evil merge=evil\n"})
}

// coded holds that a failure is a problem with a code.
func (d *desk) coded(err error) {
	d.t.Helper()
	var problem *daypass.Problem
	if err != nil && (!errors.As(err, &problem) || problem.Code == "") {
		d.t.Errorf("no code: %v", err)
	}
}
