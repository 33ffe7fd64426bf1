package depot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// A rig is a depot, and a source that is a map.
type rig struct {
	t     *testing.T
	d     *Depot
	git   plumbing.Git
	clock atomic.Int64

	mu      sync.Mutex
	files   map[string]string
	mark    int
	looks   int
	fetches int
	fail    error
	hang    chan struct{}
}

func newRig(t *testing.T, c Config) *rig {
	t.Helper()
	g, err := plumbing.Find(os.Getenv, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, git: g, files: map[string]string{"lab1.ipynb": "one\n", "data/x.csv": "1,2\n"}, mark: 1}
	r.clock.Store(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).UnixNano())
	if c.Dir == "" {
		c.Dir = filepath.Join(t.TempDir(), "snapshots")
	}
	c.Git, c.Now = g, r.now
	if r.d, err = New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.d.Close)
	return r
}

func (r *rig) now() time.Time         { return time.Unix(0, r.clock.Load()).UTC() }
func (r *rig) later(d time.Duration)  { r.clock.Add(int64(d)) }
func (r *rig) set(name, text string)  { r.mu.Lock(); r.files[name] = text; r.mark++; r.mu.Unlock() }
func (r *rig) failWith(err error)     { r.mu.Lock(); r.fail = err; r.mu.Unlock() }
func (r *rig) counts() (looks, n int) { r.mu.Lock(); defer r.mu.Unlock(); return r.looks, r.fetches }

var key = Key{Source: daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: "folder1"}, As: "hub:ph142"}

func (r *rig) fetch(ctx context.Context, repo *plumbing.Repo, _ plumbing.OID, mark string) (Result, error) {
	r.mu.Lock()
	r.looks++
	files, now, fail, hang := map[string]string{}, fmt.Sprint("mark", r.mark), r.fail, r.hang
	for k, v := range r.files {
		files[k] = v
	}
	r.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
	if fail != nil {
		return Result{}, fail
	}
	if now == mark {
		return Result{Same: true}, nil
	}
	r.mu.Lock()
	r.fetches++
	r.mu.Unlock()
	commit, err := write(ctx, repo, files)
	return Result{Mark: now, Commit: commit}, err
}

func write(ctx context.Context, repo *plumbing.Repo, files map[string]string) (plumbing.OID, error) {
	im, err := repo.Import(ctx)
	if err != nil {
		return "", err
	}
	m := snapshot.Manifest{Source: key.Source.String(), Title: "Lab", Complete: true}
	var list []plumbing.File
	for name, text := range files {
		oid, err := im.Blob(int64(len(text)), strings.NewReader(text))
		if err != nil {
			return "", err
		}
		list = append(list, plumbing.File{Path: name, Mode: plumbing.Regular, OID: oid})
		m.Files = append(m.Files, snapshot.Stored{Path: name, Size: int64(len(text))})
	}
	if err := im.Close(); err != nil {
		return "", err
	}
	return snapshot.WriteContent(ctx, repo, m, list)
}

func (r *rig) get(maxAge time.Duration) Version {
	r.t.Helper()
	v, err := r.d.Get(r.t.Context(), key, maxAge, r.fetch)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// read opens a pack and takes it into a repository of its own, as a client does.
func (r *rig) read(into *plumbing.Repo, id, have string) ([]byte, string) {
	r.t.Helper()
	p, err := r.d.Pack(r.t.Context(), key, id, have)
	if err != nil {
		r.t.Fatal(err)
	}
	defer p.Close()
	data, err := io.ReadAll(p)
	if err != nil || int64(len(data)) != p.Size {
		r.t.Fatalf("%d of %d bytes: %v", len(data), p.Size, err)
	}
	if into != nil {
		cmd := into.Command(r.t.Context(), "index-pack", "--stdin", "--strict", "--fix-thin")
		cmd.Stdin = bytes.NewReader(data)
		if out, err := cmd.CombinedOutput(); err != nil {
			r.t.Fatalf("index-pack: %v %s", err, out)
		}
	}
	return data, p.ETag
}

func (r *rig) client() *plumbing.Repo {
	r.t.Helper()
	repo, err := r.git.Create(filepath.Join(r.t.TempDir(), "own.git"), "sha1")
	if err != nil {
		r.t.Fatal(err)
	}
	return repo
}

func (r *rig) file(repo *plumbing.Repo, id, name string) string {
	r.t.Helper()
	out, err := repo.Command(r.t.Context(), "cat-file", "blob", id+":content/"+name).Output()
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

func TestGet(t *testing.T) {
	r := newRig(t, Config{})
	v := r.get(20 * time.Second)
	if other := (Key{Source: key.Source, As: "public"}); r.d.Title(key) != "Lab" || r.d.Title(other) != "" || r.d.Title(Key{}) != "" {
		t.Errorf("it is called %q, and read by others %q", r.d.Title(key), r.d.Title(other))
	}
	if v.Files != 2 || v.Title != "Lab" || v.Bytes != 8 || !v.Made.Equal(r.now()) || !plumbing.OID(v.ID).Valid() {
		t.Errorf("%+v", v)
	}
	r.set("lab1.ipynb", "two\n")
	if again := r.get(20 * time.Second); again.ID != v.ID {
		t.Error("a young version was not given")
	}
	r.later(21 * time.Second)
	next := r.get(20 * time.Second)
	if next.ID == v.ID {
		t.Error("what changed was not seen")
	}
	r.later(21 * time.Second)
	if same := r.get(20 * time.Second); same.ID != next.ID || !same.Checked.Equal(r.now()) {
		t.Errorf("%+v", same)
	}
	if looks, fetches := r.counts(); looks != 3 || fetches != 2 {
		t.Errorf("%d looks, %d fetches", looks, fetches)
	}
	client := r.client()
	r.read(client, v.ID, "")
	if got := r.file(client, v.ID, "lab1.ipynb"); got != "one\n" {
		t.Errorf("%q", got)
	}
	r.read(client, next.ID, v.ID)
	if got := r.file(client, next.ID, "lab1.ipynb"); got != "two\n" {
		t.Errorf("%q", got)
	}
	fi, err := os.Stat(filepath.Join(r.d.c.Dir, key.name()))
	if err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", fi, err)
	}
}

// A class that clicks at once: one look, one fetch, one pack.
func TestOnce(t *testing.T) {
	r := newRig(t, Config{})
	r.hang = make(chan struct{})
	ids := make(chan string, 50)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			v, err := r.d.Get(t.Context(), key, time.Minute, r.fetch)
			if err != nil {
				t.Error(err)
			}
			ids <- v.ID
		})
	}
	gone, cancel := context.WithCancel(t.Context())
	all.Go(func() {
		if _, err := r.d.Get(gone, key, time.Minute, r.fetch); !errors.Is(err, context.Canceled) {
			t.Errorf("somebody who left: %v", err)
		}
	})
	time.Sleep(50 * time.Millisecond)
	cancel()
	close(r.hang)
	all.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Error("two ids")
		}
	}
	if looks, fetches := r.counts(); looks != 1 || fetches != 1 {
		t.Errorf("%d looks, %d fetches", looks, fetches)
	}
	r.set("new.txt", "x")
	r.later(2 * time.Minute)
	next := r.get(time.Minute)
	tags := map[string]bool{}
	var mu sync.Mutex
	for range 20 {
		all.Go(func() {
			p, err := r.d.Pack(t.Context(), key, next.ID, first)
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			mu.Lock()
			tags[p.ETag] = true
			mu.Unlock()
		})
	}
	all.Wait()
	if len(tags) != 1 {
		t.Errorf("%d packs for one pair", len(tags))
	}
}

// The pack for who has an older version holds nothing that this one holds.
func TestWhatChanged(t *testing.T) {
	r := newRig(t, Config{})
	for i := range 60 {
		r.set(fmt.Sprintf("part%d/file%d.txt", i%6, i), strings.Repeat(fmt.Sprintf("line %d of a file\n", i*7919), 60))
	}
	v := r.get(time.Minute)
	full, _ := r.read(nil, v.ID, "")
	r.set("part1/file7.txt", "something else\n")
	r.later(time.Hour)
	next := r.get(time.Minute)
	delta, _ := r.read(nil, next.ID, v.ID)
	// The commit, three trees (top, content, part1), the manifest, the file.
	if n := int(delta[8])<<24 | int(delta[9])<<16 | int(delta[10])<<8 | int(delta[11]); n != 6 {
		t.Errorf("%d objects in the pack of one changed file", n)
	}
	if len(delta)*4 > len(full) {
		t.Errorf("%d bytes for one file of %d", len(delta), len(full))
	}
	client := r.client()
	r.read(client, v.ID, "")
	r.read(client, next.ID, v.ID)
	if out, err := client.Command(t.Context(), "fsck", "--strict", "--full", next.ID).CombinedOutput(); err != nil {
		t.Errorf("%v %s", err, out)
	}
}

// Nothing is given for an id that somebody guessed, or that is another key's.
func TestOtherKeys(t *testing.T) {
	r := newRig(t, Config{})
	v := r.get(time.Minute)
	other := key
	other.As = "person:7"
	r.set("hidden.txt", "the teacher's own")
	w, err := r.d.Get(t.Context(), other, time.Minute, r.fetch)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := r.git.Open(filepath.Join(r.d.c.Dir, other.name(), "repo.git"))
	if err != nil {
		t.Fatal(err)
	}
	out, _ := tree.Command(t.Context(), "rev-parse", w.ID+"^{tree}", w.ID+":content/hidden.txt").Output()
	for _, id := range append(strings.Fields(string(out)), w.ID, "", "HEAD", "--all", "../"+other.name()+"/packs/all-"+w.ID, strings.Repeat("0", 40)) {
		if p, err := r.d.Pack(t.Context(), key, id, ""); !errors.Is(err, ErrNoVersion) {
			t.Errorf("%q: %v %v", id, p, err)
		}
	}
	if _, err := r.d.Pack(t.Context(), Key{Source: key.Source, As: "public"}, v.ID, ""); !errors.Is(err, ErrNoVersion) {
		t.Errorf("a key that was never read: %v", err)
	}
	all, tag := r.read(nil, v.ID, "")
	for _, have := range []string{w.ID, strings.Repeat("1", 40), "../x", "--stdin", v.ID} {
		got, other := r.read(nil, v.ID, have)
		if !bytes.Equal(got, all) || other != tag {
			t.Errorf("have=%q gave another pack", have)
		}
	}
	if _, err := r.d.Get(t.Context(), Key{Source: key.Source}, 0, r.fetch); err == nil {
		t.Error("a key without an identity was taken")
	}
}

func TestFailures(t *testing.T) {
	r := newRig(t, Config{})
	gone := &daypass.Problem{Code: "DP-999", What: "There is no such folder", Kind: daypass.ErrRefused, Err: daypass.ErrNoSource}
	down := &daypass.Problem{Code: "DP-998", What: "It is down", Kind: daypass.ErrUnreachable}
	r.failWith(gone)
	for range 20 {
		if _, err := r.d.Get(t.Context(), key, time.Minute, r.fetch); !errors.Is(err, daypass.ErrNoSource) {
			t.Fatal(err)
		}
	}
	if looks, _ := r.counts(); looks != 1 {
		t.Errorf("%d looks at a source that refuses", looks)
	}
	r.later(failFor)
	r.failWith(nil)
	v := r.get(time.Minute)
	r.failWith(down)
	r.later(2 * time.Minute)
	if w := r.get(time.Minute); w.ID != v.ID || w.Checked.Equal(r.now()) {
		t.Errorf("%+v", w)
	}
	r.later(4 * time.Minute)
	if _, err := r.d.Get(t.Context(), key, time.Minute, r.fetch); !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("what was seen six minutes ago was given: %v", err)
	}
	r.later(-5 * time.Minute)
	r.failWith(gone)
	r.later(time.Minute + 10*time.Second)
	if _, err := r.d.Get(t.Context(), key, time.Minute, r.fetch); !errors.Is(err, daypass.ErrNoSource) {
		t.Errorf("what was taken away was given: %v", err)
	}
}

// A folder in which anything was damaged is as good as new after the next pull.
func TestHeals(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, dir string){
		"a pack":          func(t *testing.T, dir string) { flip(t, dir, "packs/all-*.pack") },
		"a pack cut":      func(t *testing.T, dir string) { cutShort(t, dir, "packs/all-*.pack") },
		"the state":       func(t *testing.T, dir string) { cutShort(t, dir, "state.json") },
		"the state's end": func(t *testing.T, dir string) { flip(t, dir, "state.json") },
		"the repository": func(t *testing.T, dir string) {
			flip(t, dir, "repo.git/objects/*/*")
			flip(t, dir, "packs/all-*.pack")
		},
		"no repository": func(t *testing.T, dir string) {
			os.RemoveAll(filepath.Join(dir, "repo.git"))
			os.RemoveAll(filepath.Join(dir, "packs"))
		},
		"a half folder": func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "repo.git/HEAD")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{})
			v := r.get(time.Minute)
			client := r.client()
			r.read(client, v.ID, "")
			harm(t, filepath.Join(r.d.c.Dir, key.name()))
			r.later(time.Hour)
			if p, err := r.d.Pack(t.Context(), key, v.ID, ""); err == nil {
				p.Close()
			}
			r.set("more.txt", "x")
			w := r.get(time.Minute)
			r.read(client, w.ID, v.ID)
			if w.ID == v.ID {
				t.Error("it is the old version")
			}
			if p, err := r.d.Pack(t.Context(), key, w.ID, ""); err != nil {
				t.Error(err)
			} else {
				p.Close()
			}
		})
	}
}

func matches(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v %v", pattern, found, err)
	}
	return found
}

func flip(t *testing.T, dir, pattern string) {
	t.Helper()
	for _, path := range matches(t, dir, pattern) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := len(data) / 3; i < len(data); i += 7 {
			data[i] ^= 0x55
		}
		os.Remove(path)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func cutShort(t *testing.T, dir, pattern string) {
	t.Helper()
	for _, path := range matches(t, dir, pattern) {
		os.Chmod(path, 0o600)
		if err := os.Truncate(path, 40); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManyVersions(t *testing.T) {
	r := newRig(t, Config{})
	first := r.get(time.Minute)
	var last Version
	for i := range maxVersions + 25 {
		r.set("n.txt", fmt.Sprint(i))
		r.later(time.Hour)
		last = r.get(time.Minute)
	}
	if _, err := r.d.Pack(t.Context(), key, first.ID, ""); !errors.Is(err, ErrNoVersion) {
		t.Errorf("a version that is long gone: %v", err)
	}
	client := r.client()
	r.read(client, last.ID, first.ID) // all of it, since nobody knows that one any more
	dir := filepath.Join(r.d.c.Dir, key.name())
	if n := len(matches(t, dir, "repo.git/refs/daypass/versions/*")); n != maxVersions {
		t.Errorf("%d versions are kept", n)
	}
	if n := len(matches(t, dir, "packs/*.pack")); n > 2 {
		t.Errorf("%d packs are kept", n)
	}
}

func TestEviction(t *testing.T) {
	r := newRig(t, Config{Limits: Limits{Size: 1, Age: 24 * time.Hour}})
	v := r.get(time.Minute)
	r.clock.Store(time.Now().UnixNano()) // files' times are the system's
	if freed, err := r.d.Evict(t.Context()); err != nil || freed != 0 {
		t.Errorf("what was just asked for went: %d %v", freed, err)
	}
	p, err := r.d.Pack(t.Context(), key, v.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	r.later(2 * time.Hour)
	if freed, err := r.d.Evict(t.Context()); err != nil || freed != 0 {
		t.Errorf("what is being read went: %d %v", freed, err)
	}
	if _, err := io.Copy(io.Discard, p); err != nil {
		t.Error(err)
	}
	p.Close()
	if freed, err := r.d.Evict(t.Context()); err != nil || freed == 0 {
		t.Errorf("%d %v", freed, err)
	}
	if bytes, n, err := r.d.Size(); bytes != 0 || n != 0 || err != nil {
		t.Errorf("%d %d %v", bytes, n, err)
	}
	if w := r.get(time.Minute); w.ID != v.ID {
		t.Error("the same content is another version")
	}
}

// TestPersonalEviction: what was read as a person makes room soon after they had it, so
// that a whole class has theirs one after another; what many read stays for an hour.
func TestPersonalEviction(t *testing.T) {
	r := newRig(t, Config{Limits: Limits{Size: 1, Age: 24 * time.Hour}})
	own := key
	own.As = "person:7@x.1"
	for _, k := range []Key{key, own} {
		if _, err := r.d.Get(t.Context(), k, time.Minute, r.fetch); err != nil {
			t.Fatal(err)
		}
	}
	r.clock.Store(time.Now().UnixNano()) // files' times are the system's
	for _, step := range []struct {
		later time.Duration
		kept  int
	}{{2 * time.Minute, 2}, {2 * time.Minute, 1}, {50 * time.Minute, 1}, {10 * time.Minute, 0}} {
		r.later(step.later)
		if _, err := r.d.Evict(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, n, err := r.d.Size(); n != step.kept || err != nil {
			t.Errorf("%v later %d are kept, not %d: %v", step.later, n, step.kept, err)
		}
		if step.kept == 1 && !r.d.Kept(key) {
			t.Error("what many read went first")
		}
	}
}

// What came of a fetch that broke off is there for the next one.
func TestGoesOn(t *testing.T) {
	r := newRig(t, Config{})
	part := func(repo *plumbing.Repo) string { return filepath.Join(repo.Dir(), "part") }
	_, err := r.d.Get(t.Context(), key, time.Minute, func(_ context.Context, repo *plumbing.Repo, _ plumbing.OID, _ string) (Result, error) {
		return Result{}, errors.Join(os.WriteFile(part(repo), []byte("half"), 0o600), errors.New("the connection broke"))
	})
	var p *daypass.Problem
	if !errors.As(err, &p) || p.Code != "DP-478" {
		t.Errorf("%v", err)
	}
	r.later(failFor)
	_, err = r.d.Get(t.Context(), key, time.Minute, func(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, mark string) (Result, error) {
		if text, err := os.ReadFile(part(repo)); err != nil || string(text) != "half" {
			t.Errorf("%q %v", text, err)
		}
		return r.fetch(ctx, repo, have, mark)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestForget(t *testing.T) {
	r := newRig(t, Config{})
	own := Key{Source: key.Source, As: "person:7"}
	v, err := r.d.Get(t.Context(), own, time.Minute, r.fetch)
	if err != nil {
		t.Fatal(err)
	}
	kept := r.get(time.Minute)
	p, err := r.d.Pack(t.Context(), own, v.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := r.d.Forget(t.Context(), "person:7"); done || err != nil {
		t.Errorf("while it is read: %v %v", done, err)
	}
	p.Close()
	if done, err := r.d.Forget(t.Context(), "person:7"); !done || err != nil {
		t.Errorf("%v %v", done, err)
	}
	if _, err := r.d.Pack(t.Context(), own, v.ID, ""); !errors.Is(err, ErrNoVersion) {
		t.Errorf("it is there still: %v", err)
	}
	r.read(nil, kept.ID, "")
}

func TestFolder(t *testing.T) {
	g, err := plumbing.Find(os.Getenv, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open")
	os.Mkdir(open, 0o755)
	link := filepath.Join(t.TempDir(), "link")
	os.Symlink(t.TempDir(), link)
	for _, dir := range []string{open, link, "relative"} {
		if d, err := New(Config{Dir: dir, Git: g, Now: time.Now}); err == nil {
			d.Close()
			t.Errorf("%s was taken", dir)
		}
	}
}

// TestSuperseded: what a version has that is not the newest any more, the source may have
// withdrawn. It is given for a few minutes to who was told of it, and no longer.
func TestSuperseded(t *testing.T) {
	r := newRig(t, Config{})
	r.set("solution.txt", "THE SOLUTION")
	r.later(time.Hour)
	first := r.get(time.Minute)
	r.mu.Lock()
	delete(r.files, "solution.txt")
	r.mark++
	r.mu.Unlock()
	r.later(time.Hour)
	second := r.get(time.Minute)
	r.later(4 * time.Minute)
	r.read(nil, first.ID, "")
	for _, d := range []time.Duration{2 * time.Minute, -time.Hour} {
		r.later(d)
		if _, err := r.d.Pack(t.Context(), key, first.ID, ""); !errors.Is(err, ErrNoVersion) {
			t.Errorf("what was withdrawn %v ago is given: %v", d, err)
		}
		r.read(nil, second.ID, "")
	}
	client := r.client()
	r.set("solution.txt", "THE SOLUTION") // it is back
	r.later(3 * time.Hour)
	if again := r.get(time.Minute); again.ID != first.ID {
		t.Errorf("%+v", again)
	}
	r.read(client, first.ID, "")
	r.later(time.Hour)
	if _, err := r.d.Pack(t.Context(), key, second.ID, first.ID); !errors.Is(err, ErrNoVersion) {
		t.Errorf("an older one: %v", err)
	}
}

// TestOlderForm: versions that were made when what a source withholds was given out all
// the same are no more than what somebody may have: the source is read anew first.
func TestOlderForm(t *testing.T) {
	r := newRig(t, Config{})
	old := r.get(time.Minute)
	file := filepath.Join(r.d.c.Dir, key.name(), "state.json")
	data, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(data, []byte(`"form":2`)) {
		t.Fatalf("%s %v", data, err)
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte(`"form":2`), []byte(`"form":1`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	r.failWith(&daypass.Problem{Code: "DP-999", What: "down", Kind: daypass.ErrUnreachable})
	if v, err := r.d.Get(t.Context(), key, time.Hour, r.fetch); err == nil {
		t.Errorf("it is given unseen: %+v", v)
	}
	r.failWith(nil)
	r.later(time.Minute)
	r.mu.Lock()
	r.files["n.txt"] = "n" // and its mark is that of before
	r.mu.Unlock()
	now := r.get(time.Hour)
	if looks, fetches := r.counts(); now.ID == old.ID || fetches != 2 {
		t.Errorf("%+v, %d looks, %d fetches", now, looks, fetches)
	}
	client := r.client()
	r.read(client, old.ID, "")
	r.read(client, now.ID, old.ID)
	if data, err = os.ReadFile(file); err != nil || !bytes.Contains(data, []byte(`"form":2`)) {
		t.Errorf("%s %v", data, err)
	}
}

// TestClockAhead: what a machine whose clock goes ahead has seen is no proof of later, nor
// is what was seen before a clock was set right; a clock a moment ahead does no harm.
func TestClockAhead(t *testing.T) {
	r := newRig(t, Config{})
	r.later(time.Hour)
	old := r.get(20 * time.Second)
	r.later(-time.Hour)
	r.set("exam.txt", "taken back\n")
	if v := r.get(20 * time.Second); v.ID == old.ID {
		t.Error("what was seen by a clock an hour ahead is given as new")
	}
	if v := r.get(20 * time.Second); v.ID == old.ID {
		t.Error("and again")
	}
	looks, _ := r.counts()
	r.later(-5 * time.Second)
	r.get(20 * time.Second)
	if n, _ := r.counts(); n != looks {
		t.Errorf("%d looks for a clock that is five seconds ahead", n-looks)
	}
}

// TestPackings: however many want the difference to whatever they have, a few packs are
// made at a time, and all get theirs.
func TestPackings(t *testing.T) {
	r := newRig(t, Config{})
	var ids []string
	for n := range 12 {
		r.set("x.txt", fmt.Sprint(n))
		r.later(time.Minute)
		ids = append(ids, r.get(time.Second).ID)
	}
	log := filepath.Join(t.TempDir(), "log")
	r.d.c.Git.Through = []string{"/bin/sh", "-c", `case " $* " in *" pack-objects "*) echo b >>` + log + `; sleep 0.2; "$0" "$@"; is=$?; echo e >>` + log + `; exit $is;; esac; exec "$0" "$@"`}
	var all sync.WaitGroup
	for _, have := range ids[:11] {
		all.Go(func() {
			p, err := r.d.Pack(t.Context(), key, ids[11], have)
			if err != nil {
				t.Error(err)
				return
			}
			p.Close()
		})
	}
	all.Wait()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	now, most, made := 0, 0, 0
	for _, line := range strings.Fields(string(text)) {
		if line == "e" {
			now--
			continue
		}
		now, made = now+1, made+1
		most = max(most, now)
	}
	if made != 11 || most > 4 {
		t.Errorf("%d packs were made, %d at once", made, most)
	}
}
