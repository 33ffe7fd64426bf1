package store

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
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
	Ending     bool   // a to-do to revoke it waits
	Pass       string // the ID of the pass that it was made by, of the hub's realm; "": by none
	Links      string // of that pass as it was shown: see [LinksText]; another narrowing is another caller

	owner owner // none where AsHub
}

// LinksText is how a child's row names the pass that it was made by: the links
// that narrowing added, the first of them first, in 64 hex digits each. A pass as
// it was minted has none.
func LinksText(links [][32]byte) string {
	var b strings.Builder
	for _, l := range links {
		b.WriteString(hex.EncodeToString(l[:]))
	}
	return b.String()
}

// MadeUnder reports whether the pass by which a child was made has a link.
func (c Child) MadeUnder(link [32]byte) bool {
	want := hex.EncodeToString(link[:])
	for at := 0; at+len(want) <= len(c.Links); at += len(want) {
		if c.Links[at:at+len(want)] == want {
			return true
		}
	}
	return false
}

// ChildFilter chooses children; zero fields choose all.
type ChildFilter struct {
	ID         int64
	Person     int64
	Held       bool // with Person (and Server): hub children given to them too
	Connection int64
	Server     *daypass.Server
	Host       string
	Pass       string    // only those made by this pass, or one narrowed from it
	AsHub      bool      // only those made as the hub
	LiveAt     time.Time // only those that may still be served then
	Limit      int       // 0: 10000
}

const childColumns = `c.id, c.connection, c.person, c.server, c.host, c.owner, c.name, c.repo, c.access, c.as_hub, c.username, c.account,
	c.until, c.ends, c.created, c.used, c.epoch, c.ending, c.pass, c.links, c.hub, c.born`

// childReturned are the same for RETURNING, where SQLite knows no alias.
const childReturned = `id, connection, person, server, host, owner, name, repo, access, as_hub, username, account,
	until, ends, created, used, epoch, ending, pass, links, hub, born`

func childFields(c *Child, w *childWords) []any {
	return []any{&c.ID, &c.Connection, &c.Person, &w.server, &c.Host, &c.Repo.Owner, &c.Repo.Name, &c.Repo.ID, &w.access, &w.asHub,
		&c.Username, &c.Account, &w.until, &w.ends, &w.created, &w.used, &c.Epoch, &w.ending, &c.Pass, &c.Links, &c.owner.hub, &c.owner.born}
}

// childWords are the fields that are stored in another form.
type childWords struct {
	server, access             string
	asHub, ending              int64
	until, ends, created, used int64
}

func (c *Child) take(w childWords) {
	c.Server, c.Access, c.AsHub, c.Ending = parseServer(w.server), daypass.ParseAccess(w.access), w.asHub != 0, w.ending != 0
	c.Until, c.Ends, c.Created, c.Used = moment(w.until), moment(w.ends), moment(w.created), moment(w.used)
}

func scanChild(s scanner) (c Child, err error) {
	var w childWords
	err = s.Scan(childFields(&c, &w)...)
	c.take(w)
	return c, err
}

type sealedChild struct {
	Child
	box []byte
}

func scanSealedChild(s scanner) (c sealedChild, err error) {
	var w childWords
	err = s.Scan(append(childFields(&c.Child, &w), &c.box)...)
	c.take(w)
	return c, err
}

// serverText is a server as it is stored: a server named "unknown" is another
// than one that is not known.
func serverText(s daypass.Server) string {
	if !s.Known {
		return "?"
	}
	return "/" + s.Name
}

func parseServer(s string) daypass.Server {
	name, known := strings.CutPrefix(s, "/")
	if !known {
		return daypass.Server{}
	}
	return daypass.Server{Known: true, Name: name}
}

// place binds a token to all that it was made for: who reads the row later goes
// by its columns.
func (c Child) place() place {
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	return place{
		table: "children", row: n(c.ID), person: c.Person, created: micro(c.Created), host: c.Host, owner: c.owner,
		more: bound(n(c.Connection), serverText(c.Server), c.Repo.Owner, c.Repo.Name, n(c.Repo.ID), c.Access.String(), n(flag(c.AsHub)),
			c.Username, c.Account, n(micro(c.Until)), n(micro(c.Ends)), n(c.Epoch), c.Pass, c.Links),
	}
}

// Children lists children, newest first; those of an earlier epoch are listed,
// but never as live.
func (db *DB) Children(ctx context.Context, f ChildFilter) ([]Child, error) {
	w, rest := f.where(db.epoch)
	return list(ctx, db.readers, scanChild, `SELECT `+childColumns+` FROM children c`+w.String()+rest, w.args...)
}

// Children is [DB.Children] inside the transaction.
func (tx *Tx) Children(f ChildFilter) ([]Child, error) {
	w, rest := f.where(tx.g.db.epoch)
	return txList(tx, scanChild, `SELECT `+childColumns+` FROM children c`+w.String()+rest, w.args...)
}

func (f ChildFilter) where(epoch int64) (w where, rest string) {
	if f.ID != 0 {
		w.and(`c.id = ?`, f.ID)
	}
	switch {
	case f.Person != 0 && f.Held && f.Server != nil:
		w.and(`(c.person = ? AND c.server = ? OR c.id IN (SELECT h.child FROM holders h WHERE h.person = ? AND h.server = ?))`,
			f.Person, serverText(*f.Server), f.Person, serverText(*f.Server))
	case f.Person != 0 && f.Held:
		w.and(`(c.person = ? OR c.id IN (SELECT h.child FROM holders h WHERE h.person = ?))`, f.Person, f.Person)
	case f.Person != 0:
		w.and(`c.person = ?`, f.Person)
	}
	if f.Server != nil && !(f.Person != 0 && f.Held) {
		w.and(`c.server = ?`, serverText(*f.Server))
	}
	if f.Connection != 0 {
		w.and(`c.connection = ?`, f.Connection)
	}
	if f.Host != "" {
		w.and(`c.host = ?`, f.Host)
	}
	if f.Pass != "" {
		w.and(`c.pass = ? AND c.pass <> ''`, f.Pass) // the second for the index
	}
	if f.AsHub {
		w.and(`c.person = 0 AND c.as_hub = 1`)
	}
	if !f.LiveAt.IsZero() {
		w.and(`c.until > ? AND c.ending = 0 AND c.epoch = ?`, micro(f.LiveAt), epoch)
	}
	if f.Limit <= 0 {
		f.Limit = 10000
	}
	return w, ` ORDER BY c.id DESC LIMIT ` + strconv.Itoa(f.Limit)
}

// ChildToken unseals a child's token. ErrNone: it is gone. ErrSeal: the row
// was swapped, edited or damaged, or is another than c, or its person is another
// than the one it was made for.
func (db *DB) ChildToken(ctx context.Context, c Child) (daypass.Secret, error) {
	var owned int64
	row, err := one(ctx, db.readers, func(s scanner) (sealedChild, error) { return scanSealedChild(also{s, &owned}) },
		`SELECT `+childColumns+`, c.box, `+ownedBy+` FROM children c WHERE c.id = $1`, c.ID)
	if err != nil {
		return daypass.Secret{}, err
	}
	if row.Person != 0 && owned != 1 || string(row.place().bytes()) != string(c.place().bytes()) {
		return daypass.Secret{}, sealProblem(row.place())
	}
	text, err := db.open(row.place(), row.box)
	return daypass.NewSecret(string(text)), err
}

// alive returns ErrNone where a person was cut off, or a connection ended, while
// a child was made. Until the commit nobody else can do either: who does so
// afterwards sees the child. It says who the person is.
func (tx *Tx) alive(person, connection int64) (o owner, err error) {
	if person != 0 {
		if o, err = txOne(tx, scanOwner, `SELECT hub, created FROM people WHERE id = $1 AND cut_at = 0 @share`, person); err != nil {
			return o, err
		}
	}
	if connection != 0 {
		_, err = txOne(tx, scanInt, `SELECT id FROM connections WHERE id = $1 AND state NOT IN ('ended', 'needs-consent') @share`, connection)
	}
	return o, err
}

// Alive returns ErrNone where a person was cut off, or is not there. Until the
// commit nobody else can cut them off.
func (tx *Tx) Alive(person int64) error {
	_, err := tx.alive(person, 0)
	return err
}

// passThere is alive for a pass of the hub's. Its person is asked for elsewhere,
// and its links by [Tx.PassAlive].
func (tx *Tx) passThere(id string) error {
	until, err := txOne(tx, scanInt, `SELECT until FROM passes WHERE name = $1 AND username = '' AND realm LIKE 'hub:%' AND ended = 0 @share`, id)
	if err == nil && until <= micro(tx.Now()) {
		err = ErrNone
	}
	return err
}

// PutChild stores a child of a person, a connection and a pass that are still
// there, else the error is ErrNone; ID, Created, Used, Epoch and Ending are filled in.
// Where Ends is more than a minute after Until, a to-do "revoke-child" is due at
// Until.
func (tx *Tx) PutChild(c Child, token daypass.Secret) (Child, error) {
	at := micro(tx.Now())
	c.Created, c.Used, c.Epoch, c.Ending = moment(at), moment(at), tx.g.db.epoch, false
	c.Until, c.Ends = moment(micro(c.Until)), moment(micro(c.Ends)) // as they will be read
	c.Repo.Owner, c.Repo.Name = daypass.FoldASCII(c.Repo.Owner), daypass.FoldASCII(c.Repo.Name)
	if c.AsHub && (c.Person != 0 || c.Connection != 0) {
		return Child{}, errors.New("store: a child made as the hub is nobody's")
	}
	var err error
	if c.owner, err = tx.alive(c.Person, c.Connection); err != nil {
		return Child{}, err
	}
	if c.Pass != "" {
		if err := tx.passThere(c.Pass); err != nil {
			return Child{}, err
		}
	}
	c.ID, err = txOne(tx, scanInt, `INSERT INTO children (connection, person, server, host, owner, name, repo, access, as_hub, username, account,
		until, ends, created, used, epoch, sealed_by, box, hub, born, pass, links)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $15, '', $16, $17, $18, $19, $20) RETURNING id`,
		c.Connection, c.Person, serverText(c.Server), c.Host, c.Repo.Owner, c.Repo.Name, c.Repo.ID, c.Access.String(), flag(c.AsHub),
		c.Username, c.Account, micro(c.Until), micro(c.Ends), at, c.Epoch, []byte{}, c.owner.hub, c.owner.born, c.Pass, c.Links)
	if err != nil {
		return Child{}, err
	}
	box, by, err := tx.g.db.seal(c.place(), []byte(token.Reveal())) // sealed here
	if err != nil {
		return Child{}, err
	}
	if _, err := tx.exec(`UPDATE children SET sealed_by = $1, box = $2 WHERE id = $3`, by, box, c.ID); err != nil {
		return Child{}, err
	}
	if c.Ends.After(c.Until.Add(time.Minute)) {
		err = tx.AddTodo(Todo{Kind: RevokeChild, Host: c.Host, Child: c.ID, Person: c.Person, AsHub: c.AsHub, Due: c.Until, Why: "its time was over"})
	}
	return c, err
}

// HoldChild notes who was given a child made as the hub. ErrNone: it is gone.
func (tx *Tx) HoldChild(child, person int64, server daypass.Server) error {
	if _, err := tx.alive(person, 0); err != nil {
		return err
	}
	if _, err := txOne(tx, scanInt, `SELECT id FROM children WHERE id = $1 AND ending = 0 @share`, child); err != nil {
		return err
	}
	_, err := tx.exec(`INSERT INTO holders (child, person, server) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, child, person, serverText(server))
	return err
}

// A Holder is a server of somebody's that was given a token of the hub's own.
type Holder struct {
	Person int64
	Server daypass.Server
}

// Holders lists who holds a live child made as the hub, at some server.
func (db *DB) Holders(ctx context.Context, at time.Time) ([]Holder, error) {
	return list(ctx, db.readers, func(s scanner) (h Holder, err error) {
		var server string
		err = s.Scan(&h.Person, &server)
		h.Server = parseServer(server)
		return h, err
	}, `SELECT DISTINCT h.person, h.server FROM holders h JOIN children c ON c.id = h.child WHERE c.ends > $1 AND c.ending = 0 ORDER BY h.person, h.server`, micro(at))
}

// DropHolds forgets what a person holds at a server (nil: at all of theirs),
// and returns the hub children that nobody holds any more. Where there was any
// it writes a Change ("hold").
func (tx *Tx) DropHolds(person int64, server *daypass.Server) (orphans []int64, err error) {
	text, args := `DELETE FROM holders WHERE person = $1 RETURNING child`, []any{person}
	if server != nil {
		text, args = `DELETE FROM holders WHERE person = $1 AND server = $2 RETURNING child`, append(args, serverText(*server))
	}
	dropped, err := txList(tx, scanInt, text, args...)
	if err != nil {
		return nil, err
	}
	if len(dropped) > 0 {
		tx.Change(Change{Kind: "hold", Person: person})
	}
	seen := map[int64]bool{}
	for _, id := range dropped {
		if seen[id] {
			continue
		}
		seen[id] = true
		n, err := txOne(tx, scanInt, `SELECT count(*) FROM holders WHERE child = $1`, id)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			orphans = append(orphans, id)
		}
	}
	return orphans, nil
}

// ForgetChildren erases children whose tokens are dead at the provider already,
// with their to-dos. It writes a Change for each.
func (tx *Tx) ForgetChildren(ids []int64) error {
	for _, id := range ids {
		c, err := txOne(tx, scanChild, `DELETE FROM children WHERE id = $1 RETURNING `+childReturned, id)
		if errors.Is(err, ErrNone) {
			continue
		}
		if err == nil {
			_, err = tx.exec(`DELETE FROM todos WHERE child = $1 AND kind = 'revoke-child'`, id)
		}
		if err != nil {
			return err
		}
		tx.Change(Change{Kind: "child", Person: c.Person, Connection: c.Connection, Child: id})
	}
	return nil
}

// EndChildren stops children from being served; to-dos "revoke-child" are due
// at once. It writes a Change for each. Numbers that are gone, or ending
// already, are no error.
func (tx *Tx) EndChildren(ids []int64, why string) error {
	for _, id := range ids {
		c, err := txOne(tx, scanChild, `UPDATE children SET ending = 1 WHERE id = $1 AND ending = 0 RETURNING `+childReturned, id)
		if errors.Is(err, ErrNone) {
			continue
		}
		if err != nil {
			return err
		}
		// The one that waits for its time, if any, is this one now.
		n, err := tx.exec(`UPDATE todos SET due = $1, owed = CASE WHEN owed < $1 THEN owed ELSE $1 END, why = $2
			WHERE child = $3 AND kind = 'revoke-child'`, micro(tx.Now()), cleanText(why), id)
		if err != nil {
			return err
		}
		if n == 0 {
			err = tx.AddTodo(Todo{Kind: RevokeChild, Host: c.Host, Child: id, Person: c.Person, AsHub: c.AsHub, Why: why})
			if err != nil {
				return err
			}
		}
		tx.Change(Change{Kind: "child", Person: c.Person, Connection: c.Connection, Child: id})
	}
	return nil
}
