// Package ckan reads datasets of sites that run CKAN, by version 3 of its action
// interface (docs.ckan.org/en/latest/api). A source's ID is a dataset's name or id, after
// the path that the site lives below, where there is one: "rain_2020",
// "data/rain_2020". What a dataset links to elsewhere is left out, but for hosts that
// the configuration names.
package ckan

import (
	"context"
	"encoding/json"
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

// CKAN reads one site. It is a [daypass.Contents].
type CKAN struct {
	site *deposit.Site
	also func(host string) bool
}

var _ daypass.Contents = (*CKAN)(nil)

// New returns a reader.
func New(c deposit.Config) *CKAN { return &CKAN{deposit.New(c, traits()), c.Also} }

func traits() deposit.Traits {
	return deposit.Traits{Header: "Authorization", Every: 200 * time.Millisecond, Burst: 20}
}

var place = pattern(`^(?:[A-Za-z0-9_-]{1,40}/){0,3}[A-Za-z0-9_-]{1,100}$`)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// check also cuts the id into the site's path and the dataset's name.
func (k *CKAN) check(s daypass.Source) (prefix []string, name string, err error) {
	if s.Kind != daypass.KindCKAN || s.Host != k.site.Host || !place().MatchString(s.ID) || s.Ref != "" {
		return nil, "", k.site.Odd()
	}
	parts := strings.Split(s.ID, "/")
	return parts[:len(parts)-1], parts[len(parts)-1], nil
}

type dataset struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Title     string     `json:"title"`
	State     string     `json:"state"`
	Modified  string     `json:"metadata_modified"`
	Count     *int       `json:"num_resources"`
	Resources []resource `json:"resources"`
}

type resource struct {
	ID       string       `json:"id"`
	Name     string       `json:"name"`
	URL      string       `json:"url"`
	Kind     string       `json:"url_type"`
	Size     deposit.Text `json:"size"`
	Hash     string       `json:"hash"`
	Modified string       `json:"last_modified"`
	Changed  string       `json:"metadata_modified"`
}

func (k *CKAN) dataset(ctx context.Context, s daypass.Source) (dataset, error) {
	prefix, name, err := k.check(s)
	if err != nil {
		return dataset{}, err
	}
	var answer struct {
		Success bool     `json:"success"`
		Result  *dataset `json:"result"`
	}
	at := k.site.URL(append(slices.Clone(prefix), "api", "3", "action", "package_show")...) + "?" + url.Values{"id": {name}}.Encode()
	if err := k.site.JSON(ctx, at, "", &answer); err != nil {
		return dataset{}, err
	}
	d := answer.Result
	switch {
	case !answer.Success || d == nil || d.ID != name && d.Name != name || d.Modified == "" || d.Count != nil && *d.Count != len(d.Resources):
		return dataset{}, k.site.Partial()
	case d.State != "" && d.State != "active":
		return dataset{}, k.site.Absent()
	}
	return *d, nil
}

func (k *CKAN) mark(d dataset) string { return fmt.Sprint(d.ID, " ", d.Modified) }

// Look asks for the dataset; its files come in the same answer.
func (k *CKAN) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	d, err := k.dataset(ctx, s)
	if err != nil {
		return daypass.Seen{}, err
	}
	prefix, name, _ := k.check(s)
	return daypass.Seen{Source: s, Title: d.Title, Mark: k.mark(d), Same: mark == k.mark(d), Web: k.site.Page(append(slices.Clone(prefix), "dataset", name)...)}, nil
}

// List asks for the dataset.
func (k *CKAN) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	d, err := k.dataset(ctx, s)
	if err != nil {
		return daypass.Listing{}, err
	}
	l := daypass.Listing{Complete: true, Mark: k.mark(d), Title: d.Title}
	for _, r := range d.Resources {
		l.Items = append(l.Items, k.item(r))
	}
	return k.site.Ordered(l, s.Path)
}

// A target is where a file is.
type target string

func (k *CKAN) item(r resource) daypass.Item {
	it := daypass.Item{ID: r.ID, Size: -1, Mark: fmt.Sprint(r.Modified, " ", r.Changed, " ", r.Hash, " ", r.Size), Parts: []string{r.Name}}
	u, err := url.Parse(r.URL)
	if err == nil {
		if name := u.Path[strings.LastIndexByte(u.Path, '/')+1:]; name != "" {
			it.Parts = []string{name}
		}
		// Old datasets say http of sites that have long had TLS.
		if u.Scheme == "http" && !k.site.Plain {
			u.Scheme = "https"
		}
	}
	if n, err := strconv.ParseInt(string(r.Size), 10, 64); err == nil && n >= 0 && r.Kind == "upload" {
		it.Size = n // of a link it is what somebody once typed
	}
	switch {
	case it.Parts[0] == "":
		it.Parts, it.Skip = []string{"no name"}, "it has no name"
	case err != nil || u.User != nil || u.Host == "" || u.Scheme != "https" && !k.site.Plain:
		it.Skip = "it has no address that can be asked"
	case !strings.EqualFold(u.Host, k.site.Host) && (k.also == nil || !k.also(strings.ToLower(u.Host))):
		it.Skip = "it is a link to another site"
	default:
		u.Fragment = ""
		it.Data = target(u.String())
	}
	return it
}

// Open reads a file.
func (k *CKAN) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if _, _, err := k.check(s); err != nil {
		return nil, err
	}
	at, ok := it.Data.(target)
	if !ok || it.Skip != "" {
		return nil, k.site.Unavailable("it was not listed, or was left out: " + it.Skip)
	}
	return k.site.Bytes(ctx, string(at), it, from)
}

// Probe says whether a site below a path of a host, without a "/" at either end, is
// CKAN; an error says that it is not known.
func Probe(ctx context.Context, c deposit.Config, prefix string) (bool, error) {
	site := deposit.New(c, traits())
	parts := []string{"api", "3", "action", "status_show"}
	if prefix != "" {
		parts = append(strings.Split(prefix, "/"), parts...)
	}
	body, found, err := site.Probe(ctx, site.URL(parts...))
	var answer struct {
		Success bool `json:"success"`
		Result  struct {
			Version string `json:"ckan_version"`
		} `json:"result"`
	}
	return found && json.Unmarshal(body, &answer) == nil && answer.Success && answer.Result.Version != "", err
}
