package plumbing_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// worktree is a folder with a fresh repository and some files.
func worktree(t testing.TB, format string) string {
	t.Helper()
	dir := t.TempDir()
	gittest.Run(t, dir, "init", "-q", "--object-format="+format)
	for _, name := range []string{"a", "b c/é", "b c/e/deep", "b.txt", strings.Repeat("x", 200) + "/" + strings.Repeat("y", 200)} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, []byte(name), 0o644)
	}
	os.WriteFile(filepath.Join(dir, "run"), []byte("#!"), 0o755)
	os.Symlink("a", filepath.Join(dir, "link"))
	gittest.Run(t, dir, "add", "-A")
	gittest.Run(t, dir, "commit", "-q", "-m", "one")
	return dir
}

func readIndex(t testing.TB, dir string) ([]byte, []plumbing.IndexEntry, string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, ".git/index"))
	if err != nil {
		t.Fatal(err)
	}
	entries, format, err := plumbing.ReadIndex(data)
	if err != nil {
		t.Fatal(err)
	}
	return data, entries, format
}

// stage is what git ls-files --stage --debug prints.
func stage(entries []plumbing.IndexEntry) string {
	var b strings.Builder
	for _, e := range entries {
		s := e.Stat
		flags := ""
		switch {
		case e.Skip && e.Intent:
			flags = "60004000"
		case e.Skip:
			flags = "40004000"
		case e.Intent:
			flags = "20004000"
		default:
			flags = "0"
		}
		time := func(sec int64, nano int) string { return fmt.Sprintf("%d:%d", sec, nano) }
		ct, mt := time(0, 0), time(0, 0)
		if !s.CTime.IsZero() {
			ct = time(s.CTime.Unix(), s.CTime.Nanosecond())
		}
		if !s.MTime.IsZero() {
			mt = time(s.MTime.Unix(), s.MTime.Nanosecond())
		}
		fmt.Fprintf(&b, "%06o %s %d\t%s\n  ctime: %s\n  mtime: %s\n  dev: %d\tino: %d\n  uid: %d\tgid: %d\n  size: %d\tflags: %s\n",
			uint32(e.Mode), e.OID, e.Stage, e.Path, ct, mt, s.Dev, s.Inode, s.UID, s.GID, s.Bytes, flags)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestIndexBesideGit(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		for _, version := range []string{"2", "3", "4"} {
			t.Run(format+" v"+version, func(t *testing.T) {
				dir := worktree(t, format)
				if version == "3" {
					gittest.Run(t, dir, "update-index", "--skip-worktree", "b.txt")
					os.WriteFile(filepath.Join(dir, "later"), []byte("later"), 0o644)
					gittest.Run(t, dir, "add", "-N", "later")
				} else {
					gittest.Run(t, dir, "update-index", "--index-version", version)
				}
				data, entries, got := readIndex(t, dir)
				if got != format || fmt.Sprint(data[7]) != version {
					t.Errorf("%s, version %d", got, data[7])
				}
				want := gittest.Run(t, dir, "-c", "core.quotePath=false", "ls-files", "--stage", "--debug")
				if stage(entries) != want {
					t.Errorf("read\n%s\nwant\n%s", stage(entries), want)
				}
				for _, e := range entries {
					info, err := os.Lstat(filepath.Join(dir, e.Path))
					if err != nil || !e.Intent && !e.Stat.Same(info) {
						t.Errorf("%s does not look the same: %+v %+v", e.Path, e.Stat, plumbing.StatOf(info))
					}
				}
				var b bytes.Buffer
				if err := plumbing.WriteIndex(&b, entries, format); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, ".git/index"), b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				if got := gittest.Run(t, dir, "-c", "core.quotePath=false", "ls-files", "--stage", "--debug"); got != want {
					t.Errorf("written\n%s\nwant\n%s", got, want)
				}
				if out := gittest.Run(t, dir, "status", "--porcelain"); out != "" && version != "3" {
					t.Errorf("status says %s", out)
				}
				gittest.Run(t, dir, "fsck", "--strict")
			})
		}
	}
}

func TestIndexUnmerged(t *testing.T) {
	dir := worktree(t, "sha1")
	gittest.Run(t, dir, "checkout", "-q", "-b", "other")
	os.WriteFile(filepath.Join(dir, "a"), []byte("other"), 0o644)
	gittest.Run(t, dir, "commit", "-qam", "other")
	gittest.Run(t, dir, "checkout", "-q", "main")
	os.WriteFile(filepath.Join(dir, "a"), []byte("main"), 0o644)
	gittest.Run(t, dir, "commit", "-qam", "main")
	cmd := find(t).Command(t.Context(), nil, "merge", "other")
	cmd.Dir, cmd.Env = dir, gittest.Environ()
	if cmd.Run() == nil {
		t.Fatal("it merged")
	}
	_, entries, _ := readIndex(t, dir)
	if entries[0].Stage != 1 || entries[1].Stage != 2 || entries[2].Stage != 3 {
		t.Errorf("%+v", entries[:3])
	}
	var b bytes.Buffer
	if err := plumbing.WriteIndex(&b, entries, "sha1"); err != nil {
		t.Fatal(err)
	}
	if again, _, err := plumbing.ReadIndex(b.Bytes()); err != nil || stage(again) != stage(entries) {
		t.Errorf("%v", err)
	}
}

func TestIndexOddities(t *testing.T) {
	dir := worktree(t, "sha1")
	gittest.Run(t, dir, "update-index", "--split-index")
	data, _ := os.ReadFile(filepath.Join(dir, ".git/index"))
	if _, _, err := plumbing.ReadIndex(data); !errors.Is(err, plumbing.ErrSplit) {
		t.Errorf("split: %v", err)
	}
	gittest.Run(t, dir, "update-index", "--no-split-index", "--untracked-cache")
	data, entries, _ := readIndex(t, dir)
	copy(data[len(data)-20:], make([]byte, 20))
	if again, format, err := plumbing.ReadIndex(data); err != nil || format != "sha1" || stage(again) != stage(entries) {
		t.Errorf("without a sum: %v", err)
	}
	data[len(data)-1] = 1
	if _, _, err := plumbing.ReadIndex(data); !errors.Is(err, plumbing.ErrIndex) {
		t.Errorf("a wrong sum: %v", err)
	}
	var b bytes.Buffer
	for name, bad := range map[string][]plumbing.IndexEntry{
		"twice":    {entries[0], entries[0]},
		"no name":  {{File: plumbing.File{OID: entries[0].OID}}},
		"bad id":   {{File: plumbing.File{Path: "x", OID: "zz"}}},
		"wrong id": {{File: plumbing.File{Path: "x", OID: plumbing.OID(strings.Repeat("1", 64))}}},
		"NUL":      {{File: plumbing.File{Path: "x\x00y", OID: entries[0].OID}}},
	} {
		if err := plumbing.WriteIndex(&b, bad, "sha1"); !errors.Is(err, plumbing.ErrIndex) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadIndex(f *testing.F) {
	for _, format := range []string{"sha1", "sha256"} {
		for _, version := range []string{"2", "4"} {
			dir := worktree(f, format)
			gittest.Run(f, dir, "update-index", "--index-version", version)
			data, _, _ := readIndex(f, dir)
			size := map[string]int{"sha1": 20, "sha256": 32}[format]
			// The fuzzer cannot guess sums: leave them out.
			copy(data[len(data)-size:], make([]byte, size))
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, format, err := plumbing.ReadIndex(data)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := plumbing.WriteIndex(&b, entries, format); err != nil {
			return
		}
		again, got, err := plumbing.ReadIndex(b.Bytes())
		if err != nil || got != format || len(again) != len(entries) {
			t.Fatalf("written and read again: %v, %s for %s, %d for %d", err, got, format, len(again), len(entries))
		}
	})
}
