package gittest

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options are what a server does beside serving.
type Options struct {
	User, Password string // Basic authentication, where User is not ""
	Filter         bool   // allows partial fetches (uploadpack.allowFilter)
	AnySHA         bool   // gives commits that no ref names, in protocol 0 too
	Push           bool   // takes pushes
	Version0       bool   // speaks protocol 0 only
}

// A Fault is what goes wrong with the answers to some requests.
type Fault struct {
	Match  string        // a part of the request's path and query, such as "git-upload-pack"; "" is all
	Method string        // "" is all
	Status int           // answers this and nothing else
	After  int64         // so many bytes of the body come first
	Cut    bool          // then the connection is cut
	Stall  time.Duration // then nothing comes for so long, and the connection is cut
	Rate   int64         // bytes a second at most
	Times  int           // for so many requests; 0: for all
}

// A Request is one that came.
type Request struct {
	Method, Path, Query, Authorization string
	Status                             int
}

// A Server serves the repositories under a folder: BASE/course.git is Root/course.git.
type Server struct {
	URL  string // http://127.0.0.1:PORT, without a slash at the end
	Root string

	options  Options
	mu       sync.Mutex
	faults   []*Fault
	requests []Request
	handler  http.Handler
}

// Serve serves the folder in which r lies. See [Server.Of] for the address of r.
func (r *Repo) Serve(o Options) *Server {
	r.t.Helper()
	return Serve(r.t, filepath.Dir(r.Dir), o)
}

// Of returns the address of a repository under the server's folder.
func (s *Server) Of(r *Repo) string {
	rel, err := filepath.Rel(s.Root, r.Dir)
	if err != nil {
		rel = filepath.Base(r.Dir)
	}
	return s.URL + "/" + filepath.ToSlash(rel)
}

// Serve serves the repositories under root on a loopback address until the test ends.
func Serve(t TB, root string, o Options) *Server {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatalf("%v", err)
	}
	s := &Server{Root: root, options: o}
	s.handler = s.backend(git)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	s.URL = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: s, BaseContext: func(net.Listener) context.Context { return ctx }, ReadHeaderTimeout: time.Minute}
	go server.Serve(l)
	t.Cleanup(func() {
		cancel()
		server.Close()
	})
	return s
}

func (s *Server) backend(git string) http.Handler {
	config := [][2]string{{"safe.directory", "*"}, {"core.hooksPath", os.DevNull}}
	if s.options.Filter {
		config = append(config, [2]string{"uploadpack.allowFilter", "true"})
	}
	if s.options.AnySHA {
		config = append(config, [2]string{"uploadpack.allowAnySHA1InWant", "true"})
	}
	if s.options.Push {
		config = append(config, [2]string{"http.receivepack", "true"})
	}
	env := []string{"GIT_PROJECT_ROOT=" + s.Root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent",
		"GIT_CONFIG_COUNT=" + strconv.Itoa(len(config))}
	for i, kv := range config {
		env = append(env, "GIT_CONFIG_KEY_"+strconv.Itoa(i)+"="+kv[0], "GIT_CONFIG_VALUE_"+strconv.Itoa(i)+"="+kv[1])
	}
	return &cgi.Handler{Path: git, Args: []string{"http-backend"}, Dir: s.Root, Env: env, Stderr: io.Discard, Logger: log.New(io.Discard, "", 0)}
}

// Fault adds a fault; with none given it takes all away.
func (s *Server) Fault(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(faults) == 0 {
		s.faults = nil
	}
	for _, f := range faults {
		s.faults = append(s.faults, &f)
	}
}

// Requests returns those that came since the last [Server.Forget].
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Forget begins the log anew.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

func (s *Server) fault(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !strings.Contains(r.URL.RequestURI(), f.Match) || f.Method != "" && f.Method != r.Method {
			continue
		}
		if f.Times > 0 {
			f.Times--
			if f.Times == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		return f
	}
	return nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w, ctx: r.Context(), status: http.StatusOK, fault: s.fault(r)}
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Authorization: r.Header.Get("Authorization")})
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		if n < len(s.requests) {
			s.requests[n].Status = a.status
		}
		s.mu.Unlock()
	}()
	if a.fault != nil && a.fault.Status != 0 {
		http.Error(a, http.StatusText(a.fault.Status), a.fault.Status)
		return
	}
	if u, p, _ := r.BasicAuth(); s.options.User != "" && (u != s.options.User || p != s.options.Password) {
		a.Header().Set("WWW-Authenticate", `Basic realm="gittest"`)
		http.Error(a, "who are you?", http.StatusUnauthorized)
		return
	}
	if s.options.Version0 {
		r.Header.Del("Git-Protocol")
	}
	if r.ContentLength < 0 { // CGI knows no chunks
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	}
	s.handler.ServeHTTP(a, r)
}

// An answer is a body with a fault.
type answer struct {
	http.ResponseWriter
	ctx    context.Context
	status int
	sent   int64
	fault  *Fault
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Flush sends what was written.
func (a *answer) Flush() {
	if f, ok := a.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

func (a *answer) Write(p []byte) (int, error) {
	f := a.fault
	if f == nil || f.Status != 0 {
		return a.ResponseWriter.Write(p)
	}
	total := 0
	for len(p) > 0 {
		part := p
		ends := f.Cut || f.Stall > 0
		if ends {
			part = part[:min(int64(len(part)), max(f.After-a.sent, 0))]
		}
		if f.Rate > 0 {
			part = part[:min(int64(len(part)), max(f.Rate/20, 1))]
		}
		n, err := a.ResponseWriter.Write(part)
		total, a.sent, p = total+n, a.sent+int64(n), p[n:]
		if err != nil {
			return total, err
		}
		a.Flush()
		if f.Rate > 0 {
			a.wait(time.Second / 20)
		}
		if ends && a.sent >= f.After {
			a.wait(f.Stall)
			panic(http.ErrAbortHandler)
		}
	}
	return total, nil
}

func (a *answer) wait(d time.Duration) {
	select {
	case <-a.ctx.Done():
	case <-time.After(d):
	}
}
