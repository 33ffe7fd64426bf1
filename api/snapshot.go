package api

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// Where snapshots of sources are asked for, behind the access service's URL. A pull
// makes one request of each.
const (
	PathSnapshots = Base + "/snapshots"  // GET SnapshotQuery -> Snapshot; 202 Making
	PathSnapshot  = Base + "/snapshots/" // + id: GET SnapshotQuery -> a pack, or 304
)

// Bounds of a [SnapshotQuery].
const (
	MaxSource   = 1024 // bytes of a source
	MaxInclude  = 16   // patterns
	maxLinkName = 64
)

// PackType is the media type of a pack, as git's own protocol has it.
const PackType = "application/x-git-pack"

// A SnapshotQuery is what both requests carry, as parameters. Exactly one of Link and
// Source is there.
type SnapshotQuery struct {
	Link    string   // a link's name
	Source  string   // as the service writes it; see daypass.Source
	Have    string   // the id that was pulled last, or ""
	Include []string // what is to come although it is large: patterns of paths
}

// Values are the parameters.
func (q SnapshotQuery) Values() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{"link": q.Link, "source": q.Source, "have": q.Have} {
		if text != "" {
			v.Set(name, text)
		}
	}
	for _, p := range q.Include {
		v.Add("include", p)
	}
	return v
}

// ParseSnapshotQuery reads parameters, in one way only, and says in a few words what is
// wrong with them; "" where nothing is. Include is sorted then.
func ParseSnapshotQuery(v url.Values) (q SnapshotQuery, why string) {
	for name, list := range v {
		to := map[string]*string{"link": &q.Link, "source": &q.Source, "have": &q.Have}[name]
		switch {
		case name == "include":
			q.Include = slices.Sorted(slices.Values(list))
		case to == nil:
			return q, "it has a parameter that is not known"
		case len(list) != 1 || list[0] == "":
			return q, "the parameter " + name + " is there twice, or is empty"
		default:
			*to = list[0]
		}
	}
	return q, q.Check()
}

// Check says in a few words what is wrong with the query; "" where nothing is.
func (q SnapshotQuery) Check() string {
	switch {
	case (q.Link == "") == (q.Source == ""):
		return "it names neither a link nor a source, or both"
	case q.Link != "" && !LinkName(q.Link):
		return "the link's name is none"
	case q.Have != "" && !SnapshotID(q.Have):
		return "have is no id of a snapshot"
	case len(q.Include) > MaxInclude:
		return "it has more than 16 patterns"
	}
	if q.Source != "" {
		if _, ok := daypass.ParseSource(q.Source); !ok || len(q.Source) > MaxSource {
			return "the source is not written as the service writes it"
		}
	}
	for _, p := range q.Include {
		if p == "" || len(p) > MaxPath || !utf8.ValidString(p) || strings.ContainsFunc(p, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return "a pattern is empty, too long, or holds what does not show"
		}
	}
	return ""
}

// LinkName reports whether s has the form of a link's name.
func LinkName(s string) bool {
	return len(s) >= 3 && len(s) <= maxLinkName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// SnapshotID reports whether s has the shape of a snapshot's id: 40 hexadecimal digits.
func SnapshotID(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}

// SnapshotPath is where the pack of a snapshot is, with its parameters.
func SnapshotPath(id string, q SnapshotQuery) string {
	return PathSnapshot + url.PathEscape(id) + "?" + q.Values().Encode()
}

// A Snapshot is what a source holds.
type Snapshot struct {
	ID     string    `json:"id"`     // of the content: the commit that the pack holds
	Source string    `json:"source"` // what was read
	Title  string    `json:"title,omitempty"`
	Bytes  int64     `json:"bytes"` // of its files
	Files  int       `json:"files"`
	Made   time.Time `json:"made"` // when this state of it was first seen
	Same   bool      `json:"same"` // it is what the caller has
	Pack   string    `json:"pack"` // where the pack is, below the service's address; "" where Same

	// Of the link that was asked by, as its maker wants it.
	Folder string `json:"folder,omitempty"` // where it goes, below the home
	Open   string `json:"open,omitempty"`   // the file to open
	App    string `json:"app,omitempty"`    // what to open it with
}

// Making is the answer while a snapshot is being made for the first time: ask again
// after Retry-After.
type Making struct {
	Making bool `json:"making"` // true
}
