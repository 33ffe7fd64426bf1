package gitconf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
)

// maxConfig is more than any configuration file of git has.
const maxConfig = 4 << 20

// A lockedFile is a configuration file under git's own lock: FILE.lock, made
// exclusively, becomes FILE (git's lockfile.h). While it is held no git writes
// the file.
type lockedFile struct {
	path string      // links resolved
	old  []byte      // what the file holds
	info fs.FileInfo // nil when the file does not exist
	lock *os.File
	done bool
}

// lockFile waits up to two seconds for another writer.
func lockFile(ctx context.Context, path string) (*lockedFile, error) {
	path, err := resolveLink(path)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(2 * time.Second)
	for {
		lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0o600)
		if err == nil {
			l := &lockedFile{path: path, lock: lock}
			if err := l.read(); err != nil {
				l.abort()
				return nil, err
			}
			return l, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, cannotWrite(path, err)
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, &daypass.Problem{
				Code: "DP-704",
				What: path + " is locked",
				Why:  "another program is writing it, or was ended while it did",
				Next: "Try again; if no git is running, delete " + path + ".lock first.",
				Err:  err,
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(30 * time.Millisecond):
		}
	}
}

func cannotWrite(path string, err error) error {
	var pe *fs.PathError
	why := err.Error()
	if errors.As(err, &pe) {
		why = pe.Err.Error()
	}
	return &daypass.Problem{
		Code: "DP-705",
		What: path + " cannot be written",
		Why:  why,
		Next: "Make its folder writable for yourself, or set GIT_CONFIG_GLOBAL to a file that is.",
		Who:  "For a system file, ask the administrator.",
		Err:  err,
	}
}

// resolveLink follows the links at the end of path, as git does before it locks,
// so that a link stays a link. The last target need not exist.
func resolveLink(path string) (string, error) {
	for range 10 {
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return "", &daypass.Problem{Code: "DP-705", What: path + " cannot be written", Why: "its links lead in a circle", Next: "Replace the link by a file."}
}

func (l *lockedFile) read() error {
	f, err := os.OpenFile(l.path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read git's configuration: %w", err)
	}
	defer f.Close()
	if l.info, err = f.Stat(); err != nil {
		return fmt.Errorf("read git's configuration: %w", err)
	}
	if !l.info.Mode().IsRegular() {
		return &daypass.Problem{Code: "DP-705", What: l.path + " cannot be written", Why: "it is not a regular file", Next: "Set GIT_CONFIG_GLOBAL to a regular file."}
	}
	l.old, err = io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(l.old) > maxConfig {
		err = fmt.Errorf("%s is larger than %d bytes", l.path, maxConfig)
	}
	return err
}

// try writes content into the lock, where git can read it.
func (l *lockedFile) try(content []byte) error {
	if err := l.lock.Truncate(0); err != nil {
		return cannotWrite(l.path, err)
	}
	if _, err := l.lock.WriteAt(content, 0); err != nil {
		return cannotWrite(l.path, err)
	}
	return nil
}

// commit makes what try wrote the file, with the mode and the owner that it had.
func (l *lockedFile) commit() error {
	mode := fs.FileMode(0o644)
	if l.info != nil {
		mode = l.info.Mode().Perm()
		if err := keepOwner(l.lock, l.info); err != nil {
			return cannotWrite(l.path, err)
		}
	}
	if err := l.lock.Chmod(mode); err != nil {
		return cannotWrite(l.path, err)
	}
	if err := l.lock.Sync(); err != nil {
		return cannotWrite(l.path, err)
	}
	if err := os.Rename(l.lock.Name(), l.path); err != nil {
		return cannotWrite(l.path, err)
	}
	l.done = true
	syncDir(filepath.Dir(l.path))
	return l.lock.Close()
}

// remove takes the file away, for a file that setup had made.
func (l *lockedFile) remove() error {
	if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return cannotWrite(l.path, err)
	}
	return nil
}

// abort gives the lock back. After commit it does nothing.
func (l *lockedFile) abort() {
	if l.done {
		return
	}
	l.done = true
	l.lock.Close()
	os.Remove(l.lock.Name())
}

func keepOwner(f *os.File, old fs.FileInfo) error {
	was, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	now, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || now.Uid == was.Uid && now.Gid == was.Gid {
		return nil
	}
	if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil && now.Uid != was.Uid {
		return errors.New("it belongs to another account")
	}
	return nil
}

// syncDir makes a rename last; file systems that cannot, need not.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

// writePrivate replaces a file of ours, readable by its owner alone.
func writePrivate(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err == nil {
		syncDir(dir)
	}
	return err
}

// readPrivate reads a file of ours. A link, or a file that somebody else may
// have written, is refused.
func readPrivate(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !fi.Mode().IsRegular() || fi.Mode().Perm()&0o022 != 0 || ok && int(st.Uid) != os.Geteuid() && st.Uid != 0 {
		return nil, fmt.Errorf("%s may have been written by somebody else; look at it and delete it", path)
	}
	return io.ReadAll(io.LimitReader(f, maxConfig))
}

// quoteShell writes an absolute path for sh so that it stays one word and still
// begins with a slash: git runs a helper as it stands only if it begins so, and
// hands it to `sh -c` (gitcredentials(7), CUSTOM HELPERS).
func quoteShell(path string) string {
	const safe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-"
	if strings.Trim(path, safe) == "" {
		return path
	}
	return "/'" + strings.ReplaceAll(path[1:], "'", `'\''`) + "'"
}
