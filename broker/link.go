package broker

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// soonEnds is when a link's maker is warned of its end.
const soonEnds = 7 * 24 * time.Hour

// linkName is the form of a link's name, which is a part of an address.
var linkName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{1,62})[a-z0-9]$`)

// appName is the form of an application's name, or of its path at a server.
var appName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}(?:/[A-Za-z0-9_.-]{1,64}){0,4}/?$`)

// MayLink reports whether the caller is in one of the groups whose members may make
// links.
func (b *Broker) MayLink(c daypass.Caller) bool {
	return !byPass(c) && overlap(c.Groups, b.Sources.Links.Groups)
}

// MayAsk says whether a host that the admin lists may be asked for the caller now what an
// address is of: for who may make links, at their pace.
func (b *Broker) MayAsk(ctx context.Context, c daypass.Caller) error {
	p, err := b.linker(ctx, c)
	if err != nil {
		return err
	}
	return b.pacedLook(p)
}

// linker is somebody who may make links, from where links may be made.
func (b *Broker) linker(ctx context.Context, c daypass.Caller) (store.Person, error) {
	p, err := b.keeper(ctx, c)
	if err == nil && !b.MayLink(c) {
		err = &daypass.Problem{
			Code: "DP-729", What: "you may not make links here", Next: "Ask the hub's admins.",
			Who: `Admins name the groups of instructors under "links".`, Kind: daypass.ErrRefused,
		}
	}
	return p, err
}

// keeper is somebody who has links, or may have had.
func (b *Broker) keeper(ctx context.Context, c daypass.Caller) (store.Person, error) {
	p, err := b.themself(ctx, c)
	if err != nil || c.Via == daypass.ViaBrowser {
		return p, err
	}
	if err := b.fromOwn(ctx, c); err != nil {
		return p, err
	}
	if b.Sources.Links.BrowserOnly {
		return p, notFromHere()
	}
	return p, nil
}

// fromOwn refuses who asks from a server that others enter.
func (b *Broker) fromOwn(ctx context.Context, c daypass.Caller) error {
	switch c.Via {
	case daypass.ViaBrowser:
		return nil
	case daypass.ViaServer, daypass.ViaUser:
		switch b.kind(ctx, c) {
		case policy.Own:
			return nil
		case policy.NoKind:
			return hubProblem(nil)
		}
	}
	return notFromHere()
}

func notFromHere() error {
	return &daypass.Problem{
		Code: "DP-744", What: "links are not made, changed or listed from here", Why: "others enter this server, or the hub's admins want a browser for it",
		Next: "Use the page of your links, in your browser.", Kind: daypass.ErrRefused,
	}
}

// LinkTerms says what a link of the caller's may be.
func (b *Broker) LinkTerms(ctx context.Context, c daypass.Caller) (LinkTerms, error) {
	rules := b.Sources.Links
	out := LinkTerms{Max: rules.Max, Everybody: rules.Everybody}
	if _, err := b.linker(ctx, c); err != nil {
		var p *daypass.Problem
		if errors.As(err, &p) && (p.Code == "DP-729" || p.Code == "DP-744") {
			out.Why = p.Error()
			return out, nil
		}
		return out, err
	}
	out.May, out.Groups, out.Hosts = true, slices.Clone(c.Groups), slices.Clone(b.Sources.Hosts)
	for _, a := range b.Sources.Drive {
		if overlap(c.Groups, a.Groups) {
			out.Drive = append(out.Drive, DriveAccount{Account: a.Account, Host: a.host(), Address: a.Address})
		}
	}
	for _, host := range b.Hosts() {
		switch t := b.issuers[host].Traits(); {
		case t.Content:
			out.Canvas = append(out.Canvas, host)
		case t.AsHub:
			out.Git = append(out.Git, host)
		}
	}
	return out, nil
}

// LinkFor shows a link to somebody whom it is for, without reading anything. Its
// maker sees it however it stands.
func (b *Broker) LinkFor(ctx context.Context, c daypass.Caller, name, request string) (LinkView, error) {
	q := &wanting{c: c, request: request, named: name}
	v, err := b.linkFor(ctx, q)
	if err != nil {
		return LinkView{}, b.refuseReading(ctx, q, err)
	}
	return v, nil
}

func (b *Broker) linkFor(ctx context.Context, q *wanting) (LinkView, error) {
	if err := b.enterReading(ctx, q); err != nil {
		return LinkView{}, err
	}
	if err := b.findLink(ctx, q); err != nil {
		return LinkView{}, err
	}
	v, err := b.view(ctx, *q.link, q.p)
	if v.Mine = v.Mine && q.kind == policy.Own; err != nil || v.Mine {
		return b.counted(ctx, v, q.p, err) // where others enter, its maker sees what the audience does
	}
	v.EndsSoon, v.Stands, v.Why = false, q.link.State(b.Now()), q.link.Why
	if err := stateProblem(*q.link, b.Now()); err != nil {
		return v, err
	}
	if err := b.holds(ctx, q.link); err != nil {
		return v, err
	}
	if host := q.link.Source.Host; q.link.As == asPerson {
		conn, err := b.ledger().find(ctx, q.p.ID, host)
		if errors.Is(err, store.ErrNone) || err == nil && conn.State == store.NeedsConsent {
			v.Connect = host
		} else if err != nil {
			return v, storeProblem(err)
		}
	}
	v.Pulls, v.Failures, v.Pulled, v.Failed, v.Failure = 0, 0, time.Time{}, time.Time{}, ""
	v.Account, v.Accept = daypass.Account{}, ""
	return v, nil
}

// counted shows its maker a link with the counts of now: what was read of links before
// is a minute old.
func (b *Broker) counted(ctx context.Context, v LinkView, p store.Person, err error) (LinkView, error) {
	if err != nil {
		return v, err
	}
	l, err := b.own(ctx, p, v.Name)
	if err != nil {
		return LinkView{}, err
	}
	return b.view(ctx, l, p)
}

// LinkLost is how a link stands that could be opened, but for its source: when that was
// looked at last, it was not to be read. Only its maker is told so.
const LinkLost store.LinkState = "lost"

// lost says since when a link's source is not to be read, as far as is known.
func (b *Broker) lost(l store.Link) (time.Time, bool) {
	if l.As == asPerson {
		return time.Time{}, false // each reads their own
	}
	key, bad := (standKey{l.Source, l.As, l.Maker}), time.Time{}
	b.linked.mu.Lock()
	good, seen := b.linked.tested[key], b.linked.stands[key]
	b.linked.mu.Unlock()
	later := func(to *time.Time, t time.Time) {
		if t.After(*to) {
			*to = t
		}
	}
	if seen.problem != nil {
		bad = seen.at
	} else {
		later(&good, seen.at)
	}
	if l.Failure == "DP-727" {
		later(&bad, l.Failed)
	}
	later(&good, l.Pulled)
	later(&good, l.Changed)
	return bad, bad.After(good)
}

func (b *Broker) view(ctx context.Context, l store.Link, p store.Person) (LinkView, error) {
	now := b.Now()
	v := LinkView{Link: l, Stands: l.State(now), MakerName: p.User.Name, Mine: l.Maker == p.ID}
	v.EndsSoon = (v.Stands == store.LinkLive || v.Stands == store.LinkPaused) && l.Until.Sub(now) < soonEnds
	if at, lost := b.lost(l); lost && v.Mine && (v.Stands == store.LinkLive || v.Stands == store.LinkEarly) {
		v.Stands, v.Why = LinkLost, "what it leads to could not be read on "+stamp(at)
	}
	if !v.Mine {
		maker, ok, err := b.Store.PersonByID(ctx, l.Maker)
		if err != nil {
			return v, storeProblem(err)
		}
		if v.MakerName = ""; ok {
			v.MakerName = maker.User.Name
		}
	}
	return v, nil
}

// LinksOf lists the caller's own links, newest first.
func (b *Broker) LinksOf(ctx context.Context, c daypass.Caller) ([]LinkView, error) {
	p, err := b.themself(ctx, c)
	if err == nil {
		err = b.fromOwn(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	list, err := b.Store.Links(ctx, store.LinkFilter{Maker: p.ID, Hub: b.Hub.ID})
	if err != nil {
		return nil, storeProblem(err)
	}
	var out []LinkView
	for _, l := range list {
		v, err := b.view(ctx, l, p)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// own finds a link of somebody's as it is in the store now.
func (b *Broker) own(ctx context.Context, p store.Person, name string) (store.Link, error) {
	if !linkName.MatchString(name) {
		return store.Link{}, notYours()
	}
	list, err := b.Store.Links(ctx, store.LinkFilter{Maker: p.ID, Hub: b.Hub.ID, Name: name})
	if err != nil {
		return store.Link{}, storeProblem(err)
	}
	if len(list) != 1 {
		return store.Link{}, notYours()
	}
	return list[0], nil
}

func notYours() error {
	return &daypass.Problem{Code: "DP-733", What: "you have no link of that name", Next: `"daypass link list" shows yours.`, Kind: daypass.ErrRefused}
}

// MakeLink makes a link. Its maker's own right to the source is looked at first, and
// whether its folder is there, unless that takes long.
func (b *Broker) MakeLink(ctx context.Context, c daypass.Caller, ask LinkAsk) (LinkView, error) {
	l := store.Link{Hub: b.Hub.ID, Name: ask.Name, Until: b.Now().Add(b.Sources.Links.Max)}
	return b.writeLink(ctx, c, &ask, store.Linked, func(store.Person) (store.Link, error) { return l, nil })
}

// EditLink changes what of a link the caller asks to: its source too, to which their
// right is then looked at.
func (b *Broker) EditLink(ctx context.Context, c daypass.Caller, name string, ask LinkAsk) (LinkView, error) {
	ask.Name = name
	return b.writeLink(ctx, c, &ask, store.LinkChanged, func(p store.Person) (store.Link, error) {
		l, err := b.own(ctx, p, name)
		if err == nil && !l.Ended.IsZero() {
			err = stateProblem(l, b.Now())
		}
		return l, err
	})
}

// CopyLink makes a link like another of the caller's, such as for the next term. What
// ask leaves out is as there, but for the dates and the pause.
func (b *Broker) CopyLink(ctx context.Context, c daypass.Caller, name string, ask LinkAsk) (LinkView, error) {
	return b.writeLink(ctx, c, &ask, store.Linked, b.like(ctx, name, &ask))
}

// writeLink changes what begin returns to what was asked, and keeps it.
func (b *Broker) writeLink(ctx context.Context, c daypass.Caller, ask *LinkAsk, kind store.Kind, begin func(store.Person) (store.Link, error)) (LinkView, error) {
	q := &wanting{c: c, request: ask.Request, kind: policy.Own}
	l, err := b.asked(ctx, q, ask, begin)
	if err == nil {
		l, err = b.keepLink(ctx, q, l, kind)
	}
	if err != nil {
		q.named = ask.Name
		return LinkView{}, b.refuseReading(ctx, q, err)
	}
	return b.view(ctx, l, q.p)
}

func (b *Broker) asked(ctx context.Context, q *wanting, ask *LinkAsk, begin func(store.Person) (store.Link, error)) (store.Link, error) {
	var err error
	if q.p, err = b.linker(ctx, q.c); err != nil {
		return store.Link{}, err
	}
	l, err := begin(q.p)
	if err != nil {
		return l, err
	}
	l.Maker = q.p.ID
	if l.ID == 0 {
		if err := b.roomForLinks(ctx, q.p, 1); err != nil {
			return l, err
		}
	}
	was := l.Source
	if err := b.filled(&l, *ask); err != nil {
		return l, err
	}
	source := ask.Source
	if source == nil && l.ID == 0 {
		source = &daypass.Source{}
	}
	if source == nil {
		return l, nil
	}
	q.source = *source
	g, err := b.groundFor(ctx, q, *source)
	if err == nil && g.source != was {
		err = b.onFolderSoon(ctx, q, g)
	}
	if err != nil {
		return l, err
	}
	l.Source, l.As, l.Repo, l.Account, l.Template = g.source, g.as, g.repo.ID, g.account, isTemplate(g.source)
	titled(&l, was, g.seen.Title)
	return l, nil
}

// titled gives a link the title of the source that was seen for it, unless its maker wrote
// one. What was called after another source than that is not called so any more.
func titled(l *store.Link, was daypass.Source, title string) {
	if l.Title != "" && !l.SourceTitle {
		return
	}
	if !shown(title) {
		title = ""
	}
	if l.Source != was || title != "" {
		l.Title = clip(title, 200)
	}
	l.SourceTitle = l.Title != ""
}

const (
	// maxLinks bounds the links of one person that have not ended, and maxNames those
	// that they ever made, whose names stay taken.
	maxLinks = 1000
	maxNames = 5 * maxLinks
)

func (b *Broker) roomForLinks(ctx context.Context, p store.Person, n int) error {
	list, err := b.Store.Links(ctx, store.LinkFilter{Maker: p.ID, Hub: b.Hub.ID})
	if err != nil {
		return storeProblem(err)
	}
	names := len(list)
	list = slices.DeleteFunc(list, func(l store.Link) bool { return !l.Ended.IsZero() })
	p749 := &daypass.Problem{Code: "DP-749", What: "you have as many links as one person may have", Next: `End some that are over: "daypass link list --all" shows them.`, Kind: daypass.ErrRefused}
	switch {
	case names+n > maxNames:
		p749.What, p749.Next = "you have made as many links as one person may", "Change one that you have: its source, its group, its dates. Names of links that ended stay taken."
	case len(list)+n <= maxLinks:
		return nil
	}
	return p749
}

func clip(s string, n int) string {
	r := []rune(s)
	return string(r[:min(len(r), n)])
}

// filled takes over what is asked of a link, but for its source, and judges it.
func (b *Broker) filled(l *store.Link, ask LinkAsk) error {
	take := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	if ask.Title != nil {
		l.Title, l.SourceTitle = *ask.Title, false
	}
	if ask.Source != nil && *ask.Source != l.Source {
		l.Accept = "" // it is of another assignment
	}
	take(&l.Accept, ask.Accept)
	take(&l.Folder, ask.Folder)
	take(&l.Open, ask.Open)
	take(&l.App, ask.App)
	take(&l.Audience, ask.Audience)
	if ask.From != nil {
		l.From = *ask.From
	}
	if ask.Until != nil {
		l.Until = *ask.Until
		if l.Until.IsZero() {
			l.Until = b.Now().Add(b.Sources.Links.Max)
		}
	}
	if ask.Paused != nil {
		l.Paused = *ask.Paused
	}
	if err := acceptFault(*l, ask); err != nil {
		return err
	}
	return b.linkFault(*l, ask)
}

// acceptFault says what is wrong with where a link would have an assignment accepted.
func acceptFault(l store.Link, ask LinkAsk) error {
	template := l.Template
	if ask.Source != nil {
		template = isTemplate(*ask.Source)
	}
	if l.Accept == "" {
		return nil
	}
	if !template {
		return &daypass.Problem{
			Code: "DP-739", What: "an invitation is for a link to each student's own copy, and this one reads the same for all", Next: "Leave the invitation out, or write " + login + " in the source for the student's login.", Kind: daypass.ErrUsage,
		}
	}
	if _, ok := daypass.PageHost(l.Accept); !ok {
		return &daypass.Problem{
			Code: "DP-739", What: "the invitation is the address of a page, beginning with https:// and a host's name in small letters, of at most " + strconv.Itoa(daypass.MaxPage) + " characters",
			Next: "Copy it from where you made the assignment, such as https://classroom.github.com/a/XXXX.", Kind: daypass.ErrUsage,
		}
	}
	return nil
}

// linkFault says what is wrong with a link.
func (b *Broker) linkFault(l store.Link, ask LinkAsk) error {
	p := &daypass.Problem{Kind: daypass.ErrUsage}
	badPath := func(s string) bool {
		return s != "" && (len(s) > 1024 || !shown(s) || strings.HasPrefix(s, "~") || slices.ContainsFunc(strings.Split(s, "/"), step))
	}
	hides := func(s string) bool { return strings.HasPrefix(s, ".") } // the page at a server refuses such, too
	switch now := b.Now(); {
	case !linkName.MatchString(l.Name) || strings.Contains(l.Name, "--"):
		p.Code, p.What = "DP-730", "a link's name has 3 to 64 of a to z, 0 to 9 and single hyphens, and begins and ends with none of these"
		p.Next = "Choose another, such as ph142-lab1."
	case len([]rune(l.Title)) > 200 || !shown(l.Title):
		p.Code, p.What, p.Next = "DP-739", "the title is longer than 200 characters, or has some that cannot be shown", "Choose another."
	case badPath(l.Folder) || badPath(l.Open):
		p.Code, p.What = "DP-739", "the folder and the file to open are paths with /, from the home and from the source on, without . and .."
		p.Next = "Correct that path."
	case ask.Folder != nil && (strings.ContainsAny(l.Folder, "?#") || slices.ContainsFunc(strings.Split(l.Folder, "/"), hides)):
		p.Code, p.What, p.Next = "DP-739", "the folder is a hidden one, or has a ? or # in its name", "Choose another, such as lab1."
	case l.App != "" && (!appName.MatchString(l.App) || strings.Contains(l.App, "..")):
		p.Code, p.What, p.Next = "DP-739", "the application is a name such as lab, notebook or rstudio", "Correct that."
	case l.Audience == store.Everybody && !b.Sources.Links.Everybody, l.Audience == "", len(l.Audience) > 200, !shown(l.Audience):
		p.Code, p.What, p.Next = "DP-732", "a link is for a group of the hub", "Name the group."
		if l.Audience == store.Everybody {
			p.Who = `Admins allow links for all users of the hub by "links.everybody".`
		}
	case (ask.Until != nil || l.ID == 0) && (!l.Until.After(now) || l.Until.Sub(now) > b.Sources.Links.Max+time.Minute), !l.From.Before(l.Until):
		p.Code, p.What, p.Next = "DP-731", "a link ends within "+days(b.Sources.Links.Max)+" from today, and after it begins", "Choose other dates."
	default:
		return nil
	}
	return p
}

// keepLink writes a link with its event.
func (b *Broker) keepLink(ctx context.Context, q *wanting, l store.Link, kind store.Kind) (store.Link, error) {
	out, err := b.keepLinks(ctx, []*wanting{q}, []store.Link{l}, kind)
	if err != nil {
		return l, err
	}
	return out[0], nil
}

// nameTaken says why a name is not to be had: to whose it was more than to others.
func (b *Broker) nameTaken(ctx context.Context, q *wanting, name string) error {
	p := &daypass.Problem{
		Code: "DP-730", What: "the name " + name + " is taken, or was another's", Next: "Choose another: what people wrote down must not lead elsewhere.", Kind: daypass.ErrUsage,
	}
	switch was, err := b.own(ctx, q.p, name); {
	case err != nil:
	case was.Ended.IsZero():
		p.What, p.Next = "you have a link of the name "+name, `Choose another name, or change that one: "daypass link edit `+name+`".`
	default:
		p.What = "the name " + name + " was that of a link of yours, which has ended"
		p.Next = `Choose another: what people wrote down must not lead elsewhere. "daypass link copy ` + name + ` NEW-NAME" makes a link like that one.`
	}
	return p
}

func audience(l store.Link) string {
	if l.Audience == store.Everybody {
		return "everybody"
	}
	return "the group " + l.Audience
}

// EndLink ends one of the caller's own links for good.
func (b *Broker) EndLink(ctx context.Context, c daypass.Caller, name, request string) error {
	p, err := b.keeper(ctx, c)
	var l store.Link
	if err == nil {
		l, err = b.own(ctx, p, name)
	}
	q := &wanting{c: c, p: p, request: request, named: name, source: l.Source}
	if err == nil {
		err = b.endLink(ctx, l, "its maker ended it", b.readEvent(q, store.LinkEnded))
	}
	if err != nil {
		return b.refuseReading(ctx, q, err)
	}
	return nil
}

// CloseLink ends anybody's link, for an admin.
func (b *Broker) CloseLink(ctx context.Context, name, by string) error {
	list, err := b.Store.Links(ctx, store.LinkFilter{Hub: b.Hub.ID, Name: name})
	if err != nil || len(list) != 1 || name == "" {
		return cmp.Or(storeProblem(err), error(&daypass.Problem{Code: "DP-733", What: "there is no link of that name", Next: `"daypass admin links list" shows all.`, Kind: daypass.ErrRefused}))
	}
	return b.endLink(ctx, list[0], "an admin ended it", store.Event{At: b.Now(), Kind: store.LinkEnded, Person: list[0].Maker, Hub: b.Hub.ID, User: by})
}

// linkEnd fills in what ended, and why.
func linkEnd(e store.Event, l store.Link, why string) store.Event {
	e.Outcome, e.Host, e.Repo, e.RepoID, e.Why = store.OK, l.Source.Host, l.Source.ID, l.Repo, "link "+l.Name+": "+why
	return e
}

func (b *Broker) endLink(ctx context.Context, l store.Link, why string, e store.Event) error {
	e = linkEnd(e, l, why)
	err := b.Store.Write(ctx, func(tx *store.Tx) error {
		ok, err := tx.EndSourceLink(l.ID, b.Now(), why)
		if ok {
			tx.Record(e)
		}
		return err
	})
	b.linked.drop()
	return storeProblem(err)
}
