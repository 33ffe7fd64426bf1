package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
)

// ErrPrivate: the name or address leads to what is no public address.
var ErrPrivate = errors.New("it leads to an address inside a private network")

// A Dialer connects to public addresses. The zero value does.
type Dialer struct {
	Allow []netip.Prefix // addresses that are not public and fine all the same
	// Resolve looks a name up; nil is the system's way.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Timeout time.Duration // for one address; 0: ten seconds
}

// DialContext looks the name up itself, judges what it finds, and connects to the very
// address that it judged: a name that means another one a moment later changes nothing.
// What the system is about to connect to is judged once more. Errors: [daypass.Problem]
// DP-475, which wraps [ErrPrivate]; DP-476 where the name or the address does not answer.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := split(address)
	if err != nil || network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, private(address)
	}
	found, err := d.lookup(ctx, host)
	if err != nil {
		return nil, silent(host, err)
	}
	err = nil
	for _, a := range found {
		if !allowed(a, d.Allow) {
			continue
		}
		conn, derr := d.dial(ctx, netip.AddrPortFrom(a, port))
		if derr == nil {
			return conn, nil
		}
		if err = derr; ctx.Err() != nil {
			break
		}
	}
	if err == nil {
		return nil, private(host)
	}
	return nil, silent(host, err)
}

func split(address string) (string, uint16, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err == nil && (port == 0 || host == "") {
		err = errors.New("no port")
	}
	return host, uint16(port), err
}

// maxAddresses is how many of a name's are tried.
const maxAddresses = 6

// lookup returns the addresses of a host. What is one itself is not looked up; what only
// old parsers take for one (0x7f.1, 2130706433) is, and is no name.
func (d *Dialer) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	resolve := d.Resolve
	if resolve == nil {
		resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	found, err := resolve(ctx, host)
	if err == nil && len(found) == 0 {
		err = errors.New("the name has no address")
	}
	out := make([]netip.Addr, 0, len(found))
	for _, a := range found[:min(len(found), maxAddresses)] {
		out = append(out, a.Unmap())
	}
	return out, err
}

func (d *Dialer) timeout() time.Duration {
	if d.Timeout > 0 {
		return d.Timeout
	}
	return 10 * time.Second
}

func (d *Dialer) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	inner := net.Dialer{Timeout: d.timeout(), KeepAlive: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !allowed(at.Addr(), d.Allow) {
			return ErrPrivate
		}
		return nil
	}}
	return inner.DialContext(ctx, "tcp", to.String())
}

// Transport sends requests by this dialer: no proxy of the environment, TLS 1.2 and
// above as Go has it, each redirect's host judged by the dial that it takes.
func (d *Dialer) Transport() *http.Transport {
	return &http.Transport{
		DialContext: d.DialContext, ForceAttemptHTTP2: true, MaxIdleConns: 50, MaxIdleConnsPerHost: 8, MaxConnsPerHost: 32, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}
}

func private(host string) error {
	return &daypass.Problem{Code: "DP-475", What: fmt.Sprintf("The service does not connect to %q", cut(host)), Why: ErrPrivate.Error(),
		Next: "Check the source's address.", Who: "The hub's admins can list addresses of their own network under \"sources: dial:\".", Kind: daypass.ErrRefused, Err: ErrPrivate}
}

func silent(host string, err error) error {
	if errors.Is(err, ErrPrivate) {
		return private(host)
	}
	return &daypass.Problem{Code: "DP-476", What: fmt.Sprintf("%q cannot be reached from the service", cut(host)), Why: "its name is not known, or nothing answers there",
		Next: "Check the address; try again in a minute.", Kind: daypass.ErrUnreachable, Err: err}
}

func cut(text string) string { return text[:min(len(text), 260)] }
