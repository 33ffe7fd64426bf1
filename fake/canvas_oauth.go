package fake

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type canvasCode struct {
	key, redirect, challenge string
	user                     int64
	scopes                   []string
	until                    time.Time
}

// A canvasToken is one row of Canvas's: what renews it stays the same, and what it is
// renewed to takes the place of what was there.
type canvasToken struct {
	key     string
	user    int64
	access  string
	refresh string
	scopes  []string
	until   time.Time // zero: made by hand, and without an end
}

// NewToken is a token that somebody makes by hand in their settings. It has no end and
// no scopes.
func (v *Canvas) NewToken(user int64) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := &canvasToken{user: user, access: "1~" + v.secret(64)}
	v.issued = append(v.issued, t.access)
	v.tokens[t.access] = t
	return t.access
}

// Tokens returns the access tokens that work now.
func (v *Canvas) Tokens() (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for access, t := range v.tokens {
		if t.until.IsZero() || v.now().Before(t.until) {
			out = append(out, access)
		}
	}
	return out
}

// Revoke ends all that a person granted, as they can in their settings.
func (v *Canvas) Revoke(user int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for access, t := range v.tokens {
		if t.user == user {
			delete(v.tokens, access)
		}
	}
}

// Expire makes the access tokens of a person old, and not what renews them.
func (v *Canvas) Expire(user int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range v.tokens {
		if t.user == user {
			t.until = v.now().Add(-time.Second)
		}
	}
}

// Authorize says yes as a person at the page of GET login/oauth2/auth, and returns the
// address that the browser is sent to: with a code, or with an error.
func (v *Canvas) Authorize(page string, user int64) (string, error) {
	u, err := url.Parse(page)
	if err != nil {
		return "", err
	}
	if u.Path != "/login/oauth2/auth" || v.config.Host != "" && u.Host != v.config.Host {
		return "", fmt.Errorf("fake: %q is no page to say yes on", page)
	}
	return v.authorize(u.Query(), user)
}

func (v *Canvas) authorize(q url.Values, user int64) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := v.key(q.Get("client_id"))
	switch {
	case key == nil:
		return "", errors.New("fake: unknown client")
	case !key.leadsTo(q.Get("redirect_uri")):
		return "", errors.New("fake: redirect_uri does not match client settings")
	case q.Get("response_type") != "code":
		return "", errors.New("fake: unsupported response type")
	}
	scopes := strings.Fields(q.Get("scope"))
	back := url.Values{"state": {q.Get("state")}}
	switch {
	case user == 0:
		back.Set("error", "access_denied")
	case key.Scopes != nil && (len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(key.Scopes, s) })):
		back.Set("error", "invalid_scope")
		back.Set("error_description", "A requested scope is invalid, unknown, malformed, or exceeds the scope granted by the resource owner.")
	default:
		if key.Scopes == nil {
			scopes = nil
		}
		code := v.secret(64)
		v.codes[code] = canvasCode{key.ID, q.Get("redirect_uri"), q.Get("code_challenge"), user, scopes, v.now().Add(10 * time.Minute)}
		back.Set("code", code)
	}
	return q.Get("redirect_uri") + "?" + back.Encode(), nil
}

func (v *Canvas) key(id string) *CanvasKey {
	for n, k := range v.config.Seed.Keys {
		if k.ID == id {
			return &v.config.Seed.Keys[n]
		}
	}
	return nil
}

// leadsTo: the address has to be one that was named, or at such a host or below it.
func (k *CanvasKey) leadsTo(address string) bool {
	u, err := url.Parse(address)
	return err == nil && slices.ContainsFunc(k.Redirects, func(r string) bool {
		return r == address || r == u.Hostname() || strings.HasSuffix(u.Hostname(), "."+r)
	})
}

// page is where people say yes: one button for each person.
func (v *Canvas) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html><html lang=en><title>Authorize</title><h1>Authorize</h1><form method=post action=\"/login/oauth2/accept?%s\">", html.EscapeString(r.URL.RawQuery))
	for _, u := range v.config.Seed.Users {
		fmt.Fprintf(w, "<button name=user value=%d id=user-%d>Authorize as %s</button> ", u.ID, u.ID, html.EscapeString(u.Name))
	}
	fmt.Fprint(w, "<button name=user value=0 id=cancel>Cancel</button></form>")
}

func (v *Canvas) accept(w http.ResponseWriter, r *http.Request) {
	user, err := strconv.ParseInt(readForm(r).Get("user"), 10, 64)
	if err != nil {
		http.Error(w, "who?", http.StatusBadRequest)
		return
	}
	to, err := v.authorize(r.URL.Query(), user)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, to, http.StatusFound)
}

// token answers POST login/oauth2/token.
func (v *Canvas) token(w http.ResponseWriter, r *http.Request) {
	form := readForm(r)
	v.mu.Lock()
	defer v.mu.Unlock()
	key := v.key(form.Get("client_id"))
	if key == nil || key.Secret != form.Get("client_secret") {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client", "error_description": "unknown client"})
		return
	}
	var t *canvasToken
	switch form.Get("grant_type") {
	case "authorization_code":
		code := form.Get("code")
		c, ok := v.codes[code]
		delete(v.codes, code)
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		switch {
		case !ok || c.key != key.ID || !v.now().Before(c.until):
			grantError(w, http.StatusBadRequest, "invalid_grant", "authorization_code not found")
			return
		case c.redirect != form.Get("redirect_uri"):
			grantError(w, http.StatusBadRequest, "invalid_grant", "incorrect redirect_uri")
			return
		case c.challenge != "" && c.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
			grantError(w, http.StatusBadRequest, "invalid_grant", "incorrect code_verifier")
			return
		}
		t = &canvasToken{key: key.ID, user: c.user, scopes: c.scopes, refresh: v.secret(64)}
	case "refresh_token":
		for _, have := range v.tokens {
			if have.refresh != "" && have.refresh == form.Get("refresh_token") && have.key == key.ID {
				t = have
			}
		}
		if t == nil {
			grantError(w, http.StatusBadRequest, "invalid_grant", "refresh_token not found")
			return
		}
		delete(v.tokens, t.access)
	default:
		grantError(w, http.StatusBadRequest, "unsupported_grant_type", "The grant_type you requested is not currently supported by Canvas")
		return
	}
	life := orElse(v.sw.TokenLife, time.Hour)
	t.access, t.until = v.secret(64), v.now().Add(life)
	v.tokens[t.access] = t
	u := v.user(t.user)
	out := map[string]any{
		"access_token": t.access, "token_type": "Bearer", "expires_in": int(life / time.Second), "canvas_region": "us-east-1",
		"user": map[string]any{"id": u.ID, "name": u.Name, "global_id": strconv.FormatInt(u.ID, 10), "effective_locale": "en"},
	}
	if form.Get("grant_type") == "authorization_code" {
		out["refresh_token"] = t.refresh
	}
	writeJSON(w, http.StatusOK, out)
}

// logout answers DELETE login/oauth2/token.
func (v *Canvas) logout(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.bearer(r)
	if t == nil {
		canvasUnknown(w)
		return
	}
	delete(v.tokens, t.access)
	writeJSON(w, http.StatusOK, map[string]any{})
}

// bearer finds who asks; mu is held.
func (v *Canvas) bearer(r *http.Request) *canvasToken {
	scheme, _, secret := authorization(r)
	if secret == "" {
		scheme, secret = "bearer", r.URL.Query().Get("access_token")
	}
	t := v.tokens[secret]
	if scheme != "bearer" || t == nil || !t.until.IsZero() && !v.now().Before(t.until) {
		return nil
	}
	return t
}

func (v *Canvas) user(id int64) CanvasUser {
	for _, u := range v.config.Seed.Users {
		if u.ID == id {
			return u
		}
	}
	return CanvasUser{}
}

// canvasUnknown is the answer to a token that is none, or has ended.
func canvasUnknown(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="canvas-lms"`)
	canvasError(w, http.StatusUnauthorized, "", "Invalid access token.")
}

func canvasError(w http.ResponseWriter, status int, word, says string) {
	body := map[string]any{"errors": []map[string]string{{"message": says}}}
	if word != "" {
		body["status"] = word
	}
	writeJSON(w, status, body)
}
