package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/daypass-dev/daypass"
)

func refused(code, what, why, next string) error {
	return &daypass.Problem{Code: code, What: what, Why: why, Next: next, Who: "An admin compares the developer key's scopes and addresses with the manual.", Kind: daypass.ErrRefused}
}

func (i *Issuer) spent() error {
	return fmt.Errorf("%s: %w", i.Config.Host, daypass.ErrSpent)
}

// unusable: there was no answer, or one that says nothing about what was done.
func (i *Issuer) unusable(why string, err error) error {
	var ce *tls.CertificateVerificationError
	switch {
	case errors.As(err, &ce):
		why = "its certificate is not signed by anyone this service trusts"
	case errors.Is(err, context.DeadlineExceeded):
		why = "no answer in time"
	}
	if err != nil { // its text names the address
		err = errors.Unwrap(err)
	}
	return &daypass.Problem{Code: "DP-433", What: "Canvas at " + i.Config.Host + " gave no usable answer", Why: why, Next: "Try again in a minute.", Kind: daypass.ErrUnreachable, Err: err}
}

// A slowDown is a site's wish for fewer requests; it did nothing.
type slowDown struct {
	host  string
	after time.Duration
}

var _ daypass.Limited = slowDown{}

func (s slowDown) Error() string             { return s.host + " asks to slow down for " + s.after.String() }
func (s slowDown) Unwrap() error             { return daypass.ErrLimited }
func (s slowDown) RetryAfter() time.Duration { return s.after }

// What follows is of repositories, which Canvas has none of.

func (i *Issuer) none() error {
	return &daypass.Problem{Code: "DP-434", What: "Canvas at " + i.Config.Host + " has no repositories", Next: "Pull a course's files instead.", Kind: daypass.ErrRefused}
}

// RightTo refuses.
func (i *Issuer) RightTo(context.Context, daypass.Secret, daypass.Repo) (daypass.Right, error) {
	return daypass.Right{}, i.none()
}

// Reach refuses.
func (i *Issuer) Reach(context.Context, daypass.Secret, int) ([]daypass.Right, bool, error) {
	return nil, false, i.none()
}

// Narrow refuses: nobody is given a token.
func (i *Issuer) Narrow(context.Context, daypass.Secret, daypass.Scope) (daypass.Child, error) {
	return daypass.Child{}, i.none()
}

// IssueAsHub refuses.
func (i *Issuer) IssueAsHub(context.Context, daypass.Scope) (daypass.Child, error) {
	return daypass.Child{}, i.none()
}

// LookAsHub refuses.
func (i *Issuer) LookAsHub(context.Context, daypass.Repo) (daypass.Right, error) {
	return daypass.Right{}, i.none()
}

// RightAsHub refuses.
func (i *Issuer) RightAsHub(context.Context, daypass.Repo, daypass.Account) (daypass.Right, error) {
	return daypass.Right{}, i.none()
}
