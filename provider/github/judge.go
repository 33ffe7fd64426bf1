package github

import (
	"context"
	"errors"

	"github.com/daypass-dev/daypass"
)

// A Push is a push that somebody wants to make.
type Push struct {
	Repo      daypass.Repo
	Workflows bool // it changes files below .github/workflows
}

// Judge says why a push with this token would not work, and nil if nothing
// stands in its way. Each reason is one that the host's own answers show; what
// the host shows nobody, such as a request that waits for an owner, is said to
// be unknown.
func (c *Client) Judge(ctx context.Context, access daypass.Secret, reach Reach, p Push, installLink string) error {
	in, installed := reach.Installation(p.Repo.Owner)
	if !installed {
		return c.notInstalled(ctx, access, p.Repo, installLink)
	}
	if in.Suspended {
		return &daypass.Problem{
			Code: "DP-603", What: "the App is suspended at " + in.Owner,
			Next: "Ask an owner of " + in.Owner + " to end that" + on(in.Settings) + ".", Kind: daypass.ErrRefused,
		}
	}
	for _, r := range in.Repos {
		if r.SameName(p.Repo) {
			return c.judgeKnown(in, r, p)
		}
	}
	return c.notChosen(ctx, access, in, p.Repo)
}

func on(link string) string {
	if link == "" {
		return ""
	}
	return " on " + link
}

// judgeKnown: the App is installed on the repository.
func (c *Client) judgeKnown(in Installation, r Repository, p Push) error {
	title := c.host.Title()
	switch {
	case r.Archived:
		return &daypass.Problem{
			Code: "DP-608", What: r.String() + " is archived, so nobody can push to it",
			Next: "Push to another repository.", Who: "Its admins can unarchive it in its settings.", Kind: daypass.ErrRefused,
		}
	case in.Contents != "write":
		return &daypass.Problem{
			Code: "DP-604", What: "the App may only read at " + in.Owner,
			Next: "Ask an owner of " + in.Owner + " to accept the App's new permissions" + on(in.Settings) + ".", Kind: daypass.ErrRefused,
		}
	case !r.Push:
		return &daypass.Problem{
			Code: "DP-605", What: "your account may read " + r.String() + " and not push to it",
			Next: "Ask its admins for write access, or push to a fork.",
			Who:  "They give it on " + c.host.Web + "/" + r.String() + "/settings/access.", Kind: daypass.ErrRefused,
		}
	case p.Workflows && !in.Workflows:
		return &daypass.Problem{
			Code: "DP-607", What: "your commits change workflow files (.github/workflows), and the App may not",
			Why:  title + " takes those only from an App with the Workflows permission",
			Next: "Make that change on " + title + "'s pages, and leave it out of what you push from here.",
			Who:  "The App's admins could give it the permission; daypass advises against that.", Kind: daypass.ErrRefused,
		}
	}
	return nil
}

// notChosen: the App is at the owner, but not on this repository, as far as
// this account sees.
func (c *Client) notChosen(ctx context.Context, access daypass.Secret, in Installation, repo daypass.Repo) error {
	if err := c.exists(ctx, access, repo); err != nil {
		return err
	}
	who := "An owner of " + in.Owner + " chooses."
	if !in.Org {
		who = ""
	}
	return &daypass.Problem{
		Code: "DP-602", What: "the App is installed at " + in.Owner + ", but not on " + repo.String(),
		Next: "Add the repository" + on(in.Settings) + "; no new login is needed.", Who: who, Kind: daypass.ErrRefused,
	}
}

// exists tells a repository that the account cannot see apart from the rest,
// where the host lets it.
func (c *Client) exists(ctx context.Context, access daypass.Secret, repo daypass.Repo) error {
	r, err := c.Repository(ctx, access, repo)
	switch {
	case err == nil && !r.SameName(repo):
		return &daypass.Problem{
			Code: "DP-609", What: repo.String() + " is called " + r.String() + " today",
			Next: "git remote set-url origin " + c.host.Web + "/" + r.String() + ".git", Kind: daypass.ErrRefused,
		}
	case err == nil:
		return nil
	case errors.Is(err, ErrNotFound):
		return nil // private, and not for this App: the same to us
	}
	return err
}

// notInstalled: no installation of the owner shows.
func (c *Client) notInstalled(ctx context.Context, access daypass.Secret, repo daypass.Repo, link string) error {
	if err := c.exists(ctx, access, repo); err != nil {
		return err
	}
	p := &daypass.Problem{
		Code: "DP-601", What: "the App is not installed at " + repo.Owner + ", so it cannot push to " + repo.String(),
		Next: "Install it there, or ask for it" + on(link) + "; no new login is needed.",
		Who: "If you asked already, it waits for a yes: an organisation's owners alone see that, on " +
			c.host.Web + "/organizations/" + repo.Owner + "/settings/installations.",
		Kind: daypass.ErrRefused,
	}
	return p
}
