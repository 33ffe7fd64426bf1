package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// noise does not compress.
func noise(n int) string {
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	b := make([]byte, n)
	r.Read(b)
	return string(b)
}

func TestLargeFiles(t *testing.T) {
	for _, o := range []gittest.Options{{Filter: true}, {}, {Filter: true, Version0: true}} {
		up := gittest.New(t)
		up.Commit("main", "one", gittest.Files{"a": "1", "data/big.bin": noise(2_000_000), "small.bin": noise(1000)})
		s := up.Serve(o)
		url, g := s.Of(up), source(t)
		g.Limits = snapshot.Limits{File: 100_000}
		r := ours(t, g, "sha1")
		var bytes int64
		got := fetch(t, g, r, snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1, Progress: func(p snapshot.Progress) { bytes = p.Bytes }})
		if paths(got.Files) != "a small.bin" || paths(got.Rest) != "data/big.bin" || len(got.Left) != 1 || !strings.Contains(got.Left[0].Why, "larger than 98 kB") {
			t.Errorf("%+v: %+v", o, got)
		}
		if got.Partial != o.Filter || o.Filter && bytes > 100_000 || !o.Filter && bytes < 1_000_000 {
			t.Errorf("%+v: partial %v, %d bytes came", o, got.Partial, bytes)
		}
		// Again, with the large file unchanged.
		up.Commit("main", "two", gittest.Files{"a": "2"})
		got = fetch(t, g, r, snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1, Have: got.Commit})
		if paths(got.Files) != "a small.bin" || paths(got.Rest) != "data/big.bin" {
			t.Errorf("%+v: again %+v", o, got)
		}
		// Nothing tries to fetch what was left out.
		s.Forget()
		objects, err := r.Objects(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := objects.Size(plumbing.OID(up.Git("rev-parse", "main:data/big.bin"))); errors.Is(err, plumbing.ErrMissing) != o.Filter {
			t.Errorf("%+v: %v", o, err)
		}
		objects.Close()
		if n := len(s.Requests()); n > 0 {
			t.Errorf("%+v: %d requests for a file that was left out", o, n)
		}
		// As a small one, of which the source may send the difference to the large.
		up.Commit("main", "three", gittest.Files{"data/big.bin": noise(2_000_000)[:90_000] + "end"})
		got = fetch(t, g, r, snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1, Have: got.Commit})
		if paths(got.Files) != "a data/big.bin small.bin" || got.Partial != o.Filter { // what came before lacks it
			t.Errorf("%+v: small now %+v", o, got)
		}
		if config := readFile(t, filepath.Join(r.Dir(), "config")); strings.Contains(config, "remote") || strings.Contains(config, "partial") {
			t.Errorf("the configuration has become %s", config)
		}
	}
}

func TestTotals(t *testing.T) {
	up := gittest.New(t)
	files := gittest.Files{}
	for i := range 50 {
		files[fmt.Sprintf("d%d/f", i)] = noise(100_000 + i)
	}
	up.Commit("main", "one", files)
	s := up.Serve(gittest.Options{})
	url, g := s.Of(up), source(t)
	tip := look(t, g, url, "")
	for name, row := range map[string]struct {
		l    snapshot.Limits
		path string
		code string
	}{
		"total":        {snapshot.Limits{Total: 3_000_000}, "", "DP-317"},
		"total, slow":  {snapshot.Limits{Total: 1_000_000}, "", "DP-317"},
		"files":        {snapshot.Limits{Files: 49}, "", "DP-317"},
		"just so":      {snapshot.Limits{Files: 50}, "", ""},
		"no limit":     {snapshot.Limits{File: -1, Files: -1, Total: -1}, "", ""},
		"in a folder":  {snapshot.Limits{Files: 1}, "d7", ""},
		"with a slash": {snapshot.Limits{Files: 1}, "/d7/", ""},
		"a file":       {snapshot.Limits{}, "d7/f", ""},
		"no folder":    {snapshot.Limits{}, "d77", "DP-324"},
		"up":           {snapshot.Limits{}, "../d7", "DP-324"},
		"back":         {snapshot.Limits{}, "d7\\f", "DP-324"},
	} {
		if name == "total, slow" {
			s.Fault(gittest.Fault{Match: "upload-pack", Method: "POST", Rate: 2_000_000})
		}
		g.Limits = row.l
		r := ours(t, g, "sha1")
		_, err := g.Fetch(t.Context(), r, snapshot.Ask{URL: url, Tip: tip, Depth: 1, Path: row.path})
		if code(err) != row.code || row.code == "DP-317" && !errors.Is(err, daypass.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "total, slow" {
			clean(t, r, name)
		}
		s.Fault()
	}
}

// TestBombs fetches trees of a few hundred bytes that stand for billions of files.
func TestBombs(t *testing.T) {
	up := gittest.New(t)
	blob := up.Blob("x")
	tree := up.Tree(ent("100644", "f", blob))
	empty := up.Tree()
	for _, bottom := range []string{tree, empty} {
		id := bottom
		for range 12 {
			var entries []gittest.Entry
			for i := range 10 {
				entries = append(entries, ent("40000", fmt.Sprint("d", i), id))
			}
			id = up.Tree(entries...)
		}
		deep := bottom
		for range map[string]int{tree: 530}[bottom] {
			deep = up.Tree(ent("40000", "d", deep))
		}
		url, g := "file://"+up.Dir, source(t)
		for _, root := range []string{id, deep} {
			if root == bottom {
				continue
			}
			tip := up.CommitTree("bomb", root)
			if _, err := g.Fetch(t.Context(), ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: snapshot.Tip{Commit: plumbing.OID(tip)}, Depth: 1}); err == nil {
				t.Error("it was walked to its end")
			} else if c := code(err); c != "DP-317" && c != "DP-328" {
				t.Error(err)
			}
		}
	}
}

func TestPointers(t *testing.T) {
	up := gittest.New(t)
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 12345\n"
	up.Commit("main", "one", gittest.Files{"x.bin": pointer, "d/y.bin": pointer, "d/.gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "z": "z", "w": strings.Repeat("w", 500)})
	url, g := up.Serve(gittest.Options{}).Of(up), source(t)
	got := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1})
	if got.Pointers != 2 || len(got.Files) != 5 {
		t.Errorf("%+v", got)
	}
}

func TestSHA256(t *testing.T) {
	up := gittest.At(t, filepath.Join(t.TempDir(), "up.git"), "sha256")
	id := up.Commit("main", "one", gittest.Files{"a": "1"})
	url, g := up.Serve(gittest.Options{}).Of(up), source(t)
	tip := look(t, g, url, "")
	if tip.Format != "sha256" {
		t.Errorf("%+v", tip)
	}
	if got := fetch(t, g, ours(t, g, "sha256"), snapshot.Ask{URL: url, Tip: tip, Depth: 1}); string(got.Commit) != id {
		t.Errorf("%+v", got)
	}
	if _, err := g.Fetch(t.Context(), ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: tip, Depth: 1}); code(err) != "DP-329" {
		t.Errorf("%v", err)
	}
}

// TestCommits asks for commits by their ids.
func TestCommits(t *testing.T) {
	for _, v0 := range []bool{false, true} {
		up := gittest.New(t)
		one := up.Commit("main", "one", gittest.Files{"a": "1"})
		up.Commit("main", "two", gittest.Files{"a": "2"})
		up.Git("tag", "-a", "-m", "t", "v1", one)
		up.Git("tag", "-a", "-m", "t", "vv", "v1")
		s := up.Serve(gittest.Options{Version0: v0})
		url, g := s.Of(up), source(t)
		got, err := g.Fetch(t.Context(), ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, one), Depth: 1})
		if v0 {
			if code(err) != "DP-318" {
				t.Errorf("protocol 0: %v", err)
			}
		} else if err != nil || string(got.Commit) != one {
			t.Errorf("%v, %+v", err, got)
		}
		for _, tag := range []string{"v1", "vv"} {
			tagged := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, tag), Depth: 1})
			if string(tagged.Commit) != one || string(tagged.Tip.Commit) != one || tagged.Tip.Name != tag {
				t.Errorf("v0 %v: %+v", v0, tagged)
			}
		}
		if _, err := g.Fetch(t.Context(), ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, strings.Repeat("1", 40)), Depth: 1}); code(err) != "DP-318" {
			t.Errorf("nowhere: %v", err)
		}
		up.Git("update-ref", "refs/tags/blob", up.Git("rev-parse", "main:a"))
		if _, err := g.Fetch(t.Context(), ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, "blob"), Depth: 1}); code(err) != "DP-318" {
			t.Errorf("a tag of a file: %v", err)
		}
	}
}

// TestAdopted offers a commit that only a shallow clone beside us has.
func TestAdopted(t *testing.T) {
	up := gittest.New(t)
	up.Course("main", 200)
	for i := range 10 {
		up.Commit("main", "two", gittest.Files{"a": fmt.Sprint(i)})
	}
	s := up.Serve(gittest.Options{})
	url, g := s.Of(up), source(t)
	dir := t.TempDir()
	folders := []string{filepath.Join(dir, "1"), filepath.Join(dir, "4"), filepath.Join(dir, "100")}
	for _, folder := range folders {
		gittest.Run(t, dir, "clone", "-q", "--depth="+filepath.Base(folder), url, folder)
	}
	have := plumbing.OID(up.Git("rev-parse", "main"))
	up.Commit("main", "three", gittest.Files{"a": "new"})
	up.Commit("main", "three", gittest.Files{"a": "newer"})
	for i := range 6 {
		folder, depth := folders[i%3], i/3
		r := ours(t, g, "sha1").With(filepath.Join(folder, ".git/objects"))
		var bytes int64
		got := fetch(t, g, r, snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: depth, Have: have, Progress: func(p snapshot.Progress) { bytes = p.Bytes }})
		if len(got.Files) != 201 || bytes > 20_000 {
			t.Errorf("%s, depth %d: %d files, %d bytes came", folder, depth, len(got.Files), bytes)
		}
	}
	// What is not there at all is no reason to fail.
	fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: url, Tip: look(t, g, url, ""), Depth: 1, Have: have})
}

// TestShallowSource fetches from a repository whose own history is cut.
func TestShallowSource(t *testing.T) {
	up := gittest.New(t)
	for i := range 5 {
		up.Commit("main", "x", gittest.Files{"a": fmt.Sprint(i)})
	}
	dir := filepath.Join(t.TempDir(), "s.git")
	gittest.Run(t, "/", "clone", "-q", "--bare", "--depth=2", "file://"+up.Dir, dir)
	g := source(t)
	for _, depth := range []int{0, 1} {
		got := fetch(t, g, ours(t, g, "sha1"), snapshot.Ask{URL: dir, Tip: look(t, g, dir, ""), Depth: depth})
		if len(got.Shallow) != 1 || len(got.Files) != 1 {
			t.Errorf("depth %d: %+v", depth, got)
		}
	}
}

// TestOwners reads repositories of others on this machine, as root's tests can.
func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	up := gittest.New(t)
	up.Commit("main", "one", gittest.Files{"a": "1"})
	g := source(t)
	chown := func(uid int) {
		if out, err := exec.Command("chown", "-R", fmt.Sprint(uid), up.Dir).CombinedOutput(); err != nil {
			t.Fatalf("%s", out)
		}
	}
	usual, own := os.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", own) // others may be at work in the usual one
	chown(12345)
	if _, err := g.Look(t.Context(), up.Dir, ""); code(err) != "DP-322" {
		t.Errorf("a stranger's: %v", err)
	}
	allowed := g
	allowed.Git.Config = [][2]string{{"safe.directory", up.Dir}}
	fetch(t, allowed, ours(t, g, "sha1"), snapshot.Ask{URL: up.Dir, Tip: look(t, allowed, up.Dir, ""), Depth: 1})
	chown(0)
	os.Chown(filepath.Join(up.Dir, "config"), 12345, -1)
	look(t, g, up.Dir, "") // root's own for git; what counts here is that it is not named as safe
	if left, _ := filepath.Glob(filepath.Join(own, "daypass-safe-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	t.Setenv("TMPDIR", usual)
	// As a user, of root's repository.
	bin := filepath.Join(t.TempDir(), "x")
	os.MkdirAll(bin, 0o777)
	for dir := bin; dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o777)
	}
	for dir := up.Dir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	os.Chown(filepath.Join(up.Dir, "config"), 0, -1)
	if out, err := asUser(t, bin, up.Dir, true); err != nil {
		t.Errorf("root's, as somebody else: %v\n%s", err, out)
	}
	os.Chown(filepath.Join(up.Dir, "config"), 12345, -1)
	if out, err := asUser(t, bin, up.Dir, false); err != nil {
		t.Errorf("half root's, as somebody else: %v\n%s", err, out)
	}
}

// asUser looks at a repository as another user, in this test's own program.
func asUser(t *testing.T, dir, repo string, good bool) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(program, "-test.run=^TestAsUser$", "-test.v")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "DAYPASS_TEST_REPO=" + repo, fmt.Sprint("DAYPASS_TEST_GOOD=", good)}
	cmd.SysProcAttr = credential(54321)
	err = cmd.Run()
	return out.String(), err
}

// TestAsUser is a part of TestOwners.
func TestAsUser(t *testing.T) {
	repo := os.Getenv("DAYPASS_TEST_REPO")
	if repo == "" {
		t.Skip("a part of TestOwners")
	}
	_, err := source(t).Look(t.Context(), repo, "")
	if want := map[string]string{"true": "", "false": "DP-322"}[os.Getenv("DAYPASS_TEST_GOOD")]; code(err) != want {
		t.Errorf("%v, want %q", err, want)
	}
}

func credential(uid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
}
