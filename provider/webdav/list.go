package webdav

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/readonly"
)

const (
	maxDepth = 64
	maxPage  = 32 << 20 // of XML, for one folder
)

// multistatus is RFC 4918, 14.16, as far as it is needed.
type multistatus struct {
	Responses []struct {
		Href  string `xml:"DAV: href"`
		Props []struct {
			Status string `xml:"DAV: status"`
			Prop   struct {
				Length   *int64 `xml:"DAV: getcontentlength"`
				Modified string `xml:"DAV: getlastmodified"`
				ETag     string `xml:"DAV: getetag"`
				Type     struct {
					Folder *struct{} `xml:"DAV: collection"`
				} `xml:"DAV: resourcetype"`
			} `xml:"DAV: prop"`
		} `xml:"DAV: propstat"`
	} `xml:"DAV: response"`
}

// An entry is what a server says of a file or folder.
type entry struct {
	name     string // "" is the place itself
	folder   bool
	size     int64
	modified string
	tag      string
}

// propfind describes a place, and with depth "1" what is in it.
func (d *WebDAV) propfind(ctx context.Context, parts []string, depth string) ([]entry, error) {
	address := d.address(parts, false)
	res, err := d.ask(ctx, "PROPFIND", address, func(r *http.Request) { r.Header.Set("Depth", depth) }, http.StatusMultiStatus)
	if err != nil {
		return nil, err
	}
	body, err := readonly.ReadAll(res, maxPage)
	if err != nil {
		return nil, readonly.Failure(d.Host, err)
	}
	var all multistatus
	// The decoder knows no entities but XML's own, and asks for no document.
	if err := xml.Unmarshal(body, &all); err != nil {
		return nil, readonly.Failure(d.Host, err)
	}
	base, err := url.Parse(address)
	if err != nil {
		return nil, readonly.Failure(d.Host, err)
	}
	var out []entry
	self := false
	for _, r := range all.Responses {
		e := entry{size: -1}
		var ok bool
		if e.name, ok = below(base, r.Href); !ok {
			return nil, readonly.Failure(d.Host, fmt.Errorf("webdav: an answer about another place"))
		}
		for _, p := range r.Props {
			if !strings.Contains(p.Status, " 200 ") {
				continue
			}
			e.folder = p.Prop.Type.Folder != nil
			if p.Prop.Length != nil && *p.Prop.Length >= 0 {
				e.size = *p.Prop.Length
			}
			e.modified, e.tag = p.Prop.Modified, p.Prop.ETag
		}
		self = self || e.name == ""
		out = append(out, e)
	}
	if !self {
		return nil, readonly.Failure(d.Host, fmt.Errorf("webdav: an answer without the place"))
	}
	return out, nil
}

// below is the one segment by which an address lies below a folder, or "" for the
// folder itself. It is compared as it was decoded, segment by segment: servers escape
// in ways of their own.
func below(base *url.URL, href string) (string, bool) {
	u, err := base.Parse(href)
	if err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
		return "", false
	}
	// A path that goes up is not what the server means, whoever reads it.
	raw, err := url.Parse(href)
	if err != nil {
		return "", false
	}
	have, ok := segments(raw.EscapedPath())
	top, ok2 := segments(base.EscapedPath())
	switch {
	case !ok || !ok2 || len(have) < len(top) || len(have) > len(top)+1 || !slices.Equal(have[:len(top)], top):
		return "", false
	case len(have) == len(top):
		return "", true
	}
	return have[len(top)], true
}

func segments(path string) (out []string, ok bool) {
	for raw := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		s, err := url.PathUnescape(raw)
		if err != nil || s == "" || raw == "." || raw == ".." {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// A folder is one that is to be listed.
type folder struct {
	at    []string // on the server
	parts []string // of items
}

// List asks for each folder; no server has to list all of them at once.
func (d *WebDAV) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	place, err := d.place(s)
	if err != nil {
		return daypass.Listing{}, err
	}
	l := daypass.Listing{Title: place[len(place)-1], Complete: true}
	for todo := []folder{{at: place}}; len(todo) > 0; {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		entries, err := d.propfind(ctx, f.at, "1")
		if err != nil {
			return daypass.Listing{}, d.partWay(err, len(f.parts) > 0)
		}
		for _, e := range entries {
			parts := append(slices.Clone(f.parts), e.name)
			switch {
			case e.name == "" && (e.folder || len(f.parts) > 0):
				continue
			case e.name == "": // the source is one file
				parts = []string{place[len(place)-1]}
			case e.folder && odd(e.name) || len(parts) > maxDepth || len(l.Items) >= d.MaxItems || len(todo) >= d.MaxItems:
				return daypass.Listing{}, d.partial()
			case e.folder:
				todo = append(todo, folder{at: append(slices.Clone(f.at), e.name), parts: parts})
				continue
			}
			l.Items = append(l.Items, d.item(f, e, parts))
		}
	}
	slices.SortFunc(l.Items, func(a, b daypass.Item) int { return slices.Compare(a.Parts, b.Parts) })
	return l, nil
}

// partWay: what vanishes while it is listed is no sign that the source is gone.
func (d *WebDAV) partWay(err error, inside bool) error {
	if inside && errors.Is(err, daypass.ErrNoSource) {
		return d.partial()
	}
	return err
}

func (d *WebDAV) partial() error {
	return readonly.Failure(d.Host, fmt.Errorf("webdav: not all of it could be listed"))
}

// A target is what is opened for an item.
type target struct {
	address string
	tag     string // a strong one, for If-Match
	changed string // when, as the server writes it
}

func (d *WebDAV) item(f folder, e entry, parts []string) daypass.Item {
	at := f.at
	if e.name != "" {
		at = append(slices.Clone(at), e.name)
	}
	it := daypass.Item{Parts: parts, Size: e.size, Web: d.address(at, false), Data: target{address: d.address(at, false), tag: strong(e.tag), changed: e.modified}}
	switch {
	case odd(e.name) && e.name != "":
		it.Skip = "its name cannot be asked for"
	case e.tag != "" || e.modified != "":
		it.Mark = fmt.Sprintf("%s %s %d", e.tag, e.modified, e.size)
	}
	return it
}

// strong is a tag that stands for the very bytes (RFC 9110, 8.8.3).
func strong(tag string) string {
	if len(tag) > 2 && tag[0] == '"' && tag[len(tag)-1] == '"' && !strings.ContainsAny(tag, "\r\n") {
		return tag
	}
	return ""
}

// Open has the server refuse a file with another tag, and looks at the tag itself.
func (d *WebDAV) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if _, err := d.place(s); err != nil {
		return nil, err
	}
	t, ok := it.Data.(target)
	if !ok || it.Skip != "" {
		return nil, &daypass.Problem{
			Code: "DP-424", What: "A file at " + d.Host + " cannot be had", Why: "it was not listed, or its name cannot be asked for", Next: "Ask its owner to rename it.", Kind: daypass.ErrRefused,
		}
	}
	res, err := d.ask(ctx, http.MethodGet, t.address, func(r *http.Request) {
		readonly.SetRange(r, from)
		if t.tag != "" {
			r.Header.Set("If-Match", t.tag)
		}
	}, http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable, http.StatusPreconditionFailed)
	if err != nil {
		return nil, err
	}
	tag, changed := res.Header.Get("ETag"), res.Header.Get("Last-Modified")
	other := t.tag != "" && tag != "" && tag != t.tag || t.tag == "" && changed != "" && t.changed != "" && changed != t.changed
	if other || res.StatusCode == http.StatusPreconditionFailed {
		res.Body.Close()
		return nil, readonly.Changed(d.Host)
	}
	return readonly.Content(d.Host, res, it, from)
}
