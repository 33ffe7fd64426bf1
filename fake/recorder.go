package fake

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
)

// A Recorder is a host that should never hear anything. It keeps every byte,
// and asks for a password so as to tempt whoever comes by.
type Recorder struct {
	URL string // its address without TLS

	tlsAddr string
	mu      sync.Mutex
	heard   bytes.Buffer
	conns   int
}

// ServeHTTP reads everything and asks for credentials.
func (rec *Recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
	http.Error(w, "who are you?", http.StatusUnauthorized)
}

// Heard returns every byte that came, after TLS, of all connections.
func (rec *Recorder) Heard() []byte {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return bytes.Clone(rec.heard.Bytes())
}

// Connections returns how many there were, also those that said nothing.
func (rec *Recorder) Connections() int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.conns
}

// tap returns a listener whose connections are recorded.
func (rec *Recorder) tap(l net.Listener) net.Listener { return &tapListener{l, rec} }

type tapListener struct {
	net.Listener
	rec *Recorder
}

func (l *tapListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.rec.mu.Lock()
	l.rec.conns++
	l.rec.mu.Unlock()
	return &tapConn{c, l.rec}, nil
}

type tapConn struct {
	net.Conn
	rec *Recorder
}

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.rec.mu.Lock()
	c.rec.heard.Write(p[:n])
	c.rec.mu.Unlock()
	return n, err
}
