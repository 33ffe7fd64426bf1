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
	s.maybe("Continue")
	s.lands("/lab/tree/" + l.name + "/lab.ipynb")
	s.opened("Read twice.")
	s.kept(l)
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
