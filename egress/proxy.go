package egress

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daypass-dev/daypass"
)

// A Way is where one program may go by a [Proxy].
type Way struct {
	// Host says whether it may go to a host, in lower case, without a port.
	Host func(host string) bool
	// Ports beside 443 that a host of its own may be reached at: "git.example.edu:8443".
	Others []string
	// Plain are origins on this machine that may be asked without TLS, as tests and a
	// demonstration have them: "127.0.0.1:4321".
	Plain []string
	Bytes int64         // that may come back in one connection; 0: 2 GiB
	Time  time.Duration // for one connection; 0: 15 minutes
	Idle  time.Duration // without a byte either way; 0: a minute
	Most  int           // connections at a time; 0: 64
}

func (w Way) filled() Way {
	if w.Host == nil {
		w.Host = func(string) bool { return false }
	}
	if w.Bytes == 0 {
		w.Bytes = 2 << 30
	}
	if w.Time == 0 {
		w.Time = 15 * time.Minute
	}
	if w.Idle == 0 {
		w.Idle = time.Minute
	}
	if w.Most == 0 {
		w.Most = 64
	}
	return w
}

// A Proxy speaks HTTP's CONNECT on a loopback address, with a password of this process
// only. Programs that connect by themselves go through it where the rules of a
// [Dialer] shall hold for them too.
type Proxy struct {
	dial   *Dialer
	way    Way
	secret daypass.Secret // what Proxy-Authorization must be
	word   daypass.Secret // the password
	at     string
	server http.Server
	plain  *httputil.ReverseProxy
	places chan struct{}
	log    *slog.Logger

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

// NewProxy listens and serves until Close. random makes the password.
func NewProxy(d *Dialer, w Way, random io.Reader, log *slog.Logger) (*Proxy, error) {
	var word [32]byte
	if _, err := io.ReadFull(random, word[:]); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	text := hex.EncodeToString(word[:])
	p := &Proxy{dial: d, way: w.filled(), at: l.Addr().String(), log: log, open: map[net.Conn]bool{},
		word: daypass.NewSecret(text), secret: daypass.NewSecret("Basic " + base64.StdEncoding.EncodeToString([]byte("daypass:"+text)))}
	p.places = make(chan struct{}, p.way.Most)
	p.plain = p.forward()
	p.server = http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: p.way.Idle, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	go func() { _ = p.server.Serve(l) }()
	return p, nil
}

// Close ends it, with all that goes through it.
func (p *Proxy) Close() error {
	err := p.server.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.open {
		c.Close()
	}
	return err
}

// ServeHTTP answers a program that knows the password. Others on this machine learn
// nothing, and wait for it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got := r.Header.Get("Proxy-Authorization")
	if subtle.ConstantTimeCompare([]byte(got), []byte(p.secret.Reveal())) != 1 {
		w.Header().Set("Proxy-Authenticate", `Basic realm="daypass"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	switch {
	case r.Method == http.MethodConnect && r.Host == r.URL.Host && p.may(r.Host):
		p.tunnel(w, r)
	case r.Method != http.MethodConnect && r.URL.Scheme == "http" && listed(p.way.Plain, r.URL.Host):
		r.Body = http.MaxBytesReader(w, r.Body, 64<<20)
		p.plain.ServeHTTP(&counted{ResponseWriter: w, left: p.way.Bytes}, r)
	default:
		p.log.Warn("a program was kept from an address", "address", cut(r.URL.Host), "method", r.Method)
		w.WriteHeader(http.StatusForbidden)
	}
}

// may says whether a tunnel to an address is one for TLS to a host that is allowed.
func (p *Proxy) may(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != strings.ToLower(host) || !daypass.CleanHost(address) {
		return false
	}
	return listed(p.way.Others, address) || port == "443" && p.way.Host(host)
}

func listed(list []string, address string) bool {
	for _, a := range list {
		if a == address {
			return true
		}
	}
	return false
}

// tunnel passes bytes to and fro until either side ends, or a bound is met.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	up, err := p.dial.DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		p.log.Warn("a program could not be connected", "address", cut(r.Host), "error", err)
		status := http.StatusBadGateway
		if errors.Is(err, ErrPrivate) {
			status = http.StatusForbidden
		}
		w.WriteHeader(status)
		return
	}
	defer up.Close()
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	if !p.hold(up, down) {
		return
	}
	defer p.drop(up, down)
	end := time.Now().Add(p.way.Time)
	if _, err := fmt.Fprint(down, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var moved atomic.Int64
	moved.Store(time.Now().UnixNano())
	done := make(chan struct{}, 2)
	pass := func(to, from net.Conn, in io.Reader, most int64) {
		p.pass(to, from, in, most, end, &moved)
		done <- struct{}{}
	}
	go pass(up, down, buffered, p.way.Bytes)
	go pass(down, up, up, p.way.Bytes)
	<-done
	// TLS ends each of its connections by closing both ways.
	up.Close()
	down.Close()
	<-done
}

func (p *Proxy) hold(list ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range list {
		p.open[c] = true
	}
	return !p.closed
}

func (p *Proxy) drop(list ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range list {
		delete(p.open, c)
	}
}

// pass copies one direction. It ends at the time, when nothing went either way for too
// long, or when more came than may.
func (p *Proxy) pass(to, from net.Conn, in io.Reader, most int64, end time.Time, moved *atomic.Int64) {
	buf := make([]byte, 32<<10)
	for {
		idle := time.Unix(0, moved.Load()).Add(p.way.Idle)
		if idle.After(end) {
			idle = end
		}
		if err := from.SetReadDeadline(idle); err != nil {
			return
		}
		n, err := in.Read(buf)
		if n > 0 {
			moved.Store(time.Now().UnixNano())
			if most -= int64(n); most < 0 {
				p.log.Warn("a connection brought more than may come", "address", from.RemoteAddr().String())
				return
			}
			_ = to.SetWriteDeadline(earlier(time.Now().Add(p.way.Idle), end))
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
			continue
		}
		var late net.Error
		waits := errors.As(err, &late) && late.Timeout()
		if !waits || !time.Now().Before(end) || time.Since(time.Unix(0, moved.Load())) >= p.way.Idle {
			return
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// forward asks origins on this machine without TLS.
func (p *Proxy) forward() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.Host = r.In.URL.Host },
		Transport:     p.dial.Transport(),
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
}

// counted cuts an answer off that is too long.
type counted struct {
	http.ResponseWriter
	left int64
}

func (c *counted) Write(b []byte) (int, error) {
	if c.left -= int64(len(b)); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(b)
}

func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }
