package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

const (
	// childEnd is how long before its parent a child ends: refreshing kills the
	// parent, and perhaps its children with it.
	childEnd = 2 * time.Minute
	// maxHubLife is how long GitHub lets an installation token live.
	maxHubLife = time.Hour
)

// slot is when children of a grant have to have ended.
func slot(g *guarded, grant daypass.Grant) time.Time {
	if !grant.Until.Before(daypass.Forever) || g.Traits().ChildrenSurvive && !grant.Refresh.IsZero() {
		return grant.Until
	}
	return grant.Until.Add(-childEnd)
}

// due reports whether a connection's access token has to be refreshed before
// anything is made of it: when no child of it has more than a minute left.
func due(now, until time.Time) bool {
	return until.Before(daypass.Forever) && !now.Before(until.Add(-childEnd-margin))
}

// access returns the connection with an access token that is good for a while.
func (b *Broker) access(ctx context.Context, g *guarded, led ledger, conn store.Connection) (store.Connection, daypass.Grant, error) {
	conn, grant, err := current(ctx, led, conn)
	if err != nil {
		return conn, grant, err
	}
	if conn.State == store.Live && !due(b.Now(), conn.AccessUntil) {
		return conn, grant, nil
	}
	if conn.State == store.Restored && !b.restored.Allow() {
		return conn, grant, providerProblem(conn.Host, errors.New("many connections come back at once after a restore"))
	}
	return b.refresh(ctx, g, led, conn)
}

// current reads a connection and its grant, which are two looks at the store:
// where another process renewed it in between, both are read again.
func current(ctx context.Context, led ledger, conn store.Connection) (now store.Connection, grant daypass.Grant, err error) {
	for tries := 0; ; tries++ {
		if now, err = led.byID(ctx, conn); err != nil {
			return conn, grant, gone(conn.Host, err)
		}
		if now.State == store.NeedsConsent {
			return now, grant, notConnected(now.Host, now.Why)
		}
		if grant, err = led.grant(ctx, now); !errors.Is(err, store.ErrNone) || tries == 4 {
			return now, grant, storeProblem(err)
		}
	}
}

func gone(host string, err error) error {
	if errors.Is(err, store.ErrNone) {
		return notConnected(host, "")
	}
	return storeProblem(err)
}

// refresh renews a connection, or waits for whoever does. It goes on when the
// caller goes away: a refresh that was sent has to be finished.
func (b *Broker) refresh(ctx context.Context, g *guarded, led ledger, conn store.Connection) (store.Connection, daypass.Grant, error) {
	return b.renew(ctx, g, led, conn, false)
}

// renew is refresh; dead says that the access token does not work, whatever its
// end is said to be.
func (b *Broker) renew(ctx context.Context, g *guarded, led ledger, conn store.Connection, dead bool) (store.Connection, daypass.Grant, error) {
	type result struct {
		conn  store.Connection
		grant daypass.Grant
		err   error
	}
	done := make(chan result, 1)
	go func() {
		whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*b.Limits.RefreshLease)
		defer cancel()
		c, gr, err := b.refreshLeased(whole, g, led, conn, dead)
		done <- result{c, gr, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.grant, r.err
	case <-ctx.Done():
		return conn, daypass.Grant{}, providerProblem(conn.Host, ctx.Err())
	}
}

// refreshLeased takes the lease, or waits until whoever has it is done or dead.
func (b *Broker) refreshLeased(ctx context.Context, g *guarded, led ledger, conn store.Connection, dead bool) (store.Connection, daypass.Grant, error) {
	pause := 20 * time.Millisecond
	for {
		now, grant, err := current(ctx, led, conn)
		if err != nil {
			return now, grant, err
		}
		if now.State == store.Live && !due(b.Now(), now.AccessUntil) && !(dead && now.Version == conn.Version) {
			return now, grant, nil
		}
		// Each attempt has a name of its own: one that was held up for longer
		// than its lease must not be taken for the one after it.
		l := lease{fmt.Sprint(b.Process, "-", b.leases.Add(1)), time.Now().Add(b.Limits.RefreshLease)}
		ok, err := led.lease(ctx, now, l.owner, b.Limits.RefreshLease)
		if err != nil {
			return conn, daypass.Grant{}, storeProblem(err)
		}
		if ok {
			return b.refreshOwned(ctx, g, led, now, l)
		}
		select {
		case <-ctx.Done():
			return conn, daypass.Grant{}, providerProblem(conn.Host, ctx.Err())
		case <-time.After(pause):
			pause = min(2*pause, 500*time.Millisecond)
		}
	}
}

// A lease is the right to refresh a connection, for a time by this machine's
// clock. One request and its answer fit into half of it.
type lease struct {
	owner string
	until time.Time
}

// refreshOwned spends the refresh token. What comes back is stored before it is
// used or even looked at: the old pair is dead, and the new one is all there is.
func (b *Broker) refreshOwned(ctx context.Context, g *guarded, led ledger, conn store.Connection, l lease) (store.Connection, daypass.Grant, error) {
	interrupted := conn.State == store.Refreshing // somebody began, and did not finish
	old, err := led.grant(ctx, conn)
	if err != nil {
		return conn, old, storeProblem(err)
	}
	if old.Refresh.IsZero() {
		return b.consentNeeded(ctx, led, conn, "it has ended, and the provider gave nothing to renew it with")
	}
	var last error
	for attempt := range 2 {
		if time.Until(l.until) < b.Limits.RefreshTime {
			last = errors.New("this process was held up, and another may refresh by now")
			break
		}
		grant, err := b.askRefresh(ctx, g, old.Refresh)
		switch {
		case err == nil:
			return b.keepGrant(ctx, led, conn, grant)
		case errors.Is(err, daypass.ErrSpent):
			why := "the provider ended it"
			if interrupted || attempt > 0 {
				why = "a refresh was interrupted, and the provider's answer was lost"
			}
			return b.consentNeeded(ctx, led, conn, why)
		case errors.Is(err, daypass.ErrRefused), errors.Is(err, daypass.ErrLimited):
			return conn, old, b.release(ctx, led, conn, l, err)
		}
		last = err // unknown: the provider may have done it, or not
		select {
		case <-ctx.Done():
		case <-time.After(b.Limits.RefreshTime / 10):
		}
	}
	return conn, old, b.release(ctx, led, conn, l, last)
}

func (b *Broker) askRefresh(ctx context.Context, g *guarded, token daypass.Secret) (daypass.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, b.Limits.RefreshTime)
	defer cancel()
	var grant daypass.Grant
	err := g.call(ctx, "refresh", func(ctx context.Context) error {
		var err error
		grant, err = g.Refresh(ctx, token)
		return err
	})
	return grant, err
}

// keepGrant stores a new pair, and does not give up easily: without it the
// connection is lost.
func (b *Broker) keepGrant(ctx context.Context, led ledger, conn store.Connection, grant daypass.Grant) (store.Connection, daypass.Grant, error) {
	event := connEvent(conn, store.Refresh, b.Now())
	event.Outcome, event.Until = "ok", grant.Until
	var err error
	for pause := 10 * time.Millisecond; ; pause *= 3 {
		var ok bool
		if ok, err = led.keep(ctx, conn, grant, event); err == nil && ok {
			break
		}
		if err == nil {
			// The row went on without us: ended, or connected anew. The pair is nobody's.
			b.discard(b.issuers[conn.Host], grant.Access)
			return conn, grant, notConnected(conn.Host, "it was ended while it was renewed")
		}
		if pause > 10*time.Second || ctx.Err() != nil {
			b.Log.Error("a renewed connection could not be stored and is lost", "connection", conn.ID, "err", err)
			return conn, grant, storeProblem(err)
		}
		time.Sleep(pause)
	}
	b.forgetChildren(conn)
	now, err := led.byID(ctx, conn)
	return now, grant, storeProblem(err)
}

// forgetChildren: refreshing may have ended the children that had a minute left.
func (b *Broker) forgetChildren(conn store.Connection) {
	if g := b.issuers[conn.Host]; g != nil && g.Traits().ChildrenSurvive {
		return
	}
	b.children.drop(func(_ childKey, k *kept) bool { return k.Connection == conn.ID })
}

// consentNeeded marks a connection as dead, unless somebody else has renewed it
// in the meantime: then theirs is used.
func (b *Broker) consentNeeded(ctx context.Context, led ledger, conn store.Connection, why string) (store.Connection, daypass.Grant, error) {
	event := connEvent(conn, store.ConsentNeeded, b.Now())
	event.Outcome, event.Why = "failed", why
	ok, err := led.needConsent(ctx, conn, why, event)
	if err != nil {
		return conn, daypass.Grant{}, storeProblem(err)
	}
	if ok {
		b.forgetChildren(conn)
		return conn, daypass.Grant{}, notConnected(conn.Host, why)
	}
	now, err := led.byID(ctx, conn)
	if err != nil {
		return conn, daypass.Grant{}, gone(conn.Host, err)
	}
	if now.State != store.Live {
		return now, daypass.Grant{}, notConnected(conn.Host, now.Why)
	}
	grant, err := led.grant(ctx, now)
	return now, grant, storeProblem(err)
}

// release gives the lease back with the same token: nothing is known, or the
// provider wants us to wait.
func (b *Broker) release(ctx context.Context, led ledger, conn store.Connection, l lease, cause error) error {
	if err := led.release(ctx, conn, l.owner); err != nil {
		b.Log.Warn("a lease was not given back; it ends by itself", "connection", conn.ID, "err", err)
	}
	return providerProblem(conn.Host, cause)
}

// errReplaced: the access token was dead, and there is another now.
var errReplaced = errors.New("the token was replaced just now")

// spent looks again at a connection whose access token the provider refused. A
// proxy or an outage may have answered in the provider's place, so the provider
// is asked about the token itself. One that is dead before its time, by a clock
// that was set or because it was revoked alone, is renewed; where that fails
// too, the person has to connect again.
func (b *Broker) spent(ctx context.Context, g *guarded, led ledger, conn store.Connection, grant daypass.Grant) error {
	var live bool
	err := g.call(ctx, "live", func(ctx context.Context) error {
		var err error
		live, err = g.Live(ctx, grant.Access)
		return err
	})
	if err != nil || live {
		return providerProblem(conn.Host, errors.Join(err, errors.New("it refused a token that it says is good")))
	}
	if _, _, err = b.renew(ctx, g, led, conn, true); err != nil {
		return err
	}
	r := providerProblem(conn.Host, errReplaced).(*Refusal)
	r.RetryAfter = time.Second
	return r
}

// connEvent is a line about a connection that nobody asked for.
func connEvent(conn store.Connection, kind store.Kind, now time.Time) store.Event {
	return store.Event{At: now, Kind: kind, Person: conn.Person, Host: conn.Host, Account: conn.Account.Login, Request: fmt.Sprint("connection-", conn.ID)}
}
