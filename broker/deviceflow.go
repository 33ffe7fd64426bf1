package broker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

const (
	viaDevice = "device"
	// deviceLife is how long a code can be typed, and devicePause how long a device
	// waits between two questions (RFC 8628, 3.2).
	deviceLife  = 10 * time.Minute
	devicePause = 5 * time.Second
	// userLetters are those of RFC 8628, 6.1: none that is read as another, and no
	// vowel, so that no word comes out. Eight of them are 34 bits.
	userLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userLength  = 8
)

// A DeviceAsk is a program that has no browser and asks for a pass (RFC 8628).
// Nobody vouches for what it says of itself.
type DeviceAsk struct {
	Label  string
	Limits pass.Limits
	For    time.Duration // 0: 8 hours, or what the rules give
	From   netip.Addr    // where it asks from; not valid where that is not known
}

// DeviceCodes are what it gets: one to ask with, and one to show to its person.
type DeviceCodes struct {
	Device   daypass.Secret
	User     string // eight letters
	Until    time.Time
	Interval time.Duration
}

// A DeviceWait is a device that waits for a person's decision.
type DeviceWait struct {
	Label, From    string
	Limits         pass.Limits
	For            time.Duration
	Created, Until time.Time
}

// The states of a device's code.
const (
	DeviceYes     = store.DeviceYes     // the pass is there
	DevicePending = store.DevicePending // nobody has decided
	DeviceSlow    = store.DeviceSlow    // likewise, and it was asked too soon
	DeviceNo      = store.DeviceNo      // somebody said no
	DeviceGone    = store.DeviceGone    // too late, spent, or never given out
)

// A deviceText is what is kept of an asking, and then of what was granted.
type deviceText struct {
	Limits pass.Limits
	For    time.Duration
	Label  string
	User   string // who granted it
}

// AskDevice gives codes to whoever asks. Nothing is granted by that.
func (b *Broker) AskDevice(ctx context.Context, ask DeviceAsk) (DeviceCodes, error) {
	if !printable(ask.Label) {
		return DeviceCodes{}, badLimit(errLabel)
	}
	if ask.For < 0 || ask.For > shortPass || !ask.Limits.Expires.IsZero() {
		return DeviceCodes{}, needFresh()
	}
	if _, err := ask.Limits.Caveats(); err != nil {
		return DeviceCodes{}, badLimit(err)
	}
	text, err := json.Marshal(deviceText{Limits: ask.Limits, For: ask.For})
	if err != nil {
		return DeviceCodes{}, badLimit(err)
	}
	d := store.Device{Label: ask.Label, Limits: string(text), Until: b.Now().Add(deviceLife)}
	if ask.From.IsValid() {
		d.From = ask.From.String()
	}
	for tries := 0; ; tries++ {
		if d.Device, err = b.random(); err != nil {
			return DeviceCodes{}, err
		}
		if d.User, err = b.userCode(); err != nil {
			return DeviceCodes{}, err
		}
		err = b.Store.Write(ctx, func(tx *store.Tx) error { return tx.PutDevice(d) })
		if errors.Is(err, store.ErrTaken) && tries < 5 {
			continue
		}
		return DeviceCodes{Device: daypass.NewSecret(d.Device), User: d.User, Until: d.Until, Interval: devicePause}, storeProblem(err)
	}
}

func (b *Broker) userCode() (string, error) {
	var out strings.Builder
	for range userLength {
		n, err := rand.Int(b.Rand, big.NewInt(int64(len(userLetters))))
		if err != nil {
			return "", err
		}
		out.WriteByte(userLetters[n.Int64()])
	}
	return out.String(), nil
}

// typed is a code as people type it, in letters of any size, with a hyphen or a
// space; false where it can be none.
func typed(code string) (string, bool) {
	if len(code) > 4*userLength {
		return "", false
	}
	code = strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
	return code, len(code) == userLength && strings.Trim(code, userLetters) == ""
}

// DeviceFor finds what waits for a decision under the code that a person types;
// false where nothing does.
func (b *Broker) DeviceFor(ctx context.Context, c daypass.Caller, userCode string) (DeviceWait, bool, error) {
	if _, err := b.inBrowser(ctx, c); err != nil {
		return DeviceWait{}, false, err
	}
	code, ok := typed(userCode)
	if !ok {
		return DeviceWait{}, false, nil
	}
	d, ok, err := b.Store.DeviceByUser(ctx, code)
	if err != nil || !ok || d.Decided != "" {
		return DeviceWait{}, false, storeProblem(err)
	}
	var text deviceText
	if err := json.Unmarshal([]byte(d.Limits), &text); err != nil {
		return DeviceWait{}, false, storeProblem(err)
	}
	return DeviceWait{Label: d.Label, From: d.From, Limits: text.Limits, For: text.For, Created: d.Created, Until: d.Until}, true, nil
}

// inBrowser is themself, in a browser.
func (b *Broker) inBrowser(ctx context.Context, c daypass.Caller) (store.Person, error) {
	p, err := b.themself(ctx, c)
	if err == nil && c.Via != daypass.ViaBrowser {
		err = &Refusal{Problem: &daypass.Problem{
			Code: "DP-180", What: "a device is let in by its person, in a browser in which they are signed in to the hub",
			Next: "Open the page that the device names.", Kind: daypass.ErrRefused,
		}}
	}
	return p, err
}

// DecideDevice says yes or no to what waits under a code; false where nothing does
// any more. With yes, ask is what the person saw and grants; the device gets it
// once, and it lives for 12 hours at most.
func (b *Broker) DecideDevice(ctx context.Context, c daypass.Caller, userCode string, yes bool, ask PassAsk) (bool, error) {
	p, err := b.inBrowser(ctx, c)
	if err != nil {
		return false, b.refuse(ctx, c, p, Ask{Request: ask.Request}, "", err)
	}
	code, ok := typed(userCode)
	if !ok {
		return false, nil
	}
	e := b.event(c, p, Ask{Request: ask.Request}, store.DeviceDecided)
	e.Outcome, e.Why = store.Refused, "said no to a device"
	granted := "{}"
	if yes {
		n, err := b.newPass(ctx, c, p, false, ask)
		if err == nil {
			_, err = b.book.draft(n) // so that what cannot be made is told now
		}
		if err != nil {
			return false, b.refuse(ctx, c, p, Ask{Request: ask.Request}, "", err)
		}
		text, err := json.Marshal(deviceText{Limits: n.Limits, Label: ask.Label, User: c.User.Name})
		if err != nil {
			return false, badLimit(err)
		}
		granted = string(text)
		e.Outcome, e.Why, e.Until = store.OK, "let a device in, called "+quoted(ask.Label), n.Limits.Expires
	}
	err = b.Store.Write(ctx, func(tx *store.Tx) error {
		var err error
		if ok, err = tx.DecideDevice(code, p.ID, yes, granted); err == nil && ok {
			tx.Record(e)
		}
		return err
	})
	return ok && err == nil, storeProblem(err)
}

// TakeDevice answers a device: with its pass, once, or with how its asking stands.
func (b *Broker) TakeDevice(ctx context.Context, device daypass.Secret, request string) (Minted, string, error) {
	var m Minted
	var state string
	err := b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		var d store.Device
		var err error
		m = Minted{}
		if d, state, err = tx.TakeDevice(device.Reveal()); err != nil || state != DeviceYes {
			return err
		}
		var text deviceText
		if err := json.Unmarshal([]byte(d.Limits), &text); err != nil {
			return err
		}
		n := NewPass{Person: d.Person, Label: text.Label, Via: viaDevice, Limits: text.Limits, Event: store.Event{
			Hub: b.Hub.ID, User: text.User, Via: viaDevice, Request: request,
		}}
		made, err := b.book.draft(n)
		if err != nil {
			return err
		}
		m, err = b.book.put(tx, n, made)
		return err
	})
	if errors.Is(err, store.ErrNone) {
		err = holderGone() // cut off since they said yes
	}
	if err != nil {
		return Minted{}, DeviceGone, storeProblem(err)
	}
	return m, state, nil
}
