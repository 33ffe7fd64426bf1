// Package pass makes, reads, narrows and checks passes: bearer tokens that
// whoever holds one can narrow without asking anybody, and that nobody can
// widen. They are macaroons (Birgisson et al., NDSS 2014) in the second version
// of libmacaroons' format, so that devpi-tokens, PyPI and we read each other's.
//
// The package is pure: bytes and values in, bytes and values out. It has no
// clock, keeps no key, counts no use and knows no request. Whoever verifies
// brings the key ([Verifier]), the facts that were checked elsewhere ([Facts])
// and the time. What a pass says is believed only after its signature was, and
// a caveat that is not understood, or that speaks of something the request
// lacks, refuses.
//
// # The format
//
// Version 2, binary: byte 02; a section location(1)? identifier(2) 00; for each
// caveat a section identifier(2) 00; 00; signature(6), 32 bytes. Lengths are
// varints of the shortest form. The chain of signatures:
//
//	derived = HMAC-SHA256("macaroons-key-generator", root key)
//	sig 0   = HMAC-SHA256(derived, identifier)
//	sig i   = HMAC-SHA256(sig i-1, caveat i)
//
// The location is not signed. pymacaroons, and with it devpi-tokens, writes it
// even where it is empty; libmacaroons leaves it out. A pass keeps what it came
// with, so that narrowing here gives the very bytes that narrowing there does.
//
// Version 1 and caveats of third parties are refused: nothing here makes them.
package pass

import (
	"crypto/sha256"
	"errors"

	"github.com/daypass-dev/daypass"
)

// The caps. What is larger is refused before it is looked at.
const (
	MaxText    = 8 << 10 // bytes of the text form, prefix and all
	MaxCaveats = 64
	maxBinary  = (MaxText - len(daypassPrefix)) * 3 / 4
)

// What is wrong with something that is no pass that we take. None of them says
// what it held.
var (
	ErrMalformed  = errors.New("pass: this is no pass, or it was cut or changed on the way")
	ErrTooBig     = errors.New("pass: a pass has at most 8 KiB and 64 limits")
	ErrV1         = errors.New("pass: this is a macaroon of version 1, which is not accepted; make a new one with devpi-tokens 1.0 or daypass")
	ErrThirdParty = errors.New("pass: this macaroon asks a third party, which is not accepted")
)

var errEncode = errors.New("pass: a pass is never encoded; call Text where it is sent")

// A Pass is a macaroon as it was read or made. It does not print; [Pass.Text]
// is the way out. The zero Pass is none, and no verifier takes it.
type Pass struct {
	// A pointer to a pointer, since fmt shows what a single one in a field leads
	// to where the verb does not fit.
	held **macaroon
}

func hold(m *macaroon) Pass {
	m.self = m
	return Pass{&m.self}
}

// inside must not be asked of the zero Pass.
func (p Pass) inside() *macaroon { return *p.held }

// String returns "[pass]".
func (p Pass) String() string { return "[pass]" }

// GoString returns "[pass]".
func (p Pass) GoString() string { return "[pass]" }

// MarshalText always fails, so that no encoder writes a pass down.
func (p Pass) MarshalText() ([]byte, error) { return nil, errEncode }

// IsZero reports whether p is no pass.
func (p Pass) IsZero() bool { return p.held == nil }

// Caveats returns the texts of the pass's caveats, in their order. They came
// from outside: print them escaped.
func (p Pass) Caveats() []string {
	if p.held == nil {
		return nil
	}
	return append([]string(nil), p.inside().caveats...)
}

// Identifier returns the signed identifier, which may be any bytes.
// [Pass.Identity] reads it.
func (p Pass) Identifier() string {
	if p.held == nil {
		return ""
	}
	return p.inside().identifier
}

// Location returns the unsigned hint of where the pass is good; it may be empty.
func (p Pass) Location() string {
	if p.held == nil {
		return ""
	}
	return p.inside().location
}

// A Link stands for one place in a pass's chain of signatures, and so for the
// pass that ends there and for all that were narrowed from it: SHA-256 of the
// signature. It opens nothing and may be stored and shown.
type Link [sha256.Size]byte

// Short returns the first 16 hexadecimal digits, which events show.
func (l Link) Short() string {
	const digits = "0123456789abcdef"
	var out [16]byte
	for i := range 8 {
		out[2*i], out[2*i+1] = digits[l[i]>>4], digits[l[i]&15]
	}
	return string(out[:])
}

// Link returns the link at the pass's end. It needs no key, and proves nothing.
func (p Pass) Link() Link {
	if p.held == nil {
		return Link{}
	}
	return sha256.Sum256(p.inside().signature[:])
}

// Narrow returns a pass that is p with more caveats, in the order given. It
// needs no key, and nothing that the result allows was not allowed by p. It
// does not ask whether anybody understands the caveats; see [Limits.Caveats].
func (p Pass) Narrow(caveats ...string) (Pass, error) {
	if p.held == nil {
		return Pass{}, ErrMalformed
	}
	m := *p.inside()
	if len(m.caveats)+len(caveats) > MaxCaveats {
		return Pass{}, ErrTooBig
	}
	m.caveats = make([]string, 0, len(p.inside().caveats)+len(caveats))
	m.caveats = append(append(m.caveats, p.inside().caveats...), caveats...)
	if m.size() > maxBinary {
		return Pass{}, ErrTooBig
	}
	for _, c := range caveats {
		m.signature = mac(&m.signature, c)
	}
	return hold(&m), nil
}

// A Form is how a pass is written as text. All forms hold the same bytes, and
// none says who accepts it: that is in the signed identifier.
type Form uint8

// The forms.
const (
	Bare    Form = iota // base64url alone, as devpi-tokens' token-derive prints it
	Daypass             // daypass_…, which scanners for leaked secrets find
	Devpi               // devpi-…, which devpi's clients know
	PyPI                // pypi-…
)

const daypassPrefix = "daypass_"

// Prefix returns what stands before the base64url.
func (f Form) Prefix() string {
	switch f {
	case Daypass:
		return daypassPrefix
	case Devpi:
		return "devpi-"
	case PyPI:
		return "pypi-"
	}
	return ""
}

// Form returns the form in which the pass was read or made.
func (p Pass) Form() Form {
	if p.held == nil {
		return Bare
	}
	return p.inside().form
}

// Text writes the pass in a form. It is the secret that opens things.
func (p Pass) Text(f Form) daypass.Secret {
	if p.held == nil {
		return daypass.Secret{}
	}
	return daypass.NewSecret(p.inside().text(f.Prefix()))
}

// Parse reads a pass's text: one of the four forms, base64url with or without
// its padding, nothing before or behind. It proves nothing; [Verifier] does.
// The errors are ErrMalformed, ErrTooBig, ErrV1 and ErrThirdParty.
func Parse(text daypass.Secret) (Pass, error) {
	s := text.Reveal()
	if len(s) > MaxText {
		return Pass{}, ErrTooBig
	}
	form, rest := cutPrefix(s)
	raw, err := decode(rest)
	if err != nil {
		return Pass{}, err
	}
	m, err := parseBinary(raw)
	if err != nil {
		return Pass{}, err
	}
	m.form = form
	return hold(m), nil
}

// ParseBinary reads a pass's bytes.
func ParseBinary(raw []byte) (Pass, error) {
	m, err := parseBinary(string(raw))
	if err != nil {
		return Pass{}, err
	}
	return hold(m), nil
}

// Binary writes the pass's bytes; nil for the zero Pass. They are the secret.
func (p Pass) Binary() []byte {
	if p.held == nil {
		return nil
	}
	return p.inside().append(make([]byte, 0, p.inside().size()))
}

// LooksLike reports whether a text has the shape of a pass, or could be read as
// one by a reader that is less strict than [Parse]: what a gateway never sends
// on. pymacaroons leaves out what is not base64, takes numbers longer than they
// need to be, and has no bound.
func LooksLike(text daypass.Secret) bool {
	s := text.Reveal()
	if form, _ := cutPrefix(s); form != Bare || len(s) > 4 && (s[:3] == "AgE" || s[:3] == "AgI") {
		return true
	}
	var head [3]byte // of the base64
	n := 0
	for i := 0; i < len(s); i++ {
		if c := s[i]; c|0x20-'a' < 26 || c-'0' < 10 || c == '-' || c == '_' || c == '+' || c == '/' {
			if n < len(head) {
				head[n] = c
			}
			n++
		}
	}
	// Byte 02, then the type of the first field, 01 or 02, which may be written as
	// 81 or 82 with more to come.
	return n >= shortest && head[0] == 'A' && (head[1] == 'g' || head[1] == 'o') && 'E' <= head[2] && head[2] <= 'L'
}

// shortest is the base64 of less than any pass: a signature of 32 bytes, and
// what is around it.
const shortest = 48

func cutPrefix(s string) (Form, string) {
	for _, f := range [...]Form{Daypass, Devpi, PyPI} {
		if p := f.Prefix(); len(s) > len(p) && s[:len(p)] == p {
			return f, s[len(p):]
		}
	}
	return Bare, s
}
