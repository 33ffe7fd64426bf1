package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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

const personColumns = `id, hub, name, created, seen_at, cut_at, cut_by, missed_at`

func scanPerson(s scanner) (p Person, err error) {
	var created, seen, cut, missed int64
	err = s.Scan(&p.ID, &p.User.Hub, &p.User.Name, &created, &seen, &cut, &p.CutBy, &missed)
	p.User.Created, p.SeenAt, p.CutAt, p.MissedAt = moment(created), moment(seen), moment(cut), moment(missed)
	return p, err
}

// found turns ErrNone into false.
func found[T any](v T, err error) (T, bool, error) {
	if errors.Is(err, ErrNone) {
		return v, false, nil
	}
	return v, err == nil, err
}

const (
	personByUser = `SELECT ` + personColumns + ` FROM people WHERE hub = $1 AND name = $2 AND created = $3`
	personByID   = `SELECT ` + personColumns + ` FROM people WHERE id = $1`
)

// Person finds a person by hub, name and creation time.
func (db *DB) Person(ctx context.Context, u daypass.User) (Person, bool, error) {
	return found(one(ctx, db.readers, scanPerson, personByUser, u.Hub, u.Name, micro(u.Created)))
}

// PersonByID finds a person by number.
func (db *DB) PersonByID(ctx context.Context, id int64) (Person, bool, error) {
	return found(one(ctx, db.readers, scanPerson, personByID, id))
}

// People lists people by number, ascending.
func (db *DB) People(ctx context.Context, f PeopleFilter) ([]Person, error) {
	var w where
	if f.Hub != "" {
		w.and(`hub = ?`, f.Hub)
	}
	if f.Name != "" {
		w.and(`name = ?`, f.Name)
	}
	if !f.Created.IsZero() {
		w.and(`created = ?`, micro(f.Created))
	}
	if f.Query != "" {
		w.and(`lower(name) LIKE ? ESCAPE '!'`, "%"+likeEscape(daypass.FoldASCII(f.Query))+"%")
	}
	if f.Cut {
		w.and(`cut_at <> 0`)
	}
	if f.After != 0 {
		w.and(`id > ?`, f.After)
	}
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	return list(ctx, db.readers, scanPerson, `SELECT `+personColumns+` FROM people`+w.String()+` ORDER BY id LIMIT `+strconv.Itoa(f.Limit), w.args...)
}

// PutPerson finds or makes a person, seen at the given time; they are not
// missed any more. Whoever is cut off stays so.
func (tx *Tx) PutPerson(u daypass.User, at time.Time) (Person, error) {
	return txOne(tx, scanPerson, `INSERT INTO people (hub, name, created, seen_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (hub, name, created) DO UPDATE SET missed_at = 0,
		seen_at = CASE WHEN people.seen_at < excluded.seen_at THEN excluded.seen_at ELSE people.seen_at END
		RETURNING `+personColumns, u.Hub, u.Name, micro(u.Created), micro(at))
}

// RenamePerson gives a person another name. It writes a Change ("person").
// ErrNone: there is no such person. It fails where the name, with the same
// creation time, is taken.
func (tx *Tx) RenamePerson(id int64, name string) error {
	taken, err := txOne(tx, scanInt, `SELECT count(*) FROM people o JOIN people p ON p.hub = o.hub AND p.created = o.created
		WHERE p.id = $1 AND o.id <> $1 AND o.name = $2`, id, name)
	if err != nil {
		return err
	}
	if taken > 0 {
		return fmt.Errorf("person %d cannot take a name that is taken", id)
	}
	return tx.changed(Change{Kind: "person", Person: id}, `UPDATE people SET name = $1 WHERE id = $2`, name, id)
}

// changed runs a statement that must hit a row, and writes a Change.
func (tx *Tx) changed(c Change, text string, args ...any) error {
	n, err := tx.exec(text, args...)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrNone
	}
	tx.Change(c)
	return nil
}

// CutPerson cuts a person off, ends their sessions and, for good, their passes and links,
// and tells the other processes ("person"). ErrNone: there is no such person.
// The links that it ended are returned, for their events.
func (tx *Tx) CutPerson(id int64, at time.Time, by string) ([]Link, error) {
	// First, so that a pass that is being made is either found below or refused.
	err := tx.changed(Change{Kind: "person", Person: id}, `UPDATE people SET cut_at = $1, cut_by = $2 WHERE id = $3`, micro(at), by, id)
	if err != nil {
		return nil, err
	}
	if _, err := tx.EndPasses(PassFilter{Person: id}, "cut off"); err != nil {
		return nil, err
	}
	links, err := tx.EndSourceLinks(id, at, "its maker was cut off")
	if err != nil {
		return nil, err
	}
	if _, err := tx.exec(`DELETE FROM devices WHERE person = $1`, id); err != nil {
		return nil, err
	}
	return links, tx.EndSessions(id)
}

// AllowPerson undoes CutPerson, and tells the other processes ("allow").
func (tx *Tx) AllowPerson(id int64) error {
	return tx.changed(Change{Kind: "allow", Person: id}, `UPDATE people SET cut_at = 0, cut_by = '' WHERE id = $1`, id)
}

// MarkMissed notes the first absence from the hub's list. An earlier one
// stays; the zero time takes the mark away.
func (tx *Tx) MarkMissed(id int64, at time.Time) error {
	_, err := tx.exec(`UPDATE people SET missed_at = CASE WHEN CAST($1 AS BIGINT) = 0 OR missed_at = 0 THEN $1 ELSE missed_at END WHERE id = $2`, micro(at), id)
	return err
}

// ErasePerson takes away all that is kept for a person but the events. What
// still lives at a provider becomes to-dos: children "revoke-child", grants
// "disconnect". It writes a Change ("person").
func (tx *Tx) ErasePerson(id int64) error {
	const why = "the person was erased"
	children, err := tx.Children(ChildFilter{Person: id, Limit: 1 << 30})
	if err != nil {
		return err
	}
	var ids []int64
	for _, c := range children {
		ids = append(ids, c.ID)
	}
	if err := tx.EndChildren(ids, why); err != nil {
		return err
	}
	if _, err := tx.EndPasses(PassFilter{Person: id}, why); err != nil {
		return err
	}
	connections, err := txList(tx, scanConnection, connectionsOf, id)
	if err != nil {
		return err
	}
	for _, c := range connections {
		grant, ok, err := tx.EndConnection(c.ID, why)
		if err != nil {
			return err
		}
		if ok && !grant.Access.IsZero() {
			if err := tx.AddTodo(Todo{Kind: Disconnect, Host: c.Host, Person: id, Account: c.Account.ID, Token: grant.Access, Why: why}); err != nil {
				return err
			}
		}
	}
	if err := tx.eraseLinks(id); err != nil {
		return err
	}
	for _, table := range []string{"connections", "holders", "visits", "approvals", "shares", "sessions", "pins", "passes", "devices", "link_pulls"} {
		if _, err := tx.exec(`DELETE FROM `+table+` WHERE person = $1`, id); err != nil {
			return err
		}
	}
	return tx.changed(Change{Kind: "person", Person: id}, `DELETE FROM people WHERE id = $1`, id)
}
