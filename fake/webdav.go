package fake

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A DAVFile is a file of a [WebDAV]; its folders come with it.
type DAVFile struct {
	Parts []string // from the root down
	Text  string
}

// A WebDAVConfig is what [NewWebDAV] needs.
type WebDAVConfig struct {
	Host     string
	User     string // "" means that everybody may read
	Password string
	Files    []DAVFile
	Closed   []string // top folders that nobody may see
	NoETags  bool
	Now      func() time.Time // nil means time.Now
}

// WebDAV is a stand-in for a server of files by RFC 4918, for reading: OPTIONS, GET,
// HEAD and PROPFIND. It is safe for concurrent use.
type WebDAV struct {
	faults
	journal
	config WebDAVConfig

	mu    sync.Mutex
	files map[string]davFile // by escaped path
}

type davFile struct {
	text     string
	modified time.Time
}

// NewWebDAV returns a server with these files.
func NewWebDAV(c WebDAVConfig) *WebDAV {
	if c.Now == nil {
		c.Now = time.Now
	}
	d := &WebDAV{config: c, files: map[string]davFile{}}
	for _, f := range c.Files {
		d.files[davPath(f.Parts)] = davFile{f.Text, time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
	}
	return d
}

func davPath(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + strings.ReplaceAll(url.PathEscape(p), "..", "%2E%2E"))
	}
	return b.String()
}

// Write gives a file other bytes, or makes one.
func (d *WebDAV) Write(parts []string, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[davPath(parts)] = davFile{text, d.config.Now().UTC()}
}

func (d *WebDAV) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scheme, user, secret := authorization(r)
	d.note(Request{At: d.config.Now(), Method: r.Method, Host: r.Host, Path: r.URL.EscapedPath(), Scheme: scheme, Username: user, Token: Fingerprint(secret)})
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.answer(w, r, user, secret) })
	if fault := d.take(r); fault != nil {
		fault.serve(w, r, answer)
		return
	}
	answer(w, r)
}

func (d *WebDAV) answer(w http.ResponseWriter, r *http.Request, user, secret string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	top, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case d.config.User != "" && (user != d.config.User || secret != d.config.Password):
		w.Header().Set("WWW-Authenticate", `Basic realm="files"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case slices.Contains(d.config.Closed, top):
		http.Error(w, "no", http.StatusForbidden)
	case r.Method == "PROPFIND":
		d.propfind(w, r, path)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		f, ok := d.files[path]
		if !ok {
			http.Error(w, "nothing is there", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		if !d.config.NoETags {
			w.Header().Set("ETag", f.tag())
		}
		http.ServeContent(w, r, "", f.modified, strings.NewReader(f.text))
	default:
		http.Error(w, "this server is for reading", http.StatusMethodNotAllowed)
	}
}

func (f davFile) tag() string {
	sum := sha1.Sum([]byte(f.text))
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// propfind lists a folder, or describes what is there: RFC 4918, 9.1, with all
// properties, since a body is not asked for.
func (d *WebDAV) propfind(w http.ResponseWriter, r *http.Request, path string) {
	depth := r.Header.Get("Depth")
	if depth != "0" && depth != "1" {
		http.Error(w, "no listing without an end", http.StatusForbidden)
		return
	}
	file, isFile := d.files[path]
	children := map[string]*davFile{}
	for p, f := range d.files {
		rest, below := strings.CutPrefix(p, path+"/")
		if !below {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		if deeper {
			children[name] = nil
		} else {
			children[name] = &f
		}
	}
	if !isFile && len(children) == 0 && path != "" {
		http.Error(w, "nothing is there", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", `application/xml; charset="utf-8"`)
	w.WriteHeader(http.StatusMultiStatus)
	fmt.Fprint(w, xml.Header+`<D:multistatus xmlns:D="DAV:">`)
	if isFile {
		d.response(w, path, &file)
	} else {
		d.response(w, path+"/", nil)
	}
	for name, f := range children {
		switch {
		case depth == "0":
		case f == nil:
			d.response(w, path+"/"+name+"/", nil)
		default:
			d.response(w, path+"/"+name, f)
		}
	}
	fmt.Fprint(w, `</D:multistatus>`)
}

func (d *WebDAV) response(w http.ResponseWriter, href string, f *davFile) {
	fmt.Fprint(w, `<D:response><D:href>`)
	xml.EscapeText(w, []byte(href))
	fmt.Fprint(w, `</D:href><D:propstat><D:prop>`)
	if f == nil {
		fmt.Fprint(w, `<D:resourcetype><D:collection/></D:resourcetype>`)
	} else {
		fmt.Fprintf(w, `<D:resourcetype/><D:getcontentlength>%d</D:getcontentlength><D:getlastmodified>%s</D:getlastmodified>`, len(f.text), f.modified.Format(http.TimeFormat))
		if !d.config.NoETags {
			fmt.Fprintf(w, `<D:getetag>%s</D:getetag>`, strings.ReplaceAll(f.tag(), `"`, "&quot;"))
		}
	}
	fmt.Fprint(w, `</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>`)
}
