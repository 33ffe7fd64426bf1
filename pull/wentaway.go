package pull

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
)

// stayed reports whether HEAD still holds what was delivered last: the user may have
// gone back to something older, with git.
func (r *run) stayed(ctx context.Context) bool {
	head, err := r.clone.Head()
	rec := &r.st.rec
	if err != nil || head.Commit == "" || head.Commit == plumbing.OID(rec.Commit) || head.Commit == rec.Head || head.Commit == rec.Seen {
		return true
	}
	if kind, err := r.clone.Unfinished(); err != nil || kind != "" {
		return true // where HEAD is now, it is on its way elsewhere
	}
	if r.openRepo() != nil || !r.contains(ctx, head.Commit, plumbing.OID(rec.Commit)) || !r.follows(ctx, head.Commit, plumbing.OID(rec.Commit)) {
		return false
	}
	if rec.Seen = head.Commit; !r.ask.DryRun {
		r.st.save() // else the next pull looks again
	}
	return true
}

// since makes the base that of the commit which the user's own git has brought HEAD
// to, where our record is not what their files come from any more.
func (r *run) since(ctx context.Context, o *plumbing.Objects, base delivered) (delivered, error) {
	if r.clone == nil {
		return base, nil
	}
	head, err := r.clone.Head()
	last := plumbing.OID(r.st.rec.Commit)
	if err != nil || head.Commit == "" || head.Commit == last || head.Commit == r.st.rec.Head {
		return base, err
	}
	heads, err := r.amended(ctx, head.Commit)
	if err != nil {
		return nil, err
	}
	source, err := r.sourceIn(ctx, heads, head.Branch)
	if err != nil || source == "" || source == last {
		return base, err
	}
	forward := r.contains(ctx, source, last)
	if !forward && r.contains(ctx, head.Commit, last) {
		return base, nil
	}
	c, err := o.Commit(source)
	if err != nil {
		return base, nil // it is not there: our record is
	}
	files, err := o.Files(c.Tree)
	if errors.Is(err, plumbing.ErrMissing) {
		return base, nil
	}
	if err != nil {
		return nil, err
	}
	r.base = source
	return r.nearest(o, base, r.deliverable(files), forward)
}

// deliverable are those of a commit's files that count as delivered: not what this
// pull leaves out, nor what the last one did not ask for.
func (r *run) deliverable(files []plumbing.File) delivered {
	out := make(delivered, len(files))
	for _, f := range files {
		if p := r.st.rec.Path; f.Mode != plumbing.Gitlink && (p == "" || f.Path == p || strings.HasPrefix(f.Path, p+"/")) {
			out[f.Path] = fact{Entry: entryOf(f)}
		}
	}
	for _, f := range r.snap.Rest {
		delete(out, f.Path)
	}
	return out
}

// nearest chooses for each path what the user's file comes from: our record, or what
// HEAD has of the source. Where HEAD went on, that counts; where it went back, what
// the disk has, or is closer to.
func (r *run) nearest(o *plumbing.Objects, base, now delivered, forward bool) (delivered, error) {
	t, err := r.openTree()
	if err != nil {
		return nil, err
	}
	defer t.close()
	t.plain = r.st.rec.Disk.Plain
	pl := r.newPlan(t, o, base, nil)
	late, err := r.leftLate(o, base)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(now)
	for _, path := range slices.Sorted(maps.Keys(base)) {
		if old := base[path]; old.Entry == now[path].Entry || late[path] || !forward && pl.closer(path, old.Entry, now[path].Entry) {
			out[path] = old
		}
	}
	for path := range late {
		if _, ok := base[path]; !ok {
			delete(out, path)
		}
	}
	return out, pl.err
}

// leftLate are the paths that the last pull could not bring: for them counts what was
// delivered before.
func (r *run) leftLate(o *plumbing.Objects, base delivered) (map[string]bool, error) {
	if !r.st.rec.Pending {
		return nil, nil
	}
	files, err := o.Files(plumbing.OID(r.st.rec.Tree))
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, f := range files {
		if f.Mode != plumbing.Gitlink && base[f.Path].Entry != entryOf(f) {
			out[f.Path] = true
		}
	}
	return out, nil
}

// closer reports whether what is on the disk comes from a rather than from b.
func (pl *plan) closer(path string, a, b merge.Entry) bool {
	ours := pl.ours(path)
	switch {
	case ours == b:
		return false
	case ours == a || b == (merge.Entry{}):
		return true
	case ours == (merge.Entry{}):
		return false
	}
	data, err := pl.t.readAll(path)
	if err != nil {
		return false
	}
	return pl.alike(data, a) > pl.alike(data, b)
}

// alike is how many bytes of lines an entry shares with a text.
func (pl *plan) alike(text []byte, e merge.Entry) int {
	data, err := pl.blob(e.OID)
	if err != nil {
		return 0
	}
	return commonLines(text, data)
}

func commonLines(a, b []byte) int {
	lines := map[string]int{}
	for line := range bytes.Lines(a) {
		lines[string(line)]++
	}
	common := 0
	for line := range bytes.Lines(b) {
		if lines[string(line)] > 0 {
			lines[string(line)]--
			common += len(line)
		}
	}
	return common
}

// gone tells of the missing files those that the user has removed by a commit: they
// stay away until the source changes them. It returns those that come back.
func (pl *plan) gone(ctx context.Context, missing []string) ([]string, error) {
	again := slices.Clone(missing)
	for path, f := range pl.base {
		if f.gone {
			again = append(again, path)
		}
	}
	if len(again) == 0 || pl.r.clone == nil {
		return missing, nil
	}
	head, err := pl.r.clone.Head()
	if err != nil || head.Commit == "" {
		return missing, nil
	}
	own, err := pl.r.ownCommits(ctx, head.Commit)
	if err != nil {
		return nil, err
	}
	var back []string
	for _, path := range again {
		f := pl.base[path]
		f.gone = own && pl.t.kind(path) == "" && pl.theirs[path] == f.Entry && pl.inHead(path) == (merge.Entry{})
		pl.base[path] = f
		if !f.gone {
			back = append(back, path)
		}
	}
	return back, nil
}
