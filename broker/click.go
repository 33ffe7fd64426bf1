package broker

import (
	"context"
	"strconv"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// writingFrom says, for the activity, from where writing was allowed. A server
// that is named like a word of ours is told from it by the quotation marks.
func writingFrom(s daypass.Server) string {
	switch {
	case !s.Known:
		return "writing, from servers that the hub cannot tell apart"
	case s.Name == "":
		return "writing, from the default server"
	}
	return "writing, from the server " + strconv.QuoteToASCII(s.Name)
}

// MayWrite reports whether the person allowed a server to write, in a browser and
// lately enough; where no click is asked for, always.
func (b *Broker) MayWrite(ctx context.Context, person int64, s daypass.Server) (bool, error) {
	if b.Limits.WriteClick <= 0 {
		return true, nil
	}
	list, err := b.Store.Events(ctx, store.EventFilter{Person: person, Kind: store.Approved, Since: b.Now().Add(-b.Limits.WriteClick), Limit: 500})
	for _, e := range list {
		if e.Access == daypass.Write.String() && e.Why == writingFrom(s) && !e.At.After(b.Now()) {
			return true, nil
		}
	}
	return false, storeProblem(err)
}

// clicked refuses a token that writes where the person has not said, in a browser
// and lately, that this server may: whoever else has the server's token, or made
// one for them, has no browser session of theirs.
func (b *Broker) clicked(ctx context.Context, q asking, access daypass.Access) error {
	if access < daypass.Write || q.ask.pass.clicked(b.Now(), b.Limits.WriteClick) {
		return nil
	}
	ok, err := b.MayWrite(ctx, q.p.ID, q.c.Server)
	if err != nil || ok {
		return err
	}
	return &Refusal{Approve: true, Problem: &daypass.Problem{
		Code: "DP-850", What: "writing from this server needs your click",
		Why:  "the hub's admins ask for one every " + days(b.Limits.WriteClick),
		Next: "Allow it on the page of your access, then do this again.", Kind: daypass.ErrRefused,
	}}
}

// AllowWrites lets one server write, for as long as the admins say.
func (b *Broker) AllowWrites(ctx context.Context, c daypass.Caller, s daypass.Server, request string) error {
	if c.Via != daypass.ViaBrowser {
		return needBrowser()
	}
	p, err := b.themself(ctx, c)
	if err != nil {
		return err
	}
	e := b.event(c, p, Ask{Access: daypass.Write, Request: request}, store.Approved)
	e.Outcome, e.Server, e.Why = store.OK, s.String(), writingFrom(s)
	_, err = b.Store.Record(ctx, e)
	return storeProblem(err)
}
