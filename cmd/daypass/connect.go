package main

import (
	"context"
	"errors"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// connect is login where an access service serves the host: the person connects
// there once, in a browser, and nothing is kept here but what git then asks for.
// done is false where there is no such service, or where the flags ask for what
// only a code gives.
func (l *login) connect(ctx context.Context, args []string) (done bool, err error) {
	if l.o.device || l.o.renew != "" || l.o.repo != "" || l.o.storeFile != "" || l.o.clientID != "" {
		return false, nil
	}
	if l.cfg, err = l.app.loadConfig(); err != nil {
		return true, err
	}
	if l.host, err = l.app.hostNamed(l.cfg, first(args...)); err != nil {
		return true, err
	}
	if l.o.expires != "" && !l.mayAskDevice() {
		return true, expiresNeedless()
	}
	if l.mayAskDevice() {
		if err := l.ownPass(ctx); err != nil {
			return true, err
		}
	}
	s, err := l.app.service(l.cfg)
	if err != nil || s == nil {
		return err != nil, err
	}
	at, served, err := s.at(ctx, l.host)
	switch {
	case err != nil:
		l.screen.say(`Note: "daypass login --device" logs in without the access service.`)
		return true, l.late(ctx, told(err, l.host))
	case !served:
		return s.byPass, nil // logged in at the service, which has nothing to do with the host
	}
	if !at.Connected {
		if at, err = l.waitConnected(ctx, s, at); err != nil {
			return true, err
		}
	} else {
		l.screen.result("You are connected already.")
	}
	return true, l.connected(ctx, s, at)
}

func expiresNeedless() error {
	return usageText("login", "--expires goes with --index URL, or with a log-in at the access service off the hub; at a git host the host says when it ends")
}

// waitConnected shows the page and waits until the person has been there.
func (l *login) waitConnected(ctx context.Context, s *service, at api.Host) (api.Host, error) {
	if !pageLink(at.Connect) {
		return at, &daypass.Problem{
			Code: "DP-853", What: "the answer from " + s.Host() + " is not one of the access service", Why: "it names no page to connect at",
			Next: "Tell the hub's admins.", Kind: daypass.ErrRefused,
		}
	}
	if at.State == api.StateConsent && at.Why != "" {
		l.screen.say("%s has to be connected again: %s.", l.host.Title(), at.Why)
	}
	l.screen.say("Open this page in your browser and connect %s:", l.host.Title())
	l.screen.say("    %s", l.screen.bold(at.Connect))
	l.screen.event("connect", map[string]any{"url": at.Connect, "host": l.host.Name})
	l.screen.say("Waiting for you there. Ctrl-C ends the waiting only.")
	wait := func() (api.Host, error) { return s.WaitConnected(ctx, l.host.Name) }
	if s.byPass {
		wait = func() (api.Host, error) { return l.waitByAsking(ctx, s) }
	}
	at, err := wait()
	if err != nil {
		return at, l.late(ctx, told(err, l.host))
	}
	return at, nil
}

// late says that --timeout ran out.
func (l *login) late(ctx context.Context, err error) error {
	if l.o.timeout == 0 || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return &daypass.Problem{
		Code: "DP-859", What: "nobody connected " + l.host.Title() + " within " + l.o.timeout.String(),
		Next: `Run "daypass login" again, or just push: git shows the page too.`, Kind: daypass.ErrNoLogin, Err: err,
	}
}

// pageLink takes a link that can be shown and opened. The service is one that
// the token went to, so the page may be anywhere.
func pageLink(s string) bool {
	return s != "" && printable(s) == s && (len(s) > 8 && s[:8] == "https://" || len(s) > 7 && s[:7] == "http://")
}

// connected says as whom, and makes git ask daypass.
func (l *login) connected(ctx context.Context, s *service, at api.Host) error {
	account := api.Account{}
	if at.Account != nil {
		account = *at.Account
	}
	l.screen.result("Connected to %s%s%s.", l.host.Title(), with(" as ", account.Login), l.untilWords(at.Until))
	l.screen.result("git now gets access to one repository at a time, when it needs it. Nothing is kept on a disk here.")
	if at.Change != "" && pageLink(at.Change) {
		l.screen.result("Which repositories: %s", at.Change)
	}
	fields := map[string]any{"host": l.host.Name, "account": account.Login, "service": s.URL()}
	if at.Until != nil {
		fields["until"] = at.Until.UTC().Format(time.RFC3339)
	}
	l.screen.event("connected", fields)
	if !l.o.noSetup {
		if err := l.setup(ctx, github.Account{}); err != nil {
			l.screen.say("You are connected, but git is not set up to use it.")
			return err
		}
	}
	return l.app.setIdentity(ctx, first(account.Name, account.Login), account.Email)
}

func (l *login) untilWords(until *time.Time) string {
	if until == nil {
		return ""
	}
	return ", until " + l.screen.moment(*until)
}

// serviceClientID is the App's client id as the access service tells it, for a
// code where nobody configured one; "" where there is none.
func (l *login) serviceClientID(ctx context.Context) string {
	s, err := l.app.service(l.cfg)
	if err != nil || s == nil {
		return ""
	}
	at, served, err := s.at(ctx, l.host)
	if err != nil || !served || github.ClientIDMistake(at.ClientID) != "" {
		return ""
	}
	return at.ClientID
}

// disconnect ends connections everywhere and says what was ended.
func (a *app) disconnect(ctx context.Context, cfg config, all bool, host github.Host) error {
	s, err := a.service(cfg)
	if err != nil {
		return err
	}
	if s == nil {
		return &daypass.Problem{
			Code: "DP-860", What: "no access service is known here, so there is no connection to end",
			Next: "What this machine held was ended. A hub's servers know their access service by DAYPASS_URL.", Kind: daypass.ErrUsage,
		}
	}
	names := []string{host.Name}
	if all {
		me, err := s.Me(ctx)
		if err != nil {
			return told(err, host)
		}
		names = nil
		for _, h := range me.Hosts {
			if h.State != api.StateNone {
				names = append(names, h.Host)
			}
		}
	}
	out := a.screen(false)
	for _, name := range names {
		done, err := s.Disconnect(ctx, name)
		if err != nil {
			return told(err, host)
		}
		out.result("Disconnected from %s, for all your servers.", name)
		for _, line := range done.Revoked {
			out.result("  Ended: %s", line)
		}
		for _, line := range done.Pending {
			out.result("  Being ended, until the host confirms it: %s", line)
		}
	}
	if len(names) == 0 {
		out.result("Nothing was connected.")
	}
	return nil
}

// A connectionRow is one connection, as status --json shows it among the rest.
type connectionRow struct {
	statusRow
	Service string `json:"service"`
	State   string `json:"state"`
}

// serviceTime bounds what status waits for the access service.
const serviceTime = 3 * time.Second

// connections asks the access service how the person stands, for status. A
// service that does not answer is said, and is no failure: what is kept here is
// known without it.
func (a *app) connections(ctx context.Context, s *screen) (rows []connectionRow, live bool) {
	cfg, err := a.loadConfig()
	if err != nil {
		s.problem(err)
		return nil, false
	}
	svc, err := a.service(cfg)
	if err != nil {
		s.problem(err)
		return nil, false
	}
	if svc == nil {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, serviceTime)
	defer cancel()
	me, err := svc.Me(ctx)
	s.result("%s", s.bold("Access service "+svc.URL()))
	if err != nil {
		s.result("  It cannot be asked now; what is kept here goes on working.")
		s.problem(told(err, cfg.host))
		return nil, false
	}
	server := ""
	if me.Server != "unknown" {
		server = with(", server ", me.Server)
	}
	s.result("  You:    %s at %s%s", me.User.Name, me.User.Hub, server)
	for _, h := range me.Hosts {
		live = live || h.Connected
		row := connectionRow{Service: svc.URL(), State: h.State, statusRow: statusRow{
			Host: h.Host, Scope: "whatever you may reach, one repository at a time", Access: daypass.Write.String(),
			Kept: "at the access service", Origin: "connection", Usable: h.Connected,
		}}
		if h.Account != nil {
			row.Account = h.Account.Login
		}
		if h.Until != nil {
			row.Expires = rfc3339(*h.Until)
		}
		rows = append(rows, row)
		a.showConnection(s, h)
	}
	return rows, live
}

func (a *app) showConnection(s *screen, h api.Host) {
	login := ""
	if h.Account != nil {
		login = h.Account.Login
	}
	switch {
	case h.Connected && h.Until != nil:
		s.result("  %-7s connected%s until %s", h.Host, with(" as ", login), s.moment(*h.Until))
	case h.Connected:
		s.result("  %-7s connected%s", h.Host, with(" as ", login))
	case h.State == api.StateConsent:
		s.result("  %-7s has to be connected again%s: %s", h.Host, with(", ", h.Why), h.Connect)
	default:
		s.result("  %-7s not connected: %s", h.Host, h.Connect)
	}
}

// wanted asks for a repository for a command that a person typed; the wallet had
// nothing. It returns the wallet's own answer, none, where there is no service or
// it has nothing to do with the host.
func (a *app) wanted(ctx context.Context, w *wallet.Wallet, auth wallet.Authority, h github.Host, repo daypass.Repo, purpose string, none error) (wallet.Entry, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return wallet.Entry{}, err
	}
	s, err := a.service(cfg)
	if err != nil {
		return wallet.Entry{}, err
	}
	if s == nil {
		return wallet.Entry{}, none
	}
	served := a.servedAs(auth)
	if served != auth {
		want := daypass.Scope{Host: h.Name, Repos: []daypass.Repo{repo}, Access: daypass.Read}
		if e, ok, err := w.Find(wallet.Want{Authority: served, Scheme: h.Scheme, Scope: want, Margin: renewMargin}); err == nil && ok {
			return e, nil
		}
	}
	e, err := a.obtain(ctx, s, w, served, h, api.CredentialRequest{
		Protocol: h.Scheme, Host: h.Name, Path: repo.String(), Access: "write", Purpose: purpose,
	})
	if client.NotServed(err) {
		return wallet.Entry{}, none
	}
	if err != nil {
		return wallet.Entry{}, told(err, h)
	}
	return e, nil
}
