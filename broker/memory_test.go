package broker_test

import (
	"context"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/store"
)

func inMemory(r *rig) { r.config.Limits.Session = true }

// TestConsentWhileCutOffInMemory: who is cut off while they say yes at the host is
// not connected, also where connections are in memory.
func TestConsentWhileCutOffInMemory(t *testing.T) {
	r := newRig(t, inMemory)
	jo := r.user("jo")
	q := r.answer(jo, fake.CampusUser)
	arrived, release := r.hold(path("/user"))
	defer release()
	done := make(chan error, 1)
	go func() {
		_, err := r.FinishConsent(context.Background(), browser(jo), broker.ConsentEnd{Session: "s-jo", Host: host, State: q.Get("state"), Code: q.Get("code")})
		done <- err
	}()
	<-arrived
	if _, err := r.RevokeUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-done; code(err) != "DP-811" {
		t.Errorf("a consent of somebody who had been cut off: %v", err)
	}
	if n := len(r.gh.LiveTokens()); n != 0 {
		t.Errorf("%d tokens of theirs are alive at the host", n)
	}
	if _, err := r.AllowUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ask(jo, data); code(err) != "DP-816" {
		t.Errorf("allowed again, and without connecting anew: %v", err)
	}
}

// TestConnectAnewInMemory: what a new consent takes the place of ends at the host,
// with what was made of it, and the new one goes on.
func TestConnectAnewInMemory(t *testing.T) {
	r := newRig(t, inMemory)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	old := []broker.Answer{r.must(jo, data), r.must(jo, notes)}
	r.connect(jo, fake.CampusUser)
	for _, a := range old {
		if r.live(a) {
			t.Errorf("a token of the old connection is alive: %v", a.Credential.Scope)
		}
	}
	if n := len(r.gh.LiveTokens()); n != 1 {
		t.Errorf("%d tokens are alive, and one is the new connection's", n)
	}
	if a := r.must(jo, data); !r.live(a) {
		t.Error("the new connection gives what is dead")
	}
}

// TestStoredBeforeMemory: what was stored before an admin chose the memory is not
// used, is shown and can be disconnected, and is ended at the start.
func TestStoredBeforeMemory(t *testing.T) {
	r := newRig(t)
	jo, kim, lou := r.user("jo"), r.user("kim"), r.user("lou")
	for c, login := range map[*daypass.Caller]string{&jo: fake.CampusUser, &kim: fake.CampusOther, &lou: fake.CampusInstructor} {
		r.connect(*c, login)
	}
	r.must(jo, data)
	inMemory(r)
	two := r.another("two")
	if _, err := two.Credential(t.Context(), jo, broker.Ask{Host: host, Repo: data, Access: daypass.Read}); code(err) != "DP-816" {
		t.Errorf("by a stored connection: %v", err)
	}
	if list, err := two.Connections(t.Context(), browser(kim)); err != nil || len(list) != 1 || list[0].ID < 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := two.Disconnect(t.Context(), browser(kim), host, ""); err != nil {
		t.Error(err)
	}
	if list, err := two.Connections(t.Context(), browser(kim)); err != nil || len(list) != 0 {
		t.Errorf("disconnected: %+v, %v", list, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); two.Run(ctx) }()
	r.eventually("nothing is stored, and nothing is alive at the host", func() bool {
		counts, err := r.db.CountConnections(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counts {
			if c.State != store.Ended {
				return false
			}
		}
		return len(r.gh.LiveTokens())+len(r.gh.LiveRefreshTokens()) == 0
	})
	stop()
	<-done
}
