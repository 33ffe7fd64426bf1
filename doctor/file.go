package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// A secretFile is what open saw of a file.
type secretFile struct {
	path string
	info fs.FileInfo
	text []byte // the first bytes
}

// open reads at most max bytes of a regular file of one's own. A link is not
// followed, a pipe does not block, and another's file is not read: it is as if
// it were not there.
func open(path string, max int64) (secretFile, bool) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return secretFile{}, false
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() || !isOwn(fi) {
		return secretFile{}, false
	}
	text, err := io.ReadAll(io.LimitReader(f, max))
	return secretFile{path: path, info: fi, text: text}, err == nil
}

func owner(fi fs.FileInfo) (int, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// remove deletes the very file that was seen, and no other that took its name.
func remove(seen secretFile) func(context.Context) error {
	return func(context.Context) error {
		fi, err := os.Lstat(seen.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("delete an old token file: %w", err)
		}
		if !os.SameFile(fi, seen.info) || !fi.Mode().IsRegular() || !isOwn(fi) {
			return errors.New("the file changed since it was looked at; run doctor again")
		}
		return os.Remove(seen.path)
	}
}

// narrow takes rights away, through a descriptor of the very file that was seen.
func narrow(path string, seen fs.FileInfo, bits fs.FileMode) func(context.Context) error {
	return func(context.Context) error {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("narrow the mode: %w", err)
		}
		defer f.Close()
		fi, err := f.Stat()
		if err != nil {
			return fmt.Errorf("narrow the mode: %w", err)
		}
		if !os.SameFile(fi, seen) || !isOwn(fi) {
			return errors.New("the file changed since it was looked at; run doctor again")
		}
		return f.Chmod(fi.Mode() &^ bits)
	}
}
