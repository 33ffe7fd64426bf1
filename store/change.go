package store

import "context"

// A Change tells every process on the same store that something it may have
// cached has changed. N ascends in the order of commits.
type Change struct {
	N                         int64
	Kind                      string // "person", "connection", "child", "hold", "allow", "keys", "share", "pin", "approve", "link", "enrol" or "pass"
	Person, Connection, Child int64  // of a "pass" of an index: none
}

func scanChange(s scanner) (c Change, err error) {
	return c, s.Scan(&c.N, &c.Kind, &c.Person, &c.Connection, &c.Child)
}

// Changes lists changes after a number, oldest first; at most 1000. They are
// kept for an hour: who has not asked for longer forgets all it has cached.
func (db *DB) Changes(ctx context.Context, after int64) ([]Change, error) {
	return list(ctx, db.readers, scanChange, `SELECT id, kind, person, connection, child FROM changes WHERE id > $1 ORDER BY id LIMIT 1000`, after)
}

// FirstChange is the number of the oldest change that is kept, or 0. Where it is
// above the one after the last that somebody saw, some were taken away unseen.
func (db *DB) FirstChange(ctx context.Context) (int64, error) {
	return one(ctx, db.readers, scanInt, `SELECT coalesce(min(id), 0) FROM changes`)
}

// LastChange is the number of the newest change, or 0.
func (db *DB) LastChange(ctx context.Context) (int64, error) {
	return one(ctx, db.readers, scanInt, `SELECT coalesce(max(id), 0) FROM changes`)
}

// Change writes a change, for those that no other method writes. N is not used.
func (tx *Tx) Change(c Change) { tx.g.changes = append(tx.g.changes, c) }
