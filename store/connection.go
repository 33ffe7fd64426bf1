package store

import (
	"context"
	"time"

	"github.com/daypass-dev/daypass"
)

// A ConnectionState says what a connection is good for.
type ConnectionState string

// The states of a connection.
const (
	Live         ConnectionState = "live"
	Refreshing   ConnectionState = "refreshing"    // somebody has the lease, or had it when they died
	NeedsConsent ConnectionState = "needs-consent" // the person has to connect again
	Ended        ConnectionState = "ended"         // the grant is erased
	Restored     ConnectionState = "restored"      // from a backup: to be tried once
)

// A Connection is what one person allowed at one host. There is at most one
// row for a person and host; each consent makes a row with a new ID.
type Connection struct {
	ID, Person  int64
	Host, App   string
	Kind        string // "app", "login" or "oauth-app"
	Account     daypass.Account
	State       ConnectionState
	Why         string // of NeedsConsent and Ended
	Created     time.Time
	Used        time.Time
	Ends        time.Time // the admin's limit; zero: none
	Version     int64     // moves with every change of the grant or of the state
	AccessUntil time.Time
	RenewUntil  time.Time
	Lease       string    // who refreshes; "" nobody
	LeaseUntil  time.Time // by the database's clock
}

// Connection returns the connection of a person to a host. ErrNone: there was
// never one. An ended one is returned too: look at State.
func (db *DB) Connection(ctx context.Context, person int64, host string) (Connection, error) {
	return Connection{}, errTodo
}

// ConnectionByID returns a connection by number, or ErrNone.
func (db *DB) ConnectionByID(ctx context.Context, id int64) (Connection, error) {
	return Connection{}, errTodo
}

// Connections lists a person's connections by host.
func (db *DB) Connections(ctx context.Context, person int64) ([]Connection, error) {
	return nil, errTodo
}

// Grant unseals the grant of a connection as it is in the store now. ErrNone:
// it was erased, or the version moved. ErrSeal: the row was swapped or damaged.
func (db *DB) Grant(ctx context.Context, c Connection) (daypass.Grant, error) {
	return daypass.Grant{}, errTodo
}

// DueConnections lists connections past Ends, or unused since now-idle (0:
// never), that have not ended; at most 500, oldest first.
func (db *DB) DueConnections(ctx context.Context, now time.Time, idle time.Duration) ([]Connection, error) {
	return nil, errTodo
}

// InterruptedConnections lists those in Refreshing whose lease is over.
func (db *DB) InterruptedConnections(ctx context.Context) ([]Connection, error) { return nil, errTodo }

// Connection is [DB.Connection] inside the transaction.
func (tx *Tx) Connection(person int64, host string) (Connection, error) {
	return Connection{}, errTodo
}

// ConnectionByID is [DB.ConnectionByID] inside the transaction.
func (tx *Tx) ConnectionByID(id int64) (Connection, error) { return Connection{}, errTodo }

// Grant is [DB.Grant] inside the transaction.
func (tx *Tx) Grant(c Connection) (daypass.Grant, error) { return daypass.Grant{}, errTodo }

// PutConnection stores a fresh consent in place of what the person had at the
// host, and returns the grant that was there so that it can be revoked after
// the commit. Of c, Person, Host, App, Kind, Account and Ends are used; times
// come from the transaction. It writes a Change.
func (tx *Tx) PutConnection(c Connection, g daypass.Grant) (now Connection, old *daypass.Grant, err error) {
	return Connection{}, nil, errTodo
}

// LeaseConnection takes the right to refresh, for d by the database's clock,
// and sets Refreshing. It works from Live, Restored, and from Refreshing once
// the lease there is over. False: somebody else has it, or the version moved.
// The version stays.
func (tx *Tx) LeaseConnection(id, version int64, owner string, d time.Duration) (bool, error) {
	return false, errTodo
}

// KeepGrant stores the outcome of a refresh: version+1, Live, no lease. False:
// the lease is not the owner's any more, and nothing was stored.
func (tx *Tx) KeepGrant(id, version int64, owner string, g daypass.Grant) (bool, error) {
	return false, errTodo
}

// ReleaseLease gives a lease back after a failure that leaves the grant good.
func (tx *Tx) ReleaseLease(id, version int64, owner string) error { return errTodo }

// NeedConsent marks a connection as dead; the grant stays sealed until it is
// overwritten or ended. False: the version moved, and nothing was done.
func (tx *Tx) NeedConsent(id, version int64, why string) (bool, error) { return false, errTodo }

// EndConnection erases the grant and returns it, for revocation after the
// commit; false where it was ended already. It writes a Change.
func (tx *Tx) EndConnection(id int64, why string) (daypass.Grant, bool, error) {
	return daypass.Grant{}, false, errTodo
}

// TouchConnection notes the last use. It is no Change.
func (tx *Tx) TouchConnection(id int64, at time.Time) error { return errTodo }
