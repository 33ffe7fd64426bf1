package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// TestForeignFolder: another course's folder, pasted everywhere it can be pasted, by
// an instructor of another course and by students. No upstream hears of it.
func TestForeignFolder(t *testing.T) {
	s := newSourceRig(t)
	tea, oth, stu := s.teacher(), s.other(), s.user("bob", "bio101")
	s.link(tea, "ph142-lab1", drive("ph142Lab1"), "ph142")
	s.link(oth, "bio-lab", drive("bio101Lab"), "bio101")
	s.enrol(drive("ph142Lab2"), "ph142")
	ctx := t.Context()
	for _, id := range []string{"ph142Lab1", "ph142Lab2", "ph142Listed", "statsListed"} { // by a link, by an admin's word, by the configuration, of a third
		foreign := drive(id)
		inside := foreign
		inside.Path = "week 1"
		for _, src := range []daypass.Source{foreign, inside} {
			s.later(time.Minute) // not so fast that it is for that alone
			for what, f := range map[string]func() error{
				"read":   func() error { _, err := s.read(oth, src); return err },
				"pupil":  func() error { _, err := s.read(stu, src); return err },
				"guest":  func() error { _, err := s.read(s.user("nobody"), src); return err },
				"test":   func() error { _, err := s.TestSource(ctx, browser(oth), src, ""); return err },
				"browse": func() error { _, err := s.BrowseSource(ctx, browser(oth), src, ""); return err },
				"make": func() error {
					_, err := s.MakeLink(ctx, browser(oth), broker.LinkAsk{Name: "thief-1", Source: &src, Audience: ptr("bio101")})
					return err
				},
				"edit": func() error {
					_, err := s.EditLink(ctx, browser(oth), "bio-lab", broker.LinkAsk{Source: &src})
					return err
				},
				"copy": func() error {
					_, err := s.CopyLink(ctx, browser(oth), "bio-lab", broker.LinkAsk{Name: "thief-2", Source: &src})
					return err
				},
				"copy theirs": func() error {
					_, err := s.CopyLink(ctx, browser(oth), "ph142-lab1", broker.LinkAsk{Name: "thief-3"})
					return err
				},
				"edit theirs": func() error {
					_, err := s.EditLink(ctx, browser(oth), "ph142-lab1", broker.LinkAsk{Audience: ptr("bio101")})
					return err
				},
				"open": func() error { _, err := s.open(oth, "ph142-lab1"); return err },
				"look": func() error { _, err := s.LinkFor(ctx, browser(oth), "ph142-lab1", ""); return err },
				"student makes": func() error {
					_, err := s.MakeLink(ctx, browser(stu), broker.LinkAsk{Name: "thief-4", Source: &src, Audience: ptr("bio101")})
					return err
				},
				"student tests": func() error { _, err := s.TestSource(ctx, browser(stu), src, ""); return err },
			} {
				s.quietly(id+" "+what, func() {
					if err := f(); !errors.Is(err, daypass.ErrRefused) || strings.Contains(err.Error(), "Title of") {
						t.Errorf("%s, %s: %v", src, what, err)
					}
				})
			}
		}
	}
	for _, l := range []string{"thief-1", "thief-2", "thief-3", "thief-4"} {
		if got, _ := s.db.Links(ctx, store.LinkFilter{Name: l}); len(got) != 0 {
			t.Errorf("%s was made: %+v", l, got)
		}
	}
	if got := s.stored("bio-lab"); got.Source != drive("bio101Lab") {
		t.Errorf("their own link reads %v", got.Source)
	}
}

// TestAlike: what there is none of, what is not enrolled, and what is for others are
// answered in the very same words, and cost no upstream a request.
func TestAlike(t *testing.T) {
	s := newSourceRig(t)
	tea, stu := s.teacher(), s.user("eve", "bio101")
	s.link(tea, "ph142-lab1", drive("ph142Lab1"), "ph142")
	s.link(tea, "ph142-over", drive("ph142Lab1"), "ph142")
	s.link(tea, "ph142-rest", drive("ph142Lab1"), "ph142")
	if err := s.EndLink(t.Context(), browser(tea), "ph142-over", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.EditLink(t.Context(), browser(tea), "ph142-rest", broker.LinkAsk{Paused: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	asks := map[string]broker.SourceAsk{
		"a link for others": {Link: "ph142-lab1"}, "no link": {Link: "ph142-lab9"}, "one that ended": {Link: "ph142-over"}, "a paused one": {Link: "ph142-rest"},
		"hostile": {Link: "../../x\x00'; DROP TABLE"}, "long": {Link: strings.Repeat("a", 5000)}, "both": {Link: "ph142-lab1", Source: drive("ph142Lab1")},
		"enrolled": {Source: drive("ph142Listed")}, "unknown folder": {Source: drive("nobodyKnows")}, "linked folder": {Source: drive("ph142Lab1")},
		"enrolled repository": {Source: gitSource(homework)}, "no repository": {Source: gitSource(daypass.Repo{Owner: "uni-course", Name: "nothing"})},
		"nothing": {}, "no kind": {Source: daypass.Source{Kind: "file", Host: "localhost", ID: "etc/passwd"}}, "ext": {Source: daypass.Source{Kind: "git", Host: "github.com", ID: "ext::sh"}},
		"unlisted archive": {Source: record("10.0.0.1", "7")}, "steps": {Source: daypass.Source{Kind: "invenio", Host: "zenodo.org", ID: "../../api"}},
		"up": {Source: daypass.Source{Kind: "drive", Host: "drive.google.com", ID: "ph142Listed", Path: "../x"}}, "another host": {Source: daypass.Source{Kind: "drive", Host: "evil.example", ID: "ph142Listed"}},
	}
	first := ""
	for what, ask := range asks {
		var err error
		s.quietly(what, func() { _, err = s.ReadSource(t.Context(), stu, ask) })
		var r *broker.Refusal
		if !errors.As(err, &r) || r.Problem.Code != "DP-723" || r.Event == "" || r.Rule != "built-in:sources" {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if first == "" {
			first = r.Error()
		}
		if r.Error() != first {
			t.Errorf("%s: told apart by its words:\n%s\n%s", what, r, first)
		}
		if ask.Link == "" {
			continue
		}
		if _, err := s.LinkFor(t.Context(), browser(stu), ask.Link, ""); err == nil || err.Error() != first {
			t.Errorf("%s, on a page: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"to whom they are for, ended": second(s.open(s.student(), "ph142-over")), "paused": second(s.open(s.student(), "ph142-rest")),
	} {
		if code(err) == "DP-723" || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestLinkReads: a link in its audience reads, and records it before anything is given.
func TestLinkReads(t *testing.T) {
	s := newSourceRig(t)
	tea, stu := s.teacher(), s.student()
	s.connect(tea, fake.CampusInstructor)
	s.link(tea, "ph142-lab1", drive("ph142Lab1"), "ph142")
	s.link(tea, "ph142-git", gitSource(homework), "ph142")
	s.link(tea, "ph142-data", record("zenodo.org", "7"), "ph142")
	for name, want := range map[string]broker.Reading{
		"ph142-lab1": {Source: drive("ph142Lab1"), As: "hub:ph142", Account: "ph142"}, "ph142-data": {Source: record("zenodo.org", "7"), As: "public"},
		"ph142-git": {Source: gitSource(homework), As: "hub:" + host, Account: host, Repo: daypass.Repo{Owner: "uni-course", Name: "homework", ID: fake.CampusHomeworkRepo}},
	} {
		for _, c := range []daypass.Caller{stu, tea} {
			r := s.mustOpen(c, name)
			if r.Source != want.Source || r.As != want.As || r.Account != want.Account || r.Repo != want.Repo || r.Link == nil || r.Rule != "link:"+name || r.MaxAge <= 0 {
				t.Errorf("%s for %s: %+v", name, c.User.Name, r)
			}
			e, ok, err := s.db.Event(t.Context(), r.Event)
			if err != nil || !ok || e.Kind != store.ReadContent || e.User != c.User.Name || e.Outcome != store.OK || e.Rule != r.Rule || e.Host != want.Source.Host || e.Why != want.Source.String() {
				t.Errorf("%s: event %+v, %v", name, e, err)
			}
		}
	}
	s.want("a browser", second(s.open(browser(stu), "ph142-lab1")), "DP-728")
	s.want("nobody's token", second(s.ReadSource(t.Context(), daypass.Caller{User: stu.User, Groups: stu.Groups}, broker.SourceAsk{Link: "ph142-lab1"})), "DP-728")
	s.want("while the hub is away", second(s.ReadSource(t.Context(), stu, broker.SourceAsk{Link: "ph142-lab1", Stale: true})), "DP-814")
	token, _, err := s.ContentToken(t.Context(), s.mustOpen(stu, "ph142-git"))
	if _, live := s.gh.Token(token.Reveal()); err != nil || !live {
		t.Errorf("what this process reads with: %v", err)
	}
	for what, r := range map[string]broker.Reading{
		"forged": {Source: course("1"), As: "person:1"}, "of Drive": s.mustOpen(stu, "ph142-lab1"), "none": {}, "another's App": {Source: gitSource(homework), As: "hub:ph142", Repo: homework},
	} {
		if token, _, err := s.ContentToken(t.Context(), r); err == nil || !token.IsZero() {
			t.Errorf("a reading that is %s gives a token", what)
		}
	}
}

// TestLinkAtItsTimes: early, paused, over, ended; extended.
func TestLinkAtItsTimes(t *testing.T) {
	s := newSourceRig(t)
	tea, stu := s.teacher(), s.student()
	v, err := s.MakeLink(t.Context(), browser(tea), broker.LinkAsk{Name: "ph142-lab1", Source: ptr(drive("ph142Lab1")), Audience: ptr("ph142"),
		From: ptr(s.now().Add(time.Hour)), Until: ptr(s.now().Add(10 * 24 * time.Hour))})
	if err != nil || v.EndsSoon || v.Stands != store.LinkEarly || v.Title != "Title of ph142Lab1" {
		t.Fatalf("%+v, %v", v, err)
	}
	looked := s.looks.Load()
	refused := func(what, want string) {
		t.Helper()
		s.want(what, second(s.open(stu, "ph142-lab1")), want)
		s.want(what+", on a page", second(s.LinkFor(t.Context(), browser(stu), "ph142-lab1", "")), want)
		if _, err := s.LinkFor(t.Context(), browser(tea), "ph142-lab1", ""); err != nil {
			t.Errorf("%s: its maker does not see it: %v", what, err)
		}
	}
	refused("early", "DP-726")
	s.later(2 * time.Hour)
	edit := func(ask broker.LinkAsk) broker.LinkView {
		t.Helper()
		v, err := s.EditLink(t.Context(), browser(tea), "ph142-lab1", ask)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	edit(broker.LinkAsk{Paused: ptr(true)})
	refused("paused", "DP-725")
	if s.looks.Load() != looked {
		t.Error("a link that is not good costs a look")
	}
	edit(broker.LinkAsk{Paused: ptr(false)})
	s.mustOpen(stu, "ph142-lab1")
	s.later(4 * 24 * time.Hour)
	if list, err := s.LinksOf(t.Context(), browser(tea)); err != nil || len(list) != 1 || !list[0].EndsSoon {
		t.Errorf("six days before the end: %+v, %v", list, err)
	}
	s.later(6 * 24 * time.Hour)
	refused("over", "DP-724")
	if v := edit(broker.LinkAsk{Until: ptr(s.now().Add(30 * 24 * time.Hour))}); v.EndsSoon || v.Stands != store.LinkLive {
		t.Errorf("extended: %+v", v)
	}
	s.mustOpen(stu, "ph142-lab1")
	if err := s.EndLink(t.Context(), browser(tea), "ph142-lab1", ""); err != nil {
		t.Fatal(err)
	}
	refused("ended", "DP-724")
	s.want("changed after its end", second(s.EditLink(t.Context(), browser(tea), "ph142-lab1", broker.LinkAsk{Until: ptr(s.now().Add(time.Hour))})), "DP-724")
	if got := s.stored("ph142-lab1"); got.Failures != 8 {
		t.Errorf("%d failures were counted, want 8", got.Failures)
	}
}

// TestMakerLosesGround: whatever their maker loses at the hub, links end with it,
// within five minutes.
func TestMakerLosesGround(t *testing.T) {
	for what, lose := range map[string]func(*sourceRig, daypass.Caller){
		"may make links no more":        func(s *sourceRig, c daypass.Caller) { s.user(c.User.Name, "ph142-staff") },
		"left the group of the account": func(s *sourceRig, c daypass.Caller) { s.user(c.User.Name, "instructors") },
		"left the hub":                  func(s *sourceRig, c daypass.Caller) { s.mu2(func() { delete(s.hub, c.User.Name) }) },
		"gave their name to somebody else": func(s *sourceRig, c daypass.Caller) {
			s.mu2(func() { u := s.hub[c.User.Name]; u.Created = u.Created.Add(time.Hour); s.hub[c.User.Name] = u })
		},
		"was cut off": func(s *sourceRig, c daypass.Caller) {
			if _, err := s.RevokeUser(t.Context(), c.User.Name, "root"); err != nil {
				t.Fatal(err)
			}
		},
		"shares it no more": func(s *sourceRig, _ daypass.Caller) { s.share("ph142Lab1", "") },
	} {
		t.Run(what, func(t *testing.T) {
			s := newSourceRig(t)
			s.link(s.teacher(), "ph142-lab1", drive("ph142Lab1"), "ph142")
			s.mustOpen(s.student(), "ph142-lab1")
			lose(s, s.teacher2())
			s.later(5*time.Minute + time.Second)
			if _, err := s.open(s.student(), "ph142-lab1"); !errors.Is(err, daypass.ErrRefused) || code(err) != "DP-727" && code(err) != "DP-724" {
				t.Errorf("five minutes later: %v", err)
			}
			if got := s.stored("ph142-lab1"); got.Failures != 1 {
				t.Errorf("%d failures", got.Failures)
			}
			s.quietly("its page", func() {
				if _, err := s.LinkFor(t.Context(), browser(s.student()), "ph142-lab1", ""); err == nil && what != "shares it no more" {
					t.Error("its page shows it as good")
				}
			})
		})
	}
}

// mu2 changes what the hub says.
func (s *sourceRig) mu2(f func()) {
	s.rig.mu.Lock()
	defer s.rig.mu.Unlock()
	f()
}

// teacher2 is the teacher as they were, whatever the hub says now.
func (s *sourceRig) teacher2() daypass.Caller {
	s.mu2(func() {})
	return daypass.Caller{User: daypass.User{Name: "tea"}}
}

// TestMakerRenamed: who bears another name at the hub keeps their links.
func TestMakerRenamed(t *testing.T) {
	s := newSourceRig(t)
	s.link(s.teacher(), "ph142-lab1", drive("ph142Lab1"), "ph142")
	s.renameAtHub("tea", "tea-smith")
	s.later(6 * time.Minute)
	s.mustOpen(s.student(), "ph142-lab1")
}

// TestMakerLosesRepository: the App says whether they administer it still, whoever is
// connected.
func TestMakerLosesRepository(t *testing.T) {
	for what, lose := range map[string]func(*sourceRig){
		"administers it no more": func(s *sourceRig) {
			s.gh.Update(func(seed *fake.Seed) {
				for i := range seed.Repos {
					if seed.Repos[i].ID == fake.CampusHomeworkRepo {
						seed.Repos[i].Access = map[string]fake.Access{fake.CampusInstructor: fake.AccessWrite}
					}
				}
				for i := range seed.Orgs {
					seed.Orgs[i].Owners = nil
				}
			})
		},
		"the App was taken off it": func(s *sourceRig) {
			s.gh.Update(func(seed *fake.Seed) {
				for i := range seed.Installations {
					if seed.Installations[i].ID == fake.CampusContentInstall {
						seed.Installations[i].Repos = []int64{fake.CampusSolutionsRepo}
					}
				}
			})
		},
		"the name is another's": func(s *sourceRig) {
			if err := s.gh.Rename("uni-course/homework", "uni-course/old"); err != nil {
				t.Fatal(err)
			}
			other, err := s.gh.AddRepo(t.Context(), fake.Repo{Owner: "uni-course", Name: "homework", Private: true})
			if err != nil {
				t.Fatal(err)
			}
			s.gh.Update(func(seed *fake.Seed) {
				for i := range seed.Installations {
					if seed.Installations[i].ID == fake.CampusContentInstall {
						seed.Installations[i].Repos = []int64{other.ID}
					}
				}
			})
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSourceRig(t)
			tea := s.teacher()
			s.connect(tea, fake.CampusInstructor)
			s.link(tea, "ph142-git", gitSource(homework), "ph142")
			if _, err := s.Disconnect(t.Context(), browser(tea), host, ""); err != nil {
				t.Fatal(err)
			}
			s.mustOpen(s.student(), "ph142-git") // their connection may end: the App sees their right
			lose(s)
			s.later(5*time.Minute + time.Second)
			if r, err := s.open(s.student(), "ph142-git"); code(err) != "DP-727" {
				t.Errorf("five minutes later: %+v, %v", r, err)
			}
		})
	}
	s := newSourceRig(t)
	tea := s.teacher()
	s.connect(tea, fake.CampusInstructor)
	s.link(tea, "ph142-git", gitSource(homework), "ph142")
	if err := s.gh.Rename("uni-course/homework", "uni-course/exercises"); err != nil {
		t.Fatal(err)
	}
	s.later(6 * time.Minute)
	if r := s.mustOpen(s.student(), "ph142-git"); r.Source.ID != "uni-course/exercises" || r.Repo.ID != fake.CampusHomeworkRepo {
		t.Errorf("renamed, and it is read as %+v", r)
	}
}

// TestMakesNone: who may make links of what.
func TestMakesNone(t *testing.T) {
	s := newSourceRig(t, sharedServers("lab"))
	tea := s.teacher()
	s.connect(tea, fake.CampusInstructor)
	shared := tea
	shared.Server.Name = "lab"
	make := func(c daypass.Caller, change func(*broker.LinkAsk)) error {
		ask := broker.LinkAsk{Name: "a-link", Source: ptr(drive("ph142Lab1")), Audience: ptr("ph142")}
		if change != nil {
			change(&ask)
		}
		_, err := s.MakeLink(t.Context(), c, ask)
		return err
	}
	of := func(src daypass.Source) func(*broker.LinkAsk) { return func(a *broker.LinkAsk) { a.Source = &src } }
	m := s.mint(tea, pass.Limits{})
	byPass, err := s.PassCaller(t.Context(), m.Text, home)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"a student":             {make(browser(s.student()), nil), "DP-729"},
		"from a shared server":  {make(shared, nil), "DP-744"},
		"by a pass":             {make(byPass, nil), "DP-166"},
		"no source":             {make(browser(tea), func(a *broker.LinkAsk) { a.Source = nil }), "DP-736"},
		"not shared":            {make(browser(tea), of(drive("nobodyKnows"))), "DP-734"},
		"of a group without":    {make(browser(s.user("new", "instructors")), nil), "DP-735"},
		"unlisted of several":   {make(browser(s.user("sta", "instructors", "stats-a")), of(drive("statsOther"))), "DP-734"},
		"their own and another": {make(browser(s.user("two", "instructors", "stats-a", "bio101-staff")), nil), "DP-734"},
		"no administrator":      {make(browser(tea), of(gitSource(data))), "DP-737"},
		"no App":                {make(browser(tea), of(gitSource(daypass.Repo{Owner: "uni-course", Name: "solutions"}))), "DP-737"},
		"not connected":         {make(browser(s.user("new", "instructors")), of(gitSource(homework))), "DP-816"},
		"unlisted host":         {make(browser(tea), of(record("archive.example", "7"))), "DP-736"},
		"local":                 {make(browser(tea), of(daypass.Source{Kind: "git", Host: "localhost", ID: "a/b"})), "DP-736"},
		"Canvas unconnected":    {make(browser(tea), of(course("7"))), "DP-816"},
		"no Canvas":             {make(browser(tea), of(daypass.Source{Kind: "canvas", Host: "evil.example", ID: "courses/7"})), "DP-736"},
		"everybody":             {make(browser(tea), func(a *broker.LinkAsk) { a.Audience = ptr("*") }), "DP-732"},
		"nobody":                {make(browser(tea), func(a *broker.LinkAsk) { a.Audience = nil }), "DP-732"},
		"too long":              {make(browser(tea), func(a *broker.LinkAsk) { a.Until = ptr(s.now().Add(181 * 24 * time.Hour)) }), "DP-731"},
		"in the past":           {make(browser(tea), func(a *broker.LinkAsk) { a.Until = ptr(s.now().Add(-time.Hour)) }), "DP-731"},
		"ends first":            {make(browser(tea), func(a *broker.LinkAsk) { a.From, a.Until = ptr(s.now().Add(hours(9))), ptr(s.now().Add(hours(8))) }), "DP-731"},
		"the folder is up":      {make(browser(tea), func(a *broker.LinkAsk) { a.Folder = ptr("../other") }), "DP-739"},
		"the folder is ~":       {make(browser(tea), func(a *broker.LinkAsk) { a.Folder = ptr("~root") }), "DP-739"},
		"the file is absolute":  {make(browser(tea), func(a *broker.LinkAsk) { a.Open = ptr("/etc/passwd") }), "DP-739"},
		"the application":       {make(browser(tea), func(a *broker.LinkAsk) { a.App = ptr("javascript:alert(1)") }), "DP-739"},
		"the title":             {make(browser(tea), func(a *broker.LinkAsk) { a.Title = ptr("a\x1b[2J") }), "DP-739"},
		"the name":              {make(browser(tea), func(a *broker.LinkAsk) { a.Name = "Lab_1" }), "DP-730"},
		"a dot":                 {make(browser(tea), func(a *broker.LinkAsk) { a.Name = "lab.1" }), "DP-730"},
	} {
		s.want(what, c.err, c.want)
	}
	if list, err := s.LinksOf(t.Context(), browser(tea)); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	var p *daypass.Problem
	s.quietly("an artifact of a run", func() {
		run := daypass.Source{Kind: "artifact", Host: host, ID: homework.String() + "/7"}
		for what, err := range map[string]error{"linked to": make(browser(tea), of(run)), "tested": second(s.TestSource(t.Context(), browser(tea), run, "")), "browsed": second(s.BrowseSource(t.Context(), browser(tea), run, ""))} {
			if !errors.As(err, &p) || p.Code != "DP-736" || !strings.Contains(p.Next, "daypass pull") {
				t.Errorf("an artifact, %s: %v", what, err)
			}
		}
		s.want("an artifact, read", second(s.read(tea, run)), "DP-723")
	})
	if !errors.As(make(browser(tea), of(drive("nobodyKnows"))), &p) || !strings.Contains(p.Next, "ph142@sa.example") {
		t.Errorf("the address to share with: %+v", p)
	}
	s.fail(&daypass.Problem{Code: "DP-412", What: "the Workspace forbids sharing with addresses outside it", Kind: daypass.ErrRefused})
	if !errors.As(make(browser(tea), nil), &p) || !strings.Contains(p.What, "Workspace forbids") {
		t.Errorf("what the provider knows: %+v", p)
	}
	s.fail(&daypass.Problem{Code: "DP-413", What: "away", Kind: daypass.ErrUnreachable})
	away := make(browser(tea), nil)
	s.want("while Drive is away", away, "DP-815")
	if strings.Contains(away.Error(), "commits") {
		t.Errorf("whoever makes a link is told of commits: %v", away)
	}
	s.fail(nil)
	for what, c := range map[string]daypass.Caller{"their browser": browser(tea), "their server": tea} {
		if err := make(c, func(a *broker.LinkAsk) { a.Name = "from-" + strings.ReplaceAll(what, " ", "-") }); err != nil {
			t.Errorf("from %s: %v", what, err)
		}
	}
	s.want("a name in use", make(browser(s.user("two", "instructors", "ph142-staff")), func(a *broker.LinkAsk) { a.Name = "from-their-server" }), "DP-730")
	if err := make(browser(s.user("sta", "instructors", "stats-a")), func(a *broker.LinkAsk) { a.Name, a.Source = "stats-1", ptr(drive("statsListed")) }); err != nil {
		t.Errorf("what an admin listed for both groups: %v", err)
	}
}

// TestSourceRules: what an admin's rules let read without a link.
func TestSourceRules(t *testing.T) {
	s := newSourceRig(t)
	stu, guest := s.student(), s.user("guest")
	listed := drive("ph142Listed")
	inside := listed
	inside.Path = "week 1"
	branch := gitSource(homework)
	branch.Ref = "solutions"
	for what, c := range map[string]struct {
		c    daypass.Caller
		src  daypass.Source
		want string // As, or a code
	}{
		"listed": {stu, listed, "hub:ph142"}, "a folder in it": {stu, inside, "hub:ph142"}, "by name": {guest, drive("statsListed"), "hub:stats"},
		"named and not enrolled": {stu, drive("ph142Lab2"), "DP-723"}, "another's rule": {guest, listed, "DP-723"}, "no rule": {stu, drive("statsListed"), "DP-723"},
		"repository": {stu, gitSource(homework), "hub:" + host}, "another branch": {stu, branch, "DP-723"}, "another repository": {stu, gitSource(data), "DP-723"},
		"public": {guest, record("zenodo.org", "7"), "public"}, "not listed": {guest, record("figshare.com", "7"), "DP-723"}, "an artifact": {guest, daypass.Source{Kind: "artifact", Host: "zenodo.org", ID: "a/b/1"}, "DP-723"},
		"public repository": {guest, daypass.Source{Kind: "git", Host: "public.example", ID: "a/b"}, "public"},
	} {
		r, err := s.read(c.c, c.src)
		got := r.As
		if err != nil {
			got = code(err)
		}
		if got != c.want {
			t.Errorf("%s: %s (%v), want %s", what, got, err, c.want)
		}
	}
	s.enrol(drive("ph142Lab2"), "ph142")
	if r, err := s.read(stu, drive("ph142Lab2")); err != nil || r.As != "hub:ph142" || r.Rule != "handouts" {
		t.Errorf("enrolled now: %+v, %v", r, err)
	}
	if err := s.Unenrol(t.Context(), drive("ph142Lab2"), "ph142", "root"); err != nil {
		t.Fatal(err)
	}
	s.quietly("taken off the list", func() { s.want("taken off the list", second(s.read(stu, drive("ph142Lab2"))), "DP-723") })
	s.want("no such account", s.Enrol(t.Context(), drive("x"), "nobody", "root"), "DP-745")
	s.want("no folder", s.Enrol(t.Context(), gitSource(homework), "ph142", "root"), "DP-745")
	s.want("not enrolled", s.Unenrol(t.Context(), drive("x"), "ph142", "root"), "DP-746")
	if n := len(s.found(store.EventFilter{Kind: store.Enrolled})); n != 2 {
		t.Errorf("%d events of enrolling", n)
	}
	s.share("ph142Listed", "")
	s.later(5*time.Minute + time.Second)
	s.want("shared no more", second(s.read(stu, listed)), "DP-723")
}

// TestForbiddenRepository: a rule that forbids wins over a link, by either name.
func TestForbiddenRepository(t *testing.T) {
	s := newSourceRig(t, func(r *rig) {
		r.config.Rules = rules(r.t, append(policy.Preset(), policy.Rule{Name: "never", Forbid: true, Who: policy.Who{Groups: []string{"ph142"}}, What: []policy.Pattern{pattern(r.t, "github.com/uni-course/home*")}})...)
	})
	tea := s.teacher()
	s.connect(tea, fake.CampusInstructor)
	s.link(tea, "ph142-git", gitSource(homework), "ph142")
	s.want("forbidden", second(s.open(s.student(), "ph142-git")), "DP-810")
	s.mustOpen(tea, "ph142-git") // the answer to one is none to another
	s.want("forbidden", second(s.open(s.student(), "ph142-git")), "DP-810")
}

// TestClassLooksOnce: fifty at once cost one look, and a look that fails is no yes.
func TestClassLooksOnce(t *testing.T) {
	s := newSourceRig(t)
	s.link(s.teacher(), "ph142-lab1", drive("ph142Lab1"), "ph142")
	s.later(6 * time.Minute)
	before := s.looks.Load()
	var wg sync.WaitGroup
	for i := range 50 {
		c := s.user(fmt.Sprint("stu", i), "ph142")
		wg.Go(func() {
			if _, err := s.open(c, "ph142-lab1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := s.looks.Load() - before; n != 1 {
		t.Errorf("%d looks", n)
	}
	s.fail(errors.New("connection reset"))
	s.mustOpen(s.student(), "ph142-lab1") // what was seen counts for five minutes
	s.later(5*time.Minute + time.Second)
	s.want("while Drive is away", second(s.open(s.student(), "ph142-lab1")), "DP-815")
	s.fail(nil)
	r := s.mustOpen(s.student(), "ph142-lab1")
	s.Saw(t.Context(), r, s.now(), nil)
	s.Saw(t.Context(), r, s.now(), &daypass.Problem{Code: "DP-410", What: "gone", Kind: daypass.ErrRefused, Err: daypass.ErrNoSource})
	s.want("a reader found it gone just now", second(s.open(s.student(), "ph142-lab1")), "DP-727")
	if got := s.stored("ph142-lab1"); got.Pulls != 1 || got.Failures != 3 || got.Failure != "DP-727" {
		t.Errorf("counted %+v", got)
	}
}

// TestPassesRead: a pass reads what it is for, and nothing else by it.
func TestPassesRead(t *testing.T) {
	s := newSourceRig(t, longRules)
	tea, stu := s.teacher(), s.student()
	s.connect(tea, fake.CampusInstructor)
	s.connect(stu, fake.CampusUser)
	lab := drive("ph142Lab1")
	s.link(tea, "ph142-lab1", lab, "ph142")
	s.link(tea, "ph142-git", gitSource(homework), "ph142")
	inside := drive("ph142Listed")
	inside.Path = "a,b/é"
	open := func(text daypass.Secret, ask broker.SourceAsk) (broker.Reading, error) {
		c, err := s.PassCaller(t.Context(), text, home)
		if err != nil {
			return broker.Reading{}, err
		}
		return s.ReadSource(t.Context(), c, ask)
	}
	for what, c := range map[string]struct {
		l    pass.Limits
		ask  broker.SourceAsk
		want string
	}{
		"unlimited":                 {pass.Limits{}, broker.SourceAsk{Link: "ph142-lab1"}, "no error"},
		"for it":                    {pass.Limits{Sources: []string{lab.String()}}, broker.SourceAsk{Link: "ph142-lab1"}, "no error"},
		"for another":               {pass.Limits{Sources: []string{drive("other").String()}}, broker.SourceAsk{Link: "ph142-lab1"}, "DP-723"},
		"for another, named":        {pass.Limits{Sources: []string{lab.String()}}, broker.SourceAsk{Source: drive("ph142Listed")}, "DP-161"},
		"for its whole, asked part": {pass.Limits{Sources: []string{drive("ph142Listed").String()}}, broker.SourceAsk{Source: inside}, "DP-161"},
		"with a comma":              {pass.Limits{Sources: []string{inside.String()}}, broker.SourceAsk{Source: inside}, "no error"},
		"for a repository":          {pass.Limits{Repos: []string{homework.String()}}, broker.SourceAsk{Link: "ph142-git"}, "no error"},
		"for its number":            {pass.Limits{Repos: []string{fmt.Sprint("#", fake.CampusHomeworkRepo)}}, broker.SourceAsk{Source: gitSource(homework)}, "no error"},
		"for another repository":    {pass.Limits{Repos: []string{data.String()}}, broker.SourceAsk{Link: "ph142-git"}, "DP-723"},
		"of repositories, a folder": {pass.Limits{Repos: []string{homework.String()}}, broker.SourceAsk{Link: "ph142-lab1"}, "DP-723"},
		"of another host":           {pass.Limits{Hosts: []string{host}}, broker.SourceAsk{Link: "ph142-lab1"}, "DP-723"},
		"from elsewhere":            {pass.Limits{Addresses: []string{"198.51.100.1"}}, broker.SourceAsk{Link: "ph142-lab1"}, "DP-161"},
		"too old":                   {pass.Limits{Expires: s.now().Add(48 * time.Hour)}, broker.SourceAsk{Link: "ph142-lab1"}, "DP-174"},
	} {
		m := s.mint(stu, c.l)
		r, err := open(m.Text, c.ask)
		s.want(what, err, c.want)
		if err != nil {
			continue
		}
		if e, _, _ := s.db.Event(t.Context(), r.Event); e.Pass != m.Row.ID || e.Via != "pass" {
			t.Errorf("%s: event %+v", what, e)
		}
	}
	m := s.mint(stu, pass.Limits{Sources: []string{lab.String()}})
	if _, err := s.with(m.Text, data); code(err) != "DP-161" {
		t.Errorf("a pass for content gets a credential: %v", err)
	}
	once := s.mint(stu, pass.Limits{Uses: 1})
	for what, step := range []struct{ pack, want string }{
		{"", "no error"}, {"", "no error"}, {"one", "no error"}, {"one", "no error"}, {"two", "DP-162"}, {"", "DP-162"}, {"one", "no error"},
	} {
		s.want(fmt.Sprint("a pull for one use, step ", what), second(open(once.Text, broker.SourceAsk{Link: "ph142-lab1", Pack: step.pack})), step.want)
	}
	s.later(11 * time.Minute)
	s.want("the same file, much later", second(open(once.Text, broker.SourceAsk{Link: "ph142-lab1", Pack: "one"})), "DP-162")
	if _, err := s.RevokeUser(t.Context(), "stu", "root"); err != nil {
		t.Fatal(err)
	}
	s.want("of somebody who was cut off", second(open(m.Text, broker.SourceAsk{Link: "ph142-lab1"})), "DP-160")
}

// TestCanvas: a course is read by each student's own connection, in a server of
// theirs alone, and nobody is given the token.
func TestCanvas(t *testing.T) {
	s := newSourceRig(t, sharedServers("lab"))
	tea, stu := s.teacher(), s.student()
	s.connectCanvas(tea)
	s.link(tea, "ph142-canvas", course("7"), "ph142")
	v, err := s.LinkFor(t.Context(), browser(stu), "ph142-canvas", "")
	if err != nil || v.Connect != canvasHost || v.Mine || v.MakerName != "tea" {
		t.Fatalf("%+v, %v", v, err)
	}
	_, err = s.open(stu, "ph142-canvas")
	var ref *broker.Refusal
	if !errors.As(err, &ref) || !ref.Connect || ref.Host != canvasHost || ref.Problem.Code != "DP-816" {
		t.Fatalf("not connected: %v", err)
	}
	s.connectCanvas(stu)
	r := s.mustOpen(stu, "ph142-canvas")
	mine, err := s.read(stu, course("7"))
	if err != nil || !strings.HasPrefix(r.As, "person:") || mine.As != r.As {
		t.Fatalf("%+v, %+v, %v", r, mine, err)
	}
	if theirs := s.mustOpen(tea, "ph142-canvas"); theirs.As == r.As {
		t.Error("two people share what was read as one of them")
	}
	shared := stu
	shared.Server.Name = "lab"
	s.want("from a server that others enter", second(s.open(shared, "ph142-canvas")), "DP-742")
	s.want("another's page", second(s.read(stu, daypass.Source{Kind: "canvas", Host: "evil.example", ID: "courses/7"})), "DP-723")
	token, until, err := s.ContentToken(t.Context(), r)
	if err != nil || token.IsZero() || !until.After(s.now()) {
		t.Fatalf("%v, %v", until, err)
	}
	s.later(time.Hour)
	next, _, err := s.ContentToken(t.Context(), r)
	if err != nil || next.Equal(token) {
		t.Errorf("an hour later it is not renewed: %v", err)
	}
	if s.Spent(t.Context(), r) {
		t.Error("a token that is good is renewed")
	}
	if err := s.canvas.end(next); err != nil {
		t.Fatal(err)
	}
	if !s.Spent(t.Context(), r) {
		t.Error("a token that Canvas has ended is not renewed")
	}
	if third, _, err := s.ContentToken(t.Context(), r); err != nil || third.Equal(next) {
		t.Errorf("after that: %v", err)
	}
	for _, c := range []daypass.Caller{stu, browser(stu), tea} {
		a, err := s.Credential(t.Context(), c, broker.Ask{Host: canvasHost, Repo: homework, Access: daypass.Read})
		if code(err) != "DP-741" || !a.Credential.Token.IsZero() {
			t.Errorf("somebody is given a token for Canvas: %v", err)
		}
		if _, _, err := s.Reach(t.Context(), c, canvasHost); code(err) != "DP-741" {
			t.Errorf("repositories at Canvas: %v", err)
		}
	}
	if _, err := s.Disconnect(t.Context(), browser(stu), canvasHost, ""); err != nil {
		t.Fatal(err)
	}
	s.want("disconnected", second(s.open(stu, "ph142-canvas")), "DP-816")
	if token, _, err := s.ContentToken(t.Context(), r); err == nil || !token.IsZero() {
		t.Error("a reading from before the connection ended gives a token")
	}
}

// TestCanvasLogin: a hub that logs in by Canvas hands its connection in.
func TestCanvasLogin(t *testing.T) {
	s := newSourceRig(t)
	stu := s.student()
	g := s.canvas.make("stu", daypass.NewSecret("canvas-refresh-stu"))
	in := broker.HandIn{User: "stu", Host: canvasHost, App: s.canvas.App(), Account: daypass.Account{ID: 3, Login: "stu"}, Grant: g}
	if err := s.HandIn(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	r, err := s.read(stu, course("7"))
	if err != nil {
		t.Fatal(err)
	}
	if token, _, err := s.ContentToken(t.Context(), r); err != nil || !token.Equal(g.Access) {
		t.Errorf("%v", err)
	}
	in.Account.ID, in.User = 4, "oth"
	s.other()
	s.want("somebody else's", s.HandIn(t.Context(), in), "DP-830")
}

// TestTemplate: each student gets the repository of their own name, by their own
// right, and no other.
func TestTemplate(t *testing.T) {
	s := newSourceRig(t, sharedServers("lab"))
	tea, stu := s.teacher(), s.student()
	src := daypass.Source{Kind: "git", Host: host, ID: "{github}/notes"}
	v := s.link(tea, "lab1-own", src, "ph142")
	if !v.Template || v.As != "person" {
		t.Fatalf("%+v", v)
	}
	_, err := s.open(stu, "lab1-own")
	var ref *broker.Refusal
	if !errors.As(err, &ref) || !ref.Connect {
		t.Fatalf("not connected: %v", err)
	}
	s.connect(stu, fake.CampusUser)
	r := s.mustOpen(stu, "lab1-own")
	if r.Source != gitSource(notes) || !strings.HasPrefix(r.As, "person:") || r.Repo.ID != fake.CampusNotesRepo {
		t.Errorf("%+v", r)
	}
	shared := stu
	shared.Server.Name = "lab"
	s.want("from a server that others enter", second(s.open(shared, "lab1-own")), "DP-742")
	second2 := s.user("stu2", "ph142")
	s.connect(second2, fake.CampusStudent)
	_, err = s.open(second2, "lab1-own")
	if s.want("there is none of theirs", err, "DP-738"); err != nil && !strings.Contains(err.Error(), "Accept the assignment") {
		t.Errorf("it does not say what to do: %v", err)
	}
	for what, bad := range map[string]daypass.Source{
		"in the branch": {Kind: "git", Host: host, ID: "o/r", Ref: "{github}"}, "of Drive": {Kind: "drive", Host: "drive.google.com", ID: "{github}"},
		"alone": {Kind: "git", Host: host, ID: "{github}"}, "of Canvas": {Kind: "git", Host: canvasHost, ID: "o/lab-{github}"},
	} {
		if _, err := s.TestSource(t.Context(), browser(tea), bad, ""); code(err) != "DP-736" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSharedServerReads: what a link gives to a group is read in a shared server too.
func TestSharedServerReads(t *testing.T) {
	s := newSourceRig(t, sharedServers("lab"))
	s.link(s.teacher(), "ph142-lab1", drive("ph142Lab1"), "ph142")
	shared := s.student()
	shared.Server.Name = "lab"
	s.mustOpen(shared, "ph142-lab1")
}

// TestManyLooks: whoever names source after source is slowed down, and nobody else;
// and links have a number.
func TestManyLooks(t *testing.T) {
	s := newSourceRig(t)
	tea, stu := s.teacher(), s.student()
	for i := range 41 {
		want := "no error"
		if i == 40 {
			want = "DP-748"
		}
		s.want("a record", second(s.read(stu, record("zenodo.org", fmt.Sprint(i)))), want)
		if want != "no error" {
			continue
		}
		s.want("a folder", second(s.TestSource(t.Context(), browser(tea), drive(fmt.Sprint("guess", i)), "")), "DP-734")
	}
	s.quietly("the 41st", func() {
		s.want("a folder", second(s.TestSource(t.Context(), browser(tea), drive("ph142Lab1"), "")), "DP-748")
	})
	if _, err := s.read(s.user("other"), record("zenodo.org", "1")); err != nil {
		t.Errorf("another is slowed down: %v", err)
	}
	s.later(time.Hour)
	v := s.link(tea, "ph142-lab1", drive("ph142Lab1"), "ph142")
	if err := s.db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 999 {
			l := v.Link
			l.Name = fmt.Sprint("lab-", i)
			if _, err := tx.PutLink(l); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err := s.MakeLink(t.Context(), browser(tea), broker.LinkAsk{Name: "one-more", Source: &v.Source, Audience: ptr("ph142")})
	s.want("the 1001st", err, "DP-749")
	s.later(2 * time.Minute) // they are read again
	began := time.Now()
	s.mustOpen(stu, "lab-77")
	s.mustOpen(stu, "lab-78")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("among a thousand links two take %v", took)
	}
}

// TestManyFolders: one student cannot spend what an account may look by naming folders
// below what a rule lets them read; the class reads on.
func TestManyFolders(t *testing.T) {
	s := newSourceRig(t)
	stu := s.student()
	refused := 0
	for n := range 200 {
		below := drive("ph142Listed")
		below.Path = fmt.Sprint("week ", n)
		if r, err := s.read(stu, below); code(err) == "DP-748" {
			refused++
		} else if err != nil || !r.Chose {
			t.Fatal(r, err)
		}
	}
	if n := s.looks.Load(); n > 60 || refused < 140 {
		t.Errorf("%d looks for one student in a moment; %d were refused", n, refused)
	}
	for range 100 {
		if r, err := s.read(stu, drive("ph142Listed")); err != nil || r.Chose {
			t.Fatalf("what the rule names: %+v, %v", r, err)
		}
	}
	if r, err := s.read(s.user("guest"), record("zenodo.org", "7")); err != nil || !r.Chose {
		t.Errorf("what is public: %+v, %v", r, err)
	}
	s.link(s.teacher(), "ph142-lab1", drive("ph142Lab1"), "ph142")
	if r := s.mustOpen(stu, "ph142-lab1"); r.Chose {
		t.Errorf("what a link names: %+v", r)
	}
	s.want("somebody else", second(s.read(s.user("bob", "ph142"), daypass.Source{Kind: "drive", Host: "drive.google.com", ID: "ph142Listed", Path: "week 1"})), "no error")
}

// TestCopyLink: the same course in a new term.
func TestCopyLink(t *testing.T) {
	s := newSourceRig(t)
	tea := s.teacher()
	_, err := s.MakeLink(t.Context(), browser(tea), broker.LinkAsk{Name: "ph142-s26", Source: ptr(drive("ph142Lab1")), Audience: ptr("ph142"), Title: ptr("Lab 1"), Open: ptr("start.ipynb"), Until: ptr(s.now().Add(hours(24)))})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.CopyLink(t.Context(), browser(tea), "ph142-s26", broker.LinkAsk{Name: "ph142-f26", Audience: ptr("ph142-fall"), Source: ptr(drive("ph142Lab2"))})
	if err != nil || v.Title != "Lab 1" || v.Open != "start.ipynb" || v.Source != drive("ph142Lab2") || v.Audience != "ph142-fall" || v.Until.Before(s.now().Add(hours(48))) {
		t.Fatalf("%+v, %v", v, err)
	}
	if was := s.stored("ph142-s26"); was.Source != drive("ph142Lab1") || was.Audience != "ph142" {
		t.Errorf("the old one: %+v", was)
	}
	s.share("ph142Lab1", "")
	s.want("of what is read no more", second(s.CopyLink(t.Context(), browser(tea), "ph142-s26", broker.LinkAsk{Name: "ph142-x"})), "DP-734")
	if err := s.CloseLink(t.Context(), "ph142-f26", "root"); err != nil {
		t.Fatal(err)
	}
	s.want("ended by an admin", second(s.open(s.user("f", "ph142-fall"), "ph142-f26")), "DP-724")
	kinds := map[store.Kind]int{}
	for _, e := range s.found(store.EventFilter{Kinds: []store.Kind{store.Linked, store.LinkChanged, store.LinkEnded}}) {
		kinds[e.Kind]++
	}
	if kinds[store.Linked] != 2 || kinds[store.LinkEnded] != 1 {
		t.Errorf("%v", kinds)
	}
}

// TestLinksOfTwoProcesses: what one process ends or changes is so in the other.
func TestLinksOfTwoProcesses(t *testing.T) {
	s := newSourceRig(t)
	s.link(s.teacher(), "ph142-lab1", drive("ph142Lab1"), "ph142")
	other := s.another("two")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); other.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	there := func() string {
		_, err := other.ReadSource(t.Context(), s.student(), broker.SourceAsk{Link: "ph142-lab1"})
		return code(err)
	}
	s.eventually("it is read there", func() bool { return there() == "no error" })
	if err := s.EndLink(t.Context(), browser(s.teacher()), "ph142-lab1", ""); err != nil {
		t.Fatal(err)
	}
	s.eventually("it is ended there", func() bool { return there() == "DP-724" })
}
