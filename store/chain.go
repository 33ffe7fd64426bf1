package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// A chain is one process's events in the order of their numbers. Each commit
// group adds a link: a MAC over the link before and the group's events. Its
// first link, number 0, covers no events but an anchor: the heads of the chains
// before it, so that those cannot lose their ends unseen either.
type chain struct {
	name   string
	keyID  string
	key    []byte
	anchor string
	began  time.Time
	fresh  bool  // not in the database yet
	g, n   int64 // the last link and the last event
	mac    []byte
}

// id names an event.
func (c *chain) id(n int64) EventID {
	return EventID(c.name + "-" + strconv.FormatInt(n, 10))
}

func (c *chain) head(at time.Time) Head {
	return Head{Chain: c.name, Group: c.g, Last: c.n, MAC: hex.EncodeToString(c.mac), At: at}
}

// cutID is the reverse of id.
func cutID(id EventID) (name string, n int64, ok bool) {
	name, digits, ok := strings.Cut(string(id), "-")
	n, err := strconv.ParseInt(digits, 10, 64)
	return name, n, ok && err == nil && n > 0
}

// The MACs. Every text in them is preceded by its length and every number has
// eight bytes, so that no two inputs read the same.

func macStart(key []byte, name string, started int64, anchor string) []byte {
	return mac(key, "daypass chain 1", []byte(name), number(started), []byte(anchor))
}

func macEnd(key []byte, name string, g int64, last []byte) string {
	return hex.EncodeToString(mac(key, "daypass end 1", []byte(name), number(g), last))
}

func mac(key []byte, parts ...any) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			h.Write(number(int64(len(p))))
			h.Write([]byte(p))
		case []byte:
			h.Write(number(int64(len(p))))
			h.Write(p)
		}
	}
	return h.Sum(nil)
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// linkText is what a link's MAC covers before its events.
func linkText(b []byte, name string, g, last, events int64, prev []byte) []byte {
	const title = "daypass link 1"
	b = append(b, title...)
	for _, p := range []string{name, string(prev)} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	for _, n := range []int64{g, last, events} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func eventText(b []byte, n int64, body string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(n))
	b = binary.BigEndian.AppendUint64(b, uint64(len(body)))
	return append(b, body...)
}

// nextChain returns the chain that the next group writes to, as a copy that
// becomes the committer's when it is committed. New keys start a new chain.
func (c *committer) nextChain() *chain {
	primary := c.db.keys.Load().chain[0]
	if c.chain != nil && c.chain.keyID == primary.ID {
		next := *c.chain
		return &next
	}
	name, err := randomName(c.db.c.Rand, 4)
	if err != nil {
		return nil
	}
	return &chain{name: name, keyID: primary.ID, key: primary.Key, fresh: true}
}

// anchored is how many chains before it a new chain vouches for.
const anchored = 32

// begin writes a fresh chain's row and its link 0.
func (g *batch) begin() error {
	c := g.chain
	c.began = g.now
	if old := g.db.committer.chain; old != nil { // its key was replaced
		if err := g.end(old); err != nil {
			return err
		}
	}
	heads, err := list(g.ctx, g.s, scanHead, headsQuery+` ORDER BY c.started DESC, c.chain LIMIT `+strconv.Itoa(anchored))
	if err != nil {
		return err
	}
	var anchor []string
	for _, h := range heads {
		anchor = append(anchor, h.String())
	}
	c.anchor = strings.Join(anchor, "\n")
	c.mac = macStart(c.key, c.name, micro(c.began), c.anchor)
	made, err := exec(g.ctx, g.s, `INSERT INTO chains (chain, started, key_id, anchor) VALUES ($1, $2, $3, $4)
		ON CONFLICT (chain) DO NOTHING`, c.name, micro(c.began), c.keyID, c.anchor)
	if err != nil {
		return err
	}
	if made == 0 {
		return errAgain // the name is taken: the next try draws another
	}
	c.fresh = false
	return g.putLink(0)
}

func (g *batch) putLink(events int64) error {
	c := g.chain
	last := c.n
	if c.g == 0 {
		last = 0
	}
	_, err := exec(g.ctx, g.s, `INSERT INTO links (chain, g, last_n, events, at, mac) VALUES ($1, $2, $3, $4, $5, $6)`,
		c.name, c.g, last, events, micro(g.now), c.mac)
	return err
}

// link writes the group's events and their link.
func (g *batch) link() error {
	c := g.chain
	if c.fresh {
		if err := g.begin(); err != nil {
			return err
		}
	}
	c.g++
	text := linkText(make([]byte, 0, 512*len(g.events)), c.name, c.g, c.n, int64(len(g.events)), c.mac)
	for _, e := range g.events {
		text = eventText(text, e.n, e.body)
	}
	h := hmac.New(sha256.New, c.key)
	h.Write(text)
	c.mac = h.Sum(nil)
	if err := g.insertEvents(); err != nil {
		return err
	}
	return g.putLink(int64(len(g.events)))
}

// insertEvents writes many rows with one statement, in a few sizes only, so
// that each is parsed once.
func (g *batch) insertEvents() error {
	args := make([]any, 0, 6*64)
	for rest := g.events; len(rest) > 0; {
		n, text := insertSize(len(rest))
		args = args[:0]
		for _, e := range rest[:n] {
			args = append(args, g.chain.name, e.n, e.at, e.person, e.kind, e.body)
		}
		if _, err := exec(g.ctx, g.s, text, args...); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

var insertTexts = map[int]string{
	64: insertText("events (chain, n, at, person, kind, body)", 6, 64),
	16: insertText("events (chain, n, at, person, kind, body)", 6, 16),
	4:  insertText("events (chain, n, at, person, kind, body)", 6, 4),
	1:  insertText("events (chain, n, at, person, kind, body)", 6, 1),
}

func insertSize(n int) (int, string) {
	for _, size := range []int{64, 16, 4} {
		if n >= size {
			return size, insertTexts[size]
		}
	}
	return 1, insertTexts[1]
}

func insertText(into string, columns, rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + into + " VALUES ")
	for i := range rows * columns {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString(holder(i + 1))
	}
	return b.String() + ")"
}

// end marks a chain's end, so that a tail cut off later is missed.
func (g *batch) end(c *chain) error {
	_, err := exec(g.ctx, g.s, `UPDATE chains SET end_g = $1, end_mac = $2 WHERE chain = $3`,
		c.g, macEnd(c.key, c.name, c.g, c.mac), c.name)
	return err
}

// endChain is the last thing that a committer writes.
func (c *committer) endChain() {
	if c.chain == nil {
		return
	}
	r := &request{op: func(tx *Tx) error { return tx.g.end(c.chain) }, done: make(chan struct{})}
	if err := c.attempt([]*request{r}); err != nil || r.err != nil {
		c.db.c.Log.Warn("the end of the events' chain was not marked", "chain", c.chain.name, "problem", plainAny(err, r.err))
	}
}

func plainAny(errs ...error) string {
	for _, err := range errs {
		if err != nil {
			return plain(err)
		}
	}
	return ""
}
