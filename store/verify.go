package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// A Head is the end of a chain at some time: whoever keeps it outside can tell
// later that nothing before it was changed.
type Head struct {
	Chain string
	Group int64  // the number of the commit group, from 0
	Last  int64  // the number of its last event; 0: none yet
	MAC   string // 64 hex digits
	At    time.Time
}

// String is the text that [ParseHead] reads: "K3QF:17:1042:<mac>".
func (h Head) String() string {
	return h.Chain + ":" + strconv.FormatInt(h.Group, 10) + ":" + strconv.FormatInt(h.Last, 10) + ":" + h.MAC
}

// ParseHead reads a head; At is not in it.
func ParseHead(s string) (Head, error) {
	parts := strings.Split(strings.TrimSpace(s), ":")
	bad := &daypass.Problem{Code: "DP-943", What: fmt.Sprintf("%.60q is not the head of a chain of events", s), Kind: daypass.ErrUsage,
		Next: "Write it as it was logged, such as K3QF:17:1042:6f2a…"}
	if len(parts) != 4 || parts[0] == "" || len(parts[3]) != 2*sha256.Size {
		return Head{}, bad
	}
	h := Head{Chain: parts[0], MAC: parts[3]}
	var err1, err2 error
	h.Group, err1 = strconv.ParseInt(parts[1], 10, 64)
	h.Last, err2 = strconv.ParseInt(parts[2], 10, 64)
	_, err3 := hex.DecodeString(h.MAC)
	if err1 != nil || err2 != nil || err3 != nil || h.Group < 0 || h.Last < 0 {
		return Head{}, bad
	}
	return h, nil
}

const headsQuery = `SELECT c.chain, l.g, l.last_n, l.at, l.mac FROM chains c JOIN links l ON l.chain = c.chain
	AND l.g = (SELECT max(m.g) FROM links m WHERE m.chain = c.chain)`

func scanHead(s scanner) (h Head, err error) {
	var at int64
	var mac []byte
	err = s.Scan(&h.Chain, &h.Group, &h.Last, &at, &mac)
	h.At, h.MAC = moment(at), hex.EncodeToString(mac)
	return h, err
}

// Heads returns the newest head of each chain, oldest chain first.
func (db *DB) Heads(ctx context.Context) ([]Head, error) {
	return list(ctx, db.readers, scanHead, headsQuery+` ORDER BY c.started, c.chain`)
}

// headEvery is how often a new head is given out at most.
const headEvery = time.Second

func (db *DB) runHeads() {
	defer close(db.headsDone)
	tick := time.NewTicker(headEvery)
	defer tick.Stop()
	var last *Head
	give := func() {
		if h := db.committer.head.Load(); h != nil && h != last {
			last = h
			db.c.Head(*h)
		}
	}
	for {
		select {
		case <-tick.C:
			give()
		case <-db.committer.done: // the last one
			give()
			return
		}
	}
}

// A Fault is something that Verify found.
type Fault struct {
	Kind  string // "edited", "deleted", "cut", "recomputed", "stray" or "key"
	Chain string
	Group int64
	Event EventID // where one event is known to be at fault
	What  string  // a sentence
}

// A Report is the outcome of Verify.
type Report struct {
	Chains, Groups, Events int64
	Heads                  []Head
	Faults                 []Fault
}

// Clean reports whether nothing was found.
func (r Report) Clean() bool { return len(r.Faults) == 0 }

// Verify reads all events and checks each chain against its key, the given
// heads, and what later chains and clean ends recorded. It reads one state of
// the store, beside the traffic.
//
// What it cannot see: a tail that was cut off the newest chain of a process
// that died, unless a head of it is given; and what somebody who has the key did
// after the last head that was given.
func (db *DB) Verify(ctx context.Context, heads []Head) (Report, error) {
	s, end, err := db.snapshot(ctx)
	if err != nil {
		return Report{}, err
	}
	defer end()
	v := &verifier{ctx: ctx, s: s, keys: db.keys.Load(), known: map[string]map[int64][]byte{}}
	for _, h := range heads {
		v.want(h, "a head that was given")
	}
	chains, err := list(ctx, s, scanChain, `SELECT chain, started, key_id, anchor, end_g, end_mac FROM chains ORDER BY started, chain`)
	if err != nil {
		return Report{}, err
	}
	for _, c := range chains {
		for _, line := range strings.Fields(c.anchor) {
			if h, err := ParseHead(line); err == nil {
				v.want(h, "chain "+c.name)
			}
		}
	}
	for _, c := range chains {
		if err := v.chain(c); err != nil {
			return Report{}, err
		}
	}
	if err := v.strays(); err != nil {
		return Report{}, err
	}
	v.compare()
	return v.report, nil
}

// snapshot opens a session that sees one state of the store.
func (db *DB) snapshot(ctx context.Context) (*session, func(), error) {
	conn, err := db.readers.Conn(ctx)
	if err != nil {
		return nil, nil, openProblem(err)
	}
	s := &session{Conn: conn, macros: db.d.macros, known: map[string]*sql.Stmt{}}
	begin := "BEGIN"
	if db.d.postgres {
		begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	}
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		s.close()
		return nil, nil, openProblem(err)
	}
	return s, func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		s.close()
	}, nil
}

type chainRow struct {
	name, keyID, anchor, endMAC string
	started, endG               int64
}

func scanChain(s scanner) (c chainRow, err error) {
	return c, s.Scan(&c.name, &c.started, &c.keyID, &c.anchor, &c.endG, &c.endMAC)
}

type linkRow struct {
	g, last, events, at int64
	mac                 []byte
}

func scanLink(s scanner) (l linkRow, err error) {
	return l, s.Scan(&l.g, &l.last, &l.events, &l.at, &l.mac)
}

// A verifier walks all chains once.
type verifier struct {
	ctx    context.Context
	s      *session
	keys   *Keys
	wanted []wantedHead
	known  map[string]map[int64][]byte // the MACs that are wanted, as found
	report Report
}

type wantedHead struct {
	Head
	by string
}

func (v *verifier) want(h Head, by string) {
	v.wanted = append(v.wanted, wantedHead{h, by})
	if v.known[h.Chain] == nil {
		v.known[h.Chain] = map[int64][]byte{}
	}
	v.known[h.Chain][h.Group] = nil
}

func (v *verifier) fault(kind, chain string, g int64, id EventID, format string, args ...any) {
	const most = 1000
	if len(v.report.Faults) < most {
		v.report.Faults = append(v.report.Faults, Fault{kind, chain, g, id, fmt.Sprintf(format, args...)})
	}
}

// linkPage is how many links are read at once.
const linkPage = 500

func (v *verifier) chain(c chainRow) error {
	v.report.Chains++
	key, ok := v.keys.chainKey(c.keyID)
	if !ok {
		v.fault("key", c.name, 0, "", "the chain was made with key %s, which is not in the key file", c.keyID)
		return nil
	}
	prev := linkRow{g: -1, mac: macStart(key, c.name, c.started, c.anchor)}
	for {
		links, err := list(v.ctx, v.s, scanLink, `SELECT g, last_n, events, at, mac FROM links WHERE chain = $1 AND g > $2 ORDER BY g LIMIT $3`, c.name, prev.g, linkPage)
		if err != nil {
			return err
		}
		if len(links) == 0 {
			break
		}
		events, err := list(v.ctx, v.s, scanEvent, `SELECT `+eventColumns+` FROM events e WHERE e.chain = $1 AND e.n > $2 AND e.n <= $3 ORDER BY e.n`,
			c.name, prev.last, links[len(links)-1].last)
		if err != nil {
			return err
		}
		for _, l := range links {
			events = v.link(c, key, prev, l, events)
			prev = l
		}
	}
	v.end(c, key, prev)
	return v.beyond(c, prev)
}

// link checks one link and returns the events after it.
func (v *verifier) link(c chainRow, key []byte, prev, l linkRow, events []eventRow) []eventRow {
	v.report.Groups++
	if at, ok := v.known[c.name]; ok {
		if _, ok := at[l.g]; ok {
			at[l.g] = l.mac
		}
	}
	if l.g == 0 && prev.g == -1 {
		if !hmac.Equal(l.mac, prev.mac) {
			v.fault("edited", c.name, 0, "", "the chain's beginning was edited")
		}
		return events
	}
	if l.g != prev.g+1 {
		v.fault("deleted", c.name, l.g, "", "groups %d to %d were deleted", prev.g+1, l.g-1)
		// What was before is not known any more: only the events can be counted.
	}
	n := 0
	for n < len(events) && events[n].n <= l.last {
		n++
	}
	own := events[:n]
	v.report.Events += int64(n)
	if l.g != prev.g+1 {
		return events[n:]
	}
	text := linkText(nil, c.name, l.g, l.last, l.events, prev.mac)
	next := prev.last + 1
	for _, e := range own {
		for ; next < e.n; next++ {
			v.fault("deleted", c.name, l.g, EventID(c.name+"-"+strconv.FormatInt(next, 10)), "an event was deleted")
		}
		next = e.n + 1
		v.columns(e, l.g)
		text = eventText(text, e.n, e.body)
	}
	for ; next <= l.last; next++ {
		v.fault("deleted", c.name, l.g, EventID(c.name+"-"+strconv.FormatInt(next, 10)), "an event was deleted")
	}
	h := hmac.New(sha256.New, key)
	h.Write(text)
	if !hmac.Equal(h.Sum(nil), l.mac) {
		v.fault("edited", c.name, l.g, "", "events %d to %d are not as they were written: one was edited, moved, added or deleted, or the chain was recomputed without its key", prev.last+1, l.last)
	}
	return events[n:]
}

// columns compares what is searched by with what is chained.
func (v *verifier) columns(e eventRow, g int64) {
	var t bodyText
	if err := json.Unmarshal([]byte(e.body), &t); err != nil || t.At != e.at || t.Person != e.person || string(t.Kind) != e.kind {
		v.fault("edited", e.chain, g, e.id(), "the event's columns were edited")
	}
}

// end compares the chain's last link with what was noted when it was closed.
func (v *verifier) end(c chainRow, key []byte, last linkRow) {
	v.report.Heads = append(v.report.Heads, Head{Chain: c.name, Group: last.g, Last: last.last, MAC: hex.EncodeToString(last.mac), At: moment(last.at)})
	if c.endG < 0 && c.endMAC == "" {
		return
	}
	switch {
	case last.g < c.endG:
		v.fault("cut", c.name, last.g, "", "the chain was closed after group %d, and groups after %d are gone", c.endG, last.g)
	case last.g > c.endG:
		v.fault("stray", c.name, last.g, "", "groups were added after the chain was closed")
	case !hmac.Equal([]byte(c.endMAC), []byte(macEnd(key, c.name, last.g, last.mac))):
		v.fault("edited", c.name, last.g, "", "the chain's end is not the one that was noted")
	}
}

// beyond finds events after a chain's last link, or before its first.
func (v *verifier) beyond(c chainRow, last linkRow) error {
	n, err := one(v.ctx, v.s, scanInt, `SELECT count(*) FROM events WHERE chain = $1 AND (n > $2 OR n < 1)`, c.name, last.last)
	if n > 0 {
		v.fault("stray", c.name, last.g, "", "%d events stand outside the chain's links: they were added, or the links were cut", n)
	}
	return err
}

// strays finds what belongs to no chain.
func (v *verifier) strays() error {
	for _, q := range []struct{ text, what string }{
		{`SELECT DISTINCT e.chain FROM events e WHERE NOT EXISTS (SELECT 1 FROM chains c WHERE c.chain = e.chain)`, "there are events of a chain that is gone"},
		{`SELECT DISTINCT l.chain FROM links l WHERE NOT EXISTS (SELECT 1 FROM chains c WHERE c.chain = l.chain)`, "there are links of a chain that is gone"},
	} {
		names, err := list(v.ctx, v.s, scanText, q.text)
		if err != nil {
			return err
		}
		for _, name := range names {
			v.fault("stray", name, 0, "", "%s", q.what)
		}
	}
	return nil
}

// compare holds the chains to the heads that others kept.
func (v *verifier) compare() {
	for _, w := range v.wanted {
		have := v.known[w.Chain][w.Group]
		mac, err := hex.DecodeString(w.MAC)
		switch {
		case have == nil:
			v.fault("cut", w.Chain, w.Group, "", "%s knows group %d of this chain, with events up to %d, and it is gone", w.by, w.Group, w.Last)
		case err != nil || !bytes.Equal(have, mac):
			v.fault("recomputed", w.Chain, w.Group, "", "%s knows another group %d of this chain: it was rewritten since", w.by, w.Group)
		}
	}
}
