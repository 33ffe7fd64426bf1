package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/daypass-dev/daypass"
)

const (
	sessionIdle = time.Hour
	sessionMax  = 12 * time.Hour
	signInFor   = 10 * time.Minute
	maxSignIns  = 8 // cookies of sign-ins that were begun and not finished
)

// What a session holds. The token is the hub's OAuth token of this browser; the
// store seals it.
const (
	keyToken  = "token"
	keyUser   = "user"
	keyForms  = "forms"  // the key of the forms' codes
	keyPerson = "person" // the broker's number for who it is: by it the store ends sessions
	keySince  = "since"  // when the hub was last asked to sign the person in, in seconds
)

// freshFor is how long a sign-in counts as one of now: for what outlives it by far.
const freshFor = 15 * time.Minute

// fresh reports whether this browser was signed in by the hub a moment ago: a
// session's cookie that was stolen later is not enough.
func (v *visit) fresh() bool {
	since := time.Unix(v.s.sessions.GetInt64(v.r.Context(), keySince), 0)
	age := v.s.c.Now().Sub(since)
	return age >= -time.Second && age < freshFor && !v.who.Stale
}

// newSessions sets the cookie. On an own origin nothing but the service can set
// or read it. On a shared one it is bound to the service's path; each page has
// an origin of its own there, so that its forms come from "another site", to
// which a browser sends a cookie only when it says SameSite=None. What keeps
// other sites out is the form's code, which nobody but the page can read.
func (s *Server) newSessions() *scs.SessionManager {
	m := scs.New()
	m.Store, m.HashTokenInStore = s.c.Sessions, true
	m.Lifetime, m.IdleTimeout = sessionMax, sessionIdle
	m.Cookie.HttpOnly, m.Cookie.Persist, m.Cookie.Secure = true, false, true
	switch {
	case s.c.Shared:
		m.Cookie.Name, m.Cookie.Path, m.Cookie.SameSite = "daypass", s.base, http.SameSiteNoneMode
	case s.c.URL.Scheme == "https":
		m.Cookie.Name, m.Cookie.Path, m.Cookie.SameSite = "__Host-daypass", "/", http.SameSiteLaxMode
	default:
		m.Cookie.Name, m.Cookie.Path, m.Cookie.SameSite, m.Cookie.Secure = "daypass", s.base, http.SameSiteLaxMode, false
	}
	return m
}

// A visit is a browser's request.
type visit struct {
	w       http.ResponseWriter
	r       *http.Request // its context holds the session
	s       *Server
	who     Identity
	session string // names the session; not its id
	forms   []byte // the key of the forms' codes; nil where nobody is signed in
	form    url.Values
}

// serveVisit holds a browser's request to the rules of its kind.
func (s *Server) serveVisit(w http.ResponseWriter, r *http.Request, rt route) error {
	setHead(w, s.page)
	if err := s.navigated(r, rt); err != nil {
		return err
	}
	if rt.kind == public {
		v := &visit{w: w, r: r, s: s}
		return rt.visit(s, v)
	}
	v, vouched, err := s.load(w, r)
	if err != nil {
		return err
	}
	if rt.kind == entry {
		return rt.visit(s, v)
	}
	in, err := v.signedIn(rt.fresh)
	if err != nil {
		return err
	}
	vouched(in)
	if a, ok := w.(*answer); ok && in {
		a.visit = v
	}
	if rt.kind == admin && s.c.Shared {
		return ownOriginOnly()
	}
	if !in {
		return v.turnAway(rt)
	}
	return v.enter(rt)
}

// load reads the session that a browser names. Whose it is, is not known yet.
func (s *Server) load(w http.ResponseWriter, r *http.Request) (*visit, func(bool), error) {
	cookie, _ := r.Cookie(s.sessions.Cookie.Name) // none is the same as an unknown one
	id := ""
	if cookie != nil && len(cookie.Value) <= maxToken {
		id = cookie.Value
	}
	vouched, err := s.limit(keyOf("session "+id), s.address(r))
	if err != nil {
		return nil, nil, err
	}
	ctx, err := s.sessions.Load(r.Context(), id)
	if err != nil {
		return nil, nil, storeDown(err)
	}
	return &visit{w: w, r: r.WithContext(ctx), s: s}, vouched, nil
}

// visitor is who is shown the page of an error: whoever was found to be signed
// in; and where nothing was looked at, since there is nothing at the address,
// whoever opened it in a window.
func (s *Server) visitor(w http.ResponseWriter, r *http.Request, status int) *visit {
	if a, ok := w.(*answer); ok && a.visit != nil {
		return a.visit
	}
	nobody := &visit{w: w, r: r, s: s}
	if _, err := r.Cookie(s.sessions.Cookie.Name); err != nil || status != http.StatusNotFound || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nobody
	}
	if s.navigated(r, route{method: http.MethodGet, kind: person}) != nil {
		return nobody
	}
	v, vouched, err := s.load(w, r)
	if err != nil {
		return nobody
	}
	in, err := v.signedIn(false)
	if err != nil {
		return nobody
	}
	if vouched(in); !in {
		return nobody
	}
	return v
}

func storeDown(err error) error {
	return refusal(http.StatusServiceUnavailable, 5*time.Second, daypass.Problem{
		Code: "DP-875", What: "The access service has as much to do as it can", Next: "Try again in a moment. Your work is safe.",
		Who: "If it lasts, tell the hub's admins.", Kind: daypass.ErrUnreachable, Err: err,
	})
}

// turnAway sends whoever is not signed in to the sign-in, and back afterwards.
// What was to be changed is not: it has to be asked for again.
func (v *visit) turnAway(rt route) error {
	switch {
	case rt.name == "finish":
		return lostConsent()
	case rt.method != http.MethodGet || rt.kind == stream:
		return notSignedIn()
	}
	if v.r.Header.Get("HX-Request") != "" { // a script cannot be sent to the hub; its page can
		v.w.Header().Set("HX-Refresh", "true")
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	back := url.URL{Path: v.r.URL.Path, RawQuery: v.r.URL.RawQuery}
	http.Redirect(v.w, v.r, v.s.path("signin")+"?next="+url.QueryEscape(back.String()), http.StatusSeeOther)
	return nil
}

// enter does what is left to be done once it is known who is there.
func (v *visit) enter(rt route) error {
	if rt.kind == admin && !v.s.c.Admin(v.who.Caller) {
		return adminsOnly()
	}
	if rt.fresh && v.who.Stale {
		return needsHub()
	}
	if rt.method == http.MethodPost {
		if err := v.readForm(); err != nil {
			return err
		}
	}
	if err := v.keep(); err != nil {
		return err
	}
	return rt.visit(v.s, v)
}

// signedIn finds out who is there, and whether the hub still says so. A session
// whose token the hub gives to somebody else, or to nobody, is over; so is that of
// somebody who was cut off, who is told so.
func (v *visit) signedIn(fresh bool) (bool, error) {
	ctx, m := v.r.Context(), v.s.sessions
	token, user := m.GetString(ctx, keyToken), m.GetString(ctx, keyUser)
	forms, err := base64.RawURLEncoding.DecodeString(m.GetString(ctx, keyForms))
	if token == "" || err != nil || len(forms) != 32 {
		return false, nil
	}
	id, err := v.s.c.Identify(ctx, daypass.NewSecret(token), hubSession(v.r), fresh)
	switch {
	case errors.Is(err, daypass.ErrRefused):
		return false, v.end()
	case err != nil:
		return false, err
	case id.Caller.Via != daypass.ViaBrowser || userText(id.Caller.User) != user:
		return false, v.end()
	}
	number, err := v.s.c.Broker.Enter(ctx, id.Caller)
	if errors.Is(err, daypass.ErrRefused) {
		return false, cmp.Or(v.end(), err)
	}
	if err != nil {
		return false, err
	}
	if m.GetInt64(ctx, keyPerson) != number {
		m.Put(ctx, keyPerson, number)
	}
	v.who, v.forms, v.session = id, forms, sessionName(m.Token(ctx))
	return true, nil
}

// end forgets the session here, in the store and in the browser.
func (v *visit) end() error {
	if err := v.s.sessions.Destroy(v.r.Context()); err != nil {
		return storeDown(err)
	}
	v.s.sessions.WriteSessionCookie(v.r.Context(), v.w, "", time.Time{})
	v.w.Header().Set("Cache-Control", "no-store")
	return nil
}

// keep writes the session back, with its new end.
func (v *visit) keep() error {
	token, expiry, err := v.s.sessions.Commit(v.r.Context())
	if err != nil {
		return storeDown(err)
	}
	v.s.sessions.WriteSessionCookie(v.r.Context(), v.w, token, expiry)
	v.w.Header().Set("Cache-Control", "no-store")
	return nil
}

// hubSession is the hub's name for the browser's login, where it can be seen:
// it changes when somebody logs out there.
func hubSession(r *http.Request) string {
	c, err := r.Cookie("jupyterhub-session-id")
	if err != nil || len(c.Value) > 256 {
		return ""
	}
	return c.Value
}

func userText(u daypass.User) string {
	return u.Hub + "\n" + u.Name + "\n" + u.Created.UTC().Format(time.RFC3339Nano)
}

// sessionName names a session without being good for anything.
func sessionName(id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("daypass session " + id))
	return hex.EncodeToString(sum[:16])
}

func (s *Server) random(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.c.Rand, b); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// signInCookie has a name of its own for each sign-in that is begun, so that two
// tabs do not end each other's.
func (s *Server) signInCookie(state, value string, age int) *http.Cookie {
	c := &http.Cookie{
		Name: s.sessions.Cookie.Name + "-in-" + state[:8], Value: value, Path: s.sessions.Cookie.Path, MaxAge: age,
		HttpOnly: true, Secure: s.sessions.Cookie.Secure, SameSite: http.SameSiteLaxMode,
	}
	return c
}

// signIn sends a browser to the hub, to say who it is (RFC 6749, 4.1; RFC 7636).
func (s *Server) signIn(v *visit) error {
	state, err := s.random(24)
	if err != nil {
		return err
	}
	secret, err := s.random(24)
	if err != nil {
		return err
	}
	verifier, err := s.random(32)
	if err != nil {
		return err
	}
	err = s.c.States.Put(v.r.Context(), state, SignInState{
		Browser: hashOf(secret), Verifier: verifier, Next: s.next(v.r.URL.Query().Get("next")), Created: s.c.Now(),
	})
	if err != nil {
		return storeDown(err)
	}
	begun := 0
	for _, c := range v.r.Cookies() {
		if strings.HasPrefix(c.Name, s.sessions.Cookie.Name+"-in-") && len(c.Name) == len(s.sessions.Cookie.Name)+12 {
			if begun++; begun >= maxSignIns {
				http.SetCookie(v.w, s.signInCookie(c.Name[len(c.Name)-8:], "", -1))
			}
		}
	}
	http.SetCookie(v.w, s.signInCookie(state, secret, int(signInFor/time.Second)))
	http.Redirect(v.w, v.r, s.c.SignIn.AuthCodeURL(state, verifier), http.StatusSeeOther)
	return nil
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// signedIn takes a browser back from the hub, and gives it a new session.
func (s *Server) signedIn(v *visit) error {
	q := v.r.URL.Query()
	state := q.Get("state")
	if len(state) != 32 || strings.Trim(state, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return badSignIn("the hub sent no answer that belongs to one")
	}
	begun, ok, err := s.c.States.Take(v.r.Context(), state)
	if err != nil {
		return storeDown(err)
	}
	cookie, noCookie := v.r.Cookie(s.signInCookie(state, "", 0).Name)
	http.SetCookie(v.w, s.signInCookie(state, "", -1))
	switch {
	case !ok || s.c.Now().Sub(begun.Created) > signInFor:
		return badSignIn("it was finished before, or more than ten minutes ago")
	case noCookie != nil || hashOf(cookie.Value) != begun.Browser:
		return badSignIn("this browser is not the one that began it, or it keeps no cookies")
	case q.Get("error") != "":
		return badSignIn("the hub did not let you in")
	case q.Get("code") == "" || len(q.Get("code")) > maxToken:
		return badSignIn("the hub sent no code")
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), 20*time.Second)
	defer cancel()
	token, err := s.c.SignIn.Exchange(ctx, q.Get("code"), begun.Verifier)
	if err != nil {
		return err
	}
	id, err := s.c.Identify(ctx, token, hubSession(v.r), true)
	if err != nil {
		return err
	}
	if id.Caller.Via != daypass.ViaBrowser || id.Stale {
		return badSignIn("the hub did not say who you are")
	}
	number, err := s.c.Broker.Enter(ctx, id.Caller)
	if err != nil {
		return err
	}
	if err := v.open(token, id, number); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, s.next(begun.Next), http.StatusSeeOther)
	return nil
}

// open makes a new session under a new id; the one before, if any, is gone.
func (v *visit) open(token daypass.Secret, id Identity, number int64) error {
	ctx, m := v.r.Context(), v.s.sessions
	forms, err := v.s.random(32)
	if err != nil {
		return err
	}
	if err := m.Clear(ctx); err != nil {
		return storeDown(err)
	}
	if err := m.RenewToken(ctx); err != nil {
		return storeDown(err)
	}
	m.Put(ctx, keyToken, token.Reveal())
	m.Put(ctx, keyUser, userText(id.Caller.User))
	m.Put(ctx, keyForms, forms)
	m.Put(ctx, keyPerson, number)
	m.Put(ctx, keySince, v.s.c.Now().Unix())
	return v.keep()
}

// signOut ends the session. The hub's own login goes on; the page says so.
func (s *Server) signOut(v *visit) error {
	if err := v.end(); err != nil {
		return err
	}
	v.who, v.forms = Identity{}, nil
	return s.show(v, "done", "Signed out", done{
		Text: "You are signed out here. You may still be logged in to the hub.", Go: s.c.Hub.URL, GoText: "Go to the hub",
	})
}
