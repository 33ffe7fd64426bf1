package pull

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
)

// shared makes the folder a clone whose objects are in another one.
func (d *desk) shared() (other string) {
	d.t.Helper()
	other = filepath.Join(d.home, "other")
	gittest.Run(d.t, d.home, "clone", "-q", "--", "file://"+d.src.Dir, other)
	gittest.Run(d.t, d.home, "clone", "-q", "--shared", "--", other, d.folder)
	d.git("remote", "set-url", "origin", "file://"+d.src.Dir)
	return other
}

// TestBorrowedObjects: a clone made with --shared or --reference lives on what it
// borrows. Once pulled, it does not matter any more where that was.
func TestBorrowedObjects(t *testing.T) {
	for name, lose := range map[string]func(d *desk, other string){
		"other":          func(d *desk, other string) { os.RemoveAll(other) },
		".git":           func(d *desk, _ string) { d.remove(".git") },
		"other and .git": func(d *desk, other string) { os.RemoveAll(other); d.remove(".git") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b", "c": "c"})
			other := d.shared()
			d.write("a", long("9 mine"))
			d.src.Commit("main", "two", gittest.Files{"b": "b2", "c": gittest.Deleted})
			d.pull()
			lose(d, other)
			d.src.Commit("main", "three", gittest.Files{"a": long("1 theirs"), "b": "b3"})
			d.pull()
			d.want(map[string]string{"a": long("1 theirs", "9 mine"), "b": "b3"})
			d.sound()
			if r := d.pull(); !r.Same {
				t.Errorf("pulled again: %+v", r)
			}
			for range 2 {
				if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
					t.Fatal(err)
				}
			}
			d.want(map[string]string{"a": long("9 mine"), "b": "b", "c": "c"})
		})
	}
}

// TestBaseGone: what was delivered last is known by name only, its objects are nowhere
// any more. The pull goes on, and nothing of the user's is lost.
func TestBaseGone(t *testing.T) {
	for _, git := range []string{"with .git", "without .git"} {
		t.Run(git, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b", "c": "c", "d": "d"})
			d.pull()
			d.src.Commit("main", "two", gittest.Files{"b": "b2"})
			d.pull()
			if git != "with .git" {
				d.remove(".git")
			}
			gone, _ := filepath.Glob(filepath.Join(d.home, ".local/share/daypass/pulls/*/repo.git/objects/??"))
			packs, _ := filepath.Glob(filepath.Join(d.home, ".local/share/daypass/pulls/*/repo.git/objects/pack/*"))
			for _, file := range append(gone, packs...) {
				os.RemoveAll(file)
			}
			d.write("a", long("9 mine"))
			d.src.Commit("main", "three", gittest.Files{"a": long("1 theirs"), "b": "b3", "c": gittest.Deleted})
			d.pull()
			d.want(map[string]string{"a": long("1 theirs", "9 mine"), "b": "b3", "d": "d"})
			d.sound()
			if r := d.pull(); !r.Same {
				t.Errorf("pulled again: %+v", r)
			}
			if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
				t.Fatal(err)
			}
			d.want(map[string]string{"a": long("9 mine"), "b": "b2", "c": "c", "d": "d"})
		})
	}
}

// object is the loose file of an object of the folder's repository.
func (d *desk) object(name string) string {
	d.t.Helper()
	oid := d.git("rev-parse", name)
	file := filepath.Join(d.folder, ".git/objects", oid[:2], oid[2:])
	if _, err := os.Stat(file); err != nil {
		d.t.Fatal(err)
	}
	return file
}

// TestDamagedHistory: the folder's repository has lost an object of the user's own, as
// a power cut or a full disk leaves it. It is put aside whole, and made anew.
func TestDamagedHistory(t *testing.T) {
	damage := map[string]func(file string){
		"missing": func(file string) { os.Remove(file) },
		"empty":   func(file string) { os.Chmod(file, 0o600); os.Truncate(file, 0) },
		"garbage": func(file string) { os.Chmod(file, 0o600); os.WriteFile(file, []byte("garbage"), 0o600) },
	}
	for how, hurt := range damage {
		for _, what := range []string{"HEAD", "HEAD^{tree}", "HEAD:a", "HEAD~1", "HEAD~2", "HEAD:mine"} {
			for _, begin := range []string{"ours", "clone"} {
				t.Run(how+" "+what+" "+begin, func(t *testing.T) {
					t.Parallel()
					d := newDesk(t)
					d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
					if begin == "ours" {
						d.pull()
					} else {
						d.clone()
					}
					d.write("a", long("8 mine"))
					d.git("commit", "-qam", "mine")
					d.git("commit", "-q", "--allow-empty", "-m", "mine")
					d.write("a", long("9 mine"))
					d.write("mine", "mine")
					d.git("add", "-A")
					d.git("commit", "-qm", "mine")
					d.write("untracked", "u")
					hurt(d.object(what))
					for n, text := range []string{"two", "three"} {
						d.src.Commit("main", text, gittest.Files{"a": long("1 " + text), "b": text})
						r := d.pull()
						got := d.files()
						if got["b"] != text || got["mine"] != "mine" || got["untracked"] != "u" || !strings.Contains(got["a"], "9 mine") || !strings.Contains(got["a"], "1 "+text) {
							t.Fatalf("pull %d: %q\n%+v", n, got, r)
						}
						if n == 0 {
							t.Log(r.Notes)
						}
					}
					d.git("status")
					d.git("log", "-1")
					if r := d.pull(); !r.Same {
						t.Errorf("pulled again: %+v", r)
					}
				})
			}
		}
	}
}

// TestOurHistoryDamaged: the repository of our own has lost an object; a power cut may
// do it, and the hard links of the folder's share the fate of ours.
func TestOurHistoryDamaged(t *testing.T) {
	for how, hurt := range map[string]func(file string){
		"missing": func(file string) { os.Remove(file) },
		"empty":   func(file string) { os.Chmod(file, 0o600); os.Truncate(file, 0) },
	} {
		for _, what := range []string{"HEAD:a", "HEAD:same", "HEAD^{tree}", "HEAD"} {
			for _, git := range []string{"with .git", "without .git"} {
				t.Run(how+" "+what+" "+git, func(t *testing.T) {
					t.Parallel()
					d := newDesk(t)
					d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b", "same": "s"})
					d.pull()
					d.src.Commit("main", "two", gittest.Files{"a": long("2 two")})
					d.pull()
					oid := d.git("rev-parse", what)
					for _, repo := range []string{filepath.Join(d.stateDir(), "repo.git"), filepath.Join(d.folder, ".git")} {
						loosen(t, repo)
						hurt(filepath.Join(repo, "objects", oid[:2], oid[2:]))
					}
					if git != "with .git" {
						d.remove(".git")
					}
					d.write("a", long("2 two", "9 mine"))
					d.write("same", "mine")
					for _, text := range []string{"three", "four"} {
						d.src.Commit("main", text, gittest.Files{"a": long("1 "+text, "2 two"), "b": text})
						r := d.pull()
						if got := d.files(); got["b"] != text || !strings.Contains(got["a"], "9 mine") || got["same"] != "mine" {
							t.Fatalf("%q\n%+v", got, r)
						}
					}
					d.git("status")
					if r := d.pull(); !r.Same {
						t.Errorf("pulled again: %+v", r)
					}
				})
			}
		}
	}
}

// loosen turns the packs of a repository into loose objects.
func loosen(t *testing.T, repo string) {
	t.Helper()
	packs, _ := filepath.Glob(filepath.Join(repo, "objects/pack/*.pack"))
	var content [][]byte
	for _, pack := range packs {
		data, err := os.ReadFile(pack)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, data)
	}
	all, _ := filepath.Glob(filepath.Join(repo, "objects/pack/*"))
	for _, file := range all {
		os.Remove(file)
	}
	for _, data := range content {
		cmd := exec.Command("git", "--git-dir="+repo, "unpack-objects", "-q")
		cmd.Stdin, cmd.Env = bytes.NewReader(data), gittest.Environ()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

// TestUndoDamagedHead: HEAD leads to a commit of the user's that a power cut has emptied,
// or to one whose files cannot be told any more. The files go back, and the next pull
// heals the rest.
func TestUndoDamagedHead(t *testing.T) {
	for _, what := range []string{"HEAD", "HEAD^{tree}"} {
		t.Run(what, func(t *testing.T) {
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "b": "b"})
			d.pull()
			d.src.Commit("main", "two", gittest.Files{"a": long("1 two"), "b": "two"})
			d.pull()
			d.write("mine", "mine")
			d.git("add", "mine")
			d.git("commit", "-qm", "mine")
			file := d.object(what)
			os.Chmod(file, 0o600)
			os.Truncate(file, 0)
			if _, err := d.p.Undo(t.Context(), d.folder); err != nil {
				t.Fatal(err)
			}
			d.want(map[string]string{"a": long(), "b": "b", "mine": "mine"})
			d.noLeftovers()
			d.pull()
			d.want(map[string]string{"a": long("1 two"), "b": "two", "mine": "mine"})
			d.git("status")
		})
	}
}
