//go:build !linux

package pull

import (
	"errors"
	"os"
)

// exchange is not known here: a file is renamed over the other.
func exchange(*os.Root, string, string) error { return errors.ErrUnsupported }

// renameNew is not known here either: the place is looked at first.
func renameNew(*os.Root, string, *os.Root, string) error { return errors.ErrUnsupported }
