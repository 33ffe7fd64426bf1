package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

// A Shown is a pass whose signature was right and that was not ended. That allows
// nothing yet: Use does. It belongs to one request.
type Shown struct {
	Row    store.Pass
	Opened pass.Opened
	book   *PassBook
	out    *pass.Link // found to have no use left, by a transaction that may still fail
}

// unknownPass is the one answer to a pass that is forged, of another realm, not
// known, over or ended: which of them it is, it does not say.
func unknownPass() error {
	return &Refusal{Problem: &daypass.Problem{
		Code: "DP-160", What: "this pass is not good here", Why: "it was ended, its time is over, or it was never made here as it is",
		Next: "Make a new one, or ask whoever gave it to you.", Kind: daypass.ErrRefused, Err: pass.ErrSignature,
	}}
}

// Open checks a pass's signature, that it is of this book's realm, and that
// neither it nor anything that it was narrowed from was ended. The error is a
// [Refusal] that wraps pass.ErrSignature where not, one that holds a *pass.Refusal
// where a limit of it is not understood, or says that the store cannot be asked.
func (b *PassBook) Open(ctx context.Context, p pass.Pass) (*Shown, error) {
	id, k, _ := b.mine(p)
	var e *bookEntry
	v := pass.Verifier{Realm: id.Realm, Keys: func(pass.Identity) (pass.Key, error) {
		var err error
		if e, err = b.find(ctx, k); err != nil {
			return pass.Key{}, err
		}
		return e.key, nil
	}}
	if k == (bookKey{}) {
		v.Realm = b.Realm // another than the pass's, so that no key is asked for
	}
	o, err := v.Open(p)
	switch {
	case errors.Is(err, pass.ErrSignature):
		return nil, unknownPass()
	case err != nil:
		return nil, limitProblem(err)
	case e == nil:
		return nil, unknownPass()
	}
	s := &Shown{Row: e.row, Opened: o, book: b}
	for i := range s.links(e.ended) {
		if slices.Contains(e.ended, o.Link(i)) {
			return nil, unknownPass()
		}
	}
	return s, nil
}

// links is how many links have to be looked at.
func (s *Shown) links(ended []pass.Link) int {
	if len(ended) == 0 {
		return 0
	}
	return s.Opened.Links()
}

// Last is the link of the pass as it was shown.
func (s *Shown) Last() pass.Link { return s.Opened.Link(s.Opened.Links() - 1) }

// added are the links that narrowing added, the first first.
func (s *Shown) added() [][32]byte {
	var out [][32]byte
	for i := len(s.Row.Caveats) + 1; i < s.Opened.Links(); i++ {
		out = append(out, s.Opened.Link(i))
	}
	return out
}

// Narrowed reports whether the pass is narrower than the one that was minted.
func (s *Shown) Narrowed() bool { return s.Opened.Links()-1 > len(s.Row.Caveats) }

func (s *Shown) key() bookKey { return keyOf(s.Row) }

// ref is how events name the pass that was minted.
func ref(p store.Pass) string {
	if p.User == "" {
		return p.ID
	}
	return p.User + "/" + p.ID
}

// Named fills in which pass an event is about.
func (s *Shown) Named(e store.Event) store.Event {
	e.Realm, e.Pass = s.Row.Realm, ref(s.Row)
	if s.Narrowed() {
		e.Link = s.Last().Short()
	}
	return e
}

// Check asks whether the pass allows a request that the facts tell of, now, but
// for how often it may be used: that is counted by Use. The error is a [Refusal]
// that holds a *pass.Refusal.
func (s *Shown) Check(f pass.Facts) error {
	f.SeesTo |= pass.KindUses
	return limitProblem(s.Opened.Check(f, s.book.Now()))
}

// Use is Check, and counts one use, wherever the pass says how many it has:
// durably, and never one too many, however many ask at once.
func (s *Shown) Use(ctx context.Context, f pass.Facts) error {
	if err := s.Check(f); err != nil {
		return err
	}
	if len(s.Opened.Rights.Uses) > 0 {
		if err := s.usable(); err != nil {
			return err
		}
		if err := s.counted(s.book.Store.Write(ctx, s.count)); err != nil {
			return err
		}
	}
	s.note()
	return nil
}

// note remembers that the pass was used.
func (s *Shown) note() { s.book.touches.add(s.key(), touch{s.book.Now(), 1}) }

// usable refuses what is known to have no use left.
func (s *Shown) usable() error {
	for _, u := range s.Opened.Rights.Uses {
		if s.book.spent.has(s.Opened.Link(u.Caveat)) {
			return usedUp(u.Max)
		}
	}
	return nil
}

// count counts one use at each link that has a number of them, or none at any.
func (s *Shown) count(tx *store.Tx) error {
	s.out = nil
	for _, u := range s.Opened.Rights.Uses {
		l := s.Opened.Link(u.Caveat)
		_, ok, err := tx.CountUse(l, u.Max, s.Row.Until)
		if err != nil {
			return err
		}
		if !ok {
			s.out = &l
			return usedUp(u.Max)
		}
	}
	return nil
}

// counted remembers what the transaction of count found, now that it is over.
func (s *Shown) counted(err error) error {
	if s.out != nil && code(err) == codeUsedUp {
		s.book.spent.add(*s.out)
	}
	return storeProblem(err)
}

// code is that of the problem which an error is, or "".
func code(err error) string {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

const codeUsedUp = "DP-162"

// errPeeked undoes a count that was only tried.
var errPeeked = errors.New("broker: only a look")

// left refuses a pass that has no use left, and counts nothing.
func (s *Shown) left(ctx context.Context) error {
	if len(s.Opened.Rights.Uses) == 0 {
		return nil
	}
	if err := s.usable(); err != nil {
		return err
	}
	err := s.book.Store.Write(ctx, func(tx *store.Tx) error {
		if err := s.count(tx); err != nil {
			return err
		}
		return errPeeked
	})
	if errors.Is(err, errPeeked) {
		return nil
	}
	return s.counted(err)
}

func usedUp(uses int) error {
	why := fmt.Sprintf("it was good for %d uses, by it and all that were narrowed from the same together", uses)
	if uses == 1 {
		why = "it was good for one use, by it or one that was narrowed from the same"
	}
	return &Refusal{Problem: &daypass.Problem{
		Code: codeUsedUp, What: "this pass has no use left", Why: why, Next: "Make a new one, or ask whoever gave it to you.", Kind: daypass.ErrRefused,
		Err: &pass.Refusal{Kind: pass.KindUses, Why: why},
	}}
}

// limitProblem tells a person which limit of their pass refused.
func limitProblem(err error) error {
	var r *pass.Refusal
	if err == nil || !errors.As(err, &r) {
		return err
	}
	why := strings.TrimPrefix(r.Error(), "pass: ")
	p := &daypass.Problem{
		Code: "DP-161", What: "this pass does not allow that", Why: why,
		Next: `"daypass pass show" lists its limits; use another pass, or ask whoever gave it to you.`, Kind: daypass.ErrRefused, Err: r,
	}
	switch {
	case r.Unknown:
		p.Code, p.What = "DP-164", "this pass has a limit that is not understood here, so it opens nothing"
		p.Next = `"daypass pass show" says which; leave that limit out of a new pass.`
	case r.Kind == pass.KindExpires || r.Kind == pass.KindNotBefore:
		p.Code, p.What, p.Next = "DP-163", "this pass is not good now", "Make a new one, or ask whoever gave it to you."
	}
	return &Refusal{Problem: p}
}

// life is how long the pass lives that was minted, from its making to its end.
func life(p store.Pass) time.Duration {
	if !p.Until.Before(daypass.Forever) {
		return noEnd
	}
	return p.Until.Sub(p.Created)
}
