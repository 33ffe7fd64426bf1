package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pull"
	"github.com/daypass-dev/daypass/resolve"
)

const pullHelp = `Bring course content into a folder, from a git repository, a link of your hub, a folder of
Google Drive, a course in Canvas or an archive, or bring a folder up to date. Your own
work stays: where both you and the source changed the same place, yours wins, and
the source's version is kept at hand. Whatever a pull changes or takes away on disk can
be brought back.

  daypass pull https://github.com/ORG/course           into ./course
  daypass pull https://github.com/ORG/course labs      into ./labs
  daypass pull link:ph142-lab1                         what a link of your hub brings
  daypass pull                                         in such a folder, or any clone: bring it up to date

SOURCE is what "git clone" takes, or the address of a page: a branch, a folder, a file,
a pull request, a gist, a record; or a DOI. "daypass resolve SOURCE" says what it means.

  daypass pull --dry-run --diff                        what would change
  daypass pull --include data.csv                      a file that was left out for its size
  daypass pull --undo                                  take the last pull back
  daypass pull --reset lab1.ipynb                      the source's version again
  daypass pull --show-upstream lab1.ipynb              print it, change nothing
  daypass pull --backups                               what was kept, and when
  daypass pull --recover 20260901-101500 lab1.ipynb    a file as it was then

Files are named from the folder you stand in. The manual's page on pulls says what happens in each
situation: https://github.com/daypass-dev/daypass/blob/main/doc/pull.md`

type pullOptions struct {
	branch, path, root string
	depth              int // below 0: not given
	submodules, backup bool
	dryRun, diff       bool
	include            []string

	undo, backups bool
	recover       string // a backup's id
	showBackup    string // the same
	reset         string // a file
	showUpstream  string // the same

	asJSON, plain, quiet bool
	where                bool
	hint                 string // for a pull that is slow
}

func (a *app) pullCommand() *cobra.Command {
	var o pullOptions
	c := &cobra.Command{
		Use: "pull [SOURCE [DIR]]", Short: "Bring course content here, and keep it up to date", Long: pullHelp, Args: pullArgs(&o),
		Annotations: map[string]string{problemLines: "yes"},
		RunE:        func(c *cobra.Command, args []string) error { return a.pull(c, args, o) },
	}
	f := c.Flags()
	f.StringVar(&o.branch, "branch", "", "a branch, a tag or a commit (else: the source's default branch)")
	f.StringVar(&o.branch, "ref", "", "another name for --branch")
	f.StringVar(&o.path, "path", "", "only this folder of the source")
	f.IntVar(&o.depth, "depth", -1, "how many commits of history a first pull brings; 0: all (else: 1)")
	f.BoolVar(&o.submodules, "submodules", false, "bring submodules too")
	f.BoolVar(&o.backup, "backup", false, "set the whole folder aside and start fresh")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would change, change nothing")
	f.BoolVar(&o.diff, "diff", false, "show what would change, line by line; change nothing")
	f.StringArrayVar(&o.include, "include", nil, "bring this too, which was left out for its size: a name, a folder, or a pattern such as '*.csv'")
	f.BoolVar(&o.undo, "undo", false, "take the last pull back; again: the one before")
	f.BoolVar(&o.backups, "backups", false, "list what was kept")
	f.StringVar(&o.recover, "recover", "", "put files of this backup back: --recover ID FILE …")
	f.StringVar(&o.showBackup, "show-backup", "", "print a file of this backup: --show-backup ID FILE")
	f.StringVar(&o.reset, "reset", "", "put the source's version of this file back")
	f.StringVar(&o.showUpstream, "show-upstream", "", "print the source's version of this file")
	f.BoolVar(&o.asJSON, "json", false, "one JSON object a line, for programs: events, then a report or a problem")
	f.BoolVar(&o.plain, "plain", false, "lines instead of a bar that is redrawn")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "say nothing unless it fails")
	f.StringVar(&o.root, "root", "", "the folder must lie strictly below this one (for the page)")
	f.BoolVar(&o.where, "where", false, "say which folder it would go into, and pull nothing (for the page)")
	f.Lookup("depth").DefValue = "0" // so that the help does not show what stands for "not given"
	for _, name := range []string{"ref", "root", "where"} {
		f.Lookup(name).Hidden = true
	}
	return c
}

// pullArgs: SOURCE and DIR; FILE … after a backup's id. One thing at a time.
func pullArgs(o *pullOptions) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if c.Flags().Changed("depth") && o.depth < 0 {
			return usageProblem(c, "--depth is followed by a number of commits, or by 0 for all of them")
		}
		var asked []string
		for _, name := range []string{"undo", "backups", "recover", "show-backup", "reset", "show-upstream", "backup"} {
			flag := c.Flags().Lookup(name)
			if !flag.Changed {
				continue
			}
			if flag.Value.String() == "" {
				return usageProblem(c, "--"+name+" is followed by what it is about, and that is empty here")
			}
			asked = append(asked, "--"+name)
		}
		switch {
		case len(asked) > 1:
			return usageProblem(c, strings.Join(asked, " and ")+" do not go together")
		case o.recover != "" && len(args) > 0:
			return nil
		case o.recover != "":
			return usageProblem(c, "--recover ID is followed by the files to bring back")
		case o.showBackup != "":
			if len(args) != 1 {
				return usageProblem(c, "--show-backup ID is followed by one file")
			}
			return nil
		case o.undo || o.backups || o.reset != "" || o.showUpstream != "":
			return atMost(1)(c, args)
		}
		return atMost(2)(c, args)
	}
}

// problemLines marks a command whose --json ends with {"problem":{…}}.
const problemLines = "problem-lines"

// problemLine tells a failure to people, and as one line to a program.
func (a *app) problemLine(err error) {
	shown := shownProblem{Code: "DP-364", What: printable(err.Error())}
	var p *daypass.Problem
	if errors.As(err, &p) {
		shown = shownProblem{Code: p.Code, What: p.What, Why: p.Why, Next: p.Next, Who: p.Who}
	}
	a.screen(false).problem(err)
	a.screen(true).object(map[string]shownProblem{"problem": shown})
}

type shownProblem struct {
	Code string `json:"code"`
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	Next string `json:"next,omitempty"`
	Who  string `json:"who,omitempty"`
}

func (a *app) pull(c *cobra.Command, args []string, o pullOptions) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	ctx := c.Context()
	p, err := a.puller(ctx, cfg)
	if err != nil {
		return err
	}
	if o.undo || o.backups || o.recover != "" || o.showBackup != "" || o.reset != "" || o.showUpstream != "" {
		return a.pulled(ctx, p, args, o)
	}
	ask, err := a.pullAsk(ctx, p, cfg, args, o)
	if err != nil {
		return err
	}
	if o.where {
		a.screen(true).object(map[string]string{"folder": ask.Folder})
		return nil
	}
	o.hint = a.driveHint(cfg, ask)
	return a.runPull(ctx, p, ask, o)
}

// pullGC lets a pull's memory grow before any of it is collected: most are over by then.
const pullGC = 300

// runPull pulls, shows progress and says what came of it.
func (a *app) runPull(ctx context.Context, p *pull.Puller, ask pull.Ask, o pullOptions) error {
	debug.SetGCPercent(pullGC)
	s := a.screen(o.asJSON)
	s.rich = s.rich && !o.plain
	bar := a.newProgress(s, o.quiet)
	bar.hint = o.hint
	ask.Events = bar.event
	report, err := p.Pull(ctx, ask)
	bar.end()
	if err != nil {
		a.tellFailure(ctx, ask, err)
		return a.access(stopped(ctx, err, ask, bar.phase()), ask.URL)
	}
	if o.asJSON {
		s.object(map[string]pull.Report{"report": report})
		return nil
	}
	if !o.quiet {
		s.pulled(report, a.fromHere(report.Folder))
	}
	return nil
}

// stopped says in which state a pull that was ended left its folder.
func stopped(ctx context.Context, err error, ask pull.Ask, phase pull.Phase) error {
	var p *daypass.Problem
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) || errors.As(err, &p) {
		return err
	}
	out := &daypass.Problem{
		Code: "DP-365", What: "the pull was stopped", Err: err,
		Why: ask.Folder + " is as it was", Next: "Run it again when you like.",
	}
	if _, serr := os.Lstat(ask.Folder); errors.Is(serr, fs.ErrNotExist) {
		out.Why = "no folder was made"
	}
	if phase == pull.Writing {
		out.Why = "some files of " + ask.Folder + " are new and some are not yet; each is whole"
		out.Next = "Run it again: it finishes what was begun. Nothing of yours is lost."
	}
	return out
}

// pullAsk reads what is to be pulled, and where to.
func (a *app) pullAsk(ctx context.Context, p *pull.Puller, cfg config, args []string, o pullOptions) (pull.Ask, error) {
	ask := pull.Ask{
		Ref: o.branch, Path: strings.Trim(o.path, "/"), Root: o.root, Submodules: o.submodules,
		Backup: o.backup, DryRun: o.dryRun || o.diff, Diff: o.diff, Depth: o.depth,
		Include: o.include,
	}
	if ask.Depth < 0 {
		depth, err := a.pullDepth(cfg.pull)
		if err != nil {
			return ask, err
		}
		ask.Depth = depth
	}
	if done, err := a.serviceAsk(ctx, p, cfg, args, &ask); done || err != nil {
		return ask, err
	}
	st, again, err := a.again(p, args)
	switch {
	case err != nil:
		return ask, err
	case again && st.Content:
		s, err := sourceOf(st)
		if err == nil {
			err = a.contentAsk(ctx, p, cfg, s, st, args, outward{}, &ask)
		}
		return ask, err
	case again:
		ask.URL, ask.Folder = st.Source, st.Folder
		ask.Ref, ask.Path = first(ask.Ref, st.Ref), first(ask.Path, st.Path)
		return ask, a.still(cfg.pull, st.Source, o.submodules)
	case len(args) == 0:
		return ask, &daypass.Problem{
			Code: "DP-366", What: "nothing was pulled into this folder yet", Next: "Give the source: daypass pull SOURCE [DIR].", Kind: daypass.ErrUsage,
		}
	}
	return a.freshAsk(ctx, p, cfg, args, o, ask)
}

// freshAsk reads a source that was typed.
func (a *app) freshAsk(ctx context.Context, p *pull.Puller, cfg config, args []string, o pullOptions, ask pull.Ask) (pull.Ask, error) {
	var text string
	if text, ask.Login = pull.SplitLogin(args[0]); ask.Login.IsZero() {
		ask.Login = daypass.NewSecret(a.getenv(pull.LoginVariable)) // from the page
	}
	if !strings.Contains(text, "://") {
		if err := pull.CheckAddress(text); err != nil {
			return ask, err
		}
	}
	t := a.newTrail(cfg, false)
	places, err := t.follow(ctx, text)
	if err != nil {
		return ask, err
	}
	if places[0].Git == nil {
		s := places[0].Source
		if o.branch != "" || o.path != "" {
			s.Ref, s.Path = first(o.branch, s.Ref), first(strings.Trim(o.path, "/"), s.Path)
		}
		var st pull.State
		if len(args) == 1 {
			st = heldHere(p, s)
		}
		return ask, a.contentAsk(ctx, p, cfg, s, st, args, t.outward, &ask)
	}
	p.Git = t.outward.git(p.Git)
	g, err := source(ctx, cfg, p.Git, readingsOf(places), o.branch)
	if err != nil {
		return ask, err
	}
	if err := allowed(cfg.pull, g, o.submodules); err != nil {
		return ask, err
	}
	ask.URL, ask.Ref = g.URL, g.Ref
	folder := g.Path
	if g.File {
		folder = strings.TrimSuffix(path.Dir(g.Path), ".")
	}
	ask.Path = first(ask.Path, folder)
	name := resolve.Name(g.URL)
	if len(args) == 2 {
		name = args[1]
	}
	if name == "" {
		return ask, &daypass.Problem{
			Code: "DP-367", What: "the address gives no name for a folder", Next: "Name one: daypass pull SOURCE DIR.", Kind: daypass.ErrUsage,
		}
	}
	ask.Folder, err = filepath.Abs(name)
	return ask, err
}

// again is the folder that is to be brought up to date, where no source was
// given or the one argument is such a folder.
func (a *app) again(p *pull.Puller, args []string) (pull.State, bool, error) {
	switch {
	case len(args) == 0:
		_, st, ok, err := pulledAbove(p, ".")
		if err == nil && !ok {
			return cloneAbove(p, ".")
		}
		return st, ok, err
	case len(args) == 1 && args[0] != "" && !strings.Contains(args[0], ":"):
		dir, err := filepath.Abs(args[0])
		if err != nil {
			return pull.State{}, false, err
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return pull.State{}, false, nil
		}
		st, ok, err := stateOf(p, dir)
		if here, herr := filepath.Abs("."); err == nil && !ok && herr == nil && filepath.Dir(dir) == here {
			st, ok = cloneAt(p, dir) // as a source it would be pulled into itself
		}
		return st, ok, err
	}
	return pull.State{}, false, nil
}

// cloneAbove is the clone that another tool made, such as nbgitpuller, at dir or above.
func cloneAbove(p *pull.Puller, dir string) (pull.State, bool, error) {
	at, err := filepath.Abs(dir)
	for ; err == nil && at != filepath.Dir(at) && at != p.UserHome; at = filepath.Dir(at) {
		if _, serr := os.Lstat(filepath.Join(at, ".git")); serr == nil {
			st, ok := cloneAt(p, at)
			return st, ok, nil
		}
	}
	return pull.State{}, false, err
}

func cloneAt(p *pull.Puller, dir string) (pull.State, bool) {
	if dir == p.UserHome {
		return pull.State{}, false
	}
	st := pull.State{Folder: dir}
	st.Source, st.Ref = pull.Origin(dir)
	return st, st.Source != ""
}

// stateOf is what is known of a folder; of one that may not be pulled into, such
// as the home, nothing is.
func stateOf(p *pull.Puller, dir string) (pull.State, bool, error) {
	st, ok, err := p.State(dir)
	if errors.Is(err, daypass.ErrRefused) {
		return pull.State{}, false, nil
	}
	st.Folder = dir
	return st, ok, err
}

// pulledAbove is the folder that was pulled into, at dir or above it; rest is
// the way from there to dir.
func pulledAbove(p *pull.Puller, dir string) (rest string, st pull.State, ok bool, err error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", st, false, err
	}
	for at := start; ; at = filepath.Dir(at) {
		st, ok, err := stateOf(p, at)
		if err != nil || ok {
			rest, rerr := filepath.Rel(at, start)
			return rest, st, ok, errors.Join(err, rerr)
		}
		if at == filepath.Dir(at) || at == p.UserHome {
			return "", st, false, nil
		}
	}
}

// still holds the source of a folder that was pulled before to the admins' list of
// today.
func (a *app) still(p pullConfig, source string, submodules bool) error {
	if len(p.AllowedHosts) == 0 {
		return nil
	}
	list, err := readings(source)
	if err != nil {
		return err
	}
	return allowed(p, list[0], submodules)
}

// allowed refuses what the admins of this machine do not let in.
func allowed(p pullConfig, g resolve.Git, submodules bool) error {
	switch {
	case len(p.AllowedHosts) == 0:
		return nil
	case submodules:
		return &daypass.Problem{
			Code: "DP-368", What: "submodules are not pulled on this machine", Why: "they can come from anywhere, and its admins list the hosts that content comes from (pull.allowed_hosts)",
			Next: "Pull without --submodules.", Kind: daypass.ErrRefused,
		}
	case g.Kind == "path" || slices.Contains(p.AllowedHosts, daypass.FoldASCII(g.Host)):
		return nil
	}
	return &daypass.Problem{
		Code: "DP-368", What: "content from " + g.Host + " is not pulled on this machine", Why: "its admins list the hosts that are (pull.allowed_hosts)",
		Next: "Use a source at one of these: " + strings.Join(p.AllowedHosts, ", ") + ".", Who: "The admins can add a host.", Kind: daypass.ErrRefused,
	}
}

// fromHere is how a folder is named in a command typed here; "" for this one.
func (a *app) fromHere(folder string) string {
	here, err := os.Getwd()
	if err != nil {
		return folder
	}
	rel, err := filepath.Rel(here, folder)
	switch {
	case err != nil || strings.HasPrefix(rel, ".."+string(filepath.Separator)+".."):
		return folder
	case rel == ".":
		return ""
	}
	return rel
}
