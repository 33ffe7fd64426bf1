package notebook

import "errors"

// ErrNot says that one of the three is no notebook that can be merged by cells:
// no JSON, no nbformat 4, or a cell without a source.
var ErrNot = errors.New("notebook: not a notebook of format 4")

// Why is what happened to a cell.
type Why string

const (
	New      Why = "new"      // the upstream's new cell arrived
	Updated  Why = "updated"  // only the upstream edited it, and its edit arrived
	Returned Why = "returned" // the user had deleted it; the upstream edited it (or it is locked), and it is back
	Removed  Why = "removed"  // the upstream deleted it, and the user had not edited it
	Kept     Why = "kept"     // both edited it: the user's stays
	Stayed   Why = "stayed"   // the upstream deleted it, the user had edited it: it stays
	Locked   Why = "locked"   // both edited a locked cell: the upstream's stands, the user's is here and in the backup
)

// Cell is one cell that a merge did something with.
type Cell struct {
	Index  int    // its place in the result, from 0; -1: it is not there
	ID     string // its id in the result, "" below format 4.5
	Type   string // code, markdown, raw
	Why    Why
	Ours   string // the user's source, "" where there was none
	Theirs string // the upstream's
}

// Result is a merged notebook.
type Result struct {
	Data    []byte
	Kept    int    // cells where the user's won: Kept and Stayed
	Came    int    // cells of the upstream's that arrived: New, Updated, Returned, Locked
	Removed int    // cells that went
	Cells   []Cell // in the order of the result; those that went come last
}
