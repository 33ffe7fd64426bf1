package broker_test

import (
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

// TestMintExchanged: a job's pass is its person's, short, and no wider than its
// rule.
func TestMintExchanged(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	grant := func(change func(*broker.Grant)) broker.Grant {
		g := broker.Grant{
			As: "jo", Limits: pass.Limits{Hosts: []string{host}, Repos: []string{"river-lab/data"}, Access: daypass.Read}, Label: "release", By: "river-lab/data#4711 at refs/heads/main", Rule: "release",
		}
		if change != nil {
			change(&g)
		}
		return g
	}
	m, err := r.MintExchanged(t.Context(), grant(nil))
	if err != nil {
		t.Fatal(err)
	}
	if life := m.Row.Until.Sub(m.Row.Created); life > 15*time.Minute || life < 14*time.Minute || m.Row.Via != "exchange" || m.Row.By == "" {
		t.Errorf("%+v", m.Row)
	}
	if e, ok, _ := r.db.Event(t.Context(), m.Event); !ok || e.Kind != store.Exchanged || e.Rule != "release" || e.User != "jo" || e.Via != "exchange" {
		t.Errorf("%+v", e)
	}
	if a := r.mustWith(m.Text, data); a.Credential.Scope.Access != daypass.Read || a.Credential.Scope.Until.After(m.Row.Until) {
		t.Errorf("%+v", a.Credential.Scope)
	}
	r.refusedBy(errOf(r.with(m.Text, notes)), "DP-161", "another repository", m.Text)
	for what, g := range map[string]broker.Grant{
		"a day":         grant(func(g *broker.Grant) { g.For = 24 * time.Hour }),
		"without end":   grant(func(g *broker.Grant) { g.Limits.Expires = daypass.Forever }),
		"for less time": grant(func(g *broker.Grant) { g.For = time.Minute }),
	} {
		m, err := r.MintExchanged(t.Context(), g)
		if err != nil || m.Row.Until.After(r.now().Add(15*time.Minute)) || g.For == time.Minute && m.Row.Until.After(r.now().Add(time.Minute)) {
			t.Errorf("%s: until %v, %v", what, m.Row.Until, err)
		}
	}
	r.refusedBy(errOf(r.MintExchanged(t.Context(), grant(func(g *broker.Grant) { g.As = "nobody" }))), "DP-176", "nobody of that name")
	r.refusedBy(errOf(r.MintExchanged(t.Context(), grant(func(g *broker.Grant) { g.Limits = pass.Limits{} }))), "DP-171", "without limits")
	if list := r.found(store.EventFilter{Kind: store.Refusal, Rule: "release"}); len(list) != 2 {
		t.Errorf("refusals: %+v", list)
	}
	r.hubDown(true)
	r.refusedBy(errOf(r.MintExchanged(t.Context(), grant(nil))), "DP-814", "the hub is away")
	r.hubDown(false)
	if _, err := r.RevokeUser(t.Context(), "jo", "root"); err != nil {
		t.Fatal(err)
	}
	r.refusedBy(errOf(r.MintExchanged(t.Context(), grant(nil))), "DP-811", "cut off")
	r.refusedBy(errOf(r.with(m.Text, data)), "DP-160", "cut off since", m.Text)
}
