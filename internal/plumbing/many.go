package plumbing

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A portion of what is asked for is asked in one go. git writes its answers in pieces as
// large as can be until then.
const portionSize = 32

// A worker is one of two that ask: 0 or 1.
type worker int

// Beside lets a second git answer too where many objects are asked for at once: most of
// that time goes into making them of what is packed. See [Objects.Each].
func (o *Objects) Beside() {
	if o.second == nil {
		o.second = &Objects{repo: o.repo, ctx: o.ctx, open: map[verb]*batch{}}
	}
}

// A queue hands out what is to be asked, to whoever is ready: to the one from its
// beginning, to the other from its end. What lies together is often packed as differences
// to one another, which one git makes for less than two.
type queue struct {
	mu        sync.Mutex
	oids      []OID
	next, end int
}

// take returns the next portion; from is where it stands in the whole.
func (q *queue) take(w worker) (from int, portion []OID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w == 1 {
		from, portion = max(q.next, q.end-portionSize), q.oids[:q.end]
		q.end = from
		return from, portion[from:]
	}
	from, q.next = q.next, min(q.next+portionSize, q.end)
	return from, q.oids[from:q.next]
}

// stop leaves the rest.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next = q.end
}

// many asks for all, and hands on the answers as they come.
func (o *Objects) many(v verb, oids []OID, f func(w worker, b *batch, i int, h Head) error) error {
	for _, oid := range oids {
		if !oid.Valid() {
			return fmt.Errorf("%w: %q", ErrMissing, oid)
		}
	}
	q := &queue{oids: oids, end: len(oids)}
	if o.second == nil || len(oids) < 4*portionSize {
		return o.work(v, q, 0, f)
	}
	var group sync.WaitGroup
	var beside error
	group.Go(func() { beside = o.second.work(v, q, 1, f) })
	err := o.work(v, q, 0, f)
	group.Wait()
	if beside == nil {
		return err
	}
	for _, b := range o.open {
		b.bad = errors.Join(b.bad, beside)
	}
	return errors.Join(err, beside)
}

// work asks for portions until there are no more. git makes one ready while another is
// read.
func (o *Objects) work(v verb, q *queue, w worker, f func(w worker, b *batch, i int, h Head) error) error {
	b, err := o.prove(v)
	if err != nil {
		q.stop()
		return err
	}
	type portion struct {
		from int
		oids []OID
	}
	asked := make(chan portion, 1)
	sent := make(chan error, 1)
	go func() {
		defer close(asked)
		sent <- func() error {
			in := bufio.NewWriter(b.in)
			for {
				from, oids := q.take(w)
				if len(oids) == 0 {
					return nil
				}
				for _, oid := range oids {
					in.WriteString(b.line(v, oid))
				}
				in.WriteString(b.flush())
				if err := in.Flush(); err != nil {
					return err
				}
				asked <- portion{from, oids}
			}
		}()
	}()
	var bad error
	for p := range asked {
		for i, oid := range p.oids {
			if bad == nil {
				bad = b.answer(oid, func(h Head) error { return f(w, b, p.from+i, h) })
			}
		}
		if bad != nil {
			q.stop()
		}
	}
	if err := <-sent; bad == nil {
		bad = err
	}
	return bad
}

// answer reads one answer. After an error the others are in the way, of whoever asks next.
func (b *batch) answer(oid OID, f func(Head) error) error {
	kind, size, err := b.head(oid)
	if err == nil || errors.Is(err, ErrMissing) {
		err = f(Head{kind, size})
	}
	if err != nil {
		if b.bad == nil {
			b.bad = err
		}
		kill(b.cmd.Process)
	}
	return err
}

// Each reads blobs, while git is ahead with the next. f is told which of them it is given.
// After [Objects.Beside] two call f at a time, 0 from the beginning on, 1 from the end. An
// error of f's ends it all, and these Objects.
func (o *Objects) Each(oids []OID, f func(who, i int, c *Content) error) error {
	return o.many(contents, oids, func(w worker, b *batch, i int, h Head) error {
		if h.Kind == "" {
			return fmt.Errorf("%w: %s", ErrMissing, oids[i])
		}
		if h.Kind != BlobKind {
			return fmt.Errorf("%w: %s is a %s, no file", ErrObject, oids[i], h.Kind)
		}
		c := &Content{Size: h.Size, left: h.Size, b: b}
		if err := f(int(w), i, c); err != nil {
			return err
		}
		if _, err := c.WriteTo(io.Discard); err != nil {
			return err
		}
		_, err := b.body(io.Discard, 0)
		return err
	})
}
