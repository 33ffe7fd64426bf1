package snapshot_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestNetrc: no host gets what the user's .netrc has, for it or for all, directly or
// after a redirect; a credential helper still finds the user's folder.
func TestNetrc(t *testing.T) {
	const secret = "netrcsecret"
	home := filepath.Join(t.TempDir(), "it's home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	netrc := "machine 127.0.0.1 login u password " + secret + "\ndefault login d password " + secret + "\n"
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte(netrc), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "credentials"), []byte("username=u\npassword=helper's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": "1"})
	real := up.Serve(gittest.Options{User: "u", Password: "helper's"})
	var mu sync.Mutex
	var leaked []string
	spy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); strings.Contains(p, secret) {
			mu.Lock()
			leaked = append(leaked, r.URL.Path)
			mu.Unlock()
		}
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(spy.Close)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(spy.URL, "127.0.0.1", "localhost", 1)+r.URL.RequestURI(), http.StatusFound)
	}))
	t.Cleanup(door.Close)
	g, err := plumbing.Find(os.Getenv, append(os.Environ(), "HOME="+home, "NETRC="+home+"/.netrc", "CURL_HOME="+home))
	if err != nil {
		t.Fatal(err)
	}
	g.Protocols = "http"
	s := snapshot.Git{Git: g}
	for _, base := range []string{spy.URL, door.URL} {
		if _, err := s.Look(t.Context(), base+"/"+filepath.Base(up.Dir), ""); code(err) != "DP-312" {
			t.Errorf("%v", err)
		}
		if _, line, err := s.Call(t.Context(), base+"/"+filepath.Base(up.Dir), ""); code(err) != "DP-312" {
			t.Errorf("%v", err)
			line.Close()
		}
	}
	for _, helper := range []string{"!cat \"$HOME/credentials\" #", "!f() { cat ~/credentials; }; f"} {
		s.Git.Config = [][2]string{{"credential.helper", "nothing-of-that-name"}, {"credential.helper", ""}, {"credential." + spy.URL + ".Helper", helper}}
		tip := look(t, s, spy.URL+"/"+filepath.Base(up.Dir), "")
		fetch(t, s, ours(t, s, "sha1"), snapshot.Ask{URL: spy.URL + "/" + filepath.Base(up.Dir), Tip: tip, Depth: 1})
	}
	mu.Lock()
	defer mu.Unlock()
	if len(leaked) > 0 {
		t.Errorf("sent to %q", leaked)
	}
}
