package depot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// A flight is one look or fetch, for all who wait for it.
type flight struct {
	done    chan struct{}
	version Version
	err     error

	by     Asker         // who began it
	shared chan struct{} // closed when somebody else waits for it too
	others bool          // it is closed
}

// join is called by whoever comes to wait. The caller holds the slot's lock.
func (f *flight) join(by Asker) {
	if by.Name != f.by.Name && !f.others {
		f.others = true
		close(f.shared)
	}
}

// failFor is how long a failure stands for all who ask, so that a class that clicks at
// once does not make an upstream refuse fifty times.
const failFor = 5 * time.Second

// Get returns the newest version. Where what is known was seen longer than maxAge ago,
// fetch is called: once for all who ask at that time, here and in other processes that
// share the folder. A caller that goes away does not end it for the others. Where the
// source cannot be reached, what was seen a few minutes ago will do; where it refuses,
// nothing does. Errors are fetch's; DP-478 where nothing can be kept.
func (d *Depot) Get(ctx context.Context, k Key, maxAge time.Duration, fetch Fetch) (Version, error) {
	return d.GetFor(ctx, Asker{}, k, maxAge, fetch)
}

// GetFor is Get for somebody who is known by a name: what nobody else waits for, and
// was never read, is fetched one at a time for them, so that they leave room for others;
// and what they chose themself has a part of the room.
func (d *Depot) GetFor(ctx context.Context, by Asker, k Key, maxAge time.Duration, fetch Fetch) (Version, error) {
	if l := d.c.Limits.Look; l > 0 {
		maxAge = min(maxAge, l)
	}
	s, err := d.enter(k)
	if err != nil {
		return Version{}, err
	}
	defer d.leave(s)
	d.wants(s, by)
	s.mu.Lock()
	if v, ok := s.load().last(); ok && d.young(v.Checked, maxAge) {
		s.touch(d.c.Now())
		s.mu.Unlock()
		return v, nil
	}
	if s.failed != nil && d.young(s.when, failFor) {
		defer s.mu.Unlock()
		return Version{}, s.failed
	}
	f := s.flight
	if f == nil {
		f = &flight{done: make(chan struct{}), shared: make(chan struct{}), by: by}
		s.flight = f
		if err := d.start(s, k, f, d.c.Now().Add(-maxAge), fetch); err != nil {
			s.flight = nil
			s.mu.Unlock()
			return Version{}, err
		}
	}
	f.join(by)
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.version, f.err
	case <-ctx.Done():
		return Version{}, context.Cause(ctx)
	}
}

func (d *Depot) young(at time.Time, most time.Duration) bool {
	age := d.c.Now().Sub(at)
	return age < most && age > -most // a clock that was set back proves nothing
}

// start lets a flight run by itself.
func (d *Depot) start(s *slot, k Key, f *flight, since time.Time, fetch Fetch) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	s.users++
	d.mu.Unlock()
	d.work.Go(func() {
		defer close(f.done) // last: whoever is told finds it in nobody's use but their own
		defer d.leave(s)
		ctx, cancel := context.WithTimeout(d.ctx, d.l.Fetch)
		defer cancel()
		v, err := d.turn(ctx, s, k, f, since, fetch)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failed, s.when = nil, d.c.Now(); err != nil {
			if old, ok := s.load().last(); ok && errors.Is(err, daypass.ErrUnreachable) && d.young(old.Checked, d.l.Stale) {
				d.log.Info("a source cannot be reached; what was seen lately is given", "source", k.Source.String(), "error", err)
				v, err = old, nil
			} else if !errors.Is(err, daypass.ErrNoLogin) { // who connects comes back at once
				s.failed = err
			}
		}
		f.version, f.err, s.flight = v, err, nil
	})
	return nil
}

// fly looks and fetches, when it is its turn.
func (d *Depot) fly(ctx context.Context, s *slot, k Key, by Asker, since time.Time, fetch Fetch) (Version, error) {
	if leave := d.atHost(ctx, k.Source.Host); leave != nil {
		defer leave()
	}
	select {
	case d.fetching <- struct{}{}:
		defer func() { <-d.fetching }()
	case <-ctx.Done():
		return Version{}, tooLong(ctx)
	}
	h, err := d.lock(ctx, s.dir)
	if err != nil {
		return Version{}, d.unkept(ctx, err)
	}
	defer h.release()
	s.touch(d.c.Now())
	s.mu.Lock()
	st := s.load()
	s.mu.Unlock()
	now := d.c.Now()
	if v, ok := st.last(); ok && v.Checked.After(since) && v.Checked.Sub(now) < now.Sub(since) {
		return v, nil // another process has looked, and not by a clock that is far ahead
	}
	v, err := d.bring(h.ctx, s, k, by, st, fetch)
	if err != nil && h.ctx.Err() == nil && d.damaged(h.ctx, s.dir, err) {
		d.log.Warn("a snapshot is damaged and is made anew", "source", k.Source.String(), "error", err)
		if err = wipe(s.dir); err == nil {
			v, err = d.bring(h.ctx, s, k, by, nil, fetch)
		}
	}
	if err != nil {
		return Version{}, d.unkept(h.ctx, err)
	}
	return v, nil
}

// damaged reports whether what is kept is at fault, and not the source.
func (d *Depot) damaged(ctx context.Context, dir string, err error) bool {
	var p *daypass.Problem
	if errors.As(err, &p) && p.Code != "DP-460" || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return false
	}
	repo, err := d.c.Git.Open(filepath.Join(dir, "repo.git"))
	if err != nil {
		return true
	}
	return plumbing.Run(repo.Command(ctx, "fsck", "--no-dangling", "--no-progress"), packMemory) != nil
}

// wipe takes away all but the lock.
func wipe(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != "lock" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// bring makes one look or fetch, checks what came, and makes it the newest version.
func (d *Depot) bring(ctx context.Context, s *slot, k Key, by Asker, st *state, fetch Fetch) (Version, error) {
	old, known := st.last()
	if st == nil { // what came of a fetch that broke off is of use to the next
		st = &state{Source: k.Source.String(), As: k.As}
		if err := s.save(st); err != nil { // whose it is, is known from the first byte on: see Forget
			return Version{}, err
		}
	}
	repo, err := d.repo(s.dir)
	if err != nil {
		return Version{}, err
	}
	if err := os.Mkdir(filepath.Join(s.dir, "packs"), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return Version{}, err
	}
	tidy(s.dir)
	have := plumbing.OID(old.ID)
	if !known {
		if err := errors.Join(d.ownRoom(ctx, s, by), d.room(ctx)); err != nil {
			return Version{}, err
		}
		have = d.seed(ctx, repo, k)
	}
	began := d.c.Now()
	res, err := fetch(ctx, repo, have, st.Mark)
	if err != nil {
		return Version{}, err
	}
	next := *st
	next.Versions = append([]Version(nil), st.Versions...)
	next.Checked = began
	if !res.Same || !known {
		next.Mark = res.Mark
		if err := d.take(ctx, s, repo, &next, res.Commit); err != nil {
			return Version{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return Version{}, context.Cause(ctx)
	}
	if err := s.save(&next); err != nil {
		return Version{}, err
	}
	v, _ := next.last()
	return v, nil
}

// repo opens the key's repository, or makes one.
func (d *Depot) repo(dir string) (*plumbing.Repo, error) {
	return d.c.Git.Create(filepath.Join(dir, "repo.git"), "sha1")
}

// versionRef keeps a version's objects.
func versionRef(id string) string { return "refs/daypass/versions/" + id }

// take checks a commit, keeps it, and makes the pack that everybody gets.
func (d *Depot) take(ctx context.Context, s *slot, repo *plumbing.Repo, st *state, commit plumbing.OID) error {
	if !commit.Valid() {
		return fmt.Errorf("depot: a fetch brought %q", commit)
	}
	o, err := repo.Objects(ctx)
	if err != nil {
		return err
	}
	snap, m, err := snapshot.ReadContent(o, commit, "", d.l.Source)
	if err = errors.Join(err, o.Close()); err != nil {
		return err
	}
	if m.Of != "" {
		return errors.New("depot: a fetch brought what is for one reader alone")
	}
	if err := repo.WriteRef(versionRef(string(commit)), commit, ""); err != nil {
		return err
	}
	if err := d.make(ctx, s, repo, string(commit), ""); err != nil {
		return err
	}
	st.Over = nil
	for _, left := range m.Left {
		if left.Over > 0 {
			st.Over = append(st.Over, left.Path)
		}
	}
	slices.Sort(st.Over)
	d.kept.Add(snap.Bytes)
	gone := st.add(Version{ID: string(commit), Title: m.Title, Bytes: snap.Bytes, Files: len(snap.Files), Made: d.c.Now()})
	large := sizeOf(repo.Dir()) > 4*max(d.l.Source.Total, minRepo)
	if large { // what changes much has few states here
		gone = append(gone, st.most(2)...)
	}
	for _, v := range gone {
		if err := repo.DeleteRef(versionRef(v.ID)); err != nil {
			return err
		}
	}
	s.prune(st)
	return d.compact(ctx, repo, large)
}

// minRepo is how large the limit of a source is taken to be at least, where it is about
// what its repository may have.
const minRepo = 1 << 20

// maxPacks is how many fetches' packs a repository has before they become one.
const maxPacks = 40

// compact puts packs together, and leaves out what no version has any more.
func (d *Depot) compact(ctx context.Context, repo *plumbing.Repo, now bool) error {
	packs, err := filepath.Glob(filepath.Join(repo.Dir(), "objects/pack/*.pack"))
	if err != nil || len(packs) <= maxPacks && !now {
		return err
	}
	return plumbing.Run(repo.Command(ctx, "repack", "-a", "-d", "-q", "--no-write-bitmap-index"), packMemory)
}

// unkept gives a failure without words of its own some.
func (d *Depot) unkept(ctx context.Context, err error) error {
	var p *daypass.Problem
	switch {
	case errors.As(err, &p):
		return err
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return tooLong(ctx)
	case errors.Is(err, context.Canceled):
		return err
	}
	return &daypass.Problem{Code: "DP-478", What: "The access service could not keep a snapshot of this source", Next: "Try again in a minute.",
		Who: "The hub's admins find the cause in the service's log; its folder of snapshots may be full.", Kind: daypass.ErrUnreachable, Err: err}
}

func tooLong(ctx context.Context) error {
	return &daypass.Problem{Code: "DP-479", What: "The source was not read in time", Why: "it is large or slow, or many others are read at this moment",
		Next: "Try again in a few minutes: what has come already need not come again.", Kind: daypass.ErrUnreachable, Err: context.Cause(ctx)}
}
