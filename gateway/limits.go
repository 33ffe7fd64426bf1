package gateway

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/daypass-dev/daypass/pass"
)

const (
	badPerSecond, badAtOnce               = 0.5, 20
	complaintsPerSecond, complaintsAtOnce = 0.1, 10
	maxLimited                            = 4096
	maxFamiliar                           = 8192
	familiarFor                           = 10 * time.Minute
)

// limiter keeps a bucket for each of at most maxLimited keys. A key that it has
// forgotten begins anew.
type limiter struct {
	rate  rate.Limit
	burst int
	mu    sync.Mutex
	m     map[string]*rate.Limiter
}

func (l *limiter) start(perSecond float64, burst int) {
	l.rate, l.burst, l.m = rate.Limit(perSecond), burst, map[string]*rate.Limiter{}
}

// wait says how long there is nothing left for a key; 0: there is something.
func (l *limiter) wait(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.m[key]
	if !ok {
		return 0
	}
	left := b.TokensAt(now)
	if left >= 1 {
		return 0
	}
	return time.Duration((1 - left) / float64(l.rate) * float64(time.Second))
}

// take takes one; false where there is none.
func (l *limiter) take(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.m[key]
	if !ok {
		if len(l.m) >= maxLimited {
			l.evict(now)
		}
		b = rate.NewLimiter(l.rate, l.burst)
		l.m[key] = b
	}
	return b.AllowN(now, 1)
}

// evict drops the fullest of a few: it has the least to be remembered for. A
// map's order is random enough.
func (l *limiter) evict(now time.Time) {
	var key string
	most, tries := -1.0, 0
	for k, b := range l.m {
		if left := b.TokensAt(now); left > most {
			key, most = k, left
		}
		if tries++; tries == 8 {
			break
		}
	}
	delete(l.m, key)
}

// place is what counts as one address: of IPv6 the network, since a machine
// changes the rest by itself (RFC 8981).
func place(a netip.Addr) string {
	if a = a.Unmap(); a.Is6() {
		p, _ := a.WithZone("").Prefix(64) // 64 is a length that it has
		return p.String()
	}
	return a.String()
}

// familiar remembers passes that were accepted lately, so that they work where
// a neighbour at the same address shows rubbish.
type familiar struct {
	mu sync.Mutex
	m  map[pass.Link]time.Time
}

func (f *familiar) start() { f.m = map[pass.Link]time.Time{} }

func (f *familiar) has(l pass.Link, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.m[l]
	return ok && now.Sub(at) < familiarFor
}

func (f *familiar) add(l pass.Link, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.m) >= maxFamiliar {
		clear(f.m)
	}
	f.m[l] = now
}

// crowd counts the requests that are worked on, so that one address cannot take
// all the room.
type crowd struct {
	mu    sync.Mutex
	all   int
	place map[string]int
}

func (c *crowd) start() { c.place = map[string]int{} }

func (c *crowd) enter(place string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= maxAtOnce || c.place[place] >= maxFromOne {
		return false
	}
	c.all++
	c.place[place]++
	return true
}

func (c *crowd) leave(place string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.place[place]--; c.place[place] <= 0 {
		delete(c.place, place)
	}
}
