package github

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
)

// gitUser is the user name beside a token (docs: "Authenticating as a GitHub
// App installation"); GitHub takes any.
const gitUser = "x-access-token"

// maxNarrow bounds the repositories of one child.
const maxNarrow = 100

// A scopedToken is the answer to "Create a scoped access token" (REST: "Apps").
// It does not name the repositories: what the token reaches is asked of itself.
type scopedToken struct {
	Token   string     `json:"token"`
	Expires *time.Time `json:"expires_at"`
	App     *struct {
		ClientID string `json:"client_id"`
	} `json:"app"`
	User *struct {
		Login string `json:"login"`
	} `json:"user"`
	Installation *struct {
		Permissions map[string]string `json:"permissions"`
		Selection   string            `json:"repository_selection"`
		Account     *struct {
			Login string `json:"login"`
		} `json:"account"`
	} `json:"installation"`
}

// numbers takes a scope apart that can be narrowed to: repositories of one
// owner, each with its name and its number.
func (i *Issuer) numbers(s daypass.Scope) (owner string, ids []int64, err error) {
	odd := s.All || s.Host != i.host.Name || len(s.Repos) == 0 || len(s.Repos) > maxNarrow ||
		s.Access != daypass.Read && s.Access != daypass.Write
	for _, r := range s.Repos {
		_, named := daypass.ParseRepo(r.String())
		odd = odd || !named || r.ID <= 0 || !daypass.FoldEqual(r.Owner, s.Repos[0].Owner)
		ids = append(ids, r.ID)
	}
	if odd {
		return "", nil, &daypass.Problem{
			Code: "DP-848", What: "a token cannot be made for what was asked", Why: "it has to be for named repositories of one owner at " + i.host.Name,
			Next: "Ask for one repository.", Kind: daypass.ErrRefused,
		}
	}
	return s.Repos[0].Owner, ids, nil
}

// Narrow makes a child of the access token, and looks at what it got: the
// permissions that the answer names, and the repositories that the child itself
// is shown. The parent stays as it is.
func (i *Issuer) Narrow(ctx context.Context, access daypass.Secret, scope daypass.Scope) (daypass.Child, error) {
	owner, ids, err := i.numbers(scope)
	if err != nil {
		return daypass.Child{}, err
	}
	if access.IsZero() {
		return daypass.Child{}, i.spent("to narrow a token")
	}
	if !strings.HasPrefix(access.Reveal(), "ghu_") {
		return daypass.Child{}, i.oauthApp()
	}
	a, err := i.askNarrow(ctx, access, map[string]any{
		"target": owner, "repository_ids": ids, "permissions": map[string]string{"contents": scope.Access.String(), "metadata": "read"},
	})
	if err != nil {
		i.discard(ctx, others(access, findTokens(a.body))...)
		return daypass.Child{}, err
	}
	switch {
	case a.says(http.StatusNotFound):
		return daypass.Child{}, i.notKnown(ctx, access, a)
	case a.says(http.StatusUnprocessableEntity):
		return daypass.Child{}, i.notInstalled(owner, scope.Repos[0].String())
	case a.status != http.StatusOK:
		return daypass.Child{}, i.refused("to narrow a token", scope.Repos[0], a)
	}
	child, err := i.readNarrow(access, scope, a)
	if err == nil {
		err = i.proveReach(ctx, child.Token, scope)
	}
	if err != nil {
		done := i.discard(ctx, others(access, append(findTokens(a.body), child.Token))...)
		return daypass.Child{}, ended(err, done)
	}
	return child, nil
}

// notKnown: the host knows no such parent, or says so of something else. A
// parent that it takes elsewhere is not spent.
func (i *Issuer) notKnown(ctx context.Context, access daypass.Secret, a answer) error {
	if _, err := i.Whose(ctx, access); err != nil {
		return err
	}
	return i.no("to narrow a token", a)
}

// ended says of a token that had to go what became of it.
func ended(err error, done bool) error {
	var p *daypass.Problem
	if done || !errors.As(err, &p) || p.Code != "DP-846" {
		return err
	}
	said := *p
	said.Why += "; nobody has it, but ending it failed"
	return &said
}

// askNarrow asks once more where the parent is not known: it may be new.
func (i *Issuer) askNarrow(ctx context.Context, access daypass.Secret, fields map[string]any) (answer, error) {
	for try := 1; ; try++ {
		a, err := i.asApp(ctx, http.MethodPost, "token/scoped", access, fields)
		if err != nil || !a.says(http.StatusNotFound) || try == 2 || !pause.For(ctx, lag) {
			return a, err
		}
	}
}

// others returns the tokens but for the parent, each once.
func others(parent daypass.Secret, found []daypass.Secret) []daypass.Secret {
	var out []daypass.Secret
	for _, t := range found {
		known := t.IsZero() || t.Equal(parent)
		for _, have := range out {
			known = known || have.Equal(t)
		}
		if !known {
			out = append(out, t)
		}
	}
	return out
}

// readNarrow takes the answer over, if what it says is what was asked. The
// child's token comes back also where it is not.
func (i *Issuer) readNarrow(parent daypass.Secret, scope daypass.Scope, a answer) (daypass.Child, error) {
	var said scopedToken
	if !a.into(&said) || !sane(said.Token) {
		return daypass.Child{}, i.unusable("it holds no token that can be used", nil)
	}
	token := daypass.NewSecret(said.Token)
	out := daypass.Child{Credential: daypass.Credential{Token: token, Username: gitUser}, Ends: daypass.Forever}
	in := said.Installation
	switch {
	case token.Equal(parent):
		return daypass.Child{}, i.wider("it is the very token that was to be narrowed")
	case !strings.HasPrefix(said.Token, "ghu_"):
		return out, i.wider("it is of another kind")
	case said.App != nil && said.App.ClientID != "" && said.App.ClientID != i.push.ClientID:
		return out, i.wider("it is another App's")
	case in == nil || in.Selection != "selected" && !(i.any && in.Selection == "all"):
		return out, i.wider("it is not said to be for chosen repositories")
	case in.Account == nil || !daypass.FoldEqual(in.Account.Login, scope.Repos[0].Owner):
		return out, i.wider("it is for another owner")
	}
	if why := beyond(in.Permissions, scope.Access); why != "" {
		return out, i.wider(why)
	}
	now := i.now()
	if said.Expires != nil {
		out.Ends = a.atOurs(*said.Expires, now)
	}
	if !out.Ends.After(now) {
		return out, i.unusable("its token has ended already", nil)
	}
	if said.User != nil && validLogin(said.User.Login) {
		out.Account = said.User.Login
	}
	out.Scope = scope
	if out.Scope.Until.IsZero() || out.Scope.Until.After(out.Ends) {
		out.Scope.Until = out.Ends
	}
	return out, nil
}

// beyond says what is wrong with permissions that were granted where contents
// and metadata were asked for, or "". Less is wrong too: it would not work.
func beyond(have map[string]string, asked daypass.Access) string {
	for name, level := range have {
		if name != "contents" && name != "metadata" || name == "metadata" && level != "read" {
			return "it may also do " + quote(clip(name+": "+level))
		}
	}
	if have["contents"] != asked.String() {
		return "its access to contents is " + quote(clip(have["contents"])) + ", and " + asked.String() + " was asked for"
	}
	return ""
}

// atOurs moves a moment from the host's clock to ours, where the answer shows
// the host's.
func (a answer) atOurs(t, now time.Time) time.Time {
	if date, err := http.ParseTime(a.head.Get("Date")); err == nil {
		return now.Add(t.Sub(date)).UTC()
	}
	return t.UTC()
}

// proveReach asks the child itself what it reaches: exactly the scope's
// repositories. What it is not shown yet may only be late, and is looked for
// twice.
func (i *Issuer) proveReach(ctx context.Context, child daypass.Secret, scope daypass.Scope) error {
	for try := 1; ; try++ {
		left := map[int64]bool{}
		for _, r := range scope.Repos {
			left[r.ID] = true
		}
		asked := len(left)
		seen, beyond := 0, false
		t, err := i.visit(ctx, child, func(_ Installation, r repoAnswer) bool {
			known, ours := left[r.ID]
			beyond = !ours
			if known {
				left[r.ID] = false
				seen++
			}
			return ours
		})
		switch {
		case err != nil:
			return i.unproven(err)
		case beyond:
			return i.wider("it reaches other repositories too")
		case !t.whole:
			return i.unusable("what the new token reaches could not be seen whole", nil)
		case seen == asked:
			return nil
		case try == 2 || !pause.For(ctx, lag):
			return i.notInstalled(scope.Repos[0].Owner, scope.Repos[0].String())
		}
	}
}

// unproven: the child could not be looked at. That says nothing of the parent.
func (i *Issuer) unproven(err error) error {
	if errors.Is(err, daypass.ErrSpent) {
		return i.unusable("it does not take the token that it has just made", nil)
	}
	return err
}
