package pull

import "golang.org/x/sys/unix"

// identityOf is that of a folder; zero where there is none, or a link.
func identityOf(folder string) identity {
	var x unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, folder, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE|unix.STATX_INO|unix.STATX_BTIME, &x)
	if err != nil || x.Mode&unix.S_IFMT != unix.S_IFDIR {
		return identity{}
	}
	i := identity{Dev: unix.Mkdev(x.Dev_major, x.Dev_minor), Inode: x.Ino}
	if x.Mask&unix.STATX_BTIME != 0 {
		i.Born = x.Btime.Sec*1e9 + int64(x.Btime.Nsec)
	}
	return i
}
