package main

import (
	"fmt"

	"github.com/daypass-dev/daypass/provider/canvas/oauth"
)

// canvasNames are the sites that people connect.
func (c *serverConfig) canvasNames() []string {
	var out []string
	for _, site := range c.Sources.Canvas {
		out = append(out, site.Host)
	}
	return out
}

// openSites makes the issuers of the sites that people connect.
func (svc *service) openSites(s *app) error {
	for _, site := range svc.config.Sources.Canvas {
		secret, err := s.secret("client_secret", site.ClientSecret)
		if err != nil {
			return fmt.Errorf("sources.canvas: %s: %w", site.Host, err)
		}
		is, err := oauth.New(oauth.Config{Host: site.Host, ClientID: site.ClientID, ClientSecret: secret, Dial: svc.readers.dialer.DialContext, Now: svc.now})
		if err != nil {
			return fmt.Errorf("sources.canvas: %s: %w", site.Host, err)
		}
		svc.sites = append(svc.sites, is)
	}
	return nil
}
