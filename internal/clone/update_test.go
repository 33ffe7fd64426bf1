package clone

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/plumbing"
)

// A scene is an upstream, our own repository and a clone made by Build.
type scene struct {
	up, ours, folder string
	format           string
	c                *Clone
}

func newScene(t testing.TB, format string, depth ...string) *scene {
	t.Helper()
	s := &scene{up: upstream(t, format), format: format}
	s.ours, _ = ours(t, s.up, "main", format, depth...)
	s.folder = filepath.Join(t.TempDir(), "mine")
	must(t, os.Mkdir(s.folder, 0o777))
	tip := oid(t, s.up, "main")
	n := New{Origin: "file://" + s.up, Branch: "refs/heads/main", Default: "refs/heads/main", Commit: tip,
		Packs: packsOf(t, s.ours), Index: checkout(t, s.ours, s.folder, tip, ""), Format: format, ID: "abc"}
	if len(depth) > 0 {
		n.Depth, n.Shallow = 1, []plumbing.OID{tip}
	}
	c, err := Build(s.folder, n)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	s.c = c
	return s
}

// advance lets upstream go on, and fetches that.
func (s *scene) advance(t testing.TB, text string) plumbing.OID {
	t.Helper()
	write(t, filepath.Join(s.up, "a.txt"), text)
	write(t, filepath.Join(s.up, "new-"+strings.TrimSpace(text)), text)
	git(t, s.up, "add", ".")
	git(t, s.up, "commit", "-q", "-m", text)
	git(t, s.ours, "-c", "fetch.unpackLimit=1", "fetch", "-q", "file://"+s.up, "main:refs/daypass/new")
	return oid(t, s.up, "main")
}

// update is the update to a commit, its files on disk.
func (s *scene) update(t testing.TB, to plumbing.OID) Update {
	t.Helper()
	h, err := s.c.Head()
	must(t, err)
	return Update{Branch: "refs/heads/main", Was: h, Old: h.Commit, New: to, Message: "daypass: pull",
		Tracking: map[string]plumbing.OID{"refs/remotes/origin/main": to}, Packs: packsOf(t, s.ours), Index: checkout(t, s.ours, s.folder, to, "")}
}

// sound looks with git's own eyes.
func (s *scene) sound(t testing.TB, clean bool) {
	t.Helper()
	if out := git(t, s.folder, "fsck", "--strict"); strings.Contains(out, "missing") || strings.Contains(out, "error") {
		t.Errorf("fsck: %s", out)
	}
	if out := git(t, s.folder, "status", "--porcelain"); clean && out != "" {
		t.Errorf("status: %s", out)
	}
}

func TestUpdate(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			s := newScene(t, format)
			old := oid(t, s.up, "main")
			to := s.advance(t, "four\n")
			must(t, s.c.Update(s.update(t, to)))
			s.sound(t, true)
			if got := oid(t, s.folder, "HEAD"); got != to {
				t.Errorf("HEAD: %s", got)
			}
			if got := git(t, s.folder, "status", "-sb"); got != "## main...origin/main" {
				t.Errorf("status -sb: %s", got)
			}
			line := regexp.MustCompile(`^` + string(old+" "+to) + ` daypass <daypass@localhost> \d+ [+-]\d{4}\tdaypass: pull$`)
			for _, log := range []string{"HEAD", "refs/heads/main", "refs/remotes/origin/main"} {
				data, err := os.ReadFile(filepath.Join(s.folder, ".git/logs", log))
				must(t, err)
				lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
				if len(lines) != 2 || !line.MatchString(lines[1]) {
					t.Errorf("%s: %q", log, lines)
				}
				values, err := s.c.Log(log)
				if err != nil || len(values) != 2 || values[0] != to || values[1] != old {
					t.Errorf("Log(%s): %v %v", log, values, err)
				}
			}
			if got := git(t, s.folder, "rev-parse", "ORIG_HEAD", "main@{1}"); got != string(old+"\n"+old) {
				t.Errorf("ORIG_HEAD, main@{1}: %s", got)
			}
			must(t, s.c.Update(s.update(t, to))) // once more: nothing
			if data, _ := os.ReadFile(s.folder + "/.git/logs/HEAD"); strings.Count(string(data), "\n") != 2 {
				t.Errorf("a second update wrote a log: %s", data)
			}
		})
	}
}

// TestAfterwards does by git all that a user does in a clone.
func TestAfterwards(t *testing.T) {
	s := newScene(t, "sha1", "--depth=1")
	must(t, s.c.Update(s.update(t, s.advance(t, "four\n"))))
	s.sound(t, true)
	write(t, s.up+"/five", "5")
	git(t, s.up, "add", ".")
	git(t, s.up, "commit", "-q", "-m", "five")
	git(t, s.folder, "pull", "-q")
	git(t, s.folder, "fetch", "-q", "--unshallow")
	if n := git(t, s.folder, "rev-list", "--count", "HEAD"); n != "5" {
		t.Errorf("%s commits after unshallow", n)
	}
	write(t, s.folder+"/mine", "m")
	git(t, s.folder, "add", ".")
	git(t, s.folder, "commit", "-q", "-m", "mine")
	git(t, s.folder, "push", "-q")
	if a, b := oid(t, s.up, "main"), oid(t, s.folder, "HEAD"); a != b {
		t.Errorf("pushed %s, upstream has %s", b, a)
	}
	git(t, s.folder, "gc", "-q", "--prune=now")
	s.sound(t, true)
	git(t, s.ours, "fsck") // gc of the clone takes nothing from ours
}

// TestUserWins moves the clone between plan and update.
func TestUserWins(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(t *testing.T, dir string){
		"commit": func(t *testing.T, dir string) { git(t, dir, "commit", "-q", "--allow-empty", "-m", "mine") },
		"switch": func(t *testing.T, dir string) { git(t, dir, "checkout", "-q", "-b", "other") },
		"detach": func(t *testing.T, dir string) { git(t, dir, "checkout", "-q", "--detach") },
		"reset":  func(t *testing.T, dir string) { git(t, dir, "reset", "-q", "--soft", "HEAD~1") },
		"packed": func(t *testing.T, dir string) {
			git(t, dir, "commit", "-q", "--allow-empty", "-m", "m")
			git(t, dir, "pack-refs", "--all")
		},
		"deletion": func(t *testing.T, dir string) { git(t, dir, "update-ref", "-d", "refs/heads/main") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, "sha1")
			u := s.update(t, s.advance(t, "four\n"))
			act(t, s.folder)
			before := git(t, s.folder, "for-each-ref") + tree(t, s.folder+"/.git/logs") + tree(t, s.folder+"/.git/HEAD") + tree(t, s.folder+"/.git/index")
			if err := s.c.Update(u); !errors.Is(err, ErrMoved) {
				t.Fatalf("Update: %v", err)
			}
			after := git(t, s.folder, "for-each-ref") + tree(t, s.folder+"/.git/logs") + tree(t, s.folder+"/.git/HEAD") + tree(t, s.folder+"/.git/index")
			if before != after {
				t.Errorf("something moved:\n%s\n%s", before, after)
			}
			if _, err := os.Lstat(s.folder + "/.git/index.lock"); err == nil {
				t.Error("the lock stays")
			}
		})
	}
}

// TestSwitch changes what HEAD is on.
func TestSwitch(t *testing.T) {
	s := newScene(t, "sha1")
	to := s.advance(t, "four\n")
	u := s.update(t, to)
	u.Branch, u.Switch, u.Old = "refs/heads/lab", true, ""
	u.Tags = map[string]plumbing.OID{"refs/tags/t": to}
	must(t, s.c.Update(u))
	s.sound(t, true)
	if got := git(t, s.folder, "symbolic-ref", "HEAD"); got != "refs/heads/lab" {
		t.Errorf("HEAD on %s", got)
	}
	must(t, s.c.Update(u)) // repeatable
	u = s.update(t, s.advance(t, "five\n"))
	u.Branch, u.Switch, u.Tags = "", true, map[string]plumbing.OID{"refs/tags/t": u.New}
	must(t, s.c.Update(u))
	s.sound(t, true)
	if h, err := s.c.Head(); err != nil || !h.Detached || h.Commit != u.New {
		t.Errorf("Head: %+v %v", h, err)
	}
	if got := oid(t, s.folder, "t"); got != to {
		t.Error("a tag moved")
	}
	next := s.update(t, s.advance(t, "six\n"))
	next.Branch = ""
	must(t, s.c.Update(next))
	if h, _ := s.c.Head(); !h.Detached || h.Commit != next.New {
		t.Errorf("Head: %+v", h)
	}
	back := s.update(t, next.New)
	back.Switch, back.Old = true, oid(t, s.folder, "main")
	must(t, s.c.Update(back))
	if got := git(t, s.folder, "symbolic-ref", "HEAD"); got != "refs/heads/main" {
		t.Errorf("HEAD on %s", got)
	}
	git(t, s.folder, "reflog")
	s.sound(t, true)
}

// TestRefNames lets names exclude each other, loose and packed.
func TestRefNames(t *testing.T) {
	t.Parallel()
	for _, packed := range []bool{false, true} {
		s := newScene(t, "sha1")
		git(t, s.folder, "branch", "a")
		git(t, s.folder, "branch", "b/c")
		git(t, s.folder, "update-ref", "refs/remotes/origin/x", "HEAD")
		if packed {
			git(t, s.folder, "pack-refs", "--all")
		}
		var skipped []string
		to := s.advance(t, "four\n")
		for _, name := range []string{"refs/heads/a/b", "refs/heads/b"} {
			u := s.update(t, to)
			u.Branch, u.Old, u.Switch = name, "", true
			if err := s.c.Update(u); !errors.Is(err, errInTheWay) {
				t.Errorf("%s, packed %t: %v", name, packed, err)
			}
		}
		u := s.update(t, to)
		u.Tracking["refs/remotes/origin/x/y"] = to
		u.Skipped = func(ref string) { skipped = append(skipped, ref) }
		must(t, s.c.Update(u))
		if len(skipped) != 1 || skipped[0] != "refs/remotes/origin/x/y" {
			t.Errorf("skipped %q", skipped)
		}
		s.sound(t, true)
		git(t, s.folder, "branch", "-D", "b/c") // git leaves refs/heads/b, or takes it
		must(t, os.MkdirAll(s.folder+"/.git/refs/heads/b/empty", 0o777))
		must(t, os.MkdirAll(s.folder+"/.git/logs/refs/heads/b/empty", 0o777))
		u = s.update(t, to)
		u.Branch, u.Old, u.Switch = "refs/heads/b", "", true
		must(t, s.c.Update(u))
		s.sound(t, true)
	}
}

// TestRefsAsGit reads what git wrote in all its ways.
func TestRefsAsGit(t *testing.T) {
	s := newScene(t, "sha1")
	d := s.folder
	git(t, d, "tag", "-a", "v2", "-m", "v2")
	git(t, d, "pack-refs", "--all")
	git(t, d, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
	git(t, d, "symbolic-ref", "refs/heads/alias2", "refs/heads/alias")
	git(t, d, "commit", "-q", "--allow-empty", "-m", "x")
	git(t, d, "branch", "feat/y", "HEAD~1")
	for _, name := range []string{"HEAD", "refs/heads/main", "refs/heads/alias2", "refs/heads/feat/y", "refs/tags/v2", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"} {
		v, ok, err := s.c.Ref(name)
		if err != nil || !ok || v != oid(t, d, name) {
			t.Errorf("%s: %s %t %v", name, v, ok, err)
		}
	}
	for _, name := range []string{"refs/heads/none", "refs/heads/feat", "refs/heads/main/x"} {
		if _, ok, err := s.c.Ref(name); ok || err != nil {
			t.Errorf("%s: %t %v", name, ok, err)
		}
	}
	for _, name := range []string{"", "main", "../HEAD", "refs/../HEAD", "refs/heads/..", "config", "index"} {
		if _, _, err := s.c.Ref(name); err == nil {
			t.Errorf("%q is read", name)
		}
	}
	write(t, d+"/.git/refs/heads/loop", "ref: refs/heads/loop\n")
	write(t, d+"/.git/refs/heads/bad", "nonsense\n")
	for _, name := range []string{"refs/heads/loop", "refs/heads/bad"} {
		if _, _, err := s.c.Ref(name); !errors.Is(err, errRef) {
			t.Errorf("%s: %v", name, err)
		}
	}
	git(t, d, "checkout", "-q", "--orphan", "unborn")
	if h, err := s.c.Head(); err != nil || h != (Head{Branch: "refs/heads/unborn", Unborn: true}) {
		t.Errorf("unborn: %+v %v", h, err)
	}
	git(t, d, "symbolic-ref", "HEAD", "refs/heads/alias2")
	if h, err := s.c.Head(); err != nil || h.Branch != "refs/heads/main" || h.Commit != oid(t, d, "main") {
		t.Errorf("by alias: %+v %v", h, err)
	}
	u := s.update(t, s.advance(t, "four\n"))
	must(t, s.c.Update(u))
	if head, err := os.ReadFile(d + "/.git/HEAD"); err != nil || oid(t, d, "main") != u.New || string(head) != "ref: refs/heads/alias2\n" {
		t.Error("an update through an alias")
	}
}

// TestReflogKept follows core.logAllRefUpdates.
func TestReflogKept(t *testing.T) {
	for value, want := range map[string][2]bool{"false": {false, false}, "true": {true, false}, "always": {true, true}} {
		s := newScene(t, "sha1")
		git(t, s.folder, "config", "core.logAllRefUpdates", value)
		must(t, os.RemoveAll(s.folder+"/.git/logs"))
		write(t, s.folder+"/.git/logs/refs/remotes/origin/main", "")
		c, err := Open(s.folder)
		must(t, err)
		defer c.Close()
		s.c = c
		u := s.update(t, s.advance(t, "four\n"))
		u.Tracking["refs/daypass/x"] = u.New
		must(t, c.Update(u))
		for i, name := range []string{"refs/heads/main", "refs/daypass/x"} {
			if values, err := c.Log(name); err != nil || (len(values) > 0) != want[i] {
				t.Errorf("%s: log of %s: %v %v", value, name, values, err)
			}
		}
		if values, _ := c.Log("refs/remotes/origin/main"); len(values) != 1 {
			t.Errorf("%s: a log that is there is not written", value)
		}
	}
}

func TestUpdateRefuses(t *testing.T) {
	s := newScene(t, "sha1")
	before := tree(t, s.folder)
	good := s.update(t, oid(t, s.up, "main"))
	for name, change := range map[string]func(u *Update){
		"branch out":          func(u *Update) { u.Branch = "refs/heads/../../config" },
		"no branch":           func(u *Update) { u.Branch = "refs/tags/x" },
		"HEAD":                func(u *Update) { u.Branch = "HEAD" },
		"tracking out":        func(u *Update) { u.Tracking = map[string]plumbing.OID{"config": u.New} },
		"tag out":             func(u *Update) { u.Tags = map[string]plumbing.OID{"refs/tags/../../../x": u.New} },
		"short":               func(u *Update) { u.New = u.New[:39] },
		"long":                func(u *Update) { u.New += u.New[:24] },
		"lines":               func(u *Update) { u.Message = "a\nb" },
		"shallow":             func(u *Update) { u.Shallow = []plumbing.OID{"x"} },
		"a pack that is none": func(u *Update) { u.Packs = []string{"/etc/passwd"} },
	} {
		u := good
		change(&u)
		if err := s.c.Update(u); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if tree(t, s.folder) != before {
		t.Error("something was written")
	}
}

// TestShallow keeps what the user fetched, and marks what has no parents.
func TestShallow(t *testing.T) {
	s := newScene(t, "sha1", "--depth=1")
	old := oid(t, s.up, "main")
	for i, want := range []string{"4", "5"} {
		u := s.update(t, s.advance(t, want+"\n"))
		u.Shallow = []plumbing.OID{old}
		if i == 0 {
			git(t, s.folder, "fetch", "-q", "--unshallow")
		}
		must(t, s.c.Update(u))
		if n := git(t, s.folder, "rev-list", "--count", "HEAD"); n != want {
			t.Errorf("%s commits, want %s", n, want)
		}
		s.sound(t, true)
	}
	full := newScene(t, "sha1")
	write(t, full.up+"/x", "x\n")
	git(t, full.up, "add", ".")
	git(t, full.up, "commit", "-q", "-m", "x")
	to := full.advance(t, "far\n")
	fresh, packs := ours(t, full.up, "main", "sha1", "--depth=1")
	u := full.update(t, to)
	u.Packs, u.Shallow = packs, []plumbing.OID{to}
	must(t, full.c.Update(u))
	if v, err := full.c.Shallow(); err != nil || len(v) != 1 || v[0] != to {
		t.Errorf("%s: shallow %v %v", fresh, v, err)
	}
	full.sound(t, true)
	git(t, full.folder, "fetch", "-q", "--unshallow")
	if n := git(t, full.folder, "rev-list", "--count", "HEAD"); n != "5" {
		t.Errorf("%s commits after unshallow", n)
	}
}

// TestFetches holds what we take for configured to what git fetches.
func TestFetches(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "+refs/heads/*:refs/remotes/origin/*": true, "refs/heads/a/b:refs/remotes/origin/a/b": true, "+refs/heads/a:refs/remotes/origin/a": false,
		"+refs/heads/a/*:refs/remotes/origin/a/*": true, "+refs/heads/a/b*b:refs/x*": false, "+refs/tags/v1:refs/tags/v1": false,
	} {
		s := settings{{section: "remote", hasSub: true, sub: "origin", name: "fetch", value: text}, {section: "remote", hasSub: true, sub: "mine", name: "fetch", value: "+refs/heads/*:refs/mine/*"}}
		if got := s.fetches("refs/heads/a/b"); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
