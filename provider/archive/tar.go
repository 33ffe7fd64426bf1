package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/daypass-dev/daypass"
)

// Tar lists a tar file, packed by gzip or not. Its files are kept unpacked, one after
// the other.
func Tar(r io.Reader, l Limits) ([]daypass.Item, error) {
	l = l.filled()
	packed := &meter{Reader: io.LimitReader(r, l.Bytes+1)}
	in := io.Reader(bufio.NewReader(packed))
	if head, err := in.(*bufio.Reader).Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		if in, err = gzip.NewReader(in); err != nil {
			return nil, lies("it is no tar file, or a damaged one")
		}
	}
	plain := &meter{Reader: io.LimitReader(in, l.Total+1), ratio: l.Ratio, of: packed}
	f, _, err := Spool(strings.NewReader(""), 0)
	if err != nil {
		return nil, err
	}
	items, err := spoolTar(tar.NewReader(plain), f, l)
	switch {
	case err == nil:
		return l.flat(items), nil
	case errors.Is(err, errRatio):
		err = lies(fmt.Sprintf("it is packed to less than a part in %d, as no honest archive is", l.Ratio))
	case packed.n > l.Bytes || plain.n > l.Total:
		err = large(min(l.Bytes, l.Total))
	case errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		err = lies("it is no tar file, or a damaged one")
	}
	f.Close()
	return nil, err
}

func spoolTar(t *tar.Reader, f *os.File, l Limits) (items []daypass.Item, err error) {
	var at int64
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case err == io.EOF:
			return items, nil
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			return nil, err
		case n >= 2*l.Files || len(items) >= l.Files:
			return nil, lies(fmt.Sprintf("it holds more than %d files", l.Files))
		case h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader:
			continue
		}
		it := daypass.Item{Size: h.Size, Exec: h.Mode&0o100 != 0}
		it.Parts, it.Skip = parts(strings.TrimPrefix(h.Name, "./"))
		switch {
		case h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink:
			it.Skip = "it is a link to elsewhere"
		case h.Typeflag != tar.TypeReg:
			it.Skip = "it is no file"
		}
		sum := sha256.New()
		size, err := io.Copy(io.MultiWriter(f, sum), t)
		if err != nil {
			return nil, err
		}
		from := at
		at += size
		it.Size, it.Sum = size, "sha256:"+hex.EncodeToString(sum.Sum(nil))
		it.Data = &member{size: size, open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(f, from, size)), nil
		}}
		items = append(items, it)
	}
}

var errRatio = errors.New("packed too well")

// A meter counts, and where it is of another one, holds to a ratio.
type meter struct {
	io.Reader
	n     int64
	ratio int64
	of    *meter
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.n += int64(n)
	if m.of != nil && m.n > small && m.n/m.ratio > m.of.n {
		return n, errRatio
	}
	return n, err
}
