package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/canvas/oauth"
)

func (c *serverConfig) canvasHosts() []string {
	var out []string
	for _, site := range c.Sources.Canvas {
		out = append(out, site.Host)
	}
	return out
}

// openCanvas makes the issuers of the sites that people connect.
func (svc *service) openCanvas(s *app) error {
	for _, site := range svc.config.Sources.Canvas {
		secret, err := s.secret("client_secret", site.ClientSecret)
		if err != nil {
			return fmt.Errorf("sources.canvas: %s: %w", site.Host, err)
		}
		is, err := oauth.New(oauth.Config{Host: site.Host, ClientID: site.ClientID, ClientSecret: secret, Dial: svc.readers.dialer.DialContext, Now: svc.now})
		if err != nil {
			return fmt.Errorf("sources.canvas: %s: %w", site.Host, err)
		}
		svc.canvas = append(svc.canvas, is)
	}
	return nil
}

// callbackOf is where a host sends people back to, below the service's address.
func callbackOf(c *serverConfig, host string) string {
	kind := "github"
	if slices.Contains(c.canvasHosts(), host) {
		kind = "canvas"
	}
	return "oauth/" + kind + "/" + url.PathEscape(host) + "/callback"
}

// tokenHeld is how long one reading keeps a token before the broker is asked again,
// which looks whether the person may still have it.
const tokenHeld = 30 * time.Second

// A heldToken spares the store a question for each request of one reading.
type heldToken struct {
	fetch func(context.Context) (daypass.Secret, time.Time, error)
	now   func() time.Time
	mu    sync.Mutex
	token daypass.Secret
	until time.Time
}

func (t *heldToken) get(ctx context.Context) (daypass.Secret, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.token.IsZero() && t.now().Before(t.until) {
		return t.token, nil
	}
	token, until, err := t.fetch(ctx)
	if err != nil {
		t.token = daypass.Secret{}
		return daypass.Secret{}, err
	}
	t.token, t.until = token, t.now().Add(tokenHeld)
	if until.Before(t.until) {
		t.until = until
	}
	return token, nil
}

// renew forgets a token that was replaced.
func (t *heldToken) renew(replaced bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token = daypass.Secret{}
	return replaced
}
