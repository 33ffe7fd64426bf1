package fake

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A DepositFile is a file of a deposit.
type DepositFile struct {
	Folder string // with "/"; only where the site knows folders
	Name   string
	Text   string
	Closed bool // it is listed, and not for everybody
}

func (f DepositFile) md5() string {
	sum := md5.Sum([]byte(f.Text))
	return hex.EncodeToString(sum[:])
}

// A deposits is what stand-ins for archives of data have in common: faults, a limit of
// requests, and what was asked.
type deposits struct {
	faults
	journal
	mu     sync.Mutex
	now    func() time.Time
	header string // that carries a token, beside Authorization
	// perMinute is how many requests are answered in a minute; 0: all.
	perMinute int
	minute    time.Time
	spent     int
}

func (d *deposits) init(now func() time.Time, header string) {
	if d.now = now; now == nil {
		d.now = time.Now
	}
	d.header = header
}

// Limit answers so many requests in a minute, and 429 to the rest.
func (d *deposits) Limit(perMinute int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.perMinute, d.spent = perMinute, 0
}

// serve remembers a request, and answers it with a fault or truly; secret is what was
// sent to be known by.
func (d *deposits) serve(w http.ResponseWriter, r *http.Request, answer func(w http.ResponseWriter, r *http.Request, secret string)) {
	scheme, user, secret := authorization(r)
	if v := r.Header.Get(d.header); d.header != "" && v != "" {
		secret = v
	}
	d.note(Request{At: d.now(), Method: r.Method, Host: r.Host, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Scheme: scheme, Username: user, Token: Fingerprint(secret)})
	fault := d.take(r)
	d.mu.Lock()
	reset, limited := d.count()
	d.mu.Unlock()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, secret) })
	switch {
	case fault != nil:
		fault.serve(w, r, h)
	case limited:
		// Zenodo's way: developers.zenodo.org, "Rate limiting".
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(d.perMinute))
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
		writeValue(w, http.StatusTooManyRequests, map[string]any{"status": 429, "message": "Too many requests"})
	default:
		h(w, r)
	}
}

func (d *deposits) count() (reset time.Time, limited bool) {
	if d.perMinute == 0 {
		return time.Time{}, false
	}
	now := d.now()
	if now.Sub(d.minute) >= time.Minute {
		d.minute, d.spent = now, 0
	}
	d.spent++
	return d.minute.Add(time.Minute), d.spent > d.perMinute
}

// writeValue answers in JSON.
func writeValue(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// notFound is what these sites say of what is not there.
func notFound(w http.ResponseWriter) {
	writeValue(w, http.StatusNotFound, map[string]any{"status": 404, "message": "The persistent identifier does not exist."})
}

func forbidden(w http.ResponseWriter) {
	writeValue(w, http.StatusForbidden, map[string]any{"status": 403, "message": "Permission denied."})
}

// sendFile sends bytes, whole or a range.
func sendFile(w http.ResponseWriter, r *http.Request, f DepositFile) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+f.md5()+`"`)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(f.Text))
}

// origin is how a request's host is written in addresses.
func origin(r *http.Request) string {
	if host, _, _ := strings.Cut(r.Host, ":"); host == "127.0.0.1" && r.TLS == nil {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

// writeAs answers in JSON of a type that was set.
func writeAs(w http.ResponseWriter, v any) { json.NewEncoder(w).Encode(v) }
