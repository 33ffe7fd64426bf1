package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

const invitation = "https://classroom.github.com/a/AbC-1_x"

// TestAccept: who has no copy of a template is told the invitation that its maker gave,
// and nobody else is; it is for templates alone, and goes to no other link by itself.
func TestAccept(t *testing.T) {
	s := newSourceRig(t)
	tea, stu := s.teacher(), s.student()
	copies := func(of string) daypass.Source {
		return daypass.Source{Kind: "git", Host: host, ID: "uni-course/" + of + "-{github}"}
	}
	made, err := s.MakeLink(t.Context(), browser(tea), broker.LinkAsk{Name: "lab1-own", Source: ptr(copies("lab1")), Audience: ptr("ph142"), Accept: ptr(invitation)})
	if err != nil || made.Accept != invitation {
		t.Fatalf("%+v, %v", made, err)
	}
	s.connect(stu, fake.CampusUser)
	told := func(name, want string) {
		t.Helper()
		_, err := s.open(stu, name)
		if s.want("none of theirs", err, "DP-738"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("told %v, want %q", err, want)
		}
	}
	told("lab1-own", "Open "+invitation+" and accept the assignment")
	if v, err := s.LinkFor(t.Context(), browser(stu), "lab1-own", ""); err != nil || v.Accept != "" {
		t.Errorf("before they have tried: %q, %v", v.Accept, err)
	}
	if v, err := s.LinkFor(t.Context(), browser(tea), "lab1-own", ""); err != nil || v.Accept != invitation {
		t.Errorf("its maker: %q, %v", v.Accept, err)
	}
	if _, err := s.open(s.user("elsewhere", "bio101"), "lab1-own"); code(err) != "DP-723" || strings.Contains(err.Error(), "classroom") {
		t.Errorf("who is not meant: %v", err)
	}
	events := s.found(store.EventFilter{Kind: store.Linked})
	if len(events) != 1 || !strings.Contains(events[0].Why, invitation) {
		t.Errorf("the activity: %+v", events)
	}
	// Copies, and another source.
	for name, c := range map[string]struct {
		ask  broker.LinkAsk
		want string
	}{
		"lab1-copied": {broker.LinkAsk{}, ""}, "lab1-anew": {broker.LinkAsk{Accept: ptr("https://classroom.github.com/a/fall")}, "https://classroom.github.com/a/fall"},
	} {
		c.ask.Name = name
		if v, err := s.CopyLink(t.Context(), browser(tea), "lab1-own", c.ask); err != nil || v.Accept != c.want {
			t.Errorf("%s: %q, %v", name, v.Accept, err)
		}
	}
	told("lab1-copied", "Accept the assignment, or the invitation, at "+host)
	if list, err := s.CopyLinks(t.Context(), browser(tea), []broker.LinkCopy{{Like: "lab1-own", Name: "lab1-course"}}, broker.LinkAsk{Audience: ptr("ph142-fall")}); err != nil || len(list) != 1 || list[0].Accept != "" {
		t.Errorf("a course: %+v, %v", list, err)
	}
	edit := func(ask broker.LinkAsk) (string, error) {
		v, err := s.EditLink(t.Context(), browser(tea), "lab1-own", ask)
		return v.Accept, err
	}
	for i, c := range []struct {
		ask  broker.LinkAsk
		want string
	}{
		{broker.LinkAsk{Title: ptr("Lab 1")}, invitation}, {broker.LinkAsk{Source: ptr(copies("lab1"))}, invitation}, {broker.LinkAsk{Source: ptr(copies("lab2"))}, ""},
		{broker.LinkAsk{Accept: ptr(invitation)}, invitation}, {broker.LinkAsk{Source: ptr(copies("lab3")), Accept: ptr(invitation + "3")}, invitation + "3"}, {broker.LinkAsk{Accept: ptr("")}, ""},
		{broker.LinkAsk{Accept: ptr(invitation)}, invitation}, {broker.LinkAsk{Source: ptr(drive("ph142Lab1"))}, ""},
	} {
		if got, err := edit(c.ask); err != nil || got != c.want {
			t.Errorf("change %d: %q, %v", i, got, err)
		}
	}
}

// TestAcceptRefused: an invitation of another link than a template's, or that could
// mislead who reads it, is refused before anybody is asked anything.
func TestAcceptRefused(t *testing.T) {
	s := newSourceRig(t)
	tea := s.teacher()
	s.link(tea, "lab1", drive("ph142Lab1"), "ph142")
	template := daypass.Source{Kind: "git", Host: host, ID: "{github}/notes"}
	s.link(tea, "lab1-own", template, "ph142")
	s.quietly("what is refused", func() {
		make1 := func(source daypass.Source, accept string) error {
			return second(s.MakeLink(t.Context(), browser(tea), broker.LinkAsk{Name: "other", Source: &source, Audience: ptr("ph142"), Accept: &accept}))
		}
		edit := func(name string, ask broker.LinkAsk) error {
			return second(s.EditLink(t.Context(), browser(tea), name, ask))
		}
		for what, err := range map[string]error{
			"of Drive": make1(drive("ph142Lab1"), invitation), "of one repository": make1(gitSource(notes), invitation), "given to one of Drive": edit("lab1", broker.LinkAsk{Accept: ptr(invitation)}),
			"with what is no template": edit("lab1-own", broker.LinkAsk{Source: ptr(drive("ph142Lab1")), Accept: ptr(invitation)}),
			"copied":                   second(s.CopyLink(t.Context(), browser(tea), "lab1", broker.LinkAsk{Name: "lab1-copy", Accept: ptr(invitation)})),
		} {
			if s.want(what, err, "DP-739"); err == nil || !strings.Contains(err.Error(), "each student's own copy") {
				t.Errorf("%s: %v", what, err)
			}
		}
		for _, bad := range []string{
			"http://classroom.github.com/a/x", "javascript:alert(1)", "https://classroom.github.com@evil.example/", "https://u:p@classroom.github.com/", "https://classroom.github.com/a\nx", "https://classroom.github.com\\@evil.example/",
			"https://localhost/x", "https://classroom.github.com/" + strings.Repeat("a", 500), "classroom.github.com/a/x", "//classroom.github.com/a", " https://classroom.github.com/a/x",
		} {
			if err := make1(template, bad); code(err) != "DP-739" || strings.Contains(err.Error(), "evil") {
				t.Errorf("%.60q: %v", bad, err)
			}
			s.want("changed to it", edit("lab1-own", broker.LinkAsk{Accept: &bad}), "DP-739")
		}
	})
}

// TestTitles: a title that nobody wrote is the source's, and goes with it; one that
// somebody wrote stays, whatever the link reads.
func TestTitles(t *testing.T) {
	s := newSourceRig(t)
	tea := s.teacher()
	s.link(tea, "lab1", drive("ph142Lab1"), "ph142")
	if got := s.stored("lab1"); got.Title != "Title of ph142Lab1" || !got.SourceTitle {
		t.Fatalf("made without one: %+v", got)
	}
	template := daypass.Source{Kind: "git", Host: host, ID: "{github}/notes"}
	for i, c := range []struct {
		ask  broker.LinkAsk
		want string
		own  bool // the source's
	}{
		{broker.LinkAsk{Open: ptr("a.ipynb")}, "Title of ph142Lab1", true},
		{broker.LinkAsk{Source: ptr(drive("ph142Lab2"))}, "Title of ph142Lab2", true},
		{broker.LinkAsk{Source: &template}, "", false}, // nobody knows what it is called
		{broker.LinkAsk{Source: ptr(drive("ph142Lab1"))}, "Title of ph142Lab1", true},
		{broker.LinkAsk{Title: ptr("Title of ph142Lab1")}, "Title of ph142Lab1", false},
		{broker.LinkAsk{Source: ptr(drive("ph142Lab2"))}, "Title of ph142Lab1", false},
		{broker.LinkAsk{Source: ptr(drive("ph142Lab1")), Title: ptr("Tides")}, "Tides", false},
		{broker.LinkAsk{Source: ptr(drive("ph142Lab2"))}, "Tides", false},
		{broker.LinkAsk{Title: ptr("")}, "", false},
		{broker.LinkAsk{Source: ptr(drive("ph142Lab1"))}, "Title of ph142Lab1", true},
	} {
		v, err := s.EditLink(t.Context(), browser(tea), "lab1", c.ask)
		if err != nil || v.Title != c.want || v.SourceTitle != c.own {
			t.Errorf("change %d: %q, %v, %v", i, v.Title, v.SourceTitle, err)
		}
	}
	for name, c := range map[string]struct {
		ask  broker.LinkAsk
		want string
	}{
		"lab1-fall": {broker.LinkAsk{Source: ptr(drive("ph142Lab2"))}, "Title of ph142Lab2"}, "lab1-same": {broker.LinkAsk{}, "Title of ph142Lab1"}, "lab1-own": {broker.LinkAsk{Title: ptr("Tides")}, "Tides"},
	} {
		c.ask.Name = name
		if v, err := s.CopyLink(t.Context(), browser(tea), "lab1", c.ask); err != nil || v.Title != c.want {
			t.Errorf("%s: %q, %v", name, v.Title, err)
		}
	}
}

// TestCounts: each time that a link is opened it arrived or failed, and a pull that
// failed at its reader's own server is not one that arrived. Nobody can take away what
// was given to others.
func TestCounts(t *testing.T) {
	s := newSourceRig(t)
	s.link(s.teacher(), "ph142-lab1", drive("ph142Lab1"), "ph142")
	stu, other := s.student(), s.user("stu2", "ph142")
	pulls := func(c daypass.Caller) {
		t.Helper()
		r := s.mustOpen(c, "ph142-lab1")
		if err := s.Saw(t.Context(), r, s.now(), nil); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(c daypass.Caller) {
		t.Helper()
		if err := s.PullFailed(t.Context(), c, "ph142-lab1", "DP-331", ""); err != nil {
			t.Fatal(err)
		}
	}
	counted := func(what string, arrived, failed int64) {
		t.Helper()
		if got := s.stored("ph142-lab1"); got.Pulls != arrived || got.Failures != failed {
			t.Errorf("%s: %d arrived and %d failed, want %d and %d", what, got.Pulls, got.Failures, arrived, failed)
		}
	}
	fails(stu)
	counted("who was given nothing", 0, 0)
	pulls(stu)
	pulls(other)
	counted("two", 2, 0)
	for range 5 {
		fails(stu)
	}
	counted("one that failed, told five times", 1, 1)
	pulls(stu)
	counted("once more", 2, 1)
	s.later(25 * time.Hour)
	fails(other)
	counted("told a day later", 2, 1)
	s.want("a code of another's", s.PullFailed(t.Context(), stu, "ph142-lab1", "DP-727", ""), "DP-739")
	counted("a code of another's", 2, 1)
}
