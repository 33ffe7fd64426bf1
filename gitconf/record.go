package gitconf

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
)

// A record is what setup remembers, so that undo removes exactly that: the
// bytes that it added, never a copy of the file, which may hold secrets.
type record struct {
	Version int           `json:"version"`
	Files   []*fileRecord `json:"files"`

	path string
	was  []byte // the file's text; nil where there was none
}

type fileRecord struct {
	Path    string  `json:"path"`
	Created bool    `json:"created"` // the file was not there before
	Blocks  []block `json:"blocks"`  // in the order of the file
}

// A block is a run of bytes that setup added at the end of a file.
type block struct {
	Key  string    `json:"key"`            // the first URL, or "identity"
	Glue string    `json:"glue"`           // line ends that had to be added before the text
	Head string    `json:"head,omitempty"` // SHA-256 of what was before the glue, if there is glue
	Text string    `json:"text"`
	At   time.Time `json:"at"`

	entries []setting
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func (f *fileRecord) find(key string) *block {
	for i := range f.Blocks {
		if f.Blocks[i].Key == key {
			return &f.Blocks[i]
		}
	}
	return nil
}

// file returns the record of a file, and begins one where there is none.
func (r *record) file(path string) *fileRecord {
	for _, f := range r.Files {
		if f.Path == path {
			return f
		}
	}
	f := &fileRecord{Path: path}
	r.Files = append(r.Files, f)
	return f
}

// systemRecord is beside the state of other services (hier(7)), since a
// system file belongs to no home.
const systemRecord = "/var/lib/daypass/setup.json"

func (s Setup) recordPath(system bool) (string, error) {
	if s.Record != "" {
		return s.Record, nil
	}
	if system {
		return systemRecord, nil
	}
	base := s.Git.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) { // the XDG base directory specification ignores relative ones
		home := s.Git.getenv("HOME")
		if !filepath.IsAbs(home) {
			return "", &daypass.Problem{Code: "DP-702", What: "setup cannot remember what it adds", Why: "HOME is not set", Next: "Set HOME and try again."}
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "daypass", "setup.json"), nil
}

// openRecord reads the record; with lock it is the only one to do so until the
// returned function is called.
func (s Setup) openRecord(system, lock bool) (*record, func(), error) {
	path, err := s.recordPath(system)
	if err != nil {
		return nil, nil, err
	}
	unlock := func() {}
	if lock {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, nil, noRecord(path, err)
		}
		f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, nil, noRecord(path, err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, nil, noRecord(path, err)
		}
		unlock = func() { f.Close() }
	}
	rec := &record{Version: 1, path: path}
	text, err := readPrivate(path)
	rec.was = text
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return rec, unlock, nil
	case err == nil:
		if err = json.Unmarshal(text, rec); err == nil && rec.Version != 1 {
			err = fmt.Errorf("it is of version %d", rec.Version)
		}
	}
	if err != nil {
		unlock()
		return nil, nil, noRecord(path, err)
	}
	return rec, unlock, nil
}

func noRecord(path string, err error) error {
	return &daypass.Problem{
		Code: "DP-707",
		What: "setup cannot remember what it adds in " + path,
		Why:  err.Error(),
		Next: "Mend that file or its folder and try again; without it, setup could not be undone.",
		Err:  err,
	}
}

// saveWith writes the record, then the change that it is about: a block without
// a record could not be undone. If the change fails, the record is what it was,
// so that undo will not look for what was never added.
func (r *record) saveWith(change func() error) error {
	if err := r.save(); err != nil {
		return err
	}
	err := change()
	if err == nil {
		return nil
	}
	if r.was == nil {
		os.Remove(r.path)
	} else if werr := writePrivate(r.path, r.was); werr != nil {
		return errors.Join(err, noRecord(r.path, werr))
	}
	return err
}

// save writes the record; when nothing is left to remember it is removed.
func (r *record) save() error {
	var keep []*fileRecord
	for _, f := range r.Files {
		if len(f.Blocks) > 0 {
			keep = append(keep, f)
		}
	}
	r.Files = keep
	if len(keep) == 0 {
		if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return noRecord(r.path, err)
		}
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = writePrivate(r.path, append(text, '\n'))
	}
	if err != nil {
		return noRecord(r.path, err)
	}
	return nil
}
