package storetest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

func folder(id string) daypass.Source {
	return daypass.Source{Kind: daypass.KindDrive, Host: "drive.google.com", ID: id}
}

func (w *world) link(t testing.TB, maker int64, name string) store.Link {
	t.Helper()
	var l store.Link
	w.write(t, func(tx *store.Tx) (err error) {
		l, err = tx.PutLink(store.Link{Hub: "main", Name: name, Maker: maker, Title: "Lab 1", Source: folder("AbC"), As: "hub:ph142", Repo: 4, Account: daypass.Account{ID: 7, Login: "octo"}, Folder: "lab1",
			Open: "start here.ipynb", App: "lab", Audience: "ph142", Accept: "https://classroom.github.com/a/one", SourceTitle: true, Until: w.now().Add(time.Hour)})
		return err
	})
	return l
}

func links(t *testing.T, w *world) {
	jo, bo := w.person(t, "jo"), w.person(t, "bo")
	l := w.link(t, jo.ID, "ph142-lab1")
	got := must(w.db.Links(t.Context(), store.LinkFilter{Hub: "main", Name: "ph142-lab1"}))(t)
	if len(got) != 1 || got[0].Source != folder("AbC") || got[0].Title != "Lab 1" || got[0].Repo != 4 || got[0].Account.Login != "octo" || got[0].Account.ID != 7 || got[0].Open != "start here.ipynb" || got[0].Accept != "https://classroom.github.com/a/one" || !got[0].SourceTitle || !got[0].Until.Equal(l.Until) || got[0].State(w.now()) != store.LinkLive {
		t.Fatalf("%+v", got)
	}
	for _, c := range []struct {
		f    store.LinkFilter
		want int
	}{
		{store.LinkFilter{}, 1}, {store.LinkFilter{Maker: bo.ID}, 0}, {store.LinkFilter{Maker: jo.ID}, 1}, {store.LinkFilter{Hub: "other"}, 0},
		{store.LinkFilter{Name: "ph142-lab"}, 0}, {store.LinkFilter{Name: "a\x00"}, 0}, {store.LinkFilter{LiveAt: w.now()}, 1}, {store.LinkFilter{LiveAt: w.now().Add(2 * time.Hour)}, 0},
	} {
		if got := must(w.db.Links(t.Context(), c.f))(t); len(got) != c.want {
			t.Errorf("%+v finds %+v", c.f, got)
		}
	}
	put := func(maker int64, name string) error {
		return w.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.PutLink(store.Link{Hub: "main", Name: name, Maker: maker, Source: folder("x"), Until: w.now().Add(time.Hour)})
			return err
		})
	}
	for _, maker := range []int64{bo.ID, jo.ID} {
		if err := put(maker, l.Name); !errors.Is(err, store.ErrTaken) {
			t.Errorf("a name that is in use: %v", err)
		}
	}
	if err := put(999, "nobodys"); !errors.Is(err, store.ErrNone) {
		t.Errorf("a link of nobody's: %v", err)
	}
	linkChanges(t, w, l, bo.ID)
	linkEnds(t, w, l, put, bo.ID)
}

func linkChanges(t *testing.T, w *world, l store.Link, other int64) {
	t.Helper()
	change := func(l store.Link, was time.Time) (now store.Link, err error) {
		err = w.db.Write(t.Context(), func(tx *store.Tx) (err error) { now, err = tx.ChangeLink(l, was); return err })
		return now, err
	}
	next := l
	next.Title, next.Paused, next.Name, next.Hub = "Lab 2", true, "another-name", "other"
	next.Accept, next.SourceTitle = "https://classroom.github.com/a/two", false
	now, err := change(next, l.Changed)
	if err != nil || now.Name != l.Name || now.Hub != "main" || !now.Changed.After(l.Changed) {
		t.Fatalf("%+v, %v", now, err)
	}
	if got := must(w.db.Links(t.Context(), store.LinkFilter{ID: l.ID}))(t); len(got) != 1 || got[0].Title != "Lab 2" || got[0].Accept != next.Accept || got[0].SourceTitle || got[0].State(w.now()) != store.LinkPaused {
		t.Fatalf("%+v", got)
	}
	if _, err := change(next, l.Changed); !errors.Is(err, store.ErrNone) {
		t.Errorf("two who began with the same row both change it: %v", err)
	}
	stolen := now
	stolen.Maker = other
	if _, err := change(stolen, now.Changed); !errors.Is(err, store.ErrNone) {
		t.Errorf("somebody else takes it over: %v", err)
	}
	w.write(t, func(tx *store.Tx) error {
		return errors.Join(tx.CountPull(l.ID, other), tx.CountPull(l.ID, other), tx.CountRefusal(l.ID, "DP-815"))
	})
	if got := must(w.db.Links(t.Context(), store.LinkFilter{ID: l.ID}))(t); len(got) != 1 || got[0].Pulls != 2 || got[0].Failures != 1 || got[0].Failure != "DP-815" || got[0].Pulled.IsZero() || got[0].Failed.IsZero() {
		t.Errorf("counted: %+v", got)
	}
	linkBreaks(t, w, l, other)
}

// linkBreaks: a pull that did not arrive is no success any more. Nobody takes away more
// than was given to them, nor what was given long ago.
func linkBreaks(t *testing.T, w *world, l store.Link, other int64) {
	t.Helper()
	broke := func(id, person int64, want bool) {
		t.Helper()
		w.write(t, func(tx *store.Tx) error {
			ok, err := tx.CountBroken(id, person, "DP-331")
			if ok != want {
				t.Errorf("counted as broken: %v, want %v", ok, want)
			}
			return err
		})
	}
	counted := func(pulls, failures int64) {
		t.Helper()
		if got := must(w.db.Links(t.Context(), store.LinkFilter{ID: l.ID}))(t); len(got) != 1 || got[0].Pulls != pulls || got[0].Failures != failures {
			t.Errorf("counted: %+v, want %d, %d", got, pulls, failures)
		}
	}
	broke(l.ID, l.Maker, false) // it was given to another
	broke(l.ID+1000, other, false)
	broke(l.ID, other, true)
	counted(1, 2)
	broke(l.ID, other, true)
	broke(l.ID, other, false)
	counted(0, 3)
	w.write(t, func(tx *store.Tx) error { return tx.CountPull(l.ID, other) })
	w.raw(t, `UPDATE link_pulls SET at = at - 90000000000`) // 25 hours
	broke(l.ID, other, false)
	counted(1, 3)
}

func linkEnds(t *testing.T, w *world, l store.Link, put func(int64, string) error, other int64) {
	t.Helper()
	end := func(id int64) (ok bool) {
		w.write(t, func(tx *store.Tx) (err error) {
			ok, err = tx.EndSourceLink(id, w.now(), "the course is over")
			return err
		})
		return ok
	}
	if !end(l.ID) || end(l.ID) {
		t.Error("a link ends once")
	}
	if err := put(other, l.Name); !errors.Is(err, store.ErrTaken) {
		t.Errorf("somebody takes over the name of a link that ended: %v", err)
	}
	if err := put(l.Maker, l.Name); !errors.Is(err, store.ErrTaken) {
		t.Errorf("its maker uses the name for another link: %v", err)
	}
	if got := must(w.db.Links(t.Context(), store.LinkFilter{ID: l.ID}))(t); len(got) != 1 || got[0].State(w.now()) != store.LinkGone {
		t.Errorf("the one that ended: %+v", got)
	}
	w.link(t, l.Maker, "second")
	w.write(t, func(tx *store.Tx) error { return cutPerson(tx, l.Maker, w.now(), "root") })
	for _, got := range must(w.db.Links(t.Context(), store.LinkFilter{Maker: l.Maker}))(t) {
		if got.State(w.now()) != store.LinkGone || got.Why == "" {
			t.Errorf("whose maker was cut off: %+v", got)
		}
	}
	w.write(t, func(tx *store.Tx) error { return tx.ErasePerson(l.Maker) })
	for _, name := range []string{l.Name, "second"} {
		got := must(w.db.Links(t.Context(), store.LinkFilter{Name: name}))(t)
		if len(got) != 1 || got[0].Maker != 0 || got[0].Title != "" || got[0].Accept != "" || got[0].Source != (daypass.Source{}) || got[0].State(w.now()) != store.LinkGone {
			t.Errorf("of somebody who was erased is left: %+v", got)
		}
		if err := put(other, name); !errors.Is(err, store.ErrTaken) {
			t.Errorf("their name is taken over: %v", err)
		}
	}
}

// forgedLinks: who can write the store and has no key opens nothing to anybody.
func forgedLinks(t *testing.T, w *world) {
	jo := w.person(t, "jo")
	for _, c := range []struct{ name, set string }{
		{"source", `source = 'drive:drive.google.com/other'`}, {"as", `read_as = 'hub:other'`}, {"audience", `audience = '*'`}, {"until", `until = until + 1`},
		{"maker", `maker = maker + 1`}, {"paused", `paused = 1`}, {"renamed", `name = 'other-name'`}, {"repo", `repo = 5`}, {"account", `account = 9`}, {"login", `login = 'x'`}, {"unended", `ended = 0`},
		{"spelled", `source = 'drive:drive.google.com/%41bC'`}, {"folder", `folder = '..'`}, {"template", `template = 1`},
		{"accept", `accept = 'https://evil.example/a'`}, {"unaccept", `accept = ''`}, {"titled", `from_source = 0`}, {"as-before", `accept = '', from_source = 0`},
	} {
		l := w.link(t, jo.ID, "link-"+c.name)
		if c.name == "unended" {
			w.write(t, func(tx *store.Tx) error { _, err := tx.EndSourceLink(l.ID, w.now(), ""); return err })
		}
		w.raw(t, `UPDATE content_links SET `+c.set+` WHERE id = $1`, l.ID)
		if got := must(w.db.Links(t.Context(), store.LinkFilter{ID: l.ID}))(t); len(got) != 0 {
			t.Errorf("%s: counts as %+v", c.name, got)
		}
		err := w.db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.ChangeLink(l, l.Changed); return err })
		if !errors.Is(err, store.ErrNone) {
			t.Errorf("%s: a change makes it good again: %v", c.name, err)
		}
	}
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.PutEnrolment(store.Enrolment{Hub: "main", Source: folder("one"), Account: "ph142", By: "root"})
		return err
	})
	w.raw(t, `UPDATE enrolments SET account = 'other'`)
	if got := must(w.db.Enrolments(t.Context(), "main"))(t); len(got) != 0 {
		t.Errorf("a forged enrolment counts: %+v", got)
	}
	// Other keys come, and a link stays.
	w.link(t, jo.ID, "stays")
	next := must(w.keys.Rotate(rand.Reader))(t)
	kept, _, err := next.Prune(must(w.db.KeyUse(t.Context()))(t))
	if err != nil {
		t.Fatal(err)
	}
	w.keys = kept
	if got := must(w.open(t).Links(t.Context(), store.LinkFilter{Name: "stays"}))(t); len(got) != 1 {
		t.Errorf("with new keys: %+v", got)
	}
}

func enrolments(t *testing.T, w *world) {
	put := func(id string) error {
		return w.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.PutEnrolment(store.Enrolment{Hub: "main", Source: folder(id), Account: "ph142", By: "root"})
			return err
		})
	}
	if err := errors.Join(put("b"), put("a")); err != nil {
		t.Fatal(err)
	}
	if err := put("a"); !errors.Is(err, store.ErrTaken) {
		t.Errorf("twice: %v", err)
	}
	got := must(w.db.Enrolments(t.Context(), "main"))(t)
	if len(got) != 2 || got[0].Source != folder("a") || got[0].By != "root" || got[0].Created.IsZero() || !got[0].Checked.IsZero() {
		t.Fatalf("%+v", got)
	}
	w.write(t, func(tx *store.Tx) error { return tx.CheckedEnrolment(got[0].ID, "DP-734") })
	if got := must(w.db.Enrolments(t.Context(), "main"))(t); got[0].Checked.IsZero() || got[0].Problem != "DP-734" {
		t.Errorf("checked: %+v", got[0])
	}
	for _, want := range []bool{true, false} {
		w.write(t, func(tx *store.Tx) error {
			ok, err := tx.DropEnrolment("main", folder("a"), "ph142")
			if ok != want {
				t.Errorf("dropped: %v", ok)
			}
			return err
		})
	}
	if got := must(w.db.Enrolments(t.Context(), "main"))(t); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// leases: of many that want one, in two processes, one has it, until it gives it
// back or is over by the database's clock.
func leases(t *testing.T, w *world) {
	other := w.open(t)
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			db := w.db
			if i%2 == 1 {
				db = other
			}
			if ok, err := db.TakeLease(t.Context(), "snapshot", fmt.Sprint("p", i), time.Minute); err != nil {
				t.Error(err)
			} else if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d have it", won.Load())
	}
	take := func(name, owner string, d time.Duration) bool {
		return must(w.db.TakeLease(t.Context(), name, owner, d))(t)
	}
	first := take("another", "me", time.Minute)
	if again := take("another", "me", time.Minute); !first || !again || take("another", "you", time.Minute) {
		t.Error("one has it, who may prolong it")
	}
	if err := errors.Join(w.db.DropLease(t.Context(), "another", "you"), w.db.DropLease(t.Context(), "none", "you")); err != nil {
		t.Fatal(err)
	}
	if take("another", "you", time.Minute) {
		t.Error("somebody else gave it back")
	}
	if err := w.db.DropLease(t.Context(), "another", "me"); err != nil || !take("another", "you", time.Millisecond) {
		t.Errorf("it was given back: %v", err)
	}
	time.Sleep(20 * time.Millisecond)
	if !take("another", "me", time.Minute) {
		t.Error("it is over")
	}
	if _, err := w.db.TakeLease(t.Context(), "", "me", time.Minute); err == nil {
		t.Error("a lease without a name")
	}
}

// linkBackup: links and enrolments come back as they were, and count.
func linkBackup(t *testing.T, w *world) {
	jo := w.person(t, "jo")
	l := w.link(t, jo.ID, "ph142-lab1")
	over := w.link(t, jo.ID, "over")
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.EndSourceLink(over.ID, w.now(), "done")
		_, perr := tx.PutEnrolment(store.Enrolment{Hub: "main", Source: folder("one"), Account: "ph142", By: "root"})
		return errors.Join(err, perr, tx.CountPull(l.ID, jo.ID))
	})
	if _, err := w.db.TakeLease(t.Context(), "snapshot", "me", time.Hour); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := w.db.Export(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	to := *w
	to.url = w.empty(t)
	if done, err := to.open(t).Import(t.Context(), &text); err != nil || done.Links != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	to.db = to.open(t)
	got := must(to.db.Links(t.Context(), store.LinkFilter{}))(t)
	if len(got) != 2 || got[0].Ended.IsZero() || got[1].Name != l.Name || got[1].Pulls != 1 || got[1].Source != l.Source {
		t.Errorf("links: %+v", got)
	}
	if got := must(to.db.Enrolments(t.Context(), "main"))(t); len(got) != 1 {
		t.Errorf("enrolments: %+v", got)
	}
	if !must(to.db.TakeLease(t.Context(), "snapshot", "you", time.Hour))(t) {
		t.Error("a lease of the old store holds in the new one")
	}
	to.link(t, jo.ID, "next") // numbers go on
}

// cutPerson cuts somebody off, whatever links end with that.
func cutPerson(tx *store.Tx, id int64, at time.Time, by string) error {
	_, err := tx.CutPerson(id, at, by)
	return err
}
