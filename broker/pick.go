package broker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// maxPick bounds what is offered to choose from: of Drive, and at each other host.
const maxPick = 100

// Pick lists what the caller may make a link to, with whom it would be read as: what an
// admin enrolled, and what their own connections show that a link can be made of. Those
// are courses that they teach, and repositories that they administer. Nobody is asked but
// with their own connection, each host once and all at a time; one that cannot say takes
// no other's list away. What is chosen is looked at as what is pasted is.
func (b *Broker) Pick(ctx context.Context, c daypass.Caller, request string) ([]Offer, error) {
	q := &wanting{c: c, request: request, kind: policy.Own}
	var out []Offer
	var err error
	if q.p, err = b.linker(ctx, c); err == nil {
		err = b.pacedLook(q.p)
	}
	if err == nil {
		out, err = b.offers(ctx, q)
	}
	if err == nil {
		err = b.recordOffers(ctx, q, out)
	}
	if err != nil {
		return nil, b.refuseReading(ctx, q, err)
	}
	return out, nil
}

func (b *Broker) offers(ctx context.Context, q *wanting) ([]Offer, error) {
	out, err := b.enrolledFor(ctx, q.c)
	if err != nil {
		return nil, err
	}
	enrolled := len(out)
	var git []Offer
	for _, host := range b.Hosts() {
		switch t := b.issuers[host].Traits(); {
		case t.Content && b.Sources.Courses != nil:
			out = append(out, Offer{Kind: daypass.KindCanvas, Host: host})
		case !t.Content && (t.AsHub || slices.Contains(b.Sources.Hosts, host)):
			git = append(git, Offer{Kind: daypass.KindGit, Host: host})
		}
	}
	out = append(out, git...)
	asked, cancel := context.WithTimeout(ctx, 2*b.Limits.ProviderTime)
	defer cancel()
	var all sync.WaitGroup
	for i := enrolled; i < len(out); i++ {
		all.Go(func() { b.fill(asked, q, &out[i]) })
	}
	all.Wait()
	return out, ctx.Err()
}

// fill asks one host, by the caller's own connection.
func (b *Broker) fill(ctx context.Context, q *wanting, o *Offer) {
	conn, err := b.ledger().find(ctx, q.p.ID, o.Host)
	switch {
	case err != nil:
		err = gone(o.Host, err)
	case conn.State == store.NeedsConsent:
		err = notConnected(o.Host, conn.Why)
	case o.Kind == daypass.KindCanvas:
		err = b.fillCourses(ctx, q, conn, o)
	default:
		err = b.fillRepos(ctx, q, o)
	}
	if err == nil {
		return
	}
	r := *asRefusal(o.Host, err)
	p := *r.Problem
	switch {
	case r.Connect:
		p.Next = "Connect it to choose from what you have there, or paste an address."
	case p.Code == "DP-815":
		p.Next = "Try again in a minute, or paste an address."
	}
	r.Problem = &p
	o.Sources, o.More, o.Refusal = nil, false, &r
}

// fillRepos offers the repositories that the caller's connection shows them to administer,
// but those that the rules forbid and those that nobody would read.
func (b *Broker) fillRepos(ctx context.Context, q *wanting, o *Offer) error {
	rights, complete, err := b.Reach(ctx, q.c, o.Host)
	if err != nil {
		return err
	}
	rights = slices.Clone(rights) // others may be given the same list
	slices.SortFunc(rights, func(x, y daypass.Right) int { return strings.Compare(folded(x.Repo), folded(y.Repo)) })
	app := b.issuers[o.Host].Traits().AsHub
	for _, r := range rights {
		y := Reading{Source: daypass.Source{Kind: daypass.KindGit, Host: o.Host, ID: r.Repo.String()}, As: asHubPrefix + o.Host, Account: o.Host, Repo: r.Repo}
		switch {
		case !r.Admin || r.Repo.ID == 0 || !b.sound(y.Source) || b.forbidden(q, o.Host, r.Repo, policy.AsHub) != nil:
			continue
		case !r.Private && b.public(y.Source):
			y = Reading{Source: y.Source, As: AsPublic}
		case !app:
			continue
		}
		if len(o.Sources) == maxPick {
			complete = false
			break
		}
		o.Sources = append(o.Sources, Offered{Reading: y})
	}
	o.More = !complete
	return nil
}

// A taughtKey is whose courses were listed, and by which connection.
type taughtKey struct {
	connection, account, person int64
	host                        string
}

type taughtSeen struct {
	list     []Course
	complete bool
}

// fillCourses offers the courses that the caller teaches.
func (b *Broker) fillCourses(ctx context.Context, q *wanting, conn store.Connection, o *Offer) error {
	y, err := b.asOneself(ctx, q, daypass.Source{Kind: daypass.KindCanvas, Host: o.Host})
	if err != nil {
		return err
	}
	seen, err := b.courses(ctx, taughtKey{conn.ID, conn.Account.ID, q.p.ID, o.Host}, y)
	if err != nil {
		return err
	}
	o.More = !seen.complete
	for _, c := range seen.list {
		y.Source.ID = c.ID
		if !b.sound(y.Source) {
			continue
		}
		o.Sources = append(o.Sources, Offered{Reading: y, Title: clip(c.Title, 200), Note: clip(c.Note, 200)})
	}
	return nil
}

// courses asks the site, or gives the last answer again, as with what a connection
// reaches.
func (b *Broker) courses(ctx context.Context, key taughtKey, y Reading) (taughtSeen, error) {
	leave, ok := b.flights.enter(ctx.Done(), key)
	if !ok {
		return taughtSeen{}, providerProblem(key.host, context.Cause(ctx))
	}
	defer leave()
	if seen, ok := b.taught.get(key, b.Now(), reachTTL); ok {
		return seen, nil
	}
	at := b.Now()
	var seen taughtSeen
	var err error
	seen.list, seen.complete, err = b.Sources.Courses(ctx, y, maxPick)
	if err != nil && !settled(err) {
		var r *Refusal
		if errors.As(err, &r) {
			return seen, r // the connection's own
		}
		return seen, providerProblem(key.host, err)
	}
	if err != nil {
		return seen, err
	}
	if len(seen.list) > maxPick {
		seen.list, seen.complete = seen.list[:maxPick], false
	}
	b.taught.put(key, seen, at, maxReaches)
	return seen, nil
}

// recordOffers notes at which hosts lists were asked for in the caller's name, before they
// are given them.
func (b *Broker) recordOffers(ctx context.Context, q *wanting, all []Offer) error {
	var events []store.Event
	for _, o := range all {
		if o.Kind == daypass.KindDrive || o.Refusal != nil && o.Refusal.Connect {
			continue // nobody was asked
		}
		e := b.readEvent(&wanting{c: q.c, p: q.p, request: q.request, source: daypass.Source{Kind: o.Kind, Host: o.Host}}, store.ReadContent)
		e.Outcome, e.As, e.Rule, e.Why = store.OK, plainAs(asPerson), "pick", strconv.Itoa(len(o.Sources))+" listed to choose from"
		if o.Refusal != nil {
			e.Outcome, e.Code, e.Why = store.Refused, o.Refusal.Problem.Code, o.Refusal.Problem.What
			e.Rule = cmp.Or(o.Refusal.Rule, builtIn[e.Code], e.Rule)
			if errors.Is(o.Refusal.Problem, daypass.ErrUnreachable) {
				e.Outcome = store.Failed
			}
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil
	}
	return storeProblem(b.Store.Write(ctx, func(tx *store.Tx) error {
		for _, e := range events {
			tx.Record(e)
		}
		return nil
	}))
}

// enrolledFor offers the folders that an admin enrolled for a group of the caller's. It
// asks nobody.
func (b *Broker) enrolledFor(ctx context.Context, c daypass.Caller) ([]Offer, error) {
	b.linked.mu.Lock()
	err := b.readLinks(ctx)
	var ids []place
	for p := range b.linked.admins {
		ids = append(ids, p)
	}
	b.linked.mu.Unlock()
	if err != nil {
		return nil, storeProblem(err)
	}
	var out []Offer
	at := map[string]int{}
	seen := map[place]bool{}
	for _, a := range b.Sources.Drive {
		if !overlap(c.Groups, a.Groups) {
			continue
		}
		if _, ok := at[a.host()]; !ok {
			at[a.host()] = len(out)
			out = append(out, Offer{Kind: daypass.KindDrive, Host: a.host()})
		}
		for _, id := range a.Folders {
			ids = append(ids, place{daypass.KindDrive, a.host(), id})
		}
		o := &out[at[a.host()]]
		for _, p := range ids {
			s := daypass.Source{Kind: p.kind, Host: p.host, ID: p.id}
			if seen[p] || p.kind != daypass.KindDrive || p.host != o.Host {
				continue
			}
			if listed, err := b.enrolledBy(ctx, s, a); err != nil || !listed {
				continue
			}
			if may, err := b.mayUse(ctx, s, a.Account, c.Groups); err != nil || may == nil {
				continue
			}
			seen[p] = true
			o.Sources = append(o.Sources, Offered{Reading: Reading{Source: s, As: asHubPrefix + a.Account, Account: a.Account}})
		}
	}
	for i := range out {
		o := &out[i]
		slices.SortFunc(o.Sources, func(x, y Offered) int { return strings.Compare(x.Source.ID, y.Source.ID) })
		if len(o.Sources) > maxPick {
			o.Sources, o.More = o.Sources[:maxPick], true
		}
	}
	return out, nil
}
