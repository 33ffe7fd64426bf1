package fake

import (
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// DevpiConfig is what [NewDevpi] needs.
type DevpiConfig struct {
	Root string // root's password
	// SessionKey is the 16 bytes that a devpi-server derives from its secret file
	// and signs sessions with; nil means random ones.
	SessionKey []byte
	Now        func() time.Time // nil means time.Now
	Rand       io.Reader        // nil means crypto/rand
}

// A Devpi is a devpi-server without plugins, as far as its own client, twine, pip
// and uv see it: users, indexes with bases, uploads, the simple pages and files. It
// has no mirrors, documentation, results of tests, or replicas. It is written from
// devpi's documentation, and internal/devpitest holds it to a real one.
//
// Unlike the real one it cannot say why in the phrase after a status.
type Devpi struct {
	faults
	session []byte
	clock   func() time.Time

	mu    sync.Mutex
	skew  time.Duration
	users map[string]*devpiUser
}

type devpiUser struct {
	name, password string
	created        time.Time
	about          map[string]any // email, title and the like
	indexes        map[string]*devpiIndex
}

type devpiIndex struct {
	user, name string
	bases      []string // "user/index"
	upload     []string // who may
	results    []string // who may send results of tests
	volatile   bool
	projects   map[string]*devpiProject // by normalised name
}

type devpiProject struct {
	name     string
	versions map[string]*devpiVersion
}

type devpiVersion struct {
	fields map[string]string
	files  []*devpiFile
}

type devpiFile struct {
	name, sum string
	data      []byte
	who       string
	when      time.Time
}

// NewDevpi returns an index with nobody but root.
func NewDevpi(c DevpiConfig) *Devpi {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.SessionKey == nil {
		c.SessionKey = make([]byte, 16)
		if _, err := io.ReadFull(c.Rand, c.SessionKey); err != nil {
			panic(fmt.Sprintf("fake: no randomness: %v", err))
		}
	}
	d := &Devpi{session: devpiSigner(c.SessionKey), clock: c.Now, users: map[string]*devpiUser{}}
	d.addUser("root", c.Root, nil)
	return d
}

func (d *Devpi) now() time.Time { return d.clock().Add(d.skew) }

// Advance moves the index's clock forward.
func (d *Devpi) Advance(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.skew += by
}

// AddUser makes somebody, with an index "dev" of their own.
func (d *Devpi) AddUser(name, password string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.addUser(name, password, nil)
	u.indexes["dev"] = newDevpiIndex(name, "dev")
}

// RemoveUser removes somebody and all that is theirs.
func (d *Devpi) RemoveUser(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.users, name)
}

// Files returns the names of the files of an index, such as "ann/dev", in order.
func (d *Devpi) Files(index string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	if ix := d.index(index); ix != nil {
		for _, p := range ix.projects {
			for _, v := range p.versions {
				for _, f := range v.files {
					out = append(out, f.name)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func (d *Devpi) addUser(name, password string, about map[string]any) *devpiUser {
	u := &devpiUser{name: name, password: password, created: d.now(), about: about, indexes: map[string]*devpiIndex{}}
	d.users[name] = u
	return u
}

func newDevpiIndex(user, name string) *devpiIndex {
	return &devpiIndex{user: user, name: name, upload: []string{user}, results: []string{":ANONYMOUS:"}, volatile: true, projects: map[string]*devpiProject{}}
}

// index finds one by "user/index".
func (d *Devpi) index(path string) *devpiIndex {
	user, name, _ := strings.Cut(path, "/")
	if u := d.users[user]; u != nil {
		return u.indexes[name]
	}
	return nil
}

func (ix *devpiIndex) path() string { return ix.user + "/" + ix.name }

// layers are an index and all of its bases, each once, the nearest first.
func (d *Devpi) layers(ix *devpiIndex) []*devpiIndex {
	out := []*devpiIndex{ix}
	for i := 0; i < len(out); i++ {
		for _, b := range out[i].bases {
			if base := d.index(b); base != nil && !slices.Contains(out, base) {
				out = append(out, base)
			}
		}
	}
	return out
}

// maxDevpiBody is the most that is taken of a body.
const maxDevpiBody = 256 << 20

// ServeHTTP answers as devpi-server does.
func (d *Devpi) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := d.take(r)
	w.Header().Set("X-Devpi-Api-Version", "2")
	w.Header().Set("X-Devpi-Server-Version", "6.19.3")
	if fault != nil {
		fault.serve(w, r, http.HandlerFunc(d.route))
		return
	}
	d.route(w, r)
}

// A devpiCall is a request that is being answered. The lock is held.
type devpiCall struct {
	*Devpi
	w   http.ResponseWriter
	r   *http.Request
	who string // "" is nobody
	// form is the body of an upload, read before the lock was taken.
	form devpiForm
	// later is what is sent after the lock is given back.
	later func()
}

func (d *Devpi) route(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxDevpiBody)
	c := &devpiCall{Devpi: d, w: w, r: r}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		if err := c.form.read(r); err != nil {
			c.say(http.StatusBadRequest, err.Error())
			return
		}
	}
	c.answer()
	if c.later != nil {
		c.later()
	}
}

func (c *devpiCall) answer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.r
	c.who = c.caller()
	// What is escaped is decoded before anything is looked up, as WSGI does.
	if outside, err := url.Parse(r.Header.Get("X-Outside-Url")); err == nil {
		r.URL.Path = strings.TrimPrefix(r.URL.Path, outside.Path) // OutsideURLMiddleware
	}
	path := strings.TrimLeft(r.URL.Path, "/")
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	if parts[len(parts)-1] == "+api" && len(parts) <= 3 && r.Method == http.MethodGet {
		c.api(parts[:len(parts)-1])
		return
	}
	switch {
	case path == "+login" && r.Method == http.MethodPost:
		c.login()
	case path == "" && r.Method == http.MethodGet:
		c.listUsers()
	case slices.ContainsFunc(parts[:min(2, len(parts))], func(p string) bool { return strings.Contains(p, "+") || p == "" }):
		c.nowhere()
	case len(parts) == 1:
		c.serveUser(parts[0])
	case len(parts) == 2:
		c.serveIndex(parts[0], parts[1], strings.HasSuffix(path, "/"))
	default:
		c.serveBelow(parts, strings.HasSuffix(path, "/"))
	}
}

// serveBelow answers for what is in an index.
func (c *devpiCall) serveBelow(parts []string, slash bool) {
	ix := c.index(parts[0] + "/" + parts[1])
	rest := parts[2:]
	read := c.r.Method == http.MethodGet || c.r.Method == http.MethodHead
	switch {
	case ix == nil:
		c.noIndex(parts[0], parts[1])
	case rest[0] == "+simple" && len(rest) == 1 && read:
		c.simpleList(ix, slash)
	case rest[0] == "+simple" && len(rest) == 2 && read:
		c.simpleProject(ix, rest[1], slash)
	case rest[0] == "+f" && len(rest) == 4 && read:
		c.file(ix, rest[1]+rest[2], rest[3])
	case strings.HasPrefix(rest[0], "+") || len(rest) > 2:
		c.nowhere()
	case len(rest) == 1:
		c.serveProject(ix, rest[0], slash)
	default:
		c.serveVersion(ix, rest[0], rest[1])
	}
}

// outside is where clients find the index, without a slash at its end.
func (c *devpiCall) outside() string {
	if u := c.r.Header.Get("X-Outside-Url"); u != "" {
		return strings.TrimRight(u, "/")
	}
	return "http://" + c.r.Host
}

// give answers with a result of a type.
func (c *devpiCall) give(status int, kind string, result any) {
	c.json(status, map[string]any{"type": kind, "result": result})
}

// say answers with a message.
func (c *devpiCall) say(status int, message string) {
	c.json(status, map[string]any{"message": message})
}

func (c *devpiCall) json(status int, v any) {
	c.w.Header().Set("Content-Type", "application/json")
	writeJSON(c.w, status, v)
}

// fail answers as the framework below devpi does.
func (c *devpiCall) fail(status int, title, why string) {
	c.json(status, map[string]any{"message": why, "code": fmt.Sprint(status, " ", title), "title": title})
}

func (c *devpiCall) nowhere() {
	c.fail(http.StatusNotFound, "Not Found", "The resource could not be found.\n\n\n"+c.r.URL.Path+"\n\n")
}

func (c *devpiCall) forbid() {
	c.fail(http.StatusForbidden, "Forbidden", "Access was denied to this resource.\n\n\nUnauthorized: PyPIView failed permission check\n\n")
}

func (c *devpiCall) noIndex(user, name string) {
	c.say(http.StatusNotFound, "The stage "+user+"/"+name+" could not be found.")
}

// move sends the client to the path as it should be.
func (c *devpiCall) move(path string) {
	c.w.Header().Set("Location", c.outside()+"/"+path)
	c.fail(http.StatusFound, "Found", "The resource was found at "+c.outside()+"/"+path+"; you should be redirected automatically.\n\n")
}

var devpiName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// devpiNormal is a project's name as devpi compares it.
func devpiNormal(name string) string {
	return strings.ToLower(devpiName.ReplaceAllString(name, "-"))
}

// names are the projects of an index, in order.
func (ix *devpiIndex) names() []string {
	return append([]string{}, slices.Sorted(maps.Keys(ix.projects))...)
}
