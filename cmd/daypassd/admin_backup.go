package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

const backupHelp = `Write everything that the store keeps into a new file that only you can read, while the service runs. Either kind of
database can take it back.

Tokens in it stay sealed, and the keys are not in it: keep a copy of them too, in another place.`

func (s *app) backupCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "backup FILE", Short: "Write a backup, while the service runs", Long: backupHelp, Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return s.backup(c.Context(), config, args[0]) },
	}
	configFlag(c, &config)
	return c
}

func (s *app) backup(ctx context.Context, config, path string) (err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	refuse := func(why, next string, err error) error {
		return &daypass.Problem{Code: "DP-954", What: "no backup was written to " + path, Why: why, Next: next, Err: err}
	}
	if store.KeysApart(path, d.config.Store) != nil { // the same question: is it in the store's folder?
		return refuse("that is the store's own folder, and what takes that away takes the backup with it", "Name a file on another disk or machine.", nil)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return refuse("there is a file of that name", "Name a new file.", err)
	case err != nil:
		return refuse(plainError(err), "Name a file in a folder that the service's user may write in.", err)
	}
	err = d.db.Export(ctx, f)
	var size int64
	if st, serr := f.Stat(); serr == nil {
		size = st.Size()
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(refuse(plainError(err), "Look at the disk's free space and at the store, and try again.", err), os.Remove(path))
	}
	s.say("Wrote %s to %s, readable by %s alone.\n", bytesText(size), path, userName(os.Geteuid()))
	s.say("The keys are not in it. They come from %s: keep a copy of them as well, in another place.", d.config.Keys)
	s.say("With both, everything opens; with one, nothing does.")
	s.say("To take it back: daypass admin restore %s", path)
	return nil
}

func bytesText(n int64) string {
	if n >= 10<<20 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt((n+1023)>>10, 10) + " KiB"
}

const restoreHelp = `Take a backup back into an empty store: name a new file or an empty database under "store" first, with the key file
that belongs to the backup, and stop the service.

A restore begins a new epoch: what was given out before is dead. It says what that means.`

func (s *app) restoreCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "restore FILE", Short: "Take a backup back into an empty store", Long: restoreHelp, Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return s.restore(c.Context(), config, args[0]) },
	}
	configFlag(c, &config)
	return c
}

func (s *app) restore(ctx context.Context, config, path string) (err error) {
	refuse := func(why, next string, err error) error {
		return &daypass.Problem{Code: "DP-955", What: "nothing was restored", Why: why, Next: next, Err: err}
	}
	c, err := s.adminConfig(config)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return refuse(path+": "+plainError(err), "Name the backup's file.", err)
	}
	defer f.Close()
	if at, yes := somebodyListens(ctx, c); yes {
		return refuse("the service runs, at "+at, "Stop it first: it would go on with what it knows of the store before.", nil)
	}
	d, err := s.deskOf(ctx, c)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	done, err := d.db.Import(ctx, f)
	if err != nil {
		return err
	}
	s.tellRestored(path, done, c.Heads.File)
	return nil
}

func (s *app) tellRestored(path string, done store.Imported, heads string) {
	s.say("Restored %s: %s, %s, %s. This is epoch %d.\n", path, people(done.People),
		plural(done.Connections, "connection"), plural(done.Events, "event"), done.Epoch)
	s.say("Dead now:")
	s.say("  - every session of the pages: people sign in once more")
	s.say("  - every token that servers had when the backup was made (%d): they are revoked at the hosts when the service starts", done.Children)
	s.say("  - consents that were under way")
	if done.PassesEnded > 0 {
		s.say("  - the passes for git and content (%d): people make new ones", done.PassesEnded)
	}
	s.say("What happens next:")
	s.say("  - Start the service. Each connection is tried once when it is first used, two a second at most.")
	s.say("    One that was renewed after the backup cannot go on: that person is asked to connect again, once.")
	s.say("  - What happened after the backup is not in this store: neither in the record nor in its effect. Whoever was cut")
	s.say("    off since then is not cut off any more: daypass admin user revoke NAME. The same goes for what people")
	s.say("    disconnected; the hosts know that, and connections that they ended do not come back.")
	if done.Passes > 0 {
		s.say("  - The tokens of the package index are as they were when the backup was made (%d are good). One that was ended since is", done.Passes)
		s.say("    good again, and uses that were counted since count anew: daypass admin passes list, and end.")
	}
	if done.Links > 0 {
		s.say("  - Links to content (%d), and what is enrolled, are as they were when the backup was made. One that was ended or paused", done.Links)
		s.say("    since is good again: daypass admin links list, and end; daypass admin sources unenrol.")
	}
	s.say("  - Keep the store that was there before, if there is one: its record of events shows what is missing here.")
	if heads != "" {
		s.say("  - Move %s aside, and keep it: its heads know events that are not here, which", heads)
		s.say("    \"daypass admin events verify\" would report as cut off.")
	}
}

func people(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return strconv.FormatInt(n, 10) + " people"
}

// addresses are where the service of a configuration answers.
func (c *serverConfig) addresses() []string {
	var out []string
	if !c.hubless {
		out = append(out, c.Listen)
	}
	if c.Gateway != nil {
		out = append(out, c.Gateway.Listen)
	}
	return out
}

// somebodyListens reports whether something answers where the service would, and
// at which address. A socket that systemd holds answers always, and says nothing.
func somebodyListens(ctx context.Context, c *serverConfig) (string, bool) {
	for _, addr := range c.addresses() {
		if listens(ctx, addr) {
			return addr, true
		}
	}
	return "", false
}

func listens(ctx context.Context, addr string) bool {
	if addr == "systemd" {
		return false
	}
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// serviceRuns reports whether a service may be using this store: one answers
// here, or it cannot be known, as with PostgreSQL, which others can reach.
func (d *desk) serviceRuns(ctx context.Context) bool {
	_, yes := somebodyListens(ctx, d.config)
	return yes || !strings.HasPrefix(d.config.Store, "sqlite:") || slices.Contains(d.config.addresses(), "systemd")
}
