package fake

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
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
	// Form is the body of what was sent to the OAuth endpoints, pages, and
	// those that check, make or revoke tokens, whether a form or JSON. Secrets
	// are fingerprints.
	Form   url.Values
	Status int // of the answer; 0 when none was sent
}

// maxLog is how many requests are remembered; the oldest are forgotten.
const maxLog = 20_000

// A journal is what a stand-in, which embeds it, has been asked.
type journal struct {
	mu    sync.Mutex
	list  []Request
	count int
	most  int // 0 means maxLog
}

// record remembers a request, and gives it its number.
func (j *journal) record(at time.Time, r *http.Request) int {
	h := r.Header.Clone()
	for _, k := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		h.Del(k)
	}
	scheme, user, secret := authorization(r)
	return j.note(Request{
		At: at, Method: r.Method, Host: r.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery,
		Header: h, Scheme: scheme, Username: user, Token: Fingerprint(secret), Form: peekForm(r),
	})
}

func (j *journal) note(e Request) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count++
	e.N = j.count
	j.list = append(j.list, e)
	if most := cmp.Or(j.most, maxLog); len(j.list) > most {
		j.list = slices.Delete(j.list, 0, most/2)
	}
	return e.N
}

// recordStatus notes the answer to the n-th request.
func (j *journal) recordStatus(n, status int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.list) - 1; i >= 0; i-- {
		if j.list[i].N == n {
			j.list[i].Status = status
			return
		}
	}
}

// Requests returns what has been asked so far, oldest first.
func (j *journal) Requests() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.list)
}

// peeked are the parts of the service whose requests carry secrets in their
// bodies, or say what a token is to be made for.
var peeked = []string{"/login/", "/applications/", "/credentials/", "/app/installations/"}

// secretFields are kept as fingerprints.
var secretFields = []string{"device_code", "refresh_token", "access_token", "client_secret", "code", "code_verifier", "credentials"}

// peekForm reads the body of such a request, a form or JSON, and leaves it to
// be read again.
func peekForm(r *http.Request) url.Values {
	path := strings.TrimPrefix(r.URL.Path, "/api/v3")
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Body == nil ||
		!slices.ContainsFunc(peeked, func(p string) bool { return strings.HasPrefix(path, p) }) {
		return nil
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	if err != nil {
		return nil
	}
	var form url.Values
	if text := bytes.TrimSpace(head); len(text) > 0 && text[0] == '{' {
		form = jsonForm(text)
	} else if form, err = url.ParseQuery(string(head)); err != nil {
		return nil
	}
	for _, k := range secretFields {
		for i, v := range form[k] {
			form[k][i] = Fingerprint(v)
		}
	}
	return form
}

// jsonForm is an object as a form: a list becomes several values, an object
// below it one value for each member.
func jsonForm(text []byte) url.Values {
	var fields map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if dec.Decode(&fields) != nil {
		return nil
	}
	form := url.Values{}
	for k, v := range fields {
		switch v := v.(type) {
		case nil:
		case []any:
			for _, item := range v {
				form.Add(k, fmt.Sprint(item))
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				form.Add(k, name+": "+fmt.Sprint(v[name]))
			}
		default:
			form.Set(k, fmt.Sprint(v))
		}
	}
	return form
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
