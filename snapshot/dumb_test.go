package snapshot_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestDumbServer fetches from a web server that only gives files out. It cannot cut a
// history, so that the whole of it comes.
func TestDumbServer(t *testing.T) {
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": "1", "big": noise(3000)})
	up.Commit("main", "two", gittest.Files{"a": "2"})
	up.Git("update-server-info")
	files := http.FileServer(http.Dir(filepath.Dir(up.Dir)))
	var slow atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slow.Load() && strings.Contains(r.URL.Path, "/objects/") {
			time.Sleep(200 * time.Millisecond)
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	url, g := s.URL+"/"+filepath.Base(up.Dir), source(t)
	g.Limits.File = 1000
	slow.Store(true)
	small := g
	small.Limits.Total = 100
	if _, err := small.Fetch(t.Context(), ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1}); code(err) != "DP-317" {
		t.Errorf("more than the limit: %v", err)
	}
	slow.Store(false)
	r := ours(t, g, "sha1")
	for _, content := range []string{"2", "3"} {
		up.Commit("main", "next", gittest.Files{"a": content})
		up.Git("update-server-info")
		tip, line, err := g.Call(t.Context(), url, "main")
		if err != nil {
			t.Fatal(err)
		}
		got := fetch(t, g, r, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Line: line})
		if paths(got.Files) != "a" || len(got.Left) != 1 || !strings.Contains(got.Left[0].Why, "larger") || got.Partial {
			t.Errorf("%+v", got)
		}
	}
}
