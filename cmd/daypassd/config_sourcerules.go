package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/provider/github"
)

// sourceRules are the rules of sources. One that could never say yes is a mistake: its
// admin believes that somebody may read what nobody will.
func (c *serverConfig) sourceRules() ([]broker.SourceRule, error) {
	var out []broker.SourceRule
	names := map[string]bool{}
	for i, r := range c.Sources.Rules {
		wrong := func(why string, at ...any) error {
			return fmt.Errorf("%ssources.rules: rule %d, %s: %s", c.line(slices.Concat([]any{"sources", "rules", i}, at)...), i+1, strconv.QuoteToASCII(r.Name), why)
		}
		switch {
		case !accountName.MatchString(r.Name) || names[r.Name]:
			return nil, wrong("a name is needed that no other has, of a to z, 0 to 9 and hyphens", "name")
		case len(r.Groups)+len(r.Users) == 0:
			return nil, wrong("name groups or users")
		case len(r.Sources) == 0:
			return nil, wrong("name sources", "sources")
		}
		names[r.Name] = true
		for _, who := range []struct {
			key   string
			names []string
		}{{"groups", r.Groups}, {"users", r.Users}} {
			for k, name := range who.names {
				if why := inFull(name); why != "" {
					return nil, wrong(who.key+": "+strconv.QuoteToASCII(name)+" "+why, who.key, k)
				}
			}
		}
		rule := broker.SourceRule{Name: r.Name, Groups: r.Groups, Users: r.Users}
		for k, text := range r.Sources {
			src, ok := daypass.ParseSource(text)
			why := `is no source as the service writes it: "daypass resolve" shows it, such as drive:drive.google.com/ID`
			if ok {
				why = c.never(src)
			}
			if why != "" {
				return nil, wrong(strconv.QuoteToASCII(text)+" "+why, "sources", k)
			}
			rule.Sources = append(rule.Sources, src)
		}
		out = append(out, rule)
	}
	return out, nil
}

// inFull says why a name can be nobody's at a hub. Rules of sources compare whole names.
func inFull(name string) string {
	switch {
	case name == "":
		return "is no name"
	case strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has spaces around it, or what cannot be seen: write the name as the hub shows it"
	case strings.ContainsAny(name, "*?"):
		return "is a pattern: name each in full, here * and ? stand for nothing"
	}
	return ""
}

// never says why the service will read a source by no rule; "" where it may.
func (c *serverConfig) never(s daypass.Source) string {
	var apps []string
	for _, g := range c.GitHub {
		if h, err := github.ParseHost(g.Host); err == nil && g.Content.ClientID != "" {
			apps = append(apps, h.Name)
		}
	}
	of := broker.Sources{Hosts: c.Sources.Hosts}
	for _, d := range c.Sources.Drive {
		of.Drive = append(of.Drive, broker.DriveAccount{Account: d.Account})
	}
	return of.Never(s, apps)
}

// line says where something stands in the file, by its keys and its places in lists:
// "line 12: "; of what is not there, where the nearest is in which it would.
func (c *serverConfig) line(path ...any) string {
	n := &c.tree
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	line := 0
	for _, p := range path {
		if n = within(n, p); n == nil {
			break
		}
		line = n.Line
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
	}
	if line == 0 {
		return ""
	}
	return fmt.Sprintf("line %d: ", line)
}

// within is the value of a key of a mapping, or an item of a list; nil where there is none.
func within(n *yaml.Node, p any) *yaml.Node {
	switch p := p.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && p < len(n.Content) {
			return n.Content[p]
		}
	case string:
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == p {
				return n.Content[i+1]
			}
		}
	}
	return nil
}
