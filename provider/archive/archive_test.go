package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/daypass-dev/daypass"
)

// A zipFile is an entry as it is written, whether true or not.
type zipFile struct {
	name, text string
	method     uint16 // 0xffff: deflate
	mode       fs.FileMode
	flags      uint16
	size       uint64 // that is said; 0: the true one
}

func zipped(t testing.TB, files ...zipFile) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: f.method, Flags: f.flags, CRC32: crc32.ChecksumIEEE([]byte(f.text))}
		if f.mode != 0 {
			h.SetMode(f.mode)
		}
		body := []byte(f.text)
		if f.method == 0xffff {
			h.Method = zip.Deflate
			body = deflated(t, f.text)
		}
		h.CompressedSize64, h.UncompressedSize64 = uint64(len(body)), uint64(len(f.text))
		if f.size != 0 {
			h.UncompressedSize64 = f.size
		}
		w, err := z.CreateRaw(h)
		if err == nil {
			_, err = w.Write(body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// deflated is how a text is packed.
func deflated(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("x")
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := r.File[0].OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func listZip(t testing.TB, b []byte, l Limits) ([]daypass.Item, error) {
	t.Helper()
	f, n, err := Spool(bytes.NewReader(b), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return Zip(f, n, "id", l)
}

func read(it daypass.Item, from int64) (string, error) {
	r, ok, err := Open(it, from)
	if !ok || err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	return string(text), err
}

func TestZip(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	items, err := listZip(t, zipped(t, zipFile{name: "lab/"}, zipFile{name: "lab/a.txt", text: "one"}, zipFile{name: "lab/d/b.txt", text: long, method: 0xffff}, zipFile{name: "lab/run", text: "#!", mode: 0o755}), Limits{})
	if err != nil || len(items) != 3 {
		t.Fatal(items, err)
	}
	for i, want := range []string{"a.txt", "d/b.txt", "run"} {
		if got := strings.Join(items[i].Parts, "/"); got != want || items[i].Skip != "" || items[i].Mark == "" || items[i].Exec != (want == "run") {
			t.Errorf("%+v", items[i])
		}
	}
	for _, from := range []int64{0, 1, 9999, 10000, 20000} {
		if got, err := read(items[1], from); err != nil || got != long[min(from, 10000):] {
			t.Errorf("from %d: %d bytes, %v", from, len(got), err)
		}
	}
	if _, ok, _ := Open(daypass.Item{Data: "another's"}, 0); ok {
		t.Error("it opens what it did not list")
	}
}

// TestZipNames: each of these is left out, and said to be.
func TestZipNames(t *testing.T) {
	for _, name := range []string{"../evil", "../../evil", "a/../../evil", "a/..", "/etc/passwd", "//host/x", "a//b", "./a", "a/./b", "a\\..\\b", "\\\\host\\x", "C:\\x", "a\x00b", ""} {
		items, err := listZip(t, zipped(t, zipFile{name: name, text: "x"}, zipFile{name: "good.txt", text: "fine"}), Limits{})
		if err != nil || len(items) != 2 || items[0].Skip == "" || items[1].Skip != "" {
			t.Errorf("%q: %+v, %v", name, items, err)
			continue
		}
		if _, err := read(items[0], 0); !errors.Is(err, daypass.ErrRefused) {
			t.Errorf("%q opens: %v", name, err)
		}
		if len(items[0].Parts) == 0 {
			t.Errorf("%q has no parts", name)
		}
	}
	for what, f := range map[string]zipFile{
		"a link": {name: "a", text: "/etc/passwd", mode: fs.ModeSymlink | 0o777}, "a device": {name: "a", mode: fs.ModeDevice | 0o600}, "a pipe": {name: "a", mode: fs.ModeNamedPipe | 0o600},
		"encrypted": {name: "a", text: "x", flags: 1}, "another way": {name: "a", text: "x", method: 99},
	} {
		if items, err := listZip(t, zipped(t, f), Limits{}); err != nil || len(items) != 1 || items[0].Skip == "" {
			t.Errorf("%s: %+v, %v", what, items, err)
		}
	}
	items, err := listZip(t, zipped(t, zipFile{name: "a.zip", text: string(zipped(t, zipFile{name: "in", text: "x"}))}, zipFile{name: "twice", text: "1"}, zipFile{name: "twice", text: "2"}), Limits{})
	if err != nil || len(items) != 3 || items[0].Parts[0] != "a.zip" {
		t.Errorf("an archive in it, and two of one name: %+v, %v", items, err)
	}
}

// TestZipLies: none of these is read.
func TestZipLies(t *testing.T) {
	many := make([]zipFile, 300)
	for i := range many {
		many[i] = zipFile{name: fmt.Sprint(i)}
	}
	whole := zipped(t, zipFile{name: "a", text: "one"}, zipFile{name: "b", text: "two"})
	for what, c := range map[string]struct {
		zip    []byte
		limits Limits
	}{
		"nothing": {zip: nil}, "text": {zip: []byte("hello")}, "cut": {zip: whole[:len(whole)-10]}, "many": {zipped(t, many...), Limits{Files: 100}},
		"much": {zipped(t, zipFile{name: "a", text: "x", size: 1 << 40}), Limits{}}, "overlap": {zip: overlapping(t)}, "behind the end": {zip: patched(t, whole, 20, 0xfffffff0)},
	} {
		if items, err := listZip(t, c.zip, c.limits); !errors.Is(err, ErrLies) || !errors.Is(err, daypass.ErrRefused) || items != nil {
			t.Errorf("%s: %d items, %v", what, len(items), err)
		}
	}
	zeros := strings.Repeat("\x00", 8<<20)
	for what, c := range map[string]struct {
		file zipFile
		skip bool
	}{
		"longer": {zipFile{name: "a", text: "four", size: 3}, false}, "shorter": {zipFile{name: "a", text: "four", size: 5}, false}, "a bomb": {zipFile{name: "a", text: zeros, method: 0xffff}, true},
		"a bomb that says it is small": {zipFile{name: "a", text: zeros, method: 0xffff, size: 10}, false},
	} {
		items, err := listZip(t, zipped(t, c.file), Limits{})
		if err != nil || len(items) != 1 || (items[0].Skip != "") != c.skip {
			t.Fatalf("%s: %+v, %v", what, items, err)
		}
		if got, err := read(items[0], 0); !errors.Is(err, ErrLies) || len(got) > 1<<20 {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
	}
	// A byte that is wrong: the checksum tells.
	bad := bytes.Replace(zipped(t, zipFile{name: "a", text: "the very text"}), []byte("very"), []byte("vexy"), 1)
	items, err := listZip(t, bad, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(items[0], 0); !errors.Is(err, ErrLies) {
		t.Error(err)
	}
}

// TestDirectory: a directory that counts its entries wrongly is not read to its end.
func TestDirectory(t *testing.T) {
	files := make([]zipFile, 70_000)
	for i := range files {
		files[i] = zipFile{name: "some name that is somewhat long, as names are in such an archive/" + fmt.Sprint(i)}
	}
	if _, err := listZip(t, zipped(t, files...), Limits{Files: 1000}); !errors.Is(err, ErrLies) {
		t.Error(err)
	}
}

// patched sets four bytes of the first entry of the directory.
func patched(t *testing.T, b []byte, at int, v uint32) []byte {
	t.Helper()
	b = bytes.Clone(b)
	n := bytes.Index(b, []byte("PK\x01\x02"))
	if n < 0 {
		t.Fatal("no directory")
	}
	binary.LittleEndian.PutUint32(b[n+at:], v)
	return b
}

// overlapping has two entries that are the same bytes: of the second, the directory
// says that it begins where the first does.
func overlapping(t *testing.T) []byte {
	t.Helper()
	b := bytes.Clone(zipped(t, zipFile{name: "a", text: "one"}, zipFile{name: "b", text: "two"}))
	n := bytes.LastIndex(b, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(b[n+42:], 0)
	return b
}

func tarred(t *testing.T, pack bool, headers ...tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	out := io.WriteCloser(nopCloser{&b})
	if pack {
		out = gzip.NewWriter(&b)
	}
	w := tar.NewWriter(out)
	for _, h := range headers {
		text := h.Uname
		h.Uname, h.Size, h.Mode = "", int64(len(text)), 0o644
		if h.Typeflag != 0 && h.Typeflag != tar.TypeReg {
			h.Size = 0
			text = ""
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
	return &b
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// TestTar: Uname holds a file's text here.
func TestTar(t *testing.T) {
	long := strings.Repeat("abc", 1000)
	for _, pack := range []bool{false, true} {
		items, err := Tar(tarred(t, pack, tar.Header{Name: "top/", Typeflag: tar.TypeDir}, tar.Header{Name: "top/a.txt", Uname: "one"}, tar.Header{Name: "top/d/b.txt", Uname: long}), Limits{})
		if err != nil || len(items) != 2 || strings.Join(items[1].Parts, "/") != "d/b.txt" || items[1].Size != 3000 || !strings.HasPrefix(items[1].Sum, "sha256:") {
			t.Fatal(items, err)
		}
		if got, err := read(items[1], 2990); err != nil || got != long[2990:] {
			t.Errorf("%q, %v", got, err)
		}
	}
	items, err := Tar(tarred(t, true, tar.Header{Name: "../evil", Uname: "x"}, tar.Header{Name: "/etc/x", Uname: "x"}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}, tar.Header{Name: "f", Typeflag: tar.TypeFifo}, tar.Header{Name: "c", Typeflag: tar.TypeChar}), Limits{})
	if err != nil || len(items) != 6 {
		t.Fatal(items, err)
	}
	for _, it := range items {
		if it.Skip == "" {
			t.Errorf("%+v", it)
		}
	}
	for what, r := range map[string]io.Reader{
		"a bomb": tarred(t, true, tar.Header{Name: "a", Uname: strings.Repeat("\x00", 8<<20)}), "text": strings.NewReader(strings.Repeat("hello", 1000)),
		"cut": io.LimitReader(tarred(t, true, tar.Header{Name: "a", Uname: long}), 60), "many": tarred(t, false, make200()...),
	} {
		if items, err := Tar(r, Limits{Files: 100}); !errors.Is(err, ErrLies) {
			t.Errorf("%s: %d items, %v", what, len(items), err)
		}
	}
}

// TestWithin: an archive of a source that may have 10,000 bytes has no more, packed or
// not, and what is larger is told from what is damaged.
func TestWithin(t *testing.T) {
	if l := Within(0); l != (Limits{}) || Within(1<<40) != (Limits{Bytes: 2 << 30, Total: 8 << 30}) {
		t.Error(l, Within(1<<40))
	}
	long := strings.Repeat("0123456789", 1500)
	for _, pack := range []bool{false, true} {
		r := &meter{Reader: io.MultiReader(tarred(t, pack, tar.Header{Name: "a", Uname: long}), strings.NewReader(strings.Repeat("x", 1<<20)))}
		if items, err := Tar(r, Within(10_000)); !errors.Is(err, ErrLarge) || items != nil || r.n > 20_000 {
			t.Errorf("packed %v: %d items after %d bytes, %v", pack, len(items), r.n, err)
		}
		if _, err := Tar(io.LimitReader(tarred(t, pack, tar.Header{Name: "a", Uname: long}), 60), Within(100_000)); !errors.Is(err, ErrLies) || errors.Is(err, ErrLarge) {
			t.Errorf("packed %v, cut: %v", pack, err)
		}
	}
	r := &meter{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
	if _, _, err := Spool(r, 10_000); !errors.Is(err, ErrLarge) || r.n > 10_001 {
		t.Errorf("%d bytes were read: %v", r.n, err)
	}
}

func make200() []tar.Header {
	out := make([]tar.Header, 200)
	for i := range out {
		out[i].Name = fmt.Sprint(i)
	}
	return out
}

// TestSpool: nothing stays on the disk, and nothing that is too large comes to it.
func TestSpool(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	f, n, err := Spool(strings.NewReader("12345"), 5)
	if err != nil || n != 5 {
		t.Fatal(n, err)
	}
	defer f.Close()
	if _, _, err := Spool(strings.NewReader("123456"), 5); !errors.Is(err, ErrLies) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
}

func FuzzZip(f *testing.F) {
	f.Add(zipped(f, zipFile{name: "a", text: "one"}, zipFile{name: "../b", text: "two", method: 0xffff}))
	f.Fuzz(func(t *testing.T, b []byte) {
		items, err := listZip(t, b, Limits{Files: 100, Total: 1 << 20})
		if err != nil && !errors.Is(err, ErrLies) {
			t.Fatal(err)
		}
		for _, it := range items {
			got, err := read(it, 0)
			if err == nil && int64(len(got)) != it.Size || len(got) > 1<<20 {
				t.Fatalf("%d bytes of %d", len(got), it.Size)
			}
			for _, p := range it.Parts {
				if it.Skip == "" && (p == "" || p == "." || p == ".." || strings.ContainsAny(p, "/\\\x00")) {
					t.Fatalf("%q", it.Parts)
				}
			}
		}
	})
}
