package broker

import (
	"context"
	"errors"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// hubLives are how long a credential of the hub's own may live. What a rule or
// share allows is rounded down to one of them, so that people with different
// rules share few tokens, and nobody holds one that outlives their rule.
var hubLives = []time.Duration{maxHubLife, 30 * time.Minute, 15 * time.Minute, 5 * time.Minute, 2 * time.Minute}

// hubLife returns how long a credential may live for somebody who may have one
// for so long; 0: it would be over before it is of use.
func hubLife(most time.Duration) time.Duration {
	for _, d := range hubLives {
		if d <= most {
			return d
		}
	}
	return 0
}

// asHub gives a read-only credential by the content App: no right of the
// person's own is asked for, but a rule or a share names repository and
// audience. One credential serves the whole class; who was given it is
// remembered, so that it ends when its last holder's server does.
func (b *Broker) asHub(ctx context.Context, g *guarded, q asking) (Answer, error) {
	if !g.Traits().AsHub {
		return Answer{}, &daypass.Problem{
			Code: "DP-824", What: "the rules let you read " + q.ask.Repo.String() + ", but this hub has no App for content at " + q.ask.Host,
			Next: "Ask the hub's admins.", Who: `Admins: "daypass admin app new --content".`, Kind: daypass.ErrRefused, Err: daypass.ErrNoSuchRepo,
		}
	}
	q.verdict.Access = daypass.Read
	key := childKey{host: q.ask.Host, repo: folded(q.ask.Repo), asked: daypass.Read, life: hubLife(q.verdict.Max), pass: q.ask.pass.key()}
	if key.life == 0 {
		return Answer{}, denied(q.ask.Host, q.verdict.Rule, "it ends in less than two minutes")
	}
	return b.single(ctx, q, key, b.hand, func(ctx context.Context) (Answer, error) { return b.makeAsHub(ctx, g, q, key) })
}

// single gives the child of a key: where there is one, by again; where there is none, by
// one maker at a time.
func (b *Broker) single(ctx context.Context, q asking, key childKey, again func(context.Context, asking, *kept) (Answer, error), first func(context.Context) (Answer, error)) (Answer, error) {
	if k, ok := b.children.get(key, b.Now(), q.verdict.Max); ok {
		return again(ctx, q, k)
	}
	if q.ask.Stale {
		return Answer{}, hubProblem(nil)
	}
	// Whoever waits for another's answer waits no longer than for one of their own.
	ctx, cancel := context.WithTimeout(ctx, b.Limits.ProviderTime)
	defer cancel()
	leave, ok := b.flights.enter(ctx.Done(), key)
	if !ok {
		return Answer{}, providerProblem(q.ask.Host, context.Cause(ctx))
	}
	defer leave()
	if k, ok := b.children.get(key, b.Now(), q.verdict.Max); ok {
		return again(ctx, q, k)
	}
	return first(ctx)
}

func (b *Broker) makeAsHub(ctx context.Context, g *guarded, q asking, key childKey) (Answer, error) {
	if err := b.paced(q.p, q.ask.Host); err != nil {
		return Answer{}, err
	}
	right, err := b.lookAsHub(ctx, g, q.ask)
	if err != nil {
		return Answer{}, err
	}
	if q, err = b.today(q, right.Repo); err != nil {
		return Answer{}, err
	}
	if err := b.pinned(ctx, q.c, q.p, 0, q.ask, right.Repo); err != nil {
		return Answer{}, err
	}
	if err := b.stands(ctx, g, q, right.Repo.ID); err != nil {
		return Answer{}, err
	}
	return b.issueAsHub(ctx, g, q, key, right)
}

func (b *Broker) lookAsHub(ctx context.Context, g *guarded, ask Ask) (daypass.Right, error) {
	key := rightKey{0, ask.Host, 0, folded(ask.Repo)}
	if r, ok := b.rights.get(key, b.Now(), b.Limits.RightTTL); ok {
		return r, nil
	}
	var r daypass.Right
	err := g.call(ctx, "look", func(ctx context.Context) error {
		var err error
		r, err = g.LookAsHub(ctx, ask.Repo)
		return err
	})
	if errors.Is(err, daypass.ErrNoSuchRepo) || err == nil && r.Repo.ID == 0 {
		return r, &Refusal{Problem: &daypass.Problem{
			Code: "DP-825", What: "the hub's content App does not reach " + ask.Repo.String() + " at " + ask.Host,
			Why:  "the repository does not exist, or the App is not installed on it",
			Next: "Ask whoever teaches the course.", Who: "The repository's owner installs the content App there.",
			Kind: daypass.ErrRefused, Err: daypass.ErrNoSuchRepo,
		}}
	}
	if err != nil {
		return r, providerProblem(ask.Host, err)
	}
	b.rights.put(key, r, b.Now(), maxRights)
	return r, nil
}

func (b *Broker) issueAsHub(ctx context.Context, g *guarded, q asking, key childKey, right daypass.Right) (Answer, error) {
	scope := daypass.Scope{
		Host: q.ask.Host, Repos: []daypass.Repo{right.Repo}, Access: daypass.Read, Until: q.ask.pass.until(b.Now(), min(key.life, q.verdict.Max)),
	}
	var child daypass.Child
	err := g.call(ctx, "issue", func(ctx context.Context) error {
		var err error
		child, err = g.IssueAsHub(ctx, scope)
		return err
	})
	if err != nil {
		return Answer{}, providerProblem(q.ask.Host, err)
	}
	row := store.Child{
		Host: q.ask.Host, Repo: right.Repo, Access: daypass.Read, AsHub: true, Username: child.Username,
		Until: soonest(scope.Until, child.Ends), Ends: child.Ends, Created: b.Now(), Used: b.Now(), Pass: key.pass.id, Links: key.pass.links,
	}
	k := keep(row, child.Token, daypass.Account{}, q.ask.Repo)
	h := holder{q.p.ID, q.server()}
	var id store.EventID
	err = b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		var err error
		if row, err = tx.PutChild(row, child.Token); err != nil {
			return err
		}
		if err := tx.HoldChild(row.ID, h.person, h.server); err != nil {
			return err
		}
		id = tx.Record(given(b.event(q.c, q.p, q.ask, store.Credential), policy.AsHub, q.verdict.Rule, k))
		return q.ask.pass.written(tx)
	})
	if err != nil {
		b.discard(g, child.Token)
		return Answer{}, q.ask.pass.problem(err)
	}
	k.Child = row
	if err := b.endedMeanwhile(ctx, q, row); err != nil {
		return Answer{}, err
	}
	k.hold(h)
	b.children.put(key, k, b.Now())
	return Answer{Credential: k.Credential, As: policy.AsHub, Rule: q.verdict.Rule, Event: id}, nil
}

// hand gives the hub's own credential to one more person.
func (b *Broker) hand(ctx context.Context, q asking, k *kept) (Answer, error) {
	if q.share != nil && q.share.Repo.ID != k.Repo.ID {
		return Answer{}, denied(q.ask.Host, "sharing", "what is shared is another repository that once bore the name")
	}
	h := holder{q.p.ID, q.server()}
	if k.held(h) {
		return b.again(ctx, q, k)
	}
	if _, err := b.today(q, k.today); err != nil {
		return Answer{}, err
	}
	var id store.EventID
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.HoldChild(k.ID, h.person, h.server); err != nil {
			return err
		}
		id = tx.Record(given(b.event(q.c, q.p, q.ask, store.Credential), policy.AsHub, q.verdict.Rule, k))
		return q.ask.pass.written(tx)
	})
	if err != nil {
		return Answer{}, storeProblem(err)
	}
	k.hold(h)
	return Answer{Credential: k.Credential, As: policy.AsHub, Rule: q.verdict.Rule, Event: id, Cached: true}, nil
}
