// Package archive reads zip and tar files that came from elsewhere and may lie: about
// names, sizes, how much is in them, what overlaps what. It unpacks nothing to a place:
// what it lists is read from the one file, which has no name on the disk. It knows no
// host, and looks into no archive within an archive.
package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
)

// Limits are what an archive may be; 0 means the number that stands here.
type Limits struct {
	Bytes int64 // of the archive itself: 2 GiB
	Files int   // in it: 20,000
	Ratio int64 // what a file may be packed to: 200 to 1, from 1 MiB on
	// Total is what all files together may unpack to: 8 GiB. Those of a tar are
	// unpacked when it is listed, those of a zip one by one as they are read.
	Total int64
	// Keep leaves the one folder that everything lies in as it is.
	Keep bool
}

// Within are limits for a source that may have so many bytes in all: an archive of it
// may have no more, nor unpack to more. 0, and below, sets none.
func Within(source int64) Limits {
	if source <= 0 {
		return Limits{}
	}
	return Limits{Bytes: min(source, mostBytes), Total: min(source, mostTotal)}
}

const (
	mostBytes = 2 << 30
	mostTotal = 8 << 30
)

func (l Limits) filled() Limits {
	if l.Bytes <= 0 {
		l.Bytes = mostBytes
	}
	if l.Files <= 0 {
		l.Files = 20_000
	}
	if l.Ratio <= 0 {
		l.Ratio = 200
	}
	if l.Total <= 0 {
		l.Total = mostTotal
	}
	return l
}

// small is what a file may unpack to whatever its ratio.
const small = 1 << 20

// ErrLies is what errors wrap of an archive that is not what it says.
var ErrLies = errors.New("the archive is not what it says")

// ErrLarge is what errors wrap of an archive that has, or unpacks to, more than the
// limits say.
var ErrLarge = fmt.Errorf("%w: it is larger than it may be", ErrLies)

// lies says how.
func lies(why string) error { return problem(why, ErrLies) }

func problem(why string, err error) error {
	return &daypass.Problem{
		Code: "DP-438", What: "An archive cannot be unpacked", Why: why, Next: "Get it by hand, and look at it before you open it.", Who: "Its owner can offer the files themselves.",
		Kind: daypass.ErrRefused, Err: err,
	}
}

func large(most int64) error { return problem("it is larger than "+bytesOf(most), ErrLarge) }

// Spool keeps what is read in a file without a name: it is gone with the process, or
// when nobody holds it.
func Spool(r io.Reader, most int64) (*os.File, int64, error) {
	f, err := os.CreateTemp("", "daypass-archive-")
	if err != nil {
		return nil, 0, fmt.Errorf("archive: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("archive: %w", err)
	}
	n, err := io.Copy(f, io.LimitReader(r, most+1))
	if err == nil && n > most {
		err = large(most)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, n, nil
}

func bytesOf(n int64) string {
	for _, unit := range []string{"bytes", "KiB", "MiB"} {
		if n < 10<<10 {
			return fmt.Sprint(n, " ", unit)
		}
		n >>= 10
	}
	return fmt.Sprint(n, " GiB")
}

// A member is a file of an archive: what opens it from its beginning.
type member struct {
	size int64
	open func() (io.ReadCloser, error)
}

// Open reads a file that was listed here; false: it was not.
func Open(it daypass.Item, from int64) (io.ReadCloser, bool, error) {
	m, ok := it.Data.(*member)
	switch {
	case !ok:
		return nil, false, nil
	case it.Skip != "":
		return nil, true, lies(it.Skip)
	}
	r, err := m.open()
	if err != nil {
		return nil, true, lies("a file in it cannot be read")
	}
	out := &exact{ReadCloser: r, left: m.size}
	if _, err := io.CopyN(io.Discard, out, min(from, m.size)); err != nil && err != io.EOF {
		r.Close()
		return nil, true, err
	}
	return out, true, nil
}

// An exact reader gives as many bytes as were said, or an error.
type exact struct {
	io.ReadCloser
	left int64
}

func (e *exact) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.left -= int64(n)
	switch {
	case e.left < 0:
		return 0, lies("a file in it is longer than it says")
	case err == io.EOF && e.left > 0:
		return n, lies("a file in it is shorter than it says")
	case err != nil && err != io.EOF:
		return n, lies("a file in it is damaged")
	}
	return n, err
}

// parts cuts a name, and says why it cannot be one.
func parts(name string) ([]string, string) {
	out := strings.Split(name, "/")
	switch {
	case name == "" || strings.HasPrefix(name, "/"):
		return shown(out), "its name begins at the root of a machine"
	case slices.Contains(out, ".."):
		return shown(out), "its name leads out of the archive"
	case slices.Contains(out, "") || slices.Contains(out, "."):
		return shown(out), "its name can be read in two ways"
	case strings.ContainsAny(name, "\\\x00"):
		return out, "its name can be read in two ways"
	}
	return out, ""
}

// shown leaves out the empty parts, which no listing has.
func shown(parts []string) []string {
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	if len(parts) == 0 {
		return []string{"no name"}
	}
	return parts
}

// flat takes away one folder that all lies in.
func (l Limits) flat(items []daypass.Item) []daypass.Item {
	if len(items) == 0 || l.Keep {
		return items
	}
	for _, it := range items {
		if len(it.Parts) < 2 || it.Parts[0] != items[0].Parts[0] {
			return items
		}
	}
	for i := range items {
		items[i].Parts = items[i].Parts[1:]
	}
	return items
}

func ratioOf(l Limits, size, packed int64) string {
	if size > small && size/l.Ratio > packed {
		return fmt.Sprintf("it is packed to less than a part in %d, as no honest file is", l.Ratio)
	}
	return ""
}
