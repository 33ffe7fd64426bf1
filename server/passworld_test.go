package server

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

const (
	wantPass = `{"label":"night job","for":7200,"limits":{"repos":["river-lab/data"],"access":"read"}}`
	goodPass = "daypass_good"
	passID1  = "k3q7m2wz5t8v4x9n"
	madeText = "daypass_AgEcanaryOfAPassThatIsShownOnce0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-AgEcanary"
)

type device struct {
	wait    DeviceWait
	state   DeviceState
	decided string // by whom
	taken   bool
	again   bool // it can be decided any number of times
}

func refused(code, what string) error {
	return &daypass.Problem{Code: code, What: what, Kind: daypass.ErrRefused}
}

// passParts are the broker's answers about passes.
func (w *world) passParts() PassParts {
	w.passes = map[string]daypass.Caller{}
	for text, id := range map[string]string{goodPass: passID1, "daypass_narrowed": passID1, "devpi-of-a-hub": passID1, "daypass_other": "h2b8r6yd3f7c9s4p"} {
		w.passes[text] = daypass.Caller{
			User: daypass.User{Hub: "main", Name: "ada", Created: created}, Groups: []string{"staff"}, Via: daypass.ViaPass,
			Pass: daypass.PassRef{ID: id, Link: strings.Repeat("ab", 32)},
		}
	}
	w.devices = map[string]*device{"WDJBMJHT": {state: DevicePending, wait: DeviceWait{
		Label: w.name("daypass login on login1"), From: w.name("192.0.2.7"), Limits: api.PassLimits{Repos: []string{w.name("tidal-lab/buoy-data")}}, For: 30 * 24 * time.Hour,
		Created: w.now.Add(-40 * time.Second), Until: w.now.Add(14 * time.Minute),
	}}}
	w.devices["GGGGHHHH"] = &device{state: DevicePending, again: true, wait: w.devices["WDJBMJHT"].wait}
	return PassParts{
		PassHosts:  func(context.Context, daypass.Caller) ([]string, error) { return []string{"github.com"}, nil },
		PassCaller: w.passCaller, MintPass: w.mint, Passes: w.passList,
		EndPass: func(_ context.Context, c daypass.Caller, id string) (string, bool, error) {
			if id != passID1 && id != "3" {
				return "", false, nil
			}
			w.note("end-pass %s %s", c.User.Name, id)
			return "K3QF-1071", true, nil
		},
		EndShownPass: func(_ context.Context, p daypass.Secret, from netip.Addr) (string, error) {
			if _, ok := w.passes[p.Reveal()]; !ok {
				return "", refused("DP-160", "the pass is not one of this service")
			}
			w.note("end-shown %v", from.IsValid())
			return "K3QF-1072", nil
		},
		NarrowPass: w.narrow,
		PassBounds: func(context.Context, daypass.Caller) (PassBounds, error) {
			return PassBounds{Longest: 30 * 24 * time.Hour, Short: 12 * time.Hour, Usual: 8 * time.Hour, Never: w.never}, nil
		},
		AskDevice: w.askDevice, DeviceFor: w.deviceFor, DecideDevice: w.decide, TakeDevice: w.take,
		Audience: "https://daypass.example.org/",
		Exchange: func(_ context.Context, token daypass.Secret, from netip.Addr) (api.MintedToken, error) {
			if token.Reveal() != "eyJ_job" {
				return api.MintedToken{}, &Refusal{Problem: &daypass.Problem{Code: "DP-190", What: "no rule takes this job", Why: "its repository is " + w.name("o/r"), Kind: daypass.ErrRefused}, Event: "K3QF-1080"}
			}
			w.note("exchange %v", from.IsValid())
			return api.MintedToken{Token: daypass.NewSecret(madeText), Expires: w.clock().Add(15 * time.Minute)}, nil
		},
	}
}

func (w *world) passCaller(_ context.Context, p daypass.Secret, from netip.Addr) (daypass.Caller, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.passes[p.Reveal()]
	if !ok {
		return daypass.Caller{}, refused("DP-160", "the pass is not one of this service")
	}
	w.froms = append(w.froms, from.String())
	return c, nil
}

func (w *world) mint(_ context.Context, c daypass.Caller, ask PassAsk) (api.PassReply, error) {
	w.note("mint %s %s %v", c.User.Name, c.Via, ask.Fresh)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asks = append(w.asks, ask)
	until := w.now.Add(8 * time.Hour)
	if ask.For != 0 {
		until = w.now.Add(ask.For)
	}
	if !ask.Until.IsZero() {
		until = ask.Until
	}
	return api.PassReply{
		Pass: daypass.NewSecret(madeText), ID: passID1, Label: ask.Label, Until: &until, Event: "K3QF-1070",
		Limits: []string{"expires=1", "dp:access=read", "dp:repo=" + w.name("tidal-lab/ocean-models")},
	}, nil
}

// narrow puts one more mark behind the pass that was made.
func (w *world) narrow(text daypass.Secret, l api.PassLimits, until time.Time) (api.PassReply, error) {
	if !strings.HasPrefix(text.Reveal(), madeText) {
		return api.PassReply{}, errors.New("it holds no pass that is whole")
	}
	end := w.clock().Add(8 * time.Hour)
	out := api.PassReply{Pass: text, Until: &end, Limits: []string{"dp:repo=" + w.name("tidal-lab/ocean-models")}}
	if reflect.DeepEqual(l, api.PassLimits{}) && until.IsZero() {
		return out, nil
	}
	if slices.Contains(l.Repos, "tidal-lab/thesis") {
		return api.PassReply{}, errors.New("the pass is for none of these repositories")
	}
	w.note("narrow %s %q %s", l.Access, l.Repos, left(until, w.clock()))
	out.Pass = daypass.NewSecret(text.Reveal() + "-narrower")
	out.Limits = []string{"dp:access=read", "dp:repo=" + w.name("tidal-lab/ocean-models")}
	if !until.IsZero() {
		out.Until = &until
	}
	return out, nil
}

func (w *world) passList(context.Context, daypass.Caller) ([]api.Pass, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := func(d time.Duration) *time.Time { t := w.now.Add(d); return &t }
	return []api.Pass{
		{ID: passID1, Label: w.name("night job"), Created: *at(-5 * time.Hour), Used: at(-20 * time.Minute), Uses: 3, Until: at(2 * time.Hour), Via: "browser",
			Limits: []string{"expires=1795366800", "dp:access=read", "dp:host=github.com", "dp:repo=" + w.name("tidal-lab/ocean-models") + ",tidal-lab/buoy-data#104", "dp:uses=50"}},
		{ID: "p9d4h6j2r8s3w5t7", Created: *at(-30 * time.Hour), Via: "server", Server: w.name("gpu"), Until: at(9 * time.Hour),
			Limits: []string{"expires=1795366800", "dp:server=" + w.name("gpu") + "@1795200000", "not_before=1795350000", "dp:address=192.0.2.0/24,2001:db8::/32", "dp:source=doi:10.5281/zenodo.1234"}},
		{ID: "b7c2f5g8k4m9n3q6", Label: "odd one", Created: *at(-40 * time.Hour), Uses: 1, Used: at(-30 * time.Hour), Via: "device", Limits: []string{"expires=never", "dp:fish=" + w.name("trout"), "dp:access=read", "dp:access=write"}},
		{ID: "h2b8r6yd3f7c9s4p", Label: "old job", Created: *at(-60 * time.Hour), Until: at(-50 * time.Hour), Via: "user-token", Uses: 12},
		{ID: "z5x8c3v6b9n2m4l7", Label: w.name("left in a notebook"), Created: *at(-90 * time.Hour), Until: at(50 * time.Hour), Ended: at(-80 * time.Hour), Why: w.name("ended in the browser"), Via: "exchange"},
	}, nil
}

func (w *world) askDevice(_ context.Context, a DeviceAsk) (DeviceCodes, error) {
	w.note("ask-device %s %s", a.Label, a.From)
	w.mu.Lock()
	defer w.mu.Unlock()
	until := w.now.Add(15 * time.Minute)
	w.devices["BBBBCCCC"] = &device{state: DevicePending, wait: DeviceWait{Label: a.Label, From: a.From.String(), Limits: a.Limits, For: a.For, Created: w.now, Until: until}}
	return DeviceCodes{Device: daypass.NewSecret("device-new"), User: "BBBBCCCC", Until: until, Interval: 5 * time.Second}, nil
}

func (w *world) deviceFor(_ context.Context, _ daypass.Caller, code string) (DeviceWait, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked++
	d, ok := w.devices[code]
	if !ok || d.decided != "" {
		return DeviceWait{}, false, nil
	}
	return d.wait, true, nil
}

func (w *world) decide(_ context.Context, c daypass.Caller, code string, yes bool, ask PassAsk) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.devices[code]
	if !ok || d.decided != "" || !d.wait.Until.After(w.now) {
		return false, nil
	}
	d.state = DeviceNo
	if !d.again {
		d.decided = c.User.Name
	}
	if yes {
		d.state = DeviceYes
		w.asks = append(w.asks, ask)
	}
	w.did = append(w.did, "decide "+c.User.Name+" "+code+" "+string(d.state))
	return true, nil
}

func (w *world) take(_ context.Context, code daypass.Secret) (api.PassReply, DeviceState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	until := w.now.Add(time.Hour)
	made := api.PassReply{Pass: daypass.NewSecret(madeText), ID: passID1, Until: &until, Event: "K3QF-1070"}
	switch text := code.Reveal(); {
	case text == "device-new":
		d := w.devices["BBBBCCCC"]
		switch {
		case d == nil || d.taken || !d.wait.Until.After(w.now):
			return api.PassReply{}, DeviceGone, nil
		case d.state == DeviceYes:
			d.taken = true
			return made, DeviceYes, nil
		}
		return api.PassReply{}, d.state, nil
	case text == "device-yes":
		return made, DeviceYes, nil
	case strings.HasPrefix(text, "device-"):
		return api.PassReply{}, DeviceState(strings.TrimPrefix(text, "device-")), nil
	}
	return api.PassReply{}, DeviceGone, nil
}

// passActivity is what was done with a pass, and to it.
func (w *world) passActivity(id string) []Activity {
	at := func(d time.Duration) time.Time { return w.now.Add(-d) }
	line := func(n int, ago time.Duration, kind, outcome string) Activity {
		return Activity{ID: "K3QF-" + strconv.Itoa(n), At: at(ago), Kind: kind, Outcome: outcome, Via: "pass", Host: "github.com", Repo: w.name("tidal-lab/buoy-data"), Access: "read", Pass: id, Link: "9f86d081884c7d65"}
	}
	refused := line(1039, 31*time.Minute, "refusal", "refused")
	refused.Repo, refused.Access, refused.Code, refused.Rule, refused.Why = w.name("tidal-lab/thesis"), "write", "DP-161", "built-in:pass-limits", w.name("the pass is only for tidal-lab/ocean-models and tidal-lab/buoy-data#104")
	made := Activity{ID: "K3QF-1022", At: at(5 * time.Hour), Kind: "pass", Outcome: "ok", Via: "browser", Pass: id, Until: at(-2 * time.Hour)}
	return []Activity{line(1041, 20*time.Minute, "credential", "ok"), refused, line(1030, 3*time.Hour, "credential", "ok"), made}
}
