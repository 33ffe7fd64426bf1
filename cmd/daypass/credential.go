package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
	"github.com/daypass-dev/daypass/gitcred"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// credentialTime bounds what git waits for; the helper gives up at 10 s.
const credentialTime = 9 * time.Second

// credentialCommand is what the helper runs when the wallet has no answer: it
// alone renews, writes the wallet and explains. It never starts a login.
func (a *app) credentialCommand() *cobra.Command {
	return &cobra.Command{
		Use: "credential get|erase", Short: "For git-credential-daypass", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), credentialTime)
			defer cancel()
			text, err := gitcred.Read(a.stdin)
			if err != nil {
				return nil // git's input, refused without a word to whoever made it
			}
			req, err := gitcred.Parse(text)
			if err != nil {
				return nil
			}
			switch args[0] {
			case "get":
				return a.credentialGet(ctx, req)
			case "erase":
				return a.credentialErase(ctx, req)
			}
			return nil
		},
	}
}

// credentialGet answers git's request, or says in one line why it does not.
// Its own exit status is 0: git looks at the answer only.
func (a *app) credentialGet(ctx context.Context, req gitcred.Request) error {
	h, err := github.ParseHost(req.Protocol + "://" + req.Host)
	if err != nil || h.Scheme != req.Protocol || h.Name != daypass.FoldASCII(req.Host) {
		return nil
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return a.explain(err, config{fallThrough: true})
	}
	w, auth, err := a.openFor(ctx)
	if err != nil {
		if a.setUpFor(ctx, cfg, nil, h) {
			return a.explain(err, config{fallThrough: true})
		}
		return nil
	}
	e, err := a.candidate(ctx, w, auth, h, req)
	served := a.servedAs(auth)
	if err != nil && served != auth {
		if kept, kerr := a.candidate(ctx, w, served, h, req); kerr == nil {
			e, err = kept, nil
		}
	}
	if err == nil {
		return a.answer(req, e)
	}
	if done, err := a.askService(ctx, cfg, w, served, h, req); done {
		return err
	}
	if a.asksForAnother(w, h, req.Username) || !a.setUpFor(ctx, cfg, w, h) {
		return nil
	}
	cfg.fallThrough = cfg.fallThrough || a.fallsThrough(w, auth, h)
	return a.explain(err, cfg)
}

// openFor opens the wallet for a request of git, and says whose authority asks.
func (a *app) openFor(ctx context.Context) (*wallet.Wallet, wallet.Authority, error) {
	w, err := a.openWallet()
	if err != nil {
		return nil, "", err
	}
	auth, err := a.presenting()
	if err != nil {
		return nil, "", err
	}
	a.sweep(ctx, w, time.Second) // git waits
	return w, auth, nil
}

// candidate is the narrowest credential for the request, renewed where due.
func (a *app) candidate(ctx context.Context, w *wallet.Wallet, auth wallet.Authority, h github.Host, req gitcred.Request) (wallet.Entry, error) {
	entries, _, err := w.List()
	if err != nil {
		return wallet.Entry{}, walletProblem(err)
	}
	var best wallet.Entry
	for _, e := range entries {
		if e.Authority != auth || e.Origin == fromPass || e.Scheme != h.Scheme || !e.Named(req.Username) || !answers(e, h, req) {
			continue
		}
		if !e.Credential.Usable(a.now(), 0) && !a.mayRenew(e) {
			continue
		}
		if best.Scheme == "" || best.Credential.Scope.All && !e.Credential.Scope.All {
			best = e
		}
	}
	if best.Scheme == "" {
		return wallet.Entry{}, a.noLogin(w, auth, h)
	}
	return a.renewed(ctx, w, best)
}

// answers reports whether a credential is for the request, apart from time.
func answers(e wallet.Entry, h github.Host, req gitcred.Request) bool {
	s := e.Credential.Scope
	s.Until = daypass.Forever
	want := daypass.Scope{Host: h.Name, All: true, Access: daypass.Read, Until: daypass.Forever}
	repo, kind := req.Repo()
	switch kind {
	case gitcred.RepoPath:
		want.All, want.Repos = false, []daypass.Repo{repo}
	case gitcred.NoPath:
	default:
		return false
	}
	return s.Covers(s.Pin(want))
}

// answer writes the credential in git's form.
func (a *app) answer(req gitcred.Request, e wallet.Entry) error {
	expires := int64(0)
	if until := e.Credential.Scope.Until; until.Before(daypass.Forever) {
		expires = until.Unix()
	}
	out := req.For(e.Credential.Username, e.Credential.Token, expires)
	_, err := a.stdout.Write(out.Append(nil))
	return err
}

// setUpFor reports whether git was told, by an admin or this user and not by a
// repository, to ask daypass for the host; only then is there anything to say.
func (a *app) setUpFor(ctx context.Context, cfg config, w *wallet.Wallet, h github.Host) bool {
	if cfg.forHost(h).ClientID != "" {
		return true
	}
	if w != nil && holds(w, h) {
		return true
	}
	git, err := gitconf.Find(a.getenv)
	if err != nil {
		return false
	}
	list, err := git.List(ctx, "")
	if err != nil {
		return false
	}
	for _, entry := range list {
		if entry.SetsHelper(h.Web) {
			return true
		}
	}
	return false
}

// holds reports whether the wallet has, or lately had, something for the host.
func holds(w *wallet.Wallet, h github.Host) bool {
	entries, ended, err := w.List()
	if err != nil {
		return false
	}
	for _, e := range entries {
		if e.Scheme == h.Scheme && e.Credential.Scope.Host == h.Name {
			return true
		}
	}
	for _, e := range ended {
		if e.Host == h.Name {
			return true
		}
	}
	return false
}

// asksForAnother reports whether git names a user that daypass has nothing to do
// with, as in https://other@HOST/: another helper may well know that one.
func (a *app) asksForAnother(w *wallet.Wallet, h github.Host, username string) bool {
	if username == "" || username == wallet.AnyUsername {
		return false
	}
	entries, ended, err := w.List()
	if err != nil {
		return true
	}
	for _, e := range entries {
		if e.Credential.Scope.Host == h.Name && e.Named(username) {
			return false
		}
	}
	for _, e := range ended {
		if e.Host == h.Name && daypass.FoldEqual(e.Account, username) {
			return false
		}
	}
	return true
}

func (a *app) fallsThrough(w *wallet.Wallet, auth wallet.Authority, h github.Host) bool {
	entries, ended, err := w.List()
	if err != nil {
		return false
	}
	for _, e := range entries {
		if e.Authority == auth && e.Credential.Scope.Host == h.Name && e.FallThrough {
			return true
		}
	}
	for _, e := range ended {
		if e.Authority == auth && e.Host == h.Name && e.FallThrough {
			return true
		}
	}
	return false
}

// explain says one line, and quit=1 so that git does not go on to ask for a
// password that the host would not take.
func (a *app) explain(err error, cfg config) error {
	var p *daypass.Problem
	text := printable(err.Error())
	if errors.As(err, &p) && (p.Code == "DP-101" || p.Code == "DP-102") {
		text = printable(fmt.Sprintf("%s. %s [%s]", p.What, pushAgain(p.Next), p.Code))
	}
	fmt.Fprintln(a.stderr, "daypass: "+text)
	if cfg.fallThrough {
		return nil
	}
	_, werr := fmt.Fprintln(a.stdout, "quit=1")
	return werr
}

// pushAgain turns `Run "daypass login".` into `Run "daypass login", then push again.`
func pushAgain(next string) string {
	if len(next) > 0 && next[len(next)-1] == '.' {
		next = next[:len(next)-1]
	}
	return next + ", then push again."
}

// credentialErase: the host did not take a credential. It is dropped if it is
// the very one that git names; an old one that fails must not end a new one.
func (a *app) credentialErase(ctx context.Context, req gitcred.Request) error {
	if req.Password.IsZero() && req.Credential.IsZero() {
		return nil
	}
	w, err := a.openWallet()
	if err != nil {
		return err
	}
	auth, err := a.presenting()
	if err != nil {
		return err
	}
	served := a.servedAs(auth)
	match := func(e wallet.Entry) bool {
		return (e.Authority == auth || e.Authority == served) && e.Scheme == req.Protocol &&
			e.Credential.Scope.Host == req.Host && names(req, e.Credential)
	}
	changed, err := w.Update(
		func(e wallet.Entry) bool { return match(e) && !e.Refresh.IsZero() },
		// Renewal can still bring a good one, or has to be ended: only the
		// token is dropped.
		func(e *wallet.Entry) { e.Credential.Scope.Until = a.now() })
	if err != nil || changed {
		return err
	}
	gone, err := w.Remove(match, wallet.Rejected)
	for _, e := range gone {
		if e.Origin == fromService {
			a.rejected(ctx, e)
		}
	}
	return err
}

// names reports whether git's description holds this very credential.
func names(req gitcred.Request, c daypass.Credential) bool {
	if !req.Credential.IsZero() {
		return req.Credential.Equal(gitcred.Basic(c.Username, c.Token))
	}
	return req.Password.Equal(c.Token)
}
