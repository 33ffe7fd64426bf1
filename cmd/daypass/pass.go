package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
)

const passHelp = `A pass is a token that says what it is good for. Whoever holds one can make a
narrower one of it, without a network; nobody can make a wider one.

  daypass pass show --file job.pass
  daypass pass narrow --file job.pass --read-only --expires 2h

Both take passes of daypass, of devpi-tokens and of PyPI, and work without a network.
To begin with, an access service or a package index makes a pass:

  daypass pass create --repo octo/data --read-only --expires 8h --output job.pass
  daypass pass create --index URL --upload-only --projects maps --output ci.pass`

func (a *app) passCommand() *cobra.Command {
	c := &cobra.Command{Use: "pass", Short: "Make a pass, make it narrower, see what it allows", Long: passHelp, Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageProblem(c, "say create, narrow, show, list or revoke")
		}}
	c.AddCommand(a.passCreateCommand(), a.passNarrowCommand(), a.passShowCommand(), a.passListCommand(), a.passRevokeCommand())
	return c
}

// A passSource is where a command reads a pass.
type passSource struct{ file, token string }

func (s *passSource) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.file, "file", "", "a file that holds the pass, and that only you can read; - is standard input")
	c.Flags().StringVar(&s.token, "token", "", "- for standard input, or @FILE; never the pass itself")
}

// readPass reads the pass that the flags name, else that of the environment,
// else one that is typed.
func (a *app) readPass(s passSource) (pass.Pass, error) {
	text, err := a.passText(s)
	if err != nil {
		return pass.Pass{}, err
	}
	var p pass.Pass
	if strings.HasPrefix(text, "{") {
		p, err = pass.ParseJSON([]byte(text))
	} else {
		p, err = pass.Parse(daypass.NewSecret(text))
	}
	return p, passProblem(err)
}

func (a *app) passText(s passSource) (string, error) {
	file := s.file
	if file != "" && s.token != "" {
		return "", usageText("pass", "--file and --token do not go together")
	}
	if s.token != "" && s.token != "-" {
		path, ok := strings.CutPrefix(s.token, "@")
		if !ok {
			return "", &daypass.Problem{
				Code: "DP-121", What: "a pass does not belong on a command line", Why: "everybody on this machine can read it there",
				Next: "Put it into a file that only you can read and say --file FILE, or --token - and give it on standard input. If others use this machine, have the pass revoked.", Kind: daypass.ErrUsage,
			}
		}
		file = path
	}
	switch {
	case s.token == "-" || file == "-":
		return a.passLine()
	case file != "":
		return a.passFile(file)
	case a.getenv("DAYPASS_TOKEN") != "":
		return strings.TrimSpace(a.getenv("DAYPASS_TOKEN")), nil
	case a.getenv("DAYPASS_TOKEN_FILE") != "":
		return a.passFile(a.getenv("DAYPASS_TOKEN_FILE"))
	case a.readable:
		return a.passTyped()
	}
	return "", &daypass.Problem{
		Code: "DP-120", What: "no pass was given", Next: "Say --file FILE, or --token - and give it on standard input.", Kind: daypass.ErrUsage,
	}
}

// passLine reads the first line of standard input, or all of it where it is JSON.
func (a *app) passLine() (string, error) {
	text, err := io.ReadAll(io.LimitReader(a.stdin, 8*pass.MaxText))
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(text))
	if !strings.HasPrefix(s, "{") {
		s, _, _ = strings.Cut(s, "\n")
	}
	return strings.TrimSpace(s), nil
}

func (a *app) passTyped() (string, error) {
	f, ok := a.stdin.(*os.File)
	if !ok {
		return a.passLine()
	}
	fmt.Fprint(a.stderr, "Pass (it is not shown): ")
	text, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(a.stderr)
	return strings.TrimSpace(string(text)), err
}

var errReadable = errors.New("others can read it")

// passFile reads a plain file of the user's own that nobody else can read.
func (a *app) passFile(path string) (string, error) {
	st, err := os.Stat(path)
	if err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		err = errReadable
	}
	var text []byte
	if err == nil {
		text, err = readOwn(path, a.uid)
	}
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	p := &daypass.Problem{
		Code: "DP-122", What: "the pass in " + printable(path) + " was not read", Why: "it cannot be opened",
		Next: "Name a file of your own that only you can read.", Kind: daypass.ErrUsage, Err: err,
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		p.Why = "there is no such file"
	case errors.Is(err, errNotPlain):
		p.Why = errNotPlain.Error()
	case errors.Is(err, errReadable):
		p.Why = "others on this machine can read the file"
		p.Next = "If anybody else uses this machine, have the pass revoked; else: chmod 600 " + printable(path)
		p.Kind = daypass.ErrRefused
	}
	return "", p
}

// passProblem says what is wrong with something that is no pass.
func passProblem(err error) error {
	p := &daypass.Problem{
		Code: "DP-123", What: "that is no pass", Why: "a character of it is missing, or was changed or added",
		Next: "Copy it again, whole: it begins with daypass_, devpi- or pypi- and has no spaces.", Kind: daypass.ErrUsage, Err: err,
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pass.ErrTooBig):
		p.Why = "it is larger than a pass may be: 8 KiB and 64 limits"
		p.Next = "Begin with a pass that was narrowed less often."
	case errors.Is(err, pass.ErrV1):
		p.Why = "it is a macaroon of version 1, which neither devpi-tokens nor daypass accepts"
		p.Next = "Have a new one made."
	case errors.Is(err, pass.ErrThirdParty):
		p.Why = "it is a macaroon with a limit that a third party has to confirm, which daypass does not accept"
		p.Next = "Have a pass made by daypass or devpi-tokens."
	}
	return p
}

// ask puts a question until it is answered with yes or no. Where nobody can be
// asked the answer is no.
func (a *app) ask(question string, args ...any) bool {
	if !a.readable {
		return false
	}
	s := a.screen(false)
	lines := bufio.NewScanner(a.stdin)
	for range 10 {
		s.say(question+" (yes/no)?", args...)
		if !lines.Scan() {
			return false
		}
		switch strings.ToLower(strings.TrimSpace(lines.Text())) {
		case "yes", "y":
			return true
		case "no", "n":
			return false
		}
	}
	return false
}
