package broker

import (
	"context"
	"sync"
	"time"

	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

// fetchedFor is how long a file is the same use of a pass: a download that broke off
// is asked for again.
const fetchedFor = 10 * time.Minute

// A fetching is a file that was given for a pass that counts its uses.
type fetching struct {
	link pass.Link // the pass as it was shown
	pack string
}

type fetches struct {
	mu sync.Mutex
	at map[fetching]time.Time
}

func (f *fetches) has(k fetching, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.at[k]
	age := now.Sub(at)
	return ok && age >= 0 && age < fetchedFor
}

func (f *fetches) add(k fetching, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for old, at := range f.at {
		if age := now.Sub(at); age < 0 || age >= fetchedFor {
			delete(f.at, old)
		}
	}
	if f.at == nil || len(f.at) >= maxPeople {
		f.at = map[fetching]time.Time{}
	}
	f.at[k] = now
}

// fetching is the file that a pass with a number of uses is shown for; false: there is
// no such pass, or no file.
func (q *wanting) fetching() (fetching, bool) {
	if q.pass.countless() || q.pack == "" {
		return fetching{}, false
	}
	return fetching{q.pass.Last(), q.pack}, true
}

// recordReading writes the event of a yes. A pull is one use of a pass: its file counts,
// and what is asked before it only needs one to be left.
func (b *Broker) recordReading(ctx context.Context, q *wanting, e store.Event) (store.EventID, error) {
	file, counts := q.fetching()
	if counts = counts && !b.fetched.has(file, b.Now()); counts || q.pass.countless() {
		id, err := b.record(ctx, q.pass, e)
		if err == nil && counts {
			b.fetched.add(file, b.Now())
		}
		return id, err
	}
	var id store.EventID
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		id = tx.Record(e)
		return q.pass.alive(tx)
	})
	return id, storeProblem(err)
}
