package pullpage

import (
	"context"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/resolve"
)

// A Content is what is not git's, or is the access service's to give out.
type Content struct {
	Link   string // the name of a link of the access service; "" of a plain source
	Title  string // may be empty
	Words  string // what it is, for people: "a folder of Google Drive"
	Maker  string // of the link; may be empty
	Source string // canonical, as a folder's state has it; "" where only its host knows
	Until  time.Time
	// Connect is a page of the access service that has to be visited first; "" is none.
	Connect string
}

// Told is what the access service says of a link. All of it is its word, and looked at
// before it is used.
type Told struct {
	Name    string    `json:"name"`
	Title   string    `json:"title"`
	Source  string    `json:"source"`
	Words   string    `json:"words"`
	Folder  string    `json:"folder"`
	Open    string    `json:"open"`
	App     string    `json:"app"`
	Maker   string    `json:"maker"`
	Until   time.Time `json:"until"`
	Connect string    `json:"connect"`
}

// linkPrefix begins the name of a link of the access service, where "daypass pull" is
// asked for a source.
const linkPrefix = "link:"

// linkNamed is the link of the access service that a query names: link=NAME, or as its
// repository link:NAME or the link's own address.
func (s Settings) linkNamed(page string, v Values) (string, bool, error) {
	name, ok := v["link"], page == NameDaypass && v["link"] != ""
	if repo := v["repo"]; !ok {
		name, ok = strings.CutPrefix(repo, linkPrefix)
		if base := strings.TrimSuffix(s.Service, "/"); !ok && base != "" {
			name, ok = strings.CutPrefix(repo, base+"/l/")
		}
	}
	if ok && (len(name) < 3 || len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "") {
		return "", true, badLink("what it names as link is none")
	}
	return name, ok, nil
}

// toldFor is how long what the service said of a link stands: from its page until its
// button is pressed.
const (
	toldFor  = tokenFor
	maxLinks = 50
)

type toldAt struct {
	Told
	at time.Time
}

// ask asks the access service what a link brings. What was told a moment ago stands
// where again is true.
func (s *Server) ask(ctx context.Context, name string, again bool) (Told, error) {
	now := s.c.Now()
	s.mu.Lock()
	t, ok := s.links[name]
	s.mu.Unlock()
	if ok && again && now.Sub(t.at) < toldFor {
		return t.Told, nil
	}
	told, err := s.c.Link(ctx, name)
	if err != nil {
		return Told{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.links) >= maxLinks {
		clear(s.links)
	}
	s.links[name] = toldAt{told, now}
	return told, nil
}

// read reads the values of a link, and asks the access service of one of its own.
func (s *Server) read(ctx context.Context, v Values, again bool) (Link, error) {
	name, ok, err := s.c.Settings.linkNamed(s.c.Name, v)
	switch {
	case err != nil:
		return Link{}, err
	case !ok:
		l, err := ReadLink(s.c.Name, v, s.c.Settings)
		if err == nil && l.Unnamed {
			err = s.settle(&l, v)
		}
		return l, err
	}
	told, err := s.ask(ctx, name, again)
	if err != nil {
		return Link{}, err
	}
	return s.linkTo(told)
}

// linkTo is the link of what the service said.
func (s *Server) linkTo(t Told) (Link, error) {
	service, err := url.Parse(s.c.Settings.Service)
	if err != nil {
		return Link{}, badSettings("the access service's address is none", err)
	}
	c := &Content{Link: t.Name, Title: t.Title, Words: t.Words, Maker: t.Maker, Source: t.Source, Until: t.Until}
	if t.Connect != "" {
		if !s.connects(t.Connect) {
			return Link{}, badTarget("it would have you log in at an address that is not the access service's")
		}
		c.Connect = t.Connect
	}
	l := Link{Repo: linkPrefix + t.Name, Depth: s.c.Settings.depth(), Content: c, Origin: Origin{Scheme: service.Scheme, Host: strings.ToLower(service.Host), Name: first(t.Title, t.Name), url: linkPrefix + t.Name}}
	parent, err := s.c.Settings.parent()
	if err != nil {
		return Link{}, badSettings("the parent folder is not below the server's root", err)
	}
	if err := l.into(parent, first(t.Folder, t.Name)); err != nil {
		return Link{}, err
	}
	if l.Target, err = s.opened(l.Folder, t.App, t.Open); err != nil {
		return Link{}, err
	}
	l.Backup = s.others(l)
	return l, nil
}

// others reports whether the folder of a link is another source's, which no pull of the
// link is made into: it is put aside, after a yes.
func (s *Server) others(l Link) bool {
	_, _, err := s.c.State(s.folder(l.Folder))
	return err == nil && s.elsewhere(l)
}

// opened is the target of a file in a folder, in the application that the link's maker
// chose.
func (s *Server) opened(folder, app, file string) (Target, error) {
	if bad := climbs(escapePath(file)); bad != "" || strings.HasPrefix(file, "/") {
		return Target{}, badTarget(first(bad, "the file that it opens is outside of its folder"))
	}
	p := escapePath(path.Join(folder, file))
	switch app = daypass.FoldASCII(strings.Trim(app, "/")); app {
	case "":
		app = first(s.c.Settings.App, "lab")
	case "jupyterlab":
		app = "lab"
	case "tree":
		app = "notebook"
	}
	switch app {
	case "lab", "notebook", "retro":
		return checkTarget(prefix(app, p) + p)
	case "rstudio":
		return checkTarget("rstudio/")
	case "vscode":
		return checkTarget("vscode/?" + url.Values{"folder": {s.folder(folder)}}.Encode())
	}
	return checkTarget(app + "/" + p)
}

// connects reports whether an address is the access service's page for connecting a
// host.
func (s *Server) connects(address string) bool {
	return s.toConnect(address) != "" && s.follows(address, false)
}

// toConnect is the host that such a page connects; "" of any other address.
func (s *Server) toConnect(address string) string {
	base := strings.TrimSuffix(s.c.Settings.Service, "/")
	rest, ok := strings.CutPrefix(address, base+"/connect/")
	host, _, _ := strings.Cut(rest, "?")
	if base == "" || !ok || !daypass.CleanHost(host) {
		return ""
	}
	return host
}

// connectIn is the page of the access service that a message says to visit, leading back
// to the link; "" where it says none.
func (s *Server) connectIn(code string, l Link, text string) string {
	if l.Content == nil || l.Content.Link == "" {
		return ""
	}
	for _, part := range s.linked(code, text) {
		if s.connects(part.Href) {
			return s.back(part.Href, l.Content.Link)
		}
	}
	return ""
}

// back adds to such a page the link that it is to lead back to.
func (s *Server) back(connect, link string) string {
	u, err := url.Parse(connect)
	if err != nil {
		return connect
	}
	u.RawQuery = url.Values{"next": {"l/" + link}}.Encode()
	return u.String()
}

// plainSource reads an address as that of content that is not git's; false where it is
// not, or where the text does not tell.
func (s Settings) plainSource(repo string) (resolve.Place, bool) {
	list, err := resolve.Places(repo, s.Sites)
	if err != nil || len(list) == 0 || slices.ContainsFunc(list, func(p resolve.Place) bool { return p.Git != nil }) {
		return resolve.Place{}, false
	}
	return list[0], true
}

// fromPlace makes the link one of content.
func (l *Link) fromPlace(p resolve.Place) {
	l.Content = &Content{Words: p.Words}
	host, id := p.Source.Host, p.Source.ID
	if p.Ask == "" || p.Source.Kind == daypass.KindDOI {
		l.Repo = p.Source.String()
	} else {
		l.Repo = p.URL
		if u, err := url.Parse(p.URL); err == nil && u.Host != "" {
			host, id = strings.ToLower(u.Host), strings.Trim(u.Path, "/")
		}
	}
	if p.Ask == "" {
		l.Content.Source = l.Repo
	}
	l.Ref = ""
	l.Origin = Origin{Scheme: "https", Host: host, Name: id, url: l.Repo, folder: folderFor(p)}
}

// folderFor is a name for a folder of content whose title nobody has asked for yet.
func folderFor(p resolve.Place) string {
	name := path.Base(strings.Trim(first(p.Source.Path, p.Source.ID, p.Source.Kind), "/"))
	name = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`\:?#%*"<>|`, r) {
			return '-'
		}
		return r
	}, name)
	if len(name) > 60 {
		name = name[:60]
	}
	kind := p.Source.Kind
	if kind == daypass.KindInvenio {
		kind, _, _ = strings.Cut(p.Source.Host, ".")
	}
	return kind + "-" + strings.TrimLeft(name, ".-")
}

// elsewhere reports whether the folder of a link holds what came from another source.
func (s *Server) elsewhere(l Link) bool {
	st, ok, err := s.c.State(s.folder(l.Folder))
	switch {
	case err != nil:
		return true
	case !s.exists(l.Folder):
		return false
	case !ok:
		return st.Source != "" // a clone
	}
	return !s.from(l, st)
}

// from reports whether a folder came from what a link names.
func (s *Server) from(l Link, st pull.State) bool {
	if l.Content.Link != "" && st.Via == linkPrefix+l.Content.Link && st.Service == s.service() {
		return true // it goes where its link leads
	}
	a, ok := daypass.ParseSource(l.Content.Source)
	b, known := daypass.ParseSource(st.Source)
	return ok && known && st.Content && a.Kind == b.Kind && a.Host == b.Host && a.ID == b.ID
}

// service is the access service's address, as a folder's state has it.
func (s *Server) service() string { return strings.TrimSuffix(s.c.Settings.Service, "/") }

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
