package daypass

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Source names content that can be read: where it is, and which state of it.
// It names a place and grants nothing. Two are the same content where they are
// equal.
type Source struct {
	Kind string // one of the kinds below
	Host string // "github.com", "canvas.example.edu:8443"; lower case
	// ID is the place at that host: OWNER/NAME of a repository, or its path without ".git"; Drive's id of a folder
	// or file; "courses/42", "groups/7", "users/self" or "files/99" of Canvas; the number of a
	// record; a persistent id such as "doi:10.7910/DVN/TJCLKP".
	ID   string
	Ref  string // of git: a branch, tag, full ref or commit; of a deposit: its version; "": the default, or the newest
	Path string // only this folder of it, with "/"; "": all
}

// The kinds of sources.
const (
	KindGit        = "git"
	KindDrive      = "drive"      // Google Drive
	KindCanvas     = "canvas"     // files of a course, group or person
	KindInvenio    = "invenio"    // Zenodo, and other sites of InvenioRDM
	KindFigshare   = "figshare"   // and institutional portals
	KindDataverse  = "dataverse"  //
	KindSWH        = "swh"        // Software Heritage
	KindHydroShare = "hydroshare" //
	KindCKAN       = "ckan"       //
	KindArtifact   = "artifact"   // of a GitHub Actions run: ID is OWNER/NAME/NUMBER
	KindWebDAV     = "webdav"     // a folder of a WebDAV server
	KindDOI        = "doi"        // a DOI or handle that was not looked up yet; Host is "doi.org"
)

// String writes the source in one way only: KIND:HOST/ID[@REF][#PATH]. What would
// be taken for a sign of that is written as %XX.
func (s Source) String() string {
	if s == (Source{}) {
		return ""
	}
	out := s.Kind + ":" + escapePlace(s.Host) + "/" + escapePlace(s.ID)
	if s.Ref != "" {
		out += "@" + escapePlace(s.Ref)
	}
	if s.Path != "" {
		out += "#" + escapePlace(s.Path)
	}
	return out
}

// ParseSource reads what [Source.String] writes, and nothing else: false for
// another spelling of the same.
func ParseSource(text string) (Source, bool) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok || kind == "" {
		return Source{}, false
	}
	rest, path, _ := strings.Cut(rest, "#")
	rest, ref, _ := strings.Cut(rest, "@")
	host, id, ok := strings.Cut(rest, "/")
	s := Source{Kind: kind}
	for _, part := range []struct {
		to   *string
		text string
	}{{&s.Host, host}, {&s.ID, id}, {&s.Ref, ref}, {&s.Path, path}} {
		v, good := unescapePlace(part.text)
		if !good {
			return Source{}, false
		}
		*part.to = v
	}
	return s, ok && s.Host != "" && s.ID != "" && s.String() == text
}

const placeHex = "0123456789ABCDEF"

// escapePlace leaves alone what is visible ASCII and no sign of ours, nor the comma
// between sources in a pass's limit.
func escapePlace(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '%' || c == '@' || c == '#' || c == ',' {
			b.WriteByte('%')
			b.WriteByte(placeHex[c>>4])
			b.WriteByte(placeHex[c&15])
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unescapePlace(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(placeHex, s[i+1]), strings.IndexByte(placeHex, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), true
}

// A Seen is what a look at a source tells.
type Seen struct {
	Source Source // with its immutable id and, where the source has versions, the version that is there now
	Title  string // as the source calls it; may be empty, and may hold anything
	// Mark stands for the state that was seen: handed to a later Look it tells whether
	// anything changed. It may differ where nothing did, and never is the same where
	// something did. "" where that cannot be told without listing.
	Mark string
	Same bool   // nothing changed since the mark that was handed in
	Web  string // the page of it, for people; may be empty; never with a secret
}

// An Item is one file of a listing.
type Item struct {
	// Parts are the names from the source's root down, as the provider has them: they
	// may hold anything, a "/" too, and two items may have the same.
	Parts []string
	ID    string // names the file for good, so that it can be told when it was renamed; "" where the provider knows no such
	Size  int64  // bytes; below 0: not known before it is read
	Sum   string // "md5:…", "sha256:…", "sha1:…", "adler32:…" in lower-case hexadecimal digits; "" where none is offered
	Mark  string // moves whenever the content may have: what has the same ID and Mark, or the same Sum, is not read again
	Web   string // a page for people; never with a secret
	Skip  string // why it cannot be had, a clause ("a form cannot be exported"); "": it can
	// Data is how the provider opens it: nobody else reads it, and it is not kept.
	Data any
	// Exec marks a program, where the provider knows such.
	Exec bool
}

// A Listing is all that a source holds, at one moment.
type Listing struct {
	Items []Item
	// Complete: every page and every folder came. Otherwise something may be missing,
	// and nothing may be deleted for it.
	Complete bool
	Mark     string // as of [Seen], of this very state
	Title    string
	Notes    []string // sentences for people
}

// A Contents reads sources of one kind, by GET alone, as one identity. Its errors
// are a [Problem] that wraps [ErrRefused], [ErrUnreachable] or one of those below.
//
// Implementations: the packages below provider; the contract is
// provider/providertest.
type Contents interface {
	// Look says what is there, with as few requests as can be; mark is of an earlier
	// Look or List of the same source by the same identity, or "".
	Look(ctx context.Context, s Source, mark string) (Seen, error)
	// List lists all of it. It never returns what was cut short without saying so.
	List(ctx context.Context, s Source) (Listing, error)
	// Open reads an item's bytes from an offset on; what was listed may have changed
	// since: [ErrChanged].
	Open(ctx context.Context, s Source, it Item, from int64) (io.ReadCloser, error)
}

// What errors of a Contents wrap, beside [ErrRefused] and [ErrUnreachable]. What is
// not there and what may not be seen are the same error.
var (
	ErrNoSource = errors.New("there is no such source, or it may not be read")
	ErrChanged  = errors.New("the source changed while it was read")
)

// A Pace is asked before each request to an upstream, and told what came of it, so
// that all who use one token stay below its limits together.
type Pace interface {
	// Wait returns when so many units may be spent, or when ctx ends.
	Wait(ctx context.Context, units int) error
	// Slow says that the upstream asked to slow down, for so long.
	Slow(d time.Duration)
}

// A NoFolder is wrapped by an error beside [ErrNoSource] where the source was read, and
// has no such folder. What there is instead is for whoever may read all of the source:
// others may be let into a folder of it alone, so it is no part of the text.
type NoFolder struct {
	In    string   // the part of the path that is there, with "/"; "": the top
	Name  string   // what is not there
	There []string // the names of folders that are, sorted; at most [MaxThere]
}

// MaxThere bounds [NoFolder.There].
const MaxThere = 1000

func (*NoFolder) Error() string { return "there is no such folder" }

// MissingFolder says how far a path leads among the files of a source, each given by the
// names from its root down. Nothing lies below the path.
func MissingFolder(path string, files iter.Seq[[]string]) *NoFolder {
	want := strings.Split(path, "/")
	deep, there := 0, map[string]bool{}
	for parts := range files {
		n := 0
		for n < len(want)-1 && n < len(parts)-1 && parts[n] == want[n] {
			n++
		}
		if n < deep {
			continue
		}
		if n > deep {
			deep, there = n, map[string]bool{}
		}
		if n < len(parts)-1 {
			there[parts[n]] = true
		}
	}
	return NoFolderOf(want, deep, slices.Collect(maps.Keys(there)))
}

// NoFolderOf is for the path of whose names the first deep ones are there, and then these.
func NoFolderOf(path []string, deep int, there []string) *NoFolder {
	slices.Sort(there)
	there = slices.Compact(there)
	return &NoFolder{In: strings.Join(path[:deep], "/"), Name: path[deep], There: there[:min(len(there), MaxThere)]}
}
