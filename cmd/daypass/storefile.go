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
	_, err := editStoreFile(path, e.Scheme, e.Credential.Scope.Host, uid, u.String()+"\n")
	return err
}

// emptyStoreFile takes the lines of a host out of such a file, and reports
// whether there were any; a file without one is not written.
func emptyStoreFile(path, scheme, host string, uid int) (bool, error) {
	held, err := editStoreFile(path, scheme, host, uid, "")
	var p *daypass.Problem
	if errors.Is(err, errFolder) && errors.As(err, &p) {
		p.What = "the token in " + printable(path) + " was not taken out"
		p.Next = "Delete that file yourself: rm " + printable(path)
	}
	return held, err
}

// editStoreFile replaces the file as a whole: a temporary file of ours, made
// exclusively, takes its name. What lies there must be a plain file of the
// user's own: in /tmp anybody may have put something else there before, a link
// to another file or a file that they can read (attack table, row 22).
func editStoreFile(path, scheme, host string, uid int, line string) (held bool, err error) {
	old, err := readOwn(path, uid)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, storeFileProblem(path, err)
	}
	text := []byte(line)
	for _, have := range bytes.SplitAfter(old, []byte("\n")) {
		switch {
		case lineIsFor(string(have), scheme, host):
			held = true
		case len(bytes.TrimSpace(have)) > 0:
			text = append(text, have...)
		}
	}
	if line == "" && !held {
		return false, nil
	}
	if err := ownedFolder(filepath.Dir(path), uid); err != nil {
		return false, storeFileProblem(path, err)
	}
	if err := replaceFile(path, text); err != nil {
		return false, storeFileProblem(path, err)
	}
	return held, nil
}

var errFolder = errors.New("its folder is one in which others can put files in place of yours")

// ownedFolder refuses a folder whose entries somebody else can exchange: it must
// be the user's own or root's, and only a sticky one may be open to others.
func ownedFolder(dir string, uid int) error {
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !ok || sys.Uid != 0 && int(sys.Uid) != uid:
		return errFolder
	case st.Mode().Perm()&0o022 != 0 && st.Mode()&fs.ModeSticky == 0:
		return errFolder
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

// writable reports whether a file can be made in dir, and nobody else's put in
// its place.
func writable(dir string, uid int) error {
	if err := ownedFolder(dir, uid); err != nil {
		return err
	}
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
	switch {
	case errors.Is(err, errFolder):
		p.Why = "others can write to its folder, or own it, and could put a file of theirs in its place"
		p.Next = "Use --store-file with a path in your home, or take their right to write away (chmod go-w " + printable(filepath.Dir(path)) + ")."
		p.Kind = daypass.ErrRefused
	case errors.Is(err, errNotPlain):
		p.Why = "somebody else's file, a link, or a file with several names lies there, and it would get your token"
		p.Next = "Look at it (ls -l " + printable(path) + "); if it is not yours, tell whoever runs this machine, and use --store-file with a path in your home."
		p.Kind = daypass.ErrRefused
	}
	return p
}
