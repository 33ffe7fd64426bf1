package archive

import (
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/daypass-dev/daypass"
)

// Zip lists a zip file; id stands for its bytes and becomes part of all marks. One
// folder that everything lies in is left out of the names.
func Zip(f *os.File, size int64, id string, l Limits) ([]daypass.Item, error) {
	l = l.filled()
	// The reader believes no number but counts entries, so what it reads is counted: each
	// entry of the directory costs at least 46 bytes here, and some hundred in memory.
	counted := &budget{at: f}
	counted.left.Store(1<<20 + int64(l.Files)*512)
	z, err := zip.NewReader(counted, size)
	switch {
	case errors.Is(err, errBudget):
		return nil, lies(fmt.Sprintf("it holds more than %d files", l.Files))
	case err != nil && !errors.Is(err, zip.ErrInsecurePath):
		return nil, lies("it is no zip file, or a damaged one")
	case len(z.File) > 2*l.Files: // folders stand in it too
		return nil, lies(fmt.Sprintf("it holds more than %d files", l.Files))
	}
	counted.left.Store(math.MaxInt64)
	if err := apart(z.File, size); err != nil {
		return nil, err
	}
	var items []daypass.Item
	var total uint64
	for _, e := range z.File {
		if strings.HasSuffix(e.Name, "/") && e.UncompressedSize64 == 0 {
			continue
		}
		if total += e.UncompressedSize64; total > uint64(l.Total) || len(items) >= l.Files {
			return nil, lies(fmt.Sprintf("it holds more than %d files, or more than %s", l.Files, bytesOf(l.Total)))
		}
		items = append(items, zipItem(e, id, l))
	}
	return l.flat(items), nil
}

func zipItem(e *zip.File, id string, l Limits) daypass.Item {
	it := daypass.Item{Size: int64(e.UncompressedSize64), Mark: fmt.Sprintf("%s %08x", id, e.CRC32)}
	it.Parts, it.Skip = parts(e.Name)
	mode := e.Mode()
	switch {
	case it.Skip != "":
	case mode&fs.ModeSymlink != 0:
		it.Skip = "it is a link to elsewhere"
	case !mode.IsRegular():
		it.Skip = "it is no file"
	case e.Flags&1 != 0:
		it.Skip = "it is encrypted"
	case e.Method != zip.Store && e.Method != zip.Deflate:
		it.Skip = "it is packed in a way that is not known here"
	default:
		it.Skip = ratioOf(l, it.Size, int64(e.CompressedSize64))
	}
	it.Exec = mode&0o100 != 0
	it.Data = &member{size: it.Size, open: e.Open}
	return it
}

// apart refuses files that share bytes, by which a small archive unpacks to no end.
func apart(files []*zip.File, size int64) error {
	type span struct{ from, to int64 }
	spans := make([]span, 0, len(files))
	for _, e := range files {
		from, err := e.DataOffset()
		if err != nil || e.CompressedSize64 > uint64(size) || e.UncompressedSize64 > math.MaxInt64/2 || from+int64(e.CompressedSize64) > size {
			return lies("a file in it lies where there is none")
		}
		if e.CompressedSize64 > 0 {
			spans = append(spans, span{from, from + int64(e.CompressedSize64)})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to {
			return lies("files in it overlap")
		}
	}
	return nil
}

var errBudget = errors.New("too much to read")

// A budget reads at most so many bytes. Its files are read at once.
type budget struct {
	at   io.ReaderAt
	left atomic.Int64
}

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left.Add(-int64(len(p))) < 0 {
		return 0, errBudget
	}
	return b.at.ReadAt(p, off)
}
