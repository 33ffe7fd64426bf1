package broker

import (
	"context"
	"time"
)

// Compare does what is done once a day, and every minute, with the hub's list of
// users.
func (b *Broker) Compare(ctx context.Context) {
	b.compare(ctx, true)
}

// Span writes a length of time in words.
func Span(d time.Duration) string { return span(d) }
