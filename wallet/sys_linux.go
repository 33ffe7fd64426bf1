package wallet

import "syscall"

// A fileSystemKind is what matters about a file system here.
type fileSystemKind int

const (
	disk fileSystemKind = iota
	memory
	network
)

// fileSystem tells what an open file lies on: include/uapi/linux/magic.h of
// Linux 6.12, and for those outside the kernel statfs(2) and coreutils' stat.
func fileSystem(fd int) (fileSystemKind, error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(fd, &st); err != nil {
		return disk, err
	}
	switch uint32(st.Type) {
	case 0x01021994, 0x858458f6: // tmpfs, ramfs
		return memory, nil
	case 0x6969, // NFS
		0x517b, 0xff534d42, 0xfe534d42, // SMB, CIFS, SMB2
		0x0bd00bd0,             // Lustre
		0x47504653,             // GPFS
		0x5346414f, 0x6b414653, // AFS
		0x00c36400, // Ceph
		0x19830326, // BeeGFS
		0x20030528, // OrangeFS
		0xaad7aaea, // Panasas
		0x73757245, // Coda
		0x01021997: // 9p
		return network, nil
	}
	return disk, nil
}

func openat(dir int, _, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := syscall.Openat(dir, name, flags|syscall.O_CLOEXEC, mode)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

func unlinkat(dir int, _, name string) error { return syscall.Unlinkat(dir, name) }

func renameat(dir int, _, from, to string) error { return syscall.Renameat(dir, from, dir, to) }
