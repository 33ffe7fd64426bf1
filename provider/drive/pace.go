package drive

import (
	"context"
	"sync"
	"time"

	"github.com/daypass-dev/daypass/provider/readonly"
)

// UserUnits are the quota units that an account may spend in a minute.
const UserUnits = 325_000

// Pace keeps an account below its quota: half of it may be spent at once, and the rest
// comes back evenly, so that no minute holds more than all of it. It is a
// [daypass.Pace], shared by all who use the account.
type Pace struct {
	now  func() time.Time
	most float64 // at once
	rate float64 // units a second

	mu    sync.Mutex
	have  float64 // below 0: promised to those who wait
	at    time.Time
	until time.Time // nothing before this
}

// NewPace returns a pace of so many units a minute; 0 means [UserUnits].
func NewPace(perMinute int, now func() time.Time) *Pace {
	if perMinute <= 0 {
		perMinute = UserUnits
	}
	most := float64(perMinute) / 2
	return &Pace{now: now, most: most, rate: most / 60, have: most, at: now()}
}

// Wait returns when so many units may be spent.
func (p *Pace) Wait(ctx context.Context, units int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := readonly.Wait(ctx, p.take(float64(units)), p.paused)
	if err != nil {
		p.give(float64(units))
	}
	return err
}

// take promises units, and says how long it is until they are there.
func (p *Pace) take(units float64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.have = min(p.most, p.have+now.Sub(p.at).Seconds()*p.rate) - units
	p.at = now
	wait := p.until.Sub(now)
	if p.have < 0 {
		wait = max(wait, time.Duration(-p.have/p.rate*float64(time.Second)))
	}
	return wait
}

func (p *Pace) give(units float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.have += units
}

func (p *Pace) paused() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until.Sub(p.now())
}

// Slow makes everybody wait.
func (p *Pace) Slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := p.now().Add(min(d, time.Hour)); until.After(p.until) {
		p.until = until
	}
}
