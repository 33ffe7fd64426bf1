package main

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/provider/ckan"
	"github.com/daypass-dev/daypass/provider/dataverse"
	"github.com/daypass-dev/daypass/provider/deposit"
	"github.com/daypass-dev/daypass/provider/doi"
	"github.com/daypass-dev/daypass/provider/figshare"
	"github.com/daypass-dev/daypass/provider/invenio"
	"github.com/daypass-dev/daypass/resolve"
)

// maxSteps bounds how far a DOI is followed, as "daypass resolve" does it.
const maxSteps = 5

// resolveDOI says which source a DOI or handle stands for. It leads wherever whoever
// registered it wants: only hosts of the admin's list are asked, and can be the end.
func (r *readers) resolveDOI(ctx context.Context, s daypass.Source) (daypass.Source, error) {
	if s.Host != doi.Host || s.Ref != "" {
		return s, nowhere("it is none of " + doi.Host)
	}
	text, seen := daypass.Source{Kind: s.Kind, Host: s.Host, ID: s.ID}.String(), map[string]bool{}
	for range maxSteps {
		if seen[text] {
			return s, nowhere("the addresses lead in a circle")
		}
		seen[text] = true
		p, err := r.readStep(ctx, text)
		if err != nil {
			return s, nowhere(problemWhat(err))
		}
		if p.Ask == resolve.AskDOI {
			if text, err = r.askDOI(ctx, p.Source.ID); err != nil {
				return s, err
			}
			continue
		}
		found, err := r.askStep(ctx, p)
		if err == nil && s.Path != "" {
			found.Path = s.Path
		}
		return found, err
	}
	return s, nowhere("it takes more than five steps")
}

// readStep reads the address that a step led to.
func (r *readers) readStep(ctx context.Context, text string) (resolve.Place, error) {
	list, err := resolve.Places(text, resolve.Sites{})
	if err != nil {
		return resolve.Place{}, err
	}
	if guessed(list) {
		if sites, ok := r.siteOf(ctx, text); ok {
			list, err = resolve.Places(text, sites)
		}
	}
	if err != nil {
		return resolve.Place{}, err
	}
	return list[0], nil
}

// guessed reports whether a text was read by the shape that fits every address.
func guessed(list []resolve.Place) bool {
	return list[0].Git != nil && !list[0].Certain && list[0].Git.Kind == "git"
}

// asks reports whether a listed host could say more of an address than its text does.
func (r *readers) asks(text string, list []resolve.Place) bool {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(r.hosts, daypass.FoldASCII(u.Host)) || strings.Contains(text, stand) {
		return false
	}
	p := list[0]
	return guessed(list) || p.Ask == resolve.AskConcept || p.Ask == resolve.AskDataset || p.Git != nil && len(list) > 1
}

// settled asks a listed host what the text of an address does not say: what kind of site
// it is, which record or dataset is meant, and which branch.
func (r *readers) settled(ctx context.Context, text string, sites resolve.Sites, list []resolve.Place) ([]resolve.Place, error) {
	ctx, cancel := context.WithTimeout(ctx, siteTime)
	defer cancel()
	if guessed(list) {
		if found, ok := r.siteOf(ctx, text); ok {
			found.Canvas = sites.Canvas
			if again, err := resolve.Places(text, found); err == nil {
				list = again
			}
		}
	}
	p := list[0]
	switch {
	case p.Ask == resolve.AskConcept || p.Ask == resolve.AskDataset:
		s, err := r.askStep(ctx, p)
		if err != nil {
			return nil, err
		}
		p.Source, p.Ask = s, ""
		return []resolve.Place{p}, nil
	case p.Git != nil && len(list) > 1:
		return r.branchOf(ctx, list), nil
	}
	return list, nil
}

// siteTime is how long hosts may take to say what an address of theirs is.
const siteTime = 10 * time.Second

// branchOf is the reading of a page whose branch there is; all of them where that is not
// to be seen without an account.
func (r *readers) branchOf(ctx context.Context, list []resolve.Place) []resolve.Place {
	y := broker.Reading{Source: list[0].Source, As: broker.AsPublic}
	if r.proxy == nil || y.Source.Kind != daypass.KindGit {
		return list
	}
	var names []string
	err := r.at(ctx, y, func(address string) error {
		tips, err := r.git.LookAll(ctx, address)
		for _, tip := range tips {
			names = append(names, tip.Ref)
		}
		return err
	})
	var gits []resolve.Git
	for _, p := range list {
		if p.Git != nil && p.Source.ID == y.Source.ID {
			gits = append(gits, *p.Git)
		}
	}
	g, ok := resolve.Choose(gits, names)
	if err != nil || !ok {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(p resolve.Place) bool {
		return p.Git == nil || p.Git.URL != g.URL || p.Git.Ref != g.Ref || p.Git.Path != g.Path
	})
}

// siteOf asks a listed host which kind of archive it is.
func (r *readers) siteOf(ctx context.Context, text string) (sites resolve.Sites, ok bool) {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(r.hosts, daypass.FoldASCII(u.Host)) {
		return sites, false
	}
	host := daypass.FoldASCII(u.Host)
	parts, one, at := strings.Split(strings.Trim(u.Path, "/"), "/"), []string{host}, r.depositAt(host)
	if i := slices.Index(parts, "dataset"); i >= 0 && i+1 < len(parts) && !slices.Contains(parts, "articles") {
		is, err := ckan.Probe(ctx, at, strings.Join(parts[:i], "/"))
		return resolve.Sites{CKAN: one}, is && err == nil
	}
	if slices.Contains(parts, "datafile") {
		is, err := dataverse.Probe(ctx, at, dataverseAt(text, one))
		return resolve.Sites{Dataverse: one}, is && err == nil
	}
	switch {
	case slices.Contains(parts, "articles"):
		sites = resolve.Sites{Figshare: one}
		list, err := resolve.Places(text, sites)
		if err == nil {
			_, err = figshare.New(at).Look(ctx, list[0].Source, "")
		}
		return sites, err == nil
	case len(parts) > 1 && (parts[0] == "records" || parts[0] == "record"):
		_, err := invenio.Find(ctx, at, parts[1])
		return resolve.Sites{Invenio: one}, err == nil
	case len(parts) == 3 && parts[0] == "doi":
		_, err := invenio.FromDOI(ctx, at, parts[1]+"/"+parts[2])
		return resolve.Sites{Invenio: one}, err == nil
	}
	return sites, false
}

// dataverseAt is the path that a Dataverse would be installed below, where an address is
// one of it.
func dataverseAt(text string, hosts []string) string {
	list, err := resolve.Places(text, resolve.Sites{Dataverse: hosts})
	if err != nil || list[0].Source.Kind != daypass.KindDataverse {
		return ""
	}
	path, _ := dataverse.Split(list[0].Source.ID)
	return path
}

// How often a site is asked what an address of its is, for all who paste one.
const (
	askEvery  = 200 * time.Millisecond
	askAtOnce = 20
)

// depositAt is how a listed site is asked. What it asks of one who pastes an address, to
// come back later, holds for all of them.
func (r *readers) depositAt(host string) deposit.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asking == nil || len(r.asking) >= maxPaces {
		r.asking = map[string]*deposit.Pace{}
	}
	if r.asking[host] == nil {
		r.asking[host] = deposit.NewPace(askEvery, askAtOnce, r.now)
	}
	return deposit.Config{Host: host, Pace: r.asking[host], Plain: r.plain(host), Dial: r.dialer.DialContext, Now: r.now}
}

func (r *readers) askDOI(ctx context.Context, id string) (string, error) {
	if !slices.Contains(r.hosts, r.doi) {
		return "", notListed("this service looks up no DOIs and handles", r.doi)
	}
	at, err := doi.Resolve(ctx, r.depositAt(r.doi), id)
	if rest, ok := strings.CutPrefix(at, "http://"); ok { // nothing is asked without TLS
		at = "https://" + rest
	}
	return at, err
}

// askStep says what a place is, where its host has to be asked.
func (r *readers) askStep(ctx context.Context, p resolve.Place) (daypass.Source, error) {
	s := p.Source
	if p.Ask == resolve.AskConcept {
		if u, err := url.Parse(p.URL); err == nil {
			s.Host = u.Host
		}
	}
	switch {
	case s == (daypass.Source{}):
		return s, nowhere("what it stands for is nothing that a service reads")
	case !slices.Contains(r.hosts, s.Host):
		return s, notListed("the DOI leads to "+s.Host+", from which this service does not read", s.Host)
	}
	switch p.Ask {
	case "", resolve.AskRef:
		return s, nil
	case resolve.AskConcept:
		return r.conceptOf(ctx, s.Host, s.ID)
	case resolve.AskDataset:
		return r.datasetOf(ctx, s)
	}
	return s, nowhere("what it stands for is nothing that a service reads")
}

// conceptOf is the record that a site's page of a DOI shows: all versions of it, where
// the DOI is theirs.
func (r *readers) conceptOf(ctx context.Context, host, id string) (daypass.Source, error) {
	out := daypass.Source{Kind: daypass.KindInvenio, Host: host}
	var err error
	if out.ID, err = invenio.FromDOI(ctx, r.depositAt(host), id); err != nil {
		return out, err
	}
	rec, err := invenio.Find(ctx, r.depositAt(host), out.ID)
	if err == nil && rec.Parent != "" && daypass.FoldASCII(rec.DOI) == daypass.FoldASCII(id) {
		out.ID = rec.Parent
	}
	return out, err
}

// datasetOf is the dataset of a citation, which may be of a file.
func (r *readers) datasetOf(ctx context.Context, s daypass.Source) (daypass.Source, error) {
	_, what := dataverse.Split(s.ID)
	err := daypass.ErrNoSource
	if !strings.HasPrefix(what, "file/") {
		err = dataverse.Exists(ctx, r.depositAt(s.Host), s.ID)
	}
	if errors.Is(err, daypass.ErrNoSource) {
		s.ID, err = dataverse.DatasetOf(ctx, r.depositAt(s.Host), s.ID)
	}
	return s, err
}

func problemWhat(err error) string {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return p.What
	}
	return "the address that it stands for cannot be read"
}

func nowhere(why string) error {
	return &daypass.Problem{
		Code: "DP-750", What: "the DOI or handle leads to nothing that this service reads", Why: why, Next: "Open it in a browser, and paste the address of the page that has the files.", Kind: daypass.ErrRefused,
	}
}

func notListed(what, host string) error {
	return &daypass.Problem{
		Code: "DP-751", What: what, Next: `Anybody can pull it without a link: "daypass pull".`, Who: `Admins list hosts under "sources.hosts"; here ` + host + ` is missing.`, Kind: daypass.ErrRefused,
	}
}
