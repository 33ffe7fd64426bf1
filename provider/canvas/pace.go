package canvas

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/daypass-dev/daypass/provider/readonly"
)

// Canvas's bucket holds 600 units for each token and leaks ten a second; each request
// takes 50 while it is under way (doc "Throttling").
const (
	atOnce = 4   // requests under way
	low    = 200 // units left from which on we wait
	leak   = 10  // units a second
)

// Pace keeps one token below its limits: four requests at a time, and none while the
// bucket is nearly full. It is a [daypass.Pace], shared by all who use the token.
type Pace struct {
	now   func() time.Time
	slots chan struct{}
	mu    sync.Mutex
	until time.Time // nothing before this
}

// NewPace returns a pace for one token.
func NewPace(now func() time.Time) *Pace { return &Pace{now: now, slots: make(chan struct{}, atOnce)} }

// enter waits for its turn; leave may be called more than once.
func (p *Pace) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.slots <- struct{}{}:
		return sync.OnceFunc(func() { <-p.slots }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Wait returns when a request may be made.
func (p *Pace) Wait(ctx context.Context, _ int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return readonly.Wait(ctx, p.paused(), p.paused)
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

// heard waits for the bucket to leak, where an answer says that little room is left.
func (p *Pace) heard(h http.Header) {
	left, err := strconv.ParseFloat(h.Get("X-Rate-Limit-Remaining"), 64)
	if err == nil && left < low {
		p.Slow(time.Duration(min(low-left, 600) / leak * float64(time.Second)))
	}
}
