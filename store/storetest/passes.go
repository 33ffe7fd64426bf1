package storetest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

const hubRealm, indexRealm = "hub:campus", "index:pypi"

// pass stores a pass with what is not given filled in.
func (w *world) pass(t testing.TB, p store.Pass) store.Pass {
	t.Helper()
	if p.Realm == "" {
		p.Realm = hubRealm
	}
	if p.Until.IsZero() {
		p.Until = w.now().Add(time.Hour)
	}
	w.write(t, func(tx *store.Tx) (err error) {
		p, err = tx.PutPass(p, []byte("root-key-"+p.ID))
		return err
	})
	return p
}

// wantKey says whether a pass opens, and with which ended links.
func wantKey(t testing.TB, db *store.DB, p store.Pass, want error, links ...[32]byte) {
	t.Helper()
	got, key, ended, err := db.PassKey(t.Context(), p.Realm, p.User, p.ID)
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		t.Errorf("%s: %v, want %v", p.ID, err, want)
		return
	}
	if want != nil && (key != nil || ended != nil || got.ID != "") {
		t.Errorf("%s: with the error came %+v", p.ID, got)
	}
	if want == nil && (string(key) != "root-key-"+p.ID || !slices.Equal(ended, append([][32]byte{}, links...))) {
		t.Errorf("%s: the key is %q, ended are %x", p.ID, key, ended)
	}
}

func passes(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	gpu, started := daypass.Server{Known: true, Name: "gpu"}, time.Now().Add(-time.Hour)
	want := store.Pass{Realm: hubRealm, ID: "p1", Person: alice.ID, Server: gpu, Started: started, Label: "job", Via: "server", By: "root",
		Caveats: []string{"dp:host=github.com", `["a","<é>"]`}, Until: daypass.Forever}
	p := w.pass(t, want)
	if p.Created.IsZero() || !p.Started.Equal(started.Truncate(time.Microsecond)) || !p.Until.Equal(daypass.Forever) {
		t.Errorf("stored %+v", p)
	}
	got, _, _, err := w.open(t).PassKey(t.Context(), hubRealm, "", "p1")
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("stored %+v, got %+v, %v", p, got, err)
	}
	wantKey(t, w.db, p, nil)
	if got := must(w.db.Pass(t.Context(), hubRealm, "", "p1"))(t); !reflect.DeepEqual(got, p) {
		t.Errorf("listed %+v", got)
	}
	i := w.pass(t, store.Pass{Realm: indexRealm, User: "alice", ID: "p1"}) // the same name in another realm
	wantKey(t, w.db, i, nil)
	for what, bad := range map[string]struct {
		p    store.Pass
		want error
	}{
		"taken":     {store.Pass{Realm: indexRealm, User: "alice", ID: "p1", Until: daypass.Forever}, store.ErrTaken},
		"nobody's":  {store.Pass{Realm: hubRealm, ID: "p2", Person: 4711, Until: daypass.Forever}, store.ErrNone},
		"no person": {store.Pass{Realm: hubRealm, ID: "p2", Until: daypass.Forever}, nil},
		"no end":    {store.Pass{Realm: indexRealm, User: "alice", ID: "p2"}, nil},
		"no text":   {store.Pass{Realm: indexRealm, User: "alice", ID: "p2", Until: daypass.Forever, Caveats: []string{"\xff"}}, nil},
	} {
		err := w.db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.PutPass(bad.p, []byte("k")); return err })
		if err == nil || bad.want != nil && !errors.Is(err, bad.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, id := range []string{"", "p3", "P1", "p1\x00", "\xff", "' OR 1=1 --"} {
		wantKey(t, w.db, store.Pass{Realm: hubRealm, ID: id}, store.ErrNone)
		if _, err := w.db.Pass(t.Context(), hubRealm, "", id); !errors.Is(err, store.ErrNone) {
			t.Errorf("%q: %v", id, err)
		}
	}
	wantKey(t, w.db, store.Pass{Realm: hubRealm, User: "alice", ID: "p1"}, store.ErrNone)
	w.write(t, func(tx *store.Tx) error { return tx.RenamePerson(alice.ID, "alison") })
	wantKey(t, w.db, p, nil)
}

func passLists(t *testing.T, w *world) {
	alice, bob := w.person(t, "alice"), w.person(t, "bob")
	gpu, plain := daypass.Server{Known: true, Name: "gpu"}, daypass.Server{Known: true}
	for _, p := range []store.Pass{
		{ID: "a1", Person: alice.ID}, {ID: "a2", Person: alice.ID, Server: gpu}, {ID: "a3", Person: alice.ID, Server: plain},
		{ID: "b1", Person: bob.ID, Server: gpu}, {ID: "b2", Person: bob.ID, Until: time.Now().Add(-time.Second)},
		{Realm: indexRealm, User: "alice", ID: "i1"}, {Realm: indexRealm, User: "bob", ID: "i2"}, {Realm: "plugin:", User: "alice", ID: "i3"},
	} {
		w.pass(t, p)
	}
	list := func(f store.PassFilter, want string) {
		t.Helper()
		var got []string
		for _, p := range must(w.db.Passes(t.Context(), f))(t) {
			got = append(got, p.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%+v finds %v, want %s", f, got, want)
		}
	}
	list(store.PassFilter{Realm: hubRealm}, "b2 b1 a3 a2 a1")
	list(store.PassFilter{Realm: indexRealm, User: "alice"}, "i1")
	list(store.PassFilter{User: "alice", Limit: 1}, "i3")
	list(store.PassFilter{Person: bob.ID, LiveAt: time.Now()}, "b1")
	list(store.PassFilter{Person: alice.ID, Server: &gpu}, "a2")
	list(store.PassFilter{Person: alice.ID, Server: &daypass.Server{}}, "a1")
	list(store.PassFilter{ID: "i2"}, "i2")
	list(store.PassFilter{ID: "\xff\x00"}, "")
	before := must(w.db.LastChange(t.Context()))(t)
	for _, want := range []bool{true, false} {
		w.write(t, func(tx *store.Tx) error {
			ok, err := tx.EndPass(hubRealm, "", "a1", "asked")
			if ok != want {
				t.Errorf("ended: %v", ok)
			}
			return err
		})
	}
	if c := must(w.db.Changes(t.Context(), before))(t); len(c) != 1 || c[0].Kind != "pass" || c[0].Person != alice.ID {
		t.Errorf("changes: %+v", c)
	}
	list(store.PassFilter{Person: alice.ID}, "a3 a2 a1")
	list(store.PassFilter{Person: alice.ID, LiveAt: time.Now()}, "a3 a2")
	if p := must(w.db.Pass(t.Context(), hubRealm, "", "a1"))(t); p.Why != "asked" || p.Ended.IsZero() {
		t.Errorf("ended: %+v", p)
	}
	w.write(t, func(tx *store.Tx) error {
		ended, err := tx.EndPasses(store.PassFilter{Person: alice.ID, Server: &gpu, Limit: 1}, "stopped")
		if len(ended) != 1 || ended[0].ID != "a2" || ended[0].Why != "stopped" {
			t.Errorf("ended %+v", ended)
		}
		return err
	})
	wantKey(t, w.db, store.Pass{Realm: hubRealm, ID: "a2"}, store.ErrNone)
	wantKey(t, w.db, store.Pass{Realm: hubRealm, ID: "b1"}, nil)
	if err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.EndPasses(store.PassFilter{}, "x")
		return err
	}); err == nil {
		t.Error("everybody's passes could be ended by a forgotten field")
	}
	w.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	wantKey(t, w.db, store.Pass{Realm: hubRealm, ID: "b1"}, store.ErrNone) // over
}

func passTouches(t *testing.T, w *world) {
	var touches []store.PassTouch
	at := time.Now().UTC().Truncate(time.Microsecond)
	for i := range 300 {
		id := fmt.Sprint("p", i)
		if i%100 == 0 {
			w.pass(t, store.Pass{Realm: indexRealm, User: "alice", ID: id})
		}
		touches = append(touches, store.PassTouch{Realm: indexRealm, User: "alice", ID: id, At: at, N: 3}, store.PassTouch{ID: "\xff"})
	}
	other := w.open(t)
	var all sync.WaitGroup
	for _, db := range []*store.DB{w.db, other, other} {
		all.Go(func() {
			if err := db.TouchPasses(t.Context(), touches); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := w.db.TouchPasses(t.Context(), []store.PassTouch{{Realm: indexRealm, User: "alice", ID: "p0", At: at.Add(-time.Hour), N: 1}}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int64{"p0": 10, "p100": 9, "p200": 9} {
		if p := must(w.db.Pass(t.Context(), indexRealm, "alice", id))(t); p.Uses != want || !p.Used.Equal(at) {
			t.Errorf("%s: %+v", id, p)
		}
	}
	wantKey(t, w.db, store.Pass{Realm: indexRealm, User: "alice", ID: "p0"}, nil)
}

// forgedPasses: who can write the database and has no key makes nothing of a pass
// that it is not.
func forgedPasses(t *testing.T, w *world) {
	alice, bob := w.person(t, "alice"), w.person(t, "bob")
	w.pass(t, store.Pass{ID: "p1", Person: alice.ID, Server: daypass.Server{Known: true, Name: "gpu"}, Started: time.Now(), Caveats: []string{"uses=1"}})
	w.pass(t, store.Pass{ID: "p2", Person: bob.ID})
	w.pass(t, store.Pass{Realm: indexRealm, User: "alice", ID: "i1"})
	db := Raw(t, w.url)
	type at struct{ realm, user, id string }
	one, index := at{hubRealm, "", "p1"}, at{indexRealm, "alice", "i1"}
	for _, c := range []struct {
		set  string
		from at
		to   at
	}{
		{fmt.Sprint("person = ", bob.ID), one, one},
		{fmt.Sprint("person = ", bob.ID, ", born = 1"), one, one},
		{"person = 0", one, one},
		{fmt.Sprint("person = ", alice.ID), index, index},
		{"server = '?'", one, one}, {"server = '/other'", one, one}, {"started = 0", one, one}, {"started = started + 1", one, one},
		{"until = until + 1000000", one, one}, {"created = created + 1", one, one}, {"via = 'browser'", one, one}, {"asked_by = 'x'", one, one},
		{"caveats = '[]'", one, one}, {"caveats = 'no JSON'", one, one}, {"hub = 'other'", one, one}, {"born = born + 1", one, one},
		{"realm = 'hub:other'", one, at{"hub:other", "", "p1"}}, {"realm = 'plugin:'", index, at{"plugin:", "alice", "i1"}},
		{"username = 'bob'", index, at{indexRealm, "bob", "i1"}}, {"name = 'i9'", index, at{indexRealm, "alice", "i9"}},
		{"username = 'alicei', name = '1'", index, at{indexRealm, "alicei", "1"}},
		{"box = (SELECT x.box FROM passes x WHERE x.name = 'p2')", one, one},
	} {
		if _, err := db.Exec(`CREATE TABLE kept AS SELECT * FROM passes`); err != nil {
			t.Fatal(err)
		}
		w.raw(t, `UPDATE passes SET `+c.set+` WHERE realm = $1 AND username = $2 AND name = $3`, c.from.realm, c.from.user, c.from.id)
		_, _, _, err := w.db.PassKey(t.Context(), c.to.realm, c.to.user, c.to.id)
		if !errors.Is(err, store.ErrSeal) {
			t.Errorf("%s: %v", c.set, err)
		}
		wantCode(t, err, "DP-937")
		for _, text := range []string{`DELETE FROM passes`, `INSERT INTO passes SELECT * FROM kept`, `DROP TABLE kept`} {
			if _, err := db.Exec(text); err != nil {
				t.Fatal(err)
			}
		}
		wantKey(t, w.db, store.Pass{Realm: c.from.realm, User: c.from.user, ID: c.from.id}, nil)
	}
	// Nor is a pass its namesake's, who came later, however the rows are edited.
	w.raw(t, `UPDATE people SET created = created + 1 WHERE id = $1`, alice.ID)
	wantKey(t, w.db, store.Pass{Realm: hubRealm, ID: "p1"}, store.ErrSeal)
	w.raw(t, `UPDATE passes SET born = born + 1 WHERE name = 'p1'`)
	wantKey(t, w.db, store.Pass{Realm: hubRealm, ID: "p1"}, store.ErrSeal)
	// What was ended does not come back, and a damaged one can be ended.
	w.raw(t, `UPDATE passes SET until = until + 1 WHERE name = 'p2'`)
	for _, id := range []string{"p1", "p2"} {
		w.write(t, func(tx *store.Tx) error {
			ok, err := tx.EndPass(hubRealm, "", id, "x")
			if !ok {
				t.Errorf("%s was not ended", id)
			}
			return err
		})
		w.raw(t, `UPDATE passes SET ended = 0, why = '' WHERE name = $1`, id)
		wantKey(t, w.db, store.Pass{Realm: hubRealm, ID: id}, store.ErrSeal)
	}
}

func link(n int) (l [32]byte) {
	copy(l[:], fmt.Sprintf("link %026d", n))
	return l
}

// endLink ends the last of some links.
func endLink(tx *store.Tx, realm, user, id, label string, links ...[32]byte) error {
	var chain []store.EndedLink
	for _, l := range links {
		chain = append(chain, store.EndedLink{Link: l, Label: label})
	}
	_, err := tx.EndLink(realm, user, id, chain)
	return err
}

// endedBranches ends more derived passes of one than are ended one by one: who
// makes and ends them ends the branch that they come from, and no other.
func endedBranches(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	p := w.pass(t, store.Pass{ID: "p1", Person: alice.ID})
	con := w.connect(t, alice.ID, "x")
	child := func(links ...[32]byte) int64 {
		return w.child(t, store.Child{Connection: con.ID, Person: alice.ID, Pass: p.ID, Links: store.LinksText(links)}).ID
	}
	evil, good, other := link(90001), link(90002), link(90003)
	ofEvil, ofGood, ofOther := child(evil, link(1)), child(good, link(90004)), child(other)
	live := store.ChildFilter{LiveAt: time.Now()}
	ends := func(want [32]byte, chain ...[32]byte) {
		t.Helper()
		w.write(t, func(tx *store.Tx) error {
			at, err := tx.EndLink(p.Realm, "", p.ID, []store.EndedLink{{Link: chain[0], Label: "branch"}, {Link: chain[1], Label: "leaf"}})
			if at.Link != want {
				t.Errorf("ended at %q, want %q", at.Link, want)
			}
			return err
		})
	}
	w.write(t, func(tx *store.Tx) error {
		for n := range 512 {
			if err := endLink(tx, p.Realm, "", p.ID, "x", evil, link(1000+n)); err != nil {
				return err
			}
		}
		return nil
	})
	w.wantChildren(t, live, ofOther, ofGood, ofEvil)
	ends(evil, evil, link(2000))
	w.wantChildren(t, live, ofOther, ofGood)
	for n := range 3 {
		ends(link(3000+n), evil, link(3000+n)) // dead with the branch: nothing is kept
	}
	list := must(w.db.EndedLinks(t.Context(), p.Realm, "", p.ID))(t)
	if len(list) != 513 || list[512].Link != evil || list[512].Label != "branch" {
		t.Errorf("%d ended, the last %+v", len(list), list[len(list)-1])
	}
	ends(good, good, link(90004))
	w.wantChildren(t, live, ofOther)
	err := w.db.Write(t.Context(), func(tx *store.Tx) error { return endLink(tx, p.Realm, "", p.ID, "none") })
	if err == nil {
		t.Error("a pass as it was minted was ended as one that was derived")
	}
}

func endedLinks(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	p, i := w.pass(t, store.Pass{ID: "p1", Person: alice.ID}), w.pass(t, store.Pass{Realm: indexRealm, User: "alice", ID: "i1"})
	dbs := []*store.DB{w.db, w.open(t)}
	before := must(w.db.LastChange(t.Context()))(t)
	var all sync.WaitGroup
	for n := range 24 {
		all.Go(func() {
			if err := dbs[n%2].Write(t.Context(), func(tx *store.Tx) error {
				return endLink(tx, p.Realm, "", p.ID, fmt.Sprint("job ", n/2), link(n/2))
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list := must(w.db.EndedLinks(t.Context(), p.Realm, "", p.ID))(t)
	seen := map[[32]byte]bool{}
	for _, l := range list {
		seen[l.Link] = true
		if !strings.HasPrefix(l.Label, "job ") || l.At.IsZero() {
			t.Errorf("%+v", l)
		}
	}
	if len(list) != 12 || len(seen) != 12 {
		t.Errorf("kept %d, %d of them different", len(list), len(seen))
	}
	if c := must(w.db.Changes(t.Context(), before))(t); len(c) != 12 || c[0].Kind != "pass" {
		t.Errorf("%d changes", len(c))
	}
	w.write(t, func(tx *store.Tx) error {
		return errors.Join(endLink(tx, i.Realm, i.User, i.ID, "", link(1)), endLink(tx, i.Realm, i.User, "gone", "", link(1)), endLink(tx, i.Realm, "\xff", "gone", "", link(1)))
	})
	wantKey(t, dbs[1], i, nil, link(1))
	alive := func(want error, p store.Pass, links ...[32]byte) {
		t.Helper()
		err := w.db.Write(t.Context(), func(tx *store.Tx) error { return tx.PassAlive(p.Realm, p.User, p.ID, links...) })
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("alive: %v, want %v", err, want)
		}
	}
	alive(nil, i)
	alive(nil, i, link(2), link(3))
	alive(store.ErrNone, i, link(2), link(1))
	alive(store.ErrNone, store.Pass{Realm: i.Realm, User: "alice", ID: "gone"})
	// As many as are kept, and then no more; the others stay dead.
	err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		for n := range 2000 {
			if err := endLink(tx, p.Realm, "", p.ID, "", link(n)); err != nil {
				return fmt.Errorf("%d: %w", n, err)
			}
		}
		return nil
	})
	wantCode(t, err, "DP-944")
	w.write(t, func(tx *store.Tx) error { _, err := tx.EndPass(p.Realm, "", p.ID, "x"); return err })
	alive(store.ErrNone, p)
	w.write(t, func(tx *store.Tx) error { return endLink(tx, p.Realm, "", p.ID, "", link(99)) })
	if list := must(w.db.EndedLinks(t.Context(), p.Realm, "", p.ID))(t); len(list) != 0 {
		t.Errorf("of an ended pass: %v", list)
	}
}

func passChildren(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	con := w.connect(t, alice.ID, "x")
	for _, id := range []string{"p1", "p2", "p3"} {
		w.pass(t, store.Pass{ID: id, Person: alice.ID})
	}
	w.pass(t, store.Pass{Realm: indexRealm, User: "alice", ID: "p9"})
	child := func(pass string, links ...[32]byte) store.Child {
		return w.child(t, store.Child{Connection: con.ID, Person: alice.ID, Pass: pass, Links: store.LinksText(links)})
	}
	a, b, c, d := child("p1", link(1)), child("p1", link(2), link(3)), child("p2", link(1)), child("")
	whole := child("p1")
	hub := w.child(t, store.Child{AsHub: true, Pass: "p3", Links: store.LinksText([][32]byte{link(1)})})
	if got := must(w.db.Children(t.Context(), store.ChildFilter{ID: a.ID}))(t)[0]; got != a || got.Pass != "p1" || got.Links != store.LinksText([][32]byte{link(1)}) {
		t.Errorf("stored %+v, got %+v", a, got)
	}
	w.wantChildren(t, store.ChildFilter{Pass: "p1"}, whole.ID, b.ID, a.ID)
	for _, set := range []string{"pass = 'p2'", "pass = ''", "links = ''"} {
		w.raw(t, `UPDATE children SET `+set+` WHERE id = $1`, a.ID)
		if got := must(w.db.Children(t.Context(), store.ChildFilter{ID: a.ID}))(t)[0]; got != a {
			if _, err := w.db.ChildToken(t.Context(), got); !errors.Is(err, store.ErrSeal) {
				t.Errorf("%s: %v", set, err)
			}
		}
		w.raw(t, `UPDATE children SET pass = 'p1', links = $1 WHERE id = $2`, a.Links, a.ID)
	}
	if got := must(w.db.ChildToken(t.Context(), a))(t); got.Reveal() != "ghs_child" {
		t.Error("the token is another")
	}
	live := store.ChildFilter{LiveAt: time.Now()}
	w.write(t, func(tx *store.Tx) error { return endLink(tx, hubRealm, "", "p1", "", link(2)) })
	w.wantChildren(t, live, hub.ID, whole.ID, d.ID, c.ID, a.ID) // b's chain has it
	w.write(t, func(tx *store.Tx) error { return endLink(tx, hubRealm, "", "p1", "", link(2)) })
	w.wantChildren(t, live, hub.ID, whole.ID, d.ID, c.ID, a.ID)
	w.write(t, func(tx *store.Tx) error { _, err := tx.EndPass(hubRealm, "", "p1", "x"); return err })
	w.wantChildren(t, live, hub.ID, d.ID, c.ID)
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.EndPasses(store.PassFilter{Person: alice.ID, ID: "p2"}, "stopped")
		return err
	})
	w.wantChildren(t, live, hub.ID, d.ID)
	w.write(t, func(tx *store.Tx) error { _, err := tx.EndPass(indexRealm, "alice", "p9", "x"); return err })
	w.write(t, func(tx *store.Tx) error { _, err := tx.EndPass(hubRealm, "", "p3", "x"); return err })
	w.wantChildren(t, live, d.ID)
	if n := must(w.db.CountTodos(t.Context(), 0, time.Now().Add(time.Second)))(t); n != 5 {
		t.Errorf("%d to be revoked", n)
	}
	// What ended while a child was made gets none.
	w.pass(t, store.Pass{ID: "over", Person: alice.ID, Until: time.Now().Add(-time.Second)})
	w.pass(t, store.Pass{Realm: indexRealm, ID: "p8"})
	for _, id := range []string{"p2", "never", "over", "p8", "p9"} {
		err := w.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.PutChild(store.Child{Person: alice.ID, Connection: con.ID, Host: "github.com", Pass: id}, daypass.NewSecret("ghs_x"))
			return err
		})
		if !errors.Is(err, store.ErrNone) {
			t.Errorf("a child of %s: %v", id, err)
		}
	}
}

// passPeople: a person who is cut off or erased has no passes, then and later.
func passPeople(t *testing.T, w *world) {
	alice, bob := w.person(t, "alice"), w.person(t, "bob")
	a, b := w.pass(t, store.Pass{ID: "a", Person: alice.ID}), w.pass(t, store.Pass{ID: "b", Person: bob.ID})
	i := w.pass(t, store.Pass{Realm: indexRealm, User: "alice", ID: "i"})
	before := must(w.db.LastChange(t.Context()))(t)
	w.write(t, func(tx *store.Tx) error { return cutPerson(tx, alice.ID, time.Now(), "root") })
	var kinds []string
	for _, c := range must(w.db.Changes(t.Context(), before))(t) {
		kinds = append(kinds, c.Kind)
	}
	if !slices.Contains(kinds, "pass") || !slices.Contains(kinds, "person") {
		t.Errorf("changes: %v", kinds)
	}
	wantKey(t, w.db, a, store.ErrNone)
	wantKey(t, w.db, i, nil) // of another with the same name
	err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutPass(store.Pass{Realm: hubRealm, ID: "late", Person: alice.ID, Until: daypass.Forever}, []byte("k"))
		return err
	})
	if !errors.Is(err, store.ErrNone) {
		t.Errorf("a pass of somebody who is cut off: %v", err)
	}
	w.write(t, func(tx *store.Tx) error { return tx.AllowPerson(alice.ID) })
	wantKey(t, w.db, a, store.ErrNone)
	if got := must(w.db.Pass(t.Context(), hubRealm, "", "a"))(t); got.Why != "cut off" {
		t.Errorf("%+v", got)
	}
	// Even where only the mark is there.
	w.raw(t, `UPDATE people SET cut_at = 1 WHERE id = $1`, bob.ID)
	wantKey(t, w.db, b, store.ErrNone)
	w.raw(t, `UPDATE people SET cut_at = 0 WHERE id = $1`, bob.ID)
	wantKey(t, w.db, b, nil)
	w.write(t, func(tx *store.Tx) error { return tx.ErasePerson(bob.ID) })
	wantKey(t, w.db, b, store.ErrNone)
	if got := must(w.db.Passes(t.Context(), store.PassFilter{Person: bob.ID}))(t); len(got) != 0 {
		t.Errorf("an erased person still has %+v", got)
	}
}

func passSweep(t *testing.T, w *world) {
	now := time.Now()
	for id, until := range map[string]time.Time{"old": now.Add(-91 * 24 * time.Hour), "over": now.Add(-time.Hour), "lives": now.Add(time.Hour), "never": daypass.Forever, "ended": daypass.Forever} {
		w.pass(t, store.Pass{Realm: indexRealm, User: "u", ID: id, Until: until})
	}
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.EndPass(indexRealm, "u", "ended", "x")
		for n, until := range []time.Time{now.Add(-25 * time.Hour), now.Add(-time.Hour), daypass.Forever, {}} {
			_, _, countErr := tx.CountUse(link(n), 5, until)
			_, onceErr := tx.Once("k", fmt.Sprint(n), until)
			err = errors.Join(err, countErr, onceErr)
		}
		return errors.Join(err, tx.PutDevice(store.Device{Device: "d1", User: "u1", Until: now.Add(-time.Second)}),
			tx.PutDevice(store.Device{Device: "d2", User: "u2", Until: now.Add(time.Minute)}))
	})
	if got := must(w.db.Sweep(t.Context(), now))(t); got.Passes != 1 || got.Uses != 1 || got.Onces != 2 || got.Devices != 1 {
		t.Errorf("swept %+v", got) // the zero time of Once is over for long
	}
	if got := must(w.db.Sweep(t.Context(), now.Add(91*24*time.Hour)))(t); got.Passes != 3 || got.Uses != 1 || got.Onces != 1 || got.Devices != 1 {
		t.Errorf("swept later %+v", got)
	}
	if left := must(w.db.Passes(t.Context(), store.PassFilter{}))(t); len(left) != 1 || left[0].ID != "never" {
		t.Errorf("left: %+v", left)
	}
}

// uses are counted to the last, whoever counts.
func uses(t *testing.T, w *world) {
	dbs := []*store.DB{w.db, w.open(t)}
	for _, max := range []int{1, 7} {
		var mu sync.Mutex
		won := map[int]int{}
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				var n int
				var ok bool
				err := dbs[i%2].Write(t.Context(), func(tx *store.Tx) (err error) {
					n, ok, err = tx.CountUse(link(max), max, daypass.Forever)
					return err
				})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if ok {
					won[n]++
				} else if n != max {
					t.Errorf("refused at %d of %d", n, max)
				}
			})
		}
		all.Wait()
		if len(won) != max || won[1] != 1 || won[max] != 1 {
			t.Errorf("of 50 uses of %d: %v", max, won)
		}
	}
	count := func(l [32]byte, max int, until time.Time, wantN int, wantOK bool) {
		t.Helper()
		w.write(t, func(tx *store.Tx) error {
			n, ok, err := tx.CountUse(l, max, until)
			if n != wantN || ok != wantOK {
				t.Errorf("counted %d, %v, want %d, %v", n, ok, wantN, wantOK)
			}
			return err
		})
	}
	count(link(0), 0, daypass.Forever, 0, false)
	count(link(0), -1, daypass.Forever, 0, false)
	boom := errors.New("boom")
	err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		if _, ok, err := tx.CountUse(link(0), 2, daypass.Forever); err != nil || !ok {
			t.Errorf("%v, %v", ok, err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	now := time.Now()
	count(link(0), 2, now.Add(-48*time.Hour), 1, true) // what failed did not count
	count(link(0), 2, now.Add(time.Hour), 2, true)     // the later end counts
	must(w.db.Sweep(t.Context(), now))(t)
	count(link(0), 2, now, 2, false)
	count(link(0), 3, now, 3, true) // another limit of the same link sees the same count
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	w.db = w.open(t)
	count(link(1), 1, now, 1, false)
}

func once(t *testing.T, w *world) {
	dbs := []*store.DB{w.db, w.open(t)}
	var mu sync.Mutex
	won := 0
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			var ok bool
			err := dbs[i%2].Write(t.Context(), func(tx *store.Tx) (err error) {
				ok, err = tx.Once("jti:https://ci.example", "id-canary", time.Now().Add(time.Hour))
				return err
			})
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
		t.Errorf("%d of 50 were the first", won)
	}
	w.write(t, func(tx *store.Tx) error {
		for _, c := range []struct{ kind, id string }{{"jti:https://other.example", "id-canary"}, {"jti:https://ci.example", "\xff\x00"}} {
			if ok, err := tx.Once(c.kind, c.id, time.Now()); !ok || err != nil {
				t.Errorf("%q: %v, %v", c, ok, err)
			}
		}
		return nil
	})
	var n int
	if err := Raw(t, w.url).QueryRow(`SELECT count(*) FROM once WHERE id LIKE '%canary%'`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d ids in the clear, %v", n, err)
	}
}

// wantPassEvents looks for the events of passEvents; the first is id.
func (w *world) wantPassEvents(t *testing.T, when string, id store.EventID, link string) {
	t.Helper()
	for _, c := range []struct {
		f    store.EventFilter
		want string
	}{
		{store.EventFilter{Realm: indexRealm, User: "Alice"}, "3 "}, {store.EventFilter{Realm: indexRealm, User: "alice"}, "0"},
		{store.EventFilter{Realm: indexRealm, User: "Alice", Pass: "Alice/i1"}, ""}, {store.EventFilter{Pass: "Alice/i10"}, "3"},
		{store.EventFilter{Realm: indexRealm, User: "Alice", Limit: 1}, "3"}, {store.EventFilter{Link: link}, ""},
		{store.EventFilter{Realm: indexRealm, User: "Alice", After: id}, "3"},
		{store.EventFilter{Person: 3, Realm: hubRealm}, "2"}, {store.EventFilter{Realm: hubRealm, User: "Alice"}, "5 2"},
		{store.EventFilter{User: "Alice"}, "5 4 3 2 1 "}, {store.EventFilter{Realm: "index:none", User: "Alice"}, "none"},
	} {
		got := []string{}
		for _, e := range must(w.db.Events(t.Context(), c.f))(t) {
			got = append(got, e.Request)
		}
		if want := strings.Split(c.want, " "); c.want == "none" && len(got) != 0 || c.want != "none" && !slices.Equal(got, want) {
			t.Errorf("%s, %+v: %q, want %q", when, c.f, got, want)
		}
	}
}

// wantTrails waits until the trails have so many entries.
func (w *world) wantTrails(t *testing.T, n int) {
	t.Helper()
	db := Raw(t, w.url)
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var have int
		if err := db.QueryRow(`SELECT count(*) FROM trails`).Scan(&have); err != nil {
			t.Fatal(err)
		}
		if have == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the trails have %d entries, want %d", have, n)
		}
	}
}

func passEvents(t *testing.T, w *world) {
	full := store.Event{Kind: store.PassUse, Realm: indexRealm, User: "Alice", Pass: "Alice/i1", Link: "0123456789abcdef", Outcome: store.OK}
	id := must(w.db.Record(t.Context(), full))(t)
	if got, ok, err := w.db.Event(t.Context(), id); !ok || err != nil || got.Realm != full.Realm || got.Pass != full.Pass || got.Link != full.Link {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	for i, e := range []store.Event{
		{User: "alice", Realm: indexRealm, Pass: "alice/i2"}, {User: "Alice", Realm: "index:other"}, {User: "Alice", Realm: hubRealm, Person: 3, Pass: "p1"},
		{User: "Alice", Realm: indexRealm, Pass: "Alice/i10"}, {User: "Alice"}, {User: "Alice", Realm: hubRealm},
	} {
		e.Kind, e.Request = store.Upstream, fmt.Sprint(i)
		must(w.db.Record(t.Context(), e))(t)
	}
	check := func(when string) { t.Helper(); w.wantPassEvents(t, when, id, full.Link) }
	check("at once")
	w.wantTrails(t, 5) // without those of nobody
	check("later")
	// Read back from the table, as after a restore.
	w.raw(t, `DELETE FROM trails`)
	w.raw(t, `UPDATE chains SET trailed = 0`)
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	w.db = w.open(t)
	must(w.db.Record(t.Context(), store.Event{Kind: store.SignIn}))(t)
	check("not in the trails")
	w.wantTrails(t, 5)
	check("read back")
	wantClean(t, w.db)
	for _, text := range []string{"replace(body, 'Alice/i10', 'Alice/i11')", "replace(body, '0123456789abcdef', '1123456789abcdef')", "replace(body, 'index:other', 'index:pypi0')"} {
		back := saved(t, Raw(t, w.url))
		w.raw(t, `UPDATE events SET body = `+text)
		wantFault(t, w.db, "edited")
		back()
	}
}

// passBackup: after a restore an index's passes are good, what was used up or ended
// stays so, a hub's have ended, and who was about to be let in has to ask again.
func passBackup(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	lives := w.pass(t, store.Pass{Realm: indexRealm, User: "alice", ID: "lives", Caveats: []string{"uses=1"}})
	ended, hubs := w.pass(t, store.Pass{ID: "ended", Person: alice.ID}), w.pass(t, store.Pass{ID: "hubs", Person: alice.ID})
	until := time.Now().Add(time.Hour)
	w.write(t, func(tx *store.Tx) error {
		_, err1 := tx.EndPass(hubRealm, "", "ended", "x")
		_, _, err2 := tx.CountUse(link(1), 1, until)
		_, err3 := tx.Once("jti:x", "y", until)
		return errors.Join(err1, err2, err3, endLink(tx, indexRealm, "alice", "lives", "job", link(2)), tx.PutDevice(store.Device{Device: "d", User: "u", Until: until}))
	})
	for i, empty := range []func(testing.TB) string{SQLite, w.empty} {
		var text bytes.Buffer
		if err := w.db.Export(t.Context(), &text); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"root-key", "cm9vdC1rZXk"} {
			if strings.Contains(text.String(), secret) {
				t.Error("the backup shows a key")
			}
		}
		w = &world{url: empty(t), keys: w.keys, now: w.now, empty: w.empty}
		in := w.open(t)
		if got := must(in.Import(t.Context(), &text))(t); got.Passes != 1 || got.PassesEnded != int64(1-i) {
			t.Errorf("took over %+v", got)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		w.db = w.open(t)
		wantKey(t, w.db, lives, nil, link(2))
		wantKey(t, w.db, ended, store.ErrNone)
		wantKey(t, w.db, hubs, store.ErrNone)
		w.write(t, func(tx *store.Tx) error {
			if _, ok, err := tx.CountUse(link(1), 1, until); ok || err != nil {
				t.Errorf("used again: %v, %v", ok, err)
			}
			if ok, err := tx.Once("jti:x", "y", until); ok || err != nil {
				t.Errorf("the first time again: %v, %v", ok, err)
			}
			if _, state, err := tx.TakeDevice("d"); state != store.DeviceGone || err != nil {
				t.Errorf("a device was restored: %s, %v", state, err)
			}
			return nil
		})
		if err := w.db.Write(t.Context(), func(tx *store.Tx) error { // numbers go on
			_, err := tx.PutPass(store.Pass{Realm: indexRealm, User: "u", ID: "later", Until: until}, []byte("root-key-later"))
			ok, err2 := tx.EndPass(indexRealm, "u", "later", "x")
			if !ok {
				t.Error("it was not ended")
			}
			return errors.Join(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
		w.raw(t, `DELETE FROM passes WHERE name = 'later'`)
		w.raw(t, `INSERT INTO devices (device, user_code, label, address, limits, created, until, polled, person, decided, key_id, mac)
			SELECT 'x', 'y', '', '', '', 1, 1, 0, 0, '', key_id, $1 FROM chains LIMIT 1`, []byte{1})
	}
}

// passKeys: passes go over to new keys, and the old ones can be taken away.
func passKeys(t *testing.T, w *world) {
	p := w.pass(t, store.Pass{Realm: indexRealm, User: "alice", ID: "p1"})
	ended := w.pass(t, store.Pass{Realm: indexRealm, User: "alice", ID: "p2"})
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.EndPass(ended.Realm, ended.User, ended.ID, "x")
		return errors.Join(err, endLink(tx, p.Realm, p.User, p.ID, "job", link(1)), tx.PutDevice(store.Device{Device: "d", User: "u", Until: time.Now().Add(time.Minute)}))
	})
	old := w.keys
	c := w.config()
	c.Keys = must(old.Rotate(rand.Reader))(t)
	db := must(store.Open(t.Context(), c))(t)
	defer func() { _ = db.Close() }()
	wantKey(t, db, p, nil, link(1))
	if err := db.Rewrap(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	wantKey(t, db, p, nil, link(1))
	wantKey(t, w.db, p, store.ErrKey) // a process that has only the old keys
	use := must(db.KeyUse(t.Context()))(t)
	if use[old.IDs()[0]] != 0 || use[c.Keys.IDs()[0]] != 1 || use[old.IDs()[1]] != 1 {
		t.Errorf("in use: %v of %v", use, c.Keys.IDs())
	}
	kept, dropped, err := c.Keys.Prune(use)
	if err != nil || !slices.Equal(dropped, old.IDs()[:1]) {
		t.Errorf("dropped %v, %v", dropped, err)
	}
	w.keys = kept
	w.db = w.open(t)
	wantKey(t, w.db, p, nil, link(1))
	if _, ok, err := w.db.DeviceByUser(t.Context(), "u"); !ok || err != nil {
		t.Errorf("the device: %v, %v", ok, err)
	}
	other := must(store.NewKeys(rand.Reader))(t)
	c.Keys = other
	_, err = store.Open(t.Context(), c)
	wantCode(t, err, "DP-934")
}
