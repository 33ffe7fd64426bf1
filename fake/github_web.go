package fake

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The web flow, from docs.github.com, "Generating a user access token for a
// GitHub App", section "Using the web application flow", and "Troubleshooting
// authorization request errors".

const (
	webCodeLife = 10 * time.Minute
	authTrouble = "/apps/building-integrations/setting-up-and-registering-oauth-apps/troubleshooting-authorization-request-errors/%23"
	// sessionCookie says who is signed in: a login in plain text, for nothing
	// here is guarded.
	sessionCookie = "fake_user"
	verifierChars = alphanumeric + "-._~"
)

// A webCode is what the browser carries back to the App.
type webCode struct {
	app       *App
	user      string
	redirect  string // where it was sent
	challenge string
	scopes    []string
	sso       []string
	ends      time.Time
}

// An asking is one request for a user's authorisation, in a browser.
type asking struct {
	ClientID, Redirect, State, Challenge, Method, Scope, Hint, Prompt string

	app    *App
	target string // where the answer goes
}

// asked takes a request apart. A problem comes as the fields of the answer to
// the App; without an App that can be told there is no target.
func (g *GitHub) asked(v url.Values) (a asking, problem []field) {
	a = asking{
		ClientID: v.Get("client_id"), Redirect: v.Get("redirect_uri"), State: v.Get("state"), Challenge: v.Get("code_challenge"),
		Method: v.Get("code_challenge_method"), Scope: v.Get("scope"), Hint: v.Get("login"), Prompt: v.Get("prompt"),
	}
	if a.app = g.appWith(a.ClientID); a.app == nil || len(a.app.CallbackURLs) == 0 {
		return a, nil
	}
	a.target = a.app.CallbackURLs[0]
	if a.Redirect != "" && !slices.Contains(a.app.CallbackURLs, a.Redirect) {
		return a, authError("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application.")
	}
	a.target = orElse(a.Redirect, a.target)
	// What GitHub says to a bad challenge is not documented; this is RFC 7636,
	// section 4.4.1. That "plain" is not taken is documented.
	if a.Challenge != "" && a.Method != "S256" || a.Challenge == "" && a.Method != "" {
		return a, []field{{"error", "invalid_request"}, {"error_description", "The code_challenge_method must be S256."}}
	}
	if raw, err := base64.RawURLEncoding.DecodeString(a.Challenge); a.Challenge != "" && (err != nil || len(raw) != sha256.Size) {
		return a, []field{{"error", "invalid_request"}, {"error_description", "The code_challenge is not valid."}}
	}
	return a, nil
}

func authError(code, description string) []field {
	return []field{{"error", code}, {"error_description", description}, {"error_uri", authTrouble + strings.ReplaceAll(code, "_", "-")}}
}

// back is the address to which the browser returns.
func (a asking) back(fields ...field) string {
	u, err := url.Parse(a.target)
	if err != nil {
		return a.target
	}
	q := u.Query()
	for _, f := range fields {
		q.Set(f.name, fmt.Sprint(f.value))
	}
	if a.State != "" {
		q.Set("state", a.State)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// Goes is what the page says of where the answer goes.
func (a asking) Goes() string { return a.target }

// pageWeb shows who asks for what, and takes the answer. Somebody who is
// signed in and has authorised the App before is sent back at once, unless the
// App wants an account chosen or suggests another.
func (g *GitHub) pageWeb(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	if r.Method == http.MethodPost {
		v = r.PostForm
	}
	a, problem := g.asked(v)
	switch {
	case a.target == "":
		g.pageNotFound(w, r)
	case problem != nil:
		redirect(w, a.back(problem...))
	case r.Method == http.MethodPost:
		g.pageWebAnswer(w, r, a)
	default:
		u := g.signedIn(r)
		if u != nil && a.Prompt == "" && (a.Hint == "" || strings.EqualFold(a.Hint, u.Login)) && g.hasAuthorised(a.app, u) {
			g.sendCode(w, a, u)
			return
		}
		g.showWeb(w, r, a, u)
	}
}

func (g *GitHub) showWeb(w http.ResponseWriter, r *http.Request, a asking, u *User) {
	d := pageData{Title: "Authorize " + a.app.Name, App: a.app, Web: a, Perms: permissionWords(a.app, fieldsOf(a.Scope))}
	if hinted := g.userNamed(a.Hint); hinted != nil {
		u = hinted
	}
	if u != nil {
		d.As, d.Known = u.Login, g.hasAuthorised(a.app, u)
	}
	// Browsers hold the redirect after a form to form-action as well.
	if target, err := url.Parse(a.target); err == nil {
		h := w.Header()
		h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"),
			"form-action 'self'", "form-action 'self' "+target.Scheme+"://"+target.Host, 1))
	}
	g.showPage(w, r, http.StatusOK, "authorize.html", d)
}

func (g *GitHub) pageWebAnswer(w http.ResponseWriter, r *http.Request, a asking) {
	if r.PostForm.Get("action") != "authorize" {
		redirect(w, a.back(authError("access_denied", "The user has denied your application access.")...))
		return
	}
	u := g.userNamed(r.PostForm.Get("login"))
	if u == nil {
		g.pageNotFound(w, r)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: u.Login, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
	g.sendCode(w, a, u)
}

func (g *GitHub) signedIn(r *http.Request) *User {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	return g.userNamed(c.Value)
}

func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

func (g *GitHub) sendCode(w http.ResponseWriter, a asking, u *User) {
	to, err := g.newCode(a, u)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	redirect(w, to)
}

// newCode authorises, and returns the address that carries the code.
func (g *GitHub) newCode(a asking, u *User) (location string, err error) {
	code, err := randomText(g.rand, hexDigits, 20)
	if err != nil {
		return "", fmt.Errorf("fake: make a code: %w", err)
	}
	now := g.now()
	for old, c := range g.codes {
		if len(g.codes) > 10_000 && !now.Before(c.ends) {
			delete(g.codes, old)
		}
	}
	c := &webCode{app: a.app, user: u.Login, redirect: a.target, challenge: a.Challenge, sso: slices.Clone(u.SSO), ends: now.Add(webCodeLife)}
	if a.app.Kind == OAuthApp {
		c.scopes = fieldsOf(a.Scope)
	}
	g.codes[code] = c
	return a.back(field{"code", code}), nil
}

// fieldsOf splits a list of scopes, by spaces or commas.
func fieldsOf(scope string) []string {
	return strings.FieldsFunc(scope, func(c rune) bool { return c == ' ' || c == ',' })
}

// knows reports whether this is one of the App's client secrets.
func (a *App) knows(secret string) bool {
	ok := false
	for _, s := range a.ClientSecrets {
		ok = ok || s != "" && subtle.ConstantTimeCompare([]byte(s), []byte(secret)) == 1
	}
	return ok
}

// exchange gives the token for a code: docs.github.com, "Troubleshooting OAuth
// app access token request errors". Which of several mistakes is told first,
// and whether a failed exchange uses the code up, is not documented: here the
// client is asked for before the code, and whatever comes after the client's
// secret and address uses the code up.
func (g *GitHub) exchange(app *App, form url.Values) ([]field, error) {
	bad := oauthError("bad_verification_code", "The code passed is incorrect or expired.")
	code := form.Get("code")
	if code == "" && len(app.ClientSecrets) == 0 {
		return bad, nil
	}
	if !app.knows(form.Get("client_secret")) {
		return badClient(), nil
	}
	c := g.codes[code]
	if c == nil || c.app.ClientID != app.ClientID {
		return bad, nil
	}
	if given := form.Get("redirect_uri"); given != "" && given != c.redirect {
		return oauthError("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application."), nil
	}
	delete(g.codes, code)
	if !g.now().Before(c.ends) || !proves(form.Get("code_verifier"), c.challenge) {
		return bad, nil
	}
	if u := g.userNamed(c.user); u == nil || u.Unverified {
		return oauthError("unverified_user_email", "The user must have a verified primary email."), nil
	}
	t, err := g.issue(app, c.user, g.limitFor(app, c.user, form.Get("repository_id")), c.scopes)
	if err != nil {
		return nil, err
	}
	t.web, t.sso = true, c.sso
	return g.tokenFields(t), nil
}

// proves is the check of RFC 7636, section 4.6. Without a challenge there is
// nothing to prove.
func proves(verifier, challenge string) bool {
	if challenge == "" {
		return true
	}
	if len(verifier) < 43 || len(verifier) > 128 || !onlyOf(verifier, verifierChars) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// Authorize does what the page does when login presses its button, and returns
// the address to which the browser would be sent: with a code and the state,
// or with an error. An empty challenge means none, else it is of method S256.
func (g *GitHub) Authorize(clientID, login, redirectURI, state, challenge string) (location string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := url.Values{"client_id": {clientID}, "redirect_uri": {redirectURI}, "state": {state}}
	if challenge != "" {
		v.Set("code_challenge", challenge)
		v.Set("code_challenge_method", "S256")
	}
	a, problem := g.asked(v)
	u := g.userNamed(login)
	if a.target == "" || u == nil {
		return "", fmt.Errorf("fake: authorize %s as %s: no such App, no callback URL, or no such user", clientID, login)
	}
	if problem != nil {
		return a.back(problem...), nil
	}
	return g.newCode(a, u)
}

// Refuse does what the page does when somebody presses Cancel.
func (g *GitHub) Refuse(clientID, redirectURI, state string) (location string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, problem := g.asked(url.Values{"client_id": {clientID}, "redirect_uri": {redirectURI}, "state": {state}})
	if a.target == "" {
		return "", fmt.Errorf("fake: refuse %s: no such App, or no callback URL", clientID)
	}
	if problem == nil {
		problem = authError("access_denied", "The user has denied your application access.")
	}
	return a.back(problem...), nil
}

// ExpireWebCodes ends every code of the web flow, as time would.
func (g *GitHub) ExpireWebCodes() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.codes {
		c.ends = g.now()
	}
}
