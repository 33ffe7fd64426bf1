package main

import (
	"errors"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

const runHelp = `Run one command with a token in its environment, and nowhere else: GITHUB_TOKEN and
GH_TOKEN (on a GitHub Enterprise Server GH_HOST and GH_ENTERPRISE_TOKEN instead).

  daypass run --repo OWNER/NAME -- gh pr list     only with access to that one repository
  daypass run --all -- gh repo list               with all that your login reaches

With --index, a pass for a package index, narrowed to what the command is for and good
for an hour, under the names that twine, uv and pip know:

  daypass run --index URL -- twine upload dist/*
  daypass run --index URL -- pip install river-tools
  daypass run --index URL --projects river-tools -- uv publish`

type runOptions struct {
	host, repo string
	all        bool
	purpose    string // for the access service's activity
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	var index runIndexOptions
	c := &cobra.Command{
		Use: "run (--repo OWNER/NAME | --all | --index URL) -- COMMAND …", Short: "Run a command with a token in its environment", Long: runHelp,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageProblem(c, "no command to run")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case index.needless():
				return usageProblem(c, "--file, --token, --password, --clientdir, --projects, --expires, --upload-only and --install-only go with --index URL")
			case index.at.index == "":
				return a.runChild(c, o, args)
			case o.all || o.repo != "" || o.host != "":
				return usageProblem(c, "--index goes with neither --repo, --all nor --host")
			}
			return a.runIndex(c, index, args)
		},
	}
	c.Flags().StringVar(&o.host, "host", "", "the GitHub host (default: as for login)")
	c.Flags().StringVar(&o.repo, "repo", "", "OWNER/NAME: with access to this repository and no other")
	c.Flags().BoolVar(&o.all, "all", false, "with all that the login reaches")
	index.flags(c)
	c.Flags().SetInterspersed(false)
	return c
}

func (a *app) runChild(c *cobra.Command, o runOptions, args []string) error {
	if o.all == (o.repo != "") {
		return usageProblem(c, "say either --repo OWNER/NAME or --all")
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	h, err := a.hostNamed(cfg, o.host)
	if err != nil {
		return err
	}
	o.purpose = "run"
	e, err := a.runEntry(c, h, o)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return &daypass.Problem{Code: "DP-003", What: "the command " + printable(args[0]) + " was not found", Next: "Check its name.", Err: err}
	}
	env := append(environment(a.environ(), cleared()...), childVariables(h, e)...)
	err = syscall.Exec(path, args, env)
	return &daypass.Problem{Code: "DP-003", What: "the command " + printable(args[0]) + " could not be started", Next: "Check that it may be run.", Err: err}
}

// runEntry: --repo takes a token that reaches nothing else, and no other.
func (a *app) runEntry(c *cobra.Command, h github.Host, o runOptions) (wallet.Entry, error) {
	if o.all {
		e, err := a.current(c.Context(), h, daypass.Repo{})
		if err == nil && e.Origin != fromService {
			return e, nil
		}
		return wallet.Entry{}, a.noneForAll(h, err)
	}
	repo, ok := daypass.ParseRepo(strings.TrimSuffix(o.repo, ".git"))
	if !ok {
		return wallet.Entry{}, usageProblem(c, "--repo is OWNER/NAME, such as octocat/hello-world")
	}
	e, err := a.currentFor(c.Context(), h, repo, o.purpose)
	if err == nil {
		s := e.Credential.Scope
		only := daypass.Scope{Host: h.Name, Repos: []daypass.Repo{repo}, Access: s.Access, Until: s.Until}
		if s.Pin(only).Covers(s) {
			return e, nil
		}
	}
	var p *daypass.Problem
	if err != nil && (!errors.Is(err, daypass.ErrNoLogin) || errors.As(err, &p) && p.Code == "DP-851") {
		return wallet.Entry{}, err
	}
	return wallet.Entry{}, &daypass.Problem{
		Code: "DP-103", What: "there is no access here that reaches " + repo.String() + " and nothing else",
		Next: `Run "daypass login` + a.loginArg(h) + " --repo " + repo.String() + `" first, or use --all.`,
		Kind: daypass.ErrNoLogin, Err: err,
	}
}

// noneForAll says why --all has nothing where the access service is what gives
// access: it does so for one repository at a time.
func (a *app) noneForAll(h github.Host, err error) error {
	if err != nil && !errors.Is(err, daypass.ErrNoLogin) {
		return err
	}
	cfg, cerr := a.loadConfig()
	if cerr != nil {
		return cerr
	}
	if s, serr := a.service(cfg); err != nil && (serr != nil || s == nil) {
		return errors.Join(serr, err)
	}
	return &daypass.Problem{
		Code: "DP-861", What: "the access service gives access to one repository at a time, never to all of " + h.Title(),
		Next: "Say --repo OWNER/NAME.", Kind: daypass.ErrRefused, Err: err,
	}
}

// cleared are the variables that the child must not inherit: our own keys, and
// tokens that would take the place of the one that it was given.
func cleared() []string {
	return []string{
		"DAYPASS_TOKEN", "DAYPASS_TOKEN_FILE", "JUPYTERHUB_API_TOKEN",
		"GITHUB_TOKEN", "GH_TOKEN", "GH_HOST", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN",
		"GITHUB_USER", "GITHUB_NAME", "GITHUB_EMAIL", "GITHUB_HOST",
	}
}

// childVariables: a token is given only under the name that tools use for its
// own host. GITHUB_TOKEN means github.com to most, so an Enterprise Server's
// token never bears that name (gh help environment).
func childVariables(h github.Host, e wallet.Entry) []string {
	token := e.Credential.Token.Reveal()
	var out []string
	switch {
	case h.Name == github.DotCom:
		out = []string{"GITHUB_TOKEN=" + token, "GH_TOKEN=" + token}
	case strings.HasSuffix(h.Name, ".ghe.com"):
		out = []string{"GH_HOST=" + h.Name, "GH_TOKEN=" + token}
	default:
		out = []string{"GH_HOST=" + h.Name, "GH_ENTERPRISE_TOKEN=" + token}
	}
	return append(out, personVariables(h, e)...)
}

// personVariables say who acts at which host. None of them is a secret.
func personVariables(h github.Host, e wallet.Entry) []string {
	var out []string
	add := func(name, value string) {
		if value != "" {
			out = append(out, name+"="+value)
		}
	}
	add("GITHUB_HOST", h.Name)
	add("GITHUB_USER", e.Credential.Account)
	add("GITHUB_NAME", e.Name)
	add("GITHUB_EMAIL", e.Email)
	return out
}
