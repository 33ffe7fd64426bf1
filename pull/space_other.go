//go:build !linux

package pull

import "syscall"

// freeSpace is not asked here: a full disk is met while writing.
func freeSpace(string) (int64, bool) { return 0, false }

// syncWaits says that syncDisk returns when all is durable.
const syncWaits = false

// syncDisk makes all that was written durable.
func syncDisk(string) error {
	syscall.Sync()
	return nil
}

// sameDisk reports whether syncDisk of one folder does for the other too.
func sameDisk(string, string) bool { return true }
