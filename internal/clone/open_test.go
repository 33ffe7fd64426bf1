package clone

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass-dev/daypass"
)

// plain makes a repository with one commit.
func plain(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo")
	git(t, ".", "init", "-q", "-b", "main", dir)
	write(t, filepath.Join(dir, "a.txt"), "a\n")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "a")
	return dir
}

// tree is all that is below a folder, to see that nothing changed.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		b.WriteString(path + " " + info.Mode().String())
		if info.Mode().IsRegular() {
			data, _ := os.ReadFile(path)
			b.Write(data)
		}
		if target, err := os.Readlink(path); err == nil {
			b.WriteString(" -> " + target)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOpenForms makes each form that a .git can have, and looks which error comes, that git
// would accept what is foreign, and that nothing is written.
func TestOpenForms(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, dir string)
		want error
	}{
		"plain": {func(*testing.T, string) {}, nil},
		"none":  {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir+"/.git")) }, ErrNone},
		"empty folder": {func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir+"/.git"))
			must(t, os.Mkdir(dir+"/.git", 0o777))
		}, ErrBroken},
		"empty file": {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir+"/.git")); write(t, dir+"/.git", "") }, ErrBroken},
		"pipe": {func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir+"/.git"))
			must(t, syscall.Mkfifo(dir+"/.git", 0o600))
		}, ErrBroken},
		"no HEAD":      {func(t *testing.T, dir string) { must(t, os.Remove(dir+"/.git/HEAD")) }, ErrBroken},
		"empty HEAD":   {func(t *testing.T, dir string) { write(t, dir+"/.git/HEAD", "") }, ErrBroken},
		"corrupt HEAD": {func(t *testing.T, dir string) { write(t, dir+"/.git/HEAD", strings.Repeat("\x00", 41)) }, ErrBroken},
		"HEAD out":     {func(t *testing.T, dir string) { write(t, dir+"/.git/HEAD", "ref: ../../x\n") }, ErrBroken},
		"HEAD folder": {func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/.git/HEAD"))
			must(t, os.Mkdir(dir+"/.git/HEAD", 0o777))
		}, ErrBroken},
		"HEAD pipe": {func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/.git/HEAD"))
			must(t, syscall.Mkfifo(dir+"/.git/HEAD", 0o600))
		}, ErrBroken},
		"HEAD old link": {func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/.git/HEAD"))
			must(t, os.Symlink("refs/heads/main", dir+"/.git/HEAD"))
		}, nil},
		"HEAD link out": {func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/.git/HEAD"))
			must(t, os.Symlink("/etc/passwd", dir+"/.git/HEAD"))
		}, ErrForeign},
		"no objects":              {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir+"/.git/objects")) }, ErrBroken},
		"no refs":                 {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir+"/.git/refs")) }, ErrBroken},
		"packed-refs is a folder": {func(t *testing.T, dir string) { must(t, os.Mkdir(dir+"/.git/packed-refs", 0o777)) }, ErrBroken},
		"index is a folder": {func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/.git/index"))
			must(t, os.Mkdir(dir+"/.git/index", 0o777))
		}, ErrBroken},
		"link": {func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/.git", dir+"/real"))
			must(t, os.Symlink("real", dir+"/.git"))
		}, ErrForeign},
		"dead link": {func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir+"/.git"))
			must(t, os.Symlink("nowhere", dir+"/.git"))
		}, ErrBroken},
		"gitdir gone": {func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir+"/.git"))
			write(t, dir+"/.git", "gitdir: ../nowhere\n")
		}, ErrBroken},
		"gitdir below": {func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/.git", dir+"/real"))
			write(t, dir+"/.git", "gitdir: real\n")
		}, ErrForeign},
		"refs link":          {func(t *testing.T, dir string) { moveOut(t, dir, "refs") }, ErrForeign},
		"pack link":          {func(t *testing.T, dir string) { moveOut(t, dir, "objects/pack") }, ErrForeign},
		"objects link":       {func(t *testing.T, dir string) { moveOut(t, dir, "objects") }, ErrForeign},
		"index link":         {func(t *testing.T, dir string) { moveOut(t, dir, "index") }, ErrForeign},
		"config link":        {func(t *testing.T, dir string) { moveOut(t, dir, "config") }, ErrForeign},
		"logs link":          {func(t *testing.T, dir string) { moveOut(t, dir, "logs") }, ErrForeign},
		"heads link":         {func(t *testing.T, dir string) { moveOut(t, dir, "refs/heads") }, ErrForeign},
		"bad config":         {func(t *testing.T, dir string) { write(t, dir+"/.git/config", "[core\n") }, ErrBroken},
		"no config":          {func(t *testing.T, dir string) { must(t, os.Remove(dir+"/.git/config")) }, nil},
		"bare":               {func(t *testing.T, dir string) { git(t, dir, "config", "core.bare", "true") }, ErrForeign},
		"worktree elsewhere": {func(t *testing.T, dir string) { git(t, dir, "config", "core.worktree", t.TempDir()) }, ErrForeign},
		"worktree here":      {func(t *testing.T, dir string) { git(t, dir, "config", "core.worktree", dir) }, nil},
		"unknown extension": {func(t *testing.T, dir string) {
			write(t, dir+"/.git/config", "[core]\nrepositoryformatversion=1\n[extensions]\nnewThing=1\n")
		}, ErrForeign},
		"reftable": {func(t *testing.T, dir string) {
			write(t, dir+"/.git/config", "[core]\nrepositoryformatversion=1\n[extensions]\nrefStorage=reftable\n")
			write(t, dir+"/.git/HEAD", "ref: refs/heads/.invalid\n")
		}, ErrForeign},
		"unborn":        {func(t *testing.T, dir string) { must(t, os.Remove(dir+"/.git/refs/heads/main")) }, nil},
		"commondir out": {func(t *testing.T, dir string) { write(t, dir+"/.git/commondir", "/\n") }, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			dir := plain(t)
			test.make(t, dir)
			before := tree(t, filepath.Dir(dir))
			c, err := Open(dir)
			if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Fatalf("Open: %v, want %v", err, test.want)
			}
			if err == nil {
				c.Close()
			}
			if p := new(daypass.Problem); test.want != nil && test.want != ErrNone && (!errors.As(err, &p) || p.Why == "" || p.Next == "") {
				t.Errorf("no words: %v", err)
			}
			if got := tree(t, filepath.Dir(dir)); got != before {
				t.Errorf("Open changed something:\n%s\n%s", before, got)
			}
			if name == "HEAD pipe" {
				return // git waits for ever
			}
			_, gitErr := tryGit(dir, "rev-parse", "--git-dir")
			if test.want == nil && gitErr != nil {
				t.Error("git does not accept what we open")
			}
			if test.want == ErrBroken && gitErr == nil && name != "packed-refs is a folder" && name != "index is a folder" {
				t.Error("git accepts what we call broken")
			}
		})
	}
}

// moveOut puts a part of .git elsewhere, and a link in its place.
func moveOut(t *testing.T, dir, name string) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "elsewhere")
	must(t, os.Rename(filepath.Join(dir, ".git", name), to))
	must(t, os.Symlink(to, filepath.Join(dir, ".git", name)))
}

func TestOpenMissingFolder(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrNone) {
		t.Errorf("no folder: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	if _, err := Open(file); !errors.Is(err, ErrNone) {
		t.Errorf("a file: %v", err)
	}
}

// TestWorktrees opens what .git files lead to, inside the folders above only.
func TestWorktrees(t *testing.T) {
	main := plain(t)
	git(t, main, "worktree", "add", "-q", "-b", "within", filepath.Join(main, "wt"))
	git(t, main, "worktree", "add", "-q", "-b", "beside", filepath.Join(filepath.Dir(main), "wt2"))
	c, err := Open(filepath.Join(main, "wt"))
	must(t, err)
	defer c.Close()
	if h, err := c.Head(); err != nil || h.Branch != "refs/heads/within" || h.Commit != oid(t, main, "within") {
		t.Errorf("Head in a worktree: %+v %v", h, err)
	}
	if got := c.Objects(); got != filepath.Join(main, ".git/objects") {
		t.Errorf("Objects: %s", got)
	}
	if v, ok, err := c.Ref("refs/heads/main"); err != nil || !ok || v != oid(t, main, "main") {
		t.Errorf("a shared ref: %v %v %v", v, ok, err)
	}
	if _, err := Open(filepath.Join(filepath.Dir(main), "wt2")); !errors.Is(err, ErrForeign) {
		t.Errorf("a worktree beside: %v", err)
	}
	must(t, os.CopyFS(filepath.Join(main, "copied"), os.DirFS(filepath.Join(main, "wt"))))
	if _, err := Open(filepath.Join(main, "copied")); !errors.Is(err, ErrForeign) {
		t.Errorf("a copied worktree: %v", err)
	}
	other := plain(t)
	git(t, main, "-c", "protocol.file.allow=always", "submodule", "add", "-q", other, "sub")
	s, err := Open(filepath.Join(main, "sub"))
	must(t, err)
	defer s.Close()
	if url, ok, err := s.Origin(); err != nil || !ok || url != other {
		t.Errorf("a submodule's origin: %q %t %v", url, ok, err)
	}
}

func TestOrigin(t *testing.T) {
	for config, want := range map[string]string{
		"[remote \"origin\"]\nurl=one\nurl=two\n[remote \"x\"]\nurl=three\n": "one",
		"[remote \"upstream\"]\nurl=only\n":                                  "only",
		"[remote \"a\"]\nurl=1\n[remote \"b\"]\nurl=2\n":                     "",
		"[REMOTE \"origin\"]\nURL = \"a b\"\n":                               "a b",
		"[remote \"Origin\"]\nurl=1\n[remote \"origin\"]\nurl=2\n":           "2",
		"[include]\npath=/tmp/evil\n":                                        "",
		"":                                                                   "",
	} {
		dir := plain(t)
		write(t, dir+"/.git/config", config)
		c, err := Open(dir)
		must(t, err)
		defer c.Close()
		if url, ok, err := c.Origin(); err != nil || url != want || ok != (want != "") {
			t.Errorf("%q: %q %t %v", config, url, ok, err)
		}
	}
	dir := plain(t)
	write(t, dir+"/.git/config", "[remote \"origin\"]\nurl=x\n[branch \"a.B\"]\nremote=origin\nmerge=refs/heads/c\n[branch \"d\"]\nremote=.\nmerge=refs/heads/e\n")
	c, err := Open(dir)
	must(t, err)
	defer c.Close()
	if ref, ok := c.Upstream("refs/heads/a.B"); !ok || ref != "refs/heads/c" {
		t.Errorf("Upstream: %q %t", ref, ok)
	}
	if ref, ok := c.Upstream("refs/heads/d"); ok {
		t.Errorf("Upstream of a local one: %q", ref)
	}
}
