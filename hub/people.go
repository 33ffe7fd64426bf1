package hub

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

const (
	pageSize = 200
	maxPages = 5000
)

// A Person is somebody on the hub's list.
type Person struct {
	User   daypass.User
	Groups []string
	// Running are the names of the servers that run, start or stop, sorted; ""
	// is the default one. ServersKnown is false where the service may not see
	// them (read:servers).
	Running      []string
	ServersKnown bool
	// Started is when those of them were started of which the hub says it.
	Started map[string]time.Time
}

type personModel struct {
	Kind    string   `json:"kind"`
	Name    string   `json:"name"`
	Created string   `json:"created"` // "2026-11-22T02:51:04.123456Z"; absent without read:users
	Groups  []string `json:"groups"`
	Servers map[string]struct {
		Ready   bool    `json:"ready"`
		Pending *string `json:"pending"`
		Started string  `json:"started"` // as created; null before the server is ready
	} `json:"servers"`
}

func (c *Client) person(m personModel) (Person, error) {
	if m.Created == "" {
		return Person{}, ownToken("it may not see when accounts were made, which takes the scope read:users")
	}
	created, err := time.Parse(time.RFC3339Nano, m.Created)
	if err != nil || m.Name == "" {
		return Person{}, unreachable(errOdd)
	}
	p := Person{
		User:   daypass.User{Hub: c.id, Name: m.Name, Created: created.UTC().Truncate(time.Microsecond)},
		Groups: m.Groups, ServersKnown: m.Servers != nil,
	}
	for name, s := range m.Servers {
		if !s.Ready && s.Pending == nil {
			continue
		}
		p.Running = append(p.Running, name)
		if at, err := time.Parse(time.RFC3339Nano, s.Started); err == nil {
			if p.Started == nil {
				p.Started = map[string]time.Time{}
			}
			p.Started[name] = at.UTC()
		}
	}
	sort.Strings(p.Running)
	return p, nil
}

// Person looks one person up by today's name. The error wraps [ErrNoUser] where
// there is none.
func (c *Client) Person(ctx context.Context, name string) (Person, error) {
	if !plainName(name) {
		return Person{}, noUser()
	}
	var m personModel
	status, err := c.get(ctx, c.token, "/users/"+url.PathEscape(name), "application/json", &m)
	if err != nil {
		return Person{}, unreachable(err)
	}
	switch status {
	case http.StatusOK:
	case http.StatusNotFound:
		return Person{}, noUser()
	default:
		return Person{}, ownToken("it may not look people up")
	}
	return c.person(m)
}

// plainName keeps out what would make another path of it. A hub allows no "/".
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.Contains(name, "/") && len(name) <= 255
}

// Users lists everybody at the hub, page by page. People who come and go while
// it is read may be missing; so somebody is gone only when two lists, well
// apart, say so.
func (c *Client) Users(ctx context.Context) ([]Person, error) {
	var out []Person
	seen := map[string]bool{}
	for page, offset := 0, 0; page < maxPages; page++ {
		var reply struct {
			Items      []personModel `json:"items"`
			Pagination struct {
				Next *struct {
					Offset int `json:"offset"`
				} `json:"next"`
			} `json:"_pagination"`
		}
		path := "/users?limit=" + strconv.Itoa(pageSize) + "&offset=" + strconv.Itoa(offset)
		status, err := c.get(ctx, c.token, path, "application/jupyterhub-pagination+json", &reply)
		if err != nil {
			return nil, unreachable(err)
		}
		if status != http.StatusOK {
			return nil, ownToken("it may not list people, which takes the scope list:users")
		}
		for _, m := range reply.Items {
			p, err := c.person(m)
			if err != nil {
				return nil, err
			}
			if !seen[p.User.Name] {
				seen[p.User.Name] = true
				out = append(out, p)
			}
		}
		next := reply.Pagination.Next
		if next == nil {
			return out, nil
		}
		if next.Offset <= offset {
			break
		}
		offset = next.Offset
	}
	return nil, unreachable(errOdd)
}

// Check asks the hub about the service's own token: whether it is good, and
// whether its role is enough. The error wraps [ErrServiceToken] where not.
func (c *Client) Check(ctx context.Context) error {
	return c.check(ctx, "list:users", "read:users", "read:servers")
}

// CheckSharing asks whether the service may see who else enters a server. On hubs
// before 5.0 nobody does. The error wraps [ErrServiceToken] where it may not.
func (c *Client) CheckSharing(ctx context.Context) error {
	err := c.check(ctx, "read:shares")
	if errors.Is(err, ErrServiceToken) && !c.Shares() {
		return nil
	}
	return err
}

func (c *Client) check(ctx context.Context, scopes ...string) error {
	var m model
	status, err := c.get(ctx, c.token, "/user", "application/json", &m)
	switch {
	case err != nil:
		return unreachable(err)
	case status != http.StatusOK:
		return ownToken("the hub does not know it")
	case m.Kind != "service" || m.Name != c.service:
		return ownToken("it is not the token of the service " + c.service)
	}
	h := holder{scopes: m.Scopes}
	for _, need := range scopes {
		if !h.has(named(need), c.service) {
			return ownToken("its role lacks the scope " + need)
		}
	}
	return nil
}
