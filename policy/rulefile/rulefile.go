// Package rulefile is the admin's rules, and the cases that try them, as people
// write them: words that the configuration's decoder fills in. It knows no file
// and no YAML, and decides nothing: that is package policy's.
package rulefile

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
)

// A RuleText is one rule of the list "rules". What [policy.Rule] and [policy.Who]
// say of the fields holds here too.
type RuleText struct {
	Name   string   `yaml:"name"`
	Forbid bool     `yaml:"forbid"`
	Who    WhoText  `yaml:"who"`
	What   []string `yaml:"what"`   // HOST/OWNER/NAME
	Access string   `yaml:"access"` // read or write
	As     string   `yaml:"as"`     // user, the default, or hub
	Max    string   `yaml:"max"`    // 30m, 1h, 2d

	MaxPass string `yaml:"max_pass"` // likewise, or never; 24h where nothing is written
}

// WhoText is whom a rule is for.
type WhoText struct {
	Users   []string `yaml:"users"`
	Groups  []string `yaml:"groups"`
	Servers []string `yaml:"servers"`
}

// Rule reads the words. Its errors name the rule and the field, and say how to
// mend it. Whether the rule makes sense is for [policy.Compile] to say.
func (t RuleText) Rule() (policy.Rule, error) {
	r := policy.Rule{Name: t.Name, Forbid: t.Forbid, Who: policy.Who(t.Who), Access: daypass.ParseAccess(t.Access)}
	wrong := func(field, format string, args ...any) (policy.Rule, error) {
		return policy.Rule{}, fmt.Errorf("rule %q: %s: "+format, append([]any{t.Name, field}, args...)...)
	}
	for _, s := range t.What {
		p, err := policy.ParsePattern(s)
		if err != nil {
			return wrong("what", "%w", err)
		}
		r.What = append(r.What, p)
	}
	if t.Access != "" && r.Access == daypass.NoAccess {
		return wrong("access", "%q is neither: write read or write", t.Access)
	}
	if t.Forbid && t.As != "" {
		return wrong("as", "leave it out: what a rule forbids, it forbids to user and hub")
	}
	var ok bool
	if r.As, ok = parseAs(t.As); !ok {
		return wrong("as", "%q is neither: write user or hub", t.As)
	}
	if t.Max != "" {
		if t.Forbid {
			return wrong("max", "leave it out: a rule that forbids has no end")
		}
		if r.Max, ok = parseDuration(t.Max); !ok {
			return wrong("max", "%q is no length of time: write it like 30m, 1h or 2d", t.Max)
		}
	}
	if t.MaxPass == "" {
		return r, nil
	}
	if t.Forbid {
		return wrong("max_pass", "leave it out: a rule that forbids has no end")
	}
	if r.MaxPass, ok = parseMaxPass(t.MaxPass); !ok {
		return wrong("max_pass", "%q is no length of time: write it like 8h, 24h or 30d, or never", t.MaxPass)
	}
	return r, nil
}

// Rules reads and compiles a list. Its error has a line for each rule that is
// wrong; where words are wrong, only for those.
func Rules(texts []RuleText) (*policy.Set, error) {
	var rules []policy.Rule
	var errs []error
	for _, t := range texts {
		r, err := t.Rule()
		rules, errs = append(rules, r), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return policy.Compile(rules)
}

func parseAs(s string) (policy.As, bool) {
	for _, as := range []policy.As{policy.AsUser, policy.AsHub} {
		if as.String() == cmp.Or(s, "user") {
			return as, true
		}
	}
	return 0, false
}

// parseDuration reads what [time.ParseDuration] does, and whole days.
func parseDuration(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16) // 65,535 days fit a Duration
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// parseMaxPass reads a duration or "never", and takes no zero, which would mean
// that nothing is said.
func parseMaxPass(s string) (time.Duration, bool) {
	if s == "never" {
		return policy.NoEnd, true
	}
	d, ok := parseDuration(s)
	return d, ok && d > 0
}

// A Case is one line of what `admin policy test` tries: a question, and the
// answer that the admin means.
type Case struct {
	Who    string   `yaml:"who"`
	Groups []string `yaml:"groups"`
	Server string   `yaml:"server"` // a name; "" and "default" are the default server, "unknown" is one the hub cannot tell
	Kind   string   `yaml:"kind"`   // own, the default, shared or dashboard
	Host   string   `yaml:"host"`
	Repo   string   `yaml:"repo"`   // OWNER/NAME
	Access string   `yaml:"access"` // read or write
	As     string   `yaml:"as"`     // user, the default, or hub
	Want   string   `yaml:"want"`   // allow or refuse
	Rule   string   `yaml:"rule"`   // the one that decides; "" is any
}

// Request returns the question. Its error names the field that is not a word it
// may be; an odd user, host or repository is left for the rules to refuse.
func (c Case) Request() (policy.Request, error) {
	q := policy.Request{
		User: c.Who, Groups: c.Groups, Host: c.Host, Access: daypass.ParseAccess(c.Access),
		Server: daypass.Server{Known: c.Server != "unknown"},
	}
	if q.Server.Known && c.Server != "default" {
		q.Server.Name = c.Server
	}
	q.Repo.Owner, q.Repo.Name, _ = strings.Cut(c.Repo, "/")
	if q.Access == daypass.NoAccess {
		return q, fmt.Errorf("access: %q is neither: write read or write", c.Access)
	}
	var ok bool
	if q.As, ok = parseAs(c.As); !ok {
		return q, fmt.Errorf("as: %q is neither: write user or hub", c.As)
	}
	switch cmp.Or(c.Kind, "own") {
	case "own":
		q.Kind = policy.Own
	case "shared":
		q.Kind = policy.Shared
	case "dashboard":
		q.Kind = policy.Dashboard
	default:
		return q, fmt.Errorf("kind: %q is none: write own, shared or dashboard", c.Kind)
	}
	return q, nil
}

// A Mismatch is a case that did not come out as meant.
type Mismatch struct {
	N       int // from 1
	Case    Case
	Verdict policy.Verdict // zero where the case could not be asked
	Why     string
}

// Check tries the cases. One that is written wrongly is a mismatch, and so is
// one that is refused as malformed only, unless its rule says that this is meant.
func Check(set *policy.Set, cases []Case) []Mismatch {
	var out []Mismatch
	for i, c := range cases {
		v, why := check(set, c)
		if why != "" {
			out = append(out, Mismatch{N: i + 1, Case: c, Verdict: v, Why: why})
		}
	}
	return out
}

func check(set *policy.Set, c Case) (policy.Verdict, string) {
	q, err := c.Request()
	if err != nil {
		return policy.Verdict{}, err.Error()
	}
	if c.Want != "allow" && c.Want != "refuse" {
		return policy.Verdict{}, fmt.Sprintf("want: %q is neither: write allow or refuse", c.Want)
	}
	v := set.Decide(q)
	got := "refuse"
	if v.Allowed {
		got = "allow"
	}
	switch {
	case got != c.Want, c.Rule != "" && c.Rule != v.Rule:
		return v, fmt.Sprintf("%s, by %s: %s", got, v.Rule, v.Why)
	case v.Rule == policy.Malformed && c.Rule == "":
		return v, fmt.Sprintf("%s; if that is meant, write rule: %s", v.Why, policy.Malformed)
	}
	return v, ""
}
