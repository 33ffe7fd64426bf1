package main

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

const setupHelp = `Make git ask daypass for a host: the helper's absolute path, helpers configured before
it silenced there, and the repository's name sent along. login does this by itself
where it is needed.

  daypass setup                 your ~/.gitconfig
  daypass setup --system        for everybody on this machine (as root)
  daypass setup --hub [HOST…]   for a hub's image: --system and --ssh, conda's git too,
                                and what tells git who commits when a server starts
  daypass setup --ssh           also turn git@HOST: and ssh:// remotes into https
  daypass setup --from-env      keep GITHUB_TOKEN from the environment in memory for git
  daypass setup --undo          take away exactly what setup added
  daypass setup --dry-run       show it only`

type setupOptions struct {
	system, global, hub, ssh, fromEnv, dryRun, undo, keepHelpers bool
	host                                                         string
}

func (a *app) setupCommand() *cobra.Command {
	var o setupOptions
	c := &cobra.Command{
		Use: "setup", Short: "Make git ask daypass, or no longer", Long: setupHelp,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 && !o.hub {
				return usageProblem(c, "hosts can be given with --hub only; else say --host")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.setup(c, o, args) },
	}
	f := c.Flags()
	f.BoolVar(&o.system, "system", false, "git's configuration for everybody on this machine")
	f.BoolVar(&o.global, "global", false, "your own git configuration (the default)")
	f.BoolVar(&o.hub, "hub", false, "for a hub's image: --system and --ssh, every git found, start scripts")
	f.BoolVar(&o.ssh, "ssh", false, "turn ssh remotes of the host into https")
	f.BoolVar(&o.fromEnv, "from-env", false, "keep GITHUB_TOKEN in memory, bound to GITHUB_HOST")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be done")
	f.BoolVar(&o.undo, "undo", false, "take away what setup added")
	f.BoolVar(&o.keepHelpers, "keep-helpers", false, "leave other credential helpers in place after daypass")
	f.StringVar(&o.host, "host", "", "the GitHub host (default: as for login)")
	return c
}

func (a *app) setup(c *cobra.Command, o setupOptions, args []string) error {
	if o.hub {
		o.system, o.ssh = true, true
	}
	if o.system && o.global {
		return usageProblem(c, "say --system or --global, not both")
	}
	if o.system && o.fromEnv {
		return usageProblem(c, "--from-env is for one person: say it without --system and --hub")
	}
	if o.undo && len(args) > 0 {
		return usageProblem(c, "--undo takes a host by --host")
	}
	ctx := c.Context()
	if o.undo {
		return a.undo(ctx, o)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	hosts, err := a.setupHosts(cfg, o, args)
	if err != nil {
		return err
	}
	helper, err := helperPath()
	if err != nil {
		return err
	}
	warnExposed(a.screen(false), helper)
	for _, h := range hosts {
		req := gitconf.Request{
			Origin: h.Web, Helper: helper, System: o.system, SSH: o.ssh, KeepHelpers: o.keepHelpers, PushDefault: true,
		}
		if o.fromEnv {
			if err := a.fromEnv(ctx, h, o.dryRun, &req); err != nil {
				return err
			}
		} else if !o.system {
			a.identity(ctx, h, &req)
		}
		if err := a.applySetup(ctx, o, h, req); err != nil {
			return err
		}
	}
	if o.hub {
		return a.startScripts(o)
	}
	return nil
}

// setupHosts are the hosts to set up: the one named, else the default; for an
// image those named, else the default and each that is configured.
func (a *app) setupHosts(cfg config, o setupOptions, args []string) ([]github.Host, error) {
	names := args
	if o.hub && len(args) == 0 && o.host == "" {
		names = append([]string{""}, slices.Sorted(maps.Keys(cfg.hosts))...)
	}
	if o.host != "" || len(names) == 0 {
		names = append([]string{o.host}, names...)
	}
	var out []github.Host
	for _, name := range names {
		h, err := a.hostNamed(cfg, name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out, nil
}

// identity fills in who commits, from a login that there is; without one git
// asks for it itself at the first commit.
func (a *app) identity(ctx context.Context, h github.Host, req *gitconf.Request) {
	e, err := a.current(ctx, h, daypass.Repo{})
	if err == nil {
		req.UserName, req.UserEmail = e.Name, e.Email
	}
}

func (a *app) applySetup(ctx context.Context, o setupOptions, h github.Host, req gitconf.Request) error {
	gits, err := a.gits(o.hub)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, git := range gits {
		s := a.gitSetup(git, o.system)
		plan := s.Apply
		if o.dryRun {
			plan = s.Plan
		}
		change, err := plan(ctx, req)
		if err != nil {
			return err
		}
		if done[change.File] {
			continue
		}
		done[change.File] = true
		a.showChange(a.screen(false), h.Web+"/", change, o.dryRun)
		if o.dryRun && change.Added != "" {
			a.screen(false).result("%s", lines(indent(change.Added)))
		}
	}
	return nil
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}

func (a *app) gits(every bool) ([]gitconf.Git, error) {
	one, err := gitconf.Find(a.getenv)
	if err != nil {
		return nil, err
	}
	if every {
		return gitconf.FindAll(a.getenv), nil
	}
	return []gitconf.Git{one}, nil
}

// gitSetup remembers what it adds where gitconf does, but for a system file that
// GIT_CONFIG_SYSTEM names: that one is this user's own affair, as is its record.
func (a *app) gitSetup(git gitconf.Git, system bool) gitconf.Setup {
	s := gitconf.Setup{Git: git, Now: a.now}
	if system && a.getenv("GIT_CONFIG_SYSTEM") != "" {
		if dir, ok := a.stateDir(); ok {
			s.Record = filepath.Join(dir, "setup-system.json")
		}
	}
	return s
}

func (a *app) undo(ctx context.Context, o setupOptions) error {
	origin := ""
	if o.host != "" {
		h, err := github.ParseHost(o.host)
		if err != nil {
			return err
		}
		origin = h.Web
	}
	git, err := gitconf.Find(a.getenv)
	if err != nil {
		return err
	}
	s := a.gitSetup(git, o.system)
	undo := s.Undo
	if o.dryRun {
		undo = s.PlanUndo
	}
	list, err := undo(ctx, origin, o.system)
	out := a.screen(false)
	for _, u := range list {
		verb := "Taken"
		if o.dryRun {
			verb = "Would be taken"
		}
		out.result("%s out of %s:\n%s", verb, a.tilde(u.File), lines(indent(u.Removed)))
		for _, key := range u.Left {
			out.result("  Left, since somebody has changed it: %s", key)
		}
	}
	if err == nil && len(list) == 0 {
		out.result("There was nothing to take back.")
	}
	if err == nil && o.hub {
		return a.startScripts(o)
	}
	return err
}

// fromEnv takes over what ContainDS' github-tokens.sh left to git's
// configuration and to remote addresses: the hub's login token, kept in memory,
// bound to its host alone, until the server ends.
func (a *app) fromEnv(ctx context.Context, h github.Host, dryRun bool, req *gitconf.Request) error {
	token := a.getenv("GITHUB_TOKEN")
	if token == "" {
		return &daypass.Problem{
			Code: "DP-721", What: "GITHUB_TOKEN is not set, so there is nothing to take over",
			Next: `Run "daypass login" instead.`, Kind: daypass.ErrNoLogin,
		}
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) || len(token) > 1024 {
		return &daypass.Problem{Code: "DP-722", What: "GITHUB_TOKEN does not look like a token", Next: "Ask whoever set it.", Kind: daypass.ErrUsage}
	}
	clean := func(s string) string { // a name that no line of text can hold is left out
		if printable(s) != s {
			return ""
		}
		return s
	}
	req.UserName, req.UserEmail = clean(first(a.getenv("GITHUB_NAME"), a.getenv("GITHUB_USER"))), clean(a.getenv("GITHUB_EMAIL"))
	if dryRun {
		a.screen(false).result("GITHUB_TOKEN would be kept in memory, for %s alone.", h.Name)
		return nil
	}
	w, err := a.openWallet()
	if err != nil {
		return err
	}
	a.sweep(ctx, w, revokeTime)
	auth, err := a.keepingAuthority()
	if err != nil {
		return err
	}
	e := wallet.Entry{
		Authority: auth, Scheme: h.Scheme, Origin: "env", ProviderName: h.Title(), WebURL: h.Web, APIURL: h.API,
		Name: req.UserName, Email: req.UserEmail,
		Credential: daypass.Credential{
			Scope:   daypass.Scope{Host: h.Name, All: true, Access: daypass.Write, Until: daypass.Forever},
			Account: a.getenv("GITHUB_USER"), Username: "x-access-token", Token: daypass.NewSecret(token),
		},
	}
	stored, err := w.PutUnless(e, func(have wallet.Entry) bool {
		return have.Origin != "env" && (have.Credential.Usable(a.now(), 0) || !have.Refresh.IsZero())
	})
	if err != nil {
		return walletProblem(err)
	}
	if have, ok, _ := again(w, e); !stored && ok && have.Over(a.now()) {
		return stillToEnd(h)
	}
	if !stored {
		a.screen(false).result("You are logged in to %s already, so GITHUB_TOKEN is left alone: it may reach more and last longer.", h.Name)
		return a.oldLeavings(ctx)
	}
	a.screen(false).result("GITHUB_TOKEN is kept for %s alone, in %s. \"daypass status\" says how wide it is.", h.Name, w.Place())
	return a.oldLeavings(ctx)
}

// stillToEnd: an earlier login's renewal is over and its tokens wait in the store
// to be ended at the host; nothing may take their place before.
func stillToEnd(h github.Host) error {
	return &daypass.Problem{
		Code: "DP-107", What: "an earlier login's renewal still has to be ended at " + h.Title(), Why: "it could not be reached",
		Next: "Try again when it can be reached, or end it here and there with \"daypass logout\".", Kind: daypass.ErrUnreachable,
	}
}

// oldLeavings warns of what github-tokens.sh wrote: the token in git's configuration.
func (a *app) oldLeavings(ctx context.Context) error {
	git, err := gitconf.Find(a.getenv)
	if err != nil {
		return err
	}
	list, err := git.List(ctx, "")
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Key == "user.ghtoken" || strings.HasSuffix(e.Key, "insteadof") && len(gitconf.Secrets(e.Subsection())) > 0 {
			a.screen(false).say("Note: an older script left a token in git's configuration. \"daypass doctor --fix\" takes it away.")
			return nil
		}
	}
	return nil
}
