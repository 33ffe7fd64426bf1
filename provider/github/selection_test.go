package github_test

import (
	"testing"

	"github.com/daypass-dev/daypass/fake"
	"github.com/daypass-dev/daypass/provider/github"
)

// TestAnySelection: where the admin says that a host's word on the selection means
// nothing, what the token reaches still counts.
func TestAnySelection(t *testing.T) {
	all := func(m map[string]any) { of(m, "installation")["repository_selection"] = "all" }
	wide := func(m map[string]any) { delete(m, "repository_ids") }
	for name, c := range map[string]struct {
		h  tampered
		ok bool
	}{
		"one repository":   {tampered{suffix: "/token/scoped", answer: all}, true},
		"all repositories": {tampered{suffix: "/token/scoped", answer: all, ask: wide}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, fake.GitHubCom, "github.com", fake.Switches{}, func(ic *github.IssuerConfig) {
				ic.Transport, ic.AnySelection = link(ic.Transport, &c.h), true
			})
			child, err := b.issuer.Narrow(t.Context(), b.grant(t).Access, reading("github.com", dataRepo))
			if (err == nil) != c.ok || c.ok == child.Token.IsZero() {
				t.Errorf("%v", err)
			}
			if !c.ok && problem(err) != "DP-846" {
				t.Errorf("%v", err)
			}
		})
	}
}
