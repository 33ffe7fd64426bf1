package pass

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
)

// TestLooksLike: whatever pymacaroons reads as a macaroon of version 2 looks like
// a pass, also where Parse does not take it; passwords and sessions do not.
func TestLooksLike(t *testing.T) {
	p, err := Mint(NewKey([]byte("a root key")), Identity{Realm: Realm{Kind: Plugin}, User: "ann", ID: "abcdefgh"})
	if err != nil {
		t.Fatal(err)
	}
	raw := p.Binary()
	encode := func(head string, from int) string {
		return base64.RawURLEncoding.EncodeToString(append([]byte(head), raw[from:]...))
	}
	bare := p.Text(Bare).Reveal()
	for what, text := range map[string]string{
		"bare": bare, "devpi": "devpi-" + bare, "ours": "daypass_" + bare, "PyPI's": "pypi-" + bare, "cut": bare[:8],
		"a mark": "!" + bare, "marks": "A.g!E" + bare[3:], "a letter": "é" + bare, "padding": "=A=" + bare[1:], "a zero": "\x00" + bare,
		"a location":      encode("\x02\x01\x46"+strings.Repeat("x", 70), 3),
		"a long location": encode("\x02\x01\xd0\x46"+strings.Repeat("x", 0x46<<7|0x50), 3),
		"no location":     encode("\x02", 3),
		"a long number":   encode("\x02\x01\x80\x00", 3),
		"a long type":     encode("\x02\x81\x00\x00", 3),
	} {
		if !LooksLike(daypass.NewSecret(text)) {
			t.Errorf("%s does not", what)
		}
	}
	for _, text := range []string{
		"", "A", "Ag", "a word", "Agnes", "AgGnes and her password", `["ann", [], true].aBcDeFgH.` + strings.Repeat("x", 27),
		strings.Repeat("correct horse battery staple ", 4),
	} {
		if LooksLike(daypass.NewSecret(text)) {
			t.Errorf("%q does", text)
		}
	}
}
