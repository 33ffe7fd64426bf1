package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

// smallDevpi answers as devpi-server is documented to, as far as the tests ask.
type smallDevpi struct {
	t      testing.TB
	secret string // signs sessions
	server *httptest.Server

	mu       sync.Mutex
	users    map[string]string // name to password
	created  map[string]any    // name to when, as the record has it
	indexes  map[string]indexInfo
	requests []*http.Request // as they came, without those of the gateway's own
	asked    []string        // METHOD PATH of the gateway's own
	bodies   []string
	uploads  []string                    // FILE that came to its end
	now      func() time.Time            // devpi's clock
	special  map[string]http.HandlerFunc // by path
	streams  map[string]http.HandlerFunc // likewise, with the body still to be read
}

func newSmallDevpi(t testing.TB) *smallDevpi {
	d := &smallDevpi{
		t: t, secret: "0123456789abcdef", now: time.Now, special: map[string]http.HandlerFunc{}, streams: map[string]http.HandlerFunc{},
		users: map[string]string{"root": "rootpw", "alice": "alicepw", "bob": "bobpw", "robot": "robotpw"},
		indexes: map[string]indexInfo{
			"alice/dev": {Bases: []string{"alice/base"}, Upload: []string{"alice"}}, "alice/base": {Bases: []string{"root/pypi"}, Upload: []string{"alice"}},
			"root/pypi": {}, "alice/other": {Upload: []string{"alice", "robot"}}, "bob/dev": {Bases: []string{"bob/dev"}, Upload: []string{"bob", "alice"}},
		},
	}
	d.server = httptest.NewServer(d)
	t.Cleanup(d.server.Close)
	return d
}

// sees finds whom devpi takes a request for.
func (d *smallDevpi) sees(r *http.Request) string {
	raw, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Devpi-Auth"))
	if err != nil || len(raw) == 0 {
		_, basic, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		raw, _ = base64.StdEncoding.DecodeString(basic)
	}
	user, word, _ := strings.Cut(string(raw), ":")
	d.mu.Lock()
	defer d.mu.Unlock()
	password, there := d.users[user]
	if there && (word == password || d.signed(user, word)) {
		return user
	}
	return ""
}

// signed checks a session in the way of itsdangerous.
func (d *smallDevpi) signed(user, session string) bool {
	i := strings.LastIndexByte(session, '.')
	if i < 0 {
		return false
	}
	key := sha1.Sum([]byte("itsdangerous" + "signer" + d.secret))
	m := hmac.New(sha1.New, key[:])
	m.Write([]byte(session[:i]))
	if base64.RawURLEncoding.EncodeToString(m.Sum(nil)) != session[i+1:] {
		return false
	}
	j := strings.LastIndexByte(session[:i], '.')
	stamp, err := base64.RawURLEncoding.DecodeString(session[j+1 : i])
	if err != nil {
		return false
	}
	var at int64
	for _, b := range stamp {
		at = at<<8 | int64(b)
	}
	age := d.now().Unix() - at
	var held []any
	return json.Unmarshal([]byte(session[:j]), &held) == nil && len(held) == 3 && held[0] == user && age >= 0 && age <= 36000
}

func (d *smallDevpi) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if outside, err := url.Parse(r.Header.Get("X-Outside-Url")); err == nil { // as OutsideURLMiddleware
		r.URL.Path = strings.TrimPrefix(r.URL.Path, outside.Path)
	}
	d.mu.Lock()
	stream := d.streams[r.URL.Path]
	d.mu.Unlock()
	if stream != nil {
		stream(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	d.mu.Lock()
	if r.UserAgent() == "daypass-gateway" {
		d.asked = append(d.asked, r.Method+" "+r.URL.Path)
	} else {
		d.requests, d.bodies = append(d.requests, r), append(d.bodies, string(body))
	}
	special := d.special[r.URL.Path]
	d.mu.Unlock()
	w.Header().Set("X-Devpi-Api-Version", "2")
	if special != nil {
		special(w, r)
		return
	}
	if err != nil {
		return
	}
	d.answer(w, r, body)
}

func (d *smallDevpi) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	say := func(status int, kind string, result any, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "result": result, "message": message})
	}
	who := d.sees(r)
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case path[len(path)-1] == "+api":
		status := []any{"noauth", "", []string{}}
		if who != "" {
			status = []any{"ok", who, []string{}}
		}
		say(200, "apiconfig", map[string]any{"authstatus": status, "login": r.Header.Get("X-Outside-Url") + "/+login"}, "")
	case r.URL.Path == "/+login":
		var asked struct{ User, Password string }
		if json.Unmarshal(body, &asked) != nil || asked.Password == "" || d.users[asked.User] != asked.Password {
			say(401, "", nil, "user '"+asked.User+"' could not be authenticated")
			return
		}
		key := sha1.Sum([]byte("itsdangerous" + "signer" + d.secret))
		say(200, "proxyauth", map[string]any{"password": session(key[:], asked.User, d.now()), "expiration": 36000}, "login successful")
	case len(path) == 1 && path[0] != "" && r.Method == "GET":
		if _, ok := d.users[path[0]]; !ok {
			say(404, "", nil, "no user")
			return
		}
		say(200, "userconfig", map[string]any{"created": d.created[path[0]]}, "")
	case len(path) == 1 && r.Method == "DELETE":
		if who != path[0] && who != "root" {
			w.WriteHeader(403)
			return
		}
		delete(d.users, path[0])
		say(200, "", nil, "deleted")
	case len(path) == 2 && r.Method == "GET":
		info, ok := d.indexes[path[0]+"/"+path[1]]
		if !ok {
			say(404, "", nil, "no index")
			return
		}
		say(200, "indexconfig", info, "")
	case len(path) == 2 && r.Method == "POST":
		d.upload(w, r, body, who)
	case len(path) > 2 && path[2] == "+simple":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "simple page")
	case len(path) > 2:
		fmt.Fprint(w, "file for "+who)
	default:
		say(200, "list", map[string]any{}, "")
	}
}

func (d *smallDevpi) upload(w http.ResponseWriter, r *http.Request, body []byte, who string) {
	if who == "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="pypi"`)
		w.WriteHeader(401)
		return
	}
	_, rest, _ := strings.Cut(r.Header.Get("Content-Type"), "boundary=")
	form, err := multipart.NewReader(bytes.NewReader(body), strings.Trim(rest, `"`)).ReadForm(1 << 20)
	if err != nil || len(form.File["content"]) != 1 {
		w.WriteHeader(400)
		return
	}
	d.uploads = append(d.uploads, who+" "+form.File["content"][0].Filename)
	w.Header().Set("Set-Cookie", "auth=secret")
	fmt.Fprint(w, "OK")
}

// edit changes what devpi knows, between requests.
func (d *smallDevpi) edit(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// seen returns the requests that were no question of the gateway's own.
func (d *smallDevpi) seen() []*http.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*http.Request{}, d.requests...)
}

// book keeps passes in memory.
type book struct {
	mu     sync.Mutex
	now    func() time.Time
	keys   map[pass.Identity]pass.Key
	tokens map[pass.Identity]Token
	used   map[string]int
	events []Event
	broken error
	n      int
}

func newBook(now func() time.Time) *book {
	return &book{now: now, keys: map[pass.Identity]pass.Key{}, tokens: map[pass.Identity]Token{}, used: map[string]int{}}
}

func (b *book) mint(t testing.TB, user string, limits pass.Limits) string {
	t.Helper()
	if limits.Expires.IsZero() {
		limits.Expires = b.now().Add(time.Hour)
	}
	s, err := b.Mint(t.Context(), NewToken{User: user, By: user, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return s.Reveal()
}

func (b *book) Mint(_ context.Context, n NewToken) (daypass.Secret, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	caveats, err := n.Limits.Caveats()
	if err != nil {
		return daypass.Secret{}, err
	}
	b.n++
	id := pass.Identity{Realm: pass.Realm{Kind: pass.Index, Name: "test"}, User: n.User, ID: fmt.Sprintf("ID%d", b.n)}
	b.keys[id] = pass.NewKey([]byte(fmt.Sprintf("root key %d of a book in memory..", b.n)))
	b.tokens[id] = Token{ID: id.ID, Caveats: caveats, Label: n.Label, Created: b.now(), Since: n.Since}
	p, err := pass.Mint(b.keys[id], id, caveats...)
	return p.Text(pass.Devpi), err
}

func (b *book) Open(_ context.Context, p pass.Pass) (Shown, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := pass.Verifier{Realm: pass.Realm{Kind: pass.Index, Name: "test"}, Keys: func(id pass.Identity) (pass.Key, error) {
		if k, ok := b.keys[id]; ok {
			return k, nil
		}
		return pass.Key{}, pass.ErrNoKey
	}}
	o, err := v.Open(p)
	if err != nil {
		return Shown{}, err
	}
	return Shown{
		User: o.Identity.User, ID: o.Identity.ID, Kind: pass.Index, Rights: o.Rights, Link: p.Link().Short(), Made: b.tokens[o.Identity].Created, Since: b.tokens[o.Identity].Since,
		Check: func(f pass.Facts) error { return o.Check(f, b.now()) },
		Use: func(_ context.Context, f pass.Facts) error {
			if err := o.Check(f, b.now()); err != nil {
				return err
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, u := range o.Rights.Uses {
				key := o.Link(u.Caveat).Short()
				if b.used[key] >= u.Max {
					return &pass.Refusal{Kind: pass.KindUses, Caveat: u.Caveat, Text: p.Caveats()[u.Caveat-1], Why: "it was used up"}
				}
				b.used[key]++
			}
			return nil
		},
	}, nil
}

func (b *book) List(_ context.Context, user string) ([]Token, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Token
	for id, t := range b.tokens {
		if id.User == user {
			out = append(out, t)
		}
	}
	return out, nil
}

func (b *book) End(_ context.Context, user, id, _ string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := pass.Identity{Realm: pass.Realm{Kind: pass.Index, Name: "test"}, User: user, ID: id}
	_, ok := b.tokens[key]
	delete(b.tokens, key)
	delete(b.keys, key)
	return ok, nil
}

func (b *book) Event(_ context.Context, e Event) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return "", b.broken
	}
	b.events = append(b.events, e)
	return fmt.Sprintf("E-%d", len(b.events)), nil
}

func (b *book) passes() Passes {
	return Passes{Open: b.Open, Mint: b.Mint, List: b.List, End: b.End, Event: b.Event}
}

// A stage is a gateway before a small devpi.
type stage struct {
	t       testing.TB
	devpi   *smallDevpi
	book    *book
	gateway *Gateway
	server  *httptest.Server
	log     *safeBuffer

	mu    sync.Mutex
	clock time.Duration // ahead of the real one
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *stage) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.clock)
}

func (s *stage) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock += d
}

func newStage(t testing.TB, change func(*Config)) *stage {
	t.Helper()
	s := &stage{t: t, devpi: newSmallDevpi(t), log: &safeBuffer{}}
	s.devpi.now = s.now
	s.book = newBook(s.now)
	up, _ := url.Parse(s.devpi.server.URL)
	c := Config{
		Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Upstream: up, Now: s.now, Passes: s.book.passes(),
		Acting: Acting{Key: daypass.NewSecret(s.devpi.secret)},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.URL, _ = url.Parse("http://" + l.Addr().String() + "/")
	if change != nil {
		change(&c)
	}
	if s.gateway, err = New(c); err != nil {
		t.Fatal(err)
	}
	s.server = &httptest.Server{Listener: l, Config: s.gateway.HTTP()}
	s.server.Start()
	t.Cleanup(s.server.Close)
	return s
}

// A got is an answer, with its status line.
type got struct {
	status int
	reason string
	header http.Header
	body   string
}

func (g got) message() string {
	var m struct{ Message string }
	_ = json.Unmarshal([]byte(g.body), &m)
	return m.Message
}

// do sends a request with headers given in pairs.
func (s *stage) do(method, path, body string, headers ...string) got {
	s.t.Helper()
	r, err := http.NewRequest(method, s.server.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	_, reason, _ := strings.Cut(resp.Status, " ")
	return got{resp.StatusCode, reason, resp.Header, string(b)}
}

// raw sends bytes and reads one answer.
func (s *stage) raw(text string) got {
	s.t.Helper()
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return got{}
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	_, reason, _ := strings.Cut(resp.Status, " ")
	return got{resp.StatusCode, reason, resp.Header, string(b)}
}

// uploadForm writes an upload as twine does.
func uploadForm(name, file, content string) (kind, body string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range [][2]string{{":action", "file_upload"}, {"protocol_version", "1"}, {"name", name}, {"version", "1.0"}} {
		_ = w.WriteField(f[0], f[1])
	}
	p, _ := w.CreateFormFile("content", file)
	_, _ = io.WriteString(p, content)
	_ = w.Close()
	return w.FormDataContentType(), b.String()
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func basic(user, word string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+word))}
}

func devpi(user, word string) []string {
	return []string{"X-Devpi-Auth", base64.StdEncoding.EncodeToString([]byte(user + ":" + word))}
}
