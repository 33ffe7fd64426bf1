package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v89/github"

	"github.com/daypass-dev/daypass"
)

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
	Complete  bool // Repos is the whole list, or Suspended
}

// Reach is all that a token reaches.
type Reach struct {
	Installations []Installation
	HiddenOrgs    []int64 // organisations that hide behind single sign-on, by id
	Complete      bool    // nothing was hidden, left out or cut off
}

// Unseen says in words why the token may reach more than was seen, or "".
func (r Reach) Unseen() string {
	if len(r.HiddenOrgs) > 0 {
		return "an organisation hides behind single sign-on"
	}
	for _, in := range r.Installations {
		if in.Suspended {
			return "the App is suspended at " + in.Owner
		}
	}
	if !r.Complete {
		return "the host showed only part of its list"
	}
	return ""
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
// repository by name and id. A reach that was not seen whole is everything; so
// is one with a suspended installation, which can come back at any time.
func (r Reach) Scope(host string, until time.Time) daypass.Scope {
	out := daypass.Scope{Host: host, Access: daypass.Write, Until: until}
	if r.Unseen() != "" {
		out.All = true
		return out
	}
	for _, repo := range r.Repositories() {
		out.Repos = append(out.Repos, repo.Repo)
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

// A tally counts what a list showed against what the host says it holds.
type tally struct {
	seen  map[int64]bool
	total int  // the host's total_count; below 0 before the first page
	odd   bool // an entry was left out, or the host named no total or two
}

func newTally() *tally { return &tally{seen: map[int64]bool{}, total: -1} }

func (t *tally) page(total *int) {
	if total == nil || *total < 0 || t.total >= 0 && *total != t.total {
		t.odd = true
		return
	}
	t.total = *total
}

// whole reports whether the list was seen whole: each entry once, as many as
// the host says that there are.
func (t *tally) whole() bool { return !t.odd && len(t.seen) == t.total }

// Reach asks for the App's installations and their repositories, as far as the
// token sees them (REST: "List app installations accessible to the user access
// token" and "List repositories accessible to the user access token").
func (c *Client) Reach(ctx context.Context, access daypass.Secret) (Reach, error) {
	cl, g, err := c.rest(access)
	if err != nil {
		return Reach{}, err
	}
	defer c.noteSkew(g)
	out := Reach{Complete: true}
	count := newTally()
	for page := 1; page <= maxPages; {
		var list installationList
		res, err := c.list(ctx, cl, "user/installations", page, &list)
		if err != nil {
			return Reach{}, c.apiProblem("the App's installations could not be listed", err)
		}
		out.hidden(res.Header)
		count.page(list.TotalCount)
		for _, in := range list.Installations {
			one, ok := c.described(in)
			if !ok || count.seen[one.ID] {
				count.odd = true
				continue
			}
			if err := c.fill(ctx, cl, &one, &out); err != nil {
				return Reach{}, err
			}
			count.seen[one.ID] = true
			out.Complete = out.Complete && one.Complete
			out.Installations = append(out.Installations, one)
		}
		if res.NextPage <= page {
			out.Complete = out.Complete && count.whole() && res.NextPage == 0
			return out, nil
		}
		page = res.NextPage
	}
	return Reach{}, c.badAnswer("its list of installations has no end", nil)
}

// An installationList is a page of installations; go-github's own method drops
// how many there are in all.
type installationList struct {
	TotalCount    *int               `json:"total_count"`
	Installations []*gh.Installation `json:"installations"`
}

// list asks for one page of a list.
func (c *Client) list(ctx context.Context, cl *gh.Client, path string, page int, into any) (*gh.Response, error) {
	req, err := cl.NewRequest(ctx, http.MethodGet, fmt.Sprintf("%s?per_page=%d&page=%d", path, pageSize, page), nil)
	if err != nil {
		return nil, err
	}
	return cl.Do(req, into)
}

// described takes over what an answer says of an installation, each word within
// its own alphabet, for it is shown; false where it names no owner or no number.
func (c *Client) described(in *gh.Installation) (Installation, bool) {
	out := Installation{
		ID: in.GetID(), Owner: in.GetAccount().GetLogin(), OwnerID: in.GetAccount().GetID(),
		Org:       in.GetTargetType() == "Organization",
		All:       in.GetRepositorySelection() != "selected", // an unknown word is the wider one
		Suspended: in != nil && in.SuspendedAt != nil,
		Workflows: in.GetPermissions().GetWorkflows() == "write",
	}
	if s := in.GetPermissions().GetContents(); s == "read" || s == "write" {
		out.Contents = s
	}
	if _, ok := daypass.ParseRepo("x/" + in.GetAppSlug()); ok {
		out.AppSlug = in.GetAppSlug()
	}
	if c.host.OwnURL(in.GetHTMLURL()) {
		out.Settings = in.GetHTMLURL()
	}
	return out, out.ID > 0 && validOwner(out.Owner)
}

// fill lists the repositories of an installation.
func (c *Client) fill(ctx context.Context, cl *gh.Client, in *Installation, reach *Reach) error {
	if in.Suspended {
		in.Complete = true
		return nil
	}
	count := newTally()
	path := fmt.Sprintf("user/installations/%d/repositories", in.ID)
	for page := 1; page <= maxPages; {
		var list gh.ListRepositories
		res, err := c.list(ctx, cl, path, page, &list)
		if err != nil {
			return c.apiProblem("the App's repositories could not be listed", err)
		}
		reach.hidden(res.Header)
		count.page(list.TotalCount)
		for _, r := range list.Repositories {
			one, ok := repository(r)
			if !ok || count.seen[one.ID] {
				count.odd = true
				continue
			}
			count.seen[one.ID] = true
			in.Repos = append(in.Repos, one)
		}
		if res.NextPage <= page {
			in.Complete = count.whole() && res.NextPage == 0
			return nil
		}
		page = res.NextPage
	}
	return nil
}

func repository(r *gh.Repository) (Repository, bool) {
	repo, ok := daypass.ParseRepo(r.GetFullName())
	repo.ID = r.GetID()
	return Repository{
		Repo: repo, Private: r.GetPrivate(), Push: r.GetPermissions().GetPush(), Archived: r.GetArchived(),
	}, ok && repo.ID > 0
}

// hidden reads X-GitHub-SSO: partial-results; organizations=1,2 (docs:
// "Authenticating with a personal access token and SAML single sign-on"). The
// header alone, whatever it says, means that this is not all.
func (r *Reach) hidden(h http.Header) {
	said := h.Get("X-GitHub-SSO")
	if said == "" {
		return
	}
	r.Complete = false
	_, list, _ := strings.Cut(said, "organizations=")
	for _, id := range strings.Split(list, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 64)
		if err == nil && n > 0 && !slices.Contains(r.HiddenOrgs, n) {
			r.HiddenOrgs = append(r.HiddenOrgs, n)
		}
	}
}
