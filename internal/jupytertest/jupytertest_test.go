package jupytertest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/hubtest"
)

// TestPython runs the tests of python/daypass_jupyter.py.
func TestPython(t *testing.T) {
	cmd := exec.Command(filepath.Join(Prefix(t, ""), "bin", "python"), filepath.Join(pythonFolder(), "test_daypass_jupyter.py"))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "\nOK") {
		t.Errorf("%v\n%s", err, out)
	}
}

// said is what the stand-in for the page was told and asked.
type said struct {
	Args         []string
	Env, Headers map[string]string
	Path         string
	PID          int
}

func (s said) arg(name string) string {
	if i := slices.Index(s.Args, name); i >= 0 && i+1 < len(s.Args) {
		return s.Args[i+1]
	}
	return ""
}

// standin is the folder of the stand-in, under the program's name.
func standin(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// browser follows redirects with cookies of its own.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 40 * time.Second}
}

func get(t *testing.T, c *http.Client, address string, header ...string) (int, string, *http.Response) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res
}

func page(t *testing.T, c *http.Client, address string, header ...string) said {
	t.Helper()
	status, body, _ := get(t, c, address, header...)
	var s said
	if err := json.Unmarshal([]byte(body), &s); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d, %v\n%.2000s", address, status, err, body)
	}
	return s
}

// TestPageInJupyterServer: a link of nbgitpuller's reaches the page, which is told
// its place and not who is logged in.
func TestPageInJupyterServer(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a {root}")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	s := Start(t, Config{Programs: standin(t), Python: []string{Install(t, "")}, Base: "/base/", Root: root})
	if status, body, res := get(t, browser(t), s.URL+"git-pull?repo=x"); !strings.HasPrefix(res.Request.URL.Path, "/base/login") {
		t.Errorf("nobody's request came to %s: %d %.300s", res.Request.URL, status, body)
	}
	c := browser(t)
	for _, name := range []string{"git-pull", "daypass", "git-sync", "interact"} {
		got := page(t, c, s.Link(name+"?repo=https%3A%2F%2Fh%2Fo%2Fr&branch=a+b"), "Authorization", "token "+s.Token)
		if got.arg("--name") != name || got.arg("--root") != root || got.arg("--base-url") != "/base/" || got.Args[0] != "page" {
			t.Errorf("%q", got.Args)
		}
		if !strings.HasPrefix(got.Path, "/?repo=https%3A%2F%2Fh%2Fo%2Fr&branch=a+b&token=") {
			t.Errorf("the page was asked %s", got.Path)
		}
		if got.Headers["Cookie"] != "" || got.Headers["Authorization"] != "" || got.Headers["X-Forwarded-Prefix"] != "/base/"+name {
			t.Errorf("%q", got.Headers)
		}
		dir := filepath.Dir(got.arg("--socket"))
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 || !strings.HasPrefix(dir, s.Temp) {
			t.Errorf("the socket's folder %s: %v %v", dir, info, err)
		}
	}
	comesBack(t, s, c)
}

// comesBack ends the page, which the next request finds again.
func comesBack(t *testing.T, s *Server, c *http.Client) {
	t.Helper()
	before := page(t, c, s.URL+"git-pull/")
	get(t, c, s.URL+"git-pull/die")
	for range 100 {
		status, body, _ := get(t, c, s.URL+"git-pull/")
		var after said
		if status == http.StatusOK && json.Unmarshal([]byte(body), &after) == nil && after.PID != before.PID {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("a page that ended does not come back")
}

// TestPageOnAPort: the page is handed a secret, and each request brings it,
// whatever the browser sends under that name.
func TestPageOnAPort(t *testing.T) {
	s := Start(t, Config{Programs: standin(t), Python: []string{Install(t, "")}, Environ: []string{"DAYPASS_PAGE_LISTEN=port"}})
	c := browser(t)
	seen := map[string]bool{}
	for _, name := range []string{"git-pull", "daypass"} {
		got := page(t, c, s.Link(name+"/"), "X-Daypass-Page", "forged")
		secret := got.Env["DAYPASS_PAGE_SECRET"]
		if len(secret) != 64 || got.Headers["X-Daypass-Page"] != secret || got.arg("--port") == "" || got.arg("--socket") != "" {
			t.Errorf("%q %q", got.Args, got.Headers)
		}
		if strings.Contains(strings.Join(got.Args, " "), secret) || strings.Contains(s.Log(1<<20), secret) {
			t.Error("the secret is in the arguments or in the log")
		}
		seen[secret] = true
	}
	if len(seen) != 2 {
		t.Error("two pages have one secret")
	}
}

// TestBesideNbgitpuller: where both are installed the links are ours, and a
// setting leaves them to nbgitpuller.
func TestBesideNbgitpuller(t *testing.T) {
	ours := Install(t, "")
	theirs, config := Nbgitpuller(t)
	start := func(more ...string) *Server {
		return Start(t, Config{Programs: standin(t), Python: []string{ours, theirs}, Environ: append(more, "JUPYTER_CONFIG_PATH="+config)})
	}
	s, c := start(), browser(t)
	if !strings.Contains(s.Log(1<<20), "nbgitpuller | extension was successfully loaded") {
		t.Fatalf("nbgitpuller is not there:\n%s", s.Log(3000))
	}
	for _, path := range []string{"git-pull?repo=x", "git-pull/api?repo=x", "git-sync?repo=x", "interact?repo=x"} {
		if got := page(t, c, s.Link(path)); got.Args[0] != "page" {
			t.Errorf("%s: %q", path, got.Args)
		}
	}

	s, c = start("DAYPASS_GIT_PULL=nbgitpuller"), browser(t)
	for path, at := range map[string]string{"git-pull?repo=x": "/git-pull", "git-sync?repo=x": "/git-pull"} {
		_, body, res := get(t, c, s.Link(path))
		if !strings.Contains(body, "nbgitpuller") || res.Request.URL.Path != at {
			t.Errorf("%s leads to %s: %.300s", path, res.Request.URL, body)
		}
	}
	page(t, c, s.Link("daypass/?repo=x"))
	if !strings.Contains(s.Log(1<<20), "DAYPASS_GIT_PULL leaves it to nbgitpuller") {
		t.Error("the log does not say who has the links")
	}
}

// TestNoProgram: without daypass the page says what to ask for.
func TestNoProgram(t *testing.T) {
	s := Start(t, Config{Programs: t.TempDir(), Python: []string{Install(t, "")}, Environ: []string{"DAYPASS_PROGRAM=/nowhere/daypass"}})
	status, body, _ := get(t, browser(t), s.Link("git-pull/?repo=x"))
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "Ask the admins to install it, or to set DAYPASS_PROGRAM") {
		t.Errorf("%d\n%s", status, body)
	}
}

// TestPageUnderAHub: the same below a person's server of a real JupyterHub.
func TestPageUnderAHub(t *testing.T) {
	prefix, python := Prefix(t, ""), Install(t, "")
	h := hubtest.Start(t, hubtest.Config{Extra: HubLines(prefix, standin(t), []string{python})})
	h.CreateUser(t, "ann")
	h.StartServer(t, "ann", "")
	b := hubtest.NewBrowser(t, h.Public)
	b.Login("ann")
	status, body := b.Get(h.Public + "hub/user-redirect/git-pull?repo=x%2Fy&urlpath=lab%2Ftree%2Fy")
	var got said
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d at %s: %v\n%.2000s", status, b.At(), err, body)
	}
	if got.arg("--base-url") != "/user/ann/" || got.arg("--root") != filepath.Join(h.Dir, "home", "ann") || got.Path != "/?repo=x%2Fy&urlpath=lab%2Ftree%2Fy" {
		t.Errorf("%q %s", got.Args, got.Path)
	}
	if got.Headers["Cookie"] != "" || got.Env["DAYPASS_URL"] == "" || got.Env["JUPYTERHUB_API_TOKEN"] == "" {
		t.Errorf("the page lacks its surroundings, or has too much: %q", got.Headers)
	}
}
