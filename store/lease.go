package store

import (
	"context"
	"errors"
	"time"
)

// TakeLease takes the right to do what only one process at a time may do, or
// prolongs what the owner has, for d by the database's clock. False: somebody else
// has it. The owner must be another text for each attempt.
func (db *DB) TakeLease(ctx context.Context, name, owner string, d time.Duration) (bool, error) {
	if name == "" || owner == "" || !storable(name) || !storable(owner) {
		return false, errors.New("store: a lease needs a name and an owner")
	}
	var n int64
	err := db.Write(ctx, func(tx *Tx) (err error) {
		n, err = tx.exec(`INSERT INTO leases (name, owner, until) VALUES ($1, $2, @clock + $3) ON CONFLICT (name) DO UPDATE
			SET owner = excluded.owner, until = excluded.until WHERE leases.owner = excluded.owner OR leases.until < @clock`, name, owner, d.Microseconds())
		return err
	})
	return n == 1 && err == nil, err
}

// DropLease gives a lease back. It does nothing where the owner has it no more.
func (db *DB) DropLease(ctx context.Context, name, owner string) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(`DELETE FROM leases WHERE name = $1 AND owner = $2`, name, owner)
		return err
	})
}
