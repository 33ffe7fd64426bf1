package pull

import (
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
