package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
)

// asUser asks with a person's token. A token that was made just now may be
// refused by some of the host's machines: it is the use that is tried again,
// never the making.
func (i *Issuer) asUser(ctx context.Context, access daypass.Secret, path string, limit int64) (answer, error) {
	for try := 1; ; try++ {
		a, err := i.ask(ctx, call{method: http.MethodGet, url: i.host.API + path, as: bearer(access), limit: limit})
		if err != nil || !a.says(http.StatusUnauthorized) || try == 3 || !pause.For(ctx, lag) {
			return a, err
		}
	}
}

// Whose says whose the access token is (REST: "Get the authenticated user").
func (i *Issuer) Whose(ctx context.Context, access daypass.Secret) (daypass.Account, error) {
	const doing = "to say whose the token is"
	if access.IsZero() {
		return daypass.Account{}, i.spent(doing)
	}
	a, err := i.asUser(ctx, access, "/user", 0)
	if err != nil {
		return daypass.Account{}, err
	}
	var u struct {
		ID    int64   `json:"id"`
		Login string  `json:"login"`
		Name  *string `json:"name"`
		Email *string `json:"email"`
	}
	if a.status != http.StatusOK {
		return daypass.Account{}, i.refused(doing, daypass.Repo{}, a)
	}
	if !a.into(&u) || u.ID <= 0 || !validLogin(u.Login) {
		return daypass.Account{}, i.unusable("it names no account", nil)
	}
	out := Account{ID: u.ID, Login: u.Login, host: i.host}
	if u.Name != nil {
		out.Name = plain(*u.Name)
	}
	if u.Email != nil {
		out.Email = plain(*u.Email)
	}
	return daypass.Account{ID: out.ID, Login: out.Login, Name: out.Name, Email: out.CommitEmail()}, nil
}

// repoAnswer is a repository as lists and single answers have it.
type repoAnswer struct {
	ID          int64  `json:"id"`
	FullName    string `json:"full_name"`
	Private     bool   `json:"private"`
	Archived    bool   `json:"archived"`
	Disabled    bool   `json:"disabled"`
	Permissions struct {
		Admin bool `json:"admin"`
		Push  bool `json:"push"`
		Pull  bool `json:"pull"`
	} `json:"permissions"`
}

// right reads what the answer says that its reader may do. Public repositories
// are everybody's to read, archived ones nobody's to write.
func (r repoAnswer) right() (daypass.Right, bool) {
	repo, ok := daypass.ParseRepo(r.FullName)
	repo.ID = r.ID
	out := daypass.Right{Repo: repo, Admin: r.Permissions.Admin, Private: r.Private}
	switch {
	case r.Permissions.Push && !r.Archived && !r.Disabled:
		out.Access = daypass.Write
	case r.Permissions.Pull || r.Permissions.Push || !r.Private:
		out.Access = daypass.Read
	}
	return out, ok && repo.ID > 0
}

// repoPath names a repository to the API: by its number where that is known,
// for names change hands.
func repoPath(repo daypass.Repo) (string, bool) {
	if repo.ID > 0 {
		return "/repositories/" + strconv.FormatInt(repo.ID, 10), true
	}
	_, ok := daypass.ParseRepo(repo.String())
	return "/repos/" + url.PathEscape(repo.Owner) + "/" + url.PathEscape(repo.Name), ok
}

// RightTo says what the owner of the access token may do with a repository
// (REST: "Get a repository"). The answer has its name of today.
func (i *Issuer) RightTo(ctx context.Context, access daypass.Secret, repo daypass.Repo) (daypass.Right, error) {
	path, ok := repoPath(repo)
	if !ok {
		return daypass.Right{}, i.noSuchRepo(repo)
	}
	if access.IsZero() {
		return daypass.Right{}, i.spent("to look up a repository")
	}
	a, err := i.asUser(ctx, access, path, 0)
	if err != nil {
		return daypass.Right{}, err
	}
	if a.status != http.StatusOK {
		return daypass.Right{}, i.notShown(repo, a)
	}
	var r repoAnswer
	if !a.into(&r) {
		return daypass.Right{}, i.unusable("it names no repository", nil)
	}
	right, ok := r.right()
	if !ok || repo.ID > 0 && right.Repo.ID != repo.ID {
		return daypass.Right{}, i.unusable("it names no repository, or another one", nil)
	}
	if right.Access == daypass.NoAccess {
		return daypass.Right{}, i.noSuchRepo(repo)
	}
	return right, nil
}

// notShown: a plain 403 for a repository is one that this token is not let to.
func (i *Issuer) notShown(repo daypass.Repo, a answer) error {
	if a.says(http.StatusForbidden) && !a.limited() && a.head.Get("X-GitHub-SSO") == "" {
		return i.noSuchRepo(repo)
	}
	return i.refused("to look up a repository", repo, a)
}

// A tour is what was seen of a token's reach.
type tour struct {
	whole     bool // every list came to its end
	hidden    bool // an organisation hides behind single sign-on
	suspended bool // the App is suspended somewhere
}

// visit goes through the installations and repositories that a person's token
// reaches (REST: "List app installations accessible to the user access token",
// "List repositories accessible to the user access token"), until see says no.
func (i *Issuer) visit(ctx context.Context, access daypass.Secret, see func(Installation, repoAnswer) bool) (tour, error) {
	out := tour{whole: true}
	reader := Client{host: i.host}
	count := newTally()
	for page := 1; page <= maxPages; page++ {
		var list installationList
		a, err := i.listed(ctx, access, "/user/installations", page, &list)
		if err != nil {
			return tour{}, err
		}
		out.hidden = out.hidden || a.head.Get("X-GitHub-SSO") != ""
		count.page(list.TotalCount)
		for _, in := range list.Installations {
			one, ok := reader.described(in)
			if !ok || count.seen[one.ID] {
				count.odd = true
				continue
			}
			count.seen[one.ID] = true
			if one.Suspended {
				out.suspended = true
				continue
			}
			on, whole, err := i.visitOne(ctx, access, one, see)
			if err != nil {
				return tour{}, err
			}
			if out.whole = out.whole && whole; !on {
				return out, nil
			}
		}
		if len(list.Installations) == 0 || len(count.seen) >= count.total {
			out.whole = out.whole && count.whole()
			return out, nil
		}
	}
	out.whole = false
	return out, nil
}

// visitOne goes through one installation; on is false where see said no.
func (i *Issuer) visitOne(ctx context.Context, access daypass.Secret, in Installation, see func(Installation, repoAnswer) bool) (on, whole bool, err error) {
	count := newTally()
	path := fmt.Sprintf("/user/installations/%d/repositories", in.ID)
	for page := 1; page <= maxPages; page++ {
		var list struct {
			TotalCount   *int         `json:"total_count"`
			Repositories []repoAnswer `json:"repositories"`
		}
		a, err := i.listed(ctx, access, path, page, &list)
		if err != nil {
			return false, false, err
		}
		count.odd = count.odd || a.head.Get("X-GitHub-SSO") != ""
		count.page(list.TotalCount)
		for _, r := range list.Repositories {
			if _, ok := r.right(); !ok || count.seen[r.ID] {
				count.odd = true
				continue
			}
			count.seen[r.ID] = true
			if !see(in, r) {
				return false, false, nil
			}
		}
		if len(list.Repositories) == 0 || len(count.seen) >= count.total {
			return true, count.whole(), nil
		}
	}
	return true, false, nil
}

func (i *Issuer) listed(ctx context.Context, access daypass.Secret, path string, page int, into any) (answer, error) {
	a, err := i.asUser(ctx, access, fmt.Sprintf("%s?per_page=%d&page=%d", path, pageSize, page), maxList)
	switch {
	case err != nil:
		return a, err
	case a.status != http.StatusOK:
		return a, i.refused("to list what the App reaches", daypass.Repo{}, a)
	case !a.into(into):
		return a, i.unusable("its list makes no sense", nil)
	}
	return a, nil
}

// Reach lists what the access token reaches, each repository with what both its
// owner and the App may do there.
func (i *Issuer) Reach(ctx context.Context, access daypass.Secret, limit int) ([]daypass.Right, bool, error) {
	if access.IsZero() {
		return nil, false, i.spent("to list what the App reaches")
	}
	var out []daypass.Right
	full := false
	t, err := i.visit(ctx, access, func(in Installation, r repoAnswer) bool {
		if len(out) >= limit {
			full = true
			return false
		}
		right, _ := r.right()
		right.Access = min(right.Access, daypass.ParseAccess(in.Contents))
		out = append(out, right)
		return true
	})
	if err != nil {
		return nil, false, err
	}
	return out, t.whole && !t.hidden && !t.suspended && !full, nil
}
