package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/exchange"
	"github.com/daypass-dev/daypass/gateway"
	"github.com/daypass-dev/daypass/hub"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/provider/canvas/oauth"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/store"
)

const serveHelp = `Run the access service of a hub: its users connect GitHub once, in a browser, and git then works in all of their
servers, with tokens made just in time for one repository each.

It runs beside the hub (recommended), or as a service that the hub starts. With "gateway:" in its configuration it runs
a package gateway in front of a devpi-server too, or that alone. doc/deploy.md takes you there from nothing.`

func (s *app) serveCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "serve", Short: "Run the access service of a hub, or a package gateway", Long: serveHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.serve(c.Context(), path) },
	}
	c.Flags().StringVar(&path, "config", defaultConfig, "the service's configuration")
	return c
}

// gcPercent is how much garbage may gather beside what is in use. There is time
// enough to look for it four times as often as programs usually do, and a
// hub's machine has better use for the memory.
const gcPercent = 22

// A service is everything that runs, put together.
type service struct {
	config  *serverConfig
	log     *slog.Logger
	db      *store.DB
	hub     *hub.Client
	broker  *broker.Broker
	issuers []*github.Issuer
	canvas  []*oauth.Issuer // one for each site
	metrics *server.Metrics
	heads   *heads
	changed *changes
	readers *readers // of content; nil: none
	serving bool     // and no admin's command
	now     func() time.Time

	book    *broker.PassBook // the gateway's
	gateway *gateway.Gateway
	// By which jobs get passes at the hub and at the index; nil: not at all.
	hubExchange, indexExchange *exchange.Exchange
}

func (s *app) serve(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	c, err := s.readConfig(path)
	if err != nil {
		return err
	}
	if !c.hubless {
		if err := dieWithHub(s.getenv); err != nil {
			return err
		}
	}
	ls, err := s.listenAll(ctx, c)
	defer ls.close()
	if err != nil || ls.none() {
		return err // without an error: somebody serves already, and said so
	}
	svc, err := s.open(ctx, c, true)
	if err != nil {
		return err
	}
	defer svc.close()
	entries, err := svc.entries(s, ls)
	if err != nil {
		return startProblem(err)
	}
	if s.getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	profiled(s.getenv)
	return svc.run(ctx, entries)
}

func startProblem(err error) error {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return err
	}
	return serveProblem("DP-905", "daypass cannot start", err.Error(), `Correct that; "daypass admin check" looks at everything.`)
}

// open puts a service together: keys, store, issuers, hub, rules, broker. The
// admin's commands use the same one.
func (s *app) open(ctx context.Context, c *serverConfig, serving bool) (*service, error) {
	svc := &service{config: c, serving: serving, now: time.Now, log: s.logger(c), metrics: server.NewMetrics(append(c.hosts(), c.canvasHosts()...))}
	keys, err := s.keys(c)
	if err != nil {
		return nil, serveProblem("DP-906", "the store's keys cannot be used", err.Error(), `"daypass admin keys init FILE" makes them; keep the file apart from the store.`)
	}
	svc.heads = newHeads(svc.log, c.Heads, serving)
	svc.db, err = store.Open(ctx, store.Config{
		URL: c.Store, Keys: keys, ReloadKeys: func() (*store.Keys, error) { return s.keys(c) }, Log: svc.log, Head: svc.heads.tell,
		Committed: func(took time.Duration) { svc.metrics.Commit(took) },
	})
	if err != nil {
		return nil, startProblem(err)
	}
	svc.changed = newChanges(svc.db, svc.now)
	if !c.hubless {
		err = svc.build(s)
	}
	if err == nil && c.Gateway != nil {
		err = svc.buildGateway(s)
	}
	if err != nil {
		svc.close()
		return nil, startProblem(err)
	}
	return svc, nil
}

func (svc *service) build(s *app) error {
	c := svc.config
	token, err := s.secret("hub.token", c.Hub.Token)
	if err != nil {
		return err
	}
	svc.hub = hub.New(hub.Config{
		ID: c.Hub.ID, API: c.Hub.API, Public: c.Hub.URL, Service: c.Hub.Service, Token: token,
		Transport: timed{hub.Transport(), svc.metrics},
	})
	var bridges []broker.Bridge
	var forever []string
	for _, g := range c.GitHub {
		is, err := s.issuer(g)
		if err != nil {
			return fmt.Errorf("github: %s: %w", g.Host, err)
		}
		svc.issuers = append(svc.issuers, is)
		if g.LoginApp.ClientID != "" {
			bridges = append(bridges, broker.Bridge{Host: is.Host(), App: g.LoginApp.ClientID, AcceptUnnarrowed: g.LoginApp.AcceptUnnarrowed})
		}
		if g.AcceptNeverEnding {
			forever = append(forever, is.Host())
		}
	}
	if svc.hubExchange, err = svc.newExchange(s, false); err != nil {
		return err
	}
	return svc.newBroker(s, bridges, forever)
}

func (s *app) issuer(g githubConfig) (*github.Issuer, error) {
	h, err := github.ParseHost(g.Host)
	if err != nil {
		return nil, err
	}
	ic := github.IssuerConfig{
		Host: h, Now: time.Now, ChildrenSurvive: g.ChildrenSurviveRefresh, AnySelection: g.AnySelection,
		Push: github.PushApp{ClientID: g.Push.ClientID, AppURL: g.Push.AppURL},
	}
	for _, where := range g.Push.ClientSecrets {
		secret, err := s.secret("push.client_secrets", where)
		if err != nil {
			return nil, err
		}
		ic.Push.ClientSecrets = append(ic.Push.ClientSecrets, secret)
	}
	if g.Content.ClientID != "" {
		key, err := s.secret("content.key", g.Content.Key)
		if err != nil {
			return nil, err
		}
		ic.Content = &github.ContentApp{ClientID: g.Content.ClientID, Key: key, AppURL: g.Content.AppURL}
	}
	return github.NewIssuer(ic)
}

func (svc *service) newBroker(s *app, bridges []broker.Bridge, forever []string) error {
	c := svc.config
	rules, audit, err := c.rules()
	if err != nil {
		return err
	}
	limits, err := c.brokerLimits()
	if err != nil {
		return err
	}
	sources, err := c.brokerSources()
	if err != nil {
		return err
	}
	if svc.readers, err = svc.newReaders(s, &sources); err != nil {
		return err
	}
	var issuers []daypass.Issuer
	for _, is := range svc.issuers {
		issuers = append(issuers, is)
	}
	if err := svc.openCanvas(s); err != nil {
		return err
	}
	for _, is := range svc.canvas {
		issuers = append(issuers, is)
	}
	svc.broker, err = broker.New(broker.Config{
		Realm: c.Passes.Realm, AllowNever: c.Passes.AllowNever,
		Log: svc.log, Store: svc.db, Issuers: issuers, Rules: rules, Audit: audit, Sharing: c.Sharing.Groups, Sources: sources, Bridges: bridges,
		AcceptForever: forever, Limits: limits, Process: svc.db.Process(),
		Hub: broker.HubFuncs{ID: c.Hub.ID, User: svc.hubUser, Users: svc.hubUsers, Running: svc.running, ServerKind: svc.serverKind},
		Observe: broker.Observe{
			Provider: func(host, _, outcome string, took time.Duration) { svc.metrics.Upstream(host, outcome, took) },
			Breaker:  func(host string, open bool) { svc.metrics.Up(host, !open) },
			Read:     svc.metrics.Read,
		},
	})
	if svc.readers != nil {
		svc.readers.broker = svc.broker
	}
	return err
}

func (c *serverConfig) brokerLimits() (broker.Limits, error) {
	l := broker.Limits{ReposPerDay: c.Limits.RepositoriesPerDay, Session: c.Connections.Keep == "session"}
	var err error
	for _, d := range []struct {
		to   *time.Duration
		key  string
		text string
	}{
		{&l.MaxAge, "connections.max_age", c.Connections.MaxAge}, {&l.Idle, "connections.idle", c.Connections.Idle},
		{&l.MaxShare, "sharing.max", c.Sharing.Max}, {&l.WriteClick, "limits.write_click", c.Limits.WriteClick},
	} {
		if *d.to, err = duration(d.key, d.text); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (svc *service) hubUser(ctx context.Context, name string) (broker.HubUser, bool, error) {
	p, err := svc.hub.Person(ctx, name)
	if errors.Is(err, hub.ErrNoUser) {
		return broker.HubUser{}, false, nil
	}
	return hubLine(p), err == nil, err
}

func (svc *service) hubUsers(ctx context.Context) ([]broker.HubUser, error) {
	list, err := svc.hub.Users(ctx)
	var out []broker.HubUser
	for _, p := range list {
		out = append(out, hubLine(p))
	}
	return out, err
}

func hubLine(p hub.Person) broker.HubUser {
	return broker.HubUser{
		Name: p.User.Name, Created: p.User.Created, Groups: p.Groups, Servers: p.Running, Running: p.ServersKnown, Started: p.Started,
	}
}

// running asks the hub itself: what it said a minute ago is no answer to whether a
// server runs.
func (svc *service) running(ctx context.Context, user, name string) (time.Time, bool, error) {
	p, err := svc.hub.Person(ctx, user)
	switch {
	case errors.Is(err, hub.ErrNoUser):
		return time.Time{}, false, nil
	case err != nil:
		return time.Time{}, false, err
	case !p.ServersKnown:
		return time.Time{}, false, errors.New("the hub does not say which servers run, which takes the scope read:servers")
	}
	return p.Started[name], slices.Contains(p.Running, name), nil
}

// face puts the pages and the API in front of the broker.
func (svc *service) face(s *app) (*server.Server, error) {
	c := svc.config
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	hook, err := s.optionalSecret("hub.hook_token", c.Hub.HookToken)
	if err != nil {
		return nil, err
	}
	metrics, err := s.optionalSecret("metrics_token", c.Metrics)
	if err != nil {
		return nil, err
	}
	var proxies []netip.Prefix
	if proxies, err = c.proxies(); err != nil {
		return nil, err
	}
	apps, err := c.apps()
	if err != nil {
		return nil, err
	}
	f := &face{b: svc.broker, db: svc.db, changed: svc.changed, firsts: newFirsts(), now: svc.now, checks: svc.checks, ready: svc.ready}
	f.exchange, f.decide, f.readers = svc.hubExchange, svc.decide, svc.readers
	f.forget = func(u daypass.User) { u.Hub = c.Hub.ID; svc.hub.Forget(u) }
	f.redirect = func(host string) string { return u.String() + callbackOf(c, host) }
	for i, is := range svc.issuers {
		f.hosts = append(f.hosts, server.Host{
			Host: is.Host(), Name: title(is.Host()), ConsentURL: is.ConsentURL(daypass.Consent{}), ClientID: c.GitHub[i].Push.ClientID, ReachURL: is.ReachURL(),
		})
	}
	for _, is := range svc.canvas {
		f.hosts = append(f.hosts, server.Host{
			Host: is.Host(), Name: "Canvas at " + is.Host(), ConsentURL: is.ConsentURL(daypass.Consent{}), ClientID: is.App(), ReachURL: is.ReachURL(), Content: true,
		})
	}
	return server.New(server.Config{
		Log: svc.log, URL: u, Shared: c.shared(), Hub: server.Hub{Title: c.Hub.Title, URL: c.Hub.URL}, Version: daypass.Version,
		Identify: svc.identify, SignIn: svc.signIn(s, u), States: svc.states(), Sessions: svc.db.Sessions(), Broker: f.broker(),
		Admin: c.Hub.isAdmin, HookToken: hook, MetricsToken: metrics, Metrics: svc.metrics, Apps: apps,
		Limits: server.Limits{Proxies: proxies, Addresses: c.Limits.AddressesPerToken},
	})
}

func (s *app) optionalSecret(key, where string) (daypass.Secret, error) {
	if where == "" {
		return daypass.Secret{}, nil
	}
	return s.secret(key, where)
}

func title(host string) string {
	if host == github.DotCom {
		return "GitHub"
	}
	return host
}

// apps is what the public pages for owners describe: each App by the name that
// the host shows, and for as long as the rules let its tokens last.
func (c *serverConfig) apps() ([]server.App, error) {
	rules, err := c.ruleList()
	if err != nil {
		return nil, err
	}
	var out []server.App
	for _, g := range c.GitHub {
		h, err := github.ParseHost(g.Host)
		if err != nil {
			return nil, err
		}
		push := server.App{
			Host: h.Name, Name: cmp.Or(g.Push.Name, slug(g.Push.AppURL)), ClientID: g.Push.ClientID, URL: g.Push.AppURL,
			Longest: cmp.Or(longest(rules, h.Name, policy.AsUser, daypass.Write), longest(rules, h.Name, policy.AsUser, daypass.Read)),
		}
		if !g.AcceptNeverEnding {
			push.Longest = min(push.Longest, userTokens)
		}
		out = append(out, push)
		if g.Content.ClientID != "" {
			// A share gives as much as the host does, whatever the rules say.
			out = append(out, server.App{
				Host: h.Name, Name: cmp.Or(g.Content.Name, slug(g.Content.AppURL)), ClientID: g.Content.ClientID, URL: g.Content.AppURL,
				Content: true, Longest: installationTokens,
			})
		}
	}
	return out, nil
}

// How long GitHub's tokens last at most (docs: "Generating a user access token
// for a GitHub App", "Generating an installation access token for a GitHub App").
const (
	userTokens         = 8 * time.Hour
	installationTokens = time.Hour
)

// longest is the longest time that a rule gives at a host; 0: none gives anything.
func longest(rules []policy.Rule, host string, as policy.As, access daypass.Access) time.Duration {
	var out time.Duration
	for _, r := range rules {
		if r.Forbid || r.As != as || r.Access < access {
			continue
		}
		for _, p := range r.What {
			pattern, _, _ := strings.Cut(p.String(), "/")
			if ok, err := path.Match(strings.NewReplacer(`\`, `\\`, "[", `\[`).Replace(pattern), host); ok && err == nil {
				out = max(out, r.Max)
			}
		}
	}
	return out
}

// slug is the last part of the address of an App's page, which GitHub makes of
// the App's name.
func slug(appURL string) string {
	u, err := url.Parse(appURL)
	if err != nil || strings.Trim(u.Path, "/") == "" {
		return ""
	}
	return path.Base(u.Path)
}

func (h hubConfig) isAdmin(c daypass.Caller) bool {
	return slices.Contains(h.Admins.Users, c.User.Name) ||
		slices.ContainsFunc(c.Groups, func(g string) bool { return slices.Contains(h.Admins.Groups, g) })
}

func (svc *service) identify(ctx context.Context, token daypass.Secret, session string, fresh bool) (server.Identity, error) {
	id, err := svc.hub.Whoami(ctx, token, session, fresh)
	return server.Identity{Caller: id.Caller, Stale: id.Stale}, err
}

// signIn is the hub's OAuth. On the hub's own origin the hub has the callback as
// a path, elsewhere as a whole address; a hub that started us says which.
func (svc *service) signIn(s *app, u *url.URL) server.SignIn {
	redirect := u.String() + "oauth_callback"
	if hubURL, err := url.Parse(svc.config.Hub.URL); err == nil && hubURL.Scheme == u.Scheme && hubURL.Host == u.Host {
		redirect = u.Path + "oauth_callback"
	}
	if told := s.getenv("JUPYTERHUB_OAUTH_CALLBACK_URL"); told != "" {
		redirect = told
	}
	return server.SignIn{
		AuthCodeURL: func(state, verifier string) string { return svc.hub.AuthCodeURL(state, verifier, redirect) },
		Exchange: func(ctx context.Context, code, verifier string) (daypass.Secret, error) {
			return svc.hub.Exchange(ctx, code, verifier, redirect)
		},
	}
}

func (svc *service) states() server.States {
	return server.States{
		Put: func(ctx context.Context, id string, st server.SignInState) error {
			return svc.db.PutState(ctx, id, store.State{Session: st.Browser, Verifier: st.Verifier, Next: st.Next, Created: st.Created})
		},
		Take: func(ctx context.Context, id string) (server.SignInState, bool, error) {
			st, ok, err := svc.db.TakeState(ctx, id, svc.now())
			if ok && st.Host != "" { // a consent's, not a sign-in's
				ok = false
			}
			return server.SignInState{Browser: st.Session, Verifier: st.Verifier, Next: st.Next, Created: st.Created}, ok, err
		},
	}
}

func (svc *service) close() {
	svc.readers.close()
	if svc.db != nil {
		if err := svc.db.Close(); err != nil {
			svc.log.Error("the store was not closed well", "err", err)
		}
	}
}

func (svc *service) durability(ctx context.Context) string {
	text, err := svc.db.Durability(ctx)
	if err != nil {
		return "unknown"
	}
	return text
}

func (s *app) logger(c *serverConfig) *slog.Logger {
	level := slog.LevelInfo
	switch c.Log {
	case "debug":
		level = slog.LevelDebug
	case "warn":
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
