package github

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
)

const (
	requestTime  = 20 * time.Second // for one request with its whole answer
	connectTime  = 10 * time.Second
	maxOAuthBody = 64 << 10
	maxAPIBody   = 8 << 20
)

var (
	errRedirect = errors.New("answered with a redirect")
	errTooLong  = errors.New("answered with more than is read")
	errCut      = errors.New("the answer ended early")
)

// NewTransport returns the way out to the network: certificates verified, TLS
// 1.2 at least, HTTPS_PROXY honoured. It speaks
// HTTP/1.1 only: net/http's HTTP/2 prints every header, Authorization among
// them, to stderr where GODEBUG=http2debug is set, which a clone's build script
// or a captured log is enough for.
func NewTransport() *http.Transport {
	var plain http.Protocols
	plain.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		Protocols:              &plain,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DialContext:            (&net.Dialer{Timeout: connectTime, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    connectTime,
		ResponseHeaderTimeout:  requestTime,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           8,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// tokenPrefixes are the kinds of token in GitHub's documentation, "About
// authentication to GitHub". The length that follows is not fixed.
const tokenPrefixes = "gho_ ghp_ ghr_ ghs_ ghu_ github_pat_"

const minToken, maxToken = 20, 1024 // characters after the prefix

// tokenLength returns how long a token b begins with, 0 for none.
func tokenLength(b []byte) int {
	for prefix := range strings.SplitSeq(tokenPrefixes, " ") {
		if !bytes.HasPrefix(b, []byte(prefix)) {
			continue
		}
		n := len(prefix)
		for n < len(b) && tokenByte(b[n]) {
			n++
		}
		if rest := n - len(prefix); rest >= minToken && rest <= maxToken {
			return n
		}
	}
	return 0
}

func tokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}

// findTokens returns the tokens in an answer, whatever else it is.
func findTokens(body []byte) []daypass.Secret {
	var out []daypass.Secret
	for i := 0; i < len(body) && len(out) < 8; i++ {
		if n := tokenLength(body[i:]); n > 0 {
			out = append(out, daypass.NewSecret(string(body[i:i+n])))
			i += n - 1
		}
	}
	return out
}

// guard is the one way out to a host. It reads each answer whole, within a
// limit of size; notes the host's clock; and keeps every token that the host
// sent, even in an answer that is cut or makes no sense, so that a login that
// fails can end them.
type guard struct {
	base  http.RoundTripper
	now   func() time.Time
	limit int64

	mu       sync.Mutex
	skew     time.Duration
	skewSeen bool
	received []daypass.Secret
	keep     bool            // whether tokens are looked for
	oauth    bool            // whether an error may come with status 200
	pause    *pacer          // for polls of the device flow
	ctx      context.Context // for x/oauth2's DeviceAuth, which makes its request without one
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if g.ctx != nil {
		req = req.WithContext(g.ctx)
	}
	if g.pause != nil {
		if err := g.pause.wait(req.Context()); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(req.Context(), requestTime)
	defer cancel()
	req = req.Clone(ctx)
	req.Header.Set("User-Agent", "daypass")
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	res, err := g.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, g.limit+1))
	_ = res.Body.Close()
	g.note(res, body)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errCut, err)
	case int64(len(body)) > g.limit:
		return nil, errTooLong
	}
	if g.pause != nil {
		g.pause.heard(body)
	}
	if g.oauth && res.StatusCode == http.StatusOK && saysError(body) {
		// GitHub answers OAuth errors with status 200; RFC 6749, 5.2, says 400,
		// and x/oauth2 looks for an error code only then at the first step.
		res.StatusCode, res.Status = http.StatusBadRequest, "400 Bad Request"
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

func saysError(body []byte) bool {
	var said struct {
		Error string `json:"error"`
	}
	return json.Unmarshal(body, &said) == nil && said.Error != ""
}

func (g *guard) note(res *http.Response, body []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		g.skew, g.skewSeen = date.Sub(g.now()), true
	}
	if !g.keep {
		return
	}
	g.received = append(g.received, findTokens(body)...)
}

func (g *guard) takeReceived() []daypass.Secret {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.received
	g.received = nil
	return out
}

// sameHostOnly follows a redirect of a GET within the same scheme, host and
// port (a renamed repository) and no other: a token is given to one host.
func sameHostOnly(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 3 || first.Method != http.MethodGet ||
		req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host {
		return errRedirect
	}
	return nil
}

func noRedirect(*http.Request, []*http.Request) error { return errRedirect }

// A pacer holds polls of the device flow to the interval that the host last
// asked for. x/oauth2 adds five seconds at each slow_down, as RFC 8628 says;
// GitHub also names its new interval, which may be longer.
type pacer struct {
	mu       sync.Mutex
	last     time.Time
	interval time.Duration // 0: x/oauth2's own pace is enough
}

func (p *pacer) wait(ctx context.Context) error {
	p.mu.Lock()
	due := p.last.Add(p.interval)
	p.mu.Unlock()
	if left := time.Until(due); p.interval > 0 && left > 0 && !pause.For(ctx, left) {
		return ctx.Err()
	}
	p.mu.Lock()
	p.last = time.Now()
	p.mu.Unlock()
	return nil
}

func (p *pacer) heard(body []byte) {
	var said struct {
		Error    string      `json:"error"`
		Interval json.Number `json:"interval"`
	}
	if json.Unmarshal(body, &said) != nil || said.Error != "slow_down" {
		return
	}
	n, err := said.Interval.Int64()
	if err != nil || n < 0 || n > 3600 {
		return
	}
	p.mu.Lock()
	p.interval = min(max(p.interval, time.Duration(n)*time.Second), maxInterval)
	p.mu.Unlock()
}
