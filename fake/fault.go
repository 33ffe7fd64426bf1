package fake

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A FaultKind is a way in which a service can fail.
type FaultKind int

const (
	// FaultStatus answers with Status and Body.
	FaultStatus FaultKind = iota
	// FaultHTML502 is a load balancer's page instead of an answer.
	FaultHTML502
	// FaultHang answers nothing until the client goes away or Delay is over
	// (0 means a minute), and then cuts the connection.
	FaultHang
	// FaultReset ends the connection with a TCP reset.
	FaultReset
	// FaultTruncated sends half of the true answer and ends the connection.
	FaultTruncated
	// FaultCutJSON sends half of the true answer as if that were all.
	FaultCutJSON
	// FaultSlow sends the true answer byte by byte, Delay apart (0 means 10 ms).
	FaultSlow
	// FaultRedirect sends the client to URL with Status (0 means 307).
	FaultRedirect
	// FaultClockSkew gives the true answer with its Date moved by Delay.
	FaultClockSkew
	// FaultLost does what was asked and then cuts the connection without an
	// answer, as when the network fails at the worst moment.
	FaultLost
	// FaultLate does what was asked at once and sends the true answer Delay
	// later (0 means a minute): time in which a program can be killed.
	FaultLate
)

// A Fault is one failure.
type Fault struct {
	Kind   FaultKind
	Status int
	Header http.Header // added to the answer of FaultStatus
	Body   string
	URL    string
	Delay  time.Duration
	// Times is how many requests it hits; 0 means every one.
	Times int
}

type faultRule struct {
	match func(*http.Request) bool
	skip  int // requests to let pass first
	left  int // -1: without end
	fault Fault
}

// faults are the rules in force at a stand-in, which embeds them.
type faults struct {
	mu    sync.Mutex
	rules []*faultRule
	asked map[string]int
}

// take returns the fault for a request, if any, and counts it. Every rule counts the
// requests that match it, whichever rule wins.
func (f *faults) take(r *http.Request) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked == nil {
		f.asked = map[string]int{}
	}
	f.asked[r.URL.Path]++
	var hit *Fault
	for _, rule := range f.rules {
		if rule.left == 0 || rule.match != nil && !rule.match(r) {
			continue
		}
		if rule.skip > 0 {
			rule.skip--
			continue
		}
		if hit != nil {
			continue
		}
		if rule.left > 0 {
			rule.left--
		}
		found := rule.fault
		hit = &found
	}
	return hit
}

func (f *faults) add(rule *faultRule) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, rule)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.rules = slices.DeleteFunc(f.rules, func(r *faultRule) bool { return r == rule })
	}
}

// Fault makes requests fail for which match returns true; nil matches all.
// The earliest fault in force wins. The function that it returns ends it.
// match must not set or end faults, nor read the body.
func (f *faults) Fault(match func(*http.Request) bool, fault Fault) (stop func()) {
	return f.FailNth(0, match, fault)
}

// FailNth makes only the n-th request from now fail for which match returns true, the
// next being the first; with n 0 it is as Fault.
func (f *faults) FailNth(n int, match func(*http.Request) bool, fault Fault) (stop func()) {
	rule := &faultRule{match: match, skip: n - 1, left: 1, fault: fault}
	if n == 0 {
		rule.skip, rule.left = 0, cmp.Or(fault.Times, -1)
	}
	return f.add(rule)
}

// ClearFaults ends all faults.
func (f *faults) ClearFaults() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Count returns how many requests for exactly this path have come.
func (f *faults) Count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

// PathIs matches requests for exactly these paths.
func PathIs(paths ...string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		for _, p := range paths {
			if r.URL.Path == p {
				return true
			}
		}
		return false
	}
}

// PathHasPrefix matches requests whose path begins so.
func PathHasPrefix(prefix string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, prefix) }
}

const html502 = `<!DOCTYPE html>
<html><head><title>Unicorn! &middot; GitHub</title></head>
<body><p><strong>We had issues producing the response to your request.</strong></p></body></html>
`

// serve answers r with the fault; next is the true answer.
func (f *Fault) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch f.Kind {
	case FaultStatus:
		maps.Copy(w.Header(), f.Header)
		w.WriteHeader(orElse(f.Status, http.StatusInternalServerError))
		io.WriteString(w, f.Body)
	case FaultHTML502:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, html502)
	case FaultHang:
		// The server notices that a client left only once the body is read.
		io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
		sleep(r.Context(), orElse(f.Delay, time.Minute))
		panic(http.ErrAbortHandler)
	case FaultReset:
		reset(w)
	case FaultRedirect:
		w.Header().Set("Location", f.URL)
		w.WriteHeader(orElse(f.Status, http.StatusTemporaryRedirect))
	case FaultClockSkew:
		at, err := http.ParseTime(w.Header().Get("Date"))
		if err == nil {
			w.Header().Set("Date", at.Add(f.Delay).UTC().Format(http.TimeFormat))
		}
		next.ServeHTTP(w, r)
	default:
		f.spoil(w, r, next)
	}
}

// spoil changes the true answer on its way.
func (f *Fault) spoil(w http.ResponseWriter, r *http.Request, next http.Handler) {
	b := &bufferedResponse{header: w.Header().Clone()}
	next.ServeHTTP(b, r)
	if f.Kind == FaultLost {
		panic(http.ErrAbortHandler)
	}
	if f.Kind == FaultLate {
		if !sleep(r.Context(), orElse(f.Delay, time.Minute)) {
			panic(http.ErrAbortHandler)
		}
		b.send(w)
		return
	}
	half := b.body[:len(b.body)/2]
	if f.Kind == FaultCutJSON {
		b.body = half
		b.send(w)
		return
	}
	maps.Copy(w.Header(), b.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(b.body)))
	w.WriteHeader(orElse(b.status, http.StatusOK))
	control := http.NewResponseController(w)
	if f.Kind == FaultTruncated {
		w.Write(half)
		control.Flush()
		panic(http.ErrAbortHandler)
	}
	for i := range b.body {
		if !sleep(r.Context(), orElse(f.Delay, 10*time.Millisecond)) {
			panic(http.ErrAbortHandler)
		}
		w.Write(b.body[i : i+1])
		control.Flush()
	}
}

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// reset cuts the connection so that the client sees ECONNRESET, or whatever
// comes nearest where there is no TCP connection of our own.
func reset(w http.ResponseWriter) {
	for inner := w; ; {
		if m, ok := inner.(*memoryResponse); ok {
			m.Reset()
			return
		}
		u, ok := inner.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		inner = u.Unwrap()
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		raw = t.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	raw.Close()
}

// RateSpent is GitHub's answer to whoever has used up the requests of the
// hour, until reset: docs.github.com, "Rate limits for the REST API".
func RateSpent(reset time.Time) Fault {
	return Fault{
		Kind: FaultStatus, Status: http.StatusForbidden,
		Header: http.Header{
			"Content-Type": {"application/json; charset=utf-8"}, "X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"0"},
			"X-Ratelimit-Used": {"5000"}, "X-Ratelimit-Reset": {strconv.FormatInt(reset.Unix(), 10)}, "X-Ratelimit-Resource": {"core"},
		},
		Body: `{"message":"API rate limit exceeded for user ID 1.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api","status":"403"}`,
	}
}

// TooFast is GitHub's answer to whoever asks too much at once: a secondary
// rate limit, with status 403 or 429, to be retried after a while. A wait of 0
// leaves Retry-After out, which GitHub does too.
func TooFast(status int, wait time.Duration) Fault {
	f := Fault{
		Kind: FaultStatus, Status: status, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body: fmt.Sprintf(`{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",`+
			`"documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits","status":"%d"}`, status),
	}
	if wait > 0 {
		f.Header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	}
	return f
}
