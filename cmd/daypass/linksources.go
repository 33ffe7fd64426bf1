package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

const sourcesHelp = `List what a link of yours can read, so that you need no address: folders of Google
Drive that are enrolled for a group of yours, courses that you teach in Canvas, and
repositories that you administer. The last two are what your own connections show.
Give what stands first in a line to "daypass link make --source".`

func (a *app) linkSourcesCommand() *cobra.Command {
	f := &linkFlags{}
	c := &cobra.Command{
		Use: "sources", Short: "List what a link of yours can read", Long: sourcesHelp, Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return a.linkSources(c.Context(), f.json) },
	}
	f.jsonFlag(c)
	return c
}

func (a *app) linkSources(ctx context.Context, asJSON bool) error {
	s, err := a.linkAt()
	if err != nil {
		return err
	}
	list, err := s.Sources(ctx)
	if err != nil {
		return toldPlain(err)
	}
	out := a.screen(asJSON)
	if asJSON {
		list.Offers = listOf(list.Offers)
		out.object(list)
		return nil
	}
	if len(list.Offers) == 0 {
		out.result("There is nothing to choose from at %s: give the address of what the link is to read.", s.URL())
	}
	for _, o := range list.Offers {
		out.offer(o)
	}
	return nil
}

// offer shows what there is at one host.
func (s *screen) offer(o api.Offer) {
	switch o.Kind {
	case daypass.KindDrive:
		s.result("%s", s.bold("Folders of Google Drive, enrolled for a group of yours"))
	case daypass.KindCanvas:
		s.result("%s", s.bold("Courses that you teach at "+o.Host))
	default:
		s.result("%s", s.bold("Repositories that you administer at "+o.Host))
	}
	for _, one := range o.Sources {
		s.result("  %s  %s%s", one.Source, one.Words, with(", ", one.Note))
	}
	switch {
	case o.Connect != "":
		s.result("  %s. Connect it at %s", o.Why, o.Connect)
	case o.Why != "":
		s.result("  It could not be asked: %s. %s [%s]", o.Why, o.Next, o.Code)
	case len(o.Sources) == 0:
		s.result("  none")
	}
	if o.More {
		s.result("  There may be more: give the address of what is not listed.")
	}
}
