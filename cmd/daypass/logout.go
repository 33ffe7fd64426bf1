package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

const logoutHelp = `End your access: erase it on this machine, always, and end it at the host where the
host can do that. git's configuration stays ("daypass setup --undo" takes that back).

  daypass logout                 the default host
  daypass logout ghes.example    another host
  daypass logout --all           every host
  daypass logout --index URL     a package index

Where your hub connects you, this empties this machine's store, and git gets new access
when it asks again. --disconnect ends the connection too, for all your servers.`

func (a *app) logoutCommand() *cobra.Command {
	var all, disconnect bool
	var at indexOptions
	c := &cobra.Command{
		Use: "logout [HOST]", Short: "End your access, here and at the host", Long: logoutHelp, Args: atMost(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case at.index != "" && (all || len(args) > 0):
				return usageProblem(c, "--index goes with neither a HOST nor --all")
			case at.needless():
				return usageProblem(c, "--user, --password and --clientdir go with --index URL")
			case at.index != "":
				return a.logoutIndex(c.Context(), at, disconnect)
			}
			return a.logout(c.Context(), args, all, disconnect)
		},
	}
	at.flags(c)
	c.Flags().StringVar(&at.user, "user", "", "who you are at the package index")
	c.Flags().BoolVar(&all, "all", false, "every host")
	c.Flags().BoolVar(&disconnect, "disconnect", false, "end the connection at the access service too, everywhere")
	return c
}

func (a *app) logout(ctx context.Context, args []string, all, disconnect bool) error {
	cfg, host, err := a.logoutHere(ctx, args, all, disconnect)
	if err != nil || !disconnect {
		return err
	}
	return a.disconnect(ctx, cfg, all, host)
}

// logoutHere empties this machine's store of what is for the host, or for all.
func (a *app) logoutHere(ctx context.Context, args []string, all, disconnect bool) (config, github.Host, error) {
	if all && len(args) > 0 {
		return config{}, github.Host{}, usageText("logout", "give a host or --all, not both")
	}
	cfg, err := a.loadConfig()
	if err != nil && !all {
		return cfg, github.Host{}, err
	}
	host := cfg.host
	if !all {
		if host, err = a.hostNamed(cfg, first(args...)); err != nil {
			return cfg, host, err
		}
	}
	return cfg, host, a.empty(ctx, all, disconnect, host)
}

func (a *app) empty(ctx context.Context, all, disconnect bool, host github.Host) error {
	w, err := a.openWallet()
	if err != nil {
		return err
	}
	// Erased first: whatever happens at the host, nothing stays here.
	gone, err := w.Remove(func(e wallet.Entry) bool {
		return all || e.Origin == fromPass || e.Scheme == host.Scheme && e.Credential.Scope.Host == host.Name
	}, "logout")
	if err != nil {
		return walletProblem(err)
	}
	files := a.emptyStoreFiles(all, host)
	s := a.screen(false)
	if len(gone) == 0 && len(files) == 0 {
		s.result("There was nothing to end%s.", hostPhrase(all, host))
		return nil
	}
	for _, f := range files {
		s.result("Emptied %s.", printable(a.tilde(f)))
	}
	passes := slices.DeleteFunc(slices.Clone(gone), func(e wallet.Entry) bool { return e.Origin != fromPass })
	a.endPasses(ctx, passes)
	gone = slices.DeleteFunc(gone, func(e wallet.Entry) bool { return e.Origin == fromPass })
	for origin, list := range byHost(gone) {
		if list = a.ownTokens(s, origin, list, disconnect); len(list) > 0 {
			a.endAtHost(ctx, s, origin, list)
		}
	}
	return nil
}

// ownTokens leaves out what setup --from-env took over: that token is the hub's,
// which goes on giving it to the servers that it starts; and what the access
// service gave, which must know what it ended.
func (a *app) ownTokens(s *screen, origin string, list []wallet.Entry, disconnect bool) []wallet.Entry {
	var out []wallet.Entry
	given := 0
	for _, e := range list {
		switch e.Origin {
		case fromService: // its own to end, and to give again
			given++
			continue
		case "env":
		default:
			out = append(out, e)
			continue
		}
		s.result("Erased the token taken from GITHUB_TOKEN for %s. It is the hub's own and stays valid there; to end it: %s",
			e.Credential.Scope.Host, origin+"/settings/applications")
	}
	if given > 0 {
		s.result("Erased on this machine: access to %d of your repositories at %s.", given, origin)
		if !disconnect {
			s.result("You stay connected at the access service; \"daypass logout --disconnect\" ends that.")
		}
	}
	return out
}

func hostPhrase(all bool, h github.Host) string {
	if all {
		return ""
	}
	return " for " + h.Title()
}

func byHost(entries []wallet.Entry) map[string][]wallet.Entry {
	out := map[string][]wallet.Entry{}
	for _, e := range entries {
		key := e.Scheme + "://" + e.Credential.Scope.Host
		out[key] = append(out[key], e)
	}
	return out
}

// endAtHost revokes and says what came of it.
func (a *app) endAtHost(ctx context.Context, s *screen, origin string, list []wallet.Entry) {
	h, err := github.ParseHost(origin)
	if err != nil {
		s.result("Erased on this machine: an entry for %s, which is no host that could be asked to end it.", printable(origin))
		return
	}
	var tokens []daypass.Secret
	for _, e := range list {
		tokens = append(tokens, e.Credential.Token, e.Refresh)
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	err = a.client(h, "").Revoke(ctx, tokens...)
	switch {
	case err == nil:
		s.result("Logged out of %s: erased on this machine, and ended at the host (which may tell you so by e-mail).", h.Title())
	case errors.Is(err, github.ErrCannotRevoke):
		s.result("Logged out of %s: erased on this machine. %s has no way to end a token from here; it ends by itself, or at once on\n  %s",
			h.Title(), h.Title(), h.AuthorizationsURL())
	default:
		s.result("Logged out of %s: erased on this machine. It could not be ended at the host; it ends by itself, or at once on\n  %s",
			h.Title(), h.AuthorizationsURL())
		s.problem(err)
	}
}
