package pull

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// A fact is what was delivered last at a path, and what the file on the disk looked
// like when it was seen to be that. A zero stat: it was not.
type fact struct {
	merge.Entry
	stat plumbing.Stat
	gone bool // the user has removed it, by a commit
}

// delivered is what a folder was given last: the base of the next merge.
type delivered map[string]fact

// keep writes it, in the form of an index of git's.
func (s *store) keep(name string, d delivered, format string, durable bool) error {
	entries := make([]plumbing.IndexEntry, 0, len(d))
	for _, path := range slices.Sorted(maps.Keys(d)) {
		f := d[path]
		entries = append(entries, plumbing.IndexEntry{
			File: plumbing.File{Path: path, Mode: plumbing.Mode(f.Mode), OID: plumbing.OID(f.OID)}, Stat: f.stat, Skip: f.gone,
		})
	}
	var b bytes.Buffer
	if err := plumbing.WriteIndex(&b, entries, format); err != nil {
		return err
	}
	return replace(s.file(name), b.Bytes(), durable)
}

// recall reads it.
func (s *store) recall(name string) (delivered, error) {
	data, err := os.ReadFile(s.file(name))
	if err != nil {
		return nil, err
	}
	entries, _, err := plumbing.ReadIndex(data)
	if err != nil {
		return nil, problemState(s.file(name), err)
	}
	d := make(delivered, len(entries))
	for _, e := range entries {
		d[e.Path] = fact{entryOf(e.File), e.Stat, e.Skip}
	}
	return d, nil
}

// entries is the base as merge wants it.
func (d delivered) entries() map[string]merge.Entry {
	out := make(map[string]merge.Entry, len(d))
	for path, f := range d {
		out[path] = f.Entry
	}
	return out
}

// snapshotRef keeps a delivered commit's objects in our repository.
func snapshotRef(commit plumbing.OID) string { return "refs/daypass/snapshots/" + string(commit) }

// objectFiles lists a repository's packs and loose objects, absolute.
func objectFiles(repo string) ([]string, error) {
	dir := filepath.Join(repo, "objects")
	var out []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if len(e.Name()) != 2 && e.Name() != "pack" {
			continue
		}
		files, err := os.ReadDir(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the user's git gc has packed what was in it
		} else if err != nil {
			return nil, err
		}
		for _, f := range files {
			if e.Name() != "pack" && !strings.Contains(f.Name(), "tmp_") || strings.HasSuffix(f.Name(), ".pack") && strings.HasPrefix(f.Name(), "pack-") {
				out = append(out, filepath.Join(dir, e.Name(), f.Name()))
			}
		}
	}
	return out, nil
}

// traits looks how a folder's disk differs from what git expects of one. The
// folder is one of ours that nobody else writes to.
func (p *Puller) traits(folder *os.Root) traits {
	if p.probe != nil {
		return p.probe()
	}
	var t traits
	const name, link = ".daypass-Probe", ".daypass-Link"
	f, err := folder.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return t
	}
	f.Close()
	defer folder.Remove(name)
	if _, err := folder.Lstat(".DAYPASS-pROBE"); err == nil {
		t.Fold = true
	}
	if fi, err := folder.Lstat(name); err == nil {
		t.Plain = fi.Mode()&0o100 != 0
	}
	if folder.Symlink("x", link) != nil {
		t.NoLinks = true
	}
	folder.Remove(link)
	return t
}

// racy reports whether a file is so young that its stat proves nothing.
func racy(fi fs.FileInfo, stamp int64) bool { return fi.ModTime().UnixNano() >= stamp }

// room refuses a pull that does not fit, before anything is written.
func (r *run) room(dir string, bytes int64) error {
	free, ok := freeSpace(dir)
	if ok && free < bytes+bytes/16 {
		return problemFull(dir, fmt.Errorf("%d bytes are free, %d are needed", free, bytes))
	}
	return nil
}
