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

// syncDisk makes all that was written on a folder's disk durable.
func syncDisk(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
