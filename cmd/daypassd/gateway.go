package main

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/gateway"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/store"
)

// buildGateway puts the gateway in front of its book of passes.
func (svc *service) buildGateway(s *app) error {
	g := svc.config.Gateway
	svc.book = svc.indexBook()
	to, err := url.Parse(g.Upstream)
	if err != nil {
		return err
	}
	at, err := url.Parse(g.URL)
	if err != nil {
		return err
	}
	acting, err := s.acting(g)
	if err != nil {
		return err
	}
	proxies, err := prefixes("gateway.proxies", g.Proxies)
	if err != nil {
		return err
	}
	c := gateway.Config{
		Log: svc.log, URL: at, Upstream: to, Admins: g.Admins, ActAsAdmins: g.ActAsAdmins, ListProjects: g.ListProjects, PushOut: g.PushOut,
		Acting: acting, Proxies: proxies, Now: svc.now, Passes: svc.indexPasses(),
	}
	if g.Mode == "compat" {
		c.Mode = gateway.Compat
	}
	if svc.indexExchange, err = svc.newExchange(s, true); err != nil {
		return err
	}
	if svc.indexExchange != nil {
		c.Exchange = &gateway.Exchange{Audience: svc.indexExchange.Audience(), Mint: svc.mintForJob}
	}
	svc.gateway, err = gateway.New(c)
	return err
}

// indexBook is the book of the gateway's passes.
func (svc *service) indexBook() *broker.PassBook {
	return broker.NewPassBook(broker.PassConfig{
		Log: svc.log, Store: svc.db, Realm: pass.Realm{Kind: pass.Index, Name: svc.config.Gateway.Name}, Plugin: true, Now: svc.now,
	})
}

// acting reads by what the gateway acts at devpi.
func (s *app) acting(g *gatewayConfig) (gateway.Acting, error) {
	if g.Key == "" {
		password, err := s.secret("gateway.service_account.password", g.ServiceAccount.Password)
		return gateway.Acting{ServiceUser: g.ServiceAccount.User, ServicePassword: password}, err
	}
	text, err := s.secret("gateway.key", g.Key)
	if err != nil {
		return gateway.Acting{}, err
	}
	key, err := parseKey(text)
	return gateway.Acting{Key: key}, err
}

// keepBook follows what other processes change, and writes uses down.
func (svc *service) keepBook(ctx context.Context) error { return svc.book.Run(ctx) }

// indexPasses shows the book to the gateway.
func (svc *service) indexPasses() gateway.Passes {
	return gateway.Passes{
		Open: svc.openPass, Mint: svc.mintToken, List: svc.listTokens, Event: svc.gatewayEvent, EndShown: svc.endShownToken,
		End: func(ctx context.Context, user, id, by string) (bool, error) {
			ok, _, err := svc.book.End(ctx, user, id, "by "+by, store.Event{User: user, Account: by, Via: "devpi"})
			return ok, err
		},
	}
}

func (svc *service) openPass(ctx context.Context, p pass.Pass) (gateway.Shown, error) {
	s, err := svc.book.Open(ctx, p)
	if err != nil {
		return gateway.Shown{}, err
	}
	return gateway.Shown{
		User: s.Row.User, ID: s.Row.ID, Kind: s.Opened.Identity.Realm.Kind, Rights: s.Opened.Rights, Link: s.Last().Short(), Made: s.Row.Created, Since: s.Row.Started,
		Check: s.Check, Use: s.Use,
	}, nil
}

func (svc *service) mintToken(ctx context.Context, t gateway.NewToken) (daypass.Secret, error) {
	n := broker.NewPass{User: t.User, Via: "devpi", Started: t.Since, Label: t.Label, Limits: t.Limits, Event: store.Event{User: t.User, Account: t.By, Via: viaFrom("devpi", t.From)}}
	if t.By != t.User {
		n.By = t.By
	}
	m, err := svc.book.Mint(ctx, n)
	return m.Text, err
}

func (svc *service) listTokens(ctx context.Context, user string) ([]gateway.Token, error) {
	list, err := svc.book.List(ctx, store.PassFilter{User: user, LiveAt: svc.now()})
	var out []gateway.Token
	for _, p := range list {
		out = append(out, gateway.Token{ID: p.ID, Caveats: p.Caveats, Label: p.Label, Created: p.Created, Used: p.Used, Until: p.Until, Since: p.Started, Uses: p.Uses})
	}
	return out, err
}

// viaFrom is by which way, and from where, for events; the zero address is not
// known.
func viaFrom(way string, from netip.Addr) string {
	if !from.IsValid() {
		return way
	}
	return strings.TrimPrefix(way+", "+from.String(), ", ")
}

// pluginID is how long the ids of devpi-tokens' own tokens are; ours are longer.
const pluginID = 8

// gatewayEvent writes down what is about to be done at the index, or was refused.
func (svc *service) gatewayEvent(ctx context.Context, e gateway.Event) (string, error) {
	out := store.Event{
		At: svc.now(), Kind: store.Upstream, User: e.User, Via: viaFrom("", e.From), Host: svc.config.Gateway.Name, Access: e.Action,
		Repo: strings.TrimSpace(strings.Join(e.Indexes, " ") + " " + strings.Join(e.Projects, " ")), Outcome: store.OK,
		Realm: svc.indexRealm(e.ID), Pass: e.User + "/" + e.ID, Link: e.Link,
	}
	if e.Refused != "" {
		out.Outcome, out.Why = store.Refused, e.Refused
	}
	var id store.EventID
	err := svc.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		id = tx.Record(out)
		return nil
	})
	return string(id), err
}

func (svc *service) indexRealm(id string) string {
	if len(id) == pluginID {
		return "plugin:" + svc.config.Gateway.Name
	}
	return "index:" + svc.config.Gateway.Name
}

// gatewayHTTP is the gateway with the addresses by which its keepers watch it.
func (svc *service) gatewayHTTP(s *app) (*http.Server, error) {
	c := svc.config
	token, err := s.optionalSecret("metrics_token", c.Metrics)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	switch err := svc.gateway.Check(ctx, c.Gateway.SelfTest); {
	case errors.Is(err, daypass.ErrUnreachable):
		svc.log.Warn("devpi-server cannot be asked yet", "err", err)
	case err != nil:
		return nil, err
	}
	at, err := url.Parse(c.Gateway.URL)
	if err != nil {
		return nil, err
	}
	srv := svc.gateway.HTTP()
	srv.Handler = &porch{to: srv.Handler, at: strings.TrimSuffix(at.Path, "/"), svc: svc, token: token, exchange: svc.indexExchange != nil}
	return srv, nil
}

// A porch is what stands before the gateway: addresses by which it is watched,
// which no user's name hides, and older ones of PyPI's exchange. A user of devpi
// may be called "_".
type porch struct {
	to       http.Handler
	at       string // the path of the gateway's address, without a slash at its end
	svc      *service
	token    daypass.Secret // opens the metrics; zero: there are none
	exchange bool           // there is one
}

// ServeHTTP implements [http.Handler].
func (p *porch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.EscapedPath(), p.at)
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case ok && read && name == "/+daypass/readyz":
		status, text := http.StatusOK, ""
		for _, c := range p.svc.ready(r.Context()) {
			if !c.Good {
				status = http.StatusServiceUnavailable
			}
			text += c.Name + ": " + c.Says + "\n"
		}
		answerText(w, status, text)
	case ok && read && name == "/+daypass/metrics" && !p.token.IsZero():
		if shown, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !p.token.Equal(daypass.NewSecret(shown)) {
			answerText(w, http.StatusUnauthorized, "The token for metrics is needed.\n")
			return
		}
		p.svc.metrics.Handler().ServeHTTP(w, r)
	case ok && p.exchange && r.Method == http.MethodPost && (name == "/_/oidc/github/mint-token" || name == "/_/oidc/gitlab/mint-token"):
		// Where PyPI had it first, and older publishing actions ask. devpi has nothing
		// to be posted to there.
		again := r.Clone(r.Context())
		again.URL.Path, again.URL.RawPath = p.at+"/_/oidc/mint-token", ""
		again.RequestURI = again.URL.RequestURI()
		p.to.ServeHTTP(w, again)
	default:
		p.to.ServeHTTP(w, r)
	}
}

func answerText(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // who asked is gone
}
