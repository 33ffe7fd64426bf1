package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass/fake"
)

const demoHelp = `Show daypass at work, in a world that lives on this machine only: a stand-in for
GitHub on a loopback address, a home folder that is thrown away, the real programs
and the real git. Nothing leaves the machine and nothing of yours is touched.

  daypass demo login            log in, clone, commit, push, be refused, log out
  daypass demo login --serve    leave that world up and try it by hand
  daypass demo hub              a hub's access service: connect once, push from every
                                server, keep nothing there; what its admin sees and stops
  daypass demo hub --serve      leave that hub up: click through its pages, type in its servers
  daypass demo job              a pass for a night job: one repository, to read, for two hours
  daypass demo index            a pass for a release: one project of a package index, for an hour
  daypass demo pull             course content: pulled, worked in, pulled again, undone
  daypass demo pull --serve     leave that world up: click a course's link in a browser`

func (s *app) demoCommand() *cobra.Command {
	demo := &cobra.Command{
		Use: "demo [login|hub|job|index|pull]", Short: "See it work on a GitHub that runs on this machine only", Long: demoHelp,
		Args: none, RunE: func(c *cobra.Command, _ []string) error { return s.demoLogin(c.Context(), false) },
	}
	var serve bool
	login := &cobra.Command{
		Use: "login", Short: "Log in, clone, commit, push, be refused, log out", Long: demoHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.demoLogin(c.Context(), serve) },
	}
	login.Flags().BoolVar(&serve, "serve", false, "leave the world up and say how to try it by hand")
	demo.AddCommand(login, s.demoHubCommand(), s.demoIndexCommand(), s.demoJobCommand(), s.demoPullCommand())
	return demo
}

// demoTime bounds the whole demo, and each step is bounded by it too.
const demoTime = 60 * time.Second

// A demo is one run: the world, the home folder, the programs.
type demo struct {
	out   io.Writer
	world *fake.World
	dir   string // thrown away at the end
	mem   string // the wallet's place, in memory where the machine has any
	bin   string // the folder of our programs
	git   string
	zone  string // TZ
	env   []string
}

func (s *app) demoLogin(ctx context.Context, serve bool) error {
	d, err := s.newDemo()
	if err != nil {
		return err
	}
	defer d.close()
	if serve {
		return d.serve(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	if err := d.journey(ctx); err != nil {
		return fmt.Errorf("the demo stopped: %w", err)
	}
	return nil
}

func (s *app) newDemo() (*demo, error) { return s.newDemoOf(nil) }

// newDemoOf is a demo on a GitHub that starts from a seed; nil is the usual one.
func (s *app) newDemoOf(seed *fake.Seed) (*demo, error) {
	bin, err := s.own()
	if err != nil {
		return nil, err
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, errors.New("the demo needs git; install it and try again")
	}
	dir, err := os.MkdirTemp("", "daypass-demo-")
	if err != nil {
		return nil, err
	}
	d := &demo{out: s.stdout, dir: dir, bin: bin, git: git, zone: s.getenv("TZ")}
	if d.mem, err = os.MkdirTemp("/dev/shm", "daypass-demo-"); err != nil {
		d.mem = filepath.Join(dir, "wallet")
	}
	for _, sub := range []string{"home", "world", "wallet"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			d.close()
			return nil, err
		}
	}
	d.world, err = fake.NewWorld(fake.WorldConfig{
		Dir: filepath.Join(dir, "world"), Git: git, Seed: seed,
		Switches: fake.Switches{Interval: 1, RevokeEndpoint: true},
	})
	if err != nil {
		d.close()
		return nil, err
	}
	d.env = d.environment()
	return d, nil
}

// environment is all that the demo's programs see: nothing of the caller's but
// the way to git and the time zone.
func (d *demo) environment() []string {
	home := filepath.Join(d.dir, "home")
	return []string{
		"PATH=" + d.bin + string(os.PathListSeparator) + filepath.Dir(d.git) + string(os.PathListSeparator) + "/usr/bin:/bin",
		"HOME=" + home, "USER=" + fake.CampusUser, "TZ=" + d.zone, "LANG=C.UTF-8",
		"DAYPASS_RUNTIME_DIR=" + d.mem,
		"DAYPASS_CLIENT_ID=" + fake.CampusApp, "DAYPASS_APP_URL=" + d.world.URL + "/apps/hub-push",
		"GITHUB_URL=" + d.world.URL,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "NO_PROXY=127.0.0.1", "DAYPASS_PLAIN=1",
	}
}

func (d *demo) close() {
	if d.world != nil {
		d.world.Close()
	}
	os.RemoveAll(d.dir)
	os.RemoveAll(d.mem)
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// journey is the story. Each step checks what it claims.
func (d *demo) journey(ctx context.Context) error {
	began := time.Now()
	data := d.world.URL + "/river-lab/data.git"
	paper := d.world.URL + "/river-lab/paper.git"
	d.say("A stand-in for GitHub runs at %s, on this machine only.", d.world.URL)
	d.say("The person is %s; the App \"hub-push\" is installed on river-lab/data, not on river-lab/paper.", fake.CampusUser)

	d.say("\n1. Log in, as on a computer that others administer\n")
	if err := d.login(ctx); err != nil {
		return err
	}
	d.say("\n2. Clone a private repository, commit, push: git asks daypass\n")
	work := filepath.Join(d.dir, "home", "data")
	if err := inOrder(
		d.step(ctx, want{}, "", "git", "clone", "--quiet", data, work),
		d.change(filepath.Join(work, "gauges.csv")),
		d.step(ctx, want{}, work, "git", "commit", "--quiet", "--all", "--message", "Add today's level"),
		d.step(ctx, want{text: "main"}, work, "git", "push"),
	); err != nil {
		return err
	}
	d.say("\n3. A repository that the App is not installed on: refused, and daypass says why\n")
	if err := inOrder(
		d.step(ctx, want{code: 128, text: "[DP-111]"}, work, "git", "push", paper, "main"),
		d.step(ctx, want{code: 4, text: "[DP-602]"}, work, "daypass", "check", paper),
	); err != nil {
		return err
	}
	d.say("\n4. What this machine holds\n")
	if err := d.step(ctx, want{text: fake.CampusUser}, work, "daypass", "status")(); err != nil {
		return err
	}
	d.say("\n5. Log out: erased here, ended there\n")
	if err := inOrder(
		d.step(ctx, want{text: "ended at the host"}, work, "daypass", "logout"),
		d.change(filepath.Join(work, "gauges.csv")),
		d.step(ctx, want{}, work, "git", "commit", "--quiet", "--all", "--message", "Add tomorrow's level"),
		d.step(ctx, want{code: 128, text: "daypass login"}, work, "git", "push"),
	); err != nil {
		return err
	}
	if n := len(d.world.Local.LiveTokens()); n != 0 {
		return fmt.Errorf("%d tokens are still alive at the stand-in", n)
	}
	d.say("\nAll of it went as it should, in %.1f s; no token is left alive. Try it yourself: daypass demo login --serve", time.Since(began).Seconds())
	return nil
}

// inOrder runs steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) change(file string) func() error {
	return func() error {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(f, "3,2.52")
		return errors.Join(err, f.Close())
	}
}

// want is what a step must end with.
type want struct {
	code int
	text string // somewhere in what it prints
}

// step runs one command, shows it with its output, and holds it to want.
func (d *demo) step(ctx context.Context, w want, dir, name string, args ...string) func() error {
	return func() error {
		return d.run(d.command(ctx, dir, name, args...), w, "   $ "+d.shown(name, args), nil)
	}
}

// run shows a line and what the command says, holds it to want, and keeps the
// output where somebody wants it.
func (d *demo) run(cmd *exec.Cmd, w want, line string, keep *string) error {
	d.say("%s", line)
	var all bytes.Buffer
	out := io.MultiWriter(&all, &indenter{w: d.out, at: true})
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	if keep != nil {
		*keep = all.String()
	}
	return d.judge(err, w, all.String(), filepath.Base(cmd.Path))
}

func (d *demo) judge(err error, w want, text, name string) error {
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	if code != w.code {
		return fmt.Errorf("%s ended with status %d, not %d", name, code, w.code)
	}
	if !strings.Contains(text, w.text) {
		return fmt.Errorf("%s did not say %q", name, w.text)
	}
	return nil
}

func (d *demo) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	if dir == "" {
		dir = filepath.Join(d.dir, "home")
	}
	return d.commandIn(ctx, d.env, dir, name, args...)
}

func (d *demo) commandIn(ctx context.Context, env []string, dir, name string, args ...string) *exec.Cmd {
	path := d.git
	if name != "git" {
		path = filepath.Join(d.bin, name)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func (d *demo) shown(name string, args []string) string {
	line := name
	for _, a := range args {
		if strings.ContainsAny(a, " '") {
			a = `"` + a + `"`
		}
		line += " " + a
	}
	return strings.ReplaceAll(line, filepath.Join(d.dir, "home"), "~")
}

var codeLine = regexp.MustCompile(`^\s+([A-Z0-9]{4}-[A-Z0-9]{4})\s*$`)

// login runs the device flow; the demo plays the person at the browser.
func (d *demo) login(ctx context.Context) error {
	cmd := d.command(ctx, "", "daypass", "login")
	d.say("   $ daypass login")
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return err
	}
	var text strings.Builder
	var approved error
	var read sync.WaitGroup
	read.Go(func() {
		lines := bufio.NewScanner(r)
		show := &indenter{w: d.out, at: true}
		for lines.Scan() {
			fmt.Fprintln(show, lines.Text())
			fmt.Fprintln(&text, lines.Text())
			if m := codeLine.FindStringSubmatch(lines.Text()); m != nil {
				approved = d.approve(ctx, m[1])
			}
		}
	})
	err := cmd.Wait()
	w.Close()
	read.Wait()
	if approved != nil {
		return fmt.Errorf("approve the code: %w", approved)
	}
	return d.judge(err, want{text: "river-lab"}, text.String(), "daypass login")
}

// approve does what the person does in a browser: type the code on the page,
// press Continue, press Authorize.
func (d *demo) approve(ctx context.Context, code string) error {
	browser := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	defer browser.CloseIdleConnections()
	form := url.Values{"user_code": {code}, "login": {fake.CampusUser}}
	for _, path := range []string{"/login/device", "/login/device/authorize"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.world.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := browser.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", path, res.Status)
		}
		form.Set("action", "authorize")
	}
	d.say("     (in a browser, %s types %s on the page and presses Authorize)", fake.CampusUser, code)
	return nil
}

// exports is a shell script that puts a shell into an environment, and goes home.
func exports(env []string) []byte {
	var b strings.Builder
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if name == "DAYPASS_PLAIN" || name == "TZ" || name == "LANG" {
			continue
		}
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	b.WriteString("cd \"$HOME\"\n")
	return []byte(b.String())
}

// serve leaves the world up for somebody to try.
func (d *demo) serve(ctx context.Context) error {
	file := filepath.Join(d.dir, "demo.sh")
	if err := os.WriteFile(file, exports(d.env), 0o600); err != nil {
		return err
	}
	d.say("A stand-in for GitHub runs at %s, on this machine only, until you press Ctrl-C.", d.world.URL)
	d.say("")
	d.say("In another terminal:")
	d.say("")
	d.say("   . %s        (a home folder of its own, thrown away at the end)", file)
	d.say("   daypass login                     then open the page it names, in a browser on this machine")
	d.say("   git clone %s/river-lab/data.git", d.world.URL)
	d.say("   cd data; echo 3,2.52 >> gauges.csv; git commit -am 'Add a level'; git push")
	d.say("   git push %s/river-lab/paper.git main", d.world.URL)
	d.say("   daypass check; daypass status; daypass repos; daypass doctor; daypass logout")
	d.say("")
	d.say("The person is %s; the App is installed on river-lab/data and %s/notes.", fake.CampusUser, fake.CampusUser)
	d.say("Install it elsewhere: %s/apps/hub-push/installations/new", d.world.URL)
	<-ctx.Done()
	d.say("\nGone.")
	return nil
}

// An indenter sets what a command prints apart from the story.
type indenter struct {
	w  io.Writer
	at bool // at the start of a line
}

func (i *indenter) Write(p []byte) (int, error) {
	for _, line := range bytes.SplitAfter(p, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		if i.at {
			if _, err := io.WriteString(i.w, "     "); err != nil {
				return 0, err
			}
		}
		if _, err := i.w.Write(line); err != nil {
			return 0, err
		}
		i.at = line[len(line)-1] == '\n'
	}
	return len(p), nil
}
