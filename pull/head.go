package pull

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/clone"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// aim says what becomes of the folder's repository: HEAD goes to what came, or,
// where the user has commits of their own, to one that joins both.
func (r *run) aim(ctx context.Context, pl *plan) (*goal, error) {
	saved := r.st.rec
	r.recordTip()
	g := &goal{Record: r.st.rec}
	r.st.rec = saved
	var err error
	if r.ask.Content != nil {
		g.Move, g.Commit = move{None: true}, string(r.snap.Commit)
		return g, nil
	}
	if r.clone == nil {
		g.Move = move{Build: true, New: r.snap.Commit, Tree: r.snap.Tree, Shallow: r.snap.Shallow, Partial: r.snap.Partial, Message: "daypass: pull"}
		if r.broken {
			g.Move.Broken = r.st.file("kept/git-" + r.p.Now().Format("20060102-150405"))
		}
		if r.hurt != "" {
			g.Move.Broken, g.Move.Hurt = r.hurt, true
		}
	} else if g.Move, err = r.headMove(ctx, pl); err != nil {
		return nil, err
	}
	g.Commit, g.Sparse = string(g.Move.New), slices.Sorted(maps.Keys(pl.left))
	return g, nil
}

func (r *run) headMove(ctx context.Context, pl *plan) (move, error) {
	head, err := r.clone.Head()
	if err != nil {
		return move{}, err
	}
	m := move{
		Branch: head.Branch, Was: head, Old: head.Commit, New: r.snap.Commit, Tree: r.snap.Tree, Message: "daypass: pull",
		Shallow: r.snap.Shallow, Partial: r.snap.Partial, Tracking: map[string]plumbing.OID{}, Tags: map[string]plumbing.OID{},
	}
	if b, ok := strings.CutPrefix(r.tip.Ref, "refs/heads/"); ok {
		m.Tracking["refs/remotes/origin/"+b] = r.snap.Commit
	} else if strings.HasPrefix(r.tip.Ref, "refs/tags/") {
		m.Tags[r.tip.Ref] = r.snap.Commit
	}
	if r.emptied() {
		return move{}, errHistory
	}
	if own, err := r.ownCommits(ctx, head.Commit); err != nil {
		return move{}, err
	} else if own {
		if !r.sound(ctx, head.Commit) {
			return move{}, errors.Join(errHistory, ctx.Err())
		}
		if err := r.joinHead(ctx, pl, head, &m); err != nil {
			return move{}, errors.Join(errHistory, err)
		}
	}
	if err := r.branch(ctx, head, &m); err != nil {
		return move{}, err
	}
	m.Packs, err = r.lacking()
	return m, err
}

// ownCommits reports whether HEAD has commits that the source never had.
func (r *run) ownCommits(ctx context.Context, head plumbing.OID) (bool, error) {
	if head == "" || head == plumbing.OID(r.st.rec.Commit) || head == r.base || head == r.snap.Commit {
		return false, nil
	}
	if _, ok, err := r.repo.ReadRef(snapshotRef(head)); err != nil || ok {
		return false, err
	}
	if b, ok := strings.CutPrefix(r.tip.Ref, "refs/heads/"); ok {
		seen, err := r.clone.Log("refs/remotes/origin/" + b)
		if err != nil {
			return false, err
		}
		if slices.Contains(seen, head) {
			return false, nil
		}
	}
	return !r.contains(ctx, r.snap.Commit, head), nil
}

// branch chooses the branch to move. The user stays on theirs; only where the link
// names another one than before, and they are where the last pull left them, they
// go along.
func (r *run) branch(ctx context.Context, head clone.Head, m *move) error {
	before := r.st.rec.TipRef
	if before == "" {
		if up, ok := r.clone.Upstream(head.Branch); ok {
			before = up
		}
	}
	isBranch := strings.HasPrefix(r.tip.Ref, "refs/heads/")
	left := head.Branch == before || head.Detached && !strings.HasPrefix(before, "refs/heads/")
	if head.Unborn {
		before, left = "", true
	}
	if before == r.tip.Ref || !left || head.Branch == r.tip.Ref || !isBranch && head.Detached {
		return nil
	}
	if !isBranch {
		m.Branch, m.Switch, m.Old = "", true, head.Commit
		r.rep.Notes = append(r.rep.Notes, fmt.Sprintf("This folder now follows %s.", r.tip.Name))
		return nil
	}
	old, ok, err := r.clone.Ref(r.tip.Ref)
	if err != nil {
		return err
	}
	if ok {
		_, ours, err := r.repo.ReadRef(snapshotRef(old))
		if err != nil {
			return err
		}
		if !ours && !r.contains(ctx, m.New, old) {
			return nil // a branch of the user's with commits of theirs
		}
	}
	m.Branch, m.Switch, m.Old = r.tip.Ref, true, old
	if before != "" {
		r.rep.Notes = append(r.rep.Notes, fmt.Sprintf("This folder now follows the branch %s.", r.tip.Name))
	}
	return nil
}

// joinHead makes the commit that joins the user's commits with what came.
func (r *run) joinHead(ctx context.Context, pl *plan, head clone.Head, m *move) error {
	c, err := pl.o.Commit(head.Commit)
	if err != nil {
		return err
	}
	if r.contains(ctx, head.Commit, r.snap.Commit) {
		m.New, m.Tree = head.Commit, c.Tree
		return nil
	}
	j := &joiner{r: r, ctx: ctx, o: pl.o, head: head.Commit, blobs: map[string][]byte{}}
	files, err := j.trees(c.Tree)
	if err != nil {
		return err
	}
	im, err := r.repo.Import(ctx)
	if err != nil {
		return err
	}
	defer im.Close()
	for _, oid := range slices.Sorted(maps.Keys(j.blobs)) {
		if _, err := im.Blob(int64(len(j.blobs[oid])), bytes.NewReader(j.blobs[oid])); err != nil {
			return errors.Join(err, im.Close())
		}
	}
	who := plumbing.Who{Name: "daypass", Email: "daypass@localhost", When: r.p.Now()}
	m.New, m.Tree, err = im.Commit(plumbing.CommitSpec{
		Ref: "refs/daypass/joined", Author: who, Committer: who, Parents: []plumbing.OID{head.Commit, r.snap.Commit}, Files: files,
		Message: fmt.Sprintf("Merge %s of %s\n", r.tip.Name, r.source),
	})
	if err != nil {
		return errors.Join(err, im.Close())
	}
	if err := im.Close(); err != nil {
		return err
	}
	// The objects stay. A ref would hold on to the user's commits, which are in the
	// folder only.
	return r.repo.DeleteRef("refs/daypass/joined")
}

// A joiner merges committed trees, without a disk.
type joiner struct {
	r     *run
	ctx   context.Context
	head  plumbing.OID
	o     *plumbing.Objects
	ours  map[string]merge.Entry
	blobs map[string][]byte // that are new
}

func (j *joiner) files(tree plumbing.OID) (map[string]merge.Entry, error) {
	out := map[string]merge.Entry{}
	if tree == "" {
		return out, nil
	}
	files, err := j.o.Files(tree)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.Mode != plumbing.Gitlink {
			out[f.Path] = entryOf(f)
		}
	}
	return out, nil
}

// trees merges HEAD's tree with the source's and returns the whole result.
func (j *joiner) trees(head plumbing.OID) ([]plumbing.File, error) {
	base, err := j.baseTree()
	if err != nil {
		return nil, err
	}
	in := merge.Input{Fold: j.r.st.rec.Disk.Fold, Stamp: j.r.p.Now().Format("20060102150405"), Renames: j.r.snap.Renames}
	if in.Base, err = j.files(base); err != nil {
		return nil, err
	}
	if in.Theirs, err = j.files(j.r.snap.Tree); err != nil {
		return nil, err
	}
	if j.ours, err = j.files(head); err != nil {
		return nil, err
	}
	in.Ours = func(path string) merge.Entry { return j.ours[path] }
	in.Prefix, in.Under = j.kind, j.under
	for path, e := range in.Base {
		if ours := j.ours[path]; ours != e && (ours != merge.Entry{} || in.Theirs[path] != e) {
			in.Changed = append(in.Changed, path)
		}
	}
	slices.Sort(in.Changed)
	steps, err := merge.Plan(in)
	if err != nil {
		return nil, err
	}
	for _, s := range steps {
		if err := j.step(s); err != nil {
			return nil, err
		}
	}
	return j.result()
}

// baseTree is what both sides began with: what was delivered last, where HEAD has it.
func (j *joiner) baseTree() (plumbing.OID, error) {
	last := j.r.base
	if last == "" {
		last = plumbing.OID(j.r.st.rec.Commit)
	}
	if last == "" || !j.r.contains(j.ctx, j.head, last) {
		if oid := j.r.mergeBase(j.ctx, j.head, j.r.snap.Commit); oid != "" {
			last = oid
		}
	}
	if last == "" {
		return "", nil
	}
	c, err := j.o.Commit(last)
	return c.Tree, err
}

func (j *joiner) kind(path string) string {
	if e, ok := j.ours[path]; ok {
		if e.Mode == merge.Symlink {
			return "link"
		}
		return "file"
	}
	for p := range j.ours {
		if strings.HasPrefix(p, path+"/") {
			return "dir"
		}
	}
	return ""
}

func (j *joiner) under(dir string) []string {
	var out []string
	for p := range j.ours {
		if strings.HasPrefix(p, dir+"/") {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

func (j *joiner) step(s merge.Step) error {
	switch s.Do {
	case merge.Take, merge.Restore:
		j.ours[s.Path] = merge.Entry{Mode: s.Mode, OID: s.Theirs.OID}
	case merge.Delete:
		delete(j.ours, s.Path)
	case merge.Chmod:
		j.ours[s.Path] = merge.Entry{Mode: s.Mode, OID: s.Ours.OID}
	case merge.Aside, merge.Move:
		for _, p := range append(j.under(s.From), s.From) {
			if e, ok := j.ours[p]; ok {
				delete(j.ours, p)
				j.ours[s.Path+strings.TrimPrefix(p, s.From)] = e
			}
		}
	case merge.Merge:
		return j.merge(s)
	}
	return nil
}

func (j *joiner) merge(s merge.Step) error {
	var sides [3][]byte
	for i, e := range []merge.Entry{s.Base, s.Ours, s.Theirs} {
		if e.OID == "" {
			continue
		}
		_, data, err := j.o.Read(plumbing.OID(e.OID))
		if err != nil {
			return err
		}
		sides[i] = data
	}
	res := merge.Content(s.Path, sides[0], sides[1], sides[2])
	oid, err := plumbing.HashBlob(j.r.st.rec.Format, int64(len(res.Data)), bytes.NewReader(res.Data))
	if err != nil {
		return err
	}
	j.blobs[string(oid)] = res.Data
	j.ours[s.Path] = merge.Entry{Mode: s.Mode, OID: string(oid)}
	return nil
}

// result is the merged tree, with the source's submodules.
func (j *joiner) result() ([]plumbing.File, error) {
	var out []plumbing.File
	for path, e := range j.ours {
		out = append(out, plumbing.File{Path: path, Mode: plumbing.Mode(e.Mode), OID: plumbing.OID(e.OID)})
	}
	all, err := j.o.Files(j.r.snap.Tree)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if _, taken := j.ours[f.Path]; f.Mode == plumbing.Gitlink && !taken {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b plumbing.File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// staged lists what the user has in git's staging area that is neither committed
// nor on the disk.
func (r *run) staged(pl *plan) []touch {
	if r.clone == nil {
		return nil
	}
	entries, err := r.clone.Index()
	if err != nil {
		return nil
	}
	r.staging = entries
	var out []touch
	for _, e := range entries {
		if e.Stage != 0 || e.Skip || e.Intent || e.Mode == plumbing.Gitlink || pl.has(string(e.OID)) {
			continue
		}
		if pl.ours(e.Path).OID == string(e.OID) || r.committed(pl, e) {
			continue
		}
		out = append(out, touch{Path: e.Path, Before: entryOf(e.File)})
	}
	return out
}

// committed reports whether HEAD has just this.
func (r *run) committed(pl *plan, e plumbing.IndexEntry) bool {
	return pl.inHead(e.Path).OID == string(e.OID)
}

// inHead is what HEAD has at a path.
func (pl *plan) inHead(path string) merge.Entry {
	if pl.head == nil {
		pl.head = map[string]merge.Entry{}
		if head, err := pl.r.clone.Head(); err == nil && head.Commit != "" {
			if c, err := pl.o.Commit(head.Commit); err == nil {
				pl.head, err = (&joiner{r: pl.r, o: pl.o}).files(c.Tree)
				if err != nil {
					pl.head = map[string]merge.Entry{}
				}
			}
		}
	}
	return pl.head[path]
}

// unmark puts the user's side back where git has left the marks of a conflict in
// a file; the file with the marks goes to a backup.
func (r *run) unmark(ctx context.Context, o *plumbing.Objects) error {
	entries, err := r.clone.Index()
	if err != nil {
		return nil
	}
	t, err := r.openTree()
	if err != nil {
		return err
	}
	defer t.close()
	pl := r.newPlan(t, o, delivered{}, nil)
	for _, e := range entries {
		if e.Stage != 2 {
			continue
		}
		data, err := t.readAll(e.Path)
		if err != nil || !bytes.Contains(data, []byte("<<<<<<< ")) || !bytes.Contains(data, []byte(">>>>>>> ")) {
			continue
		}
		side, err := pl.blob(string(e.OID))
		if err != nil {
			return err
		}
		pl.merged[string(e.OID)] = side
		pl.put(e.Path, pl.ours(e.Path), entryOf(e.File))
	}
	if len(pl.ops) == 0 {
		return pl.err
	}
	m := &manifest{ID: r.st.newID(r.p.Now()), At: r.p.Now().UTC(), Why: "conflict"}
	if err := errors.Join(pl.err, r.do("backup", func() error { return r.backup(ctx, pl, m) })); err != nil {
		return err
	}
	j := &journal{ID: m.ID, Ops: pl.ops}
	if err := r.do("journal", func() error { return r.st.write(j) }); err != nil {
		return err
	}
	return r.carryOut(ctx, j, pl)
}
