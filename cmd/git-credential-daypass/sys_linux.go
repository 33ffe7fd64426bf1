package main

import (
	"os"
	"strings"
	"syscall"
	"unsafe"
)

// variables returns what looks up variables of the environment this program was
// started with. It reads them where the kernel has them, since the library
// sorts all of them into a table first, which costs a fortieth of a run.
func variables() func(string) string {
	fd, err := syscall.Open("/proc/self/environ", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return os.Getenv
	}
	defer syscall.Close(fd)
	buf := make([]byte, 0, 8192)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := syscall.Read(fd, buf[len(buf):cap(buf)])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return os.Getenv
		}
		if n <= 0 {
			break
		}
		buf = buf[:len(buf)+n]
	}
	if len(buf) == 0 {
		return os.Getenv
	}
	text := unsafe.String(&buf[0], len(buf)) // buf is written to no more
	return func(name string) string { return variable(text, name) }
}

// variable finds the first NAME=VALUE among those that NUL ends, as getenv(3)
// does.
func variable(text, name string) string {
	for text != "" {
		one, rest, _ := strings.Cut(text, "\x00")
		if len(one) > len(name) && one[len(name)] == '=' && one[:len(name)] == name {
			return one[len(name)+1:]
		}
		text = rest
	}
	return ""
}

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
