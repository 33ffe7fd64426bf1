package readonly

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daypass-dev/daypass"
)

// A net answers without a network, and keeps what left.
type ether struct {
	answer func(*http.Request) *http.Response
	left   []*http.Request
}

func (e *ether) RoundTrip(req *http.Request) (*http.Response, error) {
	e.left = append(e.left, req)
	res := e.answer(req)
	if res == nil {
		return nil, io.ErrUnexpectedEOF
	}
	if res.Body == nil {
		res.Body = io.NopCloser(strings.NewReader("ok"))
	}
	if res.Header == nil {
		res.Header = http.Header{}
	}
	res.Request = req
	return res, nil
}

func status(n int, header ...string) *http.Response {
	res := &http.Response{StatusCode: n, Header: http.Header{}}
	for i := 0; i < len(header); i += 2 {
		res.Header.Set(header[i], header[i+1])
	}
	return res
}

func secret(text string) func(context.Context) (daypass.Secret, error) {
	return func(context.Context) (daypass.Secret, error) { return daypass.NewSecret(text), nil }
}

func config(e *ether) Config {
	return Config{
		Hosts: func(host string) bool { return host != "unlisted.example" }, Base: e,
		Bound: []Bound{{Host: "api.example", Token: secret("the-token")}, {Host: "key.example", Token: secret("the-key"), Header: "X-Key"}},
	}
}

func TestRefusesBeforeAnythingLeaves(t *testing.T) {
	e := &ether{answer: func(*http.Request) *http.Response { return status(200) }}
	c := Client(config(e))
	get := func(method, address string, body io.Reader) *http.Request {
		req, err := http.NewRequest(method, address, body)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	hosted := get("GET", "https://api.example/", nil)
	hosted.Host = "other.example"
	opaque := get("GET", "https://api.example/", nil)
	opaque.URL.Opaque = "//other.example/"
	for _, req := range []*http.Request{
		get("POST", "https://api.example/", nil), get("PUT", "https://api.example/", nil), get("DELETE", "https://api.example/", nil), get("PATCH", "https://api.example/", nil),
		get("OPTIONS", "https://api.example/", nil), get("get", "https://api.example/", nil), get("GET", "https://api.example/", strings.NewReader("x")),
		get("GET", "http://api.example/", nil), get("GET", "http://127.0.0.1/", nil), get("GET", "https://unlisted.example/", nil),
		get("GET", "https://somebody:word@api.example/", nil), get("GET", "https://api.example./", nil), get("GET", "https://UNLISTED.example/", nil), hosted, opaque,
	} {
		_, err := c.Do(req)
		if !errors.Is(err, ErrForbidden) || !errors.Is(Failure("api.example", err), daypass.ErrRefused) {
			t.Errorf("%s %s: %v", req.Method, req.URL, err)
		}
	}
	if len(e.left) != 0 {
		t.Errorf("%d requests left", len(e.left))
	}
	conf := config(e)
	conf.Safe = []string{"PROPFIND", "POST", "DELETE", "PROPPATCH"}
	for _, method := range []string{"POST", "DELETE", "PROPPATCH", "MKCOL"} {
		if _, err := Client(conf).Do(get(method, "https://api.example/", nil)); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s, named as safe: %v", method, err)
		}
	}
	if _, err := Client(conf).Do(get("PROPFIND", "https://api.example/", nil)); err != nil {
		t.Error(err)
	}
	if _, err := (Client(Config{Base: e})).Get("https://api.example/"); !errors.Is(err, ErrForbidden) {
		t.Errorf("without a list of hosts: %v", err)
	}
}

// TestCredentialStays: over a redirect, and from whatever a caller put in.
func TestCredentialStays(t *testing.T) {
	for _, to := range []string{
		"https://sub.api.example/x", "https://api.example:8443/x", "https://other.example/x", "https://key.example/x", "https://example/x", "https://api.example.evil.example/",
	} {
		e := &ether{answer: func(r *http.Request) *http.Response {
			if r.URL.Host == "api.example" {
				return status(302, "Location", to, "Set-Cookie", "a=b")
			}
			return status(200, "Set-Cookie", "a=b")
		}}
		req, _ := http.NewRequest("GET", "https://api.example/?verifier=hidden", nil)
		for k, v := range map[string]string{"Authorization": "Bearer stray", "Cookie": "c=stray", "X-Key": "stray", "X-Goog-Drive-Resource-Keys": "id/stray", "Range": "bytes=1-"} {
			req.Header.Set(k, v)
		}
		res, err := Client(config(e)).Do(req)
		if err != nil || len(e.left) != 2 {
			t.Fatal(to, err, len(e.left))
		}
		if len(res.Cookies()) != 0 {
			t.Error("a cookie came through")
		}
		first, second := e.left[0].Header, e.left[1].Header
		if first.Get("Authorization") != "Bearer the-token" || first.Get("Cookie") != "" || first.Get("X-Key") != "" || first.Get("X-Goog-Drive-Resource-Keys") == "" {
			t.Errorf("first: %v", first)
		}
		text := fmt.Sprint(second)
		for _, s := range []string{"the-token", "stray", "hidden", "Cookie", "Referer"} {
			if strings.Contains(text, s) {
				t.Errorf("%s got %s: %v", to, s, second)
			}
		}
		if second.Get("Range") != "bytes=1-" || (e.left[1].URL.Host == "key.example") != (second.Get("X-Key") == "the-key") {
			t.Errorf("second: %v", second)
		}
	}
}

func TestRedirects(t *testing.T) {
	for to, ok := range map[string]bool{
		"https://cdn.example/": true, "/there": true, "http://cdn.example/": false, "http://api.example/": false, "https://unlisted.example/": false,
		"https://10.0.0.1/": false, "https://169.254.169.254/": false, "https://127.0.0.1/": false, "https://[::1]/": false, "https://[::ffff:10.0.0.1]/": false,
		"https://[::ffff:7f00:1]/": false, "https://[fe80::1]/": false, "https://[fd00::1]/": false, "https://[64:ff9b::a9fe:a9fe]/": false, "https://[2002:a00:1::]/": false,
		"https://0.0.0.0/": false, "https://100.64.0.1/": false, "file:///etc/passwd": false, "ftp://cdn.example/": false, "https://8.8.8.8/": true, "https://u:p@cdn.example/": false,
	} {
		e := &ether{answer: func(r *http.Request) *http.Response {
			if r.URL.Host == "api.example" && r.URL.Path == "/" {
				return status(307, "Location", to)
			}
			return status(200)
		}}
		_, err := Client(config(e)).Get("https://api.example/")
		if (err == nil) != ok || !ok && (!errors.Is(err, ErrForbidden) || len(e.left) != 1) {
			t.Errorf("%s: %v after %d requests", to, err, len(e.left))
		}
	}
	e := &ether{answer: func(r *http.Request) *http.Response { return status(302, "Location", "/again") }}
	if _, err := Client(config(e)).Get("https://api.example/"); !errors.Is(err, ErrForbidden) || len(e.left) != 6 {
		t.Errorf("a loop: %v after %d", err, len(e.left))
	}
}

// TestDial: a name that leads inside after a redirect is refused when it connects.
func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	hop := context.WithValue(t.Context(), hopKey{}, true)
	for _, host := range []string{"localhost", "127.0.0.1", "::ffff:127.0.0.1"} {
		_, err := (&dialer{}).DialContext(hop, "tcp", net.JoinHostPort(host, port))
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if c, err := (&dialer{loopback: true}).DialContext(hop, "tcp", l.Addr().String()); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// TestJudgedByTheDial: a dial that was handed in, and lists an address of its own
// network, is asked for a redirect there too; without it, or behind a proxy, it is
// refused.
func TestJudgedByTheDial(t *testing.T) {
	var dialled []string
	dial := func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, &daypass.Problem{Code: "DP-475", What: "no"}
	}
	first, _ := http.NewRequest(http.MethodGet, "https://api.example/", nil)
	req, _ := http.NewRequest(http.MethodGet, "https://10.1.2.3/", nil)
	req.Response = &http.Response{Request: first}
	any := func(string) bool { return true }
	proxy := func(*http.Request) (*url.URL, error) { return nil, nil }
	for name, c := range map[string]struct {
		Config
		asked bool
	}{
		"judged": {Config{Hosts: any, Dial: dial}, true}, "nobody judges": {Config{Hosts: any}, false}, "perhaps a proxy dials": {Config{Hosts: any, Dial: dial, Proxy: proxy}, false},
	} {
		dialled = nil
		_, err := Client(c.Config).Transport.RoundTrip(req)
		if err == nil || errors.Is(err, ErrForbidden) == c.asked || (len(dialled) > 0) != c.asked {
			t.Errorf("%s: %v, dialled %q", name, err, dialled)
		}
	}
}

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "10.1.2.3": false, "::ffff:10.1.2.3": false, "172.31.255.255": false, "172.32.0.1": true, "192.168.1.1": false,
		"169.254.169.254": false, "fe80::1%eth0": false, "::": false, "::1": false, "fc00::1": false, "2001:db8::1": false, "ff02::1": false, "255.255.255.255": false, "::127.0.0.1": false,
		"fec0::1": false, "2002:7f00:1::": false, "64:ff9b::7f00:1": false,
	} {
		if got := Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// TestOverTLS goes through a real server: HTTP/2, huge headers, a proxy unused.
func TestOverTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("x", 100<<10))
		case "/body":
			io.Copy(w, io.LimitReader(zeros{}, 1<<20))
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	u, _ := url.Parse(s.URL)
	transport := network(Config{}).(*http.Transport)
	transport.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	c := Client(Config{Hosts: func(h string) bool { return h == u.Host }, Base: transport, Retry: Retry{Tries: 1}})
	if _, err := c.Get(s.URL + "/header"); err == nil {
		t.Error("100 KiB of headers were taken")
	}
	res, err := c.Get(s.URL + "/body")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAll(res, 1000); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	res, err = c.Get(s.URL + "/body")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := ReadJSON(res, 2<<20, &v); err == nil {
		t.Error("zeros are no JSON")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A pace counts.
type pace struct {
	units atomic.Int64
	slow  []time.Duration
}

func (p *pace) Wait(ctx context.Context, n int) error { p.units.Add(int64(n)); return ctx.Err() }
func (p *pace) Slow(d time.Duration)                  { p.slow = append(p.slow, d) }

func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(n int) *http.Response
		status int // 0: an error
		asked  int
		took   time.Duration
		slowed int // how often all who share the pace are
	}{
		"well":                   {func(int) *http.Response { return status(200) }, 200, 1, 0, 0},
		"not there":              {func(int) *http.Response { return status(404) }, 404, 1, 0, 0},
		"a storm that ends":      {func(n int) *http.Response { return status([]int{503, 429, 500, 200}[n-1]) }, 200, 4, 7 * time.Second, 1},
		"a storm":                {func(int) *http.Response { return status(429) }, 429, 7, 63 * time.Second, 7},
		"Retry-After":            {func(n int) *http.Response { return status([]int{429, 200}[n-1], "Retry-After", "30") }, 200, 2, 30 * time.Second, 1},
		"Retry-After for ever":   {func(int) *http.Response { return status(429, "Retry-After", "86400") }, 429, 1, 0, 1},
		"Retry-After, no number": {func(n int) *http.Response { return status([]int{429, 200}[n-1], "Retry-After", "-5") }, 200, 2, time.Second, 1},
		"a quota":                {func(n int) *http.Response { return status([]int{403, 200}[n-1], "Reason", "again") }, 200, 2, time.Second, 1},
		"no right":               {func(int) *http.Response { return status(403) }, 403, 1, 0, 0},
		"gone for today":         {func(int) *http.Response { return status(429, "Reason", "today") }, 429, 1, 0, 0},
		"no network":             {func(int) *http.Response { return nil }, 0, 3, 3 * time.Second, 0},
		"trouble with one":       {func(int) *http.Response { return status(500) }, 500, 7, 63 * time.Second, 0},
		"trouble, and a time":    {func(n int) *http.Response { return status([]int{503, 200}[n-1], "Retry-After", "30") }, 200, 2, 30 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				e := &ether{answer: func(*http.Request) *http.Response { asked++; return c.answer(asked) }}
				p := &pace{}
				conf := config(e)
				conf.Pace, conf.Units = p, func(*http.Request) int { return 5 }
				conf.Retry = Retry{
					Jitter: func(time.Duration) time.Duration { return 0 },
					Again:  func(_ int, h http.Header, _ []byte) bool { return h.Get("Reason") == "again" },
					Never:  func(_ int, h http.Header, _ []byte) bool { return h.Get("Reason") == "today" },
				}
				began := time.Now()
				res, err := Client(conf).Get("https://api.example/")
				if took := time.Since(began); took != c.took || asked != c.asked || p.units.Load() != int64(5*c.asked) {
					t.Errorf("it took %v and %d requests, %d units", took, asked, p.units.Load())
				}
				if len(p.slow) != c.slowed {
					t.Errorf("all were slowed down by %v", p.slow)
				}
				if c.status == 0 {
					if !errors.Is(Failure("api.example", err), daypass.ErrUnreachable) {
						t.Error(err)
					}
					return
				}
				if err != nil || res.StatusCode != c.status {
					t.Fatal(res, err)
				}
				if text, err := io.ReadAll(res.Body); err != nil || string(text) != "ok" {
					t.Errorf("%q, %v", text, err)
				}
				res.Body.Close()
			})
		})
	}
}

// TestOthersAreNotSlowed: what a store asks for, which a site sends to and which may be
// anybody's, is not asked of those who read from the site.
func TestOthersAreNotSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pace{}
		conf := config(&ether{answer: func(r *http.Request) *http.Response {
			if r.URL.Host == "api.example" {
				return status(302, "Location", "https://files.example/x")
			}
			return status(429, "Retry-After", "86400")
		}})
		conf.Pace, conf.Units = p, func(r *http.Request) int {
			if Host(r) == "api.example" {
				return 1
			}
			return 0
		}
		res, err := Client(conf).Get("https://api.example/x")
		if err != nil || res.StatusCode != 429 {
			t.Fatal(res, err)
		}
		res.Body.Close()
		if len(p.slow) != 0 {
			t.Errorf("all wait %v", p.slow)
		}
	})
}

// TestPatience: for a limit that is of a minute a request waits on, with pauses that grow
// and differ; for trouble it does not.
func TestPatience(t *testing.T) {
	for name, c := range map[string]struct {
		status, asked int
		reason        string
		least, most   time.Duration
	}{
		"a limit":             {429, 20, "", 29 * time.Minute, 30 * time.Minute},
		"a limit by its name": {403, 20, "again", 29 * time.Minute, 30 * time.Minute},
		"a limit of today":    {429, 1, "today", 0, 0},
		"trouble":             {503, 7, "", time.Minute, 2 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked, drawn := 0, time.Duration(0)
			conf := config(&ether{answer: func(*http.Request) *http.Response { asked++; return status(c.status, "Reason", c.reason) }})
			conf.Retry = Retry{
				Patience: 30 * time.Minute, Jitter: func(d time.Duration) time.Duration { drawn = max(drawn, d); return d },
				Again: func(_ int, h http.Header, _ []byte) bool { return h.Get("Reason") == "again" },
				Never: func(_ int, h http.Header, _ []byte) bool { return h.Get("Reason") == "today" },
			}
			began := time.Now()
			res, err := Client(conf).Get("https://api.example/")
			if err != nil || res.StatusCode != c.status {
				t.Fatal(res, err)
			}
			res.Body.Close()
			if took := time.Since(began); asked > c.asked+5 || asked < c.asked-5 || took < c.least-time.Minute || took > c.most {
				t.Errorf("%s: %d requests, %v", name, asked, took)
			}
			if asked > 10 && drawn < 30*time.Second {
				t.Errorf("%s: all pauses are alike: they differ by %v at most", name, drawn)
			}
		})
	}
}

// TestRetryEnds: no wait outlasts its caller.
func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ether{answer: func(*http.Request) *http.Response { return status(429, "Retry-After", "60") }}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://api.example/", nil)
		began := time.Now()
		res, err := Client(config(e)).Do(req)
		if err != nil || res.StatusCode != 429 || time.Since(began) > 0 {
			t.Error(res, err, time.Since(began))
		}
	})
}

type slow struct{ ctx context.Context }

func (s slow) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }

func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ether{answer: func(r *http.Request) *http.Response {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader("begins"), slow{r.Context()}))}
		}}
		res, err := Client(config(e)).Get("https://api.example/")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute) // a reader that takes its time is none of the host's fault
		began := time.Now()
		text, err := io.ReadAll(res.Body)
		if string(text) != "begins" || !errors.Is(err, ErrStalled) || time.Since(began) != time.Minute {
			t.Errorf("%q, %v after %v", text, err, time.Since(began))
		}
		res.Body.Close()
	})
}

func TestMessages(t *testing.T) {
	e := &ether{answer: func(*http.Request) *http.Response { return nil }}
	conf := config(e)
	conf.Retry.Tries = 1
	_, err := Client(conf).Get("https://api.example/?token=hidden")
	text := Failure("api.example", err)
	if strings.Contains(text.Error(), "hidden") || strings.Contains(fmt.Sprintf("%+v", text), "hidden") {
		t.Errorf("%+v", text)
	}
	none := daypass.Problem{Code: "DP-410", What: "no"}
	for n, want := range map[int][]error{
		401: {daypass.ErrRefused, daypass.ErrNoSource}, 403: {daypass.ErrNoSource}, 404: {daypass.ErrNoSource}, 410: {daypass.ErrNoSource},
		429: {daypass.ErrLimited, daypass.ErrUnreachable}, 500: {daypass.ErrUnreachable}, 302: {daypass.ErrUnreachable},
	} {
		err := Refused("api.example", &http.Response{StatusCode: n, Body: io.NopCloser(&bytes.Buffer{})}, time.Now(), none)
		for _, kind := range want {
			if !errors.Is(err, kind) {
				t.Errorf("%d: %v is not %v", n, err, kind)
			}
		}
	}
	var l daypass.Limited
	if !errors.As(Limited("api.example", 3*time.Hour), &l) || l.RetryAfter() != 3*time.Hour {
		t.Error("it does not say for how long")
	}
	if _, ok := Failure("h", &json.SyntaxError{}).(*daypass.Problem); !ok {
		t.Error("an answer that makes no sense is no Problem")
	}
}
