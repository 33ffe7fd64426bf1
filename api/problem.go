package api

import (
	"encoding/json"
	"errors"

	"github.com/daypass-dev/daypass"
)

// An ErrorBody is the body of every answer that is not 2xx.
type ErrorBody struct {
	Error Error `json:"error"`
}

// An Error is a [daypass.Problem] as it is sent. Its texts are for people and
// may change; the code may not.
type Error struct {
	Code  string `json:"code"` // such as "DP-810"
	What  string `json:"what"`
	Why   string `json:"why,omitempty"`
	Next  string `json:"next,omitempty"`
	Who   string `json:"who,omitempty"`
	Event string `json:"event,omitempty"` // the id in the activity, for whoever is asked about it
	Rule  string `json:"rule,omitempty"`  // the rule that decided
	Link  string `json:"link,omitempty"`  // where to go next; absolute
	OAuth string `json:"error,omitempty"` // the word of RFC 8628, 3.5, of a device's code that gives no pass
}

// FromProblem turns a problem into what is sent. Its kind is told by the HTTP
// status ([Status]); the underlying error stays here.
func FromProblem(p *daypass.Problem) Error {
	return Error{Code: p.Code, What: p.What, Why: p.Why, Next: p.Next, Who: p.Who}
}

// Problem turns what was received with an HTTP status back into a problem.
func (e Error) Problem(status int) *daypass.Problem {
	return &daypass.Problem{Code: e.Code, What: e.What, Why: e.Why, Next: e.Next, Who: e.Who, Kind: Kind(status)}
}

// The statuses with a meaning of their own. The rest is in [Status] and [Kind].
const (
	StatusUnknownToken = 401 // the token is none of the hub's, or has ended
	StatusNotConnected = 409 // the person is known and has to connect: see Link
	StatusNotServed    = 404 // the service has nothing to do with that host: git asks elsewhere
)

// Status is the HTTP status for a problem of a kind: 400 for wrong usage, 409
// for what needs a connection, 403 for refused, 503 for an upstream that
// cannot be reached (with Retry-After), 500 for the rest. A caller whom the
// hub does not know is [StatusUnknownToken]: the server says that itself.
func Status(kind error) int {
	switch {
	case kind == nil:
		return 500
	case errors.Is(kind, daypass.ErrUsage):
		return 400
	case errors.Is(kind, daypass.ErrNoLogin):
		return StatusNotConnected
	case errors.Is(kind, daypass.ErrRefused):
		return 403
	case errors.Is(kind, daypass.ErrUnreachable):
		return 503
	}
	return 500
}

// Kind is the kind of failure that an HTTP status tells, for exit codes; nil is
// a plain failure. It undoes [Status], and knows what only the server says.
func Kind(status int) error {
	switch status {
	case 400, 405, 408, 413, 415, 431:
		return daypass.ErrUsage
	case StatusUnknownToken, StatusNotConnected:
		return daypass.ErrNoLogin
	case 403, StatusNotServed:
		return daypass.ErrRefused
	case 429, 502, 503, 504:
		return daypass.ErrUnreachable
	}
	return nil
}

// DecodeError reads the body of an answer that is not 2xx; false where it is
// none of ours, such as a gateway's page.
func DecodeError(b []byte) (Error, bool) {
	var body ErrorBody
	if err := json.Unmarshal(b, &body); err != nil || body.Error.Code == "" || body.Error.What == "" {
		return Error{}, false
	}
	return body.Error, true
}
