package pass

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unsafe"
)

// The types of fields, in libmacaroons' doc/format.txt.
const (
	fieldEnd        = 0
	fieldLocation   = 1
	fieldIdentifier = 2
	fieldVID        = 4 // makes a caveat a third party's
	fieldSignature  = 6
)

// A macaroon is a pass's parts. Its strings point into one text and are not
// copied.
type macaroon struct {
	location    string
	hasLocation bool // there is a field for it, be it empty
	identifier  string
	caveats     []string
	signature   [sha256.Size]byte
	form        Form
	few         [6]string // where caveats lie as long as they fit
	self        *macaroon // what a Pass points to
}

// parseBinary reads version 2 and takes nothing that could be written shorter
// or has anything behind it.
func parseBinary(raw string) (*macaroon, error) {
	if len(raw) > maxBinary {
		return nil, ErrTooBig
	}
	if len(raw) == 0 || raw[0] != 2 {
		if isV1(raw) {
			return nil, ErrV1
		}
		return nil, ErrMalformed
	}
	m := new(macaroon)
	c := cursor{rest: raw[1:]}
	kind, data := c.field()
	if kind == fieldLocation {
		m.location, m.hasLocation = data, true
		kind, data = c.field()
	}
	if kind != fieldIdentifier {
		return nil, ErrMalformed
	}
	m.identifier = data
	if kind, _ = c.field(); kind != fieldEnd {
		return nil, ErrMalformed
	}
	if err := m.parseCaveats(&c); err != nil {
		return nil, err
	}
	kind, data = c.field()
	if kind != fieldSignature || len(data) != len(m.signature) || c.rest != "" {
		return nil, ErrMalformed
	}
	copy(m.signature[:], data)
	return m, nil
}

func (m *macaroon) parseCaveats(c *cursor) error {
	m.caveats = m.few[:0]
	for {
		kind, data := c.field()
		if kind == fieldEnd {
			return nil
		}
		located := kind == fieldLocation
		if located {
			kind, data = c.field()
		}
		if kind != fieldIdentifier {
			return ErrMalformed
		}
		switch kind, _ = c.field(); {
		case kind == fieldVID:
			return ErrThirdParty
		case kind != fieldEnd || located:
			return ErrMalformed
		case len(m.caveats) == MaxCaveats:
			return ErrTooBig
		}
		m.caveats = append(m.caveats, data)
	}
}

// A cursor reads fields. After anything malformed every field is of type -1.
type cursor struct{ rest string }

func (c *cursor) field() (kind int, data string) {
	if s := c.rest; len(s) > 1 && s[0] > fieldEnd && s[0] < 0x80 && s[1] < 0x80 && int(s[1]) <= len(s)-2 { // nearly always
		kind, data, c.rest = int(s[0]), s[2:2+int(s[1])], s[2+int(s[1]):]
		return kind, data
	}
	kind = c.varint()
	if kind <= fieldEnd {
		return kind, ""
	}
	n := c.varint()
	if n < 0 || n > len(c.rest) {
		c.rest = ""
		return -1, ""
	}
	data, c.rest = c.rest[:n], c.rest[n:]
	return kind, data
}

// varint reads a number below 1<<14, which is more than a pass is long, in its
// shortest form; -1 where there is none.
func (c *cursor) varint() int {
	switch {
	case len(c.rest) >= 1 && c.rest[0] < 0x80:
		n := int(c.rest[0])
		c.rest = c.rest[1:]
		return n
	case len(c.rest) >= 2 && c.rest[1] > 0 && c.rest[1] < 0x80:
		n := int(c.rest[0]&0x7f) | int(c.rest[1])<<7
		c.rest = c.rest[2:]
		return n
	}
	c.rest = ""
	return -1
}

// isV1 knows version 1 by its first packet: four hexadecimal digits and a key.
func isV1(raw string) bool {
	if len(raw) < 5 {
		return false
	}
	for i := range 4 {
		if !strings.Contains("0123456789abcdef", raw[i:i+1]) {
			return false
		}
	}
	return strings.HasPrefix(raw[4:], "location ") || strings.HasPrefix(raw[4:], "identifier ")
}

func (m *macaroon) size() int {
	n := 1 + fieldSize(len(m.identifier)) + 1 + 1 + fieldSize(len(m.signature))
	if m.hasLocation {
		n += fieldSize(len(m.location))
	}
	for _, c := range m.caveats {
		n += fieldSize(len(c)) + 1
	}
	return n
}

func fieldSize(n int) int {
	if n < 0x80 {
		return 2 + n
	}
	if n < 1<<14 {
		return 3 + n
	}
	return maxBinary + n // larger than anything that is kept
}

func (m *macaroon) append(b []byte) []byte {
	b = append(b, 2)
	if m.hasLocation {
		b = appendField(b, fieldLocation, m.location)
	}
	b = append(appendField(b, fieldIdentifier, m.identifier), fieldEnd)
	for _, c := range m.caveats {
		b = append(appendField(b, fieldIdentifier, c), fieldEnd)
	}
	b = append(b, fieldEnd, fieldSignature, byte(len(m.signature)))
	return append(b, m.signature[:]...)
}

func appendField(b []byte, kind byte, data string) []byte {
	b = binary.AppendUvarint(append(b, kind), uint64(len(data)))
	return append(b, data...)
}

func (m *macaroon) text(prefix string) string {
	var room [512]byte
	raw := m.append(room[:0])
	out := make([]byte, 0, len(prefix)+base64.RawURLEncoding.EncodedLen(len(raw)))
	return string(base64.RawURLEncoding.AppendEncode(append(out, prefix...), raw))
}

// decode reads base64url strictly. The library skips ends of lines and lets
// the last character's unused bits be anything: then one pass would have many
// texts.
func decode(s string) (string, error) {
	if strings.HasSuffix(s, "=") {
		bare := strings.TrimSuffix(strings.TrimSuffix(s, "="), "=")
		if len(s)%4 != 0 || len(bare)%4 == 0 {
			return "", ErrMalformed
		}
		s = bare
	}
	spare := ""
	switch len(s) % 4 {
	case 1:
		return "", ErrMalformed
	case 2:
		spare = "AQgw"
	case 3:
		spare = "AEIMQUYcgkosw048"
	}
	if spare != "" && strings.IndexByte(spare, s[len(s)-1]) < 0 {
		return "", ErrMalformed
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(raw) != base64.RawURLEncoding.DecodedLen(len(s)) { // shorter where it skipped something
		return "", ErrMalformed
	}
	return unsafe.String(unsafe.SliceData(raw), len(raw)), nil
}

const (
	blockSize = 64
	inner     = 0x3636363636363636 // RFC 2104's two paddings, eight bytes at a time
	outer     = 0x5c5c5c5c5c5c5c5c
)

// mac is HMAC-SHA256 with a key of 32 bytes. It is the library's hash of two
// buffers in place of crypto/hmac, whose objects cost as much as the hashing
// of texts this short.
func mac(key *[sha256.Size]byte, text string) [sha256.Size]byte {
	var room [blockSize + 96]byte
	buf := room[:]
	if len(text) > len(room)-blockSize {
		buf = make([]byte, blockSize+len(text))
	}
	pad(buf, key, inner)
	n := copy(buf[blockSize:], text)
	sum := sha256.Sum256(buf[:blockSize+n])
	pad(room[:], key, outer)
	copy(room[blockSize:], sum[:])
	return sha256.Sum256(room[:blockSize+sha256.Size])
}

func pad(block []byte, key *[sha256.Size]byte, with uint64) {
	block = block[:blockSize]
	for i := 0; i < sha256.Size; i += 8 {
		binary.NativeEndian.PutUint64(block[i:], binary.NativeEndian.Uint64(key[i:])^with)
	}
	for i := sha256.Size; i < blockSize; i += 8 {
		binary.NativeEndian.PutUint64(block[i:], with)
	}
}
