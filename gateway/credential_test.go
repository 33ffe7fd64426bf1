package gateway

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/pass"
)

// FuzzCredential: however a pass is wrapped, no header that goes on holds it.
func FuzzCredential(f *testing.F) {
	p, err := pass.Mint(pass.NewKey([]byte("k")), pass.Identity{Realm: pass.Realm{Kind: pass.Index, Name: "test"}, User: "alice", ID: "ID1"}, "expires=1900000000")
	if err != nil {
		f.Fatal(err)
	}
	bare := p.Text(pass.Bare).Reveal()
	for _, seed := range [][4]string{
		{"Bearer ", "", "alice:", ""}, {"Basic ", "", "", ":"}, {"", "", ":", ""}, {"Token ", " x", "alice:Bearer ", ""}, {"basic alice:", "", "alice:'", "'"},
		{"Digest u=\"", "\"", "alice:\t", " "}, {"Bearer devpi-", "", "__token__:devpi-", "="}, {"Negotiate ", "", "", ""}, {"=", "=", "a:b:", ":c"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], true, byte(0))
		f.Add(seed[0], seed[1], seed[2], seed[3], false, byte(3))
	}
	f.Fuzz(func(t *testing.T, before, after, user, tail string, strict bool, shape byte) {
		mode := Compat
		if strict {
			mode = Strict
		}
		pair := base64.StdEncoding.EncodeToString([]byte(user + bare + tail))
		h := http.Header{}
		if shape&1 == 0 {
			h.Add("Authorization", before+bare+after)
		}
		if shape&2 != 0 {
			h.Add("Authorization", "Basic "+pair)
		}
		if shape&4 == 0 {
			h.Add("X-Devpi-Auth", pair)
		}
		if shape&8 != 0 {
			h.Add("X-Devpi-Auth", before+pair+after)
		}
		c, err := readCredential(h, mode)
		if err != nil && (c.isPass() || c.header != nil) {
			t.Fatal("refused, and something is left")
		}
		if c.isPass() && c.header != nil {
			t.Fatal("a pass, and something for devpi to judge")
		}
		for name, values := range c.header {
			if len(values) != 1 || holdsBare(values[0], bare) {
				t.Fatalf("%s goes on: %q", name, values)
			}
		}
		for name, values := range onward(h, false) {
			t.Fatalf("%s: %q", name, values)
		}
	})
}

// holdsBare looks into a header as leniently as Python's base64 does.
func holdsBare(value, bare string) bool {
	if strings.Contains(value, bare) {
		return true
	}
	for word := range strings.FieldsSeq(value) {
		clean := strings.Map(func(c rune) rune {
			if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", c) {
				return c
			}
			return -1
		}, word)
		for cut := range min(4, len(clean)) {
			raw, _ := base64.RawStdEncoding.DecodeString(clean[:len(clean)-cut])
			if strings.Contains(string(raw), bare) {
				return true
			}
		}
	}
	return false
}
