package main

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// A stage lets this command use what tests start their worlds with. It takes
// away at its end what was started on it.
type stage struct {
	testing.TB // nil; what is used of it is below
	cleanups   []func()
	failed     bool
}

// A stop is how a stage leaves what cannot go on.
type stop struct{ why string }

// play runs f on a stage and returns why it stopped early, or "".
func play(f func(*stage)) (problem string) {
	s := &stage{}
	defer s.clear()
	defer func() {
		if v := recover(); v != nil {
			st, ok := v.(stop)
			if !ok {
				panic(v)
			}
			problem = st.why
		}
	}()
	f(s)
	return ""
}

func (s *stage) clear() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

func (s *stage) Helper() {}

func (s *stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *stage) Failed() bool { return s.failed }

func (s *stage) Fatal(args ...any) {
	s.failed = true
	panic(stop{fmt.Sprint(args...)})
}

func (s *stage) Fatalf(format string, args ...any) { s.Fatal(fmt.Sprintf(format, args...)) }

func (s *stage) Skip(args ...any) { panic(stop{"not measured: " + fmt.Sprint(args...)}) }

func (s *stage) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "daypass-bench-")
	s.check(err)
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *stage) check(err error) {
	if err != nil {
		s.Fatal(err)
	}
}
