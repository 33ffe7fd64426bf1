package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/gitcred"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// fromService is the origin of what the access service gave. It can be asked for
// again, and is ended there: never at the host, from here.
const fromService = "service"

// A service is the access service that this process may ask.
type service struct {
	*client.Client
	cfg    config
	byPass bool // it is shown a pass, which does less than a hub's token
}

// service returns the access service that this process may ask, with the token
// that it presents; nil where none is named or there is nothing to present. An
// address that the token may not go to is an error.
func (a *app) service(cfg config) (*service, error) {
	url := a.serviceURL(cfg)
	if url == "" {
		return nil, nil
	}
	token, err := wallet.Pass(a.getenv)
	if err != nil {
		return nil, walletProblem(err)
	}
	if token != "" && ofIndex(token) {
		return nil, &daypass.Problem{
			Code: "DP-864", What: "the token for the access service is not one", Why: "it is a pass of a package index, which goes to that index and nowhere else",
			Next: "Unset DAYPASS_TOKEN and DAYPASS_TOKEN_FILE here, or name a pass of the access service there.", Kind: daypass.ErrUsage,
		}
	}
	hub := a.getenv("JUPYTERHUB_API_TOKEN")
	if token == "" && hub == "" {
		token = a.keptService(cfg).Reveal()
	}
	byPass := token != ""
	switch {
	case token != "":
		err = client.Usable(url, cfg.admin)
	case hub != "":
		token, err = hub, client.Trusted(url, a.getenv, cfg.admin)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{
		URL: url, Token: daypass.NewSecret(token), Transport: a.direct, Now: a.now, PlainHTTP: cfg.admin.PlainHTTP,
	})
	if err != nil {
		return nil, err
	}
	return &service{Client: c, cfg: cfg, byPass: byPass}, nil
}

// ofIndex reports whether a token is a pass that no access service made.
func ofIndex(token string) bool {
	p, err := pass.Parse(daypass.NewSecret(token))
	id, known := p.Identity()
	return err == nil && !(known && id.Realm.Kind == pass.Hub)
}

// serviceURL is the address that the hub put into the environment, else the
// admin's.
func (a *app) serviceURL(cfg config) string { return first(a.getenv("DAYPASS_URL"), cfg.admin.Broker) }

// at is how the person stands at a host; false where the service does not serve it.
func (s *service) at(ctx context.Context, h github.Host) (api.Host, bool, error) {
	me, err := s.Me(ctx)
	if err != nil {
		return api.Host{}, false, err
	}
	for _, host := range me.Hosts {
		if host.Host == h.Name {
			return host, true, nil
		}
	}
	return api.Host{}, false, nil
}

// obtain asks the service for a credential for one repository and keeps it, for
// whoever presented the token and nobody else, so that the next to need it finds
// it in the wallet.
func (a *app) obtain(ctx context.Context, s *service, w *wallet.Wallet, auth wallet.Authority, h github.Host, r api.CredentialRequest) (wallet.Entry, error) {
	repo, _ := r.Repo()
	reply, err := s.Credential(ctx, r)
	if err != nil {
		return wallet.Entry{}, err
	}
	account := reply.Account.Account()
	// The number pins it: the name may be another's tomorrow. It is kept under the
	// name that git asked for, which is not the new one where it was renamed.
	repo.ID = reply.Repo.ID
	e := wallet.Entry{
		Authority: auth, Scheme: h.Scheme, Origin: fromService, ProviderName: h.Title(), WebURL: h.Web, APIURL: h.API,
		FallThrough: s.cfg.fallThrough,
		Credential: daypass.Credential{
			Scope: daypass.Scope{
				Host: h.Name, Repos: []daypass.Repo{repo}, Access: daypass.ParseAccess(reply.Access), Until: a.notToTheEnd(reply.Until),
			},
			Account: shown(account.Login), Username: reply.Username, Token: reply.Password,
		},
	}
	if account.ID != 0 {
		e.Name, e.Email = shown(first(account.Name, account.Login)), shown(account.Email)
	}
	if err := w.Put(e); err != nil {
		a.screen(false).say("Note: %s", walletProblem(err)) // git gets its answer all the same
	}
	return e, nil
}

// shown is a name as it came, or nothing where it holds what does not show: the
// wallet keeps none such, and git's configuration is no place for it.
func shown(name string) string {
	if printable(name) != name {
		return ""
	}
	return name
}

// notToTheEnd leaves a minute of a credential unused, so that the helper, which
// asks nobody while it has one, gives none that ends during a push.
func (a *app) notToTheEnd(until time.Time) time.Time {
	if early := until.Add(-renewMargin); early.After(a.now()) {
		return early
	}
	return until
}

// told turns what the service said into a problem for people: the way to
// connect, and the event's id, by which its admins find what happened.
func told(err error, h github.Host) error { return toldFor(err, h, "try again") }

// toldFor is told for whoever waits to do again what failed.
func toldFor(err error, h github.Host, again string) error {
	if e, ok := client.NotConnected(err); ok && e.Link != "" {
		return &daypass.Problem{
			Code: "DP-851", What: h.Title() + " is not connected yet", Next: "Open " + e.Link + ", then " + again + ".",
			Kind: daypass.ErrNoLogin, Err: err,
		}
	}
	return toldPlain(err)
}

// toldPlain adds where to go next, and the event, to what the service said.
func toldPlain(err error) error {
	var e *client.Error
	if !errors.As(err, &e) {
		return err
	}
	p := *e.Problem
	p.Err = err
	if e.Link != "" && !strings.Contains(p.Next+p.Who, e.Link) {
		p.Next = strings.TrimSpace(p.Next + " See " + e.Link + ".")
	}
	if e.Event != "" {
		p.Who = strings.TrimSpace(p.Who + " Event " + e.Event + ".")
	}
	return &p
}

// askService answers git from the access service, after the wallet had nothing.
// done is false where the service has nothing to do with it, and things go on as
// if there were none.
func (a *app) askService(ctx context.Context, cfg config, w *wallet.Wallet, auth wallet.Authority, h github.Host, req gitcred.Request) (done bool, err error) {
	s, err := a.service(cfg)
	if err != nil || s == nil {
		if err == nil || !a.setUpFor(ctx, cfg, w, h) {
			return false, nil
		}
		return true, a.explain(err, cfg)
	}
	repo, kind := req.Repo()
	if kind == gitcred.NoPath {
		if _, served, err := s.at(ctx, h); err != nil || !served {
			return false, nil
		}
		return true, a.explain(noPath(h), cfg)
	}
	e, err := a.obtain(ctx, s, w, auth, h, api.CredentialRequest{Protocol: h.Scheme, Host: h.Name, Path: repo.String(), Access: "write"})
	switch {
	case client.NotServed(err):
		return false, nil
	case client.Unreachable(err) && !a.setUpFor(ctx, cfg, w, h):
		return false, nil // it may have nothing to do with this host
	case err != nil:
		return true, a.explain(toldFor(err, h, "push again"), cfg)
	case !e.Named(req.Username):
		return true, nil // as https://other@HOST/: another helper may know that one
	}
	if err := a.answer(req, e); err != nil {
		return true, err
	}
	a.keepIdentity(ctx, e.Name, e.Email)
	return true, nil
}

func noPath(h github.Host) error {
	return &daypass.Problem{
		Code: "DP-857", What: "git did not say which repository it needs access to, and the access service gives it for one at a time",
		Next: fmt.Sprintf("Run: git config --global credential.%s.useHttpPath true; then push again.", h.Web), Kind: daypass.ErrUsage,
	}
}

// rejected tells the service that the host refused a token of its making, so that
// it gives no more of it. That it cannot be told is no failure here.
func (a *app) rejected(ctx context.Context, e wallet.Entry) {
	cfg, err := a.loadConfig()
	if err != nil {
		return
	}
	s, err := a.service(cfg)
	if err != nil || s == nil {
		return
	}
	sum := sha256.Sum256([]byte(e.Credential.Token.Reveal()))
	r := api.Rejected{Host: e.Credential.Scope.Host, SHA256: hex.EncodeToString(sum[:])}
	if len(e.Credential.Scope.Repos) == 1 {
		r.Path = e.Credential.Scope.Repos[0].String()
	}
	_ = s.Rejected(ctx, r)
}
