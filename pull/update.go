package pull

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/daypass-dev/daypass/internal/clone"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// rounds is how often a pull plans anew for files that the user saved meanwhile.
const rounds = 4

// update brings a folder that has something in it to the source's newest.
func (r *run) update(ctx context.Context) error {
	if r.ask.Content != nil {
		return r.updateContent(ctx)
	}
	base, missing, err := r.survey(ctx)
	if err != nil {
		return err
	}
	r.rep.New, r.rep.Branch = string(r.tip.Commit), r.tip.Name
	if r.st != nil {
		r.rep.Old = r.st.rec.Commit
	}
	if r.upToDate(ctx, missing) {
		r.rep.Same = true
		return errors.Join(r.noteName(), r.relink())
	}
	err = r.converge(ctx, base, missing)
	for step := 0; step < 2 && damaged(err); step++ {
		if again, other := r.heal(ctx, step); other != nil {
			return other
		} else if again {
			err = r.converge(ctx, base, missing)
		}
	}
	return err
}

// converge fetches, and joins what came with what the folder has.
func (r *run) converge(ctx context.Context, base delivered, missing []string) (err error) {
	if err := r.fetchInto(ctx); err != nil {
		return err
	}
	adopt := r.st.rec.Commit == ""
	defer r.forgetDry()
	o := r.objects
	if adopt {
		base, err = r.adopt(ctx, o)
	} else {
		base, err = r.since(ctx, o, base)
	}
	if err != nil {
		return err
	}
	if adopt || r.base != "" {
		if missing, err = r.missing(base); err != nil {
			return err
		}
	}
	if adopt || r.blind {
		if err := r.lost(ctx, base); err != nil {
			return err
		}
	}
	return r.join(ctx, o, base, missing)
}

// survey looks at the source and, in the meantime, for files that are gone.
func (r *run) survey(ctx context.Context) (base delivered, missing []string, err error) {
	done := make(chan error, 1)
	go func() {
		var err error
		base, missing, err = r.recallBase(ctx)
		done <- err
	}()
	tip, err := r.look(ctx)
	if other := <-done; err == nil {
		err = other
	}
	r.tip = tip
	return base, missing, err
}

// recallBase is what was delivered last, and what of it is gone.
func (r *run) recallBase(ctx context.Context) (base delivered, missing []string, err error) {
	if r.st == nil || r.st.rec.Commit == "" {
		return nil, nil, nil
	}
	if base, err = r.st.recall("delivered"); err != nil {
		if err = r.mend(ctx); err == nil && r.st.rec.Commit != "" {
			base, err = r.st.recall("delivered")
		}
	}
	if err == nil {
		missing, err = r.missing(base)
	}
	return base, missing, err
}

func (r *run) missing(base delivered) ([]string, error) {
	t, err := r.openTree()
	if err != nil {
		return nil, err
	}
	defer t.close()
	files := make([]string, 0, len(base))
	for path, f := range base {
		if !f.gone {
			files = append(files, path)
		}
	}
	slices.Sort(files)
	return r.ownSparse(t, t.missing(files)), nil
}

// upToDate reports whether there is nothing to do.
func (r *run) upToDate(ctx context.Context, missing []string) bool {
	if r.st == nil {
		return false
	}
	rec := r.st.rec
	if rec.TipRef != "" && rec.TipRef != r.tip.Ref {
		return false // from now on it is to follow another branch or tag, which are at one commit today
	}
	return rec.Commit != "" && rec.Commit == string(r.tip.Commit) && rec.Path == r.ask.Path && rec.Submodules == r.ask.Submodules &&
		!rec.Pending && !r.raised() && len(missing) == 0 && r.clone != nil && !r.emptied() && r.stayed(ctx)
}

// raised reports whether files may come now that were over the limit at the last pull.
func (r *run) raised() bool {
	if r.st == nil || r.st.rec.Over <= 0 {
		return false
	}
	limit := r.p.Limits.Or().File
	return limit < 0 || limit > r.st.rec.Over
}

// fetchInto brings the snapshot into our repository of this folder, which is made
// where there is none.
func (r *run) fetchInto(ctx context.Context) error {
	if r.st == nil {
		if err := r.makeStore(); err != nil {
			return err
		}
	}
	if r.st.rec.Format == "" {
		r.st.rec.Format = r.tip.Format
	}
	if r.clone != nil && r.clone.Format() != r.tip.Format || r.st.rec.Format != r.tip.Format {
		return problemForeign(r.folder, "its objects are "+r.st.rec.Format+", those of the source "+r.tip.Format)
	}
	if _, err := r.p.Git.Create(r.st.repo(), r.tip.Format); err != nil {
		return err
	}
	if err := r.openRepo(); err != nil {
		return err
	}
	have := plumbing.OID(r.st.rec.Commit)
	if have == "" && r.clone != nil {
		head, err := r.takeOver(ctx)
		if err != nil {
			return err
		}
		have = head
	}
	depth := r.ask.Depth
	if have != "" {
		// All that is new comes: where history were cut again, what the user has on
		// branches of their own would have nothing in common with it.
		depth = 0
	}
	if err := r.fetchWhole(ctx, depth, have); err != nil {
		return err
	}
	r.rep.New, r.rep.Branch, r.rep.Pointer = string(r.snap.Commit), r.tip.Name, r.snap.Pointers
	if r.ask.DryRun {
		return nil
	}
	repo, commit := r.repo, r.snap.Commit
	if err := r.later.wait(); err != nil { // the pack, where this is the first
		return err
	}
	r.later.start(func() error { return repo.WriteRef(snapshotRef(commit), commit, "") })
	return nil
}

// openRepo opens our repository, which sees the folder's own objects.
func (r *run) openRepo() (err error) {
	var beside []string
	if r.clone != nil {
		beside = []string{r.clone.Objects()}
	}
	if format := r.st.rec.Format; format != "" { // what a power cut has emptied is written anew
		if _, err := r.p.Git.Create(r.st.repo(), format); err != nil {
			return err
		}
	}
	r.repo, err = r.p.git(r.st, beside...)
	return err
}

// join plans and carries out, until the user is not faster any more.
func (r *run) join(ctx context.Context, o *plumbing.Objects, base delivered, missing []string) error {
	if err := r.endUnfinished(ctx, o); err != nil {
		return err
	}
	for n := 0; ; n++ {
		late, err := r.round(ctx, o, base, missing)
		if errors.Is(err, errMoving) && n < rounds {
			continue
		}
		if errors.Is(err, clone.ErrMoved) && n < rounds {
			if err := r.reopen(); err != nil {
				return err
			}
			continue
		}
		if err != nil || !late || n == rounds {
			switch {
			case errors.Is(err, errMoving):
				return problemMoving(r.folder)
			case errors.Is(err, clone.ErrMoved):
				return problemHead(r.folder, err)
			}
			return err
		}
		if base, err = r.st.recall("delivered"); err != nil {
			return err
		}
		if missing, err = r.missing(base); err != nil {
			return err
		}
	}
}

// round is one plan, carried out; late says that some file was left for another.
func (r *run) round(ctx context.Context, o *plumbing.Objects, base delivered, missing []string) (late bool, err error) {
	r.event(Merging, "")
	t, err := r.openTree()
	if err != nil {
		return false, err
	}
	defer t.close()
	t.plain = r.st.rec.Disk.Plain
	pl := r.newPlan(t, o, base, r.theirs())
	pl.hold()
	if err := pl.brought(); err != nil {
		return false, err
	}
	if err := pl.make(ctx, missing, r.st.rec.Commit == "" && r.base == ""); err != nil {
		return false, err
	}
	r.rep.Changes = append(r.rep.Changes, pl.notes...)
	if !r.told {
		r.told = true
		r.tellLed()
		r.tellLeft()
		r.tellNotes()
	}
	if r.ask.Diff {
		if r.rep.Diff, err = r.diff(ctx, pl); err != nil {
			return false, err
		}
	}
	if r.ask.DryRun {
		return false, nil
	}
	g, err := r.aim(ctx, pl)
	if err != nil {
		return false, err
	}
	return r.perform(ctx, pl, whyPull, g)
}

// theirs is what is to be delivered, as merge wants it.
func (r *run) theirs() map[string]merge.Entry {
	out := make(map[string]merge.Entry, len(r.snap.Files))
	for _, f := range r.snap.Files {
		if f.Mode != plumbing.Gitlink {
			out[f.Path] = entryOf(f)
		}
	}
	return out
}

// next is what counts as delivered after a plan.
func (pl *plan) next() delivered {
	if pl.after != nil {
		return pl.after
	}
	out := make(delivered, len(pl.theirs))
	for path, e := range pl.theirs {
		out[path] = fact{Entry: e}
		if f := pl.base[path]; f.Entry == e {
			out[path] = f
		} else if fi := pl.infos[path]; fi != nil && pl.disk[path] == e {
			out[path] = fact{Entry: e, stat: plumbing.StatOf(fi)}
		}
	}
	for _, c := range pl.notes {
		if c.What == LeftOut {
			delete(out, c.Path)
		}
	}
	for name, e := range pl.left { // as it is when the user wants it again
		out[name] = fact{Entry: e}
	}
	return out
}

// Why a backup was made.
const (
	whyPull = "pull"
	whyUndo = "undo"
)

// perform backs up, writes the journal and carries it out. Without a goal only the
// files change.
func (r *run) perform(ctx context.Context, pl *plan, why string, g *goal) (late bool, err error) {
	if err := r.room(r.folder, pl.size()); err != nil {
		return false, err
	}
	if err := r.waitForGit(); err != nil {
		return false, err
	}
	if err := r.claim(); err != nil {
		return false, err
	}
	m := &manifest{ID: r.st.newID(r.p.Now()), At: r.p.Now().UTC(), Why: why}
	if g != nil {
		before := r.st.rec
		m.Record, m.Move, m.Commit, m.Staged = &before, &g.Move, g.Commit, r.staged(pl)
	}
	if g != nil {
		if err := r.p.change("delivered"); err != nil {
			return false, err
		}
		next := pl.next()
		r.later.start(func() error { return r.st.keep("delivered.next", next, g.Record.Format, true) })
	}
	if err := r.do("backup", func() error { return r.backup(ctx, pl, m) }); err != nil {
		return false, err
	}
	r.rep.Undo = m.ID
	j := &journal{ID: m.ID, Ops: pl.ops, Dirs: pl.dirs, Goal: g}
	if g != nil {
		last := r.rep
		last.Diff = ""
		g.Last = &last
	}
	if err := r.do("journal", func() error { return r.st.write(j) }); err != nil {
		return false, err
	}
	r.event(Writing, "")
	if err := r.carryOut(ctx, j, pl); err != nil {
		return false, err
	}
	r.prune()
	return tooLate(j.Ops), nil
}

// claim writes our name into the folder's repository, and where it is into ours.
func (r *run) claim() error {
	if id, ok := r.cloneID(); r.clone != nil && (!ok || id != r.st.id) {
		if err := r.do("claim", func() error { return r.clone.SetID(r.st.id) }); err != nil {
			return err
		}
	}
	r.st.rec.Identity = identityOf(r.folder)
	if err := r.p.remember(r.st); err != nil {
		return err
	}
	return r.st.save()
}

// carryOut stages, applies, and reaches the goal. pl is nil where a journal is
// taken up again.
func (r *run) carryOut(ctx context.Context, j *journal, pl *plan) error {
	t, err := r.openTree()
	if err != nil {
		return err
	}
	defer t.close()
	t.plain, t.perms = r.st.rec.Disk.Plain, j.Dirs
	h := &hand{r: r, t: t, replay: pl == nil}
	if pl != nil {
		h.o, h.seen = pl.o, pl.seen
	} else {
		if h.o, err = r.repo.Objects(ctx); err != nil {
			return err
		}
		defer h.o.Close()
	}
	if !j.Writing {
		if err := h.stage(j.Ops); err != nil {
			return errors.Join(err, r.later.wait(), r.abandon(j))
		}
		if err := r.do("journal", func() error { return r.st.begin(j, &r.later) }); err != nil {
			return err
		}
	}
	if err := h.carry(j.Ops); err != nil {
		return err
	}
	if err := h.settle(j.Ops); err != nil {
		return err
	}
	r.tellShut(j.Ops)
	if j.Goal != nil {
		if err := r.reach(h, j, pl); err != nil {
			return err
		}
	}
	if err := errors.Join(r.later.wait(), r.last.wait()); err != nil {
		return err
	}
	return r.do("journal gone", func() error { return os.Remove(r.st.file(journalFile)) })
}

// settle begins to make names durable, which ends before our state says so.
func (h *hand) settle(ops []op) error {
	if len(ops) > fewFiles {
		return syncDisk(h.r.folder)
	}
	done := map[string]bool{}
	for _, o := range ops {
		for _, p := range []string{o.Path, o.From} {
			dir, _ := split(p)
			if p == "" || done[dir] {
				continue
			}
			done[dir] = true
			d, err := h.t.dir(dir, false)
			if err != nil {
				continue
			}
			f, err := d.Open(".")
			if shut(err) {
				continue // we change nothing there
			}
			if err != nil {
				return err
			}
			h.r.later.sync(f)
		}
	}
	return nil
}

// size is about what the new files take, while the old ones are still there.
func (pl *plan) size() int64 {
	var oids []plumbing.OID
	var sum int64
	for _, o := range pl.ops {
		if o.Do != opPut {
			continue
		}
		if data, ok := pl.merged[o.New.OID]; ok {
			sum += 2 * int64(len(data))
			continue
		}
		oids = append(oids, plumbing.OID(o.New.OID))
	}
	if len(oids) > fewFiles { // a few are not worth a process
		sizes, err := pl.o.Sizes(oids)
		if err != nil {
			return sum
		}
		for _, n := range sizes {
			sum += max(n, 0)
		}
	}
	return sum
}
