package broker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// asUser gives a child of the person's own connection.
func (b *Broker) asUser(ctx context.Context, g *guarded, q asking) (Answer, error) {
	key := childKey{person: q.p.ID, server: q.server(), host: q.ask.Host, repo: folded(q.ask.Repo), asked: q.verdict.Access, pass: q.ask.pass.key()}
	return b.single(ctx, q, key, b.again, func(ctx context.Context) (Answer, error) { return b.makeAsUser(ctx, g, q, key) })
}

func (b *Broker) makeAsUser(ctx context.Context, g *guarded, q asking, key childKey) (Answer, error) {
	led := b.ledger()
	conn, err := led.find(ctx, q.p.ID, q.ask.Host)
	if errors.Is(err, store.ErrNone) {
		if a, ok, err := b.byBridge(ctx, g, q); ok || err != nil {
			return a, err
		}
		return Answer{}, notConnected(q.ask.Host, "")
	}
	if err != nil {
		return Answer{}, storeProblem(err)
	}
	if k, ok := b.remembered(ctx, led, conn, key, q); ok {
		return b.again(ctx, q, k)
	}
	k, e, err := b.mint(ctx, g, led, conn, q)
	if errors.Is(err, errReplaced) {
		k, e, err = b.mint(ctx, g, led, conn, q)
	}
	if err != nil {
		return Answer{}, err
	}
	b.children.put(key, k, b.Now())
	return Answer{Credential: k.Credential, Account: conn.Account, As: policy.AsUser, Rule: q.verdict.Rule, Event: e}, nil
}

// again gives a credential that was made before.
func (b *Broker) again(ctx context.Context, q asking, k *kept) (Answer, error) {
	now, err := b.today(q, k.today)
	if err != nil {
		return Answer{}, err
	}
	if k.Credential.Scope.Access > now.verdict.Access {
		return Answer{}, denied(q.ask.Host, q.verdict.Rule, "the rules give less than what was made before")
	}
	id, err := b.record(ctx, q.ask.pass, given(b.event(q.c, q.p, q.ask, store.Credential), q.as, q.verdict.Rule, k))
	if err != nil {
		return Answer{}, err
	}
	return Answer{Credential: k.Credential, Account: k.whose, As: q.as, Rule: q.verdict.Rule, Event: id, Cached: true}, nil
}

// remembered looks for a child that another process, or this one before it was
// started again, made for the very same server, repository and access.
func (b *Broker) remembered(ctx context.Context, led ledger, conn store.Connection, key childKey, q asking) (*kept, bool) {
	now := b.Now()
	list, err := led.children(ctx, conn, now.Add(margin))
	if err != nil {
		return nil, false
	}
	for _, ch := range list {
		fits := !ch.Ending && ch.Until.After(now.Add(margin)) && !ch.Until.After(now.Add(q.verdict.Max)) &&
			(passKey{ch.Pass, ch.Links}) == key.pass && ch.Server == key.server && folded(ch.Repo) == key.repo && ch.Access == key.asked && ch.Person == key.person
		if !fits {
			continue
		}
		token, err := led.childToken(ctx, ch)
		if err != nil {
			b.Log.Warn("a child could not be opened", "child", ch.ID, "err", err)
			continue
		}
		k := keep(ch, token, conn.Account, q.ask.Repo)
		b.children.put(key, k, now)
		return k, true
	}
	return nil, false
}

// keep makes of a row what lies in memory. The name under which it was asked for
// stays the credential's name, since git compares it; the row has the name that
// the repository bore when it was made.
func keep(ch store.Child, token daypass.Secret, whose daypass.Account, asked daypass.Repo) *kept {
	asked.ID = ch.Repo.ID
	return &kept{Child: ch, today: ch.Repo, Account: whose.Login, whose: whose, mark: Fingerprint(token), Credential: daypass.Credential{
		Account: whose.Login, Username: ch.Username, Token: token,
		Scope: daypass.Scope{Host: ch.Host, Repos: []daypass.Repo{asked}, Access: ch.Access, Until: ch.Until},
	}}
}

// mint makes a new child. The person's own right to the repository was seen at
// most five minutes ago, and the repository is the one that bore the name when
// this person first used it.
func (b *Broker) mint(ctx context.Context, g *guarded, led ledger, conn store.Connection, q asking) (*kept, store.EventID, error) {
	// One at a time for each connection: refreshing and the budget of live
	// children concern them all.
	leave, ok := b.flights.enter(ctx.Done(), conn.ID)
	if !ok {
		return nil, "", providerProblem(q.ask.Host, context.Cause(ctx))
	}
	defer leave()
	if g.Traits().Unnarrowed && q.ask.pass != nil {
		return nil, "", unnarrowed(q.ask.Host)
	}
	if err := b.paced(q.p, q.ask.Host); err != nil {
		return nil, "", err
	}
	conn, grant, err := b.access(ctx, g, led, conn)
	if err != nil {
		return nil, "", err
	}
	right, err := b.right(ctx, g, led, conn, grant, q.ask.Repo)
	if err != nil {
		return nil, "", err
	}
	if q, err = b.today(q, right.Repo); err != nil {
		return nil, "", err
	}
	if err := b.clicked(ctx, q, min(q.verdict.Access, right.Access)); err != nil {
		return nil, "", err
	}
	if err := b.pinned(ctx, q.c, q.p, q.p.ID, q.ask, right.Repo); err != nil {
		return nil, "", err
	}
	if err := b.visit(ctx, q.c, q.p, q.ask, right.Repo); err != nil {
		return nil, "", err
	}
	scope := daypass.Scope{
		Host: q.ask.Host, Repos: []daypass.Repo{right.Repo}, Access: min(q.verdict.Access, right.Access),
		Until: soonest(q.ask.pass.until(b.Now(), q.verdict.Max), slot(g, grant)),
	}
	if err := b.makeRoom(ctx, g, led, conn); err != nil {
		return nil, "", err
	}
	var child daypass.Child
	err = g.call(ctx, "narrow", func(ctx context.Context) error {
		var err error
		child, err = g.Narrow(ctx, grant.Access, scope)
		return err
	})
	if errors.Is(err, daypass.ErrSpent) {
		return nil, "", b.spent(ctx, g, led, conn, grant)
	}
	if err != nil {
		return nil, "", providerProblem(q.ask.Host, err)
	}
	return b.born(ctx, g, led, conn, q, scope, child)
}

// born records a child and the event of its making, in one transaction, before
// anybody sees it. What cannot be recorded is revoked.
func (b *Broker) born(ctx context.Context, g *guarded, led ledger, conn store.Connection, q asking, scope daypass.Scope, child daypass.Child) (*kept, store.EventID, error) {
	row := store.Child{
		Connection: conn.ID, Person: q.p.ID, Server: q.server(), Host: q.ask.Host, Repo: scope.Repos[0], Access: scope.Access,
		Username: child.Username, Account: conn.Account.Login, Until: soonest(scope.Until, child.Ends), Ends: child.Ends,
		Created: b.Now(), Used: b.Now(), Pass: q.ask.pass.key().id, Links: q.ask.pass.key().links,
	}
	k := keep(row, child.Token, conn.Account, q.ask.Repo)
	var id store.EventID
	err := led.born(context.WithoutCancel(ctx), &row, child.Token, func(tx *store.Tx) error {
		id = tx.Record(given(b.event(q.c, q.p, q.ask, store.Credential), policy.AsUser, q.verdict.Rule, k))
		if err := q.ask.pass.written(tx); err != nil {
			return err
		}
		return b.stoppedSince(q.p.ID, q.server(), q.ask.began)
	})
	if err == nil && row.ID < 0 {
		err = b.passGone(ctx, led, q.ask.pass, row)
	}
	if err != nil {
		b.discard(g, child.Token)
		return nil, "", q.ask.pass.problem(err)
	}
	k.Child = row
	return k, id, nil
}

// discard revokes a token that nobody has any more, or was ever given, and
// reports whether the provider took it.
func (b *Broker) discard(g *guarded, token daypass.Secret) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := g.call(ctx, "revoke", func(ctx context.Context) error { return g.Revoke(ctx, token) })
	if err != nil {
		b.Log.Warn("a token that nobody has could not be revoked", "host", g.Host(), "err", err)
	}
	return err == nil
}

// makeRoom keeps the live children of a connection under the provider's limit:
// the one that was used least lately is revoked, at the provider too, before
// another is made, since the provider would otherwise end the oldest token by
// itself, and that is the parent.
func (b *Broker) makeRoom(ctx context.Context, g *guarded, led ledger, conn store.Connection) error {
	most := g.Traits().MaxChildren
	if most <= 0 {
		most = 9
	}
	// Whatever the provider still takes counts, also what we do not give any more.
	live, err := led.children(ctx, conn, b.Now())
	if err != nil {
		return storeProblem(err)
	}
	slices.SortFunc(live, func(x, y store.Child) int { return b.lastUse(x).Compare(b.lastUse(y)) })
	for len(live) >= most {
		old := live[0]
		live = live[1:]
		token, err := led.childToken(ctx, old)
		if err == nil {
			err = g.call(ctx, "revoke", func(ctx context.Context) error { return g.Revoke(ctx, token) })
		}
		if err != nil {
			return providerProblem(g.Host(), err)
		}
		if err := led.endChildren(ctx, []int64{old.ID}, "another took its place", true); err != nil {
			return storeProblem(err)
		}
		b.children.drop(func(_ childKey, k *kept) bool { return k.ID == old.ID && k.Connection == conn.ID })
	}
	return nil
}

func (b *Broker) lastUse(c store.Child) time.Time {
	if at := b.children.usedAt(c.ID); at.After(c.Used) {
		return at
	}
	return c.Used
}

// soonest returns the earlier of two moments.
func soonest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// rights remember what providers said that people may do.
type rightKey struct {
	connection int64 // 0: the content App's own look
	host       string
	version    int64
	repo       string
}

const maxRights = 50_000

// right asks what the connection's owner may do with the repository.
func (b *Broker) right(ctx context.Context, g *guarded, led ledger, conn store.Connection, grant daypass.Grant, repo daypass.Repo) (daypass.Right, error) {
	key := rightKey{conn.ID, conn.Host, conn.Account.ID, folded(repo)}
	if r, ok := b.rights.get(key, b.Now(), b.Limits.RightTTL); ok {
		return r, nil
	}
	var r daypass.Right
	err := g.call(ctx, "right", func(ctx context.Context) error {
		var err error
		r, err = g.RightTo(ctx, grant.Access, repo)
		return err
	})
	switch {
	case errors.Is(err, daypass.ErrSpent) && led == nil: // bridged
		b.bridged.drop(-conn.ID, conn.Host)
		return r, notConnected(conn.Host, "the token of the hub's login is no longer good; log in to the hub once more, or connect")
	case errors.Is(err, daypass.ErrSpent):
		return r, b.spent(ctx, g, led, conn, grant)
	case errors.Is(err, daypass.ErrNoSuchRepo), err == nil && (r.Access == daypass.NoAccess || r.Repo.ID == 0):
		return r, &Refusal{Problem: &daypass.Problem{
			Code: "DP-821", What: "your account " + conn.Account.Login + " reaches no repository " + repo.String() + " at " + conn.Host,
			Why:  "it does not exist, you may not see it, or the App is not installed on it",
			Next: "Open " + g.ReachURL() + " to see which repositories the App reaches, and to add one.",
			Who:  "The repository's owner can install the App there or invite you.", Kind: daypass.ErrRefused, Err: daypass.ErrNoSuchRepo,
		}}
	case err != nil:
		return r, providerProblem(conn.Host, err)
	}
	b.rights.put(key, r, b.Now(), maxRights)
	return r, nil
}

// pinned refuses a name that has come to another repository since it was first
// used: by the person (owner is their row) or, as the hub, by anybody (0).
func (b *Broker) pinned(ctx context.Context, c daypass.Caller, p store.Person, owner int64, ask Ask, now daypass.Repo) error {
	id, ok, err := b.Store.Pinned(ctx, owner, ask.Host, ask.Repo.Owner, ask.Repo.Name)
	if err == nil && !ok {
		err = b.Store.Write(ctx, func(tx *store.Tx) error {
			var err error
			if id, err = tx.Pin(owner, ask.Host, ask.Repo.Owner, ask.Repo.Name, now.ID); err != nil {
				return err
			}
			e := b.event(c, p, ask, store.Pinning)
			e.Outcome, e.RepoID = "ok", id
			tx.Record(e)
			return nil
		})
	}
	if err != nil {
		return storeProblem(err)
	}
	if id == now.ID {
		return nil
	}
	return &Refusal{Problem: &daypass.Problem{
		Code: "DP-822", What: "the name " + ask.Repo.String() + " belongs to another repository than it did before",
		Why:  "the one used first was renamed, moved or deleted, and the name was given away",
		Next: "If that is right, confirm the new one on the page of your access.",
		Who:  `As the hub: an admin confirms it with "daypass admin policy unpin".`, Kind: daypass.ErrRefused,
	}, Approve: owner != 0}
}

// visit counts the repositories that a server uses in a day. Past the limit the
// person has to say that they are at it themselves.
func (b *Broker) visit(ctx context.Context, c daypass.Caller, p store.Person, ask Ask, repo daypass.Repo) error {
	day := b.Now().UTC().Format("2006-01-02")
	seen, err := b.Store.Visits(ctx, p.ID, c.Server, day)
	if err != nil {
		return storeProblem(err)
	}
	if seen[store.RepoKey{Host: ask.Host, ID: repo.ID}] {
		return nil
	}
	if len(seen) >= b.Limits.ReposPerDay {
		ok, err := b.Store.Approved(ctx, p.ID, c.Server, day)
		if err != nil {
			return storeProblem(err)
		}
		if !ok {
			return &Refusal{Approve: true, Problem: &daypass.Problem{
				Code: "DP-823", What: "this server has used many repositories today, and one more needs your click",
				Why:  "a program that collects everything you can reach would look the same",
				Next: "If it is you, say so on the page of your access; it counts until midnight UTC.", Kind: daypass.ErrRefused,
			}}
		}
	}
	return storeProblem(b.Store.Write(ctx, func(tx *store.Tx) error {
		return tx.Visit(p.ID, c.Server, day, ask.Host, repo.ID)
	}))
}
