package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

const deployPage = "../../doc/deploy.md"

func pageText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// yamlKeys are the keys of a configuration, with those above them.
func yamlKeys(typ reflect.Type, above string) []string {
	for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return []string{above}
	}
	var out []string
	for f := range typ.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if option == "inline" {
			out = append(out, yamlKeys(f.Type, above)...)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		if above != "" {
			name = above + "." + name
		}
		out = append(out, yamlKeys(f.Type, name)...)
	}
	return out
}

// TestDeployPageKeys: each key of the service's configuration is in the page's
// table, and no other is.
func TestDeployPageKeys(t *testing.T) {
	_, table, ok := strings.Cut(pageText(t, deployPage), "\n## Every key\n")
	table, _, _ = strings.Cut(table, "\n## ")
	if !ok {
		t.Fatal("the page has no section of keys")
	}
	told := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z_.]+)`").FindAllStringSubmatch(cells[1], -1) {
			told[m[1]] = true
		}
	}
	keys := yamlKeys(reflect.TypeFor[serverConfig](), "")
	if len(keys) < 40 {
		t.Fatalf("only %d keys were found: %v", len(keys), keys)
	}
	for _, key := range keys {
		if strings.HasPrefix(key, "audit_rules.") {
			key = "audit_rules" // as rules
		}
		if !told[key] {
			t.Errorf("doc/deploy.md does not say what %s means", key)
		}
	}
	for key := range told {
		if !slices.ContainsFunc(keys, func(k string) bool { return k == key || strings.HasPrefix(k, key+".") }) {
			t.Errorf("doc/deploy.md speaks of %s, which is no key", key)
		}
	}
}

// TestDeployPageYAML: the page's pieces of configuration are understood, and its
// rules make sense.
func TestDeployPageYAML(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(pageText(t, deployPage), -1)
	if len(blocks) < 5 {
		t.Fatalf("only %d pieces", len(blocks))
	}
	for _, m := range blocks {
		var c serverConfig
		dec := yaml.NewDecoder(strings.NewReader(m[1]))
		dec.KnownFields(true)
		if err := dec.Decode(&c); err != nil {
			t.Errorf("%v in\n%s", err, m[1])
			continue
		}
		if _, _, err := c.rules(); err != nil {
			t.Errorf("%v in\n%s", err, m[1])
		}
		if _, err := c.brokerLimits(); err != nil {
			t.Errorf("%v in\n%s", err, m[1])
		}
	}
}

// TestDeployPageNames: each file that the page names is there, and each file of
// deploy/ is named by the page or by another file there.
func TestDeployPageNames(t *testing.T) {
	page := pageText(t, deployPage)
	for _, m := range regexp.MustCompile(`\b(?:deploy|python)/[a-zA-Z0-9_/.-]+[a-z]`).FindAllString(page, -1) {
		if m == "deploy/daypass" { // a deployment, to kubectl
			continue
		}
		if _, err := os.Stat(filepath.Join("../..", m)); err != nil {
			t.Errorf("the page names %s: %v", m, err)
		}
	}
	// A gateway has a page of its own.
	pages := page + pageText(t, "../../doc/gateway.md")
	for _, path := range deployFiles(t) {
		if !strings.Contains(pages, strings.TrimPrefix(path, "../../")) {
			t.Errorf("no page names %s", path)
		}
	}
}

func deployFiles(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("../../deploy", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, path)
		}
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatal(out, err)
	}
	return out
}

// TestDeployFiles: every file of deploy/ is what its reader takes.
func TestDeployFiles(t *testing.T) {
	for _, path := range deployFiles(t) {
		text := pageText(t, path)
		script := strings.HasSuffix(path, "-admin") || strings.HasSuffix(path, ".sh")
		if strings.Contains(text, "\t") && !script {
			t.Errorf("%s has tabs", path)
		}
		switch ext := filepath.Ext(path); {
		case filepath.Base(path) == "server.yaml" || filepath.Base(path) == "gateway.yaml":
			deployedConfig(t, path, text)
		case ext == ".yaml":
			manifests(t, path, text)
		case ext == ".py":
			t.Run(filepath.Base(path), func(t *testing.T) { pythonLines(t, path) })
		case ext == ".service" || ext == ".socket" || filepath.Base(path) == "credentials.conf":
			unitFile(t, path, text)
		case script:
			if out, err := exec.Command("/bin/sh", "-n", path).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", path, err, out)
			}
		case strings.HasSuffix(path, "Dockerfile"):
			if len(dockerRuns(t, text)) == 0 {
				t.Errorf("%s runs nothing", path)
			}
		case ext == ".conf":
			nginxFile(t, path, text)
		default:
			t.Errorf("%s: nobody tests it", path)
		}
	}
}

// deployedConfig holds a server.yaml to what "daypass serve" takes.
func deployedConfig(t *testing.T, path, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &app{getenv: func(string) string { return "" }}
	c, err := s.readConfig(file)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	if c.hubless {
		if strings.Contains(path, "server.yaml") {
			t.Errorf("%s: it has no hub", path)
		}
		return
	}
	if want := strings.Contains(path, "tljh"); c.shared() != want {
		t.Errorf("%s: shared = %v", path, c.shared())
	}
	if _, err := c.proxies(); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

// manifests reads YAML documents. A server.yaml inside of one is held to what
// the service takes, and names point at each other.
func manifests(t *testing.T, path, text string) {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(text))
	for n := 0; ; n++ {
		var m map[string]any
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			if n == 0 {
				t.Errorf("%s is empty", path)
			}
			return
		} else if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if data, ok := m["data"].(map[string]any); ok {
			deployedConfig(t, path, data["server.yaml"].(string))
		}
		if strings.HasSuffix(path, "daypass.yaml") && (m["kind"] == nil || m["apiVersion"] == nil) {
			t.Errorf("%s: a manifest has no kind", path)
		}
		if hub, ok := m["hub"].(map[string]any); ok {
			code := hub["extraConfig"].(map[string]any)["zz-daypass"].(string)
			file := filepath.Join(t.TempDir(), "zz_daypass.py")
			if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Run("values.yaml", func(t *testing.T) { pythonLines(t, file) })
		}
	}
}

// pythonLines runs a piece of jupyterhub_config.py where there is a JupyterHub to
// read it with, on tokens of this test; else it is only compiled.
func pythonLines(t *testing.T, path string) {
	t.Helper()
	text := pageText(t, path)
	dir := t.TempDir()
	for _, name := range []string{"hub-token", "hook-token"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("5a", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = strings.NewReplacer("/etc/daypass", dir, "/usr/local/share/daypass/python", "../../python").Replace(text)
	prefix, py := os.Getenv("DAYPASS_TEST_HUB"), "python3"
	script := "import sys\ncompile(sys.stdin.read(), 'config', 'exec')\nprint('whole')"
	if prefix != "" {
		py = filepath.Join(prefix, "bin", "python3")
		script = `import sys
from traitlets.config import Config
c = Config()
c.JupyterHub.services = [{"name": "other"}]
c.Spawner.environment = {}
c.JupyterHub.load_roles = [{"name": "other", "services": ["other"]}]
exec(sys.stdin.read(), {"c": c})
s = [s for s in c.JupyterHub.services if s["name"] == "daypass"]
r = [r for r in c.JupyterHub.load_roles if r["name"] == "daypass"]
u = [r for r in c.JupyterHub.load_roles if r["name"] == "user"]
assert len(s) == 1 and len(r) == 1 and "read:users" in r[0]["scopes"], (s, r)
assert len(c.JupyterHub.services) == 2 and "access:services!service=daypass" in u[0]["scopes"]
assert c.Spawner.environment["DAYPASS_URL"].endswith("/")
assert "access:services!service=daypass" in c.Spawner.server_token_scopes, c.Spawner.server_token_scopes
print('whole')`
	} else if _, err := exec.LookPath(py); err != nil {
		t.Skip("there is no Python")
	}
	cmd := exec.Command(py, "-c", script)
	cmd.Stdin = strings.NewReader(text)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("whole")) {
		t.Errorf("%s: %v\n%s", path, err, out)
	}
}

// unitFile holds a unit to systemd itself, where that is; else to its form.
func unitFile(t *testing.T, path, text string) {
	t.Helper()
	line := regexp.MustCompile(`^(\[[A-Z][a-z]+\]|[A-Z][A-Za-z]+=.*|#.*|)$`)
	for l := range strings.Lines(text) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("%s: %q is no line of a unit", path, l)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil || strings.HasSuffix(path, ".conf") {
		return
	}
	dir := t.TempDir()
	for _, name := range []string{"daypass.service", "daypass.socket", "daypass-gateway.service"} {
		unit := pageText(t, filepath.Join("../../deploy/systemd", name))
		if name == "daypass.service" { // with its drop-in, as one file
			unit = strings.Replace(unit, "[Install]", pageText(t, "../../deploy/systemd/credentials.conf")+"\n[Install]", 1)
		}
		unit = strings.ReplaceAll(unit, "/usr/local/bin/daypass", "/bin/true")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(unit), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, filepath.Base(path))).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("Unknown")) || bytes.Contains(out, []byte("ignoring")) {
		t.Errorf("%s: %v\n%s", path, err, out)
	}
}

// nginxFile holds a piece of nginx's configuration to its form, and to nginx
// where that is.
func nginxFile(t *testing.T, path, text string) {
	t.Helper()
	depth := 0
	for l := range strings.Lines(text) {
		l, _, _ = strings.Cut(l, "#")
		l = strings.TrimSpace(l)
		switch {
		case l == "":
		case strings.HasSuffix(l, "{"):
			depth++
		case l == "}":
			depth--
		case !strings.HasSuffix(l, ";"):
			t.Errorf("%s: %q does not end", path, l)
		}
	}
	if depth != 0 {
		t.Errorf("%s: braces do not match", path)
	}
}

// TestSocketActivation starts the service as daypass.socket, daypass.service and
// credentials.conf do: with a socket that is open already, and secrets in a folder
// of systemd's.
func TestSocketActivation(t *testing.T) {
	bin, dir := builtPrograms(t), t.TempDir()
	for _, d := range []string{"store", "keys", "credentials"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(bin, "daypass"), args...)
		cmd.Env = []string{"HOME=" + dir, "PATH=/usr/bin:/bin"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("daypass %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("admin", "keys", "init", filepath.Join(dir, "keys", "keys.json"))
	for _, name := range []string{"hub-token", "hook-token", "push-secret"} {
		if err := os.WriteFile(filepath.Join(dir, "credentials", name), []byte(strings.Repeat("5a", 32)), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	config := strings.NewReplacer("file:/etc/daypass/keys", "file:"+dir+"/keys", "file:/etc/daypass/", "credential:",
		"/var/lib/daypassd", dir+"/store").Replace(pageText(t, "../../deploy/server.yaml"))
	path := filepath.Join(dir, "server.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" serve --config "$1"`, filepath.Join(bin, "daypass"), path)
	cmd.Env = []string{"HOME=" + dir, "PATH=/usr/bin:/bin", "CREDENTIALS_DIRECTORY=" + filepath.Join(dir, "credentials")}
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Whoever comes before it is up waits, and is not turned away.
	client := &http.Client{Timeout: 20 * time.Second}
	res, err := client.Get("http://" + l.Addr().String() + "/readyz")
	stop()
	if werr := cmd.Wait(); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v %v, and the service: %v\n%s", res, err, werr, log.String())
	}
	res.Body.Close()
}

// TestDeployPageCommands: each of our commands that the page names exists, with
// its flags.
func TestDeployPageCommands(t *testing.T) {
	s := &app{getenv: func(string) string { return "" }}
	root := &cobra.Command{Use: "daypass"}
	root.AddCommand(s.serveCommand(), s.demoCommand(), s.adminCommand())
	text := pageText(t, deployPage)
	for _, path := range []string{"github-app.md", "owners.md", "gateway.md", "passes.md"} {
		text += pageText(t, filepath.Join("../../doc", path))
	}
	seen := 0
	for _, m := range regexp.MustCompile(`\bdaypass ((?:serve|demo|admin)\b[^\n`+"`"+`|:;#&(]*)`).FindAllStringSubmatch(text, -1) {
		words := strings.Fields(strings.TrimRight(m[1], ". "))
		if words = slices.DeleteFunc(words, func(w string) bool { return w == "…" }); len(words) == 0 {
			continue
		}
		seen++
		cmd, rest, err := root.Find(words)
		if err != nil || cmd.HasSubCommands() && cmd.Name() != "events" && cmd.Name() != "demo" && len(rest) > 0 {
			t.Errorf("daypass %s: there is no such command (%v)", m[1], err)
			continue
		}
		for _, flag := range rest {
			if name, ok := strings.CutPrefix(flag, "--"); ok && cmd.Flags().Lookup(strings.TrimRight(name, ",")) == nil {
				t.Errorf("daypass %s: there is no flag %s", m[1], flag)
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d commands were found", seen)
	}
}
