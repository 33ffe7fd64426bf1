package fake

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Network offers stand-ins under their true names, with TLS and HTTP/1.1, on
// loopback only: behind a proxy, as programs that are not ours need it. What has no
// stand-in is refused by the proxy, but for [EvilHost], where a [Recorder] listens.
type Network struct {
	Proxy    *Proxy
	ProxyURL string
	CAFile   string // the certificate that vouches for them
	Recorder *Recorder

	roots   *x509.CertPool
	servers []*http.Server
	running sync.WaitGroup
	gate    gate
}

// NewNetwork starts one for these hosts, by name; dir is an existing folder for the
// certificate. Close ends it.
func NewNetwork(dir string, hosts map[string]http.Handler) (*Network, error) {
	n := &Network{Recorder: &Recorder{}, CAFile: filepath.Join(dir, "ca.pem"), Proxy: &Proxy{now: time.Now, routes: map[string]string{}}}
	if err := n.start(hosts); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *Network) start(hosts map[string]http.Handler) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	n.roots = ca.pool()
	if err := os.WriteFile(n.CAFile, ca.pem, 0o644); err != nil {
		return err
	}
	byHost := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := hosts[strings.ToLower(strings.TrimSuffix(r.Host, ":443"))]
		if h == nil {
			h = http.NotFoundHandler()
		}
		h.ServeHTTP(w, r)
	})
	names := slices.Sorted(maps.Keys(hosts))
	if err := n.secure(ca, names, byHost, func(l net.Listener) net.Listener { return l }); err != nil {
		return err
	}
	if err := n.secure(ca, []string{EvilHost}, n.Recorder, n.Recorder.tap); err != nil {
		return err
	}
	proxy, err := listen()
	if err != nil {
		return err
	}
	n.ProxyURL = "http://" + proxy.Addr().String()
	n.serve(proxy, n.Proxy)
	return nil
}

// secure listens with a certificate for names, and has the proxy lead there.
func (n *Network) secure(ca *authority, names []string, h http.Handler, tap func(net.Listener) net.Listener) error {
	cert, err := ca.issue(names...)
	if err != nil {
		return err
	}
	l, err := listen()
	if err != nil {
		return err
	}
	for _, name := range names {
		n.Proxy.routes[name+":443"] = l.Addr().String()
	}
	n.serve(tap(tls.NewListener(l, serverTLS(cert))), h)
	return nil
}

func (n *Network) serve(l net.Listener, h http.Handler) {
	s := &http.Server{
		Handler: n.gate.through(h), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	n.servers = append(n.servers, s)
	n.running.Go(func() { s.Serve(l) })
}

// Env returns the variables with which programs reach the hosts and trust their
// certificate.
func (n *Network) Env() []string {
	return []string{
		"HTTPS_PROXY=" + n.ProxyURL, "https_proxy=" + n.ProxyURL, "NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
		"SSL_CERT_FILE=" + n.CAFile, "REQUESTS_CA_BUNDLE=" + n.CAFile, "CURL_CA_BUNDLE=" + n.CAFile,
	}
}

// Transport reaches the hosts from this process.
func (n *Network) Transport() *http.Transport {
	proxy := &url.URL{Scheme: "http", Host: strings.TrimPrefix(n.ProxyURL, "http://")}
	return &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: n.roots, MinVersion: tls.VersionTLS12}}
}

// Close ends all that it started.
func (n *Network) Close() {
	left := n.gate.close()
	for _, s := range n.servers {
		s.Close()
	}
	n.Proxy.close()
	n.running.Wait()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
	}
}
