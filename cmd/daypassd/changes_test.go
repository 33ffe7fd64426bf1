package main

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// twoProcesses opens one store twice.
func twoProcesses(t *testing.T, now func() time.Time) (a, b *store.DB) {
	t.Helper()
	keys, err := store.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "daypass.db")
	open := func() *store.DB {
		db, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + path, Keys: keys, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	return open(), open()
}

func putPerson(t *testing.T, db *store.DB, name string) store.Person {
	t.Helper()
	var p store.Person
	err := db.Write(t.Context(), func(tx *store.Tx) (err error) {
		p, err = tx.PutPerson(daypass.User{Hub: "hub", Name: name, Created: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)}, time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOtherProcessesAreFollowed: an open page hears of what another process wrote:
// a line of the activity, and a change without one; and nobody hears of others'.
func TestOtherProcessesAreFollowed(t *testing.T) {
	mine, other := twoProcesses(t, nil)
	jo, al := putPerson(t, other, "jo"), putPerson(t, other, "al")
	c := newChanges(mine, time.Now)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan bool)
	go func() { c.follow(ctx); close(done) }()
	defer func() { stop(); <-done }()
	page, close1 := c.watch(daypass.Caller{User: jo.User})
	defer close1()
	als, close2 := c.watch(daypass.Caller{User: al.User})
	defer close2()
	told := func(ch <-chan struct{}, within time.Duration) bool {
		t.Helper()
		select {
		case <-ch:
			return true
		case <-time.After(within):
			return false
		}
	}
	time.Sleep(3 * lookEach / 2) // who watches is known
	if told(page, 0) {
		t.Error("a page was told of what was before it")
	}
	if _, err := other.Record(t.Context(), store.Event{Kind: store.Refusal, Person: jo.ID, User: "jo", Outcome: store.Refused}); err != nil {
		t.Fatal(err)
	}
	if !told(page, 3*lookEach) {
		t.Error("a refusal by another process was not told")
	}
	err := other.Write(t.Context(), func(tx *store.Tx) error {
		tx.Change(store.Change{Kind: "connection", Person: jo.ID, Connection: 1})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !told(page, 10*followEach) {
		t.Error("a change by another process was not told")
	}
	if told(als, 0) {
		t.Error("somebody was told of what is not theirs")
	}
}

// TestNewServers: what got its first token in the last day is new, for a day.
func TestNewServers(t *testing.T) {
	now := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	db, _ := twoProcesses(t, nil)
	jo := putPerson(t, db, "jo")
	give := func(server, via, outcome string, ago time.Duration) {
		t.Helper()
		_, err := db.Record(t.Context(), store.Event{
			At: now.Add(-ago), Kind: store.Credential, Person: jo.ID, User: "jo", Server: server, Via: via, Outcome: outcome, Host: "github.com", Repo: "o/r",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	give("old", "server", store.OK, 50*time.Hour)
	give("refused", "server", store.Refused, 40*time.Hour)
	give("gpu", "server", store.OK, 20*time.Hour)
	give("refused", "server", store.OK, 5*time.Hour)
	for range 600 { // more than one look reads
		give("gpu", "server", store.OK, 4*time.Hour)
	}
	give("unknown", "user-token", store.OK, 3*time.Hour)
	give("old", "server", store.OK, time.Hour)
	give("gpu", "server", store.OK, time.Hour)
	f := &face{db: db, firsts: newFirsts(), now: func() time.Time { return now }}
	seen := func() string {
		t.Helper()
		list, err := f.newServers(t.Context(), daypass.Caller{User: jo.User})
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, n := range list {
			out += n.Server + " " + n.First.Format("15:04") + "; "
		}
		return out
	}
	const want = " 12:00; refused 10:00; gpu 19:00; "
	if got := seen(); got != want {
		t.Errorf("new are %q, want %q", got, want)
	}
	if got := seen(); got != want {
		t.Errorf("at the second look %q", got)
	}
	now = now.Add(5 * time.Hour)
	give("gpu", "server", store.OK, 0)
	if got := seen(); got != " 12:00; refused 10:00; " {
		t.Errorf("five hours later %q", got)
	}
	f.firsts = newFirsts() // a service that was started anew says the same
	if got := seen(); got != " 12:00; refused 10:00; " {
		t.Errorf("after a restart %q", got)
	}
	if list, err := f.newServers(t.Context(), daypass.Caller{User: daypass.User{Hub: "hub", Name: "nobody"}}); err != nil || len(list) != 0 {
		t.Errorf("nobody has %v, %v", list, err)
	}
}
