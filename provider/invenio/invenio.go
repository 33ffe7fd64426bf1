// Package invenio reads records of Zenodo and of other sites that run InvenioRDM, by
// their REST API (inveniordm.docs.cern.ch/reference/rest_api_index). A source's ID is a
// record, which is one version and stays as it is, or what all versions have in common,
// its parent or "concept", which is whatever version is the newest; Ref is one version
// of it. A record that is one zip file is read as what is in the zip.
package invenio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/deposit"
)

// Invenio reads one site. It is a [daypass.Contents].
type Invenio struct{ site *deposit.Site }

var _ daypass.Contents = (*Invenio)(nil)

// New returns a reader. Zenodo lets everybody ask 60 times a minute, and blocks who
// takes many files at once (developers.zenodo.org, "Rate limiting").
func New(c deposit.Config) *Invenio {
	return &Invenio{deposit.New(c, deposit.Traits{Every: time.Second, Burst: 30, Downloads: 2})}
}

// recordID is Zenodo's number, or two words of others.
var recordID = pattern(`^[0-9a-z][0-9a-z-]{0,63}$`)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

func (i *Invenio) check(s daypass.Source) error {
	if s.Kind != daypass.KindInvenio || s.Host != i.site.Host || !recordID().MatchString(s.ID) || s.Ref != "" && !recordID().MatchString(s.Ref) {
		return i.site.Odd()
	}
	return nil
}

// media has the same answer from all sites; Zenodo's own default is another.
const media = "application/vnd.inveniordm.v1+json"

type record struct {
	ID       deposit.Text `json:"id"`
	Revision int          `json:"revision_id"`
	Parent   struct {
		ID   deposit.Text `json:"id"`
		PIDs struct {
			DOI struct {
				Identifier string `json:"identifier"`
			} `json:"doi"`
		} `json:"pids"`
	} `json:"parent"`
	Metadata struct {
		Title string `json:"title"`
	} `json:"metadata"`
	Access struct {
		Files string `json:"files"`
	} `json:"access"`
	Files struct {
		Count *int `json:"count"`
	} `json:"files"`
}

// record finds the version that a source means.
func (i *Invenio) record(ctx context.Context, s daypass.Source) (record, error) {
	id := s.ID
	if s.Ref != "" {
		id = s.Ref
	}
	var r record
	err := i.site.JSON(ctx, i.site.URL("api", "records", id), media, &r)
	if errors.Is(err, daypass.ErrNoSource) && s.Ref == "" { // a parent is none of the records
		err = i.site.JSON(ctx, i.site.URL("api", "records", id, "versions", "latest"), media, &r)
	}
	switch {
	case err != nil:
		return record{}, err
	case !recordID().MatchString(string(r.ID)) || string(r.ID) != id && string(r.Parent.ID) != id:
		return record{}, i.site.Partial()
	case s.Ref != "" && s.Ref != s.ID && string(r.Parent.ID) != s.ID, r.Access.Files == "restricted" && i.site.Token == nil:
		return record{}, i.site.Absent()
	}
	return r, nil
}

func (r record) mark() string { return fmt.Sprintf("%s %d", r.ID, r.Revision) }

// seen is the source with the version that is there.
func (i *Invenio) seen(s daypass.Source, r record) daypass.Seen {
	if string(r.ID) != s.ID {
		s.Ref = string(r.ID)
	}
	return daypass.Seen{Source: s, Title: r.Metadata.Title, Mark: r.mark(), Web: i.site.Page("records", string(r.ID))}
}

// Look asks for the record.
func (i *Invenio) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	if err := i.check(s); err != nil {
		return daypass.Seen{}, err
	}
	r, err := i.record(ctx, s)
	if err != nil {
		return daypass.Seen{}, err
	}
	seen := i.seen(s, r)
	seen.Same = mark != "" && mark == seen.Mark
	return seen, nil
}

type entry struct {
	Key      string `json:"key"`
	Checksum string `json:"checksum"`
	Size     *int64 `json:"size"`
	Type     string `json:"mimetype"`
	Status   string `json:"status"`
	Links    struct {
		Content string `json:"content"`
	} `json:"links"`
}

// List asks for the record and for its files, which come on one page.
func (i *Invenio) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	if err := i.check(s); err != nil {
		return daypass.Listing{}, err
	}
	r, err := i.record(ctx, s)
	if err != nil {
		return daypass.Listing{}, err
	}
	var files struct {
		Enabled *bool   `json:"enabled"`
		Entries []entry `json:"entries"`
	}
	if err := i.site.JSON(ctx, i.site.URL("api", "records", string(r.ID), "files"), "", &files); err != nil {
		return daypass.Listing{}, err
	}
	l := daypass.Listing{Complete: true, Mark: r.mark(), Title: r.Metadata.Title}
	switch {
	case files.Enabled != nil && !*files.Enabled:
		l.Notes = []string{"The record has no files, only a description."}
	case files.Entries == nil || r.Files.Count != nil && *r.Files.Count != len(files.Entries):
		return daypass.Listing{}, i.site.Partial()
	}
	for _, e := range files.Entries {
		l.Items = append(l.Items, i.item(r, e))
	}
	if len(l.Items) == 1 && zipped(files.Entries[0]) && l.Items[0].Skip == "" {
		if l, err = i.site.Unzipped(ctx, l, l.Items[0], i.site.Archive, i.open); err != nil {
			return daypass.Listing{}, err
		}
	}
	return i.site.Ordered(l, s.Path)
}

func zipped(e entry) bool {
	return e.Type == "application/zip" || strings.HasSuffix(strings.ToLower(e.Key), ".zip")
}

// A target is where a file is.
type target string

func (i *Invenio) item(r record, e entry) daypass.Item {
	it := daypass.Item{Parts: []string{e.Key}, Size: -1, Web: i.site.Page("records", string(r.ID), "files", e.Key)}
	if e.Size != nil && *e.Size >= 0 {
		it.Size = *e.Size
	}
	kind, value, _ := strings.Cut(e.Checksum, ":")
	if it.Sum = deposit.Sum(kind, value); it.Sum == "" {
		it.Mark = r.mark()
	}
	switch {
	case e.Key == "":
		it.Parts, it.Skip = []string{"no name"}, "it has no name"
	case e.Status != "" && e.Status != "completed":
		it.Skip = "it was not uploaded whole"
	}
	at := i.site.URL("api", "records", string(r.ID), "files", e.Key, "content")
	if u, err := url.Parse(e.Links.Content); err == nil && u.Scheme == "https" && u.Host == i.site.Host && u.User == nil {
		at = e.Links.Content
	}
	it.Data = target(at)
	return it
}

// Open reads a file of a record, or of the zip that the record is.
func (i *Invenio) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if err := i.check(s); err != nil {
		return nil, err
	}
	return i.site.Open(ctx, it, from, i.open)
}

func (i *Invenio) open(ctx context.Context, it daypass.Item, from int64) (io.ReadCloser, error) {
	at, ok := it.Data.(target)
	if !ok || it.Skip != "" {
		return nil, i.site.Unavailable("it was not listed, or was left out: " + it.Skip)
	}
	return i.site.Bytes(ctx, string(at), it, from)
}

// A Record is what an id stands for.
type Record struct {
	ID     string // of one version: it stays as it is
	Parent string // of all versions
	DOI    string // of all versions; "": the site does not say
	Title  string
}

// Find says which record an id stands for: itself, or the newest of a parent.
// [daypass.ErrNoSource]: there is none that may be seen; another error: it is not known.
func Find(ctx context.Context, c deposit.Config, id string) (Record, error) {
	i := New(c)
	s := daypass.Source{Kind: daypass.KindInvenio, Host: c.Host, ID: id}
	if err := i.check(s); err != nil {
		return Record{}, err
	}
	r, err := i.record(ctx, s)
	return Record{ID: string(r.ID), Parent: string(r.Parent.ID), DOI: r.Parent.PIDs.DOI.Identifier, Title: r.Metadata.Title}, err
}

// FromDOI says which record a site's page of a DOI leads to, with errors as of [Find].
func FromDOI(ctx context.Context, c deposit.Config, doi string) (id string, err error) {
	i := New(c)
	prefix, suffix, ok := strings.Cut(doi, "/")
	if !ok || !strings.HasPrefix(prefix, "10.") || suffix == "" || strings.Contains(suffix, "/") {
		return "", i.site.Odd()
	}
	path, found, err := i.site.Landing(ctx, i.site.URL("doi", prefix, suffix))
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(path, "/records/")
	if !ok {
		rest, ok = strings.CutPrefix(path, "/record/")
	}
	if id, _, _ = strings.Cut(rest, "/"); !found || !ok || !recordID().MatchString(id) {
		return "", i.site.Absent()
	}
	return id, nil
}
