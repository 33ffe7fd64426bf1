package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A listener is where requests come in, with or without TLS of its own.
type listener struct {
	net.Listener
	tls *tls.Config
}

func (l *listener) serve(srv *http.Server) error {
	if l.tls == nil {
		return srv.Serve(l.Listener)
	}
	srv.TLSConfig = l.tls
	return srv.ServeTLS(l.Listener, "", "")
}

// listen opens the address of the configuration: HOST:PORT, unix:/PATH, or
// "systemd" for a socket that systemd opened (sd_listen_fds(3)), so that no
// other user of the machine can take the port while the service is down.
func (s *app) listen(addr string, t tlsConfig) (*listener, error) {
	var ln net.Listener
	var err error
	switch path, isUnix := strings.CutPrefix(addr, "unix:"); {
	case addr == "systemd":
		ln, err = s.systemdSocket()
	case isUnix:
		ln, err = unixSocket(path)
	default:
		ln, err = net.Listen("tcp", addr)
	}
	if err != nil {
		return nil, err
	}
	config, err := t.config()
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &listener{ln, config}, nil
}

// unixSocket takes the place of a socket that nobody answers on any more.
func unixSocket(path string) (net.Listener, error) {
	ln, err := net.Listen("unix", path)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return ln, err
	}
	if conn, derr := net.DialTimeout("unix", path, time.Second); derr == nil {
		conn.Close()
		return nil, err
	}
	if st, serr := os.Lstat(path); serr != nil || st.Mode().Type() != os.ModeSocket {
		return nil, errors.Join(fmt.Errorf("%s is there, and is no socket", path), serr)
	}
	if rerr := os.Remove(path); rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	return net.Listen("unix", path)
}

func (s *app) systemdSocket() (net.Listener, error) {
	const first = 3 // SD_LISTEN_FDS_START
	pid, _ := strconv.Atoi(s.getenv("LISTEN_PID"))
	n, _ := strconv.Atoi(s.getenv("LISTEN_FDS"))
	if pid != os.Getpid() || n != 1 {
		return nil, errors.New(`listen is "systemd", and systemd handed over no socket, or several`)
	}
	unix.CloseOnExec(first)
	f := os.NewFile(first, "systemd")
	defer f.Close()
	return net.FileListener(f)
}

// config is that of a hub with internal_ssl, or the admin's own; nil without.
func (t tlsConfig) config() (*tls.Config, error) {
	if t.Cert == "" && t.Key == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, err
	}
	out := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if t.ClientCA != "" {
		pem, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return nil, err
		}
		out.ClientCAs = x509.NewCertPool()
		if !out.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New(t.ClientCA + " holds no certificate")
		}
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return out, nil
}

// portTaken looks who holds the port. A service that a crashed hub left behind
// is the usual case, and the hub would start us again every half minute for
// ever: if it is a daypass that serves the same address, that one goes on.
func (s *app) portTaken(ctx context.Context, c *serverConfig, err error) error {
	problem := serveProblem("DP-907", "the access service cannot listen at "+c.Listen, err.Error(), `Choose another address under "listen", or stop whoever has it.`)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return problem
	}
	who, herr := holder(ctx, c)
	if herr != nil || who.Service != "daypass" || strings.TrimSuffix(who.URL, "/") != strings.TrimSuffix(c.URL, "/") {
		return problem
	}
	fmt.Fprintf(s.stderr, "daypass: another daypass serves %s already (process %d); this one ends.\n", c.URL, who.Process)
	return nil
}

// health is what /healthz says.
type health struct {
	Service string `json:"service"`
	URL     string `json:"url"`
	Process int    `json:"process"`
}

func holder(ctx context.Context, c *serverConfig) (health, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	path := "/"
	if i := strings.Index(c.URL, "://"); i >= 0 {
		if j := strings.IndexByte(c.URL[i+3:], '/'); j >= 0 {
			path = strings.TrimSuffix(c.URL[i+3+j:], "/") + "/"
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Listen+path+"healthz", nil)
	if err != nil {
		return health{}, err
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return health{}, err
	}
	defer res.Body.Close()
	var h health
	err = json.NewDecoder(http.MaxBytesReader(nil, res.Body, 4096)).Decode(&h)
	return h, err
}

// dieWithHub makes a service that a hub started end when the hub does
// (prctl(2), PR_SET_PDEATHSIG): an orphan would hold the port, and the hub's
// next service could not start.
func dieWithHub(getenv func(string) string) error {
	if getenv("JUPYTERHUB_SERVICE_URL") == "" || os.Getppid() == 1 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("ask to end with the hub: %w", err)
	}
	if os.Getppid() == 1 { // it died just now
		return errors.New("the hub that started this service has ended")
	}
	return nil
}
