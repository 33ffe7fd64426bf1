package depot

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// packMemory is what a git that makes packs may have.
const packMemory = 1 << 30

// ErrNoVersion: the key has no version of that id, whatever else has.
var ErrNoVersion = errors.New("there is no such snapshot")

// A Pack is a file for git index-pack. It is read from any place. Close it.
type Pack struct {
	*os.File
	Size  int64
	ETag  string // quoted, as HTTP has it; another file never has it
	leave func()
}

// Close ends it.
func (p *Pack) Close() error {
	p.leave()
	return p.File.Close()
}

// packing is a pack that is being made, for all who wait for it.
type packing struct {
	done chan struct{}
	err  error
}

// Pack opens the pack that brings a version, the newest or one that was it a few minutes
// ago, to whoever has another version of the same key; to everybody else, whatever they say to have, all of it. Each is made once and
// kept. Errors: [ErrNoVersion]; DP-478 where it is damaged: it is made anew by the next
// Get.
func (d *Depot) Pack(ctx context.Context, k Key, id, have string) (*Pack, error) {
	s, err := d.enter(k)
	if err != nil {
		return nil, err
	}
	p, err := d.open(ctx, s, id, have)
	if err != nil {
		d.leave(s)
		return nil, err
	}
	p.leave = func() { d.leave(s) }
	return p, nil
}

func (d *Depot) open(ctx context.Context, s *slot, id, have string) (*Pack, error) {
	s.mu.Lock()
	st := s.load()
	s.mu.Unlock()
	if !st.has(id) || !st.current(id, d.c.Now()) {
		return nil, noVersion()
	}
	s.touch(d.c.Now())
	if have == id || !st.has(have) {
		have = ""
	}
	p, err := d.opened(ctx, s, id, have)
	if err != nil && have != "" && ctx.Err() == nil {
		d.log.Warn("no pack of what changed could be made; all is given", "error", err)
		have = ""
		p, err = d.opened(ctx, s, id, have)
	}
	if err == nil || ctx.Err() != nil {
		return p, err
	}
	s.mu.Lock()
	st = s.load()
	s.mu.Unlock()
	if !st.has(id) { // newer ones took its place meanwhile
		return nil, noVersion()
	}
	d.log.Error("a snapshot is damaged; it is fetched anew", "folder", filepath.Base(s.dir), "error", err)
	if err := d.spoil(ctx, s); err != nil {
		d.log.Error("a damaged snapshot could not be taken away", "folder", filepath.Base(s.dir), "error", err)
	}
	return nil, d.unkept(ctx, err)
}

func noVersion() error {
	return &daypass.Problem{Code: "DP-480", What: "There is no such snapshot of this source", Next: "Pull again: a newer one may be there.", Kind: daypass.ErrRefused, Err: ErrNoVersion}
}

// spoil makes the next Get fetch everything anew.
func (d *Depot) spoil(ctx context.Context, s *slot) error {
	h, err := d.lock(ctx, s.dir)
	if err != nil {
		return err
	}
	defer h.release()
	return wipe(s.dir)
}

func packName(id, have string) string {
	if have == "" {
		have = "all"
	}
	return have + "-" + id + ".pack"
}

// opened opens a pack that is as it was made. One that is not, or is not there, is made.
func (d *Depot) opened(ctx context.Context, s *slot, id, have string) (*Pack, error) {
	path := filepath.Join(s.dir, "packs", packName(id, have))
	for range 2 {
		p, err := d.check(path)
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			d.log.Warn("a kept pack is damaged and is made anew", "error", err)
			os.Remove(path)
		}
		if err := d.once(ctx, s, id, have); err != nil {
			return nil, err
		}
	}
	return d.check(path)
}

// once makes a pack for all who want it at this time.
func (d *Depot) once(ctx context.Context, s *slot, id, have string) error {
	name := packName(id, have)
	s.mu.Lock()
	p := s.packs[name]
	if p == nil {
		p = &packing{done: make(chan struct{})}
		s.packs[name] = p
		d.mu.Lock()
		s.users++
		d.mu.Unlock()
		d.work.Go(func() {
			defer d.leave(s)
			err := d.inTurn(s, id, have)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.packs, name)
			p.err = err
			close(p.done)
		})
	}
	s.mu.Unlock()
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// inTurn makes a pack where few others are being made: each is a process that takes
// memory and time.
func (d *Depot) inTurn(s *slot, id, have string) error {
	select {
	case d.packing <- struct{}{}:
		defer func() { <-d.packing }()
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	}
	ctx, cancel := context.WithTimeout(d.ctx, d.l.Fetch)
	defer cancel()
	return d.alone(ctx, s, id, have)
}

// alone makes a pack where no other process of this machine makes it.
func (d *Depot) alone(ctx context.Context, s *slot, id, have string) error {
	path := filepath.Join(s.dir, "packs", packName(id, have))
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !pause.For(ctx, askEvery/4) {
			return context.Cause(ctx)
		}
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	repo, err := d.c.Git.Open(filepath.Join(s.dir, "repo.git"))
	if err != nil {
		return err
	}
	return d.make(ctx, s, repo, id, have)
}

// make makes a pack beside its place, checks it, and puts it there.
func (d *Depot) make(ctx context.Context, s *slot, repo *plumbing.Repo, id, have string) error {
	dir := filepath.Join(s.dir, "packs")
	tmp := filepath.Join(dir, ".tmp-"+word())
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	defer f.Close()
	cmd := pack(ctx, repo, id, have)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = f, &said
	if err := plumbing.Run(cmd, packMemory); err != nil {
		return fmt.Errorf("git pack-objects: %w (%.200s)", err, strings.TrimSpace(said.String()))
	}
	if have == "" { // nobody gets what git would refuse
		idx := tmp + ".idx"
		defer os.Remove(idx)
		if out, err := repo.Command(ctx, "index-pack", "--strict", "-o", idx, tmp).CombinedOutput(); err != nil {
			return fmt.Errorf("git index-pack: %w (%.200s)", err, strings.TrimSpace(string(out)))
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, packName(id, have))); err != nil {
		return err
	}
	s.mu.Lock()
	newest, _ := s.load().last()
	s.mu.Unlock()
	s.trim(4*max(d.l.Source.Total, minRepo), packName(id, have), packName(newest.ID, ""))
	return syncDir(dir)
}

// trim takes away the packs that were made longest ago, where all together are larger
// than they may be. Who reads one goes on; it is made again for the next.
func (s *slot) trim(most int64, but ...string) {
	dir := filepath.Join(s.dir, "packs")
	found, _ := filepath.Glob(filepath.Join(dir, "*.pack"))
	made := map[string]os.FileInfo{}
	for _, path := range found {
		if fi, err := os.Lstat(path); err == nil {
			made[path] = fi
			most -= fi.Size()
		}
	}
	old := slices.SortedFunc(maps.Keys(made), func(a, b string) int { return made[a].ModTime().Compare(made[b].ModTime()) })
	for _, path := range old {
		if most < 0 && !slices.Contains(but, filepath.Base(path)) && os.Remove(path) == nil {
			most += made[path].Size()
		}
	}
}

// pack prepares git to make a pack. Versions have no common history, and git leaves out
// what an older one has only where it is told (--shallow) that histories may be cut.
// Objects may be the difference to one that whoever has the older version has too.
func pack(ctx context.Context, repo *plumbing.Repo, id, have string) *exec.Cmd {
	args, in := []string{"pack-objects", "--stdout", "-q", "--delta-base-offset", "--revs"}, id+"\n"
	if have != "" {
		args, in = append(args, "--thin", "--shallow"), in+"^"+have+"\n"
	}
	cmd := repo.Command(ctx, args...)
	cmd.Stdin = strings.NewReader(in)
	return cmd
}

// seen is a file as it was when its sum was looked at.
type seen struct {
	path  string
	inode uint64
	size  int64
	mtime time.Time
}

// maxVerified is how many files' sums are remembered.
const maxVerified = 10_000

// check opens a pack and compares its sum, once for each file.
func (d *Depot) check(path string) (*Pack, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	p, err := d.checked(path, f)
	if err != nil {
		f.Close()
	}
	return p, err
}

func (d *Depot) checked(path string, f *os.File) (*Pack, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || !fi.Mode().IsRegular() || fi.Size() < 32 {
		return nil, errors.New("it is no pack")
	}
	key := seen{path, st.Ino, fi.Size(), fi.ModTime()}
	d.mu.Lock()
	sum, known := d.verified[key]
	d.mu.Unlock()
	if !known {
		if sum, err = trailer(f, fi.Size()); err != nil {
			return nil, err
		}
		d.mu.Lock()
		if len(d.verified) >= maxVerified {
			clear(d.verified)
		}
		d.verified[key] = sum
		d.mu.Unlock()
	}
	return &Pack{File: f, Size: fi.Size(), ETag: `"` + sum + `"`}, nil
}

// trailer holds a pack to the sum at its end (gitformat-pack(5)) and returns it.
func trailer(f *os.File, size int64) (string, error) {
	h := sha1.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, size-sha1.Size)); err != nil {
		return "", err
	}
	var end [sha1.Size]byte
	if _, err := f.ReadAt(end[:], size-sha1.Size); err != nil {
		return "", err
	}
	if !bytes.Equal(h.Sum(nil), end[:]) {
		return "", errors.New("its sum is wrong")
	}
	return hex.EncodeToString(end[:]), nil
}

// prune takes away the packs of all versions but the newest two: whoever still wants
// another one gets it made again.
func (s *slot) prune(st *state) {
	keep := map[string]bool{}
	for _, v := range st.Versions[max(0, len(st.Versions)-2):] {
		keep[v.ID] = true
	}
	entries, _ := os.ReadDir(filepath.Join(s.dir, "packs"))
	for _, e := range entries {
		_, rest, _ := strings.Cut(e.Name(), "-")
		id, _, _ := strings.Cut(rest, ".")
		if !keep[id] && !strings.HasPrefix(e.Name(), ".") {
			os.Remove(filepath.Join(s.dir, "packs", e.Name()))
		}
	}
}

// tidy takes away what a process left that was killed. The caller holds the folder's
// lock; packs that are being made are young.
func tidy(dir string) {
	old := time.Now().Add(-time.Hour)
	for _, pattern := range []string{"packs/.tmp-*", ".state-*", "packs/*.lock"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, path := range found {
			if fi, err := os.Lstat(path); err == nil && fi.ModTime().Before(old) {
				os.Remove(path)
			}
		}
	}
}
