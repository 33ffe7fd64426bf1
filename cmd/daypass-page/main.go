// Command daypass-page serves the user's page around pulls, behind their Jupyter
// server. "daypass page" starts it, and jupyter-server-proxy starts that:
//
//	daypass page --socket PATH --name git-pull --base-url /user/ada/ --root /home/ada
//	daypass page --port N      --name …        with a secret in DAYPASS_PAGE_SECRET
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/pullpage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if code := status(err); code != 0 {
		fmt.Fprintln(os.Stderr, "daypass page:", err)
		os.Exit(code)
	}
}

// status is what the program ends with: who asked for its help has got it.
func status(err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	return daypass.ExitCode(err)
}

// flags are the command line.
type flags struct {
	socket, name, base, root string
	port                     int
}

func read(args []string) (flags, error) {
	var f flags
	set := flag.NewFlagSet("daypass page", flag.ContinueOnError)
	set.StringVar(&f.socket, "socket", "", "listen on this unix socket")
	set.IntVar(&f.port, "port", 0, "listen on this port of 127.0.0.1")
	set.StringVar(&f.name, "name", pullpage.NameDaypass, "the name below the base under which the proxy serves the page")
	set.StringVar(&f.base, "base-url", "/", "the Jupyter server's base")
	set.StringVar(&f.root, "root", "", "the folder that the Jupyter server shows")
	set.Usage = func() {
		fmt.Fprintln(set.Output(), "daypass page serves the page on which a link's content arrives. Jupyter Server's proxy starts it.")
		set.PrintDefaults()
	}
	if err := set.Parse(args); err != nil {
		return f, fmt.Errorf("%w: %w", daypass.ErrUsage, err)
	}
	if set.NArg() > 0 || (f.socket == "") == (f.port == 0) {
		return f, fmt.Errorf("give --socket or --port, and nothing else: %w", daypass.ErrUsage)
	}
	return f, nil
}

func run(ctx context.Context, args []string) error {
	f, err := read(args)
	if err != nil {
		return err
	}
	settings, err := pullpage.ReadSettings(os.Getenv(pullpage.SettingsVariable))
	if err != nil {
		settings = pullpage.WrongSettings(err) // whoever comes is told
	}
	var secret daypass.Secret
	var l net.Listener
	if f.socket != "" {
		l, err = pullpage.Socket(f.socket)
	} else {
		secret = daypass.NewSecret(os.Getenv(pullpage.SecretVariable))
		l, err = pullpage.Port(ctx, f.port, secret)
	}
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	program := pullpage.Program{Path: settings.Program, Dir: filepath.Join(settings.State, "running"), Environ: pullpage.Drop(os.Environ())}
	known := &pull.Puller{Home: settings.Home, Now: time.Now, Rand: rand.Reader}
	s, err := pullpage.New(ctx, pullpage.Config{
		Settings: settings, Base: f.base, Name: f.name, Root: f.root, Secret: secret,
		Run: program.Pull, Link: program.Link, Where: program.Where, Running: program.Running, State: stateOf(known),
		Backups: program.Backups, Undo: program.Undo, Reset: program.Reset, Restore: program.Restore, Upstream: program.Upstream,
		Now: time.Now, Random: rand.Reader, Log: log,
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		orphaned(ctx, os.Getppid)
		cancel()
	}()
	return pullpage.Serve(ctx, l, s)
}

// orphaned waits until the process that started this one has ended: a Jupyter server
// that was killed ends nothing of its own.
func orphaned(ctx context.Context, parent func() int) {
	first := parent()
	every := time.NewTicker(2 * time.Second)
	defer every.Stop()
	for parent() == first {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// stateOf tells what is known of a folder. Of a clone that was never pulled into,
// such as nbgitpuller's, that is where it comes from.
func stateOf(p *pull.Puller) func(string) (pull.State, bool, error) {
	return func(folder string) (pull.State, bool, error) {
		st, ok, err := p.State(folder)
		if err == nil && !ok {
			st.Source, st.Ref = pull.Origin(folder)
		}
		return st, ok, err
	}
}
