package notebook

import (
	"bytes"
	"errors"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

var errJSON = errors.New("notebook: not JSON")

// maxDepth is how deep values may lie in each other; Python's reader gives up near
// this too.
const maxDepth = 1000

// span is a value's text as it stands in the file.
type span []byte

// member is a name and its value in an object. name is decoded, key is as written.
type member struct {
	name string
	key  span
	val  span
}

// reader walks JSON and remembers where values lie. Beyond RFC 8259 it takes what
// Python writes and reads: NaN, Infinity, -Infinity.
type reader struct {
	b []byte
	i int
}

func (r *reader) space() {
	for r.i < len(r.b) {
		switch r.b[r.i] {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return
		}
	}
}

// next is the next byte that is no space, 0 at the end.
func (r *reader) next() byte {
	r.space()
	if r.i < len(r.b) {
		return r.b[r.i]
	}
	return 0
}

func (r *reader) take(c byte) bool {
	if r.next() == c && c != 0 {
		r.i++
		return true
	}
	return false
}

// value goes past one value.
func (r *reader) value(depth int) (span, error) {
	c := r.next()
	start := r.i
	var err error
	switch {
	case depth > maxDepth:
		err = errJSON
	case c == '"':
		err = r.text()
	case c == '{':
		err = r.object(depth, nil)
	case c == '[':
		err = r.array(depth, nil)
	case c == '-' || c >= '0' && c <= '9':
		err = r.number()
	default:
		err = r.word()
	}
	return r.b[start:r.i], err
}

// object goes past an object and names its members.
func (r *reader) object(depth int, each func(key span, val func() (span, error)) error) error {
	if !r.take('{') {
		return errJSON
	}
	if r.take('}') {
		return nil
	}
	for {
		r.space()
		start := r.i
		if err := r.text(); err != nil {
			return err
		}
		key := span(r.b[start:r.i])
		if !r.take(':') {
			return errJSON
		}
		var err error
		if each == nil {
			_, err = r.value(depth + 1)
		} else {
			err = each(key, func() (span, error) { return r.value(depth + 1) })
		}
		if err != nil {
			return err
		}
		if r.take('}') {
			return nil
		}
		if !r.take(',') {
			return errJSON
		}
	}
}

// array goes past an array; each, where given, goes past one element.
func (r *reader) array(depth int, each func() error) error {
	if !r.take('[') {
		return errJSON
	}
	if r.take(']') {
		return nil
	}
	for {
		var err error
		if each == nil {
			_, err = r.value(depth + 1)
		} else {
			err = each()
		}
		if err != nil {
			return err
		}
		if r.take(']') {
			return nil
		}
		if !r.take(',') {
			return errJSON
		}
	}
}

// plain is true of the bytes that stand for themselves inside a string.
func plain(c byte) bool { return c >= 0x20 && c != '"' && c != '\\' }

func (r *reader) text() error {
	if r.i >= len(r.b) || r.b[r.i] != '"' {
		return errJSON
	}
	b, i := r.b, r.i+1
	for i < len(b) {
		c := b[i]
		if plain(c) {
			i++
			continue
		}
		if c == '"' {
			r.i = i + 1
			return nil
		}
		if c < 0x20 || i+1 >= len(b) {
			return errJSON
		}
		switch b[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i += 2
		case 'u':
			if _, ok := hex4(b, i+2); !ok {
				return errJSON
			}
			i += 6
		default:
			return errJSON
		}
	}
	return errJSON
}

func (r *reader) word() error {
	for _, w := range [...]string{"null", "true", "false", "NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(r.b[r.i:], []byte(w)) {
			r.i += len(w)
			return nil
		}
	}
	return errJSON
}

func (r *reader) number() error {
	if bytes.HasPrefix(r.b[r.i:], []byte("-I")) {
		return r.word()
	}
	if r.b[r.i] == '-' {
		r.i++
	}
	start := r.i
	if n := r.digits(); n == 0 || n > 1 && r.b[start] == '0' {
		return errJSON
	}
	if r.i < len(r.b) && r.b[r.i] == '.' {
		r.i++
		if r.digits() == 0 {
			return errJSON
		}
	}
	if r.i < len(r.b) && r.b[r.i]|0x20 == 'e' {
		r.i++
		if r.i < len(r.b) && (r.b[r.i] == '+' || r.b[r.i] == '-') {
			r.i++
		}
		if r.digits() == 0 {
			return errJSON
		}
	}
	return nil
}

func (r *reader) digits() int {
	start := r.i
	for r.i < len(r.b) && r.b[r.i] >= '0' && r.b[r.i] <= '9' {
		r.i++
	}
	return r.i - start
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var v rune
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = v<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// unquote decodes a string that text has gone past. A lone surrogate becomes its
// three bytes, so that two texts with different ones differ.
func unquote(out []byte, s span) []byte {
	s = s[1 : len(s)-1]
	for len(s) > 0 {
		k := bytes.IndexByte(s, '\\')
		if k < 0 {
			return append(out, s...)
		}
		out = append(out, s[:k]...)
		c := s[k+1]
		s = s[k:]
		if c != 'u' {
			out = append(out, escaped(c))
			s = s[2:]
			continue
		}
		v, _ := hex4(s, 2)
		s = s[6:]
		if utf16.IsSurrogate(v) && len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
			low, _ := hex4(s, 2)
			if both := utf16.DecodeRune(v, low); both != utf8.RuneError {
				out = utf8.AppendRune(out, both)
				s = s[6:]
				continue
			}
		}
		if utf16.IsSurrogate(v) {
			out = append(out, 0xe0|byte(v>>12), 0x80|byte(v>>6&0x3f), 0x80|byte(v&0x3f))
			continue
		}
		out = utf8.AppendRune(out, v)
	}
	return out
}

func escaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// str is a string's text; "" and false where s is no string.
func str(s span) (string, bool) {
	if len(s) < 2 || s[0] != '"' {
		return "", false
	}
	return string(unquote(nil, s)), true
}

// members are an object's, in order; of a name that stands twice the last, as
// Python and JavaScript read it. nil where s is no object.
func members(s span) []member {
	if len(s) == 0 || s[0] != '{' {
		return nil
	}
	var out []member
	r := reader{b: s}
	// s was read before, so this cannot fail.
	_ = r.object(0, func(key span, val func() (span, error)) error {
		v, err := val()
		name, _ := str(key)
		out = append(out, member{name, key, v})
		return err
	})
	return unique(out)
}

// unique drops the earlier ones of members with one name.
func unique(ms []member) []member {
	if len(ms) < 2 {
		return ms
	}
	last := make(map[string]int, len(ms))
	for i, m := range ms {
		last[m.name] = i
	}
	if len(last) == len(ms) {
		return ms
	}
	out := make([]member, 0, len(last))
	for i, m := range ms {
		if last[m.name] == i {
			out = append(out, m)
		}
	}
	return out
}

// get is the value of a name, nil where there is none.
func get(ms []member, name string) span {
	for _, m := range ms {
		if m.name == name {
			return m.val
		}
	}
	return nil
}

// elements are an array's; nil where s is none.
func elements(s span) []span {
	if len(s) == 0 || s[0] != '[' {
		return nil
	}
	var out []span
	r := reader{b: s}
	_ = r.array(0, func() error {
		v, err := r.value(1)
		out = append(out, v)
		return err
	})
	return out
}

// same reports whether two values say the same: however they are indented, however
// their strings are escaped and, for the outer levels, in whatever order their
// members stand.
func same(a, b span) bool { return bytes.Equal(a, b) || sameTo(a, b, 8) }

func sameTo(a, b span, depth int) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	if a[0] != b[0] {
		return false
	}
	if alike(a, b) {
		return true
	}
	if depth == 0 || a[0] != '{' && a[0] != '[' {
		return false
	}
	if a[0] == '[' {
		return slices.EqualFunc(elements(a), elements(b), func(x, y span) bool { return sameTo(x, y, depth-1) })
	}
	am, bm := members(a), members(b)
	if len(am) != len(bm) {
		return false
	}
	by := make(map[string]span, len(bm))
	for _, m := range bm {
		by[m.name] = m.val
	}
	for _, m := range am {
		v, ok := by[m.name]
		if !ok || !sameTo(m.val, v, depth-1) {
			return false
		}
	}
	return true
}

// alike compares token by token, in one walk.
func alike(a, b span) bool {
	x, y := reader{b: a}, reader{b: b}
	for {
		c, d := x.next(), y.next()
		if c != d {
			return false
		}
		switch c {
		case 0:
			return x.i == len(a) && y.i == len(b)
		case '{', '}', '[', ']', ',', ':':
			x.i++
			y.i++
			continue
		}
		i, j := x.i, y.i
		x.skip(c)
		y.skip(c)
		s, t := a[i:x.i], b[j:y.i]
		if bytes.Equal(s, t) {
			continue
		}
		if c != '"' || !bytes.Equal(unquote(nil, s), unquote(nil, t)) {
			return false
		}
	}
}

// skip goes past a string, a number or a word of text that was read before.
func (r *reader) skip(c byte) {
	if c == '"' {
		_ = r.text()
		return
	}
	for r.i < len(r.b) && bytes.IndexByte([]byte(" \t\r\n,:]}"), r.b[r.i]) < 0 {
		r.i++
	}
}
