package gitconf

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// logger installs a helper that writes its first argument to a log and answers
// nothing, so that git asks the next.
func (w *world) logger(path string) (log string) {
	w.t.Helper()
	log = filepath.Join(w.home, "log")
	w.write(path, "#!/bin/sh\n[ \"$2\" = get ] && echo \"$1\" >>'"+log+"'\nexit 0\n")
	if err := os.Chmod(path, 0o755); err != nil {
		w.t.Fatal(err)
	}
	return log
}

// asked returns what git really runs for a URL.
func (w *world) asked(log, dir, rawURL string) []string {
	w.t.Helper()
	os.Remove(log)
	w.tryGit(dir, "url="+rawURL+"\n\n", "credential", "fill") // fails: nobody answers
	b, _ := os.ReadFile(log)
	return strings.Fields(string(b))
}

// Helpers must say what git does, for any mixture of files and sections.
func TestHelpersAsGitRunsThem(t *testing.T) {
	w := newWorld(t)
	script := filepath.Join(w.home, "logger")
	log := w.logger(script)
	repo := filepath.Join(w.home, "r")
	w.git("", "init", "-q", repo)
	sections := []string{
		"", "https://github.com", "https://github.com/", "https://github.com/o", "https://github.com/o/r", "https://github.com/o/r.git", "https://github.com/o/",
		"http://github.com", "https://GitHub.com", "https://github.com:443", "https://github.com:8443", "https://*.com", "https://*.github.com", "https://mona@github.com",
		"github.com", "https://", "http://", "/o/r", "github.com/o/r.git", "GitHub.com", "https:", "mona@github.com", "https://github.com/o/%72", "https://github.com/x/../o/r", "://", "example.org",
	}
	urls := []string{
		"https://github.com/o/r", "https://github.com/o/r.git", "https://github.com", "https://GITHUB.com/o/r", "https://mona@github.com/o/r",
		"https://github.com:8443/o/r", "https://gist.github.com/o/r", "http://github.com/o/r", "https://github.com/other/r",
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	files := []string{"../system", ".config/git/config", ".gitconfig", "r/.git/config"}
	local := w.read(filepath.Join(repo, ".git/config"))
	for n := range 120 {
		id := 0
		for _, f := range files {
			var text strings.Builder
			if f == "r/.git/config" {
				text.WriteString(local)
			}
			for range rnd.IntN(4) {
				s := sections[rnd.IntN(len(sections))]
				if rnd.IntN(3) == 0 {
					s = "https://github.com"
				}
				if s == "" {
					text.WriteString("[credential]\n")
				} else {
					fmt.Fprintf(&text, "[credential %q]\n", s)
				}
				if rnd.IntN(4) == 0 {
					text.WriteString("\thelper =\n")
				}
				id++
				fmt.Fprintf(&text, "\thelper = %s %d\n", script, id)
				if rnd.IntN(6) == 0 {
					text.WriteString("\tuseHttpPath = true\n")
				}
			}
			w.write(filepath.Join(w.home, f), text.String())
		}
		delete(w.env, "GIT_CONFIG_COUNT")
		if n%5 == 0 {
			w.env["GIT_CONFIG_COUNT"], w.env["GIT_CONFIG_KEY_0"], w.env["GIT_CONFIG_VALUE_0"] = "1", "credential.helper", script+" env"
		}
		u, dir := urls[rnd.IntN(len(urls))], ""
		if n%2 == 0 {
			dir = repo
		}
		want := w.asked(log, dir, u)
		list, err := w.Git.Helpers(t.Context(), dir, u)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range list {
			if !h.Silenced {
				got = append(got, h.raw[strings.LastIndexByte(h.raw, ' ')+1:])
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			for _, f := range files {
				t.Logf("%s:\n%s", f, w.read(filepath.Join(w.home, f)))
			}
			t.Fatalf("case %d, %s: Helpers says %v, git ran %v", n, u, got, want)
		}
	}
}

// git hands the helper to sh: a folder's name must not become a command, and
// the helper must still run.
func TestHostileHelperPaths(t *testing.T) {
	for _, name := range []string{
		"plain", "a b", "a;touch PWNED;", "$(touch PWNED)", "`touch PWNED`", "it's", `back\slash`, `"quoted"`, "a&b|c>d<e", "*?[x]", "#hash", "~tilde", "-dash", "!bang", "ünï", "a=b", "tab", "%s", "$HOME", "a\\'b; touch PWNED;'",
	} {
		w := newWorld(t)
		helper := filepath.Join(w.home, name, "git-credential-daypass")
		w.write(helper, "#!/bin/sh\n[ \"$1\" = get ] && echo username=me && echo password=secret-of-$0\n")
		if err := os.Chmod(helper, 0o755); err != nil {
			t.Fatal(err)
		}
		r := github()
		r.Helper = helper
		w.apply(r)
		out, err := w.tryGit("", "url=https://github.com/o/r\n\n", "credential", "fill")
		if err != nil || !strings.Contains(out, "password=secret-of-"+helper+"\n") || !strings.Contains(out, "path=o/r\n") {
			t.Errorf("%q: git credential fill = %q, %v", name, out, err)
		}
		filepath.WalkDir(w.home, func(p string, _ os.DirEntry, _ error) error {
			if filepath.Base(p) == "PWNED" {
				t.Errorf("%q ran as a command", name)
			}
			return nil
		})
		if a, err := w.Git.Asks(t.Context(), "", "https://github.com/o/r", helper); err != nil || !a.First {
			t.Errorf("%q: Asks = %+v, %v", name, a, err)
		}
		w.undo("")
		if _, err := os.Stat(w.config()); err == nil {
			t.Errorf("%q: undo left %q", name, w.read(w.config()))
		}
	}
}

func TestRequestsRefused(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*Request){
		"line end in path": func(r *Request) { r.Helper = "/a\nb" },
		"escape in path":   func(r *Request) { r.Helper = "/a\x1b[2Jb" },
		"no utf-8":         func(r *Request) { r.Helper = "/a\xff" },
		"relative":         func(r *Request) { r.Helper = "git-credential-daypass" },
		"not clean":        func(r *Request) { r.Helper = "/a/../b" },
		"no scheme":        func(r *Request) { r.Origin = "github.com" },
		"plain http":       func(r *Request) { r.Origin = "http://github.com" },
		"with path":        func(r *Request) { r.Origin = "https://github.com/o" },
		"with slash":       func(r *Request) { r.Origin = "https://github.com/" },
		"with user":        func(r *Request) { r.Origin = "https://me@github.com" },
		"glob":             func(r *Request) { r.Origin = "https://*.com" },
		"quote":            func(r *Request) { r.Origin = "https://a\"b" },
		"upper case":       func(r *Request) { r.Origin = "https://GitHub.com" },
		"unicode":          func(r *Request) { r.Origin = "https://gîthub.com" },
		"bad repository":   func(r *Request) { r.Repo.Owner, r.Repo.Name = "o", "../x" },
		"ssh for one":      func(r *Request) { r.Repo.Owner, r.Repo.Name, r.SSH = "o", "r", true },
		"name":             func(r *Request) { r.UserName = "a\nb" },
	} {
		r := github()
		change(&r)
		if c, err := w.Apply(t.Context(), r); err == nil {
			t.Errorf("%s: added %q", name, c.Added)
		}
	}
}

func TestAsks(t *testing.T) {
	w := newWorld(t)
	bin := filepath.Join(w.home, "bin")
	helper := w.write(filepath.Join(bin, "git-credential-daypass"), "#!/bin/sh\n")
	os.Chmod(helper, 0o755)
	w.env["PATH"] = bin + ":" + w.env["PATH"]
	ours := "[credential \"https://github.com\"]\n\thelper =\n\thelper = " + helper + "\n"
	for _, tc := range []struct {
		name, config string
		want         Asked
		others       int
	}{
		{"none", "", Asked{}, 0},
		{"ours", ours, Asked{First: true, Any: true}, 0},
		{"ours as setup writes it", "[credential]\n\thelper = !GOMAXPROCS=1 " + helper + "\n\tuseHttpPath\n", Asked{First: true, Any: true, HTTPPath: true}, 0},
		{"ours by short name", "[credential]\n\thelper = daypass\n\tuseHttpPath\n", Asked{First: true, Any: true, HTTPPath: true}, 0},
		{"store before, forgotten", "[credential]\n\thelper = store\n" + ours, Asked{First: true, Any: true}, 0},
		{"store after", ours + "[credential]\n\thelper = store\n", Asked{First: true, Any: true}, 1},
		{"store before, kept", "[credential]\n\thelper = store\n\thelper = " + helper + "\n", Asked{Any: true}, 1},
		{"forgotten", ours + "[credential]\n\thelper =\n", Asked{}, 0},
		{"other host", strings.ReplaceAll(ours, "github.com", "gitlab.com"), Asked{}, 0},
		{"path off", ours + "\tuseHttpPath = true\n[credential]\n\tuseHttpPath = 0\n", Asked{First: true, Any: true}, 0},
	} {
		w.write(".gitconfig", tc.config)
		got, err := w.Git.Asks(t.Context(), "", "https://github.com/o/r", helper)
		if err != nil || got.First != tc.want.First || got.Any != tc.want.Any || got.HTTPPath != tc.want.HTTPPath || len(got.Others) != tc.others {
			t.Errorf("%s: Asks = %+v, %v", tc.name, got, err)
		}
	}
	// What an untrusted repository says must not count where none is asked about.
	evil := filepath.Join(w.home, "evil")
	w.git("", "init", "-q", evil)
	w.git(evil, "config", "credential.helper", "store")
	w.write(".gitconfig", ours)
	t.Chdir(evil)
	if got, err := w.Git.Asks(t.Context(), "", "https://github.com/o/r", helper); err != nil || len(got.Others) != 0 {
		t.Errorf("Asks read the repository: %+v, %v", got, err)
	}
	if got, err := w.Git.Asks(t.Context(), evil, "https://github.com/o/r", helper); err != nil || len(got.Others) != 1 || got.Others[0].Scope != ScopeLocal || got.Others[0].Kind != KindStore {
		t.Errorf("Asks in the repository = %+v, %v", got, err)
	}
}

func TestSilencedAndOthers(t *testing.T) {
	w := newWorld(t)
	w.write(w.env["GIT_CONFIG_SYSTEM"], "[credential]\n\thelper = cache\n")
	w.write(".gitconfig", "[credential]\n\thelper = store --file=/tmp/tmpabcdefgh\n")
	c := w.apply(github())
	if len(c.Silenced) != 2 || len(c.Others) != 0 || c.Silenced[1].StoreFile() != "/tmp/tmpabcdefgh" {
		t.Errorf("Silenced = %v, Others = %v", c.Silenced, c.Others)
	}
	w.undo("")
	keep := github()
	keep.KeepHelpers = true
	if c := w.apply(keep); len(c.Silenced) != 0 || len(c.Others) != 2 {
		t.Errorf("kept: Silenced = %v, Others = %v", c.Silenced, c.Others)
	}
	// A helper that came after the block: setup moves the block below it.
	w.undo("")
	w.apply(github())
	w.git("", "config", "--global", "credential.helper", "store") // goes into the section that is there
	w.write(".gitconfig", w.read(w.config())+"[credential]\n\thelper = cache\n")
	if c := w.apply(github()); c.Added == "" || len(c.Silenced) != 1 {
		t.Errorf("not moved: %+v", c)
	}
	if a, _ := w.Git.Asks(t.Context(), "", "https://github.com/", helperPath); !a.First || len(a.Others) > 0 {
		t.Errorf("Asks = %+v\n%s", a, w.read(w.config()))
	}
}

func TestFindSkipsTheCurrentFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, path := range []string{"", ".", ":", "./:bin", "/nonexistent"} {
		if g, err := Find(func(k string) string { return map[string]string{"PATH": path}[k] }); err == nil {
			t.Errorf("PATH=%q: found %s", path, g.Path)
		} else if !strings.Contains(err.Error(), "nstall git") {
			t.Errorf("PATH=%q: the error names no next step: %v", path, err)
		}
	}
	if g, err := Find(func(k string) string { return map[string]string{"PATH": ".:" + dir}[k] }); err != nil || g.Path != filepath.Join(dir, "git") {
		t.Errorf("Find = %v, %v", g.Path, err)
	}
}
