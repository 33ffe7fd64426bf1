package snapshot_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

func modulesFile(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "[submodule \"%d\"]\n\tpath = %s\n\turl = %s\n", i, pairs[i], pairs[i+1])
	}
	return b.String()
}

func TestSubmodules(t *testing.T) {
	root := t.TempDir()
	at := func(name string) *gittest.Repo { return gittest.At(t, filepath.Join(root, name), "sha1") }
	lib, deep, up := at("org/lib.git"), at("org/deep.git"), at("org/course.git")
	s := gittest.Serve(t, root, gittest.Options{User: "u", Password: "hunter2secret"})
	deepID := deep.Commit("main", "d", gittest.Files{"z": "z", "100755:bin/run": "x"})
	libID := lib.Commit("main", "l", gittest.Files{"lib.py": "1", ".gitmodules": modulesFile("inner", "./../deep.git"), "160000:inner": deepID})
	lib.Commit("main", "newer", gittest.Files{"lib.py": "2"})
	up.Commit("main", "c", gittest.Files{
		"a": "1", "160000:libs/lib": libID, "160000:nourl": libID, "160000:ext": libID, "160000:file": libID, "160000:gone": strings.Repeat("1", 40), "160000:other": libID, "160000:option": libID, "160000:self": strings.Repeat("2", 40),
		".gitmodules": modulesFile("libs/lib", "../lib.git", "ext", "ext::sh -c 'touch /tmp/pwned-by-submodule'", "file", "file:///etc", "gone", "../lib.git", "other", "http://127.0.0.1:1/x.git", "self", "./"),
	})
	g := source(t)
	g.Git.Config, _ = helper(t, strings.TrimPrefix(s.URL, "http://"), "hunter2secret")
	url := s.Of(up)
	tip := look(t, g, url, "")
	plain := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: tip, Depth: 1})
	if paths(plain.Files) != ".gitmodules a" || len(plain.Left) != 8 || plain.Left[0].Why != "a submodule" {
		t.Errorf("not asked for: %s, %+v", paths(plain.Files), plain.Left)
	}
	got := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: tip, Depth: 1, Submodules: true})
	if paths(got.Files) != ".gitmodules a libs/lib/.gitmodules libs/lib/inner/bin/run libs/lib/inner/z libs/lib/lib.py" {
		t.Errorf("%s", paths(got.Files))
	}
	for _, f := range got.Files {
		if f.Path == "libs/lib/lib.py" && string(f.OID) != lib.Git("rev-parse", libID+":lib.py") {
			t.Error("not the submodule's commit")
		}
	}
	for _, l := range got.Left {
		t.Logf("%+v", l)
		if !strings.HasPrefix(l.Why, "a submodule: ") || strings.Contains(l.Why, "hunter2") {
			t.Errorf("%+v", l)
		}
	}
	if len(got.Left) != 7 || len(got.Rest) != 7 {
		t.Errorf("%d left, %d of the rest", len(got.Left), len(got.Rest))
	}
	if part := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: tip, Depth: 1, Submodules: true, Path: "libs/lib/inner"}); paths(part.Files) != "libs/lib/inner/bin/run libs/lib/inner/z" {
		t.Errorf("a folder: %s", paths(part.Files))
	}
	g.Limits.Files = 5
	if _, err := g.Fetch(t.Context(), ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: tip, Depth: 1, Submodules: true}); code(err) != "DP-317" {
		t.Errorf("over the limit: %v", err)
	}
}

// TestSubmoduleChains fetches submodules that name themselves under many ids.
func TestSubmoduleChains(t *testing.T) {
	up := gittest.New(t)
	id := up.Commit("main", "0", gittest.Files{"f": "0"})
	for i := range 6 {
		files := gittest.Files{".gitmodules": modulesFile("a", "../course.git", "b", "../course.git"), "160000:a": id, "160000:b": id}
		id = up.Commit("main", fmt.Sprint(i), files)
	}
	s := up.Serve(gittest.Options{})
	url, g := s.Of(up), source(t)
	got := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1, Submodules: true})
	if len(got.Left) == 0 || len(s.Requests()) > 300 {
		t.Errorf("%d left, %d requests", len(got.Left), len(s.Requests()))
	}
	for _, f := range got.Files {
		if strings.Count(f.Path, "/") > 4 {
			t.Errorf("%s is too deep", f.Path)
		}
	}
}
