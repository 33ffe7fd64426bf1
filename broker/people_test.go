package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

// twin deletes a user at the hub and makes another of that name.
func (r *rig) twin(name string) daypass.Caller {
	r.mu.Lock()
	u := r.hub[name]
	u.Created = u.Created.Add(1000 * time.Hour)
	r.hub[name] = u
	r.mu.Unlock()
	return r.user(name)
}

// looked is two looks at the hub's list, a day apart.
func (r *rig) looked() {
	r.Compare(r.t.Context())
	r.later(25 * time.Hour)
	r.Compare(r.t.Context())
}

func (r *rig) met(names ...string) {
	for _, n := range names {
		_, _ = r.ask(r.user(n), notes)
	}
}

// TestGoneUserLeavesOthersGrant: somebody was deleted and made anew at the hub,
// and connected the same account: the old row ends without it.
func TestGoneUserLeavesOthersGrant(t *testing.T) {
	r := newRig(t)
	r.met("a", "b", "c")
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	again := r.twin("jo")
	r.connect(again, fake.CampusUser)
	p, _, err := r.db.Person(t.Context(), jo.User)
	if err != nil {
		t.Fatal(err)
	}
	before := len(r.gh.LiveTokens())
	r.looked()
	if _, ok, _ := r.db.PersonByID(t.Context(), p.ID); ok {
		t.Fatal("the old row is there still")
	}
	if n := len(r.gh.LiveTokens()); n >= before {
		t.Errorf("%d tokens are alive, %d before", n, before)
	}
	if _, err := r.ask(again, data); err != nil {
		t.Errorf("the old row was erased, and the new person's connection with it: %v", err)
	}
}

// TestRenamedIsKept: somebody was renamed at the hub and did not push for two
// days.
func TestRenamedIsKept(t *testing.T) {
	r := newRig(t)
	r.met("a", "b", "c")
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.renameAtHub("jo", "joanna")
	r.looked()
	jo.User.Name = "joanna"
	if _, err := r.ask(jo, data); err != nil {
		t.Errorf("renamed, and taken for gone: %v", err)
	}
	if list, err := r.db.People(t.Context(), store.PeopleFilter{Name: "joanna"}); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestStoredLeftovers: a cut-off ends what was stored before an admin chose to
// keep connections in memory.
func TestStoredLeftovers(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.config.Limits.Session = true
	if _, err := r.another("two").RevokeUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	if n := len(r.gh.LiveTokens()) + len(r.gh.LiveRefreshTokens()); n != 0 {
		t.Errorf("cut off, and %d tokens of theirs are alive", n)
	}
}

// TestSweepIsBounded: where a database's clock leaps, not everybody is ended at
// once.
func TestSweepIsBounded(t *testing.T) {
	r := newRig(t)
	for i := range 60 {
		r.connect(r.user(fmt.Sprint("u", i)), fake.CampusUser)
	}
	r.exec(`UPDATE connections SET ends = 1`)
	r.running()
	left := func() (n int) {
		counts, err := r.db.CountConnections(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counts {
			if c.State != store.Ended {
				n += c.N
			}
		}
		return n
	}
	r.eventually("fifty are ended", func() bool { return left() <= 10 })
	time.Sleep(50 * time.Millisecond)
	if n := left(); n != 10 {
		t.Errorf("%d are left", n)
	}
}

// TestRevokePerson: of two people of a name one is cut off.
func TestRevokePerson(t *testing.T) {
	r := newRig(t)
	old := r.user("jo")
	r.connect(old, fake.CampusUser)
	fresh := r.twin("jo")
	r.connect(fresh, fake.CampusOther)
	p, _, err := r.db.Person(t.Context(), old.User)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.RevokePerson(t.Context(), p.ID, "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ask(fresh, data); code(err) == "DP-811" {
		t.Error("an admin cut one off, and somebody else of that name with them")
	}
	if _, err := r.ask(old, data); code(err) != "DP-811" {
		t.Errorf("cut off: %v", err)
	}
	if _, err := r.RevokePerson(t.Context(), 4711, "root"); err == nil {
		t.Error("nobody was cut off, and it says nothing")
	}
}
