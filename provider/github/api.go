package github

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	gh "github.com/google/go-github/v89/github"

	"github.com/daypass-dev/daypass"
)

const (
	pageSize = 100
	maxPages = 100 // 10,000 repositories of one installation, then the list counts as incomplete
)

// An Account is who a token acts as.
type Account struct {
	ID    int64
	Login string
	Name  string
	Email string // empty where it is private
	host  Host
}

// CommitEmail is the address for commits: the public one, else GitHub's
// noreply address, which links commits to the account without showing a
// private address (docs: "Setting your commit email address").
func (a Account) CommitEmail() string {
	if a.Email != "" {
		return a.Email
	}
	domain := "users.noreply." + hostname(a.host.Name)
	return strconv.FormatInt(a.ID, 10) + "+" + a.Login + "@" + domain
}

// CommitName is the name for commits: the profile's, else the login.
func (a Account) CommitName() string {
	if a.Name != "" {
		return a.Name
	}
	return a.Login
}

func (c *Client) rest(access daypass.Secret) (*gh.Client, *guard, error) {
	g := c.guard(maxAPIBody)
	base := c.host.API + "/"
	opts := []gh.ClientOptionsFunc{
		gh.WithHTTPClient(&http.Client{Transport: g, CheckRedirect: sameHostOnly}),
		gh.WithURLs(&base, nil),
		gh.WithDisableRateLimitCheck(),
	}
	if !access.IsZero() {
		opts = append(opts, gh.WithAuthToken(access.Reveal()))
	}
	cl, err := gh.NewClient(opts...)
	return cl, g, err
}

// Account asks whose token it is.
func (c *Client) Account(ctx context.Context, access daypass.Secret) (Account, error) {
	cl, g, err := c.rest(access)
	if err != nil {
		return Account{}, err
	}
	u, _, err := cl.Users.Get(ctx, "")
	c.noteSkew(g)
	if err != nil {
		return Account{}, c.apiProblem("your account could not be read", err)
	}
	if u.GetLogin() == "" || u.GetID() == 0 || !validLogin(u.GetLogin()) {
		return Account{}, c.badAnswer("it names no account", nil)
	}
	return Account{ID: u.GetID(), Login: u.GetLogin(), Name: plain(u.GetName()), Email: plain(u.GetEmail()), host: c.host}, nil
}

// plain returns s, or "" where it holds what a line of text cannot.
func plain(s string) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.ContainsFunc(s, odd) || len(s) > 256 {
		return ""
	}
	return s
}

// validLogin takes the alphabet of GitHub's logins, with the mark of bots.
func validLogin(s string) bool { return validOwner(strings.TrimSuffix(s, "[bot]")) }

func validOwner(s string) bool {
	_, ok := daypass.ParseRepo(s + "/x")
	return ok
}

// Repository asks for one repository. The zero Secret asks as nobody, which
// shows public repositories only. The answer's name is today's, after a rename.
func (c *Client) Repository(ctx context.Context, access daypass.Secret, repo daypass.Repo) (Repository, error) {
	cl, g, err := c.rest(access)
	if err != nil {
		return Repository{}, err
	}
	r, _, err := cl.Repositories.Get(ctx, repo.Owner, repo.Name)
	c.noteSkew(g)
	if err != nil {
		return Repository{}, c.ownerProblem(repo.String()+" could not be looked up", repo.Owner, err)
	}
	out, ok := repository(r)
	if !ok {
		return Repository{}, c.badAnswer("it names no repository", nil)
	}
	return out, nil
}

// Revoke ends tokens at the host, without a client secret (REST: "Revoke a
// list of credentials": unauthenticated, 202). Where the host offers no such
// way, as GitHub Enterprise Server does not, the error is ErrCannotRevoke.
// github.com and hosts under ghe.com do offer it, so that "not found" from there
// is a failure like any other: something on the way answered in their place.
func (c *Client) Revoke(ctx context.Context, tokens ...daypass.Secret) error {
	var list []string
	for _, t := range tokens {
		if !t.IsZero() {
			list = append(list, t.Reveal())
		}
	}
	if len(list) == 0 {
		return nil
	}
	cl, g, err := c.rest(daypass.Secret{})
	if err != nil {
		return err
	}
	res, err := cl.Credentials.Revoke(ctx, list)
	c.noteSkew(g)
	if res != nil && res.StatusCode == http.StatusAccepted {
		return nil // go-github reports 202 as an error of its own
	}
	if res != nil {
		switch res.StatusCode {
		case http.StatusNotFound, http.StatusUnauthorized, http.StatusMethodNotAllowed:
			if !c.host.EnterpriseServer() {
				return c.badAnswer("where it ends tokens, it answered HTTP "+strconv.Itoa(res.StatusCode), err)
			}
			return &daypass.Problem{
				Code: "DP-215", What: c.host.Title() + " has no way to end a token from here",
				Next: "End it on " + c.host.AuthorizationsURL() + ".",
				Kind: daypass.ErrRefused, Err: ErrCannotRevoke,
			}
		}
	}
	return c.apiProblem("the token could not be revoked", err)
}
