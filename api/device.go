package api

import (
	"encoding/json"
	"time"

	"github.com/daypass-dev/daypass"
)

// A DeviceRequest asks for a pass that somebody is to confirm in a browser
// (RFC 8628, 3.1, with a body of our own).
type DeviceRequest struct {
	Label  string     `json:"label,omitempty"` // who asks, in words; it is shown as a claim, not as a fact
	Limits PassLimits `json:"limits"`
	For    int64      `json:"for,omitempty"` // seconds; 0: the service chooses
}

// Check says in a few words what is wrong with the request; "" where nothing is.
func (r DeviceRequest) Check() string {
	return PassRequest{Label: r.Label, For: r.For, Limits: r.Limits}.Check()
}

// DeviceCodes is the answer to it (RFC 8628, 3.2). Encoding it by encoding/json
// fails, since the device's code is what the pass is given for; use Encode.
type DeviceCodes struct {
	Device   daypass.Secret `json:"device_code"`
	User     string         `json:"user_code"` // WDJB-MJHT: for people to type
	Page     string         `json:"verification_uri"`
	Complete string         `json:"verification_uri_complete"` // with the user's code in it
	Expires  int64          `json:"expires_in"`                // seconds
	Interval int64          `json:"interval"`                  // seconds between two questions
}

type deviceCodes DeviceCodes

type wireCodes struct {
	deviceCodes
	Device string `json:"device_code"`
}

// Encode writes the codes down, for the body of the answer.
func (c DeviceCodes) Encode() ([]byte, error) {
	return json.Marshal(wireCodes{deviceCodes(c), c.Device.Reveal()})
}

// DecodeDeviceCodes reads what Encode writes.
func DecodeDeviceCodes(b []byte) (DeviceCodes, error) {
	var w wireCodes
	if err := json.Unmarshal(b, &w); err != nil || w.Device == "" || w.User == "" || w.Expires <= 0 {
		return DeviceCodes{}, errMalformed
	}
	w.deviceCodes.Device = daypass.NewSecret(w.Device)
	return DeviceCodes(w.deviceCodes), nil
}

// A DeviceToken asks whether a device's code was confirmed (RFC 8628, 3.4).
// Encoding it by encoding/json fails; use Encode.
type DeviceToken struct {
	Device daypass.Secret `json:"device_code"`
}

type wireDevice struct {
	Device string `json:"device_code"`
}

// Encode writes it down for a request's body.
func (d DeviceToken) Encode() ([]byte, error) { return json.Marshal(wireDevice{d.Device.Reveal()}) }

// DecodeDeviceToken reads what Encode writes, as strictly as [DecodeRequest].
func DecodeDeviceToken(b []byte) (DeviceToken, error) {
	var w wireDevice
	if err := DecodeRequest(b, &w); err != nil || w.Device == "" || len(w.Device) > 256 {
		return DeviceToken{}, errMalformed
	}
	return DeviceToken{daypass.NewSecret(w.Device)}, nil
}

// The words of RFC 8628, 3.5, which stand in [Error.OAuth] with status 400 where
// [PathDeviceToken] gives no pass.
const (
	DevicePending = "authorization_pending" // nobody has decided yet: ask again
	DeviceSlow    = "slow_down"             // likewise, and five seconds later from now on
	DeviceDenied  = "access_denied"         // somebody said no
	DeviceExpired = "expired_token"         // too late, spent, or never given out
)

// An Audience is what a job's OpenID token has to be for, in the shape of PyPI.
type Audience struct {
	Audience string `json:"audience"`
}

// A MintToken hands in a job's OpenID token, in the shape of PyPI. Encoding it
// by encoding/json fails; use Encode.
type MintToken struct {
	Token daypass.Secret `json:"token"`
}

type wireMint struct {
	Token string `json:"token"`
}

// Encode writes it down for a request's body.
func (m MintToken) Encode() ([]byte, error) { return json.Marshal(wireMint{m.Token.Reveal()}) }

// DecodeMintToken reads what Encode writes. Keys that it does not know are left
// alone, as PyPI leaves them: the program that sends them is not ours.
func DecodeMintToken(b []byte) (MintToken, error) {
	var w wireMint
	if err := json.Unmarshal(b, &w); err != nil || w.Token == "" {
		return MintToken{}, errMalformed
	}
	return MintToken{daypass.NewSecret(w.Token)}, nil
}

// A MintedToken is the pass for it. Encoding it by encoding/json fails; use
// Encode.
type MintedToken struct {
	Token   daypass.Secret
	Expires time.Time
}

type wireMinted struct {
	Success bool   `json:"success"`
	Token   string `json:"token"`
	Expires int64  `json:"expires"` // seconds since 1970
}

// Encode writes it down, for the body of the answer.
func (m MintedToken) Encode() ([]byte, error) {
	return json.Marshal(wireMinted{true, m.Token.Reveal(), m.Expires.Unix()})
}

// DecodeMintedToken reads what Encode writes.
func DecodeMintedToken(b []byte) (MintedToken, error) {
	var w wireMinted
	if err := json.Unmarshal(b, &w); err != nil || !w.Success || w.Token == "" {
		return MintedToken{}, errMalformed
	}
	return MintedToken{daypass.NewSecret(w.Token), time.Unix(w.Expires, 0).UTC()}, nil
}

// A MintRefused is a no to a MintToken. Publishing tools print the errors.
type MintRefused struct {
	Success bool        `json:"success"` // false
	Message string      `json:"message"`
	Errors  []MintError `json:"errors"`
}

// A MintError says why.
type MintError struct {
	Code        string `json:"code"` // ours, such as "DP-899"
	Description string `json:"description"`
}
