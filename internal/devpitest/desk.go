package devpitest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A Desk is where somebody works with the real clients of an index: a home of
// their own, nobody else's configuration, and no more than a minute for each
// command.
type Desk struct {
	Home string
	// Env is added to the environment of each command.
	Env map[string]string
	// Input is what commands read.
	Input string

	t testing.TB
}

// NewDesk returns one with an empty home.
func NewDesk(t testing.TB) *Desk { return &Desk{Home: t.TempDir(), t: t} }

// An Output is what a command said, and how it ended.
type Output struct {
	Code int // -1: it was made to end
	Out  string
	Err  string
}

// All is what a person sees.
func (o Output) All() string { return o.Out + o.Err }

// Last is the last line of what was printed, in which commands print a token.
func (o Output) Last() string {
	lines := strings.Split(strings.TrimSpace(o.Out), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// Devpi runs the devpi client alone.
func (d *Desk) Devpi(args ...string) Output {
	d.t.Helper()
	return d.Run(filepath.Join(prefix(d.t, false), "bin", "devpi"), args...)
}

// Tokens runs the devpi client with devpi-tokens.
func (d *Desk) Tokens(args ...string) Output {
	d.t.Helper()
	return d.Run(filepath.Join(prefix(d.t, true), "bin", "devpi"), args...)
}

// Twine runs twine.
func (d *Desk) Twine(args ...string) Output {
	d.t.Helper()
	return d.Run(filepath.Join(prefix(d.t, false), "bin", "twine"), args...)
}

// Pip runs pip, which installs into the folder that --target names.
func (d *Desk) Pip(args ...string) Output {
	d.t.Helper()
	return d.Run(filepath.Join(prefix(d.t, false), "bin", "pip"), args...)
}

// UV runs uv with the Python of the other programs.
func (d *Desk) UV(args ...string) Output {
	d.t.Helper()
	return d.Run(filepath.Join(prefix(d.t, false), "bin", "uv"), args...)
}

// Bin is the folder of twine, pip, uv and devpi, for a program that is to find them.
func (d *Desk) Bin() string {
	d.t.Helper()
	return filepath.Join(prefix(d.t, false), "bin")
}

// Command returns a program that is to run at this desk.
func (d *Desk) Command(program string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	d.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdin = d.Home, strings.NewReader(d.Input)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = environment(d.Home)
	for _, name := range slices.Sorted(maps.Keys(d.Env)) {
		cmd.Env = append(cmd.Env, name+"="+d.Env[name])
	}
	return cmd
}

// Run runs a program at this desk.
func (d *Desk) Run(program string, args ...string) Output {
	d.t.Helper()
	var out, err bytes.Buffer
	cmd := d.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &err
	fault := cmd.Run()
	var exit *exec.ExitError
	if fault != nil && !errors.As(fault, &exit) {
		d.t.Fatalf("%s: %v", filepath.Base(program), fault)
	}
	return Output{Code: cmd.ProcessState.ExitCode(), Out: out.String(), Err: err.String()}
}

// Python runs a few lines with devpi-tokens' Python.
func (d *Desk) Python(text string) Output {
	d.t.Helper()
	return d.Run(filepath.Join(prefix(d.t, true), "bin", "python"), "-c", text)
}

// Installed returns the version that the module of a project says that it has in a
// folder where it was installed, or "".
func Installed(t testing.TB, dir, project string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, module(project)+".py"))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(text), `"`)
	version, _, _ = strings.Cut(version, `"`)
	return version
}
