package store

import (
	"context"
	"time"

	"github.com/daypass-dev/daypass"
)

// A Person is a user of a hub that the store has met. (hub, name, created) is
// the key: the same name with another creation time is another person.
type Person struct {
	ID       int64
	User     daypass.User
	SeenAt   time.Time
	CutAt    time.Time // zero: not cut off
	CutBy    string
	MissedAt time.Time // first absence from the hub's list; zero: not missed
}

// PeopleFilter chooses people; zero fields choose all.
type PeopleFilter struct {
	Hub, Name string
	Created   time.Time
	Query     string // part of the name, without regard to ASCII case
	Cut       bool   // only those who are cut off
	After     int64  // only ids above
	Limit     int    // 0: 1000
}

// Person finds a person by hub, name and creation time.
func (db *DB) Person(ctx context.Context, u daypass.User) (Person, bool, error) {
	return Person{}, false, errTodo
}

// PersonByID finds a person by number.
func (db *DB) PersonByID(ctx context.Context, id int64) (Person, bool, error) {
	return Person{}, false, errTodo
}

// People lists people by number, ascending.
func (db *DB) People(ctx context.Context, f PeopleFilter) ([]Person, error) { return nil, errTodo }

// Person is [DB.Person] inside the transaction.
func (tx *Tx) Person(u daypass.User) (Person, bool, error) { return Person{}, false, errTodo }

// PersonByID is [DB.PersonByID] inside the transaction.
func (tx *Tx) PersonByID(id int64) (Person, bool, error) { return Person{}, false, errTodo }

// PutPerson finds or makes a person, seen at the given time; they are not
// missed any more.
func (tx *Tx) PutPerson(u daypass.User, at time.Time) (Person, error) { return Person{}, errTodo }

// RenamePerson gives a person another name.
func (tx *Tx) RenamePerson(id int64, name string) error { return errTodo }

// CutPerson cuts a person off, and tells the other processes ("person").
func (tx *Tx) CutPerson(id int64, at time.Time, by string) error { return errTodo }

// AllowPerson undoes CutPerson, and tells the other processes ("allow").
func (tx *Tx) AllowPerson(id int64) error { return errTodo }

// MarkMissed notes the first absence from the hub's list. An earlier one
// stays; the zero time takes the mark away.
func (tx *Tx) MarkMissed(id int64, at time.Time) error { return errTodo }

// ErasePerson takes away all that is kept for a person but the events. What
// still lives at a provider becomes to-dos: children "revoke-child", grants
// "disconnect".
func (tx *Tx) ErasePerson(id int64) error { return errTodo }
