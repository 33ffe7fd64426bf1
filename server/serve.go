package server

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass/api"
)

type randomness struct{}

func (randomness) Read(b []byte) (int, error) { return rand.Read(b) }

// An answer notes the status that was sent.
type answer struct {
	http.ResponseWriter
	status int
	id     string
	route  string
	code   string // of the problem that was told; may be empty
	visit  *visit // of somebody who is signed in; nil where nobody is, or nothing was looked at
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w, id: s.ids.Next(), route: "none"}
	began := s.c.Now()
	setHead(a, s.bare)
	defer s.note(a, r, began)
	defer s.recovered(a, r)
	select {
	case s.atOnce <- struct{}{}:
		defer func() { <-s.atOnce }()
	default:
		s.metrics.limited.WithLabelValues("at-once").Inc()
		s.refuse(a, r, route{name: "none", kind: s.kindOf(r.URL.Path)}, tooMuchAtOnce())
		return
	}
	s.mux.ServeHTTP(a, r)
}

// recovered turns a panic into an answer; net/http's own report would hold what
// the panic held.
func (s *Server) recovered(a *answer, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.log.Error("a request made the service stumble", "request", a.id, "route", a.route, "kind", kindOfPanic(v))
	s.metrics.panics.Inc()
	if a.status == 0 {
		s.refuse(a, r, route{name: a.route, kind: s.kindOf(r.URL.Path)}, stumbled(a.id))
	}
}

// kindOfPanic says what sort of panic it was, without its words, which may hold
// what somebody sent.
func kindOfPanic(v any) string {
	if e, ok := v.(interface{ RuntimeError() }); ok {
		return e.(error).Error()
	}
	return "other"
}

// note counts and, at the level debug, logs a request: never its query, its
// cookies or its token.
func (s *Server) note(a *answer, r *http.Request, began time.Time) {
	took := s.c.Now().Sub(began)
	s.metrics.request(a.route, a.status, took)
	if a.code != "" {
		s.metrics.refused(a.code)
	}
	if !s.log.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	s.log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelDebug, "request",
		slog.String("request", a.id), slog.String("route", a.route), slog.String("method", r.Method),
		slog.Int("status", a.status), slog.String("code", a.code), slog.Duration("took", took))
}

// requestKey is the key of a request's id in its context.
type requestKey struct{}

// RequestID is the id under which a request is logged, for the activity; "" where
// the context is no request's.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// serve does what a route's kind asks for first.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt route) {
	a := w.(*answer)
	a.route = rt.name
	if rt.name != "credential" { // which hands its id on by itself
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, a.id))
	}
	var err error
	switch rt.kind {
	case open, job:
		err = rt.call(s, &call{w: w, r: r, request: a.id})
	case bearer:
		err = s.serveBearer(w, r, rt)
	case hook:
		err = s.serveHook(w, r, rt)
	default:
		err = s.serveVisit(w, r, rt)
	}
	if err != nil {
		s.refuse(w, r, rt, err)
	}
}

// refuse tells an error: as JSON to programs, as a page to people.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, rt route, err error) {
	if r.Context().Err() != nil && errors.Is(err, r.Context().Err()) {
		if a, ok := w.(*answer); ok {
			a.status = 499 // the other side went away; as in other servers' logs
		}
		return
	}
	ref, status := s.judge(err)
	if a, ok := w.(*answer); ok {
		a.code = ref.Problem.Code
		if status == http.StatusInternalServerError {
			s.log.Error("a request failed", "request", a.id, "route", a.route, "code", ref.Problem.Code, "error", err)
		}
		if status == http.StatusServiceUnavailable && ref.Problem.Err != nil { // which nobody is shown
			s.log.Warn("nothing could be given", "request", a.id, "code", ref.Problem.Code, "cause", ref.Problem.Err)
		}
	}
	h := w.Header()
	if ref.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((ref.RetryAfter+time.Second-1)/time.Second)))
	}
	switch rt.kind {
	case job:
		s.refuseJob(w, ref, status)
	case open, bearer, hook:
		if status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", "Bearer")
		}
		e := api.FromProblem(ref.Problem)
		e.Event, e.Rule = ref.Event, ref.Rule
		if ref.Link != "" {
			e.Link = s.Link(ref.Link)
		}
		e.OAuth = ref.OAuth
		s.writeJSON(w, status, api.ErrorBody{Error: e})
	default:
		s.problemPage(w, r, status, ref)
	}
}

// address is where a request comes from: the nearest address that is none of
// the configured proxies'.
func (s *Server) address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr // a Unix socket has none
	}
	if !s.isProxy(host) {
		return host
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if hop == "" || len(hop) > 64 {
			break
		}
		host = hop
		if !s.isProxy(hop) {
			break
		}
	}
	return host
}

// body reads a request's body, which is small and comes soon or is refused.
func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > api.MaxBody {
		return nil, tooLarge()
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, api.MaxBody))
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return b, nil
	case errors.As(err, &large):
		return nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, tooSlow()
	}
	return nil, malformed("the body ended early")
}

// HTTP returns an http.Server with the bounds that the face relies on: 16 KiB of
// headers, 10 s for them, 20 s for a whole request to arrive.
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler: s, MaxHeaderBytes: 12 << 10, // net/http adds 4 KiB
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
