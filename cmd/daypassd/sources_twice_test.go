package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneAccountTwice: an account of Google's under two names would let the instructors
// of the one give on what was shared for the other.
func TestOneAccountTwice(t *testing.T) {
	l := newLibrary(t, "")
	text, err := os.ReadFile(l.config)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), `account: ph142, key: "file:`)
	ph142, _, _ := strings.Cut(after, `"`)
	l.edit(filepath.Join(filepath.Dir(ph142), "bio101.json"), ph142)
	var out bytes.Buffer
	a := l.app(&out)
	c, err := a.readConfig(l.config)
	if err != nil {
		t.Fatal(err)
	}
	svc, err := a.open(t.Context(), c, true)
	if err == nil {
		svc.close()
	}
	if err == nil || !strings.Contains(err.Error(), "ph142 and bio101 are one account") {
		t.Errorf("%v", err)
	}
}
