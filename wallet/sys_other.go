//go:build !linux

package wallet

import "syscall"

// A fileSystemKind is what matters about a file system here.
type fileSystemKind int

const (
	disk fileSystemKind = iota
	memory
	network
)

// fileSystem knows no memory file system here, so that only a directory named
// by DAYPASS_RUNTIME_DIR is used.
func fileSystem(int) (fileSystemKind, error) { return disk, nil }

// The package syscall has no openat here. The directory is private and was
// checked, so that only its owner could exchange it meanwhile.

func openat(_ int, dir, name string, flags int, mode uint32) (int, error) {
	return syscall.Open(dir+"/"+name, flags|syscall.O_CLOEXEC, mode)
}

func unlinkat(_ int, dir, name string) error { return syscall.Unlink(dir + "/" + name) }

func renameat(_ int, dir, from, to string) error {
	return syscall.Rename(dir+"/"+from, dir+"/"+to)
}

type keyring struct {
	*directory
	prefix string
}

func newKeyring(Options) (*keyring, bool) { return nil, false }
