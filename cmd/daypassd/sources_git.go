package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/egress"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/snapshot"
)

// openGit makes the git that reads repositories, which goes through a proxy of ours to
// the hosts of the configuration and nowhere else.
func (r *readers) openGit(svc *service) error {
	g, err := plumbing.Find(os.Getenv, gitEnviron())
	if err != nil {
		return fmt.Errorf("content is kept by git: %w", err)
	}
	hosts := slices.Concat(svc.config.Sources.Hosts, svc.config.hosts())
	way := egress.Way{Bytes: r.bounds().File}
	names := map[string]bool{}
	for _, h := range hosts {
		name, _, ported := strings.Cut(h, ":")
		names[name] = true
		switch {
		case r.plain(h):
			way.Plain = append(way.Plain, h)
		case ported:
			way.Others = append(way.Others, h)
		}
	}
	way.Host = func(host string) bool { return names[host] }
	r.git = snapshot.Git{Git: g, Limits: r.limits}
	if r.proxy, err = egress.NewProxy(r.dialer, way, rand.Reader, svc.log); err != nil {
		return err
	}
	r.git.Git = r.proxy.Git(g, r.bounds())
	return nil
}

// bounds are those of each git: a pack may be as large as a source, with room for what
// git writes beside it.
func (r *readers) bounds() egress.Bounds {
	return egress.Bounds{File: max(2*r.limits.Or().Total, 2<<30)}
}

// plainGit is a git for what is here already: it speaks to nobody.
func (r *readers) plainGit() plumbing.Git {
	g, _ := plumbing.Find(os.Getenv, gitEnviron()) // it was found before
	return g.Homeless()
}

// addresses are where a repository may be, with what this process reads it by: what is
// public at hosts of its own is called with ".git" at most of them, and without at some.
func (r *readers) addresses(ctx context.Context, y broker.Reading) ([]string, error) {
	u := url.URL{Scheme: "https", Host: y.Source.Host, Path: "/" + y.Source.ID + ".git"}
	if r.plain(y.Source.Host) {
		u.Scheme = "http"
	}
	if y.As != broker.AsPublic {
		token, _, err := r.broker.ContentToken(ctx, y)
		if err != nil {
			return nil, err
		}
		u.User = url.UserPassword("x-access-token", token.Reveal())
		return []string{u.String()}, nil
	}
	out := []string{u.String()}
	if y.Source.Host != "github.com" {
		u.Path = "/" + y.Source.ID
		out = append(out, u.String())
	}
	return out, nil
}

// at does something with a repository where it is. What is said is of its first address.
func (r *readers) at(ctx context.Context, y broker.Reading, do func(address string) error) error {
	list, err := r.addresses(ctx, y)
	if err != nil {
		return err
	}
	if err = do(list[0]); len(list) > 1 && codeOf(err) == "DP-312" {
		if again := do(list[1]); codeOf(again) != "DP-312" {
			err = again
		}
	}
	return missing(err)
}

func codeOf(err error) string {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

func (r *readers) lookGit(ctx context.Context, y broker.Reading) (daypass.Seen, error) {
	var tip snapshot.Tip
	err := r.at(ctx, y, func(address string) (err error) {
		tip, err = r.git.Look(ctx, address, y.Source.Ref)
		return err
	})
	return daypass.Seen{Source: y.Source, Title: y.Source.ID, Mark: string(tip.Commit), Web: "https://" + y.Source.Host + "/" + y.Source.ID}, err
}

// absent are the codes by which git's source says that there is no such repository,
// branch, commit or folder, or that it is empty.
var absent = []string{"DP-312", "DP-315", "DP-318", "DP-324", "DP-326"}

// missing makes of them what all readers say.
func missing(err error) error {
	var p *daypass.Problem
	if !errors.As(err, &p) || !slices.Contains(absent, p.Code) {
		return err
	}
	out := *p
	out.Kind, out.Err = daypass.ErrRefused, errors.Join(daypass.ErrNoSource, p.Err)
	return &out
}

// fetchGit brings a repository's content at one commit, without its history, in the
// shape that all content has.
func (r *readers) fetchGit(ctx context.Context, y broker.Reading, repo *plumbing.Repo, have plumbing.OID, mark string) (depot.Result, error) {
	var out depot.Result
	err := r.at(ctx, y, func(address string) error {
		tip, err := r.git.Look(ctx, address, y.Source.Ref)
		if err != nil {
			return err
		}
		if have != "" && mark == string(tip.Commit) {
			out = depot.Result{Same: true, Mark: mark}
			return nil
		}
		s, err := r.git.Fetch(ctx, repo, snapshot.Ask{URL: address, Tip: tip, Depth: 1, Path: y.Source.Path})
		if err != nil {
			return err
		}
		o, err := repo.Objects(ctx)
		if err != nil {
			return err
		}
		m, files, err := manifestOf(y.Source, s, o)
		if err = errors.Join(err, o.Close()); err != nil {
			return err
		}
		out.Mark = string(s.Commit)
		out.Commit, err = snapshot.WriteContent(ctx, repo, m, files)
		return err
	})
	return out, err
}

// manifestOf says what of a repository is delivered: what lies below the source's
// folder, by paths from there. A link to elsewhere in the repository leads out of it.
func manifestOf(from daypass.Source, s snapshot.Snapshot, o *plumbing.Objects) (snapshot.Manifest, []plumbing.File, error) {
	below := func(path string) string {
		if from.Path == "" {
			return path
		}
		return strings.TrimPrefix(path, strings.Trim(from.Path, "/")+"/")
	}
	m := snapshot.Manifest{Source: from.String(), Title: from.ID, Web: "https://" + from.Host + "/" + from.ID, Complete: true}
	files := make([]plumbing.File, 0, len(s.Files))
	for _, f := range s.Files {
		f.Path = below(f.Path)
		if f.Mode == plumbing.Symlink && from.Path != "" {
			_, target, err := o.Read(f.OID)
			if err != nil {
				return m, nil, err
			}
			if why, ok := snapshot.Link(f.Path, string(target)); !ok {
				m.Left = append(m.Left, snapshot.Stored{Path: f.Path, Why: why})
				continue
			}
		}
		files = append(files, f)
		m.Files = append(m.Files, snapshot.Stored{Path: f.Path, Mark: string(f.OID)})
	}
	for _, l := range s.Left {
		if l.As == "" {
			m.Left = append(m.Left, snapshot.Stored{Path: below(l.Path), Why: l.Why, Size: l.Size})
		}
	}
	if s.Pointers > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("Files that the repository keeps by Git LFS came as pointers (%d): small texts that stand for them.", s.Pointers))
	}
	return m, files, nil
}
