package broker

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// A ConsentStart is what a page says when somebody presses "Connect".
type ConsentStart struct {
	Session  string // the browser's session: only it may come back
	Host     string
	Redirect string // the callback's own address, one for each provider
	Next     string // the page to go to afterwards, checked by the page
	Choose   bool   // let the person choose another account
}

// StartConsent returns where the browser goes. The state is random, kept hashed,
// good once and for ten minutes, and bound to session, person and provider
// (RFC 9700, 2.1 and 4.7).
func (b *Broker) StartConsent(ctx context.Context, c daypass.Caller, s ConsentStart) (string, error) {
	if c.Via != daypass.ViaBrowser || s.Session == "" {
		return "", needBrowser()
	}
	p, err := b.themself(ctx, c)
	if err != nil {
		return "", err
	}
	g, ok := b.issuers[s.Host]
	if !ok {
		return "", unknownHost(s.Host)
	}
	id, err := b.random()
	if err != nil {
		return "", err
	}
	verifier, err := b.random()
	if err != nil {
		return "", err
	}
	state := store.State{
		Session: s.Session, Person: p.ID, Hub: c.User.Hub, Host: s.Host, Verifier: verifier,
		Redirect: s.Redirect, Next: s.Next, Created: b.Now(),
	}
	if err := b.Store.PutState(ctx, id, state); err != nil {
		return "", storeProblem(err)
	}
	login := ""
	if conn, err := b.ledger().find(ctx, p.ID, s.Host); err == nil {
		login = conn.Account.Login
	} else if known, ok := b.Suggested(p.ID, s.Host); ok {
		login = known.Login
	}
	return g.ConsentURL(daypass.Consent{
		State: id, Challenge: oauth2.S256ChallengeFromVerifier(verifier), Redirect: s.Redirect, Login: login, Choose: s.Choose,
	}), nil
}

func (b *Broker) random() (string, error) {
	var raw [32]byte
	if _, err := io.ReadFull(b.Rand, raw[:]); err != nil {
		return "", fmt.Errorf("no randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

func needBrowser() error {
	return &daypass.Problem{
		Code: "DP-826", What: "connecting and disconnecting take a browser in which you are signed in to the hub",
		Next: "Open the page of your access.", Kind: daypass.ErrRefused,
	}
}

// A ConsentEnd is what the browser brought back from the provider.
type ConsentEnd struct {
	Session       string
	Host          string // of the callback's path
	State, Code   string
	Error, Issuer string // OAuth's error and iss, where sent
	Request       string // the request's id, for the activity
}

// A Connected is a consent that was kept.
type Connected struct {
	Connection store.Connection
	Next       string
	Event      store.EventID
}

// FinishConsent keeps a consent, or says why not. Whatever fails after the code
// was spent revokes what it gave.
func (b *Broker) FinishConsent(ctx context.Context, c daypass.Caller, e ConsentEnd) (Connected, error) {
	ask := Ask{Host: e.Host, Request: e.Request}
	p, err := b.themself(ctx, c)
	if err != nil {
		return Connected{}, b.refuse(ctx, c, p, ask, "", err)
	}
	g, ok := b.issuers[e.Host]
	if !ok {
		return Connected{}, b.refuse(ctx, c, p, ask, "", unknownHost(e.Host))
	}
	state, err := b.takeState(ctx, c, p, g, e)
	if err != nil {
		return Connected{}, b.refuse(ctx, c, p, ask, "", err)
	}
	// The code is spent once it is sent: what it gives is kept or revoked, also
	// where the browser has left meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var grant daypass.Grant
	err = g.call(ctx, "exchange", func(ctx context.Context) error {
		var err error
		grant, err = g.Exchange(ctx, e.Code, state.Verifier, state.Redirect)
		return err
	})
	if err != nil {
		return Connected{}, b.refuse(ctx, c, p, ask, "", exchangeProblem(e.Host, err))
	}
	conn, id, err := b.connect(ctx, g, c, p, ask, grant, store.Connection{Kind: "app"}, store.Connect)
	if err != nil {
		b.discard(g, grant.Access)
		return Connected{}, b.refuse(ctx, c, p, ask, "", err)
	}
	return Connected{Connection: conn, Next: state.Next, Event: id}, nil
}

func exchangeProblem(host string, err error) error {
	if errors.Is(err, daypass.ErrSpent) {
		return &daypass.Problem{
			Code: "DP-827", What: host + " no longer knows this consent", Why: "its code is used or older than ten minutes",
			Next: "Connect once more.", Kind: daypass.ErrRefused, Err: err,
		}
	}
	return providerProblem(host, err)
}

// takeState finds what the browser was sent away with. A state is deleted by
// reading it, whatever comes of it.
func (b *Broker) takeState(ctx context.Context, c daypass.Caller, p store.Person, g *guarded, e ConsentEnd) (store.State, error) {
	var s store.State
	var ok bool
	var err error
	if e.State != "" && len(e.State) <= 200 {
		s, ok, err = b.Store.TakeState(ctx, e.State, b.Now())
	}
	if err != nil {
		return s, storeProblem(err)
	}
	why := ""
	switch {
	case !ok:
		why = "it is not known here, was used before, or is older than ten minutes"
	case c.Via != daypass.ViaBrowser, s.Session != e.Session, e.Session == "":
		why = "it was begun in another browser"
	case s.Person != p.ID:
		why = "it was begun by somebody else"
	case s.Host != e.Host:
		why = "it was begun for another provider"
	case e.Issuer != "" && !strings.EqualFold(strings.TrimSuffix(e.Issuer, "/"), "https://"+g.Host()+"/login/oauth"):
		why = "another provider answered"
	}
	if why != "" {
		return s, &daypass.Problem{
			Code: "DP-828", What: "this consent cannot be finished", Why: why, Next: "Connect once more, from the page of your access.",
			Kind: daypass.ErrRefused,
		}
	}
	if e.Error == "invalid_scope" { // RFC 6749, 4.1.2.1: not the person's doing
		return s, &daypass.Problem{
			Code: "DP-432", What: e.Host + " refused how it was asked", Why: "the service's key there does not have what daypass asks for",
			Next: "Ask whoever runs the access service.", Who: "An admin compares the key's scopes with the manual.", Kind: daypass.ErrRefused,
		}
	}
	if e.Error != "" || e.Code == "" {
		return s, &daypass.Problem{
			Code: "DP-829", What: "nothing was connected, because you said no at " + e.Host, Next: "Connect again when you are ready.",
			Kind: daypass.ErrRefused,
		}
	}
	return s, nil
}

// connect looks whose a grant is and keeps it, in one transaction with the
// event. What is there already is revoked afterwards.
func (b *Broker) connect(ctx context.Context, g *guarded, c daypass.Caller, p store.Person, ask Ask, grant daypass.Grant, conn store.Connection, kind store.Kind) (store.Connection, store.EventID, error) {
	if err := b.acceptable(g.Host(), grant); err != nil {
		return conn, "", err
	}
	account, err := b.whose(ctx, g, grant, conn.Account)
	if err != nil {
		return conn, "", err
	}
	now := b.Now()
	conn.Person, conn.Host, conn.Account = p.ID, g.Host(), account
	conn.Created, conn.Used, conn.Ends = now, now, now.Add(b.Limits.MaxAge)
	if b.Limits.Session {
		conn.Ends = now.Add(b.Limits.SessionAge)
	}
	e := b.event(c, p, ask, kind)
	e.Outcome, e.Account, e.Until = store.OK, account.Login, conn.Ends
	var id store.EventID
	conn, displaced, err := b.ledger().put(context.WithoutCancel(ctx), conn, grant, func(tx *store.Tx) error {
		id = tx.Record(e)
		return nil
	})
	b.discardAll(g, displaced)
	if errors.Is(err, store.ErrNone) {
		b.people.drop(p.ID) // they were cut off on the way
		if _, cut := b.person(ctx, c.User); cut != nil {
			return conn, "", cut
		}
	}
	if err != nil {
		return conn, "", storeProblem(err)
	}
	b.children.drop(func(k childKey, _ *kept) bool { return k.person == p.ID && k.host == g.Host() })
	b.work()
	return conn, id, nil
}

// discardAll revokes tokens that nobody has any more, at once.
func (b *Broker) discardAll(g *guarded, tokens []daypass.Secret) {
	var wg sync.WaitGroup
	for _, t := range tokens {
		wg.Go(func() { b.discard(g, t) })
	}
	wg.Wait()
}

// whose asks whose a token is. Where somebody said whose it should be, it has to
// be that account's.
func (b *Broker) whose(ctx context.Context, g *guarded, grant daypass.Grant, said daypass.Account) (daypass.Account, error) {
	var account daypass.Account
	err := g.call(ctx, "whose", func(ctx context.Context) error {
		var err error
		account, err = g.Whose(ctx, grant.Access)
		return err
	})
	if err != nil {
		return account, providerProblem(g.Host(), err)
	}
	if said.ID != 0 && said.ID != account.ID {
		return account, &daypass.Problem{
			Code: "DP-830", What: "the token is " + account.Login + "'s, not " + said.Login + "'s", Next: "Connect once more.", Kind: daypass.ErrRefused,
		}
	}
	return account, nil
}

// acceptable refuses what cannot be kept as short-lived as daypass wants it.
func (b *Broker) acceptable(host string, grant daypass.Grant) error {
	if grant.Until.Before(daypass.Forever) || slices.Contains(b.AcceptForever, host) {
		return nil
	}
	return &daypass.Problem{
		Code: "DP-831", What: host + " gave a token that never ends, so it was ended at once",
		Why:  `the App's "Expire user authorization tokens" is off, or it is no GitHub App`,
		Next: "Ask the hub's admins.", Who: `Admins tick it in the App's settings; "daypass admin app check" says what else is wrong.`, Kind: daypass.ErrRefused,
	}
}

// Enter says by which number the store knows a caller, whose row is made the first
// time. Somebody who was cut off is refused.
func (b *Broker) Enter(ctx context.Context, c daypass.Caller) (int64, error) {
	p, err := b.themself(ctx, c)
	return p.ID, err
}

// Connections lists a person's connections.
func (b *Broker) Connections(ctx context.Context, c daypass.Caller) ([]store.Connection, error) {
	p, err := b.themself(ctx, c)
	if err != nil {
		return nil, err
	}
	return b.everywhere(ctx, p.ID)
}

// ConnectionsOf lists the connections of one person by number.
func (b *Broker) ConnectionsOf(ctx context.Context, person int64) ([]store.Connection, error) {
	return b.everywhere(ctx, person)
}

// Await waits until the caller is connected at a host, at most as long as ctx.
// It looks at the store, since another process may have kept the consent.
func (b *Broker) Await(ctx context.Context, c daypass.Caller, host string) (store.Connection, bool, error) {
	p, err := b.themself(ctx, c)
	if err != nil {
		return store.Connection{}, false, err
	}
	if _, ok := b.issuers[host]; !ok {
		return store.Connection{}, false, unknownHost(host)
	}
	for {
		conn, err := b.ledger().find(ctx, p.ID, host)
		if err == nil && conn.State != store.NeedsConsent {
			return conn, true, nil
		}
		if err != nil && !errors.Is(err, store.ErrNone) && ctx.Err() == nil {
			return conn, false, storeProblem(err)
		}
		select {
		case <-ctx.Done():
			return conn, false, nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}
