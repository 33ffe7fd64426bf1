package jupytertest

import (
	"crypto/rand"
	"net"
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
	log process.Log
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
	s.log = process.NewLog(t, s.Temp, "the Jupyter Server")
	s.start()
	return s
}

func (s *Server) start() {
	t, address := s.t, process.FreeAddress(s.t)
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
	// One that is told to end while a kernel starts may hang for good. What it started
	// sees that it is gone, and ends too.
	s.p = process.Serve(t, cmd, s.log, 3*time.Second, func() bool { return process.Answers(s.URL + "api") })
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
func (s *Server) Log(n int) string { return s.log.End(n) }

// PID is the server's process id.
func (s *Server) PID() int { return s.p.PID() }

// Stop stops the server as its owner would.
func (s *Server) Stop() { s.p.Stop(20 * time.Second) }

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
