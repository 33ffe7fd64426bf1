package wallet

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

// renewable is an entry that holds a refresh token.
func renewable(e *Entry) {
	e.Refresh, e.RenewUntil = daypass.NewSecret("ghr_first"), now.Add(time.Hour)
}

// same matches what was read before and nothing that came since.
func same(old Entry) func(Entry) bool {
	return func(e Entry) bool { return e.SameKey(old) && e.SameSecrets(old) }
}

func TestUpdate(t *testing.T) {
	renew := func(e *Entry) {
		e.Credential.Token, e.Refresh = daypass.NewSecret("renewed"), daypass.NewSecret("ghr_second")
	}
	old := entry("o/a", renewable)
	for _, c := range []struct {
		name    string
		between func(w *Wallet) error // what another process does meanwhile
		changed bool
		out     string
	}{
		{"nothing", func(*Wallet) error { return nil }, true, "renewed"},
		{"a logout", func(w *Wallet) error {
			_, err := w.Remove(old.SameKey, LogOut)
			return err
		}, false, ""},
		{"a login", func(w *Wallet) error {
			return w.Put(entry("o/a", func(e *Entry) { e.Credential.Token = daypass.NewSecret("login") }))
		}, false, "login"},
		{"a renewal of the refresh token alone", func(w *Wallet) error {
			return w.Put(entry("o/a", renewable, func(e *Entry) { e.Refresh = daypass.NewSecret("ghr_other") }))
		}, false, old.Credential.Token.Reveal()},
	} {
		o := named(t.TempDir() + "/w")
		w := mustOpen(t, o)
		mustPut(t, w, old, entry("o/b"))
		if err := c.between(mustOpen(t, o)); err != nil {
			t.Fatal(err)
		}
		changed, err := w.Update(same(old), renew)
		if got := token(t, w, want("o/a")); changed != c.changed || err != nil || got != c.out {
			t.Errorf("after %s: Update = %v, %v and then %q; want %v and %q", c.name, changed, err, got, c.changed, c.out)
		}
		if got := token(t, w, want("o/b")); got != entry("o/b").Credential.Token.Reveal() {
			t.Errorf("after %s: the other entry is %q", c.name, got)
		}
	}
}

func TestUpdateOfAnEmptyWallet(t *testing.T) {
	if changed, err := mustOpen(t, named(t.TempDir()+"/w")).Update(func(Entry) bool { return true }, func(*Entry) {}); changed || err != nil {
		t.Errorf("Update = %v, %v; want nothing", changed, err)
	}
}

// What may not be kept leaves the wallet as it was; a spent access token beside
// a renewal may.
func TestUpdateValidates(t *testing.T) {
	w := mustOpen(t, named(t.TempDir()+"/w"))
	old := entry("o/a", renewable)
	mustPut(t, w, old, entry("o/b"))
	for name, change := range map[string]func(*Entry){
		"a tab":   func(e *Entry) { e.Credential.Account = "a\tb" },
		"expired": func(e *Entry) { *e = e.WithoutRenewal(); e.Credential.Scope.Until = now },
	} {
		changed, err := w.Update(same(old), change)
		if got := token(t, w, want("o/a")); changed || !errors.Is(err, ErrInvalid) || got != old.Credential.Token.Reveal() {
			t.Errorf("%s: Update = %v, %v and then %q; want ErrInvalid and no change", name, changed, err, got)
		}
	}
	changed, err := w.Update(same(old), func(e *Entry) { e.Credential.Scope.Until = now })
	entries, _, _ := w.List()
	if !changed || err != nil || len(entries) != 2 || token(t, w, want("o/a")) != "" {
		t.Errorf("Update = %v, %v with %d entries; want the renewal kept and no answer", changed, err, len(entries))
	}
}

// A change of key takes the place of what has the key already.
func TestUpdateOfAKey(t *testing.T) {
	w := mustOpen(t, named(t.TempDir()+"/w"))
	a, b := entry("o/a"), entry("o/b")
	mustPut(t, w, a, b, entry("o/c"))
	changed, err := w.Update(b.SameKey, func(e *Entry) { e.Credential.Scope.Repos = a.Credential.Scope.Repos })
	entries, _, _ := w.List()
	if got := token(t, w, want("o/a")); !changed || err != nil || len(entries) != 2 || got != b.Credential.Token.Reveal() {
		t.Errorf("Update = %v, %v with %d entries, then %q", changed, err, len(entries), got)
	}
}

// Updates of many processes lose none.
func TestUpdateIsExclusive(t *testing.T) {
	o := named(t.TempDir() + "/w")
	mustPut(t, mustOpen(t, o), entry("o/a"))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			w, err := Open(o)
			if err == nil {
				_, err = w.Update(func(Entry) bool { return true }, func(e *Entry) { e.Name += "x" })
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	entries, _, err := mustOpen(t, o).List()
	if err != nil || len(entries) != 1 || len(entries[0].Name) != 20 {
		t.Errorf("List = %+v, %v; want all 20 changes", entries, err)
	}
}

func TestPutUnless(t *testing.T) {
	w := mustOpen(t, named(t.TempDir()+"/w"))
	second := entry("o/a", func(e *Entry) { e.Credential.Token = daypass.NewSecret("second") })
	yes, no := func(Entry) bool { return true }, func(Entry) bool { return false }
	first := entry("o/a").Credential.Token.Reveal()
	for _, c := range []struct {
		name   string
		e      Entry
		keep   func(Entry) bool
		stored bool
		out    string
	}{
		{"nothing there", entry("o/a"), yes, true, first},
		{"kept", second, yes, false, first},
		{"not kept", second, no, true, "second"},
		{"another key", entry("o/b"), yes, true, "second"},
	} {
		stored, err := w.PutUnless(c.e, c.keep)
		if got := token(t, w, want("o/a")); stored != c.stored || err != nil || got != c.out {
			t.Errorf("%s: PutUnless = %v, %v and then %q; want %v and %q", c.name, stored, err, got, c.stored, c.out)
		}
	}
	if stored, err := w.PutUnless(entry("", func(e *Entry) { e.Authority = "" }), no); stored || !errors.Is(err, ErrInvalid) {
		t.Errorf("PutUnless of what is not valid = %v, %v", stored, err)
	}
}
