package store

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
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

	owner owner
}

const connectionColumns = `id, person, host, app, kind, account, login, full_name, email, state, why,
	created, used, ends, version, access_until, renew_until, lease, lease_until, hub, born`

func connectionFields(c *Connection, t *[6]int64) []any {
	return []any{&c.ID, &c.Person, &c.Host, &c.App, &c.Kind, &c.Account.ID, &c.Account.Login, &c.Account.Name, &c.Account.Email,
		&c.State, &c.Why, &t[0], &t[1], &t[2], &c.Version, &t[3], &t[4], &c.Lease, &t[5], &c.owner.hub, &c.owner.born}
}

func (c *Connection) times(t [6]int64) {
	c.Created, c.Used, c.Ends = moment(t[0]), moment(t[1]), moment(t[2])
	c.AccessUntil, c.RenewUntil, c.LeaseUntil = moment(t[3]), moment(t[4]), moment(t[5])
}

func scanConnection(s scanner) (c Connection, err error) {
	var t [6]int64
	err = s.Scan(connectionFields(&c, &t)...)
	c.times(t)
	return c, err
}

// sealedConnection is a connection with its box.
type sealedConnection struct {
	Connection
	box []byte
}

func scanSealedConnection(s scanner) (c sealedConnection, err error) {
	var t [6]int64
	err = s.Scan(append(connectionFields(&c.Connection, &t), &c.box)...)
	c.times(t)
	return c, err
}

func (c Connection) place() place {
	return place{
		table: "connections", row: strconv.FormatInt(c.ID, 10), person: c.Person, created: micro(c.Created), host: c.Host, owner: c.owner,
		more: bound(c.App, c.Kind, strconv.FormatInt(c.Account.ID, 10)),
	}
}

// grantText is what is sealed of a grant.
type grantText struct {
	Access  string `json:"access"`
	Until   int64  `json:"until"`
	Refresh string `json:"refresh,omitempty"`
	Renew   int64  `json:"renew"`
}

func (db *DB) sealGrant(c Connection, g daypass.Grant) (box []byte, by string, err error) {
	text, err := json.Marshal(grantText{g.Access.Reveal(), micro(g.Until), g.Refresh.Reveal(), micro(g.Renew)}) // sealed on the next line
	if err != nil {
		return nil, "", err
	}
	return db.seal(c.place(), text)
}

func (db *DB) openGrant(c Connection, box []byte) (daypass.Grant, error) {
	if len(box) == 0 {
		return daypass.Grant{}, ErrNone
	}
	text, err := db.open(c.place(), box)
	if err != nil {
		return daypass.Grant{}, err
	}
	var t grantText
	if err := json.Unmarshal(text, &t); err != nil {
		return daypass.Grant{}, sealProblem(c.place())
	}
	return daypass.Grant{Access: daypass.NewSecret(t.Access), Until: moment(t.Until),
		Refresh: daypass.NewSecret(t.Refresh), Renew: moment(t.Renew)}, nil
}

const (
	connectionOf   = `SELECT ` + connectionColumns + ` FROM connections WHERE person = $1 AND host = $2`
	connectionsOf  = `SELECT ` + connectionColumns + ` FROM connections WHERE person = $1 ORDER BY host`
	connectionByID = `SELECT ` + connectionColumns + ` FROM connections WHERE id = $1`
	grantOf        = `SELECT ` + connectionColumns + `, box, ` + ownedBy + ` FROM connections c WHERE id = $1 AND version = $2`
)

// Connection returns the connection of a person to a host. ErrNone: there was
// never one. An ended one is returned too: look at State.
func (db *DB) Connection(ctx context.Context, person int64, host string) (Connection, error) {
	return one(ctx, db.readers, scanConnection, connectionOf, person, host)
}

// ConnectionByID returns a connection by number, or ErrNone.
func (db *DB) ConnectionByID(ctx context.Context, id int64) (Connection, error) {
	return one(ctx, db.readers, scanConnection, connectionByID, id)
}

// Connections lists a person's connections by host, ended ones too.
func (db *DB) Connections(ctx context.Context, person int64) ([]Connection, error) {
	return list(ctx, db.readers, scanConnection, connectionsOf, person)
}

// A ConnectionCount is how many connections to a host are in a state.
type ConnectionCount struct {
	Host  string
	State ConnectionState
	N     int
}

// CountConnections counts connections by host and state.
func (db *DB) CountConnections(ctx context.Context) ([]ConnectionCount, error) {
	return list(ctx, db.readers, func(s scanner) (c ConnectionCount, err error) {
		return c, s.Scan(&c.Host, &c.State, &c.N)
	}, `SELECT host, state, count(*) FROM connections GROUP BY host, state`)
}

// Grant unseals the grant of a connection. ErrNone: it was erased, or the
// version moved: read the connection again. ErrSeal: the row was swapped or
// damaged, or its person is another than the one who connected.
func (db *DB) Grant(ctx context.Context, c Connection) (daypass.Grant, error) {
	var owned int64
	row, err := one(ctx, db.readers, func(s scanner) (sealedConnection, error) { return scanSealedConnection(also{s, &owned}) }, grantOf, c.ID, c.Version)
	if err != nil {
		return daypass.Grant{}, err
	}
	if owned != 1 {
		return daypass.Grant{}, sealProblem(row.place())
	}
	return db.openGrant(row.Connection, row.box)
}

// DueConnections lists connections past Ends, or unused for idle (0: never), that
// have not ended; at most n, by number. The time is the database's: a process
// whose clock leaps ends nobody.
func (db *DB) DueConnections(ctx context.Context, idle time.Duration, n int) ([]Connection, error) {
	text := `SELECT id FROM connections WHERE ends > 0 AND ends <= @clock AND state <> 'ended'`
	args := []any{n}
	if idle > 0 {
		text += ` UNION SELECT id FROM connections WHERE used < @clock - $2 AND state <> 'ended'`
		args = append(args, idle.Microseconds())
	}
	return list(ctx, db.readers, scanConnection, `SELECT `+connectionColumns+` FROM connections WHERE id IN (`+text+`) ORDER BY id LIMIT $1`, args...)
}

// InterruptedConnections lists those in Refreshing whose lease is over: whoever
// refreshed them died or is stuck. At most 500.
func (db *DB) InterruptedConnections(ctx context.Context) ([]Connection, error) {
	return list(ctx, db.readers, scanConnection, `SELECT `+connectionColumns+` FROM connections
		WHERE state = 'refreshing' AND lease_until < @clock ORDER BY id LIMIT 500`)
}

// Connection is [DB.Connection] inside the transaction.
func (tx *Tx) Connection(person int64, host string) (Connection, error) {
	return txOne(tx, scanConnection, connectionOf, person, host)
}

// ConnectionByID is [DB.ConnectionByID] inside the transaction.
func (tx *Tx) ConnectionByID(id int64) (Connection, error) {
	return txOne(tx, scanConnection, connectionByID, id)
}

// PutConnection stores a fresh consent in place of what the person had at the
// host, and returns the grant that was there, if it still opens, so that it can
// be revoked after the commit. Of c, Person, Host, App, Kind, Account and Ends
// are used; the rest comes from the grant and the transaction. The connection
// has a new ID: what was made from the old one is found by the old ID only. It
// writes a Change. ErrNone: there is no such person, or they were cut off.
func (tx *Tx) PutConnection(c Connection, g daypass.Grant) (now Connection, old *daypass.Grant, err error) {
	// This also locks the row, so that two processes take turns.
	c.owner, err = txOne(tx, scanOwner, `UPDATE people SET seen_at = seen_at WHERE id = $1 AND cut_at = 0 RETURNING hub, created`, c.Person)
	if err != nil {
		return Connection{}, nil, err
	}
	was, err := txOne(tx, scanSealedConnection, `DELETE FROM connections WHERE person = $1 AND host = $2 RETURNING `+connectionColumns+`, box`, c.Person, c.Host)
	if err == nil {
		if grant, openErr := tx.g.db.openGrant(was.Connection, was.box); openErr == nil {
			old = &grant
		} else if errors.Is(openErr, ErrKey) {
			return Connection{}, nil, openErr
		}
		tx.Change(Change{Kind: "connection", Person: c.Person, Connection: was.ID})
	} else if !errors.Is(err, ErrNone) {
		return Connection{}, nil, err
	}
	at := micro(tx.Now())
	c.State, c.Why, c.Version, c.Lease, c.LeaseUntil = Live, "", 1, "", time.Time{}
	c.Created, c.Used, c.Ends = moment(at), moment(at), moment(micro(c.Ends))
	c.AccessUntil, c.RenewUntil = moment(micro(g.Until)), moment(micro(g.Renew))
	c.ID, err = txOne(tx, scanInt, `INSERT INTO connections (person, host, app, kind, account, login, full_name, email, state, why,
		created, used, ends, version, access_until, renew_until, lease, lease_until, sealed_by, box, hub, born)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, $10, $11, 1, $12, $13, '', 0, '', $14, $15, $16) RETURNING id`,
		c.Person, c.Host, c.App, c.Kind, c.Account.ID, c.Account.Login, c.Account.Name, c.Account.Email, string(Live),
		at, micro(c.Ends), micro(g.Until), micro(g.Renew), []byte{}, c.owner.hub, c.owner.born)
	if err != nil {
		return Connection{}, nil, err
	}
	box, by, err := tx.g.db.sealGrant(c, g) // bound to the ID, so only now
	if err != nil {
		return Connection{}, nil, err
	}
	if _, err := tx.exec(`UPDATE connections SET sealed_by = $1, box = $2 WHERE id = $3`, by, box, c.ID); err != nil {
		return Connection{}, nil, err
	}
	tx.Change(Change{Kind: "connection", Person: c.Person, Connection: c.ID})
	return c, old, nil
}

// LeaseConnection takes the right to refresh, for d by the database's clock,
// and sets Refreshing; the version stays. It works from Live, from Restored,
// and from Refreshing once the lease there is over. False: somebody else has
// it, the version moved, or a new consent is needed. The owner must be another
// text for each attempt, or a late one is not told from the one after it.
func (tx *Tx) LeaseConnection(id, version int64, owner string, d time.Duration) (bool, error) {
	n, err := tx.exec(`UPDATE connections SET state = 'refreshing', lease = $1, lease_until = @clock + $2
		WHERE id = $3 AND version = $4 AND (state IN ('live', 'restored') OR state = 'refreshing' AND lease_until < @clock)`,
		owner, d.Microseconds(), id, version)
	return n == 1, err
}

// KeepGrant stores the outcome of a refresh that spent the grant of a version:
// version+1, Live, no lease. It writes a Change. The new pair is the only one
// that is good, so it counts who has it, not who has the lease: an owner that was
// held up may find the lease taken over, given back, or the connection marked as
// dead by somebody to whom the provider said that the old token was spent. False:
// the grant of that version was replaced or ended, and nothing was stored.
func (tx *Tx) KeepGrant(id, version int64, g daypass.Grant) (bool, error) {
	c, err := tx.ConnectionByID(id)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	box, by, err := tx.g.db.sealGrant(c, g)
	if err != nil {
		return false, err
	}
	n, err := tx.exec(`UPDATE connections SET state = 'live', why = '', version = version + 1, lease = '', lease_until = 0,
		access_until = $1, renew_until = $2, sealed_by = $3, box = $4
		WHERE id = $5 AND (version = $6 AND state <> 'ended' OR version = $6 + 1 AND state = 'needs-consent')`,
		micro(g.Until), micro(g.Renew), by, box, id, version)
	if n == 1 {
		tx.Change(Change{Kind: "connection", Person: c.Person, Connection: id})
	}
	return n == 1, err
}

// ReleaseLease gives a lease back after a failure that leaves the grant good:
// Live, with the same grant and version. It does nothing where the lease is not
// the owner's.
func (tx *Tx) ReleaseLease(id, version int64, owner string) error {
	_, err := tx.exec(`UPDATE connections SET state = 'live', lease = '', lease_until = 0
		WHERE id = $1 AND version = $2 AND state = 'refreshing' AND lease = $3`, id, version, owner)
	return err
}

// NeedConsent marks a connection as dead: version+1, no lease. The grant stays
// sealed until it is overwritten or ended. It writes a Change. False: the
// version moved, or the connection has ended, and nothing was done.
func (tx *Tx) NeedConsent(id, version int64, why string) (bool, error) {
	person, err := txOne(tx, scanInt, `UPDATE connections SET state = 'needs-consent', why = $1, version = version + 1, lease = '', lease_until = 0
		WHERE id = $2 AND version = $3 AND state <> 'ended' RETURNING person`, cleanText(why), id, version)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	tx.Change(Change{Kind: "connection", Person: person, Connection: id})
	return true, nil
}

// EndConnection erases the grant and returns it, for revocation after the
// commit; false where it was ended already, or never was. A grant that does not
// open any more is erased as well, and returned empty. It writes a Change.
func (tx *Tx) EndConnection(id int64, why string) (daypass.Grant, bool, error) {
	// The version moves first, which locks the row.
	n, err := tx.exec(`UPDATE connections SET state = 'ended', why = $1, version = version + 1, lease = '', lease_until = 0
		WHERE id = $2 AND state <> 'ended'`, cleanText(why), id)
	if err != nil || n == 0 {
		return daypass.Grant{}, false, err
	}
	row, err := txOne(tx, scanSealedConnection, `SELECT `+connectionColumns+`, box FROM connections WHERE id = $1`, id)
	if err != nil {
		return daypass.Grant{}, false, err
	}
	grant, err := tx.g.db.openGrant(row.Connection, row.box)
	if err != nil && !errors.Is(err, ErrSeal) && !errors.Is(err, ErrNone) {
		return daypass.Grant{}, false, err
	}
	if _, err := tx.exec(`UPDATE connections SET sealed_by = '', box = $1 WHERE id = $2`, []byte{}, id); err != nil {
		return daypass.Grant{}, false, err
	}
	tx.Change(Change{Kind: "connection", Person: row.Person, Connection: id})
	return grant, true, nil
}

// TouchConnection notes the last use. It is no Change.
func (tx *Tx) TouchConnection(id int64, at time.Time) error {
	_, err := tx.exec(`UPDATE connections SET used = $1 WHERE id = $2 AND used < $1`, micro(at), id)
	return err
}
