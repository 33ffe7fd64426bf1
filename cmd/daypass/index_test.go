package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/pass"
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
	s.day(api)
	s.desk.Input = indexPassword + "\n"
	s.ends(2, []string{"pass", "create", "--index", s.index, "--user", "ann", "--password", "-", "--label", "nightly"}, "keeps no labels", "Leave --label out", "[DP-134]")
	s.ends(4, []string{"pass", "create", "--index", s.index, "--user", "ann", "--password", "-", "--expires", "2 years"}, "Not allowed to set expiration to more than one year. Ask for a shorter time")
}

// TestGatewayCommands tells devpi-tokens' tests with our commands at a gateway.
func TestGatewayCommands(t *testing.T) {
	api := gatewayBefore(t, devpitest.Start(t, devpitest.Options{}))
	devpitest.TokenSuite(t, devpitest.Target{API: api, Kind: devpitest.Strict, Command: tokenCommand(programs(t)), TokenID: gatewayID})
}

// gatewayID takes an identifier of a gateway apart: USER-ID.NAME.
func gatewayID(token string) (user, id string) {
	p, err := pass.Parse(daypass.NewSecret(token))
	if err != nil {
		return "", ""
	}
	who, _ := p.Identity()
	return who.User, who.ID
}

// TestGatewayDay is the same day at a package gateway before a devpi-server that
// knows nothing of passes, and then what only a gateway knows.
func TestGatewayDay(t *testing.T) {
	api := gatewayBefore(t, devpitest.Start(t, devpitest.Options{}))
	s := newIndexStory(t, api)
	s.day(api)
	s.firstLight()
}

// gatewayBefore runs daypassd as a package gateway, with a configuration that has
// only that.
func gatewayBefore(t *testing.T, devpi *devpitest.Server) devpitest.API {
	t.Helper()
	dir := t.TempDir()
	daypassd := filepath.Join(shipment.Folder(t), "daypassd")
	listen := process.FreeAddress(t)
	for _, d := range []string{"store", "etc"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "etc", "server.yaml")
	text := fmt.Sprintf("store: sqlite:%[1]s/store/daypass.db\nkeys: file:%[1]s/etc/keys.json\nlog: warn\ngateway:\n  listen: %[2]s\n  url: http://%[2]s/\n  upstream: %[3]s\n  key: file:%[1]s/etc/devpi.key\n", dir, listen, devpi.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"keys", "init", filepath.Join(dir, "etc", "keys.json"), "--config", config},
		{"devpi-key", "--secretfile", devpi.SecretFile, "--output", filepath.Join(dir, "etc", "devpi.key"), "--argon2-time-cost", strconv.Itoa(devpitest.TimeCost),
			"--argon2-memory-cost", strconv.Itoa(devpitest.MemoryCost), "--argon2-parallelism", strconv.Itoa(devpitest.Parallelism)},
	} {
		if out, err := exec.Command(daypassd, append([]string{"admin"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("admin %q: %v\n%s", args, err, out)
		}
	}
	cmd := exec.Command(daypassd, "serve", "--config", config)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the gateway said:\n%s", said.String())
		}
	})
	api := devpitest.API{URL: "http://" + listen + "/", Root: devpi.Root}
	for range 400 {
		if res, err := http.Get(api.URL + "+daypass/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return api
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("the gateway does not answer")
	return api
}

// firstLight: a token that the gateway made, narrowed offline for one project,
// uploads one wheel with twine and is refused for another. One use is one use.
func (s indexStory) firstLight() {
	t := s.t
	t.Helper()
	dir := t.TempDir()
	s.desk.Input = indexPassword + "\n"
	wide := filepath.Join(dir, "wide.pass")
	s.must([]string{"pass", "create", "--index", s.index, "--user", "ann", "--password", "-", "--expires", "1 day", "--label", "first light", "--output", wide}, "package gateway")
	s.desk.Input = ""
	one := filepath.Join(dir, "one.pass")
	s.must([]string{"pass", "narrow", "--file", wide, "--upload-only", "--projects", "first-light", "--expires", "10min", "--output", one}, "first-light")
	right := devpitest.Wheel("first-light", "1.0").Write(t, dir)
	wrong := devpitest.Wheel("second-light", "1.0").Write(t, dir)
	run := func(file string, more ...string) []string {
		return append([]string{"run", "--index", s.index, "--file", file, "--"}, more...)
	}
	s.must(run(one, "twine", "upload", right))
	s.ends(1, run(one, "twine", "upload", wrong), "403")
	s.ends(1, run(one, "sh", "-c", `curl -sf -u "$UV_INDEX_DAYPASS_USERNAME:$UV_INDEX_DAYPASS_PASSWORD" "$PIP_INDEX_URL/first-light/" || exit 1`))
	once := filepath.Join(dir, "once.pass")
	s.must([]string{"pass", "narrow", "--file", wide, "--upload-only", "--uses", "1", "--output", once})
	s.must(run(once, "twine", "upload", devpitest.Wheel("first-light", "2.0").Write(t, dir)))
	s.ends(1, run(once, "twine", "upload", devpitest.Wheel("first-light", "3.0").Write(t, dir)), "403")
	// One that was narrowed is ended by showing it, and what it was made of goes on.
	s.must([]string{"pass", "revoke", "--file", once, "--index", s.index}, "Ended: this pass, and all that were narrowed from it (event ")
	s.ends(4, []string{"pass", "revoke", "--file", once, "--index", s.index}, "[DP-134]")
	s.must(run(one, "twine", "upload", right))
	s.desk.Input = indexPassword + "\n"
	s.must([]string{"pass", "list", "--index", s.index, "--user", "ann", "--password", "-"}, "Limits: expires=", "first light", "Made:   ")
	s.desk.Input = ""
	s.must([]string{"pass", "revoke", "--file", wide, "--index", s.index}, "all that were narrowed from it")
	s.desk.Input = indexPassword + "\n"
	s.must([]string{"login", "--index", s.index, "--user", "ann", "--password", "-"})
	s.desk.Input = ""
	s.must([]string{"logout", "--index", s.index}, "taken out", "Ended: this pass")
	o := s.daypass(run(one, "twine", "upload", right)...)
	if o.Code == 0 {
		t.Error("a narrowed pass outlived the one that it was made of")
	}
}

func (s indexStory) day(api devpitest.API) {
	t := s.t
	t.Helper()
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

// needsTools is a package that has to be built, and needs another one of the
// index for that: pip starts a pip of its own to fetch it.
func needsTools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"pyproject.toml": "[build-system]\nrequires = [\"river-tools\"]\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n[project]\nname = \"needs\"\nversion = \"1.0\"\n",
		"backend.py": `import zipfile, os
import river_tools
def build_wheel(d, config_settings=None, metadata_directory=None):
    name = "needs-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(d, name), "w") as z:
        z.writestr("needs.py", "__version__ = '1.0'\n")
        z.writestr("needs-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: needs\nVersion: 1.0\n")
        z.writestr("needs-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("needs-1.0.dist-info/RECORD", "needs.py,,\nneeds-1.0.dist-info/METADATA,,\nneeds-1.0.dist-info/WHEEL,,\nneeds-1.0.dist-info/RECORD,,\n")
    return name
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestNoPassStarted: neither daypass nor the tools, nor what they start, have the
// pass in their arguments, also where pip starts a pip to fetch what a build
// needs; and no file holds it but the devpi client's own.
func TestNoPassStarted(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil && os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
		t.Fatal("make test installs strace, and it is not there")
	}
	if err != nil {
		t.Skip("strace is not installed; make test installs it")
	}
	api := closed(t, devpitest.Start(t, devpitest.Options{Plugin: true}).API)
	s := newIndexStory(t, api)
	s.desk.Input = indexPassword + "\n"
	s.must([]string{"login", "--index", s.index, "--user", "ann", "--password", "-"})
	s.desk.Input = ""
	dist := devpitest.Wheel("river-tools", "1.0").Write(t, t.TempDir())
	trace := filepath.Join(t.TempDir(), "trace")
	script := `set -e
daypass run --index "$1" -- twine upload "$2"
daypass run --index "$1" -- pip -v install --no-deps --target "$HOME/built" "$3"
daypass run --index "$1" -- uv publish "$2" || true
daypass status
daypass logout --index "$1"`
	o := s.desk.Run(strace, "-f", "-q", "-s", "65536", "-e", "trace=execve", "-o", trace, "env", "PATH="+s.bin+":"+s.desk.Env["PATH"],
		"sh", "-c", script, "sh", s.index, dist, needsTools(t))
	if _, err := os.Stat(filepath.Join(s.desk.Home, "built", "needs.py")); o.Code != 0 || err != nil {
		t.Fatalf("%d, %v\n%s", o.Code, err, o.All())
	}
	text, err := os.ReadFile(trace)
	if err != nil || strings.Count(string(text), "execve(") < 10 || !strings.Contains(string(text), "+simple/") {
		t.Fatalf("the trace shows too little: %v\n%s", err, text)
	}
	if strings.Contains(string(text), "AgEAA") || strings.Contains(o.All(), "AgEAA") {
		t.Error("the pass is in an argument, or was printed")
	}
	if out, err := exec.Command("grep", "-rlsa", "devpi-AgEAA", s.desk.Home).Output(); err == nil {
		t.Errorf("after the log-out the pass lies in %s", out)
	}
}
