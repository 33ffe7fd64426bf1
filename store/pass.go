package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// ErrTaken: there is such a row already.
var ErrTaken = errors.New("the store has such an entry already")

// A Pass is one that was minted: its row. The root key is sealed, bound to all
// that decides what the pass is good for and whose it is.
//
// What a row says is as the database has it; [DB.PassKey] alone compares it with
// what was sealed.
type Pass struct {
	Realm   string         // "hub:NAME", "index:NAME", "plugin:NAME"
	User    string         // of an index: the devpi user; "" of a hub
	ID      string         // no other of the realm and user has it
	Person  int64          // of a hub: whose; 0 of an index
	Server  daypass.Server // it ends with this server of Person's; zero (Known false): with none
	Started time.Time      // when that server was started; of an index: when User's account there was made; zero where none, or not known
	Label   string
	Via     string   // how it was asked for: "browser", "server", "user-token", "device", "exchange", "devpi", "import"
	By      string   // who asked, where that is another than whose it is
	Caveats []string // as minted
	Created time.Time
	Until   time.Time // daypass.Forever: no end
	Used    time.Time // zero: never
	Uses    int64
	Ended   time.Time // zero: not ended by hand
	Why     string    // of Ended

	row     int64
	caveats string // as stored
	owner   owner  // none of an index
}

// PassFilter chooses passes; zero fields choose all.
type PassFilter struct {
	Realm, User, ID string
	Person          int64
	Server          *daypass.Server
	LiveAt          time.Time // only those that were not ended, and are not over then
	Limit           int       // 0: 10000
}

// An EndedLink is where a derived pass was ended: what it was derived from
// lives on, and what was derived from it is dead too.
type EndedLink struct {
	Link  [32]byte
	At    time.Time
	Label string
}

// A PassTouch is what a pass was used since the last touch.
type PassTouch struct {
	Realm, User, ID string
	At              time.Time // the last use
	N               int64     // how many there were
}

const passColumns = `id, realm, username, name, person, server, started, label, via, asked_by, caveats, created, until, used, uses, ended, why, hub, born`

// passWords are the fields that are stored in another form.
type passWords struct {
	server                               string
	started, created, until, used, ended int64
}

func passFields(p *Pass, w *passWords) []any {
	return []any{&p.row, &p.Realm, &p.User, &p.ID, &p.Person, &w.server, &w.started, &p.Label, &p.Via, &p.By, &p.caveats, &w.created, &w.until,
		&w.used, &p.Uses, &w.ended, &p.Why, &p.owner.hub, &p.owner.born}
}

func (p *Pass) take(w passWords) {
	p.Server, p.Started, p.Created, p.Until = parseServer(w.server), moment(w.started), moment(w.created), moment(w.until)
	p.Used, p.Ended = moment(w.used), moment(w.ended)
	if json.Unmarshal([]byte(p.caveats), &p.Caveats) != nil {
		p.Caveats = []string{"this entry was damaged"} // no caveat that anything meets; it does not open either
	}
}

func scanPass(s scanner) (p Pass, err error) {
	var w passWords
	err = s.Scan(passFields(&p, &w)...)
	p.take(w)
	return p, err
}

type sealedPass struct {
	Pass
	box []byte
}

func scanSealedPass(s scanner) (p sealedPass, err error) {
	var w passWords
	err = s.Scan(append(passFields(&p.Pass, &w), &p.box)...)
	p.take(w)
	return p, err
}

// place binds a root key to what decides; the label and the uses do not.
func (p Pass) place() place {
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	return place{
		table: "passes", row: p.ID, person: p.Person, created: micro(p.Created), owner: p.owner,
		more: bound(p.Realm, p.User, serverText(p.Server), n(micro(p.Started)), n(micro(p.Until)), p.Via, p.By, p.caveats),
	}
}

// A passBox is what is sealed of a pass. The ended links are in it, so that
// nobody who only can write the database revives a derived pass by taking one
// away.
type passBox struct {
	Key   []byte      `json:"key"`
	Ended []boxedLink `json:"ended,omitempty"`
}

type boxedLink struct {
	Link  []byte `json:"link"`
	At    int64  `json:"at"`
	Label string `json:"label,omitempty"`
}

const (
	// endedLimit bounds the derived passes of one pass that are ended one by one:
	// all are read whenever its key is.
	endedLimit = 1024
	// endedLast is how many of them end where they were shown. Beyond it the whole
	// branch ends: whoever holds one derived pass makes as many more of it as they
	// like, and would else use up what others need.
	endedLast = endedLimit / 2
)

func (db *DB) openPass(p sealedPass) (passBox, error) {
	var out passBox
	text, err := db.open(p.place(), p.box)
	if err != nil {
		return out, err
	}
	defer clear(text)
	if json.Unmarshal(text, &out) != nil || len(out.Key) == 0 || slices.ContainsFunc(out.Ended, func(l boxedLink) bool { return len(l.Link) != 32 }) {
		return passBox{}, sealProblem(p.place())
	}
	return out, nil
}

func (db *DB) sealPass(p Pass, b passBox) (box []byte, by string, err error) {
	text, err := json.Marshal(b)
	if err != nil {
		return nil, "", err
	}
	defer clear(text)
	return db.seal(p.place(), text)
}

// ofHub reports whether a pass is a person's, who may make children by it.
func (p Pass) ofHub() bool { return strings.HasPrefix(p.Realm, "hub:") }

// PutPass stores a pass with its root key; Created is filled in. ErrTaken: the
// realm and user have one of that ID. ErrNone: the Person is not there, or cut
// off.
func (tx *Tx) PutPass(p Pass, key []byte) (Pass, error) {
	if p.ofHub() != (p.Person != 0) || p.ID == "" || p.Until.IsZero() || len(key) == 0 {
		return Pass{}, errors.New("store: a pass needs a key, an ID, an end, and of a hub a person")
	}
	for _, s := range append([]string{p.Realm, p.User, p.ID}, p.Caveats...) {
		if !storable(s) {
			return Pass{}, errors.New("store: a pass has a text that cannot be kept")
		}
	}
	if p.Caveats == nil {
		p.Caveats = []string{}
	}
	text, err := json.Marshal(p.Caveats)
	if err != nil {
		return Pass{}, err
	}
	at := micro(tx.Now())
	p.caveats, p.Created, p.Used, p.Uses, p.Ended, p.Why = string(text), moment(at), time.Time{}, 0, time.Time{}, ""
	p.Started, p.Until = moment(micro(p.Started)), moment(micro(p.Until)) // as they will be read
	p.Label, p.Via, p.By = cleanText(p.Label), cleanText(p.Via), cleanText(p.By)
	if !p.Server.Known {
		p.Server = daypass.Server{}
	}
	if p.owner, err = tx.alive(p.Person, 0); err != nil {
		return Pass{}, err
	}
	box, by, err := tx.g.db.sealPass(p, passBox{Key: key})
	if err != nil {
		return Pass{}, err
	}
	p.row, err = txOne(tx, scanInt, `INSERT INTO passes (realm, username, name, person, server, started, label, via, asked_by, caveats,
		created, until, used, uses, ended, why, hub, born, sealed_by, box)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0, 0, '', $13, $14, $15, $16) ON CONFLICT DO NOTHING RETURNING id`,
		p.Realm, p.User, p.ID, p.Person, serverText(p.Server), micro(p.Started), p.Label, p.Via, p.By, p.caveats,
		at, micro(p.Until), p.owner.hub, p.owner.born, by, box)
	if errors.Is(err, ErrNone) {
		err = ErrTaken
	}
	return p, err
}

// storable reports whether both databases take a text as it is.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

const passNamed = ` FROM passes c WHERE name = $1 AND username = $2 AND realm = $3`

// Pass returns a pass, ended or not. ErrNone: there is none.
func (db *DB) Pass(ctx context.Context, realm, user, id string) (Pass, error) {
	if !storable(realm) || !storable(user) || !storable(id) {
		return Pass{}, ErrNone
	}
	return one(ctx, db.readers, scanPass, `SELECT `+passColumns+passNamed, id, user, realm)
}

// passHolder is 1 where the person of a pass is there and may use it, 2 where
// they are another than it was made for.
const passHolder = `coalesce((SELECT CASE WHEN p.hub <> c.hub OR p.created <> c.born THEN 2 WHEN p.cut_at <> 0 THEN 0 ELSE 1 END
	FROM people p WHERE p.id = c.person), 0)`

// PassKey returns a pass, its root key, and its links that were ended, with one
// query. ErrNone: there is no such pass, it was ended or is over, or its person
// is gone or cut off. ErrSeal: the row is not as the store wrote it.
func (db *DB) PassKey(ctx context.Context, realm, user, id string) (Pass, []byte, [][32]byte, error) {
	if !storable(realm) || !storable(user) || !storable(id) {
		return Pass{}, nil, nil, ErrNone
	}
	var holder int64
	row, err := one(ctx, db.readers, func(s scanner) (sealedPass, error) { return scanSealedPass(also{s, &holder}) },
		`SELECT `+passColumns+`, box, `+passHolder+passNamed, id, user, realm)
	if err != nil {
		return Pass{}, nil, nil, err
	}
	switch {
	case !row.Ended.IsZero(), !db.c.Now().Before(row.Until), row.Person != 0 && holder == 0:
		return Pass{}, nil, nil, ErrNone
	case row.Person != 0 && holder != 1:
		return Pass{}, nil, nil, sealProblem(row.place())
	}
	box, err := db.openPass(row)
	if err != nil {
		return Pass{}, nil, nil, err
	}
	links := make([][32]byte, 0, len(box.Ended))
	for _, l := range box.Ended {
		links = append(links, [32]byte(l.Link))
	}
	return row.Pass, box.Key, links, nil
}

// EndedLinks lists the derived passes of a pass that were ended, oldest first. Of
// a pass that was ended itself there are none: its box was erased.
func (db *DB) EndedLinks(ctx context.Context, realm, user, id string) ([]EndedLink, error) {
	if !storable(realm) || !storable(user) || !storable(id) {
		return nil, ErrNone
	}
	row, err := one(ctx, db.readers, scanSealedPass, `SELECT `+passColumns+`, box`+passNamed, id, user, realm)
	if err != nil || !row.Ended.IsZero() {
		return nil, err
	}
	box, err := db.openPass(row)
	if err != nil {
		return nil, err
	}
	var out []EndedLink
	for _, l := range box.Ended {
		out = append(out, EndedLink{[32]byte(l.Link), moment(l.At), l.Label})
	}
	return out, nil
}

// Passes lists passes, newest first, ended ones too unless LiveAt is given.
func (db *DB) Passes(ctx context.Context, f PassFilter) ([]Pass, error) {
	if f.Limit <= 0 {
		f.Limit = 10000
	}
	w := f.where()
	text := `SELECT ` + passColumns + ` FROM passes` + w.String() + ` ORDER BY id DESC` + w.limit(f.Limit)
	return list(ctx, db.readers, scanPass, text, w.args...)
}

func (f PassFilter) where() (w where) {
	for _, c := range []struct{ text, s string }{{`realm = ?`, f.Realm}, {`username = ?`, f.User}, {`name = ?`, f.ID}} {
		if c.s != "" {
			w.and(c.text, strings.ReplaceAll(strings.ToValidUTF8(c.s, "\uFFFD"), "\x00", "\uFFFD"))
		}
	}
	if f.Person != 0 {
		w.and(`person = ?`, f.Person)
	}
	if f.Server != nil {
		w.and(`server = ?`, serverText(*f.Server))
	}
	if !f.LiveAt.IsZero() {
		w.and(`ended = 0 AND until > ?`, micro(f.LiveAt))
	}
	return w
}

// EndPass ends a pass, with the children that were made by it: its root key is
// erased. False: it had ended, or is not there. It writes a Change ("pass").
func (tx *Tx) EndPass(realm, user, id, why string) (bool, error) {
	var w where
	w.and(`name = ? AND username = ? AND realm = ?`, id, user, realm)
	if !storable(realm) || !storable(user) || !storable(id) {
		return false, nil
	}
	ended, err := tx.endPasses(w, why)
	return len(ended) > 0, err
}

// EndPasses is [Tx.EndPass] for all that match, whatever Limit says: a server's,
// a person's. The filter must name a realm or a person. It returns those that had
// not ended yet.
func (tx *Tx) EndPasses(f PassFilter, why string) ([]Pass, error) {
	if f.Realm == "" && f.Person == 0 {
		return nil, errors.New("store: passes of everybody were to be ended")
	}
	return tx.endPasses(f.where(), why)
}

func (tx *Tx) endPasses(w where, why string) ([]Pass, error) {
	w.and(`ended = 0`)
	n := len(w.args)
	// Without its key, a row whose end is taken back by hand is no pass.
	ended, err := txList(tx, scanPass, `UPDATE passes SET ended = `+holder(n+1)+`, why = `+holder(n+2)+`, sealed_by = '', box = `+holder(n+3)+
		w.String()+` RETURNING `+passColumns, append(w.args, micro(tx.Now()), cleanText(why), []byte{})...)
	told := map[int64]bool{}
	for _, p := range ended {
		if !told[p.Person] {
			told[p.Person] = true
			tx.Change(Change{Kind: "pass", Person: p.Person})
		}
		if err == nil {
			err = tx.endPassChildren(p, why, func(Child) bool { return true })
		}
	}
	return ended, err
}

func (tx *Tx) endPassChildren(p Pass, why string, of func(Child) bool) error {
	if !p.ofHub() {
		return nil
	}
	children, err := tx.Children(ChildFilter{Pass: p.ID, Limit: 1 << 30})
	if err != nil {
		return err
	}
	var ids []int64
	for _, c := range children {
		if !c.Ending && of(c) {
			ids = append(ids, c.ID)
		}
	}
	return tx.EndChildren(ids, why)
}

// EndLink ends a derived pass, and with it all that was derived from it and the
// children that were made by any of these. The chain is what narrowing added to the
// pass as it was shown, the first first, each with its label; the end is at the
// last of it, but at the first where many were ended already (512 of one root):
// the derived pass itself, then, from which this one and those were made. It
// returns where that is.
//
// A chain of which a link was ended before is no error, nor is a pass that has
// ended or is gone: what was derived from it is dead with it. ErrSeal: the row is
// not as the store wrote it, and opens for nobody. It writes a Change ("pass").
func (tx *Tx) EndLink(realm, user, id string, chain []EndedLink) (EndedLink, error) {
	if len(chain) == 0 {
		return EndedLink{}, errors.New("store: a pass was to be ended as one that was derived, and is none")
	}
	at := chain[len(chain)-1]
	if !storable(realm) || !storable(user) || !storable(id) {
		return at, nil
	}
	// This also locks the row, so that no other's link is lost.
	row, err := txOne(tx, scanSealedPass, `UPDATE passes SET uses = uses WHERE name = $1 AND username = $2 AND realm = $3 AND ended = 0
		RETURNING `+passColumns+`, box`, id, user, realm)
	if errors.Is(err, ErrNone) {
		return at, nil
	}
	if err != nil {
		return at, err
	}
	box, err := tx.g.db.openPass(row)
	if err != nil || box.has(chain) {
		return at, err
	}
	if len(box.Ended) >= endedLast {
		at = chain[0]
	}
	if len(box.Ended) >= endedLimit {
		return at, &daypass.Problem{Code: "DP-944", What: "this derived pass cannot be ended by itself", Kind: daypass.ErrRefused,
			Why:  fmt.Sprintf("%d others of the same pass were ended, which is as many as are kept", endedLimit),
			Next: "End the pass that it was narrowed from, and make another."}
	}
	at.At = tx.Now()
	box.Ended = append(box.Ended, boxedLink{at.Link[:], micro(at.At), cleanText(at.Label)})
	sealed, by, err := tx.g.db.sealPass(row.Pass, box)
	if err != nil {
		return at, err
	}
	if _, err := tx.exec(`UPDATE passes SET sealed_by = $1, box = $2 WHERE id = $3`, by, sealed, row.row); err != nil {
		return at, err
	}
	tx.Change(Change{Kind: "pass", Person: row.Person})
	return at, tx.endPassChildren(row.Pass, "a pass was ended", func(c Child) bool { return c.MadeUnder(at.Link) })
}

// has reports whether a link of a chain was ended.
func (b passBox) has(chain []EndedLink) bool {
	return slices.ContainsFunc(b.Ended, func(l boxedLink) bool {
		return slices.ContainsFunc(chain, func(c EndedLink) bool { return c.Link == [32]byte(l.Link) })
	})
}

// PassAlive returns ErrNone where a pass has ended, is over or is not there, its
// person is cut off, or one of the links was ended. Until the commit nobody else
// can do any of it: what is written in the same transaction is found by whoever
// does so afterwards.
func (tx *Tx) PassAlive(realm, user, id string, links ...[32]byte) error {
	if !storable(realm) || !storable(user) || !storable(id) {
		return ErrNone
	}
	row, err := txOne(tx, scanSealedPass, `SELECT `+passColumns+`, box`+passNamed+` AND ended = 0 @share`, id, user, realm)
	if err != nil {
		return err
	}
	if !tx.Now().Before(row.Until) {
		return ErrNone
	}
	if _, err := tx.alive(row.Person, 0); err != nil {
		return err
	}
	box, err := tx.g.db.openPass(row)
	if err != nil {
		return err
	}
	for _, l := range box.Ended {
		if slices.Contains(links, [32]byte(l.Link)) {
			return ErrNone
		}
	}
	return nil
}

// touchRows is how many passes are touched in one transaction.
const touchRows = 256

// TouchPasses notes last uses and adds to the counts; what is gone is no error.
// It is no Change. It commits: gather touches, and call it every few seconds.
func (db *DB) TouchPasses(ctx context.Context, touches []PassTouch) error {
	touches = slices.DeleteFunc(slices.Clone(touches), func(t PassTouch) bool { return !storable(t.Realm) || !storable(t.User) || !storable(t.ID) })
	// In one order, so that two processes do not wait for each other.
	slices.SortFunc(touches, func(a, b PassTouch) int {
		return strings.Compare(bound(a.ID, a.User, a.Realm), bound(b.ID, b.User, b.Realm))
	})
	for some := range slices.Chunk(touches, touchRows) {
		err := db.Write(ctx, func(tx *Tx) error {
			for _, t := range some {
				_, err := tx.exec(`UPDATE passes SET uses = uses + $1, used = CASE WHEN used < $2 THEN $2 ELSE used END
					WHERE name = $3 AND username = $4 AND realm = $5`, t.N, micro(t.At), t.ID, t.User, t.Realm)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
