package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/devpi"
)

const passListHelp = `List your passes: what each is for, when it was made and last used, how often, until
when it is good, what it is limited to. Narrowed passes are not listed, since nobody
is asked when one is made; their uses count at the pass that they were made of.
A package index without a gateway of daypass tells the limits only.`

func (a *app) passListCommand() *cobra.Command {
	var at indexOptions
	var all, asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List your passes at the access service or a package index", Args: atMost(0), Long: passListHelp,
		RunE: func(c *cobra.Command, _ []string) error {
			if at.index != "" {
				return a.listAtIndex(c.Context(), at, asJSON)
			}
			return a.listAtService(c.Context(), all, asJSON)
		},
	}
	at.flags(c)
	c.Flags().StringVar(&at.user, "user", "", "whose passes, at a package index (default: whoever is logged in)")
	c.Flags().BoolVar(&all, "all", false, "those that have ended too")
	c.Flags().BoolVar(&asJSON, "json", false, "a list of objects, for programs")
	return c
}

func (a *app) listAtService(ctx context.Context, all, asJSON bool) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	svc, err := a.anyService(cfg)
	if err != nil {
		return err
	}
	list, err := svc.Passes(ctx)
	if err != nil {
		return told(err, cfg.host)
	}
	if !all {
		list = slices.DeleteFunc(list, func(p api.Pass) bool { return !p.Live(a.now()) })
	}
	s := a.screen(asJSON)
	if asJSON {
		s.object(listOf(list))
		return nil
	}
	if len(list) == 0 {
		s.result("You have no passes at %s.", svc.URL())
	}
	for _, p := range list {
		s.result("%s%s", s.bold(p.ID), with("  ", p.Label))
		a.listedTimes(s, p.Created, timeOf(p.Used), p.Uses)
		switch {
		case p.Ended != nil:
			s.result("  Ended:  %s%s", clock(*p.Ended, a.now()), with(", ", p.Why))
		case p.Until != nil:
			s.result("  Ends:   %s%s", s.moment(*p.Until), with(", or with server ", p.Server))
		default:
			s.result("  Ends:   no set time")
		}
		s.result("  Limits: %s", first(strings.Join(p.Limits, "; "), "none"))
	}
	return nil
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func (a *app) listedTimes(s *screen, created, used time.Time, uses int64) {
	if !created.IsZero() {
		s.result("  Made:   %s", clock(created, a.now()))
	}
	switch {
	case !used.IsZero():
		many := "1 time"
		if uses != 1 {
			many = strconv.FormatInt(uses, 10) + " times"
		}
		s.result("  Used:   %s, last at %s", many, clock(used, a.now()))
	case !created.IsZero():
		s.result("  Used:   never")
	}
}

func (a *app) listAtIndex(ctx context.Context, at indexOptions, asJSON bool) error {
	c, err := a.manager(ctx, at)
	if err != nil {
		return err
	}
	list, err := c.Tokens(ctx, c.api, c.auth, c.target(at))
	if err != nil {
		return err
	}
	s := a.screen(asJSON)
	if asJSON {
		rows := []map[string]any{}
		for _, t := range list {
			rows = append(rows, indexTokenObject(t, c.target(at)))
		}
		s.object(rows)
		return nil
	}
	if len(list) == 0 {
		s.result("%s has no passes at %s.", c.target(at), c.api.Root)
	}
	for _, t := range list {
		s.result("%s%s", s.bold(t.ID), with("  ", t.Label))
		a.listedTimes(s, t.Created, t.Used, t.Uses)
		if ends := indexTokenEnd(t); !ends.IsZero() {
			s.result("  Ends:   %s", s.moment(ends))
		}
		s.result("  Limits: %s", first(strings.Join(t.Restrictions, "; "), "none"))
	}
	return nil
}

// indexTokenEnd is when a token ends, as its index says it or its limits do;
// zero where neither does.
func indexTokenEnd(t devpi.Token) time.Time {
	ends := t.Until
	for _, text := range t.Restrictions {
		at, ok := momentOf(text)
		if text == "expires=never" {
			at, ok = daypass.Forever, true
		}
		if ok && strings.HasPrefix(text, "expires=") && (ends.IsZero() || at.Before(ends)) {
			ends = at
		}
	}
	return ends
}

// indexTokenObject has the keys of a pass of the access service; what only a
// gateway knows is left out elsewhere.
func indexTokenObject(t devpi.Token, user string) map[string]any {
	row := map[string]any{"id": t.ID, "user": user, "limits": listOf(t.Restrictions), "label": t.Label}
	for name, at := range map[string]time.Time{"created": t.Created, "used": t.Used, "until": t.Until} {
		if !at.IsZero() {
			row[name] = at.UTC().Format(time.RFC3339)
		}
	}
	if !t.Created.IsZero() {
		row["uses"] = t.Uses
	}
	return row
}
