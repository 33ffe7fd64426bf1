// Package google gets access tokens of Google's service accounts: with a key file, from
// the metadata server of a machine that runs as the account, or in exchange for a
// token of another system (workload identity federation). Its requests are POSTs to a
// few hosts that are fixed here, whatever a file says; content is read elsewhere, by
// another client.
package google

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/pause"
)

// DriveReadonly is the narrowest scope with which content can be read.
const DriveReadonly = "https://www.googleapis.com/auth/drive.readonly"

// Endpoints are where tokens come from; an empty one is Google's. Only an admin sets
// another: for a stand-in, or another universe of Google's cloud.
type Endpoints struct {
	Token    string // "https://oauth2.googleapis.com/token"
	STS      string // "https://sts.googleapis.com/v1/token"
	IAM      string // "https://iamcredentials.googleapis.com"
	Metadata string // "http://metadata.google.internal"
}

// A Config is what getting tokens needs.
type Config struct {
	Scope     string // "" means [DriveReadonly]
	Endpoints Endpoints
	// Dial and Proxy are as in provider/readonly, and not used for the metadata server.
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Proxy func(*http.Request) (*url.URL, error)
	Base  http.RoundTripper // in place of the network, for tests
	Now   func() time.Time  // nil means time.Now
}

// Tokens gives one account's access tokens, each until five minutes before its end.
// It is safe for concurrent use: one request at a time is under way.
type Tokens struct {
	email   string
	project string // as the file says
	now     func() time.Time
	fetch   func(ctx context.Context) (token, error)
	who     func(ctx context.Context) (string, error)

	flight singleflight.Group
	mu     sync.Mutex
	held   token
}

type token struct {
	secret   daypass.Secret
	got, end time.Time
}

// spare is how long before its end a token is not used any more.
const spare = 5 * time.Minute

// Token returns a token that is good for a few minutes at least. Errors:
// [daypass.Problem] DP-415 where Google refuses, DP-416 where it cannot be asked.
func (t *Tokens) Token(ctx context.Context) (daypass.Secret, error) {
	if s := t.cached(); !s.IsZero() {
		return s, nil
	}
	done := t.flight.DoChan("", func() (any, error) {
		if s := t.cached(); !s.IsZero() {
			return s, nil
		}
		// Others wait for it too: it does not end with the one that began it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		got, err := t.fetch(ctx)
		if err != nil {
			return daypass.Secret{}, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.held = got
		return got.secret, nil
	})
	select {
	case r := <-done:
		return r.Val.(daypass.Secret), r.Err
	case <-ctx.Done():
		return daypass.Secret{}, ctx.Err()
	}
}

func (t *Tokens) cached() daypass.Secret {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.held.end.Sub(t.now())
	if t.held.secret.IsZero() || left <= min(spare, t.held.end.Sub(t.held.got)/2) {
		return daypass.Secret{}
	}
	return t.held.secret
}

// Renew forgets a token that Drive did not take. One that is younger than a minute
// stays: whoever asks with it is refused for another reason, or renewed already. It
// reports whether there is reason to ask again.
func (t *Tokens) Renew() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held.secret.IsZero() || t.now().Sub(t.held.got) < time.Minute {
		return false
	}
	t.held = token{}
	return true
}

// Email is the account's address, which people share folders with.
func (t *Tokens) Email(ctx context.Context) (string, error) {
	t.mu.Lock()
	email := t.email
	t.mu.Unlock()
	if email != "" || t.who == nil {
		return email, nil
	}
	email, err := t.who(ctx)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.email = email
	return email, nil
}

// Project is the id of the project that the account belongs to, and whose quota it
// spends, as its address says, or else its file; "" where neither does.
func (t *Tokens) Project() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if of := ProjectOf(t.email); of != "" {
		return of
	}
	return projectID(t.project)
}

// A poster makes the requests. It follows no redirect, and an answer is small.
type poster struct {
	Config
	client *http.Client
}

const maxAnswer = 64 << 10

var errRedirect = errors.New("google: a redirect")

func newPoster(c Config, direct bool) *poster {
	if c.Scope == "" {
		c.Scope = DriveReadonly
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	base := c.Base
	if base == nil {
		t := &http.Transport{
			DialContext: c.Dial, Proxy: c.Proxy, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxAnswer,
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute,
		}
		if direct {
			t.DialContext, t.Proxy = (&net.Dialer{Timeout: 3 * time.Second}).DialContext, nil
		}
		base = t
	}
	return &poster{Config: c, client: &http.Client{
		Transport: base, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
	}}
}

// checkEndpoint takes https, and http at a loopback address.
func checkEndpoint(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return badFile("an address in the configuration cannot be read")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && ip != nil && ip.IsLoopback()) {
		return badFile("an address in the configuration is not https")
	}
	return nil
}

func orElse(v, usual string) string {
	if v == "" {
		return usual
	}
	return v
}

// ask makes one request, three times where Google is busy, and reads a JSON answer.
func (p *poster) ask(ctx context.Context, make func() (*http.Request, error), v any) error {
	for try := 1; ; try++ {
		req, err := make()
		if err != nil {
			return err
		}
		status, body, err := p.once(req.WithContext(ctx))
		busy := err != nil || status == http.StatusTooManyRequests || status >= 500
		if busy && try < 3 && pause.For(ctx, time.Duration(try)*time.Second) {
			continue
		}
		switch {
		case errors.Is(err, context.Canceled):
			return context.Canceled
		case err != nil:
			return unreachable(req.URL.Hostname(), "no answer came")
		case status == http.StatusTooManyRequests || status >= 500:
			return unreachable(req.URL.Hostname(), fmt.Sprintf("it answers with status %d", status))
		case status != http.StatusOK:
			return refused(status, body)
		case json.Unmarshal(body, v) != nil:
			return unreachable(req.URL.Hostname(), "its answer makes no sense")
		}
		return nil
	}
}

func (p *poster) once(req *http.Request) (int, []byte, error) {
	req.Header.Set("User-Agent", "daypass")
	res, err := p.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errors.New("google: an answer that is too long")
	}
	return res.StatusCode, body, err
}

// made is the token of an answer, which has to be a bearer token with an end.
func (p *poster) made(host, text, kind string, life time.Duration) (token, error) {
	if text == "" || strings.ContainsAny(text, " \r\n\t") || !strings.EqualFold(kind, "bearer") || life <= 0 {
		return token{}, unreachable(host, "its answer holds no token")
	}
	now := p.Now()
	return token{secret: daypass.NewSecret(text), got: now, end: now.Add(min(life, 12*time.Hour))}, nil
}

func form(address string, values url.Values) func() (*http.Request, error) {
	return func() (*http.Request, error) {
		req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(values.Encode()))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return req, err
	}
}

func badFile(why string) error {
	return &daypass.Problem{
		Code: "DP-414", What: "A service account's file cannot be used", Why: why, Next: "Download the key, or the configuration of the federation, from Google's console anew.",
		Who: "Whoever made the service account can.", Kind: daypass.ErrRefused,
	}
}

func unreachable(host, why string) error {
	return &daypass.Problem{
		Code: "DP-416", What: "No token for Google Drive could be had from " + host, Why: why, Next: "Try again in a few minutes.", Kind: daypass.ErrUnreachable,
	}
}

// refused shows Google's short word for it, which holds no secret, and not its text.
func refused(status int, body []byte) error {
	var said struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
	}
	why := fmt.Sprintf("it answers with status %d", status)
	var word string
	if json.Unmarshal(body, &said) == nil && json.Unmarshal(said.Error, &word) == nil && word != "" && len(word) < 40 {
		why = "it says " + fmt.Sprintf("%q", word)
	}
	next := "Check that the account and its key exist and are not disabled."
	if strings.Contains(said.Description, "timeframe") {
		next = "This machine's clock is wrong: set it."
	}
	return &daypass.Problem{
		Code: "DP-415", What: "Google gives no token to the service account", Why: why, Next: next, Who: "Whoever made the service account can.", Kind: daypass.ErrRefused,
	}
}
