// Package figshare reads articles of figshare and of the portals that institutions
// have there, by version 2 of its interface (docs.figshare.com). A source's ID is an
// article's number; Ref is a version, and without it the newest is meant. At a portal's
// host only what is that portal's is read.
package figshare

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/deposit"
)

// Figshare reads one site. It is a [daypass.Contents].
type Figshare struct{ site *deposit.Site }

var _ daypass.Contents = (*Figshare)(nil)

const (
	// Host is figshare's own.
	Host = "figshare.com"
	// apiHost answers for it and for all portals, with one series of numbers.
	apiHost = "api.figshare.com"
)

// New returns a reader. figshare asks for one request a second at most.
func New(c deposit.Config) *Figshare {
	t := deposit.Traits{API: apiHost, Header: "Authorization", Every: time.Second}
	if c.Plain { // a stand-in is one host
		t.API = c.Host
	}
	if token := c.Token; token != nil {
		c.Token = func(ctx context.Context) (daypass.Secret, error) {
			s, err := token(ctx)
			if err != nil || s.IsZero() {
				return s, err
			}
			return daypass.NewSecret("token " + s.Reveal()), nil
		}
	}
	return &Figshare{deposit.New(c, t)}
}

var number = pattern(`^[1-9][0-9]{0,11}$`)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

func (f *Figshare) check(s daypass.Source) error {
	if s.Kind != daypass.KindFigshare || s.Host != f.site.Host || !number().MatchString(s.ID) || s.Ref != "" && !number().MatchString(s.Ref) {
		return f.site.Odd()
	}
	return nil
}

type article struct {
	ID       deposit.Text      `json:"id"`
	Title    string            `json:"title"`
	Version  int               `json:"version"`
	Modified string            `json:"modified_date"`
	Page     string            `json:"url_public_html"`
	Embargo  bool              `json:"is_embargoed"`
	Record   bool              `json:"is_metadata_record"`
	Folders  map[string]string `json:"folder_structure"` // of a file, by its number
}

func (f *Figshare) article(ctx context.Context, s daypass.Source) (article, error) {
	at := f.site.URL("v2", "articles", s.ID)
	if s.Ref != "" {
		at = f.site.URL("v2", "articles", s.ID, "versions", s.Ref)
	}
	var a article
	if err := f.site.JSON(ctx, at, "", &a); err != nil {
		return article{}, err
	}
	switch {
	case string(a.ID) != s.ID || a.Version <= 0 || s.Ref != "" && strconv.Itoa(a.Version) != s.Ref:
		return article{}, f.site.Partial()
	case !f.ours(a):
		return article{}, &daypass.Problem{
			Code: "DP-441", What: "The article is not one of " + f.site.Host, Why: "figshare shows it at another portal", Next: "Give its own address: https://" + Host + "/articles/_/" + s.ID + ".",
			Who: "An admin lists further hosts for the access service.", Kind: daypass.ErrRefused, Err: daypass.ErrNoSource,
		}
	}
	return a, nil
}

// ours: numbers are the same everywhere, so that a portal would show another's.
func (f *Figshare) ours(a article) bool {
	if f.site.Host == Host || f.site.Plain {
		return true
	}
	u, err := url.Parse(a.Page)
	return err == nil && strings.EqualFold(u.Host, f.site.Host)
}

func (a article) mark() string { return fmt.Sprintf("%s.v%d %s", a.ID, a.Version, a.Modified) }

func (f *Figshare) page(a article) string {
	return f.site.Page("articles", "_", string(a.ID), strconv.Itoa(a.Version))
}

// Look asks for the article.
func (f *Figshare) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	if err := f.check(s); err != nil {
		return daypass.Seen{}, err
	}
	a, err := f.article(ctx, s)
	if err != nil {
		return daypass.Seen{}, err
	}
	s.Ref = strconv.Itoa(a.Version)
	return daypass.Seen{Source: s, Title: a.Title, Mark: a.mark(), Same: mark == a.mark(), Web: f.page(a)}, nil
}

type file struct {
	ID   deposit.Text `json:"id"`
	Name string       `json:"name"`
	Size *int64       `json:"size"`
	MD5  string       `json:"computed_md5"`
	Link bool         `json:"is_link_only"`
}

const (
	perPage   = 100
	leastPage = 10
	maxPages  = 400
)

// files asks for all pages of a version's files.
func (f *Figshare) files(ctx context.Context, a article) ([]file, error) {
	var all []file
	seen := map[deposit.Text]bool{}
	for page := 1; page <= maxPages; page++ {
		q := url.Values{"page": {strconv.Itoa(page)}, "page_size": {strconv.Itoa(perPage)}}
		var some []file
		if err := f.site.JSON(ctx, f.site.URL("v2", "articles", string(a.ID), "versions", strconv.Itoa(a.Version), "files")+"?"+q.Encode(), "", &some); err != nil {
			return nil, err
		}
		for _, x := range some {
			if seen[x.ID] || !number().MatchString(string(x.ID)) {
				return nil, f.site.Partial()
			}
			seen[x.ID] = true
		}
		// A page may hold fewer than was asked for, but not fewer than figshare's own ten
		// where another comes: a file that is not seen would be taken for a deleted one.
		if all = append(all, some...); len(some) == 0 || len(all) < leastPage {
			return all, nil
		}
	}
	return nil, f.site.Partial()
}

// List asks for the article and its files' pages.
func (f *Figshare) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	if err := f.check(s); err != nil {
		return daypass.Listing{}, err
	}
	a, err := f.article(ctx, s)
	if err != nil {
		return daypass.Listing{}, err
	}
	files, err := f.files(ctx, a)
	if err != nil {
		return daypass.Listing{}, err
	}
	l := daypass.Listing{Complete: true, Mark: a.mark(), Title: a.Title}
	switch {
	case len(files) == 0 && a.Embargo:
		return daypass.Listing{}, f.site.Absent() // they are there, and nothing was taken back
	case len(files) == 0:
		l.Notes = []string{"The article has no files, only a description."}
	}
	for _, x := range files {
		l.Items = append(l.Items, f.item(a, x))
	}
	return f.site.Ordered(l, s.Path)
}

// A target is the number of a file.
type target string

func (f *Figshare) item(a article, x file) daypass.Item {
	it := daypass.Item{Parts: []string{x.Name}, ID: string(x.ID), Size: -1, Sum: deposit.Sum("md5", x.MD5), Mark: string(x.ID), Web: f.page(a), Data: target(x.ID)}
	if x.Size != nil && *x.Size >= 0 {
		it.Size = *x.Size
	}
	if folder := strings.Trim(a.Folders[string(x.ID)], "/"); folder != "" {
		it.Parts = append(slices.DeleteFunc(strings.Split(folder, "/"), func(p string) bool { return p == "" }), x.Name)
	}
	switch {
	case x.Name == "":
		it.Parts, it.Skip = []string{"no name"}, "it has no name"
	case x.Link:
		it.Skip = "it is a link to another site"
	}
	return it
}

// Open reads a file by the interface: figshare's own pages want a browser for it.
func (f *Figshare) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if err := f.check(s); err != nil {
		return nil, err
	}
	id, ok := it.Data.(target)
	if !ok || it.Skip != "" {
		return nil, f.site.Unavailable("it was not listed, or was left out: " + it.Skip)
	}
	return f.site.Bytes(ctx, f.site.URL("v2", "file", "download", string(id)), it, from)
}

// Latest says which version of an article is the newest. [daypass.ErrNoSource]: there is
// no such article that may be seen; another error: it is not known.
func Latest(ctx context.Context, c deposit.Config, id string) (version int, err error) {
	if c.Host == "" {
		c.Host = Host
	}
	f := New(c)
	s := daypass.Source{Kind: daypass.KindFigshare, Host: c.Host, ID: id}
	if err := f.check(s); err != nil {
		return 0, err
	}
	a, err := f.article(ctx, s)
	return a.Version, err
}
