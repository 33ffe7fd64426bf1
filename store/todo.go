package store

import (
	"context"
	"time"

	"github.com/daypass-dev/daypass"
)

// The kinds of to-dos.
const (
	RevokeChild = "revoke-child"
	RevokeToken = "revoke-token"
	Disconnect  = "disconnect"
)

// A Todo is something that must still be done at a provider. It is written in
// the transaction that made it necessary and outlives a restart.
type Todo struct {
	ID       int64
	Kind     string
	Host     string
	Child    int64 // of RevokeChild
	Person   int64
	AsHub    bool           // of RevokeChild: the token was made as the hub
	Token    daypass.Secret // for AddTodo, and after ClaimTodos; zero where it cannot be unsealed
	Due      time.Time
	Created  time.Time
	Attempts int
	Why      string
}

// ClaimTodos takes up to n to-dos that are due, for the length of the lease by
// the database's clock, so that no other process takes them.
func (db *DB) ClaimTodos(ctx context.Context, owner string, now time.Time, n int, lease time.Duration) ([]Todo, error) {
	return nil, errTodo
}

// NextTodo says when the next to-do is due that nobody has claimed.
func (db *DB) NextTodo(ctx context.Context) (time.Time, bool, error) {
	return time.Time{}, false, errTodo
}

// Todos lists what waits, soonest first, without tokens; at most 1000.
func (db *DB) Todos(ctx context.Context) ([]Todo, error) { return nil, errTodo }

// AddTodo adds a to-do; its token is sealed. Due is now where it is zero.
func (tx *Tx) AddTodo(t Todo) error { return errTodo }

// DoneTodo takes a to-do away, with its sealed token and its child.
func (tx *Tx) DoneTodo(id int64) error { return errTodo }

// RetryTodo puts a to-do back for later and counts the attempt.
func (tx *Tx) RetryTodo(id int64, due time.Time, why string) error { return errTodo }
