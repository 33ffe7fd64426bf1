package broker

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// A passing is a request that was made with a pass: the pass, and what is known of
// the request so far.
type passing struct {
	*Shown
	facts pass.Facts // without the repository
	asked daypass.Repo
	met   bool // the repository is one that the pass is for
}

// admit looks at the pass of a request, if it was made with one, and says of what
// kind the server is that asks. What the pass does not allow is taken from the
// request, or refused.
func (b *Broker) admit(ctx context.Context, c daypass.Caller, p store.Person, ask *Ask) (policy.ServerKind, error) {
	if c.Via != daypass.ViaPass {
		return b.kind(ctx, c), nil
	}
	text, err := pass.Parse(c.Pass.Text)
	if err != nil {
		return policy.NoKind, unknownPass()
	}
	s, err := b.book.Open(ctx, text)
	if err != nil {
		return policy.NoKind, err
	}
	if s.Row.Person != p.ID || s.Row.ID != c.Pass.ID {
		return policy.NoKind, unknownPass()
	}
	ask.pass = &passing{Shown: s, asked: daypass.Repo{Owner: ask.Repo.Owner, Name: ask.Repo.Name}}
	if ask.pass.facts, err = b.facts(ctx, c, s); err != nil {
		return policy.NoKind, err
	}
	ask.pass.facts.Host = ask.Host
	if most := s.Opened.Rights.Access; most >= max(ask.Least, daypass.Read) {
		ask.Access = min(ask.Access, most)
	}
	ask.pass.facts.Access = ask.Access
	if err := ask.pass.byName(); err != nil {
		return policy.NoKind, err
	}
	if err := s.left(ctx); err != nil {
		return policy.NoKind, err
	}
	if !s.Row.Server.Known {
		return policy.Own, nil
	}
	// A server that others enter writes no more by a pass than by its own token.
	c.Via, c.Server = daypass.ViaServer, s.Row.Server
	return b.kind(ctx, c), nil
}

// facts are what is verified of a request with a pass: its address, and, where the
// pass says that one of some servers has to run, which of them does.
func (b *Broker) facts(ctx context.Context, c daypass.Caller, s *Shown) (pass.Facts, error) {
	var f pass.Facts
	if a, err := netip.ParseAddr(c.Pass.From); err == nil {
		f.Address = a
	}
	if !s.Opened.Rights.Limited.Has(pass.KindServer) {
		return f, nil
	}
	var err error
	f.Server, err = b.runningServer(ctx, c.User.Name, s.Opened.Rights.Servers.Names)
	return f, err
}

// byName judges a request before the repository's number is known. A limit that
// names a number is met or not once it is; one that no number could meet refuses
// now.
func (q *passing) byName() error {
	repos := q.Opened.Rights.Repos
	f := q.facts
	if repos.All || slices.ContainsFunc(repos.List, func(r daypass.Repo) bool { _, ok := r.Intersect(q.asked); return ok }) {
		f.Waive |= pass.KindRepo
		return q.Check(f)
	}
	f.Repo = q.asked
	if err := q.Check(f); err != nil {
		return err
	}
	return unknownPass()
}

// is judges the repository that a request is about, by its number, by the name
// that it was asked for by, and by the one that it bears: each has to be allowed.
func (q *passing) is(now daypass.Repo) error {
	if q == nil {
		return nil
	}
	f := q.facts
	f.Repo = q.asked
	f.Repo.ID = now.ID
	err := q.Check(f)
	if err == nil && !now.SameName(q.asked) {
		f.Repo = now
		err = q.Check(f)
	}
	q.met = err == nil
	return err
}

// hide answers for what cannot be reached as for what the pass is not for, where
// it is for repositories by their numbers: whoever holds it does not find out
// which others its person reaches.
func (q *passing) hide(err error) error {
	if q == nil || q.met || !errors.Is(err, daypass.ErrNoSuchRepo) || slices.ContainsFunc(q.Opened.Rights.Repos.List, q.asked.SameName) {
		return err
	}
	f := q.facts
	f.Repo = q.asked
	if no := q.Check(f); no != nil {
		return no
	}
	return err
}

// key says which pass a credential is made by: no other gets it.
func (q *passing) key() passKey {
	if q == nil {
		return passKey{}
	}
	return passKey{q.Row.ID, store.LinksText(q.added())}
}

// whole is how long the pass lives, for the rules; 0 is no pass.
func (q *passing) whole() time.Duration {
	if q == nil {
		return 0
	}
	return life(q.Row)
}

// server is the one with which a credential ends: that of the caller, or the one
// that the pass is limited to. For the rules only the first counts, since a limit
// is anybody's to add.
func (q asking) server() daypass.Server {
	if q.ask.pass == nil || q.ask.pass.facts.Server == "" {
		return q.c.Server
	}
	item := q.ask.pass.facts.Server
	name, err := url.PathUnescape(item[:strings.LastIndexByte(item, '@')])
	if err != nil {
		return q.c.Server
	}
	return daypass.Server{Known: true, Name: name}
}

// most cuts how long a credential may last to what is left of the pass.
func (q *passing) most(d time.Duration, now time.Time) time.Duration {
	if q == nil {
		return d
	}
	return min(d, q.Opened.Rights.Expires.Sub(now))
}

// until is when a credential ends that may last for so long.
func (q *passing) until(now time.Time, d time.Duration) time.Time {
	if q == nil {
		return now.Add(d)
	}
	return soonest(now.Add(d), q.Opened.Rights.Expires)
}

// written belongs into the transaction that records a credential: the pass has not
// ended meanwhile, and has a use left, which is counted.
func (q *passing) written(tx *store.Tx) error {
	if q == nil {
		return nil
	}
	if err := q.alive(tx); err != nil {
		return err
	}
	return q.count(tx)
}

// alive refuses what has ended by now. Until the commit nobody else ends it.
func (q *passing) alive(tx *store.Tx) error {
	links := make([][32]byte, q.Opened.Links())
	for i := range links {
		links[i] = q.Opened.Link(i)
	}
	err := tx.PassAlive(q.Row.Realm, q.Row.User, q.Row.ID, links...)
	if errors.Is(err, store.ErrNone) {
		return unknownPass()
	}
	return err
}

// countless reports whether nothing has to be counted.
func (q *passing) countless() bool { return q == nil || len(q.Opened.Rights.Uses) == 0 }

// used notes a use that went well.
func (q *passing) used() {
	if q != nil {
		q.note()
	}
}

// clicked reports whether whoever allowed the pass said so in a browser, or an
// admin by a rule of the exchange.
func (q *passing) clicked(now time.Time, within time.Duration) bool {
	switch {
	case q == nil:
		return false
	case q.Row.Via == viaExchange:
		return true
	case q.Row.Via == daypass.ViaBrowser.String(), q.Row.Via == viaDevice:
		age := now.Sub(q.Row.Created)
		return age >= 0 && age < within
	}
	return false
}

// record writes an event about a credential that was made before, and counts a
// use of the pass that it is given to.
func (b *Broker) record(ctx context.Context, q *passing, e store.Event) (store.EventID, error) {
	if q.countless() {
		id, err := b.Store.Record(ctx, e)
		return id, storeProblem(err)
	}
	var id store.EventID
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		id = tx.Record(e)
		return q.written(tx)
	})
	return id, storeProblem(err)
}

// overPass explains a no of the rules that is about how long the pass lives.
func (b *Broker) overPass(ctx context.Context, c daypass.Caller, ask Ask, kind policy.ServerKind) error {
	if ask.pass == nil {
		return nil
	}
	whole := ask.pass.whole()
	ask.pass = nil
	ways, _ := b.ways(ctx, b.Rules, c, ask, kind)
	if len(ways) == 0 || ways[0].verdict.MaxPass >= whole {
		return nil
	}
	v := ways[0].verdict
	return &Refusal{Rule: v.Rule, Passes: true, Problem: &daypass.Problem{
		Code: "DP-174", What: "the rules take no pass here that lives as long as this one",
		Why:  "from its making to its end it may be " + span(v.MaxPass) + "; narrowing it does not change when it was made",
		Next: "Make a pass that ends sooner, and use that.", Who: `Admins set "max_pass" in the rule.`, Kind: daypass.ErrRefused,
	}}
}

// unnarrowed refuses to give a pass the whole token of a host that has no lesser.
func unnarrowed(host string) error {
	return &Refusal{Problem: &daypass.Problem{
		Code: "DP-172", What: host + " has no tokens for one repository, so that no pass gets one", Next: "Use a server of yours for that host.", Kind: daypass.ErrRefused,
	}}
}

// problem is storeProblem, where what was there no more may be the pass.
func (q *passing) problem(err error) error {
	if q != nil && errors.Is(err, store.ErrNone) {
		return unknownPass()
	}
	return storeProblem(err)
}

// passGone takes back what was made, of a connection in memory only, while its
// pass ended: whoever ended it did not see it.
func (b *Broker) passGone(ctx context.Context, led ledger, q *passing, row store.Child) error {
	if q == nil {
		return nil
	}
	err := b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return q.alive(tx) })
	if err == nil {
		return nil
	}
	return errors.Join(err, led.endChildren(ctx, []int64{row.ID}, "", true))
}

type runKey struct{ user, server string }

const (
	// runTTL is how long the hub's word on a server counts. One that is stopped is
	// told of by a hook besides.
	runTTL = 5 * time.Second
	// maxRunLimit bounds how often one request makes us ask the hub.
	maxRunLimit = 16
)

// runningServer finds one of the servers of a limit that runs, as the hub says it
// now.
func (b *Broker) runningServer(ctx context.Context, user string, items []string) (string, error) {
	var away error
	for i, item := range items {
		if i == maxRunLimit {
			break
		}
		at := strings.LastIndexByte(item, '@')
		name, err := url.PathUnescape(item[:max(at, 0)])
		if err != nil || at < 0 {
			continue
		}
		started, err := b.startOf(ctx, user, name)
		if err != nil {
			away = err
			continue
		}
		if start := item[at+1:]; !started.IsZero() && (start == "" || start == strconv.FormatInt(started.Unix(), 10)) {
			return pass.ServerItem(name, started), nil
		}
	}
	if away != nil {
		return "", &Refusal{RetryAfter: 5 * time.Second, Problem: &daypass.Problem{
			Code: "DP-165", What: "this pass is good while a server runs, and the hub cannot be asked whether it does",
			Next: "Try again in a minute.", Kind: daypass.ErrUnreachable, Err: away,
		}}
	}
	return "", limitProblem(&pass.Refusal{Kind: pass.KindServer, Text: "dp:server=" + strings.Join(items, ","), Caveat: 0, Why: "no server that it is for runs now, or it was started anew"})
}

// errNoWord: the hub has no way to say it.
var errNoWord = errors.New("nobody here can ask the hub which servers run")

// startOf says since when a server runs; zero: it does not, or the hub does not say.
func (b *Broker) startOf(ctx context.Context, user, server string) (time.Time, error) {
	k, now := runKey{user, server}, b.Now()
	if started, ok := b.runs.get(k, now, runTTL); ok {
		return started, nil
	}
	if b.Hub.Running == nil {
		return time.Time{}, errNoWord
	}
	started, running, err := b.Hub.Running(ctx, user, server)
	if err != nil {
		return time.Time{}, err
	}
	if !running {
		started = time.Time{}
	}
	b.runs.put(k, started, now, maxPeople)
	return started, nil
}
