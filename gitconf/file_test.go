package gitconf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/daypass-dev/daypass"
)

func TestWhichGlobalFile(t *testing.T) {
	w := newWorld(t)
	ask := func(want string) {
		t.Helper()
		if got, err := w.Git.GlobalFile(); err != nil || got != want {
			t.Errorf("GlobalFile = %q, %v, want %q", got, err, want)
		}
		// git must choose the same.
		w.git("", "config", "--global", "x.y", "z")
		if got := w.git("", "config", "--global", "--show-origin", "--get", "x.y"); !strings.HasPrefix(got, "file:"+want+"\t") {
			t.Errorf("git chose %q, want %q", got, want)
		}
		w.git("", "config", "--global", "--unset", "x.y")
	}
	ask(w.config())
	os.Remove(w.config())
	ask(w.config())
	os.Remove(w.config())
	xdg := w.write(".config/git/config", "")
	ask(xdg)
	w.env["XDG_CONFIG_HOME"] = filepath.Join(w.home, "xdg")
	xdg = w.write("xdg/git/config", "")
	ask(xdg)
	w.write(".gitconfig", "")
	ask(w.config())
	w.env["GIT_CONFIG_GLOBAL"] = filepath.Join(w.home, "other")
	ask(w.env["GIT_CONFIG_GLOBAL"])
	for _, bad := range []string{"/dev/null", "relative"} {
		w.env["GIT_CONFIG_GLOBAL"] = bad
		if got, err := w.Git.GlobalFile(); err == nil {
			t.Errorf("%s: GlobalFile = %q", bad, got)
		}
	}
}

func TestSystemFile(t *testing.T) {
	w := newWorld(t)
	r := github()
	r.System = true
	w.Record = filepath.Join(w.home, "lib", "setup.json")
	c := w.apply(r)
	if c.File != w.env["GIT_CONFIG_SYSTEM"] || !strings.Contains(w.read(c.File), helperPath) {
		t.Errorf("Change = %+v", c)
	}
	if u, err := w.Undo(t.Context(), "", true); err != nil || len(u) != 1 || !u[0].Deleted {
		t.Errorf("Undo = %+v, %v", u, err)
	}
	delete(w.env, "GIT_CONFIG_SYSTEM")
	got, err := w.Git.SystemFile(t.Context())
	if err != nil || !filepath.IsAbs(got) || filepath.Base(got) != "gitconfig" {
		t.Errorf("git's own system file = %q, %v", got, err)
	}
}

func TestLinksStayLinks(t *testing.T) {
	w := newWorld(t)
	target := w.write("dotfiles/gitconfig", "[a]\n\tb = c\n")
	if err := os.Symlink("dotfiles/gitconfig", w.config()); err != nil {
		t.Fatal(err)
	}
	if c := w.apply(github()); c.File != target {
		t.Errorf("wrote %s, want %s", c.File, target)
	}
	if fi, err := os.Lstat(w.config()); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Error("the link became a file")
	}
	w.undo("")
	if got := w.read(target); got != "[a]\n\tb = c\n" {
		t.Errorf("after undo %q", got)
	}
	os.Remove(target) // a link to nothing: git makes the target
	w.apply(github())
	w.undo("")
	os.Remove(w.config())
	os.Symlink(".gitconfig", w.config())
	if _, err := w.Apply(t.Context(), github()); err == nil {
		t.Error("wrote through a circle of links")
	}
}

func TestLocked(t *testing.T) {
	w := newWorld(t)
	w.write(".gitconfig", "[a]\n\tb = c\n")
	lock := w.write(".gitconfig.lock", "")
	_, err := w.Apply(t.Context(), github())
	var p *daypass.Problem
	if !errors.As(err, &p) || !strings.Contains(p.Next, lock) {
		t.Errorf("Apply = %v, want a problem that names %s", err, lock)
	}
	if got := w.read(w.config()); got != "[a]\n\tb = c\n" {
		t.Errorf("wrote %q past the lock", got)
	}
	if _, err := os.Stat(lock); err != nil {
		t.Error("took another's lock away")
	}
	os.Remove(lock)
	// The record of the attempt that failed must not stand in the way.
	w.apply(github())
	w.undo("")
	if got := w.read(w.config()); got != "[a]\n\tb = c\n" {
		t.Errorf("after undo %q", got)
	}
}

func TestBrokenFileIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.write(".gitconfig", "[user\nname = ghp_0123456789abcdefghijABCDEFGHIJ012345\n")
	_, err := w.Apply(t.Context(), github())
	if err == nil || strings.Contains(err.Error(), "ghp_0123456789") {
		t.Errorf("Apply = %v", err)
	}
	if got := w.read(w.config()); !strings.HasPrefix(got, "[user\n") || strings.Contains(got, "credential") {
		t.Errorf("file = %q", got)
	}
	if _, err := os.Stat(w.config() + ".lock"); err == nil {
		t.Error("the lock was left behind")
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.write(".gitconfig", "[a]\n\tb = c")
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if _, err := w.Apply(t.Context(), github()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := strings.Count(w.read(w.config()), helperPath); got != 1 {
		t.Errorf("%d blocks:\n%s", got, w.read(w.config()))
	}
	w.undo("")
	if got := w.read(w.config()); got != "[a]\n\tb = c" {
		t.Errorf("after undo %q", got)
	}
}

func TestRecord(t *testing.T) {
	w := newWorld(t)
	w.write(".gitconfig", "[user]\n\tghtoken = ghp_0123456789abcdefghijABCDEFGHIJ012345\n")
	w.apply(github())
	path := filepath.Join(w.home, ".local/state/daypass/setup.json")
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("record: %v, %v", fi, err)
	}
	if fi, err := os.Stat(filepath.Dir(path)); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", fi, err)
	}
	if strings.Contains(w.read(path), "ghp_") {
		t.Error("the record holds a secret of the file")
	}
	was := w.read(w.config())
	os.Remove(path) // lost: the block must not be added twice, and nobody knows whose it is
	if c := w.apply(github()); c.Added != "" {
		t.Errorf("added again: %q", c.Added)
	}
	w.undo("https://github.com")
	if w.read(w.config()) != was {
		t.Error("undo took a block that it does not know")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("an empty record was left")
	}
	os.Remove(w.config())
	w.apply(github())
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Undo(t.Context(), "", false); err == nil {
		t.Error("undo believed a record that everybody can write")
	}
	w.env["XDG_STATE_HOME"] = w.write("file", "")
	if _, err := w.Apply(t.Context(), Request{Origin: "https://x.example", Helper: helperPath}); err == nil || strings.Contains(w.read(w.config()), "x.example") {
		t.Errorf("set up without a record: %v", err)
	}
}

func TestIdentityOnlyWhenUnset(t *testing.T) {
	w := newWorld(t)
	const before = "[user]\n\tname =\n\temail = own@example.org\n"
	w.write(".gitconfig", before)
	w.write(w.env["GIT_CONFIG_SYSTEM"], "[push]\n\tdefault = current\n")
	r := github()
	r.UserName, r.UserEmail, r.PushDefault = "Mona \"M\" # é", "1+mona@users.noreply.github.com", true
	w.apply(r)
	for key, want := range map[string]string{"user.name": r.UserName, "user.email": "own@example.org", "push.default": "current"} {
		if got := strings.TrimSpace(w.git("", "config", key)); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	gist := r
	gist.Origin = "https://gist.github.com"
	w.apply(gist)
	w.undo("https://github.com")
	if got := strings.TrimSpace(w.git("", "config", "user.name")); got != r.UserName {
		t.Errorf("the name went with the first host: %q", got)
	}
	w.undo("https://gist.github.com")
	if got := w.read(w.config()); got != before {
		t.Errorf("after undo %q, want %q", got, before)
	}
}

func TestPlanUndoWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.write(".gitconfig", "[a]\n\tb = c")
	w.apply(github())
	was := w.read(w.config())
	u, err := w.PlanUndo(t.Context(), "", false)
	if err != nil || len(u) != 1 || !strings.Contains(u[0].Removed, helperPath) || w.read(w.config()) != was {
		t.Errorf("PlanUndo = %+v, %v", u, err)
	}
	w.undo("")
	if got := w.read(w.config()); got != "[a]\n\tb = c" {
		t.Errorf("after undo %q", got)
	}
}

// Setup then undo gives back any file, or setup refuses and leaves it alone.
func FuzzUndo(f *testing.F) {
	for _, s := range []string{"", "\n", "a", "[a]\nb=c", "[a]\nb=c\\", "[a]\nb=c\\\n", "[a]\nb=\"c\n", "[a]\r\nb=c\r\n", "\xef\xbb\xbf[a]\nb", "# x\\\n", "[a]\nb=c #\\", "\x00", "[a]b=c", "[credential \"https://github.com\"]",
		"[credential \"https://github.com\"]\n\thelper = \n\thelper = " + helperPath + "\n\tuseHttpPath = true\n",
		"[credential \"https://github.com\"]\n\thelper = " + helperPath + "\n", "[a]\n\tb = c\n\n\n", "[a]\nb=c \\\n\n", "[a]\nb=c\\\\\n"} {
		f.Add([]byte(s), "https://gist.github.com", false)
	}
	f.Fuzz(func(t *testing.T, before []byte, second string, mid bool) {
		w := newWorld(t)
		w.write(".gitconfig", string(before))
		r := github()
		r.UserName = "Mona"
		if _, err := w.Apply(t.Context(), r); err == nil {
			list := w.git("", "config", "--global", "--list", "-z")
			if !strings.Contains(list, "credential.https://github.com.helper\n"+lineOf(helperPath)+"\x00") {
				t.Errorf("git does not see the helper in %q", w.read(w.config()))
			}
		} else if got := w.read(w.config()); got != string(before) {
			t.Fatalf("refused with %v and wrote %q", err, got)
		}
		r.Origin = second
		w.Apply(t.Context(), r)
		if mid {
			w.undo("https://github.com")
		}
		w.undo("")
		if got := w.read(w.config()); got != string(before) {
			t.Errorf("after undo %q, want %q", got, before)
		}
	})
}
