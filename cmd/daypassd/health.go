package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/server"
)

// ready is what has to be well for requests to be sent here: the store, with its
// keys. The hub and the providers are told, and do not count: a service that is
// taken out of use because a hub is down could not even say so.
func (svc *service) ready(ctx context.Context) []server.Check {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c := server.Check{Name: "store", Good: true, Says: "answers"}
	if err := svc.db.Ping(ctx); err != nil {
		c.Good, c.Says, c.Fix = false, "does not answer", "Look at the disk, or at PostgreSQL, and at the service's log."
	}
	return []server.Check{c}
}

// checks is the page Health, and most of "daypass admin check": each line is
// good or says what to do.
func (svc *service) checks(ctx context.Context) []server.Check {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out := svc.ready(ctx)
	if text, err := svc.db.Durability(ctx); err == nil {
		out = append(out, server.Check{Name: "events", Good: true, Says: "durable before a token leaves: " + text})
	}
	if svc.hub != nil {
		out = append(out, svc.hubChecks(ctx)...)
	}
	if svc.gateway != nil {
		out = append(out, svc.gatewayChecks(ctx)...)
	}
	out = append(out, svc.exchangeChecks(ctx)...)
	return append(out, svc.todoCheck(ctx))
}

// hubChecks are about a hub's access service alone.
func (svc *service) hubChecks(ctx context.Context) []server.Check {
	var out []server.Check
	start := time.Now()
	c := server.Check{Name: "hub", Good: true}
	if err := svc.hub.Check(ctx); err != nil {
		c.Good, c.Says, c.Fix = false, err.Error(), "Look at hub.api and hub.token, and at the service's role in jupyterhub_config.py."
	} else {
		c.Says = "answers in " + time.Since(start).Round(time.Millisecond).String() + ", and the service's role is enough"
	}
	out = append(out, c)
	if err := svc.hub.CheckSharing(ctx); c.Good && err != nil && !svc.config.Servers.IgnoreShares {
		out = append(out, server.Check{
			Name: "sharing", Says: "who else enters a server cannot be seen, so every server only reads: " + err.Error(),
			Fix: "Add read:shares to the service's role in jupyterhub_config.py (daypass_hub does), or set servers.ignore_shares.",
		})
	}
	for _, is := range svc.issuers {
		findings, err := is.AppSettings(ctx)
		if err != nil {
			out = append(out, server.Check{Name: is.Host(), Says: "cannot be asked: " + err.Error(), Fix: "Look at the way to the host, and at its status page."})
			continue
		}
		for _, f := range findings {
			out = append(out, server.Check{Name: is.Host(), Good: f.OK, Says: f.What, Fix: f.Next})
		}
	}
	for _, is := range svc.canvas {
		c := server.Check{Name: is.Host(), Good: true, Says: "takes the developer key"}
		if err := is.Check(ctx); err != nil {
			c.Good, c.Says, c.Fix = false, err.Error(), "Look at client_id and client_secret under sources.canvas, and whether the key is on."
		}
		out = append(out, c)
	}
	if n := svc.broker.Bridged(); n > 0 {
		out = append(out, server.Check{
			Name: "bridge", Says: fmt.Sprintf("%d whole tokens of a classic OAuth App are held in memory and handed out", n),
			Fix: "Move the hub's login to a GitHub App, or let people connect the push App, and remove accept_unnarrowed.",
		})
	}
	return out
}

func (svc *service) todoCheck(ctx context.Context) server.Check {
	c := server.Check{Name: "revocations", Good: true, Says: "none is overdue"}
	late, err := svc.db.CountTodos(ctx, 0, svc.now().Add(-time.Minute))
	if err != nil || late > 0 {
		c.Good = false
		c.Says = fmt.Sprintf("%d are overdue", late)
		c.Fix = "They are tried again until they are done; look at why the host refuses them in the service's log."
	}
	return c
}

// measure tells the metrics what nobody asks for, every quarter of a minute.
func (svc *service) measure(ctx context.Context) {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		counts, err := svc.db.CountConnections(ctx)
		if err == nil {
			for _, c := range counts {
				svc.metrics.Connections(c.Host, string(c.State), c.N)
			}
		}
		if owed, ok, err := svc.db.OldestTodo(ctx); err == nil {
			delay := time.Duration(0)
			if ok {
				delay = max(0, svc.now().Sub(owed))
			}
			svc.metrics.RevocationDelay(delay)
		}
		svc.metrics.Up("hub", svc.hub.Check(ctx) == nil)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// timed notes how long the hub takes to answer, and whether it does.
type timed struct {
	to      http.RoundTripper
	metrics *server.Metrics
}

// RoundTrip implements [http.RoundTripper].
func (t timed) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	res, err := t.to.RoundTrip(r)
	took := time.Since(began)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return res, err // whoever asked went away: that says nothing about the hub
		}
		t.metrics.Upstream("hub", "failed", took)
		t.metrics.Up("hub", false)
		return res, err
	}
	outcome := "ok"
	switch {
	case res.StatusCode == http.StatusTooManyRequests:
		outcome = "limited"
	case res.StatusCode >= 500:
		outcome = "failed"
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		outcome = "refused"
	}
	t.metrics.Upstream("hub", outcome, took)
	away := res.StatusCode == http.StatusBadGateway || res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusGatewayTimeout
	t.metrics.Up("hub", !away)
	return res, nil
}

// serverKind says whether others enter a server: by its name, by what it was
// started with, or by the hub's sharing. Where the hub does not say which server it
// is, or who else enters it, it counts as one that others enter and only reads.
// What the hub has not said of a server for ten minutes, or with what it was
// started, where that matters, makes it nobody's: nothing is given there.
func (svc *service) serverKind(ctx context.Context, c daypass.Caller) policy.ServerKind {
	s := svc.config.Servers
	if kind := s.kind(ctx, c); kind != policy.Own {
		return kind
	}
	if c.Via != daypass.ViaServer {
		return policy.Own
	}
	shares := !s.IgnoreShares && svc.hub.Shares()
	if !c.Server.Known {
		// It may be any of the person's, also one that others enter.
		if shares || len(s.Shared)+len(s.Dashboard)+len(s.DashboardOptions) > 0 {
			return policy.Shared
		}
		return policy.Own
	}
	if !shares && len(s.DashboardOptions) == 0 {
		return policy.Own
	}
	info, err := svc.hub.Server(ctx, c.User.Name, c.Server.Name)
	if err != nil || len(s.DashboardOptions) > 0 && !info.OptionsKnown {
		return policy.NoKind
	}
	for name, value := range s.DashboardOptions {
		if info.Option(name, value) {
			return policy.Dashboard
		}
	}
	if !s.IgnoreShares && (info.Shared || !info.SharingKnown) {
		return policy.Shared
	}
	return policy.Own
}

// kind is what the name of a server alone says.
func (s serversConfig) kind(_ context.Context, c daypass.Caller) policy.ServerKind {
	switch {
	case c.Server.Known && named(s.Dashboard, c.Server.Name):
		return policy.Dashboard
	case c.Server.Known && named(s.Shared, c.Server.Name):
		return policy.Shared
	}
	return policy.Own
}

func named(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}
