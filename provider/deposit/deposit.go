// Package deposit is what readers of archives of research data have in common: one
// host that is asked by GET, answers in JSON, and keeps its files there or where it
// sends one to; a pace; a few downloads at once; and one zip that is looked into. It
// knows none of their interfaces.
package deposit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/archive"
	"github.com/daypass-dev/daypass/provider/readonly"
)

// A Config is which site is read, and as whom. Host is required.
type Config struct {
	Host string // "zenodo.org", "127.0.0.1:8080"
	// Token is a person's or a hub's, for Host alone; nil: as everybody.
	Token func(ctx context.Context) (daypass.Secret, error)
	// Also are further hosts that the site may send one to for bytes, beside those in a
	// table of known stores.
	Also func(host string) bool
	// Plain asks by http, at loopback addresses only.
	Plain    bool
	MaxItems int // of a listing; 0 means 20,000
	Archive  archive.Limits
	Pace     daypass.Pace // nil: the site's own
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Proxy    func(*http.Request) (*url.URL, error)
	Base     http.RoundTripper // for tests
	Now      func() time.Time  // nil means time.Now
}

// Traits are what a kind of site wants to be asked like.
type Traits struct {
	API       string        // the host that is asked; "": Config.Host
	Header    string        // that carries the token in place of Authorization; ""
	Every     time.Duration // one request in this time
	Burst     int           // and so many at once before that; 0 means 1
	Downloads int           // files at once; 0 means 4
}

// A Site is asked. It is safe for concurrent use.
type Site struct {
	Config
	traits Traits
	api    string
	client *http.Client
	slots  chan struct{}
}

// stores are services that sites keep bytes at, by the ends of their names: each
// address there is signed by the site, and gets no credential of ours.
var stores = []string{".amazonaws.com", ".blob.core.windows.net", "storage.googleapis.com", ".cloudfront.net", ".r2.cloudflarestorage.com"}

// New returns a site.
func New(c Config, t Traits) *Site {
	if c.MaxItems == 0 {
		c.MaxItems = 20_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Site{Config: c, traits: t, api: c.Host}
	if t.API != "" {
		s.api = t.API
	}
	if s.Pace == nil {
		s.Pace = NewPace(t.Every, max(1, t.Burst), c.Now)
	}
	var bound []readonly.Bound
	if c.Token != nil {
		bound = []readonly.Bound{{Host: s.api, Header: t.Header, Token: c.Token}}
	}
	s.slots = make(chan struct{}, max(1, t.Downloads))
	if t.Downloads == 0 {
		s.slots = make(chan struct{}, 4)
	}
	s.client = readonly.Client(readonly.Config{
		Hosts: s.known, Bound: bound, Loopback: c.Plain, Dial: c.Dial, Proxy: c.Proxy, Base: c.Base, Pace: s.Pace, Retry: readonly.Retry{Now: c.Now},
		Units: func(r *http.Request) int {
			if readonly.Host(r) == s.api {
				return 1
			}
			return 0 // a store is not the site
		},
	})
	return s
}

func (s *Site) known(host string) bool {
	if host == s.api || host == s.Host || s.Also != nil && s.Also(host) {
		return true
	}
	for _, end := range stores {
		if host == end || strings.HasPrefix(end, ".") && strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}

// API is the host that is asked.
func (s *Site) API() string { return s.api }

// URL is an address at the host that is asked; each part becomes one segment.
func (s *Site) URL(parts ...string) string {
	var b strings.Builder
	b.WriteString("https://")
	if s.Plain {
		b.Reset()
		b.WriteString("http://")
	}
	b.WriteString(s.api)
	for _, p := range parts {
		b.WriteString("/" + strings.ReplaceAll(url.PathEscape(p), "..", "%2E%2E"))
	}
	return b.String()
}

// Page is an address for people, at the site itself.
func (s *Site) Page(parts ...string) string {
	return strings.Replace(s.URL(parts...), "://"+s.api, "://"+s.Host, 1)
}

// None is the message of a place that is not there, or that may not be read.
func (s *Site) None() daypass.Problem {
	return daypass.Problem{
		Code: "DP-435", What: s.Host + " shows no such deposit", Why: "it does not exist, or may not be read by everybody", Next: "Check the address; ask its owner whether its files are open.",
	}
}

// Absent is [Site.None] as an error.
func (s *Site) Absent() error {
	p := s.None()
	p.Kind, p.Err = daypass.ErrRefused, daypass.ErrNoSource
	return &p
}

// Without is [Site.Absent] for a folder of a place that is there.
func (s *Site) Without(no *daypass.NoFolder) error {
	p := s.None()
	p.Kind, p.Err = daypass.ErrRefused, errors.Join(daypass.ErrNoSource, no)
	return &p
}

// Odd is the error of a source that names nothing here: before any request.
func (s *Site) Odd() error {
	return &daypass.Problem{
		Code: "DP-436", What: "This names no deposit at " + s.Host, Why: "its id is none of that site's", Next: "Copy the address of its page.", Kind: daypass.ErrRefused,
	}
}

// Unavailable is the error of a file that is listed and cannot be had.
func (s *Site) Unavailable(why string) error {
	return &daypass.Problem{Code: "DP-437", What: "A file at " + s.Host + " cannot be had", Why: why, Next: "Ask its owner for a copy.", Kind: daypass.ErrRefused}
}

// ErrDenied is in the error of a file that a site keeps from whoever asks.
var ErrDenied = errors.New("deposit: it is not given to this token, or without one")

func (s *Site) denied() error {
	return &daypass.Problem{
		Code: "DP-437", What: "A file at " + s.Host + " cannot be had", Why: "the site does not give it to everybody", Next: "Ask its owner for a copy.", Kind: daypass.ErrRefused, Err: ErrDenied,
	}
}

// Partial is the error of a listing that is not all of it.
func (s *Site) Partial() error {
	return readonly.Failure(s.Host, fmt.Errorf("deposit: not all of it could be listed"))
}

// maxPage is how long an answer in JSON may be.
const maxPage = 32 << 20

// JSON asks and reads an answer; accept may be "". What is not there is
// [daypass.ErrNoSource], where the site itself says so: by JSON.
func (s *Site) JSON(ctx context.Context, address, accept string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return readonly.Failure(s.Host, err)
	}
	if accept == "" {
		accept = "application/json"
	}
	req.Header.Set("Accept", accept)
	res, err := s.client.Do(req)
	if err != nil {
		return readonly.Failure(s.Host, err)
	}
	speaks := jsonType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode == http.StatusOK && speaks:
	case !speaks && (res.StatusCode == http.StatusOK || res.StatusCode > 400 && res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests):
		// A page of a portal or wall on the way: it says nothing of the deposit.
		res.Body.Close()
		return readonly.Failure(s.Host, fmt.Errorf("deposit: an answer that is no JSON"))
	default:
		return readonly.Refused(s.Host, res, s.Now(), s.None())
	}
	if err := readonly.ReadJSON(res, maxPage, v); err != nil {
		return readonly.Failure(s.Host, err)
	}
	return nil
}

func jsonType(v string) bool {
	t, _, err := mime.ParseMediaType(v)
	return err == nil && (t == "application/json" || strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json"))
}

// Landing follows an address for people to where it leads at this site, and returns
// the path; false: nothing is there.
func (s *Site) Landing(ctx context.Context, address string) (path string, found bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return "", false, readonly.Failure(s.Host, err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return "", false, readonly.Failure(s.Host, err)
	}
	res.Body.Close()
	switch {
	case res.StatusCode == http.StatusOK:
		return res.Request.URL.Path, true, nil
	case res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests:
		return "", false, nil
	}
	return "", false, readonly.Refused(s.Host, res, s.Now(), s.None())
}

// Probe asks whether an address answers 200, and reads at most 64 KiB of it.
func (s *Site) Probe(ctx context.Context, address string) (body []byte, found bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, false, readonly.Failure(s.Host, err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, false, readonly.Failure(s.Host, err)
	}
	switch {
	case res.StatusCode == http.StatusOK:
		defer res.Body.Close()
		body, err = io.ReadAll(io.LimitReader(res.Body, 64<<10))
		if err != nil {
			return nil, false, readonly.Failure(s.Host, err)
		}
		return body, true, nil
	case res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests:
		res.Body.Close()
		return nil, false, nil
	}
	return nil, false, readonly.Refused(s.Host, res, s.Now(), s.None())
}

// Bytes opens a file of the site's, from an offset on.
func (s *Site) Bytes(ctx context.Context, address string, it daypass.Item, from int64) (io.ReadCloser, error) {
	if u, err := url.Parse(address); err != nil || !s.known(strings.ToLower(u.Host)) {
		return nil, s.Unavailable("the site says that it lies at a host which is not known here")
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	body, err := s.bytes(ctx, address, it, from)
	if err != nil {
		<-s.slots
		return nil, err
	}
	return &slot{ReadCloser: body, slots: s.slots}, nil
}

func (s *Site) bytes(ctx context.Context, address string, it daypass.Item, from int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, readonly.Failure(s.Host, err)
	}
	readonly.SetRange(req, from)
	res, err := s.client.Do(req)
	if err != nil {
		return nil, readonly.Failure(s.Host, err)
	}
	// Some answer 200 with a Location and no bytes: the file lies there.
	if at := res.Header.Get("Location"); res.StatusCode == http.StatusOK && at != "" && at != address {
		u, err := res.Request.URL.Parse(at)
		res.Body.Close()
		if err != nil || !s.known(strings.ToLower(u.Host)) {
			return nil, s.Unavailable("the site says that it lies at a host which is not known here")
		}
		if req, err = http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil); err != nil {
			return nil, readonly.Failure(s.Host, err)
		}
		readonly.SetRange(req, from)
		if res, err = s.client.Do(req); err != nil {
			return nil, readonly.Failure(s.Host, err)
		}
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		return readonly.Content(s.Host, res, it, from)
	case http.StatusAccepted: // a wall that wants a browser, or a file that is being made
		res.Body.Close()
		return nil, readonly.Limited(s.Host, time.Minute)
	case http.StatusNotFound, http.StatusGone: // it was listed a moment ago
		res.Body.Close()
		return nil, readonly.Changed(s.Host)
	case http.StatusUnauthorized, http.StatusForbidden:
		if readonly.Spent(res) {
			break
		}
		res.Body.Close()
		return nil, s.denied()
	}
	return nil, readonly.Refused(s.Host, res, s.Now(), s.None())
}

// A slot is given back when its file is closed.
type slot struct {
	io.ReadCloser
	slots chan struct{}
	done  bool
}

func (s *slot) Close() error {
	if !s.done {
		s.done = true
		<-s.slots
	}
	return s.ReadCloser.Close()
}

// Text reads a value of JSON that is a text or a number.
type Text string

// UnmarshalJSON takes both.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	*t = Text(n)
	return nil
}
