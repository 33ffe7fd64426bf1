// Package snapshot brings a source's content at one moment into a repository of
// ours, as a commit, and says what of it may be delivered: what git fetches ([Git]),
// what a [daypass.Contents] reads ([Content]), what an access service has made of
// either ([ReadContent]). It does not know where that goes, nor who asks.
package snapshot

import (
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// A Tip is where a ref of a source stands.
type Tip struct {
	Ref    string       // "refs/heads/main"; "" where a commit was asked for by its id
	Name   string       // as people say it: "main", "v1.0", a commit's id
	Commit plumbing.OID // what is to be fetched; of an annotated tag, the commit it names
	Format string       // "sha1" or "sha256"
}

// A Git is the source of everything that git can fetch.
type Git struct {
	Git     plumbing.Git // Config and Protocols in it are what this source is given
	Limits  Limits
	Timeout time.Duration // of a fetch, whole; 0: an hour. Look has a minute at most
	Idle    time.Duration // without anything coming; 0: two minutes
	// Own is a folder of the user's own, for a file that says which of root's repositories
	// git may read: one for each, which stays. "": one is made each time, and removed.
	Own string
}

// A Content is the source of everything that a [daypass.Contents] reads.
type Content struct {
	Contents daypass.Contents
	Limits   Limits
	Most     int64         // bytes of all that may come, with what is included in spite of its size; 0: any
	Timeout  time.Duration // of all downloads; 0: an hour
	Idle     time.Duration // without a byte of a file; 0: two minutes
	Now      func() time.Time
}

// A ContentAsk is what to read.
type ContentAsk struct {
	Source   daypass.Source
	Have     plumbing.OID   // what was delivered last, a commit of content that the repository holds; "" for none
	Include  []string       // what comes although it is over the limit for one file: see [Included]
	Progress func(Progress) // may be nil; called from one goroutine at a time
	// Shared: the commit is for others than who has Have. What the source withholds by now
	// is not in it; the manifest says that whoever has it keeps it.
	Shared bool
}

// Limits are what may be delivered, in bytes and in files. Zero is what [Limits.Or]
// puts there; less than zero is no limit.
type Limits struct {
	File  int64 // a larger file is left out
	Total int64 // more than this is refused, while it comes and when it is there
	Files int   // more files than this are refused
}

// The limits where nobody set others.
const (
	DefaultFile  = 100 << 20
	DefaultTotal = 1 << 30
	DefaultFiles = 20_000
)

// Or puts the defaults where l has no limit.
func (l Limits) Or() Limits {
	if l.File == 0 {
		l.File = DefaultFile
	}
	if l.Total == 0 {
		l.Total = DefaultTotal
	}
	if l.Files == 0 {
		l.Files = DefaultFiles
	}
	return l
}

// An Ask is what to fetch.
type Ask struct {
	URL        string
	Tip        Tip    // of [Git.Look]
	Depth      int    // how many commits of history; 0: all
	Path       string // only what lies below is to be delivered; the tree stays whole
	Submodules bool
	Again      bool               // the limit for one file was lower before: what that left out is fetched too
	Later      func(func() error) // runs what may end after the fetch: making it durable; nil: it is waited for
	Line       *Line              // of [Git.Call], still open; nil: another conversation is begun
	Objects    *plumbing.Objects  // the repository's, open; nil: this fetch opens them for itself
	Have       plumbing.OID       // a commit that the repository or its alternates hold, such as the last one delivered; "" for none
	Progress   func(Progress)     // may be nil; called from one goroutine at a time
}

// Progress is how far a fetch is.
type Progress struct {
	Text        string  // what git is at, in its own words: "Receiving objects"
	Done, Total int64   // objects of that; Total is 0 where it is not known
	Bytes       int64   // that came so far
	BytesTotal  int64   // of all; 0 where it is not known
	Rate        float64 // bytes a second, lately
}

// A Snapshot is a source's content at one commit, which the repository now holds.
type Snapshot struct {
	Commit, Tree plumbing.OID
	Tip          Tip               // where the ref stood when it was fetched
	Shallow      []plumbing.OID    // commits whose parents are not there
	Files        []plumbing.File   // what is to be delivered, sorted by path
	Rest         []plumbing.File   // what is in the tree under this path and is not delivered so
	Left         []Left            // what of Rest people should hear of, and why
	Bytes        int64             // of Files
	Pointers     int               // files of Files that only say where git-lfs keeps their content
	Partial      bool              // the repository lacks blobs of this history that the source could give
	Renames      map[string]string // exact ones, by old path; nil for git, which knows none
	Title        string            // as the source calls it; "" for git
	Web          string            // the source's page for people; may be empty
	Mark         string            // of what was read, for the next look; "" where the source is to be listed again
	Notes        []string          // sentences for people
	Spared       []string          // paths of what whoever has it keeps, although Files lack it
	SparesAll    bool              // whoever has something that Files lack keeps it
}

// A Left is an entry of the tree that was not delivered as it is.
type Left struct {
	Path string
	Why  string // "larger than 100 MB"; a part of a sentence
	As   string // the name under which it is delivered all the same, or ""
	Size int64  // 0 where it is not known
	// TooLarge: it is over the limit for one file.
	TooLarge bool
}
