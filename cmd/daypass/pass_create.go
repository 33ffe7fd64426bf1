package main

import (
	"slices"
	"strings"

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
	if n.forJob {
		if err := a.forJob(c.Context(), &n.limits); err != nil {
			return err
		}
	}
	if l := n.limits; l.Repos != nil || l.Hosts != nil || l.Sources != nil || l.Servers != nil {
		return limitProblem("a pass of a package index is not for git or content", "Leave out --repo, --host, --source and --server, or --index.", nil)
	}
	if err := presetsFor(n, false); err != nil {
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
	ask := devpi.Ask{Allowed: tidy(l.Allowed), Indexes: tidy(l.Indexes), Projects: tidy(l.Projects), Expires: l.Expires, NotBefore: l.NotBefore, Label: o.label}
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
	if err := presetsFor(n, true); err != nil {
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
	if err := a.hostFor(c, s, &n.limits); err != nil {
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

// hostFor names the host of repositories that came without one: the default host
// where the user or the admin set one, else the only one that the service knows.
func (a *app) hostFor(c *cobra.Command, s *service, l *pass.Limits) error {
	if l.Repos == nil || l.Hosts != nil {
		return nil
	}
	if s.cfg.hostNamed {
		l.Hosts = []string{s.cfg.host.Name}
		return nil
	}
	me, err := s.Me(c.Context())
	if err != nil {
		return told(err, s.cfg.host)
	}
	for _, h := range me.Hosts {
		l.Hosts = append(l.Hosts, h.Host)
	}
	switch len(l.Hosts) {
	case 1:
		return nil
	case 0:
		return limitProblem("the access service knows no git host, so that no repository can be named", "Ask the admins of your hub.", nil)
	}
	return usageProblem(c, "say --host: this access service knows "+printable(strings.Join(l.Hosts, ", "))+", and --repo means one of them")
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
