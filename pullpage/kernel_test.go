package pullpage

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWhatKernelsLookFor: a real kernel of Python looks for nothing in the notebook's
// folder that is not in the list.
func TestWhatKernelsLookFor(t *testing.T) {
	jupyter := os.Getenv("DAYPASS_TEST_JUPYTER")
	if jupyter == "" {
		if os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
			t.Fatal("make test installs a Jupyter Server, and it is not there")
		}
		t.Skip("DAYPASS_TEST_JUPYTER is not set")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	looked := filepath.Join(t.TempDir(), "looked")
	cmd := exec.Command(filepath.Join(jupyter, "bin", "python"), filepath.Join(here, "kernel.py"), dir)
	cmd.Dir = here
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(here, "sitecustomize"), "LOOKED_FOR="+looked, "LOOKED_IN="+dir, "PYTHONDONTWRITEBYTECODE=1", "IPYTHONDIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(looked)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(text))
	if !slices.Contains(names, "ipykernel_launcher") {
		t.Fatalf("it looked for %q", names)
	}
	for _, name := range names {
		if !slices.ContainsFunc(starters, func(s starter) bool { return s.has(name+".py", false, false) }) {
			t.Errorf("a kernel looks for %s, which is not in the list", name)
		}
	}
}
