package server

import (
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
)

// spent remembers forms that were used, until they would be too old anyway. Whoever
// sends more of their own than people do has to wait, and nobody else.
type spent struct {
	mu    sync.Mutex
	of    map[daypass.User]map[string]time.Time
	n     int // of all
	swept time.Time
}

// What is remembered at most: of one person, and of all.
const (
	maxSpentOf = 1000
	maxSpent   = 200_000
)

func newSpent() *spent { return &spent{of: map[daypass.User]map[string]time.Time{}} }

// take reports whether this is the first use, and whether there was room to
// remember it: where there is none nothing is used.
func (s *spent) take(who daypass.User, id string, until, now time.Time) (first, room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept) > time.Minute {
		s.sweep(now)
	}
	forms := s.of[who]
	if _, used := forms[id]; used {
		return false, true
	}
	if len(forms) >= maxSpentOf || s.n >= maxSpent {
		return false, false
	}
	if forms == nil {
		forms = map[string]time.Time{}
		s.of[who] = forms
	}
	forms[id] = until
	s.n++
	return true, true
}

func (s *spent) sweep(now time.Time) {
	for who, forms := range s.of {
		for id, until := range forms {
			if !until.After(now) {
				delete(forms, id)
				s.n--
			}
		}
		if len(forms) == 0 {
			delete(s.of, who)
		}
	}
	s.swept = now
}
