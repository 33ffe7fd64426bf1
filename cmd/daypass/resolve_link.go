package main

import (
	"context"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// A linkResolution is what "daypass resolve --json link:NAME" prints.
type linkResolution struct {
	Source string   `json:"source"` // "link:NAME"
	Link   api.Link `json:"link"`
}

// resolveLink says what a link of the access service brings; done is false for every
// other text.
func (a *app) resolveLink(ctx context.Context, text string, offline, asJSON bool) (done bool, err error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return false, err
	}
	name, ok := a.linkNamed(cfg, text)
	if !ok {
		return false, nil
	}
	if offline {
		return true, &daypass.Problem{Code: "DP-490", What: "only the access service knows what a link brings", Next: "Leave --offline out.", Kind: daypass.ErrUsage}
	}
	s, err := a.linkService(cfg, name)
	if err != nil {
		return true, err
	}
	l, err := s.Link(ctx, name)
	if err != nil {
		return true, toldOfLink(err)
	}
	out := a.screen(asJSON)
	if asJSON {
		out.object(linkResolution{linkPrefix + name, l})
		return true, nil
	}
	out.link(l)
	return true, nil
}

// link shows one to people.
func (s *screen) link(l api.Link) {
	for _, line := range []struct{ name, value string }{
		{"Link:", l.Name}, {"Title:", l.Title}, {"Brings:", l.Words}, {"Source:", l.Source}, {"Made by:", l.Maker}, {"Into:", l.Folder}, {"Opens:", l.Open},
		{"Until:", l.Until.UTC().Format("2006-01-02 15:04 UTC")}, {"Connect:", l.Connect},
	} {
		if line.value != "" {
			s.result("%-12s %s", line.name, line.value)
		}
	}
}
