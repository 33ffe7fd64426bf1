package plumbing

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ReadSplitIndex is [ReadIndex] for an index that may be split: shared returns the
// content of the file sharedindex.OID beside it.
func ReadSplitIndex(data []byte, shared func(OID) ([]byte, error)) (entries []IndexEntry, format string, err error) {
	entries, format, err = ReadIndex(data)
	if !errors.Is(err, ErrSplit) {
		return entries, format, err
	}
	size := newHash(format).Size()
	own, link, err := splitParts(data[:len(data)-size], size)
	if err != nil {
		return nil, "", err
	}
	name := hexOID(link[:size])
	if strings.Trim(string(name), "0") == "" {
		return own, format, nil
	}
	base, err := shared(name)
	if err != nil {
		return nil, "", err
	}
	if len(base) < size || hex.EncodeToString(base[len(base)-size:]) != string(name) {
		return nil, "", fmt.Errorf("%w: sharedindex.%s is another one", ErrIndex, name)
	}
	under, _, err := ReadIndex(base)
	if err != nil {
		return nil, "", err
	}
	entries, err = joinSplit(under, own, link[size:])
	return entries, format, err
}

// splitParts returns the entries of the upper file, some without a name, and its "link".
func splitParts(body []byte, size int) (own []IndexEntry, link []byte, err error) {
	version, count := binary.BigEndian.Uint32(body[4:]), binary.BigEndian.Uint32(body[8:])
	rest, previous := body[12:], ""
	for range count {
		e, n, ok := parseEntry(rest, size, version, previous)
		if !ok {
			return nil, nil, fmt.Errorf("%w: entry %d", ErrIndex, len(own))
		}
		own, rest, previous = append(own, e), rest[n:], e.Path
	}
	for len(rest) >= 8 {
		n := int(binary.BigEndian.Uint32(rest[4:]))
		if n > len(rest)-8 {
			break
		}
		if string(rest[:4]) == "link" && n >= size {
			return own, rest[8 : 8+n], nil
		}
		rest = rest[8+n:]
	}
	return nil, nil, fmt.Errorf("%w: its link is cut short", ErrIndex)
}

// joinSplit puts the two together (gitformat-index(5), "Split index"): a bitmap of what is
// deleted of the shared one, another of what is replaced, by the nameless ones in order.
func joinSplit(under, own []IndexEntry, link []byte) ([]IndexEntry, error) {
	gone, link, okA := bitmap(link, len(under))
	changed, _, okB := bitmap(link, len(under))
	if !okA || !okB {
		return nil, fmt.Errorf("%w: a bitmap is broken", ErrIndex)
	}
	var out []IndexEntry
	for i, e := range under {
		if changed[i] {
			if len(own) == 0 || own[0].Path != "" {
				return nil, fmt.Errorf("%w: a replacement is missing", ErrIndex)
			}
			own[0].Path = e.Path
			e, own = own[0], own[1:]
		}
		if !gone[i] {
			out = append(out, e)
		}
	}
	key := func(e IndexEntry) string { return fmt.Sprint(e.Path, "\x00", e.Stage) }
	added := map[string]bool{}
	for _, e := range own {
		if e.Path == "" {
			return nil, fmt.Errorf("%w: an entry has no name", ErrIndex)
		}
		added[key(e)] = true
	}
	out = slices.DeleteFunc(out, func(e IndexEntry) bool { return added[key(e)] })
	out = append(out, own...)
	slices.SortFunc(out, func(a, b IndexEntry) int { return strings.Compare(key(a), key(b)) })
	return out, nil
}

// bitmap reads a bitmap of up to n bits in EWAH's form (git's
// Documentation/technical/bitmap-format, "Appendix A"), and returns what stands behind it.
// No bytes at all are no bits.
func bitmap(data []byte, n int) (set []bool, rest []byte, ok bool) {
	set = make([]bool, n)
	if len(data) == 0 {
		return set, nil, true
	}
	if len(data) < 12 {
		return nil, nil, false
	}
	bits, words := int(binary.BigEndian.Uint32(data)), int(binary.BigEndian.Uint32(data[4:]))
	if words > (len(data)-12)/8 || bits > n {
		return nil, nil, false
	}
	body, rest := data[8:8+8*words], data[8+8*words+4:]
	word := func() uint64 {
		w := binary.BigEndian.Uint64(body)
		body = body[8:]
		return w
	}
	at := 0
	for len(body) > 0 {
		head := word()
		run, literal := int(head>>1&0xffffffff), int(head>>33)
		if literal > len(body)/8 || at+64*run > bits+63 {
			return nil, nil, false
		}
		for ; run > 0; run-- {
			for i := at; head&1 == 1 && i < min(at+64, n); i++ {
				set[i] = true
			}
			at += 64
		}
		for ; literal > 0; literal-- {
			w := word()
			for i := range 64 {
				if w>>i&1 == 1 && at+i < n {
					set[at+i] = true
				}
			}
			at += 64
		}
	}
	return set, rest, true
}
