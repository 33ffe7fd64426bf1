package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

func (r *rig) device(ask broker.DeviceAsk) broker.DeviceCodes {
	r.t.Helper()
	d, err := r.AskDevice(r.t.Context(), ask)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// take asks with a device's code, and wants a state.
func (r *rig) take(d broker.DeviceCodes, want string) broker.Minted {
	r.t.Helper()
	m, state, err := r.TakeDevice(r.t.Context(), d.Device, "")
	if err != nil || state != want || m.Text.IsZero() == (want == broker.DeviceYes) {
		r.t.Fatalf("%q, %v, want %q", state, err, want)
	}
	return m
}

// TestDeviceFlow: a program without a browser gets a pass that its person saw and
// granted, once.
func TestDeviceFlow(t *testing.T) {
	r := newRig(t)
	jo := r.user("jo")
	r.connect(jo, fake.CampusUser)
	d := r.device(broker.DeviceAsk{Label: "login01", Limits: pass.Limits{Repos: []string{"river-lab/data"}}, For: 2 * time.Hour, From: home})
	if len(d.User) != 8 || len(d.Device.Reveal()) < 40 || d.Interval != 5*time.Second || !d.Until.After(r.now()) {
		t.Errorf("%+v", d)
	}
	r.take(d, broker.DevicePending)
	r.take(d, broker.DeviceSlow)
	for _, typed := range []string{d.User, strings.ToLower(d.User), d.User[:4] + "-" + d.User[4:], " " + d.User[:4] + " " + d.User[4:]} {
		w, ok, err := r.DeviceFor(t.Context(), browser(jo), typed)
		if err != nil || !ok || w.Label != "login01" || w.From != "192.0.2.7" || w.For != 2*time.Hour || len(w.Limits.Repos) != 1 {
			t.Errorf("%q: %+v, %v, %v", typed, w, ok, err)
		}
	}
	for _, typed := range []string{"", "AAAAAAAA", "BCDFGHJ", d.User + "B", strings.Repeat("B", 1000), "ＢCDFGHJK"} {
		if _, ok, err := r.DeviceFor(t.Context(), browser(jo), typed); ok || err != nil {
			t.Errorf("%.20q: %v, %v", typed, ok, err)
		}
	}
	w, _, _ := r.DeviceFor(t.Context(), browser(jo), d.User)
	ok, err := r.DecideDevice(t.Context(), browser(jo), d.User, true, broker.PassAsk{Limits: w.Limits, For: w.For, Label: w.Label})
	if !ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	if ok, err := r.DecideDevice(t.Context(), browser(r.user("kim")), d.User, false, broker.PassAsk{}); ok || err != nil {
		t.Errorf("decided twice: %v, %v", ok, err)
	}
	if _, ok, _ := r.DeviceFor(t.Context(), browser(jo), d.User); ok {
		t.Error("it is decided, and waits")
	}
	r.later(6 * time.Second)
	m := r.take(d, broker.DeviceYes)
	r.take(d, broker.DeviceGone)
	if life := m.Row.Until.Sub(m.Row.Created); life > 2*time.Hour || m.Row.Via != "device" || m.Row.Label != "login01" {
		t.Errorf("%+v", m.Row)
	}
	r.mustWith(m.Text, data)
	r.refusedBy(errOf(r.with(m.Text, notes)), "DP-161", "not granted", m.Text)
	if list := r.found(store.EventFilter{Kinds: []store.Kind{store.DeviceDecided, store.PassMade}}); len(list) != 2 || list[0].User != "jo" || list[1].Outcome != store.OK {
		t.Errorf("%+v", list)
	}
}

// TestDeviceDecided: who may say yes, to what, and what becomes of a no.
func TestDeviceDecided(t *testing.T) {
	r := newRig(t, longRules)
	jo := r.user("jo")
	person, err := r.Enter(t.Context(), browser(jo))
	if err != nil {
		t.Fatal(err)
	}
	for what, ask := range map[string]broker.DeviceAsk{
		"13 hours": {For: 13 * time.Hour}, "no end": {Limits: pass.Limits{Expires: daypass.Forever}}, "an odd label": {Label: "a\nb"},
		"an odd limit": {Limits: pass.Limits{Hosts: []string{"a b"}}},
	} {
		if _, err := r.AskDevice(t.Context(), ask); err == nil {
			t.Errorf("%s: codes are given", what)
		}
	}
	d := r.device(broker.DeviceAsk{})
	for _, via := range []daypass.Via{daypass.NoVia, daypass.ViaServer, daypass.ViaUser, daypass.ViaPass, daypass.ViaLogin} {
		c := jo
		c.Via = via
		if ok, err := r.DecideDevice(t.Context(), c, d.User, true, broker.PassAsk{}); ok || !errors.Is(err, daypass.ErrRefused) {
			t.Errorf("yes by %v: %v", via, err)
		}
		if _, ok, err := r.DeviceFor(t.Context(), c, d.User); ok || !errors.Is(err, daypass.ErrRefused) {
			t.Errorf("seen by %v: %v", via, err)
		}
	}
	for what, ask := range map[string]broker.PassAsk{"13 hours": {For: 13 * time.Hour}, "no end": {Limits: pass.Limits{Expires: daypass.Forever}}, "a server's": {ForServer: true}} {
		if ok, err := r.DecideDevice(t.Context(), browser(jo), d.User, true, ask); ok || err == nil {
			t.Errorf("%s was granted", what)
		}
	}
	r.take(d, broker.DevicePending)
	if ok, err := r.DecideDevice(t.Context(), browser(jo), d.User, false, broker.PassAsk{}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	r.take(d, broker.DeviceNo)
	if ok, _ := r.DecideDevice(t.Context(), browser(jo), d.User, true, broker.PassAsk{}); ok {
		t.Error("no became yes")
	}
	for what, secret := range map[string]string{"unknown": strings.Repeat("A", 43), "empty": "", "the user's code": d.User, "odd": "\x00\xff"} {
		if m, state, err := r.TakeDevice(t.Context(), daypass.NewSecret(secret), ""); state != broker.DeviceGone || err != nil || !m.Text.IsZero() {
			t.Errorf("%s: %q, %v", what, state, err)
		}
	}
	late := r.device(broker.DeviceAsk{})
	r.later(11 * time.Minute)
	if ok, _ := r.DecideDevice(t.Context(), browser(jo), late.User, true, broker.PassAsk{}); ok {
		t.Error("eleven minutes later it was granted")
	}
	r.take(late, broker.DeviceGone)

	cut := r.device(broker.DeviceAsk{})
	if ok, err := r.DecideDevice(t.Context(), browser(jo), cut.User, true, broker.PassAsk{}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := r.RevokePerson(t.Context(), person, "root"); err != nil {
		t.Fatal(err)
	}
	if m, state, err := r.TakeDevice(t.Context(), cut.Device, ""); state == broker.DeviceYes || !m.Text.IsZero() {
		t.Errorf("cut off since: %q, %v", state, err)
	}
	if _, err := r.DecideDevice(t.Context(), browser(jo), r.device(broker.DeviceAsk{}).User, true, broker.PassAsk{}); code(err) != "DP-811" {
		t.Errorf("by somebody who is cut off: %v", err)
	}
}

// TestDeviceTakenOnce: of twenty that ask at the same time with the same code, one
// gets the pass.
func TestDeviceTakenOnce(t *testing.T) {
	r := newRig(t)
	two := r.another("two")
	jo := r.user("jo")
	d := r.device(broker.DeviceAsk{})
	if ok, err := r.DecideDevice(t.Context(), browser(jo), d.User, true, broker.PassAsk{}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	var wg sync.WaitGroup
	states := make([]string, 20)
	for i := range states {
		wg.Go(func() {
			b := []*broker.Broker{r.Broker, two}[i%2]
			m, state, err := b.TakeDevice(t.Context(), d.Device, "")
			states[i] = fmt.Sprint(state, " ", err)
			if (state == broker.DeviceYes) == m.Text.IsZero() {
				states[i] += " with the wrong pass"
			}
		})
	}
	wg.Wait()
	yes := 0
	for _, s := range states {
		switch s {
		case "yes <nil>":
			yes++
		case "gone <nil>":
		default:
			t.Error(s)
		}
	}
	if list, _ := r.Passes(t.Context(), browser(jo)); yes != 1 || len(list) != 1 {
		t.Errorf("%d were given it, and %d were made", yes, len(list))
	}
}
