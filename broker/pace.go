package broker

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// How often one person may make us ask a provider: forty times at once, and then
// every two seconds. GitHub takes eighty requests a minute that make something,
// from all people of an App together ("Rate limits for the REST API", secondary
// limits); a program that runs through repositories must not use them up.
const (
	paceAtOnce = 40
	paceEvery  = 2 * time.Second
)

// A pace holds each person to that. What is given again from memory costs
// nothing.
type pace struct {
	mu       sync.Mutex
	byPerson map[int64]*rate.Limiter
}

func (b *Broker) paced(p store.Person, host string) error {
	b.pace.mu.Lock()
	defer b.pace.mu.Unlock()
	l := b.pace.byPerson[p.ID]
	if l == nil {
		if len(b.pace.byPerson) >= maxPeople {
			clear(b.pace.byPerson)
		}
		l = rate.NewLimiter(rate.Every(paceEvery), paceAtOnce)
		b.pace.byPerson[p.ID] = l
	}
	if l.AllowN(b.Now(), 1) {
		return nil
	}
	return &Refusal{RetryAfter: paceEvery, Problem: &daypass.Problem{
		Code: "DP-838", What: "many different tokens for " + host + " were asked for in your name in a short time",
		Why: host + " lets this hub make so many, and no more", Next: "Try again in a few seconds. If it is not you, look at your activity.", Kind: daypass.ErrUnreachable,
	}}
}
