// Package broker decides. It is the only code that reads a connection, calls an
// issuer, makes a credential and writes an event; every face of the access
// service goes through it, so that none can forget to ask the rules or to leave
// a trace.
//
// It does not know HTTP, JupyterHub, GitHub or SQL: who is asking is handed in
// as a [daypass.Caller], issuers as [daypass.Issuer] values, the hub as a few
// functions, and what lasts is kept by package store.
package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// Limits are what an admin may set. A zero field means the default beside it.
type Limits struct {
	MaxAge       time.Duration // of a connection: 30 days
	Idle         time.Duration // of a connection that nobody uses: 7 days
	Session      bool          // keep connections in memory only, for SessionAge
	SessionAge   time.Duration // 8 hours
	ReposPerDay  int           // from one server without a click: 20
	WriteClick   time.Duration // a server writes only so long after its person's click; 0: no click is asked for
	MaxShare     time.Duration // how long a share may last: 180 days
	RightTTL     time.Duration // how long a look at a person's right counts: 5 minutes, and not more
	ProviderTime time.Duration // what one request for a credential may spend at a provider: 4.5 s
	RefreshTime  time.Duration // what one request to refresh may take: 10 s
	RefreshLease time.Duration // for how long nobody else refreshes: 2.5 times that, and not less
	TodoLease    time.Duration // for how long nobody else tries what is to be revoked: 30 s
}

func (l Limits) filled() Limits {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&l.MaxAge, 30*24*time.Hour)
	set(&l.Idle, 7*24*time.Hour)
	set(&l.SessionAge, 8*time.Hour)
	set(&l.MaxShare, 180*24*time.Hour)
	set(&l.ProviderTime, 4500*time.Millisecond)
	set(&l.RefreshTime, 10*time.Second)
	set(&l.TodoLease, 30*time.Second)
	l.RefreshLease = max(l.RefreshLease, 5*l.RefreshTime/2)
	if l.RightTTL <= 0 || l.RightTTL > 5*time.Minute {
		l.RightTTL = 5 * time.Minute
	}
	if l.ReposPerDay <= 0 {
		l.ReposPerDay = 20
	}
	return l
}

// A HubUser is one line of a hub's list of users.
type HubUser struct {
	Name    string
	Created time.Time
	Groups  []string
	Servers []string             // running; nil and Running false where the hub does not tell
	Running bool                 // Servers is known
	Started map[string]time.Time // when those were started of which the hub says it
}

// HubFuncs are what the broker asks a hub, beside who is calling.
type HubFuncs struct {
	ID string // the hub's id in the configuration
	// User says when the user of that name was made; false: there is none.
	User func(ctx context.Context, name string) (HubUser, bool, error)
	// Running says whether a server of a user runs just now, and since when. An
	// error means that the hub cannot be asked, or does not tell. Nil means the same.
	Running func(ctx context.Context, user, server string) (started time.Time, running bool, err error)
	// Users lists all; an error means that nothing is known.
	Users func(ctx context.Context) ([]HubUser, error)
	// ServerKind says whether a server is its owner's own, or shared with
	// others; policy.NoKind where the hub cannot say. Nil means that every server
	// is its owner's own.
	ServerKind func(ctx context.Context, c daypass.Caller) policy.ServerKind
}

// Observe is told what happened, for metrics. A nil function is not called.
type Observe struct {
	Credential func(host, outcome string, cached bool) // outcome: ok, refused, failed
	Provider   func(host, call, outcome string, took time.Duration)
	Breaker    func(host string, open bool)
	Read       func(kind, as, outcome string) // of content; kind and as may be "": not known
}

// A Config is what New needs.
type Config struct {
	Log     *slog.Logger // nil: silent
	Store   *store.DB
	Issuers []daypass.Issuer // one per host
	Hub     HubFuncs
	// Realm is the name that passes bear of this hub, of letters, digits and _; "":
	// that of the hub's id, with _ for other characters.
	Realm string
	// AllowNever lets people make passes without an end, where a rule takes them.
	AllowNever bool
	Rules      *policy.Set
	Audit      *policy.Set // evaluated beside the rules, never changes a verdict; nil: none
	Sharing    []string    // hub groups whose members may share; empty: nobody
	Sources    Sources     // content that may be read, and links to it
	// AcceptForever lists the hosts where the admin takes tokens without an end.
	AcceptForever []string
	// Bridges are classic OAuth Apps that the hub logs in with.
	Bridges []Bridge
	Limits  Limits
	Now     func() time.Time // nil: time.Now
	Rand    io.Reader        // nil: crypto/rand
	Observe Observe
	// Process names this process in leases; it must be its own.
	Process string
}

// A Broker decides, refreshes, narrows, makes, records and revokes. It is safe
// for concurrent use.
type Broker struct {
	Config
	issuers  map[string]*guarded
	people   people
	children children
	rights   lately[rightKey, daypass.Right]
	audited  differences
	shareds  shares
	linked   linkBook
	readers  readerTokens
	fetched  fetches
	reached  reaches
	taught   lately[taughtKey, taughtSeen]
	flights  flights
	pace     pace
	looks    pace
	memory   *memory // connections that are never stored
	bridged  *bridged
	restored *rate.Limiter   // first uses after a restore
	wake     chan struct{}   // to-dos wait
	changes  follower        // Run's alone
	quiet    map[holder]bool // whose server did not run at the last look; Run's alone
	stops    stops
	listed   int          // how many users the hub had at the last daily look; Run's alone
	leases   atomic.Int64 // counts the attempts to refresh
	book     *PassBook
	holders  lately[int64, passHolder] // the hub's word on people, by person
	told     lately[vain, struct{}]    // refusals that there is an event of
	runs     lately[runKey, time.Time] // when servers were started; zero: one runs not
}

// New returns a broker. Nothing runs in the background until [Broker.Run].
func New(c Config) (*Broker, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = randomness{}
	}
	c.Limits = c.Limits.filled()
	b := &Broker{
		Config: c, issuers: map[string]*guarded{}, wake: make(chan struct{}, 1),
		memory: newMemory(), bridged: newBridged(), restored: rate.NewLimiter(2, 5),
	}
	b.people.byUser = map[daypass.User]store.Person{}
	b.children.init()
	b.flights.init()
	for _, is := range c.Issuers {
		if _, twice := b.issuers[is.Host()]; twice {
			return nil, fmt.Errorf("two Apps for %s: one host has one", is.Host())
		}
		b.issuers[is.Host()] = b.guard(is)
	}
	if c.Rules == nil {
		return nil, errors.New("no rules: an access service without rules gives nothing to anybody")
	}
	b.Sources = b.Sources.filled()
	b.book = NewPassBook(PassConfig{Log: c.Log, Store: c.Store, Realm: pass.Realm{Kind: pass.Hub, Name: realmName(cmp.Or(c.Realm, c.Hub.ID))}, Now: c.Now, Rand: c.Rand})
	return b, nil
}

// Hosts lists the hosts that are served, in order.
func (b *Broker) Hosts() []string {
	var out []string
	for h := range b.issuers {
		out = append(out, h)
	}
	slices.Sort(out)
	return out
}

// Run does what is done beside requests, until ctx ends: it revokes what has
// ended, follows what other processes changed, ends connections that are too
// old, and compares people with the hub's list.
func (b *Broker) Run(ctx context.Context) error {
	b.changes = follower{db: b.Store, log: b.Log, now: b.Now, forget: b.forget, follow: b.follow}
	err := b.changes.start(ctx)
	switch {
	case err == nil:
		b.loops(ctx)
	case ctx.Err() != nil: // stopped before it had begun
		err = nil
	}
	b.endMemory()
	b.endReaders()
	return err
}

// loops does what is done now and then, until ctx ends.
func (b *Broker) loops(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.book.Run(ctx); err != nil {
			b.Log.Error("passes are looked up in the store each time", "err", err)
		}
	})
	for _, loop := range []func(context.Context){b.followChanges, b.workTodos, b.sweep, b.reconcile, b.endStored} {
		wg.Go(func() { loop(ctx) })
	}
	wg.Wait()
}

// endMemory ends, at a stop, what was promised to be in memory only: nobody could
// end it afterwards.
func (b *Broker) endMemory() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gate := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for _, c := range b.memory.all() {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			if _, err := b.end(ctx, c, "the access service was stopped", connEvent(c, store.Disconnected, b.Now())); err != nil {
				b.Log.Warn("a connection in memory was not ended", "host", c.Host, "err", err)
			}
		})
	}
	wg.Wait()
}

// every calls f at once and then in every period, until ctx ends.
func every(ctx context.Context, period time.Duration, f func(context.Context)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		f(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// person finds who the caller is in the store, and makes the row the first time.
// One who was cut off is refused.
func (b *Broker) person(ctx context.Context, u daypass.User) (store.Person, error) {
	p, err := b.personRow(ctx, u)
	if err != nil {
		return p, err
	}
	if !p.CutAt.IsZero() {
		return p, &daypass.Problem{
			Code: "DP-811", What: "your access was ended by an admin on " + stamp(p.CutAt),
			Next: "Ask the hub's admins.", Who: `An admin can allow it again with "daypass admin user allow NAME".`, Kind: daypass.ErrRefused,
		}
	}
	return p, nil
}

func (b *Broker) personRow(ctx context.Context, u daypass.User) (store.Person, error) {
	if p, ok := b.people.get(u); ok {
		return p, nil
	}
	if u.Name == "" || u.Hub == "" || u.Created.IsZero() {
		return store.Person{}, &daypass.Problem{
			Code: "DP-812", What: "the hub does not say who you are well enough",
			Why:  "it gave no creation time, without which a name that changed hands could not be told apart",
			Next: "Ask the hub's admins.", Who: `Admins: the service needs the scope read:users; "daypass admin check" shows it.`, Kind: daypass.ErrRefused,
		}
	}
	before := b.people.changes()
	p, ok, err := b.Store.Person(ctx, u)
	if err != nil {
		return p, storeProblem(err)
	}
	if !ok {
		if p, err = b.newPerson(ctx, u); err != nil {
			return p, err
		}
	}
	b.people.put(u, p, before)
	return p, nil
}

// newPerson takes over the row of somebody who was renamed, or makes a new one.
// A rename is: the hub made both at the same moment, and nobody bears the old
// name with that creation time any more.
func (b *Broker) newPerson(ctx context.Context, u daypass.User) (store.Person, error) {
	same, err := b.Store.People(ctx, store.PeopleFilter{Hub: u.Hub, Created: u.Created, Limit: 3})
	if err != nil {
		return store.Person{}, storeProblem(err)
	}
	if len(same) == 1 && b.Hub.User != nil {
		now, exists, err := b.Hub.User(ctx, same[0].User.Name)
		if err != nil {
			return store.Person{}, hubProblem(err)
		}
		if !exists || !now.Created.Equal(u.Created) {
			return b.renamed(ctx, same[0], u)
		}
	}
	var p store.Person
	err = b.Store.Write(ctx, func(tx *store.Tx) error {
		var err error
		p, err = tx.PutPerson(u, b.Now())
		return err
	})
	return p, storeProblem(err)
}

func (b *Broker) renamed(ctx context.Context, p store.Person, u daypass.User) (store.Person, error) {
	err := b.Store.Write(ctx, func(tx *store.Tx) error { return tx.RenamePerson(p.ID, u.Name) })
	if err != nil {
		return p, storeProblem(err)
	}
	b.people.drop(p.ID)
	b.Log.Info("a user was renamed", "hub", u.Hub, "from", p.User.Name, "to", u.Name)
	// They may have been cut off, or erased, while the hub was asked.
	now, ok, err := b.Store.PersonByID(ctx, p.ID)
	if err == nil && !ok {
		err = store.ErrNone
	}
	return now, storeProblem(err)
}

// people remembers rows; they change through [store.Change] only. What was read
// before a change is not remembered after it.
type people struct {
	mu     sync.RWMutex
	byUser map[daypass.User]store.Person
	n      uint64 // of changes
}

// maxPeople bounds what is remembered.
const maxPeople = 20_000

func (p *people) get(u daypass.User) (store.Person, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	row, ok := p.byUser[u]
	return row, ok
}

// changes is to be asked before a row is read that is to be put.
func (p *people) changes() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.n
}

// put remembers a row, unless something changed after n was asked.
func (p *people) put(u daypass.User, row store.Person, n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n != n {
		return
	}
	if len(p.byUser) >= maxPeople {
		clear(p.byUser)
	}
	p.byUser[u] = row
}

func (p *people) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	clear(p.byUser)
}

func (p *people) drop(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	for u, row := range p.byUser {
		if row.ID == id {
			delete(p.byUser, u)
		}
	}
}
