package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// sessions are driven by the manager that the server uses.
func sessions(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	m := scs.New()
	m.Store = w.db.Sessions()
	m.HashTokenInStore = true
	h := m.LoadAndSave(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/in" {
			m.Put(r.Context(), store.SessionPerson, alice.ID)
			m.Put(r.Context(), "secret", "session-canary")
		}
		_, _ = fmt.Fprint(rw, m.GetInt64(r.Context(), store.SessionPerson))
	}))
	ask := func(path string, cookies []*http.Cookie) (string, []*http.Cookie) {
		r := httptest.NewRequest("GET", path, nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec.Body.String(), rec.Result().Cookies()
	}
	_, cookies := ask("/in", nil)
	if len(cookies) != 1 {
		t.Fatalf("cookies: %v", cookies)
	}
	mine := fmt.Sprint(alice.ID)
	if got, _ := ask("/", cookies); got != mine {
		t.Errorf("the session says %q", got)
	}
	var ids []string
	rows, err := Raw(t, w.url).Query(`SELECT id FROM sessions`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if len(ids) != 1 || strings.Contains(ids[0], cookies[0].Value) {
		t.Errorf("stored under %v", ids)
	}
	w.raw(t, `UPDATE sessions SET epoch = epoch + 1`)
	if got, _ := ask("/", cookies); got != "0" {
		t.Errorf("a session of another epoch says %q", got)
	}
	w.raw(t, `UPDATE sessions SET epoch = epoch - 1`)
	w.write(t, func(tx *store.Tx) error { return tx.EndSessions(alice.ID) })
	if got, _ := ask("/", cookies); got != "0" {
		t.Errorf("an ended session says %q", got)
	}
	_, cookies = ask("/in", nil)
	w.now = func() time.Time { return time.Now().Add(48 * time.Hour) }
	if got, _ := ask("/", cookies); got != "0" {
		t.Errorf("an expired session says %q", got)
	}
}

func states(t *testing.T, w *world) {
	now := time.Now()
	put := store.State{Session: "s", Person: 3, Hub: "main", Host: "github.com", Verifier: "v", Redirect: "https://x/cb", Next: "/y", Created: now.UTC().Truncate(time.Microsecond)}
	if err := w.db.PutState(t.Context(), "id-1", put); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.db.TakeState(t.Context(), "id-2", now); ok || err != nil {
		t.Errorf("another id: %v, %v", ok, err)
	}
	got, ok, err := w.open(t).TakeState(t.Context(), "id-1", now.Add(9*time.Minute))
	if err != nil || !ok || got != put {
		t.Errorf("took %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := w.db.TakeState(t.Context(), "id-1", now); ok || err != nil {
		t.Errorf("a second time: %v, %v", ok, err)
	}
	for _, age := range []time.Duration{601 * time.Second, -601 * time.Second} {
		if err := w.db.PutState(t.Context(), "id-3", put); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := w.db.TakeState(t.Context(), "id-3", now.Add(age)); ok || err != nil {
			t.Errorf("%v old: %v, %v", age, ok, err)
		}
	}
	// Of many that ask at once, one gets it.
	if err := w.db.PutState(t.Context(), "id-4", put); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	won := 0
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, ok, err := w.db.TakeState(t.Context(), "id-4", now)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if ok {
				won++
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d took one state", won)
	}
}

func sweep(t *testing.T, w *world) {
	now := time.Now()
	over := w.child(t, store.Child{Until: now.Add(-time.Hour - 30*time.Second), Ends: now.Add(-time.Hour)})
	waits := w.child(t, store.Child{Until: now.Add(-2 * time.Hour), Ends: now.Add(-time.Hour)})
	lives := w.child(t, store.Child{})
	w.write(t, func(tx *store.Tx) error {
		return errors.Join(tx.EndChildren([]int64{waits.ID}, "x"), tx.Visit(1, daypass.Server{}, "2020-01-01", "github.com", 1))
	})
	if err := w.db.PutState(t.Context(), "old", store.State{Created: now.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	last := must(w.db.LastChange(t.Context()))(t)
	got := must(w.db.Sweep(t.Context(), now.Add(2*time.Minute)))(t)
	if got.Children != 1 || got.States != 1 || got.Visits != 1 {
		t.Errorf("swept %+v", got)
	}
	w.wantChildren(t, store.ChildFilter{}, lives.ID, waits.ID)
	if _, err := w.db.ChildToken(t.Context(), over); !errors.Is(err, store.ErrNone) {
		t.Errorf("what is over: %v", err)
	}
	must(w.db.Sweep(t.Context(), now.Add(30*time.Minute)))(t)
	if again := must(w.db.LastChange(t.Context()))(t); again != last {
		t.Errorf("the last change went from %d to %d", last, again)
	}
}

func write(t *testing.T, w *world) {
	boom := errors.New("boom")
	err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.PutPerson(named("ghost"), w.now()); err != nil {
			return err
		}
		tx.Record(store.Event{Kind: store.Connect})
		tx.Change(store.Change{Kind: "person"})
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if _, ok, _ := w.db.Person(t.Context(), named("ghost")); ok {
		t.Error("what failed was written")
	}
	if e := must(w.db.Events(t.Context(), store.EventFilter{}))(t); len(e) != 0 {
		t.Errorf("its event was written: %+v", e)
	}
	if n := must(w.db.LastChange(t.Context()))(t); n != 0 {
		t.Error("its change was written")
	}
	var kept *store.Tx
	w.write(t, func(tx *store.Tx) error { kept = tx; return nil })
	if _, err := kept.PutPerson(named("late"), w.now()); err == nil {
		t.Error("a transaction could be used after its closure")
	}
}

// failsAlone: requests that share a transaction do not share its failures.
func failsAlone(t *testing.T, w *world) {
	const n = 200
	boom := errors.New("boom")
	ids := make([]store.EventID, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			var err error
			switch i % 4 {
			case 0:
				ids[i], err = w.db.Record(t.Context(), store.Event{Kind: store.Credential, Request: fmt.Sprint(i)})
			case 1:
				err = w.db.Write(t.Context(), func(tx *store.Tx) error {
					ids[i] = tx.Record(store.Event{Kind: store.Connect, Request: fmt.Sprint(i)})
					_, err := tx.PutPerson(named(fmt.Sprint("p", i)), w.now())
					return err
				})
			case 2:
				err = w.db.Write(t.Context(), func(tx *store.Tx) error {
					tx.Record(store.Event{Kind: store.Connect, Request: "undone"})
					return boom
				})
				if errors.Is(err, boom) {
					err = nil
				} else {
					err = fmt.Errorf("want boom, got %w", err)
				}
			case 3: // the database's own error, hidden by the closure
				err = w.db.Write(t.Context(), func(tx *store.Tx) error {
					tx.Record(store.Event{Kind: store.Connect, Request: "undone"})
					_ = tx.HoldChild(1<<40, 1, daypass.Server{})
					_, _ = tx.PutPerson(daypass.User{Hub: "bad\x00\xff", Name: "bad\x00\xff"}, w.now())
					return boom
				})
				if err == nil {
					err = errors.New("want an error")
				} else {
					err = nil
				}
			}
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
	for i, id := range ids {
		if i%4 > 1 {
			continue
		}
		if e, ok, err := w.db.Event(t.Context(), id); !ok || err != nil || e.Request != fmt.Sprint(i) {
			t.Errorf("event %s of request %d: %+v, %v, %v", id, i, e, ok, err)
		}
	}
	if e := must(w.db.Events(t.Context(), store.EventFilter{Limit: n * 2}))(t); len(e) != n/2 {
		t.Errorf("%d events, want %d", len(e), n/2)
	}
	if p := must(w.db.People(t.Context(), store.PeopleFilter{Hub: "main"}))(t); len(p) != n/4 {
		t.Errorf("%d people, want %d", len(p), n/4)
	}
	wantClean(t, w.db)
}

// flood: more callers than fit into any group or queue; none is forgotten.
func flood(t *testing.T, w *world) {
	const n = 3000
	var all sync.WaitGroup
	hold := make(chan struct{})
	go func() {
		_ = w.db.Write(context.Background(), func(*store.Tx) error { <-hold; return nil })
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range n {
		all.Go(func() {
			if _, err := w.db.Record(ctx, store.Event{Kind: store.Credential}); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // they wait in the queue and before it
	close(hold)
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(40 * time.Second):
		t.Fatal("a caller was forgotten")
	}
	if r := wantClean(t, w.db); r.Events != n {
		t.Errorf("%d of %d events", r.Events, n)
	}
}

func panics(t *testing.T, w *world) {
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic did not reach the caller")
			}
		}()
		_ = w.db.Write(t.Context(), func(tx *store.Tx) error {
			_, _ = tx.PutPerson(named("ghost"), w.now())
			panic("boom")
		})
	}()
	if _, ok, _ := w.db.Person(t.Context(), named("ghost")); ok {
		t.Error("what panicked was written")
	}
	w.person(t, "alice") // the committer goes on
}

func cancelled(t *testing.T, w *world) {
	ctx, cancel := context.WithCancel(t.Context())
	started, proceed := make(chan struct{}), make(chan struct{})
	go func() {
		_ = w.db.Write(context.Background(), func(*store.Tx) error { close(started); <-proceed; return nil })
	}()
	<-started
	got := make(chan error)
	go func() {
		got <- w.db.Write(ctx, func(tx *store.Tx) error { _, err := tx.PutPerson(named("ghost"), w.now()); return err })
	}()
	time.Sleep(20 * time.Millisecond) // it waits in the queue now, or soon is refused
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(proceed)
	w.person(t, "alice")
	if _, ok, _ := w.db.Person(t.Context(), named("ghost")); ok {
		t.Error("what was cancelled was written")
	}
}

func closed(t *testing.T, w *world) {
	if err := w.db.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.db.Record(t.Context(), store.Event{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if err := w.db.Close(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func events(t *testing.T, w *world) {
	start := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Hour)
	full := store.Event{At: start, Kind: store.Credential, Person: 3, Hub: "main", User: "alice", Server: "gpu", Via: "server", Host: "github.com",
		Repo: "o/r", RepoID: 42, Access: "write", As: "user", Outcome: store.OK, Rule: "own", Code: "DP-810", Why: "because", Account: "octo",
		Until: start.Add(time.Hour), Token: "0123456789abcdef", Request: "req1"}
	var err error
	if full.ID, err = w.db.Record(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := w.db.Event(t.Context(), full.ID); !ok || err != nil || got != full {
		t.Errorf("recorded %+v, got %+v, %v, %v", full, got, ok, err)
	}
	other := w.open(t)
	var ids []store.EventID
	for i := range 10 {
		db := []*store.DB{w.db, other}[i%2]
		kind := []store.Kind{store.Refusal, store.Connect}[i/5]
		ids = append(ids, must(db.Record(t.Context(), store.Event{At: start.Add(time.Duration(i+1) * time.Minute), Kind: kind, Person: int64(i % 3), User: fmt.Sprint("u", i%3), Repo: "o/100%_r", Outcome: store.Refused}))(t))
	}
	for _, c := range []struct {
		name string
		f    store.EventFilter
		want []store.EventID
	}{
		{"newest", store.EventFilter{Limit: 2}, []store.EventID{ids[9], ids[8]}},
		{"before", store.EventFilter{Before: ids[8], Limit: 2}, []store.EventID{ids[7], ids[6]}},
		{"after", store.EventFilter{After: ids[6], Limit: 2}, []store.EventID{ids[7], ids[8]}},
		{"user", store.EventFilter{User: "u1"}, []store.EventID{ids[7], ids[4], ids[1]}},
		{"part of a user", store.EventFilter{User: "u"}, nil},
		{"wild repo", store.EventFilter{Repo: "o/%"}, nil},
		{"repo", store.EventFilter{Repo: "o/100%_r", Limit: 1}, []store.EventID{ids[9]}},
		{"a text that looks like a field", store.EventFilter{User: `u1","hub":"`}, nil},
		{"kinds", store.EventFilter{Kinds: []store.Kind{store.Credential}, Kind: store.Connect, Limit: 2}, []store.EventID{ids[9], ids[8]}},
		{"since until", store.EventFilter{Since: start.Add(2 * time.Minute), Until: start.Add(4 * time.Minute)}, []store.EventID{ids[2], ids[1]}},
		{"outcome", store.EventFilter{Outcome: store.OK}, []store.EventID{full.ID}},
		{"person", store.EventFilter{Person: 3}, []store.EventID{full.ID}},
		{"person and kind", store.EventFilter{Person: 1, Kind: store.Refusal}, []store.EventID{ids[4], ids[1]}},
		{"person after", store.EventFilter{Person: 1, After: ids[1]}, []store.EventID{ids[4], ids[7]}},
	} {
		var got []store.EventID
		for _, e := range must(other.Events(t.Context(), c.f))(t) {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	_, err = w.db.Events(t.Context(), store.EventFilter{Before: "XXXX-1"})
	wantCode(t, err, "DP-942")
	for _, id := range []store.EventID{"", "x", "XXXX-1", "-1", full.ID + "x"} {
		if _, ok, err := w.db.Event(t.Context(), id); ok || err != nil {
			t.Errorf("%q: %v, %v", id, ok, err)
		}
	}
	wantClean(t, w.db)
}

// personEvents: those of a person are found at once, and by the index later.
func personEvents(t *testing.T, w *world) {
	var want []store.EventID
	for i := range 40 {
		id := must(w.db.Record(t.Context(), store.Event{Kind: store.Credential, Person: int64(i % 4), Request: fmt.Sprint(i)}))(t)
		if i%4 == 3 {
			want = append(want, id)
		}
	}
	slices.Reverse(want)
	check := func(when string) {
		t.Helper()
		var got []store.EventID
		for _, e := range must(w.db.Events(t.Context(), store.EventFilter{Person: 3}))(t) {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	check("at once")
	db := Raw(t, w.url)
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var n int
		if err := db.QueryRow(`SELECT count(*) FROM trails`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 30 { // person 0 has no trail
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the trails have %d entries", n)
		}
	}
	check("later")
	want = slices.Insert(want, 0, must(w.db.Record(t.Context(), store.Event{Kind: store.Credential, Person: 3}))(t))
	check("both")
}

func hostileTexts(t *testing.T, w *world) {
	shown := strings.NewReplacer("\x00", "\uFFFD")
	for _, s := range []string{"\x00", "a\x00b", "\xff\xfe", `"}{"at":1`, "\\", "\n\r\t\x1b[31m", "😀\u2028", strings.Repeat("é", 1000), "'; DROP TABLE events; --"} {
		id := must(w.db.Record(t.Context(), store.Event{Kind: store.Kind(s), User: s, Why: s, Repo: s}))(t)
		e, ok, err := w.db.Event(t.Context(), id)
		if err != nil || !ok {
			t.Fatalf("%q: %v, %v", s, ok, err)
		}
		if len(e.Why) > 400 || len(s) < 400 && e.Why != shown.Replace(strings.ToValidUTF8(s, "\uFFFD")) || string(e.Kind) != e.Why {
			t.Errorf("%q came back as %q", s, e.Why)
		}
		if found := must(w.db.Events(t.Context(), store.EventFilter{User: e.User, Limit: 1}))(t); len(found) != 1 || found[0].ID != id {
			t.Errorf("%q is not found", s)
		}
	}
	wantClean(t, w.db)
}

func wantClean(t testing.TB, db *store.DB, heads ...store.Head) store.Report {
	t.Helper()
	r, err := db.Verify(context.Background(), heads)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Clean() {
		t.Fatalf("found %+v", r.Faults)
	}
	return r
}

// twoProcesses write at once: a server, and an admin's command.
func twoProcesses(t *testing.T, w *world) {
	dbs := []*store.DB{w.db, w.open(t)}
	var all sync.WaitGroup
	const callers, each = 20, 25
	for i := range callers {
		all.Go(func() {
			for j := range each {
				var err error
				if j%5 == 0 {
					err = dbs[i%2].Write(t.Context(), func(tx *store.Tx) error {
						tx.Record(store.Event{Kind: store.Connect})
						_, err := tx.PutPerson(named(fmt.Sprint("p", j)), w.now()) // the same rows from both
						return err
					})
				} else {
					_, err = dbs[i%2].Record(t.Context(), store.Event{Kind: store.Credential})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if r := wantClean(t, w.db); r.Events != callers*each || r.Chains != 2 {
		t.Errorf("%d events in %d chains", r.Events, r.Chains)
	}
}

func unknownKey(t *testing.T, w *world) {
	w.connect(t, w.person(t, "alice").ID, "x")
	other := must(store.NewKeys(bytes.NewReader(make([]byte, 64))))(t)
	c := w.config()
	c.Keys = other
	_, err := store.Open(t.Context(), c)
	wantCode(t, err, "DP-934")
	if !errors.Is(err, store.ErrKey) {
		t.Errorf("%v is no ErrKey", err)
	}
}
