package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// Disconnect ends the caller's connection at a host everywhere: here, in all
// servers and at the provider. It returns what was done, in words.
func (b *Broker) Disconnect(ctx context.Context, c daypass.Caller, host, request string) ([]string, error) {
	if byPass(c) {
		return nil, notByPass()
	}
	p, err := b.personRow(ctx, c.User)
	if err != nil {
		return nil, err
	}
	if _, ok := b.issuers[host]; !ok {
		return nil, unknownHost(host)
	}
	// A token that somebody made, or a server that others enter, does not end it.
	if c.Via != daypass.ViaBrowser && (c.Via != daypass.ViaServer || b.kind(ctx, c) != policy.Own) {
		return nil, needBrowser()
	}
	bridged := b.bridged.drop(p.ID, host)
	conn, err := b.ledger().find(ctx, p.ID, host)
	if errors.Is(err, store.ErrNone) && b.Limits.Session {
		conn, err = stored{b.Store}.find(ctx, p.ID, host) // from before that was chosen
	}
	if errors.Is(err, store.ErrNone) && bridged > 0 {
		return []string{host + ": the token of the hub's login is forgotten here until the next login; it can be revoked on the host's own page"}, nil
	}
	if errors.Is(err, store.ErrNone) {
		return nil, notConnected(host, "")
	}
	if err != nil {
		return nil, storeProblem(err)
	}
	e := b.event(c, p, Ask{Host: host, Request: request}, store.Disconnected)
	return b.end(ctx, conn, "disconnected by "+c.User.Name, e)
}

// end ends one connection: first here, durably, with the to-do to end it at the
// provider; then at the provider, at once if it answers.
func (b *Broker) end(ctx context.Context, conn store.Connection, why string, e store.Event) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	e.Outcome, e.Why, e.Account = store.OK, why, conn.Account.Login
	led := b.ledgerOf(conn)
	g := b.issuers[conn.Host]
	// A grant can only be ended at the provider with a token that still works.
	if g != nil && due(b.Now(), conn.AccessUntil) && conn.State == store.Live {
		if _, _, err := b.refresh(ctx, g, led, conn); err != nil {
			b.Log.Info("a connection could not be renewed to be ended", "connection", conn.ID, "err", err)
		}
	}
	grant, ok, err := led.end(ctx, conn, why, e)
	if err != nil {
		return nil, storeProblem(err)
	}
	if !ok {
		return []string{conn.Host + ": it had ended already"}, nil
	}
	b.children.drop(func(_ childKey, k *kept) bool { return k.Connection == conn.ID })
	done := []string{conn.Host + ": the connection of " + conn.Account.Login + " is erased here, and no server is given a token by it any more"}
	if conn.ID < 0 && g != nil {
		err := g.call(ctx, "disconnect", func(ctx context.Context) error {
			if b.memory.another(conn) {
				return g.Revoke(ctx, grant.Access)
			}
			return g.Disconnect(ctx, grant.Access)
		})
		if err != nil {
			return append(done, conn.Host+": it could not be told, and nothing is noted where connections are kept in memory only; "+
				"what was given ends by itself within hours, and at once where the App is revoked in the account's settings there"), nil
		}
		return append(done, told(conn.Host, nil)), nil
	}
	left, err := b.Settle(ctx, conn.Person)
	if err != nil {
		return append(done, told(conn.Host, err)), nil
	}
	if left > 0 {
		return append(done, fmt.Sprintf("%s: %d revocations are noted and are tried again until they are done", conn.Host, left)), nil
	}
	return append(done, told(conn.Host, nil)), nil
}

// ledgerOf is where a connection is kept: what is in memory only has a number
// below 0. The store may keep some from before an admin chose the memory.
func (b *Broker) ledgerOf(conn store.Connection) ledger {
	if conn.ID < 0 {
		return inMemory{b.memory, b.Store, b.Now}
	}
	return stored{b.Store}
}

// another reports whether somebody else's connection in memory is of the same
// account: the whole grant would be theirs too.
func (m *memory) another(conn store.Connection) bool {
	return slices.ContainsFunc(m.all(), func(c store.Connection) bool {
		return c.ID != conn.ID && c.Host == conn.Host && c.Account.ID == conn.Account.ID
	})
}

func told(host string, err error) string {
	if err != nil {
		return host + ": it could not be told yet; that is noted and tried again until it is done"
	}
	return host + ": the consent and every token made by it are revoked there"
}

// ServerStopped ends what one server of a user was given. A credential of the
// hub's own that others hold too goes on until the last of them ends. created is
// when the hub made the user, or zero: with it somebody is found who was renamed
// since they last asked.
func (b *Broker) ServerStopped(ctx context.Context, user string, created time.Time, server string) error {
	people, err := b.Store.People(ctx, store.PeopleFilter{Hub: b.Hub.ID, Name: user, Created: created})
	if err == nil && len(people) == 0 && !created.IsZero() {
		people, err = b.Store.People(ctx, store.PeopleFilter{Hub: b.Hub.ID, Created: created})
	}
	if err != nil {
		return storeProblem(err)
	}
	for _, p := range people {
		if err := b.serverEnded(ctx, p, daypass.Server{Known: true, Name: server}, "its server was stopped"); err != nil {
			return err
		}
	}
	return nil
}

func (b *Broker) serverEnded(ctx context.Context, p store.Person, server daypass.Server, why string) error {
	b.stops.note(holder{p.ID, server}, b.Now())
	b.runs.clear()
	var passes []store.Pass
	n := 0
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		var err error
		if passes, err = tx.EndPasses(store.PassFilter{Realm: b.book.realm(bookKey{}), Person: p.ID, Server: &server, LiveAt: b.Now()}, why); err != nil {
			return err
		}
		for _, row := range passes {
			b.book.recordEnd(tx, store.Event{Person: p.ID, Hub: p.User.Hub, User: p.User.Name, Server: server.String()}, row, why)
		}
		list, err := tx.Children(store.ChildFilter{Person: p.ID, Server: &server})
		if err != nil {
			return err
		}
		orphans, err := tx.DropHolds(p.ID, &server)
		if err != nil {
			return err
		}
		ids := append(living(list), orphans...)
		if n = len(ids) + len(passes); n == 0 {
			return nil
		}
		e := store.Event{
			At: b.Now(), Kind: store.ServerStopped, Person: p.ID, Hub: p.User.Hub, User: p.User.Name, Server: server.String(),
			Outcome: store.OK, Why: fmt.Sprintf("%s; %d tokens end, %d passes of its own with them", why, len(ids), len(passes)),
		}
		tx.Record(e)
		return tx.EndChildren(ids, why)
	})
	if err != nil {
		return storeProblem(err)
	}
	b.children.drop(func(k childKey, _ *kept) bool { return k.person == p.ID && k.server == server })
	b.dropHolder(holder{p.ID, server})
	if n > 0 {
		b.work()
	}
	b.passesEnded(ctx, p.ID, passes...)
	b.endMemoryChildren(ctx, p.ID, func(ch store.Child) bool { return ch.Server == server })
	return nil
}

// endMemoryChildren revokes what matches of connections of a person's that are in
// memory only. What the provider does not take now stays on the list of the
// connection, and ends with it.
func (b *Broker) endMemoryChildren(ctx context.Context, person int64, match func(store.Child) bool) {
	if !b.Limits.Session {
		return
	}
	led := b.ledger()
	conns, _ := led.list(ctx, person) // a memory has no errors
	for _, c := range conns {
		list, _ := led.children(ctx, c, b.Now())
		for _, ch := range list {
			token, err := led.childToken(ctx, ch)
			if !match(ch) || err != nil || token.IsZero() || !b.discard(b.issuers[c.Host], token) {
				continue
			}
			if err := led.endChildren(ctx, []int64{ch.ID}, "", true); err != nil {
				b.Log.Warn("a child that was revoked", "err", err)
			}
		}
	}
}

// stops are the servers that were stopped lately, as far as this process was
// told: what was on its way to one then is not kept.
type stops struct {
	mu sync.Mutex
	at map[holder]time.Time
}

// stopLife is longer than any request takes.
const stopLife = time.Minute

func (s *stops) note(h holder, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[holder]time.Time{}
	}
	for other, at := range s.at {
		if now.Sub(at) > stopLife {
			delete(s.at, other)
		}
	}
	s.at[h] = now
}

// stoppedSince refuses what was asked for by a server that was stopped since. To
// be called inside the transaction that records what was made: who stops a server
// notes it before looking for what there is.
func (b *Broker) stoppedSince(person int64, server daypass.Server, asked time.Time) error {
	b.stops.mu.Lock()
	defer b.stops.mu.Unlock()
	if at, ok := b.stops.at[holder{person, server}]; !ok || at.Before(asked) {
		return nil
	}
	return &daypass.Problem{
		Code: "DP-809", What: "the server was stopped while its token was made", Why: "the token was ended again",
		Next: "Start the server, and try again.", Kind: daypass.ErrRefused,
	}
}

// forgetHolder forgets what somebody holds of the hub's own: the next time it is
// given to them the store is told again.
func (b *Broker) forgetHolder(person int64) {
	b.children.drop(func(k childKey, v *kept) bool {
		if k.person == 0 {
			v.mu.Lock()
			defer v.mu.Unlock()
			for h := range v.holders {
				if h.person == person {
					delete(v.holders, h)
				}
			}
		}
		return false
	})
}

// dropHolder forgets that somebody holds credentials of the hub's own.
func (b *Broker) dropHolder(h holder) {
	b.children.drop(func(k childKey, v *kept) bool {
		if k.person != 0 {
			return false
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.holders, h)
		return len(v.holders) == 0
	})
}

// RevokeUser cuts everybody of that name at the hub off: no further credential,
// every connection and session ended, everything revoked at the providers. It
// says what was done, one line each.
func (b *Broker) RevokeUser(ctx context.Context, name, by string) ([]string, error) {
	people, err := b.Store.People(ctx, store.PeopleFilter{Hub: b.Hub.ID, Name: name})
	if err != nil {
		return nil, storeProblem(err)
	}
	if len(people) == 0 {
		return nil, &daypass.Problem{
			Code: "DP-832", What: "nobody called " + name + " has used the access service", Next: `"daypass admin user show" finds people by a part of their name.`,
		}
	}
	var done []string
	for _, p := range people {
		lines, err := b.cutOff(ctx, p, by)
		done = append(done, lines...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// RevokePerson is [Broker.RevokeUser] for one person by number, and nobody else of
// that name. store.ErrNone: there is nobody of that number.
func (b *Broker) RevokePerson(ctx context.Context, id int64, by string) ([]string, error) {
	p, ok, err := b.Store.PersonByID(ctx, id)
	if err != nil {
		return nil, storeProblem(err)
	}
	if !ok {
		return nil, store.ErrNone
	}
	return b.cutOff(ctx, p, by)
}

func (b *Broker) cutOff(ctx context.Context, p store.Person, by string) ([]string, error) {
	now := b.Now()
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		links, err := tx.CutPerson(p.ID, now, by)
		if err != nil {
			return err
		}
		for _, l := range links {
			tx.Record(linkEnd(store.Event{At: now, Kind: store.LinkEnded, Person: p.ID, Hub: p.User.Hub, User: p.User.Name}, l, l.Why))
		}
		if err := tx.EndSessions(p.ID); err != nil {
			return err
		}
		list, err := tx.Children(store.ChildFilter{Person: p.ID, Held: true})
		if err != nil {
			return err
		}
		if _, err := tx.DropHolds(p.ID, nil); err != nil {
			return err
		}
		// Also the hub's own that this person holds with others: those get
		// another on their next request.
		tx.Record(store.Event{At: now, Kind: store.CutOff, Person: p.ID, Hub: p.User.Hub, User: p.User.Name, Outcome: store.OK, Why: "by " + by})
		return tx.EndChildren(living(list), "cut off")
	})
	if err != nil {
		return nil, storeProblem(err)
	}
	b.people.drop(p.ID)
	b.holders.drop(p.ID)
	b.linked.forget(p.ID)
	b.linked.drop()
	b.book.drop(func(_ bookKey, e *bookEntry) bool { return e.row.Person == p.ID })
	b.bridged.drop(p.ID, "")
	b.children.drop(func(k childKey, v *kept) bool { return k.person == p.ID || k.person == 0 && v.holds(p.ID) })
	done := []string{p.User.Name + ": cut off; sessions of the pages ended; passes and links ended; no further tokens"}
	conns, err := b.everywhere(ctx, p.ID)
	if err != nil {
		return done, err
	}
	for _, c := range conns {
		e := connEvent(c, store.Disconnected, now)
		e.Hub, e.User = p.User.Hub, p.User.Name
		lines, err := b.end(ctx, c, "cut off by "+by, e)
		done = append(done, lines...)
		if err != nil {
			return done, err
		}
	}
	left, err := b.Settle(ctx, p.ID)
	if err == nil && left > 0 {
		done = append(done, fmt.Sprintf("%d revocations are noted and are tried again until they are done", left))
	}
	return done, nil
}

func (k *kept) holds(person int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for h := range k.holders {
		if h.person == person {
			return true
		}
	}
	return false
}

// AllowUser takes a cut-off back. Connections have to be made anew.
func (b *Broker) AllowUser(ctx context.Context, name, by string) (int, error) {
	people, err := b.Store.People(ctx, store.PeopleFilter{Hub: b.Hub.ID, Name: name, Cut: true})
	if err != nil {
		return 0, storeProblem(err)
	}
	for _, p := range people {
		err := b.Store.Write(ctx, func(tx *store.Tx) error {
			tx.Record(store.Event{At: b.Now(), Kind: store.Allowed, Person: p.ID, Hub: p.User.Hub, User: p.User.Name, Outcome: store.OK, Why: "by " + by})
			return tx.AllowPerson(p.ID)
		})
		if err != nil {
			return 0, storeProblem(err)
		}
		b.people.drop(p.ID)
	}
	return len(people), nil
}

// rejectedPause is how often a host is asked about one of the hub's own tokens.
const rejectedPause = time.Minute

// Rejected is told that a host refused a token that was given: it is not given
// again. One of the hub's own, which a whole class holds, is ended only where
// the host says that it is dead.
func (b *Broker) Rejected(ctx context.Context, c daypass.Caller, host, mark, request string) error {
	p, err := b.themself(ctx, c)
	if err != nil {
		return err
	}
	match := func(k childKey, v *kept) bool {
		return (k.person == p.ID || k.person == 0 && v.holds(p.ID)) && k.host == host && v.mark == mark
	}
	hit, own := b.children.find(match)
	if hit == nil || !own && !b.dead(ctx, host, hit) {
		return nil // unknown, or dropped already: nothing to learn from it
	}
	b.children.drop(match)
	e := b.event(c, p, Ask{Host: host, Repo: hit.Repo, Access: hit.Access, Request: request}, store.Erased)
	e.Outcome, e.Token, e.Why = store.OK, mark, "the host refused it"
	if hit.ID < 0 {
		_, err = b.Store.Record(ctx, e)
		return storeProblem(err)
	}
	err = b.Store.Write(ctx, func(tx *store.Tx) error {
		tx.Record(e)
		return tx.EndChildren([]int64{hit.ID}, "the host refused it")
	})
	b.work()
	return storeProblem(err)
}

// dead asks the host about one of the hub's own tokens, once in a while.
func (b *Broker) dead(ctx context.Context, host string, k *kept) bool {
	now := b.Now().Unix()
	before := k.doubted.Load()
	g, ok := b.issuers[host]
	if !ok || now-before < int64(rejectedPause/time.Second) && now >= before || !k.doubted.CompareAndSwap(before, now) {
		return false
	}
	live := true
	err := g.call(ctx, "live", func(ctx context.Context) error {
		var err error
		live, err = g.Live(ctx, k.Credential.Token)
		return err
	})
	return err == nil && !live
}

// work wakes whoever does the to-dos.
func (b *Broker) work() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

const todoBatch = 32

// workTodos does what is due, until ctx ends. What is due in a moment is not
// waited for longer than that moment.
func (b *Broker) workTodos(ctx context.Context) {
	for {
		n, err := b.doTodos(ctx, 0)
		if err != nil && ctx.Err() == nil {
			b.Log.Warn("to-dos", "err", err)
		}
		pause := time.Second
		if n == todoBatch {
			pause = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		case <-time.After(pause):
		}
	}
}

// Settle does now what is to be done for one person and for the hub's own
// tokens, and returns how much is still owed for the person: tried in vain, or
// being tried by somebody else.
func (b *Broker) Settle(ctx context.Context, person int64) (left int, err error) {
	for range 8 {
		n, err := b.doTodos(ctx, person)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
	}
	left, err = b.Store.CountTodos(ctx, person, b.Now())
	return left, storeProblem(err)
}

// doTodos claims what is due and does it, several at a time: one person's and the
// hub's own, or everybody's (0).
func (b *Broker) doTodos(ctx context.Context, person int64) (int, error) {
	list, err := b.Store.ClaimTodos(ctx, person, b.Process, b.Now(), todoBatch, b.Limits.TodoLease)
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	gate := make(chan struct{}, 8)
	for _, t := range list {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			b.doTodo(ctx, t)
		})
	}
	wg.Wait()
	return len(list), nil
}

func (b *Broker) doTodo(ctx context.Context, t store.Todo) {
	err := b.attempt(ctx, t)
	done := err == nil
	outcome, why := store.OK, t.Kind+": "+t.Why
	if errors.Is(err, errLost) {
		done, outcome, why = true, store.Failed, t.Kind+": "+err.Error()
		b.endParent(ctx, t)
	}
	werr := b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if done {
			tx.Record(store.Event{
				At: b.Now(), Kind: store.Revoke, Person: t.Person, Host: t.Host, Outcome: outcome, Why: why,
			})
			return tx.DoneTodo(t.ID)
		}
		wait := min(time.Hour, 2*time.Second<<min(t.Attempts, 12))
		return tx.RetryTodo(t.ID, b.Now().Add(wait), err.Error())
	})
	if werr != nil {
		b.Log.Warn("a to-do was not noted; it is done again", "todo", t.ID, "err", werr)
	}
}

// errLost is why a to-do cannot be done, now or ever.
var errLost = errors.New("the token is not in the store any more, or does not open, so it could not be revoked by itself")

// endParent ends the connection that a lost token was made by, which ends the
// token with it.
func (b *Broker) endParent(ctx context.Context, t store.Todo) {
	b.Log.Error("a token cannot be revoked by itself: somebody edited the store, or its disk is damaged", "todo", t.ID, "kind", t.Kind, "child", t.Child, "connection", t.Parent)
	if t.Kind != store.RevokeChild || t.Parent == 0 && t.Person == 0 {
		return
	}
	conn, err := b.Store.ConnectionByID(ctx, t.Parent)
	if t.Parent == 0 { // its row is gone
		conn, err = b.Store.Connection(ctx, t.Person, t.Host)
	}
	if err == nil && conn.State != store.Ended {
		_, err = b.end(ctx, conn, "a token made by it could not be revoked by itself", connEvent(conn, store.Disconnected, b.Now()))
	}
	if err != nil && !errors.Is(err, store.ErrNone) {
		b.Log.Warn("the connection of a token that cannot be revoked", "connection", t.Parent, "err", err)
	}
}

// attempt does one to-do. A host that no App is configured for is not asked, and
// the to-do waits; so it does after an error, whatever it is, for at most an hour
// at a time. That the provider does not know the token is what was wanted. A
// token that does not open may still be in use somewhere, whatever its row says:
// errLost.
func (b *Broker) attempt(ctx context.Context, t store.Todo) error {
	g, ok := b.issuers[t.Host]
	if !ok {
		return errors.New("no App is configured for this host any more")
	}
	if t.Token.IsZero() {
		return errLost
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return g.call(ctx, t.Kind, func(ctx context.Context) error {
		err := error(nil)
		if t.Kind == store.Disconnect {
			err = g.Disconnect(ctx, t.Token)
		} else {
			err = g.Revoke(ctx, t.Token)
		}
		if errors.Is(err, daypass.ErrSpent) {
			return nil
		}
		return err
	})
}
