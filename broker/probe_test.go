package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/store"
)

// probe is a probe of somebody's connection; during is called before each child
// is made.
func (r *rig) probe(ctx context.Context, c daypass.Caller, during func(n int)) (broker.Findings, error) {
	r.t.Helper()
	p, ok, err := r.db.Person(r.t.Context(), c.User)
	if err != nil || !ok {
		r.t.Fatal(err)
	}
	n := 0
	return r.Probe(ctx, broker.Probe{Person: p.ID, Host: host, By: "ada", Make: func(ctx context.Context, access daypass.Secret, scope daypass.Scope) (broker.Trial, error) {
		n++
		during(n)
		t, err := r.config.Issuers[0].(*github.Issuer).Try(ctx, access, scope)
		return broker.Trial(t), err
	}})
}

// scoped counts the children that the host takes.
func (r *rig) scoped() int {
	n := 0
	for _, tok := range r.gh.LiveTokens() {
		if tok.Scoped {
			n++
		}
	}
	return n
}

// TestProbeLeased: while a probe is under way no other process renews the
// connection or makes anything of it; afterwards it is used as ever.
func TestProbeLeased(t *testing.T) {
	r := newRig(t)
	ada := r.user("ada")
	r.connect(ada, fake.CampusUser)
	r.must(ada, data)
	other := r.another("two")
	found, err := r.probe(t.Context(), ada, func(n int) {
		if n != 2 {
			return
		}
		todos, err := r.db.Todos(t.Context())
		if err != nil || len(todos) != 1 || todos[0].Kind != store.RevokeToken {
			t.Errorf("were this process killed now, these would be revoked: %+v, %v", todos, err)
		}
		before := r.scoped()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := other.Credential(ctx, ada, broker.Ask{Host: host, Repo: data, Access: daypass.Write}); code(err) != "DP-815" {
			t.Errorf("the other process gives %v", err)
		}
		if _, err := r.probe(ctx, ada, func(int) { t.Error("two probes at once") }); err == nil {
			t.Error("a second probe ran")
		}
		if r.scoped() != before {
			t.Error("something was made of the connection")
		}
	})
	if err != nil || found.Made != 11 || found.Live != 10 || found.Survived != 0 || !found.ParentLive || !found.First.Exact || !found.First.Token.IsZero() || found.Left != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if r.scoped() != 0 {
		t.Errorf("%d tokens were left", r.scoped())
	}
	if _, err := other.Credential(t.Context(), ada, broker.Ask{Host: host, Repo: data, Access: daypass.Write}); err != nil {
		t.Errorf("after the probe: %v", err)
	}
	r.must(ada, data)
}

// TestProbeBroken: whatever ends a probe early, nothing that it made is left, and
// the connection goes on as it was.
func TestProbeBroken(t *testing.T) {
	for name, end := range map[string]func(*rig, context.CancelFunc){
		"interrupted": func(_ *rig, stop context.CancelFunc) { stop() },
		"told to slow": func(r *rig, _ context.CancelFunc) {
			r.gh.Set(func(s *fake.Switches) { s.SecondaryLimit = time.Minute })
		},
		"the grant is out": func(r *rig, _ context.CancelFunc) { r.revokeParent() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			ada := r.user("ada")
			r.connect(ada, fake.CampusUser)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			found, err := r.probe(ctx, ada, func(n int) {
				if n == 4 {
					end(r, stop)
				}
			})
			if name == "the grant is out" { // a finding: the host ended the parent
				if err != nil || found.ParentLive || found.Made != 3 {
					t.Errorf("%+v, %v", found, err)
				}
			} else if err == nil {
				t.Errorf("it ended well: %+v", found)
			}
			r.gh.Set(func(s *fake.Switches) { s.SecondaryLimit = 0 })
			r.later(time.Hour) // what could not be revoked is tried later
			p, _, err := r.db.Person(t.Context(), ada.User)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Settle(t.Context(), p.ID); err != nil {
				t.Fatal(err)
			}
			if r.scoped() != 0 {
				t.Errorf("%d tokens were left", r.scoped())
			}
			r.must(ada, data)
		})
	}
}

// revokeParent ends the connections' own tokens at the host, and only those.
func (r *rig) revokeParent() {
	r.t.Helper()
	for _, tok := range r.gh.LiveTokens() {
		if !tok.Scoped && tok.User == fake.CampusUser {
			c, err := r.db.ConnectionByID(r.t.Context(), 1)
			if err != nil {
				r.t.Fatal(err)
			}
			grant, err := r.db.Grant(r.t.Context(), c)
			if err != nil {
				r.t.Fatal(err)
			}
			if err := r.config.Issuers[0].Revoke(r.t.Context(), grant.Access); err != nil && !errors.Is(err, daypass.ErrSpent) {
				r.t.Fatal(err)
			}
		}
	}
}
