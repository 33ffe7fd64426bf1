package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

func sealed(t *testing.T, w *world) {
	alice, bob := w.person(t, "alice"), w.person(t, "bob")
	a, b := w.connect(t, alice.ID, "alice"), w.connect(t, bob.ID, "bob")
	db := Raw(t, w.url)
	box := func(table string, id int64) (b []byte) {
		if err := db.QueryRow(fmt.Sprintf(`SELECT box FROM %s WHERE id = %d`, table, id)).Scan(&b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	set := func(id int64, b []byte) { w.raw(t, `UPDATE connections SET box = $1 WHERE id = $2`, b, id) }
	boxA, boxB := box("connections", a.ID), box("connections", b.ID)
	wantSeal := func(what string, c store.Connection) {
		t.Helper()
		_, err := w.db.Grant(t.Context(), c)
		if !errors.Is(err, store.ErrSeal) {
			t.Errorf("%s: %v", what, err)
		}
		wantCode(t, err, "DP-937")
	}
	set(a.ID, boxB)
	set(b.ID, boxA)
	wantSeal("swapped", a)
	wantSeal("swapped", b)
	for i := 5; i < len(boxA); i += 7 {
		flipped := bytes.Clone(boxA)
		flipped[i] ^= 1
		set(a.ID, flipped)
		wantSeal(fmt.Sprintf("byte %d flipped", i), a)
	}
	set(a.ID, boxA[:len(boxA)-1])
	wantSeal("cut", a)
	set(a.ID, []byte{1, 2})
	wantSeal("next to nothing", a)
	set(a.ID, boxA)
	for _, column := range []string{"host = 'evil.example'", "created = created + 1", fmt.Sprintf("person = %d", w.person(t, "carol").ID)} {
		w.raw(t, `UPDATE connections SET `+column+fmt.Sprintf(` WHERE id = %d`, a.ID))
		wantSeal(column, a)
		w.raw(t, `UPDATE connections SET host = 'github.com', created = $1, person = $2 WHERE id = $3`, a.Created.UnixMicro(), alice.ID, a.ID)
	}
	if _, err := w.db.Grant(t.Context(), a); err != nil {
		t.Errorf("put back: %v", err)
	}
	// A damaged one can be ended and replaced all the same.
	set(a.ID, boxB)
	if now := w.connect(t, alice.ID, "new"); must(w.db.Grant(t.Context(), now))(t).Access.Reveal() != "ghu_new" {
		t.Error("it was not replaced")
	}
	w.write(t, func(tx *store.Tx) error {
		g, ok, err := tx.EndConnection(b.ID, "x")
		if !ok || !g.Access.IsZero() {
			t.Errorf("ended: %v", ok)
		}
		return err
	})
	// A child's token does not open as another child's, or as a to-do's.
	x, y := w.child(t, store.Child{Server: daypass.Server{Known: true, Name: "x"}}), w.child(t, store.Child{})
	w.raw(t, `UPDATE children SET box = $1 WHERE id = $2`, box("children", y.ID), x.ID)
	if _, err := w.db.ChildToken(t.Context(), x); !errors.Is(err, store.ErrSeal) {
		t.Errorf("another child's token: %v", err)
	}
}

// rotate changes the keys while two processes write and read.
func rotate(t *testing.T, w *world) {
	var keys atomic.Pointer[store.Keys]
	keys.Store(w.keys)
	c := w.config()
	c.ReloadKeys = func() (*store.Keys, error) { return keys.Load(), nil }
	dbs := make([]*store.DB, 2)
	for i := range dbs {
		dbs[i] = must(store.Open(t.Context(), c))(t)
		t.Cleanup(func() { _ = dbs[i].Close() })
	}
	people := make([]store.Person, 6)
	for i := range people {
		people[i] = w.person(t, fmt.Sprint("p", i))
		w.connect(t, people[i].ID, "v0")
	}
	for range 250 {
		w.child(t, store.Child{})
	}
	finish := busy(t, dbs, people)
	time.Sleep(100 * time.Millisecond)
	next := must(w.keys.Rotate(rand.Reader))(t)
	keys.Store(next)
	if err := dbs[0].Reload(); err != nil { // the other finds out by itself, from a row
		t.Fatal(err)
	}
	steps := 0
	if err := dbs[0].Rewrap(t.Context(), func(done, left int) { steps++ }); err != nil {
		t.Fatal(err)
	}
	if err := dbs[1].Reload(); err != nil {
		t.Fatal(err)
	}
	if err := dbs[1].Rewrap(t.Context(), nil); err != nil { // what the other sealed with the old key meanwhile
		t.Fatal(err)
	}
	finish()
	use := must(dbs[0].KeyUse(t.Context()))(t)
	old, now := w.keys.IDs()[0], next.IDs()[0]
	if steps < 2 || use[old] != 0 || use[now] < 256 {
		t.Errorf("after %d steps: %v (old %s, new %s)", steps, use, old, now)
	}
	kept, dropped, err := next.Prune(use)
	if err != nil || len(dropped) == 0 || dropped[0] != old {
		t.Errorf("pruned %v, %v", dropped, err)
	}
	c.Keys = kept
	again := must(store.Open(t.Context(), c))(t)
	defer func() { _ = again.Close() }()
	con := must(again.Connection(t.Context(), people[0].ID, "github.com"))(t)
	if _, err := again.Grant(t.Context(), con); err != nil {
		t.Error(err)
	}
	wantClean(t, again)
}

// busy keeps refreshing everybody's connection, through both databases.
func busy(t *testing.T, dbs []*store.DB, people []store.Person) (finish func()) {
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range people {
		all.Go(func() {
			for round := 1; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := traffic(t.Context(), dbs[(i+round)%2], people[i].ID, round); err != nil {
					t.Errorf("round %d: %v", round, err)
					return
				}
			}
		})
	}
	return func() {
		close(stop)
		all.Wait()
	}
}

// traffic refreshes a connection once and reads it back.
func traffic(ctx context.Context, db *store.DB, person int64, round int) error {
	c, err := db.Connection(ctx, person, "github.com")
	if err != nil {
		return err
	}
	kept := false
	err = db.Write(ctx, func(tx *store.Tx) error {
		owner := fmt.Sprint("r", round)
		if ok, err := tx.LeaseConnection(c.ID, c.Version, owner, time.Minute); err != nil || !ok {
			return fmt.Errorf("no lease: %w", err)
		}
		tx.Record(store.Event{Kind: store.Refresh, Person: person})
		kept, err = tx.KeepGrant(c.ID, c.Version, grant(owner))
		return err
	})
	if err != nil || !kept {
		return fmt.Errorf("kept %v: %w", kept, err)
	}
	c, err = db.Connection(ctx, person, "github.com")
	if err != nil {
		return err
	}
	_, err = db.Grant(ctx, c)
	return err
}

// chainOf writes a chain of groups, closes it, and returns its head.
func (w *world) chainOf(t testing.TB, groups int, close bool) (store.Head, []store.EventID) {
	t.Helper()
	db := must(store.Open(t.Context(), w.config()))(t)
	t.Cleanup(func() { _ = db.Close() })
	var ids []store.EventID
	for range groups {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			for i := range 3 {
				ids = append(ids, tx.Record(store.Event{Kind: store.Credential, Person: 3, User: "alice", Outcome: store.OK, Request: fmt.Sprint(i)}))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	name, _, _ := strings.Cut(string(ids[0]), "-")
	for _, h := range must(db.Heads(t.Context()))(t) {
		if h.Chain == name {
			if close {
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			return h, ids
		}
	}
	t.Fatal("the chain has no head")
	return store.Head{}, nil
}

func clean(t *testing.T, w *world) {
	if r := wantClean(t, w.db); r.Chains != 0 {
		t.Errorf("an empty store has %d chains", r.Chains)
	}
	h, _ := w.chainOf(t, 5, true)
	read := must(store.ParseHead(h.String()))(t)
	read.At = h.At
	if read != h || h.Group != 5 || h.Last != 15 {
		t.Errorf("the head %v reads as %v", h, read)
	}
	w.chainOf(t, 1, false)
	if r := wantClean(t, w.db, h); r.Chains != 2 || r.Groups != 8 || r.Events != 18 || len(r.Heads) != 2 {
		t.Errorf("%+v", r)
	}
	for _, s := range []string{"", "a:b:c:d", "K3QF:1:2:00", h.String() + "0", "K3QF:-1:2:" + h.MAC} {
		_, err := store.ParseHead(s)
		wantCode(t, err, "DP-943")
	}
	// Given out as well, at the latest at the end.
	var given []store.Head
	c := w.config()
	c.Head = func(h store.Head) { given = append(given, h) }
	db := must(store.Open(t.Context(), c))(t)
	must(db.Record(t.Context(), store.Event{Kind: store.Connect}))(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if len(given) != 1 || given[0].Last != 1 {
		t.Errorf("given out: %v", given)
	}
	wantClean(t, w.db, given...)
}

func tampered(t *testing.T, w *world) {
	h, _ := w.chainOf(t, 6, false)
	db := Raw(t, w.url)
	for _, c := range []struct{ name, text, kind string }{
		{"body", `UPDATE events SET body = replace(body, 'alice', 'alicf') WHERE n = 8`, "edited"},
		{"person", `UPDATE events SET person = 4 WHERE n = 8`, "edited"},
		{"time", `UPDATE events SET at = at + 1 WHERE n = 8`, "edited"},
		{"event", `DELETE FROM events WHERE n = 8`, "deleted"},
		{"first event", `DELETE FROM events WHERE n = 1`, "deleted"},
		{"last event", `DELETE FROM events WHERE n = 18`, "deleted"},
		{"all of a group", `DELETE FROM events WHERE n BETWEEN 7 AND 9`, "deleted"},
		{"link", `DELETE FROM links WHERE g = 3`, "deleted"},
		{"group", `DELETE FROM links WHERE g = 3; DELETE FROM events WHERE n BETWEEN 7 AND 9`, "deleted"},
		{"group, the rest moved up", `DELETE FROM events WHERE n BETWEEN 7 AND 9; UPDATE events SET n = n - 3 WHERE n > 9;
			DELETE FROM links WHERE g = 3; UPDATE links SET g = g - 1, last_n = last_n - 3 WHERE g > 3`, "edited"},
		{"two swapped", `UPDATE events SET n = 100 WHERE n = 7; UPDATE events SET n = 7 WHERE n = 8; UPDATE events SET n = 8 WHERE n = 100`, "edited"},
		{"two groups swapped", `UPDATE links SET g = 100 WHERE g = 2; UPDATE links SET g = 2 WHERE g = 3; UPDATE links SET g = 3 WHERE g = 100`, "edited"},
		{"link edited", `UPDATE links SET events = 2 WHERE g = 2`, "edited"},
		{"the beginning", `UPDATE chains SET started = started - 1`, "edited"},
		{"the key's name", `UPDATE chains SET key_id = 'chain-00000000'`, "key"},
		{"the chain", `DELETE FROM chains`, "stray"},
		{"an event more", `INSERT INTO events (chain, n, at, person, kind, body) SELECT chain, 19, at, person, kind, body FROM events WHERE n = 18`, "stray"},
		{"an event before", `INSERT INTO events (chain, n, at, person, kind, body) SELECT chain, 0, at, person, kind, body FROM events WHERE n = 18`, "stray"},
		{"a chain more", `INSERT INTO events (chain, n, at, person, kind, body) SELECT 'XXXX', 1, at, person, kind, body FROM events WHERE n = 18`, "stray"},
	} {
		t.Run(c.name, func(t *testing.T) {
			back := saved(t, db)
			defer back()
			for _, text := range strings.Split(c.text, ";") {
				if _, err := db.Exec(text); err != nil {
					t.Fatal(err)
				}
			}
			wantFault(t, w.db, c.kind)
		})
	}
	wantClean(t, w.db, h)
}

// saved keeps a copy of the chains and returns what puts it back.
func saved(t testing.TB, db *sql.DB) func() {
	t.Helper()
	each := func(texts ...string) {
		t.Helper()
		for _, table := range []string{"chains", "links", "events"} {
			for _, text := range texts {
				if _, err := db.Exec(strings.ReplaceAll(text, "TABLE_", table)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	each(`CREATE TABLE kept_TABLE_ AS SELECT * FROM TABLE_`)
	return func() {
		each(`DELETE FROM TABLE_`, `INSERT INTO TABLE_ SELECT * FROM kept_TABLE_`, `DROP TABLE kept_TABLE_`)
	}
}

func cutTail(t *testing.T, w *world) {
	const cut = `DELETE FROM links WHERE chain = $1 AND g > 3`
	h, _ := w.chainOf(t, 6, false)
	w.raw(t, cut, h.Chain)
	w.raw(t, `DELETE FROM events WHERE chain = $1 AND n > 9`, h.Chain)
	wantClean(t, w.db)           // nobody can know
	wantFault(t, w.db, "cut", h) // but whoever kept the head
	closed, _ := w.chainOf(t, 6, true)
	next, _ := w.chainOf(t, 1, false)
	w.raw(t, cut, closed.Chain)
	w.raw(t, `DELETE FROM events WHERE chain = $1 AND n > 9`, closed.Chain)
	wantFault(t, w.db, "cut") // its end was noted
	w.raw(t, `UPDATE chains SET end_g = -1, end_mac = '' WHERE chain = $1`, closed.Chain)
	wantFault(t, w.db, "cut") // the chain after it knows as well
	for _, table := range []string{"events", "links", "chains"} {
		w.raw(t, `DELETE FROM `+table+` WHERE chain = $1`, closed.Chain)
	}
	wantFault(t, w.db, "cut")
	w.raw(t, `UPDATE chains SET anchor = '' WHERE chain = $1`, next.Chain)
	wantFault(t, w.db, "edited")
}

// recomputed: somebody with the key writes another history.
func recomputed(t *testing.T, w *world) {
	h, _ := w.chainOf(t, 3, false)
	back := w.url
	w.url = SQLite(t)
	forged, _ := w.chainOf(t, 3, false)
	w.url = back
	// The forged chain, with the same name and right MACs, would look like this
	// head; the one that was kept outside differs.
	forged.Chain = h.Chain
	wantFault(t, w.db, "recomputed", forged)
	wantClean(t, w.db, h)
}

func backup(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	c := w.connect(t, alice.ID, "backed-up")
	gone := w.connect(t, w.person(t, "bob").ID, "gone")
	w.needConsent(t, gone.ID, 1, "x")
	child := w.child(t, store.Child{Connection: c.ID, Person: alice.ID})
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.Pin(0, "github.com", "o", "r", 42)
		return errors.Join(err, tx.HoldChild(child.ID, alice.ID, daypass.Server{}))
	})
	if err := w.db.PutState(t.Context(), "st", store.State{}); err != nil {
		t.Fatal(err)
	}
	h, _ := w.chainOf(t, 3, true)
	var text bytes.Buffer
	if err := w.db.Export(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ghu_backed-up", "ghr_", "ghs_child"} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the backup shows %s", secret)
		}
	}
	_, err := w.db.Import(t.Context(), bytes.NewReader(text.Bytes()))
	wantCode(t, err, "DP-940")
	other := &world{url: SQLite(t), keys: w.keys, now: w.now}
	in := must(store.Open(t.Context(), other.config()))(t)
	got := must(in.Import(t.Context(), bytes.NewReader(text.Bytes())))(t)
	if got.People != 2 || got.Connections != 2 || got.Children != 1 || got.Events != 9 || got.Epoch != 2 {
		t.Errorf("took over %+v", got)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	other.db = other.open(t)
	restored(t, w, other, c, child)
	wantClean(t, other.db, h)
	// And it can be backed up and restored again, into the first kind.
	text.Reset()
	if err := other.db.Export(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	third := &world{url: w.empty(t), keys: w.keys, now: w.now}
	if got := must(third.open(t).Import(t.Context(), &text))(t); got.Epoch != 3 {
		t.Errorf("the epoch after the second restore is %d", got.Epoch)
	}
}

func restored(t *testing.T, w, other *world, c store.Connection, child store.Child) {
	if other.db.Epoch() != 2 || other.db.Instance() != w.db.Instance() {
		t.Errorf("epoch %d of %s, from %s", other.db.Epoch(), other.db.Instance(), w.db.Instance())
	}
	con := must(other.db.ConnectionByID(t.Context(), c.ID))(t)
	if con.State != store.Restored || con.Version == c.Version {
		t.Errorf("the connection is %+v", con)
	}
	if g := must(other.db.Grant(t.Context(), con))(t); g.Refresh.Reveal() != "ghr_backed-up" {
		t.Error("its grant is another")
	}
	if !other.lease(t, other.db, con, "a", time.Minute) {
		t.Error("it cannot be tried")
	}
	other.wantChildren(t, store.ChildFilter{LiveAt: time.Now()})
	due := must(other.db.ClaimTodos(t.Context(), 0, "x", time.Now().Add(time.Second), 10, time.Minute))(t)
	if len(due) != 1 || due[0].Kind != store.RevokeChild || due[0].Child != child.ID || due[0].Token.Reveal() != "ghs_child" {
		t.Errorf("to do: %+v", due)
	}
	if _, ok, err := other.db.TakeState(t.Context(), "st", time.Now()); ok || err != nil {
		t.Errorf("a state was restored: %v", err)
	}
	if id, ok, _ := other.db.Pinned(t.Context(), 0, "github.com", "o", "r"); !ok || id != 42 {
		t.Errorf("the pin is %d", id)
	}
	if p := other.person(t, "carol"); p.ID <= c.Person {
		t.Errorf("a new person has the number %d", p.ID)
	}
	if e := must(other.db.Events(t.Context(), store.EventFilter{Kind: store.Restore}))(t); len(e) != 1 || e[0].Outcome != store.OK {
		t.Errorf("the restore's event: %+v", e)
	}
	if e := must(other.db.Events(t.Context(), store.EventFilter{Person: 3}))(t); len(e) != 9 {
		t.Errorf("%d events of a person", len(e))
	}
}

func damagedBackup(t *testing.T, w *world) {
	w.connect(t, w.person(t, "alice").ID, "x")
	w.chainOf(t, 1, true)
	var text bytes.Buffer
	if err := w.db.Export(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	whole := text.String()
	lines := strings.SplitAfter(whole, "\n")
	var head map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &head); err != nil {
		t.Fatal(err)
	}
	target := &world{url: SQLite(t), keys: w.keys, now: w.now}
	db := target.open(t)
	for name, bad := range map[string]string{
		"empty":           "",
		"cut":             whole[:len(whole)/2],
		"no end":          strings.Join(lines[:len(lines)-2], ""),
		"a row less":      strings.Join(append(append([]string{}, lines[:1]...), lines[2:]...), ""),
		"a row twice":     lines[0] + lines[1] + strings.Join(lines[1:], ""),
		"edited":          strings.Replace(whole, `"alice"`, `"mallo"`, 1),
		"another table":   strings.Replace(whole, `"table":"people"`, `"table":"meta"`, 1),
		"an SQL table":    strings.Replace(whole, `"table":"people"`, `"table":"people; DROP TABLE people"`, 1),
		"an SQL column":   strings.Replace(whole, `"cut_by"`, `"cut_by) --"`, 1),
		"no JSON":         "hello\n",
		"another format":  strings.Replace(whole, "daypass-backup-1", "daypass-backup-2", 1),
		"another key":     strings.Replace(whole, fmt.Sprint(head["key"]), "chain-00000000", 1),
		"a newer version": strings.Replace(whole, fmt.Sprintf(`"schema":%v`, head["schema"]), `"schema":99`, 1),
	} {
		if bad == whole {
			t.Fatalf("%s changes nothing", name)
		}
		_, err := db.Import(t.Context(), strings.NewReader(bad))
		if err == nil {
			t.Fatalf("%s was restored", name)
		}
		wantCode(t, err, "DP-939")
		if p := must(db.People(t.Context(), store.PeopleFilter{}))(t); len(p) != 0 {
			t.Fatalf("%s left %+v", name, p)
		}
	}
	if got := must(db.Import(t.Context(), strings.NewReader(whole)))(t); got.People != 1 {
		t.Errorf("the whole one gives %+v", got)
	}
}

// canary: no secret is in what the database has on disk, nor in the backup.
func canary(t *testing.T, w *world) {
	const mark = "canary0123456789"
	alice := w.person(t, "alice")
	c := w.connect(t, alice.ID, mark)
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.PutChild(store.Child{Connection: c.ID, Person: alice.ID, Host: "github.com", Until: time.Now()}, daypass.NewSecret("ghs_"+mark))
		return errors.Join(err, tx.AddTodo(store.Todo{Kind: store.RevokeToken, Host: "github.com", Token: daypass.NewSecret("ghu_" + mark)}))
	})
	w.write(t, func(tx *store.Tx) error {
		_, err1 := tx.PutPass(store.Pass{Realm: "index:i", User: "u", ID: "p", Until: daypass.Forever}, []byte(mark))
		_, err2 := tx.Once("jti", mark, daypass.Forever)
		return errors.Join(err1, err2, tx.PutDevice(store.Device{Device: mark, User: "u" + mark, Until: time.Now().Add(time.Hour)}))
	})
	if err := w.db.PutState(t.Context(), "id-"+mark, store.State{Verifier: mark, Session: mark}); err != nil {
		t.Fatal(err)
	}
	if err := w.db.Sessions().CommitCtx(t.Context(), "sess-"+mark, sessionBytes(t, mark), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := w.db.Export(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text.Bytes(), []byte(mark)) {
		t.Error("the backup shows it")
	}
	path, ok := strings.CutPrefix(w.url, "sqlite:")
	if !ok {
		for _, table := range []string{"connections", "children", "todos", "sessions", "states", "passes", "once", "devices"} {
			var n int
			err := Raw(t, w.url).QueryRow(`SELECT count(*) FROM ` + table + ` x WHERE x::text LIKE '%` + mark + `%' OR position('` + hex.EncodeToString([]byte(mark)) + `' in x::text) > 0`).Scan(&n)
			if err != nil || n != 0 {
				t.Errorf("%s shows it: %d, %v", table, n, err)
			}
		}
		return
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(mark)) {
			t.Errorf("%s shows it", filepath.Base(f))
		}
	}
}

func sessionBytes(t testing.TB, mark string) []byte {
	t.Helper()
	b, err := scs.GobCodec{}.Encode(time.Now().Add(time.Hour), map[string]any{"secret": mark})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
