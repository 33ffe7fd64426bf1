package clone

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

// keysOf are a clone's settings, with values.
func keysOf(t *testing.T, dir string) []string {
	t.Helper()
	return strings.Split(git(t, dir, "config", "--list", "--local"), "\n")
}

// beside makes a clone by Build and one by git, of the same, and compares.
func beside(t *testing.T, up, what string, n New, cloneArgs []string, fetchArgs ...string) (mine, real string) {
	t.Helper()
	repo, packs := ours(t, up, what, n.Format, fetchArgs...)
	mine, real = filepath.Join(t.TempDir(), "mine"), filepath.Join(t.TempDir(), "real")
	must(t, os.Mkdir(mine, 0o777))
	n.Commit = oid(t, up, what+"^{commit}")
	n.Packs, n.Origin = packs, "file://"+up
	if n.Tag != "" {
		n.TagOID = oid(t, up, n.Tag)
	}
	if n.Depth > 0 {
		n.Shallow = []plumbing.OID{n.Commit}
	}
	n.Index = checkout(t, repo, mine, n.Commit, n.Sparse)
	c, err := Build(mine, n)
	must(t, err)
	c.Close()
	git(t, ".", append(append([]string{"clone", "-q"}, cloneArgs...), "file://"+up, real)...)
	for _, args := range [][]string{{"status", "--porcelain=v2", "--branch"}, {"rev-parse", "HEAD", "--is-shallow-repository"}} {
		if got, want := git(t, mine, args...), git(t, real, args...); got != want {
			t.Errorf("git %v:\n%s\nafter git clone:\n%s", args, got, want)
		}
	}
	if out := git(t, mine, "fsck", "--strict"); strings.Contains(out, "missing") {
		t.Errorf("fsck: %s", out)
	}
	git(t, mine, "pull", "-q", "--ff-only")
	return mine, real
}

func sameKeys(t *testing.T, mine, real string, but ...string) {
	t.Helper()
	known := func(line string) bool {
		return slices.ContainsFunc(but, func(b string) bool { return strings.HasPrefix(line, b) })
	}
	a, b := slices.DeleteFunc(keysOf(t, mine), known), slices.DeleteFunc(keysOf(t, real), known)
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Errorf("configuration:\n%q\nafter git clone:\n%q", a, b)
	}
}

func TestBuildFull(t *testing.T) {
	up := upstream(t, "sha1")
	mine, real := beside(t, up, "main", New{Branch: "refs/heads/main", Default: "refs/heads/main", Format: "sha1"}, nil)
	sameKeys(t, mine, real)
}

func TestBuildBranchWithSlash(t *testing.T) {
	up := upstream(t, "sha1")
	mine, real := beside(t, up, "feat/x", New{Branch: "refs/heads/feat/x", Default: "refs/heads/main", Format: "sha1", Depth: 1},
		[]string{"--depth", "1", "--branch", "feat/x"}, "--depth=1")
	sameKeys(t, mine, real)
}

func TestBuildSHA256(t *testing.T) {
	up := upstream(t, "sha256")
	mine, real := beside(t, up, "main", New{Branch: "refs/heads/main", Format: "sha256", Depth: 1}, []string{"--depth", "1"}, "--depth=1")
	sameKeys(t, mine, real)
}

func TestBuildTag(t *testing.T) {
	up := upstream(t, "sha1")
	repo, packs := ours(t, up, "v1", "sha1", "--depth=1")
	mine, real := filepath.Join(t.TempDir(), "mine"), filepath.Join(t.TempDir(), "real")
	must(t, os.Mkdir(mine, 0o777))
	tip := oid(t, up, "v1^{commit}")
	c, err := Build(mine, New{Origin: "file://" + up, Tag: "refs/tags/v1", TagOID: oid(t, up, "v1"), Commit: tip, Depth: 1, Shallow: []plumbing.OID{tip},
		Packs: packs, Index: checkout(t, repo, mine, tip, "")})
	must(t, err)
	defer c.Close()
	git(t, ".", "clone", "-q", "--depth", "1", "--branch", "v1", "file://"+up, real)
	sameKeys(t, mine, real)
	for _, args := range [][]string{{"status", "--porcelain=v2", "--branch"}, {"describe"}, {"log", "--format=%H %D"}, {"fsck"}, {"fetch"}} {
		if got, want := git(t, mine, args...), git(t, real, args...); got != want {
			t.Errorf("git %v:\n%s\nafter git clone:\n%s", args, got, want)
		}
	}
	if h, err := c.Head(); err != nil || !h.Detached || h.Commit != tip {
		t.Errorf("Head: %+v %v", h, err)
	}
}

func TestBuildCommit(t *testing.T) {
	up := upstream(t, "sha1")
	tip := oid(t, up, "main~1")
	repo, packs := ours(t, up, string(tip), "sha1", "--depth=1")
	mine := filepath.Join(t.TempDir(), "mine")
	must(t, os.Mkdir(mine, 0o777))
	c, err := Build(mine, New{Origin: "file://" + up, Commit: tip, Depth: 1, Shallow: []plumbing.OID{tip}, Packs: packs, Index: checkout(t, repo, mine, tip, "")})
	must(t, err)
	defer c.Close()
	if out := git(t, mine, "status"); !strings.Contains(out, "clean") {
		t.Errorf("status: %s", out)
	}
	git(t, mine, "fetch", "-q")
	git(t, mine, "checkout", "-q", "main")
	git(t, mine, "fsck")
}

// TestBuildSparse delivers one folder; git sees nothing missing, and its own pull brings
// no other.
func TestBuildSparse(t *testing.T) {
	for _, dir := range []string{"labs/one", "we*ird [x]/a\\b"} {
		up := upstream(t, "sha1")
		write(t, filepath.Join(up, dir, "in.txt"), "in\n")
		git(t, up, "add", ".")
		git(t, up, "commit", "-q", "-m", "in")
		mine, _ := beside(t, up, "main", New{Branch: "refs/heads/main", Depth: 1, Sparse: dir, Format: "sha1"}, []string{"--depth", "1"}, "--depth=1")
		if out := git(t, mine, "status", "--porcelain"); out != "" {
			t.Errorf("status: %s", out)
		}
		write(t, filepath.Join(up, dir, "next.txt"), "next")
		write(t, filepath.Join(up, "labs/two.txt"), "changed")
		git(t, up, "add", ".")
		git(t, up, "commit", "-q", "-m", "more")
		git(t, mine, "pull", "-q")
		if _, err := os.Stat(filepath.Join(mine, dir, "next.txt")); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"a.txt", "labs/two.txt"} {
			if _, err := os.Stat(filepath.Join(mine, name)); err == nil {
				t.Errorf("%s came", name)
			}
		}
		if out := git(t, mine, "status", "--porcelain"); out != "" {
			t.Errorf("status after pull: %s", out)
		}
	}
}

// TestBuildPartial leaves a large blob out; git fetches it when it is asked for.
func TestBuildPartial(t *testing.T) {
	up := upstream(t, "sha1")
	write(t, up+"/large", strings.Repeat("x", 5000))
	git(t, up, "add", ".")
	git(t, up, "commit", "-q", "-m", "large")
	repo, packs := ours(t, up, "main", "sha1", "--depth=1", "--filter=blob:limit=1k")
	mine, real := filepath.Join(t.TempDir(), "mine"), filepath.Join(t.TempDir(), "real")
	must(t, os.Mkdir(mine, 0o777))
	tip := oid(t, up, "main")
	git(t, repo, "config", "remote.x.url", "/nowhere")
	entries := []plumbing.IndexEntry{{File: plumbing.File{Path: "large", Mode: plumbing.Regular, OID: oid(t, up, "main:large")}, Skip: true}}
	for _, path := range []string{"a.txt", "labs/one/lab.ipynb", "labs/two.txt", "run.sh", "link"} {
		mode := map[string]plumbing.Mode{"run.sh": plumbing.Executable, "link": plumbing.Symlink}[path]
		if mode == 0 {
			mode = plumbing.Regular
		}
		entries = append(entries, plumbing.IndexEntry{File: plumbing.File{Path: path, Mode: mode, OID: oid(t, up, "main:"+path)}})
	}
	c, err := Build(mine, New{Origin: "file://" + up, Branch: "refs/heads/main", Default: "refs/heads/main", Commit: tip, Depth: 1,
		Shallow: []plumbing.OID{tip}, Packs: packs, Index: entries, Partial: true, Filter: "blob:limit=1k"})
	must(t, err)
	defer c.Close()
	git(t, ".", "clone", "-q", "--depth", "1", "--filter=blob:limit=1k", "--no-checkout", "file://"+up, real)
	sameKeys(t, mine, real, "remote.origin.partialclonefilter") // git writes 1k as 1024
	git(t, mine, "checkout", "-q", "--", ".")
	git(t, mine, "fsck")
	if out := git(t, mine, "cat-file", "-s", "HEAD:large"); out != "5000" {
		t.Errorf("large: %s", out)
	}
}

// TestBuildOverHTTP does a student's whole day with the clone, over http-backend.
func TestBuildOverHTTP(t *testing.T) {
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a.txt": "one\n", "b.txt": "b\n"})
	up.Commit("main", "two", gittest.Files{"a.txt": "two\n"})
	up.Git("config", "http.receivepack", "true")
	url := up.Serve(gittest.Options{}).Of(up)
	repo := filepath.Join(t.TempDir(), "ours.git")
	git(t, ".", "init", "-q", "--bare", repo)
	git(t, repo, "-c", "fetch.unpackLimit=1", "fetch", "-q", "--depth=1", url, "main:refs/daypass/new")
	mine := filepath.Join(t.TempDir(), "mine")
	must(t, os.Mkdir(mine, 0o777))
	tip := oid(t, repo, "refs/daypass/new")
	c, err := Build(mine, New{Origin: url, Branch: "refs/heads/main", Commit: tip, Depth: 1, Shallow: []plumbing.OID{tip}, Packs: packsOf(t, repo), Index: checkout(t, repo, mine, tip, "")})
	must(t, err)
	defer c.Close()
	up.Commit("main", "three", gittest.Files{"b.txt": "c\n"})
	git(t, mine, "pull", "-q")
	write(t, mine+"/mine.txt", "mine")
	git(t, mine, "add", ".")
	git(t, mine, "commit", "-q", "-m", "mine")
	git(t, mine, "push", "-q")
	git(t, mine, "fetch", "-q", "--unshallow")
	if got, want := git(t, mine, "rev-parse", "HEAD", "origin/main"), up.Git("rev-parse", "main", "main"); got != want {
		t.Errorf("%s, upstream %s", got, want)
	}
	if n := git(t, mine, "rev-list", "--count", "HEAD"); n != "4" {
		t.Errorf("%s commits", n)
	}
	git(t, mine, "fsck", "--strict")
}

func TestBuildRefuses(t *testing.T) {
	s := newScene(t, "sha1")
	tip := oid(t, s.up, "main")
	good := New{Origin: "file://" + s.up, Branch: "refs/heads/main", Commit: tip, Packs: packsOf(t, s.ours)}
	for name, change := range map[string]func(n *New){
		"password": func(n *New) { n.Origin = "https://ann:hunter2@example.org/x" },
		"token":    func(n *New) { n.Origin = "https://ghp_0123456789abcdefghij@github.com/o/r" },
		"option":   func(n *New) { n.Origin = "--upload-pack=x" },
		"lines":    func(n *New) { n.Origin = "https://example.org/x\n[core]\n\tfsmonitor = evil" },
		"branch":   func(n *New) { n.Branch = "refs/heads/a\"]\n[core]" },
		"branch2":  func(n *New) { n.Branch = "main" },
		"tag":      func(n *New) { n.Tag, n.TagOID = "refs/heads/x", tip },
		"commit":   func(n *New) { n.Commit = "HEAD" },
		"format":   func(n *New) { n.Format = "sha256" },
		"id":       func(n *New) { n.ID = "../x" },
		"sparse":   func(n *New) { n.Sparse = "../x" },
		"sparse2":  func(n *New) { n.Sparse = "a\n/*" },
		"pack":     func(n *New) { n.Packs = []string{"/etc/passwd"} },
	} {
		folder := t.TempDir()
		n := good
		change(&n)
		if _, err := Build(folder, n); err == nil {
			t.Errorf("%s: no error", name)
		} else if p := new(daypass.Problem); name == "password" && (!errors.As(err, &p) || p.Code != "DP-353" || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(folder); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	if _, err := Build(s.folder, good); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a .git: %v", err)
	}
	folder := t.TempDir()
	must(t, os.Symlink(t.TempDir(), folder+"/.git.daypass"))
	if c, err := Build(folder, good); err != nil {
		t.Errorf("over a leftover: %v", err)
	} else {
		c.Close()
	}
}

// TestModes follows the umask.
func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o027))
	s := newScene(t, "sha1")
	must(t, s.c.Update(s.update(t, s.advance(t, "four\n"))))
	for name, want := range map[string]os.FileMode{"HEAD": 0o640, "config": 0o640, "index": 0o640, "refs/heads/main": 0o640, "logs/HEAD": 0o640, "refs": 0o750 | os.ModeDir, "objects/pack": 0o750 | os.ModeDir, ".": 0o750 | os.ModeDir} {
		info, err := os.Stat(filepath.Join(s.folder, ".git", name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

func TestID(t *testing.T) {
	s := newScene(t, "sha1")
	if id, ok := s.c.ID(); !ok || id != "abc" {
		t.Errorf("ID: %q %t", id, ok)
	}
	must(t, s.c.SetID("Xy-1_2"))
	if id, ok := s.c.ID(); !ok || id != "Xy-1_2" {
		t.Errorf("ID: %q %t", id, ok)
	}
	for _, id := range []string{"", "../x", "a/b", "a\n", strings.Repeat("x", 65), "."} {
		if err := s.c.SetID(id); err == nil {
			t.Errorf("%q is taken", id)
		}
		write(t, s.folder+"/.git/daypass", id+"\n")
		if got, ok := s.c.ID(); ok {
			t.Errorf("%q is read as %q", id, got)
		}
	}
	if out := git(t, s.folder, "status", "--porcelain"); out != "" {
		t.Errorf("status: %s", out)
	}
}
