// Command daypassd is daypass's server side: the demo with its stand-ins for
// the outside world, and the admin's commands. Users call it through
// "daypass demo" and "daypass admin".
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daypass-dev/daypass"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s := &app{
		stdin: bufio.NewReader(os.Stdin), stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
		interactive: term.IsTerminal(int(os.Stdin.Fd())), own: ownDir,
	}
	code := s.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// An app is the world as the commands see it.
type app struct {
	stdin          *bufio.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	interactive    bool                   // somebody can answer on stdin
	own            func() (string, error) // the folder of the programs
}

func (s *app) run(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use: "daypass", Short: "daypass's server side", SilenceErrors: true, SilenceUsage: true, Version: daypass.Version,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err.Error()) })
	root.AddCommand(s.serveCommand(), s.demoCommand(), s.adminCommand())
	root.SetArgs(args)
	root.SetOut(s.stdout)
	root.SetErr(s.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if strings.HasPrefix(err.Error(), "unknown command") {
		err = usage(root, err.Error()) // cobra has no kind for it
	}
	fmt.Fprintln(s.stderr, "daypass:", err)
	return daypass.ExitCode(err)
}

func usage(c *cobra.Command, why string) error {
	return &daypass.Problem{
		Code: "DP-001", What: why, Next: `See "` + c.CommandPath() + ` --help".`, Kind: daypass.ErrUsage,
	}
}

func ownDir() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	exe, err = filepath.EvalSymlinks(exe)
	return filepath.Dir(exe), err
}
