package clone

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// keep holds a file until it is closed, or its process ends. Where the file system knows
// no such locks, nothing is held.
func keep(f *os.File) {
	for syscall.Flock(int(f.Fd()), syscall.LOCK_EX) == syscall.EINTR {
	}
}

// held reports whether somebody keeps a file, and whether that can be known.
func held(f *os.File) (held, known bool) {
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
	case nil:
		return false, true
	case syscall.EWOULDBLOCK:
		return true, true
	}
	return false, false
}

// working reports whether a git command of this user works in a folder, or has a file
// open, as /proc shows it, and whether /proc could be read. What this process itself
// started does not count, nor do git's lasting ones, which hold no lock.
func working(folder, file string) (alive, known bool) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false, false
	}
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		file = filepath.Join(real, strings.TrimPrefix(file, folder))
		folder = real
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Getuid() {
			continue
		}
		if isGitIn(pid, folder) || opens(pid, file) {
			if !startedByUs(pid) {
				return true, true
			}
		}
	}
	return false, true
}

func isGitIn(pid int, folder string) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || !bytes.HasPrefix(name, []byte("git")) {
		return false
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil || !inside(cwd, folder) {
		return false
	}
	args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	for _, lasting := range []string{"fsmonitor--daemon", "credential-cache--daemon", "cat-file", "daemon"} {
		if bytes.Contains(args, []byte("\x00"+lasting+"\x00")) {
			return false
		}
	}
	return true
}

// opens reports whether a process has a file open.
func opens(pid int, file string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if to, err := os.Readlink(dir + "/" + fd.Name()); err == nil && to == file {
			return true
		}
	}
	return false
}

// startedByUs reports whether this process is among those above pid.
func startedByUs(pid int) bool {
	for range 64 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		// The name is in brackets and may hold anything; the parent is the second
		// field after it (proc(5)).
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 {
			return false
		}
		pid, _ = strconv.Atoi(string(fields[1]))
		if pid == os.Getpid() {
			return true
		}
		if pid <= 1 {
			return false
		}
	}
	return false
}
