package measure

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// A Stage lets a command use what tests start their worlds with. It takes
// away at its end what was started on it.
type Stage struct {
	testing.TB // nil; what is used of it is below
	cleanups   []func()
	failed     bool
}

// A stop is how a stage leaves what cannot go on.
type stop struct{ why string }

// Play runs f on a stage and returns why it stopped early, or "".
func Play(f func(*Stage)) (problem string) {
	s := &Stage{}
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

func (s *Stage) clear() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

// Helper is of [testing.TB].
func (s *Stage) Helper() {}

// Cleanup runs f at the end, last come first served.
func (s *Stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// Failed reports whether it stopped for an error.
func (s *Stage) Failed() bool { return s.failed }

// Fatal leaves the stage.
func (s *Stage) Fatal(args ...any) {
	s.failed = true
	panic(stop{fmt.Sprint(args...)})
}

// Fatalf leaves the stage.
func (s *Stage) Fatalf(format string, args ...any) { s.Fatal(fmt.Sprintf(format, args...)) }

// Skip leaves the stage.
func (s *Stage) Skip(args ...any) { panic(stop{"not measured: " + fmt.Sprint(args...)}) }

// Logf prints to standard error.
func (s *Stage) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// TempDir is taken away at the end.
func (s *Stage) TempDir() string {
	dir, err := os.MkdirTemp("", "daypass-bench-")
	s.Check(err)
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Check is Fatal where there is an error.
func (s *Stage) Check(err error) {
	if err != nil {
		s.Fatal(err)
	}
}
