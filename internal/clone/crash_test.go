package clone

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A job is what a child does before it is killed.
type job struct {
	Folder string
	Update *Update
	New    *New
	Keep   string
	Stop   int // the change before which it dies; 0 counts them only
}

// TestMain is the child's beginning, too.
func TestMain(m *testing.M) {
	if folder := os.Getenv("CLONE_TEST_LOCKED"); folder != "" {
		c, err := Open(folder)
		if err != nil {
			panic(err)
		}
		l, _ := c.Locked()
		fmt.Println("alive", l.Alive, "stale", l.Stale())
		os.Exit(0)
	}
	file := os.Getenv("CLONE_TEST_JOB")
	if file == "" {
		os.Exit(m.Run())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	var j job
	if err := json.Unmarshal(data, &j); err != nil {
		panic(err)
	}
	n := 0
	err = j.do(func(what, name string) {
		n++
		if n == j.Stop {
			fmt.Println(what, name)
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(n)
	os.Exit(0)
}

func (j job) do(step func(what, name string)) error {
	if j.New != nil {
		c, err := build(j.Folder, *j.New, step)
		if err == nil {
			c.Close()
		}
		return err
	}
	c, err := open(nil, j.Folder, step)
	if err != nil {
		return err
	}
	defer c.Close()
	if j.Keep != "" {
		return c.EndUnfinished(j.Keep)
	}
	return c.Update(*j.Update)
}

// child does a job in a process of its own, and tells whether it was killed.
func child(t *testing.T, j job) (out string, killed bool) {
	t.Helper()
	data, err := json.Marshal(j)
	must(t, err)
	file := filepath.Join(t.TempDir(), "job")
	must(t, os.WriteFile(file, data, 0o600))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CLONE_TEST_JOB="+file)
	text, err := cmd.CombinedOutput()
	out = strings.TrimSpace(string(text))
	if err == nil {
		return out, false
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
		return out, true
	}
	t.Fatalf("child: %v\n%s", err, out)
	return "", false
}

// stops runs a job until each of its changes was the one that did not happen; the state
// before each run comes from fresh.
func stops(t *testing.T, fresh func() (folder string, j job), check func(folder, at string)) {
	t.Helper()
	if testing.Short() {
		t.Skip("many processes")
	}
	for n := 1; n < 500; n++ {
		folder, j := fresh()
		j.Stop = n
		at, killed := child(t, j)
		if !killed {
			if n < 5 {
				t.Fatalf("only %s changes", at)
			}
			t.Logf("%d stops", n-1)
			return
		}
		check(folder, at)
		j.Stop = 0
		if out, killed := child(t, j); killed {
			t.Fatalf("after %q: again: %s", at, out)
		}
		check(folder, at+", then again")
	}
	t.Fatal("it never ends")
}

func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v %s", err, out)
	}
	return to
}

// works looks whether git can work with what a stop left; committing works again as soon
// as the update was asked for again.
func works(t *testing.T, folder, at string) {
	t.Helper()
	for _, args := range [][]string{{"fsck", "--strict"}, {"status", "--porcelain"}, {"log", "--oneline"}, {"rev-parse", "HEAD"}, {"for-each-ref"}} {
		out, err := tryGit(folder, args...)
		if err != nil || strings.Contains(out, "missing") || strings.Contains(out, "error:") || strings.Contains(out, "broken") {
			t.Errorf("stopped before %s: git %v: %v\n%s", at, args, err, out)
		}
	}
	if strings.HasSuffix(at, "again") {
		if out, err := tryGit(folder, "commit", "-q", "--allow-empty", "-m", "mine"); err != nil {
			t.Errorf("stopped before %s: commit: %v\n%s", at, err, out)
		}
		left, _ := filepath.Glob(filepath.Join(folder, ".git", "*.lock"))
		deep, _ := filepath.Glob(filepath.Join(folder, ".git/refs/*/*.lock"))
		if len(left)+len(deep) > 0 {
			t.Errorf("stopped before %s: locks stay: %v %v", at, left, deep)
		}
	}
}

func TestKilledUpdate(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sha1", "--depth=1")
	u := s.update(t, s.advance(t, "four\n"))
	u.Shallow = append(u.Shallow, u.New)
	u.Partial, u.Filter = true, "blob:limit=1k"
	s.c.Close()
	stops(t, func() (string, job) {
		folder := copyTree(t, s.folder)
		return folder, job{Folder: folder, Update: &u}
	}, func(folder, at string) {
		works(t, folder, at)
		if strings.HasSuffix(at, "again") {
			if got := oid(t, folder, "HEAD~1"); got != u.New {
				t.Errorf("stopped before %s: at %s", at, got)
			}
		}
	})
}

func TestKilledSwitch(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sha1")
	u := s.update(t, s.advance(t, "four\n"))
	u.Branch, u.Old, u.Switch = "refs/heads/lab/one", "", true
	s.c.Close()
	stops(t, func() (string, job) {
		folder := copyTree(t, s.folder)
		git(t, folder, "pack-refs", "--all")
		return folder, job{Folder: folder, Update: &u}
	}, func(folder, at string) { works(t, folder, at) })
}

func TestKilledBuild(t *testing.T) {
	t.Parallel()
	up := upstream(t, "sha1")
	repo, packs := ours(t, up, "main", "sha1", "--depth=1")
	tip := oid(t, up, "main")
	stops(t, func() (string, job) {
		folder := filepath.Join(t.TempDir(), "mine")
		must(t, os.Mkdir(folder, 0o777))
		n := New{Origin: "file://" + up, Branch: "refs/heads/main", Default: "refs/heads/main", Commit: tip, Depth: 1, Packs: packs,
			Index: checkout(t, repo, folder, tip, "")}
		n.Shallow = append(n.Shallow, tip)
		if _, err := os.Lstat(folder + "/.git"); err == nil {
			t.Fatal("not fresh")
		}
		return folder, job{Folder: folder, New: &n}
	}, func(folder, at string) {
		if _, err := Open(folder); err == nil {
			works(t, folder, at)
		} else if err != ErrNone {
			t.Errorf("stopped before %s: %v", at, err)
		}
	})
}
