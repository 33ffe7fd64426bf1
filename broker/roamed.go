package broker

import (
	"context"
	"fmt"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// Roamed writes into the activity that a token of the caller's hub was seen from
// more addresses within an hour than one server has, so that its person finds it.
// Nothing is refused by it.
func (b *Broker) Roamed(ctx context.Context, c daypass.Caller, addresses int, request string) error {
	if byPass(c) {
		return notByPass()
	}
	p, err := b.personRow(ctx, c.User)
	if err != nil {
		return err
	}
	_, err = b.Store.Record(ctx, store.Event{
		At: b.Now(), Kind: store.SignIn, Person: p.ID, Hub: c.User.Hub, User: c.User.Name, Server: c.Server.String(), Via: c.Via.String(), Outcome: store.OK,
		Why:     fmt.Sprintf("its token was used from %d addresses within an hour; if you do not know why, stop it, and tell the hub's admins", addresses),
		Request: request,
	})
	return storeProblem(err)
}
