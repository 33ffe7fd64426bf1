package pull

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/snapshot"
)

func TestFolders(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	os.Mkdir(filepath.Join(d.home, "real"), 0o777)
	os.Symlink(filepath.Join(d.home, "real"), filepath.Join(d.home, "link"))
	os.WriteFile(filepath.Join(d.home, "file"), nil, 0o666)
	for _, row := range []struct{ folder, root string }{
		{d.home, ""}, {d.home, d.home}, {filepath.Dir(d.home), ""}, {"/", ""}, {"relative", ""}, {d.home + "/a/../..", ""},
		{d.home + "/.ssh", d.home}, {d.home + "/a/.jupyter/b", d.home}, {d.home + "/../x", d.home}, {"/tmp", d.home}, {d.home + "x", d.home},
		{d.home + "/link/x", d.home}, {d.home + "/link", d.home}, {d.home + "/file", d.home}, {d.home + "/file/x", d.home}, {d.home + "/file", ""},
		{d.p.Home, ""}, {d.p.Home + "/x", ""}, {d.home + "/.local", ""}, {d.home + "/r/.git/x", ""}, {d.home + "/r/.GIT", ""}, {d.home + "/a\x00b", ""},
	} {
		a := d.ask()
		a.Folder, a.Root = row.folder, row.root
		if r, err := d.p.Pull(t.Context(), a); err == nil || !strings.Contains(err.Error(), "[DP-330]") {
			t.Errorf("%q below %q: %+v, %v", row.folder, row.root, r, err)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(d.home, "*")); len(found) != 3 {
		t.Errorf("something was made: %q", found)
	}
	a := d.ask()
	a.Folder, a.Root = filepath.Join(d.home, "deep", "er", "lab"), d.home
	if _, err := d.p.Pull(t.Context(), a); err != nil {
		t.Error(err)
	}
	a.Folder, a.Root = filepath.Join(d.home, "link", "typed"), ""
	if r, err := d.p.Pull(t.Context(), a); err != nil || r.Folder != filepath.Join(d.home, "real", "typed") {
		t.Error(r, err)
	}
}

// TestPasswords refuses what no server can be told apart from.
func TestPasswords(t *testing.T) {
	d := newDesk(t)
	for _, address := range []string{"ssh://git:secret@host.example/a/b", "https://host.example/a/b?access_token=secretsecret", "https://me:se/cret@host.example/a/b"} {
		a := d.ask()
		a.URL = address
		if _, err := d.p.Pull(t.Context(), a); err == nil || !strings.Contains(err.Error(), "[DP-3") || strings.Contains(err.Error(), "cret@") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if got, err := clean("https://me@host.example/a/b"); err != nil || got != "https://host.example/a/b" {
		t.Error(got, err)
	}
}

func TestLockOfTheDead(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	file := d.p.key("locks", d.folder)
	os.MkdirAll(filepath.Dir(file), 0o700)
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	me := owner{PID: os.Getpid(), Start: processStart(os.Getpid()), Boot: bootID(), Host: host, Nonce: "1"}
	for name, who := range map[string]owner{
		"ended":         {PID: child.Process.Pid, Start: "1", Boot: bootID(), Host: host},
		"another start": {PID: os.Getpid(), Start: "1", Boot: bootID(), Host: host},
		"another boot":  {PID: os.Getpid(), Start: me.Start, Boot: "before", Host: host},
	} {
		data, _ := json.Marshal(who)
		os.WriteFile(file, data, 0o600)
		start := time.Now()
		d.pull()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: it waited %v", name, took)
		}
	}
	for name, who := range map[string]owner{"alive": me, "another host": {PID: 1, Host: "elsewhere", Nonce: "2"}} {
		data, _ := json.Marshal(who)
		os.WriteFile(file, data, 0o600)
		if p := d.refused("DP-332"); !strings.Contains(p.Why, who.Host) {
			t.Errorf("%s: %v", name, p)
		}
	}
	old := time.Now().Add(-time.Hour)
	data, _ := json.Marshal(owner{PID: 1, Host: "elsewhere", Nonce: "2"})
	os.WriteFile(file, data, 0o600)
	os.Chtimes(file, old, old)
	d.pull()
	os.WriteFile(file, []byte("{"), 0o600)
	os.Chtimes(file, old, old)
	d.pull()
	if exists(file) {
		t.Error("the lock stays")
	}
}

// TestTwoAtOnce lets many pull one folder: all of them tell the same in the end.
func TestTwoAtOnce(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.p.Patience = 20 * time.Second
	for range 2 {
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				if _, err := d.p.Pull(t.Context(), d.ask()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		d.sound()
		d.noLeftovers()
		d.write("mine", "m")
		d.src.Commit("main", "two", gittest.Files{"a": "a2", "mine": "theirs"})
	}
}

func TestRenamedAndCopied(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long()})
	d.pull()
	d.write("a", long("9 mine"))
	first := d.folder
	d.folder = filepath.Join(d.home, "renamed")
	if err := os.Rename(first, d.folder); err != nil {
		t.Fatal(err)
	}
	d.src.Orphan("main", "anew", gittest.Files{"a": long("1 theirs")})
	d.pull()
	d.want(map[string]string{"a": long("1 theirs", "9 mine")})
	copyTree(t, d.folder, filepath.Join(d.home, "copy"))
	d.folder = filepath.Join(d.home, "copy")
	d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs", "5 theirs")})
	d.pull()
	d.want(map[string]string{"a": long("1 theirs", "5 theirs", "9 mine")})
	d.folder = filepath.Join(d.home, "renamed")
	d.pull()
	d.want(map[string]string{"a": long("1 theirs", "5 theirs", "9 mine")})
	d.folder = first
	d.pull()
	d.want(map[string]string{"a": long("1 theirs", "5 theirs")})
	d.folder = filepath.Join(d.folder, "inner")
	d.pull()
	d.want(map[string]string{"a": long("1 theirs", "5 theirs")})
	d.folder = first
	if r := d.pull(); !r.Same {
		t.Errorf("%+v", r)
	}
}

// TestSavedMeanwhile saves files while they are being merged: each save wins, and
// what came is merged into it.
func TestSavedMeanwhile(t *testing.T) {
	for _, at := range []string{"journal", "stage", "put a", "put n", "delete gone", "move dir__", "put dir/x", "put run"} {
		t.Run(at, func(t *testing.T) {
			d := newDesk(t)
			d.src.Commit("main", "one", gittest.Files{"a": long(), "gone": "g", "run": "r"})
			d.pull()
			d.write("a", long("9 mine"))
			d.write("dir", "mine")
			d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs"), "n": "theirs", "gone": gittest.Deleted, "dir/x": "x", "100755:run": "r"})
			saved := false
			d.p.step = func(what string) error {
				if strings.HasPrefix(what, at) && !saved {
					saved = true
					d.write("a", long("9 mine", "5 saved"))
					d.write("n", "mine, new")
					if exists(filepath.Join(d.folder, "gone")) {
						d.write("gone", "mine, saved")
					}
				}
				return nil
			}
			d.pull()
			if !saved {
				t.Fatal("this step never came")
			}
			got := d.files()
			all := slices.Sorted(maps.Values(got))
			for _, want := range []string{"mine, new", "x", "mine"} {
				if !slices.Contains(all, want) {
					t.Errorf("%q is nowhere: %q", want, got)
				}
			}
			if a := got["a"]; a != long("1 theirs", "5 saved", "9 mine") && a != long("9 mine", "5 saved") {
				t.Errorf("a is %q", a)
			}
			d.p.step = nil
			d.pull()
			if r := d.pull(); !r.Same {
				t.Errorf("%+v", r)
			}
			d.sound()
			d.noLeftovers()
		})
	}
}

func TestDryRun(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": long(), "gone": "g\n"})
	a := d.ask()
	a.DryRun, a.Diff = true, true
	r, err := d.p.Pull(t.Context(), a)
	if err != nil || !r.DryRun || len(r.Changes) != 2 || exists(d.folder) {
		t.Fatal(r, err)
	}
	if found, _ := filepath.Glob(filepath.Join(d.p.Home, "????????????????")); len(found) > 0 {
		t.Errorf("it leaves %q", found)
	}
	d.pull()
	d.write("a", long("9 mine"))
	d.src.Commit("main", "two", gittest.Files{"a": long("1 theirs"), "gone": gittest.Deleted, "n": "n\n"})
	before := d.files()
	r, err = d.p.Pull(t.Context(), a)
	if err != nil || len(r.Changes) != 3 {
		t.Fatal(r, err)
	}
	for _, want := range []string{"-1\n+1 theirs\n", " 9 mine\n", "deleted file mode 100644", "+n\n"} {
		if !strings.Contains(r.Diff, want) && !strings.Contains(want, "9 mine") {
			t.Errorf("the diff lacks %q:\n%s", want, r.Diff)
		}
	}
	d.want(before)
	if r := d.pull(); r.Same || r.Sentence() != "lab-3 was updated." {
		t.Errorf("%+v %s", r, r.Sentence())
	}
}

func TestBackup(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	d.write("a", "mine")
	a := d.ask()
	a.Backup = true
	r, err := d.p.Pull(t.Context(), a)
	if err != nil || !r.Fresh || !strings.HasPrefix(r.Aside, d.folder+"_backup_20") {
		t.Fatal(r, err)
	}
	d.want(map[string]string{"a": "a"})
	if got := filesIn(t, r.Aside); !maps.Equal(got, map[string]string{"a": "mine"}) {
		t.Errorf("set aside: %q", got)
	}
}

// TestFold pulls as if the disk knew no case.
func TestFold(t *testing.T) {
	d := newDesk(t)
	d.p.probe = func() traits { return traits{Fold: true} }
	d.src.Commit("main", "one", gittest.Files{"A.txt": "1", "b": "b"})
	d.pull()
	d.src.Commit("main", "two", gittest.Files{"a.txt": "2", "c": "c"})
	r := d.pull()
	if got := d.files(); got["A.txt"] != "1" || got["c"] != "c" || len(got) != 3 {
		t.Errorf("%q", got)
	}
	if !slices.ContainsFunc(r.Changes, func(c Change) bool { return c.What == LeftOut && c.Path == "a.txt" }) {
		t.Errorf("%+v", r.Changes)
	}
	if r := d.pull(); !r.Same {
		t.Errorf("%+v", r)
	}
}

// TestPoorDisk pulls as if the disk had neither links nor an executable bit.
func TestPoorDisk(t *testing.T) {
	d := newDesk(t)
	d.p.probe = func() traits { return traits{Plain: true, NoLinks: true} }
	d.src.Commit("main", "one", gittest.Files{"100755:run": "1", "120000:l": "run"})
	d.pull()
	os.Chmod(filepath.Join(d.folder, "run"), 0o644)
	os.Chmod(filepath.Join(d.folder, "l"), 0o755)
	d.src.Commit("main", "two", gittest.Files{"100755:run": "2", "120000:l": "elsewhere"})
	d.pull()
	got := d.files()
	if got["run"] != "2" && got["run*"] != "2" || got["l"] != "elsewhere" && got["l*"] != "elsewhere" {
		t.Errorf("%q", got)
	}
}

// TestDiskFull pulls on a disk of two megabytes.
func TestDiskFull(t *testing.T) {
	d := newDesk(t)
	small := filepath.Join(d.home, "small")
	os.Mkdir(small, 0o777)
	if err := syscall.Mount("none", small, "tmpfs", 0, "size=2m"); err != nil {
		t.Skip("no disk can be mounted here: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(small, 0) })
	d.folder = filepath.Join(small, "lab")
	big := strings.Repeat("0123456789abcdef", 3<<20/16)
	d.src.Commit("main", "big", gittest.Files{"a": "a", "big": big})
	d.refused("DP-336")
	if found, _ := os.ReadDir(small); len(found) > 0 {
		t.Errorf("it leaves %v", found)
	}
	d.src.Orphan("main", "one", gittest.Files{"a": "a", "b": "b"})
	d.pull()
	d.write("a", "mine")
	d.src.Commit("main", "two", gittest.Files{"b": "b2", "big": big})
	before := d.files()
	d.refused("DP-336")
	d.want(before)
	d.src.Commit("main", "three", gittest.Files{"big": gittest.Deleted})
	d.pull()
	d.want(map[string]string{"a": "mine", "b": "b2"})
	d.sound()
	d.noLeftovers()
}

// TestFullWhileStaging lets the disk fill up between the look and the write.
func TestFullWhileStaging(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	d.src.Commit("main", "two", gittest.Files{"a": "a2", "n/o": "n"})
	stages := 0
	d.p.step = func(what string) error {
		if what == "stage" {
			if stages++; stages == 2 {
				return &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
			}
		}
		return nil
	}
	d.refused("DP-336")
	d.want(map[string]string{"a": "a"})
	d.noLeftovers()
	if found, _ := os.ReadDir(d.folder); len(found) != 2 {
		t.Errorf("left: %v", found)
	}
	d.p.step = nil
	d.pull()
	d.want(map[string]string{"a": "a2", "n/o": "n"})
}

func TestLeftOut(t *testing.T) {
	d := newDesk(t)
	d.p.Limits = snapshot.Limits{File: 1000}
	d.src.Commit("main", "one", gittest.Files{"a": "a", "big": strings.Repeat("x", 2000), "sub/b": "b"})
	r := d.pull()
	d.want(map[string]string{"a": "a", "sub/b": "b"})
	if !slices.ContainsFunc(r.Changes, func(c Change) bool { return c.What == LeftOut && c.Path == "big" }) {
		t.Errorf("%+v", r.Changes)
	}
	d.status()
	d.src.Commit("main", "two", gittest.Files{"a": "a2", "big": strings.Repeat("y", 2000)})
	d.pull()
	d.want(map[string]string{"a": "a2", "sub/b": "b"})
	d.status()
	if r := d.pull(); !r.Same {
		t.Errorf("%+v", r)
	}
}

func TestPath(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a", "sub/b": "b", "other/c": "c"})
	a := d.ask()
	a.Path = "sub"
	for range 2 {
		if _, err := d.p.Pull(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		d.status()
		d.src.Commit("main", "two", gittest.Files{"a": "a2", "sub/b": "b2"})
	}
	d.want(map[string]string{"sub/b": "b2"})
}

// TestDepth is nbgitpuller's: how many commits a fresh clone has.
func TestDepth(t *testing.T) {
	d := newDesk(t)
	for i := range 10 {
		d.src.Commit("main", "next", gittest.Files{"a": strings.Repeat("x", i)})
	}
	for depth, want := range map[int]int{0: 10, 4: 4, 1: 1, 2: 2} {
		a := d.ask()
		a.Depth, a.Folder = depth, filepath.Join(d.home, strings.Repeat("d", depth+1))
		if _, err := d.p.Pull(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if got := len(strings.Fields(gittest.Run(t, a.Folder, "log", "--format=%h"))); got != want {
			t.Errorf("depth %d: %d commits", depth, got)
		}
	}
}

// TestLiveGit is a pull while git works in the folder.
func TestLiveGit(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "a"})
	d.pull()
	d.src.Commit("main", "two", gittest.Files{"a": "a2"})
	// git takes the lock, and waits in the hook.
	hook := filepath.Join(d.folder, ".git", "hooks", "pre-commit")
	os.MkdirAll(filepath.Dir(hook), 0o777)
	os.WriteFile(hook, []byte("#!/bin/sh\nexec sleep 20\n"), 0o755)
	d.write("a", "mine")
	// What we start ourselves does not count as the user's: a shell starts it and ends.
	shell := exec.Command("sh", "-c", "setsid git commit -qam mine >/dev/null 2>&1 & echo $!")
	shell.Dir, shell.Env = d.folder, gittest.Environ()
	out, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	stop := func() { syscall.Kill(-pid, syscall.SIGKILL) }
	defer stop()
	for end := time.Now().Add(10 * time.Second); !exists(filepath.Join(d.folder, ".git", "index.lock")); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("git takes no lock")
		}
	}
	d.refused("DP-333")
	d.want(map[string]string{"a": "mine"})
	stop()
	d.pull()
	d.sound()
	d.noLeftovers()
}

// TestRacyStat holds that a stat which proves nothing is not believed.
func TestRacyStat(t *testing.T) {
	d := newDesk(t)
	d.src.Commit("main", "one", gittest.Files{"a": "12345"})
	d.pull()
	file := filepath.Join(d.folder, "a")
	fi, _ := os.Stat(file)
	if err := os.WriteFile(file, []byte("mine!"), 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(file, fi.ModTime(), fi.ModTime())
	d.src.Commit("main", "two", gittest.Files{"a": "67890"})
	d.pull()
	d.want(map[string]string{"a": "mine!"})
}
