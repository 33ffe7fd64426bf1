package server

import (
	"net/url"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// madePass is the page that shows a pass, once.
type madePass struct {
	Pass     string
	Made     api.PassReply
	Summary  summary
	Service  string
	Narrowed bool          // of one that was shown before
	Narrow   *narrowFields // nil: this service has no passes to narrow
}

// narrowFields are the form that makes a narrower pass of the one that is shown.
type narrowFields struct {
	Form        passForm
	Wrong       mistakes
	Times       []option
	First, Last string // days to choose from; Last may be empty
}

// noLimit bounds the end that may be asked for of a pass without one.
const noLimit = 10 * 365 * 24 * time.Hour

// showMade shows a pass in this answer and no other: there is nothing to come
// back to, and a form that is sent again is refused.
func (s *Server) showMade(v *visit, m madePass, f passForm, wrong mistakes) error {
	m.Summary, m.Service = s.passSummary(api.Pass{Limits: m.Made.Limits, Until: m.Made.Until}), s.c.URL.String()
	if s.c.Broker.NarrowPass != nil {
		now, chosen := s.c.Now().UTC(), f.For
		if chosen == "" {
			chosen = "as long"
		}
		m.Narrow = &narrowFields{Form: f, Wrong: wrong, Times: durations(chosen, 0, s.leftOf(m.Made)), First: now.Format(time.DateOnly)}
		if m.Made.Until != nil {
			m.Narrow.Last = m.Made.Until.UTC().Format(time.DateOnly)
		}
	}
	title := "Your pass"
	if m.Narrowed {
		title = "Your narrower pass"
	}
	m.Pass = m.Made.Pass.Reveal()
	return s.show(v, "passmade", title, m)
}

func (s *Server) leftOf(made api.PassReply) time.Duration {
	if made.Until == nil {
		return noLimit
	}
	return made.Until.Sub(s.c.Now())
}

// narrowPass makes a narrower pass of one that its page has just shown, and shows
// it likewise. The pass is in the form's body; nothing of either is kept, and
// nobody is asked, as on the command line. Where a field is wrong the first is
// shown again, since it may be nowhere else.
func (s *Server) narrowPass(v *visit) error {
	if s.c.Broker.NarrowPass == nil {
		return noPasses()
	}
	text := daypass.NewSecret(strings.TrimSpace(v.form.Get("pass")))
	if text.IsZero() || len(text.Reveal()) > api.MaxPassText || !s.looksLikePass(text) {
		return badForm("it holds no pass")
	}
	old, err := s.c.Broker.NarrowPass(text, api.PassLimits{}, time.Time{})
	if err != nil {
		return badForm(clean(err.Error(), 200))
	}
	f := narrowFormOf(v.form)
	limits, until, wrong := s.narrower(f, old)
	if len(wrong) == 0 {
		made, err := s.c.Broker.NarrowPass(text, limits, until)
		if err == nil {
			return s.showMade(v, madePass{Made: made, Narrowed: true}, passForm{}, nil)
		}
		wrong["none"] = sentence(clean(err.Error(), 200))
	}
	return s.showMade(v, madePass{Made: old, Narrowed: v.form.Get("narrowed") != ""}, f, wrong)
}

func narrowFormOf(q url.Values) passForm {
	f := passFormOf(q)
	return passForm{Repos: f.Repos, Access: q.Get("access"), For: f.For, Until: f.Until}
}

// narrower reads what is to be taken away.
func (s *Server) narrower(f passForm, old api.PassReply) (api.PassLimits, time.Time, mistakes) {
	var ask PassAsk
	wrong := mistakes{}
	ask.Limits.Repos = reposOf(f.Repos, wrong)
	switch f.Access {
	case "", "read":
		ask.Limits.Access = f.Access
	default:
		wrong["none"] = "Choose read only, or leave it."
	}
	if f.Until != "" || f.For != "" {
		s.ends(f, PassBounds{}, s.leftOf(old), &ask, wrong)
	}
	until := ask.Until
	if ask.For > 0 {
		until = s.c.Now().Add(ask.For).Truncate(time.Second).UTC()
	}
	if why := ask.Limits.Check(); why != "" && len(wrong) == 0 {
		wrong["repos"] = sentence(why)
	}
	if len(wrong) == 0 && f == (passForm{}) {
		wrong["none"] = "Nothing is taken away yet: choose at least one."
	}
	return ask.Limits, until, wrong
}

// reposOf reads repositories that were typed.
func reposOf(text string, wrong mistakes) []string {
	list := items(text)
	for _, r := range list {
		if !repoWord(r) {
			wrong["repos"] = "“" + clean(r, 80) + "” is not OWNER/NAME. Leave out the address and .git."
		}
	}
	return list
}
