package pull

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// lookMemory is what a git may have of memory that looks through a history.
const lookMemory = 1 << 30

// revList lists what commits are made of. What a source was told to leave out is not
// missed.
func revList(ctx context.Context, repo *plumbing.Repo, commits []string, out io.Writer, args ...string) error {
	in := strings.Join(commits, "\n") + "\n"
	line := append([]string{"rev-list", "--objects", "--stdin"}, args...)
	var config [][2]string
	if repo.Promised() {
		config, line = [][2]string{{"remote.daypass.promisor", "true"}}, append(line, "--missing=allow-promisor")
	}
	cmd := repo.CommandWith(ctx, config, line...)
	cmd.Stdin, cmd.Stdout = strings.NewReader(in), out
	return plumbing.Run(cmd, lookMemory)
}

// reaches reports whether commits are there with all that leads to them, up to those
// that are named with a ^ before them.
func reaches(ctx context.Context, repo *plumbing.Repo, commits ...string) bool {
	return revList(ctx, repo, commits, nil, "--quiet") == nil
}

// readable reports whether commits are there with all that leads to them, and each file of
// that can be read.
func readable(ctx context.Context, repo *plumbing.Repo, commits ...string) bool {
	var out strings.Builder
	if revList(ctx, repo, commits, &out, "--no-object-names") != nil {
		return false
	}
	var all, blobs []plumbing.OID
	for name := range strings.FieldsSeq(out.String()) {
		all = append(all, plumbing.OID(name))
	}
	o, err := repo.Objects(ctx)
	if err != nil {
		return false
	}
	defer o.Close()
	heads, err := o.Heads(all)
	if err != nil {
		return false
	}
	for i, h := range heads {
		switch h.Kind {
		case "":
			return false
		case plumbing.BlobKind:
			blobs = append(blobs, all[i])
		}
	}
	return o.Each(blobs, func(int, int, *plumbing.Content) error { return nil }) == nil
}

// intact reports whether our repository has all that its refs lead to, and whether its
// packs hold what they say. What old tools wrote into a history is no damage.
func (r *run) intact(ctx context.Context) bool {
	repo, err := r.p.git(r.st)
	if err != nil {
		return false
	}
	refs, err := repo.ListRefs("refs/daypass/")
	if err != nil {
		return false
	}
	var tips []string
	for name, oid := range refs {
		if strings.HasPrefix(name, backupRef("")) || strings.HasPrefix(name, snapshotRef("")) {
			tips = append(tips, string(oid))
		}
	}
	return reaches(ctx, repo, tips...) && soundFiles(ctx, repo)
}

// soundFiles reports whether a repository's files of objects are what their names say.
func soundFiles(ctx context.Context, repo *plumbing.Repo) bool {
	files, err := objectFiles(repo.Dir())
	if err != nil {
		return false
	}
	for _, file := range files {
		stem, pack := strings.CutSuffix(file, ".pack")
		switch {
		case pack && !exists(stem+".idx"):
		case pack && plumbing.Run(repo.Command(ctx, "verify-pack", "--", stem+".idx"), lookMemory) != nil:
			return false
		case !pack && !soundLoose(file):
			return false
		}
	}
	return true
}

// wholePacks is soundFiles where a pack without its index is none: the same one may come
// again, and git leaves what has its name.
func wholePacks(ctx context.Context, repo *plumbing.Repo) bool {
	packs, err := filepath.Glob(filepath.Join(repo.Dir(), "objects/pack/*.pack"))
	bare := func(pack string) bool { return !exists(strings.TrimSuffix(pack, ".pack") + ".idx") }
	return err == nil && !slices.ContainsFunc(packs, bare) && soundFiles(ctx, repo)
}

// looseHurt reports whether the folder's own repository has an object that makes no sense.
// Git stumbles over it where the same comes again, though nothing leads to it.
func (r *run) looseHurt() bool {
	if r.clone == nil {
		return false
	}
	loose, err := filepath.Glob(filepath.Join(r.clone.Objects(), "[0-9a-f][0-9a-f]", "*"))
	return err == nil && slices.ContainsFunc(loose, func(file string) bool { return !soundLoose(file) })
}

// cloneSound reports whether the folder's own repository, by itself, has what its HEAD
// leads to. A source that sends half of something does not make it any worse.
func (r *run) cloneSound(ctx context.Context) (bool, error) {
	head, err := r.clone.Head()
	if err != nil {
		return false, nil
	}
	if r.emptied() || r.cut(head.Commit) {
		return false, nil
	}
	dir := r.st.file("look.git")
	defer os.RemoveAll(dir)
	if err := os.RemoveAll(dir); err != nil {
		return false, err
	}
	if _, err := r.p.Git.Create(dir, r.clone.Format()); err != nil {
		return false, err
	}
	repo, err := r.p.Git.Open(dir, r.clone.Objects())
	if err != nil {
		return false, err
	}
	ends, err := repo.Borrowed()
	if err == nil {
		err = repo.AddShallow(ends...)
	}
	if err != nil {
		return false, err
	}
	var tips []string
	for _, oid := range []plumbing.OID{head.Commit, r.lastSeen()} {
		if oid != "" {
			tips = append(tips, string(oid))
		}
	}
	return len(tips) == 0 || readable(ctx, repo, tips...), ctx.Err()
}

// asides are the objects of repositories of ours that were put aside. Backups may need
// them.
func (s *store) asides() []string {
	entries, _ := os.ReadDir(s.file("kept"))
	var out []string
	for _, e := range entries {
		if objects := filepath.Join(s.file("kept"), e.Name(), "objects"); strings.HasPrefix(e.Name(), "repo.git-") && exists(objects) {
			out = append(out, objects)
		}
	}
	return out
}

// openAll is openRepo for who looks for a backup: what of ours was put aside is seen too.
func (r *run) openAll() error {
	if err := r.openRepo(); err != nil {
		return err
	}
	r.repo = r.repo.With(r.st.asides()...)
	return nil
}
