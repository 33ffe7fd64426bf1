package pullpage

import (
	"path"
	"path/filepath"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/resolve"
)

// cameFrom says for people where a folder's content comes from.
func (s *Server) cameFrom(st pull.State) string {
	if !st.Content {
		o, err := readOrigin(st.Source)
		if err != nil {
			return ""
		}
		return o.String()
	}
	list, err := resolve.Places(st.Source, s.c.Settings.Sites)
	if err != nil || len(list) == 0 {
		return st.Last.Title
	}
	if st.Last.Title == "" {
		return list[0].Words
	}
	return st.Last.Title + ", " + list[0].Words
}

// tooLarge is the file of the source that was left out for its size, as a change tells
// it; "" where it was not.
func tooLarge(c pull.Change) string {
	if c.What != pull.LeftOut || !strings.HasPrefix(c.Why, "larger than ") {
		return ""
	}
	if c.From != "" {
		return c.From // a file that says so stands at Path
	}
	return c.Path
}

// offer gives the files that were left out for their size a button, where their source
// can bring them one by one. Those that are in offered have theirs.
func (s *Server) offer(view *changesView, folder string, offered map[string]bool) error {
	st, ok, err := s.c.State(folder)
	if err != nil || !ok || !st.Content {
		return err
	}
	for i := range view.Groups {
		items := view.Groups[i].Items
		for k := range items {
			if items[k].Large == "" || offered[items[k].Large] || items[k].Large != items[k].Path && !s.exists(path.Join(view.Folder, items[k].Path)) {
				continue // it came since
			}
			offered[items[k].Large] = true
			if items[k].Token, err = s.token(boundTo("include", "", "", view.Folder, items[k].Large, "", "", "")); err != nil {
				return err
			}
		}
	}
	return nil
}

// include brings a file that a report tells was left out for its size.
func (v *visit) include() error {
	rel, file := v.form["folder"], v.form["file"]
	folder, err := v.place(rel)
	if err != nil {
		return err
	}
	st, ok, err := v.s.c.State(folder)
	if err != nil {
		return err
	}
	entries, err := v.s.entries(folder)
	if err != nil {
		return err
	}
	if !ok || !st.Content || !wasLarge(entries, file) || !filepath.IsLocal(file) {
		return noSuchFile()
	}
	l, query, err := v.s.again(rel, st)
	if err != nil {
		return err
	}
	r := v.s.request(l)
	r.Include = literal(file)
	j, err := v.s.begin(query, l, r, false)
	if err != nil {
		return err
	}
	return v.redirect("pull?id=" + j.id)
}

func wasLarge(entries []Entry, file string) bool {
	for _, e := range entries {
		for _, c := range e.Report.Changes {
			if file != "" && tooLarge(c) == file {
				return true
			}
		}
	}
	return false
}

// again is the link to what a folder came from.
func (s *Server) again(rel string, st pull.State) (Link, string, error) {
	l := Link{Repo: first(st.Via, st.Source), Folder: rel, Depth: s.c.Settings.depth(), Content: &Content{Source: st.Source, Title: st.Last.Title}}
	if name, ok := strings.CutPrefix(st.Via, linkPrefix); ok {
		l.Content.Link = name
	}
	l.Origin = Origin{Name: first(st.Last.Title, filepath.Base(rel)), url: l.Repo}
	if src, ok := daypass.ParseSource(st.Source); ok {
		l.Origin.Host = src.Host
	}
	l.Target = l.FolderTarget(s.c.Settings)
	query, err := s.queryOf("repo", l.Repo)
	return l, query, err
}

// literal makes a pattern that names just this file.
func literal(file string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(file)
}
