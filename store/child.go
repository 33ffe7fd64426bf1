package store

import (
	"context"
	"time"

	"github.com/daypass-dev/daypass"
)

// A Child is a narrow credential that was made and is kept, sealed, to be
// served again and to be revoked.
type Child struct {
	ID         int64
	Connection int64 // 0 when AsHub
	Person     int64 // 0 when AsHub
	Server     daypass.Server
	Host       string
	Repo       daypass.Repo // pinned: with its number
	Access     daypass.Access
	AsHub      bool
	Username   string // what git sends beside the token
	Account    string
	Until      time.Time // until when it is served
	Ends       time.Time // when the provider ends it
	Created    time.Time
	Used       time.Time
	Epoch      int64
	Ending     bool // a to-do to revoke it waits
}

// ChildFilter chooses children; zero fields choose all.
type ChildFilter struct {
	ID         int64
	Person     int64
	Held       bool // with Person (and Server): hub children given to them too
	Connection int64
	Server     *daypass.Server
	Host       string
	AsHub      bool      // only those made as the hub
	LiveAt     time.Time // only those that may still be served then
	Limit      int       // 0: 10000
}

// Children lists children, newest first.
func (db *DB) Children(ctx context.Context, f ChildFilter) ([]Child, error) { return nil, errTodo }

// ChildToken unseals a child's token. ErrNone: it is gone. ErrSeal: the row
// was swapped or damaged.
func (db *DB) ChildToken(ctx context.Context, c Child) (daypass.Secret, error) {
	return daypass.Secret{}, errTodo
}

// Children is [DB.Children] inside the transaction.
func (tx *Tx) Children(f ChildFilter) ([]Child, error) { return nil, errTodo }

// PutChild stores a child. Where Ends is more than a minute after Until, a
// to-do "revoke-child" is due at Until.
func (tx *Tx) PutChild(c Child, token daypass.Secret) (Child, error) { return Child{}, errTodo }

// TouchChild notes the last use.
func (tx *Tx) TouchChild(id int64, at time.Time) error { return errTodo }

// HoldChild notes who was given a child made as the hub.
func (tx *Tx) HoldChild(child, person int64, server daypass.Server) error { return errTodo }

// DropHolds forgets what a person (nil: all their servers) holds, and returns
// the hub children that nobody holds any more.
func (tx *Tx) DropHolds(person int64, server *daypass.Server) (orphans []int64, err error) {
	return nil, errTodo
}

// EndChildren stops children from being served; to-dos "revoke-child" are due
// at once. It writes a Change for each. Numbers that are gone are no error.
func (tx *Tx) EndChildren(ids []int64, why string) error { return errTodo }
