package broker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// MayShare reports whether the caller is in one of the groups whose members may
// share.
func (b *Broker) MayShare(c daypass.Caller) bool {
	return !byPass(c) && slices.ContainsFunc(c.Groups, func(g string) bool { return slices.Contains(b.Sharing, g) })
}

// Share lets a group of the hub read a repository until a date, as the hub. The
// caller's own connection has to show that they administer it.
func (b *Broker) Share(ctx context.Context, c daypass.Caller, host string, repo daypass.Repo, group string, until time.Time, request string) (store.Share, error) {
	ask := Ask{Host: host, Repo: repo, Access: daypass.Read, Request: request}
	p, err := b.themself(ctx, c)
	if err == nil {
		err = b.mayShareUntil(c, group, until)
	}
	if err != nil {
		return store.Share{}, b.refuse(ctx, c, p, ask, "", err)
	}
	right, err := b.administers(ctx, p, ask)
	if err != nil {
		return store.Share{}, b.refuse(ctx, c, p, ask, "", err)
	}
	s := store.Share{Person: p.ID, Hub: c.User.Hub, Host: host, Repo: right.Repo, Group: group, Until: until, Created: b.Now()}
	e := b.event(c, p, ask, store.Shared)
	e.Outcome, e.RepoID, e.Until, e.Rule, e.Why = store.OK, right.Repo.ID, until, "sharing", "with the group "+group
	err = b.Store.Write(ctx, func(tx *store.Tx) error {
		var err error
		if s, err = tx.PutShare(s); err == nil {
			tx.Record(e)
		}
		return err
	})
	b.shareds.drop()
	return s, storeProblem(err)
}

func (b *Broker) mayShareUntil(c daypass.Caller, group string, until time.Time) error {
	p := &daypass.Problem{Code: "DP-834", Kind: daypass.ErrRefused}
	switch {
	case c.Via != daypass.ViaBrowser:
		return needBrowser()
	case !b.MayShare(c):
		p.What = "you may not share repositories here"
		p.Next = "Ask the hub's admins."
		p.Who = `Admins name the groups of instructors under "sharing".`
	case group == "" || len(group) > 200:
		p.What, p.Next = "a share needs a group of the hub", "Name the group."
	case !until.After(b.Now()), until.Sub(b.Now()) > b.Limits.MaxShare:
		p.What = "a share has to end, and within " + days(b.Limits.MaxShare)
		p.Next = "Choose a date before that."
	default:
		return nil
	}
	return p
}

// administers asks the provider, by the person's own connection and not from
// memory.
func (b *Broker) administers(ctx context.Context, p store.Person, ask Ask) (daypass.Right, error) {
	g, ok := b.issuers[ask.Host]
	if !ok {
		return daypass.Right{}, unknownHost(ask.Host)
	}
	led := b.ledger()
	conn, err := led.find(ctx, p.ID, ask.Host)
	if err != nil {
		return daypass.Right{}, gone(ask.Host, err)
	}
	conn, grant, err := b.access(ctx, g, led, conn)
	if err != nil {
		return daypass.Right{}, err
	}
	var r daypass.Right
	err = g.call(ctx, "right", func(ctx context.Context) error {
		var err error
		r, err = g.RightTo(ctx, grant.Access, ask.Repo)
		return err
	})
	if errors.Is(err, daypass.ErrSpent) {
		return r, b.spent(ctx, g, led, conn, grant)
	}
	if err != nil && !errors.Is(err, daypass.ErrNoSuchRepo) {
		return r, providerProblem(ask.Host, err)
	}
	if err != nil || !r.Admin || r.Repo.ID == 0 {
		return r, &daypass.Problem{
			Code: "DP-835", What: "you do not administer " + ask.Repo.String() + " at " + ask.Host + ", as far as your connection shows",
			Next: "Ask somebody who does, or have the App installed on it.", Kind: daypass.ErrRefused,
		}
	}
	return r, nil
}

// SharesFor lists what the caller shares and what is shared with their groups.
func (b *Broker) SharesFor(ctx context.Context, c daypass.Caller) ([]store.Share, error) {
	p, err := b.themself(ctx, c)
	if err != nil {
		return nil, err
	}
	list, err := b.Store.Shares(ctx, store.ShareFilter{Hub: c.User.Hub, LiveAt: b.Now()})
	list = slices.DeleteFunc(list, func(s store.Share) bool {
		return s.Person != p.ID && !slices.Contains(c.Groups, s.Group)
	})
	return list, storeProblem(err)
}

// EndShare ends one of the caller's own shares, and what was given by it.
func (b *Broker) EndShare(ctx context.Context, c daypass.Caller, id int64, request string) error {
	p, err := b.themself(ctx, c)
	if err != nil {
		return err
	}
	list, err := b.Store.Shares(ctx, store.ShareFilter{ID: id, Person: p.ID})
	if err != nil {
		return storeProblem(err)
	}
	if len(list) != 1 {
		return &daypass.Problem{Code: "DP-836", What: "you have no such share", Next: "Look at the list again.", Kind: daypass.ErrRefused}
	}
	s := list[0]
	e := b.event(c, p, Ask{Host: s.Host, Repo: s.Repo, Access: daypass.Read, Request: request}, store.ShareEnded)
	e.Outcome, e.Why = store.OK, "with the group "+s.Group
	err = b.Store.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.EndShare(id, b.Now()); err != nil {
			return err
		}
		tx.Record(e)
		given, err := tx.Children(store.ChildFilter{AsHub: true, Host: s.Host})
		if err != nil {
			return err
		}
		var ids []int64
		for _, ch := range given {
			if ch.Repo.ID == s.Repo.ID && !ch.Ending {
				ids = append(ids, ch.ID)
			}
		}
		return tx.EndChildren(ids, "the share was ended")
	})
	if err != nil {
		return storeProblem(err)
	}
	b.shareds.drop()
	b.children.drop(func(k childKey, v *kept) bool { return k.person == 0 && v.Repo.ID == s.Repo.ID && v.Host == s.Host })
	b.work()
	return nil
}

// Approve lets one server use more repositories than the limit, until midnight
// UTC.
func (b *Broker) Approve(ctx context.Context, c daypass.Caller, server daypass.Server, request string) error {
	if c.Via != daypass.ViaBrowser {
		return needBrowser()
	}
	p, err := b.themself(ctx, c)
	if err != nil {
		return err
	}
	e := b.event(c, p, Ask{Request: request}, store.Approved)
	e.Outcome, e.Server = store.OK, server.String()
	day := b.Now().UTC().Format("2006-01-02")
	return storeProblem(b.Store.Write(ctx, func(tx *store.Tx) error {
		tx.Record(e)
		return tx.Approve(p.ID, server, day)
	}))
}

// Confirm lets a name mean, for the caller, the repository that bears it now.
func (b *Broker) Confirm(ctx context.Context, c daypass.Caller, host string, repo daypass.Repo, request string) error {
	if c.Via != daypass.ViaBrowser {
		return needBrowser()
	}
	p, err := b.themself(ctx, c)
	if err != nil {
		return err
	}
	e := b.event(c, p, Ask{Host: host, Repo: repo, Request: request}, store.Pinning)
	e.Outcome, e.Why = store.OK, "the name may mean another repository from now on"
	return storeProblem(b.Store.Write(ctx, func(tx *store.Tx) error {
		tx.Record(e)
		_, err := tx.Unpin(p.ID, host, repo.Owner, repo.Name)
		return err
	}))
}
