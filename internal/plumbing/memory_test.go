package plumbing_test

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// TestStart: the limit holds for a process, and for what it starts at once and later; it
// gets its arguments as they are, and its end is its own.
func TestStart(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux limits another process")
	}
	for range 20 {
		var out strings.Builder
		cmd := exec.Command("sh", "-c", "(sleep 0.2; grep 'Max data size' /proc/self/limits) & sleep 0.1; grep 'Max data size' /proc/self/limits; wait")
		cmd.Stdout = &out
		if err := plumbing.Run(cmd, 123<<20); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "128974848"); n != 4 {
			t.Errorf("%s", out.String())
		}
	}
	var out strings.Builder
	odd := exec.Command("printf", "[%s]", "a b", `$0 "$@" 'x'`, "", "-d", "\n;exit")
	odd.Stdout = &out
	if err := plumbing.Run(odd, 123<<20); err != nil || out.String() != "[a b][$0 \"$@\" 'x'][][-d][\n;exit]" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := plumbing.Run(exec.Command("sh", "-c", "exit 7"), 123<<20); err == nil || err.Error() != "exit status 7" {
		t.Errorf("it ended with %v", err)
	}
	if err := plumbing.Start(exec.Command("no-such-program"), 123<<20); err == nil {
		t.Error("what is not there was started")
	}
	start := time.Now()
	for range 20 {
		if err := plumbing.Run(exec.Command("true"), 123<<20); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%v a process", time.Since(start)/20)
}
