package pull

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// held is what a run does not touch, or cannot.
type held struct {
	sparse map[string]bool // of what is missing, what the user's sparse checkout leaves out
	absent map[string]bool // blobs of the base that we do not have
	blind  bool            // what we had was not whole
}

// hidden is what git's index does not expect on the disk: files, and in a sparse
// index folders.
type hidden map[string]bool

func hiddenIn(entries []plumbing.IndexEntry) hidden {
	out := hidden{}
	for _, e := range entries {
		if e.Skip {
			out[strings.TrimSuffix(e.Path, "/")] = true
		}
	}
	return out
}

func (h hidden) has(name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if h[name] {
			return true
		}
	}
	return false
}

// ownSparse takes out of what is missing what the user's own sparse checkout leaves
// out: that is not deleted. Where something else stands, they want it again.
func (r *run) ownSparse(t *tree, missing []string) []string {
	r.sparse = map[string]bool{}
	if r.clone == nil || len(missing) == 0 {
		return missing
	}
	entries, err := r.clone.Index()
	if err != nil {
		return missing
	}
	h := hiddenIn(entries)
	return slices.DeleteFunc(missing, func(name string) bool {
		r.sparse[name] = h.has(name) && t.kind(name) == ""
		return r.sparse[name]
	})
}

// hold takes out of a plan what is not to be touched.
func (pl *plan) hold() {
	pl.base = maps.Clone(pl.base)
	pl.holdSparse()
	pl.spare()
	for i, l := range pl.r.snap.Left {
		b, ok := pl.base[l.Path]
		switch {
		case !ok || !l.TooLarge:
		case pl.t.kind(l.Path) == "":
			delete(pl.base, l.Path) // the user removed it, and it cannot be had again
		default:
			pl.theirs[l.Path] = b.Entry
			pl.r.snap.Left[i].Why = strings.TrimSuffix(l.Why, staysHere) + staysHere
		}
	}
}

// spare takes out what the source does not give now and whoever has it keeps, where the
// snapshot could not say that it is to be delivered: what was delivered last is damaged.
func (pl *plan) spare() {
	s := pl.r.snap
	if len(s.Spared) == 0 && !s.SparesAll {
		return
	}
	taken := map[string]bool{}
	for name := range pl.theirs {
		for at := name; at != "."; at = path.Dir(at) {
			taken[at] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pl.base)) {
		b := pl.base[name]
		if _, moved := s.Renames[name]; moved || taken[name] || b.gone || !s.SparesAll && !slices.Contains(s.Spared, name) || pl.inFile(name) {
			continue
		}
		if pl.t.kind(name) == "" {
			delete(pl.base, name) // the user removed it, and it cannot be had again
			continue
		}
		pl.theirs[name] = b.Entry
	}
}

// inFile reports whether the source has a file where a path needs a folder.
func (pl *plan) inFile(name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, file := pl.theirs[dir]; file {
			return true
		}
	}
	return false
}

const staysHere = "; the one you have stays, and is not updated"

// holdSparse takes out what the user's sparse checkout leaves out, and what is new
// beside it.
func (pl *plan) holdSparse() {
	if !slices.Contains(slices.Collect(maps.Values(pl.r.sparse)), true) {
		return
	}
	seen := map[string]bool{} // folders, and whether something of them is on the disk
	for name := range pl.base {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			seen[dir] = seen[dir] || !pl.r.sparse[name]
		}
	}
	pl.left = map[string]merge.Entry{}
	for name, e := range pl.theirs {
		_, old := pl.base[name]
		if pl.r.sparse[name] || !old && beside(seen, name) && pl.t.kind(name) == "" {
			pl.left[name] = e
		}
	}
	for name := range pl.left {
		delete(pl.theirs, name)
	}
	for name, is := range pl.r.sparse {
		if is {
			delete(pl.base, name)
		}
	}
}

// beside reports whether the nearest folder that is known is one of which nothing is
// on the disk.
func beside(seen map[string]bool, name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if here, ok := seen[dir]; ok {
			return !here
		}
	}
	return false
}

// lost notes what of a base is in no repository of ours: it is backed up from the disk.
func (r *run) lost(ctx context.Context, base delivered) error {
	o, err := r.ownObjects(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	var oids []plumbing.OID
	for _, f := range base {
		oids = append(oids, plumbing.OID(f.OID))
	}
	sizes, err := o.Sizes(oids)
	if err != nil {
		return err
	}
	r.absent = map[string]bool{}
	for i, size := range sizes {
		if size < 0 {
			r.absent[string(oids[i])] = true
		}
	}
	return nil
}
