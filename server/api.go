package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
)

// A call is a program's request.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	who     Identity
	request string
}

// maxToken bounds a token of a hub; real ones have 32 to 64 characters.
const maxToken = 512

// bearerToken reads the header. It is the only place that a token is taken from.
func bearerToken(h http.Header) (string, bool) {
	t, ok := bearerText(h)
	return t, ok && len(t) <= maxToken
}

// bearerText is the same for what may also be a pass, which is longer.
func bearerText(h http.Header) (string, bool) {
	v := h["Authorization"]
	if len(v) != 1 || len(v[0]) < 8 || !strings.EqualFold(v[0][:7], "Bearer ") {
		return "", false
	}
	t := v[0][7:]
	if len(t) > api.MaxPassText {
		return "", false
	}
	for i := 0; i < len(t); i++ {
		if t[i] <= ' ' || t[i] > '~' {
			return "", false
		}
	}
	return t, true
}

// serveBearer finds out whose token it is. A cookie is never looked at: what a
// browser sends along of itself says nothing about who wants this.
func (s *Server) serveBearer(w http.ResponseWriter, r *http.Request, rt route) error {
	token, ok := bearerText(r.Header)
	if !ok {
		return noToken()
	}
	secret := daypass.NewSecret(token)
	switch {
	case s.looksLikePass(secret):
		return s.servePass(w, r, rt, secret)
	case len(token) > maxToken:
		return noToken()
	}
	k, from := keyOf(token), s.address(r)
	vouched, err := s.limit(k, from)
	if err != nil {
		return err
	}
	id, err := s.c.Identify(r.Context(), secret, "", rt.fresh)
	if err != nil {
		if errors.Is(err, daypass.ErrRefused) {
			vouched(false)
		}
		return stranger(err)
	}
	vouched(true)
	if n := s.seen.note(k, from, s.c.Now()); n > 0 {
		s.roamed(r, w.(*answer).id, id.Caller, n)
	}
	switch {
	case id.Caller.Via == daypass.ViaBrowser:
		return wrongKind("This token belongs to a browser's sign-in", "Use your server's own token, or one that you make on the hub's page of tokens.")
	case id.Caller.Via == daypass.NoVia:
		return noToken()
	case id.Stale && rt.fresh:
		return needsHub()
	}
	return rt.call(s, &call{w: w, r: r, who: id, request: w.(*answer).id})
}

// unknownToken is the hub's own code for a token that is nobody's.
const unknownToken = "DP-802"

// stranger gives the answer to a token that is nobody's its own status.
func stranger(err error) error {
	var p *daypass.Problem
	if errors.As(err, &p) && p.Code == unknownToken {
		return &status{api.StatusUnknownToken, &Refusal{Problem: p}}
	}
	return err
}

func (s *Server) serveHook(w http.ResponseWriter, r *http.Request, rt route) error {
	token, ok := bearerToken(r.Header)
	if !ok {
		return noToken()
	}
	if s.c.HookToken.IsZero() || !s.c.HookToken.Equal(daypass.NewSecret(token)) {
		if _, wait := s.strange.take(keyOf(s.address(r)), s.c.Now(), true); wait > 0 {
			return tooOften(wait)
		}
		return wrongHook()
	}
	return rt.call(s, &call{w: w, r: r, request: w.(*answer).id})
}

// decode reads a JSON body into v.
func (c *call) decode(v any) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	if err := api.DecodeRequest(b, v); err != nil {
		return malformed("its body is not the JSON that belongs here")
	}
	return nil
}

func (c *call) body() ([]byte, error) {
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return nil, malformed("its body is not said to be application/json")
	}
	return body(c.w, c.r)
}

func (s *Server) writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.log.Error("an answer cannot be written", "error", err)
		status, b = http.StatusInternalServerError, []byte(`{"error":{"code":"DP-886","what":"The access service could not do this"}}`)
	}
	sendJSON(w, status, b)
}

func sendJSON(w http.ResponseWriter, status int, b []byte) {
	w.Header()["Content-Type"] = []string{"application/json"}
	w.WriteHeader(status)
	_, _ = w.Write(b) // the other side went away
}

func (s *Server) credential(c *call) error {
	var q api.CredentialRequest
	if err := c.decode(&q); err != nil {
		return err
	}
	if why := q.Check(); why != "" {
		return malformed(why)
	}
	if _, ok := s.host(q.Host); !ok {
		return notServed(q.Host)
	}
	repo, _ := q.Repo()
	most, least, _ := q.Wanted()
	if q.Purpose == "" {
		q.Purpose = "git"
	}
	reply, err := s.c.Broker.Credential(c.r.Context(), c.who.Caller, Ask{
		Host: q.Host, Repo: repo, Most: most, Least: least, Purpose: q.Purpose, Stale: c.who.Stale, Request: c.request,
	})
	if err != nil {
		return err
	}
	b, err := reply.Encode()
	if err != nil {
		return err
	}
	s.metrics.credential(reply.Access, reply.As)
	sendJSON(c.w, http.StatusOK, b)
	return nil
}

func (s *Server) rejected(c *call) error {
	var q api.Rejected
	if err := c.decode(&q); err != nil {
		return err
	}
	if why := q.Check(); why != "" {
		return malformed(why)
	}
	if err := s.c.Broker.Rejected(c.r.Context(), c.who.Caller, q); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) me(c *call) error {
	list, err := s.standing(c)
	if err != nil {
		return err
	}
	me := api.Me{
		User:   api.User{Hub: c.who.Caller.User.Hub, Name: c.who.Caller.User.Name},
		Server: c.who.Caller.Server.String(), Via: c.who.Caller.Via.String(), Page: s.Link(""), Version: s.c.Version, Hosts: []api.Host{},
	}
	for _, conn := range list {
		me.Hosts = append(me.Hosts, s.apiHost(conn))
	}
	if s.c.Broker.Started != nil && c.who.Caller.Via == daypass.ViaServer {
		if at := s.c.Broker.Started(c.r.Context(), c.who.Caller).UTC(); !at.IsZero() {
			me.Started = &at
		}
	}
	s.writeJSON(c.w, http.StatusOK, me)
	return nil
}

// standing is how somebody stands at each host. A pass is told which are
// connected, and not as whom.
func (s *Server) standing(c *call) ([]Connection, error) {
	if c.who.Caller.Via != daypass.ViaPass {
		return s.c.Broker.Connections(c.r.Context(), c.who.Caller)
	}
	connected, err := s.c.Broker.PassHosts(c.r.Context(), c.who.Caller)
	var out []Connection
	for _, h := range s.c.Broker.Hosts {
		state := api.StateNone
		if slices.Contains(connected, h.Host) {
			state = api.StateLive
		}
		out = append(out, Connection{Host: h.Host, State: state})
	}
	return out, err
}

func (s *Server) apiHost(conn Connection) api.Host {
	h := api.Host{
		Host: conn.Host, State: conn.State, Connected: conn.State == api.StateLive, Why: conn.Why,
		Connect: s.Link("connect/" + url.PathEscape(conn.Host)),
	}
	if info, ok := s.host(conn.Host); ok {
		h.ClientID, h.Change = info.ClientID, info.ReachURL
	}
	if conn.State != api.StateNone && conn.Account.ID != 0 {
		a := api.OfAccount(conn.Account)
		h.Account = &a
	}
	if !conn.Until.IsZero() && conn.State == api.StateLive {
		until := conn.Until.UTC()
		h.Until = &until
	}
	return h
}

func (s *Server) host(name string) (Host, bool) {
	for _, h := range s.c.Broker.Hosts {
		if h.Host == name {
			return h, true
		}
	}
	return Host{}, false
}

// servedHost reads the host out of the path; what is not served is not here.
func (s *Server) servedHost(r *http.Request) (Host, error) {
	h, ok := s.host(r.PathValue("host"))
	if !ok {
		return h, notServed(r.PathValue("host"))
	}
	return h, nil
}

// stateOf is how the caller stands at one host.
func (s *Server) stateOf(ctx context.Context, caller daypass.Caller, host string) (Connection, error) {
	list, err := s.c.Broker.Connections(ctx, caller)
	if err != nil {
		return Connection{}, err
	}
	for _, c := range list {
		if c.Host == host {
			return c, nil
		}
	}
	return Connection{Host: host, State: api.StateNone}, nil
}

// connection answers at once, or within ?wait= once the host is connected.
func (s *Server) connection(c *call) error {
	h, err := s.servedHost(c.r)
	if err != nil {
		return err
	}
	wait, err := waitOf(c.r)
	if err != nil {
		return err
	}
	now, err := s.stateOf(c.r.Context(), c.who.Caller, h.Host)
	if err != nil {
		return err
	}
	if now.State != api.StateLive && wait > 0 {
		connected, err := s.waitFor(c, h.Host, wait)
		if err != nil {
			return err
		}
		if !connected {
			c.w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if now, err = s.stateOf(c.r.Context(), c.who.Caller, h.Host); err != nil {
			return err
		}
	}
	if now.State != api.StateLive && wait > 0 {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	s.writeJSON(c.w, http.StatusOK, s.apiHost(now))
	return nil
}

func waitOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, malformed("wait is not a duration such as 25s")
	}
	return min(d, api.MaxWait), nil
}

// waitFor waits without counting as work; the places for that are bounded too.
func (s *Server) waitFor(c *call, host string, d time.Duration) (bool, error) {
	leave, err := s.rest(c.w, c.who.Caller)
	if err != nil {
		return false, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(c.r.Context(), d)
	defer cancel()
	ok, err := s.c.Broker.Wait(ctx, c.who.Caller, host)
	if err != nil && ctx.Err() != nil && c.r.Context().Err() == nil {
		return false, nil // the time is over
	}
	return ok, err
}

// maxWaits is how many requests of one person may wait at a time: a few tabs, a
// few servers.
const maxWaits = 24

// rest gives up the place among what is worked on for one among what waits, and
// lifts the connection's time limits. The returned function undoes it.
func (s *Server) rest(w http.ResponseWriter, caller daypass.Caller) (leave func(), err error) {
	if !s.resting.enter(caller.User) {
		s.metrics.limited.WithLabelValues("waiting").Inc()
		return nil, tooOften(10 * time.Second)
	}
	select {
	case s.waiting <- struct{}{}:
	default:
		s.resting.leave(caller.User)
		s.metrics.limited.WithLabelValues("waiting").Inc()
		return nil, tooMuchAtOnce()
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // not every writer has one: then there is no limit to lift
	_ = rc.SetWriteDeadline(time.Time{})
	<-s.atOnce
	return func() {
		s.resting.leave(caller.User)
		<-s.waiting
		s.atOnce <- struct{}{}
	}, nil
}

func (s *Server) endConnection(c *call) error {
	h, err := s.servedHost(c.r)
	if err != nil {
		return err
	}
	done, err := s.c.Broker.Disconnect(c.r.Context(), c.who.Caller, h.Host)
	if err != nil {
		return err
	}
	out := api.Disconnected{Revoked: done.Done, Pending: done.Pending, Event: done.Event}
	if out.Revoked == nil {
		out.Revoked = []string{}
	}
	s.writeJSON(c.w, http.StatusOK, out)
	return nil
}

func (s *Server) repos(c *call) error {
	h, err := s.servedHost(c.r)
	if err != nil {
		return err
	}
	reach, err := s.c.Broker.Reach(c.r.Context(), c.who.Caller, h.Host)
	if err != nil {
		return err
	}
	out := api.Repos{Repos: []api.Right{}, Complete: reach.Complete, Change: h.ReachURL}
	for _, r := range reach.Rights {
		out.Repos = append(out.Repos, api.Right{Repo: api.Of(r.Repo), Access: r.Access.String(), Private: r.Private, Admin: r.Admin})
	}
	s.writeJSON(c.w, http.StatusOK, out)
	return nil
}

func (s *Server) hookLogin(c *call) error {
	if s.c.Broker.HookLogin == nil {
		return nothingHere()
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	q, err := api.DecodeHookLogin(b)
	if err != nil {
		return malformed("its body is not the JSON that belongs here")
	}
	if err := s.c.Broker.HookLogin(c.r.Context(), q); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) hookStopped(c *call) error {
	if s.c.Broker.HookStopped == nil {
		return nothingHere()
	}
	var q api.HookStopped
	if err := c.decode(&q); err != nil {
		return err
	}
	if err := s.c.Broker.HookStopped(c.r.Context(), q); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) openAPI(c *call) error {
	sendJSON(c.w, http.StatusOK, api.OpenAPI())
	return nil
}

// healthz says that the process lives, and which service it is: one that finds
// its port taken looks whether this is it already.
func (s *Server) healthz(c *call) error {
	s.writeJSON(c.w, http.StatusOK, struct {
		Service string `json:"service"`
		URL     string `json:"url"`
		Process int    `json:"process"`
	}{"daypass", s.c.URL.String(), os.Getpid()})
	return nil
}

// readyz says whether the service can be sent people, and by name what is
// amiss: no details, since anybody may ask.
func (s *Server) readyz(c *call) error {
	ctx, cancel := context.WithTimeout(c.r.Context(), 5*time.Second)
	defer cancel()
	status, text := http.StatusOK, strings.Builder{}
	for _, check := range s.c.Broker.Ready(ctx) {
		word := "ok"
		if !check.Good {
			status, word = http.StatusServiceUnavailable, "not ready"
		}
		text.WriteString(check.Name + ": " + word + "\n")
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.WriteHeader(status)
	_, _ = c.w.Write([]byte(text.String()))
	return nil
}

func (s *Server) metricsText(c *call) error {
	token, ok := bearerToken(c.r.Header)
	if s.c.MetricsToken.IsZero() || !ok || !s.c.MetricsToken.Equal(daypass.NewSecret(token)) {
		return nothingHere()
	}
	s.metrics.Handler().ServeHTTP(c.w, c.r)
	return nil
}

func (s *Server) staticFile(c *call) error {
	s.static.ServeHTTP(c.w, c.r)
	return nil
}
