package broker

import (
	"context"
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/daypass-dev/daypass"
)

// A guarded issuer is asked no more while its provider is down: after five
// failures in half a minute it is left alone for half a minute, and then asked
// once. Each provider has its own, so that one outage touches only its own
// users.
type guarded struct {
	daypass.Issuer
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	observe Observe
}

const (
	breakerFailures = 5
	breakerWindow   = 30 * time.Second
)

func (b *Broker) guard(is daypass.Issuer) *guarded {
	host := is.Host()
	return &guarded{Issuer: is, observe: b.Observe, breaker: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: host, MaxRequests: 1, Interval: breakerWindow, Timeout: breakerWindow,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.TotalFailures >= breakerFailures },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			b.Log.Warn("provider", "host", host, "circuit", to.String())
			if b.Observe.Breaker != nil {
				b.Observe.Breaker(host, to == gobreaker.StateOpen)
			}
		},
	})}
}

// call runs one request to the provider. An answer that says no is an answer:
// only a provider that cannot be reached, or that fails, counts against it.
func (g *guarded) call(ctx context.Context, name string, f func(context.Context) error) error {
	done, err := g.breaker.Allow()
	if err != nil {
		return errors.Join(daypass.ErrUnreachable, err)
	}
	start := time.Now()
	err = f(ctx)
	outcome := "ok"
	switch {
	case err == nil:
		done(nil)
	case failing(err):
		outcome = "failed"
		if errors.Is(ctx.Err(), context.Canceled) {
			done(nil) // the caller went away
			break
		}
		done(err)
	default:
		outcome = "refused"
		done(nil)
	}
	if g.observe.Provider != nil {
		g.observe.Provider(g.Host(), name, outcome, time.Since(start))
	}
	return err
}

// failing reports whether an error says nothing about what was asked.
func failing(err error) bool {
	for _, no := range []error{daypass.ErrSpent, daypass.ErrNoSuchRepo, daypass.ErrRefused, daypass.ErrLimited} {
		if errors.Is(err, no) {
			return false
		}
	}
	return true
}
