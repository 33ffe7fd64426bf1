package main

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/daypass-dev/daypass/internal/browsertest"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/jupytertest"
)

// slowLab is one that takes some seconds to come.
func slowLab(t *testing.T) *lab {
	l := newLab(t)
	l.repo.Course("main", 150)
	l.host.Fault(gittest.Fault{Match: "git-upload-pack", Method: "POST", Rate: 100_000})
	return l
}

// tab opens another tab of the same browser.
func (s *student) tab() *student {
	s.t.Helper()
	ctx, cancel := chromedp.NewContext(s.ctx)
	s.t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		s.t.Fatal(err)
	}
	return &student{t: s.t, server: s.server, ctx: ctx}
}

// TestTabs: a pull lands though its tab was closed; two tabs see one pull; framed
// by a course's page there is only a way out; the keyboard alone is enough.
func TestTabs(t *testing.T) {
	s := newStudent(t, jupytertest.Config{Base: "/user/ann/"})
	for name, test := range map[string]func(*student, *testing.T){
		"closed": (*student).closed, "two": (*student).two, "framed": (*student).framed, "keyboard": (*student).keyboard,
	} {
		t.Run(name, func(t *testing.T) { test(&student{t: t, server: s.server, ctx: s.ctx}, t) })
	}
}

func (s *student) closed(t *testing.T) {
	l := slowLab(t)
	link := l.link("targetpath", "closed", "urlpath", "tree/closed")
	s.follow(link)
	s.press("Continue")
	s.do("the progress shows", chromedp.WaitVisible(chromedp.CSS("#bar")))
	s.wait("bytes come", func() bool { return l.asked() })
	s.do("close the tab", chromedp.Navigate("about:blank"))
	if _, err := os.Stat(s.path("closed")); err == nil {
		t.Fatal("it was there before the tab was closed")
	}
	s.wait("the files are there all the same", func() bool {
		_, err := os.Stat(s.path("closed/lab.ipynb"))
		return err == nil
	})
}

// asked reports whether somebody fetches.
func (l *lab) asked() bool {
	for _, r := range l.host.Requests() {
		if r.Method == http.MethodPost {
			return true
		}
	}
	return false
}

func (s *student) two(t *testing.T) {
	l := slowLab(t)
	link := l.link("targetpath", "two", "urlpath", "tree/two")
	other := s.tab()
	s.follow(link)
	s.press("Continue")
	s.wait("bytes come", func() bool { return l.asked() })
	other.follow(link) // no question: the pull runs, somebody said yes
	s.lands("/user/ann/tree/two")
	other.lands("/user/ann/tree/two")
	fetches := 0
	for _, r := range l.host.Requests() {
		if r.Method == http.MethodPost && strings.Contains(r.Path, "git-upload-pack") {
			fetches++
		}
	}
	if fetches > 3 { // a listing of refs, and a fetch
		t.Errorf("two tabs made %d requests of the host", fetches)
	}
}

func (s *student) framed(t *testing.T) {
	l := newLab(t)
	link := s.server.Link(l.link("targetpath", "framed"))
	course := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>LMS</title><iframe id="f" width="800" height="400" src="%s"></iframe>`, html.EscapeString(link))
	}))
	defer course.Close()
	s.do("open the course's page", chromedp.Navigate(course.URL))
	text := ""
	s.wait("the frame shows the way out", func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, 2*time.Second)
		defer cancel()
		frames, err := chromedp.Run(ctx, chromedp.Nodes(chromedp.CSS("iframe")))
		if err != nil || len(frames) != 1 {
			return false
		}
		text, err = chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main"), chromedp.FromNode(frames[0])))
		return err == nil && strings.Contains(text, "Open in a new tab")
	})
	if strings.Contains(text, "Continue") {
		t.Errorf("a framed page asks: %s", text)
	}
	if _, err := os.Stat(s.path("framed")); err == nil {
		t.Error("a framed page pulled")
	}
}

func (s *student) keyboard(t *testing.T) {
	l := newLab(t)
	s.follow(l.link("targetpath", "keys", "urlpath", "tree/keys"))
	s.sees("Continue?")
	for range 20 {
		s.do("Tab", chromedp.KeyEvent(kb.Tab))
		if script[string](s, `document.activeElement.id`) == "yes" {
			break
		}
	}
	if script[string](s, `document.activeElement.id`) != "yes" {
		t.Fatal("the keyboard does not reach the button")
	}
	s.do("Enter", chromedp.KeyEvent(kb.Enter))
	s.lands("/user/ann/tree/keys")
}

// TestScreens: axe finds nothing on the pages as they stand in Jupyter, nothing is
// wider than the window, in light and dark, wide and phone. With DAYPASS_SCREENS it
// writes pictures.
func TestScreens(t *testing.T) {
	s := newStudent(t, jupytertest.Config{})
	axe := browsertest.Axe(t)
	l := newLab(t)
	l.shots(s, axe, "pull-question", l.link("urlpath", "lab/tree/"+l.name+"/lab.ipynb"), "Continue?")
	s.follow(l.link("urlpath", "tree/"+l.name))
	s.press("Continue")
	s.lands("/tree/" + l.name)
	l.works(s)
	l.weekLater(t)
	s.follow(l.link("urlpath", "shiny/"+l.name+"/")) // asks before it opens
	s.sees("runs what was just brought")
	l.shots(s, axe, "pull-opens", "", "runs what was just brought")
	l.shots(s, axe, "pull-report", "git-pull/report?folder="+l.name, "We kept your answers")
	s.press("see both versions")
	s.sees("both versions")
	l.shots(s, axe, "pull-sides", "", "both versions")
	l.host.Fault(gittest.Fault{Status: 503})
	s.follow(l.link("urlpath", "tree/"+l.name))
	s.sees("That did not work")
	l.shots(s, axe, "pull-failed", "", "That did not work")
	l.shots(s, axe, "pull-link", "git-pull?repo=https://h.example/o/..%252fr", "That did not work")
}

// shots looks at one page in all ways; "" is the page that is open.
func (l *lab) shots(s *student, axe, name, path, want string) {
	s.t.Helper()
	if path != "" {
		s.follow(path)
	}
	s.sees(want)
	for _, dark := range []bool{false, true} {
		for _, width := range []int64{1280, 360} {
			shot := fmt.Sprintf("%s-%s-%s", name, map[bool]string{false: "light", true: "dark"}[dark], map[int64]string{1280: "wide", 360: "phone"}[width])
			s.do("look", browsertest.Look(width, dark))
			if script[bool](s, `document.documentElement.scrollWidth > window.innerWidth`) {
				s.t.Errorf("%s is wider than the window", shot)
			}
			if dir := os.Getenv("DAYPASS_SCREENS"); dir != "" {
				browsertest.Picture(s.ctx, s.t, filepath.Join(dir, shot+".png"))
			}
			browsertest.Judge(s.ctx, s.t, shot, axe)
		}
	}
	s.do("look as before", browsertest.Look(1280, false))
}
