package github_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/fake"
)

// TestTry: a child is taken as it comes and told as it is; one that is not
// returned does not stay alive.
func TestTry(t *testing.T) {
	all := func(b map[string]any) { of(b, "installation")["repository_selection"] = "all" }
	for name, c := range map[string]struct {
		h         tampered
		err       error
		selection string
		exact     bool
		forever   bool
	}{
		"as asked":         {selection: "selected", exact: true},
		"said to be wider": {h: tampered{answer: all}, selection: "all", exact: true},
		"wider":            {h: tampered{ask: func(b map[string]any) { delete(b, "repository_ids") }, answer: all}, selection: "all"},
		"without an end":   {h: tampered{answer: func(b map[string]any) { b["expires_at"] = nil }}, selection: "selected", exact: true, forever: true},
		"no installation":  {h: tampered{answer: func(b map[string]any) { delete(b, "installation") }}, exact: true},
		"odd":              {h: tampered{answer: func(b map[string]any) { b["expires_at"] = "soon" }}, err: daypass.ErrUnreachable},
		"another's":        {h: tampered{ask: func(b map[string]any) { b["target"] = "nobody-of-this-name" }}, err: daypass.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.h.suffix = "/token/scoped"
				b := through(t, &c.h)
				g := b.grant(t)
				got, err := b.issuer.Try(t.Context(), g.Access, reading("github.com", dataRepo))
				if c.err != nil {
					if live := b.LiveTokens(); !errors.Is(err, c.err) || !got.Token.IsZero() || len(live) != 1 || live[0].Scoped {
						t.Errorf("%v, with a token: %v; %d are alive", err, !got.Token.IsZero(), len(live))
					}
					return
				}
				if err != nil || got.Selection != c.selection || got.Exact != c.exact || got.Ends.Equal(daypass.Forever) != c.forever {
					t.Fatalf("%+v, %v", got, err)
				}
				if info, live := b.Token(got.Token.Reveal()); !live || !info.Scoped || info.User != fake.CampusUser {
					t.Errorf("the token is %+v, alive: %v", info, live)
				}
			})
		})
	}
	b := through(t, &tampered{suffix: "/none"})
	g := b.grant(t)
	if err := b.issuer.Revoke(t.Context(), g.Access); err != nil {
		t.Fatal(err)
	}
	if _, err := b.issuer.Try(t.Context(), g.Access, reading("github.com", dataRepo)); !errors.Is(err, daypass.ErrSpent) {
		t.Errorf("of a dead token: %v", err)
	}
}
