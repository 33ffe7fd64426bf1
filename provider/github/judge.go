package github

import (
	"context"
	"errors"
	"strconv"

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
		return c.notInstalled(ctx, access, reach, p.Repo, installLink)
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
	shown, err := c.exists(ctx, access, repo)
	if err != nil {
		return err
	}
	if !in.Complete {
		return c.cutList(repo)
	}
	if in.All {
		return &daypass.Problem{
			Code: "DP-616", What: "your account does not see " + repo.String() + ", although the App is installed on all repositories of " + in.Owner,
			Next: "Check the name; if it is right, ask for access to that repository.",
			Who:  "Its admins give it on " + c.host.Web + "/" + repo.String() + "/settings/access.", Kind: daypass.ErrRefused,
		}
	}
	why := "" // a repository that the host does not show may also be one that the account has no access to
	if !shown {
		why = "or your account has no access to it, which the host shows in the same way"
	}
	who := "An owner of " + in.Owner + " chooses."
	if !in.Org {
		who = ""
	}
	return &daypass.Problem{
		Code: "DP-602", What: "the App is installed at " + in.Owner + ", but not on " + repo.String(), Why: why,
		Next: "Add the repository" + on(in.Settings) + "; no new login is needed.", Who: who, Kind: daypass.ErrRefused,
	}
}

// cutList: what is not in a list that was cut may be in the rest of it.
func (c *Client) cutList(repo daypass.Repo) error {
	return &daypass.Problem{
		Code: "DP-617", What: "whether the App reaches " + repo.String() + " cannot be told", Why: c.host.Name + " showed only part of its list",
		Next: "Try again in a minute; a push itself may work.", Kind: daypass.ErrUnreachable,
	}
}

// exists tells a repository that bears another name today apart from the rest,
// and reports whether the host shows it to this account at all.
func (c *Client) exists(ctx context.Context, access daypass.Secret, repo daypass.Repo) (shown bool, err error) {
	r, err := c.Repository(ctx, access, repo)
	switch {
	case err == nil && !r.SameName(repo):
		return true, &daypass.Problem{
			Code: "DP-609", What: repo.String() + " is called " + r.String() + " today",
			Next: "git remote set-url origin " + c.host.Web + "/" + r.String() + ".git", Kind: daypass.ErrRefused,
		}
	case err == nil:
		return true, nil
	case errors.Is(err, ErrNotFound):
		return false, nil // private, and not for this App: the same to us
	}
	return false, err
}

// notInstalled: no installation of the owner shows.
func (c *Client) notInstalled(ctx context.Context, access daypass.Secret, reach Reach, repo daypass.Repo, link string) error {
	if _, err := c.exists(ctx, access, repo); err != nil {
		return err
	}
	if n := len(reach.HiddenOrgs); n > 0 {
		return c.mayHide(repo, n)
	}
	if !reach.Complete {
		return c.cutList(repo)
	}
	return &daypass.Problem{
		Code: "DP-601", What: "the App is not installed at " + repo.Owner + ", so it cannot push to " + repo.String(),
		Next: "Install it there, or ask for it" + on(link) + "; no new login is needed.",
		Who: "If you asked already, it waits for a yes: an organisation's owners alone see that, on " +
			c.host.Web + "/organizations/" + repo.Owner + "/settings/installations.",
		Kind: daypass.ErrRefused,
	}
}

// mayHide: the host names hidden organisations by number only, so that the
// repository's owner may be one of them.
func (c *Client) mayHide(repo daypass.Repo, n int) error {
	hide := strconv.Itoa(n) + " organisations hide"
	if n == 1 {
		hide = "1 organisation hides"
	}
	return &daypass.Problem{
		Code: "DP-615", What: "whether the App is installed at " + repo.Owner + " cannot be told", Why: hide + " behind single sign-on",
		Next: "If " + repo.Owner + " is one of them, sign in at " + c.host.Web + "/orgs/" + repo.Owner + "/sso and run \"daypass login\" again.",
		Who:  "If it is not, the App is not installed there.", Kind: daypass.ErrRefused,
	}
}
