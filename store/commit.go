package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/daypass-dev/daypass"
)

const (
	groupLimit   = 256              // requests in one transaction
	queueLength  = 1024             // requests that wait before callers do
	groupTimeout = 15 * time.Second // for a database over a network
	retryFor     = 10 * time.Second // while another process writes, or the database restarts
)

// A request is one caller that waits for its writing to be durable.
type request struct {
	op    func(*Tx) error // nil for a lone event
	event eventRow        // where op is nil
	alone bool            // long: no other shares its transaction, and it has no time limit
	state atomic.Int32    // waiting, then taken or left
	done  chan struct{}

	id    EventID
	err   error
	panic any
}

const (
	waiting int32 = iota
	taken
	left
)

// The committer is the one goroutine of a process that writes. It takes what
// waits, at most groupLimit requests, and commits it as one transaction; who
// comes meanwhile is in the next one. So the price of making a commit durable
// is shared by as many as there are, and nobody waits for company.
type committer struct {
	db    *DB
	queue chan *request
	done  chan struct{}

	gate   sync.RWMutex // held by senders, so that the queue is closed once
	closed bool

	s       *session
	chain   *chain // nil: to be started with the next event
	commits atomic.Int64
	finish  atomic.Bool // see finishCheckpoint
	head    atomic.Pointer[Head]

	recentLock sync.Mutex
	recent     recently // see trail.go
}

func newCommitter(db *DB) *committer {
	return &committer{db: db, queue: make(chan *request, queueLength), done: make(chan struct{})}
}

// submit hands a request over and waits for its outcome.
func (c *committer) submit(ctx context.Context, r *request) error {
	r.done = make(chan struct{})
	if err := c.send(ctx, r); err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, left) {
			return ctx.Err()
		}
		<-r.done
	}
	if r.panic != nil {
		panic(r.panic)
	}
	return r.err
}

func (c *committer) send(ctx context.Context, r *request) error {
	c.gate.RLock()
	defer c.gate.RUnlock()
	if c.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close lets what waits be written, and ends the chain.
func (c *committer) close() {
	c.gate.Lock()
	if !c.closed {
		c.closed = true
		close(c.queue)
	}
	c.gate.Unlock()
	<-c.done
}

func (c *committer) run() {
	defer close(c.done)
	for first := range c.queue {
		c.round(first)
		c.finishCheckpoint()
	}
	c.endChain()
	if c.s != nil {
		c.s.close()
	}
}

// round commits a request and those that wait behind it.
func (c *committer) round(r *request) {
	var group []*request
	for r != nil {
		switch {
		case !r.state.CompareAndSwap(waiting, taken):
		case r.alone:
			c.commit([]*request{r})
		default:
			group = append(group, r)
		}
		r = nil
		if len(group) < groupLimit { // only then may another be taken out
			select {
			case r = <-c.queue: // nil at the end
			default:
			}
		}
	}
	if len(group) > 0 {
		c.commit(group)
	}
}

// commit writes a group and wakes its callers. Where the group fails as a
// whole, each request is tried by itself, so that none fails for another's sake.
func (c *committer) commit(group []*request) {
	err := c.attempt(group)
	if err != nil && len(group) > 1 && !errors.Is(err, errUnsure) && !errors.Is(err, daypass.ErrUnreachable) {
		c.oneByOne(group)
		return
	}
	var later []*request
	for _, r := range group {
		if err == nil && r.err != nil && errors.Is(r.err, errAgain) {
			later = append(later, r)
			continue
		}
		if err != nil {
			r.err = err
		}
		close(r.done)
	}
	c.oneByOne(later)
}

// oneByOne gives each request a transaction of its own. What the request itself
// answers with stays its answer.
func (c *committer) oneByOne(list []*request) {
	for _, r := range list {
		if err := c.attempt([]*request{r}); err != nil {
			r.err = err
		}
		close(r.done)
	}
}

// attempt tries a group until it is written, or failed for a reason that more
// tries do not mend.
func (c *committer) attempt(group []*request) error {
	end := time.Now().Add(retryFor)
	pause := time.Millisecond
	for {
		err := c.try(group)
		if err == nil || !errors.Is(err, errAgain) {
			return err
		}
		if time.Now().After(end) {
			return openProblem(err)
		}
		time.Sleep(pause)
		pause = min(2*pause, 250*time.Millisecond)
	}
}

var (
	errAgain  = errors.New("to be tried again")
	errUnsure = errors.New("it is not known whether the database kept it")
)

// try runs a group's transaction once.
func (c *committer) try(group []*request) error {
	ctx := context.Background()
	if c.db.d.postgres && !group[0].alone {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, groupTimeout)
		defer cancel()
	}
	if err := c.connect(ctx); err != nil {
		return again(err)
	}
	g := &batch{db: c.db, s: c.s, ctx: ctx, now: c.db.c.Now(), chain: c.nextChain()}
	if g.chain == nil {
		return errors.New("store: no random name for a chain of events")
	}
	if _, err := exec(ctx, c.s, c.db.d.begin); err != nil {
		return c.failed(err)
	}
	for _, r := range group {
		if err := g.run(r, len(group) > 1); err != nil {
			c.rollback()
			return c.failed(err)
		}
	}
	if err := g.flush(); err != nil {
		c.rollback()
		return c.failed(err)
	}
	start := time.Now()
	if _, err := exec(ctx, c.s, "COMMIT"); err != nil {
		return c.unsure(g, err)
	}
	if c.db.c.Committed != nil {
		c.db.c.Committed(time.Since(start))
	}
	c.keep(g)
	return nil
}

// keep takes over what a committed group left behind.
func (c *committer) keep(g *batch) {
	c.commits.Add(1)
	if len(g.events) == 0 {
		return
	}
	c.chain = g.chain
	c.remember(g)
	h := g.chain.head(g.now)
	c.head.Store(&h)
}

func (c *committer) connect(ctx context.Context) error {
	if c.s != nil {
		return nil
	}
	conn, err := c.db.writer.Conn(ctx)
	if err != nil {
		return err
	}
	if c.db.d.postgres {
		if _, err := conn.ExecContext(ctx, lockTimeout); err != nil {
			return errors.Join(err, conn.Close())
		}
	}
	c.s = &session{Conn: conn, macros: c.db.d.macros, known: map[string]*sql.Stmt{}}
	return nil
}

// Two processes whose groups hold what the other needs would stand still until
// PostgreSQL looks for a deadlock, after a second. Whoever waits for this long
// for a row is put off, and the rest of its group goes on.
const lockTimeout = `SET lock_timeout = '50ms'`

// held reports whether another process has what was asked for.
func held(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "55P03" || pg.Code == "40P01") // lock_not_available, deadlock_detected
}

func (c *committer) rollback() {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	if _, err := exec(ctx, c.s, "ROLLBACK"); err != nil {
		c.drop()
	}
}

// drop closes a session that may be in any state; the next group opens another.
func (c *committer) drop() {
	if c.s == nil {
		return
	}
	if !c.db.d.postgres {
		c.s.forget() // before their connection: SQLite's statements are no more after it
	}
	_ = c.s.Raw(func(any) error { return driver.ErrBadConn })
	c.s.close()
	c.s = nil
}

// failed says whether an error before the commit is one to try again after.
func (c *committer) failed(err error) error {
	if c.db.d.postgres && lost(err) {
		c.drop()
		return again(err)
	}
	if passing(err) {
		return again(err)
	}
	return err
}

func again(err error) error { return fmt.Errorf("%w: %w", errAgain, err) }

// passing reports whether another process was in the way.
func passing(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code()&0xff == 5 || lite.Code()&0xff == 6 // SQLITE_BUSY, SQLITE_LOCKED
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "55P03" // serialization, deadlock, lock
	}
	return errors.Is(err, errAgain)
}

// lost reports whether the connection is gone: PostgreSQL said so, or what
// failed is not PostgreSQL's own answer.
func lost(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "08")
	}
	var net interface{ Timeout() bool }
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrConnDone) ||
		errors.As(err, &net) || strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF")
}

// unsure finds out what became of a commit whose answer was an error. The
// group's link tells; where it cannot be seen, its chain is given up, since the
// database may yet find it in its log.
func (c *committer) unsure(g *batch, err error) error {
	c.drop()
	if len(g.events) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
		defer cancel()
		mac, lookErr := one(ctx, c.db.readers, func(s scanner) (b []byte, err error) { return b, s.Scan(&b) },
			`SELECT mac FROM links WHERE chain = $1 AND g = $2`, g.chain.name, g.chain.g)
		if lookErr == nil && string(mac) == string(g.chain.mac) {
			c.keep(g)
			return nil
		}
		c.chain = nil
	}
	return &daypass.Problem{Code: "DP-941", What: "it is not known whether the store kept an entry", Why: plain(err), Kind: daypass.ErrUnreachable,
		Next: "Try again; look at the database's disk and messages.", Err: errors.Join(errUnsure, err)}
}

// durability asks on the connection that writes.
func (c *committer) durability(ctx context.Context) (string, error) {
	var level, journal string
	err := c.submit(ctx, &request{op: func(tx *Tx) error {
		var err error
		if level, err = one(tx.g.ctx, tx.g.s, scanText, `PRAGMA synchronous`); err != nil {
			return err
		}
		journal, err = one(tx.g.ctx, tx.g.s, scanText, `PRAGMA journal_mode`)
		return err
	}})
	return "sqlite synchronous=" + level + " journal=" + journal, err
}

// batch is one transaction of the committer.
type batch struct {
	db      *DB
	s       *session
	ctx     context.Context
	now     time.Time
	chain   *chain // as it will be after the commit
	events  []eventRow
	changes []Change
}

// run runs one request. The error is the transaction's, not the request's.
func (g *batch) run(r *request, shared bool) error {
	r.err, r.panic = nil, nil
	if r.op == nil {
		r.id = g.record(r.event)
		return nil
	}
	events, changes, n := len(g.events), len(g.changes), g.chain.n
	if shared {
		if _, err := exec(g.ctx, g.s, "SAVEPOINT op"); err != nil {
			return err
		}
	}
	tx := &Tx{g: g}
	r.panic, r.err = call(r.op, tx)
	tx.over = true
	if r.err == nil && r.panic == nil && tx.failed != nil {
		r.err = tx.failed
	}
	if r.err == nil && r.panic == nil {
		if shared {
			_, err := exec(g.ctx, g.s, "RELEASE SAVEPOINT op")
			return err
		}
		return nil
	}
	if shared && tx.failed != nil && held(tx.failed) {
		r.err = again(tx.failed) // by itself, after the group
	} else if tx.failed != nil && (passing(tx.failed) || g.db.d.postgres && lost(tx.failed)) {
		return tx.failed
	}
	g.events, g.changes, g.chain.n = g.events[:events], g.changes[:changes], n
	if !shared {
		_, err := exec(g.ctx, g.s, "ROLLBACK")
		if err == nil {
			_, err = exec(g.ctx, g.s, g.db.d.begin) // for the COMMIT of nothing that follows
		}
		return err
	}
	if _, err := exec(g.ctx, g.s, "ROLLBACK TO SAVEPOINT op"); err != nil {
		return err
	}
	_, err := exec(g.ctx, g.s, "RELEASE SAVEPOINT op")
	return err
}

func call(op func(*Tx) error, tx *Tx) (panicked any, err error) {
	defer func() { panicked = recover() }()
	return nil, op(tx)
}

func (g *batch) record(e eventRow) EventID {
	g.chain.n++
	e.n = g.chain.n
	g.events = append(g.events, e)
	return g.chain.id(e.n)
}

// flush writes the group's events, their link and the changes.
func (g *batch) flush() error {
	if len(g.events) > 0 {
		if err := g.link(); err != nil {
			return err
		}
	}
	if len(g.changes) == 0 {
		return nil
	}
	if g.db.d.postgres {
		// Numbers are given before the commit. Without this, a reader could see
		// 8 before another process commits 7, and never look back.
		if _, err := exec(g.ctx, g.s, `SELECT pg_advisory_xact_lock(7164730912)`); err != nil {
			return err
		}
	}
	for _, ch := range g.changes {
		if _, err := exec(g.ctx, g.s, `INSERT INTO changes (kind, person, connection, child, at) VALUES ($1, $2, $3, $4, @clock)`,
			ch.Kind, ch.Person, ch.Connection, ch.Child); err != nil {
			return err
		}
	}
	return nil
}
