package github

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// A slowDown is a host's wish for fewer requests; it did nothing.
type slowDown struct {
	host  string
	after time.Duration
}

func (s slowDown) Error() string {
	return s.host + " asks to slow down for " + s.after.Round(time.Second).String()
}

func (s slowDown) Unwrap() error { return daypass.ErrLimited }

// RetryAfter is how long to wait; a minute where the host does not say.
func (s slowDown) RetryAfter() time.Duration { return s.after }

var _ daypass.Limited = slowDown{}

func (i *Issuer) slower(a answer) error { return slowDown{host: i.host.Name, after: a.wait(i.now())} }

func (i *Issuer) spent(doing string) error {
	return fmt.Errorf("%s, %s: %w", i.host.Name, doing, daypass.ErrSpent)
}

func (i *Issuer) noSuchRepo(repo daypass.Repo) error {
	name := repo.String()
	if name == "" {
		name = "number " + strconv.FormatInt(repo.ID, 10)
	}
	return fmt.Errorf("%s, repository %s: %w", i.host.Name, name, daypass.ErrNoSuchRepo)
}

// unusable: there was an answer, or part of one, and it cannot be used.
func (i *Issuer) unusable(why string, err error) error {
	return &daypass.Problem{
		Code: "DP-849", What: i.host.Name + " gave no usable answer", Why: why,
		Next: "Try again in a minute. Commits stay safe where they are.", Kind: daypass.ErrUnreachable, Err: err,
	}
}

func (i *Issuer) notReached(ctx context.Context, err error) error {
	why := "there is no connection"
	var ce *tls.CertificateVerificationError
	switch {
	case errors.As(err, &ce):
		why = "its certificate is not signed by anyone this service trusts"
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		why = "no answer in time"
	case ctx.Err() != nil:
		why, err = "nobody waits for the answer any more", errors.Join(ctx.Err(), err)
	}
	return i.unusable(why, err)
}

// badClient: none of the client secrets is right.
func (i *Issuer) badClient() error {
	return &daypass.Problem{
		Code: "DP-840", What: i.host.Title() + " does not take the access service's client id and secret",
		Why:  "the secret was replaced or deleted, or belongs to another App",
		Next: "Ask whoever runs the access service.",
		Who:  "They make a new client secret in the App's settings and put it first in the list.", Kind: daypass.ErrRefused,
	}
}

// refused tells what an answer of the API means, other than the one hoped for.
// A 401 is a dead token, a 404 a repository that is not shown.
func (i *Issuer) refused(doing string, repo daypass.Repo, a answer) error {
	_, own := a.message()
	switch {
	case a.limited():
		return i.slower(a)
	case !own || a.status >= 500 || a.status < 400:
		return i.unusable("it is out of order (HTTP "+strconv.Itoa(a.status)+")", nil)
	case a.status == http.StatusUnauthorized:
		return i.spent(doing)
	case strings.HasPrefix(a.head.Get("X-GitHub-SSO"), "required"):
		return i.signOn(doing, repo)
	case a.status == http.StatusNotFound && repo != (daypass.Repo{}):
		return i.noSuchRepo(repo)
	}
	return i.no(doing, a)
}

// no: the host said no, and not why in a way that is known here.
func (i *Issuer) no(doing string, a answer) error {
	return &daypass.Problem{
		Code: "DP-848", What: i.host.Title() + " refused: " + doing, Why: "HTTP " + strconv.Itoa(a.status),
		Next: "Ask whoever runs the access service.", Who: "The events there say what was asked.", Kind: daypass.ErrRefused,
	}
}

// signOn: an organisation takes the account only after a sign-in of its own
// (docs: "SAML and GitHub Apps").
func (i *Issuer) signOn(doing string, repo daypass.Repo) error {
	page := i.host.Web
	if repo.Owner != "" {
		page += "/orgs/" + repo.Owner + "/sso"
	}
	return &daypass.Problem{
		Code: "DP-844", What: i.host.Title() + " refused: " + doing, Why: "the organisation hides behind single sign-on",
		Next: "Sign in on " + page + ", then connect again.", Kind: daypass.ErrRefused,
	}
}

func (i *Issuer) notInstalled(owner, what string) error {
	link := i.ReachURL()
	return &daypass.Problem{
		Code: "DP-845", What: "the App is not installed on " + what + ", or may not do there what was asked",
		Next: "Add the repository on " + link + "; no new login is needed.",
		Who:  "An owner of " + owner + " decides.", Kind: daypass.ErrRefused,
	}
}

// wider: what the host made was more than asked for, and was ended.
func (i *Issuer) wider(why string) error {
	return &daypass.Problem{
		Code: "DP-846", What: i.host.Title() + " made a token that is not what was asked for, so nobody is given it", Why: why,
		Next: "Tell whoever runs the access service.", Who: "They report it to the host's support.", Kind: daypass.ErrRefused,
	}
}
