package hub

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// A ServerInfo is what the hub knows of one server, beside that it runs.
type ServerInfo struct {
	// Shared: somebody else, or a group, may enter it now (JupyterHub 5.0, "Sharing
	// access to your server").
	Shared bool
	// SharingKnown is false where the service may not see shares (read:shares), all
	// of them or this server's. Hubs before 5.0 have none, which is known.
	SharingKnown bool
	// Options are what it was started with. OptionsKnown is false where the service
	// may not see them (read:servers), or the hub has no such server.
	Options      map[string]any
	OptionsKnown bool
}

// What is known of servers is up to serverTTL old; while the hub is away, up to
// serverStale.
const (
	serverTTL   = int64(time.Minute)
	serverStale = int64(10 * time.Minute)
	maxServers  = 20_000
)

type serverKey struct{ user, server string }

type seenServer struct {
	info ServerInfo
	at   int64 // as elapsed says
}

// servers remembers what the hub said of servers.
type servers struct {
	mu   sync.RWMutex
	seen map[serverKey]seenServer
}

// Server says what the hub knows of a server of a person, by today's name. While
// the hub is away it is what was known at most ten minutes ago; the error says that
// nothing was.
func (c *Client) Server(ctx context.Context, user, server string) (ServerInfo, error) {
	key := serverKey{user, server}
	c.servers.mu.RLock()
	s, ok := c.servers.seen[key]
	c.servers.mu.RUnlock()
	now := c.elapsed()
	if ok && now-s.at < serverTTL {
		return s.info, nil
	}
	info, err := c.askServer(ctx, user, server)
	if err != nil {
		if ok && !errors.Is(err, ErrNoUser) && now-s.at < serverStale {
			return s.info, nil
		}
		return ServerInfo{}, err
	}
	c.servers.mu.Lock()
	defer c.servers.mu.Unlock()
	if c.servers.seen == nil || len(c.servers.seen) >= maxServers {
		c.servers.seen = map[serverKey]seenServer{}
	}
	c.servers.seen[key] = seenServer{info, now}
	return info, nil
}

func (c *Client) askServer(ctx context.Context, user, server string) (ServerInfo, error) {
	if !plainName(user) || server != "" && !plainName(server) {
		return ServerInfo{}, noUser()
	}
	var out ServerInfo
	var m struct {
		Servers map[string]struct {
			Options *map[string]any `json:"user_options"`
		} `json:"servers"`
	}
	status, err := c.get(ctx, c.token, "/users/"+url.PathEscape(user), "application/json", &m)
	if err != nil {
		return out, unreachable(err)
	}
	if status == http.StatusNotFound {
		return out, noUser()
	}
	if o := m.Servers[server].Options; status == http.StatusOK && o != nil {
		out.Options, out.OptionsKnown = *o, true
	}
	var shares struct {
		Items      []json.RawMessage `json:"items"`
		Pagination struct {
			Next any `json:"next"`
		} `json:"_pagination"`
	}
	path := "/shares/" + url.PathEscape(user) + "/" + url.PathEscape(server)
	status, err = c.get(ctx, c.token, path, "application/json", &shares)
	switch {
	case err != nil:
		return out, unreachable(err)
	case status == http.StatusOK:
		// A page may be empty and have one behind it: what has ended is left out.
		out.Shared, out.SharingKnown = len(shares.Items) > 0 || shares.Pagination.Next != nil, true
	case status == http.StatusNotFound:
		// A hub without sharing; else a server that is gone, or that is not among
		// those whose shares the service may see.
		out.SharingKnown = !c.Shares()
	}
	return out, nil
}

// Option reports whether a server was started with an option of that value, or
// with a list that holds it.
func (s ServerInfo) Option(name, value string) bool {
	switch v := s.Options[name].(type) {
	case string:
		return v == value
	case bool:
		return v && value == "true" || !v && value == "false"
	case []any:
		return slices.Contains(v, any(value))
	}
	return false
}
