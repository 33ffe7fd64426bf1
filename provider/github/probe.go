package github

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/daypass-dev/daypass"
)

// A Trial is a token for one repository that was made to see what the host does.
// It was not held to what was asked for: whoever has it revokes it, and gives it
// to nobody.
type Trial struct {
	Token     daypass.Secret
	Ends      time.Time // daypass.Forever where the answer names no end
	Selection string    // the answer's "repository_selection", such as "selected"
	Exact     bool      // it reaches what was asked for, and nothing else
}

// Try is [Issuer.Narrow] for finding out what GitHub leaves undocumented: it
// takes a child whatever the answer says of it, and tells what that is.
func (i *Issuer) Try(ctx context.Context, access daypass.Secret, scope daypass.Scope) (Trial, error) {
	owner, ids, err := i.numbers(scope)
	if err != nil {
		return Trial{}, err
	}
	a, err := i.askNarrow(ctx, access, map[string]any{
		"target": owner, "repository_ids": ids, "permissions": map[string]string{"contents": scope.Access.String(), "metadata": "read"},
	})
	switch {
	case err != nil:
		i.discard(ctx, others(access, findTokens(a.body))...)
		return Trial{}, err
	case a.says(http.StatusNotFound):
		return Trial{}, i.notKnown(ctx, access, a)
	case a.status != http.StatusOK:
		return Trial{}, i.refused("to narrow a token", scope.Repos[0], a)
	}
	var said scopedToken
	if !a.into(&said) || !sane(said.Token) || access.Equal(daypass.NewSecret(said.Token)) {
		i.discard(ctx, others(access, findTokens(a.body))...)
		return Trial{}, i.unusable("it holds no token that can be used", nil)
	}
	out := Trial{Token: daypass.NewSecret(said.Token), Ends: daypass.Forever}
	if said.Expires != nil {
		out.Ends = a.atOurs(*said.Expires, i.now())
	}
	if said.Installation != nil {
		out.Selection = clip(said.Installation.Selection)
	}
	err = i.proveReach(ctx, out.Token, scope)
	out.Exact = err == nil
	var p *daypass.Problem
	if err != nil && !(errors.As(err, &p) && p.Code == "DP-846") { // not that it reaches more
		i.discard(ctx, out.Token)
		return Trial{}, err
	}
	return out, nil
}
