package pull

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
	"github.com/daypass-dev/daypass/snapshot"
)

// diff shows what a plan would change on the disk, as git shows it. git sees both
// sides as trees in our own repository, so nothing of the folder's has a say.
func (r *run) diff(ctx context.Context, pl *plan) (string, error) {
	touches, err := pl.touches()
	if err != nil || len(touches) == 0 {
		return "", err
	}
	im, err := r.repo.Import(ctx)
	if err != nil {
		return "", err
	}
	defer im.Close()
	for _, oid := range slices.Sorted(maps.Keys(pl.merged)) {
		if _, err := im.Blob(int64(len(pl.merged[oid])), bytes.NewReader(pl.merged[oid])); err != nil {
			return "", err
		}
	}
	var before, after []plumbing.File
	for _, t := range touches {
		if clean, _, ok := snapshot.Name(t.Path); !ok || clean != t.Path {
			continue
		}
		if t.Before != (merge.Entry{}) && !pl.has(t.Before.OID) {
			if err := importFile(pl.t, im, t); err != nil {
				return "", err
			}
		}
		before, after = appendEntry(before, t.Path, t.Before), appendEntry(after, t.Path, t.After)
	}
	a, err := r.tree(im, "before", before)
	if err != nil {
		return "", err
	}
	b, err := r.tree(im, "after", after)
	if err != nil {
		return "", err
	}
	if err := im.Close(); err != nil {
		return "", err
	}
	out, err := r.repo.Command(ctx, "diff-tree", "-r", "-p", "--find-renames", "--no-ext-diff", "--no-textconv", "--no-color", string(a), string(b)).Output()
	return string(out), errors.Join(err, r.repo.DeleteRef("refs/daypass/diff/before"), r.repo.DeleteRef("refs/daypass/diff/after"))
}

func appendEntry(files []plumbing.File, path string, e merge.Entry) []plumbing.File {
	if e == (merge.Entry{}) {
		return files
	}
	return append(files, plumbing.File{Path: path, Mode: plumbing.Mode(e.Mode), OID: plumbing.OID(e.OID)})
}

func importFile(t *tree, im *plumbing.Import, c touch) error {
	in, fi, err := t.read(c.Path)
	if err != nil || in == nil {
		return errors.Join(err, errMovingAt(c.Path, in == nil))
	}
	defer in.Close()
	oid, err := im.Blob(fi.Size(), in)
	return errors.Join(err, errMovingAt(c.Path, err == nil && string(oid) != c.Before.OID))
}

func (r *run) tree(im *plumbing.Import, side string, files []plumbing.File) (plumbing.OID, error) {
	who := plumbing.Who{Name: "daypass", Email: "daypass@localhost", When: r.p.Now()}
	_, tree, err := im.Commit(plumbing.CommitSpec{Ref: "refs/daypass/diff/" + side, Author: who, Committer: who, Message: side + "\n", Files: files})
	return tree, err
}

// tellNotes adds what the user should read beside the list of files.
func (r *run) tellNotes() {
	r.rep.Notes = append(r.rep.Notes, r.snap.Notes...)
	if n := r.snap.Pointers; n > 0 {
		r.rep.Notes = append(r.rep.Notes, fmt.Sprintf("%s here. \"git lfs pull\" brings the content.", verb(n, "file is kept with Git LFS: only a pointer is", "files are kept with Git LFS: only their pointers are")))
	}
	if r.broken {
		r.rep.Notes = append(r.rep.Notes, "The folder's .git was damaged. It was set aside, and a new one was made.")
		if r.hurt != "" {
			r.rep.Notes = append(r.rep.Notes, "What you had committed there is kept in "+r.hurt+".")
		}
	}
}

func verb(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
