package broker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// maxReach bounds a list of what a connection reaches.
const maxReach = 500

// reachTTL is how long a list is given again: one costs the provider several
// requests.
const reachTTL = time.Minute

// reaches remember lists, by connection and version of its grant.
type reaches struct {
	mu   sync.Mutex
	seen map[reachKey]reachSeen
}

type reachKey struct{ connection, account int64 }

type reachSeen struct {
	rights   []daypass.Right
	complete bool
	at       time.Time
}

// Reach lists the repositories that the caller's connection reaches, at most 500;
// complete is false where there are more. To a person's browser it is the whole
// list; to a server what the rules let it ask for, and to one that others enter
// nothing: the names of private repositories are not theirs to read.
func (b *Broker) Reach(ctx context.Context, c daypass.Caller, host string) (rights []daypass.Right, complete bool, err error) {
	p, err := b.themself(ctx, c)
	if err != nil {
		return nil, false, err
	}
	g, ok := b.issuers[host]
	if !ok {
		return nil, false, unknownHost(host)
	}
	if g.Traits().Content {
		return nil, false, contentOnly(host)
	}
	kind := policy.Own
	if c.Via != daypass.ViaBrowser {
		kind = b.kind(ctx, c)
	}
	if kind != policy.Own {
		return nil, false, &Refusal{Rule: policy.ReadOnly, Problem: &daypass.Problem{
			Code: "DP-826", What: "a server that others enter is not told what your account reaches",
			Next: "Look at the page of your access, in your browser.", Kind: daypass.ErrRefused,
		}}
	}
	seen, err := b.reach(ctx, g, p, host)
	if err != nil {
		return nil, false, err
	}
	if c.Via == daypass.ViaBrowser {
		return seen.rights, seen.complete, nil
	}
	for _, r := range seen.rights {
		q := policyRequest(c, Ask{Host: host, Repo: r.Repo, Access: r.Access}, kind)
		if v := decide(b.Rules, q); v.Allowed {
			r.Access = min(r.Access, v.Access)
			rights = append(rights, r)
		}
	}
	return rights, seen.complete, nil
}

// reach asks the provider, or gives the last answer again. Requests for the same
// list wait for one.
func (b *Broker) reach(ctx context.Context, g *guarded, p store.Person, host string) (reachSeen, error) {
	led := b.ledger()
	conn, err := led.find(ctx, p.ID, host)
	if err != nil {
		return reachSeen{}, gone(host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*b.Limits.ProviderTime)
	defer cancel()
	key := reachKey{conn.ID, conn.Account.ID}
	leave, ok := b.flights.enter(ctx.Done(), key)
	if !ok {
		return reachSeen{}, providerProblem(host, context.Cause(ctx))
	}
	defer leave()
	if seen, ok := b.reached.get(key, b.Now()); ok {
		return seen, nil
	}
	conn, grant, err := b.access(ctx, g, led, conn)
	if err != nil {
		return reachSeen{}, err
	}
	seen := reachSeen{at: b.Now()}
	err = g.call(ctx, "reach", func(ctx context.Context) error {
		var err error
		seen.rights, seen.complete, err = g.Issuer.Reach(ctx, grant.Access, maxReach)
		return err
	})
	if errors.Is(err, daypass.ErrSpent) {
		return seen, b.spent(ctx, g, led, conn, grant)
	}
	if err != nil {
		return seen, providerProblem(host, err)
	}
	b.reached.put(key, seen)
	return seen, nil
}

func (r *reaches) get(k reachKey, now time.Time) (reachSeen, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.seen[k]
	age := now.Sub(s.at)
	return s, ok && age >= 0 && age < reachTTL
}

// maxReaches bounds the memory; a list is some tens of kilobytes at most.
const maxReaches = 500

func (r *reaches) put(k reachKey, s reachSeen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil || len(r.seen) >= maxReaches {
		r.seen = map[reachKey]reachSeen{}
	}
	r.seen[k] = s
}
