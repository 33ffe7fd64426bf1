// Package swh reads source code from the Software Heritage archive by its web
// interface (archive.softwareheritage.org/api/1). A source's ID is an identifier,
// "swh:1:dir:HASH", of a directory, revision, release, snapshot or content, or the
// address of an origin; Ref is a branch of a snapshot or origin. What an identifier
// names never changes.
package swh

import (
	"context"
	"errors"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/archive"
	"github.com/daypass-dev/daypass/provider/deposit"
)

// Host is the archive's.
const Host = "archive.softwareheritage.org"

// SWH reads the archive. It is a [daypass.Contents].
type SWH struct{ site *deposit.Site }

var _ daypass.Contents = (*SWH)(nil)

// New returns a reader. The archive answers 120 requests in an hour to who sends no
// token; it says when more may be asked, so there is no pace of ours.
func New(c deposit.Config) *SWH { return &SWH{deposit.New(c, deposit.Traits{})} }

var identifier = pattern(`^swh:1:(cnt|dir|rev|rel|snp):([0-9a-f]{40})$`)

func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

func (h *SWH) check(s daypass.Source) error {
	u, err := url.Parse(s.ID)
	origin := err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" && len(s.ID) < 500 && !strings.Contains(s.ID, "..")
	if s.Kind != daypass.KindSWH || s.Host != h.site.Host || !identifier().MatchString(s.ID) && !origin || strings.ContainsFunc(s.Ref, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return h.site.Odd()
	}
	return nil
}

// An object is something in the archive.
type object struct{ kind, hash string }

func (o object) String() string { return "swh:1:" + o.kind + ":" + o.hash }

func objectOf(id string) (object, bool) {
	m := identifier().FindStringSubmatch(id)
	if m == nil {
		return object{}, false
	}
	return object{m[1], m[2]}, true
}

// named is an object as the interface names it.
func named(kind, hash string) (object, bool) {
	short := map[string]string{"content": "cnt", "directory": "dir", "revision": "rev", "release": "rel", "snapshot": "snp"}[kind]
	o, ok := objectOf("swh:1:" + short + ":" + hash)
	return o, ok
}

// maxSteps bounds the way from a name to a directory: a release may name a release.
const maxSteps = 8

// root is the directory or content that a source means.
func (h *SWH) root(ctx context.Context, s daypass.Source) (object, error) {
	o, ok := objectOf(s.ID)
	if !ok {
		var visit struct {
			Snapshot string `json:"snapshot"`
		}
		if err := h.site.JSON(ctx, h.site.URL("api", "1", "origin", s.ID, "visit", "latest")+"/?require_snapshot=true", "", &visit); err != nil {
			return object{}, err
		}
		if o, ok = named("snapshot", visit.Snapshot); !ok {
			return object{}, h.site.Partial()
		}
	}
	for range maxSteps {
		var err error
		switch o.kind {
		case "dir", "cnt":
			return o, nil
		case "rev":
			var r struct{ Directory string }
			if err = h.site.JSON(ctx, h.site.URL("api", "1", "revision", o.hash)+"/", "", &r); err == nil {
				o, ok = named("directory", r.Directory)
			}
		case "rel":
			var r struct {
				Target string `json:"target"`
				Type   string `json:"target_type"`
			}
			if err = h.site.JSON(ctx, h.site.URL("api", "1", "release", o.hash)+"/", "", &r); err == nil {
				o, ok = named(r.Type, r.Target)
			}
		case "snp":
			o, err = h.branch(ctx, o, s.Ref)
		}
		if err != nil {
			return object{}, err
		}
		if !ok {
			return object{}, h.site.Partial()
		}
	}
	return object{}, h.site.Partial()
}

// branch is what a branch of a snapshot leads to: the one that is named, else the one
// that HEAD is, else main or master.
func (h *SWH) branch(ctx context.Context, snapshot object, ref string) (object, error) {
	wanted := []string{"HEAD", "refs/heads/main", "refs/heads/master"}
	if ref != "" {
		wanted = []string{ref, "refs/heads/" + ref, "refs/tags/" + ref}
	}
	type target struct {
		Target string `json:"target"`
		Type   string `json:"target_type"`
	}
	for _, name := range wanted {
		for range maxSteps { // an alias may name an alias
			var answer struct {
				Branches map[string]*target `json:"branches"`
			}
			// From a name on, one branch: it is the one of that name, or there is none.
			q := url.Values{"branches_from": {name}, "branches_count": {"1"}}
			if err := h.site.JSON(ctx, h.site.URL("api", "1", "snapshot", snapshot.hash)+"/?"+q.Encode(), "", &answer); err != nil {
				return object{}, err
			}
			t := answer.Branches[name]
			if t == nil {
				break
			}
			if t.Type != "alias" {
				o, ok := named(t.Type, t.Target)
				if !ok {
					return object{}, h.site.Partial()
				}
				return o, nil
			}
			name = t.Target
		}
	}
	return object{}, h.site.Absent()
}

func (h *SWH) seen(s daypass.Source, o object) daypass.Seen {
	title := s.ID
	if u, err := url.Parse(s.ID); err == nil && u.Host != "" {
		title = u.Path[strings.LastIndexByte(strings.TrimSuffix(u.Path, "/"), '/')+1:]
	}
	// An immutable id of what is there, where the source has none.
	return daypass.Seen{Source: s, Title: title, Mark: o.String(), Web: h.site.Page(o.String())}
}

// Look asks whether what the identifier names is there, but where a mark of it is
// known: that cannot change.
func (h *SWH) Look(ctx context.Context, s daypass.Source, mark string) (daypass.Seen, error) {
	if err := h.check(s); err != nil {
		return daypass.Seen{}, err
	}
	if err := ctx.Err(); err != nil {
		return daypass.Seen{}, err
	}
	o, err := h.root(ctx, s)
	if err != nil {
		return daypass.Seen{}, err
	}
	seen := h.seen(s, o)
	if seen.Same = mark == seen.Mark; seen.Same {
		return seen, nil
	}
	if o.kind == "cnt" {
		_, err = h.content(ctx, o)
	} else {
		_, err = h.directory(ctx, o)
	}
	if err != nil {
		return daypass.Seen{}, err
	}
	return seen, nil
}

type entry struct {
	Name   string `json:"name"`
	Type   string `json:"type"` // "file", "dir", "rev"
	Target string `json:"target"`
	Perms  int    `json:"perms"`
	Length *int64 `json:"length"`
	Status string `json:"status"`
	Sums   struct {
		SHA256 string `json:"sha256"`
	} `json:"checksums"`
}

func (h *SWH) directory(ctx context.Context, o object) ([]entry, error) {
	var all []entry
	if err := h.site.JSON(ctx, h.site.URL("api", "1", "directory", o.hash)+"/", "", &all); err != nil {
		return nil, err
	}
	if all == nil {
		return nil, h.site.Partial()
	}
	return all, nil
}

func (h *SWH) content(ctx context.Context, o object) (entry, error) {
	e := entry{Type: "file", Target: o.hash, Name: o.hash}
	err := h.site.JSON(ctx, h.site.URL("api", "1", "content", "sha1_git:"+o.hash)+"/", "", &e)
	return e, err
}

// List takes what the archive has packed already, else asks for each folder.
func (h *SWH) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	if err := h.check(s); err != nil {
		return daypass.Listing{}, err
	}
	if err := ctx.Err(); err != nil {
		return daypass.Listing{}, err
	}
	o, err := h.root(ctx, s)
	if err != nil {
		return daypass.Listing{}, err
	}
	seen := h.seen(s, o)
	l := daypass.Listing{Complete: true, Mark: seen.Mark, Title: seen.Title}
	if o.kind == "cnt" {
		e, err := h.content(ctx, o)
		if err != nil {
			return daypass.Listing{}, err
		}
		l.Items = []daypass.Item{h.item(nil, e)}
		return h.site.Ordered(l, "")
	}
	items, packed, err := h.vault(ctx, o)
	if err == nil && !packed {
		items, err = h.walk(ctx, o, s.Path)
	}
	if err != nil {
		return daypass.Listing{}, err
	}
	l.Items = items
	return h.site.Ordered(l, s.Path)
}

// vault reads a directory that somebody had packed, which is two requests; to have it
// packed would be a POST.
func (h *SWH) vault(ctx context.Context, o object) ([]daypass.Item, bool, error) {
	var job struct {
		Status string `json:"status"`
		Fetch  string `json:"fetch_url"`
	}
	err := h.site.JSON(ctx, h.site.URL("api", "1", "vault", "flat", o.String())+"/", "", &job)
	switch {
	case errors.Is(err, daypass.ErrNoSource):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case job.Status != "done":
		return nil, false, nil
	}
	r, err := h.site.Bytes(ctx, h.site.URL("api", "1", "vault", "flat", o.String(), "raw")+"/", daypass.Item{Size: -1}, 0)
	if err != nil {
		return nil, false, err
	}
	defer r.Close()
	items, err := archive.Tar(r, h.site.Archive)
	if errors.Is(err, archive.ErrLarge) { // a list of folders tells what of it is too large
		return nil, false, nil
	}
	return items, err == nil, err
}

// A folder is one that is to be listed.
type folder struct {
	parts []string
	at    object
}

const maxDepth = 64

// walk asks for each folder that leads to a path or lies below it.
func (h *SWH) walk(ctx context.Context, root object, path string) ([]daypass.Item, error) {
	var items []daypass.Item
	var top []string
	if path != "" {
		top = strings.Split(path, "/")
	}
	asked := 0
	for todo := []folder{{at: root}}; len(todo) > 0; asked++ {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if len(f.parts) > maxDepth || asked > h.site.MaxItems || len(items) > h.site.MaxItems {
			return nil, h.site.Partial()
		}
		entries, err := h.directory(ctx, f.at)
		if err != nil && len(f.parts) > 0 && errors.Is(err, daypass.ErrNoSource) {
			return nil, h.site.Partial() // a part of it, and no sign that it is gone
		}
		if err != nil {
			return nil, err
		}
		if d := len(f.parts); d < len(top) && !slices.ContainsFunc(entries, func(e entry) bool { return e.Name == top[d] }) {
			return nil, h.site.Without(daypass.NoFolderOf(top, d, folderNames(entries)))
		}
		for _, e := range entries {
			parts := append(slices.Clone(f.parts), e.Name)
			n := min(len(parts), len(top))
			if e.Name == "" || !slices.Equal(parts[:n], top[:n]) {
				continue
			}
			if o, ok := named("directory", e.Target); ok && e.Type == "dir" {
				todo = append(todo, folder{parts, o})
				continue
			}
			items = append(items, h.item(f.parts, e))
		}
	}
	return items, nil
}

func folderNames(entries []entry) (names []string) {
	for _, e := range entries {
		if e.Type == "dir" && e.Name != "" {
			names = append(names, e.Name)
		}
	}
	return names
}

// A target is the hash of a content.
type target string

// The modes of git's entries.
const (
	modeType = 0o170000
	modeLink = 0o120000
	modeFile = 0o100000
)

func (h *SWH) item(parts []string, e entry) daypass.Item {
	it := daypass.Item{Parts: append(slices.Clone(parts), e.Name), Size: -1, Sum: deposit.Sum("sha256", e.Sums.SHA256), Mark: e.Target, Exec: e.Perms&0o111 != 0 && e.Perms&modeType == modeFile, Data: target(e.Target)}
	if e.Length != nil && *e.Length >= 0 {
		it.Size = *e.Length
	}
	o, ok := named("content", e.Target)
	switch {
	case e.Type == "rev":
		it.Skip = "it is another repository"
	case e.Type != "file" || !ok:
		it.Skip = "it is no file"
	case e.Perms&modeType == modeLink:
		it.Skip = "it is a link to elsewhere"
	case e.Status == "absent" || e.Status == "hidden" || e.Status == "skipped_content":
		it.Skip = "the archive does not hold its bytes"
	}
	if ok {
		it.Web = h.site.Page(o.String())
	}
	return it
}

// Open reads a content.
func (h *SWH) Open(ctx context.Context, s daypass.Source, it daypass.Item, from int64) (io.ReadCloser, error) {
	if err := h.check(s); err != nil {
		return nil, err
	}
	return h.site.Open(ctx, it, from, func(ctx context.Context, it daypass.Item, from int64) (io.ReadCloser, error) {
		hash, ok := it.Data.(target)
		if !ok || it.Skip != "" {
			return nil, h.site.Unavailable("it was not listed, or was left out: " + it.Skip)
		}
		return h.site.Bytes(ctx, h.site.URL("api", "1", "content", "sha1_git:"+string(hash), "raw")+"/", it, from)
	})
}
