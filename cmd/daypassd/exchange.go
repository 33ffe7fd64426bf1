package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/exchange"
	"github.com/daypass-dev/daypass/gateway"
	"github.com/daypass-dev/daypass/hub"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/store"
)

// newExchange reads the rules by which jobs get passes at the index, or those at
// the hub; nil where there are none.
func (svc *service) newExchange(s *app, index bool) (*exchange.Exchange, error) {
	x := svc.config.Exchange
	if x == nil {
		return nil, nil
	}
	c := exchange.Config{Audience: x.Audience, Once: svc.once, Now: svc.now, Log: svc.log}
	for _, r := range x.Rules {
		// One that gives both, or nothing, is refused by either.
		if index && r.Gives.Hub == nil || !index && r.Gives.Index == nil {
			c.Rules = append(c.Rules, r)
		}
	}
	if len(c.Rules) == 0 {
		return nil, nil
	}
	for _, text := range x.Issuers {
		is := text.Issuer
		if is.Kind == exchange.JupyterHub {
			token, err := s.secret("exchange.issuers.token", text.Token)
			if err != nil {
				return nil, err
			}
			is.Who = askHub(hub.New(hub.Config{ID: is.Name, API: text.API, Service: text.Service, Token: token}), svc.config.Servers)
		}
		c.Issuers = append(c.Issuers, is)
	}
	return exchange.New(c)
}

// askHub asks a hub whose token it is. What it said a while ago is not enough to
// make a pass, nor is the token of a server that others enter too: they have it.
func askHub(h *hub.Client, servers serversConfig) func(context.Context, daypass.Secret) (daypass.Caller, error) {
	return func(ctx context.Context, token daypass.Secret) (daypass.Caller, error) {
		id, err := h.Whoami(ctx, token, "", true)
		if err == nil && id.Stale {
			err = fmt.Errorf("the hub does not answer: %w", daypass.ErrUnreachable)
		}
		c := id.Caller
		if err != nil || c.Via != daypass.ViaServer || !c.Server.Known {
			return c, err
		}
		if servers.kind(ctx, c) != policy.Own {
			return daypass.Caller{}, errEntered
		}
		if servers.IgnoreShares || !h.Shares() {
			return c, nil
		}
		info, err := h.Server(ctx, c.User.Name, c.Server.Name)
		if err == nil && (info.Shared || !info.SharingKnown) {
			err = errEntered
		}
		return c, err
	}
}

var errEntered = errors.New("others enter this server, or the hub does not say who does (read:shares)")

func (svc *service) once(ctx context.Context, kind, id string, until time.Time) (first bool, err error) {
	err = svc.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		first, err = tx.Once(kind, id, until)
		return err
	})
	return first && err == nil, err
}

// decide asks the rules, and writes down a refusal that an admin may have to
// answer: one of a job that a rule is about.
func (svc *service) decide(ctx context.Context, x *exchange.Exchange, token daypass.Secret, from netip.Addr) (exchange.Grant, error) {
	g, err := x.Decide(ctx, token, from)
	var r *exchange.Refusal
	if !errors.As(err, &r) || r.Rule == "" {
		return g, err
	}
	e := store.Event{
		At: svc.now(), Kind: store.Exchanged, Via: viaFrom("", from), Outcome: store.Refused, Rule: r.Rule, Code: r.Problem.Code, Account: r.Job, Why: r.Problem.Why,
	}
	werr := svc.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		tx.Record(e)
		return nil
	})
	return g, errors.Join(err, werr)
}

// mintForJob makes a pass at the index for a job.
func (svc *service) mintForJob(ctx context.Context, token daypass.Secret, from netip.Addr) (gateway.Exchanged, error) {
	g, err := svc.decide(ctx, svc.indexExchange, token, from)
	if err != nil {
		return gateway.Exchanged{}, err
	}
	since, err := svc.gateway.Since(ctx, g.Index.User)
	if err != nil {
		return gateway.Exchanged{}, err
	}
	until := svc.now().Add(g.For)
	m, err := svc.book.Mint(ctx, broker.NewPass{
		User: g.Index.User, Started: since, Via: "exchange", By: g.Issuer, Label: g.Rule,
		Limits: pass.Limits{Allowed: g.Index.Allowed, Indexes: g.Index.Indexes, Projects: g.Index.Projects, Expires: until},
		Event:  store.Event{Kind: store.Exchanged, User: g.Index.User, Via: viaFrom("", from), Rule: g.Rule, Account: g.Job},
	})
	return gateway.Exchanged{Token: m.Text, Expires: m.Row.Until}, err
}

// exchangeChecks ask whose keys are needed.
func (svc *service) exchangeChecks(ctx context.Context) []server.Check {
	var out []server.Check
	seen := map[string]bool{}
	for _, x := range []*exchange.Exchange{svc.hubExchange, svc.indexExchange} {
		if x == nil {
			continue
		}
		for _, is := range x.Check(ctx) {
			if seen[is.Name] {
				continue
			}
			seen[is.Name] = true
			c := server.Check{Name: "issuer " + is.Name, Good: true, Says: "its keys can be had"}
			if is.Err != nil {
				c.Good, c.Says, c.Fix = false, "its keys cannot be had: "+is.Err.Error(), "Look at the way there, and at url and keys under exchange.issuers."
			}
			out = append(out, c)
		}
	}
	return out
}
