package soak

import (
	"fmt"
	"testing"
)

// asked is a test that says what it was told.
type asked struct{ fatal string }

func (a *asked) Helper()                      {}
func (a *asked) Logf(string, ...any)          {}
func (a *asked) Fatalf(text string, v ...any) { a.fatal = fmt.Sprintf(text, v...); panic(a) }

func TestSeeds(t *testing.T) {
	for _, c := range []struct {
		soak, seed string
		first      uint64 // 0: any
		n          int
	}{
		{"", "", 1, 40},
		{"1", "", 0, 300},
		{"5000", "", 0, 5000},
		{"", "77", 77, 1},
		{"1", "77", 77, 1},
	} {
		t.Setenv("DAYPASS_SOAK", c.soak)
		t.Setenv("DAYPASS_SEED", c.seed)
		first, n := Seeds(t, 40, 300)
		if n != c.n || c.first != 0 && first != c.first || One(t) != (c.seed != "") {
			t.Errorf("%q, %q: %d from %d", c.soak, c.seed, n, first)
		}
	}
}

func TestNoNumber(t *testing.T) {
	for _, text := range []string{"yes", "0", "-1", "1e3"} {
		t.Setenv("DAYPASS_SOAK", text)
		a := &asked{}
		func() {
			defer func() { recover() }()
			Rounds(a, 1, 2)
		}()
		if a.fatal == "" {
			t.Errorf("DAYPASS_SOAK=%s is taken", text)
		}
	}
}
