package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// memoryFile is a file in memory without a name, which ends with this process.
func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("daypass", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "daypass"), nil
}
