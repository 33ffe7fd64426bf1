package broker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// readerTokens are the content App's tokens by which this process reads
// repositories. Nobody else has them. They are on no disk: one that kept them for a
// revocation after a crash would be one more place to steal them from, and they end by
// themselves within the hour.
type readerTokens struct {
	mu    sync.Mutex
	byKey map[rightKey]readerToken
}

type readerToken struct {
	token daypass.Secret
	until time.Time
}

// readerMargin is how long a token must still be good to begin reading with it: a
// fetch may take as long as ten minutes.
const readerMargin = 12 * time.Minute

// ContentToken is what this process reads with, as a yes of [Broker.ReadSource]'s
// says, until when it is good: a person's access token at a host of content or, for a
// copy of theirs of a template, of git; the content App's for one repository. It is
// for the readers of this process: nobody who asks is given one.
func (b *Broker) ContentToken(ctx context.Context, r Reading) (daypass.Secret, time.Time, error) {
	g, ok := b.issuers[r.Source.Host]
	if !ok {
		return daypass.Secret{}, time.Time{}, unknownHost(r.Source.Host)
	}
	switch host, hub := hubAccount(r.As); {
	case hub && host == r.Source.Host && r.Source.Kind == daypass.KindGit && r.Repo.ID != 0 && g.Traits().AsHub:
		return b.appReads(ctx, g, r)
	case r.person != 0 && r.person == personOf(r.As):
		return b.personReads(ctx, g, r)
	}
	return daypass.Secret{}, time.Time{}, errNoToken
}

var errNoToken = errors.New("broker: this reading takes no token of an issuer's")

func (b *Broker) personReads(ctx context.Context, g *guarded, r Reading) (daypass.Secret, time.Time, error) {
	p, ok, err := b.Store.PersonByID(ctx, r.person)
	if err != nil {
		return daypass.Secret{}, time.Time{}, storeProblem(err)
	}
	if !ok || !p.CutAt.IsZero() {
		return daypass.Secret{}, time.Time{}, noSuchSource()
	}
	led := b.ledger()
	conn, err := led.find(ctx, r.person, r.Source.Host)
	if err != nil {
		return daypass.Secret{}, time.Time{}, gone(r.Source.Host, err)
	}
	leave, entered := b.flights.enter(ctx.Done(), conn.ID)
	if !entered {
		return daypass.Secret{}, time.Time{}, providerProblem(r.Source.Host, context.Cause(ctx))
	}
	defer leave()
	conn, grant, err := b.access(ctx, g, led, conn)
	if err != nil {
		return daypass.Secret{}, time.Time{}, err
	}
	if conn.ID > 0 {
		err = b.Store.Write(ctx, func(tx *store.Tx) error { return tx.TouchConnection(conn.ID, b.Now()) })
	}
	return grant.Access, grant.Until, storeProblem(err)
}

// Spent is told that the upstream refused a person's token, and reports whether there
// is another now. Where not, the upstream was wrong, or they have to connect again.
func (b *Broker) Spent(ctx context.Context, r Reading) bool {
	g, ok := b.issuers[r.Source.Host]
	if !ok || r.person == 0 || r.person != personOf(r.As) {
		return false
	}
	led := b.ledger()
	conn, err := led.find(ctx, r.person, r.Source.Host)
	if err != nil {
		return false
	}
	conn, grant, err := current(ctx, led, conn)
	if err != nil {
		return false
	}
	return errors.Is(b.spent(ctx, g, led, conn, grant), errReplaced)
}

func (b *Broker) appReads(ctx context.Context, g *guarded, r Reading) (daypass.Secret, time.Time, error) {
	key := rightKey{host: r.Source.Host, version: r.Repo.ID}
	leave, entered := b.flights.enter(ctx.Done(), readerKey(key))
	if !entered {
		return daypass.Secret{}, time.Time{}, providerProblem(r.Source.Host, context.Cause(ctx))
	}
	defer leave()
	b.readers.mu.Lock()
	have := b.readers.byKey[key]
	b.readers.mu.Unlock()
	if have.until.After(b.Now().Add(readerMargin)) {
		return have.token, have.until, nil
	}
	scope := daypass.Scope{Host: r.Source.Host, Repos: []daypass.Repo{r.Repo}, Access: daypass.Read, Until: b.Now().Add(maxHubLife)}
	var child daypass.Child
	err := g.call(ctx, "issue", func(ctx context.Context) error {
		var err error
		child, err = g.IssueAsHub(ctx, scope)
		return err
	})
	if err != nil {
		return daypass.Secret{}, time.Time{}, providerProblem(r.Source.Host, err)
	}
	e := store.Event{At: b.Now(), Kind: store.Credential, Hub: b.Hub.ID, Host: r.Source.Host, Repo: r.Repo.String(), RepoID: r.Repo.ID, Access: daypass.Read.String(),
		As: policy.AsHub.String(), Rule: r.Rule, Outcome: store.OK, Until: child.Ends, Token: Fingerprint(child.Token), Why: "for the service's own reader"}
	if _, err := b.Store.Record(ctx, e); err != nil {
		b.discard(g, child.Token)
		return daypass.Secret{}, time.Time{}, storeProblem(err)
	}
	b.readers.mu.Lock()
	defer b.readers.mu.Unlock()
	if b.readers.byKey == nil || len(b.readers.byKey) >= maxPeople {
		b.readers.byKey = map[rightKey]readerToken{}
	}
	b.readers.byKey[key] = readerToken{child.Token, soonest(scope.Until, child.Ends)}
	return child.Token, child.Ends, nil
}

type readerKey rightKey

// endReaders ends the App's tokens that this process reads with, where it stops. What
// the host does not take ends by itself within the hour.
func (b *Broker) endReaders() {
	b.readers.mu.Lock()
	have := b.readers.byKey
	b.readers.byKey = nil
	b.readers.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	atOnce := make(chan struct{}, 8)
	for key, t := range have {
		if g, ok := b.issuers[key.host]; ok && t.until.After(b.Now()) {
			wg.Go(func() {
				select {
				case atOnce <- struct{}{}:
					b.discard(g, t.token)
					<-atOnce
				case <-ctx.Done():
				}
			})
		}
	}
	wg.Wait()
}
