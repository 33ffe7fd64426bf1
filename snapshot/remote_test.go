package snapshot_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// helper makes a credential helper that answers for one host, and logs what it is asked.
func helper(t *testing.T, host, password string) (config [][2]string, log string) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = get ] || exit 0\nin=$(cat)\necho \"$in\" >> %s\ncase \"$in\" in *host=%s*) echo username=u; echo password=%s;; esac\n", log, host, password)
	if err := os.WriteFile(filepath.Join(dir, "helper"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return [][2]string{{"credential.helper", filepath.Join(dir, "helper")}, {"credential.useHttpPath", "true"}}, log
}

func TestCredentials(t *testing.T) {
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": "1"})
	s := up.Serve(gittest.Options{User: "u", Password: "hunter2secret"})
	url, g := s.Of(up), source(t)
	if _, err := g.Look(t.Context(), url, ""); code(err) != "DP-312" || !errors.Is(err, daypass.ErrNoLogin) || !strings.Contains(err.Error(), "daypass login") {
		t.Errorf("nobody: %v", err)
	}
	if _, err := g.Look(t.Context(), s.URL+"/other.git", ""); code(err) != "DP-312" {
		t.Errorf("elsewhere: %v", err)
	}
	host := strings.TrimPrefix(s.URL, "http://")
	config, log := helper(t, host, "wrong")
	g.Git.Config = config
	if _, err := g.Look(t.Context(), url, ""); code(err) != "DP-312" {
		t.Errorf("the wrong password: %v", err)
	}
	if asked := readFile(t, log); !strings.Contains(asked, "path=course.git") {
		t.Errorf("the helper was asked %q", asked)
	}
	g.Git.Config, _ = helper(t, host, "hunter2secret")
	tip := look(t, g, url, "")
	fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: tip, Depth: 1})

	// The helper's own words are better than git's.
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "h"), []byte("#!/bin/sh\ncat >/dev/null\necho 'Your login expired at 10:00. Run daypass login. [DP-105]' >&2\necho quit=1\n"), 0o755)
	g.Git.Config = [][2]string{{"credential.helper", filepath.Join(dir, "h")}}
	if _, err := g.Look(t.Context(), url, ""); code(err) != "DP-312" || !strings.Contains(err.Error(), "expired at 10:00") {
		t.Errorf("the helper's words: %v", err)
	}
}

// TestSecretInURL pulls with a token in the URL, and finds it nowhere afterwards.
func TestSecretInURL(t *testing.T) {
	const token = "ghp_0123456789abcdefTOKEN"
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": "1"})
	s := up.Serve(gittest.Options{User: "oauth2", Password: token})
	g := source(t)
	url := strings.Replace(s.Of(up), "http://", "http://oauth2:"+token+"@", 1)
	tip, err := g.Look(t.Context(), url, "")
	if err != nil {
		t.Fatal(err)
	}
	r := ours(t, g, "sha1")
	var said []string
	_, err = g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Progress: func(p snapshot.Progress) { said = append(said, p.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"nowhere", ""} {
		_, err := g.Look(t.Context(), strings.Replace(url, "course", "x"+bad, 1), bad)
		said = append(said, err.Error())
		_, err = g.Look(t.Context(), strings.Replace(url, ":"+token, ":wrong"+token, 1), bad)
		said = append(said, err.Error())
		_, err = g.Look(t.Context(), url, "n"+bad)
		said = append(said, err.Error())
		_, err = g.Look(t.Context(), "http://oauth2:"+token+"@127.0.0.1:1/x", bad)
		said = append(said, err.Error())
		_, err = g.Look(t.Context(), "http://oauth2:"+token+"/x@127.0.0.1:1/x\n", bad)
		said = append(said, err.Error())
	}
	filepath.WalkDir(r.Dir(), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			said = append(said, readFile(t, path))
		}
		return err
	})
	for _, text := range said {
		if strings.Contains(text, token) {
			t.Errorf("the token is in %q", text)
		}
	}
	if snapshot.Redact(url) != s.Of(up) {
		t.Errorf("%s", snapshot.Redact(url))
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"https://u:p@h/x": "https://h/x",
		"see https://tok@h:8/x?a=1&access_token=s&b=2": "see https://h:8/x?a=1&access_token=...&b=2",
		"https://u:p/q@h/x":                            "https://h/x",
		"https://h:8080/@scope/x":                      "https://h:8080/@scope/x",
		"ssh://git:pw@h/x and ssh://git@h/x":           "ssh://git@h/x and ssh://git@h/x",
		"git@h:x":                                      "git@h:x",
		"'http://u:p@a/': 'http://v@b/'":               "'http://a/': 'http://b/'",
		"https://h/x?private_token=abc":                "https://h/x?private_token=...",
		"nothing":                                      "nothing",
		"://":                                          "://",
	} {
		if got := snapshot.Redact(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

// TestRedirects sends git elsewhere, at the first request and later.
func TestRedirects(t *testing.T) {
	const token = "hunter2secret"
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": "1"})
	real := up.Serve(gittest.Options{User: "u", Password: token})
	var mu sync.Mutex
	var leaked []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		leaked = append(leaked, fmt.Sprint(r.Method, r.URL, r.Header))
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(401)
	}))
	t.Cleanup(elsewhere.Close)
	later := false
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "u" || p != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(401)
			return
		}
		if later && r.Method == "GET" {
			real.ServeHTTP(w, r)
			return
		}
		http.Redirect(w, r, elsewhere.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(door.Close)
	g := source(t)
	for _, later = range []bool{false, true} {
		config, log := helper(t, strings.TrimPrefix(door.URL, "http://"), token)
		withHelper := g
		withHelper.Git.Config = config
		for _, try := range []struct {
			g   snapshot.Git
			url string
		}{{withHelper, door.URL + "/course.git"}, {g, strings.Replace(door.URL, "://", "://u:"+token+"@", 1) + "/course.git"}} {
			if tip, err := try.g.Look(t.Context(), try.url, ""); err == nil {
				t.Errorf("later %v: found %v", later, tip)
			}
		}
		_ = log
	}
	mu.Lock()
	defer mu.Unlock()
	if len(leaked) == 0 {
		t.Error("no redirect was followed: this shows nothing")
	}
	for _, l := range leaked {
		if strings.Contains(l, "Authorization") || strings.Contains(l, token) {
			t.Errorf("elsewhere got %s", l)
		}
	}
}

// TestRenamed fetches from under an old name, as hosts redirect it.
func TestRenamed(t *testing.T) {
	up := gittest.New(t)
	id := up.Commit("main", "one", gittest.Files{"a": "1"})
	real := up.Serve(gittest.Options{User: "u", Password: "hunter2secret"})
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, old := strings.CutPrefix(r.URL.RequestURI(), "/old.git"); old {
			http.Redirect(w, r, "/course.git"+rest, http.StatusMovedPermanently)
			return
		}
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	g := source(t)
	g.Git.Config, _ = helper(t, strings.TrimPrefix(door.URL, "http://"), "hunter2secret")
	url := door.URL + "/old.git"
	if got := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1}); string(got.Commit) != id {
		t.Errorf("%+v", got)
	}
}

func TestFaults(t *testing.T) {
	up := gittest.New(t)
	up.Course("main", 300)
	s := up.Serve(gittest.Options{})
	url, g := s.Of(up), source(t)
	tip := look(t, g, url, "")
	g.Idle, g.Timeout = 700*time.Millisecond, 20*time.Second
	r := ours(t, g, "sha1")
	post := gittest.Fault{Match: "git-upload-pack", Method: "POST"}
	with := func(change func(*gittest.Fault)) gittest.Fault { f := post; change(&f); return f }
	for name, row := range map[string]struct {
		fault gittest.Fault
		code  string
		kind  error
	}{
		"cut":      {with(func(f *gittest.Fault) { f.Cut, f.After = true, 20_000 }), "DP-319", daypass.ErrUnreachable},
		"cut soon": {with(func(f *gittest.Fault) { f.Cut, f.After = true, 10 }), "DP-319", daypass.ErrUnreachable},
		"stall":    {with(func(f *gittest.Fault) { f.Stall, f.After = time.Minute, 20_000 }), "DP-316", daypass.ErrUnreachable},
		"503":      {gittest.Fault{Status: 503}, "DP-313", daypass.ErrUnreachable},
		"429":      {gittest.Fault{Status: 429}, "DP-313", daypass.ErrUnreachable},
		"404":      {gittest.Fault{Status: 404}, "DP-312", daypass.ErrNoLogin},
		"403":      {gittest.Fault{Status: 403}, "DP-312", daypass.ErrNoLogin},
		"200":      {gittest.Fault{Status: 200}, "DP-312", daypass.ErrNoLogin}, // some page
	} {
		r := ours(t, g, "sha1")
		s.Fault(row.fault)
		start := time.Now()
		_, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: tip, Depth: 1})
		if code(err) != row.code || !errors.Is(err, row.kind) || time.Since(start) > 10*time.Second {
			t.Errorf("%s: after %s: %v", name, time.Since(start), err)
		}
		s.Fault()
		clean(t, r, name)
	}
	g.Timeout = 300 * time.Millisecond
	s.Fault(gittest.Fault{Rate: 20_000})
	if _, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: tip, Depth: 1}); code(err) != "DP-316" {
		t.Errorf("slow: %v", err)
	}
	g.Timeout = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := g.Fetch(ctx, r, snapshot.Ask{URL: url, Tip: tip, Depth: 1}); err == nil {
		t.Error("it goes on when nobody waits")
	}
	clean(t, r, "slow")
	var rate float64
	s.Fault()
	s.Fault(gittest.Fault{Rate: 100_000})
	g.Idle = 0
	last := snapshot.Progress{}
	got, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Progress: func(p snapshot.Progress) { last, rate = p, max(rate, p.Rate) }})
	if err != nil || len(got.Files) != 300 || last.Bytes < 50_000 || rate < 10_000 {
		t.Errorf("after all: %v, %d files, %+v, %f", err, len(got.Files), last, rate)
	}
	for _, url := range []string{"http://127.0.0.1:1/x", "http://nowhere.invalid/x"} {
		if _, err := g.Look(t.Context(), url, ""); code(err) != "DP-313" || !errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// clean finds nothing half in a repository.
func clean(t *testing.T, r *plumbing.Repo, name string) {
	t.Helper()
	for _, pattern := range []string{"objects/pack/tmp*", "*.lock", "refs/daypass/*", "objects/pack/*.pack", "FETCH_HEAD"} {
		if found, _ := filepath.Glob(filepath.Join(r.Dir(), pattern)); len(found) > 0 {
			t.Errorf("%s leaves %v", name, found)
		}
	}
}

func TestCertificate(t *testing.T) {
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": "1"})
	inner := up.Serve(gittest.Options{})
	s := httptest.NewTLSServer(inner)
	t.Cleanup(s.Close)
	g := source(t)
	if _, err := g.Look(t.Context(), s.URL+"/course.git", ""); code(err) != "DP-314" {
		t.Errorf("unknown: %v", err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	os.WriteFile(ca, pemOf(s.Certificate().Raw), 0o644)
	environ := append(os.Environ(), "SSL_CERT_FILE="+ca)
	git, err := plumbing.Find(func(name string) string {
		if name == "SSL_CERT_FILE" {
			return ca
		}
		return os.Getenv(name)
	}, environ)
	if err != nil {
		t.Fatal(err)
	}
	git.Protocols = "https"
	look(t, snapshot.Git{Git: git}, s.URL+"/course.git", "")
	// A proxy is asked, where there is one.
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.Method + " " + r.Host:
		default:
		}
		w.WriteHeader(502)
	}))
	t.Cleanup(proxy.Close)
	git.Environ = append(git.Environ, "HTTPS_PROXY="+proxy.URL, "no_proxy=", "NO_PROXY=")
	if _, err := (snapshot.Git{Git: git}).Look(t.Context(), "https://example.invalid/x", ""); code(err) != "DP-313" {
		t.Errorf("by a proxy: %v", err)
	}
	select {
	case got := <-asked:
		if got != "CONNECT example.invalid:443" {
			t.Error(got)
		}
	default:
		t.Error("the proxy was not asked")
	}
}

func TestProblemsHoldNoControl(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		w.Write([]byte("001e# service=git-upload-pack\n0000003fERR \x1b[2J\x1b]0;evil\x07 \u202e please type your password\n"))
	}))
	t.Cleanup(s.Close)
	_, err := source(t).Look(t.Context(), s.URL+"/x", "")
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\x07\n\u202e") {
		t.Errorf("%q", err)
	}
	var p *daypass.Problem
	if !errors.As(err, &p) {
		t.Fatalf("%v", err)
	}
	if _, err := json.Marshal(p); err != nil {
		t.Error(err)
	}
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
