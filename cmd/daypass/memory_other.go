//go:build !linux

package main

import (
	"errors"
	"os"
)

// memoryFile: other systems show no process's files by a path.
func memoryFile() (*os.File, error) { return nil, errors.ErrUnsupported }
