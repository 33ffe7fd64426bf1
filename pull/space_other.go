//go:build !linux

package pull

import "syscall"

// freeSpace is not asked here: a full disk is met while writing.
func freeSpace(string) (int64, bool) { return 0, false }

// syncDisk makes all that was written durable.
func syncDisk(string) error {
	syscall.Sync()
	return nil
}
