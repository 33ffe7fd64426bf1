package gitconf

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/daypass-dev/daypass"
)

// The shapes of tokens that hosts document, and of passwords in URLs and
// headers. GitHub: "Behind GitHub's new authentication token formats";
// GitLab: "Token prefixes".
var (
	tokenShape  = pattern(`(?:gh[pousr]_|github_pat_|gl(?:pat|oas|dt|rt|cbt|ptt|ft|soat|agent|imt)-)[A-Za-z0-9_.-]{8,}`)
	userinfo    = pattern(`(?i)([a-z][a-z0-9+.-]*://)([^/@\s"']*)@`)
	authHeader  = pattern(`(?i)((?:proxy-)?authorization|private-token|job-token|x-[a-z-]*token|cookie)(\s*[:=]\s*)([^\r\n]+)`)
	passwordIs  = pattern(`(?i)((?:password|passwd|pass|secret|token)\s*[=:]\s*)([^\s"';&|)}]+)`)
	credentials = pattern(`(?i)\b((?:basic|bearer)\s+)([A-Za-z0-9+/._~=-]{8,})`)
)

// Secrets returns what looks like a secret in s: tokens of known shape, and the
// user names and passwords of URLs where they are not the plain names that
// carry no secret.
func Secrets(s string) []daypass.Secret {
	var out []daypass.Secret
	add := func(v string) {
		if v == "" {
			return
		}
		sec := daypass.NewSecret(v)
		for _, have := range out {
			if have.Equal(sec) || strings.Contains(have.Reveal(), v) {
				return
			}
		}
		out = append(out, sec)
	}
	for _, m := range userinfo().FindAllStringSubmatch(s, -1) {
		user, pass, has := strings.Cut(m[2], ":")
		if has && pass != "" {
			add(pass)
		}
		if t := tokenShape().FindString(user); t != "" {
			add(t)
		}
	}
	for _, t := range tokenShape().FindAllString(s, -1) {
		add(t)
	}
	return out
}

// Redact hides in s whatever might be a secret: userinfo of URLs, tokens of
// known shape, the values of authorization headers and of words such as
// "password=". A token shows as its prefix and last four characters.
func Redact(s string) string {
	s = userinfo().ReplaceAllStringFunc(s, func(m string) string {
		sub := userinfo().FindStringSubmatch(m)
		user, _, has := strings.Cut(sub[2], ":")
		if !has && tokenShape().FindString(user) == "" && len(user) < 40 {
			return m // a user name alone, as in ssh://git@host
		}
		return sub[1] + "…@"
	})
	s = authHeader().ReplaceAllString(s, "$1$2…")
	s = credentials().ReplaceAllString(s, "$1…")
	s = tokenShape().ReplaceAllStringFunc(s, func(m string) string { return daypass.NewSecret(m).Hint() })
	return passwordIs().ReplaceAllStringFunc(s, func(m string) string {
		sub := passwordIs().FindStringSubmatch(m)
		if strings.ContainsRune(sub[2], '…') {
			return m
		}
		return sub[1] + "…"
	})
}

// printable escapes what a terminal would obey.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// pattern compiles a regular expression when it is first used: most runs of
// daypass use none, and compiling all of them is a tenth of its start.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
