package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// grant takes the person through the host's page, and then looks at what came
// back before anything is kept: what kind of token, whose, how wide.
func (l *login) grant(ctx context.Context, repo daypass.Repo) (grant, error) {
	got, err := l.grantOnce(ctx, repo)
	if !errors.Is(err, errTied) {
		return got, err
	}
	if rerr := l.client.Revoke(ctx, l.live...); rerr == nil {
		l.live = nil
	}
	l.screen.say("\n%s ended the access together with the part that would have renewed it. "+
		"daypass remembers that and leaves that part alone from now on; please type one more code.\n", l.host.Title())
	return l.grantOnce(ctx, repo)
}

func (l *login) grantOnce(ctx context.Context, repo daypass.Repo) (grant, error) {
	token, err := l.ask(ctx, repo.ID)
	if err != nil {
		return grant{}, err
	}
	if err := l.allowed(token); err != nil {
		return grant{}, err
	}
	got := grant{}
	if got.account, err = l.client.Account(ctx, token.Access); err != nil {
		return grant{}, err
	}
	ended, err := l.dropRefresh(ctx, &token)
	if err != nil {
		return grant{}, err
	}
	got.token = token
	if token.OAuthApp() {
		return got, l.allowedWide(repo)
	}
	got.reach, err = l.client.Reach(ctx, token.Access)
	if ended && errors.Is(err, daypass.ErrNoLogin) {
		// The token was good just before its refresh token was ended.
		l.rememberTied()
		return grant{}, errTied
	}
	if err != nil {
		return grant{}, err
	}
	if repo != (daypass.Repo{}) {
		return got, l.verifyOne(repo, got.reach)
	}
	return got, verifySelection(l.host, l.hc, got.reach)
}

// ask shows a code and waits for the person.
func (l *login) ask(ctx context.Context, repository int64) (github.Token, error) {
	code, err := l.client.Start(ctx)
	if err != nil {
		return github.Token{}, l.interrupted(ctx, err)
	}
	l.showCode(code)
	done := l.showWait(ctx, code)
	token, err := l.client.Await(ctx, code, repository)
	done()
	l.live = append(l.live, l.client.Received()...)
	if err != nil {
		return github.Token{}, l.interrupted(ctx, err)
	}
	return token, nil
}

func (l *login) interrupted(ctx context.Context, err error) error {
	if l.o.timeout > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &daypass.Problem{
			Code: "DP-218", What: "nobody typed the code within " + l.o.timeout.String(),
			Next: `Run "daypass login" again, with a longer --timeout or none.`, Kind: daypass.ErrNoLogin, Err: err,
		}
	}
	return err
}

// allowed refuses the two kinds of token that reach too far or live too long.
func (l *login) allowed(t github.Token) error {
	switch {
	case t.OAuthApp() && !slices.Contains(l.hc.AllowTokens, "oauth"):
		return &daypass.Problem{
			Code: "DP-209", What: "this client id belongs to an OAuth App, and the token was thrown away",
			Why:  "an OAuth App's token reaches every repository that you can, not only chosen ones",
			Next: "Ask whoever runs this machine for the client id of a GitHub App.",
			Who:  "Admins: README, \"The admin's GitHub App\"; or allow_tokens: [oauth] in /etc/daypass/config.yaml.",
			Kind: daypass.ErrRefused,
		}
	case t.Expires.IsZero() && !slices.Contains(l.hc.AllowTokens, "never_expiring"):
		return &daypass.Problem{
			Code: "DP-210", What: "this App's tokens never end, and the one it gave was thrown away",
			Why:  "\"Expire user authorization tokens\" is switched off in the App's settings",
			Next: "Ask whoever runs the App to switch it on (Optional features).",
			Who:  "Admins who want such tokens all the same: allow_tokens: [never_expiring] in /etc/daypass/config.yaml.",
			Kind: daypass.ErrRefused,
		}
	}
	return nil
}

// allowedWide: an OAuth App's token reaches everything, so that there is nothing
// to look at; for one repository it is never right.
func (l *login) allowedWide(repo daypass.Repo) error {
	if repo == (daypass.Repo{}) {
		return nil
	}
	return &daypass.Problem{
		Code: "DP-211", What: l.host.Title() + " was asked for " + repo.String() + " only, and an OAuth App's token reaches everything",
		Next: "Use the client id of a GitHub App for that. Nothing was kept.", Kind: daypass.ErrRefused,
	}
}

// errTied: the host ended the access token together with its refresh token.
var errTied = errors.New("revoking the refresh token ended the access token")

// dropRefresh gives up the refresh token unless it will be kept for renewal. It
// is ended at the host, so that no copy of it is worth anything for its six
// months; where that would end the access token too it is only forgotten. GitHub
// documents neither, so the first login on a machine finds out, unless the admin
// has said. It reports whether the host was told to end it.
func (l *login) dropRefresh(ctx context.Context, t *github.Token) (bool, error) {
	if t.Refresh.IsZero() || l.renew > 0 {
		return false, nil
	}
	refresh := t.Refresh
	t.Refresh, t.RefreshExpires = daypass.Secret{}, time.Time{}
	if l.hc.RefreshRevocation == "both" || (l.hc.RefreshRevocation == "" && l.knownTied()) {
		l.forget(refresh)
		l.dropped = append(l.dropped, refresh) // ended after all, if this login fails
		return false, nil
	}
	err := l.client.Revoke(ctx, refresh)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err == nil:
		l.forget(refresh)
		return true, nil
	case errors.Is(err, github.ErrCannotRevoke):
		l.forget(refresh)
		l.dropped = append(l.dropped, refresh)
	default:
		l.forget(refresh)
		l.dropped = append(l.dropped, refresh)
		l.screen.say("Note: the part of the access that could renew it was thrown away, but %s could not be told to end it.", l.host.Title())
		l.screen.event("refresh_not_revoked", nil)
	}
	return false, nil
}

func (l *login) forget(t daypass.Secret) {
	l.live = slices.DeleteFunc(l.live, t.Equal)
}

// tiedFile notes, without any secret, the hosts at which revoking a refresh
// token was seen to end the access token.
func (l *login) tiedFile() (string, bool) {
	dir, ok := l.app.stateDir()
	return filepath.Join(dir, "refresh-ends-access", strings.ReplaceAll(l.host.Name, ":", "_")), ok
}

func (l *login) knownTied() bool {
	path, ok := l.tiedFile()
	if !ok {
		return false
	}
	_, err := os.Stat(path)
	return err == nil
}

func (l *login) rememberTied() {
	path, ok := l.tiedFile()
	err := errNoFolder
	if ok {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(path, nil, 0o600)
	}
	if err != nil {
		l.screen.say("Note: could not remember that in %s.", printable(path))
	}
	l.hc.RefreshRevocation = "both" // for this run
}

// verifyOne holds a one-repository token to its promise: GitHub drops the
// repository's number without a word where the App or the person cannot reach
// it, and gives a token for everything.
func (l *login) verifyOne(want daypass.Repo, reach github.Reach) error {
	asked := daypass.Scope{Host: l.host.Name, Repos: []daypass.Repo{want}, Access: daypass.Write, Until: daypass.Forever}
	if asked.Equivalent(reach.Scope(l.host.Name, daypass.Forever)) {
		return nil
	}
	got := reach.Repositories()
	if why := reach.Unseen(); why != "" && len(got) == 1 && got[0].ID == want.ID && got[0].SameName(want) {
		return &daypass.Problem{
			Code: "DP-221", What: "it cannot be seen whether the access is for " + want.String() + " only", Why: why,
			Next: "Sign in to your organisations (" + l.host.Web + "/orgs/NAME/sso), then run \"daypass login --repo\" again. Nothing was kept.",
			Who:  "A suspended App is ended or resumed by an owner of that organisation.", Kind: daypass.ErrRefused,
		}
	}
	if l.cached {
		l.forgetNumber()
	}
	link := l.installLink(reach)
	p := &daypass.Problem{
		Code: "DP-211", What: fmt.Sprintf("%s was asked for %s only, and did not keep to it", l.host.Title(), want),
		Why:  "the App is not installed there, or your account does not reach it",
		Next: "Nothing was kept. Check with \"daypass login\" and \"daypass check\" which of the two it is.",
		Kind: daypass.ErrRefused,
	}
	if link != "" {
		p.Next += " Install the App there: " + link
	}
	if why := reach.Unseen(); why != "" {
		p.Why = "what the token reaches cannot be seen whole: " + why
	}
	if len(got) == 1 && got[0].ID == want.ID && !got[0].SameName(want) {
		p.Why = "repository " + fmt.Sprint(want.ID) + " is called " + got[0].String() + " today"
		p.Next = "Nothing was kept. If that is the one you mean, use that name."
	}
	return p
}

// verifySelection applies the admin's rule that nobody installs the App on all
// of their repositories.
func verifySelection(h github.Host, hc hostConfig, reach github.Reach) error {
	if hc.MaxSelection != "selected" {
		return nil
	}
	for _, in := range reach.Installations {
		if in.All && !in.Suspended {
			return &daypass.Problem{
				Code: "DP-213", What: "the App is installed on all repositories of " + in.Owner + ", which this machine does not accept",
				Next: "Choose \"Only select repositories\" on " + first(in.Settings, h.AuthorizationsURL()) + ", then run \"daypass login\" again. Nothing was kept.",
				Who:  "For an organisation, one of its owners does this.",
				Kind: daypass.ErrRefused,
			}
		}
	}
	return nil
}

// abandon ends every token that came in during a login that failed.
func (l *login) abandon(ctx context.Context, cause error) error {
	l.live = append(append(l.live, l.client.Received()...), l.dropped...)
	if len(l.live) == 0 {
		return cause
	}
	// Not ctx: it is over when the login was interrupted.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTime)
	defer cancel()
	err := l.client.Revoke(ctx, l.live...)
	l.live, l.dropped = nil, nil
	if err == nil {
		return cause
	}
	l.screen.say("Warning: %s had already given a token, and it could not be ended from here. It was kept nowhere. To end it at once: %s [DP-215]",
		l.host.Title(), l.host.AuthorizationsURL())
	l.screen.event("not_revoked", map[string]any{"link": l.host.AuthorizationsURL()})
	return cause
}

// revokeTime bounds what is done after an interruption.
const revokeTime = 10 * time.Second

// findRepository learns the number of the repository that a login is for. A
// public one anybody may look up; for a private one an earlier login's token
// may, or a first code is spent on nothing but looking.
func (l *login) findRepository(ctx context.Context) error {
	if auth, err := l.app.presenting(); err == nil {
		if known, ok := l.app.knownRepo(auth, l.host.Web, l.repo); ok {
			l.repo, l.cached = known, true
			return nil
		}
	}
	e, _ := l.liveLogin() // without one, as nobody: a public repository shows
	r, err := l.client.Repository(ctx, e.Credential.Token, l.repo)
	if err == nil {
		return l.found(r)
	}
	if errors.Is(err, daypass.ErrUnreachable) && !errors.Is(err, github.ErrLimited) || ctx.Err() != nil {
		return err
	}
	return l.lookFirst(ctx)
}

// lookFirst spends a first code on the repository's number and nothing else.
func (l *login) lookFirst(ctx context.Context) error {
	l.screen.say("%s is private, so this takes two codes: the first only to look up its number (that access is ended\n"+
		"right away), the second for %s alone. With --repo-id N one code is enough.\n", l.repo, l.repo)
	l.screen.event("two_codes", nil)
	token, err := l.ask(ctx, 0)
	if err != nil {
		return err
	}
	found, err := l.client.Repository(ctx, token.Access, l.repo)
	if errors.Is(err, github.ErrNotFound) {
		err = l.noSuchRepository()
	}
	if err != nil {
		return err
	}
	if err := l.client.Revoke(ctx, l.live...); err != nil {
		if !errors.Is(err, github.ErrCannotRevoke) {
			return err
		}
		l.screen.say("Note: %s cannot end that first access from here. It was forgotten; to end it: %s", l.host.Title(), l.host.AuthorizationsURL())
	}
	l.live = nil
	if err := l.found(found); err != nil {
		return err
	}
	l.screen.say("Found: %s has the number %d. Now the second code.\n", l.repo, l.repo.ID)
	return nil
}

// found takes the repository's number; a former name leads to the right one but
// is not what was asked for.
func (l *login) found(r github.Repository) error {
	if !r.SameName(l.repo) {
		return &daypass.Problem{
			Code: "DP-609", What: l.repo.String() + " is called " + r.String() + " today",
			Next: `Use that name: daypass login --repo ` + r.String(), Kind: daypass.ErrRefused,
		}
	}
	l.repo = r.Repo
	return nil
}

// forgetNumber: the remembered number did not lead to the repository, which may
// have been deleted and made again.
func (l *login) forgetNumber() {
	auth, err := l.app.presenting()
	if err == nil {
		err = l.app.forgetRepo(auth, l.host.Web, l.repo)
	}
	if err == nil {
		l.screen.say("Note: the number that was remembered for %s is forgotten; run the login again to look it up anew.", l.repo)
	}
}

func (l *login) noSuchRepository() error {
	return &daypass.Problem{
		Code: "DP-212", What: l.host.Title() + " shows no repository " + l.repo.String() + " to your account through this App",
		Why:  "the name is wrong, or the App is not installed there",
		Next: "Check the name; install the App on it" + with(": ", l.installLink(github.Reach{})) + ".",
		Who:  "For an organisation's repository, one of its owners installs the App.",
		Kind: daypass.ErrRefused,
	}
}

func with(sep, s string) string {
	if s == "" {
		return ""
	}
	return sep + s
}

// liveLogin is an earlier login of this authority at the host.
func (l *login) liveLogin() (wallet.Entry, bool) {
	auth, err := l.app.presenting()
	if err != nil {
		return wallet.Entry{}, false
	}
	entries, _, err := l.wallet.List()
	if err != nil {
		return wallet.Entry{}, false
	}
	for _, e := range entries {
		s := e.Credential.Scope
		if e.Authority == auth && e.Scheme == l.host.Scheme && s.Host == l.host.Name && s.All &&
			e.Credential.Usable(l.app.now(), time.Minute) {
			return e, true
		}
	}
	return wallet.Entry{}, false
}
