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
	EndLink  func(ctx context.Context, caller daypass.Caller, name, request string) error
	// TestSource and BrowseSource look at a source as a link of the caller's would read it.
	TestSource   func(ctx context.Context, caller daypass.Caller, s daypass.Source, request string) (api.SourceTest, error)
	BrowseSource func(ctx context.Context, caller daypass.Caller, s daypass.Source, request string) (api.SourceFiles, error)
	// ReadPaste says what was pasted may mean, the most likely first. It asks no network.
	ReadPaste func(text string) ([]Pasted, error)
}

// A LinkAsk is what a link is to be, well-formed.
type LinkAsk struct {
	api.LinkRequest
	Source  *daypass.Source // of LinkRequest.Source
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
		b.TestSource != nil, b.BrowseSource != nil, b.ReadPaste != nil}
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

func (s *Server) listLinks(c *call) error {
	ctx, cancel, err := s.linkCall(c)
	if err != nil {
		return err
	}
	defer cancel()
	var out api.Links
	if out.Links, err = s.c.Broker.Links(ctx, c.who.Caller); err != nil {
		return err
	}
	if out.Terms, err = s.c.Broker.LinkTerms(ctx, c.who.Caller); err != nil {
		return err
	}
	for i, l := range out.Links {
		out.Links[i] = s.shownLink(l)
	}
	s.writeJSON(c.w, http.StatusOK, out)
	return nil
}

func (s *Server) oneLink(c *call) error {
	ctx, cancel, err := s.linkCall(c)
	if err != nil {
		return err
	}
	defer cancel()
	l, err := s.c.Broker.Link(ctx, c.who.Caller, c.r.PathValue("name"), c.request)
	if err != nil {
		return err
	}
	s.writeJSON(c.w, http.StatusOK, s.shownLink(l))
	return nil
}

// linkAsk reads a request to make or change a link.
func (s *Server) linkAsk(c *call) (LinkAsk, error) {
	var q api.LinkRequest
	if err := c.decode(&q); err != nil {
		return LinkAsk{}, err
	}
	return readLinkAsk(q, c.request)
}

func readLinkAsk(q api.LinkRequest, request string) (LinkAsk, error) {
	if why := q.Check(); why != "" {
		return LinkAsk{}, malformed(why)
	}
	ask := LinkAsk{LinkRequest: q, Request: request}
	if q.Source != nil {
		source, _ := daypass.ParseSource(*q.Source) // Check has read it
		ask.Source = &source
	}
	return ask, nil
}

// changeLink answers what makes or changes a link.
func (s *Server) changeLink(c *call, change func(context.Context, LinkAsk) (api.Link, error)) error {
	ctx, cancel, err := s.linkCall(c)
	if err != nil {
		return err
	}
	defer cancel()
	ask, err := s.linkAsk(c)
	if err != nil {
		return err
	}
	l, err := change(ctx, ask)
	if err != nil {
		return err
	}
	s.writeJSON(c.w, http.StatusOK, s.shownLink(l))
	return nil
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

// question reads what is asked about a source.
func (s *Server) question(c *call) (daypass.Source, error) {
	var q api.SourceQuestion
	if err := c.decode(&q); err != nil {
		return daypass.Source{}, err
	}
	if why := q.Check(); why != "" {
		return daypass.Source{}, malformed(why)
	}
	source, _ := daypass.ParseSource(q.Source) // Check has read it
	if q.Path != "" {
		source.Path = q.Path
	}
	return source, nil
}

func (s *Server) testSource(c *call) error {
	ctx, cancel, err := s.linkCall(c)
	if err != nil {
		return err
	}
	defer cancel()
	source, err := s.question(c)
	if err != nil {
		return err
	}
	seen, err := s.c.Broker.TestSource(ctx, c.who.Caller, source, c.request)
	if err != nil {
		return err
	}
	s.writeJSON(c.w, http.StatusOK, seen)
	return nil
}

func (s *Server) browseSource(c *call) error {
	ctx, cancel, err := s.linkCall(c)
	if err != nil {
		return err
	}
	defer cancel()
	source, err := s.question(c)
	if err != nil {
		return err
	}
	files, err := s.c.Broker.BrowseSource(ctx, c.who.Caller, source, c.request)
	if err != nil {
		return err
	}
	s.writeJSON(c.w, http.StatusOK, files)
	return nil
}
