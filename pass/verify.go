package pass

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"
)

// ErrSignature is the one answer to a pass of another realm, with an unknown
// identifier, or changed since it was made: which of them it is, it does not say.
var ErrSignature = errors.New("pass: not a pass of this service, or changed since it was made")

// ErrNoKey is what a [Verifier]'s Keys returns for an identity that it does not
// know, or whose pass was revoked. The answer is then ErrSignature.
var ErrNoKey = errors.New("pass: no key for this identity")

// A Key is the root key of one pass, held so that it cannot be printed. The
// zero Key opens nothing.
type Key struct{ held **rootKey }

type rootKey struct {
	derived [sha256.Size]byte
	self    *rootKey // what a Key points to, as a Pass does
}

func holdKey(derived [sha256.Size]byte) Key {
	k := &rootKey{derived: derived}
	k.self = k
	return Key{&k.self}
}

// NewKey derives the first key of the chain from a root key, which should be 32
// random bytes (plain devpi-tokens has 16). It is worth keeping: it saves a
// seventh of what a verification costs.
func NewKey(root []byte) Key {
	var generator [sha256.Size]byte
	copy(generator[:], "macaroons-key-generator")
	return holdKey(mac(&generator, string(root)))
}

// String returns "[key]".
func (k Key) String() string { return "[key]" }

// GoString returns "[key]".
func (k Key) GoString() string { return "[key]" }

// MarshalText always fails.
func (k Key) MarshalText() ([]byte, error) { return nil, errEncode }

// Mint makes a pass of an identity with its key and first caveats. A hub's
// passes come out in the form Daypass, an index's in the form Devpi.
func Mint(key Key, id Identity, caveats ...string) (Pass, error) {
	text, err := id.text()
	if err != nil {
		return Pass{}, err
	}
	form := Devpi
	if id.Realm.Kind == Hub {
		form = Daypass
	}
	p, err := mint(key, text, "", true, form)
	if err != nil {
		return Pass{}, err
	}
	return p.Narrow(caveats...)
}

func mint(key Key, identifier, location string, hasLocation bool, form Form) (Pass, error) {
	if key.held == nil {
		return Pass{}, ErrNoKey
	}
	m := &macaroon{location: location, hasLocation: hasLocation, identifier: identifier, form: form}
	m.signature = mac(&(*key.held).derived, identifier)
	if m.size() > maxBinary {
		return Pass{}, ErrTooBig
	}
	return hold(m), nil
}

// A Verifier accepts the passes of one realm.
type Verifier struct {
	Realm Realm // only passes whose signed identifier names it; Plugin for imported tokens of devpi-tokens
	// Keys finds the key of a pass of Realm. ErrNoKey means that there is none;
	// any other error is handed on as it is.
	Keys func(Identity) (Key, error)
}

// An Opened is a pass whose signature was right and whose caveats were all
// understood. That allows nothing yet: [Opened.Check] does, or [Verifier.Verify].
type Opened struct {
	Identity Identity
	Rights   Rights // what all caveats together leave
	held     **proof
}

// A proof is what stands behind an Opened.
type proof struct {
	of    *macaroon
	sums  [][sha256.Size]byte  // the pass's signatures from the first to the last
	few   [6][sha256.Size]byte // where they lie as long as they fit
	names [3]string            // where names of the rights lie, likewise
	self  *proof               // what an Opened points to, as a Pass does
}

// Links returns how many links the pass has: one, and one for each caveat.
func (o *Opened) Links() int {
	if o.held == nil {
		return 0
	}
	return len((*o.held).sums)
}

// Link returns the link after the first i caveats: 0 is that of the pass as it
// was minted, [Use].Caveat that at which a caveat's uses are counted, Links()-1
// that of the pass as it is. Whoever revokes a narrowed pass keeps its last
// link, and refuses every pass that has it among its links: one more caveat
// changes none that came before.
func (o *Opened) Link(i int) Link { return sha256.Sum256((*o.held).sums[i][:]) }

// Open checks a pass's signature and then reads its caveats. The error is
// ErrSignature, a *Refusal for a caveat that is not understood, or one of Keys.
func (v Verifier) Open(p Pass) (o Opened, err error) {
	if err := v.open(p, &o); err != nil {
		return Opened{}, err
	}
	return o, nil
}

func (v Verifier) open(p Pass, o *Opened) error {
	if p.held == nil {
		return ErrSignature
	}
	id, known := p.Identity()
	known = known && id.Realm == v.Realm && v.Realm.Kind != NoRealm
	var key Key
	if known {
		var err error
		if key, err = v.Keys(id); errors.Is(err, ErrNoKey) {
			known = false
		} else if err != nil {
			return err
		}
	}
	if key.held == nil {
		// The same work as for a known one, with a key that nothing was made with.
		known, key = false, holdKey([sha256.Size]byte{})
	}
	proven, ok := p.inside().prove(key)
	if !ok || !known {
		return ErrSignature
	}
	o.Identity, o.held = id, &proven.self
	o.Rights.room = proven.names[:]
	return o.Rights.read(proven.of.caveats)
}

func (m *macaroon) prove(key Key) (*proof, bool) {
	p := &proof{of: m}
	p.self = p
	if n := len(m.caveats) + 1; n <= len(p.few) {
		p.sums = p.few[:n]
	} else {
		p.sums = make([][sha256.Size]byte, n)
	}
	p.sums[0] = mac(&(*key.held).derived, m.identifier)
	for i, text := range m.caveats {
		p.sums[i+1] = mac(&p.sums[i], text)
	}
	return p, subtle.ConstantTimeCompare(p.sums[len(m.caveats)][:], m.signature[:]) == 1
}

// Check asks whether the pass allows the request that the facts tell of, at a
// time. The error is a *Refusal that names the caveat.
func (o *Opened) Check(f Facts, now time.Time) error {
	return o.check(&f, now)
}

func (o *Opened) check(f *Facts, now time.Time) error {
	if o.held == nil {
		return ErrSignature
	}
	if err := o.Rights.allows(f, now); err != nil {
		return blame(err, (*o.held).of.caveats, f, now)
	}
	return nil
}

// Verify is Open and Check: from a pass to what it allows here and now.
func (v Verifier) Verify(p Pass, f Facts, now time.Time) (o Opened, err error) {
	if err := v.open(p, &o); err != nil {
		return Opened{}, err
	}
	if err := o.check(&f, now); err != nil {
		return Opened{}, err
	}
	return o, nil
}
