package plumbing

import "testing"

// FuzzBitmap reads anything, and never beyond its end.
func FuzzBitmap(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x15\x00\x00\x00\x00rest"), 5)
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00"), 3)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n < 0 || n > 1<<12 {
			t.Skip()
		}
		set, rest, ok := bitmap(data, n)
		if ok && (len(set) != n || len(rest) > len(data)) {
			t.Errorf("%d bits of %d, %d bytes left", len(set), n, len(rest))
		}
	})
}

func TestBitmap(t *testing.T) {
	one := []byte("\x00\x00\x00\x05\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x15\x00\x00\x00\x00rest")
	set, rest, ok := bitmap(one, 5)
	if !ok || string(rest) != "rest" || !set[0] || set[1] || !set[2] || set[3] || !set[4] {
		t.Errorf("%v %q %t", set, rest, ok)
	}
	for cut := 1; cut < 28; cut++ {
		if _, _, ok := bitmap(one[:cut], 5); ok {
			t.Errorf("cut at %d is read", cut)
		}
	}
}
