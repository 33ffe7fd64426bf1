package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

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
	Process    string                // this process's name in leases; "": a random one
	Head       func(Head)            // called with this process's newest head, at most once a second; nil: never
	Committed  func(time.Duration)   // called after each commit with the time that making it durable took; nil: never
}

// DB is an open store.
type DB struct {
	c    Config
	d    dialect
	path string // of a SQLite file
	keys atomic.Pointer[Keys]

	writer      *sql.DB
	readers     *pool
	checkpoints *sql.DB // SQLite only
	committer   *committer

	instance string
	epoch    int64
	process  string
	strange  sync.Map // the rows that the log told of

	stop                                   chan struct{}
	stopOnce                               sync.Once
	trailsDone, checkpointsDone, headsDone chan struct{}
}

// Close writes what waits, marks the end of this process's chain and closes.
// Writes that come after it fail with ErrClosed.
func (db *DB) Close() error {
	var err error
	db.stopOnce.Do(func() {
		close(db.stop)
		<-db.trailsDone
		db.committer.close()
		<-db.headsDone
		<-db.checkpointsDone
		err = db.closePools()
	})
	return err
}

func (db *DB) closePools() error {
	var errs []error
	for _, p := range []*sql.DB{db.checkpoints, db.writer} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	if db.readers != nil {
		errs = append(errs, db.readers.Close())
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if _, err := one(ctx, db.readers, scanInt, `SELECT 1`); err != nil {
		return openProblem(err)
	}
	return nil
}

// Epoch counts how often this store was restored from a backup, from 1.
func (db *DB) Epoch() int64 { return db.epoch }

// Instance is the store's random id. A restored store has that of its origin.
func (db *DB) Instance() string { return db.instance }

// Process is the name of this process in leases.
func (db *DB) Process() string { return db.process }

// Write runs op in a transaction and returns when it is durable. Closures of
// many callers share one transaction; an error of op undoes op alone and is
// returned as it is. Op may run more than once, so it must only use tx and set
// its results anew each time; it should not wait for anything, since all
// writers of the process wait for it. Where ctx ends before op's transaction
// started, nothing is written; after that, Write waits for the outcome.
func (db *DB) Write(ctx context.Context, op func(*Tx) error) error {
	return db.committer.submit(ctx, &request{op: op})
}

// Tx is one closure's part of a transaction. It is good until the closure
// returns, and for one goroutine.
type Tx struct {
	g      *batch
	over   bool
	failed error // the first error of the database: the closure cannot succeed any more
}

var errOver = errors.New("store: a transaction was used after its closure had returned")

// Now is the time of the transaction, by [Config.Now].
func (tx *Tx) Now() time.Time { return tx.g.now }

func (tx *Tx) exec(text string, args ...any) (int64, error) {
	if tx.over {
		return 0, errOver
	}
	n, err := exec(tx.g.ctx, tx.g.s, text, args...)
	return n, tx.note(err)
}

func (tx *Tx) note(err error) error {
	if err != nil && !errors.Is(err, ErrNone) && tx.failed == nil {
		tx.failed = err
	}
	return err
}

// txList and txOne are list and one inside a transaction.
func txList[T any](tx *Tx, scan func(scanner) (T, error), text string, args ...any) ([]T, error) {
	if tx.over {
		return nil, errOver
	}
	out, err := list(tx.g.ctx, tx.g.s, scan, text, args...)
	return out, tx.note(err)
}

func txOne[T any](tx *Tx, scan func(scanner) (T, error), text string, args ...any) (T, error) {
	if tx.over {
		var zero T
		return zero, errOver
	}
	out, err := one(tx.g.ctx, tx.g.s, scan, text, args...)
	return out, tx.note(err)
}

// Swept says how many rows a sweep took away.
type Swept struct {
	Children, Sessions, States, Visits, Changes int64
	Passes, Uses, Onces, Devices                int64
}

// passKept is how long a pass that is over or ended is shown.
const passKept = 90 * 24 * time.Hour

// Sweep takes away what is over: children that the provider has ended and
// nobody has to revoke, sessions, states, visits and approvals of earlier days,
// changes that every process has seen, passes that were over or ended 90 days ago,
// what guarded against second uses that nothing allows any more, devices.
func (db *DB) Sweep(ctx context.Context, now time.Time) (Swept, error) {
	var out Swept
	err := db.Write(ctx, func(tx *Tx) error {
		at := micro(now)
		ago := func(d time.Duration) int64 { return micro(now.Add(-d)) }
		for _, s := range []struct {
			n    *int64
			text string
			arg  any
		}{
			{&out.Children, `DELETE FROM children WHERE id IN (SELECT id FROM children WHERE ends < $1 AND NOT EXISTS
				(SELECT 1 FROM todos t WHERE t.child = children.id) LIMIT 1000)`, at},
			{&out.Sessions, `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires < $1 LIMIT 1000)`, at},
			{&out.States, `DELETE FROM states WHERE created < $1`, ago(stateLife)},
			{&out.Visits, `DELETE FROM visits WHERE day < $1`, now.Add(-48 * time.Hour).UTC().Format(time.DateOnly)},
			{new(int64), `DELETE FROM approvals WHERE day < $1`, now.Add(-48 * time.Hour).UTC().Format(time.DateOnly)},
			{&out.Passes, `DELETE FROM passes WHERE id IN (SELECT id FROM passes WHERE until < $1 OR ended > 0 AND ended < $1 LIMIT 1000)`, ago(passKept)},
			{&out.Uses, `DELETE FROM pass_uses WHERE link IN (SELECT link FROM pass_uses WHERE until < $1 LIMIT 1000)`, ago(sweepGrace)},
			{&out.Onces, `DELETE FROM once WHERE until < $1`, ago(sweepGrace)},
			{new(int64), `DELETE FROM link_pulls WHERE at < $1`, ago(2 * pullKept)},
			{new(int64), `DELETE FROM leases WHERE until < @clock - $1`, time.Hour.Microseconds()},
			{&out.Devices, `DELETE FROM devices WHERE until < $1`, at},
			// By the database's clock: they are other processes', whatever this one's
			// clock says. The newest stays, so that LastChange never goes back.
			{&out.Changes, `DELETE FROM changes WHERE at < @clock - $1 AND id < (SELECT max(id) FROM changes)`, time.Hour.Microseconds()},
		} {
			n, err := tx.exec(s.text, s.arg)
			if err != nil {
				return err
			}
			*s.n = n
		}
		return nil
	})
	return out, err
}
