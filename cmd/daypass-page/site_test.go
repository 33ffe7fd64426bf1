package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/jupytertest"
)

// TestSites: what a site set for nbgitpuller holds as it is, and what it set wrongly is
// told on the page, at once and with a code.
func TestSites(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a Jupyter Server")
	}
	python := []string{jupytertest.Install(t, "")}
	l := newLab(t)
	l.weekLater(t)
	home, err := filepath.EvalSymlinks(gittest.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	s := jupytertest.Start(t, jupytertest.Config{Programs: programs(t), Python: python, Home: home,
		Environ: []string{"NBGITPULLER_DEPTH=1", "NBGITPULLER_PARENTPATH=" + home + "/courses"}, Args: []string{"--GitPuller.depth=0"}})
	b := newReader(t)
	b.get(s.Link(l.link()))
	if strings.Contains(b.text, s.Token) {
		t.Errorf("the page has Jupyter's token:\n%s", b.text)
	}
	b.send("begin")
	if out := gittest.Run(t, filepath.Join(home, "courses", l.name), "rev-list", "--count", "HEAD"); strings.TrimSpace(out) != "2" {
		t.Errorf("a depth of 0 in the configuration brought %s commits", out)
	}
	// A Jupyter server that is killed leaves no page behind.
	if len(pagesOf(t, s.Root)) == 0 {
		t.Fatal("there is no page")
	}
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); len(pagesOf(t, s.Root)) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("pages %v outlive their server", pagesOf(t, s.Root))
		}
	}
	for _, wrong := range []string{"NBGITPULLER_DEPTH=abc", "NBGITPULLER_PARENTPATH=/elsewhere/courses", "NBGITPULLER_PARENTPATH=../courses"} {
		s := jupytertest.Start(t, jupytertest.Config{Programs: programs(t), Python: python, Environ: []string{wrong}})
		begun := time.Now()
		b := newReader(t)
		b.get(s.Link(l.link()))
		if took := time.Since(begun); !strings.Contains(b.text, "<small>DP-363</small>") || took > 15*time.Second {
			t.Errorf("%s: %d after %v\n%s", wrong, b.status, took, b.text)
		}
		name, _, _ := strings.Cut(wrong, "=")
		if log := s.Log(1 << 20); !strings.Contains(log, "DP-363") || !strings.Contains(b.text, name) {
			t.Errorf("%s: neither page nor log names it:\n%s", wrong, log)
		}
		s.Stop()
	}
}

// pagesOf finds the pages that serve a folder.
func pagesOf(t *testing.T, root string) []int {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		words := strings.Split(string(text), "\x00")
		if filepath.Base(words[0]) != "daypass-page" || !strings.Contains(string(text), "\x00"+root+"\x00") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// TestStrangersChange: a stranger's pull request comes by no click alone, and what
// starts with a kernel not by opening its notebook.
func TestStrangersChange(t *testing.T) {
	s := newStudent(t, jupytertest.Config{})
	l := newLab(t)
	s.follow(l.link("urlpath", "lab/tree/"+l.name+"/lab.ipynb"))
	s.press("Continue")
	s.lands("/lab/tree/" + l.name + "/lab.ipynb")
	proof := s.path("ran")
	l.repo.Commit("refs/pull/666/head", "innocent", gittest.Files{
		"lab.ipynb": l.repo.Git("show", "main:lab.ipynb"), "notes.txt": "week 3\n",
		"week4/lab.ipynb":             notebook(t, cell{id: "intro", kind: "markdown", source: "# hello"}),
		"week4/ipykernel_launcher.py": fmt.Sprintf("open(%q, 'w').close()\nfrom ipykernel import kernelapp\nkernelapp.launch_new_instance()\n", proof),
	})
	requests := len(l.host.Requests())
	s.follow(l.link("branch", "refs/pull/666/head", "urlpath", "lab/tree/"+l.name+"/week4/lab.ipynb"))
	s.sees("a proposed change, by anybody")
	if n := len(l.host.Requests()); n != requests {
		t.Errorf("it asked the host %d times before anybody agreed", n-requests)
	}
	s.press("Continue")
	s.sees("can run " + l.name + "/week4/ipykernel_launcher.py at once")
	if _, err := os.Stat(proof); err == nil {
		t.Fatal("it ran before anybody agreed")
	}
	s.press("Open lab.ipynb")
	s.lands("/lab/tree/" + l.name + "/week4/lab.ipynb")
	s.wait("it runs, since somebody said yes", func() bool { _, err := os.Stat(proof); return err == nil })
}
