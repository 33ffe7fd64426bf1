package github

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
)

// lag is how long a token may not yet be known, or still seem alive, on some of
// the host's machines.
const lag = 300 * time.Millisecond

// secrets returns the places of the client secrets, the one that was right last
// first.
func (i *Issuer) secrets() []int {
	n, first := len(i.push.ClientSecrets), int(i.secret.Load())
	out := make([]int, 0, n)
	for k := range n {
		out = append(out, (first+k)%n)
	}
	return out
}

// asApp asks about a token as the App that it is of (REST: "OAuth
// authorizations"; basic authentication). 404 may mean a wrong secret too, so
// that it counts only once no other secret gets further.
func (i *Issuer) asApp(ctx context.Context, method, what string, token daypass.Secret, fields map[string]any) (answer, error) {
	gone := answer{}
	for _, n := range i.secrets() {
		a, err := i.ask(ctx, call{
			method: method, url: i.host.API + "/applications/" + i.push.ClientID + "/" + what,
			fields: fields, hidden: map[string]daypass.Secret{"access_token": token},
			as: func(r *http.Request) { r.SetBasicAuth(i.push.ClientID, i.push.ClientSecrets[n].Reveal()) },
		})
		switch {
		case err != nil:
			return a, err
		case a.says(http.StatusNotFound):
			gone = a
		case !a.says(http.StatusUnauthorized):
			if a.status < 300 {
				i.secret.Store(int64(n))
			}
			return a, nil
		}
	}
	if gone.status == 0 {
		return answer{}, i.badClient()
	}
	return gone, nil
}

// machine reports whether a token is an App's own, not a person's.
func machine(token daypass.Secret) bool { return strings.HasPrefix(token.Reveal(), "ghs_") }

// end ends a token, and reports whether the host knew it. No token at all is
// one that is gone.
func (i *Issuer) end(ctx context.Context, token daypass.Secret) (known bool, err error) {
	if token.IsZero() {
		return false, nil
	}
	var a answer
	if machine(token) {
		a, err = i.ask(ctx, call{method: http.MethodDelete, url: i.host.API + "/installation/token", as: bearer(token)})
	} else {
		a, err = i.asApp(ctx, http.MethodDelete, "token", token, nil)
	}
	switch {
	case err != nil:
		return false, err
	case a.status == http.StatusNoContent:
		return true, nil
	case a.says(http.StatusNotFound, http.StatusUnprocessableEntity), machine(token) && a.says(http.StatusUnauthorized):
		return false, nil
	}
	return false, i.refused("to end a token", daypass.Repo{}, a)
}

// Revoke ends one token.
func (i *Issuer) Revoke(ctx context.Context, token daypass.Secret) error {
	_, err := i.end(ctx, token)
	return err
}

// Disconnect ends everything that a person ever granted to the App: all its
// tokens, children included. The access token must be alive for GitHub to know
// whose grant it is.
func (i *Issuer) Disconnect(ctx context.Context, access daypass.Secret) error {
	if access.IsZero() {
		return nil
	}
	a, err := i.asApp(ctx, http.MethodDelete, "grant", access, nil)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusNoContent || a.says(http.StatusNotFound, http.StatusUnprocessableEntity):
		return nil
	}
	return i.refused("to end what was granted", daypass.Repo{}, a)
}

// Live reports whether the host still takes a token.
func (i *Issuer) Live(ctx context.Context, token daypass.Secret) (bool, error) {
	if token.IsZero() {
		return false, nil
	}
	var a answer
	var err error
	if machine(token) {
		a, err = i.ask(ctx, call{method: http.MethodGet, url: i.host.API + "/installation/repositories?per_page=1", as: bearer(token)})
	} else {
		a, err = i.asApp(ctx, http.MethodPost, "token", token, nil)
	}
	switch {
	case err != nil:
		return false, err
	case a.status == http.StatusOK && a.into(&struct{}{}):
		return true, nil
	case a.says(http.StatusNotFound, http.StatusUnprocessableEntity), machine(token) && a.says(http.StatusUnauthorized):
		return false, nil
	}
	return false, i.refused("to look at a token", daypass.Repo{}, a)
}

// discard ends tokens that must not stay, even where nobody waits any more. One
// that was made just now may not be known yet on every machine of the host.
func (i *Issuer) discard(ctx context.Context, tokens ...daypass.Secret) (done bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	done = true
	for _, t := range tokens {
		if strings.HasPrefix(t.Reveal(), "ghr_") {
			continue // the host has no way to end one by itself
		}
		known := false
		for try := 0; try < 3 && !known; try++ {
			if try > 0 && !pause.For(ctx, lag) {
				break
			}
			known, _ = i.end(ctx, t)
		}
		done = done && known
	}
	return done
}
