package pull

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// A relocation is something of the user's that only got another name: its bytes are
// on the disk, under To, and are not stored a second time.
type relocation struct {
	From string `json:"from"`
	To   string `json:"to"`
	Dir  bool   `json:"dir,omitempty"`
}

// at is where a path is after it; "" if it is not of it.
func (m relocation) at(path string) string {
	if path == m.From {
		return m.To
	}
	if rest, ok := strings.CutPrefix(path, m.From+"/"); ok && m.Dir {
		return m.To + "/" + rest
	}
	return ""
}

// back is the way back.
func (m relocation) back() relocation { return relocation{m.To, m.From, m.Dir} }

// relocations are the moves after which nothing else happens to what was moved.
func (pl *plan) relocations() []relocation {
	var out []relocation
	for i, o := range pl.ops {
		m := relocation{o.From, o.Path, o.Dir}
		again := func(p op) bool { return m.back().at(p.Path) != "" || p.From != "" && m.back().at(p.From) != "" }
		before := func(p op) bool { return p.Do == opMove && m.at(p.Path) != "" }
		if o.Do == opMove && !slices.ContainsFunc(pl.ops[i+1:], again) && !slices.ContainsFunc(pl.ops[:i], before) {
			out = append(out, m)
		}
	}
	return out
}

// stays says where the bytes of what was at a path are after a change that only
// moved them; "" if nowhere.
func stays(moves []relocation, touches map[string]touch, path string) string {
	for _, m := range moves {
		if to := m.at(path); to != "" && touches[to].After == touches[path].Before {
			return to
		}
	}
	return ""
}

func byPath(touches []touch) map[string]touch {
	out := make(map[string]touch, len(touches))
	for _, t := range touches {
		out[t.Path] = t
	}
	return out
}

// sidesOf is what a change made, and what was there before it, but for what goes back
// by its name alone.
func sidesOf(m *manifest, moves []relocation) (delivered, map[string]merge.Entry) {
	base, theirs, all := delivered{}, map[string]merge.Entry{}, byPath(m.Touches)
	for _, c := range m.Touches {
		from := slices.ContainsFunc(moves, func(m relocation) bool { return m.back().at(c.Path) != "" })
		if c.After != (merge.Entry{}) && !from {
			base[c.Path] = fact{Entry: c.After}
		}
		if c.Before != (merge.Entry{}) && stays(moves, all, c.Path) == "" {
			theirs[c.Path] = c.Before
		}
	}
	return base, theirs
}

// planBack plans an undo. What was only moved goes back by its name, if it is still
// there and its old place is free then; else as other files do.
func (r *run) planBack(ctx context.Context, t *tree, o *plumbing.Objects, m *manifest) (*plan, error) {
	moves := slices.DeleteFunc(slices.Clone(m.Moves), func(m relocation) bool { return t.kind(m.To) == "" || m.Dir != (t.kind(m.To) == "dir") })
	for {
		base, theirs := sidesOf(m, moves)
		pl := r.newPlan(t, o, base, theirs)
		pl.perms, pl.dirs, pl.where = permsOf(m.Touches), m.Dirs, onDisk(m)
		for _, m := range moves {
			pl.leaves = append(pl.leaves, m.To)
			if m.Dir {
				pl.leaves = append(pl.leaves, t.under(m.To)...)
			}
		}
		gone, err := r.gone(pl, m, moves)
		if err != nil {
			return nil, err
		}
		if err := pl.make(ctx, nil, false); err != nil {
			return nil, err
		}
		var free []relocation
		for i, m := range moves {
			if pl.frees(m.From, moves[i+1:]) && !pl.wants(m) {
				free = append(free, m)
			}
		}
		if len(free) < len(moves) {
			moves = free
			continue
		}
		pl.moveBack(moves)
		r.rep.Notes = append(r.rep.Notes, gone...)
		return pl, pl.err
	}
}

// onDisk says where contents are that were only moved.
func onDisk(m *manifest) map[string]string {
	out, all := map[string]string{}, byPath(m.Touches)
	for _, c := range m.Touches {
		if at := stays(m.Moves, all, c.Path); at != "" {
			out[c.Before.OID] = at
		}
	}
	return out
}

// wants reports whether something else is to be where a move has led: then what is
// there does not only go back by its name.
func (pl *plan) wants(m relocation) bool {
	for path := range pl.theirs {
		if m.back().at(path) != "" {
			return true
		}
	}
	return false
}

// moveBack puts the moves where their places are free and nothing is written yet, the
// last one first.
func (pl *plan) moveBack(moves []relocation) {
	i := slices.IndexFunc(pl.ops, func(o op) bool { return o.Do == opPut || o.Do == opChmod })
	if i < 0 {
		i = len(pl.ops)
	}
	for _, m := range moves {
		pl.ops = slices.Insert(pl.ops, i, op{Do: opMove, Path: m.From, From: m.To, Dir: m.Dir, Old: pl.ours(m.To), User: true})
		pl.note(Change{Path: m.From, From: m.To, What: Moved})
	}
}

// frees reports whether nothing is at a place when the ops are done and the later moves
// are taken back.
func (pl *plan) frees(path string, later []relocation) bool {
	if slices.ContainsFunc(pl.ops, func(o op) bool {
		return o.Path == path && o.Do != opDelete || strings.HasPrefix(path, o.Path+"/") && o.Do == opPut
	}) {
		return false
	}
	leaves := func(name string) bool {
		return slices.ContainsFunc(pl.ops, func(o op) bool { return o.Do == opDelete && o.Path == name || o.Do == opMove && o.From == name }) ||
			slices.ContainsFunc(later, func(m relocation) bool { return m.back().at(name) != "" })
	}
	switch pl.t.kind(path) {
	case "":
		return pl.t.obstacle(path) == "" || leaves(pl.t.obstacle(path))
	case "dir":
		return leaves(path) || !slices.ContainsFunc(pl.t.under(path), func(name string) bool { return !leaves(name) })
	}
	return leaves(path)
}

// gone takes what is nowhere any more out of a plan: it was only moved, and the user
// has removed or changed it since. Where something else is to be at its new place, what
// the user made of it goes back in its stead.
func (r *run) gone(pl *plan, m *manifest, moves []relocation) (notes []string, err error) {
	all := byPath(m.Touches)
	for _, c := range m.Touches {
		at := stays(m.Moves, all, c.Path)
		if at == "" || stays(moves, all, c.Path) != "" || c.Before == (merge.Entry{}) || pl.ours(at) == c.Before {
			continue
		}
		_, err := pl.o.Size(plumbing.OID(c.Before.OID))
		mine := pl.ours(at)
		switch _, wanted := pl.theirs[at]; {
		case err == nil:
		case !errors.Is(err, plumbing.ErrMissing):
			return nil, err
		case wanted && mine != (merge.Entry{}):
			pl.theirs[c.Path], pl.base[at], pl.where[mine.OID] = mine, fact{Entry: mine}, at
		default:
			delete(pl.theirs, c.Path)
			notes = append(notes, c.Path+" was only renamed, to "+at+", and was changed or removed there since. It stays so.")
		}
	}
	return notes, pl.err
}

// storeMoved stores what was not stored because it was only moved, and is written
// anew by a plan.
func (r *run) storeMoved(ctx context.Context, pl *plan, m *manifest) error {
	need := map[string]bool{}
	for _, o := range pl.ops {
		if o.Do == opPut {
			need[o.New.OID] = true
		}
	}
	k := &keeper{r: r, ctx: ctx, commit: map[string]plumbing.File{}}
	defer k.end()
	all := byPath(m.Touches)
	for _, c := range m.Touches {
		at := stays(m.Moves, all, c.Path)
		is := pl.theirs[c.Path]
		if at == "" || !need[is.OID] || pl.ours(at) != is {
			continue
		}
		if err := k.file(pl.t, touch{Path: at, Before: is}); err != nil {
			return err
		}
	}
	k.commit = nil
	return k.finish(&manifest{})
}

// fromDisk stores one file of a backup that was only moved, so that it can be had
// from there; where it is not what it was it is no more in that backup.
func (r *run) fromDisk(ctx context.Context, m *manifest, c touch) error {
	at := stays(m.Moves, byPath(m.Touches), c.Path)
	if at == "" {
		return nil
	}
	t, err := r.openTree()
	if err != nil {
		return err
	}
	defer t.close()
	k := &keeper{r: r, ctx: ctx, commit: map[string]plumbing.File{}}
	defer k.end()
	err = k.file(t, touch{Path: at, Before: c.Before})
	if errors.Is(err, errMoving) || errors.Is(err, fs.ErrNotExist) {
		o, err := r.ownObjects(ctx)
		if err != nil {
			return err
		}
		defer o.Close()
		if _, err := o.Size(plumbing.OID(c.Before.OID)); errors.Is(err, plumbing.ErrMissing) {
			return problemNoFile(c.Path, "the backup "+m.ID+": it was only renamed, to "+at+", and was changed there")
		}
		return nil
	}
	if err != nil {
		return err
	}
	k.commit = nil
	return k.finish(m)
}

// sides are all contents that a plan knows, which need not be in our repository: what was
// only moved never came there.
func (pl *plan) sides() delivered {
	out := maps.Clone(pl.base)
	for path, e := range pl.theirs {
		out["/"+path] = fact{Entry: e}
	}
	return out
}

// roomFor refuses a backup that does not fit, before any of it is written.
func (r *run) roomFor(touches []touch, stored func(touch) bool) error {
	var sum int64
	for _, t := range touches {
		if stored(t) {
			sum += t.Size
		}
	}
	if sum < 1<<20 {
		return nil // a disk that is so full shows by itself
	}
	return r.room(r.st.dir, sum)
}
