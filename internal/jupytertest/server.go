package jupytertest

import (
	"crypto/rand"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass-dev/daypass/internal/process"
)

// Config says what server to run. The zero value has a home of its own, which is
// its root too.
type Config struct {
	Prefix   string   // the folder with bin/python; "" means DAYPASS_TEST_JUPYTER
	Programs string   // a folder that stands first in PATH
	Python   []string // folders for PYTHONPATH, such as Install's and Nbgitpuller's
	Base     string   // the base path; "" means "/"
	Home     string   // "" means a new folder
	Root     string   // what Jupyter shows; "" means the home
	Environ  []string // more of the environment, as exec.Cmd takes it
	Args     []string // more arguments
}

// A Server is one that runs.
type Server struct {
	URL   string // with its base path and a slash
	Token string
	Home  string
	Root  string
	// Temp is where the server and what it starts keep what ends with them.
	Temp string

	t   testing.TB
	c   Config
	p   *process.Process
	log *os.File
}

// Start starts a Jupyter Server and waits until it answers. It ends with the
// test, and so does what it started.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	c.Prefix = Prefix(t, c.Prefix)
	if c.Base == "" {
		c.Base = "/"
	}
	s := &Server{t: t, c: c, Home: c.Home, Root: c.Root, Token: rand.Text(), Temp: shortDir(t)}
	if s.Home == "" {
		s.Home = t.TempDir()
	}
	if s.Root == "" {
		s.Root = s.Home
	}
	var err error
	if s.log, err = os.Create(filepath.Join(s.Temp, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the Jupyter Server's log ends with:\n%s", s.Log(6000))
		}
		s.log.Close()
	})
	s.start()
	return s
}

func (s *Server) start() {
	t, address := s.t, freeAddress(s.t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "http://" + address + s.c.Base
	args := append([]string{"-m", "jupyter_server", "--no-browser", "--allow-root", "--ServerApp.ip=" + host, "--ServerApp.port=" + port,
		"--ServerApp.port_retries=0", "--ServerApp.base_url=" + s.c.Base, "--ServerApp.root_dir=" + s.Root}, s.c.Args...)
	cmd := exec.Command(filepath.Join(s.c.Prefix, "bin", "python"), args...)
	cmd.Dir = s.Home
	cmd.Env = append([]string{"PATH=" + s.c.Programs + ":" + filepath.Join(s.c.Prefix, "bin") + ":" + os.Getenv("PATH"), "HOME=" + s.Home, "TMPDIR=" + s.Temp,
		"LANG=C.UTF-8", "JUPYTER_TOKEN=" + s.Token, "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=" + strings.Join(s.c.Python, ":")}, s.c.Environ...)
	if s.p, err = process.Start(cmd, s.log); err != nil {
		t.Fatal(err)
	}
	p := s.p
	t.Cleanup(func() { p.Stop(20 * time.Second) })
	end := time.Now().Add(60 * time.Second)
	for !s.answers() {
		if p.Ended() || time.Now().After(end) {
			t.Fatalf("the Jupyter Server does not answer:\n%s", s.Log(6000))
		}
		time.Sleep(30 * time.Millisecond)
	}
}

func (s *Server) answers() bool {
	res, err := http.Get(s.URL + "api")
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// Link returns an address on the server that logs its opener in. The path is
// below the base path, and may have a query.
func (s *Server) Link(path string) string {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return s.URL + path + separator + "token=" + url.QueryEscape(s.Token)
}

// Log returns the end of what the server, and what it started, said.
func (s *Server) Log(n int) string {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-n):])
}

// PID is the server's process id.
func (s *Server) PID() int { return s.p.PID() }

// Stop stops the server as its owner would.
func (s *Server) Stop() { s.p.Stop(20 * time.Second) }

// Restart stops the server and starts it again, on another port.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.start()
}

// shortDir is a folder whose path is short, for sockets.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jup")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// freeAddress finds a port of loopback where nobody listens just now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
