package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
)

const bareConfig = `url: https://a.example/
store: sqlite:/x
keys: file:/k
hub: {api: "http://127.0.0.1:1/hub/api", url: "https://h.example/", token: "env:X"}
github: [{push: {client_id: Iv1, client_secrets: ["env:Y"]}}]
`

// TestRulesThatAreIgnored: what an admin wrote to allow less never allows more.
func TestRulesThatAreIgnored(t *testing.T) {
	const one = `rules: [{name: one, what: ["*/*/*"], access: write, max: 1h, who: `
	for name, c := range map[string]struct {
		more, says string
		writes     bool
	}{
		"nothing said":                    {more: "", writes: true},
		"a list of none":                  {more: "rules: []\n"},
		"a key alone":                     {more: "rules:\n", says: `line 6: "rules"`},
		"a key alone, in words":           {more: "rules: null\n", says: `"rules"`},
		"a rule that is none":             {more: "rules:\n-\n", says: `"rules"`},
		"a second document":               {more: "---\nrules:\n- {name: nothing, forbid: true, what: [\"*/*/*\"]}\n", says: "one document"},
		"a second one that is broken":     {more: "---\n}\n", says: "one document"},
		"users without one":               {more: one + "{users: }}]\n", says: `"users"`},
		"groups without one":              {more: "rules:\n- name: one\n  what: ['*/*/*']\n  access: write\n  max: 1h\n  who:\n    groups:\n", says: `line 12: "groups"`},
		"nobody said":                     {more: one + "}]\n", says: `"who"`},
		"users of whom one is nothing":    {more: one + "{users: [ada, ~]}}]\n", says: `"users"`},
		"watched rules without users":     {more: "audit_" + one + "{users: }}]\n", says: `"users"`},
		"shared servers without a name":   {more: "servers: {shared: }\n", says: `"shared"`},
		"users who are nothing elsewhere": {more: "log: &x\n" + one + "{users: *x}}]\n", says: `"users"`},
		"one that holds":                  {more: one + "{users: [u]}}]\n", writes: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server.yaml")
			if err := os.WriteFile(path, []byte(bareConfig+c.more), 0o600); err != nil {
				t.Fatal(err)
			}
			s := &app{getenv: func(string) string { return "" }}
			conf, err := s.readConfig(path)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("want a word about %s, got %v", c.says, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			rules, _, err := conf.rules()
			if err != nil {
				t.Fatal(err)
			}
			v := rules.Decide(policy.Request{User: "u", Host: "github.com", Repo: daypass.Repo{Owner: "o", Name: "r"}, Access: daypass.Write, Kind: policy.Own})
			if v.Allowed != c.writes {
				t.Errorf("allowed: %v, by %s", v.Allowed, v.Rule)
			}
			if list, err := conf.ruleList(); err != nil || len(list) == 0 != (c.more == "rules: []\n") {
				t.Errorf("what the admin's commands show: %v, %v", list, err)
			}
		})
	}
}
