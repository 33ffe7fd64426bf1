package hub

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
)

// An Identity is who a token belongs to, as the hub said.
type Identity struct {
	Caller   daypass.Caller // its Groups are not to be changed
	Verified time.Time      // when the hub last said so
	// Stale: the hub cannot be reached, and this is what it said at Verified, at
	// most five minutes ago. It is enough to give again what was given before,
	// and for nothing else.
	Stale bool
}

// Whoami says whose token it is. session is the value of the browser's
// jupyterhub-session-id cookie, so that a logout at the hub counts at once; ""
// elsewhere. fresh asks the hub in any case: for consent, unlinking and
// revoking.
//
// Otherwise an answer is up to a minute old, a refusal up to five seconds. Errors
// are [daypass.Problem] values: ErrRefused (the token is nobody's, or not for us),
// ErrUnreachable (the hub is away, and there is no answer younger than five
// minutes; with [ErrServiceToken], it refuses us).
func (c *Client) Whoami(ctx context.Context, token daypass.Secret, session string, fresh bool) (Identity, error) {
	text := token.Reveal()
	if !sendable(text) || len(session) > 1024 {
		return Identity{}, unknownToken()
	}
	k := keyOf(text, session)
	if fresh {
		e, err := c.ask(ctx, &k, token)
		return settle(e, err)
	}
	now := c.elapsed()
	if e := c.cache.find(&k); e != nil {
		if e.err == nil && now-e.verified < int64(goodFor) || e.err != nil && now-e.asked < int64(refusedFor) {
			// Written rarely, so that the line stays in every core's cache.
			if now-e.used.Load() > int64(time.Second) {
				e.used.Store(now)
			}
			return e.who, e.err
		}
	}
	return c.askOnce(ctx, &k, token)
}

// sendable keeps out what no header can carry and no hub ever made.
func sendable(token string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	return token != "" && len(token) <= 4096 && !strings.ContainsFunc(token, odd)
}

func settle(e *entry, err error) (Identity, error) {
	if err != nil {
		return Identity{}, err
	}
	return e.who, e.err
}

// askOnce asks once for all who want to know the same now. The one who leaves
// first takes nothing from the others.
func (c *Client) askOnce(ctx context.Context, k *key, token daypass.Secret) (Identity, error) {
	kept := *k
	flight := c.flights.DoChan(string(kept[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*askTimeout)
		defer cancel()
		e, err := c.ask(ctx, &kept, token)
		return e, err
	})
	select {
	case <-ctx.Done():
		return Identity{}, unreachable(ctx.Err())
	case r := <-flight:
		e, _ := r.Val.(*entry)
		if r.Err == nil {
			return settle(e, nil)
		}
		return c.old(k, r.Err)
	}
}

// old gives what the hub said a short while ago, where it does not answer now.
func (c *Client) old(k *key, err error) (Identity, error) {
	e := c.cache.find(k)
	if e == nil || e.err != nil || c.elapsed()-e.verified > int64(staleFor) || errors.Is(err, ErrServiceToken) {
		return Identity{}, err
	}
	who := e.who
	who.Stale = true
	return who, nil
}

// ask asks the hub and remembers its answer, a refusal too. An error means that
// there was none.
func (c *Client) ask(ctx context.Context, k *key, token daypass.Secret) (*entry, error) {
	old := c.cache.find(k)
	at, begun := c.elapsed(), c.now()
	e, err := c.once(ctx, old, token)
	if err == nil && errors.Is(e.err, errUnknown) && old != nil && old.err == nil && at-old.verified < int64(rememberFor) {
		// A hub that renews its own login on the way can call a good token
		// unknown; so what was good a moment ago is asked about twice.
		c.cache.drop(k)
		if !pause.For(ctx, time.Second) {
			return nil, unreachable(ctx.Err())
		}
		at, begun = c.elapsed(), c.now()
		e, err = c.once(ctx, nil, token)
	}
	if err != nil {
		return nil, err
	}
	e.asked = at
	if e.err == nil {
		e.verified = at
		e.who.Verified = begun
	}
	c.cache.put(k, e)
	return e, nil
}

// A model is what the hub says about the owner of a token (GET /user).
type model struct {
	Kind      string   `json:"kind"`
	Name      string   `json:"name"`
	Groups    []string `json:"groups"`
	Scopes    []string `json:"scopes"`
	SessionID *string  `json:"session_id"` // set for what came from the hub's OAuth
	TokenID   string   `json:"token_id"`   // since 5.0
}

// once asks one time. old is the last good answer about the same token, or nil.
func (c *Client) once(ctx context.Context, old *entry, token daypass.Secret) (*entry, error) {
	m, refused, err := c.whose(ctx, token)
	if err != nil || refused != nil {
		return &entry{err: refused}, err
	}
	if old != nil && old.err == nil {
		// A token stays its owner's when they are renamed, and dies with them.
		return &entry{who: c.identity(ctx, m, old.who.Caller.User.Created)}, nil
	}
	// The time of creation is asked for by name, and the name could pass to
	// somebody else just now: so the owner has to be the same before and after.
	for range 3 {
		p, err := c.Person(ctx, m.Name)
		if err != nil && !errors.Is(err, ErrNoUser) {
			return nil, err
		}
		again, refused, err2 := c.whose(ctx, token)
		if err2 != nil || refused != nil {
			return &entry{err: refused}, err2
		}
		if err == nil && again.Name == m.Name && p.User.Name == m.Name {
			return &entry{who: c.identity(ctx, again, p.User.Created)}, nil
		}
		m = again
	}
	return nil, unreachable(errOdd)
}

// whose asks GET /user and looks at the scopes in the reply: that the hub knows
// a token says only that it is somebody's.
func (c *Client) whose(ctx context.Context, token daypass.Secret) (m model, refused, err error) {
	status, err := c.get(ctx, token, "/user", "application/json", &m)
	if err != nil {
		return m, nil, unreachable(err)
	}
	switch {
	case status == http.StatusForbidden:
		return m, unknownToken(), nil
	case status != http.StatusOK:
		return m, nil, unreachable(errOdd)
	case m.Kind == "service":
		return m, notAPerson(), nil
	case m.Kind != "user" || m.Name == "" || len(m.Scopes) == 0:
		return m, notForUs(c.service), nil
	}
	h := holder{m.Name, m.Groups, m.Scopes}
	if !h.mayAccess(c.service) {
		return m, notForUs(c.service), nil
	}
	return m, nil, nil
}

// identity says what kind of token it is, and which server's.
//
// A person may make a token whose scopes are those of a server of theirs: it
// counts as that server's. It is theirs either way.
func (c *Client) identity(ctx context.Context, m model, created time.Time) Identity {
	who := Identity{
		Caller: daypass.Caller{
			User: daypass.User{Hub: c.id, Name: m.Name, Created: created}, Groups: m.Groups, Via: daypass.ViaUser,
		},
	}
	h := holder{m.Name, m.Groups, m.Scopes}
	server := h.server()
	switch {
	case m.SessionID != nil && *m.SessionID != "":
		who.Caller.Via = daypass.ViaBrowser
	case server.Known:
		who.Caller.Via, who.Caller.Server = daypass.ViaServer, server
	case h.serverRole():
		who.Caller.Via = daypass.ViaServer
		who.Caller.Server = c.serverByNote(ctx, m)
	}
	return who
}

// serverByNote reads the server's name from the note that the hub writes on its
// token ("Server at /user/alice/gpu/"), where the hub is 5.0 or later and our
// service may read such records (read:tokens). It is for hubs whose admins gave
// servers a role for all of a person's servers. Any doubt leaves the server
// unknown, and so does a rename while it runs: hubs then drop the server's scope,
// and the note has the old name.
func (c *Client) serverByNote(ctx context.Context, m model) daypass.Server {
	if m.TokenID == "" {
		return daypass.Server{}
	}
	var record struct {
		Note string `json:"note"`
		User string `json:"user"`
	}
	path := "/users/" + url.PathEscape(m.Name) + "/tokens/" + url.PathEscape(m.TokenID)
	status, err := c.get(ctx, c.token, path, "application/json", &record)
	if err != nil || status != http.StatusOK || record.User != m.Name {
		return daypass.Server{}
	}
	return serverInNote(record.Note, m.Name)
}

// serverInNote takes the note apart: the base path, "user/", the escaped name,
// "/", the server's name and "/" unless it is the default one.
func serverInNote(note, user string) daypass.Server {
	path, found := strings.CutPrefix(note, "Server at ")
	if !found {
		return daypass.Server{}
	}
	_, rest, found := strings.Cut(path, "/user/"+url.PathEscape(user)+"/")
	if !found {
		return daypass.Server{}
	}
	name, err := url.PathUnescape(strings.TrimSuffix(rest, "/"))
	if err != nil || strings.Contains(name, "/") {
		return daypass.Server{}
	}
	return daypass.Server{Known: true, Name: name}
}

// Forget drops what is remembered about a person's tokens, and about what is
// being asked just now: call it where a server ended or somebody was cut off. Who
// was renamed a moment ago is known by the time of creation.
func (c *Client) Forget(u daypass.User) {
	c.cache.forget(c.elapsed(), func(i *Identity) bool {
		known := i.Caller.User
		return known.Name == u.Name || known.Created.Equal(u.Created)
	})
}
