package hub

import (
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// A filtered is one of a token's scopes, taken apart: "name", or
// "name!kind=value". JupyterHub's manual, "Scopes in JupyterHub", filtering.
type filtered struct{ name, kind, value string }

// parseScope takes a scope apart. A filter without a value, such as "!user",
// stands for the owner only inside the hub and is expanded in its replies; here
// it matches nobody.
func parseScope(s string) filtered {
	name, filter, found := strings.Cut(s, "!")
	if !found {
		return filtered{name: name}
	}
	kind, value, _ := strings.Cut(filter, "=")
	return filtered{name, kind, value}
}

// A holder is whose scopes are looked at.
type holder struct {
	name   string
	groups []string
	scopes []string
}

// has reports whether the scopes hold one of this name that is good for the
// holder. A name is compared whole. A filter of a kind that is not known, or
// "!server", which is for one server only, is good where ok says so.
func (h *holder) has(match func(name string) bool, service string) bool {
	for _, s := range h.scopes {
		f := parseScope(s)
		if !match(f.name) {
			continue
		}
		switch f.kind {
		case "":
			if !strings.Contains(s, "!") {
				return true
			}
		case "user":
			if f.value == h.name {
				return true
			}
		case "server":
			if user, _, ok := strings.Cut(f.value, "/"); ok && user == h.name {
				return true
			}
		case "group":
			if slices.Contains(h.groups, f.value) {
				return true
			}
		case "service":
			if f.value == service {
				return true
			}
		}
	}
	return false
}

func named(want string) func(string) bool { return func(name string) bool { return name == want } }

// mayAccess reports whether the hub allows the token to be used with the
// service. Without this scope the hub vouches for the token, but not to us: it
// may be another service's, shown to us by that service.
func (h *holder) mayAccess(service string) bool {
	for _, s := range h.scopes {
		if s == "access:services" || s == "access:services!service="+service {
			return true
		}
	}
	return h.has(func(name string) bool { return strings.HasPrefix(name, "custom:daypass:") }, service)
}

// server says which one server the scopes are for; several are none, and so is a
// right to enter all of the person's servers.
func (h *holder) server() daypass.Server {
	var s daypass.Server
	for _, text := range h.scopes {
		f := parseScope(text)
		if f.name != "access:servers" && f.name != "custom:daypass:mint" {
			continue
		}
		if f.kind != "server" {
			// The mint scope may be everybody's; a right to enter is not.
			if f.name == "access:servers" {
				return daypass.Server{}
			}
			continue
		}
		user, name, ok := strings.Cut(f.value, "/")
		if !ok || user != h.name {
			continue // somebody's server that is shared with this person
		}
		if s.Known && s.Name != name {
			return daypass.Server{}
		}
		s = daypass.Server{Known: true, Name: name}
	}
	return s
}

// serverRole reports whether the token holds what hubs give to servers and not
// what a person's own token has beside it: the right to report activity, and none
// to make tokens or start servers.
func (h *holder) serverRole() bool {
	own := func(name string) bool { return h.has(named(name), "") }
	return own("users:activity") && !own("tokens") && !own("servers")
}
