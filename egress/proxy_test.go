package egress

import (
	"bufio"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/gittest"
	"github.com/daypass-dev/daypass/internal/plumbing"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

func proxy(t *testing.T, d *Dialer, w Way) *Proxy {
	t.Helper()
	p, err := NewProxy(d, w, rand.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// connect sends a CONNECT and returns what came, and the connection.
func connect(t *testing.T, p *Proxy, target, auth string) (int, net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", p.at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	head := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if auth != "" {
		head += "Proxy-Authorization: " + auth + "\r\n"
	}
	io.WriteString(c, head+"\r\n")
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return 0, c, in
	}
	return res.StatusCode, c, in
}

func TestProxyRefusals(t *testing.T) {
	inside, reached := hits(t, "127.0.0.1:0")
	p := proxy(t, &Dialer{}, Way{Host: func(h string) bool { return h == "git.example.org" || h == "127.0.0.1" || h == "localhost" }, Others: []string{inside}})
	good := p.secret.Reveal()
	for _, c := range []struct {
		target, auth string
		status       int
	}{
		{"git.example.org:443", "", 407}, {"git.example.org:443", "Basic ZGF5cGFzczp4", 407}, {"git.example.org:443", strings.ToLower(good), 407},
		{"git.example.org:22", good, 403}, {"git.example.org:80", good, 403}, {"other.example.org:443", good, 403}, {"GIT.example.org:443", good, 403},
		{"git.example.org.:443", good, 403}, {"127.0.0.1:443", good, 403}, {"localhost:443", good, 403}, {inside, good, 403}, {"[::1]:443", good, 403}, {"169.254.169.254:443", good, 403},
	} {
		if status, _, _ := connect(t, p, c.target, c.auth); status != c.status {
			t.Errorf("CONNECT %s: %d, not %d", c.target, status, c.status)
		}
	}
	via := &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
		return &url.URL{Scheme: "http", User: url.UserPassword("daypass", p.word.Reveal()), Host: p.at}, nil
	}}}
	res, err := via.Get("http://" + inside + "/")
	if err != nil || res.StatusCode != 403 {
		t.Errorf("plain http: %v %v", res, err)
	}
	if reached.Load() != 0 {
		t.Error("this machine was reached")
	}
}

// talkers is a server that does f with each connection.
func talkers(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f(c)
		}
	}()
	return l.Addr().String()
}

func TestProxyBounds(t *testing.T) {
	endless := talkers(t, func(c net.Conn) {
		for {
			if _, err := c.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	drip := talkers(t, func(c net.Conn) {
		for {
			time.Sleep(20 * time.Millisecond)
			if _, err := c.Write([]byte{1}); err != nil {
				return
			}
		}
	})
	silent := talkers(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	p := proxy(t, &Dialer{Allow: loopback}, Way{Others: []string{endless, drip, silent}, Bytes: 100_000, Time: 1500 * time.Millisecond, Idle: 400 * time.Millisecond})
	for _, c := range []struct {
		name, target string
		from, to     time.Duration
		most         int64
	}{{"endless", endless, 0, 2 * time.Second, 100_000}, {"drip", drip, 1200 * time.Millisecond, 4 * time.Second, 1000}, {"silent", silent, 300 * time.Millisecond, 1400 * time.Millisecond, 0}} {
		began := time.Now()
		status, _, in := connect(t, p, c.target, p.secret.Reveal())
		n, _ := io.Copy(io.Discard, in)
		if took := time.Since(began); status != 200 || n > c.most || took < c.from || took > c.to {
			t.Errorf("%s: status %d, %d bytes, %v", c.name, status, n, took)
		}
	}
	_, open, in := connect(t, p, drip, p.secret.Reveal())
	p.Close()
	open.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := io.Copy(io.Discard, in); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("a tunnel outlives its proxy")
	}
}

// secure is a repository behind TLS, and a git that knows its certificate.
func secure(t *testing.T, front func(http.ResponseWriter, *http.Request) bool) (*gittest.Repo, *gittest.Server, string, plumbing.Git) {
	t.Helper()
	repo := gittest.New(t)
	repo.Course("main", 40)
	plain := repo.Serve(gittest.Options{})
	to, _ := url.Parse(plain.URL)
	behind := httputil.NewSingleHostReverseProxy(to)
	behind.ErrorLog = log.New(io.Discard, "", 0)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if front == nil || !front(w, r) {
			behind.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		if name == "SSL_CERT_FILE" {
			return ca
		}
		return os.Getenv(name)
	}
	g, err := plumbing.Find(getenv, append(os.Environ(), "https_proxy=http://127.0.0.1:1", "no_proxy=*", "ALL_PROXY=http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	return repo, plain, strings.Replace(plain.Of(repo), plain.URL, s.URL, 1), g
}

func fetch(t *testing.T, g plumbing.Git, url string) (string, string, error) {
	t.Helper()
	r, err := g.Create(filepath.Join(t.TempDir(), "own.git"), "sha1")
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.CommandWith(t.Context(), [][2]string{{"fetch.unpackLimit", "1"}}, "fetch", "--no-tags", "--depth=1", "--", url, "+refs/heads/main:refs/daypass/fetched").CombinedOutput()
	return r.Dir(), string(out), err
}

func hostOf(u string) string { p, _ := url.Parse(u); return p.Host }

func TestGitThroughProxy(t *testing.T) {
	repo, plain, at, g := secure(t, nil)
	p := proxy(t, &Dialer{Allow: loopback}, Way{Others: []string{hostOf(at)}})
	g = p.Git(g, Bounds{})
	dir, out, err := fetch(t, g, at)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "refs/daypass/fetched")); err != nil || strings.TrimSpace(string(text)) != repo.Git("rev-parse", "main") {
		t.Errorf("%q, %v", text, err)
	}
	for _, r := range plain.Requests() {
		if r.Authorization != "" {
			t.Error("the proxy's password went on")
		}
	}
	cmd := g.Command(t.Context(), nil, "fetch", at)
	for _, arg := range cmd.Args {
		if strings.Contains(arg, p.word.Reveal()) {
			t.Error("the proxy's password is an argument")
		}
	}
}

// What git would do of itself with an address that somebody made up.
func TestGitAddresses(t *testing.T) {
	repo, plain, at, g := secure(t, nil)
	p := proxy(t, &Dialer{Allow: loopback}, Way{Others: []string{hostOf(at)}})
	g = p.Git(g, Bounds{})
	mark := filepath.Join(t.TempDir(), "ran")
	for _, address := range []string{
		"ext::sh -c touch% " + mark, "ext::touch " + mark, "file://" + repo.Dir, repo.Dir, plain.Of(repo), "ssh://127.0.0.1/x", "127.0.0.1:x", "git://127.0.0.1/x", "ftp://127.0.0.1/x",
		"transport::x", "https://127.0.0.1/course.git", "https://localhost:1/course.git", "https://[::ffff:127.0.0.1]/x", "https://169.254.169.254/x", "http://169.254.169.254/x", "https+ext::x",
	} {
		if _, out, err := fetch(t, g, address); err == nil {
			t.Errorf("%q was fetched: %s", address, out)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a program ran")
	}
	if n := len(plain.Requests()); n != 0 {
		t.Errorf("%d requests came", n)
	}
}

func TestGitRedirect(t *testing.T) {
	for _, to := range []string{"http://127.0.0.1", "https://169.254.169.254", "https://[::ffff:127.0.0.1]", "same"} {
		var plain *gittest.Server
		_, plain, at, g := secure(t, func(w http.ResponseWriter, r *http.Request) bool {
			target := to
			if to == "same" {
				if strings.HasPrefix(r.URL.Path, "/moved") {
					return false
				}
				target = "https://" + r.Host + "/moved"
			}
			http.Redirect(w, r, target+r.URL.RequestURI(), http.StatusMovedPermanently)
			return true
		})
		p := proxy(t, &Dialer{Allow: loopback}, Way{Others: []string{hostOf(at)}})
		if _, out, err := fetch(t, p.Git(g, Bounds{}), at); err == nil || len(plain.Requests()) != 0 {
			t.Errorf("a redirect to %s: %v %s", to, err, out)
		}
	}
}

func TestGitBounds(t *testing.T) {
	repo, plain, at, g := secure(t, nil)
	noise := make([]byte, 1<<20)
	rand.Read(noise)
	repo.Commit("main", "large", gittest.Files{"noise.bin": fmt.Sprintf("%x", noise)})
	p := proxy(t, &Dialer{Allow: loopback}, Way{Others: []string{hostOf(at)}})
	dir, _, err := fetch(t, p.Git(g, Bounds{File: 1 << 20}), at)
	if err == nil {
		t.Error("a pack larger than git may write was fetched")
	}
	left, _ := filepath.Glob(filepath.Join(dir, "objects/pack/*"))
	for _, f := range left {
		if fi, err := os.Stat(f); err == nil && fi.Size() > 1<<20 {
			t.Errorf("%s has %d bytes", f, fi.Size())
		}
	}
	narrow := proxy(t, &Dialer{Allow: loopback}, Way{Others: []string{hostOf(at)}, Bytes: 1 << 20})
	if _, _, err := fetch(t, narrow.Git(g, Bounds{}), at); err == nil {
		t.Error("a pack larger than may come was fetched")
	}
	plain.Fault(gittest.Fault{Match: "git-upload-pack", Method: "POST", After: 3000, Stall: time.Minute})
	began := time.Now()
	soon := proxy(t, &Dialer{Allow: loopback}, Way{Others: []string{hostOf(at)}, Idle: time.Second})
	if _, _, err := fetch(t, soon.Git(g, Bounds{}), at); err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("a server that falls silent: %v after %v", err, time.Since(began))
	}
	plain.Fault()
	if _, _, err := fetch(t, p.Git(g, Bounds{Memory: 1 << 20}), at); err == nil {
		t.Error("git ran in a megabyte")
	}
	if _, out, err := fetch(t, p.Git(g, Bounds{}), at); err != nil {
		t.Errorf("%v %s", err, out)
	}
}

// A repository that is what git's own check refuses.
func TestGitChecksObjects(t *testing.T) {
	repo, _, at, g := secure(t, nil)
	blob := repo.Blob("x")
	repo.CommitTree("main", repo.Tree(gittest.Entry{Mode: "100644", Name: ".git", ID: blob}))
	p := proxy(t, &Dialer{Allow: loopback}, Way{Others: []string{hostOf(at)}})
	if _, out, err := fetch(t, p.Git(g, Bounds{}), at); err == nil || !strings.Contains(out, "hasDotgit") {
		t.Errorf("%v %s", err, out)
	}
}
