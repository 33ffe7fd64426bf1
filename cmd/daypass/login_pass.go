package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/wallet"
)

// Off a hub, where no server's token speaks for the person, "daypass login"
// gets a pass of the access service, which somebody whom the hub knows confirms
// in a browser (RFC 8628). It is kept in this machine's store, and what is
// fetched with it answers to it alone.

// fromPass is the origin of such a pass. git is never given one.
const fromPass = "pass"

// enough is how long a kept pass must still be good for a login not to ask anew.
const enough = time.Hour

// keptService is the access service's pass that a login keeps here, for the
// processes that were given neither a pass nor a hub's token; "" where there is
// none.
func (a *app) keptService(cfg config) daypass.Secret {
	at, err := client.New(client.Config{URL: a.serviceURL(cfg), Now: a.now, PlainHTTP: cfg.admin.PlainHTTP})
	if err != nil {
		return daypass.Secret{}
	}
	w, err := a.openWallet()
	if err != nil {
		return daypass.Secret{}
	}
	entries, _, err := w.List()
	if err != nil {
		return daypass.Secret{}
	}
	for _, e := range entries {
		if e.Origin == fromPass && e.WebURL == at.URL() && e.Credential.Usable(a.now(), 0) &&
			e.Authority == wallet.PresentedBy(a.serviceURL(cfg), e.Credential.Token.Reveal()) {
			return e.Credential.Token
		}
	}
	return daypass.Secret{}
}

// mayAskDevice reports whether this process has an access service, and nothing
// to show there.
func (l *login) mayAskDevice() bool {
	a := l.app
	given := first(a.getenv("DAYPASS_TOKEN"), a.getenv("DAYPASS_TOKEN_FILE"), a.getenv("JUPYTERHUB_API_TOKEN"))
	return given == "" && a.serviceURL(l.cfg) != ""
}

// ownPass gets a pass, unless one is kept that is good for a while.
func (l *login) ownPass(ctx context.Context) error {
	a := l.app
	if l.o.expires == "" && l.goodPass() {
		return nil
	}
	c, err := a.openService(l.cfg)
	if err != nil {
		return err
	}
	w, err := a.openWallet()
	if err != nil {
		return err
	}
	if err := w.Ready(); err != nil {
		return walletProblem(err)
	}
	if !strings.HasPrefix(c.URL(), "https://") && !daypass.Loopback(c.Host()) {
		return &daypass.Problem{
			Code: "DP-149", What: "no pass of " + c.Host() + " is kept here", Why: "the access service is asked by plain http, off this machine",
			Next: "Use the service's https address.", Kind: daypass.ErrRefused,
		}
	}
	r := api.DeviceRequest{Label: label(a.whoAndWhere())}
	if l.o.expires != "" {
		n := &narrowing{expires: l.o.expires}
		if err := a.times(n); err != nil {
			return err
		}
		if r.For = int64(n.limits.Expires.Sub(a.now()) / time.Second); r.For <= 0 || !n.limits.Expires.Before(daypass.Forever) {
			return usageText("login", "--expires is a time that is ahead")
		}
	}
	codes, err := c.AskDevice(ctx, r)
	if err != nil {
		return told(err, l.host)
	}
	l.showDevice(c, codes)
	reply, err := c.TakeDevice(ctx, codes)
	if err != nil {
		return l.late(ctx, told(err, l.host))
	}
	return l.keepPass(w, c, reply)
}

func (l *login) goodPass() bool {
	w, err := l.app.openWallet()
	if err != nil {
		return false
	}
	entries, _, err := w.List()
	if err != nil {
		return false
	}
	token := l.app.keptService(l.cfg)
	for _, e := range entries {
		if e.Origin == fromPass && e.Credential.Token.Equal(token) {
			return e.Credential.Usable(l.app.now(), enough)
		}
	}
	return false
}

// label takes what a list can show, and no more than it has room for.
func label(text string) string {
	text = printable(text)
	if r := []rune(text); len(r) > api.MaxLabel {
		text = string(r[:api.MaxLabel])
	}
	return text
}

func (l *login) showDevice(c *client.Client, codes api.DeviceCodes) {
	s := l.screen
	ends := l.app.now().Add(time.Duration(codes.Expires) * time.Second)
	s.event("code", map[string]any{"verification_uri": codes.Page, "user_code": codes.User, "expires": ends.UTC().Format(time.RFC3339)})
	if s.json {
		return
	}
	s.say("Open this page in a browser where you are logged in to the hub:")
	s.say("")
	s.say("    %s", s.bold(codes.Page))
	s.say("")
	s.say("and type this code:")
	s.say("")
	if s.rich {
		s.box(codes.User)
	} else {
		s.say("    %s", codes.User)
	}
	s.say("")
	s.say("It gives %s a pass of the access service at %s, and the page says what for and how long.", l.app.whoAndWhere(), c.Host())
	s.say("Type only a code that you asked for yourself, just now: whoever sends you one wants your access.")
	s.say("Waiting for you there. The code ends at %s. Ctrl-C stops.", s.moment(ends))
}

// keepPass puts the pass into this machine's store, and ends the one that it
// takes the place of.
func (l *login) keepPass(w *wallet.Wallet, c *client.Client, reply api.PassReply) error {
	a := l.app
	if reply.Until == nil {
		return &daypass.Problem{
			Code: "DP-149", What: "the pass that " + c.Host() + " gave has no end, so it is not kept", Next: "Ask for one with an end: daypass login --expires 8h.", Kind: daypass.ErrRefused,
		}
	}
	e := wallet.Entry{
		Authority: wallet.PresentedBy(a.serviceURL(l.cfg), reply.Pass.Reveal()), Scheme: "https", Origin: fromPass,
		ProviderName: "the access service", WebURL: c.URL(),
		Credential: daypass.Credential{
			Scope:    daypass.Scope{Host: c.Host(), All: true, Access: daypass.Write, Until: *reply.Until},
			Username: "daypass", Token: reply.Pass,
		},
	}
	if strings.HasPrefix(c.URL(), "http://") {
		e.Scheme = "http"
	}
	old, err := w.Remove(func(have wallet.Entry) bool { return have.Origin == fromPass && have.WebURL == e.WebURL }, wallet.LogOut)
	if err == nil {
		err = w.Put(e)
	}
	if err != nil {
		return walletProblem(err)
	}
	l.screen.event("pass", map[string]any{"service": c.URL(), "id": reply.ID, "until": reply.Until.UTC().Format(time.RFC3339)})
	l.screen.result("%s", l.screen.bold("Logged in to the access service "+c.URL()+"."))
	l.screen.result("  Ends:  %s", l.screen.moment(*reply.Until))
	l.screen.result("  Kept:  %s", w.Place())
	a.endPasses(context.Background(), old)
	return nil
}

// endPasses has the access service end passes that are not kept any more. That
// it cannot be told is said: they end by themselves.
func (a *app) endPasses(ctx context.Context, list []wallet.Entry) {
	for _, e := range list {
		ctx, cancel := context.WithTimeout(ctx, revokeTime)
		err := a.endPass(ctx, e)
		cancel()
		s := a.screen(false)
		var refused *client.Error
		switch {
		case err == nil:
			s.result("Ended: the pass of the access service %s that was kept here, and what was made of it.", e.WebURL)
		case errors.As(err, &refused) && !client.Unreachable(err):
			s.result("Erased: a pass of the access service %s, which had ended there.", e.WebURL)
		default:
			s.result("Erased: a pass of the access service %s, which cannot be asked to end it now. It ends %s.", e.WebURL, s.moment(e.Credential.Scope.Until))
		}
	}
}

func (a *app) endPass(ctx context.Context, e wallet.Entry) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{URL: e.WebURL, Transport: a.direct, Now: a.now, PlainHTTP: cfg.admin.PlainHTTP})
	if err != nil {
		return err
	}
	_, err = c.EndShownPass(ctx, e.Credential.Token)
	return err
}

// waitByAsking waits for a connection as a pass may: by asking who one is.
func (l *login) waitByAsking(ctx context.Context, s *service) (api.Host, error) {
	for failed := 0; ; {
		at, served, err := s.at(ctx, l.host)
		switch {
		case ctx.Err() != nil:
			return at, ctx.Err()
		case err != nil && errors.Is(err, daypass.ErrUnreachable) && failed < 20:
			failed++
		case err != nil:
			return at, err
		case served && at.Connected:
			return at, nil
		}
		select {
		case <-ctx.Done():
			return at, ctx.Err()
		case <-time.After(3 * time.Second):
		}
	}
}
