package main

import (
	"path"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/provider/github"
)

// lint names rules that can never decide anything. It warns only where that is
// sure: patterns that overlap in part are the admin's business.
func lint(rules []policy.Rule, c *serverConfig) []string {
	var out []string
	hosts, content := c.servedHosts()
	for i, r := range rules {
		if !slices.ContainsFunc(r.What, func(p policy.Pattern) bool { return reachesOne(p, hosts) }) {
			out = append(out, "rule "+r.Name+" is about hosts that are not served; served are "+strings.Join(hosts, ", "))
			continue
		}
		if r.As == policy.AsHub && !slices.ContainsFunc(r.What, func(p policy.Pattern) bool { return reachesOne(p, content) }) {
			out = append(out, "rule "+r.Name+" reads as the hub, and no App for content is set up there; daypass admin app new --content")
			continue
		}
		for j, o := range rules {
			if why := covers(o, r); i != j && why != "" && !(covers(r, o) != "" && i < j) {
				out = append(out, "rule "+r.Name+" never decides: "+why)
				break
			}
		}
	}
	return out
}

// servedHosts lists the hosts, and those with an App for content.
func (c *serverConfig) servedHosts() (all, content []string) {
	for _, g := range c.GitHub {
		h, err := github.ParseHost(g.Host)
		if err != nil {
			continue // the configuration was checked
		}
		all = append(all, h.Name)
		if g.Content.ClientID != "" {
			content = append(content, h.Name)
		}
	}
	return all, content
}

func reachesOne(p policy.Pattern, hosts []string) bool {
	part, _, _ := strings.Cut(p.String(), "/")
	return slices.ContainsFunc(hosts, func(h string) bool { return globHas(part, h) })
}

func globHas(pattern, name string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "[", `\[`), name)
	return ok && err == nil
}

// covers says how the rule o decides all that r could, or "".
func covers(o, r policy.Rule) string {
	within := listCovers(o.Who.Users, r.Who.Users) && listCovers(o.Who.Groups, r.Who.Groups) && listCovers(o.Who.Servers, r.Who.Servers) &&
		!slices.ContainsFunc(r.What, func(p policy.Pattern) bool {
			return !slices.ContainsFunc(o.What, func(q policy.Pattern) bool { return patternCovers(q.String(), p.String()) })
		})
	whole := o.Access != daypass.Write // of a rule that forbids: everything, not writing only
	switch {
	case !within:
		return ""
	case o.Forbid && r.Forbid && (whole || r.Access == daypass.Write):
		return o.Name + " forbids all of it already"
	case o.Forbid && !r.Forbid && whole:
		return o.Name + " forbids all of it"
	case !o.Forbid && !r.Forbid && o.As == r.As && o.Access >= r.Access && o.Max >= r.Max:
		return o.Name + " allows all of it already, for as long"
	}
	return ""
}

// listCovers reports whether everybody on the list r is on the list o.
func listCovers(o, r []string) bool {
	if o == nil || slices.Contains(o, "*") {
		return true
	}
	if r == nil {
		return false
	}
	return !slices.ContainsFunc(r, func(name string) bool {
		return !slices.ContainsFunc(o, func(pattern string) bool { return partCovers(pattern, name) })
	})
}

func patternCovers(o, r string) bool {
	a, b := strings.Split(o, "/"), strings.Split(r, "/")
	for i := range a {
		if !partCovers(a[i], b[i]) {
			return false
		}
	}
	return true
}

// partCovers reports whether the pattern o matches whatever r does. It may say
// no where it is so, and never yes where it is not.
func partCovers(o, r string) bool {
	if o == "*" || o == r {
		return true
	}
	if !strings.ContainsAny(r, "*?") {
		return globHas(o, r)
	}
	prefix, rest, found := strings.Cut(o, "*")
	return found && rest == "" && !strings.Contains(prefix, "?") && strings.HasPrefix(r[:strings.IndexAny(r, "*?")], prefix)
}
