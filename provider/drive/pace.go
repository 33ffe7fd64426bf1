package drive

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/readonly"
)

// What may be spent in a minute, in quota units ("Usage limits" of May 2026). All that
// one service account asks counts as one user's.
const (
	UserUnits    = 325_000
	ProjectUnits = 1_000_000
)

// The usual numbers of those who read at once and know nothing of each other: a class
// of fifty, and as many accounts of one project as its quota feeds.
const (
	DefaultShare    = 50
	DefaultAccounts = 3
)

// A Share is who reads with the same quota at once, each by itself: such as the programs
// of a class that has the account's key and no service that reads for all.
type Share struct {
	By       int // how many read as this account; 0 means [DefaultShare]
	Accounts int // how many accounts of its project are read so; 0 means [DefaultAccounts]
}

// Units are what one of them may spend in a minute.
func (s Share) Units() int {
	if s.By <= 0 {
		s.By = DefaultShare
	}
	if s.Accounts <= 0 {
		s.Accounts = DefaultAccounts
	}
	return max(1, min(UserUnits/s.By, ProjectUnits/(s.By*s.Accounts)))
}

// window is the minute that a quota is for, and a little: a request arrives later than
// it was made, and the next one may be quicker.
const window = 66 * time.Second

// A Project is the quota of a project of Google's cloud, for all of its accounts.
type Project struct {
	now   func() time.Time
	units *quota
}

// NewProject returns a project of so many units a minute; 0 means [ProjectUnits].
func NewProject(perMinute int, now func() time.Time) *Project {
	if perMinute <= 0 {
		perMinute = ProjectUnits
	}
	return &Project{now: now, units: &quota{most: perMinute}}
}

// Account returns the pace of an account of the project, of so many units a minute; 0
// means [UserUnits].
func (p *Project) Account(perMinute int) *Pace {
	out := NewPace(perMinute, p.now)
	out.of = append(out.of, p.units)
	return out
}

// Pace keeps an account below its quota, and below that of its project: no minute,
// wherever it begins, holds more. It is a [daypass.Pace], shared by all who use the
// account. Where Drive refuses nevertheless, because others spend too, all pause, and
// then spend half of what they did, and a little more each minute after.
type Pace struct {
	now   func() time.Time
	of    []*quota      // its own first
	files chan struct{} // the turn of the next file
	turn  chan struct{} // and of anything else
	book  *book         // nil: nobody else's processes

	mu     sync.Mutex
	queued int // units of all who wait
	until  time.Time
	share  float64 // of the quota, when it was last cut
	cut    time.Time
}

var _ daypass.Pace = (*Pace)(nil)

// NewPace returns a pace of so many units a minute; 0 means [UserUnits].
func NewPace(perMinute int, now func() time.Time) *Pace {
	if perMinute <= 0 {
		perMinute = UserUnits
	}
	return &Pace{now: now, of: []*quota{{most: perMinute}}, files: make(chan struct{}, 1), turn: make(chan struct{}, 1), share: 1}
}

// Wait returns when so many units may be spent. It gives up at once where the context
// would end before.
func (p *Pace) Wait(ctx context.Context, units int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ahead := p.queue(units)
	defer p.queue(-units)
	if end, ok := ctx.Deadline(); ok && time.Until(end) < p.least(ahead) {
		return context.DeadlineExceeded
	}
	turn := p.turn
	if units >= fileUnits {
		turn = p.files
	}
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-turn }()
	return readonly.Wait(ctx, p.take(units), func() time.Duration { return p.take(units) })
}

// queue counts who waits, and says how many units that are in all.
func (p *Pace) queue(units int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queued += units
	return p.queued
}

// least is how long it is at least until so many units are there.
func (p *Pace) least(units int) time.Duration {
	now := p.now()
	wait, _ := p.limits(now)
	q := p.of[0]
	q.Lock()
	defer q.Unlock()
	if over := units - q.most; over > 0 {
		wait = max(wait, window*time.Duration(over/q.most))
	}
	return max(wait, q.wait(now, min(units, q.most), q.most))
}

// limits says for how long nothing may be spent, and which share of the quota after that.
func (p *Pace) limits(now time.Time) (time.Duration, float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until.Sub(now), p.shared(now)
}

func (p *Pace) shared(now time.Time) float64 {
	return min(1, p.share+now.Sub(p.cut).Minutes()/8)
}

// take spends units where all quotas have them, and says how long it is until they may
// be there where not.
func (p *Pace) take(units int) time.Duration {
	now := p.now()
	wait, share := p.limits(now)
	if wait > 0 {
		return wait
	}
	for n, q := range p.of {
		q.Lock()
		defer q.Unlock()
		most := q.most
		if n == 0 { // a project's others have not been refused
			most = max(1, int(float64(most)*share))
		}
		wait = max(wait, q.wait(now, units, forUnits(most, units)))
	}
	if wait <= 0 && p.book != nil {
		wait = p.book.take(units, forUnits(p.of[0].most, units))
	}
	if wait > 0 {
		if len(p.of) > 1 || p.book != nil { // others wait for the same moment
			wait += rand.N(100 * time.Millisecond)
		}
		return wait
	}
	for _, q := range p.of {
		q.add(now, units)
	}
	return 0
}

// fileUnits is what a file costs. Looks and lists cost less, and people wait for them:
// files leave them a hundredth of the quota.
const fileUnits = 200

func forUnits(most, units int) int {
	if units >= fileUnits {
		most -= most / 100
	}
	return most
}

// Slow makes everybody wait.
func (p *Pace) Slow(d time.Duration) {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	d = min(d, time.Hour)
	if until := now.Add(d); until.After(p.until) {
		p.until = until
	}
	if now.Sub(p.cut) > 10*time.Second || p.cut.IsZero() { // those under way are refused together
		p.share, p.cut = max(1.0/64, p.shared(now)/2), now
	}
	if p.book != nil {
		p.book.slow(d)
	}
}

// A quota remembers what was spent in a [window].
type quota struct {
	sync.Mutex
	most  int
	spent []spending // oldest first
}

// A spending is what was spent in a part of a second.
type spending struct {
	At    time.Time `json:"at"`
	Units int       `json:"units"`
}

// wait is how long it is until units may be spent beside what was, of so many. What is
// more than all may be spent where nothing else was.
func (q *quota) wait(now time.Time, units, most int) time.Duration {
	for len(q.spent) > 0 && now.Sub(q.spent[0].At) >= window {
		q.spent = q.spent[1:]
	}
	return waitFor(q.spent, now, units, most)
}

func waitFor(spent []spending, now time.Time, units, most int) time.Duration {
	free := most
	for _, s := range spent {
		free -= s.Units
	}
	if units <= free {
		return 0
	}
	for i, s := range spent {
		if free += s.Units; units <= free || i == len(spent)-1 {
			return s.At.Add(window).Sub(now)
		}
	}
	return 0
}

// add notes what was spent now: together with what was a moment ago, at the later time.
func (q *quota) add(now time.Time, units int) { q.spent = noted(q.spent, now, units) }

// moment is how exactly times are kept.
const moment = 250 * time.Millisecond

func noted(spent []spending, now time.Time, units int) []spending {
	if n := len(spent) - 1; n >= 0 && now.Sub(spent[n].At.Truncate(moment)) < moment {
		spent[n] = spending{now, spent[n].Units + units}
		return spent
	}
	return append(spent, spending{now, units})
}
