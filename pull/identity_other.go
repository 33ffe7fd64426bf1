//go:build !linux

package pull

import (
	"os"
	"syscall"
)

// identityOf is that of a folder; zero where there is none, or a link.
func identityOf(folder string) identity {
	fi, err := os.Lstat(folder)
	if err != nil || !fi.IsDir() {
		return identity{}
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}
	}
	return identity{Dev: uint64(st.Dev), Inode: uint64(st.Ino)}
}
