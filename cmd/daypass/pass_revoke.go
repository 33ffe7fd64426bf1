package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/devpi"
	"github.com/daypass-dev/daypass/pass"
)

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
