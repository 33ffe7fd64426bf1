// Package github speaks to GitHub, GitHub Enterprise Server and GitHub with
// data residency. A [Client] is a GitHub App on a person's machine, without a
// secret: the device flow, renewal, what a token reaches, and revocation. An
// [Issuer] is the access service's side, with secrets: the web flow, tokens
// made narrower and looked at, tokens as the hub, and their end. Neither knows
// where credentials are kept, nor who may have one.
//
// Sources: docs.github.com, "Generating a user access token for a GitHub App",
// "Refreshing user access tokens", "Generating a JSON Web Token (JWT) for a
// GitHub App", REST "Apps", "OAuth authorizations", "Repositories",
// "Revocation".
package github

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
)

// A Client is one App at one host.
type Client struct {
	host     Host
	clientID string
	base     http.RoundTripper
	now      func() time.Time

	mu       sync.Mutex
	skew     time.Duration
	skewSeen bool
	received []daypass.Secret
}

// New returns a client of one App at host. base carries the requests; it must
// verify certificates and not follow redirects, as http.Transport does. A
// client id may be empty where only the API is used.
func New(host Host, clientID string, base http.RoundTripper, now func() time.Time) *Client {
	return &Client{host: host, clientID: clientID, base: base, now: now}
}

// Host returns the host that this client speaks to, and to no other.
func (c *Client) Host() Host { return c.host }

// Skew is how far the host's clock is ahead of this machine's, by the Date of
// its last answer (RFC 9110, 6.6.1); false before any.
func (c *Client) Skew() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skew, c.skewSeen
}

// Received hands over, once, every token that the host has sent since the last
// call, also in answers that could not be used.
func (c *Client) Received() []daypass.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.received
	c.received = nil
	return out
}

func (c *Client) guard(limit int64) *guard {
	return &guard{base: c.base, now: c.now, limit: limit}
}

func (c *Client) noteSkew(g *guard) {
	g.mu.Lock()
	skew, seen := g.skew, g.skewSeen
	g.mu.Unlock()
	if seen {
		c.mu.Lock()
		c.skew, c.skewSeen = skew, true
		c.mu.Unlock()
	}
}

func (c *Client) keepReceived(g *guard) {
	found := g.takeReceived()
	c.mu.Lock()
	c.received = append(c.received, found...)
	c.mu.Unlock()
}

// noteReceived adds what is not in the list yet.
func (c *Client) noteReceived(tokens ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range tokens {
		s := daypass.NewSecret(t)
		if t != "" && !slices.ContainsFunc(c.received, s.Equal) {
			c.received = append(c.received, s)
		}
	}
}

func quote(s string) string { return strconv.QuoteToASCII(s) }
