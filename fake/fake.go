// Package fake is the outside world for tests and for the demo: services as
// http.Handlers with their state in memory, seeded by plain structs, written
// from the services' own documentation, with faults on demand.
//
// It knows nothing of the rest of this module and imports none of it, so that
// a mistake shared by client and fake cannot hide. Time and randomness are
// handed in. Nothing here is fit to guard anything real.
package fake

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
)

const (
	alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// Device user codes are read aloud and typed, so no vowels and no
	// look-alikes: RFC 8628, section 6.1.
	consonants = "BCDFGHJKLMNPQRSTVWXZ"
	hexDigits  = "0123456789abcdef"
)

// randomText returns n characters of alphabet drawn from r. It draws again
// rather than fold with a remainder, so every character is equally likely.
func randomText(r io.Reader, alphabet string, n int) (string, error) {
	limit := 256 - 256%len(alphabet)
	out := make([]byte, 0, n)
	buf := make([]byte, 1)
	for len(out) < n {
		if _, err := io.ReadFull(r, buf); err != nil {
			return "", err
		}
		if int(buf[0]) < limit {
			out = append(out, alphabet[int(buf[0])%len(alphabet)])
		}
	}
	return string(out), nil
}

// Fingerprint names a secret without showing it: tests compare the
// fingerprint of what they hold with the one in a [Request] or [TokenInfo].
func Fingerprint(secret string) string {
	if secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(secret))
	prefix, _, found := strings.Cut(secret, "_")
	if !found || len(prefix) > 6 {
		prefix = "secret"
	}
	return prefix + "_sha256:" + hex.EncodeToString(sum[:6])
}
