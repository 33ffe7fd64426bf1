// Package policy is the admin's rules: who may have which access to what, for
// how long and as whom. Nothing is allowed by default, and a rule that forbids
// wins. Values in, values out: it knows no token, clock, file or hub, nor what a
// person may do at the provider, who is asked as well.
package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

// As is whose right a credential carries: the person's, or the content App's.
type As uint8

// A ServerKind is what a server is for. Only [Own] gets Write, NoKind nothing.
type ServerKind uint8

// The values of As and of ServerKind, and the words for them.
const (
	AsUser As = iota
	AsHub
	NoKind ServerKind = iota - 2
	Own
	Shared
	Dashboard
)

var asWords, kindWords = []string{"user", "hub", "none"}, []string{"none", "own", "shared", "dashboard", "none"}

// String returns "user" or "hub".
func (a As) String() string { return asWords[min(a, AsHub+1)] }

// String returns "own", "shared" or "dashboard".
func (k ServerKind) String() string { return kindWords[min(k, Dashboard+1)] }

// A Request is one question. For is how long is asked for; 0 is no wish.
type Request struct {
	User   string
	Groups []string
	Server daypass.Server
	Kind   ServerKind
	Host   string
	Repo   daypass.Repo // by its name; the id is not looked at
	Access daypass.Access
	As     As
	For    time.Duration
}

// A Verdict is the answer. Rule is the one that decided, or one of the names
// below. Where Allowed, Access is what was asked and Max the longest that a rule
// gives, cut to Request.For. Where not, Access is Read where Read would have
// been allowed, and Max is 0. Why is a sentence without its full stop.
type Verdict struct {
	Allowed bool
	Rule    string
	Access  daypass.Access
	Max     time.Duration
	Why     string
}

// What Verdict.Rule is where no rule of the admin's decided.
const (
	Default   = "default"          // no rule allows it
	Malformed = "malformed"        // the request is not one
	ReadOnly  = "read-only-server" // Write in a shared server or a dashboard
)

// A Set is rules made ready. It never changes. Without rules, or nil, it allows
// nothing.
type Set struct{ rules, ranked []*compiled }

// asked is a request that is well-formed, with host and names in lower case.
type asked struct {
	Request
	repo string // HOST/OWNER/NAME
}

func clean(q Request) (asked, string) {
	repo := daypass.FoldASCII(q.Host + "/" + q.Repo.Owner + "/" + q.Repo.Name)
	_, named := daypass.ParseRepo(repo[len(q.Host)+1:])
	unnamed := func(s string) bool { return s == "" || !utf8.ValidString(s) }
	switch {
	case unnamed(q.User) || !utf8.ValidString(q.Server.Name) || slices.ContainsFunc(q.Groups, unnamed):
		return asked{}, "the user, the server or a group has no proper name"
	case !daypass.CleanHost(repo[:len(q.Host)]) || !named || strings.HasSuffix(repo, ".git"):
		return asked{}, "the repository is no OWNER/NAME at a host"
	case q.Access == daypass.NoAccess || q.Access > daypass.Write || q.Kind == NoKind || q.Kind > Dashboard:
		return asked{}, "the access, or the kind of server, is none that there is"
	case q.As > AsHub || q.For < 0:
		return asked{}, "as whom or for how long makes no sense"
	}
	return asked{q, repo}, ""
}

// Decide answers a request. The order of the rules plays no part.
func (s *Set) Decide(request Request) Verdict {
	q, bad := clean(request)
	if bad != "" {
		return Verdict{Rule: Malformed, Why: bad}
	}
	v := Verdict{Rule: ReadOnly, Why: "shared servers and dashboards only read"}
	if q.Access == daypass.Read || q.Kind == Own {
		v = s.decide(&q)
	}
	if !v.Allowed && q.Access == daypass.Write {
		q.Access = daypass.Read
		v.Access = s.decide(&q).Access
	}
	return v
}

func (s *Set) decide(q *asked) Verdict {
	for i := 0; s != nil && i < len(s.ranked); i++ {
		switch c := s.ranked[i]; {
		case c.miss(q) != "":
		case c.Forbid:
			return Verdict{Rule: c.Name, Why: c.gist}
		case q.For > 0:
			return Verdict{true, c.Name, q.Access, min(c.Max, q.For), c.gist}
		default:
			return Verdict{true, c.Name, q.Access, c.Max, c.gist}
		}
	}
	return Verdict{Rule: Default, Why: "no rule allows it"}
}

// miss says why a rule is not about a request; "" where it is. It returns
// sentences that are there already, as Decide asks it for every rule.
func (c *compiled) miss(q *asked) string {
	name := cmp.Or(q.Server.Name, "default")
	if q.Server.Name == "default" && !c.Forbid {
		name = "" // anybody may call a server so: that makes it no default server
	}
	onServer := func(g glob) bool {
		return g.all || q.Server.Known && g.match(name) || !q.Server.Known && c.Forbid
	}
	switch {
	case c.Forbid && c.Access == daypass.Write && q.Access == daypass.Read:
		return "it forbids writing only, and this is to read"
	case !c.Forbid && c.Access < q.Access:
		return "it allows reading only, and this is to write"
	case !c.Forbid && c.As != q.As:
		return c.notAs
	case c.users != nil && !slices.ContainsFunc(c.users, func(g glob) bool { return g.match(q.User) }):
		return c.notUser
	case c.groups != nil && !slices.ContainsFunc(c.groups, func(g glob) bool { return g.all || slices.ContainsFunc(q.Groups, g.match) }):
		return c.notGroup
	case c.servers != nil && !slices.ContainsFunc(c.servers, onServer):
		return c.notServer
	case !slices.ContainsFunc(c.What, func(p Pattern) bool { return p.match(q.repo) }):
		return c.notRepo
	}
	return ""
}

// A Step is what one rule says to a request.
type Step struct {
	Rule    string
	Forbid  bool
	Matched bool
	Decides bool   // exactly one step does
	Why     string // as in Verdict
}

// Explain goes through the rules in the order they were given in. Where none of
// them decides, a step for what Verdict.Rule says stands last, or, if it made
// the rules idle, alone.
func (s *Set) Explain(request Request) []Step {
	var steps []Step
	v := s.Decide(request)
	q, bad := clean(request)
	for i := 0; s != nil && bad == "" && i < len(s.rules); i++ {
		c := s.rules[i]
		why := c.miss(&q)
		steps = append(steps, Step{c.Name, c.Forbid, why == "", c.Name == v.Rule, cmp.Or(why, c.gist)})
	}
	if !slices.ContainsFunc(steps, func(t Step) bool { return t.Decides }) {
		steps = append(steps, Step{v.Rule, true, true, true, v.Why})
	}
	return steps
}
