package broker

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/pass"
	"github.com/daypass-dev/daypass/policy"
	"github.com/daypass-dev/daypass/store"
)

const (
	// usualPass is how long a pass lives where nothing is said.
	usualPass = 8 * time.Hour
	// shortPass is the longest life of a pass that is asked for otherwise than in a
	// browser in which somebody signed in just now.
	shortPass = 12 * time.Hour
	// mostPass is the longest life of a pass that has an end, as of a rule's max_pass.
	mostPass = 365 * 24 * time.Hour
	// maxPasses bounds the passes of one person that are good at a time.
	maxPasses = 500
	maxLabel  = 100 // characters
)

// realmName makes a realm's name of a hub's id.
func realmName(id string) string {
	out := strings.Map(func(r rune) rune {
		if r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, id)
	return out[:min(len(out), 32)]
}

// byPass reports whether a request was made with a pass.
func byPass(c daypass.Caller) bool { return c.Via == daypass.ViaPass || c.Pass != daypass.PassRef{} }

func notByPass() error {
	return &Refusal{Passes: true, Problem: &daypass.Problem{
		Code: "DP-166", What: "a pass is not enough for that", Why: "it gets credentials for repositories, and neither makes nor ends nor shows anything else",
		Next: "Use your browser, or the token of a server of yours.", Kind: daypass.ErrRefused,
	}}
}

// themself is person for all that only somebody themself may do, and no pass of
// theirs.
func (b *Broker) themself(ctx context.Context, c daypass.Caller) (store.Person, error) {
	if byPass(c) {
		return store.Person{}, notByPass()
	}
	return b.person(ctx, c.User)
}

// alone is themself, and refuses a server that others enter too.
func (b *Broker) alone(ctx context.Context, c daypass.Caller) (store.Person, error) {
	p, err := b.themself(ctx, c)
	if err != nil {
		return p, err
	}
	switch c.Via {
	case daypass.ViaBrowser, daypass.ViaUser:
		return p, nil
	case daypass.ViaServer:
		kind := b.kind(ctx, c)
		if kind == policy.NoKind {
			return p, hubProblem(nil)
		}
		if kind == policy.Own {
			return p, nil
		}
	}
	return p, elsewhereMade("others enter this server, and a pass is for you alone")
}

// A PassAsk is what a pass is asked to be.
type PassAsk struct {
	Limits    pass.Limits   // Expires: zero: see For; daypass.Forever: no end
	Label     string        // for its owner's list
	For       time.Duration // 0: 8 hours, or what the rules give
	ForServer bool          // it ends with the server whose token asks, which it does anyway
	Request   string        // the request's id, for the activity
}

// MintPass makes a pass for the caller. fresh says that they signed in in this
// browser just now. The error is a [Refusal], whose event is recorded.
func (b *Broker) MintPass(ctx context.Context, c daypass.Caller, fresh bool, ask PassAsk) (Minted, error) {
	began := b.Now()
	p, err := b.alone(ctx, c)
	var n NewPass
	if err == nil {
		n, err = b.newPass(ctx, c, p, fresh, ask)
	}
	var m Minted
	if err == nil {
		m, err = b.book.mint(ctx, n, func(*store.Tx) error { return b.stoppedSince(p.ID, n.Server, began) })
		if err != nil {
			b.people.drop(p.ID) // they may have been cut off on the way
			if _, cut := b.person(ctx, c.User); cut != nil {
				err = cut
			}
		}
	}
	if err != nil {
		return Minted{}, b.refuse(ctx, c, p, Ask{Request: ask.Request}, "", err)
	}
	return m, nil
}

// newPass says what the caller gets.
func (b *Broker) newPass(ctx context.Context, c daypass.Caller, p store.Person, fresh bool, ask PassAsk) (NewPass, error) {
	if !printable(ask.Label) {
		return NewPass{}, badLimit(errLabel)
	}
	if len(ask.Limits.Repos) > 0 && len(ask.Limits.Sources) > 0 {
		return NewPass{}, badLimit(errTwoKinds)
	}
	n := NewPass{Person: p.ID, Label: ask.Label, Via: c.Via.String(), Limits: ask.Limits, Event: b.event(c, p, Ask{Request: ask.Request}, store.PassMade)}
	var err error
	if n.Limits.Expires, err = b.passEnd(c, fresh && c.Via == daypass.ViaBrowser, ask); err != nil {
		return n, err
	}
	if c.Via == daypass.ViaServer {
		if n.Started, err = b.serverStart(ctx, c); err != nil {
			return n, err
		}
		n.Server = c.Server
	} else if ask.ForServer {
		return n, elsewhereMade("it was to end with a server, and no server's token asked for it")
	}
	live, err := b.book.List(ctx, store.PassFilter{Person: p.ID, LiveAt: b.Now(), Limit: maxPasses})
	if err == nil && len(live) >= maxPasses {
		err = tooManyPasses()
	}
	return n, err
}

var errTwoKinds = errors.New("it would be for repositories and for sources of content at once, and no request is about both; make two passes")

var errLabel = errors.New("the label is longer than 100 characters, or has some that cannot be seen")

func printable(label string) bool {
	return utf8.RuneCountInString(label) <= maxLabel && !strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

// longestPass is the longest life of a pass of the caller's that a rule takes.
func (b *Broker) longestPass(c daypass.Caller) time.Duration {
	longest := b.Rules.LongestPass(c.User.Name, c.Groups)
	if len(b.Sharing) > 0 {
		longest = max(longest, policy.DefaultMaxPass) // for what others share with them
	}
	if !b.AllowNever {
		longest = min(longest, mostPass)
	}
	return longest
}

// passEnd says when a pass ends that is asked for.
func (b *Broker) passEnd(c daypass.Caller, fresh bool, ask PassAsk) (time.Time, error) {
	now, longest := b.Now(), b.longestPass(c)
	most := longest
	if !fresh {
		most = min(most, shortPass)
	}
	wanted := min(usualPass, most)
	switch {
	case longest <= 0:
		return time.Time{}, tooLong("no rule of this hub gives you anything")
	case ask.For < 0:
		return time.Time{}, badLimit(errNeverGood)
	case ask.Limits.Expires.IsZero() && ask.For > 0:
		wanted = ask.For
	case !ask.Limits.Expires.IsZero() && !ask.Limits.Expires.Before(daypass.Forever):
		wanted = noEnd
		if !b.AllowNever {
			return time.Time{}, noNever()
		}
	case !ask.Limits.Expires.IsZero():
		wanted = min(ask.Limits.Expires.Sub(now), noEnd-1) // which no span reaches is not no end
	}
	switch {
	case wanted > longest && longest == noEnd, wanted > longest && wanted == noEnd:
		return time.Time{}, tooLong("no rule takes a pass of yours that has no end")
	case wanted > longest:
		return time.Time{}, tooLong("the rules take passes of yours that live for " + span(longest) + " at most")
	case wanted > most:
		return time.Time{}, needFresh()
	case wanted == noEnd:
		return daypass.Forever, nil
	}
	return whole(now.Add(wanted)), nil
}

// span writes a length of time in words, its two largest units: "24 hours", "30
// days", "1 hour 30 minutes".
func span(d time.Duration) string {
	var out []string
	for _, u := range []struct {
		one, least time.Duration
		word       string
	}{
		{24 * time.Hour, 48 * time.Hour, "day"}, {time.Hour, time.Hour, "hour"}, {time.Minute, time.Minute, "minute"}, {time.Second, time.Second, "second"},
	} {
		if d < u.least || len(out) == 2 {
			continue
		}
		n := int64(d / u.one)
		d -= time.Duration(n) * u.one
		word := strconv.FormatInt(n, 10) + " " + u.word
		if n != 1 {
			word += "s"
		}
		out = append(out, word)
	}
	if len(out) == 0 {
		return "less than a second"
	}
	return strings.Join(out, " ")
}

// serverStart says since when the server runs whose token asks.
func (b *Broker) serverStart(ctx context.Context, c daypass.Caller) (time.Time, error) {
	if !c.Server.Known {
		return time.Time{}, elsewhereMade("the hub does not say which of your servers asks, so that the pass could not end with it")
	}
	if b.Hub.Running == nil {
		return time.Time{}, hubProblem(nil)
	}
	at, running, err := b.Hub.Running(ctx, c.User.Name, c.Server.Name)
	if err != nil {
		return time.Time{}, hubProblem(err)
	}
	if !running || at.IsZero() {
		return time.Time{}, elsewhereMade("the hub does not say since when this server runs, so that the pass could not end with it")
	}
	return at, nil
}

// ServerStarted says since when the server runs whose token the caller has; zero:
// it has none, or the hub does not tell. It may be some seconds old.
func (b *Broker) ServerStarted(ctx context.Context, c daypass.Caller) time.Time {
	if c.Via != daypass.ViaServer || byPass(c) || !c.Server.Known {
		return time.Time{}
	}
	at, err := b.startOf(ctx, c.User.Name, c.Server.Name)
	if err != nil {
		return time.Time{}
	}
	return at
}

func elsewhereMade(why string) error {
	return &Refusal{Passes: true, Problem: &daypass.Problem{
		Code: "DP-170", What: "no pass can be made or looked after from here", Why: why, Next: "Do it on the page of your passes, in your browser.", Kind: daypass.ErrRefused,
	}}
}

func needFresh() error {
	return &Refusal{Passes: true, Problem: &daypass.Problem{
		Code: "DP-167", What: "a pass that lives for more than " + span(shortPass) + " is made in a browser in which you have just signed in",
		Next: "Make it on the page of your passes, or ask for a shorter one.", Kind: daypass.ErrRefused,
	}}
}

func tooLong(why string) error {
	return &Refusal{Problem: &daypass.Problem{
		Code: "DP-168", What: "the rules of this hub do not allow this pass", Why: why, Next: "Ask for one that ends sooner.",
		Who: `Admins set "max_pass" in a rule.`, Kind: daypass.ErrRefused,
	}}
}

func noNever() error {
	return &Refusal{Problem: &daypass.Problem{
		Code: "DP-169", What: "a pass has to end at this hub", Next: "Say when.", Who: `Admins can set "allow_never" under "passes".`, Kind: daypass.ErrRefused,
	}}
}

func tooManyPasses() error {
	return &Refusal{Passes: true, Problem: &daypass.Problem{
		Code: "DP-175", What: "you have as many passes that are good as one can have", Next: "End some of them on the page of your passes, or make one and narrow it.", Kind: daypass.ErrRefused,
	}}
}

// PassBounds is what somebody may ask for.
type PassBounds struct {
	Longest time.Duration // in a browser in which they have just signed in; 0: none at all
	Short   time.Duration // otherwise
	Usual   time.Duration // where nothing is said
	Never   bool          // one without an end
}

// PassBounds says what the caller may ask for.
func (b *Broker) PassBounds(ctx context.Context, c daypass.Caller) (PassBounds, error) {
	if _, err := b.themself(ctx, c); err != nil {
		return PassBounds{}, err
	}
	longest := b.longestPass(c)
	out := PassBounds{Longest: longest, Short: min(longest, shortPass), Usual: min(longest, usualPass), Never: b.AllowNever && longest == noEnd}
	out.Longest = min(longest, mostPass)
	return out, nil
}

// Passes lists the caller's passes, newest first, those that ended too.
func (b *Broker) Passes(ctx context.Context, c daypass.Caller) ([]store.Pass, error) {
	p, err := b.alone(ctx, c)
	if err != nil {
		return nil, err
	}
	return b.book.List(ctx, store.PassFilter{Person: p.ID})
}

// EndPass ends a pass of the caller's, and all that was made by it. False: they
// have none with that id that is still good.
func (b *Broker) EndPass(ctx context.Context, c daypass.Caller, id, request string) (store.EventID, bool, error) {
	p, err := b.alone(ctx, c)
	if err != nil {
		return "", false, err
	}
	row, err := b.Store.Pass(ctx, b.book.realm(bookKey{}), "", id)
	if errors.Is(err, store.ErrNone) || err == nil && row.Person != p.ID {
		return "", false, nil
	}
	if err != nil {
		return "", false, storeProblem(err)
	}
	ok, event, err := b.book.End(ctx, "", id, "by its owner", b.event(c, p, Ask{Request: request}, store.PassEnded))
	b.passesEnded(ctx, p.ID, row)
	return event, ok, err
}

// EndShownPass ends a pass, and all that were narrowed from it, for whoever holds
// it. from is not valid where it is not known.
func (b *Broker) EndShownPass(ctx context.Context, text daypass.Secret, from netip.Addr, request string) (store.EventID, error) {
	p, err := pass.Parse(text)
	if err != nil {
		return "", unknownPass()
	}
	s, err := b.book.Open(ctx, p)
	if err != nil {
		return "", err
	}
	e := store.Event{Hub: b.Hub.ID, Via: daypass.ViaPass.String(), Request: request}
	if from.IsValid() {
		e.Why = "from " + from.String()
	}
	if who, ok, err := b.Store.PersonByID(ctx, s.Row.Person); err == nil && ok {
		e.User = who.User.Name
	}
	id, err := b.book.EndShown(ctx, p, e)
	b.book.dropKey(s.key())
	b.madeByEnded(ctx, s.Row.Person, b.endedOf(context.WithoutCancel(ctx), s.Row.ID))
	return id, err
}

// passesEnded forgets what was made by passes that ended, here and at the
// provider. In the store it has ended with them.
func (b *Broker) passesEnded(ctx context.Context, person int64, rows ...store.Pass) {
	if len(rows) == 0 {
		return
	}
	ids := map[string]bool{}
	for _, r := range rows {
		ids[r.ID] = true
		b.book.dropKey(keyOf(r))
	}
	b.madeByEnded(ctx, person, func(ch store.Child) bool { return ids[ch.Pass] })
}

func (b *Broker) madeByEnded(ctx context.Context, person int64, match func(store.Child) bool) {
	b.children.drop(func(_ childKey, k *kept) bool { return match(k.Child) })
	b.work()
	b.endMemoryChildren(context.WithoutCancel(ctx), person, match)
}

// PassCaller says whose a pass is, shown from an address, which is not valid where
// it is not known. They have to be at the hub still, as of a minute ago; the hub's
// groups are as of then. What the pass allows is not asked, but for time, server
// and address.
func (b *Broker) PassCaller(ctx context.Context, text daypass.Secret, from netip.Addr) (daypass.Caller, error) {
	p, err := pass.Parse(text)
	if err != nil {
		return daypass.Caller{}, unknownPass()
	}
	s, err := b.book.Open(ctx, p)
	if err != nil {
		return daypass.Caller{}, err
	}
	h, err := b.passHolder(ctx, s.Row.Person)
	if err != nil {
		return daypass.Caller{}, err
	}
	last := s.Last()
	c := daypass.Caller{
		User: h.user, Groups: h.groups, Server: s.Row.Server, Via: daypass.ViaPass,
		Pass: daypass.PassRef{ID: s.Row.ID, Link: hex.EncodeToString(last[:]), Text: text},
	}
	if from.IsValid() {
		c.Pass.From = from.String()
	}
	facts, err := b.facts(ctx, c, s)
	if err == nil {
		facts.Waive = unasked
		err = s.Check(facts)
	}
	if err != nil {
		return daypass.Caller{}, b.shownInVain(ctx, c, s, err)
	}
	return c, nil
}

// shownInVain tells the person in their activity that a pass of theirs was refused
// as it stood, from an address or at a time that it is not good for: somebody else
// may have it. The same is told once a minute.
func (b *Broker) shownInVain(ctx context.Context, c daypass.Caller, s *Shown, err error) error {
	var r *Refusal
	if !errors.As(err, &r) || !b.told.first(vain{s.Last(), r.Problem.Code, c.Pass.From}, struct{}{}, b.Now(), vainEvery, maxVain) {
		return err
	}
	if c.Pass.From != "" {
		told := *r.Problem
		told.Why = strings.TrimPrefix(told.Why+"; it was shown from "+c.Pass.From, "; ")
		r = &Refusal{Problem: &told, RetryAfter: r.RetryAfter}
	}
	return b.refuse(ctx, c, store.Person{ID: s.Row.Person}, Ask{pass: &passing{Shown: s}}, "", r)
}

// vain is a refusal that a person was told of.
type vain struct {
	link pass.Link
	code string
	from string
}

const (
	vainEvery = time.Minute
	maxVain   = 10_000
)

// unasked are the limits that whoever only asks whose pass it is (GET /me) need not
// meet, since a question names nothing that could be held to them:
//
//	allowed, indexes, projects  it touches no package index
//	dp:host, dp:repo, dp:access it asks for no repository; of hosts it shows those of the limit
//	dp:source                   it asks for no content
//	dp:digest                   it uploads nothing
//
// expires, not_before, dp:address and dp:server are held to as everywhere, whoever
// writes them how; dp:uses is not counted, since asking is no use. No other request
// of the access service waives any. doc/passes.md says the same.
const unasked = pass.KindAllowed | pass.KindIndexes | pass.KindProjects | pass.KindHost | pass.KindRepo | pass.KindAccess | pass.KindSource | pass.KindDigest

type passHolder struct {
	user   daypass.User
	groups []string
}

// holderTTL is how long the hub's word on a person counts.
const holderTTL = time.Minute

// passHolder asks the hub whether the person of a pass is there still: the very
// one, not somebody else who was given their name.
func (b *Broker) passHolder(ctx context.Context, person int64) (passHolder, error) {
	now := b.Now()
	if h, ok := b.holders.get(person, now, holderTTL); ok {
		return h, nil
	}
	p, ok, err := b.Store.PersonByID(ctx, person)
	switch {
	case err != nil:
		return passHolder{}, storeProblem(err)
	case !ok || !p.CutAt.IsZero() || p.User.Hub != b.Hub.ID:
		return passHolder{}, holderGone()
	case b.Hub.User == nil:
		return passHolder{}, hubProblem(nil)
	}
	u, exists, err := b.Hub.User(ctx, p.User.Name)
	if err != nil {
		return passHolder{}, hubProblem(err)
	}
	if !exists || !u.Created.Equal(p.User.Created) {
		return passHolder{}, holderGone()
	}
	h := passHolder{p.User, u.Groups}
	b.holders.put(person, h, now, maxPeople)
	return h, nil
}
