package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// Run holds a database to the contract. The func makes an empty one and returns
// its URL.
func Run(t *testing.T, empty func(testing.TB) string) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *world)
	}{
		{"people", people}, {"rename", rename}, {"erase", erase},
		{"connection", connection}, {"overwrite", overwrite}, {"end", end}, {"due", due},
		{"lease", lease}, {"lease over", leaseOver}, {"many leases", manyLeases}, {"interrupted", interrupted},
		{"children", children}, {"held", held}, {"todos", todos}, {"todos are claimed once", claims},
		{"passes", passes}, {"lists of passes", passLists}, {"touched passes", passTouches}, {"forged passes", forgedPasses},
		{"ended links", endedLinks}, {"ended branches", endedBranches}, {"children of passes", passChildren}, {"passes of people", passPeople}, {"sweep of passes", passSweep},
		{"uses", uses}, {"once", once}, {"devices", devices}, {"devices once", devicesOnce}, {"forged devices", forgedDevices},
		{"events of passes", passEvents}, {"backup of passes", passBackup}, {"keys of passes", passKeys},
		{"changes", changes}, {"changes are seen in order", changesInOrder},
		{"pins", pins}, {"visits", visits}, {"shares", shares}, {"forged shares", forgedShares}, {"links", links}, {"forged links", forgedLinks}, {"enrolments", enrolments}, {"leases", leases}, {"backup of links", linkBackup}, {"sessions", sessions}, {"states", states}, {"sweep", sweep},
		{"write", write}, {"one fails alone", failsAlone}, {"flood", flood}, {"panic", panics}, {"cancelled", cancelled}, {"closed", closed},
		{"events", events}, {"events of a person", personEvents}, {"hostile texts", hostileTexts},
		{"two processes", twoProcesses}, {"sealed", sealed}, {"unknown key", unknownKey}, {"rotate", rotate},
		{"clean", clean}, {"tampered", tampered}, {"cut tail", cutTail}, {"recomputed", recomputed},
		{"backup", backup}, {"damaged backup", damagedBackup}, {"canary", canary},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, err := store.NewKeys(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			w := &world{url: empty(t), keys: keys, now: time.Now, empty: empty}
			w.db = w.open(t)
			c.test(t, w)
		})
	}
}

// A world is one store, open once.
type world struct {
	url   string
	keys  *store.Keys
	now   func() time.Time
	db    *store.DB
	empty func(testing.TB) string
}

// open opens the same store again, as another process would.
func (w *world) open(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), w.config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (w *world) config() store.Config {
	return store.Config{URL: w.url, Keys: w.keys, Now: func() time.Time { return w.now() }}
}

func (w *world) write(t testing.TB, op func(*store.Tx) error) {
	t.Helper()
	if err := w.db.Write(t.Context(), op); err != nil {
		t.Fatal(err)
	}
}

// Raw opens a store's database to look at it, or to do what nobody should.
func Raw(t testing.TB, url string) *sql.DB {
	t.Helper()
	driver, source := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, source = "sqlite", path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// raw runs a statement that must change rows.
func (w *world) raw(t testing.TB, text string, args ...any) {
	t.Helper()
	r, err := Raw(t, w.url).Exec(text, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, %v", text, n, err)
	}
}

func named(name string) daypass.User {
	return daypass.User{Hub: "main", Name: name, Created: time.Date(2026, 9, 1, 8, 0, 0, 123456000, time.UTC)}
}

func (w *world) person(t testing.TB, name string) store.Person {
	t.Helper()
	var p store.Person
	w.write(t, func(tx *store.Tx) (err error) {
		p, err = tx.PutPerson(named(name), w.now())
		return err
	})
	return p
}

func grant(mark string) daypass.Grant {
	return daypass.Grant{Access: daypass.NewSecret("ghu_" + mark), Refresh: daypass.NewSecret("ghr_" + mark),
		Until: time.Now().Add(8 * time.Hour).UTC().Truncate(time.Microsecond), Renew: daypass.Forever}
}

func (w *world) connect(t testing.TB, person int64, mark string) store.Connection {
	t.Helper()
	var c store.Connection
	w.write(t, func(tx *store.Tx) (err error) {
		c, _, err = tx.PutConnection(store.Connection{Person: person, Host: "github.com", App: "push", Kind: "app",
			Account: daypass.Account{ID: 7, Login: "octo", Name: "Octo Cat", Email: "7+octo@users.noreply.github.com"}}, grant(mark))
		return err
	})
	return c
}

func sameGrant(a, b daypass.Grant) bool {
	return a.Access.Equal(b.Access) && a.Refresh.Equal(b.Refresh) && a.Until.Equal(b.Until) && a.Renew.Equal(b.Renew)
}

// must fails a test on an error, and gives back the value.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func wantFault(t testing.TB, db *store.DB, kind string, heads ...store.Head) {
	t.Helper()
	r, err := db.Verify(context.Background(), heads)
	if err != nil {
		t.Fatal(err)
	}
	if r.Clean() {
		t.Fatalf("nothing was found, want %q", kind)
	}
	for _, f := range r.Faults {
		if f.Kind == kind && f.What != "" {
			return
		}
	}
	t.Fatalf("found %+v, want %q", r.Faults, kind)
}
