package client

import (
	"net/url"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// An Admin is what root-owned configuration says about access services.
type Admin struct {
	Broker    string   // the service's URL; "" where none is named
	Origins   []string // further origins that the hub's token may go to
	PlainHTTP []string // origins that may be asked by plain http
}

// Trusted reports whether the hub's own token, JUPYTERHUB_API_TOKEN, may be sent
// to brokerURL: root-owned configuration names it or its origin, or it has scheme,
// host and port of the hub, as JUPYTERHUB_API_URL or JUPYTERHUB_PUBLIC_URL tell
// them (JupyterHub's single-user environment; the second since 5.0), and is not
// below /user/ there, where other people's servers are. It also has to be https
// or on this machine, or at an origin that the admin lists for plain http. A nil
// error is a yes; else it is a [daypass.Problem].
func Trusted(brokerURL string, getenv func(string) string, a Admin) error {
	u, err := parseBase(brokerURL)
	if err != nil {
		return err
	}
	if err := secureWay(u, a.PlainHTTP); err != nil {
		return err
	}
	if named, err := parseBase(a.Broker); err == nil && a.Broker != "" && named.String() == u.String() {
		return nil
	}
	if slices.ContainsFunc(a.Origins, func(o string) bool { return sameOrigin(o, u) }) {
		return nil
	}
	for _, name := range []string{"JUPYTERHUB_API_URL", "JUPYTERHUB_PUBLIC_URL"} {
		if v := getenv(name); v != "" && sameOrigin(v, u) && !slices.Contains(strings.Split(u.Path, "/"), "user") {
			return nil
		}
	}
	return &daypass.Problem{
		Code: "DP-854", What: "this server's hub token is not sent to " + u.Host, Why: "nothing that root wrote, and nothing that the hub said, makes that address the access service",
		Next: "Check DAYPASS_URL, or unset it.", Who: "The hub's admins can name it: \"broker: URL\" in /etc/daypass/config.yaml of the server's image.",
		Kind: daypass.ErrRefused,
	}
}

// Usable reports whether a pass may be sent to brokerURL: by https, or on this
// machine, or as the admin lists. Whoever set a pass also chose where it goes.
func Usable(brokerURL string, a Admin) error {
	u, err := parseBase(brokerURL)
	if err != nil {
		return err
	}
	return secureWay(u, a.PlainHTTP)
}

// parseBase reads the URL of a service in one way only: http or https, a host
// that [daypass.CleanHost] takes, a path that is what it seems. No user, no
// query, no dot segments, no escapes, since two programs might read them in two
// ways. The result has no slash at its end.
func parseBase(raw string) (*url.URL, error) {
	wrong := func(why string) error {
		return &daypass.Problem{
			Code: "DP-855", What: "the access service's address cannot be used", Why: why,
			Next: "Correct DAYPASS_URL: https://HOST/ or https://HOST/services/daypass/.", Who: "The hub's admins set it.", Kind: daypass.ErrUsage,
		}
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "":
		return nil, wrong("it is no URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, wrong("it does not begin with https://")
	case u.User != nil:
		return nil, wrong("it holds a user")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsAny(raw, "?#"):
		return nil, wrong("it has more than a path")
	case !daypass.CleanHost(u.Host):
		return nil, wrong("its host could be read in two ways")
	case !plainPath(u.EscapedPath()):
		return nil, wrong("its path could be read in two ways")
	}
	if host := withoutDefaultPort(u); host != u.Host {
		u.Host = host
	}
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), ""
	return u, nil
}

func withoutDefaultPort(u *url.URL) string {
	switch {
	case u.Scheme == "https":
		return strings.TrimSuffix(u.Host, ":443")
	case u.Scheme == "http":
		return strings.TrimSuffix(u.Host, ":80")
	}
	return u.Host
}

// plainPath takes segments of letters, digits and -._~, none of them empty but
// the last, none a dot segment.
func plainPath(path string) bool {
	segments := strings.Split(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"), "/")
	for _, s := range segments {
		if s == "." || s == ".." || s == "" && len(segments) > 1 || len(path) > 1024 {
			return false
		}
		for i := 0; i < len(s); i++ {
			c := s[i]
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0) {
				return false
			}
		}
	}
	return path == "" || path[0] == '/'
}

// sameOrigin compares scheme, host and port. The address on the left comes from
// the hub or the admin and may have any path; its host is held to the same rules.
func sameOrigin(raw string, u *url.URL) bool {
	o, err := url.Parse(raw)
	if err != nil || o.User != nil || o.Opaque != "" || !daypass.CleanHost(o.Host) {
		return false
	}
	return o.Scheme == u.Scheme && withoutDefaultPort(o) == u.Host
}

// secureWay takes https, loopback, and what the admin lists.
func secureWay(u *url.URL, plainHTTP []string) error {
	if u.Scheme == "https" || daypass.Loopback(u.Host) ||
		slices.ContainsFunc(plainHTTP, func(o string) bool { return sameOrigin(o, u) }) {
		return nil
	}
	return &daypass.Problem{
		Code: "DP-856", What: "no token is sent to " + u.Host + " by plain http", Why: "everybody on the way could read it",
		Next: "Use the service's https address.",
		Who:  "Where the network between is the hub's own, its admins can list the origin under plain_http_origins in /etc/daypass/config.yaml.",
		Kind: daypass.ErrRefused,
	}
}

// Origin reports whether s is an origin and nothing more: what may stand in
// the admin's lists.
func Origin(s string) bool {
	u, err := parseBase(s)
	return err == nil && u.Path == "" && !strings.HasSuffix(s, "/")
}

// BaseMistake says what is wrong with a service's address, or "".
func BaseMistake(s string) string {
	if _, err := parseBase(s); err != nil {
		return "it is no address of an access service, such as https://HOST/services/daypass/"
	}
	return ""
}
