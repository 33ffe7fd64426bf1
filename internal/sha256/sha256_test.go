package sha256

import (
	library "crypto/sha256"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestSumIsTheLibrarys(t *testing.T) {
	for n := range 1000 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		if Sum(string(b)) != library.Sum256(b) {
			t.Fatalf("Sum of %x differs", b)
		}
	}
}

// The first two are FIPS 180-2's own examples, appendix B.
func TestSumExamples(t *testing.T) {
	for text, want := range map[string]string{
		"abc": "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad",
		"":    "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55",
	} {
		if got := Sum(text); string(got[:]) != want {
			t.Errorf("Sum(%q) = %x", text, got)
		}
	}
}

func FuzzSum(f *testing.F) {
	f.Add("abc")
	f.Add(strings.Repeat("x", 55))
	f.Add(strings.Repeat("x", 64))
	f.Fuzz(func(t *testing.T, s string) {
		if Sum(s) != library.Sum256([]byte(s)) {
			t.Errorf("Sum(%q) differs from the library's", s)
		}
	})
}
