package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/jupytertest"
)

// TestMovedOver: a folder that nbgitpuller made, with its automatic commit and
// work on top, is taken up by the same link, with no question: it comes from there.
func TestMovedOver(t *testing.T) {
	gitpuller := os.Getenv("DAYPASS_TEST_NBGITPULLER")
	if gitpuller == "" {
		if os.Getenv("DAYPASS_TEST_COMPLETE") != "" {
			t.Fatal("make test installs nbgitpuller, and it is not there")
		}
		t.Skip("DAYPASS_TEST_NBGITPULLER is not set")
	}
	s := newStudent(t, jupytertest.Config{Environ: []string{"NBGITPULLER_PARENTPATH=courses", "NBGITPULLER_APP=lab", "NBGITPULLER_DEPTH=1"}})
	l := newLab(t)
	l.name = "courses/" + l.name
	before := func() {
		cmd := exec.Command(gitpuller, l.host.Of(l.repo), "main", s.path(l.name))
		cmd.Env = gittest.Environ()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("nbgitpuller: %v\n%s", err, out)
		}
	}
	if err := os.Mkdir(s.path("courses"), 0o755); err != nil {
		t.Fatal(err)
	}
	before()
	l.works(s)
	before() // the automatic commit
	s.write(l.name+"/notes.txt", "week 3, done\n")
	l.weekLater(t)
	s.follow(l.link("subPath", "lab.ipynb"))
	s.lands("/lab/tree/" + l.name + "/lab.ipynb")
	s.opened("Read twice.")
	s.kept(l)
	if out := gittest.Run(t, s.path(l.name), "status", "--short"); strings.Contains(out, "UU") {
		t.Errorf("git sees a conflict:\n%s", out)
	}
}
