package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

const checkHelp = `Would a push work from here, and if not, why and who can change it? The host is
asked; nothing is pushed. Without an address, the repository that you stand in is
meant: the remote that its branch pushes to.`

func (a *app) checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check [REMOTE-URL]", Short: "Would a push work, and if not, why", Long: checkHelp, Args: atMost(1),
		RunE: func(c *cobra.Command, args []string) error { return a.check(c.Context(), args) },
	}
	return c
}

// here is the remote that a push from this folder goes to.
type here struct {
	gitconf.RemoteURL
	remote string // its name; empty for a URL given
	dir    string
}

// remoteHere finds what a push from the current folder would go to; or reads
// the URL given.
func (a *app) remoteHere(ctx context.Context, given string) (here, error) {
	git, err := gitconf.Find(a.getenv)
	if err != nil {
		return here{}, err
	}
	if given != "" {
		u, err := gitconf.ParseRemote(given)
		if err != nil {
			return here{}, usageText("check", "that is no address of a repository; give https://HOST/OWNER/NAME")
		}
		return here{RemoteURL: u}, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return here{}, err
	}
	if _, ok := git.Repository(ctx, dir); !ok {
		return here{}, &daypass.Problem{
			Code: "DP-611", What: "this folder is no git repository",
			Next: "Go into a clone, or give an address: daypass check https://github.com/OWNER/NAME", Kind: daypass.ErrUsage,
		}
	}
	name := git.PushRemote(ctx, dir)
	raw, err := git.PushURL(ctx, dir, name)
	if err != nil || raw == "" {
		return here{}, &daypass.Problem{
			Code: "DP-612", What: "this repository has no remote named " + printable(name) + " to push to",
			Next: "Add one: git remote add origin https://github.com/OWNER/NAME", Kind: daypass.ErrUsage, Err: err,
		}
	}
	u, err := gitconf.ParseRemote(raw)
	if err != nil {
		return here{}, &daypass.Problem{
			Code: "DP-613", What: "the remote " + printable(name) + " is not on a git host", Why: "its address is a folder, or of a kind that daypass does not know",
			Next: "daypass has nothing to do with it.", Kind: daypass.ErrUsage, Err: err,
		}
	}
	return here{RemoteURL: u, remote: name, dir: dir}, nil
}

func (a *app) check(ctx context.Context, args []string) error {
	given := ""
	if len(args) > 0 {
		given = args[0]
	}
	at, err := a.remoteHere(ctx, given)
	if err != nil {
		return err
	}
	if at.Scheme == "ssh" {
		return &daypass.Problem{
			Code: "DP-614", What: "the push goes over ssh, which does not ask daypass",
			Next: `Use the https address (git remote set-url ` + first(at.remote, "origin") + " " + at.HTTPS() + `), or "daypass setup --ssh" for all of that host.`,
			Kind: daypass.ErrRefused,
		}
	}
	h, err := github.ParseHost(at.Scheme + "://" + at.Host)
	if err != nil {
		return err
	}
	if at.Repo == (daypass.Repo{}) {
		return usageText("check", "that address names no repository; it ends in OWNER/NAME")
	}
	return a.checkPush(ctx, h, at)
}

func (a *app) checkPush(ctx context.Context, h github.Host, at here) error {
	s := a.screen(false)
	e, err := a.current(ctx, h, at.Repo)
	if err != nil {
		return err
	}
	if e.Origin == fromService {
		return a.checkService(ctx, h, at, e)
	}
	c := a.client(h, e.ClientID)
	if _, err := c.Account(ctx, e.Credential.Token); err != nil {
		return err
	}
	if e.Origin == "env" {
		return a.checkPlain(ctx, c, e.Credential, at.Repo)
	}
	reach, err := c.Reach(ctx, e.Credential.Token)
	if err != nil {
		return err
	}
	push := github.Push{Repo: at.Repo}
	if at.dir != "" {
		if push.Workflows, err = a.workflows(ctx, at); err != nil {
			s.say("Note: whether your commits change workflow files could not be seen: %s.", printable(err.Error()))
		}
	}
	a.seenAgain(e, reach)
	if err := c.Judge(ctx, e.Credential.Token, reach, push, e.AppURL); err != nil {
		return err
	}
	if err := a.checkAsked(ctx, h, at); err != nil {
		return err
	}
	s.result("A push to %s would work: as %s, until %s.", at.Repo, e.Credential.Account, s.moment(e.Credential.Scope.Until))
	return nil
}

// checkService judges what the access service gave: it has looked already, at
// the person's right and at the rules.
func (a *app) checkService(ctx context.Context, h github.Host, at here, e wallet.Entry) error {
	s := a.screen(false)
	if e.Credential.Scope.Access != daypass.Write {
		return &daypass.Problem{
			Code: "DP-862", What: "the access service lets you read " + at.Repo.String() + " and not push to it",
			Why: "your own right at " + h.Title() + ", or its rules, allow no more", Next: "Ask the repository's admins for write access, or push to a fork.",
			Who: "The hub's admins see which rule decided.", Kind: daypass.ErrRefused,
		}
	}
	if at.dir != "" {
		if changed, err := a.workflows(ctx, at); err == nil && changed {
			return &daypass.Problem{
				Code: "DP-607", What: "your commits change files below .github/workflows, and the App may not",
				Next: "Make that change on " + h.Title() + "'s pages, and leave it out of what you push.", Kind: daypass.ErrRefused,
			}
		}
	}
	if err := a.checkAsked(ctx, h, at); err != nil {
		return err
	}
	s.result("A push to %s would work: as %s, until %s, by the access service.", at.Repo, first(e.Credential.Account, "the hub"), s.moment(e.Credential.Scope.Until))
	return nil
}

// seenAgain brings the list of what may be pushed to up to date, which the
// helper's advice goes by. That it cannot is no failure of a check.
func (a *app) seenAgain(e wallet.Entry, reach github.Reach) {
	now, complete := seen(reach)
	if slices.Equal(now, e.Seen) && complete == e.SeenComplete {
		return
	}
	w, err := a.openWallet()
	if err != nil {
		return
	}
	_, err = w.Update(sameAs(e), func(have *wallet.Entry) { have.Seen, have.SeenComplete = now, complete })
	if err != nil {
		a.screen(false).say("Note: %s", printable(walletProblem(err).Error()))
	}
}

// checkPlain judges a token that is no App's: the repository's own answer.
func (a *app) checkPlain(ctx context.Context, c *github.Client, cred daypass.Credential, repo daypass.Repo) error {
	r, err := c.Repository(ctx, cred.Token, repo)
	if err != nil {
		return err
	}
	if !r.Push {
		return &daypass.Problem{
			Code: "DP-605", What: "your account may read " + r.String() + " and not push to it",
			Next: "Ask its admins for write access, or push to a fork.", Kind: daypass.ErrRefused,
		}
	}
	s := a.screen(false)
	s.result("A push to %s would work: as %s, with the token from GITHUB_TOKEN.", r.Repo, cred.Account)
	return nil
}

func (a *app) workflows(ctx context.Context, at here) (bool, error) {
	git, err := gitconf.Find(a.getenv)
	if err != nil {
		return false, err
	}
	return git.WorkflowChanges(ctx, at.dir, at.remote)
}

// checkAsked: all is well at the host; does git ask daypass at all?
func (a *app) checkAsked(ctx context.Context, h github.Host, at here) error {
	git, err := gitconf.Find(a.getenv)
	if err != nil {
		return err
	}
	helper, err := helperPath()
	if err != nil {
		return err
	}
	asked, err := git.Asks(ctx, at.dir, h.Web+"/"+at.Repo.String(), helper)
	if err != nil {
		return err
	}
	if asked.First {
		return nil
	}
	why := "no helper of daypass is set for " + h.Web
	if asked.Any {
		why = fmt.Sprintf("another helper is asked first: %s", asked.Others[0])
	}
	return &daypass.Problem{
		Code: "DP-610", What: "your access would do, but git does not ask daypass", Why: printable(why),
		Next: `Run "daypass setup".`, Kind: daypass.ErrRefused,
	}
}
