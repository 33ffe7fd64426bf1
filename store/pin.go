package store

import (
	"context"
	"time"

	"github.com/daypass-dev/daypass"
)

// A PinnedRepo is a name and the repository that bore it at first use, by one
// person or, where Person is 0, by the hub itself. Each has pins of their own: a
// person may confirm that a name now means another repository, for themselves.
type PinnedRepo struct {
	Person            int64  // 0: the hub itself
	Host, Owner, Name string // in lower case
	ID                int64
	At                time.Time
}

// PinFilter chooses pins; zero fields choose all.
type PinFilter struct {
	Host, Owner string
	Limit       int // 0: 10000
}

// Pinned returns the repository that a name is pinned to.
func (db *DB) Pinned(ctx context.Context, person int64, host, owner, name string) (int64, bool, error) {
	return 0, false, errTodo
}

// Pins lists pins by name.
func (db *DB) Pins(ctx context.Context, f PinFilter) ([]PinnedRepo, error) { return nil, errTodo }

// Pin pins a name to a repository at first use and returns what it is pinned
// to: where that is not id, somebody else bears the name now.
func (tx *Tx) Pin(person int64, host, owner, name string, id int64) (have int64, err error) { return 0, errTodo }

// Unpin takes a pin away; false where there was none. It writes a Change.
func (tx *Tx) Unpin(person int64, host, owner, name string) (bool, error) { return false, errTodo }

// A RepoKey names a repository for good.
type RepoKey struct {
	Host string
	ID   int64
}

// Visits returns which repositories a server was given on a day ("2006-01-02").
func (db *DB) Visits(ctx context.Context, person int64, server daypass.Server, day string) (map[RepoKey]bool, error) {
	return nil, errTodo
}

// Visit notes that a server was given a repository on a day.
func (tx *Tx) Visit(person int64, server daypass.Server, day, host string, repo int64) error {
	return errTodo
}

// Approved reports whether a person allowed a server more repositories that day.
func (db *DB) Approved(ctx context.Context, person int64, server daypass.Server, day string) (bool, error) {
	return false, errTodo
}

// Approve notes that they did. It writes a Change.
func (tx *Tx) Approve(person int64, server daypass.Server, day string) error { return errTodo }

// A Share lets a group of a hub read a repository, until a date.
type Share struct {
	ID      int64
	Person  int64 // who shares
	Hub     string
	Host    string
	Repo    daypass.Repo
	Group   string
	Until   time.Time
	Created time.Time
	Ended   time.Time // zero: not ended by hand
}

// ShareFilter chooses shares; zero fields choose all.
type ShareFilter struct {
	ID, Person       int64
	Hub, Host, Group string
	Repo             int64
	LiveAt           time.Time // only those that hold then
}

// Shares lists shares, newest first; at most 10000.
func (db *DB) Shares(ctx context.Context, f ShareFilter) ([]Share, error) { return nil, errTodo }

// PutShare stores a share. It writes a Change.
func (tx *Tx) PutShare(s Share) (Share, error) { return Share{}, errTodo }

// EndShare ends a share; false where it had ended. It writes a Change.
func (tx *Tx) EndShare(id int64, at time.Time) (bool, error) { return false, errTodo }
