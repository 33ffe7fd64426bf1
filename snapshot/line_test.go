package snapshot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

// call opens a line; fetched goes on by it and counts the requests.
func call(t *testing.T, g snapshot.Git, url, ref string) (snapshot.Tip, *snapshot.Line) {
	t.Helper()
	tip, line, err := g.Call(t.Context(), url, ref)
	if err != nil {
		t.Fatalf("call %q: %v", ref, err)
	}
	if line != nil {
		t.Cleanup(line.Close)
	}
	return tip, line
}

func TestLine(t *testing.T) {
	t.Parallel()
	course := gittest.New(t)
	course.Commit("main", "zero", gittest.Files{"a": "0", "gone": "x"})
	course.Commit("main", "one", gittest.Files{"a": "1", "gone": gittest.Deleted})
	server := course.Serve(gittest.Options{})
	g, url := source(t), server.Of(course)
	repo := ours(t, g, "sha1")

	tip, line := call(t, g, url, "")
	if line == nil || tip.Ref != "refs/heads/main" || tip != look(t, g, url, "") {
		t.Fatalf("%+v by %v", tip, line)
	}
	server.Forget()
	s := fetch(t, g, repo, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Line: line})
	if n := len(server.Requests()); n != 1 || paths(s.Files) != "a" || len(s.Shallow) != 1 || s.Shallow[0] != s.Commit {
		t.Errorf("%d requests, %+v", n, s)
	}
	if err := repo.WriteRef("refs/daypass/snapshots/1", s.Commit, ""); err != nil {
		t.Fatal(err)
	}

	course.Commit("main", "two", gittest.Files{"b": "2"})
	tip2, line := call(t, g, url, "main")
	server.Forget()
	s2 := fetch(t, g, repo, snapshot.Ask{URL: url, Tip: tip2, Have: s.Commit, Line: line})
	if n := len(server.Requests()); n != 1 || paths(s2.Files) != "a b" || s2.Commit != tip2.Commit {
		t.Errorf("%d requests, %+v", n, s2)
	}
	if err := repo.WriteRef("refs/daypass/snapshots/2", s2.Commit, ""); err != nil {
		t.Fatal(err)
	}

	// A history that was rewritten takes git's own questions.
	course.Orphan("main", "new", gittest.Files{"c": "3"})
	tip3, line := call(t, g, url, "main")
	if s3 := fetch(t, g, repo, snapshot.Ask{URL: url, Tip: tip3, Have: s2.Commit, Line: line}); paths(s3.Files) != "c" {
		t.Errorf("%+v", s3)
	}
}

// TestLineElsewhere asks for what a line is not for, or cannot have.
func TestLineElsewhere(t *testing.T) {
	t.Parallel()
	course := gittest.New(t)
	course.Commit("main", "one", gittest.Files{"a": "1"})
	server := course.Serve(gittest.Options{})
	g, url := source(t), server.Of(course)
	for ref, want := range map[string]string{"nowhere": "DP-315", "a..b": "DP-315"} {
		if _, line, err := g.Call(t.Context(), url, ref); code(err) != want || line != nil {
			t.Errorf("%s: %v, %v", ref, line, err)
		}
	}
	if _, _, err := g.Call(t.Context(), server.URL+"/none.git", ""); code(err) != "DP-312" {
		t.Errorf("no repository: %v", err)
	}
	oid := string(look(t, g, url, "main").Commit)
	if tip, line := call(t, g, url, oid); line != nil || string(tip.Commit) != oid {
		t.Errorf("a commit: %+v by %v", tip, line)
	}
	if tip, line := call(t, g, "file://"+course.Dir, "main"); line != nil || string(tip.Commit) != oid {
		t.Errorf("a folder: %+v by %v", tip, line)
	}
}

// TestLineBreaks cuts, garbles and refuses the answer to the second question, and wants
// what git alone brings.
func TestLineBreaks(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]gittest.Fault{
		"cut":      {Match: "upload-pack", Method: "POST", After: 60, Cut: true, Times: 1},
		"nothing":  {Match: "upload-pack", Method: "POST", Cut: true, Times: 1},
		"no":       {Match: "upload-pack", Method: "POST", Status: 500, Times: 1},
		"too much": {Match: "upload-pack", Method: "POST", Status: 413, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			course := gittest.New(t)
			course.Commit("main", "one", gittest.Files{"a": strings.Repeat("a", 5000)})
			server := course.Serve(gittest.Options{})
			g, url := source(t), server.Of(course)
			repo := ours(t, g, "sha1")
			tip, line := call(t, g, url, "main")
			server.Fault(fault)
			if s := fetch(t, g, repo, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Line: line}); paths(s.Files) != "a" {
				t.Errorf("%+v", s)
			}
			left, _ := filepath.Glob(filepath.Join(repo.Dir(), "objects/pack/tmp_*"))
			if _, err := os.Lstat(filepath.Join(repo.Dir(), "shallow.lock")); len(left) > 0 || err == nil {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestLeftByTheKilled: what a git leaves that is killed in the middle of a fetch or a
// repack stops no fetch, and goes with the next one.
func TestLeftByTheKilled(t *testing.T) {
	t.Parallel()
	course := gittest.New(t)
	course.Commit("main", "one", gittest.Files{"a": "a"})
	g := source(t)
	repo := ours(t, g, "sha1")
	url := "file://" + course.Dir
	left := []string{"objects/pack/tmp_pack_abc123", "objects/pack/.tmp-4711-pack-0123.pack", "objects/aa/tmp_obj_x", "shallow.lock", "config.lock", "packed-refs.lock", "refs/daypass/tip"}
	for _, name := range left {
		path := filepath.Join(repo.Dir(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tip, line := call(t, g, url, "main")
	if s := fetch(t, g, repo, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Line: line}); paths(s.Files) != "a" {
		t.Errorf("%+v", s)
	}
	for _, name := range left {
		if _, err := os.Lstat(filepath.Join(repo.Dir(), name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}
