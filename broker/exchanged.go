package broker

import (
	"context"
	"errors"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

const (
	viaExchange = "exchange"
	// exchangedPass is the longest life of a pass that a job gets for its own token.
	exchangedPass = 15 * time.Minute
)

// A Grant is what a rule of the exchange gives to a job whose token was looked at
// and is good.
type Grant struct {
	As      string // whose pass it is: a name at the hub
	Limits  pass.Limits
	For     time.Duration // 0 and more than 15 minutes: 15 minutes
	Label   string
	By      string // whose job, in words
	Rule    string // the rule of the exchange
	Request string
}

var errUnlimited = errors.New("a rule of the exchange names repositories or sources, and what it gives names none")

// MintExchanged makes a pass of a person of the hub's for a job. At use, the hub's
// rules count as for that person.
func (b *Broker) MintExchanged(ctx context.Context, g Grant) (Minted, error) {
	c := daypass.Caller{User: daypass.User{Hub: b.Hub.ID, Name: g.As}}
	p, err := b.exchanger(ctx, &c)
	if err == nil && g.Limits.Repos == nil && g.Limits.Sources == nil {
		err = badLimit(errUnlimited)
	}
	var m Minted
	if err == nil {
		e := b.event(c, p, Ask{Request: g.Request}, store.Exchanged)
		e.Via, e.Rule, e.Server = viaExchange, g.Rule, ""
		if g.For <= 0 || g.For > exchangedPass {
			g.For = exchangedPass
		}
		g.Limits.Expires = b.Now().Add(g.For)
		m, err = b.book.Mint(ctx, NewPass{Person: p.ID, Label: g.Label, Via: viaExchange, By: g.By, Limits: g.Limits, Event: e})
	}
	if err != nil {
		return Minted{}, b.refuse(ctx, c, p, Ask{Request: g.Request}, g.Rule, err)
	}
	return m, nil
}

// exchanger finds the person whom a rule names, as the hub knows them today.
func (b *Broker) exchanger(ctx context.Context, c *daypass.Caller) (store.Person, error) {
	if b.Hub.User == nil {
		return store.Person{}, hubProblem(nil)
	}
	u, ok, err := b.Hub.User(ctx, c.User.Name)
	if err != nil {
		return store.Person{}, hubProblem(err)
	}
	if !ok {
		return store.Person{}, &daypass.Problem{
			Code: "DP-176", What: "the rule gives passes of somebody whom the hub does not know", Next: "Ask the hub's admins, and name the rule.",
			Who: "Admins correct the name in the rule of the exchange.", Kind: daypass.ErrRefused,
		}
	}
	c.User.Created, c.Groups = u.Created, u.Groups
	return b.person(ctx, c.User)
}
