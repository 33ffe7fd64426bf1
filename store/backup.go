package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// backupFormat is the first thing in a backup.
const backupFormat = "daypass-backup-1"

// A backup's lines: a header, rows, and an end whose MAC covers every line
// before it. A number is a number, a text is a text, bytes are {"b": base64}.
type backupLine struct {
	Format   string `json:"format,omitempty"` // of the header
	Schema   int64  `json:"schema,omitempty"`
	Instance string `json:"instance,omitempty"`
	Epoch    int64  `json:"epoch,omitempty"`
	At       string `json:"at,omitempty"`
	Key      string `json:"key,omitempty"` // of the MAC

	Table string                     `json:"table,omitempty"` // of a row
	Row   map[string]json.RawMessage `json:"row,omitempty"`

	Rows int64  `json:"rows,omitempty"` // of the end
	MAC  string `json:"mac,omitempty"`
}

type backupBytes struct {
	B []byte `json:"b"`
}

// backupTable is what a backup takes over, in an order in which rows only refer
// to earlier ones. Sessions, states, devices, leases, changes, trails and link_pulls are not taken: they end
// with the epoch, or are made anew.
type backupTable struct{ name, order string }

var backupTables = []backupTable{
	{"people", "id"}, {"connections", "id"}, {"children", "id"}, {"holders", "child, person, server"}, {"todos", "id"},
	{"pins", "person, host, owner, name"}, {"visits", "person, server, day, host, repo"}, {"approvals", "person, server, day"},
	{"shares", "id"}, {"content_links", "id"}, {"enrolments", "id"}, {"passes", "id"}, {"pass_uses", "link"}, {"once", "kind, id"}, {"chains", "chain"}, {"links", "chain, g"}, {"events", "chain, n"},
}

// since says with which migration a column came to a table that was there before. A
// backup from before has none of it, and its rows get what the migration gave to those
// that were there.
var since = map[string]int64{"content_links.accept": 3, "content_links.from_source": 3}

// Export writes a backup that either database can take: JSON lines, ended by a
// MAC with the primary chain key. Sealed values stay sealed; the keys are not in
// it. It reads one state of the store, beside the traffic.
func (db *DB) Export(ctx context.Context, w io.Writer) error {
	s, end, err := db.snapshot(ctx)
	if err != nil {
		return err
	}
	defer end()
	key := db.keys.Load().chain[0]
	out := bufio.NewWriterSize(w, 1<<16)
	sum := hmac.New(sha256.New, key.Key)
	lines := &lineWriter{w: io.MultiWriter(out, sum)}
	lines.put(backupLine{Format: backupFormat, Schema: newest, Instance: db.instance, Epoch: db.epoch,
		At: db.c.Now().UTC().Format(time.RFC3339), Key: key.ID})
	var rows int64
	for _, t := range backupTables {
		n, err := exportTable(ctx, s, t, lines)
		if err != nil {
			return fmt.Errorf("back up %s: %w", t.name, err)
		}
		rows += n
	}
	lines.w = out
	lines.put(backupLine{Rows: rows, MAC: hex.EncodeToString(sum.Sum(nil))})
	return errors.Join(lines.err, out.Flush())
}

type lineWriter struct {
	w   io.Writer
	err error
}

func (l *lineWriter) put(v any) {
	if l.err != nil {
		return
	}
	var text []byte
	if text, l.err = json.Marshal(v); l.err == nil {
		_, l.err = l.w.Write(append(text, '\n'))
	}
}

func exportTable(ctx context.Context, s *session, t backupTable, out *lineWriter) (n int64, err error) {
	rows, err := s.QueryContext(ctx, `SELECT * FROM `+t.name+` ORDER BY `+t.order)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for ; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			return n, err
		}
		row := map[string]json.RawMessage{}
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = backupBytes{b}
			}
			if row[columns[i]], err = json.Marshal(v); err != nil {
				return n, err
			}
		}
		out.put(backupLine{Table: t.name, Row: row})
		if out.err != nil {
			return n, out.err
		}
	}
	return n, rows.Err()
}

// Imported says what a restore took over.
type Imported struct {
	People, Connections, Children, Events int64
	Passes, PassesEnded                   int64 // good at an index; ended
	Links                                 int64 // to content, as they were
	Epoch                                 int64
}

// backupProblem refuses a backup.
func backupProblem(why string) error {
	return &daypass.Problem{Code: "DP-939", What: "the backup cannot be restored", Why: why,
		Next: "Nothing was changed. Use another backup, with the key file that belongs to it."}
}

// Import restores a backup into a store that is empty. It starts a new epoch:
// sessions, states and devices are not taken, children become to-dos "revoke-child",
// connections are Restored, and an event "restore" says so. A hub's passes are
// ended, since those that were ended after the backup would be good again; an
// index's, which people have in their CI systems for a year, are not: Imported says
// how many are good. What was used up by then stays so. Everything is taken or
// nothing. To be run with no other process on the store; open it anew after.
func (db *DB) Import(ctx context.Context, r io.Reader) (Imported, error) {
	var out Imported
	err := db.committer.submit(ctx, &request{alone: true, op: func(tx *Tx) error {
		im := &importer{tx: tx, in: bufio.NewReaderSize(r, 1<<16), columns: map[string][]string{}}
		if err := im.run(); err != nil {
			return err
		}
		out = im.out
		return nil
	}})
	return out, err
}

type importer struct {
	tx      *Tx
	in      *bufio.Reader
	sum     hash.Hash
	head    backupLine
	rows    int64
	columns map[string][]string
	out     Imported
}

func (im *importer) run() error {
	if err := im.empty(); err != nil {
		return err
	}
	if err := im.header(); err != nil {
		return err
	}
	for {
		line, raw, err := im.line()
		if err != nil {
			return err
		}
		if line.MAC != "" {
			mac, err := hex.DecodeString(line.MAC)
			if err != nil || !hmac.Equal(mac, im.sum.Sum(nil)) || line.Rows != im.rows {
				return backupProblem("it was changed or damaged since it was made")
			}
			break
		}
		im.sum.Write(raw)
		if err := im.row(line); err != nil {
			return err
		}
	}
	if err := im.sequences(); err != nil {
		return err
	}
	return im.epoch()
}

// empty refuses a store that something was ever written to.
func (im *importer) empty() error {
	for _, t := range []string{"people", "connections", "todos", "chains", "events", "pins", "passes", "pass_uses", "once", "content_links", "enrolments"} {
		n, err := txOne(im.tx, scanInt, `SELECT count(*) FROM (SELECT 1 FROM `+t+` LIMIT 1) x`)
		if err != nil {
			return err
		}
		if n > 0 {
			return &daypass.Problem{Code: "DP-940", What: "a backup can only be restored into an empty store",
				Why: "this one has " + t, Next: "Name a new file or database under store: in the configuration, and restore there."}
		}
	}
	return nil
}

// line reads the next line; raw is what the MAC covers.
func (im *importer) line() (line backupLine, raw []byte, err error) {
	raw, err = im.in.ReadBytes('\n')
	if err != nil {
		return line, nil, backupProblem("it breaks off")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&line); err != nil {
		return line, nil, backupProblem("a line is malformed")
	}
	return line, raw, nil
}

func (im *importer) header() error {
	line, raw, err := im.line()
	if err != nil {
		return err
	}
	if line.Format != backupFormat || line.Schema < 1 || line.Instance == "" || line.Epoch < 1 {
		return backupProblem("it is not a backup of this format")
	}
	if line.Schema > newest { // an older one has fewer tables and columns
		return backupProblem(fmt.Sprintf("its tables have version %d, this program knows %d", line.Schema, newest))
	}
	key, ok := im.tx.g.db.keys.Load().chainKey(line.Key)
	if !ok {
		return backupProblem("it was made with key " + cleanText(line.Key) + ", which this key file does not have")
	}
	im.head = line
	im.sum = hmac.New(sha256.New, key)
	im.sum.Write(raw)
	return nil
}

// row inserts a row. Names of tables and columns become SQL, so only those
// that the store itself has are taken.
func (im *importer) row(line backupLine) error {
	im.rows++
	columns, err := im.known(line.Table)
	if err != nil {
		return err
	}
	if len(line.Row) != len(columns) {
		return backupProblem("a row of " + line.Table + " has other columns")
	}
	args := make([]any, len(columns))
	for i, c := range columns {
		raw, ok := line.Row[c]
		if !ok {
			return backupProblem("a row of " + line.Table + " has no " + c)
		}
		if args[i], err = backupValue(raw); err != nil {
			return backupProblem("a row of " + line.Table + " is malformed")
		}
	}
	switch line.Table {
	case "people":
		im.out.People++
	case "connections":
		im.out.Connections++
	case "children":
		im.out.Children++
	case "events":
		im.out.Events++
	}
	if _, err = im.tx.exec(insertText(line.Table+" ("+strings.Join(columns, ", ")+")", len(columns), 1), args...); err != nil {
		return backupProblem("a row of " + line.Table + " is not taken: " + plain(err))
	}
	return nil
}

// known returns the columns of a table that may be restored.
func (im *importer) known(table string) ([]string, error) {
	if c, ok := im.columns[table]; ok {
		return c, nil
	}
	if !slices.ContainsFunc(backupTables, func(t backupTable) bool { return t.name == table }) {
		return nil, backupProblem("it has rows of an unknown table")
	}
	rows, err := im.tx.g.s.QueryContext(im.tx.g.ctx, `SELECT * FROM `+table+` LIMIT 0`)
	if err != nil {
		return nil, im.tx.note(err)
	}
	columns, err := rows.Columns()
	if err := errors.Join(err, rows.Close()); err != nil {
		return nil, im.tx.note(err)
	}
	columns = slices.DeleteFunc(columns, func(c string) bool { return im.head.Schema < since[table+"."+c] })
	im.columns[table] = columns
	return columns, nil
}

func backupValue(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, errors.New("no value")
	}
	switch raw[0] {
	case '"':
		var s string
		return s, json.Unmarshal(raw, &s)
	case '{':
		var b struct {
			B string `json:"b"`
		}
		if err := json.Unmarshal(raw, &b); err != nil {
			return nil, err
		}
		return base64.StdEncoding.DecodeString(b.B)
	}
	return strconv.ParseInt(string(raw), 10, 64)
}

// passes ends those of hubs and counts the others that are good.
func (im *importer) passes() error {
	var hubs where
	hubs.and(`realm LIKE 'hub:%'`)
	ended, err := im.tx.endPasses(hubs, "restored from a backup")
	if err != nil {
		return err
	}
	im.out.PassesEnded = int64(len(ended))
	im.out.Passes, err = txOne(im.tx, scanInt, `SELECT count(*) FROM passes WHERE ended = 0 AND until > $1`, micro(im.tx.Now()))
	return err
}

// sequences lets PostgreSQL go on numbering after what was taken over. SQLite
// does so by itself.
func (im *importer) sequences() error {
	if !im.tx.g.db.d.postgres {
		return nil
	}
	for _, t := range []string{"people", "connections", "children", "todos", "shares", "passes", "content_links", "enrolments"} {
		if _, err := txOne(im.tx, func(s scanner) (n sql.NullInt64, err error) { return n, s.Scan(&n) },
			`SELECT setval(pg_get_serial_sequence('`+t+`', 'id'), (SELECT max(id) FROM `+t+`))`); err != nil {
			return err
		}
	}
	return nil
}

// epoch ends all that was handed out before the backup was made.
func (im *importer) epoch() error {
	im.out.Epoch = im.head.Epoch + 1
	now := micro(im.tx.Now())
	for _, s := range []struct {
		text string
		args []any
	}{
		{`UPDATE meta SET value = $1 WHERE name = 'epoch'`, []any{strconv.FormatInt(im.out.Epoch, 10)}},
		{`UPDATE meta SET value = $1 WHERE name = 'instance'`, []any{im.head.Instance}},
		{`UPDATE connections SET state = 'restored', lease = '', lease_until = 0, version = version + 1 WHERE state IN ('live', 'refreshing')`, nil},
		{`UPDATE children SET ending = 1`, nil},
		{`UPDATE todos SET owner = '', claimed_until = 0, due = CASE WHEN due > $1 THEN $1 ELSE due END`, []any{now}},
		{`INSERT INTO todos (kind, host, child, person, as_hub, due, owed, created, why, sealed_by, box)
			SELECT 'revoke-child', c.host, c.id, c.person, c.as_hub, $1, $1, $1, 'restored from a backup', '', $2 FROM children c
			WHERE NOT EXISTS (SELECT 1 FROM todos t WHERE t.child = c.id)`, []any{now, []byte{}}},
		{`UPDATE chains SET trailed = 0`, nil},
	} {
		if _, err := im.tx.exec(s.text, s.args...); err != nil {
			return err
		}
	}
	if err := im.passes(); err != nil {
		return err
	}
	var err error
	if im.out.Links, err = txOne(im.tx, scanInt, `SELECT count(*) FROM content_links WHERE ended = 0`); err != nil {
		return err
	}
	im.tx.Record(Event{Kind: Restore, Outcome: OK, Why: fmt.Sprintf("backup of %s, epoch %d", im.head.At, im.out.Epoch)})
	return nil
}
