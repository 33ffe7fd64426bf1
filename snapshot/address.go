package snapshot

import (
	"encoding/base64"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// An address is a source's URL, taken apart.
type address struct {
	url     string         // without anything secret
	scheme  string         // "https", "http", "ssh", "git", "file"
	path    string         // of a local one
	secret  daypass.Secret // "Basic ..." from a URL that held a password, or nothing
	origin  string         // SCHEME://HOST/, for what is configured for it
	hostful string         // as people know it: the host, or the path
}

// parseAddress reads a URL as git would and refuses what git would take for an
// option, for a helper's name or for what is not allowed here. protocols is of
// plumbing.Git.
func parseAddress(text, protocols string) (address, *daypass.Problem) {
	bad := func(why string) (address, *daypass.Problem) {
		return address{}, &daypass.Problem{Code: "DP-310", What: "This is no address of a repository: " + shown(Redact(text)), Why: why,
			Next: "Give one like https://github.com/ORG/REPO.", Kind: daypass.ErrUsage}
	}
	if text == "" || len(text) > 4000 {
		return bad("it is empty or endless")
	}
	if text[0] == '-' || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\u2028' || c == '\ufffd' }) {
		return bad("it begins with a dash or holds characters that do not show")
	}
	a, why := classify(text)
	if why != "" {
		return bad(why)
	}
	if !slices.Contains(strings.Split(protocols, ":"), a.scheme) {
		return address{}, &daypass.Problem{Code: "DP-311", What: "Content is not pulled by " + a.scheme + " here",
			Next: "Use the repository's https address.", Who: "Whoever runs this place can allow it.", Kind: daypass.ErrRefused}
	}
	return a, nil
}

func classify(text string) (address, string) {
	i := 0
	for i < len(text) && schemeByte(text[i]) {
		i++
	}
	switch rest := text[i:]; {
	case strings.HasPrefix(rest, "::"):
		return address{}, "it asks for a program to fetch with"
	case strings.HasPrefix(rest, "://"):
		return remote(text, strings.ToLower(text[:i]))
	}
	colon, slash := strings.IndexByte(text, ':'), strings.IndexByte(text, '/')
	if colon < 0 || slash >= 0 && slash < colon {
		if !filepath.IsAbs(text) {
			return address{}, "it is neither a URL nor a whole path"
		}
		return address{url: filepath.Clean(text), scheme: "file", path: filepath.Clean(text), hostful: filepath.Clean(text)}, ""
	}
	host := text[:colon]
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	if host == "" || host[0] == '-' || text[colon+1:] == "" || text[colon+1] == '-' || strings.ContainsAny(text[:colon], " \\\"'`$;&|<>()") {
		return address{}, "its host or path makes no sense"
	}
	return address{url: text, scheme: "ssh", hostful: host}, ""
}

func schemeByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'
}

// remote reads SCHEME://... A password, or a user's name that looks like one, does not
// stay in the URL, where every list of processes shows it: it becomes a header.
func remote(text, scheme string) (address, string) {
	u, err := url.Parse(text)
	if err != nil {
		return address{}, "it cannot be read"
	}
	if scheme == "file" {
		if u.Host != "" && u.Host != "localhost" || u.Path == "" || u.Path[0] != '/' {
			return address{}, "a file URL has three slashes and a whole path"
		}
		p := filepath.Clean(u.Path)
		return address{url: "file://" + p, scheme: "file", path: p, hostful: p}, ""
	}
	host := u.Hostname()
	if host == "" || host[0] == '-' || strings.ContainsAny(host, " \\\"'`$;&|<>()") || u.Opaque != "" {
		return address{}, "its host makes no sense"
	}
	a := address{scheme: scheme, hostful: u.Host, origin: scheme + "://" + u.Host + "/"}
	switch scheme {
	case "https", "http":
		if user := u.User; user != nil {
			password, has := user.Password()
			if has && password != "" || len(user.Username()) >= 20 {
				a.secret = daypass.NewSecret("Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
			}
			u.User = nil
		}
		u.Fragment, u.RawFragment = "", ""
	case "ssh":
		if name := u.User.Username(); name != "" {
			if name[0] == '-' || strings.ContainsAny(name, " \\\"'`$;&|<>()") {
				return address{}, "its user makes no sense"
			}
			u.User = url.User(name)
		}
	default:
		u.User = nil
	}
	u.Scheme = scheme
	a.url = u.String()
	return a, ""
}

// config is what git is told for this address alone.
func (a address) config() [][2]string {
	if a.secret.IsZero() {
		return nil
	}
	// git sends such a header to wherever a redirect has led it, with the requests that
	// follow: so none is followed.
	return [][2]string{
		{"http." + a.origin + ".followRedirects", "false"}, {"http." + a.origin + ".extraHeader", "Authorization: " + a.secret.Reveal()},
	}
}

// Redact takes out of a text what URLs in it hold that may be secret: user names and
// passwords, and values of parameters that are named like keys. It is for people's
// eyes, events, logs and files.
func Redact(text string) string {
	for {
		// What is left of an odd one may read as a URL with a password again.
		once := redactOnce(text)
		if once == text {
			return text
		}
		text = once
	}
}

func redactOnce(text string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "://")
		if i < 0 {
			break
		}
		start := i
		for start > 0 && schemeByte(text[start-1]) {
			start--
		}
		scheme := strings.ToLower(text[start:i])
		b.WriteString(text[:i+3])
		text = text[i+3:]
		end := strings.IndexAny(text, " \t\r\n'\"<>")
		if end < 0 {
			end = len(text)
		}
		b.WriteString(redactRest(text[:end], scheme))
		text = text[end:]
	}
	return b.String() + text
}

// redactRest redacts what follows "://" up to the URL's end.
func redactRest(rest, scheme string) string {
	authority, path := rest, ""
	// A password may hold a slash that nobody escaped: the last @ counts where what
	// precedes it has a colon.
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
		if at := strings.LastIndexByte(path, '@'); at >= 0 && !strings.Contains(authority, "@") && strings.Contains(authority, ":") && !port(authority) {
			authority, path = "@"+path[at+1:], ""
			if j := strings.IndexAny(authority, "/?#"); j >= 0 {
				authority, path = authority[:j], authority[j:]
			}
		}
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, _, _ := strings.Cut(authority[:at], ":")
		authority = authority[at+1:]
		if (scheme == "ssh" || strings.HasSuffix(scheme, "+ssh")) && user != "" {
			authority = user + "@" + authority
		}
	}
	before, query, ok := strings.Cut(path, "?")
	if !ok {
		return authority + path
	}
	parts := strings.Split(query, "&")
	for i, p := range parts {
		name, _, has := strings.Cut(p, "=")
		if has && secretName(name) {
			parts[i] = name + "=..."
		}
	}
	return authority + before + "?" + strings.Join(parts, "&")
}

func port(authority string) bool {
	_, p, _ := strings.Cut(authority, ":")
	return strings.Trim(p, "0123456789") == ""
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"token", "key", "secret", "passw", "auth", "sig", "credential", "code"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// shown makes a stranger's text fit for one line on a screen.
func shown(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || bidi(c) || c == '\ufffd' {
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > 300 {
		text = string(runes[:300]) + "..."
	}
	return strings.TrimSpace(text)
}
