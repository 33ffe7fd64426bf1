package pull

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// errHistory: an object is missing or damaged that a history needs.
var errHistory = errors.New("a history is damaged")

func damaged(err error) bool {
	return (errors.Is(err, errHistory) || errors.Is(err, plumbing.ErrMissing) || errors.Is(err, plumbing.ErrObject)) && !full(err)
}

// heal gets a pull past a history that is damaged: first the folder's own counts as a
// repository that is broken, and is put aside, if it is what is damaged; then ours. It
// returns false where there is nothing to be done.
func (r *run) heal(ctx context.Context, step int) (bool, error) {
	r.rep.Changes, r.rep.Notes, r.told = nil, nil, false
	r.later.wait() // what it says is of what is begun anew now
	if r.line != nil {
		r.line.Close()
		r.line = nil
	}
	stamp := r.p.Now().Format(idTime)
	if step == 0 {
		if r.clone == nil {
			return true, nil
		}
		if sound, err := r.cloneSound(ctx); sound || err != nil {
			return false, err
		}
		if err := r.waitForGit(); err != nil {
			return false, err
		}
		r.seen = r.lastSeen()
		r.clone.Close()
		r.clone, r.broken, r.hurt = nil, true, r.st.file(filepath.Join("kept", "git-"+stamp))
		for n := 1; exists(r.hurt); n++ {
			r.hurt = r.st.file(filepath.Join("kept", fmt.Sprintf("git-%s-%d", stamp, n)))
		}
		return true, nil
	}
	if r.ask.DryRun || r.intact(ctx) || ctx.Err() != nil {
		return false, ctx.Err()
	}
	return true, r.anew()
}

// lastSeen is what the source had when the folder last heard of it, by its own notes.
func (r *run) lastSeen() plumbing.OID {
	b, ok := strings.CutPrefix(r.tip.Ref, "refs/heads/")
	if !ok {
		return ""
	}
	oid, _, _ := r.clone.Ref("refs/remotes/origin/" + b)
	return oid
}

// fetchWhole fetches. Where the source was told of something that is not all there,
// what comes does not do: then it is told of nothing, and sends all.
func (r *run) fetchWhole(ctx context.Context, depth int, have plumbing.OID) error {
	tip := r.tip
	first := r.fetch(ctx, r.repo, depth, have)
	if first == nil {
		return nil
	}
	r.tip = tip
	if have == "" || ctx.Err() != nil || !suspicious(first) || reaches(ctx, r.repo, string(have)) && r.intact(ctx) && !r.looseHurt() {
		return first
	}
	r.later.wait()
	r.blind = true
	if err := r.forgetHistory(ctx); err != nil {
		return err
	}
	if r.line != nil {
		r.line.Close()
		r.line = nil
	}
	repo, err := r.p.git(r.st)
	if err != nil {
		return err
	}
	if err := r.fetch(ctx, repo, r.ask.Depth, ""); err != nil {
		r.tip = tip
		return errors.Join(err, errHistory)
	}
	if err := r.openRepo(); err != nil {
		return err
	}
	r.objects.Close()
	r.objects, err = r.repo.Objects(ctx)
	return err
}

// suspicious reports whether a fetch may have failed for what is here, and not for
// the source or the way to it.
func suspicious(err error) bool {
	var p *daypass.Problem
	return !errors.As(err, &p) || p.Code == "DP-328" || errors.Is(err, snapshot.ErrObjects) || damaged(err)
}

// forgetHistory makes our repository tell nobody what it has; where objects of it are
// damaged, it is put aside for a new one.
func (r *run) forgetHistory(ctx context.Context) error {
	repo, err := r.p.git(r.st)
	if err != nil {
		return err
	}
	refs, err := repo.ListRefs("refs/daypass/")
	if err != nil {
		return err
	}
	for name := range refs {
		if strings.HasPrefix(name, backupRef("")) {
			continue
		}
		if err := repo.DeleteRef(name); err != nil {
			return err
		}
	}
	if !r.ask.DryRun && !r.intact(ctx) && ctx.Err() == nil {
		return r.anew()
	}
	return nil
}

// anew puts our repository aside, and makes an empty one. What the user's backups need is
// read where it is then.
func (r *run) anew() error {
	r.blind = true
	if r.objects != nil {
		r.objects.Close()
		r.objects = nil
	}
	if err := r.st.keepAway("repo.git", r.p.Now()); err != nil {
		return err
	}
	_, err := r.p.Git.Create(r.st.repo(), r.st.rec.Format)
	return err
}

// ownObjects opens what our repository has by itself, without the folder's.
func (r *run) ownObjects(ctx context.Context) (*plumbing.Objects, error) {
	repo, err := r.p.git(r.st)
	if err != nil {
		return nil, err
	}
	return repo.Objects(ctx)
}

// sound reports whether what the user has committed since can be followed.
func (r *run) sound(ctx context.Context, head plumbing.OID) bool {
	tips := []string{string(head), "^" + string(r.snap.Commit)}
	for _, known := range []plumbing.OID{plumbing.OID(r.st.rec.Commit), r.base} {
		if known != "" {
			tips = append(tips, "^"+string(known))
		}
	}
	return reaches(ctx, r.repo, tips...)
}

// follows reports whether all is there that a commit is made of, but for what a known
// one has.
func (r *run) follows(ctx context.Context, commit, known plumbing.OID) bool {
	return reaches(ctx, r.repo, string(commit), "^"+string(known))
}

// emptied reports whether the commit that HEAD is at, or its files' names, is an empty
// file in the folder's repository: so a power cut leaves what git wrote last. Where it is
// what we brought, nothing else would look at it.
func (r *run) emptied() bool {
	head, err := r.clone.Head()
	if err != nil || head.Commit == "" {
		return false
	}
	oids := []plumbing.OID{head.Commit}
	if string(head.Commit) == r.st.rec.Commit {
		oids = append(oids, plumbing.OID(r.st.rec.Tree))
	}
	return slices.ContainsFunc(oids, func(oid plumbing.OID) bool {
		fi, err := os.Lstat(filepath.Join(r.clone.Objects(), string(oid[:2]), string(oid[2:])))
		return err == nil && fi.Size() == 0
	})
}

// cut reports whether a commit's parents are missing, although the folder's repository
// does not say so.
func (r *run) cut(head plumbing.OID) bool {
	ends, err := r.repo.Shallow()
	if err != nil || !slices.Contains(ends, head) {
		return false
	}
	said, err := r.repo.Borrowed()
	return err == nil && !slices.Contains(said, head)
}

// borrow brings what the folder's repository only borrows from others (git clone
// --shared or --reference) into ours: those may go.
func (r *run) borrow(ctx context.Context, head plumbing.OID) error {
	if head == "" || !exists(filepath.Join(r.clone.Objects(), "info", "alternates")) {
		return nil
	}
	ends, err := r.repo.Borrowed()
	if err == nil && len(ends) > 0 {
		err = r.repo.AddShallow(ends...)
	}
	if err != nil {
		return err
	}
	cmd := r.repo.Command(ctx, "pack-objects", "--revs", "--quiet", "--delta-base-offset", filepath.Join(r.st.repo(), "objects", "pack", "pack"))
	cmd.Stdin = strings.NewReader(string(head) + "\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := plumbing.Run(cmd, lookMemory); err != nil && strings.Contains(out.String(), "No space left") {
		return errors.Join(err, errors.New(strings.TrimSpace(out.String())))
	}
	return ctx.Err() // what is not there cannot be brought: then it is no base
}

// soundLoose reports whether a loose object is what its name says: one that a power
// cut left empty must not get into our repository.
func soundLoose(file string) bool {
	want := filepath.Base(filepath.Dir(file)) + filepath.Base(file)
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	in, err := zlib.NewReader(f)
	if err != nil {
		return false
	}
	sum := sha1.New()
	if len(want) == 64 {
		sum = sha256.New()
	}
	if _, err := io.Copy(sum, in); err != nil {
		return false
	}
	return hex.EncodeToString(sum.Sum(nil)) == want
}
