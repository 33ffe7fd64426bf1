package pull

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/daypass-dev/daypass/internal/clone"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
	"github.com/daypass-dev/daypass/snapshot"
)

// asidePrefix begins the names of folders in which fresh pulls are put together.
const asidePrefix = ".daypass-"

// fresh pulls into a folder that is not there: everything is put together beside its
// place and renamed in.
func (r *run) fresh(ctx context.Context) error {
	if r.ask.Content != nil {
		return r.freshContent(ctx)
	}
	tip, err := r.look(ctx)
	if err != nil {
		return err
	}
	r.tip = tip
	if err := r.takeStore(); err != nil {
		return err
	}
	if !r.ask.DryRun {
		if err := r.noteAside(); err != nil {
			return err
		}
	}
	if r.repo, err = r.p.Git.Create(r.st.repo(), tip.Format); err == nil {
		err = r.fetch(ctx, r.repo, r.ask.Depth, "")
	}
	if err := errors.Join(err, r.noted.wait()); err != nil {
		return err
	}
	r.tellFresh()
	if r.ask.DryRun {
		return r.forgetDry()
	}
	if err := r.room(filepath.Dir(r.folder), r.snap.Bytes); err != nil {
		return err
	}
	return r.build(ctx)
}

func (r *run) look(ctx context.Context) (snapshot.Tip, error) {
	r.event(Looking, r.source)
	if early := r.early; early != nil && !r.lock.waited {
		r.early = nil
		l := <-early
		r.line = l.line
		return l.tip, l.err
	}
	return r.p.source().Look(ctx, r.ask.address(), r.ask.Ref)
}

// makeStore makes a state for the folder, or takes that of a pull that was cut off.
// That of a folder which is gone is not taken: it may have another name by now.
func (r *run) makeStore() error {
	if err := r.takeStore(); err != nil || !r.made || r.ask.DryRun {
		return err
	}
	if err := r.st.save(); err != nil {
		return err
	}
	return r.p.remember(r.st)
}

// takeStore does so, and writes nothing down.
func (r *run) takeStore() error {
	if r.st != nil && r.st.rec.Commit == "" {
		return nil
	}
	st, err := r.p.create(r.folder)
	if err != nil {
		return err
	}
	r.st, r.made = st, true
	return nil
}

// noteAside begins to write down which folder will be built, while the source is asked
// for its content.
func (r *run) noteAside() error {
	r.st.rec.Building = filepath.Join(filepath.Dir(r.folder), asidePrefix+r.p.random(6))
	st := *r.st
	if err := r.p.change("record"); err != nil {
		return err
	}
	r.noted.start(func() error { return errors.Join(st.save(), r.p.remember(&st)) })
	return nil
}

// forgetDry removes what a pull that changes nothing has fetched, and never what
// was there before.
func (r *run) forgetDry() error {
	if !r.made || !r.ask.DryRun {
		return nil
	}
	return os.RemoveAll(r.st.dir)
}

// tellFresh reports what arrives.
func (r *run) tellFresh() {
	r.rep.Fresh, r.rep.New, r.rep.Branch, r.rep.Pointer = true, string(r.snap.Commit), r.tip.Name, r.snap.Pointers
	for _, f := range r.snap.Files {
		if f.Mode != plumbing.Gitlink {
			r.rep.Changes = append(r.rep.Changes, Change{Path: f.Path, What: Came})
		}
	}
	r.tellLeft()
}

// tellLeft reports what the snapshot does not deliver.
func (r *run) tellLeft() {
	for _, l := range r.snap.Left {
		c := Change{Path: l.Path, What: LeftOut, Why: l.Why}
		if l.As != "" {
			c = Change{Path: l.As, From: l.Path, What: LeftOut, Why: l.Why}
		}
		r.rep.Changes = append(r.rep.Changes, c)
	}
}

// build puts the folder together beside its place, and moves it in.
func (r *run) build(ctx context.Context) error {
	up, err := r.above(true)
	if err != nil {
		return err
	}
	defer up.Close()
	if r.st.rec.Building == "" {
		if err := r.noteAside(); err != nil {
			return err
		}
	}
	if err := r.noted.wait(); err != nil {
		return err
	}
	aside := r.st.rec.Building
	if r.old != nil && (r.clone != nil || r.old.rec.Content) { // by which such a folder is found
		r.old.rec.Building = aside
		if err := r.old.save(); err != nil {
			return err
		}
	}
	name := filepath.Base(aside)
	err = r.buildIn(ctx, up, name)
	if err != nil {
		up.RemoveAll(name)
	}
	return err
}

// buildIn does so in a folder that is open.
func (r *run) buildIn(ctx context.Context, up *os.Root, name string) error {
	perm, err := r.makeAside(up, name)
	if err != nil {
		return err
	}
	in, err := enter(up, name, false, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := r.furnish(ctx, in); err != nil {
		return err
	}
	return r.moveIn(up, name, perm)
}

// do runs one change, after the hook.
func (r *run) do(what string, f func() error) error {
	if err := r.p.change(what); err != nil {
		return err
	}
	return f()
}

// makeAside makes the folder for its owner only, and returns what it is to have.
func (r *run) makeAside(up *os.Root, name string) (fs.FileMode, error) {
	if err := r.do("aside", func() error { return up.Mkdir(name, 0o777) }); err != nil {
		return 0, err
	}
	fi, err := up.Lstat(name)
	if err != nil {
		return 0, err
	}
	keep := fi.Mode() & (fs.ModePerm | fs.ModeSetgid)
	return keep, up.Chmod(name, keep&^0o077)
}

// furnish writes the files, the repository and what we remember of them.
func (r *run) furnish(ctx context.Context, in *os.Root) error {
	r.st.rec.Disk = r.p.traits(in)
	if err := r.leaveClashes(); err != nil {
		return err
	}
	r.event(Writing, "")
	stats, err := r.writeAll(ctx, in)
	if err != nil {
		return err
	}
	durable := !syncWaits || !sameDisk(r.st.rec.Building, r.st.dir) // else moveIn makes it so, with all that is on that disk
	if err := r.keepDelivered(stats, durable); err != nil {
		return err
	}
	if r.ask.Content != nil {
		return r.keepFresh(youngestOf(stats), durable)
	}
	packs, err := r.shared()
	if err != nil {
		return err
	}
	index, err := r.freshIndex(ctx, stats)
	if err != nil {
		return err
	}
	objects := r.objects
	r.objects = nil
	r.later.start(func() error { objects.Close(); return nil })
	err = r.do("clone", func() error {
		c, err := clone.BuildIn(in, r.st.rec.Building, r.newClone(index, packs))
		if err == nil {
			err = c.Close()
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := makeLinks(in, index); err != nil {
		return err
	}
	fi, err := in.Lstat(".git/index")
	if err != nil {
		return err
	}
	return r.keepFresh(fi.ModTime().UnixNano(), durable)
}

func (r *run) newClone(index []plumbing.IndexEntry, packs []string) clone.New {
	n := clone.New{
		Origin: r.ask.URL, Commit: r.snap.Commit, Depth: r.ask.Depth, Shallow: r.snap.Shallow, Packs: packs, Index: index,
		Sparse: r.ask.Path, Partial: r.snap.Partial, Format: r.tip.Format, ID: r.st.id, Later: syncWaits,
	}
	name(&n, r.tip.Ref, r.ask.Ref, r.tip.Commit)
	return n
}

// name says what a new clone follows.
func name(n *clone.New, tip, asked string, commit plumbing.OID) {
	switch {
	case strings.HasPrefix(tip, "refs/heads/"):
		n.Branch = tip
		if asked == "" {
			n.Default = tip
		}
	case strings.HasPrefix(tip, "refs/tags/"):
		n.Tag, n.TagOID = tip, commit
	}
}

// keepDelivered begins to note what was delivered, while the folder gets its
// repository. Our state, which comes after, is what makes it count.
func (r *run) keepDelivered(stats map[string]plumbing.Stat, durable bool) error {
	if err := r.later.wait(); err != nil { // the packs, which a ref will name
		return err
	}
	known := make(delivered, len(r.snap.Files))
	for _, f := range r.snap.Files {
		if f.Mode != plumbing.Gitlink {
			known[f.Path] = fact{Entry: entryOf(f), stat: stats[f.Path]}
		}
	}
	if err := r.p.change("delivered"); err != nil {
		return err
	}
	format, repo, commit, last := r.tip.Format, r.repo, r.snap.Commit, r.rep
	if !durable {
		repo = repo.Unflushed()
	}
	r.later.start(func() error { return r.st.keep("delivered", known, format, durable) })
	r.later.start(func() error { return repo.WriteRef(snapshotRef(commit), commit, "") })
	r.later.start(func() error { return r.st.saveLast(last) })
	return nil
}

// keepFresh records where the folder is now, before it is moved in.
func (r *run) keepFresh(stamp int64, durable bool) error {
	rec, aside := &r.st.rec, r.st.rec.Building
	rec.Stamp, rec.Inode = stamp, inodeOf(aside)
	r.recordTip()
	rec.Head, rec.Identity = r.snap.Commit, identityOf(aside)
	if err := errors.Join(r.p.remember(r.st), r.later.wait()); err != nil {
		return err
	}
	return r.st.prepare(durable)
}

// recordTip notes what is delivered now.
func (r *run) recordTip() {
	rec := &r.st.rec
	over := rec.Over
	rec.Source, rec.Ref, rec.Path, rec.Depth, rec.Submodules = r.source, r.ask.Ref, r.ask.Path, r.ask.Depth, r.ask.Submodules
	rec.Format, rec.Commit, rec.Tree, rec.TipRef = r.tip.Format, string(r.snap.Commit), string(r.snap.Tree), r.tip.Ref
	rec.At, rec.Over = r.p.Now().UTC(), 0
	if slices.ContainsFunc(r.snap.Left, func(l snapshot.Left) bool { return l.TooLarge }) {
		rec.Over = r.p.Limits.Or().File
	}
	r.recordContent(over)
}

// moveIn makes what was built durable, in one go, and gives it its name. Our state
// says first that it may be there, then that it is: the names are changed of what is on
// the disk already.
func (r *run) moveIn(up *os.Root, name string, perm fs.FileMode) error {
	if err := syncDisk(r.st.rec.Building); err != nil {
		return err
	}
	if err := up.Chmod(name, perm); err != nil {
		return err
	}
	if err := r.do("state", func() error { return r.st.put(".new") }); err != nil {
		return err
	}
	to, away := filepath.Base(r.folder), filepath.Base(r.rep.Aside)
	if r.rep.Aside != "" {
		if err := r.do("set aside", func() error { return up.Rename(to, away) }); err != nil {
			return err
		}
	}
	err := r.do("rename", func() error { return nameFolder(up, name, to) })
	if err != nil && r.rep.Aside != "" {
		return errors.Join(err, nameFolder(up, away, to))
	}
	if err != nil {
		return err
	}
	r.st.rec.Building = ""
	if err := r.do("state", func() error { return r.st.put(".built") }); err != nil {
		return err
	}
	return r.syncNames(up)
}

// syncNames makes the names durable that were given last: the folder's, and our state's.
func (r *run) syncNames(up *os.Root) error {
	f, err := up.Open(".")
	if err != nil {
		return err
	}
	r.later.sync(f)
	if f, err = os.Open(r.st.dir); err != nil {
		return err
	}
	r.later.sync(f)
	return r.later.wait()
}

// writeAll writes the snapshot's files, and returns the stats they have then. Two may be
// at it, each by a tree of its own.
func (r *run) writeAll(ctx context.Context, in *os.Root) (map[string]plumbing.Stat, error) {
	var trees [2]*tree
	for i := range trees {
		trees[i] = &tree{root: in}
		defer trees[i].forget()
	}
	var files []plumbing.File
	var oids []plumbing.OID
	for _, f := range r.snap.Files {
		if f.Mode != plumbing.Gitlink {
			files, oids = append(files, f), append(oids, f.OID)
			continue
		}
		if _, err := trees[0].dir(f.Path, true); err != nil {
			return nil, err
		}
	}
	stats := make([]plumbing.Stat, len(files))
	told := r.countWritten(len(files))
	err := r.objects.Each(oids, func(who, i int, content *plumbing.Content) (err error) {
		if err := ctx.Err(); err != nil {
			return err
		}
		stats[i], err = r.writeOne(trees[who], files[i], content)
		told()
		return err
	})
	out := make(map[string]plumbing.Stat, len(files))
	for i, f := range files {
		out[f.Path] = stats[i]
	}
	return out, err
}

func (r *run) writeOne(t *tree, f plumbing.File, content *plumbing.Content) (plumbing.Stat, error) {
	if err := r.p.change("file"); err != nil {
		return plumbing.Stat{}, err
	}
	d, base, err := t.parent(f.Path, true)
	if err != nil {
		return plumbing.Stat{}, err
	}
	fi, err := place(d, base, func(w io.Writer) error { _, err := content.WriteTo(w); return err }, entryOf(f), 0, r.st.rec.Disk)
	if err != nil {
		return plumbing.Stat{}, err
	}
	return plumbing.StatOf(fi), nil
}

// countWritten returns what is called after each file, and tells of some.
func (r *run) countWritten(of int) func() {
	var mu sync.Mutex
	n := 0
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%64 == 0 || n == of {
			r.tellWritten(n, of)
		}
	}
}

func (r *run) tellWritten(n, of int) {
	if r.ask.Events != nil {
		r.ask.Events(Event{Phase: Writing, Files: int64(n), FilesTotal: int64(of), At: r.p.Now()})
	}
}

// place makes a file or a link that is not there yet, and returns its stat. A perm of
// 0 is what any new file has.
func place(d *os.Root, base string, content func(io.Writer) error, e merge.Entry, perm fs.FileMode, disk traits) (fs.FileInfo, error) {
	if e.Mode == merge.Symlink && !disk.NoLinks {
		var to bytes.Buffer
		if err := content(&to); err != nil {
			return nil, err
		}
		if err := d.Symlink(to.String(), base); err != nil {
			return nil, err
		}
		return d.Lstat(base)
	}
	switch {
	case perm != 0:
	case e.Mode == merge.Executable:
		perm = 0o777
	default:
		perm = 0o666
	}
	f, err := d.OpenFile(base, os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, perm)
	if err != nil {
		return nil, err
	}
	err = content(f)
	var fi fs.FileInfo
	if err == nil {
		fi, err = f.Stat()
	}
	return fi, errors.Join(err, f.Close())
}

func entryOf(f plumbing.File) merge.Entry {
	return merge.Entry{Mode: uint32(f.Mode), OID: string(f.OID)}
}

// freshIndex is the index of a fresh clone: the whole tree, where what is not on
// the disk is not expected there.
func (r *run) freshIndex(ctx context.Context, stats map[string]plumbing.Stat) ([]plumbing.IndexEntry, error) {
	files := r.snap.Files
	if r.ask.Path != "" || len(r.snap.Rest) > 0 {
		var err error
		if files, err = r.objects.Files(r.snap.Tree); err != nil {
			return nil, err
		}
	}
	given := make(map[string]plumbing.OID, len(r.snap.Files))
	for _, f := range r.snap.Files {
		given[f.Path] = f.OID
	}
	out := make([]plumbing.IndexEntry, 0, len(files))
	for _, f := range files {
		oid, ok := given[f.Path]
		ok = ok && oid == f.OID || f.Mode == plumbing.Gitlink
		out = append(out, plumbing.IndexEntry{File: f, Stat: stats[f.Path], Skip: !ok})
	}
	return out, nil
}

// makeLinks makes the empty folders that stand for submodules: without them git
// would call these removed.
func makeLinks(in *os.Root, index []plumbing.IndexEntry) error {
	links := slices.DeleteFunc(slices.Clone(index), func(e plumbing.IndexEntry) bool { return e.Mode != plumbing.Gitlink || e.Skip })
	if len(links) == 0 {
		return nil
	}
	t := &tree{root: in}
	defer t.forget()
	for _, e := range links {
		if _, err := t.dir(e.Path, true); err != nil && !errors.Is(err, errBlocked) {
			return err
		}
	}
	return nil
}
