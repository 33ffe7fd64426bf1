package store

import (
	"context"
	"time"
)

// SessionPerson is the key, in a session's values, of the int64 that says whose
// it is; [Tx.EndSessions] goes by it.
const SessionPerson = "person"

// Sessions implements scs.CtxStore. Tokens are stored as SHA-256, contents
// sealed; sessions of another epoch are not found.
type Sessions struct{ db *DB }

// Sessions is the store for a scs.SessionManager with its usual codec.
func (db *DB) Sessions() *Sessions { return &Sessions{db} }

func (s *Sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	return nil, false, errTodo
}
func (s *Sessions) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	return errTodo
}
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error { return errTodo }
func (s *Sessions) Find(token string) ([]byte, bool, error)           { return nil, false, errTodo }
func (s *Sessions) Commit(token string, b []byte, expiry time.Time) error {
	return errTodo
}
func (s *Sessions) Delete(token string) error { return errTodo }

// EndSessions ends all sessions of a person.
func (tx *Tx) EndSessions(person int64) error { return errTodo }

// A State is what a person was sent to a provider or a hub with, kept for ten
// minutes and used once.
type State struct {
	Session                             string // the browser's session
	Person                              int64
	Hub, Host, Verifier, Redirect, Next string
	Created                             time.Time
}

// PutState stores a state under the SHA-256 of its id, sealed.
func (db *DB) PutState(ctx context.Context, id string, s State) error { return errTodo }

// TakeState returns a state and deletes it, whatever its age. False: there is
// none, or it is older than ten minutes at now.
func (db *DB) TakeState(ctx context.Context, id string, now time.Time) (State, bool, error) {
	return State{}, false, errTodo
}
