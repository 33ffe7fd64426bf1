// Package depot keeps snapshots of sources that many read: each is fetched once for
// all who ask, by one process of a few that share a folder, and given out as files, a
// pack for everything and one for what changed since.
//
// What may read what is decided before: a [Key] has the identity that read in it, and
// nothing of another key is ever given. It knows no source, no credential and no
// caller; it is told how to fetch.
package depot

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// A Key is what one snapshot is of, and who read it. Two keys share nothing.
type Key struct {
	Source  daypass.Source
	As      string   // "hub:ACCOUNT", "person:N", "public"
	Number  int64    // of a repository: another one of the same name is another source
	Include []string // what is to come although it is large: of [Version.Over], sorted
}

// name is the key's folder.
func (k Key) name() string {
	b, err := json.Marshal(k)
	if err != nil || k.As == "" || k.Source == (daypass.Source{}) {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// A Version is one state of a source, as it is given out.
type Version struct {
	ID      string    `json:"id"` // the commit; the same content and names are the same
	Title   string    `json:"title,omitempty"`
	Bytes   int64     `json:"bytes"` // of its files
	Files   int       `json:"files"`
	Made    time.Time `json:"made"`
	Checked time.Time `json:"-"` // when the source was last seen to be so
	Over    []string  `json:"-"` // paths that were left out for their size, of the newest one
}

// A Result is what a [Fetch] brought.
type Result struct {
	Same bool   // nothing changed since the mark that was handed in; the rest does not matter then
	Mark string // for the next look
	// Commit is one of content (see snapshot.WriteContent), which the repository holds.
	Commit plumbing.OID
}

// A Fetch looks at a source, and brings its content into a repository where it changed
// since mark. have is the commit that the last one made, "" for none; the repository
// holds it. Nobody else is at work in it.
type Fetch func(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, mark string) (Result, error)

// Leases are rows that processes on several machines agree by. Without them only
// processes that lock files of one file system do.
type Leases struct {
	Take func(ctx context.Context, name, owner string, d time.Duration) (bool, error) // also prolongs
	Drop func(ctx context.Context, name, owner string) error
}

// Limits are what a depot keeps. A zero field means its default.
type Limits struct {
	Size   int64         // bytes of everything; 20 GiB
	Age    time.Duration // without anybody asking; 30 days
	Fetch  time.Duration // for one fetch; 10 minutes
	AtOnce int           // fetches at a time, of all sources; 8, and half as many of one host
	Stale  time.Duration // how old what was seen may be where the source cannot be reached; 5 minutes
	Look   time.Duration // how old what is given as new may be at most; 0: as each caller asks
	// Source is what one source may have.
	Source snapshot.Limits
}

func (l Limits) filled() Limits {
	l.Size, l.Age, l.Fetch = cmp.Or(l.Size, 20<<30), cmp.Or(l.Age, 30*24*time.Hour), cmp.Or(l.Fetch, 10*time.Minute)
	l.AtOnce, l.Stale = cmp.Or(l.AtOnce, 8), cmp.Or(l.Stale, 5*time.Minute)
	l.Source = l.Source.Or()
	return l
}

// Config is what a depot works with.
type Config struct {
	Dir    string       // absolute; made where it is not there. Nobody else may read it
	Git    plumbing.Git // what makes packs; see egress.Bound
	Leases Leases       // zero: files are locked, no more
	Limits Limits
	Now    func() time.Time
	Log    *slog.Logger // nil: nothing is logged
}

// A Depot is safe for concurrent use.
type Depot struct {
	c        Config
	l        Limits
	log      *slog.Logger
	ctx      context.Context
	stop     context.CancelFunc
	work     sync.WaitGroup
	fetching chan struct{}
	packing  chan struct{}

	kept    atomic.Int64 // bytes, as of the last count, with what came since
	counted atomic.Int64 // when, in nanoseconds of Unix

	mu       sync.Mutex
	slots    map[string]*slot
	queues   map[string]*queue
	chosen   map[string]string // keys' folders that one person alone asked for, by who that is
	verified map[seen]string   // files whose sum was right, and the sum
}

// New makes the folder and returns a depot. Close it. Code DP-477.
func New(c Config) (*Depot, error) {
	if !filepath.IsAbs(c.Dir) || c.Git.Program == "" || c.Now == nil || (c.Leases.Take == nil) != (c.Leases.Drop == nil) {
		return nil, errors.New("depot: it lacks a folder, a git, a clock or half of its leases")
	}
	if err := ours(c.Dir); err != nil {
		return nil, &daypass.Problem{Code: "DP-477", What: "Snapshots cannot be kept in " + c.Dir, Why: err.Error(), Err: err,
			Next: "Give the service a folder of its own: \"snapshots: dir:\" in its configuration, made by the service or with mode 0700."}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Depot{c: c, l: c.Limits.filled(), log: c.Log, slots: map[string]*slot{}, queues: map[string]*queue{}, chosen: map[string]string{}, verified: map[seen]string{}}
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.fetching, d.packing = make(chan struct{}, d.l.AtOnce), make(chan struct{}, max(1, d.l.AtOnce/2))
	return d, nil
}

// ours makes a folder, or sees that it is one that nobody else can look into.
func ours(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !fi.IsDir():
		return errors.New("it is no folder")
	case fi.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others can look into it: its mode is %04o", fi.Mode().Perm())
	case ok && int(st.Uid) != os.Geteuid():
		return errors.New("it is another user's")
	}
	return nil
}

// Close ends what is being fetched, and waits for it.
func (d *Depot) Close() {
	d.stop()
	d.work.Wait()
}

// slot is what is known of one key.
type slot struct {
	dir   string
	users int // who is at work with it; held by Depot.mu

	mu     sync.Mutex
	flight *flight
	state  *state
	read   os.FileInfo // of state, when it was read
	failed error
	when   time.Time // of failed
	packs  map[string]*packing
}

// enter takes a key into use, so that it is not evicted.
func (d *Depot) enter(k Key) (*slot, error) {
	name := k.name()
	if name == "" {
		return nil, errors.New("depot: a key without a source or an identity")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.slots[name]
	if s == nil {
		s = &slot{dir: filepath.Join(d.c.Dir, name), packs: map[string]*packing{}}
		d.slots[name] = s
	}
	s.users++
	return s, nil
}

// maxSlots is how many are remembered that nobody uses.
const maxSlots = 2000

func (d *Depot) leave(s *slot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.users--; s.users == 0 && len(d.slots) > maxSlots {
		delete(d.slots, filepath.Base(s.dir))
	}
}

// word is a name that nobody else takes.
func word() string { return rand.Text() }
