package plumbing

import (
	"io/fs"
	"syscall"
	"time"
)

// StatOf takes what an index remembers of a file.
func StatOf(info fs.FileInfo) Stat {
	s := Stat{MTime: info.ModTime(), Bytes: uint32(info.Size())}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.CTime = time.Unix(st.Ctim.Unix())
		s.Dev, s.Inode, s.UID, s.GID = uint32(st.Dev), uint32(st.Ino), st.Uid, st.Gid
	}
	return s
}
