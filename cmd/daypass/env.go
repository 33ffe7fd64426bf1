package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

const envHelp = `Print, as lines for a shell, who you are at the host: GITHUB_USER, GITHUB_NAME,
GITHUB_EMAIL and GITHUB_HOST. No secret is among them. With --export a token is, for the
one repository named; "daypass run" gives it to one command only, which is safer.

  eval "$(daypass env)"
  eval "$(daypass env --export --repo OWNER/NAME)"`

func (a *app) envCommand() *cobra.Command {
	var o runOptions
	var export bool
	c := &cobra.Command{
		Use: "env [--export --repo OWNER/NAME]", Short: "Who you are at the host, as variables for a shell", Long: envHelp, Args: atMost(0),
		RunE: func(c *cobra.Command, _ []string) error { return a.env(c, o, export) },
	}
	c.Flags().StringVar(&o.host, "host", "", "the GitHub host (default: as for login)")
	c.Flags().StringVar(&o.repo, "repo", "", "OWNER/NAME: which repository the token is for")
	c.Flags().BoolVar(&export, "export", false, "with a token, for the repository of --repo and no other")
	return c
}

func (a *app) env(c *cobra.Command, o runOptions, export bool) error {
	if export != (o.repo != "") {
		return usageProblem(c, "--export and --repo OWNER/NAME go together")
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	h, err := a.hostNamed(cfg, o.host)
	if err != nil {
		return err
	}
	if export {
		o.purpose = "env"
		e, err := a.runEntry(c, h, o)
		if err != nil {
			return err
		}
		return a.printVariables(childVariables(h, e))
	}
	e, err := a.whoAt(c, cfg, h)
	if err != nil {
		return err
	}
	return a.printVariables(personVariables(h, e))
}

// whoAt is who the person is at the host: as the access service says, else as
// the login here does. The entry it returns holds no token.
func (a *app) whoAt(c *cobra.Command, cfg config, h github.Host) (wallet.Entry, error) {
	s, err := a.service(cfg)
	if err != nil {
		return wallet.Entry{}, err
	}
	if s == nil {
		e, err := a.current(c.Context(), h, daypass.Repo{})
		e.Credential.Token = daypass.Secret{}
		return e, err
	}
	at, served, err := s.at(c.Context(), h)
	switch {
	case err != nil:
		return wallet.Entry{}, told(err, h)
	case served && at.Account != nil:
		e := wallet.Entry{Name: first(at.Account.Name, at.Account.Login), Email: at.Account.Email}
		e.Credential.Account = at.Account.Login
		return e, nil
	case served && at.Connected:
		return wallet.Entry{}, nil // a pass is not told as whom
	case served:
		return wallet.Entry{}, &daypass.Problem{
			Code: "DP-851", What: h.Title() + " is not connected yet", Next: "Open " + at.Connect + ", then try again.", Kind: daypass.ErrNoLogin,
		}
	}
	e, err := a.current(c.Context(), h, daypass.Repo{})
	e.Credential.Token = daypass.Secret{}
	return e, err
}

// printVariables writes lines that a shell of POSIX takes, whatever is in them.
func (a *app) printVariables(list []string) error {
	var b strings.Builder
	for _, kv := range list {
		name, value, _ := strings.Cut(kv, "=")
		if printable(value) != value {
			continue // a terminal may be what reads it
		}
		b.WriteString("export " + name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'\n")
	}
	_, err := a.stdout.Write([]byte(b.String()))
	return err
}
