package main

import (
	"context"
	"errors"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/artifact"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// ownOrigin is the origin of what "daypass login" brought.
const ownOrigin = "login"

// A guest looks as everybody, so that a login is shown only what everybody may see.
// What is listed is read by the login; nil: by none.
type guest struct {
	daypass.Contents
	login daypass.Contents
	no    error // where login is nil
}

func (g guest) List(ctx context.Context, s daypass.Source) (daypass.Listing, error) {
	if _, err := g.Look(ctx, s, ""); err != nil {
		return daypass.Listing{}, err
	}
	if g.login == nil {
		return daypass.Listing{}, g.no
	}
	return g.login.List(ctx, s)
}

// openArtifact reads what a run of GitHub Actions kept, by the user's own login. Its
// token goes to GitHub's API and to no store of files.
func (a *app) openArtifact(cfg config, s daypass.Source, o outward) (daypass.Contents, error) {
	at := strings.LastIndexByte(s.ID, '/')
	repo, ok := daypass.ParseRepo(s.ID[:max(at, 0)])
	if s.Host != artifact.Host || !ok {
		return nil, &daypass.Problem{
			Code: "DP-452", What: "daypass brings artifacts of runs at " + artifact.Host + " alone", Next: "Fetch this one in a browser.", Kind: daypass.ErrUsage,
		}
	}
	h, err := github.ParseHost(artifact.Host)
	if err != nil {
		return nil, err
	}
	c := a.siteOf(cfg, s.Host, o)
	everybody := artifact.New(c)
	w, e, err := a.ownLogin(h, repo)
	if err != nil {
		return guest{Contents: everybody, no: err}, nil
	}
	c.Token = func(ctx context.Context) (daypass.Secret, error) {
		e, err := a.renewed(ctx, w, e)
		return e.Credential.Token, err
	}
	if !reaches(e, h, repo) {
		return guest{Contents: everybody, login: artifact.New(c)}, nil
	}
	return artifact.New(c), nil
}

// ownLogin is the user's login at a host: the narrowest that covers a repository, else
// the narrowest. Neither what an access service gave, nor what lay in the environment,
// is one.
func (a *app) ownLogin(h github.Host, repo daypass.Repo) (*wallet.Wallet, wallet.Entry, error) {
	w, err := a.openWallet()
	if err != nil {
		return nil, wallet.Entry{}, err
	}
	auth, err := a.presenting()
	if err != nil {
		return nil, wallet.Entry{}, err
	}
	entries, _, err := w.List()
	if err != nil {
		return nil, wallet.Entry{}, walletProblem(err)
	}
	var best wallet.Entry
	for _, e := range entries {
		if e.Authority != auth || e.Origin != ownOrigin || e.Scheme != h.Scheme || e.Credential.Scope.Host != h.Name || !e.Credential.Usable(a.now(), 0) && !a.mayRenew(e) {
			continue
		}
		covers, did := reaches(e, h, repo), reaches(best, h, repo)
		if best.Scheme == "" || covers && !did || covers == did && best.Credential.Scope.All && !e.Credential.Scope.All {
			best = e
		}
	}
	if best.Scheme == "" {
		return nil, best, a.artifactLogin(w, auth, h)
	}
	return w, best, nil
}

// reaches reports whether a login covers a repository, apart from time.
func reaches(e wallet.Entry, h github.Host, repo daypass.Repo) bool {
	have := e.Credential.Scope
	have.Until = daypass.Forever
	return have.Covers(have.Pin(daypass.Scope{Host: h.Name, Repos: []daypass.Repo{repo}, Access: daypass.Read, Until: daypass.Forever}))
}

// artifactLogin says how to log in, and why that is needed for what everybody may see.
func (a *app) artifactLogin(w *wallet.Wallet, auth wallet.Authority, h github.Host) error {
	err := a.noLogin(w, auth, h)
	var p *daypass.Problem
	if errors.As(err, &p) && p.Why == "" {
		more := *p
		more.Why = "GitHub gives what a run made only to who is signed in"
		return &more
	}
	return err
}
