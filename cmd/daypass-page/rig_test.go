package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/daypass-dev/daypass/internal/browsertest"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/jupytertest"
	"github.com/daypass-dev/daypass/internal/shipping"
)

// shipment is built once for all tests of a run.
var shipment = shipping.New("daypass", "daypass-page", "git-credential-daypass")

func TestMain(m *testing.M) { os.Exit(shipment.Run(m)) }

// programs returns the folder of the programs.
func programs(t *testing.T) string { return shipment.Folder(t) }

// A student has a Jupyter Server of their own, and sits at a browser.
type student struct {
	t      *testing.T
	server *jupytertest.Server
	ctx    context.Context
}

func newStudent(t *testing.T, c jupytertest.Config) *student {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Jupyter Server and a browser")
	}
	c.Programs = programs(t)
	c.Python = append(c.Python, jupytertest.Install(t, c.Prefix))
	return &student{t: t, server: jupytertest.Start(t, c), ctx: chromium(t)}
}

// chromium opens a browser.
func chromium(t *testing.T) context.Context {
	t.Helper()
	return browsertest.Open(t, chromedp.Flag("disable-background-networking", true), chromedp.WindowSize(1280, 900), chromedp.UserDataDir(gittest.TempDir(t)))
}

// patience is for what takes a server's start and a front end's.
const patience = 60 * time.Second

func (s *student) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		s.t.Fatalf("%s: %v\n%s", what, err, s.screen())
	}
}

func script[T any](s *student, text string) T {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](text, chromedp.EvalAwaitPromise, func(p *runtime.EvaluateParams) {
		yes := true
		p.UserGesture = &yes
	}))
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", text, err, s.screen())
	}
	return v
}

// screen is where the browser is, and what it shows.
func (s *student) screen() string {
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body ? document.body.innerText : "")`))
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(text, s.server.Token, "TOKEN")
}

// at is the path and query where the browser is, without the token.
func (s *student) at() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.pathname + location.search`))
	if err != nil {
		return err.Error() // between two pages there is none
	}
	return text
}

func (s *student) wait(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited too long until %s; the browser shows\n%s", what, s.screen())
		}
	}
}

// sees waits until the page shows a text.
func (s *student) sees(text string) {
	s.t.Helper()
	s.wait("the page shows "+text, func() bool { return strings.Contains(s.screen(), text) })
}

// unsettled is a button that takes no click yet, since its page came a moment ago.
const unsettled = "[data-answer]:not([data-ready])"

// press presses the button or follows the link with that text.
func (s *student) press(text string) {
	s.t.Helper()
	q := fmt.Sprintf(`//button[contains(normalize-space(.), %q)] | //a[contains(normalize-space(.), %q)] | //summary[contains(normalize-space(.), %q)]`, text, text, text)
	s.do("press "+text, chromedp.WaitVisible(chromedp.Search(q)), chromedp.WaitNotPresent(chromedp.CSS(unsettled)), chromedp.Click(chromedp.Search(q)))
}

// follow opens a link, as from a course's page.
func (s *student) follow(link string) {
	s.t.Helper()
	s.do("open "+link, browsertest.Follow(s.server.Link(link)))
}

// lands waits until the browser is at a path of the server, whatever was on the way.
func (s *student) lands(path string) {
	s.t.Helper()
	s.wait("the browser is at "+path, func() bool { return strings.HasPrefix(s.at(), path) })
}

// opened waits until a notebook's front end shows a text of a cell.
func (s *student) opened(text string) {
	s.t.Helper()
	s.do("the notebook opens", chromedp.WaitVisible(chromedp.CSS(".jp-Notebook")))
	s.wait("the notebook shows "+text, func() bool { return strings.Contains(s.screen(), text) })
}

// path is a file below the root that Jupyter shows.
func (s *student) path(name string) string {
	return filepath.Join(s.server.Root, filepath.FromSlash(name))
}

func (s *student) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *student) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// A cell of a notebook.
type cell struct {
	id, kind, source string
	outputs          string // JSON
}

// notebook writes one as Jupyter does, with one space for each level.
func notebook(t *testing.T, cells ...cell) string {
	t.Helper()
	var list []map[string]any
	for _, c := range cells {
		m := map[string]any{"id": c.id, "cell_type": c.kind, "metadata": map[string]any{}, "source": strings.SplitAfter(c.source, "\n")}
		if c.kind == "code" {
			m["execution_count"], m["outputs"] = nil, []any{}
			if c.outputs != "" {
				m["execution_count"], m["outputs"] = 1, json.RawMessage(c.outputs)
			}
		}
		list = append(list, m)
	}
	text, err := json.MarshalIndent(map[string]any{
		"cells": list, "nbformat": 4, "nbformat_minor": 5,
		"metadata": map[string]any{"kernelspec": map[string]any{"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": map[string]any{"name": "python"}},
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}
