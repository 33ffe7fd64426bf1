package main

import (
	"context"
	"net/netip"

	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

// endShownToken ends a pass of the index for whoever shows it.
func (svc *service) endShownToken(ctx context.Context, p pass.Pass, from netip.Addr) (string, error) {
	e := store.Event{Via: "devpi"}
	if from.IsValid() {
		e.Why = "from " + from.String()
	}
	id, err := svc.book.EndShown(ctx, p, e)
	return string(id), err
}
