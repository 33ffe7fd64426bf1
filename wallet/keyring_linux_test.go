package wallet

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// testRing opens a keyring with descriptions of the test's own and takes its
// keys out again.
func testRing(t *testing.T) Options {
	t.Helper()
	o := Options{Getenv: env(nil), UID: os.Geteuid(), Now: time.Now, sharedMemory: t.TempDir(),
		fileSystem: func(int) (fileSystemKind, error) { return memory, nil },
		KeyPrefix:  "daypass-test-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36) + ":"}
	k, ok := newKeyring(o)
	if !ok {
		t.Skip("no persistent keyring here")
	}
	t.Cleanup(func() {
		if err := k.save(func(b *book) error { *b = book{}; return nil }); err != nil {
			t.Error(err)
		}
		if has, err := k.has(); has || err != nil {
			t.Errorf("keys are left: %v, %v", has, err)
		}
	})
	return o
}

func fresh(repo string, life time.Duration, change ...func(*Entry)) Entry {
	e := entry(repo, change...)
	e.Credential.Scope.Until = time.Now().Add(life)
	return e
}

func TestKeyring(t *testing.T) {
	o := testRing(t)
	w := mustOpen(t, o)
	mustPut(t, w, fresh("", time.Hour), fresh("o/a", time.Hour), fresh("o/b", 2*time.Second))
	if p := w.Place(); p.Kind != Keyring {
		t.Fatalf("Place = %+v, want the keyring", p)
	}
	w = mustOpen(t, o)
	for _, repo := range []string{"", "o/a", "o/b"} {
		if got := token(t, w, want(repo)); got != entry(repo).Credential.Token.Reveal() {
			t.Errorf("found %q for %q", got, repo)
		}
	}
	mustPut(t, w, fresh("o/a", time.Hour, func(e *Entry) { e.Credential.Token = daypass.NewSecret("second") }))
	if got := token(t, w, want("o/a")); got != "second" {
		t.Errorf("found %q, want the second", got)
	}
	time.Sleep(3100 * time.Millisecond)
	k, _ := newKeyring(o)
	err := k.attached(func(ring int) error {
		keys, err := k.keys(ring)
		for _, key := range keys {
			if strings.Contains(string(key.payload), entry("o/b").Credential.Token.Reveal()) {
				t.Error("the kernel still gives a key that has timed out")
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if gone, err := w.Remove(func(Entry) bool { return true }, LogOut); err != nil || len(gone) != 2 {
		t.Errorf("Remove = %d entries, %v; want 2", len(gone), err)
	}
	entries, ends, err := w.List()
	if err != nil || len(entries) != 0 || len(ends) != 1 || ends[0].Reason != LogOut {
		t.Errorf("List = %+v, %+v, %v; want only the end", entries, ends, err)
	}
}

// What timed out is told of, although the kernel took the key away.
func TestKeyringRemembersEnds(t *testing.T) {
	w := mustOpen(t, testRing(t))
	mustPut(t, w, fresh("o/b", 1500*time.Millisecond))
	if _, ends, _ := w.List(); len(ends) != 0 {
		t.Errorf("ends before the end: %+v", ends)
	}
	time.Sleep(2600 * time.Millisecond)
	entries, ends, err := w.List()
	if err != nil || len(entries) != 0 || len(ends) != 1 || ends[0].Reason != Expired {
		t.Errorf("List = %+v, %+v, %v; want one end", entries, ends, err)
	}
}

// Saves of many processes lose nothing, although the kernel has no lock for this.
func TestKeyringSavesAreExclusive(t *testing.T) {
	o := testRing(t)
	mustPut(t, mustOpen(t, o), fresh("o/a", time.Hour))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			w, err := Open(o)
			if err == nil {
				_, err = w.Update(func(Entry) bool { return true }, func(e *Entry) {
					e.Name += "x"
					time.Sleep(2 * time.Millisecond)
				})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	entries, _, err := mustOpen(t, o).List()
	if err != nil || len(entries) != 1 || len(entries[0].Name) != 20 {
		t.Errorf("List = %d entries, %v; want all 20 changes in one", len(entries), err)
	}
}

// With no place for a lock there is still a keyring.
func TestKeyringWithoutLock(t *testing.T) {
	o := testRing(t)
	o.fileSystem = func(int) (fileSystemKind, error) { return disk, nil }
	mustPut(t, mustOpen(t, o), fresh("o/a", time.Hour))
	if got := token(t, mustOpen(t, o), want("o/a")); got == "" {
		t.Error("nothing is kept")
	}
}

// A key of an entry whose agreed end is over stays with its refresh token.
func TestKeyringKeepsRenewals(t *testing.T) {
	at := time.Now()
	o := testRing(t)
	o.Now = func() time.Time { return at }
	w := mustOpen(t, o)
	mustPut(t, w, fresh("o/a", time.Hour, func(e *Entry) {
		e.Refresh, e.RenewUntil = daypass.NewSecret("ghr_x"), at.Add(2*time.Hour)
	}))
	at = at.Add(48 * time.Hour)
	entries, ends, err := w.List()
	if err != nil || len(entries) != 1 || len(ends) != 1 || ends[0].Reason != Expired || token(t, w, want("o/a")) != "" {
		t.Errorf("List = %d entries, %+v, %v; want the entry, and its end told", len(entries), ends, err)
	}
}

// Others of the same user see that the keys exist and cannot read them unless
// they hold the keyring.
func TestKeyringPermissions(t *testing.T) {
	o := testRing(t)
	mustPut(t, mustOpen(t, o), fresh("o/a", time.Hour))
	b, err := os.ReadFile("/proc/keys")
	if err != nil {
		t.Skip(err)
	}
	found := 0
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, o.KeyPrefix) {
			found++
			if !strings.Contains(line, " 3f010000 ") || strings.Contains(line, " perm ") {
				t.Errorf("key without time-out or with other permissions: %s", line)
			}
		}
	}
	if found == 0 {
		t.Error("no key is listed")
	}
}
