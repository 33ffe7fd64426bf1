package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/fake"
)

// TestNotebookMagic runs %ghscopedcreds in a real IPython. "make test" installs
// one and says where; without it, as under a bare go test, there is nothing to run.
func TestNotebookMagic(t *testing.T) {
	python := os.Getenv("DAYPASS_TEST_IPYTHON")
	if python == "" && os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
		t.Fatal("make test installs IPython, and it is not there")
	}
	if python == "" {
		t.Skip("DAYPASS_TEST_IPYTHON names no Python with IPython; make test does")
	}
	n := newNode(t, programs(t))
	module, err := filepath.Abs("../../python")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c",
		"import gh_scoped_creds; get_ipython().run_line_magic('ghscopedcreds', '--client-id "+fake.CampusApp+" --github-app-url https://github.com/apps/x')")
	cmd.Env = append(n.env, "PYTHONPATH="+module, "IPYTHONDIR="+filepath.Join(n.dir, "home", "ipython"), "GH_SCOPED_CREDS_CLIENT_ID="+fake.CampusApp)
	cmd.Dir = filepath.Join(n.dir, "home")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "/login/device") || !strings.Contains(string(out), "Logged in to") {
		t.Fatalf("%v\n%s", err, out)
	}
	n.must("git", "ls-remote", n.world.URL+"/river-lab/data.git")
	if secrets.Match(out) {
		t.Error("the notebook shows a token")
	}
}
