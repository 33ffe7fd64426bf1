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

// A Bridge is a classic OAuth App that a hub logs its users in with. Its tokens
// cannot be narrowed and may never end. Without AcceptUnnarrowed only the
// account is remembered, so that connecting suggests it; with it the token is
// handed out as it is, by this process and from memory alone.
type Bridge struct {
	Host, App        string
	AcceptUnnarrowed bool
}

// A HandIn is what a hub's login gave, as its hook hands it over.
type HandIn struct {
	User    string    // at the hub; the account may be so new that the hub does not list it yet
	Created time.Time // when the hub made it; zero: not told
	Host    string
	App     string // client id of the App that the hub logs in with
	Account daypass.Account
	Grant   daypass.Grant
	Request string
}

// HandIn makes a login at the hub a connection. The token is looked at before
// anything is kept: it has to be the account's that the hub says.
func (b *Broker) HandIn(ctx context.Context, h HandIn) error {
	g, ok := b.issuers[h.Host]
	if !ok {
		return unknownHost(h.Host)
	}
	if h.Account.ID == 0 || h.Grant.Access.IsZero() {
		return &daypass.Problem{Code: "DP-833", What: "the hub handed over a login without an account or a token", Next: "Look at the hub's log.", Kind: daypass.ErrRefused}
	}
	p, c, err := b.newcomer(ctx, h.User, h.Created)
	if err == nil {
		err = b.handIn(ctx, g, c, p, h)
	}
	if err == nil {
		return nil
	}
	if h.App == g.App() { // another App's token is not ours to end
		b.discard(g, h.Grant.Access)
	}
	return b.refuse(ctx, c, p, Ask{Host: h.Host, Request: h.Request}, "", err)
}

func (b *Broker) handIn(ctx context.Context, g *guarded, c daypass.Caller, p store.Person, h HandIn) error {
	for _, br := range b.Bridges {
		if br.Host == h.Host && br.App == h.App {
			return b.bridge(ctx, g, c, p, h, br)
		}
	}
	if h.App != g.App() {
		return &daypass.Problem{
			Code: "DP-808", What: "the hub logs in at " + h.Host + " with another App than the access service's", Kind: daypass.ErrRefused,
			Next: "Connect on the page of your access.", Who: `Admins: let the hub log in with the push App, or name the hub's App under "login_app".`,
		}
	}
	have, err := b.ledger().find(ctx, p.ID, h.Host)
	if err == nil && have.Account.ID != h.Account.ID {
		return &daypass.Problem{
			Code: "DP-839", What: "you are connected as " + have.Account.Login + ", and logged in to the hub as " + h.Account.Login + "; the connection stays",
			Next: "Connect again on the page of your access, if that is what you want.", Kind: daypass.ErrRefused,
		}
	}
	if err != nil && !errors.Is(err, store.ErrNone) {
		return storeProblem(err)
	}
	conn := store.Connection{Kind: "login", App: h.App, Account: h.Account}
	_, _, err = b.connect(ctx, g, c, p, Ask{Host: h.Host, Request: h.Request}, h.Grant, conn, store.LoginHandedIn)
	return err
}

// newcomer finds the row of somebody who is logging in right now. At a first
// login the hub makes the account a moment after its hook has run.
func (b *Broker) newcomer(ctx context.Context, name string, created time.Time) (store.Person, daypass.Caller, error) {
	if !created.IsZero() {
		c := daypass.Caller{User: daypass.User{Hub: b.Hub.ID, Name: name, Created: created.UTC()}, Via: daypass.ViaLogin}
		p, err := b.person(ctx, c.User)
		return p, c, err
	}
	if b.Hub.User == nil {
		return store.Person{}, daypass.Caller{}, hubProblem(nil)
	}
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		u, ok, err := b.Hub.User(ctx, name)
		if err == nil && ok {
			c := daypass.Caller{User: daypass.User{Hub: b.Hub.ID, Name: u.Name, Created: u.Created}, Via: daypass.ViaLogin}
			p, err := b.person(ctx, c.User)
			return p, c, err
		}
		select {
		case <-ctx.Done():
			return store.Person{}, daypass.Caller{}, hubProblem(err)
		case <-time.After(wait):
		}
	}
}

// bridged holds tokens of classic OAuth Apps, in memory alone.
type bridged struct {
	mu    sync.Mutex
	byKey map[bridgeKey]bridgedToken
}

type bridgeKey struct {
	person int64
	host   string
}

type bridgedToken struct {
	grant   daypass.Grant
	account daypass.Account
}

func newBridged() *bridged { return &bridged{byKey: map[bridgeKey]bridgedToken{}} }

// drop forgets the tokens of a person, of all hosts where host is "", and returns
// how many there were.
func (br *bridged) drop(person int64, host string) int {
	br.mu.Lock()
	defer br.mu.Unlock()
	n := 0
	for k := range br.byKey {
		if k.person == person && (host == "" || k.host == host) {
			delete(br.byKey, k)
			n++
		}
	}
	return n
}

// Bridged counts the un-narrowed tokens in memory, for Health.
func (b *Broker) Bridged() int {
	b.bridged.mu.Lock()
	defer b.bridged.mu.Unlock()
	n := 0
	for _, t := range b.bridged.byKey {
		if !t.grant.Access.IsZero() { // of the others only the account is known
			n++
		}
	}
	return n
}

func (b *Broker) bridge(ctx context.Context, g *guarded, c daypass.Caller, p store.Person, h HandIn, br Bridge) error {
	account, err := b.whose(ctx, g, h.Grant, h.Account)
	if err != nil {
		return err
	}
	e := b.event(c, p, Ask{Host: h.Host, Request: h.Request}, store.LoginHandedIn)
	e.Outcome, e.Account, e.Why = store.OK, account.Login, "a classic OAuth App: only the account is remembered"
	if br.AcceptUnnarrowed {
		e.Why = "a classic OAuth App: its token is handed out whole, as the admin accepts"
	}
	if _, err := b.Store.Record(ctx, e); err != nil {
		return storeProblem(err)
	}
	b.bridged.mu.Lock()
	defer b.bridged.mu.Unlock()
	t := bridgedToken{account: account}
	if br.AcceptUnnarrowed {
		t.grant = h.Grant
	}
	if len(b.bridged.byKey) >= maxPeople {
		clear(b.bridged.byKey)
	}
	b.bridged.byKey[bridgeKey{p.ID, h.Host}] = t
	return nil
}

// Suggested is the account that a person is known by at a host from the hub's
// own login, where there is no connection.
func (b *Broker) Suggested(person int64, host string) (daypass.Account, bool) {
	b.bridged.mu.Lock()
	defer b.bridged.mu.Unlock()
	t, ok := b.bridged.byKey[bridgeKey{person, host}]
	return t.account, ok
}

// bridgeLife is how long a helper may keep a whole token before it asks again.
const bridgeLife = 15 * time.Minute

// byBridge hands out a whole token of a classic OAuth App, where the admin
// accepts that; false where there is none.
func (b *Broker) byBridge(ctx context.Context, g *guarded, q asking) (Answer, bool, error) {
	c, p, ask, v := q.c, q.p, q.ask, q.verdict
	b.bridged.mu.Lock()
	t, ok := b.bridged.byKey[bridgeKey{p.ID, ask.Host}]
	b.bridged.mu.Unlock()
	if !ok || t.grant.Access.IsZero() || v.Access < daypass.Write {
		return Answer{}, false, nil // a whole token writes; a rule that lets only read gives none
	}
	if ask.pass != nil {
		return Answer{}, false, unnarrowed(ask.Host)
	}
	as := store.Connection{Host: ask.Host, Account: t.account, ID: -p.ID} // not a row: it is known by this process alone
	right, err := b.right(ctx, g, nil, as, t.grant, ask.Repo)
	if err != nil {
		return Answer{}, false, err
	}
	if q, err = b.today(q, right.Repo); err != nil {
		return Answer{}, false, err
	}
	if right.Access < daypass.Write || q.verdict.Access < daypass.Write {
		return Answer{}, false, nil
	}
	if err := b.clicked(ctx, q, daypass.Write); err != nil {
		return Answer{}, false, err
	}
	if err := b.pinned(ctx, c, p, p.ID, ask, right.Repo); err != nil {
		return Answer{}, false, err
	}
	named := ask.Repo
	named.ID = right.Repo.ID
	cred := daypass.Credential{
		Account: t.account.Login, Username: "x-access-token", Token: t.grant.Access,
		Scope: daypass.Scope{Host: ask.Host, Repos: []daypass.Repo{named}, Access: v.Access, Until: soonest(b.Now().Add(min(bridgeLife, q.verdict.Max)), t.grant.Until)},
	}
	e := given(b.event(c, p, ask, store.Credential), policy.AsUser, v.Rule, &kept{Credential: cred, Account: t.account.Login, mark: Fingerprint(cred.Token)})
	e.Why = "a whole token of a classic OAuth App"
	id, err := b.Store.Record(ctx, e)
	if err != nil {
		return Answer{}, false, storeProblem(err)
	}
	return Answer{Credential: cred, Account: t.account, As: policy.AsUser, Rule: v.Rule, Event: id}, true, nil
}
