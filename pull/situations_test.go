package pull

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// clone makes the folder as nbgitpuller does.
func (d *desk) clone(args ...string) {
	d.t.Helper()
	args = append([]string{"clone", "-q"}, args...)
	gittest.Run(d.t, d.home, append(args, "--", "file://"+d.src.Dir, d.folder)...)
}

// try runs git, which may fail.
func (d *desk) try(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = d.folder, gittest.Environ()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// sync does what nbgitpuller does with a folder that is there.
func (d *desk) sync() {
	d.try("fetch")
	d.try("reset", "--mixed")
	d.try("-c", "user.name=nbgitpuller", "-c", "user.email=nbgitpuller@nbgitpuller.link", "commit", "-qam", "Automatic commit by nbgitpuller", "--allow-empty")
	d.try("-c", "user.name=nbgitpuller", "-c", "user.email=nbgitpuller@nbgitpuller.link", "merge", "-q", "-Xours", "origin/main")
}

// named takes the time out of the names of what was moved aside.
func named(files map[string]string) map[string]string {
	out := map[string]string{}
	for name, data := range files {
		if i := strings.Index(name, "__20"); i >= 0 && len(name) >= i+16 {
			name = name[:i] + "__TIME" + name[i+16:]
		}
		out[name] = data
	}
	return out
}

// A situation is a folder, and what a pull makes of it.
type situation struct {
	first  gittest.Files
	have   func(d *desk) // how the folder came to be; nil: by a pull of ours
	user   func(d *desk)
	second gittest.Files
	want   map[string]string
	check  func(d *desk, r Report)
}

// long is a text with room for changes that do not meet.
func long(lines ...string) string {
	text := strings.Split("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "\n")
	for _, l := range lines {
		text[l[0]-'1'] = l
	}
	return strings.Join(text, "\n")
}

func situations() map[string]situation {
	return map[string]situation{
		"untracked with a name in another script": {
			first: gittest.Files{"a": "a"}, second: gittest.Files{"é.txt": "theirs"},
			user: func(d *desk) { d.write("é.txt", "mine") },
			want: map[string]string{"a": "a", "é.txt": "theirs", "é__TIME.txt": "mine"},
		},
		"upstream renames onto an untracked name": {
			first: gittest.Files{"old.txt": long()}, second: gittest.Files{"old.txt": gittest.Deleted, "new.txt": long()},
			user: func(d *desk) { d.write("new.txt", "mine") },
			want: map[string]string{"new.txt": long(), "new__TIME.txt": "mine"},
		},
		"untracked file where a folder comes": {
			first: gittest.Files{"a": "a"}, second: gittest.Files{"foo/bar": "theirs"},
			user: func(d *desk) { d.write("foo", "mine") },
			want: map[string]string{"a": "a", "foo/bar": "theirs", "foo__TIME": "mine"},
		},
		"untracked folder where a file comes": {
			first: gittest.Files{"a": "a"}, second: gittest.Files{"foo": "theirs"},
			user: func(d *desk) { d.write("foo/x", "mine"); d.write("foo/y/z", "mine too") },
			want: map[string]string{"a": "a", "foo": "theirs", "foo__TIME/x": "mine", "foo__TIME/y/z": "mine too"},
		},
		"untracked and the same": {
			first: gittest.Files{"a": "a"}, second: gittest.Files{"n.txt": "same"},
			user: func(d *desk) { d.write("n.txt", "same") },
			want: map[string]string{"a": "a", "n.txt": "same"},
		},
		"ignored, and upstream adds it": {
			first: gittest.Files{".gitignore": "*.log\n"}, second: gittest.Files{"x.log": "theirs"},
			user: func(d *desk) { d.write("x.log", "mine") },
			want: map[string]string{".gitignore": "*.log\n", "x.log": "theirs", "x__TIME.log": "mine"},
		},
		"both rename, the user by a commit": {
			first: gittest.Files{"a": long()}, second: gittest.Files{"a": gittest.Deleted, "b": long()},
			user: func(d *desk) { d.git("mv", "a", "c"); d.git("commit", "-qm", "mine") },
			want: map[string]string{"b": long(), "c": long()},
		},
		"both rename, the user in the staging area": {
			first: gittest.Files{"a": long()}, second: gittest.Files{"a": gittest.Deleted, "b": long()},
			user: func(d *desk) { d.git("mv", "a", "c") },
			want: map[string]string{"b": long(), "c": long()},
		},
		"tracked file replaced by a link": {
			first: gittest.Files{"a": "1", "b": "b"}, second: gittest.Files{"a": "2"},
			user: func(d *desk) { d.remove("a"); os.Symlink("b", filepath.Join(d.folder, "a")) },
			want: map[string]string{"a": "link -> b", "b": "b"},
		},
		"tracked folder replaced by a link": {
			first: gittest.Files{"d/a": "1", "b": "b"}, second: gittest.Files{"d/a": "2"},
			user: func(d *desk) {
				d.remove("d")
				os.Mkdir(filepath.Join(d.home, "elsewhere"), 0o777)
				os.WriteFile(filepath.Join(d.home, "elsewhere", "a"), []byte("outside"), 0o666)
				os.Symlink(filepath.Join(d.home, "elsewhere"), filepath.Join(d.folder, "d"))
			},
			want: map[string]string{"d/a": "2", "b": "b", "d__TIME": "link -> ELSEWHERE"},
			check: func(d *desk, _ Report) {
				if got := filesIn(d.t, filepath.Join(d.home, "elsewhere")); !maps.Equal(got, map[string]string{"a": "outside"}) {
					d.t.Errorf("written through the link: %q", got)
				}
			},
		},
		"deleted": {
			first: gittest.Files{"a": "1", "b": "b"}, second: gittest.Files{"a": "2"},
			user: func(d *desk) { d.remove("a"); d.remove("b") },
			want: map[string]string{"a": "2", "b": "b"},
		},
		"deleted on both sides": {
			first: gittest.Files{"a": "1", "b": "b"}, second: gittest.Files{"a": gittest.Deleted, "c": "c"},
			user: func(d *desk) { d.remove("a") },
			want: map[string]string{"b": "b", "c": "c"},
		},
		"removed by a commit, changed upstream": {
			first: gittest.Files{"a": "1", "b": "b"}, second: gittest.Files{"a": "2"},
			user: func(d *desk) { d.git("rm", "-q", "a"); d.git("commit", "-qm", "mine") },
			want: map[string]string{"a": "2", "b": "b"},
		},
		"changed and committed, removed upstream": {
			first: gittest.Files{"a": "1", "b": "b"}, second: gittest.Files{"a": gittest.Deleted},
			user: func(d *desk) { d.write("a", "mine"); d.git("commit", "-qam", "mine") },
			want: map[string]string{"a": "mine", "b": "b"},
		},
		"changed and not committed, removed upstream": {
			first: gittest.Files{"a": "1", "b": "b"}, second: gittest.Files{"a": gittest.Deleted},
			user: func(d *desk) { d.write("a", "mine") },
			want: map[string]string{"a": "mine", "b": "b"},
		},
		"both change the same lines, committed": {
			first: gittest.Files{"a": long()}, second: gittest.Files{"a": long("5 theirs", "9 theirs")},
			user: func(d *desk) { d.write("a", long("5 mine", "1 mine")); d.git("commit", "-qam", "mine") },
			want: map[string]string{"a": long("5 mine", "1 mine", "9 theirs")},
			check: func(d *desk, r Report) {
				if got := strings.Fields(d.git("log", "-1", "--format=%P")); len(got) != 2 {
					d.t.Errorf("HEAD has %d parents", len(got))
				}
				if got := d.git("log", "-1", "--format=%an %s"); !strings.HasPrefix(got, "daypass Merge main of ") {
					d.t.Errorf("HEAD is %q", got)
				}
				d.status()
			},
		},
		"staged and different": {
			first: gittest.Files{"a": long()}, second: gittest.Files{"a": long("5 theirs")},
			user: func(d *desk) { d.write("a", long("5 staged")); d.git("add", "a"); d.write("a", long("5 mine")) },
			want: map[string]string{"a": long("5 mine")},
			check: func(d *desk, r Report) {
				var b strings.Builder
				list, _ := d.p.Backups(d.folder)
				if err := d.p.Recover(d.t.Context(), d.folder, list[0].ID, "a", &b); err != nil || b.String() != long("5 staged") {
					d.t.Errorf("what was staged: %q, %v", b.String(), err)
				}
			},
		},
		"upstream renames, the user edits": {
			first: gittest.Files{"a": long()}, second: gittest.Files{"a": gittest.Deleted, "b": long("9 theirs")},
			user: func(d *desk) { d.write("a", long("1 mine")) },
			want: map[string]string{"b": long("1 mine", "9 theirs")},
		},
		"rights": {
			first: gittest.Files{"a": "1", "b": "1"}, second: gittest.Files{"100755:a": "1", "b": "2"},
			user: func(d *desk) { os.Chmod(filepath.Join(d.folder, "b"), 0o444) },
			want: map[string]string{"a*": "1", "b": "2"},
			check: func(d *desk, _ Report) {
				if fi, _ := os.Stat(filepath.Join(d.folder, "b")); fi.Mode().Perm() != 0o444 {
					d.t.Errorf("b has %v", fi.Mode())
				}
			},
		},
		"binary on both sides": {
			first: gittest.Files{"a": "\x00\x011"}, second: gittest.Files{"a": "\x00\x012"},
			user: func(d *desk) { d.write("a", "\x00\x013") },
			want: map[string]string{"a": "\x00\x013"},
		},
		"only the case of a name": {
			first: gittest.Files{"Lab.txt": "1"}, second: gittest.Files{"Lab.txt": gittest.Deleted, "lab.txt": "1"},
			want: map[string]string{"lab.txt": "1"},
		},
		"file becomes folder": {
			first: gittest.Files{"a": "1"}, second: gittest.Files{"a": gittest.Deleted, "a/b": "1"},
			want: map[string]string{"a/b": "1"},
		},
		"folder becomes file": {
			first: gittest.Files{"a/b": "1", "a/c/d": "2"}, second: gittest.Files{"a/b": gittest.Deleted, "a/c/d": gittest.Deleted, "a": "1"},
			want: map[string]string{"a": "1"},
		},
		".git removed": {
			first: gittest.Files{"a": long(), "b": "1"}, second: gittest.Files{"a": long("9 theirs"), "b": "2"},
			user: func(d *desk) { d.write("a", long("1 mine")); d.remove(".git") },
			want: map[string]string{"a": long("1 mine", "9 theirs"), "b": "2"},
		},
		"empty folder": {
			have: func(d *desk) { os.Mkdir(d.folder, 0o755) }, second: gittest.Files{"a": "1"},
			want: map[string]string{"a": "1"},
		},
		"folder of the user's, no repository": {
			have: func(d *desk) { d.write("mine", "mine"); d.write("a", "other"); d.write("same", "s") }, second: gittest.Files{"a": "1", "b/c": "1", "same": "s"},
			want: map[string]string{"mine": "mine", "a": "other", "same": "s", "b/c": "1"},
			check: func(d *desk, _ Report) {
				var b strings.Builder
				if err := d.p.Upstream(d.t.Context(), d.folder, "a", &b); err != nil || b.String() != "1" {
					d.t.Errorf("upstream's a: %q, %v", b.String(), err)
				}
			},
		},
	}
}

func TestSituations(t *testing.T) {
	for name, s := range situations() {
		t.Run(name, func(t *testing.T) { s.run(t, s.have) })
	}
}

// TestSituationsTakenOver is the same in a folder that nbgitpuller made.
func TestSituationsTakenOver(t *testing.T) {
	for name, s := range situations() {
		if s.have != nil || name == ".git removed" {
			continue
		}
		t.Run("shallow/"+name, func(t *testing.T) { s.run(t, func(d *desk) { d.clone("--depth", "1", "--branch", "main") }) })
		t.Run("whole/"+name, func(t *testing.T) { s.run(t, func(d *desk) { d.clone() }) })
	}
}

func (s situation) run(t *testing.T, have func(*desk)) {
	t.Parallel()
	d := newDesk(t)
	if s.first != nil {
		d.src.Commit("main", "one", s.first)
	}
	if have != nil {
		have(d)
	} else {
		d.pull()
	}
	if s.user != nil {
		s.user(d)
	}
	d.src.Commit("main", "two", s.second)
	r := d.pull()
	got := named(d.files())
	for name, data := range got {
		got[name] = strings.ReplaceAll(data, filepath.Join(d.home, "elsewhere"), "ELSEWHERE")
	}
	if !maps.Equal(got, s.want) {
		t.Errorf("got  %q\nwant %q\n%+v", got, s.want, r)
	}
	d.sound()
	if _, err := d.try("status"); err != nil {
		t.Error("git status does not work")
	}
	before := d.files()
	if s.check != nil {
		s.check(d, r)
	}
	if r := d.pull(); !r.Same {
		t.Errorf("a second pull did something: %+v", r)
	}
	if got := d.files(); !maps.Equal(got, before) {
		t.Errorf("a second pull made %q of %q", got, before)
	}
	d.noLeftovers()
}

// noLeftovers holds that nothing of ours is left in sight.
func (d *desk) noLeftovers() {
	d.t.Helper()
	for _, pattern := range []string{filepath.Join(d.home, ".daypass*"), filepath.Join(d.folder, ".daypass*"), filepath.Join(d.folder, "*", ".daypass*")} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			d.t.Errorf("left over: %q", found)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(d.p.Home, "*", "journal.json")); len(found) > 0 {
		d.t.Errorf("a journal is left: %q", found)
	}
}
