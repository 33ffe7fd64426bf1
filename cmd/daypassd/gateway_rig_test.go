package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/devpitest"
	"github.com/daypass-dev/daypass/internal/process"
	"github.com/daypass-dev/daypass/store"
)

// A shop is a package gateway by itself, in front of a real devpi-server.
type shop struct {
	t      *testing.T
	dir    string
	devpi  *devpitest.Server
	listen string
	url    string
	config string
	log    *bytes.Buffer // what the gateway's command said
}

// newShop writes a gateway's configuration; more is added to its gateway section,
// indented by two.
func newShop(t *testing.T, o devpitest.Options, more string) *shop {
	t.Helper()
	s := newShopTo(t, "", more)
	s.devpi = devpitest.Start(t, o)
	s.edit("UPSTREAM", s.devpi.URL)
	code, said := s.admin("devpi-key", "--secretfile", s.devpi.SecretFile, "--output", filepath.Join(s.dir, "etc/devpi.key"),
		"--argon2-time-cost", fmt.Sprint(devpitest.TimeCost), "--argon2-memory-cost", fmt.Sprint(devpitest.MemoryCost), "--argon2-parallelism", fmt.Sprint(devpitest.Parallelism))
	if code != 0 || strings.Contains(said, s.devpi.Options.Secret) {
		t.Fatalf("devpi-key: %d %s", code, said)
	}
	return s
}

func newShopTo(t *testing.T, upstream, more string) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir(), listen: process.FreeAddress(t), log: &bytes.Buffer{}}
	s.url = "http://" + s.listen + "/"
	for _, d := range []string{"store", "etc"} {
		if err := os.Mkdir(filepath.Join(s.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := store.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	s.file("etc/keys.json", string(text))
	if upstream == "" {
		upstream = "UPSTREAM"
	}
	s.config = s.file("etc/server.yaml", fmt.Sprintf(`store: sqlite:%[1]s/store/daypass.db
keys: file:%[1]s/etc/keys.json
log: warn
gateway:
  listen: %[2]s
  url: %[3]s
  upstream: %[4]s
  key: file:%[1]s/etc/devpi.key
%[5]s
`, s.dir, s.listen, s.url, upstream, more))
	return s
}

func (s *shop) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *shop) edit(from, to string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil || !strings.Contains(string(text), from) {
		s.t.Fatalf("the configuration has no %q (%v)", from, err)
	}
	s.file("etc/server.yaml", strings.Replace(string(text), from, to, 1))
}

func (s *shop) app(out io.Writer) *app {
	return &app{
		stdin: bufio.NewReader(strings.NewReader("")), stdout: out, stderr: out, getenv: func(k string) string { return map[string]string{"HOME": s.dir}[k] },
		own: func() (string, error) { return s.dir, nil },
	}
}

// admin runs a command as the gateway's admin would.
func (s *shop) admin(args ...string) (int, string) {
	s.t.Helper()
	var out bytes.Buffer
	all := append([]string{"admin"}, args...)
	if args[0] != "devpi-key" {
		all = append(all, "--config", s.config)
	}
	code := s.app(&out).run(s.t.Context(), all)
	s.t.Logf("$ daypass admin %s  (%d)\n%s", strings.Join(args, " "), code, out.String())
	return code, out.String()
}

// serve runs the gateway in this process until stop is called.
func (s *shop) serve() (stop func()) {
	s.t.Helper()
	return s.serveUntil(func() bool {
		status, _ := s.get("+daypass/readyz", nil)
		return status == http.StatusOK
	})
}

// serveTLS is serve for a gateway with a certificate that a file holds.
func (s *shop) serveTLS(ca string) (stop func()) {
	s.t.Helper()
	text, err := os.ReadFile(ca)
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	s.t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	return s.serveUntil(func() bool {
		res, err := client.Get("https://" + s.listen + "/+daypass/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (s *shop) serveUntil(ready func() bool) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.app(s.log).serve(ctx, s.config) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the gateway ended: %v", err)
		}
		done <- nil
	}
	s.t.Cleanup(stop)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if ready() {
			return stop
		}
		select {
		case err := <-done:
			done <- nil
			s.t.Fatalf("the gateway does not start: %v", err)
		default:
		}
		if time.Now().After(end) {
			s.t.Fatal("the gateway does not answer")
		}
	}
}

// api is the index as it is seen through the gateway.
func (s *shop) api() devpitest.API { return devpitest.API{URL: s.url, Root: s.devpi.Root} }

func (s *shop) get(path string, header http.Header) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// post sends JSON and reads JSON.
func (s *shop) post(path string, body, into any) int {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.Post(s.url+path, "application/json", bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode
}

func (s *shop) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not within 15 s: %s", what)
		}
	}
}
