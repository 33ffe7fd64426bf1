// Package web is what all pages share, whoever serves them: the frame and the
// templates, the files behind them under names that never change their meaning,
// and the headers that say what a browser may do with a page.
//
// It knows no person, no rule and no route. What a page shows is handed in; all
// of it is shown as text.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"
	"unicode"
)

//go:embed templates/*.html templates/pull/*.html static/*
var files embed.FS

// Static serves the files of the pages, each under a name with its own hash in
// it, so that a browser may keep it for ever.
type Static struct {
	base   string // "/services/daypass/static/"
	hashed map[string]string
	files  map[string]file
}

type file struct {
	kind        string
	body, small []byte // small is gzipped; nil where that is no gain
}

// NewStatic serves under base, a path that starts and ends with a slash.
func NewStatic(base string) (*Static, error) {
	s := &Static{base: base, hashed: map[string]string{}, files: map[string]file{}}
	entries, err := fs.ReadDir(files, "static")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		body, err := fs.ReadFile(files, "static/"+e.Name())
		if err != nil {
			return nil, err
		}
		ext := path.Ext(e.Name())
		if ext == ".css" {
			body = dataImage.ReplaceAll(body, []byte("none"))
		}
		sum := sha256.Sum256(body)
		name := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		f := file{kind: mime.TypeByExtension(ext), body: body}
		if f.small, err = pack(body); err != nil {
			return nil, err
		}
		s.hashed[e.Name()], s.files[name] = base+name, f
	}
	return s, nil
}

// dataImage is a picture within a style sheet, which our policy does not load. Our
// own sheet says so of each that Pico has; a browser may ask before it has ours.
var dataImage = regexp.MustCompile(`url\("data:[^"]*"\)`)

func pack(body []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if b.Len() >= len(body) {
		return nil, nil
	}
	return b.Bytes(), nil
}

// Path is where the file of that name is served. An unknown name is an error,
// so that a page with a wrong link fails its test.
func (s *Static) Path(name string) (string, error) {
	if p, ok := s.hashed[name]; ok {
		return p, nil
	}
	return "", fmt.Errorf("no file %q among those of the pages", name)
}

// ServeHTTP answers GET and HEAD. The files are public and the same for
// everybody; a page whose origin is hidden from its own host needs them too, so
// that any origin may embed them.
func (s *Static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[strings.TrimPrefix(r.URL.Path, s.base)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Vary", "Accept-Encoding")
	body := f.body
	if f.small != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.small
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the browser went away
	}
}

// Pages are the templates: each file of templates/ but the frame is one page,
// and fills the frame's block "main".
type Pages map[string]*template.Template

// Parse reads the templates of the access service. The functions are those that
// the templates call.
func Parse(funcs template.FuncMap) (Pages, error) { return parse("templates", funcs) }

// ParsePull reads the templates of the page around pulls, which has a frame and
// functions of its own.
func ParsePull(funcs template.FuncMap) (Pages, error) { return parse("templates/pull", funcs) }

func parse(dir string, funcs template.FuncMap) (Pages, error) {
	frame, err := template.New("frame.html").Funcs(funcs).ParseFS(files, dir+"/frame.html", dir+"/parts.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, dir+"/*.html")
	if err != nil {
		return nil, err
	}
	out := Pages{}
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".html")
		if base == "frame" || base == "parts" {
			continue
		}
		t, err := frame.Clone()
		if err != nil {
			return nil, err
		}
		if out[base], err = t.ParseFS(files, name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Render writes the page of that name. Nothing is sent where it fails.
func (p Pages) Render(name string, data any) ([]byte, error) {
	t, ok := p[name]
	if !ok {
		return nil, fmt.Errorf("no page %q", name)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "frame.html", data); err != nil {
		return nil, err
	}
	return visible(b.Bytes()), nil
}

// visible puts a sign in place of every character that cannot be seen or that
// turns the direction of others: no template has one, so that it came from
// outside, perhaps to make a name look like another.
func visible(page []byte) []byte {
	return bytes.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Variation_Selector):
			return '\uFFFD'
		}
		return r
	}, page)
}

// Size writes a number of bytes as people say it.
func Size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%d kB", n/1000)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
