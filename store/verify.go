package store

import (
	"context"
	"time"
)

// A Head is the end of a chain at some time: whoever keeps it outside can tell
// later that nothing before it was changed.
type Head struct {
	Chain string
	Group int64  // the number of the commit group, from 0
	Last  int64  // the number of its last event; 0: none yet
	MAC   string // 64 hex digits
	At    time.Time
}

// String is the text that [ParseHead] reads: "K3QF:17:1042:<mac>".
func (h Head) String() string { return "" }

// ParseHead reads a head; At is not in it.
func ParseHead(s string) (Head, error) { return Head{}, errTodo }

// Heads returns the newest head of each chain, oldest chain first.
func (db *DB) Heads(ctx context.Context) ([]Head, error) { return nil, errTodo }

// A Fault is something that Verify found.
type Fault struct {
	Kind  string // "edited", "deleted", "cut", "recomputed", "stray", "key"
	Chain string
	Group int64
	Event EventID // where one event is known to be at fault
	What  string  // a sentence
}

// A Report is the outcome of Verify.
type Report struct {
	Chains, Groups, Events int64
	Heads                  []Head
	Faults                 []Fault
}

// Clean reports whether nothing was found.
func (r Report) Clean() bool { return len(r.Faults) == 0 }

// Verify reads all events and checks each chain against its keys, the given
// heads, and what later chains and clean ends recorded.
func (db *DB) Verify(ctx context.Context, heads []Head) (Report, error) { return Report{}, errTodo }
