package fake

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Proxy is a CONNECT proxy that knows where a few names really are and
// refuses all others.
type Proxy struct {
	now    func() time.Time
	routes map[string]string // host:port in lower case to an address

	mu     sync.Mutex
	down   bool
	seen   []Connect
	conns  map[net.Conn]bool
	closed bool
}

// A Connect is one attempt to reach a host through a [Proxy].
type Connect struct {
	At      time.Time
	Target  string // host:port, or the URL of a request without CONNECT
	Refused bool
}

// Down makes the proxy refuse everything, as when the network is gone, or
// work again. Tunnels that are open stay.
func (p *Proxy) Down(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// Connects returns all attempts so far.
func (p *Proxy) Connects() []Connect {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// Refused returns the targets of the attempts that were refused.
func (p *Proxy) Refused() []string {
	var out []string
	for _, c := range p.Connects() {
		if c.Refused {
			out = append(out, c.Target)
		}
	}
	return out
}

// ServeHTTP tunnels to a known host.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Host
	if r.Method != http.MethodConnect {
		target = r.URL.String()
	}
	addr, known := p.routes[strings.ToLower(target)]
	p.mu.Lock()
	refuse := !known || p.down || r.Method != http.MethodConnect
	p.seen = append(p.seen, Connect{At: p.now(), Target: target, Refused: refuse})
	p.mu.Unlock()
	if refuse {
		http.Error(w, "fake: no way to "+target, http.StatusBadGateway)
		return
	}
	up, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		http.Error(w, "fake: "+err.Error(), http.StatusBadGateway)
		return
	}
	defer p.forget(up)
	down, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		up.Close()
		return
	}
	defer p.forget(down)
	if !p.keep(up) || !p.keep(down) {
		return
	}
	if _, err := io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	tunnel(up, down, buf)
}

// tunnel copies both ways until both have ended.
func tunnel(up, down net.Conn, early io.Reader) {
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(up, early) // reads on from down when the buffer is empty
		closeWrite(up)
	})
	both.Go(func() {
		// A reset must come out as a reset, not as an orderly end.
		if _, err := io.Copy(down, up); err != nil {
			if t, ok := down.(*net.TCPConn); ok {
				t.SetLinger(0)
			}
			down.Close()
			return
		}
		closeWrite(down)
	})
	both.Wait()
}

func closeWrite(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.CloseWrite()
	}
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		p.conns = map[net.Conn]bool{}
	}
	p.conns[c] = true
	return !p.closed
}

func (p *Proxy) forget(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
}
