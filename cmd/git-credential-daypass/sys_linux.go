package main

import "syscall"

// ownPath is this program's file with every link resolved.
func ownPath() (string, error) {
	buf := make([]byte, 4096) // PATH_MAX
	n, err := syscall.Readlink("/proc/self/exe", buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

func pipe(p *[2]int) error { return syscall.Pipe2(p[:], syscall.O_CLOEXEC) }

func selectReadable(top int, set *syscall.FdSet, timeout *syscall.Timeval) error {
	_, err := syscall.Select(top, set, nil, nil, timeout)
	return err
}
