package pull

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/daypass-dev/daypass/internal/clone"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// move is how the folder's repository is moved: clone.Update without its index,
// which is made when the files are in place, or clone.New.
type move struct {
	None     bool                    `json:"none,omitempty"` // the repository stays as it is
	Build    bool                    `json:"build,omitempty"`
	Broken   string                  `json:"broken,omitempty"` // where what was at .git goes first
	Hurt     bool                    `json:"hurt,omitempty"`   // even if it can be opened
	Branch   string                  `json:"branch,omitempty"`
	Was      clone.Head              `json:"was,omitzero"`
	Switch   bool                    `json:"switch,omitempty"`
	Old      plumbing.OID            `json:"old,omitempty"`
	New      plumbing.OID            `json:"new,omitempty"`
	Tracking map[string]plumbing.OID `json:"tracking,omitempty"`
	Tags     map[string]plumbing.OID `json:"tags,omitempty"`
	Shallow  []plumbing.OID          `json:"shallow,omitempty"`
	Packs    []string                `json:"packs,omitempty"`
	Message  string                  `json:"message,omitempty"`
	Partial  bool                    `json:"partial,omitempty"`
	Tree     plumbing.OID            `json:"tree,omitempty"` // of New
}

// reach moves the repository, then our own state.
func (r *run) reach(h *hand, j *journal, pl *plan) error {
	next, pending, err := r.facts(h, j.Ops, pl)
	if err != nil {
		return err
	}
	r.later.start(func() error { return r.st.keep("delivered.next", next, j.Goal.Record.Format, true) })
	if last := j.Goal.Last; last != nil {
		r.later.start(func() error { return r.st.saveLast(*last) })
	}
	switch err := errors.Join(r.moveClone(h, j.Goal, next), r.later.wait()); {
	case h.replay && errors.Is(err, clone.ErrMoved):
		pending = true // the user went on meanwhile; the pull that begins now aims anew
	case err != nil:
		return err
	}
	rec := j.Goal.Record
	rec.Pending = pending
	rec.Head = plumbing.OID(j.Goal.Commit)
	rec.Stamp, rec.Inode, rec.Past = r.clock(), inodeOf(r.folder), r.st.rec.Past
	if r.clone == nil {
		rec.Stamp = youngest(r.st.rec.Stamp, j.Ops, next)
	}
	rec.Identity = r.st.rec.Identity
	if err := r.do("delivered", func() error { return r.promote(j) }); err != nil {
		return err
	}
	if j.Goal.Undoes != "" {
		if err := r.st.markUndone(j.Goal.Undoes); err != nil {
			return err
		}
	}
	r.st.rec = rec
	return r.do("state", r.st.save)
}

// clock is the folder's disk's own time now.
func (r *run) clock() int64 {
	fi, err := os.Lstat(filepath.Join(r.folder, ".git", "index"))
	if err != nil {
		return 0
	}
	return fi.ModTime().UnixNano()
}

// facts is what counts as delivered now that the ops are done: for what came too
// late, what counted before.
func (r *run) facts(h *hand, ops []op, pl *plan) (next delivered, pending bool, err error) {
	prev, next, err := r.twoFacts(pl)
	if err != nil {
		return nil, false, err
	}
	for _, o := range ops {
		if o.late {
			pending = true
			if f, ok := prev[o.Path]; ok {
				next[o.Path] = f
			} else {
				delete(next, o.Path)
			}
			continue
		}
		f, ok := next[o.Path]
		if !ok || o.New != f.Entry {
			continue
		}
		if fi, err := h.t.lstat(o.Path); err == nil && h.t.mode(fi) != 0 {
			next[o.Path] = fact{Entry: f.Entry, stat: plumbing.StatOf(fi)}
		}
	}
	return next, pending, nil
}

// twoFacts is what counted before, and what would count if nothing came too late.
func (r *run) twoFacts(pl *plan) (prev, next delivered, err error) {
	if pl != nil && pl.after == nil {
		return pl.base, pl.next(), nil
	}
	prev, err = r.st.recall("delivered")
	if err != nil && !os.IsNotExist(err) {
		return nil, nil, err
	}
	next, err = r.st.recall("delivered.next")
	if os.IsNotExist(err) {
		next, err = maps.Clone(prev), nil
	}
	return prev, next, err
}

// promote makes the new facts count, and puts the old ones to the backup.
func (r *run) promote(j *journal) error {
	old := r.st.file(filepath.Join("backups", j.ID+".delivered"))
	if exists(r.st.file("delivered")) && !exists(old) {
		if err := copyFile(r.st.file("delivered"), old); err != nil {
			return err
		}
	}
	return os.Rename(r.st.file("delivered.next"), r.st.file("delivered"))
}

// copyFile makes a second name for a file of ours that is only ever replaced whole.
func copyFile(from, to string) error {
	if err := os.Link(from, to); err == nil {
		return nil
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return replace(to, data, true)
}

// moveClone brings the folder's repository to the goal. git's own lock is waited
// for.
func (r *run) moveClone(h *hand, g *goal, next delivered) error {
	if g.Move.None {
		return nil
	}
	if r.clone == nil && !g.Move.Build {
		return clone.ErrMoved
	}
	index, err := r.index(h, g, next)
	if err != nil {
		return err
	}
	if g.Move.Build {
		return r.do("clone", func() error { return r.buildClone(g, index) })
	}
	for end := time.Now().Add(r.p.patience()); ; time.Sleep(100 * time.Millisecond) {
		err := r.do("clone", func() error { return r.clone.Update(g.Move.update(index, r.last.start)) })
		if errors.Is(err, clone.ErrLocked) && time.Now().Before(end) {
			continue
		}
		return err
	}
}

func (m move) update(index []plumbing.IndexEntry, later func(func() error)) clone.Update {
	return clone.Update{
		Branch: m.Branch, Was: m.Was, Switch: m.Switch, Old: m.Old, New: m.New, Tracking: m.Tracking, Tags: m.Tags,
		Shallow: m.Shallow, Packs: m.Packs, Index: index, Message: m.Message, Partial: m.Partial,
		Later: later,
	}
}

// buildClone makes a new repository where there is none any more.
func (r *run) buildClone(g *goal, index []plumbing.IndexEntry) error {
	dir := filepath.Join(r.folder, ".git")
	if g.Move.Broken != "" && exists(dir) {
		_, err := r.openClone()
		gone := exists(g.Move.Broken) || exists(dir+"_"+filepath.Base(g.Move.Broken))
		if errors.Is(err, clone.ErrBroken) || g.Move.Hurt && !gone {
			if err := r.setGitAway(g.Move.Broken); err != nil {
				return err
			}
		}
	}
	if c, err := r.openClone(); err == nil {
		r.clone = c
		return nil // made before we were cut short
	}
	packs, err := r.shared()
	if err != nil {
		return err
	}
	rec := g.Record
	n := clone.New{
		Origin: rec.Source, Commit: g.Move.New, Depth: rec.Depth, Shallow: g.Move.Shallow, Packs: packs, Index: index,
		Sparse: rec.Path, Partial: g.Move.Partial, Format: rec.Format, ID: r.st.id,
	}
	name(&n, rec.TipRef, rec.Ref, plumbing.OID(rec.Commit))
	r.clone, err = r.makeClone(n)
	return err
}

// setGitAway moves what stood at .git out of the way.
func (r *run) setGitAway(to string) error {
	t, err := r.openTree()
	if err != nil {
		return err
	}
	defer t.close()
	return setAway(t, ".git", to)
}

// index is what git's index is to hold: the tree of HEAD, with the stats of those
// files that are known to be just that, so that git status need not read them.
func (r *run) index(h *hand, g *goal, next delivered) ([]plumbing.IndexEntry, error) {
	files, err := h.o.Files(g.Move.Tree)
	if err != nil {
		return nil, err
	}
	have := map[string]plumbing.IndexEntry{}
	if r.clone != nil && !g.Move.Build {
		old := r.staging
		if old == nil {
			old, _ = r.clone.Index() // it is written anew, whatever it was
		}
		for _, e := range old {
			if e.Stage == 0 {
				have[e.Path] = e
			}
		}
	}
	skip, err := r.undelivered(h, g, files, next)
	if err != nil {
		return nil, err
	}
	keepHidden(h.t, g, files, have, skip)
	out := make([]plumbing.IndexEntry, 0, len(files))
	for _, f := range files {
		e := plumbing.IndexEntry{File: f, Skip: skip[f.Path]}
		if fact, ok := next[f.Path]; ok && fact.Entry == entryOf(f) {
			e.Stat = fact.stat
		}
		if old, ok := have[f.Path]; ok && old.File == f && e.Stat == (plumbing.Stat{}) {
			e.Stat = old.Stat
		}
		out = append(out, e)
	}
	return out, nil
}

// keepHidden adds what the user's sparse checkout leaves out.
func keepHidden(t *tree, g *goal, files []plumbing.File, have map[string]plumbing.IndexEntry, skip map[string]bool) {
	old := hiddenIn(slices.Collect(maps.Values(have)))
	for _, name := range g.Sparse {
		old[name] = true
	}
	if len(old) == 0 {
		return
	}
	for _, f := range files {
		if !skip[f.Path] && old.has(f.Path) && t.kind(f.Path) == "" {
			skip[f.Path] = true
		}
	}
}

// undelivered are those paths of HEAD's tree that the source has and that were not
// delivered, so that git does not take them for removed.
func (r *run) undelivered(h *hand, g *goal, head []plumbing.File, next delivered) (map[string]bool, error) {
	skip := map[string]bool{}
	if g.Record.Tree == "" {
		return skip, nil // nothing was delivered
	}
	source := head
	if tree := plumbing.OID(g.Record.Tree); tree != g.Move.Tree {
		files, err := h.o.Files(tree)
		if err != nil && !damaged(err) { // else HEAD has not gone back to it either
			return nil, err
		}
		if err == nil {
			source = files
		}
	}
	for _, f := range source {
		if _, ok := next[f.Path]; !ok && f.Mode != plumbing.Gitlink {
			if _, err := h.t.lstat(f.Path); err != nil {
				skip[f.Path] = true
			}
		}
	}
	return skip, nil
}
