// Package policy is the admin's rules: who may have which access to what, for
// how long and as whom. Nothing is allowed by default, and a rule that forbids
// wins. Values in, values out: it knows no token, clock, file or hub, nor what a
// person may do at the provider, who is asked as well.
package policy

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// As is whose right a credential carries: the person's, or the content App's.
type As uint8

// A ServerKind is what a server is for. Only Own gets Write, and NoKind nothing.
type ServerKind uint8

// The values of As and of ServerKind.
const (
	AsUser, AsHub As         = 0, 1
	NoKind        ServerKind = iota - 1
	Own
	Shared
	Dashboard
)

// String returns "user" or "hub".
func (a As) String() string { return []string{"user", "hub", "none"}[min(a, 2)] }

// A Request is one question. Repo is by its name: its id is not looked at. For
// is how long is asked for; 0 is no wish. Pass is the whole life of the pass that
// asks, from its making to its end; 0 is no pass.
type Request struct {
	User, Host string
	Groups     []string
	Server     daypass.Server
	Kind       ServerKind
	Repo       daypass.Repo
	Access     daypass.Access
	As         As
	For        time.Duration
	Pass       time.Duration
}

// A Verdict is the answer. Rule is the one that decided, or one of the names
// below. Where Allowed, Access is what was asked and Max the longest that a rule
// gives, cut to Request.For; else both are zero. MaxPass is the longest life of a
// pass that the rule takes, NoEnd where it takes any. Why lacks its full stop.
type Verdict struct {
	Allowed   bool
	Rule, Why string
	Access    daypass.Access
	Max       time.Duration
	MaxPass   time.Duration
}

// What Verdict.Rule is where no rule of the admin's decided.
const (
	Default   = "default"          // no rule allows it
	Malformed = "malformed"        // the request is not one
	ReadOnly  = "read-only-server" // Write in a shared server or a dashboard
)

func builtin(rule string) bool { return rule == Default || rule == Malformed || rule == ReadOnly }

// DefaultMaxPass is the longest life of a pass that a rule takes which says nothing
// of it, and NoEnd that of a pass without an end.
const (
	DefaultMaxPass = 24 * time.Hour
	NoEnd          = time.Duration(math.MaxInt64)
)

// A Rule allows an access (Write includes Read) for at most Max, 1 minute to 365
// days; or it forbids one to both As: Write, or with Read or none everything. As
// the hub it only reads, and names users or groups, host, owner and some of the
// name. MaxPass is how long a pass may live by which it is asked for: as Max, or
// NoEnd; 0 is DefaultMaxPass. Names are unique.
type Rule struct {
	Name   string
	Forbid bool
	Who    Who
	What   []Pattern
	Access daypass.Access
	As     As
	Max    time.Duration

	MaxPass time.Duration
}

// Who is whom a rule is for: the user, a group of theirs and the server each have
// to be in its list; no list is everybody, every server. "*" is all; else *
// stands for any characters and ? for one, neither for a slash. "default" is the
// default server. Nobody slips past a rule that forbids by spelling: it ignores
// ASCII case, its * takes slashes, and a server unknown is in every list.
type Who struct{ Users, Groups, Servers []string }

// Preset is for admins who write none: people use their own connections.
func Preset() []Rule {
	return []Rule{{Name: "own-connections", What: []Pattern{{"*/*/*"}}, Access: daypass.Write, Max: time.Hour}}
}

// A Set is rules made ready. It never changes; an empty or nil one allows nothing.
type Set struct{ rules, ranked []*compiled }

// Decide answers a request. The order of the rules plays no part.
func (s *Set) Decide(q Request) Verdict {
	repo, v := clean(q)
	for i := 0; s != nil && v.Rule == Default && i < len(s.ranked); i++ {
		if c := s.ranked[i]; c.miss(&q, repo) == "" {
			v = c.verdict
			v.Access, v.Max = min(v.Access, q.Access), min(v.Max, cmp.Or(q.For, v.Max))
		}
	}
	return v
}

// clean returns HOST/OWNER/NAME in lower case, and the verdict without rules.
func clean(q Request) (string, Verdict) {
	repo := daypass.FoldASCII(q.Host + "/" + q.Repo.Owner + "/" + q.Repo.Name)
	_, named := daypass.ParseRepo(repo[len(q.Host)+1:])
	unnamed := func(s string) bool { return s == "" || !utf8.ValidString(s) }
	switch {
	case unnamed(q.User) || !utf8.ValidString(q.Server.Name) || slices.ContainsFunc(q.Groups, unnamed):
		return "", Verdict{Rule: Malformed, Why: "the user, the server or a group has no proper name"}
	case !daypass.CleanHost(repo[:len(q.Host)]) || !named || strings.HasSuffix(repo, ".git"):
		return "", Verdict{Rule: Malformed, Why: "the repository is no OWNER/NAME at a host"}
	case q.Access-1 > daypass.Write-1 || q.As > AsHub || q.Kind-1 > Dashboard-1 || q.For < 0 || q.Pass < 0:
		return "", Verdict{Rule: Malformed, Why: "the access, as whom, the server's kind or how long is nothing that there is"}
	case q.Access == daypass.Write && q.Kind != Own:
		return repo, Verdict{Rule: ReadOnly, Why: "shared servers and dashboards only read"}
	}
	return repo, Verdict{Rule: Default, Why: "no rule allows it"}
}

// miss says why a rule is not about a request; "" where it is.
func (c *compiled) miss(q *Request, repo string) string {
	switch {
	case c.Forbid && c.Access == daypass.Write && q.Access == daypass.Read:
		return "it forbids writing only, and this is to read"
	case !c.Forbid && c.Access < q.Access:
		return "it allows reading only, and this is to write"
	case !c.Forbid && c.As != q.As:
		return "it is for credentials as the other of user and hub"
	case !c.Forbid && c.verdict.MaxPass < q.Pass:
		return "it takes no pass that lives for so long"
	case c.stranger(q.User, q.Groups) != "":
		return c.stranger(q.User, q.Groups)
	case c.servers != nil && !c.onServer(q.Server):
		return "the server is not among its servers"
	case !has(c.repos, repo):
		return "the repository is not among what it is for"
	}
	return ""
}

// stranger says why a rule is not for somebody; "" where it is.
func (c *compiled) stranger(user string, groups []string) string {
	switch {
	case c.users != nil && !has(c.users, user):
		return "the user is not among its users"
	case c.groups != nil && !has(c.groups, groups...) && !has(c.groups, ""): // "" is in "*" alone
		return "no group of the user's is among its groups"
	}
	return ""
}

// LongestPass is the longest life that a pass of somebody's may have to be of any
// use: that of all rules that allow them anything. 0: there is none such.
func (s *Set) LongestPass(user string, groups []string) time.Duration {
	longest := time.Duration(0)
	if s == nil || user == "" {
		return 0
	}
	for _, c := range s.rules {
		if !c.Forbid && c.stranger(user, groups) == "" {
			longest = max(longest, c.verdict.MaxPass)
		}
	}
	return longest
}

// A Step is what one rule says to a request. Exactly one of them decides.
type Step struct {
	Rule, Why                string
	Forbid, Matched, Decides bool
}

// Explain goes through the rules as they were given. Where none of them decides,
// what does stands last; it stands alone where the request is malformed.
func (s *Set) Explain(q Request) []Step {
	steps, v := []Step(nil), s.Decide(q)
	repo, _ := clean(q)
	for i := 0; s != nil && repo != "" && i < len(s.rules); i++ {
		c := s.rules[i]
		why := c.miss(&q, repo)
		steps = append(steps, Step{c.Name, cmp.Or(why, c.verdict.Why), c.Forbid, why == "", c.Name == v.Rule})
	}
	if builtin(v.Rule) {
		steps = append(steps, Step{v.Rule, v.Why, true, true, true})
	}
	return steps
}

type compiled struct {
	Rule
	verdict                       Verdict
	users, groups, servers, repos []*glob
}

func (c *compiled) onServer(s daypass.Server) bool {
	if !s.Known || s.Name == "default" && !c.Forbid { // anybody may call a server so
		return c.Forbid || has(c.servers, "")
	}
	return has(c.servers, s.String())
}

// Compile makes rules ready. Its error has a line for every rule that is wrong,
// with the field and how to mend it.
func Compile(rules []Rule) (*Set, error) {
	s, errs := &Set{}, []error(nil)
	for i, r := range rules {
		bad := r.fault()
		if bad == "" && slices.ContainsFunc(rules[:i], func(o Rule) bool { return o.Name == r.Name }) {
			bad = "name: another rule has it: give each its own"
		}
		if bad != "" {
			errs = append(errs, fmt.Errorf("rule %d, %q: %s", i+1, r.Name, bad))
		}
		c := &compiled{r, Verdict{true, r.Name, fmt.Sprintf("it allows %v as the %v", r.Access, r.As), r.Access, r.Max, cmp.Or(r.MaxPass, DefaultMaxPass)},
			globs(r.Who.Users, r.Forbid), globs(r.Who.Groups, r.Forbid), globs(r.Who.Servers, r.Forbid), globs(r.What, false)}
		if r.Forbid {
			c.Max, c.verdict = math.MaxInt64, Verdict{Rule: r.Name, Why: "it forbids this"}
		}
		s.rules = append(s.rules, c)
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	// The first to match decides: of those that forbid, then of the longest Max.
	s.ranked = slices.SortedFunc(slices.Values(s.rules), func(a, b *compiled) int {
		return cmp.Or(cmp.Compare(b.Max, a.Max), cmp.Compare(a.Name, b.Name))
	})
	return s, nil
}

// fault says what is wrong with a rule; "" where nothing is.
func (r Rule) fault() string {
	noName := func(s string) bool { return s == "" || strings.TrimSpace(s) != s || !utf8.ValidString(s) }
	odd := func(l []string) bool { return l != nil && len(l) == 0 || slices.ContainsFunc(l, noName) }
	vague := func(s string) bool { return strings.Trim(s, "*?") == "" }
	anybody := func(l []string) bool { return l == nil || slices.ContainsFunc(l, vague) }
	broad := func(p Pattern) bool { return strings.ContainsAny(path.Dir(p.text), "*?") || vague(path.Base(p.text)) }
	_, proper := daypass.ParseRepo("rule/" + r.Name)
	switch {
	case !proper || builtin(r.Name):
		return "name: write letters, digits, hyphens and dots, and nothing that has a meaning already, such as default"
	case odd(r.Who.Users) || odd(r.Who.Groups) || odd(r.Who.Servers):
		return "who: a list or a name in it is empty, or has spaces around it: leave a list out to mean all"
	case len(r.What) == 0 || slices.Contains(r.What, Pattern{}):
		return "what: name the repositories: github.com/uni/course-*, say, or */*/*"
	case r.Access > daypass.Write || r.Access == daypass.NoAccess && !r.Forbid:
		return "access: write read or write"
	case r.As > AsHub || r.As == AsHub && r.Forbid:
		return "as: write user or hub, and nothing in a rule that forbids: it does to both"
	case r.Forbid && r.Max != 0 || !r.Forbid && (r.Max < time.Minute || r.Max > 365*24*time.Hour):
		return "max: write how long a token may last, 1m to 365d, and nothing in a rule that forbids"
	case r.Forbid && r.MaxPass != 0 || r.MaxPass != 0 && r.MaxPass != NoEnd && (r.MaxPass < time.Minute || r.MaxPass > 365*24*time.Hour):
		return "max_pass: write how long a pass may live, 1m to 365d or never, and nothing in a rule that forbids"
	case r.As == AsHub && r.Access != daypass.Read:
		return "access: write read: as the hub nobody writes"
	case r.As == AsHub && anybody(r.Who.Users) && anybody(r.Who.Groups):
		return "who: as the hub, name users or groups, by more than * and ?"
	case r.As == AsHub && slices.ContainsFunc(r.What, broad):
		return "what: as the hub, name host and owner without * and ?, and some of the name: github.com/uni/course-*"
	}
	return ""
}

// A Pattern is a set of repositories; the zero one is empty.
type Pattern struct{ text string }

// String returns what ParsePattern read, in lower case.
func (p Pattern) String() string { return p.text }

// ParsePattern reads HOST/OWNER/NAME, in ASCII of either case. In each part * and
// ? may stand, neither for a slash.
func ParsePattern(s string) (Pattern, error) {
	host, repo, _ := strings.Cut(strings.NewReplacer("*", "x", "?", "x").Replace(daypass.FoldASCII(s)), "/")
	if _, ok := daypass.ParseRepo(repo); !ok || !daypass.CleanHost(host) || strings.HasSuffix(repo, ".git") {
		return Pattern{}, fmt.Errorf("%q is not HOST/OWNER/NAME: write it like github.com/uni/course-*, without https:// and .git", s)
	}
	return Pattern{daypass.FoldASCII(s)}, nil
}

type glob struct {
	text, prefix string // prefix: what stands before the first * or ?
	wild, loose  bool
}

func globs[T ~struct{ text string } | ~string](list []T, loose bool) (out []*glob) {
	for _, entry := range list {
		s := fmt.Sprint(entry)
		if loose {
			s = loosely(s)
		}
		g := &glob{text: s, loose: loose}
		if n := strings.IndexAny(s, "*?"); n >= 0 { // [ and \ mean nothing here
			g.text, g.prefix, g.wild = strings.NewReplacer(`\`, `\\`, "[", `\[`).Replace(s), s[:n], true
		}
		out = append(out, g)
	}
	return out
}

func loosely(s string) string { return strings.ReplaceAll(daypass.FoldASCII(s), "/", "\x00") }

func has(list []*glob, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc(list, func(g *glob) bool { return g.match(name) })
	})
}

func (g *glob) match(name string) bool {
	if g.loose {
		name = loosely(name)
	}
	if g.text == "*" || !g.wild || !strings.HasPrefix(name, g.prefix) {
		return g.text == "*" || !g.wild && g.text == name
	}
	ok, _ := path.Match(g.text, name)
	return ok
}
