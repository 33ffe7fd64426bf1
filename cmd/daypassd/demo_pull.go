package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass/fake"
)

const demoPullHelp = `Show how course content comes home, in a world that lives on this machine only: an instructor's private repository on
a stand-in for GitHub, a student who pulls it, works in it, and pulls again when the instructor has changed it. Then the
same by a link to a private folder on a stand-in for Google Drive. It checks each step.

  daypass demo pull             tell it
  daypass demo pull --serve     leave that world up: click a course's link in a browser`

func (s *app) demoPullCommand() *cobra.Command {
	var serve bool
	c := &cobra.Command{
		Use: "pull", Short: "Course content: pulled, worked in, pulled again; what was kept, and undone", Long: demoPullHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.demoPull(c.Context(), serve) },
	}
	c.Flags().BoolVar(&serve, "serve", false, "leave the world up and say which link to click")
	return c
}

func (s *app) demoPull(ctx context.Context, serve bool) error {
	p, err := s.newPullDemo()
	if err != nil {
		return err
	}
	defer p.close()
	if serve {
		return p.serve(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	if err := p.journey(ctx); err != nil {
		return fmt.Errorf("the demo stopped: %w", err)
	}
	return nil
}

// A pullDemo is a demo with a course in it.
type pullDemo struct {
	*demo
	desk   string // the instructor's clone
	course string // the course's address
	folder string // where the student has it
	app    *app
}

const (
	courseRepo    = 5901 // its number at the stand-in
	courseInstall = 7901
	courseName    = "lab-3"
	labNotebook   = "lab.ipynb"
)

func (s *app) newPullDemo() (*pullDemo, error) {
	origin, err := os.MkdirTemp("", "daypass-demo-course-")
	if err != nil {
		return nil, err
	}
	seed := fake.Campus()
	seed.Repos = append(seed.Repos, fake.Repo{
		ID: courseRepo, Owner: "uni-course", Name: courseName, Private: true, Description: "Lab 3", Dir: filepath.Join(origin, "lab-3.git"),
		Access: map[string]fake.Access{fake.CampusInstructor: fake.AccessAdmin, fake.CampusUser: fake.AccessRead},
	})
	seed.Installations = append(seed.Installations, fake.Installation{ID: courseInstall, App: fake.CampusApp, Account: "uni-course", Repos: []int64{courseRepo}})
	d, err := s.newDemoOf(&seed)
	if err != nil {
		os.RemoveAll(origin)
		return nil, err
	}
	p := &pullDemo{app: s, demo: d, desk: filepath.Join(origin, "desk"), course: d.world.URL + "/uni-course/" + courseName, folder: filepath.Join(d.dir, "home", courseName)}
	if err := p.firstWeek(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *pullDemo) close() {
	p.demo.close()
	os.RemoveAll(filepath.Dir(p.desk))
}

// journey is the story. Each step checks what it claims.
func (p *pullDemo) journey(ctx context.Context) error {
	began := time.Now()
	p.say("A stand-in for GitHub runs at %s, on this machine only.", p.world.URL)
	p.say("An instructor has the private repository uni-course/%s; %s is a student who may read it.", courseName, fake.CampusUser)
	for _, part := range []func(context.Context) error{p.arrives, p.studies, p.merges, p.undoes, p.drives} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	p.say("\nAll of it went as it should, in %.1f s. Click through the repository's part yourself, without Drive: daypass demo pull --serve", time.Since(began).Seconds())
	return nil
}

// arrives is the first pull: refused before the log-in, whole after it.
func (p *pullDemo) arrives(ctx context.Context) error {
	p.say("\n1. The course comes home. It is private, so daypass first says what to do\n")
	if err := p.step(ctx, want{code: 3, text: "daypass login"}, "", "daypass", "pull", p.course)(); err != nil {
		return err
	}
	if err := p.login(ctx); err != nil {
		return err
	}
	return inOrder(
		p.step(ctx, want{text: "3 files"}, "", "daypass", "pull", p.course),
		p.has(labNotebook, "Read the gauge's manual first."),
	)
}

// studies is a week of both of them.
func (p *pullDemo) studies(context.Context) error {
	p.say("\n2. A week later: the student has worked, and so has the instructor\n")
	p.say("     (the student: an answer in %s, run; a plot.py of their own; rain.csv is broken and deleted)", labNotebook)
	for name, text := range map[string]string{
		labNotebook: demoNotebook("Read the gauge's manual first.", demoCell{"answer", "level = 2.41\nlevel * 100  # cm", "241.0"}),
		"plot.py":   "print('my own plot')\n",
	} {
		if err := os.WriteFile(filepath.Join(p.folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(p.folder, "rain.csv")); err != nil {
		return err
	}
	p.say("     (the instructor: a better introduction, a hint in the first exercise, a second one, a plot.py too, one more day of rain)")
	return p.push("Week 4", map[string]string{
		labNotebook: demoNotebook("Read the gauge's manual first. It is in the library.", demoCell{"answer", "level = ...  # in metres", ""}, demoCell{"more", "# 2. And in feet?", ""}),
		"plot.py":   "print('a plot for all')\n",
		"rain.csv":  "day,mm\n1,4\n2,0\n3,11\n",
	})
}

// merges is the second pull: both sides' work is there.
func (p *pullDemo) merges(ctx context.Context) error {
	p.say("\n3. The same again: what the instructor made arrives, what the student made stays\n")
	if err := inOrder(
		p.step(ctx, want{text: "We kept your answers in 1 cell"}, p.folder, "daypass", "pull"),
		p.has(labNotebook, "It is in the library.", "level * 100  # cm", "241.0", "# 2. And in feet?"),
		p.has("plot.py", "a plot for all"),
		p.has("rain.csv", "3,11"),
	); err != nil {
		return err
	}
	own, err := filepath.Glob(filepath.Join(p.folder, "plot__*.py"))
	if err != nil || len(own) != 1 {
		return fmt.Errorf("the student's own plot.py is not beside the instructor's: %v, %w", own, err)
	}
	p.say("     (the notebook has the new introduction, the student's answer with its result, and the new exercise;")
	p.say("     the instructor's hint is one command away)")
	return inOrder(
		p.filtered(ctx, "# in metres", "daypass", "pull", "--show-upstream", labNotebook),
		p.step(ctx, want{text: labNotebook}, p.folder, "git", "status", "--short"),
	)
}

// filtered shows the lines of a command's output that have a text in them, as grep
// would.
func (p *pullDemo) filtered(ctx context.Context, text, name string, args ...string) func() error {
	return func() error {
		out, err := p.command(ctx, p.folder, name, args...).Output()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.say("   $ %s | grep %q", p.shown(name, args), text)
		found := false
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, text) {
				found = true
				p.say("     %s", strings.TrimSpace(line))
			}
		}
		if !found {
			return fmt.Errorf("%s did not say %q", name, text)
		}
		return nil
	}
}

// undoes takes the second pull back, and comes to it again.
func (p *pullDemo) undoes(ctx context.Context) error {
	p.say("\n4. Nothing is lost: what was kept, and the way back\n")
	return inOrder(
		p.step(ctx, want{text: labNotebook}, p.folder, "daypass", "pull", "--backups"),
		p.step(ctx, want{}, p.folder, "daypass", "pull", "--undo"),
		p.has("plot.py", "my own plot"),
		p.has(labNotebook, "Read the gauge's manual first.\"", "241.0"),
		p.step(ctx, want{}, p.folder, "daypass", "pull"),
		p.has(labNotebook, "It is in the library.", "241.0"),
	)
}

// has holds a file of the student's to texts.
func (p *pullDemo) has(name string, texts ...string) func() error {
	return func() error {
		text, err := os.ReadFile(filepath.Join(p.folder, name))
		if err != nil {
			return err
		}
		for _, want := range texts {
			if !strings.Contains(string(text), want) {
				return fmt.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
		return nil
	}
}

// firstWeek makes the repository and the instructor's clone of it.
func (p *pullDemo) firstWeek() error {
	origin := filepath.Join(filepath.Dir(p.desk), "lab-3.git")
	if err := p.quiet("", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", origin); err != nil {
		return err
	}
	if err := p.quiet("", "clone", "--quiet", "--template=", origin, p.desk); err != nil {
		return err
	}
	return p.push("Lab 3", map[string]string{
		labNotebook: demoNotebook("Read the gauge's manual first.", demoCell{"answer", "level = ...", ""}),
		"README.md": "# Lab 3\n", "rain.csv": "day,mm\n1,4\n2,0\n",
	})
}

// push is the instructor's.
func (p *pullDemo) push(message string, files map[string]string) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.desk, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "--message", message}, {"push", "--quiet", "origin", "HEAD:main"}} {
		if err := p.quiet(p.desk, args...); err != nil {
			return err
		}
	}
	return nil
}

// quiet runs git as the instructor, and shows nothing.
func (p *pullDemo) quiet(dir string, args ...string) error {
	cmd := exec.Command(p.git, append([]string{"-c", "user.name=Course Instructor", "-c", "user.email=instructor@example.org", "-c", "init.defaultBranch=main"}, args...)...)
	cmd.Dir, cmd.Env = dir, p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// A demoCell is a code cell of a notebook, with what it gave.
type demoCell struct{ id, source, result string }

// demoNotebook is a notebook as Jupyter writes it.
func demoNotebook(introduction string, cells ...demoCell) string {
	list := []map[string]any{{"cell_type": "markdown", "id": "intro", "metadata": map[string]any{}, "source": []string{introduction}}}
	for _, c := range cells {
		cell := map[string]any{"cell_type": "code", "id": c.id, "metadata": map[string]any{}, "source": strings.SplitAfter(c.source, "\n"), "outputs": []any{}, "execution_count": nil}
		if c.result != "" {
			cell["execution_count"] = 1
			cell["outputs"] = []any{map[string]any{"output_type": "execute_result", "execution_count": 1, "metadata": map[string]any{}, "data": map[string]any{"text/plain": []string{c.result}}}}
		}
		list = append(list, cell)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(map[string]any{"cells": list, "metadata": map[string]any{}, "nbformat": 4, "nbformat_minor": 5}); err != nil {
		return err.Error() // maps and texts always encode
	}
	return out.String()
}
