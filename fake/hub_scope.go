package fake

import (
	"slices"
	"strings"
)

// self is what people may do, by the hub's default role.
func (h *Hub) self() []string {
	out := []string{
		"access:servers!user", "delete:servers!user", "read:servers!user", "read:tokens!user", "read:users!user", "servers!user", "tokens!user",
		"users:activity!user",
	}
	if h.version >= 5 {
		out = append(out, "read:shares!user", "read:users:shares!user", "users:shares!user")
	}
	if h.version >= 6 {
		out = append(out, "start:servers!user")
	}
	return append(out, h.user...)
}

// implied is what a scope brings with it, in so far as replies show it.
func implied(name string) []string {
	switch name {
	case "read:users":
		return []string{"read:users:activity", "read:users:groups", "read:users:name"}
	case "users:activity":
		return []string{"read:users:activity"}
	}
	return nil
}

// expanded are a token's scopes as the hub writes them in replies.
func (h *Hub) expanded(t *hubToken) []string {
	scopes := t.scopes
	if t.user != nil && scopes == nil {
		scopes = h.self()
	}
	var out []string
	for _, s := range scopes {
		name, filter, filtered := strings.Cut(s, "!")
		suffix := ""
		switch {
		case filter == "user":
			suffix = "!user=" + t.user.name
		case strings.HasPrefix(filter, "server=") && !strings.HasPrefix(filter, "server="+t.user.name+"/"):
			continue // its person has another name now, and no right to servers of the old one's
		case filtered:
			suffix = "!" + filter
		}
		out = append(out, name+suffix)
		for _, more := range implied(name) {
			out = append(out, more+suffix)
		}
		if name == "access:services" && t.user != nil {
			out = append(out, "read:users:name!user="+t.user.name, "read:users:groups!user="+t.user.name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// may reports whether a token has a scope for somebody; nil asks for everybody.
func (h *Hub) may(t *hubToken, scope string, u *hubUser) bool {
	for _, s := range h.expanded(t) {
		if s == "admin" || s == scope || u != nil && s == scope+"!user="+u.name {
			return true
		}
	}
	return false
}

// holds reports whether somebody holds a scope that is asked for in a token.
func (h *Hub) holds(u *hubUser, scope string) bool {
	all := h.expanded(&hubToken{user: u})
	want := h.expanded(&hubToken{user: u, scopes: []string{scope}})
	for _, s := range want {
		if !slices.Contains(all, s) && !strings.HasPrefix(s, "access:servers!server="+u.name+"/") {
			return false
		}
	}
	return len(want) > 0
}
