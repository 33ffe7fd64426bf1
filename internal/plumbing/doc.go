// Package plumbing runs the system's git as a tool on repositories of our own, with
// no configuration but what is handed in, and reads and writes what git keeps in
// files: objects through one cat-file, new ones through one fast-import, indexes and
// refs by itself. It knows no remote, no user and no folder of theirs.
//
// What others may have written (an environment, configuration files, hooks, objects)
// is never asked which program to run: see [Git].
package plumbing

import (
	"errors"
	"io/fs"
	"time"
)

// An OID names an object: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
// "" names none.
type OID string

// Valid reports whether o has the shape of an object's name.
func (o OID) Valid() bool {
	if len(o) != 40 && len(o) != 64 {
		return false
	}
	for i := range len(o) {
		if c := o[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// A Mode is what a tree says of an entry.
type Mode uint32

// The modes that git writes.
const (
	Regular    Mode = 0o100644
	Executable Mode = 0o100755
	Symlink    Mode = 0o120000
	Gitlink    Mode = 0o160000 // a submodule; its OID is a commit elsewhere
	Directory  Mode = 0o040000
)

// A Kind is an object's type.
type Kind string

// The kinds of objects.
const (
	BlobKind   Kind = "blob"
	TreeKind   Kind = "tree"
	CommitKind Kind = "commit"
	TagKind    Kind = "tag"
)

// Errors of this package, for errors.Is.
var (
	ErrNoGit    = errors.New("git was not found")
	ErrOldGit   = errors.New("this git is too old: it needs to be 2.32 or newer")
	ErrMissing  = errors.New("there is no such object")
	ErrObject   = errors.New("an object makes no sense")
	ErrIndex    = errors.New("the index makes no sense")
	ErrSplit    = errors.New("the index is split over two files")
	ErrRef      = errors.New("this is no name of a ref")
	ErrMoved    = errors.New("the ref has moved meanwhile")
	ErrLocked   = errors.New("the ref is locked")
	ErrTooLarge = errors.New("the object is too large to be read whole")
)

// A Who is an author or committer.
type Who struct {
	Name, Email string
	When        time.Time
}

// A Commit is what a commit says.
type Commit struct {
	Tree              OID
	Parents           []OID
	Author, Committer Who
	Message           string
}

// A File is one file of a tree. Path has "/" between its components and is as the
// tree has it: it may hold anything. The zero File is none.
type File struct {
	Path string
	Mode Mode
	OID  OID
}

// An Entry is one entry of one tree.
type Entry struct {
	Name string
	Mode Mode
	OID  OID
}

// A Stat is what an index remembers of a file, to tell later without reading it
// whether it was changed.
type Stat struct {
	CTime, MTime    time.Time // to the nanosecond
	Dev, Inode      uint32    // the lower 32 bits
	UID, GID, Bytes uint32
}

// An IndexEntry is one line of an index.
type IndexEntry struct {
	File
	Stat   Stat
	Stage  int  // 0; 1 to 3 in an unfinished merge
	Skip   bool // skip-worktree: git does not expect the file on disk
	Intent bool // git add -N: the content is not staged
}

// Same reports whether a file looks as it did when s was taken. A file that was
// written in the moment in which the index was may look so too; that is for the
// caller to know.
func (s Stat) Same(info fs.FileInfo) bool {
	now := StatOf(info)
	return s.CTime.Equal(now.CTime) && s.MTime.Equal(now.MTime) && s.Bytes == now.Bytes && s.Inode == now.Inode && s.UID == now.UID && s.GID == now.GID
}
