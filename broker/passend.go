package broker

import (
	"context"

	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

// End ends a pass, and with it all that were narrowed from it. False: there is no
// such pass, or it had ended.
func (b *PassBook) End(ctx context.Context, user, id, why string, e store.Event) (bool, store.EventID, error) {
	var ended bool
	var event store.EventID
	err := b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		ended, event = false, ""
		for _, k := range b.keys(user, id) {
			ok, err := tx.EndPass(b.realm(k), user, id, why)
			if err != nil {
				return err
			}
			if ok {
				ended, event = true, b.recordEnd(tx, e, store.Pass{Realm: b.realm(k), User: user, ID: id}, why)
				return nil
			}
		}
		return nil
	})
	for _, k := range b.keys(user, id) {
		b.dropKey(k)
	}
	return ended && err == nil, event, storeProblem(err)
}

func (b *PassBook) recordEnd(tx *store.Tx, e store.Event, p store.Pass, why string) store.EventID {
	if e.At.IsZero() {
		e.At = b.Now()
	}
	e.Kind, e.Outcome, e.Why, e.Realm, e.Pass = store.PassEnded, store.OK, why, p.Realm, ref(p)
	if e.User == "" {
		e.User = p.User
	}
	return tx.Record(e)
}

// EndShown ends a pass that is shown, and all that were narrowed from it, whoever
// shows it: what it was narrowed from goes on, unless so many of the root were
// ended by themselves that its whole branch has to end (see [store.Tx.EndLink]). One that is over, or ended, is
// answered as an unknown one is.
func (b *PassBook) EndShown(ctx context.Context, p pass.Pass, e store.Event) (store.EventID, error) {
	s, err := b.Open(ctx, p)
	if err != nil {
		return "", err
	}
	why := "by whoever held it"
	if e.Why != "" {
		why += ", " + e.Why
	}
	e.Person = s.Row.Person
	if !s.Narrowed() {
		ok, id, err := b.End(ctx, s.Row.User, s.Row.ID, why, e)
		if err == nil && !ok {
			err = unknownPass() // somebody else was faster
		}
		return id, err
	}
	var id store.EventID
	err = b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		at, err := tx.EndLink(s.Row.Realm, s.Row.User, s.Row.ID, s.chain(p))
		e.Link = pass.Link(at.Link).Short()
		id = b.recordEnd(tx, e, s.Row, why)
		return err
	})
	b.dropKey(s.key())
	return id, storeProblem(err)
}

// chain is what narrowing added to a pass, each caveat with its link.
func (s *Shown) chain(p pass.Pass) []store.EndedLink {
	caveats, links := p.Caveats(), s.added()
	out := make([]store.EndedLink, len(links))
	for i, l := range links {
		out[i] = store.EndedLink{Link: l, Label: caveats[len(s.Row.Caveats)+i]}
	}
	return out
}
