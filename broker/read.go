package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// The parts of [Reading.As].
const (
	asHubPrefix = "hub:"
	asPersons   = "person:"
	// AsPublic reads without any credential.
	AsPublic = "public"
	// asPerson is what a link says that is read as whoever opens it.
	asPerson = "person"
)

// AsHub is [Reading.As] of an account of the hub's.
func AsHub(account string) string { return asHubPrefix + account }

const (
	// readAge is how old a look may be: a class that clicks at once costs one.
	readAge   = 20 * time.Second
	driveHost = "drive.google.com"
)

func (s Sources) filled() Sources {
	if s.Links.Max <= 0 {
		s.Links.Max = 180 * 24 * time.Hour
	}
	return s
}

func (a DriveAccount) host() string { return cmp.Or(a.Host, driveHost) }

func hubAccount(as string) (string, bool) { return strings.CutPrefix(as, asHubPrefix) }

// A wanting is somebody who wants to read, and what is known of them.
type wanting struct {
	c       daypass.Caller
	p       store.Person
	kind    policy.ServerKind
	pass    *passing
	request string
	link    *store.Link    // found, and for them
	source  daypass.Source // asked for, or the link's
	named   string         // the link that they named
	pack    string         // the snapshot whose file they ask for
}

// ReadSource says whether the caller may read a source now, and as whom. It is asked
// for each request, before any to an upstream but the look that shows that who made
// a link has the right still. What is not there, is not enrolled, or is not for the
// caller is one answer. The error is a [Refusal].
func (b *Broker) ReadSource(ctx context.Context, c daypass.Caller, ask SourceAsk) (Reading, error) {
	q := &wanting{c: c, request: ask.Request, named: ask.Link, source: ask.Source, pack: ask.Pack}
	r, err := b.readSource(ctx, q, ask)
	if err != nil {
		return Reading{}, b.refuseReading(ctx, q, err)
	}
	e := b.readEvent(q, store.ReadContent)
	e.Outcome, e.As, e.Rule, e.Host, e.Repo, e.Why = store.OK, plainAs(r.As), r.Rule, r.Source.Host, r.Source.ID, r.Source.String()
	e.RepoID = r.Repo.ID
	if r.Event, err = b.recordReading(ctx, q, e); err != nil {
		return Reading{}, b.refuseReading(ctx, q, err)
	}
	q.pass.used()
	b.observedRead(r.Source.Kind, r.As, store.OK)
	return r, nil
}

func (b *Broker) readSource(ctx context.Context, q *wanting, ask SourceAsk) (Reading, error) {
	if q.c.Via != daypass.ViaServer && q.c.Via != daypass.ViaUser && q.c.Via != daypass.ViaPass {
		return Reading{}, &daypass.Problem{
			Code: "DP-728", What: "a browser is given no content", Next: "Open the link in a server of yours.", Kind: daypass.ErrRefused,
		}
	}
	if ask.Stale {
		return Reading{}, hubProblem(nil)
	}
	if err := b.enterReading(ctx, q); err != nil {
		return Reading{}, err
	}
	if ask.Link == "" {
		return b.bySource(ctx, q)
	}
	if ask.Source != (daypass.Source{}) {
		return Reading{}, noSuchSource()
	}
	if err := b.findLink(ctx, q); err != nil {
		return Reading{}, err
	}
	if err := stateProblem(*q.link, b.Now()); err != nil {
		return Reading{}, err
	}
	r, err := b.byLink(ctx, q)
	r.Link, r.Rule, r.maker, r.reader = q.link, "link:"+q.link.Name, q.link.Maker, q.p.ID
	return r, err
}

// enterReading says who reads, from what kind of server, by which pass.
func (b *Broker) enterReading(ctx context.Context, q *wanting) error {
	if q.c.Via != daypass.ViaPass && byPass(q.c) {
		return notByPass()
	}
	var err error
	if q.p, err = b.person(ctx, q.c.User); err != nil {
		return err
	}
	if q.c.Via == daypass.ViaBrowser {
		q.kind = policy.Own // it is given words only
		return nil
	}
	asks := q.c
	if q.c.Via == daypass.ViaPass {
		if q.pass, err = b.passReading(ctx, q); err != nil {
			return err
		}
		if !q.pass.Row.Server.Known {
			q.kind = policy.Own
			return nil
		}
		asks.Via, asks.Server = daypass.ViaServer, q.pass.Row.Server
	}
	if q.kind = b.kind(ctx, asks); q.kind == policy.NoKind {
		return hubProblem(nil)
	}
	return nil
}

// passReading opens the pass that somebody reads with.
func (b *Broker) passReading(ctx context.Context, q *wanting) (*passing, error) {
	text, err := pass.Parse(q.c.Pass.Text)
	if err != nil {
		return nil, unknownPass()
	}
	s, err := b.book.Open(ctx, text)
	if err != nil {
		return nil, err
	}
	if s.Row.Person != q.p.ID || s.Row.ID != q.c.Pass.ID {
		return nil, unknownPass()
	}
	out := &passing{Shown: s}
	if out.facts, err = b.facts(ctx, q.c, s); err != nil {
		return nil, err
	}
	if life(s.Row) > policy.DefaultMaxPass {
		return nil, &Refusal{Passes: true, Problem: &daypass.Problem{
			Code: "DP-174", What: "content is given to no pass that lives as long as this one", Why: "from its making to its end it may be " + span(policy.DefaultMaxPass),
			Next: "Make a pass that ends sooner, and use that.", Kind: daypass.ErrRefused,
		}}
	}
	if file, ok := (&wanting{pass: out, pack: q.pack}).fetching(); ok && b.fetched.has(file, b.Now()) {
		return out, nil
	}
	return out, s.left(ctx)
}

// passAllows holds a pass to a source. Who asks by a link's name is not told what
// the link is to.
func (q *wanting) passAllows(s daypass.Source, repo daypass.Repo) error {
	if q.pass == nil {
		return nil
	}
	f := q.passFacts(s)
	f.Repo.ID = repo.ID
	return q.passCheck(f)
}

// passMay is passAllows before a repository's number is known: a limit that names a
// number is met or not once it is.
func (q *wanting) passMay(s daypass.Source) error {
	if q.pass == nil {
		return nil
	}
	f, repos := q.passFacts(s), q.pass.Opened.Rights.Repos
	if s.Kind == daypass.KindGit && slices.ContainsFunc(repos.List, func(r daypass.Repo) bool { _, ok := r.Intersect(f.Repo); return ok }) {
		f.Waive, f.Repo = f.Waive|pass.KindRepo, daypass.Repo{}
	}
	return q.passCheck(f)
}

func (q *wanting) passFacts(s daypass.Source) pass.Facts {
	f := q.pass.facts
	f.Host, f.Access, f.Source = s.Host, daypass.Read, s.String()
	if s.Kind == daypass.KindGit {
		f.Repo, _ = daypass.ParseRepo(s.ID)
	}
	return f
}

func (q *wanting) passCheck(f pass.Facts) error {
	err := q.pass.Check(f)
	if err != nil && q.named != "" && code(err) == "DP-161" {
		return noSuchSource()
	}
	return err
}

// findLink finds the link that was named, if it is for the caller.
func (b *Broker) findLink(ctx context.Context, q *wanting) error {
	l, err := b.linkNamed(ctx, q.named)
	if err != nil {
		return err
	}
	if l == nil || l.Maker == 0 || !b.forCaller(q, l) {
		return noSuchSource()
	}
	if err := q.passAllows(l.Source, daypass.Repo{ID: l.Repo}); err != nil && !l.Template {
		return err
	}
	q.link, q.source = l, l.Source
	return nil
}

func (b *Broker) forCaller(q *wanting, l *store.Link) bool {
	return l.Maker == q.p.ID || l.Audience == store.Everybody && b.Sources.Links.Everybody ||
		l.Audience != store.Everybody && overlap(q.c.Groups, []string{l.Audience})
}

// stateProblem says why a link is not good now, to those whom it is for.
func stateProblem(l store.Link, now time.Time) error {
	p := &daypass.Problem{Next: "Ask whoever teaches the course.", Kind: daypass.ErrRefused}
	switch l.State(now) {
	case store.LinkLive:
		return nil
	case store.LinkGone:
		p.Code, p.What, p.Why = "DP-724", "the link "+l.Name+" was ended on "+stamp(l.Ended), l.Why
	case store.LinkOver:
		p.Code, p.What = "DP-724", "the link "+l.Name+" was good until "+stamp(l.Until)
		p.Who = "Whoever made it can give it another end."
	case store.LinkPaused:
		p.Code, p.What, p.Who = "DP-725", "the link "+l.Name+" is paused", "Whoever made it can let it go on."
	case store.LinkEarly:
		p.Code, p.What, p.Next = "DP-726", "the link "+l.Name+" begins on "+stamp(l.From), "Come back then."
	}
	return p
}

// holds looks at all of a link's ground that no upstream has to be asked for.
func (b *Broker) holds(ctx context.Context, l *store.Link) error {
	groups, err := b.makerGroups(ctx, l.Maker)
	if errors.Is(err, errGone) {
		return fallen(l, "whoever made it has left this hub")
	}
	if err != nil {
		return err
	}
	if !overlap(groups, b.Sources.Links.Groups) {
		return fallen(l, "whoever made it may make no links any more")
	}
	account, hub := hubAccount(l.As)
	switch {
	case l.As == AsPublic && !b.public(l.Source):
		return fallen(l, "this service does not read from "+l.Source.Host+" any more")
	case hub && l.Source.Kind == daypass.KindDrive:
		a, err := b.mayUse(ctx, l.Source, account, groups)
		if err != nil {
			return err
		}
		if a == nil {
			return fallen(l, "whoever made it may not use the account that reads it any more")
		}
	}
	return nil
}

// byLink reads what a link names.
func (b *Broker) byLink(ctx context.Context, q *wanting) (Reading, error) {
	l := q.link
	if err := b.holds(ctx, l); err != nil {
		return Reading{}, err
	}
	switch account, hub := hubAccount(l.As); {
	case l.As == AsPublic:
		return Reading{Source: l.Source, As: AsPublic, MaxAge: readAge}, nil
	case l.Template:
		return b.byTemplate(ctx, q)
	case l.As == asPerson:
		return b.asOneself(ctx, q, l.Source)
	case hub && l.Source.Kind == daypass.KindDrive:
		return b.driveByLink(ctx, l, account)
	case hub && l.Source.Kind == daypass.KindGit:
		return b.gitByLink(ctx, q)
	}
	return Reading{}, fallen(l, "it cannot be read this way")
}

func fallen(l *store.Link, why string) error {
	return &daypass.Problem{
		Code: "DP-727", What: "what the link " + l.Name + " leads to cannot be read any more", Why: why,
		Next: "Ask whoever teaches the course.", Who: `Whoever made the link sees more with "daypass link check".`, Kind: daypass.ErrRefused,
	}
}

// lostSource is fallen where the source is not to be found any more.
func lostSource(l *store.Link) error {
	switch {
	case l.Source.Kind == daypass.KindDrive:
		return fallen(l, "it is not shared with the account that reads it any more, or is gone")
	case l.Source.Kind == daypass.KindGit && l.Source.Path != "":
		return fallen(l, "the repository is gone, or has no such branch or folder any more")
	case l.Source.Kind == daypass.KindGit:
		return fallen(l, "the repository is gone, or has no such branch any more")
	}
	return fallen(l, "it is gone from "+l.Source.Host+", or not public any more")
}

// public reports whether a source is read without a credential.
func (b *Broker) public(s daypass.Source) bool {
	return slices.Contains(b.Sources.Hosts, s.Host) && slices.Contains(publicKinds, s.Kind)
}

// driveByLink reads a folder by an account that was seen to read it at most five
// minutes ago.
func (b *Broker) driveByLink(ctx context.Context, l *store.Link, account string) (Reading, error) {
	r := Reading{Source: l.Source, As: asHubPrefix + account, Account: account, MaxAge: readAge, maker: l.Maker}
	if err := b.seenToRead(ctx, r); err != nil {
		if settled(err) {
			return Reading{}, lostSource(l)
		}
		return Reading{}, err
	}
	return r, nil
}

// mayUse finds an account of that name that somebody in those groups may read a
// folder by; nil: they may not. One that several groups may use reads only what an
// admin enrolled: what one shared with it is not the other's to give on. And what
// another account holds is its own.
func (b *Broker) mayUse(ctx context.Context, s daypass.Source, account string, groups []string) (*DriveAccount, error) {
	for i, a := range b.Sources.Drive {
		if a.Account != account || a.host() != s.Host || !overlap(groups, a.Groups) {
			continue
		}
		listed, err := b.enrolledBy(ctx, s, a)
		if err != nil || !listed && len(a.Groups) > 1 {
			return nil, err
		}
		if !listed {
			held, err := b.holdersOf(ctx, s)
			if err != nil || slices.ContainsFunc(held, func(h string) bool { return h != account }) {
				return nil, err
			}
		}
		return &b.Sources.Drive[i], nil
	}
	return nil, nil
}

// seenToRead looks at a source of Drive, unless that was done lately.
func (b *Broker) seenToRead(ctx context.Context, r Reading) error {
	if b.Sources.Look == nil {
		return noSuchSource()
	}
	_, err := b.standsNow(ctx, r.standing(), func(ctx context.Context) (daypass.Repo, error) {
		_, err := b.Sources.Look(ctx, r)
		return daypass.Repo{}, err
	})
	return err
}

// standing is what a look of the reading's was at: as a person it is theirs, whoever
// made the link.
func (r Reading) standing() standKey {
	if r.person != 0 {
		r.maker = 0
	}
	return standKey{r.Source, r.As, r.maker}
}

// gitByLink reads a repository by the content App, while its maker was seen to
// administer it at most five minutes ago.
func (b *Broker) gitByLink(ctx context.Context, q *wanting) (Reading, error) {
	l := q.link
	g, ok := b.issuers[l.Source.Host]
	repo, named := daypass.ParseRepo(l.Source.ID)
	if !ok || !named || !g.Traits().AsHub || l.Repo == 0 {
		return Reading{}, fallen(l, "there is no App for content at "+l.Source.Host)
	}
	if err := b.forbidden(q, l.Source.Host, repo, policy.AsHub); err != nil {
		return Reading{}, err
	}
	repo.ID = l.Repo
	r := Reading{Source: l.Source, As: asHubPrefix + l.Source.Host, Account: l.Source.Host, Repo: repo, MaxAge: readAge, maker: l.Maker}
	now, err := b.standsNow(ctx, r.standing(), func(ctx context.Context) (daypass.Repo, error) { return b.administered(ctx, g, repo, l.Account) })
	if err != nil && settled(err) {
		return Reading{}, fallen(l, "whoever made it can no longer be seen to administer the repository, or the content App was taken off it")
	}
	if err != nil {
		return Reading{}, err
	}
	if !now.SameName(repo) {
		if err := b.forbidden(q, l.Source.Host, now, policy.AsHub); err != nil {
			return Reading{}, err
		}
		r.Repo, r.Source.ID = now, now.String() // where it is today: no redirect is followed
	}
	return r, nil
}

// administered asks the content App whether an account administers a repository,
// which is known by its number.
func (b *Broker) administered(ctx context.Context, g *guarded, repo daypass.Repo, who daypass.Account) (daypass.Repo, error) {
	var right daypass.Right
	err := g.call(ctx, "right", func(ctx context.Context) error {
		var err error
		right, err = g.RightAsHub(ctx, repo, who)
		return err
	})
	if err == nil && (!right.Admin || right.Repo.ID != repo.ID || repo.ID == 0) {
		err = daypass.ErrNoSuchRepo
	}
	return right.Repo, err
}

// forbidden holds reading as the hub to the rules that forbid, and reading as oneself
// to those that allow.
func (b *Broker) forbidden(q *wanting, host string, repo daypass.Repo, as policy.As) error {
	v := b.Rules.Decide(policy.Request{
		User: q.c.User.Name, Groups: q.c.Groups, Server: q.c.Server, Kind: q.kind, Host: host, Repo: repo, Access: daypass.Read, As: as, Pass: q.pass.whole(),
	})
	if v.Allowed || as == policy.AsHub && v.Rule == policy.Default {
		return nil
	}
	return denied(host, v.Rule, v.Why)
}

// bySource reads what somebody names themself.
func (b *Broker) bySource(ctx context.Context, q *wanting) (Reading, error) {
	s := q.source
	if !b.sound(s) {
		q.source = daypass.Source{}
		return Reading{}, noSuchSource()
	}
	if err := q.passMay(s); err != nil {
		return Reading{}, err
	}
	if rule := b.ruleFor(q, s); rule != nil {
		chose := !slices.Contains(rule.Sources, s) // a folder below it
		if chose {
			if err := b.pacedLook(q.p); err != nil {
				return Reading{}, err
			}
		}
		r, err := b.byRule(ctx, q, s, rule)
		r.Chose = chose
		return r, err
	}
	if b.public(s) {
		if err := q.passAllows(s, daypass.Repo{}); err != nil {
			return Reading{}, err
		}
		return Reading{Source: s, As: AsPublic, Rule: "public", MaxAge: readAge, Chose: true}, b.pacedLook(q.p)
	}
	if s.Kind == daypass.KindCanvas {
		r, err := b.asOneself(ctx, q, s)
		r.Rule, r.Chose = "own-connection", true
		return r, err
	}
	return Reading{}, noSuchSource()
}

func (b *Broker) ruleFor(q *wanting, s daypass.Source) *SourceRule {
	for i, r := range b.Sources.Rules {
		if !slices.Contains(r.Users, q.c.User.Name) && !overlap(r.Groups, q.c.Groups) {
			continue
		}
		for _, have := range r.Sources {
			if placeOf(have) == placeOf(s) && have.Ref == s.Ref && within(s.Path, have.Path) {
				return &b.Sources.Rules[i]
			}
		}
	}
	return nil
}

// byRule reads what an admin's rule names: a folder by the account that has it
// enrolled, a repository by the content App.
func (b *Broker) byRule(ctx context.Context, q *wanting, s daypass.Source, rule *SourceRule) (Reading, error) {
	r := Reading{Source: s, Rule: rule.Name, MaxAge: readAge}
	switch s.Kind {
	case daypass.KindDrive:
		for _, a := range b.Sources.Drive {
			listed, err := b.enrolledBy(ctx, s, a)
			if err != nil {
				return r, err
			}
			if listed && a.host() == s.Host {
				r.As, r.Account = asHubPrefix+a.Account, a.Account
				if err := b.seenToRead(ctx, r); err != nil && settled(err) {
					return r, noSuchSource()
				} else {
					return r, err
				}
			}
		}
	case daypass.KindGit:
		return b.gitByRule(ctx, q, r)
	}
	if b.public(s) {
		r.As = AsPublic
		return r, nil
	}
	return r, noSuchSource()
}

func (b *Broker) gitByRule(ctx context.Context, q *wanting, r Reading) (Reading, error) {
	g, ok := b.issuers[r.Source.Host]
	repo, _ := daypass.ParseRepo(r.Source.ID)
	if !ok || !g.Traits().AsHub {
		return r, noSuchSource()
	}
	if err := b.forbidden(q, r.Source.Host, repo, policy.AsHub); err != nil {
		return r, err
	}
	ask := Ask{Host: r.Source.Host, Repo: repo, Access: daypass.Read, Request: q.request}
	right, err := b.lookAsHub(ctx, g, ask)
	if errors.Is(err, daypass.ErrNoSuchRepo) {
		return r, noSuchSource()
	}
	if err != nil {
		return r, err
	}
	if err := b.forbidden(q, r.Source.Host, right.Repo, policy.AsHub); err != nil {
		return r, err
	}
	if err := b.pinned(ctx, q.c, q.p, 0, ask, right.Repo); err != nil {
		return r, err
	}
	r.As, r.Account, r.Repo = asHubPrefix+r.Source.Host, r.Source.Host, right.Repo
	return r, q.passAllows(r.Source, right.Repo)
}

// asOneself reads by the caller's own connection, for them alone.
func (b *Broker) asOneself(ctx context.Context, q *wanting, s daypass.Source) (Reading, error) {
	g, ok := b.issuers[s.Host]
	if !ok || !g.Traits().Content || s.Kind != daypass.KindCanvas {
		return Reading{}, noSuchSource()
	}
	if q.kind != policy.Own {
		return Reading{}, othersEnter()
	}
	conn, err := b.ledger().find(ctx, q.p.ID, s.Host)
	if err != nil {
		return Reading{}, gone(s.Host, err)
	}
	if conn.State == store.NeedsConsent {
		return Reading{}, notConnected(s.Host, conn.Why)
	}
	r := Reading{Source: s, As: b.asPersonOf(q.p), MaxAge: readAge, person: q.p.ID}
	if q.pack == "" {
		return r, nil // it is looked at next
	}
	// What was read as them is kept, and nobody looks before its file is given.
	if err := b.seenToRead(ctx, r); err != nil && settled(err) {
		return Reading{}, noSuchSource()
	} else if err != nil {
		return Reading{}, err
	}
	return r, nil
}

// asPersonOf names somebody for good: in another store, or in one that was restored,
// the same number may be somebody else's, and what was read as them is still there.
func (b *Broker) asPersonOf(p store.Person) string {
	return fmt.Sprint(asPersons, p.ID, "@", b.Store.Instance(), ".", b.Store.Epoch())
}

func othersEnter() error {
	return &daypass.Problem{
		Code: "DP-742", What: "a server that others enter reads nothing with your own account", Next: "Open this in a server that is yours alone.", Kind: daypass.ErrRefused,
	}
}

// byTemplate reads the caller's own copy: a repository with their login in its name,
// with their own right.
func (b *Broker) byTemplate(ctx context.Context, q *wanting) (Reading, error) {
	host := q.link.Source.Host
	g, ok := b.issuers[host]
	if !ok || g.Traits().Content || q.link.Source.Kind != daypass.KindGit {
		return Reading{}, fallen(q.link, "accounts at "+host+" are not connected here")
	}
	if q.kind != policy.Own {
		return Reading{}, othersEnter()
	}
	led := b.ledger()
	conn, err := led.find(ctx, q.p.ID, host)
	if err != nil {
		return Reading{}, gone(host, err)
	}
	if _, _, err := b.copyOf(q, conn.Account.Login); err != nil {
		return Reading{}, err // before anybody is asked
	}
	conn, grant, err := b.access(ctx, g, led, conn)
	if err != nil {
		return Reading{}, err
	}
	if conn.Account.Login, err = b.loginNow(ctx, g, led, conn, grant); err != nil {
		return Reading{}, err
	}
	s, repo, err := b.copyOf(q, conn.Account.Login)
	if err != nil {
		return Reading{}, err
	}
	right, err := b.right(ctx, g, led, conn, grant, repo)
	if errors.Is(err, daypass.ErrNoSuchRepo) || err == nil && right.Access < daypass.Read {
		return Reading{}, noCopy(q.link, repo, conn.Account.Login)
	}
	if err != nil {
		return Reading{}, err
	}
	if err := b.forbidden(q, host, right.Repo, policy.AsUser); err != nil {
		return Reading{}, err
	}
	r := Reading{Source: s, As: b.asPersonOf(q.p), Repo: right.Repo, MaxAge: readAge, person: q.p.ID}
	return r, q.passAllows(s, right.Repo)
}

// noCopy says that somebody's copy of a template is not there, and what to accept. The
// page around a pull knows an address by the word before it.
func noCopy(l *store.Link, repo daypass.Repo, login string) error {
	host := l.Source.Host
	p := &daypass.Problem{
		Code: "DP-738", What: repo.String() + " at " + host + " is not there yet, or " + login + " may not read it",
		Next: "Accept the assignment, or the invitation, at " + host + " first; then open the link again.", Who: "Whoever teaches the course gave out where.", Kind: daypass.ErrRefused,
	}
	if l.Accept != "" {
		p.Next, p.Who = "Open "+l.Accept+" and accept the assignment there; then try again.", "Whoever teaches the course gave that address."
	}
	return &Refusal{Problem: p}
}

// copyOf is somebody's copy of a template, where rules and their pass let them read it.
func (b *Broker) copyOf(q *wanting, login string) (daypass.Source, daypass.Repo, error) {
	s := forAccount(q.link.Source, login)
	repo, named := daypass.ParseRepo(s.ID)
	if !named || !b.sound(s) || login == "" {
		return s, repo, noSuchSource()
	}
	if err := b.forbidden(q, s.Host, repo, policy.AsUser); err != nil {
		return s, repo, err
	}
	return s, repo, q.passMay(s)
}

// loginNow is what an account is called today: a name that it gave up may be
// somebody else's by now, and so may what lies below it.
func (b *Broker) loginNow(ctx context.Context, g *guarded, led ledger, conn store.Connection, grant daypass.Grant) (string, error) {
	key := standKey{source: daypass.Source{Host: conn.Host, ID: fmt.Sprint("account ", conn.ID, ".", conn.Account.ID)}}
	spent := false
	now, err := b.standsNow(ctx, key, func(ctx context.Context) (daypass.Repo, error) {
		var who daypass.Account
		err := g.call(ctx, "whose", func(ctx context.Context) error {
			var err error
			who, err = g.Whose(ctx, grant.Access)
			return err
		})
		if err == nil && who.ID != conn.Account.ID {
			err = errors.New("the token is another account's")
		}
		spent = errors.Is(err, daypass.ErrSpent)
		return daypass.Repo{ID: who.ID, Owner: who.Login}, err
	})
	if spent {
		return "", b.spent(ctx, g, led, conn, grant)
	}
	return now.Owner, err
}

// noSuchSource is the one answer to what is not there, is not enrolled, or is not for
// whoever asks: which of them it is, it does not say.
func noSuchSource() error {
	return &Refusal{Problem: &daypass.Problem{
		Code: "DP-723", What: "there is no such link or source here, or it is not for you",
		Next: "Look at the address again, and sign in as the user that the course knows. Then ask whoever gave it to you.", Kind: daypass.ErrRefused, Err: daypass.ErrNoSource,
	}}
}

// plainAs is As in the words of the activity.
func plainAs(as string) string {
	if _, ok := hubAccount(as); ok {
		return "hub"
	}
	if as == asPerson || strings.HasPrefix(as, asPersons) {
		return "user"
	}
	return as
}

func (b *Broker) readEvent(q *wanting, kind store.Kind) store.Event {
	e := b.event(q.c, q.p, Ask{Access: daypass.Read, Request: q.request, pass: q.pass}, kind)
	e.Host, e.Repo = q.source.Host, q.source.ID
	return e
}

// refuseReading records a refusal. Where the link is one that is for the caller it
// counts as a failure of the link's.
func (b *Broker) refuseReading(ctx context.Context, q *wanting, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	out := *asRefusal(q.source.Host, err)
	if out.Connect {
		out.Host = q.source.Host
	}
	if out.Problem.Code == "DP-815" { // nothing is pushed here
		p := *out.Problem
		p.Next = "Try again in a minute. What you have stays as it is."
		out.Problem = &p
	}
	e := b.readEvent(q, store.Refusal)
	if q.link != nil {
		out.Rule = cmp.Or(out.Rule, "link:"+q.link.Name)
	}
	out.Rule = cmp.Or(out.Rule, builtIn[out.Problem.Code])
	e.Outcome, e.Rule, e.Code, e.Why = store.Refused, out.Rule, out.Problem.Code, out.Problem.What
	if q.named != "" && shown(q.named) && q.link == nil {
		e.Why += ": link " + q.named
	}
	if errors.Is(out.Problem, daypass.ErrUnreachable) {
		e.Outcome = store.Failed
	}
	b.observedRead(q.source.Kind, "", e.Outcome)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	werr := b.Store.Write(ctx, func(tx *store.Tx) error {
		out.Event = tx.Record(e)
		if q.link == nil {
			return nil
		}
		return tx.CountRefusal(q.link.ID, e.Code)
	})
	if werr != nil {
		b.Log.Error("a refusal was not recorded", "code", e.Code, "err", werr)
	}
	return &out
}

// asRefusal makes of any error what a person is told.
func asRefusal(host string, err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	var problem *daypass.Problem
	if errors.As(err, &problem) {
		return &Refusal{Problem: problem}
	}
	return providerProblem(host, err).(*Refusal)
}

// pullCodes are those that a pull has at a reader's own server: of their folder, their
// disk, or what came. What only the service says nobody else says for it.
var pullCodes = regexp.MustCompile(`^DP-(?:3[0-6]|4[56])[0-9]$`)

// PullFailed counts that what was given by a link did not get into a reader's folder, by
// the code that their pull ended with: it has not arrived, then. Who may not read by the
// link counts nothing, nor does whom it gave nothing to lately.
func (b *Broker) PullFailed(ctx context.Context, c daypass.Caller, name, problem, request string) error {
	q := &wanting{c: c, request: request, named: name}
	if byPass(c) {
		return b.refuseReading(ctx, q, notByPass())
	}
	err := b.enterReading(ctx, q)
	if err == nil {
		err = b.findLink(ctx, q)
	}
	if err == nil && !pullCodes.MatchString(problem) {
		err = &daypass.Problem{Code: "DP-739", What: "that is no code of a pull", Next: "Leave it out.", Kind: daypass.ErrUsage}
		q.link = nil // it is no failure of the link's
	}
	if err == nil {
		err = b.pacedLook(q.p)
	}
	if err != nil {
		return b.refuseReading(ctx, q, err)
	}
	return storeProblem(b.Store.Write(ctx, func(tx *store.Tx) error { _, err := tx.CountBroken(q.link.ID, q.p.ID, problem); return err }))
}

func (b *Broker) observedRead(kind, as, outcome string) {
	if b.Observe.Read != nil {
		b.Observe.Read(kind, plainAs(as), outcome)
	}
}

// Saw is told what came of reading by a yes: that something was given which was seen
// upstream at that time, or an error. A no of the upstream's counts for all. What was
// seen as a person counts as a look; an account of the hub's is looked at by itself,
// since its reader may go by what it knew. It returns what whoever reads is told: of a
// link's source that is lost not what its maker has to do.
func (b *Broker) Saw(ctx context.Context, r Reading, at time.Time, err error) error {
	_, hub := hubAccount(r.As)
	switch {
	case hub && err != nil && errors.Is(err, daypass.ErrNoSource):
		b.stood(r.standing(), standing{problem: err, at: b.Now(), repo: r.Repo})
	case r.person != 0 && r.Source.Kind == daypass.KindCanvas && (err == nil || settled(err)):
		if err != nil {
			at = b.Now()
		}
		b.stood(r.standing(), standing{problem: err, at: at})
	}
	if r.Link == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if (hub || r.As == AsPublic) && errors.Is(err, daypass.ErrNoSource) && settled(err) {
		err = lostSource(r.Link)
	}
	if werr := b.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err != nil {
			return tx.CountRefusal(r.Link.ID, cmp.Or(code(err), "failed"))
		}
		return tx.CountPull(r.Link.ID, r.reader)
	}); werr != nil {
		b.Log.Error("a pull was not counted", "link", r.Link.Name, "err", werr)
	}
	return err
}
