package pull

import (
	"maps"
	"slices"
)

// tellRenames tells a file that the source knows by its id as moved, and as changed
// where it is: without it one that the user has not changed is told as removed here and
// new there. Those that they have changed were moved, and are told so already.
func (pl *plan) tellRenames() {
	came, from := map[string]string{}, map[string]bool{}
	for _, old := range slices.Sorted(maps.Keys(pl.r.snap.Renames)) {
		to := pl.r.snap.Renames[old]
		if b := pl.base[old]; to != old && b.OID != "" && !b.gone && pl.ours(old) == b.Entry && slices.ContainsFunc(pl.notes, func(c Change) bool { return arrives(c, to) }) {
			came[to], from[old] = old, true
		}
	}
	if len(came) == 0 {
		return
	}
	var notes []Change
	for _, c := range pl.notes {
		old := came[c.Path]
		switch {
		case c.What == Removed && from[c.Path]:
		case old != "" && arrives(c, c.Path):
			notes = append(notes, Change{Path: c.Path, From: old, What: Moved, Kind: c.Kind})
			if pl.base[old].Entry != pl.theirs[c.Path] {
				notes = append(notes, Change{Path: c.Path, From: old, What: Changed, Kind: c.Kind, Backup: true})
			}
		default:
			notes = append(notes, c)
		}
	}
	pl.notes = notes
}

// arrives reports whether what came is told of a path, and nothing of the user's is in it.
func arrives(c Change, path string) bool {
	return c.Path == path && (c.What == Came || c.What == Changed)
}
