package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/store"
)

func (w *world) device(t testing.TB, code string) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		return tx.PutDevice(store.Device{Device: "dev-" + code, User: code, Label: "laptop", From: "192.0.2.7", Limits: `{"hosts":["github.com"]}`,
			Until: w.now().Add(10 * time.Minute), Person: 1, Decided: "yes"}) // which it must not take over
	})
}

func (w *world) decide(t testing.TB, code string, person int64, yes, want bool) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		ok, err := tx.DecideDevice(code, person, yes, `{"hosts":[]}`)
		if ok != want {
			t.Errorf("%s: decided %v, want %v", code, ok, want)
		}
		return err
	})
}

func (w *world) take(t testing.TB, code, want string) (d store.Device) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		var state string
		var err error
		if d, state, err = tx.TakeDevice(code); state != want {
			t.Errorf("%s is %q, want %q", code, state, want)
		}
		return err
	})
	return d
}

func devices(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	now := time.Now()
	w.now = func() time.Time { return now }
	w.device(t, "AAAA")
	d, ok, err := w.open(t).DeviceByUser(t.Context(), "AAAA")
	if err != nil || !ok || d.Label != "laptop" || d.From != "192.0.2.7" || d.Limits != `{"hosts":["github.com"]}` || d.Person != 0 || d.Decided != "" || d.Device != "" || d.User != "" {
		t.Errorf("%+v, %v, %v", d, ok, err)
	}
	for _, code := range []string{"", "aaaa", "dev-AAAA", "\x00"} {
		if _, ok, err := w.db.DeviceByUser(t.Context(), code); ok || err != nil {
			t.Errorf("%q: %v, %v", code, ok, err)
		}
	}
	err = w.db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.PutDevice(store.Device{Device: "another", User: "AAAA", Until: now.Add(time.Minute)})
	})
	if !errors.Is(err, store.ErrTaken) {
		t.Errorf("a code for two: %v", err)
	}
	w.take(t, "dev-AAAA", store.DevicePending)
	now = now.Add(4 * time.Second)
	w.take(t, "dev-AAAA", store.DeviceSlow)
	now = now.Add(4 * time.Second) // from the last question, not the first
	w.take(t, "dev-AAAA", store.DeviceSlow)
	now = now.Add(5 * time.Second)
	w.take(t, "dev-AAAA", store.DevicePending)
	w.take(t, "AAAA", store.DeviceGone) // the code that people type is no secret
	w.decide(t, "AAAA", alice.ID, true, true)
	w.decide(t, "AAAA", alice.ID, false, false)
	got := w.take(t, "dev-AAAA", store.DeviceYes)
	if got.Person != alice.ID || got.Limits != `{"hosts":[]}` || got.Label != "laptop" {
		t.Errorf("took %+v", got)
	}
	w.take(t, "dev-AAAA", store.DeviceGone)
	w.device(t, "BBBB")
	w.decide(t, "BBBB", alice.ID, false, true)
	w.take(t, "dev-BBBB", store.DeviceNo)
	w.take(t, "dev-BBBB", store.DeviceNo)
	w.decide(t, "CCCC", alice.ID, true, false)
	err = w.db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.DecideDevice("BBBB", 4711, true, ""); return err })
	if !errors.Is(err, store.ErrNone) {
		t.Errorf("nobody decided: %v", err)
	}
	// A mint that fails leaves the yes where it was.
	w.device(t, "DDDD")
	w.decide(t, "DDDD", alice.ID, true, true)
	boom := errors.New("boom")
	if err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.TakeDevice("dev-DDDD")
		return errors.Join(err, boom)
	}); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	now = now.Add(10 * time.Minute)
	w.take(t, "dev-DDDD", store.DeviceGone) // over
	if _, ok, err := w.db.DeviceByUser(t.Context(), "DDDD"); ok || err != nil {
		t.Errorf("over: %v, %v", ok, err)
	}
	w.device(t, "EEEE")
	w.decide(t, "EEEE", alice.ID, true, true)
	w.write(t, func(tx *store.Tx) error { return cutPerson(tx, alice.ID, now, "root") })
	w.take(t, "dev-EEEE", store.DeviceGone)
}

// devicesOnce: of many that ask at once, one gets it; of many that decide, one does.
func devicesOnce(t *testing.T, w *world) {
	alice := w.person(t, "alice")
	w.device(t, "AAAA")
	dbs := []*store.DB{w.db, w.open(t)}
	race := func(op func(*store.Tx) (bool, error)) (won int) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				var ok bool
				err := dbs[i%2].Write(t.Context(), func(tx *store.Tx) (err error) {
					ok, err = op(tx)
					return err
				})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if ok {
					won++
				}
			})
		}
		all.Wait()
		return won
	}
	if n := race(func(tx *store.Tx) (bool, error) { return tx.DecideDevice("AAAA", alice.ID, true, "") }); n != 1 {
		t.Errorf("%d decided", n)
	}
	if n := race(func(tx *store.Tx) (bool, error) {
		_, state, err := tx.TakeDevice("dev-AAAA")
		return state == store.DeviceYes, err
	}); n != 1 {
		t.Errorf("%d took it", n)
	}
}

// forgedDevices: who can write the database and has no key says yes to nothing.
func forgedDevices(t *testing.T, w *world) {
	alice, bob := w.person(t, "alice"), w.person(t, "bob")
	for _, c := range []struct {
		code, set string
		args      []any
	}{
		{"AAAA", "decided = 'yes', person = $1", []any{bob.ID}},
		{"BBBB", "limits = '{}'", nil},
		{"CCCC", "until = until + 1000000", nil},
		{"DDDD", "label = 'yours'", nil},
		{"EEEE", "key_id = 'chain-00000000'", nil},
	} {
		w.device(t, c.code)
		w.raw(t, `UPDATE devices SET `+c.set+` WHERE device = (SELECT min(device) FROM devices)`, c.args...)
		if _, _, err := w.db.DeviceByUser(t.Context(), c.code); !errors.Is(err, store.ErrSeal) {
			t.Errorf("%s: shown with %v", c.set, err)
		}
		for what, op := range map[string]func(*store.Tx) error{
			"taken": func(tx *store.Tx) error { _, _, err := tx.TakeDevice("dev-" + c.code); return err },
		} {
			if err := w.db.Write(t.Context(), op); !errors.Is(err, store.ErrSeal) {
				t.Errorf("%s: %s with %v", c.set, what, err)
			}
		}
		if c.code != "AAAA" { // which says that somebody has decided
			err := w.db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.DecideDevice(c.code, alice.ID, true, ""); return err })
			if !errors.Is(err, store.ErrSeal) {
				t.Errorf("%s: decided with %v", c.set, err)
			}
		}
		w.raw(t, `DELETE FROM devices`)
	}
	// One person's yes is not another device's.
	w.device(t, "FFFF")
	w.device(t, "GGGG")
	w.decide(t, "FFFF", alice.ID, true, true)
	for _, column := range []string{"created", "until", "person", "limits", "mac", "decided"} { // the last by which they are told apart
		w.raw(t, `UPDATE devices SET `+column+` = (SELECT x.`+column+` FROM devices x WHERE x.decided = 'yes') WHERE decided = ''`)
	}
	taken := func(what, code string) {
		t.Helper()
		err := w.db.Write(t.Context(), func(tx *store.Tx) error { _, _, err := tx.TakeDevice(code); return err })
		if !errors.Is(err, store.ErrSeal) {
			t.Errorf("%s: %v", what, err)
		}
	}
	taken("a yes for another", "dev-GGGG")
	w.raw(t, `UPDATE devices SET person = $1`, bob.ID)
	taken("a yes of another", "dev-FFFF")
}
