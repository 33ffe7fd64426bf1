package broker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

// A ledger keeps connections and what was made of them. There are two: the
// store, and this process's memory, for hubs whose admins want nothing on a
// disk.
type ledger interface {
	find(ctx context.Context, person int64, host string) (store.Connection, error) // store.ErrNone
	list(ctx context.Context, person int64) ([]store.Connection, error)
	byID(ctx context.Context, c store.Connection) (store.Connection, error) // store.ErrNone
	grant(ctx context.Context, c store.Connection) (daypass.Grant, error)
	// put keeps a consent of somebody who is not cut off, else the error is
	// store.ErrNone. What it takes the place of is revoked by to-dos, or comes back
	// to be revoked now.
	put(ctx context.Context, c store.Connection, g daypass.Grant, also func(*store.Tx) error) (now store.Connection, displaced []daypass.Secret, err error)
	lease(ctx context.Context, c store.Connection, owner string, d time.Duration) (bool, error)
	keep(ctx context.Context, c store.Connection, g daypass.Grant, e store.Event) (bool, error)
	release(ctx context.Context, c store.Connection, owner string) error
	needConsent(ctx context.Context, c store.Connection, why string, e store.Event) (bool, error)
	// end erases a connection. What it held comes back once, for revocation.
	end(ctx context.Context, c store.Connection, why string, e store.Event) (daypass.Grant, bool, error)

	// children lists what the provider may still take at a moment.
	children(ctx context.Context, c store.Connection, at time.Time) ([]store.Child, error)
	childToken(ctx context.Context, ch store.Child) (daypass.Secret, error)
	born(ctx context.Context, ch *store.Child, token daypass.Secret, also func(*store.Tx) error) error
	// endChildren ends them here; done says that the provider was told already.
	endChildren(ctx context.Context, ids []int64, why string, done bool) error
}

// ledger is the one that the admin chose.
func (b *Broker) ledger() ledger {
	if b.Limits.Session {
		return inMemory{b.memory, b.Store, b.Now}
	}
	return stored{b.Store}
}

// everywhere lists a person's connections in the store and in memory: where an
// admin chose the memory there may be some in the store from before, until they
// are ended.
func (b *Broker) everywhere(ctx context.Context, person int64) ([]store.Connection, error) {
	out, err := stored{b.Store}.list(ctx, person)
	if err != nil {
		return nil, storeProblem(err)
	}
	kept, err := inMemory{b.memory, b.Store, b.Now}.list(ctx, person)
	return append(out, kept...), storeProblem(err)
}

// endStored ends what is in the store where an admin has chosen that nothing
// should be. Nobody would use it any more, nor renew it.
func (b *Broker) endStored(ctx context.Context) {
	counts, err := b.Store.CountConnections(ctx)
	left := slices.ContainsFunc(counts, func(c store.ConnectionCount) bool { return c.State != store.Ended && c.N > 0 })
	if err != nil || !b.Limits.Session || !left {
		return
	}
	n := 0
	for after := int64(0); ctx.Err() == nil; {
		page, err := b.Store.People(ctx, store.PeopleFilter{Hub: b.Hub.ID, After: after, Limit: 1000})
		if err != nil || len(page) == 0 {
			break
		}
		for _, p := range page {
			after = p.ID
			conns, err := stored{b.Store}.list(ctx, p.ID)
			for _, c := range conns {
				if _, err = b.end(ctx, c, "connections are kept in memory only now", connEvent(c, store.Disconnected, b.Now())); err == nil {
					n++
				}
			}
			if err != nil {
				b.Log.Warn("a stored connection was not ended", "person", p.ID, "err", err)
			}
		}
	}
	b.Log.Info("connections are kept in memory only; those in the store were ended", "number", n)
}

// stored keeps connections in the store.
type stored struct{ db *store.DB }

var _ ledger = stored{}

func (s stored) find(ctx context.Context, person int64, host string) (store.Connection, error) {
	c, err := s.db.Connection(ctx, person, host)
	if err == nil && c.State == store.Ended {
		return c, store.ErrNone
	}
	return c, err
}

func (s stored) list(ctx context.Context, person int64) ([]store.Connection, error) {
	all, err := s.db.Connections(ctx, person)
	var out []store.Connection
	for _, c := range all {
		if c.State != store.Ended {
			out = append(out, c)
		}
	}
	return out, err
}

func (s stored) byID(ctx context.Context, c store.Connection) (store.Connection, error) {
	now, err := s.db.ConnectionByID(ctx, c.ID)
	if err == nil && now.State == store.Ended {
		return now, store.ErrNone
	}
	return now, err
}

func (s stored) grant(ctx context.Context, c store.Connection) (daypass.Grant, error) {
	return s.db.Grant(ctx, c)
}

func (s stored) put(ctx context.Context, c store.Connection, g daypass.Grant, also func(*store.Tx) error) (store.Connection, []daypass.Secret, error) {
	var now store.Connection
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		was, err := tx.Connection(c.Person, c.Host)
		had := err == nil
		var old *daypass.Grant
		if now, old, err = tx.PutConnection(c, g); err != nil {
			return err
		}
		if had {
			if err := endAll(tx, was.ID, "connected anew"); err != nil {
				return err
			}
		}
		if old != nil && !old.Access.IsZero() {
			if err := tx.AddTodo(store.Todo{Kind: store.RevokeToken, Host: c.Host, Person: c.Person, Token: old.Access, Due: tx.Now(), Why: "connected anew"}); err != nil {
				return err
			}
		}
		return also(tx)
	})
	return now, nil, err
}

// endAll ends the children of a connection.
func endAll(tx *store.Tx, connection int64, why string) error {
	list, err := tx.Children(store.ChildFilter{Connection: connection})
	if err != nil {
		return err
	}
	return tx.EndChildren(living(list), why)
}

func living(list []store.Child) []int64 {
	var ids []int64
	for _, ch := range list {
		if !ch.Ending {
			ids = append(ids, ch.ID)
		}
	}
	return ids
}

func (s stored) lease(ctx context.Context, c store.Connection, owner string, d time.Duration) (bool, error) {
	var ok bool
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		var err error
		ok, err = tx.LeaseConnection(c.ID, c.Version, owner, d)
		return err
	})
	return ok, err
}

func (s stored) keep(ctx context.Context, c store.Connection, g daypass.Grant, e store.Event) (bool, error) {
	var ok bool
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		var err error
		if ok, err = tx.KeepGrant(c.ID, c.Version, g); err == nil && ok {
			tx.Record(e)
		}
		return err
	})
	return ok, err
}

func (s stored) release(ctx context.Context, c store.Connection, owner string) error {
	return s.db.Write(ctx, func(tx *store.Tx) error { return tx.ReleaseLease(c.ID, c.Version, owner) })
}

func (s stored) needConsent(ctx context.Context, c store.Connection, why string, e store.Event) (bool, error) {
	var ok bool
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		var err error
		if ok, err = tx.NeedConsent(c.ID, c.Version, why); err == nil && ok {
			tx.Record(e)
		}
		return err
	})
	return ok, err
}

func (s stored) end(ctx context.Context, c store.Connection, why string, e store.Event) (daypass.Grant, bool, error) {
	var g daypass.Grant
	var ok bool
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		var err error
		if g, ok, err = tx.EndConnection(c.ID, why); err != nil || !ok {
			return err
		}
		if err := endAll(tx, c.ID, why); err != nil {
			return err
		}
		if !g.Access.IsZero() {
			err = tx.AddTodo(store.Todo{Kind: store.Disconnect, Host: c.Host, Person: c.Person, Account: c.Account.ID, Token: g.Access, Due: tx.Now(), Why: why})
		}
		tx.Record(e)
		return err
	})
	return g, ok, err
}

func (s stored) children(ctx context.Context, c store.Connection, at time.Time) ([]store.Child, error) {
	all, err := s.db.Children(ctx, store.ChildFilter{Connection: c.ID})
	var out []store.Child
	for _, ch := range all {
		if ch.Ends.After(at) {
			out = append(out, ch)
		}
	}
	return out, err
}

func (s stored) childToken(ctx context.Context, ch store.Child) (daypass.Secret, error) {
	return s.db.ChildToken(ctx, ch)
}

func (s stored) born(ctx context.Context, ch *store.Child, token daypass.Secret, also func(*store.Tx) error) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.PutChild(*ch, token)
		if err != nil {
			return err
		}
		if err := tx.TouchConnection(ch.Connection, ch.Created); err != nil {
			return err
		}
		*ch = row
		return also(tx)
	})
}

func (s stored) endChildren(ctx context.Context, ids []int64, why string, done bool) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if done {
			return tx.ForgetChildren(ids)
		}
		return tx.EndChildren(ids, why)
	})
}

// memory keeps connections for a few hours and nothing on a disk. When the
// process ends they are gone, and so are the refresh tokens; what was made of
// them ends by itself.
type memory struct {
	mu    sync.Mutex
	next  int64 // negative ids, so that they are never taken for rows
	conns map[int64]*memConn
}

type memConn struct {
	store.Connection
	grant    daypass.Grant
	children map[int64]memChild
}

type memChild struct {
	store.Child
	token daypass.Secret
}

func newMemory() *memory { return &memory{conns: map[int64]*memConn{}} }

// all lists what is in memory.
func (m *memory) all() []store.Connection {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []store.Connection
	for _, c := range m.conns {
		out = append(out, c.Connection)
	}
	return out
}

type inMemory struct {
	m   *memory
	db  *store.DB
	now func() time.Time
}

var _ ledger = inMemory{}

// with calls f with the connection of that number, also one whose time is over
// and that waits to be ended.
func (l inMemory) with(id int64, f func(*memConn) error) error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	c, ok := l.m.conns[id]
	if !ok {
		return store.ErrNone
	}
	return f(c)
}

func (l inMemory) find(_ context.Context, person int64, host string) (store.Connection, error) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	for _, c := range l.m.conns {
		if c.Person == person && c.Host == host && c.Ends.After(l.now()) {
			return c.Connection, nil
		}
	}
	return store.Connection{}, store.ErrNone
}

func (l inMemory) list(_ context.Context, person int64) ([]store.Connection, error) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	var out []store.Connection
	for _, c := range l.m.conns {
		if c.Person == person && c.Ends.After(l.now()) {
			out = append(out, c.Connection)
		}
	}
	return out, nil
}

func (l inMemory) byID(_ context.Context, c store.Connection) (now store.Connection, err error) {
	err = l.with(c.ID, func(m *memConn) error { now = m.Connection; return nil })
	return now, err
}

func (l inMemory) grant(_ context.Context, c store.Connection) (g daypass.Grant, err error) {
	err = l.with(c.ID, func(m *memConn) error { g = m.grant; return nil })
	return g, err
}

func (l inMemory) put(ctx context.Context, c store.Connection, g daypass.Grant, also func(*store.Tx) error) (store.Connection, []daypass.Secret, error) {
	err := l.db.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Alive(c.Person); err != nil {
			return err
		}
		return also(tx)
	})
	if err != nil {
		return c, nil, err
	}
	c, displaced := l.swap(c, g)
	// Whoever cuts somebody off looks here once it is done: from now on they find
	// this one, and whoever was done before is seen here.
	p, ok, err := l.db.PersonByID(ctx, c.Person)
	if err == nil && (!ok || !p.CutAt.IsZero()) {
		err = store.ErrNone
	}
	if err != nil {
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		delete(l.m.conns, c.ID)
	}
	return c, displaced, err
}

// swap puts a connection in the place of what the person had at the host, and
// returns the tokens of that: its own, and what was made of it.
func (l inMemory) swap(c store.Connection, g daypass.Grant) (now store.Connection, displaced []daypass.Secret) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	for id, old := range l.m.conns {
		if old.Person != c.Person || old.Host != c.Host {
			continue
		}
		delete(l.m.conns, id)
		for _, ch := range old.children {
			if ch.Ends.After(l.now()) {
				displaced = append(displaced, ch.token)
			}
		}
		displaced = append(displaced, old.grant.Access)
	}
	l.m.next--
	c.ID, c.State, c.Version = l.m.next, store.Live, 1
	c.AccessUntil, c.RenewUntil = g.Until, g.Renew
	l.m.conns[c.ID] = &memConn{Connection: c, grant: g, children: map[int64]memChild{}}
	return c, displaced
}

func (l inMemory) lease(_ context.Context, c store.Connection, owner string, d time.Duration) (ok bool, err error) {
	err = l.with(c.ID, func(m *memConn) error {
		if ok = m.Version == c.Version && (m.Lease == "" || !m.LeaseUntil.After(l.now())); ok {
			m.Lease, m.LeaseUntil, m.State = owner, l.now().Add(d), store.Refreshing
		}
		return nil
	})
	return ok, err
}

func (l inMemory) keep(ctx context.Context, c store.Connection, g daypass.Grant, e store.Event) (ok bool, err error) {
	err = l.with(c.ID, func(m *memConn) error {
		if ok = m.Version == c.Version || m.Version == c.Version+1 && m.State == store.NeedsConsent; ok {
			m.grant, m.Version, m.State, m.Lease = g, m.Version+1, store.Live, ""
			m.AccessUntil, m.RenewUntil = g.Until, g.Renew
		}
		return nil
	})
	if ok {
		_, err = l.db.Record(ctx, e)
	}
	return ok, err
}

func (l inMemory) release(_ context.Context, c store.Connection, owner string) error {
	return l.with(c.ID, func(m *memConn) error {
		if m.Lease == owner {
			m.Lease, m.State = "", store.Live
		}
		return nil
	})
}

func (l inMemory) needConsent(ctx context.Context, c store.Connection, why string, e store.Event) (ok bool, err error) {
	err = l.with(c.ID, func(m *memConn) error {
		if ok = m.Version == c.Version; ok {
			m.State, m.Why, m.Lease, m.Version = store.NeedsConsent, why, "", m.Version+1
		}
		return nil
	})
	if ok {
		_, err = l.db.Record(ctx, e)
	}
	return ok, err
}

func (l inMemory) end(ctx context.Context, c store.Connection, _ string, e store.Event) (g daypass.Grant, ok bool, err error) {
	l.m.mu.Lock()
	m, found := l.m.conns[c.ID]
	if found {
		g, ok = m.grant, true
		delete(l.m.conns, c.ID)
	}
	l.m.mu.Unlock()
	if ok {
		_, err = l.db.Record(ctx, e)
	}
	return g, ok, err
}

func (l inMemory) children(_ context.Context, c store.Connection, at time.Time) (out []store.Child, err error) {
	err = l.with(c.ID, func(m *memConn) error {
		for _, ch := range m.children {
			if ch.Ends.After(at) {
				out = append(out, ch.Child)
			}
		}
		return nil
	})
	return out, err
}

func (l inMemory) childToken(_ context.Context, ch store.Child) (token daypass.Secret, err error) {
	err = l.with(ch.Connection, func(m *memConn) error { token = m.children[ch.ID].token; return nil })
	return token, err
}

func (l inMemory) born(ctx context.Context, ch *store.Child, token daypass.Secret, also func(*store.Tx) error) error {
	if err := l.db.Write(ctx, also); err != nil {
		return err
	}
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	m, ok := l.m.conns[ch.Connection]
	if !ok {
		return store.ErrNone
	}
	l.m.next--
	ch.ID = l.m.next
	m.Used = ch.Created
	m.children[ch.ID] = memChild{*ch, token}
	return nil
}

func (l inMemory) endChildren(_ context.Context, ids []int64, _ string, _ bool) error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	for _, m := range l.m.conns {
		for _, id := range ids {
			delete(m.children, id)
		}
	}
	return nil
}
