// Package readonly is the way on which providers ask their hosts: an HTTP client
// that asks by GET alone, over TLS, at hosts that it was given, and that gives a
// credential to one host and no other. What it refuses never leaves the process.
// It knows no provider and no token's origin: requests that get tokens are made
// elsewhere, by another client.
package readonly

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
)

// What the client's errors wrap, inside the *url.Error that net/http makes of them.
// [Failure] makes a message of all.
var (
	ErrForbidden = errors.New("the read-only client refuses this request") // method, scheme, host, body, redirect
	ErrTooLong   = errors.New("the answer is too long")
	ErrStalled   = errors.New("the answer stands still")
)

// A Bound is a credential and the one place that it is for.
type Bound struct {
	// Host is "host", of port 443, or "host:port", in lower case.
	Host string
	// Token is asked before each request to Host; a zero secret sends none.
	Token func(ctx context.Context) (daypass.Secret, error)
	// Header, where it is set, carries the bare token in place of Authorization:
	// "X-Dataverse-key".
	Header string
}

// A Config is what a client may do. Only Hosts is required.
type Config struct {
	// Hosts says whether a host may be asked: "host" for port 443, else
	// "host:port", in lower case. It is asked again for each redirect.
	Hosts func(host string) bool
	// Bound are the credentials, each for another host.
	Bound []Bound
	// Dial makes the connections, and judges the addresses, those of redirects too; nil
	// dials, and refuses addresses that are not public where a redirect leads there.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Proxy says which proxy to go through, such as http.ProxyFromEnvironment; nil:
	// none. Where one is used, it is the proxy that dials.
	Proxy func(*http.Request) (*url.URL, error)
	// Base takes the place of the whole way to the network, for tests.
	Base http.RoundTripper
	// Loopback allows http, and redirects, to loopback addresses, for stand-ins.
	Loopback bool
	// Pace is asked before each request, and Units says how much one costs; nil: 1.
	Pace  daypass.Pace
	Units func(*http.Request) int
	Retry Retry
	// Idle is how long an answer may stand still; 0 means a minute.
	Idle time.Duration
	// Safe are methods beside GET and HEAD, of those in a table of safe ones.
	Safe      []string
	UserAgent string // "" means "daypass"
}

// safe are the methods that change nothing, by IANA's registry of HTTP methods, and
// list something.
var safe = []string{"PROPFIND"}

const (
	maxRedirects = 5
	maxHeader    = 64 << 10
)

// Client returns a client for these hosts. It has no cookies. It follows at most
// five redirects, each within Hosts; what a redirect may carry is in [Config].
func Client(c Config) *http.Client {
	base := c.Base
	if base == nil {
		base = network(c)
	}
	if c.Idle == 0 {
		c.Idle = time.Minute
	}
	if c.UserAgent == "" {
		c.UserAgent = "daypass"
	}
	guard := &guard{Config: c, base: base}
	return &http.Client{
		Transport: &retrier{Retry: c.Retry.filled(), pace: c.Pace, units: c.Units, next: guard},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return forbidden("more than five redirects")
			}
			return nil
		},
	}
}

func network(c Config) http.RoundTripper {
	dial := c.Dial
	if dial == nil {
		dial = (&dialer{loopback: c.Loopback}).DialContext
	}
	return &http.Transport{
		DialContext: dial, Proxy: c.Proxy, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader, MaxIdleConnsPerHost: 8,
		TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: time.Minute, IdleConnTimeout: 90 * time.Second,
	}
}

// A guard is the one way out: it looks at each request, redirected ones too.
type guard struct {
	Config
	base http.RoundTripper
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.judge(req); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(g.hop(req))
	out, err := g.dressed(ctx, req)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	timer := time.AfterFunc(g.Idle, func() { cancel(ErrStalled) })
	res, err := g.base.RoundTrip(out)
	timer.Stop()
	if err != nil {
		err = causeOf(ctx, err)
		cancel(nil)
		return nil, err
	}
	if headerSize(res.Header) > maxHeader {
		res.Body.Close()
		cancel(nil)
		return nil, ErrTooLong
	}
	res.Header.Del("Set-Cookie")
	res.Request = req
	res.Body = &watched{body: res.Body, ctx: ctx, cancel: cancel, timer: timer, idle: g.Idle}
	return res, nil
}

func headerSize(h http.Header) (n int) {
	for k, values := range h {
		for _, v := range values {
			n += len(k) + len(v)
		}
	}
	return n
}

// judge refuses what must not leave.
func (g *guard) judge(req *http.Request) error {
	host := Host(req)
	address, literal := literalAddress(req.URL.Hostname())
	local := literal && address.IsLoopback() && g.Loopback
	switch {
	case req.Method != http.MethodGet && req.Method != http.MethodHead && !(slices.Contains(g.Safe, req.Method) && slices.Contains(safe, req.Method)):
		return forbidden("the method is not GET")
	case req.Body != nil && req.Body != http.NoBody || req.ContentLength > 0:
		return forbidden("it has a body")
	case req.URL.Scheme != "https" && !(req.URL.Scheme == "http" && local):
		return forbidden("the scheme is not https")
	case req.URL.User != nil || req.URL.Opaque != "" || req.Host != "" && !strings.EqualFold(req.Host, req.URL.Host):
		return forbidden("the address is odd")
	case !daypass.CleanHost(host) || g.Hosts == nil || !g.Hosts(host):
		return forbidden("the host is not one of those that may be asked")
	case req.Response != nil && literal && !Public(address) && !local && !g.judged():
		return forbidden("a redirect leads to an address that is not public")
	}
	return nil
}

// judged reports whether each address is judged by whoever dials it.
func (g *guard) judged() bool { return g.Dial != nil && g.Base == nil && g.Proxy == nil }

func forbidden(why string) error { return &refusal{why} }

type refusal struct{ why string }

func (r *refusal) Error() string { return ErrForbidden.Error() + ": " + r.why }
func (r *refusal) Unwrap() error { return ErrForbidden }

// Host is where a request goes, as [Config.Hosts] and [Bound] name it.
func Host(req *http.Request) string {
	host := strings.ToLower(req.URL.Host)
	standard := ":443"
	if req.URL.Scheme == "http" {
		standard = ":80"
	}
	return strings.TrimSuffix(host, standard)
}

// literalAddress reads a host that is an address; IPv4 mapped into IPv6 is IPv4.
func literalAddress(host string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(host)
	return a.Unmap().WithZone(""), err == nil
}

// dressed is the request as it leaves: with what is for this host and nothing
// else.
func (g *guard) dressed(ctx context.Context, req *http.Request) (*http.Request, error) {
	out := req.Clone(ctx)
	if first := firstOf(req); first != req && (Host(first) != Host(req) || first.URL.Scheme != req.URL.Scheme) {
		out.Header = http.Header{}
		for _, k := range []string{"Accept", "Accept-Encoding", "Range"} {
			if v := req.Header.Values(k); len(v) > 0 {
				out.Header[k] = v
			}
		}
	}
	for _, k := range []string{"Authorization", "Proxy-Authorization", "Cookie", "Referer"} {
		out.Header.Del(k)
	}
	for _, b := range g.Bound {
		if b.Header != "" {
			out.Header.Del(b.Header)
		}
	}
	out.Header.Set("User-Agent", g.UserAgent)
	if req.URL.Scheme != "https" && !g.Loopback {
		return out, nil
	}
	for _, b := range g.Bound {
		if b.Host != Host(req) {
			continue
		}
		token, err := b.Token(ctx)
		if err != nil {
			return nil, err
		}
		if token.IsZero() {
			continue
		}
		if b.Header != "" {
			out.Header.Set(b.Header, token.Reveal())
		} else {
			out.Header.Set("Authorization", "Bearer "+token.Reveal())
		}
	}
	return out, nil
}

// firstOf is the request that redirects began with: net/http keeps the answer that
// caused a request in it.
func firstOf(req *http.Request) *http.Request {
	for range maxRedirects + 2 {
		if req.Response == nil || req.Response.Request == nil {
			break
		}
		req = req.Response.Request
	}
	return req
}

// A watched body ends what stands still.
type watched struct {
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	once   sync.Once
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.idle)
	n, err := w.body.Read(p)
	w.timer.Stop() // who reads slowly is not the host
	if err != nil && err != io.EOF {
		err = causeOf(w.ctx, err)
	}
	return n, err
}

func (w *watched) Close() error {
	err := w.body.Close()
	w.once.Do(func() { w.timer.Stop(); w.cancel(nil) })
	return err
}

// causeOf tells why a context ended, where that is the reason.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
		return cause
	}
	return err
}
