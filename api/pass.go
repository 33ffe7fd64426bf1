package api

import (
	"encoding/json"
	"net/url"
	"time"

	"github.com/daypass-dev/daypass"
)

// Where passes are asked for, behind the access service's URL.
const (
	PathPasses      = Base + "/passes"         // POST PassRequest -> PassReply; GET -> Passes
	PathPass        = Base + "/passes/"        // + id: DELETE -> PassEnded
	PathEndPass     = Base + "/passes/end"     // POST ShownPass -> PassEnded; whoever holds it
	PathDevice      = Base + "/device"         // POST DeviceRequest -> DeviceCodes; anybody
	PathDeviceToken = Base + "/device/token"   // POST DeviceToken -> PassReply; whoever holds the code
	PathAudience    = "/_/oidc/audience"       // GET -> Audience; anybody
	PathMintToken   = "/_/oidc/mint-token"     // POST MintToken -> MintedToken or MintRefused; by the token in it
	MaxPassText     = 8 << 10                  // bytes of a pass
	MaxLabel        = 100                      // characters of a label
	MaxUses         = 1_000_000_000            // of a pass
	maxLimitItems   = 64                       // of one list
	maxLimitItem    = 512                      // bytes of one item
	maxPassFor      = 100 * 365 * 24 * 60 * 60 // seconds
)

// PassPath is where a pass is ended by its id.
func PassPath(id string) string { return PathPass + url.PathEscape(id) }

// PassLimits is what a pass is to be limited to. An absent list is no limit; an
// empty one is a mistake, which Check tells.
type PassLimits struct {
	Hosts     []string   `json:"hosts,omitempty"`      // git hosts, as in [CredentialRequest]
	Repos     []string   `json:"repos,omitempty"`      // OWNER/NAME, OWNER/NAME#NUMBER or #NUMBER
	Access    string     `json:"access,omitempty"`     // "read" or "write"; "" is no limit
	Sources   []string   `json:"sources,omitempty"`    // of content, as the service writes them
	Servers   []string   `json:"servers,omitempty"`    // of the holder: NAME@START or NAME@
	Addresses []string   `json:"addresses,omitempty"`  // addresses or ranges, such as 192.0.2.0/24
	Uses      int        `json:"uses,omitempty"`       // 0: no limit
	NotBefore *time.Time `json:"not_before,omitempty"` // nil: from now on
}

// Check says in a few words what is wrong with the limits; "" where nothing is
// that can be seen without knowing passes.
func (l PassLimits) Check() string {
	for _, list := range []struct {
		name  string
		items []string
	}{{"hosts", l.Hosts}, {"repos", l.Repos}, {"sources", l.Sources}, {"servers", l.Servers}, {"addresses", l.Addresses}} {
		if list.items != nil && len(list.items) == 0 {
			return "the list of " + list.name + " is there and empty, so that nothing would be allowed"
		}
		if len(list.items) > maxLimitItems {
			return "the list of " + list.name + " has more than 64 items"
		}
		for _, item := range list.items {
			if item == "" || len(item) > maxLimitItem {
				return "the list of " + list.name + " has an item that is empty or too long"
			}
		}
	}
	switch {
	case l.Access != "" && daypass.ParseAccess(l.Access) == daypass.NoAccess:
		return "the access is not read or write"
	case l.Uses < 0 || l.Uses > MaxUses:
		return "the number of uses is none"
	case l.NotBefore != nil && (l.NotBefore.Unix() < 0 || l.NotBefore.After(daypass.Forever)):
		return "not_before is no time of a calendar"
	}
	for _, h := range l.Hosts {
		if why := checkHost(h); why != "" {
			return why
		}
	}
	return ""
}

// A PassRequest asks for a pass. At most one of For, Until and Never is given;
// with none of them the service chooses, which is 8 hours unless told otherwise.
type PassRequest struct {
	Label     string     `json:"label,omitempty"` // for its owner's list; at most MaxLabel characters
	For       int64      `json:"for,omitempty"`   // seconds
	Until     *time.Time `json:"until,omitempty"`
	Never     bool       `json:"never,omitempty"`
	Limits    PassLimits `json:"limits"`
	ForServer bool       `json:"for_server,omitempty"` // it ends with the server whose token asks
}

// Check says in a few words what is wrong with the request; "" where nothing is.
func (r PassRequest) Check() string {
	ends := 0
	for _, given := range []bool{r.For != 0, r.Until != nil, r.Never} {
		if given {
			ends++
		}
	}
	switch {
	case ends > 1:
		return "only one of for, until and never can be given"
	case r.For < 0 || r.For > maxPassFor:
		return "for is not a number of seconds that a calendar has"
	case r.Until != nil && (r.Until.Unix() < 0 || !r.Until.Before(daypass.Forever)):
		return "until is no time of a calendar"
	}
	if why := checkLabel(r.Label); why != "" {
		return why
	}
	return r.Limits.Check()
}

func checkLabel(label string) string {
	n := 0
	for _, c := range label {
		if n++; n > MaxLabel || c < ' ' || c == 0x7f || c == '\uFFFD' {
			return "the label is longer than 100 characters, or has some that cannot be seen"
		}
	}
	return ""
}

// A PassReply is a pass that was made, in the only answer that ever holds it.
// Encoding it by encoding/json fails; use Encode.
type PassReply struct {
	Pass   daypass.Secret `json:"pass"`
	ID     string         `json:"id"`
	Label  string         `json:"label"`
	Until  *time.Time     `json:"until,omitempty"` // nil: no end
	Limits []string       `json:"limits"`          // as they stand in it
	Event  string         `json:"event"`
}

type passReply PassReply

type wirePass struct {
	passReply
	Pass string `json:"pass"`
}

// Encode writes the reply down, with the pass. For the body of the answer, and
// nothing else.
func (r PassReply) Encode() ([]byte, error) {
	if r.Limits == nil {
		r.Limits = []string{}
	}
	return json.Marshal(wirePass{passReply(r), r.Pass.Reveal()})
}

// DecodePassReply reads what Encode writes, with keys that it does not know.
func DecodePassReply(b []byte) (PassReply, error) {
	var w wirePass
	if err := json.Unmarshal(b, &w); err != nil || w.Pass == "" || w.ID == "" {
		return PassReply{}, errMalformed
	}
	w.passReply.Pass = daypass.NewSecret(w.Pass)
	return PassReply(w.passReply), nil
}

// Passes are the passes of whoever asks, the newest first.
type Passes struct {
	Passes []Pass `json:"passes"`
}

// A Pass is one that was made. Its text is not kept anywhere.
type Pass struct {
	ID      string     `json:"id"`
	Label   string     `json:"label"`
	Created time.Time  `json:"created"`
	Used    *time.Time `json:"used,omitempty"` // nil: never
	Uses    int64      `json:"uses"`
	Until   *time.Time `json:"until,omitempty"`  // nil: no end
	Ended   *time.Time `json:"ended,omitempty"`  // nil: not ended by hand
	Why     string     `json:"why,omitempty"`    // of Ended
	Via     string     `json:"via"`              // how it was asked for: "browser", "server", "user-token", "device", "exchange"
	Server  string     `json:"server,omitempty"` // with which it ends
	Limits  []string   `json:"limits"`
}

// Live reports whether the pass is still good for something.
func (p Pass) Live(now time.Time) bool {
	return p.Ended == nil && (p.Until == nil || p.Until.After(now))
}

// PassEnded tells that a pass was ended.
type PassEnded struct {
	Event string `json:"event"`
}

// A ShownPass is a pass that its holder wants to be ended, with all that were
// narrowed from it. Encoding it by encoding/json fails; use Encode.
type ShownPass struct {
	Pass daypass.Secret `json:"pass"`
}

type wireShown struct {
	Pass string `json:"pass"`
}

// Encode writes it down for a request's body.
func (p ShownPass) Encode() ([]byte, error) { return json.Marshal(wireShown{p.Pass.Reveal()}) }

// DecodeShownPass reads what Encode writes, as strictly as [DecodeRequest].
func DecodeShownPass(b []byte) (ShownPass, error) {
	var w wireShown
	if err := DecodeRequest(b, &w); err != nil || w.Pass == "" || len(w.Pass) > MaxPassText {
		return ShownPass{}, errMalformed
	}
	return ShownPass{daypass.NewSecret(w.Pass)}, nil
}
