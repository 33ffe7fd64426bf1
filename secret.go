package daypass

import "errors"

// A Secret is a token, held so that it cannot be printed by mistake: every verb
// of fmt, every encoder and every slog handler shows "[secret]", an address or
// an error. [Secret.Reveal] is the only way out, so that searching for Reveal
// lists every place where a secret leaves.
//
// The zero Secret holds nothing.
type Secret struct {
	// A pointer to a pointer, since fmt's %d and %x look through a struct's
	// fields and print a string or a byte slice found there.
	held **string
}

// NewSecret holds s. The empty string gives the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	p := &s
	return Secret{held: &p}
}

// Reveal returns the secret itself. Call it only in the line that sends it.
func (s Secret) Reveal() string {
	if s.held == nil {
		return ""
	}
	return **s.held
}

// IsZero reports whether s holds nothing.
func (s Secret) IsZero() bool { return s.held == nil }

// Equal compares two secrets in a time that depends only on their lengths.
func (s Secret) Equal(t Secret) bool {
	a, b := s.Reveal(), t.Reveal()
	if len(a) != len(b) {
		return false
	}
	var diff byte
	for i := 0; i < len(a); i++ {
		diff |= a[i] ^ b[i]
	}
	return diff == 0
}

// Hint shows what kind of token this is and its last four characters, for
// people who must recognise it: "ghu_…a1b2". A secret too short to hide what
// is left shows as "…".
func (s Secret) Hint() string {
	v := s.Reveal()
	if len(v) < 16 {
		return "…"
	}
	prefix := ""
	for i := 0; i < len(v) && i < 12; i++ {
		if v[i] == '_' {
			prefix = v[:i+1]
		}
	}
	return prefix + "…" + v[len(v)-4:]
}

// String returns "[secret]".
func (s Secret) String() string { return "[secret]" }

// GoString returns "[secret]".
func (s Secret) GoString() string { return "[secret]" }

var errSecretText = errors.New("daypass: a secret is never encoded; call Reveal where it is sent")

// MarshalText always fails, so that no encoder writes a secret down.
func (s Secret) MarshalText() ([]byte, error) { return nil, errSecretText }
