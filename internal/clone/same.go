package clone

import (
	"net/url"
	"path"
	"path/filepath"
	"strings"
)

// SameRepository reports whether two addresses name one repository: whatever the scheme
// (https, ssh, scp's form), the user name, the scheme's own port, a trailing slash or
// .git. The case of a host never counts, that of a path does, but at github.com. Another
// port is another server, where both sides speak the same scheme or neither is ssh; ssh
// has ports of its own. Local paths are compared as they are written.
func SameRepository(a, b string) bool {
	x, okX := addressOf(a)
	y, okY := addressOf(b)
	if !okX || !okY || x.host != y.host || x.path != y.path {
		return false
	}
	return x.port == y.port || x.ssh != y.ssh && (x.port == "" || y.port == "")
}

// An address is what of a URL tells one repository from another.
type address struct {
	host, port, path string // host "" is this machine
	ssh              bool
}

// ports are each scheme's own; git and ssh+git forms as git-fetch(1) lists them.
var ports = map[string]string{"http": "80", "https": "443", "ssh": "22", "git+ssh": "22", "ssh+git": "22", "git": "9418"}

func addressOf(text string) (address, bool) {
	if text == "" || strings.ContainsAny(text, "\x00\r\n") {
		return address{}, false
	}
	scheme, rest, has := strings.Cut(text, "://")
	if !has {
		return scpOrLocal(text)
	}
	scheme = strings.ToLower(scheme)
	if scheme == "file" {
		p := rest
		if host, tail, ok := strings.Cut(rest, "/"); ok && (host == "" || strings.EqualFold(host, "localhost")) {
			p = "/" + tail
		}
		if decoded, err := url.PathUnescape(p); err == nil {
			p = decoded
		}
		return localAddress(p), true
	}
	own, known := ports[scheme]
	u, err := url.Parse(text)
	if !known || err != nil || u.Hostname() == "" {
		return address{}, false
	}
	port := u.Port()
	if port == own {
		port = ""
	}
	return remoteAddress(u.Hostname(), port, u.Path, own == "22"), true
}

// scpOrLocal reads "[user@]host:path", which git takes where no slash stands before the
// first colon; else it is a path.
func scpOrLocal(text string) (address, bool) {
	host, p, ok := strings.Cut(text, ":")
	if at := strings.IndexByte(text, '['); at >= 0 && (at == 0 || text[at-1] == '@') {
		if end := strings.Index(text, "]:"); end > at {
			host, p, ok = text[:end+1], text[end+2:], true
		}
	}
	if !ok || strings.Contains(host, "/") {
		return localAddress(text), true
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	inner := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	port := ""
	if inner != host && strings.Count(inner, ":") == 1 { // [host:port]:path
		inner, port, _ = strings.Cut(inner, ":")
		if port == "22" {
			port = ""
		}
	}
	if inner == "" {
		return address{}, false
	}
	return remoteAddress(inner, port, "/"+strings.TrimPrefix(p, "/"), true), true
}

func remoteAddress(host, port, p string, ssh bool) address {
	a := address{host: strings.TrimSuffix(strings.ToLower(host), "."), port: port, ssh: ssh}
	a.path = strings.TrimLeft(cleanPath(p), "/")
	switch a.host {
	case "www.github.com", "ssh.github.com":
		a.host, a.port = "github.com", ""
	case "altssh.gitlab.com":
		a.host, a.port = "gitlab.com", ""
	case "altssh.bitbucket.org":
		a.host, a.port = "bitbucket.org", ""
	}
	if a.host == "github.com" {
		a.path = strings.ToLower(a.path)
	}
	return a
}

func localAddress(p string) address {
	return address{path: cleanPath(filepath.ToSlash(p))}
}

// cleanPath takes slashes and one .git from the end.
func cleanPath(p string) string {
	p = strings.TrimRight(p, "/")
	if p == "" {
		return "/"
	}
	if base := path.Base(p); base != ".git" {
		p = strings.TrimSuffix(p, ".git")
	} else {
		p = strings.TrimSuffix(p, "/.git")
	}
	return path.Clean(p)
}
