package fake

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	hubPage    = 50 // people on a page where nobody says
	hubMaxPage = 200
)

func (h *Hub) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	w.Header().Set("Content-Type", "application/json")
	parts := strings.Split(path, "/")
	for i := range parts {
		var err error
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			h.refuse(w, http.StatusBadRequest, "")
			return
		}
	}
	switch {
	case path == "":
		writeJSON(w, http.StatusOK, map[string]string{"version": h.release()})
		return
	case path == "oauth2/authorize":
		h.authorize(w, r)
		return
	case path == "oauth2/token" && r.Method == http.MethodPost:
		h.exchange(w, r)
		return
	}
	t := h.bearer(r)
	if t == nil {
		h.refuse(w, http.StatusForbidden, "")
		return
	}
	switch {
	case path == "user" && r.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, h.whoami(t))
	case path == "users" && r.Method == http.MethodGet:
		h.listUsers(w, r, t)
	case path == "users" && r.Method == http.MethodPost:
		h.createUsers(w, r, t)
	case parts[0] == "users" && len(parts) == 2:
		h.serveUser(w, r, t, parts[1])
	case parts[0] == "users":
		h.serveOfUser(w, r, t, h.named(parts[1]), parts[2:])
	case parts[0] == "shares" && len(parts) == 3 && h.version >= 5 && r.Method == http.MethodGet:
		h.listShares(w, t, h.named(parts[1]), parts[2])
	case parts[0] == "groups" && r.Method == http.MethodPost:
		h.serveGroup(w, r, t, parts[1:])
	default:
		h.refuse(w, http.StatusNotFound, "")
	}
}

// bearer is the token of a request. It is taken from the header only.
func (h *Hub) bearer(r *http.Request) *hubToken {
	scheme, _, secret := authorization(r)
	if scheme != "token" && scheme != "bearer" {
		return nil
	}
	return h.tokens[secret]
}

// unfit refuses for want of a scope.
func (h *Hub) unfit(w http.ResponseWriter, scopes string) {
	h.refuse(w, http.StatusForbidden, "Action is not authorized with current scopes; requires any of ["+scopes+"]")
}

func (h *Hub) whoami(t *hubToken) map[string]any {
	var m map[string]any
	if t.service != nil {
		m = map[string]any{"kind": "service", "name": t.service.Name, "admin": false}
	} else {
		m = h.userModel(t, t.user)
	}
	m["scopes"], m["session_id"] = h.expanded(t), nil
	if t.session != "" {
		m["session_id"] = t.session
	}
	if h.version >= 5 {
		m["token_id"] = t.id
	}
	return m
}

// stamp is a time as the hub writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// userModel is what a token may see of somebody.
func (h *Hub) userModel(t *hubToken, u *hubUser) map[string]any {
	m := map[string]any{"kind": "user", "name": u.name, "admin": false, "groups": append([]string{}, u.groups...)}
	if h.version >= 6 {
		m["user_info"] = nil
	}
	if h.may(t, "read:users:activity", u) {
		m["last_activity"] = stamp(u.created)
	}
	if h.may(t, "read:users", u) {
		m["created"], m["roles"], m["pending"], m["server"] = stamp(u.created), []string{"user"}, nil, nil
		if u.servers[""] != nil {
			m["server"] = h.base + "user/" + u.servers[""].path + "/"
		}
	}
	if h.may(t, "read:servers", u) {
		servers := map[string]any{}
		for name, s := range u.servers {
			servers[name] = map[string]any{
				"name": name, "ready": true, "stopped": false, "pending": nil, "started": stamp(s.started),
				"url": strings.TrimPrefix(h.serverNote(s.path, name), "Server at "), "user_options": s.startedWith(),
			}
		}
		m["servers"] = servers
	}
	return m
}

func (s *hubServer) startedWith() map[string]any {
	if s.options == nil {
		return map[string]any{}
	}
	return s.options
}

// listShares says who else may enter a server.
func (h *Hub) listShares(w http.ResponseWriter, t *hubToken, u *hubUser, server string) {
	switch {
	case !h.may(t, "read:shares", u):
		h.unfit(w, "read:shares")
	case u == nil || u.servers[server] == nil:
		h.refuse(w, http.StatusNotFound, "No such server")
	default:
		items := []any{}
		for _, g := range u.servers[server].guests {
			items = append(items, map[string]any{"kind": "user", "user": map[string]any{"name": g}, "group": nil})
		}
		writeJSON(w, http.StatusOK, map[string]any{"items": items, "_pagination": map[string]any{"offset": 0, "limit": hubPage, "total": len(items), "next": nil}})
	}
}

func (h *Hub) listUsers(w http.ResponseWriter, r *http.Request, t *hubToken) {
	if !h.may(t, "list:users", nil) {
		h.unfit(w, "list:users")
		return
	}
	paged := strings.Contains(r.Header.Get("Accept"), "application/jupyterhub-pagination+json")
	limit := hubMaxPage
	if paged {
		limit = hubPage
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n > 0 {
		limit = min(n, hubMaxPage)
	}
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	offset = min(max(offset, 0), len(h.users))
	end := min(offset+limit, len(h.users))
	items := []any{}
	for _, u := range h.users[offset:end] {
		items = append(items, h.userModel(t, u))
	}
	if !paged {
		writeJSON(w, http.StatusOK, items)
		return
	}
	p := map[string]any{"offset": offset, "limit": limit, "total": len(h.users), "next": nil}
	if end < len(h.users) {
		p["next"] = map[string]any{"offset": end, "limit": limit, "url": "http://" + r.Host + r.URL.Path + "?offset=" + strconv.Itoa(end) + "&limit=" + strconv.Itoa(limit)}
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": items, "_pagination": p})
}

func (h *Hub) createUsers(w http.ResponseWriter, r *http.Request, t *hubToken) {
	var body struct{ Usernames []string }
	if !h.may(t, "admin:users", nil) {
		h.unfit(w, "admin:users")
		return
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Usernames) == 0 {
		h.refuse(w, http.StatusBadRequest, "Must specify at least one user to create")
		return
	}
	created := []any{}
	for _, name := range body.Usernames {
		if hubName(name) && h.named(name) == nil {
			created = append(created, h.userModel(t, h.addUser(name)))
		}
	}
	writeJSON(w, http.StatusCreated, created)
}

// hubName is what this hub takes for a name.
func hubName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsAny(name, "/!\\\"'<>& ") && name[0] != '.'
}

func (h *Hub) serveUser(w http.ResponseWriter, r *http.Request, t *hubToken, name string) {
	u := h.named(name)
	switch {
	case r.Method == http.MethodGet && !h.may(t, "read:users", u) && !h.may(t, "read:users:name", u):
		h.unfit(w, "read:users, read:users:name, read:servers, read:users:groups, read:users:activity, read:roles:users")
	case r.Method != http.MethodGet && !h.may(t, "admin:users", u):
		h.unfit(w, "admin:users")
	case r.Method == http.MethodPost && u != nil:
		h.refuse(w, http.StatusConflict, "User "+name+" already exists")
	case r.Method == http.MethodPost && !hubName(name):
		h.refuse(w, http.StatusBadRequest, "Invalid username: "+name)
	case r.Method == http.MethodPost:
		writeJSON(w, http.StatusCreated, h.userModel(t, h.addUser(name)))
	case u == nil:
		h.refuse(w, http.StatusNotFound, "")
	case r.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, h.userModel(t, u))
	case r.Method == http.MethodPatch:
		h.rename(w, r, t, u)
	case r.Method == http.MethodDelete && slices.ContainsFunc(servers(u), func(s *hubServer) bool { return s.path != u.name }):
		// The real one looks for the server under the new name, and fails.
		h.refuse(w, http.StatusInternalServerError, "Internal Server Error")
	case r.Method == http.MethodDelete:
		h.removeUser(u)
		w.WriteHeader(http.StatusNoContent)
	default:
		h.refuse(w, http.StatusMethodNotAllowed, "")
	}
}

func servers(u *hubUser) []*hubServer {
	var out []*hubServer
	for _, s := range u.servers {
		out = append(out, s)
	}
	return out
}

func (h *Hub) rename(w http.ResponseWriter, r *http.Request, t *hubToken, u *hubUser) {
	var body struct{ Name string }
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Name != "" && !hubName(body.Name) {
		h.refuse(w, http.StatusBadRequest, "Invalid JSON data")
		return
	}
	if body.Name != "" && body.Name != u.name {
		if h.named(body.Name) != nil {
			h.refuse(w, http.StatusBadRequest, "User "+body.Name+" already exists, username must be unique")
			return
		}
		u.name = body.Name
	}
	writeJSON(w, http.StatusOK, h.userModel(t, u))
}

// serveOfUser answers below a person: their servers and tokens.
func (h *Hub) serveOfUser(w http.ResponseWriter, r *http.Request, t *hubToken, u *hubUser, parts []string) {
	server := ""
	if len(parts) == 2 {
		server = parts[1]
	}
	isServer := len(parts) == 1 && parts[0] == "server" || len(parts) == 2 && parts[0] == "servers"
	scope := "read:tokens"
	switch {
	case isServer:
		scope = "servers"
	case r.Method != http.MethodGet:
		scope = "tokens"
	}
	switch {
	case !h.may(t, scope, u):
		h.unfit(w, scope)
	case u == nil:
		h.refuse(w, http.StatusNotFound, "")
	case isServer && r.Method == http.MethodPost:
		h.start(u, server)
		w.WriteHeader(http.StatusCreated)
	case isServer && r.Method == http.MethodDelete && u.servers[server] == nil:
		h.refuse(w, http.StatusNotFound, "")
	case isServer && r.Method == http.MethodDelete:
		h.halt(u, server)
		w.WriteHeader(http.StatusNoContent)
	case len(parts) == 1 && parts[0] == "tokens" && r.Method == http.MethodPost:
		h.makeToken(w, r, u)
	case len(parts) == 2 && parts[0] == "tokens" && r.Method == http.MethodGet:
		h.showToken(w, u, parts[1])
	default:
		h.refuse(w, http.StatusNotFound, "")
	}
}

func (h *Hub) makeToken(w http.ResponseWriter, r *http.Request, u *hubUser) {
	var body struct {
		Note   string
		Scopes []string
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		h.refuse(w, http.StatusBadRequest, "Invalid JSON in body of request")
		return
	}
	for _, s := range body.Scopes {
		if !h.holds(u, s) {
			h.refuse(w, http.StatusBadRequest, "scope "+s+" is not held by "+u.name)
			return
		}
	}
	t := &hubToken{user: u, scopes: body.Scopes, note: body.Note}
	text := h.newToken(t)
	m := h.tokenModel(t)
	m["token"] = text
	writeJSON(w, http.StatusCreated, m)
}

func (h *Hub) tokenModel(t *hubToken) map[string]any {
	m := map[string]any{
		"user": t.user.name, "id": t.id, "kind": "api_token", "roles": []string{}, "scopes": h.expanded(t), "note": t.note,
		"expires_at": nil, "session_id": nil, "oauth_client": "JupyterHub",
	}
	if t.session != "" {
		m["session_id"] = t.session
	}
	return m
}

func (h *Hub) showToken(w http.ResponseWriter, u *hubUser, id string) {
	for _, t := range h.tokens {
		if t.user == u && t.id == id {
			writeJSON(w, http.StatusOK, h.tokenModel(t))
			return
		}
	}
	h.refuse(w, http.StatusNotFound, "")
}

func (h *Hub) serveGroup(w http.ResponseWriter, r *http.Request, t *hubToken, parts []string) {
	var body struct{ Users []string }
	json.NewDecoder(r.Body).Decode(&body)
	name := parts[0]
	known := slices.Contains(h.groups, name)
	switch {
	case !h.may(t, "admin:groups", nil):
		h.unfit(w, "admin:groups")
	case len(parts) == 1 && known:
		h.refuse(w, http.StatusConflict, "Group "+name+" already exists")
	case len(parts) == 1:
		h.groups = append(h.groups, name)
		writeJSON(w, http.StatusCreated, map[string]any{"kind": "group", "name": name, "users": []string{}})
	case len(parts) == 2 && parts[1] == "users" && known:
		for _, user := range body.Users {
			if u := h.named(user); u != nil && !slices.Contains(u.groups, name) {
				u.groups = append(u.groups, name)
			}
		}
		writeJSON(w, http.StatusOK, map[string]any{"kind": "group", "name": name, "users": body.Users})
	default:
		h.refuse(w, http.StatusNotFound, "")
	}
}
