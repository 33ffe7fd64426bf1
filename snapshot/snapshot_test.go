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

func source(t testing.TB) snapshot.Git {
	t.Helper()
	g, err := plumbing.Find(os.Getenv, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	g.Protocols = "https:http:file"
	return snapshot.Git{Git: g}
}

func ours(t testing.TB, g snapshot.Git, format string) *plumbing.Repo {
	t.Helper()
	r, err := g.Git.Create(filepath.Join(t.TempDir(), "repo.git"), format)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// code is a problem's code, or the error.
func code(err error) string {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func look(t testing.TB, g snapshot.Git, url, ref string) snapshot.Tip {
	t.Helper()
	tip, err := g.Look(t.Context(), url, ref)
	if err != nil {
		t.Fatalf("look %q: %v", ref, err)
	}
	return tip
}

func fetch(t testing.TB, g snapshot.Git, r *plumbing.Repo, a snapshot.Ask) snapshot.Snapshot {
	t.Helper()
	s, err := g.Fetch(t.Context(), r, a)
	if err != nil {
		t.Fatalf("fetch: %v", err)
	}
	out, err := r.Command(t.Context(), "fsck", "--connectivity-only").CombinedOutput()
	if err != nil && g.Limits.File == 0 { // else older commits may lack what was left out
		t.Errorf("fsck: %v\n%s", err, out)
	}
	return s
}

func paths(files []plumbing.File) string {
	var out []string
	for _, f := range files {
		out = append(out, f.Path)
	}
	return strings.Join(out, " ")
}

func TestLook(t *testing.T) {
	up := gittest.New(t)
	one := up.Commit("main", "one", gittest.Files{"a": "1"})
	two := up.Commit("feature/main", "two", gittest.Files{"a": "2"})
	three := up.Commit("both", "three", gittest.Files{"a": "3"})
	up.Git("tag", "-a", "-m", "v", "v1", one)
	up.Git("tag", "light", two)
	up.Git("tag", "both", one)
	up.Git("update-ref", "refs/pull/7/head", two)
	s := up.Serve(gittest.Options{})
	url, g := s.Of(up), source(t)
	for ref, want := range map[string]snapshot.Tip{
		"":                   {Ref: "refs/heads/main", Name: "main", Commit: plumbing.OID(one)},
		"HEAD":               {Ref: "refs/heads/main", Name: "main", Commit: plumbing.OID(one)},
		"main":               {Ref: "refs/heads/main", Name: "main", Commit: plumbing.OID(one)},
		"feature/main":       {Ref: "refs/heads/feature/main", Name: "feature/main", Commit: plumbing.OID(two)},
		"v1":                 {Ref: "refs/tags/v1", Name: "v1", Commit: plumbing.OID(one)},
		"light":              {Ref: "refs/tags/light", Name: "light", Commit: plumbing.OID(two)},
		"both":               {Ref: "refs/heads/both", Name: "both", Commit: plumbing.OID(three)},
		"refs/tags/both":     {Ref: "refs/tags/both", Name: "both", Commit: plumbing.OID(one)},
		"refs/pull/7/head":   {Ref: "refs/pull/7/head", Name: "refs/pull/7/head", Commit: plumbing.OID(two)},
		strings.ToUpper(two): {Name: two, Commit: plumbing.OID(two)},
	} {
		want.Format = "sha1"
		s.Forget()
		if tip := look(t, g, url, ref); tip != want {
			t.Errorf("%q: %+v, want %+v", ref, tip, want)
		}
		if n := len(s.Requests()); n > 2 || len(ref) == 40 && n > 0 {
			t.Errorf("%q: %d requests", ref, n)
		}
	}
	for ref, words := range map[string]string{"mian": "main", "nowhere-at-all": "no branch", "ma*n": "no branch", "--upload-pack=x": "no branch", "a b": "no branch", one[:10]: "40 digits"} {
		_, err := g.Look(t.Context(), url, ref)
		if code(err) != "DP-315" || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	all, err := g.LookAll(t.Context(), url)
	if err != nil || len(all) != 7 || all[0].Name != "HEAD" || all[0].Ref != "refs/heads/main" {
		t.Errorf("%+v, %v", all, err)
	}
	up.Git("symbolic-ref", "HEAD", "refs/heads/unborn")
	if _, err := g.Look(t.Context(), url, ""); code(err) != "DP-315" || !strings.Contains(err.Error(), "main") {
		t.Errorf("no HEAD: %v", err)
	}
	up.Git("update-ref", "--no-deref", "HEAD", two)
	os.WriteFile(filepath.Join(up.Dir, "HEAD"), []byte(two+"\n"), 0o644)
	if tip := look(t, g, url, ""); tip.Ref != "" || string(tip.Commit) != two {
		t.Errorf("detached: %+v", tip)
	}
	empty := gittest.At(t, filepath.Join(filepath.Dir(up.Dir), "empty.git"), "sha1")
	if _, err := g.Look(t.Context(), s.Of(empty), ""); code(err) != "DP-326" {
		t.Errorf("empty: %v", err)
	}
}

func TestFetch(t *testing.T) {
	for _, o := range []gittest.Options{{}, {Filter: true}, {Version0: true}} {
		up := gittest.New(t)
		up.Commit("main", "one", gittest.Files{"a": "1", "d/b": "b", "d/c/e": "e"})
		two := up.Commit("main", "two", gittest.Files{"a": "2"})
		s := up.Serve(o)
		url, g := s.Of(up), source(t)
		r := ours(t, g, "sha1")
		tip := look(t, g, url, "")
		var told []snapshot.Progress
		got := fetch(t, g, r, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Progress: func(p snapshot.Progress) { told = append(told, p) }})
		if string(got.Commit) != two || got.Tip.Commit != got.Commit || paths(got.Files) != "a d/b d/c/e" || got.Bytes != 3 || len(got.Shallow) != 1 || got.Partial || len(got.Rest)+len(got.Left) > 0 {
			t.Errorf("%+v: %+v", o, got)
		}
		if len(told) == 0 || told[len(told)-1].Bytes == 0 {
			t.Errorf("progress: %+v", told)
		}
		three := up.Commit("main", "three", gittest.Files{"a": "3"})
		s.Forget()
		again := fetch(t, g, r, snapshot.Ask{URL: url, Tip: look(t, g, url, "main"), Depth: 1, Have: got.Commit, Path: "d/c"})
		if string(again.Commit) != three || paths(again.Files) != "d/c/e" || paths(again.Rest) != "a d/b" {
			t.Errorf("%+v: %+v", o, again)
		}
		// A history that has nothing to do with the old one, cut again.
		for range 5 {
			up.Commit("other", "x", gittest.Files{"z": "z"})
		}
		up.Orphan("main", "new", gittest.Files{"z": "1"})
		for range 5 {
			up.Commit("main", "more", gittest.Files{"z": "2"})
		}
		forced := fetch(t, g, r, snapshot.Ask{URL: url, Tip: look(t, g, url, "main"), Depth: 1, Have: again.Commit})
		if n, _ := r.Command(t.Context(), "rev-list", "--count", string(forced.Commit)).Output(); strings.TrimSpace(string(n)) != "1" {
			t.Errorf("%+v: %s commits came", o, n)
		}
		// Between a look and the fetch.
		tip = look(t, g, url, "main")
		gone := up.Orphan("main", "newest", gittest.Files{"q": "1"})
		up.Git("reflog", "expire", "--all", "--expire=now")
		up.Git("gc", "-q", "--prune=now")
		moved := fetch(t, g, r, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Have: forced.Commit})
		if string(moved.Commit) != gone || string(moved.Tip.Commit) != gone {
			t.Errorf("%+v: moved to %s, want %s", o, moved.Commit, gone)
		}
		full := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, "other")})
		if len(full.Shallow) != 0 || full.Partial {
			t.Errorf("%+v: a whole history is shallow: %v", o, full.Shallow)
		}
	}
}
