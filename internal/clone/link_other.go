//go:build !linux

package clone

import (
	"errors"
	"os"
)

// link is not tried: a path would be followed through links. The file is copied.
func link(string, *os.File, string) error { return errors.ErrUnsupported }
