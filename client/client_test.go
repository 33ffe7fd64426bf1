package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/internal/process"
)

const token = "hub-token-0123456789"

var ask = api.CredentialRequest{Protocol: "https", Host: "github.com", Path: "octo/data", Access: "write"}

func newClient(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: url, Token: daypass.NewSecret(token), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func reply(change func(*api.CredentialReply)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out := api.CredentialReply{
			Username: "x-access-token", Password: daypass.NewSecret("ghu_abcdefghijklmnop"), Host: "github.com",
			Repo: api.Repo{Owner: "octo", Name: "data", ID: 42}, Access: "write", Until: time.Now().Add(time.Hour), As: api.AsUser, Event: "K3QF-1",
		}
		change(&out)
		b, _ := out.Encode()
		w.Write(b)
	}
}

func TestCredential(t *testing.T) {
	var got *http.Request
	var body string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		reply(func(*api.CredentialReply) {})(w, r)
	})
	c, err := newClient(t, url+"/services/daypass/").Credential(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if got.URL.Path != "/services/daypass/api/v1/credential" || got.Method != "POST" || got.Header.Get("Authorization") != "Bearer "+token {
		t.Errorf("asked %s %s with %q", got.Method, got.URL, got.Header.Get("Authorization"))
	}
	if len(got.Cookies()) != 0 || strings.Contains(got.URL.String()+body, token) {
		t.Error("the token stands where it does not belong")
	}
	if !c.Scope().Covers(daypass.Scope{Host: "github.com", Repos: []daypass.Repo{{ID: 42, Owner: "octo", Name: "data"}}, Access: daypass.Write, Until: c.Until}) {
		t.Errorf("scope %+v", c.Scope())
	}
}

// TestCredentialIsLookedAt: what was not asked for is not taken.
func TestCredentialIsLookedAt(t *testing.T) {
	for why, change := range map[string]func(*api.CredentialReply){
		"another host":     func(r *api.CredentialReply) { r.Host = "evil.example" },
		"upper case":       func(r *api.CredentialReply) { r.Host = "GitHub.com" },
		"no number":        func(r *api.CredentialReply) { r.Repo.ID = 0 },
		"negative number":  func(r *api.CredentialReply) { r.Repo.ID = -1 },
		"no access":        func(r *api.CredentialReply) { r.Access = "" },
		"another access":   func(r *api.CredentialReply) { r.Access = "admin" },
		"ended":            func(r *api.CredentialReply) { r.Until = time.Now().Add(-time.Second) },
		"no end":           func(r *api.CredentialReply) { r.Until = time.Time{} },
		"no token":         func(r *api.CredentialReply) { r.Password = daypass.Secret{} },
		"line in token":    func(r *api.CredentialReply) { r.Password = daypass.NewSecret("x\nhost=evil.example") },
		"line in username": func(r *api.CredentialReply) { r.Username = "x\nquit=1" },
		"no username":      func(r *api.CredentialReply) { r.Username = "" },
		"endless token":    func(r *api.CredentialReply) { r.Password = daypass.NewSecret(strings.Repeat("x", 5000)) },
	} {
		if c, err := newClient(t, serve(t, reply(change))).Credential(t.Context(), ask); err == nil {
			t.Errorf("%s: taken: %+v", why, c)
		}
	}
	read := ask
	read.Access = "read"
	if _, err := newClient(t, serve(t, reply(func(*api.CredentialReply) {}))).Credential(t.Context(), read); err == nil {
		t.Error("took write where read was asked for")
	}
	least := ask
	least.Least = "write"
	if _, err := newClient(t, serve(t, reply(func(r *api.CredentialReply) { r.Access = "read" }))).Credential(t.Context(), least); err == nil {
		t.Error("took read where no less than write would do")
	}
	if _, err := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(strings.Repeat(" ", api.MaxReply+1)))
	})).Credential(t.Context(), ask); err == nil {
		t.Error("took an endless answer")
	}
}

// TestNoRedirectNoProxy: the token goes to the address and nowhere else.
func TestNoRedirectNoProxy(t *testing.T) {
	var heard atomic.Int32
	recorder := serve(t, func(http.ResponseWriter, *http.Request) { heard.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, recorder)
	}
	t.Setenv("NO_PROXY", "")
	for _, status := range []int{301, 302, 303, 307, 308} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, recorder+r.URL.Path, status) })
		c := newClient(t, url)
		if _, err := c.Credential(t.Context(), ask); err == nil || errors.Is(err, daypass.ErrUnreachable) {
			t.Errorf("%d: %v", status, err)
		}
		if _, err := c.Me(t.Context()); err == nil {
			t.Errorf("%d: me took it", status)
		}
	}
	// A name that resolves nowhere would be asked for at a proxy, were there one.
	c := newClient(t, "https://daypass.invalid/")
	if _, err := c.Me(t.Context()); !client.Unreachable(err) {
		t.Errorf("a name that is not known: %v", err)
	}
	if heard.Load() != 0 {
		t.Errorf("%d requests arrived elsewhere", heard.Load())
	}
}

func TestErrors(t *testing.T) {
	answer := func(status int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			w.Write([]byte(body))
		}
	}
	refusal := `{"error":{"code":"DP-810","what":"no","why":"a rule","next":"Ask.","event":"K3QF-7","rule":"none","link":"https://h.example/x"}}`
	_, err := newClient(t, serve(t, answer(403, refusal))).Credential(t.Context(), ask)
	var e *client.Error
	if !errors.As(err, &e) || e.Event != "K3QF-7" || e.Rule != "none" || e.Link != "https://h.example/x" || !errors.Is(err, daypass.ErrRefused) {
		t.Errorf("403: %+v", err)
	}
	_, err = newClient(t, serve(t, answer(409, refusal))).Credential(t.Context(), ask)
	if _, ok := client.NotConnected(err); !ok || !errors.Is(err, daypass.ErrNoLogin) {
		t.Errorf("409: %v", err)
	}
	_, err = newClient(t, serve(t, answer(404, refusal))).Credential(t.Context(), ask)
	if !client.NotServed(err) {
		t.Errorf("404: %v", err)
	}
	_, err = newClient(t, serve(t, answer(404, "<html>nothing here</html>"))).Credential(t.Context(), ask)
	if client.NotServed(err) || err == nil {
		t.Errorf("somebody's 404 page counts as ours: %v", err)
	}
	_, err = newClient(t, serve(t, answer(503, refusal, "Retry-After", "7"))).Credential(t.Context(), ask)
	if !errors.As(err, &e) || e.RetryAfter != 7*time.Second || client.Unreachable(err) || !errors.Is(err, daypass.ErrUnreachable) {
		t.Errorf("503 of ours: %v", err)
	}
	_, err = newClient(t, serve(t, answer(503, "<html>"))).Credential(t.Context(), ask)
	if !client.Unreachable(err) {
		t.Errorf("503 of a proxy in front: %v", err)
	}
	_, err = newClient(t, serve(t, answer(403, strings.Replace(refusal, "https://h.example/x", "javascript:alert(1)", 1)))).Credential(t.Context(), ask)
	if !errors.As(err, &e) || e.Link != "" {
		t.Errorf("a link of javascript: %+v", e)
	}
	for _, err := range []error{err} {
		if strings.Contains(err.Error(), token) {
			t.Error("an error holds the token")
		}
	}
}

// TestDown: a service that is down is known to be so within three seconds,
// whatever way it is down.
func TestDown(t *testing.T) {
	refused := "http://" + process.FreeAddress(t)
	// TLS that never answers: the connection stands and nothing comes.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	blackhole := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: client.DialTime}
		d.Resolver = nil
		<-time.After(client.DialTime)
		return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	}}
	for name, c := range map[string]client.Config{
		"refused":    {URL: refused},
		"silent TLS": {URL: "https://" + silent.Addr().String()},
		"no way":     {URL: "https://daypass.example/", Transport: blackhole},
	} {
		c.Token, c.Now = daypass.NewSecret(token), time.Now
		cl, err := client.New(c)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = cl.Credential(t.Context(), ask)
		if d := time.Since(began); d > 3*time.Second+500*time.Millisecond {
			t.Errorf("%s: known after %v", name, d)
		}
		if !client.Unreachable(err) || !strings.Contains(err.Error(), "commits stay on this machine") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSlow: one that was reached and waits for a slow host may take 5 s.
func TestSlow(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for five seconds")
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(5 * time.Second)
		reply(func(*api.CredentialReply) {})(w, r)
	})
	if _, err := newClient(t, url).Credential(t.Context(), ask); err != nil {
		t.Error(err)
	}
}

func TestWaitConnected(t *testing.T) {
	var n atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/connections/github.com" || r.URL.Query().Get("wait") != "25s" {
			t.Errorf("asked %s", r.URL)
		}
		switch n.Add(1) {
		case 1:
			w.WriteHeader(204)
		case 2:
			w.WriteHeader(503) // it restarts
		default:
			w.Write([]byte(`{"host":"github.com","connected":true,"state":"live","connect":"https://x.example/"}`))
		}
	})
	h, err := newClient(t, url).WaitConnected(t.Context(), "github.com")
	if err != nil || !h.Connected || n.Load() != 3 {
		t.Errorf("%+v %v after %d requests", h, err, n.Load())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	never := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if _, err := newClient(t, never).WaitConnected(ctx, "github.com"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the end of waiting: %v", err)
	}
	lies := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"host":"evil.example","connected":true}`))
	})
	if _, err := newClient(t, lies).WaitConnected(t.Context(), "github.com"); err == nil {
		t.Error("took another host's connection")
	}
}
