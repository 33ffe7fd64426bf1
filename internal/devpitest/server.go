package devpitest

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/daypass-dev/daypass/internal/process"
)

// What servers here are told to spend on a key; devpi's own default takes 512 MiB
// and many seconds. Who derives a key from their secret file needs the same.
const (
	TimeCost    = 2
	MemoryCost  = 8192 // KiB
	Parallelism = 8
)

// Options say what server to run. The zero value is a plain devpi-server.
type Options struct {
	// Plugin adds devpi-tokens.
	Plugin bool
	// RestrictModify are those who alone may change users and indexes; nil leaves
	// devpi's rule, which is everybody their own.
	RestrictModify []string
	// Identity makes /+authcheck look at who asks, as a plugin that locks an index
	// does. A plain server looks at that in few places.
	Identity bool
	// Secret is the text of the secret file; "" means a random one.
	Secret string
	// Args are more options of devpi-server.
	Args []string
}

// A Server is a devpi-server that runs.
type Server struct {
	API
	Options    Options
	Dir        string // a folder of its own, where all of its files are
	ServerDir  string
	SecretFile string

	t       testing.TB
	prefix  string
	address string
	log     process.Log
	run     *process.Process
}

// Start makes a new server with nobody but root, and waits until it answers, for
// about a second. It ends with the test: tests that can share one are subtests,
// and differ in their users.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{Options: o, Dir: t.TempDir(), t: t, prefix: prefix(t, o.Plugin), address: process.FreeAddress(t)}
	s.API = API{URL: "http://" + s.address + "/", Root: rand.Text()}
	s.ServerDir, s.SecretFile = filepath.Join(s.Dir, "server"), filepath.Join(s.Dir, "secret")
	if s.Options.Secret == "" {
		s.Options.Secret = rand.Text() + rand.Text()
	}
	// devpi-server refuses a secret in a folder that others may write to.
	if err := os.Chmod(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("secret", s.Options.Secret)
	if o.Identity {
		s.writePlugin()
	}
	s.log = process.NewLog(t, s.Dir, "the index")
	s.Exec("devpi-init", "--serverdir", s.ServerDir, "--no-root-pypi", "--root-passwd", s.Root)
	s.Restart()
	return s
}

// prefix is the folder of the programs to run. Without one the test is skipped, and
// fails where "make test" should have made one.
func prefix(t testing.TB, plugin bool) string {
	t.Helper()
	name := "DAYPASS_TEST_DEVPI"
	if plugin {
		name += "_TOKENS"
	}
	return process.Installed(t, name, "devpi")
}

// authcheckPlugin asks who it is wherever /+authcheck is asked.
const authcheckPlugin = `from pluggy import HookimplMarker


@HookimplMarker("devpiserver")
def devpiserver_authcheck_forbidden(request):
    request.authenticated_userid
`

func (s *Server) writePlugin() {
	s.t.Helper()
	s.write("python/asks_who.py", authcheckPlugin)
	s.write("python/asks_who-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: asks-who\nVersion: 1.0\n")
	s.write("python/asks_who-1.0.dist-info/entry_points.txt", "[devpi_server]\nasks-who = asks_who\n")
}

func (s *Server) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Program returns a command of the server's own, such as devpi-export, which has
// its environment and ends after a minute.
func (s *Server) Program(name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	s.t.Cleanup(cancel)
	return s.command(ctx, name, args...)
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.prefix, "bin", name), args...)
	cmd.Dir = s.Dir
	cmd.Env = append(environment(s.Dir), "PYTHONPATH="+filepath.Join(s.Dir, "python"))
	return cmd
}

// Exec runs a command of the server's own, which must succeed.
func (s *Server) Exec(name string, args ...string) {
	s.t.Helper()
	if out, err := s.Program(name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Export stops the server, writes what devpi-export does into a new folder, and
// starts it again.
func (s *Server) Export() string {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "export")
	s.Stop()
	s.Exec("devpi-export", "--serverdir", s.ServerDir, dir)
	s.Restart()
	return dir
}

// Restart stops the server where it runs, and starts it on the same address with
// the same files.
func (s *Server) Restart() {
	s.t.Helper()
	if s.run != nil {
		s.Stop()
	}
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	args := []string{
		"--serverdir", s.ServerDir, "--secretfile", s.SecretFile, "--host", "127.0.0.1", "--port", port,
		"--argon2-time-cost", strconv.Itoa(TimeCost), "--argon2-memory-cost", strconv.Itoa(MemoryCost), "--argon2-parallelism", strconv.Itoa(Parallelism),
	}
	if s.Options.RestrictModify != nil {
		args = append(args, "--restrict-modify", strings.Join(s.Options.RestrictModify, ","))
	}
	cmd := s.command(context.Background(), "devpi-server", append(args, s.Options.Args...)...)
	s.run = process.Serve(s.t, cmd, s.log, 10*time.Second, func() bool { return process.Answers(s.URL + "+api") })
}

// Rekey gives the server another secret and restarts it: sessions and tokens made
// before are worth nothing then.
func (s *Server) Rekey() {
	s.t.Helper()
	s.Options.Secret = rand.Text() + rand.Text()
	s.write("secret", s.Options.Secret)
	s.Restart()
}

// Stop ends the server as its owner would.
func (s *Server) Stop() { s.run.Stop(10 * time.Second) }

// Kill ends it with no warning.
func (s *Server) Kill() { s.run.Kill() }

// Log returns the end of what the server said.
func (s *Server) Log(n int) string { return s.log.End(n) }

// SessionKey is the key with which this server signs the sessions of those who log
// in: 16 bytes, by devpi-server's get_derived_key for "devpi-server-auth".
func (s *Server) SessionKey() []byte { return SessionKey(s.Options.Secret) }

// SessionKey is that of a server with this secret, and the costs above.
func SessionKey(secret string) []byte {
	return argon2.IDKey([]byte(secret), []byte("devpi-server-auth"), TimeCost, MemoryCost, Parallelism, 16)
}

// environment is that of a program which must find nobody's configuration.
func environment(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "TZ=UTC", "COLUMNS=200", "PYTHONDONTWRITEBYTECODE=1",
		"PIP_CONFIG_FILE=" + os.DevNull, "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_RETRIES=0",
		"UV_NO_CONFIG=1", "UV_CACHE_DIR=" + filepath.Join(home, "uv"), "UV_PYTHON_DOWNLOADS=never",
		"PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring", "TWINE_NON_INTERACTIVE=1",
	}
}
