package store

import (
	"cmp"
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

// An EventID names an event for people: "K3QF-1042", chain and number in it.
type EventID string

// A Kind is what an event is about.
type Kind string

// The kinds of events.
const (
	Credential      Kind = "credential"
	Refusal         Kind = "refusal"
	Connect         Kind = "connect"
	Disconnected    Kind = "disconnect"
	ConsentNeeded   Kind = "needs-consent"
	Refresh         Kind = "refresh"
	Revoke          Kind = "revoke"
	LoginHandedIn   Kind = "login-handed-in"
	Shared          Kind = "share"
	ShareEnded      Kind = "share-end"
	Approved        Kind = "approve"
	SignIn          Kind = "sign-in"
	Pinning         Kind = "pin"
	ServerStopped   Kind = "server-stopped"
	CutOff          Kind = "cut-off"
	Allowed         Kind = "allow"
	Restore         Kind = "restore"
	KeysChanged     Kind = "keys"
	AuditDifference Kind = "audit-difference"
	Erased          Kind = "erase"
	PassMade        Kind = "pass"
	PassEnded       Kind = "pass-end"
	PassUse         Kind = "pass-use"
	DeviceAsked     Kind = "device"
	DeviceDecided   Kind = "device-decided"
	Exchanged       Kind = "exchange" // a pass, by another's signed word
	Linked          Kind = "link"
	LinkChanged     Kind = "link-change"
	LinkEnded       Kind = "link-end"
	Enrolled        Kind = "enrol"   // or taken off the list again
	ReadContent     Kind = "read"    // content of a source
	Upstream        Kind = "gateway" // a write that a gateway sent on, or refused
)

// The outcomes of events.
const (
	OK      = "ok"
	Refused = "refused"
	Failed  = "failed"
)

// An Event is one thing that happened, as it is shown and as it is chained.
// Times are kept to the microsecond.
type Event struct {
	ID                     EventID // set by the store
	At                     time.Time
	Kind                   Kind
	Person                 int64
	Hub, User, Server, Via string
	Host, Repo             string
	RepoID                 int64
	Access, As             string
	Outcome                string
	Rule, Code, Why        string
	Account                string
	Until                  time.Time
	Token                  string // the first 16 hex digits of SHA-256, never the token
	Request                string
	Realm                  string // of Pass
	Pass                   string // the ID of a root pass, of an index "USER/ID"
	Link                   string // of a narrowed one: 16 hex digits of its link
}

// EventFilter chooses events; zero fields choose all.
type EventFilter struct {
	Person                         int64
	Hub, User, Host, Repo, Outcome string
	Server, Rule                   string
	Realm, Pass, Link              string
	Kind                           Kind
	Kinds                          []Kind // any of these; with Kind: that too
	Since, Until                   time.Time
	Before                         EventID // only older ones
	After                          EventID // only newer ones, and oldest first
	Limit                          int     // 0: 100
}

// An eventRow is an event as it is stored. The body holds all of it; the other
// columns repeat what is searched by, and Verify compares them.
type eventRow struct {
	chain         string
	n, at, person int64
	kind, body    string
	trail         int64 // where it is written: see trailOf
}

// textLimit bounds each text of an event, in bytes.
const textLimit = 400

// row encodes an event. The keys' order is fixed, and empty fields are left out.
func (e Event) row(now time.Time) eventRow {
	if e.At.IsZero() {
		e.At = now
	}
	r := eventRow{at: micro(e.At), person: e.Person, kind: cleanText(string(e.Kind))}
	b := make([]byte, 0, 384)
	b = append(b, `{"at":`...)
	b = strconv.AppendInt(b, r.at, 10)
	text := func(key, s string) {
		if s != "" {
			b = append(b, `,"`...)
			b = append(b, key...)
			b = append(b, `":`...)
			b = appendText(b, cleanText(s))
		}
	}
	whole := func(key string, n int64) {
		if n != 0 {
			b = append(b, `,"`...)
			b = append(b, key...)
			b = append(b, `":`...)
			b = strconv.AppendInt(b, n, 10)
		}
	}
	text("kind", r.kind)
	whole("person", e.Person)
	text("hub", e.Hub)
	text("user", e.User)
	text("server", e.Server)
	text("via", e.Via)
	text("host", e.Host)
	text("repo", e.Repo)
	whole("repo_id", e.RepoID)
	text("access", e.Access)
	text("as", e.As)
	text("outcome", e.Outcome)
	text("rule", e.Rule)
	text("code", e.Code)
	text("why", e.Why)
	text("account", e.Account)
	whole("until", micro(e.Until))
	text("token", e.Token)
	text("request", e.Request)
	text("realm", e.Realm)
	text("pass", e.Pass)
	text("link", e.Link)
	r.body = string(append(b, '}'))
	r.trail = trailOf(e.Person, cleanText(e.Realm), cleanText(e.User))
	return r
}

// cleanText makes a text that both databases keep as it is: valid UTF-8, no
// NUL, and no longer than textLimit.
func cleanText(s string) string {
	if len(s) > textLimit {
		cut := textLimit - len("…")
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s
}

// appendText appends a JSON string.
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// bodyText is what an event's body decodes to.
type bodyText struct {
	At      int64  `json:"at"`
	Kind    Kind   `json:"kind"`
	Person  int64  `json:"person"`
	Hub     string `json:"hub"`
	User    string `json:"user"`
	Server  string `json:"server"`
	Via     string `json:"via"`
	Host    string `json:"host"`
	Repo    string `json:"repo"`
	RepoID  int64  `json:"repo_id"`
	Access  string `json:"access"`
	As      string `json:"as"`
	Outcome string `json:"outcome"`
	Rule    string `json:"rule"`
	Code    string `json:"code"`
	Why     string `json:"why"`
	Account string `json:"account"`
	Until   int64  `json:"until"`
	Token   string `json:"token"`
	Request string `json:"request"`
	Realm   string `json:"realm"`
	Pass    string `json:"pass"`
	Link    string `json:"link"`
}

func (r eventRow) id() EventID { return EventID(r.chain + "-" + strconv.FormatInt(r.n, 10)) }

// event decodes a row. What cannot be decoded was edited: Verify says so, and
// here it is shown as far as the columns go.
func (r eventRow) event() Event {
	var t bodyText
	if err := json.Unmarshal([]byte(r.body), &t); err != nil {
		return Event{ID: r.id(), At: moment(r.at), Kind: Kind(r.kind), Person: r.person, Outcome: Failed, Why: "this entry was damaged"}
	}
	return Event{ID: r.id(), At: moment(t.At), Kind: t.Kind, Person: t.Person, Hub: t.Hub, User: t.User, Server: t.Server,
		Via: t.Via, Host: t.Host, Repo: t.Repo, RepoID: t.RepoID, Access: t.Access, As: t.As, Outcome: t.Outcome,
		Rule: t.Rule, Code: t.Code, Why: t.Why, Account: t.Account, Until: moment(t.Until), Token: t.Token, Request: t.Request,
		Realm: t.Realm, Pass: t.Pass, Link: t.Link}
}

func scanEvent(s scanner) (r eventRow, err error) {
	return r, s.Scan(&r.chain, &r.n, &r.at, &r.person, &r.kind, &r.body)
}

const eventColumns = `e.chain, e.n, e.at, e.person, e.kind, e.body`

// Record writes one event and returns when it is durable.
func (db *DB) Record(ctx context.Context, e Event) (EventID, error) {
	r := &request{event: e.row(db.c.Now())}
	err := db.committer.submit(ctx, r)
	return r.id, err
}

// Record adds an event to the transaction. At is now where it is zero.
func (tx *Tx) Record(e Event) EventID { return tx.g.record(e.row(tx.g.now)) }

// Event returns one event; false where there is none.
func (db *DB) Event(ctx context.Context, id EventID) (Event, bool, error) {
	r, ok, err := db.eventRow(ctx, id)
	if !ok || err != nil {
		return Event{}, false, err
	}
	return r.event(), true, nil
}

func (db *DB) eventRow(ctx context.Context, id EventID) (eventRow, bool, error) {
	chain, n, ok := cutID(id)
	if !ok {
		return eventRow{}, false, nil
	}
	r, err := one(ctx, db.readers, scanEvent, `SELECT `+eventColumns+` FROM events e WHERE e.chain = $1 AND e.n = $2`, chain, n)
	if errors.Is(err, ErrNone) {
		return eventRow{}, false, nil
	}
	return r, err == nil, err
}

// Events lists events, newest first; with After, oldest first. Those of one
// person are found by an index, those of a Realm of an index and a User, and
// those of a time too; others are searched for.
func (db *DB) Events(ctx context.Context, f EventFilter) ([]Event, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	w, order, err := db.eventWhere(ctx, f)
	if err != nil {
		return nil, err
	}
	if trail := trailOf(f.Person, cleanText(f.Realm), cleanText(f.User)); trail != 0 {
		return db.trailEvents(ctx, f, trail, w, order)
	}
	text := `SELECT ` + eventColumns + ` FROM events e` + w.String() + order + w.limit(f.Limit)
	rows, err := list(ctx, db.readers, scanEvent, text, w.args...)
	return decodeEvents(rows), err
}

func decodeEvents(rows []eventRow) []Event {
	out := make([]Event, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.event())
	}
	return out
}

// eventWhere says in SQL what a filter chooses, but for the person.
func (db *DB) eventWhere(ctx context.Context, f EventFilter) (w where, order string, err error) {
	for _, t := range []struct{ key, want string }{{"hub", f.Hub}, {"user", f.User}, {"server", f.Server}, {"host", f.Host},
		{"repo", f.Repo}, {"outcome", f.Outcome}, {"rule", f.Rule}, {"realm", f.Realm}, {"pass", f.Pass}, {"link", f.Link}} {
		if t.want != "" {
			// Inside a JSON string a quote is always escaped, so this is found
			// only where the key has exactly this value.
			w.and(`@within(e.body, ?) > 0`, `"`+t.key+`":`+string(appendText(nil, cleanText(t.want))))
		}
	}
	kinds := f.Kinds
	if f.Kind != "" {
		kinds = append(slices.Clone(kinds), f.Kind)
	}
	var any []string
	for _, k := range kinds {
		w.args = append(w.args, string(k))
		any = append(any, `e.kind = `+holder(len(w.args)))
	}
	if len(any) > 0 {
		w.and("(" + strings.Join(any, " OR ") + ")")
	}
	if !f.Since.IsZero() {
		w.and(`e.at >= ?`, micro(f.Since))
	}
	if !f.Until.IsZero() {
		w.and(`e.at < ?`, micro(f.Until))
	}
	order = ` ORDER BY e.at DESC, e.chain DESC, e.n DESC`
	for _, c := range []struct {
		id EventID
		op string
	}{{f.Before, "<"}, {f.After, ">"}} {
		if c.id == "" {
			continue
		}
		r, ok, err := db.eventRow(ctx, c.id)
		if err != nil {
			return w, "", err
		}
		if !ok {
			return w, "", &daypass.Problem{Code: "DP-942", What: fmt.Sprintf("there is no event %.40q to go on from", c.id), Kind: daypass.ErrUsage,
				Next: "Take the number of an event from the list."}
		}
		w.and(`(e.at, e.chain, e.n) `+c.op+` (?, ?, ?)`, r.at, r.chain, r.n)
	}
	if f.After != "" {
		order = ` ORDER BY e.at, e.chain, e.n`
	}
	return w, order, nil
}

func likeEscape(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}

// trailEvents lists the events of a trail: those that it knows, and those of the
// last moments, which it does not know yet.
func (db *DB) trailEvents(ctx context.Context, f EventFilter, trail int64, w where, order string) ([]Event, error) {
	tail := where{slices.Clone(w.text), slices.Clone(w.args)}
	tail.and(`e.person = ?`, f.Person)
	tail.and(`e.n > c.trailed`)
	text := `SELECT ` + eventColumns + ` FROM chains c JOIN events e ON e.chain = c.chain` + tail.String() + order + tail.limit(f.Limit)
	// The tail is read first: what moves into the trails meanwhile is seen twice
	// rather than not at all.
	rows, err := list(ctx, db.readers, scanEvent, text, tail.args...)
	if err != nil {
		return nil, err
	}
	w.and(`t.person = ?`, trail)
	w.and(`e.person = ?`, f.Person) // an event whose column was edited is nobody's
	text = `SELECT ` + eventColumns + ` FROM trails t JOIN events e ON e.chain = t.chain AND e.n = t.n` +
		w.String() + strings.ReplaceAll(order, "e.", "t.") + w.limit(f.Limit)
	more, err := list(ctx, db.readers, scanEvent, text, w.args...)
	if err != nil {
		return nil, err
	}
	rows = append(rows, more...)
	slices.SortFunc(rows, func(a, b eventRow) int {
		c := cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.chain, b.chain), cmp.Compare(a.n, b.n))
		if f.After == "" {
			return -c
		}
		return c
	})
	rows = slices.CompactFunc(rows, func(a, b eventRow) bool { return a.chain == b.chain && a.n == b.n })
	return decodeEvents(rows[:min(len(rows), f.Limit)]), nil
}
