package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/gitconf"
)

// git asks nobody who commits, so somebody has to tell it before the first
// commit: in a server that a hub starts, what "setup --hub" put beside the image's
// start scripts, and the first credential that the access service gives. A file
// that git's system configuration includes from the home would be simpler and is
// no way: without HOME, as in a service, git then refuses to run at all.

// identityTime bounds what a starting server waits for, in the background.
const identityTime = 3 * time.Second

// identityCommand is run by start scripts and login shells.
func (a *app) identityCommand() *cobra.Command {
	var quiet bool
	c := &cobra.Command{
		Use: "identity", Short: "Tell git who commits, from your connection, where git does not know", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), identityTime)
			defer cancel()
			err := a.learnIdentity(ctx)
			if quiet {
				return nil // nobody reads it, and nothing depends on it
			}
			return err
		},
	}
	c.Flags().BoolVar(&quiet, "quiet", false, "say nothing, and fail never")
	return c
}

// learnIdentity asks the access service whose the connection is, unless git
// knows who commits.
func (a *app) learnIdentity(ctx context.Context) error {
	git, err := gitconf.Find(a.getenv)
	if err != nil {
		return err
	}
	for _, key := range []string{"user.name", "user.email"} {
		if v, err := git.Get(ctx, key); err != nil || v != "" {
			return err
		}
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	s, err := a.service(cfg)
	if err != nil || s == nil {
		return err
	}
	me, err := s.Me(ctx)
	if err != nil {
		return err
	}
	for _, h := range me.Hosts { // the default host's account first
		if h.Account != nil && h.Connected && h.Host == cfg.host.Name {
			return a.setIdentity(ctx, first(h.Account.Name, h.Account.Login), h.Account.Email)
		}
	}
	for _, h := range me.Hosts {
		if h.Account != nil && h.Connected {
			return a.setIdentity(ctx, first(h.Account.Name, h.Account.Login), h.Account.Email)
		}
	}
	return nil
}

// keepIdentity tells git who commits, where it does not know. What was told last
// is noted beside the state, so that a push costs no git for it. It is a courtesy:
// where it fails, git asks for a name itself.
func (a *app) keepIdentity(ctx context.Context, name, email string) {
	dir, ok := a.stateDir()
	if !ok || name == "" {
		return
	}
	if have, err := readOwn(filepath.Join(dir, "identity"), a.uid); err == nil && string(have) == name+"\n"+email+"\n" {
		return
	}
	_ = a.setIdentity(ctx, name, email)
}

func (a *app) setIdentity(ctx context.Context, name, email string) error {
	if name == "" || email == "" || printable(name+email) != name+email {
		return nil
	}
	git, err := gitconf.Find(a.getenv)
	if err != nil {
		return err
	}
	if _, err := (gitconf.Setup{Git: git, Now: a.now}).Person(ctx, name, email); err != nil {
		return err
	}
	dir, ok := a.stateDir()
	if !ok || os.MkdirAll(dir, 0o700) != nil {
		return nil // without the note, git is asked again
	}
	return replaceFile(filepath.Join(dir, "identity"), []byte(name+"\n"+email+"\n"))
}

// Start scripts of an image. "setup --hub" writes those whose folder is there:
// for login shells, such as Jupyter's terminals, and for what the Jupyter Docker
// Stacks run before the notebook server ("Startup Hooks" in their documentation).
// The first is for The Littlest JupyterHub too.
const (
	profileScript = "etc/profile.d/daypass.sh"
	startScript   = "usr/local/bin/before-notebook.d/90-daypass.sh"
)

const scriptMark = `# Written by "daypass setup --hub"; "daypass setup --hub --undo" takes it away.`

// startText is the text of both scripts. As root, as the Docker Stacks may run
// them, it acts for the user whom the server is for.
func startText(daypass string) string {
	q := "'" + strings.ReplaceAll(daypass, "'", `'\''`) + "'"
	return scriptMark + `
# It tells git who commits, from the connection at the access service, where git
# does not know: in the background, for 3 seconds at most, without a word.
if [ -n "${JUPYTERHUB_API_TOKEN:-}" ] && [ -x ` + q + ` ]; then
    if [ "$(id -u)" -ne 0 ]; then
        ( ` + q + ` identity --quiet </dev/null >/dev/null 2>&1 & )
    elif [ -n "${NB_USER:-}" ] && [ "${NB_USER}" != root ]; then
        ( sudo --non-interactive --preserve-env --set-home --user "${NB_USER}" ` + q + ` identity --quiet </dev/null >/dev/null 2>&1 & )
    fi
fi
`
}

// startScripts writes the scripts, takes them away, or says what it would do. A
// file of that name that is not ours stays as it is.
func (a *app) startScripts(o setupOptions) error {
	if a.getenv("GIT_CONFIG_SYSTEM") != "" && a.rootDir == "" {
		return nil // not the machine's own configuration, so not its scripts either
	}
	dir, err := ownDir()
	if err != nil {
		return err
	}
	text := startText(filepath.Join(dir, "daypass"))
	for _, name := range []string{profileScript, startScript} {
		if err := a.startScript(filepath.Join("/", a.rootDir, name), text, o); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) startScript(path, text string, o setupOptions) error {
	s := a.screen(false)
	if st, err := os.Stat(filepath.Dir(path)); err != nil || !st.IsDir() {
		return nil
	}
	have, err := os.ReadFile(path)
	present := err == nil
	ours := present && strings.HasPrefix(string(have), scriptMark)
	switch {
	case present && !ours:
		s.say("Note: %s is somebody else's and stays as it is.", path)
	case o.undo && !ours, !o.undo && ours && string(have) == text:
	case o.dryRun && o.undo:
		s.result("Would be taken away: %s", path)
	case o.dryRun:
		s.result("Would be written: %s\n%s", path, lines(indent(text)))
	case o.undo:
		if err := os.Remove(path); err != nil {
			return scriptProblem(path, err)
		}
		s.result("Taken away: %s", path)
	default:
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return scriptProblem(path, err)
		}
		s.result("Written: %s (git learns there who commits).", path)
	}
	return nil
}

func scriptProblem(path string, err error) error {
	return &daypass.Problem{
		Code: "DP-858", What: path + " could not be changed", Why: printable(lastLine(err)),
		Next: "Run it as root, while the image is built.", Err: err,
	}
}
