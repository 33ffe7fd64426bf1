package fake

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// Transport returns a RoundTripper that calls h without any network and
// without a goroutine: the answer is complete when RoundTrip returns. So it
// works inside a synctest bubble, where faults that wait do so in fake time. A
// request whose context ends while h waits gets the context's error.
//
// Faults come out as they would from a network: [FaultReset] as ECONNRESET, a
// connection cut early as io.ErrUnexpectedEOF, from RoundTrip or from the
// body's Read.
func Transport(h http.Handler) http.RoundTripper { return memoryTransport{h} }

type memoryTransport struct{ handler http.Handler }

func (t memoryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in := req.Clone(ctx)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.RequestURI = req.URL.RequestURI()
	in.URL = &url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	if in.URL.Path == "" {
		in.URL.Path = "/"
	}
	in.RemoteAddr = "127.0.0.1:1"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if _, set := in.Header["User-Agent"]; !set { // as http.Transport does
		in.Header.Set("User-Agent", "Go-http-client/1.1")
	}
	if req.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, ServerName: req.URL.Hostname()}
	}
	w := &memoryResponse{header: http.Header{}, head: req.Method == http.MethodHead}
	aborted, err := w.run(t.handler, in)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return w.response(req, aborted)
}

// A memoryResponse is the server's side of an exchange without a network.
type memoryResponse struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
	head         bool
	reset        bool
}

// run calls h. Only [http.ErrAbortHandler] is taken for an answer: any other
// panic is a mistake in h and goes on.
func (w *memoryResponse) run(h http.Handler, r *http.Request) (aborted bool, err error) {
	defer func() {
		switch p := recover(); {
		case w.reset:
			err = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
		case p == nil:
		case p == http.ErrAbortHandler:
			aborted = true
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return false, nil
}

func (w *memoryResponse) Header() http.Header { return w.header }

func (w *memoryResponse) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *memoryResponse) Write(p []byte) (int, error) {
	if w.sent == nil && w.header.Get("Content-Type") == "" {
		w.header.Set("Content-Type", http.DetectContentType(p))
	}
	w.WriteHeader(http.StatusOK)
	if w.head {
		return len(p), nil
	}
	return w.body.Write(p)
}

// Flush does nothing: the client gets everything at once.
func (w *memoryResponse) Flush() { w.WriteHeader(http.StatusOK) }

// Reset makes the exchange end as if the connection had been reset.
func (w *memoryResponse) Reset() { w.reset = true }

func (w *memoryResponse) response(req *http.Request, aborted bool) (*http.Response, error) {
	if aborted && w.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	w.WriteHeader(http.StatusOK)
	length := int64(w.body.Len())
	var body io.Reader = bytes.NewReader(w.body.Bytes())
	if aborted {
		body = io.MultiReader(body, cutReader{})
		length = -1
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(w.sent.Get("Content-Length")), 10, 64); err == nil {
		length = n
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(body), ContentLength: length, Request: req, TLS: tlsOf(req),
	}, nil
}

func tlsOf(req *http.Request) *tls.ConnectionState {
	if req.URL.Scheme != "https" {
		return nil
	}
	return &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, ServerName: req.URL.Hostname()}
}

// A cutReader is a connection that ends too early.
type cutReader struct{}

func (cutReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
