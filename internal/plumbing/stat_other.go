//go:build !linux

package plumbing

import "io/fs"

// StatOf takes what an index remembers of a file.
func StatOf(info fs.FileInfo) Stat {
	return Stat{MTime: info.ModTime(), Bytes: uint32(info.Size())}
}
