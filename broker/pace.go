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

func (p *pace) allow(person int64, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.byPerson[person]
	if l == nil {
		if p.byPerson == nil || len(p.byPerson) >= maxPeople {
			p.byPerson = map[int64]*rate.Limiter{}
		}
		l = rate.NewLimiter(rate.Every(paceEvery), paceAtOnce)
		p.byPerson[person] = l
	}
	return l.AllowN(now, 1)
}

// pacedLook is paced for sources that somebody names themself: each may be another
// that has to be looked at, fetched and kept.
func (b *Broker) pacedLook(p store.Person) error {
	if b.looks.allow(p.ID, b.Now()) {
		return nil
	}
	return &Refusal{RetryAfter: paceEvery, Problem: &daypass.Problem{
		Code: "DP-748", What: "many sources were looked at in your name in a short time", Next: "Try again in a few seconds. If it is not you, look at your activity.", Kind: daypass.ErrUnreachable,
	}}
}

func (b *Broker) paced(p store.Person, host string) error {
	if b.pace.allow(p.ID, b.Now()) {
		return nil
	}
	return &Refusal{RetryAfter: paceEvery, Problem: &daypass.Problem{
		Code: "DP-838", What: "many different tokens for " + host + " were asked for in your name in a short time",
		Why: host + " lets this hub make so many, and no more", Next: "Try again in a few seconds. If it is not you, look at your activity.", Kind: daypass.ErrUnreachable,
	}}
}
