package pull

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/clone"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// sameSource refuses a folder that is something else's. A folder that came from
// this source once may have another origin by now: a fork to push to.
func (r *run) sameSource() error {
	if r.ask.Content != nil {
		return r.sameContent()
	}
	if r.st != nil && r.st.rec.Content && r.st.rec.Commit != "" {
		return r.problemCame()
	}
	if r.st != nil && r.st.rec.Commit != "" && clone.SameRepository(r.st.rec.Source, r.source) {
		return nil
	}
	if r.clone == nil {
		if r.st != nil && r.st.rec.Commit != "" {
			return r.problemOther(r.st.rec.Source)
		}
		return nil
	}
	origin, ok, err := r.clone.Origin()
	if err != nil {
		return err
	}
	if ok && clone.SameRepository(origin, r.ask.URL) {
		return nil
	}
	if shown, err := clean(origin); err == nil {
		origin = shown
	} else {
		origin = "another repository"
	}
	return r.problemOther(origin)
}

// takeOver gives our repository what the folder's has, by hard links: from here on
// neither a removed .git nor a git gc there takes anything away. It returns the
// folder's commit.
func (r *run) takeOver(ctx context.Context) (plumbing.OID, error) {
	files, err := objectFiles(filepath.Dir(r.clone.Objects()))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		rel, err := filepath.Rel(r.clone.Objects(), file)
		if err != nil {
			return "", err
		}
		if err := linkObject(file, filepath.Join(r.st.repo(), "objects", rel)); err != nil {
			return "", err
		}
	}
	shallow, err := r.clone.Shallow()
	if err != nil {
		return "", err
	}
	if len(shallow) > 0 {
		if err := r.repo.AddShallow(shallow...); err != nil {
			return "", err
		}
	}
	head, err := r.clone.Head()
	if err != nil {
		return "", err
	}
	return head.Commit, r.borrow(ctx, head.Commit)
}

// linkObject brings a loose object, or a pack with its index, to a repository. The
// pack is last but one, since it counts only with its index.
func linkObject(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	pairs := [][2]string{{from, to}}
	if stem, ok := strings.CutSuffix(from, ".pack"); ok {
		if !exists(stem + ".idx") {
			return nil // its download was cut short
		}
		pairs = append(pairs, [2]string{stem + ".idx", strings.TrimSuffix(to, ".pack") + ".idx"})
	} else if !soundLoose(from) {
		return nil
	}
	for _, p := range pairs {
		if exists(p[1]) {
			continue
		}
		if os.Link(p[0], p[1]) == nil {
			continue
		}
		data, err := os.ReadFile(p[0])
		if err != nil {
			return err
		}
		if err := replace(p[1], data, true); err != nil {
			return err
		}
	}
	return nil
}

// adopt finds what a folder was delivered that another tool, or git itself, has
// pulled into.
func (r *run) adopt(ctx context.Context, o *plumbing.Objects) (delivered, error) {
	r.st.rec.Disk = r.traitsHere()
	commit, err := r.seen, error(nil)
	if r.clone != nil {
		if head, err := r.clone.Head(); err != nil || r.cut(head.Commit) {
			return nil, errors.Join(err, errHistory)
		}
		commit, err = r.lastDelivered(ctx)
	}
	if err != nil || commit == "" {
		return delivered{}, err
	}
	c, err := o.Commit(commit)
	if err != nil {
		return delivered{}, nil // shallow, or broken: what is on the disk counts
	}
	files, err := o.Files(c.Tree)
	if damaged(err) {
		return delivered{}, nil
	}
	if err != nil {
		return nil, err
	}
	r.base, r.cloned = commit, r.tracked(o)
	r.rep.Old = string(commit)
	skip := hidden{}
	if _, ours := r.cloneID(); ours { // what we left out then is not the user's choice
		entries, _ := r.clone.Index()
		skip = hiddenIn(entries)
	}
	base := delivered{}
	for _, f := range files {
		if f.Mode != plumbing.Gitlink && !skip.has(f.Path) {
			base[f.Path] = fact{Entry: entryOf(f)}
		}
	}
	return base, nil
}

// lastDelivered is the newest value that the source's branch had here and that the
// user's HEAD contains.
func (r *run) lastDelivered(ctx context.Context) (plumbing.OID, error) {
	head, err := r.clone.Head()
	if err != nil || head.Commit == "" {
		return "", err
	}
	heads, err := r.amended(ctx, head.Commit)
	if err != nil {
		return "", err
	}
	oid, err := r.sourceIn(ctx, heads, head.Branch)
	if err != nil || oid != "" {
		return oid, err
	}
	// Upstream's history was written anew before anything else was fetched: what was
	// cloned is the oldest that HEAD ever was.
	seen, err := r.clone.Log("HEAD")
	if err != nil {
		return "", err
	}
	if len(seen) == 0 {
		// An amended commit of a shallow clone, and git forgets its log after 30 days.
		return r.lastSeen(), nil
	}
	first := seen[len(seen)-1]
	if !r.contains(ctx, head.Commit, first) {
		return "", nil
	}
	return first, nil
}

// amends is how many amended commits are looked at.
const amends = 20

// amended are the user's commit and those that it, or one below it, was before the user
// amended it: what they have was made of those too. A commit that they went back from is
// none of them.
func (r *run) amended(ctx context.Context, head plumbing.OID) ([]plumbing.OID, error) {
	changes, err := r.clone.Changes("HEAD")
	out := []plumbing.OID{head}
	for _, c := range changes {
		if strings.HasPrefix(c.Message, "commit (amend)") && len(out) <= amends && r.anyContains(ctx, out, c.New) {
			out = append(out, c.Old)
		}
	}
	return out, err
}

// anyContains reports whether one of some commits has another among its ancestors.
func (r *run) anyContains(ctx context.Context, commits []plumbing.OID, old plumbing.OID) bool {
	return slices.ContainsFunc(commits, func(c plumbing.OID) bool { return r.contains(ctx, c, old) })
}

// sourceIn is the newest commit of the source that the user's, the first of heads, or what
// it was before, contains.
func (r *run) sourceIn(ctx context.Context, heads []plumbing.OID, branch string) (plumbing.OID, error) {
	head := heads[0]
	base := r.mergeBase(ctx, head, r.snap.Commit)
	if base == head {
		return base, nil
	}
	var refs []string
	if b, ok := strings.CutPrefix(r.tip.Ref, "refs/heads/"); ok {
		refs = append(refs, "refs/remotes/origin/"+b)
	} else if r.tip.Ref != "" {
		refs = append(refs, r.tip.Ref)
	}
	if up, ok := r.clone.Upstream(branch); ok {
		refs = append(refs, "refs/remotes/origin/"+strings.TrimPrefix(up, "refs/heads/"))
	}
	for _, ref := range slices.Compact(refs) {
		seen, err := r.clone.Log(ref)
		if err != nil {
			return "", err
		}
		if now, ok, err := r.clone.Ref(ref); err == nil && ok {
			seen = append([]plumbing.OID{now}, seen...)
		}
		for _, oid := range slices.Compact(seen)[:min(len(slices.Compact(seen)), 50)] {
			if !r.anyContains(ctx, heads, oid) {
				continue
			}
			if base != "" && base != oid && r.contains(ctx, base, oid) {
				return base, nil // brought by another way
			}
			return oid, nil
		}
	}
	for _, ref := range refs {
		if now, ok, err := r.clone.Ref(ref); err == nil && ok {
			if oid := r.mergeBase(ctx, head, now); oid != "" {
				return oid, nil
			}
		}
	}
	return base, nil
}

// tracked is the tree of what the user's git says the source's branch was last; "" where
// it does not, or where that is not there.
func (r *run) tracked(o *plumbing.Objects) plumbing.OID {
	if r.clone == nil {
		return ""
	}
	now := r.lastSeen()
	if now == "" {
		return ""
	}
	c, err := o.Commit(now)
	if err != nil {
		return ""
	}
	if _, err := o.Files(c.Tree); err != nil {
		return ""
	}
	return c.Tree
}

// contains reports whether a commit has another among its ancestors.
func (r *run) contains(ctx context.Context, commit, old plumbing.OID) bool {
	if commit == old {
		return true
	}
	return r.repo.Command(ctx, "merge-base", "--is-ancestor", string(old), string(commit)).Run() == nil
}

func (r *run) mergeBase(ctx context.Context, a, b plumbing.OID) plumbing.OID {
	out, err := r.repo.Command(ctx, "merge-base", string(a), string(b)).Output()
	oid := plumbing.OID(strings.TrimSpace(string(out)))
	if err != nil || !oid.Valid() {
		return ""
	}
	return oid
}

// traitsHere looks at the disk of a folder that is the user's, in a folder of our
// own inside it.
func (r *run) traitsHere() traits {
	t, err := r.openTree()
	if err != nil {
		return traits{}
	}
	defer t.close()
	name := asidePrefix + r.p.random(6)
	if err := t.root.Mkdir(name, 0o700); err != nil {
		return traits{}
	}
	defer t.root.RemoveAll(name)
	dir, err := t.dir(name, false)
	if err != nil {
		return traits{}
	}
	return r.p.traits(dir)
}

// endUnfinished ends a merge, rebase or the like of the user's, and takes the
// marks of conflicts out of the files: their own side is what stood there before.
func (r *run) endUnfinished(ctx context.Context, o *plumbing.Objects) error {
	if r.clone == nil || r.ask.DryRun {
		return nil
	}
	kind, err := r.clone.Unfinished()
	if err != nil || kind == "" || kind == "bisect" {
		return err
	}
	if err := r.waitForGit(); err != nil {
		return err
	}
	if err := r.claim(); err != nil {
		return err
	}
	if err := r.unmark(ctx, o); err != nil {
		return err
	}
	put, stamp := r.clone.Autostash(), r.p.Now().Format("20060102-150405")
	err = r.do("unfinished", func() error { return r.clone.EndUnfinished(r.st.file(filepath.Join("kept", stamp))) })
	if err != nil {
		return err
	}
	note := fmt.Sprintf("An unfinished %s has been ended; what it had changed is in the backup.", kind)
	if put {
		note += " What git had put away before it began is in git's stash: git stash pop"
	}
	r.rep.Notes = append(r.rep.Notes, note)
	return r.reopen()
}

// waitForGit waits until no git command works in the folder.
func (r *run) waitForGit() error {
	if r.clone == nil {
		return nil
	}
	for end := time.Now().Add(r.p.patience()); ; time.Sleep(100 * time.Millisecond) {
		lock, ok := r.clone.Locked()
		if !ok || lock.Stale() {
			return nil
		}
		if time.Now().Before(end) {
			continue
		}
		if lock.Known && !lock.Alive {
			// Whoever made it is dead, and nothing was heard of it for as long as we wait.
			return r.do("git's lock", func() error { return r.dropLock(lock.Path) })
		}
		return problemGitLock(lock.Path)
	}
}

// dropLock takes away a lock of git's that nobody holds.
func (r *run) dropLock(file string) error {
	name, err := filepath.Rel(r.folder, file)
	open := r.openTree
	if err != nil || !filepath.IsLocal(name) { // a work tree's, whose repository is elsewhere
		name = filepath.Base(file)
		open = func() (*tree, error) { return openTree(filepath.Dir(file)) }
	}
	t, err := open()
	if err != nil {
		return err
	}
	defer t.close()
	return setAway(t, filepath.ToSlash(name), r.st.file("kept/index.lock-"+r.p.Now().Format(idTime)))
}

// reopen reads the repository anew.
func (r *run) reopen() error {
	if r.clone == nil {
		return nil
	}
	r.clone.Close()
	c, err := r.openClone()
	r.clone = c
	if errors.Is(err, clone.ErrNone) {
		r.clone = nil
		return nil
	}
	return err
}
