package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/devpi"
	"github.com/daypass-dev/daypass/pass"
)

// indexRunTime is how long the pass of one command is good, unless another end
// is asked for.
const indexRunTime = time.Hour

// runIndexOptions are run's flags for a package index.
type runIndexOptions struct {
	at                  indexOptions
	expires             string
	projects            []string
	uploading, readOnly bool
}

func (o *runIndexOptions) flags(c *cobra.Command) {
	o.at.flags(c)
	o.at.pass.flags(c)
	c.Flags().StringVar(&o.expires, "expires", "", "when the pass of the command ends (default: 1h)")
	c.Flags().StringSliceVar(&o.projects, "projects", nil, "only these projects of the package index")
	c.Flags().BoolVar(&o.uploading, "upload-only", false, "only uploading to the package index (default for twine and uv publish)")
	c.Flags().BoolVar(&o.readOnly, "install-only", false, "only installing from the package index (default for everything else)")
}

func (o runIndexOptions) needless() bool {
	return o.at.needless() || o.at.index == "" && (o.expires != "" || o.projects != nil || o.uploading || o.readOnly)
}

// A purpose is what a command is run for at a package index.
type purpose struct {
	allowed  []string // permissions
	uploads  bool
	redirect []string // flags of the tool by which the pass would go elsewhere
}

// purposeOf looks at which tool is run. python -m names it too.
func purposeOf(o runIndexOptions, args []string) purpose {
	tool, rest := filepath.Base(args[0]), args[1:]
	if strings.HasPrefix(tool, "python") && len(rest) > 1 && rest[0] == "-m" {
		tool, rest = rest[1], rest[2:]
	}
	install := purpose{allowed: []string{"pkg_read"}}
	upload := purpose{allowed: []string{"upload"}, uploads: true}
	switch publishing := tool == "uv" && slices.Contains(rest, "publish"); {
	case publishing:
		upload.redirect = []string{"--publish-url", "--index", "--username", "-u", "--password", "-p", "--token", "-t"}
		if slices.ContainsFunc(rest, isFlag("--check-url")) {
			upload.allowed = []string{"pkg_read", "upload"}
		}
	case tool == "twine":
		upload.redirect = []string{"--repository", "-r", "--repository-url", "--username", "-u", "--password", "-p"}
	case o.uploading:
	default:
		return install
	}
	if o.readOnly {
		return install
	}
	return upload
}

// runIndex runs one command with a pass for a package index in its environment:
// narrowed to what the command is for, and good for an hour.
func (a *app) runIndex(c *cobra.Command, o runIndexOptions, args []string) error {
	if o.uploading && o.readOnly {
		return usageProblem(c, "--upload-only and --install-only do not go together")
	}
	what := purposeOf(o, args)
	for _, arg := range args[1:] {
		if slices.ContainsFunc(what.redirect, func(f string) bool { return isFlag(f)(arg) || len(f) == 2 && strings.HasPrefix(arg, f) }) {
			return &daypass.Problem{
				Code: "DP-143", What: "the command has " + printable(first(strings.Split(arg, "=")...)) + ", by which the pass could go to another index",
				Next: "Leave it out: daypass run tells the command which index, and as whom.", Kind: daypass.ErrUsage,
			}
		}
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return &daypass.Problem{Code: "DP-003", What: "the command " + printable(args[0]) + " was not found", Next: "Check its name.", Err: err}
	}
	api, auth, err := a.runPass(c.Context(), o, what)
	if err != nil {
		return err
	}
	return a.runWith(path, args, api, auth)
}

// runPass finds a pass, narrows it, and asks the index whether it is good.
func (a *app) runPass(ctx context.Context, o runIndexOptions, what purpose) (devpi.API, devpi.Auth, error) {
	none := devpi.Auth{}
	n := &narrowing{expires: o.expires}
	if err := a.times(n); err != nil {
		return devpi.API{}, none, err
	}
	if n.limits.Expires.IsZero() {
		n.limits.Expires = a.now().Add(indexRunTime).Truncate(time.Second)
	}
	caller, err := a.reach(ctx, o.at)
	switch {
	case err != nil:
		return caller.api, none, err
	case caller.api.Index == "":
		return caller.api, none, usageText("run", "--index names a whole server; name one index of it, as https://HOST/USER/INDEX/")
	case what.uploads && caller.api.PyPISubmit == "":
		return caller.api, none, &daypass.Problem{
			Code: "DP-144", What: "nothing can be uploaded to " + caller.api.Index, Why: "it mirrors another index",
			Next: "Name an index of yours.", Kind: daypass.ErrUsage,
		}
	}
	p, err := a.indexPass(ctx, caller, o.at, n.limits.Expires)
	if err != nil {
		return caller.api, none, err
	}
	limits := pass.Limits{Allowed: what.allowed, Projects: o.projects, Expires: n.limits.Expires}
	// A plain devpi server counts an index's bases as other indexes, so that
	// nothing inherited could be installed.
	if id, _ := p.Identity(); what.uploads || id.Realm.Kind == pass.Index {
		limits.Indexes = []string{strings.TrimPrefix(strings.TrimSuffix(caller.api.Index, "/"), caller.api.Root)}
	}
	caveats, err := caveatsFor(p, limits)
	if err != nil {
		return caller.api, none, err
	}
	if p, err = p.Narrow(caveats...); err != nil {
		return caller.api, none, passProblem(err)
	}
	user, _, err := tokenOwner(p)
	if err != nil {
		return caller.api, none, err
	}
	auth := devpi.Auth{User: user, Password: p.Text(outForm(p))}
	if rights, _ := p.Effective(); rights.Limited&(pass.KindUses|pass.KindDigest) != 0 {
		return caller.api, auth, nil // asking would take a use, or is not what it is good for
	}
	api, err := a.verifyLogin(ctx, caller, devpi.Login{Root: caller.api.Root, Auth: auth})
	return api, auth, err
}

// indexPass is the pass that is given, in the environment or kept for devpi; else
// one that the index makes, with devpi's session or for a password.
func (a *app) indexPass(ctx context.Context, c indexCaller, o indexOptions, until time.Time) (pass.Pass, error) {
	if o.pass.file != "" || o.pass.token != "" {
		return a.readPass(o.pass)
	}
	if first(a.getenv("DAYPASS_TOKEN"), a.getenv("DAYPASS_TOKEN_FILE")) != "" {
		p, err := a.readPass(passSource{})
		if id, _ := p.Identity(); err != nil || id.Realm.Kind != pass.Hub {
			return p, err // it was given in place of the login, so the login is not used
		}
	}
	if l, ok := c.state.logins.Find(c.api.Root, a.getenv("DEVPI_USER")); ok && pass.LooksLike(l.Password) {
		p, err := pass.Parse(l.Password)
		if rights, _ := p.Effective(); err == nil && a.now().Before(rights.Expires) {
			return p, nil
		}
	}
	m, err := a.manager(ctx, o)
	if err != nil || pass.LooksLike(m.auth.Password) {
		return pass.Pass{}, &daypass.Problem{
			Code: "DP-142", What: "there is no pass here for " + c.api.Index,
			Next: "Run \"daypass login --index " + c.api.Index + "\" first, or name a pass with --file.", Kind: daypass.ErrNoLogin, Err: err,
		}
	}
	text, err := a.createToken(ctx, m, m.auth.User, devpi.Ask{Expires: until})
	if err != nil {
		return pass.Pass{}, err
	}
	return pass.Parse(text)
}

// indexVariables tell the tools which index, and as whom. twine and uv take
// name and pass from variables of their own. pip would take them from
// PIP_INDEX_URL only, and hands that to the pips that it starts as an argument,
// which everybody can read: so it gets a netrc, which uv and others read too.
func indexVariables(api devpi.API, auth devpi.Auth, netrc string) []string {
	out := []string{
		"PIP_INDEX_URL=" + api.SimpleIndex, "NETRC=" + netrc,
		"UV_DEFAULT_INDEX=daypass=" + api.SimpleIndex,
		"UV_INDEX_DAYPASS_USERNAME=" + auth.User, "UV_INDEX_DAYPASS_PASSWORD=" + auth.Password.Reveal(),
	}
	if api.PyPISubmit != "" {
		out = append(out,
			"TWINE_REPOSITORY_URL="+api.PyPISubmit, "TWINE_USERNAME="+auth.User, "TWINE_PASSWORD="+auth.Password.Reveal(), "TWINE_NON_INTERACTIVE=1",
			"UV_PUBLISH_URL="+api.PyPISubmit, "UV_PUBLISH_USERNAME="+auth.User, "UV_PUBLISH_PASSWORD="+auth.Password.Reveal())
	}
	return out
}

// clearedForIndex are the variables that would take the place of those, or that
// say where else a tool is to look.
func clearedForIndex() []string {
	return append(cleared(),
		"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "NETRC", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX",
		"UV_INDEX_DAYPASS_USERNAME", "UV_INDEX_DAYPASS_PASSWORD", "UV_PUBLISH_TOKEN", "UV_PUBLISH_URL", "UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD",
		"UV_PUBLISH_INDEX", "TWINE_REPOSITORY", "TWINE_REPOSITORY_URL", "TWINE_USERNAME", "TWINE_PASSWORD")
}

// runWith starts the command and waits. The netrc is in this process's memory
// and nowhere else, so that it is gone when this process is, whatever ends it.
func (a *app) runWith(path string, args []string, api devpi.API, auth devpi.Auth) error {
	netrc, err := netrcInMemory(api, auth)
	if err != nil {
		return &daypass.Problem{
			Code: "DP-145", What: "this machine has no memory to keep a pass in for the command", Why: printable(err.Error()),
			Next: "Run it on Linux with /proc mounted.", Err: err,
		}
	}
	defer netrc.Close()
	name := "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(int(netrc.Fd()))
	cmd := exec.Command(path)
	cmd.Args = args
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(environment(a.environ(), clearedForIndex()...), indexVariables(api, auth, name)...)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return &daypass.Problem{Code: "DP-003", What: "the command " + printable(args[0]) + " could not be started", Next: "Check that it may be run.", Err: err}
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGINT || !a.readable { // a terminal tells the child itself
				_ = cmd.Process.Signal(s)
			}
		case err := <-done:
			return childStatus(cmd, err)
		}
	}
}

// childStatus ends as the child did, in the way of shells.
func childStatus(cmd *exec.Cmd, err error) error {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return exitStatus(128 + int(ws.Signal()))
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return exitStatus(code)
	}
	return nil
}

// netrcInMemory makes a file without a name. The host stands in it without its
// port: that is how netrc is read.
func netrcInMemory(api devpi.API, auth devpi.Auth) (*os.File, error) {
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(api.Root, "https://"), "http://"), "/")
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	f, err := memoryFile()
	if err != nil {
		return nil, err
	}
	if err = f.Chmod(0o600); err == nil {
		_, err = fmt.Fprintf(f, "machine %s\nlogin %s\npassword %s\n", host, auth.User, auth.Password.Reveal())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
