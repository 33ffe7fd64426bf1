// Package wallet is where a user's machine keeps credentials until they expire:
// in memory only, private to the user, and each entry for the authority that
// made it.
//
// It does not know how a credential is made or renewed, and it talks to no
// network. The git helper links it, so it imports little.
package wallet

import (
	"errors"
	"time"

	"github.com/daypass-dev/daypass"
)

// keepEnded is how long it is remembered that an entry ended, so that a message
// can say when access ended and why.
const keepEnded = 7 * 24 * time.Hour

// maxEntries bounds a wallet in directory form; the first to end make room.
const maxEntries = 512

// An Entry is a credential with what is needed to use, renew and end it.
type Entry struct {
	Authority  Authority
	Scheme     string // "https"; "http" only for a loopback host that login named so
	Credential daypass.Credential
	Origin     string // "login", "env" or "copy"

	Seen         []string // what login saw it may push to: "owner/name", or "owner/*" for all of an owner's
	SeenComplete bool     // Seen holds all of them

	ProviderName string // such as "GitHub"
	WebURL       string // where its pages are
	APIURL       string
	AppURL       string // where the App's page is, for "install it here"
	ClientID     string

	Name, Email string // for commits and for tools that are run with the token; may be empty

	FallThrough bool // other helpers may answer where this one has nothing

	Refresh      daypass.Secret // renews the credential; used once
	RefreshUntil time.Time      // the end of Refresh; zero: not known
	RenewUntil   time.Time      // no renewal after this; zero: no renewal
}

// Renewable reports whether the credential may be renewed at now.
func (e *Entry) Renewable(now time.Time) bool {
	return now.Before(e.RenewUntil) && (e.RefreshUntil.IsZero() || now.Before(e.RefreshUntil))
}

// keepRenewal is how long a refresh token whose own end is not known is kept
// after its agreed end.
const keepRenewal = 30 * 24 * time.Hour

// KeepUntil is when the entry is of no more use. An entry that holds a refresh
// token is kept until the host lets that end, since a later run of daypass must
// still be able to end it there; after RenewUntil it renews and answers nothing.
func (e Entry) KeepUntil() time.Time {
	end := e.Credential.Scope.Until
	renew := e.RenewUntil
	if !e.Refresh.IsZero() && e.RefreshUntil.IsZero() {
		renew = later(end, renew).Add(keepRenewal)
	} else if !e.RefreshUntil.IsZero() && (!e.Refresh.IsZero() || e.RefreshUntil.Before(renew)) {
		renew = e.RefreshUntil
	}
	if end = later(end, renew); end.After(daypass.Forever) {
		return daypass.Forever
	}
	return end
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Over reports whether the time that was agreed on is over at now. Such an
// entry answers nothing, whatever its credential would still be good for, and
// waits to be ended at its host.
func (e *Entry) Over(now time.Time) bool {
	return !e.RenewUntil.IsZero() && !now.Before(e.RenewUntil)
}

// useEnd is when access by the entry ends.
func (e Entry) useEnd() time.Time {
	end := e.KeepUntil()
	switch {
	case e.RenewUntil.IsZero():
		return e.Credential.Scope.Until
	case end.Before(e.RenewUntil):
		return end
	}
	return e.RenewUntil
}

// Saw reports whether login saw that it may push to the repository. It is true
// where login did not see everything.
func (e *Entry) Saw(r daypass.Repo) bool {
	if !e.SeenComplete {
		return true
	}
	for _, s := range e.Seen {
		seen, ok := splitName(s)
		if !ok || !daypass.FoldEqual(seen.Owner, r.Owner) {
			continue
		}
		if seen.Name == "*" || daypass.FoldEqual(seen.Name, r.Name) {
			return true
		}
	}
	return false
}

// SameKey reports whether one entry replaces the other: same authority, host
// with scheme, repositories and access.
func (e Entry) SameKey(f Entry) bool {
	s, t := e.Credential.Scope, f.Credential.Scope
	return e.Authority == f.Authority && e.Scheme == f.Scheme && s.Host == t.Host && s.Access == t.Access &&
		s.All == t.All && (s.All || coverEach(s.Repos, t.Repos) && coverEach(t.Repos, s.Repos))
}

// SameSecrets reports whether both hold the same access token and the same
// refresh token: whether nobody renewed or replaced one since the other was read.
func (e Entry) SameSecrets(f Entry) bool {
	return e.Credential.Token.Equal(f.Credential.Token) && e.Refresh.Equal(f.Refresh)
}

func coverEach(have, want []daypass.Repo) bool {
	for _, w := range want {
		found := false
		for _, h := range have {
			found = found || h.Covers(w)
		}
		if !found {
			return false
		}
	}
	return true
}

// Why an entry ended.
const (
	Expired  = "expired"
	Rejected = "rejected" // the host did not accept it
	LogOut   = "logout"
)

// An Ended remembers, without any secret, that access to a host ended.
type Ended struct {
	Authority    Authority
	Host         string
	Account      string
	ProviderName string
	At           time.Time
	Reason       string
	FallThrough  bool
}

func ended(e Entry, at time.Time, reason string) Ended {
	return Ended{Authority: e.Authority, Host: e.Credential.Scope.Host, Account: e.Credential.Account,
		ProviderName: e.ProviderName, At: at, Reason: reason, FallThrough: e.FallThrough}
}

func (d Ended) same(f Ended) bool {
	return d.Authority == f.Authority && d.Host == f.Host && d.Account == f.Account
}

// A book is all that a wallet holds.
type book struct {
	entries []Entry
	ended   []Ended
}

// settle drops what is over at now and remembers that it ended.
func (b *book) settle(now time.Time) {
	kept := b.entries[:0:0]
	for _, e := range b.entries {
		if e.KeepUntil().After(now) {
			kept = append(kept, e)
			continue
		}
		b.mark(ended(e, e.useEnd(), Expired))
	}
	b.entries = kept
	marks := b.ended[:0:0]
	for _, d := range b.ended {
		if d.At.Add(keepEnded).After(now) {
			marks = append(marks, d)
		}
	}
	b.ended = marks
}

// mark remembers d in the place of an older mark for the same access.
func (b *book) mark(d Ended) {
	for i, old := range b.ended {
		if old.same(d) {
			if !d.At.Before(old.At) {
				b.ended[i] = d
			}
			return
		}
	}
	b.ended = append(b.ended, d)
}

// unmark forgets the ends of an access that begins again.
func (b *book) unmark(e Entry) {
	kept := b.ended[:0:0]
	for _, d := range b.ended {
		if d.Authority != e.Authority || d.Host != e.Credential.Scope.Host {
			kept = append(kept, d)
		}
	}
	b.ended = kept
}

// replace adds e in the place of those with the same key.
func (b *book) replace(e Entry) {
	kept := b.entries[:0:0]
	for _, old := range b.entries {
		if !old.SameKey(e) {
			kept = append(kept, old)
		}
	}
	b.entries = append(kept, e)
}

// put is replace for an access that begins: its ends are forgotten.
func (b *book) put(e Entry) error {
	b.replace(e)
	b.unmark(e)
	for len(b.entries) > maxEntries {
		if !b.evict(e) {
			return ErrFull
		}
	}
	return nil
}

// evict drops the entry that ends first, but never the one just put, and none
// that holds a refresh token: that would live on at its host with nobody left
// to end it. It reports whether there was one.
func (b *book) evict(spare Entry) bool {
	victim := -1
	for i, e := range b.entries {
		if !e.Refresh.IsZero() || e.SameKey(spare) {
			continue
		}
		if victim < 0 || e.KeepUntil().Before(b.entries[victim].KeepUntil()) {
			victim = i
		}
	}
	if victim < 0 {
		return false
	}
	b.entries = append(b.entries[:victim:victim], b.entries[victim+1:]...)
	return true
}

// A Wallet is the credentials of one user on one machine.
type Wallet struct {
	opt    Options
	keeper keeper // nil: there is no wallet yet
	place  Place
	passed error // why an earlier place was passed over, for a wallet not found
}

// A keeper holds a book at one place.
type keeper interface {
	// load returns what is there. With nothing there it returns an empty book.
	load() (book, error)
	// save changes what is there, alone: no other save runs meanwhile. A version
	// of the wallet that cannot be read counts as empty.
	save(change func(*book) error) error
}

// ErrFull reports a wallet with no room left beside renewals that are still to be
// ended at their hosts.
var ErrFull = errors.New("wallet: full of renewals that were not ended")

// ErrInvalid reports an entry that no wallet may hold.
var ErrInvalid = errors.New("wallet: not a credential that can be kept")

// Place tells where the wallet is. Its Kind is "" where there is none yet.
func (w *Wallet) Place() Place {
	p := w.place
	if d, ok := w.keeper.(*directory); ok && p.Kind == Named {
		p.Warning = d.warning()
	}
	return p
}

// A Want says what a credential is looked for.
type Want struct {
	Authority Authority
	Scheme    string        // "https" or "http"
	Scope     daypass.Scope // Access is the least that will do; Until is ignored
	Username  string        // "": anyone's; else the username or the account of the credential
	Margin    time.Duration // how long it must still be good
}

// AnyUsername is accepted beside every token by GitHub and stands for "the one
// that the token is for".
const AnyUsername = "x-access-token"

// Answers reports whether the entry's credential is good for the want at now.
func (e *Entry) Answers(want *Want, now time.Time) bool {
	scope := want.Scope
	scope.Until = now.Add(want.Margin)
	if scope.Empty() || e.Authority != want.Authority || e.Scheme != want.Scheme || e.Over(now) {
		return false
	}
	have := &e.Credential.Scope
	if !have.Until.After(scope.Until) || !e.Named(want.Username) {
		return false
	}
	return have.Covers(have.Pin(scope))
}

// Named reports whether the entry may answer where this username is asked for.
func (e *Entry) Named(username string) bool {
	return username == "" || username == AnyUsername || username == e.Credential.Username ||
		daypass.FoldEqual(username, e.Credential.Account)
}

// Find returns the narrowest credential that covers the want. Of equally narrow
// ones it returns that with the most access, since git does not say whether it
// will push, and then the one that is good for longest.
func (w *Wallet) Find(want Want) (Entry, bool, error) {
	e, err := w.Search(&want)
	if e == nil {
		return Entry{}, false, err
	}
	return *e, true, nil
}

// Search is [Wallet.Find] for the helper: it returns a pointer, nil where nothing
// is found, since copies make the stack grow, which costs the helper a tenth of
// its own time.
func (w *Wallet) Search(want *Want) (*Entry, error) {
	if d, ok := w.keeper.(*directory); ok {
		return d.find(want, w.opt.Now())
	}
	b, err := w.load()
	if err != nil {
		return nil, err
	}
	best := Narrowest(b.entries, want, w.opt.Now())
	if best < 0 {
		return nil, w.passed
	}
	return &b.entries[best], nil
}

// Narrowest returns the index of the entry that [Wallet.Find] would return, or -1.
func Narrowest(entries []Entry, want *Want, now time.Time) int {
	best := -1
	for i := range entries {
		if entries[i].Answers(want, now) && (best < 0 || narrower(&entries[i], &entries[best])) {
			best = i
		}
	}
	return best
}

func narrower(e, f *Entry) bool {
	s, t := &e.Credential.Scope, &f.Credential.Scope
	if s.All != t.All {
		return t.All
	}
	if !s.All && len(s.Repos) != len(t.Repos) {
		return len(s.Repos) < len(t.Repos)
	}
	if s.Access != t.Access {
		return s.Access > t.Access
	}
	return s.Until.After(t.Until)
}

// load reads the book and settles it in memory.
func (w *Wallet) load() (book, error) {
	if w.keeper == nil {
		return book{}, nil
	}
	b, err := w.keeper.load()
	if err != nil {
		return book{}, err
	}
	b.settle(w.opt.Now())
	return b, nil
}

// List returns every entry that is kept and every end that is remembered.
// Entries may have expired where they can still be renewed: ask
// [daypass.Credential.Usable].
func (w *Wallet) List() ([]Entry, []Ended, error) {
	b, err := w.load()
	if err != nil {
		return nil, nil, err
	}
	if len(b.entries) == 0 && len(b.ended) == 0 {
		return nil, nil, w.passed
	}
	return b.entries, b.ended, nil
}

// Put keeps e in the place of entries with the same key, and forgets that
// access to its host had ended.
func (w *Wallet) Put(e Entry) error {
	now := w.opt.Now()
	if err := e.storable(now); err != nil {
		return err
	}
	return w.save(func(b *book) error {
		b.settle(now)
		return b.put(e)
	})
}

// PutUnless is [Wallet.Put], except that an entry of the same key for which keep
// returns true stays and e is not stored. It looks and puts in one save, so that
// nobody's change falls in between.
func (w *Wallet) PutUnless(e Entry, keep func(have Entry) bool) (stored bool, err error) {
	now := w.opt.Now()
	if err := e.storable(now); err != nil {
		return false, err
	}
	err = w.save(func(b *book) error {
		stored = false
		b.settle(now)
		for _, have := range b.entries {
			if have.SameKey(e) && keep(have) {
				return nil
			}
		}
		stored = true
		return b.put(e)
	})
	return stored && err == nil, err
}

// Update applies change to the entries that match, in one save, and reports
// whether there were any. It adds none, so that an entry that a logout took out
// stays out: match on [Entry.SameKey] and [Entry.SameSecrets] to change only
// what was read before. Where a changed entry may not be kept, nothing changes;
// one whose credential has expired may be while it holds a renewal.
func (w *Wallet) Update(match func(Entry) bool, change func(*Entry)) (changed bool, err error) {
	if w.keeper == nil {
		return false, w.passed
	}
	now := w.opt.Now()
	err = w.save(func(b *book) error {
		b.settle(now)
		changed, err = b.update(now, match, change)
		return err
	})
	return changed && err == nil, err
}

// update is [Wallet.Update] in a book that was settled. An entry whose key
// changes takes the place of others that have the new one.
func (b *book) update(now time.Time, match func(Entry) bool, change func(*Entry)) (changed bool, err error) {
	var kept, done []Entry
	for _, e := range b.entries {
		if !match(e) {
			kept = append(kept, e)
			continue
		}
		change(&e)
		if err := e.storable(now); err != nil {
			return false, err
		}
		done = append(done, e)
	}
	b.entries = kept
	for _, e := range done {
		b.replace(e)
	}
	return len(done) > 0, nil
}

// Remove takes out the entries that match and returns them. Where reason is not
// "", it is remembered that they ended.
func (w *Wallet) Remove(match func(Entry) bool, reason string) ([]Entry, error) {
	if w.keeper == nil {
		return nil, w.passed
	}
	var out []Entry
	now := w.opt.Now()
	err := w.save(func(b *book) error {
		out = nil
		b.settle(now)
		kept := b.entries[:0:0]
		for _, e := range b.entries {
			if !match(e) {
				kept = append(kept, e)
				continue
			}
			out = append(out, e)
			if reason != "" {
				at := now
				if end := e.useEnd(); reason == Expired && end.Before(now) {
					at = end // told when it ended, not when somebody came to clear up
				}
				b.mark(ended(e, at, reason))
			}
		}
		b.entries = kept
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// save changes the wallet, making one at the first place that works where there
// is none.
func (w *Wallet) save(change func(*book) error) error {
	if w.keeper != nil {
		return w.keeper.save(change)
	}
	k, place, err := w.opt.found(change)
	if err != nil {
		return err
	}
	w.keeper, w.place, w.passed = k, place, nil
	return nil
}

// storable reports whether the entry may be kept from now on.
func (e Entry) storable(now time.Time) error {
	if err := e.valid(); err != nil {
		return err
	}
	if !e.KeepUntil().After(now) && (e.Refresh.IsZero() || e.RenewUntil.IsZero()) {
		return errors.Join(ErrInvalid, errors.New("it has expired"))
	}
	return nil
}
