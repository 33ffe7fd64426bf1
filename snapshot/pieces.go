package snapshot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// A pack that breaks off before so many bytes is not worth going on with.
const worthIt = 1 << 20

// piecesFile lists the commits whose files have come in part. git takes a commit that
// is there for whole, so that such a one is not fetched in one go any more.
const piecesFile = "daypass-pieces"

// all fetches a tip, in one go or in pieces.
func (f fetch) all(ctx context.Context, t Tip) error {
	begun, err := unfinished(f.repo)
	if err != nil {
		return err
	}
	if slices.Contains(begun, t.Commit) {
		return f.pieces(ctx, t.Commit, nil)
	}
	var brought int64
	whole := f
	whole.brought = &brought
	err = whole.byLine(ctx, t)
	if again := f.depth == 1 && brought >= worthIt && brokenOff(err); err != nil && ctx.Err() == nil && !again && !final(err) {
		err = whole.tip(ctx, t)
	}
	if whole.old(err) && ctx.Err() == nil {
		whole.full = true
		err = whole.tip(ctx, t)
	}
	if err == nil || f.depth != 1 || brought < worthIt || ctx.Err() != nil || !brokenOff(err) {
		return err
	}
	return f.pieces(ctx, t.Commit, err)
}

// brokenOff reports whether a fetch ended for the way's sake.
func brokenOff(err error) bool {
	var p *daypass.Problem
	return errors.As(err, &p) && (p.Code == "DP-319" || errors.Is(err, errIdle))
}

// pieces fetches a commit without its files, then these, in portions that become
// smaller where the way breaks off and larger where it does not. why is what went
// wrong before, for a source that does not serve pieces.
func (f fetch) pieces(ctx context.Context, commit plumbing.OID, why error) error {
	bones := f
	bones.bare, bones.blind = true, true
	if err := remember(f.repo, commit, true); err != nil {
		return err
	}
	// No ref names it yet: what a ref names, sources are told that we have.
	if err := bones.git(ctx, string(commit)+"\n", "--depth=1", "--stdin", "--", remoteName); err != nil {
		if why != nil {
			return why
		}
		return err
	}
	missing, err := f.missing(ctx, commit)
	if err != nil {
		return err
	}
	portion, failures := 64, 0
	for len(missing) > 0 {
		n := min(portion, len(missing))
		err := bones.blobs(ctx, missing[:n])
		switch {
		case err == nil:
			missing, portion, failures = missing[n:], min(2*portion, 2048), 0
		case refused(err) != nil:
			// It leaves files out, and does not give them one by one: all again.
			err := f.git(ctx, "", "--depth=1", "--refetch", "--", remoteName, "+"+string(commit)+":"+f.ref)
			if err != nil {
				return err
			}
			missing = nil
		case ctx.Err() != nil || !brokenOff(err) || failures == 8:
			return err
		default:
			failures++
			portion = max(n/4, 1)
		}
	}
	if err := f.repo.WriteRef(f.ref, commit, ""); err != nil {
		return err
	}
	return remember(f.repo, commit, false)
}

// blobs fetches files by their ids.
func (f fetch) blobs(ctx context.Context, oids []plumbing.OID) error {
	var b strings.Builder
	for _, oid := range oids {
		b.WriteString(string(oid) + "\n")
	}
	return f.git(ctx, b.String(), "--stdin", "--", remoteName)
}

// missing lists a commit's files that have not come.
func (f fetch) missing(ctx context.Context, commit plumbing.OID) ([]plumbing.OID, error) {
	o, err := f.repo.Objects(ctx)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	c, err := o.Commit(commit)
	if err != nil {
		return nil, err
	}
	files, err := o.FilesUpTo(c.Tree, f.g.walkLimit())
	if errors.Is(err, plumbing.ErrTooMany) {
		return nil, tooLarge(f.at, "there is no end of its files and folders")
	} else if err != nil {
		return nil, err
	}
	var oids, out []plumbing.OID
	for _, file := range files {
		if file.Mode != plumbing.Gitlink {
			oids = append(oids, file.OID)
		}
	}
	heads, err := o.Heads(oids)
	if err != nil {
		return nil, err
	}
	seen := map[plumbing.OID]bool{}
	for i, h := range heads {
		if h.Kind == "" && !seen[oids[i]] {
			seen[oids[i]] = true
			out = append(out, oids[i])
		}
	}
	return out, nil
}

// unfinished returns the commits that piecesFile lists.
func unfinished(repo *plumbing.Repo) ([]plumbing.OID, error) {
	text, err := os.ReadFile(filepath.Join(repo.Dir(), piecesFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []plumbing.OID
	for line := range strings.Lines(string(text)) {
		out = append(out, plumbing.OID(strings.TrimSpace(line)))
	}
	return out, err
}

// remember puts a commit into piecesFile or takes it out.
func remember(repo *plumbing.Repo, commit plumbing.OID, in bool) error {
	list, err := unfinished(repo)
	if err != nil || slices.Contains(list, commit) == in {
		return err
	}
	if in {
		list = append(list, commit)
	} else {
		list = slices.DeleteFunc(list, func(oid plumbing.OID) bool { return oid == commit })
	}
	var b strings.Builder
	for _, oid := range list {
		b.WriteString(string(oid) + "\n")
	}
	path := filepath.Join(repo.Dir(), piecesFile)
	if b.Len() == 0 {
		return os.Remove(path)
	}
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
