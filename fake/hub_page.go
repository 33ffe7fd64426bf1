package fake

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	hubCodeLife   = 5 * time.Minute
	hubSignInLife = 14 * 24 * time.Hour // cookie_max_age_days
)

var hubPages = template.Must(template.New("hub").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>JupyterHub (stand-in)</title><link rel="icon" href="data:,"></head><body><main>
{{- if .Login}}
<h1>Sign in</h1>
<form method="post" action="{{.Action}}">{{if .XSRF}}<input type="hidden" name="_xsrf" value="{{.XSRF}}">{{end}}
<p><label for="username">Username:</label> <input id="username" type="text" name="username" autofocus></p>
<p><label for="password">Password (any):</label> <input id="password" type="password" name="password"></p>
<p><button type="submit">Sign in</button></p></form>
{{- else if .Service}}
<h1>Authorize access</h1><p>The service <strong>{{.Service}}</strong> asks who you are.</p>
<form method="post" action="{{.Action}}">{{if .XSRF}}<input type="hidden" name="_xsrf" value="{{.XSRF}}">{{end}}<button type="submit">Authorize</button></form>
{{- else if .User}}
<h1>{{.User}}</h1><p>You are signed in at this stand-in for a hub.</p>
<ul>{{range .Services}}<li><a href="{{.}}">{{.}}</a></li>{{end}}</ul><p><a href="{{.Logout}}">Log out</a></p>
{{- else}}
<h1>{{.Title}}</h1>
{{- end}}
</main></body></html>
`))

// A hubView is what the pages show.
type hubView struct {
	Title, Action, XSRF   string
	Login                 bool
	Service, User, Logout string
	Services              []string
}

func (h *Hub) show(w http.ResponseWriter, status int, v hubView) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; form-action *; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	hubPages.Execute(w, v)
}

func (h *Hub) servePage(w http.ResponseWriter, r *http.Request, path string) {
	s := h.session(r)
	switch {
	case path == "login" && r.Method == http.MethodPost:
		h.login(w, r)
	case path == "login" && s == nil:
		h.show(w, http.StatusOK, hubView{Login: true, Action: r.URL.RequestURI(), XSRF: h.formToken(w, r)})
	case path == "logout":
		h.logout(w, s)
	case s == nil:
		redirect(w, h.base+"hub/login?next="+url.QueryEscape(r.URL.RequestURI()))
	case path == "" || path == "login" || path == "spawn":
		redirect(w, h.base+"hub/home")
	case path == "home":
		v := hubView{User: s.user.name, Logout: h.base + "hub/logout"}
		for _, service := range h.services {
			if service.Redirect != "" {
				v.Services = append(v.Services, strings.TrimSuffix(service.Redirect, "oauth_callback"))
			}
		}
		h.show(w, http.StatusOK, v)
	default:
		h.show(w, http.StatusNotFound, hubView{Title: "404 : Not Found"})
	}
}

func (h *Hub) session(r *http.Request) *hubSession {
	c, err := r.Cookie("jupyterhub-hub-login")
	if err != nil {
		return nil
	}
	return h.sessions[c.Value]
}

// formToken is the token against forged forms, since 4.0.
func (h *Hub) formToken(w http.ResponseWriter, r *http.Request) string {
	if h.version < 4 {
		return ""
	}
	if c, err := r.Cookie("_xsrf"); err == nil && c.Value != "" {
		return c.Value
	}
	value := h.random()
	http.SetCookie(w, &http.Cookie{Name: "_xsrf", Value: value, Path: h.base + "hub/", HttpOnly: true})
	return value
}

// forged reports whether a form did not come from a page of ours.
func (h *Hub) forged(r *http.Request) bool {
	if h.version < 4 {
		return false
	}
	c, err := r.Cookie("_xsrf")
	return err != nil || c.Value == "" || r.PostFormValue("_xsrf") != c.Value
}

func (h *Hub) login(w http.ResponseWriter, r *http.Request) {
	name := strings.ToLower(r.PostFormValue("username"))
	switch {
	case h.forged(r):
		h.show(w, http.StatusForbidden, hubView{Title: "403 : Forbidden"})
		return
	case !hubName(name):
		h.show(w, http.StatusForbidden, hubView{Title: "Invalid username or password"})
		return
	}
	u := h.named(name)
	if u == nil {
		u = h.addUser(name)
	}
	cookie, id := h.random(), h.random()
	h.sessions[cookie] = &hubSession{id: id, user: u}
	http.SetCookie(w, &http.Cookie{Name: "jupyterhub-hub-login", Value: cookie, Path: h.base + "hub/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.SetCookie(w, &http.Cookie{Name: "jupyterhub-session-id", Value: id, Path: h.base, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	next := r.URL.Query().Get("next")
	if !strings.HasPrefix(next, h.base+"hub/") {
		next = h.base + "hub/spawn"
	}
	redirect(w, next)
}

// logout ends the session, and with it the tokens that services got in it.
func (h *Hub) logout(w http.ResponseWriter, s *hubSession) {
	if s != nil {
		h.dropTokens(func(t *hubToken) bool { return t.session == s.id })
		for cookie, other := range h.sessions {
			if other == s {
				delete(h.sessions, cookie)
			}
		}
	}
	for name, path := range map[string]string{"jupyterhub-hub-login": h.base + "hub/", "jupyterhub-session-id": h.base} {
		http.SetCookie(w, &http.Cookie{Name: name, Path: path, MaxAge: -1})
	}
	redirect(w, h.base+"hub/login")
}

// authorize is the page of RFC 6749, section 4.1.1. Where it cannot be sure who
// asks, it sends nobody anywhere.
func (h *Hub) authorize(w http.ResponseWriter, r *http.Request) {
	s := h.session(r)
	if s == nil {
		redirect(w, h.base+"hub/login?next="+url.QueryEscape(r.URL.RequestURI()))
		return
	}
	q := r.URL.Query()
	service := h.client(q.Get("client_id"))
	method := q.Get("code_challenge_method")
	switch {
	case service == nil || q.Get("redirect_uri") != service.Redirect || q.Get("response_type") != "code",
		h.version >= 6 && q.Get("code_challenge") != "" && method != "S256":
		h.show(w, http.StatusBadRequest, hubView{Title: "400 : Bad Request"})
		return
	case !slices.Contains(h.expanded(&hubToken{user: s.user}), "access:services!service="+service.Name):
		h.show(w, http.StatusForbidden, hubView{Title: "403 : Forbidden"})
		return
	case r.Method == http.MethodPost && h.forged(r):
		h.show(w, http.StatusForbidden, hubView{Title: "403 : Forbidden"})
		return
	case r.Method != http.MethodPost && service.Confirm:
		h.show(w, http.StatusOK, hubView{Service: service.Name, Action: r.URL.RequestURI(), XSRF: h.formToken(w, r)})
		return
	}
	code := h.random()
	h.codes[code] = &hubCode{
		service: service, user: s.user, session: s.id, redirect: service.Redirect, challenge: q.Get("code_challenge"), ends: h.now().Add(hubCodeLife),
	}
	back := url.Values{"code": {code}}
	if state := q.Get("state"); state != "" {
		back.Set("state", state)
	}
	redirect(w, service.Redirect+"?"+back.Encode())
}

func (h *Hub) client(id string) *HubService {
	for i := range h.services {
		if s := &h.services[i]; s.Redirect != "" && id == "service-"+s.Name {
			return s
		}
	}
	return nil
}

// exchange is RFC 6749, section 4.1.3, with the secret in the body only, and RFC
// 7636 since 6.0.
func (h *Hub) exchange(w http.ResponseWriter, r *http.Request) {
	service := h.client(r.PostFormValue("client_id"))
	if service == nil || subtle.ConstantTimeCompare([]byte(r.PostFormValue("client_secret")), []byte(service.Token)) != 1 {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	code := h.codes[r.PostFormValue("code")]
	if code == nil || code.service != service || code.redirect != r.PostFormValue("redirect_uri") || r.PostFormValue("grant_type") != "authorization_code" ||
		h.now().After(code.ends) || h.version >= 6 && !code.proves(r.PostFormValue("code_verifier")) {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	delete(h.codes, r.PostFormValue("code"))
	scope := "access:services!service=" + service.Name
	text := h.newToken(&hubToken{user: code.user, scopes: []string{scope}, session: code.session})
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": text, "expires_in": int(hubSignInLife.Seconds()), "token_type": "Bearer", "scope": scope,
	})
}

func (c *hubCode) proves(verifier string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return c.challenge == "" || base64.RawURLEncoding.EncodeToString(sum[:]) == c.challenge
}
