package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

const (
	maxAnswer = 4 << 20          // of an answer that we read ourselves
	askFor    = 20 * time.Second // how long such an answer may take
	idle      = time.Minute      // without a byte, and a transfer is given up
)

// ask sends a small request of our own to devpi and reads JSON into out. An
// answer that is no JSON leaves out as it is. Errors are *refusal.
func (g *Gateway) ask(ctx context.Context, method, path string, h http.Header, body io.Reader, out any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, g.askFor)
	defer cancel()
	u, err := g.upstreamURL(path)
	if err != nil {
		return 0, upstreamOdd(err)
	}
	q, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return 0, upstreamOdd(err)
	}
	q.Header = h.Clone()
	q.Header.Set("Accept", "application/json")
	q.Header.Set("User-Agent", "daypass-gateway")
	q.Header.Set("X-Outside-Url", g.outside)
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	resp, err := g.transport.RoundTrip(q)
	if err != nil {
		return 0, g.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, upstreamFailed(err)
	case len(b) > maxAnswer:
		return 0, upstreamOdd(errors.New("an answer is larger than any real one"))
	case resp.StatusCode >= 500:
		return 0, upstreamOdd(errors.New("devpi answered " + resp.Status))
	}
	if json.Unmarshal(b, out) != nil && resp.StatusCode == http.StatusOK {
		return 0, upstreamOdd(errNoStatus)
	}
	return resp.StatusCode, nil
}

// upstreamURL puts an escaped path, with its query, below devpi's address. devpi
// takes the path of X-Outside-Url off whatever begins with it (its
// OutsideURLMiddleware), and so would off a path that does by itself: it always
// stands there.
func (g *Gateway) upstreamURL(target string) (*url.URL, error) {
	u := *g.c.Upstream
	path, query, _ := strings.Cut(target, "?")
	u.RawPath, u.RawQuery = strings.TrimRight(u.EscapedPath(), "/")+g.base+path, query
	var err error
	u.Path, err = url.PathUnescape(u.RawPath)
	return &u, err
}

// passHeaders are what a request with a pass takes along: nothing by which devpi
// or a plugin of its could find somebody else in it.
var passHeaders = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Cache-Control": true, "If-Match": true, "If-Modified-Since": true,
	"If-None-Match": true, "If-Range": true, "If-Unmodified-Since": true, "Pragma": true, "Range": true, "User-Agent": true,
}

// hopHeaders belong to one connection (RFC 9110, 7.6.1, and what is as old).
var hopHeaders = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Http2-Settings": true,
}

// ourHeaders are for the gateway alone to set: devpi, its plugins, or what is
// between would believe them.
var ourHeaders = map[string]bool{
	"Authorization": true, "X-Outside-Url": true, "X-Original-Uri": true, "X-Original-Url": true, "X-Rewrite-Url": true, "X-Remote-User": true, "Remote-User": true,
	"X-Real-Ip": true, "Forwarded": true, "Via": true, "Expect": true, "Content-Length": true, "Content-Encoding": true, "Host": true,
	"X-Http-Method-Override": true, "X-Http-Method": true, "X-Method-Override": true, "Proxy": true, "X-Sendfile-Type": true, "X-Accel-Mapping": true,
}

// onward returns the headers of a client's request that go upstream.
func onward(in http.Header, withPass bool) http.Header {
	named := connectionNamed(in)
	out := make(http.Header, len(in)+2)
	for name, values := range in {
		switch {
		case hopHeaders[name] || ourHeaders[name] || named[name]:
		case withPass && !passHeaders[name]:
		case strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Devpi-"):
		// WSGI sees no difference between "_" and "-".
		case strings.ContainsRune(name, '_'):
		case holdsPass(values):
		default:
			out[name] = values
		}
	}
	return out
}

func connectionNamed(h http.Header) map[string]bool {
	var named map[string]bool
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)); name != "" {
				if named == nil {
					named = map[string]bool{}
				}
				named[name] = true
			}
		}
	}
	return named
}

// A sending is a request as it goes upstream.
type sending struct {
	method, target string
	header         http.Header
	body           io.Reader // nil: none
	length         int64     // -1: not known
	auth           daypass.Secret
	pass           bool // somebody's pass is behind auth
	// broken returns why a body ended early. It may be nil.
	broken func() error
	// look may refuse devpi's answer, or change it. It may be nil.
	look func(*http.Response) error
}

// forward sends a request to devpi and its answer to the client. What it
// returns is to be told; where the answer had begun it gives up the connection
// instead, so that nobody takes half of it for the whole.
func (v *visit) forward(s sending) error {
	q, sent, err := v.outbound(s)
	if err != nil {
		return err
	}
	resp, err := v.g.transport.RoundTrip(q)
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode < 300 {
			v.changed() // whatever becomes of the answer
		}
	}
	if !sent.whole(s.length) {
		if sent.stop(v.in) {
			return v.brokenOff(s)
		}
		v.in.rest()
	}
	switch {
	case err != nil && q.Context().Err() != nil:
		return errGone
	case err != nil:
		return v.g.failed(err)
	case s.pass && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden) && !v.believed(s.auth):
		return notBelieved(v.g.acting.name(v.user))
	case resp.StatusCode < 300 && !sent.whole(s.length): // then it did nothing
		return upstreamOdd(errEarly)
	case resp.StatusCode < 200:
		return upstreamOdd(errSwitch)
	}
	if s.look != nil {
		if err := s.look(resp); err != nil {
			return err
		}
	}
	v.answer(resp, s.pass)
	return nil
}

// brokenOff is why a body ended early on this side.
func (v *visit) brokenOff(s sending) error {
	if s.broken != nil {
		if err := s.broken(); err != nil {
			return err
		}
	}
	if err := v.in.failure(); err != nil {
		return err
	}
	return errGone
}

// upstreamContext ends with the client where it only reads. What changes
// something goes on once devpi has all of it: net/http takes a client that
// closes its own half of the connection for one that left.
func (v *visit) upstreamContext() context.Context {
	if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
		return v.r.Context()
	}
	return context.WithoutCancel(v.r.Context())
}

func (v *visit) outbound(s sending) (*http.Request, *outgoing, error) {
	u, err := v.g.upstreamURL(s.target)
	if err != nil {
		return nil, nil, nothingHere()
	}
	q := (&http.Request{
		Method: s.method, URL: u, Header: s.header, Host: v.g.c.Upstream.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(v.upstreamContext())
	q.Header["X-Outside-Url"] = []string{v.g.outside}
	if _, ok := q.Header["User-Agent"]; !ok {
		q.Header["User-Agent"] = nil // else net/http writes one
	}
	if !s.auth.IsZero() {
		q.Header["X-Devpi-Auth"] = []string{s.auth.Reveal()}
	}
	if s.body == nil || s.length == 0 {
		return q, nil, nil
	}
	sent := &outgoing{from: s.body}
	q.Body, q.ContentLength = sent, s.length
	return q, sent, nil
}

// answer copies devpi's answer.
func (v *visit) answer(resp *http.Response, byPass bool) {
	h := v.a.Header()
	named := connectionNamed(resp.Header)
	for name, values := range resp.Header {
		if !hopHeaders[name] && !named[name] && !(byPass && secretAnswers[name]) {
			h[name] = values
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // else net/http guesses one
	}
	v.a.WriteHeader(resp.StatusCode)
	if v.r.Method == http.MethodHead {
		return
	}
	if v.g.copyOut(v.a, resp.Body, resp.ContentLength < 0) != nil {
		panic(http.ErrAbortHandler)
	}
}

// secretAnswers are headers of an answer that would let a pass's holder go on
// as the user.
var secretAnswers = map[string]bool{"Set-Cookie": true, "X-Devpi-Auth": true, "Authorization": true, "Authentication-Info": true, "Www-Authenticate": true}

// copyOut streams an answer. Where its length is not known, what is there is
// sent before more is waited for.
func (g *Gateway) copyOut(w http.ResponseWriter, from io.Reader, flush bool) error {
	buffer := g.buffers.Get().(*[]byte)
	defer g.buffers.Put(buffer)
	rc := http.NewResponseController(w)
	var moved time.Time
	for {
		n, err := from.Read(*buffer)
		if n > 0 {
			if now := time.Now(); now.Sub(moved) > idle/10 {
				moved = now
				_ = rc.SetWriteDeadline(now.Add(idle)) // a connection without deadlines has none
			}
			if _, werr := w.Write((*buffer)[:n]); werr != nil {
				return werr
			}
			if flush {
				_ = rc.Flush() // the next write meets the error
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var (
	errGone   = errors.New("gateway: the client went away")
	errEarly  = errors.New("devpi answered before it had the whole request")
	errSwitch = errors.New("devpi answered what nobody asked for")
)

// failed forgets whom devpi took us for: it may be started again with another
// secret, and then takes us for nobody.
func (g *Gateway) failed(err error) *refusal {
	g.holders.forget()
	return upstreamFailed(err)
}

// upstreamFailed says in words why there is no answer.
func upstreamFailed(err error) *refusal {
	var timeout interface{ Timeout() bool }
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return upstreamDown(err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return upstreamSlow(err)
	}
	return upstreamOdd(err)
}
