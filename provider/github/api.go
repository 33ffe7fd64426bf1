package github

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
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

// A Repository is one that a token sees.
type Repository struct {
	daypass.Repo
	Private  bool
	Push     bool // the account may push there
	Archived bool
}

// An Installation is the App at one owner, as far as this account may see it.
type Installation struct {
	ID        int64
	AppSlug   string
	Owner     string
	OwnerID   int64
	Org       bool
	All       bool // installed on all repositories
	Suspended bool
	Contents  string // "write", "read" or ""
	Workflows bool   // may write workflow files
	Settings  string // the page where its repositories are chosen
	Repos     []Repository
	Complete  bool // Repos is the whole list
}

// Reach is all that a token reaches.
type Reach struct {
	Installations []Installation
	HiddenOrgs    []int64 // organisations that hide behind single sign-on, by id
}

// Pushable returns the repositories that can be pushed to.
func (r Reach) Pushable() []Repository {
	var out []Repository
	for _, in := range r.Installations {
		if in.Suspended || in.Contents != "write" {
			continue
		}
		for _, repo := range in.Repos {
			if repo.Push && !repo.Archived {
				out = append(out, repo)
			}
		}
	}
	return out
}

// Scope returns what the token was seen to reach at host until a moment: each
// repository by name and id. A reach that was not seen whole is everything.
func (r Reach) Scope(host string, until time.Time) daypass.Scope {
	out := daypass.Scope{Host: host, Access: daypass.Write, Until: until}
	for _, in := range r.Installations {
		out.All = out.All || !in.Complete
	}
	for _, repo := range r.Repositories() {
		out.Repos = append(out.Repos, repo.Repo)
	}
	if out.All {
		out.Repos = nil
	}
	return out
}

// Repositories returns every repository in reach, pushable or not.
func (r Reach) Repositories() []Repository {
	var out []Repository
	for _, in := range r.Installations {
		out = append(out, in.Repos...)
	}
	return out
}

// Installation returns the App's installation at owner.
func (r Reach) Installation(owner string) (Installation, bool) {
	for _, in := range r.Installations {
		if daypass.FoldEqual(in.Owner, owner) {
			return in, true
		}
	}
	return Installation{}, false
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

func validLogin(s string) bool {
	_, ok := daypass.ParseRepo(strings.TrimSuffix(s, "[bot]") + "/x")
	return ok
}

// Reach asks for the App's installations and their repositories, as far as the
// token sees them (REST: "List app installations accessible to the user access
// token" and "List repositories accessible to the user access token").
func (c *Client) Reach(ctx context.Context, access daypass.Secret) (Reach, error) {
	cl, g, err := c.rest(access)
	if err != nil {
		return Reach{}, err
	}
	defer c.noteSkew(g)
	var out Reach
	opt := &gh.ListOptions{PerPage: pageSize}
	for range maxPages {
		page, res, err := cl.Apps.ListUserInstallations(ctx, opt)
		if err != nil {
			return Reach{}, c.apiProblem("the App's installations could not be listed", err)
		}
		out.HiddenOrgs = append(out.HiddenOrgs, hiddenOrgs(res.Header)...)
		for _, in := range page {
			one, err := c.installation(ctx, cl, in)
			if err != nil {
				return Reach{}, err
			}
			out.Installations = append(out.Installations, one)
		}
		if res.NextPage == 0 {
			return out, nil
		}
		opt.Page = res.NextPage
	}
	return Reach{}, c.badAnswer("its list of installations has no end", nil)
}

func (c *Client) installation(ctx context.Context, cl *gh.Client, in *gh.Installation) (Installation, error) {
	out := Installation{
		ID: in.GetID(), AppSlug: in.GetAppSlug(), Owner: in.GetAccount().GetLogin(), OwnerID: in.GetAccount().GetID(),
		Org:       in.GetTargetType() == "Organization",
		All:       in.GetRepositorySelection() == "all",
		Suspended: in.SuspendedAt != nil,
		Contents:  in.GetPermissions().GetContents(),
		Workflows: in.GetPermissions().GetWorkflows() == "write",
	}
	if c.host.OwnURL(in.GetHTMLURL()) {
		out.Settings = in.GetHTMLURL()
	}
	if out.Suspended {
		out.Complete = true
		return out, nil
	}
	opt := &gh.ListOptions{PerPage: pageSize}
	for range maxPages {
		page, res, err := cl.Apps.ListUserRepos(ctx, out.ID, opt)
		if err != nil {
			return Installation{}, c.apiProblem("the App's repositories could not be listed", err)
		}
		for _, r := range page.Repositories {
			if one, ok := repository(r); ok {
				out.Repos = append(out.Repos, one)
			}
		}
		if res.NextPage == 0 {
			out.Complete = true
			return out, nil
		}
		opt.Page = res.NextPage
	}
	return out, nil
}

func repository(r *gh.Repository) (Repository, bool) {
	repo, ok := daypass.ParseRepo(r.GetFullName())
	repo.ID = r.GetID()
	return Repository{
		Repo: repo, Private: r.GetPrivate(), Push: r.GetPermissions().GetPush(), Archived: r.GetArchived(),
	}, ok && repo.ID != 0
}

// hiddenOrgs reads X-GitHub-SSO: partial-results; organizations=1,2 (docs:
// "Authenticating with a personal access token and SAML single sign-on").
func hiddenOrgs(h http.Header) []int64 {
	_, list, ok := strings.Cut(h.Get("X-GitHub-SSO"), "organizations=")
	if !ok {
		return nil
	}
	var out []int64
	for _, id := range strings.Split(list, ",") {
		if n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 64); err == nil {
			out = append(out, n)
		}
	}
	return out
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
			return &daypass.Problem{
				Code: "DP-215", What: c.host.Title() + " has no way to end a token from here",
				Next: "End it on " + c.host.AuthorizationsURL() + ".",
				Kind: daypass.ErrRefused, Err: ErrCannotRevoke,
			}
		}
	}
	return c.apiProblem("the token could not be revoked", err)
}
