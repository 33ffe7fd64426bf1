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
	Token    daypass.Secret // for AddTodo, and after ClaimTodos; zero where it cannot be unsealed
	Due      time.Time
	Created  time.Time
	Attempts int
	Why      string
}

const todoColumns = `id, kind, host, child, person, as_hub, due, created, attempts, why`

type sealedTodo struct {
	Todo
	box []byte
}

func todoFields(t *Todo, hub, due, created *int64) []any {
	return []any{&t.ID, &t.Kind, &t.Host, &t.Child, &t.Person, hub, due, created, &t.Attempts, &t.Why}
}

func scanTodo(s scanner) (t Todo, err error) {
	var hub, due, created int64
	err = s.Scan(todoFields(&t, &hub, &due, &created)...)
	t.AsHub, t.Due, t.Created = hub != 0, moment(due), moment(created)
	return t, err
}

func scanSealedTodo(s scanner) (t sealedTodo, err error) {
	var hub, due, created int64
	err = s.Scan(append(todoFields(&t.Todo, &hub, &due, &created), &t.box)...)
	t.AsHub, t.Due, t.Created = hub != 0, moment(due), moment(created)
	return t, err
}

func (t Todo) place() place {
	return place{"todos", strconv.FormatInt(t.ID, 10), t.Person, micro(t.Created), t.Host}
}

// ClaimTodos takes up to n to-dos that are due, for the length of the lease by
// the database's clock, so that no other process takes them. A to-do whose token
// is gone or does not open comes with a zero Token: there is nothing to revoke.
func (db *DB) ClaimTodos(ctx context.Context, owner string, now time.Time, n int, lease time.Duration) ([]Todo, error) {
	var out []Todo
	err := db.Write(ctx, func(tx *Tx) error {
		rows, err := txList(tx, scanSealedTodo, `UPDATE todos SET owner = $1, claimed_until = @clock + $2
			WHERE claimed_until < @clock AND id IN (SELECT id FROM todos WHERE due <= $3 AND claimed_until < @clock ORDER BY due, id LIMIT $4)
			RETURNING `+todoColumns+`, box`, owner, lease.Microseconds(), micro(now), n)
		if err != nil {
			return err
		}
		out = make([]Todo, 0, len(rows))
		for _, row := range rows {
			t := row.Todo
			if t.Token, err = tx.todoToken(row); err != nil {
				return err
			}
			out = append(out, t)
		}
		return nil
	})
	return out, err
}

func (tx *Tx) todoToken(row sealedTodo) (daypass.Secret, error) {
	at, box := row.place(), row.box
	if row.Kind == RevokeChild {
		c, err := txOne(tx, scanSealedChild, `SELECT `+childColumns+`, c.box FROM children c WHERE c.id = $1`, row.Child)
		if errors.Is(err, ErrNone) {
			return daypass.Secret{}, nil
		}
		if err != nil {
			return daypass.Secret{}, err
		}
		at, box = c.place(), c.box
	}
	text, err := tx.g.db.open(at, box)
	if errors.Is(err, ErrSeal) {
		tx.g.db.c.Log.Error("a token that waits to be revoked does not open", "todo", row.ID, "kind", row.Kind)
		return daypass.Secret{}, nil
	}
	return daypass.NewSecret(string(text)), err
}

// NextTodo says when the next to-do is due that nobody has claimed.
func (db *DB) NextTodo(ctx context.Context) (time.Time, bool, error) {
	due, err := one(ctx, db.readers, scanInt, `SELECT due FROM todos WHERE claimed_until < @clock ORDER BY due LIMIT 1`)
	at, ok, err := found(due, err)
	return moment(at), ok, err
}

// Todos lists what waits, soonest first, without tokens; at most 1000.
func (db *DB) Todos(ctx context.Context) ([]Todo, error) {
	return list(ctx, db.readers, scanTodo, `SELECT `+todoColumns+` FROM todos ORDER BY due, id LIMIT 1000`)
}

// AddTodo adds a to-do; its token is sealed. Due is now where it is zero.
func (tx *Tx) AddTodo(t Todo) error {
	t.Created = moment(micro(tx.Now()))
	if t.Due.IsZero() {
		t.Due = tx.Now()
	}
	var err error
	t.ID, err = txOne(tx, scanInt, `INSERT INTO todos (kind, host, child, person, as_hub, due, created, why, sealed_by, box)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', $9) RETURNING id`,
		t.Kind, t.Host, t.Child, t.Person, flag(t.AsHub), micro(t.Due), micro(t.Created), cleanText(t.Why), []byte{})
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

// RetryTodo puts a to-do back for later and counts the attempt.
func (tx *Tx) RetryTodo(id int64, due time.Time, why string) error {
	_, err := tx.exec(`UPDATE todos SET due = $1, why = $2, attempts = attempts + 1, owner = '', claimed_until = 0 WHERE id = $3`,
		micro(due), cleanText(why), id)
	return err
}
