package pull

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/daypass-dev/daypass/internal/clone"
)

// Origin is where a clone fetches from that no pull of ours was made into yet, such
// as nbgitpuller's, and the branch of it that is checked out; "" where that cannot be
// told, or holds a password. It reads only, and runs nothing.
//
// An unpacked archive may bring a .git/config along that says what its maker liked.
// What that gains: a link to the very repository it names asks no question, for this
// folder, in which the maker's files lie already. What is brought still runs only
// after a yes, nothing of the configuration but the address is read, the admins' list
// of hosts holds, and a login goes to its own host only. A repository of somebody
// else's, on a disk that many write to, does not count: git itself would not go there
// either.
func Origin(folder string) (url, branch string) {
	if !ours(filepath.Join(folder, ".git")) || !ours(filepath.Join(folder, ".git", "config")) {
		return "", ""
	}
	c, err := clone.Open(folder)
	if err != nil {
		return "", ""
	}
	defer c.Close()
	url, ok, err := c.Origin()
	if err != nil || !ok {
		return "", ""
	}
	if url, err = clean(url); err != nil {
		return "", ""
	}
	if head, err := c.Head(); err == nil && head.Branch != "" {
		if up, ok := c.Upstream(head.Branch); ok {
			branch = strings.TrimPrefix(up, "refs/heads/")
		}
	}
	return url, branch
}

// ours reports whether a file or folder is the user's own, and no link.
func ours(path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || !fi.IsDir() && !fi.Mode().IsRegular() {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}

// SameSource reports whether two addresses are of one repository, however they say it.
func SameSource(a, b string) bool { return clone.SameRepository(a, b) }
