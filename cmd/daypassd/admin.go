package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

const adminHelp = `For the admins of an access service, and for whoever makes the GitHub App.

The commands open the service's store themselves: they work while the service runs, and while it is down. Run them
as the service's user.`

func (s *app) adminCommand() *cobra.Command {
	admin := &cobra.Command{Use: "admin", Short: "For admins", Long: adminHelp, RunE: s.incomplete}
	group := func(name, short string, below ...*cobra.Command) *cobra.Command {
		c := &cobra.Command{Use: name, Short: short, RunE: s.incomplete}
		c.AddCommand(below...)
		return c
	}
	events := s.eventsCommand()
	events.AddCommand(s.verifyCommand())
	admin.AddCommand(
		group("app", "The GitHub Apps", s.appNewCommand(), s.appCheckCommand(), s.appProbeCommand()),
		s.backupCommand(), s.restoreCommand(), s.checkCommand(), s.devpiImportCommand(), s.devpiKeyCommand(), events,
		group("keys", "The keys that seal what the store keeps", s.keysInitCommand(), s.keysRotateCommand(), s.keysShowCommand()),
		group("links", "Links to content: see them, end one", s.linksEndCommand(), s.linksListCommand()),
		group("passes", "The passes: see them, end one", s.passesEndCommand(), s.passesListCommand()),
		group("policy", "The rules", s.policyCheckCommand(), s.policyExplainCommand(), s.policyTestCommand(), s.unpinCommand()),
		group("sources", "What content is read, and with which accounts", s.sourcesEnrolCommand(), s.sourcesListCommand(), s.sourcesUnenrolCommand()),
		group("user", "One person: see, cut off, let in again", s.userAllowCommand(), s.userRevokeCommand(), s.userShowCommand()),
		s.whyCommand(),
	)
	return admin
}

// incomplete answers a command that only has others below it.
func (s *app) incomplete(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c, "there is no command "+args[0])
	}
	return c.Help()
}

// none refuses arguments.
func none(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(c, "too many arguments")
	}
	return nil
}

// exactly takes one argument, which what names.
func exactly(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usage(c, what+" is missing")
		case len(args) > 1:
			return usage(c, "too many arguments")
		case args[0] == "":
			return usage(c, what+" is empty")
		}
		return nil
	}
}

func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "config", defaultConfig, "the service's configuration")
}

func jsonFlag(c *cobra.Command, asJSON *bool, what string) {
	c.Flags().BoolVar(asJSON, "json", false, what)
}

// A desk is what an admin's command works at: the configuration and the open
// store, and where the command acts for the service, the service put together.
type desk struct {
	*service
	app *app
}

// desk opens the store, which is enough for what only looks.
func (s *app) desk(ctx context.Context, path string) (*desk, error) {
	c, err := s.adminConfig(path)
	if err != nil {
		return nil, err
	}
	return s.deskOf(ctx, c)
}

func (s *app) deskOf(ctx context.Context, c *serverConfig) (*desk, error) {
	keys, err := s.keys(c)
	if err != nil {
		return nil, keysProblem(err)
	}
	svc := &service{config: c, now: time.Now, log: s.logger(c)}
	svc.db, err = store.Open(ctx, store.Config{
		URL: c.Store, Keys: keys, ReloadKeys: func() (*store.Keys, error) { return s.keys(c) }, Log: svc.log,
	})
	if err != nil {
		return nil, startProblem(err)
	}
	return &desk{service: svc, app: s}, nil
}

// wholeDesk puts the whole service together, for what acts at the hosts.
func (s *app) wholeDesk(ctx context.Context, path string) (*desk, error) {
	c, err := s.adminConfig(path)
	if err != nil {
		return nil, err
	}
	if c.hubless {
		return nil, noHub()
	}
	svc, err := s.outside().open(ctx, c, false)
	if err != nil {
		return nil, err
	}
	return &desk{service: svc, app: s}, nil
}

// noHub is the answer to a command about a hub's people where there is only a
// gateway.
func noHub() error {
	return serveProblem("DP-909", "there is no hub here", "this configuration has only a package gateway",
		`"daypass admin passes" and "daypass admin events" are what there is to do; for a hub name its configuration with --config.`)
}

// hubGives is the variable in which a hub gives a service that it starts its
// token: a new one each time, and to no admin's shell.
const hubGives = "JUPYTERHUB_API_TOKEN"

// outside is the same world for commands that do without that token.
func (s *app) outside() *app {
	out := *s
	out.getenv = func(name string) string {
		v := s.getenv(name)
		if v == "" && name == hubGives {
			v = "unknown-outside-of-the-hub"
		}
		return v
	}
	return &out
}

// hubSilent reports whether the hub cannot be asked from here, for want of it.
func (s *app) hubSilent(c *serverConfig) bool {
	return c.Hub.Token == "env:"+hubGives && s.getenv(hubGives) == ""
}

// leave closes the store, and so marks the end of this process's chain: that can
// fail, and a command whose record is not whole has failed.
func (d *desk) leave(err *error) {
	if cerr := d.db.Close(); *err == nil && cerr != nil {
		*err = cerr
	}
}

func keysProblem(err error) error {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return err
	}
	return serveProblem("DP-906", "the store's keys cannot be used", err.Error(), `"daypass admin keys init FILE" makes them; keep the file apart from the store.`)
}

// configAlone reads the configuration, for what needs neither store nor secrets,
// such as trying rules before they are put in force.
func (s *app) configAlone(path string) (*serverConfig, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := ownedByUs(path); err != nil {
		return nil, err
	}
	c, err := s.outside().readConfig(path)
	if err != nil {
		return nil, err
	}
	c.Log = "warn"
	return c, nil
}

// adminConfig reads the configuration, and says who has to run this where it is
// somebody else.
func (s *app) adminConfig(path string) (*serverConfig, error) {
	c, err := s.configAlone(path)
	if err != nil {
		return nil, err
	}
	var files []string
	if keys, ok := strings.CutPrefix(c.Keys, "file:"); ok {
		files = append(files, keys)
	}
	if db, ok := strings.CutPrefix(c.Store, "sqlite:"); ok {
		files = append(files, filepath.Dir(db), db)
	}
	return c, ownedByUs(files...)
}

// ownedByUs refuses to go on where the service's files are another user's. Root
// is refused too: what root leaves beside a SQLite file, the service cannot use.
func ownedByUs(paths ...string) error {
	for _, path := range paths {
		st, err := os.Stat(path)
		if err == nil { // not by opening it: that would drop SQLite's locks, were the store open here
			err = unix.Faccessat(unix.AT_FDCWD, path, unix.R_OK, unix.AT_EACCESS)
		}
		if errors.Is(err, fs.ErrPermission) {
			return wrongUser(path, "may not be read by "+userName(os.Geteuid()), "SERVICE-USER")
		}
		if err != nil {
			continue // whoever reads it says it better
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 && int(sys.Uid) != os.Geteuid() {
			owner := userName(int(sys.Uid))
			return wrongUser(path, "belongs to "+owner+", and you are "+userName(os.Geteuid()), owner)
		}
	}
	return nil
}

func wrongUser(path, why, owner string) error {
	return &daypass.Problem{
		Code: "DP-950", What: "this has to run as the user that \"daypass serve\" runs as", Why: path + " " + why,
		Next: "Run it so: sudo -u " + owner + " daypass admin …", Kind: daypass.ErrUsage,
	}
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return "#" + strconv.Itoa(uid) // sudo -u takes it so
}

// whoRuns is who the record says did something, as this machine knows them.
func (s *app) whoRuns() string {
	name := s.getenv("SUDO_USER")
	if name == "" {
		name = userName(os.Getuid())
	}
	return name + " on the command line"
}

// say writes a line of the result. What comes from outside is made printable.
func (s *app) say(format string, args ...any) {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = shown(v)
		case error:
			args[i] = shown(v.Error())
		}
	}
	fmt.Fprintf(s.stdout, format+"\n", args...)
}

// object writes one JSON value and a line end.
func (s *app) object(v any) error {
	enc := json.NewEncoder(s.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table writes rows below each other, each cell made printable.
func (s *app) table(rows [][]string) {
	w := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = shown(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	w.Flush()
}

// shown makes a text safe to print: no control byte, nothing that turns the
// direction of letters or cannot be seen.
func shown(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case unicode.IsPrint(r) && r != unicode.ReplacementChar && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

const stampLayout = "2006-01-02 15:04:05 MST"

func stamp(t time.Time) string { return t.UTC().Format(stampLayout) }

// ago is a time with how long it is from now, in words.
func ago(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case !t.Before(daypass.Forever):
		return "without an end"
	case t.Sub(now).Abs() < time.Second:
		return stamp(t) + " (now)"
	case t.After(now):
		return stamp(t) + " (in " + length(t.Sub(now)) + ")"
	}
	return stamp(t) + " (" + length(now.Sub(t)) + " ago)"
}

// length is a duration in the one unit that says enough.
func length(d time.Duration) string {
	for _, u := range []struct {
		unit, from time.Duration
		name       string
	}{
		{24 * time.Hour, 48 * time.Hour, "day"}, {time.Hour, 100 * time.Minute, "hour"}, {time.Minute, 100 * time.Second, "minute"},
	} {
		if d >= u.from || d >= u.unit && d%u.unit == 0 {
			return plural(int64(d.Round(u.unit)/u.unit), u.name)
		}
	}
	return plural(int64(d.Round(time.Second)/time.Second), "second")
}

// plural counts things: "1 event", "2 events".
func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}

// moment reads a time as a flag has it: how long ago (90m, 24h, 7d), a day, or a
// full time with its zone.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 MST", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	d, err := duration("--"+flag, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--%s: %q is no time; write how long ago (24h, 7d), a day (2026-11-22) or a time (2026-11-22T14:00:00Z)", flag, text)
	}
	return now.Add(-d), nil
}
