package broker

import (
	"context"
	"fmt"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// Roamed writes into the activity that a token of the caller's hub, or a pass, was
// seen from more addresses within an hour than one server has, so that its person
// finds it. Nothing is refused by it, and nobody who asks is told anything: it is
// the one thing beside a credential that may be about a pass.
func (b *Broker) Roamed(ctx context.Context, c daypass.Caller, addresses int, request string) error {
	p, err := b.personRow(ctx, c.User)
	if err != nil {
		return err
	}
	e := store.Event{
		At: b.Now(), Kind: store.SignIn, Person: p.ID, Hub: c.User.Hub, User: c.User.Name, Server: c.Server.String(), Via: c.Via.String(), Outcome: store.OK,
		Why:     fmt.Sprintf("its token was used from %d addresses within an hour; if you do not know why, stop it, and tell the hub's admins", addresses),
		Request: request,
	}
	if byPass(c) {
		e.Kind, e.Realm, e.Pass, e.Link = store.PassUse, b.book.realm(bookKey{}), c.Pass.ID, c.Pass.Link[:min(16, len(c.Pass.Link))]
		e.Why = fmt.Sprintf("it was used from %d addresses within an hour; if you do not know why, end it on the page of your passes", addresses)
	}
	_, err = b.Store.Record(ctx, e)
	return storeProblem(err)
}
