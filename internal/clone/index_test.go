package clone

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/internal/soak"
)

// indexAsGit compares what Index reads with what git lists.
func indexAsGit(t *testing.T, dir string, args ...string) []plumbing.IndexEntry {
	t.Helper()
	c, err := Open(dir)
	must(t, err)
	defer c.Close()
	entries, err := c.Index()
	if err != nil {
		t.Errorf("Index: %v", err)
		return nil
	}
	var b strings.Builder
	for _, e := range entries {
		tag := "H"
		switch {
		case e.Skip:
			tag = "S"
		case e.Stage > 0:
			tag = "M"
		}
		fmt.Fprintf(&b, "%s %06o %s %d\t%s\n", tag, e.Mode, e.OID, e.Stage, e.Path)
	}
	list := append(append([]string{}, args...), "ls-files", "--stage", "-t", "-z")
	if len(args) > 0 {
		list = append(list, "--sparse")
	}
	want := strings.ReplaceAll(git(t, dir, list...), "\x00", "\n")
	if b.String() != want {
		t.Errorf("Index:\n%s\ngit:\n%s", b.String(), want)
	}
	return entries
}

func TestIndexVersions(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		for _, version := range []string{"2", "3", "4"} {
			dir := upstream(t, format)
			write(t, dir+"/added", "x")
			git(t, dir, "add", "-N", "added")
			git(t, dir, "update-index", "--index-version", version)
			git(t, dir, "update-index", "--skip-worktree", "a.txt")
			git(t, dir, "update-index", "--assume-unchanged", "run.sh")
			git(t, dir, "update-index", "--untracked-cache")
			git(t, dir, "status")
			c, err := Open(dir)
			must(t, err)
			entries, err := c.Index()
			must(t, err)
			must(t, c.Close())
			var skip, intent int
			for _, e := range entries {
				if e.Skip {
					skip++
				}
				if e.Intent {
					intent++
				}
			}
			if len(entries) != 6+0 && len(entries) != 7 || skip != 1 || intent != 1 {
				t.Errorf("version %s: %d entries, %d skipped, %d intended", version, len(entries), skip, intent)
			}
			git(t, dir, "update-index", "--no-assume-unchanged", "run.sh")
			indexAsGit(t, dir)
		}
	}
}

func TestIndexOfMerge(t *testing.T) {
	dir := unfinishedRepo(t)
	fail(t, dir, "merge", "other")
	entries := indexAsGit(t, dir)
	stages := 0
	for _, e := range entries {
		if e.Stage > 0 {
			stages++
		}
	}
	if stages != 3 {
		t.Errorf("%d stages", stages)
	}
}

// TestIndexSplit changes a split index at random, and compares after each change.
func TestIndexSplit(t *testing.T) {
	t.Parallel()
	seed, _ := soak.Seeds(t, 1, 1)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := plain(t)
	for i := range 300 {
		write(t, fmt.Sprintf("%s/d%d/f%d", dir, i%7, i), fmt.Sprint(i))
	}
	git(t, dir, "add", ".")
	git(t, dir, "config", "splitIndex.maxPercentChange", "100")
	git(t, dir, "update-index", "--split-index")
	split := 0
	for range soak.Rounds(t, 25, 500) {
		switch r.IntN(4) {
		case 0:
			write(t, fmt.Sprintf("%s/n%d", dir, r.IntN(20)), "new")
		case 1:
			for i := range 300 {
				if r.IntN(3) == 0 {
					write(t, fmt.Sprintf("%s/d%d/f%d", dir, i%7, i), fmt.Sprint(r.Uint64()))
				}
			}
		case 2:
			i := r.IntN(300)
			os.Remove(fmt.Sprintf("%s/d%d/f%d", dir, i%7, i))
		case 3:
			os.RemoveAll(fmt.Sprintf("%s/d%d", dir, r.IntN(7)))
		}
		git(t, dir, "add", "-A")
		if files, _ := filepath.Glob(dir + "/.git/sharedindex.*"); len(files) > 0 {
			split++
		}
		indexAsGit(t, dir)
	}
	if split == 0 {
		t.Error("it never was split")
	}
	// A new index in its place is whole, and git takes it.
	c, err := Open(dir)
	must(t, err)
	defer c.Close()
	h, err := c.Head()
	must(t, err)
	entries, err := c.Index()
	must(t, err)
	want := git(t, dir, "ls-files", "--stage")
	must(t, c.Update(Update{Branch: h.Branch, Was: h, Old: h.Commit, New: h.Commit, Index: entries, Message: "x"}))
	if got := git(t, dir, "ls-files", "--stage"); got != want {
		t.Errorf("rewritten:\n%s\nwas\n%s", got, want)
	}
	files, _ := filepath.Glob(dir + "/.git/sharedindex.*")
	for _, f := range files {
		must(t, os.Truncate(f, 100))
	}
}

func TestIndexSparse(t *testing.T) {
	dir := upstream(t, "sha1")
	git(t, dir, "sparse-checkout", "set", "--cone", "--sparse-index", "labs/one")
	write(t, dir+"/big/x/y", "1")
	git(t, dir, "add", "--sparse", ".")
	git(t, dir, "commit", "-q", "-m", "big")
	git(t, dir, "sparse-checkout", "reapply")
	entries := indexAsGit(t, dir, "-c", "index.sparse=true")
	folders := 0
	for _, e := range entries {
		if e.Mode == plumbing.Directory {
			folders++
			if !e.Skip {
				t.Errorf("%s is not skipped", e.Path)
			}
		}
	}
	if folders != 1 {
		t.Errorf("%d folders", folders)
	}
}

func TestIndexBroken(t *testing.T) {
	s := newScene(t, "sha1")
	u := s.update(t, s.advance(t, "four\n"))
	write(t, s.folder+"/.git/index", "DIRC nonsense")
	if _, err := s.c.Index(); err == nil {
		t.Error("a broken index is read")
	}
	must(t, s.c.Update(u))
	s.sound(t, true)
	must(t, os.Remove(s.folder+"/.git/index"))
	if entries, err := s.c.Index(); err != nil || len(entries) != 0 {
		t.Errorf("no index: %v %v", entries, err)
	}
}
