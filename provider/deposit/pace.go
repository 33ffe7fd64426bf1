package deposit

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/daypass-dev/daypass/provider/readonly"
)

// A Pace lets so many requests through at once, and then one in each while. It is a
// [daypass.Pace], for all who ask one site from here.
type Pace struct {
	every time.Duration
	burst int
	now   func() time.Time

	mu    sync.Mutex
	due   time.Time // when the next would be, were there no burst
	until time.Time // nothing before this
}

// NewPace returns a pace; every 0 means that only [Pace.Slow] holds it up.
func NewPace(every time.Duration, burst int, now func() time.Time) *Pace {
	return &Pace{every: every, burst: burst, now: now}
}

// Wait returns when a request may be made.
func (p *Pace) Wait(ctx context.Context, units int) error {
	if err := ctx.Err(); err != nil || units <= 0 {
		return err
	}
	err := readonly.Wait(ctx, p.take(units), p.paused)
	if errors.Is(err, context.DeadlineExceeded) {
		p.give(units)
	}
	return err
}

func (p *Pace) take(units int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	slack := p.every * time.Duration(p.burst-1)
	if p.due.Before(now.Add(-slack)) {
		p.due = now.Add(-slack)
	}
	wait := max(p.due.Sub(now), p.until.Sub(now))
	p.due = p.due.Add(p.every * time.Duration(units))
	return wait
}

// give takes back what was promised and is not used.
func (p *Pace) give(units int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = p.due.Add(-p.every * time.Duration(units))
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
	if at := p.now().Add(d); at.After(p.until) {
		p.until = at
	}
}
