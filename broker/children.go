package broker

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// margin is how long a credential must still be good to be given again.
const margin = 60 * time.Second

// A childKey names whose authority made a credential and what for. A credential
// answers only requests with the very same key.
type childKey struct {
	person int64          // 0: the hub's own
	server daypass.Server // zero for the hub's own
	host   string
	repo   string         // owner/name, folded, as it was asked for
	asked  daypass.Access // what was asked for; what was given may be less
	life   time.Duration  // how long one lives from its making; of the hub's own only
	pass   passKey        // the pass that it was made by, if it was
}

// A passKey is a pass as it was shown: a narrower one is another.
type passKey struct{ id, links string }

// A kept credential lies in memory until shortly before its end.
type kept struct {
	store.Child
	Credential daypass.Credential
	today      daypass.Repo // the name that the repository bore when it was made
	Account    string
	whose      daypass.Account
	mark       string       // its fingerprint
	used       atomic.Int64 // unix seconds, for "least recently used"
	doubted    atomic.Int64 // unix seconds: when the host was asked whether it lives
	mu         sync.Mutex
	holders    map[holder]bool // who was given one of the hub's own
}

type holder struct {
	person int64
	server daypass.Server
}

// children are the credentials in memory. What ends them comes by
// [store.Change], also from other processes.
type children struct {
	mu    sync.RWMutex
	byKey map[childKey]*kept
}

// maxKept bounds the memory: about 1 KiB each.
const maxKept = 50_000

func (c *children) init() { c.byKey = map[childKey]*kept{} }

// get returns a credential that has at least the margin left, and not more than
// most.
func (c *children) get(k childKey, now time.Time, most time.Duration) (*kept, bool) {
	c.mu.RLock()
	v, ok := c.byKey[k]
	c.mu.RUnlock()
	if !ok || !v.Credential.Usable(now, margin) || v.Credential.Scope.Until.After(now.Add(most)) {
		return nil, false
	}
	v.used.Store(now.Unix())
	return v, true
}

func (c *children) put(k childKey, v *kept, now time.Time) {
	v.used.Store(now.Unix())
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byKey) >= maxKept {
		for k, v := range c.byKey {
			if !v.Credential.Usable(now, margin) || len(c.byKey) >= maxKept {
				delete(c.byKey, k)
			}
		}
	}
	c.byKey[k] = v
}

// find returns the first that matches, and whether it is a person's own.
func (c *children) find(match func(childKey, *kept) bool) (v *kept, own bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for k, v := range c.byKey {
		if match(k, v) {
			return v, k.person != 0
		}
	}
	return nil, false
}

// drop forgets those that match, and returns how many.
func (c *children) drop(match func(childKey, *kept) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for k, v := range c.byKey {
		if match(k, v) {
			delete(c.byKey, k)
			n++
		}
	}
	return n
}

// usedAt says when a child was last given, as far as this process knows.
func (c *children) usedAt(id int64) time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, v := range c.byKey {
		if v.ID == id {
			return time.Unix(v.used.Load(), 0)
		}
	}
	return time.Time{}
}

// held reports whether the holder was given this one before, and remembers it.
func (k *kept) held(h holder) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.holders[h]
}

func (k *kept) hold(h holder) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holders == nil {
		k.holders = map[holder]bool{}
	}
	k.holders[h] = true
}

// flights let one goroutine at a time work on a key, so that a hundred requests
// for the same thing cost one.
type flights struct {
	mu   sync.Mutex
	keys map[any]*flight
}

type flight struct {
	gate    chan struct{} // holds one token while free
	waiting int
}

func (f *flights) init() { f.keys = map[any]*flight{} }

// enter waits until nobody else works on the key or ctx ends; leave must be
// called if err is nil.
func (f *flights) enter(done <-chan struct{}, key any) (leave func(), ok bool) {
	f.mu.Lock()
	fl := f.keys[key]
	if fl == nil {
		fl = &flight{gate: make(chan struct{}, 1)}
		fl.gate <- struct{}{}
		f.keys[key] = fl
	}
	fl.waiting++
	f.mu.Unlock()
	forget := func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if fl.waiting--; fl.waiting == 0 {
			delete(f.keys, key)
		}
	}
	select {
	case <-fl.gate:
		return func() { fl.gate <- struct{}{}; forget() }, true
	case <-done:
		forget()
		return nil, false
	}
}
