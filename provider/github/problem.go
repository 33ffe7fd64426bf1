package github

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v89/github"
	"golang.org/x/oauth2"

	"github.com/daypass-dev/daypass"
)

// Errors that callers act on, beside the kinds of package daypass.
var (
	ErrCannotRevoke = errors.New("the host has no revocation")
	ErrNotFound     = errors.New("the host shows no such thing")
	ErrLimited      = errors.New("the host asks to slow down")
	ErrRefreshSpent = errors.New("the refresh token is used, expired or wrong")
)

// oauthProblem turns what x/oauth2 reports into words with a next step. Its
// errors hold the whole answer and are never shown.
func (c *Client) oauthProblem(err error) error {
	var re *oauth2.RetrieveError
	if errors.As(err, &re) && re.ErrorCode != "" {
		return c.deviceProblem(re.ErrorCode, re.Response)
	}
	return c.reachProblem(err)
}

func (c *Client) deviceProblem(code string, res *http.Response) error {
	p := &daypass.Problem{Kind: daypass.ErrRefused}
	title := c.host.Title()
	switch code {
	case "Not Found", "Not found", "incorrect_client_credentials":
		p.Code, p.What = "DP-202", title+" knows no App with the client id "+quote(c.clientID)
		p.Why = "an App's id, its secret or a link may have been pasted instead, or the App belongs to another GitHub host"
		p.Next = "Ask whoever runs this machine for the right client id."
		p.Who = "Admins find it on the App's page as \"Client ID\", starting with Iv."
	case "device_flow_disabled":
		p.Code, p.What = "DP-203", "the App does not let people log in with a code"
		p.Next = "Ask whoever runs this machine to open the App's settings and tick \"Enable Device Flow\"."
	case "access_denied":
		p.Code, p.What = "DP-204", "you pressed Cancel on "+title+", so nothing was granted"
		p.Next = `Run "daypass login" again when you are ready.`
	case "expired_token", "token_expired":
		return c.codeExpired(nil)
	case "unverified_user_email":
		p.Code, p.What = "DP-206", title+" gives no access to an account whose e-mail address is not verified"
		p.Next = "Verify it on " + c.host.Web + "/settings/emails, then run \"daypass login\" again."
	case "incorrect_device_code", "unsupported_grant_type":
		p.Code, p.What = "DP-207", title+" did not accept the login's own code ("+code+")"
		p.Next = `Run "daypass login" again; if it stays, send the output of "daypass doctor" to whoever runs this machine.`
	case "bad_refresh_token":
		p.Code, p.What = "DP-219", title+" did not renew your access"
		p.Why = "the renewal was used before, or has ended"
		p.Next = `Run "daypass login" again.`
		p.Kind, p.Err = daypass.ErrNoLogin, ErrRefreshSpent
	default:
		if res != nil && res.StatusCode == http.StatusNotFound {
			return c.badAnswer("there is no login for devices at "+c.host.Name, nil)
		}
		p.Code, p.What = "DP-208", title+" refused with "+quote(code)
		p.Next = `Run "daypass login" again; if it stays, ask whoever runs this machine.`
	}
	return p
}

func (c *Client) codeExpired(err error) error {
	return &daypass.Problem{
		Code: "DP-205", What: "the code ended before it was used",
		Next: `Run "daypass login" for a new one.`, Kind: daypass.ErrNoLogin, Err: err,
	}
}

// apiProblem turns what go-github reports into words.
func (c *Client) apiProblem(what string, err error) error {
	return c.ownerProblem(what, "NAME", err)
}

// ownerProblem is apiProblem where it is known whose repository it is about.
func (c *Client) ownerProblem(what, owner string, err error) error {
	var limit *gh.RateLimitError
	var abuse *gh.AbuseRateLimitError
	var er *gh.ErrorResponse
	switch {
	case errors.As(err, &limit):
		return c.limited(what, limit.Rate.Reset.Time)
	case errors.As(err, &abuse):
		var until time.Time
		if abuse.RetryAfter != nil {
			until = c.now().Add(*abuse.RetryAfter)
		}
		return c.limited(what, until)
	case errors.As(err, &er) && er.Response != nil && strings.HasPrefix(er.Response.Header.Get("X-GitHub-SSO"), "required"):
		return c.singleSignOn(what, owner, err)
	case errors.As(err, &er) && er.Response != nil:
		return c.statusProblem(what, er.Response.StatusCode, err)
	}
	return c.reachProblem(err)
}

// singleSignOn: the organisation takes this account only after a sign-in of its
// own (docs: "SAML and GitHub Apps").
func (c *Client) singleSignOn(what, owner string, err error) error {
	return &daypass.Problem{
		Code: "DP-606", What: what, Why: "the organisation hides behind single sign-on",
		Next: "Sign in on " + c.host.Web + "/orgs/" + owner + "/sso, then run \"daypass login\" again.",
		Kind: daypass.ErrRefused, Err: err,
	}
}

func (c *Client) limited(what string, until time.Time) error {
	p := &daypass.Problem{
		Code: "DP-304", What: what, Why: c.host.Title() + " asks this address to slow down",
		Next: "Try again in a few minutes.", Kind: daypass.ErrUnreachable, Err: ErrLimited,
	}
	if !until.IsZero() {
		p.Next = "Try again after " + until.Local().Format("15:04 MST") + "."
	}
	return p
}

func (c *Client) statusProblem(what string, status int, err error) error {
	switch {
	case status == http.StatusUnauthorized:
		return &daypass.Problem{
			Code: "DP-305", What: what, Why: c.host.Title() + " no longer accepts the token",
			Next: `Run "daypass login" again.`, Kind: daypass.ErrNoLogin, Err: err,
		}
	case status == http.StatusNotFound:
		return &daypass.Problem{
			Code: "DP-306", What: what, Why: c.host.Title() + " shows no such thing to this account",
			Next: "Check the name; a private repository shows only where the App is installed.",
			Kind: daypass.ErrRefused, Err: ErrNotFound,
		}
	case status >= 400 && status < 500:
		return &daypass.Problem{
			Code: "DP-307", What: what, Why: c.host.Title() + " refused (HTTP " + strconv.Itoa(status) + ")",
			Next: `Run "daypass check" to see what is missing.`, Kind: daypass.ErrRefused, Err: err,
		}
	}
	return c.badAnswer("it is out of order", err)
}

// reachProblem is for everything that was no proper answer.
func (c *Client) reachProblem(err error) error {
	var re *oauth2.RetrieveError
	var ce *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errRedirect):
		return c.badAnswer("it answered with a redirect to another place, which was not followed", err)
	case errors.Is(err, errTooLong):
		return c.badAnswer("its answer is longer than daypass reads", err)
	case errors.Is(err, errCut):
		return c.badAnswer("its answer ended early", err)
	case errors.As(err, &re):
		return c.badAnswer("it is out of order", err)
	case errors.As(err, &ce):
		return &daypass.Problem{
			Code: "DP-303", What: c.host.Name + " could not prove that it is " + c.host.Name,
			Why:  "its certificate is not signed by anyone this machine trusts",
			Next: "On a network with its own certificates, set SSL_CERT_FILE to the file your admins give out.",
			Kind: daypass.ErrUnreachable, Err: err,
		}
	case errors.Is(err, context.DeadlineExceeded):
		return c.unreachable("no answer in time", err)
	}
	var netErr interface{ Timeout() bool }
	if errors.As(err, &netErr) {
		return c.unreachable("no connection", err)
	}
	return c.badAnswer("its answer makes no sense", err)
}

func (c *Client) unreachable(why string, err error) error {
	return &daypass.Problem{
		Code: "DP-301", What: c.host.Name + " cannot be reached", Why: why,
		Next: "Check the network (and HTTPS_PROXY, if this machine needs one), then try again. Commits stay safe on this machine.",
		Kind: daypass.ErrUnreachable, Err: err,
	}
}

func (c *Client) badAnswer(why string, err error) error {
	return &daypass.Problem{
		Code: "DP-302", What: c.host.Name + " gave no usable answer", Why: why,
		Next: "Try again in a minute; if it stays, something between this machine and " + c.host.Name + " changes the traffic.",
		Who:  "Whoever runs the network can tell.",
		Kind: daypass.ErrUnreachable, Err: err,
	}
}
