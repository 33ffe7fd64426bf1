package pull

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
	"github.com/daypass-dev/daypass/snapshot"
)

// A Content is a source that is not git's: read by a provider here ([Read]), or by an
// access service.
type Content interface {
	// Source is the canonical text of a [daypass.Source]: what the folder is a copy of.
	Source() string
	// Look tells whether anything changed since a mark, which an earlier Fetch returned.
	Look(ctx context.Context, mark string) (daypass.Seen, error)
	// Fetch brings it into repo, as [snapshot.Content.Fetch] does. have is the commit
	// that was delivered last, "" for none.
	Fetch(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, include []string, progress func(snapshot.Progress)) (snapshot.Snapshot, error)
}

// Read is the content that a provider reads in this process.
func Read(c snapshot.Content, s daypass.Source) Content { return reading{c, s} }

type reading struct {
	from   snapshot.Content
	source daypass.Source
}

func (r reading) Source() string { return r.source.String() }

func (r reading) Look(ctx context.Context, mark string) (daypass.Seen, error) {
	return r.from.Look(ctx, r.source, mark)
}

func (r reading) Fetch(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, include []string, progress func(snapshot.Progress)) (snapshot.Snapshot, error) {
	return r.from.Fetch(ctx, repo, snapshot.ContentAsk{Source: r.source, Have: have, Include: include, Progress: progress})
}

// contentFormat is that of the objects of content.
const contentFormat = "sha1"

// sameContent refuses a folder that is something else's. What is nobody's is taken up.
func (r *run) sameContent() error {
	if r.clone != nil {
		origin, _, err := r.clone.Origin()
		if err != nil {
			return err
		}
		if shown, err := clean(origin); err != nil {
			origin = "another repository"
		} else {
			origin = shown
		}
		return r.problemOther(origin)
	}
	if r.broken {
		return problemForeign(r.folder, "it has a .git, which is damaged")
	}
	if r.st == nil || r.st.rec.Commit == "" {
		return nil
	}
	have, ok1 := daypass.ParseSource(r.st.rec.Source)
	want, ok2 := daypass.ParseSource(r.source)
	have.Ref, want.Ref = "", "" // another state of the same
	switch {
	case r.st.rec.Content && ok1 && ok2 && have == want:
		return nil
	case r.st.rec.Content && ok2 && r.ledBy():
		r.led = true
		return nil
	}
	return r.problemCame()
}

// ledBy reports whether the folder goes where its link leads: it came by that very
// one. What was delivered is the base of the merge then, as with any other pull, so that
// nobody can do more by leading elsewhere than by changing what is there.
func (r *run) ledBy() bool {
	rec := r.st.rec
	return rec.Via != "" && rec.Service != "" && rec.Via == r.ask.Via && rec.Service == r.ask.Service
}

// tellLed says that the link leads to another source than before.
func (r *run) tellLed() {
	if !r.led {
		return
	}
	was, now := r.st.rec.Source, r.source
	if a, b := r.st.rec.Title, r.snap.Title; a != "" && b != "" && a != b {
		was, now = "“"+a+"”", "“"+b+"”"
	}
	r.rep.Notes = append(r.rep.Notes, fmt.Sprintf("The link leads to another source now: %s, where it was %s. What you had changed is still here.", now, was))
}

// freshContent is fresh for a source that is not git's.
func (r *run) freshContent(ctx context.Context) (err error) {
	if err := r.takeStore(); err != nil {
		return err
	}
	if err := r.freshRepo(ctx); err != nil {
		return err
	}
	if !r.ask.DryRun {
		if err := r.noteAside(); err != nil {
			return err
		}
	}
	err = r.fetchContent(ctx, "")
	if err := errors.Join(err, r.noted.wait()); err != nil {
		return err
	}
	r.tellFresh()
	r.tellNotes()
	if r.ask.DryRun {
		return r.forgetDry()
	}
	if err := r.room(filepath.Dir(r.folder), r.snap.Bytes); err != nil {
		return err
	}
	return r.build(ctx)
}

// freshRepo makes our repository of a folder that is not there yet. Where all is made
// durable in one go ([run.moveIn]), nothing waits for the disk before that; so what is here
// of a pull that was cut off may be half of something, and is put aside then.
func (r *run) freshRepo(ctx context.Context) (err error) {
	if r.repo, err = r.p.Git.Create(r.st.repo(), contentFormat); err != nil {
		return err
	}
	if !r.made && !r.ask.DryRun && !wholePacks(ctx, r.repo) {
		if err := r.st.keepAway("repo.git", r.p.Now()); err != nil {
			return err
		}
		if r.repo, err = r.p.Git.Create(r.st.repo(), contentFormat); err != nil {
			return err
		}
	}
	if r.flushedAtOnce() {
		r.repo = r.repo.Unflushed()
	}
	return nil
}

// flushedAtOnce reports whether one flush of the folder's disk is to do for our state too.
func (r *run) flushedAtOnce() bool {
	up := filepath.Dir(r.folder)
	for !exists(up) && filepath.Dir(up) != up {
		up = filepath.Dir(up)
	}
	return syncWaits && sameDisk(up, r.st.dir)
}

// fetchContent brings the source into our repository.
func (r *run) fetchContent(ctx context.Context, have plumbing.OID) error {
	include, err := r.included()
	if err != nil {
		return err
	}
	r.event(Fetching, r.source)
	if r.objects != nil {
		r.objects.Close()
		r.objects = nil
	}
	if r.led {
		have = "" // another source's
	}
	snap, err := r.ask.Content.Fetch(ctx, r.repo, have, include, r.progress())
	if err != nil {
		return err
	}
	r.snap, r.tip = snap, snapshot.Tip{Commit: snap.Commit, Format: r.repo.Format()}
	r.rep.New, r.rep.Title = string(snap.Commit), snap.Title
	if r.led {
		r.snap.Renames = nil // ids of one source say nothing of another's files
		r.snap.Spared, r.snap.SparesAll = nil, false
	}
	r.rep.Notes = append(r.rep.Notes, r.unmatched()...)
	r.objects, err = r.repo.Objects(ctx)
	return err
}

// included are the patterns of what comes in spite of its size: those of this pull and
// of those before.
func (r *run) included() ([]string, error) {
	var before []string
	if r.st != nil {
		before = r.st.rec.Include
	}
	return Included(before, r.ask.Include)
}

// Included puts patterns of [Ask.Include] together with those that a folder has already
// ([State.Include]), as a pull does.
func Included(before, more []string) ([]string, error) {
	all := slices.Clone(before)
	for _, p := range more {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return nil, problemPattern(p)
		}
		all = append(all, path.Clean(p))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// unmatched says which patterns of this pull name nothing.
func (r *run) unmatched() []string {
	var notes []string
	for _, p := range r.ask.Include {
		if slices.ContainsFunc(r.snap.Files, func(f plumbing.File) bool { return snapshot.Included([]string{p}, f.Path) }) {
			continue
		}
		notes = append(notes, fmt.Sprintf("Nothing of this source is called %q.", p))
	}
	return notes
}

// updateContent is update for a source that is not git's.
func (r *run) updateContent(ctx context.Context) error {
	base, missing, err := r.recallBase(ctx)
	if err != nil {
		return err
	}
	same, err := r.sameMark(ctx)
	if err != nil {
		return err
	}
	if r.st != nil {
		r.rep.Old, r.rep.New = r.st.rec.Commit, r.st.rec.Commit
	}
	if len(missing) > 0 && r.st.rec.Over > 0 {
		same = false // what is over the limit does not come back
	}
	if same && len(missing) == 0 {
		r.rep.Same = true
		return r.noteName()
	}
	err = r.convergeContent(ctx, base, missing, same)
	for step := 0; step < 2 && damaged(err); step++ {
		if again, other := r.heal(ctx, step); other != nil {
			return other
		} else if again {
			err = r.convergeContent(ctx, base, missing, false)
		}
	}
	return err
}

// sameMark reports whether the source has what was delivered last.
func (r *run) sameMark(ctx context.Context) (bool, error) {
	if r.st == nil || r.st.rec.Commit == "" || r.st.rec.Mark == "" || r.st.rec.Pending || r.st.rec.Source != r.source || r.raised() {
		return false, nil
	}
	if r.st.rec.Via != r.ask.Via || r.st.rec.Service != r.ask.Service {
		return false, nil // which is to be noted
	}
	include, err := r.included()
	if err != nil || !slices.Equal(include, r.st.rec.Include) {
		return false, err
	}
	r.event(Looking, r.source)
	seen, err := r.ask.Content.Look(ctx, r.st.rec.Mark)
	r.rep.Title = seen.Title
	return seen.Same, err
}

// convergeContent brings what is new, and joins it with what the folder has.
func (r *run) convergeContent(ctx context.Context, base delivered, missing []string, same bool) error {
	if err := r.openContent(); err != nil {
		return err
	}
	defer r.forgetDry()
	if same {
		return r.again(ctx, base, missing)
	}
	r.recalled = false
	adopt := r.st.rec.Commit == ""
	if err := r.fetchContent(ctx, plumbing.OID(r.st.rec.Commit)); err != nil {
		return err
	}
	repo, commit := r.repo, r.snap.Commit
	if !r.ask.DryRun {
		if err := repo.WriteRef(snapshotRef(commit), commit, ""); err != nil {
			return err
		}
	}
	if !adopt && r.st.rec.Tree == string(r.snap.Tree) && len(missing) == 0 && !r.st.rec.Pending {
		return r.noNews()
	}
	if adopt {
		var err error
		if base, err = r.adopt(ctx, r.objects); err != nil {
			return err
		}
		if err := r.lost(ctx, base); err != nil {
			return err
		}
	}
	return r.join(ctx, r.objects, base, missing)
}

// openContent opens our repository of this folder, which is made where there is none.
func (r *run) openContent() error {
	if r.st == nil {
		if err := r.makeStore(); err != nil {
			return err
		}
	}
	if r.st.rec.Format == "" {
		r.st.rec.Format = contentFormat
	}
	if _, err := r.p.Git.Create(r.st.repo(), r.st.rec.Format); err != nil {
		return err
	}
	return r.openRepo()
}

// again brings back what the user has removed: the source has nothing new, and is not
// asked.
func (r *run) again(ctx context.Context, base delivered, missing []string) error {
	rec := r.st.rec
	r.recalled = true
	r.snap = snapshot.Snapshot{Commit: plumbing.OID(rec.Commit), Tree: plumbing.OID(rec.Tree), Mark: rec.Mark, Renames: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(base)) {
		r.snap.Files = append(r.snap.Files, plumbing.File{Path: name, Mode: plumbing.Mode(base[name].Mode), OID: plumbing.OID(base[name].OID)})
	}
	r.tip = snapshot.Tip{Commit: r.snap.Commit, Format: rec.Format}
	objects, err := r.repo.Objects(ctx)
	if err != nil {
		return err
	}
	if r.objects != nil {
		r.objects.Close()
	}
	r.objects = objects
	return r.join(ctx, objects, base, missing)
}

// noNews notes that all that came is here.
func (r *run) noNews() error {
	r.rep.Same = true
	r.tellLed()
	r.rep.Notes = append(r.rep.Notes, r.snap.Notes...)
	if r.ask.DryRun {
		return nil
	}
	r.recordTip()
	return r.claim()
}

// recordContent notes what is delivered now of a source that is not git's.
func (r *run) recordContent(over int64) {
	rec := &r.st.rec
	rec.Content, rec.Mark, rec.Via, rec.Service = r.ask.Content != nil, r.snap.Mark, r.ask.Via, r.ask.Service
	if !rec.Content {
		return
	}
	rec.Depth, rec.Ref, rec.Path, rec.Submodules = 0, "", "", false
	rec.Include, _ = r.included() // it was asked before
	if !r.recalled {
		rec.Title = r.snap.Title
	} else {
		rec.Over = over
	}
}

// contentOf is the state of a folder that was pulled into and has no repository of
// ours: by what it keeps under another name, or by its path. One with a repository may
// be another one that the user has made there.
func (p *Puller) contentOf(folder string, repository bool) (*store, error) {
	here := identityOf(folder)
	if here.Inode != 0 {
		id, err := os.ReadFile(p.key("folders", here.name()))
		if ignoreMissing(err) != nil {
			return nil, err
		}
		s, err := p.load(string(id))
		if ignoreMissing(err) != nil {
			return nil, err
		}
		if err == nil && p.isAt(s, folder, here) {
			return s, nil
		}
	}
	if repository {
		return nil, nil
	}
	s, err := p.named(folder)
	if s == nil || err != nil || !s.rec.Content {
		return nil, err
	}
	return s, nil
}

// isAt reports whether a state is that of a folder, and no other one is.
func (p *Puller) isAt(s *store, folder string, here identity) bool {
	if s.damaged || !s.rec.Content || !s.rec.Identity.same(here) {
		return false
	}
	if s.rec.Folder != folder && identityOf(s.rec.Folder).same(here) {
		return false
	}
	// Without a birth time the number may be that of a folder which is gone.
	return here.dated() && s.rec.Identity.dated() || s.left(folder)
}

// useContent finds the state of a folder that content was pulled into. A repository
// that the user has made there is theirs.
func (r *run) useContent(st *store) (*store, error) {
	if r.clone != nil && st != nil {
		return st, nil
	}
	own, err := r.p.contentOf(r.folder, r.clone != nil || r.broken)
	if err != nil || own == nil {
		return st, err
	}
	if r.clone != nil {
		r.clone.Close()
	}
	r.clone, r.broken = nil, false
	return own, nil
}

// movedIn reports whether the folder is the one that was put together beside it.
func (r *run) movedIn() bool {
	if r.st.rec.Content {
		return r.st.rec.Identity.same(identityOf(r.folder))
	}
	id, ok := r.cloneID()
	return ok && id == r.st.id
}

// likeness is what tells renames that the source does not know.
func (pl *plan) likeness() func(base, theirs merge.Entry) bool {
	if pl.r.snap.Renames != nil {
		return nil
	}
	return pl.similar
}

// youngest is the disk's time by the files that were written, and not before a time.
func youngest(after int64, ops []op, next delivered) int64 {
	for _, o := range ops {
		if f, ok := next[o.Path]; ok && o.Do == opPut && f.stat != (plumbing.Stat{}) {
			after = max(after, f.stat.MTime.UnixNano())
		}
	}
	return after
}

// youngestOf is the same of a fresh folder.
func youngestOf(stats map[string]plumbing.Stat) (at int64) {
	for _, s := range stats {
		at = max(at, s.MTime.UnixNano())
	}
	return at
}
