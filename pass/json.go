package pass

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSON bounds the JSON form, in which a byte may take six.
const maxJSON = 6 * MaxText

// ParseJSON reads the JSON form of version 2: {"i"|"i64", "s"|"s64", "l",
// "c": [{"i"|"i64"}]}, and "v": 2, which libmacaroons writes and others do not.
// Fields ending in 64 are base64 of either alphabet, padded or not. An unknown
// field, a field twice, or in both spellings, is an error. Without "l" the
// location counts as there and empty, as in pymacaroons.
func ParseJSON(text []byte) (Pass, error) {
	if len(text) > maxJSON {
		return Pass{}, ErrTooBig
	}
	v, err := strictJSON(string(text))
	if err != nil {
		return Pass{}, err
	}
	o, ok := v.(members)
	if !ok {
		return Pass{}, ErrMalformed
	}
	if _, old := o["identifier"]; old {
		return Pass{}, ErrV1
	}
	if version, ok := o["v"]; ok {
		if version != json.Number("2") {
			return Pass{}, ErrMalformed
		}
		delete(o, "v")
	}
	m := &macaroon{hasLocation: true}
	signature, ok := o.take("s")
	if m.identifier, err = o.need("i"); err != nil || !ok || len(signature) != len(m.signature) {
		return Pass{}, ErrMalformed
	}
	copy(m.signature[:], signature)
	if l, ok := o["l"]; ok {
		if m.location, ok = l.(string); !ok {
			return Pass{}, ErrMalformed
		}
		delete(o, "l")
	}
	if err := m.takeCaveats(o); err != nil {
		return Pass{}, err
	}
	if len(o) > 0 {
		return Pass{}, ErrMalformed
	}
	if m.size() > maxBinary {
		return Pass{}, ErrTooBig
	}
	return hold(m), nil
}

func (m *macaroon) takeCaveats(o members) error {
	c, ok := o["c"]
	if !ok {
		return nil
	}
	delete(o, "c")
	list, ok := c.([]any)
	if !ok {
		return ErrMalformed
	}
	if len(list) > MaxCaveats {
		return ErrTooBig
	}
	for _, item := range list {
		caveat, ok := item.(members)
		if !ok {
			return ErrMalformed
		}
		if caveat["v"] != nil || caveat["v64"] != nil {
			return ErrThirdParty
		}
		if len(caveat) == 0 { // an empty caveat, in pymacaroons' writing
			m.caveats = append(m.caveats, "")
			continue
		}
		text, err := caveat.need("i")
		if err != nil || len(caveat) > 0 {
			return ErrMalformed
		}
		m.caveats = append(m.caveats, text)
	}
	return nil
}

func (o members) need(name string) (string, error) {
	if s, ok := o.take(name); ok {
		return s, nil
	}
	return "", ErrMalformed
}

// take removes a field in either spelling and returns its bytes.
func (o members) take(name string) (string, bool) {
	text, isText := o[name]
	coded, isCoded := o[name+"64"]
	if isText == isCoded {
		return "", false
	}
	delete(o, name)
	delete(o, name+"64")
	if isText {
		s, ok := text.(string)
		return s, ok
	}
	s, ok := coded.(string)
	if !ok {
		return "", false
	}
	raw, err := decode(strings.NewReplacer("+", "-", "/", "_").Replace(s))
	return raw, err == nil
}

var errLocation = errors.New("pass: the location is no text, so there is no JSON form")

// JSON writes the JSON form, byte for byte as pymacaroons does: text where it
// is UTF-8, spaces behind commas and colons, everything but ASCII escaped. It
// is the secret.
func (p Pass) JSON() ([]byte, error) {
	if p.held == nil {
		return nil, ErrMalformed
	}
	if !utf8.ValidString(p.inside().location) {
		return nil, errLocation
	}
	var b bytes.Buffer
	b.WriteByte('{')
	appendMember(&b, "i", p.inside().identifier)
	b.WriteString(", ")
	appendMember(&b, "s", string(p.inside().signature[:]))
	if p.inside().location != "" {
		b.WriteString(`, "l": `)
		appendPython(&b, p.inside().location)
	}
	for i, c := range p.inside().caveats {
		if i == 0 {
			b.WriteString(`, "c": [{`)
		} else {
			b.WriteString(", {")
		}
		if c != "" {
			appendMember(&b, "i", c)
		}
		b.WriteByte('}')
	}
	if len(p.inside().caveats) > 0 {
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func appendMember(b *bytes.Buffer, name, s string) {
	if utf8.ValidString(s) {
		b.WriteString(`"` + name + `": `)
		appendPython(b, s)
		return
	}
	b.WriteString(`"` + name + `64": "` + base64.RawURLEncoding.EncodeToString([]byte(s)) + `"`)
}

// appendPython writes a string as Python's json.dumps does.
func appendPython(b *bytes.Buffer, s string) {
	const digits = "0123456789abcdef"
	unit := func(r rune) {
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(digits[r>>shift&15])
		}
	}
	b.WriteByte('"')
	for _, r := range s {
		i := strings.IndexRune("\"\\\n\r\t\f\b", r)
		switch {
		case i >= 0:
			b.WriteByte('\\')
			b.WriteByte(`"\nrtfb`[i])
		case r >= ' ' && r <= '~':
			b.WriteByte(byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			unit(high)
			unit(low)
		default:
			unit(r)
		}
	}
	b.WriteByte('"')
}
