package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Trails say which events concern a person, or a user of an index. They are written some seconds after
// the events, sorted, so that one page of the index takes many entries at once:
// written with each event they would cost three times what the event does.
// Readers look at the events that are not in the trails yet as well.

const (
	trailEvery  = 2 * time.Second
	trailOthers = time.Minute          // for what processes that died left behind
	trailPage   = 16384                // events read at once
	trailRows   = 128                  // entries written at once
	trailPause  = 2 * time.Millisecond // between two writes, for others' sake
)

func (db *DB) runTrails() {
	defer close(db.trailsDone)
	tick := time.NewTicker(trailEvery)
	defer tick.Stop()
	var others time.Time
	var seen int64
	for stopped := false; !stopped; {
		select {
		case <-tick.C:
		case <-db.stop:
			stopped = true
		}
		all := time.Since(others) >= trailOthers
		if n := db.committer.commits.Load(); n == seen && !all {
			continue
		}
		if all {
			others = time.Now()
		}
		if err := db.trail(context.Background(), all); err != nil {
			db.c.Log.Warn("the index of events by person is late", "problem", plain(err))
		}
		seen = db.committer.commits.Load()
	}
}

// trail brings the trails of this process's chain up to date, or of all chains.
func (db *DB) trail(ctx context.Context, all bool) error {
	var own string
	if h := db.committer.head.Load(); h != nil {
		own = h.Chain
	}
	type mark struct {
		chain string
		n     int64
	}
	marks, err := list(ctx, db.readers, func(s scanner) (m mark, err error) { return m, s.Scan(&m.chain, &m.n) },
		`SELECT chain, trailed FROM chains WHERE chain = $1 OR $2 = 1 AND EXISTS (SELECT 1 FROM events e WHERE e.chain = chains.chain AND e.n > chains.trailed)`,
		own, flag(all))
	if err != nil {
		return err
	}
	recent := db.committer.takeRecent()
	for _, m := range marks {
		if rows := recent.after(m.n); recent.chain == m.chain && len(rows) > 0 && rows[0].n == m.n+1 {
			if err := db.putTrails(ctx, m.chain, rows); err != nil {
				return err
			}
			continue
		}
		for { // what is not in memory: another process's, or too much
			rows, err := list(ctx, db.readers, scanEntry, `SELECT n, at, person, CASE WHEN person = 0 THEN body ELSE '' END
				FROM events WHERE chain = $1 AND n > $2 ORDER BY n LIMIT $3`, m.chain, m.n, trailPage)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			m.n = rows[len(rows)-1].n
			if err := db.putTrails(ctx, m.chain, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// putTrails writes a page in small transactions, so that no caller waits long,
// and moves the mark last: what is interrupted is written again, to no effect.
func (db *DB) putTrails(ctx context.Context, chain string, rows []entry) error {
	mark := rows[len(rows)-1].n
	rows = slices.DeleteFunc(rows, func(e entry) bool { return e.trail == 0 })
	slices.SortFunc(rows, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.trail, b.trail), cmp.Compare(a.at, b.at), cmp.Compare(a.n, b.n))
	})
	for len(rows) > 0 {
		n := min(len(rows), trailRows)
		err := db.Write(ctx, func(tx *Tx) error { return tx.putTrails(chain, rows[:n]) })
		if err != nil {
			return err
		}
		rows = rows[n:]
		time.Sleep(trailPause)
	}
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(`UPDATE chains SET trailed = $1 WHERE chain = $2 AND trailed < $1`, mark, chain)
		return err
	})
}

var trailTexts = map[int]string{
	64: insertText("trails (person, at, chain, n)", 4, 64) + " ON CONFLICT DO NOTHING",
	1:  insertText("trails (person, at, chain, n)", 4, 1) + " ON CONFLICT DO NOTHING",
}

func (tx *Tx) putTrails(chain string, rows []entry) error {
	for len(rows) > 0 {
		n := 1
		if len(rows) >= 64 {
			n = 64
		}
		args := make([]any, 0, 4*n)
		for _, r := range rows[:n] {
			args = append(args, r.trail, r.at, chain, r.n)
		}
		if _, err := tx.exec(trailTexts[n], args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// An entry says whom an event concerns.
type entry struct{ n, at, trail int64 }

func scanEntry(s scanner) (e entry, err error) {
	var body string
	err = s.Scan(&e.n, &e.at, &e.trail, &body)
	if e.trail == 0 && strings.Contains(body, `"realm":`) {
		var t bodyText
		if json.Unmarshal([]byte(body), &t) == nil {
			e.trail = trailOf(0, t.Realm, t.User)
		}
	}
	return e, err
}

// trailOf is where an event is found again: a person's number or, of a user of an
// index, who is no person here, one below 0; 0 is nowhere. Two users may have
// one, so whoever reads compares the names.
func trailOf(person int64, realm, user string) int64 {
	if person != 0 || realm == "" || user == "" || strings.HasPrefix(realm, "hub:") {
		return person
	}
	sum := sha256.Sum256([]byte(bound("daypass trail 1", realm, user)))
	return -1 - int64(binary.BigEndian.Uint64(sum[:8])>>1)
}

// recently are the newest events of a chain, without a gap up to the last, so
// that they need not be read back.
type recently struct {
	chain string
	rows  []entry
}

// recentLimit bounds what is kept in memory until it is in the trails.
const recentLimit = 1 << 16

func (c *committer) remember(g *batch) {
	c.recentLock.Lock()
	defer c.recentLock.Unlock()
	if c.recent.chain != g.chain.name || len(c.recent.rows)+len(g.events) > recentLimit {
		c.recent = recently{chain: g.chain.name} // the others will be read back
	}
	for _, e := range g.events {
		c.recent.rows = append(c.recent.rows, entry{e.n, e.at, e.trail})
	}
}

func (c *committer) takeRecent() recently {
	c.recentLock.Lock()
	defer c.recentLock.Unlock()
	out := c.recent
	c.recent = recently{}
	return out
}

// after are those past a number.
func (r recently) after(n int64) []entry {
	i, _ := slices.BinarySearchFunc(r.rows, n+1, func(e entry, n int64) int { return cmp.Compare(e.n, n) })
	return r.rows[i:]
}
