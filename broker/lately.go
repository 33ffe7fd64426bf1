package broker

import (
	"sync"
	"time"
)

// lately remembers what was seen, for those who believe it for a while. Where it is
// full, it begins anew. The zero value is ready, and safe for concurrent use.
type lately[K comparable, V any] struct {
	mu   sync.Mutex
	seen map[K]noted[V]
}

type noted[V any] struct {
	what V
	at   time.Time
}

// get is what was seen, if that was less than ttl ago. What was seen later than now is
// not believed: the clock was set back.
func (l *lately[K, V]) get(k K, now time.Time, ttl time.Duration) (V, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.young(k, now, ttl)
}

func (l *lately[K, V]) young(k K, now time.Time, ttl time.Duration) (V, bool) {
	n, ok := l.seen[k]
	age := now.Sub(n.at)
	return n.what, ok && age >= 0 && age < ttl
}

// put notes what is seen now. most bounds how much is remembered.
func (l *lately[K, V]) put(k K, what V, now time.Time, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(k, what, now, most)
}

func (l *lately[K, V]) note(k K, what V, now time.Time, most int) {
	if l.seen == nil || len(l.seen) >= most {
		l.seen = map[K]noted[V]{}
	}
	l.seen[k] = noted[V]{what, now}
}

// first reports whether a thing was not seen within ttl, and notes it then.
func (l *lately[K, V]) first(k K, what V, now time.Time, ttl time.Duration, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.young(k, now, ttl); ok {
		return false
	}
	l.note(k, what, now, most)
	return true
}

func (l *lately[K, V]) drop(k K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seen, k)
}

func (l *lately[K, V]) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.seen)
}
