package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/devpi"
	"github.com/daypass-dev/daypass/pass"
)

const passCreateHelp = `Have a pass made: by your hub's access service, for git and content, or with --index by
a package index (a gateway of daypass, or devpi-tokens).

  daypass pass create --repo octo/data --read-only --expires 8h --output job.pass
  daypass pass create --for-job --repo octo/data
  daypass pass create --index https://pypi.example.org/alice/dev/ --upload-only --projects maps

A pass of the access service ends within 12 hours and with the server that asked for
it; a longer one is made on the service's page, in a browser. At a package index it
takes the devpi client's log-in or your password, and lasts a year unless you say.

The flags are those of "daypass pass narrow".`

type passService struct {
	at    indexOptions
	label string
}

func (a *app) passCreateCommand() *cobra.Command {
	n, o := &narrowing{}, &passService{}
	c := &cobra.Command{
		Use: "create", Short: "Have a pass made by the access service or a package index", Args: atMost(0), Long: passCreateHelp,
		RunE: func(c *cobra.Command, _ []string) error { return a.passCreate(c, n, o) },
	}
	o.at.flags(c)
	c.Flags().StringVar(&o.at.user, "user", "", "whose pass, at a package index (default: whoever is logged in)")
	c.Flags().StringVar(&o.label, "label", "", "what it is for, for your own list")
	n.flags(c)
	return c
}

func (a *app) passCreate(c *cobra.Command, n *narrowing, o *passService) error {
	if err := a.prepareLimits(c, n); err != nil {
		return err
	}
	if o.at.index != "" {
		return a.createAtIndex(c, n, o)
	}
	return a.createAtService(c, n, o)
}

// createAtIndex: what the index has words for is in the pass from the start;
// what only daypass has is added here, which needs nobody.
func (a *app) createAtIndex(c *cobra.Command, n *narrowing, o *passService) error {
	if o.label != "" {
		return usageProblem(c, "--label is for the access service: an index keeps no labels")
	}
	if n.forJob {
		if err := a.forJob(c.Context(), &n.limits); err != nil {
			return err
		}
	}
	if l := n.limits; l.Repos != nil || l.Hosts != nil || l.Sources != nil || l.Servers != nil {
		return limitProblem("a pass of a package index is not for git or content", "Leave out --repo, --host, --source and --server, or --index.", nil)
	}
	if err := a.presetsFor(n, false); err != nil {
		return err
	}
	caveats, err := n.limits.Caveats() // all mistakes, before anything is asked
	if err != nil {
		return limitProblem(strings.TrimPrefix(err.Error(), "pass: "), "Correct it; doc/passes.md lists all limits.", err)
	}
	caller, err := a.manager(c.Context(), o.at)
	if err != nil {
		return err
	}
	l := n.limits
	ask := devpi.Ask{Allowed: tidy(l.Allowed), Indexes: tidy(l.Indexes), Projects: tidy(l.Projects), Expires: l.Expires, NotBefore: l.NotBefore}
	text, err := a.createToken(c.Context(), caller, caller.target(o.at), ask)
	if err != nil {
		return err
	}
	p, err := pass.Parse(text)
	if err != nil {
		return passProblem(err)
	}
	if p, err = withLimits(p, caveats); err != nil {
		return err
	}
	return a.handOver(n, p, outForm(p))
}

func tidy(list []string) []string {
	if list == nil {
		return nil
	}
	return listOption(list)
}

// withLimits narrows by those limits that the pass does not have yet.
func withLimits(p pass.Pass, caveats []string) (pass.Pass, error) {
	have := p.Caveats()
	missing := slices.DeleteFunc(slices.Clone(caveats), func(c string) bool { return slices.Contains(have, c) || c == "expires=never" })
	if len(missing) == 0 {
		return p, nil
	}
	narrowed, err := p.Narrow(missing...)
	return narrowed, passProblem(err)
}

func (a *app) createAtService(c *cobra.Command, n *narrowing, o *passService) error {
	if l := n.limits; l.Allowed != nil || l.Indexes != nil || l.Projects != nil || l.Digests != nil {
		return limitProblem("--allowed, --indexes, --projects and --digest are about a package index", "Name one with --index URL.", nil)
	}
	if err := a.presetsFor(n, true); err != nil {
		return err
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	s, err := a.anyService(cfg)
	if err != nil {
		return err
	}
	r := api.PassRequest{Label: o.label}
	if n.forJob && a.getenv("SLURM_JOB_ID") == "" {
		r.ForServer = true
	} else if n.forJob {
		if err := a.forJob(c.Context(), &n.limits); err != nil {
			return err
		}
	}
	l := n.limits
	caveats, err := l.Caveats()
	if err != nil {
		return limitProblem(strings.TrimPrefix(err.Error(), "pass: "), "Correct it; doc/passes.md lists all limits.", err)
	}
	r.Limits = api.PassLimits{Hosts: tidy(l.Hosts), Repos: tidy(l.Repos), Sources: tidy(l.Sources), Servers: l.Servers, Addresses: tidy(l.Addresses), Uses: l.Uses}
	if l.Access != daypass.NoAccess {
		r.Limits.Access = l.Access.String()
	}
	if !l.NotBefore.IsZero() {
		r.Limits.NotBefore = &l.NotBefore
	}
	switch {
	case l.Expires.IsZero():
	case l.Expires.Before(daypass.Forever):
		r.Until = &l.Expires
	default:
		r.Never = true
	}
	reply, err := s.MintPass(c.Context(), r)
	if err != nil {
		return told(err, cfg.host)
	}
	p, err := pass.Parse(reply.Pass)
	if err != nil {
		return passProblem(err)
	}
	if p, err = withLimits(p, caveats); err != nil {
		return err
	}
	return a.handOver(n, p, outForm(p))
}

// anyService is the access service, or the problem that there is none.
func (a *app) anyService(cfg config) (*service, error) {
	s, err := a.service(cfg)
	if err != nil || s != nil {
		return s, err
	}
	if url := a.serviceURL(cfg); url != "" {
		return nil, &daypass.Problem{
			Code: "DP-147", What: "you are not logged in at the access service at " + printable(url), Next: "Run \"daypass login\" first.", Kind: daypass.ErrNoLogin,
		}
	}
	return nil, &daypass.Problem{
		Code: "DP-147", What: "no access service is known here", Next: "A hub's servers know it by DAYPASS_URL; elsewhere set it. For a package index say --index URL.", Kind: daypass.ErrUsage,
	}
}

// openService is the access service, asked as nobody.
func (a *app) openService(cfg config) (*client.Client, error) {
	url := a.serviceURL(cfg)
	if url == "" {
		_, err := a.anyService(cfg)
		return nil, err
	}
	if err := client.Usable(url, cfg.admin); err != nil {
		return nil, err
	}
	return client.New(client.Config{URL: url, Transport: a.direct, Now: a.now, PlainHTTP: cfg.admin.PlainHTTP})
}

const passListHelp = `List your passes: what each is for, when it was made and last used, how often, until
when it is good, what it is limited to. Narrowed passes are not listed, since nobody
is asked when one is made; their uses count at the pass that they were made of.`

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
		s.result("  Used:   %d times, last at %s", uses, clock(used, a.now()))
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
			rows = append(rows, map[string]any{"id": t.ID, "user": c.target(at), "limits": listOf(t.Restrictions), "label": t.Label})
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
		for _, text := range t.Restrictions {
			if at, ok := momentOf(text); ok && strings.HasPrefix(text, "expires=") {
				s.result("  Ends:   %s", s.moment(at))
			}
		}
		s.result("  Limits: %s", first(strings.Join(t.Restrictions, "; "), "none"))
	}
	return nil
}

const passRevokeHelp = `End a pass, at once and for everybody who holds it, with all that were narrowed from it.

  daypass pass revoke k7Qm2xVbTcZdPnRw     one of yours, by its id ("daypass pass list")
  daypass pass revoke --file job.pass      the one in that file, whoever's it is

A pass that is shown is ended from there on: where it was narrowed from another, that
other one goes on. Nobody needs to be logged in for that: who has a pass can end it.
A pass of a package index is shown there, with --index URL too. Where no gateway of
daypass is, an index ends whole passes only, and takes your password.`

func (a *app) passRevokeCommand() *cobra.Command {
	var from passSource
	var at indexOptions
	var yes bool
	c := &cobra.Command{
		Use: "revoke [ID]", Short: "End a pass, by its id or by showing it", Args: atMost(1), Long: passRevokeHelp,
		RunE: func(c *cobra.Command, args []string) error {
			if (from.file == "" && from.token == "") == (len(args) == 0) {
				return usageProblem(c, "say either an ID or --file FILE")
			}
			if len(args) == 0 {
				return a.revokeShown(c.Context(), from, at, yes)
			}
			if pass.LooksLike(daypass.NewSecret(args[0])) {
				return a.readLiteral()
			}
			if at.index != "" {
				return a.revokeAtIndex(c.Context(), at, args[0])
			}
			return a.revokeByID(c.Context(), args[0])
		},
	}
	from.flags(c)
	at.flags(c)
	c.Flags().StringVar(&at.user, "user", "", "whose pass, at a package index (default: whoever is logged in)")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// readLiteral: a pass was typed as an argument.
func (a *app) readLiteral() error {
	_, err := a.passText(passSource{token: "x"})
	return err
}

func (a *app) revokeByID(ctx context.Context, id string) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	s, err := a.anyService(cfg)
	if err != nil {
		return err
	}
	done, err := s.EndPass(ctx, id)
	if err != nil {
		return told(err, cfg.host)
	}
	a.screen(false).result("Ended: pass %s, and all that were narrowed from it%s.", id, eventWords(done.Event))
	return nil
}

// endShownAtIndex ends a pass at a package gateway, by showing it; done is false
// where the index is another.
func (a *app) endShownAtIndex(ctx context.Context, at indexOptions, p pass.Pass) (done bool, err error) {
	id, _ := p.Identity()
	if id.Realm.Kind != pass.Index {
		return false, nil
	}
	c, err := a.reach(ctx, at)
	if err != nil {
		return false, err
	}
	event, err := c.EndShown(ctx, c.api, devpi.Auth{User: id.User, Password: p.Text(outForm(p))})
	if devpi.IsStatus(err, 404) {
		return false, nil
	}
	if err == nil {
		a.screen(false).result("Ended: this pass, and all that were narrowed from it%s.", eventWords(event))
	}
	return err == nil, err
}

func eventWords(event string) string {
	if event == "" {
		return ""
	}
	return " (event " + event + ")"
}

func (a *app) revokeAtIndex(ctx context.Context, at indexOptions, id string) error {
	c, err := a.manager(ctx, at)
	if err != nil {
		return err
	}
	if _, err := c.DeleteToken(ctx, c.api, c.auth, c.target(at), id); err != nil {
		return err
	}
	a.screen(false).result("Ended: pass %s of %s, and all that were narrowed from it.", id, c.target(at))
	return nil
}

func (a *app) revokeShown(ctx context.Context, from passSource, at indexOptions, yes bool) error {
	p, err := a.readPass(from)
	if err != nil {
		return err
	}
	id, _ := p.Identity()
	switch {
	case id.Realm.Kind == pass.Hub:
	case at.index == "":
		return &daypass.Problem{
			Code: "DP-148", What: "a pass of a package index is ended there", Next: "Say --index URL too.", Kind: daypass.ErrUsage,
		}
	default:
		if done, err := a.endShownAtIndex(ctx, at, p); done || err != nil {
			return err
		}
		if !yes && !a.ask("This ends pass %s and everything that was made of it, not only what you showed.\nGo on?", id.ID) {
			return aborted()
		}
		at.user = first(at.user, id.User)
		return a.revokeAtIndex(ctx, at, id.ID)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	c, err := a.openService(cfg)
	if err != nil {
		return err
	}
	done, err := c.EndShownPass(ctx, p.Text(outForm(p)))
	if err != nil {
		return told(err, cfg.host)
	}
	a.screen(false).result("Ended: this pass, and all that were narrowed from it%s.", eventWords(done.Event))
	return nil
}
