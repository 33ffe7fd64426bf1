package wallet

import (
	"errors"
	"strconv"

	"github.com/daypass-dev/daypass"
)

// valid reports whether the entry names its authority, host and end, shows as
// what it is, and can be written down.
func (e Entry) valid() error {
	s := e.Credential.Scope
	var why string
	switch {
	case e.Authority == "":
		why = "no authority"
	case e.Scheme != "https" && e.Scheme != "http":
		why = "scheme is not http or https"
	case e.Credential.Token.IsZero():
		why = "no token"
	case e.Credential.Username == "":
		why = "no username"
	case s.Empty():
		why = "its scope allows nothing"
	case !daypass.CleanHost(s.Host):
		why = "host is not one in lower case"
	case e.Scheme == "http" && !daypass.Loopback(s.Host):
		why = "http to another machine"
	case !goodURL(e.WebURL) || !goodURL(e.APIURL) || !goodURL(e.AppURL):
		why = "a URL is not one of https"
	case len(appendEntry(nil, e)) > maxEntry:
		why = "longer than " + strconv.Itoa(maxEntry) + " bytes"
	case !e.survives():
		why = "a field holds a byte that none may hold"
	}
	if why != "" {
		return errors.Join(ErrInvalid, errors.New(why))
	}
	return nil
}

// survives reports whether every field shows as it is and is read as it was
// written.
func (e Entry) survives() bool {
	written := fieldsOf(e)
	for _, v := range written.v[:written.n] {
		if !plain(v) {
			return false
		}
	}
	line, _, _ := cutByte(string(appendEntry(nil, e)), '\n')
	var f fields
	back := new(Entry)
	return f.parse(line) && parseEntry(&f, back) == nil && back.SameKey(e) && back.SameSecrets(e)
}

// plain reports whether a text is UTF-8 and shows in a terminal as it is: no
// control characters, and none that are invisible or reorder what is around
// them (Unicode 16, categories Cc and the marks and separators of Cf, Zl, Zp).
func plain(s string) bool {
	for _, r := range s {
		switch {
		case r < 0x20, 0x7f <= r && r < 0xa0, r == 0x61c, r == 0xfeff, r == 0xfffd, // what is no UTF-8 reads as U+FFFD
			0x200b <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
			return false
		}
	}
	return true
}

// goodURL reports whether a URL is empty or one that may be shown and opened:
// of https, or of http to this machine.
func goodURL(s string) bool {
	const secure, bare = "https://", "http://"
	loopback := false
	switch {
	case s == "":
		return true
	case len(s) > len(secure) && s[:len(secure)] == secure:
		s = s[len(secure):]
	case len(s) > len(bare) && s[:len(bare)] == bare:
		s, loopback = s[len(bare):], true
	default:
		return false
	}
	host := s
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ' || c == '"' || c == '<' || c == '>' || c == '\\':
			return false
		case (c == '/' || c == '?' || c == '#') && len(host) == len(s):
			host = s[:i]
		}
	}
	host = daypass.FoldASCII(host)
	return daypass.CleanHost(host) && (!loopback || daypass.Loopback(host))
}
