// Package client asks the access service: for a credential, who the caller is
// there, whether a host is connected. It is our own server seen from outside.
//
// It sends one token, which it is given, to one address, which [Trusted] has
// judged: never through a proxy, never over a redirect, never by plain http off
// this machine unless the admin listed that origin. It does not know where
// credentials are kept, what git asked, nor what the user is told.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// How long things may take. A service that is down is known to be so within
// DialTime + tlsTime; one that waits for a slow host answers within 5 s itself.
const (
	DialTime   = 2 * time.Second
	tlsTime    = time.Second
	answerTime = 6 * time.Second
	tellTime   = 2 * time.Second // of Rejected, which nobody waits for
	endTime    = 30 * time.Second
)

// A Config is what a client depends on.
type Config struct {
	URL   string         // as DAYPASS_URL has it; judged by Trusted before
	Token daypass.Secret // the hub's, or a pass; the zero Secret will do for what anybody may ask
	// Transport sends; nil means NewTransport's. One that follows HTTPS_PROXY
	// must not be handed in.
	Transport http.RoundTripper
	Now       func() time.Time
	PlainHTTP []string // origins that the admin lets be asked by plain http
}

// NewTransport returns a transport without a proxy, which waits 2 s for a
// connection. It honours SSL_CERT_FILE.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: DialTime}).DialContext,
		TLSHandshakeTimeout:    tlsTime,
		MaxIdleConns:           2,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
	}
}

// A Client asks one access service with one token.
type Client struct {
	base  *url.URL
	token daypass.Secret
	http  http.Client
	now   func() time.Time
}

// New returns a client; an error is a [daypass.Problem] about the URL.
func New(c Config) (*Client, error) {
	u, err := parseBase(c.URL)
	if err != nil {
		return nil, err
	}
	if err := secureWay(u, c.PlainHTTP); err != nil {
		return nil, err
	}
	if c.Transport == nil {
		c.Transport = NewTransport()
	}
	return &Client{base: u, token: c.Token, now: c.Now, http: http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// URL is the service's address, without a slash at its end.
func (c *Client) URL() string { return c.base.String() }

// Host is the host of the address, for messages.
func (c *Client) Host() string { return c.base.Host }

// An Error is a refusal or failure that the service told, with what a problem
// has no place for. It unwraps to the [daypass.Problem].
type Error struct {
	Problem    *daypass.Problem
	Status     int           // HTTP status; see package api
	Event      string        // the id in the activity; may be empty
	Rule       string        // may be empty
	Link       string        // where to go next; empty unless it is an http(s) URL
	RetryAfter time.Duration // 0: not said
	OAuth      string        // the word of RFC 8628, 3.5, of a device's code; may be empty
}

// Error is the problem's text, with the event's id.
func (e *Error) Error() string { return e.Problem.Error() }

// Unwrap returns the problem.
func (e *Error) Unwrap() error { return e.Problem }

// NotConnected reports whether the person has to connect the host first.
func NotConnected(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e) && e.Status == api.StatusNotConnected
	return e, ok
}

// NotServed reports whether the service has nothing to do with the host.
func NotServed(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == api.StatusNotServed
}

// Unreachable reports whether the service itself could not be asked, as opposed
// to one that answered that a host behind it cannot be.
func Unreachable(err error) bool {
	var e *Error
	return errors.Is(err, daypass.ErrUnreachable) && !errors.As(err, &e)
}

// Credential asks for a credential and looks at what comes: the host that was
// asked for, a numbered repository, no less than the least access, an end that
// is ahead, a token of plain characters. Anything else is an error.
func (c *Client) Credential(ctx context.Context, r api.CredentialRequest) (api.CredentialReply, error) {
	if why := r.Check(); why != "" {
		return api.CredentialReply{}, c.strange(why)
	}
	_, body, err := c.send(ctx, http.MethodPost, api.PathCredential, r, answerTime)
	if err != nil {
		return api.CredentialReply{}, err
	}
	reply, err := api.DecodeCredentialReply(body)
	if err != nil {
		return api.CredentialReply{}, c.strange("it is not a credential")
	}
	if why := c.wrong(r, reply); why != "" {
		return api.CredentialReply{}, c.strange(why)
	}
	return reply, nil
}

// wrong says what a credential has that was not asked for, or "".
func (c *Client) wrong(r api.CredentialRequest, reply api.CredentialReply) string {
	most, least, _ := r.Wanted()
	access := daypass.ParseAccess(reply.Access)
	switch {
	case reply.Host != r.Host:
		return "the credential is for another host"
	case reply.Repo.ID <= 0:
		return "the credential names no repository by its number"
	case access < least || access > most:
		return "the credential's access is not what was asked for"
	case !reply.Until.After(c.now()):
		return "the credential has ended already"
	case !plainWord(reply.Username, 256) || !plainWord(reply.Password.Reveal(), 4096):
		return "the credential is not of plain characters"
	}
	return ""
}

func plainWord(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Rejected tells that the host answered 401 to a token that came from here, by
// the hexadecimal SHA-256 of it.
func (c *Client) Rejected(ctx context.Context, r api.Rejected) error {
	_, _, err := c.send(ctx, http.MethodPost, api.PathRejected, r, tellTime)
	return err
}

// Me tells who the token is of, and how they stand at each host.
func (c *Client) Me(ctx context.Context) (api.Me, error) {
	var me api.Me
	err := c.get(ctx, api.PathMe, answerTime, &me)
	return me, err
}

// WaitConnected waits until the host is connected, at most until ctx ends: then
// it returns ctx's error. A service that restarts meanwhile is asked again.
func (c *Client) WaitConnected(ctx context.Context, host string) (api.Host, error) {
	const wait = 25 * time.Second
	path := api.ConnectionPath(host) + "?wait=" + wait.String()
	failed := 0
	for {
		began := c.now()
		status, body, err := c.send(ctx, http.MethodGet, path, nil, wait+5*time.Second)
		pause := time.Duration(0)
		switch {
		case ctx.Err() != nil:
			return api.Host{}, ctx.Err()
		case err != nil && errors.Is(err, daypass.ErrUnreachable) && failed < 20:
			failed++
			pause = 3 * time.Second
		case err != nil:
			return api.Host{}, err
		case status == http.StatusOK:
			var h api.Host
			if json.Unmarshal(body, &h) != nil || h.Host != host || !h.Connected {
				return api.Host{}, c.strange("it is not the connection that was asked for")
			}
			return h, nil
		default:
			failed = 0
			if c.now().Sub(began) < time.Second {
				pause = time.Second // it does not wait, so we do
			}
		}
		select {
		case <-ctx.Done():
			return api.Host{}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Disconnect ends the connection to a host everywhere.
func (c *Client) Disconnect(ctx context.Context, host string) (api.Disconnected, error) {
	_, body, err := c.send(ctx, http.MethodDelete, api.ConnectionPath(host), nil, endTime)
	if err != nil {
		return api.Disconnected{}, err
	}
	var d api.Disconnected
	if json.Unmarshal(body, &d) != nil {
		return api.Disconnected{}, c.strange("it does not say what was ended")
	}
	return d, nil
}

// Repos lists what the connection to a host reaches.
func (c *Client) Repos(ctx context.Context, host string) (api.Repos, error) {
	var r api.Repos
	err := c.get(ctx, api.ReposPath(host), endTime, &r)
	return r, err
}

func (c *Client) get(ctx context.Context, path string, limit time.Duration, v any) error {
	_, body, err := c.send(ctx, http.MethodGet, path, nil, limit)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, v) != nil {
		return c.strange("its answer cannot be read")
	}
	return nil
}

// send asks with the token.
func (c *Client) send(ctx context.Context, method, path string, body any, limit time.Duration) (int, []byte, error) {
	return c.sendAs(ctx, c.token, method, path, body, limit)
}

// encoded is a body that holds a secret: only its own method writes it down.
type encoded interface{ Encode() ([]byte, error) }

func encode(body any) (io.Reader, error) {
	var b []byte
	var err error
	switch v := body.(type) {
	case nil:
		return nil, nil
	case encoded:
		b, err = v.Encode()
	default:
		b, err = json.Marshal(body)
	}
	return bytes.NewReader(b), err
}

// request is the one place where a token leaves; the zero Secret is none.
func (c *Client) request(ctx context.Context, token daypass.Secret, method, path string, body any) (*http.Request, error) {
	in, err := encode(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, in)
	if err != nil {
		return nil, c.strange("its address cannot be used")
	}
	if !token.IsZero() {
		if !plainWord(token.Reveal(), api.MaxPassText) {
			return nil, oddToken()
		}
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	req.Header.Set("User-Agent", "daypass/"+daypass.Version)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// sendAs asks with a token, and reads the answer whole.
func (c *Client) sendAs(ctx context.Context, token daypass.Secret, method, path string, body any, limit time.Duration) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := c.request(ctx, token, method, path, body)
	if err != nil {
		return 0, nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, c.unreachable(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(io.LimitReader(res.Body, api.MaxReply+1))
	switch {
	case err != nil:
		return 0, nil, c.unreachable(err)
	case len(out) > api.MaxReply:
		return 0, nil, c.strange("its answer is too long")
	case res.StatusCode == http.StatusOK || res.StatusCode == http.StatusAccepted || res.StatusCode == http.StatusNoContent:
		return res.StatusCode, out, nil
	}
	return res.StatusCode, nil, c.refused(res, out)
}

// refused reads an answer that is not a success.
func (c *Client) refused(res *http.Response, body []byte) error {
	e, ok := api.DecodeError(body)
	if !ok {
		switch res.StatusCode {
		case 502, 503, 504: // a proxy in front of a service that is down
			return c.unreachable(errInFront)
		}
		return c.strange("it answered HTTP " + strconv.Itoa(res.StatusCode) + " in words that are not its own")
	}
	out := &Error{Problem: e.Problem(res.StatusCode), Status: res.StatusCode, Event: e.Event, Rule: e.Rule, OAuth: e.OAuth}
	if u, err := url.Parse(e.Link); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && plainWord(e.Link, 2048) {
		out.Link = e.Link
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 && s <= 3600 {
		out.RetryAfter = time.Duration(s) * time.Second
	}
	return out
}

var errInFront = errors.New("what stands in front of it says that it is down")

func (c *Client) unreachable(err error) error {
	why := "it does not answer"
	var timeout net.Error
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns):
		why = "its name is not known here"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		why = "it does not answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		why = "nothing answers there"
	case errors.As(err, &certificate):
		why = "its certificate is not accepted here"
	case errors.Is(err, errInFront):
		why = err.Error()
	}
	return &daypass.Problem{
		Code: "DP-852", What: "the access service at " + c.base.Host + " cannot be reached", Why: why,
		Next: "Try again in a minute. Your work is safe: commits stay on this machine.",
		Who:  "The hub's admins see its state in \"daypass admin check\".", Kind: daypass.ErrUnreachable, Err: err,
	}
}

// oddToken is a file with more than a token in it, say.
func oddToken() error {
	return &daypass.Problem{
		Code: "DP-864", What: "the token for the access service is not one", Why: "it has more than one line, spaces, or more than 8 KiB",
		Next: "Look what is in DAYPASS_TOKEN, or in the file that DAYPASS_TOKEN_FILE names: one token, and nothing else.", Kind: daypass.ErrUsage,
	}
}

func (c *Client) strange(why string) error {
	return &daypass.Problem{
		Code: "DP-853", What: "the answer from " + c.base.Host + " is not one of the access service", Why: why,
		Next: "Check that DAYPASS_URL is the service's own address.", Who: "The hub's admins set it.", Kind: daypass.ErrRefused,
	}
}
