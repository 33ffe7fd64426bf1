package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// auditEvery is how often the same difference is told of the same person.
const auditEvery = time.Hour

// A difference is what two sets of rules answer to a person.
type difference struct {
	person     int64
	host, repo string
	now, then  string // what is in force, and what the audit rules say
}

// differences remembers which were told lately.
type differences struct {
	mu   sync.Mutex
	told map[difference]time.Time
}

// maxDifferences bounds the memory.
const maxDifferences = 10_000

// fresh reports whether a difference was not told within the hour, and notes it.
func (d *differences) fresh(x difference, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at, ok := d.told[x]; ok && now.Sub(at) < auditEvery && !now.Before(at) {
		return false
	}
	if d.told == nil || len(d.told) >= maxDifferences {
		d.told = map[difference]time.Time{}
	}
	d.told[x] = now
	return true
}

// audit asks the second set of rules and tells where it would have answered
// otherwise, also where only the time is another. It never changes an answer.
func (b *Broker) audit(ctx context.Context, c daypass.Caller, p store.Person, ask Ask, kind policy.ServerKind, ways []way) {
	if b.Audit == nil {
		return
	}
	others, no := b.ways(ctx, b.Audit, c, ask, kind)
	if slices.EqualFunc(ways, others, sameWay) {
		return
	}
	rule := no.Rule
	if len(others) > 0 {
		rule = others[0].verdict.Rule
	}
	x := difference{p.ID, ask.Host, folded(ask.Repo), words(ways), words(others)}
	if !b.audited.fresh(x, b.Now()) {
		return
	}
	e := b.event(c, p, ask, store.AuditDifference)
	e.Outcome, e.Rule, e.Why = store.OK, rule, "the rules say: "+x.now+"; the audit rules would say: "+x.then
	if _, err := b.Store.Record(ctx, e); err != nil {
		b.Log.Warn("the audit rules' difference was not recorded", "err", err)
	}
}

func sameWay(x, y way) bool {
	return x.as == y.as && x.verdict.Access == y.verdict.Access && x.verdict.Max == y.verdict.Max
}

// words says what ways give.
func words(ways []way) string {
	if len(ways) == 0 {
		return "no"
	}
	text := ""
	for i, w := range ways {
		if i > 0 {
			text += ", else "
		}
		text += fmt.Sprintf("%s as the %s for %s", w.verdict.Access, w.as, w.verdict.Max)
	}
	return text
}
