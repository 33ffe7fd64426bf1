package drive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// A mark is a place in the feed of changes, and what was listed there.
type mark struct {
	cursor string // the feed's page token
	source string // a short hash of the source
	tree   string // a short hash of what was listed; "" after a look
	team   string // the shared drive whose feed it is; "" is the account's own
}

// String is what a later look is handed: nothing in it is secret.
func (m mark) String() string {
	if m.cursor == "" {
		return ""
	}
	return strings.Join([]string{"d1", m.cursor, m.source, m.tree, m.team}, ".")
}

func parseMark(text string, s daypass.Source) (mark, bool) {
	p := strings.Split(text, ".")
	if len(p) != 5 || p[0] != "d1" || p[1] == "" || len(text) > 1000 || p[2] != short(s.String()) || p[4] != "" && !idPattern().MatchString(p[4]) {
		return mark{}, false
	}
	return mark{p[1], p[2], p[3], p[4]}, true
}

func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// known is what a listing found, for telling which changes are of it.
type known struct {
	mark    string // its tree and source
	ids     map[string]bool
	title   string
	web     string
	checked time.Time // when the account was last seen to read it
}

// maxKnown is how many listings are remembered. What is forgotten is listed again at
// the next change of anything that the account sees.
const maxKnown = 64

func (d *Drive) remember(k *known) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = slices.DeleteFunc(d.known, func(o *known) bool { return o.mark == k.mark })
	if d.known = append(d.known, k); len(d.known) > maxKnown {
		d.known = slices.Delete(d.known, 0, 1)
	}
}

func (d *Drive) recall(m mark) *known {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.known {
		if k.mark == m.source+m.tree {
			found := *k // ids are never changed
			return &found
		}
	}
	return nil
}

// cursor is where the feed ends now; a mark without one where there is no feed, as for
// a folder of a shared drive whose member the account is not.
func (d *Drive) cursor(ctx context.Context, s daypass.Source, f file, tree string) mark {
	q := url.Values{"fields": {"startPageToken"}}
	if f.DriveID != "" {
		q.Set("driveId", f.DriveID)
	}
	var start struct {
		Token string `json:"startPageToken"`
	}
	if err := d.get(ctx, "changes/startPageToken", q, nil, &start); err != nil || strings.ContainsAny(start.Token, ". ") {
		return mark{}
	}
	return mark{start.Token, short(s.String()), tree, f.DriveID}
}

// A change is an entry of the feed.
type change struct {
	ID      string `json:"fileId"`
	Removed bool   `json:"removed"`
	File    struct {
		Parents []string `json:"parents"`
		Trashed bool     `json:"trashed"`
	} `json:"file"`
}

// maxChangePages is how much of the feed is read before a listing is quicker.
const maxChangePages = 5

// follow reads the feed from a mark on. It reports false where something may have
// changed.
func (d *Drive) follow(ctx context.Context, s daypass.Source, m mark) (daypass.Seen, bool, error) {
	k, last := d.recall(m), m
	for range maxChangePages {
		q := url.Values{"pageToken": {last.cursor}, "pageSize": {"1000"}, "includeRemoved": {"true"}, "includeItemsFromAllDrives": {"true"},
			"fields": {"nextPageToken,newStartPageToken,changes(fileId,removed,file(parents,trashed))"}}
		if m.team != "" {
			q.Set("driveId", m.team)
		}
		var feed struct {
			Next    string   `json:"nextPageToken"`
			End     string   `json:"newStartPageToken"`
			Changes []change `json:"changes"`
		}
		if err := d.get(ctx, "changes", q, nil, &feed); err != nil {
			// A feed that is not there any more says nothing; a network that is down does.
			if errors.Is(err, daypass.ErrRefused) || errors.Is(err, errPage) {
				return daypass.Seen{}, false, nil
			}
			return daypass.Seen{}, false, err
		}
		for _, c := range feed.Changes {
			same, err := d.elsewhere(ctx, s, k, c)
			if err != nil || !same {
				return daypass.Seen{}, false, err
			}
		}
		last.cursor = feed.Next
		if feed.Next == "" {
			last.cursor = feed.End
			return d.unchanged(ctx, s, k, last)
		}
	}
	return daypass.Seen{}, false, nil
}

// elsewhere reports whether a change is none of a listing's. Where something unknown
// is lost or in the trash, it may be a folder above the source: then the source is asked for.
func (d *Drive) elsewhere(ctx context.Context, s daypass.Source, k *known, c change) (bool, error) {
	if k == nil || k.ids[c.ID] || slices.ContainsFunc(c.File.Parents, func(id string) bool { return k.ids[id] }) {
		return false, nil
	}
	if c.Removed || c.File.Trashed {
		if _, err := d.file(ctx, s.ID, s.Ref); err != nil {
			return false, err
		}
	}
	return true, nil
}

// unchanged is what a look says where nothing changed, once the account was seen to
// read the source not too long ago.
func (d *Drive) unchanged(ctx context.Context, s daypass.Source, k *known, m mark) (daypass.Seen, bool, error) {
	seen := daypass.Seen{Source: s, Mark: m.String(), Same: true}
	if k != nil {
		seen.Title, seen.Web = k.title, k.web
	}
	if now := d.Now(); d.Verify > 0 && (k == nil || now.Sub(k.checked) >= d.Verify) {
		f, err := d.file(ctx, s.ID, s.Ref)
		if err != nil {
			return daypass.Seen{}, false, err
		}
		if k != nil {
			k.checked = now
			d.remember(k)
		}
		seen.Title, seen.Web = f.Name, page(f)
		if k != nil {
			seen.Title = k.title
		}
	}
	return seen, true, nil
}
