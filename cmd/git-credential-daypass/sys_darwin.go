package main

import (
	"os"
	"path/filepath"
	"syscall"
)

// variables returns what looks up variables of the environment.
func variables() func(string) string { return os.Getenv }

// ownPath is this program's file with every link resolved.
func ownPath() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

func pipe(p *[2]int) error {
	if err := syscall.Pipe(p[:]); err != nil {
		return err
	}
	syscall.CloseOnExec(p[0])
	syscall.CloseOnExec(p[1])
	return nil
}

func selectReadable(top int, set *syscall.FdSet, timeout *syscall.Timeval) error {
	return syscall.Select(top, set, nil, nil, timeout)
}
