package broker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// TestCutOffDuringRename: what was read before a cut-off is not remembered after.
func TestCutOffDuringRename(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	inside, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	was := r.config.Hub.User
	r.config.Hub.User = func(ctx context.Context, name string) (broker.HubUser, bool, error) {
		if once.CompareAndSwap(false, true) {
			close(inside)
			<-goOn
		}
		return was(ctx, name)
	}
	two := r.another("two")
	r.renameAtHub("jo", "joanna")
	jo.User.Name = "joanna"
	start := func(ctx context.Context) error {
		_, err := two.StartConsent(ctx, browser(jo), broker.ConsentStart{Session: "s", Host: host, Redirect: callback})
		return err
	}
	done := make(chan error, 1)
	go func() { done <- start(context.Background()) }()
	<-inside
	if _, err := two.RevokeUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	for _, err := range []error{<-done, start(t.Context())} {
		if code(err) != "DP-811" {
			t.Errorf("cut off, and it goes on: %v", err)
		}
	}
}

func (r *rig) renameAtHub(from, to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.hub[from]
	u.Name = to
	r.hub[to] = u
	delete(r.hub, from)
}

// TestSweptChanges: neither another process's clock nor changes that are gone
// keep in memory what has ended.
func TestSweptChanges(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.running()
	r.must(jo, data)
	p, _, err := r.db.Person(t.Context(), jo.User)
	if err != nil {
		t.Fatal(err)
	}
	db := r.open()
	refused := func() bool { _, err := r.ask(jo, data); return code(err) == "DP-811" }
	cut := func(op func(*store.Tx) error) {
		t.Helper()
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.CutPerson(p.ID, time.Now(), "root"); err != nil {
				return err
			}
			return op(tx)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	cut(func(*store.Tx) error { return nil })
	if n, err := db.Sweep(t.Context(), time.Now().Add(61*time.Minute)); err != nil || n.Changes != 0 {
		t.Errorf("by a clock that leapt, swept: %+v, %v", n, err)
	}
	r.eventually("cut off", refused)
	if _, err := r.another("two").AllowUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	r.eventually("allowed", func() bool { _, err := r.ask(jo, data); return err == nil })
	r.exec(
		`BEGIN IMMEDIATE; UPDATE people SET cut_at = 1; INSERT INTO changes (kind, person, connection, child, at) VALUES ('person', 1, 0, 0, 1), ('pin', 1, 0, 0, 1);
		DELETE FROM changes WHERE id < (SELECT max(id) FROM changes); COMMIT`)
	r.eventually("what was taken away unseen is missed", refused)
}

// TestUnseenForLong: who has not looked at the changes for long remembers nobody.
func TestUnseenForLong(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	r.running()
	r.must(jo, data)
	r.exec(`UPDATE people SET cut_at = 1`)
	r.later(31 * time.Minute)
	r.eventually("they are looked up again", func() bool { _, err := r.ask(jo, data); return code(err) == "DP-811" })
}

// TestForgottenHolder: a holder that one process remembers, and that another has
// dropped, is told to the store again.
func TestForgottenHolder(t *testing.T) {
	r := classRig(t)
	r.running()
	two := r.another("two")
	stu, other := r.user("stu", "class"), r.user("other", "class")
	r.must(stu, homework)
	r.must(other, homework)
	if err := two.ServerStopped(t.Context(), "stu", time.Time{}, ""); err != nil { // the hook came to the other process
		t.Fatal(err)
	}
	time.Sleep(600 * time.Millisecond)
	a := r.must(stu, homework) // the server was started again
	if _, err := two.RevokeUser(t.Context(), "stu", "root"); err != nil {
		t.Fatal(err)
	}
	r.eventually("the class's token that they held is dead", func() bool { return !r.live(a) })
}

func classRig(t *testing.T) *rig {
	return newRig(t, func(r *rig) {
		r.config.Rules = rules(r.t, policy.Rule{Name: "course", Who: policy.Who{Groups: []string{"class"}}, What: []policy.Pattern{pattern(r.t, "github.com/uni-course/home*")}, Access: daypass.Read, As: policy.AsHub, Max: time.Hour})
	})
}

// TestHolderOfStoppedServer: a hook that was lost is made up for, also for the
// hub's own tokens: at the second look.
func TestHolderOfStoppedServer(t *testing.T) {
	r := classRig(t)
	stu := r.user("stu", "class")
	a := r.must(stu, homework)
	r.mu.Lock()
	u := r.hub["stu"]
	u.Servers = nil
	r.hub["stu"] = u
	r.mu.Unlock()
	r.Compare(t.Context())
	if list, err := r.db.Todos(t.Context()); err != nil || len(list) > 0 && !list[0].Due.After(r.now()) {
		t.Errorf("at the first look: %+v, %v", list, err)
	}
	r.Compare(t.Context())
	if _, err := r.Settle(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if r.live(a) {
		t.Error("the only server that held it is stopped, and it is alive")
	}
}

// TestStopInFlight: a server is stopped while its token is on its way.
func TestStopInFlight(t *testing.T) {
	r := newRig(t)
	r.running()
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	arrived, release := r.hold(path("/token/scoped"))
	defer release()
	got := make(chan error, 1)
	before := len(r.gh.LiveTokens())
	go func() { _, err := r.ask(jo, data); got <- err }()
	<-arrived
	if err := r.ServerStopped(t.Context(), "jo", time.Time{}, ""); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-got; code(err) != "DP-809" {
		t.Errorf("got %v", err)
	}
	r.eventually("what was made is dead", func() bool { return len(r.gh.LiveTokens()) <= before })
	r.must(jo, data) // it was started again
}
