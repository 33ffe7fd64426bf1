package gateway

import (
	"mime"
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxTarget   = 8 << 10
	maxSegments = 64
)

// A request is what decides of one, read once and in one way.
type request struct {
	method   string
	segments []string // decoded
	slash    bool     // the path ends in one
	query    string   // as it came
	content  string   // Content-Type
	media    string   // the same in lower case, without its parameters
	length   int64    // of the body: -1 unknown, 0 none

	installer  bool // pip, uv and their like, to whom devpi shows other pages
	json       bool // nothing but JSON is accepted as the answer
	someJSON   bool // JSON is among what is accepted
	noProjects bool // the answer shall leave out the projects
}

// installerAgent is by what devpi-server tells installers (views.py, 6.20).
var installerAgent = regexp.MustCompile(`^([^ ]* )*(distribute|setuptools|pip|pex|uv)/`)

// parse reads what decides of a request: its method, its target as it stood in
// the request's line, its header, and its body's length. Errors are *fault.
func parse(method, target string, h http.Header, length int64) (request, error) {
	r := request{method: method, length: length}
	if method == "" || len(method) > 16 || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return request{}, unreadable("the method is no word in capitals")
	}
	if len(target) > maxTarget {
		return request{}, tooLarge("the address has more than 8 KiB")
	}
	path, query, _ := strings.Cut(target, "?")
	if f := r.split(path); f != nil {
		return request{}, f
	}
	if !visible(query) || strings.Contains(query, "#") {
		return request{}, unreadable("behind the ? stands something that should be escaped")
	}
	r.query = query
	for pair := range strings.SplitSeq(query, "&") {
		if strings.HasPrefix(pair, "no_projects=") && !strings.Contains(pair, ";") {
			r.noProjects = true
		}
	}
	if f := r.header(h); f != nil {
		return request{}, f
	}
	return r, nil
}

// split decodes a path, once. What a server could take for another path is
// refused: WSGI decodes before it routes, so %2F would begin a new segment there.
func (r *request) split(path string) *fault {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || !visible(path) || strings.Contains(path, "#") {
		return unreadable("it is no path in visible characters that begins with /")
	}
	if strings.Count(rest, "/") >= maxSegments {
		return tooLarge("the address has more than 64 steps")
	}
	for more := true; more; {
		var raw string
		raw, rest, more = strings.Cut(rest, "/")
		if raw == "" && !more {
			r.slash = true
			return nil
		}
		segment, ok := unescape(raw)
		if !ok {
			return unreadable("a % is not followed by two hexadecimal digits")
		}
		if why := ambiguous(segment); why != "" {
			return unreadable(why)
		}
		r.segments = append(r.segments, segment)
	}
	return nil
}

// ambiguous says why a decoded segment could be taken for something else. A # is
// where devpi cuts off the paths of files.
func ambiguous(segment string) string {
	switch {
	case segment == "":
		return "two slashes follow each other"
	case segment == "." || segment == "..":
		return "a step of the address is " + segment
	case strings.ContainsAny(segment, `/\#`):
		return "a step of the address holds a slash, a backslash or a #"
	case !utf8.ValidString(segment):
		return "a step of the address is not UTF-8"
	case strings.ContainsFunc(segment, unprintable):
		return "a step of the address holds what cannot be printed"
	}
	return ""
}

func unprintable(c rune) bool {
	return unicode.IsControl(c) || unicode.In(c, unicode.Zl, unicode.Zp, unicode.Cf)
}

func (r *request) header(h http.Header) *fault {
	if len(h["Content-Type"]) > 1 {
		return unreadable("there are two content types")
	}
	if r.length != 0 {
		for _, coding := range h["Content-Encoding"] {
			if coding != "" && !strings.EqualFold(coding, "identity") {
				return wrongBody(415, "the body is compressed")
			}
		}
	}
	r.content = h.Get("Content-Type")
	if r.content != "" {
		media, _, err := mime.ParseMediaType(r.content)
		if err != nil && r.length != 0 {
			return wrongBody(415, "its content type cannot be read")
		}
		if err == nil {
			r.media = media
		}
	}
	if bare := r.method == http.MethodGet || r.method == http.MethodHead || r.method == http.MethodOptions; bare && r.length != 0 && !r.emptyObject() {
		return wrongBody(400, "a "+r.method+" has none")
	}
	// A server joins the lines of one header.
	accept := strings.Join(h["Accept"], ", ")
	r.json, r.someJSON = accept == "application/json", strings.Contains(accept, "application/json")
	r.installer = installerAgent.MatchString(strings.Join(h["User-Agent"], ", "))
	return nil
}

// emptyObject reports whether the body can be the {} that devpi's client sends
// with a GET where it means none (use -l).
func (r *request) emptyObject() bool { return r.length == 2 && r.media == "application/json" }

// target writes the path again from its decoded segments, with the query.
func (r request) target() string {
	var b strings.Builder
	for _, s := range r.segments {
		b.WriteByte('/')
		escapeInto(&b, s)
	}
	if r.slash {
		b.WriteByte('/')
	}
	if r.query != "" {
		b.WriteByte('?')
		b.WriteString(r.query)
	}
	return b.String()
}

func visible(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func unescape(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", false
			}
			high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		out = append(out, c)
	}
	return string(out), true
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// escapeInto writes all but letters, digits, -._~ and the + of devpi as %XX.
func escapeInto(b *strings.Builder, s string) {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~', c == '+':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
}
