package server

import (
	"context"
	"crypto/sha256"
	"hash/maphash"
	"net/http"
	"net/netip"
	"slices"
	"strings"
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
			evict(s.buckets, func(b *bucket) time.Time { return b.seen })
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

// try takes from the caller's bucket too, and gives back what was taken where
// it was no failure after all.
func (l *limiter) try(k key, now time.Time) (giveBack func(), wait time.Duration) {
	s := &l.shards[k[0]&(limitShards-1)]
	s.Lock()
	b := s.buckets[k]
	if b == nil {
		if len(s.buckets) >= shardSize {
			evict(s.buckets, func(b *bucket) time.Time { return b.seen })
		}
		b = &bucket{Limiter: *rate.NewLimiter(l.rate, l.burst)}
		s.buckets[k] = b
	}
	b.seen = now
	s.Unlock()
	r := b.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return nil, wait
	}
	return func() { r.CancelAt(now) }, 0
}

func (l *limiter) drop(k key) {
	s := &l.shards[k[0]&(limitShards-1)]
	s.Lock()
	delete(s.buckets, k)
	s.Unlock()
}

// evict drops the one not seen for longest among a few. A map's order is random
// enough.
func evict[V any](all map[key]V, seen func(V) time.Time) {
	var oldest key
	var at time.Time
	tries := 0
	for k, v := range all {
		if tries == 0 || seen(v).Before(at) {
			oldest, at = k, seen(v)
		}
		if tries++; tries == evictTries {
			break
		}
	}
	delete(all, oldest)
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

// sightings remembers from where each token of the hub came within an hour: one
// that is copied out of its server comes from elsewhere.
type sightings struct {
	most   int // addresses that are nothing to tell of
	seed   maphash.Seed
	shards [limitShards]sightShard
}

type sightShard struct {
	sync.Mutex
	tokens map[key]*sighting
}

type sighting struct {
	from []sight // at most one more than most
	last time.Time
	told time.Time
}

type sight struct {
	address uint64 // its hash
	at      time.Time
}

const sightFor = time.Hour

func newSightings(most int) *sightings {
	s := &sightings{most: most, seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].tokens = map[key]*sighting{}
	}
	return s
}

// note returns the number of addresses where there are more than may be, once in
// an hour for a token; else 0.
func (s *sightings) note(k key, address string, now time.Time) int {
	a := maphash.String(s.seed, place(address))
	shard := &s.shards[k[0]&(limitShards-1)]
	shard.Lock()
	defer shard.Unlock()
	t := shard.tokens[k]
	if t == nil {
		if len(shard.tokens) >= shardSize {
			evict(shard.tokens, func(t *sighting) time.Time { return t.last })
		}
		t = &sighting{}
		shard.tokens[k] = t
	}
	t.last = now
	for i := range t.from {
		if t.from[i].address == a {
			t.from[i].at = now
			return 0
		}
	}
	t.from = slices.DeleteFunc(t.from, func(f sight) bool { return now.Sub(f.at) >= sightFor })
	if len(t.from) > s.most { // the oldest makes room
		slices.SortFunc(t.from, func(a, b sight) int { return b.at.Compare(a.at) })
		t.from = t.from[:s.most]
	}
	t.from = append(t.from, sight{a, now})
	if len(t.from) <= s.most || now.Sub(t.told) < sightFor {
		return 0
	}
	t.told = now
	return len(t.from)
}

// place is what counts as one address: without a port, and of IPv6 the network,
// since a machine changes the rest by itself (RFC 8981).
func place(address string) string {
	if !strings.Contains(address, ":") {
		return address
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		ap, perr := netip.ParseAddrPort(address)
		if perr != nil {
			return address
		}
		a = ap.Addr()
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64) // 64 is a length that it has
		return p.String()
	}
	return a.String()
}

// roamed tells of a token that came from many addresses: the admins by the log
// and a metric, its person by the activity. It goes on working: the hub's word
// counts, and whoever leaves a laptop's network behind does no harm.
func (s *Server) roamed(r *http.Request, id string, who daypass.Caller, n int) {
	s.metrics.roamed.Inc()
	s.log.Warn("a token was seen from many addresses within an hour", "user", userName(who.User), "server", who.Server.String(), "via", who.Via.String(),
		"addresses", n, "request", id)
	if s.c.Broker.Roamed != nil {
		s.c.Broker.Roamed(context.WithValue(context.WithoutCancel(r.Context()), requestKey{}, id), who, n)
	}
}

// reaches remembers for a moment what hosts said that people reach.
type reaches struct {
	mu sync.Mutex
	m  map[reachKey]reached
}

type reachKey struct {
	user  daypass.User
	host  string
	since time.Time // of the connection
}

type reached struct {
	reach Reach
	at    time.Time
}

// maxReaches bounds what is remembered.
const maxReaches = 1000

func (r *reaches) get(k reachKey, now time.Time) (Reach, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.m[k]
	return v.reach, ok && now.Sub(v.at) < reachFor
}

func (r *reaches) put(k reachKey, reach Reach, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.m) >= maxReaches {
		clear(r.m)
	}
	r.m[k] = reached{reach, now}
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
