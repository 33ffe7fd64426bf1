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

// A newIndex is one that is written beside its place, and becomes durable meanwhile.
type newIndex struct {
	d      *disk
	synced chan error
	done   bool
}

const indexTemporary = "index.daypass"

// prepareIndex begins a whole index, behind the index.lock that is held. nil entries are
// none to write.
func (c *Clone) prepareIndex(entries []plumbing.IndexEntry) (*newIndex, error) {
	n := &newIndex{d: c.git, done: entries == nil}
	if entries == nil {
		return n, nil
	}
	if i := slices.IndexFunc(entries, func(e plumbing.IndexEntry) bool { return e.Mode == plumbing.Directory }); i >= 0 {
		return nil, fmt.Errorf("%q is a folder: an index is written with all its files", entries[i].Path)
	}
	var b bytes.Buffer
	if err := plumbing.WriteIndex(&b, entries, c.Format()); err != nil {
		return nil, err
	}
	if err := n.d.remove(indexTemporary); err != nil {
		return nil, err
	}
	if err := n.d.create(indexTemporary, b.Bytes()); err != nil {
		return nil, err
	}
	n.synced = make(chan error, 1)
	go func() { n.synced <- n.d.flush(indexTemporary, "index") }()
	return n, nil
}

// commit puts it in place.
func (n *newIndex) commit() error {
	if n.done {
		return nil
	}
	n.done = true
	err := <-n.synced
	if err == nil {
		err = n.d.rename(indexTemporary, "index")
	}
	if err != nil {
		n.d.root.Remove(indexTemporary)
	}
	return err
}

// drop takes it away where it was not put in place.
func (n *newIndex) drop() {
	if n.done {
		return
	}
	n.done = true
	<-n.synced
	n.d.root.Remove(indexTemporary)
}

// writeIndex puts a whole index in place.
func (c *Clone) writeIndex(entries []plumbing.IndexEntry) error {
	n, err := c.prepareIndex(entries)
	if err != nil {
		return err
	}
	return n.commit()
}
