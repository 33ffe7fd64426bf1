package pull

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// A plan is what one round of a pull, an undo or a reset will do.
type plan struct {
	r      *run
	t      *tree
	o      *plumbing.Objects
	base   delivered
	theirs map[string]merge.Entry
	disk   map[string]merge.Entry   // what was found on the disk, by path
	infos  map[string]fs.FileInfo   // and how it looked
	seen   map[string]plumbing.Stat // the same for the hand
	ops    []op
	merged map[string][]byte // content that is new, by its id
	notes  []Change
	left   map[string]merge.Entry // of theirs, what the user's sparse checkout leaves out
	after  delivered              // what counts as delivered then; nil: theirs
	head   map[string]merge.Entry // HEAD's files, for staged
	kept   map[string]bool        // blobs of the snapshots, for has
	shut   map[string]bool        // may not be read
	perms  map[string]uint32      // what was there before had, where it comes back
	dirs   dirs                   // the same of folders
	where  map[string]string      // contents that are nowhere but on the disk, and their paths
	leaves []string               // what goes back by its name before anything is written
	err    error                  // of looking at the disk
}

func (r *run) newPlan(t *tree, o *plumbing.Objects, base delivered, theirs map[string]merge.Entry) *plan {
	return &plan{
		r: r, t: t, o: o, base: base, theirs: theirs, disk: map[string]merge.Entry{}, infos: map[string]fs.FileInfo{},
		seen: map[string]plumbing.Stat{}, merged: map[string][]byte{}, shut: map[string]bool{},
	}
}

// make asks merge what to do, and turns its steps into ops.
func (pl *plan) make(ctx context.Context, missing []string, adopt bool) error {
	missing, err := pl.gone(ctx, missing)
	if err != nil {
		return err
	}
	steps, err := merge.Plan(merge.Input{
		Base: pl.base.entries(), Theirs: pl.theirs, Ours: pl.ours, Changed: pl.changed(missing),
		Prefix: pl.t.kind, Under: pl.t.under, Leaves: pl.leaves, Renames: pl.r.snap.Renames, Similar: pl.likeness(), Adopt: adopt,
		Fold: pl.r.st.rec.Disk.Fold, Stamp: pl.r.p.Now().Format("20060102150405"),
	})
	if err = errors.Join(err, pl.err); err != nil {
		return err
	}
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := pl.step(s); err != nil {
			return err
		}
	}
	pl.tellRenames()
	return pl.err
}

// brought takes for delivered what the user's own git brought of the source: files of
// the last commit that a pull had left out, and in a folder that is taken up those of a
// commit that was cloned and then amended.
func (pl *plan) brought() error {
	tree := pl.r.cloned
	if rec := pl.r.st.rec; rec.Over > 0 && pl.r.ask.Content == nil {
		tree = plumbing.OID(rec.Tree)
	}
	if tree == "" {
		return nil
	}
	files, err := pl.o.Files(tree)
	if err != nil {
		return err
	}
	pl.base = maps.Clone(pl.base)
	for _, f := range files {
		b, ok := pl.base[f.Path]
		if old := entryOf(f); b.Entry != old && !b.gone && (ok || pl.theirs[f.Path] != (merge.Entry{})) && pl.ours(f.Path) == old {
			pl.base[f.Path] = fact{Entry: old}
		}
	}
	return pl.err
}

// changed lists the base's paths that need a look and are not the base's any more.
func (pl *plan) changed(missing []string) []string {
	out := slices.Clone(missing)
	for _, path := range slices.Sorted(maps.Keys(pl.base)) {
		if e, ok := pl.theirs[path]; ok && e == pl.base[path].Entry {
			continue
		}
		if pl.ours(path) != pl.base[path].Entry {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ours is what is on the disk at a path: by the stat that was taken of it when it
// was known, else by reading it.
func (pl *plan) ours(path string) merge.Entry {
	if e, ok := pl.disk[path]; ok {
		return e
	}
	e, fi, err := pl.look(path)
	if shut(err) {
		pl.shut[path], pl.disk[path] = true, pl.base[path].Entry
		return pl.disk[path]
	}
	if err != nil {
		pl.err = errors.Join(pl.err, err)
		return merge.Entry{}
	}
	pl.disk[path] = e
	if fi != nil && e != (merge.Entry{}) {
		pl.infos[path], pl.seen[path] = fi, plumbing.StatOf(fi)
	}
	return e
}

func (pl *plan) look(path string) (merge.Entry, fs.FileInfo, error) {
	fi, err := pl.t.lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return merge.Entry{}, nil, nil
	}
	if err != nil {
		return merge.Entry{}, nil, err
	}
	mode := pl.t.mode(fi)
	// Git's index is no witness: it names what a filter made of a file.
	f := pl.base[path]
	if f.stat != (plumbing.Stat{}) && f.stat.Same(fi) && !racy(fi, pl.r.st.rec.Stamp) && mode == pl.r.disk(merge.Entry{Mode: mode, OID: f.OID}, f.Entry).Mode {
		return f.Entry, fi, nil
	}
	e, fi, err := pl.t.hash(path, pl.r.st.rec.Format)
	return pl.r.disk(e, pl.base[path].Entry), fi, err
}

// disk takes back what a poor disk cannot say of an entry, so that it is not taken
// for a change of the user's.
func (r *run) disk(e, want merge.Entry) merge.Entry {
	switch {
	case r.st.rec.Disk.Plain && e.Mode == merge.Regular && want.Mode == merge.Executable:
		e.Mode = want.Mode
	case r.st.rec.Disk.NoLinks && e.Mode == merge.Regular && want.Mode == merge.Symlink && e.OID == want.OID:
		e.Mode = want.Mode
	}
	return e
}

// similar is git's measure: half of the larger file's lines are the smaller one's.
func (pl *plan) similar(base, theirs merge.Entry) bool {
	if base.OID == theirs.OID {
		return true
	}
	a, err := pl.blob(base.OID)
	if err != nil {
		return false
	}
	b, err := pl.blob(theirs.OID)
	if err != nil || len(a) == 0 || len(b) == 0 || min(len(a), len(b))*2 < max(len(a), len(b)) {
		return false
	}
	return commonLines(a, b)*2 >= max(len(a), len(b))
}

func (pl *plan) blob(oid string) ([]byte, error) {
	if oid == "" {
		return nil, nil
	}
	if data, ok := pl.merged[oid]; ok {
		return data, nil
	}
	_, data, err := pl.o.Read(plumbing.OID(oid))
	if at := pl.where[oid]; at != "" && errors.Is(err, plumbing.ErrMissing) {
		return pl.oursData(at, at, merge.Entry{OID: oid})
	}
	return data, err
}

func (pl *plan) temp() string {
	return fmt.Sprintf(".daypass-%s-%d.tmp", pl.r.st.id, len(pl.ops))
}

func (pl *plan) put(path string, old, new merge.Entry) {
	pl.ops = append(pl.ops, op{Do: opPut, Path: path, Old: old, New: new, Temp: pl.temp(), Made: pl.t.firstMissing(path), Perm: pl.perms[path]})
}

func (pl *plan) note(c Change) { pl.notes = append(pl.notes, c) }

// step turns one step of a plan into ops, and into what is told of it.
func (pl *plan) step(s merge.Step) error {
	if pl.closed(s) {
		pl.leave(s.Path)
		return nil
	}
	c := Change{Path: s.Path, From: s.From, Kind: kindOf(s.Path, s.Theirs)}
	switch s.Do {
	case merge.Take:
		pl.put(s.Path, s.Ours, merge.Entry{Mode: s.Mode, OID: s.Theirs.OID})
		c.What, c.Backup = Changed, s.Ours != merge.Entry{}
		if s.Ours == (merge.Entry{}) {
			c.What = Came
		}
	case merge.Restore:
		pl.put(s.Path, s.Ours, merge.Entry{Mode: s.Mode, OID: s.Theirs.OID})
		c.What = Restored
	case merge.Delete:
		pl.ops = append(pl.ops, op{Do: opDelete, Path: s.Path, Old: s.Ours, Temp: pl.temp()})
		c.What, c.Backup = Removed, true
	case merge.Merge:
		return pl.merge(s, c)
	case merge.Chmod:
		pl.ops = append(pl.ops, op{Do: opChmod, Path: s.Path, Old: s.Ours, New: merge.Entry{Mode: s.Mode, OID: s.Ours.OID}})
		c.What = Changed
	case merge.Aside:
		pl.ops = append(pl.ops, op{Do: opMove, Path: s.Path, From: s.From, Old: s.Ours, User: true, Dir: pl.t.kind(s.From) == "dir"})
		c.What = Aside
	case merge.Move:
		pl.ops = append(pl.ops, op{Do: opMove, Path: s.Path, From: s.From, Old: s.Ours, User: true})
		c.What = Moved
		if s.Was != "" {
			c.From = s.Was
		}
	default:
		return pl.still(s, c)
	}
	if !s.Temporary {
		pl.note(c)
	}
	return nil
}

// still tells of a step that changes nothing.
func (pl *plan) still(s merge.Step, c Change) error {
	switch s.Do {
	case merge.Keep:
		c.What = Kept
		if s.Theirs == (merge.Entry{}) {
			c.Why = "the source has removed it"
		}
	case merge.Adopt:
		c.What = Adopted
	case merge.Skip:
		c.What, c.Why, c.From = LeftOut, clash(s.From), ""
	default:
		return fmt.Errorf("pull: a plan asks for %q", s.Do)
	}
	pl.note(c)
	return nil
}

// merge joins the three versions of a file. What is too large to be merged stays
// the user's, and is not read.
func (pl *plan) merge(s merge.Step, c Change) error {
	if fi := pl.infos[s.Path]; fi != nil && fi.Size() > merge.MaxText && c.Kind != "notebook" {
		c.What, c.Kind = Kept, "binary"
		pl.note(c)
		return nil
	}
	base, err := pl.blob(s.Base.OID)
	if errors.Is(err, plumbing.ErrMissing) {
		c.What = Kept // what both began with is nowhere any more
		pl.note(c)
		return nil
	}
	if err != nil {
		return err
	}
	theirs, err := pl.blob(s.Theirs.OID)
	if err != nil {
		return err
	}
	at := s.Path
	if s.From != "" {
		at = s.From
	}
	ours, err := pl.oursData(s.Path, at, s.Ours)
	if err != nil {
		return err
	}
	res := merge.Content(s.Path, base, ours, theirs)
	c.What, c.Kind, c.Kept, c.Came, c.Backup = Merged, res.Kind, res.Kept, res.Came, !res.Same
	new := merge.Entry{Mode: s.Mode, OID: s.Ours.OID}
	if !res.Same {
		oid, err := plumbing.HashBlob(pl.r.st.rec.Format, int64(len(res.Data)), bytes.NewReader(res.Data))
		if err != nil {
			return err
		}
		new.OID = string(oid)
	}
	switch {
	case new == s.Ours:
		c.What = Kept
	case new.OID == s.Ours.OID:
		pl.ops = append(pl.ops, op{Do: opChmod, Path: s.Path, Old: s.Ours, New: new})
	default:
		if new.OID != s.Theirs.OID {
			pl.merged[new.OID] = res.Data
		}
		pl.put(s.Path, s.Ours, new)
	}
	pl.note(c)
	return nil
}

// oursData reads the user's version, which must still be what was planned with.
func (pl *plan) oursData(path, from string, e merge.Entry) ([]byte, error) {
	for _, at := range []string{path, from} {
		data, err := pl.t.readAll(at)
		if err != nil {
			continue
		}
		oid, err := plumbing.HashBlob(pl.r.st.rec.Format, int64(len(data)), bytes.NewReader(data))
		if err == nil && string(oid) == e.OID {
			return data, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", path, errMoving)
}

func kindOf(path string, e merge.Entry) string {
	switch {
	case e.Mode == merge.Symlink:
		return "link"
	case len(path) > 6 && path[len(path)-6:] == ".ipynb":
		return "notebook"
	}
	return ""
}
