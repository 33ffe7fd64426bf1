package broker

import "context"

// Compare does what is done once a day, and every minute, with the hub's list of
// users.
func (b *Broker) Compare(ctx context.Context) {
	b.compare(ctx, true)
}
