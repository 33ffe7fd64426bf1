package pullpage

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
)

// A span is a part of a message: a text, or an address to follow.
type span struct{ Text, Href string }

// linked cuts a message at the addresses where a person connects a host: those of the
// access service, and the one that DP-851 says to open, or DP-738 to accept an assignment
// at. No other text becomes a link: parts of messages are a git host's words.
func (s *Server) linked(code, text string) []span {
	var out []span
	rest := sentence(text)
	for i, said := 0, ""; ; {
		next := nearest(rest[i:])
		if next < 0 {
			return append(out, span{Text: rest})
		}
		start := i + next
		end := start + strings.IndexFunc(rest[start:]+" ", func(r rune) bool { return r <= ' ' || r == '"' || r == '<' || r == '>' })
		address := strings.TrimRight(rest[start:end], ".,;:!?)'")
		said = rest[:start]
		asked := strings.HasSuffix(said, "Open ")
		_, page := daypass.PageHost(address)
		if !s.follows(address, asked && code == "DP-851") && !(page && asked && code == noCopy) {
			i = end
			continue
		}
		if said != "" {
			out = append(out, span{Text: said})
		}
		out = append(out, span{Text: address, Href: address})
		rest, i = rest[start+len(address):], 0
	}
}

// noCopy is the code of the access service's for a reader who has no copy of a template.
const noCopy = "DP-738"

// An invited is where a reader gets their copy, with its host in plain view. They go
// there by themselves, or not.
type invited struct{ Href, Host string }

// invitedIn is what a message says to accept; nil where it says nothing.
func (s *Server) invitedIn(code, text string) *invited {
	if code != noCopy {
		return nil
	}
	for _, part := range s.linked(code, text) {
		if host, ok := daypass.PageHost(part.Href); ok {
			return &invited{part.Href, host}
		}
	}
	return nil
}

// nearest is where the next address begins; -1 is nowhere.
func nearest(text string) int {
	a, b := strings.Index(text, "https://"), strings.Index(text, "http://")
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// follows reports whether an address may be a link.
func (s *Server) follows(address string, opens bool) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !loopback(u.Host) || strings.ContainsFunc(address, control) {
		return false
	}
	own, err := url.Parse(s.c.Settings.Service)
	return opens || err == nil && own.Host != "" && strings.EqualFold(own.Host, u.Host) && own.Scheme == u.Scheme
}

// loopback reports whether a host, with its port, is this computer.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}
