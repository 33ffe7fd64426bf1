package pull

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/merge"
	"github.com/daypass-dev/daypass/snapshot"
)

// keptFor is how long backups are kept at least, and keptLast how many of them however
// old they are.
const (
	keptFor  = 90 * 24 * time.Hour
	keptLast = 5
)

// A touch is what one path was before a change, and after it.
type touch struct {
	Path   string      `json:"path"`
	Before merge.Entry `json:"before,omitzero"`
	After  merge.Entry `json:"after,omitzero"`
	Perm   uint32      `json:"perm,omitempty"` // of what was there before
	Size   int64       `json:"size,omitempty"`
}

// manifest is what is kept of a change: enough to give every file back, and to
// undo it.
type manifest struct {
	ID      string       `json:"id"`
	At      time.Time    `json:"at"`
	Why     string       `json:"why"`
	Touches []touch      `json:"touches"`
	Dirs    dirs         `json:"dirs,omitempty"`   // of folders that a file was taken out of
	Staged  []touch      `json:"staged,omitempty"` // what was in git's staging area and nowhere else
	Record  *record      `json:"record,omitempty"` // our state before
	Move    *move        `json:"move,omitempty"`   // of the repository
	Moves   []relocation `json:"moves,omitempty"`  // what of Touches is not stored
	Commit  string       `json:"commit,omitempty"` // HEAD after
	Undone  bool         `json:"undone,omitempty"`
}

// touches goes through the ops and says what each path is before and after them.
func (pl *plan) touches() ([]touch, error) {
	all := map[string]*touch{}
	at := func(path string) (*touch, error) {
		if t := all[path]; t != nil {
			return t, nil
		}
		t := &touch{Path: path, Before: pl.ours(path)}
		if fi := pl.infos[path]; fi != nil {
			t.Perm, t.Size = uint32(fi.Mode().Perm()), fi.Size()
		}
		t.After = t.Before
		all[path] = t
		return t, pl.err
	}
	for _, o := range pl.ops {
		if o.Do == opLeave {
			continue
		}
		if o.Do == opMove {
			if err := touchMove(pl.t, o, at); err != nil {
				return nil, err
			}
			continue
		}
		t, err := at(o.Path)
		if err != nil {
			return nil, err
		}
		t.After = o.New // zero for a delete
	}
	out := make([]touch, 0, len(all))
	for _, path := range slices.Sorted(maps.Keys(all)) {
		out = append(out, *all[path])
	}
	return out, nil
}

// dirs is what folders grant, by path.
type dirs map[string]uint32

// dirsOf looks at the folders that may be gone when the files are.
func dirsOf(t *tree, touches []touch) dirs {
	out := dirs{}
	for _, c := range touches {
		if c.Before == (merge.Entry{}) || c.After != (merge.Entry{}) {
			continue
		}
		for dir, _ := split(c.Path); dir != "" && out[dir] == 0; dir, _ = split(dir) {
			if fi, err := t.lstat(dir); err == nil {
				out[dir] = uint32(fi.Mode().Perm())
			}
		}
	}
	return out
}

func touchMove(t *tree, o op, at func(string) (*touch, error)) error {
	pairs := [][2]string{{o.From, o.Path}}
	if o.Dir {
		pairs = nil
		for _, p := range t.under(o.From) {
			pairs = append(pairs, [2]string{p, o.Path + strings.TrimPrefix(p, o.From)})
		}
	}
	for _, pair := range pairs {
		from, err := at(pair[0])
		if err != nil {
			return err
		}
		to, err := at(pair[1])
		if err != nil {
			return err
		}
		to.After, from.After = from.After, merge.Entry{}
	}
	return nil
}

// backup stores what the plan changes, moves or removes, and what it makes, so
// that from here on both are in our repository whatever happens to the disk.
func (r *run) backup(ctx context.Context, pl *plan, m *manifest) error {
	touches, err := pl.touches()
	if err != nil {
		return err
	}
	m.Touches, m.Dirs, m.Moves = touches, dirsOf(pl.t, touches), pl.relocations()
	k := &keeper{r: r, ctx: ctx, commit: map[string]plumbing.File{}}
	defer k.end()
	all := byPath(touches)
	stored := func(t touch) bool {
		return t.Before != (merge.Entry{}) && !pl.has(t.Before.OID) && stays(m.Moves, all, t.Path) == ""
	}
	if err := r.roomFor(touches, stored); err != nil {
		return err
	}
	for _, t := range touches {
		if !stored(t) {
			continue
		}
		if err := k.file(pl.t, t); err != nil {
			return err
		}
	}
	for _, t := range m.Staged {
		if err := k.staged(pl.o, t); err != nil {
			return err
		}
	}
	for _, oid := range slices.Sorted(maps.Keys(pl.merged)) {
		if err := k.data(pl.merged[oid]); err != nil {
			return err
		}
	}
	if err := k.finish(m); err != nil {
		return err
	}
	r.later.start(func() error { return r.st.saveManifest(m) })
	return nil
}

// has reports whether a snapshot that we keep has a blob.
func (pl *plan) has(oid string) bool {
	if pl.kept == nil {
		pl.kept = make(map[string]bool, len(pl.base)+len(pl.theirs))
		for _, f := range pl.base {
			pl.kept[f.OID] = true
		}
		for _, e := range pl.theirs {
			pl.kept[e.OID] = true
		}
	}
	return pl.kept[oid] && !pl.r.absent[oid]
}

// A keeper writes into our repository; git is started for the first thing that is
// new. It does not see the folder's own objects, which may go with the folder.
type keeper struct {
	r      *run
	ctx    context.Context
	im     *plumbing.Import
	before []string // our object files
	commit map[string]plumbing.File
}

func (k *keeper) open() error {
	if k.im != nil {
		return nil
	}
	repo, err := k.r.p.git(k.r.st)
	if err != nil {
		return err
	}
	if k.before, err = objectFiles(k.r.st.repo()); err != nil {
		return err
	}
	k.im, err = repo.Import(k.ctx)
	return err
}

func (k *keeper) end() {
	if k.im != nil {
		k.im.Close()
	}
}

// file stores what is on the disk at a path.
func (k *keeper) file(t *tree, c touch) error {
	in, fi, err := t.read(c.Path)
	if err != nil || in == nil {
		return errors.Join(err, errMovingAt(c.Path, in == nil))
	}
	defer in.Close()
	if err := k.open(); err != nil {
		return err
	}
	oid, err := k.im.Blob(fi.Size(), in)
	if err != nil {
		return k.broken(err)
	}
	if string(oid) != c.Before.OID {
		return errMovingAt(c.Path, true)
	}
	k.add("files/", c, oid)
	return nil
}

// broken adds to a failure what git said of it: that the disk is full. What came so
// far goes, so that the disk is not fuller than before.
func (k *keeper) broken(err error) error {
	im := k.im
	k.im = nil
	err = errors.Join(err, im.Close())
	parts, _ := filepath.Glob(filepath.Join(k.r.st.repo(), "objects/pack/tmp_pack_*"))
	for _, part := range parts {
		os.Remove(part)
	}
	return err
}

func errMovingAt(path string, is bool) error {
	if !is {
		return nil
	}
	return fmt.Errorf("%s: %w", path, errMoving)
}

// staged stores what is in git's staging area only.
func (k *keeper) staged(o *plumbing.Objects, c touch) error {
	_, data, err := o.Read(plumbing.OID(c.Before.OID))
	if errors.Is(err, plumbing.ErrMissing) {
		return nil // the index names what is not there; there is nothing to lose
	}
	if err != nil {
		return err
	}
	if err := k.data(data); err != nil {
		return err
	}
	k.add("staged/", c, plumbing.OID(c.Before.OID))
	return nil
}

func (k *keeper) data(data []byte) error {
	if err := k.open(); err != nil {
		return err
	}
	_, err := k.im.Blob(int64(len(data)), bytes.NewReader(data))
	return err
}

func (k *keeper) add(dir string, c touch, oid plumbing.OID) {
	path := dir + c.Path
	if clean, _, ok := snapshot.Name(c.Path); !ok || clean != c.Path {
		path = fmt.Sprintf("odd/%d", len(k.commit)) // git takes no such name; the manifest has it
	}
	k.commit[path] = plumbing.File{Path: path, Mode: plumbing.Mode(c.Before.Mode), OID: oid}
}

// finish makes it durable, and keeps it by a ref.
func (k *keeper) finish(m *manifest) error {
	if k.im == nil {
		return nil
	}
	files := make([]plumbing.File, 0, len(k.commit))
	for _, path := range slices.Sorted(maps.Keys(k.commit)) {
		files = append(files, k.commit[path])
	}
	if len(files) > 0 {
		who := plumbing.Who{Name: "daypass", Email: "daypass@localhost", When: m.At}
		_, _, err := k.im.Commit(plumbing.CommitSpec{
			Ref: backupRef(m.ID), Author: who, Committer: who, Message: "before " + m.Why + "\n", Files: files,
		})
		if err != nil {
			return err
		}
	}
	im := k.im
	k.im = nil
	if err := im.Close(); err != nil {
		return err
	}
	return k.r.st.keepPrivate(k.before)
}

func backupRef(id string) string { return "refs/daypass/backups/" + id }

func (s *store) saveManifest(m *manifest) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.file("backups"), 0o700); err != nil {
		return err
	}
	return replace(s.file(filepath.Join("backups", m.ID+".json")), data, true)
}

func (s *store) manifest(id string) (*manifest, error) {
	if strings.ContainsAny(id, "/\\\x00") {
		return nil, fs.ErrNotExist
	}
	file := s.file(filepath.Join("backups", id+".json"))
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m := new(manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, problemState(file, err)
	}
	return m, nil
}

// manifests returns all that can be read, the newest first.
func (s *store) manifests() ([]*manifest, error) {
	entries, err := os.ReadDir(s.file("backups"))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	var out []*manifest
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			if m, err := s.manifest(id); err == nil && m.ID == id {
				out = append(out, m)
			}
		}
	}
	slices.SortFunc(out, func(a, b *manifest) int { return strings.Compare(b.ID, a.ID) })
	return out, nil
}

// idTime is how a backup's name begins: by it they sort, and grow old.
const idTime = "20060102-150405"

// newID names a backup by its time, in UTC. Where the clock went back, or two come in
// one second, it is the newest one's and a second: they sort as they were made.
func (s *store) newID(now time.Time) string {
	entries, _ := os.ReadDir(s.file("backups")) // none yet
	refs, _ := os.ReadDir(filepath.Join(s.repo(), backupRef("")))
	entries = append(entries, refs...) // of a pull that was killed before it wrote the rest
	at := now.UTC()
	for _, e := range entries {
		name := e.Name()
		if len(name) < len(idTime) {
			continue
		}
		if last, err := time.Parse(idTime, name[:len(idTime)]); err == nil && !at.Truncate(time.Second).After(last) {
			at = last.Add(time.Second)
		}
	}
	return at.Format(idTime)
}

// prune forgets backups that are older than they are kept.
func (r *run) prune() {
	entries, err := os.ReadDir(r.st.file("backups"))
	if err != nil {
		return
	}
	oldest := r.p.Now().UTC().Add(-keptFor).Format(idTime)
	var ids []string // the oldest first
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok && len(id) >= len(idTime) {
			ids = append(ids, id)
		}
	}
	for _, id := range ids[:max(0, len(ids)-keptLast)] {
		if id[:len(idTime)] >= oldest {
			break
		}
		r.repo.DeleteRef(backupRef(id))
		os.Remove(r.st.file(filepath.Join("backups", id+".delivered")))
		os.Remove(r.st.file(filepath.Join("backups", id+".json")))
	}
}
