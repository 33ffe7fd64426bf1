package broker

import (
	"context"
	"errors"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// A LinkCopy is one link of several that are copied: which, and what the new one is
// called.
type LinkCopy struct{ Like, Name string }

// maxCopies is how many links are copied at once: each source is looked at anew.
const maxCopies = 30

// CopyLinks makes links like others of the caller's, all of them or none: with another
// group and other dates, as [Broker.CopyLink] does one.
func (b *Broker) CopyLinks(ctx context.Context, c daypass.Caller, copies []LinkCopy, ask LinkAsk) ([]LinkView, error) {
	q := &wanting{c: c, request: ask.Request, kind: policy.Own}
	var links []store.Link
	var asked []*wanting
	err := error(nil)
	if len(copies) == 0 || len(copies) > maxCopies || ask.Source != nil {
		err = &daypass.Problem{Code: "DP-739", What: "one to thirty links are copied at once", Next: "Copy them in several goes.", Kind: daypass.ErrUsage}
	} else if q.p, err = b.linker(ctx, c); err == nil {
		err = b.roomForLinks(ctx, q.p, len(copies))
	}
	for _, one := range copies {
		if err != nil {
			break
		}
		q = &wanting{c: c, p: q.p, request: ask.Request, kind: policy.Own, named: one.Name}
		more := ask
		more.Name = one.Name
		var l store.Link
		l, err = b.asked(ctx, q, &more, b.like(ctx, one.Like, &more))
		links, asked = append(links, l), append(asked, q)
	}
	if err == nil {
		links, err = b.keepLinks(ctx, asked, links, store.Linked)
	}
	if err != nil {
		return nil, b.refuseReading(ctx, q, err)
	}
	var out []LinkView
	for _, l := range links {
		v, err := b.view(ctx, l, q.p)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// like begins a link as another of somebody's is, but for its dates, a pause and the
// invitation. That of last term leads into last term's class, and nobody would see why a
// copy that was accepted is not there; without one, who has no copy is told to ask.
func (b *Broker) like(ctx context.Context, name string, ask *LinkAsk) func(store.Person) (store.Link, error) {
	return func(p store.Person) (store.Link, error) {
		l, err := b.own(ctx, p, name)
		if err == nil && ask.Source == nil {
			ask.Source = &l.Source // the right to it is looked at anew
		}
		l.Accept = ""
		l.ID, l.Name, l.Paused, l.Ended, l.From, l.Until = 0, ask.Name, false, time.Time{}, time.Time{}, b.Now().Add(b.Sources.Links.Max)
		return l, err
	}
}

// keepLinks writes links with their events, all or none.
func (b *Broker) keepLinks(ctx context.Context, asked []*wanting, links []store.Link, kind store.Kind) ([]store.Link, error) {
	out := make([]store.Link, len(links))
	at := 0
	err := b.Store.Write(ctx, func(tx *store.Tx) (err error) {
		for at = range links {
			l := links[at]
			if l.ID == 0 {
				out[at], err = tx.PutLink(l)
			} else {
				out[at], err = tx.ChangeLink(l, l.Changed)
			}
			if err != nil {
				return err
			}
			tx.Record(b.linkEvent(asked[at], l, kind))
		}
		return nil
	})
	b.linked.drop()
	switch {
	case errors.Is(err, store.ErrTaken):
		return nil, b.nameTaken(ctx, asked[at], links[at].Name)
	case errors.Is(err, store.ErrNone):
		return nil, &daypass.Problem{Code: "DP-733", What: "the link was changed or ended meanwhile", Next: "Look at it again, and then change it.", Kind: daypass.ErrRefused}
	}
	return out, storeProblem(err)
}

// linkEvent says what is written of a link.
func (b *Broker) linkEvent(q *wanting, l store.Link, kind store.Kind) store.Event {
	e := b.readEvent(q, kind)
	e.Outcome, e.Host, e.Repo, e.RepoID, e.As, e.Until = store.OK, l.Source.Host, l.Source.ID, l.Repo, plainAs(l.As), l.Until
	e.Why = "link " + l.Name + " for " + audience(l) + ": " + l.Source.String()
	if l.Paused {
		e.Why += ", paused"
	}
	if l.Accept != "" {
		e.Why += ", accepted at " + l.Accept
	}
	return e
}
