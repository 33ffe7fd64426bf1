package github

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

const (
	callTime    = 5 * time.Second  // for one request with its whole answer
	refreshTime = 10 * time.Second // to spend a code or a refresh token: to give up early would lose it
	maxAnswer   = 1 << 20
	maxList     = 8 << 20
	maxHops     = 3
	apiVersion  = "2022-11-28"
)

// A call is one request. Secrets are apart from the rest until they are sent.
type call struct {
	method string
	url    string
	as     func(*http.Request) // says who asks; nil: nobody
	fields map[string]any      // of the body, in JSON
	form   bool                // the body is a form instead
	hidden map[string]daypass.Secret
	limit  int64         // of the answer; 0 means maxAnswer
	time   time.Duration // 0 means callTime
}

// An answer is one that came whole.
type answer struct {
	status int
	head   http.Header
	body   []byte
	url    string // that gave it, after redirects
}

func bearer(token daypass.Secret) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token.Reveal()) }
}

func (c call) payload() (body []byte, kind string, err error) {
	if c.form {
		v := url.Values{}
		for k, f := range c.fields {
			v.Set(k, fmt.Sprint(f))
		}
		for k, s := range c.hidden {
			v.Set(k, s.Reveal())
		}
		return []byte(v.Encode()), "application/x-www-form-urlencoded", nil
	}
	if c.fields == nil && c.hidden == nil {
		return nil, "", nil
	}
	all := map[string]any{}
	maps.Copy(all, c.fields)
	for k, s := range c.hidden {
		all[k] = s.Reveal()
	}
	body, err = json.Marshal(all)
	return body, "application/json", err
}

// ask sends a request and reads its answer whole. A GET follows redirects
// within the same scheme, host and port, as a renamed repository gives; nothing
// else is followed, since a token is given to one host only. Its errors wrap
// daypass.ErrUnreachable: what the host did is not known then.
func (i *Issuer) ask(ctx context.Context, c call) (answer, error) {
	for hop := 0; ; hop++ {
		a, err := i.once(ctx, c)
		if err != nil || a.status < 300 || a.status > 399 {
			return a, err
		}
		to, ok := sameDoor(c.url, a.head.Get("Location"))
		if c.method != http.MethodGet || hop == maxHops || !ok {
			return answer{}, i.unusable("it answered with a redirect to another place, which was not followed", errRedirect)
		}
		c.url = to
	}
}

// sameDoor resolves a redirect, and reports whether it stays where it was.
func sameDoor(from, to string) (string, bool) {
	base, err := url.Parse(from)
	if err != nil || to == "" {
		return "", false
	}
	u, err := base.Parse(to)
	if err != nil || u.Scheme != base.Scheme || u.Host != base.Host || u.User != nil {
		return "", false
	}
	return u.String(), true
}

func (i *Issuer) once(ctx context.Context, c call) (answer, error) {
	limit, wait := c.limit, c.time
	if limit == 0 {
		limit = maxAnswer
	}
	if wait == 0 {
		wait = callTime
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	body, kind, err := c.payload()
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "daypass")
	req.Header.Set("X-GitHub-Api-Version", apiVersion)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if c.as != nil {
		c.as(req)
	}
	res, err := i.base.RoundTrip(req)
	if err != nil {
		return answer{}, i.notReached(ctx, err)
	}
	got, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	_ = res.Body.Close()
	a := answer{status: res.StatusCode, head: res.Header, body: got, url: c.url}
	switch {
	case err != nil && ctx.Err() != nil:
		return a, i.notReached(ctx, err)
	case err != nil:
		return a, i.unusable("its answer ended early", fmt.Errorf("%w: %w", errCut, err))
	case int64(len(got)) > limit:
		return a, i.unusable("its answer is longer than daypass reads", errTooLong)
	}
	return a, nil
}

// into reads an answer that is JSON.
func (a answer) into(v any) bool { return json.Unmarshal(a.body, v) == nil }

// message is what the API says in an error; false where this is no answer of
// the API, but of something on the way.
func (a answer) message() (string, bool) {
	var said struct {
		Message *string `json:"message"`
	}
	if !a.into(&said) || said.Message == nil {
		return "", false
	}
	return *said.Message, true
}

// says reports whether the API itself answered with one of these.
func (a answer) says(status ...int) bool {
	_, own := a.message()
	for _, s := range status {
		if own && a.status == s {
			return true
		}
	}
	return false
}

// limited reports whether the host asks to slow down (docs: "Rate limits for
// the REST API"): 403 or 429, and not every 403.
func (a answer) limited() bool {
	if a.status == http.StatusTooManyRequests {
		return true
	}
	if a.status != http.StatusForbidden {
		return false
	}
	said, _ := a.message()
	return a.head.Get("Retry-After") != "" || a.head.Get("X-RateLimit-Remaining") == "0" ||
		strings.Contains(strings.ToLower(said), "rate limit")
}

const (
	leastWait, usualWait, mostWait = time.Second, time.Minute, 2 * time.Hour
)

// wait is how long the host asks to wait. Times of day are held against its
// own clock.
func (a answer) wait(now time.Time) time.Duration {
	if date, err := http.ParseTime(a.head.Get("Date")); err == nil {
		now = date
	}
	out := usualWait
	after := a.head.Get("Retry-After")
	if n, err := strconv.ParseInt(after, 10, 32); err == nil {
		out = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		out = at.Sub(now)
	} else if n, err := strconv.ParseInt(a.head.Get("X-RateLimit-Reset"), 10, 64); err == nil && a.head.Get("X-RateLimit-Remaining") == "0" {
		out = time.Unix(n, 0).Sub(now)
	}
	return min(max(out, leastWait), mostWait)
}
