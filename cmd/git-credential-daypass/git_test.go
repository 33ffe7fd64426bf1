package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/daypass-dev/daypass/wallet"
)

// withGit is a stage on which git runs with the helper and nothing else set up.
func withGit(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	// What git calls is a script that writes down what it is called with.
	script := "#!/bin/sh\necho \"$1\" >>" + s.dir + "/ops\nexec " + s.dir + "/git-credential-daypass \"$@\"\n"
	if err := os.WriteFile(s.dir+"/counted", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	config := "[credential]\n\thelper =\n\thelper = " + s.dir + "/counted\n\tuseHttpPath = true\n"
	if err := os.WriteFile(s.dir+"/gitconfig", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env, "GIT_CONFIG_GLOBAL="+s.dir+"/gitconfig", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	return s
}

func (s *stage) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Env, cmd.Dir = s.env, s.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ops returns what the helper was called for, and forgets it.
func (s *stage) ops() string {
	b, _ := os.ReadFile(s.dir + "/ops")
	os.Remove(s.dir + "/ops")
	return strings.Join(strings.Fields(string(b)), " ")
}

// A host is a git host that answers with one status to whoever brings the token.
type host struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	tokens []string
	paths  []string
}

func newHost(t *testing.T) *host {
	h := &host{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		_, token, ok := r.BasicAuth()
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.tokens, h.paths = append(h.tokens, token), append(h.paths, r.URL.Path)
		if h.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		}
		if h.status != http.StatusOK {
			w.WriteHeader(h.status)
			return
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		const ref = "0123456789012345678901234567890123456789 refs/heads/main\x00agent=x\n"
		fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%04x%s0000", len(ref)+4, ref)
	}))
	t.Cleanup(h.Close)
	return h
}

// answer sets the status and forgets what came before.
func (h *host) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status, h.tokens = status, nil
}

// sent returns the tokens that were brought since, and forgets them.
func (h *host) sent() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.tokens
	h.tokens = nil
	return out
}

func (h *host) name() string { return strings.TrimPrefix(h.URL, "http://") }

// TestCallPatterns asserts what git calls its helper for, by status. 403 and 404
// leave no trace: a helper can never learn of them from git.
func TestCallPatterns(t *testing.T) {
	s, h := withGit(t), newHost(t)
	s.put(entry(h.name(), "", secret, func(e *wallet.Entry) { e.Scheme = "http" }),
		entry(h.name(), "good/repo", "ghu_narrow", func(e *wallet.Entry) { e.Scheme = "http" }))
	for _, c := range []struct {
		status int
		ops    string
		asks   string
	}{
		{http.StatusOK, "get store", ""},
		{http.StatusUnauthorized, "get erase", "credential erase"},
		{http.StatusForbidden, "get", ""},
		{http.StatusNotFound, "get", ""},
	} {
		h.answer(c.status)
		out, err := s.git("ls-remote", h.URL+"/good/repo.git")
		if (err == nil) != (c.status == http.StatusOK) {
			t.Errorf("%d: %v\n%s", c.status, err, out)
		}
		if ops := s.ops(); ops != c.ops {
			t.Errorf("%d: git called %q, want %q", c.status, ops, c.ops)
		}
		if calls := s.calls(); !strings.HasPrefix(calls, c.asks) || c.asks == "" && calls != "" {
			t.Errorf("%d: daypass was asked %q, want %q", c.status, calls, c.asks)
		}
		for _, token := range h.sent() {
			if token != "ghu_narrow" {
				t.Errorf("%d: the host was sent %q, want the narrow token", c.status, token)
			}
		}
		if strings.Contains(out, "ghu_") {
			t.Errorf("%d: git printed a token: %s", c.status, out)
		}
	}
}

// What git makes of hostile URLs reaches the helper, and no token leaves.
func TestHostileURLs(t *testing.T) {
	s, h := withGit(t), newHost(t)
	h.answer(http.StatusOK)
	s.put(entry("127.0.0.1:1", "", secret, func(e *wallet.Entry) { e.Scheme = "http" }),
		entry(h.name(), "good/repo", "ghu_narrow", func(e *wallet.Entry) { e.Scheme = "http" }))
	for _, path := range []string{
		"/good/repo/../../evil/x.git", "/good%2frepo/../../evil/x", "/good//repo", "/evil/x.git", "/good/repo.git.git", "/good/repo%3fx",
		"/%0ahost=127.0.0.1:1", "/%0dhost=127.0.0.1:1", "/good/repo%00", "/good/repo/%2e%2e/%2e%2e/evil/x",
	} {
		out, err := s.git("ls-remote", h.URL+path)
		if tokens := h.sent(); err == nil || len(tokens) > 0 {
			t.Errorf("%s: %v, the host was sent %q\n%s", path, err, tokens, out)
		}
	}
	// A credential for this host in http is not one for the same host elsewhere.
	url := strings.Replace(h.URL, "127.0.0.1", "localhost", 1)
	out, err := s.git("ls-remote", url+"/good/repo")
	if tokens := h.sent(); err == nil || len(tokens) > 0 {
		t.Errorf("localhost: the host was sent %q\n%s", tokens, out)
	}
}

// quit keeps git from asking for a username that would be of no use.
func TestQuitEndsTheSearch(t *testing.T) {
	s, h := withGit(t), newHost(t)
	s.daypass("echo 'daypass: your access ended at 18:40 [DP-1]' >&2; echo quit=1; exit 3")
	out, err := s.git("ls-remote", h.URL+"/good/repo")
	if err == nil || !strings.Contains(out, "told us to quit") || !strings.Contains(out, "your access ended at 18:40") {
		t.Errorf("git: %v\n%s", err, out)
	}
}

// No token shows in what git traces, nor in any process's arguments.
func TestTracesHoldNoToken(t *testing.T) {
	s, h := withGit(t), newHost(t)
	h.answer(http.StatusOK)
	s.put(entry(h.name(), "", secret, func(e *wallet.Entry) { e.Scheme = "http" }))
	s.env = append(s.env, "GIT_TRACE=1", "GIT_TRACE2=1", "GIT_TRACE_CURL=1")
	if out, err := s.git("ls-remote", h.URL+"/good/repo"); err != nil || strings.Contains(out, secret) {
		t.Errorf("%v\n%s", err, out)
	}
}
