// Package hydroshare reads resources of HydroShare by its interface
// (www.hydroshare.org/hsapi). A source's ID is a resource's 32 digits.
package hydroshare

import (
	"context"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/deposit"
)

// Host is HydroShare's.
const Host = "www.hydroshare.org"

// HydroShare reads the site. It is a [daypass.Contents].
type HydroShare struct{ site *deposit.Site }

var _ daypass.Contents = (*HydroShare)(nil)

// New returns a reader.
func New(c deposit.Config) *HydroShare {
	return &HydroShare{deposit.New(c, deposit.Traits{Every: 200 * time.Millisecond, Burst: 20})}
}

var resource = pattern(`^[0-9a-f]{32}$`)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

func (h *HydroShare) check(s daypass.Source) error {
	if s.Kind != daypass.KindHydroShare || s.Host != h.site.Host || !resource().MatchString(s.ID) || s.Ref != "" {
		return h.site.Odd()
	}
	return nil
}

// Look asks for the resource's description: its date moves with its files.
func (h *HydroShare) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	if err := h.check(s); err != nil {
		return daypass.Seen{}, err
	}
	var r struct {
		ID      string `json:"resource_id"`
		Title   string `json:"resource_title"`
		Updated string `json:"date_last_updated"`
	}
	if err := h.site.JSON(ctx, h.site.URL("hsapi", "resource", s.ID, "sysmeta")+"/", "", &r); err != nil {
		return daypass.Seen{}, err
	}
	if r.ID != s.ID || r.Updated == "" {
		return daypass.Seen{}, h.site.Partial()
	}
	return daypass.Seen{Source: s, Title: r.Title, Mark: r.Updated, Same: mark == r.Updated, Web: h.site.Page("resource", s.ID)}, nil
}

type file struct {
	URL      string `json:"url"`
	Size     *int64 `json:"size"`
	Checksum string `json:"checksum"`
	Modified string `json:"modified_time"`
}

const (
	perPage  = 100
	maxPages = 400
)

// List asks for the description and all pages of files.
func (h *HydroShare) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	seen, err := h.Look(ctx, s, "")
	if err != nil {
		return daypass.Listing{}, err
	}
	l := daypass.Listing{Complete: true, Mark: seen.Mark, Title: seen.Title}
	for page := 1; page <= maxPages; page++ {
		q := url.Values{"page": {strconv.Itoa(page)}, "count": {strconv.Itoa(perPage)}}
		var some struct {
			Count   *int    `json:"count"`
			Next    *string `json:"next"`
			Results []file  `json:"results"`
		}
		if err := h.site.JSON(ctx, h.site.URL("hsapi", "resource", s.ID, "files")+"/?"+q.Encode(), "", &some); err != nil {
			return daypass.Listing{}, err
		}
		for _, f := range some.Results {
			it, ok := h.item(s, f)
			if !ok {
				return daypass.Listing{}, h.site.Partial()
			}
			l.Items = append(l.Items, it)
		}
		switch {
		case some.Count == nil || len(l.Items) > *some.Count || some.Next != nil && len(some.Results) == 0:
			return daypass.Listing{}, h.site.Partial()
		case some.Next == nil && len(l.Items) != *some.Count:
			return daypass.Listing{}, h.site.Partial()
		case some.Next == nil:
			return h.site.Ordered(l, s.Path)
		}
	}
	return daypass.Listing{}, h.site.Partial()
}

// A target is the path of a file, escaped.
type target []string

// item reads a file's path from its address; false: it is another resource's.
func (h *HydroShare) item(s daypass.Source, f file) (daypass.Item, bool) {
	u, err := url.Parse(f.URL)
	if err != nil || !strings.EqualFold(u.Host, h.site.Host) {
		return daypass.Item{}, false
	}
	path, ok := strings.CutPrefix(u.Path, "/resource/"+s.ID+"/data/contents/")
	if !ok || path == "" {
		return daypass.Item{}, false
	}
	it := daypass.Item{Parts: strings.Split(path, "/"), Size: -1, Sum: deposit.Sum("md5", f.Checksum), Mark: f.Modified + " " + f.Checksum, Web: h.site.Page("resource", s.ID)}
	if f.Size != nil && *f.Size >= 0 {
		it.Size = *f.Size
	}
	for _, p := range it.Parts {
		if p == "" || p == "." || p == ".." {
			return daypass.Item{}, false
		}
	}
	it.Data = target(it.Parts)
	return it, true
}

// Open reads a file.
func (h *HydroShare) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if err := h.check(s); err != nil {
		return nil, err
	}
	path, ok := it.Data.(target)
	if !ok {
		return nil, h.site.Unavailable("it was not listed")
	}
	return h.site.Bytes(ctx, h.site.URL(append([]string{"resource", s.ID, "data", "contents"}, path...)...), it, from)
}
