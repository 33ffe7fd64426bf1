package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

func people(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	if again := w.person(t, "alice"); again.ID != alice.ID {
		t.Errorf("the same person has the numbers %d and %d", alice.ID, again.ID)
	}
	got, ok, err := w.db.Person(t.Context(), named("alice"))
	if err != nil || !ok || got.ID != alice.ID || got.User != named("alice") {
		t.Errorf("found %+v, %v, %v", got, ok, err)
	}
	other := named("alice")
	other.Created = other.Created.Add(time.Microsecond)
	if _, ok, err := w.db.Person(t.Context(), other); ok || err != nil {
		t.Errorf("somebody else who has the name now was taken for alice: %v", err)
	}
	cut := time.Now().UTC().Truncate(time.Microsecond)
	w.write(t, func(tx *store.Tx) error {
		return errors.Join(cutPerson(tx, alice.ID, cut, "root"), tx.MarkMissed(alice.ID, cut), tx.MarkMissed(alice.ID, cut.Add(time.Hour)))
	})
	got, _, _ = w.db.PersonByID(t.Context(), alice.ID)
	if !got.CutAt.Equal(cut) || got.CutBy != "root" || !got.MissedAt.Equal(cut) {
		t.Errorf("after the cut: %+v", got)
	}
	if again := w.person(t, "alice"); !again.CutAt.Equal(cut) || !again.MissedAt.IsZero() {
		t.Errorf("after being seen again: %+v", again)
	}
	w.person(t, "bob_1")
	if found := must(w.db.People(t.Context(), store.PeopleFilter{Query: "B_"}))(t); len(found) != 1 || found[0].User.Name != "bob_1" {
		t.Errorf("a search for B_ found %+v", found)
	}
	if found := must(w.db.People(t.Context(), store.PeopleFilter{Hub: "main", Cut: true}))(t); len(found) != 1 || found[0].ID != alice.ID {
		t.Errorf("cut off are %+v", found)
	}
	w.write(t, func(tx *store.Tx) error { return tx.AllowPerson(alice.ID) })
	if got, _, _ = w.db.PersonByID(t.Context(), alice.ID); !got.CutAt.IsZero() || got.CutBy != "" {
		t.Errorf("after being allowed: %+v", got)
	}
	err = w.db.Write(t.Context(), func(tx *store.Tx) error { return cutPerson(tx, 4711, cut, "root") })
	if !errors.Is(err, store.ErrNone) {
		t.Errorf("cutting nobody: %v", err)
	}
}

func rename(t *testing.T, w *world) {
	alice, bob := w.person(t, "alice"), w.person(t, "bob")
	c := w.connect(t, alice.ID, "alice")
	w.write(t, func(tx *store.Tx) error { return tx.RenamePerson(alice.ID, "alison") })
	if p, ok, _ := w.db.Person(t.Context(), named("alison")); !ok || p.ID != alice.ID {
		t.Errorf("after the renaming: %+v, %v", p, ok)
	}
	if _, ok, _ := w.db.Person(t.Context(), named("alice")); ok {
		t.Error("the old name still finds her")
	}
	if g := must(w.db.Grant(t.Context(), c))(t); !sameGrant(g, withTimes(grant("alice"), g)) {
		t.Error("her grant does not open any more")
	}
	if err := w.db.Write(t.Context(), func(tx *store.Tx) error { return tx.RenamePerson(bob.ID, "alison") }); err == nil {
		t.Error("two people have one name and creation time")
	}
}

// withTimes is g with the times of another.
func withTimes(g, of daypass.Grant) daypass.Grant {
	g.Until, g.Renew = of.Until, of.Renew
	return g
}

func erase(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	c := w.connect(t, alice.ID, "erase")
	child := w.child(t, store.Child{Connection: c.ID, Person: alice.ID})
	w.write(t, func(tx *store.Tx) error { return tx.ErasePerson(alice.ID) })
	if _, ok, _ := w.db.PersonByID(t.Context(), alice.ID); ok {
		t.Error("she is still there")
	}
	if _, err := w.db.Connection(t.Context(), alice.ID, "github.com"); !errors.Is(err, store.ErrNone) {
		t.Errorf("her connection: %v", err)
	}
	due := must(w.db.ClaimTodos(t.Context(), 0, "a", time.Now().Add(time.Second), 10, time.Minute))(t)
	got := map[string]string{}
	for _, d := range due {
		got[d.Kind] = d.Token.Reveal()
	}
	if len(due) != 2 || got[store.Disconnect] != "ghu_erase" || got[store.RevokeChild] != "ghs_child" {
		t.Errorf("left to do: %v for child %d", got, child.ID)
	}
}

func connection(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	if _, err := w.db.Connection(t.Context(), alice.ID, "github.com"); !errors.Is(err, store.ErrNone) {
		t.Fatalf("before: %v", err)
	}
	c := w.connect(t, alice.ID, "one")
	got := must(w.db.Connection(t.Context(), alice.ID, "github.com"))(t)
	if got != c || got.State != store.Live || got.Version != 1 || got.Account.Login != "octo" {
		t.Errorf("stored %+v, got %+v", c, got)
	}
	g := must(w.db.Grant(t.Context(), got))(t)
	if !sameGrant(g, withTimes(grant("one"), g)) || !g.Renew.Equal(daypass.Forever) || !g.Until.Equal(c.AccessUntil) {
		t.Error("the grant is another")
	}
	used := time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond)
	w.write(t, func(tx *store.Tx) error {
		return errors.Join(tx.TouchConnection(c.ID, used), tx.TouchConnection(c.ID, used.Add(-time.Hour)))
	})
	if got := must(w.db.ConnectionByID(t.Context(), c.ID))(t); !got.Used.Equal(used) || got.Version != 1 {
		t.Errorf("after use: %+v", got)
	}
	if ok := w.needConsent(t, c.ID, 2, "x"); ok {
		t.Error("a version that is not there was marked")
	}
	if ok := w.needConsent(t, c.ID, 1, "bad_refresh_token"); !ok {
		t.Error("it was not marked")
	}
	got = must(w.db.ConnectionByID(t.Context(), c.ID))(t)
	if got.State != store.NeedsConsent || got.Why != "bad_refresh_token" || got.Version != 2 {
		t.Errorf("after the mark: %+v", got)
	}
	if _, err := w.db.Grant(t.Context(), got); err != nil {
		t.Errorf("the grant is gone before anybody overwrote it: %v", err)
	}
	if _, err := w.db.Grant(t.Context(), c); !errors.Is(err, store.ErrNone) {
		t.Errorf("an old version gives a grant: %v", err)
	}
	err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.PutConnection(store.Connection{Person: 4711, Host: "github.com"}, grant("x"))
		return err
	})
	if !errors.Is(err, store.ErrNone) {
		t.Errorf("nobody's connection: %v", err)
	}
}

func (w *world) needConsent(t testing.TB, id, version int64, why string) (ok bool) {
	t.Helper()
	w.write(t, func(tx *store.Tx) (err error) {
		ok, err = tx.NeedConsent(id, version, why)
		return err
	})
	return ok
}

func overwrite(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	first := w.connect(t, alice.ID, "first")
	var old *daypass.Grant
	var now store.Connection
	w.write(t, func(tx *store.Tx) (err error) {
		now, old, err = tx.PutConnection(store.Connection{Person: alice.ID, Host: "github.com"}, grant("second"))
		return err
	})
	if old == nil || old.Access.Reveal() != "ghu_first" {
		t.Error("what was overwritten was not given back")
	}
	if now.ID == first.ID {
		t.Error("two consents have one number")
	}
	if all := must(w.db.Connections(t.Context(), alice.ID))(t); len(all) != 1 || all[0].ID != now.ID {
		t.Errorf("her connections: %+v", all)
	}
	if _, err := w.db.Grant(t.Context(), first); !errors.Is(err, store.ErrNone) {
		t.Errorf("the first one still gives a grant: %v", err)
	}
}

func end(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	c := w.connect(t, alice.ID, "end")
	for i, want := range []bool{true, false} {
		var g daypass.Grant
		var ok bool
		w.write(t, func(tx *store.Tx) (err error) {
			g, ok, err = tx.EndConnection(c.ID, "asked")
			return err
		})
		if ok != want || ok && g.Refresh.Reveal() != "ghr_end" {
			t.Errorf("time %d: %v", i+1, ok)
		}
	}
	got := must(w.db.ConnectionByID(t.Context(), c.ID))(t)
	if got.State != store.Ended || got.Why != "asked" {
		t.Errorf("after the end: %+v", got)
	}
	if _, err := w.db.Grant(t.Context(), got); !errors.Is(err, store.ErrNone) {
		t.Errorf("the grant: %v", err)
	}
	if ok := w.needConsent(t, c.ID, got.Version, "late"); ok {
		t.Error("an ended connection came back as one that needs consent")
	}
	again := w.connect(t, alice.ID, "again")
	if again.State != store.Live || again.ID == c.ID {
		t.Errorf("connected again: %+v", again)
	}
}

func due(t *testing.T, w *world) {
	now := time.Now()
	var ids []int64
	for i := range 4 {
		p := w.person(t, fmt.Sprint("p", i))
		ids = append(ids, w.connect(t, p.ID, "due").ID)
	}
	w.raw(t, `UPDATE connections SET ends = $1 WHERE id = $2`, now.Add(-time.Second).UnixMicro(), ids[0])
	w.raw(t, `UPDATE connections SET ends = $1 WHERE id = $2`, now.Add(time.Hour).UnixMicro(), ids[1])
	w.raw(t, `UPDATE connections SET used = $1 WHERE id = $2`, now.Add(-8*24*time.Hour).UnixMicro(), ids[2])
	w.now = func() time.Time { return time.Now().Add(10_000 * time.Hour) } // of one process; nobody is ended by it
	for _, c := range []struct {
		idle time.Duration
		want []int64
	}{{7 * 24 * time.Hour, []int64{ids[0], ids[2]}}, {0, ids[:1]}} {
		var got []int64
		for _, d := range must(w.db.DueConnections(t.Context(), c.idle, 500))(t) {
			got = append(got, d.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("with idle %v due are %v, want %v", c.idle, got, c.want)
		}
	}
}

func (w *world) lease(t testing.TB, db *store.DB, c store.Connection, owner string, d time.Duration) (ok bool) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *store.Tx) (err error) {
		ok, err = tx.LeaseConnection(c.ID, c.Version, owner, d)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return ok
}

func (w *world) keep(t testing.TB, db *store.DB, c store.Connection, mark string) (ok bool) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *store.Tx) (err error) {
		ok, err = tx.KeepGrant(c.ID, c.Version, grant(mark))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return ok
}

func lease(t *testing.T, w *world) {
	c := w.connect(t, w.person(t, "alice").ID, "v1")
	other := w.open(t)
	if !w.lease(t, w.db, c, "a", time.Minute) || w.lease(t, other, c, "b", time.Minute) || w.lease(t, w.db, c, "a", time.Minute) {
		t.Error("not exactly one has the lease")
	}
	w.write(t, func(tx *store.Tx) error { return tx.ReleaseLease(c.ID, c.Version, "b") })
	if got := must(other.ConnectionByID(t.Context(), c.ID))(t); got.State != store.Refreshing || got.Lease != "a" {
		t.Errorf("while a has it: %+v", got)
	}
	w.write(t, func(tx *store.Tx) error { return tx.ReleaseLease(c.ID, c.Version, "a") })
	if !w.lease(t, other, c, "b", time.Minute) || !w.keep(t, other, c, "v2") {
		t.Error("b could not refresh after a gave up")
	}
	got := must(w.db.ConnectionByID(t.Context(), c.ID))(t)
	if got.Version != 2 || got.State != store.Live || got.Lease != "" {
		t.Errorf("after the refresh: %+v", got)
	}
	if g := must(w.db.Grant(t.Context(), got))(t); g.Access.Reveal() != "ghu_v2" {
		t.Error("the new grant was not stored")
	}
	if w.lease(t, w.db, c, "a", time.Minute) {
		t.Error("a lease of an old version was given")
	}
}

func leaseOver(t *testing.T, w *world) {
	// The leases go by the database's clock, whatever the process's says.
	w.now = func() time.Time { return time.Now().Add(-24 * time.Hour) }
	c := w.connect(t, w.person(t, "alice").ID, "v1")
	other := w.open(t)
	if !w.lease(t, w.db, c, "a", 30*time.Millisecond) {
		t.Fatal("no lease")
	}
	w.now = func() time.Time { return time.Now().Add(24 * time.Hour) }
	time.Sleep(60 * time.Millisecond)
	if !w.lease(t, other, c, "b", time.Minute) {
		t.Error("a lease that is over was not given to the next")
	}
	// a has spent the token and got the only pair that is good.
	if !w.keep(t, w.db, c, "late") {
		t.Error("the late owner's grant was not kept")
	}
	if w.keep(t, other, c, "v2") {
		t.Error("a second grant was kept in place of one version")
	}
	if w.needConsent(t, c.ID, c.Version, "spent") {
		t.Error("what was renewed meanwhile was marked as dead")
	}
	// Now the other way round: b hears first that the token is spent.
	c.Version++
	if !w.lease(t, w.db, c, "a", time.Minute) || !w.needConsent(t, c.ID, c.Version, "spent") || !w.keep(t, w.db, c, "late again") {
		t.Error("a pair that came after the verdict was not kept")
	}
	if got := must(w.db.ConnectionByID(t.Context(), c.ID))(t); got.State != store.Live || got.Version != c.Version+2 {
		t.Errorf("afterwards: %+v", got)
	}
}

func manyLeases(t *testing.T, w *world) {
	c := w.connect(t, w.person(t, "alice").ID, "v0")
	dbs := []*store.DB{w.db, w.open(t)}
	for version := int64(1); version <= 3; version++ {
		c.Version = version
		var leases, kept atomic.Int64
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				db, owner := dbs[i%2], fmt.Sprint("owner", i)
				if w.lease(t, db, c, owner, time.Minute) {
					leases.Add(1)
					if w.keep(t, db, c, fmt.Sprint("v", version)) {
						kept.Add(1)
					}
				}
			})
		}
		all.Wait()
		if leases.Load() != 1 || kept.Load() != 1 {
			t.Fatalf("version %d: %d had the lease, %d kept a grant", version, leases.Load(), kept.Load())
		}
	}
}

func interrupted(t *testing.T, w *world) {
	c := w.connect(t, w.person(t, "alice").ID, "v1")
	w.lease(t, w.db, c, "a", 30*time.Millisecond)
	if got := must(w.db.InterruptedConnections(t.Context()))(t); len(got) != 0 {
		t.Errorf("while the lease holds: %+v", got)
	}
	time.Sleep(60 * time.Millisecond)
	if got := must(w.db.InterruptedConnections(t.Context()))(t); len(got) != 1 || got[0].ID != c.ID {
		t.Errorf("afterwards: %+v", got)
	}
}

// child stores a child with what is not given filled in.
func (w *world) child(t testing.TB, c store.Child) store.Child {
	t.Helper()
	now := w.now()
	if c.Host == "" {
		c.Host = "github.com"
	}
	if c.Until.IsZero() {
		c.Until = now.Add(time.Hour)
	}
	if c.Ends.IsZero() {
		c.Ends = c.Until
	}
	c.Repo, c.Access, c.Username = daypass.Repo{Owner: "Octo", Name: "Data", ID: 42}, daypass.Write, "x-access-token"
	w.write(t, func(tx *store.Tx) (err error) {
		c, err = tx.PutChild(c, daypass.NewSecret("ghs_child"))
		return err
	})
	return c
}

func children(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	con := w.connect(t, alice.ID, "c")
	gpu, plain := daypass.Server{Known: true, Name: "gpu"}, daypass.Server{Known: true}
	a := w.child(t, store.Child{Connection: con.ID, Person: alice.ID, Server: gpu})
	b := w.child(t, store.Child{Connection: con.ID, Person: alice.ID, Server: plain, Ends: time.Now().Add(8 * time.Hour)})
	c := w.child(t, store.Child{Connection: con.ID, Person: alice.ID}) // a server that the hub cannot name
	for _, f := range []struct {
		filter store.ChildFilter
		want   []int64
	}{
		{store.ChildFilter{Person: alice.ID}, []int64{c.ID, b.ID, a.ID}},
		{store.ChildFilter{Connection: con.ID, Server: &gpu}, []int64{a.ID}},
		{store.ChildFilter{Person: alice.ID, Server: &plain, Held: true}, []int64{b.ID}},
		{store.ChildFilter{Person: alice.ID, Server: &daypass.Server{}}, []int64{c.ID}},
		{store.ChildFilter{Host: "other.example"}, nil},
		{store.ChildFilter{Person: alice.ID, LiveAt: time.Now().Add(2 * time.Hour)}, nil},
		{store.ChildFilter{LiveAt: time.Now(), Limit: 1}, []int64{c.ID}},
		{store.ChildFilter{AsHub: true}, nil},
	} {
		w.wantChildren(t, f.filter, f.want...)
	}
	got := must(w.db.Children(t.Context(), store.ChildFilter{ID: a.ID}))(t)[0]
	if got != a || got.Repo.Owner != "octo" || got.Server != gpu || got.Access != daypass.Write {
		t.Errorf("stored %+v, got %+v", a, got)
	}
	if token := must(w.db.ChildToken(t.Context(), a))(t); token.Reveal() != "ghs_child" {
		t.Error("the token is another")
	}
	// b outlives its time at the provider: somebody has to revoke it then.
	todos := must(w.db.Todos(t.Context()))(t)
	if len(todos) != 1 || todos[0].Child != b.ID || !todos[0].Due.Equal(b.Until) {
		t.Errorf("to do: %+v", todos)
	}
	before := must(w.db.LastChange(t.Context()))(t)
	w.write(t, func(tx *store.Tx) error { return tx.EndChildren([]int64{a.ID, b.ID, 4711, a.ID}, "stopped") })
	w.wantChildren(t, store.ChildFilter{Person: alice.ID, LiveAt: time.Now()}, c.ID)
	if changes := must(w.db.Changes(t.Context(), before))(t); len(changes) != 2 || changes[0].Child != a.ID || changes[0].Kind != "child" {
		t.Errorf("changes: %+v", changes)
	}
	due := must(w.db.ClaimTodos(t.Context(), 0, "x", time.Now().Add(time.Second), 10, time.Minute))(t)
	if len(due) != 2 || due[0].Token.Reveal() != "ghs_child" || due[0].Why != "stopped" {
		t.Errorf("due: %+v", due)
	}
	for _, d := range due {
		w.write(t, func(tx *store.Tx) error { return tx.DoneTodo(d.ID) })
	}
	w.write(t, func(tx *store.Tx) error { return tx.ForgetChildren([]int64{c.ID, 4711}) })
	w.wantChildren(t, store.ChildFilter{Person: alice.ID}, []int64(nil)...)
	w.write(t, func(tx *store.Tx) error { return cutPerson(tx, alice.ID, time.Now(), "root") })
	err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutChild(store.Child{Person: alice.ID, Connection: con.ID, Host: "github.com"}, daypass.NewSecret("ghs_x"))
		return err
	})
	if !errors.Is(err, store.ErrNone) {
		t.Errorf("a child of somebody who is cut off: %v", err)
	}
	if _, err := w.db.ChildToken(t.Context(), a); !errors.Is(err, store.ErrNone) {
		t.Errorf("a revoked child still has its token: %v", err)
	}
}

func (w *world) wantChildren(t testing.TB, f store.ChildFilter, want ...int64) {
	t.Helper()
	var got []int64
	for _, c := range must(w.db.Children(t.Context(), f))(t) {
		got = append(got, c.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v finds %v, want %v", f, got, want)
	}
}

func held(t *testing.T, w *world) {
	alice, bob := w.person(t, "alice"), w.person(t, "bob")
	one, two := daypass.Server{Known: true, Name: "one"}, daypass.Server{Known: true, Name: "two"}
	hub := w.child(t, store.Child{AsHub: true})
	w.write(t, func(tx *store.Tx) error {
		return errors.Join(tx.HoldChild(hub.ID, alice.ID, one), tx.HoldChild(hub.ID, alice.ID, two), tx.HoldChild(hub.ID, alice.ID, two), tx.HoldChild(hub.ID, bob.ID, one))
	})
	w.wantChildren(t, store.ChildFilter{Person: alice.ID}, []int64(nil)...)
	w.wantChildren(t, store.ChildFilter{Person: alice.ID, Held: true}, hub.ID)
	w.wantChildren(t, store.ChildFilter{Person: bob.ID, Held: true, Server: &two}, []int64(nil)...)
	w.wantChildren(t, store.ChildFilter{AsHub: true, LiveAt: time.Now()}, hub.ID)
	for i, c := range []struct {
		person int64
		server *daypass.Server
		want   int
	}{{alice.ID, &one, 0}, {alice.ID, nil, 0}, {bob.ID, nil, 1}, {bob.ID, nil, 0}} {
		var orphans []int64
		w.write(t, func(tx *store.Tx) (err error) {
			orphans, err = tx.DropHolds(c.person, c.server)
			return err
		})
		if len(orphans) != c.want {
			t.Errorf("step %d: orphans %v", i+1, orphans)
		}
	}
	err := w.db.Write(t.Context(), func(tx *store.Tx) error { return tx.HoldChild(4711, bob.ID, one) })
	if !errors.Is(err, store.ErrNone) {
		t.Errorf("holding what is gone: %v", err)
	}
}

func todos(t *testing.T, w *world) {
	now := time.Now()
	if _, ok, err := w.db.OldestTodo(t.Context()); ok || err != nil {
		t.Errorf("in an empty store: %v, %v", ok, err)
	}
	w.write(t, func(tx *store.Tx) error {
		return errors.Join(
			tx.AddTodo(store.Todo{Kind: store.RevokeToken, Host: "github.com", Person: 3, Token: daypass.NewSecret("ghu_later"), Due: now.Add(time.Hour)}),
			tx.AddTodo(store.Todo{Kind: store.Disconnect, Host: "github.com", Person: 3, Token: daypass.NewSecret("ghu_now"), Why: "asked"}))
	})
	due := must(w.db.ClaimTodos(t.Context(), 0, "a", now.Add(time.Second), 10, time.Minute))(t)
	if len(due) != 1 || due[0].Token.Reveal() != "ghu_now" || due[0].Kind != store.Disconnect || due[0].Person != 3 {
		t.Fatalf("due: %+v", due)
	}
	// However often it is tried, and whoever has it: it is owed from the beginning.
	w.write(t, func(tx *store.Tx) error { return tx.RetryTodo(due[0].ID, now.Add(30*time.Minute), "503") })
	if at, ok, _ := w.db.OldestTodo(t.Context()); !ok || !at.Equal(due[0].Due) || !at.Equal(due[0].Owed) {
		t.Errorf("owed since %v, %v; due at first %v", at, ok, due[0].Due)
	}
	for _, c := range []struct {
		person int64
		at     time.Duration
		want   int
	}{{3, time.Second, 1}, {0, time.Second, 1}, {4, time.Second, 0}, {3, 2 * time.Hour, 2}, {3, -time.Minute, 0}} {
		if n := must(w.db.CountTodos(t.Context(), c.person, now.Add(c.at)))(t); n != c.want {
			t.Errorf("%+v: %d", c, n)
		}
	}
	w.write(t, func(tx *store.Tx) error { return tx.RetryTodo(due[0].ID, now.Add(-time.Second), "502") })
	if others := must(w.db.ClaimTodos(t.Context(), 4, "c", now.Add(time.Second), 10, time.Minute))(t); len(others) != 0 {
		t.Errorf("claimed for somebody else: %+v", others)
	}
	again := must(w.db.ClaimTodos(t.Context(), 0, "b", now.Add(time.Second), 10, time.Minute))(t)
	if len(again) != 1 || again[0].Attempts != 2 || again[0].Why != "502" {
		t.Errorf("after the retry: %+v", again)
	}
	w.write(t, func(tx *store.Tx) error { return errors.Join(tx.DoneTodo(again[0].ID), tx.DoneTodo(again[0].ID)) })
	if left := must(w.db.Todos(t.Context()))(t); len(left) != 1 || !left[0].Token.IsZero() {
		t.Errorf("left: %+v", left)
	}
}

func claims(t *testing.T, w *world) {
	dbs := []*store.DB{w.db, w.open(t)}
	const n = 60
	w.write(t, func(tx *store.Tx) error {
		for range n {
			if err := tx.AddTodo(store.Todo{Kind: store.RevokeToken, Host: "github.com", Token: daypass.NewSecret("ghu_x")}); err != nil {
				return err
			}
		}
		return nil
	})
	var mu sync.Mutex
	seen := map[int64]int{}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for {
				due, err := dbs[i%2].ClaimTodos(t.Context(), 0, fmt.Sprint("o", i), time.Now().Add(time.Second), 5, time.Minute)
				if err != nil {
					t.Error(err)
				}
				if len(due) == 0 || err != nil {
					return
				}
				mu.Lock()
				for _, d := range due {
					seen[d.ID]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for id, times := range seen {
		if times != 1 {
			t.Errorf("to-do %d was claimed %d times", id, times)
		}
	}
	// Under PostgreSQL a claim may come back empty while another's is not
	// committed; what is left is then claimed by the next.
	rest := must(w.db.ClaimTodos(t.Context(), 0, "rest", time.Now().Add(time.Second), n, time.Minute))(t)
	if len(seen)+len(rest) != n {
		t.Errorf("%d of %d were claimed", len(seen)+len(rest), n)
	}
	w.raw(t, `UPDATE todos SET claimed_until = 1`)
	if again := must(w.db.ClaimTodos(t.Context(), 0, "z", time.Now().Add(time.Second), n, time.Minute))(t); len(again) != n {
		t.Errorf("after the leases %d could be claimed", len(again))
	}
}

func changes(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	start := must(w.db.LastChange(t.Context()))(t)
	c := w.connect(t, alice.ID, "x")
	w.write(t, func(tx *store.Tx) error { return cutPerson(tx, alice.ID, time.Now(), "root") })
	got := must(w.open(t).Changes(t.Context(), start))(t)
	if len(got) != 2 || got[1].Kind != "person" || got[1].Person != alice.ID || got[0].Kind != "connection" || got[0].Connection != c.ID {
		t.Errorf("changes: %+v", got)
	}
	// Whoever is cut off while they connect is not connected.
	err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.PutConnection(store.Connection{Person: alice.ID, Host: "github.com"}, daypass.Grant{Access: daypass.NewSecret("ghu_late")})
		return err
	})
	if !errors.Is(err, store.ErrNone) {
		t.Errorf("a consent of somebody who is cut off: %v", err)
	}
	last := must(w.db.LastChange(t.Context()))(t)
	if last != got[len(got)-1].N {
		t.Errorf("the last is %d", last)
	}
}

// changesInOrder: a reader that goes on from the last number it saw misses none,
// whoever commits when.
func changesInOrder(t *testing.T, w *world) {
	dbs := []*store.DB{w.db, w.open(t), w.open(t)}
	const writers, each = 9, 20
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for j := range each {
				err := dbs[i%len(dbs)].Write(t.Context(), func(tx *store.Tx) error {
					tx.Change(store.Change{Kind: "child", Child: int64(i*each + j + 1)})
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	seen := map[int64]bool{}
	var last int64
	for stopped := false; ; {
		got, err := w.db.Changes(t.Context(), last)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got {
			seen[c.Child], last = true, c.N
		}
		if stopped && len(got) == 0 {
			break
		}
		select {
		case <-done:
			stopped = true
		default:
		}
	}
	if len(seen) != writers*each {
		t.Errorf("%d of %d changes were seen", len(seen), writers*each)
	}
}

func pins(t *testing.T, w *world) {
	pin := func(owner, name string, id int64) (have int64) {
		w.write(t, func(tx *store.Tx) (err error) {
			have, err = tx.Pin(3, "github.com", owner, name, id)
			return err
		})
		return have
	}
	if have := pin("Octo", "Data", 42); have != 42 {
		t.Errorf("first use pinned %d", have)
	}
	if have := pin("octo", "DATA", 43); have != 42 {
		t.Errorf("the name was pinned anew, to %d", have)
	}
	if id, ok, err := w.db.Pinned(t.Context(), 3, "github.com", "OCTO", "data"); id != 42 || !ok || err != nil {
		t.Errorf("pinned: %d, %v, %v", id, ok, err)
	}
	if _, ok, err := w.db.Pinned(t.Context(), 3, "other.example", "octo", "data"); ok || err != nil {
		t.Errorf("at another host: %v, %v", ok, err)
	}
	if _, ok, err := w.db.Pinned(t.Context(), 0, "github.com", "octo", "data"); ok || err != nil {
		t.Errorf("for the hub: %v, %v", ok, err)
	}
	if all := must(w.db.Pins(t.Context(), store.PinFilter{Owner: "Octo"}))(t); len(all) != 1 || all[0].ID != 42 || all[0].Name != "data" {
		t.Errorf("pins: %+v", all)
	}
	for _, want := range []bool{true, false} {
		w.write(t, func(tx *store.Tx) error {
			ok, err := tx.Unpin(3, "github.com", "octo", "Data")
			if ok != want {
				t.Errorf("unpinned: %v", ok)
			}
			return err
		})
	}
}

func visits(t *testing.T, w *world) {
	gpu, plain := daypass.Server{Known: true, Name: "gpu"}, daypass.Server{Known: true}
	w.write(t, func(tx *store.Tx) error {
		for i := range 30 {
			if err := tx.Visit(1, gpu, "2026-09-01", "github.com", int64(i%25)); err != nil {
				return err
			}
		}
		return errors.Join(tx.Visit(1, plain, "2026-09-01", "github.com", 99), tx.Visit(1, gpu, "2026-09-02", "github.com", 99), tx.Approve(1, gpu, "2026-09-01"))
	})
	got := must(w.db.Visits(t.Context(), 1, gpu, "2026-09-01"))(t)
	if len(got) != 25 || !got[store.RepoKey{Host: "github.com", ID: 24}] || got[store.RepoKey{Host: "github.com", ID: 99}] {
		t.Errorf("%d repositories: %v", len(got), got)
	}
	for _, c := range []struct {
		server daypass.Server
		day    string
		want   bool
	}{{gpu, "2026-09-01", true}, {plain, "2026-09-01", false}, {daypass.Server{}, "2026-09-01", false}, {gpu, "2026-09-02", false}} {
		if ok := must(w.db.Approved(t.Context(), 1, c.server, c.day))(t); ok != c.want {
			t.Errorf("%+v: approved %v", c, ok)
		}
	}
}

func shares(t *testing.T, w *world) {
	now := time.Now()
	var s store.Share
	w.write(t, func(tx *store.Tx) (err error) {
		s, err = tx.PutShare(store.Share{Person: 1, Hub: "main", Host: "github.com", Repo: daypass.Repo{Owner: "o", Name: "course", ID: 5}, Group: "bio101", Until: now.Add(time.Hour)})
		return err
	})
	for _, c := range []struct {
		f    store.ShareFilter
		want int
	}{
		{store.ShareFilter{}, 1}, {store.ShareFilter{Group: "bio101", LiveAt: now}, 1}, {store.ShareFilter{Group: "bio"}, 0},
		{store.ShareFilter{Host: "github.com", Repo: 5, LiveAt: now.Add(2 * time.Hour)}, 0}, {store.ShareFilter{Person: 2}, 0},
	} {
		if got := must(w.db.Shares(t.Context(), c.f))(t); len(got) != c.want {
			t.Errorf("%+v finds %+v", c.f, got)
		}
	}
	for _, want := range []bool{true, false} {
		w.write(t, func(tx *store.Tx) error {
			ok, err := tx.EndShare(s.ID, now)
			if ok != want {
				t.Errorf("ended: %v", ok)
			}
			return err
		})
	}
	if got := must(w.db.Shares(t.Context(), store.ShareFilter{ID: s.ID, LiveAt: now.Add(-time.Minute)}))(t); len(got) != 0 {
		t.Errorf("an ended share still holds: %+v", got)
	}
}

// forgedShares: who can write the store and has no key shares nothing.
func forgedShares(t *testing.T, w *world) {
	now := time.Now()
	put := func(group string) (s store.Share) {
		w.write(t, func(tx *store.Tx) (err error) {
			s, err = tx.PutShare(store.Share{Person: 1, Hub: "main", Host: "github.com", Repo: daypass.Repo{Owner: "o", Name: group, ID: 5}, Group: group, Until: now.Add(time.Hour)})
			return err
		})
		return s
	}
	over, edited, lives := put("over"), put("edited"), put("lives")
	w.write(t, func(tx *store.Tx) error { _, err := tx.EndShare(over.ID, now); return err })
	w.raw(t, `UPDATE shares SET ended = 0 WHERE id = $1`, over.ID)
	w.raw(t, `UPDATE shares SET audience = 'all' WHERE id = $1`, edited.ID)
	w.raw(t, `INSERT INTO shares (person, hub, host, owner, name, repo, audience, until, created, ended, key_id, mac)
		SELECT person, hub, host, owner, 'secrets', 6, audience, until, created, ended, key_id, mac FROM shares WHERE id = $1`, lives.ID)
	if got := must(w.db.Shares(t.Context(), store.ShareFilter{}))(t); len(got) != 1 || got[0].ID != lives.ID {
		t.Errorf("what counts: %+v", got)
	}
	// Other keys come, and the share stays.
	next := must(w.keys.Rotate(rand.Reader))(t)
	kept, _, err := next.Prune(must(w.db.KeyUse(t.Context()))(t))
	if err != nil {
		t.Fatal(err)
	}
	w.keys = kept
	if got := must(w.open(t).Shares(t.Context(), store.ShareFilter{}))(t); len(got) != 1 {
		t.Errorf("with new keys: %+v", got)
	}
}
