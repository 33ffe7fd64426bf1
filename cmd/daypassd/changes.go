package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// changes tells open pages that there is something new to show. What this
// process does is told at once; what others did is found in the store, and only
// while somebody watches. A page's stream makes many signals few.
type changes struct {
	db       *store.DB
	now      func() time.Time
	watching atomic.Int64
	mu       sync.Mutex
	people   map[daypass.User]*watched
}

// watched is somebody who has pages open.
type watched struct {
	pages  map[chan struct{}]bool
	since  time.Time
	person int64         // 0: not found yet
	newest store.EventID // of their activity; "": not looked yet
}

const (
	followEach  = 400 * time.Millisecond
	lookEach    = 2 * time.Second // at the activity of those who watch
	lookMost    = 200             // of them at a time
	refreshEach = time.Minute     // times pass, and what is in memory only ends
)

func newChanges(db *store.DB, now func() time.Time) *changes {
	return &changes{db: db, now: now, people: map[daypass.User]*watched{}}
}

func (c *changes) watch(who daypass.Caller) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.people[who.User]
	if w == nil {
		w = &watched{pages: map[chan struct{}]bool{}, since: c.now()}
		c.people[who.User] = w
	}
	w.pages[ch] = true
	c.watching.Add(1)
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(w.pages, ch)
		c.watching.Add(-1)
		if len(w.pages) == 0 {
			delete(c.people, who.User)
		}
	}
}

// tell costs one look at a number while nobody watches: each credential does it.
func (c *changes) tell(u daypass.User) {
	if c.watching.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.people[u].signal()
}

func (w *watched) signal() {
	if w == nil {
		return
	}
	for ch := range w.pages {
		select {
		case ch <- struct{}{}:
		default: // one waits already
		}
	}
}

// follow looks for what other processes did, until ctx ends.
func (c *changes) follow(ctx context.Context) {
	tick := time.NewTicker(followEach)
	defer tick.Stop()
	last, looked, refreshed := int64(-1), time.Time{}, c.now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.watching.Load() == 0 {
			last = -1
			continue
		}
		last = c.rows(ctx, last)
		if now := c.now(); now.Sub(looked) >= lookEach {
			c.look(ctx)
			looked = now
		}
		if now := c.now(); now.Sub(refreshed) >= refreshEach {
			c.all()
			refreshed = now
		}
	}
}

// rows tells of the changes after the last one, and returns the new last one.
func (c *changes) rows(ctx context.Context, last int64) int64 {
	if last < 0 {
		n, err := c.db.LastChange(ctx)
		if err != nil {
			return -1
		}
		return n
	}
	list, err := c.db.Changes(ctx, last)
	if err != nil {
		return last // the store is away; the next look will find them
	}
	people := map[int64]bool{}
	for _, ch := range list {
		people[ch.Person], last = true, ch.N
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.people {
		if w.person != 0 && people[w.person] {
			w.signal()
		}
	}
	return last
}

// look finds new lines in the activity of those who watch: what other processes
// gave or refused leaves no change. A map's order is random enough to come to
// everybody where there are many.
func (c *changes) look(ctx context.Context) {
	type one struct {
		user   daypass.User
		person int64
	}
	var list []one
	c.mu.Lock()
	for u, w := range c.people {
		if list = append(list, one{u, w.person}); len(list) == lookMost {
			break
		}
	}
	c.mu.Unlock()
	for _, o := range list {
		if o.person == 0 {
			p, ok, err := c.db.Person(ctx, o.user)
			if err != nil || !ok {
				continue // they have done nothing here yet
			}
			o.person = p.ID
		}
		events, err := c.db.Events(ctx, store.EventFilter{Person: o.person, Limit: 1})
		if err != nil {
			return
		}
		c.found(o.user, o.person, events)
	}
}

func (c *changes) found(u daypass.User, person int64, newest []store.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.people[u]
	if w == nil {
		return
	}
	w.person = person
	if len(newest) == 0 || newest[0].ID == w.newest {
		return
	}
	if w.newest != "" || newest[0].At.After(w.since.Add(-time.Second)) {
		w.signal()
	}
	w.newest = newest[0].ID
}

func (c *changes) all() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.people {
		w.signal()
	}
}
