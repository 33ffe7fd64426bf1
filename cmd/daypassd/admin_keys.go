package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/store"
)

const keysInitHelp = `Make the keys that seal tokens in the store and that chain its record of events, in a new file that only you can read.

Keep the file apart from the store and its backups: with both, everything opens; with one, nothing does.`

func (s *app) keysInitCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "init FILE", Short: "Make the keys, in a new file", Long: keysInitHelp, Args: exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error { return s.keysInit(config, args[0]) },
	}
	configFlag(c, &config)
	return c
}

func (s *app) keysInit(config, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if where := storeNamedIn(config); where != "" {
		if err := store.KeysApart(path, where); err != nil {
			return err
		}
	}
	refuse := func(why, next string) error {
		return &daypass.Problem{Code: "DP-951", What: "no keys were made at " + path, Why: why, Next: next}
	}
	dir, err := os.Stat(filepath.Dir(path))
	switch {
	case err != nil:
		return refuse("its folder cannot be looked at: "+plainError(err), "Make the folder first, with mode 0700, for the service's user.")
	case dir.Mode().Perm()&0o022 != 0:
		return refuse("others can write in "+filepath.Dir(path)+", and could put other keys there", "Use a folder of the service's user with mode 0700.")
	}
	keys, err := store.NewKeys(rand.Reader)
	if err != nil {
		return err
	}
	text, err := keys.Marshal()
	if err != nil {
		return err
	}
	switch err := writeNew(path, text); {
	case errors.Is(err, fs.ErrExist):
		return refuse("there is a file of that name, and keys that are overwritten are lost with all they sealed", "Name a new file.")
	case err != nil:
		return refuse(plainError(err), "Make it as a user who may write there.")
	}
	s.say("Made new keys, readable by %s alone: %s\n", userName(os.Geteuid()), path)
	s.say("Name them in the service's configuration:\n\n  keys: file:%s\n", path)
	if os.Geteuid() == 0 {
		s.say("Where the service does not run as root, give them to its user: chown SERVICE-USER %s\n", path)
	}
	s.say("Keep a copy in a safe place, apart from the backups of the store. Nobody can make these keys again, and")
	s.say("without them a store or a backup opens for nobody.")
	return nil
}

// storeNamedIn finds where the store is in a configuration that may not be
// whole yet; "" where it does not say.
func storeNamedIn(config string) string {
	text, err := os.ReadFile(config)
	if err != nil {
		return ""
	}
	var c struct {
		Store string `yaml:"store"`
	}
	if yaml.Unmarshal(text, &c) != nil {
		return ""
	}
	return c.Store
}

// writeNew writes a file of mode 0600 that was not there before, durably.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// plainError is an error without the path that is said beside it.
func plainError(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

const keysRotateHelp = `Make new keys the ones that seal, and seal everything in the store anew, while the service runs: it takes over the
new keys by itself, within a second.

Keys that nothing needs any more are taken out of the file. Where a service runs, the sealing key that was the
primary one until now stays in the file until the next rotation, since the service may have sealed something with it
just now. Chain keys stay as long as there are events that they chain. It can be interrupted and run again.`

func (s *app) keysRotateCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use: "rotate", Short: "Make new keys and seal everything anew, while the service runs", Long: keysRotateHelp, Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return s.keysRotate(c.Context(), config) },
	}
	configFlag(c, &config)
	return c
}

func (s *app) keysRotate(ctx context.Context, config string) (err error) {
	c, err := s.adminConfig(config)
	if err != nil {
		return err
	}
	path, isFile := strings.CutPrefix(c.Keys, "file:")
	if !isFile {
		return &daypass.Problem{
			Code: "DP-953", What: "these keys cannot be replaced from here", Why: `they come from ` + c.Keys + `, which daypass only reads`,
			Next: `Write them to a file, name it under "keys", rotate, put the file's new text where the keys come from, and set "keys" back. Then start the service again.`,
			Kind: daypass.ErrUsage,
		}
	}
	unlock, err := lockKeys(path)
	if err != nil {
		return err
	}
	defer unlock()
	d, err := s.deskOf(ctx, c)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	return d.rotate(ctx, path)
}

// lockKeys keeps two rotations apart, and sees that the file can be replaced
// before anything begins.
func lockKeys(path string) (unlock func(), err error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, replaceProblem(path, err)
	}
	folder := filepath.Dir(real)
	if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
		return nil, replaceProblem(path, fmt.Errorf("you may not write in %s: %w", folder, err))
	}
	dir, err := os.Open(folder)
	if err != nil {
		return nil, replaceProblem(path, err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		return nil, replaceProblem(path, errors.New("another rotation is under way"))
	}
	return func() { dir.Close() }, nil
}

func replaceProblem(path string, err error) error {
	return &daypass.Problem{
		Code: "DP-952", What: "the key file " + path + " cannot be replaced", Why: err.Error(),
		Next: "It has to lie in a folder that the service's user may write in, such as one of its own with mode 0700: the new file is made beside it and takes its place at once. Nothing was changed.",
		Err:  err,
	}
}

// replaceKeys puts keys in the place of a file, all at once, for the same owner.
func replaceKeys(path string, keys *store.Keys) error {
	text, err := keys.Marshal()
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return replaceProblem(path, err)
	}
	old, err := os.Stat(real)
	if err != nil {
		return replaceProblem(path, err)
	}
	f, err := renameio.NewPendingFile(real, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return replaceProblem(path, err)
	}
	defer f.Cleanup()
	if sys, ok := old.Sys().(*syscall.Stat_t); ok {
		// Where the owner cannot be kept, the file is ours and for us alone.
		if err := f.Chown(int(sys.Uid), int(sys.Gid)); err == nil {
			if err := f.Chmod(old.Mode().Perm()); err != nil {
				return replaceProblem(path, err)
			}
		}
	}
	if _, err := f.Write(text); err != nil {
		return replaceProblem(path, err)
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return replaceProblem(path, err)
	}
	return nil
}

// settleTime is how long running services get to take over new keys; they look
// every 400 ms.
const settleTime = 1500 * time.Millisecond

func (d *desk) rotate(ctx context.Context, path string) error {
	s := d.app
	old, err := s.keys(d.config)
	if err != nil {
		return keysProblem(err)
	}
	next, err := old.Rotate(rand.Reader)
	if err != nil {
		return err
	}
	if err := d.takeKeys(ctx, path, next, "new primary keys "+strings.Join(next.IDs()[:2], " and ")); err != nil {
		return err
	}
	s.say("New keys are in %s: %s seals, %s chains.", path, next.IDs()[0], next.IDs()[1])
	running := d.serviceRuns(ctx)
	if running {
		s.say("The running service takes them over …")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settleTime):
		}
	}
	if err := d.rewrap(ctx); err != nil {
		return err
	}
	return d.prune(ctx, path, next, old.IDs()[0], running)
}

// takeKeys writes keys, uses them here, and tells the other processes.
func (d *desk) takeKeys(ctx context.Context, path string, keys *store.Keys, why string) error {
	if err := replaceKeys(path, keys); err != nil {
		return err
	}
	if err := d.db.Reload(); err != nil {
		return err
	}
	return d.db.Write(ctx, func(tx *store.Tx) error {
		tx.Change(store.Change{Kind: "keys"})
		tx.Record(store.Event{Kind: store.KeysChanged, Hub: d.config.Hub.ID, Outcome: store.OK, Why: why + ", by " + d.app.whoRuns()})
		return nil
	})
}

func (d *desk) rewrap(ctx context.Context) error {
	total, last := 0, time.Time{}
	err := d.db.Rewrap(ctx, func(done, left int) {
		total = done
		if now := d.now(); now.Sub(last) >= time.Second && left > 0 {
			last = now
			d.app.say("  sealed anew: %d, left: %d", done, left)
		}
	})
	if err != nil {
		return err
	}
	d.app.say("%s sealed anew.", entries(total))
	return nil
}

func entries(n int) string {
	if n == 1 {
		return "1 entry was"
	}
	return strconv.Itoa(n) + " entries were"
}

// prune takes out what nothing needs. A running service may still seal with the
// key that was the primary one a moment ago, so that one stays once more.
func (d *desk) prune(ctx context.Context, path string, keys *store.Keys, retired string, running bool) error {
	use, err := d.db.KeyUse(ctx)
	if err != nil {
		return err
	}
	left := use[retired]
	if running {
		use[retired]++
	}
	kept, dropped, err := keys.Prune(use)
	if err != nil {
		return err
	}
	if len(dropped) > 0 {
		if err := d.takeKeys(ctx, path, kept, "keys taken out: "+strings.Join(dropped, ", ")); err != nil {
			return err
		}
		d.app.say("Taken out of the file, since nothing needs them: %s.", strings.Join(dropped, ", "))
	}
	if running {
		d.app.say("Key %s stays in the file until the next rotation: the running service may have used it just now.", retired)
	}
	if left > 0 {
		d.app.say("%s since; the next rotation seals them anew.", sealedWith(left, retired))
	}
	d.app.say("\nCopy the key file to where you keep it safe, apart from the store. Backups made before need the old copy.")
	return nil
}

func sealedWith(n int64, key string) string {
	if n == 1 {
		return "1 entry was sealed with key " + key
	}
	return strconv.FormatInt(n, 10) + " entries were sealed with key " + key
}

func (s *app) keysShowCommand() *cobra.Command {
	var config string
	var asJSON bool
	c := &cobra.Command{
		Use: "show", Short: "List the keys by their ids, and what needs each", Args: none,
		Long: "List the keys by their ids, and how many entries of the store, or chains of events, need each. The keys themselves\nare never shown.",
		RunE: func(c *cobra.Command, _ []string) error { return s.keysShow(c.Context(), config, asJSON) },
	}
	configFlag(c, &config)
	jsonFlag(c, &asJSON, "as a list in JSON")
	return c
}

type keyLine struct {
	ID      string `json:"id"`
	For     string `json:"for"` // "seal" or "chain"
	Primary bool   `json:"primary"`
	Uses    int64  `json:"uses"`
}

func (s *app) keysShow(ctx context.Context, config string, asJSON bool) (err error) {
	d, err := s.desk(ctx, config)
	if err != nil {
		return err
	}
	defer d.leave(&err)
	keys, err := s.keys(d.config)
	if err != nil {
		return keysProblem(err)
	}
	use, err := d.db.KeyUse(ctx)
	if err != nil {
		return err
	}
	var lines []keyLine
	for i, id := range keys.IDs() {
		line := keyLine{ID: id, For: "seal", Primary: i < 2, Uses: use[id]}
		if strings.HasPrefix(id, "chain-") {
			line.For = "chain"
		}
		lines = append(lines, line)
	}
	slices.SortStableFunc(lines, func(a, b keyLine) int { return -strings.Compare(a.For, b.For) })
	if asJSON {
		return s.object(lines)
	}
	rows := [][]string{{"KEY", "FOR", "", "NEEDED BY"}}
	for _, l := range lines {
		row := []string{l.ID, "sealing tokens", "old", plural(l.Uses, "entry")}
		if l.Uses != 1 {
			row[3] = strconv.FormatInt(l.Uses, 10) + " entries"
		}
		if l.For == "chain" {
			row[1], row[3] = "the record of events", plural(l.Uses, "chain")
		}
		if l.Primary {
			row[2] = "in use"
		}
		rows = append(rows, row)
	}
	s.table(rows)
	s.say("\nThey come from %s.", d.config.Keys)
	return nil
}
