package snapshot

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxPacket is the longest packet that git knows (gitprotocol-common(5)).
const maxPacket = 65520

// What a packet is besides data.
type special byte

const (
	isData  special = iota
	isFlush         // 0000: a message ends
	isDelim         // 0001: a section ends
	isEnd           // 0002: the transport has handed on a whole answer
)

// A packets reads packets: four hexadecimal digits of length, and the rest.
type packets struct {
	r     *bufio.Reader
	buf   [maxPacket]byte
	moved func() // called at each packet; nil: nobody waits for them
}

// next returns a packet's content, which is good until the next call.
func (p *packets) next() ([]byte, special, error) {
	head := p.buf[:4]
	if _, err := io.ReadFull(p.r, head); err != nil {
		return nil, isData, err
	}
	if p.moved != nil {
		p.moved()
	}
	n, err := strconv.ParseUint(string(head), 16, 32)
	switch {
	case err != nil || n == 3 || n > maxPacket:
		return nil, isData, fmt.Errorf("protocol error: a packet's length is %q", head)
	case n < 3:
		return nil, isFlush + special(n), nil
	}
	data := p.buf[:n-4]
	if _, err := io.ReadFull(p.r, data); err != nil {
		return nil, isData, io.ErrUnexpectedEOF
	}
	if text, ok := strings.CutPrefix(string(data[:min(len(data), 300)]), "ERR "); ok {
		return nil, isData, fmt.Errorf("remote error: %s", strings.TrimSpace(text))
	}
	return data, isData, nil
}

// line is [packets.next] for lines of text.
func (p *packets) line() (string, special, error) {
	data, kind, err := p.next()
	return strings.TrimSuffix(string(data), "\n"), kind, err
}

// A message is one that is sent.
type message struct{ strings.Builder }

func (m *message) line(parts ...string) {
	text := strings.Join(parts, "")
	fmt.Fprintf(m, "%04x%s\n", len(text)+5, text)
}

// A band reads the pack out of an answer in which git's own progress and errors come
// along (gitprotocol-pack(5), side-band-64k).
type band struct {
	p    *packets
	rest []byte
	said io.Writer // what the source has to say
	done bool
}

func (b *band) Read(out []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.done {
			return 0, io.EOF
		}
		data, kind, err := b.p.next()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
		if kind != isData {
			b.done = true
			continue
		}
		if len(data) == 0 {
			return 0, fmt.Errorf("protocol error: an empty packet in a pack")
		}
		switch data[0] {
		case 1:
			b.rest = data[1:]
		case 2:
			b.tell("remote: ", data[1:])
		case 3:
			b.tell("fatal: remote error: ", append(data[1:], '\n'))
			return 0, fmt.Errorf("remote error: %s", strings.TrimSpace(string(data[1:])))
		default:
			return 0, fmt.Errorf("protocol error: band %d", data[0])
		}
	}
	n := copy(out, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// tell hands on what the source says, each line marked as git marks it.
func (b *band) tell(mark string, text []byte) {
	for part := range strings.FieldsFuncSeq(string(text), func(c rune) bool { return c == '\n' || c == '\r' }) {
		fmt.Fprintf(b.said, "%s%s\n", mark, part)
	}
}
