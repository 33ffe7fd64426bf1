package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/server"
)

// gatewayChecks ask devpi whether it is there, and whether it believes the
// gateway.
func (svc *service) gatewayChecks(ctx context.Context) []server.Check {
	g := svc.config.Gateway
	user := g.SelfTest
	c := server.Check{Name: "devpi", Good: true}
	start := time.Now()
	err := svc.gateway.Check(ctx, user)
	switch {
	case err != nil:
		c.Good, c.Says = false, strings.TrimPrefix(err.Error(), "gateway: ")
		c.Fix = `Make the key again with "daypass admin devpi-key", with the secret file and the --argon2-… options that devpi-server runs with.`
		var p *daypass.Problem
		if errors.As(err, &p) && p.Next != "" {
			c.Fix = p.Next
		}
		if errors.Is(err, daypass.ErrUnreachable) {
			c.Fix = "Start devpi-server, and look at gateway.upstream."
		}
	case g.keyUntried():
		c.Says = "answers in " + time.Since(start).Round(time.Millisecond).String() + "; whether it takes the gateway's key was not tried, since there is no gateway.self_test"
	default:
		c.Says = "answers in " + time.Since(start).Round(time.Millisecond).String() + ", and believes the gateway"
	}
	return []server.Check{c}
}

// keyUntried is whether there is a key, and nobody as whom it could be tried.
func (g *gatewayConfig) keyUntried() bool { return g.Key != "" && g.SelfTest == "" }

// checkGateway looks at what can be seen of the gateway without devpi's word.
func (s *app) checkGateway(ctx context.Context, l *checklist, c *serverConfig) {
	g := c.Gateway
	if g.Mode == "compat" {
		l.note("gateway", g.URL+", in the mode compat: passes are held to their limits as devpi-tokens does it, with its gaps; what strict would refuse is in the log", "When the log is quiet: mode: strict.")
	} else {
		l.green("gateway", g.URL+", in the mode strict")
	}
	u, err := url.Parse(g.Upstream)
	if err != nil {
		l.bad("devpi's address", err, "Correct gateway.upstream.")
		return
	}
	s.checkLoopback(ctx, l, u)
	s.checkClock(ctx, l, u)
	switch {
	case g.Listen == "systemd":
		l.note("running", "systemd listens for the gateway, so that it cannot be told from here", "systemctl status daypass-gateway")
	case !listens(ctx, g.Listen):
		l.note("running", "nothing answers at "+g.Listen, `Start it: "daypass serve"; its log says why it does not.`)
	default:
		l.green("running", "something answers at "+g.Listen)
	}
}

// checkLoopback looks whether devpi can be reached past the gateway: at another
// address of this machine, by the same port.
func (s *app) checkLoopback(ctx context.Context, l *checklist, u *url.URL) {
	const fix = "Have devpi-server listen on 127.0.0.1 alone (--host 127.0.0.1), so that nobody reads past the gateway or tells it another outside URL."
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if !daypass.Loopback(u.Host) {
		l.note("devpi's address", u.Host+" is on another machine", "See to it that only this machine reaches it: whoever does, does without the gateway.")
		return
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		l.bad("devpi's address", err, fix)
		return
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(p.Addr().String(), port))
		if err != nil {
			continue
		}
		conn.Close()
		l.red("devpi's address", "something answers at "+p.Addr().String()+", port "+port+", too: others may reach devpi past the gateway", fix)
		return
	}
	l.green("devpi's address", u.Host+", and no other address of this machine answers at that port")
}

// checkClock compares clocks: devpi takes no session from the future.
func (s *app) checkClock(ctx context.Context, l *checklist, u *url.URL) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(u.String(), "/")+"/+api", nil)
	if err != nil {
		return
	}
	res, err := (&http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return // the line "devpi" says it
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)); err != nil {
		return
	}
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return
	}
	off := time.Since(at).Round(time.Second)
	if off.Abs() > 30*time.Second {
		l.red("clock", "devpi's clock is "+strconv.Itoa(int(off.Abs()/time.Second))+" seconds off this machine's", "Let both keep time by NTP; devpi takes no session that was made a minute or more ahead of its clock.")
		return
	}
	l.green("clock", "devpi's and this machine's agree")
}
