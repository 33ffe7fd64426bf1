package wallet

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
)

const month = 30 * 24 * time.Hour

func TestKeepUntil(t *testing.T) {
	live := func(e *Entry) { e.Refresh = daypass.NewSecret("ghr_x") }
	hours := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour) }
	for _, c := range []struct {
		name      string
		change    func(*Entry)
		keep, use time.Time
	}{
		{"no renewal", func(*Entry) {}, hours(8), hours(8)},
		{"renewed elsewhere", func(e *Entry) { e.RenewUntil = hours(12) }, hours(12), hours(12)},
		{"agreed end first", func(e *Entry) { e.RenewUntil = hours(4) }, hours(8), hours(4)},
		{"refresh token", func(e *Entry) { live(e); e.RenewUntil, e.RefreshUntil = hours(12), hours(999) }, hours(999), hours(12)},
		{"of unknown end", func(e *Entry) { live(e); e.RenewUntil = hours(12) }, hours(12).Add(month), hours(12)},
		{"that was never agreed on", live, hours(8).Add(month), hours(8)},
		{"that ends first", func(e *Entry) { live(e); e.RenewUntil, e.RefreshUntil = hours(12), hours(10) }, hours(10), hours(10)},
		{"of an endless credential", func(e *Entry) { live(e); e.Credential.Scope.Until = daypass.Forever }, daypass.Forever, daypass.Forever},
	} {
		e := entry("o/a", c.change)
		if keep, use := e.KeepUntil(), e.useEnd(); !keep.Equal(c.keep) || !use.Equal(c.use) {
			t.Errorf("%s: kept until %v and used until %v, want %v and %v", c.name, keep, use, c.keep, c.use)
		}
	}
}

// After the agreed end nothing is answered, although the token may be good for
// longer, and the refresh token stays until the host lets it end.
func TestOver(t *testing.T) {
	at := now
	o := named(t.TempDir() + "/w")
	o.Now = func() time.Time { return at }
	w := mustOpen(t, o)
	e := entry("o/a", func(e *Entry) {
		e.Refresh, e.RefreshUntil, e.RenewUntil = daypass.NewSecret("ghr_x"), now.Add(6*month), now.Add(4*time.Hour)
	})
	mustPut(t, w, e)
	for _, c := range []struct {
		after  time.Duration
		answer bool
		kept   int
	}{
		{4*time.Hour - time.Second, true, 1}, {4 * time.Hour, false, 1}, {48 * time.Hour, false, 1}, {5 * month, false, 1}, {6 * month, false, 0},
	} {
		at = now.Add(c.after)
		if err := w.Ready(); err != nil { // settles what is written
			t.Fatal(err)
		}
		entries, _, err := w.List()
		wanted := want("o/a")
		if got := token(t, w, wanted) != ""; got != c.answer || len(entries) != c.kept || err != nil {
			t.Errorf("after %v: answers %v with %d entries, %v; want %v and %d", c.after, got, len(entries), err, c.answer, c.kept)
		}
		if got := Narrowest(entries, &wanted, at) >= 0; got != c.answer {
			t.Errorf("after %v: Narrowest answers %v", c.after, got)
		}
	}
}

// Whoever clears up later tells when access ended, not when they came by.
func TestEndOfTheAgreedTime(t *testing.T) {
	at := now
	o := named(t.TempDir() + "/w")
	o.Now = func() time.Time { return at }
	w := mustOpen(t, o)
	mustPut(t, w, entry("o/a", renewable))
	at = now.Add(30 * time.Hour)
	if gone, err := w.Remove(func(Entry) bool { return true }, Expired); err != nil || len(gone) != 1 {
		t.Fatalf("Remove = %d entries, %v", len(gone), err)
	}
	if _, ends, _ := w.List(); len(ends) != 1 || !ends[0].At.Equal(now.Add(time.Hour)) {
		t.Errorf("ends = %+v, want one at the agreed end", ends)
	}
}

// A copy is good for no longer than what it is a copy of.
func TestCopiesEndAsAgreed(t *testing.T) {
	out, err := Decode(Encode([]Entry{entry("o/a", renewable)}))
	if err != nil || len(out) != 1 || !out[0].Credential.Scope.Until.Equal(now.Add(time.Hour)) {
		t.Errorf("Decode(Encode) = %+v, %v; want the agreed end", out, err)
	}
}

// What makes room is never a refresh token: nobody could end it any more.
func TestEvictionSparesRenewals(t *testing.T) {
	var b book
	number := func(i int) func(*Entry) {
		return func(e *Entry) {
			e.Credential.Scope.All, e.Credential.Scope.Repos = false, []daypass.Repo{{ID: int64(i + 1)}}
		}
	}
	for i := range maxEntries - 1 {
		if err := b.put(entry("", renewable, number(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(b.put(entry("o/a")), b.put(entry("o/b"))); err != nil {
		t.Fatal(err)
	}
	if n := len(b.entries); n != maxEntries || !b.entries[n-1].SameKey(entry("o/b")) || !b.entries[n-2].SameKey(entry("", number(n-2))) {
		t.Errorf("%d entries, want %d and o/a gone", n, maxEntries)
	}
	if err := b.put(entry("", renewable, number(maxEntries))); err != nil {
		t.Errorf("put = %v, want o/b to make room", err)
	}
	if err := b.put(entry("o/c")); !errors.Is(err, ErrFull) {
		t.Errorf("put = %v, want ErrFull", err)
	}
}

// A file that has no room says so and is left as it was.
func TestFullFile(t *testing.T) {
	w := mustOpen(t, named(t.TempDir()+"/w"))
	long := daypass.NewSecret(strings.Repeat("x", maxEntry-1024))
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = w.Put(entry("", renewable, func(e *Entry) {
			e.Credential.Token = long
			e.Credential.Scope.All, e.Credential.Scope.Repos = false, []daypass.Repo{{ID: int64(n + 1)}}
		}))
	}
	entries, _, lerr := w.List()
	if !errors.Is(err, ErrFull) || lerr != nil || len(entries) != n-1 {
		t.Errorf("put %d: %v; then %d entries, %v; want ErrFull and all that were put", n, err, len(entries), lerr)
	}
}
