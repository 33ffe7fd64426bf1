// Package soak says how long the long tests are. Every day they play the same few
// cases, so that a failure is of the change that it follows; DAYPASS_SOAK (make soak)
// plays many, from a place of its own, and what fails there is named in its test from
// then on. DAYPASS_SOAK=5000 is a number of cases instead of the test's own, and
// DAYPASS_SEED plays one case.
package soak

import (
	"math/rand/v2"
	"os"
	"strconv"
)

// TB is what is needed of a testing.TB.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Rounds is how many rounds a test has to play: daily, or long where a soak is asked
// for without a number.
func Rounds(t TB, daily, long int) int {
	t.Helper()
	n := number(t, "DAYPASS_SOAK")
	switch {
	case n == 0:
		return daily
	case n == 1:
		return long
	}
	return int(n)
}

// Seeds are the n cases that a test has to play, the first one and those after it.
func Seeds(t TB, daily, long int) (first uint64, n int) {
	t.Helper()
	first, n = 1, Rounds(t, daily, long)
	if Asked(t) {
		first = rand.Uint64N(1 << 32)
	}
	if seed := number(t, "DAYPASS_SEED"); seed > 0 {
		first, n = seed, 1
	}
	t.Logf("%d cases from DAYPASS_SEED=%d", n, first)
	return first, n
}

// Asked reports whether the long tests are.
func Asked(t TB) bool {
	t.Helper()
	return number(t, "DAYPASS_SOAK") > 0
}

// One reports whether one case alone is played, so that none beside it are due.
func One(t TB) bool {
	t.Helper()
	return number(t, "DAYPASS_SEED") > 0
}

// number is a variable's, 0 without it.
func number(t TB, variable string) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		t.Fatalf("%s=%q: a number from 1 on", variable, text)
	}
	return n
}
