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
	"github.com/daypass-dev/daypass/resolve"
	"github.com/daypass-dev/daypass/snapshot"
)

const resolveHelp = `Say what an address means to "daypass pull": which host, repository, branch and folder,
how certain that is and why. Where the text alone does not tell, the host is asked for
the names of its branches and tags (--offline: it is not).

  daypass resolve https://github.com/ORG/course/tree/feature/x/labs`

func (a *app) resolveCommand() *cobra.Command {
	var asJSON, offline bool
	c := &cobra.Command{
		Use: "resolve SOURCE", Short: "What an address means", Long: resolveHelp, Args: atMost(1),
		Annotations: map[string]string{problemLines: "yes"},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageProblem(c, "give the address of a repository or of a page in one")
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
	Source   string    `json:"source"`
	Answer   *reading  `json:"answer"`   // null where nothing was certain enough, offline
	Readings []reading `json:"readings"` // by the text alone, the most likely first
}

type reading struct {
	URL     string `json:"url"`
	Host    string `json:"host,omitempty"`
	Ref     string `json:"ref,omitempty"`
	Path    string `json:"path,omitempty"`
	Kind    string `json:"kind"`
	Pull    int    `json:"pull,omitempty"`
	Certain bool   `json:"certain"`
	Why     string `json:"why"`
	Commit  string `json:"commit,omitempty"` // where the ref stands; only where the host was asked
}

func readingOf(g resolve.Git, commit string) reading {
	return reading{URL: g.URL, Host: g.Host, Ref: g.Ref, Path: g.Path, Kind: g.Kind, Pull: g.Pull, Certain: g.Certain, Why: g.Why, Commit: commit}
}

func (a *app) resolve(ctx context.Context, text string, offline, asJSON bool) error {
	if done, err := a.resolveLink(ctx, text, offline, asJSON); done || err != nil {
		return err
	}
	list, err := readings(text)
	if err != nil {
		return err
	}
	out := resolution{Source: list[0].URL}
	for _, g := range list {
		out.Readings = append(out.Readings, readingOf(g, ""))
	}
	switch {
	case offline && len(list) == 1 && list[0].Certain:
		out.Answer = &out.Readings[0]
	case !offline:
		answer, err := a.asked(ctx, list)
		if err != nil {
			return err
		}
		out.Answer = &answer
	}
	s := a.screen(asJSON)
	if asJSON {
		s.object(out)
		return nil
	}
	if out.Answer != nil {
		s.reading(*out.Answer)
		return nil
	}
	s.result("The text alone does not say. It may be:")
	for _, r := range out.Readings {
		s.result("")
		s.reading(r)
	}
	return nil
}

func (s *screen) reading(r reading) {
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
	sure := "certain: "
	if !r.Certain {
		sure = "not certain: "
	}
	s.result("How sure:    %s%s", sure, r.Why)
}

// readings is what a text may mean; paths of this machine are made full.
func readings(text string) ([]resolve.Git, error) {
	list, err := resolve.Parse(text)
	if err != nil {
		return nil, err
	}
	for i, g := range list {
		if g.Kind == "path" && !filepath.IsAbs(g.URL) && g.URL[0] == '.' {
			if list[i].URL, err = filepath.Abs(g.URL); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// asked is the reading that the host confirms, with its commit.
func (a *app) asked(ctx context.Context, list []resolve.Git) (reading, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return reading{}, err
	}
	git, err := a.pullGit(ctx, cfg)
	if err != nil {
		return reading{}, err
	}
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

// source is the one place that a text names: the host is asked only where the
// text does not say. A branch that was given beside it wins.
func (a *app) source(ctx context.Context, cfg config, text, branch string) (resolve.Git, error) {
	list, err := readings(text)
	if err != nil {
		return resolve.Git{}, err
	}
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
	git, err := a.pullGit(ctx, cfg)
	if err != nil {
		return resolve.Git{}, err
	}
	g, _, err := settle(ctx, cfg, snapshot.Git{Git: git}, list)
	return g, err
}
