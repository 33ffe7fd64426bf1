package server

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/daypass-dev/daypass"
)

// A key is the hash of a token, of a session's id or of an address.
type key [sha256.Size]byte

func keyOf(s string) key { return sha256.Sum256([]byte(s)) }

const (
	limitShards = 16 // a power of two
	shardSize   = 4096
	evictTries  = 8
)

// A limiter keeps a bucket for each of at most limitShards*shardSize callers,
// and forgets those not seen for longest, more or less.
type limiter struct {
	rate   rate.Limit
	burst  int
	shards [limitShards]limitShard
}

type limitShard struct {
	sync.Mutex
	buckets map[key]*bucket
}

type bucket struct {
	rate.Limiter
	seen time.Time
}

func newLimiter(perSecond float64, burst int) *limiter {
	l := &limiter{rate: rate.Limit(perSecond), burst: burst}
	for i := range l.shards {
		l.shards[i].buckets = map[key]*bucket{}
	}
	return l
}

// take takes from the caller's bucket. known is false where there is none, and
// then add says whether one is made.
func (l *limiter) take(k key, now time.Time, add bool) (known bool, wait time.Duration) {
	s := &l.shards[k[0]&(limitShards-1)]
	s.Lock()
	b, known := s.buckets[k]
	if !known {
		if !add {
			s.Unlock()
			return false, 0
		}
		if len(s.buckets) >= shardSize {
			s.evict()
		}
		b = &bucket{Limiter: *rate.NewLimiter(l.rate, l.burst)}
		s.buckets[k] = b
	}
	b.seen = now
	s.Unlock()
	if b.AllowN(now, 1) {
		return known, 0
	}
	r := b.ReserveN(now, 1)
	wait = r.DelayFrom(now)
	r.CancelAt(now)
	return known, max(wait, time.Millisecond)
}

func (l *limiter) drop(k key) {
	s := &l.shards[k[0]&(limitShards-1)]
	s.Lock()
	delete(s.buckets, k)
	s.Unlock()
}

// evict drops the one not seen for longest among a few. A map's order is random
// enough.
func (s *limitShard) evict() {
	var oldest key
	var at time.Time
	tries := 0
	for k, b := range s.buckets {
		if tries == 0 || b.seen.Before(at) {
			oldest, at = k, b.seen
		}
		if tries++; tries == evictTries {
			break
		}
	}
	delete(s.buckets, oldest)
}

// limit lets through what the hub vouched for lately at the rate of one caller,
// and everything else at the rate of an address, so that nobody can make the
// hub answer for rubbish. vouched is to be called once the hub has spoken.
func (s *Server) limit(k key, address string) (vouched func(bool), err error) {
	now := s.c.Now()
	known, wait := s.tokens.take(k, now, false)
	if known && wait > 0 {
		s.metrics.limited.WithLabelValues("token").Inc()
		return nil, tooOften(wait)
	}
	if !known {
		if _, wait := s.strange.take(keyOf(address), now, true); wait > 0 {
			s.metrics.limited.WithLabelValues("address").Inc()
			return nil, tooOften(wait)
		}
	}
	return func(good bool) {
		switch {
		case good && !known:
			s.tokens.take(k, now, true)
		case !good && known:
			s.tokens.drop(k)
		}
	}, nil
}

func (s *Server) isProxy(host string) bool {
	if len(s.c.Limits.Proxies) == 0 {
		return false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host == "@" || host == "" // a Unix socket: whoever may open it
	}
	for _, p := range s.c.Limits.Proxies {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// resting counts the requests of each person that wait.
type resting struct {
	mu sync.Mutex
	n  map[daypass.User]int
}

func (r *resting) enter(u daypass.User) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n[u] >= maxWaits {
		return false
	}
	r.n[u]++
	return true
}

func (r *resting) leave(u daypass.User) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n[u]--; r.n[u] <= 0 {
		delete(r.n, u)
	}
}

// spent remembers forms that were used, until they would be too old anyway.
type spent struct {
	mu    sync.Mutex
	until map[string]time.Time
	swept time.Time
}

// maxSpent bounds what is remembered. Each takes a signed-in person's own form.
const maxSpent = 100_000

func newSpent() *spent { return &spent{until: map[string]time.Time{}} }

// take reports whether this is the first use. Where no more can be remembered
// nothing is the first use.
func (s *spent) take(id string, until, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept) > time.Minute || len(s.until) >= maxSpent {
		for k, t := range s.until {
			if !t.After(now) {
				delete(s.until, k)
			}
		}
		s.swept = now
	}
	if _, used := s.until[id]; used || len(s.until) >= maxSpent {
		return false
	}
	s.until[id] = until
	return true
}
