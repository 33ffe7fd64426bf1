package broker

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

// A ground is what a link may stand on: as whom it reads, and what was seen.
type ground struct {
	as      string
	source  daypass.Source // what was asked for, or what a DOI stands for
	repo    daypass.Repo
	account daypass.Account // of its maker, where they administer the repository
	reading Reading
	seen    daypass.Seen
}

// TestSource looks at a source as a link of the caller's would read it, and says what
// is missing: the folder too, where it names one. Whoever may make no links, and what is
// another's, costs no request to an upstream.
func (b *Broker) TestSource(ctx context.Context, c daypass.Caller, s daypass.Source, request string) (Tested, error) {
	g, err := b.tried(ctx, c, s, request, "test", b.onFolder)
	return Tested{g.reading, g.seen}, err
}

// BrowseSource lets whoever makes links list a source of theirs. The reading is
// recorded as any other.
func (b *Broker) BrowseSource(ctx context.Context, c daypass.Caller, s daypass.Source, request string) (Reading, error) {
	g, err := b.tried(ctx, c, s, request, "browse", func(context.Context, *wanting, ground) error {
		if !isTemplate(s) {
			return nil
		}
		return &daypass.Problem{Code: "DP-738", What: "a template has no files of its own", Next: "Browse the repository that its copies are made of.", Kind: daypass.ErrUsage}
	})
	return g.reading, err
}

// AsStudent lets the maker of a link list what somebody of its audience gets: what is
// read for all is read by the decision that their pull gets. Own is a link whose students
// read with accounts of their own; then only what its maker's account is told of them is
// known, or of a template nothing: the reading is of no source. The reading is recorded.
func (b *Broker) AsStudent(ctx context.Context, c daypass.Caller, name, request string) (y Reading, own bool, err error) {
	q := &wanting{c: c, request: request, kind: policy.Own, named: name}
	var l store.Link
	if q.p, err = b.keeper(ctx, c); err == nil {
		l, err = b.own(ctx, q.p, name)
	}
	if err == nil && l.State(b.Now()) == store.LinkGone {
		err = stateProblem(l, b.Now())
	}
	if err == nil {
		err = b.pacedLook(q.p)
	}
	if err == nil {
		q.source = l.Source
		y, err = b.asAudience(ctx, *q, l)
	}
	if err != nil {
		return Reading{}, false, b.refuseReading(ctx, q, err)
	}
	y.Rule, y.Student = "student", true
	e := b.readEvent(q, store.ReadContent)
	e.Outcome, e.As, e.Rule, e.Why = store.OK, plainAs(l.As), y.Rule, l.Source.String()
	if y.Event, err = b.Store.Record(ctx, e); err != nil {
		return Reading{}, false, b.refuseReading(ctx, q, storeProblem(err))
	}
	return y, l.As == asPerson, nil
}

// asAudience reads a link as one of its audience would, but for what is each one's own.
func (b *Broker) asAudience(ctx context.Context, q wanting, l store.Link) (Reading, error) {
	if q.link = &l; l.Template {
		return Reading{}, b.holds(ctx, &l)
	}
	if l.Audience != store.Everybody {
		q.c.Groups = []string{l.Audience} // rules may forbid them what they allow its maker
	}
	return b.byLink(ctx, &q)
}

// tried looks at a source for whoever makes links, and records the answer before they
// are told what was seen.
func (b *Broker) tried(ctx context.Context, c daypass.Caller, s daypass.Source, request, what string, fits func(context.Context, *wanting, ground) error) (ground, error) {
	q := &wanting{c: c, request: request, kind: policy.Own, source: s}
	var g ground
	var err error
	if q.p, err = b.linker(ctx, c); err == nil {
		g, err = b.groundFor(ctx, q, s)
	}
	if err == nil {
		err = fits(ctx, q, g)
	}
	if err != nil {
		return ground{}, b.refuseReading(ctx, q, err)
	}
	e := b.readEvent(q, store.ReadContent)
	e.Outcome, e.As, e.Rule, e.Why = store.OK, plainAs(g.as), what, g.source.String()
	g.reading.Rule = what
	if g.reading.Event, err = b.Store.Record(ctx, e); err != nil {
		return ground{}, b.refuseReading(ctx, q, storeProblem(err))
	}
	return g, nil
}

// groundFor looks at the caller's own right to a source. What is decided without
// asking anybody is decided first.
func (b *Broker) groundFor(ctx context.Context, q *wanting, s daypass.Source) (ground, error) {
	if err := b.fitting(q, s); err != nil {
		return ground{}, err
	}
	if err := b.pacedLook(q.p); err != nil {
		return ground{}, err
	}
	if s.Kind == daypass.KindDOI && b.Sources.Resolve != nil {
		var err error
		if s, err = b.resolved(ctx, s); err != nil {
			return ground{}, err
		}
		if q.source = s; s.Kind == daypass.KindDOI || isTemplate(s) {
			return ground{}, noSource()
		}
		if err := b.fitting(q, s); err != nil { // whoever registered the DOI chose it
			return ground{}, err
		}
	}
	g, err := b.groundOf(ctx, q, s)
	if g.source = s; err == nil && s.Path == "" { // else it depends on the folder
		b.wasTested(standKey{s, g.as, q.p.ID})
	}
	return g, err
}

// onFolder looks whether the folder of a source is there that can be read.
func (b *Broker) onFolder(ctx context.Context, q *wanting, g ground) error {
	if g.source.Path == "" || isTemplate(g.source) {
		return nil
	}
	if b.Sources.Folder != nil {
		if err := b.Sources.Folder(ctx, q.c, g.reading); err != nil {
			return err
		}
	}
	b.wasTested(standKey{g.source, g.as, q.p.ID})
	return nil
}

// onFolderSoon is onFolder for what does not wait for a slow source: only a folder that
// is known not to be there is in the way.
func (b *Broker) onFolderSoon(ctx context.Context, q *wanting, g ground) error {
	ctx, cancel := context.WithTimeout(ctx, 2*b.Limits.ProviderTime)
	defer cancel()
	if err := b.onFolder(ctx, q, g); err != nil && settled(err) && errors.Is(err, daypass.ErrNoSource) {
		return err
	}
	return nil
}

// withoutFolder is what is wrong with a reading of which all is there but its folder; nil
// where that is not known. Canvas is asked for both at once.
func (b *Broker) withoutFolder(ctx context.Context, q *wanting, r Reading) error {
	if r.Source.Path == "" || b.Sources.Folder == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*b.Limits.ProviderTime)
	defer cancel()
	err := b.Sources.Folder(ctx, q.c, r)
	if no := (*daypass.NoFolder)(nil); errors.As(err, &no) {
		return err
	}
	return nil
}

// resolved looks a DOI up.
func (b *Broker) resolved(ctx context.Context, s daypass.Source) (daypass.Source, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*b.Limits.ProviderTime)
	defer cancel()
	found, err := b.Sources.Resolve(ctx, s)
	if err != nil && !settled(err) {
		return s, providerProblem(s.Host, err)
	}
	return found, err
}

// fitting refuses what cannot be a source.
func (b *Broker) fitting(q *wanting, s daypass.Source) error {
	plain := s
	if isTemplate(s) {
		plain = forAccount(s, "login")
	}
	if !b.sound(plain) || isTemplate(s) && s.Kind != daypass.KindGit || strings.Contains(s.Ref+s.Path, login) {
		q.source = daypass.Source{}
		return noSource()
	}
	if s.Kind == daypass.KindArtifact {
		return onesOwn()
	}
	return nil
}

// onesOwn: GitHub gives an artifact to who is signed in only, no App of a hub's may read
// Actions, and it goes after some weeks.
func onesOwn() error {
	return &daypass.Problem{
		Code: "DP-736", What: "no link is made to an artifact of a run", Why: "the service has no right to read it, and GitHub keeps it for some weeks only",
		Next: "Whoever has access brings it by \"daypass pull\" and its address; for a class, keep the files in a repository, or in a record of an archive.", Kind: daypass.ErrRefused,
	}
}

func noSource() error {
	return &daypass.Problem{
		Code: "DP-736", What: "that is no source that this service reads", Next: `Paste the address of a repository, folder, course or record; "daypass resolve" shows how it is understood.`, Kind: daypass.ErrUsage,
	}
}

func (b *Broker) groundOf(ctx context.Context, q *wanting, s daypass.Source) (ground, error) {
	switch {
	case isTemplate(s):
		return b.templateGround(s)
	case s.Kind == daypass.KindDrive:
		return b.driveGround(ctx, q, s)
	case s.Kind == daypass.KindCanvas:
		return b.canvasGround(ctx, q, s)
	case s.Kind == daypass.KindGit:
		return b.gitGround(ctx, q, s)
	}
	return b.publicGround(ctx, s)
}

func (b *Broker) templateGround(s daypass.Source) (ground, error) {
	g, ok := b.issuers[s.Host]
	if !ok || g.Traits().Content {
		return ground{}, notFrom(s.Host)
	}
	return ground{as: asPerson, reading: Reading{Source: s}}, nil
}

func notFrom(host string) error {
	return &daypass.Problem{
		Code: "DP-736", What: "this service does not read from " + printableHost(host), Next: "Anybody can pull from there without a link: \"daypass pull\".",
		Who: `Admins list hosts under "sources".`, Kind: daypass.ErrRefused,
	}
}

func (b *Broker) publicGround(ctx context.Context, s daypass.Source) (ground, error) {
	if !b.public(s) {
		return ground{}, notFrom(s.Host)
	}
	g := ground{as: AsPublic, reading: Reading{Source: s, As: AsPublic, MaxAge: readAge}}
	var err error
	g.seen, err = b.looked(ctx, g.reading)
	if err != nil && settled(err) {
		return g, &daypass.Problem{
			Code: "DP-734", What: "nothing can be read there without an account", Why: plainWhy(err), Next: "Look at the address again.", Kind: daypass.ErrRefused, Err: err,
		}
	}
	return g, err
}

// looked asks the readers, where there are any.
func (b *Broker) looked(ctx context.Context, r Reading) (daypass.Seen, error) {
	if b.Sources.Look == nil {
		return daypass.Seen{Source: r.Source}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*b.Limits.ProviderTime)
	defer cancel()
	seen, err := b.Sources.Look(ctx, r)
	if err != nil && !settled(err) {
		return seen, providerProblem(r.Source.Host, err)
	}
	return seen, err
}

func plainWhy(err error) string {
	var p *daypass.Problem
	if errors.As(err, &p) {
		return p.What
	}
	return ""
}

// driveGround finds an account that one of the caller's groups may use and that the
// folder is shared with.
func (b *Broker) driveGround(ctx context.Context, q *wanting, s daypass.Source) (ground, error) {
	var theirs []DriveAccount
	for _, a := range b.Sources.Drive {
		if a.host() == s.Host && overlap(q.c.Groups, a.Groups) {
			theirs = append(theirs, a)
		}
	}
	if len(theirs) == 0 || b.Sources.Look == nil {
		return ground{}, &daypass.Problem{
			Code: "DP-735", What: "no account reads Google Drive for a group of yours", Next: "Ask the hub's admins for one, and share the folder with it.",
			Who: `Admins name accounts and groups under "sources.drive".`, Kind: daypass.ErrRefused,
		}
	}
	var no error
	for _, a := range theirs {
		may, err := b.mayUse(ctx, s, a.Account, q.c.Groups)
		if err != nil {
			return ground{}, err
		}
		if may == nil {
			continue
		}
		r := Reading{Source: s, As: asHubPrefix + a.Account, Account: a.Account, MaxAge: readAge, maker: q.p.ID}
		at := b.Now()
		seen, err := b.looked(ctx, r)
		if err == nil {
			b.stood(r.standing(), standing{at: at})
			return ground{as: r.As, reading: r, seen: seen}, nil
		}
		if no = err; !settled(err) {
			return ground{}, err
		}
	}
	return ground{}, notShared(theirs, no)
}

// notShared says with which account to share a folder. Where the provider knows more,
// such as that a Workspace forbids it, that is said.
func notShared(theirs []DriveAccount, no error) error {
	address := theirs[0].Address
	for _, a := range theirs[1:] {
		address += " or " + a.Address
	}
	p := &daypass.Problem{
		Code: "DP-734", What: "this folder is not shared yet with the account that reads for you", Next: "In Drive, share it with " + address + " as a viewer, and test again.",
		Kind: daypass.ErrRefused, Err: no,
	}
	var said *daypass.Problem
	if errors.As(no, &said) && !errors.Is(no, daypass.ErrNoSource) {
		p.What, p.Why, p.Who = said.What, said.Why, said.Who
		if said.Next != "" {
			p.Next = said.Next
		}
	}
	return p
}

// canvasGround looks at a course by the caller's own connection, as each student will
// by theirs.
func (b *Broker) canvasGround(ctx context.Context, q *wanting, s daypass.Source) (ground, error) {
	g, ok := b.issuers[s.Host]
	if !ok || !g.Traits().Content {
		return ground{}, notFrom(s.Host)
	}
	r, err := b.asOneself(ctx, q, s)
	if err != nil {
		return ground{}, err
	}
	seen, err := b.looked(ctx, r)
	if err != nil && settled(err) {
		if no := b.withoutFolder(ctx, q, r); no != nil {
			return ground{}, no
		}
		err = &daypass.Problem{
			Code: "DP-734", What: "your account at " + s.Host + " does not see that", Why: plainWhy(err), Next: "Look at the address again, or connect with another account.", Kind: daypass.ErrRefused, Err: err,
		}
	}
	return ground{as: asPerson, reading: r, seen: seen}, err
}

// gitGround: what the caller administers is read by the content App, what is public
// at a listed host by nobody's right.
func (b *Broker) gitGround(ctx context.Context, q *wanting, s daypass.Source) (ground, error) {
	iss, served := b.issuers[s.Host]
	if !served || iss.Traits().Content {
		return b.publicGround(ctx, s)
	}
	repo, _ := daypass.ParseRepo(s.ID)
	if err := b.forbidden(q, s.Host, repo, policy.AsHub); err != nil {
		return ground{}, err
	}
	right, err := b.administers(ctx, q.p, Ask{Host: s.Host, Repo: repo})
	if err != nil && b.public(s) && (settled(err) || errors.Is(err, daypass.ErrNoLogin)) {
		if g, perr := b.publicGround(ctx, s); perr == nil {
			return g, nil
		}
	}
	if err != nil {
		if code(err) == "DP-835" {
			err = &daypass.Problem{
				Code: "DP-737", What: "you do not administer " + repo.String() + " at " + s.Host + ", as far as your connection shows",
				Next: "Ask somebody who does to make the link, or have the App installed on it.", Kind: daypass.ErrRefused,
			}
		}
		return ground{}, err
	}
	if !right.Private && b.public(s) {
		return b.publicGround(ctx, s)
	}
	if !iss.Traits().AsHub {
		return ground{}, &daypass.Problem{
			Code: "DP-824", What: "this hub has no App for content at " + s.Host, Next: "Ask the hub's admins.", Who: `Admins: "daypass admin app new --content".`, Kind: daypass.ErrRefused,
		}
	}
	return b.appGround(ctx, q, iss, s, right.Repo)
}

func (b *Broker) appGround(ctx context.Context, q *wanting, iss *guarded, s daypass.Source, repo daypass.Repo) (ground, error) {
	conn, err := b.ledger().find(ctx, q.p.ID, s.Host)
	if err != nil {
		return ground{}, gone(s.Host, err)
	}
	g := ground{as: asHubPrefix + s.Host, account: daypass.Account{ID: conn.Account.ID, Login: conn.Account.Login}}
	if g.repo, err = b.administered(ctx, iss, repo, g.account); err != nil && settled(err) {
		return g, &daypass.Problem{
			Code: "DP-825", What: "the hub's content App does not reach " + repo.String() + " at " + s.Host, Why: "it is not installed on it",
			Next: "Install the content App on that repository.", Who: "An owner of " + repo.Owner + " can.", Kind: daypass.ErrRefused, Err: err,
		}
	}
	if err != nil {
		return g, providerProblem(s.Host, err)
	}
	g.reading = Reading{Source: s, As: g.as, Account: s.Host, Repo: g.repo, MaxAge: readAge, maker: q.p.ID}
	if g.seen, err = b.looked(ctx, g.reading); err != nil && settled(err) {
		err = &daypass.Problem{Code: "DP-734", What: "the repository has no such branch, tag or commit", Why: plainWhy(err), Next: "Look at its name again.", Kind: daypass.ErrRefused, Err: err}
	}
	return g, err
}

// Accounts lists the accounts that read Drive, for those who run the service.
func (b *Broker) Accounts() []DriveAccount { return slices.Clone(b.Sources.Drive) }

// personOf is whose connection a reading is by; 0: nobody's.
func personOf(as string) int64 {
	rest, ok := strings.CutPrefix(as, asPersons)
	number, _, cut := strings.Cut(rest, "@")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || !cut || err != nil {
		return 0
	}
	return n
}
