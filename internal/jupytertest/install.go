package jupytertest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/process"
)

// Prefix is the folder of the Jupyter Server to run. Without one the test is
// skipped, and fails where "make test" should have made one.
func Prefix(t testing.TB, given string) string {
	t.Helper()
	if given != "" {
		return given
	}
	return process.Installed(t, "DAYPASS_TEST_JUPYTER", "jupyter")
}

// Install installs python/ as a site does, with nothing from the network, into a
// folder of its own for PYTHONPATH.
func Install(t testing.TB, prefix string) string {
	t.Helper()
	source, target := filepath.Join(t.TempDir(), "python"), filepath.Join(t.TempDir(), "site")
	if err := os.CopyFS(source, os.DirFS(pythonFolder())); err != nil {
		t.Fatal(err)
	}
	// A build writes beside its sources.
	cmd := exec.Command(filepath.Join(Prefix(t, prefix), "bin", "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
		"--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir", "--target", target, source)
	cmd.Env = append(os.Environ(), "PIP_ROOT_USER_ACTION=ignore", "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pip install python/: %v\n%s", err, out)
	}
	return target
}

// Nbgitpuller returns a folder for PYTHONPATH in which the nbgitpuller of
// "scripts/tools.sh pull" is, and one for JUPYTER_CONFIG_PATH that enables it.
func Nbgitpuller(t testing.TB) (python, config string) {
	t.Helper()
	program := process.Installed(t, "DAYPASS_TEST_NBGITPULLER", "pull")
	prefix := filepath.Dir(filepath.Dir(program))
	found, err := filepath.Glob(filepath.Join(prefix, "lib", "python3*", "site-packages", "nbgitpuller*"))
	if err != nil || len(found) < 2 {
		t.Fatalf("no nbgitpuller in %s: %v", prefix, err)
	}
	python, config = t.TempDir(), t.TempDir()
	for _, path := range found {
		if err := os.Symlink(path, filepath.Join(python, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	err = os.CopyFS(filepath.Join(config, "jupyter_server_config.d"), os.DirFS(filepath.Join(prefix, "etc", "jupyter", "jupyter_server_config.d")))
	if err != nil {
		t.Fatal(err)
	}
	others, err := filepath.Glob(filepath.Join(config, "jupyter_server_config.d", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range others {
		if filepath.Base(path) != "nbgitpuller.json" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	return python, config
}

// HubLines are lines for a jupyterhub_config.py that make its servers real ones:
// with the programs of a folder on PATH, and folders for PYTHONPATH. What stands
// in wrap is run with the server's command behind it.
func HubLines(prefix, programs string, python []string, wrap ...string) string {
	cmd := append(wrap, filepath.Join(prefix, "bin", "jupyterhub-singleuser"), "--allow-root")
	return strings.Join([]string{
		`c.Spawner.cmd = ` + pythonText(cmd),
		`c.Spawner.default_url = "/lab"`,
		`c.Spawner.start_timeout = c.Spawner.http_timeout = 60`,
		`c.Spawner.environment.update({"PATH": ` + pythonText(programs+":"+filepath.Join(prefix, "bin")+":"+os.Getenv("PATH")) +
			`, "PYTHONPATH": ` + pythonText(strings.Join(python, ":")) + `, "PYTHONDONTWRITEBYTECODE": "1"})`,
	}, "\n")
}

// pythonText is a value as Python text; JSON's strings and lists are.
func pythonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return `""`
	}
	return string(text)
}

// pythonFolder is the module's python/, found from this file.
func pythonFolder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "python")
}
