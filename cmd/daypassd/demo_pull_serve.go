package main

import (
	"context"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// serve leaves the world up, with the page as it stands in a Jupyter server: a
// proxy before it takes jupyter-server-proxy's place, and a plain view of a file
// the front end's.
func (p *pullDemo) serve(ctx context.Context) error {
	if err := p.login(ctx); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	socket := filepath.Join(p.dir, "page", "socket")
	if err := os.Mkdir(filepath.Dir(socket), 0o700); err != nil {
		return err
	}
	page := p.command(ctx, "", "daypass", "page", "--socket", socket, "--name", "git-pull", "--root", filepath.Join(p.dir, "home"), "--base-url", "/user/student/")
	page.Stderr = p.out
	page.Cancel = func() error { return page.Process.Signal(syscall.SIGTERM) }
	if err := page.Start(); err != nil {
		return err
	}
	defer page.Wait()
	front := &http.Server{Handler: p.front(socket), ReadHeaderTimeout: 10 * time.Second}
	go front.Serve(l)
	defer front.Close()
	address := "http://" + l.Addr().String() + "/user/student/"
	link := "git-pull?" + url.Values{"repo": {p.course}, "branch": {"main"}, "urlpath": {"lab/tree/" + courseName + "/" + labNotebook}}.Encode()
	file := filepath.Join(p.dir, "demo.sh")
	if err := os.WriteFile(file, exports(p.env), 0o600); err != nil {
		return err
	}
	p.say("\nUntil you press Ctrl-C, on this machine only: a stand-in for GitHub at %s, with the private repository", p.world.URL)
	p.say("uni-course/%s, and the page as a Jupyter server has it. A link as an instructor publishes it:\n", courseName)
	p.say("   %s%s\n", address, link)
	p.say("Open it in a browser on this machine. Then be the student, and the instructor, and open it again:\n")
	p.say("   . %s                       (a home folder of its own, thrown away at the end)", file)
	p.say("   cd %s; edit %s; daypass pull --backups; daypass pull --undo", courseName, labNotebook)
	p.say("   cd %s; edit %s; git commit -am 'Week 4'; git push origin HEAD:main", p.desk, labNotebook)
	<-ctx.Done()
	p.say("\nGone.")
	return nil
}

// front is what a browser reaches: the page below its prefix, and any other
// address as the text of the file that a front end would open there.
func (p *pullDemo) front(socket string) http.Handler {
	const prefix = "/user/student/git-pull"
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "page"
			r.Out.URL.Path, r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.Path, prefix), ""
			r.Out.Host = r.In.Host
			r.Out.Header.Set("X-Forwarded-Prefix", prefix)
		},
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}},
		FlushInterval: -1,
	}
	m := http.NewServeMux()
	m.HandleFunc("GET "+prefix, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "git-pull/?"+r.URL.RawQuery)
		w.WriteHeader(http.StatusFound)
	})
	m.Handle(prefix+"/", proxy)
	m.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/user/student/"), "lab/tree/")
		text := p.fileText(name)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		fmt.Fprintf(w, "<!doctype html><title>Jupyter</title><h1>Here Jupyter would open %s</h1><pre>%s</pre>", html.EscapeString(name), html.EscapeString(text))
	})
	return m
}

// fileText is a file of the student's, if it is one.
func (p *pullDemo) fileText(name string) string {
	home, err := os.OpenRoot(filepath.Join(p.dir, "home"))
	if err != nil {
		return err.Error()
	}
	defer home.Close()
	text, err := home.ReadFile(name)
	if err != nil {
		return "(no such file)"
	}
	return string(text)
}
