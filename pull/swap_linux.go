package pull

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// exchange gives each of two files of a folder the other's name, in one step:
// renameat2(2). An error: nothing was done.
func exchange(d *os.Root, a, b string) error {
	f, err := d.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Renameat2(int(f.Fd()), a, int(f.Fd()), b, unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// renameNew renames, never over anything: renameat2(2). errors.ErrUnsupported: this disk
// cannot do that.
func renameNew(from *os.Root, a string, to *os.Root, b string) error {
	f, err := from.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := to.Open(".")
	if err != nil {
		return err
	}
	defer g.Close()
	err = unix.Renameat2(int(f.Fd()), a, int(g.Fd()), b, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: a, New: b, Err: err}
	}
	return nil
}
