package main

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/exchange"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/store"
)

// passParts shows the broker's passes to the server.
func (f *face) passParts() server.PassParts {
	p := server.PassParts{
		LooksLike: pass.LooksLike, PassCaller: f.passCaller, PassHosts: f.passHosts, MintPass: f.mintPass, Passes: f.passes, EndPass: f.endPass,
		EndShownPass: f.endShownPass, NarrowPass: f.narrowPass, PassBounds: f.passBounds,
		AskDevice: f.askDevice, DeviceFor: f.deviceFor, DecideDevice: f.decideDevice, TakeDevice: f.takeDevice,
	}
	if f.exchange != nil {
		p.Exchange, p.Audience = f.mintExchanged, f.exchange.Audience()
	}
	return p
}

func (f *face) passCaller(ctx context.Context, text daypass.Secret, from netip.Addr) (daypass.Caller, error) {
	c, err := f.b.PassCaller(ctx, text, from)
	return c, told("", err)
}

// passHosts are the hosts that the owner of a pass has connected, of those that
// the pass is for.
func (f *face) passHosts(ctx context.Context, c daypass.Caller) ([]string, error) {
	p, ok, err := f.db.Person(ctx, c.User)
	if err != nil || !ok {
		return nil, err
	}
	text, err := pass.Parse(c.Pass.Text)
	if err != nil {
		return nil, err
	}
	rights, _ := text.Effective()
	list, err := f.b.ConnectionsOf(ctx, p.ID)
	var out []string
	for _, conn := range list {
		if conn.State != store.NeedsConsent && rights.Hosts.Has(conn.Host) {
			out = append(out, conn.Host)
		}
	}
	return out, err
}

func (f *face) mintPass(ctx context.Context, c daypass.Caller, ask server.PassAsk) (api.PassReply, error) {
	defer f.changed.tell(c.User)
	m, err := f.b.MintPass(ctx, c, ask.Fresh, asked(ask))
	if err != nil {
		return api.PassReply{}, told("", err)
	}
	return passReply(m), nil
}

// asked puts what was asked for into the broker's words.
func asked(a server.PassAsk) broker.PassAsk {
	out := broker.PassAsk{Limits: limitsOf(a.Limits), Label: a.Label, For: a.For, ForServer: a.ForServer, Request: a.Request}
	out.Limits.Expires = a.Until
	if a.Never {
		out.Limits.Expires = daypass.Forever
	}
	return out
}

func limitsOf(l api.PassLimits) pass.Limits {
	out := pass.Limits{
		Hosts: l.Hosts, Repos: l.Repos, Access: daypass.ParseAccess(l.Access), Sources: l.Sources, Servers: l.Servers, Addresses: l.Addresses, Uses: l.Uses,
	}
	if l.NotBefore != nil {
		out.NotBefore = *l.NotBefore
	}
	return out
}

func ofLimits(l pass.Limits) api.PassLimits {
	out := api.PassLimits{Hosts: l.Hosts, Repos: l.Repos, Sources: l.Sources, Servers: l.Servers, Addresses: l.Addresses, Uses: l.Uses}
	if l.Access != daypass.NoAccess {
		out.Access = l.Access.String()
	}
	out.NotBefore = given(l.NotBefore)
	return out
}

// given is a time in answers; nil where there is none, or no end.
func given(t time.Time) *time.Time {
	if t.IsZero() || !t.Before(daypass.Forever) {
		return nil
	}
	t = t.UTC()
	return &t
}

func passReply(m broker.Minted) api.PassReply {
	return api.PassReply{Pass: m.Text, ID: m.Row.ID, Label: m.Row.Label, Until: given(m.Row.Until), Limits: m.Row.Caveats, Event: string(m.Event)}
}

func (f *face) passes(ctx context.Context, c daypass.Caller) ([]api.Pass, error) {
	list, err := f.b.Passes(ctx, c)
	if err != nil {
		return nil, told("", err)
	}
	out := []api.Pass{}
	for _, p := range list {
		out = append(out, passLine(p))
	}
	return out, nil
}

func passLine(p store.Pass) api.Pass {
	line := api.Pass{
		ID: p.ID, Label: p.Label, Created: p.Created.UTC(), Used: given(p.Used), Uses: p.Uses, Until: given(p.Until), Ended: given(p.Ended), Why: p.Why,
		Via: p.Via, Limits: p.Caveats,
	}
	if p.Server.Known {
		line.Server = p.Server.String()
	}
	return line
}

func (f *face) endPass(ctx context.Context, c daypass.Caller, id string) (string, bool, error) {
	defer f.changed.tell(c.User)
	event, ok, err := f.b.EndPass(ctx, c, id, server.RequestID(ctx))
	return string(event), ok, told("", err)
}

func (f *face) endShownPass(ctx context.Context, text daypass.Secret, from netip.Addr) (string, error) {
	event, err := f.b.EndShownPass(ctx, text, from, server.RequestID(ctx))
	return string(event), told("", err)
}

func (f *face) passBounds(ctx context.Context, c daypass.Caller) (server.PassBounds, error) {
	b, err := f.b.PassBounds(ctx, c)
	return server.PassBounds{Longest: b.Longest, Short: b.Short, Usual: b.Usual, Never: b.Never}, told("", err)
}

func (f *face) askDevice(ctx context.Context, ask server.DeviceAsk) (server.DeviceCodes, error) {
	d, err := f.b.AskDevice(ctx, broker.DeviceAsk{Label: ask.Label, Limits: limitsOf(ask.Limits), For: ask.For, From: ask.From})
	return server.DeviceCodes{Device: d.Device, User: d.User, Until: d.Until, Interval: d.Interval}, told("", err)
}

func (f *face) deviceFor(ctx context.Context, c daypass.Caller, userCode string) (server.DeviceWait, bool, error) {
	d, ok, err := f.b.DeviceFor(ctx, c, userCode)
	return server.DeviceWait{Label: d.Label, From: d.From, Limits: ofLimits(d.Limits), For: d.For, Created: d.Created, Until: d.Until}, ok, told("", err)
}

func (f *face) decideDevice(ctx context.Context, c daypass.Caller, userCode string, yes bool, ask server.PassAsk) (bool, error) {
	defer f.changed.tell(c.User)
	ok, err := f.b.DecideDevice(ctx, c, userCode, yes, asked(ask))
	return ok, told("", err)
}

func (f *face) takeDevice(ctx context.Context, device daypass.Secret) (api.PassReply, server.DeviceState, error) {
	m, state, err := f.b.TakeDevice(ctx, device, server.RequestID(ctx))
	if err != nil || state != broker.DeviceYes {
		return api.PassReply{}, server.DeviceState(state), told("", err)
	}
	return passReply(m), server.DeviceYes, nil
}

// mintExchanged makes a pass of a hub's person for a job.
func (f *face) mintExchanged(ctx context.Context, token daypass.Secret, from netip.Addr) (api.MintedToken, error) {
	g, err := f.decide(ctx, f.exchange, token, from)
	if err != nil {
		return api.MintedToken{}, err
	}
	m, err := f.b.MintExchanged(ctx, broker.Grant{
		As: g.Hub.As, For: g.For, Label: g.Rule, By: g.Issuer + ": " + g.Job, Rule: g.Rule, Request: server.RequestID(ctx), Limits: hubLimits(g.Hub),
	})
	return api.MintedToken{Token: m.Text, Expires: m.Row.Until}, told("", err)
}

func hubLimits(h *exchange.Hub) pass.Limits {
	var hosts []string
	for _, host := range h.Hosts {
		hosts = append(hosts, strings.ToLower(host))
	}
	return pass.Limits{Hosts: hosts, Repos: h.Repos, Access: h.Access, Sources: h.Sources}
}
