package plumbing_test

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// TestStart: the limit holds for a process from its first input on, and for what it
// starts then.
func TestStart(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux limits another process")
	}
	for range 20 {
		var out strings.Builder
		cmd := exec.Command("sh", "-c", "read go; (sleep 0.2; grep 'Max data size' /proc/self/limits) & sleep 0.1; grep 'Max data size' /proc/self/limits; wait")
		cmd.Stdin, cmd.Stdout = strings.NewReader("go\n"), &out
		if err := plumbing.Run(cmd, 123<<20); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "128974848"); n != 4 {
			t.Errorf("%s", out.String())
		}
	}
	start := time.Now()
	for range 20 {
		if err := plumbing.Run(exec.Command("true"), 123<<20); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%v a process", time.Since(start)/20)
}
