package pull

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// freeSpace returns what a user may still write on the disk of a folder, which
// need not be there yet.
func freeSpace(dir string) (int64, bool) {
	for !exists(dir) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
	}
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil || s.Blocks == 0 {
		return 0, false
	}
	return int64(s.Bavail) * s.Bsize, true
}

// syncWaits says that syncDisk returns when all is durable.
const syncWaits = true

// syncDisk makes all that was written on a folder's disk durable.
func syncDisk(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// sameDisk reports whether syncDisk of one folder does for the other too.
func sameDisk(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev
}
