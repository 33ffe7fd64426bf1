package pull

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/daypass-dev/daypass/internal/clone"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// A run is one pull, with what it has found out so far.
type run struct {
	p       *Puller
	ask     Ask
	folder  string // with links resolved
	source  string // ask.URL as it may be kept and shown
	began   time.Time
	staging []plumbing.IndexEntry // git's index, as this round saw it
	lock    *lock                 // of the folder
	root    *tree                 // of the ask, if it has one
	rel     string                // the folder, from there
	inner   *lock                 // of the state, which a copy of the folder may have too; nil: none
	early   <-chan look           // the source's answer to the first question
	line    *snapshot.Line        // on which it came
	clone   *clone.Clone          // nil: the folder has no repository
	broken  bool                  // it has one that is none; it is set aside
	hurt    string                // where that goes, if it is one whose history is damaged
	seen    plumbing.OID          // what the source had when that last heard of it
	st      *store
	made    bool   // st is new
	old     *store // of the folder that is set aside for a fresh pull
	repo    *plumbing.Repo
	objects *plumbing.Objects // of repo, once something was fetched
	noted   tasks             // what is written down before a fresh folder is begun
	later   tasks             // what has to be durable before the next step
	last    tasks             // and before the journal goes
	tip     snapshot.Tip
	snap    snapshot.Snapshot
	base    plumbing.OID // of a folder that is taken up: what it was delivered last
	cloned  plumbing.OID // likewise: the tree of what its git says the source was last; "" where that is not known
	rep     Report
	// recalled: snap is what was delivered last, and nothing was fetched.
	recalled bool
	led      bool // the folder's link leads to another source than before
	told     bool // the report has its notes
	finished bool // it has finished what another began, which told nobody

	held
}

// begin checks an ask, waits for its folder, and puts what was left there right.
func (p *Puller) begin(ctx context.Context, folder, root string) (*run, error) {
	real, err := p.place(folder, root)
	if err != nil {
		return nil, err
	}
	r := &run{p: p, folder: real, began: p.Now()}
	if err := r.hold(root); err != nil {
		return nil, err
	}
	file := p.key("locks", real)
	err = os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		r.lock, err = p.acquire(ctx, file, real)
	}
	if err != nil {
		r.end()
		return nil, tell(p.Home, err)
	}
	if err := r.open(); err != nil {
		r.end()
		return nil, tell(real, err)
	}
	if err := r.lockState(ctx); err != nil {
		r.end()
		return nil, tell(p.Home, err)
	}
	if err := r.recover(ctx); err != nil {
		r.end()
		return nil, tell(real, err)
	}
	return r, nil
}

// open finds the folder's repository, and what is known of the folder.
func (r *run) open() error {
	c, err := r.openClone()
	id := ""
	switch {
	case err == nil:
		r.clone = c
		id, _ = c.ID()
	case errors.Is(err, clone.ErrNone):
	case errors.Is(err, clone.ErrBroken):
		r.broken = true
	default:
		return err
	}
	st, err := r.p.find(r.folder, id, r.clone)
	if err != nil {
		return err
	}
	if st, err = r.useContent(st); err != nil {
		return err
	}
	if r.st = st; st == nil {
		return nil
	}
	st.unnoted = st.rec.Folder != r.folder || st.rec.Identity == (identity{})
	st.rec.Folder = r.folder
	return nil
}

func (r *run) end() {
	r.noted.wait()
	r.later.wait()
	r.last.wait()
	if r.line != nil {
		r.line.Close()
	}
	if r.objects != nil {
		r.objects.Close()
	}
	if r.clone != nil {
		r.clone.Close()
	}
	if r.root != nil {
		r.root.close()
	}
	if r.inner != nil {
		r.inner.release()
	}
	if r.lock != nil {
		r.lock.release()
	}
}

// lockState waits for who works with this state in another folder. What that one
// found out by then may be another's state.
func (r *run) lockState(ctx context.Context) (err error) {
	if r.st == nil {
		return nil
	}
	if r.inner, err = r.p.acquire(ctx, r.st.file("lock"), r.folder); err != nil || !r.inner.waited {
		return err
	}
	id := r.st.id
	if r.clone != nil {
		r.clone.Close()
		r.clone = nil
	}
	if err := r.open(); err != nil {
		return err
	}
	if r.st == nil || r.st.id != id {
		r.inner.release()
		r.inner = nil
	}
	return nil
}

func (r *run) event(phase Phase, text string) {
	if r.ask.Events != nil {
		r.ask.Events(Event{Phase: phase, Text: text, At: r.p.Now()})
	}
}

// source is where git's content comes from.
func (p *Puller) source() snapshot.Git {
	return snapshot.Git{Git: p.Git, Limits: p.Limits, Timeout: p.Timeout, Idle: p.Idle, Own: filepath.Join(p.Home, "safe")}
}

// fetch brings the snapshot into our repository, and tells of it.
func (r *run) fetch(ctx context.Context, repo *plumbing.Repo, depth int, have plumbing.OID) error {
	r.event(Fetching, r.source)
	if r.objects != nil {
		r.objects.Close()
	}
	objects, err := repo.Objects(ctx)
	if err != nil {
		return err
	}
	r.objects = objects
	var later func(func() error)
	if have == "" {
		later = r.later.start // no ref names it before that is over
		if runtime.NumCPU() > 1 {
			objects.Beside()
		}
	}
	snap, err := r.p.source().Fetch(ctx, repo, snapshot.Ask{
		URL: r.ask.address(), Tip: r.tip, Depth: depth, Path: r.ask.Path, Submodules: r.ask.Submodules, Have: have, Line: r.line, Objects: objects, Later: later,
		Progress: r.progress(), Again: r.raised(),
	})
	r.snap, r.tip = snap, snap.Tip
	return err
}

// tellEvery is how often an event says the same in other numbers.
const tellEvery = 100 * time.Millisecond

// progress turns what a fetch tells into events, and not every word of it.
func (r *run) progress() func(snapshot.Progress) {
	if r.ask.Events == nil {
		return nil
	}
	var text string
	var told time.Time
	return func(g snapshot.Progress) {
		now := r.p.Now()
		if g.Text == text && (g.Done != g.Total || g.Done == 0 && g.Bytes != g.BytesTotal) && now.Sub(told) < tellEvery {
			return
		}
		text, told = g.Text, now
		r.ask.Events(Event{Phase: Fetching, Text: g.Text, Bytes: g.Bytes, BytesTotal: g.BytesTotal, Files: g.Done, FilesTotal: g.Total, At: now})
	}
}

// empty reports whether a folder is one with nothing in it.
func empty(folder string) bool {
	f, err := os.Open(folder)
	if err != nil {
		return false
	}
	defer f.Close()
	names, err := f.Readdirnames(1)
	return len(names) == 0 && err != nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
