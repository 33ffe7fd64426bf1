package pull

import (
	"context"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// known begins a run on a folder that was pulled into.
func (p *Puller) known(ctx context.Context, folder string) (*run, error) {
	r, err := p.begin(ctx, folder, "")
	if err != nil {
		return nil, tell(folder, err)
	}
	if !r.st.used() || !exists(r.folder) {
		r.end()
		return nil, problemUnknown(r.folder)
	}
	r.rep = Report{Folder: r.folder, Source: r.st.rec.Source, Ref: r.st.rec.Ref, Old: r.st.rec.Commit, New: r.st.rec.Commit}
	err = r.openAll()
	if err == nil {
		err = r.mend(ctx)
	}
	if err != nil {
		r.end()
		return nil, tell(r.folder, err)
	}
	return r, nil
}

// Undo takes back the last pull of a folder that is not taken back yet. What the
// user has changed since stays. The next pull brings the same again.
func (p *Puller) Undo(ctx context.Context, folder string) (Report, error) {
	r, err := p.known(ctx, folder)
	if err != nil {
		return Report{}, err
	}
	defer r.end()
	r.rep.Undone = true
	m, err := r.lastDone()
	if err == nil && m != nil {
		err = r.undo(ctx, m)
	}
	r.rep.Took = p.Now().Sub(r.began)
	return r.rep, tell(r.folder, err)
}

// lastDone is the newest pull that is not undone; nil where there is none.
func (r *run) lastDone() (*manifest, error) {
	all, err := r.st.manifests()
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if m.Why == whyPull && !m.Undone && m.Record != nil {
			return m, nil
		}
	}
	return nil, nil
}

// undo merges backwards: what the pull had made is the base, what was there before
// is to come.
func (r *run) undo(ctx context.Context, m *manifest) error {
	t, o, done, err := r.openBoth(ctx)
	if err != nil {
		return err
	}
	defer done()
	pl, err := r.planBack(ctx, t, o, m)
	if err != nil {
		return err
	}
	if err := r.lost(ctx, pl.sides()); err != nil {
		return err
	}
	if err := r.storeMoved(ctx, pl, m); err != nil {
		return err
	}
	pl.after, err = r.st.recall(filepath.Join("backups", m.ID+".delivered"))
	if err != nil {
		pl.after = delivered{}
	}
	g := &goal{Record: *m.Record, Undoes: m.ID}
	g.Record.Folder, g.Record.At = r.folder, r.p.Now().UTC()
	if g.Move, err = r.headBack(ctx, o, m); err != nil {
		return err
	}
	g.Commit = string(g.Move.New)
	r.rep.Changes, r.rep.New = pl.notes, m.Record.Commit
	_, err = r.perform(ctx, pl, whyUndo, g)
	return err
}

// openBoth opens the folder, and the objects that there are for it.
func (r *run) openBoth(ctx context.Context) (t *tree, o *plumbing.Objects, done func(), err error) {
	if o, err = r.repo.Objects(ctx); err != nil {
		return nil, nil, nil, err
	}
	if t, err = r.openTree(); err != nil {
		o.Close()
		return nil, nil, nil, err
	}
	t.plain = r.st.rec.Disk.Plain
	return t, o, func() { t.close(); o.Close() }, nil
}

// permsOf is what the files had before.
func permsOf(touches []touch) map[string]uint32 {
	out := map[string]uint32{}
	for _, c := range touches {
		if c.Before != (merge.Entry{}) {
			out[c.Path] = c.Perm
		}
	}
	return out
}

// headBack moves HEAD to where it was, if it is still where the pull put it. In a
// repository in which HEAD leads to nothing that can be read only the files go back: the
// next pull heals it.
func (r *run) headBack(ctx context.Context, o *plumbing.Objects, m *manifest) (move, error) {
	if r.clone == nil {
		return move{None: true}, nil
	}
	head, err := r.clone.Head()
	if err != nil || head.Commit == "" {
		return move{None: true}, err
	}
	out := move{Branch: head.Branch, Was: head, Old: head.Commit, New: head.Commit, Message: "daypass: undo"}
	was := m.Move
	if was != nil && !was.None && !was.Build && was.New == head.Commit && was.Was.Commit != "" && r.stillHas(ctx, was.Was.Commit) {
		out.New = was.Was.Commit
		if was.Switch {
			out.Branch, out.Switch, out.Old = was.Was.Branch, true, head.Commit
			if out.Branch != "" {
				if out.Old, _, err = r.clone.Ref(out.Branch); err != nil {
					return move{}, err
				}
			}
		}
	} else if !r.stillHas(ctx, head.Commit) {
		return move{None: true}, nil
	}
	if out.Packs, err = r.lacking(); err != nil {
		return move{}, err
	}
	c, err := o.Commit(out.New)
	out.Tree = c.Tree
	return out, err
}

// stillHas reports whether HEAD can go back to a commit: a damaged one, or one in a
// repository of ours that was put aside since, is none for the folder's.
func (r *run) stillHas(ctx context.Context, commit plumbing.OID) bool {
	repo, err := r.p.git(r.st, r.clone.Objects())
	if err != nil {
		return false
	}
	o, err := repo.Objects(ctx)
	if err != nil {
		return false
	}
	defer o.Close()
	c, err := o.Commit(commit)
	if err == nil {
		_, err = o.Files(c.Tree)
	}
	return err == nil
}

// Backups lists what is kept for a folder, newest first.
func (p *Puller) Backups(folder string) ([]Backup, error) {
	st, _, err := p.peek(folder)
	if err != nil || st == nil {
		return nil, orUnknown(err, folder)
	}
	var all []*manifest
	for _, s := range append([]*store{st}, p.past(st)...) {
		some, err := s.manifests()
		if err != nil {
			return nil, tell(folder, err)
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b *manifest) int { return strings.Compare(b.ID, a.ID) })
	var out []Backup
	for _, m := range all {
		b := Backup{ID: m.ID, At: m.At, Why: m.Why}
		for _, c := range append(slices.Clone(m.Touches), m.Staged...) {
			if c.Before != (merge.Entry{}) && c.Before != c.After {
				b.Files = append(b.Files, BackupFile{Path: c.Path, Size: c.Size})
			}
		}
		if len(b.Files) > 0 {
			out = append(out, b)
		}
	}
	return out, nil
}

func orUnknown(err error, folder string) error {
	if err != nil {
		return err
	}
	return problemUnknown(folder)
}

// peek finds what is known of a folder, without a lock and without a change.
func (p *Puller) peek(folder string) (*store, string, error) {
	real, err := p.place(folder, "")
	if err != nil {
		return nil, "", err
	}
	r := &run{p: p, folder: real}
	if err := r.open(); err != nil {
		return nil, "", tell(real, err)
	}
	if r.clone != nil {
		r.clone.Close()
	}
	if !r.st.used() {
		return nil, real, nil
	}
	return r.st, real, nil
}

// used reports whether anything was ever delivered: if it was all taken back, the
// backups are still there.
func (s *store) used() bool {
	return s != nil && (s.rec.Commit != "" || s.rec.Past != "" || exists(s.file("backups")))
}

// State tells what is known of a folder, without changing anything; false if it
// was never pulled into.
func (p *Puller) State(folder string) (State, bool, error) {
	st, real, err := p.peek(folder)
	if err != nil || st == nil || st.rec.Commit == "" {
		return State{}, false, err
	}
	s := State{Folder: real, Source: st.rec.Source, Via: st.rec.Via, Service: st.rec.Service, Ref: st.rec.Ref, Path: st.rec.Path, Commit: st.rec.Commit, At: st.rec.At, Content: st.rec.Content, Include: st.rec.Include}
	s.Last, _ = st.last()
	return s, true, nil
}

// kept finds one file of a backup, which may be of a folder that was here before.
func (r *run) kept(ctx context.Context, id, file string) (touch, error) {
	problem := problemNoBackup(r.folder, id)
	for i, st := range append([]*store{r.st}, r.p.past(r.st)...) {
		m, err := st.manifest(id)
		if ignoreMissing(err) != nil {
			return touch{}, err
		}
		if err != nil {
			continue
		}
		for _, c := range append(slices.Clone(m.Touches), m.Staged...) {
			if c.Path == file && c.Before != (merge.Entry{}) {
				if i == 0 {
					return c, r.fromDisk(ctx, m, c)
				}
				r.repo = r.repo.With(filepath.Join(st.repo(), "objects"))
				return c, nil
			}
		}
		problem = problemNoFile(file, "the backup "+id)
	}
	return touch{}, problem
}

// Recover writes a file of a backup to a writer.
func (p *Puller) Recover(ctx context.Context, folder, id, file string, w io.Writer) error {
	r, err := p.known(ctx, folder)
	if err != nil {
		return err
	}
	defer r.end()
	c, err := r.kept(ctx, id, file)
	if err == nil {
		err = r.show(ctx, c.Before, w)
	}
	return tell(r.folder, err)
}

func (r *run) show(ctx context.Context, e merge.Entry, w io.Writer) error {
	o, err := r.repo.Objects(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	_, err = o.Copy(plumbing.OID(e.OID), w)
	return err
}

// Restore puts a file of a backup back into its folder; what stands there is
// backed up first.
func (p *Puller) Restore(ctx context.Context, folder, id, file string) (Report, error) {
	r, err := p.known(ctx, folder)
	if err != nil {
		return Report{}, err
	}
	defer r.end()
	c, err := r.kept(ctx, id, file)
	if err != nil {
		return Report{}, tell(r.folder, err)
	}
	err = r.bring(ctx, map[string]merge.Entry{file: c.Before}, permsOf([]touch{c}), againRestore)
	return r.rep, tell(r.folder, err)
}

// Reset puts the source's version of a file, as last delivered, or of all files of
// a folder, into place; what stands there is backed up first. The file is relative
// to the folder that was pulled into.
func (p *Puller) Reset(ctx context.Context, folder, file string) (Report, error) {
	r, err := p.known(ctx, folder)
	if err != nil {
		return Report{}, err
	}
	defer r.end()
	known, err := r.st.recall("delivered")
	if err != nil {
		return Report{}, tell(r.folder, err)
	}
	file = filepath.ToSlash(filepath.Clean(file))
	want := map[string]merge.Entry{}
	for path, f := range known {
		if path == file || file == "." || len(path) > len(file) && path[:len(file)+1] == file+"/" {
			want[path] = f.Entry
		}
	}
	if len(want) == 0 {
		return Report{}, problemNoFile(file, "the source's last version")
	}
	err = r.bring(ctx, want, nil, againReset)
	return r.rep, tell(r.folder, err)
}

// bring writes files over what stands there. What is in their way is moved aside.
func (r *run) bring(ctx context.Context, want map[string]merge.Entry, perms map[string]uint32, why string) error {
	t, o, done, err := r.openBoth(ctx)
	if err != nil {
		return err
	}
	defer done()
	r.rep.Again = why
	var changes []Change
	for range rounds {
		pl, err := r.planBring(t, o, want, perms)
		if err != nil {
			return err
		}
		r.rep.Changes = pl.notes
		late := false
		if len(pl.ops) > 0 {
			if late, err = r.perform(ctx, pl, why, nil); err != nil {
				return err
			}
		}
		changes = append(changes, onTime(r.rep.Changes, pl.ops)...)
		r.rep.Changes, r.rep.Same = changes, len(changes) == 0
		if !late {
			return nil
		}
		t.forget()
	}
	return problemMoving(r.folder)
}

// onTime are the changes that the user was not faster than.
func onTime(changes []Change, ops []op) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool {
		return slices.ContainsFunc(ops, func(o op) bool { return o.late && !o.denied && o.Path == c.Path })
	})
}

// planBring is what brings files over what stands there now.
func (r *run) planBring(t *tree, o *plumbing.Objects, want map[string]merge.Entry, perms map[string]uint32) (*plan, error) {
	pl := r.newPlan(t, o, delivered{}, want)
	pl.perms = perms
	stamp := r.p.Now().Format("20060102150405")
	moved := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if at := t.obstacle(path); at != "" {
			if !moved[at] {
				moved[at] = true
				to := merge.AsideName(at, stamp, func(name string) bool { return t.kind(name) != "" })
				pl.ops = append(pl.ops, op{Do: opMove, Path: to, From: at, Old: pl.ours(at), User: true, Dir: t.kind(at) == "dir"})
				pl.note(Change{Path: to, From: at, What: Aside})
			}
			pl.put(path, merge.Entry{}, want[path])
			pl.note(Change{Path: path, What: Restored})
			continue
		}
		if have := pl.ours(path); pl.shut[path] {
			pl.leave(path)
		} else if have != want[path] {
			pl.put(path, have, want[path])
			pl.note(Change{Path: path, What: Restored, Backup: have != merge.Entry{}})
		}
	}
	return pl, pl.err
}

// obstacle is what stands where a file is to be, or where a folder above it is.
func (t *tree) obstacle(path string) string {
	for i := 0; i < len(path); i++ {
		if path[i] == '/' {
			if kind := t.kind(path[:i]); kind != "dir" && kind != "" {
				return path[:i]
			}
		}
	}
	if kind := t.kind(path); kind == "dir" || kind == "other" {
		return path
	}
	return ""
}

// Upstream writes the source's version of a file, as last delivered.
func (p *Puller) Upstream(ctx context.Context, folder, file string, w io.Writer) error {
	r, err := p.known(ctx, folder)
	if err != nil {
		return err
	}
	defer r.end()
	known, err := r.st.recall("delivered")
	if err != nil {
		return tell(r.folder, err)
	}
	f, ok := known[filepath.ToSlash(filepath.Clean(file))]
	if !ok {
		return problemNoFile(file, "the source's last version")
	}
	return tell(r.folder, r.show(ctx, f.Entry, w))
}

func (s *store) markUndone(id string) error {
	m, err := s.manifest(id)
	if err != nil {
		return ignoreMissing(err)
	}
	m.Undone = true
	return s.saveManifest(m)
}
