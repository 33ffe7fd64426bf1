package github

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/daypass-dev/daypass"
)

const (
	jwtBack  = time.Minute     // iat: clocks differ
	jwtAhead = 9 * time.Minute // exp: GitHub takes ten at most
	ownerTTL = time.Hour
	maxOwner = 10_000 // owners that are remembered
)

// atOneOwner is the content App at one owner.
type atOneOwner struct {
	id    int64
	reads bool // it may read contents there
	until time.Time
	known bool // from memory, not asked just now
}

func (i *Issuer) noContent() error {
	return &daypass.Problem{
		Code: "DP-847", What: "no App for content is set up at " + i.host.Name, Next: "Connect your own account instead.",
		Who: "Whoever runs the access service can set one up: \"daypass admin app new\".", Kind: daypass.ErrRefused,
	}
}

func (i *Issuer) badKey() error {
	return &daypass.Problem{
		Code: "DP-847", What: i.host.Title() + " does not take the content App's private key",
		Why: "the key was deleted, or belongs to another App", Next: "Ask whoever runs the access service.",
		Who: "They make a new key in the App's settings.", Kind: daypass.ErrRefused,
	}
}

// asContent asks as the content App itself (docs: "Generating a JSON Web Token
// for a GitHub App"). Where the host finds fault with the times, its own clock
// is taken, once.
func (i *Issuer) asContent(ctx context.Context, c call) (answer, error) {
	app := i.content
	for try := 1; ; try++ {
		app.mu.Lock()
		at := i.now().Add(app.offset)
		app.mu.Unlock()
		token, err := app.sign(jwt.RegisteredClaims{
			Issuer: app.clientID, IssuedAt: jwt.NewNumericDate(at.Add(-jwtBack)), ExpiresAt: jwt.NewNumericDate(at.Add(jwtAhead)),
		})
		if err != nil {
			return answer{}, i.badKey()
		}
		c.as = bearer(daypass.NewSecret(token))
		a, err := i.ask(ctx, c)
		if err != nil || !a.says(http.StatusUnauthorized) {
			return a, err
		}
		date, noDate := http.ParseTime(a.head.Get("Date"))
		if said, _ := a.message(); try == 2 || noDate != nil || !aboutClock(said) {
			return answer{}, i.badKey()
		}
		app.mu.Lock()
		app.offset = date.Sub(i.now())
		app.mu.Unlock()
	}
}

// aboutClock reports whether a refusal is about the times in a JWT: "'Issued
// at' claim ('iat') must be an Integer representing the time that the assertion
// was issued", "'Expiration time' claim ('exp') is too far in the future".
func aboutClock(said string) bool {
	said = strings.ToLower(said)
	for _, word := range []string{"issued at", "expiration time", "'iat'", "'exp'"} {
		if strings.Contains(said, word) {
			return true
		}
	}
	return false
}

// at finds the content App's installation for a repository (REST: "Get a
// repository installation for the authenticated app"), and remembers it by
// owner. Where the host sent on from an old name, number is the repository's.
func (i *Issuer) at(ctx context.Context, repo daypass.Repo) (in atOneOwner, number int64, err error) {
	app, key := i.content, daypass.FoldASCII(repo.Owner)
	app.mu.Lock()
	known := app.owners[key]
	app.mu.Unlock()
	if known != nil && i.now().Before(known.until) {
		in = *known
		in.known = true
		return in, repo.ID, nil
	}
	path, ok := repoPath(daypass.Repo{Owner: repo.Owner, Name: repo.Name})
	if !ok {
		return in, 0, i.noSuchRepo(repo)
	}
	a, err := i.asContent(ctx, call{method: http.MethodGet, url: i.host.API + path + "/installation"})
	if err != nil {
		return in, 0, err
	}
	var said struct {
		ID          int64             `json:"id"`
		Permissions map[string]string `json:"permissions"`
		Account     struct {
			Login string `json:"login"`
		} `json:"account"`
	}
	switch {
	case a.status != http.StatusOK:
		return in, 0, i.notShown(repo, a)
	case !a.into(&said) || said.ID <= 0:
		return in, 0, i.unusable("it names no installation", nil)
	}
	in = atOneOwner{id: said.ID, reads: daypass.ParseAccess(said.Permissions["contents"]) >= daypass.Read, until: i.now().Add(ownerTTL)}
	if number = repo.ID; number == 0 {
		number = numberIn(a.url)
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	if len(app.owners) >= maxOwner {
		clear(app.owners)
	}
	if daypass.FoldEqual(said.Account.Login, repo.Owner) { // else it has moved to another owner
		app.owners[key] = &in
	}
	return in, number, nil
}

// numberIn reads the number in ".../repositories/42/installation", to which an
// old name leads.
func numberIn(link string) int64 {
	u, err := url.Parse(link)
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(u.Path, "/repositories/")
	text, _, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || n < 0 {
		return 0
	}
	return n
}

func (i *Issuer) forget(repo daypass.Repo) {
	i.content.mu.Lock()
	defer i.content.mu.Unlock()
	delete(i.content.owners, daypass.FoldASCII(repo.Owner))
}

// A machineToken is the answer to "Create an installation access token for an
// app" (REST: "Apps").
type machineToken struct {
	Token       string            `json:"token"`
	Expires     time.Time         `json:"expires_at"`
	Permissions map[string]string `json:"permissions"`
	Selection   string            `json:"repository_selection"`
	Repos       []repoAnswer      `json:"repositories"`
}

// mint makes a token of the content App for one repository, and looks at what
// came. A token that is not what was asked for is ended.
func (i *Issuer) mint(ctx context.Context, repo daypass.Repo, permissions map[string]string) (machineToken, repoAnswer, error) {
	if i.content == nil {
		return machineToken{}, repoAnswer{}, i.noContent()
	}
	a, err := i.askMint(ctx, repo, permissions)
	if err != nil {
		i.discard(ctx, findTokens(a.body)...)
		return machineToken{}, repoAnswer{}, err
	}
	switch {
	case a.says(http.StatusNotFound, http.StatusUnprocessableEntity):
		return machineToken{}, repoAnswer{}, i.noSuchRepo(repo)
	case a.says(http.StatusForbidden) && !a.limited():
		return machineToken{}, repoAnswer{}, i.suspended(repo)
	case a.status != http.StatusCreated:
		return machineToken{}, repoAnswer{}, i.refused("to make a token for content", repo, a)
	}
	var said machineToken
	okay := a.into(&said) && sane(said.Token) && machine(daypass.NewSecret(said.Token))
	token := daypass.NewSecret(said.Token)
	if !okay {
		i.discard(ctx, findTokens(a.body)...)
		return machineToken{}, repoAnswer{}, i.unusable("it holds no token that can be used", nil)
	}
	said.Expires = a.atOurs(said.Expires, i.now())
	one, err := i.proveMint(ctx, said, repo, permissions)
	if err != nil {
		return machineToken{}, repoAnswer{}, ended(err, i.discard(ctx, token))
	}
	return said, one, nil
}

// askMint asks once more where what was remembered of the owner is not so any
// more, or an old name has to be looked up.
func (i *Issuer) askMint(ctx context.Context, repo daypass.Repo, permissions map[string]string) (answer, error) {
	for try := 1; ; try++ {
		in, number, err := i.at(ctx, repo)
		if err != nil {
			return answer{}, err
		}
		fields := map[string]any{"permissions": permissions}
		if number > 0 {
			fields["repository_ids"] = []int64{number}
		} else {
			fields["repositories"] = []string{repo.Name}
		}
		a, err := i.asContent(ctx, call{
			method: http.MethodPost, url: i.host.API + "/app/installations/" + strconv.FormatInt(in.id, 10) + "/access_tokens", fields: fields,
		})
		gone := err == nil && a.says(http.StatusNotFound, http.StatusForbidden, http.StatusUnprocessableEntity) && !a.limited()
		if gone {
			i.forget(repo)
		}
		if !gone || try == 2 || !in.known {
			return a, err
		}
	}
}

func (i *Issuer) suspended(repo daypass.Repo) error {
	return &daypass.Problem{
		Code: "DP-847", What: "the content App may not read at " + repo.Owner, Why: "it is suspended there",
		Next: "Ask whoever shared the content.", Who: "An owner of " + repo.Owner + " can end that.", Kind: daypass.ErrRefused,
	}
}

// proveMint holds a token against what was asked for. Where the answer does not
// list the repositories, the token itself is asked.
func (i *Issuer) proveMint(ctx context.Context, said machineToken, repo daypass.Repo, permissions map[string]string) (repoAnswer, error) {
	for name, level := range said.Permissions {
		if permissions[name] != level {
			return repoAnswer{}, i.wider("it may also do " + quote(clip(name+": "+level)))
		}
	}
	if len(said.Permissions) != len(permissions) {
		return repoAnswer{}, i.wider("it may do less than was asked for")
	}
	if said.Selection != "selected" {
		return repoAnswer{}, i.wider("it is not said to be for chosen repositories")
	}
	list := said.Repos
	if list == nil {
		var err error
		if list, err = i.shownTo(ctx, daypass.NewSecret(said.Token)); err != nil {
			return repoAnswer{}, err
		}
	}
	if len(list) != 1 {
		return repoAnswer{}, i.wider("it is for " + strconv.Itoa(len(list)) + " repositories")
	}
	right, ok := list[0].right()
	if !ok || repo.ID > 0 && right.Repo.ID != repo.ID {
		return repoAnswer{}, i.wider("it is for another repository")
	}
	if !said.Expires.After(i.now()) {
		return repoAnswer{}, i.unusable("its token has ended already", nil)
	}
	return list[0], nil
}

func (i *Issuer) shownTo(ctx context.Context, token daypass.Secret) ([]repoAnswer, error) {
	var list struct {
		TotalCount   *int         `json:"total_count"`
		Repositories []repoAnswer `json:"repositories"`
	}
	if _, err := i.listed(ctx, token, "/installation/repositories", 1, &list); err != nil {
		return nil, i.unproven(err)
	}
	if list.TotalCount == nil || *list.TotalCount != len(list.Repositories) {
		return nil, i.unusable("what the new token reaches could not be seen whole", nil)
	}
	return list.Repositories, nil
}

// IssueAsHub makes a read-only credential for one repository. GitHub gives it
// one hour.
func (i *Issuer) IssueAsHub(ctx context.Context, scope daypass.Scope) (daypass.Child, error) {
	if i.content == nil {
		return daypass.Child{}, i.noContent()
	}
	if _, _, err := i.numbers(scope); err != nil {
		return daypass.Child{}, err
	}
	if len(scope.Repos) != 1 || scope.Access != daypass.Read {
		return daypass.Child{}, &daypass.Problem{
			Code: "DP-848", What: "a token cannot be made for what was asked", Why: "as the hub, one repository is read, and nothing is written",
			Next: "Connect your own account to write.", Kind: daypass.ErrRefused,
		}
	}
	said, _, err := i.mint(ctx, scope.Repos[0], map[string]string{"contents": "read", "metadata": "read"})
	if err != nil {
		return daypass.Child{}, err
	}
	out := daypass.Child{Ends: said.Expires, Credential: daypass.Credential{
		Scope: scope, Username: gitUser, Token: daypass.NewSecret(said.Token),
	}}
	if scope.Until.IsZero() || scope.Until.After(out.Ends) {
		out.Scope.Until = out.Ends
	}
	return out, nil
}

// LookAsHub says what number and name a repository has. For that a token that
// shows nothing but names is made, and ended.
func (i *Issuer) LookAsHub(ctx context.Context, repo daypass.Repo) (daypass.Right, error) {
	if _, ok := daypass.ParseRepo(repo.String()); !ok || repo.ID < 0 {
		return daypass.Right{}, i.noSuchRepo(repo)
	}
	said, one, err := i.mint(ctx, repo, map[string]string{"metadata": "read"})
	if err != nil {
		return daypass.Right{}, err
	}
	i.discard(ctx, daypass.NewSecret(said.Token))
	right, ok := one.right()
	if !ok {
		return daypass.Right{}, i.unusable("it names no repository", nil)
	}
	right.Access, right.Admin = daypass.NoAccess, false
	if in, _, err := i.at(ctx, right.Repo); err == nil && in.reads {
		right.Access = daypass.Read
	} else if err != nil && !errors.Is(err, daypass.ErrNoSuchRepo) {
		return daypass.Right{}, err
	}
	return right, nil
}

// RightAsHub says what an account may do with a repository (REST: "Get repository
// permissions for a user", for which an App needs the metadata alone). The account
// is known by its number: a login may be another's today.
func (i *Issuer) RightAsHub(ctx context.Context, repo daypass.Repo, account daypass.Account) (daypass.Right, error) {
	if _, ok := daypass.ParseRepo(repo.String()); !ok || repo.ID < 0 || account.ID <= 0 || account.Login == "" {
		return daypass.Right{}, i.noSuchRepo(repo)
	}
	said, one, err := i.mint(ctx, repo, map[string]string{"metadata": "read"})
	if err != nil {
		return daypass.Right{}, err
	}
	token := daypass.NewSecret(said.Token)
	defer i.discard(ctx, token)
	right, ok := one.right()
	if !ok {
		return daypass.Right{}, i.unusable("it names no repository", nil)
	}
	path, _ := repoPath(right.Repo)
	a, err := i.asUser(ctx, token, path+"/collaborators/"+url.PathEscape(account.Login)+"/permission", 0)
	if err != nil {
		return daypass.Right{}, err
	}
	if a.status != http.StatusOK {
		return daypass.Right{}, i.notShown(repo, a)
	}
	var may struct {
		Permission string `json:"permission"`
		User       struct {
			ID int64 `json:"id"`
		} `json:"user"`
	}
	if !a.into(&may) {
		return daypass.Right{}, i.unusable("it does not say what the account may do", nil)
	}
	right.Access, right.Admin = map[string]daypass.Access{"admin": daypass.Write, "write": daypass.Write, "read": daypass.Read}[may.Permission], may.Permission == "admin"
	if may.User.ID != account.ID || right.Access == daypass.NoAccess {
		return daypass.Right{}, i.noSuchRepo(repo)
	}
	return right, nil
}
