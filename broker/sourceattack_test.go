package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

var unseen = &daypass.Problem{Code: "DP-410", What: "gone", Kind: daypass.ErrRefused, Err: daypass.ErrNoSource}

// TestCutOffEndsLinks: each link that ends with its maker has an event of its own, and
// stays ended when they are let in again.
func TestCutOffEndsLinks(t *testing.T) {
	s := newSourceRig(t)
	tea := s.teacher()
	s.link(tea, "ph142-lab1", drive("ph142Lab1"), "ph142")
	s.link(tea, "ph142-lab2", drive("ph142Lab2"), "ph142")
	if err := s.EndLink(t.Context(), browser(tea), "ph142-lab2", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeUser(t.Context(), "tea", "root"); err != nil {
		t.Fatal(err)
	}
	list := s.found(store.EventFilter{Kind: store.LinkEnded})
	n := 0
	for _, e := range list {
		if e.Why == "link ph142-lab1: its maker was cut off" && e.User == "tea" && e.Repo == "ph142Lab1" {
			n++
		}
	}
	if len(list) != 2 || n != 1 {
		t.Errorf("%+v", list)
	}
	if _, err := s.AllowUser(t.Context(), "tea", "root"); err != nil {
		t.Fatal(err)
	}
	s.want("let in again", second(s.open(s.student(), "ph142-lab1")), "DP-724")
}

// TestProofIsNotProlonged: that a reader gave something, from what it knew, is no look.
func TestProofIsNotProlonged(t *testing.T) {
	s := newSourceRig(t)
	s.link(s.teacher(), "ph142-lab1", drive("ph142Lab1"), "ph142")
	r := s.mustOpen(s.student(), "ph142-lab1")
	s.share("ph142Lab1", "")
	s.later(4 * time.Minute)
	s.Saw(t.Context(), r, s.now(), nil)
	s.later(time.Minute + time.Second)
	s.want("unshared five minutes ago", second(s.open(s.student(), "ph142-lab1")), "DP-727")
}

// TestFileOfACourse: whoever left a course knows the names of what they had pulled, and
// is given no file by them.
func TestFileOfACourse(t *testing.T) {
	s := newSourceRig(t)
	tea, stu := s.teacher(), s.student()
	s.connectCanvas(tea)
	s.connectCanvas(stu)
	s.link(tea, "ph142-canvas", course("7"), "ph142")
	r := s.mustOpen(stu, "ph142-canvas")
	s.Saw(t.Context(), r, s.now(), nil)
	file := func() error {
		return second(s.ReadSource(t.Context(), stu, broker.SourceAsk{Link: "ph142-canvas", Pack: "v1"}))
	}
	s.quietly("just after the look", func() { s.want("its file", file(), "no error") })
	s.fail(unseen)
	s.later(5*time.Minute + time.Second)
	s.want("left the course", file(), "DP-723")
	s.want("left the course, by the source", second(s.ReadSource(t.Context(), stu, broker.SourceAsk{Source: course("7"), Pack: "v1"})), "DP-723")
	s.fail(nil)
	s.later(time.Minute)
	s.want("in it again", file(), "no error")
	s.Saw(t.Context(), r, time.Time{}, unseen)
	s.want("a reader was refused just now", file(), "DP-723")
}

// TestTemplateOfTheRenamed: a login that somebody gave up may be another's by now.
func TestTemplateOfTheRenamed(t *testing.T) {
	s := newSourceRig(t)
	stu := s.student()
	s.link(s.teacher(), "lab1-own", daypass.Source{Kind: "git", Host: host, ID: "{github}/notes"}, "ph142")
	s.connect(stu, fake.CampusUser)
	if r := s.mustOpen(stu, "lab1-own"); r.Source != gitSource(notes) {
		t.Fatalf("%+v", r)
	}
	wire := http.RoundTripper(roundTrip(func(req *http.Request) (*http.Response, error) {
		res, err := fake.Transport(s.gh).RoundTrip(req)
		if err != nil || req.URL.Path != "/user" {
			return res, err
		}
		body, err := io.ReadAll(res.Body)
		body = bytes.ReplaceAll(body, []byte(`"`+fake.CampusUser+`"`), []byte(`"octo-renamed"`))
		res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		res.Header.Del("Content-Length")
		return res, err
	}))
	s.wire.Store(&wire)
	s.later(5*time.Minute + time.Second)
	r, err := s.open(stu, "lab1-own")
	if s.want("what bears the old name", err, "DP-738"); err == nil || !strings.Contains(err.Error(), "octo-renamed/notes") {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestTemplateByPass: what a pass is not for asks nobody.
func TestTemplateByPass(t *testing.T) {
	s := newSourceRig(t, longRules)
	stu := s.student()
	s.link(s.teacher(), "lab1-own", daypass.Source{Kind: "git", Host: host, ID: "{github}/notes"}, "ph142")
	s.connect(stu, fake.CampusUser)
	for what, l := range map[string]pass.Limits{
		"a folder": {Sources: []string{drive("ph142Lab1").String()}}, "another repository": {Repos: []string{data.String()}}, "another host": {Hosts: []string{canvasHost}},
	} {
		m := s.mint(stu, l)
		c, err := s.PassCaller(t.Context(), m.Text, home)
		if err != nil {
			t.Fatal(err)
		}
		s.later(time.Hour) // nothing is known of before
		s.quietly(what, func() {
			s.want("a pass for "+what, second(s.ReadSource(t.Context(), c, broker.SourceAsk{Link: "lab1-own"})), "DP-723")
		})
	}
	m := s.mint(stu, pass.Limits{Sources: []string{gitSource(notes).String()}})
	c, err := s.PassCaller(t.Context(), m.Text, home)
	if err != nil {
		t.Fatal(err)
	}
	s.want("a pass for it", second(s.ReadSource(t.Context(), c, broker.SourceAsk{Link: "lab1-own"})), "no error")
}

// TestTestIsRecorded: whoever makes links is told nothing of a source without an event.
func TestTestIsRecorded(t *testing.T) {
	s := newSourceRig(t)
	tested, err := s.TestSource(t.Context(), browser(s.teacher()), drive("ph142Lab1"), "req-1")
	if err != nil || tested.Seen.Title == "" || tested.Reading.Event == "" {
		t.Fatalf("%+v, %v", tested, err)
	}
	e, ok, err := s.db.Event(t.Context(), tested.Reading.Event)
	if err != nil || !ok || e.Kind != store.ReadContent || e.Rule != "test" || e.User != "tea" || e.Repo != "ph142Lab1" || e.Request != "req-1" {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestNamesHaveANumber: who makes links and ends them again does not fill the list that
// all others' are read from.
func TestNamesHaveANumber(t *testing.T) {
	s := newSourceRig(t)
	tea := s.teacher()
	v := s.link(tea, "ph142-lab1", drive("ph142Lab1"), "ph142")
	if err := s.db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 4999 {
			l := v.Link
			l.Name = fmt.Sprint("over-", i)
			l, err := tx.PutLink(l)
			if err != nil {
				return err
			}
			if _, err := tx.EndSourceLink(l.ID, s.now(), "over"); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err := s.MakeLink(t.Context(), browser(tea), broker.LinkAsk{Name: "one-more", Source: &v.Source, Audience: ptr("ph142")})
	s.want("one more name", err, "DP-749")
	_, err = s.MakeLink(t.Context(), browser(tea), broker.LinkAsk{Name: "over-7", Source: &v.Source, Audience: ptr("ph142")})
	s.want("a name that ended", err, "DP-749")
}

// TestReadersEnd: what this process read with does not outlive it.
func TestReadersEnd(t *testing.T) {
	s := newSourceRig(t)
	tea := s.teacher()
	s.connect(tea, fake.CampusInstructor)
	s.link(tea, "ph142-git", gitSource(homework), "ph142")
	other := s.another("two")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- other.Run(ctx) }()
	r, err := other.ReadSource(t.Context(), s.student(), broker.SourceAsk{Link: "ph142-git"})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := other.ContentToken(t.Context(), r)
	if _, live := s.gh.Token(token.Reveal()); err != nil || !live {
		t.Fatalf("%v, %v", live, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, live := s.gh.Token(token.Reveal()); live {
		t.Error("the reader's token lives on")
	}
}

// TestLinksFromSharedServer: who enters another's server is not shown what the other
// makes links to, nor how they do.
func TestLinksFromSharedServer(t *testing.T) {
	s := newSourceRig(t, sharedServers("lab"))
	tea := s.teacher()
	s.link(tea, "ph142-lab1", drive("ph142Lab1"), "ph142")
	_ = second(s.open(s.student(), "ph142-lab1"))
	shared := tea
	shared.Server.Name = "lab"
	list, err := s.LinksOf(t.Context(), shared)
	if s.want("their list", err, "DP-744"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if list, err := s.LinksOf(t.Context(), tea); err != nil || len(list) != 1 {
		t.Errorf("in a server of their own: %+v, %v", list, err)
	}
	v, err := s.LinkFor(t.Context(), shared, "ph142-lab1", "")
	if err != nil || v.Mine || v.Pulls != 0 || v.Failures != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := s.EditLink(t.Context(), browser(tea), "ph142-lab1", broker.LinkAsk{Paused: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	s.want("paused", second(s.LinkFor(t.Context(), shared, "ph142-lab1", "")), "DP-725")
	if v, err := s.LinkFor(t.Context(), tea, "ph142-lab1", ""); err != nil || !v.Mine {
		t.Errorf("%+v, %v", v, err)
	}
}
