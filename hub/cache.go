package hub

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

const (
	goodFor     = time.Minute      // an answer that named somebody
	refusedFor  = 5 * time.Second  // one that named nobody
	staleFor    = 5 * time.Minute  // the longest that an old answer is given while the hub is away
	rememberFor = 10 * time.Minute // for how long a refusal of what was good is doubted

	shardCount = 16 // a power of two
	shardSize  = 2048
	evictTries = 8
)

// A key names a token and the browser's session at the hub, so that a logout
// there ends what was remembered. It cannot be turned back.
type key [sha256.Size]byte

func keyOf(token, session string) key {
	var buf [256]byte
	b := append(buf[:0], token...)
	b = append(b, 0) // in no token and in no cookie
	b = append(b, session...)
	return sha256.Sum256(b)
}

// An entry is what the hub said last about a token. It is never changed once it
// is in the cache, but for used.
type entry struct {
	who      Identity
	err      error // refused; who is then empty
	asked    int64 // when the question began, as elapsed says
	verified int64 // when the hub last said yes, as elapsed says
	used     atomic.Int64
}

// A cache remembers entries, at most shardCount*shardSize, and forgets those not
// used for longest, more or less.
type cache struct {
	shards []shard
	floor  atomic.Int64 // answers to questions asked before are not kept
}

type shard struct {
	sync.RWMutex
	entries map[key]*entry
}

func newCache() cache {
	s := make([]shard, shardCount)
	for i := range s {
		s[i].entries = map[key]*entry{}
	}
	return cache{shards: s}
}

func (c *cache) at(k *key) *shard { return &c.shards[k[0]&(shardCount-1)] }

func (c *cache) find(k *key) *entry {
	s := c.at(k)
	s.RLock()
	e := s.entries[*k]
	s.RUnlock()
	return e
}

// put keeps an entry, unless a later question was answered meanwhile or all
// were told to be forgotten.
func (c *cache) put(k *key, e *entry) {
	if e.asked < c.floor.Load() {
		return
	}
	s := c.at(k)
	s.Lock()
	defer s.Unlock()
	old := s.entries[*k]
	if old != nil && old.asked > e.asked {
		return
	}
	if old == nil && len(s.entries) >= shardSize {
		s.evict()
	}
	e.used.Store(e.asked)
	s.entries[*k] = e
}

// evict drops the one not used for longest among a few. A map's order is random
// enough.
func (s *shard) evict() {
	var oldest key
	var at int64
	tries := 0
	for k, e := range s.entries {
		// A refusal goes first: whoever sends rubbish pushes out only rubbish.
		used := e.used.Load()
		if e.err != nil {
			used = 0
		}
		if tries == 0 || used < at {
			oldest, at = k, used
		}
		if tries++; tries == evictTries {
			break
		}
	}
	delete(s.entries, oldest)
}

func (c *cache) drop(k *key) {
	s := c.at(k)
	s.Lock()
	delete(s.entries, *k)
	s.Unlock()
}

// forget drops all entries for which match returns true, and what is being asked
// just now.
func (c *cache) forget(at int64, match func(*Identity) bool) {
	c.floor.Store(at + 1)
	for i := range c.shards {
		s := &c.shards[i]
		s.Lock()
		for k, e := range s.entries {
			if e.err == nil && match(&e.who) {
				delete(s.entries, k)
			}
		}
		s.Unlock()
	}
}
