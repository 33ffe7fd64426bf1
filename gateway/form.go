package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"mime"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/daypass-dev/daypass/pass"
)

// The bounds of a form. The file is not among them.
const (
	maxFields     = 2000
	maxField      = 2 << 20 // a description
	maxAllFields  = 4 << 20
	maxPartHeader = 8
	maxHeaderLine = 1 << 10
	maxSignature  = 64 << 10
)

// A form is an upload as it was read: its fields, and where its file begins in
// the wire. It is read by ourselves and more strictly than mime/multipart does:
// what any reader could take for something else is refused, and the position in
// the wire is known, so that the length of what we write is.
type form struct {
	parts    *parts
	fields   []field
	filename string // of the file; empty where there is none
	left     int64  // from where the file begins to the end; -1 unknown

	sums  []string // of which the file must have one; nil: any
	field string   // the sum that a field announces
	sum   hash.Hash
}

type field struct{ name, value string }

// decisive are the fields that decide what an upload is. They come once; what
// only describes a release may be a list.
var decisive = []string{
	":action", "name", "version", "filetype", "pyversion", "protocol_version", "metadata_version", "md5_digest", "sha256_digest", "blake2_256_digest",
}

// get returns the value of a field that comes at most once.
func (f *form) get(name string) string {
	for _, x := range f.fields {
		if x.name == name {
			return x.value
		}
	}
	return ""
}

// readForm reads a form up to its file's first byte, or to its end where it has
// no file. length is that of the body, or -1.
func readForm(contentType string, body io.Reader, length int64) (*form, error) {
	boundary, err := boundaryOf(contentType)
	if err != nil {
		return nil, err
	}
	f := &form{parts: newParts(body, boundary), left: -1}
	if err := f.parts.first(); err != nil {
		return nil, err
	}
	size := 0
	for count := 0; !f.parts.ended; count++ {
		h, err := f.parts.header()
		if err != nil {
			return nil, err
		}
		if h.name == "content" && h.isFile {
			f.filename = h.filename
			if length >= 0 {
				f.left = length - f.parts.at
			}
			return f, nil
		}
		value, err := f.parts.value(h)
		if err != nil {
			return nil, err
		}
		if size += len(h.name) + len(value); size > maxAllFields || count >= maxFields {
			return nil, tooLarge("the upload's form has more than 2000 fields, or 4 MiB of them")
		}
		if h.isFile {
			continue // a signature: devpi has no place for it
		}
		if err := f.add(h.name, value); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *form) add(name, value string) error {
	if !utf8.ValidString(value) || strings.Contains(value, "\x00") {
		return wrongForm("a field is not UTF-8")
	}
	folded := asciiLower(name)
	switch {
	case folded == "content" || folded == "_charset_":
		return wrongForm("a field has a name that a form does not have")
	case !slices.Contains(decisive, folded):
	case folded != name:
		return wrongForm("a field has a name that differs from another by case alone")
	case slices.ContainsFunc(f.fields, func(x field) bool { return x.name == name }):
		return wrongForm("a field comes twice that can come once")
	}
	f.fields = append(f.fields, field{name, value})
	return nil
}

// boundaryOf reads a form's boundary. Nothing else is said of a form.
func boundaryOf(contentType string) (string, error) {
	media, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if err != nil || media != "multipart/form-data" || strings.Contains(contentType, "*") || strings.ContainsAny(contentType, "\\\r\n") ||
		len(params) != 1 || strings.Count(asciiLower(contentType), "boundary") != 1 {
		return "", wrongForm("its content type is not multipart/form-data with a boundary, and nothing else")
	}
	if len(boundary) == 0 || len(boundary) > 70 || !boundaryText.MatchString(boundary) {
		return "", wrongForm("its boundary is none")
	}
	return boundary, nil
}

// boundaryText is RFC 2046's bcharsnospace.
var boundaryText = regexp.MustCompile(`^[0-9A-Za-z'()+_,./:=?-]+$`)

// openForm reads an upload: devpi's submit.
func (a action) openForm(r request, body io.Reader, random io.Reader) (action, *payload, error) {
	f, err := readForm(r.content, body, r.length)
	if err != nil {
		return a, nil, err
	}
	name, verb := f.get("name"), f.get(":action")
	if !oneLine(name) || strings.Trim(pass.NormalProject(name), "-") == "" {
		return a, nil, wrongForm("it does not name one project")
	}
	a.version, a.file, a.projects, a.seen = f.get("version"), f.filename, []string{name}, []string{name}
	if a.version != "" && !oneLine(a.version) {
		return a, nil, wrongForm("its version is none")
	}
	switch {
	case verb == "submit" && f.filename == "":
		a.name = "register"
	case (verb == "file_upload" || verb == "doc_upload") && f.filename != "":
		a.upload = true
		a.projects = uploadProjects(name, f.filename, verb == "doc_upload")
		if verb == "doc_upload" {
			a.name = "upload-docs"
		}
	case verb != "submit" && verb != "file_upload" && verb != "doc_upload":
		return a, nil, wrongForm("its :action is none of submit, file_upload and doc_upload")
	default:
		return a, nil, wrongForm("its :action and its file do not belong together, or the fields do not come before the file")
	}
	if err := f.announced(); err != nil {
		return a, nil, err
	}
	p, err := f.payload(random)
	return a, p, err
}

// announced reads the sum that the form itself says its file has.
func (f *form) announced() error {
	digest := asciiLower(f.get("sha256_digest"))
	if digest == "" {
		return nil
	}
	if len(digest) != 64 || !hexDigits(digest) {
		return wrongForm("its sha256_digest is none")
	}
	f.field = "sha256:" + digest
	return nil
}

func (f *form) pin(digests []string) error {
	f.sums = slices.Clone(digests)
	if f.sums == nil {
		f.sums = []string{}
	}
	if f.filename == "" || f.field != "" && !slices.Contains(f.sums, f.field) {
		return otherFile(403, "its sum is none that the pass is for")
	}
	return nil
}

// payload writes the form again: the fields as they were read, then the file as
// it comes, then, once all of it is known to be well, the end.
func (f *form) payload(random io.Reader) (*payload, error) {
	raw := make([]byte, 24)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, err
	}
	boundary := hex.EncodeToString(raw)
	var b bytes.Buffer
	for _, x := range f.fields {
		b.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + x.name + "\"\r\n\r\n" + x.value + "\r\n")
	}
	f.fields = nil // they are in b now
	p := &payload{kind: "multipart/form-data; boundary=" + boundary, form: f}
	if f.filename == "" {
		b.WriteString("--" + boundary + "--\r\n")
		p.length, p.from = int64(b.Len()), &b
		return p, nil
	}
	b.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"content\"; filename=\"" + f.filename +
		"\"\r\nContent-Type: application/octet-stream\r\n\r\n")
	end := "\r\n--" + boundary + "--"
	p.length = -1
	if f.left >= 0 {
		most := f.left - int64(len(f.parts.delimiter)) - 2
		if most < 0 {
			return nil, cutOff("it is shorter than its form")
		}
		p.length = int64(b.Len()) + most + int64(len(end))
	}
	p.from = io.MultiReader(&b, &stream{f: f, end: end})
	return p, nil
}

// A stream hands out a form's file and, at last, the end of ours.
type stream struct {
	f    *form
	end  string // what is still to come behind the file
	done bool   // the file is through, and all is well
}

func (s *stream) Read(b []byte) (int, error) {
	if s.f.sum == nil && (s.f.sums != nil || s.f.field != "") {
		s.f.sum = sha256.New()
	}
	if s.done {
		if s.end == "" {
			return 0, io.EOF
		}
		n := copy(b, s.end)
		s.end = s.end[n:]
		return n, nil
	}
	n, err := s.f.parts.data(b)
	if s.f.sum != nil {
		s.f.sum.Write(b[:n])
	}
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if err := s.finish(); err != nil {
		return 0, err
	}
	return s.Read(b)
}

// finish asks whether the end may go upstream: nothing stands behind the file,
// and it is the one that was announced. A line's end behind the form is kept,
// since the length was told with it.
func (s *stream) finish() error {
	if !s.f.parts.ended {
		return wrongForm("something comes after the file")
	}
	if s.f.sum != nil {
		have := "sha256:" + hex.EncodeToString(s.f.sum.Sum(nil))
		if s.f.field != "" && s.f.field != have {
			return otherFile(400, "its SHA-256 is not the sha256_digest of the form")
		}
		if s.f.sums != nil && !slices.Contains(s.f.sums, have) {
			return otherFile(403, "its SHA-256 is none that the pass is for")
		}
	}
	if s.f.parts.newline || s.f.left < 0 {
		s.end += "\r\n"
	}
	s.done = true
	return nil
}

// parts takes a multipart body apart: lines end in CRLF, nothing stands before
// the first boundary but one empty line, nothing behind a boundary in its line,
// and nothing behind the last but one line's end.
type parts struct {
	r         *bufio.Reader
	delimiter []byte // CRLF, two hyphens, the boundary
	at        int64  // how much was read
	ended     bool   // the last boundary was read, and there was nothing behind it
	newline   bool   // but a line's end
}

func newParts(body io.Reader, boundary string) *parts {
	return &parts{r: bufio.NewReaderSize(body, 64<<10), delimiter: []byte("\r\n--" + boundary)}
}

// take reads exactly these bytes if they come next.
func (p *parts) take(want string) bool {
	have, _ := p.r.Peek(len(want))
	if string(have) != want {
		return false
	}
	p.skip(len(want))
	return true
}

func (p *parts) skip(n int) {
	p.r.Discard(n) // it was peeked at
	p.at += int64(n)
}

func (p *parts) first() error {
	p.take("\r\n")
	if !p.take(string(p.delimiter[2:])) {
		return wrongForm("it does not begin with its boundary")
	}
	return p.boundary()
}

// boundary reads what stands behind a boundary.
func (p *parts) boundary() error {
	if p.take("\r\n") {
		return nil
	}
	if !p.take("--") {
		if have, _ := p.r.Peek(2); len(have) < 2 {
			return cutOff("the connection ended first")
		}
		return wrongForm("something stands behind a boundary")
	}
	p.newline = p.take("\r\n")
	if _, err := p.r.Peek(1); !errors.Is(err, io.EOF) {
		if err == nil {
			return wrongForm("something stands behind its end")
		}
		return cutOff("the connection ended first")
	}
	p.ended = true
	return nil
}

// data reads of a part's content. io.EOF says that the boundary behind it was
// read too.
func (p *parts) data(b []byte) (int, error) {
	for {
		if _, err := p.r.Peek(len(p.delimiter)); err != nil {
			return 0, cutOff("the connection ended first")
		}
		have, _ := p.r.Peek(p.r.Buffered())
		i := bytes.Index(have, p.delimiter)
		if i == 0 {
			p.skip(len(p.delimiter))
			if err := p.boundary(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		if i < 0 {
			i = len(have) - len(p.delimiter) + 1
		}
		if n := copy(b, have[:i]); n > 0 || len(b) == 0 {
			p.skip(n)
			return n, nil
		}
	}
}

// value reads a field's value.
func (p *parts) value(h partHeader) (string, error) {
	most := maxField
	if h.isFile {
		most = maxSignature
	}
	var out []byte
	b := make([]byte, 4<<10)
	for {
		n, err := p.data(b)
		if out = append(out, b[:n]...); len(out) > most {
			return "", tooLarge("a field of the upload's form is too long")
		}
		if errors.Is(err, io.EOF) {
			return string(out), nil
		}
		if err != nil {
			return "", err
		}
	}
}

type partHeader struct {
	name, filename string
	isFile         bool
}

// Content-Disposition, as all clients that upload write it: no name*, no
// escapes, no names that a header could not carry.
var disposition = regexp.MustCompile(`^(?i:form-data); ?(?i:name)="([A-Za-z0-9_:.-]{1,100})"(?:; ?(?i:filename)="([ !#-.0-\[\]-~]{1,255})")?$`)

// header reads the header of a part.
func (p *parts) header() (partHeader, error) {
	lines := map[string]string{}
	for range maxPartHeader + 1 {
		line, err := p.line()
		if err != nil {
			return partHeader{}, err
		}
		if line == "" {
			// Some readers see the end of an empty part here already.
			if have, _ := p.r.Peek(len(p.delimiter) - 2); string(have) == string(p.delimiter[2:]) {
				return partHeader{}, wrongForm("a part begins with the boundary")
			}
			return readPartHeader(lines)
		}
		name, value, ok := strings.Cut(line, ":")
		name = asciiLower(name)
		if _, twice := lines[name]; twice || !ok {
			return partHeader{}, wrongForm("a part has a header twice, or a line that is no header")
		}
		lines[name] = strings.Trim(value, " ")
	}
	return partHeader{}, wrongForm("a part has more than 8 headers")
}

// line reads one line of a header. Control characters have no place in it.
func (p *parts) line() (string, error) {
	have, err := p.r.Peek(2)
	for n := 2; err == nil && n <= maxHeaderLine; n++ {
		if string(have[len(have)-2:]) == "\r\n" {
			line := string(have[:len(have)-2])
			p.skip(len(have))
			if strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				return "", wrongForm("a part's header has a control character")
			}
			return line, nil
		}
		have, err = p.r.Peek(n + 1)
	}
	if err != nil {
		return "", cutOff("the connection ended first")
	}
	return "", tooLarge("a part's header has a line of more than 1 KiB")
}

func readPartHeader(lines map[string]string) (partHeader, error) {
	m := disposition.FindStringSubmatch(lines["content-disposition"])
	if m == nil {
		return partHeader{}, wrongForm("a part's Content-Disposition is not form-data with a plain name and, for a file, a plain file name")
	}
	h := partHeader{name: m[1], filename: m[2], isFile: m[2] != ""}
	for name, value := range lines {
		switch name {
		case "content-disposition":
		case "content-transfer-encoding":
			if !slices.Contains([]string{"7bit", "8bit", "binary"}, asciiLower(value)) {
				return partHeader{}, wrongForm("a part is encoded")
			}
		case "content-type":
			media, params, err := mime.ParseMediaType(value)
			charset := asciiLower(params["charset"])
			if err != nil || strings.HasPrefix(media, "multipart/") || !slices.Contains([]string{"", "utf-8", "us-ascii"}, charset) {
				return partHeader{}, wrongForm("a part's content type is that of another form, or of another alphabet than UTF-8")
			}
		default:
			return partHeader{}, wrongForm("a part has a header that forms do not have")
		}
	}
	switch {
	case h.isFile && h.name != "content" && h.name != "gpg_signature":
		return partHeader{}, wrongForm("a file is not called content")
	case h.isFile && (h.filename == "." || h.filename == ".." || strings.Trim(h.filename, " ") != h.filename):
		return partHeader{}, wrongForm("the file has no plain name")
	}
	return h, nil
}
