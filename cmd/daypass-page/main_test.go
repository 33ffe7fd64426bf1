package main

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for args, want := range map[string]int{
		"--help":                           0,
		"-h":                               0,
		"--socket /run/x/page":             0,
		"--port 8000 --name git-pull":      0,
		"":                                 2,
		"--nothing":                        2,
		"--port many":                      2,
		"--socket /run/x/page --port 8000": 2,
		"--socket /run/x/page and something else": 2,
	} {
		_, err := read(strings.Fields(args))
		if got := status(err); got != want || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %d, %v, want %d", args, got, err, want)
		}
	}
}
