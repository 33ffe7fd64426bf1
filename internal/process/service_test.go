package process

import (
	"net"
	"testing"
)

// TestFreeAddress: an address is one's own until the test ends, nobody is given it
// twice, and a server may listen there again and again.
func TestFreeAddress(t *testing.T) {
	var first string
	t.Run("while it is held", func(t *testing.T) {
		given := map[string]bool{}
		for range 500 {
			address := FreeAddress(t)
			if given[address] {
				t.Fatalf("%s is given twice", address)
			}
			given[address], first = true, address
		}
		for range 3 {
			l, err := net.Listen("tcp", first)
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
		}
		if claim, err := net.ListenPacket("udp", first); err == nil {
			claim.Close()
			t.Errorf("%s is not held", first)
		}
	})
	claim, err := net.ListenPacket("udp", first)
	if err != nil {
		t.Fatalf("still held after the test: %v", err)
	}
	claim.Close()
}
