package devpitest

import (
	"encoding/base64"
	"strings"
	"testing"

	"gopkg.in/macaroon.v2"
)

// The suite reads and narrows tokens with a library that is not ours, so that a
// mistake of ours cannot hide in it.

func parseToken(t testing.TB, token string) *macaroon.Macaroon {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "devpi-"))
	if err != nil {
		t.Fatal("no token:", err)
	}
	m := new(macaroon.Macaroon)
	if err := m.UnmarshalBinary(data); err != nil {
		t.Fatal("no token:", err)
	}
	return m
}

func tokenText(t testing.TB, m *macaroon.Macaroon) string {
	t.Helper()
	data, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return "devpi-" + base64.RawURLEncoding.EncodeToString(data)
}

// Narrow adds caveats to a token.
func Narrow(t testing.TB, token string, caveats ...string) string {
	t.Helper()
	m := parseToken(t, token)
	for _, c := range caveats {
		if err := m.AddFirstPartyCaveat([]byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	return tokenText(t, m)
}

// Forge makes a token with the identifier of another and a key of the caller's.
func Forge(t testing.TB, token string, key []byte, caveats ...string) string {
	t.Helper()
	m, err := macaroon.New(key, parseToken(t, token).Id(), "", macaroon.V2)
	if err != nil {
		t.Fatal(err)
	}
	return Narrow(t, tokenText(t, m), caveats...)
}

// Caveats are those of a token, in order.
func Caveats(t testing.TB, token string) []string {
	t.Helper()
	var out []string
	for _, c := range parseToken(t, token).Caveats() {
		out = append(out, string(c.Id))
	}
	return out
}
