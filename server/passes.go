package server

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// PassParts is what is asked of the broker about passes. The zero value is a
// service without passes: then nothing is at their addresses.
type PassParts struct {
	// LooksLike reports whether a token has the shape of a pass. Such a token is
	// never shown to the hub, also where there are no passes. nil: by what stands
	// in front of it.
	LooksLike func(daypass.Secret) bool
	// PassCaller says whose a pass is, shown from an address, which is not valid where
	// it is not known. An error that is [daypass.ErrRefused] means that it opens
	// nothing here and now.
	PassCaller func(ctx context.Context, pass daypass.Secret, from netip.Addr) (daypass.Caller, error)
	// PassHosts are the hosts that the owner of a pass has connected, of those that the
	// pass is for: all that a pass shows of connections, since whoever holds one has to
	// know whether it can work.
	PassHosts func(ctx context.Context, byPass daypass.Caller) ([]string, error)
	MintPass  func(context.Context, daypass.Caller, PassAsk) (api.PassReply, error)
	// Passes returns the caller's passes, the newest first, those that ended too.
	Passes func(context.Context, daypass.Caller) ([]api.Pass, error)
	// EndPass ends a pass of the caller's; false where they have none with that id that
	// is still good.
	EndPass func(ctx context.Context, caller daypass.Caller, id string) (event string, ok bool, err error)
	// EndShownPass ends a pass, and all that were narrowed from it, for whoever holds it.
	EndShownPass func(ctx context.Context, pass daypass.Secret, from netip.Addr) (event string, err error)
	// NarrowPass makes a narrower pass of one, or with no limits gives it back, with
	// all its limits and its end. It asks nobody, and neither does it verify the pass,
	// nor keep or log any of it. The error says why not, in words for whoever asked,
	// and holds nothing of the pass. nil: the pages narrow none.
	NarrowPass func(pass daypass.Secret, limits api.PassLimits, until time.Time) (api.PassReply, error)
	// PassBounds is what the caller's pages offer.
	PassBounds func(context.Context, daypass.Caller) (PassBounds, error)

	// The device flow. Either all four are nil or none.
	AskDevice func(context.Context, DeviceAsk) (DeviceCodes, error)
	// DeviceFor finds what waits for a decision under a user's code, eight letters
	// without a hyphen; false where nothing does.
	DeviceFor func(ctx context.Context, caller daypass.Caller, userCode string) (DeviceWait, bool, error)
	// DecideDevice says yes or no to it; false where nothing waits any more. With
	// yes, ask is what the person saw.
	DecideDevice func(ctx context.Context, caller daypass.Caller, userCode string, yes bool, ask PassAsk) (bool, error)
	TakeDevice   func(ctx context.Context, device daypass.Secret) (api.PassReply, DeviceState, error)

	// Exchange makes a pass of a job's OpenID token for Audience. nil: there is
	// none.
	Exchange func(ctx context.Context, token daypass.Secret, from netip.Addr) (api.MintedToken, error)
	Audience string
}

func (p *PassParts) check() error {
	all := func(given ...bool) bool {
		for _, g := range given {
			if g != given[0] {
				return false
			}
		}
		return true
	}
	switch {
	case !all(p.PassCaller != nil, p.PassHosts != nil, p.MintPass != nil, p.Passes != nil, p.EndPass != nil, p.EndShownPass != nil, p.PassBounds != nil):
		return errors.New("the server has a part of the passes and lacks another")
	case p.NarrowPass != nil && p.MintPass == nil:
		return errors.New("the server narrows passes and makes none")
	case !all(p.AskDevice != nil, p.DeviceFor != nil, p.DecideDevice != nil, p.TakeDevice != nil) || p.AskDevice != nil && p.MintPass == nil:
		return errors.New("the server has a part of the device flow and lacks another")
	case (p.Exchange == nil) != (p.Audience == ""):
		return errors.New("the server has an exchange without an audience, or an audience without an exchange")
	}
	return nil
}

// A PassAsk asks for a pass. It was read and is well-formed as far as can be seen
// without knowing passes: see [api.PassLimits.Check].
type PassAsk struct {
	Label     string
	For       time.Duration // 0: see Until and Never; where those are not given either, the broker chooses
	Until     time.Time     // zero: see For
	Never     bool
	Limits    api.PassLimits
	ForServer bool   // it is to end with the server whose token asks
	Fresh     bool   // a browser's, of somebody who signed in a few minutes ago
	Request   string // the request's id
}

// PassBounds is what somebody may ask for.
type PassBounds struct {
	Longest time.Duration // of a pass made by somebody who signed in a moment ago
	Short   time.Duration // of any other
	Usual   time.Duration // where nothing is said
	Never   bool          // one without an end is allowed
}

// A DeviceAsk asks for codes.
type DeviceAsk struct {
	Label   string
	Limits  api.PassLimits
	For     time.Duration // 0: the broker chooses
	From    netip.Addr
	Request string
}

// DeviceCodes are the codes for it. User is eight letters of
// BCDFGHJKLMNPQRSTVWXZ, without a hyphen.
type DeviceCodes struct {
	Device   daypass.Secret
	User     string
	Until    time.Time
	Interval time.Duration
}

// A DeviceWait waits for a person's decision.
type DeviceWait struct {
	Label   string // as whoever asked says
	From    string // the address
	Limits  api.PassLimits
	For     time.Duration // 0: what the broker chooses
	Created time.Time
	Until   time.Time
}

// A DeviceState is how a device's code stands.
type DeviceState string

// The states.
const (
	DeviceYes     DeviceState = "yes"     // the pass is there
	DevicePending DeviceState = "pending" // nobody has decided
	DeviceSlow    DeviceState = "slow"    // likewise, and it was asked too soon
	DeviceNo      DeviceState = "no"      // somebody said no
	DeviceGone    DeviceState = "gone"    // too late, spent, or never given out
)

// looksLikePass is for a service that was not told better.
func looksLikePass(token daypass.Secret) bool {
	for _, prefix := range []string{"daypass_", "devpi-", "pypi-"} {
		if strings.HasPrefix(token.Reveal(), prefix) {
			return true
		}
	}
	return false
}
