package broker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// A linkBook is what was read of links and enrolments, which each request looks at
// before anything else, and what was seen of what they stand on.
type linkBook struct {
	mu     sync.Mutex
	byName map[string]*store.Link
	held   map[place][]string // the accounts that links which have not ended read it by
	admins map[place][]string // those that an admin enrolled it for
	read   time.Time
	makers map[int64]makerSeen
	stands map[standKey]standing
	tested map[standKey]time.Time // when their maker was seen to be able to link to it
}

// A place is what is enrolled: a source without its state and its folder.
type place struct{ kind, host, id string }

func placeOf(s daypass.Source) place {
	if s.Kind == daypass.KindGit {
		s.ID = daypass.FoldASCII(s.ID)
	}
	return place{s.Kind, s.Host, s.ID}
}

// A standKey names what was looked at upstream, and for whom.
type standKey struct {
	source daypass.Source
	as     string
	maker  int64
}

type makerSeen struct {
	groups []string
	gone   bool
	at     time.Time
}

const (
	linksTTL = time.Minute
	// goneTTL is how long a no counts: somebody may mend it meanwhile.
	goneTTL   = 20 * time.Second
	maxStands = 20_000
)

// drop makes the next request read links and enrolments again.
func (k *linkBook) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.byName = nil
}

// forget drops also what was seen of a maker; 0: of all, and of all sources.
func (k *linkBook) forget(maker int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if maker != 0 {
		delete(k.makers, maker)
		return
	}
	k.byName, k.makers, k.stands = nil, nil, nil
}

// readLinks reads what is not known any more. The lock is held by the caller.
func (b *Broker) readLinks(ctx context.Context) error {
	k, now := &b.linked, b.Now()
	if age := now.Sub(k.read); k.byName != nil && age >= 0 && age < linksTTL {
		return nil
	}
	links, err := b.Store.Links(ctx, store.LinkFilter{Hub: b.Hub.ID})
	if err != nil {
		return err
	}
	enrolled, err := b.Store.Enrolments(ctx, b.Hub.ID)
	if err != nil {
		return err
	}
	byName, held, admins := make(map[string]*store.Link, len(links)), map[place][]string{}, map[place][]string{}
	for i, l := range links {
		byName[l.Name] = &links[i]
		if account, ok := hubAccount(l.As); ok && l.State(now) != store.LinkGone {
			p := placeOf(l.Source)
			held[p] = append(held[p], account)
		}
	}
	for _, e := range enrolled {
		p := placeOf(e.Source)
		admins[p] = append(admins[p], e.Account)
	}
	k.byName, k.held, k.admins, k.read = byName, held, admins, now
	return nil
}

// linkNamed finds a link of this hub; nil: there is none.
func (b *Broker) linkNamed(ctx context.Context, name string) (*store.Link, error) {
	b.linked.mu.Lock()
	defer b.linked.mu.Unlock()
	if err := b.readLinks(ctx); err != nil {
		return nil, storeProblem(err)
	}
	return b.linked.byName[name], nil
}

// holdersOf are the accounts that have a source: those under which an admin lists or
// enrolled it, and those that a link reads it by.
func (b *Broker) holdersOf(ctx context.Context, s daypass.Source) ([]string, error) {
	b.linked.mu.Lock()
	defer b.linked.mu.Unlock()
	if err := b.readLinks(ctx); err != nil {
		return nil, storeProblem(err)
	}
	return append(slices.Clone(b.linked.held[placeOf(s)]), b.enrolled(s)...), nil
}

// enrolled are the accounts that an admin put a source under. The lock is held by
// the caller.
func (b *Broker) enrolled(s daypass.Source) []string {
	out := slices.Clone(b.linked.admins[placeOf(s)])
	for _, a := range b.Sources.Drive {
		if s.Kind == daypass.KindDrive && s.Host == a.host() && slices.Contains(a.Folders, s.ID) {
			out = append(out, a.Account)
		}
	}
	return out
}

// enrolledBy reports whether an admin put a source under an account.
func (b *Broker) enrolledBy(ctx context.Context, s daypass.Source, a DriveAccount) (bool, error) {
	b.linked.mu.Lock()
	defer b.linked.mu.Unlock()
	if err := b.readLinks(ctx); err != nil {
		return false, storeProblem(err)
	}
	return slices.Contains(b.enrolled(s), a.Account), nil
}

// errGone: whoever made a link is no user of the hub any more, or was cut off.
var errGone = errors.New("the maker of the link is gone")

// makerGroups are the hub's groups of whoever made a link, as of five minutes ago
// at most. errGone: they are there no more.
func (b *Broker) makerGroups(ctx context.Context, maker int64) ([]string, error) {
	k := &b.linked
	look := func() (makerSeen, bool) {
		k.mu.Lock()
		defer k.mu.Unlock()
		seen, ok := k.makers[maker]
		age := b.Now().Sub(seen.at)
		return seen, ok && age >= 0 && (age < goneTTL || !seen.gone && age < b.Limits.RightTTL)
	}
	seen, ok := look()
	if !ok {
		leave, entered := b.flights.enter(ctx.Done(), makerKey(maker))
		if !entered {
			return nil, hubProblem(context.Cause(ctx))
		}
		defer leave()
		if seen, ok = look(); !ok {
			var err error
			if seen, err = b.askMaker(ctx, maker); err != nil {
				return nil, err
			}
		}
	}
	if seen.gone {
		return nil, errGone
	}
	return seen.groups, nil
}

type makerKey int64

func (b *Broker) askMaker(ctx context.Context, maker int64) (makerSeen, error) {
	seen := makerSeen{at: b.Now()}
	p, ok, err := b.Store.PersonByID(ctx, maker)
	if err != nil {
		return seen, storeProblem(err)
	}
	if seen.gone = !ok || !p.CutAt.IsZero(); !seen.gone {
		if b.Hub.User == nil {
			return seen, hubProblem(nil)
		}
		u, there, err := b.atHub(ctx, p)
		if err != nil {
			return seen, hubProblem(err)
		}
		seen.gone, seen.groups = !there, u.Groups
	}
	b.linked.mu.Lock()
	defer b.linked.mu.Unlock()
	if b.linked.makers == nil || len(b.linked.makers) >= maxPeople {
		b.linked.makers = map[int64]makerSeen{}
	}
	b.linked.makers[maker] = seen
	return seen, nil
}

// atHub finds somebody at the hub: a name may be another person's by now, and the
// person may bear another one.
func (b *Broker) atHub(ctx context.Context, p store.Person) (HubUser, bool, error) {
	u, there, err := b.Hub.User(ctx, p.User.Name)
	if err != nil || there && u.Created.Equal(p.User.Created) || b.Hub.Users == nil {
		return u, err == nil && there && u.Created.Equal(p.User.Created), err
	}
	all, err := b.Hub.Users(ctx)
	if err != nil {
		return HubUser{}, false, err
	}
	u, there = b.roster(all).find(p.User)
	return u, there, nil
}

// standsNow looks upstream, unless what was seen at most five minutes ago says
// enough. Of many that ask for the same one looks. An upstream that cannot say is no
// yes.
func (b *Broker) standsNow(ctx context.Context, key standKey, look func(context.Context) (daypass.Repo, error)) (daypass.Repo, error) {
	known := func() (standing, bool) {
		b.linked.mu.Lock()
		defer b.linked.mu.Unlock()
		s, ok := b.linked.stands[key]
		age := b.Now().Sub(s.at)
		return s, ok && age >= 0 && (age < goneTTL || s.problem == nil && age < b.Limits.RightTTL)
	}
	if s, ok := known(); ok {
		return s.repo, s.problem
	}
	ctx, cancel := context.WithTimeout(ctx, 2*b.Limits.ProviderTime)
	defer cancel()
	leave, ok := b.flights.enter(ctx.Done(), key)
	if !ok {
		return daypass.Repo{}, providerProblem(key.source.Host, context.Cause(ctx))
	}
	defer leave()
	if s, ok := known(); ok {
		return s.repo, s.problem
	}
	at := b.Now() // before the look: what is seen may be lost on the way
	repo, err := look(ctx)
	if err != nil && !settled(err) {
		return repo, providerProblem(key.source.Host, err)
	}
	b.stood(key, standing{err, at, repo})
	return repo, err
}

// settled reports whether an error is an upstream's no, and no failure.
func settled(err error) bool {
	for _, no := range []error{daypass.ErrNoSource, daypass.ErrRefused, daypass.ErrNoSuchRepo} {
		if errors.Is(err, no) && !errors.Is(err, daypass.ErrUnreachable) && !errors.Is(err, daypass.ErrLimited) {
			return true
		}
	}
	return false
}

// wasTested notes that somebody can link to a source.
func (b *Broker) wasTested(key standKey) {
	b.linked.mu.Lock()
	defer b.linked.mu.Unlock()
	if b.linked.tested == nil || len(b.linked.tested) >= maxStands {
		b.linked.tested = map[standKey]time.Time{}
	}
	b.linked.tested[key] = b.Now()
}

func (b *Broker) stood(key standKey, s standing) {
	b.linked.mu.Lock()
	defer b.linked.mu.Unlock()
	if b.linked.stands == nil || len(b.linked.stands) >= maxStands {
		b.linked.stands = map[standKey]standing{}
	}
	b.linked.stands[key] = s
}
