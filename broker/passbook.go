package broker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

// A PassConfig is what a book of passes works with.
type PassConfig struct {
	Log   *slog.Logger // nil: silent
	Store *store.DB
	Realm pass.Realm       // of a Hub or an Index; passes of all others are nobody's
	Now   func() time.Time // nil: time.Now
	Rand  io.Reader        // nil: crypto/rand

	// Plugin opens the tokens of a devpi server's own devpi-tokens too, once they
	// were imported; for an Index.
	Plugin bool
}

// A PassBook mints, lists, ends and judges the passes of one realm. It needs no
// Broker: a gateway's process has one by itself. It is safe for concurrent use.
type PassBook struct {
	PassConfig
	mu      sync.RWMutex
	entries map[bookKey]*bookEntry
	n       uint64 // of changes to what may be remembered
	looked  atomic.Int64
	spent   spentLinks
	touches touches
}

// A bookKey names a pass among those that a book opens.
type bookKey struct {
	plugin   bool
	user, id string
}

// A bookEntry is a pass that lies ready to be opened. It is not changed.
type bookEntry struct {
	row   store.Pass
	key   pass.Key
	ended []pass.Link
}

const (
	// maxBook bounds the memory: about 1 KiB each.
	maxBook = 32_768
	// bookTrust is how long what is remembered counts after the last look at what
	// other processes changed. Run looks twice in a second.
	bookTrust = 2 * time.Second
)

// NewPassBook returns a book. Until [PassBook.Run] follows what other processes
// change, nothing is remembered, and each pass is looked up in the store.
func NewPassBook(c PassConfig) *PassBook {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = randomness{}
	}
	return &PassBook{PassConfig: c, entries: map[bookKey]*bookEntry{}, touches: touches{by: map[bookKey]touch{}}, spent: spentLinks{at: map[pass.Link]bool{}}}
}

// realm is how the store names the table of a key's pass.
func (b *PassBook) realm(k bookKey) string {
	switch {
	case k.plugin:
		return "plugin:" + b.Realm.Name
	case b.Realm.Kind == pass.Hub:
		return "hub:" + b.Realm.Name
	}
	return "index:" + b.Realm.Name
}

func keyOf(p store.Pass) bookKey {
	return bookKey{plugin: len(p.Realm) > 7 && p.Realm[:7] == "plugin:", user: p.User, id: p.ID}
}

// keys are those under which a user's pass may lie.
func (b *PassBook) keys(user, id string) []bookKey {
	out := []bookKey{{user: user, id: id}}
	if b.Plugin {
		out = append(out, bookKey{true, user, id})
	}
	return out
}

// mine says under which key a pass lies by its own words; false where it is none
// of this book's, whatever its text begins with.
func (b *PassBook) mine(p pass.Pass) (pass.Identity, bookKey, bool) {
	id, ok := p.Identity()
	switch {
	case ok && b.Realm.Kind != pass.NoRealm && id.Realm == b.Realm:
		return id, bookKey{user: id.User, id: id.ID}, true
	case ok && b.Plugin && b.Realm.Kind == pass.Index && id.Realm == pass.Realm{Kind: pass.Plugin}:
		return id, bookKey{true, id.User, id.ID}, true
	}
	return id, bookKey{}, false
}

// find returns a pass that is neither ended nor over; pass.ErrNoKey: there is
// none such.
func (b *PassBook) find(ctx context.Context, k bookKey) (*bookEntry, error) {
	if e := b.remembered(k); e != nil {
		if !b.Now().Before(e.row.Until) {
			return nil, pass.ErrNoKey
		}
		return e, nil
	}
	n := b.changes()
	row, root, links, err := b.Store.PassKey(ctx, b.realm(k), k.user, k.id)
	switch {
	case errors.Is(err, store.ErrNone):
		return nil, pass.ErrNoKey
	case errors.Is(err, store.ErrSeal):
		b.Log.Error("a pass does not open: somebody edited the store, or its disk is damaged", "realm", b.realm(k), "user", k.user, "pass", k.id)
		return nil, pass.ErrNoKey
	case err != nil:
		return nil, storeProblem(err)
	}
	e := &bookEntry{row: row, key: pass.NewKey(root)}
	clear(root)
	for _, l := range links {
		e.ended = append(e.ended, pass.Link(l))
	}
	b.remember(k, e, n)
	return e, nil
}

// remembered returns what is in memory, as long as changes are followed.
func (b *PassBook) remembered(k bookKey) *bookEntry {
	if age := b.Now().UnixNano() - b.looked.Load(); age < 0 || age >= int64(bookTrust) {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.entries[k]
}

// changes is to be asked before what is to be remembered is read.
func (b *PassBook) changes() uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.n
}

// remember keeps a pass, unless something changed after n was asked.
func (b *PassBook) remember(k bookKey, e *bookEntry, n uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n != n {
		return
	}
	if len(b.entries) >= maxBook {
		left := maxBook / 8
		for other := range b.entries {
			if left--; left < 0 {
				break
			}
			delete(b.entries, other)
		}
	}
	b.entries[k] = e
}

// drop forgets those that match.
func (b *PassBook) drop(match func(bookKey, *bookEntry) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	for k, e := range b.entries {
		if match(k, e) {
			delete(b.entries, k)
		}
	}
}

// forget drops all of them.
func (b *PassBook) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	clear(b.entries)
}

func (b *PassBook) dropKey(k bookKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	delete(b.entries, k)
}

// Run follows what other processes end, so that it is so here within half a
// second, and writes down what passes were used, until ctx ends.
func (b *PassBook) Run(ctx context.Context) error {
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		b.flush(last)
	}()
	f := follower{db: b.Store, log: b.Log, now: b.Now, forget: b.forget, follow: b.follow}
	if err := f.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it began
		}
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		every(ctx, followEvery, func(ctx context.Context) {
			at := b.Now()
			if f.look(ctx) {
				b.looked.Store(at.UnixNano())
			}
		})
	})
	wg.Go(func() { every(ctx, touchEvery, b.flush) })
	wg.Go(func() { every(ctx, sweepEvery, b.sweep) })
	wg.Wait()
	return nil
}

// sweepEvery is how often what is long over is taken out of the store, which in a
// gateway's process nobody else does.
const sweepEvery = 10 * time.Minute

func (b *PassBook) sweep(ctx context.Context) {
	if _, err := b.Store.Sweep(ctx, b.Now()); err != nil && ctx.Err() == nil {
		b.Log.Warn("what is over was not taken out of the store", "err", err)
	}
}

// follow drops what a change concerns. A change of an index's pass names nobody,
// so that it concerns all.
func (b *PassBook) follow(_ context.Context, c store.Change) {
	switch c.Kind {
	case "pass", "person":
		b.drop(func(_ bookKey, e *bookEntry) bool { return e.row.Person == c.Person })
	case "keys":
		if err := b.Store.Reload(); err != nil {
			b.Log.Error("the new keys cannot be read; the old ones are used on", "err", err)
		}
	}
}

// List lists passes of this book's realm, newest first, with the uses that are
// not written down yet. Realm of the filter is not looked at.
func (b *PassBook) List(ctx context.Context, f store.PassFilter) ([]store.Pass, error) {
	b.touches.gate.RLock() // what is being written is in the store or in memory, not on its way
	defer b.touches.gate.RUnlock()
	f.Realm = b.realm(bookKey{})
	out, err := b.Store.Passes(ctx, f)
	if err == nil && b.Plugin {
		f.Realm = b.realm(bookKey{plugin: true})
		var more []store.Pass
		more, err = b.Store.Passes(ctx, f)
		out = append(out, more...)
		slices.SortStableFunc(out, func(x, y store.Pass) int { return y.Created.Compare(x.Created) })
	}
	if err != nil {
		return nil, storeProblem(err)
	}
	for i := range out {
		if t, ok := b.touches.of(keyOf(out[i])); ok {
			out[i].Uses += t.n
			if t.at.After(out[i].Used) {
				out[i].Used = t.at
			}
		}
	}
	return out, nil
}

// touchEvery is how often uses are written down.
const touchEvery = 5 * time.Second

// touches are uses that are not written down yet.
type touches struct {
	gate sync.RWMutex // held while they are written
	mu   sync.Mutex
	by   map[bookKey]touch
}

type touch struct {
	at time.Time
	n  int64
}

func (t *touches) add(k bookKey, u touch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	have := t.by[k]
	if u.at.After(have.at) {
		have.at = u.at
	}
	have.n += u.n
	t.by[k] = have
}

func (t *touches) of(k bookKey) (touch, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, ok := t.by[k]
	return u, ok
}

func (t *touches) take() map[bookKey]touch {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.by
	t.by = map[bookKey]touch{}
	return out
}

// flush writes uses down. What cannot be written now is so the next time.
func (b *PassBook) flush(ctx context.Context) {
	b.touches.gate.Lock()
	defer b.touches.gate.Unlock()
	taken := b.touches.take()
	var list []store.PassTouch
	for k, u := range taken {
		list = append(list, store.PassTouch{Realm: b.realm(k), User: k.user, ID: k.id, At: u.at, N: u.n})
	}
	if len(list) == 0 {
		return
	}
	if err := b.Store.TouchPasses(ctx, list); err != nil {
		b.Log.Warn("what passes were used is not written down yet", "err", err)
		for k, u := range taken {
			b.touches.add(k, u)
		}
	}
}

// spentLinks are those that have no use left. That never changes.
type spentLinks struct {
	mu sync.Mutex
	at map[pass.Link]bool
}

func (s *spentLinks) has(l pass.Link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[l]
}

func (s *spentLinks) add(l pass.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.at) >= maxBook {
		clear(s.at)
	}
	s.at[l] = true
}

// errNoEnd is a mistake of the caller's.
var errNoEnd = errors.New("broker: a pass needs an end, be it daypass.Forever")

// whole cuts a moment to the seconds that a pass can say.
func whole(t time.Time) time.Time {
	if !t.Before(daypass.Forever) {
		return daypass.Forever
	}
	return t.UTC().Truncate(time.Second)
}
