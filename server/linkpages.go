package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// linker reports whether somebody may make links, or has some. What cannot be found
// out is no reason to show no page.
func (s *Server) linker(v *visit) bool {
	if s.c.Broker.Links == nil {
		return false
	}
	if terms, err := s.c.Broker.LinkTerms(v.r.Context(), v.who.Caller); err == nil && terms.May {
		return true
	}
	list, err := s.c.Broker.Links(v.r.Context(), v.who.Caller)
	return err == nil && len(list) > 0
}

func noLinks() error {
	return refusal(http.StatusNotFound, 0, daypass.Problem{
		Code: "DP-762", What: "This access service has no links", Next: "Share the address of the content itself.", Who: `The hub's admins can turn links on: "links.groups".`, Kind: daypass.ErrRefused,
	})
}

func noSuchLink() error {
	return &status{http.StatusNotFound, &Refusal{Link: "links", Problem: &daypass.Problem{
		Code: "DP-763", What: "You have no link of that name", Next: "Look at the list of your links.", Kind: daypass.ErrRefused,
	}}}
}

// linkLine is a link on a page.
type linkLine struct{ api.Link }

// Good reports whether it opens, or will.
func (l linkLine) Good() bool { return l.State != "ended" && l.State != "over" }

// Heading is what it is called.
func (l linkLine) Heading() string {
	if l.Title != "" {
		return l.Title
	}
	return l.Name
}

// For says who may open it.
func (l linkLine) For() string {
	if l.Audience == api.Everybody {
		return "everybody at this hub"
	}
	return "the group " + l.Audience
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// Opened is how often it was opened, whatever came of it.
func (l linkLine) Opened() int64 { return l.Pulls + l.Failures }

// Begins, LastPull and LastFailure are times; zero where there is none.
func (l linkLine) Begins() time.Time      { return moment(l.From) }
func (l linkLine) LastPull() time.Time    { return moment(l.Pulled) }
func (l linkLine) LastFailure() time.Time { return moment(l.Failed) }

// linksMain is the page of one's links.
type linksMain struct {
	Terms      api.LinkTerms
	Good, Over []linkLine
	More       int // of Over that are not shown
	Soon       int // of Good that end within a week
}

func (s *Server) linksPage(v *visit) error {
	if s.c.Broker.Links == nil {
		return noLinks()
	}
	list, err := s.c.Broker.Links(v.r.Context(), v.who.Caller)
	if err != nil {
		return err
	}
	var m linksMain
	if m.Terms, err = s.c.Broker.LinkTerms(v.r.Context(), v.who.Caller); err != nil {
		return err
	}
	for _, l := range list {
		line := linkLine{s.shownLink(l)}
		switch {
		case line.Good():
			m.Good = append(m.Good, line)
			if l.EndsSoon {
				m.Soon++
			}
		case len(m.Over) < overShown:
			m.Over = append(m.Over, line)
		default:
			m.More++
		}
	}
	return s.show(v, "links", "Links", m)
}

// myLink finds one of the caller's own: no page shows another's.
func (s *Server) myLink(v *visit, name string) (api.Link, error) {
	if s.c.Broker.Links == nil {
		return api.Link{}, noLinks()
	}
	list, err := s.c.Broker.Links(v.r.Context(), v.who.Caller)
	if err != nil {
		return api.Link{}, err
	}
	i := slices.IndexFunc(list, func(l api.Link) bool { return l.Name == name && l.Mine })
	if i < 0 {
		return api.Link{}, noSuchLink()
	}
	return s.shownLink(list[i]), nil
}

// linkMain is the page of one link.
type linkMain struct {
	Link  linkLine
	Forms []written
	Form  linkFormMain
	Test  *tried
	Said  string // what was done just now
}

// written is one way to write a link down.
type written struct{ Name, Title, Text, Help string }

// tried is what came of a test.
type tried struct {
	Seen    api.SourceTest
	Trouble *Refusal // nil: it can be read
}

func (s *Server) linkPage(v *visit) error {
	l, err := s.myLink(v, v.r.PathValue("name"))
	if err != nil {
		return err
	}
	var m linkMain
	if v.r.URL.Query().Get(keyPick) == pickYes {
		if m.Form, err = s.linkForm(v, formOfLink(l)); err == nil && m.Form.Terms.May {
			err = s.pick(v, &m.Form)
		}
		if err != nil {
			return err
		}
		m.Form.Path = "links/" + l.Name
	}
	return s.showLink(v, http.StatusOK, l, m)
}

func (s *Server) showLink(v *visit, status int, l api.Link, m linkMain) error {
	m.Link = linkLine{l}
	for _, w := range []written{
		{"url", "The address", "", "For a page, a message or a syllabus. It is only a name: it opens nothing to anybody who is not in the group."},
		{"markdown", "A badge, in Markdown", "", "For a README or a notebook."},
		{"lti", "Launch address for Canvas or another LTI platform", "", "For an assignment of the type “external tool”, where the hub is set up for LTI 1.1. With LTI 1.3, take the address above as the target link."},
		{"lti_custom", "LTI custom parameter", "", "Where the platform's launch address is one for all assignments."},
		{"nbgitpuller", "An nbgitpuller link", "", "For hubs without daypass. The repository is public, so that it works there too; audience and end do not count."},
		{"binder", "On Binder", "", "The repository is public: anybody can open it at mybinder.org."},
	} {
		if w.Text = l.Forms[w.Name]; w.Text != "" {
			m.Forms = append(m.Forms, w)
		}
	}
	if m.Form.Path == "" {
		var err error
		if m.Form, err = s.linkForm(v, formOfLink(l)); err != nil {
			return err
		}
	}
	m.Form.Name, m.Form.Path, m.Form.Edit = l.Name, "links/"+l.Name, true
	return s.showStatus(v, status, "link", "Link "+l.Name, m)
}

// tryLink looks at a source as its link would read it.
func (s *Server) tryLink(v *visit, source daypass.Source) (*tried, error) {
	ctx, cancel := context.WithTimeout(v.r.Context(), linkTime)
	defer cancel()
	seen, err := s.c.Broker.TestSource(ctx, v.who.Caller, source, s.requestOf(v))
	if err == nil {
		return &tried{Seen: seen}, nil
	}
	ref, _, err := s.sayable(err)
	return &tried{Trouble: ref}, err
}

// sayable is a refusal that a form can show where it is; what is nobody's no is an
// error still.
func (s *Server) sayable(err error) (*Refusal, int, error) {
	ref, code := s.judge(err)
	if code == http.StatusInternalServerError {
		return nil, code, err
	}
	return ref, code, nil
}

// changeMyLink does what a button on a link's page says.
func (s *Server) changeMyLink(v *visit) error {
	l, err := s.myLink(v, v.r.PathValue("name"))
	if err != nil {
		return err
	}
	yes, no := true, false
	switch do := v.form.Get("do"); do {
	case "pause":
		return s.edited(v, l, LinkAsk{LinkRequest: api.LinkRequest{Paused: &yes}}, "It is paused: nobody can open it until you let it go on.")
	case "resume":
		return s.edited(v, l, LinkAsk{LinkRequest: api.LinkRequest{Paused: &no}}, "It goes on.")
	case "extend":
		return s.extend(v, l)
	case "end":
		if err := s.c.Broker.EndLink(v.r.Context(), v.who.Caller, l.Name, s.requestOf(v)); err != nil {
			return err
		}
		return s.show(v, "done", "The link has ended", done{
			Text: "Nobody can open it any more. What people pulled stays with them. Its name stays taken, so that what they wrote down never leads elsewhere.", Go: s.path("links"), GoText: "Back to your links",
		})
	case "student":
		return s.tryAsStudent(v, l)
	default:
		return s.formStep(v, &l, do)
	}
}

func (s *Server) extend(v *visit, l api.Link) error {
	terms, err := s.c.Broker.LinkTerms(v.r.Context(), v.who.Caller)
	if err != nil {
		return err
	}
	until := s.c.Now().UTC().Add(time.Duration(terms.Days) * 24 * time.Hour).Truncate(time.Second)
	return s.edited(v, l, LinkAsk{LinkRequest: api.LinkRequest{Until: &until}}, "It lasts until the end of "+until.Format(time.DateOnly)+" now.")
}

func (s *Server) edited(v *visit, l api.Link, ask LinkAsk, said string) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), linkTime)
	defer cancel()
	ask.Request = s.requestOf(v)
	now, err := s.c.Broker.EditLink(ctx, v.who.Caller, l.Name, ask)
	if err != nil {
		return err
	}
	return s.showLink(v, http.StatusOK, s.shownLink(now), linkMain{Said: said})
}

// tryAsStudent tells what a student sees, and reads the source as they would.
func (s *Server) tryAsStudent(v *visit, l api.Link) error {
	source, ok := daypass.ParseSource(l.Source)
	if !ok {
		return badForm("the link's source cannot be read")
	}
	t, err := s.tryLink(v, source)
	if err != nil {
		return err
	}
	seen, err := s.studentView(v, l.Name)
	if err != nil {
		return err
	}
	into := l.Folder
	if into == "" {
		into = l.Name
	}
	return s.show(v, "linkstudent", "What a student sees", struct {
		Link linkLine
		Test *tried
		Into string
		Own  bool // each reads it by their own account
		Seen studentView
	}{linkLine{l}, t, strings.TrimSuffix(into, "/"), l.Template || source.Kind == daypass.KindCanvas, seen})
}

// studentView is what somebody of a link's audience gets by it.
type studentView struct {
	Trouble  *Refusal // what they are told instead; nil: nothing
	Files    []api.SourceFile
	Left     []api.SourceFile // what is not brought, and why
	More     int              // that are not shown
	Complete bool
	Notes    []string
}

func (s *Server) studentView(v *visit, name string) (out studentView, err error) {
	ctx, cancel := context.WithTimeout(v.r.Context(), linkTime)
	defer cancel()
	seen, err := s.c.Broker.AsStudent(ctx, v.who.Caller, name, s.requestOf(v))
	if err != nil {
		out.Trouble, _, err = s.sayable(err)
		return out, err
	}
	out.Complete, out.Notes = seen.Complete, seen.Notes
	slices.SortFunc(seen.Files, func(a, b api.SourceFile) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range seen.Files {
		switch {
		case len(out.Files)+len(out.Left) >= browseShown:
			out.More++
		case f.Skip != "":
			out.Left = append(out.Left, f)
		default:
			out.Files = append(out.Files, f)
		}
	}
	return out, nil
}
