package pullpage

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	tokenFor = 10 * time.Minute // how long after a page was shown its buttons work
	maxForm  = 16 << 10
	maxSpent = 10000
)

// framed reports whether another page shows this one within itself.
func framed(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "iframe", "frame", "embed", "object", "fencedframe":
		return true
	}
	return false
}

// navigated holds a request to how a browser says that it came about (Fetch
// Metadata, W3C). Any page may link to a page of ours; only a page of ours may
// send a form or follow a pull. Where a browser says nothing, since the server
// has no https, a form needs an Origin that is the server's.
func (v *visit) navigated() error {
	site, mode, dest := v.r.Header.Get("Sec-Fetch-Site"), v.r.Header.Get("Sec-Fetch-Mode"), v.r.Header.Get("Sec-Fetch-Dest")
	switch {
	case v.r.Method == http.MethodPost:
		return v.sent(site)
	case site == "" || framed(v.r) && mode == "navigate":
		return nil
	case mode == "navigate" && dest == "document":
		return nil
	case site == "same-origin" && dest == "empty" && (v.r.URL.Path == "/events" || v.r.URL.Path == "/status"):
		return nil
	}
	return notFromHere("another page asked for it")
}

func (v *visit) sent(site string) error {
	origin := v.r.Header.Get("Origin")
	switch {
	case framed(v.r):
		return notFromHere("it was sent within another page")
	case site == "same-origin": // a proxy may have changed the host's name on the way, and then Origin says nothing
		return nil
	case site != "":
		return notFromHere("another page sent it")
	case origin == "":
		return notFromHere("it does not say where it comes from")
	}
	if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, v.r.Host) {
		return notFromHere("another page sent it")
	}
	return nil
}

// readForm reads a form and spends its token.
func (v *visit) readForm() error {
	kind, _, _ := strings.Cut(v.r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return notFromHere("no form of ours has that shape")
	}
	b, err := io.ReadAll(http.MaxBytesReader(v.w, v.r.Body, maxForm))
	if err != nil {
		return notFromHere("it is larger than any form of ours")
	}
	if v.form, err = readForm(string(b), maxForm); err != nil {
		return err
	}
	token, what := v.form["token"], v.bound()
	nonce, until, ok := v.s.opens(token, what)
	if !ok {
		return tooOld()
	}
	return v.s.spend(nonce, until)
}

// bound is what the token of a form is bound to: the act, and all that it is about.
func (v *visit) bound() string {
	f := v.form
	return boundTo(strings.TrimPrefix(v.r.URL.Path, "/"), f["link"], f["asked"], f["folder"], f["file"], f["backup"], f["id"], f["fresh"])
}

func boundTo(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%d:%s,", len(p), p)
	}
	return b.String()
}

// token is what a form of ours carries: NONCE.END.MAC. The nonce has 256 bits.
func (s *Server) token(what string) (string, error) {
	nonce, err := s.random(32)
	if err != nil {
		return "", err
	}
	body := nonce + "." + strconv.FormatInt(s.c.Now().Add(tokenFor).Unix(), 36)
	return body + "." + s.seal(body, what), nil
}

func (s *Server) seal(body, what string) string {
	m := hmac.New(sha256.New, s.key)
	_, _ = m.Write([]byte(body + "\n" + what)) // a hash takes everything
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (s *Server) opens(token, what string) (nonce string, until time.Time, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || len(token) > 256 {
		return "", until, false
	}
	if subtle.ConstantTimeCompare([]byte(token[i+1:]), []byte(s.seal(token[:i], what))) != 1 {
		return "", until, false
	}
	nonce, end, _ := strings.Cut(token[:i], ".")
	n, err := strconv.ParseInt(end, 36, 64)
	if err != nil {
		return "", until, false
	}
	until = time.Unix(n, 0)
	return nonce, until, s.c.Now().Before(until)
}

// spend uses a token up.
func (s *Server) spend(nonce string, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, used := s.spent[nonce]; used {
		return tooOld()
	}
	now := s.c.Now()
	for n, t := range s.spent {
		if len(s.spent) < maxSpent/2 {
			break
		}
		if !now.Before(t) {
			delete(s.spent, n)
		}
	}
	if len(s.spent) >= maxSpent {
		return tooMuch()
	}
	s.spent[nonce] = until
	return nil
}

func (s *Server) random(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.c.Random, b); err != nil {
		return "", fmt.Errorf("draw a random word: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
