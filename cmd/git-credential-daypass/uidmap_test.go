package main

import "testing"

// TestMapped reads uid_map(5) as user_namespaces(7) shows it.
func TestMapped(t *testing.T) {
	for text, want := range map[string]bool{
		"         0          0 4294967295\n": true,  // no container
		"      1000       1000          1\n": false, // one person, root unmapped
		"0 1000 1\n1 100000 65536\n":         true,  // rootless with sub-ids
		"0 1000 1\n1 100000 65533\n":         false,
		"":                                   false,
		"65534 65534 1":                      true,
		"1 2 3 4\n":                          true, // not what the kernel writes: nobody is let in
	} {
		if got := mapped([]byte(text), overflowUser); got != want {
			t.Errorf("mapped(%q) = %v, want %v", text, got, want)
		}
	}
	if foreignRoot(1000) || foreignRoot(0) {
		t.Error("a plain number counts as an unmapped root")
	}
}
