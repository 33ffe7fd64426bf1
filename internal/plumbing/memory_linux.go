package plumbing

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// bound limits a process, what it has started meanwhile, and with that all that it will
// start. What it maps from files (packs) does not count.
func bound(pid int, memory uint64, depth int) {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &now); err != nil {
		return // it has ended
	}
	limit := unix.Rlimit{Cur: min(memory, now.Cur), Max: min(memory, now.Max)}
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil); err != nil || depth == 0 {
		return
	}
	children, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(pid) + "/children")
	for _, child := range strings.Fields(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			bound(n, memory, depth-1)
		}
	}
}
