package fake

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Request is what a fake remembers of a request. Secrets in the
// Authorization header are replaced by their [Fingerprint]; the target is
// kept as it came, so that a test can see a secret that leaked into it.
type Request struct {
	N        int // counted from 1
	At       time.Time
	Method   string
	Host     string
	Path     string
	RawQuery string
	Header   http.Header // without Authorization, Proxy-Authorization and Cookie
	Scheme   string      // of the Authorization header: "bearer", "token", "basic" or ""
	Username string      // of basic authentication
	Token    string      // fingerprint of the secret that was sent
	Status   int         // of the answer; 0 when none was sent
}

func (g *GitHub) record(n int, r *http.Request) int {
	h := r.Header.Clone()
	for _, k := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		h.Del(k)
	}
	scheme, user, secret := authorization(r)
	e := Request{
		N: n, At: g.now(), Method: r.Method, Host: r.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery,
		Header: h, Scheme: scheme, Username: user, Token: Fingerprint(secret),
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = append(g.log, e)
	return len(g.log) - 1
}

func (g *GitHub) recordStatus(i, status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i < len(g.log) {
		g.log[i].Status = status
	}
}

// Requests returns what has been asked so far, oldest first.
func (g *GitHub) Requests() []Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.log)
}

// Count returns how many requests for exactly this path have come.
func (g *GitHub) Count(path string) int {
	n := 0
	for _, r := range g.Requests() {
		if r.Path == path {
			n++
		}
	}
	return n
}

// authorization takes the Authorization header apart. The scheme is in lower
// case. For git, user tokens come as the password of basic authentication;
// GitHub takes them as the user name too, when the password is empty or
// "x-oauth-basic".
func authorization(r *http.Request) (scheme, user, secret string) {
	v := r.Header.Get("Authorization")
	if v == "" {
		return "", "", ""
	}
	if user, pass, ok := r.BasicAuth(); ok {
		if (pass == "" || pass == "x-oauth-basic") && user != "" {
			return "basic", "", user
		}
		return "basic", user, pass
	}
	scheme, secret, _ = strings.Cut(v, " ")
	return strings.ToLower(scheme), "", strings.TrimSpace(secret)
}

// A statusWriter remembers the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(code int) {
	if w.status == 0 {
		w.status = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush and hijack.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
