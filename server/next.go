package server

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// maxNext bounds where a sign-in leads back to.
const maxNext = 1024

// next reads where somebody wants to be after signing in: a page of ours, as a
// path, or else the first page. A browser reads some addresses in a way that
// net/url does not, so that only plain ones are taken.
func (s *Server) next(text string) string {
	if text == "" || len(text) > maxNext || !plain(text) {
		return s.base
	}
	once, err := url.PathUnescape(text)
	if err != nil || !plain(once) {
		return s.base
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return s.base
	}
	clean := path.Clean(u.Path)
	if strings.HasSuffix(u.Path, "/") && clean != "/" {
		clean += "/"
	}
	if clean != u.Path || strings.ContainsRune(u.Path, '%') || !strings.HasPrefix(u.Path, s.base) {
		return s.base
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, s.base), "/")
	if slices.Contains([]string{"signin", "signout", "oauth_callback", "oauth", "api", "static", "events"}, first) {
		return s.base
	}
	out := url.URL{Path: u.Path, RawQuery: u.RawQuery}
	return out.String()
}

// plain is one slash first, then printable ASCII without a backslash.
func plain(s string) bool {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '\\' {
			return false
		}
	}
	return true
}
