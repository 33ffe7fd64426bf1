package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serves runs the service until the test ends, and waits until a client of it is
// answered.
func (o *office) serves(a *app, client *http.Client, address string) {
	o.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.serve(ctx, o.config) }()
	o.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Errorf("the service ended: %v", err)
		}
	})
	o.eventually("the service answers at "+address, func() bool {
		select {
		case err := <-done:
			done <- err
			o.t.Fatalf("the service does not start: %v", err)
		default:
		}
		return ready(client, address) == nil
	})
}

// ready asks for readyz.
func ready(client *http.Client, address string) error {
	res, err := client.Get(address + "readyz")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// TestUnixSocket: a socket that a killed service left is replaced; one that
// somebody answers on is not, and neither is a file of another kind.
func TestUnixSocket(t *testing.T) {
	o := newOffice(t, "")
	path := filepath.Join(o.dir, "socket")
	o.edit("listen: "+o.listen, "listen: unix:"+path)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal("nothing was left behind")
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	var out bytes.Buffer
	o.serves(o.app(&out), client, "http://daypass/")

	var second bytes.Buffer
	if err := o.app(&second).serve(t.Context(), o.config); err == nil || !strings.Contains(err.Error(), "[DP-907]") {
		t.Errorf("a second service at the same socket: %v", err)
	}
	if err := ready(client, "http://daypass/"); err != nil {
		t.Errorf("the first one lost its socket: %v", err)
	}

	precious := o.file("precious", "the store, say")
	o.edit("listen: unix:"+path, "listen: unix:"+precious)
	if err := o.app(&second).serve(t.Context(), o.config); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file where the socket should be: %v", err)
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "the store, say" {
		t.Errorf("the file is gone: %v", err)
	}
}

// TestNoSocketHandedOver: sockets that are another process's, or of a wrong
// number, are not taken for systemd's.
func TestNoSocketHandedOver(t *testing.T) {
	o := newOffice(t, "")
	o.edit("listen: "+o.listen, "listen: systemd")
	bin := filepath.Join(builtPrograms(t), "daypass")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for name, env := range map[string]string{"none": "", "another's": "LISTEN_FDS=1 LISTEN_PID=1", "two": "LISTEN_FDS=2 LISTEN_PID=$$", "no number": "LISTEN_FDS=x LISTEN_PID=$$"} {
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", env+` exec "$0" serve --config "$1"`, bin, o.config)
		cmd.Env = []string{"HOME=" + o.dir, "PATH=/usr/bin:/bin"}
		cmd.ExtraFiles = []*os.File{socket}
		said, err := cmd.CombinedOutput()
		stop()
		if err == nil || !strings.Contains(string(said), "[DP-907]") || !strings.Contains(string(said), "systemd handed over no socket") {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}

// An issuerOfCerts is a certificate authority for a test.
type issuerOfCerts struct {
	t    *testing.T
	o    *office
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuerOfCerts(o *office, name string) *issuerOfCerts {
	o.t.Helper()
	c := &issuerOfCerts{t: o.t, o: o, name: name}
	c.cert, c.key = c.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return c
}

// sign makes a certificate; the first signs itself.
func (c *issuerOfCerts) sign(of *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	of.SerialNumber = big.NewInt(time.Now().UnixNano())
	of.NotBefore, of.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	by, signer := of, key
	if c.cert != nil {
		by, signer = c.cert, c.key
	}
	der, err := x509.CreateCertificate(rand.Reader, of, by, &key.PublicKey, signer)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert, key
}

// pair makes a certificate and returns the files with it and its key.
func (c *issuerOfCerts) pair(use x509.ExtKeyUsage) (cert, key string) {
	c.t.Helper()
	made, private := c.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "daypass"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use},
	})
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		c.t.Fatal(err)
	}
	name := c.name + "-" + made.SerialNumber.String()
	return c.o.file(name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Raw}))),
		c.o.file(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
}

// client trusts this authority, and shows a certificate of another, if any.
func (c *issuerOfCerts) client(by *issuerOfCerts) *http.Client {
	c.t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	config.RootCAs.AddCert(c.cert)
	if by != nil {
		pair, err := tls.LoadX509KeyPair(by.pair(x509.ExtKeyUsageClientAuth))
		if err != nil {
			c.t.Fatal(err)
		}
		// Also where the server does not name this authority.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

// TestClientCertificates: as in a hub with internal_ssl, which names the files in
// the environment, whoever shows no certificate of the hub's is not answered.
func TestClientCertificates(t *testing.T) {
	o := newOffice(t, "")
	hub, stranger := newIssuerOfCerts(o, "hub"), newIssuerOfCerts(o, "stranger")
	cert, key := hub.pair(x509.ExtKeyUsageServerAuth)
	ca := o.file("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hub.cert.Raw})))
	var out bytes.Buffer
	a := o.app(&out)
	usual := a.getenv
	a.getenv = func(name string) string {
		if v, ok := map[string]string{"JUPYTERHUB_SSL_CERTFILE": cert, "JUPYTERHUB_SSL_KEYFILE": key, "JUPYTERHUB_SSL_CLIENT_CA": ca}[name]; ok {
			return v
		}
		return usual(name)
	}
	address := "https://" + o.listen + "/"
	o.serves(a, hub.client(hub), address)
	for what, client := range map[string]*http.Client{"no certificate": hub.client(nil), "another authority's": hub.client(stranger)} {
		if err := ready(client, address); err == nil || !strings.Contains(err.Error(), "certificate") && !strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := ready(stranger.client(hub), address); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("the certificate is not the hub's: %v", err)
	}
	if err := ready(&http.Client{Timeout: 5 * time.Second}, "http://"+o.listen+"/"); err == nil {
		t.Error("it is answered without TLS")
	}
	if err := ready(hub.client(hub), address); err != nil {
		t.Error(err)
	}

	// A configuration that names no key, or no authority, does not start without.
	if _, err := o.app(&out).listen("127.0.0.1:0", tlsConfig{Cert: cert, Key: key, ClientCA: key}); err == nil {
		t.Error("a key is taken for an authority")
	}
	if _, err := o.app(&out).listen("127.0.0.1:0", tlsConfig{Cert: cert}); err == nil {
		t.Error("it does without a key")
	}
}
