package fake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The names under which a [World] offers GitHub over TLS, behind its proxy.
const (
	ComHost        = "github.com"
	GHEHost        = "octo.ghe.com"
	EnterpriseHost = "ghes.example"
	// EvilHost is a host with a valid certificate that nobody should send
	// anything to: the World's [Recorder] answers there.
	EvilHost = "evil.example"
)

// WorldConfig is what [NewWorld] needs.
type WorldConfig struct {
	// Dir is an existing folder for repositories and the certificate.
	Dir  string
	Addr string           // where Local listens; empty means a free port on loopback
	Git  string           // the git program; empty means the one in PATH
	Evil []string         // more names like [EvilHost], such as "sub.github.com"
	Seed *Seed            // nil means [Campus]
	Now  func() time.Time // nil means time.Now
	Rand io.Reader        // nil means crypto/rand
	Switches
}

// A World is several GitHubs that really listen, on loopback only, with a
// proxy through which clients reach them under their true names.
type World struct {
	// URL is the address of Local, such as http://127.0.0.1:41234.
	URL string
	// Local is an Enterprise Server without TLS, for programs that accept
	// plain http on loopback.
	Local *GitHub
	// Com, GHE and Enterprise are github.com, octo.ghe.com and ghes.example.
	Com, GHE, Enterprise *GitHub

	// Proxy leads to the hosts with names; CAFile holds the certificate that
	// vouches for them.
	Proxy    *Proxy
	ProxyURL string
	CAFile   string

	Recorder *Recorder

	roots   *x509.CertPool
	servers []*http.Server
	closed  sync.Once
	running sync.WaitGroup
	gate    gate
}

// A gate counts requests under way and lets none in once it is closed.
type gate struct {
	mu     sync.Mutex
	inside int
	closed chan struct{} // nil while open; closed when the last has left
}

// through runs h for a request, unless the gate is closed.
func (t *gate) through(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.mu.Lock()
		if t.closed != nil {
			t.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		t.inside++
		t.mu.Unlock()
		defer t.leave()
		h.ServeHTTP(w, r)
	})
}

func (t *gate) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside--; t.inside == 0 && t.closed != nil {
		close(t.closed)
	}
}

// close shuts the gate and returns a channel that is closed when the last
// request has left.
func (t *gate) close() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = make(chan struct{})
	if t.inside == 0 {
		close(t.closed)
	}
	return t.closed
}

// NewWorld starts a World. Close ends it.
func NewWorld(c WorldConfig) (*World, error) {
	if c.Git == "" {
		path, err := exec.LookPath("git")
		if err != nil {
			return nil, fmt.Errorf("fake: start a world: %w", err)
		}
		c.Git = path
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	w := &World{Recorder: &Recorder{}}
	if err := w.start(c); err != nil {
		return nil, errors.Join(fmt.Errorf("fake: start a world: %w", err), w.Close())
	}
	return w, nil
}

func (w *World) start(c WorldConfig) error {
	local, err := net.Listen("tcp", orElse(c.Addr, "127.0.0.1:0"))
	if err != nil {
		return err
	}
	for _, m := range []struct {
		at   **GitHub
		kind HostKind
		host string
		name string
	}{
		{&w.Local, EnterpriseServer, local.Addr().String(), "local"},
		{&w.Com, GitHubCom, ComHost, "com"},
		{&w.GHE, GHECom, GHEHost, "ghe"},
		{&w.Enterprise, EnterpriseServer, EnterpriseHost, "enterprise"},
	} {
		if *m.at, err = newWorldGitHub(c, m.kind, m.host, m.name); err != nil {
			local.Close()
			return err
		}
	}
	w.URL = "http://" + local.Addr().String()
	w.serve(local, w.Local)
	return w.startNamed(c)
}

func newWorldGitHub(c WorldConfig, kind HostKind, host, name string) (*GitHub, error) {
	seed := Campus()
	if c.Seed != nil {
		seed = *c.Seed
	}
	root := filepath.Join(c.Dir, "git", name)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	return NewGitHub(GitHubConfig{
		Kind: kind, Host: host, Seed: seed, Git: c.Git, GitRoot: root, Now: c.Now, Rand: c.Rand, Switches: c.Switches,
	}), nil
}

// startNamed starts the hosts with names: TLS, the recorder and the proxy.
func (w *World) startNamed(c WorldConfig) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	w.CAFile = filepath.Join(c.Dir, "ca.pem")
	if err := os.WriteFile(w.CAFile, ca.pem, 0o644); err != nil {
		return err
	}
	w.roots = ca.pool()
	good, err := ca.issue(ComHost, "api."+ComHost, "gist."+ComHost, GHEHost, "api."+GHEHost, EnterpriseHost)
	if err != nil {
		return err
	}
	evilNames := append([]string{EvilHost}, c.Evil...)
	evil, err := ca.issue(evilNames...)
	if err != nil {
		return err
	}
	named, err := listen()
	if err != nil {
		return err
	}
	w.serve(tls.NewListener(named, serverTLS(good)), w.Handler())
	if err := w.startRecorder(serverTLS(evil)); err != nil {
		return err
	}
	w.Proxy = &Proxy{now: c.Now, routes: map[string]string{}}
	for _, h := range evilNames {
		w.Proxy.routes[strings.ToLower(h)+":443"] = w.Recorder.tlsAddr
	}
	for _, h := range []string{ComHost, "api." + ComHost, "gist." + ComHost, GHEHost, "api." + GHEHost, EnterpriseHost} {
		w.Proxy.routes[h+":443"] = named.Addr().String()
	}
	proxy, err := listen()
	if err != nil {
		return err
	}
	w.ProxyURL = "http://" + proxy.Addr().String()
	w.serve(proxy, w.Proxy)
	return nil
}

func (w *World) startRecorder(config *tls.Config) error {
	plain, err := listen()
	if err != nil {
		return err
	}
	w.Recorder.URL = "http://" + plain.Addr().String()
	w.serve(w.Recorder.tap(plain), w.Recorder)
	secure, err := listen()
	if err != nil {
		return err
	}
	w.Recorder.tlsAddr = secure.Addr().String()
	w.serve(w.Recorder.tap(tls.NewListener(secure, config)), w.Recorder)
	return nil
}

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// serverTLS speaks HTTP/1.1 only, so that a connection can be reset.
func serverTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

func (w *World) serve(l net.Listener, h http.Handler) {
	s := &http.Server{
		Handler: w.gate.through(h), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	w.servers = append(w.servers, s)
	w.running.Go(func() { s.Serve(l) })
}

// Handler answers for all hosts with names, by the request's Host: with
// [Transport], the whole World without a network.
func (w *World) Handler() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch host := strings.ToLower(r.Host); {
		case host == EnterpriseHost:
			w.Enterprise.ServeHTTP(rw, r)
		case host == GHEHost || host == "api."+GHEHost:
			w.GHE.ServeHTTP(rw, r)
		case host == ComHost || strings.HasSuffix(host, "."+ComHost):
			w.Com.ServeHTTP(rw, r)
		case "http://"+host == w.URL:
			w.Local.ServeHTTP(rw, r)
		default:
			w.Recorder.ServeHTTP(rw, r)
		}
	})
}

// GitHubs returns all four, by the host that reaches each.
func (w *World) GitHubs() map[string]*GitHub {
	return map[string]*GitHub{
		strings.TrimPrefix(w.URL, "http://"): w.Local, ComHost: w.Com, GHEHost: w.GHE, EnterpriseHost: w.Enterprise,
	}
}

// Env returns the variables with which real programs, git and curl among
// them, reach the hosts with names and trust their certificate.
func (w *World) Env() []string {
	return []string{
		"HTTPS_PROXY=" + w.ProxyURL, "https_proxy=" + w.ProxyURL, "NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
		"SSL_CERT_FILE=" + w.CAFile, "GIT_SSL_CAINFO=" + w.CAFile, "CURL_CA_BUNDLE=" + w.CAFile,
	}
}

// Client returns a client that goes through the proxy and trusts the
// certificate. It keeps no connections.
func (w *World) Client() *http.Client {
	proxy := &url.URL{Scheme: "http", Host: strings.TrimPrefix(w.ProxyURL, "http://")}
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12},
			Proxy: func(r *http.Request) (*url.URL, error) {
				if r.URL.Scheme == "https" {
					return proxy, nil
				}
				return nil, nil
			},
		},
	}
}

// Close ends all that the World started and waits for it, at most ten
// seconds. It leaves the folder alone.
func (w *World) Close() error {
	var err error
	w.closed.Do(func() {
		left := w.gate.close()
		for _, s := range w.servers {
			s.Close()
		}
		if w.Proxy != nil {
			w.Proxy.close()
		}
		done := make(chan struct{})
		go func() { w.running.Wait(); <-left; close(done) }()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		select {
		case <-done:
		case <-ctx.Done():
			err = errors.New("fake: close the world: something still runs after ten seconds")
		}
	})
	return err
}

// Advance moves the clocks of all four forward; see [GitHub.Advance].
func (w *World) Advance(d time.Duration) {
	for _, g := range w.GitHubs() {
		g.Advance(d)
	}
}
