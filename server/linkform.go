package server

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// A linkForm is what somebody filled in, as it was sent.
type linkForm struct {
	Paste, Source, Name, Title, Folder, Open, App, Audience, From, Until, Like, Accept string
	// Named is the title that stands in the form by itself, as the source's own: left as
	// it is, it goes with the source.
	Named     string
	Everybody bool
}

func linkFormOf(q url.Values) linkForm {
	get := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return linkForm{
		Paste: get("paste"), Source: get("source"), Name: get("name"), Title: get("title"), Folder: get("folder"), Open: get("open"), App: get("app"), Audience: get("audience"),
		From: get("from"), Until: get("until"), Like: get("like"), Accept: get("accept"), Named: get("named"), Everybody: get("everybody") == "yes",
	}
}

// formOfLink fills a form in for a link as it is.
func formOfLink(l api.Link) linkForm {
	f := linkForm{Source: l.Source, Name: l.Name, Title: l.Title, Folder: l.Folder, Open: l.Open, App: l.App, Audience: l.Audience, Accept: l.Accept, Until: day(&l.Until), From: day(l.From)}
	if l.SourceTitle {
		f.Named = l.Title
	}
	if l.Audience == api.Everybody {
		f.Audience, f.Everybody = "", true
	}
	return f
}

func day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// linkFormMain is the form, with what was found out about it.
type linkFormMain struct {
	linkForm
	Path        string // where it is sent
	Edit        bool
	Terms       api.LinkTerms
	Readings    []Pasted    // of the paste, where there are several
	Picks       []api.Offer // to choose from
	Picked      bool        // they were asked for
	Chosen      *Pasted
	Test        *tried
	Browse      *browsed
	Wrong       mistakes
	Trouble     *Refusal
	Apps        []option
	First, Last string
}

// browsed is one folder of a source.
type browsed struct {
	At      string // with "/" at its end; "": the top
	Up      string
	Folders []string // names
	Files   []api.SourceFile
	More    int // that are not shown
	Whole   bool
	Notes   []string
}

// Short is a file's name in the folder.
func (b browsed) Short(f api.SourceFile) string { return strings.TrimPrefix(f.Path, b.At) }

const browseShown = 200

func (s *Server) newLinkPage(v *visit) error {
	f := linkFormOf(v.r.URL.Query())
	if f.Like != "" {
		l, err := s.myLink(v, f.Like)
		if err != nil {
			return err
		}
		f = formOfLink(l)
		f.Like, f.Name, f.From, f.Until, f.Accept = l.Name, "", "", "", "" // an invitation is last term's
	}
	m, err := s.linkForm(v, f)
	if err == nil && m.Terms.May && v.r.URL.Query().Get(keyPick) == pickYes {
		err = s.pick(v, &m)
	}
	if err != nil {
		return err
	}
	return s.showForm(v, http.StatusOK, m)
}

// keyPick is the field by which the address of a form says that it shows what there is to
// choose from: whoever connected a host on the way comes back so.
const keyPick, pickYes = "pick", "yes"

// pick asks what there is to choose from, for somebody whom the hub knows now.
func (s *Server) pick(v *visit, m *linkFormMain) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), linkTime)
	defer cancel()
	var list []api.Offer
	err := needsHub()
	if !v.who.Stale {
		list, err = s.c.Broker.Pick(ctx, v.who.Caller, s.requestOf(v))
	}
	if err != nil {
		m.Trouble, _, err = s.sayable(err)
		return err
	}
	m.Picks, m.Picked = list, true
	return nil
}

// Back is where somebody goes on who connects a host first.
func (m linkFormMain) Back() string {
	switch {
	case m.Edit:
		return "links/" + m.Name
	case m.Like != "":
		return "newlink?like=" + m.Like
	}
	return "newlink"
}

// Choices is how many there are to choose from.
func (m linkFormMain) Choices() (n int) {
	for _, o := range m.Picks {
		n += len(o.Sources)
	}
	return n
}

func (s *Server) showForm(v *visit, status int, m linkFormMain) error {
	title := "Make a link"
	if m.Like != "" {
		title = "Copy a link to a new term"
	}
	m.Path = "newlink"
	return s.showStatus(v, status, "linkform", title, m)
}

// linkForm reads the form as far as that needs no network.
func (s *Server) linkForm(v *visit, f linkForm) (linkFormMain, error) {
	if s.c.Broker.Links == nil {
		return linkFormMain{}, noLinks()
	}
	terms, err := s.c.Broker.LinkTerms(v.r.Context(), v.who.Caller)
	if err != nil {
		return linkFormMain{}, err
	}
	now := s.c.Now().UTC()
	m := linkFormMain{linkForm: f, Terms: terms, Wrong: mistakes{}, Apps: apps(f.App), First: now.Format(time.DateOnly), Last: now.Add(time.Duration(terms.Days) * 24 * time.Hour).Format(time.DateOnly)}
	s.readSource(v, &m)
	if m.Chosen != nil && m.Name == "" && m.Like == "" && m.Chosen.Source.Kind == daypass.KindGit {
		m.Name = suggest(m.Chosen.Source.ID)
	}
	return m, nil
}

// readSource says what was pasted, or chosen before.
func (s *Server) readSource(v *visit, m *linkFormMain) {
	text := m.Paste
	if text == "" {
		text = m.Source
	}
	if text == "" {
		return
	}
	list, err := s.c.Broker.ReadPaste(v.r.Context(), v.who.Caller, text)
	if err != nil || len(list) == 0 {
		ref, _ := s.judge(err)
		m.Wrong["paste"] = sentence(ref.Problem.What) + " " + sentence(ref.Problem.Why) + " " + sentence(ref.Problem.Next)
		m.Source = ""
		return
	}
	at := slices.IndexFunc(list, func(p Pasted) bool { return p.Source.String() == m.Source })
	if at < 0 {
		at = 0
	}
	if m.Paste != "" && len(list) > 1 {
		m.Readings = list
	}
	m.Chosen, m.Source = &list[at], list[at].Source.String()
	if m.Open == "" {
		m.Open = list[at].Open
	}
}

// suggest makes a link's name of a source's.
func suggest(id string) string {
	id = id[strings.LastIndexByte(id, '/')+1:]
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, strings.ReplaceAll(id, api.TemplateX, ""))
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '-' }), "-")
	if len(name) > 40 || len(name) < 3 || len(name) > 20 && !strings.Contains(name, "-") {
		return "" // nobody's words: an id of Drive's, say
	}
	return name
}

func apps(chosen string) []option {
	out := []option{{"", "as the hub does it", false}, {"lab", "JupyterLab", false}, {"notebook", "Jupyter Notebook", false}, {"rstudio", "RStudio", false}, {"vscode", "VS Code", false}}
	if !slices.ContainsFunc(out, func(o option) bool { return o.Value == chosen }) {
		out = append(out, option{chosen, chosen, false})
	}
	for i := range out {
		out[i].Chosen = out[i].Value == chosen
	}
	return out
}

// writeLink is each step of the form of a new link.
func (s *Server) writeLink(v *visit) error { return s.formStep(v, nil, v.form.Get("do")) }

// formStep does what a button of the form says, for a new link or for one that is.
func (s *Server) formStep(v *visit, l *api.Link, do string) error {
	f := linkFormOf(v.form)
	if l != nil {
		f.Name, f.Like = l.Name, ""
		if f.Source == "" {
			f.Source = l.Source
		}
	}
	at := ""
	if word, rest, ok := strings.Cut(do, ":"); ok && len(rest) <= api.MaxPath {
		do = word
		if word == "at" {
			at = rest
		} else {
			f.Open = rest
		}
	}
	if do == "pick" {
		f.Paste = "" // what is chosen then counts
	}
	m, err := s.linkForm(v, f)
	if err != nil {
		return err
	}
	m.Edit = l != nil
	if was := sourceBefore(v.form, f.Source); was != "" && m.Source != was && do != "make" && do != "save" {
		m.another()
	}
	status := http.StatusOK
	if do == "pick" {
		if err := s.pick(v, &m); err != nil {
			return err
		}
		return s.formAgain(v, l, status, m)
	}
	if m.Chosen != nil {
		switch do {
		case "test":
			m.Test, err = s.tryLink(v, m.Chosen.Source)
			if err == nil && m.Test.Trouble == nil {
				m.named(m.Test.Seen.Title)
			}
		case "at", "browse":
			m.Browse, m.Trouble, err = s.browse(v, m.Chosen.Source, at)
		case "make", "save":
			return s.putLink(v, l, m)
		}
	} else if do != "read" && len(m.Wrong) == 0 {
		m.Wrong["paste"] = "Paste an address first."
	}
	if err != nil {
		return err
	}
	if len(m.Wrong) > 0 {
		status = http.StatusBadRequest
	}
	return s.formAgain(v, l, status, m)
}

// sourceBefore is the source that the form was about. Where one was chosen from a list,
// that comes first, and the form's own last.
func sourceBefore(form url.Values, source string) string {
	if all := form["source"]; len(all) > 1 {
		return all[len(all)-1]
	}
	return source
}

// another drops what was said of another source than the form's of now.
func (m *linkFormMain) another() {
	m.Accept = ""
	if m.Title == m.Named {
		m.Title, m.Named = "", ""
	}
}

// Template reports whether the source stands for one of each student's own.
func (m linkFormMain) Template() bool {
	return m.Chosen != nil && strings.Contains(m.Chosen.Source.ID, api.TemplateX)
}

// named fills in what a source's own title suggests.
func (m *linkFormMain) named(title string) {
	if m.Title == "" || m.Title == m.Named {
		m.Title = clean(title, api.MaxTitle)
		m.Named = m.Title
	}
	if m.Name == "" {
		m.Name = suggest(title)
	}
}

func (s *Server) formAgain(v *visit, l *api.Link, status int, m linkFormMain) error {
	if l == nil {
		return s.showForm(v, status, m)
	}
	m.Path = "links/" + l.Name
	return s.showLink(v, status, *l, linkMain{Form: m})
}

// putLink makes, copies or changes a link.
func (s *Server) putLink(v *visit, l *api.Link, m linkFormMain) error {
	ask := s.readLink(&m)
	ask.Request = s.requestOf(v)
	if len(m.Wrong) > 0 {
		return s.formAgain(v, l, http.StatusBadRequest, m)
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), linkTime)
	defer cancel()
	var made api.Link
	var err error
	said := "The link is made. Copy its address below."
	switch {
	case l != nil:
		said = "It is changed."
		if l.Source == m.Source {
			ask.Source, ask.LinkRequest.Source = nil, nil
		}
		if day(&l.Until) == m.Until {
			ask.Until = nil
		}
		made, err = s.c.Broker.EditLink(ctx, v.who.Caller, l.Name, ask)
	case m.Like != "":
		made, err = s.c.Broker.CopyLink(ctx, v.who.Caller, m.Like, ask)
	default:
		made, err = s.c.Broker.MakeLink(ctx, v.who.Caller, ask)
	}
	if err != nil {
		ref, code, err := s.sayable(err)
		if err != nil {
			return err
		}
		m.Trouble = ref
		return s.formAgain(v, l, code, m)
	}
	return s.showLink(v, http.StatusOK, s.shownLink(made), linkMain{Said: said})
}

// readLink reads the form's fields. A day goes to its end in UTC.
func (s *Server) readLink(m *linkFormMain) LinkAsk {
	audience := m.Audience
	if m.Everybody {
		audience = api.Everybody
	}
	q := api.LinkRequest{Source: &m.Source, Title: &m.Title, Folder: &m.Folder, Open: &m.Open, App: &m.App, Audience: &audience}
	if m.Title != "" && m.Title == m.Named {
		q.Title = nil
	}
	if m.Template() || m.Accept != "" {
		q.Accept = &m.Accept
	}
	if m.Accept != "" {
		if _, ok := daypass.PageHost(m.Accept); !ok {
			m.Wrong["accept"] = "That is no address such as https://classroom.github.com/a/XXXX."
		}
	}
	if !m.Edit {
		if q.Name = m.Name; !api.LinkName(m.Name) {
			m.Wrong["name"] = "It has 3 to 64 small letters, digits and hyphens."
		}
	}
	if audience == "" {
		m.Wrong["audience"] = "Name a group of the hub."
	}
	if m.From != "" || m.Edit {
		from, err := time.Parse(time.DateOnly, m.From)
		if err != nil && m.From != "" {
			m.Wrong["from"] = "That is no date such as 2026-09-01."
		}
		q.From = &from
	}
	q.Until = s.lastDay(m.Until, m.Terms, m.Wrong)
	ask, err := readLinkAsk(q, "")
	if err != nil && len(m.Wrong) == 0 {
		ref, _ := s.judge(err)
		m.Wrong["title"] = sentence(ref.Problem.Why)
	}
	return ask
}

// lastDay reads the day of a link's end; nil where none is given.
func (s *Server) lastDay(text string, terms api.LinkTerms, wrong mistakes) *time.Time {
	if text == "" {
		return nil
	}
	until, err := time.Parse(time.DateOnly, text)
	if err != nil {
		wrong["until"] = "That is no date such as 2026-12-31."
	}
	until = until.Add(24*time.Hour - time.Second)
	if last := s.c.Now().UTC().Add(time.Duration(terms.Days) * 24 * time.Hour).Truncate(time.Second); day(&last) == text {
		until = last
	}
	return &until
}

// browse lists one folder of a source.
func (s *Server) browse(v *visit, source daypass.Source, at string) (*browsed, *Refusal, error) {
	ctx, cancel := context.WithTimeout(v.r.Context(), linkTime)
	defer cancel()
	list, err := s.c.Broker.BrowseSource(ctx, v.who.Caller, source, s.requestOf(v))
	if err != nil {
		ref, _, err := s.sayable(err)
		return nil, ref, err
	}
	b := &browsed{At: at, Whole: list.Complete, Notes: list.Notes}
	if i := strings.LastIndexByte(strings.TrimSuffix(at, "/"), '/'); i >= 0 {
		b.Up = at[:i+1]
	}
	for _, f := range list.Files {
		rest, ok := strings.CutPrefix(f.Path, at)
		if !ok || rest == "" {
			continue
		}
		folder, _, deeper := strings.Cut(rest, "/")
		switch {
		case deeper && slices.Contains(b.Folders, folder):
		case len(b.Folders)+len(b.Files) >= browseShown || len(f.Path) > api.MaxPath:
			b.More++
		case deeper:
			b.Folders = append(b.Folders, folder)
		default:
			b.Files = append(b.Files, f)
		}
	}
	slices.Sort(b.Folders)
	slices.SortFunc(b.Files, func(x, y api.SourceFile) int { return strings.Compare(x.Path, y.Path) })
	return b, nil, nil
}
