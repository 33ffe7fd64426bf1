package gitconf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// A world is a machine of its own: a home, a system file, and nothing of the
// machine that the test runs on.
type world struct {
	t    testing.TB
	home string
	env  map[string]string
	Setup
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, home: filepath.Join(dir, "home")}
	w.env = map[string]string{
		"HOME": w.home, "PATH": os.Getenv("PATH"), "TMPDIR": dir,
		"GIT_CONFIG_SYSTEM": filepath.Join(dir, "system"),
	}
	if err := os.MkdirAll(w.home, 0o700); err != nil {
		t.Fatal(err)
	}
	git, err := Find(func(k string) string { return w.env[k] })
	if err != nil {
		t.Fatal(err)
	}
	w.Setup = Setup{Git: git, Now: func() time.Time { return time.Unix(1e9, 0) }}
	return w
}

func (w *world) config() string { return filepath.Join(w.home, ".gitconfig") }

func (w *world) write(name, text string) string {
	w.t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(w.home, name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
}

func (w *world) read(name string) string {
	w.t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// git runs git as the user of this world would.
func (w *world) git(dir string, args ...string) string {
	w.t.Helper()
	out, err := w.tryGit(dir, "", args...)
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func (w *world) tryGit(dir, stdin string, args ...string) (string, error) {
	cmd := exec.Command(w.Git.Path, args...)
	cmd.Dir = dir
	if dir == "" {
		cmd.Dir = w.home
	}
	cmd.Env = []string{"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false"}
	for k, v := range w.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (w *world) apply(r Request) Change {
	w.t.Helper()
	c, err := w.Apply(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) undo(origin string) []Undone {
	w.t.Helper()
	u, err := w.Undo(w.t.Context(), origin, false)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

const helperPath = "/opt/daypass/git-credential-daypass"

func github() Request { return Request{Origin: "https://github.com", Helper: helperPath} }

func TestApplyWritesTheBlock(t *testing.T) {
	hub := github()
	hub.SSH, hub.UserName, hub.UserEmail, hub.PushDefault = true, "Mona", "1+mona@users.noreply.github.com", true
	kept := github()
	kept.KeepHelpers = true
	repo := github()
	repo.Repo = daypass.Repo{Owner: "octo", Name: "da.ta"}
	loop := github()
	loop.Origin = "http://127.0.0.1:8080"
	for _, tc := range []struct {
		name string
		req  Request
		want string
	}{
		{"host", github(), "[credential \"https://github.com\"]\n\thelper = \n\thelper = " + lineOf(helperPath) + "\n\tuseHttpPath = true\n"},
		{"keep", kept, "[credential \"https://github.com\"]\n\thelper = " + lineOf(helperPath) + "\n\tuseHttpPath = true\n"},
		{"repository", repo, "[credential \"https://github.com/octo/da.ta\"]\n\thelper = \n\thelper = " + lineOf(helperPath) + "\n\tuseHttpPath = true\n" +
			"[credential \"https://github.com/octo/da.ta.git\"]\n\thelper = \n\thelper = " + lineOf(helperPath) + "\n\tuseHttpPath = true\n"},
		{"loopback", loop, "[credential \"http://127.0.0.1:8080\"]\n\thelper = \n\thelper = " + lineOf(helperPath) + "\n\tuseHttpPath = true\n"},
		{"hub", hub, "[user]\n\tname = Mona\n\temail = 1+mona@users.noreply.github.com\n[push]\n\tdefault = simple\n" +
			"[credential \"https://github.com\"]\n\thelper = \n\thelper = " + lineOf(helperPath) + "\n\tuseHttpPath = true\n" +
			"[url \"https://github.com/\"]\n\tinsteadOf = git@github.com:\n\tinsteadOf = ssh://git@github.com/\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			planned, err := w.Plan(t.Context(), tc.req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(w.config()); err == nil {
				t.Error("Plan wrote the file")
			}
			c := w.apply(tc.req)
			if got := w.read(w.config()); got != tc.want || c.Added != tc.want || planned.Added != tc.want {
				t.Errorf("file = %q, added %q, planned %q, want %q", got, c.Added, planned.Added, tc.want)
			}
			if again := w.apply(tc.req); again.Added != "" || w.read(w.config()) != tc.want {
				t.Errorf("a second setup added %q", again.Added)
			}
			u := w.undo("")
			if _, err := os.Stat(w.config()); err == nil || len(u) != 1 || !u[0].Deleted || u[0].Removed != tc.want {
				t.Errorf("undo = %+v, the file remains: %v", u, err == nil)
			}
			if u := w.undo(""); len(u) != 0 {
				t.Errorf("a second undo = %+v", u)
			}
		})
	}
}

func TestUndoGivesTheFileBack(t *testing.T) {
	for _, before := range []string{
		"", "\n", "[user]\n\tname = A\n", "[user]\n\tname = A", "[user]\r\n\tname = A\r\n", "# only a comment", "[a]\n\tb = c\\\n", "[a]\n\tb = c\\",
		"[credential]\n\thelper = store\n", "[credential \"https://github.com\"]\n\thelper = cache\n", "[credential \"https://github.com\"] helper = " + helperPath,
		"\xef\xbb\xbf[user]\n\tname = B\n",
	} {
		w := newWorld(t)
		file := w.write(".gitconfig", before)
		if err := os.Chmod(file, 0o640); err != nil {
			t.Fatal(err)
		}
		gist := github()
		gist.Origin, gist.UserName = "https://gist.github.com", "Mona"
		w.apply(github())
		w.apply(gist)
		if a, err := w.Git.Asks(t.Context(), "", "https://github.com/o/r", helperPath); err != nil || !a.First || len(a.Others) > 0 || !a.HTTPPath {
			t.Errorf("%q: Asks = %+v, %v", before, a, err)
		}
		moved := github()
		moved.Helper = "/new/git-credential-daypass"
		if c := w.apply(moved); !c.Replaced || strings.Count(w.read(file), "github.com\"]\n\thelper = \n") != 2 {
			t.Errorf("%q: moved: %+v\n%s", before, c, w.read(file))
		}
		w.undo("https://github.com")
		w.undo("")
		if got := w.read(file); got != before {
			t.Errorf("after undo %q, want %q", got, before)
		}
		if fi, _ := os.Stat(file); fi.Mode().Perm() != 0o640 {
			t.Errorf("mode = %v", fi.Mode())
		}
	}
}

func TestUndoKeepsLaterEdits(t *testing.T) {
	const before = "[user]\n\tname = A"
	block := "[credential \"https://github.com\"]\n\thelper = \n\thelper = " + lineOf(helperPath) + "\n\tuseHttpPath = true\n"
	for _, tc := range []struct {
		name, edited, want string
		lines              bool
	}{
		{"section after", before + "\n" + block + "[alias]\n\tst = status\n", before + "\n[alias]\n\tst = status\n", false},
		{"line before", before + "\n\temail = e\n" + block, before + "\n\temail = e\n", false},
		{"key in our section", before + "\n" + block + "\tusername = mona\n", before + "\n[credential \"https://github.com\"]\n\tusername = mona\n", true},
		{"line taken", before + "\n" + strings.Replace(block, "\tuseHttpPath = true\n", "", 1), before + "\n", true},
		{"all taken", "[user]\n\tname = C\n", "[user]\n\tname = C\n", true},
		{"layout changed", before + "\n[credential \"https://github.com\"]\nhelper=\nhelper=" + lineOf(helperPath) + "\nusehttppath=true\n[x]\ny=z\n", before + "\n[x]\ny=z\n", true},
		{"comment inside", before + "\n" + strings.Replace(block, "\n\tuse", "\n# mine\n\tuse", 1), before + "\n[credential \"https://github.com\"]\n# mine\n", true},
		{"value changed", before + "\n" + strings.Replace(block, "true", "false", 1), before + "\n[credential \"https://github.com\"]\n\tuseHttpPath = false\n", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			file := w.write(".gitconfig", before)
			w.apply(github())
			if got := w.read(file); got != before+"\n"+block {
				t.Fatalf("file = %q", got)
			}
			w.write(".gitconfig", tc.edited)
			u := w.undo("https://github.com")
			if got := w.read(file); got != tc.want || len(u) != 1 || u[0].Edited != tc.lines {
				t.Errorf("after undo %q, want %q (%+v)", got, tc.want, u)
			}
		})
	}
}

// lineOf is how setup names a helper whose path needs no quoting.
func lineOf(path string) string { return "!GOMAXPROCS=1 " + path }
