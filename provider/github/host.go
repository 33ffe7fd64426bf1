package github

import (
	"net"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
)

// A Host is one GitHub instance and where its doors are. Apps, tokens and
// client ids do not cross instances.
type Host struct {
	Name   string // as git writes it: "github.com", "ghes.example:8443"; lower case
	Scheme string // "https", or "http" for a loopback address
	Web    string // "https://github.com", without a trailing slash
	API    string // "https://api.github.com", without a trailing slash
}

// DotCom is github.com.
const DotCom = "github.com"

// ParseHost reads what a user names a host by: HOST, HOST:PORT or a URL. Plain
// http is taken for loopback addresses only. The API of github.com and of a name
// under ghe.com is at api.NAME; any other host is a GitHub Enterprise Server
// with its API under /api/v3 (GitHub docs: "Getting started with the REST API",
// "About GitHub Enterprise Cloud with data residency").
func ParseHost(s string) (Host, error) {
	text := s
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		(u.Path != "" && u.Path != "/") || u.Opaque != "" {
		return Host{}, badHost(s, "it is not HOST, HOST:PORT or https://HOST:PORT")
	}
	name := daypass.FoldASCII(u.Host)
	if !plainHost(u.Hostname()) || strings.HasSuffix(name, ":") {
		return Host{}, badHost(s, "a host name has letters, digits, dots and hyphens only")
	}
	switch {
	case u.Scheme == "https":
		name = strings.TrimSuffix(name, ":443")
	case u.Scheme == "http" && Loopback(u.Hostname()):
		name = strings.TrimSuffix(name, ":80")
	case u.Scheme == "http":
		return Host{}, badHost(s, "plain http would show your token to the network; it is taken for loopback addresses only")
	default:
		return Host{}, badHost(s, "only https is spoken")
	}
	h := Host{Name: name, Scheme: u.Scheme, Web: u.Scheme + "://" + name}
	switch {
	case name == DotCom || strings.HasSuffix(name, ".ghe.com"):
		h.API = "https://api." + name
	default:
		h.API = h.Web + "/api/v3"
	}
	return h, nil
}

func badHost(s, why string) error {
	return &daypass.Problem{
		Code: "DP-501", What: "the host " + quote(s) + " cannot be used", Why: why,
		Next: `Name it as "github.com", "ghes.example" or "https://ghes.example:8443".`,
		Kind: daypass.ErrUsage,
	}
}

func plainHost(s string) bool {
	if ip := net.ParseIP(s); ip != nil {
		return true
	}
	if s == "" || len(s) > 253 || s[len(s)-1] == '.' || s[0] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if !('a' <= c && c <= 'z' || '0' <= s[i] && s[i] <= '9' || s[i] == '-' || s[i] == '.') {
			return false
		}
	}
	return true
}

// Loopback reports whether a host name, without a port, is this machine.
func Loopback(name string) bool {
	if name == "localhost" {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// Title is what people call the host: "GitHub" for github.com, else its name.
func (h Host) Title() string {
	if h.Name == DotCom {
		return "GitHub"
	}
	return h.Name
}

// EnterpriseServer reports whether the host is somebody's own server, neither
// github.com nor under ghe.com.
func (h Host) EnterpriseServer() bool { return h.API == h.Web+"/api/v3" }

// AppPage is an App's public page; Enterprise Server has it under another path
// (docs: "Sharing your GitHub App").
func (h Host) AppPage(slug string) string {
	if h.EnterpriseServer() {
		return h.Web + "/github-apps/" + slug
	}
	return h.Web + "/apps/" + slug
}

// AuthorizationsURL is the page where a person ends an App's access to their account.
func (h Host) AuthorizationsURL() string { return h.Web + "/settings/apps/authorizations" }

// OwnURL reports whether link is a page of this very host: same scheme, host
// and port, without user information. It is shown for people to open, so that
// nothing but printable ASCII may be in it.
func (h Host) OwnURL(link string) bool {
	for i := 0; i < len(link); i++ {
		if link[i] <= ' ' || link[i] > '~' {
			return false
		}
	}
	u, err := url.Parse(link)
	return err == nil && u.User == nil && u.Scheme == h.Scheme &&
		strings.TrimSuffix(daypass.FoldASCII(u.Host), ":443") == h.Name
}
