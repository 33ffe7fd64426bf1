package gitconf

import (
	"net/url"
	"path"
	"strings"
)

// A gitURL is a URL as git's urlmatch.c compares it: scheme and host in lower
// case, no default port, no dot segments, and nothing escaped that need not be.
type gitURL struct {
	scheme, user, host, port, path string
	hasUser                        bool

	// As written but for escapes, for partial URLs.
	rawScheme, rawHost, rawPath string
}

// parseURL reads the URL of a remote or of a section, with a path.
func parseURL(raw string) (gitURL, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || scheme == "" {
		return gitURL{}, errURL
	}
	u := gitURL{scheme: strings.ToLower(scheme)}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, u.path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		u.user, _, _ = strings.Cut(authority[:i], ":")
		u.hasUser = true
		authority = authority[i+1:]
	}
	u.rawScheme, u.rawHost = scheme, unescaped(authority)
	u.rawPath = strings.TrimRight(unescaped(strings.TrimPrefix(u.path, "/")), "/")
	u.host = strings.ToLower(authority)
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		u.host, u.port = strings.ToLower(authority[:i]), strings.TrimLeft(authority[i+1:], "0")
	}
	if u.scheme == "http" && u.port == "80" || u.scheme == "https" && u.port == "443" {
		u.port = ""
	}
	if u.host == "" {
		return gitURL{}, errURL
	}
	if u.path, ok = normalPath(u.path); !ok {
		return gitURL{}, errURL
	}
	return u, nil
}

func unescaped(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

func normalPath(p string) (string, bool) {
	if i := strings.IndexByte(p, '#'); i >= 0 {
		p = p[:i]
	}
	query := ""
	if i := strings.IndexByte(p, '?'); i >= 0 {
		p, query = p[:i], p[i:]
	}
	plain, err := url.PathUnescape(p)
	if err != nil {
		return "", false
	}
	clean := path.Clean("/" + plain)
	if strings.HasSuffix(plain, "/") && clean != "/" {
		clean += "/"
	}
	return clean + query, true
}

// matches reports whether a section's URL applies to u: urlmatch.c for whole
// URLs, and credential.c's own rule for partial ones, such as "example.org" or
// "https://".
func (u gitURL) matches(section string) bool {
	if pat, err := parseURL(section); err == nil {
		if pat.scheme == u.scheme && matchHost(u.host, pat.host) && pat.port == u.port &&
			(!pat.hasUser || u.hasUser && pat.user == u.user) && underPath(u.path, pat.path) {
			return true
		}
	}
	return u.matchesPartial(section)
}

// matchHost compares label by label; "*" stands for one whole label.
func matchHost(host, pattern string) bool {
	h, p := strings.Split(host, "."), strings.Split(pattern, ".")
	if len(h) != len(p) {
		return false
	}
	for i := range h {
		if p[i] != "*" && p[i] != h[i] {
			return false
		}
	}
	return true
}

func underPath(p, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return p == prefix || strings.HasPrefix(p, prefix+"/")
}

// matchesPartial is credential_match of git's credential.c after
// credential_from_potentially_partial_url: each part that is given must be
// equal, byte for byte, the path as a whole.
func (u gitURL) matchesPartial(section string) bool {
	rest := section
	scheme, after, ok := strings.Cut(section, "://")
	if ok {
		if scheme != "" && scheme != u.rawScheme {
			return false
		}
		rest = after
	}
	host, p, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		user, _, _ := strings.Cut(host[:i], ":")
		if !u.hasUser || unescaped(user) != unescaped(u.user) {
			return false
		}
		host = host[i+1:]
	}
	if host != "" && unescaped(host) != u.rawHost {
		return false
	}
	p = strings.TrimRight(unescaped(p), "/")
	return p == "" || p == u.rawPath
}
