package wallet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// What is not ours alone is neither read nor written, and the error says why.
func TestUntrusted(t *testing.T) {
	for _, c := range []struct {
		name, why string
		spoil     func(dir string) error
	}{
		{"directory 0755", "mode is 0755", func(d string) error { return os.Chmod(d, 0o755) }},
		{"directory 0770", "mode is 0770", func(d string) error { return os.Chmod(d, 0o770) }},
		{"directory is a link", "symbolic link", func(d string) error {
			return errors.Join(os.Rename(d, d+"2"), os.Symlink(d+"2", d))
		}},
		{"directory is a file", "no directory", func(d string) error {
			return errors.Join(os.RemoveAll(d), os.WriteFile(d, nil, 0o600))
		}},
		{"another's directory", "belongs to user 65534", func(d string) error { return os.Chown(d, 65534, 65534) }},
		{"file 0644", "mode is 0644", func(d string) error { return os.Chmod(d+"/wallet", 0o644) }},
		{"file 0660", "mode is 0660", func(d string) error { return os.Chmod(d+"/wallet", 0o660) }},
		{"file is a link", "symbolic link", func(d string) error {
			return errors.Join(os.Rename(d+"/wallet", d+"/elsewhere"), os.Symlink("elsewhere", d+"/wallet"))
		}},
		{"file has two names", "second name", func(d string) error { return os.Link(d+"/wallet", d+"/second") }},
		{"another's file", "belongs to user 65534", func(d string) error { return os.Chown(d+"/wallet", 65534, 65534) }},
		{"file is a pipe", "not a regular file", func(d string) error {
			return errors.Join(os.Remove(d+"/wallet"), syscall.Mkfifo(d+"/wallet", 0o600))
		}},
		{"file is a directory", "not a regular file", func(d string) error {
			return errors.Join(os.Remove(d+"/wallet"), os.Mkdir(d+"/wallet", 0o700))
		}},
		{"huge file", "larger", func(d string) error { return os.Truncate(d+"/wallet", 1<<30) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir() + "/w"
			w := mustOpen(t, named(dir))
			mustPut(t, w, entry("o/a"))
			if err := c.spoil(dir); err != nil {
				t.Skip(err) // chown needs root
			}
			var untrusted ErrUntrusted
			if _, ok, err := w.Find(want("o/a")); ok || !errors.As(err, &untrusted) || !strings.Contains(untrusted.Why, c.why) {
				t.Errorf("Find = %v, %v; want untrusted: %s", ok, err, c.why)
			}
			if _, _, err := w.List(); !errors.As(err, &untrusted) {
				t.Errorf("List = %v, want untrusted", err)
			}
			if err := w.Put(entry("o/b")); !errors.As(err, &untrusted) {
				t.Errorf("Put = %v, want untrusted", err)
			}
		})
	}
}

// A lock that leads elsewhere, or a file left by a writer that was killed, is
// not written through.
func TestPlantedFiles(t *testing.T) {
	dir := t.TempDir() + "/w"
	victim := t.TempDir() + "/victim"
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := mustOpen(t, named(dir))
	mustPut(t, w, entry("o/a"))
	if err := os.Symlink(victim, dir+"/wallet.new"); err != nil {
		t.Fatal(err)
	}
	mustPut(t, w, entry("o/b"))
	if err := errors.Join(os.Remove(dir+"/lock"), os.Symlink(victim, dir+"/lock")); err != nil {
		t.Fatal(err)
	}
	if err := w.Put(entry("o/c")); err == nil {
		t.Error("Put went through a lock that is a link")
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("the victim now holds %q, %v", b, err)
	}
}

func TestOtherVersionsAndDamage(t *testing.T) {
	for _, c := range []struct {
		name, text string
		version    string // "" means damaged
	}{
		{"newer", "daypass-wallet 2\n{}\n", "2"},
		{"older", "daypass-wallet 0\n", "0"},
		{"empty", "", ""},
		{"something else", "https://u:p@github.com\n", ""},
		{"no version", "daypass-wallet \ncount\t0\n", ""},
		{"torn", "daypass-wallet 1\nentry\tlogin\thttps\tgithub.com\twr", ""},
		{"a line lost", "daypass-wallet 1\ncount\t1\n", ""},
		{"more behind the end", "daypass-wallet 1\ncount\t0\n\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			os.Chmod(dir, 0o700)
			if err := os.WriteFile(dir+"/wallet", []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			w := mustOpen(t, named(dir))
			_, ok, err := w.Find(want("o/a"))
			var other ErrVersion
			if ok || c.version != "" && (!errors.As(err, &other) || other.Found != c.version) || c.version == "" && !errors.Is(err, ErrDamaged) {
				t.Errorf("Find = %v, %v", ok, err)
			}
			mustPut(t, w, entry("o/a"))
			if token(t, w, want("o/a")) == "" {
				t.Error("a wallet that nobody could read kept a new one from being written")
			}
		})
	}
}

func TestModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir() + "/w"
	w := mustOpen(t, named(dir))
	mustPut(t, w, entry("o/a"))
	for path, mode := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, dir + "/wallet": 0o600, dir + "/lock": 0o600} {
		if st, err := os.Lstat(path); err != nil || st.Mode() != mode {
			t.Errorf("%s: %v, %v; want %v", path, st.Mode(), err, mode)
		}
	}
}

// shared is the options of a wallet whose memory file system is at root, and
// whose session directory is at session.
func shared(root, session string, kind fileSystemKind) Options {
	return Options{Getenv: env(map[string]string{"XDG_RUNTIME_DIR": session}), UID: os.Geteuid(), Now: func() time.Time { return now },
		NoKeyring: true, sharedMemory: root, fileSystem: func(int) (fileSystemKind, error) { return kind, nil }}
}

func TestOrderOfPlaces(t *testing.T) {
	root, session := t.TempDir(), t.TempDir()
	os.Chmod(session, 0o700)
	o := shared(root, session, memory)
	inMemory := filepath.Join(root, "daypass-"+strconv.Itoa(os.Geteuid()))

	w := mustOpen(t, o)
	if w.Place().Kind != "" {
		t.Errorf("before the first Put the place is %+v", w.Place())
	}
	mustPut(t, w, entry("o/a"))
	if p := w.Place(); p.Kind != Memory || p.Path != inMemory || p.Warning != "" {
		t.Errorf("Place = %+v, want memory", p)
	}
	if p := mustOpen(t, o).Place(); p.Kind != Memory {
		t.Errorf("opened again: %+v", p)
	}

	// Somebody was there first: it is passed over, and said so where nothing is found.
	os.RemoveAll(inMemory)
	if err := os.Symlink(session, inMemory); err != nil {
		t.Fatal(err)
	}
	w = mustOpen(t, o)
	var untrusted ErrUntrusted
	if _, ok, err := w.Find(want("o/a")); ok || !errors.As(err, &untrusted) {
		t.Errorf("Find = %v, %v; want untrusted", ok, err)
	}
	mustPut(t, w, entry("o/a"))
	if p := w.Place(); p.Kind != Session || p.Warning == "" {
		t.Errorf("Place = %+v, want the session's with a warning", p)
	}
	if p := mustOpen(t, o).Place(); p.Kind != Session {
		t.Errorf("opened again: %+v", p)
	}

	// Row 23: XDG_RUNTIME_DIR is not believed.
	os.Chmod(session, 0o755)
	if err := mustOpen(t, shared(root+"/none", session, memory)).Put(entry("o/a")); !errors.Is(err, ErrNoPlace) {
		t.Errorf("Put with a session directory of 0755 = %v, want ErrNoPlace", err)
	}
	os.Chmod(session, 0o700)
	if err := mustOpen(t, shared(root+"/none", session, disk)).Put(entry("o/a")); !errors.Is(err, ErrNoPlace) {
		t.Errorf("Put with a session directory on disk = %v, want ErrNoPlace", err)
	}
}

func TestNamedPlace(t *testing.T) {
	if _, err := Open(named("relative")); err == nil {
		t.Error("a relative DAYPASS_RUNTIME_DIR was taken")
	}
	dir := t.TempDir() + "/w"
	o := named(dir)
	o.fileSystem = func(int) (fileSystemKind, error) { return disk, nil }
	w := mustOpen(t, o)
	mustPut(t, w, entry("o/a"))
	if p := w.Place(); p.Kind != Named || p.Warning == "" {
		t.Errorf("Place = %+v, want a warning", p)
	}
	o.fileSystem = func(int) (fileSystemKind, error) { return network, nil }
	var untrusted ErrUntrusted
	if _, _, err := mustOpen(t, o).Find(want("o/a")); !errors.As(err, &untrusted) {
		t.Errorf("on a network file system Find = %v, want untrusted", err)
	}
}

// A full file system leaves a wallet that works.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Skip("mounting needs root: ", err)
	}
	defer syscall.Unmount(dir, 0)
	w := mustOpen(t, named(dir))
	mustPut(t, w, entry("o/a"))
	filler, err := os.Create(dir + "/filler")
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	filler.Close()
	if err := w.Put(entry("o/b")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put = %v, want ENOSPC", err)
	}
	if token(t, w, want("o/a")) == "" {
		t.Error("the old entry is lost")
	}
	os.Remove(dir + "/filler")
	mustPut(t, w, entry("o/b"))
	if entries, _, err := w.List(); err != nil || len(entries) != 2 {
		t.Errorf("List = %d entries, %v; want 2", len(entries), err)
	}
}

// TestWriter is not a test: the tests below run it in processes of their own.
func TestWriter(t *testing.T) {
	dir, id := os.Getenv("WALLET_TEST_DIR"), os.Getenv("WALLET_TEST_ID")
	if dir == "" {
		t.Skip("run by other tests")
	}
	n, _ := strconv.Atoi(os.Getenv("WALLET_TEST_PUTS"))
	w := mustOpen(t, named(dir))
	for i := 0; n == 0 || i < n; i++ {
		e := entry("o/r"+id, func(e *Entry) { e.Credential.Token = daypass.NewSecret(strings.Repeat("x", 1+i%4000)) })
		if n > 0 {
			e = entry(fmt.Sprintf("o/r%s-%d", id, i))
		}
		err := w.Put(e)
		for range 6 { // many write at once: on a busy machine its turn may come later than Put waits
			if !errors.Is(err, context.DeadlineExceeded) {
				break
			}
			err = w.Put(e)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			fmt.Println("first")
		}
	}
}

func writer(dir string, id, puts int) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriter$")
	cmd.Env = append(os.Environ(), "WALLET_TEST_DIR="+dir, "WALLET_TEST_ID="+strconv.Itoa(id), "WALLET_TEST_PUTS="+strconv.Itoa(puts))
	return cmd
}

// Twenty processes write at once and lose nothing of each other.
func TestConcurrentWriters(t *testing.T) {
	const processes, puts = 20, 10
	dir := t.TempDir() + "/w"
	var wg sync.WaitGroup
	for id := range processes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if out, err := writer(dir, id, puts).CombinedOutput(); err != nil {
				t.Errorf("writer %d: %v\n%s", id, err, out)
			}
		}()
	}
	wg.Wait()
	entries, _, err := mustOpen(t, named(dir)).List()
	if err != nil || len(entries) != processes*puts {
		t.Errorf("List = %d entries, %v; want %d", len(entries), err, processes*puts)
	}
}

// Whoever reads while a writer is killed again and again reads a whole wallet.
func TestKilledWriters(t *testing.T) {
	dir := t.TempDir() + "/w"
	w := mustOpen(t, named(dir))
	mustPut(t, w, entry("keep/me"))
	for i := range 15 {
		cmd := writer(dir, 1, 0)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Duration(3+i) * time.Millisecond); time.Now().Before(end); {
			if token(t, w, want("keep/me")) == "" {
				t.Fatal("a reader missed what was there all the time")
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		if token(t, w, want("keep/me")) == "" {
			t.Fatal("lost after a kill")
		}
		mustPut(t, w, entry("o/after"))
	}
}

func TestLock(t *testing.T) {
	w := mustOpen(t, named(t.TempDir()+"/w"))
	unlock, err := w.Lock(context.Background(), "https://github.com octocat/../x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.Lock(ctx, "https://github.com octocat/../x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second Lock = %v, want it to wait", err)
	}
	if other, err := w.Lock(context.Background(), "another"); err != nil {
		t.Error(err)
	} else {
		other()
	}
	mustPut(t, w, entry("o/a")) // while a grant is locked, the wallet is not
	unlock()
	again, err := w.Lock(context.Background(), "https://github.com octocat/../x")
	if err != nil {
		t.Fatal(err)
	}
	again()
}
