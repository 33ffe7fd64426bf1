package fake

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A clock is a hand that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// A bench is one GitHub with a client that needs no network.
type bench struct {
	*GitHub
	t     *testing.T
	clock *clock
	hc    *http.Client
	web   string
	api   string
}

func newBench(t *testing.T, kind HostKind, sw Switches) *bench {
	c := newClock()
	g := NewGitHub(GitHubConfig{Kind: kind, Seed: Campus(), Now: c.now, Switches: sw})
	b := &bench{GitHub: g, t: t, clock: c}
	b.hc = &http.Client{Transport: Transport(checked(t, g))}
	switch kind {
	case GitHubCom:
		b.web, b.api = "https://github.com", "https://api.github.com"
	case GHECom:
		b.web, b.api = "https://octo.ghe.com", "https://api.octo.ghe.com"
	default:
		b.web, b.api = "http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v3"
	}
	return b
}

// An answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (a answer) text(key string) string { s, _ := a.json[key].(string); return s }
func (a answer) num(key string) float64 { n, _ := a.json[key].(float64); return n }

func (b *bench) do(method, target, token, body string, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return send(b.t, b.hc, req)
}

func send(t *testing.T, hc *http.Client, req *http.Request) answer {
	t.Helper()
	res, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(raw)}
	json.Unmarshal(raw, &a.json)
	return a
}

func (b *bench) get(path, token string) answer {
	b.t.Helper()
	return b.do("GET", b.api+path, token, "")
}

// form posts to the web face and asks for JSON.
func (b *bench) form(path string, kv ...string) answer {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return b.do("POST", b.web+path, "", v.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json")
}

func (b *bench) code(app string) answer {
	b.t.Helper()
	return b.form("/login/device/code", "client_id", app)
}

func (b *bench) poll(app string, code answer, kv ...string) answer {
	b.t.Helper()
	return b.form("/login/oauth/access_token", append([]string{
		"client_id", app, "device_code", code.text("device_code"), "grant_type", deviceGrant}, kv...)...)
}

func (b *bench) refresh(app, token string) answer {
	b.t.Helper()
	return b.form("/login/oauth/access_token", "client_id", app, "grant_type", "refresh_token", "refresh_token", token)
}

// login goes through the device flow.
func (b *bench) login(app, user string, kv ...string) answer {
	b.t.Helper()
	c := b.code(app)
	if err := b.Approve(c.text("user_code"), user); err != nil {
		b.t.Fatal(err)
	}
	return b.poll(app, c, kv...)
}

func gitProgram(t *testing.T) string {
	path, err := exec.LookPath("git")
	if err != nil {
		t.Fatal("these tests need git")
	}
	return path
}

// A gitHost is a GitHub on loopback with real git behind it.
type gitHost struct {
	*GitHub
	t      *testing.T
	clock  *clock
	server *httptest.Server
	git    string
}

func newGitHost(t *testing.T, change func(*Seed)) *gitHost {
	seed, c := Campus(), newClock()
	if change != nil {
		change(&seed)
	}
	h := &gitHost{t: t, clock: c, git: gitProgram(t)}
	h.GitHub = NewGitHub(GitHubConfig{Seed: seed, Now: c.now, Git: h.git, GitRoot: t.TempDir()})
	h.server = httptest.NewServer(checked(t, h.GitHub))
	t.Cleanup(h.server.Close)
	return h
}

func (h *gitHost) token(user string, limit int64) string {
	h.t.Helper()
	access, _, err := h.Issue(CampusApp, user, limit)
	if err != nil {
		h.t.Fatal(err)
	}
	return access
}

// url is a remote that carries the token; the tests' git has no helper.
func (h *gitHost) url(repo, token string) string {
	if token == "" {
		return h.server.URL + "/" + repo
	}
	return strings.Replace(h.server.URL, "http://", "http://x-access-token:"+token+"@", 1) + "/" + repo
}

// runGit runs git, with nothing of this machine's configuration, and returns
// all that it said.
func runGit(t *testing.T, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gitProgram(t), args...)
	cmd.Dir = dir
	cmd.Env = append(append(gitEnv(), "PATH="+os.Getenv("PATH"), "HOME="+dir), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h *gitHost) run(dir string, args ...string) (string, error) {
	h.t.Helper()
	return runGit(h.t, dir, nil, args...)
}

// clone makes a working copy and fails the test when it cannot.
func (h *gitHost) clone(repo, token string) string {
	h.t.Helper()
	dir := filepath.Join(h.t.TempDir(), "w")
	if out, err := h.run(h.t.TempDir(), "clone", "-q", h.url(repo, token), dir); err != nil {
		h.t.Fatalf("clone %s: %v\n%s", repo, err, out)
	}
	return dir
}

// commit adds a file to a working copy.
func (h *gitHost) commit(dir, name, content string) {
	h.t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		h.t.Fatal(err)
	}
	for _, args := range [][]string{{"add", "."}, {"commit", "-qm", "change " + name}} {
		if out, err := h.run(dir, args...); err != nil {
			h.t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}
