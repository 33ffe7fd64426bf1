package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	macaroon "gopkg.in/macaroon.v2"
)

// sixHMACs is the chain of the identifier and five caveats and nothing else.
func (l *lab) sixHMACs() error {
	key := l.sink
	key = sum(&key, "alice-abcdefghjkmnpqrs.main")
	for _, c := range l.caveats {
		key = sum(&key, c)
	}
	l.sink = key
	return nil
}

// sum is RFC 2104 for a key of 32 bytes, as fast as the library's hash allows.
func sum(key *[sha256.Size]byte, text string) [sha256.Size]byte {
	var in [64 + 64]byte
	var out [64 + sha256.Size]byte
	for i := 0; i < 64; i += 8 {
		var k uint64
		if i < sha256.Size {
			k = binary.NativeEndian.Uint64(key[i:])
		}
		binary.NativeEndian.PutUint64(in[i:], k^0x3636363636363636)
		binary.NativeEndian.PutUint64(out[i:], k^0x5c5c5c5c5c5c5c5c)
	}
	n := copy(in[64:], text)
	h := sha256.Sum256(in[:64+n])
	copy(out[64:], h[:])
	return sha256.Sum256(out[:])
}

var errUnmet = errors.New("not met")

// verifyPeer is gopkg.in/macaroon.v2 with the least that judges the same five
// caveats.
func (l *lab) verifyPeer() error {
	m, err := readPeer(l.text)
	if err != nil {
		return err
	}
	return m.Verify(l.root, l.judge, nil)
}

func readPeer(text string) (*macaroon.Macaroon, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "devpi-"))
	if err != nil {
		return nil, err
	}
	m := new(macaroon.Macaroon)
	return m, m.UnmarshalBinary(raw)
}

func (l *lab) judge(caveat string) error {
	name, value, _ := strings.Cut(caveat, "=")
	ok := false
	switch name {
	case "allowed":
		ok = slices.Contains(strings.Split(value, ","), l.facts.Permissions[0])
	case "indexes":
		ok = slices.Contains(strings.Split(value, ","), l.facts.Indexes[0])
	case "projects":
		ok = slices.Contains(strings.Split(value, ","), l.facts.Projects[0])
	case "expires":
		n, err := strconv.ParseInt(value, 10, 64)
		ok = err == nil && l.now.Unix() < n
	case "not_before":
		n, err := strconv.ParseInt(value, 10, 64)
		ok = err == nil && l.now.Unix() >= n
	}
	if !ok {
		return errUnmet
	}
	return nil
}

func (l *lab) narrowPeer() error {
	m, err := readPeer(l.short)
	if err != nil {
		return err
	}
	for _, c := range l.caveats {
		if err := m.AddFirstPartyCaveat([]byte(c)); err != nil {
			return err
		}
	}
	raw, err := m.MarshalBinary()
	if err != nil {
		return err
	}
	if text := "devpi-" + base64.RawURLEncoding.EncodeToString(raw); len(text) < len(l.short) {
		return fmt.Errorf("a text of %d bytes", len(text))
	}
	return nil
}
