package broker

import (
	"context"
	"errors"
	"slices"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// asHub gives a read-only credential by the content App: no right of the
// person's own is asked for, but a rule or a share names repository and
// audience. One credential serves the whole class; who was given it is
// remembered, so that it ends when its last holder's server does.
func (b *Broker) asHub(ctx context.Context, g *guarded, c daypass.Caller, p store.Person, ask Ask, v policy.Verdict) (Answer, error) {
	if !g.Traits().AsHub {
		return Answer{}, &daypass.Problem{
			Code: "DP-824", What: "the rules let you read " + ask.Repo.String() + ", but this hub has no App for content at " + ask.Host,
			Next: "Ask the hub's admins.", Who: `Admins: "daypass admin app new --content".`, Kind: daypass.ErrRefused, Err: daypass.ErrNoSuchRepo,
		}
	}
	v.Access = daypass.Read
	key := childKey{host: ask.Host, repo: folded(ask.Repo), asked: daypass.Read}
	if k, ok := b.children.get(key, b.Now()); ok {
		return b.hand(ctx, c, p, ask, v, k)
	}
	if ask.Stale {
		return Answer{}, hubProblem(nil)
	}
	// Whoever waits for another's answer waits no longer than for one of their own.
	ctx, cancel := context.WithTimeout(ctx, b.Limits.ProviderTime)
	defer cancel()
	leave, ok := b.flights.enter(ctx.Done(), key)
	if !ok {
		return Answer{}, providerProblem(ask.Host, context.Cause(ctx))
	}
	defer leave()
	if k, ok := b.children.get(key, b.Now()); ok {
		return b.hand(ctx, c, p, ask, v, k)
	}
	right, err := b.lookAsHub(ctx, g, ask)
	if err != nil {
		return Answer{}, err
	}
	if err := b.pinned(ctx, c, p, 0, ask, right.Repo); err != nil {
		return Answer{}, err
	}
	return b.issueAsHub(ctx, g, c, p, ask, v, key, right)
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
	b.rights.put(key, r, b.Now())
	return r, nil
}

func (b *Broker) issueAsHub(ctx context.Context, g *guarded, c daypass.Caller, p store.Person, ask Ask, v policy.Verdict, key childKey, right daypass.Right) (Answer, error) {
	scope := daypass.Scope{
		Host: ask.Host, Repos: []daypass.Repo{right.Repo}, Access: daypass.Read, Until: b.Now().Add(v.Max),
	}
	var child daypass.Child
	err := g.call(ctx, "issue", func(ctx context.Context) error {
		var err error
		child, err = g.IssueAsHub(ctx, scope)
		return err
	})
	if err != nil {
		return Answer{}, providerProblem(ask.Host, err)
	}
	named := right.Repo
	named.Owner, named.Name = ask.Repo.Owner, ask.Repo.Name
	row := store.Child{
		Host: ask.Host, Repo: named, Access: daypass.Read, AsHub: true, Username: child.Username,
		Until: soonest(scope.Until, child.Ends), Ends: child.Ends, Created: b.Now(), Used: b.Now(),
	}
	k := keep(row, child.Token, daypass.Account{})
	h := holder{p.ID, c.Server}
	var id store.EventID
	err = b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		var err error
		if row, err = tx.PutChild(row, child.Token); err != nil {
			return err
		}
		if err := tx.HoldChild(row.ID, h.person, h.server); err != nil {
			return err
		}
		id = tx.Record(given(b.event(c, p, ask, store.Credential), policy.AsHub, v.Rule, k))
		return nil
	})
	if err != nil {
		b.discard(g, child.Token)
		return Answer{}, storeProblem(err)
	}
	k.Child = row
	k.hold(h)
	b.children.put(key, k, b.Now())
	return Answer{Credential: k.Credential, As: policy.AsHub, Rule: v.Rule, Event: id}, nil
}

// hand gives the hub's own credential to one more person. It is never good for
// longer than this person's rule says.
func (b *Broker) hand(ctx context.Context, c daypass.Caller, p store.Person, ask Ask, v policy.Verdict, k *kept) (Answer, error) {
	h := holder{p.ID, c.Server}
	if k.held(h) {
		return b.again(ctx, c, p, ask, policy.AsHub, v, k)
	}
	var id store.EventID
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.HoldChild(k.ID, h.person, h.server); err != nil {
			return err
		}
		id = tx.Record(given(b.event(c, p, ask, store.Credential), policy.AsHub, v.Rule, k))
		return nil
	})
	if err != nil {
		return Answer{}, storeProblem(err)
	}
	k.hold(h)
	return Answer{Credential: k.Credential, As: policy.AsHub, Rule: v.Rule, Event: id, Cached: true}, nil
}

// shared reports whether somebody shares the repository with a group of the
// caller's. It is asked only where no rule said yes and none said no.
func (b *Broker) shared(ctx context.Context, c daypass.Caller, ask Ask, v policy.Verdict) policy.Verdict {
	if len(c.Groups) == 0 || len(b.Sharing) == 0 {
		return v
	}
	list, err := b.Store.Shares(ctx, store.ShareFilter{Hub: c.User.Hub, Host: ask.Host, LiveAt: b.Now()})
	if err != nil {
		b.Log.Error("the shares could not be read", "err", err)
		return v
	}
	for _, s := range list {
		if !s.Repo.SameName(ask.Repo) || !slices.Contains(c.Groups, s.Group) {
			continue
		}
		left := s.Until.Sub(b.Now())
		return policy.Verdict{Allowed: true, Rule: "sharing", Access: daypass.Read, Max: min(left, maxHubLife)}
	}
	return v
}
