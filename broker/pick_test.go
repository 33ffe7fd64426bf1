package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// offered writes lists as "HOST: SOURCE, …", with the code of what is wrong.
func offered(list []broker.Offer) []string {
	var out []string
	for _, o := range list {
		line := o.Host + ":"
		if o.Refusal != nil {
			line += " " + o.Refusal.Problem.Code
			if o.Refusal.Connect {
				line += " connect"
			}
		}
		for _, y := range o.Sources {
			line += " " + y.Source.ID
		}
		if o.More {
			line += " …"
		}
		out = append(out, line)
	}
	return out
}

func (s *sourceRig) pick(c daypass.Caller, want ...string) []broker.Offer {
	s.t.Helper()
	list, err := s.Pick(s.t.Context(), c, "")
	if got := offered(list); err != nil || !slices.Equal(got, want) {
		s.t.Errorf("%s: %q, %v; want %q", c.User.Name, got, err, want)
	}
	return list
}

const noGit, noCanvas = host + ": DP-816 connect", canvasHost + ": DP-816 connect"

// TestPickEnrolled: of Drive there is what is enrolled for a group of one's own, and who
// connected nothing is told so, without anybody being asked.
func TestPickEnrolled(t *testing.T) {
	s := newSourceRig(t)
	s.enrol(drive("ph142Lab1"), "ph142")
	s.enrol(drive("bio101Lab"), "bio101")
	s.quietly("picking", func() {
		s.pick(browser(s.teacher()), "drive.google.com: ph142Lab1 ph142Listed", canvasHost+": DP-816 connect", host+": DP-816 connect")
		s.pick(browser(s.other()), "drive.google.com: bio101Lab", noCanvas, noGit)
		s.pick(browser(s.user("both", "instructors", "stats-a")), "drive.google.com: statsListed", noCanvas, noGit)
		s.pick(browser(s.user("new", "instructors")), noCanvas, noGit)
		_, err := s.Pick(t.Context(), browser(s.student()), "")
		s.want("who may make no links", err, "DP-729")
	})
}

// TestPickOwn: an instructor chooses from what they administer and what they teach, and
// what they choose is what a test of it accepts; nobody is shown anything by another's
// connection or by the hub's.
func TestPickOwn(t *testing.T) {
	s := newSourceRig(t)
	s.taught = map[string][]broker.Course{"tea": {{ID: "courses/7", Title: "Waves", Note: "PH 7"}, {ID: "courses/../8", Title: "odd"}}, "oth": {{ID: "courses/9", Title: "Bio"}}}
	tea, oth, mate := browser(s.teacher()), browser(s.other()), browser(s.user("mate", "instructors"))
	s.connect(tea, fake.CampusInstructor)
	s.connect(mate, fake.CampusUser) // who may push, and administers their own notes
	s.connectCanvas(tea)
	s.connectCanvas(oth)
	for range 2 { // the second time from memory
		list := s.pick(tea, "drive.google.com: ph142Listed", canvasHost+": courses/7", host+": uni-course/homework")
		if y := list[1].Sources[0]; y.Title != "Waves" || y.Note != "PH 7" || !strings.HasPrefix(y.As, "person:") {
			t.Errorf("%+v", y)
		}
		for _, o := range list {
			for _, y := range o.Sources {
				if _, err := s.TestSource(t.Context(), tea, y.Source, ""); err != nil {
					t.Errorf("%s is offered, and a test says %v", y.Source, err)
				}
			}
		}
		s.pick(oth, "drive.google.com:", canvasHost+": courses/9", noGit)
		s.pick(mate, noCanvas, host+": octo-researcher/notes")
		s.pick(browser(s.user("new", "instructors")), noCanvas, noGit)
	}
	if n := s.lists.Load(); n != 2 {
		t.Errorf("courses were asked for %d times", n)
	}
	s.quietly("a student", func() {
		_, err := s.Pick(t.Context(), browser(s.student()), "")
		s.want("a student", err, "DP-729")
	})
	var lines []string
	all, err := s.db.Events(t.Context(), store.EventFilter{Kind: store.ReadContent, Limit: 100})
	for _, e := range all {
		if e.Rule == "pick" {
			lines = append(lines, e.User+" "+e.Host+" "+e.Outcome)
		}
	}
	slices.Sort(lines)
	if want := []string{"mate github.com ok", "oth canvas.example.edu ok", "tea canvas.example.edu ok", "tea github.com ok"}; err != nil || !slices.Equal(slices.Compact(lines), want) {
		t.Errorf("recorded: %q, %v", lines, err)
	}
}

// TestPickFromServers: a server gets what the rules let it ask for, one that others enter
// and a pass nothing; nor does anybody where links are made in browsers only.
func TestPickFromServers(t *testing.T) {
	s := newSourceRig(t, sharedServers("lab"))
	s.taught = map[string][]broker.Course{"tea": {{ID: "courses/7", Title: "Waves"}}}
	tea := s.teacher()
	s.connect(tea, fake.CampusInstructor)
	s.connectCanvas(tea)
	s.pick(tea, "drive.google.com: ph142Listed", canvasHost+": courses/7", host+": uni-course/homework")
	lab := tea
	lab.Server.Name = "lab"
	byPass := tea
	byPass.Via = daypass.ViaPass
	s.quietly("others' servers", func() {
		_, err := s.Pick(t.Context(), lab, "")
		s.want("a server that others enter", err, "DP-744")
		_, err = s.Pick(t.Context(), byPass, "")
		s.want("a pass", err, "DP-166")
		s.Sources.Links.BrowserOnly = true
		_, err = s.Pick(t.Context(), tea, "")
		s.want("where browsers are wanted", err, "DP-744")
	})
	forbid := policy.Rule{Name: "no-homework", Forbid: true, What: []policy.Pattern{pattern(t, "*/uni-course/*")}}
	s = newSourceRig(t, func(r *rig) { r.config.Rules = rules(t, append([]policy.Rule{forbid}, policy.Preset()...)...) })
	s.connect(s.teacher(), fake.CampusInstructor)
	s.pick(browser(s.teacher()), "drive.google.com: ph142Listed", noCanvas, host+":")
}

// TestPickFailing: a host that fails, hangs or refuses is told of, and takes nobody
// else's list away.
func TestPickFailing(t *testing.T) {
	s := newSourceRig(t, func(r *rig) { r.config.Limits.ProviderTime = 150 * time.Millisecond })
	s.taught = map[string][]broker.Course{"tea": {{ID: "courses/7", Title: "Waves"}}}
	tea := browser(s.teacher())
	s.connect(tea, fake.CampusInstructor)
	s.connectCanvas(tea)
	drive, git := "drive.google.com: ph142Listed", host+": uni-course/homework"
	for _, c := range []struct {
		err  error
		want string
	}{
		{&daypass.Problem{Code: "DP-422", What: "Canvas does not list your courses", Kind: daypass.ErrRefused}, "DP-422"},
		{&daypass.Problem{Code: "DP-410", What: "it cannot be asked", Kind: daypass.ErrUnreachable}, "DP-815"}, {errors.New("dial tcp: secret-looking"), "DP-815"},
	} {
		s.mu.Lock()
		s.lost = c.err
		s.mu.Unlock()
		list := s.pick(tea, drive, canvasHost+": "+c.want, git)
		if why := list[1].Refusal.Error(); strings.Contains(why, "secret-looking") || !strings.Contains(why, canvasHost) && c.want == "DP-815" {
			t.Errorf("%s", why)
		}
	}
	s.mu.Lock()
	s.lost, s.gate = nil, make(chan struct{})
	s.mu.Unlock()
	began := time.Now()
	s.pick(tea, drive, canvasHost+": DP-815", git)
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("a site that hangs keeps everybody for %s", d)
	}
	close(s.gate)
	s.later(2 * time.Minute) // what was seen is forgotten
	s.gh.Fault(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/user/installations") }, fake.Fault{Kind: fake.FaultStatus, Status: http.StatusBadGateway})
	list := s.pick(tea, drive, canvasHost+": courses/7", host+": DP-815")
	if next := list[2].Refusal.Problem.Next; !strings.Contains(next, "paste an address") {
		t.Errorf("%s", next)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if list, err := s.Pick(ctx, tea, ""); err == nil {
		t.Errorf("who went away is given %q", offered(list))
	}
}

// TestPickEnded: a connection that ended or has to be made anew shows nothing, what was
// listed before neither, and says what to do; also where connections are in memory.
func TestPickEnded(t *testing.T) {
	for name, changes := range map[string][]change{"stored": nil, "in memory": {inMemory}} {
		t.Run(name, func(t *testing.T) {
			s := newSourceRig(t, changes...)
			s.taught = map[string][]broker.Course{"tea": {{ID: "courses/7", Title: "Waves"}}}
			tea := browser(s.teacher())
			s.connect(tea, fake.CampusInstructor)
			s.connectCanvas(tea)
			s.pick(tea, "drive.google.com: ph142Listed", canvasHost+": courses/7", host+": uni-course/homework")
			for _, h := range []string{host, canvasHost} {
				if _, err := s.Disconnect(t.Context(), tea, h, ""); err != nil {
					t.Fatal(err)
				}
			}
			s.quietly("after disconnecting", func() { s.pick(tea, "drive.google.com: ph142Listed", noCanvas, noGit) })
			s.connectCanvas(tea)
			s.pick(tea, "drive.google.com: ph142Listed", canvasHost+": courses/7", noGit)
		})
	}
	s := newSourceRig(t)
	s.taught = map[string][]broker.Course{"tea": {{ID: "courses/7", Title: "Waves"}}}
	tea := browser(s.teacher())
	s.connectCanvas(tea)
	s.pick(tea, "drive.google.com: ph142Listed", canvasHost+": courses/7", noGit)
	p, _, err := s.db.Person(t.Context(), tea.User)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.db.Connection(t.Context(), p.ID, canvasHost)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.NeedConsent(c.ID, c.Version, "it was ended at the site")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.quietly("where consent is due", func() {
		list := s.pick(tea, "drive.google.com: ph142Listed", canvasHost+": DP-817 connect", noGit)
		if next := list[1].Refusal.Problem.Next; !strings.Contains(next, "Connect it") {
			t.Errorf("%s", next)
		}
	})
}

// TestPickIsBounded: in what is listed, and in how often it is asked for.
func TestPickIsBounded(t *testing.T) {
	s := newSourceRig(t, func(r *rig) {
		for n := range 150 {
			r.config.Sources.Drive[0].Folders = append(r.config.Sources.Drive[0].Folders, fmt.Sprintf("folder%03d", n))
		}
	})
	var repos []fake.Repo
	var ids []int64
	for n := range 130 {
		id := int64(90_000 + n)
		repos = append(repos, fake.Repo{ID: id, Owner: fake.CampusInstructor, Name: fmt.Sprintf("lab%03d", n), Private: true})
		ids = append(ids, id)
		s.taught = map[string][]broker.Course{"tea": append(s.taught["tea"], broker.Course{ID: fmt.Sprintf("courses/%d", n+1), Title: strings.Repeat("é", 5000)})}
	}
	if err := s.gh.Add(fake.Seed{Repos: repos, Installations: []fake.Installation{{ID: 7101, App: fake.CampusPushApp, Account: fake.CampusInstructor, Repos: ids}}}); err != nil {
		t.Fatal(err)
	}
	tea := browser(s.teacher())
	s.connect(tea, fake.CampusInstructor)
	s.connectCanvas(tea)
	list, err := s.Pick(t.Context(), tea, "")
	if err != nil || len(list) != 3 {
		t.Fatal(offered(list), err)
	}
	for _, o := range list {
		if len(o.Sources) != 100 || !o.More {
			t.Errorf("%s: %d, more %v", o.Host, len(o.Sources), o.More)
		}
	}
	if n := len([]rune(list[1].Sources[0].Title)); n != 200 {
		t.Errorf("a title of %d characters", n)
	}
	before := s.upstream()
	var last error
	for range 60 {
		if _, last = s.Pick(t.Context(), tea, ""); last != nil {
			break
		}
	}
	s.want("picking on and on", last, "DP-748")
	if n := s.upstream() - before; n != 0 {
		t.Errorf("%d requests for what was seen a moment ago", n)
	}
}
