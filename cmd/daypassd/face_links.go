package main

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/api"
	"github.com/daypass-dev/daypass/broker"
	"github.com/daypass-dev/daypass/depot"
	"github.com/daypass-dev/daypass/internal/plumbing"
	"github.com/daypass-dev/daypass/server"
	"github.com/daypass-dev/daypass/snapshot"
	"github.com/daypass-dev/daypass/store"
)

// linkParts are the broker's answers about links, where the service reads anything.
func (f *face) linkParts() server.LinkParts {
	return server.LinkParts{
		Links: f.links, LinkTerms: f.linkTerms, Link: f.link, MakeLink: f.makeLink, EditLink: f.editLink, CopyLink: f.copyLink, CopyLinks: f.copyLinks, PullFailed: f.pullFailed, Pick: f.pick, EndLink: f.endLink,
		TestSource: f.testSource, BrowseSource: f.browseSource, AsStudent: f.asStudent, ReadPaste: f.readPaste,
	}
}

func (f *face) links(ctx context.Context, c daypass.Caller) ([]api.Link, error) {
	list, err := f.b.LinksOf(ctx, c)
	if err != nil {
		return nil, told("", err)
	}
	out := []api.Link{}
	for _, v := range list {
		out = append(out, f.linkLine(v))
	}
	return out, nil
}

func (f *face) linkTerms(ctx context.Context, c daypass.Caller) (api.LinkTerms, error) {
	t, err := f.b.LinkTerms(ctx, c)
	if err != nil {
		return api.LinkTerms{}, told("", err)
	}
	out := api.LinkTerms{
		May: t.May, Why: t.Why, Groups: t.Groups, Everybody: t.Everybody, Days: int(t.Max / (24 * time.Hour)), Hosts: t.Hosts, Canvas: t.Canvas, Git: t.Git,
	}
	for _, a := range t.Drive {
		out.Share = append(out.Share, api.ShareAddress{Account: a.Account, Address: a.Address})
	}
	return out, nil
}

func (f *face) link(ctx context.Context, c daypass.Caller, name, request string) (api.Link, error) {
	v, err := f.b.LinkFor(ctx, c, name, request)
	if err != nil {
		return api.Link{}, told("", err)
	}
	return f.linkLine(v), nil
}

// linkLine shows a link. What is its maker's alone is given to them alone.
func (f *face) linkLine(v broker.LinkView) api.Link {
	out := api.Link{
		Name: v.Name, Title: v.Title, Source: v.Source.String(), Words: sourceWords(v.Source, f.readers.titleOf(v)), Folder: v.Folder, Open: v.Open, App: v.App, Audience: v.Audience,
		From: given(v.From), Until: v.Until.UTC(), State: string(v.Stands), Maker: v.MakerName, Mine: v.Mine, Template: v.Template, Connect: v.Connect, Public: v.As == broker.AsPublic,
	}
	if v.Mine {
		out.Accept, out.SourceTitle = v.Accept, v.SourceTitle
		out.EndsSoon, out.Why, out.Pulls, out.Failures, out.Pulled, out.Failed, out.Failure = v.EndsSoon, v.Why, v.Pulls, v.Failures, given(v.Pulled), given(v.Failed), v.Failure
	}
	return out
}

// titleOf is what the source of a link that stands called itself when it was read last.
// Who may not read it any more is not told what it is called by now. What is read as a
// person has no name here: the depot keeps it for that person.
func (r *readers) titleOf(v broker.LinkView) string {
	if r == nil || v.Stands != store.LinkLive {
		return ""
	}
	return r.depot.Title(depot.Key{Source: v.Source, As: v.As, Number: v.Repo})
}

func (f *face) makeLink(ctx context.Context, c daypass.Caller, ask server.LinkAsk) (api.Link, error) {
	return f.wrote(c, ask)(f.b.MakeLink(ctx, c, linkAsk(ask)))
}

func (f *face) editLink(ctx context.Context, c daypass.Caller, name string, ask server.LinkAsk) (api.Link, error) {
	return f.wrote(c, ask)(f.b.EditLink(ctx, c, name, linkAsk(ask)))
}

func (f *face) copyLink(ctx context.Context, c daypass.Caller, name string, ask server.LinkAsk) (api.Link, error) {
	return f.wrote(c, ask)(f.b.CopyLink(ctx, c, name, linkAsk(ask)))
}

func (f *face) copyLinks(ctx context.Context, c daypass.Caller, ask server.CopiesAsk) ([]api.Link, error) {
	all := make([]broker.LinkCopy, len(ask.Copies))
	for i, one := range ask.Copies {
		all[i] = broker.LinkCopy(one)
	}
	made, err := f.b.CopyLinks(ctx, c, all, linkAsk(server.LinkAsk{LinkRequest: api.LinkRequest{Audience: ask.Audience, From: ask.From, Until: ask.Until}, Request: ask.Request}))
	f.changed.tell(c.User)
	out := []api.Link{}
	for _, v := range made {
		out = append(out, f.linkLine(v))
	}
	return out, told("", err)
}

func (f *face) pullFailed(ctx context.Context, c daypass.Caller, name, code, request string) error {
	return told("", f.b.PullFailed(ctx, c, name, code, request))
}

func (f *face) pick(ctx context.Context, c daypass.Caller, request string) ([]api.Offer, error) {
	list, err := f.b.Pick(ctx, c, request)
	if err != nil {
		return nil, told("", err)
	}
	var out []api.Offer
	for _, o := range list {
		one := api.Offer{Kind: o.Kind, Host: o.Host, More: o.More}
		if r := o.Refusal; r != nil {
			one.Why, one.Next, one.Code = r.Problem.What, r.Problem.Next, r.Problem.Code
			if r.Problem.Why != "" && !r.Connect {
				one.Why += ": " + r.Problem.Why
			}
			if r.Connect {
				one.Connect = o.Host
			}
		}
		for _, y := range o.Sources {
			one.Sources = append(one.Sources, f.offered(y))
		}
		out = append(out, one)
	}
	return out, nil
}

// offered names a source where its host is named already.
func (f *face) offered(y broker.Offered) api.OfferedSource {
	out := api.OfferedSource{Source: y.Source.String(), Words: y.Source.ID, Note: shown(y.Note)}
	switch y.Source.Kind {
	case daypass.KindDrive:
		title := ""
		if f.readers != nil && f.readers.depot != nil {
			title = f.readers.depot.Title(keyOf(y.Reading))
		}
		out.Words, out.Note = sourceWords(y.Source, title), f.readsAs(y.Reading)
	case daypass.KindGit:
		if y.As == broker.AsPublic {
			out.Note = "public"
		}
	default:
		out.Words = cmp.Or(quoted(y.Title), y.Source.ID)
	}
	return out
}

func (f *face) wrote(c daypass.Caller, ask server.LinkAsk) func(broker.LinkView, error) (api.Link, error) {
	return func(v broker.LinkView, err error) (api.Link, error) {
		f.changed.tell(c.User)
		if err != nil {
			return api.Link{}, told(askedHost(ask.Source), err)
		}
		return f.linkLine(v), nil
	}
}

func askedHost(s *daypass.Source) string {
	if s == nil {
		return ""
	}
	return s.Host
}

func linkAsk(a server.LinkAsk) broker.LinkAsk {
	out := broker.LinkAsk{
		Name: a.Name, Source: a.Source, Title: a.Title, Accept: a.Accept, Folder: a.Folder, Open: a.Open, App: a.App, Audience: a.Audience, From: a.From, Until: a.Until, Paused: a.Paused, Request: a.Request,
	}
	if a.Audience != nil && *a.Audience == api.Everybody {
		everybody := store.Everybody
		out.Audience = &everybody
	}
	return out
}

func (f *face) endLink(ctx context.Context, c daypass.Caller, name, request string) error {
	defer f.changed.tell(c.User)
	return told("", f.b.EndLink(ctx, c, name, request))
}

func (f *face) testSource(ctx context.Context, c daypass.Caller, s daypass.Source, request string) (api.SourceTest, error) {
	t, err := f.b.TestSource(ctx, c, s, request)
	if err != nil {
		return api.SourceTest{}, told(s.Host, inTime(ctx, err))
	}
	seen := t.Seen.Source
	if seen == (daypass.Source{}) {
		seen = s
	}
	return api.SourceTest{OK: true, Source: seen.String(), Title: t.Seen.Title, Web: t.Seen.Web, Reads: f.readsAs(t.Reading)}, nil
}

// readsAs says as whom something is read.
func (f *face) readsAs(y broker.Reading) string {
	switch {
	case y.As == broker.AsPublic:
		return "anybody can read it, without an account"
	case y.Source.Kind == daypass.KindDrive:
		for _, a := range f.b.Accounts() {
			if a.Account == y.Account {
				return "read as " + a.Address
			}
		}
	case y.Source.Kind == daypass.KindGit && y.Account != "":
		return "read by the hub's App for course content"
	}
	return "read by each person's own account there"
}

func (f *face) browseSource(ctx context.Context, c daypass.Caller, s daypass.Source, request string) (api.SourceFiles, error) {
	y, err := f.b.BrowseSource(ctx, c, s, request)
	if err != nil {
		return api.SourceFiles{}, told(s.Host, inTime(ctx, err))
	}
	out, err := f.readers.browse(ctx, c, y)
	return out, told(s.Host, inTime(ctx, noFolder(y.Source, err)))
}

func (f *face) asStudent(ctx context.Context, c daypass.Caller, name, request string) (api.StudentView, error) {
	y, own, err := f.b.AsStudent(ctx, c, name, request)
	list := api.SourceFiles{Files: []api.SourceFile{}}
	switch {
	case err != nil:
		return api.StudentView{}, told("", err)
	case y.Source == (daypass.Source{}): // of a template
	case own:
		list, err = f.readers.browse(ctx, c, y)
	default:
		list, err = f.readers.browseKept(ctx, c, y)
	}
	return api.StudentView{Files: list.Files, Complete: list.Complete, Notes: list.Notes, Own: own}, told(y.Source.Host, inTime(ctx, noFolder(y.Source, err)))
}

// toldOfLink is told, where what has to be connected is for a link: it goes on with it.
func toldOfLink(link, host string, err error) error {
	err = told(host, err)
	var r *server.Refusal
	if link != "" && errors.As(err, &r) && strings.HasPrefix(r.Link, "connect/") {
		r.Link += "?next=" + strings.TrimPrefix(api.PathGo, "/") + link
	}
	return err
}

// inTime says of what was cut short that it may only be large.
func inTime(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return &daypass.Problem{
		Code: "DP-760", What: "the source has not answered in time", Why: "it may be large, or slow just now", Next: "Try again in a minute.", Kind: daypass.ErrUnreachable, Err: err,
	}
}

// browse lists what a reading may read. Of a repository that is what the depot keeps
// then, so that the link's first pull finds it there; and so of a public record that is
// there already, or whose list takes long, as that of an archive does that has to come.
func (r *readers) browse(ctx context.Context, c daypass.Caller, y broker.Reading) (api.SourceFiles, error) {
	keeps := y.As == broker.AsPublic && r.depot != nil
	if y.Source.Kind == daypass.KindGit || keeps && r.depot.Kept(keyOf(y)) {
		return r.browseKept(ctx, c, y)
	}
	from, err := r.contents(ctx, y)
	if err != nil {
		return api.SourceFiles{}, err
	}
	l, err := from.List(ctx, y.Source)
	if err != nil && keeps && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return r.browseKept(ctx, c, y) // it is begun, and goes on when nobody waits any more
	}
	if err != nil {
		return api.SourceFiles{}, err
	}
	out := api.SourceFiles{Files: []api.SourceFile{}, Complete: l.Complete, Notes: l.Notes}
	for _, it := range l.Items {
		if len(out.Files) == api.MaxListed {
			out.Complete = false
			break
		}
		out.Files = append(out.Files, api.SourceFile{Path: joinParts(it.Parts), Size: max(it.Size, -1), Skip: it.Skip})
	}
	return out, nil
}

// browseKept lists what a pull brings: what the depot keeps then.
func (r *readers) browseKept(ctx context.Context, c daypass.Caller, y broker.Reading) (api.SourceFiles, error) {
	if r.depot == nil {
		return api.SourceFiles{}, noReader(y)
	}
	k := keyOf(y)
	if !r.depot.Kept(k) && !r.fresh(c.User) {
		return api.SourceFiles{}, manyNew()
	}
	found := make(chan snapshot.Manifest, 4) // a flight may go on when nobody waits for it
	fetch := func(ctx context.Context, repo *plumbing.Repo, have plumbing.OID, mark string) (depot.Result, error) {
		res, err := r.fetch(y, nil)(ctx, repo, have, mark)
		if err != nil {
			return res, err
		}
		if res.Same {
			res.Commit = have
		}
		o, err := repo.Objects(ctx)
		if err != nil {
			return res, err
		}
		defer o.Close()
		_, m, err := snapshot.ReadContent(o, res.Commit, "", r.limits)
		select {
		case found <- m:
		default:
		}
		return res, err
	}
	for range 3 { // another's flight tells nothing of files
		if _, err := r.depot.GetFor(ctx, askerOf(c, y), k, 0, fetch); err != nil {
			return api.SourceFiles{}, err
		}
		select {
		case m := <-found:
			return filesOf(m), nil
		default:
		}
	}
	return api.SourceFiles{}, inTime(ctx, context.DeadlineExceeded)
}

func filesOf(m snapshot.Manifest) api.SourceFiles {
	out := api.SourceFiles{Files: []api.SourceFile{}, Complete: m.Complete, Notes: m.Notes}
	add := func(list []snapshot.Stored) {
		for _, f := range list {
			if len(out.Files) == api.MaxListed {
				out.Complete = false
				return
			}
			size := f.Size
			if size <= 0 {
				size = -1
			}
			out.Files = append(out.Files, api.SourceFile{Path: f.Path, Size: size, Skip: f.Why})
		}
	}
	add(m.Files)
	add(m.Left)
	return out
}
