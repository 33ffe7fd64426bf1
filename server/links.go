package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// LinkParts make and show links. All are nil, or none: a service that reads no content.
// What is decided about a link, and before what is asked of anybody, is the broker's.
type LinkParts struct {
	// Links lists the caller's own, and LinkTerms says what one of theirs may be.
	Links     func(context.Context, daypass.Caller) ([]api.Link, error)
	LinkTerms func(context.Context, daypass.Caller) (api.LinkTerms, error)
	// Link shows one to somebody whom it is for. URL and Connect are the server's to set:
	// Connect is the host here.
	Link     func(ctx context.Context, caller daypass.Caller, name, request string) (api.Link, error)
	MakeLink func(context.Context, daypass.Caller, LinkAsk) (api.Link, error)
	EditLink func(ctx context.Context, caller daypass.Caller, name string, ask LinkAsk) (api.Link, error)
	CopyLink func(ctx context.Context, caller daypass.Caller, name string, ask LinkAsk) (api.Link, error)
	// CopyLinks makes all or none.
	CopyLinks func(ctx context.Context, caller daypass.Caller, ask CopiesAsk) ([]api.Link, error)
	EndLink   func(ctx context.Context, caller daypass.Caller, name, request string) error
	// PullFailed counts that a reader's pull of a link ended with the code of a problem.
	PullFailed func(ctx context.Context, caller daypass.Caller, name, code, request string) error
	// TestSource and BrowseSource look at a source as a link of the caller's would read it.
	TestSource   func(ctx context.Context, caller daypass.Caller, s daypass.Source, request string) (api.SourceTest, error)
	BrowseSource func(ctx context.Context, caller daypass.Caller, s daypass.Source, request string) (api.SourceFiles, error)
	// AsStudent lists what somebody of the audience of a link of the caller's gets.
	AsStudent func(ctx context.Context, caller daypass.Caller, name, request string) (api.StudentView, error)
	// Pick lists what the caller may make a link to: what is enrolled for them, and what their
	// own connections show. An offer's Connect is its host.
	Pick func(ctx context.Context, caller daypass.Caller, request string) ([]api.Offer, error)
	// ReadPaste says what was pasted may mean, the most likely first. It asks nobody but
	// hosts that the admin lists, and those for who may make links only.
	ReadPaste func(ctx context.Context, caller daypass.Caller, text string) ([]Pasted, error)
}

// A LinkAsk is what a link is to be, well-formed.
type LinkAsk struct {
	api.LinkRequest
	Source  *daypass.Source // of LinkRequest.Source
	Request string
}

// A CopiesAsk is which links are to be copied, well-formed.
type CopiesAsk struct {
	api.LinkCopies
	Request string
}

// A Pasted is one reading of what somebody pasted.
type Pasted struct {
	Source daypass.Source
	Words  string // for people: "the folder labs of github.com/ORG/course"
	Why    string // how it was told
	Open   string // the file that the address shows; may be empty
}

func (b *Broker) checkLinks() error {
	all := []bool{b.Links != nil, b.LinkTerms != nil, b.Link != nil, b.MakeLink != nil, b.EditLink != nil, b.CopyLink != nil, b.EndLink != nil,
		b.TestSource != nil, b.BrowseSource != nil, b.ReadPaste != nil, b.AsStudent != nil, b.CopyLinks != nil, b.PullFailed != nil, b.Pick != nil}
	for _, there := range all {
		if there != all[0] {
			return errors.New("the server lacks a part of the links")
		}
	}
	return nil
}

// linkTime is how long an upstream may take while a link is made or tested.
const linkTime = 25 * time.Second

// linkCall begins a request of a program's about links.
func (s *Server) linkCall(c *call) (context.Context, context.CancelFunc, error) {
	if s.c.Broker.Links == nil {
		return nil, nil, nothingHere()
	}
	if c.who.Stale && c.r.Method != http.MethodGet {
		return nil, nil, needsHub()
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), linkTime)
	return ctx, cancel, nil
}

// shownLink gives a link its addresses.
func (s *Server) shownLink(l api.Link) api.Link {
	l.URL = s.Link(strings.TrimPrefix(api.PathGo, "/") + l.Name)
	if l.Mine {
		l.Forms = s.linkForms(l)
	}
	if l.Connect != "" {
		l.Connect = s.Link("connect/"+l.Connect) + "?next=" + strings.TrimPrefix(api.PathGo, "/") + l.Name
	}
	return l
}

// linkAnswer answers a request about links with what find says.
func linkAnswer[T any](s *Server, c *call, find func(context.Context) (T, error)) error {
	ctx, cancel, err := s.linkCall(c)
	if err != nil {
		return err
	}
	defer cancel()
	found, err := find(ctx)
	if err != nil {
		return err
	}
	s.writeJSON(c.w, http.StatusOK, found)
	return nil
}

func (s *Server) listLinks(c *call) error {
	return linkAnswer(s, c, func(ctx context.Context) (out api.Links, err error) {
		if out.Links, err = s.c.Broker.Links(ctx, c.who.Caller); err != nil {
			return out, err
		}
		for i, l := range out.Links {
			out.Links[i] = s.shownLink(l)
		}
		out.Terms, err = s.c.Broker.LinkTerms(ctx, c.who.Caller)
		return out, err
	})
}

func (s *Server) oneLink(c *call) error {
	return linkAnswer(s, c, func(ctx context.Context) (api.Link, error) {
		l, err := s.c.Broker.Link(ctx, c.who.Caller, c.r.PathValue("name"), c.request)
		return s.shownLink(l), err
	})
}

// linkAsk reads a request to make or change a link.
func (s *Server) linkAsk(c *call) (LinkAsk, error) {
	var q api.LinkRequest
	if err := c.decode(&q); err != nil {
		return LinkAsk{}, err
	}
	return s.readAddress(c, q)
}

// readAddress reads a request whose source may be an address, which has to mean one thing.
func (s *Server) readAddress(c *call, q api.LinkRequest) (LinkAsk, error) {
	ask, err := readLinkAsk(q, c.request)
	if err != nil || ask.Source == nil || *ask.Source != (daypass.Source{}) {
		return ask, err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), linkTime)
	defer cancel()
	list, err := s.c.Broker.ReadPaste(ctx, c.who.Caller, *q.Source)
	if err != nil {
		return ask, err
	}
	if len(list) > 1 {
		return ask, several(list)
	}
	ask.Source = &list[0].Source
	if ask.Open == nil && list[0].Open != "" {
		ask.Open = &list[0].Open
	}
	return ask, nil
}

// several says what an address may mean.
func several(list []Pasted) error {
	var ways []string
	for _, p := range list {
		ways = append(ways, p.Source.String())
	}
	return &daypass.Problem{
		Code: "DP-765", What: "that address may mean several things", Why: "its branch may end at more than one place", Next: "Give one of these as the source: " + strings.Join(ways, ", ") + ".", Kind: daypass.ErrUsage,
	}
}

func readLinkAsk(q api.LinkRequest, request string) (LinkAsk, error) {
	if why := q.Check(); why != "" {
		return LinkAsk{}, malformed(why)
	}
	ask := LinkAsk{LinkRequest: q, Request: request}
	if q.Source != nil {
		source, ok := daypass.ParseSource(*q.Source)
		if !ok {
			source = daypass.Source{} // it is an address
		}
		ask.Source = &source
	}
	return ask, nil
}

// changeLink answers what makes or changes a link.
func (s *Server) changeLink(c *call, change func(context.Context, LinkAsk) (api.Link, error)) error {
	return linkAnswer(s, c, func(ctx context.Context) (api.Link, error) {
		ask, err := s.linkAsk(c)
		if err != nil {
			return api.Link{}, err
		}
		l, err := change(ctx, ask)
		return s.shownLink(l), err
	})
}

func (s *Server) makeLink(c *call) error {
	return s.changeLink(c, func(ctx context.Context, ask LinkAsk) (api.Link, error) {
		return s.c.Broker.MakeLink(ctx, c.who.Caller, ask)
	})
}

func (s *Server) editLink(c *call) error {
	return s.changeLink(c, func(ctx context.Context, ask LinkAsk) (api.Link, error) {
		return s.c.Broker.EditLink(ctx, c.who.Caller, c.r.PathValue("name"), ask)
	})
}

func (s *Server) copyLink(c *call) error {
	return s.changeLink(c, func(ctx context.Context, ask LinkAsk) (api.Link, error) {
		return s.c.Broker.CopyLink(ctx, c.who.Caller, c.r.PathValue("name"), ask)
	})
}

func (s *Server) copyLinks(c *call) error {
	return linkAnswer(s, c, func(ctx context.Context) (out api.CopiedLinks, err error) {
		var q api.LinkCopies
		if err := c.decode(&q); err != nil {
			return out, err
		}
		if why := q.Check(); why != "" {
			return out, malformed(why)
		}
		out.Links, err = s.c.Broker.CopyLinks(ctx, c.who.Caller, CopiesAsk{q, c.request})
		for i, l := range out.Links {
			out.Links[i] = s.shownLink(l)
		}
		return out, err
	})
}

func (s *Server) pullFailed(c *call) error {
	ctx, cancel, err := s.linkCall(c)
	if err != nil {
		return err
	}
	defer cancel()
	var q api.PullFailure
	if err := c.decode(&q); err != nil {
		return err
	}
	if why := q.Check(); why != "" {
		return malformed(why)
	}
	if err := s.c.Broker.PullFailed(ctx, c.who.Caller, c.r.PathValue("name"), q.Code, c.request); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) asStudent(c *call) error {
	return linkAnswer(s, c, func(ctx context.Context) (api.StudentView, error) {
		return s.c.Broker.AsStudent(ctx, c.who.Caller, c.r.PathValue("name"), c.request)
	})
}

func (s *Server) endLink(c *call) error {
	ctx, cancel, err := s.linkCall(c)
	if err != nil {
		return err
	}
	defer cancel()
	if err := s.c.Broker.EndLink(ctx, c.who.Caller, c.r.PathValue("name"), c.request); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// aboutSource answers a question about a source.
func aboutSource[T any](s *Server, c *call, find func(context.Context, daypass.Caller, daypass.Source, string) (T, error)) error {
	return linkAnswer(s, c, func(ctx context.Context) (none T, err error) {
		var q api.SourceQuestion
		if err := c.decode(&q); err != nil {
			return none, err
		}
		if why := q.Check(); why != "" {
			return none, malformed(why)
		}
		source, _ := daypass.ParseSource(q.Source) // Check has read it
		if q.Path != "" {
			source.Path = q.Path
		}
		return find(ctx, c.who.Caller, source, c.request)
	})
}

func (s *Server) listSources(c *call) error {
	return linkAnswer(s, c, func(ctx context.Context) (api.Offers, error) {
		list, err := s.c.Broker.Pick(ctx, c.who.Caller, c.request)
		out := api.Offers{Offers: []api.Offer{}}
		for _, o := range list {
			if o.Connect != "" {
				o.Connect = s.Link("connect/" + o.Connect)
			}
			if o.Sources == nil {
				o.Sources = []api.OfferedSource{}
			}
			out.Offers = append(out.Offers, o)
		}
		return out, err
	})
}

func (s *Server) testSource(c *call) error { return aboutSource(s, c, s.c.Broker.TestSource) }

func (s *Server) browseSource(c *call) error { return aboutSource(s, c, s.c.Broker.BrowseSource) }
