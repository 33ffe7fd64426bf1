package server

import (
	"strconv"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// TestSpentFormsOfOne: one person's own forms, in however many sessions, take
// nobody else's.
func TestSpentFormsOfOne(t *testing.T) {
	now := time.Now()
	mallory, jo := daypass.User{Name: "mallory"}, daypass.User{Name: "jo"}
	s := newSpent()
	took := 0
	for i := range 2 * maxSpentOf {
		if first, room := s.take(mallory, strconv.Itoa(i), now.Add(formFor), now); first && room {
			took++
		}
	}
	if took != maxSpentOf {
		t.Errorf("%d forms of one person were taken in one moment", took)
	}
	later := now.Add(2 * time.Minute)
	for _, c := range []struct {
		who         daypass.User
		id          string
		at          time.Time
		first, room bool
	}{
		{jo, "0", later, true, true},
		{jo, "0", later, false, true},
		{mallory, "0", later, false, true},
		{mallory, "one more", later, false, false},
		{mallory, "one more", now.Add(formFor + 2*time.Minute), true, true},
	} {
		if first, room := s.take(c.who, c.id, c.at.Add(formFor), c.at); first != c.first || room != c.room {
			t.Errorf("%s %q: first %v, room %v", c.who.Name, c.id, first, room)
		}
	}
	if s.n != 1 || len(s.of) != 1 { // the last one
		t.Errorf("%d forms of %d people are remembered", s.n, len(s.of))
	}
}

// TestSpentFormsOfAll: what is remembered is bounded.
func TestSpentFormsOfAll(t *testing.T) {
	now := time.Now()
	s := newSpent()
	took := 0
	for i := range maxSpent + maxSpentOf {
		if first, _ := s.take(daypass.User{Name: strconv.Itoa(i / 500)}, strconv.Itoa(i), now.Add(formFor), now); first {
			took++
		}
	}
	if took != maxSpent || s.n != maxSpent {
		t.Errorf("%d were taken, %d are remembered", took, s.n)
	}
	late := now.Add(2 * formFor)
	if first, _ := s.take(daypass.User{Name: "jo"}, "late", late.Add(formFor), late); !first || s.n != 1 {
		t.Errorf("%d are never forgotten", s.n)
	}
}
