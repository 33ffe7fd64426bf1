// Command daypass gives its user short-lived, narrow access to git hosts. This
// file only wires: what the commands do is in one file each.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/daypass-dev/daypass/client"
	"github.com/daypass-dev/daypass/provider/github"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	a := &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, environ: os.Environ, now: time.Now, uid: os.Geteuid(),
		transport: github.NewTransport(), direct: client.NewTransport(), etcConfig: "/etc/daypass/config.yaml",
		terminal: term.IsTerminal(int(os.Stderr.Fd())), width: columns,
		readable: term.IsTerminal(int(os.Stdin.Fd())), shown: term.IsTerminal(int(os.Stdout.Fd())),
	}
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once what the first waits for
	code := a.run(ctx, os.Args)
	stop()
	os.Exit(code)
}

// columns is how wide the terminal is that messages go to.
func columns() int {
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || width < 1 {
		return 80
	}
	return width
}
