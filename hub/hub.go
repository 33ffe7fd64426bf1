// Package hub asks a JupyterHub who somebody is: whose token a request carries,
// which of the person's servers it belongs to, who the hub's people are; and it
// is a client of the hub's OAuth for browsers.
//
// It knows nothing of rules, connections or pages. It keeps answers for a short
// while and says how old they are; what an old answer is good for is the
// caller's to decide.
//
// The shapes are those of JupyterHub 3.0 to 6.1 (its REST API's description,
// and the sources where that is silent).
package hub

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/daypass-dev/daypass"
)

const (
	maxBody     = 4 << 20 // of one answer; a page of users is far below
	askTimeout  = 5 * time.Second
	dialTimeout = 2 * time.Second
	// holdOff is for how long a hub that could not be reached is not asked again.
	holdOff = time.Second
)

// Config is what [New] needs. All fields but Transport and Now are required.
type Config struct {
	ID     string // the hub's id in the broker's configuration; becomes User.Hub
	API    string // the hub's JUPYTERHUB_API_URL, such as "http://hub:8081/hub/api"
	Public string // where browsers find the hub, with its base path and without "hub/": "https://hub.example/"
	// Service is the name under which the hub runs us: "daypass".
	Service string
	// Token is the service's own token; it is the OAuth client's secret too.
	Token daypass.Secret
	// Transport carries all requests; nil means one of our own. A proxy set in an
	// *http.Transport is taken out: tokens never go through one.
	Transport http.RoundTripper
	Now       func() time.Time // nil means time.Now
}

// A Client speaks to one hub. It is safe for use by many goroutines.
type Client struct {
	id, api, public, service string
	token                    daypass.Secret
	http                     *http.Client
	now                      func() time.Time
	start                    time.Time
	cache                    cache
	servers                  servers
	flights                  singleflight.Group
	down                     atomic.Int64 // until when the hub is not asked, as elapsed says
	major                    atomic.Int64 // of the hub's version, as it said last; 0: never
}

// New returns a client of one hub.
func New(c Config) *Client {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Client{
		id: c.ID, api: strings.TrimRight(c.API, "/"), public: strings.TrimRight(c.Public, "/") + "/", service: c.Service,
		token: c.Token, now: c.Now, start: c.Now(), cache: newCache(),
		http: &http.Client{
			Transport: direct(c.Transport), Timeout: askTimeout,
			// A hub's API does not redirect; whoever does is not given a token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// elapsed is the time since New, in nanoseconds, by the clock that nobody sets:
// a leap of the other one must not make an old answer young.
func (c *Client) elapsed() int64 { return int64(c.now().Sub(c.start)) }

// Transport is what a client uses where none is given, for whoever wants to
// watch it. It goes through no proxy.
func Transport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: dialTimeout, MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
		ForceAttemptHTTP2: true,
	}
}

// direct returns the transport without its proxy.
func direct(rt http.RoundTripper) http.RoundTripper {
	switch t := rt.(type) {
	case nil:
		return Transport()
	case *http.Transport:
		if t.Proxy == nil {
			return t
		}
		t = t.Clone()
		t.Proxy = nil
		return t
	}
	return rt
}

// errDown is an attempt that did not reach the hub, or was not made because the
// last one just failed.
var errDown = errors.New("the hub cannot be reached")

// errOdd is an answer that is none: not JSON, or a status that the hub's API
// does not give.
var errOdd = errors.New("the hub's answer cannot be read")

// get asks for a path under the API with a token, and decodes a 200 into out.
// It returns the status; an error means that there is no answer.
func (c *Client) get(ctx context.Context, token daypass.Secret, path, accept string, out any) (int, error) {
	if c.elapsed() < c.down.Load() {
		return 0, errDown
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.api+path, nil)
	if err != nil {
		return 0, errOdd
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Authorization", "token "+token.Reveal())
	res, err := c.http.Do(req)
	if err != nil {
		c.noteDown(err)
		return 0, errDown
	}
	defer res.Body.Close()
	c.noteVersion(res.Header)
	switch {
	case res.StatusCode == http.StatusBadGateway, res.StatusCode == http.StatusServiceUnavailable, res.StatusCode == http.StatusGatewayTimeout:
		// The hub's proxy, while the hub itself is away.
		c.down.Store(c.elapsed() + int64(holdOff))
		return res.StatusCode, errDown
	case res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusNotFound:
		io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
		return res.StatusCode, nil
	case res.StatusCode != http.StatusOK:
		// 500 is the hub's answer while GitHub is away, for people who log in
		// with it: others go on, so that the hub does not count as down.
		return res.StatusCode, errOdd
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return 0, errDown
	}
	if len(body) > maxBody || json.Unmarshal(body, out) != nil {
		return res.StatusCode, errOdd
	}
	return res.StatusCode, nil
}

// noteDown holds off further attempts where nobody listens. One that took too
// long holds nobody else up: the hub may wait for GitHub for that person only.
func (c *Client) noteDown(err error) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		c.down.Store(c.elapsed() + int64(holdOff))
	}
}

// noteVersion reads what a hub writes on each of its answers ("5.2.1"). A proxy's
// answer has none.
func (c *Client) noteVersion(h http.Header) {
	text, _, _ := strings.Cut(h.Get("X-JupyterHub-Version"), ".")
	if n, err := strconv.ParseUint(text, 10, 16); err == nil && n > 0 {
		c.major.Store(int64(n))
	}
}

// Shares reports whether the hub's people can let each other into their servers,
// which they can since 5.0. A hub that has not said what it is counts as one.
func (c *Client) Shares() bool {
	n := c.major.Load()
	return n == 0 || n >= 5
}
