package snapshot_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestSecretStaysAtItsHost redirects a fetch, whose address holds a password, to a
// server that plays along: whatever it is asked, it never gets that password.
func TestSecretStaysAtItsHost(t *testing.T) {
	const token = "hunter2secret"
	up := gittest.New(t)
	commit := up.Commit("main", "one", gittest.Files{"a": "1"})
	real := up.Serve(gittest.Options{})
	var mu sync.Mutex
	var leaked []string
	asked := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		if h := r.Header.Get("Authorization"); h != "" {
			leaked = append(leaked, r.Method+" "+h)
		}
		mu.Unlock()
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(elsewhere.Close)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(door.Close)
	g := source(t)
	url := strings.Replace(door.URL, "://", "://u:"+token+"@", 1) + "/course.git"
	_, _ = g.Look(t.Context(), url, "")
	repo, err := g.Git.Create(t.TempDir()+"/repo.git", "sha1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Fetch(t.Context(), repo, snapshot.Ask{URL: url, Tip: snapshot.Tip{Ref: "refs/heads/main", Name: "main", Commit: plumbing.OID(commit), Format: "sha1"}})
	if err != nil && strings.Contains(err.Error(), token) {
		t.Errorf("the error shows it: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	t.Logf("elsewhere was asked %d times; %v", asked, err)
	if len(leaked) > 0 {
		t.Errorf("elsewhere got %q", leaked)
	}
}
