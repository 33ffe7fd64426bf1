package main

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/provider/readonly"
)

// An outward is the way to a host from this process. What the user typed may be
// anywhere: they can reach it without us. Where a host's answer led, which is guarded,
// has to be public, so that nobody who registers an identifier asks this network.
type outward struct {
	guarded bool
	lookup  lookup
	via     func(*http.Request) (*url.URL, error) // nil: the proxy that this user's environment names
}

// A lookup finds the addresses of a name; nil is the system's.
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// proxy is the one that a request goes by; nil is none.
func (o outward) proxy(req *http.Request) (*url.URL, error) {
	if o.via != nil {
		return o.via(req)
	}
	return http.ProxyFromEnvironment(req)
}

// proxied reports whether a proxy goes to a host in our place.
func (o outward) proxied(host string) bool {
	p, err := o.proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: host}})
	return err == nil && p != nil
}

// dial connects to public addresses alone; nil where anything is fine, or a proxy dials.
func (o outward) dial(host string) func(ctx context.Context, network, address string) (net.Conn, error) {
	if !o.guarded || o.proxied(host) {
		return nil
	}
	d := net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err != nil || !readonly.Public(at.Addr()) {
			return notPublic()
		}
		return nil
	}}
	return d.DialContext
}

// check refuses an address that a host's answer named, before anything is asked there.
// git and proxies dial by themselves, so names are looked up here too.
func (o outward) check(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Host == "" {
		return &daypass.Problem{
			Code: "DP-453", What: "a host led to an address that is not asked", Why: "it does not begin with https://, or holds a password", Next: "Open it in a browser, and give the address of the content itself.", Kind: daypass.ErrRefused,
		}
	}
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if at, err := netip.ParseAddr(name); err == nil && !readonly.Public(at) || daypass.Loopback(strings.ToLower(u.Host)) ||
		!strings.Contains(name, ".") && !strings.Contains(name, ":") || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".local") || strings.HasSuffix(name, ".internal") {
		return notPublic()
	}
	if o.proxied(u.Host) {
		return nil
	}
	find := o.lookup
	if find == nil {
		find = net.DefaultResolver.LookupNetIP
	}
	found, err := find(ctx, "ip", name)
	if err != nil {
		return readonly.Failure(u.Host, err)
	}
	for _, at := range found {
		if !readonly.Public(at) {
			return notPublic()
		}
	}
	return nil
}

func notPublic() error {
	return &daypass.Problem{
		Code: "DP-453", What: "a host led to an address that is not asked", Why: "it is not on the Internet, and only you may send daypass into your own network",
		Next: "If you trust it, give that address yourself.", Kind: daypass.ErrRefused,
	}
}

// git is one that goes where it is sent, and not on from there by a redirect.
func (o outward) git(g plumbing.Git) plumbing.Git {
	if o.guarded {
		g.Config = append(slices.Clone(g.Config), [2]string{"http.followRedirects", "false"})
	}
	return g
}
