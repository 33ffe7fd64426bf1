package readonly

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

type hopKey struct{}

// hop marks a request that a redirect caused, for the dial below.
func (g *guard) hop(req *http.Request) context.Context {
	if req.Response == nil {
		return req.Context()
	}
	if g.Proxy != nil {
		if proxy, err := g.Proxy(req); err == nil && proxy != nil {
			return req.Context()
		}
	}
	return context.WithValue(req.Context(), hopKey{}, true)
}

// A dialer dials for a process of the user's own, which may ask what the user may.
// Where a host sends it elsewhere, that has to be public: the address is looked at
// when it connects, so that a name that leads to another address the second time
// gains nothing.
type dialer struct{ loopback bool }

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	n := net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	if ctx.Value(hopKey{}) != nil {
		n.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return forbidden("an address that cannot be read")
			}
			a := at.Addr().Unmap()
			if !Public(a) && !(d.loopback && a.IsLoopback()) {
				return forbidden("a redirect leads to an address that is not public")
			}
			return nil
		}
	}
	return n.DialContext(ctx, network, address)
}

// notPublic are the networks that the registries of special-purpose addresses keep
// off the Internet (RFC 6890 and its successors), with those that carry an IPv4
// address inside, since behind a gateway they lead to it.
var notPublic = []netip.Prefix{
	prefix("0.0.0.0/8"), prefix("10.0.0.0/8"), prefix("100.64.0.0/10"), prefix("127.0.0.0/8"), prefix("169.254.0.0/16"), prefix("172.16.0.0/12"),
	prefix("192.0.0.0/24"), prefix("192.0.2.0/24"), prefix("192.88.99.0/24"), prefix("192.168.0.0/16"), prefix("198.18.0.0/15"), prefix("198.51.100.0/24"),
	prefix("203.0.113.0/24"), prefix("224.0.0.0/4"), prefix("240.0.0.0/4"),
	prefix("64:ff9b::/96"), prefix("64:ff9b:1::/48"), prefix("2001::/23"), prefix("2001:db8::/32"), prefix("2002::/16"), prefix("3fff::/20"),
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// global is the only part of IPv6 that is given out for the Internet.
var global = []netip.Prefix{prefix("2000::/3")}

// Public reports whether an address is of the Internet: not of this machine, a
// private or link-local network, a translation of IPv4, or a group.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.Is6() && !global[0].Contains(a) {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
