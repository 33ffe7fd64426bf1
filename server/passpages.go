package server

import (
	"net/url"
	"time"

	"github.com/daypass-dev/daypass/api"
)

// passLine is one pass on the list.
type passLine struct {
	api.Pass
	Summary summary
	Good    bool
}

// passesMain is the page of one's passes.
type passesMain struct {
	Good, Over []passLine
	More       int // of Over that are not shown
}

// overShown is how many passes that ended are listed.
const overShown = 20

func (s *Server) passesPage(v *visit) error {
	if s.c.Broker.Passes == nil {
		return noPasses()
	}
	list, err := s.c.Broker.Passes(v.r.Context(), v.who.Caller)
	if err != nil {
		return err
	}
	var m passesMain
	for _, p := range list {
		line := s.passLine(p)
		switch {
		case line.Good:
			m.Good = append(m.Good, line)
		case len(m.Over) < overShown:
			m.Over = append(m.Over, line)
		default:
			m.More++
		}
	}
	return s.show(v, "passes", "Passes", m)
}

func (s *Server) passLine(p api.Pass) passLine {
	return passLine{Pass: p, Summary: s.passSummary(p), Good: p.Live(s.c.Now())}
}

// Last is when it was used last; zero: never.
func (p passLine) Last() time.Time {
	if p.Used == nil {
		return time.Time{}
	}
	return *p.Used
}

// Over is when it ended.
func (p passLine) Over() time.Time {
	if p.Ended != nil {
		return *p.Ended
	}
	if p.Until != nil {
		return *p.Until
	}
	return time.Time{}
}

func (s *Server) findPass(v *visit, id string) (api.Pass, error) {
	if s.c.Broker.Passes == nil {
		return api.Pass{}, noPasses()
	}
	id, err := passID(id)
	if err != nil {
		return api.Pass{}, err
	}
	list, err := s.c.Broker.Passes(v.r.Context(), v.who.Caller)
	if err != nil {
		return api.Pass{}, err
	}
	for _, p := range list {
		if p.ID == id {
			return p, nil
		}
	}
	return api.Pass{}, noSuchPass(id)
}

// passPage is one pass: what it allows, and what was done with it.
func (s *Server) passPage(v *visit) error {
	p, err := s.findPass(v, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	lines, next, err := s.c.Broker.Activity(v.r.Context(), v.who.Caller, ActivityQuery{Pass: p.ID, Before: v.before(), Limit: pageLines})
	if err != nil {
		return err
	}
	_, may := s.formLike(p)
	return s.show(v, "pass", "A pass", struct {
		passLine
		Lines []Activity
		Next  string
		Like  bool
	}{s.passLine(p), lines, next, may})
}

// before is the place in the activity that a page's link names.
func (v *visit) before() string {
	if b := v.r.URL.Query().Get("before"); len(b) <= 64 {
		return b
	}
	return ""
}

// newPassMain is the form, and once it is filled in, what it would make.
type newPassMain struct {
	Form        passForm
	Wrong       mistakes
	Hosts       []Host
	Times       []option
	Never       bool
	First, Last string // days to choose from
	Longest     time.Duration
	Again       time.Duration // what a new sign-in would allow; 0: no more
	Look        bool
	Summary     summary
	SignIn      string
}

func (s *Server) newPassPage(v *visit) error {
	q := v.r.URL.Query()
	f := passFormOf(q)
	if like := q.Get("like"); like != "" {
		p, err := s.findPass(v, like)
		if err != nil {
			return err
		}
		var ok bool
		if f, ok = s.formLike(p); !ok {
			return badForm("that pass has limits that this form cannot say, so that a new one would allow more")
		}
	}
	m, _, err := s.newPass(v, f)
	if err != nil {
		return err
	}
	if m.Look = q.Get("look") != "" && len(m.Wrong) == 0; q.Get("look") == "" {
		m.Wrong = nil
	}
	title := "Make a pass"
	if m.Look {
		title = "Is this the pass that you want?"
	}
	return s.show(v, "newpass", title, m)
}

// newPass reads a form, with all that its page shows.
func (s *Server) newPass(v *visit, f passForm) (newPassMain, PassAsk, error) {
	if s.c.Broker.PassBounds == nil {
		return newPassMain{}, PassAsk{}, noPasses()
	}
	bounds, err := s.c.Broker.PassBounds(v.r.Context(), v.who.Caller)
	if err != nil {
		return newPassMain{}, PassAsk{}, err
	}
	longest, again := bounds.Longest, time.Duration(0)
	if !v.fresh() && bounds.Short < longest {
		longest, again = bounds.Short, bounds.Longest
		bounds.Never = false
	}
	ask, wrong := s.ask(f, bounds, longest)
	ask.Fresh, ask.Request = v.fresh(), s.requestOf(v)
	now := s.c.Now().UTC()
	m := newPassMain{
		Form: f, Wrong: wrong, Hosts: s.c.Broker.Hosts, Times: durations(f.For, bounds.Usual, longest), Never: bounds.Never,
		First: now.Format(time.DateOnly), Last: now.Add(longest).Format(time.DateOnly), Longest: longest, Again: again,
		Summary: s.summary(ask.Limits), SignIn: s.path("signin") + "?next=" + url.QueryEscape(s.path("passes/new")),
	}
	m.Summary.Until, m.Summary.For, m.Summary.Never = ask.Until, ask.For, ask.Never
	return m, ask, nil
}

// makePass makes the pass and shows it.
func (s *Server) makePass(v *visit) error {
	f := passFormOf(v.form)
	m, ask, err := s.newPass(v, f)
	if err != nil {
		return err
	}
	if why := m.Wrong.first(); why != "" {
		return badForm(why)
	}
	made, err := s.c.Broker.MintPass(v.r.Context(), v.who.Caller, ask)
	if err != nil {
		return err
	}
	return s.showMade(v, madePass{Made: made}, passForm{}, nil)
}

func (s *Server) stopPass(v *visit) error {
	if s.c.Broker.EndPass == nil {
		return noPasses()
	}
	id, err := passID(v.form.Get("id"))
	if err != nil {
		return badForm("no pass was chosen")
	}
	event, ok, err := s.c.Broker.EndPass(v.r.Context(), v.who.Caller, id)
	switch {
	case err != nil:
		return err
	case !ok:
		return noSuchPass(id)
	}
	return s.show(v, "done", "The pass has ended", done{
		Text: "It opens nothing any more, nor does any that was narrowed from it. What was made with it is being ended.", Ended: Ended{Event: event},
		Go: s.path("passes"), GoText: "Back to your passes",
	})
}
