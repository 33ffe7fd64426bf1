package plumbing

import (
	"os"

	"golang.org/x/sys/unix"
)

// widen makes room in a pipe. Where a user has no more, it is as it was.
func widen(f *os.File) { unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, pipeSize) }
