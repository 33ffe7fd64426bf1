//go:build !linux

package pull

import (
	"errors"
	"os"
	"syscall"
)

// bootID is not known here: a lock counts as held as long as its process lives.
func bootID() string { return "" }

func processStart(int) string { return "" }

func processAlive(pid int, _ string) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
