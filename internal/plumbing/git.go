package plumbing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Git is the system's git, and all that it is told. Every child runs without any
// configuration of the machine, the user or a folder: what of it is wanted is in
// Config.
type Git struct {
	Program   string      // absolute
	Environ   []string    // the children's: nothing of git's own but what [Find] adds
	Config    [][2]string // such as {"credential.helper", "/opt/daypass/git-credential-daypass"}; later lines win
	Protocols string      // what a fetch may speak, as GIT_ALLOW_PROTOCOL wants it: "https:ssh"; "": nothing
	Through   []string    // a program and arguments of it that become git, given its path and arguments; none: git itself
}

// Find finds git on PATH and makes an environment of environ (as os.Environ gives
// it). Every variable of git's own is dropped: GIT_DIR, GIT_CONFIG_COUNT,
// GIT_SSH_COMMAND, GIT_EXEC_PATH and GIT_TRACE_CURL are all ways to run something,
// to look elsewhere or to write secrets down. Proxies stay, as curl reads them;
// SSL_CERT_FILE and SSL_CERT_DIR become GIT_SSL_CAINFO and GIT_SSL_CAPATH, since git's
// curl does not read them. It starts no process. Errors: [ErrNoGit].
func Find(getenv func(string) string, environ []string) (Git, error) {
	program := lookPath(getenv("PATH"))
	if program == "" {
		return Git{}, ErrNoGit
	}
	env := slices.DeleteFunc(slices.Clone(environ), dropped)
	env = append(env,
		"LC_ALL=C", "LANG=C", "LANGUAGE=",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "SSH_ASKPASS_REQUIRE=never",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_OPTIONAL_LOCKS=0", "GIT_PAGER=cat", "GIT_LFS_SKIP_SMUDGE=1",
		"GIT_NO_LAZY_FETCH=1", "GIT_ADVICE=0", "GIT_CEILING_DIRECTORIES=/",
		"GIT_SSH_COMMAND=ssh -o BatchMode=yes -o ConnectTimeout=20 -o PermitLocalCommand=no -o ClearAllForwardings=yes", "GIT_SSH_VARIANT=ssh",
	)
	for _, pair := range [][2]string{{"SSL_CERT_FILE", "GIT_SSL_CAINFO"}, {"SSL_CERT_DIR", "GIT_SSL_CAPATH"}} {
		// git's own names are what people set before they met ours.
		if v := first(getenv(pair[0]), getenv(pair[1])); v != "" {
			env = append(env, pair[1]+"="+v)
		}
	}
	return Git{Program: program, Environ: env}, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// dropped names what children are not told: what git, ssh and curl would act on, or
// what would be doubled by what [Find] adds.
func dropped(kv string) bool {
	name, _, _ := strings.Cut(kv, "=")
	switch name {
	case "LC_ALL", "LANG", "LANGUAGE", "LC_MESSAGES", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "GCM_INTERACTIVE", "PAGER", "EDITOR", "VISUAL", "CURL_HOME", "PREFIX", "EMAIL":
		return true
	}
	return strings.HasPrefix(name, "GIT_")
}

// lookPath looks for git in absolute folders only: an empty or relative one on PATH
// is the folder that somebody happens to stand in.
func lookPath(path string) string {
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, "git")
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// base is the configuration of every child. Alternates belong to folders of other
// people's making: their refs are not asked for, since that runs git in them.
var base = [][2]string{
	{"core.hooksPath", os.DevNull}, {"core.fsmonitor", "false"}, {"core.alternateRefsCommand", ":"}, {"core.attributesFile", os.DevNull},
	// Larger files go through piece by piece. What is made of others takes memory by the
	// thread.
	{"core.bigFileThreshold", "32m"}, {"core.deltaBaseCacheLimit", "64m"}, {"pack.threads", strconv.Itoa(min(4, runtime.NumCPU()))},
	{"gc.auto", "0"}, {"maintenance.auto", "false"}, {"protocol.version", "2"}, {"advice.detachedHead", "false"},
	// Renamed repositories answer with a redirect. A redirect within the first
	// request is followed, and credentials are asked anew for where it leads; later
	// ones, which would carry them along, are refused.
	{"http.followRedirects", "initial"},
	{"http.sslVerify", "true"}, {"transfer.credentialsInUrl", "die"}, {"credential.interactive", "false"}, {"submodule.recurse", "false"},
	{"fetch.recurseSubmodules", "false"}, {"transfer.bundleURI", "false"}, {"log.showSignature", "false"},
}

// environ is a child's whole environment.
func (g Git) environ(dir string, alternates []string, more [][2]string) []string {
	env := append(slices.Clone(g.Environ), "GIT_DIR="+dir, "GIT_ALLOW_PROTOCOL="+first(g.Protocols, "none"))
	if len(alternates) > 0 {
		quoted := make([]string, len(alternates))
		for i, a := range alternates {
			quoted[i] = alternate(a)
		}
		env = append(env, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+strings.Join(quoted, ":"))
	}
	config := slices.Concat(base, g.Config, more)
	for i, kv := range config {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+kv[0], "GIT_CONFIG_VALUE_"+n+"="+kv[1])
	}
	return append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(config)))
}

// alternate quotes a folder's name as git wants it in a list with colons.
func alternate(path string) string {
	if !strings.ContainsAny(path, "\":\n\\") {
		return path
	}
	var b strings.Builder
	quote(&b, path)
	return b.String()
}

// Command prepares git without any repository, standing in /. See [Repo.Command].
func (g Git) Command(ctx context.Context, config [][2]string, args ...string) *exec.Cmd {
	return g.command(ctx, os.DevNull, "/", nil, config, args)
}

func (g Git) command(ctx context.Context, gitDir, cwd string, alternates []string, config [][2]string, args []string) *exec.Cmd {
	argv := append(slices.Concat(g.Through, []string{g.Program}), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = g.environ(gitDir, alternates, config), cwd
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return kill(cmd.Process) }
	cmd.WaitDelay = 3 * time.Second
	return cmd
}

// kill ends a process and all that it started: git leaves transports and helpers
// behind otherwise.
func kill(p *os.Process) error {
	err := syscall.Kill(-p.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// Check asks git for its version, which takes one process. Before 2.32 git does not
// know how to leave a user's configuration alone: [ErrOldGit].
func (g Git) Check(ctx context.Context) error {
	out, err := g.Command(ctx, nil, "version").Output()
	if err != nil {
		return fmt.Errorf("git version: %w", err)
	}
	return version(string(out))
}

func version(text string) error {
	var major, minor int
	if _, err := fmt.Sscanf(text, "git version %d.%d", &major, &minor); err != nil {
		return fmt.Errorf("git version says %q", text)
	}
	if major < 2 || major == 2 && minor < 32 {
		return fmt.Errorf("%w (%d.%d)", ErrOldGit, major, minor)
	}
	return nil
}

// quote writes a path in git's C style, which fast-import and alternates read.
func quote(b *strings.Builder, path string) {
	b.WriteByte('"')
	for _, c := range []byte(path) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			b.WriteString(`\` + string([]byte{'0' + c>>6, '0' + c>>3&7, '0' + c&7}))
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
