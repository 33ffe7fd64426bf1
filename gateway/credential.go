package gateway

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

// anyUser is the user name that PyPI wants beside a token.
const anyUser = "__token__"

// A credential is what a request shows of who asks.
type credential struct {
	pass pass.Pass // the zero Pass: none
	user string    // named beside the pass; empty: none
	// header holds what devpi itself may judge, a password or a session of its
	// own. It never holds a pass.
	header http.Header
}

func (c credential) isPass() bool { return !c.pass.IsZero() }

// A shown is one place in which a request shows something.
type shown struct {
	name, value string // of the header
	user        string
	pass        pass.Pass
	bad         bool // a pass that cannot be read, or something that hides one
	opaque      bool // devpi reads nothing in it either, or we cannot tell what
	bearer      bool
}

// readCredential finds who asks. A pass may be the bearer, or in Basic or
// X-Devpi-Auth the password beside a user, "__token__" or nobody, or the user
// beside no password. Strict refuses where two places say different things of
// which one is a pass. Compat has devpi-tokens' order: a bearer that is a
// macaroon, X-Devpi-Auth, Basic. Errors are *refusal.
func readCredential(h http.Header, m Mode) (credential, error) {
	var all []shown
	for _, value := range h["Authorization"] {
		all = append(all, readAuthorization(value)...)
	}
	for _, value := range h["X-Devpi-Auth"] {
		s := readPair(value)
		s.name, s.value = "X-Devpi-Auth", value
		all = append(all, s)
	}
	if m == Compat {
		return chooseCompat(all, h)
	}
	return chooseStrict(all, h)
}

// readAuthorization reads one value; none where it says nothing.
func readAuthorization(value string) []shown {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	rest = strings.TrimSpace(rest)
	s := shown{opaque: true}
	switch {
	case rest == "" && !looksLike(scheme):
		return nil
	case strings.EqualFold(scheme, "bearer"):
		s.bearer = true
		s.pass, s.bad = readPass(rest)
	case strings.EqualFold(scheme, "basic"):
		s = readPair(rest)
	default:
		for word := range strings.FieldsSeq(value) {
			s.bad = s.bad || looksLike(word)
		}
		s.opaque = false // a scheme that some plugin of devpi may know
	}
	s.name, s.value = "Authorization", value
	return []shown{s}
}

// readPair reads base64 of "USER:PASSWORD".
func readPair(text string) shown {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		raw, err = base64.RawStdEncoding.DecodeString(text)
	}
	if err != nil {
		return shown{opaque: true, bad: looksLike(text)}
	}
	user, password, ok := strings.Cut(string(raw), ":")
	if !ok {
		return shown{opaque: true, bad: looksLike(user)}
	}
	if password == "" {
		user, password = "", user
	}
	s := shown{user: user}
	s.pass, s.bad = readPass(password)
	s.bad = s.bad || len(user) > longestName && looksLike(user)
	return s
}

// longestName is where a user's name may begin like a pass and be none.
const longestName = 40

// readPass reads a pass; bad where the text is one that nobody may see and that
// we cannot use.
func readPass(text string) (p pass.Pass, bad bool) {
	text = strings.TrimSpace(text)
	p, err := pass.Parse(daypass.NewSecret(text))
	if err == nil {
		return p, false
	}
	return pass.Pass{}, looksLike(text) || err == pass.ErrV1 || err == pass.ErrThirdParty
}

// beginnings are how passes begin, where one stands inside something else, such
// as in quotes. The last is that of devpi-tokens' without their prefix.
var beginnings = []string{"devpi-Ag", "daypass_Ag", "pypi-Ag", "AgEAAg"}

func looksLike(text string) bool {
	return pass.LooksLike(daypass.NewSecret(strings.TrimSpace(text))) || slices.ContainsFunc(beginnings, func(b string) bool { return strings.Contains(text, b) })
}

func holdsPass(values []string) bool {
	for _, v := range values {
		if looksLike(v) {
			return true
		}
	}
	return false
}

func chooseStrict(all []shown, h http.Header) (credential, error) {
	var c credential
	others := false
	for _, s := range all {
		switch {
		case s.bad, s.bearer && s.pass.IsZero():
			return credential{}, notAccepted()
		case s.opaque && s.pass.IsZero():
			return credential{}, contradicting("the header " + s.name + " cannot be read")
		case s.pass.IsZero():
			others = true
		case c.isPass() && (c.pass.Link() != s.pass.Link() || c.user != "" && s.user != "" && c.user != s.user):
			return credential{}, contradicting("two places show different passes")
		default:
			c.pass = s.pass
			if s.user != "" {
				c.user = s.user
			}
		}
	}
	switch {
	case c.isPass() && others:
		return credential{}, contradicting("a pass and a password or session are shown together")
	case len(h["Authorization"]) > 1 || len(h["X-Devpi-Auth"]) > 1:
		return credential{}, contradicting("a header is there twice")
	case others:
		c.header = ordinary(all)
	}
	return c, nil
}

// chooseCompat chooses as devpi-tokens does. What loses is dropped.
func chooseCompat(all []shown, h http.Header) (credential, error) {
	twice := map[string]bool{}
	for _, name := range []string{"Authorization", "X-Devpi-Auth"} {
		twice[name] = len(h[name]) > 1
	}
	var devpi, basic *shown
	for i, s := range all {
		switch {
		case twice[s.name]:
		case s.bearer && !s.pass.IsZero():
			return credential{pass: s.pass}, nil
		case s.opaque:
		case s.name == "X-Devpi-Auth":
			devpi = &all[i]
		default:
			basic = &all[i]
		}
	}
	first := devpi
	if first == nil {
		first = basic
	}
	switch {
	case first == nil || first.bad:
		return credential{}, nil // devpi-tokens takes it for a wrong password, and so for nobody
	case !first.pass.IsZero():
		return credential{pass: first.pass, user: first.user}, nil
	}
	return credential{header: ordinary([]shown{*first})}, nil
}

// ordinary returns what devpi may judge, each header once.
func ordinary(all []shown) http.Header {
	h := http.Header{}
	for _, s := range all {
		if s.pass.IsZero() && !s.bad && !s.opaque {
			h[s.name] = []string{s.value}
		}
	}
	return h
}
