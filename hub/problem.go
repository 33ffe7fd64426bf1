package hub

import (
	"errors"

	"github.com/daypass-dev/daypass"
)

var (
	// ErrServiceToken is wrapped where the hub does not take the service's own
	// token, or gives it too little: no caller's fault, and nothing that a caller
	// can mend.
	ErrServiceToken = errors.New("the hub does not accept the access service's own token")
	// ErrNoUser is wrapped where the hub has nobody of that name.
	ErrNoUser = errors.New("the hub has no such user")

	errUnknown = errors.New("the hub does not know the token")
)

func unreachable(err error) error {
	return &daypass.Problem{
		Code: "DP-801", What: "The hub could not be asked whose request this is", Why: err.Error(),
		Next: "Try again in a moment.", Who: "If it lasts, tell the hub's admins.",
		Kind: daypass.ErrUnreachable, Err: err,
	}
}

func unknownToken() error {
	return &daypass.Problem{
		Code: "DP-802", What: "The hub does not know this token",
		Why:  "the server that it was made for has ended, or it was revoked or mistyped",
		Next: "Restart your server, or log in to the hub again.", Kind: daypass.ErrRefused, Err: errUnknown,
	}
}

func notForUs(service string) error {
	return &daypass.Problem{
		Code: "DP-803", What: "The hub does not let this token use " + service,
		Why:  "it lacks the scope access:services!service=" + service,
		Next: "Restart your server after the hub's admins have added that scope.", Who: "The hub's admins add it in jupyterhub_config.py.",
		Kind: daypass.ErrRefused,
	}
}

func notAPerson() error {
	return &daypass.Problem{
		Code: "DP-804", What: "This token is a service's, and belongs to nobody",
		Next: "Use a token of your own, or your server's.", Kind: daypass.ErrRefused,
	}
}

func ownToken(why string) error {
	return &daypass.Problem{
		Code: "DP-805", What: "The hub does not accept the access service's own token", Why: why,
		Next: "Tell the hub's admins.", Who: "They compare the service's token and role in jupyterhub_config.py with the access service's configuration.",
		Kind: daypass.ErrUnreachable, Err: ErrServiceToken,
	}
}

func badCode() error {
	return &daypass.Problem{
		Code: "DP-806", What: "The hub did not confirm this sign-in",
		Why:  "its code was used before, is too old, or was made for another page",
		Next: "Start again from the page that you came from.", Kind: daypass.ErrRefused,
	}
}

func noUser() error {
	return &daypass.Problem{
		Code: "DP-807", What: "The hub has nobody of that name",
		Next: "Look the name up in the hub's admin page.", Kind: daypass.ErrRefused, Err: ErrNoUser,
	}
}
