package daypass

// CleanHost reports whether a host, with A to Z folded, could be one that a
// credential is bound to: a name of ASCII letters, digits, hyphens and dots or
// an address in brackets, with a port or without. It refuses a trailing dot,
// userinfo and whatever is not ASCII, since two programs might read these in
// two ways. Whether it is set up is not known here.
func CleanHost(host string) bool {
	name, port, hasPort := cutPort(host)
	if hasPort && !validPort(port) {
		return false
	}
	if len(name) > 2 && name[0] == '[' && name[len(name)-1] == ']' {
		return validAddress(name[1 : len(name)-1])
	}
	return validHostname(name)
}

// cutPort cuts at the last colon outside brackets.
func cutPort(host string) (name, port string, ok bool) {
	for i := len(host) - 1; i >= 0 && host[i] != ']'; i-- {
		if host[i] == ':' {
			return host[:i], host[i+1:], true
		}
	}
	return host, "", false
}

func validPort(s string) bool {
	if len(s) == 0 || len(s) > 5 || s[0] == '0' {
		return false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n < 1<<16
}

func validAddress(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || c == ':' || c == '.') {
			return false
		}
	}
	return true
}

func validHostname(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	label := 0 // the length of the current label
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.' && (label == 0 || s[i-1] == '-'):
			return false
		case c == '.':
			label = 0
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' && label > 0:
			label++
		default:
			return false
		}
	}
	return label > 0 && s[len(s)-1] != '-'
}

// Loopback reports whether a host never leaves this machine: localhost,
// 127.0.0.0/8 in its plain four-part form, or [::1], with a port or without.
func Loopback(host string) bool {
	name, _, _ := cutPort(host)
	if name == "localhost" || name == "[::1]" {
		return true
	}
	parts := 0
	for rest := name; ; parts++ {
		i := 0
		for i < len(rest) && rest[i] != '.' {
			i++
		}
		if !octet(rest[:i]) || parts == 0 && rest[:i] != "127" {
			return false
		}
		if i == len(rest) {
			return parts == 3
		}
		rest = rest[i+1:]
	}
}

func octet(s string) bool {
	if len(s) == 0 || len(s) > 3 || len(s) > 1 && s[0] == '0' {
		return false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n < 256
}

// MaxPage is how long the address of a page may be that one person gives others to
// open, in bytes.
const MaxPage = 500

// PageHost is the host of the address of a page that one person gives others to open
// themselves, such as the invitation to an assignment; false where it could mislead
// whoever reads it, or be read in two ways. It is https, of a host with a name in small
// letters, without userinfo, and of the characters of RFC 3986 that a text around it
// leaves as they are.
func PageHost(address string) (host string, ok bool) {
	const scheme = "https://"
	if len(address) > MaxPage || len(address) < len(scheme) || address[:len(scheme)] != scheme {
		return "", false
	}
	rest := address[len(scheme):]
	end := 0
	for end < len(rest) && rest[end] != '/' && rest[end] != '?' && rest[end] != '#' {
		end++
	}
	for i := end; i < len(rest); i++ {
		if !pageByte(rest[i], i == len(rest)-1) {
			return "", false
		}
	}
	return rest[:end], CleanHost(rest[:end]) && named(rest[:end])
}

// pageByte reports whether a byte may stand in such an address; at its end less may,
// since a sentence goes on there.
func pageByte(c byte, last bool) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	case c == '/' || c == '-' || c == '_' || c == '~' || c == '=' || c == '&' || c == '#' || c == '%' || c == '+' || c == '@' || c == '$' || c == '*':
		return true
	}
	return !last && (c == '.' || c == ',' || c == ';' || c == ':' || c == '?' || c == '!')
}

// named reports whether a clean host is a name of several parts, and no address.
func named(host string) bool {
	name, _, _ := cutPort(host)
	dot := len(name) - 1
	for dot >= 0 && name[dot] != '.' {
		dot--
	}
	return dot > 0 && 'a' <= name[dot+1] && name[dot+1] <= 'z'
}
