package plumbing

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The flags of an index's entries: gitformat-index(5).
const (
	flagExtended = 0x4000
	flagSkip     = 0x4000 // of the extended ones
	flagIntent   = 0x2000
	maxPath      = 4096
)

func newHash(format string) hash.Hash {
	if format == "sha256" {
		return sha256.New()
	}
	return sha1.New()
}

// HashBlob names what a blob with this content would be, without keeping it.
func HashBlob(format string, size int64, r io.Reader) (OID, error) {
	h := newHash(format)
	io.WriteString(h, "blob "+strconv.FormatInt(size, 10)+"\x00")
	n, err := io.Copy(h, io.LimitReader(r, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes came for %d", n, size)
	}
	if err != nil {
		return "", err
	}
	return hexOID(h.Sum(nil)), nil
}

// ReadIndex reads an index of version 2, 3 or 4 and tells its object format, which
// its sum shows; where the sum is left out, what can be read. Extensions that git may
// skip are skipped. Errors: [ErrIndex]; [ErrSplit] where part of it is in another file.
func ReadIndex(data []byte) (entries []IndexEntry, format string, err error) {
	if len(data) < 12+sha1.Size || string(data[:4]) != "DIRC" {
		return nil, "", fmt.Errorf("%w: it does not begin like one", ErrIndex)
	}
	for _, format := range []string{"sha1", "sha256"} {
		size := newHash(format).Size()
		if len(data) < 12+size {
			break
		}
		body, sum := data[:len(data)-size], data[len(data)-size:]
		h := newHash(format)
		h.Write(body)
		if bytes.Equal(h.Sum(nil), sum) {
			entries, err := parseIndex(body, size)
			return entries, format, err
		}
		if none := make([]byte, size); bytes.Equal(none, sum) { // index.skipHash
			if entries, err := parseIndex(body, size); err == nil {
				return entries, format, nil
			}
		}
	}
	return nil, "", fmt.Errorf("%w: its sum is wrong", ErrIndex)
}

// parseIndex reads what stands before the sum; ids have size bytes.
func parseIndex(data []byte, size int) ([]IndexEntry, error) {
	version, count := binary.BigEndian.Uint32(data[4:]), int(binary.BigEndian.Uint32(data[8:]))
	if version < 2 || version > 4 {
		return nil, fmt.Errorf("%w: version %d", ErrIndex, version)
	}
	rest := data[12:]
	if count > len(rest)/(40+size+2) {
		return nil, fmt.Errorf("%w: it is too short for %d entries", ErrIndex, count)
	}
	out := make([]IndexEntry, 0, count)
	previous := ""
	for range count {
		e, n, ok := parseEntry(rest, size, version, previous)
		if !ok {
			return nil, fmt.Errorf("%w: entry %d", ErrIndex, len(out))
		}
		out, rest, previous = append(out, e), rest[n:], e.Path
	}
	if err := extensions(rest); err != nil {
		return nil, err
	}
	// Only a split index has entries without a name.
	if slices.ContainsFunc(out, func(e IndexEntry) bool { return e.Path == "" }) {
		return nil, fmt.Errorf("%w: an entry has no name", ErrIndex)
	}
	return out, nil
}

// parseEntry reads one entry and says how long it is.
func parseEntry(data []byte, size int, version uint32, previous string) (e IndexEntry, n int, ok bool) {
	head := 40 + size + 2
	if len(data) < head {
		return e, 0, false
	}
	var f [10]uint32
	for i := range f {
		f[i] = binary.BigEndian.Uint32(data[4*i:])
	}
	e.Stat = Stat{CTime: indexTime(f[0], f[1]), MTime: indexTime(f[2], f[3]), Dev: f[4], Inode: f[5], UID: f[7], GID: f[8], Bytes: f[9]}
	e.Mode, e.OID = Mode(f[6]), hexOID(data[40:40+size])
	flags := binary.BigEndian.Uint16(data[40+size:])
	e.Stage = int(flags >> 12 & 3)
	if flags&flagExtended != 0 {
		if version < 3 || len(data) < head+2 {
			return e, 0, false
		}
		more := binary.BigEndian.Uint16(data[head:])
		e.Skip, e.Intent = more&flagSkip != 0, more&flagIntent != 0
		head += 2
	}
	prefix := ""
	if version == 4 {
		strip, used := varint(data[head:])
		if used == 0 || strip > len(previous) {
			return e, 0, false
		}
		prefix, head = previous[:len(previous)-strip], head+used
	}
	end := bytes.IndexByte(data[head:], 0)
	if end < 0 || len(prefix)+end > maxPath {
		return e, 0, false
	}
	e.Path = prefix + string(data[head:head+end])
	n = head + end + 1
	if version < 4 {
		n = (head + end + 8) &^ 7
	}
	return e, n, n <= len(data)
}

func indexTime(seconds, nanos uint32) time.Time {
	if seconds == 0 && nanos == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), int64(nanos))
}

// varint reads the offset encoding of packs; used is 0 where there is none.
func varint(data []byte) (value, used int) {
	for i, c := range data {
		if i > 4 {
			return 0, 0
		}
		if i > 0 {
			value++
		}
		value = value<<7 | int(c&0x7f)
		if c&0x80 == 0 {
			return value, i + 1
		}
	}
	return 0, 0
}

// extensions skips what stands behind the entries. Names in small letters are of what
// nobody may skip: "link" is a split index; "sdir" says that an entry may be a folder.
func extensions(data []byte) error {
	for len(data) > 0 {
		if len(data) < 8 {
			return fmt.Errorf("%w: an extension is cut short", ErrIndex)
		}
		name, size := string(data[:4]), int(binary.BigEndian.Uint32(data[4:]))
		if size > len(data)-8 {
			return fmt.Errorf("%w: an extension is cut short", ErrIndex)
		}
		switch {
		case name == "link":
			return ErrSplit
		case name != "sdir" && (name[0] < 'A' || name[0] > 'Z'):
			return fmt.Errorf("%w: extension %q", ErrIndex, name)
		}
		data = data[8+size:]
	}
	return nil
}

// WriteIndex writes an index: version 2, or 3 where an entry is skipped or intended.
// It sorts a copy of the entries as git wants them.
func WriteIndex(w io.Writer, entries []IndexEntry, format string) error {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b IndexEntry) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return a.Stage - b.Stage
	})
	version := uint32(2)
	for i, e := range entries {
		if e.Skip || e.Intent {
			version = 3
		}
		if i > 0 && e.Path == entries[i-1].Path && e.Stage == entries[i-1].Stage {
			return fmt.Errorf("%w: %q stands there twice", ErrIndex, e.Path)
		}
	}
	h := newHash(format)
	buf := bufio.NewWriterSize(io.MultiWriter(w, h), 64<<10)
	buf.WriteString("DIRC")
	buf.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, version), uint32(len(entries))))
	var line []byte
	for _, e := range entries {
		var err error
		if line, err = appendEntry(line[:0], e, h.Size()); err != nil {
			return err
		}
		buf.Write(line)
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	_, err := w.Write(h.Sum(nil))
	return err
}

func appendEntry(b []byte, e IndexEntry, size int) ([]byte, error) {
	raw, err := hex.DecodeString(string(e.OID))
	if err != nil || len(raw) != size || e.Path == "" || strings.ContainsRune(e.Path, 0) || e.Stage < 0 || e.Stage > 3 {
		return nil, fmt.Errorf("%w: %q cannot be written", ErrIndex, e.Path)
	}
	s := e.Stat
	cs, cn := splitTime(s.CTime)
	ms, mn := splitTime(s.MTime)
	for _, v := range []uint32{cs, cn, ms, mn, s.Dev, s.Inode, uint32(e.Mode), s.UID, s.GID, s.Bytes} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = append(b, raw...)
	flags := uint16(e.Stage)<<12 | uint16(min(len(e.Path), 0xfff))
	var more uint16
	if e.Skip {
		more |= flagSkip
	}
	if e.Intent {
		more |= flagIntent
	}
	if more != 0 {
		b = binary.BigEndian.AppendUint16(b, flags|flagExtended)
		b = binary.BigEndian.AppendUint16(b, more)
	} else {
		b = binary.BigEndian.AppendUint16(b, flags)
	}
	b = append(b, e.Path...)
	b = append(b, 0)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b, nil
}

func splitTime(t time.Time) (seconds, nanos uint32) {
	if t.IsZero() {
		return 0, 0
	}
	return uint32(t.Unix()), uint32(t.Nanosecond())
}
