package store

import (
	"bytes"
	"context"
	"strconv"
)

// A wrapped is a sealed row of any table.
type wrapped struct {
	id  any // as the table has it
	box []byte
	at  place
}

// rewrapTable says how the sealed rows of a table are read.
type rewrapTable struct {
	name, columns string // of the table, called c
	scan          func(scanner) (wrapped, error)
}

var rewrapTables = []rewrapTable{
	{"connections", connectionColumns + ", box", func(s scanner) (wrapped, error) {
		c, err := scanSealedConnection(s)
		return wrapped{c.ID, c.box, c.place()}, err
	}},
	{"children", childColumns + ", c.box", func(s scanner) (wrapped, error) {
		c, err := scanSealedChild(s)
		return wrapped{c.ID, c.box, c.place()}, err
	}},
	{"todos", todoColumns + ", box", func(s scanner) (wrapped, error) {
		t, err := scanSealedTodo(s)
		return wrapped{t.ID, t.box, t.place()}, err
	}},
	{"passes", passColumns + ", box", func(s scanner) (wrapped, error) {
		p, err := scanSealedPass(s)
		return wrapped{p.row, p.box, p.place()}, err
	}},
	{"sessions", "id, person, created, expires, box", func(s scanner) (wrapped, error) {
		var id string
		var r sessionRow
		err := s.Scan(&id, &r.person, &r.created, &r.expires, &r.box)
		return wrapped{id, r.box, sessionPlace(id, r)}, err
	}},
	{"states", "id, created, box", func(s scanner) (wrapped, error) {
		var id string
		var created int64
		var box []byte
		err := s.Scan(&id, &created, &box)
		return wrapped{id, box, statePlace(id, created)}, err
	}},
}

// rewrapRows is how many rows are sealed anew in one transaction.
const rewrapRows = 100

// Rewrap seals every row anew under the primary key, in small transactions
// beside the traffic. It can be interrupted and run again. A row that does not
// open is left as it is, and its error returned at the end.
func (db *DB) Rewrap(ctx context.Context, progress func(done, left int)) error {
	primary := db.keys.Load().primary()
	done := 0
	left := func() (n int, err error) {
		use, err := db.KeyUse(ctx)
		for _, id := range db.keys.Load().sealIDs() {
			if id != primary {
				n += int(use[id])
			}
		}
		return n, err
	}
	total, err := left()
	if err != nil {
		return err
	}
	var broken error
	for _, t := range rewrapTables {
		for after := any(nil); ; {
			n, last, bad, err := db.rewrapSome(ctx, t, primary, after)
			if err != nil {
				return err
			}
			if bad != nil {
				broken = bad
			}
			if last == nil {
				break
			}
			after = last
			done += n
			if progress != nil {
				progress(done, max(0, total-done))
			}
		}
	}
	return broken
}

// rewrapSome does the next rows of a table, by id.
func (db *DB) rewrapSome(ctx context.Context, t rewrapTable, primary string, after any) (n int, last any, bad, err error) {
	err = db.Write(ctx, func(tx *Tx) error {
		n, last, bad = 0, nil, nil
		var w where
		w.and(`sealed_by <> '' AND sealed_by <> ?`, primary)
		if after != nil {
			w.and(`id > ?`, after)
		}
		rows, err := txList(tx, t.scan, `SELECT `+t.columns+` FROM `+t.name+` c`+w.String()+` ORDER BY id LIMIT `+strconv.Itoa(rewrapRows), w.args...)
		if err != nil {
			return err
		}
		for _, row := range rows {
			last = row.id
			text, err := db.open(row.at, row.box)
			if err != nil {
				bad = err
				continue
			}
			box, by, err := db.seal(row.at, text)
			clear(text)
			if err != nil {
				return err
			}
			// Another process may have sealed something newer meanwhile.
			changed, err := tx.exec(`UPDATE `+t.name+` SET sealed_by = $1, box = $2 WHERE id = $3 AND box = $4`, by, box, row.id, bytes.Clone(row.box))
			if err != nil {
				return err
			}
			n += int(changed)
		}
		return nil
	})
	return n, last, bad, err
}
