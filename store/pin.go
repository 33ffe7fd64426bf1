package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
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
	Person      int64
	Host, Owner string
	Limit       int // 0: 10000
}

func scanPin(s scanner) (p PinnedRepo, err error) {
	var at int64
	err = s.Scan(&p.Person, &p.Host, &p.Owner, &p.Name, &p.ID, &at)
	p.At = moment(at)
	return p, err
}

// Pinned returns the repository that a person's name (0: the hub's) is pinned to.
func (db *DB) Pinned(ctx context.Context, person int64, host, owner, name string) (int64, bool, error) {
	return found(one(ctx, db.readers, scanInt, `SELECT repo FROM pins WHERE person = $1 AND host = $2 AND owner = $3 AND name = $4`,
		person, host, daypass.FoldASCII(owner), daypass.FoldASCII(name)))
}

// Pins lists pins by name.
func (db *DB) Pins(ctx context.Context, f PinFilter) ([]PinnedRepo, error) {
	var w where
	if f.Person != 0 {
		w.and(`person = ?`, f.Person)
	}
	if f.Host != "" {
		w.and(`host = ?`, f.Host)
	}
	if f.Owner != "" {
		w.and(`owner = ?`, daypass.FoldASCII(f.Owner))
	}
	if f.Limit <= 0 {
		f.Limit = 10000
	}
	return list(ctx, db.readers, scanPin, `SELECT person, host, owner, name, repo, at FROM pins`+w.String()+` ORDER BY host, owner, name, person LIMIT `+strconv.Itoa(f.Limit), w.args...)
}

// Pin pins a name to a repository at first use and returns what it is pinned
// to: where that is not id, the name is another repository's now. A first use
// writes a Change.
func (tx *Tx) Pin(person int64, host, owner, name string, id int64) (have int64, err error) {
	owner, name = daypass.FoldASCII(owner), daypass.FoldASCII(name)
	n, err := tx.exec(`INSERT INTO pins (person, host, owner, name, repo, at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		person, host, owner, name, id, micro(tx.Now()))
	if err != nil {
		return 0, err
	}
	if n == 1 {
		tx.Change(Change{Kind: "pin", Person: person})
		return id, nil
	}
	return txOne(tx, scanInt, `SELECT repo FROM pins WHERE person = $1 AND host = $2 AND owner = $3 AND name = $4`, person, host, owner, name)
}

// Unpin takes a pin away; false where there was none. It writes a Change.
func (tx *Tx) Unpin(person int64, host, owner, name string) (bool, error) {
	n, err := tx.exec(`DELETE FROM pins WHERE person = $1 AND host = $2 AND owner = $3 AND name = $4`, person, host, daypass.FoldASCII(owner), daypass.FoldASCII(name))
	if n == 1 {
		tx.Change(Change{Kind: "pin", Person: person})
	}
	return n == 1, err
}

// A RepoKey names a repository for good.
type RepoKey struct {
	Host string
	ID   int64
}

// Visits returns which repositories a server was given on a day ("2006-01-02").
func (db *DB) Visits(ctx context.Context, person int64, server daypass.Server, day string) (map[RepoKey]bool, error) {
	keys, err := list(ctx, db.readers, func(s scanner) (k RepoKey, err error) { return k, s.Scan(&k.Host, &k.ID) },
		`SELECT host, repo FROM visits WHERE person = $1 AND server = $2 AND day = $3`, person, serverText(server), day)
	out := make(map[RepoKey]bool, len(keys))
	for _, k := range keys {
		out[k] = true
	}
	return out, err
}

// Visit notes that a server was given a repository on a day.
func (tx *Tx) Visit(person int64, server daypass.Server, day, host string, repo int64) error {
	_, err := tx.exec(`INSERT INTO visits (person, server, day, host, repo) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		person, serverText(server), day, host, repo)
	return err
}

// Approved reports whether a person allowed a server more repositories that day.
func (db *DB) Approved(ctx context.Context, person int64, server daypass.Server, day string) (bool, error) {
	n, err := one(ctx, db.readers, scanInt, `SELECT count(*) FROM approvals WHERE person = $1 AND server = $2 AND day = $3`,
		person, serverText(server), day)
	return n > 0, err
}

// Approve notes that they did. It writes a Change.
func (tx *Tx) Approve(person int64, server daypass.Server, day string) error {
	_, err := tx.exec(`INSERT INTO approvals (person, server, day) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, person, serverText(server), day)
	tx.Change(Change{Kind: "approve", Person: person})
	return err
}

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

	keyID string
	mac   []byte
}

// sum is what keeps a share from being written or changed by whoever can write
// the store and has no key.
func (s Share) sum(key []byte) []byte {
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	h := hmac.New(sha256.New, key)
	h.Write([]byte(bound("daypass share 1", n(s.ID), n(s.Person), s.Hub, s.Host, s.Repo.Owner, s.Repo.Name, n(s.Repo.ID), s.Group,
		n(micro(s.Until)), n(micro(s.Created)), n(micro(s.Ended)))))
	return h.Sum(nil)
}

// genuine reports whether the store wrote a share as it is.
func (db *DB) genuine(s Share) bool {
	key, ok := db.keys.Load().chainKey(s.keyID)
	return ok && hmac.Equal(s.mac, s.sum(key))
}

// ShareFilter chooses shares; zero fields choose all.
type ShareFilter struct {
	ID, Person       int64
	Hub, Host, Group string
	Repo             int64
	LiveAt           time.Time // only those that hold then
}

const shareColumns = `id, person, hub, host, owner, name, repo, audience, until, created, ended, key_id, mac`

func scanShare(s scanner) (h Share, err error) {
	var until, created, ended int64
	err = s.Scan(&h.ID, &h.Person, &h.Hub, &h.Host, &h.Repo.Owner, &h.Repo.Name, &h.Repo.ID, &h.Group, &until, &created, &ended, &h.keyID, &h.mac)
	h.Until, h.Created, h.Ended = moment(until), moment(created), moment(ended)
	return h, err
}

// Shares lists shares, newest first; at most 10000. Rows that the store did not
// write as they are are left out, and told in the log once by each process.
func (db *DB) Shares(ctx context.Context, f ShareFilter) ([]Share, error) {
	var w where
	for _, c := range []struct {
		text string
		n    int64
	}{{`id = ?`, f.ID}, {`person = ?`, f.Person}, {`repo = ?`, f.Repo}} {
		if c.n != 0 {
			w.and(c.text, c.n)
		}
	}
	for _, c := range []struct{ text, s string }{{`hub = ?`, f.Hub}, {`host = ?`, f.Host}, {`audience = ?`, f.Group}} {
		if c.s != "" {
			w.and(c.text, c.s)
		}
	}
	if !f.LiveAt.IsZero() {
		w.and(`ended = 0 AND until > ?`, micro(f.LiveAt))
	}
	all, err := list(ctx, db.readers, scanShare, `SELECT `+shareColumns+` FROM shares`+w.String()+` ORDER BY id DESC LIMIT 10000`, w.args...)
	return slices.DeleteFunc(all, func(s Share) bool {
		ok := db.genuine(s)
		if !ok {
			if _, told := db.strange.LoadOrStore("share "+strconv.FormatInt(s.ID, 10), true); !told {
				db.c.Log.Error("a share in the store was written or changed by somebody else; it does not count", "share", s.ID, "repo", s.Repo.String(), "group", s.Group)
			}
		}
		return !ok
	}), err
}

// PutShare stores a share; ID and Created are filled in. It writes a Change.
func (tx *Tx) PutShare(s Share) (Share, error) {
	s.Created, s.Until, s.Ended = moment(micro(tx.Now())), moment(micro(s.Until)), time.Time{}
	var err error
	s.ID, err = txOne(tx, scanInt, `INSERT INTO shares (person, hub, host, owner, name, repo, audience, until, created, ended, key_id, mac)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '', $10) RETURNING id`,
		s.Person, s.Hub, s.Host, s.Repo.Owner, s.Repo.Name, s.Repo.ID, s.Group, micro(s.Until), micro(s.Created), []byte{})
	if err != nil {
		return s, err
	}
	tx.Change(Change{Kind: "share", Person: s.Person})
	return s, tx.markShare(&s)
}

// markShare writes a share's end and its MAC, with the primary chain key.
func (tx *Tx) markShare(s *Share) error {
	key := tx.g.db.keys.Load().chain[0]
	s.keyID, s.mac = key.ID, s.sum(key.Key)
	_, err := tx.exec(`UPDATE shares SET ended = $1, key_id = $2, mac = $3 WHERE id = $4`, micro(s.Ended), s.keyID, s.mac, s.ID)
	return err
}

// EndShare ends a share; false where it had ended. It writes a Change.
func (tx *Tx) EndShare(id int64, at time.Time) (bool, error) {
	s, err := txOne(tx, scanShare, `UPDATE shares SET ended = $1 WHERE id = $2 AND ended = 0 RETURNING `+shareColumns, micro(at), id)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	tx.Change(Change{Kind: "share", Person: s.Person})
	return true, tx.markShare(&s)
}
