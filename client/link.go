package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// linkTime is how long an answer about a link may take: an upstream is asked.
const linkTime = 40 * time.Second

// Links lists the caller's own links, and says what one of theirs may be.
func (c *Client) Links(ctx context.Context) (api.Links, error) {
	var l api.Links
	err := c.get(ctx, api.PathLinks, answerTime, &l)
	return l, err
}

// Link shows one that the caller made, or that is for them. Nothing is read.
func (c *Client) Link(ctx context.Context, name string) (api.Link, error) {
	if !api.LinkName(name) {
		return api.Link{}, badLink("the name has 3 to 64 small letters, digits and hyphens")
	}
	var l api.Link
	err := c.get(ctx, api.LinkPath(name), answerTime, &l)
	return c.linkIn(l, name, err)
}

// MakeLink makes a link; the request names it.
func (c *Client) MakeLink(ctx context.Context, r api.LinkRequest) (api.Link, error) {
	return c.writeLink(ctx, http.MethodPost, api.PathLinks, r.Name, r)
}

// EditLink changes what of a link the request names.
func (c *Client) EditLink(ctx context.Context, name string, r api.LinkRequest) (api.Link, error) {
	if !api.LinkName(name) {
		return api.Link{}, badLink("the name has 3 to 64 small letters, digits and hyphens")
	}
	return c.writeLink(ctx, http.MethodPatch, api.LinkPath(name), name, r)
}

// CopyLink makes a link like another of the caller's; the request names it, and what
// is to be otherwise.
func (c *Client) CopyLink(ctx context.Context, name string, r api.LinkRequest) (api.Link, error) {
	if !api.LinkName(name) {
		return api.Link{}, badLink("the name has 3 to 64 small letters, digits and hyphens")
	}
	return c.writeLink(ctx, http.MethodPost, api.LinkPath(name)+"/copy", r.Name, r)
}

// CopyLinks makes links like others of the caller's, all of them or none.
func (c *Client) CopyLinks(ctx context.Context, r api.LinkCopies) ([]api.Link, error) {
	if why := r.Check(); why != "" {
		return nil, badLink(why)
	}
	_, body, err := c.send(ctx, http.MethodPost, api.PathCopies, r, linkTime)
	var out api.CopiedLinks
	if err == nil && (json.Unmarshal(body, &out) != nil || len(out.Links) != len(r.Copies)) {
		return nil, c.strange("its answer is not the links")
	}
	for i, l := range out.Links {
		if _, err := c.linkIn(l, r.Copies[i].Name, nil); err != nil {
			return nil, err
		}
	}
	return out.Links, err
}

func (c *Client) writeLink(ctx context.Context, method, path, name string, r api.LinkRequest) (api.Link, error) {
	if why := r.Check(); why != "" || !api.LinkName(name) {
		if why == "" {
			why = "the name has 3 to 64 small letters, digits and hyphens"
		}
		return api.Link{}, badLink(why)
	}
	_, body, err := c.send(ctx, method, path, r, linkTime)
	var l api.Link
	if err == nil && json.Unmarshal(body, &l) != nil {
		return l, c.strange("its answer is no link")
	}
	return c.linkIn(l, name, err)
}

// linkIn trusts nothing in an answer: its addresses are to be this service's.
func (c *Client) linkIn(l api.Link, name string, err error) (api.Link, error) {
	switch {
	case err != nil:
		return api.Link{}, err
	case l.Name != name:
		return api.Link{}, c.strange("it is about another link")
	case !c.pageOfService(l.URL), l.Connect != "" && !c.pageOfService(l.Connect):
		return api.Link{}, c.strange("the link's address is none")
	}
	return l, nil
}

// EndLink ends a link for good.
func (c *Client) EndLink(ctx context.Context, name string) error {
	if !api.LinkName(name) {
		return badLink("the name has 3 to 64 small letters, digits and hyphens")
	}
	_, _, err := c.send(ctx, http.MethodDelete, api.LinkPath(name), nil, endTime)
	return err
}

// PullFailed tells the service that a pull of a link ended here with a problem of that
// code, so that whoever made the link can see it.
func (c *Client) PullFailed(ctx context.Context, name, code string) error {
	q := api.PullFailure{Code: code}
	if why := q.Check(); why != "" || !api.LinkName(name) {
		return badLink("there is no such code, or no such link")
	}
	_, _, err := c.send(ctx, http.MethodPost, api.LinkPath(name)+"/failed", q, answerTime)
	return err
}

// Sources lists what the caller may choose from for a link of theirs.
func (c *Client) Sources(ctx context.Context) (api.Offers, error) {
	var out api.Offers
	if err := c.get(ctx, api.PathSources, linkTime, &out); err != nil {
		return api.Offers{}, err
	}
	for _, o := range out.Offers {
		if o.Connect != "" && !c.pageOfService(o.Connect) {
			return api.Offers{}, c.strange("a page that it sends to is none of the service's")
		}
	}
	return out, nil
}

// TestSource asks whether a link of the caller's could read a source.
func (c *Client) TestSource(ctx context.Context, q api.SourceQuestion) (api.SourceTest, error) {
	var t api.SourceTest
	err := c.question(ctx, api.PathTest, q, &t)
	return t, err
}

// BrowseSource lists the files of a source that a link of the caller's could read.
func (c *Client) BrowseSource(ctx context.Context, q api.SourceQuestion) (api.SourceFiles, error) {
	var f api.SourceFiles
	err := c.question(ctx, api.PathBrowse, q, &f)
	return f, err
}

// AsStudent lists what somebody of the audience of a link of the caller's gets.
func (c *Client) AsStudent(ctx context.Context, name string) (api.StudentView, error) {
	var v api.StudentView
	if !api.LinkName(name) {
		return v, badLink("the name has 3 to 64 small letters, digits and hyphens")
	}
	err := c.get(ctx, api.LinkPath(name)+"/student", linkTime, &v)
	return v, err
}

func (c *Client) question(ctx context.Context, path string, q api.SourceQuestion, v any) error {
	if why := q.Check(); why != "" {
		return badLink(why)
	}
	_, body, err := c.send(ctx, http.MethodPost, path, q, linkTime)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, v) != nil {
		return c.strange("its answer cannot be read")
	}
	return nil
}

func badLink(why string) error {
	return &daypass.Problem{Code: "DP-764", What: "that is no request about a link", Why: why, Next: "Correct it.", Kind: daypass.ErrUsage}
}
