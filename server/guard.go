package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// formFor is how long a form can be sent after its page was shown.
const formFor = time.Hour

// navigated holds a browser's request to how it says that it came about (Fetch
// Metadata, W3C). A page is there to be looked at in a window of its own.
//
// On an own origin a request of another site may only open a page, and the
// pages' own script may read them. On a shared origin whatever is not a window's
// own navigation is refused, also where nothing is said: pages there are at the
// same origin as those of strangers.
func (s *Server) navigated(r *http.Request, rt route) error {
	site, mode, dest := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	window := mode == "navigate" && dest == "document"
	if rt.method == http.MethodPost {
		return s.sent(r, site, window)
	}
	if rt.kind == public {
		return nil
	}
	if s.c.Shared {
		if rt.kind == stream || !window {
			return notFromHere("it was not opened as a page of its own")
		}
		return nil
	}
	switch {
	case rt.kind == stream && (site != "same-origin" || dest != "empty"):
		return notFromHere("a stream is for the pages' own script")
	case site == "" || window:
		return nil
	case site == "same-origin" && (dest == "empty" || dest == ""):
		if rt.kind == entry || rt.once && rt.kind != stream {
			return notFromHere("it was not opened as a page of its own")
		}
		return nil
	}
	return notFromHere("another page asked for it")
}

// sent judges where a form comes from. A page on a shared origin is put into an
// origin of its own, so that its forms come from "cross-site" with the origin
// "null", and those of the neighbours do not.
func (s *Server) sent(r *http.Request, site string, window bool) error {
	origin := r.Header.Get("Origin")
	if s.c.Shared {
		if !window || site != "cross-site" || origin != "null" {
			return notFromHere("another page sent it")
		}
		return nil
	}
	switch {
	case site == "" && origin == "":
		return notFromHere("it does not say where it comes from")
	case site != "" && !window:
		return notFromHere("it was not sent by a form")
	case site != "" && site != "same-origin":
		return notFromHere("another page sent it")
	case s.cross.Check(r) != nil:
		return notFromHere("another page sent it")
	}
	return nil
}

// readForm reads a form and spends its code. A code is good for one page, one
// path, one session and one use.
func (v *visit) readForm() error {
	kind, _, _ := strings.Cut(v.r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return badForm("it is not one that a page of ours would send")
	}
	b, err := body(v.w, v.r)
	if err != nil {
		return err
	}
	if v.form, err = url.ParseQuery(string(b)); err != nil {
		return badForm("it is not one that a page of ours would send")
	}
	nonce, until, ok := v.opens(v.form.Get("form"), v.r.URL.Path)
	if !ok {
		return spentForm()
	}
	first, room := v.s.spent.take(v.who.Caller.User, nonce, until, v.s.c.Now())
	switch {
	case !room:
		return tooOften(time.Minute)
	case !first:
		return spentForm()
	}
	return nil
}

// Form is the code of a form that is sent to a path below the service's own:
// NONCE.UNTIL.MAC.
func (v *visit) Form(path string) (string, error) {
	if v.forms == nil {
		return "", nil
	}
	nonce, err := v.s.random(12)
	if err != nil {
		return "", err
	}
	body := nonce + "." + strconv.FormatInt(v.s.c.Now().Add(formFor).Unix(), 36)
	return body + "." + v.seal(body, v.s.path(path)), nil
}

func (v *visit) seal(body, path string) string {
	m := hmac.New(sha256.New, v.forms)
	_, _ = m.Write([]byte(v.session + "\n" + path + "\n" + body)) // a hash takes everything
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (v *visit) opens(code, path string) (nonce string, until time.Time, ok bool) {
	i := strings.LastIndexByte(code, '.')
	if i < 0 || len(code) > 128 {
		return "", until, false
	}
	body, mac := code[:i], code[i+1:]
	if subtle.ConstantTimeCompare([]byte(mac), []byte(v.seal(body, path))) != 1 {
		return "", until, false
	}
	nonce, end, _ := strings.Cut(body, ".")
	n, err := strconv.ParseInt(end, 36, 64)
	if err != nil {
		return "", until, false
	}
	until = time.Unix(n, 0)
	return nonce, until, v.s.c.Now().Before(until)
}
