package snapshot_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestPieces fetches over a way that breaks off after every 1.5 MB.
func TestPieces(t *testing.T) {
	up := gittest.New(t)
	files := gittest.Files{}
	for i := range 30 {
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = noise(100_000 + i)
	}
	files["copy"] = files["d0/f0"]
	up.Commit("main", "one", files)
	for name, o := range map[string]gittest.Options{"parts": {Filter: true}, "whole only": {}, "one answer": {Filter: true, Version0: true}} {
		s := up.Serve(o)
		url, g := s.Of(up), source(t)
		tip := look(t, g, url, "")
		r := ours(t, g, "sha1")
		cut := gittest.Fault{Match: "git-upload-pack", Method: "POST", Cut: true, After: 1_500_000}
		s.Fault(cut)
		got, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: tip, Depth: 1})
		if o.Filter && !o.Version0 {
			if err != nil || len(got.Files) != 31 || got.Partial {
				t.Errorf("%s: %v, %d files", name, err, len(got.Files))
			}
		} else if code(err) != "DP-319" && code(err) != "DP-318" {
			t.Errorf("%s: %v", name, err)
		}
		s.Fault()
		again := fetch(t, g, r, snapshot.Ask{URL: url, Tip: tip, Depth: 1})
		if len(again.Files) != 31 || again.Partial {
			t.Errorf("%s: %d files then", name, len(again.Files))
		}
		if found, _ := filepath.Glob(filepath.Join(r.Dir(), "daypass-pieces*")); len(found) > 0 {
			t.Errorf("%s leaves %v", name, found)
		}
	}
}

// TestGoOn breaks a fetch in pieces off for good, then goes on: the files that came
// do not come again.
func TestGoOn(t *testing.T) {
	up := gittest.New(t)
	files := gittest.Files{}
	for i := range 200 {
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = noise(30_000 + i)
	}
	up.Commit("main", "one", files)
	s := up.Serve(gittest.Options{Filter: true})
	url, g := s.Of(up), source(t)
	tip := look(t, g, url, "")
	r := ours(t, g, "sha1")
	// The pack breaks off, the bones and 64 files come, then nothing any more.
	post := gittest.Fault{Match: "git-upload-pack", Method: "POST", Cut: true, After: 2_500_000, Times: 3}
	s.Fault(post, gittest.Fault{Match: "git-upload-pack", Method: "POST", Cut: true, After: 100})
	if _, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: tip, Depth: 1}); code(err) != "DP-319" {
		t.Fatalf("%v", err)
	}
	packs := func() int64 {
		var n int64
		found, _ := filepath.Glob(filepath.Join(r.Dir(), "objects/pack/*.pack"))
		for _, f := range found {
			n += int64(len(readFile(t, f)))
		}
		return n
	}
	before := packs()
	if before < 1_000_000 {
		t.Errorf("%d bytes were kept", before)
	}
	s.Fault()
	got := fetch(t, g, r, snapshot.Ask{URL: url, Tip: tip, Depth: 1})
	if len(got.Files) != 200 || got.Partial || packs() > 6_400_000 {
		t.Errorf("%d files, %d bytes", len(got.Files), packs())
	}
	// What moved on meanwhile comes in one go, with nothing missing.
	next := up.Commit("main", "two", gittest.Files{"d1/f1": "new"})
	last := fetch(t, g, r, snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1, Have: got.Commit})
	if string(last.Commit) != next || len(last.Files) != 200 || !strings.Contains(paths(last.Files), "d1/f1") {
		t.Errorf("%d files", len(last.Files))
	}
}

// TestMovedOn breaks off in pieces, and the branch moves before the next try.
func TestMovedOn(t *testing.T) {
	up := gittest.New(t)
	files := gittest.Files{}
	for i := range 60 {
		files[fmt.Sprintf("f%d", i)] = noise(100_000 + i)
	}
	up.Commit("main", "one", files)
	s := up.Serve(gittest.Options{Filter: true})
	url, g := s.Of(up), source(t)
	g.Limits.File = 1 << 20
	r := ours(t, g, "sha1")
	s.Fault(gittest.Fault{Match: "git-upload-pack", Method: "POST", Cut: true, After: 1_500_000, Times: 3}, gittest.Fault{Match: "git-upload-pack", Method: "POST", Cut: true, After: 100})
	first := look(t, g, url, "HEAD")
	_, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: first, Depth: 1})
	if err == nil {
		t.Fatal("it came")
	}
	s.Fault()
	up.Commit("main", "two", gittest.Files{"f1": "new"})
	for _, tip := range []snapshot.Tip{look(t, g, url, ""), first} {
		if got := fetch(t, g, r, snapshot.Ask{URL: url, Tip: tip, Depth: 1}); len(got.Files) != 60 || got.Partial || got.Commit != tip.Commit {
			t.Errorf("%s: %d files, left %v", tip.Commit, len(got.Files), got.Left)
		}
	}
}
