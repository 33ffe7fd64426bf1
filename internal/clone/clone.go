package clone

import (
	"errors"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// What callers act on. Each comes inside a *daypass.Problem, which says it in
// words, but for ErrNone, after which nothing is wrong.
var (
	// ErrNone: the folder has no .git, or there is no such folder.
	ErrNone = errors.New("no clone here")
	// ErrBroken: what stands at .git is no repository that git would accept, and
	// nothing in it is in use: it may be set aside, or a new one made beside it.
	ErrBroken = errors.New("not a repository")
	// ErrForeign: a repository which git accepts and we do not write to; it is to
	// be left alone.
	ErrForeign = errors.New("a repository of a kind that is left alone")
	// ErrLocked: another git command works here, or died here a moment ago.
	ErrLocked = errors.New("another git command is at work")
	// ErrIndex: the index cannot be read; an Update with a new one mends it.
	ErrIndex = errors.New("an index that cannot be read")
	// ErrMoved: HEAD or the branch is not where the update starts from. Whoever
	// moved it wins; the caller plans anew.
	ErrMoved = errors.New("the branch was moved meanwhile")
)

// A Clone is a user's repository, opened. Close it. It is not for several
// goroutines at once.
type Clone struct {
	folder string   // absolute: the work tree
	dir    string   // absolute: its .git, for messages and for git's own eyes
	git    *disk    // what is this work tree's: HEAD, index, logs/HEAD, MERGE_HEAD
	common *disk    // what all work trees share: objects, refs, config, shallow
	config settings // what was read of config and config.worktree
	size   int      // hex digits of an object id
	now    func() time.Time
	// patience is how long another's lock of a ref is waited for.
	patience time.Duration
	// ended is when a daypass began that died at work here, and whose lock was taken
	// over: what else it held is dead too.
	ended time.Time
	// arriving tells when objects that were brought are on the disk; nil: nothing is.
	arriving <-chan error
}

// Head is where HEAD points to.
type Head struct {
	Branch   string       // full name, "refs/heads/main"; "" where detached
	Commit   plumbing.OID // "" where unborn
	Detached bool
	Unborn   bool // a branch without a commit yet
}

// A Lock is the index.lock that was found.
type Lock struct {
	Path  string
	Age   time.Duration // since it was last written
	Alive bool          // a git command of this user works in this folder, or a daypass
	Known bool          // Alive was looked up; else nothing is known (no /proc)
	Ours  bool          // left by daypass
}

// An Update is what moves a clone to a new commit. Everything in it is either
// done already, and left, or done; so an update that was cut short is asked for
// again as it was.
type Update struct {
	// Branch is the branch to move, "refs/heads/X"; "" moves a detached HEAD.
	Branch string
	// Was is HEAD as it was when the update was planned, from Head().
	Was Head
	// Switch lets HEAD point to Branch afterwards, or be detached where Branch
	// is "". Without it HEAD stays on what it is on.
	Switch bool
	// Old is where Branch (or the detached HEAD) stands; "" where it does not
	// exist yet. New is where it goes.
	Old, New plumbing.OID
	// Tracking are refs to set whatever they were: "refs/remotes/origin/main".
	Tracking map[string]plumbing.OID
	// Tags are refs to make where there are none: a tag of the user's stays.
	Tags map[string]plumbing.OID
	// Shallow are commits to add to the clone's shallow file: those whose parents
	// are neither in Packs nor in the clone. Those in it stay; one that the clone had
	// already, with its parents, is not added.
	Shallow []plumbing.OID
	// Packs are paths of files in a repository of ours: "….pack" (its .idx, .rev,
	// .promisor are found beside it) and loose objects "…/ab/cdef…".
	Packs []string
	// Index is the whole new index; nil leaves the index as it is.
	Index []plumbing.IndexEntry
	// Later runs what may end after the update: making its new names durable. nil: it
	// is waited for.
	Later func(func() error) `json:"-"`
	// Message is what the reflogs say, one line: "daypass: pull".
	Message string
	// Partial says that some blobs were left out: origin becomes a promisor
	// remote, if it is not one.
	Partial bool
	// Filter is what the fetch left out, "blob:limit=100m"; with Partial.
	Filter string
	// Skipped is told each ref of Tracking and Tags that could not be made
	// because a ref of the user's has its place (refs/heads/a, refs/heads/a/b).
	Skipped func(ref string) `json:"-"`
}

// New is a clone to be made.
type New struct {
	Origin  string                  // its URL; refused (DP-353) where it holds a password or a token
	Branch  string                  // "refs/heads/main"; "" where Tag or a commit alone was asked for
	Tag     string                  // "refs/tags/v1"; HEAD is detached
	Commit  plumbing.OID            // HEAD
	TagOID  plumbing.OID            // what the tag names: the tag object, or Commit
	Default string                  // the remote's own branch, "refs/heads/main", for origin/HEAD; may be ""
	Tags    map[string]plumbing.OID // further tags whose objects are in Packs
	Depth   int                     // not 0: configured to fetch Branch or Tag only, as git clone --depth
	Shallow []plumbing.OID
	Packs   []string
	Index   []plumbing.IndexEntry
	Sparse  string // only this subdirectory is there: "a/b"; "" is all
	Partial bool   // some blobs were left out
	Filter  string // "blob:limit=100m"; with Partial
	Format  string // "sha1", "sha256"
	ID      string // see SetID
	Later   bool   // the caller makes it all durable before the folder counts
}
