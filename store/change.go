package store

import "context"

// A Change tells every process on the same store that something it may have
// cached has changed. N ascends in the order of commits.
type Change struct {
	N                         int64
	Kind                      string // "person", "connection", "child", "allow", "keys", "share", "pin" or "approve"
	Person, Connection, Child int64
}

// Changes lists changes after a number, oldest first; at most 1000.
func (db *DB) Changes(ctx context.Context, after int64) ([]Change, error) { return nil, errTodo }

// LastChange is the number of the newest change, or 0.
func (db *DB) LastChange(ctx context.Context) (int64, error) { return 0, errTodo }

// Change writes a change, for those that no other method writes. N is not used.
func (tx *Tx) Change(c Change) {}
