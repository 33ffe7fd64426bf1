package pull

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestPowerCut: files of our repository that are empty after a power cut, and locks
// that a killed git has left, stop no pull and no undo.
func TestPowerCut(t *testing.T) {
	files := func(d *desk, match func(name string) bool) (out []string) {
		repo := filepath.Join(d.stateDir(), "repo.git")
		filepath.WalkDir(repo, func(path string, e fs.DirEntry, err error) error {
			if rel, _ := filepath.Rel(repo, path); err == nil && !e.IsDir() && match(rel) {
				out = append(out, path)
			}
			return nil
		})
		return out
	}
	for name, spoil := range map[string]func(d *desk){
		"empty HEAD, config": func(d *desk) {
			for _, file := range files(d, func(rel string) bool { return rel == "HEAD" || rel == "config" }) {
				os.Truncate(file, 0)
			}
		},
		"empty refs": func(d *desk) {
			for _, file := range files(d, func(rel string) bool { return strings.HasPrefix(rel, "refs/") }) {
				os.Truncate(file, 0)
			}
		},
		"locks": func(d *desk) {
			for _, file := range files(d, func(rel string) bool { return strings.HasPrefix(rel, "refs/") || rel == "HEAD" || rel == "packed-refs" }) {
				os.WriteFile(file+".lock", nil, 0o600)
			}
			tip := strings.TrimSpace(d.src.Git("rev-parse", "main"))
			os.WriteFile(filepath.Join(d.stateDir(), "repo.git/refs/daypass/snapshots", tip+".lock"), nil, 0o600)
		},
		"a backup's ref of this second": func(d *desk) {
			now := d.p.Now()
			for i := range 3 {
				id := now.UTC().Add(time.Duration(i) * time.Second).Format(idTime)
				os.MkdirAll(filepath.Join(d.stateDir(), "repo.git/refs/daypass/backups"), 0o700)
				os.WriteFile(filepath.Join(d.stateDir(), "repo.git/refs/daypass/backups", id+".lock"), nil, 0o600)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			now := time.Now()
			d.p.Now = func() time.Time { return now }
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
			d.pull()
			d.write("a", long("9 mine"))
			d.src.Commit("main", "two", gittest.Files{"a": long("1 two")})
			d.pull()
			d.src.Commit("main", "three", gittest.Files{"a": long("2 three")})
			spoil(d)
			d.write("b", "mine")
			if _, err := d.p.Reset(t.Context(), d.folder, "b"); err != nil {
				t.Error("reset:", err)
			}
			spoil(d)
			d.pull()
			d.want(map[string]string{"a": long("2 three", "9 mine"), "b": "b"})
			d.sound()
			spoil(d)
			if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
				t.Error("undo:", err)
			}
			d.want(map[string]string{"a": long("1 two", "9 mine"), "b": "b"})
		})
	}
}

// TestPowerCutFresh takes from a fresh pull, as a power cut does, what was written and not
// flushed yet: at each step before the one flush. The next pull brings all.
func TestPowerCutFresh(t *testing.T) {
	losses := map[string]func(name string, pack bool) (empty, gone bool){
		"all is empty":     func(string, bool) (bool, bool) { return true, false },
		"packs are empty":  func(_ string, pack bool) (bool, bool) { return pack, false },
		"indexes are gone": func(name string, _ bool) (bool, bool) { return false, strings.HasSuffix(name, ".idx") },
		"refs are empty":   func(name string, _ bool) (bool, bool) { return strings.Contains(name, "/refs/"), false },
	}
	d := newShared(t)
	d.up.Add("a", long())
	d.up.Add("d/b", "b")
	moments, flushed := gittest.TempDir(t), false
	var cuts []string
	d.p.step = func(what string) error {
		if flushed = flushed || what == "state"; flushed {
			return nil
		}
		to := filepath.Join(moments, what)
		cuts = append(cuts, to)
		return exec.CommandContext(t.Context(), "cp", "-a", d.home, to).Run()
	}
	a := d.ask()
	a.Content = packing{a.Content}
	if _, err := d.p.Pull(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	d.p.step = nil
	want := d.files()
	if len(cuts) < 3 {
		t.Fatalf("cut at %q", cuts)
	}
	for _, cut := range cuts {
		for name, loss := range losses {
			if err := os.RemoveAll(d.home); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "cp", "-a", cut, d.home).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			os.RemoveAll(filepath.Join(d.p.Home, "locks")) // as after a start of the machine
			lost := lose(t, d.home, loss)
			if lost == 0 && name == "all is empty" && filepath.Base(cut) != "record" {
				t.Errorf("at %q nothing was lost", filepath.Base(cut))
			}
			if _, err := d.p.Pull(t.Context(), a); err != nil {
				t.Errorf("at %q, %s (%d): %v", filepath.Base(cut), name, lost, err)
				continue
			}
			if got := d.files(); !maps.Equal(got, want) {
				t.Errorf("at %q, %s (%d): %q", filepath.Base(cut), name, lost, got)
			}
			d.settled()
		}
	}
}

// A packing content comes in a pack, as an access service sends it.
type packing struct{ Content }

func (p packing) Fetch(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, include []string, progress func(snapshot.Progress)) (snapshot.Snapshot, error) {
	snap, err := p.Content.Fetch(ctx, repo, have, include, progress)
	loose, globErr := filepath.Glob(filepath.Join(repo.Dir(), "objects", "[0-9a-f][0-9a-f]", "*"))
	if err = errors.Join(err, globErr); err != nil {
		return snap, err
	}
	var oids strings.Builder
	for _, file := range loose {
		oids.WriteString(filepath.Base(filepath.Dir(file)) + filepath.Base(file) + "\n")
	}
	pack := repo.Command(ctx, "pack-objects", "-q", "--stdout")
	pack.Stdin = strings.NewReader(oids.String())
	sent, err := pack.Output()
	if err != nil {
		return snap, err
	}
	for _, file := range loose {
		err = errors.Join(err, os.Remove(file))
	}
	index := repo.Command(ctx, "index-pack", "--stdin", "--strict")
	index.Stdin = bytes.NewReader(sent)
	return snap, errors.Join(err, index.Run())
}

// lose damages what is not flushed by itself: our repository, and what is built.
func lose(t *testing.T, home string, loss func(name string, pack bool) (empty, gone bool)) (n int) {
	t.Helper()
	err := filepath.WalkDir(home, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.Contains(path, "/repo.git/") && !strings.Contains(path, "/"+asidePrefix) && !strings.Contains(filepath.Base(path), "delivered") {
			return err
		}
		empty, gone := loss(path, strings.HasSuffix(path, ".pack") || strings.HasSuffix(path, ".idx"))
		if gone {
			n++
			return os.Remove(path)
		}
		if !empty {
			return nil
		}
		n++
		if err := os.Remove(path); err != nil { // it may be a link of another
			return err
		}
		return os.WriteFile(path, nil, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
