package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/wallet"
)

// maxStoreFile bounds what is read of a file in git-credential-store's format.
const maxStoreFile = 256 << 10

// writeStoreFile writes a credential the way git-credential-store(1) keeps it,
// for images that were set up for that. Lines of other hosts stay.
func writeStoreFile(path string, e wallet.Entry, uid int) error {
	u := url.URL{
		Scheme: e.Scheme, Host: e.Credential.Scope.Host,
		User: url.UserPassword(e.Credential.Username, e.Credential.Token.Reveal()),
	}
	return editStoreFile(path, e.Scheme, e.Credential.Scope.Host, uid, u.String()+"\n")
}

// emptyStoreFile takes the lines of a host out of such a file.
func emptyStoreFile(path, scheme, host string, uid int) error {
	return editStoreFile(path, scheme, host, uid, "")
}

// editStoreFile replaces the file as a whole: a temporary file of ours, made
// exclusively, takes its name. What lies there must be a plain file of the
// user's own: in /tmp anybody may have put something else there before, a link
// to another file or a file that they can read (attack table, row 22).
func editStoreFile(path, scheme, host string, uid int, line string) error {
	old, err := readOwn(path, uid)
	if errors.Is(err, fs.ErrNotExist) {
		if line == "" {
			return nil
		}
		err = nil
	}
	if err != nil {
		return storeFileProblem(path, err)
	}
	text := []byte(line)
	for _, have := range bytes.SplitAfter(old, []byte("\n")) {
		if len(bytes.TrimSpace(have)) > 0 && !lineIsFor(string(have), scheme, host) {
			text = append(text, have...)
		}
	}
	if err := replaceFile(path, text); err != nil {
		return storeFileProblem(path, err)
	}
	return nil
}

var errNotPlain = errors.New("what lies there is not a plain file of your own")

// readOwn reads a file that must be the user's own, plain, and known by one name.
func readOwn(path string, uid int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, errNotPlain
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, errNotPlain
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || !st.Mode().IsRegular() || int(sys.Uid) != uid || sys.Nlink != 1 {
		return nil, errNotPlain
	}
	text, err := io.ReadAll(io.LimitReader(f, maxStoreFile+1))
	if err == nil && len(text) > maxStoreFile {
		err = fmt.Errorf("it is longer than %d KiB", maxStoreFile>>10)
	}
	return text, err
}

func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".daypass-*") // exclusive, 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// writable reports whether a file can be made in dir.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".daypass-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func storeFileProblem(path string, err error) error {
	p := &daypass.Problem{
		Code: "DP-405", What: "the file " + printable(path) + " was not written", Err: err,
		Why:  "it cannot be written",
		Next: "Name another file with --store-file, or leave it out: git then asks daypass itself.",
	}
	if errors.Is(err, errNotPlain) {
		p.Why = "somebody else's file, a link, or a file with several names lies there, and it would get your token"
		p.Next = "Look at it (ls -l " + printable(path) + "); if it is not yours, tell whoever runs this machine, and use --store-file with a path in your home."
		p.Kind = daypass.ErrRefused
	}
	return p
}
