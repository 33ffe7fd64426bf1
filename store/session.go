package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/alexedwards/scs/v2"
)

// SessionPerson is the key, in a session's values, of the int64 that says whose
// it is; [Tx.EndSessions] goes by it.
const SessionPerson = "person"

// Sessions implements scs.CtxStore. Tokens are stored as SHA-256, contents
// sealed; sessions of another epoch are not found.
type Sessions struct{ db *DB }

// Sessions is the store for a scs.SessionManager with its usual codec.
func (db *DB) Sessions() *Sessions { return &Sessions{db} }

var _ scs.CtxStore = (*Sessions)(nil)

// hashed is how a session's or state's id is stored: whoever reads the store
// cannot use it.
func hashed(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

type sessionRow struct {
	person, created, expires int64
	box                      []byte
}

func scanSession(s scanner) (r sessionRow, err error) {
	return r, s.Scan(&r.person, &r.created, &r.expires, &r.box)
}

func sessionPlace(id string, r sessionRow) place {
	return place{table: "sessions", row: id, person: r.person, created: r.created}
}

// FindCtx returns a session's contents; false where it is unknown, expired or
// of another epoch.
func (s *Sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	id := hashed(token)
	row, err := one(ctx, s.db.readers, scanSession, `SELECT person, created, expires, box FROM sessions WHERE id = $1 AND epoch = $2`, id, s.db.epoch)
	if err != nil || row.expires <= micro(s.db.c.Now()) {
		if errors.Is(err, ErrNone) {
			err = nil
		}
		return nil, false, err
	}
	text, err := s.db.open(sessionPlace(id, row), row.box)
	if err != nil {
		return nil, false, err
	}
	return text, true, nil
}

// CommitCtx stores a session's contents until expiry.
func (s *Sessions) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	_, values, err := scs.GobCodec{}.Decode(b)
	if err != nil {
		return err
	}
	id := hashed(token)
	row := sessionRow{created: micro(s.db.c.Now()), expires: micro(expiry)}
	row.person, _ = values[SessionPerson].(int64)
	box, by, err := s.db.seal(sessionPlace(id, row), b)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO sessions (id, person, epoch, created, expires, sealed_by, box) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET person = excluded.person, epoch = excluded.epoch, created = excluded.created,
			expires = excluded.expires, sealed_by = excluded.sealed_by, box = excluded.box`,
			id, row.person, s.db.epoch, row.created, row.expires, by, box)
		return err
	})
}

// DeleteCtx ends a session.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	return s.db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(`DELETE FROM sessions WHERE id = $1`, hashed(token))
		return err
	})
}

// Find is FindCtx without a context; scs asks for it and does not call it.
func (s *Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *Sessions) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// Delete is DeleteCtx without a context.
func (s *Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// EndSessions ends all sessions of a person.
func (tx *Tx) EndSessions(person int64) error {
	_, err := tx.exec(`DELETE FROM sessions WHERE person = $1`, person)
	return err
}

// A State is what a person was sent to a provider or a hub with, kept for ten
// minutes and used once.
type State struct {
	Session                             string // the browser's session
	Person                              int64
	Hub, Host, Verifier, Redirect, Next string
	Created                             time.Time
}

// stateLife is how long somebody may take to say yes.
const stateLife = 10 * time.Minute

func statePlace(id string, created int64) place {
	return place{table: "states", row: id, created: created}
}

// PutState stores a state under the SHA-256 of its id, sealed. Created is now
// where it is zero.
func (db *DB) PutState(ctx context.Context, id string, s State) error {
	if s.Created.IsZero() {
		s.Created = db.c.Now()
	}
	created := micro(s.Created)
	s.Created = moment(created)
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	id = hashed(id)
	box, by, err := db.seal(statePlace(id, created), text)
	if err != nil {
		return err
	}
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO states (id, epoch, created, sealed_by, box) VALUES ($1, $2, $3, $4, $5)`, id, db.epoch, created, by, box)
		return err
	})
}

// TakeState returns a state and deletes it, whatever its age: of two that ask,
// one gets it. False: there is none, or it is older than ten minutes at now.
func (db *DB) TakeState(ctx context.Context, id string, now time.Time) (State, bool, error) {
	id = hashed(id)
	type row struct {
		created, epoch int64
		box            []byte
	}
	var got row
	err := db.Write(ctx, func(tx *Tx) (err error) {
		got, err = txOne(tx, func(s scanner) (r row, err error) { return r, s.Scan(&r.created, &r.epoch, &r.box) },
			`DELETE FROM states WHERE id = $1 RETURNING created, epoch, box`, id)
		if errors.Is(err, ErrNone) {
			got, err = row{}, nil
		}
		return err
	})
	if err != nil || got.box == nil || got.epoch != db.epoch {
		return State{}, false, err
	}
	age := now.Sub(moment(got.created))
	if age > stateLife || age < -stateLife { // a clock that leapt back makes no state last
		return State{}, false, nil
	}
	text, err := db.open(statePlace(id, got.created), got.box)
	if err != nil {
		return State{}, false, err
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return State{}, false, sealProblem(statePlace(id, got.created))
	}
	return s, true, nil
}
