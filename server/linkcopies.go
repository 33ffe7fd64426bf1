package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/api"
)

// copiesMain is the form that copies a course's links to a new term, with what would come
// of it.
type copiesMain struct {
	Terms       api.LinkTerms
	Groups      []option // that one's links are for
	Group       string   // the one that is shown
	Begins, By  string   // of names: what is replaced, and by what
	Suffix      string
	Audience    string
	Until       string
	Rows        []copyRow
	Count       int // of rows that are ticked
	Ready       bool
	Wrong       mistakes
	Trouble     *Refusal
	First, Last string
	Most        int
}

// copyRow is one link, and what its copy would be called.
type copyRow struct {
	linkLine
	New    string
	Ticked bool
	Clash  string // why it cannot be called so; "": it can, as far as is known
}

func (s *Server) copyCoursePage(v *visit) error {
	m, err := s.copies(v, v.r.URL.Query())
	if err != nil {
		return err
	}
	return s.showCopies(v, http.StatusOK, m)
}

func (s *Server) showCopies(v *visit, status int, m copiesMain) error {
	return s.showStatus(v, status, "linkcopies", "Copy a course to a new term", m)
}

// copies reads the form.
func (s *Server) copies(v *visit, q map[string][]string) (copiesMain, error) {
	if s.c.Broker.Links == nil {
		return copiesMain{}, noLinks()
	}
	list, err := s.c.Broker.Links(v.r.Context(), v.who.Caller)
	if err != nil {
		return copiesMain{}, err
	}
	terms, err := s.c.Broker.LinkTerms(v.r.Context(), v.who.Caller)
	if err != nil {
		return copiesMain{}, err
	}
	get := func(name string) string { return strings.TrimSpace(strings.Join(q[name], "")) }
	now := s.c.Now().UTC()
	m := copiesMain{
		Terms: terms, Group: get("group"), Begins: get("begins"), By: get("by"), Suffix: get("suffix"), Audience: get("audience"), Until: get("until"), Wrong: mistakes{}, Most: api.MaxCopies,
		First: now.Format(time.DateOnly), Last: now.Add(time.Duration(terms.Days) * 24 * time.Hour).Format(time.DateOnly),
	}
	m.group(list)
	shown := get("shown")
	if shown != m.Group && m.Begins == "" {
		m.Begins = m.Group
	}
	if m.By == "" && m.Suffix == "" {
		m.By = m.Audience
	}
	m.rows(list, q["link"], shown == m.Group)
	return m, nil
}

// group lists the groups that links are for; of none that was chosen it is the one that
// has the most.
func (m *copiesMain) group(list []api.Link) {
	count := map[string]int{}
	for _, l := range list {
		if l.State != "ended" {
			count[l.Audience]++
		}
	}
	for name := range count {
		m.Groups = append(m.Groups, option{Value: name, Text: linkLine{api.Link{Audience: name}}.For()})
	}
	slices.SortFunc(m.Groups, func(a, b option) int {
		if n := count[b.Value] - count[a.Value]; n != 0 {
			return n
		}
		return strings.Compare(a.Value, b.Value)
	})
	if count[m.Group] == 0 && len(m.Groups) > 0 {
		m.Group = m.Groups[0].Value
	}
	for i := range m.Groups {
		m.Groups[i].Chosen = m.Groups[i].Value == m.Group
	}
}

// rows are the links of the group, with those ticked that were; all, where they were not
// shown before.
func (m *copiesMain) rows(list []api.Link, ticked []string, before bool) {
	begins, named := m.Begins, m.By != "" || m.Suffix != ""
	if m.By == "" {
		begins = "" // there is nothing yet to put in its place
	}
	taken, seen := map[string]bool{}, map[string]bool{}
	for _, l := range list {
		taken[l.Name] = true
	}
	for _, l := range list {
		if l.Audience != m.Group || l.State == "ended" {
			continue
		}
		row := copyRow{linkLine: linkLine{l}, New: api.CopyName(l.Name, begins, m.By, m.Suffix), Ticked: !before || slices.Contains(ticked, l.Name)}
		switch {
		case !row.Ticked || !named:
		case row.New == l.Name:
			row.Clash = "that is its name now"
		case !api.LinkName(row.New):
			row.Clash = "a name has 3 to 64 small letters, digits and hyphens"
		case taken[row.New]:
			row.Clash = "you have, or had, a link of that name"
		case seen[row.New]:
			row.Clash = "another would be called so too"
		}
		if row.Ticked {
			seen[row.New] = true
			m.Count++
		}
		m.Rows = append(m.Rows, row)
	}
	slices.SortFunc(m.Rows, func(a, b copyRow) int { return strings.Compare(a.Name, b.Name) })
	m.Ready = named && m.Count > 0 && m.Count <= api.MaxCopies && !slices.ContainsFunc(m.Rows, func(r copyRow) bool { return r.Clash != "" })
}

// copyCourse shows what would come of the form, or does it.
func (s *Server) copyCourse(v *visit) error {
	m, err := s.copies(v, v.form)
	if err != nil || v.form.Get("do") != "make" {
		if err != nil {
			return err
		}
		return s.showCopies(v, http.StatusOK, m)
	}
	ask := s.copiesAsk(&m)
	ask.Request = s.requestOf(v)
	if len(m.Wrong) > 0 || !m.Ready {
		return s.showCopies(v, http.StatusBadRequest, m)
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), linkTime)
	defer cancel()
	made, err := s.c.Broker.CopyLinks(ctx, v.who.Caller, ask)
	if err != nil {
		ref, code, err := s.sayable(err)
		if err != nil {
			return err
		}
		m.Trouble = ref
		return s.showCopies(v, code, m)
	}
	var names []string
	for _, l := range made {
		names = append(names, l.Name)
	}
	return s.show(v, "done", "The links are copied", done{
		Text: "For " + linkLine{api.Link{Audience: m.Audience}}.For() + " there are now: " + strings.Join(names, ", ") + ". The old ones stay as they are.", Go: s.path("links"), GoText: "Back to your links",
	})
}

func (s *Server) copiesAsk(m *copiesMain) CopiesAsk {
	q := api.LinkCopies{Audience: &m.Audience}
	for _, r := range m.Rows {
		if r.Ticked {
			q.Copies = append(q.Copies, api.LinkCopy{Like: r.Name, Name: r.New})
		}
	}
	if m.Audience == "" {
		m.Wrong["audience"] = "Name a group of the hub."
	}
	q.Until = s.lastDay(m.Until, m.Terms, m.Wrong)
	if why := q.Check(); why != "" && m.Ready && len(m.Wrong) == 0 {
		m.Wrong["audience"] = sentence(why)
	}
	return CopiesAsk{LinkCopies: q}
}
