package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// inClone makes a folder the current one, as a clone from a stranger would be.
func inClone(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, name, text, 0o600)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestNoFolder: without a full path in HOME nothing is read from the current
// folder, nor written there.
func TestNoFolder(t *testing.T) {
	for _, home := range []string{"", ".", "home"} {
		b := newBench(t, fake.Switches{})
		b.env["HOME"], b.env["XDG_STATE_HOME"], b.env["XDG_CACHE_HOME"] = home, "state", "."
		victim := filepath.Join(t.TempDir(), "victim")
		const line = "https://u:p@ghes.example\n"
		write(t, victim, line, 0o600)
		row := "https://ghes.example\t" + victim + "\n"
		id := string(wallet.Login) + "\thttps://ghes.example\tann/data\t7\n"
		inClone(t, map[string]string{
			".local/state/daypass/store-files": row, "state/daypass/store-files": row, "home/.local/state/daypass/store-files": row,
			".cache/daypass/repositories": id, "daypass/repositories": id, "home/.cache/daypass/repositories": id,
		})
		if got := b.storeFiles(); len(got) > 0 {
			t.Errorf("HOME=%q: read %q", home, got)
		}
		if got := b.emptyStoreFiles(true, github.Host{}); len(got) > 0 || read(t, victim) != line {
			t.Errorf("HOME=%q: a list in the current folder was followed: %q", home, got)
		}
		repo := daypass.Repo{Owner: "ann", Name: "data", ID: 9}
		if got, ok := b.knownRepo(wallet.Login, "https://ghes.example", repo); ok {
			t.Errorf("HOME=%q: read %v", home, got)
		}
		for what, err := range map[string]error{
			"rememberRepo": b.rememberRepo(wallet.Login, "https://ghes.example", repo), "rememberStoreFile": b.rememberStoreFile(victim, "https://ghes.example"),
		} {
			if err == nil || !strings.Contains(err.Error(), "HOME") {
				t.Errorf("HOME=%q: %s said %v", home, what, err)
			}
		}
		if err := b.forgetRepo(wallet.Login, "https://ghes.example", repo); err != nil {
			t.Errorf("HOME=%q: forgetRepo: %v", home, err)
		}
		if dir, ok := b.stateDir(); ok || dir != "" {
			t.Errorf("HOME=%q: stateDir is %q", home, dir)
		}
	}
}

// TestForgetRepo takes out that one number.
func TestForgetRepo(t *testing.T) {
	b := newBench(t, fake.Switches{})
	const origin = "https://ghes.example"
	data, paper := daypass.Repo{Owner: "ann", Name: "data", ID: 7}, daypass.Repo{Owner: "ann", Name: "paper", ID: 8}
	for _, r := range []daypass.Repo{data, paper} {
		if err := b.rememberRepo(wallet.Login, origin, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.forgetRepo(wallet.Login, origin, daypass.Repo{Owner: "Ann", Name: "DATA"}); err != nil {
		t.Fatal(err)
	}
	if got, ok := b.knownRepo(wallet.Login, origin, data); ok {
		t.Errorf("it is still known as %v", got)
	}
	if got, ok := b.knownRepo(wallet.Login, origin, paper); !ok || got.ID != 8 {
		t.Errorf("the other is %v, %v", got, ok)
	}
	if err := b.forgetRepo(wallet.Login, origin, data); err != nil {
		t.Errorf("nothing to forget: %v", err)
	}
}

func storeEntry() wallet.Entry {
	return wallet.Entry{Scheme: "https", Credential: daypass.Credential{
		Username: "x", Token: daypass.NewSecret("ghu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), Scope: daypass.Scope{Host: benchHost},
	}}
}

// TestStoreFileFolder: where somebody else can exchange files, no token is written.
func TestStoreFileFolder(t *testing.T) {
	uid := os.Geteuid()
	for _, c := range []struct {
		mode os.FileMode
		ok   bool
	}{{0o700, true}, {0o755, true}, {0o777 | os.ModeSticky, true}, {0o777, false}, {0o770, false}, {0o702, false}} {
		dir := t.TempDir()
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "store")
		err := writeStoreFile(path, storeEntry(), uid)
		if (err == nil) != c.ok {
			t.Errorf("a folder of mode %v: %v", c.mode, err)
		}
		if err := writable(dir, uid); (err == nil) != c.ok {
			t.Errorf("a folder of mode %v, before the login: %v", c.mode, err)
		}
		if _, serr := os.Stat(path); !c.ok && (serr == nil || !strings.Contains(err.Error(), "DP-405")) {
			t.Errorf("a folder of mode %v: the file is there, or the message is %v", c.mode, err)
		}
	}
	shared := filepath.Join(t.TempDir(), "store")
	write(t, shared, "https://u:p@"+benchHost+"\n", 0o600)
	if err := os.Chmod(filepath.Dir(shared), 0o777); err != nil {
		t.Fatal(err)
	}
	if held, err := emptyStoreFile(shared, "https", benchHost, uid); held || err == nil || !strings.Contains(err.Error(), "rm "+shared) {
		t.Errorf("taking a token out of a shared folder: %v, %v", held, err)
	}
	if uid != 0 {
		t.Skip("a stranger's folder needs root")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := writeStoreFile(filepath.Join(dir, "store"), storeEntry(), uid); err == nil {
		t.Error("a stranger's folder is taken")
	}
}

// TestEmptyStoreFiles: a file without a line of the host is not written, one
// that is gone is not said to be emptied, and both leave the list.
func TestEmptyStoreFiles(t *testing.T) {
	b := newBench(t, fake.Switches{})
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	held, foreign, gone := filepath.Join(dir, "held"), filepath.Join(dir, "foreign"), filepath.Join(dir, "gone")
	const others = "\n\nhttps://u:p@other.example\n"
	write(t, foreign, others, 0o600)
	long := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(foreign, long, long); err != nil {
		t.Fatal(err)
	}
	if err := writeStoreFile(held, storeEntry(), b.uid); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{held, foreign, gone} {
		if err := b.rememberStoreFile(path, "https://"+benchHost); err != nil {
			t.Fatal(err)
		}
	}
	h, err := github.ParseHost(benchHost)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.emptyStoreFiles(false, h); len(got) != 1 || got[0] != held {
		t.Errorf("emptied %q", got)
	}
	if read(t, held) != "" {
		t.Error("the token is still there")
	}
	st, err := os.Stat(foreign)
	if err != nil || !st.ModTime().Equal(long) || read(t, foreign) != others {
		t.Errorf("a file without a line of the host was written: %v", err)
	}
	if got := b.storeFiles(); len(got) > 0 {
		t.Errorf("the list still has %q", got)
	}
}

// TestExposedFolder: what the helper would refuse is said before.
func TestExposedFolder(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		mode os.FileMode
		want string
	}{
		{dir, 0o755, ""}, {dir, 0o775, dir}, {dir, 0o777 | os.ModeSticky, dir},
		{filepath.Dir(dir), 0o775, filepath.Dir(dir)}, {filepath.Dir(dir), 0o777 | os.ModeSticky, ""},
	} {
		if err := os.Chmod(c.path, c.mode); err != nil {
			t.Fatal(err)
		}
		if got := exposedFolder(dir); got != c.want {
			t.Errorf("%s with %v: %q, want %q", c.path, c.mode, got, c.want)
		}
		if err := os.Chmod(c.path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
