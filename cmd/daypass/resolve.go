package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/resolve"
	"github.com/daypass-dev/daypass/snapshot"
)

const resolveHelp = `Say what an address means to "daypass pull": a git repository with its branch and folder,
a folder of Google Drive, a course's files, a record of an archive; how certain that is
and why. Identifiers such as 10.5281/zenodo.3232985 are followed to what they stand for.
Where the text alone does not tell, the host is asked (--offline: it is not).

  daypass resolve https://github.com/ORG/course/tree/feature/x/labs
  daypass resolve doi:10.5281/zenodo.3232985`

func (a *app) resolveCommand() *cobra.Command {
	var asJSON, offline bool
	c := &cobra.Command{
		Use: "resolve SOURCE", Short: "What an address means", Long: resolveHelp, Args: atMost(1),
		Annotations: map[string]string{problemLines: "yes"},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageProblem(c, "give the address of a repository, folder, course or record")
			}
			return a.resolve(c.Context(), args[0], offline, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one object, for programs")
	c.Flags().BoolVar(&offline, "offline", false, "ask no host")
	return c
}

// A resolution is what "daypass resolve --json" prints.
type resolution struct {
	Source   string    `json:"source"`   // a repository's address, or as daypass writes sources
	Answer   *reading  `json:"answer"`   // null where nothing was certain enough, offline
	Readings []reading `json:"readings"` // of the last step, by its text alone, the most likely first
	Steps    []step    `json:"steps"`    // how it came from the text to there
}

// ended is the status of a resolution that was shown: what does not exist is refused.
func (r resolution) ended() error {
	if n := len(r.Steps); n > 0 && r.Steps[n-1].Certainty == stepNone {
		return exitStatus(daypass.ExitCode(daypass.ErrRefused))
	}
	return nil
}

type reading struct {
	URL     string `json:"url"` // of a git repository; else ""
	Source  string `json:"source,omitempty"`
	Host    string `json:"host,omitempty"`
	Ref     string `json:"ref,omitempty"`
	Path    string `json:"path,omitempty"`
	Open    string `json:"open,omitempty"` // the file that the page shows
	Kind    string `json:"kind"`
	Words   string `json:"words,omitempty"`
	Title   string `json:"title,omitempty"` // as the source calls itself; only where the host was asked
	Web     string `json:"web,omitempty"`
	Pull    int    `json:"pull,omitempty"`
	Certain bool   `json:"certain"`
	Why     string `json:"why"`
	Commit  string `json:"commit,omitempty"` // where the ref stands; only where the host was asked
}

func readingOf(g resolve.Git, commit string) reading {
	return reading{URL: g.URL, Host: g.Host, Ref: g.Ref, Path: g.Path, Kind: g.Kind, Pull: g.Pull, Certain: g.Certain, Why: g.Why, Commit: commit}
}

// readingAt is a reading of what is not git's.
func readingAt(p resolve.Place) reading {
	s := p.Source
	return reading{Source: s.String(), Host: s.Host, Ref: s.Ref, Path: s.Path, Open: p.Open, Kind: s.Kind, Words: p.Words, Certain: p.Certain && p.Ask == "", Why: p.Why}
}

func (a *app) resolve(ctx context.Context, text string, offline, asJSON bool) error {
	if done, err := a.resolveLink(ctx, text, offline, asJSON); done || err != nil {
		return err
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	out, err := a.resolved(ctx, cfg, text, offline)
	if err != nil {
		return err
	}
	s := a.screen(asJSON)
	if asJSON {
		s.object(out)
		return out.ended()
	}
	for _, st := range out.Steps[:max(0, len(out.Steps)-1)] {
		s.result("%s: %s", st.Words, st.Why)
	}
	if out.Answer != nil {
		s.reading(*out.Answer)
		return out.ended()
	}
	s.result("The text alone does not say. It may be:")
	for _, r := range out.Readings {
		s.result("")
		s.reading(r)
	}
	return nil
}

// resolved finds out what a text means.
func (a *app) resolved(ctx context.Context, cfg config, text string, offline bool) (resolution, error) {
	t := a.newTrail(cfg, offline)
	places, err := t.follow(ctx, text)
	if err != nil {
		return resolution{}, err
	}
	out := resolution{Source: places[0].Source.String(), Steps: t.steps}
	if places[0].Git == nil {
		out.Readings = []reading{readingAt(places[0])}
		if out.Answer = &out.Readings[0]; !offline {
			answer := t.looked(ctx, places[0])
			out.Answer = &answer
		} else if !out.Answer.Certain {
			out.Answer = nil
		}
		return out, nil
	}
	list := readingsOf(places)
	out.Source = list[0].URL
	for _, g := range list {
		out.Readings = append(out.Readings, readingOf(g, ""))
	}
	switch {
	case offline && len(list) == 1 && list[0].Certain:
		out.Answer = &out.Readings[0]
	case !offline:
		answer, err := a.asked(ctx, list, t.outward)
		if err != nil {
			return resolution{}, err
		}
		out.Answer = &answer
		out.Steps[len(out.Steps)-1].Certainty = stepExists
	}
	return out, nil
}

// looked looks whether a source is there, as this user, where this process can read it.
func (t *trail) looked(ctx context.Context, p resolve.Place) reading {
	r, last := readingAt(p), &t.steps[len(t.steps)-1]
	c, err := t.a.contents(t.cfg, p.Source, t.outward)
	if err == nil {
		err = allowedHost(t.cfg.pull, p.Source.Host)
	}
	if err == nil {
		var seen daypass.Seen
		if seen, err = c.Look(ctx, p.Source, ""); err == nil {
			last.Certainty, last.Why = stepExists, p.Source.Host+" says so"
			r.Source, r.Ref, r.Title, r.Web, r.Certain, r.Why = seen.Source.String(), seen.Source.Ref, printable(seen.Title), printable(seen.Web), true, last.Why
			return r
		}
	}
	if errors.Is(err, daypass.ErrNoSource) {
		last.Certainty = stepNone
	}
	last.Why = why(err)
	r.Certain, r.Why = false, last.Why
	return r
}

func (s *screen) reading(r reading) {
	if r.URL == "" {
		s.content(r)
		return
	}
	if r.Host != "" {
		s.result("Host:        %s (%s)", r.Host, r.Kind)
	}
	s.result("Repository:  %s", r.URL)
	ref := "the default branch"
	if r.Ref != "" {
		ref = r.Ref
	}
	if r.Pull > 0 {
		ref += " (request " + strconv.Itoa(r.Pull) + ")"
	}
	s.result("Ref:         %s", ref)
	if r.Commit != "" {
		s.result("Commit:      %s", r.Commit)
	}
	if r.Path != "" {
		s.result("Path:        %s", r.Path)
	}
	s.sure(r)
}

// content shows a reading of what is not git's.
func (s *screen) content(r reading) {
	s.result("Source:      %s", r.Source)
	for _, line := range [][2]string{{"What:        ", r.Words}, {"Title:       ", r.Title}, {"Page:        ", r.Web}, {"File:        ", r.Open}} {
		if line[1] != "" {
			s.result("%s%s", line[0], line[1])
		}
	}
	s.sure(r)
}

func (s *screen) sure(r reading) {
	sure := "certain: "
	if !r.Certain {
		sure = "not certain: "
	}
	s.result("How sure:    %s%s", sure, r.Why)
}

// readings is what a text may mean that is git's; paths of this machine are made full.
func readings(text string) ([]resolve.Git, error) {
	list, err := resolve.Parse(text)
	if err != nil {
		return nil, err
	}
	return full(list), nil
}

// readingsOf are the readings of places that are git's.
func readingsOf(places []resolve.Place) []resolve.Git {
	var out []resolve.Git
	for _, p := range places {
		if p.Git != nil {
			out = append(out, *p.Git)
		}
	}
	return full(out)
}

// full makes paths of this machine full. A folder that cannot be found from here stays
// as it was typed.
func full(list []resolve.Git) []resolve.Git {
	for i, g := range list {
		if g.Kind == "path" && !filepath.IsAbs(g.URL) && g.URL[0] == '.' {
			if at, err := filepath.Abs(g.URL); err == nil {
				list[i].URL = at
			}
		}
	}
	return list
}

// asked is the reading that the host confirms, with its commit.
func (a *app) asked(ctx context.Context, list []resolve.Git, o outward) (reading, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return reading{}, err
	}
	git, err := a.pullGit(ctx, cfg)
	if err != nil {
		return reading{}, err
	}
	git = o.git(git)
	g, tips, err := settle(ctx, cfg, snapshot.Git{Git: git}, list)
	if err != nil {
		return reading{}, err
	}
	r := readingOf(g, "")
	for _, t := range tips {
		if g.Ref == "" && t.Name == "HEAD" || g.Ref != "" && slices.Contains([]string{g.Ref, "refs/heads/" + g.Ref, "refs/tags/" + g.Ref}, t.Ref) {
			r.Commit, r.Ref = string(t.Commit), first(g.Ref, strings.TrimPrefix(t.Ref, "refs/heads/"))
			break
		}
	}
	if r.Commit == "" { // a commit, or a ref that is not listed
		tip, err := snapshot.Git{Git: git}.Look(ctx, g.URL, g.Ref)
		if err != nil {
			return reading{}, err
		}
		r.Commit = string(tip.Commit)
		if r.Ref == "" {
			r.Ref = tip.Name
		}
	}
	r.Certain = true
	return r, nil
}

// settle asks the hosts of the readings for their refs until one confirms. What
// it returns with the reading is what that repository has.
func settle(ctx context.Context, cfg config, git snapshot.Git, list []resolve.Git) (resolve.Git, []snapshot.Tip, error) {
	var firstErr error
	for len(list) > 0 {
		url := list[0].URL
		of := slices.IndexFunc(list, func(g resolve.Git) bool { return g.URL != url })
		if of < 0 {
			of = len(list)
		}
		same := list[:of]
		list = list[of:]
		if err := allowed(cfg.pull, same[0], false); err != nil {
			return resolve.Git{}, nil, err
		}
		tips, err := git.LookAll(ctx, url)
		if err != nil {
			if firstErr == nil {
				firstErr = err
			}
			if ctx.Err() != nil || errors.Is(err, daypass.ErrUnreachable) {
				break
			}
			continue
		}
		var names []string
		for _, t := range tips {
			names = append(names, t.Ref)
		}
		if g, ok := resolve.Choose(same, names); ok {
			return g, tips, nil
		}
		if same[0].Pull > 0 {
			return same[0], tips, nil
		}
		return resolve.Git{}, nil, &daypass.Problem{
			Code: "DP-372", What: "no branch or tag of " + url + " fits this address", Next: "Look the branch up on the repository's page; it may have been renamed.",
			Who: "Whoever gave you the address.", Kind: daypass.ErrRefused,
		}
	}
	return resolve.Git{}, nil, firstErr
}

// source is the one reading that is meant: the host is asked only where the text does
// not say. A branch that was given beside it wins.
func source(ctx context.Context, cfg config, git plumbing.Git, list []resolve.Git, branch string) (resolve.Git, error) {
	if branch != "" {
		for _, g := range list {
			if g.Ref == branch {
				return g, nil
			}
		}
		g := list[0]
		if g.Ref != "" {
			g.Path, g.File = "", false // where the path begins, only its own branch would say
		}
		g.Ref = branch
		return g, nil
	}
	if len(list) == 1 {
		return list[0], nil
	}
	g, _, err := settle(ctx, cfg, snapshot.Git{Git: git}, list)
	return g, err
}
