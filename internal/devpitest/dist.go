package devpitest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Dist is a file of a release.
type Dist struct {
	Name, Version string
	File          string // the file's name
	Kind          string // bdist_wheel or sdist
	Python        string // the tag of what runs it
	Data          []byte
}

// Digest is the hexadecimal SHA-256 of the file.
func (d Dist) Digest() string {
	sum := sha256.Sum256(d.Data)
	return hex.EncodeToString(sum[:])
}

// Write puts the file into a folder and returns its path.
func (d Dist) Write(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(dir, d.File)
	if err := os.WriteFile(path, d.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func metadata(name, version string) string {
	return "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\nSummary: a release for tests\n"
}

// module is a project's name as that of its one module.
func module(name string) string { return strings.NewReplacer("-", "_", ".", "_").Replace(name) }

// Wheel makes a wheel of one module that says its version, by the binary
// distribution format (packaging.python.org, PEP 427). The same arguments give the
// same bytes.
func Wheel(name, version string) Dist {
	mod := module(name)
	info := mod + "-" + version + ".dist-info/"
	files := [][2]string{
		{mod + ".py", fmt.Sprintf("VERSION = %q\n", version)},
		{info + "METADATA", metadata(name, version)},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: daypass\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
	}
	var record strings.Builder
	for _, f := range files {
		sum := sha256.Sum256([]byte(f[1]))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", f[0], base64.RawURLEncoding.EncodeToString(sum[:]), len(f[1]))
	}
	fmt.Fprintf(&record, "%sRECORD,,\n", info)
	files = append(files, [2]string{info + "RECORD", record.String()})
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		// A buffer takes every write.
		part, _ := w.CreateHeader(&zip.FileHeader{Name: f[0], Method: zip.Deflate, Modified: written()})
		part.Write([]byte(f[1]))
	}
	w.Close()
	return Dist{Name: name, Version: version, File: mod + "-" + version + "-py3-none-any.whl", Kind: "bdist_wheel", Python: "py3", Data: buf.Bytes()}
}

// Sdist makes a source distribution with what an index reads of it; nothing can
// build it.
func Sdist(name, version string) Dist {
	base := name + "-" + version
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for _, f := range [][2]string{{"PKG-INFO", metadata(name, version)}, {module(name) + ".py", fmt.Sprintf("VERSION = %q\n", version)}} {
		w.WriteHeader(&tar.Header{Name: base + "/" + f[0], Mode: 0o644, Size: int64(len(f[1])), ModTime: written(), Format: tar.FormatUSTAR})
		w.Write([]byte(f[1]))
	}
	w.Close()
	z.Close()
	return Dist{Name: name, Version: version, File: base + ".tar.gz", Kind: "sdist", Python: "source", Data: buf.Bytes()}
}

// written is when all files here were.
func written() time.Time { return time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC) }
