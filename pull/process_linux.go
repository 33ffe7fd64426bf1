package pull

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// bootID tells one run of this machine from the next.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// processStart is when a process began, in ticks since the machine did; "" if
// there is none. With it a number that is used again is told from the first one.
func processStart(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name is in brackets and may have anything in it; starttime is the 20th
	// field after it (proc(5), field 22).
	rest := string(data[strings.LastIndexByte(string(data), ')')+1:])
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

func processAlive(pid int, start string) bool {
	if now := processStart(pid); now != "" || start != "" {
		return now == start
	}
	return syscall.Kill(pid, 0) == nil
}
