package gittest_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
)

func clone(url string, args ...string) (string, error) {
	cmd := exec.Command("git", append(append([]string{"clone", "-q"}, args...), url)...)
	cmd.Env = gittest.Environ()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestServe(t *testing.T) {
	r := gittest.New(t)
	r.Commit("main", "one", gittest.Files{"a.txt": "one\n", "100755:run": "#!/bin/sh\n", "120000:l": "a.txt"})
	two := r.Commit("main", "two", gittest.Files{"a.txt": gittest.Deleted, "é\n.txt": "x"})
	if again := func() string {
		q := gittest.New(t)
		q.Commit("main", "one", gittest.Files{"a.txt": "one\n", "100755:run": "#!/bin/sh\n", "120000:l": "a.txt"})
		return q.Commit("main", "two", gittest.Files{"a.txt": gittest.Deleted, "é\n.txt": "x"})
	}(); again != two {
		t.Errorf("the same calls gave %s and %s", two, again)
	}
	s := r.Serve(gittest.Options{})
	dir := filepath.Join(t.TempDir(), "c")
	if out, err := clone(s.Of(r), dir); err == nil {
		t.Errorf("git takes two arguments the wrong way round: %s", out)
	}
	cmd := exec.Command("git", "clone", "-q", s.Of(r), dir)
	cmd.Env = gittest.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := gittest.Run(t, dir, "rev-parse", "HEAD"); got != two {
		t.Errorf("HEAD is %s", got)
	}
	if n := len(s.Requests()); n < 2 {
		t.Errorf("%d requests were logged", n)
	}
	if gittest.Run(t, dir, "log", "--format=%P", "-1") == "" {
		t.Error("the second commit has no parent")
	}
	if r.Orphan("main", "new", gittest.Files{"z": "z"}) == two || r.Git("rev-list", "--count", "main") != "1" {
		t.Error("an orphan has parents")
	}
	r.Commit("main", "more", gittest.Files{"z": "y"})
	r.Amend("main", "less", gittest.Files{"z": "x"})
	if r.Git("rev-list", "--count", "main") != "2" || r.Git("show", "main:z") != "x" {
		t.Error("amended wrongly")
	}
}

func TestAuthentication(t *testing.T) {
	r := gittest.New(t)
	r.Commit("main", "one", gittest.Files{"a": "b"})
	s := r.Serve(gittest.Options{User: "u", Password: "p"})
	if out, err := clone(s.Of(r), "--bare"); err == nil {
		t.Errorf("cloned without a password: %s", out)
	}
	dir := t.TempDir()
	gittest.Run(t, dir, "clone", "-q", strings.Replace(s.Of(r), "http://", "http://u:p@", 1), "c")
}

func TestFaults(t *testing.T) {
	r := gittest.New(t)
	r.Course("main", 50)
	s := r.Serve(gittest.Options{})
	for _, f := range []gittest.Fault{
		{Status: 503},
		{Match: "git-upload-pack", Method: "POST", After: 3000, Cut: true},
		{Match: "git-upload-pack", Method: "POST", After: 3000, Stall: 50 * time.Millisecond},
	} {
		s.Fault(f)
		cmd := exec.Command("git", "clone", "-q", s.Of(r), filepath.Join(t.TempDir(), "c"))
		cmd.Env = gittest.Environ()
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%+v: cloned: %s", f, out)
		}
		s.Fault()
	}
	s.Fault(gittest.Fault{Rate: 200_000})
	start := time.Now()
	gittest.Run(t, t.TempDir(), "clone", "-q", s.Of(r), "c")
	if d := time.Since(start); d < 200*time.Millisecond {
		t.Errorf("a slow clone took %s", d)
	}
}
