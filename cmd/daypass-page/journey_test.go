package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/jupytertest"
)

// A lab is a course with one notebook, at a git host.
type lab struct {
	repo *gittest.Repo
	host *gittest.Server
	name string // of the folder that links make
}

const question = "# Write a function that doubles."

func newLab(t *testing.T) *lab {
	r := gittest.New(t)
	r.Commit("main", "Lab 3", gittest.Files{
		"lab.ipynb": notebook(t, cell{id: "intro", kind: "markdown", source: "# Lab 3\n\nRead first."}, cell{id: "answer", kind: "code", source: question}),
		"notes.txt": "week 3\n", "data/rain.csv": "day,mm\n1,4\n",
	})
	s := r.Serve(gittest.Options{})
	return &lab{r, s, "course.git"}
}

// link is nbgitpuller's link to the lab, with more parameters in turn.
func (l *lab) link(more ...string) string {
	v := url.Values{"repo": {l.host.Of(l.repo)}, "branch": {"main"}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return "git-pull?" + v.Encode()
}

// weekLater is what the instructor pushes: a better text, a hint in the very cell
// that students answer in, a new exercise, more data.
func (l *lab) weekLater(t *testing.T) {
	l.repo.Commit("main", "Week 4", gittest.Files{
		"lab.ipynb": notebook(t, cell{id: "intro", kind: "markdown", source: "# Lab 3\n\nRead twice."}, cell{id: "answer", kind: "code", source: question + " Use *."},
			cell{id: "more", kind: "code", source: "# Now one that halves."}),
		"data/rain.csv": "day,mm\n1,4\n2,7\n",
	})
}

const answer = question + "\ndef double(x):\n    return 2 * x"

// works is what the student does: an answer, run, and a word in a text.
func (l *lab) works(s *student) {
	s.write(l.name+"/lab.ipynb", notebook(s.t, cell{id: "intro", kind: "markdown", source: "# Lab 3\n\nRead first."},
		cell{id: "answer", kind: "code", source: answer, outputs: `[{"output_type": "stream", "name": "stdout", "text": ["42\n"]}]`}))
	s.write(l.name+"/notes.txt", "week 3, done\n")
}

// TestFirstLight: in a real Jupyter Server, an old nbgitpuller link opens our page,
// pulls a repository, and a second click merges.
func TestFirstLight(t *testing.T) {
	s := newStudent(t, jupytertest.Config{})
	l := newLab(t)
	link := l.link("urlpath", "lab/tree/"+l.name+"/lab.ipynb")
	s.follow(link)
	s.press("Continue") // nobody listed this owner
	s.lands("/lab/tree/" + l.name + "/lab.ipynb")
	s.opened("Read first.")

	l.works(s)
	l.weekLater(t)
	s.follow(link) // no question: the folder comes from there
	s.lands("/lab/tree/" + l.name + "/lab.ipynb")
	s.opened("Read twice.")
	s.kept(l)
}

// TestJourney3 is the class: an old link to Jupyter Notebook, a week's work, the
// link again, what was kept, the instructor's version, undo, and trouble at the host.
func TestJourney3(t *testing.T) {
	s := newStudent(t, jupytertest.Config{})
	l := newLab(t)
	link := l.link("urlpath", "notebooks/"+l.name+"/lab.ipynb")
	s.follow(link)
	s.press("Continue")
	s.lands("/notebooks/" + l.name + "/lab.ipynb")
	s.opened("Read first.")
	l.works(s)
	before := s.read(l.name + "/lab.ipynb")
	l.weekLater(t)
	s.follow(link)
	s.lands("/notebooks/" + l.name + "/lab.ipynb")
	s.opened("Read twice.")
	s.kept(l)

	s.follow("git-pull/report?folder=" + l.name)
	s.sees("We kept your answers in 1 cell")
	s.press("see both versions")
	s.sees("Use *.")
	s.sees("return 2 * x")

	s.follow("git-pull/report?folder=" + l.name)
	s.press("Take the last update back")
	s.press("Undo the last update")
	s.wait("the notebook is as it was", func() bool { return s.read(l.name+"/lab.ipynb") == before })
	if got := s.read(l.name + "/data/rain.csv"); strings.Contains(got, "2,7") {
		t.Errorf("rain.csv is not as it was: %q", got)
	}
	s.follow(link)
	s.lands("/notebooks/" + l.name + "/lab.ipynb")
	s.opened("Read twice.")
	s.kept(l)

	l.host.Fault(gittest.Fault{Status: 503})
	s.follow(link)
	s.sees("That did not work")
	s.sees("DP-")
	s.sees("What to send your instructor")
	s.press("Go on without updating")
	s.lands("/notebooks/" + l.name + "/lab.ipynb")
	l.host.Fault()
	if log := s.server.Log(1 << 20); strings.Contains(log, "Traceback") {
		t.Errorf("the server's log has a traceback:\n%s", log)
	}
}

// kept looks for both sides' work.
func (s *student) kept(l *lab) {
	s.t.Helper()
	text := s.read(l.name + "/lab.ipynb")
	for _, want := range []string{"Read twice.", "return 2 * x", `"42\n"`, "Now one that halves."} {
		if !strings.Contains(text, want) {
			s.t.Errorf("the notebook lacks %s:\n%s", want, text)
		}
	}
	if got := s.read(l.name + "/notes.txt"); got != "week 3, done\n" {
		s.t.Errorf("notes.txt: %q", got)
	}
	if got := s.read(l.name + "/data/rain.csv"); !strings.Contains(got, "2,7") {
		s.t.Errorf("rain.csv: %q", got)
	}
}
