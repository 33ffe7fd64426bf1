package store

import (
	"context"
	"errors"
	"strconv"
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
	Account  int64          // of Disconnect, for AddTodo: whose grant it is, 0 unknown
	Token    daypass.Secret // for AddTodo, and after ClaimTodos; zero where it cannot be unsealed
	Parent   int64          // of RevokeChild, after ClaimTodos: the child's connection
	Due      time.Time      // when it is tried
	Owed     time.Time      // since when it is owed: the first Due
	Created  time.Time
	Attempts int
	Why      string

	owner owner
}

const todoColumns = `id, kind, host, child, person, as_hub, account, due, owed, created, attempts, why, hub, born`

type sealedTodo struct {
	Todo
	box []byte
}

type todoWords struct{ hub, due, owed, created int64 }

func todoFields(t *Todo, w *todoWords) []any {
	return []any{&t.ID, &t.Kind, &t.Host, &t.Child, &t.Person, &w.hub, &t.Account, &w.due, &w.owed, &w.created, &t.Attempts, &t.Why,
		&t.owner.hub, &t.owner.born}
}

func (t *Todo) take(w todoWords) {
	t.AsHub, t.Due, t.Owed, t.Created = w.hub != 0, moment(w.due), moment(w.owed), moment(w.created)
}

func scanTodo(s scanner) (t Todo, err error) {
	var w todoWords
	err = s.Scan(todoFields(&t, &w)...)
	t.take(w)
	return t, err
}

func scanSealedTodo(s scanner) (t sealedTodo, err error) {
	var w todoWords
	err = s.Scan(append(todoFields(&t.Todo, &w), &t.box)...)
	t.take(w)
	return t, err
}

func (t Todo) place() place {
	return place{
		table: "todos", row: strconv.FormatInt(t.ID, 10), person: t.Person, created: micro(t.Created), host: t.Host, owner: t.owner,
		more: bound(t.Kind, strconv.FormatInt(t.Account, 10)),
	}
}

// ClaimTodos takes up to n to-dos that are due, those that are owed longest first,
// for the length of the lease by the database's clock, so that no other process
// takes them: one person's and the hub's own, or everybody's where person is 0. A
// to-do whose token is gone or does not open comes with a zero Token. A Disconnect
// comes as RevokeToken where the account has a connection again, here or by
// another person: the whole grant would be theirs.
func (db *DB) ClaimTodos(ctx context.Context, person int64, owner string, now time.Time, n int, lease time.Duration) ([]Todo, error) {
	var out []Todo
	err := db.Write(ctx, func(tx *Tx) error {
		rows, err := txList(tx, scanSealedTodo, `UPDATE todos SET owner = $1, claimed_until = @clock + $2
			WHERE claimed_until < @clock AND id IN (SELECT id FROM todos WHERE due <= $3 AND claimed_until < @clock
			AND (CAST($5 AS BIGINT) = 0 OR person = $5 OR person = 0) ORDER BY due, id LIMIT $4)
			RETURNING `+todoColumns+`, box`, owner, lease.Microseconds(), micro(now), n, person)
		if err != nil {
			return err
		}
		out = make([]Todo, 0, len(rows))
		for _, row := range rows {
			if err := tx.openTodo(&row); err != nil {
				return err
			}
			out = append(out, row.Todo)
		}
		return nil
	})
	return out, err
}

// openTodo fills in what a to-do is done with.
func (tx *Tx) openTodo(row *sealedTodo) error {
	at, box := row.place(), row.box
	switch {
	case row.Kind == RevokeChild:
		c, err := txOne(tx, scanSealedChild, `SELECT `+childColumns+`, c.box FROM children c WHERE c.id = $1`, row.Child)
		if errors.Is(err, ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		at, box, row.Parent = c.place(), c.box, c.Connection
	case row.Kind == Disconnect && row.Account != 0:
		n, err := txOne(tx, scanInt, `SELECT count(*) FROM connections WHERE host = $1 AND account = $2 AND state <> 'ended'`, row.Host, row.Account)
		if err != nil {
			return err
		}
		if n > 0 {
			row.Kind = RevokeToken
		}
	}
	text, err := tx.g.db.open(at, box)
	if errors.Is(err, ErrSeal) {
		tx.g.db.c.Log.Error("a token that waits to be revoked does not open", "todo", row.ID, "kind", row.Kind)
		return nil
	}
	row.Token = daypass.NewSecret(string(text))
	return err
}

// OldestTodo says since when the to-do is owed that is owed longest, tried or
// not, claimed or not; false where none waits.
func (db *DB) OldestTodo(ctx context.Context) (time.Time, bool, error) {
	owed, err := one(ctx, db.readers, scanInt, `SELECT owed FROM todos ORDER BY owed LIMIT 1`)
	at, ok, err := found(owed, err)
	return moment(at), ok, err
}

// CountTodos counts what is owed for a person at a moment (0: for anybody), tried
// or not, claimed or not.
func (db *DB) CountTodos(ctx context.Context, person int64, now time.Time) (int, error) {
	n, err := one(ctx, db.readers, scanInt, `SELECT count(*) FROM todos WHERE owed <= $1 AND (CAST($2 AS BIGINT) = 0 OR person = $2)`, micro(now), person)
	return int(n), err
}

// Todos lists what waits, owed longest first, without tokens; at most 1000.
func (db *DB) Todos(ctx context.Context) ([]Todo, error) {
	return list(ctx, db.readers, scanTodo, `SELECT `+todoColumns+` FROM todos ORDER BY owed, id LIMIT 1000`)
}

// AddTodo adds a to-do; its token is sealed. Due is now where it is zero.
func (tx *Tx) AddTodo(t Todo) error {
	t.Created = moment(micro(tx.Now()))
	if t.Due.IsZero() {
		t.Due = tx.Now()
	}
	var err error
	t.owner, err = txOne(tx, scanOwner, `SELECT hub, created FROM people WHERE id = $1`, t.Person)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	t.ID, err = txOne(tx, scanInt, `INSERT INTO todos (kind, host, child, person, as_hub, due, owed, created, why, sealed_by, box, account, hub, born)
		VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, '', $9, $10, $11, $12) RETURNING id`,
		t.Kind, t.Host, t.Child, t.Person, flag(t.AsHub), micro(t.Due), micro(t.Created), cleanText(t.Why), []byte{}, t.Account, t.owner.hub, t.owner.born)
	if err != nil || t.Token.IsZero() {
		return err
	}
	box, by, err := tx.g.db.seal(t.place(), []byte(t.Token.Reveal())) // sealed here
	if err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE todos SET sealed_by = $1, box = $2 WHERE id = $3`, by, box, t.ID)
	return err
}

// DoneTodo takes a to-do away, with its sealed token, and for RevokeChild its
// child. One that is gone is no error.
func (tx *Tx) DoneTodo(id int64) error {
	t, err := txOne(tx, scanTodo, `DELETE FROM todos WHERE id = $1 RETURNING `+todoColumns, id)
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil || t.Kind != RevokeChild {
		return err
	}
	_, err = tx.exec(`DELETE FROM children WHERE id = $1`, t.Child)
	return err
}

// RetryTodo puts a to-do back for later and counts the attempt. Owed stays.
func (tx *Tx) RetryTodo(id int64, due time.Time, why string) error {
	_, err := tx.exec(`UPDATE todos SET due = $1, why = $2, attempts = attempts + 1, owner = '', claimed_until = 0 WHERE id = $3`,
		micro(due), cleanText(why), id)
	return err
}
