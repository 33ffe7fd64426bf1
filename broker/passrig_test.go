package broker_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

var home = netip.MustParseAddr("192.0.2.7")

// mint makes a pass of somebody who has just signed in.
func (r *rig) mint(c daypass.Caller, l pass.Limits) broker.Minted {
	r.t.Helper()
	m, err := r.MintPass(r.t.Context(), browser(c), true, broker.PassAsk{Limits: l, Label: "for a test"})
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// narrowed is what anybody makes of a pass, without asking.
func narrowed(t testing.TB, text daypass.Secret, l pass.Limits) daypass.Secret {
	t.Helper()
	caveats, err := l.Caveats()
	if err != nil {
		t.Fatal(err)
	}
	return withCaveats(t, text, caveats...)
}

func withCaveats(t testing.TB, text daypass.Secret, caveats ...string) daypass.Secret {
	t.Helper()
	p, err := pass.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.Narrow(caveats...); err != nil {
		t.Fatal(err)
	}
	return p.Text(pass.Daypass)
}

// by asks for a repository with a pass, as the server does: whose is it, then the
// credential.
func (r *rig) by(b *broker.Broker, text daypass.Secret, from netip.Addr, ask broker.Ask) (broker.Answer, error) {
	c, err := b.PassCaller(context.Background(), text, from)
	if err != nil {
		return broker.Answer{}, err
	}
	ask.Host = host
	return b.Credential(context.Background(), c, ask)
}

// with is the usual asking: as git does, for all that is of use.
func (r *rig) with(text daypass.Secret, repo daypass.Repo) (broker.Answer, error) {
	return r.by(r.Broker, text, home, broker.Ask{Repo: repo, Access: daypass.Write})
}

func (r *rig) mustWith(text daypass.Secret, repo daypass.Repo) broker.Answer {
	r.t.Helper()
	a, err := r.with(text, repo)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// refusedBy wants a refusal with a code, and nothing of the pass in its words.
func (r *rig) refusedBy(err error, want, what string, texts ...daypass.Secret) {
	r.t.Helper()
	var ref *broker.Refusal
	if code(err) != want || !errors.As(err, &ref) {
		r.t.Errorf("%s: %v, want %s", what, err, want)
		return
	}
	for _, s := range texts {
		if strings.Contains(err.Error(), s.Reveal()[8:40]) {
			r.t.Errorf("%s: the refusal holds the pass", what)
		}
	}
}

// longRules take passes of any life.
func longRules(r *rig) {
	rule := policy.Preset()[0]
	rule.MaxPass = policy.NoEnd
	r.config.Rules = rules(r.t, rule)
	r.config.AllowNever = true
}

func (r *rig) found(f store.EventFilter) []store.Event {
	r.t.Helper()
	list, err := r.db.Events(r.t.Context(), f)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func hours(n int) time.Duration { return time.Duration(n) * time.Hour }
