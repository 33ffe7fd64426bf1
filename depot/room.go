package depot

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// countEvery is how often all is counted for somebody who asks for something new.
const countEvery = time.Minute

// room says no to what is new where more is kept than may be, although what nobody
// wants was evicted: a quarter more is let in, for what is in use.
func (d *Depot) room(ctx context.Context) error {
	most := d.l.Size + d.l.Size/4 + minRepo
	if last := d.counted.Load(); last == 0 || d.kept.Load() > d.l.Size && d.c.Now().Sub(time.Unix(0, last)).Abs() > countEvery {
		if _, err := d.Evict(ctx); err != nil {
			return err
		}
	}
	if d.kept.Load() <= most {
		return nil
	}
	d.log.Error("there is no room for another snapshot", "bytes", d.kept.Load(), "may be", d.l.Size)
	return noRoom("The access service has no room for another source at this moment")
}

func noRoom(what string) error {
	return &daypass.Problem{Code: "DP-485", What: what, Next: "Try again in an hour.",
		Who: "The hub's admins can give snapshots more room: \"snapshots: max_size:\".", Kind: daypass.ErrUnreachable}
}

// An Asker is who asks, as far as it takes to be fair to others.
type Asker struct {
	Name  string // "": nobody in particular
	Chose bool   // what is to be read: nobody whom an admin lets choose for others names it
}

// ownPart is which part of the room what one person chose may have.
const ownPart = 4

// wants notes that a key is somebody else's choice too: then it is nobody's own.
func (d *Depot) wants(s *slot, by Asker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if name := filepath.Base(s.dir); !by.Chose || d.chosen[name] != by.Name {
		delete(d.chosen, name)
	}
}

// ownRoom takes away what somebody chose and asked for longest ago, until what they chose
// leaves the rest of the room to others. What is in use at this moment stays.
func (d *Depot) ownRoom(ctx context.Context, s *slot, by Asker) error {
	if !by.Chose {
		return nil
	}
	d.mu.Lock()
	mine := map[string]bool{}
	for name, whose := range d.chosen {
		if whose == by.Name {
			mine[name] = true
		}
	}
	if len(d.chosen) >= maxChosen {
		clear(d.chosen)
	}
	d.chosen[filepath.Base(s.dir)] = by.Name
	d.mu.Unlock()
	if delete(mine, filepath.Base(s.dir)); len(mine) == 0 {
		return nil // to look at all that is kept takes a while
	}
	all, _, err := d.list()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(e entry) bool { return !mine[e.name] })
	var total int64
	for _, e := range all {
		total += e.size
	}
	for _, e := range all {
		if total <= d.l.Size/ownPart || ctx.Err() != nil {
			break
		}
		gone, err := d.evict(e.name)
		if err != nil {
			return err
		}
		if gone {
			total -= e.size
			d.kept.Add(-e.size)
			d.log.Info("a snapshot made room for another of the same person's choice", "folder", e.name, "bytes", e.size)
		}
	}
	if total > d.l.Size/ownPart {
		return noRoom("What you have the access service read takes as much room as one person's choice may have")
	}
	return nil
}

// maxChosen bounds how many choices are remembered.
const maxChosen = 20_000

// turn waits for those that the same person began before, where nobody else waits and
// there is nothing to be given in the meantime.
func (d *Depot) turn(ctx context.Context, s *slot, k Key, f *flight, since time.Time, fetch Fetch) (Version, error) {
	s.mu.Lock()
	_, known := s.load().last()
	s.mu.Unlock()
	if f.by.Name != "" && !known {
		name := "by " + f.by.Name
		place := d.place(name, 1)
		defer d.unplace(name)
		select {
		case place <- struct{}{}:
			defer func() { <-place }()
		case <-f.shared:
		case <-ctx.Done():
			return Version{}, tooLong(ctx)
		}
	}
	return d.fly(ctx, s, k, f.by, since, fetch)
}

// atHost waits for a place among those that read from one host: one that is slow, or
// that asks to be left alone for a while, has not all of them. nil: ctx ended.
func (d *Depot) atHost(ctx context.Context, host string) (leave func()) {
	name := "host " + host
	place := d.place(name, (d.l.AtOnce+1)/2)
	select {
	case place <- struct{}{}:
		return func() { <-place; d.unplace(name) }
	case <-ctx.Done():
		d.unplace(name)
		return nil
	}
}

// A queue is of the fetches that one person began, or that are from one host.
type queue struct {
	place   chan struct{}
	waiting int
}

func (d *Depot) place(name string, wide int) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queues[name]
	if q == nil {
		q = &queue{place: make(chan struct{}, wide)}
		d.queues[name] = q
	}
	q.waiting++
	return q.place
}

func (d *Depot) unplace(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.queues[name]; q.waiting == 1 {
		delete(d.queues, name)
	} else {
		q.waiting--
	}
}

// Kept reports whether a key has a version, or gets one at this moment: to ask for it
// begins no fetch of everything.
func (d *Depot) Kept(k Key) bool {
	s, err := d.enter(k)
	if err != nil {
		return false
	}
	defer d.leave(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.load().last()
	return ok || s.flight != nil
}

// Over is what the newest version of a key left out for its size.
func (d *Depot) Over(k Key) []string {
	s, err := d.enter(k)
	if err != nil {
		return nil
	}
	defer d.leave(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	v, _ := s.load().last()
	return v.Over
}

// seed brings what the same source has without its large files into the repository of
// a key that includes some, so that only those are read. "" where there is nothing.
func (d *Depot) seed(ctx context.Context, repo *plumbing.Repo, k Key) plumbing.OID {
	if len(k.Include) == 0 {
		return ""
	}
	k.Include = nil
	s, err := d.enter(k)
	if err != nil {
		return ""
	}
	defer d.leave(s)
	s.mu.Lock()
	v, ok := s.load().last()
	s.mu.Unlock()
	if !ok {
		return ""
	}
	p, err := d.check(filepath.Join(s.dir, "packs", packName(v.ID, "")))
	if err != nil {
		return ""
	}
	defer p.File.Close()
	cmd := repo.Command(ctx, "index-pack", "--stdin")
	cmd.Stdin = p.File
	if plumbing.Run(cmd, packMemory) != nil {
		return ""
	}
	return plumbing.OID(v.ID)
}
