package pull

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

// TestLeftOutEveryTime: a file over the limit is left out and named at every pull, of a
// source that can leave it out itself and of one that cannot, whatever was lost or
// rewritten meanwhile; and git works in the folder.
func TestLeftOutEveryTime(t *testing.T) {
	for name, do := range map[string]func(d *desk, url string){
		"nothing": nil,
		"state":   func(d *desk, _ string) { os.RemoveAll(d.p.Home) },
		".git":    func(d *desk, _ string) { os.RemoveAll(filepath.Join(d.folder, ".git")) },
		"both": func(d *desk, _ string) {
			os.RemoveAll(d.p.Home)
			os.RemoveAll(filepath.Join(d.folder, ".git"))
		},
		"force-push": func(d *desk, _ string) {
			d.src.Git("update-ref", "refs/heads/main", "refs/heads/other")
		},
		"cloned by git": func(d *desk, url string) {
			os.RemoveAll(d.p.Home)
			os.RemoveAll(d.folder)
			gittest.Run(d.t, d.home, "clone", "-q", "--depth", "1", url, d.folder)
			os.Remove(filepath.Join(d.folder, "big"))
		},
		"cloned in part by git": func(d *desk, url string) {
			os.RemoveAll(d.p.Home)
			os.RemoveAll(d.folder)
			gittest.Run(d.t, d.home, "clone", "-q", "--filter=blob:limit=1500", "--no-checkout", url, d.folder)
		},
		"gc": func(d *desk, _ string) { d.git("gc", "-q", "--prune=now") },
	} {
		for _, o := range []gittest.Options{{Filter: true}, {}, {Filter: true, Version0: true}} {
			for _, depth := range []int{1, 0} {
				if o.Version0 && (depth == 0 || name != "nothing" && name != "state") {
					continue
				}
				t.Run(name+optionsName(o, depth), func(t *testing.T) {
					t.Parallel()
					leftOut(t, o, depth, do)
				})
			}
		}
	}
}

func optionsName(o gittest.Options, depth int) string {
	name := ""
	if o.Filter {
		name += "+filter"
	}
	if o.Version0 {
		name += "+version0"
	}
	if depth == 0 {
		name += "+whole"
	}
	return name
}

func leftOut(t *testing.T, o gittest.Options, depth int, do func(*desk, string)) {
	d := newDesk(t)
	d.p.Limits = snapshot.Limits{File: 1000}
	d.p.Git.Protocols = "http:file"
	d.src.Commit("main", "one", gittest.Files{"a": "a", "b": "b", "big": strings.Repeat("x", 2000)})
	d.src.Git("update-ref", "refs/heads/other", "refs/heads/main")
	d.src.Commit("other", "other", gittest.Files{"b": "other"})
	o.Push = true
	server := d.src.Serve(o)
	url := server.Of(d.src)
	pull := func(what string) {
		t.Helper()
		ask := d.ask()
		ask.URL, ask.Depth = url, depth
		r, err := d.p.Pull(t.Context(), ask)
		if err != nil {
			t.Fatalf("%s: %v\n%v", what, err, errors.Unwrap(err))
		}
		named := false
		for _, c := range r.Changes {
			named = named || c.Path == "big" && c.What == LeftOut
		}
		if !named && !r.Same {
			t.Errorf("%s: big is not named: %+v", what, r.Changes)
		}
		if _, err := os.Lstat(filepath.Join(d.folder, "big")); err == nil {
			t.Errorf("%s: big is there", what)
		}
	}
	pull("first")
	d.src.Commit("main", "two", gittest.Files{"a": "a2"})
	pull("second")
	if do != nil {
		do(d, url)
	}
	pull("same")
	for _, a := range []string{"a3", "a4"} {
		d.src.Commit("main", a, gittest.Files{"a": a, "big": strings.Repeat(a, 2000)})
		pull(a)
	}
	d.src.Commit("main", "five", gittest.Files{"a": "a5"})
	pull("five")
	if got := d.files()["a"]; got != "a5" {
		t.Errorf("a is %q", got)
	}
	student(d, o)
}

// student does with the folder what people do with a clone.
func student(d *desk, o gittest.Options) {
	d.t.Helper()
	d.git("config", "user.name", "S")
	d.git("config", "user.email", "s@example.org")
	if out := d.git("status", "--porcelain"); out != "" {
		d.t.Errorf("status: %s", out)
	}
	if !o.Version0 { // there a source gives no file alone, to git itself neither
		d.git("log", "--stat", "-3")
	}
	d.src.Commit("main", "six", gittest.Files{"b": "b6"})
	d.git("pull", "-q", "--no-rebase")
	d.write("mine", "mine")
	d.git("add", "mine")
	d.git("commit", "-q", "-m", "mine")
	d.git("push", "-q", "origin", "HEAD:refs/heads/mine")
	d.git("gc", "-q")
	if out := d.git("status", "--porcelain"); out != "" {
		d.t.Errorf("status: %s", out)
	}
	if _, err := os.Lstat(filepath.Join(d.folder, "big")); err == nil {
		d.t.Error("git pull brought big")
	}
}

// TestRaisedLimit: what was over the limit comes with the first pull after the limit was
// raised, although the source has nothing new; and what the user made there meanwhile
// stays beside it.
func TestRaisedLimit(t *testing.T) {
	big, huge := strings.Repeat("x", 2000), strings.Repeat("y", 5000)
	for _, o := range []gittest.Options{{Filter: true}, {}, {Filter: true, Version0: true}} {
		for _, depth := range []int{1, 0} {
			for _, news := range []bool{false, true} {
				t.Run(optionsName(o, depth)+map[bool]string{true: "+news"}[news], func(t *testing.T) {
					t.Parallel()
					d := newDesk(t)
					d.p.Git.Protocols = "http:file"
					d.src.Commit("main", "one", gittest.Files{"a": "a", "big": big, "mine": big + "!", "huge": huge})
					a := d.ask()
					a.URL, a.Depth = d.src.Serve(o).Of(d.src), depth
					pull := func(limit int64) Report {
						t.Helper()
						d.p.Limits.File = limit
						r, err := d.p.Pull(t.Context(), a)
						if err != nil {
							t.Fatal(err)
						}
						return r
					}
					pull(1000)
					d.want(map[string]string{"a": "a"})
					d.write("mine", "my own")
					if r := pull(1000); !r.Same {
						t.Errorf("%+v", r)
					}
					if news {
						d.src.Commit("main", "two", gittest.Files{"a": "a2"})
					}
					r := pull(3000)
					got := d.files()
					if got["big"] != big || got["mine"] != big+"!" || len(got) != 4 || r.number(Came) != 2 || r.number(Aside) != 1 {
						t.Errorf("%d files, %+v", len(got), r.Changes)
					}
					for _, c := range r.Changes {
						if c.What == LeftOut && (c.Path != "huge" || !strings.Contains(c.Why, "3 kB")) {
							t.Errorf("%+v", c)
						}
					}
					if r := pull(3000); !r.Same {
						t.Errorf("%+v", r)
					}
					d.sound()
					pull(-1)
					if d.files()["huge"] != huge {
						t.Error("huge has not come")
					}
					if out := d.git("status", "--porcelain", "--untracked-files=no"); out != "" {
						t.Errorf("status: %s", out)
					}
				})
			}
		}
	}
}
