// Package gitconf reads and writes git's configuration by running git, so that
// git's own rules decide and not a second reader of its files: which file is
// the user's, which helper is asked for a URL, what a remote is.
//
// Nothing is read from a repository's own configuration except by the
// functions that are given a repository's directory; they only report. The
// package knows no host, no token and no command line.
package gitconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
)

// Git is one git program and the environment that it is run in. The zero Git
// runs nothing; see [Find].
type Git struct {
	Path string // absolute

	// Getenv is the environment that decides which files git reads: HOME,
	// XDG_CONFIG_HOME, GIT_CONFIG_GLOBAL, GIT_CONFIG_SYSTEM,
	// GIT_CONFIG_NOSYSTEM; nil means an empty one.
	Getenv func(string) string

	// Timeout ends every single run; 0 means 10 seconds.
	Timeout time.Duration
}

const maxOutput = 8 << 20

// Find looks git up in getenv's PATH, once, so that nothing that happens to
// PATH or to the current directory later decides what runs. Relative entries
// of PATH and the empty one, which mean the current directory, are skipped: a
// "git" lying in a shared folder must not run.
func Find(getenv func(string) string) (Git, error) {
	all := findIn(filepath.SplitList(getenv("PATH")), getenv)
	if len(all) == 0 {
		return Git{}, &daypass.Problem{
			Code: "DP-701",
			What: "git was not found",
			Why:  "no folder in PATH has it",
			Next: "Install git (apt install git, dnf install git, conda install git, or module load git) and try again.",
		}
	}
	return all[0], nil
}

// FindAll returns every git that PATH, conda's variables or the places where
// hubs install conda offer, the one that Find returns first. Builds of git
// differ in where their system file is; conda's is below its own prefix, so
// what serves all users of an image must be written for each.
func FindAll(getenv func(string) string) []Git {
	dirs := filepath.SplitList(getenv("PATH"))
	for _, name := range []string{"CONDA_PREFIX", "CONDA_DIR", "NB_PYTHON_PREFIX"} {
		if p := getenv(name); p != "" {
			dirs = append(dirs, filepath.Join(p, "bin"))
		}
	}
	if p := getenv("CONDA_EXE"); p != "" {
		dirs = append(dirs, filepath.Dir(p))
	}
	// docker-stacks, repo2docker, The Littlest JupyterHub.
	dirs = append(dirs, "/opt/conda/bin", "/srv/conda/envs/notebook/bin", "/srv/conda/bin", "/opt/tljh/user/bin")
	return findIn(dirs, getenv)
}

func findIn(dirs []string, getenv func(string) string) []Git {
	var out []Git
	seen := map[string]bool{}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, "git")
		if !executable(path) {
			continue
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil || seen[real] {
			continue
		}
		seen[real] = true
		out = append(out, Git{Path: path, Getenv: getenv})
	}
	return out
}

func executable(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o111 != 0
}

func (g Git) getenv(name string) string {
	if g.Getenv == nil {
		return ""
	}
	return g.Getenv(name)
}

// environ is the whole environment of a run: no GIT_ variable but those that
// say which files git reads, and no repository. GIT_DIR names none, as
// gitrepository-layout(5) has it: with /dev/null there, git looks for no
// repository in the folders above, so no repository's configuration is read.
func (g Git) environ() []string {
	env := []string{
		"LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_PAGER=cat", "GIT_OPTIONAL_LOCKS=0",
		"GIT_ASKPASS=true", "SSH_ASKPASS=true", "GIT_DIR=" + os.DevNull, "GIT_CEILING_DIRECTORIES=/",
	}
	for _, name := range []string{
		"PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "LD_LIBRARY_PATH",
		"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
	} {
		if v := g.getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// commandEnviron is the configuration that the environment itself carries, as
// GIT_CONFIG_COUNT does: git(1). Only what reports git's effective
// configuration takes it in.
func (g Git) commandEnviron() []string {
	n, err := strconv.Atoi(g.getenv("GIT_CONFIG_COUNT"))
	if err != nil || n <= 0 || n > 256 {
		return nil
	}
	env := []string{"GIT_CONFIG_COUNT=" + strconv.Itoa(n)}
	for i := range n {
		for _, name := range []string{"GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"} {
			name += strconv.Itoa(i)
			env = append(env, name+"="+g.getenv(name))
		}
	}
	return env
}

// A job is one run of git.
type job struct {
	dir   string   // "" means no repository at all
	env   []string // added to environ, last wins
	stdin []byte
	args  []string
}

// A runError is a git that failed.
type runError struct {
	args   []string
	code   int // -1 when git did not start or was ended
	stderr string
	err    error
}

func (e *runError) Error() string {
	s := "git " + e.args[0]
	if e.stderr != "" {
		return s + ": " + e.stderr
	}
	return s + ": " + e.err.Error()
}

func (e *runError) Unwrap() error { return e.err }

// exitCode returns the code that git ended with, and -1 for any other failure.
func exitCode(err error) int {
	var re *runError
	if errors.As(err, &re) {
		return re.code
	}
	return -1
}

// run runs git without a shell, an editor, a pager or a terminal.
func (g Git) run(ctx context.Context, j job) ([]byte, error) {
	if !filepath.IsAbs(g.Path) {
		return nil, errors.New("gitconf: git's path is not absolute; call Find")
	}
	timeout := g.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.Path, j.args...)
	cmd.Dir = "/"
	cmd.Env = append(g.environ(), j.env...)
	if j.dir != "" {
		cmd.Dir = j.dir
		cmd.Env = without(cmd.Env, "GIT_DIR=", "GIT_CEILING_DIRECTORIES=")
	}
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(j.stdin)
	stdout, stderr := &limited{max: maxOutput}, &limited{max: 4 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, &runError{args: j.args, code: -1, err: ctx.Err()}
	}
	if err != nil {
		code := -1
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		return stdout.Bytes(), &runError{args: j.args, code: code, stderr: firstLine(stderr.String()), err: err}
	}
	if stdout.cut {
		return nil, &runError{args: j.args, code: -1, err: errors.New("more output than daypass reads")}
	}
	return stdout.Bytes(), nil
}

func without(env []string, prefixes ...string) []string {
	out := env[:0:0]
next:
	for _, kv := range env {
		for _, p := range prefixes {
			if strings.HasPrefix(kv, p) {
				continue next
			}
		}
		out = append(out, kv)
	}
	return out
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return Redact(printable(s))
}

// limited keeps the first max bytes and drops the rest.
type limited struct {
	bytes.Buffer
	max int
	cut bool
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.max - l.Len(); len(p) > room {
		l.cut = true
		l.Buffer.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return l.Buffer.Write(p)
}

// noFiles is for runs that must work although a file of git is broken.
func noFiles() []string {
	return []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=" + os.DevNull, "GIT_CONFIG_GLOBAL=" + os.DevNull}
}

// Version returns what git calls itself, such as "2.39.5".
func (g Git) Version(ctx context.Context) (string, error) {
	out, err := g.run(ctx, job{env: noFiles(), args: []string{"version"}})
	if err != nil {
		return "", fmt.Errorf("ask git for its version: %w", err)
	}
	v, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "git version ")
	if !ok {
		return "", fmt.Errorf("%s does not answer as git does", g.Path)
	}
	return printable(v), nil
}

// GlobalFile returns the file that `git config --global` writes: git-config(1),
// FILES. It need not exist.
func (g Git) GlobalFile() (string, error) {
	if f := g.getenv("GIT_CONFIG_GLOBAL"); f != "" {
		return usable(f, "GIT_CONFIG_GLOBAL")
	}
	home := g.getenv("HOME")
	if home == "" {
		return "", &daypass.Problem{Code: "DP-702", What: "git's user file has no place", Why: "HOME is not set",
			Next: "Set HOME, or GIT_CONFIG_GLOBAL to a file, and try again."}
	}
	file, err := usable(filepath.Join(home, ".gitconfig"), "HOME")
	if err != nil || exists(file) {
		return file, err
	}
	base := g.getenv("XDG_CONFIG_HOME")
	if base == "" {
		base = filepath.Join(home, ".config")
	}
	if xdg := filepath.Join(base, "git", "config"); filepath.IsAbs(xdg) && exists(xdg) {
		return xdg, nil
	}
	return file, nil
}

// SystemFile returns the file that `git config --system` writes. Only git knows:
// it is chosen when git is built. It need not exist.
func (g Git) SystemFile(ctx context.Context) (string, error) {
	if f := g.getenv("GIT_CONFIG_SYSTEM"); f != "" {
		return usable(f, "GIT_CONFIG_SYSTEM")
	}
	// `git var GIT_CONFIG_SYSTEM` is newer than the gits of most clusters; an
	// editor that prints its argument works with all of them.
	out, err := g.run(ctx, job{args: []string{"config", "--system", "--edit"}, env: []string{"GIT_EDITOR=echo", "GIT_CONFIG_NOSYSTEM=0"}})
	if err != nil {
		return "", fmt.Errorf("ask git for its system file: %w", err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	return usable(lines[len(lines)-1], "git")
}

func usable(file, who string) (string, error) {
	if file == os.DevNull {
		return "", &daypass.Problem{Code: "DP-703", What: "git's configuration cannot be written", Why: who + " names " + os.DevNull,
			Next: "Set it to a file, or unset it."}
	}
	if !filepath.IsAbs(file) {
		return "", &daypass.Problem{Code: "DP-703", What: "git's configuration cannot be written", Why: who + " names a path that is not absolute",
			Next: "Set it to an absolute path."}
	}
	return filepath.Clean(file), nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}
