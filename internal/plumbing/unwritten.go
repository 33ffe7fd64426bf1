package plumbing

import (
	"context"
	"errors"
	"io"
)

var errUnwritten = errors.New("this is not written yet")

// Tree reads one tree.
func (o *Objects) Tree(tree OID) ([]Entry, error) { return nil, errUnwritten }

// Files returns all files below a tree, sorted by path.
func (o *Objects) Files(tree OID) ([]File, error) { return nil, errUnwritten }

// Diff returns the paths at which two trees differ, sorted; "" is the tree without files.
func (o *Objects) Diff(a, b OID) ([]Change, error) { return nil, errUnwritten }

// An Import writes objects.
type Import struct{}

// A CommitSpec is a commit to be written.
type CommitSpec struct {
	Ref               string // full name; it is moved there, whatever it was
	Author, Committer Who
	Message           string
	Parents           []OID
	Files             []File // all of the tree's
}

// Import starts writing; nothing is there for others before Close.
func (r *Repo) Import(ctx context.Context) (*Import, error) { return nil, errUnwritten }

// Blob writes size bytes.
func (im *Import) Blob(size int64, r io.Reader) (OID, error) { return "", errUnwritten }

// Commit writes a commit with its trees.
func (im *Import) Commit(c CommitSpec) (commit, tree OID, err error) { return "", "", errUnwritten }

// Close ends it; only then do the objects and refs count.
func (im *Import) Close() error { return errUnwritten }

// ReadIndex reads an index of version 2, 3 or 4, and tells its object format.
func ReadIndex(data []byte) (entries []IndexEntry, format string, err error) {
	return nil, "", errUnwritten
}

// WriteIndex writes an index of version 2, or 3 where an entry needs it.
func WriteIndex(w io.Writer, entries []IndexEntry, format string) error { return errUnwritten }

// HashBlob names what a blob with this content would be.
func HashBlob(format string, size int64, r io.Reader) (OID, error) { return "", errUnwritten }
