package broker_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

const canvasHost = "canvas.example.edu"

// A sourceRig is a rig with folders in Drive, courses in Canvas and two courses at
// the hub: ph142 and bio101, each with an account of its own, and stats, whose account
// two groups may use.
type sourceRig struct {
	*rig
	canvas *courses
	looks  atomic.Int64 // of the readers
	mu     sync.Mutex
	shared map[string]string // folder, and the account that it is shared with
	broken error
	gate   chan struct{} // not nil: a look waits for it

	taught map[string][]broker.Course // at the Canvas site, by whose connection asks
	lost   error                      // the site's answer to who asks for courses
	lists  atomic.Int64               // of courses that were asked for
}

func drive(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: id}
}

func course(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindCanvas, Host: canvasHost, ID: "courses/" + id}
}

func gitSource(repo daypass.Repo) daypass.Source {
	return daypass.Source{Kind: daypass.KindGit, Host: host, ID: repo.String()}
}

func record(at, id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindInvenio, Host: at, ID: id}
}

func newSourceRig(t testing.TB, changes ...change) *sourceRig {
	t.Helper()
	s := &sourceRig{canvas: &courses{now: time.Now, alive: map[string]int64{}, whose: map[string]string{}}, shared: map[string]string{
		"ph142Lab1": "ph142", "ph142Lab2": "ph142", "ph142Listed": "ph142", "bio101Lab": "bio101", "statsListed": "stats", "statsOther": "stats",
	}}
	with := func(r *rig) {
		s.rig = r
		s.canvas.now = r.now
		r.config.Issuers = append(r.config.Issuers, s.canvas)
		r.config.Sources = broker.Sources{
			Hosts: []string{"zenodo.org", "public.example"},
			Drive: []broker.DriveAccount{
				{Account: "ph142", Address: "ph142@sa.example", Groups: []string{"ph142-staff"}, Folders: []string{"ph142Listed"}},
				{Account: "bio101", Address: "bio101@sa.example", Groups: []string{"bio101-staff"}},
				{Account: "stats", Address: "stats@sa.example", Groups: []string{"stats-a", "stats-b"}, Folders: []string{"statsListed"}},
			},
			Rules: []broker.SourceRule{
				{Name: "handouts", Groups: []string{"ph142"}, Sources: []daypass.Source{drive("ph142Listed"), drive("ph142Lab2"), gitSource(homework)}},
				{Name: "one", Users: []string{"guest"}, Sources: []daypass.Source{drive("statsListed")}},
			},
			Links: broker.LinkRules{Groups: []string{"instructors"}},
			Look:  s.look, Courses: s.courses,
		}
	}
	newRig(t, append([]change{with}, changes...)...)
	if err := s.gh.Add(fake.Seed{Installations: []fake.Installation{{ID: 7100, App: fake.CampusPushApp, Account: "uni-course", Repos: []int64{fake.CampusHomeworkRepo}}}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// look is the reader of Drive, and of what needs none.
func (s *sourceRig) look(ctx context.Context, r broker.Reading) (daypass.Seen, error) {
	s.looks.Add(1)
	s.mu.Lock()
	gate, broken, with := s.gate, s.broken, s.shared[r.Source.ID]
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	switch {
	case broken != nil:
		return daypass.Seen{}, broken
	case r.Source.Kind == daypass.KindDrive && with != r.Account:
		return daypass.Seen{}, &daypass.Problem{Code: "DP-410", What: "Drive shows no such folder", Kind: daypass.ErrRefused, Err: daypass.ErrNoSource}
	}
	return daypass.Seen{Source: r.Source, Title: "Title of " + r.Source.ID, Mark: "1"}, nil
}

// courses lists what the person teaches whose token the broker gives out for a reading.
func (s *sourceRig) courses(ctx context.Context, y broker.Reading, most int) ([]broker.Course, bool, error) {
	token, _, err := s.ContentToken(ctx, y)
	if err != nil {
		return nil, false, err
	}
	s.lists.Add(1)
	who := s.canvas.owner(token)
	s.mu.Lock()
	gate, lost, list := s.gate, s.lost, s.taught[who]
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	if lost != nil {
		return nil, false, lost
	}
	return list[:min(len(list), most)], len(list) <= most, nil
}

func (s *sourceRig) share(folder, account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared[folder] = account
}

func (s *sourceRig) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

// upstream counts all requests to anybody outside.
func (s *sourceRig) upstream() int64 {
	return s.looks.Load() + s.asked.Load() + s.canvas.asked.Load() + s.lists.Load()
}

// quietly fails where something asks an upstream.
func (s *sourceRig) quietly(what string, f func()) {
	s.t.Helper()
	before := s.upstream()
	f()
	if n := s.upstream() - before; n != 0 {
		s.t.Errorf("%s: %d requests to an upstream", what, n)
	}
}

// the people: an instructor of each course, and students.
func (s *sourceRig) teacher() daypass.Caller { return s.user("tea", "instructors", "ph142-staff") }
func (s *sourceRig) other() daypass.Caller   { return s.user("oth", "instructors", "bio101-staff") }
func (s *sourceRig) student() daypass.Caller { return s.user("stu", "ph142") }

func ptr[T any](v T) *T { return &v }

func (s *sourceRig) link(c daypass.Caller, name string, source daypass.Source, group string) broker.LinkView {
	s.t.Helper()
	v, err := s.MakeLink(s.t.Context(), browser(c), broker.LinkAsk{Name: name, Source: &source, Audience: &group})
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *sourceRig) open(c daypass.Caller, name string) (broker.Reading, error) {
	return s.ReadSource(context.Background(), c, broker.SourceAsk{Link: name})
}

func (s *sourceRig) read(c daypass.Caller, source daypass.Source) (broker.Reading, error) {
	return s.ReadSource(context.Background(), c, broker.SourceAsk{Source: source})
}

func (s *sourceRig) mustOpen(c daypass.Caller, name string) broker.Reading {
	s.t.Helper()
	r, err := s.open(c, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *sourceRig) want(what string, err error, want string) {
	s.t.Helper()
	if code(err) != want {
		s.t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// courses is a stand-in for a Canvas site's issuer: what an issuer of content does,
// and no for the rest.
type courses struct {
	daypass.Issuer
	now   func() time.Time
	asked atomic.Int64
	mu    sync.Mutex
	n     int
	alive map[string]int64  // token, and whose
	whose map[string]string // by name
}

func (c *courses) owner(token daypass.Secret) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.whose[token.Reveal()]
}

func (c *courses) Host() string           { return canvasHost }
func (c *courses) App() string            { return "10000000000001" }
func (c *courses) Traits() daypass.Traits { return daypass.Traits{Content: true} }
func (c *courses) ReachURL() string       { return "https://" + canvasHost + "/profile/settings" }
func (c *courses) ConsentURL(q daypass.Consent) string {
	return "https://" + canvasHost + "/login/oauth2/auth?state=" + q.State
}

func (c *courses) make(name string, refresh daypass.Secret) daypass.Grant {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	token := "canvas-access-" + strings.Repeat("x", 20) + string(rune('a'+c.n))
	c.alive[token], c.whose[token] = int64(len(name)), name
	return daypass.Grant{Access: daypass.NewSecret(token), Until: c.now().Add(time.Hour), Refresh: refresh, Renew: daypass.Forever}
}

func (c *courses) Exchange(_ context.Context, who, _, _ string) (daypass.Grant, error) {
	c.asked.Add(1)
	return c.make(who, daypass.NewSecret("canvas-refresh-"+who)), nil
}

func (c *courses) Refresh(_ context.Context, refresh daypass.Secret) (daypass.Grant, error) {
	c.asked.Add(1)
	who := strings.TrimPrefix(refresh.Reveal(), "canvas-refresh-")
	return c.make(who, refresh), nil
}

func (c *courses) Whose(_ context.Context, access daypass.Secret) (daypass.Account, error) {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	id, ok := c.alive[access.Reveal()]
	if !ok {
		return daypass.Account{}, daypass.ErrSpent
	}
	return daypass.Account{ID: id, Login: "user", Email: "user@example.edu"}, nil
}

func (c *courses) end(token daypass.Secret) error {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alive, token.Reveal())
	return nil
}

func (c *courses) Live(_ context.Context, token daypass.Secret) (bool, error) {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.alive[token.Reveal()]
	return ok, nil
}

func (c *courses) Revoke(_ context.Context, token daypass.Secret) error     { return c.end(token) }
func (c *courses) Disconnect(_ context.Context, token daypass.Secret) error { return c.end(token) }

// connectCanvas is somebody who says yes at the Canvas site.
func (s *sourceRig) connectCanvas(c daypass.Caller) {
	s.t.Helper()
	to, err := s.StartConsent(s.t.Context(), browser(c), broker.ConsentStart{Session: "s-" + c.User.Name, Host: canvasHost, Redirect: callback})
	if err != nil {
		s.t.Fatal(err)
	}
	_, state, _ := strings.Cut(to, "state=")
	_, err = s.FinishConsent(s.t.Context(), browser(c), broker.ConsentEnd{Session: "s-" + c.User.Name, Host: canvasHost, State: state, Code: c.User.Name})
	if err != nil {
		s.t.Fatal(err)
	}
}

// sharedServers makes the servers of a name others' too.
func sharedServers(name string) change {
	return func(r *rig) {
		r.config.Hub.ServerKind = func(_ context.Context, c daypass.Caller) policy.ServerKind {
			if c.Server.Name == name {
				return policy.Shared
			}
			return policy.Own
		}
	}
}

// enrol is an admin's word.
func (s *sourceRig) enrol(source daypass.Source, account string) {
	s.t.Helper()
	if err := s.Enrol(s.t.Context(), source, account, "root"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sourceRig) stored(name string) store.Link {
	s.t.Helper()
	list, err := s.db.Links(s.t.Context(), store.LinkFilter{Name: name})
	if err != nil || len(list) != 1 {
		s.t.Fatalf("%s: %+v, %v", name, list, err)
	}
	return list[0]
}
