package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// A status is a refusal whose HTTP status its kind does not tell.
type status struct {
	code int
	*Refusal
}

func (e *status) Unwrap() error { return e.Refusal }

func refusal(code int, retry time.Duration, p daypass.Problem) error {
	return &status{code, &Refusal{Problem: &p, RetryAfter: retry}}
}

// judge turns any error into what is told, and its HTTP status. An error that
// is no problem of ours is told in no word of its own.
func (s *Server) judge(err error) (*Refusal, int) {
	var st *status
	if errors.As(err, &st) {
		return st.Refusal, st.code
	}
	var ref *Refusal
	if !errors.As(err, &ref) {
		var p *daypass.Problem
		if !errors.As(err, &p) {
			return &Refusal{Problem: &daypass.Problem{
				Code: "DP-886", What: "The access service could not do this", Next: "Try again in a minute. Your work is safe.",
				Who: "The hub's admins see why in the service's log.",
			}}, http.StatusInternalServerError
		}
		ref = &Refusal{Problem: p}
	}
	code := api.Status(ref.Problem.Kind)
	if ref.Problem.Kind == nil {
		code = api.Status(ref.Problem.Err)
	}
	var limited daypass.Limited
	if errors.As(err, &limited) && code == http.StatusServiceUnavailable {
		out := *ref
		out.RetryAfter = max(out.RetryAfter, limited.RetryAfter())
		ref = &out
	}
	if code == http.StatusServiceUnavailable && ref.RetryAfter == 0 {
		out := *ref
		out.RetryAfter = 5 * time.Second
		ref = &out
	}
	return ref, code
}

func noToken() error {
	return refusal(http.StatusUnauthorized, 0, daypass.Problem{
		Code: "DP-870", What: "The request carries no token that a hub could have made",
		Next: "Send the server's own token as \"Authorization: Bearer TOKEN\". Cookies do not count here.", Kind: daypass.ErrRefused,
	})
}

func malformed(why string) error {
	return refusal(http.StatusBadRequest, 0, daypass.Problem{
		Code: "DP-871", What: "The request is not one that the access service understands", Why: why,
		Next: "Compare it with the description at " + api.PathOpenAPI + ", or update daypass.", Kind: daypass.ErrUsage,
	})
}

func tooLarge() error {
	return refusal(http.StatusRequestEntityTooLarge, 0, daypass.Problem{
		Code: "DP-872", What: "The request is larger than any real one", Why: "its body has more than 64 KiB",
		Next: "Send less.", Kind: daypass.ErrUsage,
	})
}

func tooSlow() error {
	return refusal(http.StatusRequestTimeout, 0, daypass.Problem{
		Code: "DP-873", What: "The request took too long to arrive", Next: "Try again.", Kind: daypass.ErrUnreachable,
	})
}

func tooOften(retry time.Duration) error {
	return refusal(http.StatusTooManyRequests, max(retry, time.Second), daypass.Problem{
		Code: "DP-874", What: "Too many requests come from here", Next: "Wait as long as Retry-After says. What this machine has goes on working.",
		Kind: daypass.ErrUnreachable,
	})
}

func tooMuchAtOnce() error {
	return refusal(http.StatusServiceUnavailable, time.Second, daypass.Problem{
		Code: "DP-875", What: "The access service has as much to do as it can", Next: "Try again in a moment. Your work is safe.",
		Who: "If it lasts, tell the hub's admins.", Kind: daypass.ErrUnreachable,
	})
}

func nothingHere() error {
	return refusal(http.StatusNotFound, 0, daypass.Problem{
		Code: "DP-876", What: "There is nothing at this address", Next: "Check the address, or start from the page of your access.", Kind: daypass.ErrUsage,
	})
}

// notServed makes git ask elsewhere, see [api.StatusNotServed].
func notServed(host string) error {
	return refusal(api.StatusNotServed, 0, daypass.Problem{
		Code: "DP-876", What: "This access service gives nothing for " + clean(host, 80), Next: `Use "daypass login" for that host.`, Kind: daypass.ErrRefused,
	})
}

func wrongMethod(method string) error {
	return refusal(http.StatusMethodNotAllowed, 0, daypass.Problem{
		Code: "DP-877", What: "This address does not take " + clean(method, 16), Next: "The header Allow says what it takes.", Kind: daypass.ErrUsage,
	})
}

func notFromHere(why string) error {
	return refusal(http.StatusForbidden, 0, daypass.Problem{
		Code: "DP-878", What: "This request does not come from a page of the access service", Why: why,
		Next: "Open the page of your access from the hub, and press the button there.",
		Who:  "If something else opened this for you, do not trust it.", Kind: daypass.ErrRefused,
	})
}

func spentForm() error {
	return refusal(http.StatusForbidden, 0, daypass.Problem{
		Code: "DP-879", What: "This form was sent before, or is too old", Why: "each form works once, for an hour, and for the sign-in that it was shown to",
		Next: "Open the page again, look whether it was done already, and if not send the new form.", Kind: daypass.ErrRefused,
	})
}

func notSignedIn() error {
	return refusal(http.StatusForbidden, 0, daypass.Problem{
		Code: "DP-880", What: "You are not signed in here any more", Why: "nothing was changed",
		Next: "Sign in, and do it again.", Kind: daypass.ErrRefused,
	})
}

func badSignIn(why string) error {
	return refusal(http.StatusForbidden, 0, daypass.Problem{
		Code: "DP-881", What: "This sign-in cannot be finished", Why: why, Next: "Start again from the page of your access.", Kind: daypass.ErrRefused,
	})
}

func ownOriginOnly() error {
	return refusal(http.StatusForbidden, 0, daypass.Problem{
		Code: "DP-882", What: "Pages about other people are not shown at this address", Why: "the servers of users have the same origin, and what runs there could use them",
		Next: `Use "daypass admin" on the machine of the access service, or give the service a hostname of its own.`, Kind: daypass.ErrRefused,
	})
}

func adminsOnly() error {
	return refusal(http.StatusForbidden, 0, daypass.Problem{
		Code: "DP-883", What: "This page is for the hub's admins", Next: "Ask them what you want to know.", Kind: daypass.ErrRefused,
	})
}

func lostConsent() error {
	return refusal(http.StatusForbidden, 0, daypass.Problem{
		Code: "DP-884", What: "Nothing was connected", Why: "this browser is not signed in as whoever began",
		Next: "Open the page of your access, sign in, and press Connect there.", Kind: daypass.ErrRefused,
	})
}

func wrongKind(what, next string) error {
	return refusal(http.StatusForbidden, 0, daypass.Problem{
		Code: "DP-885", What: what, Next: next, Kind: daypass.ErrRefused,
	})
}

func stumbled(id string) error {
	return refusal(http.StatusInternalServerError, 0, daypass.Problem{
		Code: "DP-886", What: "The access service could not do this", Next: "Try again in a minute. Your work is safe.",
		Who: "The hub's admins find the request " + id + " in the service's log.",
	})
}

func wrongHook() error {
	return refusal(http.StatusUnauthorized, 0, daypass.Problem{
		Code: "DP-887", What: "The hub's hook did not show the token that it was given", Next: "Tell the hub's admins.",
		Who: "They compare hook_token in the access service's configuration with the one in jupyterhub_config.py.", Kind: daypass.ErrRefused,
	})
}

func needsHub() error {
	return refusal(http.StatusServiceUnavailable, 5*time.Second, daypass.Problem{
		Code: "DP-888", What: "This cannot be done while the hub cannot be reached", Why: "it has to be sure who you are. Nothing was changed",
		Next: "Try again in a minute. What your servers have goes on working.", Kind: daypass.ErrUnreachable,
	})
}

func badForm(why string) error {
	return refusal(http.StatusBadRequest, 0, daypass.Problem{
		Code: "DP-889", What: "The form cannot be used as it is", Why: why, Next: "Go back, and fill it in again.", Kind: daypass.ErrUsage,
	})
}

func notByPass() error {
	return refusal(http.StatusForbidden, 0, daypass.Problem{
		Code: "DP-890", What: "A pass does not open this", Why: "it makes credentials and says whose it is; it makes, shows and ends nothing else",
		Next: "Use your server's own token, or do it in the browser.", Kind: daypass.ErrRefused,
	})
}

func badPass() error {
	return refusal(http.StatusUnauthorized, 0, daypass.Problem{
		Code: "DP-891", What: "This pass is not one that the access service takes", Next: "Check that it is whole, and that DAYPASS_URL is the service that made it.", Kind: daypass.ErrRefused,
	})
}

func noPasses() error {
	return refusal(http.StatusNotFound, 0, daypass.Problem{
		Code: "DP-892", What: "This access service makes no passes", Next: "Use your servers' own tokens.", Who: "The hub's admins can turn passes on.", Kind: daypass.ErrRefused,
	})
}

func noSuchPass(id string) error {
	return &status{http.StatusNotFound, &Refusal{Link: "passes", Problem: &daypass.Problem{
		Code: "DP-893", What: "You have no pass " + clean(id, 64) + " that could be ended or shown", Why: "it ended already, or it never was yours",
		Next: "Look at the list of your passes.", Kind: daypass.ErrRefused,
	}}}
}

// undecided is why a device's code gives no pass (RFC 8628, 3.5).
func undecided(state DeviceState) error {
	p, word := daypass.Problem{Kind: daypass.ErrUsage}, api.DeviceExpired
	switch state {
	case DevicePending:
		word, p.Code, p.What, p.Next = api.DevicePending, "DP-894", "Nobody has confirmed the code yet", "Ask again in a few seconds."
	case DeviceSlow:
		word, p.Code, p.What, p.Next = api.DeviceSlow, "DP-895", "That was asked again too soon", "Wait five seconds longer between two questions from now on."
	case DeviceNo:
		word, p.Code, p.What, p.Next = api.DeviceDenied, "DP-896", "Somebody said no to the code in a browser", "If that was a mistake, begin again."
	default:
		p.Code, p.What, p.Next = "DP-897", "The code is too old, or was used", "Begin again."
	}
	return &status{http.StatusBadRequest, &Refusal{Problem: &p, OAuth: word}}
}

func noSuchCode() error {
	return &status{http.StatusNotFound, &Refusal{Link: "device", Problem: &daypass.Problem{
		Code: "DP-898", What: "No request waits under this code", Why: "it was mistyped, is too old, or was decided already",
		Next: "Compare it with the one in your terminal. If they are the same, begin again there.", Kind: daypass.ErrRefused,
	}}}
}

func noExchange() error {
	return refusal(http.StatusNotFound, 0, daypass.Problem{
		Code: "DP-899", What: "Nothing is exchanged at this address", Next: "Check the address.", Who: "The admins can set up an exchange for jobs.", Kind: daypass.ErrRefused,
	})
}
