package clone

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// maxIndex bounds what is read of an index: a million files.
const maxIndex = 256 << 20

// Index returns the entries of the index, split ones put together. Of a sparse index a
// folder that is left out is one entry, its Mode plumbing.Directory and Skip true. No
// index is no entries.
func (c *Clone) Index() ([]plumbing.IndexEntry, error) {
	data, err := c.git.read("index", maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, badIndex(c.dir, err)
	}
	entries, format, err := plumbing.ReadSplitIndex(data, func(name plumbing.OID) ([]byte, error) {
		return c.git.read("sharedindex."+string(name), maxIndex)
	})
	if err == nil && format != c.Format() {
		err = errors.New("it is of another object format")
	}
	if err != nil {
		return nil, badIndex(c.dir, err)
	}
	return entries, nil
}

// writeIndex puts a whole index in place, behind the index.lock that is held.
func (c *Clone) writeIndex(entries []plumbing.IndexEntry) error {
	if i := slices.IndexFunc(entries, func(e plumbing.IndexEntry) bool { return e.Mode == plumbing.Directory }); i >= 0 {
		return fmt.Errorf("%q is a folder: an index is written with all its files", entries[i].Path)
	}
	var b bytes.Buffer
	if err := plumbing.WriteIndex(&b, entries, c.Format()); err != nil {
		return err
	}
	return c.git.replace("index", "index.daypass", b.Bytes())
}
