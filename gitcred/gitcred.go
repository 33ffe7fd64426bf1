// Package gitcred reads and writes what git and its credential helpers say to
// each other: lines of key=value, as git-credential(1) and gitcredentials(7)
// of git 2.55 describe them and as older versions behave.
//
// It is pure: bytes and values in, bytes and values out. It does not know which
// credentials exist, which hosts are set up, or what time it is. It is strict
// where git is lax, since what git passes on may be a stranger's URL: a request
// that could be read in two ways is refused.
package gitcred

import (
	"errors"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
)

const (
	// MaxInput bounds a whole request. git sends every WWW-Authenticate
	// header of the response, of any length (git 2.41).
	MaxInput = 1 << 20
	// MaxLine bounds a line whose key matters here. git-credential(1) says
	// 65,535 bytes since 2.46, and git does not enforce it.
	MaxLine = 64 << 10
)

// Why a request or an answer was refused. The texts hold none of its bytes.
var (
	ErrTooLong   = errors.New("longer than any request of git")
	ErrMalformed = errors.New("a line is not key=value")
	ErrControl   = errors.New("a control byte where none belongs")
	ErrTwice     = errors.New("protocol, host or path is given twice")
	ErrURL       = errors.New("the key url, which git never sends to a helper")
	ErrMissing   = errors.New("protocol or host is missing")
	ErrForeign   = errors.New("the answer is for another host")
	ErrUnknown   = errors.New("the answer holds an unknown key")
	ErrPartial   = errors.New("the answer holds no whole credential")
)

// A Request is what git asks a helper to get, store or erase.
type Request struct {
	Protocol string
	Host     string // host or host:port with A to Z folded; see [daypass.CleanHost]
	Path     string // percent-decoded by git, not normalised; see [Request.Repo]
	HasPath  bool   // a path was given; git gives one where credential.useHttpPath is set
	Username string // "" when not given: git sends no empty one
	Password daypass.Secret

	// The caller's capability[] (git 2.46): which keys it understands. A helper
	// may use only what its caller announced.
	CanAuthType, CanState bool

	AuthType   string         // such as "Basic"; only where CanAuthType
	Credential daypass.Secret // the header's value after it
}

// Read reads a request up to the empty line or the end that closes it, at most
// [MaxInput] bytes. It does not wait for the end once it has the empty line.
func Read(r io.Reader) ([]byte, error) {
	buf := make([]byte, 0, 512)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		seen := len(buf)
		buf = buf[:seen+n]
		switch {
		case len(buf) > MaxInput:
			return nil, ErrTooLong
		case closed(buf, seen):
			return buf, nil
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return nil, err
		}
	}
}

// closed reports whether an empty line ends at or after position from.
func closed(b []byte, from int) bool {
	for i := from; i < len(b); i++ {
		if b[i] != '\n' {
			continue
		}
		j := i
		if j > 0 && b[j-1] == '\r' {
			j--
		}
		if j == 0 || b[j-1] == '\n' {
			return true
		}
	}
	return false
}

// next cuts the first line off s, without its line end: LF, or CR LF as git has
// read since 2.29. A CR elsewhere is data, never a line end (CVE-2024-50338).
func next(s string) (line, rest string) {
	end, skip := len(s), 0
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' {
			end, skip = i, 1
			break
		}
	}
	line, rest = s[:end], s[end+skip:]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, rest
}

// split cuts a line at its first equals sign.
func split(line string) (key, value string, err error) {
	at, returns := -1, false
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case 0:
			return "", "", ErrControl
		case '\r':
			returns = true
		case '=':
			if at < 0 {
				at = i
			}
		}
	}
	switch {
	case at < 0:
		return "", "", ErrMalformed
	case !known(line[:at]): // git-credential(1): unrecognised attributes are silently discarded
		return "", "", nil
	case len(line) > MaxLine:
		return "", "", ErrTooLong
	case returns: // git refuses to send one since 2.48.1, and 2.39 as Debian has it
		return "", "", ErrControl
	}
	return line[:at], line[at+1:], nil
}

// known reports whether a key means something here. It is asked first, so that
// a long header of a stranger's server costs nothing.
func known(key string) bool {
	switch key {
	case "protocol", "host", "path", "username", "password", "url", "capability[]",
		"authtype", "credential", "ephemeral", "password_expiry_utc", "quit":
		return true
	}
	return false
}

// Parse reads a request. It refuses what could be read in two ways, such as a
// second host (CVE-2020-5260), and what names no host (CVE-2020-11008).
func Parse(b []byte) (Request, error) {
	var r Request
	if len(b) > MaxInput {
		return Request{}, ErrTooLong
	}
	var seen struct{ protocol, host bool }
	for rest := string(b); rest != ""; {
		var line string
		if line, rest = next(rest); line == "" {
			break
		}
		key, value, err := split(line)
		if err != nil {
			return Request{}, err
		}
		switch key {
		case "protocol":
			if seen.protocol {
				return Request{}, ErrTwice
			}
			r.Protocol, seen.protocol = value, true
		case "host":
			if seen.host {
				return Request{}, ErrTwice
			}
			r.Host, seen.host = daypass.FoldASCII(value), true
		case "path":
			if r.HasPath {
				return Request{}, ErrTwice
			}
			r.Path, r.HasPath = value, true
		default:
			if err := r.set(key, value); err != nil {
				return Request{}, err
			}
		}
	}
	return r, r.check()
}

// set takes one of the keys of which the last one wins.
func (r *Request) set(key, value string) error {
	switch key {
	case "username":
		r.Username = value
	case "password":
		r.Password = daypass.NewSecret(value)
	case "authtype":
		r.AuthType = value
	case "credential":
		r.Credential = daypass.NewSecret(value)
	case "capability[]":
		switch value {
		case "authtype":
			r.CanAuthType = true
		case "state":
			r.CanState = true
		case "": // gitcredentials(7): an empty value resets the list
			r.CanAuthType, r.CanState = false, false
		}
	case "url":
		return ErrURL
	}
	return nil
}

func (r *Request) check() error {
	if r.Protocol == "" || r.Host == "" {
		return ErrMissing
	}
	for _, s := range [...]string{r.Protocol, r.Host, r.Path, r.Username, r.AuthType} {
		if !clean(s) {
			return ErrControl
		}
	}
	if len(r.AuthType) == 0 || r.Credential.IsZero() {
		r.AuthType, r.Credential = "", daypass.Secret{}
	}
	return nil
}

// clean reports whether s is UTF-8 without control characters, C1 included.
func clean(s string) bool {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < 0x20 || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return false
		}
		i += n
	}
	return true
}

// Append writes the request in canonical form: Parse of it gives r again.
func (r Request) Append(b []byte) []byte {
	if r.CanAuthType {
		b = line(b, "capability[]", "authtype")
	}
	if r.CanState {
		b = line(b, "capability[]", "state")
	}
	b = line(b, "protocol", r.Protocol)
	b = line(b, "host", r.Host)
	if r.HasPath {
		b = line(b, "path", r.Path)
	}
	if r.Username != "" {
		b = line(b, "username", r.Username)
	}
	if !r.Password.IsZero() {
		b = line(b, "password", r.Password.Reveal())
	}
	if r.AuthType != "" {
		b = line(b, "authtype", r.AuthType)
	}
	if !r.Credential.IsZero() {
		b = line(b, "credential", r.Credential.Reveal())
	}
	return append(b, '\n')
}

func line(b []byte, key, value string) []byte {
	b = append(b, key...)
	b = append(b, '=')
	b = append(b, value...)
	return append(b, '\n')
}

// An Answer is what a helper gives for a request.
type Answer struct {
	Username string
	Password daypass.Secret
	Expires  int64 // seconds since 1970; 0: never

	// The credential as a header, for a caller that announced authtype. git
	// 2.46 and later hand an ephemeral one to no helper that would keep it.
	AuthType   string
	Credential daypass.Secret
	Ephemeral  bool

	// Quit makes git stop instead of asking other helpers or the user. git looks
	// at it only where the answer holds no whole credential (git 2.3).
	Quit bool
}

// Whole reports whether the answer holds all that a login needs.
func (a Answer) Whole() bool {
	return a.Username != "" && !a.Password.IsZero() || a.AuthType != "" && !a.Credential.IsZero()
}

// For turns a token into the answer that fits the request: as a header that no
// helper keeps where the caller understands it, else as a username and password.
func (r Request) For(username string, token daypass.Secret, expires int64) Answer {
	if !r.CanAuthType {
		return Answer{Username: username, Password: token, Expires: expires}
	}
	return Answer{AuthType: "Basic", Credential: Basic(username, token), Ephemeral: true, Expires: expires}
}

// Basic returns the value of a Basic header (RFC 7617, section 2).
func Basic(username string, token daypass.Secret) daypass.Secret {
	return daypass.NewSecret(base64(username + ":" + token.Reveal()))
}

// base64 is the standard encoding with padding (RFC 4648, section 4). The
// library's brings reflect and doubles what the helper costs to start.
func base64(s string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	out := make([]byte, 0, (len(s)+2)/3*4)
	for ; len(s) >= 3; s = s[3:] {
		v := uint(s[0])<<16 | uint(s[1])<<8 | uint(s[2])
		out = append(out, digits[v>>18], digits[v>>12&63], digits[v>>6&63], digits[v&63])
	}
	switch len(s) {
	case 1:
		v := uint(s[0]) << 16
		out = append(out, digits[v>>18], digits[v>>12&63], '=', '=')
	case 2:
		v := uint(s[0])<<16 | uint(s[1])<<8
		out = append(out, digits[v>>18], digits[v>>12&63], digits[v>>6&63], '=')
	}
	return string(out)
}

// Append writes the answer. ParseAnswer of it gives a again.
func (a Answer) Append(b []byte) []byte {
	if a.AuthType != "" {
		b = line(b, "capability[]", "authtype") // before what depends on it
		b = line(b, "authtype", a.AuthType)
		b = line(b, "credential", a.Credential.Reveal())
		if a.Ephemeral {
			b = line(b, "ephemeral", "1")
		}
	}
	if a.Username != "" {
		b = line(b, "username", a.Username)
	}
	if !a.Password.IsZero() {
		b = line(b, "password", a.Password.Reveal())
	}
	if a.Expires != 0 {
		b = line(b, "password_expiry_utc", strconv.FormatInt(a.Expires, 10))
	}
	if a.Quit {
		b = line(b, "quit", "1")
	}
	return b
}

// ParseAnswer reads what another program answers to the request. It takes only
// what a helper may pass on: protocol, host and path must be the request's if
// they are there, the keys of authtype only where the caller announced it, and
// any other key makes the whole answer void.
func ParseAnswer(b []byte, r Request) (Answer, error) {
	var a Answer
	for rest := string(b); rest != ""; {
		var line string
		if line, rest = next(rest); line == "" {
			break
		}
		key, value, err := split(line)
		switch {
		case err != nil:
			return Answer{}, err
		case key == "":
			return Answer{}, ErrUnknown
		case !clean(value):
			return Answer{}, ErrControl
		}
		if err := a.set(key, value, r); err != nil {
			return Answer{}, err
		}
	}
	switch {
	case !a.Whole() && !a.Quit:
		return Answer{}, ErrPartial
	case !a.Whole(): // half a credential is of no use to anyone
		return Answer{Quit: true}, nil
	}
	return a, nil
}

func (a *Answer) set(key, value string, r Request) error {
	switch key {
	case "protocol", "host", "path":
		same := key == "protocol" && value == r.Protocol || key == "path" && r.HasPath && value == r.Path ||
			key == "host" && daypass.FoldEqual(value, r.Host)
		if !same {
			return ErrForeign
		}
	case "username":
		a.Username = value
	case "password":
		a.Password = daypass.NewSecret(value)
	case "password_expiry_utc":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return ErrMalformed
		}
		a.Expires = n
	case "quit":
		v, ok := boolean(value)
		if !ok {
			return ErrMalformed
		}
		a.Quit = v
	case "capability[]", "authtype", "credential", "ephemeral":
		if !r.CanAuthType {
			return ErrUnknown
		}
		return a.setHeader(key, value)
	default:
		return ErrUnknown
	}
	return nil
}

func (a *Answer) setHeader(key, value string) error {
	switch key {
	case "authtype":
		a.AuthType = value
	case "credential":
		a.Credential = daypass.NewSecret(value)
	case "ephemeral":
		v, ok := boolean(value)
		if !ok {
			return ErrMalformed
		}
		a.Ephemeral = v
	}
	return nil
}

// boolean reads a truth value as git-config(1) writes them.
func boolean(s string) (value, ok bool) {
	switch daypass.FoldASCII(s) {
	case "1", "true", "yes", "on":
		return true, true
	case "0", "false", "no", "off", "":
		return false, true
	}
	return false, false
}
