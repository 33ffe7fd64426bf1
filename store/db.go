package store

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"
)

var errTodo = errors.New("todo")

// What errors of this package wrap.
var (
	// ErrNone: there is no such row.
	ErrNone = errors.New("the store has no such entry")
	// ErrSeal: a sealed value was damaged, or belongs to another row.
	ErrSeal = errors.New("a sealed entry is damaged or was moved")
	// ErrKey: a sealed value needs a key that this process does not have.
	ErrKey = errors.New("a sealed entry needs a key that is not there")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")
)

// Config says where a store is and what it needs from outside.
type Config struct {
	URL        string                // "sqlite:/absolute/path" or "postgres://…"
	Keys       *Keys                 // needed
	ReloadKeys func() (*Keys, error) // called when a row has an unknown key while running; nil: never
	Now        func() time.Time      // nil: time.Now
	Rand       io.Reader             // nil: crypto/rand
	Log        *slog.Logger          // nil: nothing is logged
	Process    string                // this process's name in leases; "": the chain's id
	Head       func(Head)            // called with this process's newest head, at most once a second; nil: never
}

// DB is an open store.
type DB struct{ c Config }

// Tx is one closure's part of a transaction. It is good until the closure
// returns, and for one goroutine.
type Tx struct{ db *DB }

// Open opens a store, brings its tables up to date, and starts this process's
// chain of events. It refuses a store that it cannot use safely.
func Open(ctx context.Context, c Config) (*DB, error) { return nil, errTodo }

// Close writes what waits, marks the end of this process's chain and closes.
func (db *DB) Close() error { return errTodo }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return errTodo }

// Epoch counts how often this store was restored from a backup, from 1.
func (db *DB) Epoch() int64 { return 0 }

// Instance is the store's random id. A restored store has that of its origin.
func (db *DB) Instance() string { return "" }

// Process is the name of this process in leases, which is also its chain's.
func (db *DB) Process() string { return "" }

// Durability reads back what the database promises at a commit, such as
// "sqlite synchronous=2 journal=wal".
func (db *DB) Durability(ctx context.Context) (string, error) { return "", errTodo }

// Write runs op in a transaction and returns when it is durable. Closures of
// many callers share one transaction; an error of op undoes op alone and is
// returned. Op may run more than once, so it must only use tx and set its
// results anew each time. Where ctx ends before op's transaction started,
// nothing is written; after that, Write waits for the outcome.
func (db *DB) Write(ctx context.Context, op func(*Tx) error) error { return errTodo }

// Record writes one event and returns when it is durable.
func (db *DB) Record(ctx context.Context, e Event) (EventID, error) { return "", errTodo }

// Record adds an event to the transaction. At is now where it is zero.
func (tx *Tx) Record(e Event) EventID { return "" }

// Now is the time of the transaction, by [Config.Now].
func (tx *Tx) Now() time.Time { return time.Time{} }

// Swept says how many rows a sweep took away.
type Swept struct{ Children, Sessions, States, Visits, Changes int64 }

// Sweep takes away what is over: children that the provider has ended and
// nobody has to revoke, sessions, states, visits of earlier days, old changes.
func (db *DB) Sweep(ctx context.Context, now time.Time) (Swept, error) { return Swept{}, errTodo }
