package main

import "testing"

func TestVariable(t *testing.T) {
	const text = "A=1\x00AB=2\x00=x\x00EMPTY=\x00A=again\x00NOTHING\x00LAST=a=b"
	for name, want := range map[string]string{"A": "1", "AB": "2", "EMPTY": "", "NOTHING": "", "LAST": "a=b", "B": "", "LAS": "", "a": ""} {
		if got := variable(text, name); got != want {
			t.Errorf("variable %q = %q, want %q", name, got, want)
		}
	}
}
