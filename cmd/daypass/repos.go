package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

const reposHelp = `List the repositories that your access reaches, and which of them you can push to.
The host is asked, so the list is today's.`

func (a *app) reposCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "repos [HOST]", Short: "The repositories in reach", Long: reposHelp, Args: atMost(1),
		RunE: func(c *cobra.Command, args []string) error { return a.repos(c.Context(), args, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "a list of objects, for programs")
	return c
}

func (a *app) repos(ctx context.Context, args []string, asJSON bool) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	h, err := a.hostNamed(cfg, first(args...))
	if err != nil {
		return err
	}
	if done, err := a.serviceRepos(ctx, cfg, h, asJSON); done {
		return err
	}
	e, err := a.current(ctx, h, daypass.Repo{})
	if err != nil {
		return err
	}
	reach, err := a.client(h, e.ClientID).Reach(ctx, e.Credential.Token)
	if err != nil {
		return err
	}
	a.showRepos(a.screen(asJSON), e, reach)
	return nil
}

// serviceRepos lists what the connection reaches; done is false where there is
// no access service for the host, or nothing is connected there.
func (a *app) serviceRepos(ctx context.Context, cfg config, h github.Host, asJSON bool) (done bool, err error) {
	svc, err := a.service(cfg)
	if err != nil || svc == nil {
		return err != nil, err
	}
	list, err := svc.Repos(ctx, h.Name)
	if client.NotServed(err) {
		return false, nil
	}
	if err != nil {
		return true, told(err, h)
	}
	rows := []repoRow{}
	for _, r := range list.Repos {
		row := repoRow{Repository: r.Repo.Repo().String(), ID: r.ID, Private: r.Private, Push: r.Access == "write"}
		if !row.Push {
			row.Why = "you may only read it"
		}
		rows = append(rows, row)
	}
	s := a.screen(asJSON)
	s.repos(rows)
	if !list.Complete {
		s.say("There are more, or some could not be seen.")
	}
	if pageLink(list.Change) {
		s.say("To change that: %s", list.Change)
	}
	return true, nil
}

type repoRow struct {
	Repository string `json:"repository"`
	ID         int64  `json:"id"`
	Private    bool   `json:"private"`
	Push       bool   `json:"push"`
	Why        string `json:"why,omitempty"` // why not, where push is false
}

func (a *app) showRepos(s *screen, e wallet.Entry, reach github.Reach) {
	rows := []repoRow{}
	for _, in := range reach.Installations {
		for _, r := range in.Repos {
			row := repoRow{Repository: r.String(), ID: r.ID, Private: r.Private, Push: true}
			switch {
			case in.Contents != "write":
				row.Push, row.Why = false, "the App may only read there"
			case r.Archived:
				row.Push, row.Why = false, "it is archived"
			case !r.Push:
				row.Push, row.Why = false, "you may only read it"
			}
			rows = append(rows, row)
		}
	}
	s.repos(rows)
	if s.json {
		return
	}
	for _, in := range reach.Installations {
		if in.Suspended {
			s.result("%-40s suspended", in.Owner+"/*")
		}
	}
	if len(reach.HiddenOrgs) > 0 {
		s.say("Hidden by single sign-on: %d.", len(reach.HiddenOrgs))
	}
	if e.AppURL != "" {
		s.say("To change that: %s", e.AppURL)
	}
}

// repos shows a list of repositories.
func (s *screen) repos(rows []repoRow) {
	if s.json {
		s.object(rows)
		return
	}
	for _, r := range rows {
		mark := "push"
		if !r.Push {
			mark = "read only: " + r.Why
		}
		s.result("%-40s %s", r.Repository, mark)
	}
	if len(rows) == 0 {
		s.result("The App is installed on no repository that you can see.")
	}
}

// current is the credential that this process would use at the host for the
// repository, or, for the zero Repo, the widest one; renewed where it is due.
func (a *app) current(ctx context.Context, h github.Host, repo daypass.Repo) (wallet.Entry, error) {
	return a.currentFor(ctx, h, repo, "git")
}

// currentFor is current, which for a repository asks the access service where the
// wallet has nothing; purpose is for its activity.
func (a *app) currentFor(ctx context.Context, h github.Host, repo daypass.Repo, purpose string) (wallet.Entry, error) {
	w, err := a.openWallet()
	if err != nil {
		return wallet.Entry{}, err
	}
	a.sweep(ctx, w, revokeTime)
	auth, err := a.presenting()
	if err != nil {
		return wallet.Entry{}, err
	}
	if repo != (daypass.Repo{}) {
		want := daypass.Scope{Host: h.Name, Repos: []daypass.Repo{repo}, Access: daypass.Read}
		e, ok, err := w.Find(wallet.Want{Authority: auth, Scheme: h.Scheme, Scope: want})
		if err != nil {
			return wallet.Entry{}, walletProblem(err)
		}
		if ok {
			return a.renewed(ctx, w, e)
		}
		if e, ok := a.renewableFor(w, auth, h, repo); ok {
			return a.renewed(ctx, w, e)
		}
		return a.wanted(ctx, w, auth, h, repo, purpose, a.noLogin(w, auth, h))
	}
	return a.widest(ctx, w, auth, h)
}

func (a *app) widest(ctx context.Context, w *wallet.Wallet, auth wallet.Authority, h github.Host) (wallet.Entry, error) {
	entries, _, err := w.List()
	if err != nil {
		return wallet.Entry{}, walletProblem(err)
	}
	var best wallet.Entry
	for _, e := range entries {
		s := e.Credential.Scope
		if e.Authority != auth || e.Scheme != h.Scheme || s.Host != h.Name {
			continue
		}
		if !e.Credential.Usable(a.now(), 0) && e.Refresh.IsZero() {
			continue
		}
		if best.Scheme == "" || s.All && !best.Credential.Scope.All {
			best = e
		}
	}
	if best.Scheme == "" {
		return wallet.Entry{}, a.noLogin(w, auth, h)
	}
	return a.renewed(ctx, w, best)
}

// noLogin says that there is nothing for a host, and since when.
func (a *app) noLogin(w *wallet.Wallet, auth wallet.Authority, h github.Host) error {
	if auth != wallet.Login {
		return &daypass.Problem{
			Code: "DP-105", What: "the pass or hub token in this shell's environment gives nothing for " + h.Title(),
			Next: "Unset DAYPASS_TOKEN (or DAYPASS_TOKEN_FILE, DAYPASS_URL) to use your own login here.", Kind: daypass.ErrNoLogin,
		}
	}
	command := "daypass login" + a.loginArg(h)
	p := &daypass.Problem{
		Code: "DP-102", What: "you are not logged in to " + h.Title() + " on this machine",
		Next: `Run "` + command + `".`, Kind: daypass.ErrNoLogin,
	}
	if e, ok := a.ended(w, auth, h.Scheme, h.Name); ok {
		p.Code, p.What = "DP-101", "your access to "+h.Name+" ended at "+clock(e.At, a.now())
		if h.Name == github.DotCom {
			p.What = "your GitHub access ended at " + clock(e.At, a.now())
		}
	}
	return p
}

// loginArg is what "daypass login" needs to name the host; nothing for the
// default one.
func (a *app) loginArg(h github.Host) string {
	cfg, err := a.loadConfig()
	switch {
	case err == nil && cfg.host == h:
		return ""
	case h.Scheme == "https":
		return " " + h.Name
	}
	return " " + h.Web
}

func (a *app) ended(w *wallet.Wallet, auth wallet.Authority, scheme, host string) (wallet.Ended, bool) {
	_, ended, err := w.List()
	if err != nil {
		return wallet.Ended{}, false
	}
	var last wallet.Ended
	for _, e := range ended {
		if e.Authority == auth && e.Host == host && e.At.After(last.At) {
			last = e
		}
	}
	return last, !last.At.IsZero()
}

// renewableFor is an expired credential for the repository that can be renewed.
func (a *app) renewableFor(w *wallet.Wallet, auth wallet.Authority, h github.Host, repo daypass.Repo) (wallet.Entry, bool) {
	entries, _, err := w.List()
	if err != nil {
		return wallet.Entry{}, false
	}
	for _, e := range entries {
		have := e.Credential.Scope
		have.Until = daypass.Forever
		want := daypass.Scope{Host: h.Name, Repos: []daypass.Repo{repo}, Access: daypass.Read, Until: daypass.Forever}
		if e.Authority == auth && e.Scheme == h.Scheme && have.Covers(have.Pin(want)) && a.mayRenew(e) {
			return e, true
		}
	}
	return wallet.Entry{}, false
}
