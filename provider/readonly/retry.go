package readonly

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
)

// A Retry is how often, and when, a request is made again. A GET changes nothing, so
// it may be.
type Retry struct {
	Tries int // in all; 0 means 7
	// Most is the longest wait, in all and as asked for by Retry-After: what would
	// take longer is answered as it is; 0 means two minutes.
	Most time.Duration
	// Patience is how long one request waits, in all, for a host that says that too much
	// is asked of it (by 429, or as Again tells): where a limit is of so much a minute,
	// each minute is worth another try. 0 means that such answers are as all others.
	Patience time.Duration
	// Again reports whether an answer's status, header and body (of which at most 64 KiB
	// are read) ask to try later, beside 429, 500, 502, 503 and 504, which always do.
	Again func(status int, h http.Header, body []byte) bool
	// Never reports that an answer of one of those is meant to last.
	Never func(status int, h http.Header, body []byte) bool
	// Jitter draws from 0 to d; nil draws by chance.
	Jitter func(d time.Duration) time.Duration
	Now    func() time.Time // for a Retry-After that is a date; nil means time.Now
}

func (r Retry) filled() Retry {
	if r.Tries == 0 {
		r.Tries = 7
	}
	if r.Most == 0 {
		r.Most = 2 * time.Minute
	}
	if r.Jitter == nil {
		r.Jitter = func(d time.Duration) time.Duration { return rand.N(d + 1) }
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	return r
}

// A retrier asks again what failed for the moment, and tells the pace of it.
type retrier struct {
	Retry
	pace  daypass.Pace
	units func(*http.Request) int
	next  http.RoundTripper
}

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	var spent time.Duration
	for try := 1; ; try++ {
		if err := r.wait(req); err != nil {
			return nil, err
		}
		res, err := r.next.RoundTrip(req)
		rest, again := r.judge(res, err, try)
		if again && res != nil && r.pace != nil && r.slows(req, res) {
			r.pace.Slow(rest) // for all who share the token, whether this one waits or not
		}
		tries, most := r.Tries, r.Most
		if again && res != nil && r.Patience > 0 && res.StatusCode < 500 {
			tries, most = try+1, r.Patience
		}
		if !again || try >= tries || spent+rest > most || ended(req.Context(), rest) {
			return res, err
		}
		if res != nil {
			res.Body.Close()
		}
		if !pause.For(req.Context(), rest) {
			return nil, req.Context().Err()
		}
		spent += rest
	}
}

func (r *retrier) wait(req *http.Request) error {
	if r.pace == nil {
		return nil
	}
	return r.pace.Wait(req.Context(), r.cost(req))
}

func (r *retrier) cost(req *http.Request) int {
	if r.units == nil {
		return 1
	}
	return r.units(req)
}

// slows reports whether an answer asks all who share the pace to slow down: it says that
// too much was asked, or until when, and not that the host has trouble with this one
// request; and it is of who is paced, and not of a store to which the host sends.
func (r *retrier) slows(req *http.Request, res *http.Response) bool {
	return r.cost(req) > 0 && (res.StatusCode < 500 || res.Header.Get("Retry-After") != "")
}

// ended reports that a wait would outlast the context.
func ended(ctx context.Context, pause time.Duration) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end) < pause
}

// judge says whether to ask again, and after how long: twice as long each time,
// from a second on, and no less than the host asks for.
func (r *retrier) judge(res *http.Response, err error, try int) (time.Duration, bool) {
	pause := min(time.Second<<min(try-1, 6), 64*time.Second)
	if spread := time.Second; r.Patience > 0 { // many wait for the same minute
		pause += r.Jitter(max(spread, pause/2))
	} else {
		pause += r.Jitter(spread)
	}
	var problem *daypass.Problem
	switch {
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrTooLong), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &problem):
		return 0, false
	case err != nil:
		// A network that is down is told soon, one that hiccups is helped.
		return pause, try < 3
	case !r.later(res):
		return 0, false
	}
	return max(pause, After(res, r.Now())), true
}

func (r *retrier) later(res *http.Response) bool {
	known := false
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		known = true
	}
	if res.StatusCode < 400 || known && r.Never == nil || !known && r.Again == nil {
		return known
	}
	head := peek(res)
	if known {
		return !r.Never(res.StatusCode, res.Header, head)
	}
	return r.Again(res.StatusCode, res.Header, head)
}

const maxPeek = 64 << 10

// peek reads a body's beginning and leaves it to be read again.
func peek(res *http.Response) []byte {
	head, err := io.ReadAll(io.LimitReader(res.Body, maxPeek))
	rest := io.Reader(res.Body)
	if err != nil {
		rest = failed{err}
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), res.Body}
	return head
}

type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// After is what an answer's Retry-After asks for, at most a day (RFC 9110, 10.2.3), or
// without it the X-RateLimit-Reset of one that says that nothing remains, in seconds of
// Unix; 0 where it says nothing that can be read.
func After(res *http.Response, now time.Time) time.Duration {
	v := res.Header.Get("Retry-After")
	if n, err := strconv.ParseInt(v, 10, 32); err == nil {
		return min(max(0, time.Duration(n)*time.Second), 24*time.Hour)
	}
	if n, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && v == "" && res.Header.Get("X-RateLimit-Remaining") == "0" {
		return min(max(0, time.Unix(n, 0).Sub(now)), 24*time.Hour)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(0, at.Sub(now)), 24*time.Hour)
	}
	return 0
}

// Spent reports whether a 403 stands for a limit, as GitHub's do ("Rate limits for the
// REST API" in its documentation), and not for a right that is missing.
func Spent(res *http.Response) bool {
	return res.StatusCode == http.StatusForbidden && (res.Header.Get("X-RateLimit-Remaining") == "0" || res.Header.Get("Retry-After") != "")
}

// Wait waits d, and on for as long as more says, while that is above 0. It gives up at
// once where the context would end before: that would be in vain, and in others' way.
func Wait(ctx context.Context, d time.Duration, more func() time.Duration) error {
	for ; d > 0; d = more() {
		if ended(ctx, d) {
			return context.DeadlineExceeded
		}
		if !pause.For(ctx, d) {
			return ctx.Err()
		}
	}
	return nil
}
