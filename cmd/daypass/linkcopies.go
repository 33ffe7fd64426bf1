package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

const copyHelp = `Make a link like another of yours: what the flags do not say is as there, but for the
dates. The other stays as it is.

Several are copied at once, all of them or none, with --replace or --suffix for their
names: those that are named, or with --group all that are for that group. The new names
are shown first.

  daypass link copy --group ph142 --for ph142-fall --replace ph142=ph142-fall
  daypass link copy ph142-lab1 ph142-lab2 --for ph142-fall --suffix fall`

// manyFlags say which links are copied at once, and what they are called.
type manyFlags struct {
	group, replace, suffix string
	yes                    bool
}

func (m *manyFlags) flags(c *cobra.Command) {
	l := c.Flags()
	l.StringVar(&m.group, "group", "", "copy all links that are for this group")
	l.StringVar(&m.replace, "replace", "", "of several: what their names begin with, and what by: OLD=NEW")
	l.StringVar(&m.suffix, "suffix", "", "of several: what is put at the end of their names")
	l.BoolVarP(&m.yes, "yes", "y", false, "of several: do not ask")
}

// copyMany copies several links, after their new names were shown.
func (a *app) copyMany(c *cobra.Command, f *linkFlags, m *manyFlags, args []string) error {
	for _, flag := range []string{"source", "title", "accept", "open", "folder", "app"} {
		if c.Flags().Changed(flag) {
			return usageProblem(c, "--"+flag+" is for one link: copy that one as NAME NEW-NAME")
		}
	}
	begins, by, ok := strings.Cut(m.replace, "=")
	if m.replace != "" && (!ok || begins == "") || m.replace == "" && m.suffix == "" {
		return usageProblem(c, "say what the new names are, with --replace OLD=NEW or --suffix")
	}
	q, err := f.request(c, a.now())
	if err != nil {
		return err
	}
	s, err := a.linkAt()
	if err != nil {
		return err
	}
	list, err := s.Links(c.Context())
	if err != nil {
		return toldPlain(err)
	}
	ask := api.LinkCopies{Audience: q.Audience, From: q.From, Until: q.Until}
	taken, chosen, invites := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, name := range args {
		if name, err = a.linkNameOf(name); err != nil {
			return err
		}
		chosen[name] = true
	}
	for _, l := range list.Links {
		taken[l.Name], invites[l.Name] = true, l.Accept != ""
		if chosen[l.Name] || m.group != "" && len(args) == 0 && l.Audience == m.group && l.State != "ended" {
			ask.Copies = append(ask.Copies, api.LinkCopy{Like: l.Name, Name: api.CopyName(l.Name, begins, by, m.suffix)})
			delete(chosen, l.Name)
		}
	}
	for name := range chosen {
		return &daypass.Problem{Code: "DP-795", What: "you have no link of the name " + name, Next: `"daypass link list --all" shows yours.`, Kind: daypass.ErrUsage}
	}
	slices.SortFunc(ask.Copies, func(x, y api.LinkCopy) int { return strings.Compare(x.Like, y.Like) })
	if err := a.copiesFit(ask, taken); err != nil {
		return err
	}
	return a.copyNow(c, s, ask, invites, f.json, m.yes)
}

// copiesFit refuses names that cannot be.
func (a *app) copiesFit(ask api.LinkCopies, taken map[string]bool) error {
	p := &daypass.Problem{Code: "DP-795", What: "these links cannot be copied so", Next: "Choose others, or other names: --replace OLD=NEW, --suffix.", Kind: daypass.ErrUsage}
	var clash []string
	for _, one := range ask.Copies {
		if taken[one.Name] {
			clash = append(clash, one.Name)
		}
	}
	switch why := ask.Check(); {
	case len(ask.Copies) == 0:
		p.Why = "none of yours is for that group"
	case why != "":
		p.Why = why
	case len(clash) > 0:
		p.Why = "you have, or had, links of the names " + strings.Join(clash, ", ")
	default:
		return nil
	}
	return p
}

// copyNow shows the new names, and which of them leave an invitation behind, and copies
// after a yes.
func (a *app) copyNow(c *cobra.Command, s *service, ask api.LinkCopies, invites map[string]bool, asJSON, yes bool) error {
	out := a.screen(asJSON)
	if !asJSON {
		for _, one := range ask.Copies {
			without := ""
			if invites[one.Like] {
				without = "  (without the invitation: daypass link edit " + one.Name + " --accept URL)"
			}
			out.result("%s  becomes  %s%s", one.Like, one.Name, without)
		}
	}
	if !yes && !a.ask("Make %s", plural(len(ask.Copies), "link")) {
		return usageProblem(c, "say --yes, so that they are made without a question")
	}
	made, err := s.CopyLinks(c.Context(), ask)
	if err != nil {
		return toldPlain(err)
	}
	if asJSON {
		out.object(api.CopiedLinks{Links: made})
		return nil
	}
	out.result("%s", fmt.Sprintf("Made: %s. The others stay as they are.", plural(len(made), "link")))
	for _, l := range made {
		out.result("  %s", l.URL)
	}
	return nil
}
