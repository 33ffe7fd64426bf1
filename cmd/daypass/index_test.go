package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/devpitest"
)

// tokenCommand runs devpi-tokens' commands as daypass has them.
func tokenCommand(bin string) func(*devpitest.Desk, ...string) devpitest.Output {
	return func(d *devpitest.Desk, args ...string) devpitest.Output {
		if args[0] == "--help" {
			args = []string{"token", "--help"}
		}
		return d.Run(filepath.Join(bin, "daypass"), args...)
	}
}

// TestTokenCommands tells the tests of devpi-tokens with our commands, against a
// real devpi-server with that plugin.
func TestTokenCommands(t *testing.T) {
	bin := programs(t)
	s := devpitest.Start(t, devpitest.Options{Plugin: true, Identity: true})
	devpitest.TokenSuite(t, devpitest.Target{API: s.API, Kind: devpitest.Plugin, Command: tokenCommand(bin)})
}

// An indexStory is somebody at a desk with a real index.
type indexStory struct {
	t     *testing.T
	desk  *devpitest.Desk
	index string // its URL
	bin   string
}

func (s indexStory) daypass(args ...string) devpitest.Output {
	return s.desk.Run(filepath.Join(s.bin, "daypass"), args...)
}

// must runs daypass, which has to end well, and checks what it says.
func (s indexStory) must(args []string, words ...string) devpitest.Output {
	s.t.Helper()
	return s.ends(0, args, words...)
}

func (s indexStory) ends(code int, args []string, words ...string) devpitest.Output {
	s.t.Helper()
	o := s.daypass(args...)
	if o.Code != code {
		s.t.Fatalf("daypass %q ended with %d:\n%s", args, o.Code, o.All())
	}
	for _, w := range words {
		if !strings.Contains(o.All(), w) {
			s.t.Errorf("daypass %q does not say %q:\n%s", args, w, o.All())
		}
	}
	return o
}

const indexPassword = "canary-of-ann-0123456789"

func newIndexStory(t *testing.T, api devpitest.API) indexStory {
	api.AddUser(t, "ann", indexPassword)
	s := indexStory{t: t, desk: devpitest.NewDesk(t), index: api.URL + "ann/dev", bin: programs(t)}
	wallet := t.TempDir()
	if err := os.Chmod(wallet, 0o700); err != nil {
		t.Fatal(err)
	}
	if s.desk.Env == nil {
		s.desk.Env = map[string]string{}
	}
	s.desk.Env["DAYPASS_RUNTIME_DIR"] = wallet
	s.desk.Env["PATH"] = s.desk.Bin() + string(os.PathListSeparator) + os.Getenv("PATH")
	return s
}

// closed is an index that shows its packages to nobody without a token, as a
// gateway is: devpi alone shows them to all, so that nothing would tell whether a
// tool sent the pass.
func closed(t *testing.T, api devpitest.API) devpitest.API {
	t.Helper()
	to, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, token, _ := r.BasicAuth()
		if p := r.URL.Path; (strings.Contains(p, "/+simple/") || strings.Contains(p, "/+f/")) && (user != "ann" || !strings.HasPrefix(token, "devpi-")) {
			w.Header().Set("WWW-Authenticate", `Basic realm="pypi"`)
			http.Error(w, "closed", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	api.URL = front.URL + "/"
	return api
}

// TestIndexDay is a day with a real index: log in, look, upload, install, log
// out; with the programs that people use.
func TestIndexDay(t *testing.T) {
	api := closed(t, devpitest.Start(t, devpitest.Options{Plugin: true}).API)
	s := newIndexStory(t, api)
	s.ends(3, []string{"run", "--index", s.index, "--", "pip", "--version"}, "[DP-142]")
	s.ends(3, []string{"login", "--index", s.index, "--user", "ann"}, "[DP-138]")
	s.ends(2, []string{"login", "--index", s.index, "--user", "ann", "--password", indexPassword}, "[DP-121]")
	s.desk.Input = "wrong\n"
	s.ends(3, []string{"login", "--index", s.index, "--user", "ann", "--password", "-"}, "could not be authenticated", "[DP-133]")
	s.desk.Input = indexPassword + "\n"
	s.must([]string{"login", "--index", s.index, "--user", "ann", "--password", "-"}, "Logged in to the package index "+s.index+" as ann", "11 h 59 min left")
	s.desk.Input = ""
	if out := s.desk.Devpi("use").All(); !strings.Contains(out, "logged in as ann") || !strings.Contains(out, s.index) {
		t.Errorf("devpi says %s", out)
	}
	s.keepsLittle()
	s.must([]string{"status"}, "Package index "+api.URL+" as ann", "a file on a disk")
	s.daypass("doctor")
	s.must([]string{"status", "--json"}, `"origin":"index"`)
	s.tools()
	s.ends(4, []string{"token", "create"}, "user_token_create failed permission check", "[DP-134]")
	s.desk.Input = indexPassword + "\n"
	s.must([]string{"logout", "--index", s.index, "--disconnect", "--password", "-"}, "taken out", "Ended at the index")
	if out := s.daypass("status"); out.Code != 3 {
		t.Errorf("status after the log-out: %s", out.All())
	}
	if out := s.desk.Devpi("use").All(); strings.Contains(out, "logged in as") {
		t.Errorf("devpi says %s", out)
	}
}

// keepsLittle: what lies on the disk is closed to others, and is a pass with an
// end, which is not the very one that the index lists.
func (s indexStory) keepsLittle() {
	s.t.Helper()
	file := filepath.Join(s.desk.Home, ".devpi", "client", "auth.json")
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 {
		s.t.Fatalf("%v, %v", st, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	var kept struct{ Auth map[string][][2]string }
	if err := json.Unmarshal(text, &kept); err != nil || strings.Contains(string(text), indexPassword) {
		s.t.Fatalf("%v in %s", err, file)
	}
	for _, list := range kept.Auth {
		if len(list) != 1 || len(devpitest.Caveats(s.t, list[0][1])) != 2 {
			s.t.Errorf("%d log-ins, or limits other than two", len(list))
		}
	}
}

// tools upload and install, each with its pass in its environment only.
func (s indexStory) tools() {
	t := s.t
	t.Helper()
	run := func(more ...string) []string { return append([]string{"run", "--index", s.index}, more...) }
	dist := devpitest.Wheel("river-tools", "1.0").Write(t, t.TempDir())
	other := devpitest.Wheel("river-maps", "2.0").Write(t, t.TempDir())
	s.ends(1, run("--projects", "river-maps", "--", "twine", "upload", dist), "403")
	s.must(run("--projects", "river-tools", "--", "twine", "upload", dist))
	s.must(run("--", "uv", "publish", other))
	s.ends(2, run("--", "twine", "upload", "-r", "pypi", dist), "[DP-143]")
	s.ends(2, run("--", "uv", "publish", "--publish-url=http://127.0.0.1:1/", dist), "[DP-143]")
	s.ends(1, run("--install-only", "--", "twine", "upload", dist), "403")
	target := t.TempDir()
	s.must(run("--", "pip", "install", "--no-deps", "--target", target, "river-tools"), "Successfully installed")
	if v := devpitest.Installed(t, target, "river-tools"); v != "1.0" {
		t.Errorf("pip installed %q", v)
	}
	target = t.TempDir()
	s.must(run("--", "uv", "pip", "install", "--no-deps", "--target", target, "--python", filepath.Join(s.desk.Bin(), "python"), "river-maps"))
	if v := devpitest.Installed(t, target, "river-maps"); v != "2.0" {
		t.Errorf("uv installed %q", v)
	}
	// What the child sees, and what everybody does.
	o := s.must(run("--", "sh", "-c", `env; cat "$NETRC"; tr '\0' '\n' </proc/$$/cmdline; tr '\0' '\n' </proc/$PPID/cmdline >"$HOME/parent"; exit 0`), "TWINE_USERNAME=ann", "login ann")
	token := ""
	for line := range strings.Lines(o.Out) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "TWINE_PASSWORD="); ok {
			token = v
		}
	}
	if got := strings.Join(devpitest.Caveats(t, token), " "); !strings.Contains(got, "allowed=pkg_read") {
		t.Errorf("the child's pass has %q", got)
	}
	if strings.Count(o.Out, token) != 4 { // three variables and the netrc
		t.Errorf("the pass shows %d times", strings.Count(o.Out, token))
	}
	parent, err := os.ReadFile(filepath.Join(s.desk.Home, "parent"))
	if err != nil || strings.Contains(string(parent), token) {
		t.Errorf("the arguments of daypass: %v %s", err, parent)
	}
	s.ends(7, run("--", "sh", "-c", "exit 7"))
	s.ends(143, run("--", "sh", "-c", "kill -TERM $$"))
}
