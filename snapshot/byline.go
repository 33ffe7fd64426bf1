package snapshot

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// final reports whether a fetch by a line failed for what would stop git too: too much,
// too slow, no room.
func final(err error) bool {
	var p *daypass.Problem
	return errors.As(err, &p) && slices.Contains([]string{"DP-316", "DP-317", "DP-327"}, p.Code)
}

// An arrival is what came by a line. No ref names it: that is for who has taken it over,
// and it would make git take it for whole.
type arrival struct {
	lacks  bool // in the end: whether something on the way to what was here was left out
	commit plumbing.OID
	before map[string]bool // the packs that were here
	group  sync.WaitGroup
	mu     sync.Mutex
	err    error
}

// beside does something while the trees are read.
func (a *arrival) beside(f func() error) {
	a.group.Go(func() {
		err := f()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.err = errors.Join(a.err, err)
	})
}

func (a *arrival) wait() error {
	a.group.Wait()
	return a.err
}

// byLine fetches a tip on the line that is open. Any error but a final one means that
// git is to do it.
func (f fetch) byLine(ctx context.Context, t Tip) error {
	if f.line == nil || f.line.at.url != f.at.url {
		return errOther
	}
	defer func() { go f.line.Close() }() // it takes its time to go
	w, err := f.want(t)
	if err != nil {
		return err
	}
	start := time.Now()
	pack, cut, err := f.answer(ctx, w)
	if err != nil {
		return err
	}
	args, err := f.indexPack(w, cut)
	if err != nil {
		return err
	}
	_, timeout := f.g.patience()
	f.g.Timeout = max(timeout-time.Since(start), time.Millisecond)
	f.came.before = packFiles(f.repo)
	if err := f.index(ctx, pack, args); err != nil {
		return err
	}
	if _, err := f.objects.Size(t.Commit); err != nil {
		f.drop()
		return errors.Join(err, errOther)
	}
	f.came.commit = t.Commit
	if len(w.haves) > 0 {
		f.came.beside(func() error { return f.connected(ctx, t.Commit) })
	}
	before := f.came.before
	flush := func() error { return flushed(f.repo, before) }
	if f.later != nil {
		f.later(flush)
	} else {
		f.came.beside(flush)
	}
	os.Remove(f.ends())
	return f.repo.AddShallow(cut...)
}

// answer asks for a commit and returns the pack, to be read to its end, and where the
// history was cut. The source may not make us wait for it longer than git would.
func (f fetch) answer(ctx context.Context, w want) (pack io.Reader, cut []plumbing.OID, err error) {
	calm := f.line.bounded(f.g.patience())
	defer calm()
	if err := f.line.send(w); err != nil {
		return nil, nil, f.late(ctx, err)
	}
	if err := errors.Join(f.objects.Warm(), f.modern(ctx)); err != nil {
		return nil, nil, err
	}
	if there, err := f.there(w); err != nil || there {
		return nil, nil, errors.Join(err, errOther)
	}
	if pack, cut, err = f.line.receive(w); err != nil {
		return nil, nil, f.late(ctx, err)
	}
	return pack, cut, nil
}

// late is what an error on the line means where the line was ended for being slow, or
// for bringing too much.
func (f fetch) late(ctx context.Context, err error) error {
	if cause := context.Cause(f.line.ctx); errors.Is(cause, errIdle) || errors.Is(cause, errTimeout) {
		err = cause
	}
	if errors.Is(err, errIdle) || errors.Is(err, errTimeout) || errors.Is(err, errLarge) {
		return problem(ctx, f.at, "", err)
	}
	return err
}

// index has git take a pack in.
func (f fetch) index(ctx context.Context, pack io.Reader, args []string) error {
	ctx2, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// What it would make durable step by step is made so in one go.
	cmd := f.repo.CommandWith(ctx2, [][2]string{{"core.fsync", "none"}}, args...)
	cmd.Stdin = pack
	text, err := f.watched(cmd, f.line.said, cancel)
	if err == nil {
		return nil
	}
	sweep(f.repo)
	if ctx2.Err() != nil {
		err = context.Cause(ctx2)
	}
	return problem(ctx, f.at, text, err)
}

// drop takes away what came by the line: git is to fetch it, and is not to find half of
// it here.
func (f fetch) drop() {
	for name := range packFiles(f.repo) {
		if !f.came.before[name] {
			os.Remove(filepath.Join(f.repo.Dir(), "objects/pack", name))
		}
	}
	os.Remove(f.ends())
}

// doubtful reports whether what came by the line is not all that was asked for.
func (a *arrival) doubtful(err error) bool {
	return a.commit != "" && (errors.Is(err, errOther) || missing(err))
}

// missing reports whether an object is not here, or is not what it should be.
func missing(err error) bool {
	return errors.Is(err, plumbing.ErrMissing) || errors.Is(err, plumbing.ErrObject)
}

// packFiles names all that is in a repository's folder of packs.
func packFiles(repo *plumbing.Repo) map[string]bool {
	entries, _ := os.ReadDir(filepath.Join(repo.Dir(), "objects/pack"))
	out := map[string]bool{}
	for _, e := range entries {
		out[e.Name()] = true
	}
	return out
}

// flushed makes the packs durable that were not there before, and their names. Nothing
// counts on one without the other.
func flushed(repo *plumbing.Repo, before map[string]bool) error {
	dir := filepath.Join(repo.Dir(), "objects/pack")
	names := []string{dir}
	for name := range packFiles(repo) {
		if !before[name] {
			names = append(names, filepath.Join(dir, name))
		}
	}
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { errs[i] = flushFile(name) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// flushFile believes file systems that cannot say. What was dropped meanwhile needs no
// flush.
func flushFile(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// ends is a file that says where histories end while a pack is looked through.
func (f fetch) ends() string { return filepath.Join(f.repo.Dir(), "shallow.lock") }

// there reports whether a commit is here already, such as in the folder's own repository:
// git looks through what leads to it. Where nothing is, nobody needs to look.
func (f fetch) there(w want) (bool, error) {
	if len(w.haves) == 0 {
		return false, nil
	}
	_, err := f.objects.Size(w.commit)
	if errors.Is(err, plumbing.ErrMissing) {
		return false, nil
	}
	return err == nil, err
}

// want says what is asked for and what is here.
func (f fetch) want(t Tip) (want, error) {
	w := want{commit: t.Commit, depth: f.depth, filter: f.filter()}
	refs, err := f.repo.ListRefs("refs/")
	if err != nil {
		return w, err
	}
	w.haves = slices.Compact(slices.Sorted(maps.Values(refs)))
	if w.shallow, err = f.repo.Shallow(); err != nil {
		return w, err
	}
	if len(w.haves) > maxHaves || w.depth > 0 && len(w.haves) > 0 {
		return w, errOther
	}
	return w, nil
}

// indexPack are the arguments with which git fetch would start it.
func (f fetch) indexPack(w want, cut []plumbing.OID) ([]string, error) {
	args := []string{"index-pack", "--stdin", "-v", "--fix-thin"}
	if w.filter != "" && f.line.can("filter") || f.partial() {
		return append(args, "--promisor", "--fsck-objects"), nil // what is left out is not missed
	}
	if len(cut) > 0 {
		var b strings.Builder
		for _, oid := range slices.Concat(w.shallow, cut) {
			b.WriteString(string(oid) + "\n")
		}
		if err := os.WriteFile(f.ends(), []byte(b.String()), 0o600); err != nil {
			return nil, err
		}
		args = append([]string{"--shallow-file", f.ends()}, args...)
	}
	var ignore []string
	for _, kv := range f.settings() {
		if id, ok := strings.CutPrefix(kv[0], "fetch.fsck."); ok {
			ignore = append(ignore, strings.ToLower(id)+"="+kv[1])
		}
	}
	return append(args, "--strict="+strings.Join(ignore, ",")), nil
}

// connected sees to it that what came leads to what was here, with nothing missing but
// what was left out.
func (f fetch) connected(ctx context.Context, commit plumbing.OID) error {
	args := []string{"rev-list", "--objects", "--quiet", "--stdin"}
	if f.partial() {
		args = append(args, "--missing=print")
	}
	cmd := f.repo.Command(ctx, append(args, "--not", "--all", "--alternate-refs")...)
	stdout, stderr := &limited{max: maxRefs}, &said{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(string(commit)+"\n"), stdout, stderr
	if err := plumbing.Run(cmd, fetchMemory); err != nil {
		return errors.Join(problem(ctx, f.at, stderr.text(), err), errOther)
	}
	f.came.lacks = strings.HasPrefix(stdout.String(), "?") || strings.Contains(stdout.String(), "\n?")
	return nil
}

// partialFile says that some file of a history in this repository was left out. Whoever
// is given its packs has to know, even where the newest commit lacks nothing.
const partialFile = "daypass-partial"

// lacks reports whether that is so, and keeps it in mind. tip: the newest lacks one.
func (f fetch) lacks(tip bool) (bool, error) {
	path := filepath.Join(f.repo.Dir(), partialFile)
	if tip || f.came.lacks || f.partial() && f.came.commit == "" && f.depth != 1 {
		return true, os.WriteFile(path, nil, 0o600)
	}
	_, err := os.Lstat(path)
	return err == nil, nil
}
