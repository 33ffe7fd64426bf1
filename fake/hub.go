package fake

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// HubConfig is what [NewHub] needs.
type HubConfig struct {
	Base string // the base path; "" means "/"
	// Version is the hub's major version, 3 to 6; 0 means 6. What differs: the
	// forms' tokens (4), scopes for one server (4), token ids (5), shares (5),
	// PKCE (6).
	Version  int
	Services []HubService
	// ServerScopes are in the token of each server beside those that a hub gives.
	// People hold all of ServerScopes and UserScopes.
	ServerScopes, UserScopes []string
	Now                      func() time.Time // nil means time.Now
	Rand                     io.Reader        // nil means crypto/rand
}

// A HubService is a service that a hub knows.
type HubService struct {
	Name     string
	Token    string
	Redirect string   // where its sign-ins come back to, exactly; "" means that it has none
	Scopes   []string // its role; "admin" stands for everything
	Confirm  bool     // ask people before they are signed in
}

// A Hub is a JupyterHub, as far as services and servers see it: its REST API, its
// log-in and its OAuth. Its servers are tokens without a process. It is written
// from the hub's REST API description, and internal/hubtest holds it to real hubs.
// Whoever names themself in its form is logged in.
type Hub struct {
	faults
	base     string
	version  int
	services []HubService
	server   []string
	user     []string
	clock    func() time.Time
	rand     io.Reader

	mu       sync.Mutex
	skew     time.Duration
	users    []*hubUser
	groups   []string
	tokens   map[string]*hubToken
	sessions map[string]*hubSession
	codes    map[string]*hubCode
	lastUser int
	lastID   int
}

type hubUser struct {
	id      int
	name    string
	created time.Time
	groups  []string
	servers map[string]*hubServer
}

type hubServer struct {
	token   string
	started time.Time
	path    string // the name of its person when it was started
	guests  []string
	options map[string]any
}

// A hubToken is somebody's or a service's. Of its scopes, "name!user" is for
// whoever owns it, by the name of the day.
type hubToken struct {
	id      string
	user    *hubUser
	service *HubService
	scopes  []string // nil: all that the owner may
	session string
	note    string
}

type hubSession struct {
	id   string
	user *hubUser
}

type hubCode struct {
	service   *HubService
	user      *hubUser
	session   string
	redirect  string
	challenge string
	ends      time.Time
}

// NewHub returns a hub without people.
func NewHub(c HubConfig) *Hub {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	h := &Hub{
		base: orElse(c.Base, "/"), version: orElse(c.Version, 6), services: slices.Clone(c.Services), server: c.ServerScopes,
		user: append(slices.Clone(c.ServerScopes), c.UserScopes...), clock: c.Now, rand: c.Rand,
		tokens: map[string]*hubToken{}, sessions: map[string]*hubSession{}, codes: map[string]*hubCode{},
	}
	for i := range h.services {
		s := &h.services[i]
		h.keepToken(s.Token, &hubToken{service: s, scopes: s.Scopes})
	}
	return h
}

// Version is the hub's major version.
func (h *Hub) Version() int { return h.version }

func (h *Hub) now() time.Time { return h.clock().Add(h.skew) }

// Advance moves the hub's clock forward.
func (h *Hub) Advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.skew += d
}

// ServerToken returns the token of a server that runs, or "".
func (h *Hub) ServerToken(user, server string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for text, t := range h.tokens {
		if t.user != nil && t.user.name == user && t.note == h.serverNote(user, server) {
			return text
		}
	}
	return ""
}

func (h *Hub) serverNote(user, server string) string {
	path := h.base + "user/" + user + "/"
	if server != "" {
		path += server + "/"
	}
	return "Server at " + path
}

// StartServer starts a server of somebody, who is made first where new, and
// returns its token.
func (h *Hub) StartServer(user, server string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.named(user)
	if u == nil {
		u = h.addUser(user)
	}
	return h.start(u, server)
}

// ShareServer lets guests into a server that runs; without any it ends all shares.
func (h *Hub) ShareServer(user, server string, guests ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.named(user).servers[server].guests = guests
}

// SetOptions says what a server that runs was started with.
func (h *Hub) SetOptions(user, server string, options map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.named(user).servers[server].options = options
}

// StopServer stops a server, which ends its token.
func (h *Hub) StopServer(user, server string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.named(user); u != nil {
		h.halt(u, server)
	}
}

// SetGroups puts somebody into these groups and no others.
func (h *Hub) SetGroups(user string, groups ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.named(user)
	if u == nil {
		u = h.addUser(user)
	}
	u.groups = groups
}

func (h *Hub) named(name string) *hubUser {
	for _, u := range h.users {
		if u.name == name {
			return u
		}
	}
	return nil
}

func (h *Hub) addUser(name string) *hubUser {
	h.lastUser++
	created := h.now().UTC().Truncate(time.Microsecond)
	if n := len(h.users); n > 0 && !h.users[n-1].created.Before(created) {
		created = h.users[n-1].created.Add(time.Microsecond)
	}
	u := &hubUser{id: h.lastUser, name: name, created: created, servers: map[string]*hubServer{}}
	h.users = append(h.users, u)
	return u
}

func (h *Hub) removeUser(u *hubUser) {
	h.users = slices.DeleteFunc(h.users, func(v *hubUser) bool { return v == u })
	h.dropTokens(func(t *hubToken) bool { return t.user == u })
	for id, s := range h.sessions {
		if s.user == u {
			delete(h.sessions, id)
		}
	}
}

func (h *Hub) dropTokens(match func(*hubToken) bool) {
	for text, t := range h.tokens {
		if match(t) {
			delete(h.tokens, text)
		}
	}
}

func (h *Hub) start(u *hubUser, server string) string {
	if s := u.servers[server]; s != nil {
		return s.token
	}
	scopes := []string{"access:servers!server=" + u.name + "/" + server}
	if h.version < 4 {
		scopes = []string{"access:servers!user"}
	}
	scopes = append(scopes, "users:activity!user")
	for _, s := range h.server {
		if strings.HasSuffix(s, "!server") {
			s += "=" + u.name + "/" + server
		}
		scopes = append(scopes, s)
	}
	t := &hubToken{user: u, scopes: scopes, note: h.serverNote(u.name, server)}
	s := &hubServer{token: h.newToken(t), started: h.now(), path: u.name}
	u.servers[server] = s
	return s.token
}

func (h *Hub) halt(u *hubUser, server string) {
	if s := u.servers[server]; s != nil {
		delete(h.tokens, s.token)
		delete(u.servers, server)
	}
}

// random is 32 hexadecimal digits, like the hub's tokens.
func (h *Hub) random() string {
	text, err := randomText(h.rand, hexDigits, 32)
	if err != nil {
		panic(fmt.Sprintf("fake: no randomness: %v", err))
	}
	return text
}

func (h *Hub) newToken(t *hubToken) string {
	text := h.random()
	h.keepToken(text, t)
	return text
}

func (h *Hub) keepToken(text string, t *hubToken) {
	h.lastID++
	t.id = "a" + strconv.Itoa(h.lastID)
	h.tokens[text] = t
}

// ServeHTTP answers as a hub does.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := h.take(r)
	w.Header().Set("X-JupyterHub-Version", h.release())
	if fault != nil {
		fault.serve(w, r, http.HandlerFunc(h.route))
		return
	}
	h.route(w, r)
}

func (h *Hub) release() string {
	switch h.version {
	case 3:
		return "3.0.0"
	case 4:
		return "4.1.6"
	case 5:
		return "5.5.4"
	}
	return "6.1.1"
}

func (h *Hub) route(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	h.mu.Lock()
	defer h.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), h.base+"hub/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	if api, ok := strings.CutPrefix(path, "api/"); ok {
		h.serveAPI(w, r, api)
		return
	}
	h.servePage(w, r, path)
}

// refuse answers as the hub's API refuses. Since 6.0 it gives no reason there.
func (h *Hub) refuse(w http.ResponseWriter, status int, message string) {
	var m any = message
	if message == "" {
		m = http.StatusText(status)
		if h.version >= 6 {
			m = nil
		}
	}
	writeJSON(w, status, map[string]any{"status": status, "message": m})
}
