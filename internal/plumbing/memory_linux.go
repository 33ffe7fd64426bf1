package plumbing

import (
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// bound has a command limited before it begins, and with it all that it will start: a
// shell takes the limit (ulimit, POSIX) and becomes the command. Once it runs it is too
// late on a busy machine, since what a process has taken stays its own, and a child whose
// making had begun is in no list yet (prlimit(2), proc_pid_task(5)). What is mapped from
// files (packs) does not count.
func bound(cmd *exec.Cmd, memory uint64) {
	if cmd.Err != nil || len(cmd.Args) == 0 {
		return // it will not start
	}
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_DATA, &now) == nil {
		memory = min(memory, now.Cur, now.Max)
	}
	args := []string{"sh", "-c", `ulimit -d "$0" && exec "$@"`, strconv.FormatUint(memory>>10, 10), cmd.Path}
	cmd.Path, cmd.Args = "/bin/sh", append(args, cmd.Args[1:]...)
}
