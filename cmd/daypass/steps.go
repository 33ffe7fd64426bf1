package main

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/provider/dataverse"
	"github.com/daypass-dev/daypass/provider/doi"
	"github.com/daypass-dev/daypass/provider/invenio"
	"github.com/daypass-dev/daypass/resolve"
)

// maxSteps bounds how far an address is followed: a DOI leads to a page, which is of a
// record, and few lead to another DOI.
const maxSteps = 5

// What is known of a step.
const (
	stepExists = "exists"         // the host said so
	stepMaybe  = "maybe"          // by the text alone
	stepNone   = "does-not-exist" // the host said so, or that it may not be read
)

// A step is one thing that an address was found to mean, on the way to what it means
// at last.
type step struct {
	Kind      string `json:"kind"`             // as of [daypass.Source]; "page": an address that a DOI stands for
	Certainty string `json:"certainty"`        // of the above
	Source    string `json:"source,omitempty"` // as the service writes it
	URL       string `json:"url,omitempty"`    // where it led, or what was pasted
	Words     string `json:"words"`
	Why       string `json:"why"`

	place resolve.Place // of the text
	to    daypass.Source
}

// A trail follows an address, step by step, from this user's own process.
type trail struct {
	a       *app
	cfg     config
	offline bool
	once    bool // not further than one step
	steps   []step
	outward outward
	seen    map[string]bool
}

func (a *app) newTrail(cfg config, offline bool) *trail {
	return &trail{a: a, cfg: cfg, offline: offline, seen: map[string]bool{}, outward: outward{lookup: a.lookup}}
}

// add notes a step.
func (t *trail) add(kind, certainty string, p resolve.Place, url, why string) {
	s := step{Kind: kind, Certainty: certainty, Source: p.Source.String(), URL: url, Words: p.Words, Why: why, place: p, to: p.Source}
	t.steps = append(t.steps, s)
}

// follow returns the readings of the place that a text leads to at last, the most likely
// first: of git, or one source that can be read. Where the host would have to be asked,
// and may not be, it is as far as the text says. Errors are told; the steps up to there
// stand.
func (t *trail) follow(ctx context.Context, text string) ([]resolve.Place, error) {
	for range maxSteps {
		if t.seen[text] {
			return nil, t.lost("the addresses lead in a circle")
		}
		t.seen[text] = true
		list, err := t.places(ctx, text)
		if err != nil {
			return nil, err
		}
		p := list[0]
		if p.Git != nil {
			t.add(daypass.KindGit, stepMaybe, p, p.Git.URL, p.Why)
			return list, nil
		}
		if t.offline || p.Ask == "" {
			t.add(p.Source.Kind, stepMaybe, p, p.URL, p.Why)
			return list[:1], nil
		}
		next, place, err := t.ask(ctx, p)
		if err != nil {
			return nil, err
		}
		if next == "" {
			return []resolve.Place{place}, nil
		}
		text = next
		if t.once {
			return list[:1], nil
		}
	}
	return nil, t.lost("it takes more than five steps")
}

// places reads a text. What a host named is held to more than what a person did.
func (t *trail) places(ctx context.Context, text string) ([]resolve.Place, error) {
	list, err := resolve.Places(text, t.a.sites(t.cfg))
	if t.outward.guarded {
		if cerr := t.outward.check(ctx, text); cerr != nil {
			return nil, cerr
		}
	}
	if err == nil && !t.offline && unsure(list) {
		if sites, ok := t.features(ctx, text); ok {
			list, err = resolve.Places(text, sites)
		}
	}
	var p *daypass.Problem
	if errors.As(err, &p) && t.outward.guarded {
		return nil, &daypass.Problem{
			Code: "DP-454", What: "the identifier leads to " + shownAddress(text) + ", from which daypass brings nothing", Why: p.What, Kind: daypass.ErrRefused, Err: err,
			Next: "Open it in a browser: its files may be at another place, whose address you can give.",
		}
	}
	return list, err
}

// shownAddress is an address without what may be secret or does not show.
func shownAddress(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "a page"
	}
	return printable(u.Scheme + "://" + u.Host + u.EscapedPath())
}

func (t *trail) lost(why string) error {
	return &daypass.Problem{Code: "DP-455", What: "this identifier leads nowhere", Why: why, Next: "Give the address of the page that has the files.", Kind: daypass.ErrRefused}
}

// ask puts a place's question: it leads to another text, or to a place.
func (t *trail) ask(ctx context.Context, p resolve.Place) (next string, place resolve.Place, err error) {
	answers := map[resolve.Question]func(context.Context, resolve.Place) (string, resolve.Place, error){
		resolve.AskDOI: t.askDOI, resolve.AskConcept: t.askConcept, resolve.AskDataset: t.askDataset,
	}
	answer := answers[p.Ask]
	if answer == nil {
		t.add(p.Source.Kind, stepMaybe, p, p.URL, p.Why)
		return "", p, nil
	}
	if p.Ask != resolve.AskDOI && p.Ask != resolve.AskConcept { // a DOI is at no host yet
		if err := allowedHost(t.cfg.pull, p.Source.Host); err != nil {
			return "", p, err
		}
	}
	next, place, err = answer(ctx, p)
	if errors.Is(err, daypass.ErrNoSource) {
		t.add(p.Source.Kind, stepNone, p, p.URL, why(err))
	}
	return next, place, err
}

// why is what an error says, short.
func why(err error) string {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return strings.TrimSuffix(p.What+": "+p.Why, ": ")
	}
	return printable(err.Error())
}

// askDOI asks doi.org, of handles too, where an identifier leads. What it says is
// anybody's: who registers one chooses.
func (t *trail) askDOI(ctx context.Context, p resolve.Place) (string, resolve.Place, error) {
	at, err := doi.Resolve(ctx, t.a.site(doi.Host, outward{}), p.Source.ID)
	if err != nil {
		return "", p, err
	}
	if rest, ok := strings.CutPrefix(at, "http://"); ok { // nothing is asked without TLS
		at = "https://" + rest
	}
	t.outward.guarded = true
	t.add(daypass.KindDOI, stepExists, p, at, "doi.org says that it stands for "+shownAddress(at))
	return at, p, nil
}

// askConcept asks a site which record its page of a DOI shows.
func (t *trail) askConcept(ctx context.Context, p resolve.Place) (string, resolve.Place, error) {
	u, err := url.Parse(p.URL)
	if err != nil {
		return "", p, err
	}
	id, err := invenio.FromDOI(ctx, t.a.site(u.Host, t.outward), p.Source.ID)
	if err != nil {
		return "", p, err
	}
	out := p
	out.Ask, out.Source, out.Words = "", daypass.Source{Kind: daypass.KindInvenio, Host: u.Host, ID: id}, "a record of "+u.Host
	t.add(daypass.KindInvenio, stepExists, out, "https://"+u.Host+"/records/"+id, u.Host+" says that the DOI is of this record")
	return "", out, nil
}

// askDataset asks a Dataverse which dataset an address is of: a citation may be of a
// file, and a number is a file's.
func (t *trail) askDataset(ctx context.Context, p resolve.Place) (string, resolve.Place, error) {
	site, id := t.a.site(p.Source.Host, t.outward), p.Source.ID
	_, what := dataverse.Split(id)
	err := daypass.ErrNoSource
	if !strings.HasPrefix(what, "file/") {
		err = dataverse.Exists(ctx, site, id)
	}
	why := "it is a dataset there"
	if errors.Is(err, daypass.ErrNoSource) {
		id, err = dataverse.DatasetOf(ctx, site, id)
		why = "the file is in that dataset"
	}
	if err != nil {
		return "", p, err
	}
	out := p
	out.Ask, out.Source.ID, out.Certain = "", id, true
	t.add(daypass.KindDataverse, stepExists, out, p.URL, p.Source.Host+" says that "+why)
	return "", out, nil
}
