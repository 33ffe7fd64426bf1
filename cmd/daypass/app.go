package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/github"
	"github.com/daypass-dev/daypass/wallet"
)

// An app is the world as the commands see it: what they read, write and ask is
// handed in here and nowhere else.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	environ        func() []string
	now            func() time.Time
	uid            int               // effective user id
	transport      http.RoundTripper // verifies certificates, honours HTTPS_PROXY and SSL_CERT_FILE
	direct         http.RoundTripper // to the access service: through no proxy; nil means client.NewTransport
	sources        http.RoundTripper // to hosts of content that is not git's, in tests; nil: the network
	lookup         lookup            // of names, in tests; nil: the system's
	etcConfig      string            // the admin's configuration
	rootDir        string            // where an image's files are written; "" means /
	terminal       bool              // stderr is a terminal
	width          func() int        // its columns; nil means 80
	readable       bool              // stdin is a terminal
	shown          bool              // stdout is a terminal
}

// run is the whole program: args with the program's name first, exit code out.
func (a *app) run(ctx context.Context, args []string) int {
	words := a.oldNames(args)
	root := a.root(append([]string{}, words...))
	if len(args) > 0 && filepath.Base(args[0]) == "gitpuller" {
		root.SetHelpFunc(func(c *cobra.Command, _ []string) { c.Println(gitpullerHelp) })
	}
	root.SetArgs(words)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	ran, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var done exitStatus
	if errors.As(err, &done) {
		return int(done)
	}
	if strings.HasPrefix(err.Error(), "unknown command") {
		what, _, _ := strings.Cut(err.Error(), "\n") // suggestions follow, on lines of their own
		err = usageProblem(ran, what)                // cobra has no kind for it
	}
	err = standsNowhere(a.interrupted(ctx, err))
	asJSON, _ := ran.Flags().GetBool("json") // false where the command has no such flag
	if asJSON && ran.Annotations[problemLines] != "" {
		a.problemLine(err)
	} else {
		a.screen(asJSON).problem(err)
	}
	return daypass.ExitCode(err)
}

// An exitStatus ends the program with a status and nothing more to say, as a
// child's own status does.
type exitStatus int

func (e exitStatus) Error() string { return "" }

func (a *app) interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	var p *daypass.Problem
	if errors.As(err, &p) {
		return err
	}
	return &daypass.Problem{Code: "DP-214", What: "stopped", Next: "Nothing was left behind.", Err: err}
}

// standsNowhere says of a command that cannot know where it stands what to do.
func standsNowhere(err error) error {
	var system *os.SyscallError
	var p *daypass.Problem
	if !errors.As(err, &system) || system.Syscall != "getwd" || errors.As(err, &p) {
		return err
	}
	return &daypass.Problem{
		Code: "DP-374", What: "the folder that you stand in is gone", Why: "it was removed, or another one is in its place by now",
		Next: `Go there again (cd "$PWD"), or to another folder, and try again.`, Err: err,
	}
}

const rootHelp = `daypass gives you access to private repositories from a computer that others
administer: for hours, to chosen repositories, with nothing left on its disks.
Begin with "daypass login"; then git push works.

Every message ends with a code, such as [DP-101], that the manual explains:
https://github.com/daypass-dev/daypass/blob/main/doc/manual.md`

// A listed is a command as the list of commands shows it. make builds it, with
// its flags, which costs time: only those that were called for are built.
type listed struct {
	name, short string
	make        func() *cobra.Command
}

// everyDay and more are the commands in the order in which --help lists them.
func (a *app) everyDay() []listed {
	return []listed{
		{"login", "Get access for a few hours: open a page, type a code", a.loginCommand},
		{"status", "What access this machine holds, until when", a.statusCommand},
		{"check", "Would a push work, and if not, why", a.checkCommand},
		{"pull", "Bring course content here, and keep it up to date", a.pullCommand},
		{"link", "Make a link to course content, change it, end it", a.linkCommand},
		{"pass", "Make a pass, make it narrower, see what it allows", a.passCommand},
		{"doctor", "What is wrong on this machine, and what to do", a.doctorCommand},
	}
}

func (a *app) more() []listed {
	server := func(name, short string) listed {
		return listed{name, short, func() *cobra.Command { return a.serverCommand(name, short) }}
	}
	return []listed{
		{"logout", "End your access, here and at the host", a.logoutCommand},
		{"repos", "The repositories in reach", a.reposCommand},
		{"resolve", "What an address means", a.resolveCommand},
		{"run", "Run a command with a token in its environment", a.runCommand},
		{"env", "Who you are at the host, as variables for a shell", a.envCommand},
		{"setup", "Make git ask daypass, or no longer", a.setupCommand},
		{"wallet", "Hand your access to another node", a.walletCommand},
		{"token", "Tokens of a package index, as devpi-tokens has them", a.tokenCommand},
		server("serve", "Run the access service of a hub"),
		server("demo", "See it work on a GitHub that runs on this machine only"),
		server("admin", "For admins: make the GitHub App"),
	}
}

// hidden are the commands that programs call.
func (a *app) hidden() []listed {
	return []listed{{"credential", "", a.credentialCommand}, {"identity", "", a.identityCommand}, {"page", "", a.pageCommand}, {"repoproviders", "", a.repoprovidersCommand}}
}

// root is the whole command line for these words; nil builds all of it.
func (a *app) root(words []string) *cobra.Command {
	root := &cobra.Command{
		Use: "daypass", Short: "Short-lived, narrow access to private repositories", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true, Version: daypass.Version,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		what, _, _ := strings.Cut(err.Error(), " flag: strconv.") // Go's own words follow
		return usageProblem(c, what)
	})
	root.AddGroup(&cobra.Group{ID: "first", Title: "Every day:"}, &cobra.Group{ID: "more", Title: "More:"})
	all := append(a.everyDay(), a.more()...)
	named, whole := "", words == nil
	if i := slices.IndexFunc(words, func(w string) bool { return !strings.HasPrefix(w, "-") }); i >= 0 {
		named = words[i]
		// Help, completion, old names and mistakes look at all of them.
		whole = whole || !slices.ContainsFunc(append(all, a.hidden()...), func(l listed) bool { return l.name == named })
	}
	for i, l := range all {
		c := &cobra.Command{Use: l.name, Short: l.short, Run: func(*cobra.Command, []string) {}}
		if whole || l.name == named {
			c = l.make()
		}
		c.GroupID = "more"
		if i < len(a.everyDay()) {
			c.GroupID = "first"
		}
		root.AddCommand(c)
	}
	var hidden []*cobra.Command
	for _, l := range a.hidden() {
		if whole || l.name == named {
			hidden = append(hidden, l.make())
		}
	}
	if whole {
		hidden = append(hidden, a.oldTokenCommands()...)
	}
	for _, c := range hidden {
		c.GroupID = "more"
		root.AddCommand(c)
	}
	root.SetCompletionCommandGroupID("more")
	cobra.EnableCommandSorting = false
	root.SetHelpCommandGroupID("more")
	return root
}

func usageProblem(c *cobra.Command, why string) error {
	return &daypass.Problem{
		Code: "DP-001", What: printable(why), Next: `See "` + c.CommandPath() + ` --help".`, Kind: daypass.ErrUsage,
	}
}

// atMost refuses surplus arguments as a usage error.
func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n && c.HasSubCommands() { // not shown: it may be a pass that was pasted
			return usageProblem(c, "there is no such command")
		}
		if len(args) > n {
			return usageProblem(c, "too many arguments")
		}
		return nil
	}
}

// openWallet opens this machine's store.
func (a *app) openWallet() (*wallet.Wallet, error) {
	w, err := wallet.Open(wallet.Options{Getenv: a.getenv, UID: a.uid, Now: a.now})
	if err != nil {
		return nil, walletProblem(err)
	}
	return w, nil
}

// presenting is the authority that this process has: its login, or the pass or
// hub token in its environment.
func (a *app) presenting() (wallet.Authority, error) {
	auth, err := wallet.Presenting(a.getenv)
	if err != nil {
		return "", walletProblem(err)
	}
	hub := a.getenv("JUPYTERHUB_API_TOKEN")
	if auth != wallet.Login || hub == "" {
		return auth, nil
	}
	// The hub said nothing of an access service; the admin's file may.
	cfg, err := a.loadConfig()
	if err != nil {
		return "", err
	}
	if cfg.admin.Broker == "" {
		return auth, nil
	}
	return wallet.PresentedBy(cfg.admin.Broker, hub), nil
}

// servedAs is the authority under which what the access service gives is kept:
// presenting's, but where a login keeps a pass of the service, that pass's.
func (a *app) servedAs(auth wallet.Authority) wallet.Authority {
	if auth != wallet.Login || a.getenv("JUPYTERHUB_API_TOKEN") != "" {
		return auth
	}
	cfg, err := a.loadConfig()
	if err != nil || a.serviceURL(cfg) == "" {
		return auth
	}
	if kept := a.keptService(cfg); !kept.IsZero() {
		return wallet.PresentedBy(a.serviceURL(cfg), kept.Reveal())
	}
	return auth
}

// client returns a client of the host; clientID may be empty where no login is made.
func (a *app) client(h github.Host, clientID string) *github.Client {
	return github.New(h, clientID, a.transport, a.now)
}

// hostNamed is the host that an argument or a flag names, else the configured one.
func (a *app) hostNamed(cfg config, name string) (github.Host, error) {
	if name == "" {
		return cfg.host, nil
	}
	return github.ParseHost(name)
}

// ownDir is the directory of the running program, links resolved.
func ownDir() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	exe, err = filepath.EvalSymlinks(exe)
	return filepath.Dir(exe), err
}

// environment returns the environment without the named variables.
func environment(environ []string, without ...string) []string {
	var out []string
next:
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		for _, w := range without {
			if name == w {
				continue next
			}
		}
		out = append(out, kv)
	}
	return out
}
