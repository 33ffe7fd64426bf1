package clone

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// aged makes a file as if it had been written a while ago.
func aged(t *testing.T, path, text string, age time.Duration) {
	t.Helper()
	write(t, path, text)
	at := time.Now().Add(-age)
	must(t, os.Chtimes(path, at, at))
}

func TestLocked(t *testing.T) {
	s := newScene(t, "sha1")
	lock := s.folder + "/.git/index.lock"
	if l, ok := s.c.Locked(); ok {
		t.Errorf("no lock: %+v", l)
	}
	to := s.advance(t, "four\n")
	for _, test := range []struct {
		text  string
		age   time.Duration
		stale bool
	}{
		{"", 0, false}, {"DIRC", 30 * time.Second, false}, {"", 2 * time.Minute, true}, {mark, 0, true}, {mark, time.Hour, true}, {"daypass", 0, false},
	} {
		aged(t, lock, test.text, test.age)
		l, ok := s.c.Locked()
		if !ok || l.Stale() != test.stale || l.Path != lock || l.Age < test.age-time.Second || l.Age > test.age+time.Minute || l.Ours != (test.text == mark) {
			t.Errorf("%q, %s: %+v, stale %t", test.text, test.age, l, l.Stale())
		}
		before := tree(t, s.folder+"/.git/refs")
		u := s.update(t, to)
		err := s.c.Update(u)
		if test.stale && err != nil || !test.stale && !errors.Is(err, ErrLocked) {
			t.Errorf("%q, %s: Update: %v", test.text, test.age, err)
		}
		if !test.stale && tree(t, s.folder+"/.git/refs") != before {
			t.Error("an update behind a lock")
		}
		if _, err := os.Lstat(lock); test.stale && err == nil {
			t.Error("the lock stays")
		}
		os.Remove(lock)
	}
	s.sound(t, true)
}

// TestLockedByGit has a real git at work, whose editor waits, for longer than a lock may
// be forgotten.
func TestLockedByGit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc")
	}
	s := newScene(t, "sha1")
	write(t, s.folder+"/a.txt", "mine\n")
	cmd := exec.Command("git", "-C", s.folder, "commit", "-a")
	cmd.Env = append(environ(), "GIT_EDITOR=sleep 60; true")
	must(t, cmd.Start())
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	lock := s.folder + "/.git/index.lock"
	for range 500 {
		if _, err := os.Lstat(lock); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	at := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(lock, at, at))
	l, ok := s.c.Locked()
	// This git was started by this very process: it does not count for us, and would for
	// another. So it is looked for from a child's side.
	if !ok || l.Alive {
		t.Errorf("our own child counts: %+v", l)
	}
	probe := exec.Command(os.Args[0])
	probe.Env = append(os.Environ(), "CLONE_TEST_LOCKED="+s.folder)
	out, err := probe.CombinedOutput()
	if err != nil || string(out) != "alive true stale false\n" {
		t.Errorf("another process sees: %s %v", out, err)
	}
}

// TestHold lets many try at once.
func TestHold(t *testing.T) {
	s := newScene(t, "sha1")
	var wg sync.WaitGroup
	var inside, most, got atomic.Int32
	for range 8 {
		wg.Go(func() {
			c, err := Open(s.folder)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range 40 {
				release, err := c.hold()
				if err != nil {
					if !errors.Is(err, ErrLocked) {
						t.Error(err)
					}
					continue
				}
				got.Add(1)
				most.Store(max(most.Load(), inside.Add(1)))
				time.Sleep(time.Millisecond)
				inside.Add(-1)
				release()
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 || got.Load() < 8 {
		t.Errorf("%d at once, %d in all", most.Load(), got.Load())
	}
	for _, name := range []string{"index.lock", "index.lock.daypass", "index.lock.left"} {
		if _, err := os.Lstat(s.folder + "/.git/" + name); err == nil {
			t.Errorf("%s stays", name)
		}
	}
}

// TestRefLocks waits for a ref's lock, and gives up on one that lasts.
func TestRefLocks(t *testing.T) {
	s := newScene(t, "sha1")
	u := s.update(t, s.advance(t, "four\n"))
	lock := s.folder + "/.git/refs/heads/main.lock"
	write(t, lock, "")
	if err := s.c.Update(u); !errors.Is(err, ErrLocked) {
		t.Errorf("Update: %v", err)
	}
	if _, err := os.Lstat(lock); err != nil {
		t.Error("another's lock is gone")
	}
	aged(t, lock, "", time.Hour)
	must(t, s.c.Update(u))
	s.sound(t, true)
	u = s.update(t, s.advance(t, "five\n"))
	write(t, lock, "")
	go func() { time.Sleep(200 * time.Millisecond); os.Remove(lock) }()
	must(t, s.c.Update(u))
	s.sound(t, true)
}
